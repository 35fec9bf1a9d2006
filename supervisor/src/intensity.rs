//! Restart intensity: how many restarts within how long are too many.
//!
//! Pure: the time is handed in. An attempt costs the same whatever the limit.

use resurgam_runtime::planted;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How many restarts a supervisor attempts within a period before it gives up.
///
/// The period is a sliding window with exact instants: an attempt is refused
/// when at least `max_restarts` earlier attempts were made no longer ago than
/// the period. The budget belongs to the supervisor and is shared by all its
/// children. With `max_restarts` 0 the first death that calls for a restart
/// ends the supervisor.
///
/// # Differences from Erlang
///
/// Erlang rounds the window to whole seconds, and its default is one restart;
/// the default here is Elixir's.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_supervisor::RestartIntensity;
///
/// let intensity = RestartIntensity::default();
/// assert_eq!(intensity, RestartIntensity::new(3, Duration::from_secs(5)));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RestartIntensity {
    /// Attempts allowed within the period.
    pub(crate) max_restarts: u32,
    /// How long an attempt counts.
    pub(crate) period: Duration,
}

impl RestartIntensity {
    /// At most `max_restarts` attempts within `period`.
    pub const fn new(max_restarts: u32, period: Duration) -> Self {
        Self {
            max_restarts,
            period,
        }
    }

    /// The attempts allowed within the period.
    pub const fn max_restarts(&self) -> u32 {
        self.max_restarts
    }

    /// How long an attempt counts.
    pub const fn period(&self) -> Duration {
        self.period
    }
}

/// Three restarts within five seconds.
impl Default for RestartIntensity {
    fn default() -> Self {
        Self::new(3, Duration::from_secs(5))
    }
}

/// Whether a restart may be attempted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[must_use = "a refused attempt ends the supervisor"]
pub(crate) enum Attempt {
    Allowed,
    Refused,
}

/// The restart attempts of one supervisor that still count.
#[derive(Clone, Debug)]
pub(crate) struct RestartLog {
    intensity: RestartIntensity,
    // Invariant: oldest first, and never more than `max_restarts` stamps.
    // It grows with use, so a huge limit costs nothing until it is needed.
    recent: VecDeque<Instant>,
}

impl RestartLog {
    pub(crate) fn new(intensity: RestartIntensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Stamps an attempt, unless it is one too many.
    pub(crate) fn record(&mut self, now: Instant) -> Attempt {
        // One stamp comes in for at most two that go, so the log shrinks again
        // after a storm although no attempt ever walks over it.
        if self.forget_expired(now) {
            self.forget_expired(now);
        }
        if self.is_full() {
            return Attempt::Refused;
        }
        self.recent.push_back(now);
        Attempt::Allowed
    }

    /// Whether an attempt at this time, now or later, is bound to be refused.
    pub(crate) fn refuses(&self, then: Instant) -> bool {
        let still_counts = |oldest: &Instant| !is_expired(self.intensity, *oldest, then);
        self.is_full() && self.recent.front().is_none_or(still_counts)
    }

    pub(crate) fn intensity(&self) -> RestartIntensity {
        self.intensity
    }

    /// Drops the oldest stamp if it has left the window; whether it had.
    fn forget_expired(&mut self, now: Instant) -> bool {
        let intensity = self.intensity;
        self.recent
            .pop_front_if(|oldest| is_expired(intensity, *oldest, now))
            .is_some()
    }

    /// As stamps are ordered, a full log whose oldest stamp has not expired
    /// holds only stamps that count.
    fn is_full(&self) -> bool {
        let one_more = usize::from(planted!(IntensityOneMore));
        self.recent.len() >= self.intensity.max_restarts as usize + one_more
    }
}

/// Whether this stamp has left the window.
fn is_expired(intensity: RestartIntensity, stamp: Instant, now: Instant) -> bool {
    let period = if planted!(WindowTooShort) {
        intensity.period / 2
    } else {
        intensity.period
    };
    now.saturating_duration_since(stamp) > period
}
