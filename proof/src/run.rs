//! Programs on the real runtime, through its public face alone.
//!
//! The processes of a program are played by real processes that take their
//! orders outside their mailboxes, so that the mailboxes hold nothing but what
//! the program is about. How everything comes to rest is the world's business
//! ([`Rest`]): on many threads by [`rounds`], in a simulator by running it
//! until it is idle.

mod actor;
mod crowd;
pub mod rounds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use resurgam::{ExitReason, Node, SpawnError};

use crate::observation::{Life, Observation, Outcome};
use crate::program::{Op, Program, Reason, Who};
use actor::{Order, play};
pub use crowd::Crowd;

/// Lets everything come to rest.
pub trait Rest {
    /// Returns when nothing will happen any more unless somebody outside does
    /// something; with a look at every process.
    ///
    /// # Errors
    ///
    /// If that never comes.
    fn rest(&self, crowd: &Crowd) -> impl Future<Output = Result<Vec<Look>, Restless>> + Send;
}

/// What is seen of one process. Two looks that are equal saw the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// What the runtime says of it; nothing of the unborn and the dead.
    pub info: Option<Info>,
    /// What it is at, as it says itself.
    pub activity: Activity,
    /// How much it has seen so far.
    pub logged: usize,
}

/// What the runtime says of a process that lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// Whether it traps exits.
    pub traps: bool,
    /// Whom it is linked to.
    pub links: Vec<Who>,
    /// Whom it watches. A name that nobody has counts, but is nobody.
    pub monitors: Vec<Option<Who>>,
    /// Who watches it.
    pub watched_by: Vec<Who>,
    /// Its name.
    pub name: Option<crate::program::Name>,
    /// How much mail it has not received.
    pub unread: usize,
}

/// What a process is at.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Activity {
    /// It has something to do.
    #[default]
    Busy,
    /// It waits for mail, and will do nothing until some comes.
    ForMail,
    /// It waits for orders.
    Idle,
}

/// Something goes on for ever, or hangs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the program never comes to rest; last seen: {0:?}")]
pub struct Restless(pub Vec<Look>);

/// Why there is nothing to be observed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not come to rest.
    #[error(transparent)]
    Restless(#[from] Restless),
    /// A process could not be spawned.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Takes the steps one at a time; everything comes to rest in between.
///
/// # Errors
///
/// See [`RunError`].
pub async fn settled(
    node: &Node,
    rest: &impl Rest,
    program: &Program,
) -> Result<Observation, RunError> {
    let crowd = gather(node, program, None)?;
    let mut looks = rest.rest(&crowd).await?;
    for (who, op) in &program.steps {
        if looks[*who].info.is_some() && looks[*who].activity == Activity::Idle {
            crowd.order(*who, Order::Do(*op));
            looks = rest.rest(&crowd).await?;
        }
    }
    observe(rest, &crowd, looks).await
}

/// Lets every process take its own steps by itself. A number makes their speeds
/// differ, where nothing else does.
///
/// # Errors
///
/// See [`RunError`].
pub async fn racy(
    node: &Node,
    rest: &impl Rest,
    program: &Program,
    pace: Option<u64>,
) -> Result<Observation, RunError> {
    let crowd = gather(node, program, pace)?;
    rest.rest(&crowd).await?;
    for who in 0..program.processes {
        let script: Vec<Op> = program.script(who).collect();
        crowd.prepare(who, script.into_iter().map(Order::Do));
    }
    let mut order: Vec<Who> = (0..program.processes).collect();
    if let Some(pace) = pace {
        fastrand::Rng::with_seed(pace).shuffle(&mut order);
    }
    for who in order {
        crowd.wake(who);
    }
    let looks = rest.rest(&crowd).await?;
    observe(rest, &crowd, looks).await
}

/// The processes that are there from the beginning.
fn gather(node: &Node, program: &Program, pace: Option<u64>) -> Result<Arc<Crowd>, SpawnError> {
    // Programs that run side by side have names of their own.
    static PROGRAMS: AtomicU64 = AtomicU64::new(0);
    let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
    let crowd = Arc::new(Crowd::new(node.clone(), number, program.processes, pace));
    for who in 0..program.initial {
        let process = node.spawn(play(Arc::clone(&crowd), who))?;
        crowd.enter(who, &process);
    }
    Ok(crowd)
}

/// What is seen at the end. Nothing of the program is left behind.
async fn observe(
    rest: &impl Rest,
    crowd: &Crowd,
    looks: Vec<Look>,
) -> Result<Observation, RunError> {
    for (who, look) in looks.iter().enumerate() {
        if look.info.is_some() && look.activity == Activity::Idle {
            crowd.order(who, Order::Empty);
        }
    }
    rest.rest(crowd).await?;
    // What they see of each other's ends, and do then, is not looked at.
    let mut seen = Vec::new();
    for (who, look) in looks.into_iter().enumerate() {
        let state = look.info.map(|info| crowd.state(who, info));
        let is_born = crowd.pid(who).is_some();
        seen.push((is_born, crowd.take_log(who), state));
    }
    dismiss(rest, crowd).await?;
    let mut outcomes = Vec::new();
    for (who, (is_born, log, state)) in seen.into_iter().enumerate() {
        let life = match crowd.reason(who).await {
            Some(_) if state.is_some() => Life::Alive,
            Some(reason) if is_born => Life::Dead(reason_of(&reason)),
            Some(_) | None => Life::Unborn,
        };
        outcomes.push(Outcome {
            life,
            log,
            state: state.unwrap_or_default(),
        });
    }
    Ok(Observation(outcomes))
}

/// Ends all of them; also those who are spawned by one that the end of another
/// has woken.
async fn dismiss(rest: &impl Rest, crowd: &Crowd) -> Result<(), Restless> {
    let mut looks = Vec::new();
    for _ in crowd.pids() {
        crowd.dismiss();
        looks = rest.rest(crowd).await?;
        if looks.iter().all(|look| look.info.is_none()) {
            return Ok(());
        }
    }
    Err(Restless(looks))
}

/// The reason of a program as the runtime has it.
fn exit_reason(reason: Reason) -> ExitReason {
    match reason {
        Reason::Normal => ExitReason::Normal,
        Reason::Shutdown => ExitReason::Shutdown,
        Reason::Kill => ExitReason::Kill,
        Reason::Killed => ExitReason::Killed,
        Reason::NoProc => ExitReason::NoProcess,
        Reason::Panic => ExitReason::custom("panic is no reason to be chosen"),
        Reason::Custom(number) => ExitReason::custom(number),
    }
}

/// And back.
fn reason_of(reason: &ExitReason) -> Reason {
    match reason {
        ExitReason::Normal => Reason::Normal,
        ExitReason::Shutdown => Reason::Shutdown,
        ExitReason::Kill => Reason::Kill,
        ExitReason::Killed => Reason::Killed,
        ExitReason::NoProcess => Reason::NoProc,
        ExitReason::Panicked(_) => Reason::Panic,
        ExitReason::Custom(term) => match term.downcast_ref::<u8>() {
            Some(number) => Reason::Custom(*number),
            None => Reason::Custom(u8::MAX),
        },
        // No program makes others.
        _ => Reason::Custom(u8::MAX),
    }
}
