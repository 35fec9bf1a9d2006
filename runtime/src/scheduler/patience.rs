//! How long the watchdog lets a process hold its host before it says so. Pure:
//! it is told what a host runs, look after look, and says what follows.

use std::time::Duration;

/// A turn of a process, as others see it at its host.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Running {
    /// Which of the host's turns it is.
    pub(crate) turn: u32,
    /// The address of the process.
    pub(crate) process: usize,
}

/// What one host was seen doing.
#[derive(Debug, Default)]
pub(super) struct Patience {
    running: Option<Running>,
    /// For how long it was seen to.
    held: Duration,
    /// How often that was said.
    said: u32,
}

/// What a look at a host came to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "what is found is to be said"]
pub(super) enum Finding {
    /// There is nothing to say.
    Nothing,
    /// The process has held the host for so long, and does still.
    Held(Running, Duration),
    /// The process of which that was said holds it no more.
    Over(Duration),
}

impl Patience {
    /// The host is in this turn, this long after the look before.
    pub(super) fn look(
        &mut self,
        running: Option<Running>,
        since_last: Duration,
        limit: Duration,
    ) -> Finding {
        if running != self.running {
            let before = std::mem::replace(
                self,
                Self {
                    running,
                    ..Self::default()
                },
            );
            return match before.said {
                0 => Finding::Nothing,
                _ => Finding::Over(before.held),
            };
        }
        let Some(running) = running else {
            return Finding::Nothing;
        };
        self.held = self.held.saturating_add(since_last);
        // At once, twice, four times the limit, and so on.
        let due = limit.saturating_mul(1_u32.checked_shl(self.said).unwrap_or(u32::MAX));
        if self.held < due {
            return Finding::Nothing;
        }
        self.said += 1;
        Finding::Held(running, self.held)
    }
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);
    const STEP: Duration = Duration::from_millis(5);

    fn turn(turn: u32) -> Option<Running> {
        Some(Running { turn, process: 7 })
    }

    /// What is found at each look, in milliseconds; 0 for nothing, less for an
    /// end.
    #[track_caller]
    fn check(looks: &[Option<Running>], expected: &[i64]) {
        let mut patience = Patience::default();
        let millis = |held: Duration| i64::try_from(held.as_millis()).unwrap();
        let found = looks
            .iter()
            .map(|running| match patience.look(*running, STEP, LIMIT) {
                Finding::Nothing => 0,
                Finding::Held(found, held) => {
                    assert_eq!(Some(found), *running);
                    millis(held)
                }
                Finding::Over(held) => -millis(held),
            });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_turn_is_named_at_the_limit_and_at_twice_and_four_times_that() {
        check(&[turn(1); 10], &[0, 0, 10, 0, 20, 0, 0, 0, 40, 0]);
    }

    #[test]
    fn the_end_is_told_of_a_turn_that_was_named() {
        check(
            &[turn(1), turn(1), turn(1), turn(1), None, None],
            &[0, 0, 10, 0, -15, 0],
        );
        check(
            &[turn(1), turn(1), turn(1), turn(2), turn(2), turn(2)],
            &[0, 0, 10, -10, 0, 10],
        );
    }

    #[test]
    fn short_turns_and_idle_hosts_are_not_named() {
        check(&[None; 5], &[0; 5]);
        check(
            &[turn(1), turn(1), turn(2), turn(2), turn(3), None],
            &[0; 6],
        );
    }
}
