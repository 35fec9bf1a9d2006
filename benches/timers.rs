//! Timers that are cancelled, and timers that fire.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn timers(c: &mut Criterion) {
    compare(
        c,
        "timers/cancelled",
        Workload::TimerCancelled {
            count: scaled(10_000, 1_000_000),
        },
    );
    compare(
        c,
        "timers/fired",
        Workload::TimerFired {
            count: scaled(10_000, 100_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = timers }
criterion_main!(benches);
