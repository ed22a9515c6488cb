//! A request encoded once, as the frame that goes over the wire, with the places of the digits that change.
//!
//! Invariant: every changing part has a fixed width, so that patching never moves a byte and never changes a length.

use crate::frame;

/// Digits of a request's id. The id is the first member, so that replies and self-test find it at a fixed place.
pub const ID_DIGITS: usize = 12;

/// Bytes before the id in a request, and in a reply of a server that repeats it first.
pub const ID_PREFIX: &[u8] = br#"{"id":""#;

const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

/// The place of a decimal number in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    at: usize,
    width: usize,
}

impl Digits {
    /// Writes a number with leading zeros; one that needs more digits than there are is a bug of the caller.
    #[inline]
    pub fn write(self, frame: &mut [u8], value: u64) {
        let mut left = value;
        let mut pairs = frame[self.at..self.at + self.width].rchunks_exact_mut(2);
        for pair in &mut pairs {
            let index = (left % 100) as usize * 2;
            pair.copy_from_slice(&PAIRS[index..index + 2]);
            left /= 100;
        }
        if let [digit] = pairs.into_remainder() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        assert!(left == 0, "{value} needs more than {} digits", self.width);
    }
}

/// Where one record, entry or query names what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// The collection's number.
    pub collection: Option<Digits>,
    /// The document's or key's number.
    pub name: Option<Digits>,
    /// The record's time.
    pub timestamp: Option<Digits>,
}

/// A whole frame and its changing places.
#[derive(Clone, Debug)]
pub struct Template {
    frame: Vec<u8>,
    id: Digits,
    parts: Vec<Part>,
}

impl Template {
    /// The records of an insertion, or the one part of another request.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Appends the frame with this id and returns it, for its parts to be patched.
    #[inline]
    pub fn append<'out>(&self, out: &'out mut Vec<u8>, id: u64) -> &'out mut [u8] {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        self.id.write(frame, id);
        frame
    }
}

/// Puts a template together from left to right.
#[derive(Debug)]
pub struct TemplateBuilder {
    payload: Vec<u8>,
    parts: Vec<Part>,
}

impl TemplateBuilder {
    /// A request of this type; what follows is its data.
    pub fn new(request_type: &str) -> Self {
        let mut payload = ID_PREFIX.to_vec();
        payload.extend_from_slice(&[b'0'; ID_DIGITS]);
        payload.extend_from_slice(format!(r#"","type":"{request_type}","data":""#).as_bytes());
        Self { payload, parts: Vec::new() }
    }

    /// Begins the next part.
    pub fn part(&mut self) -> &mut Self {
        self.parts.push(Part::default());
        self
    }

    /// Adds JSON text to the data, which is itself a string.
    pub fn text(&mut self, json: &str) -> &mut Self {
        for byte in json.bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.payload.push(b'\\');
            }
            self.payload.push(byte);
        }
        self
    }

    /// Adds the digits of the part's collection.
    pub fn collection(&mut self, width: usize) -> &mut Self {
        self.current().collection = Some(Digits { at: self.payload.len(), width });
        self.digits(width)
    }

    /// Adds the digits of the part's document or key.
    pub fn name(&mut self, width: usize) -> &mut Self {
        self.current().name = Some(Digits { at: self.payload.len(), width });
        self.digits(width)
    }

    /// Adds the digits of the part's timestamp.
    pub fn timestamp(&mut self, width: usize) -> &mut Self {
        self.current().timestamp = Some(Digits { at: self.payload.len(), width });
        self.digits(width)
    }

    /// Closes the request and puts the frame's header before it, which moves every place by the same distance.
    pub fn finish(mut self) -> Template {
        self.payload.extend_from_slice(br#""}"#);
        let mut frame = Vec::with_capacity(self.payload.len() + 14);
        frame::push_client_header(&mut frame, frame::TEXT, self.payload.len());
        let header_bytes = frame.len();
        frame.extend_from_slice(&self.payload);
        for part in &mut self.parts {
            for digits in [&mut part.collection, &mut part.name, &mut part.timestamp].into_iter().flatten() {
                digits.at += header_bytes;
            }
        }
        let id = Digits { at: header_bytes + ID_PREFIX.len(), width: ID_DIGITS };
        Template { frame, id, parts: self.parts }
    }

    fn digits(&mut self, width: usize) -> &mut Self {
        self.payload.resize(self.payload.len() + width, b'0');
        self
    }

    fn current(&mut self) -> &mut Part {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameHeader;

    fn two_records() -> Template {
        let mut builder = TemplateBuilder::new("ins");
        builder.text("[");
        for index in 0..2 {
            builder.part().text(if index == 0 { "" } else { "," });
            builder.text(r#"{"ts":"#).timestamp(13).text(r#","doc":"doc"#).name(3).text(r#"","col":"col"#);
            builder.collection(1).text(r#"","data":"x"}"#);
        }
        builder.text("]");
        builder.finish()
    }

    #[test]
    fn a_patched_frame_is_a_masked_request_with_the_new_numbers() {
        let template = two_records();
        let mut out = b"before".to_vec();
        let frame = template.append(&mut out, 42);
        for (index, part) in template.parts().iter().enumerate() {
            part.collection.unwrap().write(frame, 7);
            part.name.unwrap().write(frame, 19 + index as u64);
            part.timestamp.unwrap().write(frame, 1_700_000_000_000 + index as u64);
        }
        let frame = &out[6..];
        assert_eq!(frame.len(), template.frame.len());
        let header = FrameHeader::read(frame).unwrap();
        assert!(header.masked && header.fin && header.opcode == frame::TEXT);
        assert_eq!(frame[header.header_bytes - 4..header.header_bytes], [0; 4]);
        let payload = &frame[header.header_bytes..];
        assert_eq!(payload.len() as u64, header.payload_bytes);
        let request: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(request["id"], "000000000042");
        assert_eq!(request["type"], "ins");
        let records: serde_json::Value = serde_json::from_str(request["data"].as_str().unwrap()).unwrap();
        assert_eq!(
            records,
            serde_json::json!([
                {"ts": 1_700_000_000_000_u64, "doc": "doc019", "col": "col7", "data": "x"},
                {"ts": 1_700_000_000_001_u64, "doc": "doc020", "col": "col7", "data": "x"},
            ])
        );
    }

    #[test]
    fn patching_one_frame_leaves_the_template_and_other_frames_alone() {
        let template = two_records();
        let mut out = Vec::new();
        template.append(&mut out, 1);
        let first = out.clone();
        let second = template.append(&mut out, 2);
        template.parts()[0].timestamp.unwrap().write(second, 9);
        assert!(out.starts_with(&first));
    }

    #[test]
    fn digits_of_every_width_are_written_whole() {
        for width in 1..=19 {
            let mut frame = vec![b'-'; width + 2];
            let value = 9_876_543_210_123_456_789_u64 % 10_u64.pow(width as u32);
            Digits { at: 1, width }.write(&mut frame, value);
            assert_eq!(String::from_utf8(frame).unwrap(), format!("-{value:0width$}-"));
        }
    }

    #[test]
    #[should_panic(expected = "more than 2 digits")]
    fn a_number_that_does_not_fit_is_refused() {
        Digits { at: 0, width: 2 }.write(&mut [b'0'; 2], 100);
    }
}
