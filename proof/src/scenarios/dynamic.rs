//! Dynamic supervisors.

use std::time::Duration;

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorBuilder, DynamicSupervisorRef, ExitReason,
    GaveUp, StartDynamicChildError, join, now, send, sleep, whereis,
};

use super::stage::Stage;
use super::{SECOND, Scenario};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("there_are_never_more_children_than_may_be", most_children),
    ("each_child_is_restarted_by_itself", by_itself),
    ("a_stop_of_many_waits_for_every_child", stop_waits),
    ("children_that_do_not_obey_are_killed_together", deaf),
    ("a_restart_of_a_dynamic_child_is_tried_again", retries),
    ("a_dynamic_supervisor_gives_up_at_its_limit", gives_up),
    ("a_dynamic_child_is_stopped_by_its_pid", terminated),
];

fn crash() -> ExitReason {
    ExitReason::custom("a crash")
}

async fn started(builder: DynamicSupervisorBuilder) -> DynamicSupervisorRef {
    builder.start().await.expect("it starts")
}

async fn with(stage: &Stage, names: &[&'static str]) -> DynamicSupervisorRef {
    let supervisor = started(DynamicSupervisor::builder()).await;
    for name in names {
        add(&supervisor, stage.worker(name)).await;
    }
    supervisor
}

async fn add(supervisor: &DynamicSupervisorRef, spec: ChildSpec) {
    supervisor.start_child(spec).await.expect("it starts");
}

async fn end(name: &'static str, reason: ExitReason) {
    send(name, reason).expect("it is there");
    sleep(Duration::from_nanos(1)).await;
}

fn sorted(log: &str) -> Vec<&str> {
    let mut words: Vec<&str> = log.split(' ').collect();
    words.sort_unstable();
    words
}

fn most_children(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = started(DynamicSupervisor::builder().max_children(2)).await;
        add(&supervisor, stage.worker("a")).await;
        add(&supervisor, stage.worker("b").temporary()).await;
        let refused = supervisor.start_child(stage.worker("c")).await;
        let Err(StartDynamicChildError::MaxChildren(2)) = refused else {
            panic!("it said {refused:?}");
        };
        end("a", crash()).await;
        assert!(supervisor.start_child(stage.worker("c")).await.is_err());
        end("b", crash()).await;
        add(&supervisor, stage.worker("c")).await;
        assert_eq!(stage.take(), "+a +b -a +a -b +c");
    });
}

fn by_itself(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = with(&stage, &["a", "b"]).await;
        add(&supervisor, stage.worker("c").transient()).await;
        add(&supervisor, stage.worker("d").temporary()).await;
        assert_eq!(stage.take(), "+a +b +c +d");
        end("b", ExitReason::Normal).await;
        assert_eq!(stage.take(), "-b +b");
        end("c", crash()).await;
        assert_eq!(stage.take(), "-c +c");
        end("c", ExitReason::Shutdown).await;
        end("d", crash()).await;
        assert_eq!(stage.take(), "-c -d");
        let count = supervisor.count_children().await.expect("it answers");
        assert_eq!((count.specs, count.active), (2, 2));
    });
}

fn stop_waits(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = with(&stage, &["a", "b"]).await;
        add(&supervisor, stage.careful("c").shutdown(SECOND)).await;
        add(&supervisor, stage.deaf("d").shutdown(SECOND)).await;
        stage.take();
        supervisor.stop().await.expect("it stops");
        assert_eq!(sorted(&stage.take()), ["-a", "-b", "-c", "-d"]);
    });
}

fn deaf(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = started(DynamicSupervisor::builder()).await;
        for (name, limit) in [("a", SECOND), ("b", SECOND), ("c", 2 * SECOND)] {
            add(&supervisor, stage.deaf(name).shutdown(limit)).await;
        }
        add(&supervisor, stage.deaf("d").brutal_kill()).await;
        stage.take();
        let begun = now();
        supervisor.stop().await.expect("it stops");
        assert_eq!(sorted(&stage.take()), ["-a", "-b", "-c", "-d"]);
        assert_eq!(now() - begun, 2 * SECOND, "their times run side by side");
    });
}

fn retries(sim: &mut Sim) {
    let times = sim.random(3);
    sim.run(async move {
        let stage = Stage::default();
        let _supervisor = with(&stage, &["a", "b"]).await;
        stage.take();
        stage.fail("b", times as u32);
        end("b", crash()).await;
        assert_eq!(stage.take(), format!("-b{} +b", " !b".repeat(times)));
    });
}

fn gives_up(sim: &mut Sim) {
    let most = sim.random(4) as u32;
    sim.run(async move {
        let stage = Stage::default();
        let supervisor = started(DynamicSupervisor::builder().intensity(most, SECOND)).await;
        add(&supervisor, stage.worker("a")).await;
        add(&supervisor, stage.deaf("b").shutdown(SECOND)).await;
        let given_up = join(supervisor.pid().expect("it was started"));
        for _ in 0..most {
            end("a", crash()).await;
        }
        assert!(whereis("a").is_some(), "it may be restarted {most} times");
        end("a", crash()).await;
        assert!(given_up.await.cause::<GaveUp>().is_some());
        for name in ["a", "b"] {
            assert_eq!(whereis(name), None, "it may be restarted {most} times");
        }
    });
}

fn terminated(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = with(&stage, &["a"]).await;
        add(&supervisor, stage.deaf("b").shutdown(SECOND)).await;
        stage.take();
        let b = whereis("b").expect("it runs");
        let begun = now();
        supervisor.terminate_child(b).await.expect("it stops");
        assert_eq!(stage.take(), "-b");
        assert_eq!(now() - begun, SECOND);
        assert!(supervisor.terminate_child(b).await.is_err(), "it is gone");
    });
}
