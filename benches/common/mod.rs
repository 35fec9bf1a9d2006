//! What the benches share: how large a workload is, and how Resurgam is
//! compared with plain Tokio.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use resurgam::Node;
use resurgam_workloads::{Outcome, Workload, processes, tasks};
use tokio::runtime::{Builder, Runtime};

/// A size: small, or large if the environment variable `BENCH_SCALE` is
/// `large`.
pub(crate) fn scaled(small: u64, large: u64) -> u64 {
    match std::env::var("BENCH_SCALE") {
        Ok(scale) if scale == "large" => large,
        _ => small,
    }
}

/// Measures a workload as processes and as tasks.
pub(crate) fn compare(c: &mut Criterion, name: &str, workload: Workload) {
    let runtime = runtime();
    let node = node(&runtime);
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(workload.operations()));
    group.bench_function("resurgam", |b| {
        b.iter_custom(|iterations| {
            let run = || runtime.block_on(processes::run(&node, workload));
            (0..iterations).map(|_| took(run())).sum()
        });
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|iterations| {
            let run = || runtime.block_on(tasks::run(workload));
            (0..iterations).map(|_| took(run())).sum()
        });
    });
    group.finish();
}

/// The time that the workload itself measured, without what it makes ready.
fn took(outcome: Outcome) -> Duration {
    match outcome {
        Outcome::Took(took) => took,
        Outcome::Delays(delays) => delays.into_iter().sum(),
        Outcome::Bytes(_) => unreachable!("a bench measures time"),
    }
}

/// Two workers for everything that is compared.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// A node on a runtime.
pub(crate) fn node(runtime: &Runtime) -> Node {
    let _context = runtime.enter();
    Node::new().expect("a node")
}

/// Few samples: each is a long run already.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().sample_size(20).configure_from_args()
}
