//! [`Backoff`]: how long a child that fell stays down before it is restarted.
//!
//! Pure: the count and the random number are handed in.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// How long a supervisor waits before it restarts a child: longer each time,
/// until the child has been stable for a while.
///
/// The first restart waits for `initial`, each one after it for `factor` times
/// as long, and none for longer than `maximum`. By default the factor is 2,
/// there is no jitter, and a child that has run for `maximum` since its last
/// restart begins at `initial` again.
///
/// The supervisor serves others meanwhile. In a group strategy the others of
/// the group are down as long as the child is (laws XSUP-01 to XSUP-09).
///
/// A supervisor that was killed leaves its children behind for a moment: they
/// end by their links, but have their names until then. Started anew at once, it
/// or its children may meet [`AlreadyStarted`](resurgam_runtime::StartError)
/// until the orphans are gone; a back-off of some milliseconds cures that.
///
/// # Differences from Erlang
///
/// OTP restarts at once, always.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_supervisor::{Backoff, ChildSpec};
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30)).jitter(0.2);
/// let spec = ChildSpec::task("fetch", || async { /* work */ }).backoff(backoff);
/// assert_eq!(spec.check(), Ok(()));
/// ```
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Backoff {
    initial: Duration,
    maximum: Duration,
    factor: f64,
    /// The part of a delay that chance may take off.
    jitter: f64,
    reset_after: Duration,
}

/// What is wrong with a [`Backoff`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackoffError {
    /// The initial delay is zero.
    #[error("initial delay is zero; expected a longer one")]
    ZeroInitial,
    /// The maximum is less than the initial delay.
    #[error("maximum delay is less than the initial one")]
    MaximumBelowInitial,
    /// The factor is less than one, or no number.
    #[error("factor is not a number of at least 1")]
    Factor,
    /// The jitter is not between zero and one.
    #[error("jitter is not a number from 0 to 1")]
    Jitter,
}

impl Backoff {
    /// A delay that begins at `initial`, doubles, and ends at `maximum`.
    pub const fn new(initial: Duration, maximum: Duration) -> Self {
        Self {
            initial,
            maximum,
            factor: 2.0,
            jitter: 0.0,
            reset_after: maximum,
        }
    }

    /// The same delay each time.
    pub const fn constant(delay: Duration) -> Self {
        Self::new(delay, delay)
    }

    /// Sets by what the delay is multiplied each time: at least 1.
    #[must_use]
    pub const fn factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Sets the part of each delay, from 0 to 1, of which a random share is
    /// taken off, so that many that fell together do not come back together.
    /// The random numbers are the node's.
    #[must_use]
    pub const fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets how long after its last restart the child must have fallen for
    /// the delays to begin anew.
    #[must_use]
    pub const fn reset_after(self, stable: Duration) -> Self {
        Self {
            reset_after: stable,
            ..self
        }
    }

    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), BackoffError> {
        match self {
            _ if self.initial.is_zero() => Err(BackoffError::ZeroInitial),
            _ if self.maximum < self.initial => Err(BackoffError::MaximumBelowInitial),
            _ if !(self.factor >= 1.0 && self.factor.is_finite()) => Err(BackoffError::Factor),
            _ if !(0.0..=1.0).contains(&self.jitter) => Err(BackoffError::Jitter),
            _ => Ok(()),
        }
    }

    /// Whether the delays need random numbers.
    pub(crate) fn is_random(&self) -> bool {
        self.jitter > 0.0
    }

    /// Whether a child that fell so long after its last restart was stable.
    pub(crate) fn is_stable(&self, ran: Duration) -> bool {
        ran >= self.reset_after
    }

    /// The delay after so many others.
    pub(crate) fn delay(&self, others: u32, random: u64) -> Duration {
        let grown = self.factor.powf(f64::from(others)) * self.initial.as_secs_f64();
        let whole = match Duration::try_from_secs_f64(grown) {
            Ok(delay) => delay.min(self.maximum),
            // Longer than can be told.
            Err(_) => self.maximum,
        };
        if !self.is_random() {
            return whole;
        }
        let left = whole.as_secs_f64() * (1.0 - self.jitter * unit(random));
        Duration::try_from_secs_f64(left).unwrap_or(whole)
    }
}

/// A random number from zero to before one.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
