//! As `memory`, for processes on threads of their own: they are given memory by
//! one thread and give it back on another, so what is measured is what the
//! whole program occupies. It is alone in its program for that.

use std::time::Duration;

use resurgam::{Context, Message, Node, ThreadContext, spawn_options};
use resurgam_workloads::resident;

/// What the program may have grown by, in bytes, whatever the count: what the
/// C library keeps for its threads.
const SLACK: u64 = 1024 * 1024;

/// As many as a million of another kind take time.
fn count() -> u64 {
    let given = std::env::var("RESURGAM_MEMORY_COUNT").ok();
    given.map_or(2000, |count| count.parse::<u64>().expect("a number") / 50)
}

async fn threads(mut ctx: Context<()>, times: u64) {
    for n in 0..times {
        let thread = spawn_options().link().monitor();
        let thread = thread.spawn_thread(move |mut ctx: ThreadContext<u64>| {
            assert_eq!(ctx.receive(), Message::User(n));
        });
        let process = thread.expect("there are threads").process;
        process.cast(n);
        assert!(matches!(ctx.receive().await, Message::Down(_)));
    }
}

#[test]
fn processes_on_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let node = runtime.block_on(async { Node::new().expect("a node") });
    let times = |times: u64| {
        let done = node.spawn(move |ctx| threads(ctx, times));
        let done = done.expect("a node with room");
        let reason = runtime.block_on(done.join());
        assert!(reason.is_normal(), "{reason}");
    };
    // More than the journal of the last events holds.
    times(5000);
    let before = resident();
    times(count());
    let grown = resident().saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more after {}", count());
    assert_eq!((node.process_count(), node.timer_count()), (0, 0));
    let stopped = node.stop(Duration::from_secs(60));
    runtime.block_on(stopped).expect("every process ends");
}
