//! Spawn, run, end: 10 000 processes against 10 000 Tokio tasks.

mod common;

use criterion::{Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use resurgam::Context;

const COUNT: u64 = 10_000;

fn spawn(c: &mut criterion::Criterion) {
    let runtime = common::runtime();
    let node = common::node(&runtime);
    let mut group = c.benchmark_group("spawn");
    group.throughput(Throughput::Elements(COUNT));
    group.bench_function("resurgam", |b| {
        b.to_async(&runtime).iter(|| async {
            let processes = (0..COUNT).map(|_| {
                node.spawn(|_: Context<()>| async {})
                    .expect("a node with room")
                    .join()
            });
            join_all(processes).await
        });
    });
    group.bench_function("tokio", |b| {
        b.to_async(&runtime)
            .iter(|| join_all((0..COUNT).map(|_| tokio::spawn(async {}))));
    });
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = spawn }
criterion_main!(benches);
