//! Replies too large or too long in the making for one step, on the core that owns the data. Each reading
//! holds a cursor, which is a snapshot, and fills one piece at a time.
//!
//! Protocol:
//! 1. A reading fills its piece in steps, a `Continue` to its own core between two, so that other work has
//!    its turn; a full or last piece is sent to the connection's home core.
//! 2. The first piece goes out as `Reply`; each further one only when `Pull` has come.
//! 3. `Abandon` ends a reading; the home core sends it when the connection is gone.

use crate::message::{CoreIndex, Message, ReadingId, Ticket};
use fluxion_engine::{Cursor, PIECE_BYTES, Progress};
use hashbrown::HashMap;

struct Reading {
    cursor: Cursor,
    piece: Vec<u8>,
    ticket: Ticket,
    /// What closes the reply behind the cursor's last byte.
    suffix: &'static [u8],
    first_sent: bool,
}

/// The readings of one core.
pub struct Readings {
    core: CoreIndex,
    next_id: u64,
    open: HashMap<ReadingId, Reading>,
}

impl Readings {
    /// None yet.
    pub fn new(core: CoreIndex) -> Readings {
        Readings { core, next_id: 0, open: HashMap::new() }
    }

    /// Begins a reading whose first bytes are in `piece`; the core is to `advance` it next.
    pub fn open(
        &mut self,
        cursor: Cursor,
        piece: Vec<u8>,
        ticket: Ticket,
        suffix: &'static [u8],
    ) -> ReadingId {
        let id = ReadingId(self.next_id);
        self.next_id += 1;
        self.open.insert(id, Reading { cursor, piece, ticket, suffix, first_sent: false });
        id
    }

    /// Takes one step, and gives the message that it leads to and the core to send it to.
    pub fn advance(&mut self, id: ReadingId) -> Option<(CoreIndex, Message)> {
        let reading = self.open.get_mut(&id)?;
        let room = PIECE_BYTES.saturating_sub(reading.piece.len());
        let progress = if room == 0 { Progress::More } else { reading.cursor.step(&mut reading.piece, room) };
        let last = matches!(progress, Progress::Done);
        if last {
            reading.piece.extend_from_slice(reading.suffix);
        } else if reading.piece.len() < PIECE_BYTES {
            return Some((self.core, Message::Continue(id)));
        }
        let payload = std::mem::take(&mut reading.piece);
        let (ticket, first) = (reading.ticket, !reading.first_sent);
        reading.first_sent = true;
        if last {
            self.open.remove(&id);
        }
        let message = if first {
            Message::Reply { ticket, payload, rest: (!last).then_some((self.core, id)) }
        } else {
            Message::Piece { link: ticket.link, reading: id, payload, last }
        };
        Some((ticket.link.core, message))
    }

    /// Forgets a reading.
    pub fn abandon(&mut self, id: ReadingId) {
        self.open.remove(&id);
    }
}
