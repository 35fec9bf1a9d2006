//! Applications: parts of a program that are started and stopped as a whole,
//! in the order in which they need each other.

mod asker;
mod controller;
mod environment;
mod handle;
mod master;
mod order;
mod waits;

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use resurgam_runtime::{ExitReason, Name, Pid, StartError};

use crate::process_handle::ProcessHandle;
use crate::start::Started;
use environment::Defaults;
use order::{Necessity, Need};

pub use environment::{Config, ConfigChange, EnvError, EnvValue, Environment};
pub use handle::{
    ApplicationEnded, Applications, ApplicationsBuilder, ChangeConfigError, LoadApplicationError,
    StartApplicationError, StopApplicationError, UnloadApplicationError,
};
pub use order::StartMode;

/// What the end of an application means for the node, if nobody asked for it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartType {
    /// Any end stops the node.
    Permanent,
    /// An end other than normal stops the node. As supervisors end with
    /// `shutdown`, that is nearly every one.
    Transient,
    /// It is only reported.
    #[default]
    Temporary,
}

impl StartType {
    /// Whether such an end of such an application stops the node (law APP-06).
    fn is_fatal(self, reason: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => !reason.is_normal(),
            Self::Temporary => false,
        }
    }
}

impl fmt::Display for StartType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// An application: what it is called, which others it needs, how it is started
/// and stopped, and its settings.
///
/// It is loaded and started by [`Applications`]. Its processes are those that
/// its start function spawns, and those that they spawn, linked or not: whoever
/// is left of them when it has stopped is killed.
///
/// One without a [start function](Self::start) is a library: it has settings
/// and needs, and no processes.
///
/// # Differences from Erlang
///
/// There are no included applications: a supervisor of another application can
/// be a child of one's own. What the callbacks share they hold themselves, so
/// there is no state passed between them.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Node, StartError};
/// use resurgam_supervisor::{Application, Applications, ChildSpec, Strategy, Supervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let log = Application::new("log");
/// let shop = Application::new("shop")
///     .needs("log")
///     .env("clerks", 2_usize)
///     .start(|app| async move {
///         let clerks: usize = app.get_env("clerks")?;
///         let clerk = |n| ChildSpec::task(format!("clerk {n}"), std::future::pending::<()>);
///         let tree = Supervisor::builder(Strategy::OneForOne).children((0..clerks).map(clerk));
///         Ok::<_, StartError>(tree.start_link().await?)
///     })
///     .stop(|_| async { println!("closed") });
///
/// let apps = Applications::start_on(&node).await?;
/// apps.load(log).await?;
/// apps.load(shop).await?;
/// let started = apps.ensure_all_started(["shop"]).await?;
/// assert_eq!(started, ["log".into(), "shop".into()]);
/// apps.stop("shop").await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
#[must_use = "an application does nothing until it is loaded"]
pub struct Application {
    name: Name,
    description: Arc<str>,
    needs: Vec<Need>,
    defaults: Defaults,
    start: Option<Start>,
    phases: Vec<(Name, Phase)>,
    prep_stop: Option<Callback>,
    stop: Option<Callback>,
    config_change: Option<OnChange>,
}

type Start = Arc<
    dyn Fn(ApplicationContext) -> BoxFuture<'static, Result<Started, StartError>> + Send + Sync,
>;
type Phase =
    Arc<dyn Fn(ApplicationContext) -> BoxFuture<'static, Result<(), ExitReason>> + Send + Sync>;
type Callback = Arc<dyn Fn(ApplicationContext) -> BoxFuture<'static, ()> + Send + Sync>;
type OnChange =
    Arc<dyn Fn(ApplicationContext, ConfigChange) -> BoxFuture<'static, ()> + Send + Sync>;

impl Application {
    /// An application that needs nobody and does nothing yet.
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            description: Arc::from(""),
            needs: Vec::new(),
            defaults: Defaults::default(),
            start: None,
            phases: Vec::new(),
            prep_stop: None,
            stop: None,
            config_change: None,
        }
    }

    /// Says what it is, for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into().into();
        self
    }

    /// It is started only when this one runs.
    pub fn needs(self, application: impl Into<Name>) -> Self {
        self.need(application.into(), Necessity::Required)
    }

    /// As [`needs`](Self::needs), for one that may be missing: it is started
    /// before this one if it is loaded.
    pub fn needs_if_loaded(self, application: impl Into<Name>) -> Self {
        self.need(application.into(), Necessity::Optional)
    }

    fn need(mut self, name: Name, necessity: Necessity) -> Self {
        self.needs.push(Need { name, necessity });
        self
    }

    /// Gives it a setting, which a [`Config`] may replace.
    pub fn env(mut self, key: impl Into<Name>, value: impl EnvValue) -> Self {
        self.defaults.set(key.into(), value);
        self
    }

    /// Sets how it is started: the function starts its top supervisor, linked,
    /// and gives it. It runs in a process of the application's own; if the
    /// application is to stop before it has returned, its future is dropped.
    pub fn start<H, E, F, Fut>(mut self, start: F) -> Self
    where
        H: ProcessHandle,
        E: Into<StartError>,
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<H, E>> + Send + 'static,
    {
        self.start = Some(Arc::new(move |context| {
            let starting = start(context);
            async move { Started::top(&starting.await.map_err(E::into)?) }.boxed()
        }));
        self
    }

    /// Adds a phase of the start. They are gone through in the order in which
    /// they were added, once the top supervisor is up; the application is
    /// running after the last. One that fails is a start that failed.
    pub fn start_phase<F, Fut>(mut self, name: impl Into<Name>, phase: F) -> Self
    where
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let phase: Phase = Arc::new(move |context| phase(context).boxed());
        self.phases.push((name.into(), phase));
        self
    }

    /// Sets what is done before its processes are stopped; if its top supervisor
    /// has ended by itself, before what is left of them is.
    pub fn prep_stop<F, Fut>(mut self, prep_stop: F) -> Self
    where
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.prep_stop = Some(Arc::new(move |context| prep_stop(context).boxed()));
        self
    }

    /// Sets what is done after its processes have ended, whatever the reason,
    /// if its top supervisor had started.
    pub fn stop<F, Fut>(mut self, stop: F) -> Self
    where
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.stop = Some(Arc::new(move |context| stop(context).boxed()));
        self
    }

    /// Sets what is done when its settings have
    /// [changed](Applications::change_config) while it runs.
    pub fn config_change<F, Fut>(mut self, config_change: F) -> Self
    where
        F: Fn(ApplicationContext, ConfigChange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.config_change = Some(Arc::new(move |context, change| {
            config_change(context, change).boxed()
        }));
        self
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it could be loaded.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ApplicationError> {
        if self.name.as_str().is_empty() {
            return Err(ApplicationError::EmptyName);
        }
        if self.needs.iter().any(|need| need.name == self.name) {
            return Err(ApplicationError::NeedsItself(self.name.clone()));
        }
        if self.start.is_none() && !self.phases.is_empty() {
            return Err(ApplicationError::PhasesWithoutStart(self.name.clone()));
        }
        Ok(())
    }
}

/// What is wrong with an application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// The name is the empty string.
    #[error("application name is empty; expected at least one character")]
    EmptyName,
    /// It would wait for itself.
    #[error("application {0:?} needs itself")]
    NeedsItself(Name),
    /// It has start phases and nothing to start before them.
    #[error("application {0:?} has start phases; expected a start function before them")]
    PhasesWithoutStart(Name),
}

/// What the callbacks of an application are given. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApplicationContext {
    name: Name,
    start_type: StartType,
    applications: Applications,
}

impl ApplicationContext {
    /// The application's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What its end means for the node.
    pub fn start_type(&self) -> StartType {
        self.start_type
    }

    /// All applications of the node.
    pub fn applications(&self) -> &Applications {
        &self.applications
    }

    /// A setting of this application.
    ///
    /// # Errors
    ///
    /// It has no value, or one of another type.
    pub fn get_env<T: Clone + 'static>(&self, key: impl AsRef<str>) -> Result<T, EnvError> {
        self.applications.env().get(&self.name, key)
    }
}

/// An application that runs, or is being started or stopped, as
/// [`which_applications`](Applications::which_applications) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplicationInfo {
    /// What it is called.
    pub name: Name,
    /// What it is, for people.
    pub description: Arc<str>,
    /// What its end means for the node.
    pub start_type: StartType,
    /// Whether it runs.
    pub status: ApplicationStatus,
}

/// Whether an application runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplicationStatus {
    /// It is being started.
    Starting,
    /// It runs, with this top supervisor; a library has none.
    Running(Option<Pid>),
    /// It is being stopped, or has ended and its last processes have not.
    Stopping,
}

impl Started {
    /// The top supervisor of an application.
    fn top(handle: &impl ProcessHandle) -> Result<Self, StartError> {
        let pid = handle.pid();
        pid.map(Self::new)
            .ok_or(StartError::Failed(ExitReason::NoProcess))
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases: Vec<_> = self.phases.iter().map(|(name, _)| name).collect();
        f.debug_struct("Application")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .field("phases", &phases)
            .finish_non_exhaustive()
    }
}
