//! A script of applications on a node, in the words that Erlang has for it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Waking, Poll, Waker};

use futures::channel::oneshot;
use resurgam::{
    Application, ApplicationContext, ApplicationStatus, Applications, Config, Context, ExitReason,
    LoadApplicationError, Message, Name as Word, Node, Pid, ProcessRef, StartApplicationError,
    StartError, StartMode, StartType, StopApplicationError, UnloadApplicationError, spawn,
    spawn_options, yield_now,
};

use super::{App, Case, Do, Key, Name, Reason, Start, Step, phase_names};

/// What is seen of a script. For whoever lets everything come to rest when this
/// waits: [`drive`](crate::seeded::drive).
///
/// # Panics
///
/// If what cannot be happens.
pub async fn seen(node: &Node, case: &Case) -> String {
    let apps = Applications::start_on(node)
        .await
        .expect("nothing hinders it");
    let mut script = Script {
        node: node.clone(),
        apps,
        cast: case.apps.clone(),
        world: World::default(),
        open: BTreeMap::new(),
        number: 0,
        ensuring: 0,
        lasting: BTreeSet::new(),
    };
    let mut words = Vec::new();
    for step in &case.steps {
        script.number += 1;
        words.push(script.step(step).await);
        if script.is_down() {
            return words.join(" ");
        }
    }
    let waiting = script.picture().await.starting;
    for (name, _) in waiting {
        words.push(script.step(&Step::Release(name)).await);
    }
    let ended = script.apps.stop_all();
    ended.await;
    words.push(format!("end[{}]", script.noted()));
    words.join(" ")
}

/// What the callbacks share with the script.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    notes: Vec<(Name, String)>,
    attempts: BTreeMap<Name, usize>,
    gates: BTreeMap<Name, oneshot::Sender<()>>,
    tops: BTreeMap<Name, ProcessRef<ExitReason>>,
    strays: Vec<(Name, Pid)>,
    /// Those whose start has not failed in a phase.
    whole: BTreeSet<Name>,
}

impl World {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: Name, word: String) {
        self.books().notes.push((name, word));
    }
}

/// What came of a step, or what a client waits for.
enum Came {
    At(String),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

/// What a client is told.
enum Answer {
    Word(String),
    /// In Erlang the end of the node: see [`Script::perform`].
    Fatal(String),
}

/// Who runs, with their types, and who is being started.
#[derive(Default)]
struct Picture {
    running: Vec<(Name, StartType)>,
    starting: Vec<(Name, StartType)>,
}

struct Script {
    node: Node,
    apps: Applications,
    cast: Vec<App>,
    world: World,
    /// What clients wait for.
    open: BTreeMap<u32, Pin<Box<dyn Future<Output = Answer> + Send>>>,
    number: u32,
    /// The last start of many.
    ensuring: u32,
    /// What was set for good.
    lasting: BTreeSet<Key>,
}

impl Script {
    async fn step(&mut self, step: &Step) -> String {
        if let Step::SetPersistent(key, _) = step {
            self.lasting.insert(*key);
        }
        let picture = self.picture().await;
        let mut said = String::new();
        match self.hindrance(step, &picture).await {
            Some("impossible") => {
                said = self.ask_the_impossible(step).await;
            }
            Some(why) => said = why.to_owned(),
            None => match self.perform(step, &picture).await {
                Came::At(word) => said = word,
                Came::Later(answer) => {
                    if let Step::Ensure(..) = step {
                        self.ensuring = self.number;
                    }
                    self.open.insert(self.number, answer);
                }
            },
        }
        let waiting = self.open.len();
        let answers = self.answers().await;
        let notes = match waiting {
            0 | 1 => self.noted(),
            // What is done for several is done side by side.
            _ => self.noted_by_name(),
        };
        if self.is_down() {
            return format!("{said}{answers}[{notes}]down");
        }
        let picture = self.painted().await;
        format!("{said}{answers}[{notes}]<{picture}>")
    }

    fn is_down(&self) -> bool {
        self.node.whereis(Applications::NAME).is_none()
    }

    /// What those are told who have waited long enough.
    async fn answers(&mut self) -> String {
        let mut context = Waking::from_waker(Waker::noop());
        let mut answers = String::new();
        let mut is_fatal = false;
        for rest in [true, false] {
            self.open.retain(|number, answer| {
                let Poll::Ready(answer) = answer.as_mut().poll(&mut context) else {
                    return true;
                };
                let word = match answer {
                    Answer::Word(word) => word,
                    Answer::Fatal(word) => {
                        is_fatal = true;
                        word
                    }
                };
                answers.push_str(&format!("{number}={word};"));
                false
            });
            if rest {
                yield_now().await;
            }
        }
        if is_fatal {
            self.apps.stop_all().await;
        }
        answers
    }

    fn noted(&self) -> String {
        let notes = std::mem::take(&mut self.world.books().notes);
        let words: Vec<_> = notes.into_iter().map(|(_, word)| word).collect();
        words.join(",")
    }

    fn noted_by_name(&self) -> String {
        self.world.books().notes.sort_by_key(|(name, _)| *name);
        self.noted()
    }

    /// What would be different by design is left out on both sides, or only
    /// said.
    async fn hindrance(&self, step: &Step, picture: &Picture) -> Option<&'static str> {
        let is_quiet = picture.starting.is_empty();
        let mut starting = picture.starting.iter();
        let is_lone = starting.any(|(_, kind)| *kind != StartType::Temporary);
        let is_starting = |name| picture.starting.iter().any(|(other, _)| *other == name);
        let is_busy = match *step {
            Step::Release(_) | Step::Set(..) | Step::SetPersistent(..) | Step::Unset(_) => false,
            Step::Load(_) => is_lone,
            // What such a start waits for, and another had started, OTP counts
            // among those that it started itself; here it is not (law APP-02).
            Step::Start(..) | Step::Ensure(..) if self.open.contains_key(&self.ensuring) => true,
            Step::Start(_, StartType::Temporary) => is_lone,
            Step::Start(..) | Step::Ensure(..) => !is_quiet,
            Step::Crash(..) | Step::Configure(_) => !is_quiet,
            // Here such a start is called off; OTP says that it is not started.
            Step::Stop(name) | Step::Unload(name) => is_lone || is_starting(name),
        };
        match *step {
            _ if is_busy => Some("busy"),
            Step::Ensure(name, _) => {
                let loaded = self.loaded().await;
                let is_orderly = self.is_orderly(name, &mut Vec::new(), &loaded, picture);
                (!is_orderly).then_some("impossible")
            }
            _ => None,
        }
    }

    /// Whether all that an application needs is known, and in no circle. OTP
    /// starts what it comes upon before that and stops it again, or goes round
    /// for ever; here it is said before anything is started (law APP-02).
    fn is_orderly(
        &self,
        name: Name,
        path: &mut Vec<Name>,
        loaded: &[Name],
        picture: &Picture,
    ) -> bool {
        let runs = |name: Name| picture.running.iter().any(|(other, _)| *other == name);
        if path.contains(&name) {
            return false;
        }
        if runs(name) {
            return true;
        }
        if !loaded.contains(&name) {
            return false;
        }
        let Some(app) = self.cast.iter().find(|app| app.name == name) else {
            return false;
        };
        path.push(name);
        let optional = app.optional.iter().filter(|name| loaded.contains(name));
        let mut all = app.needs.iter().chain(optional);
        let is_orderly = all.all(|name| self.is_orderly(*name, path, loaded, picture));
        path.pop();
        is_orderly
    }

    async fn ask_the_impossible(&self, step: &Step) -> String {
        use StartApplicationError::{Cycle, NotLoaded};
        let Step::Ensure(name, start_type) = step else {
            unreachable!("only that can be impossible")
        };
        match self.ensure(*name, *start_type).await {
            Err(NotLoaded(_) | Cycle(_)) => "impossible".to_owned(),
            other => format!("{other:?}"),
        }
    }

    fn ensure(
        &self,
        name: Name,
        start_type: StartType,
    ) -> impl Future<Output = Result<Vec<Word>, StartApplicationError>> + use<> {
        let apps = self.apps.clone();
        async move {
            let (serial, names) = (StartMode::Serial, [name.to_string()]);
            apps.ensure_all_started_as(start_type, serial, names).await
        }
    }

    /// That a permanent or a transient application does not start stops the
    /// node in OTP; here it is an error for whoever starts it, and no more (law
    /// APP-10). So the script ends there.
    async fn perform(&self, step: &Step, picture: &Picture) -> Came {
        let ok = || Came::At("ok".to_owned());
        let env = self.apps.env();
        match step {
            Step::Load(name) => {
                let app = self.cast.iter().find(|app| app.name == *name);
                let app = app.expect("it is in the cast");
                Came::At(match self.apps.load(application(app, &self.world)).await {
                    Ok(()) => "ok".to_owned(),
                    Err(LoadApplicationError::AlreadyLoaded(_)) => "already".to_owned(),
                    Err(error) => error.to_string(),
                })
            }
            Step::Unload(name) => Came::At(match self.apps.unload(name.to_string()).await {
                Ok(()) => "ok".to_owned(),
                Err(UnloadApplicationError::NotLoaded(_)) => "not_loaded".to_owned(),
                Err(UnloadApplicationError::Running(_)) => "running".to_owned(),
                Err(error) => error.to_string(),
            }),
            Step::Start(name, start_type) => {
                let (apps, name, start_type) = (self.apps.clone(), name.to_string(), *start_type);
                Came::Later(Box::pin(async move {
                    match apps.start_as(start_type, name).await {
                        Ok(()) => Answer::Word("ok".to_owned()),
                        Err(error) => Answer::of_start(&error, start_type, "failed"),
                    }
                }))
            }
            Step::Ensure(name, start_type) => {
                let (start_type, ensure) = (*start_type, self.ensure(*name, *start_type));
                Came::Later(Box::pin(async move {
                    match ensure.await {
                        Ok(names) => {
                            let names: String =
                                names.iter().map(|name| format!("+{name}")).collect();
                            Answer::Word(format!("ok{names}"))
                        }
                        Err(_) if start_type != StartType::Temporary => {
                            Answer::Fatal("down".to_owned())
                        }
                        Err(StartApplicationError::Failed { name, .. }) => {
                            Answer::Word(format!("failed {name}"))
                        }
                        Err(error) => Answer::of_start(&error, start_type, "failed"),
                    }
                }))
            }
            Step::Stop(name) => {
                let (apps, name) = (self.apps.clone(), name.to_string());
                Came::Later(Box::pin(async move {
                    Answer::Word(match apps.stop(name).await {
                        Ok(()) => "ok".to_owned(),
                        Err(StopApplicationError::NotStarted(_)) => "not_started".to_owned(),
                        Err(error) => error.to_string(),
                    })
                }))
            }
            Step::Crash(name, reason) => {
                if !picture.running.iter().any(|(other, _)| other == name) {
                    return Came::At("nobody".to_owned());
                }
                let top = self.world.books().tops[name].clone();
                match reason.as_exit() {
                    ExitReason::Kill => self.node.kill(top.pid().expect("it was spawned")),
                    reason => top.cast(reason),
                }
                Came::At("crash".to_owned())
            }
            Step::Release(name) => {
                let gate = self.world.books().gates.remove(name);
                Came::At(match gate.map(|gate| gate.send(())) {
                    Some(_) => "go".to_owned(),
                    None => "none".to_owned(),
                })
            }
            Step::Set(key, value) => {
                env.set(key.0.to_string(), word(*key), *value);
                ok()
            }
            Step::SetPersistent(key, value) => {
                env.set_persistent(key.0.to_string(), word(*key), *value);
                ok()
            }
            // OTP unsets it together with what was configured, or not for good.
            Step::Unset(key) if self.lasting.contains(key) => Came::At("lasting".to_owned()),
            Step::Unset(key) => {
                env.unset(key.0.to_string(), word(*key));
                ok()
            }
            Step::Configure(config) => {
                let settings = config.iter().flat_map(|(_, env)| env);
                let config = settings.fold(Config::new(), |config, (key, value)| {
                    config.set(key.0.to_string(), word(*key), *value)
                });
                let changed = self.apps.change_config(config).await;
                changed.map_or_else(|error| Came::At(error.to_string()), |_| ok())
            }
        }
    }

    async fn loaded(&self) -> Vec<Name> {
        let loaded = self.apps.loaded_applications().await.unwrap_or_default();
        loaded.iter().map(letter).collect()
    }

    async fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        for info in self.apps.which_applications().await.unwrap_or_default() {
            let one = (letter(&info.name), info.start_type);
            match info.status {
                ApplicationStatus::Running(_) => picture.running.push(one),
                ApplicationStatus::Starting => picture.starting.push(one),
                other => panic!("{other:?} at rest"),
            }
        }
        picture.starting.sort_by_key(|(name, _)| *name);
        picture
    }

    /// Who runs, the first to be up first, who is being started, whose strays
    /// are alive, and the settings.
    async fn painted(&self) -> String {
        let picture = self.picture().await;
        let running = picture.running.iter();
        let running: Vec<_> = running
            .map(|(name, kind)| format!("{name}{kind}"))
            .collect();
        let starting: String = picture.starting.iter().map(|(name, _)| *name).collect();
        let living: BTreeSet<_> = self.node.processes().into_iter().collect();
        let strays: BTreeSet<_> = self.world.books().strays.iter().copied().collect();
        let mut strays: Vec<_> = strays
            .iter()
            .filter(|(_, pid)| living.contains(pid))
            .collect();
        strays.dedup_by_key(|(name, _)| *name);
        let strays: String = strays.iter().map(|(name, _)| *name).collect();
        let mut env = String::new();
        for app in &self.cast {
            let name = app.name.to_string();
            for key in self.apps.env().keys(&name) {
                let value: u8 = self.apps.env().get(&name, &key).expect("it is there");
                env.push_str(&format!("{key}{value}"));
            }
        }
        format!("{}/{starting}/{strays}/{env}", running.join("+"))
    }
}

fn letter(name: &Word) -> Name {
    name.as_str().chars().next().unwrap_or('?')
}

/// What a setting is called.
fn word((name, number): Key) -> String {
    format!("{name}{number}")
}

impl Answer {
    fn of_start(error: &StartApplicationError, start_type: StartType, failed: &str) -> Self {
        use StartApplicationError::{AlreadyStarted, Failed, NotLoaded, NotRunning, NotStarted};
        let word = match error {
            AlreadyStarted(_) => "already".to_owned(),
            NotLoaded(_) => "not_loaded".to_owned(),
            NotStarted(name) => format!("not_started {name}"),
            NotRunning { name, .. } => format!("not_running {name}"),
            Failed { .. } => failed.to_owned(),
            error => error.to_string(),
        };
        let is_fatal = matches!(error, NotRunning { .. } | Failed { .. });
        match start_type {
            StartType::Permanent | StartType::Transient if is_fatal => Self::Fatal(word),
            _ => Self::Word(word),
        }
    }
}

impl Reason {
    fn as_exit(self) -> ExitReason {
        match self {
            Self::Normal => ExitReason::Normal,
            Self::Shutdown => ExitReason::Shutdown,
            Self::Error => ExitReason::custom("error"),
            Self::Killed => ExitReason::Kill,
        }
    }
}

impl Do {
    fn result(self) -> Result<(), ExitReason> {
        match self {
            Self::Ok => Ok(()),
            Self::Error => Err(ExitReason::custom("no")),
            Self::Crash => panic!("as the script says"),
        }
    }
}

/// An application that follows the script.
fn application(app: &App, world: &World) -> Application {
    let mut application = Application::new(app.name.to_string());
    for name in &app.needs {
        application = application.needs(name.to_string());
    }
    for name in &app.optional {
        application = application.needs_if_loaded(name.to_string());
    }
    for (key, value) in &app.env {
        application = application.env(word(*key), *value);
    }
    let (starts, own) = (world.clone(), app.clone());
    application = application.start(move |_| start(starts.clone(), own.clone()));
    for (name, does) in phase_names().zip(&app.phases) {
        let (world, own, does) = (world.clone(), app.name, *does);
        let word = format!("{own}/{name}");
        application = application.start_phase(name, move |_| {
            let (world, word) = (world.clone(), word.clone());
            async move {
                world.note(own, word);
                if does != Do::Ok {
                    world.books().whole.remove(&own);
                }
                does.result()
            }
        });
    }
    let noting = |before: &'static str, does: Do| {
        let (world, name) = (world.clone(), app.name);
        move |_: ApplicationContext| {
            let world = world.clone();
            async move {
                // OTP does nothing about a start that failed in a phase, and
                // leaves its tree behind (law APP-08).
                if world.books().whole.contains(&name) {
                    world.note(name, format!("{before}{name}"));
                }
                let _ = does.result();
            }
        }
    };
    let (changes, name) = (world.clone(), app.name);
    application
        .prep_stop(noting("prep ", app.prep_stop))
        .stop(noting("-", app.stop))
        .config_change(move |context, change| {
            let words = |keys: &[Word]| -> String {
                let mut keys = keys.to_vec();
                keys.sort();
                let value = |key: &Word| context.get_env::<u8>(key).map_or(0, |value| value);
                keys.iter()
                    .map(|key| format!("{key}{}", value(key)))
                    .collect()
            };
            let (changed, new) = (words(&change.changed), words(&change.new));
            let mut removed = change.removed;
            removed.sort();
            let removed: String = removed.iter().map(Word::as_str).collect();
            changes.note(name, format!("*{name}{changed}/{new}/{removed}"));
            async {}
        })
}

async fn start(world: World, app: App) -> Result<ProcessRef<ExitReason>, StartError> {
    let name = app.name;
    world.note(name, format!("+{name}"));
    let attempt = {
        let mut books = world.books();
        books.whole.insert(name);
        let attempt = books.attempts.entry(name).or_default();
        *attempt += 1;
        *attempt - 1
    };
    let what = app.starts.get(attempt).copied().unwrap_or(Start::Ok);
    if let Start::Gated | Start::GatedError = what {
        let (gate, opens) = oneshot::channel();
        world.books().gates.insert(name, gate);
        let _ = opens.await;
    }
    match what {
        Start::Ok | Start::Gated => {}
        Start::Error | Start::GatedError => {
            return Err(StartError::Failed(ExitReason::custom("no")));
        }
        Start::Crash => panic!("as the script says"),
    }
    if app.stray {
        let stray = spawn(|_: Context<()>| std::future::pending::<()>())?;
        let pid = stray.pid().ok_or(StartError::Ignore)?;
        world.books().strays.push((name, pid));
    }
    let books = world.clone();
    let top = spawn_options().link().trap_exit();
    let top = top.spawn(move |ctx| top_of(ctx, books, name))?.process;
    world.books().tops.insert(name, top.clone());
    Ok(top)
}

async fn top_of(mut ctx: Context<ExitReason>, world: World, name: Name) -> ExitReason {
    match ctx.receive().await {
        Message::User(reason) => reason,
        Message::Exit(exit) => {
            if world.books().whole.contains(&name) {
                world.note(name, format!("~{name}:{}", exit.reason));
            }
            exit.reason
        }
        other => panic!("{other:?}"),
    }
}
