//! Table of proper ends.

use super::*;
use crate::testing::{RESTARTS, reasons};

const HOWS: [Shutdown; 3] = [
    Shutdown::BrutalKill,
    Shutdown::Timeout(Duration::from_secs(5)),
    Shutdown::Infinity,
];

#[track_caller]
fn check(shutdown: Shutdown, restart: Restart, proper: &[&str]) {
    for reason in reasons() {
        let expected = proper.contains(&reason.to_string().as_str());
        let found = is_proper_end(shutdown, restart, &reason);
        assert_eq!(found, expected, "{shutdown} {restart}: {reason}");
    }
}

/// SUP-89
#[test]
fn permanent_child_must_end_as_it_was_told() {
    check(Shutdown::BrutalKill, Restart::Permanent, &["killed"]);
    check(Shutdown::Infinity, Restart::Permanent, &["shutdown"]);
    check(
        Shutdown::Timeout(Duration::ZERO),
        Restart::Permanent,
        &["shutdown"],
    );
}

/// SUP-89
#[test]
fn other_children_may_also_end_gracefully() {
    let graceful = ["normal", "shutdown", "shutdown: \"done\""];
    for restart in [Restart::Transient, Restart::Temporary] {
        check(Shutdown::Infinity, restart, &graceful);
        check(
            Shutdown::Timeout(Duration::from_secs(1)),
            restart,
            &graceful,
        );
        check(
            Shutdown::BrutalKill,
            restart,
            &[&graceful[..], &["killed"]].concat(),
        );
    }
}

/// SUP-89
#[test]
fn a_crash_is_never_a_proper_end() {
    for shutdown in HOWS {
        for restart in RESTARTS {
            assert!(!is_proper_end(
                shutdown,
                restart,
                &ExitReason::custom("crash")
            ));
        }
    }
}
