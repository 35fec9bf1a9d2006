//! What was measured.

use std::collections::HashMap;

use crate::rows::{Goal, Row};
use crate::systems::System;

/// The figures of all runs.
#[derive(Default)]
pub struct Samples(HashMap<(&'static str, System), Vec<Run>>);

/// What one run gave.
#[derive(Clone, Debug)]
pub enum Run {
    /// Its figures.
    Figures(Vec<f64>),
    /// The system has nothing comparable.
    Missing,
    /// It was given up, after this many seconds.
    TooLong(u64),
    /// It failed, as its last words say.
    Failed(String),
}

/// The figures of one place of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures(
    // Invariant: sorted, and not empty.
    Vec<f64>,
);

impl Samples {
    /// Adds a run.
    pub fn add(&mut self, row: &Row, system: System, run: Run) {
        self.0.entry((row.name, system)).or_default().push(run);
    }

    /// The runs of a system that gave no figures.
    pub fn trouble(&self, row: &Row, system: System) -> Option<&Run> {
        let runs = self.0.get(&(row.name, system))?;
        runs.iter().find(|run| !matches!(run, Run::Figures(_)))
    }

    /// The figures at a place of a row.
    pub fn figures(&self, row: &Row, place: usize, system: System) -> Option<Figures> {
        let runs = self.0.get(&(row.name, system))?;
        let mut figures: Vec<_> = runs
            .iter()
            .filter_map(|run| match run {
                Run::Figures(figures) => figures.get(place).copied(),
                Run::Missing | Run::TooLong(_) | Run::Failed(_) => None,
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        (!figures.is_empty()).then_some(Figures(figures))
    }
}

impl Figures {
    /// The middle one.
    pub fn median(&self) -> f64 {
        let count = self.0.len();
        (self.0[(count - 1) / 2] + self.0[count / 2]) / 2.0
    }

    /// The least.
    pub fn least(&self) -> f64 {
        self.0[0]
    }

    /// The greatest.
    pub fn greatest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl Goal {
    /// Whether it is reached; nothing where there is none.
    pub fn is_reached(self, ours: &Figures, tokio: &Figures) -> Option<bool> {
        match self {
            Self::Ratio(ratio) => Some(ours.median() <= ratio * tokio.median()),
            Self::Bytes(bytes) => Some(ours.median() <= bytes),
            Self::Unset => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    fn samples(figures: &[f64]) -> Figures {
        let mut samples = Samples::default();
        for &figure in figures {
            samples.add(&ROWS[0], System::Tokio, Run::Figures(vec![figure]));
        }
        let figures = samples.figures(&ROWS[0], 0, System::Tokio);
        figures.expect("some")
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_middle_two() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
    }

    #[test]
    fn a_goal_is_reached_up_to_its_limit() {
        let tokio = samples(&[100.0]);
        let check = |goal: Goal, ours, reached| {
            assert_eq!(goal.is_reached(&samples(&[ours]), &tokio), reached);
        };
        check(Goal::Ratio(0.5), 50.0, Some(true));
        check(Goal::Ratio(0.5), 51.0, Some(false));
        check(Goal::Bytes(320.0), 320.0, Some(true));
        check(Goal::Unset, 1.0, None);
    }

    #[test]
    fn runs_without_figures_are_trouble_and_do_not_count() {
        let mut samples = Samples::default();
        samples.add(&ROWS[0], System::Tokio, Run::Figures(vec![7.0]));
        assert!(samples.trouble(&ROWS[0], System::Tokio).is_none());
        samples.add(&ROWS[0], System::Tokio, Run::TooLong(60));
        assert!(samples.trouble(&ROWS[0], System::Tokio).is_some());
        let figures = samples.figures(&ROWS[0], 0, System::Tokio);
        assert_eq!(figures, Some(Figures(vec![7.0])));
    }
}
