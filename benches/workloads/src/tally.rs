//! [`Tally`]: how many of many have come to some point.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::Notify;

/// Counts, and wakes the one who waits for a number.
///
/// One increment per count: as cheap as it can be for those who are measured.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    /// The number that somebody waits for; 0 if nobody does.
    awaited: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// A tally that lives for ever, so that nobody pays for counting references
    /// to it.
    pub fn leak() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Counts one more; how many there are now.
    pub fn add(&self) -> u64 {
        let count = 1 + self.count.fetch_add(1, SeqCst);
        if count == self.awaited.load(SeqCst) {
            self.reached.notify_one();
        }
        count
    }

    /// Waits until there are `count`. One may wait at a time.
    pub async fn reached(&self, count: u64) {
        self.awaited.store(count, SeqCst);
        // Whoever counts up to the number after this look sees that it is
        // awaited. A notice that was left from before makes one look more.
        while self.count.load(SeqCst) < count {
            self.reached.notified().await;
        }
    }
}

/// Counts when it is dropped: the end of whatever holds it.
#[derive(Debug)]
pub struct OnEnd(pub &'static Tally);

impl Drop for OnEnd {
    fn drop(&mut self) {
        self.0.add();
    }
}
