//! What the tests share: a world for each test, on every kind of runtime.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use resurgam::{Context, ExitReason, ManualClock, Node, Pid, ProcessRef, is_alive};

/// Runs a test as a process of a fresh node: on a current-thread runtime, on
/// one with two workers, and under some seeds of the simulator. Fails if the
/// process does not end normally, or if the node cannot be stopped with every
/// process ended.
#[track_caller]
pub(crate) fn run<M, F>(test: impl Fn(Context<M>) -> F + Clone + Send + 'static)
where
    M: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    #[cfg(feature = "sim")]
    simulate(test.clone());
    run_on_threads(test);
}

/// As [`run`], on the real runtimes only: for tests that use Tokio or OS
/// threads, that are too large for many runs, or that count on signals of
/// different processes arriving in the order they were sent, which one machine
/// gives and no law promises.
#[track_caller]
pub(crate) fn run_on_threads<M, F>(test: impl Fn(Context<M>) -> F + Clone + Send + 'static)
where
    M: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    for runtime in runtimes() {
        let test = test.clone();
        runtime.block_on(async move {
            let node = Node::new().expect("a node can be made");
            check(&node, test).await;
        });
    }
}

/// Runs a test under some seeds of the simulator.
#[cfg(feature = "sim")]
#[track_caller]
fn simulate<M, F>(test: impl Fn(Context<M>) -> F + Clone + Send + 'static)
where
    M: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    use resurgam::sim::Plan;
    Plan::new().seeds(8).run(|sim| {
        let process = sim.client(test.clone());
        let ended = sim.run(process.join());
        assert_eq!(ended, ExitReason::Normal, "the test did not end normally");
    });
}

/// As [`run`], on a clock that stands still until the test moves it.
#[track_caller]
pub(crate) fn run_with_clock<M, F>(
    test: impl Fn(Context<M>, ManualClock) -> F + Clone + Send + 'static,
) where
    M: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    for runtime in runtimes() {
        let test = test.clone();
        runtime.block_on(async move {
            let clock = ManualClock::new();
            let node = Node::builder()
                .clock(clock.clone())
                .start()
                .expect("a node can be made");
            check(&node, move |ctx| test(ctx, clock)).await;
        });
    }
}

fn runtimes() -> [tokio::runtime::Runtime; 2] {
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let two = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    [
        one.expect("a runtime can be made"),
        two.expect("a runtime can be made"),
    ]
}

async fn check<M, F>(node: &Node, test: impl FnOnce(Context<M>) -> F + Send + 'static)
where
    M: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let process = node.spawn(test).expect("a fresh node can spawn");
    let reason = process.join().await;
    assert_eq!(
        reason,
        ExitReason::Normal,
        "the test's process ended: {reason}"
    );
    node.stop(Duration::from_secs(5))
        .await
        .expect("every process ends");
    assert_eq!(node.process_count(), 0);
    assert_eq!(node.timer_count(), 0);
}

/// Lets `tracing` ask a test's own subscriber about each report.
///
/// While there is only one subscriber, it asks the thread that first comes to a
/// report whether anyone wants it, and keeps the answer; that thread may be
/// another test's.
pub(crate) fn keep_reports_open() {
    static ANOTHER: OnceLock<tracing::Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| tracing::Dispatch::new(tracing_subscriber::registry()));
}

/// A body that does nothing until it is ended.
pub(crate) async fn idle(mut ctx: Context<()>) {
    loop {
        ctx.receive().await;
    }
}

pub(crate) fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("it was spawned")
}

/// What a process did, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn note(&self, what: impl Display) {
        let mut log = self.0.lock().unwrap();
        if !log.is_empty() {
            log.push(' ');
        }
        write!(log, "{what}").unwrap();
    }

    /// Waits until this is the last that the process has noted; all it noted.
    pub(crate) async fn until<M: Send + 'static>(
        &self,
        process: &ProcessRef<M>,
        last: &str,
    ) -> String {
        while !self.0.lock().unwrap().ends_with(last) {
            is_alive(pid_of(process)).await.unwrap();
        }
        self.heard()
    }

    /// All that was noted since it was last asked.
    pub(crate) fn heard(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
