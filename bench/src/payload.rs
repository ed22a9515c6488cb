//! What records and values say: JSON in a few shapes that devices send, letters, or the lines of a file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, bail, ensure};

use crate::limits::{PAYLOAD_BYTES_MAX, PAYLOAD_FILE_BYTES_MAX, SHAPE_BYTES_MAX};

/// The kind of text in a record's data and in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Three measurements and a state, about 65 bytes; now and then a remark.
    Sensor,
    /// A position in flight, about 85 bytes.
    Flight,
    /// A trade, whose numbers are texts, about 60 bytes.
    Tick,
    /// This many letters and digits, of which none needs escaping.
    Letters(usize),
    /// The lines of a file, in turn.
    Lines {
        /// Where they came from.
        path: PathBuf,
        /// At least one.
        lines: Arc<Vec<String>>,
    },
}

impl Payload {
    /// An upper bound of a text's length with its quotes escaped twice, as in an insertion.
    pub fn escaped_bytes_max(&self) -> u64 {
        match self {
            Self::Sensor | Self::Flight | Self::Tick => SHAPE_BYTES_MAX,
            Self::Letters(bytes) => *bytes as u64,
            // Only the longest line matters, but its escapes may not be in the longest one.
            Self::Lines { lines, .. } => lines.iter().map(|line| escaped_bytes_max(line)).max().unwrap_or(0),
        }
    }
}

/// A control character takes seven bytes when it is escaped twice, a quote four.
fn escaped_bytes_max(line: &str) -> u64 {
    line.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 4,
            ..0x20 => 7,
            _ => 1,
        })
        .sum()
}

impl FromStr for Payload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sensor" => Ok(Self::Sensor),
            "flight" => Ok(Self::Flight),
            "tick" => Ok(Self::Tick),
            _ => match text.strip_prefix("text:") {
                Some(bytes) => {
                    let bytes: usize =
                        bytes.parse().with_context(|| format!("'{bytes}' is not a number of bytes"))?;
                    ensure!(bytes <= PAYLOAD_BYTES_MAX, "texts have {PAYLOAD_BYTES_MAX} bytes at most");
                    Ok(Self::Letters(bytes))
                }
                None => read_lines(Path::new(text)),
            },
        }
    }
}

fn read_lines(path: &Path) -> Result<Payload> {
    let shown = path.display();
    let bytes = fs::metadata(path)
        .with_context(|| format!("'{shown}' is neither sensor, flight, tick, text:BYTES nor a file"))?
        .len();
    ensure!(bytes <= PAYLOAD_FILE_BYTES_MAX, "{shown} has more than {PAYLOAD_FILE_BYTES_MAX} bytes");
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown} as UTF-8"))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        bail!("{shown} has no lines");
    }
    Ok(Payload::Lines { path: path.to_owned(), lines: Arc::new(lines) })
}

impl fmt::Display for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sensor => formatter.write_str("sensor"),
            Self::Flight => formatter.write_str("flight"),
            Self::Tick => formatter.write_str("tick"),
            Self::Letters(bytes) => write!(formatter, "text:{bytes}"),
            Self::Lines { path, .. } => write!(formatter, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_and_written() {
        for text in ["sensor", "flight", "tick", "text:0", "text:48"] {
            assert_eq!(text.parse::<Payload>().unwrap().to_string(), text);
        }
        for text in ["", "text:", "text:x", "text:99999999999", "/nowhere/records.jsonl"] {
            assert!(text.parse::<Payload>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_gives_its_lines() {
        let path = std::env::temp_dir().join(format!("fluxiondb-bench-lines-{}", std::process::id()));
        fs::write(&path, "{\"a\":1}\n\nplain\n").unwrap();
        let payload: Payload = path.to_str().unwrap().parse().unwrap();
        fs::write(&path, "").unwrap();
        assert!(path.to_str().unwrap().parse::<Payload>().is_err());
        fs::remove_file(&path).unwrap();
        let Payload::Lines { lines, .. } = &payload else { panic!("{payload:?}") };
        assert_eq!(lines[..], ["{\"a\":1}", "", "plain"]);
        assert_eq!(payload.escaped_bytes_max(), 7 + 2 * 3);
    }
}
