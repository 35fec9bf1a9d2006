//! Messages that are sent after a time.

use std::time::Duration;

use resurgam::{Context, Node, cancel_timer, self_pid, send_after};
use tokio::time::Instant;

use super::in_process;

const HOUR: Duration = Duration::from_secs(3600);

/// How many timers there are before they are cancelled.
const BATCH: usize = 1_000;

/// Timers are set and cancelled, a batch at a time.
pub(super) async fn timer_cancelled(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let mut timers = Vec::with_capacity(BATCH);
        let began = Instant::now();
        for _ in 0..count / BATCH as u64 {
            timers.extend((0..BATCH).map(|_| send_after(HOUR, self_pid(), ())));
            for timer in timers.drain(..) {
                cancel_timer(timer);
            }
        }
        began.elapsed()
    })
    .await
}

/// Timers are set and fire.
pub(super) async fn timer_fired(node: &Node, count: u64) -> Duration {
    in_process(node, move |mut ctx: Context<()>| async move {
        let began = Instant::now();
        for _ in 0..count {
            send_after(Duration::from_millis(1), ctx.pid(), ());
        }
        for _ in 0..count {
            ctx.receive().await;
        }
        began.elapsed()
    })
    .await
}
