//! The report for programs: one JSON object.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{PERCENTILES, Report};
use crate::timeline::Slot;

impl Report {
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
            "payload": options.payload.to_string(),
            "payload_bytes": self.payload_bytes,
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
            "reply_frame_bytes": measured.bytes_in as f64 / measured.replies.max(1) as f64,
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
            "sent_late": self.options.rate.map(|_| latency_json(&tally.lateness)),
            "pushes": options.subscribing.is_wanted().then(|| self.pushes_json()),
            "timeline": self.timeline_json(),
            "machine": self.machine.json(),
            "facts": self.facts_json(),
        })
        .to_string()
    }

    fn pushes_json(&self) -> Value {
        let (subscribing, pushes) = (&self.options.subscribing, &self.tally.pushes);
        json!({
            "subscribers": subscribing.subscribers,
            "on_writers": subscribing.subscribe_on_writers,
            "subscriptions_each": subscribing.subscriptions,
            "stuck": subscribing.stuck,
            "mode": subscribing.subscribe_mode.name(),
            "pushes_per_second": self.per_second(pushes.measured.pushes),
            "records_per_second": self.per_second(pushes.measured.records),
            "pushes": pushes.counts.pushes,
            "records": pushes.counts.records,
            "megabytes": pushes.counts.bytes as f64 / 1e6,
            "snapshot_records": pushes.counts.snapshot_records,
            "skipped": pushes.counts.skipped,
            "ends": pushes.ends,
            "first_end": pushes.first_end,
            "latency": latency_json(&pushes.latency),
        })
    }

    fn timeline_json(&self) -> Value {
        let timeline = &self.tally.timeline;
        let column = |of: fn(&Slot) -> Value| timeline.slots().iter().map(of).collect::<Vec<_>>();
        json!({
            "interval_seconds": timeline.interval_seconds(),
            "replies": column(|slot| json!(slot.replies)),
            "slowest_us": column(|slot| json!(slot.slowest_ns as f64 / 1e3)),
        })
    }

    fn facts_json(&self) -> Map<String, Value> {
        self.options.facts.iter().map(|fact| (fact.name.clone(), json!(fact.value))).collect()
    }
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
