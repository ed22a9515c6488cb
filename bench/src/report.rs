//! What a run found out, as text for people or as one JSON object.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::options::Options;
use crate::tally::Tally;
use crate::target::Target;
use crate::workload::Workload;

/// Above this share of its CPUs the load generator may be what limited the rate.
const BUSY_PERCENT_MAX: f64 = 95.0;

/// Above this the load generator had to share its CPUs so much that the numbers say little about the server.
const CROWDED_PERCENT_MAX: f64 = 5.0;

/// The percentiles that are reported, with their names.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

/// The options of a run and its tally.
#[derive(Debug)]
pub struct Report {
    options: Options,
    target: String,
    tally: Tally,
    records_before: u64,
    seconds: f64,
}

impl Report {
    /// `records_before` are those inserted before the load.
    pub fn new(options: &Options, target: &Target, tally: Tally, records_before: u64) -> Self {
        let target = if options.self_test { "self-test".to_owned() } else { target.to_string() };
        // A run that lost its connections at once measured nothing; its rates are 0, not a division by 0.
        let seconds = (tally.measured_ns as f64 / 1e9).max(1e-9);
        Self { options: options.clone(), target, tally, records_before, seconds }
    }

    /// Whether every request was answered without an error.
    pub fn is_clean(&self) -> bool {
        let tally = &self.tally;
        tally.counts.errors + tally.counts.unmatched + tally.unanswered + tally.connections_lost == 0
    }

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
        line(&mut text, "trouble", &self.trouble_text());
        line(&mut text, "client", &self.client_text());
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let (options, tally) = (&self.options, &self.tally);
        let measured = tally.measured;
        let workloads: Map<String, Value> = self
            .sent_workloads()
            .map(|(workload, latencies)| (workload.name().to_owned(), latency_json(latencies)))
            .collect();
        json!({
            "target": self.target,
            "workload": options.workload.to_string(),
            "connections": options.connections,
            "in_flight": options.in_flight,
            "threads": options.threads,
            "records_per_message": options.records,
            "payload_bytes": options.payload_bytes,
            "documents": options.documents,
            "collections": options.collections,
            "limit": options.limit,
            "out_of_order_percent": options.out_of_order,
            "overwrite_percent": options.overwrite,
            "rate": options.rate,
            "measured_seconds": self.seconds,
            "offered_messages_per_second": self.offered_per_second(),
            "messages_per_second": self.per_second(measured.replies),
            "records_per_second": self.per_second(measured.records),
            "megabytes_out_per_second": self.per_second(measured.bytes_out) / 1e6,
            "megabytes_in_per_second": self.per_second(measured.bytes_in) / 1e6,
            "latency": latency_json(&self.all_latencies()),
            "latency_by_workload": workloads,
            "longest_gap_ms": self.longest_gap_ms(),
            "records_acknowledged": self.records_acknowledged(),
            "records_prefilled": self.records_before,
            "replies": tally.counts.replies,
            "errors": tally.counts.errors,
            "first_error": tally.first_error,
            "unmatched_replies": tally.counts.unmatched,
            "unanswered": tally.unanswered,
            "unsent": tally.unsent,
            "connections_lost": tally.connections_lost,
            "first_loss": tally.first_loss,
            "client_cpu_percent": self.percent_of_cpu(measured.ran_ns),
            "client_cpu_wait_percent": self.percent_of_cpu(measured.waited_ns),
        })
        .to_string()
    }

    fn workload_text(&self) -> String {
        let options = &self.options;
        let (documents, collections) = (options.documents, options.collections);
        let mut text = format!("{}, {}-byte payloads", options.workload, options.payload_bytes);
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

    fn load_text(&self) -> String {
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

    fn traffic_text(&self) -> String {
        let measured = self.tally.measured;
        let megabytes = |bytes| self.per_second(bytes) / 1e6;
        format!("{:.1} MB/s out, {:.1} MB/s in", megabytes(measured.bytes_out), megabytes(measured.bytes_in))
    }

    fn trouble_text(&self) -> String {
        let tally = &self.tally;
        let mut troubles = Vec::new();
        if let Some(error) = &tally.first_error {
            troubles.push(format!("{} error replies, the first: {error}", grouped(tally.counts.errors)));
        }
        if let Some(loss) = &tally.first_loss {
            let lost = counted(tally.connections_lost, "connection", "connections");
            troubles.push(format!("{lost} lost, the first: {loss}"));
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

    fn client_text(&self) -> String {
        let measured = self.tally.measured;
        let (ran, waited) = (self.percent_of_cpu(measured.ran_ns), self.percent_of_cpu(measured.waited_ns));
        let mut text = format!("{ran:.0} % of a CPU a thread");
        if ran > BUSY_PERCENT_MAX && self.options.rate.is_none() {
            text += "; it was at its limit, the server may do more";
        }
        if waited > CROWDED_PERCENT_MAX {
            text += &format!("; {waited:.0} % of the time it waited for a CPU that something else used");
        }
        text
    }

    fn sent_workloads(&self) -> impl Iterator<Item = (Workload, &Histogram<u64>)> {
        Workload::ALL
            .into_iter()
            .zip(&self.tally.latencies)
            .filter(|(workload, _)| self.options.workload.has(*workload))
    }

    fn all_latencies(&self) -> Histogram<u64> {
        let mut all = self.tally.latencies[0].clone();
        // Adding fails only between histograms of different bounds, and these were made as copies of one.
        self.tally.latencies[1..].iter().for_each(|one| all.add(one).unwrap_or_default());
        all
    }

    fn offered_per_second(&self) -> f64 {
        self.options.rate.unwrap_or_else(|| self.per_second(self.tally.measured.sent))
    }

    fn records_acknowledged(&self) -> u64 {
        self.records_before + self.tally.counts.records
    }

    fn longest_gap_ms(&self) -> f64 {
        self.tally.silence.longest_ns() as f64 / 1e6
    }

    fn percent_of_cpu(&self, nanoseconds: u64) -> f64 {
        nanoseconds as f64 / 1e7 / (self.seconds * f64::from(self.options.threads))
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }

    fn grouped_per_second(&self, count: u64) -> String {
        grouped(self.per_second(count).round() as u64)
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

fn latency_json(latencies: &Histogram<u64>) -> Value {
    let microseconds = |nanoseconds: u64| json!(nanoseconds as f64 / 1e3);
    let mut object = Map::new();
    object.insert("count".to_owned(), json!(latencies.len()));
    for (name, percentile) in PERCENTILES {
        let name = format!("{}_us", name.replace('.', "_"));
        object.insert(name, microseconds(latencies.value_at_percentile(percentile)));
    }
    object.insert("max_us".to_owned(), microseconds(latencies.max()));
    Value::Object(object)
}

fn in_unit(nanoseconds: u64) -> String {
    let microseconds = nanoseconds as f64 / 1e3;
    match microseconds {
        ..1e3 => format!("{microseconds:.0} us"),
        ..1e5 => format!("{:.2} ms", microseconds / 1e3),
        _ => format!("{:.0} ms", microseconds / 1e3),
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with a comma at every third digit.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn numbers_are_grouped_and_times_have_a_fitting_unit() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12_000, 1_230_000, 250_000_000].map(in_unit), ["12 us", "1.23 ms", "250 ms"]);
    }

    #[test]
    fn an_empty_run_has_a_report() {
        let options = Options::parse_from(["fluxiondb-bench", "--workload=ins=1,qry=1"]);
        let report = Report::new(&options, &options.url, Tally::new().unwrap(), 0);
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["messages_per_second"], 0.0);
        assert_eq!(json["latency"]["p99_9_us"], 0.0);
        assert_eq!(json["latency_by_workload"].as_object().unwrap().len(), 2);
        assert!(report.is_clean());
        assert!(report.text().contains("trouble      none"), "{}", report.text());
    }

    #[test]
    fn trouble_is_told_and_makes_the_run_unclean() {
        let options = Options::parse_from(["fluxiondb-bench"]);
        let mut tally = Tally::new().unwrap();
        tally.counts.errors = 2;
        tally.first_error = Some("no".to_owned());
        tally.connections_lost = 1;
        tally.first_loss = Some("gone".to_owned());
        let report = Report::new(&options, &options.url, tally, 0);
        assert!(!report.is_clean());
        let text = report.text();
        assert!(
            text.contains("2 error replies, the first: no; 1 connection lost, the first: gone"),
            "{text}"
        );
    }
}
