//! The contents of requests: how much data there is, and the templates of each kind.

use std::sync::Arc;

use crate::limits::{TIMESTAMP_HEADROOM, TIMESTAMP_STEP};
use crate::template::{Template, TemplateBuilder};
use crate::texts::Texts;
use crate::workload::Workload;

/// The look of a run's data.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Records in a message.
    pub records: u32,
    /// Documents in each collection, and keys.
    pub documents: u64,
    /// Collections.
    pub collections: u64,
    /// Connections, over all threads.
    pub connections: u64,
    /// Records a `qdoc` asks for.
    pub limit: u64,
    /// Time of the first record.
    pub first_ts: u64,
    /// Percentage of records that come late.
    pub out_of_order_percent: u64,
    /// Percentage of records that overwrite an older one.
    pub overwrite_percent: u64,
}

impl Shape {
    /// The number of documents of a collection that this connection writes.
    pub fn documents_of(&self, connection: u64) -> u64 {
        if self.documents < self.connections {
            return 1;
        }
        (self.documents - connection).div_ceil(self.connections)
    }

    /// All keys of all collections.
    pub fn keys(&self) -> u64 {
        self.documents * self.collections
    }

    /// A time after those of so many records.
    pub fn time_after(&self, records: u64) -> u64 {
        self.first_ts + (records + TIMESTAMP_HEADROOM / 1_000_000) * TIMESTAMP_STEP
    }

    /// Whether the times of a long run all have as many digits as the first.
    pub fn timestamps_fit(&self) -> bool {
        let last = self.first_ts.saturating_add(TIMESTAMP_HEADROOM);
        last <= i64::MAX as u64 && digits_of(self.first_ts) == digits_of(last)
    }
}

/// The encoded frames of one shape, one of each kind, and the texts that go into them.
#[derive(Debug)]
pub struct Templates {
    of: [Template; 5],
    /// What records and values say.
    pub texts: Arc<Texts>,
}

impl Templates {
    /// Encodes all kinds; the texts are escaped twice.
    pub fn new(shape: &Shape, texts: &Arc<Texts>) -> Self {
        let of = Workload::ALL.map(|workload| match workload {
            Workload::Ins => insertion(shape, texts),
            Workload::Qdoc => document_query(shape),
            Workload::Qry => collection_query(shape),
            Workload::Sval => value_setting(shape, texts),
            Workload::Gval => value_reading(shape),
        });
        Self { of, texts: Arc::clone(texts) }
    }

    /// The frame of this kind.
    pub fn of(&self, workload: Workload) -> &Template {
        &self.of[workload.index()]
    }
}

fn insertion(shape: &Shape, texts: &Texts) -> Template {
    TemplateBuilder::new("ins", "[", "]")
        .json(r#"{"ts":"#)
        .timestamp(digits_of(shape.first_ts))
        .json(r#","doc":"doc"#)
        .name(digits_of(shape.documents - 1))
        .json(r#"","data":""#)
        .text()
        .json(r#"","col":"col"#)
        .collection(digits_of(shape.collections - 1))
        .json(r#""}"#)
        .finish(shape.records, texts.mean_bytes())
}

fn document_query(shape: &Shape) -> Template {
    TemplateBuilder::new("qdoc", "", "")
        .json(r#"{"col":"col"#)
        .collection(digits_of(shape.collections - 1))
        .json(r#"","doc":"doc"#)
        .name(digits_of(shape.documents - 1))
        .json(&format!(r#"","from":0,"to":{},"limit":{},"reverse":true}}"#, i64::MAX, shape.limit))
        .finish(1, 0)
}

fn collection_query(shape: &Shape) -> Template {
    TemplateBuilder::new("qry", "", "")
        .json(r#"{"col":"col"#)
        .collection(digits_of(shape.collections - 1))
        .json(&format!(r#"","ts":{}}}"#, i64::MAX))
        .finish(1, 0)
}

fn value_setting(shape: &Shape, texts: &Texts) -> Template {
    let setting = key(TemplateBuilder::new("sval", "", ""), shape);
    setting.json(r#"","value":""#).text().json(r#""}"#).finish(1, texts.mean_bytes())
}

fn value_reading(shape: &Shape) -> Template {
    key(TemplateBuilder::new("gval", "", ""), shape).json(r#""}"#).finish(1, 0)
}

fn key(builder: TemplateBuilder, shape: &Shape) -> TemplateBuilder {
    let builder = builder.json(r#"{"col":"col"#).collection(digits_of(shape.collections - 1));
    builder.json(r#"","key":"key"#).name(digits_of(shape.documents - 1))
}

/// The digits that a number has.
pub fn digits_of(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            records: 3,
            documents: 10,
            collections: 2,
            connections: 4,
            limit: 5,
            first_ts: 1_700_000_000_000,
            out_of_order_percent: 0,
            overwrite_percent: 0,
        }
    }

    #[test]
    fn documents_are_divided_without_rest() {
        for documents in 1..40 {
            let shape = Shape { documents, ..shape() };
            let owned: u64 = (0..4).map(|connection| shape.documents_of(connection)).sum();
            assert_eq!(owned, documents.max(4));
        }
    }

    #[test]
    fn a_first_time_needs_room_for_more_of_its_width() {
        let fits = |first_ts| Shape { first_ts, ..shape() }.timestamps_fit();
        assert!(fits(1_700_000_000_000) && fits(1_700_000_000_000_000_000));
        assert!(!fits(0) && !fits(999_999_999_999_999) && !fits(u64::MAX) && !fits(i64::MAX as u64));
    }
}
