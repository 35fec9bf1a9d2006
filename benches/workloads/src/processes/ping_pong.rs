//! Pairs that send a number to and fro.

use std::time::Duration;

use resurgam::{Context, Message, Node, ProcessRef, spawn};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// Each pair plays its rounds; all at the same time.
pub(super) async fn ping_pong(node: &Node, pairs: u64, rounds: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let done = Tally::leak();
        let began = Instant::now();
        for _ in 0..pairs {
            spawn(move |ctx| ping(ctx, rounds, done)).expect(ROOM);
        }
        done.reached(pairs).await;
        began.elapsed()
    })
    .await
}

async fn ping(mut ctx: Context<u64>, rounds: u64, done: &'static Tally) {
    let ping = ctx.self_ref();
    let pong = spawn(move |ctx| pong(ctx, ping, rounds)).expect(ROOM);
    for n in 0..rounds {
        pong.cast(n);
        ctx.receive().await;
    }
    done.add();
}

async fn pong(mut ctx: Context<u64>, ping: ProcessRef<u64>, rounds: u64) {
    for _ in 0..rounds {
        if let Message::User(n) = ctx.receive().await {
            ping.cast(n);
        }
    }
}
