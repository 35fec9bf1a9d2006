//! Calls.

use std::time::Duration;

use resurgam::{
    Context, ExitReason, GenServer, InitError, Node, Reply, ServerContext, ServerRef, spawn,
};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// Callers call the servers that fall to them, one call after the other, each
/// with the usual time-out.
pub(super) async fn call(node: &Node, callers: u64, servers: u64, each: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let mut echoes = Vec::new();
        for _ in 0..servers {
            echoes.push(Echo::start(()).await.expect("the server starts"));
        }
        let done = Tally::leak();
        let began = Instant::now();
        for server in echoes.iter().cycle().take(callers as usize).cloned() {
            spawn(move |_: Context<()>| ask(server, each, done)).expect(ROOM);
        }
        done.reached(callers).await;
        let took = began.elapsed();
        for echo in echoes {
            drop(echo.stop(ExitReason::Normal).await);
        }
        took
    })
    .await
}

async fn ask(server: ServerRef<Echo>, each: u64, done: &'static Tally) {
    for n in 0..each {
        assert_eq!(server.call(|reply| Request(n, reply)).await, Ok(n));
    }
    done.add();
}

/// A server that answers what it is asked.
#[derive(Debug)]
pub struct Echo;

/// A number, and the way back.
#[derive(Debug)]
pub struct Request(pub u64, pub Reply<u64>);

impl GenServer for Echo {
    type Args = ();
    type Message = Request;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        Request(n, reply): Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        reply.send(n);
        Ok(())
    }
}
