//! Locks by key.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::places::{Held, Places};

/// The locks that somebody holds or waits for.
pub(super) struct Locks<K>(Places<K, Arc<Mutex<()>>>);

/// The lock of a key, held until this is dropped; see
/// [`Registry::lock`](super::Registry::lock).
#[must_use = "the lock is held for as long as this is"]
pub struct RegistryLock<K> {
    _guard: OwnedMutexGuard<()>,
    place: Held<K, Arc<Mutex<()>>>,
}

impl<K> Locks<K> {
    pub(super) fn new() -> Self {
        Self(Places::new())
    }

    pub(super) async fn lock(&self, key: K) -> RegistryLock<K>
    where
        K: Hash + Eq,
    {
        let place = self.0.hold(key);
        let mutex = Arc::clone(place.content());
        RegistryLock {
            _guard: mutex.lock_owned().await,
            place,
        }
    }
}

impl<K> RegistryLock<K> {
    /// The key.
    pub fn key(&self) -> &K {
        self.place.key()
    }
}

impl<K: fmt::Debug> fmt::Debug for RegistryLock<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegistryLock").field(self.key()).finish()
    }
}
