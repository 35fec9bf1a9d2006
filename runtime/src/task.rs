//! Tasks: [`Task`], Elixir's `Task`. A process that computes one value.

mod join;
mod many;
mod shutdown;
mod stream;
mod work;
mod worker;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use crate::exit_reason::ExitReason;
use crate::node::{Node, NodeInner};
use crate::pid::Pid;
use crate::process::context::Context;
use crate::process::join::Join;
use crate::process::{current, flush_exit, unlink};
use crate::process_ref::ProcessRef;
use crate::slot::Slot;
use crate::spawn::{Manner, SpawnError};

pub use join::TaskJoin;
pub use many::{OnTimeout, YieldMany};
pub use stream::TaskStream;
pub use work::{callers, set_callers};
pub use worker::TaskWorker;

use work::Work;

/// A process that computes one value, and the only handle to that value.
///
/// It is awaited by [`join`](Self::join) or by `.await` on the handle itself,
/// waited for again and again by [`yield_for`](Self::yield_for), ended by
/// [`shutdown`](Self::shutdown) or [`kill`](Self::kill), and let go by
/// [`ignore`](Self::ignore). [`Task::stream`] runs a task for each item of an
/// iterator, so many at a time.
///
/// A value that the future returns is the result, a [`Result`] too; the process
/// then ends normally. One that panics, or is ended from outside, has no
/// result, and whoever waits is told the reason. If there was a result before
/// that, the result is what counts (law TASK-08).
///
/// A task of [`spawn_link`](Self::spawn_link) goes with the process that
/// started it, and takes it along when it crashes (law TASK-05); one of
/// [`spawn`](Self::spawn) does neither. Dropping the handle changes nothing of
/// that: the task runs on, and its result is dropped.
///
/// # Differences from Elixir
///
/// Result and end are no messages: they wait at the
/// handle, and the typed mailbox of the owner knows nothing of them. Nor does a
/// trapping owner find the exit message of a task whose end the handle told.
/// Waiting in vain is an error, not an exit; `?` in a body makes it one.
///
/// | Elixir | here |
/// |---|---|
/// | `Task.async`, `async_nolink` | [`spawn_link`](Self::spawn_link), [`spawn`](Self::spawn) |
/// | `Task.await`, `await_many` | `.await`, [`join`](Self::join), [`join_many`](Self::join_many) |
/// | `Task.yield`, `yield_many` | [`yield_for`](Self::yield_for), [`yield_many`](Self::yield_many) |
/// | `Task.shutdown`, with `:brutal_kill` | [`shutdown`](Self::shutdown), [`kill`](Self::kill) |
/// | `Task.ignore`, `Task.completed` | [`ignore`](Self::ignore), [`completed`](Self::completed) |
/// | `Task.async_stream`, `async_stream_nolink` | [`stream`](Self::stream), [`stream_nolink`](Self::stream_nolink) |
/// | `Task.start`, `start_link` | [`spawn`](crate::spawn), [`spawn_link`](crate::spawn_link) |
///
/// The handle is a value, so that only one can wait at a time (law TASK-02).
/// It may be given to another process, or awaited outside of any. The link
/// stays with the process that started the task.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node, Task};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<()>| async {
///     let task = Task::spawn_link(async { 6 * 7 })?;
///     assert_eq!(task.await?, 42);
///     Ok(())
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the handle of a task drops its result; `ignore` says so"]
pub struct Task<T: Send + 'static> {
    /// None, if the task never was a process.
    home: Option<Home>,
    /// Where the process leaves the result before it ends.
    place: Arc<Slot<T>>,
    /// Taken when the end was seen, or is of no interest any more.
    end: Option<Join>,
}

/// The process of a task.
struct Home {
    node: Arc<NodeInner>,
    pid: Pid,
    /// The process that it is linked to by its start.
    linked_to: Option<Pid>,
}

/// Why a task brought no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It ended without one.
    #[error("task is down: {0}")]
    Down(ExitReason),
    /// It took too long.
    #[error("no result in time")]
    TimedOut,
    /// It was not started. An error of the start is in the reason.
    #[error("task did not start: {0}")]
    NotStarted(ExitReason),
}

impl<T: Send + 'static> Task<T> {
    /// Starts a task, linked to nobody, on the current node.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Node, Task, TaskError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async {
    ///     let task = Task::<u8>::spawn(async { panic!("no luck") })?;
    ///     assert!(matches!(task.await, Err(TaskError::Down(_))));
    ///     Ok(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "async_nolink")]
    pub fn spawn<F>(future: F) -> Result<Self, SpawnError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self::spawn_on(&Node::current(), future)
    }

    /// As [`spawn`](Self::spawn), on this node.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let task = Task::spawn_on(&node, async { 6 * 7 })?;
    /// assert_eq!(node.block_on(task.join())?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_on<F>(node: &Node, future: F) -> Result<Self, SpawnError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self::begin(node.inner(), None, future)
    }

    /// Starts a task linked to the process that runs, in one step.
    ///
    /// # Errors
    ///
    /// If the caller is no process, or the node is stopped or full.
    #[doc(alias = "async")]
    pub fn spawn_link<F>(future: F) -> Result<Self, SpawnError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let owner = current::get().ok_or(SpawnError::NotInProcess)?;
        let header = owner.header();
        Self::begin(&header.node, Some(header.pid), future)
    }

    /// A task that is over already, with this result; there is no process (law
    /// TASK-17).
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let known = Task::completed(42);
    /// assert_eq!(known.pid(), None);
    /// assert_eq!(node.block_on(known.join())?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn completed(result: T) -> Self {
        let place = Arc::new(Slot::new());
        place.settle(result);
        Self {
            home: None,
            place,
            end: Some(Join::settled(ExitReason::Normal)),
        }
    }

    fn begin<F>(
        node: &Arc<NodeInner>,
        linked_to: Option<Pid>,
        future: F,
    ) -> Result<Self, SpawnError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let manner = match linked_to {
            Some(_) if !planted!(TaskNotLinked) => Manner::LINKED,
            Some(_) | None => Manner::PLAIN,
        };
        let (work, place) = Work::new(future);
        let spawned = manner.spawn(node, move |_: Context<Infallible>| work.begin())?;
        Ok(Self::of(node, &spawned.process, place, linked_to))
    }

    /// The task of a process that was spawned, or is gone again by now.
    fn of<M: Send + 'static>(
        node: &Arc<NodeInner>,
        process: &ProcessRef<M>,
        place: Arc<Slot<T>>,
        linked_to: Option<Pid>,
    ) -> Self {
        let home = process.pid().map(|pid| Home {
            node: Arc::clone(node),
            pid,
            linked_to,
        });
        Self {
            home,
            place,
            end: Some(process.join()),
        }
    }

    /// The task's process; `None` if there never was one.
    pub fn pid(&self) -> Option<Pid> {
        self.home.as_ref().map(|home| home.pid)
    }

    /// Looks for the end of the task: its result, or why there is none. Of a
    /// task that has told its end, that there is no such process.
    fn poll_end(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, ExitReason>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(Err(ExitReason::NoProcess));
        };
        let reason = ready!(Pin::new(end).poll(cx));
        self.end = None;
        // Links are told before joins, so the message of the link has come.
        self.forget_exit();
        Poll::Ready(self.place.close().ok_or(reason))
    }

    /// The pid, if it is linked to the process that runs.
    fn linked_here(&self) -> Option<Pid> {
        let home = self.home.as_ref()?;
        let owner = home.linked_to?;
        let is_here = current::on(&home.node, |process| process.header().pid == owner);
        (is_here == Some(true)).then_some(home.pid)
    }

    /// Takes the exit message of the link out of the mailbox.
    fn forget_exit(&self) {
        if let Some(pid) = self.linked_here() {
            flush_exit(pid);
        }
    }

    /// Takes the link back, with its exit message.
    fn unlink(&self) {
        if let Some(pid) = self.linked_here() {
            unlink(pid);
            flush_exit(pid);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.pid()).finish()
    }
}
