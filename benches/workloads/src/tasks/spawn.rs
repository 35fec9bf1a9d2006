//! Making tasks, and what they occupy.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::{OnEnd, Tally, grown, resident};

/// How many are spawned before they are waited for.
const BURST: u64 = 10_000;

/// How many are made at a time where memory is looked at, so that the run
/// queues stay short.
const BATCH: u64 = 1_000;

/// Spawn, run, end.
pub(super) async fn spawn(count: u64) -> Duration {
    in_task(async move {
        let ended = Tally::leak();
        let began = Instant::now();
        for n in 1..=count {
            tokio::spawn(async move {
                ended.add();
            });
            if n % BURST == 0 || n == count {
                ended.reached(n).await;
            }
        }
        began.elapsed()
    })
    .await
}

/// Spawns tasks until all wait for a message.
pub(super) async fn spawn_idle(count: u64) -> Duration {
    in_task(async move {
        let crowd = Crowd::new();
        let began = Instant::now();
        let tasks: Vec<_> = (0..count).map(|_| crowd.spawn()).collect();
        crowd.begun.reached(count).await;
        let took = began.elapsed();
        crowd.end(&tasks).await;
        took
    })
    .await
}

/// The bytes of tasks that wait for a message.
pub(super) async fn idle(count: u64) -> u64 {
    in_task(async move {
        let crowd = Crowd::new();
        let mut tasks = Vec::with_capacity(count as usize);
        let before = resident();
        for n in 1..=count {
            tasks.push(crowd.spawn());
            if n % BATCH == 0 || n == count {
                crowd.begun.reached(n).await;
            }
        }
        let grown = grown(before, &tasks);
        crowd.end(&tasks).await;
        grown
    })
    .await
}

/// Tasks that wait for one message.
#[derive(Copy, Clone)]
struct Crowd {
    begun: &'static Tally,
    ended: &'static Tally,
}

impl Crowd {
    fn new() -> Self {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        Self { begun, ended }
    }

    fn spawn(self) -> mpsc::UnboundedSender<()> {
        let (sender, mut messages) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let _on_end = OnEnd(self.ended);
            self.begun.add();
            messages.recv().await;
        });
        sender
    }

    async fn end(self, tasks: &[mpsc::UnboundedSender<()>]) {
        for task in tasks {
            task.send(()).expect(OPEN);
        }
        self.ended.reached(tasks.len() as u64).await;
    }
}

/// The bytes of tasks with a word of state that answer.
pub(super) async fn idle_server(count: u64) -> u64 {
    in_task(async move {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        let mut servers = Vec::with_capacity(count as usize);
        let before = resident();
        for n in 0..count {
            let (server, requests) = mpsc::unbounded_channel();
            tokio::spawn(serve(n, requests, begun, ended));
            servers.push(server);
            begun.reached(n + 1).await;
        }
        let grown = grown(before, &servers);
        for (server, n) in servers.iter().zip(0..) {
            let (reply, answer) = oneshot::channel();
            server.send(Ask::Get(reply)).expect(OPEN);
            assert_eq!(answer.await, Ok(n));
            server.send(Ask::Stop).expect(OPEN);
        }
        ended.reached(count).await;
        grown
    })
    .await
}

enum Ask {
    Get(oneshot::Sender<u64>),
    Stop,
}

async fn serve(
    word: u64,
    mut requests: mpsc::UnboundedReceiver<Ask>,
    begun: &'static Tally,
    ended: &'static Tally,
) {
    let _on_end = OnEnd(ended);
    begun.add();
    while let Some(Ask::Get(reply)) = requests.recv().await {
        reply.send(word).expect("the caller waits");
    }
}
