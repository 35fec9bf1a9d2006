//! Which hosts sleep, and how one is woken: without a lost wake-up.
//!
//! Whoever queues a process first puts it into the queue, then looks for a
//! sleeper. A host that finds nothing first notes itself here, then looks into
//! the queues once more. With a sequentially consistent fence between the two
//! steps on both sides, at least one of them sees the other.

use std::task::Waker;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

#[derive(Debug)]
pub(crate) struct Sleepers {
    asleep: Mutex<Vec<Sleeper>>,
    /// The length of `asleep`; spares the awake the lock. Written under it.
    count: AtomicUsize,
    hosts: usize,
}

#[derive(Debug)]
struct Sleeper {
    host: usize,
    waker: Waker,
}

impl Sleepers {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            asleep: Mutex::new(Vec::with_capacity(hosts)),
            count: AtomicUsize::new(0),
            hosts,
        }
    }

    /// Notes a host as asleep. It must then look into the queues once more,
    /// and [`rise`](Self::rise) if it finds something.
    pub(crate) fn lie_down(&self, host: usize, waker: Waker) {
        let mut asleep = self.asleep.lock();
        let before = match asleep.iter_mut().find(|sleeper| sleeper.host == host) {
            Some(sleeper) => Some(std::mem::replace(&mut sleeper.waker, waker)),
            None => {
                asleep.push(Sleeper { host, waker });
                None
            }
        };
        self.count.store(asleep.len(), Ordering::SeqCst);
        drop(asleep);
        drop(before);
        // Pairs with the fence in `wake_one`.
        fence(Ordering::SeqCst);
    }

    /// A host gets up; whether it was still asleep, that is, nobody woke it.
    pub(crate) fn rise(&self, host: usize) -> bool {
        let mut asleep = self.asleep.lock();
        let Some(at) = asleep.iter().position(|sleeper| sleeper.host == host) else {
            return false;
        };
        let sleeper = asleep.swap_remove(at);
        self.count.store(asleep.len(), Ordering::SeqCst);
        drop(asleep);
        drop(sleeper);
        true
    }

    pub(crate) fn is_asleep(&self, host: usize) -> bool {
        self.asleep
            .lock()
            .iter()
            .any(|sleeper| sleeper.host == host)
    }

    /// Wakes a host, if one sleeps; whether one did. The caller has queued
    /// something before.
    pub(crate) fn wake_one(&self) -> bool {
        // Pairs with the fence in `lie_down`.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let sleeper = {
            let mut asleep = self.asleep.lock();
            let sleeper = asleep.pop();
            self.count.store(asleep.len(), Ordering::SeqCst);
            sleeper
        };
        let Some(sleeper) = sleeper else { return false };
        sleeper.waker.wake();
        true
    }

    pub(crate) fn wake_all(&self) {
        let asleep = {
            let mut asleep = self.asleep.lock();
            self.count.store(0, Ordering::SeqCst);
            std::mem::take(&mut *asleep)
        };
        for sleeper in asleep {
            sleeper.waker.wake();
        }
    }

    /// How many hosts are awake.
    pub(crate) fn awake(&self) -> usize {
        self.hosts - self.count.load(Ordering::SeqCst).min(self.hosts)
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests {
    use std::task::Poll;

    use loom::future::block_on;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::Sleepers;

    /// A host as `host.rs` has it: looks, lies down, looks once more, sleeps.
    fn run_host(sleepers: &Sleepers, queue: &AtomicUsize, index: usize) {
        block_on(std::future::poll_fn(|cx| {
            if take(queue) {
                return Poll::Ready(());
            }
            sleepers.lie_down(index, cx.waker().clone());
            if queue.load(Ordering::SeqCst) > 0 {
                sleepers.rise(index);
                if take(queue) {
                    return Poll::Ready(());
                }
                sleepers.lie_down(index, cx.waker().clone());
            }
            Poll::Pending
        }));
    }

    fn take(queue: &AtomicUsize) -> bool {
        queue
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
    }

    /// If a wake-up were lost, the host would sleep for ever, which loom sees.
    #[test]
    fn loom_a_queued_process_always_finds_a_host() {
        crate::testing::model(|| {
            let sleepers = Arc::new(Sleepers::new(1));
            let queue = Arc::new(AtomicUsize::new(0));
            let (theirs, other) = (Arc::clone(&sleepers), Arc::clone(&queue));
            let sender = thread::spawn(move || {
                other.fetch_add(1, Ordering::Relaxed);
                theirs.wake_one();
            });
            run_host(&sleepers, &queue, 0);
            sender.join().unwrap();
        });
    }

    #[test]
    fn loom_two_senders_and_one_host() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let sleepers = Arc::new(Sleepers::new(1));
            let queue = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let (sleepers, queue) = (Arc::clone(&sleepers), Arc::clone(&queue));
                    thread::spawn(move || {
                        queue.fetch_add(1, Ordering::Relaxed);
                        sleepers.wake_one();
                    })
                })
                .collect();
            run_host(&sleepers, &queue, 0);
            run_host(&sleepers, &queue, 0);
            for sender in senders {
                sender.join().unwrap();
            }
        });
    }
}
