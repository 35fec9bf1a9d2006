//! The trace of a run: a fingerprint always, and lines to read if they are
//! wanted.

use std::fmt;
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
        who: String,
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
}

impl Trace {
    pub(super) fn new(begun: Instant, written: bool) -> Self {
        Self {
            begun,
            fingerprint: PairHasher::default(),
            steps: 0,
            lines: written.then(Vec::new),
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
            let at = now.duration_since(self.begun).as_secs_f64();
            lines.push(format!("{:>7} {at:>12.6}s  {happened}", self.steps));
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

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran(pid) => write!(f, "{pid} runs"),
            Self::Arrived { from, to, what } => write!(f, "{from} → {to}  {what}"),
            Self::Time => f.write_str("time passes"),
            Self::TimerFired => f.write_str("timer fires"),
            Self::TimerLate(by) => write!(f, "FAULT timer is late by {by:?}"),
            Self::Spawned { pid, who } => write!(f, "{pid} is spawned{who}"),
            Self::Ended(pid, reason) => write!(f, "{pid} ends: {reason}"),
            Self::Killed(pid) => write!(f, "FAULT {pid} is killed"),
            Self::ToPanic(pid) => write!(f, "FAULT {pid} is to panic"),
            Self::InitFailed(pid) => write!(f, "FAULT init of {pid} fails"),
            Self::Held(what, length) => write!(f, "FAULT {what} held up for {length:?}"),
            Self::Note(text) => write!(f, "note: {text}"),
        }
    }
}
