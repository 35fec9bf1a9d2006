//! The children of a static supervisor, in the order of their start.
//!
//! Each has a rank that grows with every child ever added and never changes,
//! so that to find, append and remove one among many is cheap, and so is to
//! walk from any of them to the end.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use foldhash::fast::RandomState;
use resurgam_runtime::{ExitReason, Pid};

use crate::child_spec::{ChildId, ChildSpec, Restart};
use record::Record;
use rows::Rows;

pub(crate) mod record;
mod rows;
#[cfg(test)]
mod tests;

/// A child's place in the start order. It is never given twice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rank(u64);

/// The ranks from `first` to before `end`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    first: Rank,
    end: Rank,
}

impl Scope {
    pub(crate) const ALL: Self = Self {
        first: Rank(0),
        end: Rank(u64::MAX),
    };

    pub(crate) fn only(rank: Rank) -> Self {
        Self {
            first: rank,
            end: Rank(rank.0 + 1),
        }
    }

    pub(crate) fn from(rank: Rank) -> Self {
        Self {
            first: rank,
            ..Self::ALL
        }
    }

    /// What of this scope stands before `rank`.
    pub(crate) fn before(self, rank: Rank) -> Self {
        Self { end: rank, ..self }
    }

    /// What of this scope stands after `rank`.
    pub(crate) fn after(self, rank: Rank) -> Self {
        Self {
            first: Rank(rank.0 + 1),
            ..self
        }
    }
}

/// Names one wait for a restart, so that an order to try again which has been
/// overtaken by events is recognised.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    rank: Rank,
    number: u64,
}

impl Ticket {
    /// Whose wait it is.
    #[cfg(feature = "sim")]
    pub(crate) fn rank(self) -> Rank {
        self.rank
    }
}

/// What a child is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildState {
    /// It runs, as far as the supervisor knows.
    Running(Pid),
    /// It is down, and so far it could not be started again.
    Restarting(Ticket),
    /// It is down, and is restarted at this time.
    Waiting(Instant),
    /// It is down, as it has spent its budget; if there is a time, it is tried
    /// again then.
    Parked(Option<Instant>),
    /// It is down and stays so until somebody asks for it.
    Stopped,
}

impl ChildState {
    /// When something is to be done about the child.
    fn due(self) -> Option<Instant> {
        match self {
            Self::Waiting(due) => Some(due),
            Self::Parked(due) => due,
            Self::Running(_) | Self::Restarting(_) | Self::Stopped => None,
        }
    }
}

/// One child: what it should be and what it is doing.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) state: ChildState,
    /// Who it was when it last ran.
    pub(crate) last: Option<Pid>,
    /// Why it last ended by itself, or could not be started again.
    pub(crate) last_exit: Option<ExitReason>,
    /// How often it was started anew.
    pub(crate) restarts: u64,
    record: Option<Box<Record>>,
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        let record = Record::of(&spec);
        Self {
            spec,
            state: ChildState::Stopped,
            last: None,
            last_exit: None,
            restarts: 0,
            record,
        }
    }

    /// What is remembered of a child that needs care.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// The pid of a child that runs, as far as the supervisor knows.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match self.state {
            ChildState::Running(pid) => Some(pid),
            ChildState::Restarting(_)
            | ChildState::Waiting(_)
            | ChildState::Parked(_)
            | ChildState::Stopped => None,
        }
    }
}

/// The table of children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children {
    rows: Rows,
    // Invariant: one entry for each row.
    by_id: HashMap<ChildId, Rank, RandomState>,
    // Invariant: one entry for each row that is `Running`.
    by_pid: HashMap<Pid, Rank, RandomState>,
    // Invariant: one entry for each row that is due at some time.
    by_due: BTreeSet<(Instant, Rank)>,
    next_rank: u64,
    next_ticket: u64,
}

impl Children {
    /// Appends a child, not running yet. Its id must be new.
    pub(crate) fn append(&mut self, spec: ChildSpec) -> Rank {
        let rank = Rank(self.next_rank);
        self.next_rank += 1;
        let double = self.by_id.insert(spec.id().clone(), rank);
        debug_assert!(double.is_none(), "child {} is there already", spec.id());
        self.rows.push(rank, Child::new(spec));
        rank
    }

    pub(crate) fn remove(&mut self, rank: Rank) {
        self.set(rank, ChildState::Stopped);
        if let Some(child) = self.rows.remove(rank) {
            self.by_id.remove(child.spec.id());
        }
    }

    pub(crate) fn get(&self, rank: Rank) -> Option<&Child> {
        self.rows.get(rank)
    }

    pub(crate) fn find(&self, id: &ChildId) -> Option<(Rank, &Child)> {
        let rank = *self.by_id.get(id)?;
        Some((rank, self.rows.get(rank)?))
    }

    pub(crate) fn find_pid(&self, pid: Pid) -> Option<(Rank, &Child)> {
        let rank = *self.by_pid.get(&pid)?;
        Some((rank, self.rows.get(rank)?))
    }

    /// The child runs. The start function of a temporary child is let go, as
    /// nobody will need it again.
    pub(crate) fn started(&mut self, rank: Rank, pid: Pid) {
        if let Some(child) = self.set(rank, ChildState::Running(pid)) {
            child.last = Some(pid);
            if child.spec.get_restart() == Restart::Temporary {
                child.spec.release_start();
            }
        }
    }

    /// The child runs in the place of an earlier incarnation, if there was one.
    pub(crate) fn restarted(&mut self, rank: Rank, pid: Pid) {
        if let Some(child) = self.rows.get_mut(rank)
            && child.last.is_some()
        {
            child.restarts += 1;
        }
        self.started(rank, pid);
    }

    /// The child ended by itself.
    pub(crate) fn fell(&mut self, rank: Rank, reason: ExitReason) {
        self.blame(rank, reason);
        self.stopped(rank);
    }

    /// This is why the child is down.
    pub(crate) fn blame(&mut self, rank: Rank, reason: ExitReason) {
        if let Some(child) = self.rows.get_mut(rank) {
            child.last_exit = Some(reason);
        }
    }

    /// The child does not run and is not going to be restarted. A temporary
    /// one is forgotten.
    pub(crate) fn stopped(&mut self, rank: Rank) {
        if let Some(child) = self.set(rank, ChildState::Stopped)
            && child.spec.get_restart() == Restart::Temporary
        {
            self.remove(rank);
        }
    }

    /// The child could not be restarted and will be tried again.
    pub(crate) fn restarting(&mut self, rank: Rank) -> Ticket {
        let ticket = Ticket {
            rank,
            number: self.next_ticket,
        };
        self.next_ticket += 1;
        self.set(rank, ChildState::Restarting(ticket));
        ticket
    }

    /// The child is to be restarted at this time.
    pub(crate) fn waiting(&mut self, rank: Rank, due: Instant) {
        self.set(rank, ChildState::Waiting(due));
    }

    /// The child has spent its budget, and is tried again at this time, if at
    /// all.
    pub(crate) fn parked(&mut self, rank: Rank, due: Option<Instant>) {
        self.set(rank, ChildState::Parked(due));
    }

    /// Which child is due next, and when.
    pub(crate) fn next_due(&self) -> Option<(Instant, Rank)> {
        self.by_due.first().copied()
    }

    /// Of a child that needs care.
    pub(crate) fn record_mut(&mut self, rank: Rank) -> Option<&mut Record> {
        self.rows.get_mut(rank)?.record.as_deref_mut()
    }

    /// Somebody has taken charge of the child: its delays and its budget begin
    /// anew.
    pub(crate) fn renew(&mut self, rank: Rank) {
        if let Some(record) = self.record_mut(rank) {
            record.renew();
        }
    }

    /// The child that still waits with this ticket.
    pub(crate) fn find_ticket(&self, ticket: Ticket) -> Option<Rank> {
        let child = self.get(ticket.rank)?;
        (child.state == ChildState::Restarting(ticket)).then_some(ticket.rank)
    }

    /// The first child of the scope in start order.
    pub(crate) fn first_in(&self, scope: Scope) -> Option<(Rank, &Child)> {
        self.rows.first_in(scope)
    }

    /// The last child of the scope in start order.
    pub(crate) fn last_in(&self, scope: Scope) -> Option<(Rank, &Child)> {
        self.rows.last_in(scope)
    }

    /// Every child, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> + Clone {
        self.rows.iter()
    }

    /// The rank of every child, oldest first.
    pub(crate) fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.rows.ranks()
    }

    fn set(&mut self, rank: Rank, state: ChildState) -> Option<&mut Child> {
        let child = self.rows.get_mut(rank)?;
        let before = std::mem::replace(&mut child.state, state);
        if let ChildState::Running(pid) = before {
            self.by_pid.remove(&pid);
        }
        if let ChildState::Running(pid) = state {
            self.by_pid.insert(pid, rank);
        }
        if let Some(due) = before.due() {
            self.by_due.remove(&(due, rank));
        }
        if let Some(due) = state.due() {
            self.by_due.insert((due, rank));
        }
        Some(child)
    }
}
