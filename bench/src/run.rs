//! A run from the first connection to the report: connect, prefill, load.
//!
//! The connections stay the same throughout, divided among the threads; each phase has its own threads and clock.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::clock::{Clock, nanoseconds};
use crate::connection::Connection;
use crate::generator::Generator;
use crate::handshake::{self, Access};
use crate::language::{self, Encoder};
use crate::limits::SUBSCRIBE_TIMEOUT;
use crate::options::Options;
use crate::pinning;
use crate::report::{Report, grouped};
use crate::requests::Shape;
use crate::stream;
use crate::tally::{LiveCounts, Tally};
use crate::target::{Scheme, Target};
use crate::texts::Texts;
use crate::worker::{Outcome, Pace, Phase, Worker};
use crate::workload::{Mix, Workload};

/// The connections of each thread.
type Groups = Vec<Vec<Connection>>;

/// Does all of it against one server.
pub fn run(options: &Options, target: &Target) -> Result<Report> {
    pinning::allow_connections(options.connections + options.subscribing.subscribers)?;
    let shape = options.shape();
    language::check(target.scheme, &options.workload, &shape)?;
    let texts = Arc::new(Texts::new(&options.payload, language::form_of(target.scheme)));
    let encoder = |shape: &Shape| Encoder::new(target.scheme, shape, &texts);
    let groups = connect_all(options, target, &shape)?;
    let (groups, records_before) = prefill_records(options, &shape, encoder, groups)?;
    let groups = prefill_values(options, &shape, encoder, groups)?;
    let groups = subscribe(options, target, &shape, encoder(&shape), groups)?;
    let warmup_ns = nanoseconds(options.warmup());
    let phase = Phase {
        mix: options.workload.clone(),
        encoder: encoder(&shape),
        measure_from_ns: warmup_ns,
        stop_at_ns: warmup_ns + nanoseconds(options.duration()),
        pushes: options.watch(&shape),
    };
    let (groups, tally) = run_phase("load", options, &phase, options.rate, groups, |_| u64::MAX)?;
    groups.into_iter().flatten().for_each(Connection::close);
    Ok(Report::new(options, target, tally, records_before, texts.mean_plain_bytes()))
}

fn connect_all(options: &Options, target: &Target, shape: &Shape) -> Result<Groups> {
    let mut groups: Groups = (0..options.threads).map(|_| Vec::new()).collect();
    let access = access(options, target)?;
    for number in 0..options.connections {
        let ready = handshake::connect(target, &access)
            .with_context(|| format!("connection {} of {}", number + 1, options.connections))?;
        let generator = Generator::new(shape, u64::from(number));
        groups[(number % options.threads) as usize].push(Connection::new(
            ready,
            target.scheme,
            generator,
            options.in_flight,
        ));
    }
    Ok(groups)
}

fn access(options: &Options, target: &Target) -> Result<Access> {
    let tls = target.secure.then(|| stream::config(options.ca.as_deref())).transpose()?;
    Ok(Access { key: options.apikey.clone(), tls })
}

/// Inserts the wanted records, rounded up to whole messages; returns how many were acknowledged.
fn prefill_records(
    options: &Options,
    shape: &Shape,
    encoder: impl Fn(&Shape) -> Encoder,
    groups: Groups,
) -> Result<(Groups, u64)> {
    let wanted = options.prefill_records();
    if wanted == 0 {
        return Ok((groups, 0));
    }
    let records = options.prefill_batch_records();
    let ordered = Shape { records, out_of_order_percent: 0, overwrite_percent: 0, ..*shape };
    let all_shares: u64 = (0..shape.connections).map(|number| shape.documents_of(number)).sum();
    let budget = |number| {
        let share = (wanted * shape.documents_of(number)).div_ceil(all_shares);
        share.div_ceil(u64::from(records))
    };
    prefill("prefill", options, encoder(&ordered), Workload::Ins, groups, budget)
}

fn prefill_values(
    options: &Options,
    shape: &Shape,
    encoder: impl Fn(&Shape) -> Encoder,
    groups: Groups,
) -> Result<Groups> {
    if !options.prefills_values() {
        return Ok(groups);
    }
    let budget = shape.keys().div_ceil(shape.connections);
    let (groups, _) =
        prefill("prefill of values", options, encoder(shape), Workload::Sval, groups, |_| budget)?;
    Ok(groups)
}

/// Sends each connection's budget of messages as fast as the server takes them; all must succeed.
fn prefill(
    name: &str,
    options: &Options,
    encoder: Encoder,
    workload: Workload,
    groups: Groups,
    budget: impl Fn(u64) -> u64,
) -> Result<(Groups, u64)> {
    let phase =
        Phase { mix: Mix::only(workload), encoder, measure_from_ns: 0, stop_at_ns: u64::MAX, pushes: None };
    let (groups, tally) = run_phase(name, options, &phase, None, groups, budget)?;
    let failure = tally.first_loss.or(tally.first_error.map(|error| format!("the server answered: {error}")));
    if let Some(failure) = failure {
        return Err(anyhow!(failure).context(format!("the {name} failed")));
    }
    ensure!(tally.unanswered == 0, "the {name} failed: {} requests were not answered", tally.unanswered);
    Ok((groups, tally.counts.records))
}

/// Makes the subscriptions, with connections of their own or on those that write, and waits until all are answered.
fn subscribe(
    options: &Options,
    target: &Target,
    shape: &Shape,
    encoder: Encoder,
    mut groups: Groups,
) -> Result<Groups> {
    let subscribing = &options.subscribing;
    let Some(watch) = options.watch(shape) else { return Ok(groups) };
    ensure!(target.scheme == Scheme::WebSocket, "subscriptions are for FluxionDB only");
    for connection in groups.iter_mut().flatten() {
        connection.stamp_from(watch.stamps_from);
        if subscribing.subscribe_on_writers {
            let requests = subscribing.requests(connection.number() as u32, shape);
            connection.subscribe(&requests, subscribing.subscriptions);
        }
    }
    let access = access(options, target)?;
    for number in 0..subscribing.subscribers {
        let ready = handshake::connect(target, &access)
            .with_context(|| format!("subscriber {} of {}", number + 1, subscribing.subscribers))?;
        let subscriber = Connection::new(ready, target.scheme, Generator::new(shape, 0), 1);
        let mut subscriber = subscriber.into_subscriber();
        subscriber.subscribe(&subscribing.requests(number, shape), subscribing.subscriptions);
        groups[(number % options.threads) as usize].push(subscriber);
    }
    let phase = Phase {
        mix: options.workload.clone(),
        encoder,
        measure_from_ns: 0,
        stop_at_ns: nanoseconds(SUBSCRIBE_TIMEOUT),
        pushes: None,
    };
    let (mut groups, tally) = run_phase("subscribing", options, &phase, None, groups, |_| 0)?;
    if let Some(failure) = tally.first_loss.or(tally.first_error) {
        return Err(anyhow!(failure).context("the subscriptions failed"));
    }
    let unconfirmed: u32 = groups.iter().flatten().map(Connection::unconfirmed).sum();
    ensure!(unconfirmed == 0, "{unconfirmed} subscriptions were not answered");
    let subscribers = groups.iter_mut().flatten().filter(|connection| connection.is_subscriber());
    for stuck in subscribers.take(subscribing.stuck as usize) {
        stuck.get_stuck().context("cannot keep a subscriber from receiving")?;
    }
    Ok(groups)
}

fn run_phase(
    name: &str,
    options: &Options,
    phase: &Phase,
    rate: Option<f64>,
    groups: Groups,
    budget: impl Fn(u64) -> u64,
) -> Result<(Groups, Tally)> {
    let clock = Clock::start();
    let live: Vec<LiveCounts> = groups.iter().map(|_| LiveCounts::default()).collect();
    let (running, all_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for ((index, connections), live) in groups.into_iter().enumerate().zip(&live) {
            let allowed = |one: &Connection| if one.is_subscriber() { 0 } else { budget(one.number()) };
            let budgets = connections.iter().map(allowed).collect();
            let writers = connections.iter().filter(|connection| !connection.is_subscriber()).count();
            let pace = pace_of(options, rate, index, writers);
            let running = running.clone();
            let thread = thread::Builder::new().name(format!("load-{index}"));
            threads.push(thread.spawn_scoped(scope, move || {
                // Dropped when the thread ends, however it ends, which is what the progress waits for.
                let _running = running;
                if let Some(cpus) = &options.pin {
                    pinning::pin_thread(cpus.of_thread(index))?;
                }
                Worker::new(phase, pace, clock, live, connections, budgets)?.run()
            })?);
        }
        drop(running);
        let is_shown = options.progress || io::stderr().is_terminal();
        wait_for_all(&all_done, is_shown.then(|| Progress::new(name, rate, &live)));
        gather(threads)
    })
}

fn gather(threads: Vec<ScopedJoinHandle<'_, Result<Outcome>>>) -> Result<(Groups, Tally)> {
    let mut groups = Vec::new();
    let mut sum = Tally::new()?;
    for thread in threads {
        let (connections, tally) = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        groups.push(connections);
        sum.absorb(tally)?;
    }
    Ok((groups, sum))
}

/// A thread's part of the rate is its part of the connections; the threads' first messages are spread over one interval.
fn pace_of(options: &Options, rate: Option<f64>, thread_index: usize, connections: usize) -> Pace {
    match rate {
        None => Pace::Closed,
        Some(rate) => {
            let interval_ns = 1e9 * f64::from(options.connections) / (rate * connections as f64);
            let first_ns = interval_ns * thread_index as f64 / f64::from(options.threads);
            Pace::Open { interval_ns, first_ns }
        }
    }
}

fn wait_for_all(all_done: &Receiver<()>, mut progress: Option<Progress<'_>>) {
    while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(Duration::from_secs(1)) {
        if let Some(progress) = &mut progress {
            eprintln!("{}", progress.next_line());
        }
    }
}

/// The line told of a phase each second.
struct Progress<'run> {
    name: &'run str,
    rate: Option<f64>,
    live: &'run [LiveCounts],
    second: u64,
    replies_before: u64,
}

impl<'run> Progress<'run> {
    fn new(name: &'run str, rate: Option<f64>, live: &'run [LiveCounts]) -> Self {
        Self { name, rate, live, second: 0, replies_before: 0 }
    }

    fn next_line(&mut self) -> String {
        let sum = |count: fn(&LiveCounts) -> u64| self.live.iter().map(count).sum::<u64>();
        let replies = sum(|live| live.replies.load(Ordering::Relaxed));
        let errors = sum(|live| live.errors.load(Ordering::Relaxed));
        self.second += 1;
        let achieved = grouped(replies - self.replies_before);
        self.replies_before = replies;
        let mut line = format!("{} {:>4} s {achieved:>12} replies/s", self.name, self.second);
        if let Some(rate) = self.rate {
            line += &format!(" of {} offered", grouped(rate.round() as u64));
        }
        if errors > 0 {
            line += &format!(", {} errors", grouped(errors));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn threads_share_the_rate_by_their_connections_and_take_turns() {
        let options = Options::parse_from(["fluxiondb-bench", "--connections=10", "--threads=2"]);
        let pace = |thread, connections| match pace_of(&options, Some(1_000.0), thread, connections) {
            Pace::Open { interval_ns, first_ns } => (1e9 / interval_ns, first_ns),
            Pace::Closed => (0.0, 0.0),
        };
        assert!((pace(0, 4).0 - 400.0).abs() < 1e-6);
        assert!((pace(0, 6).0 - 600.0).abs() < 1e-6);
        assert!(pace(0, 5).1.abs() < 1e-6 && (pace(1, 5).1 - 1e6).abs() < 1e-3);
        assert!(matches!(pace_of(&options, None, 0, 4), Pace::Closed));
    }

    #[test]
    fn progress_tells_what_came_since_the_last_line() {
        let live = [LiveCounts::default(), LiveCounts::default()];
        let mut progress = Progress::new("load", Some(2_500.0), &live);
        live[0].replies.store(1_000, Ordering::Relaxed);
        live[1].replies.store(234, Ordering::Relaxed);
        assert_eq!(progress.next_line(), "load    1 s        1,234 replies/s of 2,500 offered");
        live[1].replies.store(240, Ordering::Relaxed);
        live[0].errors.store(3, Ordering::Relaxed);
        assert_eq!(progress.next_line(), "load    2 s            6 replies/s of 2,500 offered, 3 errors");
    }
}
