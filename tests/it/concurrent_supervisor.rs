//! Supervisors that start and stop their children side by side, and the times
//! that starts and stops may take, law by law. That things go side by side is
//! told by the virtual time they take.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use resurgam::sim::Plan;
use resurgam::{
    Backoff, ChildSpec, Context, DeleteChildError, DynamicSupervisor, ExitReason, GenServer,
    InitError, Message, Pid, Reply, ServerContext, Shutdown, SpecError, StartChildError,
    StartDynamicChildError, StartError, StartSupervisorError, Started, Strategy, Supervisor,
    SupervisorBuilder, SupervisorRef, WhenSpent, is_alive, join, kill, link, now, self_pid, sleep,
    spawn, spawn_link, spawn_options, trap_exit, yield_now,
};

use crate::supervisor::{Luck, assert_gave_up, pid_of, states};
use crate::support::{run, run_on_threads};

use Strategy::{OneForAll, OneForOne, RestForOne};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test as a process of the simulator, under some seeds: time passes
/// only while everybody sleeps.
#[track_caller]
fn in_virtual_time<F>(test: impl Fn() -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    Plan::new().seeds(8).run(|sim| {
        let test = test.clone();
        let process = sim.client(move |_: Context<()>| test());
        assert_eq!(sim.run(process.join()), ExitReason::Normal);
        let left = sim.node().process_count();
        assert_eq!(left, 0, "somebody is left");
    });
}

/// Notes what happens, with the seconds since it was made: `+a@1` a is up,
/// `!a@1` a failed to start, `?a@1` a said `ignore`, `-a@2` a is dead.
#[derive(Clone)]
struct Diary {
    words: Arc<Mutex<Vec<String>>>,
    begun: Arc<Mutex<Instant>>,
}

impl Diary {
    fn new() -> Self {
        Self {
            words: Arc::default(),
            begun: Arc::new(Mutex::new(now())),
        }
    }

    fn note(&self, mark: char, id: &str) {
        let seconds = self.elapsed().as_secs();
        let word = format!("{mark}{id}@{seconds}");
        self.words.lock().unwrap().push(word);
    }

    fn elapsed(&self) -> Duration {
        now() - *self.begun.lock().unwrap()
    }

    /// How much was noted since it was last asked what.
    fn count(&self) -> usize {
        self.words.lock().unwrap().len()
    }

    /// What was noted since it was last asked, sorted by time, then by name;
    /// the time begins anew.
    fn heard(&self) -> String {
        let mut words = std::mem::take(&mut *self.words.lock().unwrap());
        words.sort_by_key(|word| {
            let (what, at) = word.split_once('@').unwrap();
            (at.parse::<u64>().unwrap(), what.to_owned())
        });
        *self.begun.lock().unwrap() = now();
        words.join(" ")
    }

    /// A worker that takes so many seconds to start and to end.
    fn worker(&self, id: &str, begins: u32, ends: u32) -> ChildSpec {
        self.unlucky_worker(id, begins, ends, &[])
    }

    /// As [`worker`](Self::worker), whose first starts turn out so; `None` is
    /// well.
    fn unlucky_worker(&self, id: &str, begins: u32, ends: u32, luck: &[Option<Luck>]) -> ChildSpec {
        let plan = WorkerPlan {
            id: id.to_owned(),
            begins: SECOND * begins,
            ends: SECOND * ends,
            luck: Arc::new(Mutex::new(luck.iter().rev().copied().collect())),
            diary: self.clone(),
        };
        ChildSpec::server::<Worker>(id, plan).shutdown(100 * SECOND)
    }
}

#[derive(Clone)]
struct WorkerPlan {
    id: String,
    begins: Duration,
    ends: Duration,
    luck: Arc<Mutex<Vec<Option<Luck>>>>,
    diary: Diary,
}

struct Worker(WorkerPlan);

impl GenServer for Worker {
    type Args = WorkerPlan;
    type Message = ExitReason;

    async fn init(plan: WorkerPlan, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        sleep(plan.begins).await;
        let luck = plan.luck.lock().unwrap().pop().flatten();
        match luck {
            None => {
                plan.diary.note('+', &plan.id);
                Ok(Self(plan))
            }
            Some(Luck::Ignores) => {
                plan.diary.note('?', &plan.id);
                Err(InitError::Ignore)
            }
            Some(Luck::Fails) => {
                plan.diary.note('!', &plan.id);
                Err(InitError::Stop(ExitReason::custom("unlucky")))
            }
        }
    }

    async fn handle(
        &mut self,
        reason: ExitReason,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        Err(reason)
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        if *reason == ExitReason::Shutdown {
            sleep(self.0.ends).await;
            self.0.diary.note('-', &self.0.id);
        }
    }
}

fn concurrent(strategy: Strategy) -> SupervisorBuilder {
    Supervisor::builder(strategy).concurrent().max_restarts(100)
}

async fn start(builder: SupervisorBuilder) -> SupervisorRef {
    builder.start().await.expect("it starts")
}

/// Has a worker fall, and waits until the supervisor has looked after that.
async fn crash(sup: &SupervisorRef, id: &str) {
    let pid = pid_of(sup, id).await;
    resurgam::send(pid, ExitReason::custom("crash")).expect("a worker");
    join(pid).await;
    while sup.which_child(id).await.expect("it is kept").pid() == Some(pid) {}
}

/// Waits until the children are in these states.
async fn until(sup: &SupervisorRef, expected: &str) {
    while states(sup).await != expected {
        sleep(SECOND / 10).await;
    }
}

/// A child that waits for ever, trapping nothing.
fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, std::future::pending::<()>)
}

/// A child that never goes when it is asked to, from its birth on, and follows a
/// supervisor that was killed.
fn deaf(id: &str) -> ChildSpec {
    let spec = ChildSpec::new(id, || {
        let parent = self_pid();
        let body = move |mut ctx: Context<()>| async move {
            loop {
                if let Message::Exit(exit) = ctx.receive().await
                    && exit.from == parent
                    && exit.reason != ExitReason::Shutdown
                {
                    return;
                }
            }
        };
        async move { Started::process(&spawn_options().link().trap_exit().spawn(body)?.process) }
    });
    spec.shutdown(Shutdown::Infinity)
}

// Starting and stopping.

/// XSUP-41
#[test]
fn children_that_need_nobody_start_and_stop_side_by_side() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let ids: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        let children = ids.iter().map(|id| diary.worker(id, 1, 1));
        let sup = start(concurrent(OneForOne).children(children)).await;
        assert_eq!(diary.elapsed(), SECOND);
        let up: Vec<_> = ids.iter().map(|id| format!("+{id}@1")).collect();
        assert_eq!(diary.heard(), up.join(" "));
        sup.stop().await.unwrap();
        assert_eq!(diary.elapsed(), SECOND);
        let down: Vec<_> = ids.iter().map(|id| format!("-{id}@1")).collect();
        assert_eq!(diary.heard(), down.join(" "));
    });
}

/// XSUP-41
#[test]
fn without_the_option_children_start_and_stop_in_turn() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let children = ["a", "b"].map(|id| diary.worker(id, 1, 1));
        let sup = start(Supervisor::builder(OneForOne).children(children)).await;
        assert_eq!(diary.heard(), "+a@1 +b@2");
        sup.stop().await.unwrap();
        assert_eq!(diary.heard(), "-b@1 -a@2");
    });
}

/// XSUP-42, XSUP-43
#[test]
fn a_chain_takes_the_sum() {
    in_virtual_time(async || {
        let diary = Diary::new();
        // The order in which they are named does not matter.
        let sup = concurrent(OneForOne)
            .child(diary.worker("c", 1, 1).after(["b"]))
            .child(diary.worker("a", 1, 1))
            .child(diary.worker("b", 1, 1).after(["a"]));
        let sup = start(sup).await;
        assert_eq!(diary.heard(), "+a@1 +b@2 +c@3");
        sup.stop().await.unwrap();
        assert_eq!(diary.heard(), "-c@1 -b@2 -a@3");
    });
}

/// XSUP-42, XSUP-43: not level by level.
#[test]
fn each_turn_comes_as_soon_as_it_can() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForAll)
            .child(diary.worker("quick", 1, 1))
            .child(diary.worker("slow", 5, 5))
            .child(diary.worker("next", 1, 1).after(["quick"]))
            .child(diary.worker("both", 1, 1).after(["slow", "next"]))
            .child(diary.worker("late", 1, 4).after(["next"]));
        let sup = start(sup).await;
        assert_eq!(diary.heard(), "+quick@1 +next@2 +late@3 +slow@5 +both@6");
        sup.stop().await.unwrap();
        assert_eq!(diary.heard(), "-both@1 -late@4 -next@5 -quick@6 -slow@6");
    });
}

/// XSUP-42
#[test]
fn one_that_says_ignore_counts_as_up() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForAll)
            .child(diary.unlucky_worker("a", 1, 1, &[Some(Luck::Ignores)]))
            .child(diary.worker("b", 1, 1).after(["a"]));
        let sup = start(sup).await;
        assert_eq!(diary.heard(), "?a@1 +b@2");
        assert_eq!(states(&sup).await, "a. b");
        sup.stop().await.unwrap();
    });
}

/// XSUP-44
#[test]
fn needs_that_cannot_be_met_are_refused_by_name() {
    run(|_: Context<()>| async {
        let id = resurgam::ChildId::from;
        let refused = async |builder: SupervisorBuilder, error: SpecError, text: &str| {
            assert_eq!(error.to_string(), text);
            match builder.start().await {
                Err(StartSupervisorError::Spec(refused)) => assert_eq!(refused, error),
                other => panic!("{other:?}"),
            }
        };
        refused(
            concurrent(OneForOne).child(idle("a").after(["x"])),
            SpecError::UnknownNeed(id("a"), id("x")),
            "child \"a\" is to start after \"x\", which there is not; expected a child of the same supervisor",
        )
        .await;
        refused(
            concurrent(OneForOne).child(idle("a").after(["a"])),
            SpecError::NeedsInCircle(vec![id("a"), id("a")]),
            "children wait for each other in a circle, \"a\" after \"a\"; expected one that waits for none of them",
        )
        .await;
        refused(
            concurrent(OneForOne)
                .child(idle("z").after(["b"]))
                .child(idle("a").after(["c"]))
                .child(idle("b").after(["a"]))
                .child(idle("c").after(["b"])),
            SpecError::NeedsInCircle(vec![id("b"), id("a"), id("c"), id("b")]),
            "children wait for each other in a circle, \"b\" after \"a\" after \"c\" after \"b\"; expected one that waits for none of them",
        )
        .await;
        refused(
            Supervisor::builder(OneForOne)
                .child(idle("a"))
                .child(idle("b").after(["a"])),
            SpecError::NeedsConcurrent(id("b")),
            "child \"b\" is to start after others that it names, but its supervisor starts one at a time; expected a `concurrent` one",
        )
        .await;
        refused(
            concurrent(OneForOne)
                .child(idle("a").temporary())
                .child(idle("b").after(["a"])),
            SpecError::TemporaryNeed(id("b"), id("a")),
            "child \"b\" is to start after \"a\", which is temporary and does not come back; expected a permanent or transient one",
        )
        .await;
        let jobs = DynamicSupervisor::builder().start().await.unwrap();
        match jobs.start_child(idle("a").after(["x"])).await {
            Err(StartDynamicChildError::Spec(SpecError::NeedsConcurrent(_))) => {}
            other => panic!("{other:?}"),
        }
        jobs.stop().await.unwrap();
    });
}

/// XSUP-44, XSUP-51
#[test]
fn a_child_that_is_added_may_need_those_that_are_there() {
    run(|_: Context<()>| async {
        let sup = start(concurrent(OneForOne).child(idle("a"))).await;
        match sup.start_child(idle("b").after(["c"])).await {
            Err(StartChildError::Spec(SpecError::UnknownNeed(..))) => {}
            other => panic!("{other:?}"),
        }
        match sup.start_child(idle("b").after(["b"])).await {
            Err(StartChildError::Spec(SpecError::NeedsInCircle(_))) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(states(&sup).await, "a");
        sup.start_child(idle("b").after(["a"])).await.unwrap();
        // An order to a single child asks nobody.
        sup.terminate_child("a").await.unwrap();
        assert_eq!(states(&sup).await, "a. b");
        match sup.delete_child("a").await {
            Err(error @ DeleteChildError::Needed(..)) => {
                let text = "child \"a\" is needed by \"b\"; delete that one first";
                assert_eq!(error.to_string(), text);
            }
            other => panic!("{other:?}"),
        }
        sup.terminate_child("b").await.unwrap();
        sup.restart_child("b").await.unwrap();
        assert_eq!(states(&sup).await, "a. b");
        sup.terminate_child("b").await.unwrap();
        sup.delete_child("b").await.unwrap();
        sup.delete_child("a").await.unwrap();
        sup.stop().await.unwrap();
    });
}

/// XSUP-45
#[test]
fn an_exit_that_comes_meanwhile_is_served_afterwards() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let early = diary.worker("early", 0, 0);
        let shy = ChildSpec::task("shy", {
            let diary = diary.clone();
            move || {
                let diary = diary.clone();
                async move {
                    diary.note('+', "shy");
                    if diary.elapsed() < SECOND {
                        panic!("too early");
                    }
                    std::future::pending::<()>().await;
                }
            }
        });
        let sup = concurrent(OneForOne)
            .child(early)
            .child(shy)
            .child(diary.worker("late", 2, 0));
        let sup = start(sup).await;
        while diary.count() < 4 {
            sleep(SECOND / 10).await;
        }
        assert_eq!(diary.heard(), "+early@0 +shy@0 +late@2 +shy@2");
        sup.stop().await.unwrap();
    });
}

/// XSUP-46
#[test]
fn a_failed_first_start_begins_nobody_else_and_leaves_nobody() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForOne)
            .child(diary.worker("up", 1, 1))
            .child(diary.worker("on", 1, 1).after(["up"]))
            .child(diary.unlucky_worker("bad", 3, 0, &[Some(Luck::Fails)]))
            .child(diary.unlucky_worker("worse", 4, 0, &[Some(Luck::Fails)]))
            .child(diary.worker("slow", 5, 1))
            .child(diary.worker("never", 1, 1).after(["bad"]))
            .child(diary.worker("nor", 1, 1).after(["slow"]));
        match sup.start().await {
            Err(StartSupervisorError::Child(failed)) => {
                assert_eq!(failed.id.as_str(), "bad");
                let unlucky = StartError::Failed(ExitReason::custom("unlucky"));
                assert_eq!(failed.error, unlucky);
            }
            other => panic!("{other:?}"),
        }
        let expected = "+up@1 +on@2 !bad@3 !worse@4 +slow@5 -on@6 -slow@6 -up@7";
        assert_eq!(diary.heard(), expected);
    });
}

/// XSUP-45: wherever in a start, a restart or a stop a supervisor is killed,
/// nobody is left.
#[test]
fn a_supervisor_that_is_killed_meanwhile_leaves_nobody() {
    for when in 0..12_u32 {
        in_virtual_time(move || async move {
            let diary = Diary::new();
            let killer = spawn(move |mut ctx: Context<Pid>| async move {
                let Message::User(victim) = ctx.receive().await else {
                    panic!("who?");
                };
                sleep(SECOND / 2 + SECOND * when).await;
                kill(victim);
            });
            let killer = killer.unwrap();
            let herald = ChildSpec::task("herald", move || {
                // Told once; those of later times tell the dead.
                let _ = resurgam::send(killer.pid().unwrap(), self_pid());
                std::future::pending::<()>()
            });
            let sup = concurrent(OneForAll)
                .child(herald)
                .child(diary.worker("a", 2, 2))
                .child(diary.worker("b", 2, 2).after(["a"]))
                .child(diary.worker("c", 3, 1));
            if let Ok(sup) = sup.start().await {
                let end = join(sup.pid().unwrap());
                if let Ok(child) = sup.which_child("c").await
                    && let Some(pid) = child.pid()
                {
                    let _ = resurgam::send(pid, ExitReason::custom("crash"));
                }
                let _ = sup.stop().await;
                end.await;
            }
            // Whoever lost its supervisor takes its time to go.
            sleep(100 * SECOND).await;
        });
    }
}

/// XSUP-41: as many as one likes, with calls in their start functions.
#[test]
fn many_start_side_by_side_and_no_wake_is_lost() {
    run_on_threads(|_: Context<()>| async {
        let bell = Echo::start(()).await.unwrap();
        let children = (0..150).map(|number: u64| {
            let bell = bell.clone();
            ChildSpec::new(format!("{number}"), move || {
                let bell = bell.clone();
                async move {
                    yield_now().await;
                    let answer = bell.call(|reply| Echo1(number, reply)).await;
                    assert_eq!(answer.unwrap(), number);
                    let child = Echo::start_link(()).await?;
                    let answer = child.call(|reply| Echo1(number, reply)).await;
                    assert_eq!(answer.unwrap(), number);
                    Started::process(&child)
                }
            })
        });
        let last = idle("last").after((0..150).map(|number| format!("{number}")));
        let sup = concurrent(OneForAll).child(last).children(children);
        let sup = start(sup).await;
        assert_eq!(sup.count_children().await.unwrap().active, 151);
        for id in ["7", "last"] {
            let pid = pid_of(&sup, id).await;
            let end = join(pid);
            kill(pid);
            end.await;
            assert_eq!(sup.count_children().await.unwrap().active, 151);
        }
        sup.stop().await.unwrap();
        bell.stop(ExitReason::Normal).await.unwrap();
    });
}

struct Echo;

struct Echo1(u64, Reply<u64>);

impl GenServer for Echo {
    type Args = ();
    type Message = Echo1;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        yield_now().await;
        Ok(Self)
    }

    async fn handle(
        &mut self,
        Echo1(number, reply): Echo1,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        yield_now().await;
        reply.send(number);
        Ok(())
    }
}

// Restarts.

/// XSUP-47
#[test]
fn one_for_all_restarts_side_by_side() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForAll)
            .child(diary.worker("a", 1, 1))
            .child(diary.worker("b", 1, 1))
            .child(diary.worker("c", 1, 1).after(["a", "b"]));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "b").await;
        assert_eq!(diary.heard(), "-c@1 -a@2 +a@3 +b@3 +c@4");
        sup.stop().await.unwrap();
    });
}

/// XSUP-47
#[test]
fn rest_for_one_takes_along_those_that_need_the_child() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(RestForOne)
            .child(diary.worker("web", 1, 1).after(["cache", "log"]))
            .child(diary.worker("db", 1, 1))
            .child(diary.worker("cache", 1, 1).after(["db"]))
            .child(diary.worker("jobs", 1, 1).after(["db"]))
            .child(diary.worker("log", 1, 1));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "db").await;
        assert_eq!(
            diary.heard(),
            "-jobs@1 -web@1 -cache@2 +db@3 +cache@4 +jobs@4 +web@5"
        );
        crash(&sup, "log").await;
        assert_eq!(diary.heard(), "-web@1 +log@2 +web@3");
        crash(&sup, "web").await;
        assert_eq!(diary.heard(), "+web@1");
        sup.stop().await.unwrap();
    });
}

/// XSUP-47
#[test]
fn one_for_one_restarts_the_child_alone_whatever_it_needs() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let patient = Backoff::constant(10 * SECOND);
        let sup = concurrent(OneForOne)
            .child(diary.worker("a", 1, 1).backoff(patient))
            .child(diary.worker("b", 1, 1).after(["a"]));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "a").await;
        crash(&sup, "b").await;
        assert_eq!(states(&sup).await, "a@ b");
        assert_eq!(diary.heard(), "+b@1");
        sup.stop().await.unwrap();
    });
}

/// XSUP-48
#[test]
fn whoever_needs_one_that_is_to_come_back_waits_for_it() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let patient = |spec: ChildSpec, seconds| spec.backoff(Backoff::constant(seconds * SECOND));
        let sup = concurrent(RestForOne)
            .child(patient(diary.worker("a", 0, 0), 10))
            .child(patient(diary.worker("b", 0, 0), 20))
            .child(diary.worker("c", 0, 0))
            .child(diary.worker("d", 0, 0).after(["a", "b", "c"]))
            .child(diary.worker("e", 0, 0).after(["d", "f"]))
            .child(diary.worker("f", 0, 0));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "b").await;
        crash(&sup, "a").await;
        crash(&sup, "c").await;
        // Also who needs it by way of one that is down.
        crash(&sup, "f").await;
        assert_eq!(states(&sup).await, "a@ b@ c d. e. f");
        until(&sup, "a b c d e f").await;
        assert_eq!(diary.heard(), "+c@0 +f@0 -d@0 -e@0 +a@10 +b@20 +d@20 +e@20");
        sup.stop().await.unwrap();
    });
}

/// XSUP-48
#[test]
fn whoever_needs_one_that_is_parked_is_down_as_long() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let a = diary.worker("a", 0, 0).restart_intensity(0, SECOND);
        let sup = concurrent(RestForOne)
            .child(a.when_spent(WhenSpent::Park))
            .child(diary.worker("b", 0, 0))
            .child(diary.worker("c", 0, 0).after(["a", "b"]));
        let sup = start(sup).await;
        crash(&sup, "a").await;
        crash(&sup, "b").await;
        assert_eq!(states(&sup).await, "a# b c.");
        // An order for the child itself is obeyed.
        sup.restart_child("c").await.unwrap();
        assert_eq!(states(&sup).await, "a# b c");
        sup.restart_child("a").await.unwrap();
        assert_eq!(states(&sup).await, "a b c");
        sup.stop().await.unwrap();
    });
}

/// XSUP-49
#[test]
fn one_for_all_tries_all_again_when_one_does_not_start() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForAll)
            .child(diary.worker("a", 1, 1))
            .child(diary.worker("b", 2, 1))
            .child(diary.worker("c", 1, 1).after(["b"]))
            .child(diary.unlucky_worker("d", 1, 1, &[None, Some(Luck::Fails)]));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "a").await;
        until(&sup, "a b c d").await;
        // b is waited for, c not begun; then all of it again.
        assert_eq!(
            diary.heard(),
            "-c@1 -d@1 -b@2 !d@3 +a@3 +b@4 -a@5 -b@5 +a@6 +d@6 +b@7 +c@8"
        );
        sup.stop().await.unwrap();
    });
}

/// XSUP-49
#[test]
fn rest_for_one_leaves_down_only_those_that_need_one_that_did_not_start() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let patient = |spec: ChildSpec, seconds| spec.backoff(Backoff::constant(seconds * SECOND));
        let moody = |id| {
            let worker = diary.unlucky_worker(id, 0, 0, &[None, Some(Luck::Fails)]);
            worker.after(["a"])
        };
        let sup = concurrent(RestForOne)
            .child(diary.worker("a", 0, 0))
            .child(patient(moody("b"), 5))
            .child(patient(moody("c"), 7))
            .child(diary.worker("d", 1, 0).after(["a"]))
            .child(diary.worker("e", 0, 0).after(["b", "c"]));
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "a").await;
        assert_eq!(states(&sup).await, "a b@ c@ d e.");
        assert_eq!(diary.heard(), "!b@0 !c@0 +a@0 -b@0 -c@0 -d@0 -e@0 +d@1");
        until(&sup, "a b c d e").await;
        assert_eq!(diary.heard(), "+b@4 +c@6 +e@6");
        sup.stop().await.unwrap();
    });
}

// Deadlines.

/// XSUP-52
#[test]
fn a_start_that_is_too_late_has_failed() {
    in_virtual_time(async || {
        for builder in [Supervisor::builder(OneForOne), concurrent(OneForOne)] {
            let diary = Diary::new();
            let begun = now();
            let builder = builder
                .child(diary.worker("a", 1, 1).start_timeout(2 * SECOND))
                .child(diary.worker("b", 3, 1).start_timeout(2 * SECOND));
            match builder.start().await {
                Err(StartSupervisorError::Child(failed)) => {
                    assert_eq!(failed.id.as_str(), "b");
                    assert_eq!(failed.error, StartError::TimedOut);
                }
                other => panic!("{other:?}"),
            }
            assert!(now() - begun <= 4 * SECOND);
            assert!(!diary.heard().contains("+b"));
        }
    });
}

/// XSUP-52: whatever the start function had started by then, it is dead before
/// the failure counts; what it only linked to lives.
#[test]
fn what_was_half_started_is_dead_before_it_counts() {
    run(|_: Context<()>| async {
        let stranger = spawn(|_: Context<()>| std::future::pending::<()>()).unwrap();
        let stranger = stranger.pid().unwrap();
        let spawned: Arc<Mutex<Vec<Pid>>> = Arc::default();
        let hangs = {
            let spawned = Arc::clone(&spawned);
            ChildSpec::new("hangs", move || {
                let spawned = Arc::clone(&spawned);
                async move {
                    for _ in 0..3 {
                        let child = spawn_link(|mut ctx: Context<()>| async move {
                            trap_exit(true);
                            loop {
                                ctx.receive().await;
                            }
                        })?;
                        spawned.lock().unwrap().extend(child.pid());
                        link(stranger);
                        yield_now().await;
                    }
                    let hanging = Hanging::start_link(Arc::clone(&spawned)).await?;
                    Started::process(&hanging)
                }
            })
        };
        let hangs = hangs.start_timeout(Duration::from_millis(20));
        let beside = || (0..5).map(|number| idle(&number.to_string()));
        let dead = async || {
            let pids = std::mem::take(&mut *spawned.lock().unwrap());
            assert_eq!(pids.len(), 4);
            for pid in pids {
                assert_eq!(is_alive(pid).await, Ok(false), "{pid} lives");
            }
        };
        for builder in [Supervisor::builder(OneForOne), concurrent(OneForOne)] {
            let sup = start(builder.children(beside())).await;
            match sup.start_child(hangs.clone()).await {
                Err(StartChildError::Failed { error, .. }) => {
                    assert_eq!(error, StartError::TimedOut);
                }
                other => panic!("{other:?}"),
            }
            dead().await;
            assert_eq!(is_alive(stranger).await, Ok(true));
            assert_eq!(sup.count_children().await.unwrap().active, 5);
            sup.stop().await.unwrap();
        }
        let sup = DynamicSupervisor::builder().start().await.unwrap();
        match sup.start_child(hangs).await {
            Err(StartDynamicChildError::Failed(StartError::TimedOut)) => {}
            other => panic!("{other:?}"),
        }
        dead().await;
        sup.stop().await.unwrap();
        kill(stranger);
    });
}

/// XSUP-52: so is a server, and one whose builder says another time.
#[test]
fn a_server_that_is_too_late_is_dead_before_it_counts() {
    in_virtual_time(async || {
        let begun: Arc<Mutex<Vec<Pid>>> = Arc::default();
        let server = ChildSpec::server::<Hanging>("server", Arc::clone(&begun));
        let patient = {
            let begun = Arc::clone(&begun);
            ChildSpec::server_with::<Hanging, _>("patient", move || {
                Hanging::builder(Arc::clone(&begun)).timeout(100 * SECOND)
            })
        };
        let below = {
            let server = server.clone();
            ChildSpec::supervisor("below", move || {
                Supervisor::builder(OneForOne).child(server.clone())
            })
        };
        let sup = start(concurrent(OneForOne)).await;
        for spec in [server, patient, below] {
            let since = now();
            match sup.start_child(spec.start_timeout(SECOND)).await {
                Err(StartChildError::Failed { error, .. }) => {
                    assert_eq!(error, StartError::TimedOut);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(now() - since, SECOND);
        }
        let pids = std::mem::take(&mut *begun.lock().unwrap());
        let [server, patient, _] = pids[..] else {
            panic!("three have begun: {pids:?}");
        };
        assert_eq!(is_alive(server).await, Ok(false));
        assert_eq!(is_alive(patient).await, Ok(false));
        sup.stop().await.unwrap();
    });
}

/// A server whose `init` never ends.
struct Hanging;

impl GenServer for Hanging {
    type Args = Arc<Mutex<Vec<Pid>>>;
    type Message = ();

    async fn init(begun: Self::Args, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        begun.lock().unwrap().push(self_pid());
        std::future::pending().await
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        Ok(())
    }
}

/// XSUP-52: those that start beside it are not taken for its own.
#[test]
fn a_start_that_is_too_late_harms_nobody_beside_it() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(RestForOne)
            .child(diary.worker("a", 0, 0))
            .child(diary.worker("late", 4, 0).after(["a"]));
        let sup = start(sup).await;
        sup.terminate_child("late").await.unwrap();
        sup.delete_child("late").await.unwrap();
        let patience = Backoff::constant(10 * SECOND);
        for id in ["b", "c"] {
            let slow = diary
                .worker(id, 3, 0)
                .start_timeout(5 * SECOND)
                .after(["a"]);
            sup.start_child(slow).await.unwrap();
        }
        let never = ChildSpec::new("never", {
            let count = Arc::new(Mutex::new(0));
            move || {
                let count = Arc::clone(&count);
                async move {
                    *count.lock().unwrap() += 1;
                    let child = spawn_link(|_: Context<()>| std::future::pending::<()>())?;
                    if *count.lock().unwrap() > 1 {
                        sleep(100 * SECOND).await;
                    }
                    Started::process(&child)
                }
            }
        });
        let never = never.after(["a"]).start_timeout(SECOND).backoff(patience);
        sup.start_child(never).await.unwrap();
        diary.heard();
        crash(&sup, "a").await;
        assert_eq!(states(&sup).await, "a b c never@");
        assert_eq!(diary.heard(), "+a@0 -b@0 -c@0 +b@3 +c@3");
        assert_eq!(sup.count_children().await.unwrap().active, 3);
        sup.stop().await.unwrap();
    });
}

/// XSUP-52
#[test]
fn a_start_timeout_of_zero_is_refused() {
    let spec = idle("a").start_timeout(Duration::ZERO);
    let error = spec.check().unwrap_err();
    assert_eq!(error, SpecError::ZeroStartTimeout("a".into()));
    assert_eq!(
        error.to_string(),
        "child \"a\" has a start_timeout of zero; expected a longer one"
    );
    assert_eq!(
        idle("a").start_timeout(SECOND).get_start_timeout(),
        Some(SECOND)
    );
}

/// XSUP-52: the destructor of a start that was cut short may panic.
#[test]
fn a_destructor_of_a_late_start_harms_nobody() {
    run(|_: Context<()>| async {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a bomb in a start function");
            }
        }
        let sup = start(concurrent(OneForOne).child(idle("a"))).await;
        let bomb = ChildSpec::new("bomb", || async {
            let _bomb = Bomb;
            std::future::pending().await
        });
        let bomb = bomb.start_timeout(Duration::from_millis(5));
        match sup.start_child(bomb).await {
            Err(StartChildError::Failed { error, .. }) => assert_eq!(error, StartError::TimedOut),
            other => panic!("{other:?}"),
        }
        assert_eq!(states(&sup).await, "a");
        sup.stop().await.unwrap();
    });
}

/// XSUP-53
#[test]
fn a_stop_takes_no_longer_than_it_may() {
    in_virtual_time(async || {
        let chain = || {
            let needs = [None, Some("a"), Some("b"), Some("c")];
            let children = ["a", "b", "c", "d"].into_iter().zip(needs);
            children.map(|(id, need)| deaf(id).after(need))
        };
        let begun = now();
        let sup = concurrent(OneForOne)
            .children(chain())
            .stop_within(5 * SECOND);
        start(sup).await.stop().await.unwrap();
        assert_eq!(now() - begun, 5 * SECOND);

        let begun = now();
        let sup = Supervisor::builder(OneForOne)
            .children(["a", "b", "c", "d"].map(deaf))
            .stop_within(5 * SECOND);
        start(sup).await.stop().await.unwrap();
        assert_eq!(now() - begun, 5 * SECOND);
    });
}

/// XSUP-53: in order, and the time of its own still counts.
#[test]
fn those_that_are_left_are_killed_in_order() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let begun = now();
        let sup = concurrent(OneForOne)
            .child(diary.worker("db", 0, 1))
            .child(diary.worker("cache", 0, 9).after(["db"]))
            .child(diary.worker("web", 0, 1).after(["cache"]))
            .child(deaf("deaf").shutdown(2 * SECOND))
            .child(diary.worker("log", 0, 3))
            .stop_within(4 * SECOND);
        let sup = start(sup).await;
        diary.heard();
        let db = join(pid_of(&sup, "db").await);
        let cache = pid_of(&sup, "cache").await;
        sup.stop().await.unwrap();
        // Of the cache nothing was heard, of the database neither: it is
        // killed as soon as the cache is dead.
        assert_eq!(diary.heard(), "-web@1 -log@3");
        assert_eq!(db.await, ExitReason::Killed);
        assert_eq!(is_alive(cache).await, Ok(false));
        assert_eq!(now() - begun, 4 * SECOND);
    });
}

/// XSUP-53: it is the time for the end, not for a group that is restarted; a
/// failed first start is an end too.
#[test]
fn the_time_for_the_stop_is_for_the_end_alone() {
    in_virtual_time(async || {
        let diary = Diary::new();
        let sup = concurrent(OneForAll)
            .child(diary.worker("a", 0, 3))
            .child(diary.worker("b", 0, 3))
            .stop_within(SECOND);
        let sup = start(sup).await;
        diary.heard();
        crash(&sup, "a").await;
        assert_eq!(diary.heard(), "+a@3 +b@3 -b@3");
        sup.stop().await.unwrap();
        assert_eq!(diary.elapsed(), SECOND);

        let begun = now();
        let sup = concurrent(OneForAll)
            .child(deaf("a"))
            .child(diary.unlucky_worker("b", 1, 0, &[Some(Luck::Fails)]))
            .stop_within(SECOND);
        assert!(sup.start().await.is_err());
        assert_eq!(now() - begun, 2 * SECOND);

        let sup = concurrent(OneForOne)
            .max_restarts(0)
            .child(deaf("a"))
            .child(diary.worker("b", 0, 0))
            .stop_within(SECOND);
        let sup = start(sup).await;
        let (begun, end) = (now(), join(sup.pid().unwrap()));
        let b = pid_of(&sup, "b").await;
        resurgam::send(b, ExitReason::custom("crash")).unwrap();
        assert_gave_up(&end.await, "b");
        assert_eq!(now() - begun, SECOND);
    });
}
