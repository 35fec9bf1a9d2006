//! How a child is started: the function in its spec, and what it brings.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use resurgam_runtime::{ExitReason, Pid, ProcessRef, StartError};

/// What a start brings: a process, perhaps with a word for whoever asked for
/// it, or nothing, if the start function said `ignore`.
///
/// # Examples
///
/// ```
/// use resurgam_supervisor::Started;
///
/// let nothing = Started::ignore();
/// assert_eq!(nothing.pid(), None);
/// assert_eq!(nothing.with_info("not today").info::<&str>(), Some(&"not today"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Started {
    pid: Option<Pid>,
    info: Option<Arc<dyn Any + Send + Sync>>,
}

impl Started {
    /// A child with this pid.
    pub fn new(pid: Pid) -> Self {
        Self {
            pid: Some(pid),
            info: None,
        }
    }

    /// The child that `process` refers to.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] with [`ExitReason::NoProcess`] if it is a name
    /// that nobody has.
    pub fn process<M: Send + 'static>(process: &ProcessRef<M>) -> Result<Self, StartError> {
        let pid = process
            .pid()
            .ok_or(StartError::Failed(ExitReason::NoProcess))?;
        Ok(Self::new(pid))
    }

    /// No child this time: the spec is kept (a temporary one is not), and
    /// nothing runs for it.
    pub fn ignore() -> Self {
        Self::default()
    }

    /// Adds a word for whoever called `start_child` or `restart_child`. The
    /// supervisor itself does not look at it.
    #[must_use]
    pub fn with_info<T: Any + Send + Sync>(mut self, info: T) -> Self {
        self.info = Some(Arc::new(info));
        self
    }

    /// The child's pid; `None` if the start function said `ignore`.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// The word the start function added, if there is one of this type.
    pub fn info<T: Any>(&self) -> Option<&T> {
        self.info.as_ref()?.downcast_ref()
    }
}

/// A start function panicked. It is the term of the exit reason with which
/// the start is said to have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPanicked {
    message: String,
}

impl StartPanicked {
    /// What the panic said.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn new(payload: &(dyn Any + Send)) -> Self {
        let message = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(message), _) => (*message).to_owned(),
            (None, Some(message)) => message.clone(),
            (None, None) => "panic without a message".to_owned(),
        };
        Self { message }
    }
}

impl fmt::Display for StartPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start function panicked: {}", self.message)
    }
}

type StartResult = Result<Started, StartError>;

/// A start function, which can be run again and again.
#[derive(Clone)]
pub(crate) enum StartFunction {
    /// One that does not wait.
    AtOnce(Arc<dyn Fn() -> StartResult + Send + Sync>),
    Waiting(Arc<dyn Fn() -> BoxFuture<'static, StartResult> + Send + Sync>),
}

impl StartFunction {
    pub(crate) fn at_once(start: impl Fn() -> StartResult + Send + Sync + 'static) -> Self {
        Self::AtOnce(Arc::new(start))
    }

    pub(crate) fn waiting<F, Fut>(start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = StartResult> + Send + 'static,
    {
        Self::Waiting(Arc::new(move || start().boxed()))
    }

    /// Runs the function inside the supervisor. A panic in it is an error of
    /// the start, not the end of the supervisor.
    pub(crate) async fn run(&self) -> StartResult {
        // What a panic may have left half done is dropped with it, so nobody
        // sees that.
        let result = match self {
            Self::AtOnce(start) => catch_unwind(AssertUnwindSafe(|| start()))
                .map_err(|payload| StartPanicked::new(payload.as_ref())),
            Self::Waiting(start) => caught(|| start()).await,
        };
        match result {
            Ok(Err(StartError::Ignore)) => Ok(Started::ignore()),
            Ok(result) => result,
            Err(panicked) => Err(StartError::Failed(ExitReason::custom(panicked))),
        }
    }
}

/// Runs a callback of the user's, and stops a panic of it.
pub(crate) async fn caught<T>(
    callback: impl FnOnce() -> BoxFuture<'static, T>,
) -> Result<T, StartPanicked> {
    let result = match catch_unwind(AssertUnwindSafe(callback)) {
        Ok(running) => AssertUnwindSafe(running).catch_unwind().await,
        Err(payload) => Err(payload),
    };
    result.map_err(|payload| StartPanicked::new(payload.as_ref()))
}
