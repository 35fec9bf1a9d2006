//! Many to one, one to many, and a mailbox that fills.

use std::time::Duration;

use resurgam::{Context, Node, ProcessRef, spawn};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// Senders send to the driver as fast as they can.
pub(super) async fn fan_in(node: &Node, senders: u64, each: u64) -> Duration {
    in_process(node, move |mut ctx: Context<u64>| async move {
        let began = Instant::now();
        for _ in 0..senders {
            let receiver = ctx.self_ref();
            spawn(move |_: Context<()>| async move { send_all(&receiver, each) }).expect(ROOM);
        }
        receive_all(&mut ctx, senders * each).await;
        began.elapsed()
    })
    .await
}

/// The driver sends to all receivers in turn.
pub(super) async fn fan_out(node: &Node, receivers: u64, each: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (begun, done) = (Tally::leak(), Tally::leak());
        let receiver = move |mut ctx: Context<u64>| async move {
            begun.add();
            receive_all(&mut ctx, each).await;
            done.add();
        };
        let all: Vec<_> = (0..receivers)
            .map(|_| spawn(receiver).expect(ROOM))
            .collect();
        begun.reached(receivers).await;
        let began = Instant::now();
        for n in 0..each {
            for receiver in &all {
                receiver.cast(n);
            }
        }
        done.reached(receivers).await;
        began.elapsed()
    })
    .await
}

/// The driver fills a mailbox whose owner waits for something else; then it is
/// drained.
pub(super) async fn backlog(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (open, opened) = oneshot::channel::<()>();
        let receiver = spawn(move |mut ctx: Context<u64>| async move {
            drop(opened.await);
            receive_all(&mut ctx, count).await;
        })
        .expect(ROOM);
        let began = Instant::now();
        send_all(&receiver, count);
        drop(open);
        receiver.join().await;
        began.elapsed()
    })
    .await
}

fn send_all(receiver: &ProcessRef<u64>, count: u64) {
    for n in 0..count {
        receiver.cast(n);
    }
}

async fn receive_all(ctx: &mut Context<u64>, count: u64) {
    for _ in 0..count {
        ctx.receive().await;
    }
}
