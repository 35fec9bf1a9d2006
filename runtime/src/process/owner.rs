//! What only the process itself touches: its flags, links, monitors, the exit
//! and down notices it has not received, the replies it owes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::exit_reason::ExitReason;
use crate::mailbox::{Attention, Stamped};
use crate::pid::{MonitorRef, Pid};
use crate::process::links::Links;
use crate::process::reaction::ExitMode;
use crate::reply::Owed;
use crate::signal::{Notice, Signal, Watcher};
use crate::slot::Slot;

/// The private side of a process.
///
/// It stands behind a lock that only the thread that runs the process ever
/// takes, so it is never waited for; and nothing of the user's is dropped or
/// called while it is held, because that might come back here.
pub(crate) struct Owner {
    pub(crate) exit_mode: ExitMode,
    pub(crate) links: Links,
    /// The monitors this process made, with whom they watch.
    pub(crate) monitors: BTreeMap<MonitorRef, Pid>,
    /// Who watches this process.
    pub(crate) watchers: BTreeMap<MonitorRef, Watcher>,
    // Invariant: positions do not decrease.
    pub(crate) notices: VecDeque<Stamped<Notice>>,
    /// Why this process must end, once that is decided; after the end, why it
    /// ended.
    pub(crate) fate: Option<ExitReason>,
    /// Who began to wait for the end when it was too late for a signal.
    pub(crate) late: Late,
    /// Signals that came after the one that decided the fate.
    pub(crate) unheard: Vec<Signal>,
    /// Replies that calls to this process wait for; answered ones are swept
    /// out now and then.
    pub(crate) owed: Vec<Arc<dyn Owed>>,
    /// The length of `owed` at which the next sweep is due.
    pub(crate) sweep_at: usize,
    /// Replies that were dropped unanswered in this turn.
    pub(crate) unanswered: Vec<Arc<dyn Owed>>,
    /// Whether the body is at its last: replies dropped now are not refused
    /// before the reason of the end is known.
    pub(crate) ending: bool,
    /// The waker of a receive that waits inside a combinator with wakers of
    /// its own.
    pub(crate) receiver: Option<Waker>,
    pub(crate) attention: Attention,
    /// Whether mail was taken in during this turn and not looked at since: a
    /// receive that was polled before that does not know of it.
    pub(crate) unseen: bool,
    /// How many more operations this turn may do.
    pub(crate) budget: u32,
    /// Numbers the unlinks and monitors of this process.
    pub(crate) next_number: u64,
    pub(crate) label: Option<Arc<str>>,
}

/// Those who wait for the end of a process whose mailbox is closed: they are
/// told after all who came in time, in their order (laws SIG-01, SIG-17).
pub(crate) enum Late {
    Waiting(Vec<LateWaiter>),
    /// Everybody was told; the fate can be had at once.
    Told,
}

/// Who came late.
pub(crate) enum LateWaiter {
    Join {
        owner: Pid,
        slot: Arc<Slot<ExitReason>>,
    },
    Monitor {
        reference: MonitorRef,
        watcher: Watcher,
    },
    Call {
        reply: Arc<dyn Owed>,
        /// Kept until the caller is told: it holds the way back, which must not
        /// speak first.
        message: Box<dyn Send>,
    },
}

impl Owner {
    /// How many messages a process may receive before it gives way.
    pub(crate) const BUDGET: u32 = 256;
    const SWEEP_MIN: usize = 32;

    pub(crate) fn new(exit_mode: ExitMode, label: Option<Arc<str>>) -> Self {
        Self {
            exit_mode,
            links: Links::default(),
            monitors: BTreeMap::new(),
            watchers: BTreeMap::new(),
            notices: VecDeque::new(),
            fate: None,
            late: Late::Waiting(Vec::new()),
            unheard: Vec::new(),
            owed: Vec::new(),
            sweep_at: Self::SWEEP_MIN,
            unanswered: Vec::new(),
            ending: false,
            receiver: None,
            attention: Attention::Signals,
            unseen: false,
            budget: Self::BUDGET,
            next_number: 1,
            label,
        }
    }

    /// Whether this turn may do one more operation; counts it.
    pub(crate) fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }

    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Takes the answered replies out of `owed` when it has grown enough for
    /// that to cost little per call; the caller drops them.
    pub(crate) fn sweep_owed(&mut self) -> Vec<Arc<dyn Owed>> {
        if self.owed.len() < self.sweep_at {
            return Vec::new();
        }
        let answered = self.owed.extract_if(.., |reply| !reply.is_open()).collect();
        self.sweep_at = (self.owed.len() * 2).max(Self::SWEEP_MIN);
        answered
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}
