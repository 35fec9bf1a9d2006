//! What only the process itself touches: its flags, links, monitors, the exit
//! and down notices it has not received, the replies it owes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::answer::{Debts, Incurred, Owed, Unsent};
use crate::exit_reason::ExitReason;
use crate::few::Few;
use crate::mailbox::{Attention, Stamped};
use crate::pid::{MonitorRef, Pid};
use crate::pool::{Empty, Lazy};
use crate::process::alarm::Alarm;
use crate::process::alias::{Special, Specials};
use crate::process::cell::Process;
use crate::process::links::Links;
use crate::process::reaction::ExitMode;
use crate::report::ServerReport;
use crate::signal::{Cause, Notice, Signal, Watcher};
use crate::slot::Slot;

/// The private side of a process.
///
/// It can be had in the process's own turn only, and nothing of the user's is
/// dropped or called while it is borrowed, because that might come back here.
pub(crate) struct Owner {
    pub(crate) exit_mode: ExitMode,
    pub(crate) attention: Attention,
    /// Whether mail was taken in during this turn and not looked at since: a
    /// receive that was polled before that does not know of it.
    pub(crate) unseen: bool,
    /// At the last one, replies that are dropped are not refused before the
    /// reason of the end is known.
    pub(crate) stage: ProcessStage,
    /// Whether a buffer of messages has grown large.
    pub(crate) swollen: bool,
    /// Whether messages were taken in and not received.
    pub(crate) unread: bool,
    /// How many more operations this turn may do.
    pub(crate) budget: u16,
    /// How many messages were ever received.
    pub(crate) received: u64,
    /// Why this process must end, once that is decided; after the end, why it
    /// ended.
    pub(crate) fate: Option<ExitReason>,
    pub(crate) bonds: Lazy<Bonds>,
    pub(crate) rare: Lazy<Rare>,
    /// Whether it waits in a selective receive, which leaves mail behind.
    #[cfg(feature = "sim")]
    pub(crate) selects: bool,
}

/// How far a process has come: of a server or a state machine, whether somebody
/// waits for its start or its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProcessStage {
    /// `init` runs, and whoever starts it waits.
    Starting,
    /// It is up. What is no server or state machine always is.
    Running,
    /// `terminate` runs.
    Ending,
}

/// Who is to be told of the end.
pub(crate) struct Bonds {
    pub(crate) links: Links,
    /// Who watches this process.
    pub(crate) watchers: Few<MonitorRef, Watcher>,
}

/// What most processes do without most of the time.
pub(crate) struct Rare {
    /// How many unlinks and monitors of this process were numbered.
    numbered: u64,
    /// The monitors this process made, with whom they watch.
    pub(crate) monitors: Few<MonitorRef, Pid>,
    // Invariant: positions do not decrease.
    pub(crate) notices: VecDeque<Stamped<Notice>>,
    /// How often notices were taken out of their midst or put there.
    pub(crate) flushed: u32,
    /// How many of the first notices have priority.
    pub(crate) urgent: u32,
    specials: Option<Box<Specials>>,
    /// The process whose end was the last one received as an exit message.
    pub(crate) last_ended: Pid,
    /// Whether the body waits for an exit message outside a receive.
    pub(crate) awaits_end: bool,
    /// Signals that came after the one that decided the fate.
    pub(crate) unheard: Vec<Signal>,
    /// Replies that calls to this process wait for; answered ones are swept out
    /// now and then.
    pub(crate) owed: Debts,
    /// The length of `owed` at which the next sweep is due.
    pub(crate) sweep_at: usize,
    /// Replies that were dropped unanswered in this turn.
    pub(crate) unanswered: Vec<Unsent>,
    /// The waker of a receive that waits inside a combinator with wakers of
    /// its own.
    pub(crate) receiver: Option<Waker>,
    /// The timer of the calls that it waits for.
    pub(crate) alarm: Alarm,
    /// What a server leaves for its crash report.
    pub(crate) server_report: Option<Box<ServerReport>>,
    /// A count of this process, for the next call that waits for an answer.
    pub(crate) spare: Option<Process>,
}

impl Empty for Bonds {
    const EMPTY: &'static Self = &Self {
        links: Links::NONE,
        watchers: Few::None,
    };

    fn empty() -> Self {
        Self {
            links: Links::NONE,
            watchers: Few::None,
        }
    }
}

impl Rare {
    const SWEEP_MIN: usize = 32;

    /// The monitors and links that are not plain.
    pub(crate) fn specials(&mut self) -> &mut Specials {
        self.specials.get_or_insert_default()
    }

    /// Whether there are any.
    #[inline]
    pub(crate) fn has_specials(&self) -> bool {
        self.specials.is_some()
    }

    /// What is not plain of a monitor, taken out.
    #[cold]
    pub(crate) fn take_special(&mut self, reference: MonitorRef) -> Option<Special> {
        let special = self.specials.as_mut()?.remove(reference);
        self.tidy_specials();
        special
    }

    /// A link is gone, or a plain one now; whether it had priority.
    #[cold]
    pub(crate) fn unmark_link(&mut self, pid: Pid) -> bool {
        let was_marked = self
            .specials
            .as_mut()
            .is_some_and(|all| all.unmark_link(pid));
        self.tidy_specials();
        was_marked
    }

    /// All that was special, to be dropped.
    pub(crate) fn take_specials(&mut self) -> Option<Box<Specials>> {
        self.specials.take()
    }

    fn tidy_specials(&mut self) {
        if self.specials.as_ref().is_some_and(|all| all.is_empty()) {
            self.specials = None;
        }
    }

    /// Puts a notice where it is to be received: at its place among the
    /// messages, or before all that has no priority (law PRIO-02).
    #[inline]
    pub(crate) fn put_notice(&mut self, position: u64, value: Notice, has_priority: bool) {
        if has_priority {
            self.put_first(value);
        } else {
            self.notices.push_back(Stamped { position, value });
        }
    }

    #[cold]
    fn put_first(&mut self, value: Notice) {
        let at = self.urgent as usize;
        self.notices.insert(at, Stamped { position: 0, value });
        self.urgent += 1;
        self.flushed = self.flushed.wrapping_add(1);
    }

    /// Takes notices back that were taken out for a while, so many of them with
    /// priority. What has come meanwhile goes behind what is of its kind.
    pub(crate) fn put_back(&mut self, mut notices: VecDeque<Stamped<Notice>>, urgent: usize) {
        let newly_urgent = std::mem::replace(&mut self.urgent, urgent as u32);
        let mut new = std::mem::take(&mut self.notices);
        let plain = new.split_off(newly_urgent as usize);
        notices.extend(plain);
        self.notices = notices;
        for notice in new {
            self.put_notice(0, notice.value, true);
        }
    }

    /// A notice was taken from the front.
    #[inline]
    pub(crate) fn took(&mut self, notice: &Notice) {
        self.urgent = self.urgent.saturating_sub(1);
        if let Notice::Exit(exit, Cause::Linked) = notice {
            self.last_ended = exit.from;
        }
    }

    const fn new() -> Self {
        Self {
            numbered: 0,
            monitors: Few::None,
            notices: VecDeque::new(),
            flushed: 0,
            urgent: 0,
            specials: None,
            last_ended: Pid::OUTSIDE,
            awaits_end: false,
            unheard: Vec::new(),
            owed: Debts::NONE,
            sweep_at: Self::SWEEP_MIN,
            unanswered: Vec::new(),
            receiver: None,
            alarm: Alarm::NONE,
            server_report: None,
            spare: None,
        }
    }
}

impl Empty for Rare {
    const EMPTY: &'static Self = {
        static EMPTY: Rare = Rare::new();
        &EMPTY
    };

    fn empty() -> Self {
        Self::new()
    }
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
        reply: Owed,
        /// Kept until the caller is told: it holds the way back, which must not
        /// speak first.
        message: Box<dyn Send>,
    },
}

impl Owner {
    /// How many messages a process may receive before it gives way.
    pub(crate) const BUDGET: u16 = 256;

    pub(crate) fn new(exit_mode: ExitMode) -> Self {
        Self {
            exit_mode,
            attention: Attention::Signals,
            unseen: false,
            stage: ProcessStage::Running,
            swollen: false,
            unread: false,
            budget: Self::BUDGET,
            received: 0,
            fate: None,
            bonds: Lazy::default(),
            rare: Lazy::default(),
            #[cfg(feature = "sim")]
            selects: false,
        }
    }

    /// Whether this turn may do one more operation; counts it.
    pub(crate) fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }

    /// Takes a notice out of the midst of the others.
    pub(crate) fn take_notice(&mut self, at: usize) -> Option<Notice> {
        let notice = self.rare.notices.remove(at)?;
        self.rare.flushed = self.rare.flushed.wrapping_add(1);
        if at < self.rare.urgent as usize {
            self.rare.urgent -= 1;
        }
        Some(notice.value)
    }

    /// A number for an unlink or a monitor of this process.
    pub(crate) fn number(&mut self) -> u64 {
        self.rare.numbered += 1;
        self.rare.numbered
    }

    /// Whether a receive need look at nothing but the messages.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.fate.is_none()
            && (!self.rare.is_there()
                || self.rare.notices.is_empty() && self.rare.receiver.is_none())
    }

    /// Whether the last exit message of a link told of the end of this one.
    pub(crate) fn was_told_of_end(&self, pid: Pid) -> bool {
        self.rare.is_there() && self.rare.last_ended == pid
    }

    /// Notes the replies that calls which were taken in wait for. If there are
    /// many by now, the answered ones come out, for the caller to drop; so
    /// seldom that it costs little per call.
    #[inline]
    pub(crate) fn take_owed(&mut self, owed: &mut Incurred) -> Incurred {
        let rare = &mut *self.rare;
        rare.owed.take_over(owed);
        if rare.owed.len() < rare.sweep_at {
            return Incurred::default();
        }
        let answered = rare.owed.take_answered();
        rare.sweep_at = (rare.owed.len() * 2).max(Rare::SWEEP_MIN);
        answered
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}
