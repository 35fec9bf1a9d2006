//! [`Slot`]: a place where one answer is left and one task waits for it.

use std::fmt;
use std::task::{Context, Poll, Waker};

use crate::caught::wake_caught;
use crate::sync::{Guard, Lock};

/// A place for one answer.
///
/// Settled at most once; the first one to settle it wins. Whoever waits may go
/// away at any time, and what comes after that is dropped.
pub(crate) struct Slot<T>(Lock<State<T>>);

enum State<T> {
    /// Nothing has come yet; the waker is of whoever waits.
    Open(Option<Waker>),
    /// The answer lies here.
    Settled(T),
    /// The answer was taken, or nobody wants it any more.
    Closed,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Lock::new(0, State::Open(None)))
    }

    /// Leaves the answer and wakes whoever waits; drops it if it comes second
    /// or too late.
    pub(crate) fn settle(&self, answer: T) {
        let mut state = self.0.lock();
        let State::Open(waker) = &mut *state else {
            drop(state);
            return;
        };
        let waker = waker.take();
        *state = State::Settled(answer);
        drop(state);
        if let Some(waker) = waker {
            wake_caught(waker);
        }
    }

    /// Takes the answer, or leaves a waker to be told by.
    ///
    /// Stays pending for ever once the answer was taken or given up.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock();
        let stale = match &mut *state {
            State::Open(Some(waker)) if waker.will_wake(cx.waker()) => None,
            State::Open(waker) => waker.replace(cx.waker().clone()),
            State::Settled(_) => return Self::take(state).map_or(Poll::Pending, Poll::Ready),
            State::Closed => None,
        };
        drop(state);
        drop(stale);
        Poll::Pending
    }

    /// Gives up waiting; the answer, if it came before.
    pub(crate) fn close(&self) -> Option<T> {
        Self::take(self.0.lock())
    }

    /// Whether an answer would still be taken in.
    #[cfg(all(test, resurgam_loom))]
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.0.lock(), State::Open(_))
    }

    fn take(mut state: Guard<'_, State<T>>) -> Option<T> {
        let before = std::mem::replace(&mut *state, State::Closed);
        drop(state);
        match before {
            State::Settled(answer) => Some(answer),
            State::Open(_) | State::Closed => None,
        }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests {
    use loom::future::block_on;
    use loom::sync::Arc;
    use loom::thread;

    use super::{Context, Slot, Waker};

    #[test]
    fn loom_an_answer_always_wakes_the_one_who_waits() {
        crate::testing::model(|| {
            let slot = Arc::new(Slot::new());
            let answerer = Arc::clone(&slot);
            let handle = thread::spawn(move || answerer.settle(7));
            let answer = block_on(std::future::poll_fn(|cx| slot.poll(cx)));
            assert_eq!(answer, 7);
            handle.join().unwrap();
        });
    }

    #[test]
    fn loom_of_two_answers_one_arrives() {
        crate::testing::model(|| {
            let slot = Arc::new(Slot::new());
            let (a, b) = (Arc::clone(&slot), Arc::clone(&slot));
            let first = thread::spawn(move || a.settle(1));
            let second = thread::spawn(move || b.settle(2));
            let answer = block_on(std::future::poll_fn(|cx| slot.poll(cx)));
            assert!(answer == 1 || answer == 2);
            first.join().unwrap();
            second.join().unwrap();
            assert!(!slot.is_open());
        });
    }

    #[test]
    fn loom_closing_and_settling_agree_on_who_has_the_answer() {
        crate::testing::model(|| {
            let slot = Arc::new(Slot::new());
            let answerer = Arc::clone(&slot);
            let handle = thread::spawn(move || answerer.settle(7));
            let early = slot.close();
            handle.join().unwrap();
            assert!(matches!(early, None | Some(7)));
            assert_eq!(slot.close(), None);
        });
    }

    /// As in a `select`: the place is polled with one waker, then with another,
    /// while the answer comes.
    #[test]
    fn loom_the_latest_waker_is_the_one_that_counts() {
        crate::testing::model(|| {
            let slot = Arc::new(Slot::new());
            let answerer = Arc::clone(&slot);
            let handle = thread::spawn(move || answerer.settle(7));
            let early = slot.poll(&mut Context::from_waker(Waker::noop()));
            if early.is_pending() {
                let answer = block_on(std::future::poll_fn(|cx| slot.poll(cx)));
                assert_eq!(answer, 7);
            }
            handle.join().unwrap();
        });
    }
}
