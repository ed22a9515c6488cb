//! The findings of a run. Telling them is the business of `text` for people, `json` for programs, and `page` for
//! the browser; the figures that they share are made here.

mod chart;
mod curves;
mod json;
mod page;
mod text;

use hdrhistogram::Histogram;

use crate::machine::Machine;
use crate::options::Options;
use crate::tally::Tally;
use crate::target::Target;
use crate::workload::Workload;

/// The percentiles that are reported, with their names.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

/// The options of a run and its tally.
#[derive(Debug)]
pub struct Report {
    options: Options,
    machine: Machine,
    target: String,
    tally: Tally,
    records_before: u64,
    payload_bytes: f64,
    seconds: f64,
}

impl Report {
    /// `records_before` are those inserted before the load, `payload_bytes` the mean length of a text.
    pub fn new(
        options: &Options,
        target: &Target,
        tally: Tally,
        records_before: u64,
        payload_bytes: f64,
    ) -> Self {
        let target = if options.self_test { "self-test".to_owned() } else { target.to_string() };
        // A run that lost its connections at once measured nothing; its rates are 0, not a division by 0.
        let seconds = (tally.measured_ns as f64 / 1e9).max(1e-9);
        Self {
            options: options.clone(),
            machine: Machine::here(),
            target,
            tally,
            records_before,
            payload_bytes,
            seconds,
        }
    }

    /// Whether every request was answered without an error.
    pub fn is_clean(&self) -> bool {
        let tally = &self.tally;
        tally.counts.errors
            + tally.counts.unmatched
            + tally.unanswered
            + tally.connections_lost
            + tally.pushes.ends
            == 0
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
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_are_grouped_and_times_have_a_fitting_unit() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12_000, 1_230_000, 250_000_000].map(in_unit), ["12 us", "1.23 ms", "250 ms"]);
    }

    #[test]
    fn an_empty_run_has_a_report() {
        let options = Options::parse_from(["fluxiondb-bench", "--workload=ins=1,qry=1"]);
        let report = Report::new(&options, &options.url, Tally::new().unwrap(), 0, 0.0);
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
        let report = Report::new(&options, &options.url, tally, 0, 0.0);
        assert!(!report.is_clean());
        let text = report.text();
        assert!(
            text.contains("2 error replies, the first: no; 1 connection lost, the first: gone"),
            "{text}"
        );
    }
}
