//! Fan-in: 8 senders, one receiver, 80 000 messages, against Tokio tasks with
//! an unbounded channel.

mod common;

use criterion::{Throughput, criterion_group, criterion_main};
use resurgam::{Context, Node};
use tokio::sync::mpsc::unbounded_channel;

const SENDERS: u64 = 8;
const EACH: u64 = 10_000;

async fn processes(node: &Node) {
    let receiver = node
        .spawn(|mut ctx: Context<u64>| async move {
            for _ in 0..SENDERS * EACH {
                ctx.receive().await;
            }
        })
        .expect("a node with room");
    for _ in 0..SENDERS {
        let receiver = receiver.clone();
        node.spawn(move |_: Context<()>| async move {
            for n in 0..EACH {
                receiver.cast(n);
            }
        })
        .expect("a node with room");
    }
    receiver.join().await;
}

async fn tasks() {
    let (to_receiver, mut messages) = unbounded_channel();
    let receiver = tokio::spawn(async move { while messages.recv().await.is_some() {} });
    for _ in 0..SENDERS {
        let to_receiver = to_receiver.clone();
        tokio::spawn(async move {
            for n in 0..EACH {
                to_receiver.send(n).expect("the receiver lives");
            }
        });
    }
    drop(to_receiver);
    receiver.await.expect("the receiver does not panic");
}

fn fan_in(c: &mut criterion::Criterion) {
    let runtime = common::runtime();
    let node = common::node(&runtime);
    let mut group = c.benchmark_group("fan_in");
    group.throughput(Throughput::Elements(SENDERS * EACH));
    group.bench_function("resurgam", |b| {
        b.to_async(&runtime).iter(|| processes(&node))
    });
    group.bench_function("tokio", |b| b.to_async(&runtime).iter(tasks));
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = fan_in }
criterion_main!(benches);
