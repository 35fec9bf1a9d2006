//! The page that the figures are written to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::machine;
use crate::options::Options;
use crate::rows::{Goal, Row};
use crate::samples::{Figures, Run, Samples};
use crate::systems::System;

/// What is said beside the figures.
const NOTES: &str = "notes.md";

/// Where a figure is missing.
const NOTHING: &str = "–";

/// Writes the page; where to.
pub fn write(page: &str) -> std::io::Result<PathBuf> {
    let docs = home().join("../../docs").canonicalize()?;
    let path = docs.join("benchmarks.md");
    std::fs::write(&path, page)?;
    Ok(path)
}

/// The folder of this package.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The whole page.
pub fn render(options: &Options, samples: &Samples) -> String {
    let parts = [
        "# Benchmarks".to_owned(),
        "This page is written by a program; what is said beside the figures stands in `benches/peers/notes.md`.".to_owned(),
        circumstances(options),
        goals(options, samples),
        everything(options, samples),
        missing(options, samples),
        std::fs::read_to_string(home().join(NOTES)).unwrap_or_default(),
    ];
    let parts: Vec<_> = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n\n") + "\n"
}

fn circumstances(options: &Options) -> String {
    let or_unknown = |said: Option<String>| said.unwrap_or("unknown".to_owned());
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        writeln!(text, "| {what} | {value} |").expect("a string takes all");
    };
    line("what", "how");
    line("---", "---");
    line(
        "machine",
        &format!("{}, {} cores", machine::processor(), machine::cores()),
    );
    line(
        "date",
        &or_unknown(machine::said_by("date", &["-u", "+%F"])),
    );
    line(
        "command",
        &format!(
            "`cargo run --release --manifest-path benches/peers/Cargo.toml -- {}`",
            options.arguments
        ),
    );
    line(
        "rounds",
        &format!(
            "{}, each workload at its {} size",
            options.rounds,
            options.scale.name()
        ),
    );
    line(
        "compiler",
        &or_unknown(machine::said_by("rustc", &["--version"])),
    );
    line("build", "release, thin LTO, one codegen unit");
    line(
        "allocator",
        "the system's, for all (glibc malloc on Linux); Erlang has its own",
    );
    line("workers", "two, for all");
    for system in &options.systems {
        line(system.title(), &system.version());
    }
    text
}

/// Resurgam beside plain Tokio, and the goals.
fn goals(options: &Options, samples: &Samples) -> String {
    let mut text = "## Resurgam and plain Tokio\n\n\
        Medians; nanoseconds an operation if nothing else is said. The *ratio* is that of the medians; in brackets its spread: least to greatest of Resurgam over the median of Tokio.\n\n\
        | workload | Tokio | Resurgam | ratio | goal | reached | fastest other |\n|---|---:|---:|---:|---:|---|---:|\n"
        .to_owned();
    for row in &options.rows {
        for (place, figure) in row.figures.iter().enumerate() {
            let tokio = samples.figures(row, place, System::Tokio);
            let ours = samples.figures(row, place, System::Resurgam);
            let (Some(tokio), Some(ours)) = (tokio, ours) else {
                continue;
            };
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                figure.label,
                number(tokio.median()),
                number(ours.median()),
                ratio(&ours, &tokio),
                goal(figure.goal),
                match figure.goal.is_reached(&ours, &tokio) {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => NOTHING,
                },
                fastest_other(options, row, place, samples),
            )
            .expect("a string takes all");
        }
    }
    text
}

/// The system with the least median, beside Resurgam and plain Tokio.
fn fastest_other(options: &Options, row: &Row, place: usize, samples: &Samples) -> String {
    let medians = options.systems.iter().filter_map(|&system| match system {
        System::Tokio | System::TokioBatched | System::Resurgam => None,
        System::Erlang | System::Library(_) => {
            Some((system, samples.figures(row, place, system)?.median()))
        }
    });
    let fastest = medians.min_by(|(_, a), (_, b)| a.total_cmp(b));
    fastest.map_or(NOTHING.to_owned(), |(system, median)| {
        format!("{} ({})", number(median), system.title())
    })
}

/// All systems.
fn everything(options: &Options, samples: &Samples) -> String {
    let mut text =
        "## All systems\n\nMedians, in brackets the least and the greatest.\n\n| workload |"
            .to_owned();
    for system in &options.systems {
        write!(text, " {} |", system.title()).expect("a string takes all");
    }
    text += "\n|---|";
    text += &"---:|".repeat(options.systems.len());
    for row in &options.rows {
        for (place, figure) in row.figures.iter().enumerate() {
            write!(text, "\n| {} |", figure.label).expect("a string takes all");
            for &system in &options.systems {
                let figures = samples.figures(row, place, system);
                let cell = figures.map_or(NOTHING.to_owned(), |figures| with_spread(&figures));
                write!(text, " {cell} |").expect("a string takes all");
            }
        }
    }
    text
}

/// Why figures are missing.
fn missing(options: &Options, samples: &Samples) -> String {
    let reasons = |system: &System| reasons(options, *system, samples);
    let reasons: Vec<_> = options.systems.iter().flat_map(reasons).collect();
    if reasons.is_empty() {
        return String::new();
    }
    format!("## Figures that are missing\n\n{}", reasons.join("\n"))
}

/// Why figures of a system are missing, a line a reason.
fn reasons(options: &Options, system: System, samples: &Samples) -> Vec<String> {
    let mut labels = BTreeMap::<_, Vec<_>>::new();
    for row in &options.rows {
        if let Some(why) = reason(row, system, samples) {
            labels.entry(why).or_default().push(row.name);
        }
    }
    let line =
        |(why, names): (_, Vec<_>)| format!("- {}, {why}: {}.", system.title(), names.join(", "));
    labels.into_iter().map(line).collect()
}

fn reason(row: &Row, system: System, samples: &Samples) -> Option<String> {
    Some(match samples.trouble(row, system)? {
        Run::Figures(_) => return None,
        // It is there for a few workloads only.
        Run::Missing if system == System::TokioBatched => return None,
        Run::Missing => "has no counterpart".to_owned(),
        Run::TooLong(seconds) => format!("given up after {seconds} seconds"),
        Run::Failed(words) => format!("failed ({})", words.lines().next().unwrap_or_default()),
    })
}

fn goal(goal: Goal) -> String {
    match goal {
        Goal::Ratio(ratio) => ratio.to_string(),
        Goal::Bytes(bytes) => format!("{bytes} bytes"),
        Goal::Unset => NOTHING.to_owned(),
    }
}

fn ratio(ours: &Figures, tokio: &Figures) -> String {
    let over = |figure: f64| figure / tokio.median();
    let (least, greatest) = (over(ours.least()), over(ours.greatest()));
    format!("{:.2} ({least:.2}–{greatest:.2})", over(ours.median()))
}

fn with_spread(figures: &Figures) -> String {
    let (least, greatest) = (number(figures.least()), number(figures.greatest()));
    let median = number(figures.median());
    if least == greatest {
        return median;
    }
    format!("{median} ({least}–{greatest})")
}

/// Three digits where there are few.
fn number(figure: f64) -> String {
    if figure < 99.95 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.0}")
    }
}
