//! The paths as plain Tokio tasks, for comparison.

use std::hint::black_box;
use std::time::Duration;

use resurgam::yield_now;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::path::Path;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs a path in a task.
pub(crate) async fn run(path: Path, operations: u64) {
    let root = tokio::spawn(take(path, operations));
    root.await.expect("the workload does not panic");
}

async fn take(path: Path, operations: u64) {
    match path {
        Path::Message | Path::Pair => message(operations).await,
        Path::Send => send(operations),
        Path::Receive => receive(operations).await,
        Path::Call => call(operations).await,
        Path::Spawn => spawn_many(operations).await,
        Path::Timer => timer(operations).await,
        Path::Idle => idle(operations).await,
        other => unreachable!("Tokio has no {}", other.name()),
    }
}

async fn message(operations: u64) {
    let (to_pong, mut pings) = unbounded_channel();
    let (to_ping, mut pongs) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(n) = pings.recv().await {
            to_ping.send(n).expect("ping lives");
        }
    });
    let ping = tokio::spawn(async move {
        for n in 0..operations / 2 {
            to_pong.send(n).expect("pong lives");
            pongs.recv().await;
        }
    });
    ping.await.expect("ping does not panic");
}

fn send(operations: u64) {
    let (to_receiver, messages) = unbounded_channel();
    for n in 0..operations {
        to_receiver.send(n).expect("the receiver lives");
    }
    std::mem::forget(messages);
}

async fn receive(operations: u64) {
    let (to_receiver, mut messages) = unbounded_channel();
    for n in 0..2 * Path::Receive.operations() {
        to_receiver.send(n).expect("the receiver lives");
    }
    for _ in 0..operations {
        black_box(messages.recv().await);
    }
    std::mem::forget((to_receiver, messages));
}

async fn call(operations: u64) {
    let (to_server, mut requests) = unbounded_channel::<(u64, oneshot::Sender<u64>)>();
    tokio::spawn(async move {
        while let Some((n, reply)) = requests.recv().await {
            reply.send(n + 1).expect("the caller waits");
        }
    });
    for n in 0..operations {
        let (reply, answer) = oneshot::channel();
        to_server.send((n, reply)).expect("the server lives");
        assert_eq!(answer.await, Ok(n + 1));
    }
}

async fn spawn_many(operations: u64) {
    const AT_ONCE: u64 = 100;
    for _ in 0..operations / AT_ONCE {
        for _ in 0..AT_ONCE {
            tokio::spawn(async {});
        }
        yield_now().await;
    }
}

async fn timer(operations: u64) {
    let (to_receiver, _messages) = unbounded_channel();
    for n in 0..operations {
        let to_receiver = to_receiver.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(HOUR).await;
            to_receiver.send(n).expect("the receiver lives");
        });
        yield_now().await;
        timer.abort();
    }
}

async fn idle(operations: u64) {
    for _ in 0..operations {
        let (to_task, mut messages) = unbounded_channel::<u64>();
        tokio::spawn(async move { messages.recv().await });
        std::mem::forget(to_task);
    }
    yield_now().await;
}
