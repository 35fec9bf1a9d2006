//! Finding a race in a supervised program by seed.
//!
//! A stock of tickets under a supervisor, and buyers who look first and take
//! then. It works when you try it. The simulator tries the orders that you do
//! not; the seed that fails is a run to be had again at will, shrunk to the
//! few choices it needs. After the mend, faults are let loose on it.
//!
//! In Erlang, Concuerror and PropEr's scheduler are used for this.
//!
//! Run it: `cargo run --features sim --example 16_find_a_race`

use std::time::Duration;

use resurgam::sim::{Faults, Plan, Sim};
use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GenServer, InitError, ProcessRef, Reply,
    ServerContext, ServerRef, Strategy, Supervisor, SupervisorRef, sleep,
};

/// The stock: how many tickets are left.
struct Stock(i64);

enum Msg {
    Left(Reply<i64>),
    Take,
    /// Looks and takes in one.
    TakeIfLeft(Reply<bool>),
}

impl GenServer for Stock {
    type Args = i64;
    type Message = Msg;

    async fn init(tickets: i64, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(tickets))
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Left(reply) => reply.send(self.0),
            Msg::Take => self.0 -= 1,
            Msg::TakeIfLeft(reply) => {
                let left = self.0 > 0;
                self.0 -= i64::from(left);
                reply.send(left);
            }
        }
        Ok(())
    }
}

/// Whoever has the name: the stock's next life too.
fn stock() -> ServerRef<Stock> {
    ProcessRef::named("stock")
}

/// Looks first, takes then: between the two, others may do the same.
async fn buy_hastily() -> Result<bool, CallError> {
    let left = stock().call(Msg::Left).await? > 0;
    if left {
        stock().cast(Msg::Take);
    }
    Ok(left)
}

async fn buy() -> Result<bool, CallError> {
    stock().call(Msg::TakeIfLeft).await
}

/// The tree under test is the one that production starts.
async fn open_shop() -> SupervisorRef {
    let stock = ChildSpec::server_with("stock", || Stock::builder(2).name("stock"));
    let shop = Supervisor::builder(Strategy::OneForOne).child(stock);
    shop.start().await.expect("the shop opens")
}

/// Three buyers, two tickets: never more are sold than there are.
fn three_buyers<F>(sim: &mut Sim, buy: fn() -> F)
where
    F: Future<Output = Result<bool, CallError>> + Send + 'static,
{
    sim.run(open_shop());
    for _ in 0..3 {
        sim.client(move |_: Context<()>| async move { drop(buy().await) });
    }
    sim.run_until_idle();
    let left = sim.run(async { stock().call(Msg::Left).await });
    assert!(matches!(left, Ok(0..)), "too many were sold: {left:?}");
}

fn main() {
    println!("1. Buyers that look first and take then, under a thousand seeds:\n");
    let hasty = |sim: &mut Sim| three_buyers(sim, buy_hastily);
    let failure = Plan::new().seeds(1000).name("hasty").try_run(hasty);
    let failure = failure.expect_err("two can look before either takes");
    println!("{failure}");

    println!("2. Mended: one call does both.");
    let report = Plan::new().seeds(1000).run(|sim| three_buyers(sim, buy));
    println!("   {report:?}\n");

    println!("3. A day of kills, panics, delays and late timers; then it must be well again.");
    let report = Plan::new().seeds(20).run(|sim| {
        let shop = sim.run(open_shop());
        sim.protect(shop.pid().expect("a supervisor that runs has a pid"));
        sim.faults(
            Faults::none()
                .kill(0.001)
                .panic(0.001)
                .delay(0.01, MILLISECOND..SECOND),
        );
        sim.client(|_: Context<()>| async {
            loop {
                // Down, or too late: the buyer comes again.
                let _ = buy().await;
                sleep(60 * SECOND).await;
            }
        });
        sim.run_for(Duration::from_secs(24 * 3600));
        sim.heal();
        sim.eventually(SECOND, |sim| sim.node().whereis("stock").is_some());
    });
    println!("   {report:?}\n");

    println!("4. Everybody killed at every step of opening and closing the shop: no orphans.");
    let report = Plan::new().seeds(1).sweep_kills(|sim| {
        let opened = sim.run(async {
            let shop = resurgam::spawn(|_: Context<()>| async { drop(open_shop().await) });
            shop.expect("the node takes processes").join().await
        });
        // Whatever was killed: what is left is a shop that can be closed.
        drop(opened);
    });
    println!("   {report:?}");
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
