//! What stands in for links: tasks that are aborted with their set, or that
//! end when the channel to the one before them closes.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::in_task;
use crate::{OnEnd, Tally};

/// A task ends, and the set of those that it spawned with it.
pub(super) async fn links_ending(count: u64) -> Duration {
    in_task(async move {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        let (hub, ordered) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let mut linked = JoinSet::new();
            let mut senders = Vec::new();
            for _ in 0..count {
                let (sender, messages) = mpsc::unbounded_channel();
                linked.spawn(wait(messages, begun, ended));
                senders.push(sender);
            }
            drop(ordered.await);
            drop(linked);
        });
        begun.reached(count).await;
        let began = Instant::now();
        drop(hub);
        ended.reached(count).await;
        began.elapsed()
    })
    .await
}

async fn wait(
    mut messages: mpsc::UnboundedReceiver<()>,
    begun: &'static Tally,
    ended: &'static Tally,
) {
    let _on_end = OnEnd(ended);
    begun.add();
    messages.recv().await;
}

/// The first task of a row is told to end; each hears that the one before it
/// has ended.
pub(super) async fn chain(count: u64) -> Duration {
    in_task(async move {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        let (first, mut before) = oneshot::channel();
        let mut senders = Vec::new();
        for _ in 0..count {
            let (alive, after) = oneshot::channel::<()>();
            let heard = std::mem::replace(&mut before, after);
            let (sender, messages) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                // The one after hears its end.
                let _alive = alive;
                tokio::select! {
                    _ended = heard => {}
                    () = wait(messages, begun, ended) => {}
                }
            });
            senders.push(sender);
        }
        begun.reached(count).await;
        let began = Instant::now();
        drop(first);
        ended.reached(count).await;
        began.elapsed()
    })
    .await
}
