//! Replies too large or too long in the making for one step, on the core that owns the data. Each stream holds a
//! snapshot of what is still to be written, and fills one piece at a time.
//!
//! Protocol:
//! 1. A stream fills its piece in steps, a `Continue` to its own core between two, so that other work has
//!    its turn; a full or last piece is sent to the connection's home core.
//! 2. The first piece goes out as `Reply`; each further one only when `Pull` has come.
//! 3. `Abandon` ends a stream; the home core sends it when the connection is gone.

use crate::core::listing::Listing;
use crate::core::message::Message;
use crate::core::ticket::{Asked, CoreIndex, StreamId, Ticket};
use fluxion_engine::{Cursor, PIECE_BYTES, Progress};
use hashbrown::HashMap;

/// The part of a reply that is still to be written.
pub enum Rest {
    /// Of a shard's data.
    Data(Box<Cursor>),
    /// Of a list of the core's own.
    List(Listing),
}

impl Rest {
    fn step(&mut self, out: &mut Vec<u8>, room: usize) -> Progress {
        match self {
            Rest::Data(cursor) => cursor.step(out, room),
            Rest::List(listing) => listing.step(out, room),
        }
    }
}

struct Stream {
    rest: Rest,
    piece: Vec<u8>,
    ticket: Ticket,
    /// Closes the reply behind its last byte.
    suffix: &'static [u8],
    first_sent: bool,
    /// Bytes of the pieces so far.
    bytes: usize,
}

/// The streams of one core.
pub struct Streams {
    core: CoreIndex,
    next_id: u64,
    open: HashMap<StreamId, Stream>,
    completed: Option<(Asked, usize)>,
}

impl Streams {
    /// None yet.
    pub fn new(core: CoreIndex) -> Streams {
        Streams { core, next_id: 0, open: HashMap::new(), completed: None }
    }

    /// Begins a stream whose first bytes are in `piece`; the core is to `advance` it next.
    pub fn open(&mut self, rest: Rest, piece: Vec<u8>, ticket: Ticket, suffix: &'static [u8]) -> StreamId {
        let id = StreamId(self.next_id);
        self.next_id += 1;
        self.open.insert(id, Stream { rest, piece, ticket, suffix, first_sent: false, bytes: 0 });
        id
    }

    /// Takes one step, and gives the message that it leads to and the core to send it to.
    pub fn advance(&mut self, id: StreamId) -> Option<(CoreIndex, Message)> {
        let stream = self.open.get_mut(&id)?;
        let room = PIECE_BYTES.saturating_sub(stream.piece.len());
        let progress = if room == 0 { Progress::More } else { stream.rest.step(&mut stream.piece, room) };
        let last = matches!(progress, Progress::Done);
        if last {
            stream.piece.extend_from_slice(stream.suffix);
        } else if stream.piece.len() < PIECE_BYTES {
            return Some((self.core, Message::Continue(id)));
        }
        let payload = std::mem::take(&mut stream.piece);
        stream.bytes += payload.len();
        self.completed = last.then_some((stream.ticket.asked, stream.bytes));
        let (ticket, first) = (stream.ticket, !stream.first_sent);
        stream.first_sent = true;
        if last {
            self.open.remove(&id);
        }
        let message = if first {
            Message::Reply { ticket, payload, rest: (!last).then_some((self.core, id)) }
        } else {
            Message::Piece { peer: ticket.peer, stream: id, payload, last }
        };
        Some((ticket.peer.core, message))
    }

    /// The request whose stream was completed by the last step, if it was, and how long the reply is.
    pub fn take_completed(&mut self) -> Option<(Asked, usize)> {
        self.completed.take()
    }

    /// Forgets a stream.
    pub fn abandon(&mut self, id: StreamId) {
        self.open.remove(&id);
    }
}
