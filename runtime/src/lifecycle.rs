//! The journal of a node: the last lifecycle events, for whoever looks later.
//!
//! It lies with the process table and is written under the lock that every
//! spawn and every end takes anyway, so it costs a few stores.

use std::time::{Duration, Instant};

use crate::exit_reason::ExitKind;
use crate::node::Node;
use crate::pid::Pid;
use crate::process;

/// Something that happened in the life of a process or a supervisor; see
/// [`Node::lifecycle`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleEvent {
    /// How many events of the node came before it, the forgotten ones included.
    pub number: u64,
    /// When, on the node's clock; on the machine's clock, when the worker last
    /// looked there. That is some hundred microseconds before, and longer only
    /// if a process has not returned to the scheduler since.
    pub at: Instant,
    /// What.
    pub what: Lifecycle,
}

/// What happened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifecycle {
    /// A process was spawned.
    Spawned {
        /// The process.
        pid: Pid,
        /// The process that spawned it, if one did.
        parent: Option<Pid>,
    },
    /// A process ended: it cannot be seen any more.
    Exited {
        /// The process.
        pid: Pid,
        /// Why. The whole reason goes to links, monitors and crash reports.
        reason: ExitKind,
    },
    /// A supervisor started a child anew.
    Restarted {
        /// The supervisor.
        supervisor: Pid,
        /// The child before.
        old: Pid,
        /// The child now.
        new: Pid,
    },
    /// A supervisor puts the restart of a child off.
    Delayed {
        /// The supervisor.
        supervisor: Pid,
        /// The child as it last ran, if it ever did.
        child: Option<Pid>,
        /// For how long, in milliseconds.
        millis: u64,
    },
    /// A supervisor leaves a child down, since it restarted it too often.
    Parked {
        /// The supervisor.
        supervisor: Pid,
        /// The child as it last ran, if it ever did.
        child: Option<Pid>,
        /// Why the child was down.
        reason: ExitKind,
    },
    /// A supervisor gave up, since it restarted too often.
    GaveUp {
        /// The supervisor.
        supervisor: Pid,
        /// The child whose restart was one too many, as it last ran, if it
        /// ever did.
        child: Option<Pid>,
        /// Why the child was down.
        reason: ExitKind,
    },
    /// A process has held its worker for longer than
    /// [`NodeBuilder::long_schedule`](crate::NodeBuilder::long_schedule)
    /// allows. Said again when the time has doubled.
    LongSchedule {
        /// The process.
        pid: Pid,
        /// For how long by now, in milliseconds.
        millis: u64,
    },
    /// A process of which that was said has returned to the scheduler, or has
    /// ended; its end is noted before this.
    ScheduledOut {
        /// The process.
        pid: Pid,
        /// For how long it held its worker, in milliseconds.
        millis: u64,
    },
}

impl Lifecycle {
    /// A duration as the events have it.
    pub(crate) fn millis(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Node {
    /// How many lifecycle events a node keeps.
    pub const LIFECYCLE_EVENTS: usize = 4096;

    /// The last lifecycle events of the node, the oldest first: at most
    /// [`LIFECYCLE_EVENTS`](Self::LIFECYCLE_EVENTS) (laws XLIFE-01 to XLIFE-07).
    ///
    /// Of one process, and of all processes that one spawns, they are in the
    /// order in which they happened.
    ///
    /// Erlang has no such journal; `erlang:trace/3` with `procs` gives the same
    /// events from when it is switched on.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, ExitKind, Lifecycle, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async {})?;
    /// let pid = process.pid().expect("it is no name");
    /// node.block_on(process.join());
    /// let happened: Vec<_> = node.lifecycle().iter().map(|event| event.what).collect();
    /// let spawned = Lifecycle::Spawned { pid, parent: None };
    /// let exited = Lifecycle::Exited { pid, reason: ExitKind::Normal };
    /// assert_eq!(happened, [spawned, exited]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lifecycle(&self) -> Vec<LifecycleEvent> {
        self.inner().table.lifecycle()
    }
}

/// Notes that this process, a supervisor, has started a child anew: for
/// supervisors of your own.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn note_restart(old: Pid, new: Pid) {
    let supervisor = process::self_pid();
    note(Lifecycle::Restarted {
        supervisor,
        old,
        new,
    });
}

/// Notes that this process, a supervisor, puts the restart of a child off: for
/// supervisors of your own.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn note_delay(child: Option<Pid>, delay: Duration) {
    note(Lifecycle::Delayed {
        supervisor: process::self_pid(),
        child,
        millis: Lifecycle::millis(delay),
    });
}

/// Notes that this process, a supervisor, leaves a child down that was down for
/// this reason: for supervisors of your own.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn note_parking(child: Option<Pid>, reason: ExitKind) {
    let supervisor = process::self_pid();
    note(Lifecycle::Parked {
        supervisor,
        child,
        reason,
    });
}

/// Notes that this process, a supervisor, gives up on a child that was down for
/// this reason: for supervisors of your own.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn note_giving_up(child: Option<Pid>, reason: ExitKind) {
    let supervisor = process::self_pid();
    note(Lifecycle::GaveUp {
        supervisor,
        child,
        reason,
    });
}

fn note(what: Lifecycle) {
    Node::on_current(|node| node.table.note(node.about_now(), what));
}

/// The ring of a node's last events.
pub(crate) struct Journal {
    // Invariant: the event with the number `n` lies at `n` modulo the capacity.
    ring: Vec<(Instant, Lifecycle)>,
    /// How many events there ever were.
    written: u64,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            ring: Vec::with_capacity(Node::LIFECYCLE_EVENTS),
            written: 0,
        }
    }

    /// Notes an event, in the place of the oldest one if there is no other.
    #[inline]
    pub(crate) fn note(&mut self, at: Instant, what: Lifecycle) {
        if cfg!(resurgam_unobserved) {
            return;
        }
        let place = self.written as usize % Node::LIFECYCLE_EVENTS;
        match self.ring.get_mut(place) {
            Some(oldest) => *oldest = (at, what),
            // The room is there from the beginning.
            None => self.ring.push((at, what)),
        }
        self.written += 1;
    }

    /// Adds all that is kept, the oldest first.
    pub(crate) fn read(&self, events: &mut Vec<LifecycleEvent>) {
        let first = self.written - self.ring.len() as u64;
        events.extend((first..self.written).map(|number| {
            let (at, what) = self.ring[number as usize % Node::LIFECYCLE_EVENTS];
            LifecycleEvent { number, at, what }
        }));
    }
}
