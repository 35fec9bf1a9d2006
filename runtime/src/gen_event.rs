//! Event managers: [`EventManager`], OTP's `gen_event`.

mod handler;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::caught::guarded;
use crate::exit_reason::ExitReason;
use crate::gen_server::{GenServer, ServerBuilder, ServerRef, StartError, StopServerError};
use crate::name::Name;
use crate::node::Node;
use crate::pid::Pid;
use crate::process_ref::ProcessRef;
use crate::reply::{CallError, Reply};
use crate::teller::Teller;
use server::{Owner, Request, Verdict};

pub use handler::{EventHandler, HandlerEnd, HandlerId, HandlerKey};
pub use server::{EventRequest, EventServer};

/// A process that gives each event to any number of handlers; this is a
/// reference to it, cheap to clone.
///
/// Handlers of any type can be added, swapped and deleted while it runs, and
/// each keeps a state of its own. One that fails is removed; the manager and
/// the others go on. What handlers do they do in the manager, one after the
/// other: a slow one holds up the others.
///
/// It is a [`GenServer`], so it can be named and supervised as one: see
/// [`builder`](Self::builder).
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{EventHandler, EventManager, ExitReason, HandlerEnd, Node, Reply};
///
/// struct Count(u32);
///
/// struct Get(Reply<u32>);
///
/// impl EventHandler for Count {
///     type Args = u32;
///     type Event = String;
///     type Request = Get;
///     type Output = u32;
///
///     async fn init(start: u32) -> Result<Self, ExitReason> {
///         Ok(Self(start))
///     }
///
///     async fn handle_event(&mut self, _: &String) -> Result<(), ExitReason> {
///         self.0 += 1;
///         Ok(())
///     }
///
///     async fn handle_call(&mut self, Get(reply): Get) -> Result<(), ExitReason> {
///         reply.send(self.0);
///         Ok(())
///     }
///
///     async fn terminate(self, _: HandlerEnd) -> u32 {
///         self.0
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let events = EventManager::from(EventManager::builder().on(&node).start().await?);
///     events.add_handler(Count::id(), 0).await?;
///     events.notify("the kettle boils".to_owned());
///     assert_eq!(events.call(Count::id(), Get).await?, 1);
///     assert_eq!(events.delete_handler(Count::id()).await?, 1);
///     Ok(())
/// })
/// # }
/// ```
pub struct EventManager<E: Send + Sync + 'static>(ServerRef<EventServer<E>>);

/// What the owner of a supervised handler is told when that ends.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerExit {
    /// Which handler it was.
    pub handler: HandlerKey,
    /// Why it ended.
    pub why: HandlerEnd,
}

/// Why a handler was not added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddHandlerError {
    /// Its `init` said so, or panicked.
    #[error("init of the handler failed: {0}")]
    Failed(ExitReason),
    /// The manager did not answer.
    #[error("event manager did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why a handler did not do what it was to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The manager has no such handler.
    #[error("no handler {0}")]
    NotFound(HandlerKey),
    /// It failed over it, and is gone.
    #[error("handler failed: {0}")]
    Failed(ExitReason),
    /// The manager did not answer, or the handler gave no reply.
    #[error("event manager did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

impl<E: Send + Sync + 'static> EventManager<E> {
    /// How long a [`call`](Self::call) waits.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Starts a manager without handlers, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the manager is up, that is killed.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await.map(Self)
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
    pub async fn start_link() -> Result<Self, StartError> {
        Self::builder().start_link().await.map(Self)
    }

    /// The server of a manager to be configured: given a name, or to the
    /// `ChildSpec::server_with` of a supervisor. What it starts is a manager by
    /// [`From`].
    pub fn builder() -> ServerBuilder<EventServer<E>> {
        EventServer::builder(())
    }

    /// The manager that has this name on the current node, looked up each time.
    pub fn named(name: impl Into<Name>) -> Self {
        Self(ServerRef::<EventServer<E>>::named(name))
    }

    /// The manager that has this name on this node, looked up each time.
    pub fn named_on(node: &Node, name: impl Into<Name>) -> Self {
        Self(node.named(name))
    }

    pub(crate) fn server(&self) -> &ServerRef<EventServer<E>> {
        &self.0
    }

    /// The manager's pid; `None` for a name that nobody has.
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Has all handlers given an event some time, and does not care whether
    /// there are any, or a manager (law EVT-05).
    pub fn notify(&self, event: E) {
        self.0.cast(EventRequest(Request::Notify(event)));
    }

    /// Gives all handlers an event, and waits until they have handled it. What
    /// they failed over is not told here.
    ///
    /// # Errors
    ///
    /// If the manager ends first, or is not there.
    ///
    /// # Cancel safety
    ///
    /// The event is handled all the same, if the future was polled once.
    pub async fn sync_notify(&self, event: E) -> Result<(), CallError> {
        let request = |reply| EventRequest(Request::SyncNotify(event, reply));
        self.0.call(request).no_timeout().await
    }

    /// Adds a handler: the first to be given each event, and, if there is
    /// another of that id, the one that is meant by it.
    ///
    /// # Errors
    ///
    /// If its `init` fails; it is not added then (law EVT-07).
    ///
    /// # Cancel safety
    ///
    /// The handler is added all the same, if the future was polled once.
    pub async fn add_handler<H: EventHandler<Event = E>>(
        &self,
        id: HandlerId<H>,
        args: H::Args,
    ) -> Result<(), AddHandlerError> {
        self.add(id, args, None).await
    }

    /// As [`add_handler`](Self::add_handler), for an owner, who is linked to
    /// the manager and told when the handler ends, by what `wrap` makes of that;
    /// if the owner ends, so does the handler (laws EVT-10, EVT-11).
    ///
    /// The link stays when the handler has gone.
    ///
    /// # Errors
    ///
    /// As [`add_handler`](Self::add_handler); nothing is linked then.
    ///
    /// # Cancel safety
    ///
    /// As [`add_handler`](Self::add_handler).
    pub async fn add_supervised_handler<H, M>(
        &self,
        id: HandlerId<H>,
        args: H::Args,
        owner: ProcessRef<M>,
        wrap: impl FnMut(HandlerExit) -> M + Send + 'static,
    ) -> Result<(), AddHandlerError>
    where
        H: EventHandler<Event = E>,
        M: Send + 'static,
    {
        self.add(id, args, Some(owned(owner, wrap)?)).await
    }

    async fn add<H: EventHandler<Event = E>>(
        &self,
        id: HandlerId<H>,
        args: H::Args,
        owner: Option<Owner>,
    ) -> Result<(), AddHandlerError> {
        self.ask(move |server, reply| {
            let adding = async move { reply.send(server.add(&id, || args, owner).await) };
            adding.boxed()
        })
        .await?
        .map_err(AddHandlerError::Failed)
    }

    /// Deletes a handler; what its `terminate` left (law EVT-08).
    ///
    /// # Errors
    ///
    /// If there is no such handler, or its `terminate` panicked, after which it
    /// is gone.
    ///
    /// # Cancel safety
    ///
    /// The handler is deleted all the same, if the future was polled once.
    pub async fn delete_handler<H: EventHandler<Event = E>>(
        &self,
        id: HandlerId<H>,
    ) -> Result<H::Output, HandlerError> {
        self.ask(move |server, reply| {
            let deleting = async move {
                let left = server.delete(&id).await;
                // Dropped here, if nobody waits for it any more.
                guarded(|| reply.send(left));
            };
            deleting.boxed()
        })
        .await?
    }

    /// Puts a handler in the place of another: the new one is started with what
    /// `args` makes of that which the old one left; of nothing, if that was not
    /// there or its `terminate` panicked (law EVT-09). No event comes between.
    /// The new one is supervised if the old one was, by the same owner.
    ///
    /// # Errors
    ///
    /// If `init` of the new one fails. The old one is gone all the same.
    ///
    /// # Cancel safety
    ///
    /// They are swapped all the same, if the future was polled once.
    pub async fn swap_handler<A, B>(
        &self,
        old: HandlerId<A>,
        new: HandlerId<B>,
        args: impl FnOnce(Option<A::Output>) -> B::Args + Send + 'static,
    ) -> Result<(), AddHandlerError>
    where
        A: EventHandler<Event = E>,
        B: EventHandler<Event = E>,
    {
        self.swap(old, new, args, None).await
    }

    /// As [`swap_handler`](Self::swap_handler), for an owner, as
    /// [`add_supervised_handler`](Self::add_supervised_handler).
    ///
    /// # Errors
    ///
    /// As [`swap_handler`](Self::swap_handler).
    ///
    /// # Cancel safety
    ///
    /// As [`swap_handler`](Self::swap_handler).
    pub async fn swap_supervised_handler<A, B, M>(
        &self,
        old: HandlerId<A>,
        new: HandlerId<B>,
        args: impl FnOnce(Option<A::Output>) -> B::Args + Send + 'static,
        owner: ProcessRef<M>,
        wrap: impl FnMut(HandlerExit) -> M + Send + 'static,
    ) -> Result<(), AddHandlerError>
    where
        A: EventHandler<Event = E>,
        B: EventHandler<Event = E>,
        M: Send + 'static,
    {
        let owner = owned(owner, wrap)?;
        self.swap(old, new, args, Some(owner)).await
    }

    async fn swap<A, B>(
        &self,
        old: HandlerId<A>,
        new: HandlerId<B>,
        args: impl FnOnce(Option<A::Output>) -> B::Args + Send + 'static,
        owner: Option<Owner>,
    ) -> Result<(), AddHandlerError>
    where
        A: EventHandler<Event = E>,
        B: EventHandler<Event = E>,
    {
        self.ask(move |server, reply| {
            let swapping = async move { reply.send(server.swap(&old, &new, args, owner).await) };
            swapping.boxed()
        })
        .await?
        .map_err(AddHandlerError::Failed)
    }

    /// Calls one handler, which replies by what `request` was given, and waits
    /// for 5 seconds.
    ///
    /// # Errors
    ///
    /// If there is no such handler, if it fails, which removes it (law EVT-06),
    /// or if there is no reply.
    ///
    /// # Cancel safety
    ///
    /// The handler may act on the request all the same, if the future was
    /// polled once.
    pub async fn call<H, T>(
        &self,
        id: HandlerId<H>,
        request: impl FnOnce(Reply<T>) -> H::Request,
    ) -> Result<T, HandlerError>
    where
        H: EventHandler<Event = E>,
        T: Send + 'static,
    {
        self.call_timeout(id, request, Self::TIMEOUT).await
    }

    /// As [`call`](Self::call), and waits for this long on the node's clock.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_timeout<H, T>(
        &self,
        id: HandlerId<H>,
        request: impl FnOnce(Reply<T>) -> H::Request,
        timeout: Duration,
    ) -> Result<T, HandlerError>
    where
        H: EventHandler<Event = E>,
        T: Send + 'static,
    {
        let verdict = Verdict::default();
        let theirs = Arc::clone(&verdict);
        let make = move |reply| {
            let request = request(reply);
            act(move |server| async move { server.call(&id, request, theirs).await }.boxed())
        };
        let called = self.0.call(make).timeout(timeout).await;
        called.map_err(|error| match (error, verdict.get()) {
            (CallError::NoReply, Some(why)) => why.clone(),
            (error, _) => HandlerError::NoAnswer(error),
        })
    }

    /// The handlers, the newest first (law EVT-03).
    ///
    /// # Errors
    ///
    /// If the manager ends first, or is not there.
    pub async fn which_handlers(&self) -> Result<Vec<HandlerKey>, CallError> {
        self.ask(|server, reply| {
            reply.send(server.keys());
            std::future::ready(()).boxed()
        })
        .await
    }

    /// Stops the manager with this reason, after what it was sent before. Each
    /// handler is terminated, and their owners are told (law EVT-12). See
    /// [`ProcessRef::stop`].
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

    /// Has the manager do something and reply.
    async fn ask<T: Send + 'static>(
        &self,
        what: impl for<'a> FnOnce(&'a mut EventServer<E>, Reply<T>) -> BoxFuture<'a, ()>
        + Send
        + 'static,
    ) -> Result<T, CallError> {
        let request = |reply| act(move |server| what(server, reply));
        self.0.call(request).no_timeout().await
    }
}

fn act<E>(
    what: impl for<'a> FnOnce(&'a mut EventServer<E>) -> BoxFuture<'a, ()> + Send + 'static,
) -> EventRequest<E> {
    EventRequest(Request::Act(Box::new(what)))
}

/// An owner, if there is such a process.
fn owned<M: Send + 'static>(
    owner: ProcessRef<M>,
    wrap: impl FnMut(HandlerExit) -> M + Send + 'static,
) -> Result<Owner, CallError> {
    let no_process = || CallError::Down(ExitReason::NoProcess);
    let pid = owner.pid().ok_or_else(no_process)?;
    let teller = Teller::new(owner, wrap);
    Ok(Owner { pid, teller })
}

impl<E: Send + Sync + 'static> From<ServerRef<EventServer<E>>> for EventManager<E> {
    fn from(server: ServerRef<EventServer<E>>) -> Self {
        Self(server)
    }
}

impl<E: Send + Sync + 'static> Clone for EventManager<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for EventManager<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventManager").field(&self.0).finish()
    }
}
