//! The workloads as plain Tokio tasks with channels: what there is without any
//! semantics.
//!
//! Each function runs a task that drives the workload, and gives what that
//! measured. What it made has ended when it returns.

mod big;
mod call;
mod chameneos;
mod fan;
mod links;
mod monitors;
mod names;
mod ping_pong;
mod restart;
mod ring;
mod spawn;
mod supervisor;
mod timers;

use big::big;
use call::call;
use chameneos::chameneos;
use fan::{Take, backlog, fan_in, fan_out};
use links::{chain, links_ending};
use monitors::{monitors_by_one, monitors_on_one};
use names::{look_up, register, send_by_name};
use ping_pong::ping_pong;
use restart::{first_answer, one_for_all, restarts};
use ring::ring;
use spawn::{idle, idle_server, spawn, spawn_idle};
use supervisor::dynamic_start;
use timers::{timer_cancelled, timer_fired};

use crate::{Outcome, Workload};

/// Why a send cannot fail here.
const OPEN: &str = "a receiver that lives";

/// Runs a workload on the runtime that this is called in.
pub async fn run(workload: Workload) -> Outcome {
    match workload {
        Workload::Spawn { count } => spawn(count).await.into(),
        Workload::Idle { count } => Outcome::Bytes(idle(count).await),
        Workload::IdleServer { count } => Outcome::Bytes(idle_server(count).await),
        Workload::SpawnIdle { count } => spawn_idle(count).await.into(),
        Workload::PingPong { pairs, rounds } => ping_pong(pairs, rounds).await.into(),
        Workload::Ring { length, laps } => ring(length, laps).await.into(),
        Workload::FanIn { senders, each } => fan_in(Take::One, senders, each).await.into(),
        Workload::FanOut { receivers, each } => fan_out(Take::One, receivers, each).await.into(),
        Workload::Call {
            callers,
            servers,
            each,
        } => call(callers, servers, each).await.into(),
        Workload::Backlog { count } => backlog(Take::One, count).await.into(),
        Workload::LinksEnding { count } => links_ending(count).await.into(),
        Workload::Chain { count } => chain(count).await.into(),
        Workload::MonitorsOnOne { count } => monitors_on_one(count).await.into(),
        Workload::MonitorsByOne { count } => monitors_by_one(count).await.into(),
        Workload::Restarts { count } => restarts(count).await.into(),
        Workload::FirstAnswer { count, crash } => Outcome::Delays(first_answer(count, crash).await),
        Workload::OneForAll { children, rounds } => one_for_all(children, rounds).await.into(),
        Workload::DynamicStart { count } => dynamic_start(count).await.into(),
        Workload::TimerCancelled { count } => timer_cancelled(count).await.into(),
        Workload::TimerFired { count } => timer_fired(count).await.into(),
        Workload::LookUp { threads, each } => look_up(threads, each).await.into(),
        Workload::SendByName { count } => send_by_name(count).await.into(),
        Workload::Register { count } => register(count).await.into(),
        Workload::Big { actors, each } => big(actors, each).await.into(),
        Workload::Chameneos {
            creatures,
            meetings,
        } => chameneos(creatures, meetings).await.into(),
    }
}

/// Runs a workload where many messages can be taken out of a channel at once,
/// with receivers that do so; nothing if it is no such workload.
pub async fn run_batched(workload: Workload) -> Option<Outcome> {
    let took = match workload {
        Workload::FanIn { senders, each } => fan_in(Take::Many, senders, each).await,
        Workload::FanOut { receivers, each } => fan_out(Take::Many, receivers, each).await,
        Workload::Backlog { count } => backlog(Take::Many, count).await,
        _ => return None,
    };
    Some(took.into())
}

/// Runs a future on a worker, and gives what it returns.
async fn in_task<F>(driver: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(driver)
        .await
        .expect("the driver does its work")
}
