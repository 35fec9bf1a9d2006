//! The watchdog: a thread that sees to it that nothing stays stuck behind a
//! process that blocks its worker.
//!
//! What is queued at a host can be taken by another one, but that one may
//! sleep, or its Tokio task may itself wait in the queue of the blocked worker
//! with no other worker awake to take it. Only something outside the workers
//! can help then. The watchdog rests while all hosts sleep.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::node::NodeInner;
use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// How long a process may hold up what is queued behind it.
const INTERVAL: Duration = Duration::from_millis(5);

/// The hosts' end of the watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    bell: Sender<()>,
    on_duty: AtomicBool,
}

impl Watchdog {
    /// A watchdog that has no thread yet, and where its thread waits.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (bell, rung) = crossbeam_channel::bounded(1);
        let on_duty = AtomicBool::new(false);
        (Self { bell, on_duty }, rung)
    }

    /// A host got up: there may be something to watch.
    pub(crate) fn call(&self) {
        // Pairs with the fence in `may_rest`.
        fence(Ordering::SeqCst);
        if !self.on_duty.load(Ordering::SeqCst) && !self.on_duty.swap(true, Ordering::SeqCst) {
            // Full means that it has been called.
            let _ = self.bell.try_send(());
        }
    }

    /// Whether the watchdog can rest: it says so first, then looks whether a
    /// host got up meanwhile.
    fn may_rest(&self, all_sleep: impl Fn() -> bool) -> bool {
        if !all_sleep() {
            return false;
        }
        self.on_duty.store(false, Ordering::SeqCst);
        // Pairs with the fence in `call`.
        fence(Ordering::SeqCst);
        all_sleep() || self.on_duty.swap(true, Ordering::SeqCst)
    }
}

/// Gives the watchdog of a node its thread, which ends with the node. Where
/// there is but one host, nobody could help it.
pub(crate) fn start(node: &Arc<NodeInner>, rung: Receiver<()>) -> std::io::Result<()> {
    if node.scheduler.hosts.len() == 1 {
        return Ok(());
    }
    node.scheduler.watchdog.call();
    let node = Arc::downgrade(node);
    let thread = thread::Builder::new().name("resurgam watchdog".into());
    thread.spawn(move || while rung.recv().is_ok() && watch(&node, &rung).is_some() {})?;
    Ok(())
}

/// Looks around until all hosts sleep; `None` if the node is over.
fn watch(node: &Weak<NodeInner>, rung: &Receiver<()>) -> Option<()> {
    let mut before = Vec::new();
    loop {
        if rung.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected) {
            return None;
        }
        let node = node.upgrade()?;
        let scheduler = &node.scheduler;
        if scheduler.is_done() {
            return None;
        }
        if scheduler
            .watchdog
            .may_rest(|| scheduler.sleepers.awake() == 0)
        {
            return Some(());
        }
        let turns = scheduler.turns();
        let stuck = turns.iter().zip(&before).any(|(now, before)| now == before);
        if stuck && scheduler.has_work() {
            scheduler.sleepers.wake_one();
            // From outside the workers, so that one that is parked is woken,
            // and takes what it can from the others.
            if let Some(runtime) = &node.runtime {
                drop(runtime.spawn(async {}));
            }
        }
        before = turns;
    }
}
