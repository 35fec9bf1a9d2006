//! The static supervisor, law by law.
//!
//! Most tests watch a family of workers that write down what happens to them:
//! `+a` worker a started, `!a` failed to, `?a` said `ignore`, `-a` was told to
//! shut down. A worker's message is the reason to end with.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt, join};
use resurgam::{
    CallError, ChildSpec, ChildStatus, ChildType, Context, DeleteChildError, ExitReason,
    FailedToStartChild, FindChildError, GaveUp, GenServer, InitError, ManualClock, Message, Node,
    Pid, Reply, Restart, RestartChildError, ServerContext, Shutdown, SpecError, StartChildError,
    StartError, StartPanicked, StartSupervisorError, Started, Strategy, Supervisor,
    SupervisorBuilder, SupervisorRef, TerminateChildError, ThreadContext, process_info, self_pid,
    spawn_link, spawn_options, trap_exit, unlink,
};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

// What the tests share, with those of the dynamic supervisor too.

/// Runs a test on a current-thread runtime, and on one with two workers.
pub(crate) fn on_every_runtime(test: impl AsyncFn()) {
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let two = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    for runtime in [one, two] {
        runtime.expect("a runtime can be made").block_on(test());
    }
}

/// How a start turns out.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Luck {
    Fails,
    Ignores,
}

/// What the workers of one test have in common.
#[derive(Clone, Default)]
pub(crate) struct Family {
    words: Arc<Mutex<Vec<String>>>,
    luck: Arc<Mutex<HashMap<String, VecDeque<Luck>>>>,
}

impl Family {
    /// A permanent worker.
    pub(crate) fn worker(&self, id: &str) -> ChildSpec {
        ChildSpec::server::<Worker>(id, (id.to_owned(), self.clone()))
    }

    /// The next starts of this worker turn out so; those after them well.
    pub(crate) fn luck(&self, id: &str, luck: &[Luck]) {
        self.luck
            .lock()
            .unwrap()
            .entry(id.to_owned())
            .or_default()
            .extend(luck);
    }

    pub(crate) fn say(&self, word: impl Into<String>) {
        self.words.lock().unwrap().push(word.into());
    }

    /// What has happened since this was last asked.
    pub(crate) fn heard(&self) -> String {
        std::mem::take(&mut *self.words.lock().unwrap()).join(" ")
    }

    fn next_luck(&self, id: &str) -> Option<Luck> {
        self.luck.lock().unwrap().get_mut(id)?.pop_front()
    }
}

/// Traps exits, and ends with whatever reason it is sent.
pub(crate) struct Worker {
    id: String,
    family: Family,
}

impl GenServer for Worker {
    type Args = (String, Family);
    type Message = ExitReason;

    async fn init(
        (id, family): Self::Args,
        _: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        trap_exit(true);
        match family.next_luck(&id) {
            None => {
                family.say(format!("+{id}"));
                Ok(Self { id, family })
            }
            Some(Luck::Fails) => {
                family.say(format!("!{id}"));
                Err(InitError::Stop(unlucky()))
            }
            Some(Luck::Ignores) => {
                family.say(format!("?{id}"));
                Err(InitError::Ignore)
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
        match reason {
            ExitReason::Shutdown => self.family.say(format!("-{}", self.id)),
            ExitReason::Killed => self.family.say(format!("killed {}", self.id)),
            _ => {}
        }
    }
}

pub(crate) fn crash() -> ExitReason {
    ExitReason::custom("crash")
}

pub(crate) fn unlucky() -> ExitReason {
    ExitReason::custom("unlucky")
}

/// The supervisor that ended so gave up on this child.
#[track_caller]
pub(crate) fn assert_gave_up(reason: &ExitReason, id: &str) {
    let gave_up = reason.cause::<GaveUp>();
    let on = gave_up.map(|gave_up| gave_up.id.as_str());
    assert_eq!(on, Some(id), "{reason}");
}

/// A child that waits for ever, trapping nothing.
pub(crate) fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, std::future::pending::<()>)
}

/// A child that traps nothing and ends with whatever reason it is sent.
pub(crate) fn obedient(id: &str) -> ChildSpec {
    ChildSpec::process(id, || obey)
}

async fn obey(mut ctx: Context<ExitReason>) -> ExitReason {
    match ctx.receive().await {
        Message::User(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// A child that traps exits from its birth and hands every message on, deaf to
/// shutdown until nobody listens.
pub(crate) fn deaf(id: &str, heard: &mpsc::UnboundedSender<Message<()>>) -> ChildSpec {
    let heard = heard.clone();
    ChildSpec::new(id, move || {
        let heard = heard.clone();
        let body = |mut ctx: Context<()>| async move {
            while heard.unbounded_send(ctx.receive().await).is_ok() {}
        };
        async move { Started::process(&spawn_options().link().trap_exit().spawn(body)?.process) }
    })
}

/// A node whose time stands still, and a family to live on it.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) clock: ManualClock,
    pub(crate) family: Family,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::seeded(0)
    }

    /// One whose random numbers are repeatable.
    pub(crate) fn seeded(seed: u64) -> Self {
        let clock = ManualClock::new();
        let node = Node::builder()
            .clock(clock.clone())
            .seed(seed)
            .start()
            .expect("a node starts");
        Self {
            node,
            clock,
            family: Family::default(),
        }
    }

    /// A supervisor of permanent workers.
    async fn supervisor(&self, strategy: Strategy, ids: &[&str]) -> SupervisorRef {
        self.start(
            Supervisor::builder(strategy).children(ids.iter().map(|id| self.family.worker(id))),
        )
        .await
    }

    pub(crate) async fn start(&self, builder: SupervisorBuilder) -> SupervisorRef {
        let sup = builder.start_on(&self.node).await.expect("it starts");
        self.family.heard();
        sup
    }

    /// Has the process end with this reason, and waits until it has. Whoever
    /// is linked to it hears of it before anything that is sent from here on
    /// (law SIG-17).
    pub(crate) async fn end(&self, pid: Pid, reason: ExitReason) {
        let joined = self.node.join(pid);
        self.node.send(pid, reason).expect("a worker");
        joined.await;
    }

    async fn crash(&self, sup: &SupervisorRef, id: &str) {
        self.end(pid_of(sup, id).await, crash()).await;
    }
}

pub(crate) async fn pid_of(sup: &SupervisorRef, id: &str) -> Pid {
    let child = sup.which_child(id).await.expect("there is such a child");
    child
        .pid()
        .unwrap_or_else(|| panic!("{id} runs, {:?}", child.status))
}

async fn status(sup: &SupervisorRef, id: &str) -> ChildStatus {
    sup.which_child(id)
        .await
        .expect("there is such a child")
        .status
}

pub(crate) async fn is_gone(sup: &SupervisorRef, id: &str) -> bool {
    matches!(sup.which_child(id).await, Err(FindChildError::NotFound(_)))
}

/// Every child: `a` runs, `b.` is down, `c~` is being restarted, `d@` waits for
/// its restart, `e#` is parked; oldest first.
pub(crate) async fn states(sup: &SupervisorRef) -> String {
    let mut children = sup.which_children().await.expect("it lives");
    children.reverse();
    let state = |child: &resurgam::ChildInfo| match child.status {
        ChildStatus::Running(_) => child.id.to_string(),
        ChildStatus::Restarting => format!("{}~", child.id),
        ChildStatus::Waiting(_) => format!("{}@", child.id),
        ChildStatus::Parked(_) => format!("{}#", child.id),
        _ => format!("{}.", child.id),
    };
    children.iter().map(state).collect::<Vec<_>>().join(" ")
}

/// Runs a body as a process, and fails if it does not end well.
pub(crate) async fn inside<F>(node: &Node, body: impl FnOnce(Context<()>) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let process = node.spawn(body).expect("there is room");
    assert_eq!(process.join().await, ExitReason::Normal);
}

/// The exit message that a trapping process finds next.
pub(crate) async fn next_exit(ctx: &mut Context<()>) -> resurgam::Exit {
    match ctx.receive().await {
        Message::Exit(exit) => exit,
        other => panic!("expected an exit, got {other:?}"),
    }
}

/// The reports made on this thread.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Report>>>);

/// The fields of one report, with its `target` and `level`.
pub(crate) type Report = BTreeMap<String, String>;

impl Reports {
    /// Listens until the guard is dropped. The test and its node must run on
    /// one thread.
    pub(crate) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        crate::support::keep_reports_open();
        let reports = Self::default();
        let subscriber = tracing_subscriber::registry().with(reports.clone());
        (reports, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn of_target(&self, target: &str) -> Vec<Report> {
        let reports = std::mem::take(&mut *self.0.lock().unwrap());
        reports
            .into_iter()
            .filter(|report| report["target"] == target)
            .collect()
    }

    /// Context, offender and reason of each report about trouble.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let line = |report: &Report| {
            format!(
                "{} {}: {}",
                report["context"], report["offender.id"], report["reason"]
            )
        };
        self.of_target("resurgam::supervisor")
            .iter()
            .map(line)
            .collect()
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut report = Report::new();
        report.insert("target".to_owned(), event.metadata().target().to_owned());
        report.insert("level".to_owned(), event.metadata().level().to_string());
        event.record(&mut Fields(&mut report));
        self.0.lock().unwrap().push(report);
    }
}

struct Fields<'a>(&'a mut Report);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

use Strategy::{OneForAll, OneForOne, RestForOne};

const SECOND: Duration = Duration::from_secs(1);

// 19a. Flags, child specs, start.

/// SUP-01
#[test]
fn default_is_three_restarts_in_five_seconds() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a"]).await;
        for _ in 0..3 {
            world.crash(&sup, "a").await;
        }
        world.clock.advance(5 * SECOND);
        let fate = world.node.join(sup.pid().unwrap());
        world.crash(&sup, "a").await;
        assert_gave_up(&fate.await, "a");
        assert_eq!(world.family.heard(), "+a +a +a");
    });
}

/// SUP-02, SUP-112
#[test]
fn child_spec_has_otps_defaults() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(idle("worker"))
                    .child(ChildSpec::supervisor("sub", || {
                        Supervisor::builder(OneForOne)
                    }))
                    .child(idle("typed").child_type(ChildType::Supervisor))
                    .child(idle("own").transient().brutal_kill()),
            )
            .await;
        let check = async |id: &str, restart, shutdown, child_type| {
            let spec = sup.get_childspec(id).await.unwrap();
            assert_eq!(
                (
                    spec.get_restart(),
                    spec.get_shutdown(),
                    spec.get_child_type()
                ),
                (restart, shutdown, child_type)
            );
        };
        let (five, infinity) = (Shutdown::Timeout(5 * SECOND), Shutdown::Infinity);
        check("worker", Restart::Permanent, five, ChildType::Worker).await;
        check("sub", Restart::Permanent, infinity, ChildType::Supervisor).await;
        check("typed", Restart::Permanent, infinity, ChildType::Supervisor).await;
        check(
            "own",
            Restart::Transient,
            Shutdown::BrutalKill,
            ChildType::Worker,
        )
        .await;
        assert!(
            matches!(sup.get_childspec("x").await, Err(FindChildError::NotFound(id)) if id.as_str() == "x")
        );
    });
}

/// SUP-04, SUP-05, SUP-06, SUP-07: what is wrong is named, before anything
/// was started.
#[test]
fn bad_flags_and_specs_are_refused_by_name() {
    on_every_runtime(async || {
        let world = World::new();
        let check = async |builder: SupervisorBuilder, expected: &str| {
            let builder = builder.child(world.family.worker("z"));
            let error = builder.start_on(&world.node).await.expect_err(expected);
            assert_eq!(error.to_string(), expected);
            assert_eq!(world.family.heard(), "");
            assert_eq!(world.node.process_count(), 0);
        };
        let builder = || Supervisor::builder(OneForOne).child(world.family.worker("a"));
        check(
            builder().child(world.family.worker("a")),
            "duplicate child name \"a\"; expected ids that differ",
        )
        .await;
        check(
            builder().child(world.family.worker("")),
            "child id is empty; expected at least one character",
        )
        .await;
        check(
            builder().max_seconds(0),
            "period of the restart intensity is zero; expected a longer one",
        )
        .await;
        check(
            builder().name(""),
            "supervisor name is empty; expected at least one character",
        )
        .await;
    });
}

/// SUP-05: a limit of zero is legal.
#[test]
fn limit_of_zero_is_legal() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(Supervisor::builder(OneForOne).max_restarts(0))
            .await;
        assert_eq!(sup.count_children().await.unwrap().specs, 0);
    });
}

/// SUP-07, SUP-113: a name that is taken, a name that nobody has.
#[test]
fn supervisor_is_found_by_its_name() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(Supervisor::builder(OneForOne).name("shop"))
            .await;
        assert_eq!(world.node.whereis("shop"), sup.pid());
        let again = Supervisor::builder(OneForOne)
            .name("shop")
            .start_on(&world.node)
            .await;
        assert!(
            matches!(again, Err(StartSupervisorError::AlreadyStarted(pid)) if Some(pid) == sup.pid())
        );
        inside(&world.node, |_| async {
            let sup = SupervisorRef::named("shop");
            assert_eq!(sup.count_children().await.unwrap().specs, 0);
            let nobody = SupervisorRef::named("nobody").count_children().await;
            assert_eq!(nobody, Err(CallError::Down(ExitReason::NoProcess)));
        })
        .await;
    });
}

/// SUP-10
#[test]
fn children_start_one_at_a_time_in_order() {
    on_every_runtime(async || {
        let world = World::new();
        let slow = |id: &'static str| {
            let family = world.family.clone();
            ChildSpec::new(id, move || {
                let family = family.clone();
                async move {
                    family.say(format!("<{id}"));
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    family.say(format!("{id}>"));
                    Started::process(&spawn_link(|_: Context<()>| std::future::pending::<()>())?)
                }
            })
        };
        let builder = Supervisor::builder(OneForOne).children(["a", "b", "c"].map(slow));
        let sup = builder.start_on(&world.node).await.unwrap();
        assert_eq!(world.family.heard(), "<a a> <b b> <c c>");
        assert_eq!(states(&sup).await, "a b c");
    });
}

/// SUP-11: what a start function may bring; also for callers of start_child
/// (SUP-102, SUP-103).
#[test]
fn start_function_may_bring_a_process_a_word_nothing_or_an_error() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        let spawn = || spawn_link(|_: Context<()>| std::future::pending::<()>());

        let plain = ChildSpec::new("plain", move || async move { Started::process(&spawn()?) });
        assert!(sup.start_child(plain).await.unwrap().pid().is_some());

        let word = ChildSpec::new("word", move || async move {
            Ok(Started::process(&spawn()?)?.with_info(7_u8))
        });
        let started = sup.start_child(word).await.unwrap();
        assert_eq!(
            (started.info::<u8>(), started.pid().is_some()),
            (Some(&7), true)
        );

        for ignored in [Ok(Started::ignore()), Err(StartError::Ignore)] {
            let ignored = ChildSpec::new("ignored", move || std::future::ready(ignored.clone()));
            assert_eq!(sup.start_child(ignored).await.unwrap().pid(), None);
            assert_eq!(status(&sup, "ignored").await, ChildStatus::Stopped);
            sup.delete_child("ignored").await.unwrap();
        }

        let failing = || ChildSpec::new("failing", || async { Err(StartError::Failed(unlucky())) });
        let error = sup.start_child(failing()).await.unwrap_err();
        assert!(
            matches!(&error, StartChildError::Failed { error: StartError::Failed(r), .. } if *r == unlucky())
        );
        assert!(is_gone(&sup, "failing").await);
    });
}

/// SUP-11, DYN-06
#[test]
fn start_function_that_panics_has_failed() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        let early = ChildSpec::new("early", || {
            if true {
                panic!("early");
            }
            async { Ok(Started::ignore()) }
        });
        let late = ChildSpec::new("late", || async { panic!("late {}", 1) });
        for (spec, message) in [(early, "early"), (late, "late 1")] {
            let error = sup.start_child(spec).await.unwrap_err();
            let StartChildError::Failed {
                error: StartError::Failed(ExitReason::Custom(term)),
                ..
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!(
                term.downcast_ref::<StartPanicked>().unwrap().message(),
                message
            );
        }
        assert_eq!(states(&sup).await, "");
    });
}

/// SUP-12, SUP-13
#[test]
fn failed_first_start_stops_the_others_in_reverse_order() {
    on_every_runtime(async || {
        let world = World::new();
        world.family.luck("c", &[Luck::Fails]);
        let builder = Supervisor::builder(OneForAll)
            .children(["a", "b", "c", "d"].map(|id| world.family.worker(id)));
        let error = builder.start_on(&world.node).await.unwrap_err();
        let StartSupervisorError::Child(FailedToStartChild { id, error }) = error else {
            panic!("{error}");
        };
        assert_eq!((id.as_str(), error), ("c", StartError::Failed(unlucky())));
        assert_eq!(world.family.heard(), "+a +b !c -b -a");
        assert_eq!(world.node.process_count(), 0);
    });
}

/// SUP-12, SUP-191: the parent gets an error, its exit message is consumed.
#[test]
fn failed_first_start_leaves_no_exit_with_a_trapping_parent() {
    on_every_runtime(async || {
        let world = World::new();
        world.family.luck("a", &[Luck::Fails]);
        let spec = world.family.worker("a");
        inside(&world.node, |mut ctx| async move {
            trap_exit(true);
            let builder = Supervisor::builder(OneForOne).child(spec);
            assert!(matches!(
                builder.start_link().await,
                Err(StartSupervisorError::Child(_))
            ));
            assert!(ctx.try_receive().is_none());
        })
        .await;
    });
}

/// SUP-12: with the reason that says which child it was, also through a
/// supervisor between.
#[test]
fn failed_first_start_names_the_child_through_the_levels() {
    on_every_runtime(async || {
        let world = World::new();
        world.family.luck("leaf", &[Luck::Fails]);
        let leaf = world.family.worker("leaf");
        let sub = ChildSpec::supervisor("sub", move || {
            Supervisor::builder(OneForOne).child(leaf.clone())
        });
        let top = Supervisor::builder(OneForOne)
            .child(sub)
            .start_on(&world.node)
            .await;
        let Err(StartSupervisorError::Child(top)) = top else {
            panic!("{top:?}")
        };
        let leaf = FailedToStartChild {
            id: "leaf".into(),
            error: StartError::Failed(unlucky()),
        };
        let sub = StartError::Failed(ExitReason::shutdown_with(leaf));
        assert_eq!(
            top,
            FailedToStartChild {
                id: "sub".into(),
                error: sub
            }
        );
    });
}

/// SUP-14
#[test]
fn ignored_child_is_kept_unless_temporary() {
    on_every_runtime(async || {
        let world = World::new();
        for id in ["a", "b"] {
            world.family.luck(id, &[Luck::Ignores]);
        }
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(world.family.worker("a"))
                    .child(world.family.worker("b").temporary())
                    .child(world.family.worker("c")),
            )
            .await;
        assert_eq!(states(&sup).await, "a. c");
        let count = sup.count_children().await.unwrap();
        assert_eq!((count.specs, count.active), (2, 1));
    });
}

/// SUP-15, SUP-92
#[test]
fn parent_that_ends_for_any_reason_takes_its_supervisor_along() {
    on_every_runtime(async || {
        for reason in [ExitReason::Normal, ExitReason::Shutdown, crash()] {
            let world = World::new();
            let (tell, told) = oneshot::channel();
            let spec = world.family.worker("a");
            let ending = reason.clone();
            let parent = world.node.spawn(|mut ctx: Context<()>| async move {
                let sup = Supervisor::builder(OneForOne)
                    .child(spec)
                    .start_link()
                    .await
                    .unwrap();
                tell.send(sup).unwrap();
                ctx.receive().await;
                ending
            });
            let sup = told.await.unwrap();
            let child = world.node.join(pid_of(&sup, "a").await);
            let fate = world.node.join(sup.pid().unwrap());
            parent.unwrap().cast(());
            assert_eq!(fate.await, reason);
            assert_eq!(child.await, ExitReason::Shutdown);
            assert_eq!(world.family.heard(), "+a -a");
        }
    });
}

/// A child whose start waits for the test: tells when it was entered, goes on
/// when it is let.
fn gated(id: &str) -> (ChildSpec, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (enter, entered) = oneshot::channel();
    let (open, gate) = oneshot::channel();
    let once = Mutex::new(Some((enter, gate)));
    let spec = ChildSpec::new(id, move || {
        let (enter, gate) = once.lock().unwrap().take().expect("it starts once");
        async move {
            enter.send(()).expect("the test waits");
            gate.await.expect("the test opens it");
            Started::process(&spawn_link(|_: Context<()>| std::future::pending::<()>())?)
        }
    });
    (spec, entered, open)
}

/// SUP-16, SUP-94: whoever asks meanwhile is served afterwards.
#[test]
fn start_function_keeps_the_supervisor_busy() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        let (spec, entered, open) = gated("slow");
        let start = sup.start_child(spec);
        let ask = async {
            entered.await.unwrap();
            let mut count = std::pin::pin!(sup.count_children());
            assert!(count.as_mut().now_or_never().is_none());
            open.send(()).unwrap();
            count.await.unwrap()
        };
        let (started, count) = join!(start, ask);
        assert!(started.unwrap().pid().is_some());
        assert_eq!(count.active, 1);
    });
}

/// SUP-17: the supervisor links a child whose start function did not.
#[test]
fn child_of_an_own_start_function_is_linked() {
    on_every_runtime(async || {
        let world = World::new();
        let own = ChildSpec::new("own", || async {
            let body = |mut ctx: Context<ExitReason>| async move {
                match ctx.receive().await {
                    Message::User(reason) => reason,
                    other => panic!("{other:?}"),
                }
            };
            Started::process(&resurgam::spawn(body)?)
        });
        let sup = world.start(Supervisor::builder(OneForOne).child(own)).await;
        let first = pid_of(&sup, "own").await;
        world.end(first, crash()).await;
        assert_ne!(pid_of(&sup, "own").await, first);
    });
}

/// Who started the process that runs.
async fn parent() -> Pid {
    let info = process_info(self_pid()).await.unwrap().unwrap();
    info.parent.expect("a parent")
}

/// A child that takes its supervisor's pid, cuts the link, says so, and then
/// waits, or ends if it is told to.
fn unfaithful(id: &str) -> ChildSpec {
    ChildSpec::process(id, || {
        |mut ctx: Context<Cut>| async move {
            while let Message::User(cut) = ctx.receive().await {
                match cut {
                    Cut::Link(supervisor, reply) => {
                        unlink(supervisor);
                        reply.send(());
                    }
                    Cut::Life => return,
                }
            }
        }
    })
}

enum Cut {
    Link(Pid, Reply<()>),
    Life,
}

async fn cut_link(world: &World, sup: &SupervisorRef, id: &str) -> Pid {
    let (child, top) = (pid_of(sup, id).await, sup.pid().unwrap());
    let process = world.node.process::<Cut>(child).unwrap();
    process.call(|reply| Cut::Link(top, reply)).await.unwrap();
    child
}

/// SUP-17
#[test]
fn child_that_unlinked_itself_dies_unnoticed_but_is_not_counted() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(Supervisor::builder(OneForOne).child(unfaithful("a")))
            .await;
        let child = cut_link(&world, &sup, "a").await;
        assert_eq!(sup.count_children().await.unwrap().active, 1);
        let joined = world.node.join(child);
        world.node.send(child, Cut::Life).unwrap();
        joined.await;
        assert_eq!(status(&sup, "a").await, ChildStatus::Running(child));
        assert_eq!(sup.count_children().await.unwrap().active, 0);
    });
}

// 19b. Which deaths cause a restart.

/// What becomes of a child: restarted, kept or forgotten.
#[track_caller]
fn check_end(restart: Restart, reason: ExitReason, expected: &str) -> impl Future<Output = ()> {
    let (family, place) = (Family::default(), std::panic::Location::caller());
    let expected = expected.to_owned();
    async move {
        let world = World {
            family,
            ..World::new()
        };
        let sup = world
            .start(Supervisor::builder(OneForOne).child(world.family.worker("a").restart(restart)))
            .await;
        let old = pid_of(&sup, "a").await;
        world.end(old, reason).await;
        let found = match sup.which_child("a").await {
            Ok(child) if child.pid().is_some_and(|pid| pid != old) => "restarted",
            Ok(child) if child.status == ChildStatus::Stopped => "kept",
            Err(FindChildError::NotFound(_)) => "forgotten",
            other => panic!("{other:?} at {place}"),
        };
        assert_eq!(found, expected, "{place}");
    }
}

/// SUP-30
#[test]
fn permanent_child_is_always_restarted() {
    on_every_runtime(async || {
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with(1),
            crash(),
        ] {
            check_end(Restart::Permanent, reason, "restarted").await;
        }
    });
}

/// SUP-31
#[test]
fn transient_child_is_restarted_unless_it_ended_gracefully() {
    on_every_runtime(async || {
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with(1),
        ] {
            check_end(Restart::Transient, reason, "kept").await;
        }
        for reason in [crash(), ExitReason::Kill, ExitReason::Killed] {
            check_end(Restart::Transient, reason, "restarted").await;
        }
    });
}

/// SUP-32
#[test]
fn temporary_child_is_never_restarted() {
    on_every_runtime(async || {
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::Killed,
            crash(),
        ] {
            check_end(Restart::Temporary, reason, "forgotten").await;
        }
    });
}

/// SUP-34: also one that was really killed, and one that panicked.
#[test]
fn killed_child_and_panicking_child_ended_abnormally() {
    on_every_runtime(async || {
        let world = World::new();
        let panicking = ChildSpec::process("panics", || {
            |mut ctx: Context<ExitReason>| async move {
                let message = ctx.receive().await;
                assert!(matches!(message, Message::Exit(_)), "told to");
            }
        });
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(idle("killed").transient())
                    .child(panicking.transient()),
            )
            .await;
        let killed = pid_of(&sup, "killed").await;
        let fate = world.node.join(killed);
        world.node.kill(killed);
        fate.await;
        assert_ne!(pid_of(&sup, "killed").await, killed);
        let panics = pid_of(&sup, "panics").await;
        world.end(panics, ExitReason::Normal).await;
        assert_ne!(pid_of(&sup, "panics").await, panics);
    });
}

/// SUP-33
#[test]
fn deaths_that_need_no_restart_cost_nothing_and_touch_no_sibling() {
    on_every_runtime(async || {
        for strategy in [OneForOne, OneForAll, RestForOne] {
            let world = World::new();
            let sup = world
                .start(
                    Supervisor::builder(strategy)
                        .max_restarts(0)
                        .child(world.family.worker("done").transient())
                        .child(world.family.worker("gone").temporary())
                        .child(world.family.worker("stays")),
                )
                .await;
            let stays = pid_of(&sup, "stays").await;
            world
                .end(pid_of(&sup, "done").await, ExitReason::Normal)
                .await;
            world.end(pid_of(&sup, "gone").await, crash()).await;
            assert_eq!(states(&sup).await, "done. stays");
            assert_eq!(pid_of(&sup, "stays").await, stays);
        }
    });
}

/// SUP-35
#[test]
fn exit_signal_of_a_stranger_is_ignored() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForAll)
                    .max_restarts(0)
                    .child(world.family.worker("a")),
            )
            .await;
        for reason in [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::Kill,
            crash(),
        ] {
            if reason != ExitReason::Kill {
                world.node.exit(sup.pid().unwrap(), reason.clone());
            }
            let top = sup.pid().unwrap();
            inside(&world.node, move |_| async move {
                if reason != ExitReason::Kill {
                    resurgam::exit(top, reason);
                }
            })
            .await;
        }
        assert_eq!(states(&sup).await, "a");
        assert_eq!(world.family.heard(), "");
    });
}

/// SUP-37
#[test]
fn restart_that_is_ignored_leaves_the_child_down() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a", "b"]).await;
        world.family.luck("a", &[Luck::Ignores]);
        world.crash(&sup, "a").await;
        assert_eq!(states(&sup).await, "a. b");
        assert_eq!(world.family.heard(), "?a");
    });
}

/// A server that counts, to see what it starts from.
struct Counter(u32);

enum CounterMessage {
    Add(u32, Reply<u32>),
    Crash,
}

impl GenServer for Counter {
    type Args = u32;
    type Message = CounterMessage;

    async fn init(start: u32, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(start))
    }

    async fn handle(
        &mut self,
        message: CounterMessage,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match message {
            CounterMessage::Add(number, reply) => {
                self.0 += number;
                reply.send(self.0);
                Ok(())
            }
            CounterMessage::Crash => Err(crash()),
        }
    }
}

/// SUP-38
#[test]
fn restart_uses_the_original_arguments() {
    on_every_runtime(async || {
        let world = World::new();
        let spec =
            ChildSpec::server_with::<Counter, _>("c", || Counter::builder(5).name("counter"));
        let sup = world
            .start(Supervisor::builder(OneForOne).child(spec))
            .await;
        let counter = world.node.named::<CounterMessage>("counter");
        for _ in 0..2 {
            assert_eq!(
                counter.call(|reply| CounterMessage::Add(2, reply)).await,
                Ok(7)
            );
            let joined = world.node.join(counter.pid().unwrap());
            counter.cast(CounterMessage::Crash);
            joined.await;
            assert_eq!(pid_of(&sup, "c").await, counter.pid().unwrap());
        }
    });
}

/// SUP-38
#[test]
fn temporary_child_does_not_keep_its_start_function() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        let token = Arc::new(());
        let spec = |id: &str| {
            let held = Arc::clone(&token);
            ChildSpec::task(id, move || {
                let _ = &held;
                std::future::pending::<()>()
            })
        };
        sup.start_child(spec("kept")).await.unwrap();
        sup.start_child(spec("let go").temporary()).await.unwrap();
        // The test's own, and that of the one kept.
        assert_eq!(Arc::strong_count(&token), 2);
        let spec = sup.get_childspec("let go").await.unwrap();
        assert!(matches!(
            sup.start_child(spec).await,
            Err(StartChildError::Spec(SpecError::MissingStart(id))) if id.as_str() == "let go"
        ));
    });
}

/// SUP-39, SUP-56: all die at once; it is one restart, whoever is heard
/// first.
#[test]
fn siblings_that_die_during_a_group_stop_are_absorbed_by_it() {
    on_every_runtime(async || {
        for _ in 0..200 {
            let world = World::new();
            let sup = world
                .start(
                    Supervisor::builder(OneForAll)
                        .max_restarts(1)
                        .children(["a", "b", "c"].map(|id| world.family.worker(id))),
                )
                .await;
            let mut deaths = Vec::new();
            for id in ["a", "b", "c"] {
                let pid = pid_of(&sup, id).await;
                deaths.push((pid, world.node.join(pid)));
            }
            for (pid, _) in &deaths {
                world.node.send(*pid, crash()).unwrap();
            }
            for (_, death) in deaths {
                death.await;
            }
            assert_eq!(states(&sup).await, "a b c");
            let heard = world.family.heard();
            assert_eq!(heard.matches('+').count(), 3, "{heard}");
            assert_no_mail(&world, &sup).await;
        }
    });
}

/// SUP-90
async fn assert_no_mail(world: &World, sup: &SupervisorRef) {
    let info = world
        .node
        .process_info(sup.pid().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(info.message_queue_len, 0);
}

// 19c. Restart intensity.

/// SUP-50, SUP-51, SUP-52: the window slides, and its edge belongs to it.
#[test]
fn restart_at_the_edge_of_the_window_still_counts() {
    on_every_runtime(async || {
        for (gap, survives) in [
            (5 * SECOND, false),
            (5 * SECOND + Duration::from_nanos(1), true),
        ] {
            let world = World::new();
            let sup = world
                .start(
                    Supervisor::builder(OneForOne)
                        .intensity(1, 5 * SECOND)
                        .child(world.family.worker("a")),
                )
                .await;
            world.crash(&sup, "a").await;
            assert_eq!(states(&sup).await, "a");
            world.clock.advance(gap);
            world.crash(&sup, "a").await;
            let alive = sup.count_children().await.is_ok();
            assert_eq!(alive, survives, "{gap:?}");
        }
    });
}

/// SUP-53
#[test]
fn without_a_budget_the_first_death_is_the_end() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .max_restarts(0)
                    .children(["a", "b", "c"].map(|id| world.family.worker(id))),
            )
            .await;
        let fate = world.node.join(sup.pid().unwrap());
        world.crash(&sup, "b").await;
        assert_gave_up(&fate.await, "b");
        assert_eq!(world.family.heard(), "-c -a");
    });
}

/// SUP-54, SUP-60
#[test]
fn failing_restart_counts_for_every_try() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a", "b"]).await;
        world.family.luck("a", &[Luck::Fails; 9]);
        let fate = world.node.join(sup.pid().unwrap());
        world.crash(&sup, "a").await;
        assert_gave_up(&fate.await, "a");
        assert_eq!(world.family.heard(), "!a !a !a -b");
    });
}

/// A supervisor that tries for ever to restart `a`; `b` is fine.
async fn tries_for_ever(world: &World, strategy: Strategy) -> SupervisorRef {
    let sup = world
        .start(
            Supervisor::builder(strategy)
                .max_restarts(u32::MAX)
                .children(["a", "b"].map(|id| world.family.worker(id))),
        )
        .await;
    world.family.luck("a", &[Luck::Fails; 100_000]);
    world.crash(&sup, "a").await;
    sup
}

/// SUP-55
#[test]
fn calls_and_orders_are_served_between_tries() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, OneForOne).await;
        assert_eq!(status(&sup, "a").await, ChildStatus::Restarting);
        assert_eq!(states(&sup).await, "a~ b");
        sup.stop().await.unwrap();
        assert!(world.family.heard().ends_with("-b"));
    });
}

/// SUP-57
#[test]
fn manual_starts_and_stops_never_count() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .max_restarts(0)
                    .child(world.family.worker("a")),
            )
            .await;
        for _ in 0..10 {
            sup.terminate_child("a").await.unwrap();
            sup.restart_child("a").await.unwrap();
            sup.start_child(world.family.worker("b")).await.unwrap();
            sup.terminate_child("b").await.unwrap();
            sup.delete_child("b").await.unwrap();
        }
        assert_eq!(states(&sup).await, "a");
    });
}

/// SUP-58
#[test]
fn budget_is_shared_by_all_children() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .max_restarts(2)
                    .children(["a", "b", "c"].map(|id| world.family.worker(id))),
            )
            .await;
        let fate = world.node.join(sup.pid().unwrap());
        for id in ["a", "b", "c"] {
            world.crash(&sup, id).await;
        }
        assert_gave_up(&fate.await, "c");
        assert_eq!(world.family.heard(), "+a +b -b -a");
    });
}

/// SUP-59, SUP-63: steady failures within the limit never add up.
#[test]
fn stable_spell_gives_the_budget_back() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .intensity(1, SECOND / 2)
                    .child(world.family.worker("a")),
            )
            .await;
        for _ in 0..50 {
            world.crash(&sup, "a").await;
            assert_eq!(states(&sup).await, "a");
            world.clock.advance(SECOND);
        }
    });
}

/// SUP-60
#[test]
fn supervisor_that_gives_up_stops_the_others_and_exits_shutdown() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a", "b", "c", "d"]).await;
        let fate = world.node.join(sup.pid().unwrap());
        for _ in 0..4 {
            world.crash(&sup, "b").await;
        }
        assert_gave_up(&fate.await, "b");
        assert_eq!(world.family.heard(), "+b +b +b -d -c -a");
        assert_eq!(world.node.process_count(), 0);
    });
}

/// A supervisor `sub` with one worker `leaf` and a budget of one restart.
fn sub(family: &Family) -> ChildSpec {
    let leaf = family.worker("leaf");
    ChildSpec::supervisor("sub", move || {
        Supervisor::builder(OneForOne)
            .max_restarts(1)
            .child(leaf.clone())
    })
}

async fn sub_of(world: &World, top: &SupervisorRef) -> SupervisorRef {
    SupervisorRef::from_pid(&world.node, pid_of(top, "sub").await).expect("a supervisor")
}

/// SUP-61
#[test]
fn supervisor_that_gave_up_is_restarted_only_if_permanent() {
    on_every_runtime(async || {
        for (restart, expected) in [(Restart::Permanent, "sub"), (Restart::Transient, "sub.")] {
            let world = World::new();
            let top = world
                .start(Supervisor::builder(OneForOne).child(sub(&world.family).restart(restart)))
                .await;
            let old = sub_of(&world, &top).await;
            world.crash(&old, "leaf").await;
            let fate = world.node.join(old.pid().unwrap());
            world.crash(&old, "leaf").await;
            assert_gave_up(&fate.await, "leaf");
            assert_eq!(states(&top).await, expected);
        }
    });
}

/// SUP-62
#[test]
fn restarts_multiply_along_the_levels() {
    on_every_runtime(async || {
        let world = World::new();
        let top = Supervisor::builder(OneForOne)
            .max_restarts(1)
            .child(sub(&world.family));
        let top = top.start_on(&world.node).await.unwrap();
        let fate = world.node.join(top.pid().unwrap());
        for _ in 0..2 {
            let sub = sub_of(&world, &top).await;
            let end = world.node.join(sub.pid().unwrap());
            world.crash(&sub, "leaf").await;
            world.crash(&sub, "leaf").await;
            end.await;
        }
        assert_gave_up(&fate.await, "sub");
        assert_eq!(world.family.heard(), "+leaf +leaf +leaf +leaf");
    });
}

// 19d. Strategies.

/// The strategy, who dies, what is done about it, who keeps its pid.
async fn check_strategy(strategy: Strategy, dies: &str, done: &str, stays: &[&str]) {
    let world = World::new();
    let sup = world.supervisor(strategy, &["a", "b", "c"]).await;
    let mut before = HashMap::new();
    for id in ["a", "b", "c"] {
        before.insert(id, pid_of(&sup, id).await);
    }
    world.crash(&sup, dies).await;
    for id in ["a", "b", "c"] {
        assert_eq!(
            pid_of(&sup, id).await == before[id],
            stays.contains(&id),
            "{id}"
        );
    }
    assert_eq!(world.family.heard(), done);
    assert_no_mail(&world, &sup).await;
}

/// SUP-70
#[test]
fn one_for_one_restarts_only_the_one() {
    on_every_runtime(async || {
        check_strategy(OneForOne, "b", "+b", &["a", "c"]).await;
    });
}

/// SUP-71, SUP-90
#[test]
fn one_for_all_restarts_all() {
    on_every_runtime(async || {
        check_strategy(OneForAll, "b", "-c -a +a +b +c", &[]).await;
    });
}

/// SUP-72
#[test]
fn rest_for_one_leaves_earlier_siblings_alone() {
    on_every_runtime(async || {
        check_strategy(RestForOne, "b", "-c +b +c", &["a"]).await;
        check_strategy(RestForOne, "a", "-c -b +a +b +c", &[]).await;
        check_strategy(RestForOne, "c", "+c", &["a", "b"]).await;
    });
}

/// SUP-73
#[test]
fn temporary_sibling_stopped_by_a_group_restart_is_gone() {
    on_every_runtime(async || {
        for strategy in [OneForAll, RestForOne] {
            let world = World::new();
            let sup = world
                .start(
                    Supervisor::builder(strategy)
                        .child(world.family.worker("a"))
                        .child(world.family.worker("b").temporary())
                        .child(world.family.worker("c")),
                )
                .await;
            world.crash(&sup, "a").await;
            assert_eq!(states(&sup).await, "a c");
            assert_eq!(world.family.heard(), "-c -b +a +c");
        }
    });
}

/// SUP-74: and nobody waits for those that were down.
#[test]
fn group_restart_starts_every_spec_in_scope() {
    on_every_runtime(async || {
        for strategy in [OneForAll, RestForOne] {
            let world = World::new();
            world.family.luck("ignored", &[Luck::Ignores]);
            let sup = world
                .start(
                    Supervisor::builder(strategy)
                        .child(world.family.worker("a"))
                        .child(world.family.worker("done").transient())
                        .child(world.family.worker("halted"))
                        .child(world.family.worker("ignored")),
                )
                .await;
            world
                .end(pid_of(&sup, "done").await, ExitReason::Normal)
                .await;
            sup.terminate_child("halted").await.unwrap();
            assert_eq!(states(&sup).await, "a done. halted. ignored.");
            world.crash(&sup, "a").await;
            assert_eq!(states(&sup).await, "a done halted ignored");
        }
    });
}

/// SUP-75
#[test]
fn one_for_all_starts_all_over_when_a_start_fails() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForAll, &["a", "b", "c"]).await;
        world.family.luck("b", &[Luck::Fails]);
        world.crash(&sup, "c").await;
        // The call is served while b waits, or after: the rest is done then.
        while status(&sup, "c").await == ChildStatus::Stopped {}
        assert_eq!(states(&sup).await, "a b c");
        assert_eq!(world.family.heard(), "-b -a +a !b -a +a +b +c");
    });
}

/// SUP-76
#[test]
fn rest_for_one_goes_on_from_the_child_that_failed() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(RestForOne, &["a", "b", "c", "d"]).await;
        world.family.luck("c", &[Luck::Fails]);
        world.crash(&sup, "b").await;
        while status(&sup, "d").await == ChildStatus::Stopped {}
        assert_eq!(states(&sup).await, "a b c d");
        assert_eq!(world.family.heard(), "-d -c +b !c +c +d");
    });
}

/// SUP-77, SUP-78, SUP-106
#[test]
fn calling_a_restart_off_leaves_later_siblings_down() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, RestForOne).await;
        assert_eq!(states(&sup).await, "a~ b.");
        sup.terminate_child("a").await.unwrap();
        assert_eq!(states(&sup).await, "a. b.");
        world.family.luck.lock().unwrap().clear();
        world.family.heard();
        sup.restart_child("a").await.unwrap();
        assert_eq!(states(&sup).await, "a b.");
        assert_eq!(world.family.heard(), "+a");
    });
}

/// SUP-79
#[test]
fn death_of_another_child_during_retries_is_an_event_of_its_own() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, OneForOne).await;
        let b = pid_of(&sup, "b").await;
        world.end(b, crash()).await;
        assert_ne!(pid_of(&sup, "b").await, b);
        assert_eq!(status(&sup, "a").await, ChildStatus::Restarting);
    });
}

// 19e. Shutdown.

/// SUP-80, SUP-93
#[test]
fn stop_stops_children_in_reverse_order() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a", "b", "c"]).await;
        let fate = world.node.join(sup.pid().unwrap());
        sup.stop().await.unwrap();
        assert_eq!(fate.await, ExitReason::Normal);
        assert_eq!(world.family.heard(), "-c -b -a");
    });
}

/// What has become of a supervisor with one deaf child.
struct Deaf {
    world: World,
    sup: SupervisorRef,
    heard: mpsc::UnboundedReceiver<Message<()>>,
    child: Pid,
}

async fn deaf_child(shutdown: Shutdown) -> Deaf {
    let world = World::new();
    let (tell, heard) = mpsc::unbounded();
    let spec = deaf("a", &tell).shutdown(shutdown);
    let sup = world
        .start(Supervisor::builder(OneForOne).child(spec))
        .await;
    let child = pid_of(&sup, "a").await;
    Deaf {
        world,
        sup,
        heard,
        child,
    }
}

impl Deaf {
    /// The child was told to shut down.
    async fn is_told(&mut self) {
        match self.heard.next().await {
            Some(Message::Exit(exit)) => {
                assert_eq!(
                    (Some(exit.from), exit.reason),
                    (self.sup.pid(), ExitReason::Shutdown)
                );
            }
            other => panic!("expected shutdown, got {other:?}"),
        }
    }
}

/// SUP-81
#[test]
fn deaf_child_is_killed_when_its_time_is_up() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::Timeout(2 * SECOND)).await;
        let begun = deaf.world.clock.now();
        let fate = deaf.world.node.join(deaf.child);
        let sup = deaf.sup.clone();
        let (stopped, killed_at) = join!(sup.terminate_child("a"), async {
            deaf.is_told().await;
            deaf.world.clock.advance_to_next().await
        });
        stopped.unwrap();
        assert_eq!(killed_at - begun, 2 * SECOND);
        assert_eq!(fate.await, ExitReason::Killed);
    });
}

/// SUP-82
#[test]
fn brutal_kill_does_not_ask() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::BrutalKill).await;
        let fate = deaf.world.node.join(deaf.child);
        deaf.sup.terminate_child("a").await.unwrap();
        assert_eq!(fate.await, ExitReason::Killed);
        drop(deaf.sup);
        deaf.heard.close();
        assert!(deaf.heard.next().await.is_none());
    });
}

/// SUP-83
#[test]
fn infinity_waits_for_ever() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::Infinity).await;
        let fate = deaf.world.node.join(deaf.child);
        let sup = deaf.sup.clone();
        let (stopped, ()) = join!(sup.terminate_child("a"), async {
            deaf.is_told().await;
            deaf.world.clock.advance(Duration::from_secs(1 << 30));
            assert_eq!(deaf.world.node.is_alive(deaf.child).await, Ok(true));
            deaf.heard.close();
            deaf.world.node.send(deaf.child, ()).unwrap();
        });
        stopped.unwrap();
        assert_eq!(fate.await, ExitReason::Normal);
    });
}

/// SUP-84
#[test]
fn timeout_of_zero_asks_and_kills_in_one_go() {
    on_every_runtime(async || {
        let deaf = deaf_child(Shutdown::Timeout(Duration::ZERO)).await;
        let fate = deaf.world.node.join(deaf.child);
        deaf.sup.terminate_child("a").await.unwrap();
        assert_eq!(fate.await, ExitReason::Killed);

        // Whoever does not trap dies of the first of the two.
        let sup = deaf.sup;
        sup.start_child(idle("b").shutdown(Duration::ZERO))
            .await
            .unwrap();
        let fate = deaf.world.node.join(pid_of(&sup, "b").await);
        sup.terminate_child("b").await.unwrap();
        assert_eq!(fate.await, ExitReason::Shutdown);
    });
}

/// SUP-85
#[test]
fn child_that_unlinked_itself_is_stopped_all_the_same() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(Supervisor::builder(OneForOne).child(unfaithful("a")))
            .await;
        let child = cut_link(&world, &sup, "a").await;
        let fate = world.node.join(child);
        sup.terminate_child("a").await.unwrap();
        assert_eq!(fate.await, ExitReason::Shutdown);

        // Nor does one that is dead already keep the supervisor waiting.
        sup.restart_child("a").await.unwrap();
        let child = cut_link(&world, &sup, "a").await;
        let joined = world.node.join(child);
        world.node.send(child, Cut::Life).unwrap();
        joined.await;
        sup.stop().await.unwrap();
    });
}

/// SUP-86: killed while it stops a child, a supervisor leaves no orphan.
#[test]
fn link_is_kept_until_the_child_is_dead() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::Infinity).await;
        let sup = deaf.sup.clone();
        let (stopped, ()) = join!(sup.terminate_child("a"), async {
            deaf.is_told().await;
            deaf.world.node.kill(sup.pid().unwrap());
        });
        assert!(matches!(
            stopped,
            Err(TerminateChildError::NoAnswer(CallError::Down(
                ExitReason::Killed
            )))
        ));
        match deaf.heard.next().await {
            Some(Message::Exit(exit)) => assert_eq!(exit.reason, ExitReason::Killed),
            other => panic!("{other:?}"),
        }
    });
}

/// SUP-87, SUP-39: while the supervisor is busy two children die; the second
/// is found dead when the group is stopped.
#[tokio::test]
async fn child_found_dead_is_reported_with_its_true_reason() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = world.supervisor(OneForAll, &["a", "b"]).await;
    let pids = [pid_of(&sup, "a").await, pid_of(&sup, "b").await];
    let (spec, entered, open) = gated("slow");
    let (started, ()) = join!(sup.start_child(spec.temporary()), async {
        entered.await.unwrap();
        world.end(pids[0], crash()).await;
        world.end(pids[1], ExitReason::custom("boom")).await;
        open.send(()).unwrap();
    });
    started.unwrap();
    assert_eq!(states(&sup).await, "a b");
    let trouble = reports.trouble();
    assert_eq!(
        trouble,
        [
            "child_terminated a: \"crash\"",
            "shutdown_error b: \"boom\""
        ]
    );
    assert_no_mail(&world, &sup).await;
}

/// SUP-88, SUP-81
#[test]
fn stop_takes_the_sum_of_the_timeouts() {
    on_every_runtime(async || {
        let world = World::new();
        let (tell, heard) = mpsc::unbounded();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(deaf("a", &tell).shutdown(2 * SECOND))
                    .child(deaf("b", &tell).shutdown(3 * SECOND)),
            )
            .await;
        let begun = world.clock.now();
        let (stopped, end) = join!(sup.stop(), async {
            world.clock.advance_to_next().await;
            world.clock.advance_to_next().await
        });
        stopped.unwrap();
        assert_eq!(end - begun, 5 * SECOND);
        drop(heard);
    });
}

/// SUP-89
#[tokio::test]
async fn only_improper_ends_are_reported() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let (tell, heard) = mpsc::unbounded();
    let sup = world
        .start(
            Supervisor::builder(OneForOne)
                .child(idle("asked"))
                .child(idle("killed").brutal_kill())
                .child(deaf("overdue", &tell).shutdown(Duration::ZERO)),
        )
        .await;
    sup.stop().await.unwrap();
    assert_eq!(reports.trouble(), ["shutdown_error overdue: killed"]);
    drop(heard);
}

/// SUP-90
#[test]
fn no_exit_of_a_stopped_child_stays_behind() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForAll, &["a", "b", "c"]).await;
        world.crash(&sup, "a").await;
        for id in ["a", "b", "c"] {
            sup.terminate_child(id).await.unwrap();
            assert_no_mail(&world, &sup).await;
        }
    });
}

/// SUP-91
#[test]
fn children_of_a_supervisor_killed_while_it_stops_die_by_their_links() {
    on_every_runtime(async || {
        let world = World::new();
        let (tell, mut heard) = mpsc::unbounded();
        let (idle, deaf) = (
            idle("idle"),
            deaf("deaf", &tell).shutdown(Shutdown::Infinity),
        );
        let sub = ChildSpec::supervisor("sub", move || {
            Supervisor::builder(OneForOne)
                .child(idle.clone())
                .child(deaf.clone())
        });
        let top = world
            .start(Supervisor::builder(OneForOne).child(sub.shutdown(SECOND)))
            .await;
        let sub = sub_of(&world, &top).await;
        let fate = world.node.join(pid_of(&sub, "idle").await);
        let (stopped, _) = join!(top.stop(), async {
            let _told = heard.next().await;
            world.clock.advance_to_next().await
        });
        stopped.unwrap();
        assert_eq!(fate.await, ExitReason::Killed);
        match heard.next().await {
            Some(Message::Exit(exit)) => assert_eq!(exit.reason, ExitReason::Killed),
            other => panic!("{other:?}"),
        }
    });
}

/// SUP-92
#[test]
fn supervisor_ends_with_the_reason_it_was_told() {
    on_every_runtime(async || {
        for reason in [ExitReason::Normal, ExitReason::Shutdown, crash()] {
            let world = World::new();
            let sup = world.supervisor(OneForOne, &["a"]).await;
            let fate = world.node.join(sup.pid().unwrap());
            sup.stop_with(reason.clone()).await.unwrap();
            assert_eq!(fate.await, reason);
            assert_eq!(world.family.heard(), "-a");
        }
    });
}

/// SUP-93: from inside the tree too, and without a deadlock, as a child that
/// waits can be stopped.
#[test]
fn child_may_stop_its_own_supervisor() {
    on_every_runtime(async || {
        let world = World::new();
        let rebel = ChildSpec::task("rebel", || async {
            let result = SupervisorRef::named("top").stop().await;
            assert!(result.is_err(), "it outlived its supervisor");
        });
        let sup = world
            .start(Supervisor::builder(OneForOne).name("top"))
            .await;
        let fate = world.node.join(sup.pid().unwrap());
        let _ = sup.start_child(rebel).await;
        assert_eq!(fate.await, ExitReason::Normal);
        assert_eq!(world.node.process_count(), 0);
    });
}

/// SUP-93, SUP-94: whoever stops waiting does not call the stop off.
#[test]
fn order_is_carried_out_although_nobody_waits_for_it() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::Timeout(SECOND)).await;
        assert!(deaf.sup.terminate_child("a").now_or_never().is_none());
        deaf.is_told().await;
        deaf.world.clock.advance_to_next().await;
        assert_eq!(status(&deaf.sup, "a").await, ChildStatus::Stopped);
    });
}

/// SUP-95
#[test]
fn children_of_a_killed_supervisor_go_with_it() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(world.family.worker("trapping"))
                    .child(idle("idle")),
            )
            .await;
        let fates = [
            world.node.join(pid_of(&sup, "trapping").await),
            world.node.join(pid_of(&sup, "idle").await),
        ];
        world.node.kill(sup.pid().unwrap());
        for fate in fates {
            assert_eq!(fate.await, ExitReason::Killed);
        }
        assert_eq!(world.family.heard(), "killed trapping");
    });
}

/// SUP-86, SUP-95, under fire: whenever a supervisor is killed, nothing of its
/// tree is left.
#[test]
fn killed_supervisor_never_leaves_an_orphan() {
    on_every_runtime(async || {
        let node = Node::new().unwrap();
        for round in 0..300_usize {
            let sup = Supervisor::builder(OneForAll)
                .max_restarts(1_000)
                .children(["a", "b", "c"].map(idle))
                .start_on(&node)
                .await
                .unwrap();
            let top = sup.pid().unwrap();
            let victim = pid_of(&sup, "b").await;
            // A restart of all three is under way, or about to be.
            node.kill(victim);
            for _ in 0..round % 40 {
                tokio::task::yield_now().await;
            }
            node.kill(top);
            node.join(top).await;
            while let Some(&left) = node.processes().first() {
                // It ends, or the test never does.
                node.join(left).await;
            }
        }
    });
}

// 19f. Management.

/// SUP-100, SUP-109
#[test]
fn started_child_comes_last_in_the_start_order() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(RestForOne, &["a", "b"]).await;
        sup.start_child(world.family.worker("c")).await.unwrap();
        let ids: Vec<_> = sup
            .which_children()
            .await
            .unwrap()
            .into_iter()
            .map(|c| c.id)
            .collect();
        assert_eq!(ids, ["c", "b", "a"].map(Into::into), "newest first");
        world.family.heard();
        world.crash(&sup, "b").await;
        assert_eq!(states(&sup).await, "a b c");
        assert_eq!(world.family.heard(), "-c +b +c");
        assert!(matches!(
            sup.start_child(world.family.worker("")).await,
            Err(StartChildError::Spec(SpecError::EmptyId))
        ));
    });
}

/// SUP-101
#[test]
fn child_cannot_be_started_twice() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, OneForOne).await;
        let b = pid_of(&sup, "b").await;
        let again = async |id| sup.start_child(world.family.worker(id)).await.unwrap_err();
        assert!(matches!(again("b").await, StartChildError::AlreadyStarted(pid) if pid == b));
        assert!(
            matches!(again("a").await, StartChildError::AlreadyPresent(id) if id.as_str() == "a")
        );
        sup.terminate_child("b").await.unwrap();
        assert!(
            matches!(again("b").await, StartChildError::AlreadyPresent(id) if id.as_str() == "b")
        );
    });
}

/// SUP-102
#[test]
fn spec_of_a_child_that_did_not_start_is_dropped() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        world.family.luck("a", &[Luck::Fails]);
        match sup.start_child(world.family.worker("a")).await {
            Err(StartChildError::Failed {
                id,
                error: StartError::Failed(reason),
            }) => {
                assert_eq!((id.as_str(), reason), ("a", unlucky()));
            }
            other => panic!("{other:?}"),
        }
        assert!(is_gone(&sup, "a").await);
        sup.start_child(world.family.worker("a")).await.unwrap();

        let taken =
            || ChildSpec::server_with::<Counter, _>("taken", || Counter::builder(1).name("n"));
        let first = sup.start_child(taken()).await.unwrap().pid().unwrap();
        let second =
            ChildSpec::server_with::<Counter, _>("second", || Counter::builder(1).name("n"));
        assert!(matches!(
            sup.start_child(second).await,
            Err(StartChildError::AlreadyStarted(pid)) if pid == first
        ));
        assert!(is_gone(&sup, "second").await);
    });
}

/// SUP-103
#[test]
fn started_child_that_ignores_is_kept_unless_temporary() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        for id in ["a", "b"] {
            world.family.luck(id, &[Luck::Ignores]);
        }
        let kept = sup.start_child(world.family.worker("a")).await.unwrap();
        let gone = sup
            .start_child(world.family.worker("b").temporary())
            .await
            .unwrap();
        assert_eq!((kept.pid(), gone.pid()), (None, None));
        assert_eq!(states(&sup).await, "a.");
    });
}

/// SUP-104
#[test]
fn terminate_child_keeps_the_spec_unless_temporary() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForAll)
                    .child(world.family.worker("a"))
                    .child(world.family.worker("b").temporary())
                    .child(world.family.worker("c")),
            )
            .await;
        for id in ["a", "b", "a"] {
            sup.terminate_child(id).await.unwrap();
        }
        assert_eq!(states(&sup).await, "a. c");
        assert_eq!(world.family.heard(), "-a -b");
        for id in ["b", "x"] {
            assert!(matches!(
                sup.terminate_child(id).await,
                Err(TerminateChildError::NotFound(found)) if found.as_str() == id
            ));
        }
    });
}

/// SUP-107
#[test]
fn restart_child_wants_a_child_that_is_down() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, OneForOne).await;
        assert!(matches!(
            sup.restart_child("x").await,
            Err(RestartChildError::NotFound(_))
        ));
        assert!(matches!(
            sup.restart_child("b").await,
            Err(RestartChildError::Running(_))
        ));
        assert!(matches!(
            sup.restart_child("a").await,
            Err(RestartChildError::Restarting(_))
        ));
        sup.terminate_child("a").await.unwrap();
        assert!(matches!(
            sup.restart_child("a").await,
            Err(RestartChildError::Failed(StartError::Failed(reason))) if reason == unlucky()
        ));
        assert_eq!(states(&sup).await, "a. b");
        world.family.luck.lock().unwrap().clear();
        assert!(sup.restart_child("a").await.unwrap().pid().is_some());
        assert_eq!(states(&sup).await, "a b");
    });
}

/// SUP-108
#[test]
fn delete_child_wants_a_child_that_is_down() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = tries_for_ever(&world, OneForOne).await;
        assert!(matches!(
            sup.delete_child("x").await,
            Err(DeleteChildError::NotFound(_))
        ));
        assert!(matches!(
            sup.delete_child("b").await,
            Err(DeleteChildError::Running(_))
        ));
        assert!(matches!(
            sup.delete_child("a").await,
            Err(DeleteChildError::Restarting(_))
        ));
        sup.terminate_child("a").await.unwrap();
        sup.delete_child("a").await.unwrap();
        assert_eq!(states(&sup).await, "b");
    });
}

/// SUP-109, SUP-110
#[test]
fn which_child_tells_of_one() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(idle("a"))
                    .child(sub(&world.family)),
            )
            .await;
        let child = sup.which_child("sub").await.unwrap();
        assert_eq!(
            (child.id.as_str(), child.child_type),
            ("sub", ChildType::Supervisor)
        );
        assert_eq!(sup.which_children().await.unwrap()[0], child);
        assert!(is_gone(&sup, "x").await);
    });
}

/// SUP-111
#[test]
fn count_children_tells_specs_from_processes() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(
                Supervisor::builder(OneForOne)
                    .child(idle("a"))
                    .child(idle("b"))
                    .child(sub(&world.family)),
            )
            .await;
        sup.terminate_child("a").await.unwrap();
        sup.terminate_child("sub").await.unwrap();
        let count = sup.count_children().await.unwrap();
        assert_eq!(
            (count.specs, count.active, count.supervisors, count.workers),
            (3, 1, 1, 2)
        );
    });
}

/// SUP-113
#[test]
fn calls_have_no_time_limit_and_fail_at_once_if_nobody_is_there() {
    on_every_runtime(async || {
        let mut deaf = deaf_child(Shutdown::Infinity).await;
        let sup = deaf.sup.clone();
        let (stopped, ()) = join!(sup.terminate_child("a"), async {
            deaf.is_told().await;
            deaf.world.clock.advance(Duration::from_secs(1 << 30));
            deaf.heard.close();
            deaf.world.node.send(deaf.child, ()).unwrap();
        });
        stopped.unwrap();
        sup.stop().await.unwrap();
        assert!(matches!(
            sup.count_children().await,
            Err(CallError::Down(_))
        ));
        assert!(matches!(
            sup.start_child(idle("b")).await,
            Err(StartChildError::NoAnswer(CallError::Down(_)))
        ));
        assert!(sup.stop().await.is_err());
    });
}

/// SUP-114, where it can be told: a start function runs inside its supervisor.
#[test]
fn start_function_that_calls_its_supervisor_is_told_so() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world
            .start(Supervisor::builder(OneForOne).name("top"))
            .await;
        let spec = ChildSpec::new("a", || async {
            let answer = SupervisorRef::named("top").count_children().await;
            assert_eq!(answer, Err(CallError::CallingSelf));
            Ok(Started::ignore())
        });
        assert_eq!(sup.start_child(spec).await.unwrap().pid(), None);
    });
}

// 19j. What the parent sees.

/// SUP-190
#[test]
fn parent_gets_one_exit_when_all_children_are_dead() {
    on_every_runtime(async || {
        let world = World::new();
        let (node, family) = (world.node.clone(), world.family.clone());
        inside(&world.node, |mut ctx| async move {
            trap_exit(true);
            let sup = Supervisor::builder(OneForOne)
                .max_restarts(0)
                .children(["a", "b"].map(|id| family.worker(id)))
                .start_link()
                .await
                .unwrap();
            let (a, b) = (pid_of(&sup, "a").await, pid_of(&sup, "b").await);
            node.send(a, crash()).unwrap();
            let exit = next_exit(&mut ctx).await;
            assert_eq!(Some(exit.from), sup.pid());
            assert_gave_up(&exit.reason, "a");
            assert_eq!(node.is_alive(b).await, Ok(false));
            assert!(ctx.try_receive().is_none());
        })
        .await;
        assert_eq!(world.family.heard(), "+a +b -b");
    });
}

/// SUP-192
#[test]
fn restarted_supervisor_has_a_fresh_tree() {
    on_every_runtime(async || {
        let world = World::new();
        let top = world
            .start(Supervisor::builder(OneForOne).child(sub(&world.family)))
            .await;
        let old = sub_of(&world, &top).await;
        old.start_child(idle("extra")).await.unwrap();
        assert_eq!(states(&old).await, "leaf extra");
        let fate = world.node.join(old.pid().unwrap());
        world.node.kill(old.pid().unwrap());
        fate.await;
        let new = sub_of(&world, &top).await;
        assert_ne!(new.pid(), old.pid());
        assert_eq!(states(&new).await, "leaf");
    });
}

// 28. Reports.

/// LOG-01, LOG-02, LOG-03, LOG-06, SUP-60
#[tokio::test]
async fn giving_up_is_reported_with_its_cause() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = world
        .start(
            Supervisor::builder(OneForOne)
                .name("shop")
                .max_restarts(0)
                .child(world.family.worker("a")),
        )
        .await;
    let pid = pid_of(&sup, "a").await;
    let fate = world.node.join(sup.pid().unwrap());
    world.crash(&sup, "a").await;
    fate.await;
    let found = reports.of_target("resurgam::supervisor");
    let [terminated, shutdown] = &found[..] else {
        panic!("{found:?}")
    };
    let check = |report: &Report, context: &str, reason: &str| {
        assert_eq!(report["level"], "ERROR");
        assert_eq!(report["supervisor"], "shop");
        assert_eq!((&*report["context"], &*report["reason"]), (context, reason));
        assert_eq!(report["offender.id"], "a");
        assert_eq!(report["offender.restart"], "permanent");
        assert_eq!(report["offender.shutdown"], "5s");
        assert_eq!(report["offender.child_type"], "worker");
    };
    check(terminated, "child_terminated", "\"crash\"");
    assert_eq!(terminated["offender.pid"], pid.to_string());
    check(shutdown, "shutdown", "reached_max_restart_intensity");
}

/// LOG-02, SUP-54
#[tokio::test]
async fn failed_starts_are_reported() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = world.supervisor(OneForOne, &["a"]).await;
    world.family.luck("a", &[Luck::Fails]);
    world.crash(&sup, "a").await;
    while status(&sup, "a").await == ChildStatus::Restarting {}
    let trouble = reports.trouble();
    assert_eq!(trouble.len(), 2, "{trouble:?}");
    assert_eq!(trouble[0], "child_terminated a: \"crash\"");
    assert!(trouble[1].starts_with("start_error a: "), "{trouble:?}");
}

/// LOG-04
#[tokio::test]
async fn graceful_ends_are_silent_unless_the_child_is_permanent() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for (reason, loud) in [(ExitReason::Normal, false), (crash(), true)] {
            let child = world.family.worker("a").restart(restart);
            let sup = world
                .start(Supervisor::builder(OneForOne).child(child))
                .await;
            world.end(pid_of(&sup, "a").await, reason).await;
            sup.stop().await.unwrap();
            let expected = usize::from(loud || restart == Restart::Permanent);
            assert_eq!(reports.trouble().len(), expected, "{restart}");
        }
    }
}

/// LOG-05
#[tokio::test]
async fn starts_are_reported_louder_when_the_supervisor_makes_them() {
    let (reports, _guard) = Reports::listen();
    let world = World::new();
    let sup = world.supervisor(OneForOne, &["a"]).await;
    world.crash(&sup, "a").await;
    sup.start_child(world.family.worker("b")).await.unwrap();
    sup.terminate_child("b").await.unwrap();
    sup.restart_child("b").await.unwrap();
    let progress = reports.of_target("resurgam::progress");
    let lines: Vec<_> = progress
        .iter()
        .map(|report| format!("{} {}", report["level"], report["started.id"]))
        .collect();
    assert_eq!(lines, ["INFO a", "INFO a", "DEBUG b", "DEBUG b"]);
    let pid = pid_of(&sup, "b").await;
    assert_eq!(progress[3]["started.pid"], pid.to_string());
}

// What has gone wrong in other supervisors.

/// The child kinds, all linked and all stopped with the supervisor.
#[test]
fn every_kind_of_child_is_linked_to_its_supervisor() {
    on_every_runtime(async || {
        let world = World::new();
        let thread = ChildSpec::thread("thread", || {
            |mut ctx: ThreadContext<()>| {
                ctx.receive();
            }
        });
        let process = ChildSpec::process("process", || {
            |mut ctx: Context<()>| async move {
                ctx.receive().await;
            }
        });
        let children = [
            ChildSpec::server::<Counter>("server", 1),
            ChildSpec::server_with::<Counter, _>("server_with", || Counter::builder(2)),
            process,
            thread,
            idle("task"),
            sub(&world.family),
            ChildSpec::dynamic_supervisor("dynamic", resurgam::DynamicSupervisor::builder),
        ];
        let sup = world
            .start(Supervisor::builder(OneForOne).children(children))
            .await;
        let top = sup.pid().unwrap();
        for child in sup.which_children().await.unwrap() {
            let info = world
                .node
                .process_info(child.pid().unwrap())
                .await
                .unwrap()
                .unwrap();
            assert!(info.links.contains(&top), "{}", child.id);
            assert_eq!(info.parent, Some(top), "{}", child.id);
        }
        sup.stop().await.unwrap();
        assert_eq!(world.node.process_count(), 0);
    });
}

/// A name is free, and the old incarnation gone, when the new one starts.
#[test]
fn incarnations_never_overlap_and_names_are_free_in_time() {
    on_every_runtime(async || {
        let world = World::new();
        let named = |id: &'static str| {
            ChildSpec::server_with::<Worker, _>(id, {
                let family = world.family.clone();
                move || Worker::builder((id.to_owned(), family.clone())).name(id)
            })
        };
        let sup = world
            .start(
                Supervisor::builder(OneForAll)
                    .max_restarts(10_000)
                    .children(["a", "b", "c"].map(named)),
            )
            .await;
        for round in 0..300 {
            let pid = world
                .node
                .whereis(["a", "b", "c"][round % 3])
                .expect("it is registered");
            world.end(pid, crash()).await;
            assert_eq!(states(&sup).await, "a b c");
            for id in ["a", "b", "c"] {
                assert_eq!(world.node.whereis(id), Some(pid_of(&sup, id).await));
            }
            let heard = world.family.heard();
            assert!(!heard.contains('!'), "{heard}");
        }
    });
}

/// Two incarnations overlap where an exit signal that a living child sends is
/// taken for its death, as it is in Erlang (law TRAP-07).
#[test]
fn exit_signal_sent_by_a_living_child_is_not_its_death() {
    on_every_runtime(async || {
        let world = World::new();
        let forger = ChildSpec::process("a", || {
            |mut ctx: Context<Reply<()>>| async move {
                let supervisor = parent().await;
                while let Message::User(reply) = ctx.receive().await {
                    resurgam::exit(supervisor, crash());
                    reply.send(());
                }
            }
        });
        let forger = Supervisor::builder(OneForAll).max_restarts(0).child(forger);
        let sup = world.start(forger).await;
        let child = pid_of(&sup, "a").await;
        let process = world.node.process::<Reply<()>>(child).unwrap();
        process.call(|reply| reply).await.unwrap();
        assert_eq!(pid_of(&sup, "a").await, child);
        let fate = world.node.join(sup.pid().unwrap());
        world.node.kill(child);
        assert_gave_up(&fate.await, "a");
    });
}

/// Whoever is stopped, restarted or deleted by id is the incarnation of now.
#[test]
fn orders_by_id_reach_the_present_incarnation() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.supervisor(OneForOne, &["a", "b"]).await;
        let b = pid_of(&sup, "b").await;
        let old = pid_of(&sup, "a").await;
        world.crash(&sup, "a").await;
        let new = pid_of(&sup, "a").await;
        assert_ne!(old, new);
        let fate = world.node.join(new);
        sup.terminate_child("a").await.unwrap();
        assert_eq!(fate.await, ExitReason::Shutdown);
        assert_eq!(pid_of(&sup, "b").await, b);
    });
}

/// A hundred thousand children: the cost of adding and deleting one does not
/// grow with their number.
#[tokio::test]
async fn many_children_come_and_go() {
    let world = World::new();
    let sup = world.start(Supervisor::builder(OneForOne)).await;
    for number in 0..100_000_usize {
        let nothing = || async { Ok(Started::ignore()) };
        let child = ChildSpec::new(number.to_string(), nothing);
        sup.start_child(child).await.unwrap();
    }
    assert_eq!(sup.count_children().await.unwrap().specs, 100_000);
    for number in 0..100_000_usize {
        sup.delete_child(number.to_string()).await.unwrap();
    }
    assert_eq!(sup.count_children().await.unwrap().specs, 0);
}

/// Children that come and go leave nothing behind, links included.
#[test]
fn churn_leaves_nothing_behind() {
    on_every_runtime(async || {
        let world = World::new();
        let sup = world.start(Supervisor::builder(OneForOne)).await;
        for _ in 0..3_000 {
            let job = sup.start_child(obedient("job").temporary()).await.unwrap();
            world.end(job.pid().unwrap(), ExitReason::Normal).await;
        }
        assert_eq!(sup.count_children().await.unwrap().specs, 0);
        let info = world
            .node
            .process_info(sup.pid().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                info.links.len(),
                info.monitors.len(),
                info.message_queue_len
            ),
            (0, 0, 0)
        );
        assert_eq!(world.node.process_count(), 1);
    });
}
