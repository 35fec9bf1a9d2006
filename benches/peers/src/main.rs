//! Resurgam and its peers, measured by the same workloads.
//!
//! Each run of a workload is a child process of this program, so that no system
//! inherits the memory or the threads of another. The systems take turns, one
//! run each, in every round. See `--help`.

#[cfg(feature = "libraries")]
mod libraries;
mod machine;
mod options;
mod page;
mod rows;
mod runs;
mod samples;
mod systems;

use std::process::ExitCode;

use options::{Mode, Options};
use resurgam_workloads::{Crash, Workload};
use systems::System;

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)) {
        Ok(Mode::Measure(options)) => measure(options),
        Ok(Mode::Child(system, workload)) => child(system, workload),
        Ok(Mode::Help) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", options::HELP);
            ExitCode::FAILURE
        }
    }
}

fn measure(mut options: Options) -> ExitCode {
    options.systems.retain(|&system| is_here(system));
    let samples = runs::measure(&options);
    let page = page::render(&options, &samples);
    if !options.write {
        println!("{page}");
        return ExitCode::SUCCESS;
    }
    match page::write(&page) {
        Ok(path) => println!("written to {}", path.display()),
        Err(error) => {
            eprintln!("the page could not be written: {error}\n\n{page}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Whether a system can be measured; says so if it cannot.
fn is_here(system: System) -> bool {
    match system.prepare() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("{} is left out: {why}", system.title());
            false
        }
    }
}

/// Runs one workload and prints its figures, or nothing if the system has no
/// such thing.
fn child(system: System, workload: Workload) -> ExitCode {
    if let Workload::FirstAnswer {
        crash: Crash::Panic,
        ..
    } = workload
    {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let Some(outcome) = system.run(workload) else {
        return ExitCode::SUCCESS;
    };
    let figures = outcome.figures(workload.operations());
    let figures: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
    // What is still there ends with the program.
    std::process::exit(0)
}
