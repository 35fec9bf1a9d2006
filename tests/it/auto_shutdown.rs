//! Supervisors that shut down by themselves, law by law: section 19g.

use resurgam::{
    AutoShutdown, ChildSpec, DynamicSupervisor, ExitReason, Restart, SpecError, StartChildError,
    StartDynamicChildError, StartSupervisorError, Strategy, Supervisor, SupervisorBuilder,
    SupervisorRef,
};

use crate::supervisor::{
    World, assert_gave_up, crash, idle, is_gone, on_every_runtime, pid_of, states,
};

use AutoShutdown::{AllSignificant, AnySignificant};
use Strategy::{OneForAll, OneForOne, RestForOne};

fn shutting_down(auto_shutdown: AutoShutdown) -> SupervisorBuilder {
    Supervisor::builder(OneForOne).auto_shutdown(auto_shutdown)
}

/// The spec error that kept a supervisor from being started.
fn wrong(start: Result<SupervisorRef, StartSupervisorError>) -> SpecError {
    match start {
        Err(StartSupervisorError::Spec(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// SUP-09
#[test]
fn significant_child_must_be_able_to_end_and_its_supervisor_to_shut_down() {
    let permanent = idle("a").significant();
    let refused = SpecError::SignificantPermanent("a".into());
    assert_eq!(permanent.check(), Err(refused.clone()));
    assert_eq!(
        refused.to_string(),
        "child \"a\" is significant and permanent; expected transient or temporary"
    );
    on_every_runtime(async || {
        let world = World::new();
        let start = async |builder: SupervisorBuilder| builder.start_on(&world.node).await;
        for strategy in [OneForOne, OneForAll, RestForOne] {
            let builder = Supervisor::builder(strategy).child(idle("a").transient().significant());
            let without = SpecError::SignificantWithoutAutoShutdown("a".into());
            assert_eq!(wrong(start(builder.clone()).await), without);
            let started = start(builder.auto_shutdown(AnySignificant)).await.unwrap();
            started.stop().await.unwrap();
            let builder = Supervisor::builder(strategy)
                .auto_shutdown(AllSignificant)
                .child(idle("a").significant());
            assert_eq!(wrong(start(builder).await), refused);
        }
        assert_eq!(world.node.process_count(), 0);
    });
}

/// SUP-09
#[test]
fn child_added_later_is_held_to_the_same() {
    on_every_runtime(async || {
        let world = World::new();
        let significant = || idle("a").temporary().significant();
        let plain = world.start(Supervisor::builder(OneForOne)).await;
        let error = plain.start_child(significant()).await.unwrap_err();
        assert!(matches!(
            error,
            StartChildError::Spec(SpecError::SignificantWithoutAutoShutdown(_))
        ));
        assert_eq!(states(&plain).await, "");
        let dynamic = DynamicSupervisor::builder().start_on(&world.node).await;
        let error = dynamic.unwrap().start_child(significant()).await;
        assert!(matches!(
            error,
            Err(StartDynamicChildError::Spec(
                SpecError::SignificantWithoutAutoShutdown(_)
            ))
        ));
        let sup = world.start(shutting_down(AnySignificant)).await;
        let started = sup.start_child(significant()).await.unwrap();
        let fate = world.node.join(sup.pid().unwrap());
        world.node.kill(started.pid().unwrap());
        assert_eq!(fate.await, ExitReason::Shutdown);
    });
}

/// SUP-130
#[test]
fn first_significant_end_stops_the_rest_in_reverse_order() {
    on_every_runtime(async || {
        for strategy in [OneForOne, OneForAll, RestForOne] {
            let world = World::new();
            let worker = |id| world.family.worker(id);
            let sup = Supervisor::builder(strategy)
                .auto_shutdown(AnySignificant)
                .child(worker("a"))
                .child(worker("b").transient().significant())
                .child(worker("c").transient())
                .child(worker("d"));
            let sup = world.start(sup).await;
            let fate = world.node.join(sup.pid().unwrap());
            world.end(pid_of(&sup, "c").await, ExitReason::Normal).await;
            assert_eq!(states(&sup).await, "a b c. d");
            world.end(pid_of(&sup, "b").await, ExitReason::Normal).await;
            assert_eq!(fate.await, ExitReason::Shutdown);
            assert_eq!(world.family.heard(), "-d -a");
            assert_eq!(world.node.process_count(), 0);
        }
    });
}

/// SUP-131
#[test]
fn end_counts_if_the_child_is_not_restarted() {
    on_every_runtime(async || {
        for (restart, reason, ends) in [
            (Restart::Transient, ExitReason::Normal, true),
            (Restart::Transient, ExitReason::Shutdown, true),
            (Restart::Transient, ExitReason::shutdown_with("done"), true),
            (Restart::Transient, crash(), false),
            (Restart::Temporary, ExitReason::Normal, true),
            (Restart::Temporary, crash(), true),
        ] {
            let world = World::new();
            let worker = world.family.worker("a").restart(restart).significant();
            let sup = world
                .start(shutting_down(AllSignificant).child(worker))
                .await;
            let fate = world.node.join(sup.pid().unwrap());
            world.end(pid_of(&sup, "a").await, reason).await;
            if ends {
                assert_eq!(fate.await, ExitReason::Shutdown);
            } else {
                assert_eq!(states(&sup).await, "a");
            }
        }
    });
}

/// SUP-132
#[test]
fn last_significant_end_is_waited_for() {
    on_every_runtime(async || {
        let world = World::new();
        let worker = |id| world.family.worker(id).temporary().significant();
        let sup = shutting_down(AllSignificant).children(["a", "b", "c"].map(worker));
        let sup = world.start(sup.child(world.family.worker("d"))).await;
        let fate = world.node.join(sup.pid().unwrap());
        world.end(pid_of(&sup, "b").await, crash()).await;
        world.end(pid_of(&sup, "c").await, crash()).await;
        assert_eq!(states(&sup).await, "a d");
        world.end(pid_of(&sup, "a").await, crash()).await;
        assert_eq!(fate.await, ExitReason::Shutdown);
        assert_eq!(world.family.heard(), "-d");
    });
}

/// SUP-133
#[test]
fn what_others_stop_does_not_count() {
    on_every_runtime(async || {
        for auto_shutdown in [AnySignificant, AllSignificant] {
            let world = World::new();
            let sup = Supervisor::builder(OneForAll)
                .auto_shutdown(auto_shutdown)
                .child(world.family.worker("a"))
                .child(world.family.worker("b").temporary().significant())
                .child(world.family.worker("c").transient().significant());
            let sup = world.start(sup).await;
            world.end(pid_of(&sup, "a").await, crash()).await;
            assert_eq!(states(&sup).await, "a c");
            assert!(is_gone(&sup, "b").await);
            sup.terminate_child("c").await.unwrap();
            assert_eq!(states(&sup).await, "a c.");
        }
    });
}

/// SUP-134
#[test]
fn significant_child_that_was_terminated_is_not_waited_for() {
    on_every_runtime(async || {
        let world = World::new();
        let worker = |id| world.family.worker(id).transient().significant();
        let sup = shutting_down(AllSignificant).children(["a", "b"].map(worker));
        let sup = world.start(sup).await;
        let fate = world.node.join(sup.pid().unwrap());
        sup.terminate_child("a").await.unwrap();
        world.end(pid_of(&sup, "b").await, ExitReason::Normal).await;
        assert_eq!(fate.await, ExitReason::Shutdown);
    });
}

/// SUP-135, SUP-136
#[test]
fn shutdown_is_a_graceful_end_for_the_supervisor_above() {
    on_every_runtime(async || {
        for restart in [Restart::Transient, Restart::Permanent] {
            let world = World::new();
            let leaf = world.family.worker("leaf").transient().significant();
            let inner = ChildSpec::supervisor("inner", move || {
                shutting_down(AnySignificant).child(leaf.clone())
            });
            let top = match restart {
                Restart::Transient => shutting_down(AnySignificant)
                    .child(world.family.worker("other"))
                    .child(inner.restart(restart).significant()),
                _ => Supervisor::builder(OneForOne)
                    .max_restarts(1)
                    .child(inner.restart(restart)),
            };
            let top = world.start(top).await;
            let fate = world.node.join(top.pid().unwrap());
            let end_leaf = async || {
                let inner = pid_of(&top, "inner").await;
                let inner = SupervisorRef::from_pid(&world.node, inner).unwrap();
                let gone = world.node.join(inner.pid().unwrap());
                let leaf = pid_of(&inner, "leaf").await;
                world.end(leaf, ExitReason::Normal).await;
                assert_eq!(gone.await, ExitReason::Shutdown);
            };
            end_leaf().await;
            if restart == Restart::Permanent {
                // It was restarted, which counted; the next time is too much.
                assert_eq!(states(&top).await, "inner");
                end_leaf().await;
            }
            match restart {
                Restart::Transient => assert_eq!(fate.await, ExitReason::Shutdown),
                _ => assert_gave_up(&fate.await, "inner"),
            }
            assert_eq!(world.node.process_count(), 0);
        }
    });
}
