//! The tape of choices: everything a simulation leaves to chance is one small
//! number on it. Pure.
//!
//! Zero is always the plainest choice: the oldest thing that can happen, no
//! fault. A run that replays a tape and comes to its end goes on with what its
//! source says; a replayed one has only zeros to come. That is what makes a
//! failing run shrinkable: any list of numbers is a run.

use std::collections::HashMap;

use super::random::Random;

/// One choice: what was chosen, of how many.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    pub(crate) value: u32,
    pub(crate) of: u32,
}

/// The choices of one run.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    /// What is to be chosen again.
    replay: Vec<u32>,
    choices: Vec<Choice>,
    source: Source,
}

/// Where choices come from when nothing is left to replay.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Always the plainest.
    Plain,
    /// Any, with equal chance.
    Random(Random),
    /// The one of highest priority; see [`Priorities`].
    Priority(Priorities),
}

/// Probabilistic concurrency testing (Burckhardt and others, 2010): whoever is
/// first in a random order goes, and at a few random moments the one who is
/// first goes to the end. A bug that needs `d` such moments is found with a
/// chance that does not sink with the number of processes.
///
/// The order is drawn anew now and then: programs that poll until something
/// has happened would never end otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Priorities {
    random: Random,
    /// At which choices the first one goes to the end.
    moments: Vec<u64>,
    made: u64,
    ranks: HashMap<u64, u64>,
    lowest: u64,
}

impl Priorities {
    /// Priorities with `depth` moments within the first `length` choices.
    pub(crate) fn new(seed: u64, depth: u32, length: u64) -> Self {
        let mut random = Random::new(seed);
        let moments = (0..depth).map(|_| random.below64(length.max(1))).collect();
        Self {
            random,
            moments,
            made: 0,
            ranks: HashMap::new(),
            lowest: u64::MAX / 2,
        }
    }

    /// After how many choices the order is drawn anew.
    const REIGN: u64 = 512;

    fn pick(&mut self, of: u32, key: impl Fn(usize) -> u64) -> u32 {
        if self.made.is_multiple_of(Self::REIGN) {
            self.ranks.clear();
        }
        let first = self.first(of, &key);
        let moment = self.moments.contains(&self.made);
        self.made += 1;
        if !moment {
            return first;
        }
        self.lowest -= 1;
        self.ranks.insert(key(first as usize), self.lowest);
        self.first(of, &key)
    }

    fn first(&mut self, of: u32, key: &impl Fn(usize) -> u64) -> u32 {
        let rank = |index: &u32| {
            let key = key(*index as usize);
            let random = &mut self.random;
            let fresh = || u64::MAX / 2 + random.next() / 2;
            *self.ranks.entry(key).or_insert_with(fresh)
        };
        (0..of).max_by_key(rank).unwrap_or(0)
    }
}

impl Tape {
    pub(crate) fn new(source: Source) -> Self {
        Self::replaying(Vec::new(), source)
    }

    /// A tape that begins with these choices.
    pub(crate) fn replaying(replay: Vec<u32>, source: Source) -> Self {
        Self {
            replay,
            choices: Vec::new(),
            source,
        }
    }

    /// Chooses one of `of` things; 0 if there is but one.
    pub(crate) fn choose(&mut self, of: usize) -> usize {
        self.choose_by(of, |index| index as u64)
    }

    /// As [`choose`](Self::choose), among things that have a key which lasts
    /// longer than their place.
    pub(crate) fn choose_by(&mut self, of: usize, key: impl Fn(usize) -> u64) -> usize {
        let of = u32::try_from(of).unwrap_or(u32::MAX);
        if of <= 1 {
            return 0;
        }
        let value = match self.replayed() {
            Some(value) => value.min(of - 1),
            None => match &mut self.source {
                Source::Plain => 0,
                Source::Random(random) => random.below(of),
                Source::Priority(priorities) => priorities.pick(of, key),
            },
        };
        self.choices.push(Choice { value, of });
        value as usize
    }

    /// Chooses one of some rare things by their chances, or none of them (0);
    /// `chances` are cumulative, of 2^32.
    pub(crate) fn rare(&mut self, chances: &[u32]) -> usize {
        if chances.last().is_none_or(|last| *last == 0) {
            return 0;
        }
        let of = chances.len() as u32 + 1;
        let value = match self.replayed() {
            Some(value) => value.min(of - 1),
            None => {
                let drawn = match &mut self.source {
                    Source::Plain => u32::MAX,
                    Source::Random(random) => random.next() as u32,
                    Source::Priority(priorities) => priorities.random.next() as u32,
                };
                chances
                    .iter()
                    .position(|chance| drawn < *chance)
                    .map_or(0, |kind| kind as u32 + 1)
            }
        };
        self.choices.push(Choice { value, of });
        value as usize
    }

    fn replayed(&self) -> Option<u32> {
        self.replay.get(self.choices.len()).copied()
    }

    /// What was chosen.
    pub(crate) fn choices(&self) -> &[Choice] {
        &self.choices
    }
}

/// The next run of an exhaustive search after one that made these choices:
/// the last choice that has an alternative left takes it. `None` when all runs
/// have been.
pub(crate) fn next_in_order(choices: &[Choice], depth: usize) -> Option<Vec<u32>> {
    let choices = &choices[..choices.len().min(depth)];
    let last = choices
        .iter()
        .rposition(|choice| choice.value + 1 < choice.of)?;
    let mut next: Vec<u32> = choices[..=last].iter().map(|choice| choice.value).collect();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::{Random, Source, Tape, next_in_order};

    #[test]
    fn a_tape_replayed_makes_the_same_choices() {
        let mut first = Tape::new(Source::Random(Random::new(1)));
        let made: Vec<_> = (2..40).map(|of| first.choose(of)).collect();
        let tape = first.choices().iter().map(|choice| choice.value).collect();
        let mut again = Tape::replaying(tape, Source::Plain);
        let repeated: Vec<_> = (2..40).map(|of| again.choose(of)).collect();
        assert_eq!(made, repeated);
        assert_eq!(again.choose(9), 0, "after the end there are only zeros");
    }

    #[test]
    fn an_exhaustive_search_visits_each_run_once() {
        let mut seen = Vec::new();
        let mut next = Some(Vec::new());
        while let Some(replay) = next {
            let mut tape = Tape::replaying(replay, Source::Plain);
            let first = tape.choose(2);
            let second = tape.choose(2 + first);
            seen.push((first, second));
            next = next_in_order(tape.choices(), usize::MAX);
        }
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]);
    }
}
