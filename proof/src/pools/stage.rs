//! The supervisor of a script, and its children.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use resurgam::{
    CallError, ChildCount, ChildInfo, ChildSpec, ChildType, Context, Down, DynamicSupervisor,
    DynamicSupervisorRef, ExitKind, ExitReason, GenServer, InitError, Message, PartitionSupervisor,
    Partitions, Pid, ProcessRef, Restart, ServerContext, ServerRef, StartDynamicChildError,
    StartError, TerminateDynamicChildError, exit, join, monitor, self_pid, send, sleep, trap_exit,
};

use super::{Case, Child, End, Init, Pool, Spec, Step};

/// What the process that takes the steps hears of the children.
#[derive(Debug)]
pub enum Told {
    /// A start was tried.
    Tried(Child),
    /// A child is up.
    Began(Child, Pid),
}

/// What is seen of a script, in the words that Elixir has for it. For the
/// process that takes the steps, in a simulation.
///
/// # Panics
///
/// If something happens that no step can cause.
pub async fn seen(mut ctx: Context<Told>, case: Case) -> String {
    let mut stage = Stage {
        me: ctx.self_ref(),
        top: Top::None,
        pids: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let result = stage.open(case.pool, case.max_restarts).await;
    let mut words = vec![stage.word(&mut ctx, result).await];
    for step in case.steps {
        let result = stage.take(step).await;
        words.push(stage.word(&mut ctx, result).await);
    }
    words.join(" ")
}

/// In a simulation time passes when nothing else can happen.
const REST: Duration = Duration::from_secs(1);

/// All restarts count.
const PERIOD: Duration = Duration::from_secs(3600);

struct Stage {
    me: ProcessRef<Told>,
    top: Top,
    /// The last process of each child.
    pids: BTreeMap<Child, Pid>,
    names: BTreeMap<Pid, String>,
}

enum Top {
    None,
    Dynamic(DynamicSupervisorRef),
    Partitions(Partitions<ServerRef<Worker>>),
}

impl Stage {
    async fn open(&mut self, pool: Pool, max_restarts: u32) -> String {
        let started = match pool {
            Pool::Dynamic { max_children } => {
                let mut builder = DynamicSupervisor::builder().intensity(max_restarts, PERIOD);
                if let Some(most) = max_children {
                    builder = builder.max_children(most);
                }
                builder.start().await.map(Top::Dynamic)
            }
            Pool::Partitions(restart, starts) => {
                let count = starts.len();
                let plans: Vec<_> = starts
                    .into_iter()
                    .enumerate()
                    .map(|(child, starts)| Plan::new(child, starts, false, &self.me))
                    .collect();
                let mut builder = PartitionSupervisor::builder(move |number| {
                    let worker = Worker::builder(plans[number].clone());
                    async move { worker.start_link().await }
                });
                builder = builder.partitions(count).max_restarts(max_restarts);
                if restart == Restart::Transient {
                    builder = builder.transient();
                }
                builder
                    .max_seconds(PERIOD.as_secs())
                    .start()
                    .await
                    .map(Top::Partitions)
            }
        };
        let Ok(top) = started else {
            return "failed".to_owned();
        };
        self.top = top;
        let pid = self.top.pid().expect("it was started");
        self.names.insert(pid, "top".to_owned());
        monitor(pid);
        "ok".to_owned()
    }

    async fn take(&mut self, step: Step) -> String {
        match (step, &self.top) {
            (Step::End(child, how), _) => self.end(child, how).await,
            (Step::Start(child, spec), Top::Dynamic(top)) => {
                started(top.start_child(self.spec(child, spec)).await)
            }
            (Step::Terminate(child), Top::Dynamic(top)) => match self.pids.get(&child) {
                None => "none".to_owned(),
                Some(pid) => match top.terminate_child(*pid).await {
                    Ok(()) => "ok".to_owned(),
                    Err(TerminateDynamicChildError::NotFound(_)) => "not_found".to_owned(),
                    Err(TerminateDynamicChildError::NoAnswer(error)) => noproc(&error),
                    Err(error) => panic!("{error}"),
                },
            },
            (Step::Find(number), Top::Partitions(top)) => {
                let found = top.nth(number).ok().and_then(|partition| partition.pid());
                found.map_or("nobody".to_owned(), |pid| self.names[&pid].clone())
            }
            (Step::Stop, Top::Dynamic(top)) => stopped(top.stop().await.is_ok()),
            (Step::Stop, Top::Partitions(top)) => stopped(top.stop().await.is_ok()),
            (_, _) => "none".to_owned(),
        }
    }

    fn spec(&self, child: Child, spec: Spec) -> ChildSpec {
        let plan = Plan::new(child, spec.starts, spec.traps, &self.me);
        let kind = match spec.is_supervisor {
            true => ChildType::Supervisor,
            false => ChildType::Worker,
        };
        ChildSpec::server_with("child", move || Worker::builder(plan.clone()))
            .restart(spec.restart)
            .child_type(kind)
            .shutdown(Duration::from_secs(5))
    }

    async fn end(&self, child: Child, how: End) -> String {
        let Some(&pid) = self.pids.get(&child) else {
            return "none".to_owned();
        };
        let ended = join(pid);
        match how {
            End::Kill => exit(pid, ExitReason::Kill),
            // Or it has ended, which is told.
            how => drop(send(pid, how)),
        }
        match ended.await {
            ExitReason::NoProcess => "dead".to_owned(),
            _ => "ok".to_owned(),
        }
    }

    /// What a step came to, what happened to whom, and who is there.
    async fn word(&mut self, ctx: &mut Context<Told>, result: String) -> String {
        let mut words = Vec::new();
        // Once more, for those that began: they are watched by then.
        for _ in 0..2 {
            sleep(REST).await;
            self.hear(ctx, &mut words);
        }
        words.sort_unstable();
        format!("{result}({}){}", words.join(","), self.looks().await)
    }

    fn hear(&mut self, ctx: &mut Context<Told>, words: &mut Vec<String>) {
        while let Some(message) = ctx.try_receive() {
            match message {
                Message::User(Told::Tried(child)) => words.push(format!("{child}?")),
                Message::User(Told::Began(child, pid)) => {
                    self.pids.insert(child, pid);
                    self.names.insert(pid, child.to_string());
                    monitor(pid);
                }
                Message::Down(Down { pid, reason, .. }) => {
                    words.push(format!("{}!{}", self.names[&pid], word(&reason)));
                }
                Message::Exit(exit) => panic!("{exit:?}"),
            }
        }
    }

    async fn looks(&self) -> String {
        let (children, count) = match &self.top {
            Top::None => return "gone".to_owned(),
            Top::Dynamic(top) => (top.which_children().await, top.count_children().await),
            Top::Partitions(top) => (top.which_children().await, top.count_children().await),
        };
        let (Ok(children), Ok(count)) = (children, count) else {
            return "gone".to_owned();
        };
        let name = |info: &ChildInfo| {
            info.pid()
                .map_or("-".to_owned(), |pid| self.names[&pid].clone())
        };
        let mut names: Vec<_> = children.iter().map(name).collect();
        names.sort_unstable();
        let ChildCount {
            specs,
            active,
            supervisors,
            workers,
            ..
        } = count;
        let names = names.join("+");
        format!("{specs}/{active}/{supervisors}/{workers}={names}")
    }
}

impl Top {
    fn pid(&self) -> Option<Pid> {
        match self {
            Self::None => None,
            Self::Dynamic(top) => top.pid(),
            Self::Partitions(top) => top.pid(),
        }
    }
}

fn started(result: Result<resurgam::Started, StartDynamicChildError>) -> String {
    match result {
        Ok(started) if started.pid().is_some() => "ok".to_owned(),
        Ok(_) | Err(StartDynamicChildError::Failed(StartError::Ignore)) => "ignored".to_owned(),
        Err(StartDynamicChildError::MaxChildren(_)) => "max_children".to_owned(),
        Err(StartDynamicChildError::Failed(_)) => "failed".to_owned(),
        Err(StartDynamicChildError::NoAnswer(error)) => noproc(&error),
        Err(error) => panic!("{error}"),
    }
}

fn stopped(is_stopped: bool) -> String {
    match is_stopped {
        true => "ok".to_owned(),
        false => "noproc".to_owned(),
    }
}

fn noproc(error: &CallError) -> String {
    let is_gone = matches!(error, CallError::Down(ExitReason::NoProcess));
    assert!(is_gone, "{error}");
    "noproc".to_owned()
}

/// Elixir says no more than `shutdown` if a supervisor gives up.
fn word(reason: &ExitReason) -> String {
    match (reason.kind(), reason.cause::<&str>()) {
        (ExitKind::Panicked, _) => "crash".to_owned(),
        (ExitKind::ShutdownWith, _) => "shutdown".to_owned(),
        (_, Some(word)) => (*word).to_owned(),
        _ => reason.to_string(),
    }
}

/// How the starts of a child go.
#[derive(Clone)]
struct Plan {
    child: Child,
    starts: Arc<[Init]>,
    tried: Arc<AtomicUsize>,
    traps: bool,
    told: ProcessRef<Told>,
}

impl Plan {
    fn new(child: Child, starts: Vec<Init>, traps: bool, told: &ProcessRef<Told>) -> Self {
        Self {
            child,
            starts: starts.into(),
            tried: Arc::default(),
            traps,
            told: told.clone(),
        }
    }
}

/// A child.
#[derive(Debug)]
struct Worker;

impl GenServer for Worker {
    type Args = Plan;
    type Message = End;

    async fn init(plan: Plan, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(plan.traps);
        plan.told.cast(Told::Tried(plan.child));
        let before = plan.tried.fetch_add(1, Ordering::Relaxed);
        match plan.starts.get(before) {
            None | Some(Init::Ok) => {}
            Some(Init::Ignore) => return Err(InitError::Ignore),
            Some(Init::Stop) => return Err(InitError::Stop(ExitReason::custom("stop"))),
            Some(Init::Crash) => crash(),
        }
        plan.told.cast(Told::Began(plan.child, self_pid()));
        Ok(Self)
    }

    async fn handle(&mut self, how: End, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match how {
            End::Normal => Err(ExitReason::Normal),
            End::Shutdown => Err(ExitReason::Shutdown),
            End::Boom => Err(ExitReason::custom("boom")),
            End::Crash | End::Kill => crash(),
        }
    }
}

/// A panic that prints nothing.
fn crash() -> ! {
    std::panic::resume_unwind(Box::new("as the script says"))
}
