//! Making processes, and what they occupy.

use std::time::Duration;

use resurgam::{
    Context, ExitReason, GenServer, InitError, Node, ProcessRef, Reply, ServerContext, ServerRef,
};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::{OnEnd, Tally, grown, resident};

/// How many are spawned before they are waited for.
const BURST: u64 = 10_000;

/// How many are made at a time where memory is looked at, so that the run
/// queues stay short.
const BATCH: u64 = 1_000;

/// Spawn, run, end.
pub(super) async fn spawn(node: &Node, count: u64) -> Duration {
    in_process(node, move |ctx: Context<()>| async move {
        let (node, ended) = (ctx.node(), Tally::leak());
        let began = Instant::now();
        for n in 1..=count {
            let process = node.spawn(move |_: Context<()>| async move {
                ended.add();
            });
            process.expect(ROOM);
            if n % BURST == 0 || n == count {
                ended.reached(n).await;
            }
        }
        began.elapsed()
    })
    .await
}

/// Spawns processes until all wait for a message.
pub(super) async fn spawn_idle(node: &Node, count: u64) -> Duration {
    in_process(node, move |ctx: Context<()>| async move {
        let (node, crowd) = (ctx.node(), Crowd::new());
        let began = Instant::now();
        let processes: Vec<_> = (0..count).map(|_| crowd.spawn(&node)).collect();
        crowd.begun.reached(count).await;
        let took = began.elapsed();
        crowd.end(&processes).await;
        took
    })
    .await
}

/// The bytes of processes that wait for a message.
pub(super) async fn idle(node: &Node, count: u64) -> u64 {
    in_process(node, move |ctx: Context<()>| async move {
        let (node, crowd) = (ctx.node(), Crowd::new());
        let mut processes = Vec::with_capacity(count as usize);
        let before = resident();
        for n in 1..=count {
            processes.push(crowd.spawn(&node));
            if n % BATCH == 0 || n == count {
                crowd.begun.reached(n).await;
            }
        }
        let grown = grown(before, &processes);
        crowd.end(&processes).await;
        grown
    })
    .await
}

/// Processes that wait for one message.
#[derive(Copy, Clone)]
struct Crowd {
    begun: &'static Tally,
    ended: &'static Tally,
}

impl Crowd {
    fn new() -> Self {
        let (begun, ended) = (Tally::leak(), Tally::leak());
        Self { begun, ended }
    }

    fn spawn(self, node: &Node) -> ProcessRef<()> {
        let process = node.spawn(move |mut ctx: Context<()>| async move {
            let _on_end = OnEnd(self.ended);
            self.begun.add();
            ctx.receive().await;
        });
        process.expect(ROOM)
    }

    async fn end(self, processes: &[ProcessRef<()>]) {
        for process in processes {
            process.cast(());
        }
        self.ended.reached(processes.len() as u64).await;
    }
}

/// The bytes of servers with a word of state.
pub(super) async fn idle_server(node: &Node, count: u64) -> u64 {
    in_process(node, move |_: Context<()>| async move {
        let mut servers = Vec::with_capacity(count as usize);
        let before = resident();
        for n in 0..count {
            servers.push(Word::start(n).await.expect("the server starts"));
        }
        let grown = grown(before, &servers);
        stop(&servers).await;
        grown
    })
    .await
}

async fn stop(servers: &[ServerRef<Word>]) {
    for (server, n) in servers.iter().zip(0..) {
        assert_eq!(server.call(Ask::Get).await, Ok(n));
        server.cast(Ask::Stop);
    }
    for server in servers {
        server.join().await;
    }
}

/// A server with a word of state.
struct Word(u64);

enum Ask {
    Get(Reply<u64>),
    Stop,
}

impl GenServer for Word {
    type Args = u64;
    type Message = Ask;

    async fn init(word: u64, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(word))
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Get(reply) => reply.send(self.0),
            Ask::Stop => return Err(ExitReason::Normal),
        }
        Ok(())
    }
}
