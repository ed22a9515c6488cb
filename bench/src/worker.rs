//! One thread's loop over its connections: wait, read replies, send what may be sent.
//!
//! Closed loop: each connection keeps its window full, and what one read has freed goes out in one write. Open loop:
//! messages are due at fixed times, and a latency is counted from when its message was due, not from when there was room
//! for it; so a stall of the server shows in every message that it held up.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::clock::{Clock, nanoseconds};
use crate::connection::{Arrival, Connection};
use crate::language::Encoder;
use crate::limits::{DRAIN_TIMEOUT, EVENTS_PER_WAIT, OPEN_BURST_MAX, RECEIVE_BYTES, SPIN_WITHIN, WAIT_MAX};
use crate::loss::Loss;
use crate::processor::ProcessorTime;
use crate::tally::{Counts, LiveCounts, Tally};
use crate::timeline::Timeline;
use crate::workload::Mix;

/// The load of a phase and its length; the same for all workers.
#[derive(Debug)]
pub struct Phase {
    /// Which requests.
    pub mix: Mix,
    /// The bytes that they are.
    pub encoder: Encoder,
    /// When the measured stretch begins, on the phase's clock.
    pub measure_from_ns: u64,
    /// When nothing more is sent.
    pub stop_at_ns: u64,
    /// Subscriptions to be told of; without, pushes don't matter.
    pub pushes: Option<Watch>,
}

/// How pushes are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Times of records from here on are nanoseconds since the phase began, added to it.
    pub stamps_from: u64,
    /// Silence at the end after which no more pushes are waited for.
    pub silence: Duration,
}

impl Phase {
    fn timeline(&self) -> Timeline {
        Timeline::new(self.measure_from_ns, self.stop_at_ns - self.measure_from_ns)
    }
}

/// When the next message may be sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as its connection's window has room.
    Closed,
    /// At a fixed rate over this worker's connections.
    Open {
        /// Time from one message to the next.
        interval_ns: f64,
        /// When the first one is due, so that workers take turns instead of sending all at once.
        first_ns: f64,
    },
}

/// The results that a worker hands back: its connections, also the lost ones, and what it counted.
pub type Outcome = (Vec<Connection>, Tally);

/// A thread's share of a phase.
pub struct Worker<'run> {
    phase: &'run Phase,
    pace: Pace,
    clock: Clock,
    live: &'run LiveCounts,
    connections: Vec<Connection>,
    /// The connections in front that write; those behind only subscribe.
    writers: usize,
    /// The number of messages that each connection may still send.
    budgets: Vec<u64>,
    /// Connections whose socket is full and watched for room.
    blocked: Vec<bool>,
    poll: OwnedFd,
    buffer: Vec<u8>,
    in_flight: usize,
    next_connection: usize,
    tally: Tally,
}

impl<'run> Worker<'run> {
    /// A worker with at least one connection; `budgets` limits what each may send.
    pub fn new(
        phase: &'run Phase,
        pace: Pace,
        clock: Clock,
        live: &'run LiveCounts,
        connections: Vec<Connection>,
        budgets: Vec<u64>,
    ) -> Result<Self> {
        assert_eq!(connections.len(), budgets.len());
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot create an epoll instance")?;
        for (index, connection) in connections.iter().enumerate() {
            if connection.is_stuck() {
                continue;
            }
            epoll::add(&poll, connection.stream(), EventData::new_u64(index as u64), EventFlags::IN)
                .context("cannot watch a socket")?;
        }
        Ok(Self {
            phase,
            pace,
            clock,
            live,
            blocked: vec![false; connections.len()],
            writers: connections.iter().filter(|connection| !connection.is_subscriber()).count(),
            connections,
            budgets,
            poll,
            buffer: vec![0; RECEIVE_BYTES],
            in_flight: 0,
            next_connection: 0,
            tally: Tally::over(phase.timeline())?,
        })
    }

    /// Sends until the phase's end, then waits for the last replies.
    pub fn run(mut self) -> Result<Outcome> {
        self.load_until(self.phase.measure_from_ns)?;
        let (from_ns, before) = (self.clock.now_ns(), self.snapshot());
        self.tally.restart(from_ns);
        self.load_until(self.phase.stop_at_ns)?;
        self.tally.measured = self.snapshot().since(before);
        let end_ns = self.clock.now_ns();
        self.tally.measured_ns = end_ns - from_ns;
        self.tally.timeline.finish(end_ns);
        self.tally.unsent = self.overdue(end_ns.min(self.phase.stop_at_ns));
        self.tally.pushes.stop();
        self.drain()?;
        self.drain_pushes()?;
        Ok((self.connections, self.tally))
    }

    fn snapshot(&self) -> Counts {
        let ProcessorTime { ran_ns, waited_ns } = ProcessorTime::of_thread();
        Counts { ran_ns, waited_ns, ..self.tally.counts }
    }

    fn load_until(&mut self, until_ns: u64) -> Result<()> {
        let mut now_ns = self.clock.now_ns();
        while now_ns < until_ns && self.has_work() {
            self.send(now_ns);
            let wait_ns = self.time_to_next(now_ns).min(until_ns - now_ns);
            self.wait_and_receive(wait_ns, true)?;
            now_ns = self.clock.now_ns();
        }
        if let Pace::Open { .. } = self.pace {
            // So that what is still not sent by then is so for want of room, not because the last wait was long.
            self.send_due(until_ns);
        }
        Ok(())
    }

    /// Waits for the replies still on their way; those that never come count as waited for until now.
    fn drain(&mut self) -> Result<()> {
        let deadline_ns = self.clock.now_ns() + nanoseconds(DRAIN_TIMEOUT);
        while self.in_flight > 0 && self.clock.now_ns() < deadline_ns {
            self.wait_and_receive(nanoseconds(WAIT_MAX), false)?;
        }
        let now_ns = self.clock.now_ns();
        for connection in self.connections.iter_mut().filter(|connection| connection.is_open()) {
            connection.window().waiting().for_each(|request| self.tally.gave_up(request, now_ns));
        }
        if self.in_flight > 0 {
            self.tally.silence.extend_to(now_ns);
        }
        Ok(())
    }

    /// Waits for what subscriptions are still told, until nothing comes any more.
    fn drain_pushes(&mut self) -> Result<()> {
        let Some(watch) = self.phase.pushes else { return Ok(()) };
        let deadline_ns = self.clock.now_ns() + nanoseconds(DRAIN_TIMEOUT);
        while self.clock.now_ns() < deadline_ns
            && self.wait_and_receive(nanoseconds(watch.silence), false)? > 0
        {}
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.in_flight > 0
            || self.connections.iter().any(|one| one.is_open() && one.unconfirmed() > 0)
            || self.connections.iter().zip(&self.budgets).any(|(one, &budget)| one.is_open() && budget > 0)
    }

    /// Sends what is due in open loop; in closed loop only what the first round needs, since each reply sends the next.
    fn send(&mut self, now_ns: u64) {
        match self.pace {
            Pace::Closed if self.tally.counts.sent == 0 => {
                (0..self.connections.len()).for_each(|index| self.fill(index, now_ns));
            }
            Pace::Closed => {}
            Pace::Open { .. } => self.send_due(now_ns),
        }
    }

    /// Hands out the messages that are due to one connection after the other, passing over those without room. What is
    /// due at once goes to the same one, up to a burst, so that this thread's own system calls do not hold it up.
    fn send_due(&mut self, now_ns: u64) {
        let (first, count) = (self.next_connection, self.writers);
        let (mut steps, mut full_in_a_row, mut burst) = (0, 0, 0);
        while full_in_a_row < count {
            let since_ns = self.due_ns();
            if since_ns > now_ns {
                break;
            }
            let connection = &mut self.connections[self.next_connection];
            if connection.is_open() && connection.queue(&self.phase.mix, &self.phase.encoder, since_ns) {
                self.tally.sent_late(now_ns - since_ns);
                self.tally.silence.sent(now_ns);
                self.in_flight += 1;
                (full_in_a_row, burst) = (0, burst + 1);
                if burst < OPEN_BURST_MAX {
                    continue;
                }
            } else {
                full_in_a_row += 1;
            }
            self.next_connection = (self.next_connection + 1) % count;
            (steps, burst) = (steps + 1, 0);
        }
        if burst > 0 {
            self.next_connection = (self.next_connection + 1) % count;
            steps += 1;
        }
        (0..count.min(steps)).for_each(|step| self.flush((first + step) % count));
    }

    /// When the next message should go out; at once in closed loop.
    fn due_ns(&self) -> u64 {
        match self.pace {
            Pace::Closed => 0,
            Pace::Open { interval_ns, first_ns } => {
                (first_ns + self.tally.counts.sent as f64 * interval_ns) as u64
            }
        }
    }

    /// The number of messages that should have gone out by this time and did not.
    fn overdue(&self, now_ns: u64) -> u64 {
        match self.pace {
            Pace::Closed => 0,
            Pace::Open { interval_ns, first_ns } => {
                let due = ((now_ns as f64 - first_ns).max(0.0) / interval_ns) as u64;
                due.saturating_sub(self.tally.counts.sent)
            }
        }
    }

    fn time_to_next(&self, now_ns: u64) -> u64 {
        let longest_ns = nanoseconds(WAIT_MAX);
        if matches!(self.pace, Pace::Closed) {
            return longest_ns;
        }
        let ahead_ns = self.due_ns().saturating_sub(now_ns);
        // With every window full only a reply can help, and that wakes the wait.
        if ahead_ns == 0 {
            longest_ns
        } else {
            ahead_ns.saturating_sub(nanoseconds(SPIN_WITHIN)).min(longest_ns)
        }
    }

    fn wait_and_receive(&mut self, wait_ns: u64, may_send: bool) -> Result<usize> {
        let empty = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [empty; EVENTS_PER_WAIT];
        let ready = self.wait(&mut events, wait_ns)?;
        let mut now_ns = self.clock.now_ns();
        for event in &events[..ready] {
            let (index, flags) = (event.data.u64() as usize, event.flags);
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                now_ns = self.clock.now_ns();
                self.receive(index, now_ns);
            }
            if may_send && matches!(self.pace, Pace::Closed) {
                self.fill(index, now_ns);
            } else {
                self.flush(index);
            }
        }
        self.publish();
        Ok(ready)
    }

    fn wait(&self, events: &mut [epoll::Event], wait_ns: u64) -> Result<usize> {
        let wait = Duration::from_nanos(wait_ns);
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        match epoll::wait(&self.poll, events, Some(&timeout)) {
            Err(Errno::INTR) => Ok(0),
            result => result.context("waiting for sockets failed"),
        }
    }

    fn receive(&mut self, index: usize, now_ns: u64) {
        let connection = &mut self.connections[index];
        if !connection.is_open() {
            return;
        }
        let (before, tally, in_flight) = (self.tally.counts.replies, &mut self.tally, &mut self.in_flight);
        let stamps_from = self.phase.pushes.map(|watch| watch.stamps_from);
        let received = connection.receive(&mut self.buffer, |arrival| match arrival {
            Arrival::Answered(answered) => {
                *in_flight -= usize::from(answered.request.is_some());
                tally.answered(answered, now_ns);
            }
            Arrival::Subscribed(None) => {}
            Arrival::Subscribed(Some(error)) => {
                tally.counts.errors += 1;
                tally.first_error.get_or_insert(error);
            }
            Arrival::Push(push) => tally.pushes.count(push, stamps_from, now_ns),
            Arrival::End(why) => tally.pushes.end(why),
        });
        if tally.counts.replies > before {
            tally.silence.broken(now_ns, *in_flight > 0);
        }
        match received {
            Ok(count) => tally.counts.bytes_in += count as u64,
            Err(loss) => self.lose(index, &loss),
        }
    }

    /// Fills a connection's window and sends it in one write.
    fn fill(&mut self, index: usize, now_ns: u64) {
        let (connection, budget) = (&mut self.connections[index], &mut self.budgets[index]);
        if !connection.is_open() {
            return;
        }
        let mut queued = 0;
        while *budget > 0 && connection.queue(&self.phase.mix, &self.phase.encoder, now_ns) {
            *budget -= 1;
            queued += 1;
        }
        if queued > 0 {
            self.tally.counts.sent += queued;
            self.in_flight += queued as usize;
            self.tally.silence.sent(now_ns);
        }
        self.flush(index);
    }

    fn flush(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if !connection.is_open() || !(connection.has_outgoing() || self.blocked[index]) {
            return;
        }
        match connection.flush() {
            Ok(written) => self.tally.counts.bytes_out += written as u64,
            Err(loss) => return self.lose(index, &loss),
        }
        let is_blocked = connection.has_outgoing();
        if is_blocked != self.blocked[index] {
            self.blocked[index] = is_blocked;
            let flags = if is_blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let data = EventData::new_u64(index as u64);
            if let Err(error) = epoll::modify(&self.poll, connection.stream(), data, flags) {
                self.lose(index, &Loss::Socket(error.into()));
            }
        }
    }

    /// Counts what the connection still owed, and stops using it.
    fn lose(&mut self, index: usize, loss: &Loss) {
        let (connection, now_ns) = (&mut self.connections[index], self.clock.now_ns());
        connection.window().waiting().for_each(|request| self.tally.gave_up(request, now_ns));
        self.in_flight -= connection.window().in_flight();
        self.tally.connections_lost += 1;
        self.tally.first_loss.get_or_insert_with(|| loss.to_string());
        connection.lose();
        // A socket that can't be taken off the list is closed at the end all the same; its events are passed over.
        let _ = epoll::delete(&self.poll, connection.stream());
    }

    fn publish(&self) {
        let Counts { replies, errors, .. } = self.tally.counts;
        self.live.replies.store(replies, Ordering::Relaxed);
        self.live.errors.store(errors, Ordering::Relaxed);
    }
}
