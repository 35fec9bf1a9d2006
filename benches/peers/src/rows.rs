//! The rows of the tables: the workloads with their sizes and goals.

use resurgam_workloads::{Crash, Workload};

use crate::options::Scale;

/// A workload, as it is run, and the figures that it gives.
pub struct Row {
    /// What the command line calls it.
    pub name: &'static str,
    /// One, or as many as the workload gives.
    pub figures: &'static [Figure],
    small: Workload,
    full: Workload,
}

/// One figure of a workload.
pub struct Figure {
    pub label: &'static str,
    pub goal: Goal,
}

/// What Resurgam is to reach.
#[derive(Copy, Clone)]
pub enum Goal {
    /// At most so many times what plain Tokio needs in the same runs.
    Ratio(f64),
    /// At most so many bytes.
    Bytes(f64),
    /// None is set.
    Unset,
}

impl Row {
    /// The workload at this size.
    pub fn workload(&self, scale: Scale) -> Workload {
        match scale {
            Scale::Small => self.small,
            Scale::Full => self.full,
        }
    }
}

const fn ratio(label: &'static str, ratio: f64) -> Figure {
    let goal = Goal::Ratio(ratio);
    Figure { label, goal }
}

const fn bytes(label: &'static str, bytes: f64) -> Figure {
    let goal = Goal::Bytes(bytes);
    Figure { label, goal }
}

const fn unset(label: &'static str) -> Figure {
    let goal = Goal::Unset;
    Figure { label, goal }
}

const fn row(
    name: &'static str,
    figures: &'static [Figure],
    small: Workload,
    full: Workload,
) -> Row {
    Row {
        name,
        figures,
        small,
        full,
    }
}

/// All rows, in the order of the tables.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("spawn", &[ratio("spawn, run, end", 0.12)],
        Workload::Spawn { count: 100_000 },
        Workload::Spawn { count: 1_000_000 }),
    row("idle", &[bytes("idle process, bytes", 320.0)],
        Workload::Idle { count: 50_000 },
        Workload::Idle { count: 200_000 }),
    row("idle_server", &[bytes("idle server with a word of state, bytes", 448.0)],
        Workload::IdleServer { count: 50_000 },
        Workload::IdleServer { count: 200_000 }),
    row("spawn_idle", &[ratio("spawn 1 million idle", 0.15)],
        Workload::SpawnIdle { count: 100_000 },
        Workload::SpawnIdle { count: 1_000_000 }),
    row("ping_pong_1", &[ratio("ping-pong, 1 pair, per message", 0.45)],
        Workload::PingPong { pairs: 1, rounds: 100_000 },
        Workload::PingPong { pairs: 1, rounds: 1_000_000 }),
    row("ping_pong_2", &[ratio("ping-pong, 2 pairs", 0.45)],
        Workload::PingPong { pairs: 2, rounds: 50_000 },
        Workload::PingPong { pairs: 2, rounds: 500_000 }),
    row("ping_pong_1000", &[ratio("ping-pong, 1000 pairs", 0.45)],
        Workload::PingPong { pairs: 1_000, rounds: 100 },
        Workload::PingPong { pairs: 1_000, rounds: 1_000 }),
    row("ring_1000", &[ratio("ring of 1000, per hop", 0.4)],
        Workload::Ring { length: 1_000, laps: 200 },
        Workload::Ring { length: 1_000, laps: 1_000 }),
    row("ring_100000", &[ratio("ring of 100 000, per hop", 0.5)],
        Workload::Ring { length: 100_000, laps: 2 },
        Workload::Ring { length: 100_000, laps: 10 }),
    row("fan_in_1", &[ratio("fan-in, 1 sender", 0.35)],
        Workload::FanIn { senders: 1, each: 200_000 },
        Workload::FanIn { senders: 1, each: 1_000_000 }),
    row("fan_in_2", &[ratio("fan-in, 2 senders", 0.4)],
        Workload::FanIn { senders: 2, each: 100_000 },
        Workload::FanIn { senders: 2, each: 500_000 }),
    row("fan_in_8", &[ratio("fan-in, 8 senders", 0.4)],
        Workload::FanIn { senders: 8, each: 25_000 },
        Workload::FanIn { senders: 8, each: 125_000 }),
    row("fan_in_64", &[ratio("fan-in, 64 senders", 0.4)],
        Workload::FanIn { senders: 64, each: 3_125 },
        Workload::FanIn { senders: 64, each: 15_625 }),
    row("fan_out", &[ratio("fan-out to 1000", 0.5)],
        Workload::FanOut { receivers: 1_000, each: 200 },
        Workload::FanOut { receivers: 1_000, each: 1_000 }),
    row("call_1_1", &[ratio("call, 1:1", 0.5)],
        Workload::Call { callers: 1, servers: 1, each: 100_000 },
        Workload::Call { callers: 1, servers: 1, each: 500_000 }),
    row("call_64_1", &[ratio("call, 64:1", 0.7)],
        Workload::Call { callers: 64, servers: 1, each: 2_000 },
        Workload::Call { callers: 64, servers: 1, each: 10_000 }),
    row("call_64_64", &[ratio("call, 64:64", 0.5)],
        Workload::Call { callers: 64, servers: 64, each: 2_000 },
        Workload::Call { callers: 64, servers: 64, each: 10_000 }),
    row("backlog", &[ratio("backlog of 2 million, per message", 0.35)],
        Workload::Backlog { count: 200_000 },
        Workload::Backlog { count: 2_000_000 }),
    row("links_ending", &[ratio("100 000 links ending, per exit", 0.5)],
        Workload::LinksEnding { count: 10_000 },
        Workload::LinksEnding { count: 100_000 }),
    row("chain", &[ratio("chain of 10 000 links, per link", 0.3)],
        Workload::Chain { count: 2_000 },
        Workload::Chain { count: 10_000 }),
    row("monitors_on_one", &[ratio("100 000 monitors on one", 0.4)],
        Workload::MonitorsOnOne { count: 10_000 },
        Workload::MonitorsOnOne { count: 100_000 }),
    row("monitors_by_one", &[unset("100 000 monitors by one")],
        Workload::MonitorsByOne { count: 10_000 },
        Workload::MonitorsByOne { count: 100_000 }),
    row("restarts", &[ratio("restarts, one child crashing, per restart", 0.6)],
        Workload::Restarts { count: 5_000 },
        Workload::Restarts { count: 20_000 }),
    row("first_answer", &[
            ratio("crash to first answer of the replacement, median", 0.8),
            unset("the same, 99th percentile"),
        ],
        Workload::FirstAnswer { count: 2_000, crash: Crash::Error },
        Workload::FirstAnswer { count: 20_000, crash: Crash::Error }),
    row("first_answer_panic", &[
            ratio("the same where the crash is a panic, median", 0.8),
            unset("the same, 99th percentile"),
        ],
        Workload::FirstAnswer { count: 2_000, crash: Crash::Panic },
        Workload::FirstAnswer { count: 20_000, crash: Crash::Panic }),
    row("one_for_all", &[ratio("one_for_all with 1000 children, per child", 0.8)],
        Workload::OneForAll { children: 1_000, rounds: 5 },
        Workload::OneForAll { children: 1_000, rounds: 50 }),
    row("dynamic_start", &[ratio("supervised dynamic start, per child", 0.4)],
        Workload::DynamicStart { count: 10_000 },
        Workload::DynamicStart { count: 100_000 }),
    row("timer_cancelled", &[ratio("timer set and cancelled", 0.2)],
        Workload::TimerCancelled { count: 100_000 },
        Workload::TimerCancelled { count: 1_000_000 }),
    row("timer_fired", &[ratio("100 000 timers fired, per timer", 0.6)],
        Workload::TimerFired { count: 20_000 },
        Workload::TimerFired { count: 100_000 }),
    row("look_up_1", &[ratio("name look-up, 1 thread", 0.4)],
        Workload::LookUp { threads: 1, each: 200_000 },
        Workload::LookUp { threads: 1, each: 4_000_000 }),
    row("look_up_2", &[ratio("name look-up, 2 threads", 0.4)],
        Workload::LookUp { threads: 2, each: 100_000 },
        Workload::LookUp { threads: 2, each: 2_000_000 }),
    row("send_by_name", &[ratio("send by name", 0.7)],
        Workload::SendByName { count: 200_000 },
        Workload::SendByName { count: 1_000_000 }),
    row("register", &[ratio("register and unregister", 0.8)],
        Workload::Register { count: 200_000 },
        Workload::Register { count: 1_000_000 }),
    row("big", &[ratio("Savina big", 0.5)],
        Workload::Big { actors: 120, each: 1_000 },
        Workload::Big { actors: 120, each: 10_000 }),
    row("chameneos", &[ratio("Savina chameneos", 0.7)],
        Workload::Chameneos { creatures: 100, meetings: 20_000 },
        Workload::Chameneos { creatures: 100, meetings: 200_000 }),
];
