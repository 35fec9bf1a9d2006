//! The run that is measured: this program again, in a process of its own.

use std::process::Command;

use tokio::runtime::{Builder, Runtime};

use crate::allocations::Tally;
use crate::path::{Path, System};
use crate::{Failure, allocations, clock, workloads};

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

    /// Runs the workload, tells what was counted, and ends the process before
    /// anything is torn down.
    pub(crate) fn carry_out(self) -> ! {
        if self.path.method().is_on_one_thread() {
            clock::count_looks();
        }
        let runtime = self.runtime();
        let before = self.count();
        runtime.block_on(async {
            match self.system {
                System::Resurgam => workloads::resurgam::run(self.path, self.operations).await,
                System::Tokio => workloads::tokio::run(self.path, self.operations).await,
            }
        });
        let after = allocations::now();
        let (count, bytes) = (after.count - before.count, after.bytes - before.bytes);
        println!("{count} {bytes}");
        std::process::exit(0)
    }

    fn count(self) -> Tally {
        if self.allocations == Allocations::Counted {
            allocations::count();
        }
        allocations::now()
    }

    /// One worker, on this thread, so that a run is the same each time; but
    /// where it is asked who is woken, two.
    fn runtime(self) -> Runtime {
        let mut builder = if self.path.method().is_on_one_thread() {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        builder.worker_threads(2).enable_all();
        builder.build().expect("a runtime")
    }

    /// Has it carried out by a child; what that one counted.
    pub(crate) fn tally(self) -> Result<Tally, Failure> {
        let output = Command::new(std::env::current_exe()?)
            .args(self.arguments())
            .output()?;
        let told = String::from_utf8(output.stdout)?;
        let failed = || {
            format!(
                "{self:?} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        };
        let (count, bytes) = told.trim().split_once(' ').ok_or_else(failed)?;
        Ok(Tally {
            count: count.parse()?,
            bytes: bytes.parse()?,
        })
    }
}
