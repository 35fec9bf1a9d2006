//! Generic servers: [`GenServer`], OTP's `gen_server`.

mod serve;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::behaviour::{Behaviour, BehaviourBuilder, Birth};
use crate::exit_reason::ExitReason;
use crate::node::Node;
use crate::pid::Pid;
use crate::process::context::Context;
use crate::process_ref::ProcessRef;
use crate::reply::Reply;

pub use crate::behaviour::{Info, InitError, StartError, StopServerError};

/// A typed reference to a server.
pub type ServerRef<S> = ProcessRef<<S as GenServer>::Message>;

/// How a server is to be started; made by [`GenServer::builder`].
pub type ServerBuilder<S> = BehaviourBuilder<Server<S>>;

/// [`GenServer`] as a [`Behaviour`].
#[derive(Debug)]
pub struct Server<S>(PhantomData<S>);

impl<S: GenServer> Behaviour for Server<S> {
    type Args = S::Args;
    type Message = S::Message;

    fn live(args: S::Args, birth: Birth<S::Message>) -> impl Future<Output = ExitReason> + Send {
        serve::serve::<S>(args, birth)
    }
}

/// A server: a process that keeps a state and handles one message at a time.
///
/// Messages are the user's own enum. A variant that carries a [`Reply`] is a
/// call, and its constructor is what the caller hands to
/// [`call`](ProcessRef::call); the others are casts. Each call has a reply type
/// of its own.
///
/// Every callback runs in the server's process. If the process is killed, the
/// future of the callback is dropped and [`terminate`](Self::terminate) does
/// not run (law GS-71).
///
/// # Differences from Erlang
///
/// `handle_call` and `handle_cast` are one function, since a request knows the
/// way back of its own; to reply is an act, not a return value. To stop is to
/// return `Err(reason)`, so that `?` on any error stops the server with it.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{ExitReason, GenServer, InitError, Node, Reply, ServerContext};
///
/// struct Counter(u64);
///
/// enum Msg {
///     Add(u64),
///     Get(Reply<u64>),
/// }
///
/// impl GenServer for Counter {
///     type Args = u64;
///     type Message = Msg;
///
///     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
///         Ok(Self(start))
///     }
///
///     async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
///         match msg {
///             Msg::Add(n) => self.0 += n,
///             Msg::Get(reply) => reply.send(self.0),
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let counter = Counter::builder(40).on(&node).start().await?;
///     counter.cast(Msg::Add(2));
///     assert_eq!(counter.call(Msg::Get).await?, 42);
///     Ok(())
/// })
/// # }
/// ```
pub trait GenServer: Sized + Send + 'static {
    /// What the server is started with.
    type Args: Send + 'static;
    /// What it can be sent.
    type Message: Send + 'static;

    /// Makes the state, in the new process. Whoever starts the server waits for
    /// it (law GS-01); messages that come meanwhile are handled after it
    /// (GS-10).
    fn init(
        args: Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<Self, InitError>> + Send;

    /// Handles a call or a cast. `Err(reason)` stops the server with that
    /// reason, after [`terminate`](Self::terminate).
    fn handle(
        &mut self,
        message: Self::Message,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send;

    /// Handles what [`continue_with`](ServerContext::continue_with) set, before
    /// any message (law GS-50). As [`handle`](Self::handle), if it is not
    /// written.
    fn handle_continue(
        &mut self,
        message: Self::Message,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        self.handle(message, ctx)
    }

    /// Handles what is no message of the server's own. If it is not written,
    /// that is logged and dropped (law GS-36).
    fn handle_info(
        &mut self,
        info: Info,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let server = ctx.pid();
        async move {
            tracing::warn!(target: "resurgam::gen_server", %server, ?info, "unexpected info");
            Ok(())
        }
    }

    /// Cleans up before the server ends by an error, a panic, a stop, or the
    /// exit of its parent if it traps exits (laws GS-70 to GS-72). Not when an
    /// exit signal ends it (GS-71).
    fn terminate(
        &mut self,
        reason: &ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
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
    fn start(args: Self::Args) -> impl Future<Output = Result<ServerRef<Self>, StartError>> + Send {
        Self::builder(args).start()
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
    fn start_link(
        args: Self::Args,
    ) -> impl Future<Output = Result<ServerRef<Self>, StartError>> + Send {
        Self::builder(args).start_link()
    }

    /// A server to be configured, then started.
    fn builder(args: Self::Args) -> ServerBuilder<Self> {
        ServerBuilder::new(args)
    }
}

/// What a server's callbacks are given: who they are, and what happens next.
pub struct ServerContext<S: GenServer> {
    context: Context<S::Message>,
    /// [`Pid::NODE`] if no process is.
    parent: Pid,
    ordered: Option<Box<Ordered<S::Message>>>,
}

/// What callbacks ordered to happen next. Most servers never do.
struct Ordered<M> {
    next: Option<M>,
    timeout: Option<Duration>,
    last_reply: Option<LastReply>,
}

/// A reply that goes out after `terminate`.
type LastReply = Box<dyn FnOnce() + Send>;

impl<S: GenServer> ServerContext<S> {
    fn new(context: Context<S::Message>, parent: Option<Pid>) -> Self {
        Self {
            context,
            parent: parent.unwrap_or(Pid::NODE),
            ordered: None,
        }
    }

    fn ordered(&mut self) -> &mut Ordered<S::Message> {
        self.ordered.get_or_insert_with(|| {
            Box::new(Ordered {
                next: None,
                timeout: None,
                last_reply: None,
            })
        })
    }

    fn take_next(&mut self) -> Option<S::Message> {
        self.ordered.as_mut()?.next.take()
    }

    fn take_timeout(&mut self) -> Option<Duration> {
        self.ordered.as_mut()?.timeout.take()
    }

    fn take_last_reply(&mut self) -> Option<LastReply> {
        self.ordered.as_mut()?.last_reply.take()
    }

    /// This server's pid.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// The node it runs on.
    pub fn node(&self) -> Node {
        self.context.node()
    }

    /// A reference to this server, to be given to others.
    pub fn self_ref(&self) -> ServerRef<S> {
        self.context.self_ref()
    }

    /// The process that started it by `start_link`.
    pub fn parent(&self) -> Option<Pid> {
        (self.parent != Pid::NODE).then_some(self.parent)
    }

    /// Has `message` handled by [`handle_continue`](GenServer::handle_continue)
    /// right after this callback, before anything that is in the mailbox (law
    /// GS-50).
    pub fn continue_with(&mut self, message: S::Message) {
        self.ordered().next = Some(message);
    }

    /// Has [`Info::Timeout`] delivered if no message comes for this long after
    /// this callback. Any message cancels it; with a zero time, one that is
    /// there already does (laws GS-52, GS-53).
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.ordered().timeout = Some(timeout);
    }

    /// Stops the server and replies, in this order: `terminate` runs, the reply
    /// goes out, the process ends (law GS-30). The result is to be returned
    /// from the callback.
    ///
    /// # Errors
    ///
    /// Always; the error is `reason`, so that the callback can end with it.
    pub fn stop_with_reply<T: Send + 'static>(
        &mut self,
        reason: ExitReason,
        reply: Reply<T>,
        value: T,
    ) -> Result<(), ExitReason> {
        self.ordered().last_reply = Some(Box::new(move || reply.send(value)));
        Err(reason)
    }
}

impl<S: GenServer> fmt::Debug for ServerContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerContext")
            .field("pid", &self.pid())
            .field("parent", &self.parent())
            .finish_non_exhaustive()
    }
}
