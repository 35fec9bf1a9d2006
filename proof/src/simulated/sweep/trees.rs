//! Scenarios of supervision trees.

use std::time::Duration;

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Node, Shutdown, Strategy, Supervisor,
    SupervisorBuilder, kill, self_pid,
};

use super::Root;
use super::clerk::{Ask, Manner, ask, clerk, crash, plain, stubborn as stubborn_child};

const SECOND: Duration = Duration::from_secs(1);

fn three_clerks(strategy: Strategy) -> SupervisorBuilder {
    Supervisor::builder(strategy).children(["a", "b", "c"].map(plain))
}

pub(super) fn start_and_stop(sim: &mut Sim) {
    let root = Root::start(sim, three_clerks(Strategy::OneForOne));
    root.expect_whole_or_gone(sim, 4, &["a", "b", "c"]);
    root.stop(sim);
}

pub(super) fn one_for_one(sim: &mut Sim) {
    restart(sim, Strategy::OneForOne);
}

pub(super) fn one_for_all(sim: &mut Sim) {
    restart(sim, Strategy::OneForAll);
}

pub(super) fn rest_for_one(sim: &mut Sim) {
    restart(sim, Strategy::RestForOne);
}

fn restart(sim: &mut Sim, strategy: Strategy) {
    let root = Root::start(sim, three_clerks(strategy));
    crash(sim.node(), "b");
    root.expect_whole_or_gone(sim, 4, &["a", "b", "c"]);
    root.stop(sim);
}

/// Sections of two clerks each.
fn section(names: [&'static str; 2], strategy: Strategy) -> SupervisorBuilder {
    Supervisor::builder(strategy).children(names.map(plain))
}

pub(super) fn three_levels(sim: &mut Sim) {
    let left = || section(["a", "b"], Strategy::OneForAll);
    let right = || section(["c", "d"], Strategy::RestForOne);
    let top = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::supervisor("left", left))
        .child(ChildSpec::supervisor("right", right));
    let root = Root::start(sim, top);
    crash(sim.node(), "a");
    crash(sim.node(), "d");
    root.expect_whole_or_gone(sim, 7, &["a", "b", "c", "d"]);
    root.stop(sim);
}

/// Two clerks who take a second to begin and to end, under a supervisor that
/// has a name.
fn slow_section() -> SupervisorBuilder {
    let manner = Manner {
        begins: SECOND,
        ends: SECOND,
    };
    Supervisor::builder(Strategy::OneForAll)
        .name("section")
        .children(["a", "b"].map(|name| clerk(name, manner)))
}

fn slow_tree() -> SupervisorBuilder {
    Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::supervisor("section", slow_section))
        .child(plain("z"))
}

const SLOW_NAMES: [&str; 4] = ["a", "b", "section", "z"];

/// The section falls while it restarts its clerks.
pub(super) fn mid_restart(sim: &mut Sim) {
    let root = Root::start(sim, slow_tree());
    crash(sim.node(), "b");
    sim.run_for(SECOND / 2);
    kill_named(sim, "section");
    root.expect_whole_or_gone(sim, 5, &SLOW_NAMES);
    root.stop(sim);
}

/// The section falls while it stops its clerks, because its own supervisor
/// stops it.
pub(super) fn mid_shutdown(sim: &mut Sim) {
    let root = Root::start(sim, slow_tree());
    if let Some(supervisor) = root.0.clone() {
        sim.client(move |_: resurgam::Context<()>| async move {
            let _ = supervisor.terminate_child("section").await;
        });
    }
    sim.run_for(SECOND / 2);
    kill_named(sim, "section");
    // The one that was killed as the order came is there again, for a crash
    // called for its restart before; else it is down, as ordered.
    sim.run_for(super::SETTLE);
    let is_there = sim.node().whereis("section").is_some();
    match is_there {
        true => root.expect_whole_or_gone(sim, 5, &SLOW_NAMES),
        false => root.expect_whole_or_gone(sim, 2, &["z"]),
    }
    root.stop(sim);
}

/// The section falls while it starts its clerks for the first time.
pub(super) fn mid_init(sim: &mut Sim) {
    let node = sim.node().clone();
    sim.client(move |_: resurgam::Context<()>| async move {
        resurgam::sleep(SECOND / 2).await;
        node.whereis("section").into_iter().for_each(kill);
    });
    let root = Root::start(sim, slow_tree());
    root.expect_whole_or_gone(sim, 5, &SLOW_NAMES);
    root.stop(sim);
}

fn kill_named(sim: &mut Sim, name: &str) {
    if let Some(pid) = sim.node().whereis(name) {
        sim.kill(pid);
    }
}

/// Clerks who need each other in a diamond and take a second to begin and to
/// end, and one who needs nobody.
fn diamond(strategy: Strategy) -> SupervisorBuilder {
    let manner = Manner {
        begins: SECOND,
        ends: SECOND,
    };
    let slow = |name| clerk(name, manner);
    Supervisor::builder(strategy)
        .concurrent()
        .stop_within(60 * SECOND)
        .child(slow("d").after(["b", "c"]))
        .child(slow("a"))
        .child(slow("b").after(["a"]))
        .child(slow("c").after(["a"]).start_timeout(10 * SECOND))
        .child(plain("z"))
}

const DIAMOND: [&str; 5] = ["a", "b", "c", "d", "z"];

pub(super) fn side_by_side(sim: &mut Sim) {
    let root = Root::start(sim, diamond(Strategy::OneForOne));
    root.expect_whole_or_gone(sim, 6, &DIAMOND);
    root.stop(sim);
}

pub(super) fn side_by_side_one_for_all(sim: &mut Sim) {
    let root = Root::start(sim, diamond(Strategy::OneForAll));
    crash(sim.node(), "b");
    root.expect_whole_or_gone(sim, 6, &DIAMOND);
    root.stop(sim);
}

/// Two fall at once.
pub(super) fn side_by_side_rest_for_one(sim: &mut Sim) {
    let root = Root::start(sim, diamond(Strategy::RestForOne));
    crash(sim.node(), "c");
    crash(sim.node(), "a");
    root.expect_whole_or_gone(sim, 6, &DIAMOND);
    root.stop(sim);
}

/// Nobody is there in the end, whoever is killed meanwhile.
pub(super) fn side_by_side_too_late(sim: &mut Sim) {
    let late = Manner {
        begins: 5 * SECOND,
        ends: SECOND,
    };
    let top = diamond(Strategy::OneForAll)
        .child(clerk("late", late).start_timeout(3 * SECOND))
        .child(plain("never").after(["late"]));
    let root = Root::start(sim, top);
    assert!(root.0.is_none(), "it was to fail");
    root.expect_whole_or_gone(sim, 0, &[]);
    root.stop(sim);
}

/// A child that does not go when it is asked to is killed when its time is up.
pub(super) fn stubborn(sim: &mut Sim) {
    let top = Supervisor::builder(Strategy::OneForAll)
        .child(plain("a"))
        .child(stubborn_child("will not").shutdown(SECOND))
        .child(stubborn_child("need not").brutal_kill())
        .child(plain("b").shutdown(Shutdown::Infinity));
    let root = Root::start(sim, top);
    crash(sim.node(), "a");
    root.expect_whole_or_gone(sim, 5, &["a", "b"]);
    let begun = sim.elapsed();
    root.stop(sim);
    assert!(sim.elapsed() - begun >= SECOND, "it went at once");
}

/// Children are started, fall, and are terminated.
pub(super) fn dynamic(sim: &mut Sim) {
    let jobs = || DynamicSupervisor::builder().name("jobs");
    let top =
        Supervisor::builder(Strategy::OneForOne).child(ChildSpec::dynamic_supervisor("jobs", jobs));
    let root = Root::start(sim, top);
    sim.run(async {
        let jobs = DynamicSupervisorRef::named("jobs");
        for name in ["a", "b", "c"] {
            let _ = jobs.start_child(plain(name)).await;
        }
        crash(&Node::current(), "a");
        let clerk = resurgam::whereis("b");
        if let Some(clerk) = clerk {
            let _ = jobs.terminate_child(clerk).await;
        }
    });
    sim.run_for(super::SETTLE);
    // Those of a supervisor that was killed do not come back.
    let names = sim.node().registered();
    let clerks = names.iter().filter(|name| name.as_str() != "jobs").count();
    assert!(clerks <= 3, "{names:?}");
    assert_eq!(
        sim.node().process_count(),
        if root.lives(sim.node()) {
            2 + clerks
        } else {
            0
        },
    );
    root.stop(sim);
}

/// A client that goes by the name is served before and after.
pub(super) fn name_taken_over(sim: &mut Sim) {
    let root = Root::start(sim, three_clerks(Strategy::OneForOne));
    let root_pid = root.pid();
    crash(sim.node(), "b");
    sim.run(async move {
        let _ = self_pid();
        let clerk = resurgam::ProcessRef::<Ask>::named("b");
        while ask(&clerk, 1).await.is_err() {
            resurgam::sleep(SECOND / 10).await;
            let Some(root) = root_pid else { return };
            if !matches!(resurgam::is_alive(root).await, Ok(true)) {
                return;
            }
        }
    });
    root.expect_whole_or_gone(sim, 4, &["a", "b", "c"]);
    root.stop(sim);
}
