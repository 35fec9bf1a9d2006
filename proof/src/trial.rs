//! Many cases, each from a seed, until one differs; that one made smaller.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::Instant;

/// What was seen of one case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sides {
    /// All that can be.
    pub possible: Vec<String>,
    /// What was, and who saw it.
    pub seen: Vec<(&'static str, String)>,
}

impl Sides {
    /// Whether all that was seen can be.
    pub fn agree(&self) -> bool {
        self.seen
            .iter()
            .all(|(_, line)| self.possible.contains(line))
    }
}

impl Display for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let possible = self.possible.iter().map(|line| ("possible", line));
        let seen = self.seen.iter().map(|(who, line)| (*who, line));
        for (who, line) in possible.chain(seen) {
            writeln!(f, "{who}:\n    {}", line.replace(" | ", "\n    "))?;
        }
        Ok(())
    }
}

/// The model would have had to look at too much.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct LeftOut;

/// A kind of comparison.
pub trait Trial: Send + Sync + 'static {
    /// What is compared.
    type Case: Clone + Display + Send + Sync + 'static;

    /// The case of a seed.
    fn case(&self, seed: u64) -> Self::Case;

    /// How many operations it has.
    fn operations(case: &Self::Case) -> usize;

    /// Runs it on all sides.
    ///
    /// # Errors
    ///
    /// If it is left out.
    fn run(&self, case: &Self::Case) -> impl Future<Output = Result<Sides, LeftOut>> + Send;

    /// Makes a case smaller that fails.
    fn shrink(case: Self::Case, fails: impl FnMut(&Self::Case) -> bool) -> Self::Case;
}

/// What came of many cases.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many were compared.
    pub cases: u64,
    /// How many were left out.
    pub left_out: u64,
    /// How many operations were in them.
    pub operations: u64,
    /// How long it took.
    pub time: Duration,
    /// The first that differs, if one does.
    pub difference: Option<Difference>,
}

/// A case on which they do not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Its seed.
    pub seed: u64,
    /// The case, as small as could be made.
    pub case: String,
    /// What each of them says of it.
    pub text: String,
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        write!(
            f,
            "{} compared, {} left out, {} operations, {seconds:.1} s, {:.0} a second, differences {}",
            self.cases,
            self.left_out,
            self.operations,
            self.cases as f64 / seconds,
            u8::from(self.difference.is_some()),
        )?;
        match &self.difference {
            None => Ok(()),
            Some(Difference { seed, case, text }) => write!(f, "\nseed {seed}\n{case}\n{text}"),
        }
    }
}

/// How many cases are under way at once.
const AT_ONCE: usize = 8;

/// Compares the cases of `count` seeds, from `first` on. Stops at the first
/// that differs, and makes it smaller.
///
/// # Panics
///
/// If a comparison does.
pub fn run<T: Trial>(runtime: &Runtime, trial: T, first: u64, count: u64) -> Summary {
    let trial = Arc::new(trial);
    let begun = Instant::now();
    let shared = Arc::new(Shared::default());
    runtime.block_on(async {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| tokio::spawn(work(Arc::clone(&trial), Arc::clone(&shared), first, count)))
            .collect();
        for worker in workers {
            worker.await.expect("a comparison does not panic");
        }
    });
    let mut summary = shared
        .summary
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    summary.time = begun.elapsed();
    if let Some(difference) = &mut summary.difference {
        *difference = smaller(runtime, &*trial, difference.clone());
    }
    summary
}

#[derive(Default)]
struct Shared {
    taken: AtomicU64,
    summary: Mutex<Summary>,
}

async fn work<T: Trial>(trial: Arc<T>, shared: Arc<Shared>, first: u64, count: u64) {
    loop {
        let number = shared.taken.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let seed = first.wrapping_add(number);
        let case = trial.case(seed);
        let sides = trial.run(&case).await;
        let mut summary = shared
            .summary
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        summary.operations += T::operations(&case) as u64;
        match sides {
            Err(LeftOut) => summary.left_out += 1,
            Ok(sides) => {
                summary.cases += 1;
                if !sides.agree() {
                    let (case, text) = (case.to_string(), sides.to_string());
                    summary
                        .difference
                        .get_or_insert(Difference { seed, case, text });
                    shared.taken.store(count, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A difference that does not always show is looked for again and again.
const TRIES: usize = 20;

fn smaller<T: Trial>(runtime: &Runtime, trial: &T, found: Difference) -> Difference {
    let difference = |case: &T::Case| {
        let mut runs = (0..TRIES).filter_map(|_| runtime.block_on(trial.run(case)).ok());
        runs.find(|sides| !sides.agree())
            .map(|sides| sides.to_string())
    };
    let small = T::shrink(trial.case(found.seed), |case| difference(case).is_some());
    match difference(&small) {
        Some(text) => Difference {
            case: small.to_string(),
            text,
            ..found
        },
        None => found,
    }
}
