//! Tables for the restart window.

use super::*;

/// The node's clock is not needed here: any instant will do as the origin.
#[allow(clippy::disallowed_methods)]
fn origin() -> Instant {
    Instant::now()
}

/// Attempts at these milliseconds, and whether each is allowed.
#[track_caller]
fn check(max_restarts: u32, period_ms: u64, attempts: &[(u64, Attempt)]) {
    let start = origin();
    let period = Duration::from_millis(period_ms);
    let mut log = RestartLog::new(RestartIntensity::new(max_restarts, period));
    for &(at, expected) in attempts {
        let found = log.record(start + Duration::from_millis(at));
        assert_eq!(found, expected, "attempt at {at} ms");
    }
}

use Attempt::{Allowed, Refused};

/// SUP-01: three restarts in five seconds.
#[test]
fn default_is_three_restarts_in_five_seconds() {
    let intensity = RestartIntensity::default();
    assert_eq!(intensity.max_restarts(), 3);
    assert_eq!(intensity.period(), Duration::from_secs(5));
}

/// SUP-51
#[test]
fn attempt_after_the_last_allowed_one_is_refused() {
    check(
        3,
        5_000,
        &[(0, Allowed), (1, Allowed), (2, Allowed), (3, Refused)],
    );
    check(1, 5_000, &[(0, Allowed), (0, Refused)]);
}

/// SUP-52: both edges of the window belong to it.
#[test]
fn edge_of_the_window_is_inclusive() {
    check(1, 5_000, &[(0, Allowed), (5_000, Refused)]);
    check(1, 5_000, &[(0, Allowed), (5_001, Allowed)]);
    check(2, 5_000, &[(0, Allowed), (10, Allowed), (5_000, Refused)]);
    check(
        2,
        5_000,
        &[
            (0, Allowed),
            (10, Allowed),
            (5_001, Allowed),
            (5_010, Refused),
        ],
    );
}

/// SUP-53
#[test]
fn limit_of_zero_refuses_the_first_attempt() {
    check(0, 5_000, &[(0, Refused), (60_000, Refused)]);
}

/// SUP-59: the window slides; it is not reset by a quiet gap, and steady slow
/// failures never add up.
#[test]
fn steady_failures_within_the_limit_never_end_the_supervisor() {
    let attempts: Vec<_> = (0..1_000).map(|n| (n * 400, Allowed)).collect();
    check(3, 500, &attempts);
}

/// SUP-59
#[test]
fn quiet_spell_gives_the_whole_budget_back() {
    check(
        2,
        1_000,
        &[
            (0, Allowed),
            (1, Allowed),
            (5_000, Allowed),
            (5_001, Allowed),
            (5_002, Refused),
        ],
    );
}

#[test]
fn endless_period_never_forgets() {
    let start = origin();
    let mut log = RestartLog::new(RestartIntensity::new(1, Duration::MAX));
    assert_eq!(log.record(start), Allowed);
    assert_eq!(log.record(start + Duration::from_secs(1 << 30)), Refused);
}

/// The ring agrees with the law written down naively: at least `max` earlier
/// attempts no longer ago than the period.
#[test]
fn ring_agrees_with_the_naive_rule() {
    let start = origin();
    for max in 0..4_u32 {
        for period in 1..6_u64 {
            for gaps in 0..4_u32.pow(6) {
                compare_with_naive_rule(start, max, period, gaps);
            }
        }
    }
}

/// `gaps` spells six gaps of 0 to 3 ms in base four.
fn compare_with_naive_rule(start: Instant, max: u32, period: u64, gaps: u32) {
    let window = Duration::from_millis(period);
    let mut log = RestartLog::new(RestartIntensity::new(max, window));
    let (mut stamps, mut at) = (Vec::new(), 0_u64);
    for digit in 0..6 {
        at += u64::from(gaps / 4_u32.pow(digit) % 4);
        let counted = stamps.iter().filter(|&&stamp| at - stamp <= period).count();
        let expected = if counted >= max as usize {
            Refused
        } else {
            Allowed
        };
        let found = log.record(start + Duration::from_millis(at));
        assert_eq!(
            found, expected,
            "max {max}, period {period}, gaps {gaps:o}, at {at}"
        );
        if found == Allowed {
            stamps.push(at);
        }
    }
}

#[test]
fn log_never_holds_more_than_the_limit_and_shrinks_again() {
    let start = origin();
    let mut log = RestartLog::new(RestartIntensity::new(u32::MAX, Duration::from_secs(1)));
    for _ in 0..1_000 {
        assert_eq!(log.record(start), Allowed);
    }
    assert_eq!(log.recent.len(), 1_000);
    for second in 1..=1_000 {
        assert_eq!(log.record(start + Duration::from_secs(2 * second)), Allowed);
    }
    assert!(log.recent.len() <= 2, "{} stamps left", log.recent.len());
}

impl RestartLog {
    pub(crate) fn stamps(&self) -> impl Iterator<Item = Instant> {
        self.recent.iter().copied()
    }
}

/// XSUP-08
#[test]
fn refusal_to_come_is_known_before() {
    let start = origin();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut log = RestartLog::new(RestartIntensity::new(2, Duration::from_secs(5)));
    assert!(!log.refuses(at(0)));
    assert_eq!(log.record(at(0)), Allowed);
    assert_eq!(log.record(at(3)), Allowed);
    assert!(log.refuses(at(3)) && log.refuses(at(5)));
    assert!(!log.refuses(at(6)), "the first one does not count by then");
    let none = RestartLog::new(RestartIntensity::new(0, Duration::from_secs(5)));
    assert!(none.refuses(at(100)));
}
