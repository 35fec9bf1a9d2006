//! tokio-actors: an actor is a task with a bounded mailbox, here so large that
//! it never fills; supervision after OTP, and names.

use std::time::Duration;

use resurgam_workloads::{Crash, OnEnd, Outcome, Tally, Workload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_actors::{
    Actor, ActorConfig, ActorContext, ActorError, ActorExt, ActorHandle, ActorResult, ActorSystem,
    RestartType, StopReason, SupervisionConfig,
};

use super::actors::{Address, Behaviour, Counter, Flow, Peer};
use super::on_tokio;

const STARTS: &str = "the actor starts";

/// More than any workload sends ahead.
fn roomy() -> ActorConfig {
    ActorConfig::default().with_mailbox_capacity(1 << 22)
}

pub(super) enum TokioActors {}

impl Peer for TokioActors {
    type Address<B: Behaviour> = ActorHandle<Shell<B>>;
    type Server = ActorHandle<Word>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(driver)
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> ActorHandle<Shell<B>> {
        let spawned = Shell(behaviour)
            .spawn()
            .with_config(roomy())
            .detached()
            .await;
        spawned.expect(STARTS)
    }

    async fn serve(_: u64, _word: u64) -> ActorHandle<Word> {
        let spawned = Word { _word }.spawn().with_config(roomy()).await;
        spawned.expect(STARTS)
    }

    async fn ask(server: &ActorHandle<Word>, n: u64) -> u64 {
        server.send(n).await.expect("the server answers")
    }

    async fn special(workload: Workload) -> Option<Outcome> {
        Some(match workload {
            Workload::LinksEnding { count } => links_ending(count).await.into(),
            Workload::Restarts { count } => restarts(count).await.into(),
            Workload::FirstAnswer { count, crash } => {
                Outcome::Delays(first_answer(count, crash).await)
            }
            Workload::OneForAll { children, rounds } => one_for_all(children, rounds).await.into(),
            Workload::DynamicStart { count } => dynamic_start(count).await.into(),
            Workload::TimerCancelled { .. } | Workload::TimerFired { .. } => {
                timers(workload).await.into()
            }
            Workload::LookUp { threads, each } => look_up(threads, each).await.into(),
            Workload::SendByName { count } => send_by_name(count).await.into(),
            _ => return None,
        })
    }
}

/// An actor around a behaviour.
pub(super) struct Shell<B>(B);

impl<B: Behaviour> Shell<B> {
    async fn heed(flow: Flow, ctx: &ActorContext<Self>) {
        if flow == Flow::Stop {
            let stopping = ctx.self_handle().stop(StopReason::Graceful).await;
            stopping.expect("it is there still");
        }
    }
}

impl<B: Behaviour> Actor for Shell<B> {
    type Message = B::Message;
    type Response = ();

    async fn on_started(&mut self, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        Self::heed(self.0.begin(), ctx).await;
        Ok(())
    }

    async fn handle(
        &mut self,
        message: B::Message,
        ctx: &mut ActorContext<Self>,
    ) -> ActorResult<()> {
        Self::heed(self.0.handle(message), ctx).await;
        Ok(())
    }
}

impl<B: Behaviour> Address<B::Message> for ActorHandle<Shell<B>> {
    fn send(&self, message: B::Message) {
        drop(self.try_notify(message));
    }
}

/// A server that answers.
pub(super) struct Word {
    _word: u64,
}

impl Actor for Word {
    type Message = u64;
    type Response = u64;

    async fn handle(&mut self, n: u64, _: &mut ActorContext<Self>) -> ActorResult<u64> {
        Ok(n)
    }
}

// Supervisors.

/// What a supervised child is to do.
#[derive(Clone)]
struct Plan {
    started: &'static Tally,
    ended: &'static Tally,
    /// How many lives fail as soon as they start.
    failing: u64,
    /// Who is told of each life.
    client: Option<UnboundedSender<ActorHandle<Child>>>,
}

impl Plan {
    fn idle(started: &'static Tally, ended: &'static Tally) -> Self {
        Self {
            started,
            ended,
            failing: 0,
            client: None,
        }
    }
}

struct Child {
    plan: Plan,
    _on_end: OnEnd,
}

impl Child {
    fn new(plan: Plan) -> Self {
        let _on_end = OnEnd(plan.ended);
        Self { plan, _on_end }
    }
}

enum Order {
    Echo(u64),
    Crash(Crash),
}

impl Actor for Child {
    type Message = Order;
    type Response = u64;

    async fn on_started(&mut self, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        if self.plan.started.add() <= self.plan.failing {
            let failing = ctx.self_handle().try_notify(Order::Crash(Crash::Error));
            failing.expect("it has just started");
        }
        if let Some(client) = &self.plan.client {
            client.send(ctx.self_handle()).expect("the client lives");
        }
        Ok(())
    }

    async fn handle(&mut self, order: Order, _: &mut ActorContext<Self>) -> ActorResult<u64> {
        match order {
            Order::Echo(n) => Ok(n),
            Order::Crash(Crash::Error) => Err(ActorError::user("crash")),
            Order::Crash(Crash::Panic) => panic!("crash"),
        }
    }
}

/// Starts the children it is told to.
struct Parent(RestartType);

impl Actor for Parent {
    type Message = Plan;
    type Response = ();

    async fn handle(&mut self, plan: Plan, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        let child = ctx.spawn_child(move || Child::new(plan.clone()));
        child.restart_type(self.0).await?;
        Ok(())
    }
}

async fn supervise(restart: RestartType, config: SupervisionConfig) -> ActorHandle<Parent> {
    let config = config.max_restarts(u32::MAX, Duration::from_secs(1));
    let spawned = Parent(restart).spawn().with_supervision(config).await;
    spawned.expect(STARTS)
}

async fn links_ending(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let config = SupervisionConfig::simple_one_for_one();
    let parent = supervise(RestartType::Temporary, config).await;
    for _ in 0..count {
        parent.send(Plan::idle(begun, ended)).await.expect(STARTS);
    }
    let began = Instant::now();
    let stopping = parent.stop(StopReason::Graceful).await;
    stopping.expect("it is there still");
    ended.reached(count).await;
    began.elapsed()
}

async fn restarts(failing: u64) -> Duration {
    let (started, ended) = (Tally::leak(), Tally::leak());
    let parent = supervise(RestartType::Permanent, SupervisionConfig::one_for_one()).await;
    let began = Instant::now();
    let plan = Plan {
        failing,
        ..Plan::idle(started, ended)
    };
    parent.send(plan).await.expect(STARTS);
    started.reached(failing + 1).await;
    began.elapsed()
}

async fn first_answer(count: u64, crash: Crash) -> Vec<Duration> {
    let (client, mut lives) = unbounded_channel();
    let parent = supervise(RestartType::Permanent, SupervisionConfig::one_for_one()).await;
    let plan = Plan {
        client: Some(client),
        ..Plan::idle(Tally::leak(), Tally::leak())
    };
    parent.send(plan).await.expect(STARTS);
    let mut clerk = first_answering(&mut lives, 0).await;
    let mut delays = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        clerk.try_notify(Order::Crash(crash)).expect("it lives");
        clerk = first_answering(&mut lives, n).await;
        delays.push(began.elapsed());
    }
    delays
}

/// The next life of the child, once it has answered.
async fn first_answering(
    lives: &mut UnboundedReceiver<ActorHandle<Child>>,
    n: u64,
) -> ActorHandle<Child> {
    let clerk = lives.recv().await.expect("the supervisor lives");
    assert_eq!(clerk.send(Order::Echo(n)).await.ok(), Some(n));
    clerk
}

async fn one_for_all(children: u64, rounds: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let (client, mut lives) = unbounded_channel();
    let parent = supervise(RestartType::Permanent, SupervisionConfig::one_for_all()).await;
    let mut client = Some(client);
    for _ in 0..children {
        let client = client.take();
        let plan = Plan {
            client,
            ..Plan::idle(begun, ended)
        };
        parent.send(plan).await.expect(STARTS);
    }
    let mut took = Duration::ZERO;
    for round in 1..=rounds {
        let first = lives.recv().await.expect("the supervisor lives");
        let began = Instant::now();
        first
            .try_notify(Order::Crash(Crash::Error))
            .expect("it lives");
        begun.reached((1 + round) * children).await;
        took += began.elapsed();
    }
    took
}

async fn dynamic_start(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let config = SupervisionConfig::simple_one_for_one();
    let parent = supervise(RestartType::Temporary, config).await;
    let began = Instant::now();
    for _ in 0..count {
        parent.send(Plan::idle(begun, ended)).await.expect(STARTS);
    }
    began.elapsed()
}

// Timers: an actor's own.

/// How many timers there are before they are cancelled.
const BATCH: u64 = 1_000;

struct Clock {
    left: u64,
    done: &'static Tally,
}

enum Tick {
    Begin(Workload),
    Tick,
}

impl Actor for Clock {
    type Message = Tick;
    type Response = ();

    async fn handle(&mut self, tick: Tick, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        match tick {
            Tick::Begin(Workload::TimerCancelled { count }) => {
                for _ in 0..count / BATCH {
                    cancel_batch(ctx).await?;
                }
                self.done.add();
            }
            Tick::Begin(workload) => {
                self.left = workload.operations();
                for _ in 0..self.left {
                    let soon = Duration::from_millis(1);
                    ctx.schedule(Tick::Tick).after(soon).await?;
                }
            }
            Tick::Tick => {
                self.left -= 1;
                if self.left == 0 {
                    self.done.add();
                }
            }
        }
        Ok(())
    }
}

async fn cancel_batch(ctx: &mut ActorContext<Clock>) -> ActorResult<()> {
    let mut timers = Vec::new();
    for _ in 0..BATCH {
        let hour = Duration::from_secs(3600);
        timers.push(ctx.schedule(Tick::Tick).after(hour).await?);
    }
    for timer in timers {
        ctx.cancel_timer(timer)?;
    }
    tokio::task::yield_now().await;
    Ok(())
}

async fn timers(workload: Workload) -> Duration {
    let done = Tally::leak();
    let clock = Clock { left: 0, done }.spawn().with_config(roomy()).await;
    let clock = clock.expect(STARTS);
    let began = Instant::now();
    clock.try_notify(Tick::Begin(workload)).expect("it lives");
    done.reached(1).await;
    began.elapsed()
}

// Names.

/// How many names there are.
const NAMES: usize = 1_000;

fn name(n: usize) -> String {
    format!("the name of number {n}")
}

/// Makes actors with names; they stay as long as what is returned.
async fn named(left: u64, done: &'static Tally) -> Vec<ActorHandle<Shell<Counter>>> {
    let mut all = Vec::new();
    for n in 0..NAMES {
        let actor = Shell(Counter { left, done }).spawn().named(name(n));
        all.push(actor.with_config(roomy()).await.expect(STARTS));
    }
    all
}

async fn look_up(threads: u64, each: u64) -> Duration {
    let done = Tally::leak();
    let _all = named(1, done).await;
    let began = Instant::now();
    for _ in 0..threads {
        tokio::spawn(async move {
            let system = ActorSystem::default();
            let names: Vec<_> = (0..NAMES).map(name).collect();
            for name in names.iter().cycle().take(each as usize) {
                std::hint::black_box(system.get::<Shell<Counter>>(name));
            }
            done.add();
        });
    }
    done.reached(threads).await;
    began.elapsed()
}

async fn send_by_name(count: u64) -> Duration {
    let done = Tally::leak();
    let _all = named(count, done).await;
    let (system, name) = (ActorSystem::default(), name(0));
    let began = Instant::now();
    for n in 0..count {
        let receiver = system.get::<Shell<Counter>>(&name);
        Address::send(&receiver.expect("it lives"), n);
    }
    done.reached(1).await;
    began.elapsed()
}
