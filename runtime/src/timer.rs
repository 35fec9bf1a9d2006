//! Timers: messages and wake-ups that are due at a time of the node's clock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use slab::Slab;

use crate::caught::{discard_payload, drop_caught, wake_caught};
use crate::clock::Clock;
use crate::node::NodeInner;
use crate::pid::Pid;
use crate::reply::stopped;
use crate::scheduler::push_out;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// One timer, to cancel or read it by. Anybody who has it may (law TIMER-08).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TimerRef {
    key: usize,
    // Invariant: no two timers of a node have the same number.
    number: u64,
}

/// All timers of a node.
pub(crate) struct Timers {
    clock: Clock,
    state: Mutex<State>,
    /// Whether the node is over, and every sleep with it.
    over: AtomicBool,
    /// Wakes the keeper, who sleeps until the earliest deadline.
    keeper: AtomicWaker,
}

#[derive(Default)]
struct State {
    timers: Slab<Timer>,
    /// By deadline, and by number where that is equal.
    due: BTreeMap<(Instant, u64), usize>,
    /// The newest timer of each process that timers are aimed at; the others
    /// hang on it.
    aimed: HashMap<Pid, usize>,
    next_number: u64,
}

struct Timer {
    deadline: Instant,
    number: u64,
    action: Action,
    aim: Option<Aim>,
}

/// A timer that goes with the process it is aimed at: a link of that
/// process's list.
struct Aim {
    at: Pid,
    newer: Option<usize>,
    older: Option<usize>,
}

/// What a timer does.
pub(crate) enum Action {
    Wake(Waker),
    Send(Box<dyn FnOnce() + Send>),
}

impl Action {
    fn perform(self) {
        match self {
            Self::Wake(waker) => wake_caught(waker),
            // The message may be dropped here, with its destructor.
            Self::Send(send) => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(send));
                if let Err(payload) = result {
                    discard_payload(payload);
                }
            }
        }
    }
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        let timers = Arc::new(Self {
            clock: clock.clone(),
            state: Mutex::new(State::default()),
            over: AtomicBool::new(false),
            keeper: AtomicWaker::new(),
        });
        if let Clock::Manual(clock) = &clock {
            clock.follow(&timers);
        }
        timers
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Arms a timer; one that is aimed at a process goes with it.
    pub(crate) fn arm(&self, deadline: Instant, aim: Option<Pid>, action: Action) -> TimerRef {
        let deadline = if planted!(TimerEarly) {
            deadline - Duration::from_millis(1)
        } else {
            deadline
        };
        let mut state = self.state.lock();
        let timer = state.insert(deadline, aim, action);
        let is_first = state.due.keys().next() == Some(&(deadline, timer.number));
        drop(state);
        match &self.clock {
            Clock::Manual(clock) => {
                clock.armed_one();
                if deadline <= clock.now() {
                    self.perform(timer);
                }
            }
            Clock::System if is_first => {
                self.keeper.wake();
                push_out();
            }
            Clock::System => {}
            // The simulation looks by itself.
            #[cfg(feature = "sim")]
            Clock::Virtual(_) => {}
        }
        timer
    }

    /// Cancels a timer: how long it had still to run, or `None` if it has
    /// fired or was cancelled (laws TIMER-04, TIMER-05).
    pub(crate) fn cancel(&self, timer: TimerRef) -> Option<Duration> {
        if planted!(CancelledTimerFires) {
            return self.read(timer);
        }
        let cancelled = self.state.lock().remove(timer)?;
        let left = cancelled.deadline.saturating_duration_since(self.now());
        drop_caught(cancelled.action);
        Some(left)
    }

    /// How long a timer has still to run (law TIMER-07).
    pub(crate) fn read(&self, timer: TimerRef) -> Option<Duration> {
        let deadline = self.state.lock().get(timer)?.deadline;
        Some(deadline.saturating_duration_since(self.now()))
    }

    /// Cancels all timers aimed at a process that ended (law TIMER-09).
    pub(crate) fn forget(&self, pid: Pid) {
        let mut forgotten = Vec::new();
        {
            let mut state = self.state.lock();
            while let Some(&key) = state.aimed.get(&pid) {
                forgotten.push(state.remove_key(key));
            }
        }
        for timer in forgotten {
            drop_caught(timer.action);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.state
            .lock()
            .due
            .keys()
            .next()
            .map(|(deadline, _)| *deadline)
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().timers.len()
    }

    /// Performs what is due, in the order of the deadlines (law TIMER-03).
    pub(crate) fn fire(&self, now: Instant) {
        while let Some(timer) = self.next_due(now) {
            timer.action.perform();
        }
    }

    /// Performs the one that is due first.
    #[cfg(feature = "sim")]
    pub(crate) fn fire_first(&self, now: Instant) {
        if let Some(timer) = self.next_due(now) {
            timer.action.perform();
        }
    }

    /// Lets the one that is due first be due later.
    #[cfg(feature = "sim")]
    pub(crate) fn postpone_first(&self, to: Instant) {
        let mut state = self.state.lock();
        if let Some(((_, number), key)) = state.due.pop_first() {
            state.timers[key].deadline = to;
            state.due.insert((to, number), key);
        }
    }

    /// Performs one timer, if nobody else has.
    fn perform(&self, timer: TimerRef) {
        let due = self.state.lock().remove(timer);
        if let Some(due) = due {
            due.action.perform();
        }
    }

    fn next_due(&self, now: Instant) -> Option<Timer> {
        let mut state = self.state.lock();
        let (&(deadline, _), &key) = state.due.first_key_value()?;
        if deadline > now {
            return None;
        }
        Some(state.remove_key(key))
    }

    /// Fires timers on the system clock until the node has stopped.
    pub(crate) async fn keep(node: Arc<NodeInner>) {
        let timers = Arc::clone(&node.timers);
        let sleep = tokio::time::sleep(Duration::ZERO);
        let mut sleep = std::pin::pin!(sleep);
        std::future::poll_fn(|cx| {
            timers.keeper.register(cx.waker());
            if node.scheduler.is_done() {
                return Poll::Ready(());
            }
            loop {
                timers.fire(timers.now());
                let Some(next) = timers.next_deadline() else {
                    return Poll::Pending;
                };
                sleep.as_mut().reset(next.into());
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Lets the keeper see that the node has stopped.
    pub(crate) fn wake_keeper(&self) {
        self.keeper.wake();
    }

    /// Ends all timers of a node that has stopped: messages are dropped, and
    /// sleeps are over.
    pub(crate) fn clear(&self) {
        self.over.store(true, Ordering::SeqCst);
        let state = std::mem::take(&mut *self.state.lock());
        for (_, timer) in state.timers {
            match timer.action {
                Action::Wake(waker) => wake_caught(waker),
                Action::Send(send) => drop_caught(send),
            }
        }
    }
}

impl State {
    fn insert(&mut self, deadline: Instant, aim: Option<Pid>, action: Action) -> TimerRef {
        let number = self.next_number;
        self.next_number += 1;
        let key = self.timers.insert(Timer {
            deadline,
            number,
            action,
            aim: None,
        });
        self.due.insert((deadline, number), key);
        if let Some(at) = aim {
            let older = self.aimed.insert(at, key);
            self.timers[key].aim = Some(Aim {
                at,
                newer: None,
                older,
            });
            if let Some(aim) = older.and_then(|older| self.timers[older].aim.as_mut()) {
                aim.newer = Some(key);
            }
        }
        TimerRef { key, number }
    }

    fn get(&self, timer: TimerRef) -> Option<&Timer> {
        self.timers
            .get(timer.key)
            .filter(|found| found.number == timer.number)
    }

    fn remove(&mut self, timer: TimerRef) -> Option<Timer> {
        self.get(timer)?;
        Some(self.remove_key(timer.key))
    }

    fn remove_key(&mut self, key: usize) -> Timer {
        let timer = self.timers.remove(key);
        self.due.remove(&(timer.deadline, timer.number));
        if let Some(aim) = &timer.aim {
            self.take_from_list(aim);
        }
        timer
    }

    fn take_from_list(&mut self, aim: &Aim) {
        if let Some(older) = aim.older.and_then(|key| self.timers[key].aim.as_mut()) {
            older.newer = aim.newer;
        }
        match (aim.newer, aim.older) {
            (Some(newer), older) => {
                if let Some(newer) = self.timers[newer].aim.as_mut() {
                    newer.older = older;
                }
            }
            (None, Some(older)) => drop(self.aimed.insert(aim.at, older)),
            (None, None) => drop(self.aimed.remove(&aim.at)),
        }
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A wait on the node's clock: the future of [`sleep`](crate::sleep).
///
/// It is over before its time if the node ends.
///
/// # Cancel safety
///
/// Dropping it cancels its timer.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    timers: Arc<Timers>,
    deadline: Instant,
    armed: Option<(TimerRef, Waker)>,
}

impl Sleep {
    pub(crate) fn until(timers: Arc<Timers>, deadline: Instant) -> Self {
        Self {
            timers,
            deadline,
            armed: None,
        }
    }

    /// When it will be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the time has come, or never will.
    fn is_over(&self) -> bool {
        self.timers.now() >= self.deadline || self.timers.over.load(Ordering::SeqCst)
    }

    fn disarm(&mut self) {
        if let Some((timer, waker)) = self.armed.take() {
            self.timers.cancel(timer);
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if stopped() {
            return Poll::Pending;
        }
        if self.is_over() {
            self.disarm();
            return Poll::Ready(());
        }
        let in_place = self
            .armed
            .as_ref()
            .is_some_and(|(_, waker)| waker.will_wake(cx.waker()));
        if !in_place {
            self.disarm();
            let action = Action::Wake(cx.waker().clone());
            let timer = self.timers.arm(self.deadline, None, action);
            self.armed = Some((timer, cx.waker().clone()));
            // The node may have ended before the timer was in its list.
            if self.is_over() {
                self.disarm();
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why a [`timeout`](crate::timeout) brought nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time is up")]
pub struct Elapsed;

#[cfg(all(test, not(resurgam_loom)))]
mod tests;
