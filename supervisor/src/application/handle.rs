//! [`Applications`]: how to talk to the application controller of a node.

use std::time::Duration;

use resurgam_runtime::{
    CallError, ExitReason, Join, Name, Node, Pid, ProcessRef, RegisterError, Reply, SpawnError,
    StartError,
};

use super::asker::{Asker, Caller};
use super::controller::{self, Request};
use super::waits;
use super::{
    Application, ApplicationError, ApplicationInfo, Config, ConfigChange, Environment, StartMode,
    StartType,
};

/// Why an application was not loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadApplicationError {
    /// It cannot be used.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// There is one of this name.
    #[error("application {0:?} is loaded already")]
    AlreadyLoaded(Name),
    /// The applications are being stopped.
    #[error("the applications are being stopped")]
    Terminating,
    /// The controller did not answer.
    #[error("application controller did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why an application is still loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnloadApplicationError {
    /// There is none of this name.
    #[error("application {0:?} is not loaded")]
    NotLoaded(Name),
    /// It runs, or is being started or stopped.
    #[error("application {0:?} runs; stop it first")]
    Running(Name),
    /// The applications are being stopped.
    #[error("the applications are being stopped")]
    Terminating,
    /// The controller did not answer.
    #[error("application controller did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why an application was not started.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartApplicationError {
    /// There is none of this name.
    #[error("application {0:?} is not loaded")]
    NotLoaded(Name),
    /// It runs.
    #[error("application {0:?} is started already")]
    AlreadyStarted(Name),
    /// One that it needs was not started.
    #[error("application {0:?}, which is needed, is not started")]
    NotStarted(Name),
    /// One that it needs has ended.
    #[error("application {name:?}, which is needed, has ended: {reason}")]
    NotRunning {
        /// Which one.
        name: Name,
        /// Why it ended.
        reason: ExitReason,
    },
    /// These need each other.
    #[error("applications need each other: {0:?}")]
    Cycle(Vec<Name>),
    /// Its start function, or a phase of its start, failed.
    #[error("application {name:?} did not start: {error}")]
    Failed {
        /// Which one.
        name: Name,
        /// Why.
        error: StartError,
    },
    /// Who asks would wait for itself: the first of these is the application it
    /// belongs to, which is not up, or not gone, before it has its answer; each
    /// waits for the next, the last for the first. A start that is under way
    /// goes on and none is begun; of several applications, those that were
    /// started for this are stopped again.
    #[error("{}", waits::told(.0))]
    Deadlock(Vec<Name>),
    /// It was told to stop before it was up.
    #[error("application {0:?} was stopped while it started")]
    Stopped(Name),
    /// The applications are being stopped.
    #[error("the applications are being stopped")]
    Terminating,
    /// The controller did not answer.
    #[error("application controller did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why an application was not stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopApplicationError {
    /// It does not run. One that has ended by itself is no error: that is
    /// forgotten then.
    #[error("application {0:?} is not started")]
    NotStarted(Name),
    /// It is being stopped, but who asks would wait for itself: see
    /// [`StartApplicationError::Deadlock`].
    #[error("{}", waits::told(.0))]
    Deadlock(Vec<Name>),
    /// The applications are being stopped, all of them.
    #[error("the applications are being stopped")]
    Terminating,
    /// The controller did not answer.
    #[error("application controller did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why it is not known that all have done what they do about a change of the
/// configuration. The settings are changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeConfigError {
    /// They are being told, but who asks would wait for itself: see
    /// [`StartApplicationError::Deadlock`].
    #[error("{}", waits::told(.0))]
    Deadlock(Vec<Name>),
    /// The controller did not answer.
    #[error("application controller did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// An application whose end stopped its node: the term of the reason with which
/// the application controller ends then.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Context, Node, spawn_link};
/// use resurgam_supervisor::{Application, ApplicationEnded, Applications, StartType};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let apps = Applications::start_on(&node).await?;
/// let brief = Application::new("brief").start(|_| async {
///     spawn_link(|mut ctx: Context<()>| async move { drop(ctx.receive().await) })
/// });
/// apps.load(brief).await?;
/// apps.start_as(StartType::Permanent, "brief").await?;
///
/// let ended = apps.join();
/// node.send(apps.get_supervisor("brief").await?.ok_or("not running")?, ())?;
/// let reason = ended.await;
/// let to_blame = ApplicationEnded::of(&reason).ok_or("nobody")?;
/// assert_eq!((to_blame.name.as_str(), to_blame.reason.is_normal()), ("brief", true));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApplicationEnded {
    /// Which one.
    pub name: Name,
    /// Why it ended.
    pub reason: ExitReason,
}

impl ApplicationEnded {
    /// The application that the controller ended for, if it ended for one.
    pub fn of(reason: &ExitReason) -> Option<&Self> {
        match reason {
            ExitReason::ShutdownWith(term) => term.downcast_ref(),
            _ => None,
        }
    }
}

/// The applications of a node: what is loaded, what runs, and their settings.
/// Cheap to clone.
///
/// Behind it is a process, the application controller, which is never busy: it
/// can be asked from everywhere, from the callbacks of applications too. Each
/// application that runs has a process of its own, which is the parent of its
/// top supervisor and the [group leader](resurgam_runtime::set_group_leader) of
/// all its processes.
///
/// When the node stops, the applications are stopped one after the other, the
/// one started last first; nothing can be spawned then, by callbacks neither.
/// [`stop_all`](Self::stop_all) does so before. When an application ends that
/// is [permanent](StartType::Permanent), the others are stopped so, and the
/// node with them.
///
/// The calls have no time limit. Dropping one that is under way does not undo
/// it. A process that would wait for itself is told so by an error: a callback
/// that stops its own application, or starts one that it needs; two that start
/// or stop each other's. So is an `init`, a `terminate` or, while its
/// application stops, whoever traps exits.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{Application, Applications, StartApplicationError};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let apps = Applications::start_on(&node).await?;
/// apps.load(Application::new("db")).await?;
/// apps.load(Application::new("shop").needs("db")).await?;
///
/// let error = apps.start("shop").await.unwrap_err();
/// assert!(matches!(error, StartApplicationError::NotStarted(name) if name.as_str() == "db"));
/// apps.start("db").await?;
/// apps.start("shop").await?;
/// assert_eq!(apps.which_applications().await?.len(), 2);
/// apps.stop_all().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Applications {
    node: Node,
    controller: ProcessRef<Request>,
    env: Environment,
}

/// An application controller to be; made by [`Applications::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{Applications, Config};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let apps = Applications::builder()
///     .config(Config::new().set("shop", "port", 9000_u16))
///     .shutdown_timeout(Duration::from_secs(10))
///     .start_on(&node)
///     .await?;
/// assert_eq!(node.whereis(Applications::NAME), Applications::on(&node).await?.pid());
/// apps.stop_all().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until it is told to"]
pub struct ApplicationsBuilder {
    config: Config,
    shutdown_timeout: Option<Duration>,
}

impl ApplicationsBuilder {
    /// Sets what takes the place of the applications' own settings.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how long each application may take to stop when all are stopped;
    /// one that takes longer is killed. By default as long as it needs.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Starts the application controller of this node, unless it is there: then
    /// that one is found, and what was set here is of no effect.
    ///
    /// # Errors
    ///
    /// No process could be spawned, or the one that has the controller's name
    /// is none.
    ///
    /// # Cancel safety
    ///
    /// The controller stays if it was started.
    pub async fn start_on(self, node: &Node) -> Result<Applications, StartError> {
        let env = Environment::new(self.config);
        let options = node.spawn_options().name(Applications::NAME).trap_exit();
        let spawned = {
            let env = env.clone();
            options.spawn(move |ctx| controller::live(ctx, env, self.shutdown_timeout))
        };
        match spawned {
            Ok(spawned) => Ok(Applications::new(node, spawned.process, env)),
            Err(SpawnError::Name(RegisterError::NameTaken { .. })) => Applications::on(node)
                .await
                .map_err(|error| StartError::Failed(error.into())),
            Err(error) => Err(error.into()),
        }
    }
}

impl Applications {
    /// The name under which the application controller is registered.
    pub const NAME: &'static str = "application_controller";

    pub(super) fn new(node: &Node, controller: ProcessRef<Request>, env: Environment) -> Self {
        Self {
            node: node.clone(),
            controller,
            env,
        }
    }

    /// A controller to be configured, then started.
    pub fn builder() -> ApplicationsBuilder {
        ApplicationsBuilder::default()
    }

    /// Starts the application controller of this node, unless it is there.
    ///
    /// # Errors
    ///
    /// See [`ApplicationsBuilder::start_on`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn start_on(node: &Node) -> Result<Self, StartError> {
        Self::builder().start_on(node).await
    }

    /// The applications of this node, if their controller was started.
    ///
    /// # Errors
    ///
    /// The controller did not answer: there is none.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn on(node: &Node) -> Result<Self, CallError> {
        let controller: ProcessRef<Request> = node.named(Self::NAME);
        let (controller, env) = controller.call(Request::Handle).no_timeout().await?;
        Ok(Self::new(node, controller, env))
    }

    /// The controller's pid.
    pub fn pid(&self) -> Option<Pid> {
        self.controller.pid()
    }

    /// The settings of all applications.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// Makes an application known, and sets its settings.
    ///
    /// # Errors
    ///
    /// See [`LoadApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// It is loaded even if the future is dropped while it waits.
    pub async fn load(&self, application: Application) -> Result<(), LoadApplicationError> {
        application.check()?;
        self.ask(|reply| Request::Load(application, reply)).await?
    }

    /// Forgets an application that does not run, with its settings.
    ///
    /// # Errors
    ///
    /// See [`UnloadApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// It is unloaded even if the future is dropped while it waits.
    pub async fn unload(&self, name: impl Into<Name>) -> Result<(), UnloadApplicationError> {
        let name = name.into();
        self.ask(|reply| Request::Unload(name, reply)).await?
    }

    /// Starts an application, as a temporary one. All it needs must be running.
    /// Returns when it is up. Of several that start it at once, all are told
    /// how that one start went.
    ///
    /// # Errors
    ///
    /// See [`StartApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// It is started even if the future is dropped while it waits.
    pub async fn start(&self, name: impl Into<Name>) -> Result<(), StartApplicationError> {
        self.start_as(StartType::default(), name).await
    }

    /// As [`start`](Self::start), and says what its end means for the node.
    ///
    /// # Errors
    ///
    /// See [`StartApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_as(
        &self,
        start_type: StartType,
        name: impl Into<Name>,
    ) -> Result<(), StartApplicationError> {
        let name = name.into();
        self.wait(|caller| Request::Start(name, start_type, caller))
            .await?
    }

    /// As [`start`](Self::start); that it is started already is no error.
    ///
    /// # Errors
    ///
    /// See [`StartApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn ensure_started(&self, name: impl Into<Name>) -> Result<(), StartApplicationError> {
        match self.start(name).await {
            Err(StartApplicationError::AlreadyStarted(_)) => Ok(()),
            started => started,
        }
    }

    /// Starts applications, as temporary ones, with all that they need, one
    /// after the other; those that this started, in their order. One that runs
    /// already needs nothing.
    ///
    /// # Errors
    ///
    /// See [`StartApplicationError`]. What this had started is stopped again.
    ///
    /// # Cancel safety
    ///
    /// They are started even if the future is dropped while it waits.
    pub async fn ensure_all_started<N: Into<Name>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Vec<Name>, StartApplicationError> {
        self.ensure_all_started_as(StartType::default(), StartMode::Serial, names)
            .await
    }

    /// As [`ensure_all_started`](Self::ensure_all_started), and says what their
    /// end means for the node, and whether they are started side by side.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn ensure_all_started_as<N: Into<Name>>(
        &self,
        start_type: StartType,
        mode: StartMode,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Vec<Name>, StartApplicationError> {
        let names: Vec<Name> = names.into_iter().map(N::into).collect();
        self.wait(|caller| Request::EnsureAll(names, start_type, mode, caller))
            .await?
    }

    /// Stops an application: what it does [before](Application::prep_stop),
    /// then its processes, which are waited for, then what it does
    /// [after](Application::stop). Whoever is left of its processes is killed
    /// then. Those that need it run on. It never stops the node.
    ///
    /// A process of the application itself has it stopped, and does not live to
    /// be told.
    ///
    /// # Errors
    ///
    /// See [`StopApplicationError`].
    ///
    /// # Cancel safety
    ///
    /// It is stopped even if the future is dropped while it waits.
    pub async fn stop(&self, name: impl Into<Name>) -> Result<(), StopApplicationError> {
        let name = name.into();
        self.wait(|caller| Request::Stop(name, caller)).await?
    }

    /// Stops all applications, one after the other, the one started last first,
    /// then the controller, and waits until it has ended. What is asked
    /// meanwhile is an error, except to be told something.
    ///
    /// Who would wait for itself, as a callback of an application does, only
    /// gives the order.
    ///
    /// # Cancel safety
    ///
    /// They are stopped even if the future is dropped while it waits.
    pub async fn stop_all(&self) {
        let ended = self.controller.join();
        let would_wait_for_itself = self.wait(Request::StopAll).await.is_ok();
        if !would_wait_for_itself {
            ended.await;
        }
    }

    /// Waits for the end of the controller, by which time no application runs.
    /// Its reason is a shutdown with an [`ApplicationEnded`] if an application
    /// stopped the node.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub fn join(&self) -> Join {
        self.controller.join()
    }

    /// The applications that run, are being started or stopped, in the order in
    /// which they were up.
    ///
    /// # Errors
    ///
    /// The controller did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn which_applications(&self) -> Result<Vec<ApplicationInfo>, CallError> {
        self.ask(Request::Which).await
    }

    /// The names of the applications that are loaded.
    ///
    /// # Errors
    ///
    /// The controller did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn loaded_applications(&self) -> Result<Vec<Name>, CallError> {
        self.ask(Request::Loaded).await
    }

    /// The application that a process belongs to.
    ///
    /// # Errors
    ///
    /// The controller did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn get_application(&self, pid: Pid) -> Result<Option<Name>, CallError> {
        match self.node.group_leader(pid) {
            Some(leader) => self.ask(|reply| Request::LedBy(leader, reply)).await,
            None => Ok(None),
        }
    }

    /// The top supervisor of an application that runs.
    ///
    /// # Errors
    ///
    /// The controller did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn get_supervisor(&self, name: impl Into<Name>) -> Result<Option<Pid>, CallError> {
        let name = name.into();
        self.ask(|reply| Request::Supervisor(name, reply)).await
    }

    /// Puts another configuration in the place of the present one. Applications
    /// that run are [told](Application::config_change) what that changed of
    /// their settings. Returns what was changed, of which application, when
    /// they have all done what they do about it.
    ///
    /// # Errors
    ///
    /// See [`ChangeConfigError`]. The settings are changed.
    ///
    /// # Cancel safety
    ///
    /// The settings are changed even if the future is dropped while it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::Node;
    /// use resurgam_supervisor::{Application, Applications, Config};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let apps = Applications::start_on(&node).await?;
    /// apps.load(Application::new("shop").env("port", 80_u16)).await?;
    /// let config = Config::new().set("shop", "port", 8080_u16).set("shop", "motto", "buy");
    /// let changes = apps.change_config(config).await?;
    /// let (name, change) = &changes[0];
    /// assert_eq!(name.as_str(), "shop");
    /// assert_eq!((&change.changed[..], &change.new[..]), (&["port".into()][..], &["motto".into()][..]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn change_config(
        &self,
        config: Config,
    ) -> Result<Vec<(Name, ConfigChange)>, ChangeConfigError> {
        let mut changes = self.env.configure(config);
        changes.retain(|(_, change)| !change.is_none());
        let told = changes.clone();
        self.wait(|caller| Request::Changed(told, caller)).await??;
        Ok(changes)
    }

    /// Asks for something that takes time.
    async fn wait<T: Send + 'static>(
        &self,
        request: impl FnOnce(Caller<T>) -> Request,
    ) -> Result<T, CallError> {
        let asker = Asker::current(&self.node).await;
        self.ask(|reply| request(Caller::new(asker, reply))).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, CallError> {
        self.controller.call(request).no_timeout().await
    }
}
