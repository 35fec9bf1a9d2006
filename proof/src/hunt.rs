//! The hunt: the proof of the proof. In a build with planted bugs, every suite
//! is run with every bug in turn, and one of them has to notice.
//!
//! Each suite with its bug runs in a process of its own, as a bug may also hang
//! or abort. That counts, as the same suite without a bug has come to its end
//! before.

use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lexopt::prelude::*;
use resurgam::planted::{Bug, plant};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::suite::{self, Suite};

/// What a suite made of a bug.
#[derive(Clone, Debug)]
enum Outcome {
    /// Nothing.
    Unnoticed,
    /// A failure: its seed, and what failed.
    Failed(String, String),
    Hang,
    Abort,
}

/// Runs the hunt, if the command line asks for it: `hunt`, or `hunt --bug B`
/// for one bug alone. `hunt --bug B --suite S` runs one suite here and now.
///
/// # Errors
///
/// What is wrong with the command line, or with starting processes.
pub fn command() -> Result<Option<ExitCode>, Box<dyn std::error::Error>> {
    let mut parser = lexopt::Parser::from_env();
    if !matches!(parser.next()?, Some(Value(command)) if command == "hunt") {
        return Ok(None);
    }
    let (mut bugs, mut suite) = (Bug::ALL.to_vec(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bug") => bugs = vec![bug_named(&parser.value()?.string()?)?],
            Long("suite") => suite = Some(suite_named(&parser.value()?.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(suite) = suite {
        return Ok(Some(inside(&bugs, suite)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(Some(runtime.block_on(hunt(&bugs))?))
}

fn bug_named(name: &str) -> Result<Bug, String> {
    let mut all = Bug::ALL.iter().chain(&[Bug::None]);
    let found = all.find(|bug| format!("{bug:?}") == name);
    found
        .copied()
        .ok_or_else(|| format!("there is no bug `{name}`"))
}

fn suite_named(name: &str) -> Result<&'static Suite, String> {
    let found = suite::ALL.iter().find(|suite| suite.name == name);
    found.ok_or_else(|| format!("there is no suite `{name}`"))
}

/// One suite with a bug, in this process. The first line is for the hunt.
fn inside(bugs: &[Bug], suite: &Suite) -> ExitCode {
    bugs.iter().copied().for_each(plant);
    match (suite.run)(0..suite.seeds) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            println!("{}\t{}\n{}", failed.seed, failed.what, failed.text);
            ExitCode::FAILURE
        }
    }
}

async fn hunt(bugs: &[Bug]) -> std::io::Result<ExitCode> {
    let begun = Instant::now();
    let Some(limits) = without_bugs().await? else {
        return Ok(ExitCode::FAILURE);
    };
    println!(
        "\n| bug | what is wrong | caught by | seed | seconds | how |\n|---|---|---|---|---|---|"
    );
    let next = AtomicUsize::new(0);
    let work = async || {
        let mut missed = 0;
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            missed += u32::from(!chase(*bug, &limits).await?);
        }
        std::io::Result::Ok(missed)
    };
    let (one, other) = futures::try_join!(work(), work())?;
    let (missed, seconds) = (one + other, begun.elapsed().as_secs_f64());
    let caught = bugs.len() - missed as usize;
    println!(
        "\nhunt: {caught} of {} bugs caught, {seconds:.0} s",
        bugs.len()
    );
    Ok(ExitCode::from(u8::from(missed > 0)))
}

/// All suites without a bug; how long each may take with one. `None` if one
/// fails.
async fn without_bugs() -> std::io::Result<Option<Vec<Duration>>> {
    const LONG: Duration = Duration::from_secs(600);
    const LEAST: Duration = Duration::from_secs(20);
    let mut limits = Vec::new();
    for suite in suite::ALL {
        let begun = Instant::now();
        let outcome = outside(Bug::None, suite, LONG).await?;
        let took = begun.elapsed();
        println!(
            "no bug, {}: {outcome:?}, {:.1} s",
            suite.name,
            took.as_secs_f64()
        );
        if !matches!(outcome, Outcome::Unnoticed) {
            return Ok(None);
        }
        limits.push(LEAST.max(took * 5));
    }
    Ok(Some(limits))
}

/// Runs the suites with a bug until one notices; whether one does.
async fn chase(bug: Bug, limits: &[Duration]) -> std::io::Result<bool> {
    let begun = Instant::now();
    let mut row = ("nobody", String::new(), String::new());
    for (suite, limit) in suite::ALL.iter().zip(limits) {
        let (seed, how) = match outside(bug, suite, *limit).await? {
            Outcome::Unnoticed => continue,
            Outcome::Failed(seed, how) => (seed, how),
            Outcome::Hang => (String::new(), "hang".to_owned()),
            Outcome::Abort => (String::new(), "abort".to_owned()),
        };
        row = (suite.name, seed, how);
        break;
    }
    let (caught_by, seed, how) = row;
    let (what, seconds) = (bug.what().trim(), begun.elapsed().as_secs_f64());
    let how = short(&how);
    println!("| {bug:?} | {what} | {caught_by} | {seed} | {seconds:.1} | {how} |");
    Ok(caught_by != "nobody")
}

/// One suite with a bug, in a process of its own.
async fn outside(bug: Bug, suite: &Suite, limit: Duration) -> std::io::Result<Outcome> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["hunt", "--bug", &format!("{bug:?}"), "--suite", suite.name])
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let Ok(output) = timeout(limit, command.output()).await else {
        return Ok(Outcome::Hang);
    };
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().and_then(|line| line.split_once('\t'));
    Ok(match (output.status.code(), first) {
        (Some(0), _) => Outcome::Unnoticed,
        (Some(1), Some((seed, what))) => Outcome::Failed(seed.to_owned(), what.to_owned()),
        _ => Outcome::Abort,
    })
}

/// As much as has room in a table.
fn short(how: &str) -> String {
    const ROOM: usize = 100;
    let how = how.replace('|', "/");
    match how.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}...", &how[..end]),
        None => how,
    }
}
