//! What can be known of a process: [`ProcessInfo`].

use crate::mailbox::MailboxInfo;
use crate::name::Name;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process::owner::ProcessStage;
use crate::process::reaction::ExitMode;
use crate::signal::Watcher;

/// A picture of a process, taken when it handled the question (laws SIG-11,
/// INFO-02 to INFO-05).
///
/// # Differences from Erlang
///
/// There are no memory sizes, no dictionary and no current function: Rust does
/// not account for them per process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Who it is.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
    /// Its label, for people.
    pub label: Option<String>,
    /// Who spawned it; `None` if no process did.
    pub parent: Option<Pid>,
    /// To whom it belongs; see
    /// [`set_group_leader`](crate::set_group_leader).
    pub group_leader: Option<Pid>,
    /// On whose behalf it works, the nearest first, if it is a task.
    pub callers: Vec<Pid>,
    /// How far it has come.
    pub stage: ProcessStage,
    /// Whether it traps exits.
    pub trap_exit: bool,
    /// Who it is linked to.
    pub links: Vec<Pid>,
    /// Whom it watches, once a monitor.
    pub monitors: Vec<Pid>,
    /// Which processes watch it, once a monitor.
    pub monitored_by: Vec<Pid>,
    /// Which processes have called it and wait for the reply.
    pub awaited_by: Vec<Pid>,
    /// How many messages have come that it has not received.
    pub message_queue_len: usize,
    /// The bound of its mailbox, if it has one.
    pub mailbox: Option<MailboxInfo>,
}

/// The picture of a process, for the thread that has its turn.
pub(crate) fn of(process: &Process) -> ProcessInfo {
    let header = process.header();
    let name = header.name();
    let queued = process.queue_len();
    let mut owner = process.owner();
    let mut awaited_by = Vec::new();
    if owner.rare.is_there() {
        awaited_by = owner.rare.owed.callers();
        awaited_by.retain(|caller| *caller != Pid::OUTSIDE);
    }
    let watching = |(reference, watcher): (&crate::MonitorRef, &Watcher)| match watcher {
        Watcher::Process { .. } | Watcher::Alias(_) => Some(reference.owner()),
        Watcher::Waiter(_) => None,
    };
    ProcessInfo {
        pid: header.pid,
        name,
        label: header.label().as_deref().map(str::to_owned),
        parent: header.parent(),
        group_leader: header.node.table.group_leader(header.pid),
        callers: header.callers().as_deref().unwrap_or_default().to_vec(),
        stage: owner.stage,
        trap_exit: owner.exit_mode == ExitMode::Trapped,
        links: owner.bonds.links.linked().collect(),
        monitors: owner
            .rare
            .monitors
            .iter()
            .map(|(_, target)| *target)
            .collect(),
        monitored_by: owner.bonds.watchers.iter().filter_map(watching).collect(),
        awaited_by,
        message_queue_len: queued + owner.rare.notices.len(),
        mailbox: process.core().info(),
    }
}
