//! Scenarios of plain processes and of single servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use resurgam::sim::Sim;
use resurgam::{
    CallError, Context, Exit, ExitReason, GenServer, Message, ProcessRef, StartError, Strategy,
    Supervisor, demonitor_flush, link, monitor, send_after, sleep, spawn, spawn_monitor, timeout,
    trap_exit,
};

use super::clerk::{Ask, Clerk, Manner, crash, plain};
use super::{Root, expect_end, expect_nothing_left};

const SECOND: Duration = Duration::from_secs(1);

/// Three callers ask one server, fast and slowly, while it falls once: each
/// call has one outcome, and nothing comes afterwards.
pub(super) fn calls(sim: &mut Sim) {
    let top = Supervisor::builder(Strategy::OneForOne).child(plain("a"));
    let root = Root::start(sim, top);
    let done = Arc::new(AtomicU32::new(0));
    for caller in 0..3 {
        let done = Arc::clone(&done);
        sim.client(move |mut ctx: Context<()>| async move {
            let clerk = ProcessRef::<Ask>::named("a");
            for number in 0..2 {
                let number = caller * 10 + number;
                let answer = match caller {
                    0 => clerk.call(|reply| Ask::Slowly(number, reply)).await,
                    _ => {
                        clerk
                            .call(|reply| Ask::Next(number, reply))
                            .timeout(SECOND / 2)
                            .await
                    }
                };
                match answer {
                    Ok(answer) => assert_eq!(answer, number + 1, "another's answer"),
                    Err(CallError::Down(_) | CallError::TimedOut) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            sleep(10 * SECOND).await;
            assert_eq!(ctx.try_receive(), None, "a late reply");
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    crash(sim.node(), "a");
    root.expect_whole_or_gone(sim, 2, &["a"]);
    assert_eq!(done.load(Ordering::Relaxed), 3, "a caller waits for ever");
    root.stop(sim);
}

/// Timers of a process, its sleeps and its time-outs go with it; those aimed
/// at it too.
pub(super) fn timers(sim: &mut Sim) {
    let ticker = sim.node().spawn(|mut ctx: Context<u32>| async move {
        for number in 0..3 {
            send_after(SECOND, ctx.pid(), number);
            // Nobody will see this one.
            send_after(1000 * SECOND, ctx.pid(), 99_u32);
            let ticked = ctx.receive_timeout(3 * SECOND).await;
            assert_eq!(ticked, Some(Message::User(number)));
            let _ = timeout(SECOND, std::future::pending::<()>()).await;
        }
    });
    let ticker = ticker.expect("there is room");
    if let Some(pid) = ticker.pid() {
        sim.node().send_after(500 * SECOND, pid, 98_u32);
        let watched = sim.node().join(pid);
        let reason = sim.run(watched);
        expect_end(&reason);
    }
    sim.run_until_idle();
    assert_eq!(sim.node().timer_count(), 0, "a timer outlives its process");
    expect_nothing_left(sim);
}

/// An owner has a task done by a process of its own: it gets the result or the
/// reason, and neither twice. Without the owner the task does not go on.
pub(super) fn task(sim: &mut Sim) {
    let owner = sim.node().spawn(|mut ctx: Context<u32>| async move {
        for number in 0..2 {
            let me = ctx.self_ref();
            let (_, reference) = spawn_monitor(move |_: Context<()>| async move {
                link(me.pid().expect("it is a process"));
                sleep(SECOND).await;
                me.cast(number);
            })
            .expect("there is room");
            trap_exit(true);
            let outcome = loop {
                match ctx.receive().await {
                    Message::Exit(_) => {}
                    other => break other,
                }
            };
            match outcome {
                Message::User(result) => {
                    assert_eq!(result, number, "the result of another task");
                    demonitor_flush(reference);
                }
                Message::Down(down) => {
                    assert_eq!(down.reference, reference, "a second outcome");
                }
                Message::Exit(_) => {}
            }
        }
    });
    let reason = sim.run(owner.expect("there is room").join());
    expect_end(&reason);
    expect_nothing_left(sim);
}

/// A trapping process starts a linked server that takes its time. It is told
/// what became of it once: by the error, or by an exit.
pub(super) fn start_link(sim: &mut Sim) {
    let caller = sim.node().spawn(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let manner = Manner {
            begins: SECOND,
            ends: SECOND,
        };
        match Clerk::builder(manner).name("clerk").start_link().await {
            Ok(clerk) => {
                let _ = clerk.stop(ExitReason::Normal).await;
                let exit = ctx.receive_timeout(SECOND).await;
                assert!(matches!(exit, Some(Message::Exit(_))), "{exit:?}");
            }
            // Its exit is told by the error.
            Err(StartError::Failed(reason)) => expect_end(&reason),
            Err(error) => panic!("{error}"),
        }
        let next = ctx.receive_timeout(SECOND).await;
        assert_eq!(next, None, "one server, one exit");
    });
    let reason = sim.run(caller.expect("there is room").join());
    expect_end(&reason);
    expect_nothing_left(sim);
}

/// Four processes, each linked to the next; a stranger, trapping, is linked to
/// one and monitors all. All fall together, and it is told of each.
pub(super) fn ring(sim: &mut Sim) {
    const SIZE: usize = 4;
    let watched = sim.client(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let members: Vec<_> = (0..SIZE)
            .map(|_| {
                let member = spawn(|mut ctx: Context<resurgam::Pid>| async move {
                    while let Message::User(next) = ctx.receive().await {
                        link(next);
                    }
                });
                member.expect("there is room")
            })
            .collect();
        let pids: Vec<_> = members.iter().filter_map(ProcessRef::pid).collect();
        for (at, member) in members.iter().enumerate() {
            member.cast(pids[(at + 1) % SIZE]);
        }
        let mut references: Vec<_> = pids.iter().map(|pid| monitor(*pid)).collect();
        link(pids[0]);
        sleep(SECOND).await;
        resurgam::exit(pids[2], ExitReason::custom("the end"));
        let mut exits = 0;
        while exits == 0 || !references.is_empty() {
            match ctx.receive().await {
                Message::Down(down) => references.retain(|other| *other != down.reference),
                Message::Exit(Exit { from, .. }) => {
                    assert_eq!(from, pids[0]);
                    exits += 1;
                }
                Message::User(()) => {}
            }
        }
        let next = ctx.receive_timeout(SECOND).await;
        assert_eq!(next, None, "one link, one exit; one monitor, one down");
    });
    sim.run(watched.join());
    expect_nothing_left(sim);
}
