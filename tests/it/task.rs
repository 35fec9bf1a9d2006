//! Tasks, law by law: waiting for one, for many, ending one, streams, and tasks
//! under a supervisor.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, Stream, StreamExt, poll};
use resurgam::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, GenServer, Info, InitError, ManualClock,
    Message, Node, OnTimeout, Pid, ProcessOutput, Reply, Restart, ServerContext, Shutdown,
    SpawnError, StartDynamicChildError, Strategy, Supervisor, Task, TaskError, TaskStream,
    TaskSupervisor, TaskWorker, ThreadContext, YieldMany, callers, exit, is_alive, join, kill, now,
    process_info, self_pid, set_callers, spawn, spawn_link, timeout, trap_exit, yield_now,
};

use crate::support::{run, run_on_threads, run_with_clock};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const ZERO: Duration = Duration::ZERO;
const FOR_EVER: Duration = Duration::MAX;

/// How an owner that did all this ended.
async fn owner<F>(body: F) -> ExitReason
where
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    spawn(|_: Context<()>| body).unwrap().join().await
}

fn pid_of<T: Send + 'static>(task: &Task<T>) -> Pid {
    task.pid().expect("it has a process")
}

/// Links and monitors of the process that runs.
async fn bonds() -> (Vec<Pid>, Vec<Pid>) {
    let info = process_info(self_pid()).await.unwrap().unwrap();
    (info.links, info.monitors)
}

/// A task that does not heed a shutdown, once it is running.
async fn deaf(heard: oneshot::Sender<()>) {
    trap_exit(true);
    heard.send(()).unwrap();
    pending::<()>().await;
}

#[track_caller]
fn assert_panicked<T: std::fmt::Debug>(end: Result<T, ExitReason>, message: &str) {
    match end {
        Err(ExitReason::Panicked(panic)) => assert_eq!(panic.message(), message),
        other => panic!("expected a panic, got {other:?}"),
    }
}

/// TASK-01
#[test]
fn a_linked_task_brings_its_result_to_the_handle_alone() {
    run(|mut ctx: Context<()>| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let (go, gate) = oneshot::channel();
            let task = Task::spawn_link(gate).unwrap();
            let pid = pid_of(&task);
            assert_eq!(bonds().await.0, [pid]);
            go.send(7).unwrap();
            assert_eq!(task.await, Ok(Ok(7)));
            assert_eq!(is_alive(pid).await, Ok(false));
            assert_eq!(bonds().await, (vec![], vec![]));
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-01
#[test]
fn what_a_task_does_besides_is_received_before_its_result() {
    run(|mut ctx: Context<u8>| async move {
        let owner = ctx.self_ref();
        let task = Task::spawn_link(async move { owner.cast(1) }).unwrap();
        task.await.unwrap();
        assert_eq!(ctx.try_receive(), Some(Message::User(1)));
    });
}

/// TASK-01
#[test]
fn a_result_is_left_when_nothing_of_the_future_is_there_any_more() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    run(|_: Context<()>| async {
        let bomb = Bomb;
        let mut task = Task::spawn(async move {
            let _held = &bomb;
            1
        })
        .unwrap();
        assert_panicked(task.yield_for(FOR_EVER).await.unwrap(), "dropped");
    });
}

/// TASK-02
#[test]
fn a_task_is_waited_for_five_seconds() {
    run_with_clock(|_: Context<()>, clock| async move {
        let began = now();
        let task = Task::<()>::spawn(pending()).unwrap();
        let pid = pid_of(&task);
        let mut waiting = task.into_future();
        assert!(poll!(&mut waiting).is_pending());
        clock.advance(5 * SECOND - Duration::from_nanos(1));
        assert!(poll!(&mut waiting).is_pending());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(waiting.await, Err(TaskError::TimedOut));
        assert_eq!(now() - began, 5 * SECOND);

        let task = Task::<()>::spawn(pending()).unwrap();
        let mut waiting = task.join().no_timeout();
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(clock.armed(), 0);
        kill(pid);
    });
}

/// TASK-02
#[test]
fn a_handle_can_be_awaited_in_another_process() {
    run(|_: Context<()>| async {
        let task = Task::spawn_link(async { 7 }).unwrap();
        let other = owner(async { ExitReason::custom(task.await.unwrap()) });
        assert_eq!(other.await, ExitReason::custom(7));
    });
}

/// TASK-02
#[test]
fn a_handle_can_be_awaited_outside_of_processes() {
    run_on_threads(|_: Context<()>| async {
        let node = Node::current();
        let task = Task::spawn_link(async { 7 }).unwrap();
        let outside = tokio::spawn(async move {
            assert_eq!(
                Task::<()>::spawn_link(pending()).err(),
                Some(SpawnError::NotInProcess)
            );
            let own = Task::spawn_on(&node, async { 8 }).unwrap();
            (task.await, own.await)
        });
        assert_eq!(outside.await.unwrap(), (Ok(7), Ok(8)));
    });
}

/// TASK-02
#[test]
fn a_process_on_a_thread_can_own_tasks() {
    run_on_threads(|_: Context<()>| async {
        let owner = Node::current().spawn_thread(|mut ctx: ThreadContext<()>| {
            let task = Task::spawn_link(async { 7 }).unwrap();
            assert_eq!(ctx.block_on(task.join()), Ok(7));
            let stream = Task::stream(1..=3, |n| async move { n });
            assert_eq!(ctx.block_on(collect(stream)), [Ok(1), Ok(2), Ok(3)]);
        });
        assert!(owner.unwrap().join().await.is_normal());
    });
}

/// TASK-02
#[test]
fn the_link_stays_with_the_process_that_started_the_task() {
    run(|_: Context<()>| async {
        let (handle, given) = oneshot::channel();
        let starter = spawn(|mut ctx: Context<()>| async move {
            let task = Task::<()>::spawn_link(pending()).unwrap();
            handle.send(task).unwrap();
            ctx.receive().await;
        })
        .unwrap();
        let task = given.await.unwrap();
        assert_eq!(task.shutdown(FOR_EVER).await, None);
        assert_eq!(starter.join().await, ExitReason::Shutdown);
    });
}

/// TASK-03
#[test]
fn a_late_result_is_dropped() {
    run(|mut ctx: Context<()>| async move {
        let result = Arc::new(());
        let (go, gate) = oneshot::channel::<()>();
        let late = Arc::clone(&result);
        let task = Task::spawn(async move {
            gate.await.unwrap();
            late
        })
        .unwrap();
        let end = join(pid_of(&task));
        let in_time = task.join().timeout(MS).await;
        assert_eq!(in_time, Err(TaskError::TimedOut));
        go.send(()).unwrap();
        assert!(end.await.is_normal());
        assert_eq!(Arc::strong_count(&result), 1);
        assert_eq!(bonds().await, (vec![], vec![]));
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-03
#[test]
fn an_owner_that_ends_of_the_time_out_takes_its_linked_task_along() {
    run(|_: Context<()>| async {
        let (tell, told) = oneshot::channel();
        let ended = owner(async move {
            let task = Task::<()>::spawn_link(pending())?;
            tell.send(pid_of(&task)).unwrap();
            task.join().timeout(MS).await?;
            Ok(())
        });
        let (ended, pid) = futures::join!(ended, told);
        let ExitReason::Failed(error) = &ended else {
            panic!("{ended:?}")
        };
        assert_eq!(error.error().to_string(), "no result in time");
        let end = join(pid.unwrap()).await;
        assert!(end == ended || end == ExitReason::NoProcess, "{end}");
    });
}

/// TASK-04
#[test]
fn a_task_that_ends_without_a_result_tells_why() {
    run(|_: Context<()>| async {
        let mut task = Task::<()>::spawn(async { panic!("no luck") }).unwrap();
        assert_panicked(task.yield_for(FOR_EVER).await.unwrap(), "no luck");

        let task = Task::<()>::spawn(pending()).unwrap();
        kill(pid_of(&task));
        assert_eq!(task.await, Err(TaskError::Down(ExitReason::Killed)));

        let task = Task::spawn(async {
            exit(self_pid(), ExitReason::custom("enough"));
            yield_now().await;
        })
        .unwrap();
        let why = ExitReason::custom("enough");
        assert_eq!(task.await, Err(TaskError::Down(why)));
    });
}

/// TASK-04
#[test]
fn the_reason_is_known_of_a_task_that_died_long_ago() {
    run(|_: Context<()>| async {
        let task = Task::<()>::spawn(pending()).unwrap();
        let end = join(pid_of(&task));
        kill(pid_of(&task));
        end.await;
        assert_eq!(task.await, Err(TaskError::Down(ExitReason::Killed)));
    });
}

/// TASK-05
#[test]
fn a_linked_crash_takes_its_owner_along() {
    run(|_: Context<()>| async {
        let before_it_waits = owner(async {
            let _task = Task::<()>::spawn_link(async { panic!("no luck") });
            pending::<()>().await;
        });
        assert_panicked::<()>(Err(before_it_waits.await), "no luck");

        let while_it_waits = owner(async {
            let task = Task::<()>::spawn_link(async { panic!("no luck") }).unwrap();
            // The link speaks before the handle does.
            let told = task.join().no_timeout().await;
            unreachable!("{told:?}");
        });
        assert_panicked::<()>(Err(while_it_waits.await), "no luck");
    });
}

/// TASK-05
#[test]
fn a_trapping_owner_is_told_of_a_linked_crash_once() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let mut task = Task::<()>::spawn_link(async { panic!("no luck") }).unwrap();
        assert_panicked(task.yield_for(FOR_EVER).await.unwrap(), "no luck");
        assert_eq!(ctx.try_receive(), None);

        // Nobody waits at a handle that was dropped: there it is a message.
        let task = Task::<()>::spawn_link(pending()).unwrap();
        let pid = pid_of(&task);
        drop(task);
        kill(pid);
        let Message::Exit(exit) = ctx.receive().await else {
            panic!("no exit")
        };
        assert_eq!((exit.from, exit.reason), (pid, ExitReason::Killed));
    });
}

/// TASK-06
#[test]
fn an_unlinked_crash_leaves_its_owner_alone() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let task = Task::<()>::spawn(async { panic!("no luck") }).unwrap();
        assert!(matches!(task.await, Err(TaskError::Down(_))));
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-06
#[test]
fn an_unlinked_task_outlives_its_owner() {
    run(|_: Context<()>| async {
        let (tell, told) = oneshot::channel();
        let ended = owner(async move {
            let task = Task::<()>::spawn(pending()).unwrap();
            tell.send(pid_of(&task)).unwrap();
            exit(self_pid(), ExitReason::Shutdown);
        });
        assert_eq!(ended.await, ExitReason::Shutdown);
        let task = told.await.unwrap();
        assert_eq!(is_alive(task).await, Ok(true));
        kill(task);
    });
}

/// TASK-07
#[test]
fn a_task_can_be_yielded_to_again_and_again() {
    run(|_: Context<()>| async {
        let (go, gate) = oneshot::channel();
        let mut task = Task::spawn_link(gate).unwrap();
        assert_eq!(task.yield_for(ZERO).await, None);
        assert_eq!(task.yield_for(MS).await, None);
        go.send(7).unwrap();
        assert_eq!(task.yield_for(FOR_EVER).await, Some(Ok(Ok(7))));
        // It has told all it knew.
        let over = Err(ExitReason::NoProcess);
        assert_eq!(task.yield_for(FOR_EVER).await, Some(over));
        let down = TaskError::Down(ExitReason::NoProcess);
        assert_eq!(task.await, Err(down));
    });
}

/// TASK-07
#[test]
fn a_yield_that_is_dropped_loses_nothing() {
    run(|_: Context<()>| async {
        let (go, gate) = oneshot::channel();
        let mut task = Task::spawn_link(gate).unwrap();
        assert!(poll!(Box::pin(task.yield_for(FOR_EVER))).is_pending());
        go.send(7).unwrap();
        assert_eq!(task.await, Ok(Ok(7)));
    });
}

/// TASK-08
#[test]
fn a_result_that_came_before_the_end_is_what_counts() {
    run(|_: Context<()>| async {
        for ask in 0..4 {
            let mut task = Task::spawn_link(async { 7 }).unwrap();
            assert!(join(pid_of(&task)).await.is_graceful());
            let seen = match ask {
                0 => task.yield_for(ZERO).await,
                1 => task.shutdown(ZERO).await,
                2 => task.kill().await,
                _ => Some(
                    task.join()
                        .timeout(FOR_EVER)
                        .await
                        .map_err(ExitReason::from),
                ),
            };
            // The order of two joins of one end is that of their making.
            assert_eq!(seen, Some(Ok(7)), "{ask}");
        }
    });
}

/// TASK-09
#[test]
fn a_task_that_shuts_down_as_told_has_nothing_to_tell() {
    run(|mut ctx: Context<()>| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let task = Task::<()>::spawn_link(pending()).unwrap();
            let pid = pid_of(&task);
            assert_eq!(task.shutdown(FOR_EVER).await, None);
            assert_eq!(is_alive(pid).await, Ok(false));
            assert_eq!(bonds().await, (vec![], vec![]));
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-09
#[test]
fn shutdown_brings_a_result_that_was_there_and_a_reason_that_is_another() {
    run(|_: Context<()>| async {
        let task = Task::spawn(async { 7 }).unwrap();
        let end = join(pid_of(&task));
        end.await;
        assert_eq!(task.shutdown(FOR_EVER).await, Some(Ok(7)));

        let task = Task::<()>::spawn(async { panic!("no luck") }).unwrap();
        let end = join(pid_of(&task));
        end.await;
        assert_panicked(task.shutdown(FOR_EVER).await.unwrap(), "no luck");

        // It may still bring its result when it is told.
        let (heard, is_deaf) = oneshot::channel();
        let (go, gate) = oneshot::channel();
        let task = Task::spawn(async move {
            trap_exit(true);
            heard.send(()).unwrap();
            gate.await
        });
        is_deaf.await.unwrap();
        let mut ending = Box::pin(task.unwrap().shutdown(FOR_EVER));
        assert!(poll!(&mut ending).is_pending());
        go.send(7).unwrap();
        assert_eq!(ending.await, Some(Ok(Ok(7))));
    });
}

/// TASK-10
#[test]
fn a_task_that_is_killed_as_told_has_nothing_to_tell() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let (heard, is_deaf) = oneshot::channel();
        let task = Task::spawn_link(deaf(heard)).unwrap();
        is_deaf.await.unwrap();
        assert_eq!(task.kill().await, None);
        assert_eq!(ctx.try_receive(), None);

        let task = Task::<()>::spawn(async { panic!("no luck") }).unwrap();
        join(pid_of(&task)).await;
        assert_panicked(task.kill().await.unwrap(), "no luck");
    });
}

/// TASK-11
#[test]
fn a_task_that_has_told_its_end_is_no_process_any_more() {
    run(|_: Context<()>| async {
        let spent = async || {
            let mut task = Task::spawn(async { 7 }).unwrap();
            assert_eq!(task.yield_for(FOR_EVER).await, Some(Ok(7)));
            task
        };
        let over = Some(Err(ExitReason::NoProcess));
        assert_eq!(spent().await.shutdown(FOR_EVER).await, over);
        assert_eq!(spent().await.kill().await, over);
        assert_eq!(spent().await.ignore(), over);
    });
}

/// TASK-12
#[test]
fn a_task_that_does_not_shut_down_in_time_is_killed() {
    run(|_: Context<()>| async {
        for limit in [ZERO, MS] {
            let (heard, is_deaf) = oneshot::channel();
            let task = Task::spawn_link(deaf(heard)).unwrap();
            is_deaf.await.unwrap();
            let end = task.shutdown(limit).await;
            assert_eq!(end, Some(Err(ExitReason::Killed)));
        }
    });
}

/// TASK-13
#[test]
fn a_task_never_outlives_the_wait_for_its_end() {
    run(|_: Context<()>| async {
        let (heard, is_deaf) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let owner = spawn(|_: Context<()>| async move {
            let task = Task::spawn_link(deaf(heard)).unwrap();
            let pid = pid_of(&task);
            is_deaf.await.unwrap();
            let mut ending = Box::pin(task.shutdown(FOR_EVER));
            assert!(poll!(&mut ending).is_pending());
            tell.send(pid).unwrap();
            ending.await;
        })
        .unwrap();
        let task = told.await.unwrap();
        let end = join(task);
        kill(owner.pid().unwrap());
        assert_eq!(end.await, ExitReason::Killed);

        // The same for a wait that is only called off.
        let (heard, is_deaf) = oneshot::channel();
        let task = Task::spawn_link(deaf(heard)).unwrap();
        let end = join(pid_of(&task));
        is_deaf.await.unwrap();
        assert!(timeout(MS, task.shutdown(FOR_EVER)).await.is_err());
        assert_eq!(end.await, ExitReason::Killed);
    });
}

/// TASK-14
#[test]
fn a_task_that_is_ignored_runs_on_and_nothing_of_it_comes() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let (go, gate) = oneshot::channel::<()>();
        let task = Task::spawn_link(async { panic!("{:?}", gate.await) }).unwrap();
        let pid = pid_of(&task);
        assert_eq!(task.ignore(), None::<Result<(), _>>);
        assert_eq!(is_alive(pid).await, Ok(true));
        assert_eq!(bonds().await, (vec![], vec![]));
        let end = join(pid);
        go.send(()).unwrap();
        assert_panicked::<()>(Err(end.await), "Ok(())");
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-14
#[test]
fn what_there_was_is_told_to_who_ignores_it() {
    run(|_: Context<()>| async {
        let task = Task::spawn(async { 7 }).unwrap();
        let end = join(pid_of(&task));
        end.await;
        assert_eq!(task.ignore(), Some(Ok(7)));
        let task = Task::<()>::spawn(async { panic!("no luck") }).unwrap();
        let end = join(pid_of(&task));
        end.await;
        assert_panicked(task.ignore().unwrap(), "no luck");
    });
}

/// TASK-15
#[test]
fn results_of_many_come_in_the_order_of_the_tasks() {
    run(|_: Context<()>| async {
        let none = Task::<u8>::join_many([], ZERO).await;
        assert_eq!(none, Ok(vec![]));
        // Each ends when the one after it has.
        let mut tasks = Vec::new();
        let mut before: Option<oneshot::Sender<()>> = None;
        for n in 0..40 {
            let (go, gate) = oneshot::channel();
            let free = before.replace(go);
            tasks.push(Task::spawn_link(async move {
                let _ = gate.await;
                drop(free);
                n
            }));
        }
        drop(before);
        let tasks = tasks.into_iter().map(Result::unwrap);
        let results = Task::join_many(tasks, FOR_EVER).await.unwrap();
        assert!(results.into_iter().eq(0..40));
    });
}

/// TASK-15
#[test]
fn the_first_of_many_that_fails_decides_and_the_others_run_on() {
    run(|_: Context<()>| async {
        let idle = Task::<()>::spawn(pending()).unwrap();
        let idle_pid = pid_of(&idle);
        let victim = Task::spawn(pending()).unwrap();
        kill(pid_of(&victim));
        let failed = Task::join_many([idle, victim], FOR_EVER).await;
        assert_eq!(failed, Err(TaskError::Down(ExitReason::Killed)));
        assert_eq!(is_alive(idle_pid).await, Ok(true));
        kill(idle_pid);
    });
}

/// TASK-15
#[test]
fn many_have_one_time_limit() {
    run_with_clock(|_: Context<()>, clock| async move {
        let began = now();
        let (_go, gate) = oneshot::channel::<()>();
        let slow = Task::spawn_link(gate).unwrap();
        let wait = Task::join_many([Task::completed(Ok(())), slow], 3 * SECOND);
        let (late, ()) = futures::join!(wait, clock.advance_to_next().map(drop));
        assert_eq!(late, Err(TaskError::TimedOut));
        assert_eq!(now() - began, 3 * SECOND);
    });
}

/// Two tasks that have ended, by a result and a kill, and one that has not.
async fn three() -> [Task<u8>; 3] {
    let done = Task::spawn(async { 7 }).unwrap();
    let killed = Task::spawn(pending()).unwrap();
    let end = (join(pid_of(&done)), join(pid_of(&killed)));
    kill(pid_of(&killed));
    futures::join!(end.0, end.1);
    [done, Task::spawn(pending()).unwrap(), killed]
}

/// TASK-16
#[test]
fn many_are_yielded_to_and_what_is_late_can_be_waited_for_again() {
    run(|_: Context<()>| async {
        let mut tasks = three().await;
        let ends = Task::yield_many(&mut tasks, MS).await;
        let killed = Some(Err(ExitReason::Killed));
        assert_eq!(ends, [Some(Ok(7)), None, killed]);
        assert_eq!(tasks[1].yield_for(ZERO).await, None);
        let [_, late, _] = tasks;
        late.kill().await;
    });
}

/// TASK-16
#[test]
fn late_ones_of_many_are_killed_or_ignored_if_that_is_wanted() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let mut tasks = three().await;
        let late = pid_of(&tasks[1]);
        let how = YieldMany::from(MS).on_timeout(OnTimeout::KillTask);
        assert_eq!(Task::yield_many(&mut tasks, how).await[1], None);
        assert_eq!(is_alive(late).await, Ok(false));

        let mut tasks = three().await;
        let late = pid_of(&tasks[1]);
        let how = YieldMany::from(MS).on_timeout(OnTimeout::Ignore);
        assert_eq!(Task::yield_many(&mut tasks, how).await[1], None);
        assert_eq!(is_alive(late).await, Ok(true));
        let over = Some(Err(ExitReason::NoProcess));
        assert_eq!(tasks[1].yield_for(FOR_EVER).await, over);
        kill(late);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-16
#[test]
fn a_limit_of_many_is_not_a_time_out() {
    run(|_: Context<()>| async {
        let mut tasks = three().await;
        let how = YieldMany::from(FOR_EVER).limit(2);
        let how = how.on_timeout(OnTimeout::KillTask);
        let ends = Task::yield_many(&mut tasks, how).await;
        assert_eq!(ends.iter().flatten().count(), 2);
        assert_eq!(ends[1], None);
        assert_eq!(is_alive(pid_of(&tasks[1])).await, Ok(true));
        let [_, late, _] = tasks;
        late.kill().await;
    });
}

/// TASK-17
#[test]
fn a_completed_task_has_a_result_and_no_process() {
    run(|_: Context<()>| async {
        let before = Node::current().process_count();
        let mut task = Task::completed(7);
        assert_eq!(task.pid(), None);
        assert_eq!(Node::current().process_count(), before);
        assert_eq!(task.yield_for(ZERO).await, Some(Ok(7)));
        assert_eq!(Task::completed(7).await, Ok(7));
        assert_eq!(Task::completed(7).shutdown(ZERO).await, Some(Ok(7)));
        assert_eq!(Task::completed(7).kill().await, Some(Ok(7)));
        assert_eq!(Task::completed(7).ignore(), Some(Ok(7)));
    });
}

/// EXIT-18
#[test]
fn a_time_out_says_nothing_to_an_owner_that_must_end() {
    run_with_clock(|_: Context<()>, clock| async move {
        let ended = owner(async move {
            let mut task = Task::<()>::spawn_link(pending()).unwrap();
            let mut wait = Box::pin(task.yield_for(SECOND));
            assert!(poll!(&mut wait).is_pending());
            exit(self_pid(), ExitReason::Shutdown);
            clock.advance(SECOND);
            let told = wait.await;
            unreachable!("{told:?}");
        });
        assert_eq!(ended.await, ExitReason::Shutdown);
    });
}

// Streams.

/// Where tasks wait for each other.
#[derive(Default)]
struct Meeting(Mutex<Vec<oneshot::Sender<()>>>);

impl Meeting {
    /// Waits until so many wait.
    async fn of(&self, all: usize) {
        let (go, gate) = oneshot::channel();
        {
            let mut waiting = self.0.lock().unwrap();
            waiting.push(go);
            if waiting.len() == all {
                waiting.clear();
            }
        }
        let _ = gate.await;
    }
}

/// How many other processes there are.
fn others() -> usize {
    Node::current().process_count() - 1
}

async fn collect<T>(stream: impl Stream<Item = T>) -> Vec<T> {
    stream.collect().await
}

/// TASK-20
#[test]
fn a_stream_runs_so_many_tasks_at_a_time_and_no_more() {
    run(|_: Context<()>| async {
        let before = others();
        // Nobody passes before there are three.
        let three = Arc::new(Meeting::default());
        let mut squares = Task::stream(0..9, |n| {
            let three = Arc::clone(&three);
            async move {
                three.of(3).await;
                n * n
            }
        })
        .max_concurrency(3);
        let mut seen = Vec::new();
        while let Some(square) = squares.next().await {
            seen.push(square.unwrap());
            assert!(others() - before <= 3);
        }
        assert_eq!(seen, [0, 1, 4, 9, 16, 25, 36, 49, 64]);
    });
}

/// TASK-20
#[test]
fn a_task_of_a_stream_is_gone_before_the_next_one_takes_its_place() {
    run(|_: Context<()>| async {
        let before = others();
        let mut most = 0;
        let mut stream = Task::stream(0..20, |n| async move { n });
        stream = stream.max_concurrency(1);
        while stream.next().await.is_some() {
            most = most.max(others() - before);
        }
        assert_eq!(most, 0);
        drop(stream);

        let counted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&counted);
        let stream = Task::stream(0..20, move |_| {
            let seen = Arc::clone(&seen);
            async move {
                seen.fetch_max(Node::current().process_count(), Ordering::Relaxed);
            }
        });
        collect(stream.max_concurrency(2)).await;
        assert!(counted.load(Ordering::Relaxed) <= before + 1 + 2);
    });
}

/// TASK-20
#[test]
fn a_slow_item_holds_up_the_order_but_not_the_others() {
    run(|_: Context<()>| async {
        let (done, all_done) = mpsc::unbounded();
        let mut head = Some(all_done.take(5).collect::<Vec<i32>>());
        let stream = Task::stream(0..6, |n| {
            let head = head.take();
            let done = done.clone();
            async move {
                match head {
                    Some(others) => drop(others.await),
                    None => done.unbounded_send(n).unwrap(),
                }
                n
            }
        });
        let stream = stream.max_concurrency(2);
        let seen: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    });
}

/// TASK-20
#[test]
fn an_unordered_stream_gives_what_is_there() {
    run(|_: Context<()>| async {
        let (go, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let stream = Task::stream(["slow", "quick"], |name| {
            let gate = gate.take();
            async move {
                if let Some(gate) = gate {
                    gate.await.unwrap();
                }
                name
            }
        });
        let mut stream = stream.unordered().max_concurrency(2);
        assert_eq!(stream.next().await, Some(Ok("quick")));
        go.send(()).unwrap();
        assert_eq!(stream.next().await, Some(Ok("slow")));
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None);
    });
}

/// TASK-20
#[test]
fn each_item_has_five_seconds() {
    run_with_clock(|_: Context<()>, clock| async move {
        let began = now();
        let mut stream = Task::stream([0, 1], |_| pending::<()>()).max_concurrency(1);
        stream = stream.kill_task_on_timeout();
        for item in 1..=2 {
            let late = next_late(&mut stream, &clock).await;
            assert_eq!(late, Some(Err(TaskError::TimedOut)));
            assert_eq!(now() - began, item * 5 * SECOND);
        }
        assert_eq!(stream.next().await, None);
    });
}

/// TASK-20
#[test]
#[should_panic(expected = "a stream needs at least one task at a time")]
fn a_stream_of_no_tasks_is_refused() {
    drop(Task::stream([1], |n| async move { n }).max_concurrency(0));
}

/// The next item of a stream, whose time is let go by.
async fn next_late<S: Stream + Unpin>(stream: &mut S, clock: &ManualClock) -> Option<S::Item> {
    let jump = clock.advance_to_next().map(drop);
    futures::join!(stream.next(), jump).0
}

/// TASK-21
#[test]
fn a_late_task_is_the_last_word_of_a_stream_and_the_others_are_gone() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let before = others();
            let stream = Task::stream(0..9, |n| async move {
                if n > 0 {
                    pending::<()>().await;
                }
                n
            });
            let mut stream = stream.max_concurrency(3);
            assert_eq!(stream.next().await, Some(Ok(0)));
            let late = next_late(&mut stream, &clock).await;
            assert_eq!(late, Some(Err(TaskError::TimedOut)));
            assert_eq!(others(), before);
            assert_eq!(stream.next().await, None);
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-21
#[test]
fn a_stream_can_go_on_after_a_late_task() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let (go, gate) = oneshot::channel::<()>();
            let mut gate = Some(gate);
            let mut stream = Task::stream(0..3, |n| {
                let gate = if n == 1 { gate.take() } else { None };
                async move {
                    if let Some(gate) = gate {
                        gate.await.unwrap();
                    }
                    n
                }
            })
            .max_concurrency(1)
            .kill_task_on_timeout();
            assert_eq!(stream.next().await, Some(Ok(0)));
            let late = next_late(&mut stream, &clock).await;
            assert_eq!(late, Some(Err(TaskError::TimedOut)));
            assert!(go.is_canceled(), "the late one is gone");
            assert_eq!(stream.next().await, Some(Ok(2)));
            assert_eq!(stream.next().await, None);
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// Panics at the second of three items.
async fn fail_at_two(n: i32) -> i32 {
    assert_ne!(n, 2, "two");
    n
}

fn is_down<T>(item: &Result<T, TaskError>) -> bool {
    matches!(item, Err(TaskError::Down(ExitReason::Panicked(_))))
}

/// TASK-22
#[test]
fn a_crash_in_a_linked_stream_takes_the_caller_along() {
    run(|_: Context<()>| async {
        let ended = owner(async {
            let items = collect(Task::stream(1..=3, fail_at_two)).await;
            unreachable!("{items:?}");
        });
        assert!(matches!(ended.await, ExitReason::Panicked(_)));
    });
}

/// TASK-22
#[test]
fn a_crash_in_a_stream_is_an_item_to_a_caller_that_survives_it() {
    run(|mut ctx: Context<()>| async move {
        let items = collect(Task::stream_nolink(1..=3, fail_at_two)).await;
        assert!(is_down(&items[1]), "{items:?}");
        assert_eq!((&items[0], &items[2]), (&Ok(1), &Ok(3)));

        trap_exit(true);
        let items = collect(Task::stream(1..=3, fail_at_two)).await;
        assert!(is_down(&items[1]), "{items:?}");
        assert_eq!((&items[0], &items[2]), (&Ok(1), &Ok(3)));
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-22
#[test]
fn an_error_can_come_with_its_item() {
    run(|_: Context<()>| async {
        let stream = Task::stream_nolink(1..=3, fail_at_two).zip_input_on_exit();
        let items = collect(stream).await;
        let Err((2, TaskError::Down(_))) = &items[1] else {
            panic!("{items:?}")
        };
        let stream = Task::stream(["slow"], |_| pending::<()>()).zip_input_on_exit();
        let items = collect(stream.timeout(MS)).await;
        assert_eq!(items, [Err(("slow", TaskError::TimedOut))]);
    });
}

/// TASK-23
#[test]
fn a_stream_that_is_closed_early_leaves_nothing_behind() {
    run(|mut ctx: Context<()>| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let before = others();
            let (heard, is_deaf) = mpsc::unbounded();
            let mut stream = Task::stream(0..9, |n| {
                let heard = heard.clone();
                async move {
                    trap_exit(n > 0);
                    heard.unbounded_send(()).unwrap();
                    if n > 0 {
                        pending::<()>().await;
                    }
                }
            })
            .max_concurrency(3);
            assert_eq!(stream.next().await, Some(Ok(())));
            is_deaf.take(3).collect::<()>().await;
            stream.close().await;
            assert_eq!(others(), before);
            assert_eq!(bonds().await, (vec![], vec![]));
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-23
#[test]
fn a_stream_that_is_dropped_kills_its_tasks() {
    run(|mut ctx: Context<()>| async move {
        for exits in [false, true] {
            trap_exit(exits);
            let (tell, told) = mpsc::unbounded();
            let mut stream = Task::stream(0..9, |_| {
                let tell = tell.clone();
                async move {
                    tell.unbounded_send(self_pid()).unwrap();
                    pending::<()>().await;
                }
            })
            .max_concurrency(3);
            assert!(poll!(stream.next()).is_pending());
            let running: Vec<_> = told.take(3).collect().await;
            let ends: Vec<_> = running.into_iter().map(join).collect();
            drop(stream);
            for end in ends {
                assert_eq!(end.await, ExitReason::Killed);
            }
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-23
#[test]
fn an_owner_that_is_killed_takes_the_tasks_of_its_streams_along() {
    run(|_: Context<()>| async {
        let (tell, told) = mpsc::unbounded();
        let owner = spawn(|_: Context<()>| async move {
            let work = |_| {
                let tell = tell.clone();
                async move {
                    tell.unbounded_send(self_pid()).unwrap();
                    pending::<()>().await;
                }
            };
            let linked = Task::stream(0..2, work);
            let free = Task::stream_nolink(0..2, work);
            let linked = linked.max_concurrency(2).collect::<Vec<_>>();
            let free = free.max_concurrency(2).collect::<Vec<_>>();
            futures::join!(linked, free);
        })
        .unwrap();
        let running: Vec<_> = told.take(4).collect().await;
        let ends: Vec<_> = running.into_iter().map(join).collect();
        kill(owner.pid().unwrap());
        for end in ends {
            assert_eq!(end.await, ExitReason::Killed);
        }
    });
}

/// TASK-23
#[test]
fn a_panic_in_the_consumer_ends_the_tasks_of_its_stream() {
    run(|_: Context<()>| async {
        let (tell, told) = mpsc::unbounded();
        let (go, gate) = oneshot::channel::<()>();
        let ended = spawn(|_: Context<()>| async move {
            let mut stream = Task::stream_nolink([0, 1], |_| {
                let tell = tell.clone();
                async move {
                    tell.unbounded_send(self_pid()).unwrap();
                    pending::<()>().await;
                }
            })
            .max_concurrency(2);
            assert!(poll!(stream.next()).is_pending());
            gate.await.unwrap();
            panic!("of the consumer");
        });
        let running: Vec<_> = told.take(2).collect().await;
        let ends: Vec<_> = running.into_iter().map(join).collect();
        go.send(()).unwrap();
        let ended = ended.unwrap().join().await;
        assert_panicked::<()>(Err(ended), "of the consumer");
        for end in ends {
            assert_eq!(end.await, ExitReason::Killed);
        }
    });
}

/// TASK-24
#[test]
fn the_mailbox_is_no_part_of_a_stream() {
    run(|mut ctx: Context<u8>| async move {
        trap_exit(true);
        let victim = spawn_link(|_: Context<()>| pending::<()>()).unwrap();
        let victim = victim.pid().unwrap();
        let reference = resurgam::monitor(victim);
        ctx.self_ref().cast(1);
        kill(victim);
        let items = collect(Task::stream(1..=3, |n| async move { n })).await;
        assert_eq!(items, [Ok(1), Ok(2), Ok(3)]);
        join(victim).await;
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(matches!(ctx.receive().await, Message::Exit(exit) if exit.from == victim));
        assert!(matches!(ctx.receive().await, Message::Down(down) if down.reference == reference));
    });
}

/// TASK-22
#[test]
fn a_task_of_a_stream_that_cannot_be_started_is_its_last_word() {
    run_on_threads(|_: Context<()>| async {
        let outside =
            tokio::spawn(async { collect(Task::stream([1], |n| async move { n })).await });
        let items = outside.await.unwrap();
        let [Err(TaskError::NotStarted(ExitReason::Failed(why)))] = &items[..] else {
            panic!("{items:?}")
        };
        let why = why.error().downcast_ref::<SpawnError>();
        assert_eq!(why, Some(&SpawnError::NotInProcess));
    });
}

// Under a supervisor.

async fn tasks() -> TaskSupervisor {
    TaskSupervisor::start_link().await.unwrap()
}

/// How many tasks it has.
async fn count(tasks: &TaskSupervisor) -> usize {
    tasks.supervisor().count_children().await.unwrap().specs
}

/// TASK-01, TASK-18
#[test]
fn a_supervised_task_brings_its_result_to_its_owner() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let tasks = tasks().await;
        let free = tasks.spawn(async { 7 }).await.unwrap();
        let linked = tasks.spawn_link(async { 8 }).await.unwrap();
        assert_eq!((free.await, linked.await), (Ok(7), Ok(8)));
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TASK-05, TASK-06, TASK-18
#[test]
fn a_supervised_crash_is_not_restarted_and_reaches_who_is_linked() {
    run(|_: Context<()>| async {
        let tasks = tasks().await;
        let ran = Arc::new(AtomicUsize::new(0));
        let crash = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            async move {
                ran.fetch_add(1, Ordering::Relaxed);
                panic!("no luck")
            }
        };
        let mut free: Task<()> = tasks.spawn(crash(&ran)).await.unwrap();
        assert_panicked(free.yield_for(FOR_EVER).await.unwrap(), "no luck");

        let (by, work) = (tasks.clone(), crash(&ran));
        let ended = owner(async move {
            let linked: Task<()> = by.spawn_link(work).await.unwrap();
            let told = linked.await;
            unreachable!("{told:?}");
        });
        assert_panicked::<()>(Err(ended.await), "no luck");
        while count(&tasks).await > 0 {
            yield_now().await;
        }
        assert_eq!(ran.load(Ordering::Relaxed), 2);
    });
}

/// TASK-19
#[test]
fn a_supervisor_does_not_wait_for_its_tasks() {
    run(|_: Context<()>| async {
        let (go, gate) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let gate = Mutex::new(Some((gate, done)));
        // The first task waits for what the start of the supervisor allows.
        let first = ChildSpec::task("first", move || {
            let (gate, done) = gate.lock().unwrap().take().unwrap();
            async move {
                gate.await.unwrap();
                done.send(()).unwrap();
            }
        });
        let second = ChildSpec::task("second", pending::<()>);
        let builder = Supervisor::builder(Strategy::OneForOne);
        let sup = builder.child(first.temporary()).child(second).start_link();
        let sup = sup.await.unwrap();
        go.send(()).unwrap();
        is_done.await.unwrap();
        sup.stop().await.unwrap();
    });
}

/// TASK-25
#[test]
fn a_stream_that_wants_more_children_than_there_may_be_says_so() {
    run(|_: Context<()>| async {
        let tasks = DynamicSupervisor::builder().max_children(1);
        let tasks = TaskSupervisor::from(tasks.start_link().await.unwrap());
        let stream = tasks.stream(0..3, |_| pending::<()>()).max_concurrency(2);
        let items = collect(stream).await;
        let [Err(TaskError::NotStarted(ExitReason::Failed(why)))] = &items[..] else {
            panic!("{items:?}")
        };
        let why = why.error().downcast_ref::<StartDynamicChildError>();
        assert!(matches!(why, Some(StartDynamicChildError::MaxChildren(1))));
        while count(&tasks).await > 0 {
            yield_now().await;
        }
    });
}

/// TASK-20, TASK-23
#[test]
fn a_supervised_stream_is_a_stream() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let tasks = tasks().await;
        for linked in [true, false] {
            let stream = |work: fn(i32) -> futures::future::BoxFuture<'static, i32>| {
                if linked {
                    tasks.stream(1..=3, work).max_concurrency(2).boxed()
                } else {
                    tasks.stream_nolink(1..=3, work).max_concurrency(2).boxed()
                }
            };
            let items = collect(stream(|n| async move { n }.boxed())).await;
            assert_eq!(items, [Ok(1), Ok(2), Ok(3)]);
            let items = collect(stream(|n| fail_at_two(n).boxed())).await;
            assert!(items.len() == 3 && is_down(&items[1]), "{items:?}");
            let mut early = stream(|n| {
                let first = async move { n };
                let rest = pending().boxed();
                if n == 1 { first.boxed() } else { rest }
            });
            assert_eq!(early.next().await, Some(Ok(1)));
            drop(early);
            while count(&tasks).await > 0 {
                yield_now().await;
            }
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TASK-26
#[test]
fn a_task_whose_owner_is_gone_before_it_got_its_work_shuts_down() {
    run(|_: Context<()>| async {
        let tasks = tasks().await;
        // Killed at each step of the start.
        for steps in 0..20 {
            let (by, (tell, told)) = (tasks.clone(), oneshot::channel());
            let owner = spawn(move |_: Context<()>| async move {
                let task = by.spawn(pending::<()>()).await.unwrap();
                tell.send(pid_of(&task)).unwrap();
            })
            .unwrap();
            for _ in 0..steps {
                yield_now().await;
            }
            kill(owner.pid().unwrap());
            // If it got its work, that is done for nobody.
            if let Ok(task) = told.await {
                kill(task);
            }
            while count(&tasks).await > 0 {
                yield_now().await;
            }
        }
    });
}

/// TASK-26
#[test]
fn a_worker_that_nobody_gives_work_shuts_down() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let worker = TaskWorker::<futures::future::Ready<()>>::spawn_link().unwrap();
        let pid = worker.pid().unwrap();
        drop(worker);
        let Message::Exit(exit) = ctx.receive().await else {
            panic!("no exit")
        };
        assert_eq!(exit.from, pid);
        assert!(matches!(exit.reason, ExitReason::ShutdownWith(_)));
    });
}

/// TASK-27
#[test]
fn a_task_is_labelled_by_what_it_runs() {
    run(|_: Context<()>| async {
        let (heard, is_deaf) = oneshot::channel();
        let task = Task::spawn_link(deaf(heard)).unwrap();
        is_deaf.await.unwrap();
        let info = process_info(pid_of(&task)).await.unwrap().unwrap();
        let label = info.label.unwrap();
        assert!(label.contains("task::deaf"), "{label}");
        assert_eq!(info.callers, [self_pid()]);
        task.kill().await;
    });
}

/// TASK-28
#[test]
fn nested_tasks_know_on_whose_behalf_they_work() {
    run(|_: Context<()>| async {
        assert_eq!(callers(), []);
        let tasks = tasks().await;
        let by = tasks.clone();
        let outer = Task::spawn_link(async move {
            let inner = by.spawn(async {
                let info = process_info(self_pid()).await.unwrap().unwrap();
                assert_eq!(info.callers, callers());
                info
            });
            (self_pid(), inner.await.unwrap().await.unwrap())
        });
        let (outer, inner) = outer.unwrap().await.unwrap();
        assert_eq!(inner.callers, [outer, self_pid()]);
        assert_eq!(inner.parent, tasks.supervisor().pid());

        let (tell, told) = mpsc::unbounded();
        let work = move || {
            let tell = tell.clone();
            async move { tell.unbounded_send(callers()).unwrap() }
        };
        tasks.start_child(work).await.unwrap();
        let told: Vec<_> = told.take(1).collect().await;
        assert_eq!(told, [[self_pid()]]);

        set_callers([outer]);
        let task = Task::spawn(async { callers() }).unwrap();
        assert_eq!(task.await, Ok(vec![self_pid(), outer]));
    });
}

/// TASK-28
#[test]
fn a_chain_of_tasks_keeps_the_nearest_callers() {
    fn chain(n: usize) -> futures::future::BoxFuture<'static, Vec<Pid>> {
        async move {
            match n {
                0 => callers(),
                n => Task::spawn_link(chain(n - 1)).unwrap().await.unwrap(),
            }
        }
        .boxed()
    }
    run(|_: Context<()>| async {
        let short = chain(3).await;
        assert_eq!((short.len(), short.last()), (3, Some(&self_pid())));
        assert_eq!(chain(100).await.len(), 64);
    });
}

/// TASK-18, TASK-29
#[test]
fn work_that_nobody_waits_for_is_restarted_only_if_that_is_wanted() {
    run(|_: Context<()>| async {
        let tasks = tasks().await;
        for (restart, wanted) in [(Restart::Temporary, 1), (Restart::Transient, 2)] {
            let (tell, told) = mpsc::unbounded();
            let ran = Arc::new(AtomicUsize::new(0));
            let work = move || {
                let (tell, ran) = (tell.clone(), Arc::clone(&ran));
                async move {
                    let before = ran.fetch_add(1, Ordering::Relaxed);
                    tell.unbounded_send(self_pid()).unwrap();
                    // Fails the first time only.
                    assert!(before > 0, "no luck");
                }
            };
            let first = match restart {
                Restart::Temporary => tasks.start_child(work).await,
                _ => tasks.start_child_as(restart, work).await,
            };
            // All of it is dropped when it is not started any more.
            let ran: Vec<_> = told.collect().await;
            assert_eq!(ran.len(), wanted, "{restart}");
            assert_eq!(ran[0], first.unwrap());
        }
    });
}

/// TASK-29
#[test]
fn work_that_is_done_once_may_hold_what_there_is_one_of() {
    run(|_: Context<()>| async {
        let tasks = tasks().await;
        let (tell, told) = oneshot::channel();
        let pid = tasks.start_child(move || {
            // Called by the task, not by its supervisor.
            let who = self_pid();
            async move { tell.send(who).unwrap() }
        });
        let pid = pid.await.unwrap();
        assert_eq!(told.await, Ok(pid));
    });
}

/// TASK-29
#[test]
fn the_way_a_task_is_stopped_can_be_chosen() {
    run(|_: Context<()>| async {
        let brutal = tasks().await.with_shutdown(Shutdown::BrutalKill);
        let (heard, is_deaf) = oneshot::channel();
        let mut task = brutal.spawn(deaf(heard)).await.unwrap();
        is_deaf.await.unwrap();
        brutal.supervisor().stop().await.unwrap();
        let killed = Some(Err(ExitReason::Killed));
        assert_eq!(task.yield_for(FOR_EVER).await, killed);
    });
}

/// A server that traps exits and uses tasks: what it is told beside its calls.
struct Busy(Vec<Info>);

enum Ask {
    Sum(Reply<u32>),
    Heard(Reply<usize>),
}

impl GenServer for Busy {
    type Args = ();
    type Message = Ask;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        Ok(Self(Vec::new()))
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Sum(reply) => {
                let one = Task::spawn_link(async { 1 })?;
                let rest = Task::stream(2..=4, |n| async move { n });
                let rest: Vec<_> = rest.map(|n| n.unwrap_or(0)).collect().await;
                reply.send(one.await? + rest.iter().sum::<u32>());
            }
            Ask::Heard(reply) => reply.send(self.0.len()),
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.0.push(info);
        Ok(())
    }
}

/// TASK-01
#[test]
fn a_server_that_uses_tasks_hears_nothing_else_of_them() {
    run(|_: Context<()>| async {
        let server = Busy::start_link(()).await.unwrap();
        assert_eq!(server.call(Ask::Sum).await, Ok(10));
        assert_eq!(server.call(Ask::Heard).await, Ok(0));
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

/// A stream is `Send`, whatever its parts are called.
#[test]
fn a_stream_can_be_kept_and_named() {
    fn sum<S>(stream: S) -> impl Future<Output = u32> + Send
    where
        S: Stream<Item = Result<u32, TaskError>> + Send,
    {
        stream.fold(0, |sum, n| async move { sum + n.unwrap() })
    }
    run(|_: Context<()>| async {
        let start = |n| {
            futures::future::ready(Task::spawn_link(async move { n }).map_err(ExitReason::from))
        };
        assert_eq!(sum(TaskStream::of(1..=4, start)).await, 10);
    });
}

/// TASK-13, TASK-23, TASK-26: whoever is killed or panics, and whenever, no task
/// is left that nobody would end.
#[cfg(feature = "sim")]
#[test]
fn whoever_falls_no_task_is_left_behind() {
    async fn owner(_: Context<()>) {
        let Ok(tasks) = TaskSupervisor::start_link().await else {
            return;
        };
        let work = |n: i32| async move {
            trap_exit(n == 1);
            yield_now().await;
            if n > 0 {
                pending::<()>().await;
            }
        };
        if let Ok(task) = tasks.spawn(work(0)).await {
            drop(task.await);
        }
        if let Ok(task) = tasks.spawn(work(1)).await {
            drop(task.shutdown(SECOND).await);
        }
        let mut supervised = tasks.stream_nolink(0..3, work).max_concurrency(2);
        supervised.next().await;
        supervised.close().await;
        let mut free = Task::stream_nolink(0..3, work).max_concurrency(2);
        free.next().await;
        drop(free);
        let late = [Task::spawn_link(work(2)), Task::spawn_link(work(3))];
        let Ok(mut late) = late.into_iter().collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let how = YieldMany::from(SECOND).on_timeout(OnTimeout::KillTask);
        Task::yield_many(&mut late, how).await;
    }
    let scenario = |sim: &mut resurgam::sim::Sim| {
        sim.node().spawn(owner).expect("there is room");
        sim.run_for(3600 * SECOND);
        let left = sim.node().processes();
        assert!(left.is_empty(), "left behind: {left:?}");
    };
    let plan = resurgam::sim::Plan::new().seeds(2);
    let (kills, panics) = (plan.sweep_kills(scenario), plan.sweep_panics(scenario));
    let stops = plan.sweep_stops(scenario);
    assert!(kills.faults > 0 && panics.faults > 0 && stops.faults > 0);
}
