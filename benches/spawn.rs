//! Making processes: spawn, run, end; and until all wait for a message.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn spawn(c: &mut Criterion) {
    compare(
        c,
        "spawn",
        Workload::Spawn {
            count: scaled(10_000, 1_000_000),
        },
    );
    compare(
        c,
        "spawn_idle",
        Workload::SpawnIdle {
            count: scaled(10_000, 1_000_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = spawn }
criterion_main!(benches);
