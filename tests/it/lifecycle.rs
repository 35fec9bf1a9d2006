//! The journal of lifecycle events: laws XLIFE.

use std::time::Duration;

use resurgam::{
    ChildSpec, Context, DynamicSupervisor, ExitKind, ExitReason, Lifecycle, Node, Pid, SpawnError,
    Strategy, Supervisor, join, kill, monitor, now, spawn, spawn_options,
};

use crate::signals::{next_down, obedient, pid_of};
use crate::support::{run, run_on_threads, run_with_clock};

/// What happened to these processes, by them, or with them, in its order.
fn of(node: &Node, processes: &[Pid]) -> Vec<Lifecycle> {
    let concerns = |what: &Lifecycle| match what {
        Lifecycle::Spawned { pid, .. } | Lifecycle::Exited { pid, .. } => processes.contains(pid),
        Lifecycle::Restarted { supervisor, .. }
        | Lifecycle::Delayed { supervisor, .. }
        | Lifecycle::Parked { supervisor, .. }
        | Lifecycle::GaveUp { supervisor, .. } => processes.contains(supervisor),
        other => panic!("{other:?}"),
    };
    let all = node.lifecycle().into_iter().map(|event| event.what);
    all.filter(concerns).collect()
}

#[test]
fn spawns_and_ends_are_noted_with_parent_and_reason() {
    run(|mut ctx: Context<()>| async move {
        let myself = ctx.pid();
        let reasons = [
            (ExitReason::Normal, ExitKind::Normal),
            (ExitReason::Shutdown, ExitKind::Shutdown),
            (ExitReason::shutdown_with("enough"), ExitKind::ShutdownWith),
            (ExitReason::Kill, ExitKind::Kill),
            (ExitReason::NoProcess, ExitKind::NoProcess),
            (ExitReason::NoConnection, ExitKind::NoConnection),
            (ExitReason::custom("odd"), ExitKind::Custom),
            (ExitReason::from(std::fmt::Error), ExitKind::Failed),
        ];
        for (reason, kind) in reasons {
            let process = spawn(obedient).unwrap();
            let pid = pid_of(&process);
            monitor(pid);
            process.cast(reason);
            next_down(&mut ctx).await;
            let parent = Some(myself);
            let spawned = Lifecycle::Spawned { pid, parent };
            let exited = Lifecycle::Exited { pid, reason: kind };
            assert_eq!(of(&ctx.node(), &[pid]), [spawned, exited]);
        }
    });
}

#[test]
fn a_kill_and_a_panic_are_told_apart() {
    run(|mut ctx: Context<()>| async move {
        let panicking = spawn(|_: Context<()>| async { panic!("on purpose") }).unwrap();
        let waiting = spawn(obedient).unwrap();
        let (panicking, waiting) = (pid_of(&panicking), pid_of(&waiting));
        for pid in [panicking, waiting] {
            monitor(pid);
        }
        kill(waiting);
        next_down(&mut ctx).await;
        next_down(&mut ctx).await;
        let ends = [(panicking, ExitKind::Panicked), (waiting, ExitKind::Killed)];
        for (pid, reason) in ends {
            let last = of(&ctx.node(), &[pid]).pop();
            assert_eq!(last, Some(Lifecycle::Exited { pid, reason }));
        }
    });
}

#[test]
fn what_fails_to_spawn_is_not_noted_or_ends_at_once() {
    run(|ctx: Context<()>| async move {
        let node = ctx.node();
        let before = node.lifecycle().len();
        let taken = spawn_options().name("taken").spawn(obedient).unwrap();
        let refused = spawn_options().name("taken").spawn(obedient);
        assert!(matches!(refused, Err(SpawnError::Name(_))));
        let events = node.lifecycle().split_off(before);
        let whats: Vec<_> = events.iter().map(|event| event.what).collect();
        let [first, second, third] = whats[..] else {
            panic!("{whats:?}")
        };
        let parent = Some(ctx.pid());
        let pid = pid_of(&taken.process);
        assert_eq!(first, Lifecycle::Spawned { pid, parent });
        let Lifecycle::Spawned { pid, .. } = second else {
            panic!("{second:?}")
        };
        let reason = ExitKind::Killed;
        assert_eq!(third, Lifecycle::Exited { pid, reason });
        kill(pid_of(&taken.process));
    });
}

#[test]
fn the_last_ones_are_kept_and_all_are_numbered() {
    run(|mut ctx: Context<()>| async move {
        let node = ctx.node();
        let before = node.lifecycle().last().unwrap().number;
        let rounds = Node::LIFECYCLE_EVENTS as u64;
        for _ in 0..rounds {
            monitor(pid_of(&spawn(|_: Context<()>| async {}).unwrap()));
            next_down(&mut ctx).await;
        }
        let events = node.lifecycle();
        assert_eq!(events.len(), Node::LIFECYCLE_EVENTS);
        let last = before + 2 * rounds;
        let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
        let expected: Vec<_> = (last - rounds + 1..=last).collect();
        assert_eq!(numbers, expected);
    });
}

#[test]
fn events_have_the_time_of_the_nodes_clock() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let at = |node: &Node| node.lifecycle().last().map(|event| event.at);
        let process = spawn(obedient).unwrap();
        assert_eq!(at(&ctx.node()), Some(now()));
        let spawned = now();
        clock.advance(Duration::from_secs(60));
        monitor(pid_of(&process));
        process.cast(ExitReason::Normal);
        next_down(&mut ctx).await;
        assert_eq!(at(&ctx.node()), Some(now()));
        assert_eq!(now() - spawned, Duration::from_secs(60));
    });
}

/// Kills a process and waits for its end.
async fn kill_for_good(pid: Pid) {
    let ended = join(pid);
    kill(pid);
    ended.await;
}

fn idle(id: &'static str) -> ChildSpec {
    ChildSpec::task(id, std::future::pending::<()>)
}

#[test]
fn a_supervisor_notes_whom_it_restarts_and_that_it_gives_up() {
    run_on_threads(|ctx: Context<()>| async move {
        let supervisor = Supervisor::builder(Strategy::OneForAll)
            .max_restarts(1)
            .children(["first", "second"].map(idle));
        let supervisor = supervisor.start().await.unwrap();
        let who = supervisor.pid().unwrap();
        let children = async || {
            let children = supervisor.which_children().await.unwrap();
            let pids = children.iter().map(|child| child.pid().expect("it runs"));
            <[Pid; 2]>::try_from(pids.collect::<Vec<_>>()).unwrap()
        };
        let old = children().await;
        kill_for_good(old[1]).await;
        let new = children().await;
        let ended = join(who);
        kill_for_good(new[0]).await;
        ended.await;
        let restarted = |n: usize| Lifecycle::Restarted {
            supervisor: who,
            old: old[n],
            new: new[n],
        };
        let reason = ExitKind::ShutdownWith;
        let expected = [
            // They are listed as they are stopped, the last one first.
            restarted(1),
            restarted(0),
            Lifecycle::GaveUp {
                supervisor: who,
                child: Some(new[0]),
                reason: ExitKind::Killed,
            },
            Lifecycle::Exited { pid: who, reason },
        ];
        assert_eq!(of(&ctx.node(), &[who])[1..], expected);
    });
}

#[test]
fn a_dynamic_supervisor_notes_whom_it_restarts_and_that_it_gives_up() {
    run_on_threads(|ctx: Context<()>| async move {
        let supervisor = DynamicSupervisor::builder().max_restarts(1).start().await;
        let supervisor = supervisor.unwrap();
        let who = supervisor.pid().unwrap();
        let started = supervisor.start_child(idle("job")).await.unwrap();
        let old = started.pid().unwrap();
        kill_for_good(old).await;
        let new = supervisor.which_children().await.unwrap()[0].pid().unwrap();
        let ended = join(who);
        kill_for_good(new).await;
        ended.await;
        let supervisor = who;
        let reason = ExitKind::ShutdownWith;
        let expected = [
            Lifecycle::Restarted {
                supervisor,
                old,
                new,
            },
            Lifecycle::GaveUp {
                supervisor,
                child: Some(new),
                reason: ExitKind::Killed,
            },
            Lifecycle::Exited { pid: who, reason },
        ];
        assert_eq!(of(&ctx.node(), &[who])[1..], expected);
    });
}
