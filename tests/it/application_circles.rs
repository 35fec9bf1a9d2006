//! Whoever would wait for itself, by what it asks of the applications, is told
//! so, law by law.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use resurgam::{
    Application, ApplicationContext, Applications, ChangeConfigError, ChildSpec, Config, Context,
    ExitReason, GenServer, InitError, Name, Node, ProcessRef, Reply, ServerContext, Shutdown,
    StartApplicationError, StartError, StopApplicationError, Strategy, Supervisor, SupervisorRef,
    Task, trap_exit,
};

use crate::support::{Log, idle, run};

/// What is asked of the applications by a process of `a`, which needs `base`
/// and is needed by `plugin`. The start of `eager`, the end of `late` and a
/// change for `late` wait for `a` to be up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Wish {
    Start(&'static str),
    Ensure(&'static str),
    Stop(&'static str),
    StopAll,
    Configure,
}

impl Wish {
    /// All that can go wrong.
    const ALL: [Self; 11] = [
        Self::Start("a"),
        Self::Ensure("a"),
        Self::Start("plugin"),
        Self::Ensure("plugin"),
        Self::Start("eager"),
        Self::Ensure("eager"),
        Self::Stop("a"),
        Self::Stop("base"),
        Self::Stop("late"),
        Self::StopAll,
        Self::Configure,
    ];

    /// Asks for it; what came of it.
    async fn grant(self, apps: &Applications) -> String {
        let told = match self {
            Self::Start(name) => told_of_start(apps.start(name).await),
            Self::Ensure(name) => told_of_start(apps.ensure_all_started([name]).await.map(drop)),
            Self::Stop(name) => match apps.stop(name).await {
                Ok(()) => Ok("ok".to_owned()),
                Err(StopApplicationError::Deadlock(names)) => Err(names),
                Err(error) => Ok(error.to_string()),
            },
            Self::StopAll => {
                apps.stop_all().await;
                Ok("ordered".to_owned())
            }
            Self::Configure => match apps.change_config(another_config()).await {
                Ok(_) => Ok("ok".to_owned()),
                Err(ChangeConfigError::Deadlock(names)) => Err(names),
                Err(error) => Ok(error.to_string()),
            },
        };
        told.unwrap_or_else(|names| format!("circle{names:?}"))
    }
}

fn told_of_start(started: Result<(), StartApplicationError>) -> Result<String, Vec<Name>> {
    match started {
        Ok(()) => Ok("ok".to_owned()),
        Err(StartApplicationError::Deadlock(names)) => Err(names),
        Err(error) => Ok(error.to_string()),
    }
}

/// A configuration unlike any before.
fn another_config() -> Config {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    Config::new()
        .set("a", "port", port)
        .set("late", "port", port)
        .set("other", "port", port)
}

/// Where it is asked.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Place {
    Start,
    Phase,
    PrepStop,
    /// As `PrepStop`, of an application that ends by itself.
    PrepStopAlone,
    Stop,
    ConfigChange,
    /// In a task that `prep_stop` waits for.
    Task,
    TopInit,
    ChildInit,
    StartFunction,
    Terminate,
    /// In a message handled by a server that traps exits.
    Deaf,
    /// In a message handled by a server that does not.
    Plain,
}

/// Somebody who has a wish, once.
#[derive(Clone)]
struct Wisher {
    place: Place,
    wish: Arc<std::sync::Mutex<Option<Wish>>>,
    log: Log,
}

impl Wisher {
    fn new(place: Place, wish: Wish, log: &Log) -> Self {
        let wish = Arc::new(std::sync::Mutex::new(Some(wish)));
        let log = log.clone();
        Self { place, wish, log }
    }

    /// Asks, if it is to be asked here.
    async fn is_at(&self, place: Place) {
        if place != self.place {
            return;
        }
        let wish = self.wish.lock().unwrap().take();
        if let Some(wish) = wish {
            let apps = Applications::on(&Node::current()).await.unwrap();
            let told = wish.grant(&apps).await;
            self.log.note(told);
        }
    }

    /// The application `a`.
    fn application(&self) -> Application {
        let [start, phase, prep_stop, stop, change] = [(); 5].map(|()| self.clone());
        Application::new("a")
            .needs("base")
            .start(move |_| start.clone().start())
            .start_phase("phase", move |_| {
                let wisher = phase.clone();
                async move {
                    wisher.is_at(Place::Phase).await;
                    Ok(())
                }
            })
            .prep_stop(move |_| {
                let wisher = prep_stop.clone();
                async move {
                    wisher.is_at(Place::PrepStop).await;
                    wisher.is_at(Place::PrepStopAlone).await;
                    if let Ok(task) = Task::spawn(async move { wisher.is_at(Place::Task).await }) {
                        let _ = task.await;
                    }
                }
            })
            .stop(move |_| {
                let wisher = stop.clone();
                async move { wisher.is_at(Place::Stop).await }
            })
            .config_change(move |_, _| {
                let wisher = change.clone();
                async move { wisher.is_at(Place::ConfigChange).await }
            })
    }

    async fn start(self) -> Result<SupervisorRef, StartError> {
        self.is_at(Place::Start).await;
        let child = self.clone();
        let server = ChildSpec::server_with::<Server, _>("server", move || {
            Server::builder(child.clone()).name("server")
        });
        let starter = self.clone();
        let function = ChildSpec::new("function", move || {
            let wisher = starter.clone();
            async move {
                wisher.is_at(Place::StartFunction).await;
                Err(StartError::Ignore)
            }
        });
        let top = Supervisor::builder(Strategy::OneForOne).name("top");
        let top = top
            .child(server.shutdown(Shutdown::Infinity))
            .child(function);
        if self.place == Place::TopInit {
            // Its own process instead, which starts the tree in its `init`.
            Server::builder(self).start_link().await?;
        }
        Ok(top.start_link().await?)
    }
}

/// A server of `a`.
struct Server(Wisher);

impl GenServer for Server {
    type Args = Wisher;
    type Message = Reply<()>;

    async fn init(wisher: Wisher, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(wisher.place != Place::Plain);
        wisher.is_at(Place::TopInit).await;
        wisher.is_at(Place::ChildInit).await;
        Ok(Self(wisher))
    }

    async fn handle(
        &mut self,
        done: Reply<()>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.0.is_at(Place::Deaf).await;
        self.0.is_at(Place::Plain).await;
        done.send(());
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        self.0.is_at(Place::Terminate).await;
    }
}

/// An application with a process.
fn plain(name: &str) -> Application {
    Application::new(name).start(|_| async { resurgam::spawn_link(idle) })
}

async fn has_a_up(app: ApplicationContext) {
    let _ = app.applications().ensure_started("a").await;
}

/// What came of it; everything ends, or the simulation has nothing left to do.
async fn asked(place: Place, wish: Wish) -> String {
    let log = Log::default();
    let apps = Applications::start_on(&Node::current()).await.unwrap();
    let eager = Application::new("eager").start(|app| async move {
        has_a_up(app).await;
        Ok::<_, StartError>(resurgam::spawn_link(idle)?)
    });
    let late = plain("late")
        .env("port", u16::MAX)
        .stop(has_a_up)
        .config_change(|app, _| has_a_up(app));
    let all = [
        plain("base"),
        plain("plugin").needs("a"),
        eager,
        late,
        Wisher::new(place, wish, &log).application(),
    ];
    for application in all {
        apps.load(application).await.unwrap();
    }
    let _ = apps.ensure_all_started(["late"]).await;
    let _ = apps.ensure_all_started(["a"]).await;
    let server: ProcessRef<Reply<()>> = Node::current().named("server");
    match place {
        Place::ConfigChange => drop(apps.change_config(another_config()).await),
        Place::PrepStopAlone => {
            let top: ProcessRef<()> = Node::current().named("top");
            if let Some(pid) = top.pid() {
                resurgam::kill(pid);
                top.join().await;
            }
        }
        Place::Deaf | Place::Plain => {
            let answer = server.call(|done| done).no_timeout().await;
            if answer.is_err() {
                log.note("ended");
            }
        }
        _ => {}
    }
    let _ = apps.stop("a").await;
    apps.stop_all().await;
    log.heard()
}

impl Place {
    const ALL: [Self; 13] = [
        Self::Start,
        Self::Phase,
        Self::PrepStop,
        Self::PrepStopAlone,
        Self::Stop,
        Self::ConfigChange,
        Self::Task,
        Self::TopInit,
        Self::ChildInit,
        Self::StartFunction,
        Self::Terminate,
        Self::Deaf,
        Self::Plain,
    ];

    /// Whether `a` is up then.
    fn is_up(self) -> bool {
        matches!(self, Self::ConfigChange | Self::Deaf | Self::Plain)
    }

    /// Whether whoever asks there is let go of when `a` is told to stop, so that
    /// it may not live to be told.
    fn can_be_called_off(self) -> bool {
        let callback = matches!(self, Self::Start | Self::Phase | Self::ConfigChange);
        let init = matches!(self, Self::TopInit | Self::ChildInit | Self::StartFunction);
        callback || init
    }

    /// What can come of a wish here.
    fn expected(self, wish: Wish) -> &'static [&'static str] {
        const CIRCLE: &str = r#"circle["a"]"#;
        match wish {
            Wish::Start("a") if self.is_up() => &[r#"application "a" is started already"#],
            Wish::Start("plugin") if !self.is_up() => {
                &[r#"application "a", which is needed, is not started"#]
            }
            Wish::Start("a") | Wish::Ensure("a" | "plugin") if !self.is_up() => &[CIRCLE],
            Wish::Configure if self == Self::ConfigChange => &[CIRCLE],
            Wish::Stop("a") | Wish::StopAll if self == Self::Plain => &["ended"],
            Wish::Stop("a") if self.can_be_called_off() => &[CIRCLE, ""],
            Wish::Stop("a") => &[CIRCLE],
            Wish::StopAll if self.can_be_called_off() => &["ordered", ""],
            Wish::StopAll => &["ordered"],
            Wish::Start(_) | Wish::Ensure(_) | Wish::Stop(_) | Wish::Configure => &["ok"],
        }
    }
}

fn check(is_meant: impl Fn(Wish) -> bool) {
    for place in Place::ALL {
        for wish in Wish::ALL.into_iter().filter(|wish| is_meant(*wish)) {
            run(move |_: Context<()>| async move {
                let told = asked(place, wish).await;
                let expected = place.expected(wish);
                assert!(expected.contains(&&*told), "{place:?}, {wish:?}: {told}");
            });
        }
    }
}

/// XAPP-01, XAPP-06
#[test]
fn who_starts_what_waits_for_it_is_told_so() {
    check(|wish| matches!(wish, Wish::Start(_) | Wish::Ensure(_)));
}

/// XAPP-02, XAPP-06
#[test]
fn who_stops_its_own_application_is_told_that_it_does_not_live_to_see_it() {
    check(|wish| matches!(wish, Wish::Stop(_)));
}

/// XAPP-04
#[test]
fn who_changes_the_configuration_in_a_change_is_told_so() {
    check(|wish| wish == Wish::Configure);
}

/// XAPP-05
#[test]
fn an_application_that_has_all_stopped_only_gives_the_order() {
    check(|wish| wish == Wish::StopAll);
}

/// What is noted of a wish of `a`, and of what `other` asks because of it.
async fn noted_of_both(place: Place, wish: Wish, other: impl Fn(&Log) -> Application) -> String {
    let log = Log::default();
    let apps = Applications::start_on(&Node::current()).await.unwrap();
    let a = Wisher::new(place, wish, &log).application();
    for application in [plain("base"), other(&log), a] {
        apps.load(application).await.unwrap();
    }
    if wish == Wish::Stop("other") || wish == Wish::Configure {
        apps.start("other").await.unwrap();
    }
    let _ = apps.ensure_all_started(["a"]).await;
    let _ = apps.stop("a").await;
    apps.stop_all().await;
    log.heard()
}

/// Notes what comes of another wish.
async fn asks(app: ApplicationContext, log: Log, wish: Wish) {
    log.note(wish.grant(app.applications()).await);
}

/// XAPP-03: the one that asks last is told, with the names of both.
#[test]
fn applications_that_wait_for_each_other_are_named() {
    const CIRCLE: &str = r#"circle["other", "a"] ok"#;
    run(|_: Context<()>| async {
        let starts = |log: &Log| {
            let log = log.clone();
            Application::new("other").start(move |app| {
                let log = log.clone();
                async move {
                    asks(app, log, Wish::Ensure("a")).await;
                    resurgam::spawn_link(idle)
                }
            })
        };
        let wish = Wish::Ensure("other");
        assert_eq!(noted_of_both(Place::Start, wish, starts).await, CIRCLE);
        let stops = |log: &Log| {
            let log = log.clone();
            plain("other").stop(move |app| asks(app, log.clone(), Wish::Stop("a")))
        };
        let wish = Wish::Stop("other");
        assert_eq!(noted_of_both(Place::PrepStop, wish, stops).await, CIRCLE);
        let changes = |log: &Log| {
            let log = log.clone();
            plain("other")
                .env("port", u16::MAX)
                .config_change(move |app, _| asks(app, log.clone(), Wish::Ensure("a")))
        };
        let told = noted_of_both(Place::Phase, Wish::Configure, changes).await;
        assert_eq!(told, CIRCLE);
    });
}

/// XAPP-06: it is not waited for, so it is told when the application is up.
#[test]
fn who_is_not_waited_for_may_wait_for_its_own_application() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = Applications::start_on(&Node::current()).await.unwrap();
        let (worker, phase) = (log.clone(), log.clone());
        let a = Application::new("a")
            .start(move |app| {
                let log = worker.clone();
                async move {
                    let top = resurgam::spawn_link(idle)?;
                    resurgam::spawn(move |_: Context<()>| asks(app, log, Wish::Ensure("a")))?;
                    Ok::<_, StartError>(top)
                }
            })
            .start_phase("last", move |_| {
                let log = phase.clone();
                async move {
                    log.note("last");
                    Ok(())
                }
            });
        apps.load(a).await.unwrap();
        apps.start("a").await.unwrap();
        let mut heard = log.heard();
        while !heard.ends_with("ok") {
            apps.which_applications().await.unwrap();
            heard = format!("{heard} {}", log.heard()).trim().to_owned();
        }
        assert_eq!(heard, "last ok");
        apps.stop_all().await;
    });
}
