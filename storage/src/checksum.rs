//! Checksums of rows, and the sums of them that say what a table holds.

use crc32fast::Hasher;

/// The checksum of a row's columns, in their order.
pub(crate) struct Checksum(Hasher);

impl Checksum {
    pub(crate) fn new() -> Checksum {
        Checksum(Hasher::new())
    }

    pub(crate) fn number(mut self, number: i64) -> Checksum {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// With its length, so that what ends one column can't begin the next.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Checksum {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn get(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

/// How many rows a table has, and the sum of their checksums: no row can be lost, come back or be put in without a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) count: i64,
    pub(crate) sum: i64,
}

impl Sum {
    pub(crate) fn add(&mut self, checksum: i64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(checksum);
    }

    pub(crate) fn subtract(&mut self, checksum: i64) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(checksum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_do_not_run_into_each_other() {
        let of = |one: &str, two: &str| Checksum::new().bytes(one.as_bytes()).bytes(two.as_bytes()).get();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("", "abc"), of("abc", ""));
        assert_eq!(of("ab", "c"), of("ab", "c"));
    }

    #[test]
    fn a_sum_knows_its_rows() {
        let mut sum = Sum::default();
        [7, 9, i64::MAX].into_iter().for_each(|checksum| sum.add(checksum));
        [9, i64::MAX].into_iter().for_each(|checksum| sum.subtract(checksum));
        assert_eq!(sum, Sum { count: 1, sum: 7 });
    }
}
