//! Pairs that send a number to and fro.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn ping_pong(c: &mut Criterion) {
    compare(
        c,
        "ping_pong/1",
        Workload::PingPong {
            pairs: 1,
            rounds: scaled(5_000, 1_000_000),
        },
    );
    compare(
        c,
        "ping_pong/2",
        Workload::PingPong {
            pairs: 2,
            rounds: scaled(5_000, 500_000),
        },
    );
    compare(
        c,
        "ping_pong/1000",
        Workload::PingPong {
            pairs: 1_000,
            rounds: scaled(10, 1_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = ping_pong }
criterion_main!(benches);
