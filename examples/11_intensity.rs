//! Restart intensity: a supervisor that restarts too often gives up, and leaves
//! the trouble to its parent.
//!
//! Three restarts in five seconds are too many here. The supervisor then stops
//! its other children and ends with `shutdown`, and says whom it gave up on.
//!
//! ```erlang
//! init([]) -> {ok, {#{strategy => one_for_one, intensity => 2, period => 5},
//!                   [#{id => shaky, start => {shaky, start_link, []}}]}}.
//! %% Its parent, which traps exits, receives {'EXIT', Sup, shutdown}, and has
//! %% to look into the log for the cause.
//! ```
//!
//! Run it: `cargo run --example 11_intensity`

use resurgam::{
    ChildSpec, Context, ExitReason, GaveUp, Message, Strategy, Supervisor, join, kill, spawn,
    trap_exit,
};

async fn parent(mut ctx: Context<()>) -> Result<(), ExitReason> {
    trap_exit(true);
    let idle = |id| ChildSpec::task(id, std::future::pending::<()>);
    let sup = Supervisor::builder(Strategy::OneForOne)
        .max_restarts(2)
        .max_seconds(5)
        .children(["shaky", "steady"].map(idle))
        .start_link()
        .await?;
    let steady = join(sup.which_child("steady").await?.pid().expect("it runs"));
    println!("parent: my supervisor is {:?}", sup.pid());

    for restart in 1..=2 {
        let shaky = sup.which_child("shaky").await?.pid().expect("it runs");
        let ended = join(shaky);
        kill(shaky);
        ended.await;
        let again = sup
            .which_child("shaky")
            .await?
            .pid()
            .expect("it runs again");
        println!("parent: {shaky} was killed; restart {restart} is {again}");
        assert_ne!(shaky, again);
    }

    kill(sup.which_child("shaky").await?.pid().expect("it runs"));
    let Message::Exit(exit) = ctx.receive().await else {
        panic!("an `Exit` was due");
    };
    println!("parent: one too many; {} ended: {}", exit.from, exit.reason);
    assert_eq!(Some(exit.from), sup.pid());
    let why = exit.reason.cause::<GaveUp>().expect("it gave up");
    assert!(exit.reason.is_graceful());
    println!(
        "parent: it was {} that fell too often: {}",
        why.id, why.reason
    );

    let reason = steady.await;
    println!("parent: it stopped its other child first: {reason}");
    assert_eq!(reason, ExitReason::Shutdown);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reason = spawn(parent)?.join().await;
    println!("main: the parent ended: {reason}");
    assert!(reason.is_normal());
    Ok(())
}
