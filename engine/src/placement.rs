//! Which shard owns a collection.
//!
//! The router and the loader must agree, in every version and on every machine, so the hash is written out here with a
//! fixed seed instead of taken from a library, and the tests pin its values: changing one moves data on disk.

/// The number of a shard, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub usize);

/// The shard of a collection among `shard_count` of them.
pub fn shard_of(collection: &str, shard_count: usize) -> ShardId {
    assert!(shard_count > 0, "a server has at least one shard");
    if shard_count == 1 {
        return ShardId(0);
    }
    let product = u128::from(hash(collection.as_bytes())) * shard_count as u128;
    ShardId((product >> 64) as usize)
}

/// FNV-1a, then the final mix of MurmurHash3, so that every bit of the name reaches the high bits that choose the shard.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data on disk lies where these say. If this test fails, the function is wrong, not the test.
    #[test]
    fn the_hash_never_changes() {
        let golden: [(&str, u64); 5] = [
            ("", 0xefd0_1f60_ba99_2926),
            ("a", 0x82a2_a958_a9be_ce5b),
            ("sensors", 0x3163_5d61_a5a8_7214),
            ("users/42", 0x3c4e_7c73_f0f1_68c5),
            ("größe", 0x2eb8_95f5_6869_eaa1),
        ];
        for (name, value) in golden {
            assert_eq!(
                hash(name.as_bytes()),
                value,
                "{name:?} now hashes to {:#018x}",
                hash(name.as_bytes())
            );
        }
        let shards = |count| ["a", "sensors", "users/42"].map(|name| shard_of(name, count).0);
        assert_eq!((shards(1), shards(2), shards(8)), ([0, 0, 0], [1, 0, 0], [4, 1, 1]));
    }

    #[test]
    fn names_spread_evenly() {
        let mut counts = [0usize; 7];
        for number in 0..7000 {
            counts[shard_of(&format!("collection-{number}"), 7).0] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
