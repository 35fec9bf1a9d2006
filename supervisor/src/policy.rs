//! What a static supervisor does next.
//!
//! Pure: an [`Event`] goes in, one [`Step`] comes out; the shell performs the
//! step and reports what came of it as the next event, until it is told to
//! wait. No clock, no process, no I/O.

use std::fmt;
use std::time::Instant;

use resurgam_runtime::planted;
use resurgam_runtime::{ExitReason, Pid, StartError};

use crate::child_spec::{ChildId, Restart};
use crate::children::{ChildState, Children, Rank, Scope, Ticket};
use crate::intensity::{Attempt, RestartIntensity, RestartLog};

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

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
        now: Instant,
    },
    /// The ticket of an earlier `Step::Retry` is presented.
    Retry { ticket: Ticket, now: Instant },
    /// The child that was to be started runs.
    Started(Rank, Pid),
    /// The child that was to be started said `ignore`.
    Ignored(Rank),
    /// The child that was to be started did not.
    Failed(Rank, StartError),
    /// The child that was to be stopped is dead.
    Stopped(Rank),
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
    /// Send yourself the ticket, so that whoever waits is served first, and
    /// present it when it comes round.
    Retry(Ticket),
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
    Restart(Scope),
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
        }
    }

    /// The same, which shuts down by itself so.
    pub(crate) fn with_auto_shutdown(self, auto_shutdown: AutoShutdown) -> Self {
        Self {
            auto_shutdown,
            ..self
        }
    }

    pub(crate) fn auto_shutdown(&self) -> AutoShutdown {
        self.auto_shutdown
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
            Event::Begin => self.start_next(Scope::ALL, Occasion::Begin),
            Event::End if planted!(OrphanLeft) => {
                let first = self.children.first_in(Scope::ALL).map(|(rank, _)| rank);
                let scope = first.map_or(Scope::ALL, |first| Scope::ALL.after(first));
                self.stop_next(scope, Then::Rest)
            }
            Event::End => self.stop_next(Scope::ALL, Then::Rest),
            Event::Exited { pid, reason, now } => self.exited(pid, &reason, now),
            Event::Retry { ticket, now } => self.retry(ticket, now),
            Event::Started(rank, pid) => {
                self.children.started(rank, pid);
                self.proceed()
            }
            Event::Ignored(rank) | Event::Stopped(rank) => {
                self.children.stopped(rank);
                self.proceed()
            }
            Event::Failed(rank, error) => self.failed(rank, error),
        }
    }

    /// A child ended by itself. A stranger's exit is none of our business.
    fn exited(&mut self, pid: Pid, reason: &ExitReason, now: Instant) -> Step {
        let Some((rank, child)) = self.children.find_pid(pid) else {
            return Step::Wait;
        };
        let verdict = judge(child.spec.get_restart(), reason);
        let is_significant = child.spec.is_significant();
        self.children.stopped(rank);
        match verdict {
            Verdict::Restart => self.attempt(rank, now),
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

    /// One restart, however many children it takes along, is one attempt.
    fn attempt(&mut self, rank: Rank, now: Instant) -> Step {
        match self.restarts.record(now) {
            Attempt::Refused => Step::GiveUp(rank),
            Attempt::Allowed => {
                let scope = self.scope_of(rank);
                if planted!(SiblingsNotStopped) {
                    return self.start_next(scope, Occasion::Restart);
                }
                if planted!(OneForAllRestartsOne) {
                    return self.stop_next(scope, Then::Restart(Scope::only(rank)));
                }
                self.stop_next(scope, Then::Restart(scope))
            }
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

    fn failed(&mut self, rank: Rank, error: StartError) -> Step {
        match std::mem::take(&mut self.plan) {
            Plan::Starting(_, Occasion::Begin) => self.abort(rank, error),
            // The ones after it stay down until it is tried again.
            Plan::Starting(_, Occasion::Restart) if planted!(RetryForgotten) => Step::Wait,
            Plan::Starting(_, Occasion::Restart) => Step::Retry(self.children.restarting(rank)),
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
        self.stop_next(Scope::ALL, Then::Abort(failure))
    }

    fn proceed(&mut self) -> Step {
        match std::mem::take(&mut self.plan) {
            Plan::Rest => Step::Wait,
            Plan::Stopping(scope, then) => self.stop_next(scope, then),
            Plan::Starting(scope, occasion) => self.start_next(scope, occasion),
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
                ChildState::Restarting(_) => self.children.stopped(rank),
                ChildState::Stopped => {}
            }
        }
        match then {
            Then::Restart(scope) => self.start_next(scope, Occasion::Restart),
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
