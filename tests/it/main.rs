//! The laws, tested through the public API.

mod agent;
mod auto_shutdown;
mod crash_report;
mod dynamic_supervisor;
mod exit;
mod faults;
mod gen_server;
mod gen_statem;
mod groups;
mod info;
mod lifecycle;
mod link;
mod monitor;
mod registry;
mod request;
mod scheduler;
mod selective_receive;
mod shutdown;
mod signals;
#[cfg(feature = "sim")]
mod sim;
mod spawn;
mod supervisor;
mod supervisor_beyond;
mod support;
mod task;
mod thread_process;
mod tidy;
mod timer;
mod trap;
