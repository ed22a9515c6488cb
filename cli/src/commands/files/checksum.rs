//! Checksums of files: CRC-32 finds what a disk or a copy damages. It is no proof against intent.

use serde::{Deserialize, Serialize};

/// The length and checksum of all bytes written or read so far.
#[derive(Clone, Debug, Default)]
pub struct Checksum {
    bytes: u64,
    hasher: crc32fast::Hasher,
}

/// The length and checksum that a manifest holds of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub bytes: u64,
    pub crc32: String,
}

impl Checksum {
    /// The checksum of these bytes.
    pub fn of(bytes: &[u8]) -> Checksum {
        let mut checksum = Checksum::default();
        checksum.add(bytes);
        checksum
    }

    /// Goes on with more.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    /// The sum of all so far.
    pub fn sum(&self) -> Sum {
        Sum { bytes: self.bytes, crc32: format!("{:08x}", self.hasher.clone().finalize()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_good_as_the_whole() {
        let mut checksum = Checksum::of(b"1234");
        checksum.add(b"56789");
        assert_eq!(checksum.sum(), Sum { bytes: 9, crc32: "cbf43926".into() });
    }
}
