//! kameo: an actor is a task with a mailbox that can be unbounded; links,
//! supervision and names are its own.

use std::convert::Infallible;
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox::unbounded;
use kameo::message::{Context, Message};
use kameo::registry::ACTOR_REGISTRY;
use kameo::supervision::{RestartPolicy, SupervisionStrategy};
use resurgam_workloads::{Crash, Outcome, Tally, Workload};
use tokio::time::Instant;

use super::actors::{Address, Behaviour, Counter, Flow, Idle, Peer};
use super::on_tokio;

pub(super) enum Kameo {}

impl Peer for Kameo {
    type Address<B: Behaviour> = ActorRef<Shell<B>>;
    type Server = ActorRef<Word>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(driver)
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> ActorRef<Shell<B>> {
        Shell::spawn_with_mailbox(behaviour, unbounded())
    }

    async fn serve(_: u64, word: u64) -> ActorRef<Word> {
        Word::spawn_with_mailbox(word, unbounded())
    }

    async fn ask(server: &ActorRef<Word>, n: u64) -> u64 {
        server.ask(n).await.expect("the server answers")
    }

    async fn special(workload: Workload) -> Option<Outcome> {
        Some(match workload {
            Workload::LinksEnding { count } => links_ending(count).await.into(),
            Workload::Chain { count } => chain(count).await.into(),
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
            Workload::Register { count } => register(count).await.into(),
            _ => return None,
        })
    }
}

/// An actor around a behaviour.
pub(super) struct Shell<B>(B);

/// What an actor around a behaviour is sent.
pub(super) struct Carried<M>(M);

impl<B: Behaviour> Actor for Shell<B> {
    type Args = B;
    type Error = Infallible;

    async fn on_start(mut behaviour: B, myself: ActorRef<Self>) -> Result<Self, Infallible> {
        if behaviour.begin() == Flow::Stop {
            let stopping = myself.stop_gracefully().await;
            stopping.expect("it is there still");
        }
        Ok(Self(behaviour))
    }
}

impl<B: Behaviour> Message<Carried<B::Message>> for Shell<B> {
    type Reply = ();

    async fn handle(&mut self, message: Carried<B::Message>, ctx: &mut Context<Self, ()>) {
        if self.0.handle(message.0) == Flow::Stop {
            ctx.stop();
        }
    }
}

impl<B: Behaviour> Address<B::Message> for ActorRef<Shell<B>> {
    fn send(&self, message: B::Message) {
        drop(self.tell(Carried(message)).try_send());
    }
}

/// A server that answers.
pub(super) struct Word {
    _word: u64,
}

impl Actor for Word {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(_word: u64, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self { _word })
    }
}

impl Message<u64> for Word {
    type Reply = u64;

    async fn handle(&mut self, n: u64, _: &mut Context<Self, u64>) -> u64 {
        n
    }
}

// Links.

async fn links_ending(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let hub = Kameo::spawn(
        0,
        Counter {
            left: 1,
            done: begun,
        },
    )
    .await;
    let mut linked = Vec::new();
    for _ in 0..count {
        let idle = Idle::new(begun, ended);
        linked.push(Shell::spawn_link_with_mailbox(&hub, idle, unbounded()).await);
    }
    begun.reached(count).await;
    let began = Instant::now();
    hub.kill();
    ended.reached(count).await;
    began.elapsed()
}

async fn chain(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let mut linked = vec![Kameo::spawn(0, Idle::new(begun, ended)).await];
    for n in 1..count as usize {
        let idle = Idle::new(begun, ended);
        linked.push(Shell::spawn_link_with_mailbox(&linked[n - 1], idle, unbounded()).await);
    }
    begun.reached(count).await;
    let began = Instant::now();
    linked[0].kill();
    ended.reached(count).await;
    began.elapsed()
}

// Supervisors.

/// Restarts one child at a time.
struct OneForOne;

impl Actor for OneForOne {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// Restarts all children with the one that failed.
struct OneForAll;

impl Actor for OneForAll {
    type Args = ();
    type Error = Infallible;

    fn supervision_strategy() -> SupervisionStrategy {
        SupervisionStrategy::OneForAll
    }

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// Starts a child that is restarted however often it fails.
async fn supervise<S: Actor, C: Actor>(supervisor: &ActorRef<S>, args: C::Args) -> ActorRef<C>
where
    C::Args: Clone + Sync,
{
    C::supervise(supervisor, args)
        .restart_policy(RestartPolicy::Permanent)
        .restart_limit(u32::MAX, Duration::from_secs(1))
        .spawn_with_mailbox(unbounded())
        .await
}

/// Why a child ended.
#[derive(Debug)]
struct Failure;

/// Fails when it is told to; as soon as it is started, if it is one of the
/// first.
struct Failing;

impl Actor for Failing {
    type Args = (u64, &'static Tally);
    type Error = Infallible;

    async fn on_start(
        (count, started): Self::Args,
        myself: ActorRef<Self>,
    ) -> Result<Self, Infallible> {
        if started.add() <= count {
            myself.tell(Crash::Error).try_send().expect("a mailbox");
        }
        Ok(Self)
    }
}

impl Message<Crash> for Failing {
    type Reply = Result<(), Failure>;

    async fn handle(
        &mut self,
        crash: Crash,
        _: &mut Context<Self, Self::Reply>,
    ) -> Result<(), Failure> {
        match crash {
            Crash::Error => Err(Failure),
            Crash::Panic => panic!("crash"),
        }
    }
}

impl Message<u64> for Failing {
    type Reply = u64;

    async fn handle(&mut self, n: u64, _: &mut Context<Self, u64>) -> u64 {
        n
    }
}

async fn restarts(count: u64) -> Duration {
    let started = Tally::leak();
    let supervisor = OneForOne::spawn_with_mailbox((), unbounded());
    let began = Instant::now();
    let _child: ActorRef<Failing> = supervise(&supervisor, (count, started)).await;
    started.reached(count + 1).await;
    began.elapsed()
}

/// The mailbox outlives the crash, so the client simply asks.
async fn first_answer(count: u64, crash: Crash) -> Vec<Duration> {
    let supervisor = OneForOne::spawn_with_mailbox((), unbounded());
    let clerk: ActorRef<Failing> = supervise(&supervisor, (0, Tally::leak())).await;
    assert_eq!(clerk.ask(0).await.ok(), Some(0));
    let mut delays = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        clerk.tell(crash).try_send().expect("a mailbox");
        assert_eq!(clerk.ask(n).await.ok(), Some(n));
        delays.push(began.elapsed());
    }
    delays
}

async fn one_for_all(children: u64, rounds: u64) -> Duration {
    let begun = Tally::leak();
    let supervisor = OneForAll::spawn_with_mailbox((), unbounded());
    let mut all: Vec<ActorRef<Failing>> = Vec::new();
    for _ in 0..children {
        all.push(supervise(&supervisor, (0, begun)).await);
    }
    begun.reached(children).await;
    let began = Instant::now();
    for round in 1..=rounds {
        all[0].tell(Crash::Error).try_send().expect("a mailbox");
        begun.reached((1 + round) * children).await;
    }
    began.elapsed()
}

async fn dynamic_start(count: u64) -> Duration {
    let supervisor = OneForOne::spawn_with_mailbox((), unbounded());
    let begun = Tally::leak();
    let mut children: Vec<ActorRef<Failing>> = Vec::new();
    let began = Instant::now();
    for _ in 0..count {
        let child =
            Failing::supervise(&supervisor, (0, begun)).restart_policy(RestartPolicy::Never);
        let child = child.spawn_with_mailbox(unbounded()).await;
        child.wait_for_startup().await;
        children.push(child);
    }
    began.elapsed()
}

// Timers and names.

/// How many timers there are before they are cancelled.
const BATCH: u64 = 1_000;

async fn timer_cancelled(count: u64) -> Duration {
    let done = Tally::leak();
    let actor = Kameo::spawn(0, Counter { left: 1, done }).await;
    let hour = Duration::from_secs(3600);
    let began = Instant::now();
    for _ in 0..count / BATCH {
        let timers: Vec<_> = (0..BATCH)
            .map(|n| actor.tell(Carried(n)).send_after(hour))
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
    let actor = Kameo::spawn(0, Counter { left: count, done }).await;
    let began = Instant::now();
    for n in 0..count {
        actor.tell(Carried(n)).send_after(Duration::from_millis(1));
    }
    done.reached(1).await;
    began.elapsed()
}

/// How many names there are.
const NAMES: usize = 1_000;

fn name(n: usize) -> String {
    format!("the name of number {n}")
}

/// Registers actors with names, the first of which counts what it is sent.
async fn named(left: u64, done: &'static Tally) -> Vec<ActorRef<Shell<Counter>>> {
    let mut all = Vec::new();
    for n in 0..NAMES {
        let actor = Kameo::spawn(0, Counter { left, done }).await;
        actor.register(name(n)).expect("a free name");
        all.push(actor);
    }
    all
}

async fn look_up(threads: u64, each: u64) -> Duration {
    let done = Tally::leak();
    let _all = named(1, done).await;
    let began = Instant::now();
    for _ in 0..threads {
        tokio::spawn(async move {
            let names: Vec<_> = (0..NAMES).map(name).collect();
            for name in names.iter().cycle().take(each as usize) {
                let found = ActorRef::<Shell<Counter>>::lookup(name.as_str());
                std::hint::black_box(found.expect("the same type"));
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
    let name = name(0);
    let began = Instant::now();
    for n in 0..count {
        let receiver = ActorRef::<Shell<Counter>>::lookup(name.as_str());
        receiver.expect("the same type").expect("it lives").send(n);
    }
    done.reached(1).await;
    began.elapsed()
}

async fn register(count: u64) -> Duration {
    let done = Tally::leak();
    let all = named(1, done).await;
    let name = name(NAMES);
    let began = Instant::now();
    for _ in 0..count {
        all[0].register(name.clone()).expect("a free name");
        let mut names = ACTOR_REGISTRY.lock().expect("never poisoned");
        assert!(names.remove(name.as_str()));
    }
    began.elapsed()
}
