//! [`Plan`]: a scenario under many seeds, and what is made of a failure.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use super::random::Random;
use super::shrink::shrink;
use super::tape::{Choice, Priorities, Source, Tape, next_in_order};
use super::{Blow, Order, Setup, Sim, StoppedHere};
use crate::panic_hook;
use crate::pid::Pid;

/// How the order of what happens is chosen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explore {
    /// Any of the things that could happen, with equal chance.
    Random,
    /// By random priorities that change at `depth` random moments: finds bugs
    /// that need one process to be much slower than another.
    Priority {
        /// How many moments.
        depth: u32,
    },
    /// Random and priorities by turns.
    Mixed,
    /// Every order, one after the other, as far as the first `depth` choices
    /// of a run go. For scenarios of a few steps; seeds do not matter then, and
    /// their number is the greatest number of runs.
    Exhaustive {
        /// How many choices from the start of a run are varied.
        depth: usize,
    },
}

/// How a scenario is simulated: under which seeds, in which orders.
///
/// Two variables of the environment overrule a plan: `SIM_SEED` runs one seed
/// and prints its trace, `SIM_SEEDS` sets how many seeds are run.
/// `SIM_TAPE` runs the choices that a failure printed.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::sim::{Explore, Plan};
/// use resurgam_runtime::{Context, spawn_link};
///
/// let report = Plan::new().seeds(50).explore(Explore::Mixed).run(|sim| {
///     let ended = sim.run(async {
///         let child = spawn_link(|_: Context<()>| async {}).unwrap();
///         child.join().await
///     });
///     assert!(ended.is_normal());
/// });
/// assert_eq!(report.runs, 51, "the first seed runs twice, to see that a seed is a run");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a plan does nothing until `run`"]
pub struct Plan {
    name: Option<&'static str>,
    seeds: Range<u64>,
    explore: Explore,
    shrinking: usize,
}

/// What a plan did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many runs.
    pub runs: u64,
    /// How many steps they took in all.
    pub steps: u64,
    /// How many faults were injected in all.
    pub faults: u64,
    /// How long the runs took on their own clocks.
    pub elapsed: Duration,
    /// Whether an exhaustive search came to its end.
    pub exhausted: bool,
}

/// A run that failed.
#[derive(Clone)]
pub struct Failure {
    name: Option<&'static str>,
    seed: u64,
    message: String,
    steps: u64,
    elapsed: Duration,
    blow: Option<Order>,
    tape: Vec<u32>,
    choices_before: usize,
    trace: Vec<String>,
}

impl Failure {
    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What went wrong in it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The trace of the shrunk run.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// How many choices of the shrunk run are not the plainest.
    pub fn choices(&self) -> usize {
        self.tape.iter().filter(|value| **value != 0).count()
    }
}

/// How one run went.
struct Run {
    result: Result<(), String>,
    choices: Vec<Choice>,
    fingerprint: u64,
    steps: u64,
    faults: u64,
    elapsed: Duration,
    trace: Vec<String>,
    killable: Vec<(u64, Vec<Pid>)>,
    /// How many steps the scenario took, without the stop at its end.
    scenario_steps: u64,
}

impl Run {
    fn tape(&self) -> Vec<u32> {
        self.choices.iter().map(|choice| choice.value).collect()
    }

    /// A blow to everybody who can be struck at each step.
    fn strikes(&self, blow: fn(Pid) -> Blow) -> Vec<Order> {
        let at = |(step, victims): &(u64, Vec<Pid>)| {
            let step = *step;
            let order = move |victim: &Pid| Order {
                step,
                blow: blow(*victim),
            };
            victims.iter().map(order).collect::<Vec<_>>()
        };
        self.killable.iter().flat_map(at).collect()
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// A hundred seeds, random orders and priorities by turns.
    pub fn new() -> Self {
        Self {
            name: None,
            seeds: 0..100,
            explore: Explore::Mixed,
            shrinking: 2000,
        }
    }

    /// A name for what is printed.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// How many seeds, from 0.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = 0..seeds;
        self
    }

    /// Which seeds.
    pub fn seed_range(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// How the order of what happens is chosen.
    pub fn explore(mut self, explore: Explore) -> Self {
        self.explore = explore;
        self
    }

    /// How many runs shrinking may take; 0 turns it off.
    pub fn shrinking(mut self, runs: usize) -> Self {
        self.shrinking = runs;
        self
    }

    /// Runs the scenario under every seed.
    ///
    /// # Panics
    ///
    /// With the [`Failure`], if a run fails.
    pub fn run(&self, scenario: impl Fn(&mut Sim)) -> Report {
        match self.try_run(scenario) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`run`](Self::run), without the panic.
    ///
    /// # Errors
    ///
    /// The first failure, shrunk.
    pub fn try_run(&self, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        if let Some(tape) = tape_from_environment() {
            let run = self.once(
                0,
                Tape::replaying(tape, Source::Plain),
                None,
                true,
                &scenario,
            );
            print_trace(&run.trace);
            return self
                .judge(&mut report, 0, None, run, &scenario)
                .map(|()| report);
        }
        let (seeds, traced) = self.chosen_seeds();
        if let (Explore::Exhaustive { depth }, false) = (self.explore, traced) {
            return self.search(seeds.end - seeds.start, depth, &scenario);
        }
        for seed in seeds.clone() {
            let tape = Tape::new(self.source(seed));
            let run = self.once(seed, tape.clone(), None, traced, &scenario);
            if traced {
                print_trace(&run.trace);
            }
            let fingerprint = (run.fingerprint, run.steps);
            self.judge(&mut report, seed, None, run, &scenario)?;
            if seed == seeds.start {
                let again = self.once(seed, tape, None, false, &scenario);
                self.same(seed, fingerprint, &again)?;
                self.judge(&mut report, seed, None, again, &scenario)?;
            }
        }
        Ok(report)
    }

    /// Runs the scenario once without a kill, then once for each process at
    /// each step with that process killed there: a scenario of a thousand
    /// steps with ten processes is run ten thousand times. Clients and
    /// protected processes are left alone. The scenario must hold with any
    /// single death in it; what is checked besides are the books.
    ///
    /// Every seed of the plan is a sweep of its own, of the order it stands
    /// for; seed 0 is the plainest order.
    ///
    /// # Panics
    ///
    /// With the [`Failure`], if a run fails.
    pub fn sweep_kills(&self, scenario: impl Fn(&mut Sim)) -> Report {
        match self.try_sweep_kills(scenario) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`sweep_kills`](Self::sweep_kills), with panics instead of kills:
    /// each process panics at its next await after each step, or, if it is a
    /// server, in its next callback. So what cleans up after a panic is swept,
    /// `terminate` of a server for one.
    ///
    /// # Panics
    ///
    /// With the [`Failure`], if a run fails.
    pub fn sweep_panics(&self, scenario: impl Fn(&mut Sim)) -> Report {
        match self.try_sweep_panics(scenario) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs the scenario once to its end, then once for each of its steps with
    /// the node stopped there, in good order, as by [`Node::stop`]; what would
    /// have come after it is not run. All processes must end by themselves, and
    /// who waits [outside](Sim::outside) must be told. Clients are no
    /// exception.
    ///
    /// # Panics
    ///
    /// With the [`Failure`], if a run fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::sim::Plan;
    /// use resurgam_runtime::{Context, join, sleep, spawn};
    ///
    /// let report = Plan::new().seeds(1).sweep_stops(|sim| {
    ///     sim.run(async {
    ///         let other = spawn(|_: Context<()>| sleep(Duration::from_secs(1))).unwrap();
    ///         assert!(other.join().await.is_normal());
    ///     });
    /// });
    /// assert!(report.faults > 3, "it was stopped at each step");
    /// ```
    ///
    /// [`Node::stop`]: crate::Node::stop
    pub fn sweep_stops(&self, scenario: impl Fn(&mut Sim)) -> Report {
        match self.try_sweep_stops(scenario) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`sweep_stops`](Self::sweep_stops), without the panic.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub fn try_sweep_stops(&self, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
        self.try_sweep(
            |run| {
                (0..run.scenario_steps)
                    .map(|step| Order {
                        step,
                        blow: Blow::Stop,
                    })
                    .collect()
            },
            scenario,
        )
    }

    /// As [`sweep_panics`](Self::sweep_panics), without the panic.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub fn try_sweep_panics(&self, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
        self.try_sweep(|run| run.strikes(Blow::Panic), scenario)
    }

    /// As [`sweep_kills`](Self::sweep_kills), without the panic.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub fn try_sweep_kills(&self, scenario: impl Fn(&mut Sim)) -> Result<Report, Box<Failure>> {
        self.try_sweep(|run| run.strikes(Blow::Kill), scenario)
    }

    /// Runs the scenario, then once with each of the orders that the first run
    /// gives rise to.
    fn try_sweep(
        &self,
        orders: impl Fn(&Run) -> Vec<Order>,
        scenario: impl Fn(&mut Sim),
    ) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        for seed in self.chosen_seeds().0 {
            let source = if seed == 0 {
                Source::Plain
            } else {
                self.source(seed)
            };
            let tape = Tape::new(source);
            let setup = Setup {
                seed,
                tape: tape.clone(),
                traced: false,
                order: None,
                surveyed: true,
            };
            let whole = perform(setup, &scenario);
            let orders = orders(&whole);
            self.judge(&mut report, seed, None, whole, &scenario)?;
            for order in orders {
                let run = self.once(seed, tape.clone(), Some(order), false, &scenario);
                self.judge(&mut report, seed, Some(order), run, &scenario)?;
            }
        }
        Ok(report)
    }

    /// Runs every order there is.
    fn search(
        &self,
        limit: u64,
        depth: usize,
        scenario: &impl Fn(&mut Sim),
    ) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        let mut next = Some(Vec::new());
        while let Some(replay) = next {
            if report.runs == limit {
                return Ok(report);
            }
            let tape = Tape::replaying(replay, Source::Plain);
            let run = self.once(0, tape, None, false, scenario);
            next = next_in_order(&run.choices, depth);
            self.judge(&mut report, 0, None, run, scenario)?;
        }
        report.exhausted = true;
        Ok(report)
    }

    /// Where the choices of a seed come from. It depends on nothing else, or a
    /// seed alone would not be a run.
    fn source(&self, seed: u64) -> Source {
        // Nobody knows how long the run will be.
        const LENGTHS: [u64; 4] = [100, 1_000, 10_000, 100_000];
        let length = LENGTHS[(seed / 8 % 4) as usize];
        let priorities = |depth| Source::Priority(Priorities::new(seed, depth, length));
        match self.explore {
            Explore::Priority { depth } => priorities(depth),
            Explore::Mixed if seed % 2 == 1 => priorities((seed / 2 % 4) as u32),
            Explore::Mixed | Explore::Random | Explore::Exhaustive { .. } => {
                Source::Random(Random::new(seed))
            }
        }
    }

    /// The seeds to run, and whether it is one that somebody wants to see.
    fn chosen_seeds(&self) -> (Range<u64>, bool) {
        if let Some(seed) = number_from_environment("SIM_SEED") {
            return (seed..seed + 1, true);
        }
        let mut seeds = self.seeds.clone();
        if let Some(count) = number_from_environment("SIM_SEEDS") {
            seeds.end = seeds.start + count;
        }
        (seeds, false)
    }

    fn once(
        &self,
        seed: u64,
        tape: Tape,
        order: Option<Order>,
        traced: bool,
        scenario: &impl Fn(&mut Sim),
    ) -> Run {
        let setup = Setup {
            seed,
            tape,
            traced,
            order,
            surveyed: false,
        };
        perform(setup, scenario)
    }

    fn judge(
        &self,
        report: &mut Report,
        seed: u64,
        order: Option<Order>,
        run: Run,
        scenario: &impl Fn(&mut Sim),
    ) -> Result<(), Box<Failure>> {
        report.runs += 1;
        report.steps += run.steps;
        report.faults += run.faults;
        report.elapsed += run.elapsed;
        match run.result {
            Ok(()) => Ok(()),
            Err(_) => Err(Box::new(self.examine(seed, order, &run, scenario))),
        }
    }

    /// Shrinks a failing run and traces what is left.
    fn examine(
        &self,
        seed: u64,
        order: Option<Order>,
        failed: &Run,
        scenario: &impl Fn(&mut Sim),
    ) -> Failure {
        // Some seconds, whatever the size of the runs.
        const MOST_STEPS: u64 = 3_000_000;
        let replay = |tape: &[u32], traced| {
            let tape = Tape::replaying(tape.to_vec(), Source::Plain);
            self.once(seed, tape, order, traced, scenario)
        };
        let kind = failed.result.as_ref().err().map(|message| kind_of(message));
        let mut stepped = 0;
        let tape = shrink(failed.tape(), self.shrinking, |tape| {
            if stepped > MOST_STEPS {
                return false;
            }
            let again = replay(tape, false);
            stepped += again.steps;
            again.result.err().map(|message| kind_of(&message)) == kind
        });
        let shrunk = replay(&tape, true);
        // The last word has the run that is shown, if it fails as it should.
        let message = match (&shrunk.result, &failed.result) {
            (Err(message), _) | (Ok(()), Err(message)) => message.clone(),
            (Ok(()), Ok(())) => String::new(),
        };
        Failure {
            name: self.name,
            seed,
            message,
            steps: shrunk.steps,
            elapsed: shrunk.elapsed,
            blow: order,
            choices_before: failed.choices.len(),
            tape,
            trace: shrunk.trace,
        }
    }

    /// A seed must be a run: anything else is a source of chance that the
    /// simulation does not know of.
    fn same(&self, seed: u64, before: (u64, u64), again: &Run) -> Result<(), Box<Failure>> {
        if (again.fingerprint, again.steps) == before {
            return Ok(());
        }
        Err(Box::new(Failure {
            name: self.name,
            seed,
            message: format!(
                "two runs of one seed differ ({} and {} steps): something asks the real time, \
                 a random number or the order of a hash map that no seed decides",
                before.1, again.steps
            ),
            steps: again.steps,
            elapsed: again.elapsed,
            blow: None,
            tape: Vec::new(),
            choices_before: again.choices.len(),
            trace: Vec::new(),
        }))
    }
}

fn perform(setup: Setup, scenario: &impl Fn(&mut Sim)) -> Run {
    let mut sim = Sim::new(setup);
    let mut scenario_steps = 0;
    let result = panic_hook::silent_caught(AssertUnwindSafe(|| {
        scenario(&mut sim);
        scenario_steps = sim.steps();
        sim.stop();
    }));
    let result = match result {
        Err(payload) if payload.is::<StoppedHere>() => Ok(()),
        other => other,
    };
    let (choices, fingerprint, trace) = sim.take_record();
    Run {
        result: result.map_err(|payload| message_of(&*payload)),
        choices,
        fingerprint,
        steps: sim.steps(),
        faults: sim.faults_injected(),
        elapsed: sim.elapsed(),
        trace,
        killable: sim.take_killable(),
        scenario_steps,
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic whose payload is no string")
        .to_owned()
}

/// What kind of failure it is: its message without the numbers, which change
/// when a run shrinks.
fn kind_of(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("the variable {name} is `{text}`; it must be a number"),
    }
}

/// A tape as a failure prints it: the choices that are not zero, by place.
fn tape_from_environment() -> Option<Vec<u32>> {
    let text = std::env::var("SIM_TAPE").ok()?;
    let mut tape = Vec::new();
    for entry in text.split(',').filter(|entry| !entry.is_empty()) {
        let parsed = entry
            .split_once(':')
            .and_then(|(at, value)| Some((at.parse::<usize>().ok()?, value.parse().ok()?)));
        let Some((at, value)) = parsed else {
            panic!("the variable SIM_TAPE has `{entry}`; it must be `place:choice`");
        };
        tape.resize(tape.len().max(at + 1), 0);
        tape[at] = value;
    }
    Some(tape)
}

fn tape_as_text(tape: &[u32]) -> String {
    let entries = tape.iter().enumerate().filter(|(_, value)| **value != 0);
    let entries: Vec<String> = entries.map(|(at, value)| format!("{at}:{value}")).collect();
    entries.join(",")
}

#[allow(clippy::print_stderr, reason = "somebody asked to see it")]
fn print_trace(trace: &[String]) {
    for line in trace {
        eprintln!("{line}");
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 80;
        let name = self.name.unwrap_or("simulation");
        writeln!(
            f,
            "{name} failed under seed {}: {}",
            self.seed, self.message
        )?;
        writeln!(
            f,
            "  after {} steps and {:?} of its own time",
            self.steps, self.elapsed
        )?;
        if let Some(Order { step, blow }) = self.blow {
            match blow {
                Blow::Kill(victim) => write!(f, "  with {victim} killed")?,
                Blow::Panic(victim) => write!(f, "  with {victim} made to panic")?,
                Blow::Stop => write!(f, "  with the node stopped")?,
            }
            writeln!(f, " before step {step}")?;
        }
        writeln!(f, "  the run again: SIM_SEED={}", self.seed)?;
        let (before, choices) = (self.choices_before, self.choices());
        write!(f, "  shrunk from {before} choices to {choices}")?;
        // A tape alone does not say whom a sweep struck.
        if choices <= LINES && self.blow.is_none() {
            write!(f, ": SIM_TAPE={}", tape_as_text(&self.tape))?;
        }
        writeln!(f)?;
        let from = self.trace.len().saturating_sub(LINES);
        if from > 0 {
            writeln!(f, "  ... {from} lines before")?;
        }
        for line in &self.trace[from..] {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
