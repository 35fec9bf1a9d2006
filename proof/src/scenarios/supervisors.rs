//! Static supervisors: orders, scopes, limits, orphans.

use std::time::Duration;

use resurgam::sim::{Faults, Sim};
use resurgam::{
    ChildSpec, Context, ExitReason, GaveUp, Node, Restart, Strategy, Supervisor, SupervisorBuilder,
    SupervisorRef, join, kill, now, send, sleep, spawn, whereis,
};

use super::stage::Stage;
use super::{SECOND, Scenario};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("children_start_in_order_and_stop_in_reverse", orders),
    ("a_crash_takes_along_whom_the_strategy_says", scopes),
    ("a_child_is_restarted_as_its_kind_says", kinds),
    ("the_intensity_is_exact_at_the_edge_of_its_window", edge),
    ("a_supervisor_restarts_as_often_as_it_may", as_often),
    ("a_child_that_does_not_obey_is_killed_in_time", deaf),
    ("a_stop_waits_for_every_child", stop_waits),
    ("a_restart_that_failed_is_tried_again", retries),
    ("a_failed_start_counts_as_a_restart", failed_starts_count),
    (
        "a_first_start_that_fails_undoes_what_it_began",
        first_start_fails,
    ),
    ("a_child_is_stopped_restarted_and_deleted_by_hand", by_hand),
    ("a_supervisor_that_is_killed_leaves_no_orphans", killed),
    ("a_supervisor_goes_with_its_parent", parent_ends),
    ("under_kills_every_child_is_up_once_in_the_end", under_kills),
];

const STRATEGIES: [Strategy; 3] = [
    Strategy::OneForOne,
    Strategy::OneForAll,
    Strategy::RestForOne,
];

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn crash() -> ExitReason {
    ExitReason::custom("a crash")
}

/// A supervisor of the four, with a limit that is not reached.
fn four(stage: &Stage, strategy: Strategy) -> SupervisorBuilder {
    let builder = Supervisor::builder(strategy).intensity(100, SECOND);
    builder.children(NAMES.map(|name| stage.worker(name)))
}

async fn started(builder: SupervisorBuilder) -> SupervisorRef {
    builder.start().await.expect("it starts")
}

/// Ends a worker; all that comes of it at this moment has happened then.
async fn end(name: &'static str, reason: ExitReason) {
    send(name, reason).expect("it is there");
    sleep(Duration::from_nanos(1)).await;
}

fn words(prefix: char, names: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    let names = names.into_iter();
    names.map(|name| format!("{prefix}{name}")).collect()
}

fn orders(sim: &mut Sim) {
    let strategy = STRATEGIES[sim.random(STRATEGIES.len())];
    sim.run(async move {
        let stage = Stage::default();
        let supervisor = started(four(&stage, strategy)).await;
        assert_eq!(stage.take(), "+a +b +c +d");
        supervisor.stop().await.expect("it stops");
        assert_eq!(stage.take(), "-d -c -b -a");
    });
}

fn scopes(sim: &mut Sim) {
    let strategy = STRATEGIES[sim.random(STRATEGIES.len())];
    let victim = sim.random(NAMES.len());
    sim.run(async move {
        let stage = Stage::default();
        let _supervisor = started(four(&stage, strategy)).await;
        stage.take();
        end(NAMES[victim], crash()).await;
        let scope = match strategy {
            Strategy::OneForAll => 0..NAMES.len(),
            Strategy::RestForOne => victim..NAMES.len(),
            _ => victim..victim + 1,
        };
        let others = scope.clone().rev().filter(|at| *at != victim);
        let mut expected = words('-', [NAMES[victim]]);
        expected.extend(words('-', others.map(|at| NAMES[at])));
        expected.extend(words('+', scope.map(|at| NAMES[at])));
        assert_eq!(stage.take(), expected.join(" "), "{strategy:?}");
    });
}

fn kinds(sim: &mut Sim) {
    let restarts = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let restart = restarts[sim.random(restarts.len())];
    let reasons = [
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::shutdown_with("a term"),
        ExitReason::Killed,
        crash(),
    ];
    let reason = reasons[sim.random(reasons.len())].clone();
    sim.run(async move {
        let stage = Stage::default();
        let spec = stage.worker("b").restart(restart);
        let builder = Supervisor::builder(Strategy::OneForOne).child(spec);
        let supervisor = started(builder).await;
        stage.take();
        end("b", reason.clone()).await;
        let (log, kept) = match (restart, reason.is_graceful()) {
            (Restart::Permanent, _) | (Restart::Transient, false) => ("-b +b", true),
            (Restart::Transient, true) => ("-b", true),
            (Restart::Temporary, _) => ("-b", false),
        };
        assert_eq!(stage.take(), log, "{restart:?} {reason}");
        assert_eq!(supervisor.which_child("b").await.is_ok(), kept);
    });
}

/// Two restarts within ten seconds are allowed; a third one counts up to the
/// tenth second and no longer.
fn edge(sim: &mut Sim) {
    let too_late = sim.random(2) as u64;
    let second = 1 + sim.random(9) as u32;
    sim.run(async move {
        let stage = Stage::default();
        let builder = Supervisor::builder(Strategy::OneForOne).intensity(2, 10 * SECOND);
        let supervisor = started(builder.child(stage.worker("b"))).await;
        let end = join(supervisor.pid().expect("it was started"));
        let begun = now();
        for at in [
            Duration::ZERO,
            second * SECOND,
            10 * SECOND + Duration::from_nanos(too_late),
        ] {
            sleep(at.saturating_sub(now() - begun)).await;
            let b = whereis("b").expect("it runs");
            kill(b);
            join(b).await;
        }
        sleep(SECOND).await;
        let runs = whereis("b").is_some();
        assert_eq!(
            runs,
            too_late == 1,
            "the first restart was {second} s before the second"
        );
        if !runs {
            assert!(end.await.cause::<GaveUp>().is_some());
        }
    });
}

fn as_often(sim: &mut Sim) {
    let most = sim.random(4) as u32;
    sim.run(async move {
        let stage = Stage::default();
        let builder = Supervisor::builder(Strategy::OneForOne).intensity(most, SECOND);
        let supervisor = started(builder.child(stage.worker("b"))).await;
        let given_up = join(supervisor.pid().expect("it was started"));
        for _ in 0..most {
            end("b", crash()).await;
            assert!(whereis("b").is_some(), "it may be restarted {most} times");
        }
        end("b", crash()).await;
        assert_eq!(whereis("b"), None, "it may be restarted {most} times");
        assert!(given_up.await.cause::<GaveUp>().is_some());
    });
}

fn deaf(sim: &mut Sim) {
    let brutal = sim.random(2) == 1;
    sim.run(async move {
        let stage = Stage::default();
        let spec = stage.deaf("a");
        let (spec, takes) = match brutal {
            true => (spec.brutal_kill(), Duration::ZERO),
            false => (spec.shutdown(2 * SECOND), 2 * SECOND),
        };
        let supervisor = started(Supervisor::builder(Strategy::OneForOne).child(spec)).await;
        let begun = now();
        supervisor.terminate_child("a").await.expect("it stops");
        assert_eq!(
            stage.take(),
            "+a -a",
            "when it is said to be stopped it has ended"
        );
        assert_eq!(now() - begun, takes);
        assert_eq!(whereis("a"), None);
    });
}

fn stop_waits(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let specs = [
            stage.deaf("a").shutdown(SECOND),
            stage.careful("b").shutdown(SECOND),
            stage.worker("c"),
            stage.deaf("d").shutdown(SECOND),
        ];
        let supervisor = started(Supervisor::builder(Strategy::OneForOne).children(specs)).await;
        stage.take();
        let begun = now();
        supervisor.stop().await.expect("it stops");
        assert_eq!(stage.take(), "-d -c -b -a");
        assert_eq!(now() - begun, 2 * SECOND + SECOND / 10);
    });
}

fn retries(sim: &mut Sim) {
    let times = 1 + sim.random(3);
    let strategy = STRATEGIES[sim.random(STRATEGIES.len())];
    sim.run(async move {
        let stage = Stage::default();
        let _supervisor = started(four(&stage, strategy)).await;
        stage.take();
        stage.fail("b", times as u32);
        end("b", crash()).await;
        let failed = " !b".repeat(times);
        let expected = match strategy {
            Strategy::RestForOne => format!("-b -d -c{failed} +b +c +d"),
            // Those before it are stopped and started at each attempt.
            Strategy::OneForAll => {
                let again = " +a !b -a".repeat(times);
                format!("-b -d -c -a{again} +a +b +c +d")
            }
            _ => format!("-b{failed} +b"),
        };
        assert_eq!(stage.take(), expected, "{strategy:?}");
    });
}

fn failed_starts_count(sim: &mut Sim) {
    let fails = sim.random(5) as u32;
    sim.run(async move {
        let stage = Stage::default();
        let builder = Supervisor::builder(Strategy::OneForOne).intensity(3, SECOND);
        let _supervisor = started(builder.child(stage.worker("b"))).await;
        stage.fail("b", fails);
        end("b", crash()).await;
        assert_eq!(whereis("b").is_some(), fails < 3, "{fails} starts failed");
    });
}

fn first_start_fails(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        stage.fail("c", 1);
        let builder = four(&stage, Strategy::OneForOne).name("top");
        assert!(builder.clone().start().await.is_err());
        assert_eq!(stage.take(), "+a +b !c -b -a");
        assert_eq!(whereis("top"), None);
        assert!(builder.start().await.is_ok());
    });
}

fn by_hand(sim: &mut Sim) {
    sim.run(async {
        let stage = Stage::default();
        let supervisor = started(four(&stage, Strategy::OneForAll)).await;
        stage.take();
        supervisor.terminate_child("b").await.expect("it stops");
        assert_eq!(stage.take(), "-b", "its siblings are left alone");
        supervisor.restart_child("b").await.expect("it starts");
        assert!(supervisor.restart_child("b").await.is_err(), "it runs");
        assert!(supervisor.delete_child("b").await.is_err(), "it runs");
        assert_eq!(stage.take(), "+b");
        supervisor.terminate_child("b").await.expect("it stops");
        supervisor.delete_child("b").await.expect("it is down");
        assert!(supervisor.which_child("b").await.is_err());
        end("c", crash()).await;
        assert_eq!(stage.take(), "-b -c -d -a +a +c +d");
        let count = supervisor.count_children().await.expect("it answers");
        assert_eq!((count.specs, count.active), (3, 3));
    });
}

fn killed(sim: &mut Sim) {
    let before = sim.node().process_count();
    sim.run(async {
        let stage = Stage::default();
        let inner = {
            let stage = stage.clone();
            move || Supervisor::builder(Strategy::OneForOne).child(stage.worker("d"))
        };
        let specs = [
            stage.worker("a"),
            stage.careful("b"),
            ChildSpec::supervisor("c", inner),
        ];
        let supervisor = started(Supervisor::builder(Strategy::OneForOne).children(specs)).await;
        kill(supervisor.pid().expect("it was started"));
        sleep(SECOND).await;
        for name in ["a", "b", "d"] {
            assert_eq!(whereis(name), None, "{name} is an orphan");
        }
    });
    sim.run_until_idle();
    assert_eq!(sim.node().process_count(), before, "there are orphans");
}

fn parent_ends(sim: &mut Sim) {
    let abnormal = sim.random(2) == 1;
    sim.run(async move {
        let stage = Stage::default();
        let builder = four(&stage, Strategy::OneForOne);
        let parent = spawn(move |_: Context<()>| async move {
            builder.start_link().await.expect("it starts");
            match abnormal {
                true => crash(),
                false => ExitReason::Normal,
            }
        });
        parent.expect("the node takes processes").join().await;
        sleep(SECOND).await;
        assert_eq!(stage.take(), "+a +b +c +d -d -c -b -a");
    });
}

/// Kills strike workers; when there are no more, each is up, once.
fn under_kills(sim: &mut Sim) {
    let strategy = STRATEGIES[sim.random(STRATEGIES.len())];
    let stage = Stage::default();
    let builder = four(&stage, strategy).intensity(1_000_000, SECOND);
    let supervisor = sim.run(started(builder));
    sim.protect(supervisor.pid().expect("it was started"));
    sim.faults(
        Faults::none()
            .kill(0.02)
            .init_fails(0.1)
            .delay(0.05, Duration::ZERO..SECOND),
    );
    sim.run_for(10 * SECOND);
    for name in NAMES {
        // It may be down at this moment.
        let _ = sim.node().send(name, crash());
        sim.run_for(SECOND);
    }
    sim.heal();
    sim.run_for(SECOND);
    let node: Node = sim.node().clone();
    let count = sim.run(async move { supervisor.count_children().await });
    let count = count.expect("it answers");
    assert_eq!((count.specs, count.active), (4, 4));
    assert!(NAMES.iter().all(|name| node.whereis(*name).is_some()));
    let log = stage.take();
    for name in NAMES {
        let started = log.matches(&format!("+{name}")).count();
        let ended = log.matches(&format!("-{name}")).count();
        assert_eq!(started, ended + 1, "{name}: {log}");
    }
}
