//! What stands in for supervisors: loops that spawn again what has ended.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::{Crash, Tally};

/// What a task ends with that fails.
struct Failure;

/// A task fails as soon as it is spawned, so many times.
pub(super) async fn restarts(count: u64) -> Duration {
    in_task(async move {
        let started = Tally::leak();
        let began = Instant::now();
        let supervisor = tokio::spawn(async move {
            loop {
                let (_sender, mut messages) = mpsc::unbounded_channel::<()>();
                let child = tokio::spawn(async move {
                    if started.add() > count {
                        messages.recv().await;
                    }
                    Failure
                });
                drop(child.await);
            }
        });
        started.reached(count + 1).await;
        supervisor.abort();
        began.elapsed()
    })
    .await
}

/// How long it takes from the order to crash to the first answer of the
/// server's next life, which the driver is told of.
pub(super) async fn first_answer(count: u64, crash: Crash) -> Vec<Duration> {
    in_task(async move {
        let (client, mut lives) = mpsc::unbounded_channel();
        let supervisor = tokio::spawn(supervise(client));
        let mut clerk = first_answering(&mut lives, 0).await;
        let mut delays = Vec::new();
        for n in 0..count {
            let began = Instant::now();
            clerk.send(Order::Crash(crash)).expect(OPEN);
            clerk = first_answering(&mut lives, n).await;
            delays.push(began.elapsed());
        }
        supervisor.abort();
        delays
    })
    .await
}

/// What a life of the server is reached by.
type Clerk = mpsc::UnboundedSender<Order>;

enum Order {
    Echo(u64, oneshot::Sender<u64>),
    Crash(Crash),
}

async fn supervise(client: mpsc::UnboundedSender<Clerk>) {
    loop {
        let (clerk, orders) = mpsc::unbounded_channel();
        let child = tokio::spawn(serve(orders));
        client.send(clerk).expect(OPEN);
        drop(child.await);
    }
}

async fn serve(mut orders: mpsc::UnboundedReceiver<Order>) -> Result<(), Failure> {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Echo(n, reply) => reply.send(n).expect("the caller waits"),
            Order::Crash(Crash::Error) => return Err(Failure),
            Order::Crash(Crash::Panic) => panic!("crash"),
        }
    }
    Ok(())
}

/// The next life of the server, once it has answered.
async fn first_answering(lives: &mut mpsc::UnboundedReceiver<Clerk>, n: u64) -> Clerk {
    let clerk = lives.recv().await.expect("the supervisor lives");
    let (reply, answer) = oneshot::channel();
    clerk.send(Order::Echo(n, reply)).expect(OPEN);
    assert_eq!(answer.await, Ok(n));
    clerk
}

/// One of many tasks fails, and all are stopped and spawned anew.
pub(super) async fn one_for_all(children: u64, rounds: u64) -> Duration {
    in_task(async move {
        let begun = Tally::leak();
        let (order, mut orders) = mpsc::unbounded_channel::<()>();
        let supervisor = tokio::spawn(async move {
            let mut group = Group::start(children, begun);
            while orders.recv().await.is_some() {
                group.fail().await;
                group = Group::start(children, begun);
            }
        });
        begun.reached(children).await;
        let mut took = Duration::ZERO;
        for round in 1..=rounds {
            let began = Instant::now();
            order.send(()).expect("the supervisor lives");
            begun.reached((1 + round) * children).await;
            took += began.elapsed();
        }
        drop(order);
        supervisor.await.expect("the supervisor does its work");
        took
    })
    .await
}

/// Tasks that each wait for the order to fail.
struct Group {
    tasks: JoinSet<Failure>,
    orders: Vec<mpsc::UnboundedSender<()>>,
}

impl Group {
    fn start(children: u64, begun: &'static Tally) -> Self {
        let mut tasks = JoinSet::new();
        let orders = (0..children).map(|_| {
            let (order, mut ordered) = mpsc::unbounded_channel();
            tasks.spawn(async move {
                begun.add();
                ordered.recv().await;
                Failure
            });
            order
        });
        let orders = orders.collect();
        Self { tasks, orders }
    }

    /// Lets the first fail, and stops the others when it has.
    async fn fail(&mut self) {
        self.orders[0].send(()).expect("the first child lives");
        self.tasks.join_next().await;
        self.tasks.shutdown().await;
    }
}
