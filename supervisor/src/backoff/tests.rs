//! Tables for the delays.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn delays(backoff: Backoff, random: u64) -> [u128; 5] {
    [0, 1, 2, 3, 1_000_000].map(|others| backoff.delay(others, random).as_millis())
}

/// XSUP-02
#[test]
fn delays_grow_from_the_initial_one_to_the_maximum() {
    let backoff = Backoff::new(ms(100), ms(700));
    assert_eq!(delays(backoff, 0), [100, 200, 400, 700, 700]);
    assert_eq!(
        delays(backoff.factor(1.5), 0),
        [100, 150, 225, 337, 700],
        "parts of a millisecond are kept"
    );
    assert_eq!(delays(Backoff::constant(ms(5)), 0), [5; 5]);
    let endless = Backoff::new(ms(1), Duration::MAX);
    assert_eq!(endless.delay(u32::MAX, 0), Duration::MAX);
}

/// XSUP-03
#[test]
fn jitter_takes_off_at_most_its_part() {
    let backoff = Backoff::new(ms(1_000), ms(4_000)).jitter(0.25);
    assert_eq!(delays(backoff, 0), [1_000, 2_000, 4_000, 4_000, 4_000]);
    assert_eq!(delays(backoff, 1 << 63), [875, 1_750, 3_500, 3_500, 3_500]);
    assert_eq!(delays(backoff, u64::MAX), [750, 1_500, 3_000, 3_000, 3_000]);
    assert!(backoff.is_random() && !backoff.jitter(0.0).is_random());
}

/// XSUP-04
#[test]
fn stable_is_who_ran_long_enough() {
    let backoff = Backoff::new(ms(1), ms(50));
    assert!(!backoff.is_stable(ms(49)) && backoff.is_stable(ms(50)));
    let backoff = backoff.reset_after(ms(10));
    assert!(!backoff.is_stable(ms(9)) && backoff.is_stable(ms(10)));
}

/// XSUP-01
#[test]
fn what_cannot_be_used_is_named() {
    let good = Backoff::new(ms(10), ms(20));
    assert_eq!(good.check(), Ok(()));
    for (bad, error) in [
        (Backoff::constant(ms(0)), BackoffError::ZeroInitial),
        (
            Backoff::new(ms(2), ms(1)),
            BackoffError::MaximumBelowInitial,
        ),
        (good.factor(0.9), BackoffError::Factor),
        (good.factor(f64::NAN), BackoffError::Factor),
        (good.factor(f64::INFINITY), BackoffError::Factor),
        (good.jitter(-0.1), BackoffError::Jitter),
        (good.jitter(1.1), BackoffError::Jitter),
        (good.jitter(f64::NAN), BackoffError::Jitter),
    ] {
        assert_eq!(bad.check(), Err(error));
    }
}
