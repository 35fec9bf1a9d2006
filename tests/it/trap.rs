//! Trapping exits: the laws TRAP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use resurgam::{
    Context, ExitReason, GenServer, InitError, Message, Reply, ServerContext, Strategy, Supervisor,
    exit, flush_exit, is_alive, kill, link, process_info, spawn, spawn_link, spawn_options,
    trap_exit, yield_now,
};

use crate::signals::{Dice, Flag, next_exit, next_user, obedient, pid_of, yield_times};
use crate::support::{idle, run, run_on_threads};

/// TRAP-01.
#[test]
fn trap_exit_returns_what_was_before() {
    run(|ctx: Context<()>| async move {
        for (now, before) in [(true, false), (true, true), (false, true), (false, false)] {
            assert_eq!(trap_exit(now), before);
            assert_eq!(
                process_info(ctx.pid()).await.unwrap().unwrap().trap_exit,
                now
            );
        }
        let trapping = spawn_options().trap_exit().spawn(|_: Context<()>| async {
            assert!(trap_exit(false));
        });
        assert_eq!(trapping.unwrap().process.join().await, ExitReason::Normal);
    });
}

/// TRAP-02, TRAP-07: those of links and those that were asked for are the same
/// message.
#[test]
fn trapped_exits_are_messages() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::Kill,
            ExitReason::Killed,
            ExitReason::custom(7),
        ] {
            let linked = spawn_link(obedient).unwrap();
            linked.cast(reason.clone());
            assert_eq!(next_exit(&mut ctx).await, (pid_of(&linked), reason.clone()));
            if reason == ExitReason::Kill {
                continue;
            }
            let asked = reason.clone();
            let asks = spawn(move |_: Context<()>| async move { exit(me, asked) }).unwrap();
            assert_eq!(next_exit(&mut ctx).await, (pid_of(&asks), reason));
        }
    });
}

/// TRAP-07: one process can do both; each is a message.
#[test]
fn exit_asked_for_by_a_link_is_no_end_of_it() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        let linked = spawn_link(move |mut ctx: Context<()>| async move {
            exit(me, ExitReason::Shutdown);
            next_user(&mut ctx).await;
            ExitReason::Shutdown
        })
        .unwrap();
        let expected = (pid_of(&linked), ExitReason::Shutdown);
        assert_eq!(next_exit(&mut ctx).await, expected);
        assert_eq!(is_alive(expected.0).await, Ok(true));
        linked.cast(());
        assert_eq!(next_exit(&mut ctx).await, expected);
    });
}

/// TRAP-03: not when the link was made.
#[test]
fn flag_counts_when_the_exit_is_received() {
    run(|mut ctx: Context<()>| async move {
        let child = spawn_link(obedient).unwrap();
        trap_exit(true);
        child.cast(ExitReason::custom(1));
        assert_eq!(
            next_exit(&mut ctx).await,
            (pid_of(&child), ExitReason::custom(1))
        );

        let other = spawn(obedient).unwrap();
        let pid = pid_of(&other);
        let trapped_once = spawn_options()
            .trap_exit()
            .spawn(move |ctx: Context<()>| async move {
                link(pid);
                assert_eq!(is_alive(pid).await, Ok(true));
                assert!(trap_exit(false));
                other.cast(ExitReason::custom(2));
                idle(ctx).await;
            });
        assert_eq!(
            trapped_once.unwrap().process.join().await,
            ExitReason::custom(2)
        );
    });
}

/// TRAP-03: an exit that races with the flag ends the process or is a message;
/// never both, never neither.
#[test]
fn exit_that_races_with_the_flag_counts_once() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..1_000 {
            let trapped = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&trapped);
            let flips = spawn(move |mut ctx: Context<Reply<()>>| async move {
                let mut flag = false;
                loop {
                    flag = !flag;
                    trap_exit(flag);
                    match ctx.try_receive() {
                        Some(Message::Exit(_)) => drop(count.fetch_add(1, Ordering::SeqCst)),
                        Some(Message::User(reply)) => reply.send(()),
                        Some(Message::Down(_)) | None => yield_now().await,
                    }
                }
            })
            .unwrap();
            yield_times(Dice::new(round).roll(4)).await;
            exit(pid_of(&flips), ExitReason::custom(round));
            let survived = flips.call(|reply| reply).await.is_ok();
            assert_eq!(
                trapped.load(Ordering::SeqCst),
                usize::from(survived),
                "round {round}"
            );
            if survived {
                kill(pid_of(&flips));
            } else {
                assert_eq!(flips.join().await, ExitReason::custom(round));
            }
        }
    });
}

/// TRAP-04.
#[test]
fn exits_in_the_mailbox_stay_messages() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = spawn_link(obedient).unwrap();
        let pid = pid_of(&child);
        let joined = child.join();
        child.cast(ExitReason::custom(1));
        joined.await;
        assert!(trap_exit(false));
        yield_now().await;
        assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::custom(1)));
        assert_eq!(flush_exit(pid), None);
    });
}

/// TRAP-05: and the link is gone.
#[test]
fn normal_exit_of_a_link_is_ignored() {
    run(|mut ctx: Context<()>| async move {
        let child = spawn_link(|_: Context<()>| async {}).unwrap();
        child.join().await;
        assert!(ctx.try_receive().is_none());
        assert!(
            process_info(ctx.pid())
                .await
                .unwrap()
                .unwrap()
                .links
                .is_empty()
        );
    });
}

/// TRAP-06, EXIT-06: to its own links, who go the same way.
#[test]
fn abnormal_exit_of_a_link_is_passed_on() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let went_on = Flag::default();
        let flag = went_on.clone();
        let middle = spawn_link(move |mut ctx: Context<ExitReason>| async move {
            let child = spawn_link(obedient).unwrap();
            child.cast(next_user(&mut ctx).await);
            std::future::pending::<()>().await;
            flag.raise();
        })
        .unwrap();
        middle.cast(ExitReason::custom("why"));
        assert_eq!(
            next_exit(&mut ctx).await,
            (pid_of(&middle), ExitReason::custom("why"))
        );
        assert!(!went_on.is_up());
    });
}

struct Plain;

impl GenServer for Plain {
    type Args = ();
    type Message = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        Ok(())
    }
}

/// TRAP-08.
#[test]
fn of_the_behaviours_only_supervisors_trap_exits() {
    run(|_: Context<()>| async {
        let server = Plain::start(()).await.unwrap();
        let pid = pid_of(&server);
        assert!(!process_info(pid).await.unwrap().unwrap().trap_exit);
        exit(pid, ExitReason::Shutdown);
        assert_eq!(server.join().await, ExitReason::Shutdown);
        let supervisor = Supervisor::builder(Strategy::OneForOne)
            .start()
            .await
            .unwrap();
        let pid = supervisor.pid().unwrap();
        assert!(process_info(pid).await.unwrap().unwrap().trap_exit);
        supervisor.stop().await.unwrap();
    });
}
