//! Children that are started one after the other at a supervisor's.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn dynamic_start(c: &mut Criterion) {
    compare(
        c,
        "dynamic_start",
        Workload::DynamicStart {
            count: scaled(2_000, 100_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = dynamic_start }
criterion_main!(benches);
