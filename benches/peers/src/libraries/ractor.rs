//! ractor: an actor is a task; each has at most one supervisor, which is told
//! of its end and takes its children along. It brings no restart strategies, so
//! the supervisors here are written by hand.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::{
    Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call, registry,
};
use resurgam_workloads::{Crash, Outcome, Tally, Workload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::actors::{Address, Behaviour, Counter, Flow, Idle, Peer};
use super::on_tokio;

const STARTS: &str = "the actor starts";

pub(super) enum Ractor {}

impl Peer for Ractor {
    type Address<B: Behaviour> = ActorRef<B::Message>;
    type Server = ActorRef<Ask>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(driver)
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> ActorRef<B::Message> {
        let spawned = Actor::spawn(None, Shell(PhantomData), behaviour).await;
        spawned.expect(STARTS).0
    }

    async fn serve(_: u64, word: u64) -> ActorRef<Ask> {
        Actor::spawn(None, Word, word).await.expect(STARTS).0
    }

    async fn ask(server: &ActorRef<Ask>, n: u64) -> u64 {
        call!(server, |reply| Ask(n, reply)).expect("the server answers")
    }

    async fn special(workload: Workload) -> Option<Outcome> {
        Some(match workload {
            Workload::LinksEnding { count } => links_ending(count).await.into(),
            Workload::Chain { count } => chain(count).await.into(),
            Workload::MonitorsOnOne { count } => monitors_on_one(count).await.into(),
            Workload::MonitorsByOne { count } => monitors_by_one(count).await.into(),
            Workload::Restarts { count } => restarts(count).await.into(),
            Workload::FirstAnswer { count, crash } => {
                Outcome::Delays(first_answer(count, crash).await)
            }
            Workload::OneForAll { children, rounds } => one_for_all(children, rounds).await.into(),
            Workload::DynamicStart { count } => dynamic_start(count).await.into(),
            Workload::TimerCancelled { count } => timer_cancelled(count).await.into(),
            Workload::TimerFired { count } => timer_fired(count).await.into(),
            Workload::LookUp { threads, each } => look_up(threads, each).await.into(),
            Workload::SendByName { count } => send_by_name(count).await.into(),
            _ => return None,
        })
    }
}

impl<M: Send + 'static> Address<M> for ActorRef<M> {
    fn send(&self, message: M) {
        drop(self.cast(message));
    }
}

/// An actor around a behaviour.
struct Shell<B>(PhantomData<fn() -> B>);

impl<B: Behaviour> Actor for Shell<B> {
    type Msg = B::Message;
    type State = B;
    type Arguments = B;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, b: B) -> Result<B, ActorProcessingErr> {
        Ok(b)
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        behaviour: &mut B,
    ) -> Result<(), ActorProcessingErr> {
        if behaviour.begin() == Flow::Stop {
            myself.stop(None);
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        behaviour: &mut B,
    ) -> Result<(), ActorProcessingErr> {
        if behaviour.handle(message) == Flow::Stop {
            myself.stop(None);
        }
        Ok(())
    }
}

struct Word;

pub(super) struct Ask(u64, RpcReplyPort<u64>);

impl Actor for Word {
    type Msg = Ask;
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Ask>, word: u64) -> Result<u64, ActorProcessingErr> {
        Ok(word)
    }

    async fn handle(
        &self,
        _: ActorRef<Ask>,
        Ask(n, reply): Ask,
        _: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        Ok(reply.send(n)?)
    }
}

// Links and monitors.

async fn links_ending(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let hub = Ractor::spawn(
        0,
        Counter {
            left: 1,
            done: begun,
        },
    )
    .await;
    for _ in 0..count {
        idle(hub.get_cell(), begun, ended).await;
    }
    begun.reached(count).await;
    let began = Instant::now();
    hub.stop(None);
    ended.reached(count).await;
    began.elapsed()
}

async fn chain(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let first = Ractor::spawn(0, Idle::new(begun, ended)).await;
    let mut last = first.get_cell();
    for _ in 1..count {
        last = idle(last, begun, ended).await;
    }
    begun.reached(count).await;
    let began = Instant::now();
    first.stop(None);
    ended.reached(count).await;
    began.elapsed()
}

/// Makes an actor that waits, a child of another.
async fn idle(parent: ActorCell, begun: &'static Tally, ended: &'static Tally) -> ActorCell {
    let idle = Idle::new(begun, ended);
    let spawned = Actor::spawn_linked(None, Shell(PhantomData), idle, parent).await;
    spawned.expect(STARTS).0.get_cell()
}

/// Counts the ends that it is told of.
struct Watcher;

impl Actor for Watcher {
    type Msg = ();
    type State = &'static Tally;
    type Arguments = &'static Tally;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        told: &'static Tally,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(told)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        told: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(..) = event {
            told.add();
        }
        Ok(())
    }
}

async fn monitors_on_one(count: u64) -> Duration {
    let told = Tally::leak();
    let watched = Ractor::spawn(
        0,
        Counter {
            left: 1,
            done: told,
        },
    )
    .await;
    for _ in 0..count {
        let (watcher, _) = Actor::spawn(None, Watcher, told).await.expect(STARTS);
        watcher.get_cell().monitor(watched.get_cell());
    }
    let began = Instant::now();
    watched.stop(None);
    told.reached(count).await;
    began.elapsed()
}

async fn monitors_by_one(count: u64) -> Duration {
    let (begun, ended, told) = (Tally::leak(), Tally::leak(), Tally::leak());
    let (watcher, _) = Actor::spawn(None, Watcher, told).await.expect(STARTS);
    let mut all = Vec::new();
    for _ in 0..count {
        let watched = Ractor::spawn(0, Idle::new(begun, ended)).await;
        watcher.get_cell().monitor(watched.get_cell());
        all.push(watched);
    }
    let began = Instant::now();
    for watched in &all {
        watched.send(());
    }
    told.reached(count).await;
    began.elapsed()
}

// Supervisors.

/// Starts a child of this supervisor.
type Start = Arc<dyn Fn(ActorCell) -> BoxFuture<'static, ActorCell> + Send + Sync>;

/// Starts a child anew when it fails.
struct OneForOne;

impl Actor for OneForOne {
    type Msg = ();
    type State = Start;
    type Arguments = Start;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        start: Start,
    ) -> Result<Start, ActorProcessingErr> {
        start(myself.get_cell()).await;
        Ok(start)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        start: &mut Start,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            start(myself.get_cell()).await;
        }
        Ok(())
    }
}

async fn supervise(start: Start) {
    Actor::spawn(None, OneForOne, start).await.expect(STARTS);
}

/// Fails as soon as it is started, so many times.
struct Failing(u64);

impl Actor for Failing {
    type Msg = ();
    type State = ();
    type Arguments = &'static Tally;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        started: &'static Tally,
    ) -> Result<(), ActorProcessingErr> {
        if started.add() <= self.0 {
            return Ok(());
        }
        std::future::pending().await
    }

    async fn post_start(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("crash".into())
    }
}

async fn restarts(count: u64) -> Duration {
    let started = Tally::leak();
    let start: Start = Arc::new(move |parent| {
        Box::pin(async move {
            let spawned = Actor::spawn_linked(None, Failing(count), started, parent).await;
            spawned.expect(STARTS).0.get_cell()
        })
    });
    let began = Instant::now();
    supervise(start).await;
    started.reached(count + 1).await;
    began.elapsed()
}

struct Clerk;

enum Order {
    Echo(u64, RpcReplyPort<u64>),
    Crash(Crash),
}

impl Actor for Clerk {
    type Msg = Order;
    type State = ();
    type Arguments = UnboundedSender<ActorRef<Order>>;

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        client: Self::Arguments,
    ) -> Result<(), ActorProcessingErr> {
        Ok(client.send(myself)?)
    }

    async fn handle(
        &self,
        _: ActorRef<Order>,
        order: Order,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Echo(n, reply) => Ok(reply.send(n)?),
            Order::Crash(Crash::Error) => Err("crash".into()),
            Order::Crash(Crash::Panic) => panic!("crash"),
        }
    }
}

async fn first_answer(count: u64, crash: Crash) -> Vec<Duration> {
    let (client, mut lives) = unbounded_channel();
    supervise(Arc::new(move |parent| {
        let client = client.clone();
        Box::pin(async move {
            let spawned = Actor::spawn_linked(None, Clerk, client, parent).await;
            spawned.expect(STARTS).0.get_cell()
        })
    }))
    .await;
    let mut clerk = first_answering(&mut lives, 0).await;
    let mut delays = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        clerk.send(Order::Crash(crash));
        clerk = first_answering(&mut lives, n).await;
        delays.push(began.elapsed());
    }
    delays
}

/// The next life of the clerk, once it has answered.
async fn first_answering(
    lives: &mut UnboundedReceiver<ActorRef<Order>>,
    n: u64,
) -> ActorRef<Order> {
    let clerk = lives.recv().await.expect("the supervisor lives");
    let answer = call!(clerk, |reply| Order::Echo(n, reply));
    assert_eq!(answer.expect("the clerk answers"), n);
    clerk
}

/// Stops all its children when one fails, and starts all anew.
struct OneForAll(u64);

struct Children {
    start: Start,
    present: Vec<ActorCell>,
}

impl Children {
    async fn start(&mut self, supervisor: &ActorRef<()>, count: u64) {
        for _ in 0..count {
            let child = (self.start)(supervisor.get_cell()).await;
            self.present.push(child);
        }
    }

    async fn stop(&mut self) {
        for child in self.present.drain(..).rev() {
            // One has ended already.
            drop(child.stop_and_wait(None, None).await);
        }
    }
}

impl Actor for OneForAll {
    type Msg = ();
    type State = Children;
    type Arguments = Start;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        start: Start,
    ) -> Result<Children, ActorProcessingErr> {
        let present = Vec::new();
        let mut children = Children { start, present };
        children.start(&myself, self.0).await;
        Ok(children)
    }

    /// Tells the first to fail.
    async fn handle(
        &self,
        _: ActorRef<()>,
        (): (),
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        Ok(children.present[0].send_message(())?)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            children.stop().await;
            children.start(&myself, self.0).await;
        }
        Ok(())
    }
}

/// Fails when it is told to.
struct Fragile;

impl Actor for Fragile {
    type Msg = ();
    type State = ();
    type Arguments = &'static Tally;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        begun: &'static Tally,
    ) -> Result<(), ActorProcessingErr> {
        begun.add();
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("crash".into())
    }
}

async fn one_for_all(children: u64, rounds: u64) -> Duration {
    let begun = Tally::leak();
    let start: Start = Arc::new(move |parent| {
        Box::pin(async move {
            let spawned = Actor::spawn_linked(None, Fragile, begun, parent).await;
            spawned.expect(STARTS).0.get_cell()
        })
    });
    let supervisor = Actor::spawn(None, OneForAll(children), start).await;
    let (supervisor, _) = supervisor.expect(STARTS);
    let began = Instant::now();
    for round in 1..=rounds {
        supervisor.send(());
        begun.reached((1 + round) * children).await;
    }
    began.elapsed()
}

/// Starts children for others.
struct Nursery;

struct Request(RpcReplyPort<ActorCell>);

impl Actor for Nursery {
    type Msg = Request;
    type State = &'static Tally;
    type Arguments = &'static Tally;

    async fn pre_start(
        &self,
        _: ActorRef<Request>,
        tally: &'static Tally,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(
        &self,
        myself: ActorRef<Request>,
        Request(reply): Request,
        tally: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let child = idle(myself.get_cell(), tally, tally).await;
        Ok(reply.send(child)?)
    }
}

async fn dynamic_start(count: u64) -> Duration {
    let nursery = Actor::spawn(None, Nursery, Tally::leak()).await;
    let (nursery, _) = nursery.expect(STARTS);
    let mut children = Vec::new();
    let began = Instant::now();
    for _ in 0..count {
        children.push(call!(nursery, Request).expect("the supervisor answers"));
    }
    began.elapsed()
}

// Timers and names.

/// How many timers there are before they are cancelled.
const BATCH: u64 = 1_000;

async fn timer_cancelled(count: u64) -> Duration {
    let done = Tally::leak();
    let actor = Ractor::spawn(0, Counter { left: 1, done }).await;
    let hour = Duration::from_secs(3600);
    let began = Instant::now();
    for _ in 0..count / BATCH {
        let timers: Vec<_> = (0..BATCH)
            .map(|n| actor.send_after(hour, move || n))
            .collect();
        for timer in timers {
            timer.abort();
        }
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

async fn timer_fired(count: u64) -> Duration {
    let done = Tally::leak();
    let actor = Ractor::spawn(0, Counter { left: count, done }).await;
    let began = Instant::now();
    for n in 0..count {
        actor.send_after(Duration::from_millis(1), move || n);
    }
    done.reached(1).await;
    began.elapsed()
}

/// How many names there are.
const NAMES: usize = 1_000;

fn name(n: usize) -> String {
    format!("the name of number {n}")
}

async fn spawn_named(n: usize, left: u64, done: &'static Tally) -> ActorRef<u64> {
    let counter = Counter { left, done };
    let spawned = Actor::spawn(Some(name(n)), Shell(PhantomData), counter).await;
    spawned.expect(STARTS).0
}

async fn look_up(threads: u64, each: u64) -> Duration {
    let done = Tally::leak();
    for n in 0..NAMES {
        spawn_named(n, 1, done).await;
    }
    let began = Instant::now();
    for _ in 0..threads {
        tokio::spawn(async move {
            let names: Vec<_> = (0..NAMES).map(name).collect();
            for name in names.iter().cycle().take(each as usize) {
                std::hint::black_box(registry::where_is(name.as_str()));
            }
            done.add();
        });
    }
    done.reached(threads).await;
    began.elapsed()
}

async fn send_by_name(count: u64) -> Duration {
    let (done, never) = (Tally::leak(), Tally::leak());
    for n in 1..NAMES {
        spawn_named(n, 1, never).await;
    }
    spawn_named(0, count, done).await;
    let name = name(0);
    let began = Instant::now();
    for n in 0..count {
        let receiver = registry::where_is(name.as_str()).expect("it lives");
        receiver.send_message(n).expect("it takes numbers");
    }
    done.reached(1).await;
    began.elapsed()
}
