//! Every workload ends, and measures something.

use resurgam::Node;
use resurgam_workloads::{Crash, Outcome, Tally, Workload, processes, tasks};
use tokio::runtime::{Builder, Runtime};

/// Each workload, as small as can be.
const WORKLOADS: [Workload; 26] = [
    Workload::Spawn { count: 20_001 },
    Workload::Idle { count: 2_001 },
    Workload::IdleServer { count: 2_001 },
    Workload::SpawnIdle { count: 100 },
    Workload::PingPong {
        pairs: 3,
        rounds: 10,
    },
    Workload::Ring {
        length: 10,
        laps: 10,
    },
    Workload::FanIn {
        senders: 3,
        each: 10,
    },
    Workload::FanOut {
        receivers: 3,
        each: 10,
    },
    Workload::Call {
        callers: 4,
        servers: 2,
        each: 10,
    },
    Workload::Backlog { count: 100 },
    Workload::LinksEnding { count: 100 },
    Workload::Chain { count: 100 },
    Workload::MonitorsOnOne { count: 100 },
    Workload::MonitorsByOne { count: 100 },
    Workload::Restarts { count: 10 },
    Workload::FirstAnswer {
        count: 10,
        crash: Crash::Error,
    },
    Workload::FirstAnswer {
        count: 10,
        crash: Crash::Panic,
    },
    Workload::OneForAll {
        children: 10,
        rounds: 3,
    },
    Workload::DynamicStart { count: 100 },
    Workload::TimerCancelled { count: 2_000 },
    Workload::TimerFired { count: 100 },
    Workload::LookUp {
        threads: 2,
        each: 1_001,
    },
    Workload::SendByName { count: 100 },
    Workload::Register { count: 100 },
    Workload::Big {
        actors: 5,
        each: 10,
    },
    Workload::Chameneos {
        creatures: 4,
        meetings: 10,
    },
];

fn two_workers() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap()
}

#[track_caller]
fn check(workload: Workload, outcome: Outcome) {
    // What was given back before can be taken again, so nothing need grow.
    let may_be_0 = matches!(outcome, Outcome::Bytes(_));
    let figures = outcome.figures(workload.operations());
    let measured = figures.iter().all(|&figure| may_be_0 || figure > 0.0);
    assert!(measured, "{workload:?} gave {figures:?}");
}

#[test]
fn every_workload_ends_as_processes() {
    let runtime = two_workers();
    let _context = runtime.enter();
    let node = Node::new().unwrap();
    for workload in WORKLOADS {
        check(workload, runtime.block_on(processes::run(&node, workload)));
    }
}

#[test]
fn every_workload_ends_as_tasks() {
    let runtime = two_workers();
    for workload in WORKLOADS {
        check(workload, runtime.block_on(tasks::run(workload)));
    }
}

#[test]
fn a_tally_wakes_whoever_waits_for_its_number() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tally = Tally::leak();
        let waits = tokio::spawn(tally.reached(2));
        assert_eq!(tally.add(), 1);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        assert_eq!(tally.add(), 2);
        waits.await.unwrap();
    });
}
