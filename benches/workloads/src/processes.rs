//! The workloads as processes of Resurgam.
//!
//! Each function runs a process on the node that drives the workload, and gives
//! what that measured. What it made has ended when it returns.

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

use resurgam::{Context, Node};
use tokio::sync::oneshot;

use big::big;
use call::call;
pub use call::{Echo, Request};
use chameneos::chameneos;
use fan::{backlog, fan_in, fan_out};
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

/// Why a spawn cannot fail here.
const ROOM: &str = "a node with room";

/// Runs a workload on a node.
pub async fn run(node: &Node, workload: Workload) -> Outcome {
    match workload {
        Workload::Spawn { count } => spawn(node, count).await.into(),
        Workload::Idle { count } => Outcome::Bytes(idle(node, count).await),
        Workload::IdleServer { count } => Outcome::Bytes(idle_server(node, count).await),
        Workload::SpawnIdle { count } => spawn_idle(node, count).await.into(),
        Workload::PingPong { pairs, rounds } => ping_pong(node, pairs, rounds).await.into(),
        Workload::Ring { length, laps } => ring(node, length, laps).await.into(),
        Workload::FanIn { senders, each } => fan_in(node, senders, each).await.into(),
        Workload::FanOut { receivers, each } => fan_out(node, receivers, each).await.into(),
        Workload::Call {
            callers,
            servers,
            each,
        } => call(node, callers, servers, each).await.into(),
        Workload::Backlog { count } => backlog(node, count).await.into(),
        Workload::LinksEnding { count } => links_ending(node, count).await.into(),
        Workload::Chain { count } => chain(node, count).await.into(),
        Workload::MonitorsOnOne { count } => monitors_on_one(node, count).await.into(),
        Workload::MonitorsByOne { count } => monitors_by_one(node, count).await.into(),
        Workload::Restarts { count } => restarts(node, count).await.into(),
        Workload::FirstAnswer { count, crash } => {
            Outcome::Delays(first_answer(node, count, crash).await)
        }
        Workload::OneForAll { children, rounds } => {
            one_for_all(node, children, rounds).await.into()
        }
        Workload::DynamicStart { count } => dynamic_start(node, count).await.into(),
        Workload::TimerCancelled { count } => timer_cancelled(node, count).await.into(),
        Workload::TimerFired { count } => timer_fired(node, count).await.into(),
        Workload::LookUp { threads, each } => look_up(node, threads, each).await.into(),
        Workload::SendByName { count } => send_by_name(node, count).await.into(),
        Workload::Register { count } => register(node, count).await.into(),
        Workload::Big { actors, each } => big(node, actors, each).await.into(),
        Workload::Chameneos {
            creatures,
            meetings,
        } => chameneos(node, creatures, meetings).await.into(),
    }
}

/// Runs a body as a process, and gives what it returns.
async fn in_process<M, T, B, F>(node: &Node, body: B) -> T
where
    M: Send + 'static,
    T: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let driver = node.spawn(|ctx| async move { drop(tell.send(body(ctx).await)) });
    driver.expect(ROOM);
    told.await.expect("the driver does its work")
}
