//! The texts of a run, made before it and ready to be copied into requests.
//!
//! Making numbers while the load runs would cost more than sending them. So there are some tracks of some thousand steps
//! each, and each document goes along one of them from a place of its own: together small enough for a core's cache, and
//! long enough that a document's texts don't come again among its newest.

use crate::limits::{TEXT_TRACKS, TEXTS_BYTES, TRACK_STEPS};
use crate::payload::Payload;
use crate::walk;

/// How texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Plain,
    /// Within a JSON string within a JSON string, as in the data of an insertion.
    EscapedTwice,
}

/// Tracks of texts.
#[derive(Debug)]
pub struct Texts {
    bytes: Vec<u8>,
    /// Where each text begins, and the end of the last.
    starts: Vec<u32>,
    steps: u32,
    plain_bytes: usize,
}

impl Texts {
    /// Makes all texts.
    pub fn new(payload: &Payload, form: Form) -> Self {
        let (tracks, steps) = match payload {
            Payload::Letters(bytes) => (1, (TEXTS_BYTES / (bytes + 1)).clamp(1, TRACK_STEPS)),
            Payload::Lines { lines, .. } => (1, lines.len()),
            _ => (TEXT_TRACKS, TRACK_STEPS),
        };
        let mut texts = Self { bytes: Vec::new(), starts: vec![0], steps: steps as u32, plain_bytes: 0 };
        for number in 0..tracks as u64 {
            for text in walk::track(payload, number, steps) {
                texts.push(&text, form);
            }
        }
        texts
    }

    fn push(&mut self, text: &str, form: Form) {
        self.plain_bytes += text.len();
        match form {
            Form::Plain => self.bytes.extend_from_slice(text.as_bytes()),
            Form::EscapedTwice => {
                let mut once = Vec::new();
                escape(&mut once, text.as_bytes());
                escape(&mut self.bytes, &once);
            }
        }
        self.starts.push(self.bytes.len() as u32);
    }

    /// The text of a document's step; the seed is the document's own.
    #[inline]
    pub fn of(&self, seed: u64, step: u64) -> &[u8] {
        let tracks = (self.starts.len() - 1) as u64 / u64::from(self.steps);
        let scattered = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let track = ((scattered >> 48) * tracks) >> 16;
        let step = (scattered as u32 >> 8).wrapping_add(step as u32) % self.steps;
        let index = track as usize * self.steps as usize + step as usize;
        &self.bytes[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// The mean length of a text as it is written.
    pub fn mean_bytes(&self) -> usize {
        self.bytes.len() / (self.starts.len() - 1)
    }

    /// The mean length of a text itself.
    pub fn mean_plain_bytes(&self) -> f64 {
        self.plain_bytes as f64 / (self.starts.len() - 1) as f64
    }
}

/// Appends what stands between the quotes of a JSON string.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            ..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;

    fn lines(lines: &[&str]) -> Payload {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Payload::Lines { path: PathBuf::from("lines"), lines: Arc::new(lines) }
    }

    #[test]
    fn a_text_escaped_twice_comes_back_whole() {
        let hard = "{\"a\":\"b\\\"c\",\"é\":\"\t\u{1}\"}\r\n";
        let texts = Texts::new(&lines(&[hard]), Form::EscapedTwice);
        let once: String =
            serde_json::from_str(&format!("\"{}\"", std::str::from_utf8(texts.of(0, 0)).unwrap())).unwrap();
        let plain: String = serde_json::from_str(&format!("\"{once}\"")).unwrap();
        assert_eq!(plain, hard);
        assert!(texts.mean_bytes() as u64 <= lines(&[hard]).escaped_bytes_max());
    }

    #[test]
    fn a_document_takes_lines_in_turn() {
        let texts = Texts::new(&lines(&["a", "b", "c"]), Form::Plain);
        let taken: Vec<u8> = (0..7).map(|step| texts.of(5, step)[0]).collect();
        assert_eq!(taken[..3], taken[3..6]);
        assert_eq!(taken[..3].iter().collect::<BTreeSet<_>>().len(), 3);
        let next = |byte: u8| (byte - b'a' + 1) % 3 + b'a';
        assert!(taken.windows(2).all(|pair| pair[1] == next(pair[0])), "{taken:?}");
    }

    #[test]
    fn documents_differ_and_none_stays_the_same() {
        let texts = Texts::new(&Payload::Sensor, Form::EscapedTwice);
        let of_documents: BTreeSet<_> = (0..100).map(|seed| texts.of(seed, 0)).collect();
        let of_steps: BTreeSet<_> = (0..100).map(|step| texts.of(7, step)).collect();
        assert!(of_documents.len() > 95 && of_steps.len() > 60, "{}", of_steps.len());
        assert_eq!(texts.of(7, 0), texts.of(7, TRACK_STEPS as u64));
    }

    #[test]
    fn no_shape_is_longer_than_its_bound() {
        for payload in [Payload::Sensor, Payload::Flight, Payload::Tick, Payload::Letters(48)] {
            let texts = Texts::new(&payload, Form::EscapedTwice);
            let longest = texts.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(u64::from(longest) <= payload.escaped_bytes_max(), "{payload}: {longest}");
        }
    }

    #[test]
    fn long_texts_are_few() {
        assert!(Texts::new(&Payload::Letters(1 << 20), Form::Plain).bytes.len() <= 4 * TEXTS_BYTES);
        assert_eq!(Texts::new(&Payload::Letters(0), Form::Plain).of(1, 2), b"");
    }
}
