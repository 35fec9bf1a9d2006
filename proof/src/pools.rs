//! Dynamic supervisors and partition supervisors, and what happens to their
//! children, here and on Elixir's.
//!
//! One process takes the steps, one after the other; after each, everything
//! comes to rest. All restarts count: the period is an hour.
//!
//! Elixir 1.14 does not resize partition supervisors (PART-06).

mod stage;

use std::fmt::{self, Display};

use fastrand::Rng;
use resurgam::Restart;

use crate::writing::{List, one_of};

pub use stage::{Told, seen};

/// A supervisor, and what happens to it.
#[derive(Clone, Debug)]
pub struct Case {
    max_restarts: u32,
    pool: Pool,
    steps: Vec<Step>,
}

/// What kind of supervisor it is.
#[derive(Clone, Debug)]
enum Pool {
    Dynamic {
        max_children: Option<usize>,
    },
    /// The numbers of the partitions are those of their children.
    Partitions(Restart, Vec<Vec<Init>>),
}

/// A child, by its number.
type Child = usize;

/// What is done.
#[derive(Clone, Debug)]
enum Step {
    Start(Child, Spec),
    End(Child, End),
    Terminate(Child),
    /// Which partition has this number.
    Find(usize),
    Stop,
}

/// How a child is started and stopped.
#[derive(Clone, Debug)]
struct Spec {
    restart: Restart,
    traps: bool,
    is_supervisor: bool,
    starts: Vec<Init>,
}

/// How a start goes. When all that are named have been, starts go well.
#[derive(Copy, Clone, Debug)]
enum Init {
    Ok,
    Ignore,
    Stop,
    Crash,
}

/// How a child ends by itself.
#[derive(Copy, Clone, Debug)]
enum End {
    Normal,
    Shutdown,
    Boom,
    Crash,
    Kill,
}

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut writer = Writer {
            rng: Rng::with_seed(seed),
            children: 0,
        };
        let pool = writer.pool();
        let count = writer.rng.usize(2..20);
        let mut steps: Vec<_> = (0..count).map(|_| writer.step(&pool)).collect();
        steps.push(Step::Stop);
        Self {
            max_restarts: writer.rng.u32(..6),
            pool,
            steps,
        }
    }
}

/// Writes scripts.
struct Writer {
    rng: Rng,
    children: usize,
}

impl Writer {
    fn pool(&mut self) -> Pool {
        if self.rng.u8(..3) > 0 {
            let max_children = self.rng.bool().then(|| self.rng.usize(1..4));
            return Pool::Dynamic { max_children };
        }
        self.children = self.rng.usize(1..5);
        let restart = match self.rng.bool() {
            true => Restart::Permanent,
            false => Restart::Transient,
        };
        let starts = (0..self.children).map(|_| self.starts()).collect();
        Pool::Partitions(restart, starts)
    }

    fn step(&mut self, pool: &Pool) -> Step {
        let (roll, child) = (self.rng.u8(..16), self.rng.usize(..=self.children));
        match pool {
            Pool::Dynamic { .. } if roll < 6 => {
                self.children += 1;
                Step::Start(self.children - 1, self.spec())
            }
            Pool::Dynamic { .. } if roll < 9 => Step::Terminate(child),
            Pool::Partitions(..) if roll < 6 => Step::Find(self.rng.usize(..9)),
            _ => {
                let how = [End::Normal, End::Shutdown, End::Boom, End::Crash, End::Kill];
                Step::End(child, how[self.rng.usize(..how.len())])
            }
        }
    }

    fn spec(&mut self) -> Spec {
        let restart = [
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Temporary,
        ];
        Spec {
            restart: restart[self.rng.usize(..restart.len())],
            traps: self.rng.bool(),
            is_supervisor: self.rng.u8(..4) == 0,
            starts: self.starts(),
        }
    }

    /// The first start mostly goes well.
    fn starts(&mut self) -> Vec<Init> {
        let all = [Init::Ok, Init::Ok, Init::Ignore, Init::Stop, Init::Crash];
        let mut starts: Vec<_> = (0..self.rng.usize(..5))
            .map(|_| one_of(&mut self.rng, &all))
            .collect();
        if self.rng.u8(..8) > 0
            && let Some(first) = starts.first_mut()
        {
            *first = Init::Ok;
        }
        starts
    }
}

/// As an Erlang term.
impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = List(&self.steps);
        write!(f, "{{{},{},{steps}}}", self.max_restarts, self.pool)
    }
}

impl Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic { max_children: None } => f.write_str("{dynamic,infinity}"),
            Self::Dynamic {
                max_children: Some(most),
            } => write!(f, "{{dynamic,{most}}}"),
            Self::Partitions(restart, starts) => {
                let starts: Vec<_> = starts.iter().map(|starts| List(starts)).collect();
                write!(f, "{{partitions,{},{}}}", name(*restart), List(&starts))
            }
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(child, spec) => write!(f, "{{start,{child},{spec}}}"),
            Self::End(child, how) => write!(f, "{{'end',{child},{how}}}"),
            Self::Terminate(child) => write!(f, "{{terminate,{child}}}"),
            Self::Find(number) => write!(f, "{{find,{number}}}"),
            Self::Stop => f.write_str("stop"),
        }
    }
}

impl Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.is_supervisor {
            true => "supervisor",
            false => "worker",
        };
        let (restart, starts) = (name(self.restart), List(&self.starts));
        write!(f, "{{{restart},{},{kind},{starts}}}", self.traps)
    }
}

fn name(restart: Restart) -> &'static str {
    match restart {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    }
}

impl Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Ignore => "ignore",
            Self::Stop => "stop",
            Self::Crash => "crash",
        })
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Boom => "boom",
            Self::Crash => "crash",
            Self::Kill => "kill",
        })
    }
}
