//! Trapping exits: a linked crash becomes a message, and what to do about it is
//! up to the receiver. It is what supervisors are made of.
//!
//! Only `kill` cannot be trapped.
//!
//! ```erlang
//! process_flag(trap_exit, true),
//! Pid = spawn_link(fun() -> exit(tired) end),
//! receive {'EXIT', Pid, tired} -> restart end.
//! ```
//!
//! Run it: `cargo run --example 04_trap_exit`

use resurgam::{
    Context, Exit, ExitReason, Message, exit, kill, self_pid, spawn, spawn_link, trap_exit,
};

async fn worker(mut ctx: Context<()>) -> ExitReason {
    ctx.receive().await;
    ExitReason::custom("tired")
}

async fn next_exit(ctx: &mut Context<()>) -> Exit {
    match ctx.receive().await {
        Message::Exit(exit) => exit,
        other => panic!("an `Exit` was due, not {other:?}"),
    }
}

/// A supervisor in a few lines: starts a worker anew whenever it crashes.
async fn keeper(mut ctx: Context<()>) -> Result<(), ExitReason> {
    trap_exit(true);
    for round in 1..=3 {
        let worker = spawn_link(worker)?;
        worker.cast(());
        let Exit { from, reason } = next_exit(&mut ctx).await;
        println!("keeper: worker {from}, my number {round}, ended: {reason}");
        assert_eq!(Some(from), worker.pid());
        assert_eq!(reason, ExitReason::custom("tired"));
    }

    exit(self_pid(), ExitReason::Shutdown);
    let Exit { from, reason } = next_exit(&mut ctx).await;
    println!("keeper: {from} asks me for a {reason}; it is up to me");
    assert_eq!((from, reason), (self_pid(), ExitReason::Shutdown));

    kill(self_pid());
    ctx.receive().await;
    unreachable!("a kill cannot be trapped");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reason = spawn(keeper)?.join().await;
    println!("main: the keeper was {reason}");
    assert_eq!(reason, ExitReason::Killed);
    Ok(())
}
