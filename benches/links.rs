//! Ends that travel along links, from one to many and along a chain.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn links(c: &mut Criterion) {
    compare(
        c,
        "links_ending",
        Workload::LinksEnding {
            count: scaled(5_000, 100_000),
        },
    );
    compare(
        c,
        "chain",
        Workload::Chain {
            count: scaled(2_000, 10_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = links }
criterion_main!(benches);
