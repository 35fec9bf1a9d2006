//! Child specs: what a child is, how it starts, and how it is stopped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use resurgam_runtime::{
    Behaviour, BehaviourBuilder, Context, GenServer, GenStatem, ProcessOutput, ServerBuilder,
    StartError, StatemBuilder, ThreadContext, link, spawn_link, spawn_options,
};

use crate::backoff::BackoffError;
use crate::caught::drop_caught;
use crate::needs::{Beyond, Pace};
use crate::policy::AutoShutdown;
use crate::start::{StartFunction, Started};

/// What a child is called within its supervisor. Cheap to clone.
///
/// # Examples
///
/// ```
/// use resurgam_supervisor::ChildId;
///
/// assert_eq!(ChildId::from("cache").as_str(), "cache");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&String> for ChildId {
    fn from(id: &String) -> Self {
        Self::from(id.as_str())
    }
}

impl From<&ChildId> for ChildId {
    fn from(id: &ChildId) -> Self {
        id.clone()
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Which ends of a child call for a restart.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Every end, `normal` and `shutdown` included.
    #[default]
    Permanent,
    /// Every end but the graceful ones: `normal`, `shutdown`, and `shutdown`
    /// with a term. A child killed was not graceful. After a graceful end the
    /// spec stays, so that `restart_child` can start it again; in a dynamic
    /// supervisor it goes.
    Transient,
    /// None. The spec goes with the child, also when a group restart stops it.
    Temporary,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// How a supervisor stops a child.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Kill it at once.
    BrutalKill,
    /// Ask it to shut down, and kill it if it has not ended in this time. With
    /// a time of zero it is asked and killed in one go.
    Timeout(Duration),
    /// Ask it to shut down and wait as long as it takes. This is the choice
    /// for supervisors, which need time to stop their own children.
    Infinity,
}

impl From<Duration> for Shutdown {
    fn from(timeout: Duration) -> Self {
        Self::Timeout(timeout)
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrutalKill => f.write_str("brutal_kill"),
            Self::Timeout(timeout) => write!(f, "{timeout:?}"),
            Self::Infinity => f.write_str("infinity"),
        }
    }
}

/// Whether a child does the work or looks after others that do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChildType {
    /// It does the work. It has five seconds to shut down, unless its spec
    /// says otherwise.
    #[default]
    Worker,
    /// It is a supervisor itself. It may take as long as it needs to shut
    /// down, unless its spec says otherwise.
    Supervisor,
}

impl ChildType {
    fn default_shutdown(self) -> Shutdown {
        match self {
            Self::Worker => Shutdown::Timeout(Duration::from_secs(5)),
            Self::Supervisor => Shutdown::Infinity,
        }
    }
}

impl fmt::Display for ChildType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        })
    }
}

/// What is wrong with a child spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The id is the empty string.
    #[error("child id is empty; expected at least one character")]
    EmptyId,
    /// The spec was read back from a temporary child, whose start function
    /// its supervisor did not keep.
    #[error("child {0:?} has no start function; the spec of a temporary child cannot be reused")]
    MissingStart(ChildId),
    /// The child is significant, and permanent: it never ends for good.
    #[error("child {0:?} is significant and permanent; expected transient or temporary")]
    SignificantPermanent(ChildId),
    /// The child is significant, and its supervisor does not shut down by
    /// itself.
    #[error(
        "child {0:?} is significant, but its supervisor never shuts down by itself; expected an auto_shutdown"
    )]
    SignificantWithoutAutoShutdown(ChildId),
    /// The child's back-off cannot be used.
    #[error("back-off of child {0:?}: {1}")]
    Backoff(ChildId, BackoffError),
    /// The period of the child's restart intensity is zero.
    #[error("restart intensity of child {0:?} has a period of zero; expected a longer one")]
    ZeroPeriod(ChildId),
    /// The child is to be parked when its budget is spent, and has none.
    #[error(
        "child {0:?} is to be parked when its budget is spent, but has none; expected a restart_intensity"
    )]
    ParkWithoutBudget(ChildId),
    /// The child is to be parked for no time at all.
    #[error("child {0:?} is to be parked for no time; expected a longer one")]
    ZeroPark(ChildId),
    /// The start function of the child can be run only once.
    #[error("child {0:?} can be started only once, but is {1}; expected temporary")]
    StartsOnce(ChildId, Restart),
    /// The child is temporary, so there is no restart that could be delayed or
    /// counted.
    #[error(
        "child {0:?} is temporary and never restarted, but has a back-off or a restart intensity"
    )]
    NeverRestarted(ChildId),
    /// The child is to start in no time at all.
    #[error("child {0:?} has a start_timeout of zero; expected a longer one")]
    ZeroStartTimeout(ChildId),
    /// The child needs others, and its supervisor starts one at a time.
    #[error(
        "child {0:?} is to start after others that it names, but its supervisor starts one at a time; expected a `concurrent` one"
    )]
    NeedsConcurrent(ChildId),
    /// The first child needs the second, which there is not.
    #[error(
        "child {0:?} is to start after {1:?}, which there is not; expected a child of the same supervisor"
    )]
    UnknownNeed(ChildId, ChildId),
    /// The first child needs the second, which is temporary.
    #[error(
        "child {0:?} is to start after {1:?}, which is temporary and does not come back; expected a permanent or transient one"
    )]
    TemporaryNeed(ChildId, ChildId),
    /// Each of these children needs the next; the last is the first again.
    #[error(
        "children wait for each other in a circle, {}; expected one that waits for none of them",
        Circle(.0)
    )]
    NeedsInCircle(Vec<ChildId>),
}

/// Shows ids as `"a" after "b" after "a"`.
struct Circle<'a>(&'a [ChildId]);

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, id) in self.0.iter().enumerate() {
            let after = if place == 0 { "" } else { " after " };
            write!(f, "{after}{id:?}")?;
        }
        Ok(())
    }
}

/// What a supervisor has to know about a child.
///
/// The constructors differ in what they start; all of them link the child to
/// its supervisor in one step with its start, so that no death goes unseen and
/// no child outlives its supervisor. Unless told otherwise a child is
/// permanent, a worker, and has five seconds to shut down.
///
/// The start function runs inside the supervisor, each time the child is
/// started: a slow one keeps the supervisor from everything else, and one that
/// calls its own supervisor waits for ever, unless it has a
/// [`start_timeout`](Self::start_timeout). One that panics counts as one that
/// failed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_supervisor::{ChildSpec, Restart, Shutdown};
///
/// let job = ChildSpec::task("job", || async { /* work */ })
///     .transient()
///     .shutdown(Duration::from_secs(1));
/// assert_eq!(job.id().as_str(), "job");
/// assert_eq!(job.get_restart(), Restart::Transient);
/// assert_eq!(job.get_shutdown(), Shutdown::Timeout(Duration::from_secs(1)));
/// ```
#[derive(Clone)]
pub struct ChildSpec {
    id: ChildId,
    restart: Restart,
    /// As long as nobody chose one, it follows from the child's type.
    shutdown: Option<Shutdown>,
    child_type: ChildType,
    is_significant: bool,
    /// Of a child of which more is said than OTP knows.
    beyond: Option<Box<Beyond>>,
    /// Let go once a temporary child has started.
    start: Option<StartFunction>,
}

impl ChildSpec {
    /// A child with a start function of its own. The process it names is
    /// linked to the supervisor if it is not yet.
    ///
    /// Where the function starts a process, it should use `start_link` or
    /// `spawn_link`, so that there is no moment in which it could be orphaned.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, spawn_link};
    /// use resurgam_supervisor::{ChildSpec, Started};
    ///
    /// let spec = ChildSpec::new("own", || async {
    ///     let process = spawn_link(|mut ctx: Context<()>| async move {
    ///         ctx.receive().await;
    ///     })?;
    ///     Ok(Started::process(&process)?.with_info("mine"))
    /// });
    /// # drop(spec);
    /// ```
    pub fn new<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Started, StartError>> + Send + 'static,
    {
        let start = StartFunction::waiting(move || {
            let starting = start();
            async move {
                let started = starting.await?;
                if let Some(pid) = started.pid() {
                    link(pid);
                }
                Ok(started)
            }
        });
        Self::with_start(id.into(), start)
    }

    /// A [`GenServer`], started with a clone of `args` each time.
    pub fn server<S: GenServer>(id: impl Into<ChildId>, args: S::Args) -> Self
    where
        S::Args: Clone + Sync,
    {
        Self::server_with::<S, _>(id, move || S::builder(args.clone()))
    }

    /// A [`GenServer`] with start options, such as a name.
    pub fn server_with<S, F>(id: impl Into<ChildId>, builder: F) -> Self
    where
        S: GenServer,
        F: Fn() -> ServerBuilder<S> + Send + Sync + 'static,
    {
        Self::behaviour(id, move || Ok(builder()))
    }

    /// A [`GenStatem`], started with a clone of `args` each time.
    pub fn statem<S: GenStatem>(id: impl Into<ChildId>, args: S::Args) -> Self
    where
        S::Args: Clone + Sync,
    {
        Self::statem_with::<S, _>(id, move || S::builder(args.clone()))
    }

    /// A [`GenStatem`] with start options, such as a name.
    pub fn statem_with<S, F>(id: impl Into<ChildId>, builder: F) -> Self
    where
        S: GenStatem,
        F: Fn() -> StatemBuilder<S> + Send + Sync + 'static,
    {
        Self::behaviour(id, move || Ok(builder()))
    }

    /// A behaviour, built anew each time.
    pub(crate) fn behaviour<B, F>(id: impl Into<ChildId>, builder: F) -> Self
    where
        B: Behaviour,
        F: Fn() -> Result<BehaviourBuilder<B>, StartError> + Send + Sync + 'static,
    {
        let start = StartFunction::limited(move |limit| {
            let builder = builder();
            async move {
                let builder = match limit {
                    None => builder?,
                    Some(limit) => builder?.timeout(limit),
                };
                Started::process(&builder.start_link().await?)
            }
        });
        Self::with_start(id.into(), start)
    }

    /// A plain process. `body` makes its body anew at each start.
    pub fn process<M, F, B, Fut>(id: impl Into<ChildId>, body: F) -> Self
    where
        M: Send + 'static,
        F: Fn() -> B + Send + Sync + 'static,
        B: FnOnce(Context<M>) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ProcessOutput,
    {
        Self::linked_at_once(id, move || Started::process(&spawn_link(body())?))
    }

    /// A plain process whose body is made once: so it may hold what there is
    /// only one of, a socket for instance. The child is
    /// [temporary](Self::temporary), and cannot be anything else.
    ///
    /// A clone of the spec is the same child, which starts once.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::{Context, Node};
    /// use resurgam_supervisor::{ChildSpec, DynamicSupervisor, SpecError};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let (sender, receiver) = tokio::sync::oneshot::channel();
    /// let child = ChildSpec::process_once("answer", move |_: Context<()>| async move {
    ///     sender.send(42).unwrap();
    /// });
    /// assert!(matches!(child.clone().permanent().check(), Err(SpecError::StartsOnce(..))));
    ///
    /// let sup = DynamicSupervisor::builder().start_on(&node).await?;
    /// sup.start_child(child).await?;
    /// assert_eq!(receiver.await, Ok(42));
    /// # sup.stop().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn process_once<M, B, Fut>(id: impl Into<ChildId>, body: B) -> Self
    where
        M: Send + 'static,
        B: FnOnce(Context<M>) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ProcessOutput,
    {
        let start = StartFunction::once(move || Started::process(&spawn_link(body)?));
        Self::with_start(id.into(), start).temporary()
    }

    /// A process that runs an async function and takes no messages.
    pub fn task<F, Fut>(id: impl Into<ChildId>, task: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: ProcessOutput,
    {
        Self::linked_at_once(id, move || {
            let task = task();
            Started::process(&spawn_link(move |_: Context<()>| task)?)
        })
    }

    /// A process on an OS thread of its own, for code that blocks. `body`
    /// makes its body anew at each start.
    pub fn thread<M, F, B, T>(id: impl Into<ChildId>, body: F) -> Self
    where
        M: Send + 'static,
        F: Fn() -> B + Send + Sync + 'static,
        B: FnOnce(ThreadContext<M>) -> T + Send + 'static,
        T: ProcessOutput + Send + 'static,
    {
        Self::linked_at_once(id, move || {
            let body = body();
            Started::process(&spawn_options().link().spawn_thread(body)?.process)
        })
    }

    /// A child whose start function does not wait, and links it in one step with
    /// its start.
    pub(crate) fn linked_at_once<F>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> Result<Started, StartError> + Send + Sync + 'static,
    {
        Self::with_start(id.into(), StartFunction::at_once(start))
    }

    fn with_start(id: ChildId, start: StartFunction) -> Self {
        Self {
            id,
            restart: Restart::default(),
            shutdown: None,
            child_type: ChildType::default(),
            is_significant: false,
            beyond: None,
            start: Some(start),
        }
    }

    /// Restart the child whenever it ends. This is the default.
    #[must_use]
    pub fn permanent(self) -> Self {
        self.restart(Restart::Permanent)
    }

    /// Restart the child when it ends other than gracefully.
    #[must_use]
    pub fn transient(self) -> Self {
        self.restart(Restart::Transient)
    }

    /// Never restart the child.
    #[must_use]
    pub fn temporary(self) -> Self {
        self.restart(Restart::Temporary)
    }

    /// Sets which ends of the child call for a restart.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how the child is stopped; a [`Duration`] is a timeout.
    #[must_use]
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = Some(shutdown.into());
        self
    }

    /// Kill the child at once when it is to stop.
    #[must_use]
    pub fn brutal_kill(self) -> Self {
        self.shutdown(Shutdown::BrutalKill)
    }

    /// Sets whether the child is a worker or a supervisor.
    #[must_use]
    pub fn child_type(mut self, child_type: ChildType) -> Self {
        self.child_type = child_type;
        self
    }

    /// Makes the child one whose end, if it is not restarted, can shut its
    /// supervisor down: see [`AutoShutdown`]. The child must be transient or
    /// temporary.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_supervisor::{ChildSpec, SpecError};
    ///
    /// let import = ChildSpec::task("import", || async { /* work */ });
    /// assert_eq!(import.clone().transient().significant().check(), Ok(()));
    /// assert_eq!(
    ///     import.significant().check(),
    ///     Err(SpecError::SignificantPermanent("import".into())),
    /// );
    /// ```
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.is_significant = true;
        self
    }

    /// Whether the end of the child can shut its supervisor down.
    pub fn is_significant(&self) -> bool {
        self.is_significant
    }

    /// What the child is called.
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// Which ends of the child call for a restart.
    pub fn get_restart(&self) -> Restart {
        self.restart
    }

    /// How the child is stopped.
    pub fn get_shutdown(&self) -> Shutdown {
        self.shutdown
            .unwrap_or_else(|| self.child_type.default_shutdown())
    }

    /// Whether the child is a worker or a supervisor.
    pub fn get_child_type(&self) -> ChildType {
        self.child_type
    }

    /// Whether a supervisor could take this spec.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), SpecError> {
        match (self.id.as_str(), &self.start) {
            ("", _) => Err(SpecError::EmptyId),
            (_, None) => Err(SpecError::MissingStart(self.id.clone())),
            (_, Some(start)) if start.is_for_once() && self.restart != Restart::Temporary => {
                Err(SpecError::StartsOnce(self.id.clone(), self.restart))
            }
            (_, Some(_)) if self.is_significant && self.restart == Restart::Permanent => {
                Err(SpecError::SignificantPermanent(self.id.clone()))
            }
            (_, Some(_)) => {
                self.check_start_timeout()?;
                self.check_care()
            }
        }
    }

    /// Whether a supervisor that shuts down by itself so, or not at all, and
    /// starts its children so, could take this spec.
    pub(crate) fn check_for(
        &self,
        auto_shutdown: AutoShutdown,
        pace: Pace,
    ) -> Result<(), SpecError> {
        self.check()?;
        if self.is_significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown(self.id.clone()));
        }
        if pace == Pace::InTurn && !self.get_after().is_empty() {
            return Err(SpecError::NeedsConcurrent(self.id.clone()));
        }
        Ok(())
    }

    /// Starts the child, inside its supervisor.
    pub(crate) async fn start(&self) -> Result<Started, StartError> {
        match &self.start {
            Some(start) => start.run(self.get_start_timeout()).await,
            None => Err(StartError::Failed(
                SpecError::MissingStart(self.id.clone()).into(),
            )),
        }
    }

    /// What is said of the child beyond what OTP knows.
    pub(crate) fn beyond(&self) -> Option<&Beyond> {
        self.beyond.as_deref()
    }

    pub(crate) fn beyond_mut(&mut self) -> &mut Beyond {
        self.beyond.get_or_insert_default()
    }

    /// Lets the start function go, and all it holds on to.
    pub(crate) fn release_start(&mut self) {
        drop_caught(self.start.take());
    }
}

/// What the start function holds is the user's, and lies in the supervisor.
impl Drop for ChildSpec {
    fn drop(&mut self) {
        self.release_start();
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.get_shutdown())
            .field("child_type", &self.child_type)
            .field("significant", &self.is_significant)
            .field("beyond", &self.beyond)
            .finish_non_exhaustive()
    }
}
