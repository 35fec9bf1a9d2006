//! What the behaviours have in common: how they are started, what comes to
//! them, how their callbacks are run, how they are stopped.

mod callback;
mod last_words;
mod start;
mod stop;
mod timeout_time;

use std::fmt;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::context::{Context, Event};
use crate::signal::{Down, Exit, Message, System};
use crate::sys::desk::Desk;
use crate::sys::request::Request;

pub(crate) use callback::{acknowledge, before_init, before_terminate, caught, panicked};
pub(crate) use last_words::leave_report;
pub use start::{BehaviourBuilder, StartError};
pub use stop::StopServerError;
pub use timeout_time::TimeoutTime;

/// What a [`BehaviourBuilder`] starts: a [`GenServer`](crate::GenServer) or a
/// [`GenStatem`](crate::GenStatem). There are no others.
pub trait Behaviour: Send + Sized + 'static {
    /// What it is started with.
    type Args: Send + 'static;
    /// What it can be sent.
    type Message: Send + 'static;

    /// The body of its process.
    #[doc(hidden)]
    fn live(
        args: Self::Args,
        birth: Birth<Self::Message>,
    ) -> impl Future<Output = ExitReason> + Send;
}

/// What a behaviour's process begins with.
pub struct Birth<M> {
    pub(crate) context: Context<M>,
    /// The process it was started by and is linked to.
    pub(crate) parent: Option<Pid>,
    /// By what it tells that it is up, or why not.
    pub(crate) ack: start::Ack,
    /// What follows its events from the beginning.
    pub(crate) desk: Option<Box<Desk>>,
}

impl<M> fmt::Debug for Birth<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Birth")
            .field("context", &self.context)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

/// What reaches a server or a state machine beside its own messages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Info {
    /// An exit signal; the server traps exits, and it is not of its parent.
    Exit(Exit),
    /// A monitor fired.
    Down(Down),
    /// The time set by [`set_timeout`](crate::ServerContext::set_timeout) is
    /// over. State machines have events of their own for that.
    Timeout,
}

/// Why `init` made no state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InitError {
    /// The server is not wanted; no error. The process ends normally.
    Ignore,
    /// The process ends with this reason (law GS-03).
    Stop(ExitReason),
    /// The start fails with this reason, but the process ends normally: no
    /// report, and a linked starter lives on (law GS-04).
    Error(ExitReason),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for InitError {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// What comes to a behaviour beside its own messages.
pub(crate) enum Incoming {
    Info(Info),
    /// It is to stop.
    Stop(ExitReason),
    /// A timer of this number is due.
    Timeout(u64),
    /// `sys` asks for something.
    Request(Request),
}

/// What an entry of the mailbox means to a behaviour with this parent, which
/// is [`Pid::NODE`] if no process is.
pub(crate) fn meaning<M>(event: Event<M>, parent: Pid) -> Result<M, Incoming> {
    Err(match event {
        Event::Message(Message::User(message)) => return Ok(message),
        // GS-72: for any reason, normal included. Without a parent, it is the
        // node that tells the server to stop.
        Event::Message(Message::Exit(exit)) if exit.from == parent => Incoming::Stop(exit.reason),
        Event::Message(Message::Exit(exit)) => Incoming::Info(Info::Exit(exit)),
        Event::Message(Message::Down(down)) => Incoming::Info(Info::Down(down)),
        Event::System(System::Stop(reason)) => Incoming::Stop(reason),
        Event::System(System::Timeout(number)) => Incoming::Timeout(number),
        Event::System(System::Request(request)) => Incoming::Request(request),
    })
}
