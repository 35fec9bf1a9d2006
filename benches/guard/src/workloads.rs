//! What is run to be measured.

mod behaviours;
pub(crate) mod resurgam;
pub(crate) mod tokio;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is still to be done, where many must know it. All runs on one thread,
/// so it goes without read-modify-writes, which are counted.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Counts one as done; whether it was the last.
fn is_last() -> bool {
    let left = LEFT.load(Relaxed).saturating_sub(1);
    LEFT.store(left, Relaxed);
    left == 0
}
