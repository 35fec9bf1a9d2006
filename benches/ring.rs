//! A number that goes round a ring.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn ring(c: &mut Criterion) {
    compare(
        c,
        "ring/1000",
        Workload::Ring {
            length: 1_000,
            laps: scaled(10, 1_000),
        },
    );
    compare(
        c,
        "ring/large",
        Workload::Ring {
            length: scaled(10_000, 100_000),
            laps: scaled(2, 10),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = ring }
criterion_main!(benches);
