//! The report for people: a line for each thing to know.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::{PERCENTILES, Report, counted, grouped, in_unit};
use crate::workload::Workload;

/// Above this share of its CPUs the load generator may be what limited the rate.
const BUSY_PERCENT_MAX: f64 = 95.0;

/// Above this the load generator had to share its CPUs so much that the numbers say little about the server.
const CROWDED_PERCENT_MAX: f64 = 5.0;

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in [
            ("target", self.target.clone()),
            ("workload", self.workload_text()),
            ("load", self.load_text()),
            ("rate", self.rate_text()),
            ("traffic", self.traffic_text()),
        ] {
            line(&mut text, name, &value);
        }
        let sent: Vec<_> = self.sent_workloads().collect();
        for &(workload, latencies) in &sent {
            let name = if sent.len() == 1 { "latency" } else { workload.name() };
            line(&mut text, name, &latency_text(latencies));
        }
        let gap_ms = self.longest_gap_ms();
        line(
            &mut text,
            "longest gap",
            &format!("{gap_ms:.1} ms without a reply while requests were waiting"),
        );
        if self.records_acknowledged() > 0 {
            let (all, before) = (grouped(self.records_acknowledged()), grouped(self.records_before));
            line(
                &mut text,
                "records",
                &format!("{all} acknowledged in all, {before} of them by the prefill"),
            );
        }
        if self.options.subscribing.is_wanted() {
            let latency = &self.tally.pushes.latency;
            line(&mut text, "pushes", &self.pushes_text());
            line(&mut text, "to a push", &latency_text(latency));
        }
        line(&mut text, "trouble", &self.trouble_text());
        line(&mut text, "client", &self.client_text());
        text
    }

    pub(super) fn workload_text(&self) -> String {
        let options = &self.options;
        let (documents, collections) = (options.documents, options.collections);
        let mut text =
            format!("{}, {} texts of {:.0} bytes", options.workload, options.payload, self.payload_bytes);
        if options.workload.has(Workload::Ins) {
            text += &format!(
                ", {}",
                counted(u64::from(options.records), "record a message", "records a message")
            );
        }
        if options.workload.has(Workload::Qdoc) {
            text += &format!(", newest {}", options.limit);
        }
        text + &format!(
            "; {} in {}",
            counted(u64::from(documents), "document", "documents"),
            counted(u64::from(collections), "collection", "collections")
        )
    }

    pub(super) fn load_text(&self) -> String {
        let options = &self.options;
        let pace = match options.rate {
            Some(rate) => format!("open loop at {} messages/s", grouped(rate.round() as u64)),
            None => "closed loop".to_owned(),
        };
        format!(
            "{} x {} in flight, {}, {pace}, {:.1} s",
            counted(u64::from(options.connections), "connection", "connections"),
            options.in_flight,
            counted(u64::from(options.threads), "thread", "threads"),
            self.seconds
        )
    }

    fn rate_text(&self) -> String {
        let measured = self.tally.measured;
        let mut text = format!("{} messages/s", self.grouped_per_second(measured.replies));
        if self.options.rate.is_some() {
            text += &format!(" of {} offered", grouped(self.offered_per_second().round() as u64));
        }
        if measured.records > 0 {
            text += &format!(", {} records/s", self.grouped_per_second(measured.records));
        }
        text
    }

    fn pushes_text(&self) -> String {
        let pushes = &self.tally.pushes;
        let per_second = |count| self.grouped_per_second(count);
        let mut text = format!(
            "{} pushes/s, {} records/s",
            per_second(pushes.measured.pushes),
            per_second(pushes.measured.records)
        );
        if pushes.counts.skipped > 0 {
            text += &format!(", {} changes skipped", grouped(pushes.counts.skipped));
        }
        text
    }

    pub(super) fn traffic_text(&self) -> String {
        let measured = self.tally.measured;
        let megabytes = |bytes| self.per_second(bytes) / 1e6;
        format!("{:.1} MB/s out, {:.1} MB/s in", megabytes(measured.bytes_out), megabytes(measured.bytes_in))
    }

    pub(super) fn trouble_text(&self) -> String {
        let tally = &self.tally;
        let mut troubles = Vec::new();
        if let Some(error) = &tally.first_error {
            troubles.push(format!("{} error replies, the first: {error}", grouped(tally.counts.errors)));
        }
        if let Some(loss) = &tally.first_loss {
            let lost = counted(tally.connections_lost, "connection", "connections");
            troubles.push(format!("{lost} lost, the first: {loss}"));
        }
        if let Some(end) = &tally.pushes.first_end {
            troubles.push(format!("{} subscriptions ended, the first: {end}", grouped(tally.pushes.ends)));
        }
        for (count, what) in [
            (tally.unanswered, "requests without a reply"),
            (tally.counts.unmatched, "replies to no request"),
            (tally.unsent, "messages due but not sent, for want of room in the windows"),
        ] {
            if count > 0 {
                troubles.push(format!("{} {what}", grouped(count)));
            }
        }
        if troubles.is_empty() { "none".to_owned() } else { troubles.join("; ") }
    }

    pub(super) fn client_text(&self) -> String {
        let measured = self.tally.measured;
        let (ran, waited) = (self.percent_of_cpu(measured.ran_ns), self.percent_of_cpu(measured.waited_ns));
        let mut text = format!("{ran:.0} % of a CPU a thread");
        if ran > BUSY_PERCENT_MAX && self.options.rate.is_none() {
            text += "; it was at its limit, the server may do more";
        }
        if self.options.rate.is_some() {
            let late = |percentile| in_unit(self.tally.lateness.value_at_percentile(percentile));
            text += &format!("; it sent messages p50 {}, p99 {} after they were due", late(50.0), late(99.0));
        }
        if waited > CROWDED_PERCENT_MAX {
            text += &format!("; {waited:.0} % of the time it waited for a CPU that something else used");
        }
        text
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name:<12} {value}");
}

fn latency_text(latencies: &Histogram<u64>) -> String {
    let mut text = String::new();
    for (name, percentile) in PERCENTILES {
        let _ = write!(text, "{name} {}, ", in_unit(latencies.value_at_percentile(percentile)));
    }
    text + &format!("max {}", in_unit(latencies.max()))
}
