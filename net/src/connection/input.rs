//! The receiving half of a connection: bytes to frames to messages, each carried out before the next is looked at.
//!
//! Bytes are received into a buffer that all connections of the core share. What is left of it after the complete
//! messages, the beginning of another, is kept in the connection's own buffer until the rest is there. A connection whose
//! window is full, or whose turn is over, takes nothing more for now.

use crate::core::compression::Decompressor;
use crate::core::counters::{Refusal, Wait};
use crate::core::peers::{Peer, SharedPeer};
use crate::core::state::Core;
use crate::core::turns::Turn;
use crate::limits::{IDLE_BUFFER_BYTES, PADDING_BYTES, UNAUTHENTICATED_MESSAGE_BYTES_MAX};
use crate::requests::long::LongStep;
use crate::serve::message::{self, LongMessage};
use crate::wire::deflate::{InflateError, Inflater, Inflating};
use crate::wire::extension::Agreement;
use crate::wire::frame::{Event, FrameError, FrameLimits, FrameReader, Step};

/// Bytes of input that count as much of a turn as a small request.
const BYTES_PER_COST: usize = 1024;

/// The state of the input after a run over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All complete messages were carried out.
    Drained,
    /// The window is full; the rest waits.
    Full,
    /// The turn is over; there is more to do.
    TurnOver,
}

/// A compressed message, and what it is taken apart with.
struct Unpacking {
    inflating: Inflating,
    inflater: Inflater,
    is_text: bool,
}

/// All that has been received of one connection and not been carried out yet.
#[derive(Default)]
pub struct Input {
    reader: FrameReader,
    /// Bytes that were received and not yet used, with no padding behind.
    received: Vec<u8>,
    /// A message that is being read in steps.
    long: Option<LongMessage>,
    /// A compressed message that is being taken apart in steps.
    inflating: Option<Box<Unpacking>>,
    decompressor: Option<Box<Decompressor>>,
    /// The peer broke the protocol, or was told to go: what else it sends is not looked at.
    deaf: bool,
}

impl Input {
    /// Begins with what came behind the handshake.
    pub fn new(received: Vec<u8>, deflate: Option<Agreement>) -> Input {
        let decompressor = deflate.map(|agreement| Box::new(Decompressor::new(agreement)));
        Input { received, reader: FrameReader::new(deflate.is_some()), decompressor, ..Input::default() }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let long = self.long.as_ref().map_or(0, |long| long.records.bytes());
        let inflating = self.inflating.as_ref().map_or(0, |unpacking| unpacking.inflating.bytes());
        let decompressor = self.decompressor.as_ref().map_or(0, |decompressor| decompressor.held_bytes());
        self.received.capacity() + self.reader.held_bytes() + long + inflating + decompressor
    }

    /// Forgets what is long, now that the connection is ending; what is short may be the peer's close frame.
    pub fn shrink(&mut self) {
        (self.long, self.inflating) = (None, None);
        if self.bytes() > IDLE_BUFFER_BYTES {
            *self = Input { deaf: true, ..Input::default() };
        }
    }

    /// Takes bytes that were received into `buffer[..count]`, which has padding behind.
    pub fn receive(
        &mut self,
        core: &Core,
        peer: &SharedPeer,
        buffer: &mut [u8],
        count: usize,
        turn: &mut Turn,
    ) {
        if self.received.is_empty() && self.long.is_none() && self.inflating.is_none() {
            let (used, _) = self.use_bytes(core, peer, buffer, count, turn);
            self.received.extend_from_slice(&buffer[used..count]);
        } else {
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Goes on with what was received earlier.
    pub fn go_on(&mut self, core: &Core, peer: &SharedPeer, turn: &mut Turn) -> Progress {
        if !self.step_kept(core, peer, turn) {
            return Progress::TurnOver;
        }
        if self.received.is_empty() {
            return if self.deaf { Progress::Drained } else { admission(core, peer) };
        }
        let mut buffer = std::mem::take(&mut self.received);
        let count = buffer.len();
        buffer.resize(count + PADDING_BYTES, 0);
        let (used, progress) = self.use_bytes(core, peer, &mut buffer, count, turn);
        buffer.truncate(count);
        // While a long message comes in nothing is used, and its buffer is left to grow by doubling.
        if used > 0 {
            buffer.drain(..used);
            buffer.shrink_to(if buffer.is_empty() { 0 } else { IDLE_BUFFER_BYTES });
        }
        self.received = buffer;
        progress
    }

    /// Goes on with a message that is compressed or long; false if the turn is over before it is done with.
    fn step_kept(&mut self, core: &Core, peer: &SharedPeer, turn: &mut Turn) -> bool {
        while let Some(mut unpacking) = self.inflating.take() {
            let Some(decompressor) = &mut self.decompressor else { break };
            let is_wanted = !self.deaf && !peer.borrow().outbox.is_closing();
            let bytes_max = limits(core, peer).message_bytes_max;
            let step = match is_wanted {
                true => unpacking.inflating.step(&mut unpacking.inflater, bytes_max),
                false => Ok(true),
            };
            turn.look();
            match step {
                Ok(false) if turn.is_over() => {
                    self.inflating = Some(unpacking);
                    return false;
                }
                Ok(false) => self.inflating = Some(unpacking),
                Ok(true) => {
                    decompressor.take_back(&core.compression, unpacking.inflater);
                    if is_wanted {
                        self.take_inflated(core, peer, unpacking.is_text, &unpacking.inflating.message, turn);
                    }
                }
                Err(InflateError::TooBig) => self.fail(core, peer, &FrameError::TooBig),
                Err(InflateError::Malformed) => self.fail(core, peer, &FrameError::NotInflatable),
            }
        }
        self.long.is_none() || self.step_long(core, peer, turn)
    }

    fn take_inflated(
        &mut self,
        core: &Core,
        peer: &SharedPeer,
        is_text: bool,
        message: &[u8],
        turn: &mut Turn,
    ) {
        if !is_text {
            return refuse_binary(core, &mut peer.borrow_mut());
        }
        if std::str::from_utf8(message).is_err() {
            return self.fail(core, peer, &FrameError::NotUtf8);
        }
        self.long = message::take(core, &mut peer.borrow_mut(), message, turn);
    }

    /// Begins to take a compressed message apart.
    fn unpack(&mut self, core: &Core, is_text: bool, compressed: Vec<u8>) {
        if let Some(decompressor) = &mut self.decompressor {
            let inflater = decompressor.inflater(&core.compression);
            let inflating = Inflating::new(compressed);
            self.inflating = Some(Box::new(Unpacking { inflating, inflater, is_text }));
        }
    }

    /// Goes on reading a long message; false if the turn is over before it is read.
    fn step_long(&mut self, core: &Core, peer: &SharedPeer, turn: &mut Turn) -> bool {
        while let Some(mut long) = self.long.take() {
            if peer.borrow().outbox.is_closing() {
                break;
            }
            let step = long.records.step(&mut core.decoder.borrow_mut());
            turn.look();
            match step {
                Ok(LongStep::More) if turn.is_over() => {
                    self.long = Some(long);
                    return false;
                }
                Ok(LongStep::More) => self.long = Some(long),
                Ok(LongStep::Done(packets)) => {
                    message::take_long(core, &mut peer.borrow_mut(), long, Ok(packets));
                }
                Err(misread) => message::take_long(core, &mut peer.borrow_mut(), long, Err(misread)),
            }
        }
        true
    }

    /// Carries out the messages in `buffer[..count]`, which has padding behind. Gives how many bytes are done with.
    fn use_bytes(
        &mut self,
        core: &Core,
        peer: &SharedPeer,
        buffer: &mut [u8],
        count: usize,
        turn: &mut Turn,
    ) -> (usize, Progress) {
        let mut used = 0;
        while used < count && !self.deaf {
            match admission(core, peer) {
                Progress::Drained if turn.is_over() => return (used, Progress::TurnOver),
                Progress::Drained => {}
                full => return (used, full),
            }
            match self.reader.next(&mut buffer[used..count], &limits(core, peer)) {
                Ok(Step::NeedMore { .. }) => break,
                Ok(Step::Frame { consumed, event }) => {
                    self.take_event(core, peer, event, &mut buffer[used..], turn);
                    used += consumed;
                    turn.spend(1 + consumed / BYTES_PER_COST);
                }
                Err(error) => self.fail(core, peer, &error),
            }
            if self.long.is_some() || self.inflating.is_some() {
                // It comes before all that is behind it.
                turn.look();
                return (used, if self.step_kept(core, peer, turn) { continue } else { Progress::TurnOver });
            }
        }
        (if self.deaf { count } else { used }, Progress::Drained)
    }

    /// Takes one event; `buffer` begins where the frame did.
    fn take_event(
        &mut self,
        core: &Core,
        peer: &SharedPeer,
        event: Event,
        buffer: &mut [u8],
        turn: &mut Turn,
    ) {
        let peer = &mut *peer.borrow_mut();
        match event {
            Event::Close(code, _) => {
                peer.peer_closed = true;
                core.abandon(peer.outbox.close_now(code.map(u16::from), ""));
                self.deaf = true;
            }
            _ if peer.outbox.is_closing() => drop(self.reader.take_message()),
            Event::Text(range) => self.long = message::take(core, peer, &buffer[range], turn),
            Event::Assembled => {
                let message = self.reader.take_message();
                self.long = message::take(core, peer, &message, turn);
            }
            Event::Deflated(is_text, range) => self.unpack(core, is_text, buffer[range].to_vec()),
            Event::AssembledDeflated(is_text) => {
                let compressed = self.reader.take_message();
                self.unpack(core, is_text, compressed);
            }
            Event::Binary(_) | Event::AssembledBinary => {
                drop(self.reader.take_message());
                refuse_binary(core, peer);
            }
            Event::Ping(range) => peer.outbox.pong(&buffer[range]),
            Event::Pong(_) | Event::Continue => {}
        }
    }

    fn fail(&mut self, core: &Core, peer: &SharedPeer, error: &FrameError) {
        let peer = &mut *peer.borrow_mut();
        if !peer.outbox.is_closing() {
            core.counters.refusal(Refusal::Protocol);
            let code = u16::from(error.close_code());
            core.abandon(peer.outbox.close_now(Some(code), &error.to_string()));
        }
        self.deaf = true;
    }
}

fn refuse_binary(core: &Core, peer: &mut Peer) {
    core.counters.refusal(Refusal::Protocol);
    peer.outbox.close_after_replies(1003, "only text messages are taken");
}

/// Whether a further message may be carried out: `Drained` if so. What a connection that is ending still sends is looked
/// through for its close frame.
fn admission(core: &Core, peer: &SharedPeer) -> Progress {
    let peer = peer.borrow();
    let wait = if peer.outbox.is_closing() {
        return Progress::Drained;
    } else if !peer.outbox.admits() {
        Wait::Window
    } else if peer.writes && core.storage.holds_writers_back() {
        Wait::Storage
    } else {
        return Progress::Drained;
    };
    core.counters.wait(wait);
    Progress::Full
}

/// The longest message that is taken: a short one from a peer that has not said who it is, or that is to go.
fn limits(core: &Core, peer: &SharedPeer) -> FrameLimits {
    let peer = peer.borrow();
    let is_known = peer.identity.key.is_some() && !peer.outbox.is_closing();
    let bytes = if is_known { usize::MAX } else { UNAUTHENTICATED_MESSAGE_BYTES_MAX };
    FrameLimits { message_bytes_max: core.options.message_bytes_max.min(bytes) }
}
