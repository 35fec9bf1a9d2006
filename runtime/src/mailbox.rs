//! The mailbox: where senders push and the owner takes, and where it is
//! decided whether a push must wake the owner.
//!
//! Messages lie in one queue, signals in another; each signal remembers how
//! many messages were pushed before it, so that the one order of each pair of
//! processes can be had back ([`Inbox`] does that). So a kill is found without
//! reading through a million messages, and messages lie as their own type,
//! with no box and no tag.
//!
//! Everything that senders and the owner share stands behind one lock: the two
//! queues and the [`RunState`]. A push decides under that lock whether to wake,
//! and the owner decides under it whether to go idle, so no wake-up is lost.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::reply::Owed;
use crate::signal::{Notice, Signal};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The senders' end.
pub(crate) struct Mailbox<M> {
    queue: Mutex<Queue<M>>,
    /// Whether `queue.signals` is not empty; a hint that spares the owner the
    /// lock. Written under the lock.
    signalled: AtomicBool,
    /// The owner's end; no sender touches it.
    pub(crate) inbox: Mutex<Inbox<M>>,
}

struct Queue<M> {
    state: RunState,
    attention: Attention,
    messages: VecDeque<M>,
    // Invariant: counts every message ever pushed.
    pushed: u64,
    // Invariant: stamps do not decrease and are at most `pushed`.
    signals: Vec<Stamped<Signal>>,
    /// Replies that calls in `messages` wait for.
    owed: Vec<Arc<dyn Owed>>,
}

/// What the scheduler knows of a process.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum RunState {
    /// Not in any run queue; something must wake it.
    Idle,
    /// In a run queue, once.
    Scheduled,
    /// Taking its turn.
    Running,
    /// Taking its turn, and woken meanwhile.
    Notified,
    /// Ended. Nothing is taken in any more.
    Closed,
}

/// What wakes an idle process.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Attention {
    /// Signals only: it waits for something else than its mailbox.
    Signals,
    /// Messages too: it waits in a receive.
    Messages,
}

/// Something with its place among the messages: how many came before it.
#[derive(Debug)]
pub(crate) struct Stamped<T> {
    pub(crate) position: u64,
    pub(crate) value: T,
}

/// Whether the caller now has to put the process into a run queue.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "a process that is not scheduled never runs again"]
pub(crate) enum Wake {
    Schedule,
    Already,
}

/// What was left in a mailbox when it was closed.
pub(crate) struct Remains<M> {
    pub(crate) messages: VecDeque<M>,
    pub(crate) signals: Vec<Stamped<Signal>>,
    pub(crate) owed: Vec<Arc<dyn Owed>>,
}

impl<M> Mailbox<M> {
    /// The mailbox of a process that is about to be scheduled.
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                state: RunState::Scheduled,
                attention: Attention::Signals,
                messages: VecDeque::new(),
                pushed: 0,
                signals: Vec::new(),
                owed: Vec::new(),
            }),
            signalled: AtomicBool::new(false),
            inbox: Mutex::new(Inbox::new()),
        }
    }

    /// Takes a message in, or gives it back if the process has ended.
    pub(crate) fn push(&self, message: M) -> Result<Wake, M> {
        let mut queue = self.queue.lock();
        if queue.state == RunState::Closed {
            drop(queue);
            return Err(message);
        }
        Ok(queue.push(message))
    }

    /// As `push`, and notes the reply that the message asks for, so that the
    /// death of this process is told to the caller.
    pub(crate) fn push_call(&self, message: M, owed: Arc<dyn Owed>) -> Result<Wake, M> {
        let mut queue = self.queue.lock();
        if queue.state == RunState::Closed {
            drop(queue);
            return Err(message);
        }
        queue.owed.push(owed);
        Ok(queue.push(message))
    }

    /// Takes a signal in, or gives it back if the process has ended.
    pub(crate) fn push_signal(&self, signal: Signal) -> Result<Wake, Signal> {
        let mut queue = self.queue.lock();
        if queue.state == RunState::Closed {
            drop(queue);
            return Err(signal);
        }
        let position = queue.pushed;
        queue.signals.push(Stamped {
            position,
            value: signal,
        });
        // Release: pairs with the owner's Acquire in `is_signalled`; the lock
        // orders the rest.
        self.signalled.store(true, Ordering::Release);
        if planted!(SignalDoesNotWake) && queue.state == RunState::Idle {
            return Ok(Wake::Already);
        }
        Ok(queue.wake())
    }

    /// Wakes the process for another reason than its mailbox.
    pub(crate) fn notify(&self) -> Wake {
        self.queue.lock().notify()
    }

    /// Whether signals wait to be taken. For the owner.
    pub(crate) fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Begins a turn. For the scheduler, who took the process from a queue.
    pub(crate) fn begin_turn(&self) {
        let mut queue = self.queue.lock();
        debug_assert_eq!(
            queue.state,
            RunState::Scheduled,
            "a turn without a place in a queue"
        );
        queue.state = RunState::Running;
    }

    /// Takes the process for a last turn outside any run queue; whether nobody
    /// else has it or has ended it.
    pub(crate) fn seize(&self) -> bool {
        let mut queue = self.queue.lock();
        let free = matches!(queue.state, RunState::Idle | RunState::Scheduled);
        if free {
            queue.state = RunState::Running;
        }
        free
    }

    /// Ends a turn; says whether the process has to be queued again.
    pub(crate) fn end_turn(&self, attention: Attention) -> Wake {
        let mut queue = self.queue.lock();
        queue.attention = attention;
        let busy = queue.state == RunState::Notified && !planted!(WakeLostAtTurnEnd)
            || !queue.signals.is_empty()
            || (attention == Attention::Messages && !queue.messages.is_empty());
        if busy {
            queue.state = RunState::Scheduled;
            return Wake::Schedule;
        }
        queue.state = RunState::Idle;
        let spare = spare_buffer(&mut queue.messages);
        drop(queue);
        drop(spare);
        Wake::Already
    }

    /// Moves all that has come into the owner's inbox; returns the signals.
    pub(crate) fn take(
        &self,
        inbox: &mut Inbox<M>,
        owed: &mut Vec<Arc<dyn Owed>>,
    ) -> Vec<Stamped<Signal>> {
        let mut queue = self.queue.lock();
        if inbox.messages.is_empty() || planted!(InboxOverwritten) {
            std::mem::swap(&mut inbox.messages, &mut queue.messages);
        } else {
            inbox.messages.append(&mut queue.messages);
        }
        owed.append(&mut queue.owed);
        self.signalled.store(false, Ordering::Release);
        std::mem::take(&mut queue.signals)
    }

    /// How many messages have come that the owner has not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().messages.len()
    }

    /// Takes nothing in from now on; what was left inside.
    pub(crate) fn close(&self) -> Remains<M> {
        let mut queue = self.queue.lock();
        queue.state = RunState::Closed;
        Remains {
            messages: std::mem::take(&mut queue.messages),
            signals: std::mem::take(&mut queue.signals),
            owed: std::mem::take(&mut queue.owed),
        }
    }
}

impl<M> Queue<M> {
    fn push(&mut self, message: M) -> Wake {
        if planted!(MailboxLifo) {
            self.messages.push_front(message);
        } else {
            self.messages.push_back(message);
        }
        self.pushed += 1;
        match self.attention {
            Attention::Messages if planted!(MessageDoesNotWake) => Wake::Already,
            Attention::Messages => self.wake(),
            Attention::Signals => Wake::Already,
        }
    }

    /// Wakes for something in the queue. A running owner looks into the queue
    /// before it goes idle, so it need not be told.
    fn wake(&mut self) -> Wake {
        match self.state {
            RunState::Idle => {
                self.state = RunState::Scheduled;
                Wake::Schedule
            }
            RunState::Scheduled | RunState::Running | RunState::Notified | RunState::Closed => {
                Wake::Already
            }
        }
    }

    /// Wakes for something the queue does not show.
    fn notify(&mut self) -> Wake {
        if self.state == RunState::Running {
            self.state = RunState::Notified;
        }
        self.wake()
    }
}

/// The owner's end: what was taken from the mailbox and not yet received.
pub(crate) struct Inbox<M> {
    messages: VecDeque<M>,
    // Invariant: counts every message ever received.
    received: u64,
}

/// An entry of an inbox.
pub(crate) enum Entry<M> {
    Message(M),
    Notice(Notice),
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            received: 0,
        }
    }

    /// The oldest entry of the inbox and the notices together.
    pub(crate) fn next(&mut self, notices: &mut VecDeque<Stamped<Notice>>) -> Option<Entry<M>> {
        if notices
            .front()
            .is_some_and(|notice| notice.position <= self.received || planted!(NoticesOvertake))
        {
            return notices
                .pop_front()
                .map(|notice| Entry::Notice(notice.value));
        }
        let message = self.messages.pop_front()?;
        self.received += 1;
        Some(Entry::Message(message))
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Gives a large empty buffer back. For an owner that goes idle.
    pub(crate) fn shrink(&mut self) {
        drop(spare_buffer(&mut self.messages));
    }

    /// All messages not received.
    pub(crate) fn empty(&mut self) -> VecDeque<M> {
        std::mem::take(&mut self.messages)
    }
}

/// The buffer, if it is empty and too large to be kept by an idle process.
fn spare_buffer<M>(messages: &mut VecDeque<M>) -> Option<VecDeque<M>> {
    const KEEP_BYTES: usize = 1024;
    let spare = messages.is_empty() && messages.capacity() * size_of::<M>() > KEEP_BYTES;
    spare.then(|| std::mem::take(messages))
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests;

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
