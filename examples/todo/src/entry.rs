//! Entries of a list, and the words that name lists, entries and days.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: short enough for a file to be called by it.
const LONGEST_NAME: usize = 64;

/// Something to be done on a day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What the entry is called, in its list. Whoever adds it makes the id, so
    /// that an entry added again is known for the same one.
    pub id: EntryId,
    /// The day.
    pub date: Date,
    /// What is to be done.
    pub title: String,
}

/// Why a word names nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is not what a name looks like.
    #[error("name {0:?} must have from 1 to {LONGEST_NAME} bytes and no control characters")]
    Name(String),
    /// It is not what a date looks like, or there is no such day.
    #[error("date {0:?} must be a day, written as 2026-11-22")]
    Date(String),
}

macro_rules! word {
    ($(#[$doc:meta])* $word:ident, $is_valid:path, $error:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $word(String);

        impl $word {
            /// The word as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $word {
            type Error = NameError;

            fn try_from(word: String) -> Result<Self, NameError> {
                if $is_valid(&word) {
                    Ok(Self(word))
                } else {
                    Err($error(word))
                }
            }
        }

        impl From<$word> for String {
            fn from(word: $word) -> Self {
                word.0
            }
        }

        impl fmt::Display for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word! {
    /// What a list is called.
    ListName, is_name, NameError::Name
}

word! {
    /// What an entry is called.
    EntryId, is_name, NameError::Name
}

word! {
    /// A day of the calendar, such as `2026-11-22`.
    Date, is_date, NameError::Date
}

fn is_name(word: &str) -> bool {
    (1..=LONGEST_NAME).contains(&word.len()) && !word.contains(char::is_control)
}

fn is_date(word: &str) -> bool {
    let is_digit = |place: usize| word.as_bytes()[place].is_ascii_digit();
    let is_dash = |place: usize| word.as_bytes()[place] == b'-';
    let has_shape = word.len() == 10
        && (0..10).all(|place| match place {
            4 | 7 => is_dash(place),
            _ => is_digit(place),
        });
    has_shape && is_day(number(&word[..4]), number(&word[5..7]), number(&word[8..]))
}

fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or(0)
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::{Date, ListName};

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        for date in ["2026-11-22", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert!(Date::try_from(date.to_owned()).is_ok(), "{date}");
        }
        for date in [
            "",
            "2026-11-2",
            "2026/11/22",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "2026-01-00",
            "2026-02-29",
            "1900-02-29",
            "2026-1a-01",
            "20261-1-01",
            "2026-11-é",
        ] {
            assert!(Date::try_from(date.to_owned()).is_err(), "{date}");
        }
    }

    #[test]
    fn a_name_is_neither_empty_nor_long_nor_invisible() {
        for name in ["bob", "Bob's list", "..", "a/b", "ü", &"x".repeat(64)] {
            assert!(ListName::try_from(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", "a\0", "a\nb", &"x".repeat(65)] {
            assert!(ListName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
