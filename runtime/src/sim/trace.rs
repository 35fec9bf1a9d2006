//! The trace of a run: a fingerprint always, and lines to read if they are
//! wanted.

use std::collections::HashMap;
use std::hash::Hasher;
use std::time::{Duration, Instant};

use super::world::PairHasher;
use crate::pid::Pid;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) enum Happened {
    Ran(Pid),
    Arrived {
        from: Pid,
        to: Pid,
        what: String,
    },
    Time,
    TimerFired,
    TimerLate(Duration),
    Spawned {
        pid: Pid,
        parent: Option<Pid>,
        name: Option<String>,
    },
    Ended(Pid, String),
    Killed(Pid),
    ToPanic(Pid),
    InitFailed(Pid),
    Held(String, Duration),
    /// A line of the user's.
    Note(String),
}

/// What a run was like.
pub(super) struct Trace {
    begun: Instant,
    fingerprint: PairHasher,
    steps: u64,
    lines: Option<Vec<String>>,
    names: Names,
}

impl Trace {
    pub(super) fn new(begun: Instant, written: bool) -> Self {
        Self {
            begun,
            fingerprint: PairHasher::default(),
            steps: 0,
            lines: written.then(Vec::new),
            names: Names::default(),
        }
    }

    /// Whether somebody is going to read it.
    pub(super) fn is_written(&self) -> bool {
        self.lines.is_some()
    }

    pub(super) fn write(&mut self, now: Instant, happened: Happened) {
        self.steps += u64::from(happened.is_step());
        for number in happened.fingerprint() {
            self.fingerprint.write_u64(number);
        }
        if let Some(lines) = &mut self.lines {
            if let Happened::Spawned { pid, name, .. } = &happened
                && let Some(name) = name
            {
                self.names.0.insert(*pid, name.clone());
            }
            let at = now.duration_since(self.begun).as_secs_f64();
            let line = self.names.line(&happened);
            lines.push(format!("{:>7} {at:>12.6}s  {line}", self.steps));
        }
    }

    /// A number that is the same for runs in which the same happened.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

impl Happened {
    /// Whether it was chosen to happen, and did not just follow.
    fn is_step(&self) -> bool {
        !matches!(self, Self::Spawned { .. } | Self::Ended(..) | Self::Note(_))
    }

    fn fingerprint(&self) -> [u64; 3] {
        match self {
            Self::Ran(pid) => [1, pid.bits(), 0],
            Self::Arrived { from, to, .. } => [2, from.bits(), to.bits()],
            Self::Time => [3, 0, 0],
            Self::TimerFired => [4, 0, 0],
            Self::TimerLate(by) => [5, by.as_nanos() as u64, 0],
            Self::Spawned { pid, .. } => [6, pid.bits(), 0],
            Self::Ended(pid, _) => [7, pid.bits(), 0],
            Self::Killed(pid) => [8, pid.bits(), 0],
            Self::ToPanic(pid) => [9, pid.bits(), 0],
            Self::InitFailed(pid) => [10, pid.bits(), 0],
            Self::Held(_, length) => [11, length.as_nanos() as u64, 0],
            Self::Note(_) => [12, 0, 0],
        }
    }
}

/// What processes are called in the trace, beside their pids.
#[derive(Default)]
struct Names(HashMap<Pid, String>);

impl Names {
    fn of(&self, pid: Pid) -> String {
        match self.0.get(&pid) {
            Some(name) => format!("{name}{pid}"),
            None if pid == Pid::OUTSIDE => "outside".to_owned(),
            None if pid == Pid::NODE => "node".to_owned(),
            None => pid.to_string(),
        }
    }

    /// The line for something that happened.
    fn line(&self, happened: &Happened) -> String {
        match happened {
            Happened::Ran(pid) => format!("{} runs", self.of(*pid)),
            Happened::Arrived { from, to, what } => {
                format!("{} → {}  {what}", self.of(*from), self.of(*to))
            }
            Happened::Time => "time passes".to_owned(),
            Happened::TimerFired => "timer fires".to_owned(),
            Happened::TimerLate(by) => format!("FAULT timer is late by {by:?}"),
            Happened::Spawned { pid, parent, .. } => match parent {
                Some(parent) => format!("{} spawns {}", self.of(*parent), self.of(*pid)),
                None => format!("{} is spawned", self.of(*pid)),
            },
            Happened::Ended(pid, reason) => format!("{} ends: {reason}", self.of(*pid)),
            Happened::Killed(pid) => format!("FAULT {} is killed", self.of(*pid)),
            Happened::ToPanic(pid) => format!("FAULT {} is to panic", self.of(*pid)),
            Happened::InitFailed(pid) => format!("FAULT init of {} fails", self.of(*pid)),
            Happened::Held(what, length) => format!("FAULT {what} held up for {length:?}"),
            Happened::Note(text) => format!("note: {text}"),
        }
    }
}
