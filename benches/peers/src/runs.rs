//! Runs the child processes.

use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::options::{Options, Scale};
use crate::rows::Row;
use crate::samples::{Run, Samples};
use crate::systems::System;

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs everything, the systems in turn.
pub fn measure(options: &Options) -> Samples {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(all_rounds(options))
}

async fn all_rounds(options: &Options) -> Samples {
    let mut samples = Samples::default();
    for round in 1..=options.rounds {
        for row in &options.rows {
            eprintln!("round {round} of {}: {}", options.rounds, row.name);
            for &system in &options.systems {
                // What failed once is not tried again.
                if samples.trouble(row, system).is_none() {
                    samples.add(row, system, run(system, row, options.scale).await);
                }
            }
        }
    }
    samples
}

async fn run(system: System, row: &Row, scale: Scale) -> Run {
    let mut child = Command::from(system.command(row, scale));
    child.kill_on_drop(true);
    let run = match timeout(PATIENCE, child.output()).await {
        Ok(Ok(output)) => read(&output),
        Ok(Err(error)) => Run::Failed(error.to_string()),
        Err(_) => Run::TooLong(PATIENCE.as_secs()),
    };
    if !matches!(run, Run::Figures(_)) {
        eprintln!("{} has no figure of {}: {run:?}", system.name(), row.name);
    }
    run
}

fn read(output: &Output) -> Run {
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        return Run::Failed(format!("{}: {}", output.status, error.trim()));
    }
    let figures: Result<Vec<f64>, _> = out.split_whitespace().map(str::parse).collect();
    match figures {
        Ok(figures) if figures.is_empty() => Run::Missing,
        Ok(figures) => Run::Figures(figures),
        Err(_) => Run::Failed(format!("it said {out:?}")),
    }
}
