//! Guards the speed of Resurgam by figures that noise cannot move: executed
//! instructions, atomic read-modify-writes, allocations and bytes.
//!
//! Measures all of them and fails when one is worse than the file of gates
//! allows. How to use it: `README.md` beside this package's manifest.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod allocations;
mod callgrind;
mod child;
mod clock;
mod gates;
mod locked;
mod measure;
mod path;
mod report;
mod wakes;
mod workloads;

use std::error::Error;
use std::process::ExitCode;

use gates::Gates;
use path::Path;

/// What any part of the guard can fail with: it is told to a person.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("guard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    if let Some(order) = child::Order::parse(arguments)? {
        order.carry_out()
    }
    let (write, names): (Vec<_>, Vec<_>) = arguments
        .iter()
        .partition(|argument| *argument == "--write");
    let paths = chosen(&names)?;
    callgrind::check()?;
    let gates = Gates::read()?;
    let rows = measure::all(&paths)?;
    let judged = report::print(&rows, &gates);
    if write.is_empty() {
        return Ok(judged);
    }
    gates.with(&rows).write()?;
    Ok(ExitCode::SUCCESS)
}

/// The paths of these names; all of them if there is no name.
fn chosen(names: &[&String]) -> Result<Vec<Path>, Failure> {
    if names.is_empty() {
        return Ok(Path::ALL.to_vec());
    }
    let paths = names.iter().map(|name| {
        Path::named(name).ok_or_else(|| {
            let known = Path::ALL.map(Path::name).join(", ");
            format!("no path is called `{name}`; there are {known}").into()
        })
    });
    paths.collect()
}
