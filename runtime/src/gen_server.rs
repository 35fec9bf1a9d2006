//! Generic servers: [`GenServer`], OTP's `gen_server`.

mod serve;

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, BehaviourBuilder, Birth};
use crate::caught::guarded;
use crate::exit_reason::ExitReason;
use crate::node::{Node, later};
use crate::pid::{MonitorRef, Pid};
use crate::process::context::{Context, aliases_of};
use crate::process_ref::ProcessRef;
use crate::reply::Reply;
use crate::sys::desk::Desk;

pub use crate::behaviour::{Info, InitError, StartError, StopServerError, TimeoutTime};

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

    /// Whether a message is not worth handling any more: it is dropped then, and
    /// the server goes on with the next. A call that nobody waits for is the
    /// case it is made for; [`Reply::is_closed`] tells (law XGS-01).
    ///
    /// It is asked for each message. A panic of it is one of the callback.
    ///
    /// # Differences from Erlang
    ///
    /// There, the request of a caller that has given up is handled all the same
    /// (law GS-25), as it is here if this is not written.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{ExitReason, GenServer, InitError, Reply, ServerContext};
    ///
    /// struct Report(Reply<String>);
    /// struct Reporter;
    ///
    /// impl GenServer for Reporter {
    ///     type Args = ();
    ///     type Message = Report;
    ///
    ///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
    ///         Ok(Self)
    ///     }
    ///
    ///     fn is_stale(&self, Report(reply): &Report) -> bool {
    ///         reply.is_closed()
    ///     }
    ///
    ///     async fn handle(&mut self, msg: Report, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
    ///         msg.0.send("a report that took long".to_owned());
    ///         Ok(())
    ///     }
    /// }
    /// ```
    fn is_stale(&self, message: &Self::Message) -> bool {
        let _ = message;
        false
    }

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
            guarded(
                || tracing::warn!(target: "resurgam::gen_server", %server, ?info, "unexpected info"),
            );
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

    /// What is shown of the state in [`sys::get_status`](crate::sys::get_status)
    /// and in the crash report; nothing, if it is not written. What must not be
    /// seen is left out here (laws SYS-08, LOG-07).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fmt::Debug;
    ///
    /// # use resurgam_runtime::{ExitReason, GenServer, InitError, ServerContext};
    /// struct Session {
    ///     user: String,
    ///     password: String,
    /// }
    ///
    /// impl GenServer for Session {
    ///     # type Args = ();
    ///     # type Message = ();
    ///     # async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
    ///     #     Err(InitError::Ignore)
    ///     # }
    ///     # async fn handle(&mut self, _: (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
    ///     #     Ok(())
    ///     # }
    ///     // …
    ///     fn format_status(&self) -> impl Debug {
    ///         ("user", &self.user)
    ///     }
    /// }
    /// ```
    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| f.write_str("not shown"))
    }

    /// What is shown of a message in the log, the trace and the crash report;
    /// its type, if it is not written. It is asked only while somebody
    /// [looks](crate::sys).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fmt::Debug;
    ///
    /// # use resurgam_runtime::{ExitReason, GenServer, InitError, ServerContext};
    /// #[derive(Debug)]
    /// enum Msg {
    ///     Add(u64),
    /// }
    ///
    /// # struct Counter(u64);
    /// impl GenServer for Counter {
    ///     # type Args = ();
    ///     # type Message = Msg;
    ///     # async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
    ///     #     Ok(Self(0))
    ///     # }
    ///     # async fn handle(&mut self, _: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
    ///     #     Ok(())
    ///     # }
    ///     // …
    ///     fn format_message(message: &Msg) -> impl Debug {
    ///         message
    ///     }
    /// }
    /// ```
    fn format_message(message: &Self::Message) -> impl fmt::Debug {
        let _ = message;
        fmt::from_fn(|f| f.write_str(type_name::<Self::Message>()))
    }

    /// What `sys` shows as the state.
    #[doc(hidden)]
    fn as_state(&mut self) -> &mut dyn Any {
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

    /// Starts the server, monitored by the process that runs. See
    /// [`BehaviourBuilder::start_monitor`].
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    fn start_monitor(
        args: Self::Args,
    ) -> impl Future<Output = Result<(ServerRef<Self>, MonitorRef), StartError>> + Send {
        Self::builder(args).start_monitor()
    }

    /// Turns the process that runs into this server, whose state is made
    /// already; what the process returns with (law GS-80). Its parent is the
    /// process that spawned it. What was in the mailbox is handled as if it had
    /// come later.
    ///
    /// # Panics
    ///
    /// If the context is of another process.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server is gone, and
    /// [`terminate`](Self::terminate) does not run.
    ///
    /// # Differences from Erlang
    ///
    /// A name belongs to the process, so none is given, and none can be wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{
    ///     Context, ExitReason, GenServer, InitError, Node, Reply, ServerContext,
    /// };
    ///
    /// struct Seven;
    ///
    /// impl GenServer for Seven {
    ///     type Args = ();
    ///     type Message = Reply<u8>;
    ///
    ///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
    ///         Ok(Self)
    ///     }
    ///
    ///     async fn handle(
    ///         &mut self,
    ///         reply: Reply<u8>,
    ///         _: &mut ServerContext<Self>,
    ///     ) -> Result<(), ExitReason> {
    ///         reply.send(7);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let server = node.spawn(|ctx: Context<Reply<u8>>| async {
    ///     // Whatever it takes to begin.
    ///     Seven.enter_loop(ctx).await
    /// })?;
    /// assert_eq!(node.block_on(server.call(|reply| reply)), Ok(7));
    /// # Ok(())
    /// # }
    /// ```
    fn enter_loop(
        self,
        context: Context<Self::Message>,
    ) -> impl Future<Output = ExitReason> + Send {
        serve::enter_loop(self, context)
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

aliases_of!([S: GenServer] ServerContext<S>, S::Message);

/// What callbacks ordered to happen next. Most servers never do.
struct Ordered<M> {
    next: Option<M>,
    wait: Option<Wait<M>>,
    last_reply: Option<LastReply>,
    /// What `sys` has put there.
    desk: Option<Box<Desk>>,
}

/// A time that the server waits for if nothing comes before.
struct Wait<M> {
    due: Due,
    /// What is handled then; [`Info::Timeout`] if it is nothing.
    message: Option<M>,
}

/// When a wait is over.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Due {
    /// So long after the callback that ordered it.
    After(Duration),
    /// As [`After`](Self::After), which began meanwhile.
    Since(Instant),
    At(Instant),
}

impl Due {
    /// The same, from now on.
    fn begun(self, node: &Node) -> Self {
        match self {
            Self::After(time) => Self::Since(node.deadline(time)),
            Self::Since(_) | Self::At(_) => self,
        }
    }

    /// So much later, unless it is a time of the clock.
    fn shifted(self, time: Duration) -> Self {
        match self {
            Self::Since(at) => Self::Since(later(at, time)),
            Self::After(_) | Self::At(_) => self,
        }
    }
}

/// A reply that goes out after `terminate`.
type LastReply = Box<dyn FnOnce() + Send>;

impl<S: GenServer> ServerContext<S> {
    fn new(context: Context<S::Message>, parent: Option<Pid>, desk: Option<Box<Desk>>) -> Self {
        let mut ctx = Self {
            context,
            parent: parent.unwrap_or(Pid::NODE),
            ordered: None,
        };
        if desk.is_some() {
            ctx.ordered().desk = desk;
        }
        ctx
    }

    fn ordered(&mut self) -> &mut Ordered<S::Message> {
        self.ordered.get_or_insert_with(|| {
            Box::new(Ordered {
                next: None,
                wait: None,
                last_reply: None,
                desk: None,
            })
        })
    }

    fn take_next(&mut self) -> Option<S::Message> {
        self.ordered.as_mut()?.next.take()
    }

    fn take_wait(&mut self) -> Option<Wait<S::Message>> {
        self.ordered.as_mut()?.wait.take()
    }

    fn desk(&self) -> Option<&Desk> {
        self.ordered.as_ref()?.desk.as_deref()
    }

    /// The desk, which is put there.
    fn desk_mut(&mut self) -> &mut Desk {
        self.ordered().desk.get_or_insert_default()
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
    ///
    /// # Differences from Erlang
    ///
    /// What [`sys`](crate::sys) asks does not start the time anew (law GS-54).
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.ordered().wait = Some(Wait {
            due: Due::After(timeout),
            message: None,
        });
    }

    /// Has `message` [handled](GenServer::handle) at this time, unless anything
    /// else comes first: `{timeout, Time, Message}`. What [`sys`](crate::sys)
    /// asks is not anything else (law GS-57). If the time is zero, it is
    /// handled before all that is in the mailbox (GS-55); if it is infinite,
    /// never (GS-56). It takes the place of what
    /// [`set_timeout`](Self::set_timeout) has ordered, and the other way round.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use resurgam_runtime::{GenServer, ServerContext};
    ///
    /// enum Msg {
    ///     Tidy,
    /// }
    ///
    /// /// Tidies up when there is nothing else to do for a minute.
    /// fn rest<S: GenServer<Message = Msg>>(ctx: &mut ServerContext<S>) {
    ///     ctx.timeout(Duration::from_secs(60), Msg::Tidy);
    /// }
    /// ```
    pub fn timeout(&mut self, time: impl Into<TimeoutTime>, message: S::Message) {
        let due = match time.into() {
            TimeoutTime::After(time) => Some(Due::After(time)),
            TimeoutTime::At(time) => Some(Due::At(time)),
            TimeoutTime::Infinity => None,
        };
        self.ordered().wait = due.map(|due| Wait {
            due,
            message: Some(message),
        });
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
