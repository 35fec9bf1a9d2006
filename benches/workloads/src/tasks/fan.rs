//! Many to one, one to many, and a channel that fills.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// How many messages are taken out at once at most.
const BATCH: usize = 256;

/// How a task takes messages out of its channel.
#[derive(Copy, Clone)]
pub(super) enum Take {
    /// One at a time, as an actor does.
    One,
    /// As many as there are, up to 256.
    Many,
}

/// Senders send to the driver as fast as they can.
pub(super) async fn fan_in(take: Take, senders: u64, each: u64) -> Duration {
    in_task(async move {
        let began = Instant::now();
        let (sender, mut messages) = unbounded_channel();
        for _ in 0..senders {
            let sender = sender.clone();
            tokio::spawn(async move { send_all(&sender, each) });
        }
        receive_all(take, &mut messages, senders * each).await;
        began.elapsed()
    })
    .await
}

/// The driver sends to all receivers in turn.
pub(super) async fn fan_out(take: Take, receivers: u64, each: u64) -> Duration {
    in_task(async move {
        let (begun, done) = (Tally::leak(), Tally::leak());
        let spawn = |_| {
            let (sender, mut messages) = unbounded_channel();
            tokio::spawn(async move {
                begun.add();
                receive_all(take, &mut messages, each).await;
                done.add();
            });
            sender
        };
        let all: Vec<_> = (0..receivers).map(spawn).collect();
        begun.reached(receivers).await;
        let began = Instant::now();
        for n in 0..each {
            for receiver in &all {
                receiver.send(n).expect(OPEN);
            }
        }
        done.reached(receivers).await;
        began.elapsed()
    })
    .await
}

/// The driver fills a channel whose receiver waits for something else; then it
/// is drained.
pub(super) async fn backlog(take: Take, count: u64) -> Duration {
    in_task(async move {
        let (open, opened) = oneshot::channel::<()>();
        let (sender, mut messages) = unbounded_channel();
        let receiver = tokio::spawn(async move {
            drop(opened.await);
            receive_all(take, &mut messages, count).await;
        });
        let began = Instant::now();
        send_all(&sender, count);
        drop(open);
        receiver.await.expect("the receiver does its work");
        began.elapsed()
    })
    .await
}

fn send_all(receiver: &UnboundedSender<u64>, count: u64) {
    for n in 0..count {
        receiver.send(n).expect(OPEN);
    }
}

async fn receive_all(take: Take, messages: &mut UnboundedReceiver<u64>, count: u64) {
    match take {
        Take::One => {
            for _ in 0..count {
                messages.recv().await;
            }
        }
        Take::Many => receive_many(messages, count).await,
    }
}

async fn receive_many(messages: &mut UnboundedReceiver<u64>, count: u64) {
    let (mut batch, mut left) = (Vec::with_capacity(BATCH), count);
    while left > 0 {
        left -= messages.recv_many(&mut batch, BATCH).await as u64;
        batch.clear();
    }
}
