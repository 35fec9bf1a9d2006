//! What the tests and models of the runtime share.

use std::collections::VecDeque;
use std::iter;

use crate::answer::Owed;
use crate::mailbox::{Attention, Entry, Mailbox, Rejected, Stamped, Wake, next_entry};
use crate::pool::Queue;
use crate::signal::{Notice, Signal};

/// A mailbox and its owner's inbox, as a cell has them.
pub(crate) struct Owned<M>(pub(crate) Mailbox<M>);

/// What a test's owner has taken in.
pub(crate) struct Inbox<M> {
    pub(crate) messages: VecDeque<M>,
    received: u64,
}

/// What was left in a mailbox when it was closed.
pub(crate) struct Remains<M> {
    pub(crate) messages: VecDeque<M>,
    #[cfg_attr(not(resurgam_loom), expect(dead_code, reason = "for the models"))]
    pub(crate) signals: Queue<Stamped<Signal>>,
    pub(crate) owed: Vec<Owed>,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            received: 0,
        }
    }

    pub(crate) fn next(&mut self, notices: &mut VecDeque<Stamped<Notice>>) -> Option<Entry<M>> {
        next_entry(&mut self.messages, &mut self.received, notices)
    }
}

impl<M> Owned<M> {
    pub(crate) fn new() -> Self {
        Self(Mailbox::new())
    }

    pub(crate) fn push(&self, message: M) -> Result<Wake, M> {
        self.0.push(message).map_err(closed)
    }

    #[cfg(resurgam_loom)]
    pub(crate) fn push_if(
        &self,
        message: M,
        admit: impl FnOnce() -> Option<Option<Signal>>,
    ) -> Result<Wake, M> {
        self.0.push_if(message, admit)
    }

    /// Does something under the lock.
    #[cfg(resurgam_loom)]
    pub(crate) fn locked<R>(&self, act: impl FnOnce() -> R) -> R {
        self.0.core.locked(act)
    }

    pub(crate) fn push_call(&self, message: M, owed: Owed) -> Result<Wake, (M, Owed)> {
        self.0.push_call(message, owed).map_err(closed)
    }

    pub(crate) fn push_signal(&self, signal: Signal) -> Result<Wake, Signal> {
        self.0.core.push_signal(signal)
    }

    pub(crate) fn notify(&self) -> Wake {
        self.0.core.notify()
    }

    pub(crate) fn is_signalled(&self) -> bool {
        self.0.core.is_signalled()
    }

    pub(crate) fn begin_turn(&self) {
        assert!(self.0.core.begin_turn().is_some(), "it is in no queue");
    }

    pub(crate) fn end_turn(&self, attention: Attention) -> Wake {
        self.0.core.end_turn(attention)
    }

    /// Moves all that has come into the inbox; the signals.
    pub(crate) fn take(
        &self,
        inbox: &mut Inbox<M>,
        owed: &mut Vec<Owed>,
    ) -> Queue<Stamped<Signal>> {
        let mut locked = self.0.core.lock();
        self.0.take(&mut locked, &mut inbox.messages);
        let shared = locked.shared();
        owed.extend(iter::from_fn(|| shared.owed.pop()));
        let signals = std::mem::take(&mut shared.signals);
        locked.nothing_new();
        signals
    }

    pub(crate) fn close(&self) -> Remains<M> {
        let mut locked = self.0.core.lock();
        let messages = self.0.close(&mut locked);
        let shared = locked.shared();
        Remains {
            messages,
            signals: std::mem::take(&mut shared.signals),
            owed: iter::from_fn(|| shared.owed.pop()).collect(),
        }
    }
}

/// What was not taken in by a mailbox without a bound.
fn closed<T>(rejected: Rejected<T>) -> T {
    match rejected {
        Rejected::Closed(value) => value,
        Rejected::Full(_) | Rejected::Dropped(_) => unreachable!("there is no bound"),
    }
}

/// Tries the orders in which the threads of a model can run: all with at most
/// three preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says. Without a
/// bound, some models would take days.
#[cfg(resurgam_loom)]
pub(crate) fn model(threads: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(threads);
}
