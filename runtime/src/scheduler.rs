//! The scheduler: run queues of our own, hosted on Tokio workers.
//!
//! One host task per worker runs processes one after the other ([`host`]).
//! Each host has a queue, and a place for the process just woken; both can be
//! stolen from. What is woken from outside the hosts comes by the injector.
//! Hosts without work sleep ([`sleepers`]).

pub(crate) mod host;
mod sleepers;
pub(crate) mod watchdog;

use std::cell::RefCell;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::process::cell::Process;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::deque::{Injector, Steal, Stealer, Worker};
use crate::sync::{Mutex, per_thread};
use sleepers::Sleepers;
use watchdog::Watchdog;

type Task = Arc<dyn Process>;

pub(crate) struct Scheduler {
    injector: Injector<Task>,
    hosts: Box<[Shared]>,
    sleepers: Sleepers,
    watchdog: Watchdog,
    /// Whether the node is over and the hosts can go.
    done: AtomicBool,
}

/// What other hosts may reach of a host.
struct Shared {
    /// The process just woken; the next to run.
    next: Mutex<Option<Task>>,
    stealer: Stealer<Task>,
    /// Counts the turns of processes, for the watchdog.
    turns: AtomicU64,
}

/// What a host lays open to the code it runs, on its thread, for its turn.
struct Local {
    /// Whose host it is, by address.
    scheduler: *const Scheduler,
    index: usize,
    queue: Worker<Task>,
    /// How many processes in a row came from `next`.
    streak: u32,
}

per_thread! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

impl Scheduler {
    /// How many processes in a row may jump the queue by being just woken.
    const STREAK: u32 = 16;

    /// A scheduler, the queues of its hosts, and where its watchdog waits.
    pub(crate) fn new(hosts: usize) -> (Self, Vec<Worker<Task>>, Receiver<()>) {
        let queues: Vec<_> = (0..hosts).map(|_| Worker::new_fifo()).collect();
        let shared = queues.iter().map(|queue| Shared {
            next: Mutex::new(None),
            stealer: queue.stealer(),
            turns: AtomicU64::new(0),
        });
        let (watchdog, rung) = Watchdog::new();
        let scheduler = Self {
            injector: Injector::new(),
            hosts: shared.collect(),
            sleepers: Sleepers::new(hosts),
            watchdog,
            done: AtomicBool::new(false),
        };
        (scheduler, queues, rung)
    }

    /// Puts a process that was woken into a run queue.
    pub(crate) fn schedule(&self, task: Task) {
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

    /// Puts a process that gave way to the back of this host's queue.
    fn requeue(&self, task: Task) {
        let left = LOCAL.with(|local| match &*local.borrow() {
            Some(local) => {
                local.queue.push(task);
                None
            }
            None => Some(task),
        });
        if let Some(task) = left {
            self.injector.push(task);
        }
    }

    /// Places a process with the host of this thread, if it is one of ours.
    fn schedule_here(&self, task: Task) -> Result<Placed, Task> {
        let mut task = Some(task);
        let placed = LOCAL.try_with(|local| {
            let mut local = local.borrow_mut();
            let local = local
                .as_mut()
                .filter(|local| std::ptr::eq(local.scheduler, self))?;
            let task = task.take()?;
            if local.streak >= Self::STREAK {
                local.queue.push(task);
                return Some(Placed::Queued);
            }
            let displaced = self.hosts[local.index].next.lock().replace(task)?;
            local.queue.push(displaced);
            Some(Placed::Queued)
        });
        match (placed, task) {
            (_, Some(task)) => Err(task),
            (Ok(Some(placed)), None) => Ok(placed),
            (Ok(None) | Err(_), None) => Ok(Placed::Next),
        }
    }

    /// The next process for the host of this thread.
    fn find(&self, index: usize, tick: u32) -> Option<Task> {
        const INJECTOR_INTERVAL: u32 = 31;
        if tick.is_multiple_of(INJECTOR_INTERVAL)
            && let Some(task) = self.steal_injected()
        {
            return Some(task);
        }
        self.find_local(index)
            .or_else(|| self.steal_injected())
            .or_else(|| self.steal(index))
    }

    fn find_local(&self, index: usize) -> Option<Task> {
        LOCAL.with(|local| {
            let mut local = local.borrow_mut();
            let local = local.as_mut()?;
            if let Some(task) = self.hosts[index].next.lock().take() {
                local.streak += 1;
                return Some(task);
            }
            local.streak = 0;
            local.queue.pop()
        })
    }

    fn steal_injected(&self) -> Option<Task> {
        LOCAL.with(|local| {
            let local = local.borrow();
            let local = local.as_ref()?;
            retry(|| self.injector.steal_batch_and_pop(&local.queue))
        })
    }

    /// From another host: half its queue, or else the process it is to run
    /// next.
    fn steal(&self, thief: usize) -> Option<Task> {
        LOCAL.with(|local| {
            let local = local.borrow();
            let local = local.as_ref()?;
            let others = (1..self.hosts.len()).map(|step| (thief + step) % self.hosts.len());
            let mut victims = others.map(|index| &self.hosts[index]);
            victims.find_map(|victim| {
                retry(|| victim.stealer.steal_batch_and_pop(&local.queue))
                    .or_else(|| victim.next.lock().take())
            })
        })
    }

    /// Whether some process waits in a queue that any host can reach.
    fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self
                .hosts
                .iter()
                .any(|host| !host.stealer.is_empty() || host.next.lock().is_some())
    }

    /// How many turns of processes each host has begun.
    fn turns(&self) -> Vec<u64> {
        self.hosts
            .iter()
            .map(|host| host.turns.load(Ordering::Relaxed))
            .collect()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Lets the hosts go; what is still queued has ended.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.sleepers.wake_all();
        self.discard();
    }

    /// Drops what a host will never come for.
    fn discard(&self) {
        while let Some(task) = retry(|| self.injector.steal()) {
            drop(task);
        }
        for host in &self.hosts {
            let next = host.next.lock().take();
            drop(next);
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
