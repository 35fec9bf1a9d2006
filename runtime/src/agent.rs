//! Agents: [`Agent`], Elixir's `Agent`. A process that keeps a state.

use std::any::Any;
use std::fmt;

use crate::exit_reason::ExitReason;
use crate::gen_server::{
    GenServer, InitError, ServerBuilder, ServerContext, ServerRef, StartError, StopServerError,
};
use crate::name::Name;
use crate::node::Node;
use crate::pid::Pid;
use crate::reply::{Call, Reply};

/// A process that keeps a state and runs functions on it, one at a time; this
/// is a reference to it, cheap to clone.
///
/// The functions run inside the agent (law AGT-01): a long one holds up the
/// others, and one that panics ends the agent, with its state; the caller is
/// told that reason by [`CallError::Down`](crate::CallError::Down) (law
/// AGT-02). A call waits 5 seconds, unless its
/// [`timeout`](crate::Call::timeout) is set.
///
/// An agent is a [`GenServer`], so it can be named and supervised as one: see
/// [`builder`](Self::builder).
///
/// # Differences from Elixir
///
/// A call that fails is an error, not an exit. The functions do not wait: a
/// state that needs that is a `GenServer` of its own.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let basket = Agent::builder(Vec::new).on(&node).start().await?;
///     let basket = Agent::from(basket);
///     basket.update(|fruits| fruits.push("apple")).await?;
///     basket.cast(|fruits| fruits.push("pear"));
///     assert_eq!(basket.get(|fruits| fruits.len()).await?, 2);
///     assert_eq!(basket.get_and_update(Vec::pop).await?, Some("pear"));
///     Ok(())
/// })
/// # }
/// ```
pub struct Agent<S: Send + 'static>(ServerRef<AgentServer<S>>);

/// The server that an [`Agent`] refers to.
#[derive(Debug)]
pub struct AgentServer<S> {
    state: S,
}

/// A function for an agent to run on its state: the message of its server.
pub struct AgentFn<S>(Box<dyn FnOnce(&mut S) + Send>);

impl<S: Send + 'static> GenServer for AgentServer<S> {
    type Args = Box<dyn FnOnce() -> S + Send>;
    type Message = AgentFn<S>;

    async fn init(
        state: Box<dyn FnOnce() -> S + Send>,
        _: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        Ok(Self { state: state() })
    }

    async fn handle(
        &mut self,
        AgentFn(run): AgentFn<S>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        run(&mut self.state);
        Ok(())
    }

    fn as_state(&mut self) -> &mut dyn Any {
        &mut self.state
    }
}

impl<S: Send + 'static> Agent<S> {
    /// Starts an agent whose first state `state` makes, in the agent; linked to
    /// nobody.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the agent is up, the agent is killed.
    pub async fn start(state: impl FnOnce() -> S + Send + 'static) -> Result<Self, StartError> {
        Self::builder(state).start().await.map(Self)
    }

    /// As [`start`](Self::start), linked to the process that runs.
    ///
    /// # Errors
    ///
    /// See [`StartError`] and [`GenServer::start_link`].
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_link(
        state: impl FnOnce() -> S + Send + 'static,
    ) -> Result<Self, StartError> {
        Self::builder(state).start_link().await.map(Self)
    }

    /// The server of an agent to be configured: given a name, or to the
    /// `ChildSpec::server_with` of a supervisor. What it starts is an agent by
    /// [`From`].
    pub fn builder(state: impl FnOnce() -> S + Send + 'static) -> ServerBuilder<AgentServer<S>> {
        AgentServer::builder(Box::new(state))
    }

    /// The agent that has this name on the current node, looked up at each call.
    pub fn named(name: impl Into<Name>) -> Self {
        Self(ServerRef::<AgentServer<S>>::named(name))
    }

    /// The agent that has this name on this node, looked up at each call.
    pub fn named_on(node: &Node, name: impl Into<Name>) -> Self {
        Self(node.named(name))
    }

    pub(crate) fn server(&self) -> &ServerRef<AgentServer<S>> {
        &self.0
    }

    /// The agent's pid; `None` for a name that nobody has.
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Looks at the state: what `look` makes of it.
    pub fn get<R, F>(
        &self,
        look: F,
    ) -> Call<'_, AgentFn<S>, R, impl FnOnce(Reply<R>) -> AgentFn<S> + use<S, R, F>>
    where
        R: Send + 'static,
        F: FnOnce(&S) -> R + Send + 'static,
    {
        self.get_and_update(move |state: &mut S| look(state))
    }

    /// Changes the state; the answer is that it is done.
    pub fn update<F>(
        &self,
        change: F,
    ) -> Call<'_, AgentFn<S>, (), impl FnOnce(Reply<()>) -> AgentFn<S> + use<S, F>>
    where
        F: FnOnce(&mut S) + Send + 'static,
    {
        self.get_and_update(change)
    }

    /// Changes the state: what `change` returns.
    pub fn get_and_update<R, F>(
        &self,
        change: F,
    ) -> Call<'_, AgentFn<S>, R, impl FnOnce(Reply<R>) -> AgentFn<S> + use<S, R, F>>
    where
        R: Send + 'static,
        F: FnOnce(&mut S) -> R + Send + 'static,
    {
        self.0
            .call(move |reply| AgentFn(Box::new(move |state| reply.send(change(state)))))
    }

    /// Has the state changed some time, and does not care whether it is (law
    /// AGT-03).
    pub fn cast(&self, change: impl FnOnce(&mut S) + Send + 'static) {
        self.0.cast(AgentFn(Box::new(change)));
    }

    /// Stops the agent with this reason, after what it was asked before. See
    /// [`ProcessRef::stop`](crate::ProcessRef::stop).
    ///
    /// # Errors
    ///
    /// See [`StopServerError`].
    ///
    /// # Cancel safety
    ///
    /// The order stands, if the future was polled once.
    pub async fn stop(&self, reason: ExitReason) -> Result<(), StopServerError> {
        self.0.stop(reason).await
    }
}

impl<S: Send + 'static> From<ServerRef<AgentServer<S>>> for Agent<S> {
    fn from(server: ServerRef<AgentServer<S>>) -> Self {
        Self(server)
    }
}

impl<S: Send + 'static> Clone for Agent<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Send + 'static> fmt::Debug for Agent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.0).finish()
    }
}

impl<S> fmt::Debug for AgentFn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentFn")
    }
}
