//! Code that blocks: a process on an OS thread of its own.
//!
//! It is a process like any other: it has a mailbox and a pid, is called,
//! linked, monitored and killed. Only its `receive` blocks a thread instead of
//! awaiting. This program uses no Tokio: the node makes its own runtime.
//!
//! ```erlang
//! Port = open_port({spawn, "reader"}, []),   % The nearest thing in Erlang;
//! Ref = monitor(port, Port),                 % it is no process.
//! receive {'DOWN', Ref, port, Port, Reason} -> Reason end.
//! ```
//!
//! Run it: `cargo run --example 13_blocking`

use std::path::PathBuf;

use resurgam::{
    Context, ExitReason, Message, Node, Reply, ThreadContext, kill, self_pid, spawn_options,
};

/// How many lines does this file have?
struct CountLines(PathBuf, Reply<usize>);

/// Lives on the stack of the thread.
struct OnTheStack;

impl Drop for OnTheStack {
    fn drop(&mut self) {
        println!("reader {}: my destructors run", self_pid());
    }
}

fn reader(mut ctx: ThreadContext<CountLines>) -> Result<(), ExitReason> {
    let _guard = OnTheStack;
    while let Message::User(CountLines(path, reply)) = ctx.receive() {
        // Blocks, and harms nobody but this process.
        reply.send(std::fs::read_to_string(path)?.lines().count());
    }
    Ok(())
}

async fn owner(mut ctx: Context<()>) -> Result<(), ExitReason> {
    let spawned = spawn_options().monitor().spawn_thread(reader)?;
    let reader = spawned.process;

    let this_file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file!());
    let lines = reader.call(|reply| CountLines(this_file, reply)).await?;
    println!("owner: this file has {lines} lines");
    assert_eq!(lines, include_str!("13_blocking.rs").lines().count());

    kill(reader.pid().expect("a spawned process has a pid"));
    let Message::Down(down) = ctx.receive().await else {
        panic!("a `Down` was due");
    };
    println!("owner: the reader was {}", down.reason);
    assert_eq!(Some(down.reference), spawned.monitor);
    assert_eq!(down.reason, ExitReason::Killed);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let owner = node.spawn(owner)?;
    assert!(node.block_on(owner.join()).is_normal());
    Ok(())
}
