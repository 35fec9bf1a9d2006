//! The end of an application: what is left of it is killed, and whoever waits
//! is told.

use std::collections::HashSet;

use resurgam_runtime::{
    Down, Exit, ExitReason, Name, Node, Pid, StartError, kill, monitor, planted,
};
use tracing::{error, info};

use super::{APPLICATION, Controller, Life, Phase, Stage, StartResult, Waiter, tell_stop};
use crate::application::StartType;
use crate::application::handle::{ApplicationEnded, StartApplicationError};
use crate::application::master::Outcome;
use crate::caught::guarded;

impl Controller {
    pub(super) fn exited(&mut self, exit: Exit) {
        if exit.from == Pid::NODE {
            return self.terminate(exit.reason);
        }
        if let Some((name, life)) = self.life_of_master(exit.from) {
            let outcome = life.stage.outcome(exit.reason);
            life.stage = Stage::Clearing(HashSet::new(), outcome);
            self.leave_changes(&name);
            self.clear(&name);
        }
    }

    /// Whoever is left of an application whose master has ended is killed, and
    /// waited for (law APP-08).
    fn clear(&mut self, name: &Name) {
        let Some(life) = self.life(name) else { return };
        let master = life.pid;
        let strays = Node::current().group_members(master).into_iter();
        let killed = strays
            .filter(|pid| *pid != master && !planted!(StraysLeft))
            .map(|pid| {
                let reference = monitor(pid);
                kill(pid);
                reference
            });
        let killed: HashSet<_> = killed.collect();
        match &mut life.stage {
            Stage::Clearing(left, _) if !killed.is_empty() => *left = killed,
            _ => self.bury(name),
        }
    }

    pub(super) fn stray_ended(&mut self, down: &Down) {
        let mut cleared = None;
        for (name, loaded) in &mut self.loaded {
            if let Some(Life {
                stage: Stage::Clearing(left, _),
                ..
            }) = &mut loaded.life
                && left.remove(&down.reference)
                && left.is_empty()
            {
                cleared = Some(name.clone());
            }
        }
        if let Some(name) = cleared {
            // They may have spawned others meanwhile.
            self.clear(&name);
        }
    }

    /// Nothing is left of an application.
    fn bury(&mut self, name: &Name) {
        let Some(loaded) = self.loaded.get_mut(name) else {
            return;
        };
        let Some(life) = loaded.life.take() else {
            return;
        };
        let outcome = match life.stage {
            Stage::Clearing(_, outcome) => outcome,
            Stage::Starting | Stage::Running(_) | Stage::Ending { .. } | Stage::Stopping => {
                Outcome::Stopped
            }
        };
        if let Outcome::Ended(reason) = &outcome
            && !planted!(EndForgotten)
        {
            loaded.ended = Some(reason.clone());
        }
        self.begun.retain(|begun| begun != name);
        for waiter in life.starters {
            self.tell_start(waiter, name, Err(not_up(name, &outcome)));
        }
        for waiter in life.stoppers {
            tell_stop(&mut self.ripe, waiter, Ok(()));
        }
        if let Phase::Terminating(_) = self.phase {
            self.stop_next();
        }
        self.react(name, life.start_type, outcome);
        for (start_type, waiter) in life.successors {
            self.succeed(name, start_type, waiter);
        }
    }

    /// Who waited for the end of an application to start it.
    fn succeed(&mut self, name: &Name, start_type: StartType, waiter: Waiter<StartResult>) {
        match self.phase {
            Phase::Serving => self.start(name.clone(), start_type, waiter),
            Phase::Terminating(_) => {
                let error = StartApplicationError::Terminating;
                self.tell_start(waiter, name, Err(error));
            }
        }
    }

    /// Reports the end of an application, and stops the node if it is fatal.
    fn react(&mut self, name: &Name, start_type: StartType, outcome: Outcome) {
        match outcome {
            Outcome::Stopped => {
                guarded(|| info!(target: APPLICATION, application = %name, "application stopped"));
            }
            Outcome::NotStarted(error) => {
                guarded(
                    || error!(target: APPLICATION, application = %name, %error, "application did not start"),
                );
            }
            Outcome::Ended(reason) if start_type.is_fatal(&reason) => {
                guarded(
                    || error!(target: APPLICATION, application = %name, %start_type, %reason, "application ended; the node stops"),
                );
                let name = name.clone();
                self.terminate(ExitReason::shutdown_with(ApplicationEnded { name, reason }));
            }
            Outcome::Ended(reason) => {
                guarded(
                    || info!(target: APPLICATION, application = %name, %start_type, %reason, "application ended"),
                );
            }
        }
    }
}

/// Why an application that was being started is not up.
fn not_up(name: &Name, outcome: &Outcome) -> StartApplicationError {
    let name = name.clone();
    match outcome {
        Outcome::Stopped => StartApplicationError::Stopped(name),
        Outcome::NotStarted(error) => StartApplicationError::Failed {
            name,
            error: error.clone(),
        },
        Outcome::Ended(reason) => StartApplicationError::Failed {
            name,
            error: StartError::Failed(reason.clone()),
        },
    }
}
