//! Ping-pong: two processes send each other 10 000 messages, against two Tokio
//! tasks with unbounded channels.

mod common;

use criterion::{Throughput, criterion_group, criterion_main};
use resurgam::{Context, Message, Node, ProcessRef, spawn};
use tokio::sync::mpsc::unbounded_channel;

const ROUNDS: u64 = 5_000;

struct Ping(ProcessRef<u64>);

async fn processes(node: &Node) {
    let ping = node.spawn(|mut ctx: Context<u64>| async move {
        let pong = spawn(pong).expect("a node with room");
        for _ in 0..ROUNDS {
            pong.cast(Ping(ctx.self_ref()));
            ctx.receive().await;
        }
    });
    ping.expect("a node with room").join().await;
}

async fn pong(mut ctx: Context<Ping>) {
    for n in 0..ROUNDS {
        if let Message::User(Ping(from)) = ctx.receive().await {
            from.cast(n);
        }
    }
}

async fn tasks() {
    let (to_pong, mut pings) = unbounded_channel();
    let (to_ping, mut pongs) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(n) = pings.recv().await {
            if to_ping.send(n).is_err() {
                return;
            }
        }
    });
    let ping = tokio::spawn(async move {
        for n in 0..ROUNDS {
            to_pong.send(n).expect("pong lives");
            pongs.recv().await;
        }
    });
    ping.await.expect("ping does not panic");
}

fn ping_pong(c: &mut criterion::Criterion) {
    let runtime = common::runtime();
    let node = common::node(&runtime);
    let mut group = c.benchmark_group("ping_pong");
    group.throughput(Throughput::Elements(2 * ROUNDS));
    group.bench_function("resurgam", |b| {
        b.to_async(&runtime).iter(|| processes(&node))
    });
    group.bench_function("tokio", |b| b.to_async(&runtime).iter(tasks));
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = ping_pong }
criterion_main!(benches);
