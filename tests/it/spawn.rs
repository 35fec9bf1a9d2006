//! Spawning and identity: the laws SPAWN.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use resurgam::{
    Context, ExitReason, Message, Node, Pid, ProcessRef, RegisterError, SpawnError, ThreadContext,
    exit, group_leader, is_alive, kill, link, process_info, self_pid, send, set_group_leader,
    spawn, spawn_link, spawn_monitor, spawn_options, trap_exit, try_self_pid, yield_now,
};

use crate::signals::{
    Dice, Drops, Flag, next_down, next_exit, next_user, obedient, pid_of, yield_times,
};
use crate::support::{idle, run, run_on_threads};

/// SPAWN-01: whether it fails in the call of the body or in its future.
#[test]
fn spawn_succeeds_whatever_the_body_does() {
    run(|_: Context<()>| async {
        let in_call = |_: Context<()>| -> std::future::Ready<()> { panic!("expected") };
        let ends = [
            spawn(in_call).unwrap().join().await,
            spawn(|_: Context<()>| async { panic!("expected") })
                .unwrap()
                .join()
                .await,
        ];
        for reason in ends {
            let ExitReason::Panicked(panic) = reason else {
                panic!("{reason}")
            };
            assert_eq!(panic.message(), "expected");
        }
    });
}

/// SPAWN-02, SPAWN-03: in one step, so that the shortest life is told by its
/// own reason.
#[test]
fn reason_of_an_instant_death_is_told() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for round in 0..2_000 {
            let linked = spawn_link(move |_: Context<()>| async move { ExitReason::custom(round) });
            let expected = (pid_of(&linked.unwrap()), ExitReason::custom(round));
            assert_eq!(next_exit(&mut ctx).await, expected);
            let body = move |_: Context<()>| async move { ExitReason::custom(round) };
            let (monitored, reference) = spawn_monitor(body).unwrap();
            let Message::Down(down) = ctx.receive().await else {
                panic!("no down")
            };
            let seen = (down.pid, down.reference, down.reason);
            assert_eq!(
                seen,
                (pid_of(&monitored), reference, ExitReason::custom(round))
            );
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// SPAWN-02, SPAWN-03: and on a thread.
#[test]
fn reason_of_an_instant_death_on_a_thread_is_told() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for round in 0..50 {
            let both = spawn_options().link().monitor();
            let body = move |_: ThreadContext<()>| ExitReason::custom(round);
            let expected = (
                pid_of(&both.spawn_thread(body).unwrap().process),
                ExitReason::custom(round),
            );
            assert_eq!(next_exit(&mut ctx).await, expected);
            assert_eq!(next_down(&mut ctx).await, expected);
        }
    });
}

/// SPAWN-02: an instant crash ends a parent that does not trap.
#[test]
fn instant_crash_reaches_the_parent() {
    run(|_: Context<()>| async {
        for round in 0..500 {
            let parent = spawn(move |ctx: Context<()>| async move {
                spawn_link(move |_: Context<()>| async move { ExitReason::custom(round) }).unwrap();
                idle(ctx).await;
            });
            assert_eq!(parent.unwrap().join().await, ExitReason::custom(round));
        }
    });
}

/// SPAWN-04, SPAWN-05 (decided: the exit comes first).
#[test]
fn link_and_monitor_can_be_asked_for_at_once() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for reason in [ExitReason::Normal, ExitReason::custom(1)] {
            let spawned = spawn_options().link().monitor().spawn(obedient).unwrap();
            let pid = pid_of(&spawned.process);
            let info = process_info(ctx.pid()).await.unwrap().unwrap();
            assert_eq!((info.links, info.monitors), (vec![pid], vec![pid]));
            spawned.process.cast(reason.clone());
            assert_eq!(next_exit(&mut ctx).await, (pid, reason.clone()));
            let Message::Down(down) = ctx.receive().await else {
                panic!("no down")
            };
            assert_eq!(
                (Some(down.reference), down.reason),
                (spawned.monitor, reason)
            );
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// How many processes of this node are alive beside this one, each asked.
async fn others_alive() -> usize {
    let mut alive = 0;
    for pid in Node::current().processes() {
        if pid != self_pid() && is_alive(pid).await == Ok(true) {
            alive += 1;
        }
    }
    alive
}

/// SPAWN-06: wherever the end of the parent hits it.
#[test]
fn no_linked_child_survives_a_parent_that_dies_while_spawning() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..1_000 {
            let mut dice = Dice::new(round);
            let burst = dice.roll(4);
            let parent = spawn(move |_: Context<()>| async move {
                loop {
                    for _ in 0..burst {
                        spawn_link(idle).unwrap();
                    }
                    yield_now().await;
                }
            })
            .unwrap();
            yield_times(dice.roll(4)).await;
            let joined = parent.join();
            let reason = [ExitReason::Kill, ExitReason::Shutdown][dice.roll(2) as usize].clone();
            exit(pid_of(&parent), reason);
            joined.await;
            assert_eq!(others_alive().await, 0, "round {round}");
        }
    });
}

/// SPAWN-06: whichever way the parent ends in the turn it spawned in, the
/// child ends for the same reason.
#[test]
fn linked_child_dies_of_what_the_parent_died_of() {
    #[track_caller]
    fn child(to: ProcessRef<ProcessRef<()>>) {
        to.cast(spawn_link(idle).unwrap());
    }
    run(|mut ctx: Context<ProcessRef<()>>| async move {
        for _ in 0..200 {
            let me = ctx.self_ref();
            let returns = spawn(move |_: Context<()>| async move {
                child(me);
                ExitReason::custom(1)
            });
            let joined = next_user(&mut ctx).await.join();
            assert_eq!(returns.unwrap().join().await, ExitReason::custom(1));
            assert_eq!(joined.await, ExitReason::custom(1));

            let me = ctx.self_ref();
            let kills_itself = spawn(move |_: Context<()>| async move {
                kill(self_pid());
                child(me);
                yield_now().await;
            });
            let joined = next_user(&mut ctx).await.join();
            assert_eq!(kills_itself.unwrap().join().await, ExitReason::Killed);
            assert_eq!(joined.await, ExitReason::Killed);
        }
        let me = ctx.self_ref();
        let panics = spawn(move |_: Context<()>| async move {
            child(me);
            panic!("expected");
        });
        let joined = next_user(&mut ctx).await.join();
        assert_eq!(joined.await, panics.unwrap().join().await);
    });
}

/// SPAWN-06: parents and children on threads.
#[test]
fn no_linked_child_survives_a_thread_that_dies_while_spawning() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..50 {
            let parent = |mut ctx: ThreadContext<()>| -> () {
                loop {
                    spawn_link(idle).unwrap();
                    ctx.try_receive();
                }
            };
            let parent = spawn_options().spawn_thread(parent).unwrap().process;
            for _ in 0..Dice::new(round).roll(100) {
                yield_now().await;
            }
            let joined = parent.join();
            kill(pid_of(&parent));
            joined.await;
            assert_eq!(others_alive().await, 0, "round {round}");
        }
        let on_thread = spawn(|ctx: Context<()>| async move {
            spawn_options()
                .link()
                .spawn_thread(|mut ctx: ThreadContext<()>| drop(ctx.receive()))
                .unwrap();
            idle(ctx).await;
        })
        .unwrap();
        while others_alive().await < 2 {
            yield_now().await;
        }
        let joined = on_thread.join();
        kill(pid_of(&on_thread));
        joined.await;
        assert_eq!(others_alive().await, 0);
    });
}

/// Spawns a linked child when it is dropped inside a process.
#[derive(Debug)]
struct SpawnsLate(Arc<AtomicBool>);

impl PartialEq for SpawnsLate {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Drop for SpawnsLate {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        if try_self_pid().is_some() {
            drop(spawn_link(idle));
        }
    }
}

/// SPAWN-06: what a destructor spawns is linked to a process that dies.
#[test]
fn no_linked_child_of_a_destructor_survives() {
    run_on_threads(|_: Context<()>| async {
        let dropped = Arc::<AtomicBool>::default();
        let late = SpawnsLate(Arc::clone(&dropped));
        let in_body = spawn(move |ctx: Context<()>| async move {
            let _late = late;
            idle(ctx).await;
        })
        .unwrap();
        assert_eq!(is_alive(pid_of(&in_body)).await, Ok(true));
        let joined = in_body.join();
        kill(pid_of(&in_body));
        joined.await;
        assert!(dropped.load(Ordering::SeqCst));
        assert_eq!(others_alive().await, 0);

        let unread = spawn(|_: Context<SpawnsLate>| std::future::pending::<()>()).unwrap();
        unread.cast(SpawnsLate(Arc::default()));
        assert_eq!(is_alive(pid_of(&unread)).await, Ok(true));
        let joined = unread.join();
        exit(pid_of(&unread), ExitReason::Shutdown);
        joined.await;
        assert_eq!(others_alive().await, 0);
    });
}

/// SPAWN-06: not even if the destructor is the very last: of a reason that
/// nobody has read.
#[test]
fn no_linked_child_of_the_last_destructor_survives() {
    run_on_threads(|_: Context<()>| async {
        let dropped = Arc::<AtomicBool>::default();
        let late = SpawnsLate(Arc::clone(&dropped));
        let dying = spawn(move |ctx: Context<()>| async move {
            trap_exit(true);
            exit(ctx.pid(), ExitReason::custom(late));
            // The exit is in the mailbox after this, and stays there.
            yield_now().await;
            ExitReason::Shutdown
        })
        .unwrap();
        assert_eq!(dying.join().await, ExitReason::Shutdown);
        while !dropped.load(Ordering::SeqCst) {
            yield_now().await;
        }
        assert_eq!(others_alive().await, 0);
    });
}

/// SPAWN-07: whoever's process called spawn; nobody, outside one.
#[test]
fn parent_of_a_process_stays_the_same() {
    run(|mut ctx: Context<Pid>| async move {
        let me = ctx.self_ref();
        let parent = spawn(move |mut ctx: Context<()>| async move {
            me.cast(pid_of(&spawn(idle).unwrap()));
            next_user(&mut ctx).await;
        })
        .unwrap();
        let child = next_user(&mut ctx).await;
        let parent_of = |pid| async move { process_info(pid).await.unwrap().unwrap().parent };
        assert_eq!(parent_of(child).await, Some(pid_of(&parent)));
        assert_eq!(parent_of(pid_of(&parent)).await, Some(ctx.pid()));
        assert_eq!(parent_of(ctx.pid()).await, None);
        parent.cast(());
        parent.join().await;
        assert_eq!(parent_of(child).await, Some(pid_of(&parent)));
    });
}

/// SPAWN-09: whatever its parent has.
#[test]
fn newborn_has_nothing_that_was_not_asked_for() {
    run(|ctx: Context<()>| async move {
        trap_exit(true);
        resurgam::register("parent", ctx.pid()).unwrap();
        resurgam::set_label("the parent");
        link(pid_of(&spawn(idle).unwrap()));
        let child = spawn(|ctx: Context<()>| async move {
            let info = process_info(ctx.pid()).await.unwrap().unwrap();
            assert!(!info.trap_exit);
            assert_eq!(
                (info.links, info.monitors, info.monitored_by),
                (vec![], vec![], vec![])
            );
            assert_eq!(
                (info.name, info.label, info.message_queue_len),
                (None, None, 0)
            );
        });
        assert_eq!(child.unwrap().join().await, ExitReason::Normal);
    });
}

/// SPAWN-10: a stale pid reaches nobody (kameo 392: or the wrong one).
#[test]
fn pids_are_not_used_again() {
    run_on_threads(|_: Context<()>| async {
        let mut seen = HashSet::new();
        let first = spawn(|_: Context<u32>| async {}).unwrap();
        first.join().await;
        for _ in 0..10_000 {
            let process = spawn(|_: Context<u32>| async {}).unwrap();
            assert!(seen.insert(pid_of(&process)));
            process.join().await;
        }
        let stale: Vec<_> = seen.into_iter().chain([pid_of(&first)]).collect();
        let deaf = |_: Context<u32>| std::future::pending::<()>();
        let living: Vec<_> = (0..8_000).map(|_| pid_of(&spawn(deaf).unwrap())).collect();
        for pid in &stale {
            send(*pid, 1_u32).unwrap();
            kill(*pid);
        }
        for pid in living {
            let info = process_info(pid).await.unwrap().expect("nobody killed it");
            assert_eq!(info.message_queue_len, 0);
            kill(pid);
        }
    });
}

/// SPAWN-04: a spawn that fails leaves nothing behind, and drops the body.
#[test]
fn failed_spawn_leaves_nothing_behind() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        resurgam::register("taken", ctx.pid()).unwrap();
        for _ in 0..100 {
            let (drops, ran) = (Drops::default(), Flag::default());
            let (guard, flag) = (drops.guard(), ran.clone());
            let failed = spawn_options().name("taken").link().monitor().spawn(
                move |_: Context<()>| async move {
                    let _guard = guard;
                    flag.raise();
                },
            );
            let error = failed.unwrap_err();
            assert!(
                matches!(error, SpawnError::Name(RegisterError::NameTaken { .. })),
                "{error}"
            );
            assert_eq!((drops.count(), ran.is_up()), (1, false));
        }
        yield_now().await;
        assert!(ctx.try_receive().is_none());
        let info = process_info(ctx.pid()).await.unwrap().unwrap();
        assert_eq!((info.links, info.monitors), (vec![], vec![]));
        assert_eq!(ctx.node().process_count(), 1);
    });
}

/// SPAWN-08: however it was spawned, and also when those before it are gone.
#[test]
fn a_process_inherits_its_group_leader() {
    run(|mut ctx: Context<Pid>| async move {
        let (test, node) = (ctx.self_ref(), ctx.node());
        assert_eq!(group_leader(), None);
        let leader = spawn(move |_: Context<()>| async move {
            let before = pid_of(&spawn(idle).unwrap());
            set_group_leader(self_pid());
            let between = spawn(move |_: Context<()>| async move {
                test.cast(pid_of(&spawn(idle).unwrap()));
                group_leader()
                    .ok_or(ExitReason::NoProcess)
                    .map(|leader| assert_ne!(leader, self_pid()))
            });
            assert!(between.unwrap().join().await.is_normal());
            assert_eq!(Node::current().group_leader(before), None);
            let known = process_info(self_pid()).await.unwrap().unwrap();
            assert_eq!(known.group_leader, Some(self_pid()));
        });
        let leader = leader.unwrap();
        let Message::User(last) = ctx.receive().await else {
            panic!("expected a pid")
        };
        assert!(leader.join().await.is_normal());
        let leader = pid_of(&leader);
        assert_eq!(node.group_leader(last), Some(leader));
        assert_eq!(node.group_members(leader), [last]);
        assert_eq!(node.group_leader(leader), None);
        set_group_leader(last);
        assert_eq!(group_leader(), Some(last));
        assert_eq!(node.group_members(leader), [last]);
    });
}

/// SPAWN-08: a process on a thread is no exception, and the outside leads
/// nobody.
#[test]
fn a_process_on_a_thread_inherits_its_group_leader() {
    run_on_threads(|ctx: Context<()>| async move {
        set_group_leader(ctx.pid());
        let leader = ctx.pid();
        let thread = spawn_options().spawn_thread(move |_: ThreadContext<()>| {
            assert_eq!(group_leader(), Some(leader));
        });
        assert!(thread.unwrap().process.join().await.is_normal());
        let node = ctx.node();
        let outside = std::thread::scope(|scope| {
            let spawned = scope.spawn(|| pid_of(&node.spawn(idle).unwrap()));
            spawned.join().unwrap()
        });
        assert_eq!(node.group_leader(outside), None);
    });
}
