//! Many to one, one to many, and a channel that fills.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// Senders send to the driver as fast as they can.
pub(super) async fn fan_in(senders: u64, each: u64) -> Duration {
    in_task(async move {
        let began = Instant::now();
        let (sender, mut messages) = unbounded_channel();
        for _ in 0..senders {
            let sender = sender.clone();
            tokio::spawn(async move { send_all(&sender, each) });
        }
        receive_all(&mut messages, senders * each).await;
        began.elapsed()
    })
    .await
}

/// The driver sends to all receivers in turn.
pub(super) async fn fan_out(receivers: u64, each: u64) -> Duration {
    in_task(async move {
        let (begun, done) = (Tally::leak(), Tally::leak());
        let spawn = |_| {
            let (sender, mut messages) = unbounded_channel();
            tokio::spawn(async move {
                begun.add();
                receive_all(&mut messages, each).await;
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
pub(super) async fn backlog(count: u64) -> Duration {
    in_task(async move {
        let (open, opened) = oneshot::channel::<()>();
        let (sender, mut messages) = unbounded_channel();
        let receiver = tokio::spawn(async move {
            drop(opened.await);
            receive_all(&mut messages, count).await;
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

async fn receive_all(messages: &mut UnboundedReceiver<u64>, count: u64) {
    for _ in 0..count {
        messages.recv().await;
    }
}
