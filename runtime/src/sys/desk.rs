//! [`Desk`]: what `sys` has put beside a behaviour: whether it is suspended,
//! and who follows what comes to it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use crate::caught::{discard_payload, drop_caught, guarded};
use crate::panic_hook;
use crate::pid::Pid;

/// Something that came to a server or a state machine, as its log, its trace
/// and its debug functions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When it was about to be handled, on the node's clock.
    pub at: Instant,
    /// What it was.
    pub kind: EventKind,
    /// The same for people, as the server formats it.
    pub text: String,
}

/// What an [`Event`] is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A call, a cast, or a message that the server set a time for.
    Message,
    /// What the last callback set to be handled next.
    Continue,
    /// An exit, the end of a monitored process, or a time-out without a
    /// message.
    Info,
    /// A state machine's own: what it inserted.
    Internal,
    /// A timeout of a state machine.
    Timeout,
    /// A state machine is in another state.
    State,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            EventKind::Message => "message",
            EventKind::Continue => "continue",
            EventKind::Info => "info",
            EventKind::Internal => "internal",
            EventKind::Timeout => "timeout",
            EventKind::State => "state",
        };
        write!(f, "{kind} {}", self.text)
    }
}

/// Whether a debug function wants to go on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Debugging {
    /// It is called for the next event too.
    Continue,
    /// It has seen enough, and is removed.
    Done,
}

/// What came to a server or a state machine since this was switched on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// When it was switched on, on the node's clock.
    pub since: Instant,
    /// When the question was answered.
    pub until: Instant,
    /// Messages of its own type.
    pub messages: u64,
    /// Exits, ends of monitored processes, and time-outs.
    pub infos: u64,
    /// What it told itself.
    pub internal: u64,
}

impl Statistics {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            until: now,
            messages: 0,
            infos: 0,
            internal: 0,
        }
    }

    fn count(&mut self, kind: EventKind) {
        let counter = match kind {
            EventKind::Message => &mut self.messages,
            EventKind::Info | EventKind::Timeout => &mut self.infos,
            EventKind::Continue | EventKind::Internal => &mut self.internal,
            EventKind::State => return,
        };
        *counter += 1;
    }
}

/// A debug function. It is the user's, and so is what it holds: a panic of
/// either must not reach the server.
struct Installed {
    id: String,
    /// Taken by the drop.
    debug: Option<DebugFn>,
}

/// What is called for each event.
pub(super) type DebugFn = Box<dyn FnMut(&Event) -> Debugging + Send>;

impl Installed {
    fn follow(&mut self, event: &Event) -> Debugging {
        let Some(debug) = &mut self.debug else {
            return Debugging::Done;
        };
        let followed = panic::catch_unwind(AssertUnwindSafe(|| debug(event)));
        followed.unwrap_or_else(|payload| {
            discard_payload(payload);
            guarded(|| tracing::warn!(target: "resurgam::sys", id = self.id, "debug function panicked; it is removed"));
            Debugging::Done
        })
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        drop_caught(self.debug.take());
    }
}

/// The last events.
struct Log {
    most: usize,
    // Invariant: oldest first, `most` at most.
    events: VecDeque<Event>,
}

impl Log {
    fn new(most: usize) -> Self {
        Self {
            most,
            events: VecDeque::new(),
        }
    }

    fn note(&mut self, event: Event) {
        self.events.push_back(event);
        self.forget();
    }

    fn forget(&mut self) {
        while self.events.len() > self.most {
            self.events.pop_front();
        }
    }
}

/// Whether a behaviour prints what comes to it.
#[derive(Copy, Clone, PartialEq, Eq, Default)]
enum Trace {
    #[default]
    Off,
    On,
}

/// What stands beside a behaviour, and is mostly not there.
#[derive(Default)]
pub(crate) struct Desk {
    /// Since when it is suspended.
    suspended: Option<Instant>,
    log: Option<Log>,
    statistics: Option<Statistics>,
    trace: Trace,
    installed: Vec<Installed>,
}

impl Desk {
    /// A desk whose log keeps so many events.
    pub(crate) fn with_log(most: usize) -> Self {
        Self {
            log: Some(Log::new(most)),
            ..Self::default()
        }
    }

    /// Whether it is as if it were not there.
    pub(crate) fn is_clear(&self) -> bool {
        self.suspended.is_none() && self.statistics.is_none() && !self.is_read()
    }

    /// Whether anybody reads what an event is.
    fn is_read(&self) -> bool {
        self.log.is_some() || self.trace == Trace::On || !self.installed.is_empty()
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// Says that the behaviour is suspended; twice is as good as once.
    pub(super) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
    }

    /// Since when it was suspended, if it was.
    pub(super) fn resume(&mut self) -> Option<Instant> {
        self.suspended.take()
    }

    /// Keeps so many events from now on, and of those it has.
    pub(super) fn log(&mut self, most: usize) {
        let log = self.log.get_or_insert_with(|| Log::new(most));
        log.most = most;
        log.forget();
    }

    pub(super) fn no_log(&mut self) {
        self.log = None;
    }

    /// What the log has kept, the oldest first; `None` if there is no log.
    pub(crate) fn logged(&self) -> Option<Vec<Event>> {
        let log = self.log.as_ref()?;
        Some(log.events.iter().cloned().collect())
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.statistics.get_or_insert_with(|| Statistics::new(now));
    }

    pub(super) fn count_no_more(&mut self) {
        self.statistics = None;
    }

    pub(super) fn statistics(&self, now: Instant) -> Option<Statistics> {
        self.statistics.map(|statistics| Statistics {
            until: now,
            ..statistics
        })
    }

    pub(super) fn trace(&mut self) {
        self.trace = Trace::On;
    }

    pub(super) fn trace_no_more(&mut self) {
        self.trace = Trace::Off;
    }

    /// Whether it was installed: not if there is one of this id (law SYS-10).
    pub(super) fn install(&mut self, id: String, debug: DebugFn) -> bool {
        let installed = Installed {
            id,
            debug: Some(debug),
        };
        let is_new = self.installed.iter().all(|other| other.id != installed.id);
        if is_new {
            self.installed.push(installed);
        }
        is_new
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.installed.len();
        self.installed.retain(|installed| installed.id != id);
        self.installed.len() < before
    }

    /// Removes all that follows events.
    pub(super) fn no_debug(&mut self) {
        *self = Self {
            suspended: self.suspended,
            ..Self::default()
        };
    }

    /// What follows events, by its name.
    pub(super) fn debug(&self) -> Vec<String> {
        let parts = [
            (self.log.is_some(), "log"),
            (self.statistics.is_some(), "statistics"),
            (self.trace == Trace::On, "trace"),
        ];
        let own = parts.into_iter().filter(|(is_on, _)| *is_on);
        let own = own.map(|(_, name)| name.to_owned());
        let installed = self.installed.iter().map(|installed| installed.id.clone());
        own.chain(installed).collect()
    }

    /// Something is about to be handled.
    pub(crate) fn note(
        &mut self,
        pid: Pid,
        now: Instant,
        kind: EventKind,
        text: impl FnOnce() -> String,
    ) {
        if let Some(statistics) = &mut self.statistics {
            statistics.count(kind);
        }
        if !self.is_read() {
            return;
        }
        let event = Event {
            at: now,
            kind,
            text: shown(text),
        };
        if self.trace == Trace::On {
            print(pid, &event);
        }
        self.installed
            .retain_mut(|installed| installed.follow(&event) == Debugging::Continue);
        if let Some(log) = &mut self.log {
            log.note(event);
        }
    }
}

/// Traces an event. Runs the subscriber's code; a panic of it goes no further.
fn print(pid: Pid, event: &Event) {
    guarded(|| tracing::info!(target: "resurgam::trace", %pid, %event));
}

/// What a formatter of the user's says. One that panics hides what it was to
/// show (law SYS-08).
pub(crate) fn shown(format: impl FnOnce() -> String) -> String {
    panic_hook::silent_caught(format).unwrap_or_else(|payload| {
        discard_payload(payload);
        "hidden, for its formatter panicked".to_owned()
    })
}
