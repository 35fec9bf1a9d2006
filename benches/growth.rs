//! Growth: what an operation costs among a thousand of its kind, and among a
//! million. Prints a table in Markdown.
//!
//! All runs on one thread, and the time is the processor's, so that what else
//! the machine does counts little.
//!
//! `cargo bench --bench growth`, or with names of subjects: `-- links timers`.
//! `-- --test` runs the small sizes only.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use resurgam::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, ManualClock, Name, Node, Pid, ProcessRef,
    Strategy, Supervisor, cancel_timer, demonitor, exit, kill, link, monitor, register, self_pid,
    send_after, spawn, unlink, unregister, whereis, yield_now,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const HOUR: Duration = Duration::from_secs(3600);
/// How many operations are done among those that are there.
const AMONG: u64 = 1_000;
/// The next size is left out if this one took longer.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let sizes = if is_test { &SIZES[..2] } else { &SIZES };
    println!("| ns per operation | 10^3 | 10^4 | 10^5 | 10^6 | last / first |");
    println!("|---|---:|---:|---:|---:|---:|");
    for subject in Subject::ALL {
        let name = format!("{subject:?}").to_lowercase();
        if names.is_empty() || names.contains(&&name) {
            print(&measure(subject, sizes));
        }
    }
}

/// What there is a growing number of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Subject {
    Processes,
    Names,
    Links,
    Chain,
    Monitors,
    Timers,
    Fired,
    Dynamic,
    Children,
}

impl Subject {
    const ALL: [Self; 9] = [
        Self::Processes,
        Self::Names,
        Self::Links,
        Self::Chain,
        Self::Monitors,
        Self::Timers,
        Self::Fired,
        Self::Dynamic,
        Self::Children,
    ];

    async fn run(self, ctx: Context<()>, clock: ManualClock, size: u64) -> Vec<Lap> {
        match self {
            Self::Processes => processes(ctx, size).await,
            Self::Names => names(size),
            Self::Links => links(ctx, size).await,
            Self::Chain => chain(ctx, size).await,
            Self::Monitors => monitors(ctx, size).await,
            Self::Timers => timers(size),
            Self::Fired => fired(ctx, clock, size).await,
            Self::Dynamic => dynamic(size).await,
            Self::Children => children(ctx, size).await,
        }
    }
}

/// A part of a run: what was done, and how long one took.
struct Lap {
    what: &'static str,
    nanoseconds: f64,
}

struct Watch {
    laps: Vec<Lap>,
    since: Duration,
}

impl Watch {
    fn start() -> Self {
        Self {
            laps: Vec::new(),
            since: processor_time(),
        }
    }

    /// Ends a lap in which so many operations were done.
    fn lap(&mut self, what: &'static str, operations: u64) {
        let nanoseconds = (processor_time() - self.since).as_nanos() as f64 / operations as f64;
        self.laps.push(Lap { what, nanoseconds });
        self.since = processor_time();
    }
}

/// How long this thread has run.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("it does not run backwards")
}

/// The laps of a subject, for each size.
fn measure(subject: Subject, sizes: &[u64]) -> Vec<Vec<Lap>> {
    let mut all = Vec::new();
    for size in sizes {
        eprintln!("{size} {subject:?}");
        let begun = processor_time();
        let runs = (100_000 / size).clamp(1, 11) | 1;
        all.push(median((0..runs).map(|_| run(subject, *size)).collect()));
        if (processor_time() - begun) / runs as u32 > PATIENCE {
            break;
        }
    }
    all
}

/// One run, on a node of its own with one worker.
fn run(subject: Subject, size: u64) -> Vec<Lap> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (tell, told) = mpsc::channel();
    runtime.block_on(async {
        let clock = ManualClock::new();
        let builder = match subject {
            Subject::Fired => Node::builder().clock(clock.clone()),
            _ => Node::builder(),
        };
        let node = builder.start().expect("a node");
        let root = node.spawn(move |ctx| async move {
            let laps = subject.run(ctx, clock, size).await;
            tell.send(laps).expect("the bench waits");
        });
        let reason = root.expect("a node with room").join().await;
        assert!(reason.is_normal(), "{subject:?}: {reason:?}");
    });
    told.recv().expect("the run ended normally")
}

/// The median of each lap.
fn median(mut runs: Vec<Vec<Lap>>) -> Vec<Lap> {
    let laps = (0..runs[0].len()).map(|index| {
        runs.sort_by(|a, b| a[index].nanoseconds.total_cmp(&b[index].nanoseconds));
        let Lap { what, nanoseconds } = runs[runs.len() / 2][index];
        Lap { what, nanoseconds }
    });
    laps.collect()
}

fn print(sizes: &[Vec<Lap>]) {
    for (index, lap) in sizes[0].iter().enumerate() {
        let figure = |laps: &Vec<Lap>| laps[index].nanoseconds;
        let cells: Vec<_> = (0..SIZES.len())
            .map(|size| {
                sizes
                    .get(size)
                    .map_or("-".into(), |laps| format!("{:.0}", figure(laps)))
            })
            .collect();
        let growth = figure(&sizes[sizes.len() - 1]) / figure(&sizes[0]);
        println!("| {} | {} | {growth:.1} |", lap.what, cells.join(" | "));
    }
}

/// How many have still to do their part. All runs on one thread.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Counts one as done; whether it was the last.
fn is_last() -> bool {
    LEFT.fetch_sub(1, Relaxed) == 1
}

/// Waits until there are no more processes than this.
async fn until_left(node: &Node, processes: usize) {
    while node.process_count() > processes {
        yield_now().await;
    }
}

/// A process that never reads.
fn spawn_deaf() -> Pid {
    let process = spawn(|ctx: Context<()>| async move {
        pending::<()>().await;
        drop(ctx);
    });
    pid_of(&process.expect("a node with room"))
}

fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("a process, not a name")
}

/// All of a list, far from one to the next.
fn scattered<T>(list: &[T]) -> impl Iterator<Item = &T> {
    const STRIDE: usize = 617_411;
    (0..list.len()).map(|index| &list[index * STRIDE % list.len()])
}

async fn processes(mut ctx: Context<()>, size: u64) -> Vec<Lap> {
    let node = ctx.node();
    let mut watch = Watch::start();
    let spawned = (0..size).map(|_| {
        let root = ctx.self_ref();
        let process = spawn(move |mut ctx: Context<()>| async move {
            loop {
                ctx.receive().await;
                if is_last() {
                    root.cast(());
                }
            }
        });
        process.expect("a node with room")
    });
    let spawned: Vec<_> = spawned.collect();
    yield_now().await;
    watch.lap("spawn a process that waits", size);
    LEFT.store(size, Relaxed);
    scattered(&spawned).for_each(|process| process.cast(()));
    ctx.receive().await;
    watch.lap("send to one of them, and it receives", size);
    for process in scattered(&spawned) {
        exit(pid_of(process), ExitReason::Shutdown);
    }
    until_left(&node, 1).await;
    watch.lap("end one by an exit signal", size);
    watch.laps
}

fn names(size: u64) -> Vec<Lap> {
    let pids: Vec<_> = (0..size).map(|_| spawn_deaf()).collect();
    let names: Vec<_> = (0..size).map(|n| Name::from(format!("name {n}"))).collect();
    let mut watch = Watch::start();
    for (name, pid) in names.iter().zip(pids) {
        register(name, pid).expect("the name is free");
    }
    watch.lap("register a name", size);
    for name in scattered(&names) {
        assert!(whereis(name).is_some());
    }
    watch.lap("look a name up", size);
    for name in scattered(&names) {
        unregister(name).expect("the name is taken");
    }
    watch.lap("unregister a name", size);
    watch.laps
}

async fn links(mut ctx: Context<()>, size: u64) -> Vec<Lap> {
    let (node, root) = (ctx.node(), ctx.self_ref());
    let others: Vec<_> = (0..size).map(|_| spawn_deaf()).collect();
    yield_now().await;
    let mut watch = Watch::start();
    let hub = spawn(move |mut ctx: Context<()>| async move {
        scattered(&others).for_each(|other| link(*other));
        yield_now().await;
        root.cast(());
        loop {
            ctx.receive().await;
        }
    });
    let hub = pid_of(&hub.expect("a node with room"));
    ctx.receive().await;
    watch.lap("link one process to many", size);
    for _ in 0..AMONG {
        link(hub);
        yield_now().await;
        unlink(hub);
        yield_now().await;
    }
    watch.lap("link and unlink one that has as many links", AMONG);
    exit(hub, ExitReason::Shutdown);
    until_left(&node, 1).await;
    watch.lap("end along a link to one that ends", size);
    watch.laps
}

async fn chain(ctx: Context<()>, size: u64) -> Vec<Lap> {
    let node = ctx.node();
    let first = spawn_deaf();
    let mut last = first;
    let mut watch = Watch::start();
    for _ in 0..size {
        let before = last;
        let next = spawn(move |ctx: Context<()>| async move {
            link(before);
            pending::<()>().await;
            drop(ctx);
        });
        last = pid_of(&next.expect("a node with room"));
    }
    yield_now().await;
    yield_now().await;
    watch.lap("spawn a process and link it to the one before", size);
    exit(first, ExitReason::Shutdown);
    until_left(&node, 1).await;
    watch.lap("end along a chain of links", size);
    watch.laps
}

async fn monitors(mut ctx: Context<()>, size: u64) -> Vec<Lap> {
    let targets: Vec<_> = (0..size).map(|_| spawn_deaf()).collect();
    yield_now().await;
    let mut watch = Watch::start();
    for target in scattered(&targets) {
        monitor(*target);
    }
    yield_now().await;
    watch.lap("monitor many", size);
    for _ in 0..AMONG {
        demonitor(monitor(targets[0]));
        yield_now().await;
    }
    watch.lap("monitor and demonitor by one that monitors as many", AMONG);
    for target in scattered(&targets) {
        exit(*target, ExitReason::Shutdown);
    }
    receive(&mut ctx, size).await;
    watch.lap("a process ends, and its monitor tells", size);
    let target = spawn_deaf();
    yield_now().await;
    let mut watch = Watch {
        since: processor_time(),
        ..watch
    };
    for _ in 0..size {
        monitor(target);
    }
    yield_now().await;
    watch.lap("monitor one process many times", size);
    exit(target, ExitReason::Shutdown);
    receive(&mut ctx, size).await;
    watch.lap("one of many monitors of one process tells", size);
    watch.laps
}

/// Receives so many messages of any kind.
async fn receive(ctx: &mut Context<()>, count: u64) {
    for _ in 0..count {
        ctx.receive().await;
    }
}

/// Delays in no order, from one to two hours.
fn delays(count: u64) -> impl Iterator<Item = Duration> {
    let seconds: Vec<_> = (0..count).collect();
    let scattered: Vec<_> = scattered(&seconds).copied().collect();
    scattered
        .into_iter()
        .map(|n| HOUR + Duration::from_micros(n))
}

fn timers(size: u64) -> Vec<Lap> {
    let me = self_pid();
    let mut watch = Watch::start();
    let armed: Vec<_> = delays(size)
        .map(|delay| send_after(delay, me, ()))
        .collect();
    watch.lap("set a timer", size);
    for delay in delays(AMONG) {
        cancel_timer(send_after(delay, me, ()));
    }
    watch.lap("set and cancel one more timer", AMONG);
    for timer in scattered(&armed) {
        assert!(cancel_timer(*timer).is_some());
    }
    watch.lap("cancel a timer", size);
    watch.laps
}

async fn fired(mut ctx: Context<()>, clock: ManualClock, size: u64) -> Vec<Lap> {
    let me = self_pid();
    for delay in delays(size) {
        send_after(delay, me, ());
    }
    let mut watch = Watch::start();
    clock.advance(2 * HOUR);
    receive(&mut ctx, size).await;
    watch.lap("a timer fires, and its message is received", size);
    watch.laps
}

async fn dynamic(size: u64) -> Vec<Lap> {
    let supervisor = DynamicSupervisor::builder().start().await;
    let supervisor = supervisor.expect("the supervisor starts");
    let spec = ChildSpec::task("child", pending::<()>);
    let mut watch = Watch::start();
    let mut oldest = Vec::new();
    for n in 0..size {
        let child = supervisor.start_child(spec.clone()).await;
        if n < AMONG {
            oldest.push(child.expect("the child starts").pid().expect("a process"));
        }
    }
    watch.lap("start a child of a dynamic supervisor", size);
    for child in oldest {
        supervisor
            .terminate_child(child)
            .await
            .expect("the child is there");
        supervisor
            .start_child(spec.clone())
            .await
            .expect("the child starts");
    }
    watch.lap("stop one of them and start another", AMONG);
    supervisor.stop().await.expect("the supervisor stops");
    watch.lap("stop all children of a dynamic supervisor, per child", size);
    watch.laps
}

async fn children(mut ctx: Context<()>, size: u64) -> Vec<Lap> {
    let specs = (0..size).map(|n| {
        let root = ctx.self_ref();
        ChildSpec::task(format!("child {n}"), move || {
            let root = root.clone();
            async move {
                root.cast(());
                pending::<()>().await;
            }
        })
    });
    let supervisor = Supervisor::builder(Strategy::OneForOne)
        .intensity(u32::MAX, HOUR)
        .children(specs);
    let mut watch = Watch::start();
    let supervisor = supervisor.start().await.expect("the supervisor starts");
    watch.lap("start a child of a supervisor", size);
    receive(&mut ctx, size).await;
    let all = supervisor
        .which_children()
        .await
        .expect("the supervisor lives");
    let some: Vec<_> = scattered(&all).take(AMONG as usize).collect();
    let mut watch = Watch {
        since: processor_time(),
        ..watch
    };
    for child in &some {
        kill(child.pid().expect("a process"));
        ctx.receive().await;
    }
    watch.lap("restart one of them that was killed", AMONG);
    for child in &some {
        let id = &child.id;
        supervisor
            .terminate_child(id.clone())
            .await
            .expect("the child is there");
        supervisor
            .restart_child(id.clone())
            .await
            .expect("the child starts");
    }
    watch.lap("terminate one of them by its id and restart it", AMONG);
    supervisor.stop().await.expect("the supervisor stops");
    watch.lap("stop all children of a supervisor, per child", size);
    watch.laps
}
