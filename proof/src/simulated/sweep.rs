//! Kill sweeps: small scenarios, each run once for every process at every
//! step, with that process killed there.
//!
//! A scenario holds with any single death in it. What it says of supervision
//! trees is: if the root lives, the tree is whole again; if not, all of it is
//! gone. And when it is over nobody is left.

use std::time::Duration;

use resurgam::sim::{Explore, Plan, Sim, is_alive};
use resurgam::{Node, Pid, StartSupervisorError, SupervisorBuilder, SupervisorRef};

use super::{Figures, expect_nothing_left};

mod clerk;
mod processes;
mod shop;
mod trees;

/// A scenario of a sweep.
#[derive(Copy, Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// One run of it.
    pub run: fn(&mut Sim),
}

const fn scenario(name: &'static str, run: fn(&mut Sim)) -> Scenario {
    Scenario { name, run }
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    scenario("a tree starts and stops", trees::start_and_stop),
    scenario("restart, one for one", trees::one_for_one),
    scenario("restart, one for all", trees::one_for_all),
    scenario("restart, rest for one", trees::rest_for_one),
    scenario("three levels", trees::three_levels),
    scenario("supervisor falls mid-restart", trees::mid_restart),
    scenario("supervisor falls mid-shutdown", trees::mid_shutdown),
    scenario("supervisor falls mid-init", trees::mid_init),
    scenario("a child that will not go", trees::stubborn),
    scenario("dynamic children come and go", trees::dynamic),
    scenario("a name is taken over", trees::name_taken_over),
    scenario("calls", processes::calls),
    scenario("timers", processes::timers),
    scenario("a task and its owner", processes::task),
    scenario("start_link in a trapping caller", processes::start_link),
    scenario("links and monitors in a ring", processes::ring),
    scenario("a shop", shop::open_and_close),
];

/// Sweeps every scenario under the orders of this many seeds.
pub fn all(seeds: u64) -> Figures {
    let mut figures = Figures::default();
    for scenario in SCENARIOS {
        if !one(scenario, seeds, &mut figures) {
            break;
        }
    }
    figures.counts.push(("scenarios", SCENARIOS.len() as u64));
    figures
}

/// Sweeps one scenario; whether it held.
pub fn one(scenario: &Scenario, seeds: u64, figures: &mut Figures) -> bool {
    let plan = Plan::new()
        .name(scenario.name)
        .seeds(seeds)
        .explore(Explore::Mixed);
    figures.add(plan.try_sweep_kills(scenario.run))
}

/// How long a tree may take to be whole again.
const SETTLE: Duration = Duration::from_secs(30);

/// The supervisor of a scenario, who may have been killed while it started.
struct Root(Option<SupervisorRef>);

impl Root {
    /// Starts a tree under nobody.
    fn start(sim: &mut Sim, builder: SupervisorBuilder) -> Self {
        let started: Result<SupervisorRef, StartSupervisorError> =
            sim.run(async move { builder.start().await });
        Self(started.ok())
    }

    fn pid(&self) -> Option<Pid> {
        self.0.as_ref()?.pid()
    }

    fn lives(&self, node: &Node) -> bool {
        self.pid().is_some_and(|pid| is_alive(node, pid))
    }

    /// With a living root there are these many processes in all, and these
    /// names; with a dead one there is nothing.
    fn expect_whole_or_gone(&self, sim: &mut Sim, size: usize, names: &[&str]) {
        sim.run_for(SETTLE);
        sim.run_until_idle();
        let node = sim.node();
        let size = if self.lives(node) { size } else { 0 };
        let names = if size > 0 { names } else { &[] };
        let processes = node.processes();
        assert_eq!(
            processes.len(),
            size,
            "the tree is not whole: {processes:?}"
        );
        let mut found = node.registered();
        found.sort();
        let found: Vec<&str> = found.iter().map(|name| name.as_str()).collect();
        assert_eq!(found, names, "names");
    }

    /// Stops the tree; nothing is left.
    fn stop(self, sim: &mut Sim) {
        if let Some(supervisor) = self.0 {
            // It may have been killed before, or be killed meanwhile.
            let _ = sim.run(async move { supervisor.stop().await });
        }
        expect_nothing_left(sim);
    }
}
