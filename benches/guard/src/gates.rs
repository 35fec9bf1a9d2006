//! The file of gates: each figure as it was last accepted, and the goal.

use std::fmt;
use std::fs;

use crate::Failure;
use crate::measure::Row;
use crate::path::Path;

/// Where the gates lie; checked in.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gates.txt");

const HEAD: &str = "\
# Figures per operation as last accepted, and the goals; see README.md.
# Written by `cargo run --release -p resurgam-guard -- --write`.
# path         measure           figure      goal
";

/// What is counted.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Measure {
    /// Instructions executed.
    Instructions,
    /// Atomic read-modify-writes executed.
    Locked,
    /// Allocations.
    Allocations,
    /// Bytes that stay allocated.
    Bytes,
    /// How often a thread is woken in the whole run.
    Wakes,
    /// Instructions per operation with ten times as many operations, by those
    /// without.
    Growth,
}

impl Measure {
    const ALL: [Self; 6] = [
        Self::Instructions,
        Self::Locked,
        Self::Allocations,
        Self::Bytes,
        Self::Wakes,
        Self::Growth,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Locked => "rmw",
            Self::Allocations => "allocations",
            Self::Bytes => "bytes",
            Self::Wakes => "wakes",
            Self::Growth => "growth",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }

    /// By how much a figure may differ from its gate.
    fn slack(self, gate: f64) -> f64 {
        match self {
            Self::Instructions | Self::Bytes => 0.05 * gate,
            Self::Locked => f64::max(0.05 * gate, 0.05),
            Self::Allocations => 0.02,
            // A matter of time and of luck; a wake for each hundred messages is
            // more than bad luck.
            Self::Wakes => 10_000.0,
            // Steps in the growth of tables come at one size or another.
            Self::Growth => 0.3,
        }
    }
}

/// Which figure.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(crate) path: Path,
    pub(crate) measure: Measure,
}

/// One line of the file.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(crate) struct Gate {
    pub(crate) key: Key,
    pub(crate) figure: f64,
    pub(crate) goal: Option<f64>,
}

/// How a figure stands to its gate.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Holds,
    Worse,
    Better,
    /// There is no gate.
    Unknown,
}

impl Gate {
    pub(crate) fn judge(&self, figure: f64) -> Verdict {
        let slack = self.key.measure.slack(self.figure);
        if figure > self.figure + slack {
            Verdict::Worse
        } else if figure < self.figure - slack {
            Verdict::Better
        } else {
            Verdict::Holds
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [path, measure, figure, goal] = words.as_slice() else {
            return None;
        };
        let key = Key {
            path: Path::named(path)?,
            measure: Measure::named(measure)?,
        };
        let figure = figure.parse().ok()?;
        let goal = match *goal {
            "-" => None,
            goal => Some(goal.parse().ok()?),
        };
        Some(Self { key, figure, goal })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = self.goal.map_or("-".into(), |goal| goal.to_string());
        let (path, measure) = (self.key.path.name(), self.key.measure.name());
        write!(f, "{path:<14} {measure:<14} {:>9.2} {goal:>9}", self.figure)
    }
}

/// All gates.
#[derive(Debug)]
pub(crate) struct Gates(Vec<Gate>);

impl Gates {
    pub(crate) fn read() -> Result<Self, Failure> {
        Self::parse(&fs::read_to_string(FILE)?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let gates = lines.map(|line| {
            Gate::parse(line).ok_or_else(|| format!("{FILE}: `{line}` is no gate").into())
        });
        gates.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Gate> {
        self.0.iter().find(|gate| gate.key == key)
    }

    /// These gates, with the figures that were measured, in order.
    pub(crate) fn with(&self, rows: &[Row]) -> Self {
        let mut gates = self.0.clone();
        for row in rows {
            match gates.iter_mut().find(|gate| gate.key == row.key) {
                Some(gate) => gate.figure = row.figure,
                None => gates.push(Gate {
                    key: row.key,
                    figure: row.figure,
                    goal: None,
                }),
            }
        }
        gates.sort_by_key(|gate| gate.key);
        Self(gates)
    }

    pub(crate) fn write(&self) -> Result<(), Failure> {
        let lines: Vec<_> = self.0.iter().map(|gate| format!("{gate}\n")).collect();
        Ok(fs::write(FILE, HEAD.to_owned() + &lines.concat())?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Gates, Verdict};

    fn judge(line: &str, figure: f64) -> Verdict {
        Gates::parse(line).unwrap().0[0].judge(figure)
    }

    #[test]
    fn more_than_five_per_cent_worse_fails() {
        let line = "send instructions 100 -";
        assert_eq!(judge(line, 104.0), Verdict::Holds);
        assert_eq!(judge(line, 106.0), Verdict::Worse);
        assert_eq!(judge(line, 94.0), Verdict::Better);
    }

    #[test]
    fn an_allocation_in_ten_operations_fails_where_none_was() {
        assert_eq!(judge("send allocations 0 0", 0.1), Verdict::Worse);
        assert_eq!(judge("send allocations 0 0", 0.001), Verdict::Holds);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let line = "send           instructions      100.00       130";
        let gates = Gates::parse(line).unwrap();
        assert_eq!(gates.0[0].to_string(), line);
    }
}
