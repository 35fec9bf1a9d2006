//! A host: the Tokio task that runs processes on one worker.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::coop::has_budget_remaining;

use crate::caught::drop_caught;
use crate::node::NodeInner;
use crate::process::body::{self, After};
use crate::scheduler::local::Local;
use crate::scheduler::{Scheduler, Task};
use crate::sync::atomic::Ordering;
use crate::sync::deque::Worker;

/// Runs processes until the node is over.
pub(crate) async fn run(mut host: Host) {
    let (node, index) = (Arc::clone(&host.node), host.local.index);
    let scheduler = &node.scheduler;
    if scheduler.is_spare(index) {
        rest(scheduler, index).await;
    }
    loop {
        match host.turn() {
            Turn::Spent => tokio::task::yield_now().await,
            Turn::Idle if scheduler.is_spare(index) => rest(scheduler, index).await,
            Turn::Idle => {
                if sleep(scheduler, index).await == Slept::No {
                    tokio::task::yield_now().await;
                }
            }
            Turn::Over => return,
        }
    }
}

/// Whether a host that lay down really slept.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Slept {
    Yes,
    No,
}

/// What a host is: made before its task is, so that it is missed even if the
/// task never runs.
pub(crate) struct Host {
    node: Arc<NodeInner>,
    local: Local,
    /// How many operations processes do now between two looks at the clock:
    /// fewer, where they take long.
    stride: u32,
    slice: Slice,
}

/// How long processes run before other Tokio tasks, and Tokio's driver, get
/// their turn: longer while nobody else wants it.
struct Slice {
    length: Duration,
    /// When the last one was over.
    ended: Option<Instant>,
}

impl Slice {
    const SHORT: Duration = Duration::from_micros(25);
    /// Giving way costs some microseconds, and Tokio wakes another worker each
    /// time.
    const LONG: Duration = Duration::from_micros(200);
    /// Whoever gives way for longer has let somebody run.
    const NOBODY: Duration = Duration::from_micros(20);

    /// A slice begins. If others ran since the last one, or woke a process, it
    /// is a short one.
    fn begin(&mut self, now: Instant, woken: bool) {
        let Some(ended) = self.ended.take() else {
            return;
        };
        self.length = if woken || now.duration_since(ended) > Self::NOBODY {
            Self::SHORT
        } else {
            (2 * self.length).min(Self::LONG)
        };
    }
}

/// How a turn of a host ended.
enum Turn {
    /// There may be more to do; other Tokio tasks first.
    Spent,
    /// There was nothing more to do.
    Idle,
    /// The node is over.
    Over,
}

impl Host {
    /// How many operations they may do at most between two looks at the clock.
    const WORK: u32 = 256;
    /// After how many turns Tokio is asked whether its budget is spent.
    const COOP_INTERVAL: u32 = 8;
    /// How many operations a turn of a process counts for by itself.
    const TURN: u32 = 3;

    pub(crate) fn new(node: Arc<NodeInner>, index: usize, queue: Worker<Task>) -> Self {
        let local = Local::new(&node.scheduler, index, queue);
        Self {
            node,
            local,
            stride: Self::WORK,
            slice: Slice {
                length: Slice::SHORT,
                ended: None,
            },
        }
    }

    fn turn(&mut self) -> Turn {
        let turn = self.run_processes();
        let shared = &self.node.scheduler.hosts[self.local.index];
        shared.running.store(0, Ordering::Relaxed);
        turn
    }

    fn run_processes(&mut self) -> Turn {
        let (node, local) = (&self.node, &self.local);
        let _open = local.lay_open();
        let shared = &node.scheduler.hosts[local.index];
        let began = local.look_at_the_clock();
        self.slice.begin(began, !node.scheduler.injector.is_empty());
        loop {
            let mut work = 0;
            while work < self.stride {
                // Nobody else writes it.
                let tick = shared.turns.load(Ordering::Relaxed).wrapping_add(1);
                shared.turns.store(tick, Ordering::Relaxed);
                let Some(process) = node.scheduler.find(local, tick) else {
                    return if node.scheduler.is_done() {
                        Turn::Over
                    } else {
                        Turn::Idle
                    };
                };
                let address = process.as_raw().addr().get();
                shared.running.store(address, Ordering::Relaxed);
                let turned = body::turn(&process);
                match turned.after {
                    After::Again => local.queue.push(process),
                    After::Rest => process.rest(),
                    // It may be the last one to hold the process.
                    After::Over => drop_caught(process),
                }
                // A turn costs more than an operation.
                work += Self::TURN + turned.work;
                if tick.is_multiple_of(Self::COOP_INTERVAL) && !has_budget_remaining() {
                    return Turn::Spent;
                }
            }
            let now = local.look_at_the_clock();
            let took = now.duration_since(began);
            self.stride = if took > 2 * self.slice.length {
                (self.stride / 2).max(1)
            } else {
                (self.stride * 2).min(Self::WORK)
            };
            if took >= self.slice.length {
                self.slice.ended = Some(now);
                return Turn::Spent;
            }
        }
    }
}

/// Sleeps until there is something to do.
pub(super) async fn sleep(scheduler: &Scheduler, index: usize) -> Slept {
    let mut lain_down = false;
    let slept = poll_fn(|cx| {
        if lain_down && !scheduler.sleepers.is_asleep(index) {
            return Poll::Ready(Slept::Yes);
        }
        let before = std::mem::replace(&mut lain_down, true);
        scheduler.sleepers.lie_down(index, cx.waker().clone());
        if scheduler.has_work() || scheduler.is_done() {
            scheduler.sleepers.rise(index);
            return Poll::Ready(if before { Slept::Yes } else { Slept::No });
        }
        Poll::Pending
    })
    .await;
    scheduler.watchdog.call();
    slept
}

/// Sleeps until the watchdog sees that the others are stuck.
async fn rest(scheduler: &Scheduler, index: usize) {
    let mut lain_down = false;
    poll_fn(|cx| {
        if lain_down && !scheduler.spares.is_asleep(index) {
            return Poll::Ready(());
        }
        lain_down = true;
        scheduler.spares.lie_down(index, cx.waker().clone());
        if scheduler.is_done() {
            scheduler.spares.rise(index);
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

impl Drop for Host {
    fn drop(&mut self) {
        self.node.host_left();
    }
}
