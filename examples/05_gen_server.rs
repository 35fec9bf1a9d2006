//! A generic server: a state, one call and one cast.
//!
//! Calls and casts are variants of one enum; a call is a variant that carries
//! the way back to its caller, typed by what it is answered with.
//!
//! ```elixir
//! def init(start), do: {:ok, start}
//! def handle_cast({:add, n}, count), do: {:noreply, count + n}
//! def handle_call(:get, _from, count), do: {:reply, count, count}
//! ```
//!
//! Run it: `cargo run --example 05_gen_server`

use resurgam::{CallError, ExitReason, GenServer, InitError, Reply, ServerContext};

// The whole server, in twenty lines.
struct Counter(u64);
enum Msg {
    Add(u64),
    Get(Reply<u64>),
}

impl GenServer for Counter {
    type Args = u64;
    type Message = Msg;
    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(start))
    }
    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Add(n) => self.0 += n,
            Msg::Get(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counter = Counter::start(40).await?;
    println!("started {counter:?} with 40");

    counter.cast(Msg::Add(1));
    counter.cast(Msg::Add(1));
    let count = counter.call(Msg::Get).await?;
    println!("40 + 1 + 1 = {count}");
    assert_eq!(count, 42);

    counter.stop(ExitReason::Normal).await?;
    let late = counter.call(Msg::Get).await;
    println!("after its end: {late:?}");
    assert!(matches!(late, Err(CallError::Down(_))));
    Ok(())
}
