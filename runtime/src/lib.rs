//! The Resurgam kernel: processes that share nothing, signals between them,
//! links and monitors that always tell, a scheduler of its own on Tokio's
//! workers, generic servers and state machines.
//!
//! Most programs use it through the facade, the package `resurgam`.

#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Whether a bug is planted; none is in this build.
#[cfg(not(resurgam_planted))]
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

/// Whether a bug is planted; see the module.
#[cfg(resurgam_planted)]
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}

mod admission;
mod agent;
mod answer;
mod behaviour;
/// For the supervisors; no part of what is promised.
#[doc(hidden)]
pub mod caught;
mod clock;
mod exit_reason;
mod few;
mod gen_event;
pub mod gen_server;
pub mod gen_statem;
mod group_leader;
mod groups;
mod interval;
mod keys;
mod lifecycle;
mod long_schedule;
mod mailbox;
mod name;
mod node;
mod panic_hook;
mod pid;
#[cfg(resurgam_planted)]
pub mod planted;
mod pool;
mod process;
mod process_ref;
mod pubsub;
mod registry;
mod reply;
mod report;
mod request;
mod scheduler;
mod signal;
#[cfg(feature = "sim")]
pub mod sim;
mod slot;
mod spawn;
mod sync;
pub mod sys;
mod table;
mod task;
mod teller;
#[cfg(test)]
mod testing;
mod thread;
mod timer;

pub use admission::SendWait;
pub use agent::{Agent, AgentFn, AgentServer};
pub use behaviour::{
    Behaviour, BehaviourBuilder, Info, InitError, StartError, StopServerError, TimeoutTime,
};
pub use clock::ManualClock;
pub use exit_reason::{ExitKind, ExitReason, Failure, Panic, Term};
pub use gen_event::{
    AddHandlerError, EventHandler, EventManager, EventRequest, EventServer, HandlerEnd,
    HandlerError, HandlerExit, HandlerId, HandlerKey,
};
pub use gen_server::{GenServer, Server, ServerBuilder, ServerContext, ServerRef};
pub use gen_statem::{
    Event, GenStatem, Statem, StatemBuilder, StatemContext, StatemRef, TimeoutType, Transition,
};
pub use group_leader::{group_leader, set_group_leader};
pub use groups::{
    GroupChange, GroupMonitor, GroupRequest, GroupScope, Groups, LeaveError, Membership,
};
pub use interval::{Interval, IntervalRef};
pub use keys::{
    DuplicateKeys, RegisterKeyError, Registry, RegistryArgs, RegistryChange, RegistryKeys,
    RegistryLock, RegistryServer, UniqueKeys,
};
pub use lifecycle::{
    Lifecycle, LifecycleEvent, note_delay, note_giving_up, note_parking, note_restart,
};
pub use long_schedule::LongSchedule;
pub use mailbox::{MailboxInfo, Overflow};
pub use name::Name;
pub use node::{Dest, InfoError, Node, NodeBuilder, NodeError, StopError, Straggler};
pub use pid::{MonitorRef, Pid};
pub use process::alias::{
    Alias, AliasMode, MonitorAlias, alias, alias_priority, link_priority, monitor_alias,
    monitor_as, monitor_priority, unalias,
};
pub use process::cell::ProcessOutput;
pub use process::context::{Context, Receive};
pub use process::info::ProcessInfo;
pub use process::join::{Join, JoinFlush};
pub use process::owner::ProcessStage;
pub use process::select::{Mark, MessageRef, ReceiveMatch};
pub use process::{
    cancel_timer, demonitor, demonitor_flush, exit, flush_exit, is_alive, join, join_flush, kill,
    link, monitor, now, process_info, read_timer, register, self_pid, send, send_after, set_label,
    sleep, spawn, spawn_link, spawn_monitor, spawn_options, timeout, trap_exit, try_self_pid,
    unlink, unregister, whereis, yield_now,
};
pub use process_ref::{ProcessRef, SendError};
pub use pubsub::{PubSub, SubscribeError};
pub use registry::{RegisterError, UnregisterError};
pub use reply::{AnyRef, BoxCall, Call, CallError, Reply};
pub use report::{Client, CrashReport, ServerReport};
pub use request::{Request, RequestCollection};
pub use signal::{Down, Exit, Message};
pub use spawn::{SpawnError, SpawnOptions, Spawned};
pub use task::{
    OnTimeout, Task, TaskError, TaskJoin, TaskStream, TaskWorker, YieldMany, callers, set_callers,
};
pub use thread::ThreadContext;
pub use timer::{Elapsed, Sleep, TimerRef};
