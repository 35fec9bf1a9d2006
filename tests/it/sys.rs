//! Looking into servers while they run, law by law.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::oneshot;
use futures::poll;
use resurgam::sys::{self, Condition, Debugging, Error, EventKind};
use resurgam::{
    Agent, ChildSpec, Context, DynamicSupervisor, Event, EventManager, ExitReason, GenServer,
    GenStatem, Groups, Info, InitError, ManualClock, Message, MessageRef, Node, ProcessRef,
    Registry, Reply, ServerContext, ServerRef, StatemContext, StatemRef, Strategy, Supervisor,
    TaskSupervisor, ThreadContext, Transition, exit, kill, link, now, self_pid, spawn, trap_exit,
};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Log, idle, pid_of, run, run_on_threads, run_with_clock};

const SECOND: Duration = Duration::from_secs(1);
const NS: Duration = Duration::from_nanos(1);

/// A server that notes what it handles, and counts it.
struct Probe {
    handled: u32,
    log: Log,
    /// What nobody is to see.
    password: &'static str,
    format: Format,
}

/// How a probe formats itself.
#[derive(Copy, Clone)]
enum Format {
    Well,
    Panics,
}

enum Order {
    Note(&'static str),
    Get(Reply<u32>),
    /// To wait for the next message no longer than this.
    Timeout(Duration),
    /// To go on with this.
    GoOn(&'static str),
    /// To come back when the other end is dropped or used.
    Hold(oneshot::Receiver<()>),
}

impl Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note("unspeakable") => panic!("as the test wants"),
            Self::Note(what) => write!(f, "Note({what})"),
            Self::Get(_) => f.write_str("Get"),
            Self::Timeout(_) => f.write_str("Timeout"),
            Self::GoOn(_) => f.write_str("GoOn"),
            Self::Hold(_) => f.write_str("Hold"),
        }
    }
}

impl GenServer for Probe {
    type Args = Log;
    type Message = Order;

    async fn init(log: Log, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        Ok(Self {
            handled: 0,
            log,
            password: "sesame",
            format: Format::Well,
        })
    }

    async fn handle(
        &mut self,
        order: Order,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.handled += 1;
        match order {
            Order::Note(what) => self.log.note(what),
            Order::Get(reply) => reply.send(self.handled),
            Order::Timeout(time) => ctx.set_timeout(time),
            Order::GoOn(what) => ctx.continue_with(Order::Note(what)),
            Order::Hold(gate) => drop(gate.await),
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Exit(exit) => self.log.note(format!("exit({})", exit.reason)),
            Info::Down(down) => self.log.note(format!("down({})", down.reason)),
            Info::Timeout => self.log.note("timeout"),
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        self.log.note(format!("terminate({reason})"));
    }

    fn format_status(&self) -> impl Debug {
        assert_eq!(self.password, "sesame");
        fmt::from_fn(|f| match self.format {
            Format::Well => write!(f, "handled {}", self.handled),
            Format::Panics => panic!("{}", self.password),
        })
    }

    fn format_message(order: &Order) -> impl Debug {
        order
    }
}

async fn start(log: &Log) -> ServerRef<Probe> {
    Probe::start(log.clone()).await.unwrap()
}

/// Once this has returned, all that was sent before has been handled.
async fn settle(server: &ServerRef<Probe>) -> u32 {
    server.call(Order::Get).await.unwrap()
}

fn crash() -> ExitReason {
    ExitReason::custom("crash")
}

/// What was logged, without its times.
async fn logged<M: Send + 'static>(server: &ProcessRef<M>) -> Vec<String> {
    let log = sys::get_log(server).await.unwrap();
    log.iter().map(ToString::to_string).collect()
}

/// A machine that is on or off, and counts how often it was entered.
#[derive(Clone, PartialEq, Debug)]
struct Switch {
    entered: u32,
}

enum Press {
    Toggle,
    /// To be handled when the state has changed.
    Later,
    Sleep(Duration),
    Look(Reply<(bool, u32)>),
}

impl GenStatem for Switch {
    type Args = ();
    type State = bool;
    type Message = Press;
    type Internal = ();
    type Timeout = ();

    async fn init((): (), _: &mut StatemContext<Self>) -> Result<(bool, Self), InitError> {
        Ok((false, Self { entered: 0 }))
    }

    async fn enter(
        &mut self,
        _: &bool,
        _: &bool,
        _: &mut StatemContext<Self>,
    ) -> Result<(), ExitReason> {
        self.entered += 1;
        Ok(())
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &bool,
        ctx: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        Ok(match event {
            Event::Message(Press::Toggle) | Event::GenericTimeout((), ()) => {
                Transition::next_state(!state)
            }
            Event::Message(Press::Later) if !state => Transition::keep_state().postpone(event),
            Event::Message(Press::Sleep(time)) => {
                ctx.generic_timeout((), time, ());
                Transition::keep_state()
            }
            Event::Message(Press::Look(reply)) => {
                reply.send((*state, self.entered));
                Transition::keep_state()
            }
            _ => Transition::keep_state(),
        })
    }

    fn format_status(&self, state: &bool) -> impl Debug {
        let name = if *state { "on" } else { "off" };
        (name, self.entered)
    }
}

async fn switch() -> StatemRef<Switch> {
    Switch::start(()).await.unwrap()
}

/// SYS-01
#[test]
fn every_behaviour_answers() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let machine = switch().await;
        let agent = Agent::start(|| 7).await.unwrap();
        let scope = Groups::builder("scope").start().await.unwrap();
        let registry = Registry::<u32>::unique().builder().start().await.unwrap();
        let supervisor = Supervisor::builder(Strategy::RestForOne)
            .child(ChildSpec::task("idle", std::future::pending::<()>))
            .start()
            .await
            .unwrap();
        let dynamic = DynamicSupervisor::builder().start().await.unwrap();
        let tasks = TaskSupervisor::from(DynamicSupervisor::builder().start().await.unwrap());
        let manager = EventManager::<u8>::start().await.unwrap();
        let status = [
            sys::get_status(&manager).await,
            sys::get_status(&server).await,
            sys::get_status(&machine).await,
            sys::get_status(&agent).await,
            sys::get_status(&scope).await,
            sys::get_status(&registry).await,
            sys::get_status(&supervisor).await,
            sys::get_status(&dynamic).await,
            sys::get_status(tasks.supervisor()).await,
        ];
        let states = status.map(|status| status.unwrap().state);
        let none =
            "DynamicSupervisor { max_children: 18446744073709551615, children: 0, running: 0 }";
        let expected = [
            "EventManager { handlers: [] }",
            "handled 0",
            "(\"off\", 1)",
            "not shown",
            "GroupScope { scope: \"scope\", members: 0, watches: 0 }",
            "RegistryServer { entries: 0 }",
            "Supervisor { strategy: RestForOne, children: 1, running: 1 }",
            none,
            none,
        ];
        assert_eq!(states, expected);
        let by_pid = sys::get_status(pid_of(&server)).await.unwrap();
        assert_eq!(by_pid.pid, pid_of(&server));
        for supervisor in [dynamic, tasks.supervisor().clone()] {
            supervisor.stop().await.unwrap();
        }
        supervisor.stop().await.unwrap();
        kill(pid_of(&scope));
        kill(pid_of(&registry));
        kill(manager.pid().unwrap());
    });
}

/// SYS-01, SYS-12: what cannot be asked is told as a call is.
#[test]
fn a_request_that_nobody_serves_is_an_error() {
    run(|ctx: Context<()>| async move {
        let server = start(&Log::default()).await;
        let pid = pid_of(&server);
        let down = Error::Down(ExitReason::NoProcess);
        assert_eq!(sys::suspend("nobody").await, Err(down.clone()));
        let me = self_pid();
        assert_eq!(sys::resume(me).await, Err(Error::CallingSelf));
        let plain = spawn(idle).unwrap();
        let none = Error::NoBehaviour(pid_of(&plain));
        assert_eq!(sys::suspend(&plain).await, Err(none.clone()));
        // It reads on all the same.
        plain.cast(());
        assert_eq!(sys::no_debug(&plain).await, Err(none));

        let (_release, gate) = oneshot::channel();
        server.cast(Order::Hold(gate));
        let mut asked = sys::get_status(&server);
        assert!(poll!(&mut asked).is_pending());
        kill(pid);
        assert_eq!(asked.await.unwrap_err(), Error::Down(ExitReason::Killed));
        assert_eq!(sys::suspend(&server).await, Err(down.clone()));
        assert_eq!(sys::suspend(pid).await, Err(down.clone()));
        assert_eq!(sys::terminate(&server, crash()), Err(down));
        kill(pid_of(&plain));
        drop(ctx);
    });
}

/// SYS-01
#[test]
fn a_request_waits_for_five_seconds() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let server = start(&Log::default()).await;
        let (release, gate) = oneshot::channel();
        server.cast(Order::Hold(gate));
        let mut default = sys::log(&server, 3);
        let mut short = sys::get_status(&server).timeout(SECOND);
        let mut endless = sys::get_status(&server).no_timeout();
        assert!(poll!(&mut default).is_pending());
        assert!(poll!(&mut short).is_pending());
        assert!(poll!(&mut endless).is_pending());
        clock.advance(SECOND);
        assert_eq!(short.await.unwrap_err(), Error::TimedOut);
        clock.advance(4 * SECOND - NS);
        assert!(poll!(&mut default).is_pending());
        clock.advance(NS);
        assert_eq!(default.await, Err(Error::TimedOut));
        clock.advance(1000 * SECOND);
        release.send(()).unwrap();
        // What it asked for was done later.
        assert_eq!(endless.await.unwrap().debug, ["log"]);
        kill(pid_of(&server));
    });
}

/// SYS-12: a process on a thread, and one that waits with a time limit, too.
#[test]
fn a_plain_process_refuses_and_reads_on() {
    run_on_threads(|mut ctx: Context<u8>| async move {
        let me = ctx.self_ref();
        let thread = ctx.node().spawn_thread(move |mut ctx: ThreadContext<u8>| {
            let Message::User(n) = ctx.receive() else {
                panic!("not a number");
            };
            me.cast(n);
        });
        let thread = thread.unwrap();
        let asked = sys::get_status(&thread).await;
        assert_eq!(asked.unwrap_err(), Error::NoBehaviour(pid_of(&thread)));
        thread.cast(1);
        assert_eq!(ctx.receive().await, Message::User(1));
        let me = ctx.self_ref();
        let patient = spawn(move |mut ctx: Context<u8>| async move {
            while let Some(Message::User(n)) = ctx.receive_timeout(1000 * SECOND).await {
                me.cast(n);
            }
        });
        let me = ctx.self_ref();
        let choosy = spawn(move |mut ctx: Context<u8>| async move {
            loop {
                let number = ctx.receive_match(|m| matches!(m, MessageRef::User(_)));
                let Message::User(n) = number.await else {
                    panic!("not a number");
                };
                me.cast(n);
            }
        });
        for process in [patient.unwrap(), choosy.unwrap()] {
            for n in 0..100 {
                process.cast(n);
                let asked = sys::get_state(&process, |n: &u8| *n);
                assert_eq!(asked.await, Err(Error::NoBehaviour(pid_of(&process))));
                assert_eq!(ctx.receive().await, Message::User(n));
            }
            kill(pid_of(&process));
        }
    });
}

/// SYS-12: what came behind the request is read as well.
#[test]
fn a_plain_process_that_refuses_does_not_fall_asleep() {
    run(|mut ctx: Context<u8>| async move {
        let me = ctx.self_ref();
        let (release, gate) = oneshot::channel();
        let plain = spawn(move |mut ctx: Context<u8>| async move {
            gate.await.unwrap();
            while let Message::User(n) = ctx.receive().await {
                me.cast(n);
            }
        });
        let plain = plain.unwrap();
        plain.cast(1);
        let mut asked = sys::get_status(&plain);
        assert!(poll!(&mut asked).is_pending());
        plain.cast(2);
        release.send(()).unwrap();
        assert_eq!(ctx.receive().await, Message::User(1));
        assert_eq!(ctx.receive().await, Message::User(2));
        assert!(asked.await.is_err());
        kill(pid_of(&plain));
    });
}

/// SYS-02: messages and notices, in the order in which they came.
#[test]
fn a_suspended_server_leaves_what_comes_in_order() {
    run(|_: Context<()>| async {
        trap_exit(true);
        let log = Log::default();
        let server = start(&log).await;
        let pid = pid_of(&server);
        server.cast(Order::Note("0"));
        sys::suspend(&server).await.unwrap();
        assert_eq!(log.heard(), "0");
        server.cast(Order::Note("1"));
        exit(pid, ExitReason::custom(2));
        server.cast(Order::Note("3"));
        exit(pid, ExitReason::custom(4));
        server.cast(Order::Note("5"));
        // Many requests later nothing has moved.
        for _ in 0..1000 {
            let handled = sys::get_state(&server, |probe: &Probe| probe.handled);
            assert_eq!(handled.await, Ok(1));
        }
        server.cast(Order::Note("6"));
        let status = sys::get_status(&server).await.unwrap();
        assert_eq!(status.condition, Condition::Suspended);
        assert_eq!(log.heard(), "");
        sys::resume(&server).await.unwrap();
        settle(&server).await;
        assert_eq!(log.heard(), "1 exit(2) 3 exit(4) 5 6");
        kill(pid);
    });
}

/// SYS-02: a call waits, and is answered later.
#[test]
fn a_call_of_a_suspended_server_waits() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        sys::suspend(&server).await.unwrap();
        let mut call = server.call(Order::Get).no_timeout();
        assert!(poll!(&mut call).is_pending());
        sys::get_status(&server).await.unwrap();
        assert!(poll!(&mut call).is_pending());
        sys::resume(&server).await.unwrap();
        assert_eq!(call.await, Ok(1));
        kill(pid_of(&server));
    });
}

/// SYS-03
#[test]
fn one_resume_ends_however_many_suspends() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        sys::suspend(&server).await.unwrap();
        sys::suspend(&server).await.unwrap();
        sys::resume(&server).await.unwrap();
        assert_eq!(settle(&server).await, 1);
        sys::resume(&server).await.unwrap();
        assert_eq!(settle(&server).await, 2);
        kill(pid_of(&server));
    });
}

/// SYS-04: the exit of the parent, and no other one.
#[test]
fn a_suspended_server_ends_with_its_parent() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let to_start = log.clone();
        let (tell, told) = oneshot::channel();
        let parent = spawn(move |mut ctx: Context<()>| async move {
            let server = Probe::start_link(to_start).await.unwrap();
            assert!(tell.send(server).is_ok());
            ctx.receive().await;
            crash()
        });
        let parent = parent.unwrap();
        let server = told.await.unwrap();
        sys::suspend(&server).await.unwrap();
        server.cast(Order::Note("unheard"));
        exit(pid_of(&server), ExitReason::custom("a stranger"));
        sys::get_status(&server).await.unwrap();
        parent.cast(());
        assert_eq!(server.join().await, crash());
        assert_eq!(log.heard(), "terminate(\"crash\")");
    });
}

/// PLIB-16: before what is in the mailbox; and it can be killed.
#[test]
fn a_suspended_server_can_be_stopped() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        sys::suspend(&server).await.unwrap();
        server.cast(Order::Note("unheard"));
        server.stop(ExitReason::Shutdown).await.unwrap();
        assert_eq!(log.heard(), "terminate(shutdown)");
        let machine = switch().await;
        sys::suspend(&machine).await.unwrap();
        machine.cast(Press::Toggle);
        machine.stop(ExitReason::Normal).await.unwrap();

        let server = start(&log).await;
        sys::suspend(&server).await.unwrap();
        let mut call = server.call(Order::Get);
        assert!(poll!(&mut call).is_pending());
        kill(pid_of(&server));
        assert_eq!(server.join().await, ExitReason::Killed);
        assert!(call.await.is_err());
        assert_eq!(log.heard(), "");
    });
}

/// PLIB-16: a supervisor that is suspended ends its children when it is told
/// to end.
#[test]
fn a_suspended_supervisor_can_be_stopped() {
    run(|_: Context<()>| async {
        let supervisor = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::task("idle", std::future::pending::<()>))
            .start()
            .await
            .unwrap();
        sys::suspend(&supervisor).await.unwrap();
        supervisor.stop().await.unwrap();
    });
}

/// INFO-06: the time that it waits for stands still.
#[test]
fn the_time_out_of_a_suspended_server_stands_still() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let server = start(&log).await;
        server.cast(Order::Timeout(SECOND));
        sys::get_status(&server).await.unwrap();
        clock.advance(SECOND / 4);
        sys::suspend(&server).await.unwrap();
        clock.advance(10 * SECOND);
        sys::get_status(&server).await.unwrap();
        sys::resume(&server).await.unwrap();
        clock.advance(3 * SECOND / 4 - NS);
        sys::get_status(&server).await.unwrap();
        assert_eq!(log.heard(), "");
        clock.advance(NS);
        assert_eq!(log.until(&server, "timeout").await, "timeout");
        kill(pid_of(&server));
    });
}

/// INFO-06, SYS-02: what the timers of a machine tell it waits with the rest.
#[test]
fn the_timers_of_a_suspended_machine_are_heard_later() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let machine = switch().await;
        machine.cast(Press::Sleep(SECOND));
        sys::suspend(&machine).await.unwrap();
        clock.advance(2 * SECOND);
        let is_on = sys::get_state(&machine, |on: &bool| *on).await;
        assert_eq!(is_on, Ok(false));
        sys::resume(&machine).await.unwrap();
        assert_eq!(machine.call(Press::Look).await, Ok((true, 2)));
        kill(pid_of(&machine));
    });
}

/// SYS-05: of a server that runs, one that is suspended, and one whose function
/// panics.
#[test]
fn the_state_can_be_looked_at() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        settle(&server).await;
        let handled = |probe: &Probe| probe.handled;
        assert_eq!(sys::get_state(&server, handled).await, Ok(1));
        sys::suspend(&server).await.unwrap();
        assert_eq!(sys::get_state(&server, handled).await, Ok(1));
        let panics = sys::get_state(&server, |_: &Probe| -> u8 { panic!("no luck") });
        assert_eq!(panics.await, Err(Error::Panicked("no luck".to_owned())));
        sys::resume(&server).await.unwrap();
        assert_eq!(settle(&server).await, 2);
        kill(pid_of(&server));
    });
}

/// SYS-12: the server goes on.
#[test]
fn a_state_of_another_type_is_an_error() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let error = sys::get_state(&server, |_: &String| ()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("Probe") && text.contains("String"), "{text}");
        let pair = sys::get_statem(&server, |_: &bool, _: &Probe| ()).await;
        assert!(matches!(pair, Err(Error::WrongType { .. })));
        assert_eq!(settle(&server).await, 1);
        kill(pid_of(&server));
    });
}

/// Counts how often it was dropped, and panics then.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("in the destructor");
    }
}

/// SYS-06
#[test]
fn the_state_can_be_replaced() {
    run(|_: Context<()>| async {
        let agent = Agent::start(|| 40).await.unwrap();
        sys::replace_state(&agent, |n: &i32| n + 2).await.unwrap();
        assert_eq!(agent.get(|n| *n).await, Ok(42));
        let panics = sys::replace_state(&agent, |_: &i32| panic!("no luck"));
        assert_eq!(panics.await, Err(Error::Panicked("no luck".to_owned())));
        assert_eq!(agent.get(|n| *n).await, Ok(42));
        let pushed = sys::update_state(&agent, |n: &mut i32| {
            *n += 1;
            *n
        });
        assert_eq!(pushed.await, Ok(43));
        kill(agent.pid().unwrap());
    });
}

/// SYS-06: neither the destructor of the old state nor that of an answer that
/// nobody waits for harms the server.
#[test]
fn a_destructor_that_panics_harms_only_itself() {
    run(|_: Context<()>| async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (first, second) = (Arc::clone(&dropped), Arc::clone(&dropped));
        let agent = Agent::start(move || Some(Bomb(first))).await.unwrap();
        sys::replace_state(&agent, |_: &Option<Bomb>| None)
            .await
            .unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        let mut asked = sys::get_state(&agent, move |_: &Option<Bomb>| Bomb(second));
        let polled = poll!(&mut asked);
        if let std::task::Poll::Ready(answer) = polled {
            std::mem::forget(answer);
            dropped.fetch_add(1, Ordering::SeqCst);
        }
        drop(asked);
        assert_eq!(agent.get(Option::is_none).await, Ok(true));
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
        // Nor does that of a request that came too late.
        agent.stop(ExitReason::Normal).await.unwrap();
        let bomb = Bomb(Arc::clone(&dropped));
        let late = sys::get_state(&agent, move |_: &Option<Bomb>| drop(bomb));
        let down = Err(Error::Down(ExitReason::NoProcess));
        assert_eq!(late.await, down);
        // Another one arrives after it.
        assert_eq!(sys::suspend(&agent).await, down.map(drop));
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    });
}

/// STM-33: neither an enter call nor a retry comes of it.
#[test]
fn state_and_data_of_a_machine_can_be_looked_at_and_replaced() {
    run(|_: Context<()>| async {
        let machine = switch().await;
        machine.cast(Press::Later);
        let both = |on: &bool, switch: &Switch| (*on, switch.clone());
        let was = sys::get_statem(&machine, both).await;
        assert_eq!(was, Ok((false, Switch { entered: 1 })));
        sys::log(&machine, sys::LOG).await.unwrap();
        let replace = |on: &bool, _: &Switch| (!on, Switch { entered: 10 });
        sys::replace_statem(&machine, replace).await.unwrap();
        assert_eq!(machine.call(Press::Look).await, Ok((true, 10)));
        let events = logged(&machine).await;
        assert_eq!(
            events,
            [format!("message {}", std::any::type_name::<Press>())]
        );
        // One part alone, by its type.
        sys::replace_state(&machine, |on: &bool| !on).await.unwrap();
        sys::update_state(&machine, |switch: &mut Switch| switch.entered = 0)
            .await
            .unwrap();
        assert_eq!(machine.call(Press::Look).await, Ok((false, 0)));
        let panics = |_: &bool, _: &Switch| -> (bool, Switch) { panic!("no luck") };
        let panicked = sys::replace_statem(&machine, panics).await;
        assert_eq!(panicked, Err(Error::Panicked("no luck".to_owned())));
        assert_eq!(machine.call(Press::Look).await, Ok((false, 0)));
        kill(pid_of(&machine));
    });
}

/// SYS-08: what it is called, its parent, what follows it, and its state as it
/// shows it.
#[test]
fn the_status_shows_what_may_be_seen() {
    run(|_: Context<()>| async {
        let builder = Probe::builder(Log::default())
            .name("probe")
            .label("a probe");
        let server = builder.log(3).start_link().await.unwrap();
        settle(&server).await;
        sys::trace(&server).await.unwrap();
        let status = sys::get_status("probe").await.unwrap();
        assert_eq!(status.pid, pid_of(&server));
        assert_eq!(status.name, Some("probe".into()));
        assert_eq!(status.label.as_deref(), Some("a probe"));
        assert_eq!(status.parent, Some(self_pid()));
        assert!(status.behaviour.ends_with("sys::Probe"), "{status:?}");
        assert_eq!(status.condition, Condition::Running);
        assert_eq!(status.state, "handled 1");
        assert_eq!(status.debug, ["log", "trace"]);
        assert_eq!(status.log.len(), 1);
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

/// SYS-08: of a formatter that panics nothing is seen, its panic included.
#[test]
fn a_formatter_that_panics_hides_the_state() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        sys::log(&server, 3).await.unwrap();
        let panics = |probe: &mut Probe| probe.format = Format::Panics;
        sys::update_state(&server, panics).await.unwrap();
        server.cast(Order::Note("unspeakable"));
        let status = sys::get_status(&server).await.unwrap();
        assert_eq!(status.state, "hidden, for its formatter panicked");
        assert_eq!(
            logged(&server).await,
            ["message hidden, for its formatter panicked"]
        );
        assert_eq!(settle(&server).await, 2);
        kill(pid_of(&server));
    });
}

/// SYS-09
#[test]
fn the_log_keeps_the_last_events_the_oldest_first() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        server.cast(Order::Note("before"));
        assert!(logged(&server).await.is_empty());
        sys::log(&server, sys::LOG).await.unwrap();
        for what in ["a", "b", "c", "d", "e", "f"] {
            server.cast(Order::Note(what));
        }
        server.cast(Order::GoOn("g"));
        exit(pid_of(&server), crash());
        settle(&server).await;
        let exit = format!(
            "info Exit(Exit {{ from: {:?}, reason: Custom(\"crash\") }})",
            self_pid()
        );
        let events = logged(&server).await;
        assert_eq!(events.len(), 10);
        assert_eq!(events[0], "message Note(a)");
        assert_eq!(events[6], "message GoOn");
        assert_eq!(events[7], "continue Note(g)");
        assert_eq!(events[8], exit);
        assert_eq!(events[9], "message Get");
        server.cast(Order::Note("h"));
        let log = sys::get_log(&server).await.unwrap();
        assert_eq!(log.len(), 10);
        assert_eq!(log[0].to_string(), "message Note(b)");
        assert_eq!(log[9].kind, EventKind::Message);
        assert!(log.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(log[9].at <= now());
        // Fewer from now on, and of those it has.
        sys::log(&server, 2).await.unwrap();
        assert_eq!(logged(&server).await, ["message Get", "message Note(h)"]);
        sys::no_log(&server).await.unwrap();
        assert!(logged(&server).await.is_empty());
        kill(pid_of(&server));
    });
}

/// SYS-09
#[test]
fn statistics_count_what_comes() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let server = start(&Log::default()).await;
        settle(&server).await;
        assert_eq!(sys::get_statistics(&server).await, Ok(None));
        let began = now();
        sys::statistics(&server).await.unwrap();
        settle(&server).await;
        server.cast(Order::GoOn("on"));
        exit(pid_of(&server), crash());
        clock.advance(SECOND);
        // Does not begin anew.
        sys::statistics(&server).await.unwrap();
        let counted = sys::get_statistics(&server).await.unwrap().unwrap();
        assert_eq!((counted.since, counted.until), (began, began + SECOND));
        assert_eq!(
            (counted.messages, counted.infos, counted.internal),
            (2, 1, 1)
        );
        sys::no_statistics(&server).await.unwrap();
        assert_eq!(sys::get_statistics(&server).await, Ok(None));
        kill(pid_of(&server));
    });
}

/// SYS-09: the state too, when it changes.
#[test]
fn a_machine_logs_its_changes_of_state() {
    run(|_: Context<()>| async {
        let machine = switch().await;
        sys::log(&machine, sys::LOG).await.unwrap();
        machine.cast(Press::Toggle);
        machine.cast(Press::Sleep(Duration::ZERO));
        machine.call(Press::Look).await.unwrap();
        let log = sys::get_log(&machine).await.unwrap();
        let kinds: Vec<_> = log.iter().map(|event| event.kind).collect();
        let expected = [
            EventKind::Message,
            EventKind::State,
            EventKind::Message,
            EventKind::Timeout,
            EventKind::State,
            EventKind::Message,
        ];
        assert_eq!(kinds, expected);
        assert_eq!(log[1].text, "(\"on\", 1)");
        kill(pid_of(&machine));
    });
}

/// SYS-10: for each event, until it is done or panics; of one id once.
#[test]
fn a_debug_function_is_called_until_it_is_done_or_panics() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let follow = |left: usize, end: fn() -> Debugging| {
            let (seen, mut left) = (Arc::clone(&seen), left);
            move |event: &sys::Event| {
                seen.lock().unwrap().push(event.text.clone());
                left -= 1;
                if left == 0 {
                    end()
                } else {
                    Debugging::Continue
                }
            }
        };
        let done = follow(2, || Debugging::Done);
        assert_eq!(sys::install(&server, "id", done).await, Ok(true));
        let again = follow(9, || panic!("installed twice"));
        assert_eq!(sys::install(&server, "id", again).await, Ok(false));
        for what in ["a", "b", "c"] {
            server.cast(Order::Note(what));
        }
        assert!(sys::get_status(&server).await.unwrap().debug.is_empty());
        assert_eq!(*seen.lock().unwrap(), ["Note(a)", "Note(b)"]);

        let panics = follow(1, || panic!("as the test wants"));
        assert_eq!(sys::install(&server, "id", panics).await, Ok(true));
        server.cast(Order::Note("d"));
        assert_eq!(sys::remove(&server, "id").await, Ok(false));
        assert_eq!(seen.lock().unwrap().len(), 3);

        let stays = follow(9, || Debugging::Done);
        assert_eq!(sys::install(&server, "id", stays).await, Ok(true));
        assert_eq!(sys::get_status(&server).await.unwrap().debug, ["id"]);
        assert_eq!(sys::remove(&server, "id").await, Ok(true));
        assert_eq!(settle(&server).await, 5);
        assert_eq!(seen.lock().unwrap().len(), 3);
        kill(pid_of(&server));
    });
}

/// SYS-10: what it holds may panic when it is dropped.
#[test]
fn the_destructor_of_a_debug_function_harms_nobody() {
    run(|_: Context<()>| async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let server = start(&Log::default()).await;
        for id in ["a", "b"] {
            let bomb = Bomb(Arc::clone(&dropped));
            let debug = move |_: &sys::Event| {
                let _ = &bomb;
                Debugging::Continue
            };
            assert_eq!(sys::install(&server, id, debug).await, Ok(true));
        }
        sys::remove(&server, "a").await.unwrap();
        assert_eq!(settle(&server).await, 1);
        server.stop(ExitReason::Normal).await.unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    });
}

/// SYS-11
#[test]
fn terminate_waits_for_nothing() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = start(&log).await;
        let (release, gate) = oneshot::channel();
        server.cast(Order::Hold(gate));
        server.cast(Order::Note("before"));
        sys::terminate(&server, crash()).unwrap();
        server.cast(Order::Note("after"));
        release.send(()).unwrap();
        assert_eq!(server.join().await, crash());
        assert_eq!(log.heard(), "before terminate(\"crash\")");
        let machine = switch().await;
        sys::terminate(pid_of(&machine), ExitReason::Shutdown).unwrap();
        assert_eq!(machine.join().await, ExitReason::Shutdown);
    });
}

/// SYS-13: log, statistics, trace and debug functions; not the suspension.
#[test]
fn no_debug_removes_everything() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        sys::log(&server, 3).await.unwrap();
        sys::statistics(&server).await.unwrap();
        sys::trace(&server).await.unwrap();
        let debug = |_: &sys::Event| Debugging::Continue;
        sys::install(&server, "id", debug).await.unwrap();
        sys::suspend(&server).await.unwrap();
        let status = sys::get_status(&server).await.unwrap();
        assert_eq!(status.debug, ["log", "statistics", "trace", "id"]);
        sys::no_debug(&server).await.unwrap();
        let status = sys::get_status(&server).await.unwrap();
        assert!(status.debug.is_empty());
        assert_eq!(status.condition, Condition::Suspended);
        assert_eq!(sys::get_statistics(&server).await, Ok(None));
        kill(pid_of(&server));
    });
}

/// What is traced, one line an event.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Traced {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "resurgam::trace" {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

/// A subscriber that panics.
struct PanicsAtTrace;

impl<S: tracing::Subscriber> Layer<S> for PanicsAtTrace {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        assert_ne!(event.metadata().target(), "resurgam::trace");
    }
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        if field.name() == "event" {
            self.0 = format!("{value:?}");
        }
    }
}

/// SYS-13: whoever listens may panic.
#[test]
fn a_trace_prints_what_comes() {
    crate::support::keep_reports_open();
    let traced = Traced::default();
    let subscriber = tracing_subscriber::registry()
        .with(traced.clone())
        .with(PanicsAtTrace);
    let _listening = tracing::subscriber::set_default(subscriber);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::new().unwrap();
        let server = Probe::builder(Log::default())
            .on(&node)
            .start()
            .await
            .unwrap();
        settle(&server).await;
        sys::trace(&server).await.unwrap();
        server.cast(Order::Note("a"));
        settle(&server).await;
        sys::no_trace(&server).await.unwrap();
        settle(&server).await;
        node.stop(5 * SECOND).await.unwrap();
    });
    assert_eq!(
        *traced.0.lock().unwrap(),
        ["message Note(a)", "message Get"]
    );
}

/// SYS-02: whatever is asked at once, by whomever, and however it ends.
#[test]
fn many_may_ask_at_once() {
    run(|_: Context<()>| async {
        let server = start(&Log::default()).await;
        let askers: Vec<_> = (0..20)
            .map(|n| {
                let server = server.clone();
                let asker = spawn(move |_: Context<()>| async move {
                    link(pid_of(&server));
                    for _ in 0..5 {
                        match n % 4 {
                            0 => sys::suspend(&server).await.unwrap(),
                            1 => sys::resume(&server).await.unwrap(),
                            2 => drop(sys::get_status(&server).await.unwrap()),
                            _ => drop(poll!(&mut sys::log(&server, n))),
                        }
                    }
                });
                asker.unwrap()
            })
            .collect();
        for asker in askers {
            assert_eq!(asker.join().await, ExitReason::Normal);
        }
        sys::resume(&server).await.unwrap();
        settle(&server).await;
        kill(pid_of(&server));
    });
}

/// SYS-02: a server that is killed in the midst tells everybody who asks.
#[test]
fn whoever_asks_a_dying_server_is_told() {
    run(|_: Context<()>| async {
        for _ in 0..20 {
            let server = start(&Log::default()).await;
            let asked = server.clone();
            let asker = spawn(move |_: Context<()>| async move {
                loop {
                    match sys::get_status(&asked).await {
                        Ok(_) => {}
                        Err(Error::Down(reason)) => return reason,
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            let asker = asker.unwrap();
            sys::suspend(&server).await.unwrap();
            kill(pid_of(&server));
            let told = asker.join().await;
            let expected = [ExitReason::Killed, ExitReason::NoProcess];
            assert!(expected.contains(&told), "{told}");
        }
    });
}

/// SYS-01, SYS-02: whoever is killed, wherever: who asks is told in time, and a
/// server that lives answers and can be resumed.
#[cfg(feature = "sim")]
#[test]
fn whoever_is_killed_nobody_hangs() {
    use resurgam::CallError;
    use resurgam::sim::{Plan, Sim};

    let scenario = |sim: &mut Sim| {
        sim.run(async {
            // It may be killed before it is up.
            let Ok(server) = Probe::start(Log::default()).await else {
                return;
            };
            let asked = server.clone();
            let asker = spawn(move |_: Context<()>| async move {
                drop(sys::suspend(&asked).await);
                asked.cast(Order::Note("waits"));
                drop(sys::update_state(&asked, |probe: &mut Probe| probe.handled += 1).await);
            });
            asker.unwrap().join().await;
            let lives = match sys::resume(&server).await {
                Ok(()) => true,
                Err(Error::Down(_)) => false,
                Err(other) => panic!("{other}"),
            };
            match server.call(Order::Get).await {
                Ok(_) => assert!(lives, "an answer of a dead server"),
                Err(CallError::Down(_)) => {}
                Err(other) => panic!("{other}"),
            }
            drop(server.stop(ExitReason::Normal).await);
        });
    };
    let swept = Plan::new().seeds(1).sweep_kills(scenario);
    assert!(swept.faults > 20, "{swept:?}");
    Plan::new().seeds(1).sweep_panics(scenario);
    Plan::new().seeds(1).sweep_stops(scenario);
}
