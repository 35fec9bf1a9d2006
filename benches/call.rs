//! Calls: one caller or many, one server or many.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn call(c: &mut Criterion) {
    compare(
        c,
        "call/1:1",
        Workload::Call {
            callers: 1,
            servers: 1,
            each: scaled(5_000, 500_000),
        },
    );
    compare(
        c,
        "call/64:1",
        Workload::Call {
            callers: 64,
            servers: 1,
            each: scaled(200, 10_000),
        },
    );
    compare(
        c,
        "call/64:64",
        Workload::Call {
            callers: 64,
            servers: 64,
            each: scaled(200, 10_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = call }
criterion_main!(benches);
