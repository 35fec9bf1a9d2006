//! A partition supervisor: processes of one kind that share the keys.
//!
//! One server that everybody calls is a bottleneck. Here the words are spread
//! over several counters, a word always to the same one; who counts a word
//! finds its counter without asking anybody, and finds the new one when a
//! counter was restarted.
//!
//! ```elixir
//! {PartitionSupervisor, child_spec: Counter, name: Counters}
//! GenServer.call({:via, PartitionSupervisor, {Counters, word}}, {:add, word})
//! ```
//!
//! Run it: `cargo run --example 25_partition_supervisor`

use std::collections::HashMap;
use std::error::Error;

use resurgam::{
    ChildSpec, ExitReason, GenServer, InitError, Node, PartitionSupervisor, Reply, ServerContext,
    Strategy, Supervisor,
};

#[derive(Default)]
struct Counter(HashMap<String, u32>);

enum Msg {
    Add(&'static str),
    Get(&'static str, Reply<u32>),
}

impl GenServer for Counter {
    type Args = usize;
    type Message = Msg;

    async fn init(partition: usize, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        println!("counter {partition} starts");
        Ok(Self::default())
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Add("") => panic!("that is no word"),
            Msg::Add(word) => *self.0.entry(word.to_owned()).or_default() += 1,
            Msg::Get(word, reply) => reply.send(self.0.get(word).copied().unwrap_or(0)),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = PartitionSupervisor::builder(Counter::start_link).partitions(3);
    // The handle is there before the supervisor, for whoever needs it.
    let counters = builder.handle();
    let top = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::partition_supervisor("counters", builder))
        .start()
        .await?;

    for word in "the more the merrier the more".split(' ') {
        counters.get(word)?.cast(Msg::Add(word));
    }
    for (word, times) in [("the", 3), ("more", 2), ("merrier", 1)] {
        let counter = counters.get(word)?;
        let counted = counter.call(|reply| Msg::Get(word, reply)).await?;
        println!("{word}: {counted}, by {}", counter.pid().ok_or("no pid")?);
        assert_eq!(counted, times);
    }

    // One of them falls; the keys of the others do not notice.
    let fallen = counters.nth(0)?;
    fallen.cast(Msg::Add(""));
    println!("counter 0 ended: {}", fallen.join().await);
    let children = counters.which_children().await?;
    assert_eq!(counters.nth(0)?.pid(), children[0].pid());
    assert_ne!(counters.nth(0)?.pid(), fallen.pid());

    // At night one is enough.
    assert_eq!(counters.resize(1).await?, 3);
    println!("{:?}", counters.count_children().await?);
    assert_eq!(counters.get("the")?.pid(), counters.nth(0)?.pid());

    top.stop().await?;
    assert_eq!(Node::current().process_count(), 0);
    Ok(())
}
