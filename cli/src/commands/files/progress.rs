//! A line on stderr that says how far an export or import is, how fast, and how long it will take; only where stderr is
//! a terminal. It is drawn ten times a second at most, and cleared at the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);
/// Records between two looks at the clock.
const RECORDS_PER_LOOK: u64 = 256;
const BAR_WIDTH: usize = 20;
const WIDTH_DEFAULT: usize = 80;

/// The part that is done.
pub struct Progress {
    shown: bool,
    started: Instant,
    drawn: Instant,
    records: u64,
    /// Of all that is to be done, what was done before the current part, and how large that part is.
    part_start: f64,
    part_size: f64,
    doing: String,
}

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Progress {
        let now = Instant::now();
        Progress {
            shown: std::io::stderr().is_terminal(),
            started: now,
            drawn: now,
            records: 0,
            part_start: 0.0,
            part_size: 1.0,
            doing: String::new(),
        }
    }

    /// Begins a part, which is the piece from `start` to `end` of the whole, both between 0 and 1.
    pub fn begin_part(&mut self, doing: String, start: f64, end: f64) {
        self.doing = doing;
        self.part_start = start;
        self.part_size = end - start;
    }

    /// Counts a record; `done` says how much of the part is done, and is asked only when the line is drawn.
    pub fn count(&mut self, done: impl FnOnce() -> f64) {
        self.records += 1;
        if self.shown && self.records.is_multiple_of(RECORDS_PER_LOOK) && self.drawn.elapsed() >= INTERVAL {
            self.draw(done());
        }
    }

    /// Says how many records there have been, and how much of the part is done.
    pub fn reach(&mut self, records: u64, done: f64) {
        self.records = records;
        if self.shown && self.drawn.elapsed() >= INTERVAL {
            self.draw(done);
        }
    }

    fn draw(&mut self, done: f64) {
        self.drawn = Instant::now();
        let done = (self.part_start + self.part_size * done.clamp(0.0, 1.0)).clamp(0.0, 1.0);
        let line = render(&self.doing, self.records, done, self.started.elapsed());
        let fitting: String = line.chars().take(terminal_width() - 1).collect();
        // That the terminal is gone is no reason to stop.
        let _ = write!(std::io::stderr(), "\r{fitting}\x1b[K");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            clear_line();
        }
    }
}

/// Takes away what stands on the terminal's line, if stderr is one.
pub fn clear_line() {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K");
    }
}

fn render(doing: &str, records: u64, done: f64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let filled = (done * BAR_WIDTH as f64) as usize;
    let bar = "#".repeat(filled) + &"-".repeat(BAR_WIDTH - filled);
    let left =
        if done > 0.001 { format!("{} left", clock(seconds * (1.0 - done) / done)) } else { "…".into() };
    let rate = short(records as f64 / seconds);
    format!("[{bar}] {:3.0}%  {} records  {rate}/s  {left}  {doing}", done * 100.0, short(records as f64))
}

fn short(number: f64) -> String {
    match number {
        _ if number >= 1e6 => format!("{:.2} M", number / 1e6),
        _ if number >= 1e3 => format!("{:.1} k", number / 1e3),
        _ => format!("{number:.0}"),
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|width| *width > 1).unwrap_or(WIDTH_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_how_fast_and_how_long() {
        let line = render("exporting sensors", 2_500_000, 0.25, Duration::from_secs(5));
        assert_eq!(
            line,
            "[#####---------------]  25%  2.50 M records  500.0 k/s  0:15 left  exporting sensors"
        );
        assert!(render("x", 0, 0.0, Duration::ZERO).contains('…'));
        assert_eq!((clock(59.9), clock(3723.0)), ("0:59".into(), "1:02:03".into()));
    }
}
