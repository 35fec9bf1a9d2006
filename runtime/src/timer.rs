//! Timers: messages and wake-ups that are due at a time of the node's clock.

mod wheel;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use futures::task::AtomicWaker;

use crate::caught::{discard_payload, drop_caught, wake_caught};
use crate::clock::Clock;
use crate::node::NodeInner;
use crate::pid::Pid;
use crate::reply::stopped;
use crate::scheduler::push_out;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use wheel::Wheel;

/// One timer, to cancel or read it by. Anybody who has it may (law TIMER-08).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TimerRef {
    key: u32,
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

struct State {
    wheel: Wheel<Action>,
    /// The timers aimed at each process; some of them may be over.
    aimed: HashMap<Pid, Vec<TimerRef>, RandomState>,
    /// When the keeper will look next; `None` if it has nothing to wait for.
    next_look: Option<Instant>,
}

/// What a timer does.
pub(crate) enum Action {
    Wake(Waker),
    Send(Box<dyn FnOnce() + Send>),
}

impl Action {
    fn wakes(&self, waker: &Waker) -> bool {
        matches!(self, Self::Wake(own) if own.will_wake(waker))
    }

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
            state: Mutex::new(State::new(clock.now())),
            over: AtomicBool::new(false),
            keeper: AtomicWaker::new(),
        });
        if let Clock::Manual(clock) = &clock {
            clock.follow(&timers);
        }
        timers
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
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
        let (timer, is_first) = {
            let mut state = self.state.lock();
            let timer = state.wheel.insert(deadline, action);
            if let Some(pid) = aim {
                state.aim(timer, pid);
            }
            (timer, state.is_before_next_look(deadline))
        };
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
        let (deadline, action) = self.state.lock().remove(timer)?;
        let left = deadline.saturating_duration_since(self.now());
        drop_caught(action);
        Some(left)
    }

    /// How long a timer has still to run (law TIMER-07).
    pub(crate) fn read(&self, timer: TimerRef) -> Option<Duration> {
        let deadline = self.state.lock().wheel.deadline(timer)?;
        Some(deadline.saturating_duration_since(self.now()))
    }

    /// Cancels all timers aimed at a process that ended (law TIMER-09).
    pub(crate) fn forget(&self, pid: Pid) {
        let forgotten = self.state.lock().remove_aimed_at(pid);
        for action in forgotten {
            drop_caught(action);
        }
    }

    /// When the first timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.state.lock().wheel.first()
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().wheel.len()
    }

    /// Performs what is due, in the order of the deadlines (law TIMER-03).
    pub(crate) fn fire(&self, now: Instant) {
        /// How many are taken out at once: to hold the lock neither often nor
        /// for long.
        const BATCH: usize = 32;
        let mut due = Vec::new();
        loop {
            {
                let mut state = self.state.lock();
                due.extend(std::iter::from_fn(|| state.wheel.pop_due(now)).take(BATCH));
            }
            if due.is_empty() {
                return;
            }
            for action in due.drain(..) {
                Action::perform(action);
            }
        }
    }

    /// Performs the one that is due first.
    #[cfg(feature = "sim")]
    pub(crate) fn fire_first(&self, now: Instant) {
        let due = self.state.lock().wheel.pop_due(now);
        if let Some(action) = due {
            action.perform();
        }
    }

    /// Lets the one that is due first be due later.
    #[cfg(feature = "sim")]
    pub(crate) fn postpone_first(&self, to: Instant) {
        self.state.lock().wheel.postpone_first(to);
    }

    /// Performs one timer, if nobody else has.
    fn perform(&self, timer: TimerRef) {
        if let Some(action) = self.remove(timer) {
            action.perform();
        }
    }

    fn remove(&self, timer: TimerRef) -> Option<Action> {
        self.state.lock().wheel.remove(timer)
    }

    /// Lets a timer wake this waker; whether it is armed still.
    fn wakes(&self, timer: TimerRef, waker: &Waker) -> bool {
        match self.state.lock().wheel.get_mut(timer) {
            None => return false,
            Some(action) if action.wakes(waker) => return true,
            Some(_) => {}
        }
        // The waker may be the user's: cloned and dropped without the lock.
        let mut new = Action::Wake(waker.clone());
        let is_armed = match self.state.lock().wheel.get_mut(timer) {
            None => false,
            Some(action) => {
                std::mem::swap(action, &mut new);
                true
            }
        };
        drop_caught(new);
        is_armed
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
                let Some(next) = timers.look_again() else {
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

    /// When the keeper has to look again. Until then it is woken only by a
    /// timer that is due before.
    fn look_again(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        state.next_look = state.wheel.nothing_before();
        state.next_look
    }

    /// Lets the keeper see that the node has stopped.
    pub(crate) fn wake_keeper(&self) {
        self.keeper.wake();
    }

    /// Ends all timers of a node that has stopped: messages are dropped, and
    /// sleeps are over.
    pub(crate) fn clear(&self) {
        self.over.store(true, Ordering::SeqCst);
        let state = std::mem::replace(&mut *self.state.lock(), State::new(self.now()));
        for action in state.wheel.into_values() {
            match action {
                Action::Wake(waker) => wake_caught(waker),
                Action::Send(send) => drop_caught(send),
            }
        }
    }
}

impl State {
    fn new(start: Instant) -> Self {
        Self {
            wheel: Wheel::new(start),
            aimed: HashMap::default(),
            next_look: None,
        }
    }

    /// Lets a timer go with a process.
    fn aim(&mut self, timer: TimerRef, pid: Pid) {
        let aimed = self.aimed.entry(pid).or_default();
        if aimed.len() == aimed.capacity() {
            aimed.retain(|timer| self.wheel.get_mut(*timer).is_some());
            // Room for as many again, so that this is rare.
            aimed.reserve(aimed.len() + 1);
        }
        aimed.push(timer);
    }

    fn remove(&mut self, timer: TimerRef) -> Option<(Instant, Action)> {
        let deadline = self.wheel.deadline(timer)?;
        Some((deadline, self.wheel.remove(timer)?))
    }

    fn remove_aimed_at(&mut self, pid: Pid) -> Vec<Action> {
        let aimed = self.aimed.remove(&pid).unwrap_or_default();
        let removed = aimed.into_iter().map(|timer| self.wheel.remove(timer));
        removed.flatten().collect()
    }

    /// Whether this deadline is one that the keeper would miss; it is woken
    /// then and looks.
    fn is_before_next_look(&mut self, deadline: Instant) -> bool {
        let is_before = self.next_look.is_none_or(|next| deadline < next);
        if is_before {
            self.next_look = Some(deadline);
        }
        is_before
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
    /// The timer, from the first poll that had to wait on.
    timer: Option<TimerRef>,
}

impl Sleep {
    pub(crate) fn until(timers: Arc<Timers>, deadline: Instant) -> Self {
        Self {
            timers,
            deadline,
            timer: None,
        }
    }

    /// When it will be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    fn has_come(&self) -> bool {
        self.timers.now() >= self.deadline
    }

    fn arm(&mut self, waker: &Waker) {
        let action = Action::Wake(waker.clone());
        self.timer = Some(self.timers.arm(self.deadline, None, action));
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            drop_caught(self.timers.remove(timer));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if stopped() {
            return Poll::Pending;
        }
        // A timer that is out of the list has fired, or its node is over.
        let is_over = match self.timer {
            Some(timer) => !self.timers.wakes(timer, cx.waker()) || self.has_come(),
            None if self.has_come() => true,
            None => {
                self.arm(cx.waker());
                // The node may have ended before the timer was in its list.
                self.timers.over.load(Ordering::SeqCst)
            }
        };
        if !is_over {
            return Poll::Pending;
        }
        self.disarm();
        Poll::Ready(())
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
