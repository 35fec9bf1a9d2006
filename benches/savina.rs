//! Two benchmarks of the Savina suite: *big* and *chameneos*.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn savina(c: &mut Criterion) {
    compare(
        c,
        "savina/big",
        Workload::Big {
            actors: 120,
            each: scaled(100, 10_000),
        },
    );
    compare(
        c,
        "savina/chameneos",
        Workload::Chameneos {
            creatures: 100,
            meetings: scaled(5_000, 200_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = savina }
criterion_main!(benches);
