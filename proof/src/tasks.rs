//! Tasks, streams of tasks and agents whose owner does what a script says, here
//! and on Elixir's `Task`, `Task.Supervisor` and `Agent`.
//!
//! The time is counted in ticks. Operations begin every eight ticks, tasks end
//! in between, each at a tick of its own: so nothing is a race.
//!
//! What is not compared:
//!
//! * what passes through the owner's mailbox (TASK-01), and what an owner does
//!   with a task whose end it was told, but to shut it down (TASK-11);
//! * a task that exits `normal`: here it cannot (TASK-04);
//! * tasks that run on after an exit from their stream, or after the owner of a
//!   stream without links: here they are gone (TASK-21, TASK-23);
//! * a task that does not shut down, and whose owner ends while it waits for that:
//!   here it is killed (TASK-13);
//! * `limit` and `on_timeout` of `yield_many` (TASK-16), which came after Elixir
//!   1.14.

mod owner;

use std::fmt::{self, Display};

use fastrand::Rng;
use resurgam::Restart;

use crate::writing::{List, one_of};

pub use owner::{Told, seen};

/// What the owner is like, and what it does, one after the other.
#[derive(Clone, Debug)]
pub struct Case {
    traps: bool,
    /// Whether it goes on after an exit by an operation.
    catches: bool,
    ops: Vec<Op>,
}

/// What an owner does. Tasks and the like go by numbers.
#[derive(Clone, Debug)]
enum Op {
    Async(usize, Kind, Work),
    Completed(usize),
    /// For so many ticks, or as long as it takes.
    Await(usize, Option<u32>),
    Yield(usize, u32),
    /// With this time to obey, or none.
    Shutdown(usize, Option<u32>),
    Ignore(usize),
    AwaitMany(Vec<usize>, u32),
    YieldMany(Vec<usize>, u32),
    Stream(usize, Kind, Stream),
    /// Work that nobody waits for: it crashes so many times first.
    Child(usize, Restart, u32, End),
    StopSupervisor(End),
    Agent(Link),
    /// One whose first state cannot be made.
    AgentFails(Link),
    Get,
    Update(u32),
    GetAndUpdate(u32),
    Cast(u32),
    CrashIn(Access),
    Stop(End),
}

/// Whose a task is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Kind {
    Link,
    NoLink,
    SupLink,
    SupNoLink,
}

impl Kind {
    fn is_linked(self) -> bool {
        matches!(self, Self::Link | Self::SupLink)
    }
}

/// Whether something is linked to the owner.
#[derive(Copy, Clone, Debug)]
enum Link {
    Link,
    NoLink,
}

/// What a task does.
#[derive(Copy, Clone, Debug)]
struct Work {
    /// How long it takes.
    ticks: u32,
    end: End,
    /// Whether it traps exits, and so does not obey.
    stubborn: bool,
}

/// How something ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    Return,
    Crash,
    Shutdown,
    Boom,
    Kill,
    Never,
}

/// A stream of tasks, which may each take 32 ticks.
#[derive(Clone, Debug)]
struct Stream {
    items: Vec<(u32, End)>,
    max_concurrency: usize,
    ordered: bool,
    kill_task: bool,
    zip: bool,
    /// How many results are taken, if not all.
    take: Option<usize>,
}

/// How an agent is asked.
#[derive(Copy, Clone, Debug)]
enum Access {
    Get,
    Update,
    Cast,
}

/// How many tasks there can be.
const TASKS: usize = 4;

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let traps = rng.bool();
        let mut case = Self {
            traps,
            catches: rng.bool(),
            ops: Vec::new(),
        };
        let count = rng.usize(3..16);
        let mut writer = Writer {
            rng,
            traps,
            tasks: Vec::new(),
            begun: 0,
            restarts: 0,
            has_agent: false,
        };
        case.ops = (0..count).map(|number| writer.op(number)).collect();
        case
    }
}

/// Writes scripts.
struct Writer {
    rng: Rng,
    traps: bool,
    /// The tasks, and what they do, if they do something.
    tasks: Vec<(usize, Option<Work>)>,
    begun: usize,
    restarts: u32,
    has_agent: bool,
}

impl Writer {
    fn op(&mut self, number: usize) -> Op {
        match self.rng.u8(..24) {
            0..=7 => self.begin(number),
            8..=12 => self.wait(),
            13..=16 if self.tasks.is_empty() => self.begin(number),
            13..=14 => {
                let some = self.some();
                self.tasks.retain(|(n, _)| !some.contains(n));
                Op::AwaitMany(some, self.time())
            }
            15..=16 => Op::YieldMany(self.some(), self.time()),
            17..=18 => self.stream(number),
            19 => self.child(number),
            20 => match self.rng.u8(..4) {
                0 => Op::StopSupervisor(End::Return),
                1 => Op::StopSupervisor(End::Kill),
                _ => self.begin(number),
            },
            _ => self.agent(),
        }
    }

    /// Each task ends at a tick of its own.
    fn begin(&mut self, number: usize) -> Op {
        let n = self.begun;
        if n == TASKS {
            return self.stream(number);
        }
        self.begun += 1;
        if self.rng.u8(..16) == 0 {
            self.tasks.push((n, None));
            return Op::Completed(n);
        }
        let own = 2 * u32::try_from(n).unwrap_or_default() + 1;
        let mut work = Work {
            ticks: 8 * self.rng.u32(..4) + own,
            end: self.end(),
            stubborn: self.rng.u8(..3) == 0,
        };
        if self.rng.u8(..4) == 0 {
            work.end = End::Never;
        }
        let kind = self.kind();
        // A supervisor would wait for it, and not for ticks.
        if matches!(kind, Kind::SupLink | Kind::SupNoLink) && work.end == End::Never {
            work.stubborn = false;
        }
        self.tasks.push((n, Some(work)));
        Op::Async(n, kind, work)
    }

    fn wait(&mut self) -> Op {
        let Some((n, work)) = self.rng.choice(self.tasks.clone()) else {
            return self.agent();
        };
        // Rarely is it asked again for one that was waited for to the end.
        if self.rng.u8(..8) > 0 {
            self.tasks.retain(|(other, _)| *other != n);
        }
        let ends = work.is_none_or(|work| work.end != End::Never);
        let obeys = work.is_none_or(|work| !work.stubborn);
        match self.rng.u8(..10) {
            0..=1 if ends => Op::Await(n, None),
            0..=2 => Op::Await(n, Some(self.time())),
            3..=4 => {
                self.tasks.push((n, work));
                Op::Yield(n, self.rng.u32(..3) * 8)
            }
            5 => Op::Shutdown(n, None),
            6..=7 if obeys || self.traps => Op::Shutdown(n, Some(self.time())),
            _ => Op::Ignore(n),
        }
    }

    /// The ends of any of them, and so the sums of the times that they take,
    /// are different.
    fn stream(&mut self, number: usize) -> Op {
        let mut ticks = [2, 4, 8, 16];
        self.rng.shuffle(&mut ticks);
        let mut items: Vec<_> = ticks.map(|ticks| (ticks, self.end())).into();
        let count = [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4];
        items.truncate(count[self.rng.usize(..count.len())]);
        if self.rng.bool()
            && let Some(late) = self.rng.choice(&mut items)
        {
            late.1 = End::Never;
        }
        let mut kind = self.kind();
        // An owner could end before its stream.
        if !kind.is_linked() && !self.traps {
            kind = Kind::Link;
        }
        let kill_task = self.rng.bool();
        let stream = Stream {
            max_concurrency: self.rng.usize(1..=4),
            ordered: self.rng.bool(),
            kill_task,
            zip: kill_task && self.rng.bool(),
            take: (self.rng.u8(..4) == 0).then(|| self.rng.usize(1..4)),
            items,
        };
        Op::Stream(number, kind, stream)
    }

    /// A supervisor gives up after more than three restarts.
    fn child(&mut self, number: usize) -> Op {
        let restart = [Restart::Temporary, Restart::Transient, Restart::Permanent];
        let restart = restart[self.rng.usize(..restart.len())];
        let mut crashes = self.rng.u32(..3);
        if restart != Restart::Temporary {
            crashes = crashes.min(3 - self.restarts);
            self.restarts += crashes;
        }
        let last = match self.rng.bool() && restart != Restart::Permanent {
            true => End::Return,
            false => End::Never,
        };
        Op::Child(number, restart, crashes, last)
    }

    fn agent(&mut self) -> Op {
        let first = if self.has_agent { 16 } else { 5 };
        self.has_agent = true;
        match self.rng.u8(..first) {
            0..=2 => Op::Agent(Link::Link),
            3 => Op::Agent(Link::NoLink),
            4 if self.rng.bool() => Op::AgentFails(Link::Link),
            4 => Op::AgentFails(Link::NoLink),
            5..=6 => Op::Get,
            7..=8 => Op::Update(self.rng.u32(..9)),
            9..=10 => Op::GetAndUpdate(self.rng.u32(..9)),
            11..=12 => Op::Cast(self.rng.u32(..9)),
            13..=14 => {
                let access = [Access::Get, Access::Update, Access::Cast];
                Op::CrashIn(access[self.rng.usize(..access.len())])
            }
            _ if self.rng.bool() => Op::Stop(End::Boom),
            _ => Op::Stop(End::Return),
        }
    }

    fn some(&mut self) -> Vec<usize> {
        let mut some: Vec<_> = self.tasks.iter().map(|(n, _)| *n).collect();
        some.sort_unstable();
        some.dedup();
        some.retain(|_| self.rng.u8(..4) > 0);
        self.rng.shuffle(&mut some);
        some
    }

    fn end(&mut self) -> End {
        match self.rng.u8(..16) {
            0..=2 => End::Crash,
            3 => End::Shutdown,
            4 => End::Boom,
            _ => End::Return,
        }
    }

    fn kind(&mut self) -> Kind {
        let all = [Kind::Link, Kind::NoLink, Kind::SupLink, Kind::SupNoLink];
        one_of(&mut self.rng, &all)
    }

    fn time(&mut self) -> u32 {
        self.rng.u32(1..4) * 8
    }
}

/// As an Erlang term.
impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{},{}}}", self.traps, self.catches, List(&self.ops))
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Async(n, kind, work) => write!(f, "{{async,{n},{kind},{work}}}"),
            Self::Completed(n) => write!(f, "{{completed,{n}}}"),
            Self::Await(n, Some(ticks)) => write!(f, "{{await,{n},{ticks}}}"),
            Self::Await(n, None) => write!(f, "{{await,{n},infinity}}"),
            Self::Yield(n, ticks) => write!(f, "{{yield,{n},{ticks}}}"),
            Self::Shutdown(n, Some(ticks)) => write!(f, "{{shutdown,{n},{ticks}}}"),
            Self::Shutdown(n, None) => write!(f, "{{shutdown,{n},brutal_kill}}"),
            Self::Ignore(n) => write!(f, "{{ignore,{n}}}"),
            Self::AwaitMany(all, ticks) => write!(f, "{{await_many,{},{ticks}}}", List(all)),
            Self::YieldMany(all, ticks) => write!(f, "{{yield_many,{},{ticks}}}", List(all)),
            Self::Stream(id, kind, stream) => write!(f, "{{stream,{id},{kind},{stream}}}"),
            Self::Child(n, restart, crashes, last) => {
                let restart = match restart {
                    Restart::Permanent => "permanent",
                    Restart::Transient => "transient",
                    Restart::Temporary => "temporary",
                };
                write!(f, "{{child,{n},{restart},{crashes},{last}}}")
            }
            Self::StopSupervisor(End::Kill) => f.write_str("{stop_supervisor,kill}"),
            Self::StopSupervisor(_) => f.write_str("{stop_supervisor,stop}"),
            Self::AgentFails(Link::Link) => f.write_str("{agent_fails,link}"),
            Self::AgentFails(Link::NoLink) => f.write_str("{agent_fails,nolink}"),
            Self::Agent(Link::Link) => f.write_str("{agent,link}"),
            Self::Agent(Link::NoLink) => f.write_str("{agent,nolink}"),
            Self::Get => f.write_str("{get}"),
            Self::Update(k) => write!(f, "{{update,{k}}}"),
            Self::GetAndUpdate(k) => write!(f, "{{get_and_update,{k}}}"),
            Self::Cast(k) => write!(f, "{{cast,{k}}}"),
            Self::CrashIn(Access::Get) => f.write_str("{crash,get}"),
            Self::CrashIn(Access::Update) => f.write_str("{crash,update}"),
            Self::CrashIn(Access::Cast) => f.write_str("{crash,cast}"),
            Self::Stop(End::Return) => f.write_str("{stop,normal}"),
            Self::Stop(how) => write!(f, "{{stop,{how}}}"),
        }
    }
}

impl Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.items.iter();
        let items: Vec<_> = items.map(|(t, end)| format!("{{{t},{end}}}")).collect();
        let order = if self.ordered { "ordered" } else { "unordered" };
        let late = if self.kill_task { "kill_task" } else { "exit" };
        let take = self.take.map_or("all".to_owned(), |take| take.to_string());
        let (items, max, zip) = (List(&items), self.max_concurrency, self.zip);
        write!(f, "{items},{max},{order},{late},{zip},{take}")
    }
}

impl Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{},{}}}", self.ticks, self.end, self.stubborn)
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "link",
            Self::NoLink => "nolink",
            Self::SupLink => "sup_link",
            Self::SupNoLink => "sup_nolink",
        })
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Return => "return",
            Self::Crash => "crash",
            Self::Shutdown => "shutdown",
            Self::Boom => "boom",
            Self::Kill => "kill",
            Self::Never => "never",
        })
    }
}
