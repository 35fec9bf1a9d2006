//! The children of a static supervisor, in the order of their start.
//!
//! Each has a rank that grows with every child ever added and never changes,
//! so that to find, append and remove one among many is cheap, and so is to
//! walk from any of them to the end.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use resurgam_runtime::Pid;

use crate::child_spec::{ChildId, ChildSpec, Restart};
use rows::Rows;

mod rows;
#[cfg(test)]
mod tests;

/// A child's place in the start order. It is never given twice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What a child is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildState {
    /// It runs, as far as the supervisor knows.
    Running(Pid),
    /// It is down, and so far it could not be started again.
    Restarting(Ticket),
    /// It is down and stays so until somebody asks for it.
    Stopped,
}

/// One child: what it should be and what it is doing.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) state: ChildState,
    /// Who it was when it last ran.
    pub(crate) last: Option<Pid>,
}

impl Child {
    /// The pid of a child that runs, as far as the supervisor knows.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match self.state {
            ChildState::Running(pid) => Some(pid),
            ChildState::Restarting(_) | ChildState::Stopped => None,
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
        let state = ChildState::Stopped;
        self.rows.push(
            rank,
            Child {
                spec,
                state,
                last: None,
            },
        );
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
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.rows.iter()
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
        Some(child)
    }
}
