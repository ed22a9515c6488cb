//! Random numbers that are the same in every run.

/// SplitMix64: random enough, and the same everywhere. Its content is the seed.
pub struct Random(pub u64);

impl Random {
    /// The next number, of all that there are.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and isn't iterated over")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `bound`, of the same type.
    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, bound: N) -> N {
        let bound = bound.try_into().ok().expect("a bound above 0");
        N::try_from(self.next() % bound).ok().expect("less than the bound")
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
