//! The table that is printed, and whether the guard fails.

use std::process::ExitCode;

use crate::gates::{Gate, Gates, Verdict};
use crate::measure::Row;

/// Prints the table; fails if a figure got worse or has no gate.
#[must_use]
pub(crate) fn print(rows: &[Row], gates: &Gates) -> ExitCode {
    println!("| path | measure | figure | gate | goal | Tokio | verdict |");
    println!("|---|---|---:|---:|---:|---:|---|");
    let mut failed = Vec::new();
    for row in rows {
        let gate = gates.get(row.key);
        let verdict = gate.map_or(Verdict::Unknown, |gate| gate.judge(row.figure));
        print_row(row, gate, verdict);
        match verdict {
            Verdict::Holds | Verdict::Better => {}
            Verdict::Worse | Verdict::Unknown => {
                failed.push((row, or_dash(gate.map(|gate| gate.figure))));
            }
        }
    }
    for (row, gate) in &failed {
        let (path, measure) = (row.key.path.name(), row.key.measure.name());
        eprintln!(
            "guard: {path} {measure} is {:.2}; its gate is {gate}",
            row.figure
        );
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_row(row: &Row, gate: Option<&Gate>, verdict: Verdict) {
    let goal = gate.and_then(|gate| gate.goal);
    println!(
        "| {} | {} | {:.2} | {} | {} | {} | {}{} |",
        row.key.path.name(),
        row.key.measure.name(),
        row.figure,
        or_dash(gate.map(|gate| gate.figure)),
        goal.map_or("-".into(), |goal| goal.to_string()),
        or_dash(row.tokio),
        in_words(verdict),
        about_goal(row.figure, goal),
    );
}

fn or_dash(figure: Option<f64>) -> String {
    figure.map_or("-".into(), |figure| format!("{figure:.2}"))
}

fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Worse => "WORSE",
        Verdict::Better => "better: lower the gate",
        Verdict::Unknown => "NO GATE",
    }
}

fn about_goal(figure: f64, goal: Option<f64>) -> &'static str {
    match goal {
        // What does not show in the table does not count.
        Some(goal) if figure >= goal + 0.005 => ", goal missed",
        Some(_) => ", goal met",
        None => "",
    }
}
