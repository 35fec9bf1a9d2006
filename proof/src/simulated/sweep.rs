//! Sweeps: small scenarios, each run once for every process at every step, with
//! that process killed there, or made to panic; and once for every step, with
//! the node stopped there.
//!
//! A scenario holds with any single blow in it. What it says of supervision
//! trees is: if the root lives, the tree is whole again; if not, all of it is
//! gone. And when it is over nobody is left, and nobody waits.

use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

use resurgam::sim::{Check, Explore, Plan, Sim, check, is_alive};
use resurgam::{
    CallError, Context, ExitReason, Message, Node, Pid, ProcessOutput, ProcessRef,
    StartSupervisorError, SupervisorBuilder, SupervisorRef,
};

use super::{Figures, expect_nothing_left};

mod applications;
mod bounded;
mod bridges;
mod buses;
mod clerk;
mod events;
mod groups;
mod intervals;
mod keys;
mod machines;
mod outsiders;
mod processes;
mod protocols;
mod requests;
mod shop;
mod tasks;
mod trees;
mod ways;

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
    scenario("side by side, start and stop", trees::side_by_side),
    scenario("side by side, one for all", trees::side_by_side_one_for_all),
    scenario(
        "side by side, rest for one",
        trees::side_by_side_rest_for_one,
    ),
    scenario(
        "side by side, a start is too late",
        trees::side_by_side_too_late,
    ),
    scenario("dynamic children come and go", trees::dynamic),
    scenario("a name is taken over", trees::name_taken_over),
    scenario("calls", processes::calls),
    scenario("timers", processes::timers),
    scenario("a task and its owner", processes::task),
    scenario("start_link in a trapping caller", processes::start_link),
    scenario("links and monitors in a ring", processes::ring),
    scenario("a shop", shop::open_and_close),
    scenario("tasks and their owners", tasks::awaited),
    scenario("tasks of a supervisor", tasks::supervised),
    scenario("streams of tasks", tasks::streams),
    scenario("a state machine", machines::statem),
    scenario("an agent", machines::agent),
    scenario("groups", groups::groups),
    scenario("intervals", intervals::intervals),
    scenario("requests", requests::collected),
    scenario("aliases", ways::aliases),
    scenario("bridges", bridges::bridges),
    scenario("event handlers", events::events),
    scenario("keys and locks", keys::keys),
    scenario("a bus", buses::buses),
    scenario("clients that macros wrote", protocols::protocols),
    scenario("applications", applications::applications),
    scenario("outsiders", outsiders::outsiders),
    scenario("a line at a mailbox", bounded::waiting),
    scenario("mailboxes that turn away", bounded::turning_away),
];

/// What strikes, at every step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Blow {
    /// A process is killed.
    Kill,
    /// A process panics.
    Panic,
    /// The node is stopped.
    Stop,
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Panic, Self::Stop];
}

/// Sweeps every scenario by every blow, under the orders of this many seeds.
pub fn all(seeds: u64) -> Figures {
    let mut figures = Figures::default();
    let mut both = SCENARIOS
        .iter()
        .flat_map(|scenario| Blow::ALL.map(|blow| (scenario, blow)));
    both.all(|(scenario, blow)| one(scenario, blow, 0..seeds, &mut figures));
    figures.counts.push(("scenarios", SCENARIOS.len() as u64));
    figures
}

/// Sweeps one scenario by one blow; whether it held.
pub fn one(scenario: &Scenario, blow: Blow, seeds: Range<u64>, figures: &mut Figures) -> bool {
    let plan = Plan::new()
        .name(scenario.name)
        .seed_range(seeds)
        .explore(Explore::Mixed);
    figures.add(match blow {
        Blow::Kill => plan.try_sweep_kills(scenario.run),
        Blow::Panic => plan.try_sweep_panics(scenario.run),
        Blow::Stop => plan.try_sweep_stops(scenario.run),
    })
}

const SECOND: Duration = Duration::from_secs(1);

/// A process that may be struck, at any step.
fn role<M, B, F>(sim: &Sim, label: &str, body: B) -> ProcessRef<M>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    let spawned = sim.node().spawn_options().label(label).spawn(body);
    spawned.expect("there is room").process
}

/// What a process says that must be: else the simulation fails, whatever
/// becomes of the process. A panic would be taken for a blow.
fn must(holds: bool, what: impl FnOnce() -> String) {
    #[derive(Default)]
    struct Said;
    impl Check for Said {}
    if !holds {
        check(|_: &mut Said| Err(what()));
    }
}

/// A call was answered so, or its server is down.
fn answered<T: PartialEq + Debug>(answer: Result<T, CallError>, expected: T) {
    let holds = match &answer {
        Ok(answer) => *answer == expected,
        Err(error) => matches!(error, CallError::Down(_)),
    };
    must(holds, || format!("{answer:?} instead of {expected:?}"));
}

/// Whether this is how the victim of a sweep ends, or one that comes after it.
fn is_a_blow(reason: &ExitReason) -> bool {
    !reason.is_normal()
}

/// A process came to its end, or a sweep struck it. Its own panic is neither.
fn expect_end(reason: &ExitReason) {
    let holds = match reason {
        ExitReason::Panicked(panic) => panic.message().contains("injected by the simulation"),
        other => matches!(
            other,
            ExitReason::Normal | ExitReason::Killed | ExitReason::NoProcess
        ),
    };
    assert!(holds, "{reason}");
}

/// Whether a trapping process is told that the node stops.
fn is_end_of_node<M>(message: &Message<M>) -> bool {
    matches!(message, Message::Exit(exit) if exit.reason == ExitReason::Shutdown)
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
