//! Links: a crash takes along whoever is linked to it, and nobody else.
//!
//! A link has two ends and no direction. It is how processes that make no sense
//! without each other end together; a normal end does not travel along it.
//!
//! ```erlang
//! spawn_link(fun() -> ok end),               % Ends normally; nothing happens.
//! spawn_link(fun() -> exit(disk_full) end),  % Takes its parent along.
//! receive never -> ok end.
//! ```
//!
//! Run it: `cargo run --example 02_link`

use resurgam::{Context, ExitReason, is_alive, self_pid, spawn, spawn_link};

/// Does its work, and ends normally.
async fn honest(_: Context<()>) {
    println!("{}: done", self_pid());
}

/// Waits for a message, and crashes.
async fn doomed(mut ctx: Context<()>) -> ExitReason {
    ctx.receive().await;
    println!("{}: the disk is full", self_pid());
    ExitReason::custom("disk full")
}

/// Links itself to both, and does nothing that could end it.
async fn parent(mut ctx: Context<()>) -> Result<(), ExitReason> {
    let honest = spawn_link(honest)?;
    assert!(honest.join().await.is_normal());
    println!("{}: one child ended normally; I live", self_pid());

    spawn_link(doomed)?.cast(());
    ctx.receive().await;
    unreachable!("nobody sends to the parent");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bystander = spawn(|mut ctx: Context<()>| async move {
        ctx.receive().await;
    })?;

    let reason = spawn(parent)?.join().await;
    println!("main: the parent ended by its other child: {reason}");
    assert_eq!(reason, ExitReason::custom("disk full"));

    let bystander_lives = is_alive(bystander.pid().ok_or("no pid")?).await?;
    println!("main: who was linked to nobody lives: {bystander_lives}");
    assert!(bystander_lives);
    Ok(())
}
