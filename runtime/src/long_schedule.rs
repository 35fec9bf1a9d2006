//! Processes that do not return to the scheduler, as the watchdog finds them:
//! [`LongSchedule`], and `tracing` events with the target `resurgam::watchdog`.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

use crate::caught::guarded;
use crate::clock;
use crate::exit_reason::{ExitKind, ExitReason};
use crate::name::Name;
use crate::node::Node;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::signal::{Cause, Signal};

/// A process that has held its worker for longer than
/// [`NodeBuilder::long_schedule`](crate::NodeBuilder::long_schedule) allows;
/// see [`Node::long_schedules`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LongSchedule {
    /// Who it is.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
    /// Its label.
    pub label: Option<String>,
    /// The type of its body's future: it says in which function it was written,
    /// or which server it is.
    pub body: &'static str,
    /// The type of its messages.
    pub messages: &'static str,
    /// Since when, as far as was seen; on the machine's clock.
    pub since: Instant,
    /// For how long.
    pub held: Duration,
    /// An exit signal that has come and cannot be handled before it returns: a
    /// kill if one has come. None if it was noticed in an operation of the
    /// runtime that the process went through meanwhile.
    pub pending_exit: Option<ExitKind>,
}

impl Node {
    /// For how long a process may hold its worker before it is named, if the
    /// node's builder says
    /// [nothing else](crate::NodeBuilder::long_schedule).
    pub const LONG_SCHEDULE: Duration = Duration::from_millis(500);

    /// The processes that hold their workers for longer than
    /// [`NodeBuilder::long_schedule`](crate::NodeBuilder::long_schedule) allows,
    /// at this moment (laws XNODE-01 to XNODE-08). Until they return to the
    /// scheduler they cannot be killed, and what waits for a worker has one
    /// less.
    ///
    /// # Differences from Erlang
    ///
    /// `erlang:system_monitor/2` with `long_schedule` tells of a process when
    /// it comes out; here it is known while it is in.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::builder().long_schedule(Duration::from_millis(20)).start()?;
    /// let (release, released) = mpsc::channel::<()>();
    /// let greedy = node.spawn(|_: Context<()>| async move {
    ///     let _ = released.recv(); // Blocks its worker.
    /// })?;
    /// let named = loop {
    ///     if let Some(named) = node.long_schedules().pop() {
    ///         break named;
    ///     }
    /// };
    /// assert_eq!(Some(named.pid), greedy.pid());
    /// release.send(())?;
    /// node.block_on(greedy.join());
    /// assert!(node.long_schedules().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn long_schedules(&self) -> Vec<LongSchedule> {
        let inner = self.inner();
        let mut schedules = inner.scheduler.long_schedules();
        schedules.retain_mut(|schedule| {
            let process = inner.table.get(schedule.pid);
            // Nobody sees one whose last rites have begun.
            let Some(process) = process.filter(|process| !process.header().is_ending()) else {
                return false;
            };
            schedule.held = clock::stopwatch().duration_since(schedule.since);
            schedule.pending_exit = pending_exit(&process);
            true
        });
        schedules
    }
}

impl LongSchedule {
    pub(crate) fn of(process: &Process, since: Instant, held: Duration) -> Self {
        let header = process.header();
        Self {
            pid: header.pid,
            name: header.name(),
            label: header.label().as_deref().map(str::to_owned),
            body: process.body_type(),
            messages: process.message_type(),
            since,
            held,
            pending_exit: pending_exit(process),
        }
    }
}

/// The exit signal that waits in the mailbox of a process; a kill goes first.
/// Of very many signals it looks at some.
fn pending_exit(process: &Process) -> Option<ExitKind> {
    const MOST: usize = 1024;
    let mut pending = None;
    let mut locked = process.core().lock();
    for signal in locked.shared().signals.iter().take(MOST) {
        let Signal::Exit { exit, cause } = &signal.value else {
            continue;
        };
        if matches!((&exit.reason, cause), (ExitReason::Kill, Cause::Asked)) {
            return Some(ExitKind::Kill);
        }
        pending = Some(exit.reason.kind());
    }
    pending
}

/// What is said of a process that holds its worker.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It does still.
    Held,
    /// It has returned to the scheduler.
    Over,
}

/// Tells the log, on a thread of its own: whoever listens there is the user's,
/// and may block, which must not hold up the watchdog.
pub(crate) struct Teller {
    /// Who listened where the node was made, if anybody did.
    listener: Option<Dispatch>,
    /// To the thread, once there was something to tell.
    reports: Option<Sender<(Stage, LongSchedule)>>,
}

impl Teller {
    /// How many reports may wait for a listener that blocks; more are left out.
    const MOST: usize = 64;

    pub(crate) fn new() -> Self {
        let listener = tracing::dispatcher::get_default(Dispatch::clone);
        Self {
            listener: Some(listener).filter(|listener| !listener.is::<NoSubscriber>()),
            reports: None,
        }
    }

    pub(crate) fn tell(&mut self, stage: Stage, schedule: LongSchedule) {
        if self.reports.is_none() {
            self.reports = self.start();
        }
        if let Some(reports) = &self.reports {
            let _ = reports.try_send((stage, schedule));
        }
    }

    /// The thread ends when the teller is dropped.
    fn start(&self) -> Option<Sender<(Stage, LongSchedule)>> {
        let (reports, reported) = crossbeam_channel::bounded(Self::MOST);
        let listener = self.listener.clone();
        let thread = thread::Builder::new().name("resurgam reports".into());
        let started = thread.spawn(move || {
            for (stage, schedule) in reported {
                tell_caught(listener.as_ref(), stage, &schedule);
            }
        });
        started.ok().map(|_| reports)
    }
}

/// A panic of whoever listens goes no further.
fn tell_caught(listener: Option<&Dispatch>, stage: Stage, schedule: &LongSchedule) {
    guarded(|| match listener {
        Some(listener) => tracing::dispatcher::with_default(listener, || tell(stage, schedule)),
        None => tell(stage, schedule),
    });
}

fn tell(stage: Stage, schedule: &LongSchedule) {
    let what = match stage {
        Stage::Held => "process does not return to the scheduler",
        Stage::Over => "process has returned to the scheduler",
    };
    tracing::warn!(
        target: "resurgam::watchdog",
        pid = %schedule.pid,
        name = schedule.name.as_ref().map(|name| name.as_str()),
        label = schedule.label.as_deref(),
        body = schedule.body,
        messages = schedule.messages,
        held = ?schedule.held,
        pending_exit = schedule.pending_exit.map(tracing::field::debug),
        "{what}"
    );
}
