//! Crash reports: one event for each process that crashed, and none for the
//! others.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{self, Location};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use resurgam::{
    Context, ExitKind, ExitReason, GenServer, InitError, Message, Node, Pid, ProcessRef, Reply,
    ServerContext, Task, TaskError, ThreadContext, exit, kill, link, self_pid, spawn, spawn_link,
    spawn_options, trap_exit,
};
use tokio::runtime::{Builder, Runtime};
use tracing::dispatcher::{self, DefaultGuard};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{self, SubscriberExt};

use crate::scheduler::soon;
use crate::support::idle;

/// The fields of one report, as text.
type Report = BTreeMap<String, String>;

/// What is done when a report comes, beside collecting it.
type Deed = Arc<dyn Fn() + Send + Sync>;

/// Collects crash reports.
#[derive(Clone)]
struct Collector {
    reports: Arc<Mutex<Vec<Report>>>,
    deed: Deed,
}

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        if event.metadata().target() != "resurgam::crash" {
            return;
        }
        let mut fields = Fields(Report::new());
        event.record(&mut fields);
        let level = event.metadata().level().to_string();
        fields.0.insert("level".to_owned(), level);
        self.reports.lock().unwrap().push(fields.0);
        (self.deed)();
    }
}

struct Fields(Report);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.0.insert(field.name().to_owned(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

thread_local! {
    /// Lets a thread listen for as long as it lives.
    static LISTENING: std::cell::RefCell<Option<DefaultGuard>> =
        const { std::cell::RefCell::new(None) };
}

/// Runs a test on every kind of runtime, all threads of which report to one
/// collector; gives the reports to `check`.
#[track_caller]
fn reported<F>(
    deed: impl Fn() + Send + Sync + 'static,
    test: impl Fn(Context<()>) -> F + Clone + Send + 'static,
    check: impl Fn(&[Report]),
) where
    F: Future<Output = ()> + Send + 'static,
{
    crate::support::keep_reports_open();
    let deed: Deed = Arc::new(deed);
    for workers in [0, 2] {
        let collector = Collector {
            reports: Arc::default(),
            deed: Arc::clone(&deed),
        };
        let reports = Arc::clone(&collector.reports);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(collector));
        let _here = dispatcher::set_default(&dispatch);
        listening(workers, &dispatch).block_on(async {
            let node = Node::new().unwrap();
            let process = node.spawn(test.clone()).unwrap();
            assert_eq!(soon(process.join()).await, ExitReason::Normal);
            node.stop(Duration::from_secs(5)).await.unwrap();
        });
        let reports = std::mem::take(&mut *reports.lock().unwrap());
        check(&reports);
    }
}

pub(crate) fn listening(workers: usize, dispatch: &Dispatch) -> Runtime {
    if workers == 0 {
        return crate::scheduler::one_thread();
    }
    let dispatch = dispatch.clone();
    Builder::new_multi_thread()
        .worker_threads(workers)
        .on_thread_start(move || LISTENING.set(Some(dispatcher::set_default(&dispatch))))
        .enable_all()
        .build()
        .unwrap()
}

/// Joins a process that must have been reported by now.
async fn ended(process: Result<ProcessRef<()>, resurgam::SpawnError>) -> ExitReason {
    soon(process.unwrap().join()).await
}

/// Expects that what a test does is reported this often.
#[track_caller]
fn check_count<F>(expected: usize, test: impl Fn(Context<()>) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let check = |reports: &[Report]| assert_eq!(reports.len(), expected, "{reports:#?}");
    reported(|| (), test, check);
}

/// Fault 1, laws PLIB-09, PLIB-11: a process that panics is reported once, with
/// who it was, where it panicked, and what it left.
#[test]
fn a_panic_is_reported_with_its_place() {
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    let test = move |ctx: Context<()>| {
        let noted = Arc::clone(&noted);
        async move {
            let options = spawn_options().name("clerk").label("files things");
            let clerk = options.spawn(move |mut ctx: Context<()>| async move {
                let me = ctx.self_ref();
                (0..4).for_each(|_| me.cast(()));
                ctx.receive().await;
                *noted.lock().unwrap() = format!("{}:{}:17", file!(), line!() + 1);
                panic!("lost a file");
            });
            let clerk = clerk.unwrap().process;
            let reason = soon(clerk.join()).await;
            let ExitReason::Panicked(panic) = reason else {
                panic!("{reason}");
            };
            assert_eq!(panic.message(), "lost a file");
            assert_eq!(Some(panic.process()), clerk.pid());
            assert_eq!(panic.name(), Some(&"clerk".into()));
            assert_eq!(panic.ancestors(), [ctx.pid()]);
        }
    };
    reported(
        || (),
        test,
        |reports| {
            let [report] = reports else {
                panic!("not one: {reports:#?}");
            };
            let place = place.lock().unwrap();
            let expected = [
                ("ancestors", "[<0.1.1>]"),
                ("label", "files things"),
                ("level", "ERROR"),
                ("message", "process crashed"),
                ("name", "clerk"),
                ("pid", "<0.2.1>"),
                ("place", &place),
                ("queue_len", "3"),
                ("reason", &format!("panicked: lost a file at {place}")),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(*report, Report::from(expected));
        },
    );
}

/// Law PLIB-11: a body that returns an error or a reason of its own is
/// reported; such an end has no place, and what it is not called is left out.
#[test]
fn an_abnormal_return_is_reported() {
    let test = |_: Context<()>| async {
        let custom = spawn(|_: Context<()>| async { ExitReason::custom("bored") });
        assert_eq!(ended(custom).await, ExitReason::custom("bored"));
        let fails = spawn(|_: Context<()>| async {
            let _: u8 = "seven".parse()?;
            Ok::<(), ExitReason>(())
        });
        assert!(ended(fails).await.is_abnormal());
        // As its own reason, `kill` is one like any other.
        let kills = spawn(|_: Context<()>| async { ExitReason::Kill });
        assert_eq!(ended(kills).await, ExitReason::Kill);
    };
    reported(
        || (),
        test,
        |reports| {
            let reasons: Vec<_> = reports.iter().map(|report| &report["reason"]).collect();
            let failed = "failed: invalid digit found in string";
            assert_eq!(reasons, ["\"bored\"", failed, "kill"]);
            for report in reports {
                for absent in ["place", "name", "label"] {
                    assert!(!report.contains_key(absent), "{report:#?}");
                }
            }
        },
    );
}

/// Laws PLIB-09, LOG-08: neither a graceful end is reported nor one that
/// somebody else asked for.
#[test]
fn what_is_no_crash_is_not_reported() {
    check_count(0, |ctx| async move {
        trap_exit(true);
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with("done"),
        ] {
            let told = reason.clone();
            let returns = spawn(move |_: Context<()>| async move { told });
            assert_eq!(ended(returns).await, reason);
        }
        for reason in [
            ExitReason::Shutdown,
            ExitReason::Kill,
            ExitReason::custom("go"),
        ] {
            let victim = spawn(idle);
            exit(victim.as_ref().unwrap().pid().unwrap(), reason.clone());
            let reason = match reason {
                ExitReason::Kill => ExitReason::Killed,
                reason => reason,
            };
            assert_eq!(ended(victim).await, reason);
        }
        let stopped = spawn(idle).unwrap();
        stopped.stop(ExitReason::custom("stop")).await.unwrap();
        let thread = ctx.node().spawn_thread(|mut ctx: ThreadContext<()>| {
            ctx.receive();
        });
        kill(thread.as_ref().unwrap().pid().unwrap());
        assert_eq!(ended(thread).await, ExitReason::Killed);
    });
}

/// Law LOG-08: of a family that falls together, the one that crashed is
/// reported.
#[test]
fn those_who_fall_with_a_crash_are_not_reported() {
    check_count(1, |_| async {
        let head = spawn(|mut ctx: Context<()>| async move {
            for _ in 0..100 {
                spawn_link(idle).unwrap();
            }
            ctx.receive().await;
            panic!("all fall");
        });
        head.as_ref().unwrap().cast(());
        assert!(ended(head).await.is_abnormal());
        while Node::current().process_count() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

/// Fault 1: each of many crashes is reported once.
#[test]
fn each_crash_is_reported_once() {
    let test = |_: Context<()>| async {
        let crash = |_: Context<()>| async { panic!("on purpose") };
        let crashing: Vec<_> = (0..200)
            .map(|_| spawn(move |ctx| async move { crash(ctx).await }).unwrap())
            .collect();
        for process in &crashing {
            assert!(soon(process.join()).await.is_abnormal());
        }
    };
    reported(
        || (),
        test,
        |reports| {
            let pids: std::collections::BTreeSet<_> =
                reports.iter().map(|report| &report["pid"]).collect();
            assert_eq!((reports.len(), pids.len()), (200, 200));
        },
    );
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor");
    }
}

/// Fault 5: a destructor that panics as its process is killed is a crash of
/// that process; a message that panics as it is dropped unread is none.
#[test]
fn a_panic_of_the_bodys_destructor_is_reported() {
    check_count(1, |_| async {
        let armed = |waits: tokio::sync::oneshot::Sender<()>| {
            move |mut ctx: Context<()>| async move {
                let _bomb = Bomb;
                waits.send(()).unwrap();
                ctx.receive().await;
                std::future::pending::<()>().await;
            }
        };
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let victim = spawn(armed(waits));
        waiting.await.unwrap();
        kill(victim.as_ref().unwrap().pid().unwrap());
        let ExitReason::Panicked(panic) = ended(victim).await else {
            panic!("not a panic");
        };
        assert_eq!(panic.message(), "in the destructor");

        let reader = spawn(|_: Context<Bomb>| std::future::pending::<()>()).unwrap();
        reader.cast(Bomb);
        kill(reader.pid().unwrap());
        assert_eq!(soon(reader.join()).await, ExitReason::Killed);
    });
}

/// Fails as it is told.
struct Fails;

enum Order {
    Fail,
    Panic,
    Stop(Reply<()>),
}

impl GenServer for Fails {
    type Args = ();
    type Message = Order;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        order: Order,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match order {
            Order::Fail => Err(ExitReason::custom("failed")),
            Order::Panic => panic!("on purpose"),
            Order::Stop(reply) => ctx.stop_with_reply(ExitReason::Shutdown, reply, ()),
        }
    }
}

/// Fault 1: a server that ends by an error or a panic of a callback is
/// reported once; one that is stopped is not.
#[test]
fn a_server_is_reported_once() {
    let test = |_: Context<()>| async {
        let fails = Fails::start(()).await.unwrap();
        fails.cast(Order::Fail);
        assert_eq!(soon(fails.join()).await, ExitReason::custom("failed"));
        let panics = Fails::start(()).await.unwrap();
        panics.cast(Order::Panic);
        assert!(soon(panics.join()).await.is_abnormal());
        let stops = Fails::start(()).await.unwrap();
        stops.call(Order::Stop).await.unwrap();
        assert_eq!(soon(stops.join()).await, ExitReason::Shutdown);
    };
    reported(
        || (),
        test,
        |reports| {
            let reasons: Vec<_> = reports.iter().map(|report| &report["reason"]).collect();
            assert_eq!(reasons.len(), 2, "{reports:#?}");
            assert_eq!(reasons[0], "\"failed\"");
            assert!(
                reasons[1].starts_with("panicked: on purpose at "),
                "{}",
                reasons[1]
            );
            assert!(
                reports[1]["place"].contains("crash_report.rs:"),
                "{reports:#?}"
            );
        },
    );
}

/// A server that keeps a secret, and crashes.
struct Vault {
    opened: u32,
    code: u32,
}

enum Try {
    Open(u32),
    /// To panic, with the call unanswered.
    Break(Reply<()>),
    /// To fail, with a state that cannot be formatted.
    Jam,
}

impl GenServer for Vault {
    type Args = u32;
    type Message = Try;

    async fn init(code: u32, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self { opened: 0, code })
    }

    async fn handle(&mut self, tried: Try, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match tried {
            Try::Open(code) => self.opened += u32::from(code == self.code),
            Try::Break(unanswered) => panic!("{unanswered:?} is broken"),
            Try::Jam => {
                self.opened = u32::MAX;
                return Err(ExitReason::custom("jammed"));
            }
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        self.opened = 0;
    }

    fn format_status(&self) -> impl Debug {
        assert_ne!(self.opened, u32::MAX);
        ("opened", self.opened)
    }

    fn format_message(tried: &Try) -> impl Debug {
        std::fmt::from_fn(|f| {
            f.write_str(match tried {
                Try::Open(_) => "Open(?)",
                Try::Break(_) => "Break",
                Try::Jam => "Jam",
            })
        })
    }
}

/// Laws LOG-07, GS-77: with the state as it shows it and before `terminate`,
/// what it crashed at, its log and who waits for an answer.
#[test]
fn a_crash_of_a_server_tells_state_last_message_log_and_client() {
    let test = |_: Context<()>| async {
        resurgam::set_label("the thief");
        let vault = Vault::builder(1234)
            .name("vault")
            .log(2)
            .start()
            .await
            .unwrap();
        vault.cast(Try::Open(1));
        vault.cast(Try::Open(1234));
        assert!(vault.call(Try::Break).await.is_err());
        let [report] = &Node::current().crash_reports()[..] else {
            panic!("not one");
        };
        let server = report.server.as_ref().unwrap();
        assert!(server.behaviour.ends_with("crash_report::Vault"));
        assert_eq!(server.state, "(\"opened\", 1)");
        let last = server.last_event.as_ref().unwrap();
        assert_eq!(last.to_string(), "message Break");
        let log: Vec<_> = server.log.iter().map(ToString::to_string).collect();
        assert_eq!(log, ["message Open(?)", "message Break"]);
        let client = server.client.as_ref().unwrap();
        assert_eq!(client.pid, self_pid());
        assert_eq!(client.label.as_deref(), Some("the thief"));
        assert!(!format!("{report:?}").contains("1234"));
    };
    reported(
        || (),
        test,
        |reports| {
            let [report] = reports else {
                panic!("not one: {reports:#?}");
            };
            let behaviour = &report["behaviour"];
            assert!(behaviour.ends_with("crash_report::Vault"), "{behaviour}");
            assert_eq!(report["state"], "(\"opened\", 1)");
            assert_eq!(report["last_event"], "message Break");
            assert_eq!(report["client"], "<0.1.1>");
            assert_eq!(report["client_label"], "the thief");
            assert!(report["log"].contains("Open(?)"), "{report:#?}");
        },
    );
}

/// Law LOG-07: of a server without a log that is not known; a state that cannot
/// be formatted is hidden.
#[test]
fn what_is_not_known_of_a_server_is_left_out_of_its_report() {
    let test = |_: Context<()>| async {
        let vault = Vault::start(1234).await.unwrap();
        vault.cast(Try::Jam);
        assert_eq!(soon(vault.join()).await, ExitReason::custom("jammed"));
    };
    reported(
        || (),
        test,
        |reports| {
            let [report] = reports else {
                panic!("not one: {reports:#?}");
            };
            assert_eq!(report["state"], "hidden, for its formatter panicked");
            for absent in ["last_event", "client", "client_label", "log"] {
                assert!(!report.contains_key(absent), "{report:#?}");
            }
        },
    );
}

/// Law LOG-07: the last ones, whether or not anybody listens.
#[test]
fn a_node_keeps_its_last_crash_reports() {
    let count = |most: Option<usize>, crashes: usize| {
        let builder = match most {
            Some(most) => Node::builder().crash_reports(most),
            None => Node::builder(),
        };
        let node = builder.start().unwrap();
        for n in 0..crashes {
            let crashes = node.spawn(move |_: Context<()>| async move { ExitReason::custom(n) });
            assert_eq!(
                node.block_on(crashes.unwrap().join()),
                ExitReason::custom(n)
            );
        }
        let reports = node.crash_reports();
        reports.iter().map(|report| report.reason.clone()).collect()
    };
    let last: Vec<String> = count(None, 70);
    assert_eq!(last.len(), Node::CRASH_REPORTS);
    assert_eq!((&*last[0], &*last[63]), ("6", "69"));
    assert_eq!(count(Some(2), 3), ["1", "2"]);
    assert!(count(Some(0), 3).is_empty());
}

/// Laws PLIB-09, PLIB-10: with whom it was linked to.
#[test]
fn a_crash_report_names_the_links() {
    let test = |_: Context<()>| async {
        trap_exit(true);
        let crashes = spawn_link(|_: Context<()>| async {
            trap_exit(true);
            panic!("on purpose");
        });
        assert!(ended(crashes).await.is_abnormal());
        let [report] = &Node::current().crash_reports()[..] else {
            panic!("not one");
        };
        assert_eq!(report.links, [self_pid()]);
        assert!(report.trap_exit && report.server.is_none());
        assert_eq!(report.kind, ExitKind::Panicked);
        assert!(report.place.as_ref().unwrap().contains("crash_report.rs:"));
    };
    reported(
        || (),
        test,
        |reports| assert_eq!(reports[0]["links"], "[<0.1.1>]"),
    );
}

async fn fails() {
    panic!("no luck");
}

/// Law TASK-27: the crash of a task tells what ran, and on whose behalf.
#[test]
fn a_crash_of_a_task_tells_what_it_ran_and_for_whom() {
    let test = |_: Context<()>| async {
        let outer = Task::spawn(async { Task::spawn(fails()).unwrap().await });
        let inner = soon(outer.unwrap().into_future()).await.unwrap();
        assert!(matches!(
            inner,
            Err(TaskError::Down(ExitReason::Panicked(_)))
        ));
    };
    reported(
        || (),
        test,
        |reports| {
            let [report] = reports else {
                panic!("not one: {reports:#?}");
            };
            let label = &report["label"];
            assert!(
                label.ends_with("crash_report::fails::{{closure}}"),
                "{label}"
            );
            assert_eq!(report["callers"], "[<0.2.1>, <0.1.1>]");
            assert_eq!(report["pid"], "<0.3.1>");
        },
    );
}

/// Fault 1: a process on a thread of its own is reported like any other.
#[test]
fn a_process_on_a_thread_is_reported() {
    #[track_caller]
    fn fail() -> ! {
        panic!("at {}", Location::caller())
    }

    let test = |ctx: Context<()>| async move {
        let dispatch = dispatcher::get_default(Dispatch::clone);
        let thread = ctx.node().spawn_thread(move |_: ThreadContext<()>| {
            LISTENING.set(Some(dispatcher::set_default(&dispatch)));
            fail()
        });
        let ExitReason::Panicked(panic) = soon(thread.unwrap().join()).await else {
            panic!("not a panic");
        };
        // The place is the caller's, as Rust has it.
        assert_eq!(
            Some(panic.message()),
            panic.location().map(|at| format!("at {at}")).as_deref()
        );
    };
    reported(
        || (),
        test,
        |reports| {
            assert_eq!(reports.len(), 1, "{reports:#?}");
            assert!(
                reports[0]["reason"].ends_with(&reports[0]["place"]),
                "{reports:#?}"
            );
        },
    );
}

/// Fault 1: a panic that was caught and is resumed later has the place it came
/// from or none, but not the place of another process's.
#[test]
fn a_resumed_panic_is_not_given_the_place_of_another() {
    check_count(1, |_| async {
        let catches = spawn(|_: Context<()>| async {
            assert!(panic::catch_unwind(|| panic!("caught")).is_err());
        });
        assert_eq!(ended(catches).await, ExitReason::Normal);
        let resumes = spawn(|_: Context<()>| async {
            panic::resume_unwind(Box::new("resumed"));
        });
        let ExitReason::Panicked(panic) = ended(resumes).await else {
            panic!("not a panic");
        };
        assert_eq!((panic.message(), panic.location()), ("resumed", None));
    });
}

/// Fault 38, fault 28: a subscriber that panics harms nobody: the crash is told
/// as if it had not.
#[test]
fn a_subscriber_may_panic() {
    let test = |mut ctx: Context<()>| async move {
        trap_exit(true);
        for _ in 0..10 {
            let crashes = spawn_link(|_: Context<()>| async { ExitReason::custom("crash") });
            let pid = crashes.as_ref().unwrap().pid();
            assert_eq!(ended(crashes).await, ExitReason::custom("crash"));
            assert!(
                matches!(ctx.try_receive(), Some(Message::Exit(exit)) if Some(exit.from) == pid)
            );
        }
        let alive = spawn(|_: Context<()>| async {});
        assert_eq!(ended(alive).await, ExitReason::Normal);
    };
    let panics = || panic!("in the subscriber");
    reported(panics, test, |reports| assert_eq!(reports.len(), 10));
}

/// Fault 28: a subscriber may send, spawn, link, register, exit and kill; it
/// runs in the process that crashed, and no lock is held.
#[test]
fn a_subscriber_may_use_the_runtime() {
    let uses = || {
        let me = self_pid();
        // Linked ones go with the process that crashed.
        drop(spawn_link(idle));
        drop(spawn(|_: Context<()>| async {}));
        drop(resurgam::register("crashed", me));
        assert_eq!(resurgam::whereis("crashed"), Some(me));
        _ = resurgam::send("witness", me);
        _ = resurgam::send(me, ());
        if let Some(witness) = resurgam::whereis("witness") {
            link(witness);
            _ = resurgam::monitor(witness);
        }
        _ = resurgam::send_after(Duration::from_secs(3600), me, ());
        exit(me, ExitReason::custom("another"));
        kill(me);
        _ = trap_exit(true);
        drop(resurgam::flush_exit(me));
    };
    let test = |ctx: Context<()>| async move {
        let witness = spawn_options().name("witness").trap_exit();
        let witness = witness.spawn(|mut ctx: Context<Pid>| async move {
            for _ in 0..10 {
                let Message::User(pid) = ctx.receive().await else {
                    panic!("not told");
                };
                let Message::Exit(exit) = ctx.receive().await else {
                    panic!("not linked");
                };
                assert_eq!((exit.from, exit.reason), (pid, ExitReason::custom("crash")));
            }
        });
        for _ in 0..10 {
            let crashes = spawn(|_: Context<()>| async { ExitReason::custom("crash") });
            assert_eq!(ended(crashes).await, ExitReason::custom("crash"));
        }
        assert_eq!(
            soon(witness.unwrap().process.join()).await,
            ExitReason::Normal
        );
        assert_eq!(ctx.node().timer_count(), 0);
        while ctx.node().process_count() > 1 {
            tokio::task::yield_now().await;
        }
    };
    reported(uses, test, |reports| assert_eq!(reports.len(), 10));
}
