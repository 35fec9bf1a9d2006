//! Process groups whose members, watchers and scopes come and go as a script
//! says, here and on Erlang's `pg`.
//!
//! One process takes the steps, one after the other; after each, everything
//! comes to rest.

mod stage;

use std::fmt::{self, Display};

use fastrand::Rng;

use crate::writing::{List, one_of};

pub use stage::{Told, seen};

/// What is done, one after the other.
#[derive(Clone, Debug)]
pub struct Case(Vec<Step>);

/// What is done to scopes, groups and processes.
#[derive(Clone, Debug)]
enum Step {
    Start(Scope),
    Stop(Scope, End),
    Join(Scope, Group, Vec<Who>),
    Leave(Scope, Group, Vec<Who>),
    /// A watch, by its number: over one group, or over all.
    Watch(Watch, Scope, Option<Group>, Who),
    Unwatch(Scope, Watch),
    End(Vec<Who>, End),
    /// It is killed, and taken out of a group before anybody can know.
    EndAndLeave(Who, Scope, Group),
}

/// A scope: its name.
type Scope = char;

/// A group: its name.
type Group = char;

/// A process: what it is called by.
type Who = char;

/// The number of the step in which a watch began.
type Watch = usize;

const SCOPES: [Scope; 3] = ['r', 's', 't'];
const GROUPS: [Group; 3] = ['x', 'y', 'z'];
const EVERYBODY: [Who; 5] = ['a', 'b', 'c', 'd', 'e'];

/// How something ends.
#[derive(Copy, Clone, Debug)]
enum End {
    Normal,
    Crash,
    Shutdown,
    Kill,
}

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut writer = Writer {
            rng: Rng::with_seed(seed),
            living: EVERYBODY.to_vec(),
            watches: Vec::new(),
        };
        let count = writer.rng.usize(4..24);
        let mut steps = vec![Step::Start('r'), Step::Start('s')];
        steps.extend((2..count).map(|number| writer.step(number)));
        Self(steps)
    }
}

/// Writes scripts.
struct Writer {
    rng: Rng,
    living: Vec<Who>,
    watches: Vec<(Scope, Watch)>,
}

impl Writer {
    fn step(&mut self, number: usize) -> Step {
        let (scope, group) = (self.scope(), one_of(&mut self.rng, &GROUPS));
        match self.rng.u8(..24) {
            0 => Step::Start(scope),
            1 => {
                let how = [End::Normal, End::Kill];
                Step::Stop(scope, one_of(&mut self.rng, &how))
            }
            2..=8 => Step::Join(scope, group, self.some()),
            9..=13 => Step::Leave(scope, group, self.some()),
            14..=17 => self.watch(number, scope, group),
            18..=19 => self.unwatch(),
            20..=21 => {
                let who = self.some();
                self.living.retain(|living| !who.contains(living));
                let how = [End::Normal, End::Crash, End::Shutdown, End::Kill];
                Step::End(who, one_of(&mut self.rng, &how))
            }
            22 => {
                let who = one_of(&mut self.rng, &EVERYBODY);
                self.living.retain(|&living| living != who);
                Step::EndAndLeave(who, scope, group)
            }
            _ => Step::Leave(scope, group, Vec::new()),
        }
    }

    /// In Erlang only who lives can watch.
    fn watch(&mut self, number: Watch, scope: Scope, group: Group) -> Step {
        let Some(who) = self.rng.choice(self.living.clone()) else {
            return Step::Join(scope, group, self.some());
        };
        self.watches.push((scope, number));
        let group = self.rng.bool().then_some(group);
        Step::Watch(number, scope, group, who)
    }

    /// Mostly where it began.
    fn unwatch(&mut self) -> Step {
        let (mut scope, mut watch) = (self.scope(), 0);
        if let Some(begun) = self.rng.choice(self.watches.clone()) {
            watch = begun.1;
            if self.rng.u8(..8) > 0 {
                scope = begun.0;
            }
        }
        Step::Unwatch(scope, watch)
    }

    /// Mostly one of those that are there from the beginning.
    fn scope(&mut self) -> Scope {
        match self.rng.u8(..12) {
            0 => 't',
            1..=3 => 's',
            _ => 'r',
        }
    }

    /// Some processes, living or not, one or the other several times.
    fn some(&mut self) -> Vec<Who> {
        let count = [1, 1, 1, 1, 2, 2, 3, 4, 0];
        (0..one_of(&mut self.rng, &count))
            .map(|_| one_of(&mut self.rng, &EVERYBODY))
            .collect()
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
            Self::Start(scope) => write!(f, "{{start,{scope}}}"),
            Self::Stop(scope, how) => write!(f, "{{stop,{scope},{how}}}"),
            Self::Join(scope, group, who) => write!(f, "{{join,{scope},{group},{}}}", List(who)),
            Self::Leave(scope, group, who) => write!(f, "{{leave,{scope},{group},{}}}", List(who)),
            Self::Watch(watch, scope, Some(group), who) => {
                write!(f, "{{watch,{watch},{scope},{group},{who}}}")
            }
            Self::Watch(watch, scope, None, who) => write!(f, "{{watch,{watch},{scope},{who}}}"),
            Self::Unwatch(scope, watch) => write!(f, "{{unwatch,{scope},{watch}}}"),
            Self::End(who, how) => write!(f, "{{ends,{},{how}}}", List(who)),
            Self::EndAndLeave(who, scope, group) => {
                write!(f, "{{end_and_leave,{who},{scope},{group}}}")
            }
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Crash => "crash",
            Self::Shutdown => "shutdown",
            Self::Kill => "kill",
        })
    }
}
