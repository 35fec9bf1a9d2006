//! What a supervisor tells the operators, as `tracing` events.

use std::fmt;
use std::time::Duration;

use resurgam_runtime::{
    ExitReason, Name, Pid, StartError, note_delay, note_giving_up, note_parking,
};
use tracing::{debug, error, info, warn};

use crate::caught::guarded;
use crate::child_spec::ChildSpec;
use crate::gave_up::GaveUp;

/// The target of reports about trouble, all of level error.
pub(crate) const SUPERVISOR: &str = "resurgam::supervisor";
/// The target of reports about children started.
pub(crate) const PROGRESS: &str = "resurgam::progress";

/// Who had a child started.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The supervisor, at its own start or after a death.
    Supervisor,
    /// A caller of `start_child` or `restart_child`.
    Caller,
}

/// What a report is about.
#[derive(Copy, Clone, Debug)]
enum Context {
    ChildTerminated,
    StartError,
    ShutdownError,
    Shutdown,
    Parked,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChildTerminated => "child_terminated",
            Self::StartError => "start_error",
            Self::ShutdownError => "shutdown_error",
            Self::Shutdown => "shutdown",
            Self::Parked => "parked",
        })
    }
}

/// The reports of one supervisor.
#[derive(Debug)]
pub(crate) struct Reports {
    /// Its registered name, else its pid.
    supervisor: String,
}

impl Reports {
    pub(crate) fn new(name: Option<&Name>, pid: Pid) -> Self {
        let supervisor = name.map_or_else(|| pid.to_string(), Name::to_string);
        Self { supervisor }
    }

    /// A child ended by itself.
    pub(crate) fn child_terminated(&self, spec: &ChildSpec, pid: Pid, reason: &ExitReason) {
        self.trouble(Context::ChildTerminated, reason, None, spec, Some(pid));
    }

    /// A child could not be started.
    pub(crate) fn start_error(&self, spec: &ChildSpec, error: &StartError) {
        self.trouble(Context::StartError, error, None, spec, None);
    }

    /// A child that was stopped did not end as it should.
    pub(crate) fn shutdown_error(&self, spec: &ChildSpec, pid: Pid, reason: &ExitReason) {
        self.trouble(Context::ShutdownError, reason, None, spec, Some(pid));
    }

    /// The supervisor gives up; `spec` is the child that was the last straw,
    /// `last` as whom it last ran.
    pub(crate) fn gave_up(&self, why: &GaveUp, spec: &ChildSpec, last: Option<Pid>) {
        note_giving_up(last, why.reason.kind());
        self.too_often(Context::Shutdown, &why.reason, spec);
    }

    /// A child is parked, since it spent its budget.
    pub(crate) fn parked(&self, why: &GaveUp, spec: &ChildSpec, last: Option<Pid>) {
        note_parking(last, why.reason.kind());
        self.too_often(Context::Parked, &why.reason, spec);
    }

    fn too_often(&self, context: Context, cause: &ExitReason, spec: &ChildSpec) {
        let reason = &"reached_max_restart_intensity";
        self.trouble(context, reason, Some(cause), spec, None);
    }

    /// A child is down and will be started after this long.
    pub(crate) fn delayed(&self, spec: &ChildSpec, last: Option<Pid>, delay: Duration) {
        note_delay(last, delay);
        guarded(|| {
            info!(
                target: PROGRESS,
                supervisor = %self.supervisor,
                delayed.id = %spec.id(),
                delayed.by = ?delay,
                "restart delayed"
            );
        });
    }

    fn trouble(
        &self,
        context: Context,
        reason: &dyn fmt::Display,
        cause: Option<&ExitReason>,
        spec: &ChildSpec,
        pid: Option<Pid>,
    ) {
        guarded(|| {
            error!(
                target: SUPERVISOR,
                supervisor = %self.supervisor,
                %context,
                %reason,
                cause = cause.map(tracing::field::display),
                offender.pid = pid.map(tracing::field::display),
                offender.id = %spec.id(),
                offender.restart = %spec.get_restart(),
                offender.shutdown = %spec.get_shutdown(),
                offender.child_type = %spec.get_child_type(),
                "supervisor report"
            );
        });
    }

    /// A child was started.
    pub(crate) fn progress(&self, origin: Origin, spec: &ChildSpec, pid: Pid) {
        // The level of an event is part of its static description, so there
        // are two of them.
        macro_rules! progress {
            ($level:ident) => {
                $level!(
                    target: PROGRESS,
                    supervisor = %self.supervisor,
                    started.pid = %pid,
                    started.id = %spec.id(),
                    started.restart = %spec.get_restart(),
                    started.shutdown = %spec.get_shutdown(),
                    started.child_type = %spec.get_child_type(),
                    "child started"
                )
            };
        }
        match origin {
            Origin::Supervisor => guarded(|| progress!(info)),
            Origin::Caller => guarded(|| progress!(debug)),
        }
    }

    /// A child sent its supervisor an exit signal and lives on.
    pub(crate) fn exit_of_living(&self, spec: &ChildSpec, pid: Pid, reason: &ExitReason) {
        guarded(|| {
            warn!(
                target: SUPERVISOR,
                supervisor = %self.supervisor,
                offender.pid = %pid,
                offender.id = %spec.id(),
                %reason,
                "exit signal of a child that lives is ignored"
            );
        });
    }

    /// A message came that a supervisor has no use for.
    pub(crate) fn unexpected(&self, message: &dyn fmt::Debug) {
        guarded(|| {
            warn!(
                target: SUPERVISOR,
                supervisor = %self.supervisor,
                ?message,
                "supervisor received an unexpected message"
            );
        });
    }
}
