//! When a timeout is due: [`TimeoutTime`].

use std::time::{Duration, Instant};

/// When a timeout is due. A [`Duration`] is the time from the end of the
/// transition, an [`Instant`] is a time of the node's clock (law STM-20), and
/// an [`Option`] of either is never, if it is `None`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use resurgam_runtime::TimeoutTime;
///
/// let second = Duration::from_secs(1);
/// assert_eq!(TimeoutTime::from(second), TimeoutTime::After(second));
/// assert_eq!(TimeoutTime::from(None::<Duration>), TimeoutTime::Infinity);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum TimeoutTime {
    /// After this time. If it is zero: before anything that the mailbox holds
    /// by then (law STM-15).
    After(Duration),
    /// At this time of the node's clock.
    At(Instant),
    /// Never; a timeout that runs is cancelled (law STM-19).
    Infinity,
}

impl From<Duration> for TimeoutTime {
    fn from(time: Duration) -> Self {
        Self::After(time)
    }
}

impl From<Instant> for TimeoutTime {
    fn from(time: Instant) -> Self {
        Self::At(time)
    }
}

impl<T: Into<TimeoutTime>> From<Option<T>> for TimeoutTime {
    fn from(time: Option<T>) -> Self {
        time.map_or(Self::Infinity, Into::into)
    }
}
