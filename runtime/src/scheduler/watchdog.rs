//! The watchdog: a thread that sees to it that nothing stays stuck behind a
//! process that blocks its worker, and names that process.
//!
//! What is queued at a host can be taken by another one, but that one may
//! sleep, or its Tokio task may itself wait in the queue of the blocked worker
//! with no other worker awake to take it. Only something outside the workers
//! can help then. The watchdog rests while all hosts sleep.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::clock;
use crate::lifecycle::Lifecycle;
use crate::long_schedule::{LongSchedule, Stage, Teller};
use crate::node::NodeInner;
use crate::scheduler::Scheduler;
use crate::scheduler::patience::{Finding, Patience, Running};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// How long a process may hold up what is queued behind it.
const INTERVAL: Duration = Duration::from_millis(5);

/// The least time after which a process can be named within twice that time.
pub(crate) const LEAST_LIMIT: Duration = INTERVAL.saturating_mul(2);

/// The hosts' end of the watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    bell: Sender<()>,
    duty: Duty,
    /// Who was named, and not yet seen to have come back.
    held: Mutex<Vec<Held>>,
}

/// A process that holds a host.
#[derive(Debug)]
struct Held {
    host: usize,
    running: Running,
    schedule: LongSchedule,
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
        let held = Mutex::default();
        (Self { bell, duty, held }, rung)
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
/// there is but one host, nobody could help it, but it can be named; if there is
/// no thread for that, the node does without.
pub(crate) fn start(
    node: &Arc<NodeInner>,
    rung: Receiver<()>,
    limit: Option<Duration>,
) -> std::io::Result<()> {
    let alone = node.scheduler.regular == 1;
    if alone && limit.is_none() {
        return Ok(());
    }
    node.scheduler.watchdog.call();
    let mut rounds = Rounds::new(&node.scheduler, limit);
    let node = Arc::downgrade(node);
    let thread = thread::Builder::new().name("resurgam watchdog".into());
    match thread.spawn(move || while rung.recv().is_ok() && rounds.walk(&node, &rung).is_some() {})
    {
        Err(error) if !alone => Err(error),
        _ => Ok(()),
    }
}

/// What the watchdog does while some host is awake.
struct Rounds {
    /// How often it looks.
    interval: Duration,
    /// How long a process may hold its host and not be named.
    limit: Option<Duration>,
    hosts: Vec<Patience>,
    /// When it last looked.
    looked: Instant,
    teller: Teller,
}

impl Rounds {
    /// So late a look says that the whole program stood still.
    const STANDSTILL: Duration = Duration::from_secs(1);

    fn new(scheduler: &Scheduler, limit: Option<Duration>) -> Self {
        let interval = match limit {
            // Nobody is to be helped, so it need not hurry.
            Some(limit) if scheduler.regular == 1 => {
                (limit / 8).clamp(INTERVAL, Self::STANDSTILL / 8)
            }
            _ => INTERVAL,
        };
        Self {
            interval,
            limit,
            hosts: scheduler
                .hosts
                .iter()
                .map(|_| Patience::default())
                .collect(),
            looked: clock::stopwatch(),
            teller: Teller::new(),
        }
    }

    /// Looks around until all hosts sleep; `None` if the node is over.
    fn walk(&mut self, node: &Weak<NodeInner>, rung: &Receiver<()>) -> Option<()> {
        let mut before = Vec::new();
        loop {
            if rung.recv_timeout(self.interval) == Err(RecvTimeoutError::Disconnected) {
                return None;
            }
            let node = node.upgrade()?;
            let scheduler = &node.scheduler;
            if scheduler.is_done() {
                return None;
            }
            let rests = scheduler.watchdog.duty.may_rest(|| scheduler.all_sleep());
            // Also before a rest, so that no end of a long turn is missed.
            self.look_for_long_turns(&node);
            if rests {
                return Some(());
            }
            let turns = scheduler.turns();
            let stuck = turns.iter().zip(&before).any(|(now, before)| now == before);
            if stuck && scheduler.has_work() {
                help(&node);
            }
            before = turns;
        }
    }

    fn look_for_long_turns(&mut self, node: &NodeInner) {
        let Some(limit) = self.limit else { return };
        let now = clock::stopwatch();
        let late = now.duration_since(std::mem::replace(&mut self.looked, now));
        let since_last = if late < Self::STANDSTILL {
            late
        } else {
            self.interval
        };
        for (host, running) in node.scheduler.running().enumerate() {
            match self.hosts[host].look(running, since_last, limit) {
                Finding::Nothing => {}
                Finding::Held(running, held) => self.name(node, host, running, held),
                Finding::Over(held) => self.report_end(node, host, held),
            }
        }
    }

    /// Names a process that has held its host for so long.
    fn name(&mut self, node: &NodeInner, host: usize, running: Running, held: Duration) {
        let scheduler = &node.scheduler;
        let Some(process) = node.table.at(running.process) else {
            return;
        };
        let since = self.looked.checked_sub(held).unwrap_or(self.looked);
        let schedule = LongSchedule::of(&process, since, held);
        // Else it may be another one, which lies where that one lay.
        if !scheduler.is_running(host, running) {
            return;
        }
        let pid = schedule.pid;
        let millis = Lifecycle::millis(held);
        scheduler.watchdog.note(host, running, schedule.clone());
        node.table
            .note(node.timers.now(), Lifecycle::LongSchedule { pid, millis });
        self.teller.tell(Stage::Held, schedule);
    }

    /// Reports that the process that was named at this host has returned.
    fn report_end(&mut self, node: &NodeInner, host: usize, held: Duration) {
        let Some(mut schedule) = node.scheduler.watchdog.forget(host) else {
            return;
        };
        (schedule.held, schedule.pending_exit) = (held, None);
        let pid = schedule.pid;
        let millis = Lifecycle::millis(held);
        node.table
            .note(node.timers.now(), Lifecycle::ScheduledOut { pid, millis });
        self.teller.tell(Stage::Over, schedule);
    }
}

impl Watchdog {
    fn note(&self, host: usize, running: Running, schedule: LongSchedule) {
        let mut held = self.held.lock();
        held.retain(|held| held.host != host);
        held.push(Held {
            host,
            running,
            schedule,
        });
    }

    fn forget(&self, host: usize) -> Option<LongSchedule> {
        let mut held = self.held.lock();
        let at = held.iter().position(|held| held.host == host)?;
        Some(held.swap_remove(at).schedule)
    }
}

impl Scheduler {
    /// Those who were named and have not come back.
    pub(crate) fn long_schedules(&self) -> Vec<LongSchedule> {
        let held = self.watchdog.held.lock();
        let still = held
            .iter()
            .filter(|held| self.is_running(held.host, held.running));
        still.map(|held| held.schedule.clone()).collect()
    }

    fn is_running(&self, host: usize, running: Running) -> bool {
        self.hosts[host].running() == Some(running)
    }

    fn all_sleep(&self) -> bool {
        self.sleepers.awake() == 0 && self.spares.awake() == 0
    }
}

/// Wakes a host for what is queued at one that is stuck.
fn help(node: &NodeInner) {
    let scheduler = &node.scheduler;
    if !scheduler.sleepers.wake_one() {
        scheduler.spares.wake_one();
    }
    // From outside the workers, so that one that is parked is woken, and takes
    // what it can from the others.
    if let Some(runtime) = &node.runtime {
        drop(runtime.spawn(async {}));
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
