//! Resurgam and its peers, measured by the same workloads.
//!
//! Each run of a workload is a child process of this program, so that no system
//! inherits the memory or the threads of another. The systems take turns, one
//! run each, in every round. See `--help`.

mod machine;
mod options;
mod page;
mod rows;
mod runs;
mod samples;
mod systems;

use std::process::ExitCode;

use options::{Mode, Options};

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)) {
        Ok(Mode::Measure(options)) => measure(&options),
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

fn measure(options: &Options) -> ExitCode {
    let samples = runs::measure(options);
    let page = page::render(options, &samples);
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

/// Runs one workload and prints its figures, or nothing if the system has no
/// such thing.
fn child(system: systems::System, workload: resurgam_workloads::Workload) -> ExitCode {
    let Some(figures) = system.run(workload) else {
        return ExitCode::SUCCESS;
    };
    let figures: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
    // What is still there ends with the program.
    std::process::exit(0)
}
