//! A task for each item, so many at a time: [`TaskStream`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Ready, ready};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready as wait};
use std::thread::available_parallelism;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};

use super::join::Limit;
use super::{Task, TaskError};
use crate::exit_reason::ExitReason;
use crate::reply::stopped;

/// What starting a task brings.
type Started<T> = Result<Task<T>, ExitReason>;

/// The results of a task for each item of an iterator, as a [`Stream`]; made by
/// [`Task::stream`] and [`Task::stream_nolink`].
///
/// No more than [`max_concurrency`](Self::max_concurrency) tasks are there at a
/// time, and each is given [`timeout`](Self::timeout). Unless it is
/// [`unordered`](Self::unordered), the results come in the order of the items;
/// what a slow one holds up is kept.
///
/// An item's task that ends without a result is a [`TaskError::Down`], and the
/// stream goes on. With [`Task::stream`] the tasks are linked, so that only a
/// caller that traps exits comes to see that. A task that takes too long is
/// killed and a [`TaskError::TimedOut`]. By default that is the stream's last
/// word, with the other tasks killed and gone;
/// [`kill_task_on_timeout`](Self::kill_task_on_timeout) lets it go on. A task
/// that cannot be started is a last word too, [`TaskError::NotStarted`].
///
/// The stream does nothing unless it is polled: tasks that were started run on,
/// but none is started, and none found to be late.
///
/// # Cancel safety
///
/// Waiting for the next item can be called off at any time. Dropping the stream
/// kills the tasks that have not ended: the kills are sent when the drop
/// returns, and nothing of the tasks reaches the mailbox, but the tasks end
/// when they next return to the scheduler. [`close`](Self::close) also waits
/// for that (law TASK-23).
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use resurgam_runtime::{Context, Node, Task, TaskError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<()>| async {
///     let halves = Task::stream_nolink([4, 5, 6], |n| async move {
///         assert!(n % 2 == 0, "odd");
///         n / 2
///     });
///     let halves: Vec<_> = halves.zip_input_on_exit().collect().await;
///     assert_eq!((&halves[0], &halves[2]), (&Ok(2), &Ok(3)));
///     assert!(matches!(halves[1], Err((5, TaskError::Down(_)))));
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
///
/// # Differences from Elixir
///
/// There is no process between the caller and the tasks. `on_timeout: :exit`
/// ends the stream with an error, which `?` makes the end of the caller.
pub struct TaskStream<I, S, R, T, K = (), E = TaskError>
where
    I: Iterator,
    T: Send + 'static,
{
    /// Taken when there are no more, or they are not wanted any more.
    items: Option<I>,
    start: S,
    /// What is kept of an item whose task runs, and the error made with it.
    keep: fn(&I::Item) -> K,
    blame: fn(K, TaskError) -> E,
    rules: Rules,
    /// The item whose task is being started.
    starting: Option<(R, K)>,
    running: FuturesUnordered<Running<T, K>>,
    /// What ended and was not yet given out, by the number of the item.
    ended: BTreeMap<u64, Result<T, E>>,
    numbered: u64,
    given_out: u64,
    phase: Phase<E>,
}

/// How a stream goes about it.
#[derive(Clone, Debug)]
struct Rules {
    max_concurrency: usize,
    order: Order,
    timeout: Option<Duration>,
    on_timeout: Late,
}

#[derive(Copy, Clone, Debug)]
enum Order {
    AsItems,
    AsTheyEnd,
}

/// What a task that is late means for the stream.
#[derive(Copy, Clone, Debug)]
enum Late {
    EndsStream,
    IsAnError,
}

enum Phase<E> {
    Open,
    /// The tasks that are left are killed. At the end there may be a last word.
    Closing(Option<E>),
}

impl<T: Send + 'static> Task<T> {
    /// Runs a task for each item, linked to the process that polls the stream:
    /// `Task.async_stream`.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use resurgam_runtime::{Context, Node, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async {
    ///     let mut squares = Task::stream(1..=3, |n: u32| async move { n * n }).max_concurrency(2);
    ///     let mut sum = 0;
    ///     while let Some(square) = squares.next().await {
    ///         sum += square?;
    ///     }
    ///     assert_eq!(sum, 14);
    ///     Ok(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "async_stream")]
    #[expect(clippy::type_complexity, reason = "its closure has no name")]
    pub fn stream<I, W, F>(
        items: I,
        mut work: W,
    ) -> TaskStream<
        I::IntoIter,
        impl FnMut(I::Item) -> Ready<Started<T>> + use<T, I, W, F>,
        Ready<Started<T>>,
        T,
    >
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        TaskStream::of(items.into_iter(), move |item| {
            ready(Self::spawn_link(work(item)).map_err(ExitReason::from))
        })
    }

    /// As [`stream`](Self::stream), with tasks that are linked to nobody.
    #[doc(alias = "async_stream_nolink")]
    #[expect(clippy::type_complexity, reason = "its closure has no name")]
    pub fn stream_nolink<I, W, F>(
        items: I,
        mut work: W,
    ) -> TaskStream<
        I::IntoIter,
        impl FnMut(I::Item) -> Ready<Started<T>> + use<T, I, W, F>,
        Ready<Started<T>>,
        T,
    >
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        TaskStream::of(items.into_iter(), move |item| {
            ready(Self::spawn(work(item)).map_err(ExitReason::from))
        })
    }
}

impl<I, S, R, T> TaskStream<I, S, R, T>
where
    I: Iterator,
    S: FnMut(I::Item) -> R,
    R: Future<Output = Started<T>> + Unpin,
    T: Send + 'static,
{
    /// A stream whose tasks are started by `start`, one after the other.
    /// [`Task::stream`] is one; a supervisor of tasks makes others.
    pub fn of(items: I, start: S) -> Self {
        let rules = Rules {
            max_concurrency: available_parallelism().map_or(1, NonZeroUsize::get),
            order: Order::AsItems,
            timeout: Some(Duration::from_secs(5)),
            on_timeout: Late::EndsStream,
        };
        Self::with_rules(Some(items), start, rules, |_| (), |(), error| error)
    }

    /// Lets the errors come with their items, as pairs. To be said before the
    /// stream is polled.
    #[expect(clippy::type_complexity, reason = "it says what changes")]
    pub fn zip_input_on_exit(self) -> TaskStream<I, S, R, T, I::Item, (I::Item, TaskError)>
    where
        I::Item: Clone,
    {
        let Self {
            items,
            start,
            rules,
            ..
        } = self;
        TaskStream::with_rules(items, start, rules, I::Item::clone, |item, error| {
            (item, error)
        })
    }
}

impl<I, S, R, T, K, E> TaskStream<I, S, R, T, K, E>
where
    I: Iterator,
    S: FnMut(I::Item) -> R,
    R: Future<Output = Started<T>> + Unpin,
    T: Send + 'static,
{
    fn with_rules(
        items: Option<I>,
        start: S,
        rules: Rules,
        keep: fn(&I::Item) -> K,
        blame: fn(K, TaskError) -> E,
    ) -> Self {
        Self {
            items,
            start,
            keep,
            blame,
            rules,
            starting: None,
            running: FuturesUnordered::new(),
            ended: BTreeMap::new(),
            numbered: 0,
            given_out: 0,
            phase: Phase::Open,
        }
    }

    /// How many tasks there are at a time; by default as many as the machine
    /// has processors.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    #[must_use]
    pub fn max_concurrency(mut self, tasks: usize) -> Self {
        assert!(tasks > 0, "a stream needs at least one task at a time");
        self.rules.max_concurrency = tasks;
        self
    }

    /// Lets the results come as they are there.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.rules.order = Order::AsTheyEnd;
        self
    }

    /// How long each task may take, on the node's clock; 5 seconds if it is not
    /// said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.rules.timeout = Some(timeout);
        self
    }

    /// Lets each task take as long as it needs.
    #[must_use]
    pub fn no_timeout(mut self) -> Self {
        self.rules.timeout = None;
        self
    }

    /// A task that takes too long is an error like any other, after which the
    /// stream goes on.
    #[must_use]
    pub fn kill_task_on_timeout(mut self) -> Self {
        self.rules.on_timeout = Late::IsAnError;
        self
    }

    /// Kills the tasks that have not ended, and waits until they have.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled, the kills stand.
    pub async fn close(mut self) {
        self.begin_close(None);
        // Nothing is given out any more.
        self.next().await;
    }

    /// What can be given out now.
    fn next_in_turn(&mut self) -> Option<Result<T, E>> {
        let item = match self.rules.order {
            Order::AsItems if !planted!(StreamUnordered) => self.ended.remove(&self.given_out),
            Order::AsItems | Order::AsTheyEnd => self.ended.pop_first().map(|(_, item)| item),
        }?;
        self.given_out += 1;
        Some(item)
    }

    /// Starts tasks while there may be more.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.running.len() < self.rules.max_concurrency {
            let Some((mut starting, kept)) = self.starting.take().or_else(|| self.start_next())
            else {
                return;
            };
            match starting.poll_unpin(cx) {
                Poll::Ready(Ok(task)) => self.run(task, kept),
                Poll::Ready(Err(reason)) => {
                    self.begin_close(Some((self.blame)(kept, TaskError::NotStarted(reason))));
                }
                Poll::Pending => {
                    self.starting = Some((starting, kept));
                    return;
                }
            }
        }
    }

    fn start_next(&mut self) -> Option<(R, K)> {
        let Some(item) = self.items.as_mut()?.next() else {
            self.items = None;
            return None;
        };
        let kept = (self.keep)(&item);
        Some(((self.start)(item), kept))
    }

    fn run(&mut self, task: Task<T>, kept: K) {
        let mut running = Running {
            number: self.numbered,
            kept: Some(kept),
            task,
            limit: Limit::new(self.rules.timeout),
            course: Course::InTime,
        };
        if let Phase::Closing(_) = self.phase {
            running.kill();
        }
        self.numbered += 1;
        self.running.push(running);
    }

    /// Notes how a task ended.
    fn record(&mut self, ended: Ended<T, K>) {
        let Ended {
            number,
            kept,
            result,
        } = ended;
        match (&self.phase, result, self.rules.on_timeout) {
            (Phase::Closing(_), _, _) => {}
            (Phase::Open, Err(error @ TaskError::TimedOut), Late::EndsStream) => {
                self.begin_close(Some((self.blame)(kept, error)));
            }
            (Phase::Open, result, Late::EndsStream | Late::IsAnError) => {
                let result = result.map_err(|error| (self.blame)(kept, error));
                self.ended.insert(number, result);
            }
        }
    }

    /// Kills the tasks that are there, and starts no more. The first to close
    /// it has the last word.
    fn begin_close(&mut self, last_word: Option<E>) {
        if let Phase::Closing(_) = self.phase {
            return;
        }
        self.phase = Phase::Closing(last_word);
        self.items = None;
        self.ended.clear();
        for running in self.running.iter_mut() {
            running.kill();
        }
    }

    fn last_word(&mut self) -> Option<E> {
        match &mut self.phase {
            Phase::Open => None,
            Phase::Closing(last_word) => last_word.take(),
        }
    }
}

impl<I, S, R, T, K, E> Stream for TaskStream<I, S, R, T, K, E>
where
    I: Iterator,
    S: FnMut(I::Item) -> R,
    R: Future<Output = Started<T>> + Unpin,
    T: Send + 'static,
{
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if stopped() {
            return Poll::Pending;
        }
        loop {
            if let Some(item) = self.next_in_turn() {
                return Poll::Ready(Some(item));
            }
            self.fill(cx);
            match wait!(self.running.poll_next_unpin(cx)) {
                Some(ended) => self.record(ended),
                None if self.starting.is_some() => return Poll::Pending,
                None => return Poll::Ready(self.last_word().map(Err)),
            }
        }
    }
}

/// Nothing of it is pinned.
impl<I, S, R, T, K, E> Unpin for TaskStream<I, S, R, T, K, E>
where
    I: Iterator,
    T: Send + 'static,
{
}

impl<I, S, R, T, K, E> fmt::Debug for TaskStream<I, S, R, T, K, E>
where
    I: Iterator,
    T: Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream")
            .field("rules", &self.rules)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

/// A task of a stream, until it has ended. Dropped before that, it is killed.
struct Running<T: Send + 'static, K> {
    number: u64,
    /// Taken at the end.
    kept: Option<K>,
    task: Task<T>,
    limit: Limit,
    course: Course,
}

#[derive(Copy, Clone)]
enum Course {
    InTime,
    Killed,
}

/// How a task of a stream ended.
struct Ended<T, K> {
    number: u64,
    kept: K,
    result: Result<T, TaskError>,
}

impl<T: Send + 'static, K> Running<T, K> {
    fn kill(&mut self) {
        self.course = Course::Killed;
        self.task.order(ExitReason::Kill);
    }

    fn why(&self, reason: ExitReason) -> TaskError {
        match self.course {
            Course::InTime => TaskError::Down(reason),
            Course::Killed => TaskError::TimedOut,
        }
    }
}

impl<T: Send + 'static, K> Future for Running<T, K> {
    type Output = Ended<T, K>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let end = match this.course {
            Course::InTime => match wait!(this.task.poll_within(&mut this.limit, cx)) {
                Some(end) => end,
                None => {
                    this.kill();
                    wait!(this.task.poll_end(cx))
                }
            },
            Course::Killed => wait!(this.task.poll_end(cx)),
        };
        Poll::Ready(Ended {
            number: this.number,
            kept: this.kept.take().expect("polled no more when it has ended"),
            result: end.map_err(|reason| this.why(reason)),
        })
    }
}

/// Nothing of it is pinned.
impl<T: Send + 'static, K> Unpin for Running<T, K> {}

impl<T: Send + 'static, K> Drop for Running<T, K> {
    fn drop(&mut self) {
        self.kill();
    }
}
