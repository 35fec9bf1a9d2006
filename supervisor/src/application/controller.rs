//! The application controller: what is loaded, what runs, and in which order
//! it is started and stopped. It waits for nobody, so it can always be asked.

mod changes;
mod circles;
mod ends;
mod jobs;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use resurgam_runtime::{
    Context, ExitReason, Message, MonitorRef, Name, Node, Pid, ProcessRef, Reply, StartError, kill,
    planted, self_pid, send_after, spawn_options,
};
use tracing::{error, info};

use super::asker::Caller;
use super::handle::{
    ApplicationEnded, Applications, LoadApplicationError, StartApplicationError,
    StopApplicationError, UnloadApplicationError,
};
use super::master::{Master, Order, Outcome};
use super::order::{Necessity, Need, StartMode};
use super::{
    Application, ApplicationContext, ApplicationInfo, ApplicationStatus, ConfigChange, Environment,
    StartType,
};
use crate::caught::{drop_caught, guarded};
use changes::{Change, ChangeResult};
use jobs::Job;

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
    Start(Name, StartType, Caller<StartResult>),
    EnsureAll(Vec<Name>, StartType, StartMode, Caller<AllResult>),
    Stop(Name, Caller<StopResult>),
    /// Answered only if who asks would wait for itself.
    StopAll(Caller<()>),
    Which(Reply<Vec<ApplicationInfo>>),
    Loaded(Reply<Vec<Name>>),
    LedBy(Pid, Reply<Option<Name>>),
    Supervisor(Name, Reply<Option<Pid>>),
    /// Settings were changed; to be answered when all have been told.
    Changed(Vec<(Name, ConfigChange)>, Caller<ChangeResult>),
    /// Of a master: its application is up.
    Up {
        master: Pid,
        top: Option<Pid>,
    },
    /// Of a master: it has done what it does about this change.
    HasChanged(Pid, u64),
    /// Of a master: its application ends.
    Ending(Pid),
    /// An application has been stopping for too long.
    Overdue(Pid),
}

/// The process. It traps exits.
struct Controller {
    myself: ProcessRef<Request>,
    env: Environment,
    shutdown_timeout: Option<Duration>,
    loaded: BTreeMap<Name, Loaded>,
    // Invariant: those that have a life, in the order in which they were up; one
    // that is not up stands where it began.
    begun: Vec<Name>,
    /// How often somebody asked for something that takes time.
    numbered: u64,
    jobs: BTreeMap<u64, Job>,
    /// Jobs that can go on.
    ripe: VecDeque<u64>,
    changes: BTreeMap<u64, Change>,
    /// Those who had all stopped.
    enders: BTreeMap<u64, Caller<()>>,
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
    /// It takes itself down.
    Ending {
        was_up: bool,
    },
    /// It was told to stop.
    Stopping,
    /// The master has ended, and these are told of the ends of the processes
    /// that it left.
    Clearing(HashSet<MonitorRef>, Outcome),
}

/// Who is to be told how something went.
enum Waiter<T: Send + 'static> {
    Caller(u64, Caller<T>),
    Job(u64),
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
        numbered: 0,
        jobs: BTreeMap::new(),
        ripe: VecDeque::new(),
        changes: BTreeMap::new(),
        enders: BTreeMap::new(),
        phase: Phase::Serving,
    };
    loop {
        let message = ctx.receive().await;
        controller.receive(message);
        controller.go_on();
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

    /// Does what can be done now.
    fn go_on(&mut self) {
        loop {
            while let Some(job) = self.ripe.pop_front() {
                self.advance(job);
            }
            match self.circle() {
                Some(circle) => self.tell_circle(circle),
                None => return,
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Load(application, reply) => reply.send(self.load(application)),
            Request::Unload(name, reply) => reply.send(self.unload(name)),
            Request::Start(name, start_type, caller) => {
                let waiter = Waiter::Caller(self.next_number(), caller);
                self.start(name, start_type, waiter);
            }
            Request::EnsureAll(names, start_type, mode, caller) => {
                self.ensure_all(&names, start_type, mode, caller);
            }
            Request::Stop(name, caller) => {
                let waiter = Waiter::Caller(self.next_number(), caller);
                self.stop(name, waiter);
            }
            Request::StopAll(caller) => self.stop_all(caller),
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
            Request::Start(_, _, caller) => {
                caller.reply.send(Err(StartApplicationError::Terminating));
            }
            Request::EnsureAll(_, _, _, caller) => {
                caller.reply.send(Err(StartApplicationError::Terminating));
            }
            Request::Stop(_, caller) => {
                caller.reply.send(Err(StopApplicationError::Terminating));
            }
            Request::StopAll(caller) => self.stop_all(caller),
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
            Request::Changed(changes, caller) => self.changed(changes, caller),
            Request::HasChanged(master, number) => self.has_changed(master, number),
            Request::Up { master, top } => self.up(master, top),
            Request::Ending(master) => self.ending(master),
            Request::Overdue(master) => self.overdue(master),
            Request::Load(..)
            | Request::Unload(..)
            | Request::Start(..)
            | Request::EnsureAll(..)
            | Request::Stop(..)
            | Request::StopAll(_) => {}
        }
    }

    fn next_number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
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
                (Stage::Running(_), Waiter::Caller(_, caller)) => {
                    let error = StartApplicationError::AlreadyStarted(name);
                    caller.reply.send(Err(error));
                }
                (Stage::Running(_), job) => self.tell_start(job, &name, Ok(())),
                (Stage::Ending { .. } | Stage::Stopping | Stage::Clearing(..), waiter) => {
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
        let mut ended = None;
        for Need { name, .. } in required {
            let needed = self.loaded.get(name);
            let runs = |life: &Life| matches!(life.stage, Stage::Running(_));
            if needed
                .and_then(|needed| needed.life.as_ref())
                .is_some_and(runs)
            {
                continue;
            }
            match needed.and_then(|needed| needed.ended.clone()) {
                Some(reason) => _ = ended.get_or_insert_with(|| (name.clone(), reason)),
                None => return Err(StartApplicationError::NotStarted(name.clone())),
            }
        }
        ended.map_or(Ok(()), |(name, reason)| {
            Err(StartApplicationError::NotRunning { name, reason })
        })
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
        // Before those that were being started when it was up (law APP-13).
        self.begun.retain(|begun| *begun != name);
        self.begun.push(name.clone());
        if let Some(loaded) = self.loaded.get_mut(&name) {
            loaded.ended = None;
        }
        guarded(
            || info!(target: APPLICATION, application = %name, %start_type, "application started"),
        );
        for waiter in starters {
            self.tell_start(waiter, &name, Ok(()));
        }
    }

    /// A master takes down what it is the master of.
    fn ending(&mut self, master: Pid) {
        let Some((name, life)) = self.life_of_master(master) else {
            return;
        };
        match life.stage {
            Stage::Starting => life.stage = Stage::Ending { was_up: false },
            Stage::Running(_) => life.stage = Stage::Ending { was_up: true },
            Stage::Ending { .. } | Stage::Stopping | Stage::Clearing(..) => {}
        }
        self.leave_changes(&name);
    }

    fn stop(&mut self, name: Name, waiter: Waiter<StopResult>) {
        match self.life(&name) {
            None => {
                let loaded = self.loaded.get_mut(&name);
                let ended = loaded.and_then(|loaded| loaded.ended.take());
                let not_started = StopApplicationError::NotStarted(name);
                tell_stop(&mut self.ripe, waiter, ended.map(drop).ok_or(not_started));
            }
            Some(life) => {
                life.stoppers.push(waiter);
                self.order_stop(&name);
            }
        }
    }

    fn order_stop(&mut self, name: &Name) {
        if let Some(life) = self.life(name) {
            life.order_stop();
            self.leave_changes(name);
        }
    }

    fn stop_all(&mut self, caller: Caller<()>) {
        let number = self.next_number();
        self.enders.insert(number, caller);
        self.terminate(ExitReason::Shutdown);
    }

    /// The order of a start is kept by the jobs, that of the end here: the last
    /// that was up is the first to stop (law APP-13).
    fn terminate(&mut self, reason: ExitReason) {
        if let Phase::Terminating(_) = self.phase {
            return;
        }
        self.phase = Phase::Terminating(reason);
        // What is being started may need what runs, and is needed by nobody.
        let lives = &self.loaded;
        self.begun.sort_by_key(|name| {
            let life = lives[name].life.as_ref();
            life.is_some_and(|life| matches!(life.stage, Stage::Starting))
        });
        for job in std::mem::take(&mut self.jobs).into_values() {
            job.tell(Err(StartApplicationError::Terminating));
        }
        self.stop_next();
    }

    fn stop_next(&mut self) {
        let mut next = self.begun.last();
        if planted!(FirstUpStopsFirst) {
            next = self.begun.first();
        }
        let Some(name) = next.cloned() else { return };
        self.order_stop(&name);
        let timeout = self.shutdown_timeout;
        if let (Some(timeout), Some(life)) = (timeout, self.life(&name)) {
            send_after(timeout, self_pid(), Request::Overdue(life.pid));
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
            Stage::Starting | Stage::Ending { .. } | Stage::Stopping | Stage::Clearing(..) => None,
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
            // An order to stop never stops the node (law APP-07).
            Stage::Ending { was_up: true } => self.stage = Stage::Stopping,
            Stage::Ending { was_up: false } | Stage::Stopping | Stage::Clearing(..) => {}
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
            (Self::Starting | Self::Ending { was_up: false }, None) => {
                Outcome::NotStarted(StartError::Failed(reason))
            }
            (Self::Running(_) | Self::Ending { was_up: true } | Self::Clearing(..), None) => {
                Outcome::Ended(reason)
            }
        }
    }

    fn status(&self) -> ApplicationStatus {
        match self {
            Self::Starting => ApplicationStatus::Starting,
            Self::Running(top) => ApplicationStatus::Running(*top),
            Self::Ending { .. } | Self::Stopping | Self::Clearing(..) => {
                ApplicationStatus::Stopping
            }
        }
    }
}

fn tell_stop(ripe: &mut VecDeque<u64>, waiter: Waiter<StopResult>, result: StopResult) {
    match waiter {
        Waiter::Caller(_, caller) => caller.reply.send(result),
        Waiter::Job(id) => ripe.push_back(id),
    }
}
