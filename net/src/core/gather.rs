//! Requests that go to every core: the parts are collected here, and the reply is made when all are there.
//! One table a core; an entry lives until its last part has come, also when its connection is gone by then.

use crate::core::outbox::Source;
use crate::core::ticket::{Reservation, StreamAddress};
use crate::wire::reply;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::collections::VecDeque;

/// The form of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but the id, once all have done their part.
    Acknowledgement,
    /// The items of all parts, in a list that stands between these two texts.
    List(Cow<'static, str>, &'static str),
}

/// A part of an answer: its bytes, or the first of them. That of an acknowledgement is empty, or says what is wrong.
pub struct Part {
    /// The bytes.
    pub payload: Vec<u8>,
    /// Where the rest is to be had.
    pub rest: Option<StreamAddress>,
    /// Its share of the connection's window, until the answer is made.
    pub reservation: Reservation,
}

/// A request whose parts are coming in.
pub struct Gathering {
    /// The request's id.
    pub id: Box<str>,
    /// The form of the answer.
    pub shape: Shape,
    parts: Vec<Part>,
    reservations: Vec<Reservation>,
    missing: usize,
    /// A part of an acknowledgement that failed says why.
    failure: Option<Vec<u8>>,
}

/// The gatherings of one core.
#[derive(Default)]
pub struct Gatherings {
    next_number: u32,
    open: HashMap<u32, Gathering>,
}

/// A complete answer.
pub enum Answer {
    /// In one piece.
    Whole(Vec<u8>),
    /// In pieces from these sources, closed by the suffix.
    Pieces(VecDeque<Source>, &'static [u8]),
}

impl Gatherings {
    /// Begins one that waits for `part_count` parts.
    pub fn open(&mut self, id: &str, shape: Shape, part_count: usize) -> u32 {
        assert!(part_count > 0);
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let gathering = Gathering {
            id: id.into(),
            shape,
            parts: Vec::new(),
            reservations: Vec::new(),
            missing: part_count,
            failure: None,
        };
        let clash = self.open.insert(number, gathering);
        assert!(clash.is_none());
        number
    }

    /// Adds a part; gives the gathering when it was the last.
    pub fn add(&mut self, number: u32, part: Part) -> Option<Gathering> {
        let gathering = self.open.get_mut(&number)?;
        gathering.reservations.push(part.reservation);
        if gathering.shape != Shape::Acknowledgement {
            gathering.parts.push(part);
        } else if !part.payload.is_empty() {
            gathering.failure = Some(part.payload);
        }
        gathering.missing -= 1;
        if gathering.missing > 0 { None } else { self.open.remove(&number) }
    }
}

impl Gathering {
    /// The shares that its parts had of the connection's window.
    pub fn reservations(&self) -> impl Iterator<Item = Reservation> {
        self.reservations.iter().copied()
    }

    /// Makes the reply.
    pub fn answer(self) -> Answer {
        if let Some(wrong) = &self.failure {
            return Answer::Whole(reply::error(&self.id, &String::from_utf8_lossy(wrong)));
        }
        let mut head = Vec::new();
        reply::put_id(&mut head, &self.id);
        let Shape::List(before, after) = self.shape else {
            head.push(b'}');
            return Answer::Whole(head);
        };
        head.extend_from_slice(before.as_bytes());
        let parts = self.parts.into_iter().filter(|part| !part.payload.is_empty() || part.rest.is_some());
        let mut sources = VecDeque::new();
        for (index, mut part) in parts.enumerate() {
            if index > 0 {
                part.payload.insert(0, b',');
            }
            sources.push_back(Source { ready: Some(part.payload), rest: part.rest, pulled: false });
        }
        if sources.iter().any(|source| source.rest.is_some()) {
            sources.push_front(Source { ready: Some(head), rest: None, pulled: false });
            return Answer::Pieces(sources, after.as_bytes());
        }
        for source in sources {
            head.extend(source.ready.into_iter().flatten());
        }
        head.extend_from_slice(after.as_bytes());
        Answer::Whole(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ticket::StreamId;

    fn part(payload: &[u8]) -> Part {
        Part { payload: payload.to_vec(), rest: None, reservation: Reservation { bytes: 1, alone: false } }
    }

    fn list() -> Shape {
        Shape::List(",\"collections\":[".into(), "]}")
    }

    #[test]
    fn lists_are_joined_and_empty_parts_leave_no_comma() {
        let mut gatherings = Gatherings::default();
        let number = gatherings.open("i\"d", list(), 4);
        assert!(gatherings.add(number, part(b"")).is_none());
        assert!(gatherings.add(number, part(b"\"a\"")).is_none());
        assert!(gatherings.add(number, part(b"")).is_none());
        let Some(done) = gatherings.add(number, part(b"\"b\",\"c\"")) else { panic!("all parts are there") };
        let Answer::Whole(text) = done.answer() else { panic!("no part has a rest") };
        assert_eq!(text, br#"{"id":"i\"d","collections":["a","b","c"]}"#);
    }

    #[test]
    fn a_part_with_a_rest_makes_it_come_in_pieces() {
        let mut gatherings = Gatherings::default();
        let number = gatherings.open("i", list(), 2);
        gatherings.add(number, Part { rest: Some((1, StreamId(5))), ..part(b"\"a\"") });
        let Some(done) = gatherings.add(number, part(b"\"b\"")) else { panic!("all parts are there") };
        assert_eq!(done.reservations().map(|reservation| reservation.bytes).sum::<usize>(), 2);
        let Answer::Pieces(sources, suffix) = done.answer() else { panic!("a part has a rest") };
        let ready: Vec<_> = sources.iter().map(|s| s.ready.clone().unwrap_or_default()).collect();
        assert_eq!(
            ready,
            [b"{\"id\":\"i\",\"collections\":[".to_vec(), b"\"a\"".to_vec(), b",\"b\"".to_vec()]
        );
        assert_eq!(suffix, b"]}");
    }

    #[test]
    fn an_acknowledgement_comes_with_the_last_part() {
        let mut gatherings = Gatherings::default();
        let number = gatherings.open("i", Shape::Acknowledgement, 2);
        assert!(gatherings.add(number, part(b"")).is_none());
        let Some(done) = gatherings.add(number, part(b"")) else { panic!("all parts are there") };
        let Answer::Whole(text) = done.answer() else { panic!("it has no parts") };
        assert_eq!(text, br#"{"id":"i"}"#);
    }

    #[test]
    fn an_acknowledgement_with_a_failed_part_is_an_error() {
        let mut gatherings = Gatherings::default();
        let number = gatherings.open("i", Shape::Acknowledgement, 2);
        assert!(gatherings.add(number, part(b"disk full")).is_none());
        let Some(done) = gatherings.add(number, part(b"")) else { panic!("all parts are there") };
        let Answer::Whole(text) = done.answer() else { panic!("it has no parts") };
        assert_eq!(text, br#"{"id":"i","error":"disk full"}"#);
    }
}
