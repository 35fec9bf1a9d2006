//! The run that is measured: this program again, in a process of its own.

use std::process::Command;

use tokio::runtime::{Builder, Runtime};

use crate::path::{Path, System};
use crate::{Failure, allocations, workloads};

/// The word that makes this program a child.
const WORD: &str = "run";

/// What a child is to do.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Order {
    pub(crate) system: System,
    pub(crate) path: Path,
    pub(crate) operations: u64,
    pub(crate) allocations: Allocations,
}

/// What becomes of the child's allocations.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Allocations {
    Counted,
    /// They cost nothing extra.
    Ignored,
}

impl Order {
    /// The order that was given on the command line, if one was.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>, Failure> {
        let [word, system, path, operations, allocations] = arguments else {
            return Ok(None);
        };
        if word != WORD {
            return Ok(None);
        }
        Ok(Some(Self {
            system: System::named(system).ok_or("no such system")?,
            path: Path::named(path).ok_or("no such path")?,
            operations: operations.parse()?,
            allocations: if allocations == "counted" {
                Allocations::Counted
            } else {
                Allocations::Ignored
            },
        }))
    }

    /// The arguments that give this order.
    pub(crate) fn arguments(self) -> [String; 5] {
        let allocations = match self.allocations {
            Allocations::Counted => "counted",
            Allocations::Ignored => "ignored",
        };
        [
            WORD.into(),
            self.system.name().into(),
            self.path.name().into(),
            self.operations.to_string(),
            allocations.into(),
        ]
    }

    /// Runs the workload, tells what it allocated, and ends the process before
    /// anything is torn down.
    pub(crate) fn carry_out(self) -> ! {
        let runtime = runtime();
        let before = self.count();
        runtime.block_on(async {
            match self.system {
                System::Resurgam => workloads::resurgam::run(self.path, self.operations).await,
                System::Tokio => workloads::tokio::run(self.path, self.operations).await,
            }
        });
        let after = allocations::now();
        println!(
            "{} {}",
            after.count - before.count,
            after.bytes - before.bytes
        );
        std::process::exit(0)
    }

    fn count(self) -> allocations::Tally {
        if self.allocations == Allocations::Counted {
            allocations::count();
        }
        allocations::now()
    }

    /// Has it carried out by a child, allocations counted.
    pub(crate) fn count_allocations(self) -> Result<allocations::Tally, Failure> {
        let order = Self {
            allocations: Allocations::Counted,
            ..self
        };
        let output = Command::new(std::env::current_exe()?)
            .args(order.arguments())
            .output()?;
        let told = String::from_utf8(output.stdout)?;
        let failed = || {
            format!(
                "{self:?} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        };
        let (count, bytes) = told.trim().split_once(' ').ok_or_else(failed)?;
        Ok(allocations::Tally {
            count: count.parse()?,
            bytes: bytes.parse()?,
        })
    }
}

/// One worker, on this thread: so a run is the same each time.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
