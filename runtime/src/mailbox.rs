//! The mailbox: where senders push and the owner takes, and where it is
//! decided whether a push must wake the owner.
//!
//! Messages lie in one queue, signals in another; each signal remembers how
//! many messages were pushed before it, so that the one order of each pair of
//! processes can be had back ([`next_entry`] does that). So a kill is found
//! without reading through a million messages, and messages lie as their own
//! type, with no box and no tag.
//!
//! All that senders and the owner share stands behind one [`Lock`]: the queues
//! and, in its flags, the [`RunState`]. A push decides under that lock whether
//! to wake, and the owner decides under it whether to go idle, so no wake-up is
//! lost. The flags also say whether anything has come, so that an owner whom
//! nobody wrote need not take the lock.
#![allow(unsafe_code)]

mod bound;

use std::collections::{BTreeMap, VecDeque};

use crate::answer::{Incurred, Owed};
use crate::caught::drop_caught;
use crate::pool::{Empty, Lazy, Queue};
use crate::process::owner::LateWaiter;
use crate::signal::{Notice, Signal};
use crate::sync::{Guard, Lock, UnsafeCell};

use bound::{Bound, Verdict};
pub(crate) use bound::{Door, Limit, Waiting};
pub use bound::{MailboxInfo, Overflow};

/// The senders' end, for messages of one type.
// The layout is fixed, so that the core is found whatever the messages are.
#[repr(C)]
pub(crate) struct Mailbox<M> {
    pub(crate) core: Core,
    // Invariant: touched by whoever has the lock of `core`, and nobody else.
    queue: UnsafeCell<VecDeque<M>>,
}

// SAFETY: the queue is touched under the lock of `core` only, so sharing a
// mailbox sends messages from thread to thread, one at a time.
unsafe impl<M: Send> Sync for Mailbox<M> {}

/// What of a mailbox does not depend on the type of its messages.
pub(crate) struct Core(Lock<Shared>);

/// What senders and the owner share.
pub(crate) struct Shared {
    // Invariant: counts every message ever pushed.
    pub(crate) pushed: u64,
    // Invariant: stamps do not decrease and are at most `pushed`.
    pub(crate) signals: Queue<Stamped<Signal>>,
    /// Replies that calls in the queue wait for.
    pub(crate) owed: Incurred,
    pub(crate) extra: Lazy<Extra>,
}

/// What most mailboxes do without.
pub(crate) struct Extra {
    /// Those who wait for the end of a process whose mailbox is closed: they
    /// are told after all who came in time, in their order (laws SIG-01,
    /// SIG-17).
    pub(crate) late: Vec<LateWaiter>,
    // Invariant: there is one if the flags say `BOUNDED`.
    bound: Option<Box<Bound>>,
}

impl Empty for Extra {
    const EMPTY: &'static Self = &Self {
        late: Vec::new(),
        bound: None,
    };

    fn empty() -> Self {
        Self {
            late: Vec::new(),
            bound: None,
        }
    }
}

/// What the scheduler knows of a process.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u32)]
enum RunState {
    /// Not in any run queue; something must wake it.
    Idle = 0,
    /// In a run queue, once.
    Scheduled = 1 << 4,
    /// Taking its turn.
    Running = 2 << 4,
    /// Taking its turn, and woken meanwhile.
    Notified = 3 << 4,
    /// Ended. Nothing is taken in any more. No other state has this bit.
    Closed = 4 << 4,
}

/// Messages have come that the owner has not taken.
const MAIL: u32 = 1 << 1;
/// Signals have come that the owner has not taken.
const SIGNALS: u32 = 1 << 2;
/// Calls have come that the owner has not taken.
const OWED: u32 = 1 << 8;
/// The owner waits for messages too.
const ATTENTIVE: u32 = 1 << 3;
/// Everybody who waited for the end was told; who comes now is told at once.
const TOLD: u32 = 1 << 7;
/// There is a bound to how many messages the mailbox holds.
const BOUNDED: u32 = 1 << 9;
/// The bits of the [`RunState`].
const STATE: u32 = 7 << 4;

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

/// Why a message was not taken in.
#[derive(Debug)]
pub(crate) enum Rejected<T> {
    /// The process has ended.
    Closed(T),
    /// The mailbox is full, which the sender is told.
    Full(T),
    /// The mailbox is full, and the message is to be dropped.
    Dropped(T),
}

impl<T> Rejected<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Rejected<U> {
        match self {
            Self::Closed(value) => Rejected::Closed(change(value)),
            Self::Full(value) => Rejected::Full(change(value)),
            Self::Dropped(value) => Rejected::Dropped(change(value)),
        }
    }
}

/// Whether who pushes has reserved a place.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Placed {
    Yes,
    No,
}

/// Whether the caller now has to put the process into a run queue.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "a process that is not scheduled never runs again"]
pub(crate) enum Wake {
    Schedule,
    Already,
}

/// In which state a process was when it was taken for its last turn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seized {
    /// Nobody but its cell knew of it.
    Idle,
    /// A run queue has it still, for nothing.
    Queued,
}

/// The lock of a mailbox, taken.
pub(crate) struct Locked<'a>(Guard<'a, Shared>);

impl Core {
    fn new() -> Self {
        Self(Lock::new(
            RunState::Scheduled as u32,
            Shared {
                pushed: 0,
                signals: Queue::EMPTY,
                owed: Incurred::default(),
                extra: Lazy::default(),
            },
        ))
    }

    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked(self.0.lock())
    }

    /// Takes a signal in, or gives it back if the process has ended.
    pub(crate) fn push_signal(&self, signal: Signal) -> Result<Wake, Signal> {
        let mut locked = self.lock();
        if locked.is_closed() {
            drop(locked);
            return Err(signal);
        }
        if let Signal::AliasDown(down) = &signal {
            down.1.close();
        }
        Ok(locked.append_signal(signal))
    }

    /// As [`push_signal`](Self::push_signal), if `admit` says so under the
    /// lock; it may say which signal goes before it.
    pub(crate) fn push_signal_if(
        &self,
        signal: Signal,
        admit: impl FnOnce() -> Option<Option<Signal>>,
    ) -> Result<Wake, Signal> {
        let mut locked = self.lock();
        let admitted = (!locked.is_closed()).then(admit).flatten();
        let Some(before) = admitted else {
            drop(locked);
            return Err(signal);
        };
        let woken = before.map(|before| locked.append_signal(before));
        let wake = locked.append_signal(signal);
        Ok(woken.unwrap_or(wake))
    }

    /// Does something under the lock.
    pub(crate) fn locked<R>(&self, act: impl FnOnce() -> R) -> R {
        let _locked = self.lock();
        act()
    }

    /// Wakes the process for another reason than its mailbox.
    pub(crate) fn notify(&self) -> Wake {
        self.lock().notify()
    }

    /// As [`notify`](Self::notify), if `is_due`, which is asked under the lock;
    /// `None`, and nothing is asked, if the process has ended.
    #[inline]
    pub(crate) fn notify_if(&self, is_due: impl FnOnce() -> bool) -> Option<Wake> {
        let mut locked = self.lock();
        if locked.is_closed() {
            return None;
        }
        Some(if is_due() {
            locked.notify()
        } else {
            Wake::Already
        })
    }

    /// Whether signals wait to be taken. For the owner.
    #[inline]
    pub(crate) fn is_signalled(&self) -> bool {
        self.0.flags() & SIGNALS != 0
    }

    /// Whether a receive must look at more than the messages that were taken:
    /// signals wait, or there is a bound. For the owner.
    #[inline]
    pub(crate) fn needs_care(&self) -> bool {
        self.0.flags() & (SIGNALS | BOUNDED) != 0
    }

    /// Whether there is a bound to how many messages it holds.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.0.flags() & BOUNDED != 0
    }

    /// Sets a bound. For whoever makes the process.
    pub(crate) fn set_bound(&self, limit: Limit) {
        let mut locked = self.lock();
        locked.0.flags |= BOUNDED;
        locked.0.extra.bound = Some(Box::new(Bound::new(limit)));
    }

    /// Asks for a place; who would wait stands in the line if there is none.
    pub(crate) fn knock(&self, wait: Option<&Waiting>) -> Door {
        let mut locked = self.lock();
        if locked.is_closed() {
            return Door::Open;
        }
        locked.bound().map_or(Door::Open, |bound| bound.knock(wait))
    }

    /// A place that was reserved is not needed.
    pub(crate) fn give_back(&self) {
        if let Some(bound) = self.lock().bound() {
            bound.give_back();
        }
    }

    /// The next in the line, if there is room; a place is reserved for it.
    pub(crate) fn admit(&self) -> Option<Waiting> {
        self.lock().bound()?.admit()
    }

    /// Somebody who stood in the line waits no longer.
    pub(crate) fn leave(&self, ticket: u64) -> Option<Waiting> {
        self.lock().bound()?.leave(ticket)
    }

    /// Everybody who stands in the line.
    pub(crate) fn dismiss(&self) -> BTreeMap<u64, Waiting> {
        let mut locked = self.lock();
        locked.bound().map(Bound::dismiss).unwrap_or_default()
    }

    /// How the bound stands, if there is one.
    pub(crate) fn info(&self) -> Option<MailboxInfo> {
        self.lock().bound().map(|bound| bound.info())
    }

    /// Messages ever dropped to make room for others.
    #[cfg(feature = "sim")]
    pub(crate) fn evicted(&self) -> u64 {
        self.lock().bound().map_or(0, |bound| bound.evicted())
    }

    /// Whether messages wait to be taken. For the owner.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.0.flags() & MAIL != 0
    }

    /// Whether anything waits to be taken. For the owner.
    #[inline]
    pub(crate) fn has_come(&self) -> bool {
        self.0.flags() & (SIGNALS | MAIL) != 0
    }

    /// Begins a turn. For the scheduler, who took the process from a queue.
    #[inline]
    pub(crate) fn begin_turn(&self) -> Option<Locked<'_>> {
        let mut locked = self.lock();
        if locked.state() != RunState::Scheduled as u32 {
            return None;
        }
        locked.set_state(RunState::Running);
        Some(locked)
    }

    /// Takes the process for a last turn outside any run queue; `None` if
    /// somebody else has it or has ended it.
    pub(crate) fn seize(&self) -> Option<Seized> {
        let mut locked = self.lock();
        let seized = match locked.state() {
            state if state == RunState::Idle as u32 => Seized::Idle,
            state if state == RunState::Scheduled as u32 => Seized::Queued,
            _ => return None,
        };
        locked.set_state(RunState::Running);
        Some(seized)
    }

    /// Ends a turn; says whether the process has to be queued again.
    #[inline]
    pub(crate) fn end_turn(&self, attention: Attention) -> Wake {
        const RUNNING: u32 = RunState::Running as u32;
        let idle = match attention {
            Attention::Signals => RunState::Idle as u32,
            Attention::Messages => RunState::Idle as u32 | ATTENTIVE,
        };
        // Nothing has come, as a rule.
        let quiet = self.0.flags() & ATTENTIVE | RUNNING;
        if self.0.exchange(quiet, idle) {
            Wake::Already
        } else {
            self.end_turn_closely(attention)
        }
    }

    /// As [`end_turn`](Self::end_turn), whatever has come.
    #[inline(never)]
    fn end_turn_closely(&self, attention: Attention) -> Wake {
        let mut locked = self.lock();
        let flags = &mut locked.0.flags;
        let unheard = match attention {
            Attention::Signals => {
                *flags &= !ATTENTIVE;
                *flags & SIGNALS
            }
            Attention::Messages => {
                *flags |= ATTENTIVE;
                *flags & (SIGNALS | MAIL)
            }
        };
        let notified = *flags & STATE == RunState::Notified as u32 && !planted!(WakeLostAtTurnEnd);
        if notified || unheard != 0 {
            locked.set_state(RunState::Scheduled);
            return Wake::Schedule;
        }
        locked.set_state(RunState::Idle);
        Wake::Already
    }
}

impl Locked<'_> {
    #[inline]
    fn state(&self) -> u32 {
        self.0.flags & STATE
    }

    #[inline]
    fn set_state(&mut self, state: RunState) {
        self.0.flags = self.0.flags & !STATE | state as u32;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state() == RunState::Closed as u32
    }

    /// Whether a message cannot simply be put into the queue.
    #[inline]
    fn is_particular(&self) -> bool {
        self.0.flags & (RunState::Closed as u32 | BOUNDED) != 0
    }

    fn bound(&mut self) -> Option<&mut Bound> {
        if self.0.flags & BOUNDED == 0 {
            return None;
        }
        self.0.extra.bound.as_deref_mut()
    }

    /// How many messages have come that were not received, of which the owner
    /// has received so many.
    pub(crate) fn unreceived(&mut self, received: u64) -> usize {
        let skipped = self.bound().map_or(0, |bound| bound.skipped);
        (self.0.pushed - received - skipped) as usize
    }

    /// The owner learns which messages were dropped behind the `held` ones that
    /// it has taken.
    pub(crate) fn catch_up(
        &mut self,
        held: usize,
        received: &mut u64,
        notices: &mut VecDeque<Stamped<Notice>>,
    ) {
        let skipped = self
            .bound()
            .map_or(0, |bound| std::mem::take(&mut bound.skipped));
        if skipped > 0 {
            skip_messages(held, skipped, received, notices);
        }
    }

    /// The owner has this many messages that it has not received; whether there
    /// are any, here or there.
    pub(crate) fn holds(&mut self, held: usize) -> bool {
        match self.bound() {
            Some(bound) => {
                bound.held = held;
                bound.len() > 0
            }
            None => held > 0,
        }
    }

    pub(crate) fn shared(&mut self) -> &mut Shared {
        &mut self.0
    }

    /// Whether there are messages in the queue.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.0.flags & MAIL != 0
    }

    #[inline]
    pub(crate) fn has_owed(&self) -> bool {
        self.0.flags & OWED != 0
    }

    #[inline]
    pub(crate) fn has_signals(&self) -> bool {
        self.0.flags & SIGNALS != 0
    }

    /// All that has come is being taken out.
    #[inline]
    pub(crate) fn nothing_new(&mut self) {
        self.0.flags &= !(MAIL | SIGNALS | OWED);
    }

    /// Whether everybody who waited for the end was told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.flags & TOLD != 0
    }

    pub(crate) fn all_told(&mut self) {
        self.0.flags |= TOLD;
    }

    /// Takes a signal in.
    fn append_signal(&mut self, signal: Signal) -> Wake {
        let position = self.0.pushed;
        self.0.signals.push_back(Stamped {
            position,
            value: signal,
        });
        self.0.flags |= SIGNALS;
        if planted!(SignalDoesNotWake) && self.state() == RunState::Idle as u32 {
            return Wake::Already;
        }
        self.wake()
    }

    /// Wakes for something else than the queue.
    #[inline]
    fn notify(&mut self) -> Wake {
        if self.state() == RunState::Running as u32 {
            self.set_state(RunState::Notified);
        }
        self.wake()
    }

    /// Wakes for something in the queue. A running owner looks into the queue
    /// before it goes idle, so it need not be told.
    #[inline]
    fn wake(&mut self) -> Wake {
        if self.state() == RunState::Idle as u32 {
            self.set_state(RunState::Scheduled);
            Wake::Schedule
        } else {
            Wake::Already
        }
    }
}

impl<M> Mailbox<M> {
    /// The mailbox of a process that is about to be scheduled.
    pub(crate) fn new() -> Self {
        Self {
            core: Core::new(),
            queue: UnsafeCell::new(VecDeque::new()),
        }
    }

    /// Takes a message in, or gives it back.
    #[inline]
    pub(crate) fn push(&self, message: M) -> Result<Wake, Rejected<M>> {
        let locked = self.core.lock();
        if locked.is_particular() {
            return self.push_message(locked, message, Placed::No);
        }
        Ok(self.append(locked, message))
    }

    /// As `push`, of somebody who has reserved a place.
    pub(crate) fn push_placed(&self, message: M) -> Result<Wake, Rejected<M>> {
        self.push_message(self.core.lock(), message, Placed::Yes)
    }

    #[cold]
    #[inline(never)]
    fn push_message(
        &self,
        locked: Locked<'_>,
        message: M,
        placed: Placed,
    ) -> Result<Wake, Rejected<M>> {
        self.push_closely(locked, message, None, placed)
            .map_err(|rejected| rejected.map(|(message, _)| message))
    }

    /// As `push`, if `admit` says so under the lock; it may say which signal
    /// goes before the message.
    pub(crate) fn push_if(
        &self,
        message: M,
        admit: impl FnOnce() -> Option<Option<Signal>>,
    ) -> Result<Wake, M> {
        let mut locked = self.core.lock();
        let is_open = !locked.is_closed() && locked.bound().is_none_or(Bound::lets_in);
        let Some(before) = is_open.then(admit).flatten() else {
            drop(locked);
            return Err(message);
        };
        let woken = before.map(|before| locked.append_signal(before));
        let verdict = locked.bound().map(|bound| bound.take_in(Placed::No));
        let replaced = self.make_room(&mut locked, verdict);
        let wake = self.append(locked, message);
        drop_caught(replaced);
        Ok(woken.unwrap_or(wake))
    }

    /// As `push`, and notes the reply that the message asks for, so that the
    /// death of this process is told to the caller.
    #[inline(always)]
    pub(crate) fn push_call(&self, message: M, owed: Owed) -> Result<Wake, Rejected<(M, Owed)>> {
        let mut locked = self.core.lock();
        if locked.is_particular() {
            return self.push_debt(locked, message, owed, Placed::No);
        }
        locked.0.owed.push(owed);
        locked.0.flags |= OWED;
        Ok(self.append(locked, message))
    }

    /// As `push_call`, of somebody who has reserved a place.
    pub(crate) fn push_placed_call(
        &self,
        message: M,
        owed: Owed,
    ) -> Result<Wake, Rejected<(M, Owed)>> {
        self.push_debt(self.core.lock(), message, owed, Placed::Yes)
    }

    #[cold]
    #[inline(never)]
    fn push_debt(
        &self,
        locked: Locked<'_>,
        message: M,
        owed: Owed,
        placed: Placed,
    ) -> Result<Wake, Rejected<(M, Owed)>> {
        self.push_closely(locked, message, Some(owed), placed)
            .map_err(|rejected| {
                rejected.map(|(message, owed)| {
                    let owed = owed.expect("it came with the message");
                    (message, owed)
                })
            })
    }

    /// As `push` or `push_call`, where it is closed or there is a bound.
    #[cold]
    fn push_closely(
        &self,
        mut locked: Locked<'_>,
        message: M,
        owed: Option<Owed>,
        placed: Placed,
    ) -> Result<Wake, Rejected<(M, Option<Owed>)>> {
        if locked.is_closed() {
            drop(locked);
            return Err(Rejected::Closed((message, owed)));
        }
        let verdict = locked.bound().map(|bound| bound.take_in(placed));
        match verdict {
            Some(Verdict::Refuse) => {
                drop(locked);
                return Err(Rejected::Full((message, owed)));
            }
            Some(Verdict::Drop) => {
                drop(locked);
                return Err(Rejected::Dropped((message, owed)));
            }
            Some(Verdict::Take | Verdict::Replace) | None => {}
        }
        let replaced = self.make_room(&mut locked, verdict);
        if let Some(owed) = owed {
            locked.0.owed.push(owed);
            locked.0.flags |= OWED;
        }
        let wake = self.append(locked, message);
        drop_caught(replaced);
        Ok(wake)
    }

    /// Takes out the message that is to be replaced, if one is.
    fn make_room(&self, locked: &mut Locked<'_>, verdict: Option<Verdict>) -> Option<M> {
        if verdict != Some(Verdict::Replace) {
            return None;
        }
        self.with_queue(locked, VecDeque::pop_front)
    }

    #[inline]
    fn append(&self, mut locked: Locked<'_>, message: M) -> Wake {
        self.with_queue(&mut locked, |queue| {
            if planted!(MailboxLifo) {
                queue.push_front(message);
            } else {
                queue.push_back(message);
            }
        });
        locked.0.pushed += 1;
        locked.0.flags |= MAIL;
        if locked.0.flags & ATTENTIVE != 0 && !planted!(MessageDoesNotWake) {
            locked.wake()
        } else {
            Wake::Already
        }
    }

    /// Moves the queue into the owner's inbox, under the lock of this mailbox's
    /// core.
    #[inline]
    pub(crate) fn take(&self, locked: &mut Locked<'_>, inbox: &mut VecDeque<M>) {
        if locked.0.flags & BOUNDED != 0 {
            // Taken one by one, so that it is known which is the oldest.
            return;
        }
        self.take_all(locked, inbox);
    }

    /// As [`take`](Self::take), also if there is a bound.
    #[inline]
    pub(crate) fn take_all(&self, locked: &mut Locked<'_>, inbox: &mut VecDeque<M>) {
        if let Some(bound) = locked.bound() {
            bound.held += std::mem::take(&mut bound.queued);
        }
        self.with_queue(locked, |queue| {
            if inbox.is_empty() || planted!(InboxOverwritten) {
                std::mem::swap(inbox, queue);
            } else {
                inbox.append(queue);
            }
        });
    }

    /// Takes the oldest message of the queue out, where there is a bound.
    pub(crate) fn take_one(&self, locked: &mut Locked<'_>) -> Option<M> {
        let message = self.with_queue(locked, VecDeque::pop_front)?;
        if let Some(bound) = locked.bound() {
            bound.queued -= 1;
            bound.held += 1;
        }
        Some(message)
    }

    /// Takes nothing in from now on; the messages that were left.
    pub(crate) fn close(&self, locked: &mut Locked<'_>) -> VecDeque<M> {
        locked.set_state(RunState::Closed);
        locked.nothing_new();
        self.with_queue(locked, std::mem::take)
    }

    /// Gives the queue's buffer back, if it is empty.
    pub(crate) fn trim(&self, locked: &mut Locked<'_>) {
        self.with_queue(locked, VecDeque::shrink_to_fit);
    }

    #[inline]
    fn with_queue<R>(&self, locked: &mut Locked<'_>, act: impl FnOnce(&mut VecDeque<M>) -> R) -> R {
        debug_assert!(self.core.is_lock(locked), "the lock is another mailbox's");
        let mut queue = self.queue.get_mut();
        // SAFETY: the lock is held, and it is this mailbox's: this is private
        // to the module, and `take` and `close` are called by `cell.rs` and the
        // tests with the lock of `self.core`.
        let result = act(unsafe { queue.deref() });
        queue.release();
        result
    }
}

impl Core {
    fn is_lock(&self, locked: &Locked<'_>) -> bool {
        locked.0.is_of(&self.0)
    }
}

/// An entry of an inbox.
pub(crate) enum Entry<M> {
    Message(M),
    Notice(Notice),
}

/// The oldest entry of the inbox and the notices together. `received` counts
/// the messages ever received.
#[inline]
pub(crate) fn next_entry<M>(
    inbox: &mut VecDeque<M>,
    received: &mut u64,
    notices: &mut VecDeque<Stamped<Notice>>,
) -> Option<Entry<M>> {
    if notices
        .front()
        .is_some_and(|notice| notice.position <= *received || planted!(NoticesOvertake))
    {
        return notices
            .pop_front()
            .map(|notice| Entry::Notice(notice.value));
    }
    let message = inbox.pop_front()?;
    *received += 1;
    Some(Entry::Message(message))
}

/// The message at this place of the inbox, taken out of its midst. The notices
/// keep their places among the others.
pub(crate) fn remove_message<M>(
    inbox: &mut VecDeque<M>,
    received: &mut u64,
    notices: &mut VecDeque<Stamped<Notice>>,
    at: usize,
) -> Option<M> {
    let message = inbox.remove(at)?;
    // Counted as if it had been the first: so what came after it is where it
    // was, and what came before it moves by one.
    let removed = *received + at as u64;
    for notice in notices.iter_mut() {
        if notice.position > *received && notice.position <= removed {
            notice.position += 1;
        }
    }
    *received += 1;
    Some(message)
}

/// So many messages, those behind the `held` ones of the inbox, are no more.
/// The notices keep their places among the others.
fn skip_messages(
    held: usize,
    skipped: u64,
    received: &mut u64,
    notices: &mut VecDeque<Stamped<Notice>>,
) {
    // Counted as if they had been the first, as in `remove_message`.
    let end = *received + held as u64;
    for notice in notices.iter_mut().filter(|n| n.position > *received) {
        notice.position = (notice.position + skipped)
            .min(end + skipped)
            .max(notice.position);
    }
    *received += skipped;
}

/// Whether a buffer that held so many messages is too large to be kept by an
/// idle process.
pub(crate) fn is_large<M>(messages: usize) -> bool {
    const KEEP_BYTES: usize = 1024;
    messages * size_of::<M>() > KEEP_BYTES
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests;

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
