//! The simulator: what a seed is, what it explores, what it sees.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::channel::oneshot;
use resurgam::sim::{self, Check, Explore, Faults, Plan, Sim, Victim};
use resurgam::{
    CallError, Context, ExitReason, GenServer, InitError, Message, ProcessRef, Reply,
    ServerContext, StartError, exit, kill, link, monitor, now, send_after, sleep, spawn,
    spawn_link, spawn_options, timeout, trap_exit, whereis,
};

use crate::support::idle;

const SECOND: Duration = Duration::from_secs(1);

/// Counts the calls it gets.
struct Counter(u64);

enum Msg {
    Add(Reply<u64>),
}

impl GenServer for Counter {
    type Args = ();
    type Message = Msg;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(0))
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        let Msg::Add(reply) = msg;
        self.0 += 1;
        reply.send(self.0);
        Ok(())
    }
}

/// Two senders, one receiver: who is first?
fn race(sim: &mut Sim) -> u8 {
    sim.run(async {
        let (tx, rx) = oneshot::channel();
        let receiver = spawn(|mut ctx: Context<u8>| async move {
            let Message::User(first) = ctx.receive().await else {
                return;
            };
            let _ = tx.send(first);
            ctx.receive().await;
        })
        .unwrap();
        for n in [1, 2] {
            let receiver = receiver.clone();
            spawn(move |_: Context<()>| async move { receiver.cast(n) }).unwrap();
        }
        rx.await.unwrap()
    })
}

/// What a plan that must fail says.
fn failure(plan: &Plan, scenario: impl Fn(&mut Sim)) -> Box<sim::Failure> {
    plan.try_run(scenario)
        .expect_err("the simulation was to fail")
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..50 {
        let outcomes = RefCell::new(BTreeSet::new());
        let plan = Plan::new().seed_range(seed..seed + 1);
        plan.run(|sim| {
            sim.faults(Faults::none().delay(0.2, Duration::ZERO..SECOND));
            let first = race(sim);
            outcomes
                .borrow_mut()
                .insert((first, sim.steps(), sim.elapsed()));
        });
        assert_eq!(outcomes.borrow().len(), 1, "seed {seed}");
    }
}

#[test]
fn seeds_find_both_outcomes_of_a_race() {
    for explore in [
        Explore::Random,
        Explore::Priority { depth: 1 },
        Explore::Mixed,
    ] {
        let seen = RefCell::new(BTreeSet::new());
        Plan::new().seeds(40).explore(explore).run(|sim| {
            let first = race(sim);
            seen.borrow_mut().insert(first);
        });
        assert_eq!(*seen.borrow(), BTreeSet::from([1, 2]), "{explore:?}");
    }
}

#[test]
fn an_exhaustive_search_comes_to_its_end_and_sees_all() {
    let seen = RefCell::new(BTreeSet::new());
    let plan = Plan::new()
        .seeds(100_000)
        .explore(Explore::Exhaustive { depth: 1000 });
    let report = plan.run(|sim| {
        let first = race(sim);
        seen.borrow_mut().insert(first);
    });
    assert!(report.exhausted, "{report:?}");
    assert_eq!(*seen.borrow(), BTreeSet::from([1, 2]));
}

#[test]
fn a_source_of_chance_outside_the_seed_is_noticed() {
    let runs = Cell::new(0);
    let failure = failure(&Plan::new().seeds(1), |sim| {
        runs.set(runs.get() + 1);
        for _ in 0..runs.get() {
            sim.client(|_: Context<()>| async {});
        }
        sim.run_until_idle();
    });
    assert!(
        failure.message().contains("two runs of one seed differ"),
        "{failure}"
    );
}

/// A bug that needs one order of three: B's message between A's two.
fn needs_one_order(sim: &mut Sim) {
    sim.run(async {
        let (tx, rx) = oneshot::channel();
        let receiver = spawn(|mut ctx: Context<u8>| async move {
            let mut order = Vec::new();
            while order.len() < 3 {
                let Message::User(n) = ctx.receive().await else {
                    return;
                };
                order.push(n);
            }
            let _ = tx.send(order);
        })
        .unwrap();
        for numbers in [&[1, 2][..], &[3]] {
            let receiver = receiver.clone();
            spawn(move |_: Context<()>| async move {
                for n in numbers {
                    receiver.cast(*n);
                    sleep(Duration::ZERO).await;
                }
            })
            .unwrap();
        }
        assert_ne!(rx.await.unwrap(), [1, 3, 2], "the order that must not be");
    });
}

#[test]
fn a_failure_names_its_seed_and_is_shrunk_to_few_choices() {
    let failure = failure(&Plan::new().seeds(1000), needs_one_order);
    assert!(
        failure.message().contains("the order that must not be"),
        "{failure}"
    );
    assert!(failure.choices() <= 3, "{failure}");
    assert!(!failure.trace().is_empty());
    let text = failure.to_string();
    assert!(
        text.contains(&format!("SIM_SEED={}", failure.seed())),
        "{text}"
    );
    assert!(text.contains("SIM_TAPE="), "{text}");
    let again = Plan::new().seed_range(failure.seed()..failure.seed() + 1);
    let again = again.try_run(needs_one_order).unwrap_err();
    assert_eq!(again.message(), failure.message());
}

#[test]
fn signals_of_one_process_to_another_keep_their_order() {
    Plan::new().seeds(100).run(|sim| {
        let (tx, rx) = oneshot::channel();
        let receiver = sim.client(|mut ctx: Context<u64>| async move {
            for n in 0..50 {
                assert_eq!(ctx.receive().await, Message::User(n));
            }
            let _ = tx.send(());
            ctx.receive().await;
            panic!("the exit signal was sent before this message");
        });
        sim.run(async {
            spawn(move |_: Context<()>| async move {
                (0..50).for_each(|n| receiver.cast(n));
                exit(receiver.pid().unwrap(), ExitReason::Shutdown);
                receiver.cast(50);
            })
            .unwrap();
            // The exit may be handled before all messages are received.
            let _ = rx.await;
        });
        sim.run_until_idle();
    });
}

#[test]
fn time_passes_only_when_nothing_else_can_happen() {
    Plan::new().seeds(20).run(|sim| {
        let year = Duration::from_secs(365 * 24 * 3600);
        let slept = sim.run(async move {
            let begun = now();
            sleep(year).await;
            now() - begun
        });
        assert_eq!(slept, year);
        assert_eq!(sim.elapsed(), year);
        sim.run_for(SECOND);
        assert_eq!(sim.elapsed(), year + SECOND);
    });
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    Plan::new().seeds(50).run(|sim| {
        sim.run(async {
            let (tx, rx) = oneshot::channel();
            let sleeper = spawn(|mut ctx: Context<u64>| async move {
                for n in 1..=20 {
                    assert_eq!(ctx.receive().await, Message::User(n));
                }
                let _ = tx.send(());
            })
            .unwrap();
            for n in (1..=20).rev() {
                send_after(Duration::from_millis(n), sleeper.pid().unwrap(), n);
            }
            rx.await.unwrap();
        });
    });
}

#[test]
fn a_process_that_never_waits_does_not_stop_the_time() {
    Plan::new().seeds(2).run(|sim| {
        let busy = sim.client(|_: Context<()>| async {
            loop {
                futures::pending!();
            }
        });
        sim.run(async { sleep(SECOND).await });
        sim.kill(busy.pid().unwrap());
        sim.client(|ctx: Context<()>| async move {
            let me = ctx.self_ref();
            let mut ctx = ctx;
            for _ in 0..1000 {
                me.cast(());
                ctx.receive().await;
            }
        });
        sim.run_until_idle();
    });
}

#[test]
fn what_can_never_be_done_is_said_instead_of_waited_for() {
    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.run(std::future::pending::<()>());
    });
    assert!(
        failure.message().contains("nothing can happen any more"),
        "{failure}"
    );
}

#[test]
fn a_panic_of_a_client_fails_the_simulation() {
    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.client(|_: Context<()>| async { panic!("the client's own words") });
        sim.run_until_idle();
    });
    assert!(
        failure.message().contains("the client's own words"),
        "{failure}"
    );
    assert!(failure.message().contains("tests/it/sim.rs"), "{failure}");
}

#[test]
fn a_panic_of_another_process_is_just_its_end() {
    Plan::new().seeds(5).run(|sim| {
        let reason = sim.run(async {
            let process = spawn(|_: Context<()>| async { panic!("let it crash") }).unwrap();
            process.join().await
        });
        assert!(matches!(reason, ExitReason::Panicked(panic) if panic.message() == "let it crash"));
    });
}

#[test]
fn tokios_time_in_a_process_is_an_error_that_names_it() {
    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.run(async {
            spawn(|_: Context<()>| async { tokio::time::sleep(SECOND).await }).unwrap();
        });
        sim.run_until_idle();
    });
    assert!(
        failure.message().contains("used Tokio's I/O or timers"),
        "{failure}"
    );
}

#[test]
fn a_process_that_is_woken_by_a_thread_is_an_error_that_names_it() {
    let failure = failure(&Plan::new().seeds(1).shrinking(0), |sim| {
        let (tx, rx) = oneshot::channel::<()>();
        let waiter = sim
            .node()
            .spawn(|_: Context<()>| async { rx.await.unwrap() })
            .unwrap();
        sim.run_until_idle();
        let elsewhere = std::thread::Builder::new().spawn(|| tx.send(())).unwrap();
        elsewhere.join().unwrap().unwrap();
        sim.run_until_idle();
        drop(waiter);
    });
    assert!(
        failure.message().contains("was woken by another thread"),
        "{failure}"
    );
}

#[test]
fn a_simulation_inside_a_tokio_runtime_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let refused = catch_unwind(AssertUnwindSafe(|| Plan::new().seeds(1).run(|_| {})));
    let message = refused.unwrap_err();
    let message = message.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("inside a Tokio runtime"), "{message}");
}

#[test]
fn a_thread_process_cannot_be_simulated_and_says_so() {
    Plan::new().seeds(1).run(|sim| {
        let refused = sim.node().spawn_thread(|_: resurgam::ThreadContext<()>| {});
        assert!(matches!(refused, Err(resurgam::SpawnError::Thread(_))));
    });
}

#[test]
fn kills_strike_all_but_the_protected() {
    let killed = AtomicU64::new(0);
    let report = Plan::new().seeds(30).run(|sim| {
        let node = sim.node().clone();
        let root = node.spawn(idle).unwrap();
        sim.protect(root.pid().unwrap());
        let others: Vec<_> = (0..5).map(|_| node.spawn(idle).unwrap()).collect();
        sim.faults(Faults::none().kill(0.2));
        let ticker = root.clone();
        sim.run(async move {
            for _ in 0..100 {
                ticker.cast(());
                sleep(SECOND).await;
            }
        });
        assert!(node.processes().contains(&root.pid().unwrap()));
        let left = others
            .iter()
            .filter(|other| node.processes().contains(&other.pid().unwrap()));
        killed.fetch_add(5 - left.count() as u64, Ordering::Relaxed);
    });
    assert!(report.faults > 100, "{report:?}");
    assert!(killed.into_inner() > 100);
}

#[test]
fn faults_strike_only_whom_they_may() {
    Plan::new().seeds(20).run(|sim| {
        let node = sim.node().clone();
        let good = node
            .spawn_options()
            .name("good")
            .spawn(idle)
            .unwrap()
            .process;
        let bad = node
            .spawn_options()
            .name("bad")
            .spawn(idle)
            .unwrap()
            .process;
        sim.faults(Faults::none().kill(1.0).only(|victim| {
            victim
                .name
                .as_ref()
                .is_some_and(|name| name.as_str() == "bad")
        }));
        for _ in 0..10 {
            sim.step();
        }
        sim.heal();
        sim.run_until_idle();
        assert!(node.processes().contains(&good.pid().unwrap()));
        assert!(!node.processes().contains(&bad.pid().unwrap()));
    });
}

fn is_called(who: &Victim, name: &str) -> bool {
    who.name.as_ref().is_some_and(|n| n.as_str() == name)
}

#[test]
fn an_init_fails_only_where_a_fault_may_strike() {
    Plan::new().seeds(10).run(|sim| {
        let faults = Faults::none().init_fails(1.0);
        sim.faults(faults.only(|victim| is_called(victim, "bad")));
        let start = |name| Counter::builder(()).name(name).start();
        let (good, bad) = sim.run(async move { (start("good").await, start("bad").await) });
        assert!(good.is_ok() && bad.is_err());
    });
}

/// A process spawns one that is protected by its name, and may be struck
/// before; whether it got so far.
fn lives_if_it_was_spawned(sim: &mut Sim) -> bool {
    sim.protect_all(|who| is_called(who, "disk"));
    let (tell, told) = mpsc::channel();
    let parent = sim.node().spawn(move |_: Context<()>| async move {
        let disk = spawn_options().name("disk");
        let disk = disk.spawn(|_: Context<()>| sleep(SECOND)).unwrap();
        tell.send(disk.process.join()).unwrap();
    });
    parent.unwrap();
    sim.run_for(2 * SECOND);
    let Ok(end) = told.try_recv() else {
        return false;
    };
    assert_eq!(sim.block_on(end), ExitReason::Normal);
    true
}

#[test]
fn who_is_protected_by_its_name_is_so_from_its_first_step() {
    let spawned = AtomicU64::new(0);
    Plan::new().seeds(20).run(|sim| {
        sim.faults(Faults::none().kill(0.3));
        let was_spawned = lives_if_it_was_spawned(sim);
        spawned.fetch_add(u64::from(was_spawned), Ordering::Relaxed);
    });
    assert!((1..21).contains(&spawned.into_inner()));
    let swept = Plan::new().seeds(1).sweep_kills(|sim| {
        lives_if_it_was_spawned(sim);
    });
    assert!(swept.faults > 0);
}

#[test]
fn panics_strike_at_awaits_and_in_callbacks() {
    let panicked = AtomicU64::new(0);
    Plan::new().seeds(40).run(|sim| {
        sim.faults(Faults::none().panic(0.05));
        let ends = sim.run(async {
            let counter = Counter::start(()).await.unwrap();
            let waiter = spawn(idle).unwrap();
            for _ in 0..50 {
                if counter.call(Msg::Add).await.is_err() {
                    break;
                }
            }
            kill(waiter.pid().unwrap());
            kill(counter.pid().unwrap());
            [counter.join().await, waiter.join().await]
        });
        let struck = ends.iter().filter(|end| {
            matches!(end, ExitReason::Panicked(panic) if panic.message().contains("injected"))
        });
        panicked.fetch_add(struck.count() as u64, Ordering::Relaxed);
    });
    assert!(panicked.into_inner() > 20);
}

#[test]
fn inits_can_be_made_to_fail() {
    let failed = AtomicU64::new(0);
    Plan::new().seeds(40).run(|sim| {
        sim.faults(Faults::none().init_fails(0.5));
        let started =
            sim.run(async { Counter::builder(()).name("counter").start().await.map(drop) });
        if let Err(error) = started {
            assert!(matches!(error, StartError::Failed(_)), "{error:?}");
            assert_eq!(sim.node().whereis("counter"), None);
            failed.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!((5..75).contains(&failed.into_inner()));
}

#[test]
fn late_timers_are_late_and_never_early() {
    let late = AtomicU64::new(0);
    Plan::new().seeds(40).run(|sim| {
        sim.faults(Faults::none().late_timers(0.5, SECOND..2 * SECOND));
        let slept = sim.run(async {
            let begun = now();
            sleep(SECOND).await;
            now() - begun
        });
        assert!(slept >= SECOND);
        late.fetch_add(u64::from(slept > SECOND), Ordering::Relaxed);
    });
    assert!((5..75).contains(&late.into_inner()));
}

#[test]
fn delays_make_calls_time_out() {
    let timed_out = AtomicU64::new(0);
    Plan::new().seeds(60).run(|sim| {
        let counter = sim.run(async { Counter::start(()).await.unwrap() });
        sim.faults(Faults::none().delay(0.2, SECOND..20 * SECOND));
        let result = sim.run(async move { counter.call(Msg::Add).await });
        match result {
            Ok(n) => assert_eq!(n, 1),
            Err(CallError::TimedOut) => drop(timed_out.fetch_add(1, Ordering::Relaxed)),
            Err(other) => panic!("{other:?}"),
        }
    });
    assert!((3..115).contains(&timed_out.into_inner()));
}

#[test]
fn clock_jumps_make_timers_due_all_at_once() {
    Plan::new().seeds(20).run(|sim| {
        sim.faults(Faults::none().clock_jumps(0.1, 60 * SECOND..120 * SECOND));
        let slept = sim.run(async {
            let begun = now();
            for _ in 0..100 {
                sleep(SECOND).await;
            }
            now() - begun
        });
        assert!(slept >= 100 * SECOND);
    });
}

#[test]
fn after_healing_everything_comes_right() {
    Plan::new().seeds(30).run(|sim| {
        sim.faults(Faults::none().delay(0.3, SECOND..1000 * SECOND));
        let counter = sim.run(async { Counter::start(()).await.unwrap() });
        sim.run_for(SECOND);
        sim.heal();
        let begun = sim.elapsed();
        assert!(sim.run(async move { counter.call(Msg::Add).await }).is_ok());
        assert_eq!(sim.elapsed(), begun, "nothing is held up any more");
    });
}

#[test]
fn what_holds_eventually_is_waited_for_and_what_does_not_is_said() {
    let start = |sim: &mut Sim| {
        sim.client(|_: Context<()>| async {
            sleep(10 * SECOND).await;
            spawn(|mut ctx: Context<()>| async move {
                resurgam::register("late", ctx.pid()).unwrap();
                ctx.receive().await;
            })
            .unwrap();
        });
    };
    Plan::new().seeds(10).run(|sim| {
        start(sim);
        sim.eventually(11 * SECOND, |sim| sim.node().whereis("late").is_some());
        assert_eq!(sim.elapsed(), 10 * SECOND);
    });
    let failure = failure(&Plan::new().seeds(1), |sim| {
        start(sim);
        sim.eventually(9 * SECOND, |sim| sim.node().whereis("late").is_some());
    });
    assert!(
        failure.message().contains("did not come to hold"),
        "{failure}"
    );
}

/// A registration that is not undone when its process is killed in between.
fn leaky_swap(sim: &mut Sim) {
    let node = sim.node().clone();
    let holder = sim.client(idle);
    node.register("place", holder.pid().unwrap()).unwrap();
    let heir = sim.client(idle);
    let (holder, heir) = (holder.pid().unwrap(), heir.pid().unwrap());
    node.spawn(move |ctx: Context<()>| async move {
        let node = ctx.node();
        assert_eq!(whereis("place"), Some(holder));
        node.unregister("place").unwrap();
        sleep(SECOND).await;
        node.register("place", heir).unwrap();
    })
    .unwrap();
    sim.run_for(2 * SECOND);
    assert!(sim.node().whereis("place").is_some(), "the place is empty");
}

#[test]
fn a_kill_sweep_finds_the_await_where_a_death_does_harm() {
    Plan::new().seeds(20).run(leaky_swap);
    let failure = Plan::new()
        .seeds(1)
        .try_sweep_kills(leaky_swap)
        .unwrap_err();
    assert!(
        failure.message().contains("the place is empty"),
        "{failure}"
    );
    assert!(
        failure.to_string().contains("killed before step"),
        "{failure}"
    );
}

#[test]
fn a_kill_sweep_kills_everybody_everywhere() {
    let kills = Cell::new(0_u64);
    let report = Plan::new().seeds(1).sweep_kills(|sim| {
        let reason = sim.run(async {
            let process = spawn(|_: Context<()>| async {
                for _ in 0..10 {
                    sleep(SECOND).await;
                }
            })
            .unwrap();
            process.join().await
        });
        kills.set(kills.get() + u64::from(reason == ExitReason::Killed));
    });
    assert_eq!(report.faults + 1, report.runs);
    assert!(kills.get() >= 20, "{} of {report:?}", kills.get());
}

/// A server that locks, waits and unlocks, and does not think of panics.
struct Careless;

impl GenServer for Careless {
    type Args = ();
    type Message = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        let lock = ctx.node().spawn_options().name("lock").spawn(idle)?;
        sleep(SECOND).await;
        kill(lock.process.pid().unwrap());
        Err(ExitReason::Normal)
    }
}

#[test]
fn a_panic_sweep_finds_the_await_where_a_panic_does_harm() {
    let unlocks = |sim: &mut Sim| {
        sim.run(async {
            if let Ok(server) = Careless::start(()).await {
                server.cast(());
                server.join().await;
            }
        });
        sim.run_until_idle();
        assert_eq!(whereis("lock"), None, "the lock is left locked");
    };
    Plan::new().seeds(10).run(unlocks);
    let failure = Plan::new().seeds(1).try_sweep_panics(unlocks).unwrap_err();
    assert!(failure.message().contains("left locked"), "{failure}");
    assert!(failure.to_string().contains("made to panic"), "{failure}");
}

/// It heeds no exit signal while it waits.
async fn deaf(mut ctx: Context<()>) {
    trap_exit(true);
    sleep(SECOND).await;
    while !matches!(ctx.receive().await, Message::User(())) {}
}

#[test]
fn a_stop_sweep_finds_the_await_where_a_stop_waits_for_ever() {
    let scenario = |sim: &mut Sim| {
        let deaf = sim.node().spawn(deaf).unwrap();
        sim.run_for(2 * SECOND);
        deaf.cast(());
        sim.run_until_idle();
    };
    Plan::new().seeds(10).run(scenario);
    let failure = Plan::new().seeds(1).try_sweep_stops(scenario).unwrap_err();
    assert!(failure.message().contains("did not shut down"), "{failure}");
    let text = failure.to_string();
    assert!(text.contains("the node stopped before step"), "{text}");
}

#[test]
fn a_stop_sweep_stops_at_each_step_and_runs_nothing_more() {
    let ends = Cell::new(0_u64);
    let report = Plan::new().seeds(1).sweep_stops(|sim| {
        sim.run(async {
            for _ in 0..10 {
                sleep(SECOND).await;
            }
        });
        ends.set(ends.get() + 1);
    });
    assert_eq!((ends.get(), report.faults + 1), (1, report.runs));
    assert!(report.faults >= 20, "{report:?}");
}

#[test]
fn whoever_waits_outside_has_to_be_told() {
    Plan::new().seeds(10).run(|sim| {
        let process = sim.node().spawn(idle).unwrap();
        let told = Rc::new(Cell::new(false));
        let noted = Rc::clone(&told);
        sim.outside(async move {
            assert_eq!(process.join().await, ExitReason::Shutdown);
            noted.set(true);
        });
        sim.stop();
        assert!(told.get());
    });
    let failure = Plan::new()
        .seeds(1)
        .try_run(|sim| sim.outside(std::future::pending()));
    let failure = failure.unwrap_err();
    assert!(failure.message().contains("wait for ever"), "{failure}");
}

#[test]
fn a_check_of_ones_own_is_asked_at_rest() {
    #[derive(Default)]
    struct NobodyNamedBad(bool);

    impl Check for NobodyNamedBad {
        fn at_rest(&mut self, node: &resurgam::Node) -> Result<(), String> {
            match node.whereis("bad") {
                Some(pid) if self.0 => Err(format!("{pid} has a bad name")),
                _ => Ok(()),
            }
        }
    }

    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.client(|mut ctx: Context<()>| async move {
            sim::check(|check: &mut NobodyNamedBad| {
                check.0 = true;
                Ok(())
            });
            resurgam::register("bad", ctx.pid()).unwrap();
            ctx.receive().await;
        });
        sim.run_until_idle();
    });
    assert!(failure.message().contains("has a bad name"), "{failure}");
}

#[test]
fn a_process_that_does_not_end_is_no_harm_and_nothing_is_left() {
    let report = Plan::new().seeds(30).run(|sim| {
        sim.run(async {
            for _ in 0..10 {
                let process: ProcessRef<()> = spawn_link(|mut ctx: Context<()>| async move {
                    trap_exit(true);
                    loop {
                        let _ = timeout(100 * SECOND, ctx.receive()).await;
                    }
                })
                .unwrap();
                monitor(process.pid().unwrap());
                send_after(100 * SECOND, process.pid().unwrap(), ());
            }
        });
        sim.run_for(10 * SECOND);
    });
    assert_eq!(report.runs, 31);
}

#[test]
fn a_scenario_awaits_outside_any_process_and_its_node_is_the_current_one() {
    Plan::new().seeds(30).run(|sim| {
        let here = std::rc::Rc::new(Cell::new(0));
        let mine = std::rc::Rc::clone(&here);
        let total = sim.block_on(async move {
            let counter = Counter::builder(()).name("counter").start().await.unwrap();
            for _ in 0..3 {
                mine.set(counter.call(Msg::Add).await.unwrap());
            }
            resurgam::timeout(SECOND, std::future::pending::<()>())
                .await
                .unwrap_err();
            mine.get()
        });
        assert_eq!((total, here.get()), (3, 3));
        assert_eq!(sim.elapsed(), SECOND);
        assert_eq!(whereis("counter"), sim.node().whereis("counter"));
        kill(whereis("counter").unwrap());
        sim.run_until_idle();
        assert_eq!(whereis("counter"), None);
    });
    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.block_on(std::future::pending())
    });
    assert!(
        failure.message().contains("`Sim::block_on` is not done"),
        "{failure}"
    );
}

#[test]
fn drawn_numbers_are_part_of_the_seed() {
    let seen = RefCell::new(BTreeSet::new());
    Plan::new().seeds(50).explore(Explore::Random).run(|sim| {
        let drawn = sim.random(10);
        assert!(drawn < 10);
        seen.borrow_mut().insert(drawn);
    });
    assert!(seen.borrow().len() > 5);
}

#[sim::test(seeds = 20, explore = Explore::Random)]
fn the_attribute_runs_a_test_under_seeds(sim: &mut Sim) {
    let ended = sim.run(async {
        let child = spawn_link(|_: Context<()>| async {}).unwrap();
        link(child.pid().unwrap());
        child.join().await
    });
    assert!(matches!(ended, ExitReason::Normal));
}

#[sim::test(sweep_stops)]
fn the_attribute_sweeps_stops(sim: &mut Sim) {
    let process = sim.node().spawn(idle).unwrap();
    sim.outside(async move { drop(process.join().await) });
    sim.run_for(SECOND);
}

#[sim::test(sweep)]
fn the_attribute_sweeps(sim: &mut Sim) {
    let node = sim.node().clone();
    let first = node.spawn(idle).unwrap();
    let shared = Arc::new(AtomicU64::new(0));
    sim.run(async move {
        first.cast(());
        shared.fetch_add(1, Ordering::Relaxed);
    });
}

/// Says who it is, and sends a message in doing so.
struct Talkative(ProcessRef<()>);

impl PartialEq for Talkative {
    fn eq(&self, other: &Self) -> bool {
        self.0.pid() == other.0.pid()
    }
}

impl std::fmt::Debug for Talkative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.cast(());
        f.write_str("Talkative")
    }
}

/// Fault 28: what formats a reason is the user's.
#[test]
fn a_reason_may_do_anything_as_the_trace_is_written() {
    let failure = failure(&Plan::new().seeds(1), |sim| {
        sim.run(async {
            let listener = spawn(idle).unwrap();
            let reason = ExitReason::custom(Talkative(listener));
            let own = reason.clone();
            let ends = spawn(|_: Context<()>| async { own }).unwrap();
            assert_eq!(ends.join().await, reason);
            exit(spawn(idle).unwrap().pid().unwrap(), reason);
        });
        sim.run_until_idle();
        panic!("to see the trace");
    });
    let trace = failure.trace().join("\n");
    // Two ends, and an exit signal.
    assert_eq!(trace.matches("Talkative").count(), 3, "{trace}");
}
