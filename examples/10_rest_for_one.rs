//! A supervisor, rest for one: the child that crashed and those started after
//! it are restarted.
//!
//! For a chain, where each child depends on the ones before it.
//!
//! ```elixir
//! children = [database, cache, web]
//! {:ok, sup} = Supervisor.start_link(children, strategy: :rest_for_one)
//! Process.exit(cache, :kill)  # The web goes along, the database stays.
//! ```
//!
//! Run it: `cargo run --example 10_rest_for_one`

use resurgam::{
    CallError, ChildInfo, ChildSpec, ExitReason, Pid, Strategy, Supervisor, SupervisorRef, join,
    kill,
};

/// The pids of the children, in the order they were started.
async fn pids(sup: &SupervisorRef) -> Result<Vec<Pid>, CallError> {
    let newest_first = sup.which_children().await?;
    Ok(newest_first
        .iter()
        .rev()
        .filter_map(ChildInfo::pid)
        .collect())
}

/// Kills a child; which children are other processes now.
async fn replaced_by_the_end_of(rank: usize, sup: &SupervisorRef) -> Result<Vec<bool>, CallError> {
    let before = pids(sup).await?;
    let ended = join(before[rank]);
    kill(before[rank]);
    // Links are told before whoever waits: the supervisor knows by then.
    assert_eq!(ended.await, ExitReason::Killed);
    let after = pids(sup).await?;
    println!("{before:?}, number {rank} is killed: {after:?}");
    Ok(before
        .iter()
        .zip(&after)
        .map(|(before, after)| before != after)
        .collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let idle = |id| ChildSpec::task(id, std::future::pending::<()>);
    let sup = Supervisor::builder(Strategy::RestForOne)
        .children(["database", "cache", "web"].map(idle))
        .start()
        .await?;

    assert_eq!(replaced_by_the_end_of(2, &sup).await?, [false, false, true]);
    assert_eq!(replaced_by_the_end_of(1, &sup).await?, [false, true, true]);
    assert_eq!(replaced_by_the_end_of(0, &sup).await?, [true, true, true]);

    sup.stop().await?;
    Ok(())
}
