//! Children that fail, and what their supervisor does.

use std::time::Duration;

use resurgam::{
    ChildSpec, Context, ExitReason, GenServer, InitError, Message, Node, ProcessRef, Reply,
    ServerContext, ServerRef, Strategy, Supervisor, SupervisorRef, exit,
};
use tokio::time::Instant;

use super::in_process;
use crate::{Crash, Tally};

/// A child fails as soon as it is started, so many times.
pub(super) async fn restarts(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let started = Tally::leak();
        let child = move |mut ctx: Context<()>| async move {
            if started.add() > count {
                ctx.receive().await;
            }
            ExitReason::custom("crash")
        };
        let began = Instant::now();
        let spec = ChildSpec::process("child", move || child);
        let supervisor = supervise(Strategy::OneForOne, [spec]).await;
        started.reached(count + 1).await;
        let took = began.elapsed();
        supervisor.stop().await.expect("the supervisor stops");
        took
    })
    .await
}

/// How long it takes from the order to crash to the first answer of the
/// server's next life, which tells the driver when it begins.
pub(super) async fn first_answer(node: &Node, count: u64, crash: Crash) -> Vec<Duration> {
    in_process(node, move |mut ctx: Context<ServerRef<Clerk>>| async move {
        let spec = ChildSpec::server::<Clerk>("clerk", ctx.self_ref());
        let supervisor = supervise(Strategy::OneForOne, [spec]).await;
        let mut clerk = first_answering(&mut ctx, 0).await;
        let mut delays = Vec::new();
        for n in 0..count {
            let began = Instant::now();
            clerk.cast(Order::Crash(crash));
            clerk = first_answering(&mut ctx, n).await;
            delays.push(began.elapsed());
        }
        supervisor.stop().await.expect("the supervisor stops");
        delays
    })
    .await
}

/// The next life of the server, once it has answered.
async fn first_answering(ctx: &mut Context<ServerRef<Clerk>>, n: u64) -> ServerRef<Clerk> {
    let Message::User(clerk) = ctx.receive().await else {
        unreachable!("nothing is linked to the driver or watched by it");
    };
    assert_eq!(clerk.call(|reply| Order::Echo(n, reply)).await, Ok(n));
    clerk
}

/// One of many children is ended, and all are started anew.
pub(super) async fn one_for_all(node: &Node, children: u64, rounds: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let begun = Tally::leak();
        let child = move |mut ctx: Context<()>| async move {
            begun.add();
            ctx.receive().await;
        };
        let specs = (0..children).map(|n| ChildSpec::process(n.to_string(), move || child));
        let supervisor = supervise(Strategy::OneForAll, specs).await;
        begun.reached(children).await;
        let mut took = Duration::ZERO;
        for round in 1..=rounds {
            let first = supervisor.which_child("0").await.expect("a first child");
            let first = first.pid().expect("a pid");
            let began = Instant::now();
            exit(first, ExitReason::custom("crash"));
            begun.reached((1 + round) * children).await;
            took += began.elapsed();
        }
        supervisor.stop().await.expect("the supervisor stops");
        took
    })
    .await
}

/// Starts a supervisor that never gives up.
async fn supervise(
    strategy: Strategy,
    children: impl IntoIterator<Item = ChildSpec>,
) -> SupervisorRef {
    let supervisor = Supervisor::builder(strategy)
        .intensity(u32::MAX, Duration::from_secs(1))
        .children(children);
    supervisor.start().await.expect("the supervisor starts")
}

struct Clerk;

enum Order {
    Echo(u64, Reply<u64>),
    Crash(Crash),
}

impl GenServer for Clerk {
    /// Who is told that it begins.
    type Args = ProcessRef<ServerRef<Self>>;
    type Message = Order;

    async fn init(client: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        client.cast(ctx.self_ref());
        Ok(Self)
    }

    async fn handle(
        &mut self,
        order: Order,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match order {
            Order::Echo(n, reply) => reply.send(n),
            Order::Crash(Crash::Error) => return Err(ExitReason::custom("crash")),
            Order::Crash(Crash::Panic) => panic!("crash"),
        }
        Ok(())
    }
}
