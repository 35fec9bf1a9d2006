//! What a process does about an exit signal. Pure: the whole of the laws EXIT
//! and TRAP that concern a receiver is the one `match` below.

use crate::exit_reason::ExitReason;
use crate::signal::{Cause, Exit};

/// What becomes of an exit signal that reaches a process.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum ExitMode {
    /// It ends the process.
    Fatal,
    /// It becomes a message.
    Trapped,
}

/// What a process does about one exit signal.
#[derive(Debug, PartialEq)]
#[must_use = "a dropped reaction is a lost signal"]
pub(crate) enum Reaction {
    Ignore(Exit),
    Deliver(Exit),
    Die(ExitReason),
}

/// Decides about an exit signal. One that came along a link must have been
/// found to belong to a link in force.
pub(crate) fn react_to_exit(mode: ExitMode, cause: Cause, exit: Exit) -> Reaction {
    match (cause, mode, &exit.reason) {
        // EXIT-12: an explicit kill cannot be trapped, and is renamed.
        (Cause::Asked, ExitMode::Trapped, ExitReason::Kill) if planted!(KillTrapped) => {
            Reaction::Deliver(exit)
        }
        (Cause::Asked, _, ExitReason::Kill) if planted!(KillNotRenamed) => {
            Reaction::Die(ExitReason::Kill)
        }
        (_, ExitMode::Fatal, ExitReason::Normal) if planted!(NormalIsFatal) => {
            Reaction::Die(exit.reason)
        }
        (_, ExitMode::Trapped, reason) if planted!(TrapIgnored) && reason.is_abnormal() => {
            Reaction::Die(exit.reason)
        }
        (Cause::Asked, _, ExitReason::Kill) => Reaction::Die(ExitReason::Killed),
        // TRAP-02, EXIT-08.
        (_, ExitMode::Trapped, _) => Reaction::Deliver(exit),
        // TRAP-05, EXIT-07, EXIT-11.
        (_, ExitMode::Fatal, ExitReason::Normal) => Reaction::Ignore(exit),
        // TRAP-06, EXIT-06. A `Kill` that comes along a link keeps its name
        // (EXIT-14).
        (_, ExitMode::Fatal, _) => Reaction::Die(exit.reason),
    }
}

#[cfg(test)]
mod tests;
