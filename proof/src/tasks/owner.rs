//! The owner of a script's tasks, and what they do.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use resurgam::{
    Agent, CallError, Context, DynamicSupervisor, ExitKind, ExitReason, Message, ProcessRef,
    Restart, StartError, StopServerError, Task, TaskError, TaskStream, TaskSupervisor, exit, join,
    now, self_pid, sleep, spawn, trap_exit,
};

use super::{Access, Case, End, Kind, Link, Op, Stream, Work};

/// What the one who watches a script is told.
#[derive(Debug)]
pub enum Told {
    /// What an operation came to.
    Word(String),
    /// That a task began, or is about to end.
    Mark(String),
}

/// How long a tick is, here.
const TICK: Duration = Duration::from_millis(20);

/// How many ticks lie between operations.
const SLOT: Duration = TICK.saturating_mul(8);

/// When all that ends has ended.
const REST: Duration = TICK.saturating_mul(40);

/// What is seen of a script, in the words that Elixir has for it. For the
/// process that watches it, in a simulation.
///
/// # Panics
///
/// If what a script needs does not start.
pub async fn seen(mut ctx: Context<Told>, case: Case) -> String {
    let supervisor = DynamicSupervisor::builder().intensity(3, Duration::from_secs(3600));
    let supervisor = supervisor.start().await.expect("nothing hinders it");
    let steps = ctx.self_ref();
    let owner = spawn(move |_: Context<()>| own(case, supervisor.into(), steps));
    let reason = owner.expect("nothing hinders it").join().await;
    sleep(REST).await;
    let (mut words, mut marks) = (Vec::new(), Vec::new());
    while let Some(message) = ctx.try_receive() {
        match message {
            Message::User(Told::Word(word)) => words.push(word),
            Message::User(Told::Mark(mark)) => marks.push(mark),
            other => panic!("{other:?}"),
        }
    }
    words.push(format!("owner!{}", word(&reason)));
    marks.sort_unstable();
    words.append(&mut marks);
    words.join(" ")
}

/// The owner's life.
async fn own(case: Case, supervisor: TaskSupervisor, steps: ProcessRef<Told>) -> ExitReason {
    trap_exit(case.traps);
    let mut owner = Owner {
        supervisor,
        steps,
        tasks: BTreeMap::new(),
        agent: None,
        is_stopped: false,
    };
    let begun = now();
    for op in case.ops {
        let catches = case.catches && !matches!(op, Op::Stream(..));
        let said = match owner.act(op).await {
            Ok(word) => word,
            Err(reason) if catches => format!("exit:{}", word(&reason)),
            Err(reason) => return reason,
        };
        next_slot(begun).await;
        // Not, if its owner ends by it.
        owner.steps.cast(Told::Word(said));
    }
    ExitReason::Normal
}

async fn next_slot(begun: Instant) {
    let passed = now() - begun;
    let slots = u32::try_from(passed.as_nanos() / SLOT.as_nanos()).unwrap_or(u32::MAX);
    sleep(SLOT * (slots + 1) - passed).await;
}

struct Owner {
    supervisor: TaskSupervisor,
    steps: ProcessRef<Told>,
    tasks: BTreeMap<usize, Held>,
    agent: Option<Agent<u32>>,
    /// Whether the supervisor is.
    is_stopped: bool,
}

/// A task that was not waited for to the end.
struct Held {
    task: Task<u32>,
    /// Whether its end was told.
    told: bool,
}

/// What an operation came to; an exit, for an owner that does not catch it.
type Said = Result<String, ExitReason>;

impl Owner {
    async fn act(&mut self, op: Op) -> Said {
        let word = match op {
            Op::Async(_, Kind::SupLink | Kind::SupNoLink, _)
            | Op::Stream(_, Kind::SupLink | Kind::SupNoLink, _)
            | Op::Child(..)
                if self.is_stopped =>
            {
                "none".to_owned()
            }
            Op::Async(n, kind, work) => {
                let task = self.begin(n, kind, work).await?;
                self.tasks.insert(n, Held { task, told: false });
                "ok".to_owned()
            }
            Op::Completed(n) => {
                let task = Task::completed(value(n));
                self.tasks.insert(n, Held { task, told: false });
                "ok".to_owned()
            }
            Op::Await(n, ticks) => match (self.take(n), ticks) {
                (None, _) => "gone".to_owned(),
                (Some(task), Some(ticks)) => {
                    brought(task.join().timeout(TICK * ticks).await)?.to_string()
                }
                (Some(task), None) => brought(task.join().no_timeout().await)?.to_string(),
            },
            Op::Yield(n, ticks) => match self.tasks.get_mut(&n) {
                Some(held) if !held.told => {
                    let end = held.task.yield_for(TICK * ticks).await;
                    held.told = end.is_some();
                    ended(end)
                }
                _ => "gone".to_owned(),
            },
            Op::Shutdown(n, ticks) => match (self.take_process(n), ticks) {
                (None, _) => "gone".to_owned(),
                (Some(task), Some(ticks)) => ended(task.shutdown(TICK * ticks).await),
                (Some(task), None) => ended(task.kill().await),
            },
            Op::Ignore(n) => match self.tasks.get(&n) {
                Some(held) if !held.told => match self.take_process(n) {
                    Some(task) => ended(task.ignore()),
                    None => "gone".to_owned(),
                },
                _ => "gone".to_owned(),
            },
            Op::AwaitMany(all, ticks) => {
                let tasks: Vec<_> = all.iter().filter_map(|n| self.take(*n)).collect();
                let results = brought(Task::join_many(tasks, TICK * ticks).await)?;
                listed(results.iter().map(u32::to_string))
            }
            Op::YieldMany(all, ticks) => self.yield_many(all, ticks).await,
            Op::Stream(id, kind, stream) => self.stream(id, kind, stream).await?,
            Op::Child(n, restart, crashes, last) => {
                self.child(n, restart, crashes, last).await?;
                "ok".to_owned()
            }
            Op::StopSupervisor(how) => self.stop_supervisor(how).await,
            Op::AgentFails(link) => {
                let fails = || -> u32 { crash() };
                let started = match link {
                    Link::Link => Agent::start_link(fails).await,
                    Link::NoLink => Agent::start(fails).await,
                };
                match started {
                    Err(StartError::Failed(reason)) => word(&reason),
                    other => panic!("{other:?}"),
                }
            }
            Op::Agent(link) => {
                let agent = match link {
                    Link::Link => Agent::start_link(|| 0).await?,
                    Link::NoLink => Agent::start(|| 0).await?,
                };
                self.agent = Some(agent);
                "ok".to_owned()
            }
            op => match &self.agent {
                Some(agent) => ask(agent, op).await?,
                None => "none".to_owned(),
            },
        };
        Ok(word)
    }

    async fn begin(&self, n: usize, kind: Kind, work: Work) -> Result<Task<u32>, ExitReason> {
        let work = do_work(format!("t{n}"), n, work, self.steps.clone());
        Ok(match kind {
            Kind::Link => Task::spawn_link(work)?,
            Kind::NoLink => Task::spawn(work)?,
            Kind::SupLink => self.supervisor.spawn_link(work).await?,
            Kind::SupNoLink => self.supervisor.spawn(work).await?,
        })
    }

    /// One whose end was told can only be shut down.
    fn take(&mut self, n: usize) -> Option<Task<u32>> {
        self.tasks.get(&n).filter(|held| !held.told)?;
        self.tasks.remove(&n).map(|held| held.task)
    }

    /// One that is a process.
    fn take_process(&mut self, n: usize) -> Option<Task<u32>> {
        self.tasks.get(&n)?.task.pid()?;
        self.tasks.remove(&n).map(|held| held.task)
    }

    async fn yield_many(&mut self, all: Vec<usize>, ticks: u32) -> String {
        let taken = all.iter().filter_map(|n| Some((*n, self.take(*n)?)));
        let (numbers, mut tasks): (Vec<_>, Vec<_>) = taken.collect();
        let ends = Task::yield_many(&mut tasks, TICK * ticks).await;
        for ((n, task), end) in numbers.into_iter().zip(tasks).zip(&ends) {
            let told = end.is_some();
            self.tasks.insert(n, Held { task, told });
        }
        listed(ends.into_iter().map(ended))
    }

    async fn stream(&self, id: usize, kind: Kind, stream: Stream) -> Said {
        let steps = self.steps.clone();
        let items: Vec<_> = stream.items.iter().copied().enumerate().collect();
        let work = move |(n, (ticks, end)): (usize, (u32, End))| {
            let work = Work {
                ticks,
                end,
                stubborn: false,
            };
            do_work(format!("s{id}.{n}"), n, work, steps.clone())
        };
        match kind {
            Kind::Link => drain(Task::stream(items, work), stream).await,
            Kind::NoLink => drain(Task::stream_nolink(items, work), stream).await,
            Kind::SupLink => drain(self.supervisor.stream(items, work), stream).await,
            Kind::SupNoLink => drain(self.supervisor.stream_nolink(items, work), stream).await,
        }
    }

    async fn stop_supervisor(&mut self, how: End) -> String {
        let supervisor = self.supervisor.supervisor();
        let pid = supervisor.pid().expect("it was started");
        let ended = join(pid);
        match how {
            End::Kill => exit(pid, ExitReason::Kill),
            // Or it has ended, which is told.
            _ => drop(supervisor.stop().await),
        }
        self.is_stopped = true;
        word(&ended.await)
    }

    async fn child(
        &self,
        n: usize,
        restart: Restart,
        crashes: u32,
        last: End,
    ) -> Result<(), ExitReason> {
        let (runs, steps) = (Arc::new(AtomicU32::new(0)), self.steps.clone());
        let work = move || {
            let (runs, steps) = (Arc::clone(&runs), steps.clone());
            async move {
                steps.cast(Told::Mark(format!("c{n}")));
                if runs.fetch_add(1, Ordering::Relaxed) < crashes {
                    crash();
                }
                if last == End::Never {
                    pending::<()>().await;
                }
            }
        };
        match restart {
            Restart::Temporary => self.supervisor.start_child(work).await?,
            restart => self.supervisor.start_child_as(restart, work).await?,
        };
        Ok(())
    }
}

/// Takes from a stream what is wanted.
async fn drain<I, S, R>(stream: TaskStream<I, S, R, u32>, how: Stream) -> Said
where
    I: Iterator<Item: Clone + Numbered>,
    S: FnMut(I::Item) -> R,
    R: Future<Output = Result<Task<u32>, ExitReason>> + Unpin,
{
    let mut stream = stream
        .max_concurrency(how.max_concurrency)
        .timeout(TICK * 32);
    if !how.ordered {
        stream = stream.unordered();
    }
    if how.kill_task {
        stream = stream.kill_task_on_timeout();
    }
    let word = |n: Option<usize>, error: &TaskError| match n {
        Some(n) => format!("exit:{n}/{}", word(&reason_of(error))),
        None => format!("exit:{}", word(&reason_of(error))),
    };
    let (mut words, most) = (Vec::new(), how.take.unwrap_or(usize::MAX));
    if how.zip {
        let mut stream = stream.zip_input_on_exit();
        while words.len() < most
            && let Some(result) = stream.next().await
        {
            words.push(match result {
                Ok(value) => format!("ok{value}"),
                Err((item, error)) => word(Some(item.number()), &error),
            });
        }
        stream.close().await;
        return Ok(listed(words.into_iter()));
    }
    while words.len() < most
        && let Some(result) = stream.next().await
    {
        words.push(match result {
            Ok(value) => format!("ok{value}"),
            Err(error @ TaskError::TimedOut) if !how.kill_task => return Err(reason_of(&error)),
            Err(error) => word(None, &error),
        });
    }
    stream.close().await;
    Ok(listed(words.into_iter()))
}

/// An item of a stream, which has a number.
trait Numbered {
    fn number(&self) -> usize;
}

impl<T> Numbered for (usize, T) {
    fn number(&self) -> usize {
        self.0
    }
}

async fn ask(agent: &Agent<u32>, op: Op) -> Said {
    let answer = match op {
        Op::Get => agent.get(|n| *n).await.map(|n| n.to_string()),
        Op::Update(k) => said_ok(agent.update(move |n| *n += k).await),
        Op::GetAndUpdate(k) => {
            let change = move |n: &mut u32| std::mem::replace(n, *n * 2 + k);
            agent.get_and_update(change).await.map(|n| n.to_string())
        }
        Op::Cast(k) => {
            agent.cast(move |n| *n += k);
            Ok("ok".to_owned())
        }
        Op::CrashIn(Access::Get) => said_ok(agent.get(|_| crash()).await),
        Op::CrashIn(Access::Update) => said_ok(agent.update(|_| crash()).await),
        Op::CrashIn(Access::Cast) => {
            agent.cast(|_| crash());
            Ok("ok".to_owned())
        }
        Op::Stop(how) => return stop(agent, how).await,
        other => panic!("{other:?}"),
    };
    answer.map_err(|error| match error {
        CallError::Down(reason) => reason,
        error => panic!("{error}"),
    })
}

async fn stop(agent: &Agent<u32>, how: End) -> Said {
    let reason = match how {
        End::Return => ExitReason::Normal,
        _ => ExitReason::custom("boom"),
    };
    match agent.stop(reason).await {
        Ok(()) => Ok("ok".to_owned()),
        Err(StopServerError::NoProcess) => Err(ExitReason::NoProcess),
        Err(StopServerError::Exited(reason)) => Err(reason),
        Err(error) => panic!("{error}"),
    }
}

/// What a task does.
async fn do_work(name: String, n: usize, work: Work, steps: ProcessRef<Told>) -> u32 {
    trap_exit(work.stubborn);
    steps.cast(Told::Mark(format!("{name}+")));
    match work.end {
        End::Never => pending().await,
        _ => sleep(TICK * work.ticks).await,
    }
    steps.cast(Told::Mark(format!("{name}-")));
    match work.end {
        End::Return | End::Never => value(n),
        End::Crash => crash(),
        End::Shutdown => end(ExitReason::Shutdown).await,
        End::Boom => end(ExitReason::custom("boom")).await,
        End::Kill => end(ExitReason::Kill).await,
    }
}

async fn end(reason: ExitReason) -> u32 {
    trap_exit(false);
    exit(self_pid(), reason);
    pending().await
}

/// A panic that prints nothing.
fn crash() -> ! {
    std::panic::resume_unwind(Box::new("as the script says"))
}

fn value(n: usize) -> u32 {
    u32::try_from(n).expect("there are few")
}

// --- words ---

fn brought<T>(result: Result<T, TaskError>) -> Result<T, ExitReason> {
    result.map_err(|error| reason_of(&error))
}

fn reason_of(error: &TaskError) -> ExitReason {
    match error {
        TaskError::Down(reason) => reason.clone(),
        TaskError::TimedOut => ExitReason::custom("timeout"),
        error => panic!("{error}"),
    }
}

fn ended(end: Option<Result<u32, ExitReason>>) -> String {
    match end {
        None => "nil".to_owned(),
        Some(Ok(value)) => format!("ok{value}"),
        Some(Err(reason)) => format!("exit:{}", word(&reason)),
    }
}

fn said_ok(answer: Result<(), CallError>) -> Result<String, CallError> {
    answer.map(|()| "ok".to_owned())
}

fn listed(words: impl Iterator<Item = String>) -> String {
    format!("[{}]", words.collect::<Vec<_>>().join(","))
}

fn word(reason: &ExitReason) -> String {
    match (reason.kind(), reason.cause::<&str>()) {
        (ExitKind::Panicked, _) => "crash".to_owned(),
        (_, Some(word)) => (*word).to_owned(),
        _ => reason.to_string(),
    }
}
