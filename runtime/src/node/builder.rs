//! Making a node: [`NodeBuilder`].

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Node, NodeInner, OwnRuntime};
use crate::caught::guarded;
use crate::clock::{Clock, ManualClock};
use crate::groups::table::Scopes;
use crate::panic_hook;
use crate::registry::Registry;
use crate::report::Crashes;
use crate::scheduler::Scheduler;
use crate::scheduler::host::{self, Host};
use crate::scheduler::watchdog;
use crate::table::Table;
use crate::timer::Timers;

/// Why a node could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A node needs a worker.
    #[error("`workers` is 0; a node needs at least 1")]
    NoWorkers,
    /// The limit is 0, or more than a pid can tell apart.
    #[error("`max_processes` is {0}; it must be from 1 to {max}", max = Table::MAX)]
    ProcessLimit(usize),
    /// The Tokio runtime around cannot tell the time.
    #[error("the Tokio runtime has no time driver; build it with `enable_time()`")]
    NoTimeDriver,
    /// The watchdog does not look that often.
    #[error("`long_schedule` is {0:?}; it must be at least {least:?}", least = watchdog::LEAST_LIMIT)]
    LongSchedule(Duration),
    /// No Tokio runtime could be made.
    #[error("no Tokio runtime could be made")]
    Runtime(#[source] std::io::Error),
    /// No thread could be made for the watchdog.
    #[error("no thread could be made")]
    Thread(#[source] std::io::Error),
}

/// How a node is to be; made by [`Node::builder`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Node, NodeError};
///
/// let node = Node::builder().workers(2).max_processes(10_000).start()?;
/// assert_eq!(node.process_count(), 0);
/// assert!(matches!(Node::builder().workers(0).start(), Err(NodeError::NoWorkers)));
/// # Ok::<(), NodeError>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct NodeBuilder {
    workers: Option<usize>,
    clock: Clock,
    max_processes: usize,
    seed: Option<u64>,
    crash_reports: usize,
    long_schedule: Option<Duration>,
}

impl NodeBuilder {
    pub(super) fn new() -> Self {
        Self {
            workers: None,
            clock: Clock::System,
            max_processes: Table::MAX,
            seed: None,
            crash_reports: Node::CRASH_REPORTS,
            long_schedule: Some(Node::LONG_SCHEDULE),
        }
    }

    /// How many processes can run at once; as many as the Tokio runtime has
    /// workers, if it is not said.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Follows a clock that is moved by hand, for tests.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// How many processes there can be at once; 16 777 215 if it is not said.
    pub fn max_processes(mut self, limit: usize) -> Self {
        self.max_processes = limit;
        self
    }

    /// How many crash reports the node keeps for
    /// [`Node::crash_reports`]; 64 if it is not said. Zero keeps none, and saves
    /// a crash the few hundred bytes.
    pub fn crash_reports(mut self, most: usize) -> Self {
        self.crash_reports = most;
        self
    }

    /// For how long a process may hold its worker, that is, be in one poll,
    /// before it is named: [`Node::LONG_SCHEDULE`] if it is not said. `None`
    /// for as long as it likes. At least 10 ms.
    ///
    /// It is named within twice that time, once for each poll, and again each
    /// time that the time has doubled and when it is over: by a warning in the
    /// log (`tracing`, target `resurgam::watchdog`), in the journal
    /// ([`Lifecycle::LongSchedule`](crate::Lifecycle::LongSchedule)) and by
    /// [`Node::long_schedules`]. The time is the machine's, whatever the node's
    /// clock; one in which the whole program stood still does not count. In a
    /// simulation, where time is virtual, nobody is named; nor is a process on a
    /// thread of its own, which may block. A node of one worker for whose
    /// watchdog there is no thread names nobody.
    ///
    /// # Differences from Erlang
    ///
    /// The option `long_schedule` of `erlang:system_monitor/2`, which is off
    /// until somebody asks.
    pub fn long_schedule(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.long_schedule = limit.into();
        self
    }

    /// Makes the node's random numbers repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the node. In a program that was built with `panic = "abort"`, where
    /// the first panic of any process ends them all, it warns of that (`tracing`,
    /// target `resurgam::node`).
    ///
    /// # Errors
    ///
    /// See [`NodeError`]. Nothing is left behind then.
    pub fn start(self) -> Result<Node, NodeError> {
        self.check()?;
        panic_hook::install();
        let (handle, own_runtime) = match Handle::try_current() {
            Ok(handle) => (handle, None),
            Err(_) => {
                let runtime = self.make_runtime()?;
                (
                    runtime.handle().clone(),
                    Some(Arc::new(OwnRuntime(Some(runtime)))),
                )
            }
        };
        check_time(&handle)?;
        let inner = self.launch(handle)?;
        warn_of_abort();
        Ok(Node { inner, own_runtime })
    }

    fn check(&self) -> Result<(), NodeError> {
        if self.workers == Some(0) {
            return Err(NodeError::NoWorkers);
        }
        if self.max_processes == 0 || self.max_processes > Table::MAX {
            return Err(NodeError::ProcessLimit(self.max_processes));
        }
        if let Some(limit) = self
            .long_schedule
            .filter(|limit| *limit < watchdog::LEAST_LIMIT)
        {
            return Err(NodeError::LongSchedule(limit));
        }
        Ok(())
    }

    fn make_runtime(&self) -> Result<tokio::runtime::Runtime, NodeError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = self.workers {
            builder.worker_threads(workers);
        }
        builder
            .thread_name("resurgam")
            .enable_all()
            .build()
            .map_err(NodeError::Runtime)
    }

    fn launch(self, handle: Handle) -> Result<Arc<NodeInner>, NodeError> {
        let workers = self
            .workers
            .unwrap_or_else(|| handle.metrics().num_workers());
        let (scheduler, queues, rung) = Scheduler::new(workers);
        let seed = self.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        let keeps_time = matches!(self.clock, Clock::System);
        let node = Arc::new(NodeInner {
            table: Table::new(self.max_processes),
            registry: Registry::new(),
            scopes: Scopes::default(),
            crashes: Crashes::new(self.crash_reports),
            timers: Timers::new(self.clock),
            scheduler,
            runtime: Some(handle.clone()),
            random: AtomicU64::new(seed),
            next_outside_number: AtomicU64::new(1),
            hosts: AtomicUsize::new(queues.len()),
            #[cfg(feature = "sim")]
            world: None,
        });
        watchdog::start(&node, rung, self.long_schedule).map_err(NodeError::Thread)?;
        for (index, queue) in queues.into_iter().enumerate() {
            let host = Host::new(Arc::clone(&node), index, queue);
            handle.spawn(host::run(host));
        }
        if keeps_time {
            handle.spawn(Timers::keep(Arc::clone(&node)));
        }
        Ok(node)
    }
}

/// Without unwinding no crash is contained.
fn warn_of_abort() {
    if cfg!(panic = "abort") {
        guarded(|| {
            tracing::warn!(
                target: "resurgam::node",
                "built with panic = \"abort\": a panic in any process ends the program"
            );
        });
    }
}

/// Tokio says that it has no time driver by a panic only.
fn check_time(handle: &Handle) -> Result<(), NodeError> {
    let _context = handle.enter();
    panic_hook::silent_caught(|| drop(tokio::time::sleep(Duration::ZERO)))
        .map_err(|_| NodeError::NoTimeDriver)
}

#[cfg(feature = "sim")]
impl Node {
    /// The node of a simulation, which runs it.
    pub(crate) fn simulated(seed: u64, timers: Arc<Timers>, world: Arc<crate::sim::World>) -> Self {
        let (scheduler, _, _) = Scheduler::new(0);
        Self::from_inner(Arc::new(NodeInner {
            table: Table::new(Table::MAX),
            registry: Registry::new(),
            scopes: Scopes::default(),
            crashes: Crashes::new(Node::CRASH_REPORTS),
            timers,
            scheduler,
            runtime: None,
            random: AtomicU64::new(seed),
            next_outside_number: AtomicU64::new(1),
            hosts: AtomicUsize::new(0),
            world: Some(world),
        }))
    }
}
