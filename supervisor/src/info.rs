//! What a supervisor tells about its children.

use std::time::Duration;

use resurgam_runtime::{ExitReason, Pid};

use crate::child_spec::{ChildId, ChildSpec, ChildType};

/// What a child is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildStatus {
    /// It runs.
    Running(Pid),
    /// It could not be restarted yet and is about to be tried again.
    Restarting,
    /// It is down, and is restarted when this time is over.
    Waiting(Duration),
    /// It is down, since it was restarted too often. If there is a time, it is
    /// tried again when that is over.
    Parked(Option<Duration>),
    /// It does not run and is not going to be restarted by itself.
    Stopped,
}

impl ChildStatus {
    /// The pid of a child that runs.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Self::Running(pid) => Some(pid),
            Self::Restarting | Self::Waiting(_) | Self::Parked(_) | Self::Stopped => None,
        }
    }
}

/// One child, as [`which_children`](crate::SupervisorRef::which_children)
/// lists it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// What it is called.
    pub id: ChildId,
    /// What it is doing.
    pub status: ChildStatus,
    /// Whether it is a worker or a supervisor.
    pub child_type: ChildType,
    /// How often its supervisor has started it anew after it, or one that it
    /// goes along with, had fallen.
    pub restarts: u64,
    /// Why it last ended by itself, or could not be started again. A dynamic
    /// supervisor knows it only of those that are down.
    pub last_exit: Option<ExitReason>,
}

impl ChildInfo {
    pub(crate) fn new(spec: &ChildSpec, status: ChildStatus) -> Self {
        Self {
            id: spec.id().clone(),
            status,
            child_type: spec.get_child_type(),
            restarts: 0,
            last_exit: None,
        }
    }

    /// The child's pid, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.status.pid()
    }
}

/// How many children a supervisor has, of which kind.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCount {
    /// Children of any kind, running or not.
    pub specs: usize,
    /// Children whose process is alive.
    pub active: usize,
    /// Supervisors, running or not.
    pub supervisors: usize,
    /// Workers, running or not.
    pub workers: usize,
}

impl ChildCount {
    pub(crate) fn of<'a>(children: impl Iterator<Item = (&'a ChildSpec, Life)>) -> Self {
        let mut count = Self::default();
        for (spec, life) in children {
            count.specs += 1;
            match life {
                Life::Alive => count.active += 1,
                Life::Down => {}
            }
            match spec.get_child_type() {
                ChildType::Supervisor => count.supervisors += 1,
                ChildType::Worker => count.workers += 1,
            }
        }
        count
    }
}

/// Whether a child counts as active.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Life {
    Alive,
    Down,
}
