//! Ends and exit signals: the laws EXIT.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use futures::channel::oneshot;
use resurgam::{
    Context, ExitReason, Message, Pid, ProcessOutput, ProcessRef, ThreadContext, exit, is_alive,
    join, kill, link, monitor, self_pid, sleep, spawn, spawn_link, spawn_options, trap_exit,
    yield_now,
};

use crate::signals::{Drops, Flag, busy, next_down, next_exit, next_user, obedient, pid_of};
use crate::support::{idle, run, run_on_threads, run_with_clock};

/// How a process ends that has this body.
async fn end_of<O: ProcessOutput + Send + 'static>(
    body: impl FnOnce() -> O + Send + 'static,
) -> ExitReason {
    spawn(|_: Context<()>| async { body() })
        .unwrap()
        .join()
        .await
}

/// A process that waits.
fn waiting() -> (ProcessRef<()>, Pid) {
    let process = spawn(idle).unwrap();
    let pid = pid_of(&process);
    (process, pid)
}

/// EXIT-01, EXIT-02: the body says why it ends.
#[test]
fn what_the_body_returns_is_the_reason() {
    run(|_: Context<()>| async {
        assert_eq!(end_of(|| ()).await, ExitReason::Normal);
        assert_eq!(
            end_of(|| Ok::<(), ExitReason>(())).await,
            ExitReason::Normal
        );
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with("done"),
            ExitReason::custom(7),
            ExitReason::NoProcess,
            ExitReason::Killed,
        ] {
            let (returned, raised) = (reason.clone(), reason.clone());
            assert_eq!(end_of(|| returned).await, reason);
            assert_eq!(end_of(|| Err(raised)).await, reason);
        }
    });
}

/// EXIT-02, EXIT-03 (differs): an error that the body returns is the reason,
/// as it is.
#[test]
fn error_of_the_body_is_the_reason() {
    run(|_: Context<()>| async {
        let parse = || -> Result<(), ExitReason> {
            "eighty".parse::<u16>()?;
            Ok(())
        };
        let ExitReason::Failed(failure) = end_of(parse).await else {
            panic!("not failed")
        };
        assert!(failure.error().is::<std::num::ParseIntError>());
    });
}

/// EXIT-03 (differs): a panic is one abnormal reason, with what it said and
/// where it was, and whose. (Acton 11 had a variant for it that nobody made.)
#[test]
fn panic_is_the_reason_with_its_message_and_place() {
    run(|ctx: Context<()>| async move {
        let fails = spawn_options().name("fails").spawn(|_: Context<()>| async {
            let n = 7;
            panic!("no {n}");
        });
        let fails = fails.unwrap().process;
        let line = line!() - 3;
        let reason = fails.join().await;
        assert!(reason.is_abnormal());
        let ExitReason::Panicked(panic) = reason else {
            panic!("{reason}")
        };
        assert_eq!(panic.message(), "no 7");
        let place = panic.location().unwrap();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
        assert_eq!(panic.process(), pid_of(&fails));
        assert_eq!(panic.name().unwrap().as_str(), "fails");
        assert_eq!(panic.ancestors(), [ctx.pid()]);
    });
}

/// EXIT-03: wherever it happens: in the call of the body, in its future, on a
/// thread, in a destructor at the end.
#[test]
fn panic_anywhere_in_a_process_is_its_reason() {
    #[track_caller]
    fn check(reason: ExitReason) {
        let ExitReason::Panicked(panic) = reason else {
            panic!("{reason}")
        };
        assert_eq!(panic.message(), "here");
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("here");
        }
    }
    run_on_threads(|_: Context<()>| async {
        let in_call = |_: Context<()>| -> std::future::Ready<()> { panic!("here") };
        check(spawn(in_call).unwrap().join().await);
        let later = spawn(|_: Context<()>| async {
            yield_now().await;
            panic!("here");
        });
        check(later.unwrap().join().await);
        let on_thread = |_: ThreadContext<()>| -> () { panic!("here") };
        check(
            spawn_options()
                .spawn_thread(on_thread)
                .unwrap()
                .process
                .join()
                .await,
        );
        let in_drop = spawn(|_: Context<()>| async { drop(Bomb) });
        check(in_drop.unwrap().join().await);
    });
}

/// EXIT-03: the place in the reason is that of the panic that ended the
/// process, not of another one on the same thread.
#[test]
fn place_of_a_caught_panic_is_not_taken_for_another() {
    run(|_: Context<()>| async {
        let caught = spawn(|_: Context<()>| async {
            drop(panic::catch_unwind(|| panic!("this one is caught")));
        });
        assert_eq!(caught.unwrap().join().await, ExitReason::Normal);
        let silent = spawn(|_: Context<()>| async { panic::resume_unwind(Box::new("silent")) });
        let reason = silent.unwrap().join().await;
        let ExitReason::Panicked(panic) = reason else {
            panic!("{reason}")
        };
        assert_eq!((panic.message(), panic.location()), ("silent", None));
    });
}

/// EXIT-03: a panic ends one process and no other on the same worker (actix
/// 111 and 301: a thread's worth of actors stopped in silence).
#[test]
fn panic_leaves_the_other_processes_alone() {
    run_on_threads(|_: Context<()>| async {
        let others: Vec<_> = (0..20).map(|_| spawn(busy).unwrap()).collect();
        for _ in 0..5 {
            let fails = spawn(|_: Context<()>| async { panic!("expected") }).unwrap();
            assert!(fails.join().await.is_abnormal());
        }
        for other in &others {
            assert_eq!(is_alive(pid_of(other)).await, Ok(true));
        }
    });
}

/// EXIT-05: an exit signal is nothing that the body could catch: not where it
/// was sent, and not where the stack of a thread is unwound by it.
#[test]
fn exit_signal_cannot_be_caught() {
    run_on_threads(|_: Context<()>| async {
        let survived = Flag::default();
        let flag = survived.clone();
        let stubborn = move |mut ctx: ThreadContext<()>| {
            exit(self_pid(), ExitReason::custom("enough"));
            for _ in 0..3 {
                drop(panic::catch_unwind(AssertUnwindSafe(|| {
                    ctx.receive();
                    flag.raise();
                })));
            }
        };
        let stubborn = spawn_options().spawn_thread(stubborn).unwrap().process;
        assert_eq!(stubborn.join().await, ExitReason::custom("enough"));
        assert!(!survived.is_up());
    });
}

/// EXIT-06.
#[test]
fn exit_signal_ends_a_process_with_its_reason() {
    run(|_: Context<()>| async {
        for reason in [
            ExitReason::Shutdown,
            ExitReason::shutdown_with(1),
            ExitReason::custom("why"),
            ExitReason::Killed,
            ExitReason::NoProcess,
        ] {
            let (victim, pid) = waiting();
            exit(pid, reason.clone());
            assert_eq!(victim.join().await, reason);
        }
    });
}

/// EXIT-07, EXIT-16: nor has any signal to the dead.
#[test]
fn normal_exit_signal_has_no_effect() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let (victim, pid) = waiting();
        exit(pid, ExitReason::Normal);
        assert_eq!(is_alive(pid).await, Ok(true));
        kill(pid);
        assert_eq!(victim.join().await, ExitReason::Killed);
        for reason in [ExitReason::Normal, ExitReason::Kill, ExitReason::custom(1)] {
            exit(pid, reason.clone());
            exit(Pid::OUTSIDE, reason);
        }
        assert_eq!(victim.join().await, ExitReason::Killed);
        assert!(ctx.try_receive().is_none());
    });
}

/// EXIT-08, EXIT-10.
#[test]
fn normal_exit_signal_is_a_message_to_one_that_traps() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        let other = spawn(move |_: Context<()>| async move { exit(me, ExitReason::Normal) });
        assert_eq!(
            next_exit(&mut ctx).await,
            (pid_of(&other.unwrap()), ExitReason::Normal)
        );
        exit(me, ExitReason::Normal);
        assert_eq!(next_exit(&mut ctx).await, (me, ExitReason::Normal));
    });
}

/// EXIT-09 (differs), EXIT-11: in the form of OTP 29.
#[test]
fn normal_exit_signal_to_oneself_is_ignored() {
    run(|mut ctx: Context<()>| async move {
        exit(ctx.pid(), ExitReason::Normal);
        yield_now().await;
        assert!(ctx.try_receive().is_none());
    });
}

/// EXIT-12, EXIT-19: and all who are told see the same reason, a kill renamed
/// for all of them.
#[test]
fn kill_cannot_be_trapped_and_is_told_as_killed() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for order in [kill as fn(Pid), |pid| exit(pid, ExitReason::Kill)] {
            let victim = spawn_options()
                .link()
                .monitor()
                .trap_exit()
                .spawn(idle)
                .unwrap()
                .process;
            let pid = pid_of(&victim);
            let joined = victim.join();
            order(pid);
            assert_eq!(joined.await, ExitReason::Killed);
            assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::Killed));
            assert_eq!(next_down(&mut ctx).await, (pid, ExitReason::Killed));
            assert!(ExitReason::Killed.is_abnormal());
        }
    });
}

/// EXIT-12: whatever else a process is told at the same time.
#[test]
fn kill_ends_a_process_that_traps_everything() {
    run(|_: Context<()>| async {
        for round in 0..500 {
            let victim = spawn_options().trap_exit().spawn(idle).unwrap().process;
            let pid = pid_of(&victim);
            (0..round % 5).for_each(|n| exit(pid, ExitReason::custom(n)));
            kill(pid);
            assert_eq!(victim.join().await, ExitReason::Killed);
        }
    });
}

/// EXIT-13: and passes it on as it is.
#[test]
fn process_that_raises_kill_itself_ends_with_kill() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = spawn_options().link().monitor();
        let child = child
            .spawn(|_: Context<()>| async { ExitReason::Kill })
            .unwrap()
            .process;
        let expected = (pid_of(&child), ExitReason::Kill);
        assert_eq!(next_exit(&mut ctx).await, expected);
        assert_eq!(next_down(&mut ctx).await, expected);
    });
}

/// EXIT-14: trapped it is a message, else it ends the partner as `kill`.
#[test]
fn kill_along_a_link_is_an_exit_like_any_other() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = spawn_link(obedient).unwrap();
        let pid = pid_of(&child);
        let (partner, _) = linked_to(pid).await;
        child.cast(ExitReason::Kill);
        assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::Kill));
        assert_eq!(partner.join().await, ExitReason::Kill);
    });
}

/// A waiting process that is linked to this one.
async fn linked_to(pid: Pid) -> (ProcessRef<()>, Pid) {
    let (is_linked, linked) = oneshot::channel();
    let process = spawn(move |ctx: Context<()>| async move {
        link(pid);
        is_linked.send(()).unwrap();
        idle(ctx).await;
    })
    .unwrap();
    linked.await.unwrap();
    let pid = pid_of(&process);
    (process, pid)
}

/// EXIT-15: along chains of any length, whichever end the kill is at.
#[test]
fn killed_stays_killed_along_a_chain() {
    run_on_threads(|_: Context<()>| async {
        for length in 1..=10 {
            for victim in [0, length / 2, length - 1] {
                let mut chain: Vec<(ProcessRef<()>, Pid)> = vec![waiting()];
                while chain.len() < length {
                    let (_, last) = *chain.last().unwrap();
                    chain.push(linked_to(last).await);
                }
                kill(chain[victim].1);
                for (process, _) in chain {
                    assert_eq!(process.join().await, ExitReason::Killed, "of {length}");
                }
            }
        }
    });
}

/// EXIT-17: as the same value, not a copy.
#[test]
fn large_reasons_arrive_intact() {
    #[track_caller]
    fn address(reason: &ExitReason) -> usize {
        let ExitReason::Custom(term) = reason else {
            panic!("{reason}")
        };
        std::ptr::from_ref::<Vec<u64>>(term.downcast_ref().expect("a vector")).addr()
    }
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let large: Vec<u64> = (0..200_000).collect();
        let child = spawn_options()
            .link()
            .monitor()
            .spawn(obedient)
            .unwrap()
            .process;
        let joined = child.join();
        child.cast(ExitReason::custom(large.clone()));
        let (_, exit) = next_exit(&mut ctx).await;
        let (_, down) = next_down(&mut ctx).await;
        assert!(exit == ExitReason::custom(large));
        let joined = joined.await;
        assert_eq!([address(&down), address(&joined)], [address(&exit); 2]);
    });
}

/// EXIT-18.
#[test]
fn timeout_does_not_revive_a_process_that_was_ended() {
    run_with_clock(|_: Context<()>, clock| async move {
        let revived = Flag::default();
        for (order, reason) in [
            (ExitReason::Kill, ExitReason::Killed),
            (ExitReason::Shutdown, ExitReason::Shutdown),
        ] {
            let flag = revived.clone();
            let victim = spawn(move |mut ctx: Context<()>| async move {
                ctx.receive_timeout(Duration::from_secs(1)).await;
                flag.raise();
                sleep(Duration::from_secs(1)).await;
            });
            let victim = victim.unwrap();
            let pid = pid_of(&victim);
            assert_eq!(is_alive(pid).await, Ok(true));
            exit(pid, order);
            // Both are due when the process next runs.
            clock.advance(Duration::from_secs(2));
            assert_eq!(victim.join().await, reason);
            assert_eq!(clock.armed(), 0);
            assert_eq!(is_alive(pid).await, Ok(false));
            assert!(!revived.is_up());
        }
    });
}

/// EXIT-18: nor does a poll that finds the signal in the mailbox say that there
/// is nothing in it.
#[test]
fn poll_that_finds_its_process_ended_says_nothing() {
    run(|_: Context<()>| async move {
        let polled = Flag::default();
        let flag = polled.clone();
        let victim = spawn(move |mut ctx: Context<()>| async move {
            exit(self_pid(), ExitReason::Shutdown);
            ctx.self_ref().cast(());
            ctx.receive_timeout(Duration::ZERO).await;
            flag.raise();
        });
        assert_eq!(victim.unwrap().join().await, ExitReason::Shutdown);
        assert!(!polled.is_up());
    });
}

/// EXIT-19: `noproc` is for those who come too late, only.
#[test]
fn all_who_watch_see_the_same_reason() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = spawn_options()
            .link()
            .monitor()
            .spawn(obedient)
            .unwrap()
            .process;
        let pid = pid_of(&child);
        monitor(pid);
        let joined = [child.join(), join(pid)];
        child.cast(ExitReason::custom("why"));
        let why = || (pid, ExitReason::custom("why"));
        assert_eq!(next_exit(&mut ctx).await, why());
        assert_eq!(next_down(&mut ctx).await, why());
        assert_eq!(next_down(&mut ctx).await, why());
        for joined in joined {
            assert_eq!(joined.await, why().1);
        }
        link(pid);
        assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::NoProcess));
        monitor(pid);
        assert_eq!(next_down(&mut ctx).await, (pid, ExitReason::NoProcess));
        assert_eq!(join(pid).await, ExitReason::NoProcess);
        // A reference still knows.
        assert_eq!(child.join().await, why().1);
    });
}

/// EXIT-21, TRAP-05, TRAP-06: graceful is a word for behaviours; only a normal
/// end leaves the links alone.
#[test]
fn graceful_ends_but_normal_ones_end_the_links() {
    run_on_threads(|_: Context<()>| async {
        for (reason, graceful) in [
            (ExitReason::Normal, true),
            (ExitReason::Shutdown, true),
            (ExitReason::shutdown_with("done"), true),
            (ExitReason::Kill, false),
            (ExitReason::Killed, false),
            (ExitReason::NoProcess, false),
            (ExitReason::custom("normal"), false),
        ] {
            assert_eq!(reason.is_graceful(), graceful, "{reason}");
            let child = spawn(obedient).unwrap();
            let (partner, partner_pid) = linked_to(pid_of(&child)).await;
            let joined = child.join();
            child.cast(reason.clone());
            joined.await;
            assert_eq!(
                is_alive(partner_pid).await,
                Ok(reason.is_normal()),
                "{reason}"
            );
            if !reason.is_normal() {
                assert_eq!(partner.join().await, reason);
            }
        }
    });
}

/// EXIT-12: destructors run once, whichever way a process ends (ractor 226:
/// some did not on a kill).
#[test]
fn destructors_run_once_however_a_process_ends() {
    run(|_: Context<()>| async {
        let drops = Drops::default();
        let ends: [fn(&ProcessRef<bool>); 4] = [
            |process| kill(pid_of(process)),
            |process| exit(pid_of(process), ExitReason::Shutdown),
            |process| process.cast(false),
            |process| process.cast(true),
        ];
        for started in [false, true] {
            for end in ends {
                let before = drops.count();
                let guard = drops.guard();
                let process = spawn(move |mut ctx: Context<bool>| async move {
                    let _guard = guard;
                    let panics = next_user(&mut ctx).await;
                    assert!(!panics, "expected");
                })
                .unwrap();
                if started {
                    assert_eq!(is_alive(pid_of(&process)).await, Ok(true));
                    assert_eq!(drops.count(), before);
                }
                end(&process);
                process.join().await;
                assert_eq!(drops.count(), before + 1);
            }
        }
    });
}

/// EXIT-01: an end that was not asked for is not held up by anything: not by a
/// mailbox that is full, and not by a link that takes no notice.
#[test]
fn normal_end_of_many_is_told_once_each() {
    const COUNT: usize = 2_000;
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let mut children: Vec<_> = (0..COUNT)
            .map(|_| pid_of(&spawn_link(|_: Context<()>| async {}).unwrap()))
            .collect();
        let mut ended = Vec::new();
        while ended.len() < COUNT {
            match ctx.receive().await {
                Message::Exit(exit) if exit.reason.is_normal() => ended.push(exit.from),
                other => panic!("{other:?}"),
            }
        }
        children.sort_unstable();
        ended.sort_unstable();
        assert_eq!(ended, children);
    });
}
