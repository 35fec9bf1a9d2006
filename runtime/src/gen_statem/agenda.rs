//! What a state machine does next: its queue of events, those postponed, and
//! its timeouts. *Pure*: timers are armed by whoever owns the agenda.
//!
//! One event goes through [`begin`](Agenda::begin) before the callback, then
//! [`transition`](Agenda::transition), and after the enter call
//! [`set`](Agenda::set) (law STM-04). [`next`](Agenda::next) says what to
//! handle; if nothing, the mailbox is looked into.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::mem;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::TimeoutType;

/// Where timers are armed.
pub(super) trait Timers {
    /// By what one is cancelled.
    type Timer;

    /// Arms a timer of this number.
    fn arm(&mut self, number: u64, due: Due) -> Self::Timer;

    /// Cancels one, if it runs still.
    fn cancel(&mut self, timer: Self::Timer);
}

/// When a timeout is due.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Due {
    After(Duration),
    At(Instant),
}

impl Due {
    const AT_ONCE: Self = Self::After(Duration::ZERO);
}

/// What a callback has ordered for a timeout, whose event has the content `C`.
#[derive(Debug)]
pub(super) enum Order<C> {
    Start(Due, C),
    Update(C),
    Cancel,
}

/// Whether the state is another one now.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Same,
    Changed,
}

/// What is to be handled.
#[derive(PartialEq, Debug)]
pub(super) enum Next<E, N, C> {
    Event(E),
    Timeout(TimeoutType<N>, C),
}

/// Events `E`, and timeouts with names `N`, contents `C` and timers `T`.
#[derive(Debug)]
pub(super) struct Agenda<E, N, C, T> {
    /// To be handled before anything else.
    queue: VecDeque<E>,
    // Invariant: oldest first.
    postponed: Vec<E>,
    /// The number of each timeout that runs.
    numbers: HashMap<TimeoutType<N>, u64, RandomState>,
    // Invariant: it has the numbers that `numbers` has.
    running: HashMap<u64, Running<N, C, T>, RandomState>,
    /// Those with a zero time, first first; some of them may be cancelled.
    zero: VecDeque<u64>,
    /// The number of the timeout that was started last.
    last: u64,
}

#[derive(Debug)]
struct Running<N, C, T> {
    timeout: TimeoutType<N>,
    content: C,
    /// `None` if its time is zero.
    timer: Option<T>,
}

impl<E, N: Clone + Eq + Hash, C, T> Agenda<E, N, C, T> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            postponed: Vec::new(),
            numbers: HashMap::default(),
            running: HashMap::default(),
            zero: VecDeque::new(),
            last: 0,
        }
    }

    /// What is to be handled before the mailbox is looked into: events that
    /// were inserted or are retried, then timeouts of no time (law STM-15).
    pub(super) fn next(&mut self) -> Option<Next<E, N, C>> {
        if let Some(event) = self.queue.pop_front() {
            return Some(Next::Event(event));
        }
        while let Some(number) = self.zero.pop_front() {
            if let Some((timeout, content)) = self.due(number) {
                return Some(Next::Timeout(timeout, content));
            }
        }
        None
    }

    /// The timeout whose time is over; `None` if it was cancelled meanwhile
    /// (law STM-31).
    pub(super) fn due(&mut self, number: u64) -> Option<(TimeoutType<N>, C)> {
        let running = self.running.remove(&number)?;
        self.numbers.remove(&running.timeout);
        Some((running.timeout, running.content))
    }

    /// An event is handled: the event timeout is over (law STM-12).
    pub(super) fn begin(&mut self, timers: &mut impl Timers<Timer = T>) {
        self.cancel(&TimeoutType::Event, timers);
    }

    /// The event was handled, and this came of it. What was postponed is
    /// retried after a change of state, oldest first (law STM-06), but what
    /// was inserted goes before (STM-05).
    pub(super) fn transition(
        &mut self,
        change: Change,
        postponed: Vec<E>,
        inserted: Vec<E>,
        timers: &mut impl Timers<Timer = T>,
    ) {
        self.postponed.extend(postponed);
        if change == Change::Changed {
            if !planted!(StateTimeoutKept) {
                self.cancel(&TimeoutType::State, timers);
            }
            let mut retried = mem::take(&mut self.postponed);
            if planted!(PostponedDropped) {
                drop(retried.drain(..retried.len().min(1)));
            }
            self.put_in_front(retried);
        }
        self.put_in_front(inserted);
    }

    /// Does what was ordered for the timeouts, in this order; of several
    /// orders for one timeout, only the last (law STM-17).
    pub(super) fn set(
        &mut self,
        orders: Vec<(TimeoutType<N>, Order<C>)>,
        timers: &mut impl Timers<Timer = T>,
    ) {
        let mut seen = HashSet::with_hasher(RandomState::default());
        let mut last: Vec<_> = orders
            .into_iter()
            .rev()
            .filter(|(timeout, _)| seen.insert(timeout.clone()))
            .collect();
        last.reverse();
        for (timeout, order) in last {
            match order {
                Order::Start(due, content) => self.start(timeout, due, content, timers),
                Order::Update(content) => self.update(timeout, content, timers),
                Order::Cancel => self.cancel(&timeout, timers),
            }
        }
    }

    fn put_in_front(&mut self, events: Vec<E>) {
        for event in events.into_iter().rev() {
            self.queue.push_front(event);
        }
    }

    fn start(
        &mut self,
        timeout: TimeoutType<N>,
        due: Due,
        content: C,
        timers: &mut impl Timers<Timer = T>,
    ) {
        self.cancel(&timeout, timers);
        self.last += 1;
        let number = self.last;
        let timer = if due == Due::AT_ONCE {
            self.zero.push_back(number);
            None
        } else {
            Some(timers.arm(number, due))
        };
        self.numbers.insert(timeout.clone(), number);
        let running = Running {
            timeout,
            content,
            timer,
        };
        self.running.insert(number, running);
    }

    /// Gives a timeout another content; one that does not run is due at once
    /// (law STM-18).
    fn update(&mut self, timeout: TimeoutType<N>, content: C, timers: &mut impl Timers<Timer = T>) {
        let number = self.numbers.get(&timeout);
        match number.and_then(|number| self.running.get_mut(number)) {
            Some(running) => running.content = content,
            None => self.start(timeout, Due::AT_ONCE, content, timers),
        }
    }

    fn cancel(&mut self, timeout: &TimeoutType<N>, timers: &mut impl Timers<Timer = T>) {
        let Some(number) = self.numbers.remove(timeout) else {
            return;
        };
        let running = self.running.remove(&number);
        if let Some(timer) = running.and_then(|running| running.timer) {
            timers.cancel(timer);
        }
    }
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests;
