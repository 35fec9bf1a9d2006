//! Registries whose processes register, take themselves away and end as a
//! script says, here and on Elixir's `Registry`.
//!
//! One process takes the steps, one after the other, and listens to the
//! registries; after each step everything comes to rest.
//!
//! Elixir 1.14 has no locks of keys (PREG-14), and no duplicate registries that
//! are partitioned by key; a look-up of a key whose holder has just ended is at
//! rest there (PREG-05), so nothing is said of it.

mod looks;
mod stage;

use std::fmt::{self, Display};

use fastrand::Rng;

use crate::writing::{List, one_of};

pub use stage::{Told, seen};

/// What is done, one after the other.
#[derive(Clone, Debug)]
pub struct Case(Vec<Step>);

/// What is done to registries, by processes and to processes.
#[derive(Clone, Debug)]
enum Step {
    Start(Which),
    Stop(Which, Stop),
    Register(Who, Which, Key, u32),
    Unregister(Who, Which, Key),
    /// Those with at least this value.
    UnregisterMatch(Who, Which, Key, u32),
    Update(Who, Key),
    Values(Which, Key, Who),
    /// Who is under a key with at least this value.
    Match(Which, Key, u32),
    Dispatch(Which, Key),
    PutMeta(Which, Meta, u32),
    DeleteMeta(Which, Meta),
    Meta(Which, Meta),
    /// A server under a key: its name, and what it keeps.
    Server(Who, Key, u32),
    Call(Key),
    Send(Key, u32),
    End(Who, End),
    /// The first is killed, and another comes under a key at once.
    Take(Who, Who, Key, u32),
}

/// A registry: `u` has unique keys, `d` duplicate ones.
type Which = char;

/// A process: what it is called by.
type Who = char;

/// A key, as Elixir has it: in Erlang's words, and no two of them the same.
type Key = &'static str;

/// What something is kept by beside a registry.
type Meta = char;

const REGISTRIES: [Which; 2] = ['u', 'd'];
const KEYS: [Key; 4] = ["1", "1.0", "'_'", "'$1'"];
const PEOPLE: [Who; 5] = ['a', 'b', 'c', 'd', 'e'];
const TRAPPING: [Who; 2] = ['a', 'b'];
const SERVERS: [Who; 2] = ['v', 'w'];

/// How a registry ends.
#[derive(Copy, Clone, Debug)]
enum Stop {
    /// Its supervisor stops it.
    Shutdown,
    /// Its supervisor is killed.
    Kill,
    /// It falls, and its supervisor starts it again.
    Crash,
}

/// How a process ends.
#[derive(Copy, Clone, Debug)]
enum End {
    Return,
    Crash,
    Kill,
}

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut writer = Writer {
            rng: Rng::with_seed(seed),
            stopped: Vec::new(),
            crashes: Vec::new(),
        };
        let count = writer.rng.usize(4..32);
        Self((0..count).map(|_| writer.step()).collect())
    }
}

/// Writes scripts.
struct Writer {
    rng: Rng,
    stopped: Vec<Which>,
    crashes: Vec<Which>,
}

impl Writer {
    fn step(&mut self) -> Step {
        let (which, key) = (
            one_of(&mut self.rng, &REGISTRIES),
            one_of(&mut self.rng, &KEYS),
        );
        let (who, value) = (one_of(&mut self.rng, &PEOPLE), self.rng.u32(..4));
        match self.rng.u8(..32) {
            0..=10 => Step::Register(who, which, key, value),
            11..=13 => Step::Unregister(who, which, key),
            14..=16 => Step::UnregisterMatch(who, which, key, value),
            17..=18 => Step::Update(who, key),
            19 => Step::Values(which, key, self.anybody()),
            20 => Step::Match(which, key, value),
            21 => Step::Dispatch(which, key),
            22 => self.meta(which, value),
            23..=24 => Step::Server(one_of(&mut self.rng, &SERVERS), key, value),
            25 => Step::Call(key),
            26 => Step::Send(key, value),
            27..=28 => self.end(),
            29 => Step::Take(self.anybody(), who, key, value),
            30 => {
                self.stopped.retain(|stopped| *stopped != which);
                Step::Start(which)
            }
            _ => self.stop(which),
        }
    }

    /// In Elixir only a registry that runs has something beside it.
    fn meta(&mut self, which: Which, value: u32) -> Step {
        let meta = one_of(&mut self.rng, &['m', 'n']);
        match self.rng.u8(..4) {
            _ if self.stopped.contains(&which) => Step::Dispatch(which, "1"),
            0..=1 => Step::PutMeta(which, meta, value),
            2 => Step::DeleteMeta(which, meta),
            _ => Step::Meta(which, meta),
        }
    }

    fn end(&mut self) -> Step {
        let who = self.anybody();
        let how = match self.rng.u8(..3) {
            _ if SERVERS.contains(&who) => End::Kill,
            0 => End::Return,
            1 => End::Crash,
            _ => End::Kill,
        };
        Step::End(who, how)
    }

    /// A supervisor gives up if its child falls too often.
    fn stop(&mut self, which: Which) -> Step {
        let crashed = self.crashes.iter().filter(|crashed| **crashed == which);
        if crashed.count() < 2 && self.rng.bool() {
            self.crashes.push(which);
            return Step::Stop(which, Stop::Crash);
        }
        self.stopped.push(which);
        let how = [Stop::Shutdown, Stop::Kill];
        Step::Stop(which, one_of(&mut self.rng, &how))
    }

    fn anybody(&mut self) -> Who {
        let all: Vec<_> = PEOPLE.into_iter().chain(SERVERS).collect();
        one_of(&mut self.rng, &all)
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
        match self {
            Self::Start(which) => write!(f, "{{start,{which}}}"),
            Self::Stop(which, how) => write!(f, "{{stop,{which},{how}}}"),
            Self::Register(who, which, key, value) => {
                write!(f, "{{register,{who},{which},{key},{value}}}")
            }
            Self::Unregister(who, which, key) => write!(f, "{{unregister,{who},{which},{key}}}"),
            Self::UnregisterMatch(who, which, key, least) => {
                write!(f, "{{unregister_match,{who},{which},{key},{least}}}")
            }
            Self::Update(who, key) => write!(f, "{{update,{who},{key}}}"),
            Self::Values(which, key, who) => write!(f, "{{values,{which},{key},{who}}}"),
            Self::Match(which, key, least) => write!(f, "{{match,{which},{key},{least}}}"),
            Self::Dispatch(which, key) => write!(f, "{{dispatch,{which},{key}}}"),
            Self::PutMeta(which, meta, value) => write!(f, "{{put_meta,{which},{meta},{value}}}"),
            Self::DeleteMeta(which, meta) => write!(f, "{{delete_meta,{which},{meta}}}"),
            Self::Meta(which, meta) => write!(f, "{{meta,{which},{meta}}}"),
            Self::Server(who, key, value) => write!(f, "{{server,{who},{key},{value}}}"),
            Self::Call(key) => write!(f, "{{call,{key}}}"),
            Self::Send(key, number) => write!(f, "{{send,{key},{number}}}"),
            Self::End(who, how) => write!(f, "{{'end',{who},{how}}}"),
            Self::Take(from, who, key, value) => write!(f, "{{take,{from},{who},{key},{value}}}"),
        }
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "shutdown",
            Self::Kill => "kill",
            Self::Crash => "crash",
        })
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Return => "return",
            Self::Crash => "crash",
            Self::Kill => "kill",
        })
    }
}
