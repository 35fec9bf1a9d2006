//! What stands in for monitors: a channel that closes, and a set of tasks.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// A task ends whose channel many watch.
pub(super) async fn monitors_on_one(count: u64) -> Duration {
    in_task(async move {
        let (begun, told) = (Tally::leak(), Tally::leak());
        let (watched, mut messages) = mpsc::unbounded_channel();
        let (alive, watch) = watch::channel(());
        tokio::spawn(async move {
            messages.recv().await;
            drop(alive);
        });
        for _ in 0..count {
            let mut watch = watch.clone();
            tokio::spawn(async move {
                begun.add();
                if watch.changed().await.is_err() {
                    told.add();
                }
            });
        }
        begun.reached(count).await;
        let began = Instant::now();
        watched.send(()).expect(OPEN);
        told.reached(count).await;
        began.elapsed()
    })
    .await
}

/// Many tasks are told to end; the driver waits for all of them.
pub(super) async fn monitors_by_one(count: u64) -> Duration {
    in_task(async move {
        let begun = Tally::leak();
        let mut watched = JoinSet::new();
        let mut spawn = |_| {
            let (sender, mut messages) = mpsc::unbounded_channel::<()>();
            watched.spawn(async move {
                begun.add();
                messages.recv().await;
            });
            sender
        };
        let all: Vec<_> = (0..count).map(&mut spawn).collect();
        begun.reached(count).await;
        let began = Instant::now();
        for task in &all {
            task.send(()).expect(OPEN);
        }
        while watched.join_next().await.is_some() {}
        began.elapsed()
    })
    .await
}
