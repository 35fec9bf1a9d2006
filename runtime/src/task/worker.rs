//! A process that waits for the work of a task.

use std::fmt;
use std::sync::Arc;

use super::Task;
use super::work::Work;
use crate::exit_reason::ExitReason;
use crate::node::NodeInner;
use crate::pid::Pid;
use crate::process::context::Context;
use crate::process::{current, link, spawn_link};
use crate::process_ref::ProcessRef;
use crate::signal::Message;
use crate::spawn::SpawnError;

/// A process that waits to be given the work of a task: how a supervisor starts
/// tasks for others.
///
/// The supervisor starts it, linked to itself, and gives it to whoever asked,
/// who becomes the owner of the task. Dropped before that, because the owner
/// is gone or has given up, it tells the process to shut down (law TASK-26).
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node, TaskWorker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<()>| async {
///     let worker = TaskWorker::spawn_link()?;
///     let task = worker.entrust(async { 6 * 7 });
///     assert_eq!(task.await?, 42);
///     Ok(())
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends its process"]
pub struct TaskWorker<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Taken when it was given its work.
    process: Option<ProcessRef<Work<F>>>,
}

impl<F> TaskWorker<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Starts the process, linked to the one that runs.
    ///
    /// # Errors
    ///
    /// If the caller is no process, or the node is stopped or full.
    pub fn spawn_link() -> Result<Self, SpawnError> {
        let process = spawn_link(|mut ctx: Context<Work<F>>| async move {
            if let Message::User(work) = ctx.receive().await {
                work.begin().await;
            }
        })?;
        Ok(Self {
            process: Some(process),
        })
    }

    /// The process.
    pub fn pid(&self) -> Option<Pid> {
        self.process.as_ref().and_then(ProcessRef::pid)
    }

    /// Gives it its work; the task belongs to the caller.
    pub fn entrust(self, future: F) -> Task<F::Output> {
        self.give(None, future)
    }

    /// As [`entrust`](Self::entrust), with the task linked to the process that
    /// runs.
    ///
    /// # Errors
    ///
    /// If the caller is no process of the same node.
    pub fn entrust_link(self, future: F) -> Result<Task<F::Output>, SpawnError> {
        let process = self.process.as_ref();
        let owner = process.and_then(|process| {
            current::on(process.node(), |owner| owner.header().pid).zip(process.pid())
        });
        let (owner, pid) = owner.ok_or(SpawnError::NotInProcess)?;
        link(pid);
        Ok(self.give(Some(owner), future))
    }

    fn give(mut self, linked_to: Option<Pid>, future: F) -> Task<F::Output> {
        let process = self.process.take().expect("taken only here");
        let (work, place) = Work::new(future);
        process.cast(work);
        Task::of(process.node(), &process, place, linked_to)
    }
}

impl<F> Drop for TaskWorker<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(process) = self.process.take()
            && let Some(pid) = process.pid()
        {
            let node = Arc::clone(process.node());
            let reason = ExitReason::shutdown_with("nobody came with the work");
            NodeInner::exit(&node, pid, reason);
        }
    }
}

impl<F> fmt::Debug for TaskWorker<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskWorker").field(&self.pid()).finish()
    }
}
