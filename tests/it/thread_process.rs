//! Processes on OS threads of their own: the same laws, for code that blocks.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::time::Duration;

use futures::future::join_all;
use resurgam::{
    CallError, Context, Exit, ExitReason, Message, Node, ProcessRef, Reply, SpawnError, StopError,
    ThreadContext, exit, flush_exit, is_alive, kill, link, monitor, process_info, self_pid,
    set_label, sleep, spawn, spawn_link, spawn_options, trap_exit, whereis,
};

use crate::scheduler::{many, one_thread, soon, soon_here, two_workers};
use crate::shutdown::{Drops, alone};
use crate::support::{idle, run_on_threads, run_with_clock};

const HOUR: Duration = Duration::from_secs(3600);

/// A thread process that waits for its end.
fn wait(mut ctx: ThreadContext<()>) {
    loop {
        ctx.receive();
    }
}

/// Adds one to what it is called with.
struct Increment(u32, Reply<u32>);

fn increment(mut ctx: ThreadContext<Increment>) {
    while let Message::User(Increment(n, reply)) = ctx.receive() {
        reply.send(n + 1);
    }
}

async fn increment_async(mut ctx: Context<Increment>) {
    while let Message::User(Increment(n, reply)) = ctx.receive().await {
        reply.send(n + 1);
    }
}

/// Laws MSG-01, MSG-02, SIG-01: messages come in the order they were sent.
#[test]
fn a_thread_receives_in_order() {
    run_on_threads(|ctx: Context<()>| async move {
        let total = many(20_000, 2_000) as u32;
        let process = ctx.node().spawn_thread(move |mut ctx: ThreadContext<u32>| {
            for n in 0..total {
                let message = match n % 3 {
                    0 => ctx.receive(),
                    1 => ctx.receive_timeout(HOUR).unwrap(),
                    _ => loop {
                        if let Some(message) = ctx.try_receive() {
                            break message;
                        }
                    },
                };
                assert_eq!(message, Message::User(n));
            }
            assert_eq!(ctx.try_receive(), None);
            assert_eq!(ctx.receive_timeout(Duration::ZERO), None);
        });
        let process = process.unwrap();
        for n in 0..total {
            process.cast(n);
            if n % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(soon(process.join()).await, ExitReason::Normal);
    });
}

/// Laws GS-20, GS-24: a thread process calls and is called, by processes of
/// both kinds.
#[test]
fn a_thread_calls_and_is_called() {
    run_on_threads(|ctx: Context<()>| async move {
        let node = ctx.node();
        let servers = [
            node.spawn_thread(increment).unwrap(),
            node.spawn(increment_async).unwrap(),
        ];
        for server in &servers {
            assert_eq!(soon(server.call(|reply| Increment(1, reply))).await, Ok(2));
        }
        let called = servers.clone();
        let caller = node.spawn_thread(move |mut ctx: ThreadContext<()>| {
            for n in 0..many(5_000, 500) as u32 {
                for server in &called {
                    let answer = ctx.block_on(server.call(|reply| Increment(n, reply)));
                    assert_eq!(answer, Ok(n + 1));
                }
            }
            let me = ctx.self_ref();
            assert_eq!(Some(self_pid()), me.pid());
        });
        assert_eq!(soon(caller.unwrap().join()).await, ExitReason::Normal);
        for server in servers {
            kill(server.pid().unwrap());
            assert_eq!(soon(server.join()).await, ExitReason::Killed);
            let late = server.call(|reply| Increment(1, reply)).await;
            assert_eq!(late, Err(CallError::Down(ExitReason::NoProcess)));
        }
    });
}

/// Law GS-24: the callers of a thread process that ends are told its reason;
/// one that calls itself is told that.
#[test]
fn the_callers_of_a_thread_are_told_its_end() {
    run_on_threads(|ctx: Context<()>| async move {
        let server = ctx
            .node()
            .spawn_thread(|mut ctx: ThreadContext<Increment>| {
                let own = ctx.self_ref();
                let itself = ctx.block_on(own.call(|reply| Increment(1, reply)));
                assert_eq!(itself, Err(CallError::CallingSelf));
                let kept: Vec<_> = (0..5).map(|_| ctx.receive()).collect();
                let Some(Message::User(Increment(_, dropped))) = kept.into_iter().next() else {
                    panic!("no call");
                };
                drop(dropped);
                ctx.receive();
                ExitReason::custom("enough")
            });
        let server = server.unwrap();
        let calls = join_all((0..6).map(|n| server.call(move |reply| Increment(n, reply))));
        let answers = soon(calls).await;
        // Dropped while it lived on, or on its way down.
        let enough = Err(CallError::Down(ExitReason::custom("enough")));
        for (n, answer) in answers.into_iter().enumerate() {
            assert!(
                answer == enough || (n < 5 && answer == Err(CallError::NoReply)),
                "{n}: {answer:?}"
            );
        }
    });
}

/// Laws LINK, MON-03, TRAP-02: links, monitors and trapped exits of a thread
/// process are those of any process, in both directions.
#[test]
fn a_thread_is_linked_and_monitored_like_any_process() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let options = spawn_options()
            .link()
            .monitor()
            .name("thread")
            .label("blocks");
        let spawned = options.spawn_thread(|mut ctx: ThreadContext<()>| {
            ctx.receive();
            ExitReason::custom("done")
        });
        let spawned = spawned.unwrap();
        let (thread, reference) = (spawned.process, spawned.monitor.unwrap());
        let pid = thread.pid().unwrap();
        assert_eq!(whereis("thread"), Some(pid));
        let info = process_info(pid).await.unwrap().unwrap();
        assert_eq!(info.links, [ctx.pid()]);
        assert_eq!(info.monitored_by, [ctx.pid()]);
        assert_eq!(info.label.as_deref(), Some("blocks"));
        thread.cast(());
        let Message::Exit(exit) = soon(ctx.receive()).await else {
            panic!("not an exit");
        };
        assert_eq!((exit.from, exit.reason), (pid, ExitReason::custom("done")));
        assert_eq!(whereis("thread"), None);
        let Message::Down(down) = soon(ctx.receive()).await else {
            panic!("not a down");
        };
        assert_eq!(
            (down.reference, down.reason),
            (reference, ExitReason::custom("done"))
        );
    });
}

/// Laws LINK, MON, TRAP-02: a thread process links, monitors and traps.
#[test]
fn a_thread_links_monitors_and_traps() {
    run_on_threads(|ctx: Context<()>| async move {
        let thread = ctx.node().spawn_thread(|mut ctx: ThreadContext<()>| {
            assert!(!trap_exit(true));
            set_label("watches");
            let linked = spawn_link(idle).unwrap().pid().unwrap();
            exit(linked, ExitReason::custom(1));
            assert_eq!(
                ctx.receive(),
                Message::Exit(Exit {
                    from: linked,
                    reason: ExitReason::custom(1)
                })
            );
            let other = spawn(idle).unwrap().pid().unwrap();
            link(other);
            let reference = monitor(other);
            kill(other);
            assert!(matches!(ctx.receive(), Message::Exit(exit) if exit.from == other));
            assert!(matches!(ctx.receive(), Message::Down(down) if down.reference == reference));
            let last = spawn_link(idle).unwrap();
            kill(last.pid().unwrap());
            ctx.block_on(last.join());
            assert_eq!(flush_exit(last.pid().unwrap()), Some(ExitReason::Killed));
            assert_eq!(ctx.try_receive(), None);
            assert_eq!(ctx.block_on(is_alive(last.pid().unwrap())), Ok(false));
        });
        assert_eq!(soon(thread.unwrap().join()).await, ExitReason::Normal);
    });
}

/// Law LINK-01: the end of a thread process ends those linked to it, and
/// theirs ends it.
#[test]
fn a_thread_falls_with_its_links() {
    run_on_threads(|ctx: Context<()>| async move {
        let node = ctx.node();
        let (give, given) = mpsc::channel();
        let thread = node.spawn_thread(move |mut ctx: ThreadContext<()>| {
            give.send(spawn_link(idle).unwrap()).unwrap();
            ctx.receive();
        });
        let thread = thread.unwrap();
        let child = tokio::task::spawn_blocking(move || soon_here(&given))
            .await
            .unwrap();
        exit(child.pid().unwrap(), ExitReason::custom("fall"));
        assert_eq!(soon(thread.join()).await, ExitReason::custom("fall"));

        let parent = spawn(|mut ctx: Context<Reply<ProcessRef<()>>>| async move {
            let thread = spawn_options().link().spawn_thread(wait).unwrap().process;
            let Message::User(reply) = ctx.receive().await else {
                panic!("no call");
            };
            reply.send(thread);
            ctx.receive().await;
        });
        let parent = parent.unwrap();
        let thread = parent.call(|reply| reply).await.unwrap();
        exit(parent.pid().unwrap(), ExitReason::custom("fall"));
        assert_eq!(soon(thread.join()).await, ExitReason::custom("fall"));
    });
}

/// Law SIG-09, fault 5: a thread process is killed wherever it waits; its
/// stack is unwound there, and each destructor runs once.
#[test]
fn a_thread_is_killed_where_it_waits() {
    fn block(how: u32, ctx: &mut ThreadContext<()>, server: &ProcessRef<Increment>) {
        match how {
            0 => _ = ctx.receive(),
            1 => _ = ctx.receive_timeout(HOUR),
            2 => ctx.sleep(HOUR),
            3 => _ = ctx.block_on(server.call(|reply| Increment(1, reply)).no_timeout()),
            4 => _ = ctx.block_on(server.join()),
            5 => ctx.block_on(sleep(HOUR)),
            6 => ctx.block_on(std::future::pending()),
            7 => loop {
                assert_eq!(ctx.try_receive(), None);
            },
            _ => loop {
                ctx.block_on(async {});
            },
        }
    }

    run_on_threads(|ctx: Context<()>| async move {
        let silent = spawn(|_: Context<Increment>| std::future::pending::<()>()).unwrap();
        for how in 0..9 {
            let drops = Drops::default();
            let (value, other) = (drops.counted(), drops.counted());
            let (runs, running) = tokio::sync::oneshot::channel();
            let server = silent.clone();
            let thread = ctx.node().spawn_thread(move |mut ctx: ThreadContext<()>| {
                let _value = value;
                runs.send(()).unwrap();
                block(how, &mut ctx, &server);
                drop(other);
                unreachable!("killed before");
            });
            let thread = thread.unwrap();
            running.await.unwrap();
            kill(thread.pid().unwrap());
            assert_eq!(soon(thread.join()).await, ExitReason::Killed, "{how}");
            drops.assert_each_once();
        }
        assert_eq!(ctx.node().timer_count(), 0);
        kill(silent.pid().unwrap());
    });
}

/// Law SIG-09: it does not help to catch the unwinding.
#[test]
fn a_thread_that_catches_its_end_ends() {
    run_on_threads(|ctx: Context<()>| async move {
        let thread = ctx.node().spawn_thread(|mut ctx: ThreadContext<()>| {
            for _ in 0..3 {
                assert!(panic::catch_unwind(AssertUnwindSafe(|| ctx.receive())).is_err());
            }
            ExitReason::custom("escaped")
        });
        let thread = thread.unwrap();
        kill(thread.pid().unwrap());
        assert_eq!(soon(thread.join()).await, ExitReason::Killed);
    });
}

/// Fault 5, fault 27: a destructor that runs because the process was killed
/// may use the context, as one of any process may: nothing comes any more. It
/// must not panic there, for a panic while another unwinds ends the program.
#[test]
fn a_destructor_of_a_killed_thread_may_use_its_context() {
    /// Looks for a last message when it is dropped.
    struct Session(ThreadContext<()>);

    impl Drop for Session {
        fn drop(&mut self) {
            assert_eq!(self.0.try_receive(), None);
            assert_eq!(self.0.receive_timeout(HOUR), None);
            self.0.sleep(HOUR);
        }
    }

    let test = "thread_process::a_destructor_of_a_killed_thread_may_use_its_context";
    alone(test, &[], || {
        one_thread().block_on(async {
            let node = Node::new().unwrap();
            let (runs, running) = tokio::sync::oneshot::channel();
            let thread = node.spawn_thread(|ctx: ThreadContext<()>| {
                let mut session = Session(ctx);
                runs.send(()).unwrap();
                session.0.receive();
            });
            let thread = thread.unwrap();
            running.await.unwrap();
            node.kill(thread.pid().unwrap());
            assert_eq!(soon(thread.join()).await, ExitReason::Killed);
        });
    });
}

/// Fault 1: a panic of a thread process says what and where.
#[test]
fn a_thread_that_panics_says_where() {
    run_on_threads(|ctx: Context<()>| async move {
        let options = ctx.node().spawn_options().name("thread");
        let thread = options.spawn_thread(|mut ctx: ThreadContext<u32>| {
            ctx.receive();
            panic!("{}:{}:13", file!(), line!())
        });
        let thread = thread.unwrap().process;
        thread.cast(1);
        let ExitReason::Panicked(panic) = soon(thread.join()).await else {
            panic!("not a panic");
        };
        assert_eq!(panic.location(), Some(panic.message()));
        assert_eq!(Some(panic.process()), thread.pid());
        assert_eq!(panic.name(), Some(&"thread".into()));
        assert_eq!(panic.ancestors(), [ctx.pid()]);
    });
}

/// Law MSG-05: a thread process waits on the node's clock.
#[test]
fn a_thread_waits_on_the_clock_of_its_node() {
    run_with_clock(|ctx: Context<()>, clock| async move {
        let node = ctx.node();
        let thread = node.spawn_thread(|mut ctx: ThreadContext<u8>| {
            let start = ctx.node().now();
            ctx.sleep(HOUR);
            assert_eq!(ctx.node().now() - start, HOUR);
            assert_eq!(ctx.receive_timeout(HOUR), None);
            assert_eq!(ctx.node().now() - start, 2 * HOUR);
            resurgam::send_after(HOUR, ctx.pid(), 7_u8);
            assert_eq!(ctx.receive(), Message::User(7));
            assert_eq!(ctx.node().now() - start, 3 * HOUR);
        });
        for _ in 0..3 {
            clock.advance_to_next().await;
        }
        assert_eq!(soon(thread.unwrap().join()).await, ExitReason::Normal);
    });
}

/// Fault 31: Tokio's sockets and blocking pool are at hand on the thread.
#[test]
fn a_thread_uses_tokio() {
    run_on_threads(|ctx: Context<()>| async move {
        let thread = ctx.node().spawn_thread(|mut ctx: ThreadContext<()>| {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            tokio::spawn(async move { sender.send(7) });
            assert_eq!(ctx.block_on(receiver), Ok(7));
            let blocking = tokio::task::spawn_blocking(|| 8);
            assert_eq!(ctx.block_on(blocking).unwrap(), 8);
            ctx.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let (there, here) =
                    tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
                assert_eq!(there.unwrap().local_addr().unwrap(), here.unwrap().1);
            });
        });
        assert_eq!(soon(thread.unwrap().join()).await, ExitReason::Normal);
    });
}

/// A context belongs to its process: elsewhere it panics instead of hanging.
#[test]
fn a_context_of_a_thread_works_on_no_other_thread() {
    run_on_threads(|ctx: Context<()>| async move {
        let thread = ctx.node().spawn_thread(|mut ctx: ThreadContext<()>| {
            std::thread::scope(|threads| {
                assert!(threads.spawn(|| ctx.receive()).join().is_err());
            });
            assert_eq!(ctx.try_receive(), None);
        });
        assert_eq!(soon(thread.unwrap().join()).await, ExitReason::Normal);
    });
}

/// Fault 9, fault 30: a thread that does not come back is named by the stop of
/// its node; it ends when it does.
#[test]
fn a_thread_that_does_not_come_back_is_named_by_the_stop() {
    one_thread().block_on(async {
        let node = Node::new().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let drops = Drops::default();
        let value = drops.counted();
        let (runs, running) = tokio::sync::oneshot::channel();
        let stuck = node.spawn_options().name("stuck");
        let stuck = stuck.spawn_thread(move |mut ctx: ThreadContext<()>| {
            let _value = value;
            runs.send(()).unwrap();
            let _ = released.recv();
            ctx.receive();
        });
        let stuck = stuck.unwrap().process;
        running.await.unwrap();
        node.spawn_thread(wait).unwrap();
        let stopped = node.stop(Duration::ZERO).await;
        let Err(StopError::Unresponsive(stragglers)) = stopped else {
            panic!("{stopped:?}");
        };
        let named: Vec<_> = stragglers
            .iter()
            .map(|s| (Some(s.pid), s.name.clone()))
            .collect();
        assert_eq!(named, [(stuck.pid(), Some("stuck".into()))]);
        release.send(()).unwrap();
        // The first order that came decides.
        assert_eq!(soon(stuck.join()).await, ExitReason::Shutdown);
        assert_eq!(node.stop(Duration::ZERO).await, Ok(()));
        drops.assert_each_once();
    });
}

/// Fault 31: a thread process ends when the runtime of its node does; one that
/// blocks then, when it comes back.
#[test]
fn a_thread_goes_with_the_runtime_of_its_node() {
    for runtime in [one_thread(), two_workers()] {
        let node = {
            let _inside = runtime.enter();
            Node::new().unwrap()
        };
        let (release, released) = mpsc::channel::<()>();
        let (runs, running) = mpsc::channel();
        let waits = node.spawn_thread(wait).unwrap();
        let blocks = node.spawn_thread(move |ctx: ThreadContext<()>| {
            runs.send(()).unwrap();
            let _ = released.recv();
            wait(ctx);
        });
        let blocks = blocks.unwrap();
        let asked = node.is_alive(waits.pid().unwrap());
        assert_eq!(runtime.block_on(asked), Ok(true));
        soon_here(&running);
        drop(runtime);
        let elsewhere = one_thread();
        assert_eq!(elsewhere.block_on(soon(waits.join())), ExitReason::Killed);
        assert_eq!(node.process_count(), 1);
        // A stop without a runtime cannot wait, but does not panic either.
        let stopped = elsewhere.block_on(soon(node.stop(Duration::ZERO)));
        assert!(
            matches!(stopped, Err(StopError::Unresponsive(_))),
            "{stopped:?}"
        );
        release.send(()).unwrap();
        assert_eq!(elsewhere.block_on(soon(blocks.join())), ExitReason::Killed);
        assert_eq!(elsewhere.block_on(soon(node.stop(Duration::ZERO))), Ok(()));
        assert_eq!(node.process_count(), 0);
    }
}

/// Fault 24: many threads and processes call each other, and nobody sleeps with
/// mail.
#[test]
fn threads_and_processes_lose_no_wake_up() {
    run_on_threads(|ctx: Context<()>| async move {
        let rounds = many(5_000, 300) as u32;
        let node = ctx.node();
        let threads: Vec<_> = (0..4)
            .map(|_| node.spawn_thread(increment).unwrap())
            .collect();
        let callers = threads.iter().cycle().take(20).map(|server| {
            let server = server.clone();
            spawn(move |_: Context<()>| async move {
                for n in 0..rounds {
                    let answer = server.call(|reply| Increment(n, reply)).await;
                    assert_eq!(answer, Ok(n + 1));
                }
            })
            .unwrap()
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(soon(caller.join()).await, ExitReason::Normal);
        }
        for thread in threads {
            kill(thread.pid().unwrap());
            assert_eq!(soon(thread.join()).await, ExitReason::Killed);
        }
    });
}

/// Fault 42: if the system gives no thread, the spawn is an error; nothing is
/// left behind, and the node goes on.
#[test]
fn a_thread_that_cannot_be_made_is_an_error() {
    // No machine has that much memory for a stack.
    let stack = [("RUST_MIN_STACK", "70368744177664")];
    alone(
        "thread_process::a_thread_that_cannot_be_made_is_an_error",
        &stack,
        || {
            one_thread().block_on(async {
                let node = Node::new().unwrap();
                let test = node.spawn(|mut ctx: Context<()>| async move {
                    trap_exit(true);
                    let drops = Drops::default();
                    let value = drops.counted();
                    let options = spawn_options().name("thread").link().monitor();
                    let refused = options.spawn_thread(move |_: ThreadContext<()>| drop(value));
                    assert!(matches!(refused, Err(SpawnError::Thread(_))), "{refused:?}");
                    drops.assert_each_once();
                    assert_eq!(whereis("thread"), None);
                    assert_eq!(ctx.node().process_count(), 1);
                    let me = process_info(self_pid()).await.unwrap().unwrap();
                    assert_eq!((me.links, me.monitors), (vec![], vec![]));
                    assert_eq!(ctx.receive_timeout(Duration::from_millis(1)).await, None);
                });
                assert_eq!(soon(test.unwrap().join()).await, ExitReason::Normal);
            });
        },
    );
}
