//! Reading collections and records.

use crate::commands::output::{Format, FormatFlag, JsonArray, Rows, print_json, stdout};
use crate::commands::times::{Time, UnitFlag};
use anyhow::Result;
use clap::Args;
use clap::builder::BoolishValueParser;
use fluxion_client::{Client, HistoryQuery, LatestQuery, Record};
use std::collections::BTreeMap;

/// `fetch-collections`
#[derive(Args, Clone)]
pub struct Collections {
    #[command(flatten)]
    format: FormatFlag,
}

impl Collections {
    /// Prints the names in order.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut names = client.collections()?;
        names.sort_unstable();
        print_names("collection", &names, self.format.format)
    }
}

/// Prints an array of names.
pub fn print_names(header: &str, names: &[String], format: Format) -> Result<()> {
    if format == Format::Json {
        return print_json(names);
    }
    let mut rows = Rows::new(stdout(), format, &[header])?;
    for name in names {
        rows.push(&[name])?;
    }
    Ok(rows.finish()?)
}

/// `fetch-latest`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb fetch-latest --col sensors
  fluxiondb fetch-latest --col sensors --doc '/^device-/' --ts 2026-03-01T12:00:00Z --format table
  fluxiondb fetch-latest --col sensors --where '\"state\":\"on\"'")]
pub struct Latest {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document, or /pattern/ [default: all]
    #[arg(long, value_name = "NAME|/PATTERN/")]
    doc: Option<String>,
    /// Time at which to look: a number in the unit of your records, a date as in RFC 3339, now, or now-1h [default: the
    /// newest there is]
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    ts: Option<Time>,
    /// Leave out records that are older than this
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Option<Time>,
    #[command(flatten)]
    unit: UnitFlag,
    /// Only records that contain this text or match /pattern/
    #[arg(long = "where", value_name = "TEXT|/PATTERN/")]
    contains: Option<String>,
    /// No records that contain this text or match /pattern/
    #[arg(long, value_name = "TEXT|/PATTERN/")]
    filter: Option<String>,
    #[command(flatten)]
    format: FormatFlag,
}

impl Latest {
    /// Prints an object from documents to records.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut query = LatestQuery::new(&self.col, self.unit.resolve_if(self.ts)?.unwrap_or(i64::MAX));
        if let Some(document) = &self.doc {
            query = query.document(document);
        }
        if let Some(from) = self.unit.resolve_if(self.from)? {
            query = query.from(from);
        }
        if let Some(contains) = &self.contains {
            query = query.contains(contains);
        }
        if let Some(excludes) = &self.filter {
            query = query.excludes(excludes);
        }
        let records = client.latest(query)?.collect::<Result<BTreeMap<String, Record>, _>>()?;
        if self.format.format == Format::Json {
            return print_json(&records);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &["doc", "ts", "data"])?;
        for (document, record) in &records {
            rows.push(&[document, &record.ts.to_string(), &record.data])?;
        }
        Ok(rows.finish()?)
    }
}

/// `fetch-document`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb fetch-document --col sensors --doc device-1 --from now-1h --unit ms
  fluxiondb fetch-document --col sensors --doc device-1 --limit 10 --reverse --format table")]
pub struct Document {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document
    #[arg(long, value_name = "NAME")]
    doc: String,
    /// First time, included: a number in the unit of your records, a date as in RFC 3339, now, or now-1h [default: the
    /// oldest]
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Option<Time>,
    /// Last time, included [default: the newest]
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    to: Option<Time>,
    #[command(flatten)]
    unit: UnitFlag,
    /// Most records; 0 is all
    #[arg(long, value_name = "COUNT")]
    limit: Option<i64>,
    /// The newest first
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = clap::ArgAction::Set, value_parser = BoolishValueParser::new())]
    reverse: bool,
    /// Only records that contain this text or match /pattern/
    #[arg(long = "where", value_name = "TEXT|/PATTERN/")]
    contains: Option<String>,
    /// No records that contain this text or match /pattern/
    #[arg(long, value_name = "TEXT|/PATTERN/")]
    filter: Option<String>,
    #[command(flatten)]
    format: FormatFlag,
}

impl Document {
    /// Prints an array of records, as they come.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut records = client.history(self.query()?)?;
        if self.format.format == Format::Json {
            let mut array = JsonArray::new(stdout())?;
            while let Some(record) = records.read()? {
                array.push(&record)?;
            }
            return Ok(array.finish()?);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &["ts", "data"])?;
        while let Some(record) = records.read()? {
            rows.push(&[&record.ts.to_string(), &record.data])?;
        }
        Ok(rows.finish()?)
    }

    fn query(&self) -> Result<HistoryQuery<'_>> {
        let mut query = HistoryQuery::new(&self.col, &self.doc).reverse(self.reverse);
        if let Some(from) = self.unit.resolve_if(self.from)? {
            query = query.from(from);
        }
        if let Some(to) = self.unit.resolve_if(self.to)? {
            query = query.to(to);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        if let Some(contains) = &self.contains {
            query = query.contains(contains);
        }
        if let Some(excludes) = &self.filter {
            query = query.excludes(excludes);
        }
        Ok(query)
    }
}
