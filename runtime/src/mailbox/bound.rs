//! How many messages a mailbox holds at most, and what becomes of one more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Placed;
use crate::admission::Place;
use crate::pid::Pid;
use crate::slot::Slot;

/// What becomes of a message that comes when the mailbox is full.
///
/// Whatever is chosen, it is about messages only: exit signals, downs, orders
/// and replies are never held up, refused or dropped (law XMSG-02).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Overflow {
    /// Those who can wait do, in the order in which they came: calls, within
    /// their time, and [`ProcessRef::send_wait`](crate::ProcessRef::send_wait).
    /// What else is sent is refused, as by [`Refuse`](Self::Refuse).
    Wait,
    /// It is refused: the sender is told at once, if it asks.
    Refuse,
    /// It is dropped. A call is told so.
    DropNewest,
    /// It is taken in, and the oldest one is dropped for it; if that was a
    /// call, its caller is told. What a selective receive has passed over
    /// stays; if nothing else is there, the new one is dropped.
    DropOldest,
}

/// How many messages, and what becomes of one more.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Limit {
    capacity: usize,
    overflow: Overflow,
}

impl Limit {
    #[track_caller]
    pub(crate) fn new(capacity: usize, overflow: Overflow) -> Self {
        assert!(
            capacity > 0,
            "a mailbox must hold at least 1 message, not 0"
        );
        Self { capacity, overflow }
    }
}

/// The bound of a mailbox and how it stands. Under the lock of the mailbox.
pub(crate) struct Bound {
    limit: Limit,
    /// Messages in the queue.
    pub(super) queued: usize,
    /// Messages that the owner has taken and not received.
    pub(super) held: usize,
    /// Places that somebody was promised.
    reserved: usize,
    /// Messages dropped from the front of the queue of which the owner does not
    /// know yet.
    pub(super) skipped: u64,
    /// Messages ever dropped from the front of the queue.
    evicted: u64,
    /// Messages ever turned away.
    refused: u64,
    // Invariant: empty if the overflow is not to wait.
    line: BTreeMap<u64, Waiting>,
    next_ticket: u64,
}

/// Somebody who waits for a place. `None` tells that the mailbox has closed.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) who: Pid,
    pub(crate) slot: Arc<Slot<Option<Place>>>,
}

/// What becomes of a message.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Take,
    /// Take it, and drop the oldest one for it.
    Replace,
    Refuse,
    Drop,
}

/// What somebody finds who asks for a place.
pub(crate) enum Door {
    /// No place is needed: what is sent is taken, dropped or goes nowhere.
    Open,
    /// One was reserved.
    Reserved,
    Full,
    /// It stands in the line, with this ticket.
    Line(u64),
}

/// How the bound of a mailbox stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MailboxInfo {
    /// How many messages it holds at most.
    pub capacity: usize,
    /// What becomes of one more.
    pub overflow: Overflow,
    /// How many messages were refused or dropped until now.
    pub turned_away: u64,
    /// How many wait for a place.
    pub waiting: usize,
}

impl Bound {
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            limit,
            queued: 0,
            held: 0,
            reserved: 0,
            skipped: 0,
            evicted: 0,
            refused: 0,
            line: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queued + self.held
    }

    fn has_room(&self) -> bool {
        self.len() + self.reserved < self.limit.capacity
    }

    /// What becomes of a message that nobody reserved a place for. A place that
    /// has just become free is of who waits.
    fn judge(&self) -> Verdict {
        if self.has_room() && self.line.is_empty() {
            return Verdict::Take;
        }
        match self.limit.overflow {
            Overflow::Wait | Overflow::Refuse => Verdict::Refuse,
            Overflow::DropNewest => Verdict::Drop,
            Overflow::DropOldest if self.queued == 0 => Verdict::Drop,
            Overflow::DropOldest => Verdict::Replace,
        }
    }

    /// Whether a message would be taken; if not, it is turned away.
    pub(super) fn lets_in(&mut self) -> bool {
        let is_taken = matches!(self.judge(), Verdict::Take | Verdict::Replace);
        self.refused += u64::from(!is_taken);
        is_taken
    }

    /// A message comes. If it replaces the oldest one of the queue, whoever
    /// asks takes that out.
    pub(super) fn take_in(&mut self, placed: Placed) -> Verdict {
        let verdict = match placed {
            Placed::Yes => {
                self.reserved -= 1;
                Verdict::Take
            }
            Placed::No => self.judge(),
        };
        match verdict {
            Verdict::Take => self.queued += 1,
            Verdict::Replace => {
                self.skipped += 1;
                self.evicted += 1;
            }
            Verdict::Refuse | Verdict::Drop => self.refused += 1,
        }
        verdict
    }

    /// Messages ever dropped to make room.
    #[cfg(feature = "sim")]
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Asks for a place; who would wait stands in the line if there is none.
    pub(super) fn knock(&mut self, wait: Option<&Waiting>) -> Door {
        let overflow = self.limit.overflow;
        if matches!(overflow, Overflow::DropNewest | Overflow::DropOldest) {
            // What becomes of it is seen when it arrives.
            return Door::Open;
        }
        match (self.judge(), wait) {
            (Verdict::Take | Verdict::Replace | Verdict::Drop, _) => {
                self.reserved += 1;
                Door::Reserved
            }
            (Verdict::Refuse, Some(waiting)) if overflow == Overflow::Wait => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.line.insert(ticket, waiting.clone());
                Door::Line(ticket)
            }
            (Verdict::Refuse, _) => {
                self.refused += 1;
                Door::Full
            }
        }
    }

    /// A place that was reserved is not needed.
    pub(super) fn give_back(&mut self) {
        self.reserved -= 1;
    }

    /// The next in the line, if there is room: a place is reserved for it.
    pub(super) fn admit(&mut self) -> Option<Waiting> {
        if !self.has_room() {
            return None;
        }
        let (_, waiting) = self.line.pop_first()?;
        self.reserved += 1;
        Some(waiting)
    }

    /// Somebody waits no longer.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waiting> {
        self.line.remove(&ticket)
    }

    /// Everybody who waits.
    pub(super) fn dismiss(&mut self) -> BTreeMap<u64, Waiting> {
        std::mem::take(&mut self.line)
    }

    pub(super) fn info(&self) -> MailboxInfo {
        MailboxInfo {
            capacity: self.limit.capacity,
            overflow: self.limit.overflow,
            turned_away: self.refused + self.evicted,
            waiting: self.line.len(),
        }
    }
}
