//! A supervisor, one for one: only the child that crashed is restarted.
//!
//! For children that do not depend on each other. The rest of the program need
//! not know that anything happened.
//!
//! ```elixir
//! children = [baker, clerk, cleaner]
//! {:ok, sup} = Supervisor.start_link(children, strategy: :one_for_one)
//! Supervisor.which_children(sup)
//! ```
//!
//! Run it: `cargo run --example 08_one_for_one`

use resurgam::{
    CallError, ChildInfo, ChildSpec, Context, ExitReason, Message, Node, Pid, Strategy, Supervisor,
    SupervisorRef, join, self_pid, send,
};

/// Does what it is told until it is told to do the impossible.
async fn worker(mut ctx: Context<&'static str>) -> ExitReason {
    while let Message::User(order) = ctx.receive().await {
        println!("worker {}: {order}", self_pid());
        if order == "divide by zero" {
            return ExitReason::custom("badarith");
        }
    }
    unreachable!("a worker gets nothing but orders");
}

/// The pids of the children, in the order they were started.
async fn pids(sup: &SupervisorRef) -> Result<Vec<Pid>, CallError> {
    let newest_first = sup.which_children().await?;
    Ok(newest_first
        .iter()
        .rev()
        .filter_map(ChildInfo::pid)
        .collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sup = Supervisor::builder(Strategy::OneForOne)
        .children(["baker", "clerk", "cleaner"].map(|id| ChildSpec::process(id, || worker)))
        .start()
        .await?;
    let before = pids(&sup).await?;
    println!("before: {before:?}");

    let ended = join(before[1]);
    send(before[1], "divide by zero")?;
    // Links are told before whoever waits: the supervisor knows by then.
    let reason = ended.await;
    let after = pids(&sup).await?;
    println!("after {reason}: {after:?}");
    assert_eq!(reason, ExitReason::custom("badarith"));
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);

    sup.stop().await?;
    println!("the supervisor stopped, its children first");
    assert_eq!(Node::current().process_count(), 0);
    Ok(())
}
