//! Table of proper ends under a dynamic supervisor.

use std::time::Duration;

use super::*;
use crate::testing::{RESTARTS, reasons};

/// DYN-15
#[test]
fn shutdown_is_always_proper_normal_unless_permanent_killed_if_asked() {
    let timeout = Shutdown::Timeout(Duration::from_secs(1));
    for shutdown in [Shutdown::BrutalKill, timeout, Shutdown::Infinity] {
        for restart in RESTARTS {
            for reason in reasons() {
                let expected = match reason {
                    ExitReason::Shutdown | ExitReason::ShutdownWith(_) => true,
                    ExitReason::Normal => restart != Restart::Permanent,
                    ExitReason::Killed => shutdown == Shutdown::BrutalKill,
                    _ => false,
                };
                let found = is_proper_end(shutdown, restart, &reason);
                assert_eq!(found, expected, "{shutdown} {restart}: {reason}");
            }
        }
    }
}
