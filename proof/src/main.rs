//! Runs the comparisons: `proof model|racy|erlang|trees`.
//!
//! * `--programs N`: how many random cases;
//! * `--seed S`: the first one's seed;
//! * `--only S`: one case, printed;
//! * `--times T` (racy): how often each is run.
//!
//! What runs in the simulator: `proof scenarios --programs N --seed S`, and so
//! with `simulated` and `simulated-racy`, `-orders`, `-trees`, `-statems`,
//! `-events`, `-servers`, `-groups`, `-keys`, `-tasks`, `-pools`,
//! `-applications`, `-callbacks` (see [`suite`]), `proof sweep|soak|day|calls` (see
//! [`simulated`]), and, in builds with `--cfg resurgam_planted`, `proof hunt`,
//! which plants one bug after the other and looks who notices.

use std::process::ExitCode;

use lexopt::prelude::*;
use resurgam::Node;
use resurgam_proof::erlang::Erlang;
use resurgam_proof::signals::{Racy, Settled, WithErlang};
use resurgam_proof::simulated;
use resurgam_proof::suite;
use resurgam_proof::tree::Trees;
use resurgam_proof::trial::{self, Summary, Trial};
use tokio::runtime::Runtime;

/// What is asked for.
struct Wanted {
    command: String,
    programs: u64,
    seed: u64,
    only: bool,
    times: u64,
}

fn wanted() -> Result<Wanted, lexopt::Error> {
    let mut wanted = Wanted {
        command: String::new(),
        programs: 1_000,
        seed: 0,
        only: false,
        times: 20,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(command) => wanted.command = command.string()?,
            Long("programs") => wanted.programs = parser.value()?.parse()?,
            Long("seed") => wanted.seed = parser.value()?.parse()?,
            Long("times") => wanted.times = parser.value()?.parse()?,
            Long("only") => {
                wanted.seed = parser.value()?.parse()?;
                wanted.programs = 1;
                wanted.only = true;
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(wanted)
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(code) = simulated::command()? {
        return Ok(code);
    }
    if let Some(code) = suite::command()? {
        return Ok(code);
    }
    #[cfg(resurgam_planted)]
    if let Some(code) = resurgam_proof::hunt::command()? {
        return Ok(code);
    }
    let wanted = wanted()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let node = runtime.block_on(async { Node::new() })?;
    let summary = match wanted.command.as_str() {
        "model" => compare(&runtime, &wanted, Settled { node }),
        "racy" => compare(
            &runtime,
            &wanted,
            Racy {
                node,
                times: wanted.times,
            },
        ),
        "erlang" => {
            let erlang = Erlang::start()?;
            compare(&runtime, &wanted, WithErlang { node, erlang })
        }
        "trees" => {
            let erlang = Erlang::start()?;
            compare(&runtime, &wanted, Trees { node, erlang })
        }
        other => return Err(format!("`{other}` is none of model, racy, erlang, trees").into()),
    };
    println!("{}: {summary}", wanted.command);
    Ok(ExitCode::from(u8::from(summary.difference.is_some())))
}

fn compare<T: Trial>(runtime: &Runtime, wanted: &Wanted, trial: T) -> Summary {
    if wanted.only {
        let case = trial.case(wanted.seed);
        println!("{case}");
        if let Ok(sides) = runtime.block_on(trial.run(&case)) {
            print!("{sides}");
        }
    }
    trial::run(runtime, trial, wanted.seed, wanted.programs)
}
