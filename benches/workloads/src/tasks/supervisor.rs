//! What stands in for a dynamic supervisor: a task with a set of tasks.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{OPEN, in_task};

/// What a started child is reached by.
type Child = mpsc::UnboundedSender<()>;

/// The driver has children started, one after the other.
pub(super) async fn dynamic_start(count: u64) -> Duration {
    in_task(async move {
        let (starts, requests) = mpsc::unbounded_channel();
        let supervisor = tokio::spawn(supervise(requests));
        let mut children = Vec::new();
        let began = Instant::now();
        for _ in 0..count {
            let (reply, answer) = oneshot::channel();
            starts.send(reply).expect(OPEN);
            children.push(answer.await.expect("the supervisor answers"));
        }
        let took = began.elapsed();
        drop(starts);
        supervisor.await.expect("the supervisor does its work");
        took
    })
    .await
}

async fn supervise(mut requests: mpsc::UnboundedReceiver<oneshot::Sender<Child>>) {
    let mut children = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = children.join_next() => {}
            request = requests.recv() => match request {
                Some(reply) => drop(reply.send(start(&mut children))),
                None => return children.shutdown().await,
            }
        }
    }
}

fn start(children: &mut JoinSet<()>) -> Child {
    let (sender, mut messages) = mpsc::unbounded_channel();
    children.spawn(async move {
        messages.recv().await;
    });
    sender
}
