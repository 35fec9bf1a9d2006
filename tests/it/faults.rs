//! The fault model: what users' code can do wrong, and what is promised then.

use std::fmt;
use std::future::{pending, poll_fn};
use std::panic;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use resurgam::{
    CallError, Context, ExitReason, GenServer, InitError, Message, Node, Pid, ProcessRef, Reply,
    ServerContext, SpawnError, StartError, exit, flush_exit, kill, link, monitor, process_info,
    register, self_pid, send_after, sleep, spawn, spawn_link, spawn_monitor, spawn_options,
    trap_exit, try_self_pid, whereis,
};
use tokio::sync::oneshot;

use crate::scheduler::{many, one_thread, soon, two_workers};
use crate::shutdown::{Counted, Drops};
use crate::support::{idle, run, run_on_threads, run_with_clock};

const HOUR: Duration = Duration::from_secs(3600);

// Panics.

/// What a panic says in the exit reason.
#[track_caller]
fn panic_message(reason: &ExitReason) -> &str {
    let ExitReason::Panicked(panic) = reason else {
        panic!("not a panic: {reason}");
    };
    panic.message()
}

/// Fault 1: a process that panics exits like any other: its links, monitors,
/// callers and whoever joins are told once and with the same reason, its name
/// and its timers are gone, and nobody else is touched.
#[test]
fn a_panic_is_an_exit_like_any_other() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let bystander = spawn(idle).unwrap();
        let options = spawn_options().name("panics").link().monitor();
        let spawned = options.spawn(|mut ctx: Context<Reply<()>>| async move {
            send_after(HOUR, ctx.pid(), ());
            let Message::User(_reply) = ctx.receive().await else {
                panic!("no call");
            };
            panic!("on purpose");
        });
        let spawned = spawned.unwrap();
        let (process, reference) = (spawned.process, spawned.monitor.unwrap());
        let called = soon(process.call(|reply| reply)).await;
        let Err(CallError::Down(reason)) = called else {
            panic!("{called:?}");
        };
        assert_eq!(panic_message(&reason), "on purpose");
        // Panics are equal if they are the same event.
        let Message::Exit(exit) = ctx.receive().await else {
            panic!("the link comes first");
        };
        assert_eq!((Some(exit.from), &exit.reason), (process.pid(), &reason));
        let Message::Down(down) = ctx.receive().await else {
            panic!("then the monitor");
        };
        assert_eq!((down.reference, &down.reason), (reference, &reason));
        assert_eq!(process.join().await, reason);
        assert_eq!(ctx.try_receive(), None);
        assert_eq!((whereis("panics"), ctx.node().timer_count()), (None, 0));
        let alive = resurgam::is_alive(bystander.pid().unwrap()).await;
        assert_eq!(alive, Ok(true));
    });
}

/// Fault 2: what a panic carries need not be a string, and may itself panic
/// when it is dropped.
#[test]
fn a_panic_may_carry_anything() {
    fn check(payload: impl Fn() + Copy + Send + Sync + 'static, message: &'static str) {
        run_on_threads(move |_: Context<()>| async move {
            let panics = spawn(move |_: Context<()>| async move { payload() });
            let reason = soon(panics.unwrap().join()).await;
            assert_eq!(panic_message(&reason), message);
        });
    }
    const NO_STRING: &str = "a payload that is no string";
    check(|| panic!("literal"), "literal");
    check(|| panic!("{}", 1 + 1), "2");
    check(|| panic::panic_any(7_u8), NO_STRING);
    check(|| panic::panic_any(Bomb), NO_STRING);
    check(|| panic::panic_any(ChainBomb(3)), NO_STRING);
    check(|| panic::panic_any(ChainBomb(100)), NO_STRING);
    check(|| panic::resume_unwind(Box::new("resumed")), "resumed");
}

/// Panics when it is dropped.
#[derive(Debug, PartialEq)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Panics when it is dropped, with a payload that does the same.
struct ChainBomb(u32);

impl Drop for ChainBomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic::panic_any(ChainBomb(self.0 - 1));
        }
    }
}

/// A server that does in `init` what it is told.
struct Starts;

type Init = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl GenServer for Starts {
    type Args = Init;
    type Message = ();

    async fn init(init: Init, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        init().await;
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        Ok(())
    }
}

/// Fault 3: a server that panics in `init` was never started: its name is
/// free, nobody is linked to it, and there is no message about it.
#[test]
fn a_panic_in_init_leaves_no_half_started_server() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for _ in 0..100 {
            let init: Init = Box::new(|| async { panic!("in init") }.boxed());
            let started = Starts::builder(init).name("half").start_link().await;
            let Err(StartError::Failed(reason)) = started else {
                panic!("{started:?}");
            };
            assert_eq!(panic_message(&reason), "in init");
            assert_eq!(whereis("half"), None);
            assert_eq!(ctx.try_receive(), None);
            let me = process_info(self_pid()).await.unwrap().unwrap();
            assert_eq!((me.links, me.monitors), (vec![], vec![]));
        }
        assert_eq!(ctx.node().process_count(), 1);
    });
}

/// Fault 3: who monitors a server that panics in `init` is told once.
#[test]
fn a_panic_in_init_is_told_to_a_monitor_once() {
    run_on_threads(|mut ctx: Context<()>| async move {
        let (go, gone) = oneshot::channel::<()>();
        let init: Init = Box::new(|| {
            async {
                gone.await.unwrap();
                panic!("in init");
            }
            .boxed()
        });
        let starter = spawn(|_: Context<()>| async {
            let started = Starts::builder(init).name("half").start().await;
            assert!(matches!(started, Err(StartError::Failed(_))));
        });
        while whereis("half").is_none() {
            tokio::task::yield_now().await;
        }
        let reference = monitor("half");
        go.send(()).unwrap();
        let Message::Down(down) = soon(ctx.receive()).await else {
            panic!("no down");
        };
        assert_eq!(down.reference, reference);
        assert_eq!(panic_message(&down.reason), "in init");
        assert_eq!(soon(starter.unwrap().join()).await, ExitReason::Normal);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// Fault 41, fault 12: whoever is killed while it starts a server takes it
/// along; the name is free.
#[test]
fn a_starter_that_is_killed_takes_the_half_started_server_along() {
    run_on_threads(|_: Context<()>| async move {
        for n in 0..50 {
            let (running, runs) = oneshot::channel::<()>();
            let (held, gone) = oneshot::channel::<()>();
            let init: Init = Box::new(|| {
                async {
                    let _held = held;
                    running.send(()).unwrap();
                    pending().await
                }
                .boxed()
            });
            let starter = spawn(move |_: Context<()>| async move {
                let builder = Starts::builder(init).name("half");
                // Linked or not.
                let started = match n % 2 {
                    0 => builder.start().await,
                    _ => builder.start_link().await,
                };
                unreachable!("{started:?}");
            });
            let starter = starter.unwrap();
            runs.await.unwrap();
            let server = whereis("half").unwrap();
            kill(starter.pid().unwrap());
            assert_eq!(soon(starter.join()).await, ExitReason::Killed);
            resurgam::join(server).await;
            assert!(soon(gone).await.is_err());
            assert_eq!(whereis("half"), None);
        }
    });
}

// Destructors.

/// What the destructor of a user's value does.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Deed {
    Panic,
    Send,
    SendToItself,
    Spawn,
    SpawnLinked,
    Register,
    Link,
    Monitor,
    Unlink,
    Exit,
    Kill,
    Trap,
    SetTimer,
    LookIntoMailbox,
}

/// Does it when it is dropped, and tells that it was.
struct OnDrop {
    deed: Deed,
    witness: ProcessRef<Ping>,
    dropped: Mutex<Option<oneshot::Sender<()>>>,
}

struct Ping(Option<Reply<()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let told = self.dropped.lock().unwrap().take();
        if let Some(dropped) = told {
            let _ = dropped.send(());
        }
        self.act();
    }
}

impl OnDrop {
    fn act(&self) {
        let other = self.witness.pid().unwrap();
        if self.deed == Deed::Panic {
            panic!("dropped");
        }
        // Some places are outside any process.
        let Some(me) = try_self_pid() else {
            return self.witness.cast(Ping(None));
        };
        match self.deed {
            Deed::Panic => unreachable!(),
            Deed::Send => self.witness.cast(Ping(None)),
            Deed::SendToItself => drop(resurgam::send(me, 7_u8)),
            Deed::Spawn => drop(spawn(|_: Context<()>| async {})),
            Deed::SpawnLinked => drop(spawn_link(idle)),
            Deed::Register => drop(register("dropped", me)),
            Deed::Link => link(other),
            Deed::Monitor => _ = monitor(other),
            Deed::Unlink => resurgam::unlink(other),
            Deed::Exit => exit(me, ExitReason::custom("dropped")),
            Deed::Kill => kill(me),
            Deed::Trap => _ = trap_exit(true),
            Deed::SetTimer => _ = send_after(HOUR, me, 7_u8),
            Deed::LookIntoMailbox => drop(flush_exit(other)),
        }
    }
}

impl fmt::Debug for OnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnDrop({:?})", self.deed)
    }
}

impl PartialEq for OnDrop {
    fn eq(&self, other: &Self) -> bool {
        self.deed == other.deed
    }
}

impl fmt::Display for OnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for OnDrop {}

/// Where a user's value can be dropped.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Place {
    BodyThatReturns,
    BodyThatIsKilled,
    BodyThatNeverRan,
    BodyThatPanics,
    BodyThatWasRefused,
    Mailbox,
    Inbox,
    LetterToTheDead,
    LetterOfTheWrongType,
    TimerOfTheDead,
    TimerForNobody,
    CancelledTimer,
    LateReply,
    UnreadReply,
    UnsentRequest,
    ExitTerm,
    ExitError,
    ExitTermThatIsIgnored,
    PanicPayload,
}

impl Place {
    const ALL: [Self; 19] = [
        Self::BodyThatReturns,
        Self::BodyThatIsKilled,
        Self::BodyThatNeverRan,
        Self::BodyThatPanics,
        Self::BodyThatWasRefused,
        Self::Mailbox,
        Self::Inbox,
        Self::LetterToTheDead,
        Self::LetterOfTheWrongType,
        Self::TimerOfTheDead,
        Self::TimerForNobody,
        Self::CancelledTimer,
        Self::LateReply,
        Self::UnreadReply,
        Self::UnsentRequest,
        Self::ExitTerm,
        Self::ExitError,
        Self::ExitTermThatIsIgnored,
        Self::PanicPayload,
    ];
}

async fn kill_now<M: Send + 'static>(process: ProcessRef<M>) {
    kill(process.pid().unwrap());
    process.join().await;
}

/// Gets the value dropped there, in a process that may end by that.
async fn get_dropped(place: Place, value: OnDrop) {
    let waits = |mut ctx: Context<OnDrop>| async move { _ = ctx.receive().await };
    let ignores = |_: Context<OnDrop>| pending::<()>();
    match place {
        Place::BodyThatReturns => {
            let process = spawn(|_: Context<()>| async move { drop(value) });
            process.unwrap().join().await;
        }
        Place::BodyThatIsKilled => {
            let process = spawn(|mut ctx: Context<()>| async move {
                let _value = value;
                ctx.receive().await;
                pending::<()>().await;
            });
            let process = process.unwrap();
            process.cast(());
            tokio::task::yield_now().await;
            kill_now(process).await;
        }
        Place::BodyThatNeverRan => {
            let process = spawn(|_: Context<()>| async move {
                let _value = value;
                pending::<()>().await;
            });
            kill_now(process.unwrap()).await;
        }
        Place::BodyThatPanics => {
            let process = spawn(|_: Context<()>| async move {
                let _value = value;
                panic!("on purpose");
            });
            process.unwrap().join().await;
        }
        Place::BodyThatWasRefused => {
            let taken = spawn_options().name("taken").spawn(waits).unwrap().process;
            let refused = spawn_options().name("taken").link().monitor();
            let refused = refused.spawn(|_: Context<()>| async move { drop(value) });
            assert!(refused.is_err());
            kill_now(taken).await;
        }
        Place::Mailbox => {
            let process = spawn(ignores).unwrap();
            process.cast(value);
            kill_now(process).await;
        }
        Place::Inbox => {
            let process = spawn(|_: Context<OnDrop>| async {
                loop {
                    flush_exit(Pid::OUTSIDE);
                    tokio::task::yield_now().await;
                }
            });
            let process = process.unwrap();
            process.cast(value);
            process_info(process.pid().unwrap()).await.unwrap();
            kill_now(process).await;
        }
        Place::LetterToTheDead => {
            let process = spawn(ignores).unwrap();
            let dead = process.clone();
            kill_now(process).await;
            dead.cast(value);
        }
        Place::LetterOfTheWrongType => {
            let process = spawn(idle).unwrap();
            drop(resurgam::send(process.pid().unwrap(), value));
            kill_now(process).await;
        }
        Place::TimerOfTheDead => {
            let process = spawn(ignores).unwrap();
            send_after(HOUR, process.pid().unwrap(), value);
            kill_now(process).await;
        }
        Place::TimerForNobody => _ = send_after(Duration::ZERO, "nobody", value),
        Place::CancelledTimer => {
            let timer = send_after(HOUR, "nobody", value);
            assert!(resurgam::cancel_timer(timer).is_some());
        }
        Place::LateReply => {
            let (late, is_late) = oneshot::channel::<()>();
            let server = spawn(|mut ctx: Context<Reply<OnDrop>>| async move {
                let Message::User(reply) = ctx.receive().await else {
                    panic!("no call");
                };
                is_late.await.unwrap();
                reply.send(value);
            });
            let server = server.unwrap();
            let mut called = Box::pin(server.call(|reply| reply));
            assert!(futures::poll!(called.as_mut()).is_pending());
            drop(called);
            late.send(()).unwrap();
            server.join().await;
        }
        Place::UnreadReply => {
            let server = spawn(|mut ctx: Context<Reply<OnDrop>>| async move {
                let Message::User(reply) = ctx.receive().await else {
                    panic!("no call");
                };
                reply.send(value);
            });
            let server = server.unwrap();
            let mut called = Box::pin(server.call(|reply| reply));
            assert!(futures::poll!(called.as_mut()).is_pending());
            server.join().await;
            drop(called);
        }
        Place::UnsentRequest => {
            let server = spawn(|mut ctx: Context<(OnDrop, Reply<()>)>| async move {
                ctx.receive().await;
            });
            let server = server.unwrap();
            drop(server.call(|reply| (value, reply)));
            kill_now(server).await;
        }
        Place::ExitTerm => {
            let process = spawn(|_: Context<()>| async move { ExitReason::custom(value) });
            drop(process);
        }
        Place::ExitError => {
            let process = spawn(|_: Context<()>| async move {
                Err(value)?;
                Ok::<(), ExitReason>(())
            });
            drop(process);
        }
        Place::ExitTermThatIsIgnored => {
            let process = spawn(ignores).unwrap();
            link(process.pid().unwrap());
            resurgam::unlink(process.pid().unwrap());
            kill_now(process.clone()).await;
            exit(process.pid().unwrap(), ExitReason::custom(value));
        }
        Place::PanicPayload => {
            let process = spawn(|_: Context<()>| async move { panic::panic_any(value) });
            process.unwrap().join().await;
        }
    }
}

/// Answers, whatever happens around it.
async fn be_witness(mut ctx: Context<Ping>) {
    trap_exit(true);
    loop {
        if let Message::User(Ping(Some(reply))) = ctx.receive().await {
            reply.send(());
        }
    }
}

/// Has it done by the destructor of a value, at every place where a value can
/// be dropped.
fn check_everywhere(deeds: &'static [Deed]) {
    run_on_threads(move |_: Context<()>| async move {
        let witness = spawn(be_witness).unwrap();
        for &deed in deeds {
            for place in Place::ALL {
                if (deed, place) == (Deed::Panic, Place::BodyThatPanics) {
                    // A panic while a panic unwinds: Rust aborts.
                    continue;
                }
                check_drop(deed, place, &witness).await;
            }
        }
        kill(witness.pid().unwrap());
    });
}

async fn check_drop(deed: Deed, place: Place, witness: &ProcessRef<Ping>) {
    // Once for each worker, if a worker should be lost by it.
    for _ in 0..3 {
        let (dropped, was_dropped) = oneshot::channel();
        let value = OnDrop {
            deed,
            witness: witness.clone(),
            dropped: Mutex::new(Some(dropped)),
        };
        let actor = spawn(move |_: Context<()>| get_dropped(place, value)).unwrap();
        let was_dropped = tokio::time::timeout(LONG, was_dropped).await;
        assert_eq!(was_dropped, Ok(Ok(())), "{deed:?} at {place:?}");
        let ended = tokio::time::timeout(LONG, actor.join()).await;
        assert!(ended.is_ok(), "{deed:?} at {place:?}");
        let answered = witness.call(|reply| Ping(Some(reply))).await;
        assert_eq!(answered, Ok(()), "{deed:?} at {place:?}");
    }
}

/// No test waits this long unless what it waits for never comes.
const LONG: Duration = Duration::from_secs(10);

/// Fault 5: a destructor that panics, wherever the value lies, ends at most
/// the process that has the value.
#[test]
fn a_destructor_may_panic_anywhere() {
    check_everywhere(&[Deed::Panic]);
}

/// Fault 27: a destructor may send and spawn, wherever the value lies: no lock
/// is held.
#[test]
fn a_destructor_may_send_and_spawn_anywhere() {
    check_everywhere(&[
        Deed::Send,
        Deed::SendToItself,
        Deed::Spawn,
        Deed::SpawnLinked,
    ]);
}

/// Fault 27: it may change what its process is bound to.
#[test]
fn a_destructor_may_register_link_and_monitor_anywhere() {
    check_everywhere(&[Deed::Register, Deed::Link, Deed::Monitor, Deed::Unlink]);
}

/// Fault 27: it may end its process, or try to save it.
#[test]
fn a_destructor_may_exit_anywhere() {
    check_everywhere(&[
        Deed::Exit,
        Deed::Kill,
        Deed::Trap,
        Deed::SetTimer,
        Deed::LookIntoMailbox,
    ]);
}

/// Fault 27: what the destructor of a value of a dying process binds to that
/// process goes with it: a process it spawned linked, a process it linked to, a
/// name, a timer.
#[test]
fn what_a_destructor_does_for_a_dying_process_is_undone() {
    /// Lies unread in a mailbox.
    struct Late(Option<Box<dyn FnOnce() + Send>>);

    impl Drop for Late {
        fn drop(&mut self) {
            if let Some(act) = self.0.take() {
                act();
            }
        }
    }

    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        let victim = spawn(|_: Context<Late>| pending::<()>()).unwrap();
        let pid = victim.pid().unwrap();
        let (born, was_born) = oneshot::channel();
        victim.cast(Late(Some(Box::new(move || {
            born.send(spawn_link(idle).unwrap()).unwrap();
            link(me);
            assert!(register("late", pid).is_err(), "it has given its name up");
            send_after(HOUR, pid, 7_u8);
        }))));
        kill(pid);
        assert_eq!(soon(victim.join()).await, ExitReason::Killed);
        let child = was_born.await.unwrap();
        assert_eq!(soon(child.join()).await, ExitReason::Killed);
        let Message::Exit(exit) = soon(ctx.receive()).await else {
            panic!("not an exit");
        };
        assert_eq!((exit.from, exit.reason), (pid, ExitReason::Killed));
        assert_eq!(whereis("late"), None);
        assert_eq!(ctx.node().timer_count(), 0, "law TIMER-09");
    });
}

/// Law TIMER-09, fault 22: a timer that is aimed at a process while that ends
/// does not outlive it.
#[test]
fn no_timer_outlives_the_process_it_is_aimed_at() {
    run(|ctx: Context<()>| async move {
        for _ in 0..many(2_000, 300) {
            let victim = spawn(idle).unwrap();
            let pid = victim.pid().unwrap();
            let arms = spawn(move |_: Context<()>| async move {
                for _ in 0..20 {
                    send_after(HOUR, pid, ());
                }
            });
            kill(pid);
            victim.join().await;
            assert_eq!(arms.unwrap().join().await, ExitReason::Normal);
            assert_eq!(ctx.node().timer_count(), 0);
        }
    });
}

/// Fault 28: the text of a user's term may panic; the process still exits with
/// it, and everybody is told.
#[test]
fn an_exit_term_may_panic_when_it_is_shown() {
    #[derive(PartialEq)]
    struct Shy;

    impl fmt::Debug for Shy {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("shown")
        }
    }

    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let (shy, reference) =
            spawn_monitor(|_: Context<()>| async { ExitReason::custom(Shy) }).unwrap();
        let Message::Down(down) = soon(ctx.receive()).await else {
            panic!("no down");
        };
        assert_eq!(down.reference, reference);
        assert!(down.reason == ExitReason::custom(Shy));
        assert!(soon(shy.join()).await == ExitReason::custom(Shy));
    });
}

// Many processes.

/// Fault 8: a long chain of linked processes falls from one end to the other,
/// without recursion.
#[test]
fn a_long_chain_of_links_falls_to_its_end() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.self_ref();
        let length = many(1_000_000, 100_000);
        let mut before = ctx.pid();
        for _ in 0..length {
            let (next, linked) = (before, me.clone());
            let process = spawn(move |mut ctx: Context<()>| async move {
                link(next);
                linked.cast(());
                ctx.receive().await;
            });
            before = process.unwrap().pid().unwrap();
        }
        for _ in 0..length {
            assert_eq!(ctx.receive().await, Message::User(()));
        }
        exit(before, ExitReason::custom("fall"));
        let Message::Exit(exit) = ctx.receive().await else {
            panic!("not an exit");
        };
        assert_eq!(exit.reason, ExitReason::custom("fall"));
        while ctx.node().process_count() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

/// Fault 17: many linked to one. It gets every exit, once; and its own takes
/// all of them along.
#[test]
fn an_exit_storm_is_told_once_each() {
    run_on_threads(|_: Context<()>| async {
        let crowd = many(100_000, 10_000);
        let hub = spawn(move |mut ctx: Context<()>| async move {
            trap_exit(true);
            let guests: Vec<_> = (0..crowd).map(|_| spawn_link(idle).unwrap()).collect();
            for guest in &guests {
                exit(guest.pid().unwrap(), ExitReason::custom("out"));
            }
            let mut left: std::collections::HashSet<_> =
                guests.iter().map(|guest| guest.pid().unwrap()).collect();
            while !left.is_empty() {
                let Message::Exit(exit) = ctx.receive().await else {
                    panic!("not an exit");
                };
                assert_eq!(exit.reason, ExitReason::custom("out"));
                assert!(left.remove(&exit.from), "{} twice", exit.from);
            }
            assert_eq!(ctx.try_receive(), None);
            for _ in 0..crowd {
                spawn_link(idle).unwrap();
            }
            assert_eq!(ctx.node().process_count(), crowd + 2);
            ExitReason::custom("closed")
        });
        let node = Node::current();
        assert_eq!(hub.unwrap().join().await, ExitReason::custom("closed"));
        while node.process_count() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

// Futures that are dropped.

/// Fault 11: a receive that is dropped before it is done takes no message
/// with it; each comes once and in order.
#[test]
fn a_dropped_receive_loses_no_message() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        let total = many(50_000, 5_000) as u32;
        let me = ctx.self_ref();
        spawn(move |_: Context<()>| async move {
            for n in 0..total {
                me.cast(n);
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
        .unwrap();
        let mut expected = 0;
        while expected < total {
            let came = match expected % 4 {
                // Polled once at most.
                0 => ctx.receive().now_or_never(),
                1 => ctx.receive_timeout(Duration::ZERO).await,
                2 => tokio::select! {
                    biased;
                    () = tokio::task::yield_now() => None,
                    message = ctx.receive() => Some(message),
                },
                _ => Some(soon(ctx.receive()).await),
            };
            match came {
                Some(message) => {
                    assert_eq!(message, Message::User(expected));
                    expected += 1;
                }
                None => tokio::task::yield_now().await,
            }
        }
    });
}

/// Fault 11: a sleep, a join, a call and a start that are dropped leave
/// nothing behind, and what belongs to them comes to nobody.
#[test]
fn what_is_dropped_in_an_await_leaves_nothing_behind() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let node = ctx.node();
        let server = spawn(|mut ctx: Context<Reply<()>>| async move {
            let mut kept = Vec::new();
            loop {
                let Message::User(reply) = ctx.receive().await else {
                    panic!("no call");
                };
                kept.push(reply);
                if kept.len() == 200 {
                    // All of them are late.
                    assert!(kept.iter().all(Reply::is_closed));
                    return kept.into_iter().for_each(|reply| reply.send(()));
                }
            }
        });
        let server = server.unwrap();
        for n in 0..200 {
            assert!(sleep(HOUR).now_or_never().is_none());
            assert!(server.join().now_or_never().is_none());
            assert!(ctx.receive_timeout(HOUR).now_or_never().is_none());
            let call = server.call(|reply| reply).now_or_never();
            // The last call ends the server, which may be quick.
            assert!(call.is_none() || n == 199);
        }
        assert_eq!(soon(server.join()).await, ExitReason::Normal);
        assert_eq!(node.timer_count(), 0);
        assert_eq!(ctx.try_receive(), None);
        assert_eq!(node.process_count(), 1);
    });
}

/// Fault 13: a reply that comes after the time-out comes to nobody.
#[test]
fn a_late_reply_is_dropped() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let drops = Drops::default();
        let (late, is_late) = oneshot::channel::<()>();
        let value = drops.counted();
        let server = spawn(|mut ctx: Context<Reply<Counted>>| async move {
            let Message::User(reply) = ctx.receive().await else {
                panic!("no call");
            };
            is_late.await.unwrap();
            assert!(reply.is_closed());
            reply.send(value);
        });
        let server = server.unwrap();
        let call = server.call(|reply| reply).timeout(HOUR);
        let (called, _) = futures::join!(call, clock.advance_to_next());
        assert!(matches!(called, Err(CallError::TimedOut)));
        late.send(()).unwrap();
        assert_eq!(soon(server.join()).await, ExitReason::Normal);
        drops.assert_each_once();
        assert_eq!(ctx.try_receive(), None);
    });
}

// Kills.

/// Who is killed in a call.
#[derive(Copy, Clone, Debug)]
enum Victim {
    Server,
    Caller,
    Both,
}

/// Fault 12: a call during which somebody is killed has one outcome: the
/// reply, or the reason of the server. Nobody waits for ever, and nothing is
/// answered twice.
#[test]
fn a_kill_in_a_call_gives_one_outcome() {
    run_on_threads(|ctx: Context<()>| async move {
        for n in 0..many(3_000, 400) {
            let victim = [Victim::Server, Victim::Caller, Victim::Both][n % 3];
            let server = spawn(|mut ctx: Context<Reply<u8>>| async move {
                while let Message::User(reply) = ctx.receive().await {
                    tokio::task::yield_now().await;
                    reply.send(7);
                }
            });
            let server = server.unwrap();
            let called = server.clone();
            let caller = spawn(move |mut ctx: Context<()>| async move {
                loop {
                    match called.call(|reply| reply).no_timeout().await {
                        Ok(reply) => assert_eq!(reply, 7),
                        Err(CallError::Down(reason)) => {
                            let after = called.call(|reply| reply).await;
                            assert_eq!(after, Err(CallError::Down(ExitReason::NoProcess)));
                            assert_eq!(ctx.try_receive(), None);
                            return reason;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            let caller = caller.unwrap();
            for _ in 0..n % 5 {
                tokio::task::yield_now().await;
            }
            let killed = |process: Pid| kill(process);
            match victim {
                Victim::Server => killed(server.pid().unwrap()),
                Victim::Caller => killed(caller.pid().unwrap()),
                Victim::Both => {
                    killed(server.pid().unwrap());
                    killed(caller.pid().unwrap());
                }
            }
            let end = soon(caller.join()).await;
            assert!(
                end == ExitReason::Killed || end == ExitReason::NoProcess,
                "{end}"
            );
            kill(server.pid().unwrap());
            assert_eq!(soon(server.join()).await, ExitReason::Killed);
        }
        assert_eq!(ctx.node().timer_count(), 0);
    });
}

/// Fault 12, law GS-24: replies that lie anywhere are answered when the server
/// that owes them is killed: unread, kept, or with another process.
#[test]
fn every_caller_of_a_killed_server_is_told() {
    run_on_threads(|_: Context<()>| async {
        let keeper = spawn(|mut ctx: Context<Reply<()>>| async move {
            let mut kept = Vec::new();
            loop {
                kept.push(ctx.receive().await);
            }
        });
        let keeper = keeper.unwrap();
        let other = keeper.clone();
        let (all, came) = oneshot::channel();
        let mut all = Some(all);
        let server = spawn(move |mut ctx: Context<Reply<()>>| async move {
            let mut kept = Vec::new();
            loop {
                let Message::User(reply) = ctx.receive().await else {
                    panic!("no call");
                };
                match kept.len() {
                    0..50 => kept.push(reply),
                    _ => other.cast(reply),
                }
                if let Some(all) = all.take_if(|_| kept.len() == 50) {
                    all.send(()).unwrap();
                    // The rest stays unread.
                    pending::<()>().await;
                }
            }
        });
        let server = server.unwrap();
        let calls = (0..200).map(|_| server.call(|reply| reply).no_timeout());
        let kills = async {
            came.await.unwrap();
            kill(server.pid().unwrap());
        };
        let (outcomes, ()) = soon(async { futures::join!(join_all(calls), kills) }).await;
        for outcome in outcomes {
            assert_eq!(outcome, Err(CallError::Down(ExitReason::Killed)));
        }
        kill(keeper.pid().unwrap());
    });
}

/// Fault 5, law SIG-09: a process that is killed at an await is dropped there:
/// each destructor runs once, from the inside out.
#[test]
fn a_kill_drops_the_future_where_it_waits() {
    /// Says a number when it is dropped.
    struct Says(u8, mpsc::Sender<u8>);

    impl Drop for Says {
        fn drop(&mut self) {
            self.1.send(self.0).unwrap();
        }
    }

    /// Waits in a function within a function.
    async fn inner(said: mpsc::Sender<u8>, wait: u8, ctx: &mut Context<()>, idle: &ProcessRef<()>) {
        let _inner = Says(1, said);
        match wait {
            0 => _ = ctx.receive().await,
            1 => sleep(HOUR).await,
            2 => _ = idle.join().await,
            3 => _ = ctx.receive_timeout(HOUR).await,
            4 => _ = idle.stop(ExitReason::Normal).await,
            5 => tokio::time::sleep(HOUR).await,
            6 => _ = futures::join!(ctx.receive(), sleep(HOUR)),
            _ => pending().await,
        }
        unreachable!("killed before");
    }

    run_on_threads(|_: Context<()>| async {
        for wait in 0..8 {
            let heedless = spawn(|_: Context<()>| pending::<()>()).unwrap();
            let (says, said) = mpsc::channel();
            let waits_for = heedless.clone();
            let process = spawn(move |mut ctx: Context<()>| async move {
                let _outer = Says(2, says.clone());
                inner(says, wait, &mut ctx, &waits_for).await;
            });
            let process = process.unwrap();
            assert_eq!(resurgam::is_alive(process.pid().unwrap()).await, Ok(true));
            kill(process.pid().unwrap());
            assert_eq!(soon(process.join()).await, ExitReason::Killed);
            assert_eq!(said.iter().collect::<Vec<_>>(), [1, 2], "wait {wait}");
            kill(heedless.pid().unwrap());
        }
    });
}

/// Fault 14, law SIG-12: whoever is told of an end, in whatever way, finds the
/// name free.
#[test]
fn a_name_is_free_before_anybody_is_told() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for n in 0..many(4_000, 400) {
            let options = spawn_options().name("held").link().monitor();
            let spawned = options.spawn(|mut ctx: Context<Reply<()>>| async move {
                let _unanswered = ctx.receive().await;
                pending::<()>().await;
            });
            let holder = spawned.unwrap().process;
            let pid = holder.pid().unwrap();
            let killer = spawn(move |_: Context<()>| async move { kill(pid) });
            match n % 4 {
                0 => assert!(matches!(ctx.receive().await, Message::Exit(_))),
                1 => _ = holder.join().await,
                2 => assert!(holder.call(|reply| reply).await.is_err()),
                _ => {
                    kill(pid);
                    assert_eq!(resurgam::is_alive(pid).await, Ok(false));
                }
            }
            assert_ne!(whereis("held"), Some(pid));
            let next = spawn_options().name("held").spawn(idle).unwrap().process;
            kill(next.pid().unwrap());
            next.join().await;
            killer.unwrap().join().await;
            // The rest of the exit and the down.
            for _ in usize::from(n % 4 == 0)..2 {
                soon(ctx.receive()).await;
            }
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// Fault 14: who waited for the end of a process, however late he began to,
/// finds it gone.
#[test]
fn who_joins_finds_the_process_gone() {
    run_on_threads(|ctx: Context<()>| async move {
        let node = ctx.node();
        for n in 0..many(20_000, 3_000) {
            let victim = spawn(idle).unwrap();
            kill(victim.pid().unwrap());
            for _ in 0..n % 7 {
                std::hint::spin_loop();
            }
            assert_eq!(victim.join().await, ExitReason::Killed);
            assert_eq!(node.process_count(), 1);
        }
    });
}

// Limits.

/// Fault 42: a node that is full says so; nothing is left behind, and there is
/// room again when a process has ended.
#[test]
fn a_full_node_refuses_a_process_and_goes_on() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::builder().max_processes(10).start().unwrap();
            let idlers: Vec<_> = (0..10).map(|_| node.spawn(idle).unwrap()).collect();
            let drops = Drops::default();
            for _ in 0..100 {
                let value = drops.counted();
                let refused = node.spawn_options().name("late");
                let refused = refused.spawn(move |_: Context<()>| async move { drop(value) });
                let full = SpawnError::TooManyProcesses { limit: 10 };
                assert_eq!(refused.unwrap_err(), full);
                let refused = node.spawn_thread(|_: resurgam::ThreadContext<()>| ());
                assert_eq!(refused.unwrap_err(), full);
                assert_eq!((node.process_count(), node.whereis("late")), (10, None));
            }
            drops.assert_each_once();
            for idler in idlers {
                node.kill(idler.pid().unwrap());
                idler.join().await;
                node.spawn(idle).unwrap();
            }
            node.stop(LONG).await.unwrap();
        });
    }
}

// Wakers.

/// Fault 44: the waker of a process outlives it, is cloned very often, and is
/// used from other threads; after the end it does nothing.
#[test]
fn a_waker_may_be_used_by_anybody_for_ever() {
    run_on_threads(|_: Context<()>| async {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let (give, given) = oneshot::channel();
        let mut give = Some(give);
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let process = spawn(move |_: Context<()>| {
            poll_fn(move |cx| {
                counted.fetch_add(1, Ordering::SeqCst);
                if let Some(give) = give.take() {
                    give.send(cx.waker().clone()).unwrap();
                }
                if is_done.load(Ordering::SeqCst) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        });
        let process = process.unwrap();
        let waker = given.await.unwrap();
        let copies: Vec<_> = (0..100_000).map(|_| waker.clone()).collect();
        tokio::task::spawn_blocking(move || {
            std::thread::scope(|threads| {
                for copies in copies.chunks(25_000) {
                    threads.spawn(move || copies.iter().for_each(Waker::wake_by_ref));
                }
            });
        })
        .await
        .unwrap();
        assert_eq!(resurgam::is_alive(process.pid().unwrap()).await, Ok(true));
        done.store(true, Ordering::SeqCst);
        waker.wake_by_ref();
        assert_eq!(soon(process.join()).await, ExitReason::Normal);
        let at_its_end = polls.load(Ordering::SeqCst);
        let late = waker.clone();
        tokio::task::spawn_blocking(move || {
            for _ in 0..1000 {
                late.wake_by_ref();
            }
            late.wake();
        })
        .await
        .unwrap();
        waker.wake();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            polls.load(Ordering::SeqCst),
            at_its_end,
            "polled after its end"
        );
    });
}

/// Fault 44, fault 11: a receive works inside combinators, whatever wakers
/// they give it.
#[test]
fn a_receive_works_inside_combinators() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        let me = ctx.self_ref();
        for n in 0..many(2_000, 200) as u32 {
            let to = me.clone();
            spawn(move |_: Context<()>| async move { to.cast(n) }).unwrap();
            let expected = Message::User(n);
            match n % 5 {
                0 => tokio::select! {
                    message = ctx.receive() => assert_eq!(message, expected),
                    () = pending() => unreachable!(),
                },
                1 => {
                    let both = soon(async { tokio::join!(ctx.receive(), sleep(Duration::ZERO)) });
                    assert_eq!(both.await.0, expected);
                }
                2 => {
                    let mut all = FuturesUnordered::new();
                    all.push(ctx.receive().boxed());
                    all.push(pending().boxed());
                    assert_eq!(soon(all.next()).await, Some(expected));
                }
                3 => {
                    // The set is moved on by other things before mail comes.
                    let all = FuturesUnordered::new();
                    all.push(ctx.receive().map(Some).boxed());
                    for _ in 0..10 {
                        all.push(tokio::task::yield_now().map(|()| None).boxed());
                    }
                    let found = all.filter_map(std::future::ready);
                    assert_eq!(soon(pin!(found).next()).await, Some(expected));
                }
                _ => assert_eq!(soon(ctx.receive()).await, expected),
            }
        }
    });
}

/// Panics when it is woken.
struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        panic!("woken");
    }
}

/// Polls something once with a waker that panics.
fn poll_alarmed<F: Future + Unpin>(future: &mut F) {
    let waker = Waker::from(Arc::new(Alarm));
    let polled = Pin::new(future).poll(&mut TaskContext::from_waker(&waker));
    assert!(polled.is_pending());
}

/// Fault 44, fault 28: a waker of the user's that panics harms neither who
/// wakes it nor the node: all others who wait are told.
#[test]
fn a_waker_may_panic() {
    run_with_clock(|ctx: Context<()>, clock| async move {
        for _ in 0..3 {
            // At a join, beside others; and at a call.
            let target = spawn(|mut ctx: Context<Reply<()>>| async move {
                let _unanswered = ctx.receive().await;
            });
            let target = target.unwrap();
            let before = target.join();
            let mut joins = [target.join(), target.join()];
            joins.iter_mut().for_each(poll_alarmed);
            let after = target.join();
            let mut call = target.call(|reply| reply);
            poll_alarmed(&mut call);
            assert_eq!(soon(before).await, ExitReason::Normal);
            assert_eq!(soon(after).await, ExitReason::Normal);
            // At a timer.
            let mut nap = sleep(Duration::from_nanos(1_000_000));
            poll_alarmed(&mut nap);
            clock.advance(Duration::from_millis(2));
            // At a reply that comes.
            let server = spawn(|mut ctx: Context<Reply<()>>| async move {
                while let Message::User(reply) = ctx.receive().await {
                    reply.send(());
                }
            });
            let server = server.unwrap();
            let mut call = server.call(|reply| reply);
            poll_alarmed(&mut call);
            assert_eq!(soon(server.call(|reply| reply)).await, Ok(()));
            kill(server.pid().unwrap());
        }
        assert!(!ctx.node().is_stopped());
        assert_eq!(ctx.node().timer_count(), 0);
    });
}

/// Fault 44: the same at a receive of the process's own.
#[test]
fn a_waker_may_panic_at_a_receive() {
    run_on_threads(|ctx: Context<()>| async move {
        for _ in 0..3 {
            let (waits, waiting) = oneshot::channel();
            let receiver = spawn(|mut ctx: Context<u8>| async move {
                let mut receive = ctx.receive();
                poll_alarmed(&mut receive);
                waits.send(()).unwrap();
                pending::<()>().await;
            });
            let receiver = receiver.unwrap();
            waiting.await.unwrap();
            receiver.cast(7);
            tokio::task::yield_now().await;
            kill(receiver.pid().unwrap());
            assert!(soon(receiver.join()).await.is_abnormal());
        }
        assert!(!ctx.node().is_stopped());
        let alive = spawn(|_: Context<()>| async {}).unwrap();
        assert_eq!(soon(alive.join()).await, ExitReason::Normal);
    });
}
