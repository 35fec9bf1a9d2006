//! The end of a node: stopped, or left by its Tokio runtime; and nodes beside
//! each other.

use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures::future::{join, join_all};
use resurgam::{
    Context, Exit, ExitReason, GenServer, InitError, ManualClock, Message, Node, NodeError, Pid,
    ProcessRef, RegisterError, Reply, ServerContext, SpawnError, StartError, StopError,
    ThreadContext, monitor, self_pid, sleep, spawn, spawn_link, trap_exit, try_self_pid,
};
use tokio::runtime::Runtime;

use crate::scheduler::{many, one_thread, soon, soon_here, two_workers};
use crate::support::{idle, run, run_on_threads};

/// Long enough for whatever ends by itself.
const GRACE: Duration = Duration::from_secs(10);

/// Counts how often each of a number of values is dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<Mutex<Vec<Arc<AtomicUsize>>>>);

impl Drops {
    /// One value more.
    pub(crate) fn counted(&self) -> Counted {
        let count = Arc::new(AtomicUsize::new(0));
        self.0.lock().unwrap().push(Arc::clone(&count));
        Counted(count)
    }

    /// Each was dropped, and once.
    #[track_caller]
    pub(crate) fn assert_each_once(&self) {
        let counts = self.0.lock().unwrap();
        let wrong = counts
            .iter()
            .filter(|count| count.load(Ordering::SeqCst) != 1);
        assert_eq!(wrong.count(), 0, "of {}", counts.len());
    }
}

/// Counts its drop.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs a test in an OS process of its own, which may change what is global.
#[track_caller]
pub(crate) fn alone(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    const ALONE: &str = "RESURGAM_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let this = std::env::current_exe().expect("a test knows its program");
    let output = Command::new(this)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("a test can start itself");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{test}: {output:#?}");
}

/// Waits until all that was dropped with the other ends of a channel is gone.
#[track_caller]
fn until_all_are_gone(gone: &mpsc::Receiver<()>) {
    let nothing = gone.recv_timeout(GRACE);
    assert_eq!(nothing, Err(mpsc::RecvTimeoutError::Disconnected));
}

// Stop.

/// Processes of every kind, in every state they can be in.
fn populate(node: &Node, drops: &Drops, each: usize) {
    let server = node.spawn(never_replies).unwrap();
    for _ in 0..each {
        let value = drops.counted();
        let waits = |mut ctx: Context<()>| async move {
            let _value = value;
            ctx.receive().await;
        };
        node.spawn(waits).unwrap();
        let value = drops.counted();
        let sleeps = |_: Context<()>| async move {
            let _value = value;
            sleep(Duration::MAX).await;
        };
        node.spawn(sleeps).unwrap();
        let (value, server) = (drops.counted(), server.clone());
        let calls = |_: Context<()>| async move {
            let _value = value;
            _ = server.call(|reply| reply).no_timeout().await;
        };
        node.spawn(calls).unwrap();
        let value = drops.counted();
        let heeds_nothing = |mut ctx: Context<Counted>| async move {
            let _value = value;
            loop {
                ctx.receive().await;
            }
        };
        let options = node.spawn_options().trap_exit();
        let stubborn = options.spawn(heeds_nothing).unwrap().process;
        stubborn.cast(drops.counted());
        let value = drops.counted();
        let bears = |mut ctx: Context<()>| async move {
            let _value = value;
            // Errors, if its first turn comes after the stop.
            let _children = (spawn_link(idle), spawn(idle));
            ctx.receive().await;
        };
        node.spawn(bears).unwrap();
    }
    for _ in 0..3 {
        let value = drops.counted();
        let blocks = |mut ctx: ThreadContext<()>| {
            let _value = value;
            ctx.receive();
        };
        node.spawn_thread(blocks).unwrap();
    }
}

async fn never_replies(mut ctx: Context<Reply<()>>) {
    let mut kept = Vec::new();
    loop {
        kept.push(ctx.receive().await);
    }
}

/// Fault 30: when a stop returns, every process has ended and every
/// destructor has run, once; whatever the processes were doing, and even if
/// they have not run at all.
#[test]
fn a_stop_ends_every_process_and_runs_every_destructor_once() {
    for runtime in [one_thread(), two_workers()] {
        for turns_before in [0, 1, 100] {
            runtime.block_on(async {
                let node = Node::new().unwrap();
                let drops = Drops::default();
                populate(&node, &drops, many(1_000, 100));
                for _ in 0..turns_before {
                    tokio::task::yield_now().await;
                }
                // Without grace: what heeds no exit is killed at once.
                node.stop(Duration::ZERO).await.unwrap();
                assert_eq!((node.process_count(), node.processes()), (0, vec![]));
                assert_eq!(node.timer_count(), 0);
                assert_eq!(node.registered(), vec![]);
                drops.assert_each_once();
            });
        }
    }
}

/// Fault 30: 10^5 live processes.
#[test]
fn a_stop_ends_a_great_many_processes() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::new().unwrap();
            let drops = Drops::default();
            for _ in 0..many(100_000, 10_000) {
                let value = drops.counted();
                node.spawn(|mut ctx: Context<()>| async move {
                    let _value = value;
                    ctx.receive().await;
                })
                .unwrap();
            }
            node.stop(GRACE).await.unwrap();
            assert_eq!(node.process_count(), 0);
            drops.assert_each_once();
        });
    }
}

/// Fault 30: a stop goes from the roots down. A process that was spawned by a
/// living one is not told before that one has ended, so that a supervisor can
/// stop its tree itself.
#[test]
fn a_stop_tells_the_roots_first() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::new().unwrap();
            let (story, told) = mpsc::channel();
            let root = node.spawn_options().trap_exit();
            let root = root.spawn(move |mut ctx: Context<()>| async move {
                let to = story.clone();
                let child = spawn(move |mut ctx: Context<()>| async move {
                    trap_exit(true);
                    while let Message::User(()) = ctx.receive().await {
                        to.send("child asked").unwrap();
                    }
                    to.send("child told").unwrap();
                });
                let child = child.unwrap();
                let Message::Exit(Exit { from, reason }) = ctx.receive().await else {
                    panic!("not an exit");
                };
                assert_eq!((from, reason), (Pid::NODE, ExitReason::Shutdown));
                story.send("root told").unwrap();
                child.cast(());
                // The child answers, so it was not told yet.
                let alive = resurgam::is_alive(child.pid().unwrap()).await;
                assert_eq!(alive, Ok(true));
                story.send("root ends").unwrap();
            });
            let root = root.unwrap().process;
            // Let the root bear its child.
            while node.process_count() < 2 {
                node.is_alive(root.pid().unwrap()).await.unwrap();
            }
            node.stop(GRACE).await.unwrap();
            let story: Vec<_> = told.iter().collect();
            assert_eq!(
                story,
                ["root told", "child asked", "root ends", "child told"]
            );
        });
    }
}

/// Fault 9, fault 30: a process that does not return to the scheduler is
/// named, and the stop goes on without it. It ends when it returns, and then
/// the node is wholly stopped.
#[test]
fn a_process_that_does_not_return_is_named_by_the_stop() {
    two_workers().block_on(async {
        let node = Node::new().unwrap();
        let drops = Drops::default();
        populate(&node, &drops, 10);
        let (release, released) = mpsc::channel::<()>();
        let (blocks, blocked) = tokio::sync::oneshot::channel();
        let value = drops.counted();
        let stuck = node
            .spawn_options()
            .name("stuck")
            .spawn(|_: Context<()>| async move {
                let _value = value;
                blocks.send(()).unwrap();
                let _ = released.recv();
                sleep(Duration::ZERO).await;
                unreachable!("it was killed");
            });
        let stuck = stuck.unwrap().process;
        blocked.await.unwrap();
        let result = node.stop(Duration::ZERO).await;
        let Err(StopError::Unresponsive(stragglers)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(stragglers.len(), 1, "{stragglers:?}");
        assert_eq!(Some(stragglers[0].pid), stuck.pid());
        assert_eq!(stragglers[0].name, Some("stuck".into()));
        assert_eq!(node.process_count(), 1);
        release.send(()).unwrap();
        // The first order that came decides.
        assert_eq!(soon(stuck.join()).await, ExitReason::Shutdown);
        node.stop(Duration::ZERO).await.unwrap();
        assert_eq!(node.process_count(), 0);
        drops.assert_each_once();
    });
}

/// Fault 30: a second stop is a no-op, and two at once are one.
#[test]
fn stopping_twice_is_stopping_once() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::new().unwrap();
            let drops = Drops::default();
            populate(&node, &drops, 10);
            assert!(!node.is_stopped());
            let both = join(node.stop(Duration::ZERO), node.stop(Duration::ZERO));
            assert_eq!(soon(both).await, (Ok(()), Ok(())));
            assert!(node.is_stopped());
            assert_eq!(node.stop(Duration::ZERO).await, Ok(()));
            assert_eq!(node.clone().stop(GRACE).await, Ok(()));
            drops.assert_each_once();
        });
    }
}

/// Fault 30: a stop that was given up can be done again.
#[test]
fn a_stop_that_was_given_up_can_be_done_again() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::new().unwrap();
            let drops = Drops::default();
            populate(&node, &drops, 10);
            {
                let mut stop = Box::pin(node.stop(GRACE));
                assert!(futures::poll!(stop.as_mut()).is_pending());
            }
            assert!(node.is_stopped());
            node.stop(Duration::ZERO).await.unwrap();
            assert_eq!(node.process_count(), 0);
            drops.assert_each_once();
        });
    }
}

/// Fault 31: a process cannot wait for the end of its own node; asking for it
/// changes nothing. It may stop another node.
#[test]
fn a_stop_from_inside_is_an_error() {
    run_on_threads(|ctx: Context<()>| async move {
        let node = ctx.node();
        assert_eq!(node.stop(GRACE).await, Err(StopError::CalledFromInside));
        assert!(!node.is_stopped());
        assert_eq!(
            spawn(|_: Context<()>| async {}).unwrap().join().await,
            ExitReason::Normal
        );
        let from_thread = node.spawn_thread(|mut ctx: ThreadContext<()>| {
            let node = ctx.node();
            let stopped = ctx.block_on(node.stop(GRACE));
            assert_eq!(stopped, Err(StopError::CalledFromInside));
        });
        assert_eq!(from_thread.unwrap().join().await, ExitReason::Normal);
        let other = Node::new().unwrap();
        let theirs = other.spawn(idle).unwrap();
        soon(other.stop(GRACE)).await.unwrap();
        assert_eq!(theirs.join().await, ExitReason::Shutdown);
    });
}

struct Server;

impl GenServer for Server {
    type Args = Counted;
    type Message = ();

    async fn init(_: Counted, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        Ok(())
    }
}

/// Asks a stopped node for everything.
async fn check_that_it_is_stopped(node: &Node, dead: &ProcessRef<()>) {
    let drops = Drops::default();
    let value = drops.counted();
    let spawned = node.spawn(move |_: Context<()>| async move { drop(value) });
    assert_eq!(spawned.unwrap_err(), SpawnError::Stopped);
    let value = drops.counted();
    let named = node.spawn_options().name("late");
    let named = named.spawn(move |_: Context<()>| async move { drop(value) });
    assert_eq!(named.unwrap_err(), SpawnError::Stopped);
    let value = drops.counted();
    let thread = node.spawn_thread(move |_: ThreadContext<()>| drop(value));
    assert_eq!(thread.unwrap_err(), SpawnError::Stopped);
    let server = Server::builder(drops.counted()).on(node).start().await;
    assert_eq!(server.unwrap_err(), StartError::Spawn(SpawnError::Stopped));
    drops.assert_each_once();

    let pid = dead.pid().unwrap();
    assert!(node.is_stopped());
    assert_eq!(node.process_count(), 0);
    dead.cast(());
    assert!(node.send(pid, ()).is_ok());
    assert!(node.send("late", ()).is_err());
    node.exit(pid, ExitReason::Shutdown);
    node.kill(pid);
    assert_eq!(
        node.register("late", pid),
        Err(RegisterError::NoProcess(pid))
    );
    assert!(node.unregister("late").is_err());
    assert_eq!(node.whereis("late"), None);
    assert_eq!(node.registered(), vec![]);
    assert_eq!(node.is_alive(pid).await, Ok(false));
    assert!(node.process_info(pid).await.unwrap().is_none());
    assert_eq!(node.join(pid).await, ExitReason::NoProcess);
    assert!(node.process::<()>(pid).is_none());
    let timer = node.send_after(Duration::ZERO, pid, ());
    assert_eq!(node.cancel_timer(timer), None);
    assert_eq!(node.stop(GRACE).await, Ok(()));
}

/// Fault 32: whatever is asked of a stopped node is answered, without a panic;
/// nothing can be spawned, and a body that was not taken is dropped.
#[test]
fn a_stopped_node_answers_everything_and_spawns_nothing() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let node = Node::new().unwrap();
            let process = node.spawn(idle).unwrap();
            node.stop(GRACE).await.unwrap();
            assert_eq!(process.join().await, ExitReason::Shutdown);
            check_that_it_is_stopped(&node, &process).await;
        });
    }
}

/// Fault 32: of many that are being spawned while the node stops, each either
/// is an error or is told to shut down like the others.
#[test]
fn spawning_while_the_node_stops_leaves_nobody_out() {
    let runtime = two_workers();
    for _ in 0..many(300, 60) {
        let node = {
            let _inside = runtime.enter();
            Node::new().unwrap()
        };
        let drops = Drops::default();
        let spawner = || {
            let mut spawned = Vec::new();
            while let Ok(process) = spawn_holding(&node, drops.counted()) {
                spawned.push(process);
            }
            spawned
        };
        let spawned = std::thread::scope(|threads| {
            let spawners = [threads.spawn(spawner), threads.spawn(spawner)];
            spawn_holding(&node, drops.counted()).unwrap();
            runtime.block_on(node.stop(GRACE)).unwrap();
            spawners.map(|spawner| spawner.join().unwrap()).concat()
        });
        assert_eq!(node.process_count(), 0);
        drops.assert_each_once();
        let ends = runtime.block_on(join_all(spawned.iter().map(ProcessRef::join)));
        let killed = ends.iter().filter(|end| **end != ExitReason::Shutdown);
        assert_eq!(killed.count(), 0, "of {} were not told", ends.len());
    }
}

fn spawn_holding(node: &Node, value: Counted) -> Result<ProcessRef<()>, SpawnError> {
    node.spawn(move |mut ctx: Context<()>| async move {
        let _value = value;
        ctx.receive().await;
    })
}

// The runtime goes away.

/// The ways a runtime goes.
#[derive(Copy, Clone, Debug)]
enum End {
    /// Dropped outside any async code.
    Dropped,
    /// Shut down in the background, from async code of another runtime.
    InBackground,
    /// Dropped while a panic unwinds the stack.
    Unwinding,
}

fn end(runtime: Runtime, how: End) {
    match how {
        End::Dropped => drop(runtime),
        End::InBackground => one_thread().block_on(async { runtime.shutdown_background() }),
        End::Unwinding => {
            let unwound = panic::catch_unwind(AssertUnwindSafe(move || {
                let _runtime = runtime;
                panic::resume_unwind(Box::new(()));
            }));
            assert!(unwound.is_err());
        }
    }
}

/// Drops the runtime of a node with live processes, after they had this many
/// turns, and checks that all of them are gone and the node is stopped.
fn check_that_processes_go_with_their_runtime(runtime: Runtime, turns: usize, how: End) {
    let node = {
        let _inside = runtime.enter();
        Node::new().unwrap()
    };
    let drops = Drops::default();
    // Gone when the last body is.
    let (alive, gone) = mpsc::channel::<()>();
    let mut last = None;
    for _ in 0..many(10_000, 2_000) {
        let (value, alive) = (drops.counted(), alive.clone());
        let process = node.spawn(move |mut ctx: Context<()>| async move {
            let _held = (value, alive);
            ctx.receive().await;
        });
        last = Some(process.unwrap());
    }
    drop(alive);
    populate(&node, &drops, 10);
    if turns > 0 {
        runtime.block_on(async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        });
    }
    end(runtime, how);
    until_all_are_gone(&gone);
    // The processes on threads end on their own; the others are gone by now.
    let rest = node.processes();
    one_thread().block_on(join_all(rest.into_iter().map(|pid| node.join(pid))));
    drops.assert_each_once();
    one_thread().block_on(async {
        assert_eq!(node.process_count(), 0, "{how:?} after {turns} turns");
        let last = last.unwrap();
        assert_eq!(soon(last.join()).await, ExitReason::Killed);
        check_that_it_is_stopped(&node, &last).await;
    });
}

/// Fault 31: a runtime that is dropped under a node takes the processes with
/// it: nothing hangs, each destructor runs once, the node is stopped.
#[test]
fn processes_go_with_their_runtime() {
    for how in [End::Dropped, End::InBackground, End::Unwinding] {
        for turns in [1, 100] {
            check_that_processes_go_with_their_runtime(one_thread(), turns, how);
            check_that_processes_go_with_their_runtime(two_workers(), turns, how);
        }
    }
}

/// Fault 31: the same, if the runtime never ran anything.
#[test]
fn processes_go_with_a_runtime_that_never_ran() {
    for how in [End::Dropped, End::InBackground, End::Unwinding] {
        check_that_processes_go_with_their_runtime(one_thread(), 0, how);
        check_that_processes_go_with_their_runtime(two_workers(), 0, how);
    }
}

/// Fault 31: a process may own its own runtime and shut it down.
#[test]
fn a_process_may_shut_its_own_runtime_down() {
    let runtime = two_workers();
    let node = {
        let _inside = runtime.enter();
        Node::new().unwrap()
    };
    let (alive, gone) = mpsc::channel::<()>();
    for _ in 0..100 {
        let alive = alive.clone();
        node.spawn(move |mut ctx: Context<()>| async move {
            ctx.receive().await;
            drop(alive);
        })
        .unwrap();
    }
    let process = node.spawn(move |_: Context<()>| async move {
        let _alive = alive;
        runtime.shutdown_background();
        sleep(Duration::ZERO).await;
        std::future::pending::<()>().await;
    });
    until_all_are_gone(&gone);
    let process = process.unwrap();
    assert_eq!(
        one_thread().block_on(soon(process.join())),
        ExitReason::Killed
    );
    assert!(node.is_stopped());
}

/// Fault 31: a node cannot be brought to life on a runtime that is gone.
#[test]
fn a_node_made_on_a_runtime_that_is_gone_is_stopped() {
    for runtime in [one_thread(), two_workers()] {
        let handle = runtime.handle().clone();
        drop(runtime);
        let _inside = handle.enter();
        if let Ok(node) = Node::new() {
            assert!(node.is_stopped());
            assert_eq!(node.spawn(idle).unwrap_err(), SpawnError::Stopped);
        }
    }
}

/// Fault 36: nothing of a node that has ended stays in memory, not even what
/// waited in a run queue when the runtime was dropped.
#[test]
fn a_node_that_has_ended_is_freed() {
    for ends in [Ends::Stopped, Ends::WithItsRuntime, Ends::BeforeItRan] {
        for workers in [0, 2] {
            // The runtime's handle keeps its hooks, and a node that leaks
            // keeps the handle.
            let token = Arc::new(());
            let runtime = holding(&token, workers);
            let node = {
                let _inside = runtime.enter();
                Node::new().unwrap()
            };
            for _ in 0..1000 {
                node.spawn(|mut ctx: Context<()>| async move {
                    sleep(Duration::from_secs(3600)).await;
                    ctx.receive().await;
                })
                .unwrap();
            }
            match ends {
                Ends::Stopped => runtime.block_on(node.stop(GRACE)).unwrap(),
                Ends::WithItsRuntime => runtime.block_on(async {
                    tokio::task::yield_now().await;
                    // Lie in the queues of the hosts when the runtime goes.
                    node.processes().into_iter().for_each(|pid| node.kill(pid));
                }),
                Ends::BeforeItRan => {}
            }
            drop(runtime);
            assert_eq!(node.process_count(), 0);
            drop(node);
            assert_eq!(Arc::strong_count(&token), 1, "{ends:?}, {workers} workers");
        }
    }
}

#[derive(Copy, Clone, Debug)]
enum Ends {
    Stopped,
    WithItsRuntime,
    BeforeItRan,
}

/// A runtime that keeps a token for as long as anything of it lives.
fn holding(token: &Arc<()>, workers: usize) -> Runtime {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    let token = Arc::clone(token);
    builder.on_thread_start(move || drop(Arc::clone(&token)));
    builder.enable_all().build().unwrap()
}

/// Fault 36: a waker that outlives its process keeps its memory and nothing
/// else; when it goes, all goes.
#[test]
fn a_waker_is_the_last_to_hold_a_process() {
    let token = Arc::new(());
    let runtime = holding(&token, 0);
    let waker = runtime.block_on(async {
        let node = Node::new().unwrap();
        let (give, given) = tokio::sync::oneshot::channel();
        let mut give = Some(give);
        let process = node.spawn(move |_: Context<()>| {
            std::future::poll_fn(move |cx| {
                drop(give.take().unwrap().send(cx.waker().clone()));
                std::task::Poll::Ready(())
            })
        });
        assert_eq!(process.unwrap().join().await, ExitReason::Normal);
        node.stop(GRACE).await.unwrap();
        given.await.unwrap()
    });
    drop(runtime);
    waker.wake_by_ref();
    drop(waker);
    assert_eq!(Arc::strong_count(&token), 1);
}

// A runtime of its own.

/// Fault 31: a node made outside any runtime has one of its own; when its last
/// handle goes, its processes end.
#[test]
fn the_last_handle_takes_a_node_with_its_own_runtime_along() {
    let (alive, gone) = mpsc::channel::<()>();
    let drops = Drops::default();
    let node = Node::builder().workers(2).start().unwrap();
    populate(&node, &drops, 20);
    for _ in 0..100 {
        let alive = alive.clone();
        node.spawn(move |mut ctx: Context<()>| async move {
            // A handle of the inside keeps nothing alive.
            let _node = ctx.node();
            ctx.receive().await;
            drop(alive);
        })
        .unwrap();
    }
    let held = alive.clone();
    let thread = node.spawn_thread(move |mut ctx: ThreadContext<()>| {
        ctx.receive();
        drop(held);
    });
    let answer = node.block_on(node.is_alive(thread.unwrap().pid().unwrap()));
    assert_eq!(answer, Ok(true));
    drop(alive);
    let other_handle = node.clone();
    drop(node);
    assert!(!other_handle.is_stopped());
    drop(other_handle);
    until_all_are_gone(&gone);
}

/// Fault 31: the last handle may be dropped by a process of that node, and
/// in async code.
#[test]
fn the_last_handle_may_be_dropped_anywhere() {
    let (alive, gone) = mpsc::channel::<()>();
    let node = Node::builder().workers(2).start().unwrap();
    let (let_go, go) = tokio::sync::oneshot::channel::<()>();
    let idler = alive.clone();
    node.spawn(move |mut ctx: Context<()>| async move {
        ctx.receive().await;
        drop(idler);
    })
    .unwrap();
    let inner = node.clone();
    node.spawn(move |_: Context<()>| async move {
        let _alive = alive;
        go.await.unwrap();
        drop(inner);
        std::future::pending::<()>().await;
    })
    .unwrap();
    drop(node);
    let_go.send(()).unwrap();
    until_all_are_gone(&gone);

    let node = Node::builder().workers(1).start().unwrap();
    let (alive, gone) = mpsc::channel::<()>();
    node.spawn(move |mut ctx: Context<()>| async move {
        ctx.receive().await;
        drop(alive);
    })
    .unwrap();
    one_thread().block_on(async move { drop(node) });
    until_all_are_gone(&gone);
}

/// Fault 33: a runtime that cannot tell the time carries no node.
#[test]
fn a_node_needs_the_time() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    assert!(matches!(Node::new(), Err(NodeError::NoTimeDriver)));
}

// Several nodes.

/// Fault 33: nodes in one program know nothing of each other's names, clocks
/// and ends.
#[test]
fn nodes_are_worlds_of_their_own() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let clock = ManualClock::new();
            let a = Node::builder().clock(clock.clone()).start().unwrap();
            let b = Node::new().unwrap();
            let theirs = a.spawn_options().name("same").spawn(idle).unwrap().process;
            let ours = b.spawn_options().name("same").spawn(idle).unwrap().process;
            a.send_after(Duration::from_secs(1), theirs.pid().unwrap(), ());
            assert_eq!((a.timer_count(), b.timer_count()), (1, 0));
            clock.advance(Duration::from_secs(60));
            assert_eq!(a.timer_count(), 0);
            a.stop(GRACE).await.unwrap();
            assert_eq!(theirs.join().await, ExitReason::Shutdown);
            assert!(!b.is_stopped());
            assert_eq!(b.whereis("same"), ours.pid());
            assert_eq!(b.is_alive(ours.pid().unwrap()).await, Ok(true));
            b.stop(GRACE).await.unwrap();
        });
    }
}

/// The first processes of two nodes, which have the same pid.
async fn twins() -> (Node, Node) {
    let nodes = (Node::new().unwrap(), Node::new().unwrap());
    for node in [&nodes.0, &nodes.1] {
        let first = node.spawn(|_: Context<()>| async {}).unwrap();
        assert_eq!(first.join().await, ExitReason::Normal);
    }
    nodes
}

/// Fault 33: a process may call and join one of another node; what it is told
/// there and what it tells is mixed up with no process that has its pid there.
#[test]
fn a_process_may_deal_with_another_node() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let (here, there) = twins().await;
            let target = there.spawn(idle).unwrap();
            let pid = target.pid().unwrap();
            // Of the same pid on both nodes: one watches, one joins.
            let (watches, watched) = tokio::sync::oneshot::channel();
            let watcher = there.spawn(move |mut ctx: Context<()>| async move {
                let reference = monitor(pid);
                // It answers this after the monitor.
                resurgam::is_alive(pid).await.unwrap();
                watches.send(()).unwrap();
                assert!(
                    matches!(ctx.receive().await, Message::Down(down) if down.reference == reference)
                );
            });
            let watcher = watcher.unwrap();
            watched.await.unwrap();
            here.spawn(idle).unwrap();
            let (theirs, joined) = (target.clone(), tokio::sync::oneshot::channel());
            let joiner = here.spawn(move |_: Context<()>| async move {
                let join = theirs.join();
                joined.0.send(()).unwrap();
                join.await
            });
            let joiner = joiner.unwrap();
            assert_eq!(joiner.pid(), watcher.pid());
            joined.1.await.unwrap();
            there.exit(pid, ExitReason::custom("away"));
            assert_eq!(soon(joiner.join()).await, ExitReason::custom("away"));
            assert_eq!(soon(watcher.join()).await, ExitReason::Normal);
        });
    }
}

/// Fault 33: a question about a process of another node is not answered by the
/// one that has its pid here.
#[test]
fn a_question_about_another_node_is_answered_there() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let (here, there) = twins().await;
            let target = there.spawn_options().label("theirs").spawn(idle);
            let target = target.unwrap().process.pid().unwrap();
            let asker = here.spawn(move |_: Context<()>| async move {
                assert_eq!(self_pid(), target);
                let info = there.process_info(target).await.unwrap().unwrap();
                assert_eq!(info.label.as_deref(), Some("theirs"));
            });
            assert_eq!(asker.unwrap().join().await, ExitReason::Normal);
        });
    }
}

/// Fault 33: an exit signal from a process of another node comes from outside,
/// not from whoever has its pid here.
#[test]
fn an_exit_signal_from_another_node_comes_from_outside() {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(async {
            let (here, there) = twins().await;
            let target = there.spawn_options().trap_exit();
            let target = target.spawn(|mut ctx: Context<()>| async move {
                let Message::Exit(exit) = ctx.receive().await else {
                    panic!("not an exit");
                };
                assert_eq!(exit.from, Pid::OUTSIDE);
            });
            let target = target.unwrap().process;
            let pid = target.pid().unwrap();
            here.spawn(move |_: Context<()>| async move { there.exit(pid, ExitReason::Shutdown) })
                .unwrap();
            assert_eq!(soon(target.join()).await, ExitReason::Normal);
        });
    }
}

/// Fault 33: a link or a monitor cannot be asked for at the spawn of a process
/// of another node; nothing is left behind then.
#[test]
fn a_process_of_another_node_cannot_be_born_linked() {
    run(|_: Context<()>| async {
        let other = Node::new().unwrap();
        let linked = other.spawn_options().link().name("x").spawn(idle);
        assert_eq!(linked.unwrap_err(), SpawnError::NotInProcess);
        let monitored = other.spawn_options().monitor().name("x").spawn(idle);
        assert_eq!(monitored.unwrap_err(), SpawnError::NotInProcess);
        assert_eq!((other.process_count(), other.whereis("x")), (0, None));
        other.stop(GRACE).await.unwrap();
    });
}

// Foreign threads.

/// Fault 32: a node is used from any thread: processes are spawned, sent to,
/// named and killed there, and nothing is lost.
#[test]
fn a_node_is_used_from_any_thread() {
    const THREADS: usize = 4;
    let rounds = many(2_000, 200);
    let runtime = two_workers();
    let node = {
        let _inside = runtime.enter();
        Node::new().unwrap()
    };
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let node = &node;
            threads.spawn(move || {
                for round in 0..rounds {
                    let name = format!("{thread}/{round}");
                    let (answers, answered) = mpsc::channel();
                    let process = node.spawn(move |mut ctx: Context<usize>| async move {
                        while let Message::User(n) = ctx.receive().await {
                            answers.send(n).unwrap();
                        }
                    });
                    let pid = process.unwrap().pid().unwrap();
                    node.register(&*name, pid).unwrap();
                    assert_eq!(node.whereis(&*name), Some(pid));
                    node.send(&*name, 1_usize).unwrap();
                    node.send(pid, 2_usize).unwrap();
                    node.named(&*name).cast(3_usize);
                    assert_eq!([1, 2, 3].map(|_| soon_here(&answered)), [1, 2, 3]);
                    node.kill(pid);
                    assert!(answered.recv().is_err());
                }
            });
        }
    });
    runtime.block_on(node.stop(GRACE)).unwrap();
    assert_eq!(node.registered(), vec![]);
}

/// Fault 32: outside a process the free functions act on the default node,
/// and those that need a process panic.
#[test]
fn there_is_a_default_node_outside_processes() {
    alone(
        "shutdown::there_is_a_default_node_outside_processes",
        &[],
        || {
            // Made on first use, on a runtime of its own.
            let first = spawn(idle).unwrap();
            let pid = first.pid().unwrap();
            resurgam::register("first", pid).unwrap();
            assert_eq!(resurgam::whereis("first"), Some(pid));
            assert_eq!(Node::current().processes(), [pid]);
            assert_eq!(try_self_pid(), None);
            for needs_a_process in [
                || _ = self_pid(),
                || _ = trap_exit(true),
                || _ = monitor("first"),
                || resurgam::link(Pid::OUTSIDE),
                || resurgam::set_label("none"),
            ] {
                assert!(panic::catch_unwind(needs_a_process).is_err());
            }
            assert_eq!(spawn_link(idle).unwrap_err(), SpawnError::NotInProcess);

            // When it has ended, the next use makes another one.
            let node = Node::current();
            node.block_on(node.stop(GRACE)).unwrap();
            assert_eq!(node.block_on(first.join()), ExitReason::Shutdown);
            assert_eq!(resurgam::whereis("first"), None);
            assert!(!Node::current().is_stopped());
            let node = Node::current();
            node.block_on(node.stop(GRACE)).unwrap();

            // On the runtime that asks first, and for as long as that lives.
            for runtime in [one_thread(), two_workers()] {
                let theirs = runtime.block_on(async {
                    let process = spawn(|ctx: Context<()>| async move {
                        assert_eq!(Node::current().processes(), [ctx.pid()]);
                    });
                    assert_eq!(process.unwrap().join().await, ExitReason::Normal);
                    spawn(idle).unwrap()
                });
                assert_eq!(Node::current().process_count(), 1);
                drop(runtime);
                assert_eq!(Node::current().process_count(), 0);
                let node = Node::current();
                assert_eq!(node.block_on(theirs.join()), ExitReason::Killed);
                node.block_on(node.stop(GRACE)).unwrap();
            }
        },
    );
}

/// `init:stop/0`
#[tokio::test]
async fn a_process_can_order_the_stop_of_its_node() {
    let node = Node::new().unwrap();
    let other = node.spawn(crate::support::idle).unwrap();
    let orders = node.spawn(|ctx: Context<()>| async move {
        ctx.node().order_stop(Duration::from_secs(5));
        std::future::pending::<()>().await;
    });
    assert_eq!(orders.unwrap().join().await, ExitReason::Shutdown);
    assert_eq!(other.join().await, ExitReason::Shutdown);
    assert!(node.is_stopped());
    node.stop(Duration::from_secs(5)).await.unwrap();
}
