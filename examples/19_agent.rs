//! An agent: a state in a process of its own, and functions sent to it.
//!
//! ```elixir
//! {:ok, basket} = Agent.start_link(fn -> [] end, name: :basket)
//! Agent.update(:basket, &["apple" | &1])
//! Agent.get(:basket, &length/1)
//! ```
//!
//! Run it: `cargo run --example 19_agent`

use resurgam::{Agent, CallError, ChildSpec, Strategy, Supervisor};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Named and supervised, as any server.
    let empty = || Agent::builder(Vec::<&str>::new).name("basket");
    let sup = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::server_with("basket", empty))
        .start()
        .await?;

    let basket = Agent::<Vec<&str>>::named("basket");
    basket.update(|fruits| fruits.push("apple")).await?;
    basket.cast(|fruits| fruits.push("pear"));
    println!("{} fruits", basket.get(|fruits| fruits.len()).await?);
    assert_eq!(basket.get_and_update(Vec::pop).await?, Some("pear"));

    // A function that panics ends the agent; its caller hears why, and the
    // supervisor starts it anew, with its first state.
    let third = basket.get(|fruits| fruits[2]).await;
    match &third {
        Err(CallError::Down(reason)) => println!("there is no third one: {reason}"),
        other => panic!("{other:?}"),
    }
    // Its answer comes when the restart is done.
    sup.which_child("basket").await?;
    sup.stop().await?;
    println!("the supervisor stopped, and the agent with it");
    Ok(())
}
