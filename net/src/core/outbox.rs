//! All that leaves a connection: replies whole and in pieces, pings, pongs, the close frame. It alone holds the bytes
//! that wait, counts them, and says whether a further request may be taken.
//!
//! Invariants:
//! 1. Messages leave whole and in the order they became ready; while a large one is being sent in fragments, those behind
//!    it wait.
//! 2. What a connection holds is counted here: bytes not yet sent, pieces not yet framed, and what its requests under way
//!    have reserved for themselves and for their replies. Over the window it admits no further request.
//! 3. Behind a close frame nothing follows.

use crate::core::compression::Compressor;
use crate::core::ticket::{Reservation, StreamAddress, StreamId};
use crate::limits::{
    DEFLATE_BYTES_MAX, DEFLATE_BYTES_MIN, IDLE_BUFFER_BYTES, IN_FLIGHT_MAX, OUT_HIGH_BYTES,
    PUSH_COPIED_BYTES_MAX, PUSHES_WAITING_BYTES, WINDOW_BYTES,
};
use crate::wire::frame;
use std::collections::VecDeque;
use std::sync::Arc;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// One part of a reply that comes in pieces.
pub struct Source {
    /// The piece that is there and not yet sent.
    pub ready: Option<Vec<u8>>,
    /// Where the rest is to be had.
    pub rest: Option<StreamAddress>,
    /// A piece was asked for and has not come.
    pub pulled: bool,
}

/// A message on its way out.
enum Outgoing {
    Whole(Vec<u8>),
    /// A head and a body that others are sent too.
    Shared {
        head: Box<[u8]>,
        body: Arc<[u8]>,
        /// The part of the body that has been framed.
        framed: usize,
        /// Both are compressed already.
        is_deflated: bool,
    },
    Pieces {
        sources: VecDeque<Source>,
        suffix: &'static [u8],
        started: bool,
    },
}

/// The way in which a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Not at all.
    No,
    /// With this code, once everything asked has been answered.
    AfterReplies(u16, &'static str),
    /// A close frame is in the buffer, or the peer is gone: nothing else is sent any more.
    Sent,
}

/// A reply being written at the end of the send buffer.
pub struct Draft {
    /// The buffer; what is to be sent is appended to it.
    pub bytes: Vec<u8>,
    start: usize,
    header_bytes: usize,
}

impl Draft {
    /// Where the payload begins.
    pub fn payload_start(&self) -> usize {
        self.start + self.header_bytes
    }
}

/// The sending half of a connection.
pub struct Outbox {
    /// Bytes to send; those before `sent` are gone already.
    out: Vec<u8>,
    sent: usize,
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    in_flight: usize,
    reserved_bytes: usize,
    /// A request that is to be alone is under way.
    alone: bool,
    closing: Closing,
    compressor: Option<Box<Compressor>>,
}

impl Outbox {
    /// One that begins with these bytes, the end of the handshake.
    pub fn new(opening: Vec<u8>) -> Outbox {
        Outbox {
            out: opening,
            sent: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: 0,
            reserved_bytes: 0,
            alone: false,
            closing: Closing::No,
            compressor: None,
        }
    }

    /// Compresses what is sent from now on.
    pub fn compress_with(&mut self, compressor: Compressor) {
        self.compressor = Some(Box::new(compressor));
    }

    /// The bytes to send next.
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// Whether anything waits to be sent.
    pub fn has_unsent(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Whether whole replies are all that is to be sent.
    pub fn is_plain(&self) -> bool {
        self.queue.is_empty() && self.closing == Closing::No
    }

    /// Whether a reply waits, in the buffer or before it.
    pub fn is_backlogged(&self) -> bool {
        self.has_unsent() || !self.queue.is_empty()
    }

    /// Bytes that this connection makes the server hold.
    pub fn held_bytes(&self) -> usize {
        let compressor = self.compressor.as_ref().map_or(0, |compressor| compressor.held_bytes());
        self.out.capacity() + self.queued_bytes + self.reserved_bytes + compressor
    }

    /// Requests that have not been answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a further request may be read and executed.
    pub fn admits(&self) -> bool {
        let unsent = self.out.len() - self.sent;
        self.closing == Closing::No
            && !self.alone
            && self.in_flight < IN_FLIGHT_MAX
            && unsent < OUT_HIGH_BYTES
            && unsent + self.queued_bytes + self.reserved_bytes < WINDOW_BYTES
    }

    /// Whether the connection is ending: what else comes from the peer is not carried out.
    pub fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// Whether the last bytes are on their way.
    pub fn is_closed(&self) -> bool {
        self.closing == Closing::Sent
    }

    /// Counts a request that is answered later.
    pub fn begin(&mut self, reservation: Reservation) {
        self.in_flight += 1;
        self.reserved_bytes += reservation.bytes;
        self.alone |= reservation.alone;
    }

    /// Counts its answer.
    pub fn end(&mut self, reservation: Reservation) {
        assert!(self.in_flight > 0 && self.reserved_bytes >= reservation.bytes);
        self.in_flight -= 1;
        self.reserved_bytes -= reservation.bytes;
        // The parts of one request that goes to several cores are all alone, and nothing else is under way with them.
        self.alone &= self.in_flight > 0;
    }

    /// Holds further requests back until those under way are answered.
    pub fn be_alone(&mut self) {
        self.alone = self.in_flight > 0;
    }

    /// Begins a reply right behind what waits to be sent, with room for the header of one that is `long` or not. None
    /// while others wait before it: then it is to be sent whole.
    pub fn draft(&mut self, long: bool) -> Option<Draft> {
        if !self.queue.is_empty() || self.closing == Closing::Sent {
            return None;
        }
        let header_bytes = frame::header_len(if long { 126 } else { 0 });
        let mut bytes = std::mem::take(&mut self.out);
        let start = bytes.len();
        bytes.resize(start + header_bytes, 0);
        Some(Draft { bytes, start, header_bytes })
    }

    /// Sends a reply that was begun.
    pub fn send_draft(&mut self, mut draft: Draft) {
        if self.compressor.is_none() || !self.deflate_draft(&mut draft) {
            frame::patch_text_header(&mut draft.bytes, draft.start, draft.header_bytes);
        }
        self.out = draft.bytes;
    }

    /// Compresses a reply where it was written; false if it is to be sent as it is.
    fn deflate_draft(&mut self, draft: &mut Draft) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        let payload = draft.payload_start();
        if draft.bytes.len() - payload < DEFLATE_BYTES_MIN {
            return false;
        }
        let mut frame = Vec::new();
        let is_deflated = compressor
            .message(&draft.bytes[payload..], |segment| frame::put_deflated_text(&mut frame, segment));
        if is_deflated {
            draft.bytes.truncate(draft.start);
            draft.bytes.extend_from_slice(&frame);
        }
        is_deflated
    }

    /// Gives up a reply that was begun.
    pub fn drop_draft(&mut self, mut draft: Draft) {
        draft.bytes.truncate(draft.start);
        self.out = draft.bytes;
    }

    /// Sends a whole message.
    pub fn send(&mut self, payload: Vec<u8>) {
        if self.closing == Closing::Sent {
            return;
        }
        if self.queue.is_empty() {
            put_text(&mut self.out, &mut self.compressor, &payload);
        } else {
            self.queued_bytes += payload.len();
            self.queue.push_back(Outgoing::Whole(payload));
        }
    }

    /// Sends a message whose body others are sent too. A long one is copied piece by piece, as it is sent.
    pub fn send_shared(&mut self, head: &[u8], body: &Arc<[u8]>) {
        if self.closing == Closing::Sent {
            return;
        }
        let deflated = self.compressor.as_ref().and_then(|compressor| compressor.push(head, body));
        let (is_deflated, head, body) = match &deflated {
            Some((head, body)) => (true, head.as_slice(), body),
            None => (false, head, body),
        };
        let is_copied = is_copied(&self.compressor, is_deflated, body.len());
        if self.queue.is_empty() && is_copied {
            put_shared(&mut self.out, &mut self.compressor, is_deflated, head, body);
        } else {
            self.queued_bytes += head.len() + body.len();
            let (head, body) = (head.into(), body.clone());
            self.queue.push_back(Outgoing::Shared { head, body, framed: 0, is_deflated });
        }
    }

    /// Whether so little waits that subscriptions may be pushed more.
    pub fn has_room_for_pushes(&self) -> bool {
        self.queue.is_empty() && self.out.len() - self.sent < PUSHES_WAITING_BYTES
    }

    /// Sends a reply whose parts come in pieces, one source after the other. Gives back the streams to abandon, when the
    /// connection is ending.
    pub fn send_pieces(&mut self, sources: VecDeque<Source>, suffix: &'static [u8]) -> Vec<StreamAddress> {
        if self.closing == Closing::Sent {
            return sources.iter().filter_map(|source| source.rest).collect();
        }
        self.queued_bytes += sources.iter().filter_map(|s| s.ready.as_ref()).map(Vec::len).sum::<usize>();
        self.queue.push_back(Outgoing::Pieces { sources, suffix, started: false });
        Vec::new()
    }

    /// Takes a piece that was asked for; one that nobody waits for is dropped.
    pub fn take_piece(&mut self, stream: StreamId, payload: Vec<u8>, last: bool) {
        let Some(Outgoing::Pieces { sources, .. }) = self.queue.front_mut() else { return };
        let Some(source) = sources.front_mut() else { return };
        if source.rest.is_none_or(|(_, id)| id != stream) {
            return;
        }
        self.queued_bytes += payload.len();
        source.ready = Some(payload);
        source.pulled = false;
        if last {
            source.rest = None;
        }
    }

    /// Moves what is ready into the send buffer, as far as there is room, and says which piece to ask for.
    pub fn pump(&mut self) -> Option<StreamAddress> {
        while self.closing != Closing::Sent && self.out.len() - self.sent < OUT_HIGH_BYTES {
            match self.queue.front_mut() {
                None => {
                    self.close_if_answered();
                    return None;
                }
                Some(Outgoing::Whole(payload)) => {
                    put_text(&mut self.out, &mut self.compressor, payload);
                    self.queued_bytes -= payload.len();
                    self.queue.pop_front();
                }
                Some(Outgoing::Shared { head, body, is_deflated, .. })
                    if is_copied(&self.compressor, *is_deflated, body.len()) =>
                {
                    put_shared(&mut self.out, &mut self.compressor, *is_deflated, head, body);
                    self.queued_bytes -= head.len() + body.len();
                    self.queue.pop_front();
                }
                Some(Outgoing::Shared { head, body, framed, is_deflated }) => {
                    if self.out.len() - self.sent >= PUSHES_WAITING_BYTES {
                        return None;
                    }
                    let mut started = *framed > 0;
                    if !started {
                        put_fragment(&mut self.out, &mut started, *is_deflated, false, head);
                        self.queued_bytes -= head.len();
                    }
                    let end = body.len().min(*framed + PUSHES_WAITING_BYTES);
                    put_fragment(&mut self.out, &mut started, false, end == body.len(), &body[*framed..end]);
                    self.queued_bytes -= end - *framed;
                    *framed = end;
                    if end == body.len() {
                        self.queue.pop_front();
                    }
                }
                Some(Outgoing::Pieces { sources, suffix, started }) => {
                    let Some(source) = sources.front_mut() else {
                        put_piece(&mut self.out, &mut self.compressor, started, true, suffix);
                        self.queue.pop_front();
                        continue;
                    };
                    if let Some(piece) = source.ready.take() {
                        self.queued_bytes -= piece.len();
                        put_piece(&mut self.out, &mut self.compressor, started, false, &piece);
                    } else if let Some(rest) = source.rest {
                        if source.pulled {
                            return None;
                        }
                        source.pulled = true;
                        return Some(rest);
                    } else {
                        sources.pop_front();
                    }
                }
            }
        }
        None
    }

    /// Sends a ping.
    pub fn ping(&mut self) {
        if self.closing != Closing::Sent {
            frame::put_ping(&mut self.out, b"");
        }
    }

    /// Answers a ping; not when the connection is ending, since a peer that reads nothing could send any number of them.
    pub fn pong(&mut self, payload: &[u8]) {
        if self.closing == Closing::No {
            frame::put_pong(&mut self.out, payload);
        }
    }

    /// Ends the connection with this code after all that it asked has been answered.
    pub fn close_after_replies(&mut self, code: u16, reason: &'static str) {
        if self.closing == Closing::No {
            self.closing = Closing::AfterReplies(code, reason);
            self.close_if_answered();
        }
    }

    fn close_if_answered(&mut self) {
        if let Closing::AfterReplies(code, reason) = self.closing
            && self.in_flight == 0
            && self.queue.is_empty()
        {
            frame::put_close(&mut self.out, Some(code), reason);
            self.closing = Closing::Sent;
        }
    }

    /// Ends the connection at once; what is left of large replies is not sent. Gives back the streams to abandon.
    pub fn close_now(&mut self, code: Option<u16>, reason: &str) -> Vec<StreamAddress> {
        if self.closing == Closing::Sent {
            return Vec::new();
        }
        frame::put_close(&mut self.out, code, reason);
        self.closing = Closing::Sent;
        self.drop_queue()
    }

    /// Ends it without a word, now that the socket is gone. Gives back the streams to abandon.
    pub fn drop_all(&mut self) -> Vec<StreamAddress> {
        self.closing = Closing::Sent;
        (self.out, self.sent) = (Vec::new(), 0);
        self.compressor = None;
        self.drop_queue()
    }

    fn drop_queue(&mut self) -> Vec<StreamAddress> {
        self.queued_bytes = 0;
        let mut abandoned = Vec::new();
        for outgoing in self.queue.drain(..) {
            if let Outgoing::Pieces { sources, .. } = outgoing {
                abandoned.extend(sources.iter().filter_map(|source| source.rest));
            }
        }
        abandoned
    }

    /// Notes that bytes have gone out, and gives memory back.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.out.shrink_to(IDLE_BUFFER_BYTES);
        } else if self.sent >= OUT_HIGH_BYTES {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// Appends a text message, compressed if it is to be and that makes it shorter.
fn put_text(out: &mut Vec<u8>, compressor: &mut Option<Box<Compressor>>, payload: &[u8]) {
    let deflated = compressor.as_mut().is_some_and(|compressor| {
        compressor.message(payload, |segment| frame::put_deflated_text(out, segment))
    });
    if !deflated {
        frame::put_text(out, payload);
    }
}

/// Whether a body that others are sent too is copied for this connection: it is short, or for it alone to compress.
fn is_copied(compressor: &Option<Box<Compressor>>, is_deflated: bool, body_bytes: usize) -> bool {
    let is_compressed_alone = compressor.is_some() && !is_deflated && body_bytes <= DEFLATE_BYTES_MAX;
    body_bytes <= PUSH_COPIED_BYTES_MAX || is_compressed_alone
}

fn put_shared(
    out: &mut Vec<u8>,
    compressor: &mut Option<Box<Compressor>>,
    is_deflated: bool,
    head: &[u8],
    body: &[u8],
) {
    let length = head.len() + body.len();
    if is_deflated {
        frame::put_deflated_header(out, OpCode::Data(Data::Text), true, length);
    } else if compressor.is_some() && length >= DEFLATE_BYTES_MIN {
        // With a window, or with messages before, that are this connection's alone.
        return put_text(out, compressor, &[head, body].concat());
    } else {
        frame::put_header(out, OpCode::Data(Data::Text), true, length);
    }
    out.extend_from_slice(head);
    out.extend_from_slice(body);
}

/// Appends a piece of a reply, compressed if it is to be.
fn put_piece(
    out: &mut Vec<u8>,
    compressor: &mut Option<Box<Compressor>>,
    started: &mut bool,
    last: bool,
    payload: &[u8],
) {
    match compressor {
        None => put_fragment(out, started, false, last, payload),
        Some(_) if payload.is_empty() && !last => {}
        Some(compressor) => {
            compressor.part(payload, last, |segment| put_fragment(out, started, true, last, segment));
        }
    }
}

fn put_fragment(out: &mut Vec<u8>, started: &mut bool, is_deflated: bool, last: bool, payload: &[u8]) {
    if payload.is_empty() && !last {
        return;
    }
    let opcode = OpCode::Data(if *started { Data::Continue } else { Data::Text });
    if is_deflated && !*started {
        frame::put_deflated_header(out, opcode, last, payload.len());
    } else {
        frame::put_header(out, opcode, last, payload.len());
    }
    *started = true;
    out.extend_from_slice(payload);
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
