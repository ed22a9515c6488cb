//! What is followed, as it is shown: each change as a line of JSON or a row, and all of a push at once.

use crate::commands::output::{Format, Rows, stdout, write_line};
use anyhow::Result;
use fluxion_client::{Change, Push, Record};
use serde::Serialize;
use serde_json::json;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

type Out = BufWriter<StdoutLock<'static>>;

/// Whether stdout is a terminal.
pub fn is_for_people() -> bool {
    std::io::stdout().is_terminal()
}

/// Where changes are shown.
pub enum Lines {
    /// A line of JSON each.
    Json {
        /// Stdout.
        out: Out,
        /// Whether cursors, resets and what was left out stand between them.
        with_cursors: bool,
    },
    /// A row each.
    Rows(Rows<Out>),
}

/// A change in the protocol's words.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    del: bool,
}

impl<'a> Line<'a> {
    fn of_record(document: &'a str, record: Option<&'a Record>) -> Line<'a> {
        let doc = Some(document);
        match record {
            Some(Record { ts, data }) => Line { doc, ts: Some(*ts), data: Some(data), ..Line::default() },
            None => Line { doc, del: true, ..Line::default() },
        }
    }

    fn of_change(change: &'a Change) -> Line<'a> {
        let gone = |doc| Line { doc, del: true, ..Line::default() };
        match change {
            Change::Put { document, record } => Line::of_record(document, Some(record)),
            Change::DeleteRecord { document, ts } => Line { ts: Some(*ts), ..gone(Some(document.as_str())) },
            Change::DeleteRange { document, from, to } => {
                Line { from_ts: Some(*from), to_ts: Some(*to), ..gone(Some(document.as_str())) }
            }
            Change::DeleteDocument { document } => gone(Some(document.as_str())),
            Change::DeleteCollection => gone(None),
        }
    }

    fn cells(&self) -> [String; 4] {
        let change = if self.del { "delete" } else { "put" };
        let time = match (self.ts, self.from_ts, self.to_ts) {
            (Some(ts), ..) => ts.to_string(),
            (_, Some(from), Some(to)) => format!("{from}..{to}"),
            _ => String::new(),
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        [change.to_owned(), text(self.doc), time, text(self.data)]
    }
}

impl Lines {
    /// Shows changes on stdout.
    pub fn new(format: Format, with_cursors: bool) -> Result<Lines> {
        if format == Format::Json {
            return Ok(Lines::Json { out: stdout(), with_cursors });
        }
        let mut rows = Rows::at_once(stdout(), format, &["change", "doc", "ts", "data"])?;
        rows.flush()?;
        Ok(Lines::Rows(rows))
    }

    /// Shows a push.
    pub fn show(&mut self, push: &Push) -> Result<()> {
        if push.skipped > 0 {
            eprintln!("fluxiondb: {} changes were left out: this reader is too slow", push.skipped);
        }
        self.mark(push.reset, || json!({"reset": true}))?;
        self.mark(push.skipped > 0, || json!({"skipped": push.skipped}))?;
        let records = push.records.iter().map(|(name, record)| Line::of_record(name, record.as_ref()));
        for line in records.chain(push.changes.iter().map(Line::of_change)) {
            self.line(&line)?;
        }
        self.mark(!push.is_inside_snapshot(), || json!({"cursor": push.cursor}))?;
        match self {
            Lines::Json { out, .. } => Ok(out.flush()?),
            Lines::Rows(rows) => Ok(rows.flush()?),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        match self {
            Lines::Json { out, .. } => Ok(write_line(out, line)?),
            Lines::Rows(rows) => Ok(rows.push(&line.cells().each_ref().map(String::as_str))?),
        }
    }

    /// A line between the changes, if they are asked for.
    fn mark(&mut self, applies: bool, line: impl FnOnce() -> serde_json::Value) -> Result<()> {
        match self {
            Lines::Json { out, with_cursors: true } if applies => Ok(write_line(out, &line())?),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_in_the_protocols_words() {
        let (document, text) = (|| "d".to_string(), |line: &Line<'_>| serde_json::to_string(line).unwrap());
        for (change, shown, cells) in [
            (
                Change::Put { document: document(), record: Record { ts: -1, data: "x\n".into() } },
                r#"{"doc":"d","ts":-1,"data":"x\n"}"#,
                ["put", "d", "-1", "x\n"],
            ),
            (
                Change::DeleteRecord { document: document(), ts: 4 },
                r#"{"doc":"d","ts":4,"del":true}"#,
                ["delete", "d", "4", ""],
            ),
            (
                Change::DeleteRange { document: document(), from: -1, to: 3 },
                r#"{"doc":"d","fromTs":-1,"toTs":3,"del":true}"#,
                ["delete", "d", "-1..3", ""],
            ),
            (
                Change::DeleteDocument { document: document() },
                r#"{"doc":"d","del":true}"#,
                ["delete", "d", "", ""],
            ),
            (Change::DeleteCollection, r#"{"del":true}"#, ["delete", "", "", ""]),
        ] {
            let line = Line::of_change(&change);
            assert_eq!((text(&line).as_str(), line.cells()), (shown, cells.map(String::from)));
        }
        assert_eq!(text(&Line::of_record("d", None)), r#"{"doc":"d","del":true}"#);
    }
}
