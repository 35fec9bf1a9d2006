//! Measures paths: what a run of twice as many operations costs more.

use crate::Failure;
use crate::callgrind::Run;
use crate::child::{Allocations, Order};
use crate::gates::{Key, Measure};
use crate::locked::Locked;
use crate::path::{Method, Path, System};
use crate::wakes;

/// One figure, and the same of plain Tokio.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) figure: f64,
    pub(crate) tokio: Option<f64>,
}

/// Measures these paths.
pub(crate) fn all(paths: &[Path]) -> Result<Vec<Row>, Failure> {
    let mut locked = Locked::default();
    let mut rows = Vec::new();
    for path in paths {
        eprintln!("measuring {}", path.name());
        let figures = figures(System::Resurgam, *path, &mut locked)?;
        let of_tokio = if path.is_in_tokio() {
            figures_of_tokio(*path, &mut locked)?
        } else {
            vec![None; figures.len()]
        };
        for ((measure, figure), tokio) in figures.into_iter().zip(of_tokio) {
            let key = Key {
                path: *path,
                measure,
            };
            rows.push(Row { key, figure, tokio });
        }
    }
    Ok(rows)
}

fn figures_of_tokio(path: Path, locked: &mut Locked) -> Result<Vec<Option<f64>>, Failure> {
    let figures = figures(System::Tokio, path, locked)?;
    Ok(figures
        .into_iter()
        .map(|(_, figure)| Some(figure))
        .collect())
}

/// All figures of a path.
fn figures(
    system: System,
    path: Path,
    locked: &mut Locked,
) -> Result<Vec<(Measure, f64)>, Failure> {
    let order = Order {
        system,
        path,
        operations: path.operations(),
        allocations: Allocations::Ignored,
    };
    match path.method() {
        Method::Cost => {
            let [instructions, locked] = cost(order, locked)?;
            Ok(vec![
                (Measure::Instructions, instructions),
                (Measure::Locked, locked),
                (Measure::Allocations, allocations(order)?),
            ])
        }
        Method::Growth => {
            let [instructions, _] = cost(order, locked)?;
            let more = Order {
                operations: 10 * order.operations,
                ..order
            };
            let [of_more, _] = cost(more, locked)?;
            Ok(vec![
                (Measure::Instructions, instructions),
                (Measure::Growth, of_more / instructions),
            ])
        }
        Method::Bytes => Ok(vec![(Measure::Bytes, bytes(order)?)]),
        Method::Wakes => Ok(wakes(order)?
            .map(|wakes| (Measure::Wakes, wakes))
            .into_iter()
            .collect()),
    }
}

/// Instructions and atomic read-modify-writes per operation.
fn cost(order: Order, locked: &mut Locked) -> Result<[f64; 2], Failure> {
    // Both at once: neither disturbs the other.
    let runs = [Run::start(order)?, Run::start(twice(order))?];
    let mut counts = [[0; 2]; 2];
    for (counts, run) in counts.iter_mut().zip(runs) {
        let profile = run.profile()?;
        *counts = [profile.instructions(), locked.count(&profile)?];
    }
    let [short, long] = counts;
    Ok([0, 1].map(|count| {
        (long[count].cast_signed() - short[count].cast_signed()) as f64 / order.operations as f64
    }))
}

/// Allocations per operation.
fn allocations(order: Order) -> Result<f64, Failure> {
    let (short, long) = (counted(order).tally()?, counted(twice(order)).tally()?);
    Ok((long.count - short.count) as f64 / order.operations as f64)
}

/// Bytes that stay allocated, per operation: of as many more, since memory that
/// is allocated in large pieces is there for the first one.
fn bytes(order: Order) -> Result<f64, Failure> {
    let (short, long) = (counted(order).tally()?, counted(twice(order)).tally()?);
    Ok((long.bytes - short.bytes) as f64 / order.operations as f64)
}

/// How often a thread is woken in the whole run, start and end left out; in
/// the run in which the machine disturbed least.
fn wakes(order: Order) -> Result<Option<f64>, Failure> {
    const RUNS: u32 = 10;
    let nothing = Order {
        operations: 0,
        ..order
    };
    let mut fewest = f64::INFINITY;
    for _ in 0..RUNS {
        let (Some(wakes), Some(start)) = (wakes::of(order)?, wakes::of(nothing)?) else {
            eprintln!("left out: it needs strace, and leave to trace");
            return Ok(None);
        };
        fewest = fewest.min(wakes.saturating_sub(start) as f64);
    }
    Ok(Some(fewest))
}

fn counted(order: Order) -> Order {
    Order {
        allocations: Allocations::Counted,
        ..order
    }
}

fn twice(order: Order) -> Order {
    Order {
        operations: 2 * order.operations,
        ..order
    }
}
