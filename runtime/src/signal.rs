//! What travels between processes ([`Signal`]) and what arrives ([`Message`]).

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit_reason::ExitReason;
use crate::name::Name;
use crate::node::seam::Load;
use crate::pid::{MonitorRef, Pid};
use crate::process::alias::Way;
use crate::process::info::ProcessInfo;
use crate::slot::Slot;
use crate::sys::request::Request;

/// Everything but a user's message that one process does to another.
///
/// Signals and messages of one sender to one receiver arrive in the order they
/// were sent (law SIG-01).
#[derive(Debug)]
pub(crate) enum Signal {
    /// The sender ended, or asks the receiver to.
    Exit { exit: Exit, cause: Cause },
    /// The sender links itself to the receiver.
    Link { from: Pid },
    /// The sender takes its link back. Acknowledged by the same number.
    Unlink { from: Pid, number: u64 },
    /// The sender has handled the receiver's unlink of that number.
    UnlinkAck { from: Pid, number: u64 },
    /// The watcher wants to be told of the receiver's end.
    Monitor {
        reference: MonitorRef,
        watcher: Watcher,
    },
    /// The watcher no longer wants to be told.
    Demonitor { reference: MonitorRef },
    /// A monitored process ended.
    Down(Down),
    /// As `Down`, of a monitor with an alias, which is closed on arrival.
    AliasDown(Box<(Down, Arc<Way>)>),
    /// A message that came through an alias has ended this monitor of the
    /// receiver's.
    AliasUsed { reference: MonitorRef },
    /// Something that is received before all that has no priority.
    Urgent(Urgent),
    /// Somebody asks how the receiver is.
    Query {
        asker: Pid,
        answer: Arc<Slot<Option<ProcessInfo>>>,
    },
    /// An order to a behaviour.
    System(System),
}

impl Load for Signal {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        match self {
            Self::Exit { exit, cause } => format!("exit ({cause:?}) {}", exit.reason),
            Self::Link { .. } => "link".to_owned(),
            Self::Unlink { number, .. } => format!("unlink #{number}"),
            Self::UnlinkAck { number, .. } => format!("unlinked #{number}"),
            Self::Monitor { reference, .. } => format!("monitor {reference:?}"),
            Self::Demonitor { reference } => format!("demonitor {reference:?}"),
            Self::Down(down) => format!("down {:?} {}", down.reference, down.reason),
            Self::AliasDown(down) => format!("down {:?} {}", down.0.reference, down.0.reason),
            Self::AliasUsed { reference } => format!("alias of {reference:?} used"),
            Self::Urgent(Urgent::Message(_)) => "priority message".to_owned(),
            Self::Urgent(Urgent::Exit(exit)) => format!("priority exit {}", exit.reason),
            Self::Query { .. } => "process info".to_owned(),
            Self::System(order) => format!("{order:?}"),
        }
    }
}

impl Signal {
    /// An exit signal that somebody asked for.
    pub(crate) fn asked(exit: Exit) -> Self {
        Self::Exit {
            exit,
            cause: Cause::Asked,
        }
    }
}

/// What has priority.
#[derive(Debug)]
pub(crate) enum Urgent {
    Message(Maker),
    Exit(Exit),
}

/// Makes a message of the receiver's type when it is received.
pub(crate) struct Maker(pub(crate) Unshared<dyn FnOnce() -> Box<dyn Any + Send> + Send>);

/// Something that is only ever taken, never looked at by two: so it may lie in
/// what is shared. The mutex says so to the compiler, and is never locked.
pub(crate) struct Unshared<T: ?Sized>(Mutex<Box<T>>);

impl<T: ?Sized> Unshared<T> {
    pub(crate) fn new(value: Box<T>) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn into_inner(self) -> Box<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
}

/// What made an exit signal.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// The end of a linked process.
    Linked,
    /// A call of `exit` or `kill`.
    Asked,
}

/// Who is told of an end.
#[derive(Debug)]
pub(crate) enum Watcher {
    /// The process that owns the monitor, by a [`Down`]; with the name it
    /// watched, if it watched by name.
    Process { name: Option<Name> },
    /// As `Process`, by a monitor whose end closes an alias.
    Alias(Box<(Option<Name>, Arc<Way>)>),
    /// Whoever waits at the slot.
    Waiter(Arc<Slot<ExitReason>>),
}

/// An order that every behaviour obeys, whatever its messages are.
#[derive(Debug)]
pub(crate) enum System {
    /// End with this reason, after `terminate`.
    Stop(ExitReason),
    /// The timer of this number is due; a state machine armed it for itself.
    Timeout(u64),
    /// Something that `sys` asks for; a plain process refuses it.
    Request(Request),
}

// Signals travel by the million: what is seldom must not make them larger.
const _: () = assert!(size_of::<System>() == size_of::<ExitReason>());

/// What a process finds in its mailbox.
///
/// Timers send ordinary [`User`](Self::User) messages.
#[derive(Debug, PartialEq)]
pub enum Message<M> {
    /// A message of the process's own type.
    User(M),
    /// An exit signal, turned into a message because the process traps exits.
    Exit(Exit),
    /// The end of a monitored process.
    Down(Down),
}

/// An exit signal as a trapping process sees it (law TRAP-02).
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The process that ended, or that asked for the exit.
    pub from: Pid,
    /// Why.
    pub reason: ExitReason,
}

/// The notice that a monitor fired (law MON-03).
#[derive(Clone, Debug, PartialEq)]
pub struct Down {
    /// The monitor; it is gone now (law MON-05).
    pub reference: MonitorRef,
    /// The process that ended; [`Pid::OUTSIDE`] if a name was watched that
    /// nobody had.
    pub pid: Pid,
    /// The name, if the process was watched by its name.
    pub name: Option<Name>,
    /// Why it ended.
    pub reason: ExitReason,
}

/// What stands in a mailbox beside the user's messages.
#[derive(Debug)]
pub(crate) enum Notice {
    Exit(Exit, Cause),
    Down(Down),
    System(System),
    /// A message of the process's own type that did not come by the mailbox.
    User(Maker),
}
