//! Looking into a server while it runs: its state, what comes to it, and what
//! is left of it after a crash.
//!
//! Nothing of this is in the server but how it shows itself; without that it
//! works too, and shows less.
//!
//! ```erlang
//! sys:log(till, true),
//! sys:suspend(till), sys:get_state(till), sys:resume(till),
//! sys:replace_state(till, fun(#till{} = T) -> T#till{coins = 100} end),
//! sys:get_status(till).
//! ```
//!
//! Run it: `cargo run --example 26_sys`

use std::fmt::Debug;

use resurgam::{ExitReason, GenServer, InitError, Node, Reply, ServerContext, sys};

/// A till; what is in its safe is nobody's business.
struct Till {
    coins: u32,
    safe: u32,
}

#[derive(Debug)]
enum Msg {
    Pay(u32),
    Total(Reply<u32>),
}

impl GenServer for Till {
    type Args = u32;
    type Message = Msg;

    async fn init(safe: u32, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self { coins: 0, safe })
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Pay(0) => panic!("nothing was paid"),
            Msg::Pay(coins) => self.coins += coins,
            Msg::Total(reply) => reply.send(self.coins + self.safe),
        }
        Ok(())
    }

    fn format_status(&self) -> impl Debug {
        ("coins", self.coins)
    }

    fn format_message(msg: &Msg) -> impl Debug {
        msg
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let till = Till::builder(1_000_000).name("till").start().await?;
    sys::log(&till, sys::LOG).await?;
    till.cast(Msg::Pay(3));

    // Between two events it stands still, and messages wait.
    sys::suspend(&till).await?;
    till.cast(Msg::Pay(4));
    let coins = sys::get_state(&till, |till: &Till| till.coins).await?;
    assert_eq!(coins, 3);
    sys::update_state(&till, |till: &mut Till| till.coins = 100).await?;
    sys::resume(&till).await?;
    assert_eq!(till.call(Msg::Total).await?, 1_000_104);

    // Who knows but its name sees what it shows.
    let status = sys::get_status("till").await?;
    println!(
        "{} is {:?}: {}",
        status.behaviour, status.condition, status.state
    );
    for event in status.log {
        println!("  {event}");
    }

    till.cast(Msg::Pay(0));
    till.join().await;
    for report in Node::current().crash_reports() {
        let Some(server) = &report.server else {
            continue;
        };
        println!("{} {}, with {}", report.pid, report.reason, server.state);
        assert!(!format!("{report:?}").contains("1000000"));
    }
    Ok(())
}
