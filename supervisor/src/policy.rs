//! What a static supervisor does next.
//!
//! Pure: an [`Event`] goes in, one [`Step`] comes out; the shell performs the
//! step and reports what came of it as the next event, until it is told to
//! wait. No clock, no process, no I/O.

use std::fmt;
use std::time::{Duration, Instant};

use resurgam_runtime::planted;
use resurgam_runtime::{ExitReason, Pid, StartError};

use crate::care::WhenSpent;
use crate::child_spec::{ChildId, Restart};
use crate::children::record::{Moment, Record, Setback};
use crate::children::{Child, ChildState, Children, Rank, Scope, Ticket};
use crate::gave_up::GaveUp;
use crate::intensity::{Attempt, RestartIntensity, RestartLog};
use crate::needs::Pace;
use together::Together;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod together;

/// Which children are restarted together.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the child that ended.
    #[default]
    OneForOne,
    /// All of them: the others are stopped in reverse start order, then all
    /// are started in order.
    OneForAll,
    /// The child that ended and those started after it: the later ones are
    /// stopped in reverse start order, then it and they are started in order.
    ///
    /// In a [concurrent](crate::SupervisorBuilder::concurrent) supervisor: the
    /// child that ended and those that need it, by way of others or not.
    RestForOne,
}

/// Whether a supervisor ends when its [significant
/// children](crate::ChildSpec::significant) have done their work.
///
/// A child *ends* here if it is not restarted: a transient one gracefully, a
/// temporary one for any reason. What [`terminate_child`] or a group restart
/// stops does not count as an end.
///
/// [`terminate_child`]: crate::SupervisorRef::terminate_child
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not; there may be no significant children.
    #[default]
    Never,
    /// It does when any of them ends.
    AnySignificant,
    /// It does when one of them ends and no other runs or waits for its
    /// restart.
    AllSignificant,
}

/// A child could not be started when its supervisor was, so that the
/// supervisor stopped again. It is the term of the supervisor's exit reason.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedToStartChild {
    /// Which child it was.
    pub id: ChildId,
    /// What its start function said.
    pub error: StartError,
}

impl fmt::Display for FailedToStartChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to start child {:?}: {}", self.id, self.error)
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The supervisor begins: start every child.
    Begin,
    /// The supervisor ends: stop every child.
    End,
    /// An exit signal came from this pid.
    Exited {
        pid: Pid,
        reason: ExitReason,
        at: Moment,
    },
    /// The ticket of an earlier `Step::Retry` is presented.
    Retry { ticket: Ticket, now: Instant },
    /// The time of this child has come, if it is still waiting.
    Due { rank: Rank, now: Instant },
    /// Somebody wants this child, which waits or is parked, restarted now.
    Restart(Rank),
    /// The child that was to be started runs.
    Started(Rank, Pid),
    /// The child that was to be started said `ignore`.
    Ignored(Rank),
    /// The child that was to be started did not.
    Failed(Rank, StartError, Moment),
    /// The child that was to be stopped is dead.
    Stopped(Rank),
    /// Of a concurrent one: what the step said is done, or under way.
    GoOn,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a dropped step leaves children neither stopped nor started"]
pub(crate) enum Step {
    /// Nothing: serve the next message.
    Wait,
    /// Start this child, and say how it went.
    Start(Rank),
    /// Stop this child, and say when it is dead.
    Stop(Rank),
    /// Of a concurrent one, where `Start` and `Stop` begin what is then under
    /// way: say what becomes of the first of those that are.
    Await,
    /// Send yourself the ticket, so that whoever waits is served first, and
    /// present it when it comes round.
    Retry(Ticket),
    /// This child is down until this time, and those with it that are to be
    /// restarted along with it. Say when the time has come.
    Delay(Rank, Instant),
    /// This child is down and stays so, or is due at some time.
    Park(Rank),
    /// There were too many restarts, this child's being one too many: end.
    GiveUp(Rank),
    /// The significant children have ended: end.
    ShutDown,
    /// The first start failed and every child is down again: end.
    Abort(FailedToStartChild),
}

/// What the end of a child calls for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again.
    Restart,
    /// Leave it down and keep its spec.
    Keep,
    /// Forget it.
    Forget,
}

/// Laws SUP-30 to SUP-34.
pub(crate) fn judge(restart: Restart, reason: &ExitReason) -> Verdict {
    match (restart, reason.is_graceful()) {
        (Restart::Transient, true) if planted!(TransientAlwaysRestarted) => Verdict::Restart,
        (Restart::Temporary, _) if planted!(TemporaryRestarted) => Verdict::Restart,
        (Restart::Permanent, _) => Verdict::Restart,
        (Restart::Transient, false) => Verdict::Restart,
        (Restart::Transient, true) => Verdict::Keep,
        (Restart::Temporary, _) => Verdict::Forget,
    }
}

/// Whether the end of a child is worth a report (law LOG-04).
pub(crate) fn is_reported(restart: Restart, reason: &ExitReason) -> bool {
    match restart {
        Restart::Permanent => true,
        Restart::Transient | Restart::Temporary => reason.is_abnormal(),
    }
}

/// The brain of a static supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    children: Children,
    restarts: RestartLog,
    plan: Plan,
    /// What a concurrent one has in its plan's place.
    together: Option<Box<Together>>,
}

/// What is still to be done before the next message is served.
#[derive(Clone, Debug, Default)]
enum Plan {
    /// Nothing.
    #[default]
    Rest,
    /// Stop what runs in the scope, from its end backwards; then go on.
    Stopping(Scope, Then),
    /// Start everything in the scope, in order.
    Starting(Scope, Occasion),
}

/// What follows when all is stopped.
#[derive(Clone, Debug)]
enum Then {
    /// Of this child, and of those that go along with it.
    Restart(Rank),
    Delay(Rank, Instant),
    Park(Rank, Option<Instant>),
    Abort(FailedToStartChild),
    Rest,
}

/// Why children are being started.
#[derive(Copy, Clone, Debug)]
enum Occasion {
    Begin,
    Restart,
}

impl Policy {
    /// The ids of `children` must differ.
    pub(crate) fn strategy(&self) -> Strategy {
        self.strategy
    }

    pub(crate) fn new(strategy: Strategy, intensity: RestartIntensity, children: Children) -> Self {
        let restarts = RestartLog::new(intensity);
        Self {
            strategy,
            auto_shutdown: AutoShutdown::Never,
            children,
            restarts,
            plan: Plan::Rest,
            together: None,
        }
    }

    /// The same, which shuts down by itself so.
    pub(crate) fn with_auto_shutdown(self, auto_shutdown: AutoShutdown) -> Self {
        Self {
            auto_shutdown,
            ..self
        }
    }

    /// The same, which starts and stops its children so.
    pub(crate) fn with_pace(self, pace: Pace) -> Self {
        let together = match pace {
            Pace::InTurn => None,
            Pace::SideBySide => Some(Box::default()),
        };
        Self { together, ..self }
    }

    pub(crate) fn auto_shutdown(&self) -> AutoShutdown {
        self.auto_shutdown
    }

    pub(crate) fn pace(&self) -> Pace {
        match self.together {
            None => Pace::InTurn,
            Some(_) => Pace::SideBySide,
        }
    }

    /// Whether what is being stopped is stopped since the supervisor ends.
    pub(crate) fn is_ending(&self) -> bool {
        let then = match (&self.together, &self.plan) {
            (Some(together), _) => together.then(),
            (None, Plan::Stopping(_, then)) => Some(then),
            (None, Plan::Rest | Plan::Starting(..)) => None,
        };
        matches!(then, Some(Then::Rest | Then::Abort(_)))
    }

    pub(crate) fn children(&self) -> &Children {
        &self.children
    }

    /// For what users ask of single children, which is no matter of policy:
    /// it never counts as a restart and never touches a sibling.
    pub(crate) fn children_mut(&mut self) -> &mut Children {
        &mut self.children
    }

    pub(crate) fn next(&mut self, event: Event) -> Step {
        match event {
            Event::Begin => self.begin(),
            Event::End if planted!(OrphanLeft) => {
                let first = self.children.first_in(Scope::ALL).map(|(rank, _)| rank);
                let scope = first.map_or(Scope::ALL, |first| Scope::ALL.after(first));
                self.stop_next(scope, Then::Rest)
            }
            Event::End => self.stop_all(Then::Rest),
            Event::Exited { pid, reason, at } => self.exited(pid, reason, at),
            Event::Retry { ticket, now } => self.retry(ticket, now),
            Event::Due { rank, now } => self.due(rank, now),
            Event::Restart(rank) => {
                self.children.renew(rank);
                self.stop_group(rank, Then::Restart(rank))
            }
            Event::Started(rank, pid) => {
                self.children.restarted(rank, pid);
                self.proceed(rank)
            }
            Event::Ignored(rank) | Event::Stopped(rank) => {
                self.children.stopped(rank);
                self.proceed(rank)
            }
            Event::Failed(rank, error, at) => self.failed(rank, error, at),
            Event::GoOn => self.go_on(),
        }
    }

    /// A child ended by itself. A stranger's exit is none of our business.
    fn exited(&mut self, pid: Pid, reason: ExitReason, at: Moment) -> Step {
        let Some((rank, child)) = self.children.find_pid(pid) else {
            return Step::Wait;
        };
        let verdict = judge(child.spec.get_restart(), &reason);
        let is_significant = child.spec.is_significant();
        self.children.fell(rank, reason);
        match verdict {
            Verdict::Restart => self.restart(rank, Setback::Fell, at),
            Verdict::Keep | Verdict::Forget if is_significant && self.has_done_its_work() => {
                Step::ShutDown
            }
            Verdict::Keep | Verdict::Forget => Step::Wait,
        }
    }

    /// Whether the end of a significant child is the end of all (laws SUP-130
    /// to SUP-134).
    fn has_done_its_work(&self) -> bool {
        match self.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self
                .children
                .iter()
                .any(|child| child.spec.is_significant() && child.state != ChildState::Stopped),
        }
    }

    /// A ticket counts only while its child still waits with it: whoever
    /// stopped, deleted or started the child meanwhile has cancelled it.
    fn retry(&mut self, ticket: Ticket, now: Instant) -> Step {
        match self.children.find_ticket(ticket) {
            Some(rank) => self.attempt(rank, now),
            None => Step::Wait,
        }
    }

    /// As [`retry`](Self::retry), of a child that waits for a time.
    fn due(&mut self, rank: Rank, now: Instant) -> Step {
        match self.children.get(rank).map(|child| child.state) {
            Some(ChildState::Waiting(due) | ChildState::Parked(Some(due))) if due <= now => {
                self.attempt(rank, now)
            }
            Some(_) | None => Step::Wait,
        }
    }

    /// A child is down: it is restarted at once, or after a delay (laws XSUP-02
    /// to XSUP-05).
    fn restart(&mut self, rank: Rank, setback: Setback, at: Moment) -> Step {
        let record = self.children.record_mut(rank);
        match record.and_then(|record| record.delay(setback, at)) {
            Some(delay) => self.put_off(rank, later(at.now, delay), at.now),
            None => match setback {
                Setback::Fell => self.attempt(rank, at.now),
                Setback::NotStarted => Step::Retry(self.children.restarting(rank)),
            },
        }
    }

    /// Nobody is kept waiting for an attempt that is bound to be refused (law
    /// XSUP-08).
    fn put_off(&mut self, rank: Rank, due: Instant, now: Instant) -> Step {
        if self.budget_of(rank).refuses(due) {
            return self.refuse(rank, now);
        }
        self.stop_group(rank, Then::Delay(rank, due))
    }

    /// One restart, however many children it takes along, is one attempt.
    fn attempt(&mut self, rank: Rank, now: Instant) -> Step {
        match self.record(rank, now) {
            Attempt::Refused => self.refuse(rank, now),
            Attempt::Allowed => {
                if planted!(SiblingsNotStopped) {
                    return self.start_next(self.scope_of(rank), Occasion::Restart);
                }
                self.stop_group(rank, Then::Restart(rank))
            }
        }
    }

    /// Counts an attempt, in the budget of the child's own if it has one (law
    /// XSUP-10).
    fn record(&mut self, rank: Rank, now: Instant) -> Attempt {
        let Some(record) = self.children.record_mut(rank) else {
            return self.restarts.record(now);
        };
        record.attempted(now);
        match record.restarts_mut() {
            Some(own) => own.record(now),
            None => self.restarts.record(now),
        }
    }

    fn budget_of(&self, rank: Rank) -> &RestartLog {
        let record = self.children.get(rank).and_then(Child::record);
        record.and_then(Record::restarts).unwrap_or(&self.restarts)
    }

    /// There is nothing left in the budget (laws XSUP-11 to XSUP-14).
    fn refuse(&mut self, rank: Rank, now: Instant) -> Step {
        let record = self.children.get(rank).and_then(Child::record);
        let until = match record.map_or(WhenSpent::GiveUp, Record::when_spent) {
            WhenSpent::GiveUp => return Step::GiveUp(rank),
            WhenSpent::Park => None,
            WhenSpent::ParkFor(time) => Some(later(now, time)),
        };
        self.stop_group(rank, Then::Park(rank, until))
    }

    /// Why the supervisor gives up on this child.
    pub(crate) fn gave_up(&self, rank: Rank) -> GaveUp {
        let child = self.children.get(rank);
        let child = child.expect("the policy speaks of children it has");
        GaveUp {
            id: child.spec.id().clone(),
            reason: child.last_exit.clone().unwrap_or(ExitReason::NoProcess),
            restarts: child.restarts,
            intensity: self.budget_of(rank).intensity(),
        }
    }

    fn scope_of(&self, rank: Rank) -> Scope {
        match self.strategy {
            Strategy::OneForOne => Scope::only(rank),
            Strategy::OneForAll => Scope::ALL,
            Strategy::RestForOne if planted!(RestForOneTakesOlder) => Scope::ALL,
            Strategy::RestForOne => Scope::from(rank),
        }
    }

    fn failed(&mut self, rank: Rank, error: StartError, at: Moment) -> Step {
        if let Some(together) = &mut self.together {
            self.children.blame(rank, reason_of(error.clone()));
            together.failed((rank, error, at), self.strategy);
            return self.go_on();
        }
        match std::mem::take(&mut self.plan) {
            Plan::Starting(_, Occasion::Begin) => self.abort(rank, error),
            // The ones after it stay down until it is tried again.
            Plan::Starting(_, Occasion::Restart) if planted!(RetryForgotten) => Step::Wait,
            Plan::Starting(_, Occasion::Restart) => {
                self.children.blame(rank, reason_of(error));
                self.restart(rank, Setback::NotStarted, at)
            }
            Plan::Rest | Plan::Stopping(..) => Step::Wait,
        }
    }

    fn abort(&mut self, rank: Rank, error: StartError) -> Step {
        let Some(child) = self.children.get(rank) else {
            return Step::Wait;
        };
        let failure = FailedToStartChild {
            id: child.spec.id().clone(),
            error,
        };
        self.stop_all(Then::Abort(failure))
    }

    /// What was to be done with this child is done.
    fn proceed(&mut self, rank: Rank) -> Step {
        if let Some(together) = &mut self.together {
            together.done(rank);
            return self.go_on();
        }
        match std::mem::take(&mut self.plan) {
            Plan::Rest => Step::Wait,
            Plan::Stopping(scope, then) => self.stop_next(scope, then),
            Plan::Starting(scope, occasion) => self.start_next(scope, occasion),
        }
    }

    fn begin(&mut self) -> Step {
        match self.pace() {
            Pace::InTurn => self.start_next(Scope::ALL, Occasion::Begin),
            Pace::SideBySide => self.start_together(self.everybody(), Occasion::Begin),
        }
    }

    fn stop_all(&mut self, then: Then) -> Step {
        match self.pace() {
            Pace::InTurn => self.stop_next(Scope::ALL, then),
            Pace::SideBySide => self.stop_together(self.everybody(), then),
        }
    }

    /// Stops those that go along with this child, and it.
    fn stop_group(&mut self, rank: Rank, then: Then) -> Step {
        match self.pace() {
            Pace::InTurn => self.stop_next(self.scope_of(rank), then),
            Pace::SideBySide => self.stop_together(self.group_of(rank), then),
        }
    }

    /// The last child of the scope, what it does, and the scope before it.
    fn next_to_stop(&self, scope: Scope) -> Option<(Rank, ChildState, Scope)> {
        if planted!(StoppedInStartOrder) {
            let (rank, child) = self.children.first_in(scope)?;
            return Some((rank, child.state, scope.after(rank)));
        }
        let (rank, child) = self.children.last_in(scope)?;
        Some((rank, child.state, scope.before(rank)))
    }

    fn stop_next(&mut self, mut scope: Scope, then: Then) -> Step {
        while let Some((rank, state, rest)) = self.next_to_stop(scope) {
            scope = rest;
            match state {
                ChildState::Running(_) => {
                    self.plan = Plan::Stopping(scope, then);
                    return Step::Stop(rank);
                }
                // To stop a child that waits for its restart is to cancel that.
                ChildState::Restarting(_) | ChildState::Waiting(_) | ChildState::Parked(_) => {
                    self.children.stopped(rank);
                }
                ChildState::Stopped => {}
            }
        }
        self.follow(then)
    }

    /// What comes when all is stopped.
    fn follow(&mut self, then: Then) -> Step {
        match then {
            Then::Restart(rank) if planted!(OneForAllRestartsOne) => {
                self.start_next(Scope::only(rank), Occasion::Restart)
            }
            Then::Restart(rank) => self.start_next(self.scope_of(rank), Occasion::Restart),
            Then::Delay(rank, due) => {
                self.children.waiting(rank, due);
                Step::Delay(rank, due)
            }
            Then::Park(rank, until) => {
                self.children.parked(rank, until);
                Step::Park(rank)
            }
            Then::Abort(failure) => Step::Abort(failure),
            Then::Rest => Step::Wait,
        }
    }

    /// Starts also those that were down before, as OTP does (law SUP-74).
    fn start_next(&mut self, scope: Scope, occasion: Occasion) -> Step {
        match self.children.first_in(scope) {
            Some((rank, _)) => {
                self.plan = Plan::Starting(scope.after(rank), occasion);
                Step::Start(rank)
            }
            None => Step::Wait,
        }
    }
}

/// So long after; what is further off than a clock can tell is far enough.
pub(crate) fn later(now: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now + delay.min(FAR)
}

/// What a failed start has in common with an end.
pub(crate) fn reason_of(error: StartError) -> ExitReason {
    match error {
        StartError::Failed(reason) => reason,
        error => ExitReason::from(error),
    }
}
