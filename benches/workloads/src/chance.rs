//! [`Chance`]: a cheap source of random numbers.

/// A sequence of numbers that look random (xorshift), the same in every run.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        // Invariant: never 0, which would stay 0.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, and another one than `other`.
    pub fn other_than(&mut self, other: usize, limit: usize) -> usize {
        let step = 1 + self.next() as usize % (limit - 1);
        (other + step) % limit
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_one_is_never_the_same_and_all_others_come() {
        let mut chance = Chance::new(7);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[chance.other_than(2, 5)] = true;
        }
        assert_eq!(seen, [true, true, false, true, true]);
    }
}
