//! Log lines, filtered by level and written to stderr as text or JSON. stdout is left to the line that says that the
//! server is ready. Whatever becomes of both, the server goes on.

use crate::error::Error;
use crate::log_queue::{self, LogQueue};
use crate::options::LogFormat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Starts logging for the whole process.
pub fn start(filter: &str, format: LogFormat) -> Result<Arc<LogQueue>, Error> {
    let filter = parse_filter(filter)?;
    let log = LogQueue::start(log_queue::write_to_stderr).map_err(|error| Error::Thread("log", error))?;
    let log = Arc::new(log);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log.clone())
        .with_ansi(std::io::stderr().is_terminal() && !no_color())
        .with_target(false)
        // They would be printed on stderr, which ends the process where that fails.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    // The hook of the standard library would wait for a stderr that nobody reads.
    let hook = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        hook.add(line(format, describe(panic)).as_bytes());
        hook.finish();
    }));
    Ok(log)
}

/// The last line of a server that has failed.
pub fn last_line(format: LogFormat, error: &dyn Display) -> String {
    line(format, format!("fluxiondb: {error}"))
}

/// A line that is written at every level, in the form of the others.
fn line(format: LogFormat, message: String) -> String {
    match format {
        LogFormat::Text => format!("{message}\n"),
        LogFormat::Json => {
            let mut timestamp = String::new();
            // It fails where the clock does, and the line is worth more than its time.
            let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
            let line = json!({"timestamp": timestamp, "level": "ERROR", "fields": {"message": message}});
            format!("{line}\n")
        }
    }
}

/// Whether the user wants no colours anywhere: see no-color.org.
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("thread {name} {panic}\n{backtrace}"),
        _ => format!("thread {name} {panic}"),
    }
}

/// Writes a line to stdout, or to the log if nobody takes it from there.
pub fn print(line: &str) {
    let mut stdout = std::io::stdout();
    let ready = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], Some(&Timespec::default()));
    let is_writable = ready.is_ok_and(|count| count > 0);
    if !is_writable || writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        warn!("stdout does not take the line: {line}");
    }
}

/// Reads a level, or directives by module such as `warn,fluxion_net=debug`.
fn parse_filter(text: &str) -> Result<EnvFilter, Error> {
    const OFF: &str = "off";
    const LEVELS: [&str; 6] = [OFF, "error", "warn", "info", "debug", "trace"];
    let mut lower = text.to_ascii_lowercase();
    if !LEVELS.contains(&lower.as_str()) && !text.contains('=') {
        return Err(Error::LogLevel(text.into()));
    }
    if lower != OFF {
        // Of whatever level the lines were: that some were dropped is to be known.
        lower = format!("{lower},{}=warn", log_queue::TARGET);
    }
    EnvFilter::try_new(lower).map_err(|error| Error::LogDirectives(text.into(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives() {
        for text in ["info", "OFF", "warn,fluxion_net=debug"] {
            assert!(parse_filter(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "a=b=c"] {
            assert!(parse_filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dropped_lines_are_told_at_every_level_but_off() {
        for (text, told) in [("error", true), ("fluxion_net=debug", true), ("trace", true), ("off", false)] {
            let filter = parse_filter(text).unwrap().to_string();
            assert_eq!(filter.contains("log_queue=warn"), told, "{filter}");
        }
    }
}
