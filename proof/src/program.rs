//! Programs: a handful of processes and what each of them does.
//!
//! A program is one list of steps, each of one process. Run *settled*, the
//! steps are taken in that order, and everything comes to rest between two of
//! them. Run *racy*, each process takes its own steps by itself, all of them at
//! once.

mod random;

use std::fmt;

pub use random::Size;

/// A process, by its number in the program.
pub type Who = usize;

/// A name that processes are registered under.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(pub u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name{}", self.0)
    }
}

/// Why a process ends.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Nothing is wrong.
    Normal,
    /// It was told to stop.
    Shutdown,
    /// The untrappable order, if it is sent; else a reason like any other.
    Kill,
    /// What the victim of such an order ends with.
    Killed,
    /// There was no such process.
    NoProc,
    /// It panicked.
    Panic,
    /// A reason of the program's own.
    Custom(u8),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Kill => f.write_str("kill"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("noproc"),
            Self::Panic => f.write_str("panic"),
            Self::Custom(number) => write!(f, "c{number}"),
        }
    }
}

/// What ties a new process to the one that spawns it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tie {
    /// Nothing.
    None,
    /// A link.
    Link,
    /// A monitor.
    Monitor,
}

/// What becomes of a `Down` that has come when its monitor is taken back.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Down {
    /// It stays in the mailbox.
    Kept,
    /// It is taken out.
    Flushed,
}

/// What a process does in one step. It does nothing if it is about a process
/// that is not born yet, or a monitor that was not made.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Op {
    /// Sends a message.
    Send(Who, u32),
    /// Sends a message to whoever has a name.
    SendName(Name, u32),
    /// Links.
    Link(Who),
    /// Takes a link back.
    Unlink(Who),
    /// Monitors a process.
    Monitor(Who),
    /// Monitors whoever has a name.
    MonitorName(Name),
    /// Takes a monitor back, by its number among those it made.
    Demonitor(usize, Down),
    /// Sends an exit signal.
    Exit(Who, Reason),
    /// Says whether it traps exits.
    TrapExit(bool),
    /// Gives a process a name.
    Register(Name, Who),
    /// Takes a name back.
    Unregister(Name),
    /// Asks who has a name.
    Whereis(Name),
    /// Spawns a process that is not born yet.
    Spawn(Who, Tie),
    /// Receives one entry of its mailbox, and waits until there is one.
    Receive,
    /// Receives one entry of its mailbox, if there is one.
    Poll,
    /// Asks whether a process is alive.
    IsAlive(Who),
    /// Ends, with a reason of its choice.
    Return(Reason),
    /// Panics.
    Panic,
}

/// As an Erlang term.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(to, tag) => write!(f, "{{send,{to},{tag}}}"),
            Self::SendName(name, tag) => write!(f, "{{send_name,{name},{tag}}}"),
            Self::Link(other) => write!(f, "{{link,{other}}}"),
            Self::Unlink(other) => write!(f, "{{unlink,{other}}}"),
            Self::Monitor(other) => write!(f, "{{monitor,{other}}}"),
            Self::MonitorName(name) => write!(f, "{{monitor_name,{name}}}"),
            Self::Demonitor(number, Down::Kept) => write!(f, "{{demonitor,{number}}}"),
            Self::Demonitor(number, Down::Flushed) => write!(f, "{{demonitor_flush,{number}}}"),
            Self::Exit(other, reason) => write!(f, "{{exit,{other},{reason}}}"),
            Self::TrapExit(trap) => write!(f, "{{trap_exit,{trap}}}"),
            Self::Register(name, other) => write!(f, "{{register,{name},{other}}}"),
            Self::Unregister(name) => write!(f, "{{unregister,{name}}}"),
            Self::Whereis(name) => write!(f, "{{whereis,{name}}}"),
            Self::Spawn(who, Tie::None) => write!(f, "{{spawn,{who}}}"),
            Self::Spawn(who, Tie::Link) => write!(f, "{{spawn_link,{who}}}"),
            Self::Spawn(who, Tie::Monitor) => write!(f, "{{spawn_monitor,{who}}}"),
            Self::Receive => f.write_str("take"),
            Self::Poll => f.write_str("poll"),
            Self::IsAlive(other) => write!(f, "{{is_alive,{other}}}"),
            Self::Return(reason) => write!(f, "{{return,{reason}}}"),
            Self::Panic => f.write_str("panic"),
        }
    }
}

/// A program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// How many processes there are from the beginning; they come first.
    pub initial: usize,
    /// How many processes there are at most; the later ones are spawned by a
    /// step, each by one.
    pub processes: usize,
    /// Who does what.
    pub steps: Vec<(Who, Op)>,
}

impl Program {
    /// The program of this seed.
    pub fn random(seed: u64, size: Size) -> Self {
        random::program(seed, size)
    }

    /// What one process does.
    pub fn script(&self, who: Who) -> impl Iterator<Item = Op> + '_ {
        let own = self.steps.iter().filter(move |(actor, _)| *actor == who);
        own.map(|(_, op)| *op)
    }

    /// Drops steps as long as the program still fails.
    pub fn shrink(mut self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut chunk = self.steps.len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < self.steps.len() {
                let mut smaller = self.clone();
                let end = (at + chunk).min(smaller.steps.len());
                smaller.steps.drain(at..end);
                if fails(&smaller) {
                    self = smaller;
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        self
    }
}

/// As an Erlang term.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{},[", self.initial, self.processes)?;
        for (at, (who, op)) in self.steps.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{{{who},{op}}}")?;
        }
        f.write_str("]}")
    }
}
