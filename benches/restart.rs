//! Children that fail: restarts, the first answer after a crash, one_for_all.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::{Crash, Workload};

fn restart(c: &mut Criterion) {
    compare(
        c,
        "restarts",
        Workload::Restarts {
            count: scaled(1_000, 20_000),
        },
    );
    compare(
        c,
        "first_answer",
        Workload::FirstAnswer {
            count: scaled(500, 20_000),
            crash: Crash::Error,
        },
    );
    compare(
        c,
        "one_for_all",
        Workload::OneForAll {
            children: scaled(100, 1_000),
            rounds: scaled(5, 50),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = restart }
criterion_main!(benches);
