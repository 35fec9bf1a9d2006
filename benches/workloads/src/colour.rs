//! [`Colour`]: what the creatures of *chameneos* change.

/// The colour of a creature.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Yellow.
    Yellow,
    /// Blue.
    Blue,
    /// Red.
    Red,
}

impl Colour {
    /// The colour that a creature is born with.
    pub fn of(number: u64) -> Self {
        match number % 3 {
            0 => Self::Yellow,
            1 => Self::Blue,
            _ => Self::Red,
        }
    }

    /// The colour after a meeting: the same if both had the same, else the
    /// third.
    pub fn after(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yellow, Self::Blue) | (Self::Blue, Self::Yellow) => Self::Red,
            (Self::Yellow, Self::Red) | (Self::Red, Self::Yellow) => Self::Blue,
            (Self::Blue, Self::Red) | (Self::Red, Self::Blue) => Self::Yellow,
            (same, _) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Colour::{Blue, Red, Yellow};

    #[test]
    fn the_third_colour_comes_of_two_others() {
        assert_eq!(Yellow.after(Blue), Red);
        assert_eq!(Blue.after(Yellow), Red);
        assert_eq!(Red.after(Yellow), Blue);
        assert_eq!(Red.after(Red), Red);
    }
}
