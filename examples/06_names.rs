//! Names: register, send by name, and a name that survives a restart.
//!
//! A name is looked up at each send. Who holds it may change; whoever sends to
//! it need not know.
//!
//! ```elixir
//! Process.register(spawn(&clerk/0), :clerk)
//! send(:clerk, :hello)
//! Supervisor.start_link([{Clerk, name: :clerk}], strategy: :one_for_one)
//! ```
//!
//! Run it: `cargo run --example 06_names`

use resurgam::{
    ChildSpec, Context, ExitReason, Message, Pid, ProcessRef, Reply, SendError, StartError,
    Started, Strategy, Supervisor, join, register, self_pid, send, spawn, spawn_options, whereis,
};

enum Ask {
    WhoAreYou(Reply<Pid>),
    Crash,
}

async fn clerk(mut ctx: Context<Ask>) -> ExitReason {
    while let Message::User(Ask::WhoAreYou(reply)) = ctx.receive().await {
        reply.send(self_pid());
    }
    ExitReason::custom("asked too much")
}

/// Starts a clerk that has its name from its first moment.
async fn start_clerk() -> Result<Started, StartError> {
    let spawned = spawn_options().name("clerk").link().spawn(clerk)?;
    Started::process(&spawned.process)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_name = ProcessRef::<Ask>::named("clerk");
    let lost = by_name.send(Ask::Crash);
    println!("nobody is the clerk yet: {lost:?}");
    assert!(matches!(lost, Err(SendError::Unregistered { .. })));

    let hired = spawn(clerk)?;
    register("clerk", hired.pid().ok_or("no pid")?)?;
    assert_eq!(by_name.call(Ask::WhoAreYou).await.ok(), hired.pid());
    hired.stop(ExitReason::Normal).await?;
    assert_eq!(whereis("clerk"), None);
    println!("{hired:?} was the clerk; its name went with it");

    let sup = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::new("clerk", start_clerk))
        .start()
        .await?;
    let first = by_name.call(Ask::WhoAreYou).await?;
    let ended = join(first);
    send("clerk", Ask::Crash)?;
    println!("{first} is the clerk, and crashes: {}", ended.await);

    // When the supervisor answers it has dealt with the crash.
    sup.which_child("clerk").await?;
    let second = by_name.call(Ask::WhoAreYou).await?;
    println!("{second} is the clerk; the reference is the same");
    assert_ne!(first, second);
    sup.stop().await?;
    Ok(())
}
