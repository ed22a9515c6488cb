//! Cursors as clients see them: opaque text that says of which life of the server, of which collection on how many shards,
//! and before which change of that shard's order a subscription stands.
//!
//! A cursor is good for what it was given for only: the mark in it is that of its epoch and collection. Number 0 stands
//! before everything: nothing can be resumed from it, as from the cursors that are given out before a snapshot is whole.

/// The number of a cursor that nothing can be resumed from.
pub(super) const UNUSABLE: u64 = 0;

/// The mark of a collection in an epoch.
pub(super) fn mark(epoch: u64, collection: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = collection.bytes().fold(epoch ^ 0xcbf2_9ce4_8422_2325, fold);
    let mixed = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

/// Appends a cursor.
pub(super) fn write(out: &mut Vec<u8>, mark: u64, number: u64) {
    out.extend_from_slice(format!("{mark:x}-{number}").as_bytes());
}

/// Reads a cursor: its mark and its number.
pub(super) fn read(text: &str) -> Option<(u64, u64)> {
    let (mark, number) = text.split_once('-')?;
    let is_plain = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if !is_plain(mark, 16) || !is_plain(number, 10) {
        return None;
    }
    Some((u64::from_str_radix(mark, 16).ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = mark(7, "fleet");
        let mut out = Vec::new();
        write(&mut out, mark, 18251);
        assert_eq!(read(std::str::from_utf8(&out).unwrap()), Some((mark, 18251)));
        for text in ["", "-", "a-", "-1", "+1-1", "g-1", "a-1x", "a--1", "a-99999999999999999999999", "ä-1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn epochs_and_collections_have_marks_of_their_own() {
        assert_ne!(mark(1, "a"), mark(2, "a"));
        assert_ne!(mark(1, "a"), mark(1, "b"));
    }
}
