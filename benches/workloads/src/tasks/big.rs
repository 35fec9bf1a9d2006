//! Savina's *big*.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::{Chance, Tally};

enum Letter {
    Ping(usize),
    Pong,
    Stop,
}

/// Tasks send pings to random others and wait for the pong.
pub(super) async fn big(actors: u64, each: u64) -> Duration {
    in_task(async move {
        let done = Tally::leak();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..actors).map(|_| unbounded_channel()).unzip();
        let all: Arc<[_]> = senders.into();
        let began = Instant::now();
        for (me, letters) in receivers.into_iter().enumerate() {
            tokio::spawn(actor(letters, Arc::clone(&all), me, each, done));
        }
        done.reached(actors).await;
        let took = began.elapsed();
        for actor in all.iter() {
            actor.send(Letter::Stop).expect(OPEN);
        }
        took
    })
    .await
}

async fn actor(
    mut letters: UnboundedReceiver<Letter>,
    all: Arc<[UnboundedSender<Letter>]>,
    me: usize,
    each: u64,
    done: &'static Tally,
) {
    let (mut chance, mut left) = (Chance::new(me as u64), each);
    let mut ping = || {
        let other = &all[chance.other_than(me, all.len())];
        other.send(Letter::Ping(me)).expect(OPEN);
    };
    ping();
    while let Some(letter) = letters.recv().await {
        match letter {
            Letter::Ping(from) => all[from].send(Letter::Pong).expect(OPEN),
            Letter::Pong => {
                left -= 1;
                if left > 0 {
                    ping();
                } else {
                    done.add();
                }
            }
            Letter::Stop => return,
        }
    }
}
