//! What the processes of one run share, and the driver looks at.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use resurgam::{ExitReason, Node, Pid, ProcessInfo, ProcessRef};

use super::actor::Order;
use super::{Activity, Info, Look};
use crate::observation::{Seen, State};
use crate::program::{Name, Who};

/// The processes of one run.
#[derive(Debug)]
pub struct Crowd {
    pub(super) node: Node,
    /// Sets the names of this run apart.
    number: u64,
    /// What makes the processes' speeds differ, if they run by themselves.
    pub(super) pace: Option<u64>,
    pids: Mutex<HashMap<Pid, Who>>,
    members: Vec<Member>,
}

/// One process of a run.
#[derive(Debug)]
struct Member {
    /// Nobody, until it is born.
    process: Mutex<Option<ProcessRef<u32>>>,
    progress: Mutex<Progress>,
    orders: UnboundedSender<Vec<Order>>,
    /// Orders that it finds when it is woken.
    prepared: Mutex<Vec<Order>>,
    /// The other end of `orders`, until the process takes it.
    inbox: Mutex<Option<UnboundedReceiver<Vec<Order>>>>,
}

/// What a process writes down about itself.
#[derive(Debug, Default)]
struct Progress {
    activity: Activity,
    log: Vec<Seen>,
    mail: Vec<Seen>,
}

impl Crowd {
    pub(super) fn new(node: Node, number: u64, members: usize, pace: Option<u64>) -> Self {
        Self {
            node,
            number,
            pace,
            pids: Mutex::default(),
            members: (0..members).map(|_| Member::new()).collect(),
        }
    }

    /// The node it lives on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The pids, by number; `None` for the unborn.
    pub fn pids(&self) -> Vec<Option<Pid>> {
        (0..self.members.len()).map(|who| self.pid(who)).collect()
    }

    /// What can be seen of a process, given what the runtime says of it.
    pub fn look(&self, who: Who, info: Option<ProcessInfo>) -> Look {
        let progress = lock(&self.members[who].progress);
        Look {
            activity: progress.activity,
            logged: progress.log.len() + progress.mail.len(),
            info: info.map(|info| self.translate(&info)),
        }
    }

    fn translate(&self, info: &ProcessInfo) -> Info {
        let pids = lock(&self.pids);
        let who = |pid: &Pid| pids.get(pid).copied();
        let mut known = Info {
            traps: info.trap_exit,
            links: info.links.iter().filter_map(who).collect(),
            monitors: info.monitors.iter().map(who).collect(),
            watched_by: info.monitored_by.iter().filter_map(who).collect(),
            name: info.name.as_ref().and_then(|name| self.plain_name(name)),
            unread: info.message_queue_len,
        };
        known.links.sort_unstable();
        known.watched_by.sort_unstable();
        known
    }

    /// A process is born. Said by the process itself as well as by its parent:
    /// whoever comes first.
    pub(super) fn enter(&self, who: Who, process: &ProcessRef<u32>) {
        if let Some(pid) = process.pid() {
            lock(&self.pids).insert(pid, who);
        }
        *lock(&self.members[who].process) = Some(process.clone());
    }

    pub(super) fn process(&self, who: Who) -> Option<ProcessRef<u32>> {
        lock(&self.members[who].process).clone()
    }

    pub(super) fn pid(&self, who: Who) -> Option<Pid> {
        self.process(who)?.pid()
    }

    /// Who has this pid.
    ///
    /// # Panics
    ///
    /// If it is nobody of this run.
    pub(super) fn who(&self, pid: Pid) -> Who {
        lock(&self.pids)
            .get(&pid)
            .copied()
            .expect("only members of the crowd know of each other")
    }

    pub(super) fn order(&self, who: Who, order: Order) {
        self.prepare(who, [order]);
        self.wake(who);
    }

    /// Lays out what a process is to do when it is woken. From here on it is
    /// busy.
    pub(super) fn prepare(&self, who: Who, orders: impl IntoIterator<Item = Order>) {
        self.set_activity(who, Activity::Busy);
        lock(&self.members[who].prepared).extend(orders);
    }

    /// Wakes a process; one that is not born yet finds its orders when it is.
    pub(super) fn wake(&self, who: Who) {
        let orders = std::mem::take(&mut *lock(&self.members[who].prepared));
        // It fails if the process has died meanwhile.
        let _ = self.members[who].orders.unbounded_send(orders);
    }

    pub(super) fn take_inbox(&self, who: Who) -> UnboundedReceiver<Vec<Order>> {
        lock(&self.members[who].inbox)
            .take()
            .expect("a process is born once")
    }

    pub(super) fn set_activity(&self, who: Who, activity: Activity) {
        lock(&self.members[who].progress).activity = activity;
    }

    pub(super) fn log(&self, who: Who, seen: Seen) {
        lock(&self.members[who].progress).log.push(seen);
    }

    pub(super) fn log_mail(&self, who: Who, seen: Seen) {
        lock(&self.members[who].progress).mail.push(seen);
    }

    /// A name of a program as the node knows it.
    pub(super) fn full_name(&self, name: Name) -> resurgam::Name {
        format!("{}.{}", self.number, name.0).into()
    }

    fn plain_name(&self, name: &resurgam::Name) -> Option<Name> {
        let (_, name) = name.as_str().split_once('.')?;
        name.parse().ok().map(Name)
    }

    pub(super) fn take_log(&self, who: Who) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.members[who].progress).log)
    }

    /// What is true of a process at last.
    pub(super) fn state(&self, who: Who, info: Info) -> State {
        State {
            mail: std::mem::take(&mut lock(&self.members[who].progress).mail),
            traps: info.traps,
            links: info.links,
            monitors: info.monitors.len(),
            watched_by: info.watched_by,
            name: info.name,
        }
    }

    /// Ends all of them.
    pub(super) fn dismiss(&self) {
        for pid in self.pids().into_iter().flatten() {
            self.node.kill(pid);
        }
    }

    /// Why a process ended; `None` if it was never born.
    pub(super) async fn reason(&self, who: Who) -> Option<ExitReason> {
        let process = self.process(who)?;
        Some(process.join().await)
    }
}

impl Member {
    fn new() -> Self {
        let (orders, inbox) = unbounded();
        Self {
            process: Mutex::default(),
            progress: Mutex::default(),
            orders,
            prepared: Mutex::default(),
            inbox: Mutex::new(Some(inbox)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
