//! Builders: how a supervisor is described and started.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use resurgam_runtime::{
    ExitReason, GenServer, Name, Node, Pid, Registry, ServerBuilder, StartError,
};

use crate::called::Called;
use crate::child_spec::{ChildId, ChildSpec, ChildType, SpecError};
use crate::handle::{DynamicSupervisorRef, SupervisorRef};
use crate::intensity::RestartIntensity;
use crate::needs::{Pace, check_circles, check_needs};
use crate::policy::{AutoShutdown, FailedToStartChild, Strategy};
use crate::{dynamic, supervisor};

/// Why a supervisor did not start. No child of it is left running.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartSupervisorError {
    /// A child spec cannot be used. Nothing was started.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Two children have the same id. Nothing was started.
    #[error("duplicate child name {0:?}; expected ids that differ")]
    DuplicateChildName(ChildId),
    /// The period of the restart intensity is zero. Nothing was started.
    #[error("period of the restart intensity is zero; expected a longer one")]
    ZeroPeriod,
    /// The name of the supervisor is the empty string. Nothing was started.
    #[error("supervisor name is empty; expected at least one character")]
    EmptyName,
    /// A partition supervisor is to have no partitions. Nothing was started.
    #[error("there are to be 0 partitions; expected at least 1")]
    NoPartitions,
    /// The name is taken, by this process.
    #[error("supervisor is started already, as {0}")]
    AlreadyStarted(Pid),
    /// A child did not start. Those started before it were stopped again, in
    /// reverse order.
    #[error("{0}")]
    Child(FailedToStartChild),
    /// The supervisor's own process did not start, or ended while it did.
    #[error("supervisor did not start: {0}")]
    Failed(StartError),
}

impl From<StartError> for StartSupervisorError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AlreadyStarted(pid) => Self::AlreadyStarted(pid),
            StartError::Failed(ExitReason::ShutdownWith(term)) => {
                match term.downcast_ref::<FailedToStartChild>() {
                    Some(failure) => Self::Child(failure.clone()),
                    None => Self::Failed(StartError::Failed(ExitReason::ShutdownWith(term))),
                }
            }
            error => Self::Failed(error),
        }
    }
}

/// So that `?` works in the start function of a child that is a supervisor.
impl From<StartSupervisorError> for StartError {
    fn from(error: StartSupervisorError) -> Self {
        match error {
            StartSupervisorError::AlreadyStarted(pid) => Self::AlreadyStarted(pid),
            StartSupervisorError::Child(failure) => {
                Self::Failed(ExitReason::shutdown_with(failure))
            }
            StartSupervisorError::Failed(error) => error,
            error @ (StartSupervisorError::Spec(_)
            | StartSupervisorError::DuplicateChildName(_)
            | StartSupervisorError::ZeroPeriod
            | StartSupervisorError::EmptyName
            | StartSupervisorError::NoPartitions) => Self::Failed(ExitReason::from(error)),
        }
    }
}

/// A process that starts, watches and restarts a fixed row of children; more
/// can be added and taken away by way of its [`SupervisorRef`].
///
/// Children are started one at a time, in the order given, and stopped one at
/// a time in reverse, unless the supervisor is a
/// [concurrent](SupervisorBuilder::concurrent) one. When one ends, its [`Restart`](crate::Restart) type says
/// whether it is restarted, and the [`Strategy`] which others go along. A
/// restart that fails is tried again at once, each try counting. When there
/// are more restarts than the [`RestartIntensity`] allows, the supervisor
/// stops the others and ends with a shutdown that says whom it
/// [gave up](crate::GaveUp) on, which is its own supervisor's cue. A child can
/// be restarted [after a delay](ChildSpec::backoff), and have [a budget of its
/// own](ChildSpec::restart_intensity).
///
/// It traps exits, and ends, its children first, when its parent does.
///
/// # Differences from Erlang
///
/// An exit signal that a living child sends to its supervisor is not taken for
/// the child's death, so that two incarnations of a child never run side by
/// side. A child whose start function did not link it is linked all the same.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Context, Message, Node};
/// use resurgam_supervisor::{ChildSpec, Strategy, Supervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let sup = Supervisor::builder(Strategy::OneForOne)
///     .name("shop")
///     .max_restarts(3)
///     .max_seconds(5)
///     .child(ChildSpec::process("clerk", || {
///         |mut ctx: Context<u32>| async move {
///             let order = ctx.receive().await;
///             assert!(order == Message::User(1), "too much to do");
///         }
///     }))
///     .start_on(&node)
///     .await?;
///
/// let first = sup.which_child("clerk").await?.pid().ok_or("not running")?;
/// node.send(first, 7_u32)?;
/// node.join(first).await;
/// let second = sup.which_child("clerk").await?.pid().ok_or("not running")?;
/// assert_ne!(first, second);
/// sup.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub enum Supervisor {}

impl Supervisor {
    /// A supervisor with no children yet.
    pub fn builder(strategy: Strategy) -> SupervisorBuilder {
        SupervisorBuilder {
            called: Called::NOTHING,
            strategy,
            intensity: RestartIntensity::default(),
            auto_shutdown: AutoShutdown::default(),
            pace: Pace::default(),
            stop_within: None,
            children: Vec::new(),
        }
    }
}

/// A static supervisor to be.
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until it is told to"]
pub struct SupervisorBuilder {
    called: Called<supervisor::Shell>,
    strategy: Strategy,
    intensity: RestartIntensity,
    auto_shutdown: AutoShutdown,
    pace: Pace,
    stop_within: Option<Duration>,
    children: Vec<ChildSpec>,
}

impl SupervisorBuilder {
    /// Registers the supervisor under a name.
    ///
    /// Give the supervisor, as a child, a [back-off](ChildSpec::backoff) if it or
    /// its children have names: where it is killed, its orphans keep theirs for a
    /// moment, and a restart at once meets
    /// [`StartError::AlreadyStarted`].
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.called.name = Some(name.into());
        self
    }

    /// Registers the supervisor under this key of a registry, with this value, as
    /// [`BehaviourBuilder::via`](resurgam_runtime::BehaviourBuilder::via) does a
    /// server. [`SupervisorRef::via`] is the way back.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::{Node, Registry};
    /// use resurgam_supervisor::{Strategy, Supervisor, SupervisorRef};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let rooms = Registry::<(u32, char)>::unique();
    /// rooms.builder().on(&node).start().await?;
    ///
    /// let room = Supervisor::builder(Strategy::OneForOne).via(&rooms, (4, 'b'), ());
    /// let room = room.start_on(&node).await?;
    /// assert_eq!(SupervisorRef::via(&rooms, (4, 'b')).pid(), room.pid());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.called.set_key(registry, key, value);
        self
    }

    /// Sets how many restarts are attempted within the period; by default 3.
    pub fn max_restarts(mut self, max_restarts: u32) -> Self {
        self.intensity.max_restarts = max_restarts;
        self
    }

    /// Sets the period in which restarts are counted; by default 5 seconds.
    pub fn max_seconds(mut self, seconds: u64) -> Self {
        self.intensity.period = Duration::from_secs(seconds);
        self
    }

    /// Sets both how many restarts are attempted and the period in which they
    /// are counted.
    pub fn intensity(mut self, max_restarts: u32, period: Duration) -> Self {
        self.intensity = RestartIntensity::new(max_restarts, period);
        self
    }

    /// Sets whether the supervisor stops its other children and ends, with
    /// [`ExitReason::Shutdown`], when significant children end; by default
    /// never.
    ///
    /// A supervisor above it takes that for a graceful end: it restarts a
    /// permanent one, so this is for transient and temporary ones.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::{Context, ExitReason, Node};
    /// use resurgam_supervisor::{AutoShutdown, ChildSpec, Strategy, Supervisor};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let import = ChildSpec::process("import", || {
    ///     |mut ctx: Context<()>| async move {
    ///         ctx.receive().await; // the order to work
    ///     }
    /// });
    /// let sup = Supervisor::builder(Strategy::OneForOne)
    ///     .auto_shutdown(AutoShutdown::AnySignificant)
    ///     .child(ChildSpec::task("logger", std::future::pending::<()>))
    ///     .child(import.transient().significant())
    ///     .start_on(&node)
    ///     .await?;
    /// let end = node.join(sup.pid().ok_or("no pid")?);
    /// let import = sup.which_child("import").await?.pid().ok_or("not running")?;
    /// node.send(import, ())?;
    /// assert_eq!(end.await, ExitReason::Shutdown);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Starts and stops children side by side instead of one at a time: each
    /// starts as soon as those that it [needs](ChildSpec::after) are up, and is
    /// stopped as soon as those that need it are dead. One that said `ignore`
    /// counts as up.
    ///
    /// [`Strategy::OneForAll`] restarts all of them so, and
    /// [`Strategy::RestForOne`] the child that ended and those that need it, by
    /// way of others or not; but whoever needs one that waits for its restart or
    /// is parked is down until that is back. A child that is started or stopped
    /// by itself, by an order or by [`Strategy::OneForOne`], waits for nobody.
    ///
    /// If a child does not start when the supervisor does, nobody else is
    /// begun, those that are being started are waited for, and then what runs is
    /// stopped.
    ///
    /// A child that others need cannot be deleted.
    ///
    /// # Differences from Erlang
    ///
    /// Only applications can start side by side there.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node, sleep, spawn_link};
    /// use resurgam_supervisor::{ChildSpec, Started, Strategy, Supervisor};
    ///
    /// /// A child that takes ten milliseconds to start.
    /// fn slow(id: &str) -> ChildSpec {
    ///     ChildSpec::new(id, || async {
    ///         sleep(Duration::from_millis(10)).await;
    ///         let child = spawn_link(|mut ctx: Context<()>| async move { ctx.receive().await; })?;
    ///         Started::process(&child)
    ///     })
    /// }
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// // Ten and then one more: twenty milliseconds in all.
    /// let shards: Vec<_> = (0..10).map(|number| format!("shard {number}")).collect();
    /// let sup = Supervisor::builder(Strategy::OneForAll)
    ///     .concurrent()
    ///     .children(shards.iter().map(|id| slow(id)))
    ///     .child(slow("router").after(&shards))
    ///     .start_on(&node)
    ///     .await?;
    /// assert_eq!(sup.count_children().await?.active, 11);
    /// sup.stop().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn concurrent(mut self) -> Self {
        self.pace = Pace::SideBySide;
        self
    }

    /// Sets how long the supervisor may take to stop its children when it ends,
    /// all in all; by default as long as their shutdown times add up to.
    ///
    /// Each child still has the time that its spec says, but no more than is
    /// left of this one, be that [`Shutdown::Infinity`]: when it is over, those
    /// that run are killed, in the order in which they would have been stopped.
    /// A supervisor that is killed cannot stop its own children in order, so a
    /// child that is one should have a shorter time of its own.
    ///
    /// [`Shutdown::Infinity`]: crate::Shutdown::Infinity
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node, trap_exit};
    /// use resurgam_supervisor::{ChildSpec, Shutdown, Strategy, Supervisor};
    ///
    /// /// A child that does not hear.
    /// fn deaf(id: &str) -> ChildSpec {
    ///     let child = ChildSpec::process(id, || {
    ///         |mut ctx: Context<()>| async move {
    ///             trap_exit(true);
    ///             loop { ctx.receive().await; }
    ///         }
    ///     });
    ///     child.shutdown(Shutdown::Infinity)
    /// }
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let sup = Supervisor::builder(Strategy::OneForOne)
    ///     .stop_within(Duration::from_millis(10))
    ///     .children(["a", "b", "c"].map(deaf))
    ///     .start_on(&node)
    ///     .await?;
    /// sup.stop().await?;
    /// assert_eq!(node.process_count(), 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = Some(limit);
        self
    }

    /// Adds a child at the end of the start order.
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
        self
    }

    /// Adds children at the end of the start order.
    pub fn children(mut self, specs: impl IntoIterator<Item = ChildSpec>) -> Self {
        self.children.extend(specs);
        self
    }

    /// Starts the supervisor, linked to the running process, which is its
    /// parent. Returns when every child has started.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`]. As the two are linked, a failure also
    /// sends an exit signal to a parent that does not trap exits.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start_link(self) -> Result<SupervisorRef, StartSupervisorError> {
        Ok(SupervisorRef::new(self.prepare()?.start_link().await?))
    }

    /// Starts the supervisor on the current node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start(self) -> Result<SupervisorRef, StartSupervisorError> {
        Ok(SupervisorRef::new(self.prepare()?.start().await?))
    }

    /// Starts the supervisor on this node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start_on(self, node: &Node) -> Result<SupervisorRef, StartSupervisorError> {
        Ok(SupervisorRef::new(self.prepare()?.on(node).start().await?))
    }

    /// Everything that can be wrong is found here, before anything starts.
    fn prepare(self) -> Result<ServerBuilder<supervisor::Shell>, StartSupervisorError> {
        check_flags(self.called.name.as_ref(), self.intensity)?;
        check_children(&self.children, self.auto_shutdown, self.pace)?;
        let Self {
            called,
            strategy,
            intensity,
            auto_shutdown,
            pace,
            stop_within,
            children,
        } = self;
        let setup = supervisor::Setup {
            name: called.name.clone(),
            strategy,
            intensity,
            auto_shutdown,
            pace,
            stop_within,
            children,
        };
        Ok(called.call(supervisor::Shell::builder(setup)))
    }
}

/// A process that starts children when it is asked to, as many as one likes,
/// and watches over each by itself.
///
/// It is [`Strategy::OneForOne`] only, keeps no start order, and stops its
/// children side by side. A child that is not restarted leaves no trace.
///
/// # Differences from Elixir
///
/// Links are kept until a child is dead, so that none is orphaned even if the
/// supervisor is killed while it stops them. Start functions hold what they
/// need, so there are no extra arguments.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{ChildSpec, DynamicSupervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let sup = DynamicSupervisor::builder().name("jobs").start_on(&node).await?;
/// for number in 0..3 {
///     let job = move || async move { assert!(number < 3) };
///     let job = sup.start_child(ChildSpec::task("job", job).temporary()).await?;
///     node.join(job.pid().ok_or("no pid")?).await;
/// }
/// assert_eq!(sup.count_children().await?.specs, 0);
/// sup.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub enum DynamicSupervisor {}

impl DynamicSupervisor {
    /// A supervisor that may have any number of children.
    pub fn builder() -> DynamicSupervisorBuilder {
        DynamicSupervisorBuilder {
            called: Called::NOTHING,
            intensity: RestartIntensity::default(),
            max_children: usize::MAX,
        }
    }
}

/// A dynamic supervisor to be.
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until it is told to"]
pub struct DynamicSupervisorBuilder {
    called: Called<dynamic::Shell>,
    intensity: RestartIntensity,
    max_children: usize,
}

impl DynamicSupervisorBuilder {
    /// Registers the supervisor under a name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.called.name = Some(name.into());
        self
    }

    /// Registers the supervisor under this key of a registry, with this value, as
    /// [`BehaviourBuilder::via`](resurgam_runtime::BehaviourBuilder::via) does a
    /// server. [`DynamicSupervisorRef::via`] is the way back.
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.called.set_key(registry, key, value);
        self
    }

    /// Sets how many restarts are attempted within the period; by default 3.
    pub fn max_restarts(mut self, max_restarts: u32) -> Self {
        self.intensity.max_restarts = max_restarts;
        self
    }

    /// Sets the period in which restarts are counted; by default 5 seconds.
    pub fn max_seconds(mut self, seconds: u64) -> Self {
        self.intensity.period = Duration::from_secs(seconds);
        self
    }

    /// Sets both how many restarts are attempted and the period in which they
    /// are counted.
    pub fn intensity(mut self, max_restarts: u32, period: Duration) -> Self {
        self.intensity = RestartIntensity::new(max_restarts, period);
        self
    }

    /// Sets how many children there may be, those about to be restarted
    /// included; by default any number.
    pub fn max_children(mut self, max_children: usize) -> Self {
        self.max_children = max_children;
        self
    }

    /// Starts the supervisor, linked to the running process, which is its
    /// parent.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start_link(self) -> Result<DynamicSupervisorRef, StartSupervisorError> {
        Ok(DynamicSupervisorRef::new(
            self.prepare()?.start_link().await?,
        ))
    }

    /// Starts the supervisor on the current node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start(self) -> Result<DynamicSupervisorRef, StartSupervisorError> {
        Ok(DynamicSupervisorRef::new(self.prepare()?.start().await?))
    }

    /// Starts the supervisor on this node, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed, and with it the children it has started.
    pub async fn start_on(self, node: &Node) -> Result<DynamicSupervisorRef, StartSupervisorError> {
        Ok(DynamicSupervisorRef::new(
            self.prepare()?.on(node).start().await?,
        ))
    }

    fn prepare(self) -> Result<ServerBuilder<dynamic::Shell>, StartSupervisorError> {
        check_flags(self.called.name.as_ref(), self.intensity)?;
        let Self {
            called,
            intensity,
            max_children,
        } = self;
        let setup = dynamic::Setup {
            name: called.name.clone(),
            intensity,
            max_children,
        };
        Ok(called.call(dynamic::Shell::builder(setup)))
    }
}

/// Specs of children that are supervisors.
impl ChildSpec {
    /// A static supervisor. `builder` describes it anew at each start. By
    /// default it may take as long as it needs to stop.
    pub fn supervisor<F>(id: impl Into<ChildId>, builder: F) -> Self
    where
        F: Fn() -> SupervisorBuilder + Send + Sync + 'static,
    {
        let spec = Self::behaviour(id, move || Ok(builder().prepare()?));
        spec.child_type(ChildType::Supervisor)
    }

    /// A dynamic supervisor. `builder` describes it anew at each start. By
    /// default it may take as long as it needs to stop.
    pub fn dynamic_supervisor<F>(id: impl Into<ChildId>, builder: F) -> Self
    where
        F: Fn() -> DynamicSupervisorBuilder + Send + Sync + 'static,
    {
        let spec = Self::behaviour(id, move || Ok(builder().prepare()?));
        spec.child_type(ChildType::Supervisor)
    }
}

pub(crate) fn check_flags(
    name: Option<&Name>,
    intensity: RestartIntensity,
) -> Result<(), StartSupervisorError> {
    if name.is_some_and(|name| name.as_str().is_empty()) {
        return Err(StartSupervisorError::EmptyName);
    }
    if intensity.period().is_zero() {
        return Err(StartSupervisorError::ZeroPeriod);
    }
    Ok(())
}

fn check_children(
    children: &[ChildSpec],
    auto_shutdown: AutoShutdown,
    pace: Pace,
) -> Result<(), StartSupervisorError> {
    let mut ids = HashMap::new();
    for spec in children {
        spec.check_for(auto_shutdown, pace)?;
        if ids.insert(spec.id(), spec).is_some() {
            return Err(StartSupervisorError::DuplicateChildName(spec.id().clone()));
        }
    }
    match pace {
        Pace::InTurn => Ok(()),
        Pace::SideBySide => {
            let find = |id: &_| ids.get(id).copied();
            let mut specs = children.iter();
            specs.try_for_each(|spec| check_needs(spec, find))?;
            Ok(check_circles(children.iter())?)
        }
    }
}
