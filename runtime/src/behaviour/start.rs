//! Starting a behaviour: [`BehaviourBuilder`], [`StartError`].

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::{Behaviour, Birth};
use crate::exit_reason::ExitReason;
use crate::keys::{RegisterKeyError, Registry};
use crate::mailbox::{Limit, Overflow};
use crate::name::Name;
use crate::node::Node;
use crate::pid::{MonitorRef, Pid};
use crate::process::owner::ProcessStage;
use crate::process::{current, demonitor_flush, flush_exit, try_self_pid, unlink};
use crate::process_ref::ProcessRef;
use crate::registry::RegisterError;
use crate::slot::Slot;
use crate::spawn::{SpawnError, SpawnOptions};
use crate::sys::desk::Desk;
use crate::timer::Elapsed;

/// Why a server was not started. Its process is gone by then, and its name
/// free (laws GS-07, PLIB-04).
///
/// In `init` itself, whose error is [`InitError`](crate::InitError), `?` takes
/// any error. In a start function it takes an [`ExitReason`], a
/// [`std::io::Error`], a [`SpawnError`] and the errors of other starts; for all
/// others there is [`failed`](Self::failed).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name is taken; `init` did not run (law GS-08).
    #[error("already started: {0}")]
    AlreadyStarted(Pid),
    /// `init` said that the server is not wanted.
    #[error("init said to ignore")]
    Ignore,
    /// `init` failed, or the process ended before it was up.
    #[error("init failed: {0}")]
    Failed(ExitReason),
    /// `init` took too long; the process was killed (law GS-09).
    #[error("init took too long")]
    TimedOut,
    /// There was no process to run `init` in.
    #[error(transparent)]
    Spawn(SpawnError),
}

impl From<SpawnError> for StartError {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Name(RegisterError::NameTaken { holder, .. }) => {
                Self::AlreadyStarted(holder)
            }
            error => Self::Spawn(error),
        }
    }
}

impl From<RegisterKeyError> for StartError {
    fn from(error: RegisterKeyError) -> Self {
        match error {
            RegisterKeyError::AlreadyRegistered(holder) => Self::AlreadyStarted(holder),
            error => Self::Failed(error.into()),
        }
    }
}

impl StartError {
    /// That `init`, or a start function, failed with this error or reason: for
    /// `map_err`, where the error is of a type that `?` does not know.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::StartError;
    ///
    /// fn port(text: &str) -> Result<u16, StartError> {
    ///     text.parse().map_err(StartError::failed)
    /// }
    /// assert_eq!(port("80"), Ok(80));
    /// let error = port("http").unwrap_err();
    /// assert_eq!(error.to_string(), "init failed: failed: invalid digit found in string");
    /// ```
    pub fn failed(reason: impl Into<ExitReason>) -> Self {
        Self::Failed(reason.into())
    }
}

/// So that `?` works where a start function has a reason of its own.
impl From<ExitReason> for StartError {
    fn from(reason: ExitReason) -> Self {
        Self::Failed(reason)
    }
}

/// So that `?` works where a start function opens a file or a socket.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::StartError;
///
/// fn read() -> Result<String, StartError> {
///     Ok(std::fs::read_to_string("/no such file")?)
/// }
/// assert!(matches!(read(), Err(StartError::Failed(_))));
/// ```
impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

/// How a server or a state machine is to be started; made by
/// [`GenServer::builder`](crate::GenServer::builder) and
/// [`GenStatem::builder`](crate::GenStatem::builder).
#[must_use = "a builder does nothing until `start`"]
pub struct BehaviourBuilder<B: Behaviour> {
    args: B::Args,
    name: Option<Name>,
    label: Option<String>,
    timeout: Option<Duration>,
    node: Option<Node>,
    log: Option<usize>,
    registration: Option<Registration>,
    limit: Option<Limit>,
}

/// Puts the new process under a key, in that process.
type Registration = Box<dyn FnOnce() -> Result<(), StartError> + Send>;

/// What ties a server to whoever starts it.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Bond {
    Linked,
    Monitored,
    Free,
}

impl<B: Behaviour> BehaviourBuilder<B> {
    pub(crate) fn new(args: B::Args) -> Self {
        Self {
            args,
            name: None,
            label: None,
            timeout: None,
            node: None,
            log: None,
            registration: None,
            limit: None,
        }
    }

    /// Registers the server under this name before `init` runs.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Registers the server under this key of a registry before `init` runs,
    /// with this value; if the key is taken, the start fails with
    /// [`StartError::AlreadyStarted`]. [`Registry::via`] is the way back.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Agent, Node, Registry, StartError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// node.block_on(async {
    ///     let stock = Registry::<&str>::unique();
    ///     stock.builder().on(&node).start().await?;
    ///     let pears = || Agent::builder(|| 3).via(&stock, "pears", ()).on(&node);
    ///     let first = pears().start().await?;
    ///     let pid = first.pid().ok_or("no pid")?;
    ///     let second = pears().start().await.unwrap_err();
    ///     assert_eq!(second, StartError::AlreadyStarted(pid));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn via<K, V>(mut self, registry: &Registry<K, V>, key: K, value: V) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let registry = registry.clone();
        let register = move || registry.register(key, value).map_err(StartError::from);
        self.registration = Some(Box::new(register));
        self
    }

    /// Labels the server, for reports and observers.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How long `init` may take on the node's clock; for ever if it is not
    /// said.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has the server keep its last events from the beginning, so many of them,
    /// for [`sys::get_log`](crate::sys::get_log) and its crash report, as
    /// [`sys::log`](crate::sys::log) does later.
    pub fn log(mut self, most: usize) -> Self {
        self.log = Some(most);
        self
    }

    /// Bounds the mailbox; see [`SpawnOptions::mailbox`].
    ///
    /// # Panics
    ///
    /// If the capacity is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Agent, Node, Overflow};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let start = Agent::builder(|| 3).mailbox(100, Overflow::Wait).on(&node).start();
    /// let pid = node.block_on(start)?.pid().ok_or("no pid")?;
    /// let info = node.block_on(node.process_info(pid))?.ok_or("it has ended")?;
    /// assert_eq!(info.mailbox.map(|bound| bound.capacity), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn mailbox(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.limit = Some(Limit::new(capacity, overflow));
        self
    }

    /// Starts the server on this node instead of the current one.
    pub fn on(mut self, node: &Node) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// Starts the server, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the server is up, the server is killed.
    pub async fn start(self) -> Result<ProcessRef<B::Message>, StartError> {
        let (server, _) = self.launch(Bond::Free).await?;
        Ok(server)
    }

    /// Starts the server, linked to the process that runs, which becomes its
    /// parent.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. A caller that traps exits finds no exit message of a
    /// server that did not start; one that does not is ended with it unless
    /// the reason is [`ExitReason::Normal`] (laws GS-03, PLIB-06).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_link(self) -> Result<ProcessRef<B::Message>, StartError> {
        let (server, _) = self.launch(Bond::Linked).await?;
        Ok(server)
    }

    /// Starts the server, monitored by the process that runs from before it
    /// runs itself (laws GS-11, PLIB-07).
    ///
    /// # Errors
    ///
    /// See [`StartError`]. No [`Down`](crate::Down) of a server that did not
    /// start is left in the mailbox. Only a process of the same node can
    /// monitor what it starts.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_monitor(self) -> Result<(ProcessRef<B::Message>, MonitorRef), StartError> {
        let (server, monitor) = self.launch(Bond::Monitored).await?;
        // Without a process to make one for there was no spawn.
        let monitor = monitor.ok_or(StartError::Spawn(SpawnError::NotInProcess))?;
        Ok((server, monitor))
    }

    async fn launch(self, bond: Bond) -> Result<Started<B::Message>, StartError> {
        let timeout = self.timeout;
        self.spawn(bond)?.wait(timeout).await
    }

    fn spawn(self, bond: Bond) -> Result<Starting<B::Message>, StartError> {
        let node = self.node.unwrap_or_else(Node::current);
        let starter = node.inner().sender();
        let mut options = SpawnOptions::new(node);
        if let Some(name) = self.name {
            options = options.name(name);
        }
        if let Some(label) = self.label {
            options = options.label(label);
        }
        if let Some(limit) = self.limit {
            options = options.limit(limit);
        }
        let parent = match bond {
            Bond::Linked => {
                options = options.link();
                try_self_pid()
            }
            Bond::Monitored => {
                options = options.monitor();
                None
            }
            Bond::Free => None,
        };
        let desk = self.log.map(|most| Box::new(Desk::with_log(most)));
        let word = Arc::new(Slot::new());
        let (args, ack) = (self.args, Ack::new(Arc::clone(&word), starter));
        let registration = self.registration;
        let spawned = options.spawn(move |context| {
            if let Some(register) = registration
                && let Err(error) = register()
            {
                ack.tell(Err(error));
            }
            let birth = Birth {
                context,
                parent,
                ack,
                desk,
            };
            B::live(args, birth)
        })?;
        Ok(Starting {
            server: spawned.process,
            bond,
            monitor: spawned.monitor,
            word: Some(word),
        })
    }
}

impl<B: Behaviour> fmt::Debug for BehaviourBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BehaviourBuilder")
            .field("name", &self.name)
            .field("label", &self.label)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What a server says of its start; `None` if it ended and said nothing.
type Word = Option<Result<(), StartError>>;

/// By what a server tells whoever starts it that it is up, or why not. Dropped
/// before that, it tells that the server ends.
pub(crate) struct Ack {
    /// Taken when it has told.
    word: Cell<Option<Arc<Slot<Word>>>>,
    starter: Pid,
}

impl Ack {
    fn new(word: Arc<Slot<Word>>, starter: Pid) -> Self {
        let word = Cell::new(Some(word));
        Self { word, starter }
    }

    /// Tells, from the server.
    pub(super) fn tell(&self, outcome: Result<(), StartError>) {
        self.say(Some(outcome));
    }

    /// Whether it has told.
    pub(super) fn has_told(&self) -> bool {
        let word = self.word.take();
        let has_told = word.is_none();
        self.word.set(word);
        has_told
    }

    fn say(&self, outcome: Word) {
        if let Some(word) = self.word.take() {
            // Without a process there was no spawn, and nobody waits.
            current::with(|server| {
                server.owner().stage = ProcessStage::Running;
                let header = server.header();
                header.node.settle(header.pid, self.starter, &word, outcome);
            });
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.say(None);
    }
}

/// A server that is up, and the monitor, if one was asked for.
type Started<M> = (ProcessRef<M>, Option<MonitorRef>);

/// A server that was spawned and is not up yet. Dropped, it takes the server
/// along: nothing half-done stays behind.
struct Starting<M: Send + 'static> {
    server: ProcessRef<M>,
    bond: Bond,
    /// There if the bond is one.
    monitor: Option<MonitorRef>,
    /// Taken when the outcome is clear.
    word: Option<Arc<Slot<Word>>>,
}

impl<M: Send + 'static> Starting<M> {
    async fn wait(mut self, timeout: Option<Duration>) -> Result<Started<M>, StartError> {
        let word = match timeout {
            None => self.word().await,
            // Seldom, and large.
            Some(limit) => Box::pin(self.word_within(limit)).await,
        };
        if let Some(Ok(())) = word {
            self.word = None;
            return Ok((self.server.clone(), self.monitor));
        }
        let reason = self.server.join().await;
        self.word = None;
        self.flush();
        match word {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Err(StartError::Failed(reason)),
        }
    }

    /// Takes what tells of the end out of the mailbox: the exit message of a
    /// caller that traps exits (law PLIB-06), or the down (PLIB-07).
    fn flush(&self) {
        if try_self_pid().is_none() {
            return;
        }
        if self.bond == Bond::Linked
            && let Some(pid) = self.server.pid()
        {
            flush_exit(pid);
        }
        if let Some(monitor) = self.monitor {
            demonitor_flush(monitor);
        }
    }

    async fn word(&self) -> Word {
        match &self.word {
            Some(word) => poll_fn(|cx| word.poll(cx)).await,
            None => None,
        }
    }

    /// The word of the server, which is killed if it comes too late.
    async fn word_within(&self, limit: Duration) -> Word {
        let node = Node::from_inner(Arc::clone(self.server.node()));
        match node.timeout(limit, self.word()).await {
            Ok(word) => word,
            Err(Elapsed) => {
                self.kill();
                Some(Err(StartError::TimedOut))
            }
        }
    }

    /// Law PLIB-05: unlinked, then killed.
    fn kill(&self) {
        let Some(pid) = self.server.pid() else { return };
        if self.bond == Bond::Linked && try_self_pid().is_some() {
            unlink(pid);
        }
        Node::from_inner(Arc::clone(self.server.node())).kill(pid);
    }
}

impl<M: Send + 'static> Drop for Starting<M> {
    fn drop(&mut self) {
        if self.word.is_some() {
            self.kill();
            if let Some(monitor) = self.monitor
                && try_self_pid().is_some()
            {
                demonitor_flush(monitor);
            }
        }
    }
}
