//! The last rites of a process.
//!
//! Their order is the heart of what the runtime promises: whatever others can
//! see of a process is gone before anyone is told that it ended (law SIG-12),
//! links are told before monitors (SIG-17), and nothing it was asked stays
//! without an answer.

use std::sync::Arc;

use crate::answer::Unanswered;
use crate::caught::drop_caught;
use crate::exit_reason::ExitReason;
use crate::few::Few;
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::panic_hook;
use crate::pid::{MonitorRef, Pid};
use crate::pool::Lazy;
use crate::process::body;
use crate::process::cell::{ENDING, Process, Remains};
use crate::process::current;
use crate::process::links::Links;
use crate::process::owner::{Bonds, LateWaiter, Rare};
use crate::reply;
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
pub(crate) fn end(process: &Process, death: Death) {
    let death = drop_body(process, death);
    report::ended(process, &death);
    let (Death::Own(reason) | Death::Ordered(reason)) = death;
    let header = process.header();
    let now = header.node.about_now();
    header.node.table.vacate(header.pid, reason.kind(), now);
    if !planted!(NameReleasedLate) {
        release_name(process);
    }
    let before = process.owner().fate.replace(reason.clone());
    drop_caught(before);
    let remains = process.close();
    let estate = Estate::of(process, remains);
    // Nothing of the user's runs as this process any more: what it would link
    // to now would not be told.
    let _left = current::leave();
    // Whoever arms a timer looks afterwards whether its target is ending.
    if header.is_aimed_at() && !planted!(TimersKept) {
        header.node.timers.forget(header.pid);
    }
    estate.settle(process, &reason);
    observe!(header.node, |world| world.ended(header.pid, &reason));
    header.node.process_ended();
}

/// What a process leaves behind, to be told to others.
struct Estate {
    bonds: Lazy<Bonds>,
    rare: Lazy<Rare>,
}

impl Estate {
    fn of(process: &Process, remains: Remains) -> Self {
        drop_unread(process);
        let mut owner = process.owner();
        if !remains.signals.is_empty() {
            let unheard = remains.signals.map(|signal| signal.value);
            owner.rare.unheard.extend(unheard);
        }
        let mut unread = remains.owed;
        if !unread.is_empty() {
            owner.rare.owed.take_over(&mut unread);
        }
        Self {
            bonds: std::mem::take(&mut owner.bonds),
            rare: std::mem::take(&mut owner.rare),
        }
    }

    /// Tells everybody, in the order of the laws.
    fn settle(mut self, process: &Process, reason: &ExitReason) {
        let header = process.header();
        if planted!(MonitorsFirst) {
            tell_watchers(process, std::mem::take(&mut self.bonds.watchers), reason);
        }
        if planted!(JoinTooEarly) {
            join_early(process, &mut self.bonds.watchers, reason);
        }
        tell_links(process, &self.bonds.links, reason);
        if planted!(NameReleasedLate) {
            release_name(process);
        }
        // Links before monitors, and monitors in their order: those that came
        // too late to be heard after those that were, and the latest last.
        if self.rare.is_there() {
            let rare = &mut *self.rare;
            let is_link = |signal: &mut Signal| matches!(signal, Signal::Link { .. });
            let links = rare.unheard.extract_if(.., is_link).collect();
            answer(process, links, reason);
            if !planted!(CallersForgotten) {
                fail_owed(process, rare, reason);
            }
        }
        if self.bonds.is_there() {
            tell_watchers(process, std::mem::take(&mut self.bonds.watchers), reason);
        }
        if self.rare.is_there() {
            answer(process, std::mem::take(&mut self.rare.unheard), reason);
        }
        tell_late(process, reason);
        if !planted!(TableKept) {
            header.node.table.remove(header.pid);
        }
        if self.rare.is_there() {
            leave_monitored(process, std::mem::take(&mut self.rare.monitors));
        }
    }
}

/// Drops the notices that were not received, and cancels the timer of calls.
fn drop_unread(process: &Process) {
    let mut owner = process.owner();
    if !owner.rare.is_there() {
        return;
    }
    let notices = std::mem::take(&mut owner.rare.notices);
    let specials = owner.rare.take_specials();
    let receiver = owner.rare.receiver.take();
    let alarm = owner.rare.alarm.take();
    drop(owner);
    if let Some(alarm) = alarm {
        process.header().node.timers.cancel(alarm);
    }
    notices.into_iter().for_each(drop_caught);
    if let Some(specials) = specials {
        specials.into_monitors().for_each(drop_caught);
    }
    drop_caught(receiver);
}

/// Drops what is left of the body. If that panics, the panic is the reason.
fn drop_body(process: &Process, death: Death) -> Death {
    let (Death::Own(reason) | Death::Ordered(reason)) = &death;
    // Decided before anything is dropped, so that an operation in a destructor
    // finds the process dying.
    process.owner().fate.get_or_insert_with(|| reason.clone());
    panic_hook::forget_place();
    match process.drop_body() {
        Ok(()) => death,
        Err(payload) => Death::Own(body::panicked(process, payload)),
    }
}

fn release_name(process: &Process) {
    let header = process.header();
    let mut identity = header.identity.lock();
    identity.flags |= ENDING;
    if identity.is_there()
        && let Some(name) = identity.name.take()
        && !planted!(NameKept)
    {
        header.node.registry.remove(&name, header.pid);
    }
}

/// Answers what the process did not live to hear.
fn answer(process: &Process, unheard: Vec<Signal>, reason: &ExitReason) {
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
fn fail_owed(process: &Process, rare: &mut Rare, reason: &ExitReason) {
    for owed in std::mem::take(&mut rare.owed) {
        if owed.is_open() {
            reply::fail(process, owed, Unanswered::Down(reason.clone()));
        }
    }
    for reply in std::mem::take(&mut rare.unanswered) {
        reply::refuse(process, reply, Unanswered::Down(reason.clone()));
    }
}

fn tell_links(process: &Process, links: &Links, reason: &ExitReason) {
    let header = process.header();
    observe!(header.node, |world| world.tells_links(process, links));
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
fn join_early(process: &Process, watchers: &mut Few<MonitorRef, Watcher>, reason: &ExitReason) {
    let mut joins = Few::None;
    for (reference, watcher) in std::mem::take(watchers) {
        let waits = matches!(watcher, Watcher::Waiter(_));
        if waits { &mut joins } else { &mut *watchers }.insert(reference, watcher);
    }
    tell_watchers(process, joins, reason);
}

fn tell_watchers(process: &Process, watchers: Few<MonitorRef, Watcher>, reason: &ExitReason) {
    let header = process.header();
    for (reference, watcher) in watchers
        .into_iter()
        .skip(usize::from(planted!(DownDropped)))
    {
        tell_watcher(&header.node, header.pid, reference, watcher, reason.clone());
    }
}

/// Tells those who came late, and those who come while they are told, in their
/// order; from then on whoever comes is told at once.
fn tell_late(process: &Process, reason: &ExitReason) {
    loop {
        let mut waiters = process.late();
        if waiters.is_empty() {
            return;
        }
        for waiter in waiters.drain(..) {
            waiter.tell(process, reason.clone());
        }
    }
}

/// Tells one who found the mailbox closed: once the links have been told (law
/// SIG-17).
pub(crate) fn tell_when_links_are(process: &Process, waiter: LateWaiter) {
    if let Err((waiter, reason)) = process.wait_for_late(waiter) {
        waiter.tell(process, reason);
    }
}

impl LateWaiter {
    /// For a monitor and a call the process was not there; a join is told the
    /// true reason.
    fn tell(self, process: &Process, reason: ExitReason) {
        let header = process.header();
        match self {
            Self::Join { owner, slot } => header.node.settle(header.pid, owner, &slot, reason),
            Self::Monitor { reference, watcher } => {
                let reason = ExitReason::NoProcess;
                tell_watcher(&header.node, header.pid, reference, watcher, reason);
            }
            Self::Call { reply, message } => {
                let why = Unanswered::Down(ExitReason::NoProcess);
                reply::fail_unheard(process, reply, why, message);
            }
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
        Watcher::Alias(alias) => {
            let (name, way) = *alias;
            let down = Down {
                reference,
                pid: dead,
                name,
                reason,
            };
            let signal = Signal::AliasDown(Box::new((down, way)));
            NodeInner::deliver(node, dead, reference.owner(), signal);
        }
        Watcher::Waiter(slot) => node.settle(dead, reference.owner(), &slot, reason),
    }
}

/// Takes this process out of the processes it watched (law MON-14).
fn leave_monitored(process: &Process, monitors: Few<MonitorRef, Pid>) {
    let header = process.header();
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
