//! The data of a message to a typed request, once. The text of `data` is unescaped with the outer part into a buffer. What
//! clients usually send is read from there at once (`usual.rs`); all else is parsed in place by simd-json. Tape and buffers are
//! reused, so a message costs no allocation but the list of an insert's records.
//!
//! Two kinds of failure: what is no request at all (the connection ends), and a request that can't be carried out (a text
//! that says why; the connection goes on).

use crate::limits::{DECODER_NODES_MAX, PADDING_BYTES};
use crate::requests::envelope::{Envelope, NotARequest, read_envelope};
use crate::requests::keys::KeyAction;
use crate::requests::kind::Kind;
use crate::requests::read;
use crate::requests::scan::RawText;
use crate::requests::subscription;
use crate::requests::tame::tame_numbers;
use crate::requests::unescape::{BadEscape, unescape, unescape_strings};
use crate::requests::usual::read_usual;
use crate::requests::vectors::{Quotes, Vectors};
use crate::requests::wrong::{Said, Wrong};
use fluxion_engine::{Request, Terms};
use simd_json::{Buffers, Node, Tape};

/// Why a message was not understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Misread {
    /// It is no request.
    NotARequest,
    /// It can't be carried out, for this reason.
    Wrong(Wrong),
}

impl From<Wrong> for Misread {
    fn from(wrong: Wrong) -> Misread {
        Misread::Wrong(wrong)
    }
}

impl From<BadEscape> for Misread {
    fn from(_: BadEscape) -> Misread {
        Misread::NotARequest
    }
}

/// Reads messages; one a core.
#[derive(Default)]
pub struct Decoder {
    vectors: Vectors,
    texts: Texts,
    /// The text as the reader of the usual takes it.
    quotes: Quotes,
    parser: Parser,
}

#[derive(Default)]
struct Texts {
    /// The text of the data that was read last; short ones only.
    first: Vec<u8>,
    /// The text once more, for a second try.
    second: Vec<u8>,
}

struct Parser {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Parser {
    fn default() -> Self {
        Parser { buffers: Buffers::new(4096), tape: Tape::null().reset() }
    }
}

impl Decoder {
    /// A decoder that uses this form of vector code.
    pub fn with(vectors: Vectors) -> Decoder {
        Decoder { vectors, ..Decoder::default() }
    }

    /// The form of vector code that it uses.
    pub fn vectors(&self) -> Vectors {
        self.vectors
    }

    /// Reads the outer part of a message; its data is to be read next.
    pub fn envelope<'m>(&mut self, message: &'m [u8]) -> Result<Envelope<'m>, NotARequest> {
        self.texts.first.clear();
        read_envelope(self.vectors, message, &mut self.texts.first)
    }

    /// Reads the data of the message whose outer part was read last, a request to the shards.
    pub fn request(&mut self, message: &[u8], envelope: &Envelope<'_>) -> Result<Request<&str>, Misread> {
        let Decoder { vectors, texts, quotes, parser } = self;
        if unescape_strings(*vectors, &texts.first, quotes).is_ok()
            && let Some(request) = read_usual(envelope.kind, quotes)
        {
            return Ok(request);
        }
        parser.read_data(*vectors, texts, message, &envelope.data, |nodes| {
            read::read_request(envelope.kind, nodes)
        })
    }

    /// Reads data that is in a buffer of the caller's, if it is written in the usual way.
    pub fn usual_request(&mut self, kind: Kind, json: &[u8]) -> Option<Request<&str>> {
        unescape_strings(self.vectors, json, &mut self.quotes).ok()?;
        read_usual(kind, &self.quotes)
    }

    /// The same as `request` by the parser alone. Both ways come to the same.
    pub fn parsed_request(
        &mut self,
        message: &[u8],
        envelope: &Envelope<'_>,
    ) -> Result<Request<&str>, Misread> {
        self.read(message, &envelope.data, |nodes| read::read_request(envelope.kind, nodes))
    }

    /// The same, of a `keys` message.
    pub fn key_action(&mut self, message: &[u8], envelope: &Envelope<'_>) -> Result<KeyAction, Misread> {
        self.read(message, &envelope.data, read::read_key_action)
    }

    /// The same, of a `sub` message.
    pub fn subscription(
        &mut self,
        message: &[u8],
        envelope: &Envelope<'_>,
    ) -> Result<Terms<Box<str>>, Misread> {
        self.read(message, &envelope.data, subscription::read_terms)
    }

    /// The same, of an `unsub` message.
    pub fn subscription_name(
        &mut self,
        message: &[u8],
        envelope: &Envelope<'_>,
    ) -> Result<Box<str>, Misread> {
        self.read(message, &envelope.data, subscription::read_name)
    }

    /// The text of the data itself.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.texts.first).unwrap_or_default()
    }

    /// Reads JSON that is in a buffer of the caller's, which has padding behind `len` bytes.
    pub fn read_text<'t, T>(
        &mut self,
        text: &'t mut [u8],
        len: usize,
        read: impl FnOnce(&[Node<'t>]) -> Said<T>,
    ) -> Said<T> {
        self.parser.read(text, len, read).unwrap_or_else(|| Err(Wrong::NotJson))
    }

    fn read<'d, T>(
        &'d mut self,
        message: &[u8],
        data: &RawText,
        read: impl Fn(&[Node<'d>]) -> Said<T>,
    ) -> Result<T, Misread> {
        self.parser.read_data(self.vectors, &mut self.texts, message, data, read)
    }
}

/// Puts the text that `data` means into a buffer once more, with padding behind it.
fn fill(vectors: Vectors, text: &mut Vec<u8>, message: &[u8], data: &RawText) -> Result<usize, Misread> {
    text.clear();
    let raw = &message[data.range.clone()];
    if data.escaped {
        unescape(vectors, raw, text)?;
    } else {
        text.extend_from_slice(raw);
    }
    let len = text.len();
    text.resize(len + PADDING_BYTES, 0);
    Ok(len)
}

impl Parser {
    /// Parses the text of the data of a message, and if need be what is left of it with its numbers tamed.
    fn read_data<'d, T>(
        &mut self,
        vectors: Vectors,
        texts: &'d mut Texts,
        message: &[u8],
        data: &RawText,
        read: impl Fn(&[Node<'d>]) -> Said<T>,
    ) -> Result<T, Misread> {
        let Texts { first, second } = texts;
        let len = first.len();
        first.resize(len + PADDING_BYTES, 0);
        let mut said = self.read(first, len, &read);
        if said.is_none() {
            let len = fill(vectors, second, message, data)?;
            if tame_numbers(&mut second[..len]) {
                said = self.read(second, len, &read);
            }
        }
        said.unwrap_or_else(|| Err(Wrong::NotJson)).map_err(Misread::Wrong)
    }

    /// Parses `text[..len]` and hands the nodes to `read`; none if it is no JSON.
    fn read<'t, T>(
        &mut self,
        text: &'t mut [u8],
        len: usize,
        read: impl FnOnce(&[Node<'t>]) -> Said<T>,
    ) -> Option<Said<T>> {
        debug_assert!(text.len() >= len + PADDING_BYTES);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed = len > 0 && simd_json::fill_tape_padded(text, len, &mut self.buffers, &mut tape).is_ok();
        let said = parsed.then(|| read(&tape.0));
        self.tape = tape.reset();
        if self.tape.0.capacity() > DECODER_NODES_MAX {
            *self = Parser::default();
        }
        said
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
