//! [`Outcome`]: what a run of a workload gives.

use std::time::Duration;

/// What a run of a workload gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// How long all operations took together.
    Took(Duration),
    /// How many bytes more there were than before.
    Bytes(u64),
    /// How long each operation took.
    Delays(Vec<Duration>),
}

impl From<Duration> for Outcome {
    fn from(took: Duration) -> Self {
        Self::Took(took)
    }
}

impl Outcome {
    /// The figures of a run of so many operations: nanoseconds or bytes per
    /// operation; of delays the median, then the 99th percentile.
    pub fn figures(self, operations: u64) -> Vec<f64> {
        match self {
            Self::Took(took) => vec![nanoseconds(took) / operations as f64],
            Self::Bytes(bytes) => vec![bytes as f64 / operations as f64],
            Self::Delays(delays) => percentiles(delays),
        }
    }
}

fn percentiles(mut delays: Vec<Duration>) -> Vec<f64> {
    delays.sort_unstable();
    let at = |percent: usize| nanoseconds(delays[(delays.len() - 1) * percent / 100]);
    vec![at(50), at(99)]
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_bytes_are_divided_by_the_operations() {
        let took = Outcome::Took(Duration::from_micros(3));
        assert_eq!(took.figures(10), [300.0]);
        assert_eq!(Outcome::Bytes(50).figures(4), [12.5]);
    }

    #[test]
    fn delays_give_the_median_and_the_99th_percentile() {
        let delays = (0..=100).rev().map(Duration::from_nanos).collect();
        let figures = Outcome::Delays(delays).figures(101);
        let rounded: Vec<_> = figures.into_iter().map(f64::round).collect();
        assert_eq!(rounded, [50.0, 99.0]);
    }
}
