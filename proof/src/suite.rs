//! Suites: kinds of simulated cases, each case from a seed; and their commands.

use std::fmt::{self, Display};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lexopt::prelude::*;
use resurgam::sim::Report;
use tokio::time::Instant;

use crate::simulated::{self, sweep};
use crate::{scenarios, seeded};

/// A kind of simulated cases.
#[derive(Copy, Clone, Debug)]
pub struct Suite {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Runs the cases of these seeds, until one fails.
    pub run: fn(Range<u64>) -> Result<Figures, Box<Failed>>,
    /// How many seeds the hunt gives it.
    pub seeds: u64,
}

/// All of them, the cheapest first.
pub const ALL: &[Suite] = &[
    Suite {
        name: "simulated",
        run: seeded::settled,
        seeds: 1_000,
    },
    Suite {
        name: "scenarios",
        run: scenarios::all,
        seeds: 100,
    },
    Suite {
        name: "simulated-racy",
        run: seeded::racy,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-orders",
        run: seeded::exhaustive,
        seeds: 10,
    },
    Suite {
        name: "simulated-trees",
        run: seeded::trees,
        seeds: 500,
    },
    Suite {
        name: "simulated-statems",
        run: seeded::statems,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-events",
        run: seeded::events,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-servers",
        run: seeded::servers,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-groups",
        run: seeded::groups,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-keys",
        run: seeded::keys,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-tasks",
        run: seeded::tasks,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-pools",
        run: seeded::pools,
        seeds: 1_000,
    },
    Suite {
        name: "simulated-callbacks",
        run: seeded::restless,
        seeds: 500,
    },
    Suite {
        name: "simulated-applications",
        run: seeded::applications,
        seeds: 1_000,
    },
    Suite {
        name: "sweeps",
        run: sweeps,
        seeds: 2,
    },
];

/// The sweeps, until one fails.
fn sweeps(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let mut sum = Figures::default();
    for scenario in sweep::SCENARIOS {
        for blow in sweep::Blow::ALL {
            let mut figures = simulated::Figures::default();
            sweep::one(scenario, blow, seeds.clone(), &mut figures);
            if let Some(failure) = figures.failure {
                let what = format!("{}, {blow:?}: {}", scenario.name, failure.message());
                let text = failure.to_string();
                return Err(Box::new(Failed::new(failure.seed(), &what, text)));
            }
            sum.cases += 1;
            sum.runs += figures.runs;
            sum.steps += figures.steps;
            sum.faults += figures.faults;
        }
    }
    Ok(sum)
}

/// What was done without a failure.
#[derive(Copy, Clone, Debug, Default)]
pub struct Figures {
    /// How many cases were compared.
    pub cases: u64,
    /// How many were left out, as the model would have had to look at too
    /// much.
    pub left_out: u64,
    /// How many simulations were run.
    pub runs: u64,
    /// How many steps they took.
    pub steps: u64,
    /// How many faults they were struck by.
    pub faults: u64,
}

impl Figures {
    /// Adds what a plan did.
    pub fn add(&mut self, report: &Report) {
        self.runs += report.runs;
        self.steps += report.steps;
        self.faults += report.faults;
    }

    fn join(&mut self, other: Self) {
        self.cases += other.cases;
        self.left_out += other.left_out;
        self.runs += other.runs;
        self.steps += other.steps;
        self.faults += other.faults;
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases, {} left out, {} runs, {} steps, {} faults",
            self.cases, self.left_out, self.runs, self.steps, self.faults
        )
    }
}

/// A case that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// What went wrong, in a line.
    pub what: String,
    /// The case, and all that is known.
    pub text: String,
}

impl Failed {
    /// A case that failed.
    pub fn new(seed: u64, what: &str, text: String) -> Self {
        let what = what.lines().next().unwrap_or_default().to_owned();
        Self { seed, what, text }
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}\n{}", self.seed, self.text)
    }
}

/// Runs a suite on two threads, a part of the seeds at a time, until a case
/// fails.
///
/// # Errors
///
/// That case.
///
/// # Panics
///
/// If a suite does.
pub fn run(suite: &Suite, seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    const THREADS: usize = 2;
    const PARTS: u64 = 8;
    let part = (seeds.end - seeds.start).div_ceil(PARTS).clamp(1, 1024);
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Ok(Figures::default()));
    let work = || loop {
        let first = next.fetch_add(part, Ordering::Relaxed);
        if first >= seeds.end {
            return;
        }
        let result = (suite.run)(first..seeds.end.min(first + part));
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *sum, result) {
            (Err(_), _) => {}
            (Ok(sum), Ok(figures)) => sum.join(figures),
            (sum, Err(failed)) => {
                *sum = Err(failed);
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..THREADS).for_each(|_| drop(scope.spawn(work)));
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what the command line asks for, if it is a suite:
/// `NAME --programs N --seed S`.
///
/// # Errors
///
/// What is wrong with the command line.
pub fn command() -> Result<Option<ExitCode>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let Some(Value(command)) = parser.next()? else {
        return Ok(None);
    };
    let Some(suite) = ALL.iter().find(|suite| command == suite.name) else {
        return Ok(None);
    };
    let (mut first, mut count) = (0, suite.seeds);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seed") => first = parser.value()?.parse()?,
            Long("programs" | "seeds") => count = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    let begun = Instant::now();
    let result = run(suite, first..first + count);
    Ok(Some(tell(suite, begun.elapsed(), result)))
}

fn tell(suite: &Suite, time: Duration, result: Result<Figures, Box<Failed>>) -> ExitCode {
    let seconds = time.as_secs_f64();
    let name = suite.name;
    match result {
        Ok(figures) => {
            let speed = figures.steps as f64 / seconds / 1e6;
            println!("{name}: {figures}, {seconds:.1} s, {speed:.2} M steps/s, failures 0");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            println!("{name}: a failure after {seconds:.1} s\n{failed}");
            ExitCode::FAILURE
        }
    }
}
