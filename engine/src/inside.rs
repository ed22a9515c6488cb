//! For programs that look inside: fuzz targets. No promise is made of it.

use crate::json::{escape_some, escape_with};
use crate::vectors::Method;

/// A text escaped by each method that this CPU has, the plainest first: at once, and in pieces of about `room` bytes.
pub fn escape_each_way(text: &[u8], room: usize) -> Vec<[Vec<u8>; 2]> {
    let escape = |method| {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        escape_with(method, &mut whole, text);
        let mut rest = text;
        while !rest.is_empty() {
            rest = &rest[escape_some(method, &mut pieces, rest, room.max(1))..];
        }
        [whole, pieces]
    };
    Method::all().into_iter().map(escape).collect()
}
