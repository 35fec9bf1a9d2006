//! The dynamic supervisor: many children that come and go, each on its own.

use std::collections::HashMap;
use std::fmt;
use std::iter;

use foldhash::fast::RandomState;
use resurgam_runtime::{
    CallError, Exit, ExitReason, GenServer, Info, InitError, Name, Pid, Reply, ServerContext,
    StartError, note_restart, now, trap_exit,
};

#[cfg(feature = "sim")]
use crate::audit::{self, Deed};
use crate::child_spec::{ChildSpec, Restart, Shutdown, SpecError};
use crate::gave_up::GaveUp;
use crate::info::{ChildCount, ChildInfo, ChildStatus, Life};
use crate::intensity::{Attempt, RestartIntensity, RestartLog};
#[cfg(feature = "sim")]
use crate::policy::Strategy;
use crate::policy::{Verdict, is_reported, judge, reason_of};
use crate::report::{Origin, Reports};
use crate::shutdown::{is_dead, stop_children, unnoticed_dead};
use crate::start::Started;
use resurgam_runtime::planted;

#[cfg(test)]
mod tests;

/// Why `start_child` of a dynamic supervisor started nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartDynamicChildError {
    /// The spec cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The supervisor has as many children as it may, those about to be
    /// restarted included.
    #[error("supervisor has {0} children, as many as it may")]
    MaxChildren(usize),
    /// The child did not start.
    #[error("child did not start: {0}")]
    Failed(StartError),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why `terminate_child` of a dynamic supervisor stopped nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminateDynamicChildError {
    /// It has no child with this pid.
    #[error("there is no child {0}")]
    NotFound(Pid),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// What a dynamic supervisor can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    StartChild(ChildSpec, Reply<Result<Started, StartDynamicChildError>>),
    TerminateChild(Pid, Reply<Result<(), TerminateDynamicChildError>>),
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCount>),
    /// The supervisor to itself: a restart that failed is to be tried again.
    /// The pid it had, and why it is down.
    Retry(Pid, ExitReason),
    Stop(ExitReason),
}

/// What a dynamic supervisor starts with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: Option<Name>,
    pub(crate) intensity: RestartIntensity,
    pub(crate) max_children: usize,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Shell {
    // Invariant: a child that waits for its restart is kept under the pid it
    // had, which no other process ever gets.
    children: HashMap<Pid, Child, RandomState>,
    restarts: RestartLog,
    max_children: usize,
    reports: Reports,
}

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    state: ChildState,
    /// How often it was started anew.
    restarts: u64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum ChildState {
    Running,
    Restarting,
}

impl GenServer for Shell {
    type Args = Setup;
    type Message = Request;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        #[cfg(feature = "sim")]
        audit::note(Deed::Supervises(Strategy::OneForOne, setup.intensity));
        Ok(Self {
            children: HashMap::default(),
            restarts: RestartLog::new(setup.intensity),
            max_children: setup.max_children,
            reports: Reports::new(setup.name.as_ref(), ctx.pid()),
        })
    }

    async fn handle(
        &mut self,
        request: Request,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::StartChild(spec, reply) => reply.send(self.start_child(spec).await),
            Request::TerminateChild(pid, reply) => reply.send(self.terminate_child(pid).await),
            Request::WhichChildren(reply) => reply.send(self.which_children()),
            Request::CountChildren(reply) => reply.send(self.count_children().await),
            Request::Stop(reason) => return Err(reason),
            Request::Retry(pid, reason) => return self.retry(pid, reason, ctx).await,
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Exit(exit) => self.exited(exit, ctx).await,
            unexpected => {
                self.reports.unexpected(&unexpected);
                Ok(())
            }
        }
    }

    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| {
            let running = |child: &&Child| child.state == ChildState::Running;
            f.debug_struct("DynamicSupervisor")
                .field("max_children", &self.max_children)
                .field("children", &self.children.len())
                .field("running", &self.children.values().filter(running).count())
                .finish()
        })
    }

    fn format_message(request: &Request) -> impl fmt::Debug {
        request
    }

    async fn terminate(&mut self, _reason: &ExitReason, _ctx: &mut ServerContext<Self>) {
        self.stop(self.in_order().into_iter()).await;
        #[cfg(feature = "sim")]
        audit::note(Deed::Ends);
    }
}

impl Shell {
    async fn start_child(&mut self, spec: ChildSpec) -> Result<Started, StartDynamicChildError> {
        let one_more = usize::from(planted!(OneChildTooMany));
        if self.children.len() >= self.max_children.saturating_add(one_more) {
            return Err(StartDynamicChildError::MaxChildren(self.max_children));
        }
        let started = spec.start().await.map_err(StartDynamicChildError::Failed)?;
        if let Some(pid) = started.pid() {
            self.adopt(spec, pid, Origin::Caller, 0);
        }
        Ok(started)
    }

    /// The start function of a temporary child is let go, as nobody will need
    /// it again.
    fn adopt(&mut self, mut spec: ChildSpec, pid: Pid, origin: Origin, restarts: u64) {
        #[cfg(feature = "sim")]
        audit::note(Deed::Adopted(pid));
        self.reports.progress(origin, &spec, pid);
        if spec.get_restart() == Restart::Temporary {
            spec.release_start();
        }
        self.children.insert(
            pid,
            Child {
                spec,
                state: ChildState::Running,
                restarts,
            },
        );
    }

    async fn terminate_child(&mut self, pid: Pid) -> Result<(), TerminateDynamicChildError> {
        let Some(child) = self.children.get(&pid) else {
            return Err(TerminateDynamicChildError::NotFound(pid));
        };
        self.stop(iter::once((&pid, child))).await;
        // Not before: if something here panics, the child is still to be
        // stopped at the end.
        self.children.remove(&pid);
        Ok(())
    }

    /// Stops these children side by side; those that wait for their restart
    /// are down already.
    async fn stop(&self, children: impl Iterator<Item = (&Pid, &Child)>) {
        let running = children.filter(|(_, child)| child.state == ChildState::Running);
        let orders = running.map(|(pid, child)| (*pid, child.spec.get_shutdown()));
        stop_children(orders, |pid, reason| {
            let spec = &self.children[&pid].spec;
            if !is_proper_end(spec.get_shutdown(), spec.get_restart(), &reason) {
                self.reports.shutdown_error(spec, pid, &reason);
            }
        })
        .await;
    }

    async fn exited(
        &mut self,
        exit: Exit,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Exit { from: pid, reason } = exit;
        let Some(child) = self.running(pid) else {
            return Ok(());
        };
        if !is_dead(pid).await {
            self.reports.exit_of_living(&child.spec, pid, &reason);
            return Ok(());
        }
        let restart = child.spec.get_restart();
        if is_reported(restart, &reason) {
            self.reports.child_terminated(&child.spec, pid, &reason);
        }
        match judge(restart, &reason) {
            Verdict::Restart => self.attempt(pid, reason, ctx).await,
            Verdict::Keep | Verdict::Forget => {
                self.children.remove(&pid);
                Ok(())
            }
        }
    }

    fn running(&self, pid: Pid) -> Option<&Child> {
        self.children
            .get(&pid)
            .filter(|child| child.state == ChildState::Running)
    }

    /// Somebody may have called the restart off meanwhile.
    async fn retry(
        &mut self,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match self.children.get(&pid).map(|child| child.state) {
            Some(ChildState::Restarting) => self.attempt(pid, reason, ctx).await,
            Some(ChildState::Running) | None => Ok(()),
        }
    }

    /// Starts the child in the place of `pid`, which is dead; `reason` is why it
    /// is down.
    async fn attempt(
        &mut self,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Some(mut child) = self.children.remove(&pid) else {
            return Ok(());
        };
        let now = now();
        match self.restarts.record(now) {
            Attempt::Refused => {
                #[cfg(feature = "sim")]
                audit::note(Deed::GivesUp(now));
                let why = GaveUp {
                    id: child.spec.id().clone(),
                    reason,
                    restarts: child.restarts,
                    intensity: self.restarts.intensity(),
                };
                self.reports.gave_up(&why, &child.spec, Some(pid));
                return Err(ExitReason::shutdown_with(why));
            }
            Attempt::Allowed => {
                #[cfg(feature = "sim")]
                audit::note(Deed::Replaces(pid, now));
            }
        }
        match child.spec.start().await.map(|started| started.pid()) {
            Ok(Some(new)) => {
                note_restart(pid, new);
                self.adopt(child.spec, new, Origin::Supervisor, child.restarts + 1);
            }
            // It said `ignore`, so there is nothing left to look after.
            Ok(None) => {}
            Err(error) => {
                self.reports.start_error(&child.spec, &error);
                child.state = ChildState::Restarting;
                self.children.insert(pid, child);
                ctx.self_ref().cast(Request::Retry(pid, reason_of(error)));
            }
        }
        Ok(())
    }

    /// The children by their pids: the same order in each run, or simulations
    /// could not be repeated.
    fn in_order(&self) -> Vec<(&Pid, &Child)> {
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_unstable_by_key(|(pid, _)| **pid);
        children
    }

    fn which_children(&self) -> Vec<ChildInfo> {
        let info = |(pid, child): (&Pid, &Child)| {
            let status = match child.state {
                ChildState::Running => ChildStatus::Running(*pid),
                ChildState::Restarting => ChildStatus::Restarting,
            };
            ChildInfo {
                restarts: child.restarts,
                ..ChildInfo::new(&child.spec, status)
            }
        };
        self.in_order().into_iter().map(info).collect()
    }

    async fn count_children(&self) -> ChildCount {
        let pids = self.in_order().into_iter().map(|(pid, _)| *pid);
        let gone = unnoticed_dead(pids.collect()).await;
        ChildCount::of(self.children.iter().map(|(pid, child)| match child.state {
            ChildState::Running if !gone.contains(pid) => (&child.spec, Life::Alive),
            ChildState::Running | ChildState::Restarting => (&child.spec, Life::Down),
        }))
    }
}

/// Whether a child of a dynamic supervisor that was stopped ended as it should
/// (law DYN-15). Any other end is worth a report.
fn is_proper_end(shutdown: Shutdown, restart: Restart, reason: &ExitReason) -> bool {
    match (shutdown, restart, reason) {
        (_, _, ExitReason::Shutdown | ExitReason::ShutdownWith(_)) => true,
        (_, Restart::Transient | Restart::Temporary, ExitReason::Normal) => true,
        (Shutdown::BrutalKill, _, ExitReason::Killed) => true,
        (Shutdown::BrutalKill | Shutdown::Timeout(_) | Shutdown::Infinity, _, _) => false,
    }
}
