//! Who hears of the changes of a registry.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use crate::caught::{PanicPayload, discard_payload, guarded};
use crate::pid::Pid;
use crate::process_ref::ProcessRef;

/// What happened in a registry.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryChange<'a, K, V> {
    /// A process was put under a key.
    Registered {
        /// The key.
        key: &'a K,
        /// The process.
        pid: Pid,
        /// What it is registered with.
        value: &'a V,
    },
    /// A process is under a key no more, since it took itself away or ended.
    Unregistered {
        /// The key.
        key: &'a K,
        /// The process.
        pid: Pid,
    },
}

/// Tells a process. What it calls and holds is the user's.
pub(super) struct Listener<K, V>(Box<Tell<K, V>>);

type Tell<K, V> = dyn Fn(RegistryChange<'_, K, V>) -> Hearing + Send + Sync;

/// Whether a listener is to be told again.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Hearing {
    Listens,
    Ended,
}

impl<K, V> Listener<K, V> {
    pub(super) fn new<M: Send + 'static>(
        process: ProcessRef<M>,
        wrap: impl Fn(RegistryChange<'_, K, V>) -> M + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(move |change| {
            if process.has_ended() {
                return Hearing::Ended;
            }
            process.cast(wrap(change));
            Hearing::Listens
        }))
    }

    /// One whose `wrap` panics is told no more.
    pub(super) fn tell(&self, change: RegistryChange<'_, K, V>) -> Hearing {
        let told = panic::catch_unwind(AssertUnwindSafe(|| (self.0)(change)));
        told.unwrap_or_else(give_up)
    }
}

fn give_up(payload: PanicPayload) -> Hearing {
    discard_payload(payload);
    guarded(
        || tracing::warn!(target: "resurgam::registry", "listener panicked; it is told no more"),
    );
    Hearing::Ended
}

impl<K, V> fmt::Debug for Listener<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
