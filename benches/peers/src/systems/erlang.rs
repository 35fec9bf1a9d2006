//! Erlang: `erlang/peers.erl`, compiled when it is first needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use resurgam_workloads::{Crash, Workload};

use crate::machine;

/// Compiles the module.
///
/// # Errors
///
/// If Erlang is not here, or does not take it.
pub(super) fn prepare() -> Result<(), String> {
    let folder = folder();
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang/peers.erl");
    let compiler = Command::new("erlc")
        .arg("-o")
        .arg(folder)
        .arg(source)
        .status();
    match compiler {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`erlc` ended with {status}")),
        Err(error) => Err(format!("`erlc` cannot be run: {error}")),
    }
}

/// The command that runs a workload with two schedulers.
pub(super) fn command(workload: Workload) -> Command {
    let (function, sizes) = call(workload);
    let mut command = Command::new("erl");
    command.args(["+S", "2:2", "+P", "4000000", "-noshell", "-noinput", "-pa"]);
    command
        .arg(folder())
        .args(["-run", "peers", "main", function]);
    command.arg(workload.operations().to_string());
    command.args(sizes.iter().map(u64::to_string));
    command
}

/// The release and how it runs code.
pub(super) fn version() -> String {
    let ask = "io:format(\"OTP ~s (ERTS ~s, ~s)\", [erlang:system_info(K) \
        || K <- [otp_release, version, emu_flavor]]), halt().";
    let said = machine::said_by("erl", &["-noshell", "-noinput", "-eval", ask]);
    said.unwrap_or("unknown".to_owned())
}

/// Where the compiled module is: beside this program.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    program.with_file_name("erlang")
}

/// The function and its sizes.
fn call(workload: Workload) -> (&'static str, Vec<u64>) {
    match workload {
        Workload::Spawn { count } => ("spawn", vec![count]),
        Workload::Idle { count } => ("idle", vec![count]),
        Workload::IdleServer { count } => ("idle_server", vec![count]),
        Workload::SpawnIdle { count } => ("spawn_idle", vec![count]),
        Workload::PingPong { pairs, rounds } => ("ping_pong", vec![pairs, rounds]),
        Workload::Ring { length, laps } => ("ring", vec![length, laps]),
        Workload::FanIn { senders, each } => ("fan_in", vec![senders, each]),
        Workload::FanOut { receivers, each } => ("fan_out", vec![receivers, each]),
        Workload::Call {
            callers,
            servers,
            each,
        } => ("call", vec![callers, servers, each]),
        Workload::Backlog { count } => ("backlog", vec![count]),
        Workload::LinksEnding { count } => ("links_ending", vec![count]),
        Workload::Chain { count } => ("chain", vec![count]),
        Workload::MonitorsOnOne { count } => ("monitors_on_one", vec![count]),
        Workload::MonitorsByOne { count } => ("monitors_by_one", vec![count]),
        Workload::Restarts { count } => ("restarts", vec![count]),
        Workload::FirstAnswer { count, crash } => ("first_answer", vec![count, how(crash)]),
        Workload::OneForAll { children, rounds } => ("one_for_all", vec![children, rounds]),
        Workload::DynamicStart { count } => ("dynamic_start", vec![count]),
        Workload::TimerCancelled { count } => ("timer_cancelled", vec![count]),
        Workload::TimerFired { count } => ("timer_fired", vec![count]),
        Workload::LookUp { threads, each } => ("look_up", vec![threads, each]),
        Workload::SendByName { count } => ("send_by_name", vec![count]),
        Workload::Register { count } => ("register", vec![count]),
        Workload::Big { actors, each } => ("big", vec![actors, each]),
        Workload::Chameneos {
            creatures,
            meetings,
        } => ("chameneos", vec![creatures, meetings]),
    }
}

/// What the module calls it.
fn how(crash: Crash) -> u64 {
    match crash {
        Crash::Error => 0,
        Crash::Panic => 1,
    }
}
