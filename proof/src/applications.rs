//! Applications whose callbacks follow a script, here and on Erlang's
//! `application_controller`.
//!
//! After each step everything comes to rest. What several clients ask for goes
//! on side by side where a start waits until it is let go on.

mod random;
pub mod restless;
mod run;

use std::fmt::{self, Display};

use resurgam::StartType;

use crate::writing::List;

pub use run::seen;

/// The applications, and what happens.
#[derive(Clone, Debug)]
pub struct Case {
    apps: Vec<App>,
    steps: Vec<Step>,
}

/// An application: what it is called by.
type Name = char;

/// An application.
#[derive(Clone, Debug)]
struct App {
    name: Name,
    needs: Vec<Name>,
    /// Those that it needs if they are loaded.
    optional: Vec<Name>,
    /// What its start function does, one start after the other.
    starts: Vec<Start>,
    phases: Vec<Do>,
    prep_stop: Do,
    stop: Do,
    /// Whether it leaves a process behind.
    stray: bool,
    env: Vec<(Key, u8)>,
}

/// A setting: those of an application begin with its name.
type Key = (Name, u8);

/// What a start function does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Start {
    Ok,
    /// It waits until it is let go on.
    Gated,
    /// It waits, then fails.
    GatedError,
    Error,
    Crash,
}

/// What another callback does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Do {
    Ok,
    Error,
    Crash,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Load(Name),
    Unload(Name),
    Start(Name, StartType),
    Ensure(Name, StartType),
    Stop(Name),
    /// The top of its tree ends by itself.
    Crash(Name, Reason),
    /// A start that waits goes on.
    Release(Name),
    Set(Key, u8),
    SetPersistent(Key, u8),
    Unset(Key),
    Configure(Vec<(Name, Vec<(Key, u8)>)>),
}

/// Why a top ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Reason {
    Normal,
    Shutdown,
    Error,
    Killed,
}

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        random::case(seed)
    }
}

/// As an Erlang term.
impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{}}}", List(&self.apps), List(&self.steps))
    }
}

impl Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases: Vec<_> = phase_names().zip(&self.phases).collect();
        let phases: Vec<_> = phases
            .iter()
            .map(|(name, does)| format!("{{{name},{does}}}"))
            .collect();
        write!(
            f,
            "{{{},{},{},{},{},{},{},{},{}}}",
            self.name,
            List(&self.needs),
            List(&self.optional),
            List(&self.starts),
            List(&phases),
            self.prep_stop,
            self.stop,
            self.stray,
            List(&settings(&self.env)),
        )
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(name) => write!(f, "{{load,{name}}}"),
            Self::Unload(name) => write!(f, "{{unload,{name}}}"),
            Self::Start(name, start_type) => write!(f, "{{start,{name},{start_type}}}"),
            Self::Ensure(name, start_type) => write!(f, "{{ensure,{name},{start_type}}}"),
            Self::Stop(name) => write!(f, "{{stop,{name}}}"),
            Self::Crash(name, reason) => write!(f, "{{crash,{name},{reason}}}"),
            Self::Release(name) => write!(f, "{{release,{name}}}"),
            Self::Set((name, key), value) => write!(f, "{{set,{name},{name}{key},{value}}}"),
            Self::SetPersistent((name, key), value) => {
                write!(f, "{{set_persistent,{name},{name}{key},{value}}}")
            }
            Self::Unset((name, key)) => write!(f, "{{unset,{name},{name}{key}}}"),
            Self::Configure(config) => {
                let config: Vec<_> = config
                    .iter()
                    .map(|(name, env)| format!("{{{name},{}}}", List(&settings(env))))
                    .collect();
                write!(f, "{{config,{}}}", List(&config))
            }
        }
    }
}

fn settings(env: &[(Key, u8)]) -> Vec<String> {
    let terms = env
        .iter()
        .map(|((name, key), value)| format!("{{{name}{key},{value}}}"));
    terms.collect()
}

/// What phases are called.
fn phase_names() -> impl Iterator<Item = String> {
    (1..).map(|number| format!("p{number}"))
}

impl Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Gated => "gated",
            Self::GatedError => "gated_error",
            Self::Error => "error",
            Self::Crash => "crash",
        })
    }
}

impl Display for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Crash => "crash",
        })
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Error => "error",
            Self::Killed => "killed",
        })
    }
}
