//! Programs and trees in the simulator, where a seed decides which of all the
//! signals under way arrives next: the freedom that the model explores, and no
//! other.
//!
//! What plays a program elsewhere plays it here: [`drive`] polls it from
//! outside the simulation, and lets the simulation come to rest in between.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use resurgam::Node;
use resurgam::sim::{Explore, Failure, Plan, Report, Sim};
use resurgam::yield_now;

use crate::erlang::Erlang;
use crate::model::explore::{self, TooMany};
use crate::observation::Observation;
use crate::program::{Program, Size};
use crate::run::{self, Crowd, Look, Rest, Restless, RunError, rounds};
use crate::suite::{Failed, Figures};
use crate::writing::List;
use crate::{applications, events, groups, keys, pools, servers, statem, tasks, tree};

/// Rest in a simulation that [`drive`] drives: it is idle when this goes on.
#[derive(Copy, Clone, Debug, Default)]
struct Idle;

impl Rest for Idle {
    async fn rest(&self, crowd: &Crowd) -> Result<Vec<Look>, Restless> {
        yield_now().await;
        Ok(rounds::ask(crowd.node(), crowd).await)
    }
}

/// Runs a future that stands outside the simulation: everything comes to rest
/// before it is polled again. Time passes only if nothing else can happen.
///
/// # Panics
///
/// If the future waits for something that will not come.
pub fn drive<T>(sim: &mut Sim, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut fruitless = 0;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let before = sim.steps();
        sim.run_until_idle();
        if sim.steps() > before || sim.step() {
            fruitless = 0;
        } else {
            // A future may have given way of its own accord.
            fruitless += 1;
            assert!(fruitless < 100, "nothing can happen any more");
        }
    }
}

/// How a program is played.
#[derive(Copy, Clone, Debug)]
enum Manner {
    Settled,
    Racy,
}

impl Manner {
    fn explore(self, program: &Program) -> Result<BTreeSet<Observation>, TooMany> {
        match self {
            Self::Settled => explore::settled(program),
            Self::Racy => explore::racy(program),
        }
    }

    fn play(self, sim: &mut Sim, program: &Program) -> Result<Observation, RunError> {
        let node: Node = sim.node().clone();
        match self {
            Self::Settled => drive(sim, run::settled(&node, &Idle, program)),
            Self::Racy => drive(sim, run::racy(&node, &Idle, program, None)),
        }
    }
}

/// Settled programs: each in one order of signals.
///
/// # Errors
///
/// The first that does what the model says cannot be.
pub fn settled(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    each(seeds, Size::SETTLED, Manner::Settled, |seed| {
        Plan::new().seed_range(seed..seed + 1)
    })
}

/// Racy programs: each in many orders.
///
/// # Errors
///
/// As [`settled`].
pub fn racy(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const ORDERS: u64 = 16;
    each(seeds, Size::RACY, Manner::Racy, |seed| {
        Plan::new().seed_range(seed * ORDERS..(seed + 1) * ORDERS)
    })
}

/// The smallest racy programs: each in all orders, as far as its first choices
/// go.
///
/// # Errors
///
/// As [`settled`].
pub fn exhaustive(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const MOST: u64 = 3_000;
    const CHOICES: usize = 14;
    each(seeds, Size::SMALLEST, Manner::Racy, |_| {
        let explore = Explore::Exhaustive { depth: CHOICES };
        Plan::new().seeds(MOST).explore(explore)
    })
}

fn each(
    seeds: Range<u64>,
    size: Size,
    manner: Manner,
    plan: impl Fn(u64) -> Plan,
) -> Result<Figures, Box<Failed>> {
    let mut figures = Figures::default();
    for seed in seeds {
        let program = Program::random(seed, size);
        let Ok(possible) = manner.explore(&program) else {
            figures.left_out += 1;
            continue;
        };
        match compare(&plan(seed).shrinking(0), manner, &program, &possible) {
            Ok(report) => figures.add(&report),
            Err(_) => return Err(smaller(seed, program, manner, &plan(seed))),
        }
        figures.cases += 1;
    }
    Ok(figures)
}

fn compare(
    plan: &Plan,
    manner: Manner,
    program: &Program,
    possible: &BTreeSet<Observation>,
) -> Result<Report, Box<Failure>> {
    plan.try_run(|sim| match manner.play(sim, program) {
        Ok(seen) if possible.contains(&seen) => {}
        Ok(seen) => panic!("it cannot be that {seen}"),
        Err(error) => panic!("{error}"),
    })
}

/// The failing program without the steps it does not need, and its run without
/// the choices it does not need.
fn smaller(seed: u64, program: Program, manner: Manner, plan: &Plan) -> Box<Failed> {
    let failure = |program: &Program, plan: &Plan| {
        let possible = manner.explore(program).ok()?;
        let failure = compare(plan, manner, program, &possible).err()?;
        Some((possible, failure))
    };
    let quick = plan.clone().shrinking(0);
    let program = program.shrink(|program| failure(program, &quick).is_some());
    let Some((possible, failure)) = failure(&program, plan) else {
        let text = format!("{program}\nfails once, and not again");
        return Box::new(Failed::new(
            seed,
            "a failure that does not come again",
            text,
        ));
    };
    let mut text = format!("{program}\n");
    for line in possible {
        text.push_str(&format!("possible: {line}\n"));
    }
    let text = format!("{text}{failure}");
    Box::new(Failed::new(seed, failure.message(), text))
}

/// Supervision trees, each in one order of signals, compared with Erlang.
///
/// # Errors
///
/// The first that differs; or that there is no Erlang.
pub fn trees(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, tree::Case::random(seed)));
    compare_with_erlang("tree", 1, cases, |sim, case, told| {
        let node = sim.node().clone();
        agree(&drive(sim, tree::seen(&node, case)), told);
    })
}

/// State machines, each in one order of signals, compared with Erlang.
///
/// # Errors
///
/// As [`trees`].
pub fn statems(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, statem::Case::random(seed)));
    compare_with_erlang("statem", 1, cases, |sim, case, told| {
        play(sim, case, told, |_: resurgam::Context<()>, case| {
            statem::seen(case)
        });
    })
}

/// Event managers, each in one order of signals, compared with Erlang.
///
/// # Errors
///
/// As [`trees`].
pub fn events(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, events::Case::random(seed)));
    compare_with_erlang("events", 1, cases, |sim, case, told| {
        play(sim, case, told, events::seen);
    })
}

/// Process groups, each in one order of signals, compared with Erlang.
///
/// # Errors
///
/// As [`trees`].
pub fn groups(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, groups::Case::random(seed)));
    compare_with_erlang("groups", 1, cases, |sim, case, told| {
        play(sim, case, told, groups::seen);
    })
}

/// Registries, each in one order of signals, compared with Elixir.
///
/// # Errors
///
/// The first that differs; or that there is no Elixir.
pub fn keys(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, keys::Case::random(seed)));
    compare_with_elixir("keys", 1, cases, |sim, case, told| {
        play(sim, case, told, keys::seen);
    })
}

/// Dynamic and partition supervisors, each in one order of signals, compared
/// with Elixir.
///
/// # Errors
///
/// As [`keys()`].
pub fn pools(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, pools::Case::random(seed)));
    compare_with_elixir("pools", 1, cases, |sim, case, told| {
        play(sim, case, told, pools::seen);
    })
}

/// Tasks and agents, each in one order of signals, compared with Elixir.
///
/// Their scripts take time there, so they run side by side. A machine that is
/// too busy for the ticks makes Elixir late: what differs is asked for again,
/// in longer ticks.
///
/// # Errors
///
/// As [`keys()`].
pub fn tasks(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const TICKS: [u32; 4] = [20, 80, 320, 1280];
    let elixir = elixir()?;
    let (mut figures, mut failed) = (Figures::default(), None);
    let mut open: Vec<_> = seeds
        .map(|seed| (seed, tasks::Case::random(seed)))
        .collect();
    for tick in TICKS {
        let terms = open.iter().map(|(_, case)| format!("{{{tick},{case}}}"));
        let answers = elixir.ask(&format!("{{tasks,{}}}", List(&terms.collect::<Vec<_>>())));
        let answers = answers.unwrap_or_else(|error| error.to_string());
        let mut answers = answers.split('\t');
        failed = None;
        open.retain(|(seed, case)| {
            match play_tasks(*seed, case, answers.next().unwrap_or_default()) {
                Ok(report) => {
                    figures.add(&report);
                    figures.cases += 1;
                    return false;
                }
                Err(failure) => failed.get_or_insert_with(|| of_case(*seed, case, &failure)),
            };
            true
        });
        if open.is_empty() {
            break;
        }
    }
    failed.map_or(Ok(figures), Err)
}

fn play_tasks(seed: u64, case: &tasks::Case, told: &str) -> Result<Report, Box<Failure>> {
    Plan::new()
        .seed_range(seed..seed + 1)
        .try_run(|sim| play(sim, case, told, tasks::seen))
}

/// Applications, each in one order of signals, compared with Erlang.
///
/// # Errors
///
/// As [`trees`].
pub fn applications(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let cases = seeds.map(|seed| (seed, applications::Case::random(seed)));
    compare_with_erlang("applications", 1, cases, |sim, case, told| {
        let node = sim.node().clone();
        agree(&drive(sim, applications::seen(&node, case)), told);
    })
}

/// Applications whose callbacks start and stop applications, each in several
/// orders of signals.
///
/// # Errors
///
/// The first in which somebody waits for ever, or is left.
pub fn restless(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const ORDERS: u64 = 4;
    let mut figures = Figures::default();
    for seed in seeds {
        let plan = Plan::new().seed_range(seed * ORDERS..(seed + 1) * ORDERS);
        match plan.try_run(|sim| applications::restless::play(sim, seed)) {
            Ok(report) => figures.add(&report),
            Err(failure) => {
                let failed = Failed::new(seed, failure.message(), failure.to_string());
                return Err(Box::new(failed));
            }
        }
        figures.cases += 1;
    }
    Ok(figures)
}

/// Servers, each in some orders of signals, compared with Erlang.
///
/// # Errors
///
/// As [`trees`].
pub fn servers(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const ORDERS: u64 = 4;
    let cases = seeds.map(|seed| (seed, servers::Case::random(seed)));
    compare_with_erlang("servers", ORDERS, cases, |sim, case, told| {
        play(sim, case, told, servers::seen);
    })
}

/// Compares cases, each in so many orders, with what Erlang tells of them.
fn compare_with_erlang<C: Display>(
    kind: &str,
    orders: u64,
    cases: impl Iterator<Item = (u64, C)>,
    compare: impl Fn(&mut Sim, &C, &str),
) -> Result<Figures, Box<Failed>> {
    let no_erlang = |error: io::Error| Failed::new(0, "there is no Erlang", error.to_string());
    compare_with(
        &Erlang::start().map_err(no_erlang)?,
        kind,
        orders,
        cases,
        compare,
    )
}

/// Compares cases with what Elixir tells of them.
fn compare_with_elixir<C: Display>(
    kind: &str,
    orders: u64,
    cases: impl Iterator<Item = (u64, C)>,
    compare: impl Fn(&mut Sim, &C, &str),
) -> Result<Figures, Box<Failed>> {
    compare_with(&elixir()?, kind, orders, cases, compare)
}

fn elixir() -> Result<Erlang, Box<Failed>> {
    let no_elixir = |error: io::Error| Failed::new(0, "there is no Elixir", error.to_string());
    Ok(Erlang::start_with_elixir().map_err(no_elixir)?)
}

fn compare_with<C: Display>(
    erlang: &Erlang,
    kind: &str,
    orders: u64,
    cases: impl Iterator<Item = (u64, C)>,
    compare: impl Fn(&mut Sim, &C, &str),
) -> Result<Figures, Box<Failed>> {
    let mut figures = Figures::default();
    for (seed, case) in cases {
        let told = erlang.ask(&format!("{{{kind},{case}}}"));
        let told = told.unwrap_or_else(|error| error.to_string());
        let plan = Plan::new().seed_range(seed * orders..(seed + 1) * orders);
        match plan.try_run(|sim| compare(sim, &case, &told)) {
            Ok(report) => figures.add(&report),
            Err(failure) => return Err(of_case(seed, &case, &failure)),
        }
        figures.cases += 1;
    }
    Ok(figures)
}

/// Plays a case in a process of the simulation, and compares what it saw.
fn play<C, M, F>(sim: &mut Sim, case: &C, told: &str, seen: fn(resurgam::Context<M>, C) -> F)
where
    C: Clone + Send + 'static,
    M: Send + 'static,
    F: Future<Output = String> + Send + 'static,
{
    let (case, told) = (case.clone(), told.to_owned());
    let client = sim.client(move |ctx| async move {
        agree(&seen(ctx, case).await, &told);
    });
    sim.run(client.join());
}

fn of_case(seed: u64, case: &impl Display, failure: &Failure) -> Box<Failed> {
    let text = format!("{case}\n{failure}");
    Box::new(Failed::new(seed, failure.message(), text))
}

#[track_caller]
fn agree(seen: &str, told: &str) {
    assert!(
        seen == told,
        "Resurgam and Erlang differ:\n{seen}\nErlang:\n{told}"
    );
}
