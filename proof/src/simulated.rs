//! Sweeps and soaks, in the simulator. Whatever they assert themselves,
//! the simulator's books and the audit of supervisors are kept beside them.
//!
//! * [`sweep`]: small scenarios, each with a blow at every step;
//! * [`steps`]: random programs and trees under random faults;
//! * [`day`]: a day of one application's life;
//! * [`calls`]: calls while callers and servers are killed.

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use resurgam::sim::{Failure, Report, Sim};
use tokio::time::Instant;

pub mod calls;
pub mod day;
pub mod steps;
pub mod sweep;

/// What came of many simulations.
#[derive(Debug)]
pub struct Figures {
    /// How many runs.
    pub runs: u64,
    /// How many steps they took.
    pub steps: u64,
    /// How many faults they were struck by.
    pub faults: u64,
    /// How long they took on their own clocks.
    pub elapsed: Duration,
    /// What else was counted.
    pub counts: Vec<(&'static str, u64)>,
    /// The first run that failed.
    pub failure: Option<Box<Failure>>,
    begun: Instant,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            runs: 0,
            steps: 0,
            faults: 0,
            elapsed: Duration::ZERO,
            counts: Vec::new(),
            failure: None,
            begun: Instant::now(),
        }
    }
}

impl Figures {
    /// Adds what a plan did; whether to go on.
    pub fn add(&mut self, result: Result<Report, Box<Failure>>) -> bool {
        match result {
            Ok(report) => {
                self.runs += report.runs;
                self.steps += report.steps;
                self.faults += report.faults;
                self.elapsed += report.elapsed;
            }
            Err(failure) => self.failure = Some(failure),
        }
        self.failure.is_none()
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.begun.elapsed().as_secs_f64();
        write!(
            f,
            "{} runs, {} steps, {} faults, {:.0} s of virtual time, ",
            self.runs,
            self.steps,
            self.faults,
            self.elapsed.as_secs_f64()
        )?;
        for (what, count) in &self.counts {
            write!(f, "{count} {what}, ")?;
        }
        write!(
            f,
            "violations {}, {seconds:.1} s, {:.2} M steps/s",
            u8::from(self.failure.is_some()),
            self.steps as f64 / seconds / 1e6
        )?;
        match &self.failure {
            Some(failure) => write!(f, "\n{failure}"),
            None => Ok(()),
        }
    }
}

/// Nobody is left, when everybody had the time to go.
///
/// # Panics
///
/// If somebody is.
pub fn expect_nothing_left(sim: &mut Sim) {
    const LONG: Duration = Duration::from_secs(3600);
    sim.run_for(LONG);
    sim.run_until_idle();
    let node = sim.node();
    let (left, names) = (node.processes(), node.registered());
    assert!(left.is_empty(), "orphans: {left:?}");
    assert!(names.is_empty(), "names are left: {names:?}");
    assert_eq!(node.timer_count(), 0, "timers are left");
}

/// Runs what the command line asks for, if it is one of the simulations:
/// `sweep --seeds N`, `soak --steps N --faults N --seed S`, `day --seed S`,
/// `calls --count N --seed S`.
///
/// # Errors
///
/// What is wrong with the command line.
pub fn command() -> Result<Option<ExitCode>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let Some(Value(command)) = parser.next()? else {
        return Ok(None);
    };
    let command = command.string()?;
    let mut wanted = Wanted::default();
    if !["sweep", "soak", "day", "calls"].contains(&command.as_str()) {
        return Ok(None);
    }
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seed") => wanted.seed = parser.value()?.parse()?,
            Long("seeds") => wanted.seeds = parser.value()?.parse()?,
            Long("steps") => wanted.steps = parser.value()?.parse()?,
            Long("faults") => wanted.faults = parser.value()?.parse()?,
            Long("count") => wanted.count = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    let figures = wanted.run(&command);
    println!("{command}: {figures}");
    Ok(Some(ExitCode::from(u8::from(figures.failure.is_some()))))
}

/// How much is asked for.
struct Wanted {
    seed: u64,
    seeds: u64,
    steps: u64,
    faults: u64,
    count: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            seed: 0,
            seeds: 20,
            steps: 2_000_000,
            faults: 0,
            count: 1_000_000,
        }
    }
}

impl Wanted {
    fn run(&self, command: &str) -> Figures {
        let Self {
            seed,
            seeds,
            steps,
            faults,
            count,
        } = *self;
        match command {
            "sweep" => sweep::all(seeds),
            "day" => day::live(seed),
            "calls" => calls::soak(count, seed),
            _ => steps::soak(steps::Amount {
                steps,
                faults,
                seed,
            }),
        }
    }
}
