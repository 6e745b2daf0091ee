//! Random numbers that are the same in each run.

/// Xorshift (Marsaglia 2003).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// `seed` is not zero.
    pub(super) fn new(seed: u64) -> Self {
        assert_ne!(seed, 0, "xorshift has no zero state");
        Self(seed)
    }

    /// From 0 to 1.
    pub(super) fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }

    /// Below `limit`, or 0 if that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
