//! Starting a server: [`ServerBuilder`], [`StartError`].

use std::fmt;
use std::time::Duration;

use futures::future::{Either, select};

use super::serve::serve;
use super::{Ack, GenServer, ServerContext, ServerRef};
use crate::exit_reason::ExitReason;
use crate::name::Name;
use crate::node::Node;
use crate::pid::Pid;
use crate::process::{flush_exit, try_self_pid, unlink};
use crate::process_ref::ProcessRef;
use crate::registry::RegisterError;
use crate::spawn::SpawnError;
use crate::timer::Elapsed;

/// Why a server was not started. Its process is gone by then, and its name
/// free (laws GS-07, PLIB-04).
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

/// How a server is to be started; made by [`GenServer::builder`].
#[must_use = "a builder does nothing until `start`"]
pub struct ServerBuilder<S: GenServer> {
    args: S::Args,
    name: Option<Name>,
    label: Option<String>,
    timeout: Option<Duration>,
    node: Option<Node>,
}

/// Whether a server is linked to whoever starts it.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Bond {
    Linked,
    Free,
}

impl<S: GenServer> ServerBuilder<S> {
    pub(super) fn new(args: S::Args) -> Self {
        Self {
            args,
            name: None,
            label: None,
            timeout: None,
            node: None,
        }
    }

    /// Registers the server under this name before `init` runs.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
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

    /// Starts the server on this node instead of the current one.
    pub fn on(mut self, node: &Node) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// Starts the server. See [`GenServer::start`].
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the server is up, the server is killed.
    pub async fn start(self) -> Result<ServerRef<S>, StartError> {
        self.launch(Bond::Free).await
    }

    /// Starts the server linked to the current process. See
    /// [`GenServer::start_link`].
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_link(self) -> Result<ServerRef<S>, StartError> {
        self.launch(Bond::Linked).await
    }

    async fn launch(self, bond: Bond) -> Result<ServerRef<S>, StartError> {
        let node = self.node.unwrap_or_else(Node::current);
        let mut options = node.spawn_options();
        if let Some(name) = self.name {
            options = options.name(name);
        }
        if let Some(label) = self.label {
            options = options.label(label);
        }
        if bond == Bond::Linked {
            options = options.link();
        }
        let parent = if bond == Bond::Linked {
            try_self_pid()
        } else {
            None
        };
        let ack = Ack::new(node.inner().sender());
        let (args, told) = (self.args, ack.clone());
        let spawned = options
            .spawn(move |context| serve::<S>(ServerContext::new(context, parent), args, told))?;
        let birth = Birth {
            server: spawned.process,
            node,
            bond,
            ack: Some(ack),
        };
        birth.wait(self.timeout).await
    }
}

impl<S: GenServer> fmt::Debug for ServerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("name", &self.name)
            .field("label", &self.label)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A server that was spawned and is not up yet. Dropped, it takes the server
/// along: nothing half-done stays behind.
struct Birth<M: Send + 'static> {
    server: ProcessRef<M>,
    node: Node,
    bond: Bond,
    /// Taken when the outcome is clear.
    ack: Option<Ack>,
}

impl<M: Send + 'static> Birth<M> {
    async fn wait(mut self, timeout: Option<Duration>) -> Result<ProcessRef<M>, StartError> {
        let outcome = match timeout {
            None => Ok(self.outcome().await),
            Some(limit) => {
                let node = self.node.clone();
                node.timeout(limit, self.outcome()).await
            }
        };
        let error = match outcome {
            Ok(Ok(())) => {
                self.ack = None;
                return Ok(self.server.clone());
            }
            Ok(Err(error)) => error,
            Err(Elapsed) => {
                self.kill();
                StartError::TimedOut
            }
        };
        self.server.join().await;
        self.ack = None;
        if self.bond == Bond::Linked
            && let Some(pid) = self.server.pid()
        {
            // For a caller that traps exits (law PLIB-06).
            flush_exit(pid);
        }
        Err(error)
    }

    /// What the server says, or the reason it ended with before it said
    /// anything.
    async fn outcome(&self) -> Result<(), StartError> {
        let Some(ack) = self.ack.clone() else {
            return Ok(());
        };
        let told = std::future::poll_fn(|cx| ack.slot.poll(cx));
        match select(told, self.server.join()).await {
            Either::Left((told, _)) => told,
            Either::Right((reason, _)) => {
                ack.slot.close().unwrap_or(Err(StartError::Failed(reason)))
            }
        }
    }

    /// Law PLIB-05: unlinked, then killed.
    fn kill(&self) {
        let Some(pid) = self.server.pid() else { return };
        if self.bond == Bond::Linked && try_self_pid().is_some() {
            unlink(pid);
        }
        self.node.kill(pid);
    }
}

impl<M: Send + 'static> Drop for Birth<M> {
    fn drop(&mut self) {
        if self.ack.is_some() {
            self.kill();
        }
    }
}
