//! The systems that are measured.

mod actix;
mod erlang;
mod flume;
mod hydra;
mod kameo;
mod ractor;
mod tokio_actors;
mod xtra;

use std::process::Command;

use resurgam::Node;
use resurgam_workloads::{Outcome, Workload, processes, tasks};
use tokio::runtime::{Builder, Runtime};

use crate::actors;
use crate::machine::version;
use crate::options::Scale;
use crate::rows::Row;

/// A system that is measured.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum System {
    Tokio,
    Resurgam,
    Erlang,
    Ractor,
    Kameo,
    Actix,
    Xtra,
    Hydra,
    TokioActors,
    Flume,
}

impl System {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 10] = [
        Self::Tokio,
        Self::Resurgam,
        Self::Erlang,
        Self::Ractor,
        Self::Kameo,
        Self::Actix,
        Self::Xtra,
        Self::Hydra,
        Self::TokioActors,
        Self::Flume,
    ];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Resurgam => "resurgam",
            Self::Erlang => "erlang",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::Actix => "actix",
            Self::Xtra => "xtra",
            Self::Hydra => "hydra",
            Self::TokioActors => "tokio-actors",
            Self::Flume => "flume",
        }
    }

    /// What the page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokio => "Tokio",
            Self::Resurgam => "Resurgam",
            Self::Erlang => "Erlang",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::Actix => "actix",
            Self::Xtra => "xtra",
            Self::Hydra => "hydra",
            Self::TokioActors => "tokio-actors",
            Self::Flume => "tasks with flume",
        }
    }

    /// Its version.
    pub fn version(self) -> String {
        match self {
            Self::Erlang => erlang::version(),
            _ => version(self.name()).to_owned(),
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
            _ => Ok(()),
        }
    }

    /// The command that runs a workload and prints its figures.
    pub fn command(self, row: &Row, scale: Scale) -> Command {
        match self {
            Self::Erlang => erlang::command(row.workload(scale)),
            _ => {
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
            Self::Ractor => actors::run::<ractor::Ractor>(workload),
            Self::Kameo => actors::run::<kameo::Kameo>(workload),
            Self::Actix => actors::run::<actix::Actix>(workload),
            Self::Xtra => actors::run::<xtra::Xtra>(workload),
            Self::Hydra => actors::run::<hydra::Hydra>(workload),
            Self::TokioActors => actors::run::<tokio_actors::TokioActors>(workload),
            Self::Flume => actors::run::<flume::Flume>(workload),
        }
    }
}

fn resurgam(workload: Workload) -> Outcome {
    let runtime = two_workers();
    let _context = runtime.enter();
    let node = Node::new().expect("a node");
    runtime.block_on(processes::run(&node, workload))
}

/// Runs the driver of a workload as a task.
fn on_tokio<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
    let task = two_workers();
    let task = task.block_on(async { tokio::spawn(driver).await });
    task.expect("the driver does its work")
}

/// The runtime that all systems on Tokio get.
fn two_workers() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}
