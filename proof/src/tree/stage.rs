//! What the children of one tree write down, and the driver reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::channel::oneshot;
use resurgam::{
    DynamicSupervisorRef, ExitReason, GaveUp, GenServer, InitError, Join, Message, Node, Pid,
    ProcessRef, ServerContext, StartError, StartPanicked, Started, SupervisorRef, spawn_options,
    trap_exit,
};

use super::{Failure, Id, Manner, Reason, Worker};

/// One start of a child: its number, and which start of it this is.
pub(super) type Start = (Id, u32);

/// Something that happened to a child.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Started(Start),
    Terminated(Start, Reason),
    Ended(Start),
}

/// What all processes of one tree share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) node: Node,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    log: Vec<Entry>,
    /// How often each has been started.
    starts: HashMap<Id, u32>,
    living: HashMap<Pid, Being>,
    /// Workers that ended, whose reasons were not asked for yet.
    workers_ended: Vec<(Start, Join)>,
    /// Supervisors that ended.
    supervisors_ended: Vec<(Start, Reason)>,
}

/// A process of the tree.
#[derive(Debug)]
struct Being {
    start: Start,
    role: Role,
    end: Join,
}

/// What can be asked of a process.
#[derive(Clone, Debug)]
pub(super) enum Role {
    Worker(ProcessRef<Reason>),
    Supervisor(SupervisorRef),
    Dynamic(DynamicSupervisorRef),
}

impl Stage {
    pub(super) fn new(node: Node) -> Self {
        Self {
            node,
            book: Mutex::default(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child is being started, for the n-th time.
    pub(super) fn begin(&self, id: Id) -> Start {
        let mut book = self.book();
        let count = book.starts.entry(id).or_default();
        *count += 1;
        let start = (id, *count);
        book.log.push(Entry::Started(start));
        start
    }

    /// A child is up.
    pub(super) fn enter(&self, start: Start, pid: Option<Pid>, end: Join, role: Role) {
        if let Some(pid) = pid {
            self.book().living.insert(pid, Being { start, role, end });
        }
    }

    fn enter_worker(self: &Arc<Self>, start: Start, process: &ProcessRef<Reason>) -> Guard {
        let role = Role::Worker(process.clone());
        self.enter(start, process.pid(), process.join(), role);
        Guard {
            stage: Arc::clone(self),
            start,
            pid: process.pid(),
        }
    }

    /// The supervisors that live, by number. Those that have ended are noted.
    pub(super) fn supervisors(&self) -> BTreeMap<Start, Role> {
        let mut book = self.book();
        let Book {
            living,
            supervisors_ended,
            ..
        } = &mut *book;
        let mut found = BTreeMap::new();
        living.retain(|_, being| {
            if let Role::Worker(_) = being.role {
                return true;
            }
            match (&mut being.end).now_or_never() {
                Some(reason) => supervisors_ended.push((being.start, reason_of(&reason))),
                None => {
                    found.insert(being.start, being.role.clone());
                    return true;
                }
            }
            false
        });
        found
    }

    /// Everyone who lives.
    pub(super) fn living(&self) -> BTreeMap<Pid, Start> {
        let book = self.book();
        book.living
            .iter()
            .map(|(pid, being)| (*pid, being.start))
            .collect()
    }

    /// The process of a child, if it lives.
    pub(super) fn find(&self, id: Id) -> Option<(Pid, Role)> {
        let book = self.book();
        let mut beings = book.living.iter().filter(|(_, being)| being.start.0 == id);
        beings.next().map(|(pid, being)| (*pid, being.role.clone()))
    }

    pub(super) fn log_len(&self) -> usize {
        self.book().log.len()
    }

    /// What happened since this was asked last.
    pub(super) async fn take_news(&self) -> News {
        let (log, workers, supervisors) = {
            let mut book = self.book();
            let Book {
                log,
                workers_ended,
                supervisors_ended,
                ..
            } = &mut *book;
            (
                std::mem::take(log),
                std::mem::take(workers_ended),
                std::mem::take(supervisors_ended),
            )
        };
        let mut reasons = HashMap::new();
        for (start, end) in workers {
            reasons.insert(start, reason_of(&end.await));
        }
        News {
            log,
            reasons,
            supervisors,
        }
    }
}

/// What happened to a tree lately.
#[derive(Debug)]
pub(super) struct News {
    pub(super) log: Vec<Entry>,
    /// Why workers ended.
    pub(super) reasons: HashMap<Start, Reason>,
    /// The supervisors that ended, and why.
    pub(super) supervisors: Vec<(Start, Reason)>,
}

/// Notes the end of a worker: its destructors run before anybody is told.
#[derive(Debug)]
struct Guard {
    stage: Arc<Stage>,
    start: Start,
    pid: Option<Pid>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut book = self.stage.book();
        let being = self.pid.and_then(|pid| book.living.remove(&pid));
        book.workers_ended
            .extend(being.map(|being| (being.start, being.end)));
        book.log.push(Entry::Ended(self.start));
    }
}

/// A worker that is a server.
#[derive(Debug)]
pub(super) struct Server {
    guard: Guard,
    manner: Manner,
}

impl GenServer for Server {
    type Args = (Arc<Stage>, Worker);
    type Message = Reason;

    async fn init(
        (stage, worker): Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        let start = stage.begin(worker.id);
        match worker.failure_at(start.1) {
            None => {}
            Some(Failure::Stop(reason)) => return Err(InitError::Stop(exit_reason(reason))),
            Some(Failure::Ignore) => return Err(InitError::Ignore),
            Some(Failure::Panic) => panic_quietly(),
        }
        trap_exit(worker.manner == Manner::Trapping);
        let guard = stage.enter_worker(start, &ctx.self_ref());
        Ok(Self {
            guard,
            manner: worker.manner,
        })
    }

    async fn handle(
        &mut self,
        reason: Reason,
        _ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        if reason == Reason::Panic {
            panic_quietly();
        }
        Err(exit_reason(reason))
    }

    async fn terminate(&mut self, reason: &ExitReason, _ctx: &mut ServerContext<Self>) {
        if self.manner == Manner::Trapping {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        let entry = Entry::Terminated(self.guard.start, reason_of(reason));
        self.guard.stage.book().log.push(entry);
    }
}

/// Starts a worker that is deaf to orders to shut down.
pub(super) async fn start_deaf(stage: Arc<Stage>, worker: Worker) -> Result<Started, StartError> {
    let start = stage.begin(worker.id);
    match worker.failure_at(start.1) {
        None => {}
        Some(Failure::Stop(reason)) => return Err(StartError::Failed(exit_reason(reason))),
        Some(Failure::Ignore) => return Ok(Started::ignore()),
        Some(Failure::Panic) => panic_quietly(),
    }
    let (up, is_up) = oneshot::channel();
    let spawned = spawn_options()
        .link()
        .trap_exit()
        .spawn(move |mut ctx| async move {
            let _guard = stage.enter_worker(start, &ctx.self_ref());
            // Nobody waits if the supervisor was killed.
            let _ = up.send(());
            loop {
                match ctx.receive().await {
                    Message::User(Reason::Panic) => panic_quietly(),
                    Message::User(reason) => return exit_reason(reason),
                    Message::Exit(exit) if exit.reason == ExitReason::Shutdown => {}
                    Message::Exit(exit) => return exit.reason,
                    Message::Down(_) => {}
                }
            }
        })?;
    let _ = is_up.await;
    Started::process(&spawned.process)
}

impl Worker {
    fn failure_at(&self, count: u32) -> Option<Failure> {
        let trouble = self.trouble?;
        let troubled = trouble.from..trouble.from.saturating_add(trouble.count);
        troubled.contains(&count).then_some(trouble.what)
    }
}

/// A panic that prints nothing.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as the tree says"))
}

/// The reason of a tree as the runtime has it.
pub(super) fn exit_reason(reason: Reason) -> ExitReason {
    match reason {
        Reason::Normal => ExitReason::Normal,
        Reason::Shutdown => ExitReason::Shutdown,
        Reason::ShutdownWith => ExitReason::shutdown_with("a term"),
        Reason::Killed => ExitReason::Killed,
        Reason::NoProc => ExitReason::NoProcess,
        Reason::Custom | Reason::Panic | Reason::Unknown => ExitReason::custom("a term"),
    }
}

/// And back.
pub(super) fn reason_of(reason: &ExitReason) -> Reason {
    match reason {
        ExitReason::Normal => Reason::Normal,
        ExitReason::Shutdown => Reason::Shutdown,
        // Erlang says no more than `shutdown`.
        reason if reason.cause::<GaveUp>().is_some() => Reason::Shutdown,
        ExitReason::ShutdownWith(_) => Reason::ShutdownWith,
        ExitReason::Killed => Reason::Killed,
        ExitReason::NoProcess => Reason::NoProc,
        ExitReason::Panicked(_) => Reason::Panic,
        ExitReason::Custom(term) if term.downcast_ref::<StartPanicked>().is_some() => Reason::Panic,
        ExitReason::Custom(_) => Reason::Custom,
        _ => Reason::Unknown,
    }
}
