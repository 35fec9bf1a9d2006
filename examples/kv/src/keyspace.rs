//! The keys of one partition, their values, and when they expire.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::error::Error;
use crate::time::UnixTime;
use crate::value::{Kind, Value, kept};

/// Keys with their values.
///
/// A key whose time is over is gone for whoever asks for it by name; it is
/// dropped then, or by the next [`sweep`](Self::sweep).
#[derive(Debug, Default)]
pub struct Keyspace {
    entries: IndexMap<Bytes, Entry>,
    // Invariant: holds the deadline of each entry that has one, and no other.
    deadlines: BTreeSet<(UnixTime, Bytes)>,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    deadline: Option<UnixTime>,
}

impl Entry {
    fn is_over(&self, now: UnixTime) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl Keyspace {
    /// The number of keys, counting those that are over but not yet swept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of keys that will expire.
    pub fn volatile_len(&self) -> usize {
        self.deadlines.len()
    }

    /// The value of a key, whatever it is.
    pub fn get(&mut self, key: &[u8], now: UnixTime) -> Option<&Value> {
        self.drop_if_over(key, now);
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of a key that holds a `K`.
    ///
    /// # Errors
    ///
    /// The key holds something else.
    pub fn find<K: Kind>(&mut self, key: &[u8], now: UnixTime) -> Result<Option<&K>, Error> {
        self.get(key, now)
            .map(|value| K::of(value).ok_or(Error::WRONG_TYPE))
            .transpose()
    }

    /// The value of a key that holds a `K`, to be changed.
    ///
    /// Whoever may have emptied it calls [`bury_if_hollow`](Self::bury_if_hollow).
    ///
    /// # Errors
    ///
    /// The key holds something else.
    pub fn find_mut<K: Kind>(
        &mut self,
        key: &[u8],
        now: UnixTime,
    ) -> Result<Option<&mut K>, Error> {
        self.drop_if_over(key, now);
        let entry = self.entries.get_mut(key);
        entry
            .map(|entry| K::of_mut(&mut entry.value).ok_or(Error::WRONG_TYPE))
            .transpose()
    }

    /// As [`find_mut`](Self::find_mut), but makes an empty `K` of a key that is not there.
    ///
    /// # Errors
    ///
    /// The key holds something else.
    pub fn find_or_create<K: Kind>(&mut self, key: &Bytes, now: UnixTime) -> Result<&mut K, Error> {
        self.drop_if_over(key, now);
        let index = match self.entries.get_index_of(key) {
            Some(index) => index,
            None => {
                let entry = Entry {
                    value: K::default().into(),
                    deadline: None,
                };
                self.entries.insert_full(kept(key), entry).0
            }
        };
        K::of_mut(&mut self.entries[index].value).ok_or(Error::WRONG_TYPE)
    }

    /// Sets a key, whatever it was before, to expire at `deadline` if there is one.
    pub fn put(&mut self, key: &Bytes, value: Value, deadline: Option<UnixTime>) {
        match self.entries.get_mut(key) {
            Some(entry) => entry.value = value,
            None => {
                self.entries.insert(
                    kept(key),
                    Entry {
                        value,
                        deadline: None,
                    },
                );
            }
        }
        self.set_deadline(key, deadline);
    }

    /// Takes a key away. Tells whether it was there.
    pub fn remove(&mut self, key: &[u8], now: UnixTime) -> bool {
        self.take(key).is_some_and(|entry| !entry.is_over(now))
    }

    /// Takes a key away if its collection has no element left.
    pub fn bury_if_hollow(&mut self, key: &[u8]) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.value.is_hollow())
        {
            self.take(key);
        }
    }

    /// Takes all keys away.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.deadlines.clear();
    }

    /// When a key expires: `None` if there is no such key.
    pub fn deadline(&mut self, key: &[u8], now: UnixTime) -> Option<Option<UnixTime>> {
        self.drop_if_over(key, now);
        self.entries.get(key).map(|entry| entry.deadline)
    }

    /// Sets or clears the deadline of a key that is there.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixTime>) {
        let Some((_, kept_key, entry)) = self.entries.get_full_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut entry.deadline, deadline);
        if let Some(before) = before {
            self.deadlines.remove(&(before, kept_key.clone()));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, kept_key.clone()));
        }
    }

    /// The keys that are not over, with their values.
    pub fn iter(&self, now: UnixTime) -> impl Iterator<Item = (&Bytes, &Value)> {
        self.slice(0..self.entries.len(), now)
    }

    /// The keys at some of the places `0..len`, those that are over left out.
    ///
    /// A key that is taken away leaves its place to the last key. So who visits
    /// the places from the last to the first meets each key that stays, however
    /// many are added and taken away meanwhile: that is the promise of `SCAN`.
    pub fn slice(
        &self,
        places: Range<usize>,
        now: UnixTime,
    ) -> impl Iterator<Item = (&Bytes, &Value)> {
        let entries = self.entries.get_range(places).into_iter().flatten();
        entries
            .filter(move |(_, entry)| !entry.is_over(now))
            .map(|(key, entry)| (key, &entry.value))
    }

    /// Drops up to `limit` keys that are over, oldest deadline first. Tells how many.
    pub fn sweep(&mut self, limit: usize, now: UnixTime) -> usize {
        let mut swept = 0;
        while swept < limit
            && let Some((deadline, _)) = self.deadlines.first()
            && *deadline <= now
            && let Some((_, key)) = self.deadlines.pop_first()
        {
            self.entries.swap_remove(&key);
            swept += 1;
        }
        swept
    }

    fn drop_if_over(&mut self, key: &[u8], now: UnixTime) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.is_over(now))
        {
            self.take(key);
        }
    }

    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.swap_remove_entry(key)?;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
