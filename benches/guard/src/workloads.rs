//! What is run to be measured.

pub(crate) mod resurgam;
pub(crate) mod tokio;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

/// What is still to be done, where many must know it. All runs on one thread,
/// so it goes without read-modify-writes, which are counted.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Counts one as done; whether it was the last.
fn is_last() -> bool {
    let left = LEFT.load(Relaxed).saturating_sub(1);
    LEFT.store(left, Relaxed);
    left == 0
}

/// Goes to the back of the queue.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
