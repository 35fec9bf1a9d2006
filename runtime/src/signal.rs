//! What travels between processes ([`Signal`]) and what arrives ([`Message`]).

use std::sync::Arc;

use crate::exit_reason::ExitReason;
use crate::name::Name;
use crate::node::seam::Load;
use crate::pid::{MonitorRef, Pid};
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
            Self::Query { .. } => "process info".to_owned(),
            Self::System(order) => format!("{order:?}"),
        }
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
}
