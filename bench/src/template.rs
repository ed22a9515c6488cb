//! A request encoded once, as the pieces that go over the wire, with the places of the digits that change.
//!
//! A frame is its head (header, id, type), its parts, and its tail; each part may have a text in it, whose length
//! differs. Invariant: digits have a fixed width, so that patching never moves a byte.

use crate::digits::Digits;
use crate::frame;

/// Digits of a request's id. The id is the first member, so that replies and the wire server find it at a fixed place.
pub const ID_DIGITS: usize = 12;

/// Bytes before the id in a request, and in a reply of a server that repeats it first.
pub const ID_PREFIX: &[u8] = br#"{"id":""#;

/// What one record, entry or query is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject {
    /// The collection's number.
    pub collection: u64,
    /// The document's or key's number.
    pub name: u64,
    /// The record's time.
    pub timestamp: u64,
}

/// Bytes with the places of what changes in them.
#[derive(Clone, Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    collection: Option<Digits>,
    name: Option<Digits>,
    timestamp: Option<Digits>,
}

impl Piece {
    #[inline]
    fn append(&self, out: &mut Vec<u8>, subject: Subject) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let bytes = &mut out[start..];
        if let Some(place) = self.timestamp {
            place.write(bytes, subject.timestamp);
        }
        if let Some(place) = self.name {
            place.write(bytes, subject.name);
        }
        if let Some(place) = self.collection {
            place.write(bytes, subject.collection);
        }
    }
}

/// A request of one kind.
#[derive(Clone, Debug)]
pub struct Template {
    /// From the frame's header to the first part; the header is that of a request of the usual length.
    head: Vec<u8>,
    header_bytes: usize,
    before_text: Piece,
    after_text: Option<Piece>,
    parts: u32,
    tail: Vec<u8>,
}

impl Template {
    /// The number of records of an insertion; 1 of another request.
    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// Begins a frame; returns where, for `finish`.
    #[inline]
    pub fn begin(&self, out: &mut Vec<u8>, id: u64) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.head);
        Digits { at: self.header_bytes + ID_PREFIX.len(), width: ID_DIGITS }.write(&mut out[start..], id);
        start
    }

    /// Appends a part; all but the first have a comma before them.
    #[inline]
    pub fn part(&self, out: &mut Vec<u8>, is_first: bool, subject: Subject, text: &[u8]) {
        if !is_first {
            out.push(b',');
        }
        self.before_text.append(out, subject);
        if let Some(after_text) = &self.after_text {
            out.extend_from_slice(text);
            after_text.append(out, subject);
        }
    }

    /// Ends the frame that began there, and says in its header how long it has become.
    #[inline]
    pub fn finish(&self, out: &mut Vec<u8>, start: usize) {
        out.extend_from_slice(&self.tail);
        let payload_bytes = out.len() - start - self.header_bytes;
        frame::set_client_length(out, start, self.header_bytes, payload_bytes);
    }
}

/// Puts a template together from left to right.
#[derive(Debug)]
pub struct TemplateBuilder {
    head: Vec<u8>,
    before_text: Piece,
    after_text: Option<Piece>,
    tail: Vec<u8>,
}

impl TemplateBuilder {
    /// A request of this type, whose data begins and ends with this.
    pub fn new(request_type: &str, opening: &str, closing: &str) -> Self {
        let mut head = ID_PREFIX.to_vec();
        head.extend_from_slice(&[b'0'; ID_DIGITS]);
        head.extend_from_slice(format!(r#"","type":"{request_type}","data":"{opening}"#).as_bytes());
        let tail = format!(r#"{closing}"}}"#).into_bytes();
        Self { head, before_text: Piece::default(), after_text: None, tail }
    }

    /// Adds JSON text to the part; the data is itself a string.
    pub fn json(mut self, json: &str) -> Self {
        let piece = self.piece();
        for byte in json.bytes() {
            if matches!(byte, b'"' | b'\\') {
                piece.bytes.push(b'\\');
            }
            piece.bytes.push(byte);
        }
        self
    }

    /// Adds the digits of the part's collection.
    pub fn collection(mut self, width: usize) -> Self {
        let piece = self.piece();
        piece.collection = Some(piece.digits(width));
        self
    }

    /// Adds the digits of the part's document or key.
    pub fn name(mut self, width: usize) -> Self {
        let piece = self.piece();
        piece.name = Some(piece.digits(width));
        self
    }

    /// Adds the digits of the part's timestamp.
    pub fn timestamp(mut self, width: usize) -> Self {
        let piece = self.piece();
        piece.timestamp = Some(piece.digits(width));
        self
    }

    /// Adds the place of the part's text, which comes escaped twice.
    pub fn text(mut self) -> Self {
        self.after_text = Some(Piece::default());
        self
    }

    /// Ends the template of a request with so many parts, whose texts have this length as a rule.
    pub fn finish(self, parts: u32, text_bytes: usize) -> Template {
        let Self { head: request, before_text, after_text, tail } = self;
        let after = after_text.as_ref().map_or(0, |after| after.bytes.len() + text_bytes);
        let part_bytes = before_text.bytes.len() + after + 1;
        let usual_bytes = request.len() + parts as usize * part_bytes + tail.len();
        let mut head = Vec::new();
        frame::push_client_header(&mut head, frame::TEXT, usual_bytes);
        let header_bytes = head.len();
        head.extend_from_slice(&request);
        Template { head, header_bytes, before_text, after_text, parts, tail }
    }

    fn piece(&mut self) -> &mut Piece {
        self.after_text.as_mut().unwrap_or(&mut self.before_text)
    }
}

impl Piece {
    fn digits(&mut self, width: usize) -> Digits {
        let at = self.bytes.len();
        self.bytes.resize(at + width, b'0');
        Digits { at, width }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::frame::FrameHeader;

    fn insertion(parts: u32, text_bytes: usize) -> Template {
        let builder = TemplateBuilder::new("ins", "[", "]").json(r#"{"ts":"#).timestamp(13);
        let builder = builder.json(r#","doc":"doc"#).name(3).json(r#"","data":""#).text();
        builder.json(r#"","col":"col"#).collection(1).json(r#""}"#).finish(parts, text_bytes)
    }

    fn append(template: &Template, out: &mut Vec<u8>, texts: &[&str]) {
        let start = template.begin(out, 42);
        for (index, text) in texts.iter().enumerate() {
            let index_in_time = index as u64;
            let (name, timestamp) = (19 + index_in_time, 1_700_000_000_000 + index_in_time);
            template.part(out, index == 0, Subject { collection: 7, name, timestamp }, text.as_bytes());
        }
        template.finish(out, start);
    }

    fn read(frame: &[u8]) -> (Value, Value) {
        let header = FrameHeader::read(frame).unwrap();
        assert!(header.masked && header.fin && header.opcode == frame::TEXT);
        assert_eq!(frame[header.header_bytes - 4..header.header_bytes], [0; 4]);
        let payload = &frame[header.header_bytes..];
        assert_eq!(payload.len() as u64, header.payload_bytes);
        let request: Value = serde_json::from_slice(payload).unwrap();
        let data = serde_json::from_str(request["data"].as_str().unwrap()).unwrap();
        (request, data)
    }

    #[test]
    fn a_frame_is_a_masked_request_with_its_numbers_and_texts() {
        let mut out = b"before".to_vec();
        append(&insertion(2, 4), &mut out, &[r#"{\\\"a\\\":1}"#, ""]);
        let (request, records) = read(&out[6..]);
        assert_eq!((&request["id"], &request["type"]), (&json!("000000000042"), &json!("ins")));
        assert_eq!(
            records,
            json!([
                {"ts": 1_700_000_000_000_u64, "doc": "doc019", "data": "{\"a\":1}", "col": "col7"},
                {"ts": 1_700_000_000_001_u64, "doc": "doc020", "data": "", "col": "col7"},
            ])
        );
    }

    #[test]
    fn a_frame_of_another_length_than_usual_has_the_header_that_it_needs() {
        for usual in [0, 50, 200, 70_000, 200_000] {
            for actual in [0, 20, 30, 50, 200, 65_300, 65_600, 100_000] {
                let mut out = b"before".to_vec();
                append(&insertion(1, usual), &mut out, &[&"x".repeat(actual)]);
                append(&insertion(1, usual), &mut out, &["y"]);
                let header = FrameHeader::read(&out[6..]).unwrap();
                let end = 6 + header.header_bytes + header.payload_bytes as usize;
                assert_eq!(read(&out[6..end]).1[0]["data"].as_str().unwrap().len(), actual);
                assert_eq!(read(&out[end..]).1[0]["data"], "y");
                let mut least = Vec::new();
                frame::push_client_header(&mut least, frame::TEXT, header.payload_bytes as usize);
                assert_eq!(header.header_bytes, least.len(), "{usual} {actual}");
            }
        }
    }
}
