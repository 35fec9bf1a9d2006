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
    /// With receivers that take many messages at once.
    TokioBatched,
    Resurgam,
    Erlang,
    Library(Library),
}

/// An actor library.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Library {
    Ractor,
    Kameo,
    Actix,
    Xtra,
    Hydra,
    TokioActors,
    /// Only channels, for tasks.
    Flume,
}

impl System {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 11] = [
        Self::Tokio,
        Self::TokioBatched,
        Self::Resurgam,
        Self::Erlang,
        Self::Library(Library::Ractor),
        Self::Library(Library::Kameo),
        Self::Library(Library::Actix),
        Self::Library(Library::Xtra),
        Self::Library(Library::Hydra),
        Self::Library(Library::TokioActors),
        Self::Library(Library::Flume),
    ];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::TokioBatched => "tokio-batched",
            Self::Resurgam => "resurgam",
            Self::Erlang => "erlang",
            Self::Library(library) => library.name(),
        }
    }

    /// What the page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokio => "Tokio",
            Self::TokioBatched => "Tokio, `recv_many`",
            Self::Resurgam => "Resurgam",
            Self::Erlang => "Erlang",
            Self::Library(Library::Flume) => "tasks with flume",
            Self::Library(library) => library.name(),
        }
    }

    /// Its version.
    pub fn version(self) -> String {
        match self {
            Self::Erlang => erlang::version(),
            Self::TokioBatched => Self::Tokio.version(),
            Self::Tokio | Self::Resurgam | Self::Library(_) => version(self.name()).to_owned(),
        }
    }

    /// Makes it ready.
    ///
    /// # Errors
    ///
    /// If it is not on this machine, or not in this build.
    pub fn prepare(self) -> Result<(), String> {
        match self {
            Self::Erlang => erlang::prepare(),
            Self::Library(_) if !cfg!(feature = "libraries") => {
                Err("it is not built in".to_owned())
            }
            Self::Tokio | Self::TokioBatched | Self::Resurgam | Self::Library(_) => Ok(()),
        }
    }

    /// The command that runs a workload and prints its figures.
    pub fn command(self, row: &Row, scale: Scale) -> Command {
        if self == Self::Erlang {
            return erlang::command(row.workload(scale));
        }
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args(["child", self.name(), row.name, scale.name()]);
        command
    }

    /// Runs a workload in this program; what it gave, or nothing if there is
    /// nothing comparable.
    pub fn run(self, workload: Workload) -> Option<Outcome> {
        match self {
            Self::Tokio => Some(two_workers().block_on(tasks::run(workload))),
            Self::TokioBatched => two_workers().block_on(tasks::run_batched(workload)),
            Self::Resurgam => Some(resurgam(workload)),
            Self::Erlang => None,
            #[cfg(feature = "libraries")]
            Self::Library(library) => crate::libraries::run(library, workload),
            #[cfg(not(feature = "libraries"))]
            Self::Library(_) => None,
        }
    }
}

impl Library {
    fn name(self) -> &'static str {
        match self {
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::Actix => "actix",
            Self::Xtra => "xtra",
            Self::Hydra => "hydra",
            Self::TokioActors => "tokio-actors",
            Self::Flume => "flume",
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
pub fn two_workers() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}
