//! The static supervisor: the process around the [policy](crate::policy).

use std::fmt;
use std::time::{Duration, Instant};

use resurgam_runtime::{
    CallError, Exit, ExitReason, GenServer, Info, InitError, Name, Node, Pid, Reply, ServerContext,
    StartError, note_restart, now, trap_exit,
};

#[cfg(feature = "sim")]
use crate::audit::{self, Deed};
use crate::child_spec::{ChildId, ChildSpec, Shutdown, SpecError};
use crate::children::record::Moment;
use crate::children::{Child, ChildState, Children, Rank, Ticket};
use crate::info::{ChildCount, ChildInfo, ChildStatus, Life};
use crate::intensity::RestartIntensity;
use crate::needs::{Pace, check_circles, check_needs};
use crate::policy::{AutoShutdown, Event, Policy, Step, Strategy, is_reported};
use crate::report::{Origin, Reports};
use crate::shutdown::{Alarm, LastStops, is_dead, is_proper_end, stop_child, unnoticed_dead};
use crate::start::Started;

mod together;

/// Why `start_child` of a static supervisor started nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartChildError {
    /// The spec cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child of this id runs, or the start function found that what it was
    /// to start runs already.
    #[error("child is started already, as {0}")]
    AlreadyStarted(Pid),
    /// A child of this id exists but does not run: use `restart_child`, or
    /// `delete_child` first.
    #[error("child {0:?} exists but does not run; restart or delete it")]
    AlreadyPresent(ChildId),
    /// The child did not start. Its spec was dropped again.
    #[error("child {id:?} did not start: {error}")]
    Failed {
        /// Which child it was.
        id: ChildId,
        /// What its start function said.
        error: StartError,
    },
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why `terminate_child` of a static supervisor stopped nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminateChildError {
    /// There is no child of this id.
    #[error("there is no child {0:?}")]
    NotFound(ChildId),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why `restart_child` started nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartChildError {
    /// There is no child of this id.
    #[error("there is no child {0:?}")]
    NotFound(ChildId),
    /// The child runs.
    #[error("child {0:?} runs; stop it first")]
    Running(ChildId),
    /// The supervisor is about to restart the child.
    #[error("child {0:?} is being restarted; stop it first")]
    Restarting(ChildId),
    /// The child did not start. Its spec is kept.
    #[error("child did not start: {0}")]
    Failed(StartError),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why `delete_child` deleted nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteChildError {
    /// There is no child of this id.
    #[error("there is no child {0:?}")]
    NotFound(ChildId),
    /// The child runs.
    #[error("child {0:?} runs; stop it first")]
    Running(ChildId),
    /// The supervisor is about to restart the child.
    #[error("child {0:?} is being restarted; stop it first")]
    Restarting(ChildId),
    /// The second child needs the first.
    #[error("child {0:?} is needed by {1:?}; delete that one first")]
    Needed(ChildId, ChildId),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// Why nothing can be told about a child.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindChildError {
    /// There is no child of this id.
    #[error("there is no child {0:?}")]
    NotFound(ChildId),
    /// The supervisor did not answer.
    #[error("supervisor did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// What a supervisor can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    StartChild(ChildSpec, Reply<Result<Started, StartChildError>>),
    TerminateChild(ChildId, Reply<Result<(), TerminateChildError>>),
    RestartChild(ChildId, Reply<Result<Started, RestartChildError>>),
    DeleteChild(ChildId, Reply<Result<(), DeleteChildError>>),
    WhichChildren(Reply<Vec<ChildInfo>>),
    WhichChild(ChildId, Reply<Result<ChildInfo, FindChildError>>),
    CountChildren(Reply<ChildCount>),
    GetChildSpec(ChildId, Reply<Result<ChildSpec, FindChildError>>),
    /// The supervisor to itself: a restart that failed is to be tried again.
    Retry(Ticket),
    Stop(ExitReason),
}

/// What a supervisor starts with. The ids of the children differ.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: Option<Name>,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: RestartIntensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) pace: Pace,
    pub(crate) stop_within: Option<Duration>,
    pub(crate) children: Vec<ChildSpec>,
}

/// The process: it performs what the policy says and tells it what came of it.
#[derive(Debug)]
pub(crate) struct Shell {
    policy: Policy,
    reports: Reports,
    /// Of one that may take no longer than that to stop its children.
    last_stops: Option<Box<LastStops>>,
}

impl GenServer for Shell {
    type Args = Setup;
    type Message = Request;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        #[cfg(feature = "sim")]
        audit::note(Deed::Supervises(
            setup.strategy,
            setup.intensity,
            setup.pace,
        ));
        let mut children = Children::default();
        for spec in setup.children {
            append(&mut children, spec);
        }
        let policy = Policy::new(setup.strategy, setup.intensity, children)
            .with_auto_shutdown(setup.auto_shutdown)
            .with_pace(setup.pace);
        let mut shell = Self {
            policy,
            reports: Reports::new(setup.name.as_ref(), ctx.pid()),
            last_stops: setup.stop_within.map(LastStops::within),
        };
        shell
            .carry_out(Event::Begin, ctx)
            .await
            .map_err(InitError::Stop)?;
        Ok(shell)
    }

    async fn handle(
        &mut self,
        request: Request,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.serve(request, ctx).await?;
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
            let children = self.policy.children();
            f.debug_struct("Supervisor")
                .field("strategy", &self.policy.strategy())
                .field("children", &children.iter().count())
                .field("running", &children.iter().filter_map(Child::pid).count())
                .finish()
        })
    }

    fn format_message(request: &Request) -> impl fmt::Debug {
        request
    }

    async fn terminate(&mut self, _reason: &ExitReason, ctx: &mut ServerContext<Self>) {
        // Stopping the children cannot fail: the only other outcomes are those
        // of restarts and first starts.
        let _ = self.carry_out(Event::End, ctx).await;
        #[cfg(feature = "sim")]
        audit::note(Deed::Ends);
    }
}

impl Shell {
    async fn serve(
        &mut self,
        request: Request,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::StartChild(spec, reply) => reply.send(self.start_child(spec).await),
            Request::TerminateChild(id, reply) => reply.send(self.terminate_child(id).await),
            Request::RestartChild(id, reply) => return self.restart_child(id, reply, ctx).await,
            Request::DeleteChild(id, reply) => reply.send(self.delete_child(id)),
            Request::WhichChildren(reply) => reply.send(self.which_children()),
            Request::WhichChild(id, reply) => reply.send(self.find(id).map(info_of)),
            Request::CountChildren(reply) => reply.send(self.count_children().await),
            Request::GetChildSpec(id, reply) => {
                reply.send(self.find(id).map(|child| child.spec.clone()));
            }
            Request::Stop(reason) => return Err(reason),
            Request::Retry(ticket) => {
                return self
                    .carry_out(Event::Retry { ticket, now: now() }, ctx)
                    .await;
            }
        }
        Ok(())
    }

    /// Restarts a child whose time has come, at most one, so that whoever
    /// waits is served in between; and sees to it that the next is not missed.
    async fn attend(&mut self, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        let Some((due, rank)) = self.policy.children().next_due() else {
            return Ok(());
        };
        if due <= now() {
            let event = Event::Due { rank, now: now() };
            // Boxed, so that who never waits does not carry it.
            Box::pin(self.carry_out(event, ctx)).await?;
        }
        if let Some((due, _)) = self.policy.children().next_due() {
            ctx.set_timeout(due.saturating_duration_since(now()));
        }
        Ok(())
    }

    /// Follows the policy until it has nothing more to do. The error is the
    /// reason with which the supervisor is to end.
    async fn carry_out(
        &mut self,
        event: Event,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        #[cfg(feature = "sim")]
        audit::note(Deed::Follows(&event));
        if self.policy.pace() == Pace::SideBySide {
            return Box::pin(self.carry_out_together(event, ctx)).await;
        }
        let mut step = self.policy.next(event);
        loop {
            #[cfg(feature = "sim")]
            audit::note(Deed::Takes(&step));
            let event = match step {
                Step::Start(rank) => self.start(rank).await,
                Step::Stop(rank) => {
                    // Boxed, so that who starts without stopping does not carry
                    // it; once for all that are stopped in a row.
                    step = Box::pin(self.stop_in_row(rank)).await;
                    continue;
                }
                step => return self.conclude(step, ctx),
            };
            step = self.policy.next(event);
        }
    }

    /// Takes a step that nothing is told of.
    fn conclude(&mut self, step: Step, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match step {
            // A start and a stop are carried out where they are waited for.
            Step::Wait | Step::Start(_) | Step::Stop(_) | Step::Await => Ok(()),
            Step::Retry(ticket) => {
                ctx.self_ref().cast(Request::Retry(ticket));
                Ok(())
            }
            Step::Delay(rank, due) => {
                let delay = due.saturating_duration_since(now());
                let Child { spec, last, .. } = self.child(rank);
                self.reports.delayed(spec, *last, delay);
                Ok(())
            }
            Step::Park(rank) => {
                let why = self.policy.gave_up(rank);
                let Child { spec, last, .. } = self.child(rank);
                self.reports.parked(&why, spec, *last);
                Ok(())
            }
            Step::GiveUp(rank) => Err(self.give_up(rank)),
            Step::ShutDown => Err(ExitReason::Shutdown),
            Step::Abort(failure) => Err(ExitReason::shutdown_with(failure)),
        }
    }

    async fn start(&self, rank: Rank) -> Event {
        let result = self.child(rank).spec.start().await;
        self.started(rank, result)
    }

    /// What a start of the supervisor's own has come to.
    fn started(&self, rank: Rank, result: Result<Started, StartError>) -> Event {
        match result {
            Ok(started) => match self.took_up(rank, &started, Origin::Supervisor) {
                Some(pid) => {
                    if let Some(old) = self.child(rank).last {
                        note_restart(old, pid);
                    }
                    Event::Started(rank, pid)
                }
                None => Event::Ignored(rank),
            },
            Err(error) => {
                self.reports.start_error(&self.child(rank).spec, &error);
                Event::Failed(rank, error, self.moment(rank))
            }
        }
    }

    /// The process of a child that has started, if there is one.
    fn took_up(&self, rank: Rank, started: &Started, origin: Origin) -> Option<Pid> {
        let pid = started.pid()?;
        #[cfg(feature = "sim")]
        audit::note(Deed::Started(rank, pid));
        self.reports.progress(origin, &self.child(rank).spec, pid);
        Some(pid)
    }

    /// Stops this child, and those that the policy names after it; the step
    /// that comes then.
    async fn stop_in_row(&mut self, first: Rank) -> Step {
        let (mut rank, mut alarm) = (first, Alarm::default());
        loop {
            let stopped = self.stop(rank, &mut alarm).await;
            let step = self.policy.next(stopped);
            let Step::Stop(next) = step else {
                return step;
            };
            #[cfg(feature = "sim")]
            audit::note(Deed::Takes(&step));
            rank = next;
        }
    }

    async fn stop(&mut self, rank: Rank, alarm: &mut Alarm) -> Event {
        let ended = match self.stop_of(rank) {
            Some((pid, shutdown)) => Some((pid, stop_child(pid, shutdown, alarm).await)),
            None => None,
        };
        self.stopped(rank, ended)
    }

    /// Who runs as this child, and how it is stopped now: as its spec says, and
    /// within the time that is left, if the supervisor ends and has one.
    fn stop_of(&mut self, rank: Rank) -> Option<(Pid, Shutdown)> {
        let child = self.child(rank);
        let (pid, shutdown) = (child.pid()?, child.spec.get_shutdown());
        let shutdown = match &mut self.last_stops {
            Some(last_stops) if self.policy.is_ending() => last_stops.cap(shutdown, now()),
            Some(_) | None => shutdown,
        };
        Some((pid, shutdown))
    }

    /// What a stop has come to; it says as whom the child ran, and why it ended.
    fn stopped(&self, rank: Rank, ended: Option<(Pid, ExitReason)>) -> Event {
        let spec = &self.child(rank).spec;
        if let Some((pid, reason)) = ended
            && !is_proper_end(spec.get_shutdown(), spec.get_restart(), &reason)
        {
            self.reports.shutdown_error(spec, pid, &reason);
        }
        Event::Stopped(rank)
    }

    fn give_up(&self, rank: Rank) -> ExitReason {
        let Child { spec, last, .. } = self.child(rank);
        let why = self.policy.gave_up(rank);
        self.reports.gave_up(&why, spec, *last);
        ExitReason::shutdown_with(why)
    }

    /// The time, and a random number if what happens to the child needs one.
    fn moment(&self, rank: Rank) -> Moment {
        let backoff = self.child(rank).spec.get_backoff();
        let is_random = backoff.is_some_and(|backoff| backoff.is_random());
        Moment {
            now: now(),
            random: if is_random {
                Node::current().random()
            } else {
                0
            },
        }
    }

    /// An exit signal came: of a child, or of a stranger, whose fate is none
    /// of our business. The parent's never comes here; it ends the server.
    async fn exited(
        &mut self,
        exit: Exit,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Exit { from: pid, reason } = exit;
        let Some((rank, child)) = self.policy.children().find_pid(pid) else {
            return Ok(());
        };
        if !is_dead(pid).await {
            self.reports.exit_of_living(&child.spec, pid, &reason);
            return Ok(());
        }
        if is_reported(child.spec.get_restart(), &reason) {
            self.reports.child_terminated(&child.spec, pid, &reason);
        }
        let at = self.moment(rank);
        self.carry_out(Event::Exited { pid, reason, at }, ctx).await
    }

    async fn start_child(&mut self, spec: ChildSpec) -> Result<Started, StartChildError> {
        spec.check_for(self.policy.auto_shutdown(), self.policy.pace())?;
        let id = spec.id().clone();
        if let Some((_, child)) = self.policy.children().find(&id) {
            return Err(match child.state {
                ChildState::Running(pid) => StartChildError::AlreadyStarted(pid),
                ChildState::Restarting(_)
                | ChildState::Waiting(_)
                | ChildState::Parked(_)
                | ChildState::Stopped => StartChildError::AlreadyPresent(id),
            });
        }
        self.check_needs(&spec)?;
        let rank = append(self.policy.children_mut(), spec);
        let result = self.start_for_caller(rank).await;
        result.map_err(|error| {
            self.policy.children_mut().remove(rank);
            match error {
                StartError::AlreadyStarted(pid) => StartChildError::AlreadyStarted(pid),
                error => StartChildError::Failed { id, error },
            }
        })
    }

    /// Whether this one can have what it needs of those that are there.
    fn check_needs(&self, spec: &ChildSpec) -> Result<(), SpecError> {
        if spec.get_after().is_empty() {
            return Ok(());
        }
        // Nobody needs the new one yet, so it alone can be the circle.
        check_circles([spec].into_iter())?;
        check_needs(spec, |id| Some(&self.policy.children().find(id)?.1.spec))
    }

    async fn terminate_child(&mut self, id: ChildId) -> Result<(), TerminateChildError> {
        let Some((rank, _)) = self.policy.children().find(&id) else {
            return Err(TerminateChildError::NotFound(id));
        };
        // One that waits for its restart is called off by this as well.
        let _ = self.stop(rank, &mut Alarm::default()).await;
        self.policy.children_mut().stopped(rank);
        Ok(())
    }

    async fn restart_child(
        &mut self,
        id: ChildId,
        reply: Reply<Result<Started, RestartChildError>>,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Some((rank, child)) = self.policy.children().find(&id) else {
            reply.send(Err(RestartChildError::NotFound(id)));
            return Ok(());
        };
        let answer = match child.state {
            ChildState::Running(_) => Err(RestartChildError::Running(id)),
            ChildState::Restarting(_) => Err(RestartChildError::Restarting(id)),
            ChildState::Waiting(_) | ChildState::Parked(_) => {
                return Box::pin(self.restart_now(rank, reply, ctx)).await;
            }
            ChildState::Stopped => {
                let started = self.start_for_caller(rank).await;
                started.map_err(RestartChildError::Failed)
            }
        };
        reply.send(answer);
        Ok(())
    }

    /// Restarts a child that waits or is parked, with those that would be
    /// restarted along with it (law XSUP-15).
    async fn restart_now(
        &mut self,
        rank: Rank,
        reply: Reply<Result<Started, RestartChildError>>,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let done = self.carry_out(Event::Restart(rank), ctx).await;
        let child = self.child(rank);
        reply.send(match child.state {
            ChildState::Running(pid) => Ok(Started::new(pid)),
            ChildState::Stopped if done.is_ok() => Ok(Started::ignore()),
            ChildState::Restarting(_)
            | ChildState::Waiting(_)
            | ChildState::Parked(_)
            | ChildState::Stopped => {
                let reason = child.last_exit.clone().unwrap_or(ExitReason::NoProcess);
                Err(RestartChildError::Failed(StartError::Failed(reason)))
            }
        });
        done
    }

    async fn start_for_caller(&mut self, rank: Rank) -> Result<Started, StartError> {
        let started = self.child(rank).spec.start().await?;
        let pid = self.took_up(rank, &started, Origin::Caller);
        self.policy.children_mut().renew(rank);
        match pid {
            Some(pid) => self.policy.children_mut().started(rank, pid),
            None => self.policy.children_mut().stopped(rank),
        }
        Ok(started)
    }

    fn delete_child(&mut self, id: ChildId) -> Result<(), DeleteChildError> {
        let Some((rank, child)) = self.policy.children().find(&id) else {
            return Err(DeleteChildError::NotFound(id));
        };
        match child.state {
            ChildState::Running(_) => Err(DeleteChildError::Running(id)),
            ChildState::Restarting(_) | ChildState::Waiting(_) => {
                Err(DeleteChildError::Restarting(id))
            }
            ChildState::Parked(_) | ChildState::Stopped => {
                if let Some(needer) = self.who_needs(&id) {
                    return Err(DeleteChildError::Needed(id, needer));
                }
                self.policy.children_mut().remove(rank);
                Ok(())
            }
        }
    }

    /// A child that needs this one.
    fn who_needs(&self, id: &ChildId) -> Option<ChildId> {
        if self.policy.pace() == Pace::InTurn {
            return None;
        }
        let mut specs = self.policy.children().iter().map(|child| &child.spec);
        let needer = specs.find(|spec| spec.get_after().contains(id))?;
        Some(needer.id().clone())
    }

    /// Newest first, as OTP lists them.
    fn which_children(&self) -> Vec<ChildInfo> {
        self.policy.children().iter().rev().map(info_of).collect()
    }

    async fn count_children(&self) -> ChildCount {
        let children = self.policy.children();
        let running = children.iter().filter_map(Child::pid);
        let gone = unnoticed_dead(running.collect()).await;
        ChildCount::of(children.iter().map(|child| match child.state {
            ChildState::Running(pid) if !gone.contains(&pid) => (&child.spec, Life::Alive),
            ChildState::Running(_)
            | ChildState::Restarting(_)
            | ChildState::Waiting(_)
            | ChildState::Parked(_)
            | ChildState::Stopped => (&child.spec, Life::Down),
        }))
    }

    fn find(&self, id: ChildId) -> Result<&Child, FindChildError> {
        match self.policy.children().find(&id) {
            Some((_, child)) => Ok(child),
            None => Err(FindChildError::NotFound(id)),
        }
    }

    fn child(&self, rank: Rank) -> &Child {
        self.policy
            .children()
            .get(rank)
            .expect("the policy speaks of children it has")
    }
}

fn append(children: &mut Children, spec: ChildSpec) -> Rank {
    let rank = children.append(spec);
    #[cfg(feature = "sim")]
    if let Some(child) = children.get(rank) {
        audit::note(Deed::Adds(rank, &child.spec));
    }
    rank
}

fn info_of(child: &Child) -> ChildInfo {
    let left = |due: Instant| due.saturating_duration_since(now());
    let status = match child.state {
        ChildState::Running(pid) => ChildStatus::Running(pid),
        ChildState::Restarting(_) => ChildStatus::Restarting,
        ChildState::Waiting(due) => ChildStatus::Waiting(left(due)),
        ChildState::Parked(due) => ChildStatus::Parked(due.map(left)),
        ChildState::Stopped => ChildStatus::Stopped,
    };
    ChildInfo {
        restarts: child.restarts,
        last_exit: child.last_exit.clone(),
        ..ChildInfo::new(&child.spec, status)
    }
}
