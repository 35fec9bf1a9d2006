//! Ending a task, or letting it go.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Task;
use crate::exit_reason::ExitReason;
use crate::node::NodeInner;

/// A task that was told to end. Dropped before it has, it is killed: its owner
/// has unlinked it, and nobody would end it later.
pub(super) struct Ending<'a, T: Send + 'static>(&'a mut Task<T>);

impl<'a, T: Send + 'static> Ending<'a, T> {
    pub(super) fn begin(task: &'a mut Task<T>, reason: ExitReason) -> Self {
        task.order(reason);
        Self(task)
    }

    /// Waits for the end. A result that there was counts; an end as told is
    /// nothing to be told of.
    pub(super) async fn wait(self, told: ExitReason) -> Option<Result<T, ExitReason>> {
        let end = poll_fn(|cx| self.0.poll_end(cx)).await;
        other_than(end, &told)
    }
}

impl<T: Send + 'static> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        self.0.order(ExitReason::Kill);
    }
}

impl<T: Send + 'static> Task<T> {
    /// Tells the task to shut down and waits for its end; if it has not ended
    /// in this time of the node's clock, it is killed. The link to it is taken
    /// back first.
    ///
    /// `None` if it ended as it was told; `Some(Ok)` if there was a result;
    /// `Some(Err)` with the reason if it ended with any other one:
    /// [`ExitReason::Killed`] if it had to be killed (laws TASK-09, TASK-12).
    /// [`Duration::MAX`] is for ever.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, or its process ends, the
    /// task is killed: it never outlives the wait (law TASK-13).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let idle = Task::<()>::spawn_on(&node, std::future::pending())?;
    /// assert_eq!(node.block_on(idle.shutdown(Duration::from_secs(5))), None);
    /// assert_eq!(node.process_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(mut self, timeout: Duration) -> Option<Result<T, ExitReason>> {
        let ending = Ending::begin(&mut self, ExitReason::Shutdown);
        if let Some(end) = ending.0.yield_for(timeout).await {
            return other_than(end, &ExitReason::Shutdown);
        }
        ending.0.order(ExitReason::Kill);
        ending.wait(ExitReason::Shutdown).await
    }

    /// Kills the task and waits for its end; the answer is as of
    /// [`shutdown`](Self::shutdown), where `killed` is the end that was told
    /// (law TASK-10).
    ///
    /// # Cancel safety
    ///
    /// Once it was polled, the kill stands.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let endless = Task::<()>::spawn_on(&node, std::future::pending())?;
    /// assert_eq!(node.block_on(endless.kill()), None);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "brutal_kill")]
    pub async fn kill(mut self) -> Option<Result<T, ExitReason>> {
        let ending = Ending::begin(&mut self, ExitReason::Kill);
        ending.wait(ExitReason::Killed).await
    }

    /// Lets the task run on without anybody to hear of it: the link to it is
    /// taken back, and its result is dropped. If it has ended by now, what it
    /// brought (law TASK-14).
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let endless = Task::<()>::spawn_on(&node, std::future::pending())?;
    /// assert_eq!(endless.ignore(), None);
    /// assert_eq!(node.process_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ignore(mut self) -> Option<Result<T, ExitReason>> {
        self.let_go()
    }

    /// See [`ignore`](Self::ignore).
    pub(super) fn let_go(&mut self) -> Option<Result<T, ExitReason>> {
        let end = self.poll_end(&mut Context::from_waker(Waker::noop()));
        self.unlink();
        self.end = None;
        match end {
            Poll::Ready(end) => Some(end),
            Poll::Pending => None,
        }
    }

    /// Takes the link back and sends an exit signal, in one step; unless the
    /// end was told.
    pub(super) fn order(&self, reason: ExitReason) {
        if let (Some(home), Some(_)) = (&self.home, &self.end) {
            self.unlink();
            NodeInner::exit(&home.node, home.pid, reason);
        }
    }
}

/// How a task ended, unless that is with this reason.
fn other_than<T>(end: Result<T, ExitReason>, told: &ExitReason) -> Option<Result<T, ExitReason>> {
    match end {
        Err(reason) if reason == *told => None,
        end => Some(end),
    }
}
