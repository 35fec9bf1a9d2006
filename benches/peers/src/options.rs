//! What the command line says.

use resurgam_workloads::Workload;

use crate::rows::{ROWS, Row};
use crate::systems::System;

/// The help.
pub const HELP: &str = "\
Measures Resurgam and its peers by the same workloads.

cargo run --release --manifest-path benches/peers/Cargo.toml -- [OPTIONS]

  --rounds N        how often each is run (5)
  --scale S         small or full (full)
  --only A,B        these workloads only
  --systems A,B     these systems only
  --write           write docs/benchmarks.md instead of printing it
  --help            this, and no more

Built with `--no-default-features` it measures Tokio, Resurgam and Erlang only.";

/// What is to be done.
pub enum Mode {
    /// Measure, in child processes.
    Measure(Options),
    /// Be such a child process.
    Child(System, Workload),
    /// Print the help.
    Help,
}

/// What is measured, and how often.
pub struct Options {
    pub rounds: usize,
    pub scale: Scale,
    pub rows: Vec<&'static Row>,
    pub systems: Vec<System>,
    pub write: bool,
    /// As it was typed.
    pub arguments: String,
}

/// How large the workloads are.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Scale {
    Small,
    Full,
}

impl Scale {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Full => "full",
        }
    }

    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "small" => Ok(Self::Small),
            "full" => Ok(Self::Full),
            _ => Err(format!("there is no scale `{name}`")),
        }
    }
}

impl Options {
    /// Reads the command line.
    pub fn from_args(arguments: impl Iterator<Item = String>) -> Result<Mode, String> {
        let arguments: Vec<_> = arguments.collect();
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        if let ["child", system, row, scale] = words[..] {
            let workload = find_row(row)?.workload(Scale::parse(scale)?);
            return Ok(Mode::Child(find_system(system)?, workload));
        }
        let mut options = Self {
            rounds: 5,
            scale: Scale::Full,
            rows: ROWS.iter().collect(),
            systems: System::ALL.to_vec(),
            write: false,
            arguments: arguments.join(" "),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("`{word}` wants a value"));
            match word {
                "--rounds" => options.rounds = parse_rounds(value()?)?,
                "--scale" => options.scale = Scale::parse(value()?)?,
                "--only" => options.rows = list(value()?, find_row)?,
                "--systems" => options.systems = list(value()?, find_system)?,
                "--write" => options.write = true,
                "--help" => return Ok(Mode::Help),
                _ => return Err(format!("there is no option `{word}`")),
            }
        }
        Ok(Mode::Measure(options))
    }
}

fn parse_rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..) => Ok(rounds),
        _ => Err(format!("`{text}` is no number of rounds")),
    }
}

fn list<T>(names: &str, find: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    names.split(',').map(find).collect()
}

fn find_row(name: &str) -> Result<&'static Row, String> {
    let known = || {
        ROWS.iter()
            .map(|row| row.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let row = ROWS.iter().find(|row| row.name == name);
    row.ok_or_else(|| format!("there is no workload `{name}`; there are {}", known()))
}

fn find_system(name: &str) -> Result<System, String> {
    let known = || System::ALL.map(System::name).join(", ");
    let system = System::ALL.into_iter().find(|system| system.name() == name);
    system.ok_or_else(|| format!("there is no system `{name}`; there are {}", known()))
}
