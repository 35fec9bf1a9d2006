//! What a supervisor remembers of a child that needs more care than OTP's.

use std::time::{Duration, Instant};

use crate::care::{Care, WhenSpent};
use crate::child_spec::ChildSpec;
use crate::intensity::RestartLog;

/// When something happened, with a number that chance chose, for the delays
/// that need one.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) random: u64,
}

/// Why a child is down that should not be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// It ran, and ended.
    Fell,
    /// It could not be started again.
    NotStarted,
}

/// The restarts of one child.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    care: Care,
    /// How many delays in a row there were.
    delays: u32,
    last_attempt: Option<Instant>,
    /// The budget of its own.
    restarts: Option<RestartLog>,
}

impl Record {
    /// Of a child that needs one.
    pub(crate) fn of(spec: &ChildSpec) -> Option<Box<Self>> {
        let care = *spec.care()?;
        Some(Box::new(Self::new(care)))
    }

    fn new(care: Care) -> Self {
        Self {
            care,
            delays: 0,
            last_attempt: None,
            restarts: care.intensity.map(RestartLog::new),
        }
    }

    /// Forgets all that counted.
    pub(crate) fn renew(&mut self) {
        *self = Self::new(self.care);
    }

    /// For how long the child stays down; `None` if it is restarted at once.
    pub(crate) fn delay(&mut self, setback: Setback, at: Moment) -> Option<Duration> {
        let backoff = self.care.backoff?;
        let ran = |last| at.now.saturating_duration_since(last);
        if setback == Setback::Fell
            && self
                .last_attempt
                .is_some_and(|last| backoff.is_stable(ran(last)))
        {
            self.delays = 0;
        }
        let delay = backoff.delay(self.delays, at.random);
        self.delays = self.delays.saturating_add(1);
        Some(delay)
    }

    /// The child is about to be restarted.
    pub(crate) fn attempted(&mut self, now: Instant) {
        self.last_attempt = Some(now);
    }

    /// The budget of the child's own.
    pub(crate) fn restarts(&self) -> Option<&RestartLog> {
        self.restarts.as_ref()
    }

    /// As [`restarts`](Self::restarts), to count in.
    pub(crate) fn restarts_mut(&mut self) -> Option<&mut RestartLog> {
        self.restarts.as_mut()
    }

    pub(crate) fn when_spent(&self) -> WhenSpent {
        self.care.when_spent
    }
}
