//! Calls: a channel for the requests, a one-shot channel for each answer.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// Callers call the servers that fall to them, one call after the other,
/// without a time-out.
pub(super) async fn call(callers: u64, servers: u64, each: u64) -> Duration {
    in_task(async move {
        let echoes: Vec<_> = (0..servers).map(|_| echo()).collect();
        let done = Tally::leak();
        let began = Instant::now();
        for server in echoes.iter().cycle().take(callers as usize) {
            tokio::spawn(ask(server.clone(), each, done));
        }
        done.reached(callers).await;
        began.elapsed()
    })
    .await
}

struct Request(u64, oneshot::Sender<u64>);

fn echo() -> mpsc::UnboundedSender<Request> {
    let (sender, mut requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Request(n, reply)) = requests.recv().await {
            reply.send(n).expect("the caller waits");
        }
    });
    sender
}

async fn ask(server: mpsc::UnboundedSender<Request>, each: u64, done: &'static Tally) {
    for n in 0..each {
        let (reply, answer) = oneshot::channel();
        server.send(Request(n, reply)).expect(OPEN);
        assert_eq!(answer.await, Ok(n));
    }
    done.add();
}
