//! Round trips to the server, measured with WebSocket pings.

use crate::commands::output::{Format, FormatFlag, Rows, print_json, stdout};
use anyhow::Result;
use clap::Args;
use fluxion_client::Client;
use serde_json::json;
use std::time::Duration;

/// `ping`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb ping --count 20 --format table")]
pub struct Ping {
    /// Round trips, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Milliseconds between two
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    interval: u64,
    #[command(flatten)]
    format: FormatFlag,
}

impl Ping {
    /// Prints how long they took, in microseconds.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut times = Vec::new();
        for number in 0..self.count {
            if number > 0 && self.interval > 0 {
                std::thread::sleep(Duration::from_millis(self.interval));
            }
            times.push(client.ping()?.as_secs_f64() * 1e6);
        }
        times.sort_unstable_by(f64::total_cmp);
        let at = |percent| (percentile(&times, percent) * 10.0).round() / 10.0;
        let (least, median, p99, most) = (at(0), at(50), at(99), at(100));
        if self.format.format == Format::Json {
            let micros = json!({"min": least, "median": median, "p99": p99, "max": most});
            return print_json(&json!({"count": self.count, "microseconds": micros}));
        }
        let header = ["count", "min µs", "median µs", "p99 µs", "max µs"];
        let mut rows = Rows::new(stdout(), self.format.format, &header)?;
        let cells = [least, median, p99, most].map(|time| time.to_string());
        rows.push(&[&self.count.to_string(), &cells[0], &cells[1], &cells[2], &cells[3]])?;
        Ok(rows.finish()?)
    }
}

/// The least time that so many percent of all do not exceed; of few times, the upper ones are the longest. There is at
/// least one.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&times, percent)), [1.0, 100.0, 198.0, 200.0]);
        assert_eq!(percentile(&times[..20], 99), 20.0);
        assert_eq!(percentile(&[7.0], 0), 7.0);
    }
}
