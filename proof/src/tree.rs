//! Supervision trees: random ones, and what happens to them. Run here and by
//! Erlang's `supervisor`; everything comes to rest between two events.
//!
//! Nothing depends on the time it takes: the period of every supervisor is an
//! hour, so all restarts count, and only children that never obey are given a
//! short time to shut down.

mod random;
mod run;
mod stage;

use std::fmt;

use resurgam::{Node, Restart};

use crate::erlang::Erlang;
use crate::trial::{LeftOut, Sides, Trial};

/// A child or a supervisor, by its number in the tree.
pub type Id = u32;

/// A tree, and what happens to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The supervisor at the top.
    pub root: Supervisor,
    /// What happens.
    pub events: Vec<Event>,
}

/// A supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// Its number.
    pub id: Id,
    /// Which children are restarted together.
    pub strategy: Strategy,
    /// How many restarts there may be.
    pub intensity: u32,
    /// The children that it starts with.
    pub children: Vec<Child>,
}

/// Which children are restarted together.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// Those that the static supervisor's strategy says.
    Static(resurgam::Strategy),
    /// Each by itself: a dynamic supervisor, which starts with none. Its
    /// children are workers and all alike in this, as Erlang's
    /// `simple_one_for_one` has them.
    Dynamic(Restart, Shutdown),
}

/// A child.
#[derive(Clone, Debug)]
pub struct Child {
    /// When it is restarted.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// What it is.
    pub kind: Kind,
}

/// How a child is stopped.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is told to, and killed after a time: soon, if it never obeys.
    Timeout,
    /// It is told to.
    Infinity,
}

/// What a child is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A worker.
    Worker(Worker),
    /// A supervisor.
    Supervisor(Supervisor),
}

/// A worker.
#[derive(Copy, Clone, Debug)]
pub struct Worker {
    /// Its number.
    pub id: Id,
    /// How it takes an order to stop.
    pub manner: Manner,
    /// What goes wrong at its start.
    pub trouble: Option<Trouble>,
}

/// How a worker takes an order to stop.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// A server that does not trap exits.
    Plain,
    /// A server that traps exits and takes its time.
    Trapping,
    /// A process that traps exits and is deaf to `shutdown`.
    Deaf,
}

/// What goes wrong at some starts of a worker.
#[derive(Copy, Clone, Debug)]
pub struct Trouble {
    /// What.
    pub what: Failure,
    /// The first start at which it does, from 1.
    pub from: u32,
    /// At how many starts.
    pub count: u32,
}

/// What goes wrong at a start.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It stops with this reason.
    Stop(Reason),
    /// It says `ignore`.
    Ignore,
    /// It panics.
    Panic,
}

/// Why something ends.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Nothing is wrong.
    Normal,
    /// It was told to.
    Shutdown,
    /// As `Shutdown`, with a term.
    ShutdownWith,
    /// It was killed.
    Killed,
    /// There was no such process.
    NoProc,
    /// It panicked.
    Panic,
    /// A reason of its own.
    Custom,
    /// None that a tree has.
    Unknown,
}

/// What happens to a tree.
#[derive(Clone, Debug)]
pub enum Event {
    /// A worker ends by itself.
    Crash(Id, Reason),
    /// A child is killed.
    Kill(Id),
    /// A supervisor is told to stop a child.
    TerminateChild(Id, Id),
    /// A supervisor is told to restart a child.
    RestartChild(Id, Id),
    /// A supervisor is told to delete a child.
    DeleteChild(Id, Id),
    /// A supervisor is told to start another child.
    StartChild(Id, Child),
    /// The supervisor at the top is told to stop.
    Stop(Reason),
}

impl Child {
    /// Its number.
    pub fn id(&self) -> Id {
        match &self.kind {
            Kind::Worker(worker) => worker.id,
            Kind::Supervisor(supervisor) => supervisor.id,
        }
    }
}

impl Supervisor {
    /// Whether a supervisor in it is stopped by a kill: what it supervised ends
    /// by itself then, in any order.
    fn kills_supervisors(&self) -> bool {
        self.children.iter().any(|child| match &child.kind {
            Kind::Worker(_) => false,
            Kind::Supervisor(supervisor) => {
                child.shutdown == Shutdown::BrutalKill || supervisor.kills_supervisors()
            }
        })
    }

    /// Whether it stops children side by side.
    fn has_dynamic(&self) -> bool {
        let below = |child: &Child| match &child.kind {
            Kind::Worker(_) => false,
            Kind::Supervisor(supervisor) => supervisor.has_dynamic(),
        };
        matches!(self.strategy, Strategy::Dynamic(..)) || self.children.iter().any(below)
    }

    fn has_supervisor(&self, id: Id) -> bool {
        let below = |child: &Child| match &child.kind {
            Kind::Worker(_) => false,
            Kind::Supervisor(supervisor) => supervisor.has_supervisor(id),
        };
        self.id == id || self.children.iter().any(below)
    }
}

impl Case {
    /// The tree of this seed.
    pub fn random(seed: u64) -> Self {
        random::case(seed)
    }

    /// Whether ends can come in any order.
    fn is_unordered(&self) -> bool {
        let kills = |event: &Event| match event {
            Event::Kill(id) => self.root.has_supervisor(*id),
            _ => false,
        };
        self.root.kills_supervisors() || self.root.has_dynamic() || self.events.iter().any(kills)
    }

    /// Drops events, then children, as long as it still fails.
    fn shrink(mut self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut at = 0;
        while at < self.events.len() {
            let mut smaller = self.clone();
            smaller.events.remove(at);
            if fails(&smaller) {
                self = smaller;
            } else {
                at += 1;
            }
        }
        let mut number = 0;
        loop {
            let mut smaller = self.clone();
            if !remove(&mut smaller.root, &mut number.clone()) {
                return self;
            }
            if fails(&smaller) {
                self = smaller;
            } else {
                number += 1;
            }
        }
    }
}

/// Removes the child of this number, counted through the whole tree; whether
/// there is one.
fn remove(supervisor: &mut Supervisor, number: &mut usize) -> bool {
    for at in 0..supervisor.children.len() {
        if *number == 0 {
            supervisor.children.remove(at);
            return true;
        }
        *number -= 1;
        if let Kind::Supervisor(below) = &mut supervisor.children[at].kind
            && remove(below, number)
        {
            return true;
        }
    }
    false
}

/// What is seen of a tree on a node, after its start and after each event.
pub async fn seen(node: &Node, case: &Case) -> String {
    run::run(node, case).await
}

/// Trees, on Resurgam and on Erlang, which says what can be.
#[derive(Debug)]
pub struct Trees {
    /// Where they run.
    pub node: Node,
    /// And where else.
    pub erlang: Erlang,
}

impl Trial for Trees {
    type Case = Case;

    fn case(&self, seed: u64) -> Case {
        Case::random(seed)
    }

    fn operations(case: &Case) -> usize {
        case.events.len()
    }

    async fn run(&self, case: &Case) -> Result<Sides, LeftOut> {
        let erlang = match self.erlang.ask(&format!("{{tree,{case}}}")) {
            Ok(line) => line,
            Err(error) => error.to_string(),
        };
        let seen = run::run(&self.node, case).await;
        Ok(Sides {
            possible: vec![erlang],
            seen: vec![("Resurgam", seen)],
        })
    }

    fn shrink(case: Case, fails: impl FnMut(&Case) -> bool) -> Case {
        case.shrink(fails)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{},[", self.is_unordered(), self.root)?;
        commas(f, &self.events)?;
        f.write_str("]}")
    }
}

impl fmt::Display for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match self.strategy {
            Strategy::Static(resurgam::Strategy::OneForOne) => "one_for_one".to_owned(),
            Strategy::Static(resurgam::Strategy::OneForAll) => "one_for_all".to_owned(),
            Strategy::Static(resurgam::Strategy::RestForOne) => "rest_for_one".to_owned(),
            Strategy::Dynamic(restart, shutdown) => format!("{{{restart},{shutdown}}}"),
        };
        write!(f, "{{{},{strategy},{},[", self.id, self.intensity)?;
        commas(f, &self.children)?;
        f.write_str("]}")
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shutdown = match self.shutdown {
            Shutdown::Timeout if self.is_deaf() => "1".to_owned(),
            shutdown => shutdown.to_string(),
        };
        write!(f, "{{{},{shutdown},{}}}", self.restart, self.kind)
    }
}

impl Child {
    fn is_deaf(&self) -> bool {
        matches!(
            self.kind,
            Kind::Worker(Worker {
                manner: Manner::Deaf,
                ..
            })
        )
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BrutalKill => "brutal_kill",
            Self::Timeout => "5000",
            Self::Infinity => "infinity",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(Worker {
                id,
                manner,
                trouble,
            }) => {
                let manner = format!("{manner:?}").to_lowercase();
                write!(f, "{{worker,{id},{manner},")?;
                match trouble {
                    None => f.write_str("none}"),
                    Some(Trouble { what, from, count }) => {
                        write!(f, "{{{what},{from},{count}}}}}")
                    }
                }
            }
            Self::Supervisor(supervisor) => write!(f, "{{supervisor,{supervisor}}}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(reason) => write!(f, "{{stop,{reason}}}"),
            Self::Ignore => f.write_str("ignore"),
            Self::Panic => f.write_str("panic"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::ShutdownWith => "shutdown_with",
            Self::Killed => "killed",
            Self::NoProc => "noproc",
            Self::Panic => "panic",
            Self::Custom => "custom",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(id, reason) => write!(f, "{{crash,{id},{reason}}}"),
            Self::Kill(id) => write!(f, "{{kill,{id}}}"),
            Self::TerminateChild(of, id) => write!(f, "{{terminate_child,{of},{id}}}"),
            Self::RestartChild(of, id) => write!(f, "{{restart_child,{of},{id}}}"),
            Self::DeleteChild(of, id) => write!(f, "{{delete_child,{of},{id}}}"),
            Self::StartChild(of, child) => write!(f, "{{start_child,{of},{child}}}"),
            Self::Stop(reason) => write!(f, "{{stop,{reason}}}"),
        }
    }
}

fn commas<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}
