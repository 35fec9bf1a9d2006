//! A host: the Tokio task that runs processes on one worker.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::caught::drop_caught;
use crate::mailbox::Wake;
use crate::node::NodeInner;
use crate::process::body;
use crate::scheduler::{LOCAL, Local, Scheduler, Task};
use crate::sync::atomic::Ordering;
use crate::sync::deque::Worker;

/// Runs processes until the node is over.
pub(crate) async fn run(mut host: Host) {
    let (node, index) = (Arc::clone(&host.node), host.index);
    loop {
        match host.turn() {
            Turn::Spent => give_way().await,
            Turn::Idle => {
                if sleep(&node.scheduler, index).await == Slept::No {
                    give_way().await;
                }
            }
            Turn::Over => return,
        }
    }
}

/// Lets other Tokio tasks run, from the back of the worker's queue. Not by
/// Tokio's own `yield_now`: it keeps the task where no other worker can take
/// it from, and what runs next here may block.
pub(super) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
    index: usize,
    // Invariant: `None` only inside `turn`.
    queue: Option<Worker<Task>>,
    tick: u32,
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
    /// How many processes run before other Tokio tasks get their turn.
    const TURN: u32 = 64;
    /// How many operations they may do in all: a turn is short also if each
    /// process uses up its own budget.
    const WORK: u32 = 512;

    pub(crate) fn new(node: Arc<NodeInner>, index: usize, queue: Worker<Task>) -> Self {
        Self {
            node,
            index,
            queue: Some(queue),
            tick: 0,
        }
    }

    fn turn(&mut self) -> Turn {
        let node = Arc::clone(&self.node);
        let _local = lay_open(&node.scheduler, self.index, &mut self.queue);
        let mut work = 0;
        for _ in 0..Self::TURN {
            self.tick = self.tick.wrapping_add(1);
            let Some(process) = node.scheduler.find(self.index, self.tick) else {
                return if node.scheduler.is_done() {
                    Turn::Over
                } else {
                    Turn::Idle
                };
            };
            node.scheduler.hosts[self.index]
                .turns
                .fetch_add(1, Ordering::Relaxed);
            let turned = body::turn(&process);
            match turned.wake {
                Wake::Schedule => node.scheduler.requeue(process),
                // It may be the last one to hold the process.
                Wake::Already => drop_caught(process),
            }
            work += turned.work;
            if work >= Self::WORK || !tokio::task::coop::has_budget_remaining() {
                break;
            }
        }
        Turn::Spent
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

impl Drop for Host {
    fn drop(&mut self) {
        self.node.host_left();
    }
}

/// Lends a host's queue to its thread for a turn.
pub(super) fn lay_open<'a>(
    scheduler: &Scheduler,
    index: usize,
    queue: &'a mut Option<Worker<Task>>,
) -> LaidOpen<'a> {
    let lent = queue.take().expect("a host lends its queue once at a time");
    let local = Local {
        scheduler: std::ptr::from_ref(scheduler),
        index,
        queue: lent,
        streak: 0,
    };
    LaidOpen {
        before: LOCAL.with(|place| place.replace(Some(local))),
        queue,
    }
}

/// Takes the queue back at the end of a turn.
pub(super) struct LaidOpen<'a> {
    before: Option<Local>,
    queue: &'a mut Option<Worker<Task>>,
}

impl Drop for LaidOpen<'_> {
    fn drop(&mut self) {
        let local = LOCAL.with(|place| place.replace(self.before.take()));
        *self.queue = local.map(|local| local.queue);
    }
}
