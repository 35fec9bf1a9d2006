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
    duty: Duty,
}

/// Whether the watchdog watches: what it and the hosts agree on.
#[derive(Debug)]
struct Duty(AtomicBool);

/// Whether the watchdog must be woken.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "a watchdog that is not woken rests for ever"]
enum Ring {
    Needed,
    Spared,
}

impl Watchdog {
    /// A watchdog that has no thread yet, and where its thread waits.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (bell, rung) = crossbeam_channel::bounded(1);
        let duty = Duty::resting();
        (Self { bell, duty }, rung)
    }

    /// A host got up: there may be something to watch.
    pub(crate) fn call(&self) {
        if self.duty.call() == Ring::Needed {
            // Full means that it has been called.
            let _ = self.bell.try_send(());
        }
    }
}

impl Duty {
    fn resting() -> Self {
        Self(AtomicBool::new(false))
    }

    /// A host got up.
    fn call(&self) -> Ring {
        // Pairs with the fence in `may_rest`.
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::SeqCst) || self.0.swap(true, Ordering::SeqCst) {
            Ring::Spared
        } else {
            Ring::Needed
        }
    }

    /// Whether the watchdog can rest: it says so first, then looks whether a
    /// host got up meanwhile.
    fn may_rest(&self, all_sleep: impl Fn() -> bool) -> bool {
        if !all_sleep() {
            return false;
        }
        self.0.store(false, Ordering::SeqCst);
        // Pairs with the fence in `call`.
        fence(Ordering::SeqCst);
        all_sleep() || self.0.swap(true, Ordering::SeqCst)
    }
}

/// Gives the watchdog of a node its thread, which ends with the node. Where
/// there is but one host, nobody could help it.
pub(crate) fn start(node: &Arc<NodeInner>, rung: Receiver<()>) -> std::io::Result<()> {
    if node.scheduler.regular == 1 {
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
            .duty
            .may_rest(|| scheduler.sleepers.awake() == 0)
        {
            return Some(());
        }
        let turns = scheduler.turns();
        let stuck = turns.iter().zip(&before).any(|(now, before)| now == before);
        if stuck && scheduler.has_work() {
            if !scheduler.sleepers.wake_one() {
                scheduler.spares.wake_one();
            }
            // From outside the workers, so that one that is parked is woken,
            // and takes what it can from the others.
            if let Some(runtime) = &node.runtime {
                drop(runtime.spawn(async {}));
            }
        }
        before = turns;
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests {
    use std::task::Waker;

    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::{Duty, Ring};
    use crate::scheduler::sleepers::Sleepers;

    /// Hosts that sleep, and a watchdog that was called when the last one got
    /// up and has not yet seen that it lay down again.
    struct World {
        sleepers: Sleepers,
        duty: Duty,
        bell: Notify,
    }

    impl World {
        fn asleep(hosts: usize) -> Arc<Self> {
            let sleepers = Sleepers::new(hosts);
            for host in 0..hosts {
                sleepers.lie_down(host, Waker::noop().clone());
            }
            let duty = Duty::resting();
            let _ = duty.call();
            let bell = Notify::new();
            Arc::new(Self {
                sleepers,
                duty,
                bell,
            })
        }

        fn get_up(&self, host: usize) {
            self.sleepers.rise(host);
            if self.duty.call() == Ring::Needed {
                self.bell.notify();
            }
        }

        /// Rests and is woken until it sees somebody awake. If nobody woke it,
        /// it would rest for ever, which loom sees.
        fn watch(&self) {
            while self.duty.may_rest(|| self.sleepers.awake() == 0) {
                self.bell.wait();
            }
        }
    }

    #[test]
    fn loom_a_host_that_gets_up_never_finds_the_watchdog_at_rest_for_good() {
        crate::testing::model(|| {
            let world = World::asleep(1);
            let host = Arc::clone(&world);
            let host = thread::spawn(move || host.get_up(0));
            world.watch();
            host.join().unwrap();
        });
    }

    #[test]
    fn loom_hosts_that_get_up_and_lie_down_do_not_send_the_watchdog_away() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let world = World::asleep(2);
            let (first, second) = (Arc::clone(&world), Arc::clone(&world));
            let restless = thread::spawn(move || {
                first.get_up(0);
                first.sleepers.lie_down(0, Waker::noop().clone());
            });
            let busy = thread::spawn(move || second.get_up(1));
            world.watch();
            restless.join().unwrap();
            busy.join().unwrap();
        });
    }
}
