//! How a child is started: the function in its spec, and what it brings.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use resurgam_runtime::{
    Elapsed, ExitReason, Pid, ProcessRef, StartError, process_info, self_pid, timeout,
};

use crate::caught::{discard_payload, drop_caught};
use crate::child_spec::Shutdown;
use crate::shutdown::{Alarm, stop_child};

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

/// The word is the user's; if nobody waits for it, the supervisor lets it go.
impl Drop for Started {
    fn drop(&mut self) {
        drop_caught(self.info.take());
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

    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(message), _) => (*message).to_owned(),
            (None, Some(message)) => message.clone(),
            (None, None) => "panic without a message".to_owned(),
        };
        discard_payload(payload);
        Self { message }
    }
}

impl fmt::Display for StartPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start function panicked: {}", self.message)
    }
}

type StartResult = Result<Started, StartError>;

/// A start function, which can be run again and again but for one kind.
#[derive(Clone)]
pub(crate) enum StartFunction {
    /// One that does not wait.
    AtOnce(Arc<dyn Fn() -> StartResult + Send + Sync>),
    Waiting(Arc<dyn Fn() -> BoxFuture<'static, StartResult> + Send + Sync>),
    /// One that can be run once. Taken when it is.
    Once(Arc<Mutex<Option<Box<StartOnce>>>>),
    /// One that keeps to a time by itself, and leaves nothing behind if that is
    /// over.
    Limited(Arc<dyn Fn(Option<Duration>) -> BoxFuture<'static, StartResult> + Send + Sync>),
}

type StartOnce = dyn FnOnce() -> StartResult + Send;

/// A start function that can be run once was to be run again: by a clone of its
/// spec.
#[derive(Debug, thiserror::Error)]
#[error("start function was run before, and can be run only once")]
struct RunBefore;

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

    pub(crate) fn once(start: impl FnOnce() -> StartResult + Send + 'static) -> Self {
        Self::Once(Arc::new(Mutex::new(Some(Box::new(start)))))
    }

    /// Whether it can be run only once.
    pub(crate) fn is_for_once(&self) -> bool {
        matches!(self, Self::Once(_))
    }

    pub(crate) fn limited<F, Fut>(start: F) -> Self
    where
        F: Fn(Option<Duration>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = StartResult> + Send + 'static,
    {
        Self::Limited(Arc::new(move |limit| start(limit).boxed()))
    }

    /// Runs the function inside the supervisor, for no longer than the limit on
    /// the node's clock (law XSUP-52): what it has started by then is dead when
    /// this returns. A panic in it is an error of the start, not the end of the
    /// supervisor.
    pub(crate) async fn run(&self, limit: Option<Duration>) -> StartResult {
        // What a panic may have left half done is dropped with it, so nobody
        // sees that.
        let result = match (self, limit) {
            (Self::AtOnce(start), _) => {
                catch_unwind(AssertUnwindSafe(|| start())).map_err(StartPanicked::new)
            }
            (Self::Limited(start), limit) => caught(|| start(limit)).await,
            (Self::Waiting(start), None) => caught(|| start()).await,
            // Boxed, so that who has all the time does not carry it.
            (Self::Waiting(start), Some(limit)) => {
                Box::pin(within(limit, caught(|| start()))).await
            }
            (Self::Once(start), _) => {
                let start = start.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(start) = start else {
                    return Err(StartError::failed(RunBefore));
                };
                catch_unwind(AssertUnwindSafe(start)).map_err(StartPanicked::new)
            }
        };
        match result {
            Ok(Err(StartError::Ignore)) => Ok(Started::ignore()),
            Ok(result) => result,
            Err(panicked) => Err(StartError::Failed(ExitReason::custom(panicked))),
        }
    }
}

/// Waits for a start, but no longer than this.
async fn within<P>(
    limit: Duration,
    start: impl Future<Output = Result<StartResult, P>>,
) -> Result<StartResult, P> {
    let mut brood = Brood::default();
    let mut start = Box::pin(start);
    let turns = poll_fn(|cx| brood.watch(|| start.as_mut().poll(cx)));
    match timeout(limit, turns).await {
        Ok(result) => result,
        Err(Elapsed) => {
            drop_caught(start);
            brood.end().await;
            Ok(Err(StartError::TimedOut))
        }
    }
}

/// The processes that were linked to the supervisor while a start function ran,
/// turn by turn, so that those of others that run side by side do not count.
#[derive(Debug, Default)]
struct Brood(BTreeSet<Pid>);

impl Brood {
    /// Runs one turn of the start function.
    fn watch<T>(&mut self, turn: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let before = own_links();
        let polled = turn();
        if polled.is_pending() {
            self.0.extend(own_links().difference(&before));
        }
        polled
    }

    /// Kills those that the supervisor has spawned, and waits for their ends.
    async fn end(self) {
        for pid in self.0 {
            let parent = match process_info(pid).await {
                Ok(info) => info.map(|info| info.parent),
                // It is there, and did not answer in time.
                Err(_) => None,
            };
            let is_strangers = parent.is_some_and(|parent| parent != Some(self_pid()));
            if !is_strangers {
                stop_child(pid, Shutdown::BrutalKill, &mut Alarm::default()).await;
            }
        }
    }
}

/// Whom the running process is linked to.
fn own_links() -> BTreeSet<Pid> {
    // What a process asks of itself is answered at once.
    let myself = process_info(self_pid()).now_or_never();
    let myself = myself.and_then(Result::ok).flatten();
    let links = myself.map(|info| info.links);
    links.into_iter().flatten().collect()
}

/// Runs a callback of the user's, and stops a panic of it.
pub(crate) async fn caught<T>(
    callback: impl FnOnce() -> BoxFuture<'static, T>,
) -> Result<T, StartPanicked> {
    let result = match catch_unwind(AssertUnwindSafe(callback)) {
        Ok(running) => AssertUnwindSafe(running).catch_unwind().await,
        Err(payload) => Err(payload),
    };
    result.map_err(StartPanicked::new)
}
