//! Call: one caller, one server, 5 000 calls one after the other, against a
//! Tokio task that is sent oneshot channels.

mod common;

use criterion::{Throughput, criterion_group, criterion_main};
use resurgam::{Context, ExitReason, GenServer, InitError, Node, Reply, ServerContext};
use tokio::sync::{mpsc, oneshot};

const CALLS: u64 = 5_000;

struct Echo;

struct Request(u64, Reply<u64>);

impl GenServer for Echo {
    type Args = ();
    type Message = Request;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        Request(n, reply): Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        reply.send(n);
        Ok(())
    }
}

async fn processes(node: &Node) {
    let server = Echo::builder(())
        .on(node)
        .start()
        .await
        .expect("the server starts");
    let to_server = server.clone();
    let caller = node.spawn(move |_: Context<()>| async move {
        for n in 0..CALLS {
            assert_eq!(to_server.call(|reply| Request(n, reply)).await, Ok(n));
        }
    });
    caller.expect("a node with room").join().await;
    server
        .stop(ExitReason::Normal)
        .await
        .expect("the server stops");
}

async fn tasks() {
    let (to_server, mut requests) = mpsc::unbounded_channel::<(u64, oneshot::Sender<u64>)>();
    tokio::spawn(async move {
        while let Some((n, reply)) = requests.recv().await {
            reply.send(n).expect("the caller waits");
        }
    });
    let caller = tokio::spawn(async move {
        for n in 0..CALLS {
            let (reply, answer) = oneshot::channel();
            to_server.send((n, reply)).expect("the server lives");
            assert_eq!(answer.await, Ok(n));
        }
    });
    caller.await.expect("the caller does not panic");
}

fn call(c: &mut criterion::Criterion) {
    let runtime = common::runtime();
    let node = common::node(&runtime);
    let mut group = c.benchmark_group("call");
    group.throughput(Throughput::Elements(CALLS));
    group.bench_function("resurgam", |b| {
        b.to_async(&runtime).iter(|| processes(&node))
    });
    group.bench_function("tokio", |b| b.to_async(&runtime).iter(tasks));
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = call }
criterion_main!(benches);
