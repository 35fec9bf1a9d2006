//! Applications, law by law.
//!
//! Most tests look at what the callbacks of their applications note: `+a` the
//! start function of a, `prep a`, `~a` a's worker ends, `-a` what is done after
//! it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, join};
use resurgam::{
    Application, ApplicationContext, ApplicationEnded, ApplicationStatus, Applications, CallError,
    ChildSpec, Config, Context, EnvError, ExitReason, LoadApplicationError, Message, Name, Node,
    Pid, ProcessRef, Reply, StartApplicationError, StartError, StartMode, StartType,
    StopApplicationError, Strategy, Supervisor, SupervisorRef, UnloadApplicationError, is_alive,
    join, kill, self_pid, spawn, spawn_link, spawn_options, trap_exit,
};

use crate::support::{Log, idle, pid_of, run, run_on_threads, run_with_clock};

/// Notes that a worker ends.
struct Guard(Log, Name);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.note(format!("~{}", self.1));
    }
}

fn worker(log: &Log, name: &Name) -> ChildSpec {
    let (log, name) = (log.clone(), name.clone());
    ChildSpec::task("worker", move || {
        let guard = Guard(log.clone(), name.clone());
        async move {
            let _guard = guard;
            pending::<()>().await;
        }
    })
}

async fn tree(log: Log, app: ApplicationContext) -> Result<SupervisorRef, StartError> {
    log.note(format!("+{}", app.name()));
    let builder = Supervisor::builder(Strategy::OneForOne).child(worker(&log, app.name()));
    Ok(builder.start_link().await?)
}

/// An application with a supervisor and a worker.
fn app(log: &Log, name: &str) -> Application {
    let (starts, preps, stops) = (log.clone(), log.clone(), log.clone());
    Application::new(name)
        .start(move |app| tree(starts.clone(), app))
        .prep_stop(move |app| {
            let log = preps.clone();
            async move { log.note(format!("prep {}", app.name())) }
        })
        .stop(move |app| {
            let log = stops.clone();
            async move { log.note(format!("-{}", app.name())) }
        })
}

/// An application whose top is a process that ends as it is told.
fn obedient(name: &str) -> Application {
    Application::new(name).start(|_| async { spawn_link(obey) })
}

async fn obey(mut ctx: Context<ExitReason>) -> ExitReason {
    match ctx.receive().await {
        Message::User(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// An application whose start function fails.
fn unlucky(name: &str) -> Application {
    Application::new(name).start(|_| async {
        Err::<SupervisorRef, _>(StartError::Failed(ExitReason::custom("unlucky")))
    })
}

async fn start(applications: impl IntoIterator<Item = Application>) -> Applications {
    let apps = Applications::start_on(&Node::current()).await.unwrap();
    for application in applications {
        apps.load(application).await.unwrap();
    }
    apps
}

/// Has the top process of an obedient application end, and waits until nothing
/// of the application is left.
async fn end(apps: &Applications, name: &str, reason: ExitReason) {
    let top = apps.get_supervisor(name).await.unwrap().expect("it runs");
    resurgam::send(top, reason).unwrap();
    while running(apps).await.iter().any(|running| running == name) {}
}

async fn running(apps: &Applications) -> Vec<String> {
    let all = apps.which_applications().await.unwrap();
    all.iter().map(|info| info.name.to_string()).collect()
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::from(*name)).collect()
}

/// A name, as errors carry it.
fn is(name: &Name, expected: &str) -> bool {
    name.as_str() == expected
}

/// APP-01, APP-04
#[test]
fn what_is_needed_must_run_and_nothing_is_started_twice() {
    use StartApplicationError::{AlreadyStarted, NotLoaded, NotStarted};
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = start([app(&log, "db"), app(&log, "shop").needs("db").needs("gone")]).await;
        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, NotStarted(name) if is(&name, "db")));
        apps.start("db").await.unwrap();
        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, NotStarted(name) if is(&name, "gone")));
        let error = apps.start("nobody").await.unwrap_err();
        assert!(matches!(error, NotLoaded(name) if is(&name, "nobody")));
        apps.load(Application::new("gone")).await.unwrap();
        apps.start("gone").await.unwrap();
        apps.start("shop").await.unwrap();

        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, AlreadyStarted(name) if is(&name, "shop")));
        apps.ensure_started("shop").await.unwrap();
        assert_eq!(running(&apps).await, ["db", "gone", "shop"]);
        apps.stop_all().await;
        assert_eq!(
            log.heard(),
            "+db +shop prep shop ~shop -shop prep db ~db -db"
        );
    });
}

/// APP-02
#[test]
fn all_that_is_needed_is_started_before() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = start([
            app(&log, "web").needs("shop").needs("log"),
            app(&log, "shop").needs("db"),
            app(&log, "db").needs("log"),
            app(&log, "log"),
            app(&log, "other"),
        ])
        .await;
        apps.start("log").await.unwrap();
        let started = apps.ensure_all_started(["web"]).await.unwrap();
        assert_eq!(started, names(&["db", "shop", "web"]));
        assert_eq!(log.heard(), "+log +db +shop +web");
        assert_eq!(apps.ensure_all_started(["web"]).await.unwrap(), []);
        apps.stop_all().await;
    });
}

/// APP-02
#[test]
fn a_start_of_many_that_fails_stops_what_it_had_started() {
    run(|_: Context<()>| async {
        for mode in [StartMode::Serial, StartMode::Concurrent] {
            let log = Log::default();
            let apps = start([
                app(&log, "log"),
                app(&log, "db").needs("log"),
                app(&log, "cache").needs("db"),
                unlucky("shop").needs("cache"),
            ])
            .await;
            apps.start("log").await.unwrap();
            let all = apps.ensure_all_started_as(StartType::Temporary, mode, ["shop"]);
            match all.await.unwrap_err() {
                StartApplicationError::Failed { name, .. } => assert!(is(&name, "shop")),
                error => panic!("{error}"),
            }
            assert_eq!(
                log.heard(),
                "+log +db +cache prep cache ~cache -cache prep db ~db -db"
            );
            assert_eq!(running(&apps).await, ["log"]);
            let again = apps.ensure_all_started(["db"]).await.unwrap();
            assert_eq!(again, names(&["db"]));
            apps.stop_all().await;
        }
    });
}

/// APP-02: what cannot be put in order is named, and nothing is started.
#[test]
fn who_needs_each_other_is_named() {
    run(|_: Context<()>| async {
        let apps = start([
            Application::new("a").needs("b"),
            Application::new("b").needs("a"),
            Application::new("c").needs("d"),
        ])
        .await;
        match apps.ensure_all_started(["a"]).await.unwrap_err() {
            StartApplicationError::Cycle(cycle) => assert_eq!(cycle, names(&["a", "b"])),
            error => panic!("{error}"),
        }
        match apps.ensure_all_started(["c"]).await.unwrap_err() {
            StartApplicationError::NotLoaded(name) => assert!(is(&name, "d")),
            error => panic!("{error}"),
        }
        assert!(running(&apps).await.is_empty());
        apps.stop_all().await;
    });
}

/// APP-02: what runs has what it needs, whatever became of that.
#[test]
fn nothing_is_started_for_what_runs_already() {
    run(|_: Context<()>| async {
        let apps = start([
            Application::new("db"),
            Application::new("shop").needs("db"),
            Application::new("web").needs("shop"),
        ])
        .await;
        apps.ensure_all_started(["shop"]).await.unwrap();
        apps.stop("db").await.unwrap();
        assert_eq!(apps.ensure_all_started(["shop"]).await.unwrap(), []);
        apps.unload("db").await.unwrap();
        let started = apps.ensure_all_started(["web"]).await.unwrap();
        assert_eq!(started, names(&["web"]));
        assert_eq!(running(&apps).await, ["shop", "web"]);
        apps.stop_all().await;
    });
}

/// An application whose start waits until the test lets it go on.
fn gated(test: &ProcessRef<Reply<()>>, name: &str) -> Application {
    let test = test.clone();
    Application::new(name).start(move |_| {
        let test = test.clone();
        async move {
            let gate = test.call(|reply| reply).no_timeout().await;
            gate.map_err(|_| StartError::TimedOut)?;
            spawn_link(idle).map_err(StartError::from)
        }
    })
}

async fn gate(ctx: &mut Context<Reply<()>>) -> Reply<()> {
    match ctx.receive().await {
        Message::User(gate) => gate,
        other => panic!("{other:?}"),
    }
}

/// APP-03
#[test]
fn what_does_not_need_each_other_is_started_side_by_side() {
    run(|mut ctx: Context<Reply<()>>| async move {
        let apps = start([
            gated(&ctx.self_ref(), "a"),
            gated(&ctx.self_ref(), "b"),
            Application::new("c").needs("a").needs("b"),
        ])
        .await;
        let all = apps.ensure_all_started_as(StartType::Temporary, StartMode::Concurrent, ["c"]);
        let (started, ()) = join!(all, async {
            // If they were not started side by side, one gate would never come.
            let gates = [gate(&mut ctx).await, gate(&mut ctx).await];
            assert_eq!(running(&apps).await, ["a", "b"]);
            gates.into_iter().for_each(|gate| gate.send(()));
        });
        let mut started = started.unwrap();
        assert_eq!(started.pop(), Some("c".into()));
        started.sort();
        assert_eq!(started, names(&["a", "b"]));
        apps.stop_all().await;
    });
}

/// APP-03
#[test]
fn what_is_needed_if_loaded_may_be_missing() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = start([app(&log, "shop").needs_if_loaded("metrics")]).await;
        let started = apps.ensure_all_started(["shop"]).await.unwrap();
        assert_eq!(started, names(&["shop"]));
        apps.stop("shop").await.unwrap();
        apps.load(app(&log, "metrics")).await.unwrap();
        let started = apps.ensure_all_started(["shop"]).await.unwrap();
        assert_eq!(started, names(&["metrics", "shop"]));
        apps.stop_all().await;
    });
}

/// APP-05
#[test]
fn of_two_starts_at_once_both_are_told_of_the_one() {
    run(|mut ctx: Context<Reply<()>>| async move {
        let apps = start([gated(&ctx.self_ref(), "a")]).await;
        let (one, two, ()) = join!(apps.start("a"), apps.start("a"), async {
            let gate = gate(&mut ctx).await;
            // By now both were asked for.
            assert_eq!(running(&apps).await, ["a"]);
            gate.send(());
        });
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert!(ctx.try_receive().is_none(), "it was started once");
        apps.stop("a").await.unwrap();

        let (one, two, ()) = join!(apps.start("a"), apps.start("a"), async {
            let gate = gate(&mut ctx).await;
            assert_eq!(running(&apps).await, ["a"]);
            drop(gate);
        });
        for failed in [one, two] {
            match failed.unwrap_err() {
                StartApplicationError::Failed { error, .. } => {
                    assert_eq!(error, StartError::TimedOut);
                }
                error => panic!("{error}"),
            }
        }
        apps.stop_all().await;
    });
}

/// APP-06: how a node fares when an application of this type ends so.
async fn check_end(start_type: StartType, reason: ExitReason, is_fatal: bool) {
    let node = Node::new().unwrap();
    let apps = Applications::start_on(&node).await.unwrap();
    let log = Log::default();
    apps.load(app(&log, "other")).await.unwrap();
    apps.load(obedient("a").needs("other")).await.unwrap();
    apps.start("other").await.unwrap();
    apps.start_as(start_type, "a").await.unwrap();
    let bystander = node.spawn(idle).unwrap();
    let top = apps.get_supervisor("a").await.unwrap().unwrap();
    let controller = apps.join();
    node.send(top, reason.clone()).unwrap();
    if is_fatal {
        let ended = controller.await;
        let ended = ApplicationEnded::of(&ended).expect("an application is to blame");
        assert!(is(&ended.name, "a"));
        assert_eq!(ended.reason, reason);
        assert_eq!(log.heard(), "+other prep other ~other -other");
        bystander.join().await;
        assert!(node.is_stopped());
    } else {
        while running(&apps).await.contains(&"a".to_owned()) {}
        assert_eq!(running(&apps).await, ["other"]);
        assert!(!node.is_stopped());
        node.stop(Duration::from_secs(5)).await.unwrap();
    }
}

/// APP-06
#[tokio::test]
async fn the_end_of_a_permanent_application_stops_the_node() {
    check_end(StartType::Permanent, ExitReason::Normal, true).await;
    check_end(StartType::Permanent, ExitReason::custom("crash"), true).await;
}

/// APP-06
#[tokio::test]
async fn the_end_of_a_transient_application_stops_the_node_unless_normal() {
    check_end(StartType::Transient, ExitReason::Normal, false).await;
    check_end(StartType::Transient, ExitReason::Shutdown, true).await;
    check_end(StartType::Transient, ExitReason::custom("crash"), true).await;
}

/// APP-06
#[tokio::test]
async fn the_end_of_a_temporary_application_is_only_reported() {
    check_end(StartType::Temporary, ExitReason::Normal, false).await;
    check_end(StartType::Temporary, ExitReason::custom("crash"), false).await;
}

/// APP-07
#[test]
fn an_application_that_is_told_to_stop_leaves_the_node_alone() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = start([app(&log, "a")]).await;
        apps.start_as(StartType::Permanent, "a").await.unwrap();
        apps.stop("a").await.unwrap();
        assert!(!Node::current().is_stopped());
        let error = apps.stop("a").await.unwrap_err();
        assert!(matches!(error, StopApplicationError::NotStarted(name) if is(&name, "a")));
        apps.start("a").await.unwrap();
        apps.stop_all().await;
    });
}

/// APP-08: whatever the end; after a phase that failed too, if the tree was up.
#[test]
fn what_is_done_about_the_end_is_done_however_it_ends() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let brief = app(&log, "brief").start(|_| async { spawn_link(obey) });
        let half = app(&log, "half").start_phase("no", |_| async { Err(ExitReason::Shutdown) });
        let apps = start([brief, half]).await;
        apps.start("brief").await.unwrap();
        end(&apps, "brief", ExitReason::custom("crash")).await;
        assert_eq!(log.heard(), "prep brief -brief");
        apps.start("half").await.unwrap_err();
        assert_eq!(log.heard(), "+half ~half -half");
        apps.stop_all().await;
    });
}

/// A process that nothing ends but a kill.
async fn deaf(mut ctx: Context<()>) {
    loop {
        ctx.receive().await;
    }
}

/// An application that leaves a process behind, linked to nobody, and one of
/// that one's.
fn messy(test: &ProcessRef<Pid>) -> Application {
    let (starts, stops) = (test.clone(), test.clone());
    Application::new("messy")
        .start(move |_| {
            let test = starts.clone();
            async move {
                spawn(move |_: Context<()>| async move {
                    let stray = spawn_options().trap_exit().spawn(deaf)?.process;
                    test.cast(pid_of(&stray));
                    Ok::<_, ExitReason>(())
                })?;
                spawn_link(idle)
            }
        })
        .stop(move |_| {
            let test = stops.clone();
            async move {
                let stray = spawn_options().trap_exit().spawn(deaf);
                test.cast(pid_of(&stray.expect("there is room").process));
            }
        })
}

async fn stray(ctx: &mut Context<Pid>) -> Pid {
    match ctx.receive().await {
        Message::User(pid) => pid,
        other => panic!("{other:?}"),
    }
}

/// APP-08
#[test]
fn who_is_left_of_an_application_is_killed_last() {
    run(|mut ctx: Context<Pid>| async move {
        let apps = start([messy(&ctx.self_ref())]).await;
        apps.start("messy").await.unwrap();
        let one = stray(&mut ctx).await;
        assert_eq!(is_alive(one).await, Ok(true));
        let (stopped, two) = join!(apps.stop("messy"), stray(&mut ctx));
        stopped.unwrap();
        // The second one was spawned by the last callback: it came after the
        // tree, and the kill after it.
        for stray in [one, two] {
            assert_eq!(is_alive(stray).await, Ok(false));
        }
        apps.stop_all().await;
    });
}

/// APP-08: the strays of an application whose own process is killed.
#[test]
fn an_application_that_is_killed_leaves_nothing_behind() {
    run(|mut ctx: Context<Pid>| async move {
        let apps = start([messy(&ctx.self_ref())]).await;
        apps.start("messy").await.unwrap();
        let stray = stray(&mut ctx).await;
        let top = apps.get_supervisor("messy").await.unwrap().unwrap();
        let master = Node::current().group_leader(top).unwrap();
        kill(master);
        while !running(&apps).await.is_empty() {}
        assert_eq!(is_alive(stray).await, Ok(false));
        assert_eq!(is_alive(top).await, Ok(false));
        apps.stop_all().await;
    });
}

/// APP-09: a start function may ask the controller, start others included.
#[test]
fn callbacks_may_ask_the_controller() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let asks = Application::new("a").start(|app: ApplicationContext| async move {
            let apps = app.applications();
            apps.start("b").await.map_err(ExitReason::from).unwrap();
            let found = apps.get_application(self_pid()).await;
            assert_eq!(found, Ok(Some("a".into())));
            spawn_link(idle)
        });
        let apps = start([asks, app(&log, "b")]).await;
        apps.start("a").await.unwrap();
        assert_eq!(running(&apps).await, ["a", "b"]);
        apps.stop_all().await;
    });
}

/// APP-10: why this application does not start.
async fn check_failure(application: Application, expected: &str) {
    let before = Node::current().process_count();
    let name = application.name().clone();
    let apps = start([application]).await;
    let error = apps.start(&name).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(running(&apps).await.is_empty());
    apps.stop_all().await;
    assert_eq!(Node::current().process_count(), before);
}

/// APP-10
#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    run(|_: Context<()>| async {
        check_failure(
            unlucky("a"),
            "application \"a\" did not start: init failed: \"unlucky\"",
        )
        .await;
        let panics = Application::new("a").start(|_| async {
            let _half = Supervisor::builder(Strategy::OneForOne).start_link().await;
            let _stray = spawn(idle);
            panic!("oh");
            #[expect(unreachable_code, reason = "it says what the function would give")]
            spawn_link(idle)
        });
        check_failure(
            panics,
            "application \"a\" did not start: init failed: StartPanicked { message: \"oh\" }",
        )
        .await;
        let ignores =
            Application::new("a").start(|_| async { Err::<SupervisorRef, _>(StartError::Ignore) });
        check_failure(
            ignores,
            "application \"a\" did not start: init said to ignore",
        )
        .await;
        let phase = obedient("a")
            .start_phase("one", |_| async { Err(ExitReason::custom("no phase")) })
            .start_phase("two", |_| async { unreachable!() });
        check_failure(
            phase,
            "application \"a\" did not start: init failed: \"no phase\"",
        )
        .await;
    });
}

/// APP-10: a top that ends while phases are gone through.
#[test]
fn a_tree_that_ends_during_the_start_is_a_start_that_failed() {
    run(|_: Context<()>| async {
        let dies = Application::new("a")
            .start(|_| async {
                let top = spawn_link(obey)?;
                top.cast(ExitReason::custom("crash"));
                Ok::<_, StartError>(top)
            })
            .start_phase("endless", |_| pending());
        check_failure(
            dies,
            "application \"a\" did not start: init failed: \"crash\"",
        )
        .await;
    });
}

/// APP-11
#[test]
fn what_is_needed_and_has_ended_is_named_with_its_reason() {
    run(|_: Context<()>| async {
        let apps = start([obedient("db"), Application::new("shop").needs("db")]).await;
        apps.start("db").await.unwrap();
        end(&apps, "db", ExitReason::custom("crash")).await;
        match apps.start("shop").await.unwrap_err() {
            StartApplicationError::NotRunning { name, reason } => {
                assert!(is(&name, "db"));
                assert_eq!(reason, ExitReason::custom("crash"));
            }
            error => panic!("{error}"),
        }
        apps.ensure_all_started(["shop"]).await.unwrap();
        apps.stop_all().await;
    });
}

/// APP-11: one that was never started is named before one that has ended. That
/// it has ended is so until it is up again, or is told to stop.
#[test]
fn that_one_has_ended_is_known_until_it_is_up_or_told_to_stop() {
    use StartApplicationError::{Failed, NotRunning, NotStarted};
    run(|mut ctx: Context<Reply<()>>| async move {
        let shop = Application::new("shop").needs("db").needs("log");
        let apps = start([gated(&ctx.self_ref(), "db"), Application::new("log"), shop]).await;
        let (started, ()) = join!(apps.start("db"), async {
            gate(&mut ctx).await.send(());
        });
        started.unwrap();
        let top = apps.get_supervisor("db").await.unwrap().unwrap();
        kill(top);
        while !running(&apps).await.is_empty() {}
        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, NotStarted(name) if is(&name, "log")));
        apps.start("log").await.unwrap();

        let (failed, ()) = join!(apps.start("db"), async {
            let gate = gate(&mut ctx).await;
            let error = apps.start("shop").await.unwrap_err();
            assert!(matches!(error, NotRunning { name, .. } if is(&name, "db")));
            drop(gate);
        });
        assert!(matches!(failed, Err(Failed { .. })));
        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, NotRunning { name, .. } if is(&name, "db")));
        apps.stop("db").await.unwrap();
        let error = apps.start("shop").await.unwrap_err();
        assert!(matches!(error, NotStarted(name) if is(&name, "db")));
        let error = apps.stop("db").await.unwrap_err();
        assert!(matches!(error, StopApplicationError::NotStarted(name) if is(&name, "db")));
        apps.stop_all().await;
    });
}

/// APP-12
#[test]
fn settings_are_the_applications_own_unless_configured_or_set() {
    run(|_: Context<()>| async {
        let config = Config::new().set("a", "port", 2_u16).set("a", "extra", 'x');
        let builder = Applications::builder().config(config);
        let apps = builder.start_on(&Node::current()).await.unwrap();
        let env = apps.env();
        env.set("a", "port", 1_u16);
        env.set_persistent("a", "host", "set");
        let own = || Application::new("a").env("port", 0_u16).env("host", "own");
        apps.load(own().env("path", "/")).await.unwrap();
        // Configured values replace what was set, unless it was set for good.
        assert_eq!(env.get("a", "port"), Ok(2_u16));
        assert_eq!(env.get("a", "host"), Ok("set"));
        assert_eq!(env.get("a", "path"), Ok("/"));
        assert_eq!(env.get("a", "extra"), Ok('x'));
        assert_eq!(env.keys("a"), names(&["extra", "host", "path", "port"]));

        env.set("a", "port", 3_u16);
        assert_eq!(env.get("a", "port"), Ok(3_u16));
        assert!(env.unset("a", "port"));
        assert!(!env.unset("a", "port"));
        let unset = env.get::<u16>("a", "port");
        assert!(matches!(unset, Err(EnvError::NotSet { .. })), "{unset:?}");
        let other = env.get::<String>("a", "path").unwrap_err();
        assert_eq!(
            other.to_string(),
            "\"path\" of application \"a\" is a `&str`; expected a `alloc::string::String`"
        );

        apps.unload("a").await.unwrap();
        assert_eq!(env.keys("a"), []);
        apps.load(own()).await.unwrap();
        assert_eq!(env.get("a", "host"), Ok("set"));
        assert_eq!(env.get("a", "port"), Ok(2_u16));

        // What is set for good stays so, until it is unset.
        env.set("a", "host", "other");
        apps.change_config(Config::new().set("a", "host", "new"))
            .await
            .unwrap();
        assert_eq!(env.get("a", "host"), Ok("set"));
        assert!(env.unset("a", "host"));
        apps.change_config(Config::new()).await.unwrap();
        assert_eq!(env.get("a", "host"), Ok("own"));
        apps.stop_all().await;
    });
}

/// APP-13: when the node stops, the last one first.
#[tokio::test]
async fn the_stop_of_the_node_stops_applications_in_reverse_order() {
    let node = Node::new().unwrap();
    let apps = Applications::start_on(&node).await.unwrap();
    let log = Log::default();
    for name in ["a", "b", "c"] {
        apps.load(app(&log, name)).await.unwrap();
        apps.start(name).await.unwrap();
    }
    assert_eq!(log.heard(), "+a +b +c");
    node.stop(Duration::from_secs(5)).await.unwrap();
    assert_eq!(log.heard(), "prep c ~c -c prep b ~b -b prep a ~a -a");
    assert_eq!(node.process_count(), 0);
}

/// APP-13: whoever was up last may need those that were up before, however early
/// its own start began.
#[test]
fn the_last_that_was_up_is_the_first_to_stop() {
    run(|mut ctx: Context<Reply<()>>| async move {
        let log = Log::default();
        let (stopped, late) = (log.clone(), log.clone());
        let slow = gated(&ctx.self_ref(), "slow").stop(move |_| {
            let log = stopped.clone();
            async move { log.note("-slow") }
        });
        let hangs = gated(&ctx.self_ref(), "hangs").stop(move |_| {
            let log = late.clone();
            async move { log.note("-hangs") }
        });
        let apps = start([slow, app(&log, "a"), app(&log, "b"), hangs]).await;
        let (started, called_off, ()) = join!(apps.start("slow"), apps.start("hangs"), async {
            let gates = [gate(&mut ctx).await, gate(&mut ctx).await];
            apps.start("a").await.unwrap();
            // Whose gate is whose is not known; the second one stays closed.
            let [first, _second] = gates;
            first.send(());
            while running(&apps).await.last().is_some_and(|last| last == "a") {}
            apps.start("b").await.unwrap();
            apps.stop_all().await;
        });
        let ended = [started.is_ok(), called_off.is_ok()];
        assert!(ended == [true, false] || ended == [false, true]);
        let up = if ended[0] { "-slow" } else { "-hangs" };
        assert_eq!(log.heard(), format!("+a +b prep b ~b -b {up} prep a ~a -a"));
    });
}

/// APP-13
#[test]
fn an_application_that_does_not_stop_in_time_is_killed() {
    run_with_clock(|_: Context<()>, clock| async move {
        let log = Log::default();
        let builder = Applications::builder().shutdown_timeout(Duration::from_secs(7));
        let apps = builder.start_on(&Node::current()).await.unwrap();
        let stuck = Application::new("stuck")
            .start(|_| async { spawn_link(idle) })
            .prep_stop(|_| pending());
        apps.load(app(&log, "a")).await.unwrap();
        apps.load(stuck).await.unwrap();
        apps.start("a").await.unwrap();
        apps.start("stuck").await.unwrap();
        let top = apps.get_supervisor("stuck").await.unwrap().unwrap();
        let begun = clock.now();
        let ((), waited) = join!(apps.stop_all(), async {
            clock.advance_to_next().await - begun
        });
        assert_eq!(waited, Duration::from_secs(7));
        assert_eq!(is_alive(top).await, Ok(false));
        assert_eq!(log.heard(), "+a prep a ~a -a");
    });
}

/// APP-13
#[test]
fn who_asks_while_all_are_stopped_is_told_so() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let heard = log.clone();
        let asks = obedient("asks").prep_stop(move |app| {
            let log = heard.clone();
            async move {
                let apps = app.applications();
                let stop = apps.stop("a").await;
                assert!(matches!(stop, Err(StopApplicationError::Terminating)));
                let start = apps.start("a").await;
                assert!(matches!(start, Err(StartApplicationError::Terminating)));
                let all = apps.ensure_all_started(["a"]).await;
                assert!(matches!(all, Err(StartApplicationError::Terminating)));
                let load = apps.load(Application::new("b")).await;
                assert!(matches!(load, Err(LoadApplicationError::Terminating)));
                let unload = apps.unload("a").await;
                assert!(matches!(unload, Err(UnloadApplicationError::Terminating)));
                assert_eq!(running(apps).await, ["a", "asks"]);
                assert_eq!(app.get_env("port"), Ok(80_u16));
                log.note("asked");
            }
        });
        let apps = start([app(&log, "a"), asks.env("port", 80_u16)]).await;
        apps.start("a").await.unwrap();
        apps.start("asks").await.unwrap();
        apps.stop_all().await;
        assert_eq!(log.heard(), "+a asked prep a ~a -a");
        assert_eq!(
            running_or_down(&apps).await,
            Err(CallError::Down(ExitReason::NoProcess))
        );
    });
}

async fn running_or_down(apps: &Applications) -> Result<usize, CallError> {
    Ok(apps.which_applications().await?.len())
}

/// APP-13: a start of many is told too, and whoever waits for a start.
#[test]
fn starts_that_are_under_way_when_all_are_stopped_end() {
    run(|mut ctx: Context<Reply<()>>| async move {
        let apps = start([
            gated(&ctx.self_ref(), "a"),
            Application::new("b").needs("a"),
        ])
        .await;
        let (one, all, ()) = join!(apps.start("a"), apps.ensure_all_started(["b"]), async {
            let _gate = gate(&mut ctx).await;
            assert_eq!(running(&apps).await, ["a"]);
            apps.stop_all().await;
        });
        assert!(matches!(one, Err(StartApplicationError::Stopped(_))));
        assert!(matches!(all, Err(StartApplicationError::Terminating)));
    });
}

/// APP-14, SPAWN-08
#[test]
fn a_process_belongs_to_the_application_it_came_from() {
    run(|mut ctx: Context<Pid>| async move {
        let log = Log::default();
        let apps = start([app(&log, "a"), messy(&ctx.self_ref())]).await;
        apps.start("a").await.unwrap();
        apps.start("messy").await.unwrap();
        let belongs = async |pid| apps.get_application(pid).await.unwrap();
        let top = apps.get_supervisor("a").await.unwrap().unwrap();
        assert_eq!(belongs(top).await, Some("a".into()));
        let top = SupervisorRef::from_pid(&Node::current(), top).unwrap();
        let worker = top.which_child("worker").await.unwrap().pid().unwrap();
        assert_eq!(belongs(worker).await, Some("a".into()));
        assert_eq!(belongs(stray(&mut ctx).await).await, Some("messy".into()));
        assert_eq!(belongs(self_pid()).await, None);
        // A child that another application asks for is the supervisor's.
        let idle = ChildSpec::process("idle", || idle);
        let child = top.start_child(idle).await.unwrap().pid().unwrap();
        assert_eq!(belongs(child).await, Some("a".into()));
        apps.stop("a").await.unwrap();
        assert_eq!(belongs(child).await, None);
        assert_eq!(apps.get_supervisor("a").await, Ok(None));
        drop(ctx);
        apps.stop_all().await;
    });
}

/// APP-15
#[test]
fn phases_follow_the_tree_in_their_order() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let phase = |name: &'static str| {
            let log = log.clone();
            move |app: ApplicationContext| {
                let log = log.clone();
                async move {
                    let apps = app.applications();
                    let all = apps.which_applications().await.unwrap();
                    assert_eq!(all[0].status, ApplicationStatus::Starting);
                    log.note(name);
                    Ok(())
                }
            }
        };
        let phased = app(&log, "a")
            .start_phase("open", phase("open"))
            .start_phase("listen", phase("listen"));
        let apps = start([phased]).await;
        apps.start("a").await.unwrap();
        assert_eq!(log.heard(), "+a open listen");
        let top = apps.get_supervisor("a").await.unwrap();
        let all = apps.which_applications().await.unwrap();
        assert_eq!(all[0].status, ApplicationStatus::Running(top));
        apps.stop_all().await;
    });
}

/// APP-16
#[test]
fn applications_that_run_are_told_what_was_configured_anew() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let changes = |application: Application| {
            let log = log.clone();
            application.config_change(move |app, change| {
                let (name, log) = (app.name().clone(), log.clone());
                async move {
                    let port: u16 = app.get_env("port").unwrap_or(0);
                    log.note(format!(
                        "{name}: {:?} {:?} {:?} {port}",
                        change.changed, change.new, change.removed
                    ));
                }
            })
        };
        let own = |name: &str| obedient(name).env("port", 1_u16).env("host", "h");
        let apps = start([
            changes(own("a")),
            changes(own("same")),
            changes(own("down")),
            own("silent"),
        ])
        .await;
        for name in ["a", "same", "silent"] {
            apps.start(name).await.unwrap();
        }
        apps.env().set("a", "gone", 'x');
        let config = Config::new()
            .set("a", "port", 2_u16)
            .set("a", "path", "/")
            .set("down", "port", 2_u16)
            .set("silent", "port", 2_u16);
        let changed = apps.change_config(config).await.unwrap();
        let changed: Vec<_> = changed.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(changed, names(&["a", "down", "silent"]));
        assert_eq!(log.heard(), r#"a: ["port"] ["path"] ["gone"] 2"#);
        apps.stop_all().await;
    });
}

/// APP-16: whoever changes the configuration does not wait for the dead.
#[test]
fn a_change_is_over_when_who_is_told_has_ended() {
    run(|_: Context<()>| async {
        let endless = obedient("a").config_change(|_, _| pending());
        let panics = obedient("b").config_change(|_, _| async { panic!("oh") });
        let apps = start([endless, panics]).await;
        apps.start("a").await.unwrap();
        apps.start("b").await.unwrap();
        let config = Config::new().set("a", "port", 1).set("b", "port", 1);
        let (changed, ()) = join!(apps.change_config(config), async {
            assert_eq!(running(&apps).await, ["a", "b"]);
            apps.stop("a").await.unwrap();
        });
        assert_eq!(changed.unwrap().len(), 2);
        assert_eq!(running(&apps).await, ["b"]);
        apps.stop_all().await;
    });
}

/// What stops while it starts is not up; what starts while it stops is started
/// when it has stopped.
#[test]
fn a_stop_calls_a_start_off_and_a_start_waits_for_a_stop() {
    run(|mut ctx: Context<Reply<()>>| async move {
        let apps = start([gated(&ctx.self_ref(), "a")]).await;
        let (called_off, ()) = join!(apps.start("a"), async {
            let _held = gate(&mut ctx).await;
            let (stopped, again, ()) = join!(apps.stop("a"), apps.start("a"), async {
                gate(&mut ctx).await.send(());
            });
            stopped.unwrap();
            again.unwrap();
        });
        assert!(matches!(called_off, Err(StartApplicationError::Stopped(name)) if is(&name, "a")));
        assert_eq!(running(&apps).await, ["a"]);
        apps.stop_all().await;
    });
}

/// What nobody waits for is done all the same.
#[test]
fn what_nobody_waits_for_is_done() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let apps = start([app(&log, "a"), app(&log, "b").needs("a")]).await;
        assert!(
            Box::pin(apps.ensure_all_started(["b"]))
                .now_or_never()
                .is_none()
        );
        let started = apps.ensure_all_started(["b"]).await.unwrap();
        assert_eq!(running(&apps).await, ["a", "b"]);
        assert_eq!(started, []);
        assert!(Box::pin(apps.stop("b")).now_or_never().is_none());
        apps.stop("b").await.unwrap();
        assert_eq!(running(&apps).await, ["a"]);
        apps.stop_all().await;
    });
}

/// There is one controller, found by whoever asks for it.
#[test]
fn there_is_one_controller() {
    run(|_: Context<()>| async {
        let node = Node::current();
        let nobody = Applications::on(&node).await.map(drop);
        assert_eq!(nobody, Err(CallError::Down(ExitReason::NoProcess)));
        let apps = start([Application::new("a").env("port", 1)]).await;
        let same = Applications::start_on(&node).await.unwrap();
        assert_eq!(same.loaded_applications().await, Ok(names(&["a"])));
        let found = Applications::on(&node).await.unwrap();
        assert_eq!(found.env().get("a", "port"), Ok(1));
        apps.stop_all().await;
        found.stop_all().await;
        start([]).await.stop_all().await;
    });
}

/// Killed, the controller takes all applications along, each in good order.
#[test]
fn a_killed_controller_takes_the_applications_along() {
    run_on_threads(|mut ctx: Context<Pid>| async move {
        let log = Log::default();
        let apps = start([app(&log, "a"), messy(&ctx.self_ref())]).await;
        apps.start("a").await.unwrap();
        apps.start("messy").await.unwrap();
        let one = stray(&mut ctx).await;
        let top = apps.get_supervisor("a").await.unwrap().unwrap();
        let master = join(Node::current().group_leader(top).unwrap());
        kill(resurgam::whereis(Applications::NAME).unwrap());
        master.await;
        assert_eq!(log.heard(), "+a prep a ~a -a");
        join(one).await;
        join(stray(&mut ctx).await).await;
    });
}

/// A library has no processes but its own.
#[test]
fn a_library_is_started_and_stopped_like_any_other() {
    run(|_: Context<()>| async {
        let apps = start([Application::new("lib").description("of use")]).await;
        apps.start_as(StartType::Permanent, "lib").await.unwrap();
        let all = apps.which_applications().await.unwrap();
        assert_eq!(all[0].status, ApplicationStatus::Running(None));
        assert_eq!(
            (&*all[0].description, all[0].start_type),
            ("of use", StartType::Permanent)
        );
        apps.stop("lib").await.unwrap();
        apps.stop_all().await;
    });
}

/// What is wrong with an application is said when it is loaded.
#[test]
fn what_cannot_be_used_is_not_loaded() {
    run(|_: Context<()>| async {
        let apps = start([Application::new("a")]).await;
        let check = async |application: Application, expected: &str| {
            let error = apps.load(application).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(
            Application::new(""),
            "application name is empty; expected at least one character",
        )
        .await;
        check(
            Application::new("b").needs("b"),
            "application \"b\" needs itself",
        )
        .await;
        check(
            Application::new("b").start_phase("one", |_| async { Ok(()) }),
            "application \"b\" has start phases; expected a start function before them",
        )
        .await;
        check(Application::new("a"), "application \"a\" is loaded already").await;
        apps.start("a").await.unwrap();
        let error = apps.unload("a").await.unwrap_err();
        assert_eq!(error.to_string(), "application \"a\" runs; stop it first");
        let error = apps.unload("b").await.unwrap_err();
        assert_eq!(error.to_string(), "application \"b\" is not loaded");
        apps.stop_all().await;
    });
}

/// A value of an application's, whose destructor panics.
#[derive(Clone)]
struct Spiteful(Arc<AtomicUsize>);

impl Drop for Spiteful {
    fn drop(&mut self) {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            panic!("spite");
        }
    }
}

/// What the destructors of an application's values do harms nobody.
#[test]
fn a_destructor_that_panics_does_not_harm_the_controller() {
    run_on_threads(|_: Context<()>| async {
        let apps = start([]).await;
        let held = Spiteful(Arc::new(AtomicUsize::new(0)));
        let spiteful = Application::new("a").stop(move |_| {
            let _held = &held;
            async {}
        });
        apps.load(spiteful).await.unwrap();
        apps.unload("a").await.unwrap();
        assert_eq!(apps.loaded_applications().await, Ok(Vec::new()));
        apps.stop_all().await;
    });
}

/// A callback of the stop that panics is reported, and the stop goes on.
#[test]
fn a_callback_that_panics_does_not_hold_up_the_stop() {
    run(|_: Context<()>| async {
        trap_exit(false);
        let log = Log::default();
        let panics = app(&log, "a").prep_stop(|_| async { panic!("oh") });
        let apps = start([panics]).await;
        apps.start("a").await.unwrap();
        apps.stop("a").await.unwrap();
        assert_eq!(log.heard(), "+a ~a -a");
        apps.stop_all().await;
    });
}

/// Whatever is killed or panics, and wherever: whoever asks is answered, and
/// nothing is left in the end.
#[cfg(feature = "sim")]
#[test]
fn whoever_falls_nothing_is_left_of_an_application() {
    let scenario = |sim: &mut resurgam::sim::Sim| {
        let left = sim.run(async {
            let node = Node::current();
            let test = node.spawn(deaf_to_pids).unwrap();
            let before = node.processes();
            let log = Log::default();
            let apps = Applications::start_on(&node).await.unwrap();
            for application in [app(&log, "a"), messy(&test).needs("a")] {
                let _ = apps.load(application).await;
            }
            let _ = apps.ensure_all_started(["messy"]).await;
            let _ = apps.change_config(Config::new().set("a", "x", 1)).await;
            let _ = apps.stop("messy").await;
            apps.stop_all().await;
            move || {
                let mut left = node.processes();
                left.retain(|pid| !before.contains(pid));
                left
            }
        });
        sim.run_until_idle();
        assert_eq!(left(), [], "they are left");
    };
    resurgam::sim::Plan::new().seeds(1).sweep_kills(scenario);
    resurgam::sim::Plan::new().seeds(1).sweep_panics(scenario);
    resurgam::sim::Plan::new().seeds(1).sweep_stops(scenario);
}

#[cfg(feature = "sim")]
async fn deaf_to_pids(mut ctx: Context<Pid>) {
    loop {
        ctx.receive().await;
    }
}
