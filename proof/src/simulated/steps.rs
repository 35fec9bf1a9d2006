//! Random programs in random supervision trees, under random faults.
//!
//! Large runs hide what goes wrong, as processes die and take the trouble with
//! them. So sizes are drawn for each run, most are small, and half of what is
//! done is done to the same few processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use resurgam::sim::{Faults, Plan, Sim};
use resurgam::{Context, Node, ProcessRef};

use super::Figures;

mod actor;
mod grove;

use actor::{Say, act};
use grove::Grove;

/// How much is to be done at least.
#[derive(Copy, Clone, Debug)]
pub struct Amount {
    /// How many steps.
    pub steps: u64,
    /// How many faults.
    pub faults: u64,
    /// The first seed.
    pub seed: u64,
}

/// Runs one seed after the other until enough has been done.
pub fn soak(amount: Amount) -> Figures {
    const AT_ONCE: u64 = 64;
    let mut figures = Figures::default();
    let mut seed = amount.seed;
    while figures.steps < amount.steps || figures.faults < amount.faults {
        let seeds = seed..seed + AT_ONCE;
        let plan = Plan::new().name("soak").seed_range(seeds);
        if !figures.add(plan.try_run(live)) {
            break;
        }
        seed += AT_ONCE;
    }
    figures
}

/// One run: a crowd under faults, for a number of steps.
fn live(sim: &mut Sim) {
    const SIZES: [usize; 5] = [2, 3, 4, 8, 64];
    const STEPS: [u64; 8] = [20, 20, 60, 60, 60, 500, 500, 20_000];
    let size = SIZES[sim.random(SIZES.len())];
    let steps = STEPS[sim.random(STEPS.len())];
    let crowd = Arc::new(Crowd::new(size, sim.node()));
    sim.faults(Faults::swarm());
    let keeper = Arc::clone(&crowd);
    sim.client(move |_: Context<()>| async move { keeper.keep().await });
    while sim.steps() < steps && sim.step() {}
    sim.heal();
    sim.run_until_idle();
}

/// What the processes of a run share.
struct Crowd {
    size: usize,
    peers: Mutex<Vec<ProcessRef<Say>>>,
    grove: Grove,
}

impl Crowd {
    fn new(size: usize, node: &Node) -> Self {
        Self {
            size,
            peers: Mutex::new(Vec::new()),
            grove: Grove::new(node.random()),
        }
    }

    fn peers(&self) -> MutexGuard<'_, Vec<ProcessRef<Say>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody to do something to; every other time one of two.
    fn peer(&self, rng: &mut Rng) -> Option<ProcessRef<Say>> {
        let peers = self.peers();
        let among = if rng.bool() { 2 } else { peers.len() };
        let among = among.min(peers.len());
        (among > 0).then(|| peers[rng.usize(..among)].clone())
    }

    /// A newcomer takes the place of somebody, dead or alive.
    fn enter(&self, rng: &mut Rng, newcomer: ProcessRef<Say>) {
        let mut peers = self.peers();
        if peers.len() < self.size {
            peers.push(newcomer);
        } else {
            let place = rng.usize(..peers.len());
            peers[place] = newcomer;
        }
    }

    /// Whether there is room for one more.
    fn has_room(&self) -> bool {
        Node::current().process_count() < 2 * self.size + 4
    }

    /// Plants trees and sends people into the crowd, as long as it lives.
    async fn keep(self: Arc<Self>) {
        let node = Node::current();
        let mut rng = Rng::with_seed(node.random());
        loop {
            while node.process_count() <= self.size {
                if rng.u8(..3) == 0 {
                    self.plant(&mut rng).await;
                } else {
                    self.send_in(&mut rng);
                }
            }
            node.sleep(Duration::from_millis(rng.u64(1..200))).await;
        }
    }

    /// Faults may keep the tree from starting.
    async fn plant(self: &Arc<Self>, rng: &mut Rng) {
        let seed = rng.u64(..);
        let _ = self.grove.tree(self, seed, 0).start().await;
    }

    fn send_in(self: &Arc<Self>, rng: &mut Rng) {
        let (crowd, seed) = (Arc::clone(self), rng.u64(..));
        let body = move |ctx| act(ctx, crowd, seed, None);
        if let Ok(newcomer) = resurgam::spawn(body) {
            self.enter(rng, newcomer);
        }
    }
}
