//! The names of a node, by name. The other direction is in each process's
//! header; a name changes hands under the lock of the process it belongs to.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::name::Name;
use crate::pid::Pid;
use crate::process::cell::{ENDING, Process};
use crate::table::Table;

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
#[derive(Debug, Default)]
pub(crate) struct Registry(DashMap<Name, Pid>);

impl Registry {
    pub(crate) fn whereis(&self, name: &Name) -> Option<Pid> {
        self.0.get(name).map(|entry| *entry)
    }

    /// All names, in their own order, so that what is done with them does not
    /// depend on the table's.
    pub(crate) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.0.iter().map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }

    /// All names and who has them.
    #[cfg(feature = "sim")]
    pub(crate) fn entries(&self) -> Vec<(Name, Pid)> {
        let entry = |entry: dashmap::mapref::multiple::RefMulti<'_, Name, Pid>| {
            (entry.key().clone(), *entry.value())
        };
        self.0.iter().map(entry).collect()
    }

    /// Whether a process has a name.
    #[cfg(feature = "sim")]
    pub(crate) fn holds(&self, pid: Pid) -> bool {
        self.0.iter().any(|entry| *entry.value() == pid)
    }

    pub(crate) fn register(&self, name: &Name, process: &Process) -> Result<(), RegisterError> {
        let pid = process.header().pid;
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
        match self.0.entry(name.clone()) {
            Entry::Occupied(entry) => {
                let holder = *entry.get();
                return Err(RegisterError::NameTaken {
                    name: name.clone(),
                    holder,
                });
            }
            Entry::Vacant(entry) => drop(entry.insert(pid)),
        }
        identity.name = Some(name.clone());
        Ok(())
    }

    pub(crate) fn unregister(&self, name: &Name, table: &Table) -> Result<Pid, UnregisterError> {
        let unknown = || UnregisterError(name.clone());
        let pid = self.whereis(name).ok_or_else(unknown)?;
        // Gone from the table: its end has released the name by now or does so.
        let process = table.get(pid).ok_or_else(unknown)?;
        let mut identity = process.header().identity.lock();
        if identity.name.as_ref() != Some(name) {
            return Err(unknown());
        }
        self.remove(name, pid);
        identity.name = None;
        Ok(pid)
    }

    /// Frees a name, under the lock of the process that has it.
    pub(crate) fn remove(&self, name: &Name, holder: Pid) {
        self.0.remove_if(name, |_, pid| *pid == holder);
    }
}
