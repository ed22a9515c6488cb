//! Following a collection.

use super::tail_output::{Lines, is_for_people};
use crate::commands::limits::TAIL_ATTEMPTS;
use crate::commands::output::escape::printable;
use crate::commands::output::{Format, Stop, is_broken_pipe, is_output_gone};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use fluxion_client::{Client, Event, Mode, Reset, Slow, Subscription, SubscriptionQuery};
use std::time::Duration;

/// Time after which it is looked whether somebody wants it to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// `tail`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb tail sensors
  fluxiondb tail sensors --doc '/^device-/' --every 1000
  fluxiondb tail sensors --all | jq -r .data
  fluxiondb tail sensors --all --cursor --since 9f2c-18231 >> changes.jsonl

On a terminal a table, else a line of JSON for each change: {\"doc\",\"ts\",\"data\"}, or with \"del\":true
{\"doc\"} for a document, {\"doc\",\"ts\"} for a record, {\"doc\",\"fromTs\",\"toTs\"} for those between two times,
and {} for the collection. A lost connection is made again, and nothing is missed or comes twice; where
something may have been missed, stderr says so, and what is there comes again. Ctrl-C ends it, and tells
the cursor from which --since goes on.")]
pub struct Tail {
    /// Collection; it need not be there yet
    #[arg(value_name = "COLLECTION", required_unless_present = "col")]
    collection: Option<String>,
    /// Collection, as other commands take it
    #[arg(long, value_name = "NAME", conflicts_with = "collection")]
    col: Option<String>,
    /// Document, or /pattern/ [default: all]
    #[arg(long, value_name = "NAME|/PATTERN/")]
    doc: Option<String>,
    /// Only records that contain this text or match /pattern/
    #[arg(long = "where", value_name = "TEXT|/PATTERN/")]
    contains: Option<String>,
    /// No records that contain this text or match /pattern/
    #[arg(long, value_name = "TEXT|/PATTERN/")]
    filter: Option<String>,
    /// Every change in order, not only the newest record of each document
    #[arg(long)]
    all: bool,
    /// Begin with what is there, which only --all does not by itself: then it is every record
    #[arg(long)]
    snapshot: bool,
    /// Begin with what changes from now on
    #[arg(long, conflicts_with = "snapshot")]
    no_snapshot: bool,
    /// Go on behind the cursor that an earlier run has told
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// Least milliseconds between what comes, up to 60000
    #[arg(long, value_name = "MILLISECONDS")]
    every: Option<u64>,
    /// When this reader is too slow: close resumes where it was, as far as the server remembers; drop leaves out the oldest
    #[arg(long, value_name = "POLICY", requires = "all")]
    slow: Option<Policy>,
    /// Bytes that may wait for this reader, up to 16777216
    #[arg(long, value_name = "BYTES", requires = "all")]
    buffer: Option<usize>,
    /// Also print {"cursor"} behind what belongs to it, {"reset"} before what is there comes again, and {"skipped"}
    #[arg(long)]
    cursor: bool,
    /// Form of the output [default: table on a terminal, else json, a line each]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// What becomes of a reader that is too slow.
#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    Close,
    Drop,
}

impl Tail {
    /// Prints what comes until it is asked to end.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let default = if is_for_people() { Format::Table } else { Format::Json };
        let format = self.format.unwrap_or(default);
        ensure!(format == Format::Json || !self.cursor, "--cursor goes with --format json only");
        let stop = Stop::watch()?;
        // The subscription has a connection of its own, and this one would lie idle.
        client.disconnect();
        let mut subscription = client.subscribe(self.query()?)?.attempts(TAIL_ATTEMPTS);
        let mut lines = Lines::new(format, self.cursor)?;
        let mut cursor = subscription.cursor().map(str::to_owned);
        let outcome = follow(&mut subscription, &mut lines, &stop, &mut cursor);
        // Who has had enough has not taken all that was printed.
        if !outcome.as_ref().is_err_and(is_broken_pipe)
            && let Some(cursor) = cursor
        {
            eprintln!("fluxiondb: it goes on from here with --since {}", printable(&cursor));
        }
        outcome
    }

    fn query(&self) -> Result<SubscriptionQuery> {
        let name = self.collection.as_ref().or(self.col.as_ref()).context("name a collection")?;
        let mut query = SubscriptionQuery::new(name);
        if let Some(document) = &self.doc {
            query = query.document(document);
        }
        if let Some(contains) = &self.contains {
            query = query.contains(contains);
        }
        if let Some(excludes) = &self.filter {
            query = query.excludes(excludes);
        }
        if self.all {
            query = query.mode(Mode::All);
        }
        if self.snapshot || self.no_snapshot {
            query = query.snapshot(self.snapshot);
        }
        // A script has no cursor the first time.
        if let Some(cursor) = self.since.as_deref().filter(|cursor| !cursor.is_empty()) {
            query = query.since(cursor);
        }
        if let Some(every) = self.every {
            query = query.every(Duration::from_millis(every));
        }
        if let Some(policy) = self.slow {
            query = query.slow(match policy {
                Policy::Close => Slow::Close,
                Policy::Drop => Slow::Drop,
            });
        }
        Ok(match self.buffer {
            Some(bytes) => query.buffer(bytes),
            None => query,
        })
    }
}

/// Shows what comes; `cursor` stands behind what has been shown.
fn follow(
    subscription: &mut Subscription,
    lines: &mut Lines,
    stop: &Stop,
    cursor: &mut Option<String>,
) -> Result<()> {
    loop {
        stop.check()?;
        match subscription.next_within(LOOK_INTERVAL)? {
            Some(Event::Push(push)) => {
                lines.show(&push)?;
                *cursor = subscription.cursor().map(str::to_owned);
            }
            Some(event) => tell(&event),
            None if is_output_gone() => {
                return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
            }
            None => {}
        }
    }
}

/// Says on stderr what is no change of the data.
fn tell(event: &Event) {
    let told = match event {
        Event::Lost(error) => format!("{error}; connecting again"),
        Event::Ended(reason) => format!("the server ended it ({}); resuming", printable(reason)),
        Event::Resumed => "resumed; nothing was missed".into(),
        Event::Reset(reset) => {
            let why = match reset {
                Reset::History => "the server no longer remembers what came since",
                Reset::Epoch => "the cursor is of another life of the server",
                Reset::CutShort => "it was cut short in what is there",
                _ => "it could not be resumed",
            };
            format!("{why}: something may have been missed; what is there comes again")
        }
        _ => return,
    };
    eprintln!("fluxiondb: {told}");
}
