//! What stands for a process: [`ProcessHandle`].

use resurgam_runtime::{Agent, EventManager, Pid, ProcessRef};

use crate::child_spec::ChildType;
use crate::handle::{DynamicSupervisorRef, SupervisorRef};
use crate::task_supervisor::TaskSupervisor;

/// A value by which others talk to a process: what a start function gives to
/// whoever looks after the process.
///
/// A client of your own is one if it knows the pid of its server.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, EventManager, Pid, ProcessRef};
/// use resurgam_supervisor::ProcessHandle;
///
/// #[derive(Clone)]
/// struct Cache(ProcessRef<String>);
///
/// impl ProcessHandle for Cache {
///     fn pid(&self) -> Option<Pid> {
///         self.0.pid()
///     }
/// }
/// ```
pub trait ProcessHandle: Clone + Send + Sync + 'static {
    /// Whether the process does the work or looks after others that do. It
    /// says how long the process may take to shut down.
    const CHILD_TYPE: ChildType = ChildType::Worker;

    /// The pid; `None` for a name that nobody has.
    fn pid(&self) -> Option<Pid>;
}

impl<M: Send + 'static> ProcessHandle for ProcessRef<M> {
    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl<S: Send + 'static> ProcessHandle for Agent<S> {
    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl<E: Send + Sync + 'static> ProcessHandle for EventManager<E> {
    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl ProcessHandle for SupervisorRef {
    const CHILD_TYPE: ChildType = ChildType::Supervisor;

    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl ProcessHandle for DynamicSupervisorRef {
    const CHILD_TYPE: ChildType = ChildType::Supervisor;

    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl ProcessHandle for TaskSupervisor {
    const CHILD_TYPE: ChildType = ChildType::Supervisor;

    fn pid(&self) -> Option<Pid> {
        self.supervisor().pid()
    }
}
