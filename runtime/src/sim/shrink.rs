//! Shrinking: from a tape whose run fails to a shorter and plainer one. Pure.

/// Makes a failing tape smaller as long as it fails: cuts its tail, takes
/// pieces out, sets pieces to zero, lowers single choices. `fails` runs a tape
/// and says whether it fails still; it is asked at most `limit` times.
pub(crate) fn shrink(
    tape: Vec<u32>,
    limit: usize,
    mut fails: impl FnMut(&[u32]) -> bool,
) -> Vec<u32> {
    let mut search = Search {
        best: without_tail(tape),
        left: limit,
        fails: &mut fails,
    };
    loop {
        let before = search.best.clone();
        search.cut_tail();
        search.each_piece(|tape, piece| {
            let mut shorter = tape.to_vec();
            shorter.drain(piece);
            shorter
        });
        search.each_piece(|tape, piece| {
            let mut plainer = tape.to_vec();
            plainer[piece].fill(0);
            plainer
        });
        search.lower_each();
        if search.best == before || search.left == 0 {
            return search.best;
        }
    }
}

struct Search<'a, F> {
    best: Vec<u32>,
    left: usize,
    fails: &'a mut F,
}

impl<F: FnMut(&[u32]) -> bool> Search<'_, F> {
    /// Keeps the candidate if it is smaller and its run fails.
    fn consider(&mut self, candidate: Vec<u32>) -> bool {
        let candidate = without_tail(candidate);
        if candidate == self.best || self.left == 0 {
            return false;
        }
        self.left -= 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    fn cut_tail(&mut self) {
        let mut keep = 0;
        while keep < self.best.len() && self.left > 0 {
            if self.consider(self.best[..keep].to_vec()) {
                return;
            }
            // From the front, in steps that grow: most of a tail is noise.
            keep = (keep * 2).max(1);
        }
    }

    /// Tries a change on pieces of the tape, large ones first.
    fn each_piece(&mut self, change: impl Fn(&[u32], std::ops::Range<usize>) -> Vec<u32>) {
        let mut size = self.best.len().next_power_of_two() / 2;
        while size > 0 {
            let mut at = 0;
            while at + size <= self.best.len() && self.left > 0 {
                let candidate = change(&self.best, at..at + size);
                if !self.consider(candidate) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn lower_each(&mut self) {
        let mut at = 0;
        while at < self.best.len() && self.left > 0 {
            let value = self.best[at];
            for lower in [value / 2, value.saturating_sub(1)] {
                if lower < value {
                    let mut candidate = self.best.clone();
                    candidate[at] = lower;
                    if self.consider(candidate) {
                        break;
                    }
                }
            }
            at += 1;
        }
    }
}

/// Zeros at the end say nothing: they are what comes anyway.
fn without_tail(mut tape: Vec<u32>) -> Vec<u32> {
    let used = tape.iter().rposition(|value| *value != 0);
    tape.truncate(used.map_or(0, |last| last + 1));
    tape
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn a_tape_shrinks_to_what_its_failure_needs() {
        // Fails if a 7 or more comes somewhere after a 3 or more.
        let fails = |tape: &[u32]| {
            let first = tape.iter().position(|value| *value >= 3);
            first.is_some_and(|at| tape[at + 1..].iter().any(|value| *value >= 7))
        };
        let noise = (0..500).map(|n| n * 7919 % 11).collect();
        assert_eq!(shrink(noise, 10_000, fails), [3, 7]);
    }

    #[test]
    fn a_run_that_fails_whatever_is_chosen_needs_no_tape() {
        assert_eq!(shrink(vec![5, 4, 3], 100, |_| true), [0_u32; 0]);
    }

    #[test]
    fn shrinking_stops_at_its_limit() {
        let mut runs = 0;
        shrink((1..1000).collect(), 50, |_| {
            runs += 1;
            false
        });
        assert_eq!(runs, 50);
    }
}
