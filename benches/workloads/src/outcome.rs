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
