//! The laws, tested through the public API.

mod agent;
mod alias;
mod application;
mod application_circles;
mod auto_shutdown;
mod bounded_mailbox;
#[cfg(feature = "sim")]
mod concurrent_supervisor;
mod crash_report;
mod dynamic_supervisor;
mod exit;
mod faults;
mod gen_event;
mod gen_server;
mod gen_statem;
mod groups;
mod info;
mod interval;
mod keys;
mod lifecycle;
mod link;
mod log_listener;
#[cfg(feature = "macros")]
mod macros;
mod monitor;
mod partition_supervisor;
mod pubsub;
mod registry;
mod request;
mod scheduler;
mod selective_receive;
mod shutdown;
mod signals;
#[cfg(feature = "sim")]
mod sim;
mod spawn;
mod stale_calls;
mod supervisor;
mod supervisor_beyond;
mod supervisor_bridge;
mod support;
mod sys;
mod task;
mod thread_process;
mod tidy;
mod timer;
mod trap;
mod watchdog;
