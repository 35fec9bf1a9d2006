//! The processes that hold the keys.

use std::time::Duration;

use futures::future::join_all;
use resurgam::{
    CallError, ExitReason, GenServer, InitError, Name, Node, ServerContext, ServerRef, now,
};

use crate::batch::{self, Answer};
use crate::error::Error;
use crate::reply::Reply;
use crate::request::Request;
use crate::store::Store;
use crate::time::Calendar;

/// How long expired keys may lie around.
const SWEEP_PERIOD: Duration = Duration::from_millis(100);
/// How many expired keys are dropped in one go, so that clients need not wait.
const SWEEP_LIMIT: usize = 1_000;

/// The process around a [`Store`]. If it crashes its keys are lost, and its
/// supervisor starts it anew, empty.
#[derive(Debug)]
pub struct Partition {
    store: Store,
    calendar: Calendar,
    sweep: Sweep,
}

/// Whether the partition has a message on its way to itself. One without
/// volatile keys never wakes up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Sweep {
    Idle,
    Due,
}

/// What a partition is told.
#[derive(Debug)]
pub enum Message {
    /// Do all of this, in this order, and reply to each.
    Execute(Vec<Request>, resurgam::Reply<Vec<Reply>>),
    /// Drop what has expired.
    Sweep,
}

impl GenServer for Partition {
    type Args = Calendar;
    type Message = Message;

    async fn init(calendar: Calendar, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        let store = Store::new(ctx.node().random());
        Ok(Self {
            store,
            calendar,
            sweep: Sweep::Idle,
        })
    }

    async fn handle(
        &mut self,
        message: Message,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match message {
            Message::Execute(requests, reply) => reply.send(self.execute(requests)),
            Message::Sweep => self.sweep(ctx),
        }
        if self.sweep == Sweep::Idle && self.store.is_volatile() {
            self.sweep = Sweep::Due;
            ctx.node()
                .send_after(SWEEP_PERIOD, ctx.pid(), Message::Sweep);
        }
        Ok(())
    }
}

impl Partition {
    fn execute(&mut self, requests: Vec<Request>) -> Vec<Reply> {
        let now = self.calendar.date(now());
        requests
            .into_iter()
            .map(|request| self.store.execute(request, now))
            .collect()
    }

    fn sweep(&mut self, ctx: &ServerContext<Self>) {
        self.sweep = Sweep::Idle;
        if self.store.sweep(SWEEP_LIMIT, self.calendar.date(now())) == SWEEP_LIMIT {
            self.sweep = Sweep::Due;
            ctx.self_ref().cast(Message::Sweep);
        }
    }
}

/// The name under which a partition is found, also after a restart.
pub fn name(number: batch::Partition) -> Name {
    Name::from(format!("kv.partition.{number}"))
}

/// All partitions of a server, as a connection sees them.
#[derive(Clone, Debug)]
pub struct Partitions(Vec<ServerRef<Partition>>);

impl Partitions {
    /// The partitions of the server that runs on this node.
    pub fn of(node: &Node, count: usize) -> Self {
        Self((0..count).map(|number| node.named(name(number))).collect())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Has each partition do its part, all at once, and collects the answers.
    ///
    /// All parts are sent before the first answer is awaited, and a partition
    /// handles what one process sends it in that order.
    pub async fn answer(&self, requests: Vec<Vec<Request>>) -> Vec<Answer> {
        let mut answers: Vec<Answer> = requests.iter().map(|_| Ok(Vec::new())).collect();
        let busy = requests
            .into_iter()
            .enumerate()
            .filter(|(_, part)| !part.is_empty());
        let calls = busy.map(async |(number, part)| (number, self.call(number, part).await));
        for (number, answer) in join_all(calls).await {
            answers[number] = answer;
        }
        answers
    }

    /// The call has no time limit, as a partition either replies or dies.
    async fn call(&self, number: batch::Partition, requests: Vec<Request>) -> Answer {
        let call = self.0[number].call(|reply| Message::Execute(requests, reply));
        call.no_timeout()
            .await
            .map_err(|error| no_answer(number, &error))
    }
}

/// What a client is told whose command met a crash. The command may have been
/// carried out before, but then its effect is lost with the other keys.
fn no_answer(number: batch::Partition, error: &CallError) -> Error {
    let complaint = format!("ERR partition {} gave no reply: {error}", name(number));
    Error::quoting(&[complaint.as_bytes()])
}
