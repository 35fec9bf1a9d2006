//! The dynamic supervisor: many children that come and go, each on its own.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::iter;
use std::time::Instant;

use foldhash::fast::RandomState;
use resurgam_runtime::{
    CallError, Exit, ExitReason, GenServer, Info, InitError, Name, Node, Pid, Reply, ServerContext,
    StartError, note_restart, now, trap_exit,
};

#[cfg(feature = "sim")]
use crate::audit::{self, Deed};
use crate::care::WhenSpent;
use crate::child_spec::{ChildSpec, Restart, Shutdown, SpecError};
use crate::children::record::{Moment, Record, Setback};
use crate::gave_up::GaveUp;
use crate::info::{ChildCount, ChildInfo, ChildStatus, Life};
use crate::intensity::{Attempt, RestartIntensity, RestartLog};
#[cfg(feature = "sim")]
use crate::needs::Pace;
#[cfg(feature = "sim")]
use crate::policy::Strategy;
use crate::policy::{Verdict, is_reported, judge, later, reason_of};
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

/// Why `restart_child` of a dynamic supervisor started nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartDynamicChildError {
    /// It has no child that had this pid.
    #[error("there is no child {0}")]
    NotFound(Pid),
    /// The child runs.
    #[error("child {0} runs; stop it first")]
    Running(Pid),
    /// The supervisor is about to restart the child.
    #[error("child {0} is being restarted")]
    Restarting(Pid),
    /// The child did not start. The supervisor goes on trying.
    #[error("child did not start: {0}")]
    Failed(StartError),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// What a dynamic supervisor can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    StartChild(ChildSpec, Reply<Result<Started, StartDynamicChildError>>),
    TerminateChild(Pid, Reply<Result<(), TerminateDynamicChildError>>),
    RestartChild(Pid, Reply<Result<Started, RestartDynamicChildError>>),
    WhichChildren(Reply<Vec<ChildInfo>>),
    CountChildren(Reply<ChildCount>),
    /// The supervisor to itself: a restart that failed is to be tried again.
    Retry(Pid),
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
    // Invariant: a child that is down is kept under the pid it had, which no
    // other process ever gets.
    children: HashMap<Pid, Child, RandomState>,
    // Invariant: one entry for each child that is due at some time.
    by_due: BTreeSet<(Instant, Pid)>,
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
    /// Of a child that needs care.
    record: Option<Box<Record>>,
}

#[derive(Debug)]
enum ChildState {
    Running,
    Down(Box<Downtime>),
}

/// Why a child is down, and until when.
#[derive(Debug)]
struct Downtime {
    reason: ExitReason,
    until: Until,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Until {
    /// The order to try again comes round.
    Retry,
    /// This time.
    Due(Instant),
    /// This time, if there is one: it is parked.
    Parked(Option<Instant>),
}

impl Until {
    /// When something is to be done.
    fn due(self) -> Option<Instant> {
        match self {
            Self::Due(due) => Some(due),
            Self::Parked(due) => due,
            Self::Retry => None,
        }
    }
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        let record = Record::of(&spec);
        Self {
            spec,
            state: ChildState::Running,
            restarts: 0,
            record,
        }
    }

    fn until(&self) -> Option<Until> {
        match &self.state {
            ChildState::Running => None,
            ChildState::Down(downtime) => Some(downtime.until),
        }
    }

    fn is_running(&self) -> bool {
        self.until().is_none()
    }

    fn due(&self) -> Option<Instant> {
        self.until()?.due()
    }

    /// Why a child that is down is down.
    fn reason(&self) -> Option<&ExitReason> {
        match &self.state {
            ChildState::Running => None,
            ChildState::Down(downtime) => Some(&downtime.reason),
        }
    }

    /// Until when the child is to be down; `None` if it is restarted at once.
    fn delay(&mut self, setback: Setback) -> Option<Instant> {
        let is_random = self.spec.get_backoff()?.is_random();
        let random = if is_random {
            Node::current().random()
        } else {
            0
        };
        let now = now();
        let delay = self
            .record
            .as_mut()?
            .delay(setback, Moment { now, random })?;
        Some(later(now, delay))
    }

    /// Where the restarts of the child count: in its own budget, or in that of
    /// all.
    fn budget<'a>(&'a self, of_all: &'a RestartLog) -> &'a RestartLog {
        let record = self.record.as_deref();
        record.and_then(Record::restarts).unwrap_or(of_all)
    }

    /// As [`budget`](Self::budget), for an attempt that is made now.
    fn budget_mut<'a>(
        &'a mut self,
        of_all: &'a mut RestartLog,
        now: Instant,
    ) -> &'a mut RestartLog {
        let Some(record) = self.record.as_deref_mut() else {
            return of_all;
        };
        record.attempted(now);
        record.restarts_mut().unwrap_or(of_all)
    }

    #[cfg(feature = "sim")]
    fn has_budget(&self) -> bool {
        self.spec.get_restart_intensity().is_some()
    }

    /// Somebody has taken charge of the child.
    fn renew(&mut self) {
        if let Some(record) = &mut self.record {
            record.renew();
        }
    }
}

impl GenServer for Shell {
    type Args = Setup;
    type Message = Request;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        #[cfg(feature = "sim")]
        audit::note(Deed::Supervises(
            Strategy::OneForOne,
            setup.intensity,
            Pace::InTurn,
        ));
        Ok(Self {
            children: HashMap::default(),
            by_due: BTreeSet::new(),
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
            Request::RestartChild(pid, reply) => {
                Box::pin(self.restart_child(pid, reply, ctx)).await?
            }
            Request::WhichChildren(reply) => reply.send(self.which_children()),
            Request::CountChildren(reply) => reply.send(self.count_children().await),
            Request::Stop(reason) => return Err(reason),
            Request::Retry(pid) => self.retry(pid, ctx).await?,
        }
        self.attend(ctx).await
    }

    async fn handle_info(
        &mut self,
        info: Info,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Exit(exit) => self.exited(exit, ctx).await?,
            // Somebody is due, which is looked after below.
            Info::Timeout => {}
            unexpected => self.reports.unexpected(&unexpected),
        }
        self.attend(ctx).await
    }

    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| {
            let running = |child: &&Child| child.is_running();
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
            self.adopt(Child::new(spec), pid, Origin::Caller);
        }
        Ok(started)
    }

    /// The start function of a temporary child is let go, as nobody will need
    /// it again.
    fn adopt(&mut self, mut child: Child, pid: Pid, origin: Origin) {
        #[cfg(feature = "sim")]
        audit::note(Deed::Adopted(pid));
        self.reports.progress(origin, &child.spec, pid);
        if child.spec.get_restart() == Restart::Temporary {
            child.spec.release_start();
        }
        self.children.insert(pid, child);
    }

    async fn terminate_child(&mut self, pid: Pid) -> Result<(), TerminateDynamicChildError> {
        let Some(child) = self.children.get(&pid) else {
            return Err(TerminateDynamicChildError::NotFound(pid));
        };
        self.stop(iter::once((&pid, child))).await;
        // Not before: if something here panics, the child is still to be
        // stopped at the end.
        self.take(pid);
        Ok(())
    }

    /// Stops these children side by side, but those that are down already.
    async fn stop(&self, children: impl Iterator<Item = (&Pid, &Child)>) {
        let running = children.filter(|(_, child)| child.is_running());
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
            Verdict::Restart => self.fell(pid, reason, ctx).await,
            Verdict::Keep | Verdict::Forget => {
                self.take(pid);
                Ok(())
            }
        }
    }

    fn running(&self, pid: Pid) -> Option<&Child> {
        self.children.get(&pid).filter(|child| child.is_running())
    }

    /// Takes a child out.
    fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        if let Some(due) = child.due() {
            self.by_due.remove(&(due, pid));
        }
        Some(child)
    }

    /// Keeps a child that is down.
    fn keep(&mut self, pid: Pid, mut child: Child, reason: ExitReason, until: Until) {
        child.state = ChildState::Down(Box::new(Downtime { reason, until }));
        if let Some(due) = until.due() {
            self.by_due.insert((due, pid));
        }
        self.children.insert(pid, child);
    }

    /// A child ended that is to be restarted.
    async fn fell(
        &mut self,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Some(mut child) = self.take(pid) else {
            return Ok(());
        };
        match child.delay(Setback::Fell) {
            Some(due) => self.put_off(pid, child, reason, due),
            None => self.attempt(pid, child, reason, ctx).await,
        }
    }

    /// Somebody may have called the restart off meanwhile.
    async fn retry(&mut self, pid: Pid, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match self.children.get(&pid).and_then(Child::until) {
            Some(Until::Retry) => self.attempt_kept(pid, ctx).await,
            Some(Until::Due(_) | Until::Parked(_)) | None => Ok(()),
        }
    }

    /// As the static supervisor does it.
    async fn attend(&mut self, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        let Some(&(due, pid)) = self.by_due.first() else {
            return Ok(());
        };
        if due <= now() {
            // Boxed, so that who never waits does not carry it.
            Box::pin(self.attempt_kept(pid, ctx)).await?;
        }
        if let Some((due, _)) = self.by_due.first() {
            ctx.set_timeout(due.saturating_duration_since(now()));
        }
        Ok(())
    }

    async fn attempt_kept(
        &mut self,
        pid: Pid,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match self.take_down(pid) {
            Some((child, reason)) => self.attempt(pid, child, reason, ctx).await,
            None => Ok(()),
        }
    }

    /// Takes a child out that is down, and says why it is.
    fn take_down(&mut self, pid: Pid) -> Option<(Child, ExitReason)> {
        let mut child = self.take(pid)?;
        match std::mem::replace(&mut child.state, ChildState::Running) {
            ChildState::Down(downtime) => Some((child, downtime.reason)),
            ChildState::Running => None,
        }
    }

    /// Starts the child in the place of `pid`, which is dead, if that may be;
    /// `reason` is why it is down.
    async fn attempt(
        &mut self,
        pid: Pid,
        mut child: Child,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let now = now();
        match child.budget_mut(&mut self.restarts, now).record(now) {
            Attempt::Refused => return self.refuse(pid, child, reason, now),
            Attempt::Allowed => {
                #[cfg(feature = "sim")]
                audit::note(Deed::Replaces(pid, (!child.has_budget()).then_some(now)));
            }
        }
        // What a failed start has to say is told by the reports.
        let _started = self
            .start_again(pid, child, Origin::Supervisor, ctx)
            .await?;
        Ok(())
    }

    /// Starts the child in the place of `pid`; if that fails, it is kept, to be
    /// tried again.
    async fn start_again(
        &mut self,
        pid: Pid,
        mut child: Child,
        origin: Origin,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Result<Started, StartError>, ExitReason> {
        match child.spec.start().await {
            Ok(started) => {
                // If it said `ignore`, there is nothing left to look after.
                if let Some(new) = started.pid() {
                    note_restart(pid, new);
                    child.restarts += 1;
                    self.adopt(child, new, origin);
                }
                Ok(Ok(started))
            }
            Err(error) => {
                self.reports.start_error(&child.spec, &error);
                let reason = reason_of(error.clone());
                match child.delay(Setback::NotStarted) {
                    Some(due) => self.put_off(pid, child, reason, due)?,
                    None => {
                        self.keep(pid, child, reason, Until::Retry);
                        ctx.self_ref().cast(Request::Retry(pid));
                    }
                }
                Ok(Err(error))
            }
        }
    }

    /// Nobody is kept waiting for an attempt that is bound to be refused.
    fn put_off(
        &mut self,
        pid: Pid,
        child: Child,
        reason: ExitReason,
        due: Instant,
    ) -> Result<(), ExitReason> {
        let now = now();
        if child.budget(&self.restarts).refuses(due) {
            return self.refuse(pid, child, reason, now);
        }
        let delay = due.saturating_duration_since(now);
        self.reports.delayed(&child.spec, Some(pid), delay);
        self.keep(pid, child, reason, Until::Due(due));
        Ok(())
    }

    /// There is nothing left in the budget.
    fn refuse(
        &mut self,
        pid: Pid,
        child: Child,
        reason: ExitReason,
        now: Instant,
    ) -> Result<(), ExitReason> {
        let why = GaveUp {
            id: child.spec.id().clone(),
            reason: reason.clone(),
            restarts: child.restarts,
            intensity: child.budget(&self.restarts).intensity(),
        };
        let until = match child.spec.get_when_spent() {
            WhenSpent::GiveUp => {
                #[cfg(feature = "sim")]
                audit::note(Deed::GivesUp((!child.has_budget()).then_some(now)));
                self.reports.gave_up(&why, &child.spec, Some(pid));
                return Err(ExitReason::shutdown_with(why));
            }
            WhenSpent::Park => None,
            WhenSpent::ParkFor(time) => Some(later(now, time)),
        };
        self.reports.parked(&why, &child.spec, Some(pid));
        self.keep(pid, child, reason, Until::Parked(until));
        Ok(())
    }

    /// Restarts a child that waits or is parked, now and without counting.
    async fn restart_child(
        &mut self,
        pid: Pid,
        reply: Reply<Result<Started, RestartDynamicChildError>>,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let (mut child, _) = match self.take_to_restart(pid) {
            Ok(taken) => taken,
            Err(error) => {
                reply.send(Err(error));
                return Ok(());
            }
        };
        child.renew();
        let started = self.start_again(pid, child, Origin::Caller, ctx).await?;
        reply.send(started.map_err(RestartDynamicChildError::Failed));
        Ok(())
    }

    /// Takes a child out that waits or is parked.
    fn take_to_restart(
        &mut self,
        pid: Pid,
    ) -> Result<(Child, ExitReason), RestartDynamicChildError> {
        match self.children.get(&pid).map(Child::until) {
            Some(Some(Until::Due(_) | Until::Parked(_))) => self
                .take_down(pid)
                .ok_or(RestartDynamicChildError::NotFound(pid)),
            Some(Some(Until::Retry)) => Err(RestartDynamicChildError::Restarting(pid)),
            Some(None) => Err(RestartDynamicChildError::Running(pid)),
            None => Err(RestartDynamicChildError::NotFound(pid)),
        }
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
            let left = |due: Instant| due.saturating_duration_since(now());
            let status = match child.until() {
                None => ChildStatus::Running(*pid),
                Some(Until::Retry) => ChildStatus::Restarting,
                Some(Until::Due(due)) => ChildStatus::Waiting(left(due)),
                Some(Until::Parked(due)) => ChildStatus::Parked(due.map(left)),
            };
            ChildInfo {
                restarts: child.restarts,
                last_exit: child.reason().cloned(),
                ..ChildInfo::new(&child.spec, status)
            }
        };
        self.in_order().into_iter().map(info).collect()
    }

    async fn count_children(&self) -> ChildCount {
        let pids = self.in_order().into_iter().map(|(pid, _)| *pid);
        let gone = unnoticed_dead(pids.collect()).await;
        ChildCount::of(self.children.iter().map(|(pid, child)| match &child.state {
            ChildState::Running if !gone.contains(pid) => (&child.spec, Life::Alive),
            ChildState::Running | ChildState::Down(_) => (&child.spec, Life::Down),
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
