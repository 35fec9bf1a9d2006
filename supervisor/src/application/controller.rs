//! The application controller: what is loaded, what runs, and in which order
//! it is started and stopped. It waits for nobody, so it can always be asked.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use resurgam_runtime::{
    Context, Down, Exit, ExitReason, Message, MonitorRef, Name, Node, Pid, ProcessRef, Reply,
    StartError, kill, monitor, planted, self_pid, send_after, spawn_options,
};
use tracing::{error, info};

use super::handle::{
    ApplicationEnded, Applications, LoadApplicationError, StartApplicationError,
    StopApplicationError, UnloadApplicationError,
};
use super::master::{Master, Order, Outcome};
use super::order::{Necessity, Needs, NoOrder, Plan, StartMode};
use super::{
    Application, ApplicationContext, ApplicationInfo, ApplicationStatus, ConfigChange, Environment,
    StartType,
};
use crate::caught::{drop_caught, guarded};

/// The target of reports about applications.
pub(crate) const APPLICATION: &str = "resurgam::application";

/// How long the processes that belong to no application have to end when an
/// application stops the node.
const GRACE: Duration = Duration::from_secs(5);

type StartResult = Result<(), StartApplicationError>;
type StopResult = Result<(), StopApplicationError>;
type AllResult = Result<Vec<Name>, StartApplicationError>;

/// What the controller can be asked.
pub(crate) enum Request {
    Handle(Reply<(ProcessRef<Request>, Environment)>),
    Load(Application, Reply<Result<(), LoadApplicationError>>),
    Unload(Name, Reply<Result<(), UnloadApplicationError>>),
    Start(Name, StartType, Reply<StartResult>),
    EnsureAll(Vec<Name>, StartType, StartMode, Reply<AllResult>),
    Stop(Name, Reply<StopResult>),
    StopAll,
    Which(Reply<Vec<ApplicationInfo>>),
    Loaded(Reply<Vec<Name>>),
    LedBy(Pid, Reply<Option<Name>>),
    Supervisor(Name, Reply<Option<Pid>>),
    /// Settings were changed; to be answered when all have been told.
    Changed(Vec<(Name, ConfigChange)>, Reply<()>),
    /// Of a master: its application is up.
    Up {
        master: Pid,
        top: Option<Pid>,
    },
    /// An application has been stopping for too long.
    Overdue(Pid),
}

/// Answers whoever changed the configuration when the last application that was
/// told drops it, having done what it does about it or ended.
pub(crate) type ChangeTeller = Arc<Answer>;

/// A reply that is sent when it is dropped.
pub(crate) struct Answer(Option<Reply<()>>);

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply.send(());
        }
    }
}

/// The process. It traps exits.
struct Controller {
    myself: ProcessRef<Request>,
    env: Environment,
    shutdown_timeout: Option<Duration>,
    loaded: BTreeMap<Name, Loaded>,
    // Invariant: those that have a life, in the order in which it began.
    begun: Vec<Name>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    /// Jobs that can go on.
    ripe: VecDeque<u64>,
    phase: Phase,
}

#[derive(Clone)]
enum Phase {
    Serving,
    /// All are being stopped; then the controller ends for this reason.
    Terminating(ExitReason),
}

struct Loaded {
    application: Arc<Application>,
    life: Option<Life>,
    /// Why it ended the last time, if nobody told it to.
    ended: Option<ExitReason>,
}

/// An application from the start of its master until nothing of it is left.
struct Life {
    master: ProcessRef<Order>,
    /// The master's.
    pid: Pid,
    start_type: StartType,
    stage: Stage,
    starters: Vec<Waiter<StartResult>>,
    stoppers: Vec<Waiter<StopResult>>,
    /// Those that would start it again when nothing of it is left.
    successors: Vec<(StartType, Waiter<StartResult>)>,
}

enum Stage {
    Starting,
    Running(Option<Pid>),
    Stopping,
    /// The master has ended, and these are told of the ends of the processes
    /// that it left.
    Clearing(HashSet<MonitorRef>, Outcome),
}

/// Who is to be told how something went.
enum Waiter<T: Send + 'static> {
    Caller(Reply<T>),
    Job(u64),
}

/// Several applications being started, or, after one failed, stopped again.
struct Job {
    plan: Plan,
    start_type: StartType,
    /// Those that it started itself, in their order, and their masters.
    own: Vec<(Name, Pid)>,
    failed: Option<StartApplicationError>,
    reply: Reply<AllResult>,
}

/// The body of the process.
pub(super) async fn live(
    mut ctx: Context<Request>,
    env: Environment,
    shutdown_timeout: Option<Duration>,
) -> ExitReason {
    let mut controller = Controller {
        myself: ctx.self_ref(),
        env,
        shutdown_timeout,
        loaded: BTreeMap::new(),
        begun: Vec::new(),
        jobs: BTreeMap::new(),
        next_job: 0,
        ripe: VecDeque::new(),
        phase: Phase::Serving,
    };
    loop {
        let message = ctx.receive().await;
        controller.receive(message);
        while let Some(job) = controller.ripe.pop_front() {
            controller.advance(job);
        }
        if let Some(reason) = controller.is_over() {
            return reason;
        }
    }
}

impl Controller {
    fn receive(&mut self, message: Message<Request>) {
        match message {
            Message::User(request) => match self.phase {
                Phase::Serving => self.serve(request),
                Phase::Terminating(_) => self.refuse(request),
            },
            Message::Exit(exit) => self.exited(exit),
            Message::Down(down) => self.stray_ended(&down),
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Load(application, reply) => reply.send(self.load(application)),
            Request::Unload(name, reply) => reply.send(self.unload(name)),
            Request::Start(name, start_type, reply) => {
                self.start(name, start_type, Waiter::Caller(reply));
            }
            Request::EnsureAll(names, start_type, mode, reply) => {
                self.ensure_all(&names, start_type, mode, reply);
            }
            Request::Stop(name, reply) => self.stop(name, Waiter::Caller(reply)),
            Request::StopAll => self.terminate(ExitReason::Shutdown),
            other => self.tell(other),
        }
    }

    /// What is answered while all are being stopped: what would wait for that
    /// is an error, or who is waited for could not be stopped (law APP-13).
    fn refuse(&mut self, request: Request) {
        match request {
            Request::Load(application, reply) => {
                drop_caught(application);
                reply.send(Err(LoadApplicationError::Terminating));
            }
            Request::Unload(_, reply) => reply.send(Err(UnloadApplicationError::Terminating)),
            Request::Start(_, _, reply) => reply.send(Err(StartApplicationError::Terminating)),
            Request::EnsureAll(_, _, _, reply) => {
                reply.send(Err(StartApplicationError::Terminating));
            }
            Request::Stop(_, reply) => reply.send(Err(StopApplicationError::Terminating)),
            Request::StopAll => {}
            other => self.tell(other),
        }
    }

    /// What is asked and noted at any time.
    fn tell(&mut self, request: Request) {
        match request {
            Request::Handle(reply) => reply.send((self.myself.clone(), self.env.clone())),
            Request::Which(reply) => reply.send(self.which()),
            Request::Loaded(reply) => reply.send(self.loaded.keys().cloned().collect()),
            Request::LedBy(leader, reply) => reply.send(self.led_by(leader)),
            Request::Supervisor(name, reply) => reply.send(self.supervisor(&name)),
            Request::Changed(changes, reply) => self.changed(changes, reply),
            Request::Up { master, top } => self.up(master, top),
            Request::Overdue(master) => self.overdue(master),
            Request::Load(..)
            | Request::Unload(..)
            | Request::Start(..)
            | Request::EnsureAll(..)
            | Request::Stop(..)
            | Request::StopAll => {}
        }
    }

    fn load(&mut self, application: Application) -> Result<(), LoadApplicationError> {
        let name = application.name.clone();
        if self.loaded.contains_key(&name) {
            drop_caught(application);
            return Err(LoadApplicationError::AlreadyLoaded(name));
        }
        guarded(|| self.env.load(&name, application.defaults.clone()));
        let loaded = Loaded {
            application: Arc::new(application),
            life: None,
            ended: None,
        };
        self.loaded.insert(name, loaded);
        Ok(())
    }

    fn unload(&mut self, name: Name) -> Result<(), UnloadApplicationError> {
        match self.loaded.get(&name) {
            None => Err(UnloadApplicationError::NotLoaded(name)),
            Some(loaded) if loaded.life.is_some() => Err(UnloadApplicationError::Running(name)),
            Some(_) => {
                drop_caught(self.loaded.remove(&name));
                guarded(|| self.env.unload(&name));
                Ok(())
            }
        }
    }

    fn start(&mut self, name: Name, start_type: StartType, waiter: Waiter<StartResult>) {
        let life = self.loaded.get_mut(&name).map(|loaded| &mut loaded.life);
        match (life, waiter) {
            (None, waiter) => {
                let error = StartApplicationError::NotLoaded(name.clone());
                self.tell_start(waiter, &name, Err(error));
            }
            (Some(None), waiter) => self.launch(name, start_type, waiter),
            (Some(Some(life)), waiter) => match (&life.stage, waiter) {
                (Stage::Starting, waiter) => life.starters.push(waiter),
                (Stage::Running(_), Waiter::Caller(reply)) => {
                    reply.send(Err(StartApplicationError::AlreadyStarted(name)));
                }
                (Stage::Running(_), job) => self.tell_start(job, &name, Ok(())),
                (Stage::Stopping | Stage::Clearing(..), waiter) => {
                    life.successors.push((start_type, waiter));
                }
            },
        }
    }

    fn launch(&mut self, name: Name, start_type: StartType, waiter: Waiter<StartResult>) {
        let life = self.check_needs(&name);
        let mut life = match life.and_then(|()| self.bear(&name, start_type)) {
            Ok(life) => life,
            Err(error) => return self.tell_start(waiter, &name, Err(error)),
        };
        if let Waiter::Job(id) = waiter
            && let Some(job) = self.jobs.get_mut(&id)
        {
            job.own.push((name.clone(), life.pid));
        }
        life.starters.push(waiter);
        if let Some(loaded) = self.loaded.get_mut(&name) {
            loaded.life = Some(life);
            loaded.ended = None;
            self.begun.push(name);
        }
    }

    /// Laws APP-01, APP-11.
    fn check_needs(&self, name: &Name) -> StartResult {
        if planted!(DependencyUnheeded) {
            return Ok(());
        }
        let needs = self.loaded[name].application.needs.iter();
        let required = needs.filter(|need| need.necessity == Necessity::Required);
        for need in required {
            let name = need.name.clone();
            let Some(needed) = self.loaded.get(&name) else {
                return Err(StartApplicationError::NotStarted(name));
            };
            match (&needed.life, &needed.ended) {
                (Some(life), _) if matches!(life.stage, Stage::Running(_)) => {}
                (None, Some(reason)) => {
                    let reason = reason.clone();
                    return Err(StartApplicationError::NotRunning { name, reason });
                }
                _ => return Err(StartApplicationError::NotStarted(name)),
            }
        }
        Ok(())
    }

    fn bear(&self, name: &Name, start_type: StartType) -> Result<Life, StartApplicationError> {
        let application = Arc::clone(&self.loaded[name].application);
        let (env, controller) = (self.env.clone(), self.myself.clone());
        let context = ApplicationContext {
            name: name.clone(),
            start_type,
            applications: Applications::new(&Node::current(), controller.clone(), env),
        };
        let options = spawn_options().link().trap_exit();
        let spawned = options
            .label(format!("application {name}"))
            .spawn(move |ctx| Master::live(ctx, application, context, controller));
        let not_started = |error: StartError| StartApplicationError::Failed {
            name: name.clone(),
            error,
        };
        let master = spawned.map_err(|error| not_started(error.into()))?.process;
        let pid = master
            .pid()
            .ok_or_else(|| not_started(StartError::Failed(ExitReason::NoProcess)))?;
        Ok(Life {
            master,
            pid,
            start_type,
            stage: Stage::Starting,
            starters: Vec::new(),
            stoppers: Vec::new(),
            successors: Vec::new(),
        })
    }

    fn up(&mut self, master: Pid, top: Option<Pid>) {
        let Some((name, life)) = self.life_of_master(master) else {
            return;
        };
        if !matches!(life.stage, Stage::Starting) {
            return;
        }
        life.stage = Stage::Running(top);
        let (start_type, starters) = (life.start_type, std::mem::take(&mut life.starters));
        guarded(
            || info!(target: APPLICATION, application = %name, %start_type, "application started"),
        );
        for waiter in starters {
            self.tell_start(waiter, &name, Ok(()));
        }
    }

    fn stop(&mut self, name: Name, waiter: Waiter<StopResult>) {
        match self.life(&name) {
            None => tell_stop(
                &mut self.ripe,
                waiter,
                Err(StopApplicationError::NotStarted(name)),
            ),
            Some(life) => {
                life.stoppers.push(waiter);
                life.order_stop();
            }
        }
    }

    /// The order of a start is kept by the jobs, that of the end here: the last
    /// that was begun is the first to stop (law APP-13).
    fn terminate(&mut self, reason: ExitReason) {
        if let Phase::Terminating(_) = self.phase {
            return;
        }
        self.phase = Phase::Terminating(reason);
        for job in std::mem::take(&mut self.jobs).into_values() {
            job.reply.send(Err(StartApplicationError::Terminating));
        }
        self.stop_next();
    }

    fn stop_next(&mut self) {
        let Some(name) = self.begun.last().cloned() else {
            return;
        };
        let timeout = self.shutdown_timeout;
        if let Some(life) = self.life(&name) {
            life.order_stop();
            if let Some(timeout) = timeout {
                send_after(timeout, self_pid(), Request::Overdue(life.pid));
            }
        }
    }

    fn overdue(&mut self, master: Pid) {
        if let Some((name, _)) = self.life_of_master(master) {
            guarded(
                || error!(target: APPLICATION, application = %name, "application did not stop in time"),
            );
            kill(master);
        }
    }

    fn is_over(&self) -> Option<ExitReason> {
        match &self.phase {
            Phase::Terminating(reason) if self.begun.is_empty() => {
                if ApplicationEnded::of(reason).is_some() {
                    Node::current().order_stop(GRACE);
                }
                Some(reason.clone())
            }
            Phase::Terminating(_) | Phase::Serving => None,
        }
    }

    fn exited(&mut self, exit: Exit) {
        if exit.from == Pid::NODE {
            return self.terminate(exit.reason);
        }
        if let Some((name, life)) = self.life_of_master(exit.from) {
            let outcome = life.stage.outcome(exit.reason);
            life.stage = Stage::Clearing(HashSet::new(), outcome);
            self.clear(&name);
        }
    }

    /// Whoever is left of an application whose master has ended is killed, and
    /// waited for (law APP-08).
    fn clear(&mut self, name: &Name) {
        let Some(life) = self.life(name) else { return };
        let master = life.pid;
        let strays = Node::current().group_members(master).into_iter();
        let killed = strays
            .filter(|pid| *pid != master && !planted!(StraysLeft))
            .map(|pid| {
                let reference = monitor(pid);
                kill(pid);
                reference
            });
        let killed: HashSet<_> = killed.collect();
        match &mut life.stage {
            Stage::Clearing(left, _) if !killed.is_empty() => *left = killed,
            _ => self.bury(name),
        }
    }

    fn stray_ended(&mut self, down: &Down) {
        let mut cleared = None;
        for (name, loaded) in &mut self.loaded {
            if let Some(Life {
                stage: Stage::Clearing(left, _),
                ..
            }) = &mut loaded.life
                && left.remove(&down.reference)
                && left.is_empty()
            {
                cleared = Some(name.clone());
            }
        }
        if let Some(name) = cleared {
            // They may have spawned others meanwhile.
            self.clear(&name);
        }
    }

    /// Nothing is left of an application.
    fn bury(&mut self, name: &Name) {
        let Some(loaded) = self.loaded.get_mut(name) else {
            return;
        };
        let Some(life) = loaded.life.take() else {
            return;
        };
        let outcome = match life.stage {
            Stage::Clearing(_, outcome) => outcome,
            Stage::Starting | Stage::Running(_) | Stage::Stopping => Outcome::Stopped,
        };
        if let Outcome::Ended(reason) = &outcome {
            loaded.ended = Some(reason.clone());
        }
        self.begun.retain(|begun| begun != name);
        for waiter in life.starters {
            self.tell_start(waiter, name, Err(not_up(name, &outcome)));
        }
        for waiter in life.stoppers {
            tell_stop(&mut self.ripe, waiter, Ok(()));
        }
        if let Phase::Terminating(_) = self.phase {
            self.stop_next();
        }
        self.react(name, life.start_type, outcome);
        for (start_type, waiter) in life.successors {
            self.succeed(name, start_type, waiter);
        }
    }

    /// Who waited for the end of an application to start it.
    fn succeed(&mut self, name: &Name, start_type: StartType, waiter: Waiter<StartResult>) {
        match self.phase {
            Phase::Serving => self.start(name.clone(), start_type, waiter),
            Phase::Terminating(_) => {
                let error = StartApplicationError::Terminating;
                self.tell_start(waiter, name, Err(error));
            }
        }
    }

    /// Reports the end of an application, and stops the node if it is fatal.
    fn react(&mut self, name: &Name, start_type: StartType, outcome: Outcome) {
        match outcome {
            Outcome::Stopped => {
                guarded(|| info!(target: APPLICATION, application = %name, "application stopped"));
            }
            Outcome::NotStarted(error) => {
                guarded(
                    || error!(target: APPLICATION, application = %name, %error, "application did not start"),
                );
            }
            Outcome::Ended(reason) if start_type.is_fatal(&reason) => {
                guarded(
                    || error!(target: APPLICATION, application = %name, %start_type, %reason, "application ended; the node stops"),
                );
                let name = name.clone();
                self.terminate(ExitReason::shutdown_with(ApplicationEnded { name, reason }));
            }
            Outcome::Ended(reason) => {
                guarded(
                    || info!(target: APPLICATION, application = %name, %start_type, %reason, "application ended"),
                );
            }
        }
    }

    fn ensure_all(
        &mut self,
        names: &[Name],
        start_type: StartType,
        mode: StartMode,
        reply: Reply<AllResult>,
    ) {
        let needs = |loaded: &Loaded| loaded.application.needs.clone();
        let needs: Needs = self
            .loaded
            .iter()
            .map(|(name, loaded)| (name.clone(), needs(loaded)))
            .collect();
        let plan = match Plan::new(&needs, names, mode) {
            Ok(plan) => plan,
            Err(NoOrder::NotLoaded(name)) => {
                return reply.send(Err(StartApplicationError::NotLoaded(name)));
            }
            Err(NoOrder::Cycle(names)) => {
                return reply.send(Err(StartApplicationError::Cycle(names)));
            }
        };
        let job = Job {
            plan,
            start_type,
            own: Vec::new(),
            failed: None,
            reply,
        };
        self.next_job += 1;
        self.jobs.insert(self.next_job, job);
        self.ripe.push_back(self.next_job);
    }

    /// Goes on with a job: starts what can be started now, or, if one has
    /// failed, stops the last that it had started (law APP-02).
    fn advance(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.failed.is_none() && !job.plan.is_done() {
            let (next, start_type) = (job.plan.next(), job.start_type);
            for name in next {
                self.start(name, start_type, Waiter::Job(id));
            }
            return;
        }
        if job.plan.is_under_way() {
            return;
        }
        match job.failed.as_ref().and_then(|_| job.own.pop()) {
            Some((name, master)) if self.life(&name).is_some_and(|life| life.pid == master) => {
                self.stop(name, Waiter::Job(id));
            }
            // It has ended meanwhile.
            Some(_) => self.ripe.push_back(id),
            None => self.finish(id),
        }
    }

    fn finish(&mut self, id: u64) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        let own = job.own.into_iter().map(|(name, _)| name).collect();
        job.reply.send(job.failed.map_or(Ok(own), Err));
    }

    fn tell_start(&mut self, waiter: Waiter<StartResult>, name: &Name, result: StartResult) {
        let id = match waiter {
            Waiter::Caller(reply) => return reply.send(result),
            Waiter::Job(id) => id,
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match result {
            Ok(()) => job.plan.started(name),
            Err(error) => {
                job.plan.failed(name);
                job.failed.get_or_insert(error);
            }
        }
        self.ripe.push_back(id);
    }

    fn changed(&mut self, changes: Vec<(Name, ConfigChange)>, reply: Reply<()>) {
        let teller = Arc::new(Answer(Some(reply)));
        for (name, change) in changes {
            if let Some(life) = self.life(&name)
                && let Stage::Running(_) = life.stage
            {
                let order = Order::ConfigChange(change, Arc::clone(&teller));
                life.master.cast(order);
            }
        }
    }

    fn which(&self) -> Vec<ApplicationInfo> {
        let info = |name: &Name| {
            let loaded = self.loaded.get(name)?;
            let life = loaded.life.as_ref()?;
            Some(ApplicationInfo {
                name: name.clone(),
                description: Arc::clone(&loaded.application.description),
                start_type: life.start_type,
                status: life.stage.status(),
            })
        };
        self.begun.iter().filter_map(info).collect()
    }

    fn led_by(&self, leader: Pid) -> Option<Name> {
        let is_its = |loaded: &Loaded| loaded.life.as_ref().is_some_and(|life| life.pid == leader);
        let mut all = self.loaded.iter();
        all.find(|(_, loaded)| is_its(loaded))
            .map(|(name, _)| name.clone())
    }

    fn supervisor(&self, name: &Name) -> Option<Pid> {
        match self.loaded.get(name)?.life.as_ref()?.stage {
            Stage::Running(top) => top,
            Stage::Starting | Stage::Stopping | Stage::Clearing(..) => None,
        }
    }

    fn life(&mut self, name: &Name) -> Option<&mut Life> {
        self.loaded.get_mut(name)?.life.as_mut()
    }

    fn life_of_master(&mut self, master: Pid) -> Option<(Name, &mut Life)> {
        let lives = self
            .loaded
            .iter_mut()
            .filter_map(|(name, loaded)| Some((name, loaded.life.as_mut()?)));
        let mut its = lives.filter(|(_, life)| life.pid == master);
        its.next().map(|(name, life)| (name.clone(), life))
    }
}

impl Life {
    fn order_stop(&mut self) {
        match self.stage {
            Stage::Starting | Stage::Running(_) => {
                self.master.cast(Order::Stop);
                self.stage = Stage::Stopping;
            }
            Stage::Stopping | Stage::Clearing(..) => {}
        }
    }
}

impl Stage {
    /// What the end of the master means.
    fn outcome(&self, reason: ExitReason) -> Outcome {
        let told = match &reason {
            ExitReason::ShutdownWith(term) => term.downcast_ref::<Outcome>().cloned(),
            _ => None,
        };
        match (self, told) {
            (Self::Stopping, _) => Outcome::Stopped,
            (_, Some(outcome)) => outcome,
            // It was killed.
            (Self::Starting, None) => Outcome::NotStarted(StartError::Failed(reason)),
            (Self::Running(_) | Self::Clearing(..), None) => Outcome::Ended(reason),
        }
    }

    fn status(&self) -> ApplicationStatus {
        match self {
            Self::Starting => ApplicationStatus::Starting,
            Self::Running(top) => ApplicationStatus::Running(*top),
            Self::Stopping | Self::Clearing(..) => ApplicationStatus::Stopping,
        }
    }
}

fn tell_stop(ripe: &mut VecDeque<u64>, waiter: Waiter<StopResult>, result: StopResult) {
    match waiter {
        Waiter::Caller(reply) => reply.send(result),
        Waiter::Job(id) => ripe.push_back(id),
    }
}

/// Why an application that was being started is not up.
fn not_up(name: &Name, outcome: &Outcome) -> StartApplicationError {
    let name = name.clone();
    match outcome {
        Outcome::Stopped => StartApplicationError::Stopped(name),
        Outcome::NotStarted(error) => StartApplicationError::Failed {
            name,
            error: error.clone(),
        },
        Outcome::Ended(reason) => StartApplicationError::Failed {
            name,
            error: StartError::Failed(reason.clone()),
        },
    }
}
