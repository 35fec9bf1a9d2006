//! Messages that are sent after a time: a task for each, that sleeps.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::in_task;

const HOUR: Duration = Duration::from_secs(3600);

/// How many timers there are before they are cancelled.
const BATCH: usize = 1_000;

/// Timers are set and cancelled, a batch at a time.
pub(super) async fn timer_cancelled(count: u64) -> Duration {
    in_task(async move {
        let (sender, _messages) = unbounded_channel();
        let mut timers = Vec::with_capacity(BATCH);
        let began = Instant::now();
        for _ in 0..count / BATCH as u64 {
            timers.extend((0..BATCH).map(|_| send_after(HOUR, &sender)));
            for timer in timers.drain(..) {
                timer.abort();
            }
            // Lets the aborted tasks go.
            tokio::task::yield_now().await;
        }
        began.elapsed()
    })
    .await
}

/// Timers are set and fire.
pub(super) async fn timer_fired(count: u64) -> Duration {
    in_task(async move {
        let (sender, mut messages) = unbounded_channel();
        let began = Instant::now();
        for _ in 0..count {
            send_after(Duration::from_millis(1), &sender);
        }
        for _ in 0..count {
            messages.recv().await;
        }
        began.elapsed()
    })
    .await
}

fn send_after(after: Duration, sender: &UnboundedSender<()>) -> JoinHandle<()> {
    let sender = sender.clone();
    tokio::spawn(async move {
        sleep(after).await;
        // The driver may have gone.
        sender.send(()).unwrap_or_default();
    })
}
