//! hydra: processes after Erlang's, each a task with a channel; links, monitors,
//! gen_servers, supervisors, timers and names.

use std::marker::PhantomData;
use std::time::Duration;

use hydra::{
    ChildSpec, ExitReason, From, GenServer, GenServerOptions, Message, Pid, Process, Receivable,
    Restart, SupervisionStrategy, Supervisor, SupervisorOptions,
};
use resurgam_workloads::{Crash, OnEnd, Outcome, Tally, Workload};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actors::{Address, Behaviour, Counter, Flow, Peer};
use super::on_tokio;

pub(super) enum Hydra {}

impl Peer for Hydra {
    type Address<B: Behaviour> = To<B::Message>;
    type Server = Pid;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(async {
            let (tell, told) = oneshot::channel();
            Process::spawn(async move {
                found().await;
                drop(tell.send(driver.await));
            });
            told.await.expect("the driver does its work")
        })
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        Process::spawn(async move {
            found().await;
            future.await;
        });
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> To<B::Message> {
        To(Process::spawn(run(behaviour)), PhantomData)
    }

    async fn serve(_: u64, _word: u64) -> Pid {
        let server = Word { _word }.start(GenServerOptions::new()).await;
        server.expect("the server starts")
    }

    async fn ask(&server: &Pid, n: u64) -> u64 {
        let Ok(answer) = Word::call(server, n, None).await else {
            panic!("the server answers");
        };
        answer
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
            Workload::Register { count } => register(count).await.into(),
            _ => return None,
        })
    }
}

/// A process that takes messages of one type.
pub(super) struct To<M>(Pid, PhantomData<fn(M)>);

impl<M> Clone for To<M> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<M: Receivable> Address<M> for To<M> {
    fn send(&self, message: M) {
        Process::send(self.0, message);
    }
}

/// Waits until this process can be found: it can run before that, and what is
/// sent to it meanwhile is lost.
async fn found() {
    while !Process::alive(Process::current()) {
        tokio::task::yield_now().await;
    }
}

/// A process around a behaviour.
async fn run<B: Behaviour>(mut behaviour: B) {
    let mut flow = behaviour.begin();
    while flow == Flow::Continue {
        if let Message::User(message) = Process::receive().await {
            flow = behaviour.handle(message);
        }
    }
}

/// A server that answers.
struct Word {
    _word: u64,
}

impl GenServer for Word {
    type Message = u64;

    async fn init(&mut self) -> Result<(), ExitReason> {
        Ok(())
    }

    async fn handle_call(&mut self, n: u64, _: From) -> Result<Option<u64>, ExitReason> {
        Ok(Some(n))
    }
}

// Links and monitors.

/// Waits for a message that does not come.
async fn wait(begun: &'static Tally, ended: &'static Tally) {
    let _on_end = OnEnd(ended);
    begun.add();
    drop(Process::receive::<()>().await);
}

async fn links_ending(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let hub = Process::spawn(async move {
        for _ in 0..count {
            Process::spawn_link(wait(begun, ended));
        }
        drop(Process::receive::<()>().await);
    });
    begun.reached(count).await;
    let began = Instant::now();
    Process::exit(hub, "shutdown");
    ended.reached(count).await;
    began.elapsed()
}

async fn chain(count: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let first = Process::spawn(wait(begun, ended));
    let mut last = first;
    for _ in 1..count {
        last = Process::spawn(async move {
            Process::link(last);
            wait(begun, ended).await;
        });
    }
    begun.reached(count).await;
    let began = Instant::now();
    Process::exit(first, "shutdown");
    ended.reached(count).await;
    began.elapsed()
}

async fn monitors_on_one(count: u64) -> Duration {
    let (begun, told) = (Tally::leak(), Tally::leak());
    let watched = Process::spawn(wait(Tally::leak(), Tally::leak()));
    for _ in 0..count {
        Process::spawn(async move {
            Process::monitor(watched);
            begun.add();
            if let Message::System(_) = Process::receive::<()>().await {
                told.add();
            }
        });
    }
    begun.reached(count).await;
    let began = Instant::now();
    Process::send(watched, ());
    told.reached(count).await;
    began.elapsed()
}

async fn monitors_by_one(count: u64) -> Duration {
    let begun = Tally::leak();
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(Process::spawn_monitor(wait(begun, Tally::leak())).0);
    }
    begun.reached(count).await;
    let began = Instant::now();
    for watched in all {
        Process::send(watched, ());
    }
    for _ in 0..count {
        drop(Process::receive::<()>().await);
    }
    began.elapsed()
}

// Supervisors.

async fn supervise(supervisor: Supervisor) -> Pid {
    let supervisor = supervisor
        .max_restarts(usize::MAX)
        .max_duration(Duration::from_secs(1));
    let started = supervisor.start(SupervisorOptions::new()).await;
    started.expect("the supervisor starts")
}

async fn restarts(count: u64) -> Duration {
    let started = Tally::leak();
    let spec = ChildSpec::new("child").start(move || async move {
        Ok(Process::spawn_link(async move {
            if started.add() <= count {
                found().await;
                Process::exit(Process::current(), "crash");
            }
            drop(Process::receive::<()>().await);
        }))
    });
    let began = Instant::now();
    supervise(Supervisor::with_children([spec])).await;
    started.reached(count + 1).await;
    began.elapsed()
}

#[derive(Clone)]
struct Clerk(UnboundedSender<Pid>);

#[derive(Serialize, Deserialize)]
enum Order {
    Echo(u64),
    Fail,
    Panic,
}

impl GenServer for Clerk {
    type Message = Order;

    async fn init(&mut self) -> Result<(), ExitReason> {
        found().await;
        self.0.send(Process::current()).expect("the client lives");
        Ok(())
    }

    async fn handle_call(&mut self, order: Order, _: From) -> Result<Option<Order>, ExitReason> {
        Ok(Some(order))
    }

    async fn handle_cast(&mut self, order: Order) -> Result<(), ExitReason> {
        match order {
            Order::Echo(_) => Ok(()),
            Order::Fail => Err("crash".into()),
            Order::Panic => panic!("crash"),
        }
    }
}

async fn first_answer(count: u64, crash: Crash) -> Vec<Duration> {
    let (client, mut lives) = unbounded_channel();
    let clerk = Clerk(client);
    let spec =
        ChildSpec::new("clerk").start(move || clerk.clone().start_link(GenServerOptions::new()));
    supervise(Supervisor::with_children([spec])).await;
    let mut clerk = first_answering(&mut lives, 0).await;
    let mut delays = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        let order = match crash {
            Crash::Error => Order::Fail,
            Crash::Panic => Order::Panic,
        };
        Clerk::cast(clerk, order);
        clerk = first_answering(&mut lives, n).await;
        delays.push(began.elapsed());
    }
    delays
}

/// The next life of the clerk, once it has answered.
async fn first_answering(lives: &mut UnboundedReceiver<Pid>, n: u64) -> Pid {
    let clerk = lives.recv().await.expect("the supervisor lives");
    let answer = Clerk::call(clerk, Order::Echo(n), None).await;
    assert!(matches!(answer, Ok(Order::Echo(m)) if m == n));
    clerk
}

async fn one_for_all(children: u64, rounds: u64) -> Duration {
    let (begun, ended) = (Tally::leak(), Tally::leak());
    let (client, mut lives) = unbounded_channel();
    let specs = (0..children).map(move |n| {
        let client = client.clone();
        ChildSpec::new(n.to_string()).start(move || {
            let child = Process::spawn_link(wait(begun, ended));
            if n == 0 {
                client.send(child).expect("the client lives");
            }
            async move { Ok(child) }
        })
    });
    let supervisor = Supervisor::with_children(specs);
    supervise(supervisor.strategy(SupervisionStrategy::OneForAll)).await;
    let mut took = Duration::ZERO;
    for round in 1..=rounds {
        let first = lives.recv().await.expect("the supervisor lives");
        let began = Instant::now();
        Process::exit(first, "crash");
        begun.reached((1 + round) * children).await;
        took += began.elapsed();
    }
    took
}

async fn dynamic_start(count: u64) -> Duration {
    let tally = Tally::leak();
    let supervisor = supervise(Supervisor::new()).await;
    let began = Instant::now();
    for n in 0..count {
        let spec = ChildSpec::new(n.to_string())
            .start(move || async move { Ok(Process::spawn_link(wait(tally, tally))) })
            .restart(Restart::Temporary);
        let started = Supervisor::start_child(supervisor, spec).await;
        assert!(started.is_ok(), "the child starts");
    }
    began.elapsed()
}

// Timers and names.

/// How many timers there are before they are cancelled.
const BATCH: u64 = 1_000;

async fn timer_cancelled(count: u64) -> Duration {
    let (me, hour) = (Process::current(), Duration::from_secs(3600));
    let began = Instant::now();
    for _ in 0..count / BATCH {
        let timers: Vec<_> = (0..BATCH)
            .map(|n| Process::send_after(me, n, hour))
            .collect();
        for timer in timers {
            Process::cancel_timer(timer);
        }
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

async fn timer_fired(count: u64) -> Duration {
    let began = Instant::now();
    for n in 0..count {
        Process::send_after(Process::current(), n, Duration::from_millis(1));
    }
    for _ in 0..count {
        drop(Process::receive::<u64>().await);
    }
    began.elapsed()
}

/// How many names there are.
const NAMES: usize = 1_000;

fn name(n: usize) -> String {
    format!("the name of number {n}")
}

async fn spawn_named(n: usize, left: u64, done: &'static Tally) -> Pid {
    let To(pid, _) = Hydra::spawn(0, Counter { left, done }).await;
    Process::register(pid, name(n)).expect("a free name");
    pid
}

async fn look_up(threads: u64, each: u64) -> Duration {
    let done = Tally::leak();
    for n in 0..NAMES {
        spawn_named(n, 1, done).await;
    }
    let began = Instant::now();
    for _ in 0..threads {
        Process::spawn(async move {
            let names: Vec<_> = (0..NAMES).map(name).collect();
            for name in names.iter().cycle().take(each as usize) {
                std::hint::black_box(Process::whereis(name));
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
    // A name is a constant, or a string that is made anew.
    let name: &'static str = name(0).leak();
    let began = Instant::now();
    for n in 0..count {
        Process::send(name, n);
    }
    done.reached(1).await;
    began.elapsed()
}

async fn register(count: u64) -> Duration {
    let never = Tally::leak();
    for n in 1..NAMES {
        spawn_named(n, 1, never).await;
    }
    let (me, name) = (Process::current(), name(0));
    let began = Instant::now();
    for _ in 0..count {
        Process::register(me, name.clone()).expect("a free name");
        Process::unregister(&name);
    }
    began.elapsed()
}
