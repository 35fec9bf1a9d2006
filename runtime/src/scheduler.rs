//! The scheduler: run queues of our own, hosted on Tokio workers.
//!
//! One host task per worker runs processes one after the other ([`host`]).
//! Each host has a queue, and a place for the process just woken; both can be
//! stolen from. What is woken from outside the hosts comes by the injector.
//! Hosts without work sleep ([`sleepers`]).

pub(crate) mod host;
mod local;
mod next;
mod patience;
mod sleepers;
pub(crate) mod watchdog;

use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::process::cell::Process;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::deque::{Injector, Steal, Stealer, Worker};
use local::Local;
use next::Next;
use patience::Running;
use sleepers::Sleepers;
use watchdog::Watchdog;

type Task = Process;

pub(crate) struct Scheduler {
    injector: Injector<Task>,
    /// The hosts, and behind them the spares.
    hosts: Box<[Shared]>,
    sleepers: Sleepers,
    /// Hosts that only run while the others are stuck.
    spares: Sleepers,
    /// How many hosts are no spares.
    regular: usize,
    pub(crate) watchdog: Watchdog,
    /// Whether the node is over and the hosts can go.
    done: AtomicBool,
}

/// What other hosts may reach of a host. Each writes its own all the time, so
/// each has cache lines of its own: two, since processors fetch them in pairs.
#[repr(align(128))]
struct Shared {
    /// The process just woken; the next to run.
    next: Next,
    stealer: Stealer<Task>,
    /// Counts how often it looked for a process to run.
    turns: AtomicU32,
    /// The address of the process that has its turn here; 0 between turns of
    /// the host. It is for the watchdog, which compares it and no more.
    running: AtomicUsize,
}

impl Shared {
    fn running(&self) -> Option<Running> {
        let running = Running {
            turn: self.turns.load(Ordering::Relaxed),
            process: self.running.load(Ordering::Relaxed),
        };
        (running.process != 0).then_some(running)
    }
}

impl Scheduler {
    /// How many processes in a row may jump the queue by being just woken, if
    /// somebody waits there.
    const STREAK: u32 = 16;

    /// A scheduler, the queues of its hosts and spares, and where its watchdog
    /// waits.
    pub(crate) fn new(hosts: usize) -> (Self, Vec<Worker<Task>>, Receiver<()>) {
        let spares = hosts.saturating_sub(1);
        let queues: Vec<_> = (0..hosts + spares).map(|_| Worker::new_fifo()).collect();
        let shared = queues.iter().map(|queue| Shared {
            next: Next::default(),
            stealer: queue.stealer(),
            turns: AtomicU32::new(0),
            running: AtomicUsize::new(0),
        });
        let (watchdog, rung) = Watchdog::new();
        let scheduler = Self {
            injector: Injector::new(),
            hosts: shared.collect(),
            sleepers: Sleepers::new(hosts),
            spares: Sleepers::new(spares),
            regular: hosts,
            watchdog,
            done: AtomicBool::new(false),
        };
        (scheduler, queues, rung)
    }

    /// How many hosts run side by side.
    pub(crate) fn workers(&self) -> usize {
        self.regular
    }

    /// Puts a process that was woken into a run queue.
    #[inline]
    pub(crate) fn schedule(&self, task: Task) {
        if let Err(task) = self.run_next(task) {
            self.queue(task);
        }
    }

    /// Makes a process the next to run on this thread, if nothing is in its
    /// way.
    #[inline]
    fn run_next(&self, task: Task) -> Result<(), Task> {
        local::with(|local| match local {
            Some(local) if local.is_of(self) && local.streak.get() < Self::STREAK => {
                self.hosts[local.index].next.fill(task)
            }
            _ => Err(task),
        })
    }

    /// As [`schedule`](Self::schedule), whatever is in the way.
    #[inline(never)]
    fn queue(&self, task: Task) {
        match self.schedule_here(task) {
            Ok(Placed::Next) => {}
            Ok(Placed::Queued) => self.wake_one(),
            Err(task) => {
                self.injector.push(task);
                self.wake_one();
                if self.is_done() {
                    self.discard();
                }
            }
        }
    }

    /// Wakes a sleeping host, if there is one.
    fn wake_one(&self) {
        if self.sleepers.wake_one() {
            push_out();
        }
    }

    /// Places a process with the host of this thread, if it is one of ours.
    fn schedule_here(&self, task: Task) -> Result<Placed, Task> {
        local::with(|local| {
            let Some(local) = local.filter(|local| local.is_of(self)) else {
                return Err(task);
            };
            if local.streak.get() >= Self::STREAK {
                local.queue.push(task);
                return Ok(Placed::Queued);
            }
            match self.hosts[local.index].next.replace(task) {
                None => Ok(Placed::Next),
                Some(displaced) => {
                    local.queue.push(displaced);
                    Ok(Placed::Queued)
                }
            }
        })
    }

    /// When the host that runs on this thread, if it is one of these, last
    /// looked at the machine's clock.
    #[inline]
    pub(crate) fn last_look(&self) -> Option<Instant> {
        local::with(|local| {
            let local = local.filter(|local| local.is_of(self))?;
            Some(local.now.get())
        })
    }

    /// The next process for a host.
    #[inline]
    fn find(&self, local: &Local, tick: u32) -> Option<Task> {
        const INJECTOR_INTERVAL: u32 = 31;
        if tick.is_multiple_of(INJECTOR_INTERVAL)
            && let Some(task) = self.steal_injected(local)
        {
            return Some(task);
        }
        self.find_local(local)
            .or_else(|| self.steal_injected(local))
            .or_else(|| self.steal(local))
    }

    #[inline]
    fn find_local(&self, local: &Local) -> Option<Task> {
        if let Some(task) = self.hosts[local.index].next.take() {
            // It counts while somebody waits in the queue.
            let streak = local.streak.get() + 1;
            let counts = streak < Self::STREAK || !local.queue.is_empty();
            local.streak.set(if counts { streak } else { 0 });
            return Some(task);
        }
        local.streak.set(0);
        local.queue.pop()
    }

    fn steal_injected(&self, local: &Local) -> Option<Task> {
        if self.injector.is_empty() {
            return None;
        }
        retry(|| self.injector.steal_batch_and_pop(&local.queue))
    }

    /// From another host: half its queue, or else the process it is to run
    /// next.
    fn steal(&self, local: &Local) -> Option<Task> {
        let thief = local.index;
        let others = (1..self.hosts.len()).map(|step| (thief + step) % self.hosts.len());
        let mut victims = others.map(|index| &self.hosts[index]);
        victims.find_map(|victim| {
            retry(|| victim.stealer.steal_batch_and_pop(&local.queue))
                .or_else(|| victim.next.take())
        })
    }

    /// Whether some process waits in a queue that any host can reach.
    fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self
                .hosts
                .iter()
                .any(|host| !host.stealer.is_empty() || !host.next.is_empty())
    }

    fn is_spare(&self, host: usize) -> bool {
        host >= self.regular
    }

    /// How often each host has looked for a process, but for the spares.
    fn turns(&self) -> Vec<u32> {
        self.hosts[..self.regular]
            .iter()
            .map(|host| host.turns.load(Ordering::Relaxed))
            .collect()
    }

    /// The turn that each host is in, and of which process; the spares too.
    fn running(&self) -> impl Iterator<Item = Option<Running>> {
        self.hosts.iter().map(Shared::running)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Lets the hosts go; what is still queued has ended.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.sleepers.wake_all();
        self.spares.wake_all();
        self.discard();
    }

    /// Drops what a host will never come for.
    fn discard(&self) {
        while let Some(task) = retry(|| self.injector.steal()) {
            drop(task);
        }
        for host in &self.hosts {
            drop(host.next.take());
            while let Some(task) = retry(|| host.stealer.steal()) {
                drop(task);
            }
        }
    }
}

/// Sees to it that a Tokio task that was just woken here can run elsewhere.
///
/// On a Tokio worker, it goes to a place that no other worker can take it from,
/// and nobody is told; if what runs here goes on to block, the task would wait
/// for it. One more task pushes it out of that place.
pub(crate) fn push_out() {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(async {}));
    }
}

/// Where a process was placed.
enum Placed {
    /// It runs next here; nobody need help.
    Next,
    /// More waits than this host is about to run.
    Queued,
}

fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
