//! The bytes of a push: records by document or a list of changes, and what stands around them.

use super::place;
use super::terms::Mode;
use crate::feed::ChangeRef;
use crate::json::escape_json;
use crate::limits::{PIECE_BYTES, PUSH_WORK_MAX, WORK_PER_ITEM};
use crate::pattern::{Filter, FilterSearch};

/// The place of a push in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is of none.
    No,
    /// It is of none, and too long for one push: the cursor moves with the last part.
    Unfinished,
    /// More of it follows.
    More,
    /// It is the last.
    Last,
}

/// The members that stand beside the records or changes of a push.
pub(super) struct Heading {
    pub(super) mark: u64,
    pub(super) number: u64,
    pub(super) is_reset: bool,
    pub(super) part: Part,
    pub(super) skipped: u64,
}

/// The records or changes of a push that is being made.
pub(super) struct Body {
    out: Vec<u8>,
    is_empty: bool,
    work: usize,
}

impl Body {
    pub(super) fn new() -> Self {
        Self { out: Vec::new(), is_empty: true, work: 0 }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether it is long enough, or took enough work.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= PIECE_BYTES || self.work >= PUSH_WORK_MAX
    }

    /// Counts one thing looked at.
    pub(super) fn look(&mut self) {
        self.work += WORK_PER_ITEM;
    }

    /// The work that it took.
    pub(super) fn work(&self) -> usize {
        self.work + self.out.len()
    }

    /// Whether a record's text passes a filter.
    pub(super) fn passes(&mut self, filter: &Filter<'_>, data: &str) -> bool {
        self.look();
        if filter.is_empty() {
            return true;
        }
        self.work += data.len();
        filter.passes(data, &mut FilterSearch::default(), &mut { usize::MAX }) == Some(true)
    }

    /// Adds a document's newest record, or that there is none.
    pub(super) fn record(&mut self, document: &str, record: Option<(i64, &str)>) {
        self.separate();
        self.text(document);
        match record {
            None => self.out.extend_from_slice(b":null"),
            Some((ts, data)) => {
                self.out.extend_from_slice(b":{\"ts\":");
                self.number(ts);
                self.out.extend_from_slice(b",\"data\":");
                self.text(data);
                self.out.push(b'}');
            }
        }
    }

    /// Adds a change; of an entry or a key there is nothing to tell.
    pub(super) fn change(&mut self, change: &ChangeRef<'_>) {
        self.separate();
        match *change {
            ChangeRef::Put { document, ts, data, .. } => {
                self.members(document, &[("ts", ts)]);
                self.out.extend_from_slice(b",\"data\":");
                self.text(data);
                self.out.push(b'}');
            }
            ChangeRef::DeleteRecord { document, ts, .. } => self.deletion(document, &[("ts", ts)]),
            ChangeRef::DeleteRange { document, from, to, .. } => {
                self.deletion(document, &[("fromTs", from), ("toTs", to)]);
            }
            ChangeRef::DeleteDocument { document, .. } => self.deletion(document, &[]),
            ChangeRef::DeleteCollection { .. }
            | ChangeRef::SetValue { .. }
            | ChangeRef::RemoveValue { .. }
            | ChangeRef::SetApiKey { .. }
            | ChangeRef::RemoveApiKey { .. } => self.out.extend_from_slice(b"{\"del\":true}"),
        }
    }

    /// The whole push, behind the name of the subscription.
    pub(super) fn finish(self, mode: Mode, heading: &Heading) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.out.len() + 120);
        out.extend_from_slice(b",\"cursor\":\"");
        place::write(&mut out, heading.mark, heading.number);
        out.push(b'"');
        if heading.is_reset {
            out.extend_from_slice(b",\"reset\":true");
        }
        match heading.part {
            Part::No => {}
            Part::Unfinished => out.extend_from_slice(b",\"more\":true"),
            Part::More => out.extend_from_slice(b",\"snapshot\":\"part\""),
            Part::Last => out.extend_from_slice(b",\"snapshot\":\"done\""),
        }
        if heading.skipped > 0 {
            out.extend_from_slice(format!(",\"skipped\":{}", heading.skipped).as_bytes());
        }
        let (open, close): (&[u8], &[u8]) = match mode {
            Mode::Latest => (b",\"records\":{", b"}}"),
            Mode::All => (b",\"changes\":[", b"]}"),
        };
        out.extend_from_slice(open);
        out.extend_from_slice(&self.out);
        out.extend_from_slice(close);
        out
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'"');
        escape_json(&mut self.out, text.as_bytes());
        self.out.push(b'"');
    }

    fn number(&mut self, number: i64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn members(&mut self, document: &str, numbers: &[(&str, i64)]) {
        self.out.extend_from_slice(b"{\"doc\":");
        self.text(document);
        for (name, number) in numbers {
            self.out.extend_from_slice(b",\"");
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
            self.number(*number);
        }
    }

    fn deletion(&mut self, document: &str, numbers: &[(&str, i64)]) {
        self.members(document, numbers);
        self.out.extend_from_slice(b",\"del\":true}");
    }
}

/// What ends a subscription that is too slow, behind its name.
pub(super) fn too_slow(mark: u64, number: u64, waiting: u64) -> Vec<u8> {
    let mut out = format!(",\"error\":\"too slow: {} waiting\",\"cursor\":\"", amount(waiting)).into_bytes();
    place::write(&mut out, mark, number);
    out.extend_from_slice(b"\"}");
    out
}

/// An amount of memory as people read it.
fn amount(bytes: u64) -> String {
    const UNITS: [(u64, &str); 2] = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) if bytes.is_multiple_of(*size) => format!("{} {unit}", bytes / size),
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_json_in_the_protocols_words() {
        let mut body = Body::new();
        body.record("a\"", Some((5, "x\n")));
        body.record("b", None);
        let heading = Heading { mark: 0x9f2c, number: 17, is_reset: true, part: Part::Last, skipped: 0 };
        assert_eq!(
            String::from_utf8(body.finish(Mode::Latest, &heading)).as_deref(),
            Ok(
                r#","cursor":"9f2c-17","reset":true,"snapshot":"done","records":{"a\"":{"ts":5,"data":"x\n"},"b":null}}"#
            )
        );
        let mut body = Body::new();
        let (collection, document) = ("c", "d");
        for change in [
            ChangeRef::Put { collection, document, ts: -5, data: "" },
            ChangeRef::DeleteRecord { collection, document, ts: 4 },
            ChangeRef::DeleteRange { collection, document, from: 1, to: 3 },
            ChangeRef::DeleteDocument { collection, document },
            ChangeRef::DeleteCollection { collection },
        ] {
            body.change(&change);
        }
        let heading = Heading { mark: 1, number: 2, is_reset: false, part: Part::No, skipped: 3 };
        assert_eq!(
            String::from_utf8(body.finish(Mode::All, &heading)).as_deref(),
            Ok(concat!(
                r#","cursor":"1-2","skipped":3,"changes":[{"doc":"d","ts":-5,"data":""},"#,
                r#"{"doc":"d","ts":4,"del":true},{"doc":"d","fromTs":1,"toTs":3,"del":true},"#,
                r#"{"doc":"d","del":true},{"del":true}]}"#
            ))
        );
    }

    #[test]
    fn an_end_says_how_much_waits() {
        let text = |waiting| String::from_utf8(too_slow(10, 9, waiting)).unwrap();
        assert_eq!(text(1 << 20), r#","error":"too slow: 1 MiB waiting","cursor":"a-9"}"#);
        assert!(text(1_300_000).contains("1.2 MiB") && text(999).contains("999 bytes"));
    }
}
