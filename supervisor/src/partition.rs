//! The partition supervisor: many processes of one kind that share the work,
//! each of which has its part of the keys.

mod routes;
mod shell;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use resurgam_runtime::{
    CallError, ExitReason, GenServer, Name, Node, Pid, ServerBuilder, ServerRef, StartError,
    StopServerError,
};

use crate::builder::{StartSupervisorError, check_flags};
use crate::called::Called;
use crate::child_spec::{ChildId, ChildSpec, ChildType, Restart, Shutdown};
use crate::info::{ChildCount, ChildInfo};
use crate::intensity::RestartIntensity;
use crate::process_handle::ProcessHandle;
use crate::supervisor::RestartChildError;
use routes::Routes;
use shell::{Request, Setup, Shell, StartPartition};

/// Why there is no partition to talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindPartitionError {
    /// The partition supervisor has not started yet, or has ended.
    #[error("partition supervisor is not running")]
    NotStarted,
    /// It was resized to zero.
    #[error("there are no partitions")]
    NoPartitions,
    /// The start function of this partition said `ignore`, or it was stopped
    /// just now.
    #[error("partition {0} is not running")]
    NotRunning(usize),
}

/// Why a partition supervisor has as many partitions as before.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// It never had so many.
    #[error("cannot resize to {wanted} partitions; expected at most {most}, as it started with")]
    TooMany {
        /// How many were asked for.
        wanted: usize,
        /// How many it started with.
        most: usize,
    },
    /// A partition did not start. Those started before it were stopped again.
    #[error("partition {number} did not start: {error}")]
    Failed {
        /// Which one.
        number: usize,
        /// Why.
        error: RestartChildError,
    },
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// A supervisor of partitions: processes of one kind, of which each has its
/// part of the keys, so that none of them is the bottleneck. Elixir's
/// `PartitionSupervisor`.
///
/// There are as many partitions as the node has workers, unless it is said
/// otherwise, each a child of its own ([one for one](crate::Strategy)). The
/// start function is told the number of its partition and gives a
/// [handle](ProcessHandle), which is what [`Partitions`] hands out: a server,
/// or a dynamic supervisor whose callers would wait for each other.
///
/// Partitions are permanent or [transient](PartitionSupervisorBuilder::transient).
///
/// # Differences from Elixir
///
/// A name is not needed: [`Partitions`] is the way to the partitions, and stays
/// good when they, or their supervisor, are restarted.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Agent, Context, Message, Node, spawn_link};
/// use resurgam_supervisor::PartitionSupervisor;
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let shards = PartitionSupervisor::builder(|number: usize| async move {
///     spawn_link(move |mut ctx: Context<&str>| async move {
///         while let Message::User(text) = ctx.receive().await {
///             println!("partition {number} got {text}");
///         }
///     })
/// });
/// let shards = shards.partitions(4).start_on(&node).await?;
///
/// shards.get("alice")?.cast("hello");
/// assert_eq!(shards.get("alice")?.pid(), shards.get("alice")?.pid());
/// assert_eq!(shards.len(), 4);
/// shards.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub enum PartitionSupervisor {}

impl PartitionSupervisor {
    /// A supervisor of partitions that this function starts, each by its
    /// number, which begins at 0. It should start them linked.
    pub fn builder<H, E, F, Fut>(start: F) -> PartitionSupervisorBuilder<H>
    where
        H: ProcessHandle,
        E: Into<StartError>,
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<H, E>> + Send + 'static,
    {
        let start: StartPartition<H> = Arc::new(move |number| {
            start(number)
                .map(|started| started.map_err(E::into))
                .boxed()
        });
        PartitionSupervisorBuilder {
            routes: Arc::new(Routes::new()),
            start,
            called: Called::NOTHING,
            count: None,
            intensity: RestartIntensity::default(),
            restart: Restart::Permanent,
            shutdown: None,
        }
    }
}

/// A partition supervisor to be.
///
/// Clones of it describe the same partitions, of which there can be one
/// supervisor at a time.
#[must_use = "a builder starts nothing until it is told to"]
pub struct PartitionSupervisorBuilder<H: ProcessHandle> {
    routes: Arc<Routes<H>>,
    start: StartPartition<H>,
    called: Called<Shell<H>>,
    count: Option<usize>,
    intensity: RestartIntensity,
    restart: Restart,
    shutdown: Option<Shutdown>,
}

impl<H: ProcessHandle> PartitionSupervisorBuilder<H> {
    /// Sets how many partitions there are; by default as many as the node has
    /// workers.
    pub fn partitions(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// Registers the supervisor under a name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.called.name = Some(name.into());
        self
    }

    /// Sets how many restarts are attempted within the period; by default 3,
    /// for all partitions together.
    pub fn max_restarts(mut self, max_restarts: u32) -> Self {
        self.intensity.max_restarts = max_restarts;
        self
    }

    /// Sets the period in which restarts are counted; by default 5 seconds.
    pub fn max_seconds(mut self, seconds: u64) -> Self {
        self.intensity.period = Duration::from_secs(seconds);
        self
    }

    /// Restart a partition only when it ends other than gracefully. By default
    /// it is restarted whenever it ends.
    pub fn transient(mut self) -> Self {
        self.restart = Restart::Transient;
        self
    }

    /// Sets how a partition is stopped; a [`Duration`] is a timeout. By default
    /// a worker has 5 seconds, and a supervisor as long as it needs.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = Some(shutdown.into());
        self
    }

    /// The partitions, as others will see them once the supervisor has started.
    /// So they can be made known to children that are started beside it.
    pub fn handle(&self) -> Partitions<H> {
        Partitions::new(Arc::clone(&self.routes))
    }

    /// Starts the supervisor, linked to the running process, which is its
    /// parent. Returns when every partition has started.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the partitions it has started.
    pub async fn start_link(self) -> Result<Partitions<H>, StartSupervisorError> {
        let partitions = self.handle();
        self.prepare()?.start_link().await?;
        Ok(partitions)
    }

    /// Starts the supervisor on the current node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start_link`](Self::start_link).
    pub async fn start(self) -> Result<Partitions<H>, StartSupervisorError> {
        let partitions = self.handle();
        self.prepare()?.start().await?;
        Ok(partitions)
    }

    /// Starts the supervisor on this node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start_link`](Self::start_link).
    pub async fn start_on(self, node: &Node) -> Result<Partitions<H>, StartSupervisorError> {
        let partitions = self.handle();
        self.prepare()?.on(node).start().await?;
        Ok(partitions)
    }

    /// Everything that can be wrong is found here, before anything starts.
    fn prepare(self) -> Result<ServerBuilder<Shell<H>>, StartSupervisorError> {
        check_flags(self.called.name.as_ref(), self.intensity)?;
        if self.count == Some(0) {
            return Err(StartSupervisorError::NoPartitions);
        }
        let setup = Setup {
            routes: self.routes,
            start: self.start,
            count: self.count,
            intensity: self.intensity,
            restart: self.restart,
            shutdown: self.shutdown,
        };
        Ok(self.called.call(Shell::builder(setup)))
    }
}

/// Specs of children that are partition supervisors.
impl ChildSpec {
    /// A partition supervisor. By default it may take as long as it needs to
    /// stop. Take its [handle](PartitionSupervisorBuilder::handle) before: it
    /// stays good when the supervisor is restarted.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::Node;
    /// use resurgam_supervisor::{
    ///     ChildSpec, DynamicSupervisor, PartitionSupervisor, Strategy, Supervisor,
    /// };
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let sessions = PartitionSupervisor::builder(|_| DynamicSupervisor::builder().start_link());
    /// let supervisors = sessions.handle();
    /// let top = Supervisor::builder(Strategy::OneForOne)
    ///     .child(ChildSpec::partition_supervisor("sessions", sessions))
    ///     .start_on(&node)
    ///     .await?;
    ///
    /// let session = ChildSpec::task("session", std::future::pending::<()>);
    /// supervisors.get("alice")?.start_child(session).await?;
    /// top.stop().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn partition_supervisor<H: ProcessHandle>(
        id: impl Into<ChildId>,
        builder: PartitionSupervisorBuilder<H>,
    ) -> Self {
        let spec = Self::behaviour(id, move || Ok(builder.clone().prepare()?));
        spec.child_type(ChildType::Supervisor)
    }
}

/// The partitions of a [`PartitionSupervisor`], as others see them. Cheap to
/// clone, and good for as long as the program runs: also before the supervisor
/// has started, and when it is restarted.
///
/// To find a partition asks nobody. A key leads to the same partition each
/// time, as long as the supervisor is not resized, and whatever was restarted
/// meanwhile; which one is not for long keeping. While a partition is being
/// restarted its old handle is found, and a call tells that it is down.
///
/// The other calls have no time limit, as those of a
/// [`SupervisorRef`](crate::SupervisorRef).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{ExitReason, GenServer, InitError, Node, Reply, ServerContext};
/// use resurgam_supervisor::{FindPartitionError, PartitionSupervisor};
///
/// struct Shard(usize);
///
/// impl GenServer for Shard {
///     type Args = usize;
///     type Message = Reply<usize>;
///
///     async fn init(number: usize, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
///         Ok(Self(number))
///     }
///
///     async fn handle(
///         &mut self,
///         who: Reply<usize>,
///         _: &mut ServerContext<Self>,
///     ) -> Result<(), ExitReason> {
///         who.send(self.0);
///         Ok(())
///     }
/// }
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let shards = PartitionSupervisor::builder(Shard::start_link).partitions(3);
/// let shards = shards.start_on(&node).await?;
/// assert_eq!(shards.nth(7)?.call(|reply| reply).await?, 1);
///
/// assert_eq!(shards.resize(0).await?, 3);
/// assert_eq!(shards.get("key").err(), Some(FindPartitionError::NoPartitions));
/// shards.stop().await?;
/// assert_eq!(shards.get("key").err(), Some(FindPartitionError::NotStarted));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Partitions<H: ProcessHandle>(Arc<Routes<H>>);

impl<H: ProcessHandle> Partitions<H> {
    fn new(routes: Arc<Routes<H>>) -> Self {
        Self(routes)
    }

    /// The partitions of the supervisor registered under this name. Asks it,
    /// once; the answer stays good.
    ///
    /// # Errors
    ///
    /// There is no process of this name, or it is no partition supervisor with
    /// handles of this type.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn named_on(node: &Node, name: impl Into<Name>) -> Result<Self, CallError> {
        let supervisor: ServerRef<Shell<H>> = node.named(name);
        supervisor.call(Request::Handle).no_timeout().await
    }

    /// The partition that this key belongs to.
    ///
    /// # Errors
    ///
    /// See [`FindPartitionError`].
    pub fn get<K: Hash + ?Sized>(&self, key: &K) -> Result<H, FindPartitionError> {
        self.0.of_key(key)
    }

    /// The partition that this number belongs to, for keys that are numbers: it
    /// is the remainder by how many partitions there are.
    ///
    /// # Errors
    ///
    /// See [`FindPartitionError`].
    pub fn nth(&self, number: usize) -> Result<H, FindPartitionError> {
        self.0.nth(number)
    }

    /// All partitions that have started, by their numbers.
    pub fn all(&self) -> Vec<H> {
        self.0.all()
    }

    /// How many partitions keys are spread over; 0 if the supervisor does not
    /// run.
    pub fn len(&self) -> usize {
        self.0.open().unwrap_or(0)
    }

    /// Whether there is no partition.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The supervisor's pid, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.0.supervisor()?.pid()
    }

    /// Has keys spread over so many partitions, from 0 to as many as there were
    /// at the start; how many there were. To have fewer is to stop the highest,
    /// once nobody is shown the way to them; to have more is to start them
    /// again.
    ///
    /// # Errors
    ///
    /// See [`ResizeError`]. There are as many partitions as before.
    ///
    /// # Cancel safety
    ///
    /// It is resized even if the future is dropped while it waits.
    pub async fn resize(&self, count: usize) -> Result<usize, ResizeError> {
        let supervisor = self.supervisor()?;
        supervisor
            .call(|reply| Request::Resize(count, reply))
            .no_timeout()
            .await?
    }

    /// Every partition, by its number, which is its id; those that a resize has
    /// stopped too.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        let supervisor = self.supervisor()?;
        supervisor.call(Request::WhichChildren).no_timeout().await?
    }

    /// How many partitions there are, of which kind; those that a resize has
    /// stopped are specs that are not active.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn count_children(&self) -> Result<ChildCount, CallError> {
        let supervisor = self.supervisor()?;
        supervisor.call(Request::CountChildren).no_timeout().await?
    }

    /// Stops the supervisor with the reason `normal`, its partitions first, the
    /// highest first, and waits until it is dead.
    ///
    /// # Errors
    ///
    /// It was gone already, or ended for another reason.
    ///
    /// # Cancel safety
    ///
    /// The supervisor stops even if the future is dropped while it waits.
    pub async fn stop(&self) -> Result<(), StopServerError> {
        let supervisor = self.0.supervisor().ok_or(StopServerError::NoProcess)?;
        supervisor.stop(ExitReason::Normal).await
    }

    fn supervisor(&self) -> Result<ServerRef<Shell<H>>, CallError> {
        let supervisor = self.0.supervisor();
        supervisor.ok_or(CallError::Down(ExitReason::NoProcess))
    }
}

impl<H: ProcessHandle> ProcessHandle for Partitions<H> {
    const CHILD_TYPE: ChildType = ChildType::Supervisor;

    fn pid(&self) -> Option<Pid> {
        self.pid()
    }
}

impl<H: ProcessHandle> Clone for Partitions<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: ProcessHandle> fmt::Debug for Partitions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions")
            .field("supervisor", &self.pid())
            .field("partitions", &self.0.open())
            .finish()
    }
}

impl<H: ProcessHandle> Clone for PartitionSupervisorBuilder<H> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            start: Arc::clone(&self.start),
            called: self.called.clone(),
            ..*self
        }
    }
}

impl<H: ProcessHandle> fmt::Debug for PartitionSupervisorBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionSupervisorBuilder")
            .field("name", &self.called)
            .field("partitions", &self.count)
            .field("intensity", &self.intensity)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}
