//! The names of a node, by name. The other direction is in each process's
//! header; a name changes hands under the lock of the process it belongs to.

mod index;

use crate::name::Name;
use crate::pid::Pid;
use crate::process::cell::{ENDING, Process};
use crate::table::Table;
use index::Index;

/// Why a name was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another process has the name (law REG-02).
    #[error("name `{name}` is taken by {holder}")]
    NameTaken {
        /// The name.
        name: Name,
        /// Who has it.
        holder: Pid,
    },
    /// The process has a name; it can have one (law REG-01).
    #[error("process {pid} is already registered as `{name}`")]
    AlreadyNamed {
        /// The process.
        pid: Pid,
        /// The name it has.
        name: Name,
    },
    /// There is no such process (law REG-03).
    #[error("no process {0}")]
    NoProcess(Pid),
    /// The name is empty.
    #[error("a name must not be empty")]
    EmptyName,
}

/// Why a name was not taken back: nobody has it (law REG-05).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no process is registered as `{0}`")]
pub struct UnregisterError(pub Name);

/// The names of a node.
#[derive(Debug)]
pub(crate) struct Registry(Index);

impl Registry {
    pub(crate) fn new() -> Self {
        Self(Index::new())
    }

    pub(crate) fn whereis(&self, name: impl AsRef<str>) -> Option<Pid> {
        self.0.get(name.as_ref())
    }

    /// All names, in their own order, so that what is done with them does not
    /// depend on the table's.
    pub(crate) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.entries().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// All names and who has them.
    pub(crate) fn entries(&self) -> Vec<(Name, Pid)> {
        self.0.entries()
    }

    /// Whether a process has a name.
    #[cfg(feature = "sim")]
    pub(crate) fn holds(&self, pid: Pid) -> bool {
        self.entries().iter().any(|(_, holder)| *holder == pid)
    }

    pub(crate) fn register(
        &self,
        name: impl Into<Name>,
        process: &Process,
    ) -> Result<(), RegisterError> {
        let (name, pid) = (name.into(), process.header().pid);
        if name.as_str().is_empty() {
            return Err(RegisterError::EmptyName);
        }
        let mut identity = process.header().identity.lock();
        if identity.flags & ENDING != 0 {
            return Err(RegisterError::NoProcess(pid));
        }
        if let Some(name) = identity.name.clone() {
            return Err(RegisterError::AlreadyNamed { pid, name });
        }
        if let Err(holder) = self.0.give(&name, pid) {
            return Err(RegisterError::NameTaken { name, holder });
        }
        identity.name = Some(name);
        Ok(())
    }

    pub(crate) fn unregister(
        &self,
        name: impl AsRef<str>,
        table: &Table,
    ) -> Result<Pid, UnregisterError> {
        let name = name.as_ref();
        let unknown = || UnregisterError(name.into());
        let pid = self.whereis(name).ok_or_else(unknown)?;
        // Gone from the table: its end has released the name by now or does so.
        let process = table.get(pid).ok_or_else(unknown)?;
        let mut identity = process.header().identity.lock();
        match &identity.name {
            Some(held) if held.as_str() == name => self.remove(held, pid),
            Some(_) | None => return Err(unknown()),
        }
        identity.name = None;
        Ok(pid)
    }

    /// Frees a name, under the lock of the process that has it.
    pub(crate) fn remove(&self, name: &Name, holder: Pid) {
        self.0.free(name, holder);
    }
}
