//! Generic servers, law by law: starting, calls, what comes next, ending.

use std::fmt::{Debug, Write as _};
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{join_all, select};
use futures::{FutureExt, poll};
use resurgam::{
    CallError, Context, Exit, ExitReason, GenServer, Info, InitError, ManualClock, Message, Node,
    ProcessRef, Reply, SendError, ServerContext, ServerRef, SpawnError, StartError,
    StopServerError, ThreadContext, TimeoutTime, exit, is_alive, join, kill, link, monitor, now,
    process_info, register, self_pid, send, spawn, spawn_options, sys, trap_exit, unregister,
    whereis,
};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Log, idle, pid_of, run, run_on_threads, run_with_clock};

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

/// How often a race is run.
const ROUNDS: usize = 300;

/// A server that does what it is told and notes it.
struct Probe {
    log: Log,
    /// Replies for later.
    kept: Vec<Reply<u32>>,
    last_words: LastWords,
}

/// What `terminate` does beside noting it.
enum LastWords {
    None,
    Panic,
    Wait(oneshot::Receiver<()>),
}

/// What a probe is told.
enum Order {
    Note(&'static str),
    Get(Reply<u32>),
    Do(Deed),
    /// To say that it has begun, and never come back.
    Hang(Reply<u32>, oneshot::Sender<()>),
    /// To come back when the other end is dropped or used.
    Wait(oneshot::Receiver<()>),
}

type Outcome = Result<(), ExitReason>;
type Deed = Box<dyn FnOnce(&mut Probe, &mut ServerContext<Probe>) -> Outcome + Send>;
type Init = Box<dyn FnOnce(&mut ServerContext<Probe>) -> Result<(), InitError> + Send>;

/// How a probe starts.
struct Birth {
    log: Log,
    /// Is waited for before anything else.
    gate: Option<oneshot::Receiver<()>>,
    init: Init,
}

impl GenServer for Probe {
    type Args = Birth;
    type Message = Order;

    async fn init(birth: Birth, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        if let Some(gate) = birth.gate {
            let _ = gate.await;
        }
        (birth.init)(ctx)?;
        birth.log.note("init");
        Ok(Self {
            log: birth.log,
            kept: Vec::new(),
            last_words: LastWords::None,
        })
    }

    async fn handle(&mut self, order: Order, ctx: &mut ServerContext<Self>) -> Outcome {
        match order {
            Order::Note(what) => self.log.note(what),
            Order::Get(reply) => reply.send(7),
            Order::Do(deed) => return deed(self, ctx),
            Order::Hang(held, begun) => {
                begun.send(()).expect("the test waits for it");
                std::future::pending::<()>().await;
                drop(held);
            }
            Order::Wait(gate) => drop(gate.await),
        }
        Ok(())
    }

    async fn handle_continue(&mut self, order: Order, ctx: &mut ServerContext<Self>) -> Outcome {
        self.log.note("continue");
        self.handle(order, ctx).await
    }

    async fn handle_info(&mut self, info: Info, _: &mut ServerContext<Self>) -> Outcome {
        match info {
            Info::Exit(exit) => self.log.note(format!("exit({})", exit.reason)),
            Info::Down(down) => self.log.note(format!("down({})", down.reason)),
            Info::Timeout => self.log.note("timeout"),
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        let reason = match reason {
            ExitReason::Panicked(panic) => format!("panic {}", panic.message()),
            reason => reason.to_string(),
        };
        self.log.note(format!("terminate({reason})"));
        match &mut self.last_words {
            LastWords::None => {}
            LastWords::Panic => panic!("last words"),
            LastWords::Wait(gate) => drop(gate.await),
        }
    }
}

fn act<F>(deed: F) -> Order
where
    F: FnOnce(&mut Probe, &mut ServerContext<Probe>) -> Outcome + Send + 'static,
{
    Order::Do(Box::new(deed))
}

/// To end with this reason.
fn stop(reason: ExitReason) -> Order {
    act(move |_, _| Err(reason))
}

/// To panic, which is no secret to anyone.
fn panic() -> Order {
    act(|_, _| panic!("on purpose"))
}

fn crash() -> ExitReason {
    ExitReason::custom("crash")
}

fn birth(log: &Log) -> Birth {
    Birth {
        log: log.clone(),
        gate: None,
        init: Box::new(|_| Ok(())),
    }
}

/// A probe that nobody is linked to.
async fn start(log: &Log) -> ServerRef<Probe> {
    let server = Probe::start(birth(log)).await.unwrap();
    assert_eq!(log.heard(), "init");
    server
}

/// Once this has returned, all that was sent before has been handled.
async fn settle(server: &ServerRef<Probe>) {
    assert_eq!(server.call(Order::Get).no_timeout().await, Ok(7));
}

/// Keeps a probe busy until the sender is dropped.
fn hold_up(server: &ServerRef<Probe>) -> oneshot::Sender<()> {
    let (release, gate) = oneshot::channel();
    server.cast(Order::Wait(gate));
    release
}

/// The reason of a panic.
#[track_caller]
fn message_of(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Panicked(panic) => panic.message().to_owned(),
        other => panic!("no panic: {other}"),
    }
}

// Starting.

/// GS-01, GS-02, PLIB-01, PLIB-02: what comes back is the server.
#[test]
fn start_returns_after_init() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let log = Log::default();
        let (inside, outside) = oneshot::channel();
        let starter = self_pid();
        let init: Init = Box::new(move |ctx| {
            assert_eq!((ctx.pid(), ctx.parent()), (self_pid(), Some(starter)));
            inside.send(ctx.pid()).unwrap();
            Ok(())
        });
        let (release, gate) = oneshot::channel();
        let birth = Birth {
            gate: Some(gate),
            init,
            ..birth(&log)
        };
        let mut start = Box::pin(
            Probe::builder(birth)
                .name("name")
                .label("label")
                .start_link(),
        );
        assert!(poll!(&mut start).is_pending());
        assert_eq!(log.heard(), "");
        release.send(()).unwrap();
        let server = start.await.unwrap();
        assert_eq!(log.heard(), "init");
        let pid = outside.await.unwrap();
        assert_eq!(server.pid(), Some(pid));
        let info = process_info(pid).await.unwrap().unwrap();
        assert_eq!(
            (info.name, info.label),
            (Some("name".into()), Some("label".into()))
        );
        assert_eq!((info.links, info.parent), (vec![starter], Some(starter)));
        server.stop(ExitReason::Shutdown).await.unwrap();
        let exit = Exit {
            from: pid,
            reason: ExitReason::Shutdown,
        };
        assert_eq!(ctx.receive().await, Message::Exit(exit));
    });
}

/// How an `init` fails, why its process then ends, and what the starter hears.
type Failure = (
    fn() -> Result<(), InitError>,
    fn(&ExitReason) -> bool,
    fn(&StartError) -> bool,
);

const FAILURES: [Failure; 6] = [
    (
        || Err(InitError::Stop(crash())),
        |reason| *reason == crash(),
        |error| *error == StartError::Failed(crash()),
    ),
    (
        || Err(InitError::Stop(ExitReason::Normal)),
        ExitReason::is_normal,
        |error| *error == StartError::Failed(ExitReason::Normal),
    ),
    (
        || Err(InitError::Error(crash())),
        ExitReason::is_normal,
        |error| *error == StartError::Failed(crash()),
    ),
    (
        || Err(InitError::Ignore),
        ExitReason::is_normal,
        |error| *error == StartError::Ignore,
    ),
    (
        || panic!("on purpose"),
        |reason| message_of(reason) == "on purpose",
        |error| matches!(error, StartError::Failed(r) if message_of(r) == "on purpose"),
    ),
    (
        || Ok("one".parse::<u32>().map(drop)?),
        |reason| matches!(reason, ExitReason::Failed(_)),
        |error| matches!(error, StartError::Failed(ExitReason::Failed(_))),
    ),
];

/// GS-06: an exit that came from outside.
#[test]
fn init_that_is_killed_fails_with_that_reason() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for (kind, told) in [(ExitReason::Kill, ExitReason::Killed), (crash(), crash())] {
            let (_release, gate) = oneshot::channel();
            let birth = Birth {
                gate: Some(gate),
                ..birth(&Log::default())
            };
            let mut start = Box::pin(Probe::builder(birth).name("name").start_link());
            assert!(poll!(&mut start).is_pending());
            exit(whereis("name").unwrap(), kind);
            assert_eq!(start.await.unwrap_err(), StartError::Failed(told));
            assert_eq!((whereis("name"), ctx.try_receive()), (None, None));
        }
    });
}

/// Starts a server that fails, linked to the caller and with a name: what the
/// starter hears, and the server.
async fn start_failing(init: fn() -> Result<(), InitError>) -> (StartError, ServerRef<Probe>) {
    let (inside, outside) = oneshot::channel();
    let init: Init = Box::new(move |ctx| {
        inside.send(ctx.self_ref()).unwrap();
        init()
    });
    let log = Log::default();
    let birth = Birth {
        init,
        ..birth(&log)
    };
    let error = Probe::builder(birth)
        .name("name")
        .start_link()
        .await
        .unwrap_err();
    assert!(!log.heard().contains("terminate"));
    (error, outside.await.unwrap())
}

/// GS-03, GS-04, GS-05, GS-06, GS-07, PLIB-03, PLIB-04, PLIB-06: it says why,
/// is gone by then, and leaves neither its name nor a message behind.
#[test]
fn failed_start_leaves_nothing() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for (init, ends, tells) in FAILURES {
            let (error, server) = start_failing(init).await;
            assert!(tells(&error), "{error}");
            assert_eq!(whereis("name"), None);
            let myself = process_info(self_pid()).await.unwrap().unwrap();
            assert_eq!((myself.links, myself.message_queue_len), (vec![], 0));
            assert_eq!(is_alive(pid_of(&server)).await, Ok(false));
            assert_eq!(ctx.try_receive(), None);
            let reason = server.join().await;
            assert!(ends(&reason), "{reason}");
        }
    });
}

/// GS-03, GS-04, GS-05, PLIB-06: a starter that does not trap exits dies of
/// it, but for a normal end.
#[test]
fn failed_start_takes_the_linked_starter_along() {
    run(|_: Context<()>| async {
        for (init, ends, _) in FAILURES {
            let starter = spawn(move |_: Context<()>| async move {
                start_failing(init).await;
            });
            let reason = starter.unwrap().join().await;
            assert!(ends(&reason), "{reason}");
        }
    });
}

/// GS-07, PLIB-04: so the next one can start at once.
#[test]
fn name_of_a_failed_start_is_free() {
    run(|_: Context<()>| async {
        trap_exit(true);
        for round in 0..ROUNDS {
            let (init, _, tells) = FAILURES[round % FAILURES.len()];
            let (error, _) = start_failing(init).await;
            assert!(tells(&error), "{error}");
        }
    });
}

/// GS-08: and the holder of the name is left alone.
#[test]
fn taken_name_is_told_and_init_does_not_run() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let log = Log::default();
        register("name", self_pid()).unwrap();
        let taken = StartError::AlreadyStarted(self_pid());
        for _ in 0..2 {
            let linked = Probe::builder(birth(&log)).name("name").start_link().await;
            assert_eq!(linked.unwrap_err(), taken);
            let free = Probe::builder(birth(&log)).name("name").start().await;
            assert_eq!(free.unwrap_err(), taken);
        }
        assert_eq!((log.heard().as_str(), ctx.try_receive()), ("", None));
        assert_eq!(Node::current().process_count(), 1);
        unregister("name").unwrap();
    });
}

/// GS-09, PLIB-05: nothing is left of it, and a starter that does not trap
/// exits lives on.
#[test]
fn slow_init_is_killed_and_told() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let log = Log::default();
        for trap in [false, true] {
            trap_exit(trap);
            let (_release, gate) = oneshot::channel();
            let birth = Birth {
                gate: Some(gate),
                ..birth(&log)
            };
            let start = Probe::builder(birth)
                .name("name")
                .timeout(SECOND)
                .start_link();
            let mut start = Box::pin(start);
            assert!(poll!(&mut start).is_pending());
            let server = whereis("name").unwrap();
            clock.advance(SECOND - NS);
            assert!(poll!(&mut start).is_pending());
            clock.advance(NS);
            assert_eq!(start.await.unwrap_err(), StartError::TimedOut);
            assert_eq!((whereis("name"), is_alive(server).await), (None, Ok(false)));
            let myself = process_info(self_pid()).await.unwrap().unwrap();
            assert_eq!((myself.links, myself.monitors), (vec![], vec![]));
            assert_eq!(ctx.try_receive(), None);
        }
        assert_eq!(log.heard(), "");
    });
}

/// PLIB-05: so does giving up waiting.
#[test]
fn start_that_is_dropped_takes_the_server_along() {
    run(|mut ctx: Context<()>| async move {
        let log = Log::default();
        let (_release, gate) = oneshot::channel();
        let birth = Birth {
            gate: Some(gate),
            ..birth(&log)
        };
        let mut start = Box::pin(Probe::builder(birth).name("name").start_link());
        assert!(poll!(&mut start).is_pending());
        let ended = join(whereis("name").unwrap());
        drop(start);
        assert_eq!(ended.await, ExitReason::Killed);
        assert_eq!((log.heard().as_str(), ctx.try_receive()), ("", None));
    });
}

/// GS-10: by name and by pid, and what is no message of its own.
#[test]
fn what_comes_during_init_is_handled_after_it() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let (release, gate) = oneshot::channel();
        let birth = Birth {
            gate: Some(gate),
            ..birth(&log)
        };
        let mut start = Box::pin(Probe::builder(birth).name("name").start());
        assert!(poll!(&mut start).is_pending());
        send("name", Order::Note("a")).unwrap();
        send(whereis("name").unwrap(), Order::Note("b")).unwrap();
        let named = ProcessRef::<Order>::named("name");
        let mut call = named.call(Order::Get);
        assert!(poll!(&mut call).is_pending());
        release.send(()).unwrap();
        start.await.unwrap();
        assert_eq!(call.await, Ok(7));
        assert_eq!(log.heard(), "init a b");
    });
}

// Calls.

/// GS-20: five seconds, or as long as is said.
#[test]
fn call_waits_for_five_seconds() {
    run_with_clock(|_: Context<()>, clock| async move {
        let log = Log::default();
        let server = start(&log).await;
        let release = hold_up(&server);
        let mut default = server.call(Order::Get);
        let mut short = server.call(Order::Get).timeout(SECOND);
        let mut endless = server.call(Order::Get).no_timeout();
        assert!(poll!(&mut default).is_pending());
        assert!(poll!(&mut short).is_pending());
        assert!(poll!(&mut endless).is_pending());
        clock.advance(SECOND - NS);
        assert!(poll!(&mut short).is_pending());
        clock.advance(NS);
        assert_eq!(
            poll!(&mut short),
            std::task::Poll::Ready(Err(CallError::TimedOut))
        );
        clock.advance(4 * SECOND - NS);
        assert!(poll!(&mut default).is_pending());
        clock.advance(NS);
        assert_eq!(default.await, Err(CallError::TimedOut));
        clock.advance(1000 * SECOND);
        assert!(poll!(&mut endless).is_pending());
        drop(release);
        assert_eq!(endless.await, Ok(7));
    });
}

/// GS-21, GS-22: what was to be sent is dropped.
#[test]
fn call_to_nobody_fails_at_once() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let dead = start(&log).await;
        dead.stop(ExitReason::Normal).await.unwrap();
        let held = Arc::new(());
        for server in [dead, ProcessRef::named("nobody")] {
            let copy = Arc::clone(&held);
            let call = server.call::<u32, _>(|reply| {
                act(move |_, _| {
                    drop((reply, copy));
                    Ok(())
                })
            });
            assert_eq!(call.await, Err(CallError::Down(ExitReason::NoProcess)));
            assert_eq!(Arc::strong_count(&held), 1);
        }
    });
}

/// GS-23: by pid or by name.
#[test]
fn call_to_oneself_fails_at_once() {
    run(|_: Context<()>| async {
        let caller = spawn_options()
            .name("name")
            .spawn(|ctx: Context<Order>| async move {
                for myself in [ctx.self_ref(), ProcessRef::named("name")] {
                    assert_eq!(myself.call(Order::Get).await, Err(CallError::CallingSelf));
                    assert_eq!(
                        myself.stop(ExitReason::Normal).await,
                        Err(StopServerError::CallingSelf)
                    );
                }
            });
        assert!(caller.unwrap().process.join().await.is_normal());
    });
}

/// A way to end a server, and the reason that its callers are told.
type End = (fn(&ServerRef<Probe>), ExitReason);

/// The ways that work on a server whatever it does.
fn ends_by_signal() -> [End; 3] {
    [
        (|server| kill(pid_of(server)), ExitReason::Killed),
        (|server| exit(pid_of(server), crash()), crash()),
        (
            |server| exit(pid_of(server), ExitReason::Shutdown),
            ExitReason::Shutdown,
        ),
    ]
}

/// The ways that are handled in their turn.
fn ends_by_order() -> [End; 4] {
    [
        (
            |server| server.cast(stop(ExitReason::Normal)),
            ExitReason::Normal,
        ),
        (
            |server| server.cast(stop(ExitReason::Shutdown)),
            ExitReason::Shutdown,
        ),
        (
            |server| server.cast(stop(ExitReason::shutdown_with(1))),
            ExitReason::shutdown_with(1),
        ),
        (|server| server.cast(stop(crash())), crash()),
    ]
}

/// GS-24: the server ends before it has read the request.
#[test]
fn call_in_the_mailbox_is_told_of_the_end() {
    run_on_threads(|_: Context<()>| async {
        for (end, reason) in ends_by_order() {
            let server = start(&Log::default()).await;
            let release = hold_up(&server);
            end(&server);
            let mut call = server.call(Order::Get).no_timeout();
            assert!(poll!(&mut call).is_pending());
            drop(release);
            assert_eq!(call.await, Err(CallError::Down(reason)));
        }
        for (end, reason) in ends_by_signal() {
            let server = start(&Log::default()).await;
            let _release = hold_up(&server);
            let mut call = server.call(Order::Get).no_timeout();
            assert!(poll!(&mut call).is_pending());
            end(&server);
            assert_eq!(call.await, Err(CallError::Down(reason)));
        }
    });
}

/// GS-24, GS-31: the server ends while it handles the request, or later, with
/// the reply in its state.
#[test]
fn call_under_way_is_told_of_the_end() {
    run(|_: Context<()>| async {
        let deeds: [fn(Reply<u32>) -> Order; 2] = [
            |reply| {
                act(|_, _| {
                    drop(reply);
                    Err(crash())
                })
            },
            |reply| {
                act(|probe, _| {
                    probe.kept.push(reply);
                    Err(crash())
                })
            },
        ];
        for deed in deeds {
            let server = start(&Log::default()).await;
            assert_eq!(server.call(deed).await, Err(CallError::Down(crash())));
        }
        for (end, reason) in ends_by_signal() {
            let server = start(&Log::default()).await;
            let (begun, has_begun) = oneshot::channel();
            let mut call = server.call(|reply| Order::Hang(reply, begun)).no_timeout();
            assert!(poll!(&mut call).is_pending());
            has_begun.await.unwrap();
            end(&server);
            assert_eq!(call.await, Err(CallError::Down(reason)));
        }
        for (end, reason) in ends_by_signal().into_iter().chain(ends_by_order()) {
            let server = start(&Log::default()).await;
            let mut call = server.call(keep).no_timeout();
            assert!(poll!(&mut call).is_pending());
            settle(&server).await;
            end(&server);
            assert_eq!(call.await, Err(CallError::Down(reason)));
        }
    });
}

/// GS-31: also if `terminate` takes its time.
#[test]
fn call_that_a_stop_leaves_unanswered_is_told_its_reason() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let (release, gate) = oneshot::channel();
        let mut call = server.call::<u32, _>(|reply| {
            act(|probe, _| {
                drop(reply);
                probe.last_words = LastWords::Wait(gate);
                Err(crash())
            })
        });
        assert!(poll!(&mut call).is_pending());
        log.until(&server, "terminate(\"crash\")").await;
        assert_eq!(is_alive(pid_of(&server)).await, Ok(true));
        assert!(poll!(&mut call).is_pending());
        drop(release);
        assert_eq!(call.await, Err(CallError::Down(crash())));
    });
}

/// GS-24, GS-75: by a panic, which the caller and `terminate` are shown.
#[test]
fn call_is_told_of_a_panic() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let call = server.call::<u32, _>(|reply| {
            act(|_, _| {
                let _held = reply;
                panic!("on purpose")
            })
        });
        let Err(CallError::Down(reason)) = call.await else {
            panic!("it lives")
        };
        assert_eq!(message_of(&reason), "on purpose");
        assert_eq!(server.join().await, reason);
        assert_eq!(log.heard(), "terminate(panic on purpose)");
    });
}

/// To keep the reply in the state.
fn keep(reply: Reply<u32>) -> Order {
    act(|probe, _| {
        probe.kept.push(reply);
        Ok(())
    })
}

/// GS-29: a server that drops the reply, at once or later, and lives on.
#[test]
fn call_whose_reply_is_dropped_is_told_at_once() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let call = server.call::<u32, _>(|reply| {
            act(|_, _| {
                drop(reply);
                Ok(())
            })
        });
        assert_eq!(call.no_timeout().await, Err(CallError::NoReply));
        let mut call = server.call(keep).no_timeout();
        assert!(poll!(&mut call).is_pending());
        settle(&server).await;
        assert!(poll!(&mut call).is_pending());
        server.cast(act(|probe, _| {
            probe.kept.clear();
            Ok(())
        }));
        assert_eq!(call.await, Err(CallError::NoReply));
        settle(&server).await;
    });
}

/// A process that is given a reply and does something with it when it is let.
fn courier(then: fn(Reply<u32>)) -> (ProcessRef<Reply<u32>>, oneshot::Sender<()>) {
    let (release, gate) = oneshot::channel();
    let courier = spawn(move |mut ctx: Context<Reply<u32>>| async move {
        let Message::User(reply) = ctx.receive().await else {
            panic!("no reply")
        };
        let _ = gate.await;
        then(reply);
    });
    (courier.unwrap(), release)
}

/// To hand the reply on.
fn hand_to(courier: &ProcessRef<Reply<u32>>) -> impl FnOnce(Reply<u32>) -> Order + use<> {
    let courier = courier.clone();
    move |reply| {
        act(move |_, _| {
            courier.cast(reply);
            Ok(())
        })
    }
}

/// GS-29
#[test]
fn any_process_may_reply_later() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        type End = (fn(Reply<u32>), Result<u32, CallError>);
        let ends: [End; 3] = [
            (|reply| reply.send(9), Ok(9)),
            (drop, Err(CallError::NoReply)),
            (|_reply| panic!("on purpose"), Err(CallError::NoReply)),
        ];
        for (then, answer) in ends {
            let (courier, release) = courier(then);
            let mut call = server.call(hand_to(&courier)).no_timeout();
            assert!(poll!(&mut call).is_pending());
            settle(&server).await;
            assert!(poll!(&mut call).is_pending());
            drop(release);
            assert_eq!(call.await, answer);
        }
    });
}

/// GS-24, GS-32: the end of the server is told, wherever the reply is; who has
/// it then speaks to nobody.
#[test]
fn reply_that_was_handed_on_does_not_outlive_the_server() {
    run(|_: Context<()>| async {
        for (end, reason) in ends_by_signal().into_iter().chain(ends_by_order()) {
            let server = start(&Log::default()).await;
            let (courier, release) = courier(|reply| {
                assert!(reply.is_closed());
                reply.send(9);
            });
            let mut call = server.call(hand_to(&courier)).no_timeout();
            assert!(poll!(&mut call).is_pending());
            settle(&server).await;
            end(&server);
            assert_eq!(call.await, Err(CallError::Down(reason)));
            drop(release);
            assert!(courier.join().await.is_normal());
        }
    });
}

/// To reply to all whose replies were kept, who have gone, and note it.
fn reply_to_the_gone() -> Order {
    act(|probe, _| {
        for reply in probe.kept.drain(..) {
            assert!(reply.is_closed());
            reply.send(9);
            probe.log.note("replied");
        }
        Ok(())
    })
}

/// GS-32
#[test]
fn reply_to_a_dead_caller_is_ignored() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let callee = server.clone();
        let caller = spawn(move |_: Context<()>| async move { drop(callee.call(keep).await) });
        let caller = caller.unwrap();
        // The call has come when its reply is kept.
        while server.call(count_kept).await == Ok(0) {}
        kill(pid_of(&caller));
        assert_eq!(caller.join().await, ExitReason::Killed);
        server.cast(reply_to_the_gone());
        settle(&server).await;
        assert_eq!(log.heard(), "replied");
    });
}

fn count_kept(reply: Reply<usize>) -> Order {
    act(|probe, _| {
        reply.send(probe.kept.len());
        Ok(())
    })
}

/// GS-25, GS-26, GS-32: the request is handled all the same, and its reply
/// reaches nobody, whether the call timed out or was dropped.
#[test]
fn late_reply_reaches_nobody() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let log = Log::default();
        let server = start(&log).await;
        let release = hold_up(&server);
        let mut call = server.call(keep).timeout(SECOND);
        assert!(poll!(&mut call).is_pending());
        clock.advance(SECOND);
        assert_eq!(call.await, Err(CallError::TimedOut));
        let dropped = server.call(keep);
        let _ = select(dropped, std::future::ready(())).await;
        drop(release);
        assert_eq!(server.call(count_kept).await, Ok(2));
        server.cast(reply_to_the_gone());
        settle(&server).await;
        assert_eq!(log.heard(), "replied replied");
        assert_eq!(ctx.try_receive(), None);
        assert_eq!(Node::current().timer_count(), 0);
    });
}

/// GS-26, GS-27: each call gets its own answer or none, and nothing else ever
/// comes.
#[test]
fn reply_races_with_the_timeout() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let server = start(&Log::default()).await;
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let ticker = spawn_options().spawn_thread(move |_: ThreadContext<()>| {
            while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                clock.advance(MS);
                std::thread::yield_now();
            }
        });
        for round in 0..2 * ROUNDS {
            let echo = |reply: Reply<usize>| {
                act(move |_, _| {
                    reply.send(round);
                    Ok(())
                })
            };
            let timeout = Duration::from_micros(500) * (round % 4) as u32;
            match server.call(echo).timeout(timeout).await {
                Ok(answer) => assert_eq!(answer, round),
                Err(error) => assert_eq!(error, CallError::TimedOut),
            }
        }
        settle(&server).await;
        assert_eq!(ctx.try_receive(), None);
        drop(over);
        assert!(ticker.unwrap().process.join().await.is_normal());
    });
}

/// GS-27
#[test]
fn reply_that_is_there_goes_before_the_timeout() {
    run_with_clock(|_: Context<()>, clock| async move {
        let server = start(&Log::default()).await;
        let mut call = server.call(Order::Get).timeout(SECOND);
        assert!(poll!(&mut call).is_pending());
        // The second call is behind the first one.
        settle(&server).await;
        clock.advance(SECOND);
        assert_eq!(call.await, Ok(7));
    });
}

/// GS-28
#[test]
fn call_leaves_nothing_behind() {
    run_with_clock(|mut ctx: Context<()>, _| async move {
        let server = start(&Log::default()).await;
        for _ in 0..3 {
            assert_eq!(server.call(Order::Get).await, Ok(7));
        }
        let myself = process_info(self_pid()).await.unwrap().unwrap();
        assert_eq!((myself.monitors, myself.links), (vec![], vec![]));
        assert_eq!(Node::current().timer_count(), 0);
        kill(pid_of(&server));
        server.join().await;
        assert_eq!(ctx.try_receive(), None);
    });
}

/// GS-29, GS-24: callers that are not served in turn; a name is as good.
#[test]
fn many_callers_wait_at_once() {
    run(|_: Context<()>| async {
        let server = Probe::builder(birth(&Log::default()))
            .name("name")
            .start()
            .await
            .unwrap();
        let named = ProcessRef::<Order>::named("name");
        let kept = join_all((0..100).map(|_| named.call(keep).no_timeout()));
        let mut kept = Box::pin(kept);
        assert!(poll!(&mut kept).is_pending());
        assert_eq!(named.call(count_kept).await, Ok(100));
        server.cast(act(|probe, _| {
            for (number, reply) in probe.kept.drain(..).enumerate().skip(1).step_by(2) {
                reply.send(number as u32);
            }
            Ok(())
        }));
        for (number, answer) in kept.await.into_iter().enumerate() {
            let expected = if number % 2 == 1 {
                Ok(number as u32)
            } else {
                Err(CallError::NoReply)
            };
            assert_eq!(answer, expected);
        }
    });
}

/// GS-30, GS-76: `terminate`, the reply, the end; whatever `terminate` does.
#[test]
fn reply_of_a_stop_goes_out_after_terminate() {
    fn stop_with_reply(last_words: LastWords) -> impl FnOnce(Reply<u32>) -> Order {
        move |reply| {
            act(move |probe, ctx| {
                probe.last_words = last_words;
                ctx.stop_with_reply(ExitReason::Shutdown, reply, 9)
            })
        }
    }
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let (release, gate) = oneshot::channel();
        let mut call = server
            .call(stop_with_reply(LastWords::Wait(gate)))
            .no_timeout();
        assert!(poll!(&mut call).is_pending());
        log.until(&server, "terminate(shutdown)").await;
        assert!(poll!(&mut call).is_pending());
        drop(release);
        assert_eq!(call.await, Ok(9));
        assert_eq!(server.join().await, ExitReason::Shutdown);

        let server = start(&log).await;
        assert_eq!(server.call(stop_with_reply(LastWords::Panic)).await, Ok(9));
        assert_eq!(message_of(&server.join().await), "last words");
    });
}

/// GS-37
#[test]
fn cast_to_nobody_is_no_error() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        server.stop(ExitReason::Normal).await.unwrap();
        server.cast(Order::Note("a"));
        assert!(server.send(Order::Note("b")).is_ok());
        let nobody = ProcessRef::<Order>::named("nobody");
        nobody.cast(Order::Note("c"));
        let refused = nobody.send(Order::Note("d"));
        assert!(matches!(refused, Err(SendError::Unregistered { .. })));
    });
}

/// GS-38
#[test]
fn all_that_one_sender_sends_is_handled_in_order() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = Probe::builder(birth(&log))
            .name("name")
            .start()
            .await
            .unwrap();
        let pid = pid_of(&server);
        server.call(trap).await.unwrap();
        let release = hold_up(&server);
        server.cast(Order::Note("a"));
        send("name", Order::Note("b")).unwrap();
        exit(pid, ExitReason::Normal);
        send(pid, Order::Note("c")).unwrap();
        let mut call = server.call(|reply: Reply<()>| {
            act(|probe, _| {
                probe.log.note("call");
                reply.send(());
                Ok(())
            })
        });
        assert!(poll!(&mut call).is_pending());
        exit(pid, crash());
        server.cast(Order::Note("d"));
        drop(release);
        call.await.unwrap();
        settle(&server).await;
        assert_eq!(
            log.heard(),
            "init a b exit(normal) c call exit(\"crash\") d"
        );
        kill(pid);
    });
}

/// To trap exits.
fn trap(reply: Reply<()>) -> Order {
    act(|_, _| {
        trap_exit(true);
        reply.send(());
        Ok(())
    })
}

// What comes next.

/// GS-50: before anything that waits, and again.
#[test]
fn continuation_goes_before_every_message() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let release = hold_up(&server);
        server.cast(act(|probe, ctx| {
            probe.log.note("a");
            ctx.continue_with(act(|probe, ctx| {
                probe.log.note("b");
                ctx.continue_with(Order::Note("c"));
                Ok(())
            }));
            Ok(())
        }));
        server.cast(Order::Note("d"));
        drop(release);
        settle(&server).await;
        assert_eq!(log.heard(), "a continue b continue c d");
    });
}

/// GS-50: after `handle_info` too; and a stop goes before it.
#[test]
fn continuation_of_a_server_that_stops_is_dropped() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(act(|_, ctx| {
            ctx.continue_with(Order::Note("never"));
            Err(ExitReason::Normal)
        }));
        assert!(server.join().await.is_normal());
        assert_eq!(log.heard(), "terminate(normal)");
    });
}

/// GS-51: the starter does not wait for it, but every message does.
#[test]
fn continuation_of_init_goes_before_the_first_message() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let (release, gate) = oneshot::channel();
        let init: Init = Box::new(move |ctx| {
            ctx.continue_with(Order::Wait(gate));
            ctx.self_ref().cast(Order::Note("a"));
            Ok(())
        });
        let server = Probe::start(Birth {
            init,
            ..birth(&log)
        })
        .await
        .unwrap();
        server.cast(Order::Note("b"));
        drop(release);
        settle(&server).await;
        assert_eq!(log.heard(), "init continue a b");
    });
}

/// To wait for the next message no longer than this.
fn set_timeout(timeout: Duration) -> Order {
    act(move |_, ctx| {
        ctx.set_timeout(timeout);
        Ok(())
    })
}

/// GS-52: once; and any message cancels it.
#[test]
fn timeout_comes_unless_a_message_does() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(set_timeout(SECOND));
        clock.advance_to_next().await;
        assert_eq!(log.until(&server, "timeout").await, "timeout");
        clock.advance(10 * SECOND);
        settle(&server).await;
        assert_eq!(log.heard(), "");

        let messages: [fn(&ServerRef<Probe>); 2] = [
            |server| server.cast(Order::Note("a message")),
            |server| exit(pid_of(server), crash()),
        ];
        server.call(trap).await.unwrap();
        for message in messages {
            server.cast(set_timeout(SECOND));
            is_alive(pid_of(&server)).await.unwrap();
            message(&server);
            settle(&server).await;
            assert_eq!(Node::current().timer_count(), 0);
            clock.advance(10 * SECOND);
            settle(&server).await;
            assert!(!log.heard().contains("timeout"));
        }
        kill(pid_of(&server));
    });
}

/// GS-53: and a server that has much to do is not told that it has nothing.
#[test]
fn zero_timeout_waits_for_what_is_there() {
    run_with_clock(|_: Context<()>, _| async {
        let log = Log::default();
        let server = start(&log).await;
        let release = hold_up(&server);
        for _ in 0..1000 {
            server.cast(set_timeout(Duration::ZERO));
        }
        server.cast(act(|probe, ctx| {
            probe.log.note("last");
            ctx.set_timeout(Duration::ZERO);
            Ok(())
        }));
        drop(release);
        assert_eq!(log.until(&server, "last timeout").await, "last timeout");
    });
}

/// GS-54: neither by a request of `sys` nor by one after the other.
#[test]
fn a_system_message_starts_no_timeout_anew() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(set_timeout(SECOND));
        for _ in 0..4 {
            sys::get_status(&server).await.unwrap();
            assert_eq!(log.heard(), "");
            clock.advance(SECOND / 4);
        }
        assert_eq!(log.until(&server, "timeout").await, "timeout");
        kill(pid_of(&server));
    });
}

/// To note this at this time, if nothing comes before.
fn note_at(time: impl Into<TimeoutTime>, what: &'static str) -> Order {
    let time = time.into();
    act(move |_, ctx| {
        ctx.timeout(time, Order::Note(what));
        Ok(())
    })
}

/// GS-55, GS-57: a message of its own, that any other cancels and a request of
/// `sys` does not.
#[test]
fn a_timeout_brings_its_message_unless_another_comes() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(note_at(SECOND, "late"));
        sys::get_status(&server).await.unwrap();
        clock.advance(SECOND - NS);
        sys::get_status(&server).await.unwrap();
        assert_eq!(log.heard(), "");
        clock.advance(NS);
        assert_eq!(log.until(&server, "late").await, "late");

        server.call(trap).await.unwrap();
        let cancels: [fn(&ServerRef<Probe>); 4] = [
            |server| server.cast(Order::Note("a message")),
            |server| exit(pid_of(server), crash()),
            |server| server.cast(set_timeout(100 * SECOND)),
            |server| server.cast(note_at(None::<Duration>, "never")),
        ];
        for cancel in cancels {
            server.cast(note_at(SECOND, "late"));
            sys::get_status(&server).await.unwrap();
            cancel(&server);
            sys::get_status(&server).await.unwrap();
            clock.advance(10 * SECOND);
            settle(&server).await;
            assert!(!log.heard().contains("late"));
        }
        kill(pid_of(&server));
    });
}

/// GS-55: before all that is there, also if it is ordered again and again.
#[test]
fn a_timeout_of_no_time_goes_before_what_is_there() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let release = hold_up(&server);
        server.cast(act(|_, ctx| {
            let second = act(|_, ctx| {
                ctx.timeout(Duration::ZERO, Order::Note("second"));
                Ok(())
            });
            ctx.timeout(Duration::ZERO, second);
            Ok(())
        }));
        server.cast(Order::Note("third"));
        drop(release);
        assert_eq!(log.until(&server, "third").await, "second third");
        let forever = |_: &mut Probe, ctx: &mut ServerContext<Probe>| again(ctx);
        server.cast(act(forever));
        kill(pid_of(&server));
        assert_eq!(server.join().await, ExitReason::Killed);
    });
}

/// Goes before what is there for ever.
fn again(ctx: &mut ServerContext<Probe>) -> Outcome {
    ctx.timeout(Duration::ZERO, act(|_, ctx| again(ctx)));
    Ok(())
}

/// GS-56
#[test]
fn a_timeout_at_infinity_starts_nothing() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(note_at(None::<Duration>, "never"));
        server.cast(act(|_, ctx| {
            ctx.timeout(SECOND, Order::Note("never"));
            ctx.timeout(TimeoutTime::Infinity, Order::Note("never"));
            Ok(())
        }));
        sys::get_status(&server).await.unwrap();
        assert_eq!(Node::current().timer_count(), 0);
        clock.advance(1000 * SECOND);
        settle(&server).await;
        assert_eq!(log.heard(), "");
        kill(pid_of(&server));
    });
}

/// GS-58: also one that is over, which is due when nothing else is there; and a
/// suspension does not move it.
#[test]
fn a_timeout_takes_a_time_of_the_clock() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(note_at(now() + SECOND, "late"));
        sys::suspend(&server).await.unwrap();
        clock.advance(SECOND - NS);
        sys::resume(&server).await.unwrap();
        sys::get_status(&server).await.unwrap();
        assert_eq!(log.heard(), "");
        clock.advance(NS);
        assert_eq!(log.until(&server, "late").await, "late");
        let release = hold_up(&server);
        server.cast(note_at(now() - SECOND, "cancelled"));
        server.cast(note_at(now() - SECOND, "over"));
        drop(release);
        assert_eq!(log.until(&server, "over").await, "over");
        kill(pid_of(&server));
    });
}

/// GS-11, PLIB-07: the monitor is there before the server runs; a start that
/// fails leaves none, and no notice.
#[test]
fn a_server_can_be_started_with_a_monitor() {
    run(|mut ctx: Context<()>| async move {
        let log = Log::default();
        let (server, monitor) = Probe::start_monitor(birth(&log)).await.unwrap();
        let myself = process_info(self_pid()).await.unwrap().unwrap();
        assert_eq!(
            (myself.links, myself.monitors),
            (vec![], vec![pid_of(&server)])
        );
        server.cast(stop(crash()));
        let Message::Down(down) = ctx.receive().await else {
            panic!("not the end of the server");
        };
        assert_eq!((down.reference, down.reason), (monitor, crash()));

        let fails = Birth {
            init: Box::new(|_| Err(InitError::Stop(crash()))),
            ..birth(&log)
        };
        let failed = Probe::start_monitor(fails).await;
        assert_eq!(failed.unwrap_err(), StartError::Failed(crash()));
        let (_release, gate) = oneshot::channel();
        let hangs = Birth {
            gate: Some(gate),
            ..birth(&log)
        };
        let builder = Probe::builder(hangs).name("name");
        let mut dropped = Box::pin(builder.start_monitor());
        assert!(poll!(&mut dropped).is_pending());
        let hung = join(whereis("name").unwrap());
        drop(dropped);
        assert_eq!(hung.await, ExitReason::Killed);
        let myself = process_info(self_pid()).await.unwrap().unwrap();
        assert_eq!((myself.monitors, myself.message_queue_len), (vec![], 0));
    });
}

/// GS-11: outside of processes nobody can be told.
#[test]
fn a_monitor_belongs_to_a_process() {
    let node = Node::new().unwrap();
    let started = node.block_on(
        Probe::builder(birth(&Log::default()))
            .on(&node)
            .start_monitor(),
    );
    let error = StartError::Spawn(SpawnError::NotInProcess);
    assert_eq!(started.unwrap_err(), error);
}

/// GS-80: with its parent, its name, and what was in its mailbox.
#[test]
fn a_running_process_can_become_a_server() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let to_start = log.clone();
        let (release, gate) = oneshot::channel::<()>();
        let parent = spawn(move |mut ctx: Context<()>| async move {
            let options = spawn_options().name("server").link();
            let body = move |ctx: Context<Order>| async move {
                gate.await.unwrap();
                trap_exit(true);
                let probe = Probe {
                    log: to_start,
                    kept: Vec::new(),
                    last_words: LastWords::None,
                };
                probe.enter_loop(ctx).await
            };
            drop(options.spawn(body).unwrap());
            ctx.receive().await;
        });
        let parent = parent.unwrap();
        while whereis("server").is_none() {
            is_alive(pid_of(&parent)).await.unwrap();
        }
        let server = ServerRef::<Probe>::named("server");
        server.cast(Order::Note("early"));
        let mut call = server.call(Order::Get).no_timeout();
        assert!(poll!(&mut call).is_pending());
        release.send(()).unwrap();
        assert_eq!(call.await, Ok(7));
        assert_eq!(log.heard(), "early");
        let status = sys::get_status("server").await.unwrap();
        assert_eq!(status.parent, parent.pid());
        let end = server.join();
        parent.cast(());
        assert_eq!(end.await, ExitReason::Normal);
        assert_eq!(log.heard(), "terminate(normal)");
    });
}

/// What the runtime reports, one line a report.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    /// Listens to what is reported on this thread.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        crate::support::keep_reports_open();
        let reports = Self::default();
        let subscriber = tracing_subscriber::registry().with(reports.clone());
        (reports, tracing::subscriber::set_default(subscriber))
    }

    /// What came since it was last asked.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: tracing::Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }
        let meta = event.metadata();
        if meta.target().starts_with("resurgam") {
            let mut line = Line(format!("{} {}", meta.level(), meta.target()));
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

/// A server with no callbacks but the needed ones.
struct Plain;

impl GenServer for Plain {
    type Args = ();
    type Message = Reply<()>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        Ok(Self)
    }

    async fn handle(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Outcome {
        reply.send(());
        Ok(())
    }
}

/// GS-36: an info that nobody asked for is reported and dropped.
#[tokio::test]
async fn unexpected_info_is_reported_and_dropped() {
    let (reports, _guard) = Reports::listen();
    let node = Node::new().unwrap();
    let server = Plain::builder(()).on(&node).start().await.unwrap();
    node.exit(pid_of(&server), crash());
    server.call(|reply| reply).await.unwrap();
    let heard = reports.heard();
    let [report] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(report.starts_with("WARN resurgam::gen_server"), "{report}");
    assert!(
        report.contains(&format!("server={}", pid_of(&server))),
        "{report}"
    );
    assert!(report.contains("crash"), "{report}");
    server.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(reports.heard(), [""; 0]);
}

/// GS-77, PLIB-09, PLIB-11, INFO-05: an abnormal end of its own is reported
/// with name, label, reason and mailbox; a graceful one and one by a signal
/// are not.
#[tokio::test]
async fn only_crashes_are_reported() {
    let (reports, _guard) = Reports::listen();
    let node = Node::new().unwrap();
    type End = (fn(&Node, &ServerRef<Probe>), Option<&'static str>);
    let ends: [End; 6] = [
        (|_, server| server.cast(stop(ExitReason::Normal)), None),
        (|_, server| server.cast(stop(ExitReason::Shutdown)), None),
        (
            |_, server| server.cast(stop(ExitReason::shutdown_with(1))),
            None,
        ),
        (|node, server| node.exit(pid_of(server), crash()), None),
        (
            |_, server| server.cast(stop(crash())),
            Some("reason=\"crash\""),
        ),
        (
            |_, server| server.cast(panic()),
            Some("reason=panicked: on purpose at "),
        ),
    ];
    for (end, report) in ends {
        let birth = birth(&Log::default());
        let server = Probe::builder(birth)
            .name("name")
            .label("label")
            .on(&node)
            .start();
        let server = server.await.unwrap();
        end(&node, &server);
        server.cast(Order::Note("unread"));
        server.join().await;
        let heard = reports.heard();
        let Some(reason) = report else {
            assert_eq!(heard, [""; 0]);
            continue;
        };
        assert!(
            heard.len() == 1 && heard[0].starts_with("ERROR resurgam::crash"),
            "{heard:?}"
        );
        let pid = format!("pid={}", pid_of(&server));
        for part in [
            &pid,
            reason,
            "name=\"name\"",
            "label=\"label\"",
            "queue_len=1",
        ] {
            assert!(heard[0].contains(part), "{part} in {heard:?}");
        }
    }
}

/// PLIB-08
#[test]
fn panic_names_the_ancestors() {
    run(|_: Context<()>| async {
        let (parent, server) = family(&Log::default()).await;
        server.cast(panic());
        let ExitReason::Panicked(panic) = server.join().await else {
            panic!("no panic")
        };
        assert_eq!(panic.ancestors(), [pid_of(&parent), self_pid()]);
        assert_eq!(panic.process(), pid_of(&server));
        assert!(panic.location().unwrap().starts_with(file!()));
    });
}

// Ending.

/// GS-70, GS-75, GS-79: by its own will, by a panic, by order.
#[test]
fn terminate_runs_before_an_end_that_can_be_foreseen() {
    run(|_: Context<()>| async {
        let log = Log::default();
        type End = (fn(&ServerRef<Probe>), &'static str);
        let ends: [End; 4] = [
            (
                |server| server.cast(stop(ExitReason::Normal)),
                "terminate(normal)",
            ),
            (|server| server.cast(stop(crash())), "terminate(\"crash\")"),
            (|server| server.cast(panic()), "terminate(panic on purpose)"),
            (
                |server| drop(server.stop(ExitReason::Shutdown).now_or_never()),
                "terminate(shutdown)",
            ),
        ];
        for (end, expected) in ends {
            let server = start(&log).await;
            end(&server);
            server.join().await;
            assert_eq!(log.heard(), expected);
        }
    });
}

/// GS-71: a kill even if it traps exits.
#[test]
fn terminate_does_not_run_when_a_signal_ends_the_server() {
    run(|_: Context<()>| async {
        let log = Log::default();
        for (end, reason) in ends_by_signal() {
            let server = start(&log).await;
            end(&server);
            assert_eq!(server.join().await, reason);
        }
        let server = start(&log).await;
        server.call(trap).await.unwrap();
        kill(pid_of(&server));
        assert_eq!(server.join().await, ExitReason::Killed);
        assert_eq!(log.heard(), "");
    });
}

/// What a parent is told.
enum Parental {
    Start(Birth, Reply<ServerRef<Probe>>),
    End(ExitReason),
}

/// Starts a server, linked to it, and ends as it is told.
async fn parent(mut ctx: Context<Parental>) -> ExitReason {
    loop {
        match ctx.receive().await {
            Message::User(Parental::Start(birth, reply)) => {
                reply.send(Probe::start_link(birth).await.unwrap());
            }
            Message::User(Parental::End(reason)) => return reason,
            Message::Exit(_) | Message::Down(_) => {}
        }
    }
}

/// A server with its parent.
async fn family(log: &Log) -> (ProcessRef<Parental>, ServerRef<Probe>) {
    let parent = spawn(parent).unwrap();
    let server = parent
        .call(|reply| Parental::Start(birth(log), reply))
        .await
        .unwrap();
    assert_eq!(log.heard(), "init");
    (parent, server)
}

/// GS-70, GS-72, GS-78: whatever the reason; what is in the mailbox is handled
/// first, and it does not matter whether the parent has a name.
#[test]
fn trapping_server_ends_with_its_parent() {
    run_on_threads(|_: Context<()>| async {
        let reasons = [
            ExitReason::Normal,
            ExitReason::Shutdown,
            crash(),
            ExitReason::Kill,
        ];
        for (reason, name) in reasons
            .into_iter()
            .zip([None, Some("name")].into_iter().cycle())
        {
            let log = Log::default();
            let (parent, server) = family(&log).await;
            if let Some(name) = name {
                register(name, pid_of(&parent)).unwrap();
            }
            server.call(trap).await.unwrap();
            server.cast(Order::Note("a"));
            parent.cast(Parental::End(reason.clone()));
            assert_eq!(server.join().await, reason);
            assert_eq!(log.heard(), format!("a terminate({reason})"));
        }
    });
}

/// GS-71, GS-73: it goes without a word; a normal end it does not notice.
#[test]
fn server_that_does_not_trap_outlives_a_normal_end_of_its_parent() {
    run_on_threads(|_: Context<()>| async {
        let log = Log::default();
        let (parent, server) = family(&log).await;
        parent.cast(Parental::End(ExitReason::Normal));
        parent.join().await;
        settle(&server).await;
        let info = process_info(pid_of(&server)).await.unwrap().unwrap();
        assert_eq!((info.parent, info.links), (Some(pid_of(&parent)), vec![]));

        let (parent, server) = family(&log).await;
        parent.cast(Parental::End(crash()));
        assert_eq!(server.join().await, crash());
        assert_eq!(log.heard(), "");
    });
}

/// GS-74: a link, an exit that was sent, a `Down`; and a server that was
/// started without a link has no parent.
#[test]
fn exit_of_a_stranger_is_an_info() {
    run_on_threads(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        server.call(trap).await.unwrap();
        let stranger = pid_of(&spawn(idle).unwrap());
        server.cast(act(move |_, ctx| {
            assert_eq!(ctx.parent(), None);
            link(stranger);
            monitor(stranger);
            Ok(())
        }));
        settle(&server).await;
        kill(stranger);
        let heard = log.until(&server, "down(killed)").await;
        assert_eq!(heard, "exit(killed) down(killed)");
        exit(pid_of(&server), ExitReason::Shutdown);
        settle(&server).await;
        assert_eq!(log.heard(), "exit(shutdown)");
        kill(pid_of(&server));
    });
}

/// GS-76
#[test]
fn panic_of_terminate_is_the_reason() {
    run(|_: Context<()>| async {
        for end in [stop(ExitReason::Normal), stop(crash()), panic()] {
            let log = Log::default();
            let server = start(&log).await;
            let mut call = server.call(keep).no_timeout();
            assert!(poll!(&mut call).is_pending());
            server.cast(act(|probe, _| {
                probe.last_words = LastWords::Panic;
                Ok(())
            }));
            server.cast(end);
            let reason = server.join().await;
            assert_eq!(message_of(&reason), "last words");
            assert_eq!(call.await, Err(CallError::Down(reason)));
            assert_eq!(log.heard().matches("terminate").count(), 1);
        }
    });
}

/// GS-71: also while it terminates.
#[test]
fn terminating_server_can_be_killed() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let (_release, gate) = oneshot::channel();
        let mut call = server.call(keep).no_timeout();
        assert!(poll!(&mut call).is_pending());
        server.cast(act(|probe, _| {
            probe.last_words = LastWords::Wait(gate);
            Err(ExitReason::Normal)
        }));
        log.until(&server, "terminate(normal)").await;
        kill(pid_of(&server));
        assert_eq!(server.join().await, ExitReason::Killed);
        assert_eq!(call.await, Err(CallError::Down(ExitReason::Killed)));
    });
}

/// A server whose callbacks are no `async fn`: what panics is the call that
/// makes the future.
struct Eager(Log);

impl GenServer for Eager {
    type Args = Log;
    type Message = ();

    async fn init(log: Log, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(log))
    }

    fn handle(
        &mut self,
        (): (),
        _: &mut ServerContext<Self>,
    ) -> impl Future<Output = Outcome> + Send {
        assert!(self.0.heard().is_empty(), "on purpose");
        async { Ok(()) }
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        self.0.note(format!("terminate({})", message_of(reason)));
    }
}

/// GS-70, GS-75: however the callback is written.
#[test]
fn terminate_runs_when_a_callback_panics_before_its_future_is_polled() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = Eager::start(log.clone()).await.unwrap();
        log.note("panic");
        server.cast(());
        assert_eq!(message_of(&server.join().await), "on purpose");
        assert_eq!(log.heard(), "terminate(on purpose)");
    });
}

/// GS-79, PLIB-12: what was sent before is handled first.
#[test]
fn stop_ends_the_server_with_the_reason_asked_for() {
    run(|_: Context<()>| async {
        let reasons = [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with(1),
            crash(),
        ];
        for reason in reasons {
            let log = Log::default();
            let server = start(&log).await;
            server.cast(Order::Note("a"));
            server.stop(reason.clone()).await.unwrap();
            assert_eq!(log.heard(), format!("a terminate({reason})"));
            assert_eq!(server.join().await, reason);
            assert_eq!(is_alive(pid_of(&server)).await, Ok(false));
        }
    });
}

/// PLIB-13
#[test]
fn stop_tells_why_it_was_not_as_told() {
    run_with_clock(|_: Context<()>, clock| async move {
        let dead = start(&Log::default()).await;
        dead.stop(ExitReason::Normal).await.unwrap();
        for nobody in [dead, ProcessRef::named("nobody")] {
            let stopped = nobody.stop(ExitReason::Normal).await;
            assert_eq!(stopped, Err(StopServerError::NoProcess));
            let stopped = nobody.stop_timeout(ExitReason::Normal, SECOND).await;
            assert_eq!(stopped, Err(StopServerError::NoProcess));
        }
        for (end, reason) in ends_by_signal().into_iter().chain(ends_by_order()) {
            let server = start(&Log::default()).await;
            let release = hold_up(&server);
            end(&server);
            let mut stopped = Box::pin(server.stop(ExitReason::custom("other")));
            if poll!(&mut stopped).is_pending() {
                drop(release);
                assert_eq!(stopped.await, Err(StopServerError::Exited(reason)));
            }
        }
        let server = start(&Log::default()).await;
        let release = hold_up(&server);
        let (stopped, _) = futures::join!(
            server.stop_timeout(ExitReason::Normal, SECOND),
            clock.advance_to_next(),
        );
        assert_eq!(stopped, Err(StopServerError::TimedOut));
        drop(release);
        assert!(server.join().await.is_normal());
    });
}

/// PLIB-14: so does one whose future was dropped.
#[test]
fn order_to_stop_stands() {
    run_with_clock(|_: Context<()>, _| async {
        let server = start(&Log::default()).await;
        let release = hold_up(&server);
        let stopped = server
            .stop_timeout(ExitReason::Shutdown, Duration::ZERO)
            .await;
        assert_eq!(stopped, Err(StopServerError::TimedOut));
        drop(release);
        assert_eq!(server.join().await, ExitReason::Shutdown);

        let server = start(&Log::default()).await;
        assert!(server.stop(ExitReason::Shutdown).now_or_never().is_none());
        assert_eq!(server.join().await, ExitReason::Shutdown);
    });
}

/// PLIB-15
#[test]
fn server_that_ends_by_itself_as_told_was_stopped() {
    run_on_threads(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let release = hold_up(&server);
        server.cast(stop(ExitReason::Shutdown));
        let mut stopped = Box::pin(server.stop(ExitReason::Shutdown));
        assert!(poll!(&mut stopped).is_pending());
        drop(release);
        assert_eq!(stopped.await, Ok(()));
    });
}

/// GS-79, PLIB-15: two who stop one server; and one that only just misses it
/// is told that nobody is there.
#[test]
fn stop_races_with_the_end() {
    run_on_threads(|_: Context<()>| async {
        for _ in 0..ROUNDS {
            let server = start(&Log::default()).await;
            let other = server.clone();
            let rival = spawn_options().spawn_thread(move |mut ctx: ThreadContext<()>| {
                check_stopped(ctx.block_on(other.stop(ExitReason::Normal)));
            });
            check_stopped(server.stop(ExitReason::Normal).await);
            assert!(rival.unwrap().process.join().await.is_normal());
        }
    });
}

#[track_caller]
fn check_stopped(stopped: Result<(), StopServerError>) {
    match stopped {
        Ok(()) | Err(StopServerError::NoProcess) => {}
        Err(error) => panic!("{error}"),
    }
}

/// PLIB-12: a trapping server that is linked to whoever stops it.
#[test]
fn stop_of_a_linked_server_is_seen_by_its_parent() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let log = Log::default();
        let server = Probe::start_link(birth(&log)).await.unwrap();
        server.call(trap).await.unwrap();
        server.stop(ExitReason::Normal).await.unwrap();
        let exit = Exit {
            from: pid_of(&server),
            reason: ExitReason::Normal,
        };
        assert_eq!(ctx.try_receive(), Some(Message::Exit(exit)));
        assert_eq!(ctx.try_receive(), None);
    });
}

/// A server that waits in a callback until it is let go, and counts how often
/// it is polled there.
struct Waiter;

struct Wait {
    polls: Arc<AtomicUsize>,
    begun: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl GenServer for Waiter {
    type Args = ();
    type Message = Option<Wait>;

    async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        message: Option<Wait>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Some(mut wait) = message else {
            return Ok(());
        };
        let _ = wait.begun.send(());
        let go_on = poll_fn(|cx| {
            wait.polls.fetch_add(1, Ordering::Relaxed);
            wait.go_on.poll_unpin(cx)
        });
        let _ = go_on.await;
        Ok(())
    }
}

/// Fault 10: mail does not wake a server that waits in a callback, as it could
/// not take it there.
#[test]
fn mail_does_not_wake_a_server_that_waits_in_a_callback() {
    run(|_: Context<()>| async {
        let (server, other) = (
            Waiter::start(()).await.unwrap(),
            start(&Log::default()).await,
        );
        let polls = Arc::new(AtomicUsize::new(0));
        let (begun, has_begun) = oneshot::channel();
        let (release, go_on) = oneshot::channel();
        server.cast(Some(Wait {
            polls: Arc::clone(&polls),
            begun,
            go_on,
        }));
        has_begun.await.unwrap();
        for _ in 0..3 {
            server.cast(None);
            // Gives the server the time to run, if it was woken.
            other.call(trap).await.unwrap();
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        release.send(()).unwrap();
        server.stop(ExitReason::Normal).await.unwrap();
    });
}
