//! A number that goes round.

use std::time::Duration;

use resurgam::{Context, Message, Node, ProcessRef, spawn};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// A ring of `length` processes, the driver among them; a number goes round
/// until it has made its laps.
pub(super) async fn ring(node: &Node, length: u64, laps: u64) -> Duration {
    in_process(node, move |mut ctx: Context<u64>| async move {
        let begun = Tally::leak();
        let mut next = ctx.self_ref();
        for _ in 1..length {
            next = spawn(move |ctx| pass_on(ctx, next, begun)).expect(ROOM);
        }
        begun.reached(length - 1).await;
        let began = Instant::now();
        for lap in (1..=laps).rev() {
            next.cast(lap);
            ctx.receive().await;
        }
        let took = began.elapsed();
        next.cast(0);
        took
    })
    .await
}

/// Passes on what comes; 0 is the last.
async fn pass_on(mut ctx: Context<u64>, next: ProcessRef<u64>, begun: &'static Tally) {
    begun.add();
    while let Message::User(lap) = ctx.receive().await {
        next.cast(lap);
        if lap == 0 {
            return;
        }
    }
}
