//! Waiting for many tasks.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;

use super::join::Limit;
use super::shutdown::Ending;
use super::{Task, TaskError};
use crate::exit_reason::ExitReason;
use crate::node::NodeInner;

/// What happens to the tasks that have not ended when the time of
/// [`Task::yield_many`] is up.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// They run on, and can be waited for again.
    #[default]
    Nothing,
    /// They run on without anybody to hear of them. See [`Task::ignore`].
    Ignore,
    /// They are killed. See [`Task::kill`].
    KillTask,
}

/// How long [`Task::yield_many`] waits, and for how many. A [`Duration`] is
/// one: for all, so long.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::{OnTimeout, YieldMany};
///
/// let first_of_all = YieldMany::default().limit(1);
/// let or_die = YieldMany::from(Duration::from_secs(1)).on_timeout(OnTimeout::KillTask);
/// # drop((first_of_all, or_die));
/// ```
#[derive(Copy, Clone, Debug)]
#[must_use = "it is what `Task::yield_many` is given"]
pub struct YieldMany {
    timeout: Duration,
    limit: usize,
    on_timeout: OnTimeout,
}

impl Default for YieldMany {
    /// For all, 5 seconds.
    fn default() -> Self {
        Duration::from_secs(5).into()
    }
}

impl From<Duration> for YieldMany {
    fn from(timeout: Duration) -> Self {
        Self {
            timeout,
            limit: usize::MAX,
            on_timeout: OnTimeout::Nothing,
        }
    }
}

impl YieldMany {
    /// Waits for the first so many only; the others are left as they are.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// What happens to the tasks that have not ended in time.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }
}

impl<T: Send + 'static> Task<T> {
    /// Waits for the results of all these tasks, for no longer than `timeout`
    /// on their node's clock in all: `Task.await_many`. The results stand
    /// in the order of the tasks (law TASK-15).
    ///
    /// # Errors
    ///
    /// [`TaskError::Down`] as soon as one of them ended without a result,
    /// [`TaskError::TimedOut`] if the time is up. The others run on, and what
    /// they bring is dropped; where they are linked, the end of the caller by
    /// that error ends them.
    ///
    /// # Cancel safety
    ///
    /// The handles go with the future; the tasks run on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let squares = [1, 2, 3].map(|n| Task::spawn_on(&node, async move { n * n }));
    /// let squares = squares.into_iter().collect::<Result<Vec<_>, _>>()?;
    /// let squares = node.block_on(Task::join_many(squares, Duration::from_secs(5)))?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "await_many")]
    pub async fn join_many(
        tasks: impl IntoIterator<Item = Self>,
        timeout: Duration,
    ) -> Result<Vec<T>, TaskError> {
        let tasks: Vec<_> = tasks.into_iter().collect();
        let node = node_of(&tasks);
        let all = try_join_all(tasks.into_iter().map(|task| task.join().no_timeout()));
        let in_time = within(timeout, node, all).await;
        in_time.unwrap_or(Err(TaskError::TimedOut))
    }

    /// Waits for the ends of these tasks, for no longer than it is told; 5
    /// seconds and for all by [`YieldMany::default`]. What is known then of
    /// each task, in their order (law TASK-16).
    ///
    /// # Cancel safety
    ///
    /// What had ended by then is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Node, OnTimeout, Task, YieldMany};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let quick = Task::completed(1);
    /// let slow = Task::spawn_on(&node, std::future::pending())?;
    /// let how = YieldMany::from(Duration::from_millis(1)).on_timeout(OnTimeout::KillTask);
    /// let ends = node.block_on(Task::yield_many(&mut [quick, slow], how));
    /// assert_eq!(ends, [Some(Ok(1)), None]);
    /// assert_eq!(node.process_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn yield_many(
        tasks: &mut [Self],
        how: impl Into<YieldMany>,
    ) -> Vec<Option<Result<T, ExitReason>>> {
        let how = how.into();
        let mut ends: Vec<_> = tasks.iter().map(|_| None).collect();
        let node = node_of(tasks);
        let wait = wait_for_some(tasks, &mut ends, how.limit);
        if within(how.timeout, node, wait).await.is_none() {
            let late = tasks.iter_mut().zip(&mut ends);
            let late = late.filter(|(_, end)| end.is_none());
            match how.on_timeout {
                OnTimeout::Nothing => {}
                OnTimeout::Ignore => late.for_each(|(task, end)| *end = task.let_go()),
                OnTimeout::KillTask => kill_all(late).await,
            }
        }
        ends
    }
}

/// The node of these tasks; none, if they have ended all.
fn node_of<T: Send + 'static>(tasks: &[Task<T>]) -> Option<Arc<NodeInner>> {
    let mut homes = tasks.iter().filter_map(|task| task.home.as_ref());
    homes.next().map(|home| Arc::clone(&home.node))
}

/// Waits for a future, but no longer than this.
async fn within<F: Future>(
    timeout: Duration,
    node: Option<Arc<NodeInner>>,
    future: F,
) -> Option<F::Output> {
    let mut limit = Limit::new(Some(timeout));
    let mut future = pin!(future);
    poll_fn(|cx| match (future.as_mut().poll(cx), &node) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(node)) => limit.poll(node, cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

/// How a task ended, where that is known.
type End<T> = Option<Result<T, ExitReason>>;

/// Notes the ends of the tasks until there are so many.
async fn wait_for_some<T: Send + 'static>(
    tasks: &mut [Task<T>],
    ends: &mut [End<T>],
    limit: usize,
) {
    let waits = tasks.iter_mut().zip(ends).map(async |(task, end)| {
        *end = Some(poll_fn(|cx| task.poll_end(cx)).await);
    });
    let ended = waits.collect::<FuturesUnordered<_>>();
    ended.take(limit).collect::<()>().await;
}

/// Kills all these tasks, then waits for their ends.
async fn kill_all<'a, T: Send + 'static>(
    late: impl Iterator<Item = (&'a mut Task<T>, &'a mut End<T>)>,
) {
    let killed: Vec<_> = late
        .map(|(task, end)| (Ending::begin(task, ExitReason::Kill), end))
        .collect();
    for (ending, end) in killed {
        *end = ending.wait(ExitReason::Killed).await;
    }
}
