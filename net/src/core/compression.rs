//! What compresses and takes apart the messages of a core's connections: one of each for all whose messages refer to none
//! before, and those that a connection has for itself.

use crate::limits::{DEFLATE_BYTES_MAX, DEFLATE_BYTES_MIN, DEFLATER_BYTES, INFLATER_BYTES, INFLATERS_KEPT};
use crate::wire::deflate::{Deflater, Inflater, put_stored};
use crate::wire::extension::{Agreement, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;

/// The body of a push, and the segment that it was made into.
type Remembered = Option<(Arc<[u8]>, Arc<[u8]>)>;

/// What the connections of one core share.
#[derive(Default)]
pub struct Compression {
    /// One a window that somebody has asked for.
    deflaters: [RefCell<Option<Deflater>>; WINDOWS],
    inflaters: RefCell<Vec<Inflater>>,
    /// A segment that is being made.
    segment: RefCell<Vec<u8>>,
    push: RefCell<Remembered>,
}

impl Compression {
    /// Something to take a message apart with that refers to none before.
    pub fn inflater(&self) -> Inflater {
        self.inflaters.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes it back.
    pub fn take_back(&self, mut inflater: Inflater) {
        let mut kept = self.inflaters.borrow_mut();
        if kept.len() < INFLATERS_KEPT {
            inflater.forget();
            kept.push(inflater);
        }
    }

    /// Forgets the push that was compressed last, when all have it.
    pub fn forget_push(&self) {
        self.push.replace(None);
    }

    fn put(&self, window_bits: u8, out: &mut Vec<u8>, payload: &[u8], is_last: bool) {
        let place = window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX) - WINDOW_BITS_MIN;
        let mut deflater = self.deflaters[usize::from(place)].borrow_mut();
        let deflater = deflater.get_or_insert_with(|| Deflater::new(window_bits));
        deflater.forget();
        deflater.put(out, payload, is_last);
    }

    /// The last segment of a push, which is made once for all who are sent it.
    fn push(&self, body: &Arc<[u8]>) -> Arc<[u8]> {
        let mut push = self.push.borrow_mut();
        match &*push {
            Some((known, segment)) if Arc::ptr_eq(known, body) => segment.clone(),
            _ => {
                let mut segment = self.segment.borrow_mut();
                segment.clear();
                self.put(WINDOW_BITS_MAX, &mut segment, body, true);
                let made: Arc<[u8]> = segment.as_slice().into();
                *push = Some((body.clone(), made.clone()));
                made
            }
        }
    }
}

/// Compresses what is sent on one connection.
pub struct Compressor {
    shared: Rc<Compression>,
    agreement: Agreement,
    /// Where messages refer to those before.
    own: Option<Box<Deflater>>,
}

impl Compressor {
    /// As agreed.
    pub fn new(shared: Rc<Compression>, agreement: Agreement) -> Compressor {
        Compressor { shared, agreement, own: None }
    }

    /// Memory that it takes.
    pub fn held_bytes(&self) -> usize {
        if self.own.is_some() { DEFLATER_BYTES } else { 0 }
    }

    /// A whole message compressed, given to `send`; false if it is to be sent as it is.
    pub fn message(&mut self, payload: &[u8], send: impl FnOnce(&[u8])) -> bool {
        if !(DEFLATE_BYTES_MIN..=DEFLATE_BYTES_MAX).contains(&payload.len()) {
            return false;
        }
        let shared = self.shared.clone();
        let mut segment = shared.segment.borrow_mut();
        segment.clear();
        self.put(&mut segment, payload, true);
        // What a later message may refer to has to be sent.
        let is_worth_it = segment.len() < payload.len() || self.own.is_some();
        if is_worth_it {
            send(&segment);
        }
        give_back(&mut segment);
        is_worth_it
    }

    /// A part of a message compressed, given to `send`.
    pub fn part(&mut self, payload: &[u8], is_last: bool, send: impl FnOnce(&[u8])) {
        let shared = self.shared.clone();
        let mut segment = shared.segment.borrow_mut();
        segment.clear();
        if payload.len() <= DEFLATE_BYTES_MAX {
            self.put(&mut segment, payload, is_last);
        } else {
            put_stored(&mut segment, payload, is_last);
            if let Some(own) = &mut self.own {
                own.forget();
            }
        }
        send(&segment);
        give_back(&mut segment);
    }

    /// A message whose body others are sent too: its head and its body, compressed. None if it is to be sent as it is, or is
    /// for this connection alone to compress.
    pub fn push(&self, head: &[u8], body: &Arc<[u8]>) -> Option<(Vec<u8>, Arc<[u8]>)> {
        let is_common = !self.agreement.server_takeover && self.agreement.server_bits == WINDOW_BITS_MAX;
        if !is_common || !(DEFLATE_BYTES_MIN..=DEFLATE_BYTES_MAX).contains(&body.len()) {
            return None;
        }
        let segment = self.shared.push(body);
        let mut stored = Vec::with_capacity(head.len() + 8);
        put_stored(&mut stored, head, false);
        (stored.len() + segment.len() < head.len() + body.len()).then_some((stored, segment))
    }

    fn put(&mut self, out: &mut Vec<u8>, payload: &[u8], is_last: bool) {
        let Agreement { server_takeover, server_bits, .. } = self.agreement;
        if server_takeover {
            let own = self.own.get_or_insert_with(|| Box::new(Deflater::new(server_bits)));
            own.put(out, payload, is_last);
        } else {
            self.shared.put(server_bits, out, payload, is_last);
        }
    }
}

fn give_back(segment: &mut Vec<u8>) {
    segment.clear();
    segment.shrink_to(DEFLATE_BYTES_MAX / 4);
}

/// Takes apart what is received on one connection.
pub struct Decompressor {
    /// As agreed.
    pub agreement: Agreement,
    /// Where messages refer to those before.
    own: Option<Box<Inflater>>,
}

impl Decompressor {
    /// As agreed.
    pub fn new(agreement: Agreement) -> Decompressor {
        Decompressor { agreement, own: None }
    }

    /// Memory that it takes.
    pub fn held_bytes(&self) -> usize {
        if self.own.is_some() { INFLATER_BYTES } else { 0 }
    }

    /// What the next message is taken apart with.
    pub fn inflater(&mut self, shared: &Compression) -> Inflater {
        match self.own.take() {
            Some(own) => *own,
            None => shared.inflater(),
        }
    }

    /// Takes it back behind a message.
    pub fn take_back(&mut self, shared: &Compression, inflater: Inflater) {
        if self.agreement.client_takeover {
            self.own = Some(Box::new(inflater));
        } else {
            shared.take_back(inflater);
        }
    }
}
