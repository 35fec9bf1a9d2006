//! What costs no allocation once all is warm.
//!
//! The allocator of this test counts what a thread allocates, so all runs on
//! one: a current-thread Tokio runtime.

use std::sync::Arc;

use resurgam::{Context, GenServer, Message, Node, ProcessRef};
use resurgam_workloads::processes::{Echo, Request};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

const OPERATIONS: u64 = 10_000;
/// The first ones warm up, and in any a table may grow.
const RUNS: u32 = 5;

struct World {
    runtime: Runtime,
    node: Node,
    /// Told by the process that has done all operations.
    done: Arc<Notify>,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let node = runtime.block_on(async { Node::new().expect("a node") });
        let done = Arc::new(Notify::new());
        Self {
            runtime,
            node,
            done,
        }
    }

    /// How many allocations operations take that `begin` begins, once all is
    /// warm: what twice as many take more. So what happens once, as when an
    /// idle process gets its first message, does not count.
    fn allocations(&self, begin: impl Fn(u64)) -> u64 {
        let fewest = |operations| {
            let run = || {
                begin(operations);
                self.runtime.block_on(self.done.notified());
            };
            let runs = (0..RUNS).map(|_| allocation_counter::measure(run).count_total);
            runs.min().expect("there are runs")
        };
        let once = fewest(OPERATIONS);
        fewest(2 * OPERATIONS).abs_diff(once)
    }
}

/// A message that two processes send each other.
struct Ball {
    casts_left: u64,
    from: ProcessRef<Ball>,
}

async fn play(mut ctx: Context<Ball>, done: Arc<Notify>) {
    while let Message::User(ball) = ctx.receive().await {
        match ball.casts_left.checked_sub(1) {
            Some(casts_left) => ball.from.cast(Ball {
                casts_left,
                from: ctx.self_ref(),
            }),
            None => done.notify_one(),
        }
    }
}

#[test]
fn a_cast_allocates_nothing() {
    let world = World::new();
    let [here, there] = [(); 2].map(|()| {
        let done = Arc::clone(&world.done);
        let player = world.node.spawn(|ctx| play(ctx, done));
        player.expect("a node with room")
    });
    let allocations = world.allocations(|casts_left| {
        here.cast(Ball {
            casts_left,
            from: there.clone(),
        });
    });
    assert_eq!(allocations, 0, "in {OPERATIONS} casts");
}

#[test]
fn a_call_allocates_nothing() {
    let world = World::new();
    let server = Echo::builder(()).on(&world.node).start();
    let server = world.runtime.block_on(server).expect("the server starts");
    let done = Arc::clone(&world.done);
    let caller = world.node.spawn(move |mut ctx: Context<u64>| async move {
        while let Message::User(calls) = ctx.receive().await {
            for n in 0..calls {
                assert_eq!(server.call(|reply| Request(n, reply)).await, Ok(n));
            }
            done.notify_one();
        }
    });
    let caller = caller.expect("a node with room");
    let allocations = world.allocations(|calls| caller.cast(calls));
    assert_eq!(allocations, 0, "in {OPERATIONS} calls");
}
