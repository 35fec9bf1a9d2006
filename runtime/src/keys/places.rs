//! A table by keys of the user's, which are hashed, compared and dropped while
//! no lock is held.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::caught::Quiet;

/// The places, by the hashes of their keys.
type Buckets<K, T> = DashMap<u64, Vec<Quiet<Place<K, T>>>, RandomState>;

/// A place for each key that somebody holds.
pub(super) struct Places<K, T> {
    buckets: Arc<Buckets<K, T>>,
    hasher: RandomState,
}

struct Place<K, T> {
    key: K,
    content: T,
    hash: u64,
    // Invariant: grows from zero only under the lock of its bucket, where it
    // stays as long as this is more.
    holders: AtomicUsize,
}

/// A place that is held: it is there for as long.
pub(super) struct Held<K, T> {
    place: Quiet<Place<K, T>>,
    home: Weak<Buckets<K, T>>,
}

impl<K, T> Places<K, T> {
    pub(super) fn new() -> Self {
        Self {
            buckets: Arc::default(),
            hasher: RandomState::default(),
        }
    }

    /// The place of a key, if somebody holds it.
    pub(super) fn find<Q>(&self, key: &Q) -> Option<Held<K, T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let bucket = self.bucket(self.hasher.hash_one(key));
        bucket.into_iter().find(|held| held.key().borrow() == key)
    }

    /// The place of a key; a new one, if nobody holds it.
    pub(super) fn hold(&self, mut key: K) -> Held<K, T>
    where
        K: Hash + Eq,
        T: Default,
    {
        let hash = self.hasher.hash_one(&key);
        loop {
            let mut known = self.bucket(hash);
            if let Some(at) = known.iter().position(|held| *held.key() == key) {
                return known.swap_remove(at);
            }
            match self.add(hash, key, &known) {
                Ok(held) => return held,
                Err(back) => key = back,
            }
        }
    }

    /// All places, in no order.
    pub(super) fn all(&self) -> Vec<Held<K, T>> {
        let mut all = Vec::new();
        for bucket in self.buckets.iter() {
            all.extend(bucket.iter().map(|place| self.held(place)));
        }
        all
    }

    /// The places with this hash of their keys. Mostly there is one, which needs
    /// no room on the heap.
    fn bucket(&self, hash: u64) -> SmallVec<[Held<K, T>; 1]> {
        let Some(bucket) = self.buckets.get(&hash) else {
            return SmallVec::new();
        };
        bucket.iter().map(|place| self.held(place)).collect()
    }

    /// A new place, unless there are some that were not compared with the key.
    fn add(&self, hash: u64, key: K, compared: &[Held<K, T>]) -> Result<Held<K, T>, K>
    where
        T: Default,
    {
        let is_known = |place: &Quiet<_>| compared.iter().any(|held| held.place.ptr_eq(place));
        let mut bucket = self.buckets.entry(hash).or_default();
        if !bucket.iter().all(is_known) {
            return Err(key);
        }
        let place = Quiet::new(Arc::new(Place {
            key,
            content: T::default(),
            hash,
            holders: AtomicUsize::new(0),
        }));
        let held = self.held(&place);
        bucket.push(place);
        Ok(held)
    }

    /// Under the lock of its bucket.
    fn held(&self, place: &Quiet<Place<K, T>>) -> Held<K, T> {
        place.holders.fetch_add(1, Ordering::AcqRel);
        Held {
            place: place.clone(),
            home: Arc::downgrade(&self.buckets),
        }
    }
}

impl<K, T> Held<K, T> {
    pub(super) fn key(&self) -> &K {
        &self.place.key
    }

    pub(super) fn content(&self) -> &T {
        &self.place.content
    }
}

impl<K, T> Clone for Held<K, T> {
    fn clone(&self) -> Self {
        // Not from zero.
        self.place.holders.fetch_add(1, Ordering::AcqRel);
        Self {
            place: self.place.clone(),
            home: self.home.clone(),
        }
    }
}

impl<K, T> Drop for Held<K, T> {
    fn drop(&mut self) {
        if self.place.holders.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if let Some(home) = self.home.upgrade() {
            drop(take_unheld(&home, &self.place));
        }
    }
}

/// Takes a place out of its bucket, unless somebody holds it by now or it was
/// taken.
fn take_unheld<K, T>(
    buckets: &Buckets<K, T>,
    place: &Quiet<Place<K, T>>,
) -> Option<Quiet<Place<K, T>>> {
    let Entry::Occupied(mut bucket) = buckets.entry(place.hash) else {
        return None;
    };
    if place.holders.load(Ordering::Acquire) > 0 {
        return None;
    }
    let places = bucket.get_mut();
    let at = places.iter().position(|other| other.ptr_eq(place))?;
    let taken = places.swap_remove(at);
    if places.is_empty() {
        bucket.remove();
    }
    Some(taken)
}

impl<K, T> fmt::Debug for Places<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

impl<K, T> fmt::Debug for Held<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
