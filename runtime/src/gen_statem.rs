//! State machines: [`GenStatem`], OTP's `gen_statem`.

mod agenda;
mod live;

use std::any::type_name;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use crate::behaviour::{Behaviour, BehaviourBuilder, Birth, Info, InitError, StartError};
use crate::exit_reason::ExitReason;
use crate::node::Node;
use crate::pid::{MonitorRef, Pid};
use crate::process::context::{Context, aliases_of};
use crate::process_ref::ProcessRef;
use crate::sys::desk::Desk;
use agenda::{Due, Order};

pub use crate::behaviour::TimeoutTime;

/// A typed reference to a state machine.
pub type StatemRef<S> = ProcessRef<<S as GenStatem>::Message>;

/// How a state machine is to be started; made by [`GenStatem::builder`].
pub type StatemBuilder<S> = BehaviourBuilder<Statem<S>>;

/// [`GenStatem`] as a [`Behaviour`].
#[derive(Debug)]
pub struct Statem<S>(PhantomData<S>);

impl<S: GenStatem> Behaviour for Statem<S> {
    type Args = S::Args;
    type Message = S::Message;

    fn live(args: S::Args, birth: Birth<S::Message>) -> impl Future<Output = ExitReason> + Send {
        live::live::<S>(args, birth)
    }
}

/// A state machine: a process that is in a state, and handles one event at a
/// time according to it.
///
/// The implementing type holds the machine's data; the state is a value of its
/// own. Messages are the user's own enum, as for a
/// [`GenServer`](crate::GenServer): a variant that carries a
/// [`Reply`](crate::Reply) is a call. What the machine tells itself, at once or
/// after a time, is [`Internal`](Self::Internal).
///
/// One transition goes like this (law STM-04): the event is handled; if the
/// callback says so, the event is postponed; if the state changed, all postponed
/// events are to be handled next, oldest first, but after the events that the
/// callback inserted; [`enter`](Self::enter) is called; at last the timeouts are
/// set. When nothing is left of the machine's own, timeouts of no time are
/// handled, then what is in the mailbox.
///
/// If the process is killed, the future of the callback is dropped and
/// [`terminate`](Self::terminate) does not run.
///
/// # Differences from Erlang
///
/// There is one callback for all states; a function per state is an arm of its
/// `match`. To reply is an act, not an action, so a reply of a machine that
/// stops with `Err(reason)` goes out before `terminate` (law STM-22). Timeouts
/// are set through the context, where an enter call can set them too; events
/// are postponed and inserted by the [`Transition`], which an enter call has
/// not (law STM-10). A call waits for 5 seconds if nothing else is said, as
/// every call does here (STM-25).
///
/// # Examples
///
/// A door that opens for a code, and shuts after a while:
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use resurgam_runtime::{
///     Event, ExitReason, GenStatem, InitError, Node, Reply, StatemContext, Transition,
/// };
///
/// #[derive(PartialEq)]
/// enum State {
///     Locked,
///     Open,
/// }
///
/// enum Msg {
///     Code(u32),
///     IsOpen(Reply<bool>),
/// }
///
/// struct Door(u32);
///
/// impl GenStatem for Door {
///     type Args = u32;
///     type State = State;
///     type Message = Msg;
///     type Internal = ();
///     type Timeout = Infallible;
///
///     async fn init(
///         code: u32,
///         _: &mut StatemContext<Self>,
///     ) -> Result<(State, Self), InitError> {
///         Ok((State::Locked, Self(code)))
///     }
///
///     async fn handle_event(
///         &mut self,
///         event: Event<Self>,
///         state: &State,
///         ctx: &mut StatemContext<Self>,
///     ) -> Result<Transition<Self>, ExitReason> {
///         Ok(match (state, event) {
///             (State::Locked, Event::Message(Msg::Code(code))) if code == self.0 => {
///                 ctx.state_timeout(Duration::from_secs(10), ());
///                 Transition::next_state(State::Open)
///             }
///             (State::Open, Event::StateTimeout(())) => Transition::next_state(State::Locked),
///             (state, Event::Message(Msg::IsOpen(reply))) => {
///                 reply.send(*state == State::Open);
///                 Transition::keep_state()
///             }
///             _ => Transition::keep_state(),
///         })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let door = Door::builder(1234).on(&node).start().await?;
///     assert!(!door.call(Msg::IsOpen).await?);
///     door.cast(Msg::Code(1234));
///     assert!(door.call(Msg::IsOpen).await?);
///     Ok(())
/// })
/// # }
/// ```
pub trait GenStatem: Sized + Send + 'static {
    /// What the machine is started with.
    type Args: Send + 'static;
    /// What it can be in. A state that is equal to the one before is no change
    /// (law STM-03), though the new value is kept.
    type State: PartialEq + Send + Sync + 'static;
    /// What it can be sent.
    type Message: Send + 'static;
    /// What it tells itself, by events it inserts and timeouts it sets;
    /// [`Infallible`](std::convert::Infallible) if it never does.
    type Internal: Send + 'static;
    /// The names of its generic timeouts;
    /// [`Infallible`](std::convert::Infallible) if it has none.
    type Timeout: Clone + Eq + Hash + Send + 'static;

    /// Makes the first state and the data, in the new process. Whoever starts
    /// the machine waits for it; messages that come meanwhile are handled after
    /// it. The starter is told before [`enter`](Self::enter) is called and the
    /// timeouts are set that this has ordered (law STM-27).
    fn init(
        args: Self::Args,
        ctx: &mut StatemContext<Self>,
    ) -> impl Future<Output = Result<(Self::State, Self), InitError>> + Send;

    /// Handles an event in this state. `Err(reason)` stops the machine with
    /// that reason, after [`terminate`](Self::terminate).
    fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &Self::State,
        ctx: &mut StatemContext<Self>,
    ) -> impl Future<Output = Result<Transition<Self>, ExitReason>> + Send;

    /// The enter call: runs when the machine has started, with `old` equal to
    /// `state`, whenever the state has changed, and if it is repeated; before
    /// any event is handled in the state (law STM-09). It may set timeouts and
    /// reply, or stop the machine by `Err(reason)`.
    fn enter(
        &mut self,
        old: &Self::State,
        state: &Self::State,
        ctx: &mut StatemContext<Self>,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = (old, state, ctx);
        async { Ok(()) }
    }

    /// Cleans up before the machine ends by an error, a panic, a stop, or the
    /// exit of its parent if it traps exits (laws GS-70 to GS-72). Not when an
    /// exit signal ends it (GS-71).
    fn terminate(
        &mut self,
        reason: &ExitReason,
        state: &Self::State,
        ctx: &mut StatemContext<Self>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (reason, state, ctx);
        async {}
    }

    /// What is shown of the machine in [`sys::get_status`](crate::sys::get_status),
    /// in the crash report, and in its log when the state has changed; nothing,
    /// if it is not written. What must not be seen is left out here (laws
    /// SYS-08, LOG-07).
    fn format_status(&self, state: &Self::State) -> impl fmt::Debug {
        let _ = state;
        fmt::from_fn(|f| f.write_str("not shown"))
    }

    /// What is shown of an event in the log, the trace and the crash report; the
    /// type of its content, if it is not written. It is asked only while
    /// somebody [looks](crate::sys).
    fn format_event(event: &Event<Self>) -> impl fmt::Debug {
        fmt::from_fn(|f| match event {
            Event::Message(_) => f.write_str(type_name::<Self::Message>()),
            Event::Info(info) => fmt::Debug::fmt(info, f),
            Event::Internal(_)
            | Event::Timeout(_)
            | Event::StateTimeout(_)
            | Event::GenericTimeout(..) => f.write_str(type_name::<Self::Internal>()),
        })
    }

    /// Starts the machine, linked to nobody.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the machine is up, the machine is
    /// killed.
    fn start(args: Self::Args) -> impl Future<Output = Result<StatemRef<Self>, StartError>> + Send {
        Self::builder(args).start()
    }

    /// Starts the machine, linked to the process that runs, which becomes its
    /// parent.
    ///
    /// # Errors
    ///
    /// As of [`GenServer::start_link`](crate::GenServer::start_link).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    fn start_link(
        args: Self::Args,
    ) -> impl Future<Output = Result<StatemRef<Self>, StartError>> + Send {
        Self::builder(args).start_link()
    }

    /// Starts the machine, monitored by the process that runs. See
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
    ) -> impl Future<Output = Result<(StatemRef<Self>, MonitorRef), StartError>> + Send {
        Self::builder(args).start_monitor()
    }

    /// A machine to be configured, then started.
    fn builder(args: Self::Args) -> StatemBuilder<Self> {
        BehaviourBuilder::new(args)
    }
}

/// What a state machine handles (law STM-02).
pub enum Event<S: GenStatem> {
    /// A call or a cast.
    Message(S::Message),
    /// An exit signal or the end of a monitored process.
    Info(Info),
    /// Inserted by the machine itself.
    Internal(S::Internal),
    /// No event came for the time set by
    /// [`timeout`](StatemContext::timeout).
    Timeout(S::Internal),
    /// The state was not left for the time set by
    /// [`state_timeout`](StatemContext::state_timeout).
    StateTimeout(S::Internal),
    /// The time set by [`generic_timeout`](StatemContext::generic_timeout) is
    /// over.
    GenericTimeout(S::Timeout, S::Internal),
}

impl<S: GenStatem> fmt::Debug for Event<S>
where
    S::Message: fmt::Debug,
    S::Internal: fmt::Debug,
    S::Timeout: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.debug_tuple("Message").field(message).finish(),
            Self::Info(info) => f.debug_tuple("Info").field(info).finish(),
            Self::Internal(content) => f.debug_tuple("Internal").field(content).finish(),
            Self::Timeout(content) => f.debug_tuple("Timeout").field(content).finish(),
            Self::StateTimeout(content) => f.debug_tuple("StateTimeout").field(content).finish(),
            Self::GenericTimeout(name, content) => {
                let mut tuple = f.debug_tuple("GenericTimeout");
                tuple.field(name).field(content).finish()
            }
        }
    }
}

/// What becomes of a state machine after an event: its next state, and what is
/// done with events.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Event, GenStatem, Transition};
///
/// /// Nothing can be done before the state changes.
/// fn not_now<S: GenStatem>(event: Event<S>) -> Transition<S> {
///     Transition::keep_state().postpone(event)
/// }
///
/// /// Goes on at once with something of its own.
/// fn go_on<S: GenStatem>(state: S::State, with: S::Internal) -> Transition<S> {
///     Transition::next_state(state).next_event(Event::Internal(with))
/// }
/// ```
#[must_use = "a dropped transition is a lost event"]
pub struct Transition<S: GenStatem> {
    to: To<S::State>,
    postponed: Vec<Event<S>>,
    inserted: Vec<Event<S>>,
}

/// What becomes of the state.
enum To<T> {
    Keep,
    Repeat,
    Next(T),
}

impl<S: GenStatem> Transition<S> {
    /// The state stays.
    pub fn keep_state() -> Self {
        Self::to(To::Keep)
    }

    /// The state becomes this one. If it differs from the one before, that is a
    /// change: the state timeout is cancelled, [`enter`](GenStatem::enter) is
    /// called, and postponed events are retried.
    pub fn next_state(state: S::State) -> Self {
        Self::to(To::Next(state))
    }

    /// The state stays, and [`enter`](GenStatem::enter) is called again.
    /// Postponed events are not retried (law STM-08).
    pub fn repeat_state() -> Self {
        Self::to(To::Repeat)
    }

    fn to(to: To<S::State>) -> Self {
        Self {
            to,
            postponed: Vec::new(),
            inserted: Vec::new(),
        }
    }

    /// Hands back the event that was handled, to be handled again when the
    /// state has changed (law STM-06); a change by this very transition counts.
    ///
    /// Without a change of state, postponed events pile up (STM-36). A call
    /// among them is told the reason if the machine ends.
    pub fn postpone(mut self, event: Event<S>) -> Self {
        self.postponed.push(event);
        self
    }

    /// Inserts an event, to be handled before those that were postponed and
    /// all that is in the mailbox, and in the order of the calls (law STM-05).
    pub fn next_event(mut self, event: Event<S>) -> Self {
        self.inserted.push(event);
        self
    }
}

impl<S: GenStatem> fmt::Debug for Transition<S>
where
    S::State: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.to {
            To::Keep => "keep_state",
            To::Repeat => "repeat_state",
            To::Next(_) => "next_state",
        };
        let mut debug = f.debug_struct(name);
        if let To::Next(state) = &self.to {
            debug.field("state", state);
        }
        debug
            .field("postponed", &self.postponed.len())
            .field("inserted", &self.inserted.len())
            .finish()
    }
}

/// One of the timeouts of a state machine.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum TimeoutType<N> {
    /// Cancelled by any event.
    Event,
    /// Cancelled by a change of state.
    State,
    /// Cancelled only if that is asked for.
    Generic(N),
}

/// What a state machine's callbacks are given: who they are, and their
/// timeouts.
///
/// What a callback orders for timeouts is done when the transition is over, in
/// that order; of several orders for one timeout, the last counts (laws STM-16,
/// STM-17). What `terminate` orders is not done.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use resurgam_runtime::{GenStatem, StatemContext, TimeoutType};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// enum Timer {
///     Session,
/// }
///
/// /// Whoever was heard has another minute.
/// fn heard<S: GenStatem<Timeout = Timer, Internal = ()>>(ctx: &mut StatemContext<S>) {
///     ctx.generic_timeout(Timer::Session, Duration::from_secs(60), ());
/// }
///
/// fn leave<S: GenStatem<Timeout = Timer>>(ctx: &mut StatemContext<S>) {
///     ctx.cancel_timeout(TimeoutType::Generic(Timer::Session));
/// }
/// ```
pub struct StatemContext<S: GenStatem> {
    context: Context<S::Message>,
    /// [`Pid::NODE`] if no process is.
    parent: Pid,
    ordered: Vec<Ordered<S>>,
    /// What `sys` has put there.
    desk: Option<Box<Desk>>,
}

aliases_of!([S: GenStatem] StatemContext<S>, S::Message);

/// An order for a timeout.
type Ordered<S> = (
    TimeoutType<<S as GenStatem>::Timeout>,
    Order<<S as GenStatem>::Internal>,
);

impl<S: GenStatem> StatemContext<S> {
    fn new(context: Context<S::Message>, parent: Option<Pid>, desk: Option<Box<Desk>>) -> Self {
        Self {
            context,
            parent: parent.unwrap_or(Pid::NODE),
            ordered: Vec::new(),
            desk,
        }
    }

    /// This machine's pid.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// The node it runs on.
    pub fn node(&self) -> Node {
        self.context.node()
    }

    /// A reference to this machine, to be given to others.
    pub fn self_ref(&self) -> StatemRef<S> {
        self.context.self_ref()
    }

    /// The process that started it by `start_link`.
    pub fn parent(&self) -> Option<Pid> {
        (self.parent != Pid::NODE).then_some(self.parent)
    }

    /// Has [`Event::Timeout`] handled if no event is handled for this long
    /// (law STM-12).
    pub fn timeout(&mut self, time: impl Into<TimeoutTime>, content: S::Internal) {
        self.start_timeout(TimeoutType::Event, time, content);
    }

    /// Has [`Event::StateTimeout`] handled if the state does not change for
    /// this long; if this very transition changes it, the time of the new
    /// state is meant (law STM-13).
    pub fn state_timeout(&mut self, time: impl Into<TimeoutTime>, content: S::Internal) {
        self.start_timeout(TimeoutType::State, time, content);
    }

    /// Has [`Event::GenericTimeout`] handled after this time, whatever happens
    /// meanwhile, unless it is cancelled or started again (law STM-14).
    pub fn generic_timeout(
        &mut self,
        name: S::Timeout,
        time: impl Into<TimeoutTime>,
        content: S::Internal,
    ) {
        self.start_timeout(TimeoutType::Generic(name), time, content);
    }

    fn start_timeout(
        &mut self,
        timeout: TimeoutType<S::Timeout>,
        time: impl Into<TimeoutTime>,
        content: S::Internal,
    ) {
        let order = match time.into() {
            TimeoutTime::After(time) => Order::Start(Due::After(time), content),
            TimeoutTime::At(time) => Order::Start(Due::At(time), content),
            TimeoutTime::Infinity => Order::Cancel,
        };
        self.ordered.push((timeout, order));
    }

    /// Cancels a timeout, if it runs. No event of it comes any more (law
    /// STM-31).
    pub fn cancel_timeout(&mut self, timeout: TimeoutType<S::Timeout>) {
        self.ordered.push((timeout, Order::Cancel));
    }

    /// Gives a timeout that runs another content, and leaves its time as it
    /// is; one that does not run is due at once (law STM-18).
    pub fn update_timeout(&mut self, timeout: TimeoutType<S::Timeout>, content: S::Internal) {
        self.ordered.push((timeout, Order::Update(content)));
    }
}

impl<S: GenStatem> fmt::Debug for StatemContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatemContext")
            .field("pid", &self.pid())
            .field("parent", &self.parent())
            .finish_non_exhaustive()
    }
}
