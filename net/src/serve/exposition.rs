//! The text form of metrics: that of Prometheus, version 0.0.4. Times are in seconds and sizes in bytes. Labels have few
//! values, known beforehand: cores, types of requests, reasons. What clients choose, such as names of collections, is in none.

use crate::core::histogram::{BOUNDS, Distribution};
use crate::core::measures::{Measures, Named, Process};
use crate::requests::kind::Kind;
use std::fmt::{Display, Write};

/// Writes what all cores have told.
pub fn write(cores: &[Measures], process: &Process) -> String {
    let mut page = Page { text: String::with_capacity(64 << 10), cores };
    page.process(process);
    page.connections();
    page.requests();
    page.data();
    page.cores();
    page.storage();
    page.subscriptions();
    page.text
}

struct Page<'a> {
    text: String,
    cores: &'a [Measures],
}

/// The two simple kinds of metrics.
#[derive(Clone, Copy)]
enum Form {
    Counter,
    Gauge,
}

use Form::{Counter, Gauge};

impl Page<'_> {
    fn process(&mut self, process: &Process) {
        self.head("fluxiondb_build_info", "gauge", "1, with the version of the server.");
        self.sample("fluxiondb_build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
        let cpu = process.cpu.as_secs_f64();
        self.one("process_cpu_seconds_total", Counter, "CPU time of all threads.", cpu);
        let started = format!("{:.3}", process.started_at);
        self.one("process_start_time_seconds", Gauge, "Start of the process since 1970.", started);
        if let Some(bytes) = process.resident_bytes {
            self.one("process_resident_memory_bytes", Gauge, "Memory of the process.", bytes);
        }
        self.one("fluxiondb_cores", Gauge, "Cores of the server.", self.cores.len());
    }

    fn connections(&mut self) {
        self.each("fluxiondb_connections", Gauge, "Open connections, by core.", |m| m.connections);
        self.sum("fluxiondb_connections_opened_total", Counter, "Connections that were entered.", |m| {
            m.connections_entered
        });
        self.sum("fluxiondb_handshakes", Gauge, "Handshakes under way.", |m| m.handshakes);
        self.sum(
            "fluxiondb_slow_readers",
            Gauge,
            "Connections for which more than 64 KiB wait to be sent.",
            |m| m.slow_readers,
        );
        self.sum("fluxiondb_received_bytes_total", Counter, "Bytes received on open connections.", |m| {
            m.bytes_in
        });
        self.sum("fluxiondb_sent_bytes_total", Counter, "Bytes sent on open connections.", |m| m.bytes_out);
        let help = "What was refused, or ended by the server, by reason.";
        self.by("fluxiondb_refusals_total", Counter, help, "reason", |m| &m.refusals);
        let help =
            "Times that a socket was not read although there may have been something to read, by reason.";
        self.by("fluxiondb_read_pauses_total", Counter, help, "reason", |m| &m.waits);
    }

    fn requests(&mut self) {
        self.by("fluxiondb_requests_total", Counter, "Requests, by type.", "type", |m| &m.requests);
        let help = "Requests answered with an error, by type.";
        self.by("fluxiondb_request_errors_total", Counter, help, "type", |m| &m.errors);
        let name = "fluxiondb_request_duration_seconds";
        self.head(
            name,
            "histogram",
            "Time from taking a request up until its reply, or the first piece of it, was ready.",
        );
        for (index, kind) in Kind::ALL.iter().enumerate() {
            let label = format!("type=\"{}\"", kind.facts().name);
            self.histogram(name, &label, |m| m.durations.get(index));
        }
    }

    fn data(&mut self) {
        self.sum("fluxiondb_collections", Gauge, "Collections.", |m| m.collections);
        self.sum("fluxiondb_documents", Gauge, "Documents.", |m| m.documents);
        self.sum("fluxiondb_records", Gauge, "Records.", |m| m.records);
        self.sum("fluxiondb_entries", Gauge, "Key-value entries.", |m| m.entries);
        let help = "Memory by what it is for: data, what connections and subscriptions make the server hold, and changes not stored yet.";
        self.by("fluxiondb_memory_bytes", Gauge, help, "part", |m| &m.memory);
    }

    fn cores(&mut self) {
        let help = "CPU time of a core, less that in which it looked for work and found none.";
        self.each("fluxiondb_core_busy_seconds_total", Counter, help, |m| seconds(m.busy_ns));
        let help = "CPU time in which a core looked for work and found none.";
        self.each("fluxiondb_core_spin_seconds_total", Counter, help, |m| seconds(m.spin_ns));
        let help = "Messages of cores and writers that a core has carried out.";
        self.each("fluxiondb_core_messages_total", Counter, help, |m| m.messages);
        self.each("fluxiondb_core_queue_messages", Gauge, "Messages that wait for a core.", |m| m.queue);
    }

    fn storage(&mut self) {
        let help = "Shards whose changes can't be stored; writes are refused while there are any.";
        self.sum("fluxiondb_storage_failing_shards", Gauge, help, |m| u64::from(m.storage_failing));
        let help =
            "Shards with more changes to store than may wait; connections that write are not read meanwhile.";
        self.sum("fluxiondb_storage_behind_shards", Gauge, help, |m| u64::from(m.storage_behind));
        let oldest = seconds(self.cores.iter().map(|m| m.unstored_ns).max().unwrap_or_default());
        self.one(
            "fluxiondb_unstored_age_seconds",
            Gauge,
            "Age of the oldest change that is not stored.",
            oldest,
        );
        let name = "fluxiondb_commit_duration_seconds";
        self.head(name, "histogram", "Time from handing a batch of changes over until it was stored.");
        self.histogram(name, "", |m| Some(&m.commits));
        self.sum("fluxiondb_commit_failures_total", Counter, "Attempts to store a batch that failed.", |m| {
            m.commit_failures
        });
        self.sum("fluxiondb_committed_bytes_total", Counter, "Bytes of changes stored.", |m| {
            m.committed_bytes
        });
    }

    fn subscriptions(&mut self) {
        self.sum("fluxiondb_subscriptions", Gauge, "Subscriptions.", |m| m.subscriptions);
        let help = "Subscriptions that have not been pushed everything.";
        self.sum("fluxiondb_subscriptions_behind", Gauge, help, |m| m.subscriptions_behind);
        let lag = self.cores.iter().map(|m| m.subscription_lag).max().unwrap_or_default();
        let help = "Changes of its shard by which the last subscription is behind.";
        self.one("fluxiondb_subscription_lag_changes", Gauge, help, lag);
        self.sum("fluxiondb_pushes_total", Counter, "Messages of subscriptions sent.", |m| m.pushes);
        let name = "fluxiondb_push_lag_seconds";
        let help =
            "Time from the burst of work in which something changed until its push left for a connection.";
        self.head(name, "histogram", help);
        self.histogram(name, "", |m| Some(&m.push_lag));
        let help = "Changes that subscribers were told they had missed.";
        self.sum("fluxiondb_skipped_changes_total", Counter, help, |m| m.skipped);
        let help = "Ends of subscriptions, by reason.";
        self.by("fluxiondb_subscription_ends_total", Counter, help, "reason", |m| &m.ends);
    }

    fn head(&mut self, name: &str, form: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {form}");
    }

    fn form_head(&mut self, name: &str, form: Form, help: &str) {
        let form = match form {
            Counter => "counter",
            Gauge => "gauge",
        };
        self.head(name, form, help);
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            _ => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, form: Form, help: &str, value: impl Display) {
        self.form_head(name, form, help);
        self.sample(name, "", value);
    }

    fn sum(&mut self, name: &str, form: Form, help: &str, of: impl Fn(&Measures) -> u64) {
        self.one(name, form, help, self.cores.iter().map(of).sum::<u64>());
    }

    fn each<T: Display>(&mut self, name: &str, form: Form, help: &str, of: impl Fn(&Measures) -> T) {
        self.form_head(name, form, help);
        for measures in self.cores {
            self.sample(name, &format!("core=\"{}\"", measures.core), of(measures));
        }
    }

    /// The sums over all cores of numbers that have names.
    fn by(&mut self, name: &str, form: Form, help: &str, label: &str, of: impl Fn(&Measures) -> &Named) {
        self.form_head(name, form, help);
        let Some(first) = self.cores.first() else { return };
        for (index, (text, _)) in of(first).iter().enumerate() {
            let sum: u64 = self.cores.iter().filter_map(|m| of(m).get(index)).map(|(_, number)| number).sum();
            self.sample(name, &format!("{label}=\"{text}\""), sum);
        }
    }

    /// The samples of one histogram, over all cores.
    fn histogram(&mut self, name: &str, label: &str, of: impl Fn(&Measures) -> Option<&Distribution>) {
        let mut all = Distribution::default();
        self.cores.iter().filter_map(of).for_each(|part| all.add(part));
        let comma = if label.is_empty() { "" } else { "," };
        let mut count = 0;
        for (index, in_bucket) in all.counts.iter().enumerate() {
            count += in_bucket;
            let bound = BOUNDS.get(index).map_or("+Inf", |(_, text)| text);
            self.sample(&format!("{name}_bucket"), &format!("{label}{comma}le=\"{bound}\""), count);
        }
        self.sample(&format!("{name}_sum"), label, seconds(all.sum_ns));
        self.sample(&format!("{name}_count"), label, count);
    }
}

/// Nanoseconds as seconds.
fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}
