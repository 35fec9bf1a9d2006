//! Servers without the parts that are always alike: one attribute writes the
//! messages, the callbacks and the client; another puts servers of different
//! types behind one handle.
//!
//! ```elixir
//! defmodule Counter do
//!   use GenServer
//!   def add(counter, n), do: GenServer.cast(counter, {:add, n})
//!   def get(counter), do: GenServer.call(counter, :get)
//!   # … and what they do, once more, in handle_cast and handle_call.
//! ```
//!
//! Run it: `cargo run --features macros --example 28_macros`

use std::collections::HashMap;
use std::time::Duration;

use resurgam::{
    ChildSpec, ExitReason, GenServer, Node, Reply, ServerContext, Strategy, Supervisor, protocol,
    server,
};

// The whole server, in twelve lines.
struct Counter(u64);

#[server]
impl Counter {
    #[cast]
    fn add(&mut self, n: u64) {
        self.0 += n;
    }

    #[call]
    fn get(&self) -> u64 {
        self.0
    }
}

/// Whoever waits is called when the gate opens.
struct Gate {
    keeper: String,
    waiting: Vec<Reply<String>>,
}

#[server]
impl Gate {
    #[init]
    fn new(keeper: &'static str) -> Self {
        Self {
            keeper: keeper.to_owned(),
            waiting: Vec::new(),
        }
    }

    /// Answered by `open`.
    #[call(later)]
    fn pass(&mut self, reply: Reply<String>) {
        self.waiting.push(reply);
    }

    /// Opens after a while.
    #[cast]
    async fn open(&mut self) {
        resurgam::yield_now().await;
        for reply in self.waiting.drain(..) {
            reply.send(format!("{} lets you pass", self.keeper));
        }
    }

    /// Ends the server, which has its reasons.
    #[cast]
    fn retire(&mut self, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        println!("{}: the keeper retires", ctx.pid());
        Err(ExitReason::Normal)
    }
}

/// What all stores can do.
#[protocol]
trait Store {
    async fn get(&self, key: String) -> Option<String>;
    fn put(&self, key: String, value: String);
}

#[derive(Default)]
struct InMemory(HashMap<String, String>);

#[server]
impl InMemory {
    #[protocol]
    fn store(&mut self, message: StoreMessage) {
        match message {
            StoreMessage::Get(key, reply) => reply.send(self.0.get(&key).cloned()),
            StoreMessage::Put(key, value) => drop(self.0.insert(key, value)),
        }
    }
}

/// Remembers nothing.
struct Nowhere;

#[server]
impl Nowhere {
    #[protocol]
    fn store(&mut self, message: StoreMessage) {
        if let StoreMessage::Get(_, reply) = message {
            reply.send(None);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let counter = ChildSpec::server_with("counter", || Counter::builder(Counter(40)).name("count"));
    let tree = Supervisor::builder(Strategy::OneForOne)
        .child(counter)
        .start_on(&node)
        .await?;
    let counter = node.named::<CounterMessage>("count");
    counter.add(2);
    println!("40 + 2 = {}", counter.get().await?);
    tree.stop().await?;

    let gate = Gate::builder("Peter").on(&node).start().await?;
    let asked = gate.send_request(GateMessage::Pass);
    gate.open();
    println!("{}", asked.await?);
    gate.retire();
    println!("the gate ended: {}", gate.join().await);

    let stores: [StoreRef; 2] = [
        InMemory::builder(InMemory::default())
            .on(&node)
            .start()
            .await?
            .into(),
        Nowhere::builder(Nowhere).on(&node).start().await?.into(),
    ];
    for store in stores {
        store.put("city".into(), "London".into());
        println!("{store:?} says {:?}", store.get("city".into()).await?);
    }
    node.stop(Duration::from_secs(1)).await?;
    Ok(())
}
