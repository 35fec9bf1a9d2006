//! Making actors, and what they occupy.

use std::time::Duration;

use resurgam_workloads::{OnEnd, Tally, grown, resident};
use tokio::time::Instant;

use super::{Behaviour, Flow, Peer};

/// How many are spawned before they are waited for.
const BURST: u64 = 10_000;

/// How many are made at a time where memory is looked at.
const BATCH: u64 = 1_000;

/// Ends as soon as it begins.
struct Brief {
    _on_end: OnEnd,
}

impl Behaviour for Brief {
    type Message = ();

    fn begin(&mut self) -> Flow {
        Flow::Stop
    }

    fn handle(&mut self, (): ()) -> Flow {
        Flow::Stop
    }
}

/// Waits for a message that does not come.
pub struct Idle {
    begun: &'static Tally,
    _on_end: OnEnd,
}

impl Idle {
    /// Counts when it begins, and when it ends.
    pub fn new(begun: &'static Tally, ended: &'static Tally) -> Self {
        let _on_end = OnEnd(ended);
        Self { begun, _on_end }
    }
}

impl Behaviour for Idle {
    type Message = ();

    fn begin(&mut self) -> Flow {
        self.begun.add();
        Flow::Continue
    }

    fn handle(&mut self, (): ()) -> Flow {
        Flow::Stop
    }
}

pub async fn spawn<P: Peer>(count: u64) -> Duration {
    let ended = Tally::leak();
    let began = Instant::now();
    for n in 1..=count {
        let _on_end = OnEnd(ended);
        drop(P::spawn(0, Brief { _on_end }).await);
        if n % BURST == 0 || n == count {
            ended.reached(n).await;
        }
    }
    began.elapsed()
}

pub async fn spawn_idle<P: Peer>(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let mut actors = Vec::new();
    let began = Instant::now();
    for _ in 0..count {
        actors.push(P::spawn(0, Idle::new(begun, ended)).await);
    }
    begun.reached(count).await;
    let took = began.elapsed();
    // Whoever is not reached any more would end.
    std::mem::forget(actors);
    took
}

pub async fn idle<P: Peer>(count: u64) -> u64 {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let mut actors = Vec::with_capacity(count as usize);
    let before = resident();
    for n in 1..=count {
        actors.push(P::spawn(0, Idle::new(begun, ended)).await);
        if n % BATCH == 0 || n == count {
            begun.reached(n).await;
        }
    }
    let grown = grown(before, &actors);
    std::mem::forget(actors);
    grown
}

pub async fn idle_server<P: Peer>(count: u64) -> u64 {
    let mut servers = Vec::with_capacity(count as usize);
    let before = resident();
    for n in 1..=count {
        servers.push(P::serve(0, n).await);
        if n % BATCH == 0 {
            // The one that began last answers last.
            P::ask(&servers[servers.len() - 1], n).await;
        }
    }
    let grown = grown(before, &servers);
    std::mem::forget(servers);
    grown
}
