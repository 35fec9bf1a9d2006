//! A dynamic supervisor: children that come and go, each on its own.
//!
//! For what there are many of: connections, sessions, jobs. It starts with no
//! children; a child that is not restarted leaves no trace.
//!
//! ```elixir
//! {:ok, sup} = DynamicSupervisor.start_link(max_children: 3)
//! {:ok, pid} = DynamicSupervisor.start_child(sup, {Job, 1})
//! DynamicSupervisor.terminate_child(sup, pid)
//! ```
//!
//! Run it: `cargo run --example 12_dynamic_supervisor`

use std::error::Error;

use resurgam::{
    CallError, ChildInfo, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorRef, ExitReason,
    Message, Node, Pid, join, send,
};

/// Does as it is told: ends well or badly.
async fn job(mut ctx: Context<Result<(), &'static str>>) -> ExitReason {
    match ctx.receive().await {
        Message::User(Err(why)) => ExitReason::custom(why),
        _ => ExitReason::Normal,
    }
}

async fn pids(sup: &DynamicSupervisorRef) -> Result<Vec<Pid>, CallError> {
    let children = sup.which_children().await?;
    Ok(children.iter().filter_map(ChildInfo::pid).collect())
}

/// Tells a job how to end, and waits until it has.
async fn end(job: Pid, how: Result<(), &'static str>) -> Result<(), Box<dyn Error>> {
    let ended = join(job);
    send(job, how)?;
    println!("{job} ends: {}", ended.await);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sup = DynamicSupervisor::builder().max_children(3).start().await?;
    // Transient: restarted if it fails, forgotten if it succeeds.
    let spec = ChildSpec::process("job", || job).transient();
    let mut jobs = Vec::new();
    while jobs.len() < 3 {
        jobs.extend(sup.start_child(spec.clone()).await?.pid());
    }
    let refused = sup.start_child(spec).await.expect_err("three are enough");
    println!("jobs {jobs:?}; one more? {refused}");

    end(jobs[0], Ok(())).await?;
    assert_eq!(pids(&sup).await?.len(), 2);

    end(jobs[1], Err("no luck")).await?;
    let now = pids(&sup).await?;
    println!("the one that failed was restarted: {now:?}");
    assert!(now.len() == 2 && now.contains(&jobs[2]) && !now.contains(&jobs[1]));

    sup.terminate_child(jobs[2]).await?;
    println!("{} was terminated: {:?}", jobs[2], pids(&sup).await?);
    assert_eq!(pids(&sup).await?.len(), 1);

    sup.stop().await?;
    assert_eq!(Node::current().process_count(), 0);
    println!("the supervisor stopped, and the last job with it");
    Ok(())
}
