//! Savina's *big*.

use std::sync::Arc;
use std::time::Duration;

use resurgam::{Context, Message, Node, ProcessRef, spawn};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::{Chance, Tally};

enum Letter {
    /// Who there is; the first letter of all.
    Start(Arc<[ProcessRef<Letter>]>),
    Go,
    Ping(usize),
    Pong,
    Stop,
}

/// Actors send pings to random others and wait for the pong.
pub(super) async fn big(node: &Node, actors: u64, each: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let (begun, done) = (Tally::leak(), Tally::leak());
        let all: Arc<[_]> = (0..actors as usize)
            .map(|me| spawn(move |ctx| actor(ctx, me, each, begun, done)).expect(ROOM))
            .collect();
        for actor in all.iter() {
            actor.cast(Letter::Start(Arc::clone(&all)));
        }
        begun.reached(actors).await;
        let began = Instant::now();
        for actor in all.iter() {
            actor.cast(Letter::Go);
        }
        done.reached(actors).await;
        let took = began.elapsed();
        for actor in all.iter() {
            actor.cast(Letter::Stop);
        }
        took
    })
    .await
}

async fn actor(
    mut ctx: Context<Letter>,
    me: usize,
    each: u64,
    begun: &'static Tally,
    done: &'static Tally,
) {
    let Message::User(Letter::Start(all)) = ctx.receive().await else {
        return;
    };
    let (mut chance, mut left) = (Chance::new(me as u64), each);
    let mut ping = || all[chance.other_than(me, all.len())].cast(Letter::Ping(me));
    begun.add();
    loop {
        match ctx.receive().await {
            Message::User(Letter::Go) => ping(),
            Message::User(Letter::Ping(from)) => all[from].cast(Letter::Pong),
            Message::User(Letter::Pong) => {
                left -= 1;
                if left > 0 {
                    ping();
                } else {
                    done.add();
                }
            }
            _ => return,
        }
    }
}
