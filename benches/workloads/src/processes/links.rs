//! Ends that travel along links.

use std::time::Duration;

use resurgam::{Context, ExitReason, Node, exit, link, spawn, spawn_link};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::{OnEnd, Tally};

/// A process ends, and all that it spawned linked with it.
pub(super) async fn links_ending(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        let hub = spawn(move |mut ctx: Context<()>| async move {
            for _ in 0..count {
                spawn_link(move |ctx| wait(ctx, begun, ended)).expect(ROOM);
            }
            ctx.receive().await;
            ExitReason::Shutdown
        });
        begun.reached(count).await;
        let began = Instant::now();
        hub.expect(ROOM).cast(());
        ended.reached(count).await;
        began.elapsed()
    })
    .await
}

/// The first process of a row is told to end; each is linked to the one before
/// it.
pub(super) async fn chain(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        let first = spawn(move |ctx| wait(ctx, begun, ended)).expect(ROOM);
        let first = first.pid().expect("a pid");
        let mut last = first;
        for _ in 1..count {
            let process = spawn(move |ctx| async move {
                link(last);
                wait(ctx, begun, ended).await;
            });
            last = process.expect(ROOM).pid().expect("a pid");
        }
        begun.reached(count).await;
        let began = Instant::now();
        exit(first, ExitReason::Shutdown);
        ended.reached(count).await;
        began.elapsed()
    })
    .await
}

/// Waits for a message that does not come.
async fn wait(mut ctx: Context<()>, begun: &'static Tally, ended: &'static Tally) {
    let _on_end = OnEnd(ended);
    begun.add();
    ctx.receive().await;
}
