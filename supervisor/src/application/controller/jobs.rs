//! Starts of several applications, with all they need.

use resurgam_runtime::{Name, Pid};

use super::{AllResult, Controller, Loaded, Stage, StartResult, Waiter};
use crate::application::StartType;
use crate::application::asker::Caller;
use crate::application::handle::StartApplicationError;
use crate::application::order::{Needs, NoOrder, Plan, StartMode};

/// Several applications being started, or, after one failed, stopped again.
pub(super) struct Job {
    pub(super) plan: Plan,
    start_type: StartType,
    /// Those that it started itself, in their order, and their masters.
    pub(super) own: Vec<(Name, Pid)>,
    pub(super) failed: Option<StartApplicationError>,
    /// Taken when it was told.
    pub(super) caller: Option<Caller<AllResult>>,
}

impl Controller {
    pub(super) fn ensure_all(
        &mut self,
        names: &[Name],
        start_type: StartType,
        mode: StartMode,
        caller: Caller<AllResult>,
    ) {
        // One that runs needs nothing more.
        let needs = |loaded: &Loaded| match &loaded.life {
            Some(life) if matches!(life.stage, Stage::Running(_)) => Vec::new(),
            _ => loaded.application.needs.clone(),
        };
        let needs: Needs = self
            .loaded
            .iter()
            .map(|(name, loaded)| (name.clone(), needs(loaded)))
            .collect();
        let plan = match Plan::new(&needs, names, mode) {
            Ok(plan) => plan,
            Err(NoOrder::NotLoaded(name)) => {
                let error = StartApplicationError::NotLoaded(name);
                return caller.reply.send(Err(error));
            }
            Err(NoOrder::Cycle(names)) => {
                let error = StartApplicationError::Cycle(names);
                return caller.reply.send(Err(error));
            }
        };
        let job = Job {
            plan,
            start_type,
            own: Vec::new(),
            failed: None,
            caller: Some(caller),
        };
        let number = self.next_number();
        self.jobs.insert(number, job);
        self.ripe.push_back(number);
    }

    /// Goes on with a job: starts what can be started now, or, if one has
    /// failed, stops the last that it had started (law APP-02).
    pub(super) fn advance(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.failed.is_none() && !job.plan.is_done() {
            let (next, start_type) = (job.plan.next(), job.start_type);
            for name in next {
                self.start(name, start_type, Waiter::Job(id));
            }
            return;
        }
        if job.plan.is_under_way() {
            return;
        }
        match job.failed.as_ref().and_then(|_| job.own.pop()) {
            Some((name, master)) if self.life(&name).is_some_and(|life| life.pid == master) => {
                self.stop(name, Waiter::Job(id));
            }
            // It has ended meanwhile.
            Some(_) => self.ripe.push_back(id),
            None => self.finish(id),
        }
    }

    fn finish(&mut self, id: u64) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        let own = job.own.iter().map(|(name, _)| name.clone()).collect();
        let result = job.failed.clone().map_or(Ok(own), Err);
        job.tell(result);
    }

    pub(super) fn tell_start(
        &mut self,
        waiter: Waiter<StartResult>,
        name: &Name,
        result: StartResult,
    ) {
        let id = match waiter {
            Waiter::Caller(_, caller) => return caller.reply.send(result),
            Waiter::Job(id) => id,
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match result {
            Ok(()) => job.plan.started(name),
            Err(error) => {
                job.plan.failed(name);
                job.failed.get_or_insert(error);
            }
        }
        self.ripe.push_back(id);
    }
}

impl Job {
    /// Tells whoever waits for it, once.
    pub(super) fn tell(self, result: AllResult) {
        if let Some(caller) = self.caller {
            caller.reply.send(result);
        }
    }
}
