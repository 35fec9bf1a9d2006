//! What supervisors do that OTP's do not, law by law: delays, budgets of single
//! children, parking, causes. The family of workers is that of `supervisor`.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc;
use resurgam::{
    Backoff, BackoffError, ChildInfo, ChildSpec, ChildStatus, Context, DeleteChildError,
    DynamicSupervisor, DynamicSupervisorRef, ExitKind, ExitReason, GaveUp, GenServer, InitError,
    Lifecycle, Message, Pid, RestartChildError, RestartDynamicChildError, RestartIntensity,
    ServerContext, SpecError, StartChildError, StartDynamicChildError, StartError,
    StartSupervisorError, Strategy, Supervisor, SupervisorBuilder, SupervisorRef, WhenSpent, join,
    kill, monitor, now, sys, trap_exit,
};

use crate::supervisor::{
    Luck, World, assert_gave_up, crash, idle, obedient, on_every_runtime, pid_of, states, unlucky,
};
use crate::support::run;

use Strategy::{OneForAll, OneForOne, RestForOne};

const SECOND: Duration = Duration::from_secs(1);

impl World {
    /// Workers a, b and c, of which b is as `care` makes it.
    async fn with_b(
        &self,
        strategy: Strategy,
        care: impl FnOnce(ChildSpec) -> ChildSpec,
    ) -> SupervisorRef {
        let [a, b, c] = ["a", "b", "c"].map(|id| self.family.worker(id));
        self.start(Supervisor::builder(strategy).children([a, care(b), c]))
            .await
    }

    async fn crashes(&self, sup: &SupervisorRef, id: &str) {
        self.end(pid_of(sup, id).await, crash()).await;
    }
}

/// A child that waits for a second, then two, then four, up to a minute.
fn patient(spec: ChildSpec) -> ChildSpec {
    spec.backoff(Backoff::new(SECOND, 60 * SECOND))
}

/// A child that may be restarted once in ten seconds.
fn frugal(when_spent: WhenSpent) -> impl Fn(ChildSpec) -> ChildSpec {
    move |spec| {
        spec.restart_intensity(1, 10 * SECOND)
            .when_spent(when_spent)
    }
}

async fn info(sup: &SupervisorRef, id: &str) -> ChildInfo {
    sup.which_child(id).await.expect("there is such a child")
}

/// Waits until the children are in these states.
async fn until(sup: &SupervisorRef, expected: &str) {
    while states(sup).await != expected {}
}

/// For how long the child waits.
async fn wait_of(sup: &SupervisorRef, id: &str) -> Duration {
    match info(sup, id).await.status {
        ChildStatus::Waiting(left) => left,
        other => panic!("{id} waits, {other:?}"),
    }
}

fn starts_with(spec: ChildSpec) -> SupervisorBuilder {
    Supervisor::builder(OneForOne).child(spec)
}

/// XSUP-01
#[test]
fn care_that_makes_no_sense_is_refused_by_name() {
    on_every_runtime(async || {
        let world = World::new();
        let a = || idle("a");
        let backward = Backoff::new(SECOND, SECOND / 2);
        for (spec, error, text) in [
            (
                a().backoff(backward),
                SpecError::Backoff("a".into(), BackoffError::MaximumBelowInitial),
                "back-off of child \"a\": maximum delay is less than the initial one",
            ),
            (
                patient(a()).temporary(),
                SpecError::NeverRestarted("a".into()),
                "child \"a\" is temporary and never restarted, but has a back-off or a restart intensity",
            ),
            (
                a().restart_intensity(3, Duration::ZERO),
                SpecError::ZeroPeriod("a".into()),
                "restart intensity of child \"a\" has a period of zero; expected a longer one",
            ),
            (
                a().when_spent(WhenSpent::Park),
                SpecError::ParkWithoutBudget("a".into()),
                "child \"a\" is to be parked when its budget is spent, but has none; expected a restart_intensity",
            ),
            (
                frugal(WhenSpent::ParkFor(Duration::ZERO))(a()),
                SpecError::ZeroPark("a".into()),
                "child \"a\" is to be parked for no time; expected a longer one",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(spec.check(), Err(error.clone()));
            match starts_with(spec).start_on(&world.node).await {
                Err(StartSupervisorError::Spec(refused)) => assert_eq!(refused, error),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(world.node.process_count(), 0);
        let spec = patient(frugal(WhenSpent::Park)(a()));
        assert_eq!(spec.get_backoff(), Some(Backoff::new(SECOND, 60 * SECOND)));
        let intensity = RestartIntensity::new(1, 10 * SECOND);
        assert_eq!(spec.get_restart_intensity(), Some(intensity));
        assert_eq!(spec.get_when_spent(), WhenSpent::Park);
    });
}

/// XSUP-05
#[test]
fn child_is_restarted_when_its_delay_is_over() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(OneForOne, patient).await;
        world.crashes(&sup, "b").await;
        // The supervisor answers meanwhile.
        assert_eq!(states(&sup).await, "a b@ c");
        assert_eq!(wait_of(&sup, "b").await, SECOND);
        assert_eq!(sup.count_children().await.unwrap().active, 2);
        world.clock.advance(SECOND - Duration::from_millis(1));
        assert_eq!(wait_of(&sup, "b").await, Duration::from_millis(1));
        world.crashes(&sup, "a").await;
        assert_eq!(states(&sup).await, "a b@ c");
        assert_eq!(world.family.heard(), "+a");
        world.clock.advance(Duration::from_millis(1));
        until(&sup, "a b c").await;
        assert_eq!(world.family.heard(), "+b");
    });
}

/// XSUP-02, XSUP-04
#[test]
fn delays_grow_until_the_child_is_stable() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = Supervisor::builder(OneForOne).max_restarts(99);
        let sup = world
            .start(sup.child(patient(world.family.worker("a"))))
            .await;
        world.family.luck("a", &[Luck::Fails]);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            if info(&sup, "a").await.pid().is_some() {
                world.crashes(&sup, "a").await;
            }
            assert_eq!(wait_of(&sup, "a").await, seconds * SECOND);
            world.clock.advance(seconds * SECOND);
            while matches!(
                info(&sup, "a").await.status,
                ChildStatus::Waiting(Duration::ZERO)
            ) {}
        }
        world.clock.advance(60 * SECOND);
        world.crashes(&sup, "a").await;
        assert_eq!(wait_of(&sup, "a").await, SECOND);
        assert!(world.family.heard().starts_with("!a +a +a"));
    });
}

/// XSUP-03
#[test]
fn jitter_comes_from_the_random_numbers_of_the_node() {
    on_every_runtime(async || {
        let waits = async |seed| {
            let world = World::seeded(seed);
            let backoff = Backoff::constant(100 * SECOND).jitter(0.5);
            let sup = world.with_b(OneForOne, |b| b.backoff(backoff)).await;
            world.crashes(&sup, "b").await;
            wait_of(&sup, "b").await
        };
        let first = waits(1).await;
        assert!(50 * SECOND <= first && first <= 100 * SECOND, "{first:?}");
        assert_eq!(waits(1).await, first);
        assert_ne!(waits(2).await, first);
    });
}

/// XSUP-06
#[test]
fn group_is_down_as_long_as_the_child_that_waits() {
    on_every_runtime(async || {
        for (strategy, down, up) in [
            (OneForOne, "a b@ c", "+b"),
            (OneForAll, "a. b@ c.", "-c -a +a +b +c"),
            (RestForOne, "a b@ c.", "-c +b +c"),
        ] {
            let world = World::new();
            let sup = world.with_b(strategy, patient).await;
            world.crashes(&sup, "b").await;
            assert_eq!(states(&sup).await, down);
            world.clock.advance(SECOND);
            until(&sup, "a b c").await;
            assert_eq!(world.family.heard(), up);
        }
    });
}

/// XSUP-06
#[test]
fn group_restart_of_another_takes_along_those_that_wait() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(RestForOne, patient).await;
        world.crashes(&sup, "b").await;
        world.crashes(&sup, "a").await;
        assert_eq!(states(&sup).await, "a b c");
        assert_eq!(world.family.heard(), "-c +a +b +c");
        world.clock.advance(100 * SECOND);
        assert_eq!(states(&sup).await, "a b c");
        assert_eq!(world.family.heard(), "");
    });
}

/// XSUP-07
#[test]
fn wait_ends_as_somebody_orders() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(RestForOne, patient).await;
        world.crashes(&sup, "b").await;
        assert!(matches!(
            sup.delete_child("b").await,
            Err(DeleteChildError::Restarting(_))
        ));
        assert!(matches!(
            sup.start_child(idle("b")).await,
            Err(StartChildError::AlreadyPresent(_))
        ));
        // It is restarted now, with its group.
        let started = sup.restart_child("b").await.unwrap();
        assert_eq!(states(&sup).await, "a b c");
        assert_eq!(started.pid(), Some(pid_of(&sup, "b").await));
        assert_eq!(world.family.heard(), "-c +b +c");
        // It is called off.
        world.crashes(&sup, "b").await;
        sup.terminate_child("b").await.unwrap();
        assert_eq!(states(&sup).await, "a b. c.");
        assert_eq!(world.node.timer_count(), 0);
        world.clock.advance(100 * SECOND);
        assert_eq!(states(&sup).await, "a b. c.");
        // A stop does not wait.
        sup.restart_child("b").await.unwrap();
        world.crashes(&sup, "b").await;
        assert_eq!(wait_of(&sup, "b").await, SECOND);
        sup.stop().await.unwrap();
        assert_eq!(world.node.process_count(), 0);
        assert_eq!(world.node.timer_count(), 0);
    });
}

/// XSUP-08
#[test]
fn nobody_waits_for_an_attempt_that_is_bound_to_be_refused() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = starts_with(patient(world.family.worker("a"))).max_restarts(0);
        let sup = world.start(sup).await;
        let fate = world.node.join(sup.pid().unwrap());
        world.crashes(&sup, "a").await;
        assert_gave_up(&fate.await, "a");
        // In five seconds the first attempt does not count any more.
        let slow = world
            .family
            .worker("a")
            .backoff(Backoff::constant(6 * SECOND));
        let sup = world.start(starts_with(slow).max_restarts(1)).await;
        for _ in 0..4 {
            world.crashes(&sup, "a").await;
            assert_eq!(wait_of(&sup, "a").await, 6 * SECOND);
            world.clock.advance(6 * SECOND);
            until(&sup, "a").await;
        }
    });
}

/// XSUP-05
#[test]
fn what_sys_asks_does_not_lose_a_wait() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(OneForOne, patient).await;
        world.crashes(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b@ c");
        sys::get_status(&sup).await.unwrap();
        sys::suspend(&sup).await.unwrap();
        world.clock.advance(SECOND);
        sys::get_status(&sup).await.unwrap();
        assert_eq!(world.family.heard(), "");
        sys::resume(&sup).await.unwrap();
        until(&sup, "a b c").await;
    });
}

/// XSUP-10, XSUP-11
#[test]
fn budget_of_a_child_is_its_own() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = Supervisor::builder(OneForOne)
            .max_restarts(1)
            .child(frugal(WhenSpent::GiveUp)(world.family.worker("a")))
            .child(world.family.worker("b"));
        let sup = world.start(sup).await;
        let fate = world.node.join(sup.pid().unwrap());
        world.crashes(&sup, "a").await;
        world.crashes(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b");
        world.crashes(&sup, "a").await;
        let reason = fate.await;
        assert_gave_up(&reason, "a");
        let why = reason.cause::<GaveUp>().unwrap();
        assert_eq!(why.intensity, RestartIntensity::new(1, 10 * SECOND));
    });
}

/// XSUP-12
#[test]
fn group_restart_is_charged_to_whoever_fell() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(OneForAll, frugal(WhenSpent::GiveUp)).await;
        let fate = world.node.join(sup.pid().unwrap());
        for id in ["a", "b", "c", "a"] {
            world.crashes(&sup, id).await;
            assert_eq!(states(&sup).await, "a b c");
        }
        world.crashes(&sup, "b").await;
        assert_gave_up(&fate.await, "b");
    });
}

/// XSUP-13, XSUP-14, XSUP-15
#[test]
fn parked_child_is_kept_and_can_be_restarted() {
    on_every_runtime(async || {
        for (strategy, down, up) in [
            (OneForOne, "a b# c", "+b"),
            (OneForAll, "a. b# c.", "+a +b +c"),
            (RestForOne, "a b# c.", "+b +c"),
        ] {
            let world = World::new();
            let sup = world.with_b(strategy, frugal(WhenSpent::Park)).await;
            for _ in 0..2 {
                // The second time with a fresh budget.
                world.crashes(&sup, "b").await;
                assert_eq!(states(&sup).await, "a b c");
                world.crashes(&sup, "b").await;
                assert_eq!(states(&sup).await, down);
                let parked = info(&sup, "b").await;
                assert_eq!(parked.status, ChildStatus::Parked(None));
                assert_eq!(parked.last_exit, Some(crash()));
                assert!(matches!(
                    sup.start_child(idle("b")).await,
                    Err(StartChildError::AlreadyPresent(_))
                ));
                world.family.heard();
                sup.restart_child("b").await.unwrap();
                assert_eq!(world.family.heard(), up);
                assert_eq!(states(&sup).await, "a b c");
            }
        }
    });
}

/// XSUP-15
#[test]
fn parked_child_can_be_taken_out() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(OneForOne, frugal(WhenSpent::Park)).await;
        let park = async || {
            world.crashes(&sup, "b").await;
            world.crashes(&sup, "b").await;
            assert_eq!(states(&sup).await, "a b# c");
        };
        park().await;
        sup.terminate_child("b").await.unwrap();
        assert_eq!(states(&sup).await, "a b. c");
        sup.restart_child("b").await.unwrap();
        park().await;
        sup.delete_child("b").await.unwrap();
        assert_eq!(states(&sup).await, "a c");
    });
}

/// XSUP-15
#[test]
fn supervisor_goes_on_trying_when_an_ordered_restart_fails() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .with_b(OneForOne, |b| patient(frugal(WhenSpent::Park)(b)))
            .await;
        world.crashes(&sup, "b").await;
        world.family.luck("b", &[Luck::Fails]);
        match sup.restart_child("b").await {
            Err(RestartChildError::Failed(StartError::Failed(reason))) => {
                assert_eq!(reason, unlucky());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(wait_of(&sup, "b").await, SECOND);
        world.clock.advance(SECOND);
        until(&sup, "a b c").await;
    });
}

/// XSUP-16
#[test]
fn child_parked_for_a_time_is_tried_again() {
    on_every_runtime(async || {
        let world = World::new();
        let rest = WhenSpent::ParkFor(20 * SECOND);
        let sup = world.with_b(RestForOne, frugal(rest)).await;
        for _ in 0..3 {
            world.crashes(&sup, "b").await;
            world.crashes(&sup, "b").await;
            assert_eq!(states(&sup).await, "a b# c.");
            let parked = info(&sup, "b").await.status;
            assert_eq!(parked, ChildStatus::Parked(Some(20 * SECOND)));
            world.clock.advance(20 * SECOND);
            until(&sup, "a b c").await;
            world.clock.advance(20 * SECOND);
        }
    });
}

/// XSUP-17
#[test]
fn group_restart_of_another_takes_along_those_that_are_parked() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(RestForOne, frugal(WhenSpent::Park)).await;
        world.crashes(&sup, "b").await;
        world.crashes(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b# c.");
        world.crashes(&sup, "a").await;
        assert_eq!(states(&sup).await, "a b c");
    });
}

/// XSUP-20
#[test]
fn reason_of_giving_up_names_its_cause() {
    run(|mut ctx: Context<()>| async move {
        let sup = starts_with(obedient("job")).max_restarts(1);
        let sup = sup.start().await.unwrap();
        monitor(sup.pid().unwrap());
        for _ in 0..2 {
            let job = pid_of(&sup, "job").await;
            let gone = join(job);
            ctx.node().send(job, crash()).unwrap();
            gone.await;
        }
        let Message::Down(down) = ctx.receive().await else {
            panic!("expected a down")
        };
        assert!(down.reason.is_graceful());
        let why = down.reason.cause::<GaveUp>().unwrap();
        assert_eq!((why.id.as_str(), why.restarts), ("job", 1));
        assert_eq!(why.reason, crash());
        assert_eq!(
            why.to_string(),
            "child \"job\" called for more than 1 restarts in 5s: \"crash\""
        );
    });
}

/// XSUP-20
#[test]
fn dynamic_supervisor_names_its_cause() {
    run(|ctx: Context<()>| async move {
        let sup = DynamicSupervisor::builder().max_restarts(1);
        let sup = sup.start().await.unwrap();
        let fate = join(sup.pid().unwrap());
        let mut job = sup.start_child(obedient("job")).await.unwrap().pid();
        for restarts in 0..2 {
            let pid = job.take().expect("it runs");
            let gone = join(pid);
            ctx.node().send(pid, crash()).unwrap();
            gone.await;
            while restarts == 0 && job.is_none_or(|job| job == pid) {
                let children = sup.which_children().await.unwrap();
                job = children[0].pid();
                if job.is_some_and(|job| job != pid) {
                    assert_eq!(children[0].restarts, 1);
                }
            }
        }
        let reason = fate.await;
        assert_gave_up(&reason, "job");
        let why = reason.cause::<GaveUp>().unwrap();
        assert_eq!((why.restarts, &why.reason), (1, &crash()));
    });
}

/// XSUP-21
#[test]
fn cause_can_be_followed_through_the_levels() {
    run(|ctx: Context<()>| async move {
        let inner =
            ChildSpec::supervisor("inner", || starts_with(obedient("leaf")).max_restarts(0));
        let top = starts_with(inner).max_restarts(0).start().await.unwrap();
        let fate = join(top.pid().unwrap());
        let inner = pid_of(&top, "inner").await;
        let inner = SupervisorRef::from_pid(&ctx.node(), inner).unwrap();
        let leaf = pid_of(&inner, "leaf").await;
        ctx.node().send(leaf, crash()).unwrap();
        let reason = fate.await;
        assert_gave_up(&reason, "inner");
        let why = reason.cause::<GaveUp>().unwrap();
        assert_gave_up(&why.reason, "leaf");
        assert_eq!(why.root(), &crash());
    });
}

/// XSUP-20
#[test]
fn child_that_cannot_be_restarted_is_a_cause_too() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(OneForOne, frugal(WhenSpent::GiveUp)).await;
        let fate = world.node.join(sup.pid().unwrap());
        world.family.luck("b", &[Luck::Fails]);
        world.crashes(&sup, "b").await;
        let reason = fate.await;
        assert_gave_up(&reason, "b");
        let why = reason.cause::<GaveUp>().unwrap();
        assert_eq!((&why.reason, why.restarts), (&unlucky(), 0));
    });
}

/// XSUP-22
#[test]
fn list_of_children_tells_of_restarts_and_ends() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.with_b(RestForOne, patient).await;
        let of = async |id| {
            let info = info(&sup, id).await;
            (info.restarts, info.last_exit)
        };
        assert_eq!(of("b").await, (0, None));
        world.crashes(&sup, "b").await;
        assert_eq!(of("b").await, (0, Some(crash())));
        world.family.luck("b", &[Luck::Fails]);
        world.clock.advance(SECOND);
        while of("b").await.1 == Some(crash()) {}
        assert_eq!(of("b").await, (0, Some(unlucky())));
        world.clock.advance(2 * SECOND);
        until(&sup, "a b c").await;
        assert_eq!(of("a").await, (0, None));
        assert_eq!(of("b").await, (1, Some(unlucky())));
        assert_eq!(of("c").await, (1, None), "it was stopped and came back");
    });
}

/// XLIFE-06
#[test]
fn journal_tells_of_delays_and_of_parking() {
    on_every_runtime(async || {
        let world = World::new();
        let care = |b| patient(frugal(WhenSpent::Park)(b));
        let sup = world.with_b(OneForOne, care).await;
        let supervisor = sup.pid().unwrap();
        let old = pid_of(&sup, "b").await;
        world.crashes(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b@ c");
        world.clock.advance(SECOND);
        until(&sup, "a b c").await;
        let new = pid_of(&sup, "b").await;
        world.crashes(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b# c");
        let is_its = |what: &Lifecycle| {
            !matches!(what, Lifecycle::Spawned { .. } | Lifecycle::Exited { .. })
        };
        let events = world.node.lifecycle().into_iter().map(|event| event.what);
        let delayed = Lifecycle::Delayed {
            supervisor,
            child: Some(old),
            millis: 1_000,
        };
        let restarted = Lifecycle::Restarted {
            supervisor,
            old,
            new,
        };
        let parked = Lifecycle::Parked {
            supervisor,
            child: Some(new),
            reason: ExitKind::Custom,
        };
        let events: Vec<_> = events.filter(is_its).collect();
        assert_eq!(events, [delayed, restarted, parked]);
    });
}

/// XSUP-05, XSUP-11: whatever comes when, no delay is cut short and no attempt
/// is lost.
#[test]
fn child_that_always_fails_is_tried_as_often_and_as_late_as_told() {
    run(|_: Context<()>| async move {
        let (tell, told) = mpsc::unbounded::<Instant>();
        let delay = Duration::from_millis(3);
        let job = ChildSpec::task("job", move || {
            let tell = tell.clone();
            async move { tell.unbounded_send(now()).expect("somebody listens") }
        });
        let job = job
            .backoff(Backoff::new(delay, 4 * delay))
            .restart_intensity(4, 100 * SECOND);
        let sup = starts_with(job).child(idle("other")).start().await.unwrap();
        let reason = join(sup.pid().unwrap()).await;
        assert_gave_up(&reason, "job");
        let starts: Vec<Instant> = told.collect().await;
        let gaps: Vec<Duration> = starts.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(gaps.len(), 4);
        for (gap, least) in gaps.iter().zip([1, 2, 4, 4]) {
            assert!(*gap >= least * delay, "{gaps:?}");
        }
    });
}

/// XSUP-09
#[test]
fn supervisor_that_is_killed_while_children_wait_leaves_nothing() {
    run(|ctx: Context<()>| async move {
        let sup = Supervisor::builder(OneForOne)
            .child(patient(obedient("waits")))
            .child(
                obedient("parked")
                    .restart_intensity(0, SECOND)
                    .when_spent(WhenSpent::ParkFor(SECOND)),
            )
            .child(idle("lives"));
        let sup = sup.start().await.unwrap();
        let lives = join(pid_of(&sup, "lives").await);
        for id in ["waits", "parked"] {
            let pid = pid_of(&sup, id).await;
            let gone = join(pid);
            ctx.node().send(pid, crash()).unwrap();
            gone.await;
        }
        until(&sup, "waits@ parked# lives").await;
        kill(sup.pid().unwrap());
        assert_eq!(lives.await, ExitReason::Killed);
    });
}

/// A server that traps exits, and on `true` has its supervisor stop.
struct Insider {
    sup: SupervisorRef,
    tell: mpsc::UnboundedSender<&'static str>,
}

impl GenServer for Insider {
    type Args = (SupervisorRef, mpsc::UnboundedSender<&'static str>);
    type Message = ();

    async fn init((sup, tell): Self::Args, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        Ok(Self { sup, tell })
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        self.sup.stop_later(crash());
        let _ = self.tell.unbounded_send("asked");
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        assert_eq!(*reason, ExitReason::Shutdown);
        let _ = self.tell.unbounded_send("stopped");
    }
}

/// XSUP-30
#[test]
fn supervisor_can_be_stopped_from_inside_its_tree() {
    run(|_: Context<()>| async move {
        let (tell, told) = mpsc::unbounded();
        let named = SupervisorRef::named("inside");
        let insider = move || {
            let args = (named.clone(), tell.clone());
            starts_with(
                ChildSpec::server_with::<Insider, _>("insider", move || {
                    Insider::builder(args.clone()).name("insider")
                })
                .shutdown(resurgam::Shutdown::Infinity),
            )
        };
        let top = starts_with(ChildSpec::supervisor("below", insider)).name("inside");
        let top = top.start().await.unwrap();
        let fate = join(top.pid().unwrap());
        resurgam::ProcessRef::<()>::named("insider").cast(());
        assert_eq!(fate.await, crash());
        assert_eq!(told.collect::<Vec<_>>().await, ["asked", "stopped"]);
        // To ask one that is gone is nothing.
        top.stop_later(ExitReason::Normal);
    });
}

/// XSUP-30
#[test]
fn dynamic_supervisor_can_be_stopped_from_inside_its_tree() {
    run(|_: Context<()>| async move {
        let sup = DynamicSupervisor::builder().start().await.unwrap();
        let fate = join(sup.pid().unwrap());
        let inside = sup.clone();
        let child = ChildSpec::process("insider", move || {
            let inside = inside.clone();
            |mut ctx: Context<()>| async move {
                trap_exit(true);
                inside.stop_later(ExitReason::Shutdown);
                while !matches!(ctx.receive().await, Message::Exit(_)) {}
            }
        });
        let child = child.shutdown(resurgam::Shutdown::Infinity);
        sup.start_child(child).await.unwrap();
        assert_eq!(fate.await, ExitReason::Shutdown);
    });
}

/// A dynamic supervisor with one child, and its pid.
async fn dynamic(world: &World, spec: ChildSpec) -> (DynamicSupervisorRef, Pid) {
    let sup = DynamicSupervisor::builder().max_restarts(0).max_children(1);
    let sup = sup.start_on(&world.node).await.unwrap();
    let pid = sup.start_child(spec).await.unwrap().pid().unwrap();
    (sup, pid)
}

async fn only(sup: &DynamicSupervisorRef) -> ChildInfo {
    let children = sup.which_children().await.unwrap();
    children.into_iter().next().expect("there is a child")
}

/// Waits until the one child runs.
async fn until_it_runs(sup: &DynamicSupervisorRef) -> Pid {
    loop {
        if let Some(pid) = only(sup).await.pid() {
            return pid;
        }
    }
}

/// XSUP-40
#[test]
fn dynamic_supervisor_delays_restarts() {
    on_every_runtime(async || {
        let world = World::new();
        let care = |spec| patient(frugal(WhenSpent::GiveUp)(spec));
        let (sup, pid) = dynamic(&world, care(world.family.worker("a"))).await;
        world.end(pid, crash()).await;
        let waits = only(&sup).await;
        assert_eq!(waits.status, ChildStatus::Waiting(SECOND));
        assert_eq!(waits.last_exit, Some(crash()));
        assert_eq!(sup.count_children().await.unwrap().active, 0);
        let another = sup.start_child(idle("b")).await;
        assert!(matches!(
            another,
            Err(StartDynamicChildError::MaxChildren(1))
        ));
        world.family.luck("a", &[Luck::Fails]);
        world.clock.advance(SECOND - Duration::from_millis(1));
        let left = ChildStatus::Waiting(Duration::from_millis(1));
        assert_eq!(only(&sup).await.status, left);
        // An attempt that is bound to be refused is not waited for.
        let fate = world.node.join(sup.pid().unwrap());
        world.clock.advance(Duration::from_millis(1));
        assert_gave_up(&fate.await, "a");
        assert_eq!(world.node.timer_count(), 0);
    });
}

/// XSUP-40
#[test]
fn child_of_a_dynamic_supervisor_that_waits_goes_by_its_old_pid() {
    on_every_runtime(async || {
        let world = World::new();
        let worker = world.family.worker("a").restart_intensity(9, SECOND);
        let (sup, pid) = dynamic(&world, patient(worker)).await;
        assert!(matches!(
            sup.restart_child(pid).await,
            Err(RestartDynamicChildError::Running(_))
        ));
        world.end(pid, crash()).await;
        let new = sup.restart_child(pid).await.unwrap().pid().unwrap();
        assert_eq!(only(&sup).await.pid(), Some(new));
        assert!(matches!(
            sup.restart_child(pid).await,
            Err(RestartDynamicChildError::NotFound(_))
        ));
        // The delays began anew.
        world.end(new, crash()).await;
        assert_eq!(only(&sup).await.status, ChildStatus::Waiting(SECOND));
        world.family.luck("a", &[Luck::Fails]);
        match sup.restart_child(new).await {
            Err(RestartDynamicChildError::Failed(StartError::Failed(reason))) => {
                assert_eq!(reason, unlucky());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(only(&sup).await.status, ChildStatus::Waiting(SECOND));
        world.clock.advance(SECOND);
        let last = until_it_runs(&sup).await;
        world.end(last, crash()).await;
        sup.terminate_child(last).await.unwrap();
        assert!(sup.which_children().await.unwrap().is_empty());
        assert_eq!(world.node.timer_count(), 0);
        sup.stop().await.unwrap();
    });
}

/// XSUP-40
#[test]
fn dynamic_supervisor_parks_children() {
    on_every_runtime(async || {
        let world = World::new();
        let rest = WhenSpent::ParkFor(20 * SECOND);
        let (sup, mut pid) = dynamic(&world, frugal(rest)(world.family.worker("a"))).await;
        for _ in 0..2 {
            for _ in 0..2 {
                world.end(pid, crash()).await;
                pid = match only(&sup).await.status {
                    ChildStatus::Running(pid) => pid,
                    parked => {
                        assert_eq!(parked, ChildStatus::Parked(Some(20 * SECOND)));
                        break;
                    }
                };
            }
            assert_eq!(only(&sup).await.pid(), None);
            world.clock.advance(20 * SECOND);
            pid = until_it_runs(&sup).await;
            world.clock.advance(20 * SECOND);
        }
        sup.stop().await.unwrap();
    });
}
