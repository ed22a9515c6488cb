//! The command line, and what of it makes sense together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, ensure};
use clap::builder::TypedValueParser;
use clap::{Parser, Subcommand, value_parser};

use crate::limits::{
    CONNECTIONS_MAX, FACTS_MAX, IN_FLIGHT_MAX, OUTGOING_BYTES_MAX, PART_BYTES, PREFILL_PER_DOCUMENT,
    PREFILL_RECORDS, PREFILL_REQUEST_BYTES, PUSH_SILENCE, REQUEST_BYTES_MAX, WIRE_REPLY_BYTES_MAX,
};
use crate::payload::Payload;
use crate::pinning::CpuList;
use crate::requests::Shape;
use crate::subscribing::Subscribing;
use crate::target::Target;
use crate::worker::Watch;
use crate::workload::{Mix, Workload};

/// Puts load on a FluxionDB server and reports rates and latencies.
///
/// Without --rate each connection keeps its window of requests full (closed loop). With --rate messages are due at
/// fixed times and latencies count from then, so that a stall of the server shows; the thread then spins between messages.
/// Replies are counted, not checked. For numbers that mean something keep the server and this tool on different CPUs.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "fluxiondb-bench",
    version,
    args_override_self = true,
    args_conflicts_with_subcommands = true
)]
pub struct Options {
    /// Instead of a load.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The server's address
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080")]
    pub url: Target,

    /// Certificates of the authorities that a wss:// server's may be from, in PEM [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// API key
    #[arg(long, value_name = "KEY", env = "FLUXIONDB_APIKEY", hide_env_values = true)]
    pub apikey: Option<String>,

    /// ins, qdoc, qry, sval or gval, or several with weights: ins=90,qry=9,qdoc=1
    #[arg(long, value_name = "MIX", default_value = "ins")]
    pub workload: Mix,

    /// Connections, over all threads
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub connections: u32,

    /// Requests each connection may have without a reply
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = value_parser!(u32).range(1..=i64::from(IN_FLIGHT_MAX)))]
    pub in_flight: u32,

    /// Records in an ins message
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub records: u32,

    /// Texts of records and values: JSON as devices send it (sensor, flight, tick), letters (text:BYTES), or the
    /// lines of a file, which each document takes in turn
    #[arg(long, value_name = "sensor|flight|tick|text:BYTES|FILE", default_value = "sensor")]
    pub payload: Payload,

    /// Documents in each collection; also keys, for sval and gval
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub documents: u32,

    /// Collections; each message is about one of them
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub collections: u32,

    /// Records a qdoc asks for, newest first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Percentage of records that come late, with a time before others of their document
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u32).range(0..=100))]
    pub out_of_order: u32,

    /// Percentage of records that overwrite an older one
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u32).range(0..=100))]
    pub overwrite: u32,

    /// Seconds to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub duration: f64,

    /// Seconds of load before measuring
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub warmup: f64,

    /// Messages a second, over all connections; without it as many as the server takes
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Threads that share the connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_024))]
    pub threads: u32,

    /// CPUs for the threads, such as 1 or 0-3,8
    #[arg(long, value_name = "CPU-LIST")]
    pub pin: Option<CpuList>,

    /// Records to insert before the load [default: 1000 a document for qdoc and qry; for gval every key is set;
    /// 0: neither]
    #[arg(long, value_name = "N")]
    pub prefill: Option<u64>,

    /// Time of the first record made, at least 13 digits [default: now, in nanoseconds]
    #[arg(long, value_name = "TS")]
    pub first_ts: Option<u64>,

    /// Subscriptions beside the load.
    #[command(flatten)]
    pub subscribing: Subscribing,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Also write a page for the browser: figures, latency curve, and the course of the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Note a fact with the results, such as --fact commit=1a2b3c; may be repeated
    #[arg(long = "fact", value_name = "NAME=VALUE")]
    pub facts: Vec<Fact>,

    /// Print a line on stderr each second, also when that is no terminal
    #[arg(long)]
    pub progress: bool,

    /// Measure this tool against a built-in wire server, instead of a server
    #[arg(long, conflicts_with = "url")]
    pub self_test: bool,
}

/// What it does instead of putting load on a server.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve as the limit: answer each message with bytes of one length, and do nothing else
    Wire {
        /// Address to listen on; port 0 takes a free one and prints it
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        bind: SocketAddr,

        /// Length of each reply's frame, as a run against the real server says in reply_frame_bytes
        #[arg(long, value_name = "BYTES", default_value = "0",
            value_parser = value_parser!(u64).range(..=WIRE_REPLY_BYTES_MAX).map(|bytes| bytes as usize))]
        reply_bytes: usize,

        /// CPU to run on
        #[arg(long, value_name = "CPU")]
        pin: Option<CpuList>,
    },
}

/// Something worth knowing about a run that this program can't find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The subject of it.
    pub name: String,
    /// The fact itself.
    pub value: String,
}

impl FromStr for Fact {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("a fact is written NAME=VALUE")?;
        ensure!(!name.is_empty(), "a fact needs a name");
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Options {
    /// Finds what the ranges of single options don't say.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.duration > 0.0 && self.duration <= 1e6,
            "--duration must be above 0 and at most 1000000"
        );
        ensure!((0.0..=1e6).contains(&self.warmup), "--warmup must be from 0 to 1000000");
        ensure!(
            self.rate.is_none_or(|rate| rate > 0.0 && rate <= 1e9),
            "--rate must be above 0, at most 1e9"
        );
        self.subscribing.check()?;
        ensure!(
            !self.subscribing.is_wanted() || self.out_of_order + self.overwrite == 0,
            "with subscriptions, times say when a record was sent: --out-of-order and --overwrite don't go with them"
        );
        ensure!(self.facts.len() <= FACTS_MAX, "--fact may be given {FACTS_MAX} times at most");
        ensure!(self.threads <= self.connections, "--threads must not be above --connections");
        ensure!(
            self.out_of_order + self.overwrite <= 100,
            "--out-of-order and --overwrite together must not be above 100"
        );
        ensure!(
            self.prefill.is_none_or(|records| records <= 1_000_000_000_000),
            "--prefill must be at most 1e12"
        );
        ensure!(
            u64::from(self.connections) * u64::from(self.collections) <= 100_000_000,
            "--connections times --collections must be at most 100000000"
        );
        ensure!(
            self.shape().timestamps_fit(),
            "--first-ts must leave room for later times with as many digits, such as 1700000000000"
        );
        let request_bytes = self.largest_request_bytes();
        ensure!(
            request_bytes <= REQUEST_BYTES_MAX as u64,
            "a message of {} records of {} can be larger than 16 MiB",
            self.records,
            self.payload
        );
        ensure!(
            request_bytes * self.all_in_flight() <= OUTGOING_BYTES_MAX as u64,
            "so many such messages in flight could take more than 4 GiB of memory here"
        );
        Ok(())
    }

    /// The look of the data.
    pub fn shape(&self) -> Shape {
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Shape {
            records: self.records,
            documents: u64::from(self.documents),
            collections: u64::from(self.collections),
            connections: u64::from(self.connections),
            limit: u64::from(self.limit),
            first_ts: self.first_ts.unwrap_or(now_ns),
            out_of_order_percent: u64::from(self.out_of_order),
            overwrite_percent: u64::from(self.overwrite),
        }
    }

    /// How pushes are looked at, if anybody subscribes.
    pub fn watch(&self, shape: &Shape) -> Option<Watch> {
        let every = Duration::from_millis(u64::from(self.subscribing.subscribe_every.unwrap_or(0)));
        self.subscribing.is_wanted().then(|| Watch {
            stamps_from: shape.time_after(self.prefill_records()),
            silence: every + PUSH_SILENCE,
        })
    }

    /// Records to insert before the load.
    pub fn prefill_records(&self) -> u64 {
        let reads_documents = self.workload.has(Workload::Qdoc) || self.workload.has(Workload::Qry);
        let all_documents = u64::from(self.documents) * u64::from(self.collections);
        self.prefill.unwrap_or(if reads_documents { all_documents * PREFILL_PER_DOCUMENT } else { 0 })
    }

    /// Records in a message of the prefill, so that it visits every collection and stays within a
    /// request's limits.
    pub fn prefill_batch_records(&self) -> u32 {
        let part_bytes = self.payload.escaped_bytes_max() + PART_BYTES;
        let by_memory = OUTGOING_BYTES_MAX as u64 / (part_bytes * self.all_in_flight());
        let by_collection =
            self.prefill_records() / u64::from(self.connections) / u64::from(self.collections);
        let records = by_memory.min(by_collection).min(PREFILL_REQUEST_BYTES / part_bytes);
        records.clamp(1, PREFILL_RECORDS) as u32
    }

    /// Whether every key gets a value before the load.
    pub fn prefills_values(&self) -> bool {
        self.workload.has(Workload::Gval) && self.prefill != Some(0)
    }

    /// The time before the measurement.
    pub fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup)
    }

    /// The length of the measurement.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration)
    }

    fn all_in_flight(&self) -> u64 {
        u64::from(self.in_flight) * u64::from(self.connections)
    }

    fn largest_request_bytes(&self) -> u64 {
        let parts = if self.workload.has(Workload::Ins) { u64::from(self.records) } else { 1 };
        parts * (self.payload.escaped_bytes_max() + PART_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["fluxiondb-bench"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
        parse(&[]).check().unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let cases: [&[&str]; 9] = [
            &["--duration", "0"],
            &["--duration", "NaN"],
            &["--warmup", "-1"],
            &["--rate", "0"],
            &["--threads", "17"],
            &["--out-of-order", "60", "--overwrite", "60"],
            &["--first-ts", "5"],
            &["--records", "100000", "--payload", "text:1000"],
            &["--payload", "text:1000000", "--in-flight", "1000"],
        ];
        for arguments in cases {
            let joined: Vec<String> = arguments.chunks(2).map(|pair| pair.join("=")).collect();
            let arguments: Vec<&str> = joined.iter().map(String::as_str).collect();
            assert!(parse(&arguments).check().is_err(), "{arguments:?}");
        }
        let url_and_self_test = ["fluxiondb-bench", "--self-test", "--url", "ws://x"];
        assert!(Options::try_parse_from(url_and_self_test).is_err());
    }

    #[test]
    fn facts_have_a_name_and_a_value() {
        let options = parse(&["--fact", "commit=1a2b", "--fact", "note=a=b"]);
        let facts: Vec<_> =
            options.facts.iter().map(|fact| (fact.name.as_str(), fact.value.as_str())).collect();
        assert_eq!(facts, [("commit", "1a2b"), ("note", "a=b")]);
        assert!(Options::try_parse_from(["fluxiondb-bench", "--fact", "commit"]).is_err());
    }

    #[test]
    fn reads_find_data_unless_told_otherwise() {
        assert_eq!(parse(&[]).prefill_records(), 0);
        assert_eq!(parse(&["--workload=qdoc", "--documents=7", "--collections=2"]).prefill_records(), 14_000);
        assert_eq!(parse(&["--workload=ins=9,qry=1", "--prefill=5"]).prefill_records(), 5);
        assert!(parse(&["--workload=gval"]).prefills_values());
        assert!(!parse(&["--workload=gval", "--prefill=0"]).prefills_values());
    }
}
