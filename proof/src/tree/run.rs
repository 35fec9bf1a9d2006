//! A tree on Resurgam.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use resurgam::{
    CallError, ChildCount, ChildInfo, ChildSpec, ChildStatus, ChildType, DeleteChildError,
    DynamicSupervisor, DynamicSupervisorRef, ExitReason, Node, Pid, RestartChildError,
    StartChildError, StartDynamicChildError, StartError, Started, SupervisorRef,
    TerminateChildError, TerminateDynamicChildError,
};

use super::stage::{Entry, News, Role, Server, Stage, Start, exit_reason, reason_of, start_deaf};
use super::{Case, Child, Event, Kind, Manner, Shutdown, Strategy, Supervisor};

/// What is seen of the tree after the start and after each event.
pub(super) async fn run(node: &Node, case: &Case) -> String {
    let stage = Arc::new(Stage::new(node.clone()));
    let unordered = case.is_unordered();
    let started = match start_root(&stage, &case.root).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => failed(&error),
    };
    let mut lines = vec![told(&stage, started, unordered).await];
    for event in &case.events {
        let result = perform(&stage, event).await;
        lines.push(told(&stage, result, unordered).await);
    }
    clear(&stage).await;
    lines.join(" | ")
}

async fn start_root(stage: &Arc<Stage>, root: &Supervisor) -> Result<(), StartError> {
    let start = stage.begin(root.id);
    let hour = Duration::from_secs(3600);
    let role = match root.strategy {
        Strategy::Static(strategy) => {
            let builder = row(stage, root, strategy);
            Role::Supervisor(builder.start_on(&stage.node).await?)
        }
        Strategy::Dynamic(..) => {
            let builder = DynamicSupervisor::builder().intensity(root.intensity, hour);
            Role::Dynamic(builder.start_on(&stage.node).await?)
        }
    };
    enter(stage, start, role);
    Ok(())
}

async fn start_below(stage: Arc<Stage>, below: Supervisor) -> Result<Started, StartError> {
    let start = stage.begin(below.id);
    let hour = Duration::from_secs(3600);
    let role = match below.strategy {
        Strategy::Static(strategy) => {
            Role::Supervisor(row(&stage, &below, strategy).start_link().await?)
        }
        Strategy::Dynamic(..) => {
            let builder = DynamicSupervisor::builder().intensity(below.intensity, hour);
            Role::Dynamic(builder.start_link().await?)
        }
    };
    let pid = enter(&stage, start, role);
    Ok(pid.map_or_else(Started::ignore, Started::new))
}

fn enter(stage: &Stage, start: Start, role: Role) -> Option<Pid> {
    let pid = match &role {
        Role::Worker(worker) => worker.pid(),
        Role::Supervisor(supervisor) => supervisor.pid(),
        Role::Dynamic(supervisor) => supervisor.pid(),
    }?;
    stage.enter(start, Some(pid), stage.node.join(pid), role);
    Some(pid)
}

fn row(
    stage: &Arc<Stage>,
    supervisor: &Supervisor,
    strategy: resurgam::Strategy,
) -> resurgam::SupervisorBuilder {
    let hour = Duration::from_secs(3600);
    let children = supervisor.children.iter().map(|child| spec(stage, child));
    resurgam::Supervisor::builder(strategy)
        .intensity(supervisor.intensity, hour)
        .children(children)
}

fn spec(stage: &Arc<Stage>, child: &Child) -> ChildSpec {
    let id = child.id().to_string();
    let stage = Arc::clone(stage);
    let spec = match &child.kind {
        Kind::Supervisor(below) => {
            let below = below.clone();
            let start = move || start_below(Arc::clone(&stage), below.clone());
            ChildSpec::new(id, start).child_type(ChildType::Supervisor)
        }
        Kind::Worker(worker) if worker.manner == Manner::Deaf => {
            let worker = *worker;
            ChildSpec::new(id, move || start_deaf(Arc::clone(&stage), worker))
        }
        Kind::Worker(worker) => ChildSpec::server::<Server>(id, (stage, *worker)),
    };
    let shutdown = match child.shutdown {
        Shutdown::BrutalKill => resurgam::Shutdown::BrutalKill,
        Shutdown::Timeout if child.is_deaf() => Duration::from_millis(1).into(),
        Shutdown::Timeout => Duration::from_secs(5).into(),
        Shutdown::Infinity => resurgam::Shutdown::Infinity,
    };
    spec.restart(child.restart).shutdown(shutdown)
}

/// Lets the event happen; what came of it for who asked.
async fn perform(stage: &Arc<Stage>, event: &Event) -> String {
    match event {
        Event::Crash(id, reason) => match stage.find(*id) {
            Some((pid, Role::Worker(worker))) => {
                let end = stage.node.join(pid);
                worker.cast(*reason);
                end.await;
                "crashed".to_owned()
            }
            Some((_, Role::Supervisor(_) | Role::Dynamic(_))) | None => "nobody".to_owned(),
        },
        Event::Kill(id) => match stage.find(*id) {
            Some((pid, _)) => {
                stage.node.kill(pid);
                stage.node.join(pid).await;
                "killed".to_owned()
            }
            None => "nobody".to_owned(),
        },
        Event::Stop(reason) => {
            let stopped = match stage.find(0) {
                Some((_, Role::Supervisor(root))) => root.stop_with(exit_reason(*reason)).await,
                Some((_, Role::Dynamic(root))) => root.stop_with(exit_reason(*reason)).await,
                Some((_, Role::Worker(_))) | None => return "nobody".to_owned(),
            };
            if stopped.is_ok() { "ok" } else { "failed" }.to_owned()
        }
        Event::TerminateChild(of, _)
        | Event::RestartChild(of, _)
        | Event::DeleteChild(of, _)
        | Event::StartChild(of, _) => match stage.find(*of) {
            Some((_, Role::Supervisor(supervisor))) => call(stage, &supervisor, event).await,
            Some((_, Role::Dynamic(supervisor))) => call_dynamic(stage, &supervisor, event).await,
            Some((_, Role::Worker(_))) | None => "nobody".to_owned(),
        },
    }
}

/// A dynamic supervisor knows its children by their pids, and can only start
/// and stop them.
async fn call_dynamic(
    stage: &Arc<Stage>,
    supervisor: &DynamicSupervisorRef,
    event: &Event,
) -> String {
    match event {
        Event::StartChild(_, child) => match supervisor.start_child(spec(stage, child)).await {
            Ok(started) => up(&started),
            Err(StartDynamicChildError::Failed(error)) => failed(&error),
            Err(error) => error.to_string(),
        },
        Event::TerminateChild(_, id) => match stage.find(*id) {
            Some((pid, _)) => match supervisor.terminate_child(pid).await {
                Ok(()) => "ok".to_owned(),
                Err(TerminateDynamicChildError::NotFound(_)) => "not_found".to_owned(),
                Err(error) => error.to_string(),
            },
            None => "nobody".to_owned(),
        },
        _ => "nobody".to_owned(),
    }
}

async fn call(stage: &Arc<Stage>, supervisor: &SupervisorRef, event: &Event) -> String {
    match event {
        Event::TerminateChild(_, id) => match supervisor.terminate_child(id.to_string()).await {
            Ok(()) => "ok".to_owned(),
            Err(TerminateChildError::NotFound(_)) => "not_found".to_owned(),
            Err(error) => error.to_string(),
        },
        Event::RestartChild(_, id) => match supervisor.restart_child(id.to_string()).await {
            Ok(started) => up(&started),
            Err(RestartChildError::NotFound(_)) => "not_found".to_owned(),
            Err(RestartChildError::Running(_)) => "running".to_owned(),
            Err(RestartChildError::Restarting(_)) => "restarting".to_owned(),
            Err(RestartChildError::Failed(error)) => failed(&error),
            Err(error) => error.to_string(),
        },
        Event::DeleteChild(_, id) => match supervisor.delete_child(id.to_string()).await {
            Ok(()) => "ok".to_owned(),
            Err(DeleteChildError::NotFound(_)) => "not_found".to_owned(),
            Err(DeleteChildError::Running(_)) => "running".to_owned(),
            Err(DeleteChildError::Restarting(_)) => "restarting".to_owned(),
            Err(error) => error.to_string(),
        },
        Event::StartChild(_, child) => match supervisor.start_child(spec(stage, child)).await {
            Ok(started) => up(&started),
            Err(StartChildError::AlreadyStarted(_)) => "already_started".to_owned(),
            Err(StartChildError::AlreadyPresent(_)) => "already_present".to_owned(),
            Err(StartChildError::Failed { error, .. }) => failed(&error),
            Err(error) => error.to_string(),
        },
        Event::Crash(..) | Event::Kill(_) | Event::Stop(_) => String::new(),
    }
}

fn up(started: &Started) -> String {
    if started.pid().is_some() {
        "ok"
    } else {
        "ignored"
    }
    .to_owned()
}

fn failed(error: &StartError) -> String {
    match error {
        StartError::Failed(reason) => format!("failed.{}", reason_of(reason)),
        other => other.to_string(),
    }
}

/// What the supervisors say of their children, and how much has happened.
#[derive(PartialEq, Eq, Default)]
struct View {
    /// By supervisor: its children with what they are at, newest first.
    children: BTreeMap<Start, Vec<String>>,
    /// By supervisor: how many there are.
    counts: BTreeMap<Start, String>,
    happened: usize,
    is_quiet: bool,
}

/// How often the supervisors are asked before something is said to hang.
const MOST_ROUNDS: usize = 1_000_000;

/// Waits until everything is at rest: two looks that show the same, in which
/// the processes that live are just those that some supervisor has.
///
/// An event ends a process before this begins, so its supervisor has the exit
/// in its mailbox (links are told before joins), ahead of the question here.
/// One that ends for it tells its own supervisor before its callers.
async fn settle(stage: &Stage) -> Option<View> {
    let mut last = View::default();
    for _ in 0..MOST_ROUNDS {
        let view = look(stage).await;
        if view.is_quiet && view == last {
            return Some(view);
        }
        last = view;
        tokio::task::yield_now().await;
    }
    None
}

async fn look(stage: &Stage) -> View {
    let supervisors = stage.supervisors();
    let before = stage.living();
    let mut view = View {
        is_quiet: true,
        happened: stage.log_len(),
        ..View::default()
    };
    let mut had: BTreeSet<Pid> = stage.find(0).map(|(pid, _)| pid).into_iter().collect();
    for (start, role) in supervisors {
        let Ok((children, count)) = ask(&role).await else {
            view.is_quiet = false;
            continue;
        };
        had.extend(children.iter().filter_map(ChildInfo::pid));
        view.is_quiet &= children
            .iter()
            .all(|child| child.status != ChildStatus::Restarting);
        let mut told: Vec<_> = children.iter().map(|child| tell(child, &before)).collect();
        let mut specs = count.specs;
        if let Role::Dynamic(_) = role {
            // They stand in no order, and Erlang has one spec for all.
            told.sort_unstable();
            specs = 1;
        }
        view.children.insert(start, told);
        let ChildCount {
            active,
            supervisors,
            workers,
            ..
        } = count;
        view.counts
            .insert(start, format!("{specs}/{active}/{supervisors}/{workers}"));
    }
    view.is_quiet &= before.keys().copied().eq(had);
    view
}

async fn ask(role: &Role) -> Result<(Vec<ChildInfo>, ChildCount), CallError> {
    match role {
        Role::Worker(_) => Ok(Default::default()),
        Role::Supervisor(row) => Ok((row.which_children().await?, row.count_children().await?)),
        Role::Dynamic(heap) => Ok((heap.which_children().await?, heap.count_children().await?)),
    }
}

/// A child with the number of its start.
fn tell(child: &ChildInfo, living: &BTreeMap<Pid, Start>) -> String {
    let at = match child.status {
        ChildStatus::Running(pid) => match living.get(&pid) {
            Some((_, count)) => count.to_string(),
            None => "?".to_owned(),
        },
        ChildStatus::Restarting => "restarting".to_owned(),
        _ => "down".to_owned(),
    };
    format!("{}:{at}", child.id)
}

/// What is to be told after an event: the result, what happened, what there is.
async fn told(stage: &Stage, result: String, unordered: bool) -> String {
    let Some(view) = settle(stage).await else {
        return "never comes to rest".to_owned();
    };
    let mut line = result;
    for entry in entries(stage.take_news().await, unordered) {
        line.push(' ');
        line.push_str(&entry);
    }
    for ((id, count), children) in &view.children {
        let counts = &view.counts[&(*id, *count)];
        // Writing into a string cannot fail.
        let _ = write!(line, " {id}#{count}[{}]{counts}", children.join(","));
    }
    line
}

/// Starts in their order, ends in theirs, unless they have none; supervisors'
/// ends apart.
fn entries(news: News, unordered: bool) -> Vec<String> {
    let (mut starts, mut ends, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for entry in news.log {
        let line = match entry {
            Entry::Started((id, n)) => format!("+{id}#{n}"),
            Entry::Terminated((id, n), reason) => format!("~{id}#{n}.{reason}"),
            Entry::Ended((id, n)) => match news.reasons.get(&(id, n)) {
                Some(reason) => format!("-{id}#{n}.{reason}"),
                None => format!("-{id}#{n}"),
            },
        };
        if !unordered {
            all.push(line);
        } else if line.starts_with('+') {
            starts.push(line);
        } else {
            ends.push(line);
        }
    }
    ends.sort_unstable();
    let ended = news.supervisors.iter();
    let mut ended: Vec<_> = ended
        .map(|((id, n), reason)| format!("^{id}#{n}.{reason}"))
        .collect();
    ended.sort_unstable();
    [all, starts, ends, ended].concat()
}

/// Leaves nothing behind.
async fn clear(stage: &Stage) {
    for pid in stage.living().into_keys() {
        stage.node.exit(pid, ExitReason::Kill);
        stage.node.join(pid).await;
    }
    let _ = settle(stage).await;
}
