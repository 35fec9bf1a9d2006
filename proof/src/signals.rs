//! The comparisons of programs: the model, Resurgam, Erlang.

use std::collections::BTreeSet;

use resurgam::Node;

use crate::erlang::Erlang;
use crate::model::explore;
use crate::observation::Observation;
use crate::program::{Program, Size};
use crate::run::{self, RunError, rounds::Rounds};
use crate::trial::{LeftOut, Sides, Trial};

/// Settled programs, on the model and on the runtime.
#[derive(Debug)]
pub struct Settled {
    /// Where they run.
    pub node: Node,
}

impl Trial for Settled {
    type Case = Program;

    fn case(&self, seed: u64) -> Program {
        Program::random(seed, Size::SETTLED)
    }

    fn operations(case: &Program) -> usize {
        case.steps.len()
    }

    async fn run(&self, program: &Program) -> Result<Sides, LeftOut> {
        let Ok(possible) = explore::settled(program) else {
            return Err(LeftOut);
        };
        let seen = run::settled(&self.node, &Rounds, program).await;
        Ok(Sides {
            possible: lines(&possible),
            seen: vec![("Resurgam", line(seen))],
        })
    }

    fn shrink(case: Program, fails: impl FnMut(&Program) -> bool) -> Program {
        case.shrink(fails)
    }
}

/// Racy programs, on the model and, several times each, on the runtime.
#[derive(Debug)]
pub struct Racy {
    /// Where they run.
    pub node: Node,
    /// How often each is run.
    pub times: u64,
}

impl Trial for Racy {
    type Case = Program;

    fn case(&self, seed: u64) -> Program {
        Program::random(seed, Size::RACY)
    }

    fn operations(case: &Program) -> usize {
        case.steps.len()
    }

    async fn run(&self, program: &Program) -> Result<Sides, LeftOut> {
        let Ok(possible) = explore::racy(program) else {
            return Err(LeftOut);
        };
        let mut seen = Vec::new();
        for _ in 0..self.times {
            let pace = Some(self.node.random());
            let run = run::racy(&self.node, &Rounds, program, pace).await;
            seen.push(("Resurgam", line(run)));
        }
        seen.dedup();
        Ok(Sides {
            possible: lines(&possible),
            seen,
        })
    }

    fn shrink(case: Program, fails: impl FnMut(&Program) -> bool) -> Program {
        case.shrink(fails)
    }
}

/// Settled programs, on the model, on the runtime, and on Erlang.
#[derive(Debug)]
pub struct WithErlang {
    /// Where they run.
    pub node: Node,
    /// And where else.
    pub erlang: Erlang,
}

impl Trial for WithErlang {
    type Case = Program;

    fn case(&self, seed: u64) -> Program {
        Program::random(seed, Size::SETTLED)
    }

    fn operations(case: &Program) -> usize {
        case.steps.len()
    }

    async fn run(&self, program: &Program) -> Result<Sides, LeftOut> {
        let Ok(possible) = explore::settled(program) else {
            return Err(LeftOut);
        };
        let seen = run::settled(&self.node, &Rounds, program).await;
        let told = self.erlang.ask(&format!("{{signals,{program}}}"));
        let erlang = told.unwrap_or_else(|error| error.to_string());
        let seen = vec![("Resurgam", line(seen)), ("Erlang", erlang)];
        Ok(Sides {
            possible: lines(&possible),
            seen,
        })
    }

    fn shrink(case: Program, fails: impl FnMut(&Program) -> bool) -> Program {
        case.shrink(fails)
    }
}

fn lines(possible: &BTreeSet<Observation>) -> Vec<String> {
    possible.iter().map(ToString::to_string).collect()
}

fn line(seen: Result<Observation, RunError>) -> String {
    match seen {
        Ok(observation) => observation.to_string(),
        Err(error) => error.to_string(),
    }
}
