//! The charts of a run: latency by percentile, and replies and the slowest of them over time.

use hdrhistogram::Histogram;

use super::chart::{Axis, Chart, Series, Spot};
use super::{PERCENTILES, Report, grouped, in_unit};

/// Points of a latency curve: more can't be told apart.
const CURVE_POINTS: u32 = 240;

/// The curve ends here, at 99.99999 %, also with more replies.
const NINES_MAX: f64 = 7.0;

/// Percentiles with a label on the axis.
const LABELLED: [f64; 7] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];

impl Report {
    /// Latency by percentile, a line for each kind of request; nothing if there was no reply.
    pub(super) fn latency_chart(&self) -> Option<Chart> {
        let sent: Vec<_> = self.sent_workloads().filter(|(_, latencies)| !latencies.is_empty()).collect();
        let most = sent.iter().map(|(_, latencies)| latencies.len()).max()?;
        let smallest = sent.iter().map(|(_, latencies)| latencies.min()).min()?;
        let largest = sent.iter().map(|(_, latencies)| latencies.max()).max()?;
        let nines = (most as f64).log10().clamp(1.0, NINES_MAX);
        let ticks = LABELLED.iter().map(|&percentile| (nines_of(percentile), format!("{percentile}%")));
        let x = Axis {
            title: "share of requests that were at most this slow".to_owned(),
            from: 0.0,
            to: nines,
            ticks: ticks.filter(|&(at, _)| at <= nines).collect(),
        };
        let microseconds = |nanoseconds: u64| (nanoseconds as f64 / 1e3).max(0.1);
        let y = Axis::decades("latency", microseconds(smallest), microseconds(largest), microseconds_label);
        let place = |latencies: &Histogram<u64>, nines: f64| microseconds(at_nines(latencies, nines)).log10();
        let (mut series, mut spots) = (Vec::new(), Vec::new());
        for (workload, latencies) in sent {
            let end = (latencies.len() as f64).log10().min(nines);
            let at = |step: u32| end * f64::from(step) / f64::from(CURVE_POINTS);
            let points = (0..=CURVE_POINTS).map(at).map(|nines| (nines, place(latencies, nines))).collect();
            let colour = workload.index();
            series.push(Series { name: workload.name().to_owned(), colour, points, is_filled: false });
            for (name, percentile) in
                PERCENTILES.into_iter().filter(|&(_, percentile)| nines_of(percentile) <= end)
            {
                let value = latencies.value_at_percentile(percentile);
                spots.push(Spot {
                    at: (nines_of(percentile), microseconds(value).log10()),
                    text: format!("{} {name}: {}", workload.name(), in_unit(value)),
                    dot: Some(colour),
                });
            }
        }
        Some(Chart {
            label: "latency by percentile".to_owned(),
            x,
            y,
            series,
            guide: None,
            spots,
            spot_width: 0.0,
        })
    }

    /// Replies a second over time; nothing if the run was shorter than an interval.
    pub(super) fn rate_chart(&self) -> Option<Chart> {
        let interval = self.tally.timeline.interval_seconds();
        let rates: Vec<f64> =
            self.tally.timeline.slots().iter().map(|slot| slot.replies as f64 / interval).collect();
        let guide = self.options.rate.map(|rate| (rate, "offered".to_owned()));
        let largest = rates.iter().copied().chain(guide.iter().map(|&(rate, _)| rate)).fold(0.0, f64::max);
        let y = Axis::from_zero("replies/s", largest * 1.02, count_label);
        self.over_time("replies a second over time", y, &rates, guide)
    }

    /// The slowest reply of each interval.
    pub(super) fn slowest_chart(&self) -> Option<Chart> {
        let slots = self.tally.timeline.slots();
        let slowest: Vec<f64> = slots.iter().map(|slot| slot.slowest_ns as f64 / 1e3).collect();
        let largest = slowest.iter().copied().fold(0.0, f64::max);
        let y = Axis::from_zero("slowest reply", largest, microseconds_label);
        self.over_time("slowest reply over time", y, &slowest, None)
    }

    fn over_time(&self, label: &str, y: Axis, values: &[f64], guide: Option<(f64, String)>) -> Option<Chart> {
        let (interval, slots) = (self.tally.timeline.interval_seconds(), self.tally.timeline.slots());
        let begin = |index: usize| index as f64 * interval;
        let points: Vec<_> = values
            .iter()
            .enumerate()
            .flat_map(|(index, &value)| [(begin(index), value), (begin(index + 1), value)])
            .collect();
        let &(end, _) = points.last()?;
        let x = Axis::up_to("seconds", end, |value| format!("{}", (value * 1e3).round() / 1e3));
        let spots = slots.iter().enumerate().map(|(index, slot)| Spot {
            at: (begin(index), 0.0),
            text: format!(
                "{:.2} s: {} replies/s, the slowest {}",
                begin(index),
                grouped((slot.replies as f64 / interval).round() as u64),
                in_unit(slot.slowest_ns)
            ),
            dot: None,
        });
        let spots = spots.collect();
        let series = vec![Series { name: String::new(), colour: 0, points, is_filled: true }];
        Some(Chart { label: label.to_owned(), x, y, series, guide, spots, spot_width: interval })
    }
}

/// The decimal logarithm of 1/(1-p): 1 for 90 %, 2 for 99 %.
fn nines_of(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

fn at_nines(latencies: &Histogram<u64>, nines: f64) -> u64 {
    latencies.value_at_quantile(1.0 - 10_f64.powf(-nines))
}

fn microseconds_label(microseconds: f64) -> String {
    if microseconds == 0.0 {
        return "0".to_owned();
    }
    let (value, unit) = match microseconds {
        ..1e3 => (microseconds, "µs"),
        ..1e6 => (microseconds / 1e3, "ms"),
        _ => (microseconds / 1e6, "s"),
    };
    format!("{} {unit}", short(value))
}

fn count_label(count: f64) -> String {
    match count {
        ..1e3 => short(count),
        ..1e6 => format!("{} k", short(count / 1e3)),
        _ => format!("{} M", short(count / 1e6)),
    }
}

/// At most three digits behind the point, and none that say nothing.
fn short(value: f64) -> String {
    format!("{}", (value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 20.0, 1_500.0, 2e6].map(microseconds_label), ["0", "20 µs", "1.5 ms", "2 s"]);
        assert_eq!([0.0, 500.0, 20_000.0, 1.2e6].map(count_label), ["0", "500", "20 k", "1.2 M"]);
    }

    #[test]
    fn each_nine_is_as_wide_as_the_other() {
        assert!((nines_of(90.0) - 1.0).abs() < 1e-9 && (nines_of(99.99) - 4.0).abs() < 1e-9);
        let mut latencies = Histogram::new(3).unwrap();
        (1..=1_000_u64).for_each(|value| latencies.record(value).unwrap());
        assert_eq!([0.0, 1.0, 2.0].map(|nines| at_nines(&latencies, nines)), [1, 900, 990]);
    }
}
