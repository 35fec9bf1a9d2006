//! The last rites of a process.
//!
//! Their order is the heart of what the runtime promises: whatever others can
//! see of a process is gone before anyone is told that it ended (law SIG-12),
//! links are told before monitors (SIG-17), and nothing it was asked stays
//! without an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::caught::drop_caught;
use crate::exit_reason::ExitReason;
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::panic_hook;
use crate::pid::{MonitorRef, Pid};
use crate::process::body;
use crate::process::cell::{Process, Registration};
use crate::process::current;
use crate::process::links::Links;
use crate::process::owner::{Late, LateWaiter};
use crate::reply::{self, Unanswered};
use crate::report;
use crate::signal::{Cause, Down, Exit, Signal, Watcher};

/// How a process came to its end.
pub(crate) enum Death {
    /// Its body returned or panicked.
    Own(ExitReason),
    /// A signal told it to.
    Ordered(ExitReason),
}

/// Ends a process: for the thread that has its turn, or that took it from a
/// node without hosts.
pub(crate) fn end(process: &Arc<dyn Process>, death: Death) {
    let death = drop_body(process, death);
    report::ended(process, &death);
    let (Death::Own(reason) | Death::Ordered(reason)) = death;
    let header = process.header();
    header.node.table.vacate();
    if !planted!(NameReleasedLate) {
        release_name(process);
    }
    let before = header.owner.lock().fate.replace(reason.clone());
    drop_caught(before);
    let (signals, owed) = process.close();
    header
        .owner
        .lock()
        .unheard
        .extend(signals.into_iter().map(|signal| signal.value));
    drop_unread(process);
    // Nothing of the user's runs as this process any more: what it would link
    // to now would not be told.
    let _left = current::leave();
    // Whoever arms a timer looks afterwards whether its target is ending.
    if !planted!(TimersKept) {
        header.node.timers.forget(header.pid);
    }
    if planted!(MonitorsFirst) {
        tell_watchers(process, &reason);
    }
    if planted!(JoinTooEarly) {
        join_early(process, &reason);
    }
    tell_links(process, &reason);
    if planted!(NameReleasedLate) {
        release_name(process);
    }
    // Links before monitors, and monitors in their order: those that came too
    // late to be heard after those that were, and the latest last.
    let unheard = Unheard::take(process);
    answer(process, unheard.links, &reason);
    if !planted!(CallersForgotten) {
        fail_owed(process, owed, &reason);
    }
    tell_watchers(process, &reason);
    answer(process, unheard.others, &reason);
    tell_late(process, &reason);
    if !planted!(TableKept) {
        header.node.table.remove(header.pid);
    }
    leave_monitored(process);
    observe!(header.node, |world| world.ended(header.pid, &reason));
    header.node.process_ended();
}

/// Drops what is left of the body. If that panics, the panic is the reason.
fn drop_body(process: &Arc<dyn Process>, death: Death) -> Death {
    let (Death::Own(reason) | Death::Ordered(reason)) = &death;
    // Decided before anything is dropped, so that an operation in a destructor
    // finds the process dying.
    process
        .header()
        .owner
        .lock()
        .fate
        .get_or_insert_with(|| reason.clone());
    panic_hook::forget_place();
    match process.drop_body() {
        Ok(()) => death,
        Err(payload) => Death::Own(body::panicked(process, payload)),
    }
}

/// Drops the notices that were not received.
fn drop_unread(process: &Arc<dyn Process>) {
    let mut owner = process.header().owner.lock();
    let notices = std::mem::take(&mut owner.notices);
    let receiver = owner.receiver.take();
    drop(owner);
    drop_caught(notices);
    drop_caught(receiver);
}

fn release_name(process: &Arc<dyn Process>) {
    let header = process.header();
    let mut registration = header.registration.lock();
    let before = std::mem::replace(&mut *registration, Registration::Closed);
    if let Registration::Named(name) = &before
        && !planted!(NameKept)
    {
        header.node.registry.remove(name, header.pid);
    }
}

/// What a process did not live to hear.
struct Unheard {
    links: Vec<Signal>,
    others: Vec<Signal>,
}

impl Unheard {
    fn take(process: &Arc<dyn Process>) -> Self {
        let all = std::mem::take(&mut process.header().owner.lock().unheard);
        let is_link = |signal: &Signal| matches!(signal, Signal::Link { .. });
        let (links, others) = all.into_iter().partition(is_link);
        Self { links, others }
    }
}

/// Answers what the process did not live to hear.
fn answer(process: &Arc<dyn Process>, unheard: Vec<Signal>, reason: &ExitReason) {
    let header = process.header();
    for signal in unheard {
        match signal {
            Signal::Monitor {
                watcher: Watcher::Waiter(slot),
                reference,
            } => header
                .node
                .settle(header.pid, reference.owner(), &slot, reason.clone()),
            signal => NodeInner::bounce(&header.node, header.pid, signal),
        }
    }
}

/// Tells the callers that still wait for a reply (law GS-24).
fn fail_owed(
    process: &Arc<dyn Process>,
    unread: Vec<Arc<dyn crate::reply::Owed>>,
    reason: &ExitReason,
) {
    let (owed, unanswered) = {
        let mut owner = process.header().owner.lock();
        (
            std::mem::take(&mut owner.owed),
            std::mem::take(&mut owner.unanswered),
        )
    };
    for reply in owed.into_iter().chain(unanswered).chain(unread) {
        reply::refuse(process, &reply, Unanswered::Down(reason.clone()));
    }
}

fn tell_links(process: &Arc<dyn Process>, reason: &ExitReason) {
    let header = process.header();
    let links: Links = std::mem::take(&mut header.owner.lock().links);
    observe!(header.node, |world| world.tells_links(process, &links));
    let left_out = if planted!(ExitDropped) {
        links.linked().last()
    } else {
        None
    };
    for other in links.linked().filter(|other| Some(*other) != left_out) {
        let exit = Exit {
            from: header.pid,
            reason: reason.clone(),
        };
        let signal = Signal::Exit {
            exit,
            cause: Cause::Linked,
        };
        NodeInner::deliver(&header.node, header.pid, other, signal);
    }
}

/// A planted bug: the joins go before the links.
fn join_early(process: &Arc<dyn Process>, reason: &ExitReason) {
    let header = process.header();
    let mut owner = header.owner.lock();
    let joins = owner
        .watchers
        .extract_if(.., |_, watcher| matches!(watcher, Watcher::Waiter(_)));
    let joins: Vec<_> = joins.collect();
    drop(owner);
    for (reference, watcher) in joins {
        tell_watcher(&header.node, header.pid, reference, watcher, reason.clone());
    }
}

fn tell_watchers(process: &Arc<dyn Process>, reason: &ExitReason) {
    let header = process.header();
    let watchers = std::mem::take(&mut header.owner.lock().watchers);
    for (reference, watcher) in watchers
        .into_iter()
        .skip(usize::from(planted!(DownDropped)))
    {
        tell_watcher(&header.node, header.pid, reference, watcher, reason.clone());
    }
}

/// Tells those who came late, and those who come while they are told, in their
/// order; from then on whoever comes is told at once.
fn tell_late(process: &Arc<dyn Process>, reason: &ExitReason) {
    let header = process.header();
    loop {
        let waiters = {
            let mut owner = header.owner.lock();
            match std::mem::replace(&mut owner.late, Late::Told) {
                Late::Waiting(waiters) if !waiters.is_empty() => {
                    owner.late = Late::Waiting(Vec::new());
                    waiters
                }
                Late::Waiting(_) | Late::Told => return,
            }
        };
        for waiter in waiters {
            waiter.tell(process, reason.clone());
        }
    }
}

/// Tells one who found the mailbox closed: once the links have been told (law
/// SIG-17).
pub(crate) fn tell_when_links_are(process: &Arc<dyn Process>, waiter: LateWaiter) {
    let mut owner = process.header().owner.lock();
    match &mut owner.late {
        Late::Waiting(late) => late.push(waiter),
        Late::Told => {
            let reason = owner.fate.clone();
            drop(owner);
            waiter.tell(process, reason.unwrap_or(ExitReason::NoProcess));
        }
    }
}

impl LateWaiter {
    /// For a monitor and a call the process was not there; a join is told the
    /// true reason.
    fn tell(self, process: &Arc<dyn Process>, reason: ExitReason) {
        let header = process.header();
        match self {
            Self::Join { owner, slot } => header.node.settle(header.pid, owner, &slot, reason),
            Self::Monitor { reference, watcher } => {
                let reason = ExitReason::NoProcess;
                tell_watcher(&header.node, header.pid, reference, watcher, reason);
            }
            Self::Call { reply, message } => reply::refuse_unheard(process, &reply, message),
        }
    }
}

/// Tells one watcher that `dead` has ended.
pub(crate) fn tell_watcher(
    node: &Arc<NodeInner>,
    dead: Pid,
    reference: MonitorRef,
    watcher: Watcher,
    reason: ExitReason,
) {
    match watcher {
        Watcher::Process { name } => {
            let down = Signal::Down(Down {
                reference,
                pid: dead,
                name,
                reason,
            });
            NodeInner::deliver(node, dead, reference.owner(), down);
        }
        Watcher::Waiter(slot) => node.settle(dead, reference.owner(), &slot, reason),
    }
}

/// Takes this process out of the processes it watched (law MON-14).
fn leave_monitored(process: &Arc<dyn Process>) {
    let header = process.header();
    let monitors: BTreeMap<MonitorRef, Pid> = std::mem::take(&mut header.owner.lock().monitors);
    for (reference, target) in monitors {
        observe!(header.node, |world| world.demonitored(reference));
        NodeInner::deliver(
            &header.node,
            header.pid,
            target,
            Signal::Demonitor { reference },
        );
    }
}
