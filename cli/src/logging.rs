//! Log lines on stderr, filtered by level and written as text or JSON. stdout is left to the line that says
//! that the server is ready.

use crate::error::Error;
use crate::options::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process.
pub fn start(filter: &str, format: LogFormat) -> Result<(), Error> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse_filter(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// A level, or per-module directives such as `warn,fluxion_net=debug`.
fn parse_filter(text: &str) -> Result<EnvFilter, Error> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let lower = text.to_ascii_lowercase();
    if !LEVELS.contains(&lower.as_str()) && !text.contains('=') {
        return Err(Error::LogLevel(text.into()));
    }
    EnvFilter::try_new(lower).map_err(|error| Error::LogDirectives(text.into(), error))
}

#[cfg(test)]
mod tests {
    use super::parse_filter;

    #[test]
    fn levels_and_directives() {
        for text in ["info", "OFF", "warn,fluxion_net=debug"] {
            assert!(parse_filter(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "a=b=c"] {
            assert!(parse_filter(text).is_err(), "{text}");
        }
    }
}
