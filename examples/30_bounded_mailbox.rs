//! Bounded mailboxes: what happens when work comes faster than it is done. Those
//! who can wait do, or are refused, or the newest or the oldest message goes.
//!
//! In Erlang a mailbox grows until the memory is used up; its users build this
//! by hand.
//!
//! Run it: `cargo run --example 30_bounded_mailbox`

use resurgam::{Context, Message, Node, Overflow, ProcessRef, SendError, Spawned};

/// Takes numbers, once the door has been removed.
fn clerk(node: &Node, overflow: Overflow, door: ProcessRef<()>) -> ProcessRef<u32> {
    let options = node.spawn_options().mailbox(3, overflow);
    let clerk = options.spawn(move |mut ctx: Context<u32>| async move {
        door.join().await;
        println!("{overflow:?}:");
        while let Message::User(n) = ctx.receive().await {
            println!("  clerk: {n}");
            if n == 0 {
                return;
            }
        }
    });
    let Spawned { process, .. } = clerk.expect("a fresh node can spawn");
    process
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let door = || node.spawn(|_: Context<()>| std::future::pending::<()>());

    // A slow consumer slows its producer down: nothing is lost.
    let shut = door()?;
    let patient = clerk(&node, Overflow::Wait, shut.clone());
    let producer = node.spawn(move |_: Context<()>| async move {
        for n in (0..=5).rev() {
            // Waits from the fourth number on.
            patient.send_wait(n).await.expect("the clerk has a pid");
        }
    })?;
    open(&node, &shut);
    node.block_on(producer.join());

    // Who cannot wait gets its message back.
    let shut = door()?;
    let busy = clerk(&node, Overflow::Refuse, shut.clone());
    for n in [2, 1, 0, 9] {
        if let Err(SendError::Full { message, .. }) = busy.send(n) {
            println!("handed back: {message}");
        }
    }
    open(&node, &shut);
    node.block_on(busy.join());

    // Of prices or positions only the last ones count.
    let shut = door()?;
    let ticker = clerk(&node, Overflow::DropOldest, shut.clone());
    for n in (0..=9).rev() {
        ticker.cast(n);
    }
    open(&node, &shut);
    node.block_on(ticker.join());
    Ok(())
}

fn open(node: &Node, door: &ProcessRef<()>) {
    node.kill(door.pid().expect("it was spawned"));
}
