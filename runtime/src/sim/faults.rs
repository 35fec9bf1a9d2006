//! What can go wrong in a simulation, and how often: [`Faults`].

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::tape::Tape;
use crate::name::Name;
use crate::pid::Pid;

/// Which faults a simulation injects, and at which rates.
///
/// Rates are chances from 0 to 1. Kills, panics, delays and clock jumps are
/// drawn at each step, late timers at each timer, failing inits at each init.
/// Every draw is a choice on the run's tape, so a replayed run has the same
/// faults, and a shrunk one only those it needs.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::sim::{Faults, Plan};
///
/// Plan::new().seeds(5).run(|sim| {
///     sim.faults(Faults::none().kill(0.01).late_timers(0.1, Duration::ZERO..Duration::from_secs(1)));
///     sim.run_for(Duration::from_secs(60));
/// });
/// ```
#[derive(Clone)]
#[must_use = "faults do nothing until `Sim::faults`"]
pub struct Faults {
    pub(super) kill: u32,
    pub(super) panic: u32,
    pub(super) delay: u32,
    pub(super) delays: Range<Duration>,
    pub(super) clock_jump: u32,
    pub(super) clock_jumps: Range<Duration>,
    pub(super) late_timer: u32,
    pub(super) lateness: Range<Duration>,
    pub(super) init_fails: u32,
    swarm: bool,
    only: Option<Arc<Choose>>,
}

pub(super) type Choose = dyn Fn(&Victim) -> bool + Send + Sync;

/// A process that a fault is about to strike.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Victim {
    /// Who it is.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
    /// Its label.
    pub label: Option<Arc<str>>,
    /// Who spawned it.
    pub parent: Option<Pid>,
}

/// A fault that is drawn at a step.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Kill,
    Panic,
    Delay,
    ClockJump,
}

impl Faults {
    const KINDS: [Kind; 4] = [Kind::Kill, Kind::Panic, Kind::Delay, Kind::ClockJump];

    /// No faults: only the order of what happens is left to chance.
    pub fn none() -> Self {
        let none = Duration::ZERO..Duration::ZERO;
        Self {
            kill: 0,
            panic: 0,
            delay: 0,
            delays: none.clone(),
            clock_jump: 0,
            clock_jumps: none.clone(),
            late_timer: 0,
            lateness: none,
            init_fails: 0,
            swarm: false,
            only: None,
        }
    }

    /// Kinds and rates drawn anew for each run: about half of the kinds, each
    /// at a rate between one in 30 and one in 10 000. Runs that differ in kind
    /// find more than runs that have a little of everything.
    pub fn swarm() -> Self {
        Self {
            swarm: true,
            ..Self::none()
        }
    }

    /// Kills a process, at the await it has come to.
    pub fn kill(mut self, rate: f64) -> Self {
        self.kill = chance(rate, "kill");
        self
    }

    /// Lets a process panic at its next await, or a server in its next
    /// callback.
    pub fn panic(mut self, rate: f64) -> Self {
        self.panic = chance(rate, "panic");
        self
    }

    /// Holds up what could happen next, a turn of a process or the signals of
    /// one process to another, for a time drawn from `length`.
    pub fn delay(mut self, rate: f64, length: Range<Duration>) -> Self {
        self.delay = chance(rate, "delay");
        self.delays = length;
        self
    }

    /// Moves the clock on by a time drawn from `length`, whatever else could
    /// happen, as after a suspended machine.
    pub fn clock_jumps(mut self, rate: f64, length: Range<Duration>) -> Self {
        self.clock_jump = chance(rate, "clock_jumps");
        self.clock_jumps = length;
        self
    }

    /// Lets a timer fire late, by a time drawn from `length`.
    pub fn late_timers(mut self, rate: f64, length: Range<Duration>) -> Self {
        self.late_timer = chance(rate, "late_timers");
        self.lateness = length;
        self
    }

    /// Lets the start of a server fail before its `init` runs.
    pub fn init_fails(mut self, rate: f64) -> Self {
        self.init_fails = chance(rate, "init_fails");
        self
    }

    /// Strikes only the processes that `choose` says yes to. Without it, all
    /// but the protected ones ([`Sim::protect`](super::Sim::protect),
    /// [`Sim::protect_all`](super::Sim::protect_all)) can be struck. It is asked in the midst of a step: it can look at the victim,
    /// and must not use the node.
    pub fn only(mut self, choose: impl Fn(&Victim) -> bool + Send + Sync + 'static) -> Self {
        self.only = Some(Arc::new(choose));
        self
    }

    /// The faults of this run.
    pub(super) fn drawn(mut self, tape: &mut Tape) -> Self {
        if !self.swarm {
            return self;
        }
        self.swarm = false;
        let second = Duration::from_secs(1);
        let short = Duration::from_micros(1)..second;
        self.kill = draw(tape);
        self.panic = draw(tape);
        self.delay = draw(tape);
        self.delays = short.clone();
        self.clock_jump = draw(tape) / 10;
        self.clock_jumps = second..60 * second;
        self.late_timer = draw(tape);
        self.lateness = short;
        self.init_fails = draw(tape);
        self
    }

    /// The chances of the kinds that are drawn at each step, each with all
    /// before it.
    pub(super) fn cumulative(&self) -> [u32; 4] {
        let mut sum = 0_u32;
        [self.kill, self.panic, self.delay, self.clock_jump].map(|chance| {
            sum = sum.saturating_add(chance);
            sum
        })
    }

    pub(super) fn kind(drawn: usize) -> Option<Kind> {
        Self::KINDS.get(drawn.checked_sub(1)?).copied()
    }

    pub(super) fn allows(&self, victim: &Victim) -> bool {
        self.only.as_ref().is_none_or(|only| only(victim))
    }
}

/// A rate as a chance of 2^32.
///
/// # Panics
///
/// If it is none.
fn chance(rate: f64, what: &str) -> u32 {
    assert!(
        (0.0..=1.0).contains(&rate),
        "the rate of `{what}` is {rate}; it must be from 0 to 1"
    );
    (rate * f64::from(u32::MAX)) as u32
}

/// No chance, or one between one in 30 and one in 10 000.
fn draw(tape: &mut Tape) -> u32 {
    const RATES: [f64; 6] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03];
    let drawn = tape.choose(2 * RATES.len());
    RATES
        .get(drawn.wrapping_sub(RATES.len()))
        .map_or(0, |rate| chance(*rate, "swarm"))
}

/// A time from a range, from the tape: its start is the plainest.
pub(super) fn draw_time(tape: &mut Tape, range: &Range<Duration>) -> Duration {
    const PARTS: u32 = 1024;
    let part = tape.choose(PARTS as usize) as u32;
    range.start + range.end.saturating_sub(range.start) / PARTS * part
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Faults");
        let rate = |chance: u32| f64::from(chance) / f64::from(u32::MAX);
        for (name, chance) in [
            ("kill", self.kill),
            ("panic", self.panic),
            ("delay", self.delay),
            ("clock_jump", self.clock_jump),
            ("late_timer", self.late_timer),
            ("init_fails", self.init_fails),
        ] {
            if chance > 0 {
                out.field(name, &format_args!("{:.4}", rate(chance)));
            }
        }
        out.finish()
    }
}
