//! Scenarios of tasks: each owner gets the result of each of its tasks, or the
//! reason why there is none, and no task outlives what it is for.

use futures::StreamExt;
use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, OnTimeout, Strategy, Supervisor, Task,
    TaskError, TaskSupervisor, YieldMany, sleep, trap_exit,
};

use super::{Root, SECOND, expect_nothing_left, is_a_blow, must, role};

/// What each task does: it takes its time.
async fn double(number: u32) -> u32 {
    sleep(SECOND).await;
    2 * number
}

/// The result of `double`, or the reason of a task that was struck.
fn expect(number: u32, result: Result<u32, ExitReason>) {
    match result {
        Ok(result) => must(result == 2 * number, || {
            format!("{result} is the result of another task than {number}")
        }),
        Err(reason) => must(is_a_blow(&reason), || {
            format!("task {number} has no result: {reason}")
        }),
    }
}

fn expect_joined(number: u32, result: Result<u32, TaskError>) {
    match result {
        Ok(result) => expect(number, Ok(result)),
        Err(TaskError::Down(reason)) => expect(number, Err(reason)),
        Err(error) => must(false, || format!("task {number}: {error}")),
    }
}

/// Two owners, one that traps exits and one that does not, wait for tasks in
/// every way there is.
pub(super) fn awaited(sim: &mut Sim) {
    for traps in [false, true] {
        role(sim, "owner", move |ctx| wait_for_one(ctx, traps));
        role(sim, "owner of many", move |ctx| wait_for_many(ctx, traps));
    }
    let outside = Task::spawn_on(sim.node(), double(9)).expect("there is room");
    sim.outside(async move {
        let result = outside.join().no_timeout().await;
        assert!(
            matches!(result, Ok(18) | Err(TaskError::Down(_))),
            "{result:?}"
        );
    });
    expect_nothing_left(sim);
}

async fn wait_for_one(mut ctx: Context<()>, traps: bool) -> Result<(), ExitReason> {
    trap_exit(traps);
    let late = Task::spawn_link(double(1))?;
    let mut slow = Task::spawn(double(2))?;
    let early = slow.yield_for(SECOND / 2).await;
    match early {
        Some(result) => expect(2, result),
        None => match slow.yield_for(SECOND).await {
            Some(result) => expect(2, result),
            None => must(false, || "no result after its time".to_owned()),
        },
    }
    // It has been over for a while.
    expect_joined(1, late.join().no_timeout().await);
    let deaf = async {
        trap_exit(true);
        std::future::pending::<u32>().await
    };
    let ended = Task::spawn_link(deaf)?.shutdown(SECOND).await;
    must(!matches!(ended, Some(Ok(_))), || {
        "a result out of nothing".to_owned()
    });
    hear_nothing_more(&mut ctx).await;
    Ok(())
}

async fn wait_for_many(mut ctx: Context<()>, traps: bool) -> Result<(), ExitReason> {
    trap_exit(traps);
    let tasks = [Task::spawn_link(double(0))?, Task::spawn(double(1))?];
    match Task::join_many(tasks, 10 * SECOND).await {
        Ok(results) => must(results == [0, 2], || format!("joined {results:?}")),
        // The other runs on, and its link tells of its end.
        Err(_) => return Ok(()),
    }
    let mut tasks = [
        Task::spawn(double(2))?,
        Task::spawn_link(std::future::pending())?,
    ];
    let how = YieldMany::from(2 * SECOND).on_timeout(OnTimeout::KillTask);
    let results = Task::yield_many(&mut tasks, how).await;
    must(results.len() == 2, || format!("yielded {results:?}"));
    for result in results.into_iter().flatten() {
        expect(2, result);
    }
    hear_nothing_more(&mut ctx).await;
    Ok(())
}

/// Neither results nor ends of tasks are messages.
async fn hear_nothing_more(ctx: &mut Context<()>) {
    let next = ctx.receive_timeout(3 * SECOND).await;
    must(next.as_ref().is_none_or(super::is_end_of_node), || {
        format!("heard {next:?}")
    });
}

fn root(sim: &mut Sim) -> Root {
    let tasks = || DynamicSupervisor::builder().name("tasks");
    let top = Supervisor::builder(Strategy::OneForOne);
    Root::start(
        sim,
        top.child(ChildSpec::dynamic_supervisor("tasks", tasks)),
    )
}

/// Owners whose tasks are children of a supervisor.
pub(super) fn supervised(sim: &mut Sim) {
    let root = root(sim);
    role(sim, "owner", move |ctx| ask_supervisor(ctx, false));
    role(sim, "trapping owner", move |ctx| ask_supervisor(ctx, true));
    root.expect_whole_or_gone(sim, 2, &["tasks"]);
    root.stop(sim);
}

async fn ask_supervisor(mut ctx: Context<()>, traps: bool) {
    trap_exit(traps);
    let tasks = TaskSupervisor::named("tasks");
    // What does not start is told by an error, and so is no task.
    if let Ok(task) = tasks.spawn(double(1)).await {
        expect_joined(1, task.join().no_timeout().await);
    }
    if let Ok(task) = tasks.spawn_link(double(2)).await {
        expect_joined(2, task.join().no_timeout().await);
    }
    let _ = tasks.start_child(|| sleep(SECOND)).await;
    hear_nothing_more(&mut ctx).await;
}

/// Streams of tasks, in order and not, linked, free and supervised.
pub(super) fn streams(sim: &mut Sim) {
    let root = root(sim);
    role(sim, "linked", |_: Context<()>| async {
        let stream = Task::stream(0..ITEMS, double).max_concurrency(2);
        expect_each(stream.no_timeout().collect().await);
    });
    role(sim, "free", |_: Context<()>| async {
        trap_exit(true);
        let stream = Task::stream_nolink(0..ITEMS, double).max_concurrency(2);
        let mut results: Vec<_> = stream.no_timeout().unordered().collect().await;
        results.sort_by_key(|result| result.clone().unwrap_or(u32::MAX));
        // At most one was struck; it comes last.
        let failed = results.pop_if(|result| result.is_err());
        let numbers =
            (0..ITEMS).filter(|number| failed.is_none() || results.contains(&Ok(2 * number)));
        let expected: Vec<_> = numbers.map(|number| Ok(2 * number)).collect();
        must(results == expected, || format!("{results:?}, {failed:?}"));
    });
    role(sim, "supervised", |_: Context<()>| async {
        let tasks = TaskSupervisor::named("tasks");
        let stream = tasks.stream_nolink(0..ITEMS, double).max_concurrency(2);
        expect_each(stream.no_timeout().collect().await);
    });
    root.expect_whole_or_gone(sim, 2, &["tasks"]);
    root.stop(sim);
}

const ITEMS: u32 = 3;

/// Each item has one outcome, in the order of the items.
fn expect_each(results: Vec<Result<u32, TaskError>>) {
    // The supervisor is gone, or the node takes nobody.
    let is_cut = matches!(results.last(), Some(Err(TaskError::NotStarted(_))));
    let whole = is_cut || results.len() == ITEMS as usize;
    must(whole, || format!("of {ITEMS} items: {results:?}"));
    let told = results.len() - usize::from(is_cut);
    for (number, result) in (0..).zip(results.into_iter().take(told)) {
        expect_joined(number, result);
    }
}
