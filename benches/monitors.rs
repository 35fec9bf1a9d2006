//! Many that watch one, and one that watches many.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn monitors(c: &mut Criterion) {
    compare(
        c,
        "monitors/on_one",
        Workload::MonitorsOnOne {
            count: scaled(5_000, 100_000),
        },
    );
    compare(
        c,
        "monitors/by_one",
        Workload::MonitorsByOne {
            count: scaled(5_000, 100_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = monitors }
criterion_main!(benches);
