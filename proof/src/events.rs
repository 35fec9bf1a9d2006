//! Event managers whose handlers follow a script, here and on Erlang's
//! `gen_event`.
//!
//! One process takes the steps, one after the other, and owns the supervised
//! handlers; after each step it waits until the manager is done.

use std::fmt::{self, Display};

use fastrand::Rng;
use resurgam::{
    AddHandlerError, Context, EventHandler, EventManager, ExitReason, HandlerEnd, HandlerError,
    HandlerExit, HandlerId, HandlerKey, Message, Reply, self_pid,
};

use crate::statem::Log;
use crate::writing::List;

/// What is done, one after the other.
#[derive(Clone, Debug)]
pub struct Case(Vec<Step>);

/// What is done to the manager.
#[derive(Clone, Debug)]
enum Step {
    Add(Name, Init),
    /// As `Add`, a handler that is supervised.
    Own(Name, Init),
    Delete(Name),
    Swap(Name, Name, Init),
    Notify(u32, Plan),
    SyncNotify(u32, Plan),
    Call(Name, Do),
    Which,
}

/// A handler: what it is called by.
type Name = char;

/// How `init` ends.
#[derive(Copy, Clone, Debug)]
enum Init {
    Ok,
    No,
    Crash,
}

/// What a handler does when it is given something.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Do {
    Keep,
    Remove,
    Crash,
}

/// What the handlers do about an event; who is not named keeps on.
type Plan = Vec<(Name, Do)>;

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let steps = rng.u32(3..16);
        Self((1..=steps).map(|number| step(&mut rng, number)).collect())
    }
}

fn step(rng: &mut Rng, number: u32) -> Step {
    match rng.u8(..16) {
        0..=2 => Step::Add(name(rng), init(rng)),
        3..=5 => Step::Own(name(rng), init(rng)),
        6 => Step::Delete(name(rng)),
        7..=8 => Step::Swap(name(rng), name(rng), init(rng)),
        9..=10 => Step::Notify(number, plan(rng)),
        11..=12 => Step::SyncNotify(number, plan(rng)),
        13..=14 => Step::Call(name(rng), what(rng)),
        _ => Step::Which,
    }
}

fn name(rng: &mut Rng) -> Name {
    rng.char('a'..='c')
}

fn init(rng: &mut Rng) -> Init {
    match rng.u8(..8) {
        0 => Init::No,
        1 => Init::Crash,
        _ => Init::Ok,
    }
}

fn what(rng: &mut Rng) -> Do {
    match rng.u8(..4) {
        0 => Do::Remove,
        1 => Do::Crash,
        _ => Do::Keep,
    }
}

fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Vec::new();
    for name in 'a'..='c' {
        let what = what(rng);
        if what != Do::Keep {
            plan.push((name, what));
        }
    }
    plan
}

/// What is seen of a script, in the words that Erlang has for it. For the
/// process that takes the steps, in a simulation.
///
/// # Panics
///
/// If the manager ends before it is stopped.
pub async fn seen(mut ctx: Context<HandlerExit>, Case(steps): Case) -> String {
    let log = Log::default();
    let manager = EventManager::start().await.expect("nothing hinders it");
    let mut words = Vec::new();
    for step in steps {
        let result = take(&ctx, &manager, &log, step).await;
        manager.which_handlers().await.expect("it runs");
        words.push(word(&result, &log, &mut ctx).await);
    }
    let stopped = manager.stop(ExitReason::Normal).await;
    stopped.expect("it runs");
    words.push(word("stop", &log, &mut ctx).await);
    words.join(" ")
}

/// What a step came to, what the handlers noted, and what their owner was told.
async fn word(result: &str, log: &Log, ctx: &mut Context<HandlerExit>) -> String {
    // What the manager has sent by now has come when it was asked.
    resurgam::is_alive(self_pid()).await.expect("it is here");
    let mut told = Vec::new();
    while let Some(message) = ctx.try_receive() {
        let Message::User(HandlerExit { handler, why }) = message else {
            panic!("{message:?}")
        };
        told.push(format!("{}:{}", short(&handler), told_of(&why)));
    }
    format!("{result}[{}]({})", log.take().join(","), told.join(","))
}

fn told_of(why: &HandlerEnd) -> String {
    match why {
        HandlerEnd::Deleted | HandlerEnd::Removed => "normal".to_owned(),
        HandlerEnd::Swapped(new) => format!("swapped {}", short(new)),
        HandlerEnd::Stopped => "shutdown".to_owned(),
        HandlerEnd::Failed(_) => "failed".to_owned(),
        other => format!("{other:?}"),
    }
}

fn short(key: &HandlerKey) -> String {
    key.name().map(ToString::to_string).unwrap_or_default()
}

async fn take(
    ctx: &Context<HandlerExit>,
    manager: &EventManager<(u32, Plan)>,
    log: &Log,
    step: Step,
) -> String {
    let args = |name, init, from: String| (log.clone(), name, init, from);
    let new = || "new".to_owned();
    match step {
        Step::Add(name, init) => {
            added(manager.add_handler(id(name), args(name, init, new())).await)
        }
        Step::Own(name, init) => {
            let (args, me) = (args(name, init, new()), ctx.self_ref());
            let owned = manager.add_supervised_handler(id(name), args, me, |exit| exit);
            added(owned.await)
        }
        Step::Delete(name) => match manager.delete_handler(id(name)).await {
            Ok(left) => format!("left {left}"),
            Err(error) => failed(&error),
        },
        Step::Swap(old, new, init) => {
            let log = log.clone();
            let args = move |left: Option<Name>| {
                let from = left.map_or("none".to_owned(), |left| left.to_string());
                (log, new, init, from)
            };
            added(manager.swap_handler(id(old), id(new), args).await)
        }
        Step::Notify(number, plan) => {
            manager.notify((number, plan));
            "ok".to_owned()
        }
        Step::SyncNotify(number, plan) => {
            let done = manager.sync_notify((number, plan)).await;
            done.expect("it runs");
            "ok".to_owned()
        }
        Step::Call(name, what) => {
            let called = manager.call(id(name), |reply| (what, reply)).await;
            match called {
                Ok(()) => "reply".to_owned(),
                Err(error) => failed(&error),
            }
        }
        Step::Which => {
            let handlers = manager.which_handlers().await.expect("it runs");
            let names: Vec<_> = handlers.iter().map(short).collect();
            names.join("+")
        }
    }
}

fn id(name: Name) -> HandlerId<Follower> {
    Follower::id_as(name.to_string())
}

fn added(result: Result<(), AddHandlerError>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(AddHandlerError::Failed(_)) => "failed".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

fn failed(error: &HandlerError) -> String {
    match error {
        HandlerError::NotFound(_) => "missing".to_owned(),
        HandlerError::Failed(_) => "failed".to_owned(),
        error => panic!("{error}"),
    }
}

/// A handler that follows a script.
struct Follower {
    log: Log,
    name: Name,
}

impl Do {
    fn result(self) -> Result<(), ExitReason> {
        match self {
            Self::Keep => Ok(()),
            Self::Remove => Err(ExitReason::Normal),
            Self::Crash => panic!("as the script says"),
        }
    }
}

impl EventHandler for Follower {
    type Args = (Log, Name, Init, String);
    type Event = (u32, Plan);
    type Request = (Do, Reply<()>);
    type Output = Name;

    async fn init((log, name, init, from): Self::Args) -> Result<Self, ExitReason> {
        log.note(format!("{name}<{from}"));
        match init {
            Init::Ok => Ok(Self { log, name }),
            Init::No => Err(ExitReason::custom("no")),
            Init::Crash => panic!("as the script says"),
        }
    }

    async fn handle_event(&mut self, (number, plan): &Self::Event) -> Result<(), ExitReason> {
        self.log.note(format!("{}{number}", self.name));
        let mine = plan.iter().find(|(name, _)| *name == self.name);
        mine.map_or(Ok(()), |(_, what)| what.result())
    }

    async fn handle_call(&mut self, (what, reply): Self::Request) -> Result<(), ExitReason> {
        self.log.note(format!("{}?", self.name));
        if what != Do::Crash {
            reply.send(());
        }
        what.result()
    }

    async fn terminate(self, why: HandlerEnd) -> Name {
        let why = match why {
            HandlerEnd::Deleted => "deleted",
            HandlerEnd::Swapped(_) => "swapped",
            HandlerEnd::Removed => "removed",
            HandlerEnd::Stopped => "stopped",
            HandlerEnd::OwnerEnded(_) => "owner",
            _ => "failed",
        };
        self.log.note(format!("{}!{why}", self.name));
        self.name
    }
}

/// As an Erlang term.
impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        List(&self.0).fmt(f)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = |plan: &Plan| -> Vec<_> {
            let terms = plan.iter().map(|(name, what)| format!("{{{name},{what}}}"));
            terms.collect()
        };
        match self {
            Self::Add(name, init) => write!(f, "{{add,{name},{init}}}"),
            Self::Own(name, init) => write!(f, "{{own,{name},{init}}}"),
            Self::Delete(name) => write!(f, "{{delete,{name}}}"),
            Self::Swap(old, new, init) => write!(f, "{{swap,{old},{new},{init}}}"),
            Self::Notify(number, plan) => {
                write!(f, "{{notify,{number},{}}}", List(&terms(plan)))
            }
            Self::SyncNotify(number, plan) => {
                write!(f, "{{sync_notify,{number},{}}}", List(&terms(plan)))
            }
            Self::Call(name, what) => write!(f, "{{call,{name},{what}}}"),
            Self::Which => f.write_str("which"),
        }
    }
}

impl Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::No => "no",
            Self::Crash => "crash",
        })
    }
}

impl Display for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
            Self::Crash => "crash",
        })
    }
}
