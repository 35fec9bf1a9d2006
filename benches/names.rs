//! Names: looked up, sent to, taken and given back.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn names(c: &mut Criterion) {
    compare(
        c,
        "names/look_up/1",
        Workload::LookUp {
            threads: 1,
            each: scaled(50_000, 4_000_000),
        },
    );
    compare(
        c,
        "names/look_up/2",
        Workload::LookUp {
            threads: 2,
            each: scaled(50_000, 2_000_000),
        },
    );
    compare(
        c,
        "names/send",
        Workload::SendByName {
            count: scaled(50_000, 1_000_000),
        },
    );
    compare(
        c,
        "names/register",
        Workload::Register {
            count: scaled(20_000, 1_000_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = names }
criterion_main!(benches);
