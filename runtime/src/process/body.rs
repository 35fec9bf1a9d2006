//! A turn of a process: take what has come, do what the signals say, run the
//! body until it waits.

use std::sync::Arc;

use crate::caught::{PanicPayload, drop_caught, wake_caught};
use crate::exit_reason::{ExitReason, Panic};
use crate::mailbox::{Attention, Stamped, Wake};
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::panic_hook;
use crate::process::cell::{BodyPoll, Process};
use crate::process::exit::{self, Death};
use crate::process::owner::Owner;
use crate::process::reaction::{Reaction, react_to_exit};
use crate::process::{current, info};
use crate::reply::{self, Owed, Unanswered};
use crate::signal::{Cause, Exit, Notice, Signal};

/// Whether an operation of a process may go on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "a process whose fate is decided must not go on"]
pub(crate) enum Checkpoint {
    GoOn,
    /// The process must end; it is stopped when it returns to the scheduler.
    Stop,
}

/// Gives a process its turn. The caller took it from a run queue, and puts it
/// back if the answer says so.
pub(crate) fn turn(process: &Arc<dyn Process>) -> Turned {
    process.begin_turn();
    let _entered = current::enter(Arc::clone(process));
    if let Some(reason) = refresh(process) {
        exit::end(process, Death::Ordered(reason));
        return Turned::ENDED;
    }
    panic_hook::forget_place();
    let polled = Arc::clone(process).poll_body();
    let rest = rest(process);
    if let Some(death) = outcome(process, polled, rest.fate) {
        exit::end(process, death);
        return Turned::ENDED;
    }
    refuse(process, rest.unanswered);
    Turned {
        wake: end_turn(process, rest.attention, rest.unseen),
        work: rest.work,
    }
}

/// How a turn went.
pub(crate) struct Turned {
    pub(crate) wake: Wake,
    /// How many operations it did, at least one.
    pub(crate) work: u32,
}

impl Turned {
    const ENDED: Self = Self {
        wake: Wake::Already,
        work: 1,
    };
}

/// Gives the process back, or asks for another turn. Mail that came into the
/// inbox behind the back of a waiting receive counts as a wake-up.
fn end_turn(process: &Arc<dyn Process>, attention: Attention, unseen: bool) -> Wake {
    if unseen && attention == Attention::Messages {
        // The process is running, so this only marks it as woken.
        let _ = process.notify();
    }
    process.end_turn(attention)
}

/// What a process on its own thread does while its body waits.
pub(crate) fn pause(process: &Arc<dyn Process>, wait: impl FnOnce()) -> Checkpoint {
    let rest = rest(process);
    refuse(process, rest.unanswered);
    if end_turn(process, rest.attention, rest.unseen) == Wake::Already {
        wait();
    }
    process.begin_turn();
    match refresh(process) {
        Some(_) => Checkpoint::Stop,
        None => Checkpoint::GoOn,
    }
}

/// Looks for signals, as every operation of the runtime does.
pub(crate) fn checkpoint(process: &Arc<dyn Process>) -> Checkpoint {
    if process.is_signalled() {
        drain(process);
    }
    if process.header().owner.lock().fate.is_some() {
        Checkpoint::Stop
    } else {
        Checkpoint::GoOn
    }
}

/// Moves what has come into the inbox and handles the signals, in their order.
pub(crate) fn drain(process: &Arc<dyn Process>) {
    let mut owed = Vec::new();
    let signals = process.take_signals(&mut owed);
    let mut owner = process.header().owner.lock();
    owner.unseen = true;
    if owed.is_empty() {
        drop(owner);
    } else {
        owner.owed.append(&mut owed);
        let answered = owner.sweep_owed();
        drop(owner);
        drop(answered);
    }
    for signal in signals {
        handle(process, signal);
    }
}

/// Begins a turn: takes what has come; the process's fate, if it is decided.
///
/// A receive that waits inside a combinator is woken by the waker that the
/// combinator gave it, or the combinator would not poll it.
fn refresh(process: &Arc<dyn Process>) -> Option<ExitReason> {
    drain(process);
    let mail = process.has_mail();
    let mut owner = process.header().owner.lock();
    owner.budget = Owner::BUDGET;
    // Whoever waits for it is polled or woken now.
    owner.unseen = false;
    let fate = owner.fate.clone();
    let receiver = if mail || !owner.notices.is_empty() {
        owner.receiver.take()
    } else {
        None
    };
    drop(owner);
    if let Some(receiver) = receiver {
        wake_caught(receiver);
    }
    fate
}

/// What a turn leaves behind.
struct Rest {
    fate: Option<ExitReason>,
    /// Replies that were dropped in the turn.
    unanswered: Vec<Arc<dyn Owed>>,
    attention: Attention,
    unseen: bool,
    work: u32,
}

fn rest(process: &Arc<dyn Process>) -> Rest {
    let mut owner = process.header().owner.lock();
    let fate = owner.fate.clone();
    let keep = owner.ending || fate.is_some();
    let unanswered = if keep {
        Vec::new()
    } else {
        std::mem::take(&mut owner.unanswered)
    };
    let has_notices = !owner.notices.is_empty();
    let (attention, unseen) = (owner.attention, owner.unseen);
    let work = 1 + Owner::BUDGET - owner.budget;
    drop(owner);
    let unseen = unseen && (has_notices || process.has_mail());
    Rest {
        fate,
        unanswered,
        attention,
        unseen,
        work,
    }
}

/// Tells the callers whose replies were dropped while the server lives on.
fn refuse(process: &Arc<dyn Process>, unanswered: Vec<Arc<dyn Owed>>) {
    for reply in unanswered {
        reply::refuse(process, &reply, Unanswered::Dropped);
    }
}

/// How the process ends, if it does. A fate that was decided while the body
/// ran goes before what the body returned.
fn outcome(
    process: &Arc<dyn Process>,
    polled: BodyPoll,
    fate: Option<ExitReason>,
) -> Option<Death> {
    let fate = fate.map(Death::Ordered);
    match polled {
        BodyPoll::Waiting => fate,
        BodyPoll::Returned(reason) => Some(fate.unwrap_or(Death::Own(reason))),
        BodyPoll::Panicked(payload) => {
            let reason = panicked(process, payload);
            Some(fate.unwrap_or(Death::Own(reason)))
        }
    }
}

/// The reason that a panic means.
pub(crate) fn panicked(process: &Arc<dyn Process>, payload: PanicPayload) -> ExitReason {
    let header = process.header();
    let place = panic_hook::take_place();
    let message = panic_hook::message(payload);
    let name = header.name();
    let ancestors = header.node.ancestors(header.parent);
    ExitReason::Panicked(Arc::new(Panic::new(
        message, place, header.pid, name, ancestors,
    )))
}

/// Does what one signal says. One arm a signal; what it takes out of the
/// owner is dropped after the lock is.
fn handle(process: &Arc<dyn Process>, signal: Stamped<Signal>) {
    let Stamped {
        position,
        value: signal,
    } = signal;
    let header = process.header();
    if header.owner.lock().fate.is_some() {
        header.owner.lock().unheard.push(signal);
        return;
    }
    observe!(header.node, |world| world.handles(process));
    match signal {
        Signal::Exit { exit, cause } => handle_exit(process, position, exit, cause),
        Signal::Link { from } => header.owner.lock().links.on_link(from),
        Signal::Unlink { from, number } => {
            header.owner.lock().links.on_unlink(from);
            if planted!(UnlinkNotAcknowledged) {
                return;
            }
            let ack = Signal::UnlinkAck {
                from: header.pid,
                number,
            };
            NodeInner::deliver(&header.node, header.pid, from, ack);
        }
        Signal::UnlinkAck { from, number } => {
            header.owner.lock().links.on_unlink_ack(from, number);
        }
        Signal::Monitor { reference, watcher } => {
            header.owner.lock().watchers.insert(reference, watcher);
        }
        Signal::Demonitor { reference } => {
            let watcher = header.owner.lock().watchers.remove(&reference);
            drop(watcher);
        }
        Signal::Down(down) => {
            let mut owner = header.owner.lock();
            if owner.monitors.remove(&down.reference).is_some() {
                observe!(header.node, |world| world.down(down.reference));
                owner.notices.push_back(Stamped {
                    position,
                    value: Notice::Down(down),
                });
            }
        }
        Signal::Query { asker, answer } => {
            let info = info::of(process);
            header.node.settle(header.pid, asker, &answer, Some(info));
        }
        Signal::System(order) => {
            let notice = Stamped {
                position,
                value: Notice::System(order),
            };
            header.owner.lock().notices.push_back(notice);
        }
    }
}

fn handle_exit(process: &Arc<dyn Process>, position: u64, exit: Exit, cause: Cause) {
    let mut owner = process.header().owner.lock();
    let counts = match cause {
        Cause::Asked => true,
        Cause::Linked => owner.links.on_exit(exit.from),
    };
    observe!(process.header().node, |world| if cause == Cause::Linked {
        world.exit_handled(exit.from, process.header().pid);
    });
    if !counts {
        drop(owner);
        return;
    }
    match react_to_exit(owner.exit_mode, cause, exit) {
        Reaction::Deliver(exit) => {
            owner.notices.push_back(Stamped {
                position,
                value: Notice::Exit(exit),
            });
        }
        Reaction::Die(reason) => owner.fate = Some(reason),
        Reaction::Ignore(exit) => {
            drop(owner);
            drop_caught(exit);
        }
    }
}
