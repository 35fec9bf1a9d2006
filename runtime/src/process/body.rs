//! A turn of a process: take what has come, do what the signals say, run the
//! body until it waits.

use std::sync::Arc;

use crate::answer::{Unanswered, Unsent};
use crate::caught::{PanicPayload, drop_caught, wake_caught};
use crate::exit_reason::{ExitReason, Panic};
use crate::mailbox::{Attention, Stamped, Wake};
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::panic_hook;
use crate::pid::Pid;
use crate::pool::Queue;
use crate::process::alias::Special;
use crate::process::cell::{BodyPoll, OwnerGuard, Process};
use crate::process::exit::{self, Death};
use crate::process::info;
use crate::process::owner::{Owner, ProcessStage};
use crate::process::reaction::{Reaction, react_to_exit};
use crate::reply;
use crate::signal::{Cause, Down, Exit, Notice, Signal, Urgent};

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
#[inline]
pub(crate) fn turn(process: &Process) -> Turned {
    let Some((turn, signals)) = process.begin_turn() else {
        return Turned::OVER;
    };
    if signals.is_empty() {
        // Nothing is to be dropped, which is said here to save the look.
        std::mem::forget(signals);
    } else {
        heed(process, signals);
    }
    if let Some(reason) = refresh(turn.owner(), process) {
        exit::end(process, Death::Ordered(reason));
        return Turned::OVER;
    }
    panic_hook::forget_place();
    let polled = process.poll_body();
    let rest = rest(turn.owner());
    if rest.is_quiet && matches!(polled, BodyPoll::Waiting) {
        return Turned::waits(process, &rest);
    }
    after_unrest(process, polled, &rest)
}

/// What is to be done after a turn in which more has happened than that the
/// body went on and waits.
#[inline(never)]
fn after_unrest(process: &Process, polled: BodyPoll, rest: &Rest) -> Turned {
    let (fate, unanswered) = unrest(process);
    if let Some(death) = outcome(process, polled, fate) {
        exit::end(process, death);
        return Turned::OVER;
    }
    refuse(process, unanswered);
    Turned::waits(process, rest)
}

/// How a turn went.
pub(crate) struct Turned {
    pub(crate) after: After,
    /// How many operations it did, at least one.
    pub(crate) work: u32,
}

/// What becomes of a process after a turn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// It goes to the back of the queue.
    Again,
    /// It is idle, until something wakes it.
    Rest,
    /// It has ended.
    Over,
}

impl Turned {
    const OVER: Self = Self {
        after: After::Over,
        work: 1,
    };

    /// Gives the process back, which waits.
    #[inline(always)]
    fn waits(process: &Process, rest: &Rest) -> Self {
        let after = match end_turn(process, rest) {
            Wake::Schedule => After::Again,
            Wake::Already => After::Rest,
        };
        Self {
            after,
            work: rest.work,
        }
    }
}

/// Gives the process back, or asks for another turn. Mail that came into the
/// inbox behind the back of a waiting receive counts as a wake-up.
#[inline(always)]
fn end_turn(process: &Process, rest: &Rest) -> Wake {
    if rest.unseen && rest.attention == Attention::Messages {
        mark_as_woken(process);
    }
    if rest.swollen {
        process.trim();
    }
    if rest.has_idle_alarm {
        cancel_idle_alarm(process);
    }
    process.core().end_turn(rest.attention)
}

/// What a process on its own thread does while its body waits.
pub(crate) fn pause(process: &Process, wait: impl FnOnce()) -> Checkpoint {
    let rest = rest(process.owner());
    if !rest.is_quiet {
        let (_, unanswered) = unrest(process);
        refuse(process, unanswered);
    }
    if end_turn(process, &rest) == Wake::Already {
        wait();
    }
    let turn = process.begin_turn();
    let (_turn, signals) = turn.expect("only its own thread gives it turns");
    heed(process, signals);
    match refresh(process.owner(), process) {
        Some(_) => Checkpoint::Stop,
        None => Checkpoint::GoOn,
    }
}

/// Looks for signals, as every operation of the runtime does.
pub(crate) fn checkpoint(process: &Process) -> Checkpoint {
    if process.core().is_signalled() {
        drain(process);
    }
    if process.owner().fate.is_some() {
        Checkpoint::Stop
    } else {
        Checkpoint::GoOn
    }
}

/// Moves what has come into the inbox and handles the signals, in their order.
pub(crate) fn drain(process: &Process) {
    if process.core().has_come() {
        let signals = process.take();
        heed(process, signals);
        look_again(process);
    }
}

/// Gives the body one more turn if it waits for an exit message outside a
/// receive: it may have looked before the signal came that was just handled.
fn look_again(process: &Process) {
    let mut owner = process.owner();
    if owner.rare.is_there() && std::mem::take(&mut owner.rare.awaits_end) {
        mark_as_woken(process);
    }
}

/// Sees to it that a process that has its turn gets another one.
#[cold]
fn mark_as_woken(process: &Process) {
    // It is running, so nobody need put it into a queue.
    let _ = process.core().notify();
}

/// Handles signals that were taken.
fn heed(process: &Process, signals: Queue<Stamped<Signal>>) {
    for signal in signals {
        handle(process, signal);
    }
}

/// Begins a turn, when what has come was taken; the process's fate, if it is
/// decided.
///
/// A receive that waits inside a combinator is woken by the waker that the
/// combinator gave it, or the combinator would not poll it.
#[inline]
fn refresh<'a>(mut owner: OwnerGuard<'a>, process: &'a Process) -> Option<ExitReason> {
    owner.budget = Owner::BUDGET;
    // Whoever waits for it is polled or woken now.
    let has_news = std::mem::take(&mut owner.unseen);
    if owner.rare.is_there() && owner.rare.receiver.is_some() && has_news {
        let receiver = owner.rare.receiver.take();
        drop(owner);
        if let Some(receiver) = receiver {
            wake_caught(receiver);
        }
        owner = process.owner();
    }
    if owner.fate.is_some() {
        owner.fate.clone()
    } else {
        None
    }
}

/// How a turn leaves the process.
struct Rest {
    /// Whether its fate is open and no reply was dropped.
    is_quiet: bool,
    attention: Attention,
    unseen: bool,
    swollen: bool,
    has_idle_alarm: bool,
    work: u32,
}

#[inline]
fn rest(mut owner: OwnerGuard<'_>) -> Rest {
    let unread = owner.unread;
    let swollen = owner.swollen && !unread;
    if !owner.rare.is_there() {
        // The common case: what follows asks for much that is not there.
        let rest = Rest {
            is_quiet: owner.fate.is_none(),
            attention: owner.attention,
            unseen: owner.unseen && unread,
            swollen,
            has_idle_alarm: false,
            work: u32::from(1 + Owner::BUDGET - owner.budget),
        };
        owner.swollen &= unread;
        return rest;
    }
    owner.swollen &= unread;
    let rare = &*owner.rare;
    Rest {
        is_quiet: owner.fate.is_none() && rare.unanswered.is_empty(),
        attention: owner.attention,
        unseen: owner.unseen && (unread || !rare.notices.is_empty()),
        swollen,
        has_idle_alarm: rare.alarm.is_idle(),
        work: u32::from(1 + Owner::BUDGET - owner.budget),
    }
}

/// Cancels the timer of the process's calls, if it waits for none.
#[cold]
pub(crate) fn cancel_idle_alarm(process: &Process) {
    let mut owner = process.owner();
    if !owner.rare.alarm.is_idle() {
        return;
    }
    let idle = owner.rare.alarm.take();
    drop(owner);
    if let Some(timer) = idle {
        process.header().node.timers.cancel(timer);
    }
}

/// The process's fate, if it is decided, and the replies that were dropped in
/// the turn, if it is clear that the process lives on.
fn unrest(process: &Process) -> (Option<ExitReason>, Vec<Unsent>) {
    let mut owner = process.owner();
    let fate = owner.fate.clone();
    let is_ending = owner.stage == ProcessStage::Ending;
    let keep = is_ending || fate.is_some() || !owner.rare.is_there();
    let unanswered = if keep {
        Vec::new()
    } else {
        std::mem::take(&mut owner.rare.unanswered)
    };
    (fate, unanswered)
}

/// Tells the callers whose replies were dropped while the server lives on.
fn refuse(process: &Process, unanswered: Vec<Unsent>) {
    for reply in unanswered {
        reply::refuse(process, reply, Unanswered::Dropped);
    }
}

/// How the process ends, if it does. A fate that was decided while the body
/// ran goes before what the body returned.
fn outcome(process: &Process, polled: BodyPoll, fate: Option<ExitReason>) -> Option<Death> {
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
pub(crate) fn panicked(process: &Process, payload: PanicPayload) -> ExitReason {
    let header = process.header();
    let place = panic_hook::take_place();
    let message = panic_hook::message(payload);
    let name = header.name();
    let ancestors = header.node.ancestors(header.parent());
    ExitReason::Panicked(Arc::new(Panic::new(
        message, place, header.pid, name, ancestors,
    )))
}

/// Does what one signal says. One arm a signal; what it takes out of the
/// owner is dropped after the lock is.
fn handle(process: &Process, signal: Stamped<Signal>) {
    let Stamped {
        position,
        value: signal,
    } = signal;
    let header = process.header();
    if process.owner().fate.is_some() {
        process.owner().rare.unheard.push(signal);
        return;
    }
    observe!(header.node, |world| world.handles(process));
    match signal {
        Signal::Exit { exit, cause } => handle_exit(process, position, exit, cause),
        Signal::Link { from } => process.owner().bonds.links.on_link(from),
        Signal::Unlink { from, number } => {
            let mut owner = process.owner();
            unmark_link(&mut owner, from);
            owner.bonds.links.on_unlink(from);
            drop(owner);
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
            process.owner().bonds.links.on_unlink_ack(from, number);
        }
        Signal::Monitor { reference, watcher } => {
            process.owner().bonds.watchers.insert(reference, watcher);
        }
        Signal::Demonitor { reference } => {
            let watcher = process.owner().bonds.watchers.remove(&reference);
            drop(watcher);
        }
        Signal::Down(down) => handle_down(process, position, down),
        Signal::AliasDown(down) => handle_down(process, position, down.0),
        Signal::AliasUsed { reference } => {
            super::take_back(process, reference);
        }
        Signal::Urgent(Urgent::Message(message)) => {
            let mut owner = process.owner();
            owner.rare.put_notice(position, Notice::User(message), true);
        }
        Signal::Urgent(Urgent::Exit(exit)) => {
            let owner = process.owner();
            react(owner, position, exit, Cause::Asked, true);
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
            process.owner().rare.notices.push_back(notice);
        }
    }
}

fn handle_down(process: &Process, position: u64, down: Down) {
    let mut owner = process.owner();
    if owner.rare.monitors.remove(&down.reference).is_none() {
        return;
    }
    observe!(process.header().node, |world| world.down(down.reference));
    if owner.rare.has_specials()
        && let Some(special) = owner.rare.take_special(down.reference)
    {
        return tell_specially(owner, position, down, special);
    }
    let value = Notice::Down(down);
    owner.rare.notices.push_back(Stamped { position, value });
}

#[cold]
fn tell_specially(mut owner: OwnerGuard<'_>, position: u64, down: Down, special: Special) {
    let has_priority = special.has_priority();
    let notice = special.tell(down).map_or_else(Notice::Down, Notice::User);
    owner.rare.put_notice(position, notice, has_priority);
}

fn handle_exit(process: &Process, position: u64, exit: Exit, cause: Cause) {
    let mut owner = process.owner();
    let has_priority = cause == Cause::Linked && unmark_link(&mut owner, exit.from);
    let counts = match cause {
        Cause::Asked => true,
        Cause::Linked => owner.bonds.links.on_exit(exit.from),
    };
    observe!(process.header().node, |world| if cause == Cause::Linked {
        world.exit_handled(exit.from, process.header().pid);
    });
    if !counts {
        drop(owner);
        return;
    }
    react(owner, position, exit, cause, has_priority);
}

/// A link goes, and its priority with it; whether it had that.
#[inline]
fn unmark_link(owner: &mut Owner, other: Pid) -> bool {
    owner.rare.is_there() && owner.rare.has_specials() && owner.rare.unmark_link(other)
}

/// Does what an exit signal that counts says.
#[inline]
fn react(mut owner: OwnerGuard<'_>, position: u64, exit: Exit, cause: Cause, has_priority: bool) {
    match react_to_exit(owner.exit_mode, cause, exit) {
        Reaction::Deliver(exit) => {
            let notice = Notice::Exit(exit, cause);
            owner.rare.put_notice(position, notice, has_priority);
        }
        Reaction::Die(reason) => owner.fate = Some(reason),
        Reaction::Ignore(exit) => {
            drop(owner);
            drop_caught(exit);
        }
    }
}
