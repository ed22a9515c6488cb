//! The half of a connection that others on its core reach: what is to be sent, what is in flight, who it is.
//! The socket itself belongs to the connection's task (`connection`), which is woken through here.
//! Invariant: replies leave whole and in the order they became ready; while a large one is being sent in
//! fragments, those behind it wait.

use crate::frame;
use crate::keys::{KeyId, Scope};
use crate::limits::{IDLE_BUFFER_BYTES, IN_FLIGHT_MAX, OUT_HIGH_BYTES, WINDOW_BYTES};
use crate::message::{CoreIndex, LinkAddress, ReadingId};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::Waker;
use std::time::Instant;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// One part of a reply that comes in pieces.
pub struct Source {
    /// The piece that is there and not yet sent.
    pub ready: Option<Vec<u8>>,
    /// Where the rest is to be had.
    pub rest: Option<(CoreIndex, ReadingId)>,
    /// A piece was asked for and has not come.
    pub pulled: bool,
}

/// A reply on its way out.
enum Outgoing {
    Whole(Vec<u8>),
    Pieces { sources: VecDeque<Source>, suffix: &'static [u8], started: bool },
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Not at all.
    No,
    /// With this code, once everything asked has been answered.
    AfterReplies(u16, &'static str),
    /// A close frame is in the send buffer, or the peer is gone: nothing else is sent any more.
    Sent,
}

/// Who a connection is.
pub struct Identity {
    /// The peer's address.
    pub ip: IpAddr,
    /// The label it gave itself.
    pub name: Option<String>,
    /// The key it came with; none before a first message under `--legacy-auth`.
    pub key: Option<KeyId>,
    /// What it may do.
    pub scope: Scope,
    /// When it came.
    pub since: Instant,
}

/// The state of a connection that its task shares with its core.
pub struct Link {
    /// Its address for other cores.
    pub address: LinkAddress,
    /// Who it is.
    pub identity: Identity,
    /// Bytes to send; those before `sent` are gone already.
    pub out: Vec<u8>,
    /// How much of `out` has been sent.
    pub sent: usize,
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    in_flight: usize,
    reserved_bytes: usize,
    /// It has sent a mutation: it is not read while a shard has fallen behind.
    pub writes: bool,
    /// How it ends.
    pub closing: Closing,
    /// When the last bytes came from the peer.
    pub received_at: Instant,
    /// A ping is out since the last bytes came.
    pub pinged: bool,
    /// The task is to drop the socket now.
    pub dead: bool,
    /// The peer has sent its close frame: once ours is out, the socket is to be closed.
    pub peer_closed: bool,
    /// When a close frame was queued.
    pub closed_at: Option<Instant>,
    waker: Option<Waker>,
}

impl Link {
    /// A connection that has just been accepted.
    pub fn new(address: LinkAddress, identity: Identity) -> Link {
        Link {
            address,
            received_at: identity.since,
            identity,
            out: Vec::new(),
            sent: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: 0,
            reserved_bytes: 0,
            writes: false,
            closing: Closing::No,
            pinged: false,
            dead: false,
            peer_closed: false,
            closed_at: None,
            waker: None,
        }
    }

    /// Remembers how to wake the connection's task.
    pub fn set_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Lets the connection's task look again.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Bytes that wait to be sent.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether a further request may be read and executed.
    pub fn admits(&self) -> bool {
        self.closing == Closing::No
            && self.in_flight < IN_FLIGHT_MAX
            && self.unsent() < OUT_HIGH_BYTES
            && self.unsent() + self.queued_bytes + self.reserved_bytes < WINDOW_BYTES
    }

    /// Counts a request that another core answers, or this one later.
    pub fn begin(&mut self, reserved_bytes: usize) {
        self.in_flight += 1;
        self.reserved_bytes += reserved_bytes;
    }

    /// Counts its answer.
    pub fn end(&mut self, reserved_bytes: usize) {
        assert!(self.in_flight > 0 && self.reserved_bytes >= reserved_bytes);
        self.in_flight -= 1;
        self.reserved_bytes -= reserved_bytes;
    }

    /// Whether a reply may be encoded straight into `out`.
    pub fn sends_directly(&self) -> bool {
        self.queue.is_empty() && self.closing != Closing::Sent
    }

    /// Sends a whole reply.
    pub fn send(&mut self, payload: Vec<u8>) {
        if self.closing == Closing::Sent {
            return;
        }
        if self.queue.is_empty() {
            frame::put_text(&mut self.out, &payload);
        } else {
            self.queued_bytes += payload.len();
            self.queue.push_back(Outgoing::Whole(payload));
        }
    }

    /// Sends a reply whose parts come in pieces, one source after the other. Gives back the readings to
    /// abandon, when the connection is ending.
    pub fn send_pieces(
        &mut self,
        sources: VecDeque<Source>,
        suffix: &'static [u8],
    ) -> Vec<(CoreIndex, ReadingId)> {
        if self.closing == Closing::Sent {
            return sources.iter().filter_map(|source| source.rest).collect();
        }
        self.queued_bytes += sources.iter().filter_map(|s| s.ready.as_ref()).map(Vec::len).sum::<usize>();
        self.queue.push_back(Outgoing::Pieces { sources, suffix, started: false });
        Vec::new()
    }

    /// Takes a piece that was asked for. False if nobody waits for it.
    pub fn take_piece(&mut self, reading: ReadingId, payload: Vec<u8>, last: bool) -> bool {
        let Some(Outgoing::Pieces { sources, .. }) = self.queue.front_mut() else { return false };
        let Some(source) = sources.front_mut() else { return false };
        if source.rest.is_none_or(|(_, id)| id != reading) {
            return false;
        }
        self.queued_bytes += payload.len();
        source.ready = Some(payload);
        source.pulled = false;
        if last {
            source.rest = None;
        }
        true
    }

    /// Moves what is ready into the send buffer, as far as there is room, and says which piece to ask for.
    pub fn pump(&mut self) -> Option<(CoreIndex, ReadingId)> {
        while self.closing != Closing::Sent && self.out.len() - self.sent < OUT_HIGH_BYTES {
            match self.queue.front_mut() {
                None => {
                    self.close_if_answered();
                    return None;
                }
                Some(Outgoing::Whole(payload)) => {
                    frame::put_text(&mut self.out, payload);
                    self.queued_bytes -= payload.len();
                    self.queue.pop_front();
                }
                Some(Outgoing::Pieces { sources, suffix, started }) => {
                    let Some(source) = sources.front_mut() else {
                        put_fragment(&mut self.out, started, true, suffix);
                        self.queue.pop_front();
                        continue;
                    };
                    if let Some(piece) = source.ready.take() {
                        self.queued_bytes -= piece.len();
                        put_fragment(&mut self.out, started, false, &piece);
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
            self.closed_at = Some(Instant::now());
        }
    }

    /// Ends the connection at once; what is left of large replies is not sent. Gives back what to abandon.
    pub fn close_now(&mut self, code: Option<u16>, reason: &str) -> Vec<(CoreIndex, ReadingId)> {
        if self.closing == Closing::Sent {
            return Vec::new();
        }
        frame::put_close(&mut self.out, code, reason);
        self.closing = Closing::Sent;
        self.closed_at = Some(Instant::now());
        self.drop_queue()
    }

    /// Forgets the replies that wait, and says which readings nobody needs any more.
    pub fn drop_queue(&mut self) -> Vec<(CoreIndex, ReadingId)> {
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

fn put_fragment(out: &mut Vec<u8>, started: &mut bool, last: bool, payload: &[u8]) {
    if payload.is_empty() && !last {
        return;
    }
    let opcode = OpCode::Data(if *started { Data::Continue } else { Data::Text });
    *started = true;
    frame::put_header(out, opcode, last, payload.len());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn link() -> Link {
        let identity = Identity {
            ip: Ipv4Addr::LOCALHOST.into(),
            name: None,
            key: None,
            scope: Scope::Read,
            since: Instant::now(),
        };
        Link::new(LinkAddress { core: 0, slot: 0, generation: 0 }, identity)
    }

    fn source(ready: &[u8], rest: Option<u64>) -> Source {
        Source { ready: Some(ready.to_vec()), rest: rest.map(|id| (0, ReadingId(id))), pulled: false }
    }

    #[test]
    fn a_large_reply_leaves_in_fragments_and_the_next_reply_waits_for_it() {
        let mut link = link();
        assert!(link.send_pieces([source(b"[1", Some(7)), source(b",3", None)].into(), b"]").is_empty());
        link.send(b"next".to_vec());
        assert_eq!(link.pump(), Some((0, ReadingId(7))));
        assert_eq!(link.pump(), None, "a piece is asked for once");
        assert!(link.take_piece(ReadingId(7), b",2".to_vec(), true));
        assert_eq!(link.pump(), None);
        assert_eq!(link.out, b"\x01\x02[1\x00\x02,2\x00\x02,3\x80\x01]\x81\x04next");
        assert!(!link.take_piece(ReadingId(7), b"late".to_vec(), true));
    }

    #[test]
    fn nothing_is_pumped_above_the_high_mark() {
        let mut link = link();
        link.send(vec![b'x'; OUT_HIGH_BYTES]);
        assert!(!link.admits());
        assert!(link.send_pieces([source(b"1", Some(7))].into(), b"").is_empty());
        assert_eq!(link.pump(), None);
        let unsent = link.unsent();
        link.advance(unsent);
        assert_eq!(link.pump(), Some((0, ReadingId(7))));
        assert!(link.admits());
    }

    #[test]
    fn the_window_bounds_what_is_in_flight() {
        let mut link = link();
        for _ in 0..WINDOW_BYTES / (256 * 1024) {
            assert!(link.admits());
            link.begin(256 * 1024);
        }
        assert!(!link.admits());
        link.end(256 * 1024);
        assert!(link.admits());
        for _ in 0..IN_FLIGHT_MAX {
            link.begin(0);
        }
        assert!(!link.admits());
    }

    #[test]
    fn a_close_waits_for_replies_and_nothing_follows_it() {
        let mut link = link();
        link.begin(0);
        link.close_after_replies(1008, "no");
        assert!(link.out.is_empty());
        link.end(0);
        link.send(b"r".to_vec());
        assert_eq!(link.pump(), None);
        assert_eq!(link.out, b"\x81\x01r\x88\x04\x03\xf0no");
        link.send(b"late".to_vec());
        assert_eq!(link.out.len(), 9);
    }

    #[test]
    fn closing_at_once_abandons_what_is_being_read() {
        let mut link = link();
        assert!(link.send_pieces([source(b"1", Some(7)), source(b"2", Some(8))].into(), b"").is_empty());
        assert_eq!(link.close_now(Some(1002), ""), [(0, ReadingId(7)), (0, ReadingId(8))]);
        assert_eq!(link.send_pieces([source(b"1", Some(9))].into(), b""), [(0, ReadingId(9))]);
    }
}
