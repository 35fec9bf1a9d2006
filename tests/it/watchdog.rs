//! The watchdog names who does not return to the scheduler: laws XNODE.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use resurgam::{
    Context, ExitKind, ExitReason, GenServer, InitError, Lifecycle, LongSchedule, Node, NodeError,
    Pid, ProcessRef, ServerContext, ThreadContext,
};
use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{self, SubscriberExt};

use crate::scheduler::soon_here;
use crate::support::{idle, keep_reports_open, pid_of};

const LIMIT: Duration = Duration::from_millis(20);

/// The fields of one report, as text.
#[derive(Debug, Default)]
struct Report(BTreeMap<&'static str, String>);

impl Report {
    #[track_caller]
    fn says(&self, field: &str, value: impl ToString) {
        let said = self.0.get(field).map(String::as_str);
        assert_eq!(said, Some(&*value.to_string()), "{field} in {self:?}");
    }
}

impl Visit for Report {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Passes the watchdog's reports on, and then does something of its own.
struct Listener {
    reports: Mutex<mpsc::Sender<Report>>,
    deed: Arc<dyn Fn() + Send + Sync>,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        if event.metadata().target() != "resurgam::watchdog" {
            return;
        }
        let mut report = Report::default();
        event.record(&mut report);
        let level = event.metadata().level().to_string();
        report.0.insert("level", level);
        let _ = self.reports.lock().unwrap().send(report);
        (self.deed)();
    }
}

/// A node of so many workers, and what its watchdog says.
fn node(workers: usize) -> (Node, mpsc::Receiver<Report>) {
    node_heard_by(workers, || ())
}

fn node_heard_by(
    workers: usize,
    deed: impl Fn() + Send + Sync + 'static,
) -> (Node, mpsc::Receiver<Report>) {
    keep_reports_open();
    let (reports, reported) = mpsc::channel();
    let listener = Listener {
        reports: Mutex::new(reports),
        deed: Arc::new(deed),
    };
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(listener));
    let _here = dispatcher::set_default(&dispatch);
    let builder = Node::builder().workers(workers).long_schedule(LIMIT);
    (builder.start().unwrap(), reported)
}

/// A process that blocks its worker until it is released.
struct Blocker {
    process: ProcessRef<()>,
    release: mpsc::Sender<()>,
}

impl Blocker {
    fn start(node: &Node) -> Self {
        let (release, released) = mpsc::channel();
        let options = node.spawn_options().name("greedy").label("a glutton");
        let spawned = options.spawn(move |_: Context<()>| async move { soon_here(&released) });
        Self {
            process: spawned.unwrap().process,
            release,
        }
    }

    fn pid(&self) -> Pid {
        pid_of(&self.process)
    }

    fn release(self, node: &Node) -> ExitReason {
        self.release.send(()).unwrap();
        node.block_on(self.process.join())
    }
}

/// Waits until something is so that nobody tells.
fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

/// What the journal says of long schedules.
fn noted(node: &Node) -> Vec<Lifecycle> {
    let all = node.lifecycle().into_iter().map(|event| event.what);
    all.filter(|what| {
        matches!(
            what,
            Lifecycle::LongSchedule { .. } | Lifecycle::ScheduledOut { .. }
        )
    })
    .collect()
}

#[track_caller]
fn only(schedules: Vec<LongSchedule>) -> LongSchedule {
    let [only] = <[LongSchedule; 1]>::try_from(schedules).expect("one holds its worker");
    only
}

/// XNODE-01
#[test]
fn who_does_not_return_is_named_in_the_log() {
    for workers in [1, 2] {
        let (node, reports) = node(workers);
        let blocker = Blocker::start(&node);
        let report = soon_here(&reports);
        report.says("level", "WARN");
        report.says("message", "process does not return to the scheduler");
        report.says("pid", blocker.pid());
        report.says("name", "greedy");
        report.says("label", "a glutton");
        report.says("messages", "()");
        assert!(report.0["body"].contains("watchdog::Blocker::start"));
        assert_eq!(blocker.release(&node), ExitReason::Normal);
    }
}

struct Greedy;

impl GenServer for Greedy {
    type Args = ();
    type Message = mpsc::Receiver<()>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        released: Self::Message,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        soon_here(&released);
        Ok(())
    }
}

/// XNODE-01
#[test]
fn a_server_is_named_by_its_type() {
    let (node, reports) = node(1);
    let (release, released) = mpsc::channel();
    let server = node
        .block_on(Greedy::builder(()).on(&node).start())
        .unwrap();
    server.cast(released);
    let body = &soon_here(&reports).0["body"];
    assert!(body.contains("watchdog::Greedy"), "{body}");
    release.send(()).unwrap();
    node.block_on(server.stop(ExitReason::Normal)).unwrap();
}

/// XNODE-02
#[test]
fn it_is_named_again_when_the_time_has_doubled_and_when_it_is_over() {
    let (node, reports) = node(2);
    let blocker = Blocker::start(&node);
    let pid = blocker.pid();
    for _ in 0..3 {
        let report = soon_here(&reports);
        report.says("message", "process does not return to the scheduler");
        report.says("pid", pid);
    }
    assert_eq!(blocker.release(&node), ExitReason::Normal);
    // One more may have been on its way.
    let last = loop {
        let report = soon_here(&reports);
        report.says("pid", pid);
        if report.0["message"].contains("has returned") {
            break report;
        }
    };
    last.says("message", "process has returned to the scheduler");
    last.says("name", "greedy");
    // Each turn is named anew.
    let other = Blocker::start(&node);
    soon_here(&reports).says("pid", other.pid());
    other.release(&node);
}

/// XLIFE-07
#[test]
fn the_journal_notes_long_schedules_and_their_ends() {
    let (node, reports) = node(1);
    let blocker = Blocker::start(&node);
    let pid = blocker.pid();
    soon_here(&reports);
    soon_here(&reports);
    blocker.release(&node);
    while !soon_here(&reports).0["message"].contains("has returned") {}
    let noted = noted(&node);
    let (last, before) = noted.split_last().unwrap();
    let mut at_least = 20;
    assert!(before.len() >= 2);
    for what in before {
        let Lifecycle::LongSchedule { pid: who, millis } = *what else {
            panic!("{noted:?}")
        };
        assert_eq!(who, pid);
        assert!(millis >= at_least, "{noted:?}");
        at_least *= 2;
    }
    let Lifecycle::ScheduledOut { pid: who, millis } = *last else {
        panic!("{noted:?}")
    };
    assert_eq!(who, pid);
    assert!(millis >= at_least / 2, "{noted:?}");
}

/// XNODE-03
#[test]
fn who_holds_its_worker_can_be_asked_for() {
    for workers in [1, 2] {
        let (node, reports) = node(workers);
        assert!(node.long_schedules().is_empty());
        let blocker = Blocker::start(&node);
        soon_here(&reports);
        let schedule = only(node.long_schedules());
        assert_eq!(schedule.pid, blocker.pid());
        assert_eq!(
            schedule.name.as_ref().map(|name| name.as_str()),
            Some("greedy")
        );
        assert_eq!(schedule.label.as_deref(), Some("a glutton"));
        assert_eq!(schedule.messages, "()");
        assert!(schedule.held >= LIMIT);
        blocker.release(&node);
        // Whoever knows of the end need not wait for the watchdog's next look.
        assert!(node.long_schedules().is_empty());
    }
}

/// XNODE-04
#[test]
fn a_kill_that_waits_for_it_is_reported_as_pending() {
    for workers in [1, 2] {
        let (node, reports) = node(workers);
        let blocker = Blocker::start(&node);
        let pid = blocker.pid();
        soon_here(&reports);
        assert_eq!(only(node.long_schedules()).pending_exit, None);
        node.exit(pid, ExitReason::Shutdown);
        assert_eq!(
            only(node.long_schedules()).pending_exit,
            Some(ExitKind::Shutdown)
        );
        node.kill(pid);
        node.exit(pid, ExitReason::Shutdown);
        assert_eq!(
            only(node.long_schedules()).pending_exit,
            Some(ExitKind::Kill)
        );
        wait_until(|| soon_here(&reports).0.contains_key("pending_exit"));
        soon_here(&reports).says("pending_exit", "Kill");
        // It returns by itself, before it handles any of them.
        assert_eq!(blocker.release(&node), ExitReason::Normal);
    }
}

/// XNODE-05
#[test]
fn who_waits_or_has_a_thread_of_its_own_is_not_named() {
    let (node, reports) = node(1);
    let (release, released) = mpsc::channel();
    let waiting = node.spawn(idle).unwrap();
    let threaded = node
        .spawn_thread(move |_: ThreadContext<()>| soon_here(&released))
        .unwrap();
    // By the time that this one is named, they would have been.
    let blocker = Blocker::start(&node);
    soon_here(&reports).says("pid", blocker.pid());
    assert_eq!(only(node.long_schedules()).pid, blocker.pid());
    release.send(()).unwrap();
    node.block_on(threaded.join());
    node.kill(pid_of(&waiting));
    blocker.release(&node);
}

/// XNODE-06, fault 28
#[test]
fn a_listener_that_panics_hears_the_next_report() {
    let (node, reports) = node_heard_by(1, || panic!("on purpose, in a listener"));
    let blocker = Blocker::start(&node);
    for _ in 0..3 {
        soon_here(&reports).says("pid", blocker.pid());
    }
    blocker.release(&node);
}

/// XNODE-06, fault 28
#[test]
fn a_listener_that_blocks_does_not_hold_up_the_watchdog() {
    let (go_on, gone_on) = mpsc::channel::<()>();
    let gone_on = Mutex::new(gone_on);
    let (node, reports) = node_heard_by(2, move || {
        let _ = gone_on.lock().unwrap().recv();
    });
    let blocker = Blocker::start(&node);
    soon_here(&reports);
    wait_until(|| noted(&node).len() >= 3);
    blocker.release(&node);
    wait_until(|| matches!(noted(&node).last(), Some(Lifecycle::ScheduledOut { .. })));
    drop(go_on);
    soon_here(&reports);
}

/// XNODE-07
#[test]
fn naming_can_be_off_and_its_limit_is_checked() {
    let silent = Node::builder().workers(2).long_schedule(None);
    let silent = silent.start().unwrap();
    let unnamed = Blocker::start(&silent);
    let (node, reports) = node(1);
    let named = Blocker::start(&node);
    soon_here(&reports);
    assert!(silent.long_schedules().is_empty());
    assert!(noted(&silent).is_empty());
    named.release(&node);
    unnamed.release(&silent);

    let too_short = Duration::from_millis(9);
    let refused = Node::builder().long_schedule(too_short).start();
    assert!(matches!(refused, Err(NodeError::LongSchedule(limit)) if limit == too_short));
}
