//! The systems that are measured.

use resurgam::Node;
use resurgam_workloads::{Outcome, Workload, processes, tasks};
use tokio::runtime::{Builder, Runtime};

use crate::machine::version;

/// A system that is measured.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum System {
    Tokio,
    Resurgam,
}

impl System {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 2] = [Self::Tokio, Self::Resurgam];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Resurgam => "resurgam",
        }
    }

    /// What the page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokio => "Tokio",
            Self::Resurgam => "Resurgam",
        }
    }

    /// Its version.
    pub fn version(self) -> String {
        match self {
            Self::Tokio => version("tokio").to_owned(),
            Self::Resurgam => version("resurgam").to_owned(),
        }
    }

    /// Why there is nothing comparable.
    pub fn why_missing(self, _workload: Workload) -> &'static str {
        "is not comparable"
    }

    /// Runs a workload; the figures of it, or nothing if there is nothing
    /// comparable.
    pub fn run(self, workload: Workload) -> Option<Vec<f64>> {
        let outcome = match self {
            Self::Tokio => two_workers().block_on(tasks::run(workload)),
            Self::Resurgam => resurgam(workload),
        };
        Some(outcome.figures(workload.operations()))
    }
}

fn resurgam(workload: Workload) -> Outcome {
    let runtime = two_workers();
    let _context = runtime.enter();
    let node = Node::new().expect("a node");
    runtime.block_on(processes::run(&node, workload))
}

/// The runtime that all systems on Tokio get.
fn two_workers() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}
