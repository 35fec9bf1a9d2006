//! Tasks: work done beside, and its result awaited.
//!
//! A task is a process that computes one value. A linked one goes with its
//! owner and takes it along when it crashes; one that is not only tells.
//!
//! ```elixir
//! task = Task.async(fn -> 6 * 7 end)
//! Task.await(task)
//! Task.async_stream(1..9, &(&1 * &1), max_concurrency: 3)
//! Task.Supervisor.async_nolink(tasks, fn -> raise "no luck" end)
//! ```
//!
//! Run it: `cargo run --example 18_tasks`

use std::future::pending;
use std::time::Duration;

use futures::StreamExt;
use resurgam::{Context, ExitReason, Node, Task, TaskError, TaskSupervisor};

const SHORT: Duration = Duration::from_millis(20);

async fn unlucky() {
    panic!("no luck");
}

async fn lesson(_: Context<()>) -> Result<(), ExitReason> {
    // Linked: an owner that gives up with `?` takes it along.
    let answer = Task::spawn_link(async { 6 * 7 })?;
    println!("the answer is {}", answer.await?);

    // Waiting again and again, and then no longer.
    let mut endless = Task::<()>::spawn_link(pending())?;
    assert_eq!(endless.yield_for(SHORT).await, None);
    assert_eq!(endless.yield_for(SHORT).await, None);
    println!("{endless:?} is not done; it is told to stop");
    assert_eq!(endless.shutdown(SHORT).await, None);

    // A task for each item, three at a time, in order.
    let mut squares = Task::stream(1..=9, |n: u32| async move { n * n }).max_concurrency(3);
    let mut sum = 0;
    while let Some(square) = squares.next().await {
        sum += square?;
    }
    println!("the squares of 1 to 9 add up to {sum}");
    assert_eq!(sum, 285);

    // Not linked, under a supervisor: a crash is an error to who waits.
    let tasks = TaskSupervisor::start_link().await?;
    match tasks.spawn(unlucky()).await?.await {
        Err(TaskError::Down(reason)) => println!("its owner lives, and is told: {reason}"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let ended = node.block_on(node.spawn(lesson)?.join());
    println!("the lesson ended: {ended}");
    assert!(ended.is_normal());
    Ok(())
}
