//! What a key can hold.

use std::collections::VecDeque;

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

/// A list; both ends are cheap.
pub type List = VecDeque<Bytes>;
/// A set; a random member is as cheap to find as a given one.
pub type Set = IndexSet<Bytes>;
/// Fields and their values, in the order in which the fields came.
pub type Hash = IndexMap<Bytes, Bytes>;

/// The value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Bytes, or a number as text.
    String(Bytes),
    /// What `LPUSH` makes.
    List(List),
    /// What `SADD` makes.
    Set(Set),
    /// What `HSET` makes.
    Hash(Hash),
}

impl Value {
    /// The answer to `TYPE`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
        }
    }

    /// Whether it is a collection without elements. Redis keeps no such keys.
    pub fn is_hollow(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
        }
    }
}

/// One of the types of value, so that a command can ask for the one it works on.
pub trait Kind: Default + Into<Value> {
    /// The value, if it is of this kind.
    fn of(value: &Value) -> Option<&Self>;
    /// The value, to be changed, if it is of this kind.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
}

macro_rules! kind {
    ($kind:ty, $variant:ident) => {
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::$variant(value)
            }
        }

        impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(value) = value {
                    Some(value)
                } else {
                    None
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(value) = value {
                    Some(value)
                } else {
                    None
                }
            }
        }
    };
}

kind!(Bytes, String);
kind!(List, List);
kind!(Set, Set);
kind!(Hash, Hash);

/// Reads a 64-bit integer as Redis does: no blank, no `+`, no leading zero.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let canonical = match text {
        [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] => text,
        _ => return None,
    };
    std::str::from_utf8(canonical).ok()?.parse().ok()
}

/// Copies bytes that are to be kept.
///
/// What a client sent is a window on the buffer it was read into. A store that
/// kept the window would keep the whole buffer.
pub fn kept(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::parse_integer;

    #[test]
    fn integers_have_one_spelling() {
        for number in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1x",
            "9223372036854775808",
        ] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
