//! Pairs that send a number to and fro.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// Each pair plays its rounds; all at the same time.
pub(super) async fn ping_pong(pairs: u64, rounds: u64) -> Duration {
    in_task(async move {
        let done = Tally::leak();
        let began = Instant::now();
        for _ in 0..pairs {
            tokio::spawn(ping(rounds, done));
        }
        done.reached(pairs).await;
        began.elapsed()
    })
    .await
}

async fn ping(rounds: u64, done: &'static Tally) {
    let (to_pong, pings) = unbounded_channel();
    let (to_ping, mut pongs) = unbounded_channel();
    tokio::spawn(pong(pings, to_ping));
    for n in 0..rounds {
        to_pong.send(n).expect(OPEN);
        pongs.recv().await;
    }
    done.add();
}

async fn pong(mut pings: UnboundedReceiver<u64>, to_ping: UnboundedSender<u64>) {
    while let Some(n) = pings.recv().await {
        to_ping.send(n).expect(OPEN);
    }
}
