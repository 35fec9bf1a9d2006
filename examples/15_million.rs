//! A million processes at once, and what each costs.
//!
//! Each is idle, as most are most of the time: it waits for a message. None of
//! them uses a stack or a thread; each is one allocation.
//!
//! ```erlang
//! %% erl +P 2000000
//! [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, 1000000)],
//! erlang:memory(processes).
//! ```
//!
//! Run it: `cargo run --release --example 15_million` (or with another number:
//! `... 15_million 50000`)

use std::time::Duration;

use resurgam::{Context, Node};
use tokio::sync::Semaphore;

/// Gets a permit from each process that has begun.
static BEGUN: Semaphore = Semaphore::const_new(0);

async fn idle(mut ctx: Context<()>) {
    BEGUN.add_permits(1);
    ctx.receive().await;
}

/// A figure of this program in bytes, where the kernel tells it.
fn memory(key: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(1024 * kib)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1);
    let count: usize = argument.as_deref().unwrap_or("1000000").parse()?;
    let (node, before) = (Node::new()?, memory("VmRSS:"));
    let began = node.now();
    for _ in 0..count {
        node.spawn(idle)?;
    }
    drop(BEGUN.acquire_many(u32::try_from(count)?).await?);
    let (waiting, took) = (node.process_count(), node.now() - began);
    println!("{waiting} processes wait, after {took:?}");
    assert_eq!(waiting, count);
    if let (Some(before), Some(after)) = (before, memory("VmRSS:")) {
        let each = after.saturating_sub(before) / count.max(1);
        println!("{each} bytes each, {} MiB in all", after >> 20);
    }

    let began = node.now();
    node.stop(Duration::from_secs(60)).await?;
    let (left, took) = (node.process_count(), node.now() - began);
    println!("{left} processes are left, after {took:?}");
    assert_eq!(left, 0);
    if let Some(peak) = memory("VmHWM:") {
        println!("{} MiB at most", peak >> 20);
        assert!(count > 1_000_000 || peak < 1 << 30, "more than 1 GiB");
    }
    Ok(())
}
