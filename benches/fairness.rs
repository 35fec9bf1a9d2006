//! Fairness: how late a heartbeat of one millisecond is while others are
//! greedy; in a process, in a plain Tokio task on the same runtime, and in
//! plain Tokio under the same load. Two workers. Prints a table in Markdown.
//!
//! `cargo bench --bench fairness`, or with names of loads: `-- busy`.
//! `-- --test` runs it for a moment only.

#![allow(
    clippy::disallowed_methods,
    reason = "a bench asks the machine's clock, and one load blocks"
)]

#[expect(dead_code, reason = "this bench goes without criterion")]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use resurgam::{Context, Node, yield_now};
use tokio::sync::mpsc::unbounded_channel;

const TICK: Duration = Duration::from_millis(1);
/// Each load is run so often with each system, by turns; the median run by
/// its 99th percentile is told.
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let time = Duration::from_millis(if is_test { 100 } else { 4_000 });
    println!(
        "| delay in ms: median / p99 / worst | a process | a Tokio task beside it | plain Tokio |"
    );
    println!("|---|---:|---:|---:|");
    for load in Load::ALL {
        let name = format!("{load:?}").to_lowercase();
        if !names.is_empty() && !names.contains(&&name) {
            continue;
        }
        let mut runs = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            let [process, beside] = among_processes(load, time);
            let [alone] = among_tasks(load, time);
            for (runs, run) in runs.iter_mut().zip([process, beside, alone]) {
                runs.push(run);
            }
        }
        let [process, beside, alone] = runs.map(median).map(Delays::in_words);
        println!("| {} | {process} | {beside} | {alone} |", load.in_words());
    }
}

/// What the others do.
#[derive(Copy, Clone, Debug)]
enum Load {
    Nothing,
    Flood,
    Block,
    Busy,
}

impl Load {
    const ALL: [Self; 4] = [Self::Nothing, Self::Flood, Self::Block, Self::Busy];

    fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing else runs",
            Self::Flood => "one floods another with messages",
            Self::Block => "one blocks its worker for 100 ms, again and again",
            Self::Busy => "1000 are busy, 20 µs at a time",
        }
    }
}

/// How late the heartbeats of a run were.
#[derive(Default)]
struct Delays(Vec<Duration>);

impl Delays {
    /// The delay that this part of the heartbeats does not exceed. They must
    /// be sorted.
    fn at(&self, part: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * part) as usize].as_secs_f64() * 1e3
    }

    fn in_words(self) -> String {
        let (median, worst) = (self.at(0.5), self.at(1.0));
        format!("{median:.1} / {:.1} / {worst:.1}", self.at(0.99))
    }
}

/// The run in the middle.
fn median(mut runs: Vec<Delays>) -> Delays {
    for run in &mut runs {
        run.0.sort();
    }
    runs.sort_by(|a, b| a.at(0.99).total_cmp(&b.at(0.99)));
    runs.swap_remove(runs.len() / 2)
}

/// The delays of a process and of a Tokio task while processes are greedy.
fn among_processes(load: Load, time: Duration) -> [Delays; 2] {
    let runtime = common::runtime();
    let node = common::node(&runtime);
    match load {
        Load::Nothing => {}
        Load::Flood => flood_process(&node),
        Load::Block => spawn(&node, block()),
        Load::Busy => (0..1000).for_each(|_| spawn(&node, be_busy())),
    }
    let (tell, process) = channel();
    let of_node = node.clone();
    let sleep_until = move |due| of_node.sleep_until(due);
    spawn(&node, beat(time, sleep_until, tell));
    let (tell, task) = channel();
    runtime.spawn(beat(time, sleep_in_tokio, tell));
    let delays = [process, task].map(told);
    runtime.shutdown_background();
    delays
}

/// The delays of a Tokio task while other tasks are greedy.
fn among_tasks(load: Load, time: Duration) -> [Delays; 1] {
    let runtime = common::runtime();
    let context = runtime.enter();
    match load {
        Load::Nothing => {}
        Load::Flood => flood_task(),
        Load::Block => drop(tokio::spawn(block())),
        Load::Busy => (0..1000).for_each(|_| drop(tokio::spawn(be_busy()))),
    }
    let (tell, task) = channel();
    tokio::spawn(beat(time, sleep_in_tokio, tell));
    let delays = told(task);
    drop(context);
    runtime.shutdown_background();
    [delays]
}

fn told(delays: Receiver<Delays>) -> Delays {
    delays.recv().expect("the heartbeat does not end before")
}

fn spawn(node: &Node, body: impl Future<Output = ()> + Send + 'static) {
    let process = node.spawn(move |_: Context<()>| body);
    drop(process.expect("a node with room"));
}

fn sleep_in_tokio(due: Instant) -> tokio::time::Sleep {
    tokio::time::sleep_until(due.into())
}

/// Notes for this time how long after its due time each tick comes.
async fn beat<F: Future>(time: Duration, sleep_until: impl Fn(Instant) -> F, tell: Sender<Delays>) {
    let mut delays = Delays::default();
    let end = Instant::now() + time;
    let mut due = Instant::now();
    while due < end {
        due += TICK;
        sleep_until(due).await;
        delays.0.push(due.elapsed());
        // What came late does not make the next one late.
        due = due.max(Instant::now());
    }
    // Nobody listens if the bench has given up.
    let _ = tell.send(delays);
}

/// Blocks its worker for ten parts of eleven.
async fn block() {
    loop {
        std::thread::sleep(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn be_busy() {
    loop {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}

/// How much of a flood is under way, so that memory does not run out.
#[derive(Clone, Default)]
struct Level(Arc<AtomicU64>);

impl Level {
    const HIGH: u64 = 100_000;

    /// Sends as fast as can be, in bursts.
    async fn pour(self, send: impl Fn(u64)) {
        loop {
            if self.0.load(Relaxed) < Self::HIGH {
                (0..1_000).for_each(&send);
                self.0.fetch_add(1_000, Relaxed);
            }
            yield_now().await;
        }
    }

    fn sink(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn flood_process(node: &Node) {
    let level = Level::default();
    let pours = level.clone();
    let receiver = node.spawn(move |mut ctx: Context<u64>| async move {
        loop {
            ctx.receive().await;
            level.sink();
        }
    });
    let receiver = receiver.expect("a node with room");
    spawn(node, pours.pour(move |n| receiver.cast(n)));
}

fn flood_task() {
    let level = Level::default();
    let pours = level.clone();
    let (to_receiver, mut messages) = unbounded_channel();
    tokio::spawn(async move {
        while messages.recv().await.is_some() {
            level.sink();
        }
    });
    // The receiver goes first when the bench ends.
    let send = move |n| _ = to_receiver.send(n);
    tokio::spawn(pours.pour(send));
}
