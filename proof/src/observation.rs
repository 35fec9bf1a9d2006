//! What can be seen of a program's run, in a form that is the same whoever ran
//! it: the model, Resurgam, or Erlang.

use std::fmt;

use crate::program::{Name, Reason, Who};

/// One thing that a process saw.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Seen {
    /// It received a message.
    Message(u32),
    /// It received an exit, as one that traps.
    Exit(Who, Reason),
    /// It received the end of the process behind the monitor of this number.
    Down(usize, Reason),
    /// A poll found nothing.
    Nothing,
    /// Whether a send by name found somebody.
    Sent(bool),
    /// Whether a name was given.
    Registered(bool),
    /// Whether a name was taken back.
    Unregistered(bool),
    /// Who had the name.
    Found(Option<Who>),
    /// Whether the monitor was still in force.
    Demonitored(bool),
    /// Whether it trapped exits before.
    Trapped(bool),
    /// Whether the process asked about was alive.
    Alive(bool),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(tag) => write!(f, "m{tag}"),
            Self::Exit(from, reason) => write!(f, "e{from}.{reason}"),
            Self::Down(number, reason) => write!(f, "d{number}.{reason}"),
            Self::Nothing => f.write_str("-"),
            Self::Sent(yes) => write!(f, "s:{yes}"),
            Self::Registered(yes) => write!(f, "r:{yes}"),
            Self::Unregistered(yes) => write!(f, "u:{yes}"),
            Self::Found(None) => f.write_str("w:nobody"),
            Self::Found(Some(who)) => write!(f, "w:{who}"),
            Self::Demonitored(yes) => write!(f, "x:{yes}"),
            Self::Trapped(yes) => write!(f, "t:{yes}"),
            Self::Alive(yes) => write!(f, "a:{yes}"),
        }
    }
}

/// Whether a process lives.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Life {
    /// Nobody has spawned it.
    Unborn,
    /// It lives.
    Alive,
    /// It ended, for this reason.
    Dead(Reason),
}

/// What became of one process.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Outcome {
    /// Whether it lives.
    pub life: Life,
    /// What it saw.
    pub log: Vec<Seen>,
    /// What is true of it at last, if it lives.
    pub state: State,
}

/// What is true of a process that lives; nothing, if it does not.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct State {
    /// What was left in its mailbox.
    pub mail: Vec<Seen>,
    /// Whether it traps exits.
    pub traps: bool,
    /// Whom it is linked to, in order.
    pub links: Vec<Who>,
    /// How many monitors of its own are in force.
    pub monitors: usize,
    /// Who watches it, in order, once a monitor.
    pub watched_by: Vec<Who>,
    /// Its name.
    pub name: Option<Name>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            Life::Unborn => return f.write_str("unborn"),
            Life::Dead(reason) => {
                write!(f, "dead.{reason}")?;
                return list(f, "log", &self.log);
            }
            Life::Alive => f.write_str("alive")?,
        }
        let state = &self.state;
        list(f, "log", &self.log)?;
        list(f, "mail", &state.mail)?;
        write!(f, " traps={}", state.traps)?;
        list(f, "links", &state.links)?;
        write!(f, " monitors={}", state.monitors)?;
        list(f, "by", &state.watched_by)?;
        list(f, "name", state.name.as_slice())
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, label: &str, items: &[T]) -> fmt::Result {
    write!(f, " {label}=")?;
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

/// What can be seen of a run: what became of every process.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Observation(pub Vec<Outcome>);

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, outcome) in self.0.iter().enumerate() {
            let bar = if at == 0 { "" } else { " | " };
            write!(f, "{bar}{outcome}")?;
        }
        Ok(())
    }
}
