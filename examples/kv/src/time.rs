//! Time as Redis counts it, taken from the node's clock.

use std::time::{Duration, Instant, SystemTime};

/// A point in time, in milliseconds since the beginning of 1970.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// The milliseconds from `self` until `later`, negative if it has passed.
    pub fn until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }
}

/// Tells the date of an instant of a node's clock.
///
/// The system's date is looked at once, when the server starts. From then on
/// only the node's clock counts, so a change of the date expires no key.
#[derive(Copy, Clone, Debug)]
pub struct Calendar {
    origin: Instant,
    date: UnixTime,
}

impl Calendar {
    /// A calendar on which `origin` is the system's date.
    #[allow(
        clippy::disallowed_methods,
        reason = "a node's clock does not know the date"
    )]
    pub fn today(origin: Instant) -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self::starting(origin, UnixTime(since_1970.map_or(0, milliseconds)))
    }

    /// A calendar on which `origin` is `date`.
    pub fn starting(origin: Instant, date: UnixTime) -> Self {
        Self { origin, date }
    }

    /// The date of `instant`.
    pub fn date(&self, instant: Instant) -> UnixTime {
        let elapsed = milliseconds(instant.saturating_duration_since(self.origin));
        UnixTime(self.date.0.saturating_add(elapsed))
    }

    /// How long the calendar has been in use.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
