//! The laws about bytes, on inputs that a seed makes: a failure names it.

use crate::laws;

/// Tries a law on so many inputs, short ones more often than long ones.
#[track_caller]
fn check(law: fn(&[u8]), inputs: u64) {
    for seed in 0..inputs {
        let mut random = fastrand::Rng::with_seed(seed);
        let most = 1 << random.u32(0..10);
        let input: Vec<u8> = (0..random.usize(0..=most)).map(|_| random.u8(..)).collect();
        let result = std::panic::catch_unwind(|| law(&input));
        assert!(result.is_ok(), "seed {seed}: {}", input.escape_ascii());
    }
}

#[test]
fn any_bytes_are_understood_or_refused_however_they_are_cut() {
    check(laws::input, 20_000);
}

#[test]
fn every_command_has_its_reply_however_it_is_cut() {
    check(laws::commands, 20_000);
}

#[test]
fn words_are_read_as_they_were_written() {
    check(laws::words, 20_000);
}

#[test]
fn the_glob_matcher_agrees_with_one_that_tries_everything() {
    check(laws::glob, 20_000);
}

#[test]
fn an_integer_has_one_spelling() {
    check(laws::integer, 20_000);
}
