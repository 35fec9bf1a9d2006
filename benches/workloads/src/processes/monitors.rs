//! Ends that are told to monitors.

use std::time::Duration;

use resurgam::{Context, Message, Node, monitor, spawn, spawn_monitor};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// A process ends that many watch.
pub(super) async fn monitors_on_one(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (begun, told) = (Tally::leak(), Tally::leak());
        let watched = spawn(|mut ctx: Context<()>| async move {
            ctx.receive().await;
        })
        .expect(ROOM);
        let pid = watched.pid().expect("a pid");
        for _ in 0..count {
            let watcher = spawn(move |mut ctx: Context<()>| async move {
                monitor(pid);
                begun.add();
                if let Message::Down(_) = ctx.receive().await {
                    told.add();
                }
            });
            watcher.expect(ROOM);
        }
        begun.reached(count).await;
        let began = Instant::now();
        watched.cast(());
        told.reached(count).await;
        began.elapsed()
    })
    .await
}

/// Many processes are told to end; the driver watches all of them.
pub(super) async fn monitors_by_one(node: &Node, count: u64) -> Duration {
    in_process(node, move |mut ctx: Context<()>| async move {
        let begun = Tally::leak();
        let watched = move |mut ctx: Context<()>| async move {
            begun.add();
            ctx.receive().await;
        };
        let all: Vec<_> = (0..count)
            .map(|_| spawn_monitor(watched).expect(ROOM).0)
            .collect();
        begun.reached(count).await;
        let began = Instant::now();
        for process in &all {
            process.cast(());
        }
        for _ in 0..count {
            ctx.receive().await;
        }
        began.elapsed()
    })
    .await
}
