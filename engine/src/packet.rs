//! An owned copy of a request that can be sent to another core: one allocation of text, and spans into it.
//!
//! A name repeated by consecutive records is held once, so a batch into one document costs its data and little more.
//! Invariant: every span was cut from the packet's own text, on character boundaries.

use crate::request::{Record, Request};

/// A piece of a text arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Appends `text` to the arena and returns where it lies.
    pub(crate) fn push(arena: &mut String, text: &str) -> Self {
        let start = arena.len();
        arena.push_str(text);
        // A message is far shorter than this, and an arena takes the texts of one, or little more.
        assert!(arena.len() <= u32::MAX as usize, "an arena of {} bytes", arena.len());
        Self { start: start as u32, len: text.len() as u32 }
    }

    /// The text in the arena it was cut from.
    pub(crate) fn of(self, arena: &str) -> &str {
        &arena[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// A request that owns its texts.
#[derive(Clone, Debug)]
pub struct Packet {
    text: String,
    request: Request<Span>,
}

impl Packet {
    /// Copies a request.
    pub fn new(request: &Request<&str>) -> Self {
        let mut text = String::with_capacity(text_bytes(request));
        // A record has at most three texts, so the name that repeats is among the last three spans.
        let mut recent = [Span::default(); 3];
        let mut next = 0;
        let spans = request.map(|part| {
            let known = recent.iter().find(|span| span.of(&text) == part).copied();
            let span = known.unwrap_or_else(|| Span::push(&mut text, part));
            recent[next] = span;
            next = (next + 1) % recent.len();
            span
        });
        Self { text, request: spans }
    }

    /// A request whose places are all in this text.
    pub(crate) fn from_parts(text: String, request: Request<Span>) -> Self {
        Self { text, request }
    }

    /// The request, borrowing the packet's text.
    pub fn request(&self) -> Request<&str> {
        self.request.map(|span| span.of(&self.text))
    }

    /// The collection that it is about; of several the first.
    pub fn collection(&self) -> Option<&str> {
        self.request.collection().map(|span| span.of(&self.text))
    }

    /// The request, its texts as places in the packet's text.
    pub(crate) fn spans(&self) -> &Request<Span> {
        &self.request
    }

    /// The text that a span of this packet stands for.
    pub(crate) fn text(&self, span: Span) -> &str {
        span.of(&self.text)
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.item_count() * size_of::<Record<Span>>() + self.text.capacity()
    }
}

/// Enough for all texts of most requests; names that are listed are counted by their first item only.
fn text_bytes(request: &Request<&str>) -> usize {
    match request {
        Request::Insert(records) => {
            let names = records.first().map_or(0, |record| record.collection.len() + record.document.len());
            names + records.iter().map(|record| record.data.len()).sum::<usize>()
        }
        Request::DeleteRecords(keys) => {
            keys.first().map_or(0, |key| key.collection.len() + key.document.len())
        }
        _ => request.text_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RecordKey;

    fn assert_send<T: Send>() {}

    #[test]
    fn a_packet_gives_back_its_request() {
        assert_send::<Packet>();
        let record = |document, ts, data| Record { collection: "c", document, ts, data };
        let requests = [
            Request::Insert(vec![
                record("a", 1, "x"),
                record("a", 2, "ä"),
                record("b", 3, "ä"),
                record("b", 4, ""),
            ]),
            Request::Collections,
            Request::DeleteDocument { document: "d", collection: None },
            Request::SetValue { collection: "c", key: "k", value: "k" },
        ];
        for request in &requests {
            assert_eq!(&Packet::new(request).request(), request);
        }
    }

    #[test]
    fn a_repeated_name_is_held_once() {
        let record = |ts| Record { collection: "collection", document: "document", ts, data: "x" };
        let packet = Packet::new(&Request::Insert((0..100).map(record).collect()));
        assert!(packet.text.len() <= "collectiondocumentx".len());
        let key = |ts| RecordKey { collection: "collection", document: "document", ts };
        let packet = Packet::new(&Request::DeleteRecords((0..100).map(key).collect()));
        assert_eq!(packet.text, "collectiondocument");
    }
}
