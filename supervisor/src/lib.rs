//! Supervision trees for Resurgam: processes that start, watch, stop and
//! restart others.
//!
//! * [`Supervisor`]: a row of children, restarted by one of three
//!   [strategies](Strategy).
//! * [`DynamicSupervisor`]: children that come and go, each on its own.
//! * [`PartitionSupervisor`]: processes of one kind that share the keys.
//! * [`TaskSupervisor`]: tasks that somebody waits for, or nobody.
//! * [`SupervisorBridge`]: what knows nothing of supervisors, in a tree.
//! * [`Applications`]: parts of a program, started and stopped as a whole.
//! * [`ChildSpec`]: what a child is, how it starts, when it is restarted, how
//!   it is stopped.
//! * [`Backoff`], [`WhenSpent`], [`GaveUp`]: what OTP does not have: delays, a
//!   budget for one child, parking, and the cause of giving up; and children
//!   that start and stop [side by side](SupervisorBuilder::concurrent).
//!
//! A supervisor is a process like any other, written with nothing but the
//! public face of `resurgam-runtime`. What it does next is decided by a pure
//! part, the policy; the process only performs it.
//!
//! Trouble is reported as `tracing` events of target `resurgam::supervisor`,
//! the start of children as events of target `resurgam::progress`.

#![warn(clippy::print_stdout)]

mod backoff;
mod care;
mod child_spec;
mod intensity;
mod needs;
mod start;

mod children;
mod gave_up;
mod info;
mod policy;
mod report;
mod shutdown;

#[cfg(feature = "sim")]
mod audit;

mod dynamic;
mod supervisor;

mod builder;
mod called;
mod handle;

mod task_supervisor;

mod process_handle;

mod bridge;
mod partition;

mod application;

#[cfg(test)]
mod testing;

use resurgam_runtime::caught;

pub use application::{
    Application, ApplicationContext, ApplicationEnded, ApplicationError, ApplicationInfo,
    ApplicationStatus, Applications, ApplicationsBuilder, ChangeConfigError, Config, ConfigChange,
    EnvError, EnvValue, Environment, LoadApplicationError, StartApplicationError, StartMode,
    StartType, StopApplicationError, UnloadApplicationError,
};
pub use backoff::{Backoff, BackoffError};
pub use bridge::{BridgeBuilder, SupervisorBridge};
pub use builder::{
    DynamicSupervisor, DynamicSupervisorBuilder, StartSupervisorError, Supervisor,
    SupervisorBuilder,
};
pub use care::WhenSpent;
pub use child_spec::{ChildId, ChildSpec, ChildType, Restart, Shutdown, SpecError};
pub use dynamic::{RestartDynamicChildError, StartDynamicChildError, TerminateDynamicChildError};
pub use gave_up::GaveUp;
pub use handle::{DynamicSupervisorRef, SupervisorRef};
pub use info::{ChildCount, ChildInfo, ChildStatus};
pub use intensity::RestartIntensity;
pub use partition::{
    FindPartitionError, PartitionSupervisor, PartitionSupervisorBuilder, Partitions, ResizeError,
};
pub use policy::{AutoShutdown, FailedToStartChild, Strategy};
pub use process_handle::ProcessHandle;
pub use start::{StartPanicked, Started};
pub use supervisor::{
    DeleteChildError, FindChildError, RestartChildError, StartChildError, TerminateChildError,
};
pub use task_supervisor::TaskSupervisor;
