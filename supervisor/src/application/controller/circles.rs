//! Whoever asks for something that waits for whoever asks is told so, instead
//! of waiting for ever (laws XAPP-01 to XAPP-04).

use std::collections::BTreeMap;

use resurgam_runtime::{Name, Reply, planted};
use tracing::warn;

use super::{APPLICATION, Controller, Life, Stage, Waiter};
use crate::application::asker::Asker;
use crate::application::handle::{ChangeConfigError, StartApplicationError, StopApplicationError};
use crate::application::waits::{self, Circle, Wait};
use crate::caught::guarded;

impl Controller {
    /// The first wait that will not be over by itself.
    pub(super) fn circle(&self) -> Option<Circle> {
        let mut waits = BTreeMap::new();
        let mut note = |number, asker: Option<&Asker>, on: &Name| {
            let Some(holds) = asker.and_then(|asker| self.held_by(asker)) else {
                return;
            };
            let wait = waits.entry(number).or_insert_with(|| Wait {
                number,
                holds,
                on: Vec::new(),
            });
            wait.on.push(on.clone());
        };
        for (name, loaded) in &self.loaded {
            for (number, asker) in loaded.life.iter().flat_map(Life::waiters) {
                let of_job = || self.jobs.get(&number)?.caller.as_ref()?.asker();
                note(number, asker.or_else(of_job), name);
            }
        }
        for (number, change) in &self.changes {
            for name in &change.left {
                note(*number, change.caller.asker(), name);
            }
        }
        for (number, caller) in &self.enders {
            for name in &self.begun {
                note(*number, caller.asker(), name);
            }
        }
        if planted!(CircleUntold) {
            return None;
        }
        let waits: Vec<_> = waits.into_values().collect();
        waits::circle(&waits)
    }

    /// The application that does not go on before this process does: that it
    /// is up, that it has done what it does about a change, or that it is gone.
    fn held_by(&self, asker: &Asker) -> Option<Name> {
        let name = self.led_by(asker.leader)?;
        let life = self.loaded[&name].life.as_ref()?;
        let is_callback = asker.is(life.pid);
        let holds = match life.stage {
            Stage::Running(_) => is_callback,
            Stage::Starting => is_callback || asker.is_awaited(),
            Stage::Ending { .. } | Stage::Stopping | Stage::Clearing(..) => {
                is_callback || asker.is_awaited() || asker.is_deaf()
            }
        };
        holds.then_some(name)
    }

    /// Tells somebody that its wait would not be over.
    pub(super) fn tell_circle(&mut self, circle: Circle) {
        let Circle { number, names } = circle;
        if self.jobs.contains_key(&number) {
            return self.call_off(number, names);
        }
        if let Some(change) = self.changes.remove(&number) {
            return change.tell(Err(ChangeConfigError::Deadlock(names)));
        }
        if let Some(ender) = self.enders.remove(&number) {
            guarded(
                || warn!(target: APPLICATION, ?names, "an application that has all stopped does not wait for itself"),
            );
            return ender.reply.send(());
        }
        let mut lives = self.loaded.values_mut().filter_map(|l| l.life.as_mut());
        lives.find_map(|life| life.tell_circle(number, &names));
    }

    /// A job waits for whoever waits for it. It fails; if it has failed before
    /// and takes back what it did, nobody waits for that any more.
    fn call_off(&mut self, id: u64, names: Vec<Name>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if let Some(error) = &job.failed {
            let error = error.clone();
            if let Some(caller) = job.caller.take() {
                caller.reply.send(Err(error));
            }
            return;
        }
        for (name, loaded) in &mut self.loaded {
            if let Some(life) = &mut loaded.life
                && life.forget_job(id)
            {
                job.plan.failed(name);
            }
        }
        job.failed = Some(StartApplicationError::Deadlock(names));
        self.ripe.push_back(id);
    }
}

impl Life {
    /// Whoever waits for it: the number of the wait, and who is known to.
    fn waiters(&self) -> impl Iterator<Item = (u64, Option<&Asker>)> {
        let starters = self.starters.iter().map(Waiter::who);
        let stoppers = self.stoppers.iter().map(Waiter::who);
        let successors = self.successors.iter().map(|(_, waiter)| waiter.who());
        starters.chain(stoppers).chain(successors)
    }

    /// Tells the one whose wait this is, if it waits for this application.
    fn tell_circle(&mut self, number: u64, names: &[Name]) -> Option<()> {
        let names = || names.to_vec();
        let has_number = |waiter: &Waiter<_>| waiter.who().0 == number;
        if let Some(reply) = take(&mut self.stoppers, has_number) {
            reply.send(Err(StopApplicationError::Deadlock(names())));
            return Some(());
        }
        let starter = take(&mut self.starters, |waiter| waiter.who().0 == number);
        let starter = starter.or_else(|| {
            let mut successors = self.successors.iter();
            let at = successors.position(|(_, waiter)| waiter.who().0 == number)?;
            self.successors.remove(at).1.reply()
        });
        starter.map(|reply| reply.send(Err(StartApplicationError::Deadlock(names()))))
    }

    /// This job does not wait for it any more; whether it did.
    fn forget_job(&mut self, id: u64) -> bool {
        let before = self.starters.len() + self.successors.len();
        self.starters.retain(|waiter| !waiter.is_job(id));
        self.successors.retain(|(_, waiter)| !waiter.is_job(id));
        self.starters.len() + self.successors.len() < before
    }
}

impl<T: Send + 'static> Waiter<T> {
    fn who(&self) -> (u64, Option<&Asker>) {
        match self {
            Self::Caller(number, caller) => (*number, caller.asker()),
            Self::Job(id) => (*id, None),
        }
    }

    fn is_job(&self, id: u64) -> bool {
        matches!(self, Self::Job(job) if *job == id)
    }

    fn reply(self) -> Option<Reply<T>> {
        match self {
            Self::Caller(_, caller) => Some(caller.reply),
            Self::Job(_) => None,
        }
    }
}

/// Takes out the caller that is meant.
fn take<T: Send + 'static>(
    waiters: &mut Vec<Waiter<T>>,
    is_meant: impl Fn(&Waiter<T>) -> bool,
) -> Option<Reply<T>> {
    let at = waiters.iter().position(is_meant)?;
    waiters.remove(at).reply()
}
