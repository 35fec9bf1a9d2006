//! The systems that are measured.

mod erlang;

use std::process::Command;

use resurgam::Node;
use resurgam_workloads::{Outcome, Workload, processes, tasks};
use tokio::runtime::{Builder, Runtime};

use crate::machine::version;
use crate::options::Scale;
use crate::rows::Row;

/// A system that is measured.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum System {
    Tokio,
    Resurgam,
    Erlang,
}

impl System {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 3] = [Self::Tokio, Self::Resurgam, Self::Erlang];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Resurgam => "resurgam",
            Self::Erlang => "erlang",
        }
    }

    /// What the page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokio => "Tokio",
            Self::Resurgam => "Resurgam",
            Self::Erlang => "Erlang",
        }
    }

    /// Its version.
    pub fn version(self) -> String {
        match self {
            Self::Erlang => erlang::version(),
            Self::Tokio | Self::Resurgam => version(self.name()).to_owned(),
        }
    }

    /// Makes it ready.
    ///
    /// # Errors
    ///
    /// If it is not on this machine.
    pub fn prepare(self) -> Result<(), String> {
        match self {
            Self::Erlang => erlang::prepare(),
            Self::Tokio | Self::Resurgam => Ok(()),
        }
    }

    /// The command that runs a workload and prints its figures.
    pub fn command(self, row: &Row, scale: Scale) -> Command {
        match self {
            Self::Erlang => erlang::command(row.workload(scale)),
            Self::Tokio | Self::Resurgam => {
                let program = std::env::current_exe().expect("this program has a path");
                let mut command = Command::new(program);
                command.args(["child", self.name(), row.name, scale.name()]);
                command
            }
        }
    }

    /// Runs a workload in this program; what it gave, or nothing if there is
    /// nothing comparable.
    pub fn run(self, workload: Workload) -> Option<Outcome> {
        match self {
            Self::Tokio => Some(two_workers().block_on(tasks::run(workload))),
            Self::Resurgam => Some(resurgam(workload)),
            Self::Erlang => None,
        }
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
