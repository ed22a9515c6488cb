//! Subscriptions beside the load: who subscribes to what, and the requests that make them.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum, value_parser};
use serde_json::json;

use crate::frame;
use crate::limits::{CONNECTIONS_MAX, SUBSCRIPTIONS_MAX};
use crate::pushes::SUBSCRIPTION_PREFIX;
use crate::requests::{Shape, digits_of};

/// What a subscription is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The newest record of each document.
    Latest,
    /// Every change.
    All,
}

impl Mode {
    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
        }
    }
}

/// The options of subscriptions.
#[derive(Args, Clone, Debug)]
pub struct Subscribing {
    /// Connections that subscribe, apart from those that write; with --subscribe-on-writers they do it themselves
    #[arg(long, value_name = "N", default_value_t = 0,
        value_parser = value_parser!(u32).range(0..=i64::from(CONNECTIONS_MAX)))]
    pub subscribers: u32,

    /// Let each connection that writes subscribe too
    #[arg(long)]
    pub subscribe_on_writers: bool,

    /// Subscriptions of each of them; they go round the collections
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = value_parser!(u32).range(1..=i64::from(SUBSCRIPTIONS_MAX)))]
    pub subscriptions: u32,

    /// What they are told of
    #[arg(long, value_enum, default_value_t = Mode::Latest)]
    pub subscribe_mode: Mode,

    /// Documents: a name or a /pattern/; without it all of the collection
    #[arg(long, value_name = "DOC")]
    pub subscribe_doc: Option<String>,

    /// Least milliseconds between two pushes of a subscription
    #[arg(long, value_name = "MS", value_parser = value_parser!(u32).range(0..=60_000))]
    pub subscribe_every: Option<u32>,

    /// Of the subscribers, those that stop reading when the load begins
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub stuck: u32,
}

impl Subscribing {
    /// Whether anybody subscribes.
    pub fn is_wanted(&self) -> bool {
        self.subscribers > 0 || self.subscribe_on_writers
    }

    /// Finds what the ranges of single options don't say.
    pub fn check(&self) -> Result<()> {
        ensure!(self.stuck <= self.subscribers, "--stuck must not be above --subscribers");
        Ok(())
    }

    /// The frames that subscribe, for the connection that is this one among those that do.
    pub fn requests(&self, number: u32, shape: &Shape) -> Vec<u8> {
        let mut out = Vec::new();
        for subscription in 0..self.subscriptions {
            let collection = u64::from(number * self.subscriptions + subscription) % shape.collections;
            let width = digits_of(shape.collections - 1);
            let mut data = json!({"col": format!("col{collection:0width$}")});
            data["mode"] = self.subscribe_mode.name().into();
            if let Some(doc) = &self.subscribe_doc {
                data["doc"] = doc.as_str().into();
            }
            if let Some(every) = self.subscribe_every {
                data["every"] = every.into();
            }
            let id = format!("{SUBSCRIPTION_PREFIX}{subscription}");
            let request = json!({"id": id, "type": "sub", "data": data.to_string()}).to_string();
            frame::push_client_frame(&mut out, frame::TEXT, request.as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::frame::FrameHeader;
    use crate::options::Options;

    #[test]
    fn subscriptions_go_round_the_collections() {
        let options = Options::parse_from([
            "fluxiondb-bench",
            "--collections=12",
            "--subscribers=9",
            "--subscriptions=2",
            "--subscribe-mode=all",
            "--subscribe-doc=/x/",
            "--subscribe-every=250",
        ]);
        let bytes = options.subscribing.requests(6, &options.shape());
        let (mut at, mut collections) = (0, Vec::new());
        while let Some(header) = FrameHeader::read(&bytes[at..]) {
            let end = at + header.header_bytes + header.payload_bytes as usize;
            let request: Value = serde_json::from_slice(&bytes[at + header.header_bytes..end]).unwrap();
            let data: Value = serde_json::from_str(request["data"].as_str().unwrap()).unwrap();
            assert_eq!(
                (&data["mode"], &data["doc"], &data["every"]),
                (&json!("all"), &json!("/x/"), &json!(250))
            );
            collections.push((request["id"].clone(), data["col"].clone()));
            at = end;
        }
        assert_eq!(collections, [(json!("s0"), json!("col00")), (json!("s1"), json!("col01"))]);
    }

    #[test]
    fn more_can_not_be_stuck_than_subscribe() {
        let options = Options::parse_from(["fluxiondb-bench", "--subscribers=1", "--stuck=2"]);
        assert!(options.check().is_err());
    }
}
