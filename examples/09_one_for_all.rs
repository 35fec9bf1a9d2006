//! A supervisor, one for all: if one child crashes, all are restarted.
//!
//! For children that make no sense without each other. They are started in
//! order and stopped in reverse; here they keep a diary, so that it shows.
//!
//! ```elixir
//! children = [ink, pen, pad]
//! Supervisor.start_link(children, strategy: :one_for_all)
//! # Each traps exits, so that `terminate/2` runs when it is stopped.
//! ```
//!
//! Run it: `cargo run --example 09_one_for_all`

use std::sync::mpsc::{Receiver, Sender, channel};

use resurgam::{
    ChildSpec, ExitReason, GenServer, InitError, ServerContext, Strategy, Supervisor, join, send,
    trap_exit,
};

#[derive(Clone)]
struct Member(&'static str, Sender<String>);

impl GenServer for Member {
    type Args = Self;
    type Message = ();

    async fn init(member: Self, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        member.1.send(format!("+{}", member.0))?;
        Ok(member)
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        Err(ExitReason::custom("broken"))
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        let Self(name, diary) = self;
        diary.send(format!("-{name}")).expect("main reads it");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (sender, diary) = channel();
    let spec = |id| ChildSpec::server::<Member>(id, Member(id, sender.clone()));
    let children = ["ink", "pen", "pad"].map(spec);
    let sup = Supervisor::builder(Strategy::OneForAll).children(children);
    let sup = sup.start().await?;
    check(&diary, "+ink +pen +pad");

    let pen = sup.which_child("pen").await?.pid().ok_or("no pid")?;
    let ended = join(pen);
    send(pen, ())?;
    println!("the pen ends: {}", ended.await);
    // When the supervisor answers it has dealt with that.
    sup.count_children().await?;
    check(&diary, "-pen -pad -ink +ink +pen +pad");

    sup.stop().await?;
    check(&diary, "-pad -pen -ink");
    Ok(())
}

fn check(diary: &Receiver<String>, expected: &str) {
    let lines = diary.try_iter().collect::<Vec<_>>().join(" ");
    println!("{lines}");
    assert_eq!(lines, expected);
}
