//! An event bus: topics, subscribers, broadcasts.
//!
//! Each subscriber gets the events as messages of its own type. Who ends is a
//! subscriber no more.
//!
//! ```elixir
//! children = [{Phoenix.PubSub, name: Bus}]
//! Phoenix.PubSub.subscribe(Bus, "kitchen")
//! Phoenix.PubSub.broadcast(Bus, "kitchen", {:ready, 4})
//! ```
//!
//! Run it: `cargo run --example 23_pubsub`

use resurgam::{
    ChildSpec, Context, ExitReason, Message, ProcessRef, PubSub, Strategy, Supervisor, spawn,
};

/// The dish for this table is ready.
#[derive(Clone)]
struct Ready(u32);

enum Waiter {
    Serve(u32),
    GoHome,
}

/// Serves what the kitchen has ready, and tells the guests.
async fn waiter(
    mut ctx: Context<Waiter>,
    kitchen: PubSub<Ready>,
    guests: tokio::sync::mpsc::Sender<u32>,
) -> Result<(), ExitReason> {
    kitchen.subscribe("dishes", ctx.self_ref(), |Ready(table)| {
        Waiter::Serve(table)
    })?;
    guests.send(0).await?;
    while let Message::User(Waiter::Serve(table)) = ctx.receive().await {
        println!("{} serves table {table}", ctx.pid());
        guests.send(table).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kitchen = PubSub::new();
    let bus = kitchen.clone();
    let sup = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::server_with("kitchen", move || bus.builder()))
        .start()
        .await?;

    let (told, mut guests) = tokio::sync::mpsc::channel(8);
    let mut waiters: Vec<ProcessRef<Waiter>> = Vec::new();
    for _ in 0..2 {
        let (kitchen, told) = (kitchen.clone(), told.clone());
        waiters.push(spawn(move |ctx| waiter(ctx, kitchen, told))?);
        guests.recv().await;
    }

    assert_eq!(kitchen.broadcast("dishes", Ready(4)), 2);
    assert_eq!(kitchen.broadcast("drinks", Ready(4)), 0);
    for _ in 0..2 {
        assert_eq!(guests.recv().await, Some(4));
    }

    waiters[0].cast(Waiter::GoHome);
    waiters[0].join().await;
    println!("waiters left: {:?}", kitchen.subscribers("dishes"));
    assert_eq!(kitchen.broadcast("dishes", Ready(7)), 1);
    assert_eq!(guests.recv().await, Some(7));

    sup.stop().await?;
    Ok(())
}
