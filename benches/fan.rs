//! Many to one, one to many, and a mailbox that fills.
//!
//! Small by default; `BENCH_SCALE=large` for the sizes of `docs/benchmarks.md`.

mod common;

use common::{compare, scaled};
use criterion::{Criterion, criterion_group, criterion_main};
use resurgam_workloads::Workload;

fn fan(c: &mut Criterion) {
    compare(
        c,
        "fan_in/1",
        Workload::FanIn {
            senders: 1,
            each: scaled(50_000, 1_000_000),
        },
    );
    compare(
        c,
        "fan_in/2",
        Workload::FanIn {
            senders: 2,
            each: scaled(25_000, 500_000),
        },
    );
    compare(
        c,
        "fan_in/8",
        Workload::FanIn {
            senders: 8,
            each: scaled(10_000, 125_000),
        },
    );
    compare(
        c,
        "fan_in/64",
        Workload::FanIn {
            senders: 64,
            each: scaled(1_000, 15_625),
        },
    );
    compare(
        c,
        "fan_out/1000",
        Workload::FanOut {
            receivers: 1_000,
            each: scaled(50, 1_000),
        },
    );
    compare(
        c,
        "backlog",
        Workload::Backlog {
            count: scaled(50_000, 2_000_000),
        },
    );
}

criterion_group! { name = benches; config = common::criterion(); targets = fan }
criterion_main!(benches);
