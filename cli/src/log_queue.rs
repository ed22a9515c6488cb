//! Log lines in a bounded queue with one thread that writes them, so that no core waits for a terminal, a pipe or a disk.
//!
//! 1. Any thread may add a line, and never waits. When too many wait already the line is dropped and counted.
//! 2. The log's thread writes lines in their order. One that can't be written is dropped and counted too.
//! 3. When a line has been written and the queue has room again, the thread logs how many lines were dropped before.
//! 4. `finish` waits until all lines so far have been written, but only for `LOG_FINISH_PATIENCE`.

use crate::limits::{LOG_BYTES_MAX, LOG_FINISH_PATIENCE, LOG_LINE_BYTES};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::warn;

/// The name under which the filter finds the line about dropped ones.
pub const TARGET: &str = module_path!();

/// The queue's end for those who log.
pub struct LogQueue {
    items: Sender<Item>,
    counts: Arc<Counts>,
}

enum Item {
    Line(Box<[u8]>),
    /// Dropped when its turn comes, which its other end notices.
    Finish(Sender<()>),
}

#[derive(Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    dropped: AtomicUsize,
}

impl LogQueue {
    /// Starts the thread, which gives each line to `write`.
    pub fn start(write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<LogQueue> {
        // Bounded by the bytes that are counted in.
        let (items, queue) = unbounded();
        let counts = Arc::<Counts>::default();
        let log = LogQueue { items, counts: counts.clone() };
        std::thread::Builder::new().name("log".into()).spawn(move || run(&queue, &counts, write))?;
        Ok(log)
    }

    /// Adds a line, or drops and counts it.
    pub fn add(&self, line: &[u8]) {
        let bytes = line.len() + LOG_LINE_BYTES;
        let before = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > LOG_BYTES_MAX || self.items.send(Item::Line(line.into())).is_err() {
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines so far have been written, or nobody seems to read them.
    pub fn finish(&self) {
        let (done, finished) = bounded(0);
        if self.items.send(Item::Finish(done)).is_ok() {
            // Disconnected when it is done, and timed out when it is not: both are the end of waiting.
            let _ = finished.recv_timeout(LOG_FINISH_PATIENCE);
        }
    }
}

impl io::Write for &LogQueue {
    /// Takes a whole line: the subscriber writes each in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run(queue: &Receiver<Item>, counts: &Counts, mut write: impl FnMut(&[u8]) -> io::Result<()>) {
    for item in queue {
        let line = match item {
            Item::Line(line) => line,
            Item::Finish(done) => {
                drop(done);
                continue;
            }
        };
        let written = write(&line);
        let bytes = line.len() + LOG_LINE_BYTES;
        let waiting = counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if written.is_err() {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        } else if waiting <= LOG_BYTES_MAX / 2 {
            tell_dropped(counts);
        }
    }
}

fn tell_dropped(counts: &Counts) {
    let lines = counts.dropped.swap(0, Ordering::Relaxed);
    if lines > 0 {
        warn!(lines, "{lines} log lines were dropped: stderr did not take them");
    }
}

/// Writes to stderr without the lock of the standard library's, which a line that nobody reads would hold for ever.
pub fn write_to_stderr(mut line: &[u8]) -> io::Result<()> {
    let stderr = io::stderr();
    while !line.is_empty() {
        match rustix::io::write(&stderr, line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => line = &line[count..],
            Err(Errno::INTR) => {}
            // Whoever shares the file has made it so; this thread has the time to wait.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use tracing_subscriber::EnvFilter;

    /// A log whose lines are written one for each word from `go`: whether that works.
    struct Peer {
        log: Arc<LogQueue>,
        go: mpsc::Sender<bool>,
        written: Arc<Mutex<Vec<String>>>,
    }

    fn peer() -> Peer {
        let (go, going) = mpsc::channel();
        let written = Arc::<Mutex<Vec<String>>>::default();
        let lines = written.clone();
        let write = move |line: &[u8]| match going.recv() {
            Ok(true) => {
                lines.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
                Ok(())
            }
            _ => Err(io::ErrorKind::StorageFull.into()),
        };
        Peer { log: Arc::new(LogQueue::start(write).unwrap()), go, written }
    }

    impl Peer {
        fn let_through(&self, lines: usize, works: bool) {
            (0..lines).for_each(|_| self.go.send(works).unwrap());
        }

        fn wait_for(&self, lines: usize) -> Vec<String> {
            while self.written.lock().unwrap().len() < lines {
                std::thread::yield_now();
            }
            self.written.lock().unwrap().clone()
        }

        fn dropped(&self) -> usize {
            self.log.counts.dropped.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn lines_are_written_in_order_until_the_end() {
        let peer = peer();
        for number in 0..100 {
            peer.log.add(number.to_string().as_bytes());
        }
        peer.let_through(100, true);
        peer.log.finish();
        let expected: Vec<String> = (0..100).map(|number: usize| number.to_string()).collect();
        assert_eq!(*peer.written.lock().unwrap(), expected);
        assert_eq!(peer.log.counts.waiting_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let peer = peer();
        let line = "x".repeat(1000);
        for _ in 0..2000 {
            peer.log.add(line.as_bytes());
        }
        let room = LOG_BYTES_MAX / (line.len() + LOG_LINE_BYTES);
        assert_eq!(peer.dropped(), 2000 - room);
        assert!(peer.log.counts.waiting_bytes.load(Ordering::Relaxed) <= LOG_BYTES_MAX);
        let started = std::time::Instant::now();
        peer.log.finish();
        assert!(started.elapsed() >= LOG_FINISH_PATIENCE);
    }

    /// As the subscriber's lines, with the one about dropped lines among them.
    #[test]
    fn dropped_lines_are_told_when_it_works_again() {
        let peer = peer();
        // The line is logged on the log's own thread, so it takes the default subscriber of the process.
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(format!("{TARGET}=warn")))
            .with_ansi(false)
            .with_writer(peer.log.clone());
        subscriber.init();
        (0..3).for_each(|_| peer.log.add(b"lost"));
        peer.let_through(3, false);
        while peer.dropped() < 3 {
            std::thread::yield_now();
        }
        peer.log.add(b"kept");
        peer.let_through(2, true);
        let written = peer.wait_for(2);
        assert_eq!(written[0], "kept");
        assert!(
            written[1].contains("WARN") && written[1].contains("3 log lines were dropped"),
            "{written:?}"
        );
        assert_eq!(peer.dropped(), 0);
    }
}
