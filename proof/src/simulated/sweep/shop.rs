//! A small application: a store that keeps a journal outside itself, a till
//! that sells by way of the store, and customers. Whoever falls, each order
//! that was confirmed is in the journal, once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use resurgam::sim::Sim;
use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GenServer, InitError, ProcessRef, Reply,
    ServerContext, Strategy, Supervisor, SupervisorBuilder, sleep,
};

use super::Root;

const ORDERS: u32 = 2;
const CUSTOMERS: u32 = 2;

/// What was sold, by order, and how often: the disk, so to speak.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<BTreeMap<u32, u32>>>);

impl Journal {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u32, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sells what is ordered, once for each order.
struct Store(Journal);

struct Sell(u32, Reply<()>);

impl GenServer for Store {
    type Args = Journal;
    type Message = Sell;

    async fn init(journal: Journal, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(journal))
    }

    async fn handle(
        &mut self,
        Sell(order, reply): Sell,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let is_new = !self.0.entries().contains_key(&order);
        if is_new {
            // It may be killed here, before or after.
            sleep(Duration::from_millis(1)).await;
            *self.0.entries().entry(order).or_default() += 1;
            sleep(Duration::from_millis(1)).await;
        }
        reply.send(());
        Ok(())
    }
}

/// Passes orders on to the store and the confirmations back.
struct Till;

struct Buy(u32, Reply<Result<(), CallError>>);

impl GenServer for Till {
    type Args = ();
    type Message = Buy;

    async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        Buy(order, reply): Buy,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let store: ProcessRef<Sell> = ctx.node().named("store");
        reply.send(store.call(|reply| Sell(order, reply)).await);
        Ok(())
    }
}

fn shop(journal: &Journal) -> SupervisorBuilder {
    let journal = journal.clone();
    let store = move || Store::builder(journal.clone()).name("store");
    Supervisor::builder(Strategy::RestForOne)
        .child(ChildSpec::server_with::<Store, _>("store", store))
        .child(ChildSpec::server_with::<Till, _>("till", || {
            Till::builder(()).name("till")
        }))
}

/// Orders again and again until it is confirmed; gives up only on a shop that
/// has closed for good.
async fn buy(order: u32) -> bool {
    const TRIES: u32 = 100;
    let till = ProcessRef::<Buy>::named("till");
    for _ in 0..TRIES {
        if let Ok(Ok(())) = till.call(|reply| Buy(order, reply)).await {
            return true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}

pub(super) fn open_and_close(sim: &mut Sim) {
    let journal = Journal::default();
    let confirmed = Journal::default();
    let root = Root::start(sim, shop(&journal));
    for customer in 0..CUSTOMERS {
        let confirmed = confirmed.clone();
        sim.client(move |_: Context<()>| async move {
            for order in 0..ORDERS {
                let order = customer * ORDERS + order;
                if buy(order).await {
                    confirmed.entries().insert(order, 1);
                }
            }
        });
    }
    root.expect_whole_or_gone(sim, 3, &["store", "till"]);
    let (sold, confirmed) = (journal.entries().clone(), confirmed.entries().clone());
    if root.lives(sim.node()) {
        assert_eq!(confirmed.len() as u32, CUSTOMERS * ORDERS, "orders lost");
    }
    for order in confirmed.keys() {
        assert_eq!(sold.get(order), Some(&1), "order {order} was confirmed");
    }
    assert!(
        sold.values().all(|times| *times == 1),
        "sold twice: {sold:?}"
    );
    root.stop(sim);
}
