//! [`Few`]: a map that mostly holds nothing or one entry, which then lies in
//! it.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::vec;

use foldhash::fast::FixedState;

/// A map that is walked in the order of its keys.
#[derive(Clone, Debug, Default)]
pub(crate) enum Few<K, V> {
    #[default]
    None,
    One(K, V),
    #[allow(
        clippy::box_collection,
        reason = "the map is small while it holds little"
    )]
    Many(Box<HashMap<K, V, FixedState>>),
}

impl<K: Ord + Hash, V> Few<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::None => {
                *self = Self::One(key, value);
                None
            }
            Self::One(one, held) if *one == key => Some(mem::replace(held, value)),
            Self::One(..) => {
                if let Self::One(one, held) = mem::take(self) {
                    *self = Self::Many(Box::new([(one, held), (key, value)].into_iter().collect()));
                }
                None
            }
            Self::Many(map) => map.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::One(one, _) if one == key => match mem::take(self) {
                Self::One(_, held) => Some(held),
                Self::None | Self::Many(_) => None,
            },
            Self::None | Self::One(..) => None,
            Self::Many(map) => {
                let held = map.remove(key);
                if map.is_empty() {
                    *self = Self::None;
                }
                held
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::One(one, held) if one == key => Some(held),
            Self::None | Self::One(..) => None,
            Self::Many(map) => map.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::One(one, held) if one == key => Some(held),
            Self::None | Self::One(..) => None,
            Self::Many(map) => map.get_mut(key),
        }
    }

    pub(crate) fn iter(&self) -> Walk<(&K, &V)> {
        match self {
            Self::None => Walk::One(None),
            Self::One(key, value) => Walk::One(Some((key, value))),
            Self::Many(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                Walk::Many(entries.into_iter())
            }
        }
    }
}

impl<K: Ord, V> IntoIterator for Few<K, V> {
    type Item = (K, V);
    type IntoIter = Walk<(K, V)>;

    fn into_iter(self) -> Walk<(K, V)> {
        match self {
            Self::None => Walk::One(None),
            Self::One(key, value) => Walk::One(Some((key, value))),
            Self::Many(map) => {
                let mut entries: Vec<_> = map.into_iter().collect();
                entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                Walk::Many(entries.into_iter())
            }
        }
    }
}

/// The entries of a [`Few`], in the order of their keys.
pub(crate) enum Walk<T> {
    One(Option<T>),
    Many(vec::IntoIter<T>),
}

impl<T> Iterator for Walk<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Self::One(one) => one.take(),
            Self::Many(entries) => entries.next(),
        }
    }
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests {
    use std::collections::BTreeMap;

    use super::Few;

    /// Every sequence of eight operations on three keys.
    #[test]
    fn few_is_a_map() {
        const OPERATIONS: u32 = 6;
        for sequence in 0..OPERATIONS.pow(8) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            let mut rest = sequence;
            for step in 0..8 {
                let (key, inserts) = (rest % 3, rest % OPERATIONS < 3);
                rest /= OPERATIONS;
                if inserts {
                    assert_eq!(few.insert(key, step), map.insert(key, step));
                } else {
                    assert_eq!(few.remove(&key), map.remove(&key));
                }
                assert_eq!(few.get(&0), map.get(&0));
                assert_eq!(few.get_mut(&1), map.get_mut(&1));
            }
            assert!(few.iter().eq(map.iter()));
            assert!(few.into_iter().eq(map));
        }
    }
}
