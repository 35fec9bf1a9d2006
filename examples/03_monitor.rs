//! Monitors: to be told that a process ended, why, and where it panicked.
//!
//! A monitor has one direction and harms nobody: the watcher gets one message,
//! `Down`, whenever the other ends, even if it has ended before.
//!
//! ```erlang
//! {Pid, Ref} = spawn_monitor(fun() -> error(badarith) end),
//! receive {'DOWN', Ref, process, Pid, Reason} -> Reason end,
//! monitor(process, nobody), receive {'DOWN', _, _, _, noproc} -> ok end.
//! ```
//!
//! Run it: `cargo run --example 03_monitor` (the panic's own lines are on the
//! standard error)

use resurgam::{Context, Down, ExitReason, Message, monitor, spawn, spawn_monitor};

/// Shares a bill, and crashes where there is nobody to share it.
async fn waiter(mut ctx: Context<u32>) {
    while let Message::User(guests) = ctx.receive().await {
        let each = 120_u32.checked_div(guests).expect("a bill needs a guest");
        println!("waiter: {guests} guests pay {each} each");
    }
}

async fn next_down(ctx: &mut Context<()>) -> Down {
    match ctx.receive().await {
        Message::Down(down) => down,
        other => panic!("a `Down` was due, not {other:?}"),
    }
}

async fn watcher(mut ctx: Context<()>) -> Result<(), ExitReason> {
    let (waiter, reference) = spawn_monitor(waiter)?;
    waiter.cast(4);
    waiter.cast(0);
    let down = next_down(&mut ctx).await;
    assert_eq!((down.reference, Some(down.pid)), (reference, waiter.pid()));
    let ExitReason::Panicked(panic) = down.reason else {
        panic!("a panic was due, not {}", down.reason);
    };
    let place = panic.location().expect("the panic hook is in place");
    println!("watcher: {} panicked: {}", down.pid, panic.message());
    println!("watcher: it happened at {place}");
    assert_eq!(panic.message(), "a bill needs a guest");
    assert!(place.starts_with(file!()));

    let reference = monitor("nobody");
    let down = next_down(&mut ctx).await;
    println!("watcher: who is `nobody`? {}", down.reason);
    assert_eq!(down.reference, reference);
    assert_eq!(down.reason, ExitReason::NoProcess);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reason = spawn(watcher)?.join().await;
    println!("main: the watcher was not harmed, it ended: {reason}");
    assert!(reason.is_normal());
    Ok(())
}
