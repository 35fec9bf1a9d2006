//! [`Node`]: a world of processes, as a value.

mod builder;
pub(crate) mod seam;
mod stop;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::exit_reason::ExitReason;
use crate::groups::table::Scopes;
use crate::name::Name;
use crate::pid::{MonitorRef, Pid};
use crate::process::body::{self, Checkpoint};
use crate::process::cell::{AIMED_AT, Process, ProcessOutput};
use crate::process::context::Context;
use crate::process::current;
use crate::process::info::{self, ProcessInfo};
use crate::process::join::Join;
use crate::process_ref::{ProcessRef, SendError, send_to};
use crate::registry::{RegisterError, Registry, UnregisterError};
use crate::reply::stopped;
use crate::report::Crashes;
use crate::scheduler::Scheduler;
use crate::signal::{Cause, Exit, Signal, System};
use crate::slot::Slot;
use crate::spawn::{Manner, SpawnError, SpawnOptions};
use crate::table::Table;
use crate::thread::ThreadContext;
use crate::timer::{Action, Elapsed, Sleep, TimerRef, Timers};

pub use builder::{NodeBuilder, NodeError};
pub use stop::{StopError, Straggler};

/// A world of processes: process table, names, timers, clock, random numbers
/// and scheduler.
///
/// A node is a value, cheap to clone; nodes know nothing of each other. Its
/// processes run on the workers of the Tokio runtime it was made in, so that
/// Tokio's I/O and timers work inside them; made outside any, it makes a
/// runtime of its own.
///
/// Dropping a node of a Tokio runtime leaves its processes running, as
/// dropping a `JoinHandle` leaves its task; they end when the runtime does.
/// Dropping the last handle of a node with a runtime of its own ends its
/// processes. [`stop`](Self::stop) ends a node in good order.
///
/// # Differences from Erlang
///
/// There can be several in one program. They are not connected: a pid means
/// something on its own node only.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Message, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let echo = node.spawn(|mut ctx: Context<&str>| async move {
///     let Message::User(text) = ctx.receive().await else { panic!("no text") };
///     println!("{text}");
/// })?;
/// echo.cast("hello");
/// assert!(node.block_on(echo.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node {
    inner: Arc<NodeInner>,
    /// Keeps the runtime of a node that made its own. Processes do not hold
    /// it, so that the last handle outside can end it.
    own_runtime: Option<Arc<OwnRuntime>>,
}

/// A Tokio runtime that belongs to a node.
struct OwnRuntime(Option<tokio::runtime::Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waits for nothing, so that it can happen anywhere.
            runtime.shutdown_background();
        }
    }
}

/// The one value behind all handles of a node.
pub(crate) struct NodeInner {
    pub(crate) table: Table,
    pub(crate) registry: Registry,
    /// The tables of process groups, by their scopes.
    pub(crate) scopes: Scopes,
    pub(crate) crashes: Crashes,
    pub(crate) timers: Arc<Timers>,
    pub(crate) scheduler: Scheduler,
    /// The Tokio runtime that hosts it; none in a simulation.
    pub(crate) runtime: Option<tokio::runtime::Handle>,
    random: AtomicU64,
    /// Numbers the monitors that no process made.
    next_outside_number: AtomicU64,
    /// How many hosts there are still.
    hosts: std::sync::atomic::AtomicUsize,
    /// The simulation that this node is part of, if it is.
    #[cfg(feature = "sim")]
    pub(crate) world: Option<Arc<crate::sim::World>>,
}

/// Why the state of a process is not known.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// The process did not return to the scheduler in time.
    #[error("process {0} does not return to the scheduler")]
    Unresponsive(Pid),
}

/// Whom a message is for: a pid, or a name that is resolved when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dest {
    /// This process.
    Pid(Pid),
    /// Whoever has this name then.
    Name(Name),
}

impl From<Pid> for Dest {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<Name> for Dest {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl From<&Name> for Dest {
    fn from(name: &Name) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&str> for Dest {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Dest {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

/// How long an answer about another process may take (laws SIG-10, SIG-11).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Node {
    /// A node with as many workers as the Tokio runtime it is made in, or, if
    /// it is made outside any, with a runtime of its own.
    ///
    /// # Errors
    ///
    /// See [`NodeError`].
    pub fn new() -> Result<Self, NodeError> {
        Self::builder().start()
    }

    /// A node to be configured.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::new()
    }

    /// The node of the process that runs; outside any process the default
    /// node, which is made when it is first asked for.
    ///
    /// The default node lives on the Tokio runtime that first asked for it; if
    /// that has ended, the next call makes a new one.
    ///
    /// # Panics
    ///
    /// If the default node cannot be made, see [`NodeError`].
    pub fn current() -> Self {
        if let Some(node) = current::with(|process| Arc::clone(&process.header().node)) {
            return Self::from_inner(node);
        }
        #[cfg(feature = "sim")]
        if let Some(node) = crate::sim::ambient() {
            return node;
        }
        default_node()
    }

    /// Does something on the [current](Self::current) node, without a handle of
    /// it.
    pub(crate) fn on_current<T>(act: impl Fn(&Arc<NodeInner>) -> T) -> T {
        current::with(|process| act(&process.header().node))
            .unwrap_or_else(|| act(Self::current().inner()))
    }

    pub(crate) fn from_inner(inner: Arc<NodeInner>) -> Self {
        Self {
            inner,
            own_runtime: None,
        }
    }

    pub(crate) fn inner(&self) -> &Arc<NodeInner> {
        &self.inner
    }

    /// Spawns a process, linked to nobody (law SPAWN-01). Its body is called in
    /// the new process; what it returns is its exit reason.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full. Never because of the body.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async { println!("I run") })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn<M, B, F>(&self, body: B) -> Result<ProcessRef<M>, SpawnError>
    where
        M: Send + 'static,
        B: FnOnce(Context<M>) -> F + Send + 'static,
        F: Future<Output: ProcessOutput> + Send + 'static,
    {
        Ok(Manner::PLAIN.spawn(&self.inner, body)?.process)
    }

    /// Spawns a process on an OS thread of its own, for code that blocks. See
    /// [`ThreadContext`].
    ///
    /// # Errors
    ///
    /// If the node is stopped or full, or the thread cannot be made.
    pub fn spawn_thread<M, B, T>(&self, body: B) -> Result<ProcessRef<M>, SpawnError>
    where
        M: Send + 'static,
        B: FnOnce(ThreadContext<M>) -> T + Send + 'static,
        T: ProcessOutput + Send + 'static,
    {
        Ok(self.spawn_options().spawn_thread(body)?.process)
    }

    /// A process to be configured, then spawned.
    pub fn spawn_options(&self) -> SpawnOptions {
        SpawnOptions::new(self.clone())
    }

    /// Sends a message by pid or name. To a dead pid it is dropped silently
    /// (law SIG-07).
    ///
    /// # Errors
    ///
    /// If nobody has the name (law SIG-08), or the process takes messages of
    /// another type; the message is in the error.
    pub fn send<M: Send + 'static>(
        &self,
        dest: impl Into<Dest>,
        message: M,
    ) -> Result<(), SendError<M>> {
        match dest.into() {
            Dest::Pid(pid) => match self.inner.table.get(pid) {
                Some(process) => send_to(process, message),
                None => Ok(()),
            },
            Dest::Name(name) => self.named(name).send(message),
        }
    }

    /// Sends an exit signal (laws EXIT-06 to EXIT-12). Asynchronous; to a dead
    /// pid it is dropped. [`ExitReason::Kill`] cannot be trapped.
    pub fn exit(&self, pid: Pid, reason: ExitReason) {
        self.inner.exit(pid, reason);
    }

    /// Kills a process: it ends with [`ExitReason::Killed`], trapping or not.
    ///
    /// It is stopped when it next returns to the scheduler or enters an
    /// operation of the runtime; its future is dropped there, so destructors
    /// run (law SIG-09).
    pub fn kill(&self, pid: Pid) {
        self.exit(pid, ExitReason::Kill);
    }

    /// Gives a process a name.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn register(&self, name: impl Into<Name>, pid: Pid) -> Result<(), RegisterError> {
        let process = self
            .inner
            .table
            .get(pid)
            .ok_or(RegisterError::NoProcess(pid))?;
        self.inner.registry.register(name, &process)
    }

    /// Takes a name back; who had it. Any process may (law REG-04).
    ///
    /// # Errors
    ///
    /// If nobody has it.
    pub fn unregister(&self, name: impl AsRef<str>) -> Result<Pid, UnregisterError> {
        self.inner.registry.unregister(name, &self.inner.table)
    }

    /// Who has a name.
    pub fn whereis(&self, name: impl AsRef<str>) -> Option<Pid> {
        self.inner.registry.whereis(name)
    }

    /// All names, in their order.
    pub fn registered(&self) -> Vec<Name> {
        self.inner.registry.names()
    }

    /// All processes of this moment, in no order that means anything.
    pub fn processes(&self) -> Vec<Pid> {
        let all = self.inner.table.all();
        let headers = all.iter().map(|process| process.header());
        headers
            .filter(|header| !header.is_ending())
            .map(|header| header.pid)
            .collect()
    }

    /// How many processes can run at once; 1 in a simulation.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::Node;
    ///
    /// let node = Node::builder().workers(2).start()?;
    /// assert_eq!(node.workers(), 2);
    /// # Ok::<(), resurgam_runtime::NodeError>(())
    /// ```
    pub fn workers(&self) -> usize {
        self.inner.scheduler.workers().max(1)
    }

    /// How many processes there are.
    pub fn process_count(&self) -> usize {
        self.inner.table.visible()
    }

    /// How many timers are armed, the ones inside time-outs included.
    pub fn timer_count(&self) -> usize {
        // One that the asking process keeps for its next call does not count.
        current::on(&self.inner, body::cancel_idle_alarm);
        self.inner.timers.len()
    }

    /// Whether a process is alive, after all that the caller sent it before:
    /// whoever sent a kill is told `false` (law SIG-10). Who has just received
    /// the exit of a link knows of that end, and is told without asking.
    ///
    /// # Errors
    ///
    /// If the process does not return to the scheduler within 5 seconds.
    pub fn is_alive(
        &self,
        pid: Pid,
    ) -> impl Future<Output = Result<bool, InfoError>> + Send + use<> {
        NodeInner::is_alive(&self.inner, pid)
    }

    /// A picture of a process, after all that the caller sent it before (law
    /// SIG-11); `None` if it is dead (INFO-01). A process asks about itself
    /// without waiting.
    ///
    /// # Errors
    ///
    /// If the process does not return to the scheduler within 5 seconds of the
    /// node's clock.
    pub fn process_info(
        &self,
        pid: Pid,
    ) -> impl Future<Output = Result<Option<ProcessInfo>, InfoError>> + Send + use<> {
        let answer = Arc::new(Slot::new());
        let myself = current::on(&self.inner, Process::clone);
        match myself.filter(|process| process.header().pid == pid) {
            Some(myself) => {
                let lives = body::checkpoint(&myself) == Checkpoint::GoOn;
                body::drain(&myself);
                answer.settle(lives.then(|| info::of(&myself)));
            }
            None => {
                let asker = self.inner.sender();
                let query = Signal::Query {
                    asker,
                    answer: Arc::clone(&answer),
                };
                self.inner.deliver(asker, pid, query);
            }
        }
        let answered = std::future::poll_fn(move |cx| {
            if stopped() {
                Poll::Pending
            } else {
                answer.poll(cx)
            }
        });
        let timed = self.timeout(ANSWER_TIMEOUT, answered);
        async move { timed.await.map_err(|Elapsed| InfoError::Unresponsive(pid)) }
    }

    /// Waits for the end of a process, from anywhere; its reason. For a pid
    /// that is gone, [`ExitReason::NoProcess`]; see
    /// [`ProcessRef::join`] for one that knows the reason even then.
    pub fn join(&self, pid: Pid) -> Join {
        Join::of_pid(&self.inner, pid)
    }

    /// Sends a message after a time (laws TIMER). If `dest` is a pid, the timer
    /// goes with the process (TIMER-09); a name is resolved when the timer
    /// fires (TIMER-10).
    pub fn send_after<M: Send + 'static>(
        &self,
        after: Duration,
        dest: impl Into<Dest>,
        message: M,
    ) -> TimerRef {
        self.send_at(self.deadline(after), dest, message)
    }

    /// As [`send_after`](Self::send_after), at a time of the node's clock; a
    /// past one is due at once (law TIMER-12).
    pub fn send_at<M: Send + 'static>(
        &self,
        at: Instant,
        dest: impl Into<Dest>,
        message: M,
    ) -> TimerRef {
        let dest = dest.into();
        let aim = match &dest {
            Dest::Pid(pid) => Some(*pid),
            Dest::Name(_) => None,
        };
        self.arm(at, aim, move |inner| {
            // Dropped if nobody is there (TIMER-10).
            if let Err(error @ SendError::WrongType { .. }) =
                Self::from_inner(inner).send(dest, message)
            {
                tracing::warn!(target: "resurgam::timer", %error, "timer message dropped");
            }
        })
    }

    /// Has a process told by [`System::Timeout`] that a timer of its own is
    /// due.
    pub(crate) fn timeout_at(&self, at: Instant, pid: Pid, number: u64) -> TimerRef {
        self.arm(at, Some(pid), move |inner| {
            inner.deliver(inner.sender(), pid, Signal::System(System::Timeout(number)));
        })
    }

    /// Arms a timer; one that is aimed at a process goes with it.
    fn arm(
        &self,
        at: Instant,
        aim: Option<Pid>,
        fire: impl FnOnce(Arc<NodeInner>) + Send + 'static,
    ) -> TimerRef {
        let node = Arc::downgrade(&self.inner);
        let send = Box::new(move || {
            if let Some(inner) = node.upgrade() {
                fire(inner);
            }
        });
        let target = aim.and_then(|pid| self.inner.table.get(pid));
        if let Some(target) = &target {
            target.header().identity.lock().flags |= AIMED_AT;
        }
        let timer = self.inner.timers.arm(at, aim, Action::Send(send));
        let gone = |_: &Pid| target.is_none_or(|target| target.header().is_ending());
        if let Some(pid) = aim.filter(gone) {
            self.inner.timers.forget(pid);
        }
        timer
    }

    /// Cancels a timer; how long it had still to run, or `None` if it has
    /// fired, was cancelled or went with its process (laws TIMER-04, TIMER-05).
    pub fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.inner.timers.cancel(timer)
    }

    /// How long a timer has still to run (law TIMER-07).
    pub fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.inner.timers.read(timer)
    }

    /// The time on the node's clock.
    pub fn now(&self) -> Instant {
        self.inner.timers.now()
    }

    /// Waits on the node's clock.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.deadline(duration))
    }

    /// Waits for a time on the node's clock.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::until(Arc::clone(&self.inner.timers), deadline)
    }

    /// Waits for a future, but no longer than this on the node's clock.
    ///
    /// # Errors
    ///
    /// If the time is up first; the future is dropped.
    pub fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
        let sleep = self.sleep(duration);
        async move {
            let future = std::pin::pin!(future);
            match futures::future::select(future, sleep).await {
                futures::future::Either::Left((output, _)) => Ok(output),
                futures::future::Either::Right(((), _)) => Err(Elapsed),
            }
        }
    }

    /// A random number of the node's, which a seed makes repeatable. Not for
    /// secrets.
    pub fn random(&self) -> u64 {
        self.inner.random()
    }

    /// A typed reference to a process; `None` if it is gone or takes messages
    /// of another type.
    pub fn process<M: Send + 'static>(&self, pid: Pid) -> Option<ProcessRef<M>> {
        let process = self.inner.table.get(pid)?;
        if process.header().is_ending() {
            return None;
        }
        process.typed().ok().map(ProcessRef::new)
    }

    /// A typed reference to whoever has a name, resolved at each send.
    pub fn named<M: Send + 'static>(&self, name: impl Into<Name>) -> ProcessRef<M> {
        ProcessRef::by_name(Arc::clone(&self.inner), name.into())
    }

    /// Runs a future to its end on this thread, for programs that have no
    /// Tokio runtime of their own.
    ///
    /// # Panics
    ///
    /// If it is called on a thread that runs a Tokio runtime or a process, or
    /// on the node of a simulation.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            tokio::runtime::Handle::try_current().is_err() || self.own_runtime.is_some(),
            "`Node::block_on` was called inside a Tokio runtime; await the future there"
        );
        let runtime = self.inner.runtime.as_ref();
        runtime
            .expect("a node of a simulation is driven by `Sim::run`")
            .block_on(future)
    }

    pub(crate) fn deadline(&self, after: Duration) -> Instant {
        later(self.now(), after)
    }
}

/// So much later. A duration that leaves the clock's range is as good as for
/// ever (law TIMER-13).
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    const FOR_EVER: Duration = Duration::from_secs(1 << 32);
    now.checked_add(after).unwrap_or_else(|| now + FOR_EVER)
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("processes", &self.process_count())
            .finish_non_exhaustive()
    }
}

/// The default node, made on first use and again when it has ended.
fn default_node() -> Node {
    static DEFAULT: OnceLock<RwLock<Option<Node>>> = OnceLock::new();
    let default = DEFAULT.get_or_init(RwLock::default);
    let alive = |node: &Option<Node>| node.clone().filter(|node| !node.is_stopped());
    if let Some(node) = alive(&default.read().unwrap_or_else(PoisonError::into_inner)) {
        return node;
    }
    let mut place = default.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(node) = alive(&place) {
        return node;
    }
    let node = Node::new().expect("the default node can be made");
    *place = Some(node.clone());
    node
}

impl NodeInner {
    /// Who sends what is sent on this thread now.
    pub(crate) fn sender(&self) -> Pid {
        current::on(self, |process| process.header().pid).unwrap_or(Pid::OUTSIDE)
    }

    /// See [`Node::exit`].
    pub(crate) fn exit(self: &Arc<Self>, pid: Pid, reason: ExitReason) {
        let from = self.sender();
        let exit = Exit { from, reason };
        let signal = Signal::Exit {
            exit,
            cause: Cause::Asked,
        };
        self.deliver(from, pid, signal);
        if from == pid
            && let Some(myself) = current::on(self, Process::clone)
        {
            // Handled before the sender goes on (law SIG-15).
            body::drain(&myself);
        }
    }

    /// See [`Node::is_alive`].
    pub(crate) fn is_alive(
        self: &Arc<Self>,
        pid: Pid,
    ) -> impl Future<Output = Result<bool, InfoError>> + Send + use<> {
        let was_told = current::on(self, |process| process.owner().was_told_of_end(pid));
        // Boxed, since it is seldom asked and large.
        let asked = (was_told != Some(true))
            .then(|| Box::pin(Node::from_inner(Arc::clone(self)).process_info(pid)));
        async move {
            match asked {
                Some(info) => Ok(info.await?.is_some()),
                None => Ok(false),
            }
        }
    }

    /// A reference for a monitor that no process makes.
    pub(crate) fn outside_reference(&self) -> MonitorRef {
        let number = self.next_outside_number.fetch_add(1, Ordering::Relaxed);
        MonitorRef::new(Pid::OUTSIDE, number)
    }

    /// Parent, grandparent and so on, as far as they live.
    pub(crate) fn ancestors(&self, parent: Option<Pid>) -> Arc<[Pid]> {
        const MOST: usize = 64;
        let older = |pid: &Pid| {
            self.table
                .get(*pid)
                .and_then(|process| process.header().parent())
        };
        std::iter::successors(parent, older).take(MOST).collect()
    }

    /// A process has ended and is out of the table. The last one of a node that
    /// stops lets the hosts go.
    pub(crate) fn process_ended(&self) {
        if self.table.is_closed() && self.table.len() == 0 {
            self.finish();
        }
    }
}
