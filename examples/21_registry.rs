//! A registry: processes under keys of any type, found without asking anyone.
//!
//! A process registers itself; when it ends its key goes with it. A server can
//! be started under a key, and a reference by key stays good when it is
//! restarted.
//!
//! ```elixir
//! Registry.start_link(keys: :unique, name: Tables)
//! name = {:via, Registry, {Tables, 4, "window"}}
//! GenServer.start_link(Bill, [], name: name)
//! GenServer.call(name, :total)
//! Registry.lookup(Tables, 4)
//! ```
//!
//! Run it: `cargo run --example 21_registry`

use resurgam::{
    ChildSpec, ExitReason, GenServer, InitError, Registry, Reply, ServerContext, ServerRef,
    Strategy, Supervisor, join, kill,
};

/// What the guests at a table have ordered.
struct Bill(u32);

enum Msg {
    Order(u32),
    Total(Reply<u32>),
}

impl GenServer for Bill {
    type Args = ();
    type Message = Msg;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(0))
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Order(price) => self.0 += price,
            Msg::Total(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tables = Registry::<u32, &str>::unique();
    let (registry, keys) = (tables.clone(), tables.clone());
    // One for all: without the registry nobody finds the bill.
    let sup = Supervisor::builder(Strategy::OneForAll)
        .child(ChildSpec::server_with("tables", move || registry.builder()))
        .child(ChildSpec::server_with("bill", move || {
            Bill::builder(()).via(&keys, 4, "window")
        }))
        .start()
        .await?;

    let bill: ServerRef<Bill> = tables.via(4);
    bill.cast(Msg::Order(12));
    println!("table 4 owes {}", bill.call(Msg::Total).await?);
    println!("it is {:?}", tables.lookup(&4));

    let pid = tables.whereis(&4).ok_or("nobody is at table 4")?;
    let ended = join(pid);
    kill(pid);
    ended.await;
    while bill.call(Msg::Total).await.is_err() {
        tokio::task::yield_now().await;
    }
    println!("after the restart it owes {}", bill.call(Msg::Total).await?);
    assert_ne!(tables.whereis(&4), Some(pid));

    sup.stop().await?;
    assert_eq!(tables.count(), 0);
    Ok(())
}
