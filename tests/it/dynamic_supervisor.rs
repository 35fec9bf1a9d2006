//! The dynamic supervisor, law by law. The workers are those of the static
//! supervisor's tests.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::join_all;
use futures::{FutureExt, StreamExt, join};
use resurgam::{
    CallError, ChildSpec, ChildStatus, ChildType, Context, DynamicSupervisor,
    DynamicSupervisorBuilder, DynamicSupervisorRef, ExitReason, Message, Node, Pid, Registry,
    Restart, Shutdown, SpecError, StartDynamicChildError, StartError, StartPanicked,
    StartSupervisorError, Started, Strategy, Supervisor, SupervisorRef, TerminateDynamicChildError,
    trap_exit,
};

use crate::supervisor::{
    Luck, Reports, World, assert_gave_up, crash, deaf, idle, inside, next_exit, obedient,
    on_every_runtime, unlucky,
};

const SECOND: Duration = Duration::from_secs(1);

async fn start(world: &World, builder: DynamicSupervisorBuilder) -> DynamicSupervisorRef {
    builder.start_on(&world.node).await.expect("it starts")
}

async fn start_child(sup: &DynamicSupervisorRef, spec: ChildSpec) -> Pid {
    sup.start_child(spec)
        .await
        .expect("it starts")
        .pid()
        .expect("it runs")
}

/// The pids of those that run.
async fn running(sup: &DynamicSupervisorRef) -> Vec<Pid> {
    let children = sup.which_children().await.expect("it lives");
    children.iter().filter_map(|child| child.pid()).collect()
}

/// Specs and active ones.
async fn count(sup: &DynamicSupervisorRef) -> (usize, usize) {
    let count = sup.count_children().await.expect("it lives");
    (count.specs, count.active)
}

/// DYN-01, DYN-02, DYN-16
#[test]
fn it_starts_empty_and_ids_may_repeat() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        assert_eq!(count(&sup).await, (0, 0));
        let one = start_child(&sup, world.family.worker("a").transient()).await;
        let two = start_child(&sup, world.family.worker("a").temporary()).await;
        let mut children = sup.which_children().await.unwrap();
        children.sort_by_key(|child| child.pid());
        let mut expected = [one, two];
        expected.sort();
        assert_eq!(
            children
                .iter()
                .filter_map(|child| child.pid())
                .collect::<Vec<_>>(),
            expected
        );
        assert!(children.iter().all(|child| child.id.as_str() == "a"));
        assert_eq!(count(&sup).await, (2, 2));

        // One dies; the other does not notice.
        world.end(one, crash()).await;
        let left = running(&sup).await;
        assert!(left.len() == 2 && left.contains(&two) && !left.contains(&one));
    });
}

/// DYN-02: each child keeps to its own spec.
#[test]
fn children_of_any_kind_stand_side_by_side() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        start_child(&sup, idle("worker")).await;
        start_child(
            &sup,
            ChildSpec::dynamic_supervisor("sub", DynamicSupervisor::builder),
        )
        .await;
        let count = sup.count_children().await.unwrap();
        assert_eq!(
            (count.specs, count.active, count.workers, count.supervisors),
            (2, 2, 1, 1)
        );
        let children = sup.which_children().await.unwrap();
        let sub = children
            .iter()
            .find(|child| child.child_type == ChildType::Supervisor)
            .unwrap();
        let sub = DynamicSupervisorRef::from_pid(&world.node, sub.pid().unwrap()).unwrap();
        assert!(sub.which_children().await.unwrap().is_empty());
    });
}

/// SUP-150, SUP-151, SUP-155: a function that makes specs is the template, its
/// arguments are the extra ones; each child is restarted with its own.
#[test]
fn a_function_is_the_template_of_many_children() {
    on_every_runtime(async || {
        let world = World::new();
        let template = |number: u32| world.family.worker(&format!("w{number}"));
        let sup = start(&world, DynamicSupervisor::builder()).await;
        assert_eq!(world.family.heard(), "");
        start_child(&sup, template(1)).await;
        let two = start_child(&sup, template(2)).await;
        assert_eq!(world.family.heard(), "+w1 +w2");
        world.family.luck("w2", &[Luck::Fails]);
        world.end(two, crash()).await;
        while running(&sup).await.len() < 2 {}
        assert_eq!(world.family.heard(), "!w2 +w2");
    });
}

/// DYN-04: those that wait for their restart count, failed and ignored starts
/// do not.
#[test]
fn there_are_never_more_than_max_children() {
    on_every_runtime(async || {
        let world = World::new();
        let builder = DynamicSupervisor::builder()
            .max_children(2)
            .max_restarts(u32::MAX);
        let sup = start(&world, builder).await;
        for luck in [Luck::Fails, Luck::Ignores] {
            world.family.luck("a", &[luck]);
            let _ = sup.start_child(world.family.worker("a")).await;
        }
        let a = start_child(&sup, world.family.worker("a")).await;
        let b = start_child(&sup, world.family.worker("b")).await;
        let full = async || {
            let refused = sup.start_child(idle("c")).await;
            matches!(refused, Err(StartDynamicChildError::MaxChildren(2)))
        };
        assert!(full().await);
        world.family.luck("a", &[Luck::Fails; 100_000]);
        world.end(a, crash()).await;
        assert_eq!(running(&sup).await, [b]);
        assert!(full().await);
        sup.terminate_child(a).await.unwrap();
        start_child(&sup, idle("c")).await;
        assert!(full().await);
        sup.terminate_child(b).await.unwrap();
        assert!(!full().await);
    });
}

/// DYN-05
#[test]
fn ignored_child_leaves_nothing() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        world.family.luck("a", &[Luck::Ignores]);
        assert_eq!(
            sup.start_child(world.family.worker("a"))
                .await
                .unwrap()
                .pid(),
            None
        );
        assert_eq!(count(&sup).await, (0, 0));
    });
}

/// DYN-06
#[test]
fn start_errors_come_back_and_leave_nothing() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        world.family.luck("a", &[Luck::Fails]);
        let failed = sup.start_child(world.family.worker("a")).await.unwrap_err();
        assert!(matches!(
            failed,
            StartDynamicChildError::Failed(StartError::Failed(reason)) if reason == unlucky()
        ));
        let panics = ChildSpec::new("b", || async { panic!("no") });
        let failed = sup.start_child(panics).await.unwrap_err();
        let StartDynamicChildError::Failed(StartError::Failed(ExitReason::Custom(term))) = failed
        else {
            panic!("{failed}");
        };
        assert_eq!(
            term.downcast_ref::<StartPanicked>().unwrap().message(),
            "no"
        );
        assert_eq!(count(&sup).await, (0, 0));
    });
}

/// DYN-07: also in the caller, so a supervisor that is gone is not missed.
#[test]
fn specs_are_checked_in_the_caller() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        sup.stop().await.unwrap();
        assert!(matches!(
            sup.start_child(idle("")).await,
            Err(StartDynamicChildError::Spec(SpecError::EmptyId))
        ));
        assert!(matches!(
            sup.start_child(idle("a")).await,
            Err(StartDynamicChildError::NoAnswer(CallError::Down(_)))
        ));
        let zero = DynamicSupervisor::builder().intensity(1, Duration::ZERO);
        assert!(matches!(
            zero.start_on(&world.node).await,
            Err(StartSupervisorError::ZeroPeriod)
        ));
    });
}

/// The end of a child, and whether it is restarted or vanishes.
async fn check_end(restart: Restart, reason: ExitReason, restarted: bool) {
    let world = World::new();
    let sup = start(&world, DynamicSupervisor::builder()).await;
    let old = start_child(&sup, world.family.worker("a").restart(restart)).await;
    world.end(old, reason.clone()).await;
    let expected = if restarted { (1, 1) } else { (0, 0) };
    assert_eq!(count(&sup).await, expected, "{restart} {reason}");
    assert!(!running(&sup).await.contains(&old));
}

/// DYN-08; a transient child that ends gracefully vanishes.
#[test]
fn child_that_is_not_restarted_vanishes() {
    on_every_runtime(async || {
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with(1),
        ] {
            check_end(Restart::Permanent, reason.clone(), true).await;
            check_end(Restart::Transient, reason.clone(), false).await;
            check_end(Restart::Temporary, reason, false).await;
        }
        for reason in [crash(), ExitReason::Killed] {
            check_end(Restart::Permanent, reason.clone(), true).await;
            check_end(Restart::Transient, reason.clone(), true).await;
            check_end(Restart::Temporary, reason, false).await;
        }
    });
}

/// DYN-09
#[test]
fn restart_at_the_edge_of_the_window_still_counts() {
    on_every_runtime(async || {
        for (gap, survives) in [
            (5 * SECOND, false),
            (5 * SECOND + Duration::from_nanos(1), true),
        ] {
            let world = World::new();
            let builder = DynamicSupervisor::builder().intensity(1, 5 * SECOND);
            let sup = start(&world, builder).await;
            let first = start_child(&sup, world.family.worker("a")).await;
            world.end(first, crash()).await;
            let second = running(&sup).await[0];
            world.clock.advance(gap);
            world.end(second, crash()).await;
            assert_eq!(sup.count_children().await.is_ok(), survives, "{gap:?}");
        }
    });
}

/// DYN-10, DYN-19
#[test]
fn it_gives_up_after_three_restarts_in_five_seconds() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        start_child(&sup, world.family.worker("other")).await;
        let mut child = start_child(&sup, world.family.worker("a")).await;
        let fate = world.node.join(sup.pid().unwrap());
        let other = running(&sup)
            .await
            .into_iter()
            .find(|pid| *pid != child)
            .unwrap();
        for _ in 0..3 {
            world.end(child, crash()).await;
            child = running(&sup)
                .await
                .into_iter()
                .find(|pid| *pid != other)
                .unwrap();
        }
        world.family.heard();
        world.end(child, crash()).await;
        assert_gave_up(&fate.await, "a");
        assert_eq!(world.family.heard(), "-other");
        assert_eq!(world.node.process_count(), 0);
    });
}

/// DYN-11: each try counts, and goes through the mailbox.
#[test]
fn failing_restart_counts_for_every_try() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let child = start_child(&sup, world.family.worker("a")).await;
        let fate = world.node.join(sup.pid().unwrap());
        world.family.heard();
        world.family.luck("a", &[Luck::Fails; 9]);
        world.end(child, crash()).await;
        assert_gave_up(&fate.await, "a");
        assert_eq!(world.family.heard(), "!a !a !a");
    });
}

/// DYN-11
#[test]
fn restart_that_is_ignored_drops_the_child() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let child = start_child(&sup, world.family.worker("a")).await;
        world.family.luck("a", &[Luck::Ignores]);
        world.end(child, crash()).await;
        assert_eq!(count(&sup).await, (0, 0));
    });
}

/// DYN-11, DYN-12, DYN-16
#[test]
fn child_that_waits_for_its_restart_goes_by_its_old_pid() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder().max_restarts(u32::MAX)).await;
        let child = start_child(&sup, world.family.worker("a")).await;
        world.family.luck("a", &[Luck::Fails; 100_000]);
        world.end(child, crash()).await;
        assert_eq!(
            sup.which_children().await.unwrap()[0].status,
            ChildStatus::Restarting
        );
        assert_eq!(count(&sup).await, (1, 0));
        sup.terminate_child(child).await.unwrap();
        assert_eq!(count(&sup).await, (0, 0));
        world.family.heard();
        // The order to try again is still to come; nobody heeds it.
        assert_eq!(count(&sup).await, (0, 0));
        assert_eq!(world.family.heard(), "");
    });
}

/// DYN-12
#[test]
fn terminate_child_wants_a_pid_of_its_own() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let child = start_child(&sup, world.family.worker("a")).await;
        let stranger = world
            .node
            .spawn(|_: Context<()>| std::future::pending::<()>())
            .unwrap();
        let stranger = stranger.pid().unwrap();
        for (pid, found) in [(stranger, false), (child, true), (child, false)] {
            match sup.terminate_child(pid).await {
                Ok(()) => assert!(found),
                Err(TerminateDynamicChildError::NotFound(missing)) => {
                    assert_eq!((missing, found), (pid, false));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(world.node.is_alive(stranger).await, Ok(true));
        assert_eq!(world.family.heard(), "+a -a");
    });
}

/// DYN-13, DYN-17: side by side, with one timer for each distinct timeout.
#[test]
fn stop_takes_the_longest_of_the_timeouts() {
    on_every_runtime(async || {
        let world = World::new();
        let (tell, mut heard) = mpsc::unbounded();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        for (number, limit) in [3, 1, 2, 1, 3].into_iter().enumerate() {
            start_child(
                &sup,
                deaf(&number.to_string(), &tell).shutdown(limit * SECOND),
            )
            .await;
        }
        start_child(&sup, deaf("killed", &tell).brutal_kill()).await;
        start_child(&sup, idle("idle")).await;
        let begun = world.clock.now();
        let (stopped, ends) = join!(sup.stop(), async {
            for _ in 0..5 {
                assert!(matches!(heard.next().await, Some(Message::Exit(_))));
            }
            let mut ends = Vec::new();
            for _ in 0..3 {
                ends.push(world.clock.advance_to_next().await - begun);
            }
            ends
        });
        stopped.unwrap();
        assert_eq!(ends, [SECOND, 2 * SECOND, 3 * SECOND]);
        assert_eq!(world.node.process_count(), 0);
    });
}

/// DYN-13
#[test]
fn infinity_is_waited_for() {
    on_every_runtime(async || {
        let world = World::new();
        let (tell, mut heard) = mpsc::unbounded();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let child = start_child(&sup, deaf("a", &tell).shutdown(Shutdown::Infinity)).await;
        start_child(&sup, deaf("b", &tell).shutdown(SECOND)).await;
        let fate = world.node.join(sup.pid().unwrap());
        let (stopped, ()) = join!(sup.stop(), async {
            heard.next().await;
            heard.next().await;
            world.clock.advance_to_next().await;
            world.clock.advance(Duration::from_secs(1 << 30));
            assert_eq!(world.node.is_alive(child).await, Ok(true));
            heard.close();
            world.node.send(child, ()).unwrap();
        });
        stopped.unwrap();
        assert_eq!(fate.await, ExitReason::Normal);
    });
}

/// DYN-14, in the better way of SUP-86: killed while it stops a child, it
/// leaves no orphan.
#[test]
fn link_is_kept_until_the_child_is_dead() {
    on_every_runtime(async || {
        let world = World::new();
        let (tell, mut heard) = mpsc::unbounded();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let child = start_child(&sup, deaf("a", &tell).shutdown(Shutdown::Infinity)).await;
        let (stopped, ()) = join!(sup.terminate_child(child), async {
            heard.next().await;
            world.node.kill(sup.pid().unwrap());
        });
        assert!(stopped.is_err());
        match heard.next().await {
            Some(Message::Exit(exit)) => assert_eq!(exit.reason, ExitReason::Killed),
            other => panic!("{other:?}"),
        }
    });
}

/// DYN-15, LOG-02
#[tokio::test]
async fn only_improper_ends_are_reported() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let (tell, heard) = mpsc::unbounded();
    let sup = start(&world, DynamicSupervisor::builder()).await;
    start_child(&sup, idle("asked")).await;
    start_child(&sup, idle("killed").brutal_kill()).await;
    start_child(&sup, deaf("overdue", &tell).shutdown(Duration::ZERO)).await;
    sup.stop().await.unwrap();
    assert_eq!(reports.trouble(), ["shutdown_error overdue: killed"]);
    drop(heard);
}

/// DYN-18; and its parent takes it along, for any reason (SUP-15).
#[test]
fn exit_of_a_stranger_is_ignored_and_that_of_the_parent_heeded() {
    on_every_runtime(async || {
        let world = World::new();
        let family = world.family.clone();
        inside(&world.node, |mut ctx| async move {
            trap_exit(true);
            let builder = DynamicSupervisor::builder().max_restarts(0);
            let sup = builder.start_link().await.unwrap();
            start_child(&sup, family.worker("a")).await;
            let top = sup.pid().unwrap();
            let stranger = resurgam::spawn(move |_: Context<()>| async move {
                resurgam::exit(top, crash());
            });
            stranger.unwrap().join().await;
            assert_eq!(count(&sup).await, (1, 1));
            resurgam::exit(top, ExitReason::Normal);
            let exit = next_exit(&mut ctx).await;
            assert_eq!((exit.from, exit.reason), (top, ExitReason::Normal));
        })
        .await;
        assert_eq!(world.family.heard(), "+a -a");
    });
}

/// LOG-02, LOG-04, LOG-06, DYN-19
#[tokio::test]
async fn giving_up_is_reported_with_its_cause() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = start(&world, DynamicSupervisor::builder().max_restarts(0)).await;
    let silent = start_child(&sup, world.family.worker("silent").temporary()).await;
    world.end(silent, ExitReason::Normal).await;
    let child = start_child(&sup, world.family.worker("a")).await;
    let fate = world.node.join(sup.pid().unwrap());
    world.end(child, crash()).await;
    fate.await;
    assert_eq!(
        reports.trouble(),
        [
            "child_terminated a: \"crash\"",
            "shutdown a: reached_max_restart_intensity"
        ]
    );
}

/// LOG-05
#[tokio::test]
async fn starts_are_reported_louder_when_the_supervisor_makes_them() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = start(&world, DynamicSupervisor::builder()).await;
    let child = start_child(&sup, world.family.worker("a")).await;
    world.end(child, crash()).await;
    assert_eq!(count(&sup).await, (1, 1));
    let levels: Vec<_> = reports
        .of_target("resurgam::progress")
        .iter()
        .map(|r| r["level"].clone())
        .collect();
    assert_eq!(levels, ["DEBUG", "INFO"]);
}

/// SUP-86, SUP-95, DYN-14, under fire.
#[test]
fn killed_supervisor_never_leaves_an_orphan() {
    on_every_runtime(async || {
        let node = Node::new().unwrap();
        for round in 0..200_usize {
            let sup = DynamicSupervisor::builder().start_on(&node).await.unwrap();
            let top = sup.pid().unwrap();
            let starts = (0..10).map(|_| sup.start_child(idle("a")));
            let kill = async {
                for _ in 0..round % 40 {
                    tokio::task::yield_now().await;
                }
                node.kill(top);
            };
            join!(join_all(starts), kill);
            node.join(top).await;
            while let Some(&left) = node.processes().first() {
                // It ends, or the test never does.
                node.join(left).await;
            }
        }
    });
}

/// SUP-38, SUP-163
#[test]
fn temporary_child_does_not_keep_its_start_function() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let token = Arc::new(());
        let holding = || {
            let held = Arc::clone(&token);
            ChildSpec::task("a", move || {
                let _ = &held;
                std::future::pending::<()>()
            })
        };
        start_child(&sup, holding().temporary()).await;
        assert_eq!(Arc::strong_count(&token), 1);
        let kept = start_child(&sup, holding()).await;
        assert_eq!(Arc::strong_count(&token), 2);
        sup.terminate_child(kept).await.unwrap();
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

/// Temporary children, one after the other, leave nothing behind.
async fn churn(rounds: usize) {
    let world = World::new();
    let sup = start(&world, DynamicSupervisor::builder()).await;
    for _ in 0..rounds {
        let job = start_child(&sup, obedient("job").temporary()).await;
        world.end(job, ExitReason::Normal).await;
    }
    assert_eq!(count(&sup).await, (0, 0));
    let top = world.node.process_info(sup.pid().unwrap()).await;
    let top = top.unwrap().unwrap();
    assert_eq!(
        (top.links.len(), top.monitors.len(), top.message_queue_len),
        (0, 0, 0)
    );
    assert_eq!(world.node.process_count(), 1);
}

#[tokio::test]
async fn a_hundred_thousand_children_leave_nothing_behind() {
    churn(100_000).await;
}

#[test]
fn churn_leaves_nothing_behind() {
    on_every_runtime(async || churn(3_000).await);
}

/// DYN-13, DYN-17: a hundred thousand at once, idle, then stopped side by side.
#[test]
fn a_hundred_thousand_children_start_idle_and_stop() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        for _ in 0..100_000 {
            start_child(&sup, idle("a")).await;
        }
        assert_eq!(count(&sup).await, (100_000, 100_000));
        assert_eq!(world.node.process_count(), 1 + 100_000);
        sup.stop().await.unwrap();
        assert_eq!(world.node.process_count(), 0);
    });
}

/// A start that is refused because the supervisor is full costs nothing: its
/// start function is not run.
#[test]
fn refused_child_is_not_started() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder().max_children(0)).await;
        assert!(matches!(
            sup.start_child(world.family.worker("a")).await,
            Err(StartDynamicChildError::MaxChildren(0))
        ));
        assert_eq!(count(&sup).await, (0, 0));
        assert_eq!(world.family.heard(), "");
    });
}

/// Fault 15: what it does to its children one after the other, it does in the
/// same order in each run, or a simulation could not be repeated.
#[test]
fn children_are_taken_in_the_order_of_their_pids() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let mut expected = Vec::new();
        for _ in 0..20 {
            expected.push(start_child(&sup, world.family.worker("a")).await);
        }
        expected.sort();
        assert_eq!(running(&sup).await, expected);
    });
}

/// XSUP-31
#[test]
fn a_child_that_starts_once_holds_what_there_is_one_of() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let (tell, told) = futures::channel::oneshot::channel();
        let spec = ChildSpec::process_once("once", move |_: Context<()>| async move {
            tell.send("I run").unwrap();
        });
        assert_eq!(spec.get_restart(), Restart::Temporary);
        let again = spec.clone();
        let child = start_child(&sup, spec.clone()).await;
        assert_eq!(told.await, Ok("I run"));
        world.node.join(child).await;
        assert_eq!(count(&sup).await, (0, 0));

        let Err(StartDynamicChildError::Failed(error)) = sup.start_child(again).await else {
            panic!("it started twice")
        };
        assert!(error.to_string().contains("only once"), "{error}");
        let refused = sup.start_child(spec.transient()).await;
        let Err(StartDynamicChildError::Spec(error)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            error,
            SpecError::StartsOnce("once".into(), Restart::Transient)
        );
        assert_eq!(count(&sup).await, (0, 0));
    });
}

/// XSUP-32
#[test]
fn supervisors_can_be_called_by_a_key_of_a_registry() {
    on_every_runtime(async || {
        let world = World::new();
        let keys = Registry::<(u8, char)>::unique();
        let registry = keys.clone();
        // A tree of them, so that they are started by a supervisor, and again.
        let tree = Supervisor::builder(Strategy::OneForAll)
            .child(ChildSpec::server_with("keys", move || registry.builder()))
            .child({
                let keys = keys.clone();
                ChildSpec::supervisor("static", move || {
                    Supervisor::builder(Strategy::OneForOne).via(&keys, (1, 's'), ())
                })
            })
            .child({
                let keys = keys.clone();
                ChildSpec::dynamic_supervisor("dynamic", move || {
                    DynamicSupervisor::builder().via(&keys, (1, 'd'), ())
                })
            });
        let tree = tree.start_on(&world.node).await.unwrap();
        let (fixed, dynamic) = (
            SupervisorRef::via(&keys, (1, 's')),
            DynamicSupervisorRef::via(&keys, (1, 'd')),
        );
        let spec = || ChildSpec::task("idle", std::future::pending::<()>);
        fixed.start_child(spec()).await.unwrap();
        dynamic.start_child(spec()).await.unwrap();
        assert_eq!(fixed.pid(), tree.which_child("static").await.unwrap().pid());

        let taken = DynamicSupervisor::builder().via(&keys, (1, 's'), ());
        let taken = taken.start_on(&world.node).await;
        let holder = fixed.pid().unwrap();
        assert!(
            matches!(taken, Err(StartSupervisorError::AlreadyStarted(pid)) if pid == holder),
            "{taken:?}"
        );

        let end = world.node.join(holder);
        world.node.kill(holder);
        end.await;
        // The whole tree is started anew, and answers behind the restart.
        let new = tree.which_child("static").await.unwrap().pid();
        assert_eq!(fixed.pid(), new);
        assert_ne!(new, Some(holder));
        assert_eq!(fixed.count_children().await.unwrap().specs, 0);
        assert_eq!(dynamic.count_children().await.unwrap().specs, 0);
    });
}

/// Its destructor panics, where there is no panic yet.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose, in a destructor");
    }
}

/// Fault 5
#[test]
fn what_a_start_function_holds_may_panic_when_it_is_let_go() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder().max_children(2)).await;
        let other = start_child(&sup, idle("other")).await;
        let fragile = |id: &str| {
            let held = Fragile;
            ChildSpec::task(id, move || {
                let _ = &held;
                std::future::pending::<()>()
            })
        };
        // It is let go as soon as the child has started.
        let temporary = start_child(&sup, fragile("temporary").temporary()).await;
        let refused = sup.start_child(fragile("refused")).await;
        assert!(matches!(
            refused,
            Err(StartDynamicChildError::MaxChildren(2))
        ));
        sup.terminate_child(temporary).await.unwrap();
        let permanent = start_child(&sup, fragile("permanent")).await;
        sup.terminate_child(permanent).await.unwrap();
        assert_eq!(running(&sup).await, [other]);
    });
}

/// Fault 5
#[test]
fn what_a_child_brings_to_nobody_may_panic_when_it_is_let_go() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = start(&world, DynamicSupervisor::builder()).await;
        let (mut open, gate) = mpsc::channel::<()>(0);
        let gate = Arc::new(futures::lock::Mutex::new(gate));
        let spec = ChildSpec::new("brings", move || {
            let gate = Arc::clone(&gate);
            async move {
                gate.lock().await.next().await;
                let child = resurgam::spawn_link(crate::support::idle)?;
                Ok(Started::process(&child)?.with_info(Fragile))
            }
        });
        let starting = sup.start_child(spec);
        assert!(starting.now_or_never().is_none());
        open.close_channel();
        assert_eq!(running(&sup).await.len(), 1);
    });
}
