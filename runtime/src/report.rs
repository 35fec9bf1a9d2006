//! Crash reports: [`CrashReport`], the last of which a node keeps, and
//! `tracing` events with the target `resurgam::crash`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::caught::guarded;
use crate::exit_reason::{ExitKind, ExitReason};
use crate::name::Name;
use crate::node::Node;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process::exit::Death;
use crate::process::reaction::ExitMode;
use crate::sys::Event;

/// What there is to say of a process that crashed; see
/// [`Node::crash_reports`].
///
/// It holds nothing of the user's: what was the user's is text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashReport {
    /// When it was written, on the node's clock.
    pub at: Instant,
    /// Who it was.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
    /// Its label.
    pub label: Option<String>,
    /// Which reason it ended with.
    pub kind: ExitKind,
    /// The same for people.
    pub reason: String,
    /// Where it panicked.
    pub place: Option<String>,
    /// Parent, grandparent and so on, as far as they lived then.
    pub ancestors: Vec<Pid>,
    /// On whose behalf it worked, the nearest first, if it was a task.
    pub callers: Vec<Pid>,
    /// Whom it was linked to: who may fall with it.
    pub links: Vec<Pid>,
    /// Whether it trapped exits.
    pub trap_exit: bool,
    /// How many messages it had not received.
    pub queue_len: usize,
    /// More of a server or a state machine.
    pub server: Option<Box<ServerReport>>,
}

/// What there is to say of a server that crashed, beside what there is of its
/// process (law LOG-07).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerReport {
    /// The type that its author wrote.
    pub behaviour: &'static str,
    /// Its state before `terminate`, as it
    /// [formats](crate::GenServer::format_status) it.
    pub state: String,
    /// The last event of its log: what it crashed at, as a rule. None if it
    /// has no [log](crate::BehaviourBuilder::log).
    pub last_event: Option<Event>,
    /// The last caller that the crash leaves without an answer, among those
    /// whose reply was dropped then.
    pub client: Option<Client>,
    /// The last events, the oldest first; none if there is no log.
    pub log: Vec<Event>,
}

/// Who called a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The process; [`Pid::OUTSIDE`] if it was none.
    pub pid: Pid,
    /// Its label.
    pub label: Option<String>,
}

impl Node {
    /// How many crash reports a node keeps, if its builder says no
    /// [other number](crate::NodeBuilder::crash_reports).
    pub const CRASH_REPORTS: usize = 64;

    /// The last crash reports, the oldest first: of processes that ended by
    /// themselves for a reason that is not graceful (laws PLIB-09, PLIB-11,
    /// LOG-07). They are kept whether or not anybody listens to `tracing`.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, ExitReason, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async { ExitReason::custom("bored") })?;
    /// node.block_on(process.join());
    /// let [report] = &node.crash_reports()[..] else { panic!("not one") };
    /// assert_eq!((Some(report.pid), &*report.reason), (process.pid(), "\"bored\""));
    /// # Ok(())
    /// # }
    /// ```
    pub fn crash_reports(&self) -> Vec<Arc<CrashReport>> {
        self.inner().crashes.read()
    }
}

/// The last crash reports of a node.
pub(crate) struct Crashes {
    most: usize,
    // Invariant: the oldest first, `most` at most.
    kept: Mutex<VecDeque<Arc<CrashReport>>>,
}

impl Crashes {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    fn note(&self, report: &Arc<CrashReport>) {
        if self.most == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if kept.len() == self.most {
            kept.pop_front()
        } else {
            None
        };
        kept.push_back(Arc::clone(report));
        drop(kept);
        drop(oldest);
    }

    fn read(&self) -> Vec<Arc<CrashReport>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }
}

/// Reports the end of a process if it is a crash: it ended by itself, for a
/// reason that is not graceful (laws PLIB-09, PLIB-11). An exit signal that
/// ends a process is no crash of that process (LOG-08).
///
/// Runs the subscriber's code and what formats the reason; a panic of either
/// goes no further.
pub(crate) fn ended(process: &Process, death: &Death) {
    if cfg!(resurgam_unobserved) {
        return;
    }
    let reason = match death {
        Death::Own(reason) if reason.is_abnormal() => reason,
        Death::Own(_) | Death::Ordered(_) => return,
    };
    let crashes = &process.header().node.crashes;
    guarded(|| {
        let is_heard = || tracing::enabled!(target: "resurgam::crash", tracing::Level::ERROR);
        if crashes.most == 0 && !is_heard() {
            return;
        }
        let report = Arc::new(CrashReport::of(process, reason));
        crashes.note(&report);
        report.tell();
    });
}

impl CrashReport {
    fn of(process: &Process, reason: &ExitReason) -> Self {
        let header = process.header();
        let reason_text = reason.to_string();
        let (place, ancestors) = match reason {
            ExitReason::Panicked(panic) => (panic.location(), panic.ancestors().to_vec()),
            _ => (None, header.node.ancestors(header.parent()).to_vec()),
        };
        let queue_len = process.queue_len();
        let mut owner = process.owner();
        let server = if owner.rare.is_there() {
            owner.rare.server_report.take()
        } else {
            None
        };
        Self {
            at: header.node.about_now(),
            pid: header.pid,
            name: header.name(),
            label: header.label().as_deref().map(str::to_owned),
            kind: reason.kind(),
            reason: reason_text,
            place: place.map(str::to_owned),
            ancestors,
            callers: header.callers().as_deref().unwrap_or_default().to_vec(),
            links: owner.bonds.links.linked().collect(),
            trap_exit: owner.exit_mode == ExitMode::Trapped,
            queue_len,
            server,
        }
    }

    /// Tells it to whoever listens.
    fn tell(&self) {
        let server = self.server.as_ref();
        let last_event = server.and_then(|server| server.last_event.as_ref());
        let client = server.and_then(|server| server.client.as_ref());
        let client_label = client.and_then(|client| client.label.as_deref());
        tracing::error!(
            target: "resurgam::crash",
            pid = %self.pid,
            name = self.name.as_ref().map(|name| name.as_str()),
            label = self.label.as_deref(),
            reason = %self.reason,
            place = self.place.as_deref(),
            ancestors = ?self.ancestors,
            callers = some(&self.callers),
            links = some(&self.links),
            queue_len = self.queue_len,
            behaviour = server.map(|server| server.behaviour),
            state = server.map(|server| server.state.as_str()),
            last_event = last_event.map(tracing::field::display),
            client = client.map(|client| tracing::field::display(client.pid)),
            client_label,
            log = server.and_then(|server| some(&server.log)),
            "process crashed"
        );
    }
}

/// A list as a field, if there is anything in it.
fn some<T: fmt::Debug>(list: &[T]) -> Option<impl tracing::Value> {
    (!list.is_empty()).then(|| tracing::field::debug(list))
}
