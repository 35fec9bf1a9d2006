//! Waiting for the result of one task.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use super::{Task, TaskError};
use crate::exit_reason::ExitReason;
use crate::node::{NodeInner, later};
use crate::timer::Sleep;

/// How long something waits on a node's clock; from its first poll.
pub(super) struct Limit {
    timeout: Option<Duration>,
    sleep: Option<Sleep>,
}

impl Limit {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            sleep: None,
        }
    }

    /// Whether the time is up.
    pub(super) fn poll(&mut self, node: &Arc<NodeInner>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timeout) = self.timeout else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| {
            let at = later(node.timers.now(), timeout);
            Sleep::until(Arc::clone(&node.timers), at)
        });
        Pin::new(sleep).poll(cx)
    }
}

impl<T: Send + 'static> Task<T> {
    /// Waits for the result, 5 seconds unless told otherwise: `Task.await`. It
    /// is what `.await` on the task does.
    ///
    /// When the result is there, the process of the task has ended.
    #[doc(alias = "await")]
    pub fn join(self) -> TaskJoin<T> {
        if planted!(LateResultLost) {
            let _ = self.place.poll(&mut Context::from_waker(Waker::noop()));
        }
        TaskJoin {
            task: self,
            limit: Limit::new(Some(TaskJoin::<T>::TIMEOUT)),
        }
    }

    /// Waits for the end of the task, but no longer than `timeout` on the
    /// node's clock: `Task.yield`. It can be asked again if there was `None`;
    /// once the end was told, the answer is [`ExitReason::NoProcess`]. A zero
    /// time takes what is there.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{ExitReason, Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// node.block_on(async {
    ///     let (go, gate) = tokio::sync::oneshot::channel();
    ///     let mut task = Task::spawn_on(&node, gate)?;
    ///     assert_eq!(task.yield_for(Duration::ZERO).await, None);
    ///     go.send(42).unwrap();
    ///     assert_eq!(task.yield_for(Duration::MAX).await, Some(Ok(Ok(42))));
    ///     assert_eq!(task.yield_for(Duration::MAX).await, Some(Err(ExitReason::NoProcess)));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[doc(alias = "yield")]
    pub async fn yield_for(&mut self, timeout: Duration) -> Option<Result<T, ExitReason>> {
        let mut limit = Limit::new(Some(timeout));
        poll_fn(|cx| self.poll_within(&mut limit, cx)).await
    }

    /// Looks for the end of the task, then whether the time is up.
    pub(super) fn poll_within(
        &mut self,
        limit: &mut Limit,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, ExitReason>>> {
        if let Poll::Ready(end) = self.poll_end(cx) {
            return Poll::Ready(Some(end));
        }
        // What is no process has ended, and is told so once the caller may run.
        let Some(home) = &self.home else {
            return Poll::Pending;
        };
        ready!(limit.poll(&home.node, cx));
        Poll::Ready(None)
    }
}

impl<T: Send + 'static> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = TaskJoin<T>;

    fn into_future(self) -> TaskJoin<T> {
        self.join()
    }
}

/// Waits for the result of a task; the future of [`Task::join`].
///
/// # Errors
///
/// [`TaskError::Down`] with the reason if the task ended without a result (law
/// TASK-04), [`TaskError::TimedOut`] if it took too long. The task runs on
/// then, and what it brings later is dropped; where it is linked, the end of
/// the caller by that error ends it (law TASK-03).
///
/// # Cancel safety
///
/// The handle goes with the future: the task runs on, and its result is
/// dropped. [`Task::yield_for`] keeps the handle.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::{Node, Task, TaskError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let slow = Task::<()>::spawn_on(&node, std::future::pending())?;
/// let late = node.block_on(slow.join().timeout(Duration::from_millis(1)));
/// assert_eq!(late, Err(TaskError::TimedOut));
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct TaskJoin<T: Send + 'static> {
    task: Task<T>,
    limit: Limit,
}

impl<T: Send + 'static> TaskJoin<T> {
    /// How long it waits if nothing else is said (law TASK-02).
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Waits for this long instead of 5 seconds, on the node's clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Limit::new(Some(timeout));
        self
    }

    /// Waits for ever. The end of the task still ends the wait.
    pub fn no_timeout(mut self) -> Self {
        self.limit = Limit::new(None);
        self
    }
}

impl<T: Send + 'static> Future for TaskJoin<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { task, limit } = &mut *self;
        Poll::Ready(match ready!(task.poll_within(limit, cx)) {
            Some(end) => end.map_err(TaskError::Down),
            None => Err(TaskError::TimedOut),
        })
    }
}

impl<T: Send + 'static> fmt::Debug for TaskJoin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskJoin").field(&self.task.pid()).finish()
    }
}
