//! The books: what is owed to whom, kept beside the runtime while it runs, so
//! that nothing can be lost unseen. The checks are numbered in
//! docs/reliability.md.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::answer::{Owed, Watched};
use crate::mailbox::Attention;
use crate::node::NodeInner;
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::Process;

/// What is owed.
#[derive(Default)]
pub(super) struct Books {
    /// Everybody who lives, in the order of their pids.
    living: BTreeMap<Pid, Process>,
    violation: Option<String>,
    /// The monitors in force, with whom they watch.
    monitors: HashMap<MonitorRef, Pid>,
    /// Whose exits each process has still to be told.
    exits: HashMap<Pid, BTreeSet<Pid>>,
    mail: HashMap<Pid, Mail>,
    /// The calls that are not answered, with who is to answer.
    calls: Vec<(Pid, Watched)>,
    /// Who was killed and must be gone at rest.
    doomed: BTreeSet<Pid>,
    /// Whose panic is a failure of the simulation.
    pub(super) clients: BTreeSet<Pid>,
}

/// The messages of one process.
#[derive(Copy, Clone, Default)]
struct Mail {
    arrived: u64,
    received: u64,
    dropped: u64,
}

impl Books {
    pub(super) fn spawned(&mut self, process: &Process) {
        let pid = process.header().pid;
        self.living.insert(pid, process.clone());
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Process> {
        self.living.values()
    }

    pub(super) fn population(&self) -> usize {
        self.living.len()
    }

    /// Lets everybody go; for the end of the simulation.
    pub(super) fn clear(&mut self) -> BTreeMap<Pid, Process> {
        std::mem::take(&mut self.living)
    }

    /// Notes a broken promise; the first one counts.
    pub(super) fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(super) fn take_violation(&mut self) -> Option<String> {
        self.violation.take()
    }

    pub(super) fn monitored(&mut self, reference: MonitorRef, target: Pid) {
        self.monitors.insert(reference, target);
    }

    /// A monitor was taken back, or its owner is gone.
    pub(super) fn demonitored(&mut self, reference: MonitorRef) {
        self.monitors.remove(&reference);
    }

    /// A down was handled by whom it is for.
    pub(super) fn down(&mut self, reference: MonitorRef) {
        if self.monitors.remove(&reference).is_none() {
            self.violated(format!(
                "I2: a second down of {reference:?}, or one that is not wanted"
            ));
        }
    }

    /// A process that ended tells a linked one.
    pub(super) fn exit_sent(&mut self, from: Pid, to: Pid) {
        if !self.exits.entry(to).or_default().insert(from) {
            self.violated(format!("I3: {from} tells {to} of its end twice"));
        }
    }

    /// An exit along a link was handled, or arrived where nobody lives.
    pub(super) fn exit_handled(&mut self, from: Pid, to: Pid) {
        let Some(due) = self.exits.get_mut(&to) else {
            return;
        };
        due.remove(&from);
        if due.is_empty() {
            self.exits.remove(&to);
        }
    }

    pub(super) fn arrived(&mut self, pid: Pid) {
        self.mail.entry(pid).or_default().arrived += 1;
    }

    pub(super) fn received(&mut self, pid: Pid) {
        self.mail.entry(pid).or_default().received += 1;
    }

    pub(super) fn dropped(&mut self, pid: Pid, messages: usize) {
        self.mail.entry(pid).or_default().dropped += messages as u64;
    }

    pub(super) fn called(&mut self, server: Pid, reply: &Owed) {
        self.calls.push((server, reply.watch()));
    }

    pub(super) fn doom(&mut self, pid: Pid) {
        self.doomed.insert(pid);
    }

    /// Before a process tells anyone of its end, nobody may find it by name.
    pub(super) fn telling(&mut self, process: &Process) {
        let header = process.header();
        if !header.is_ending() || header.node.registry.holds(header.pid) {
            self.violated(format!(
                "I5: {} tells of its end and has its name",
                header.pid
            ));
        }
    }

    /// The last rites of a process are over. It comes back, to be dropped when
    /// the books are closed again.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<Process> {
        let gone = self.living.remove(&pid);
        self.exits.remove(&pid);
        self.doomed.remove(&pid);
        if let Some(mail) = self.mail.remove(&pid)
            && mail.arrived != mail.received + mail.dropped
        {
            self.violated(format!(
                "I10: of {} messages {pid} received {} and left {}",
                mail.arrived, mail.received, mail.dropped
            ));
        }
        gone
    }

    /// A signal is about to be handled.
    pub(super) fn handles(&mut self, process: &Process) {
        let header = process.header();
        if header.node.table.get(header.pid).is_none() {
            self.violated(format!("I6: {} handles a signal after its end", header.pid));
        }
    }

    /// Everything has come to rest: what is still owed will never come.
    pub(super) fn check_at_rest(&mut self, node: &NodeInner) {
        let all: Vec<_> = self.living().cloned().collect();
        for process in &all {
            // SAFETY: at rest no process has its turn.
            unsafe {
                process.visit(|| {
                    self.check_awake(process);
                    self.check_links(node, process);
                    self.check_mail(process);
                });
            }
        }
        self.check_names(node);
        self.check_owed(node);
    }

    /// I13: whoever has something to do is awake.
    fn check_awake(&mut self, process: &Process) {
        let header = process.header();
        let owner = process.owner();
        let (attention, notices) = (owner.attention, owner.rare.notices.len());
        let (selects, unseen) = (owner.selects, owner.unseen);
        drop(owner);
        // What a selective receive has seen and does not want may stay.
        let receives = attention == Attention::Messages && (!selects || unseen);
        if process.core().is_signalled() || receives && (process.queue_len() > 0 || notices > 0) {
            self.violated(format!("I13: {} sleeps and has mail", header.pid));
        }
    }

    /// I4: links are symmetric, and between the living.
    fn check_links(&mut self, node: &NodeInner, process: &Process) {
        let header = process.header();
        let linked: Vec<Pid> = process.owner().bonds.links.linked().collect();
        for other in linked {
            let back = node.table.get(other).is_some_and(|other| {
                let back = || {
                    other
                        .owner()
                        .bonds
                        .links
                        .linked()
                        .any(|pid| pid == header.pid)
                };
                // SAFETY: as in `check_at_rest`.
                unsafe { other.visit(back) }
            });
            if !back {
                self.violated(format!(
                    "I4: {} is linked to {other}, but not back",
                    header.pid
                ));
            }
        }
    }

    /// I10: no message is lost on the way through a mailbox.
    fn check_mail(&mut self, process: &Process) {
        let pid = process.header().pid;
        let Some(mail) = self.mail.get(&pid) else {
            return;
        };
        let queued = process.queue_len() as u64;
        let evicted = process.core().evicted();
        if mail.arrived != mail.received + evicted + queued {
            self.violated(format!(
                "I10: of {} messages {pid} received {} and has {queued}",
                mail.arrived, mail.received
            ));
        }
    }

    /// I5: names belong to the living, one to each.
    fn check_names(&mut self, node: &NodeInner) {
        for (name, pid) in node.registry.entries() {
            let holder = node.table.get(pid);
            if holder.and_then(|process| process.header().name()) != Some(name.clone()) {
                self.violated(format!("I5: the name {name} is of {pid}, who has it not"));
            }
        }
    }

    /// I2, I3, I11, I12: whoever waits for an end that came has been told.
    fn check_owed(&mut self, node: &NodeInner) {
        let gone = |pid: &Pid| node.table.get(*pid).is_none();
        let lost = self.monitors.iter().find(|(_, target)| gone(target));
        if let Some((reference, target)) = lost {
            let what = format!("I2: {target} is gone and {reference:?} was never told");
            self.violated(what);
        }
        let left = self
            .monitors
            .keys()
            .find(|reference| gone(&reference.owner()));
        if let Some(reference) = left {
            let what = format!("I2: the owner of {reference:?} is gone and has left it behind");
            self.violated(what);
        }
        if let Some((to, from)) = self.exits.iter().find(|(to, _)| !gone(to)) {
            let what = format!("I3: {to} was never told of the end of {from:?}");
            self.violated(what);
        }
        self.calls.retain(|(_, reply)| reply.is_open());
        if let Some((server, _)) = self.calls.iter().find(|(server, _)| gone(server)) {
            let what = format!("I11: {server} is gone and a call to it has no answer");
            self.violated(what);
        }
        if let Some(pid) = self.doomed.first() {
            let what = format!("I12: {pid} was killed and lives");
            self.violated(what);
        }
    }
}
