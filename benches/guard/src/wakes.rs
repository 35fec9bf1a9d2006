//! Counts how often a child wakes a sleeping thread: its writes to an eventfd
//! and its futex calls that did something, as strace counts them.

use std::process::{Command, Stdio};

use crate::Failure;
use crate::child::Order;

/// The wakes of a child; `None` if strace cannot be run here.
pub(crate) fn of(order: Order) -> Result<Option<u64>, Failure> {
    let traced = Command::new("strace")
        .args(["--follow-forks", "--summary-only", "--trace=write,futex"])
        .arg(std::env::current_exe()?)
        .args(order.arguments())
        .stdout(Stdio::null())
        .output();
    match traced {
        Ok(output) if output.status.success() => {
            let summary = String::from_utf8_lossy(&output.stderr);
            Ok(Some(summary.lines().filter_map(successes).sum()))
        }
        _ => Ok(None),
    }
}

/// Of a line of strace's summary, how many calls did not fail.
fn successes(line: &str) -> Option<u64> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (calls, errors) = match words.as_slice() {
        [_, _, _, calls, "write" | "futex"] => (calls, "0"),
        [_, _, _, calls, errors, "write" | "futex"] => (calls, *errors),
        _ => return None,
    };
    Some(calls.parse::<u64>().ok()? - errors.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::successes;

    #[test]
    fn calls_that_failed_woke_nobody() {
        let futex = " 65.93    0.082754        1402        59        36 futex";
        let write = "  7.05    0.008854           3      2323           write";
        let total = "100.00    0.125510          25      4878        36 total";
        assert_eq!(successes(futex), Some(23));
        assert_eq!(successes(write), Some(2323));
        assert_eq!(successes(total), None);
    }
}
