//! Random supervision trees, and what can be done to them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use resurgam::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, InitError, Node,
    Restart, ServerContext, Shutdown, Strategy, Supervisor, SupervisorBuilder, SupervisorRef, exit,
    self_pid, sleep,
};

use super::Crowd;
use super::actor::{Say, act};

/// The supervisors of a run, by their names.
pub(super) struct Grove {
    number: u64,
    known: Mutex<Vec<Known>>,
}

#[derive(Clone)]
enum Known {
    Static(String),
    Dynamic(String),
}

const STRATEGIES: [Strategy; 3] = [
    Strategy::OneForOne,
    Strategy::OneForAll,
    Strategy::RestForOne,
];
const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];
const IDS: [&str; 3] = ["0", "1", "2"];

impl Grove {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the last few.
    fn remember(&self, supervisor: Known) {
        const FEW: usize = 8;
        let mut known = self.known();
        if known.len() == FEW {
            known.remove(0);
        }
        known.push(supervisor);
    }

    /// The tree of a seed.
    pub(super) fn tree(&self, crowd: &Arc<Crowd>, seed: u64, depth: u32) -> SupervisorBuilder {
        let mut rng = Rng::with_seed(seed ^ self.number);
        let strategy = STRATEGIES[rng.usize(..STRATEGIES.len())];
        let period = Duration::from_millis(rng.u64(1..10_000));
        let mut builder = Supervisor::builder(strategy).intensity(rng.u32(..10), period);
        if rng.bool() {
            let name = format!("supervisor {seed:x}");
            self.remember(Known::Static(name.clone()));
            builder = builder.name(name);
        }
        let children = rng.usize(..=IDS.len());
        builder.children(
            IDS.iter()
                .take(children)
                .map(|id| random_child(crowd, &mut rng, id, depth)),
        )
    }

    /// Does something to one of the supervisors that are known.
    pub(super) async fn disturb(&self, crowd: &Arc<Crowd>, node: &Node, rng: &mut Rng) {
        let known = {
            let known = self.known();
            if known.is_empty() {
                return;
            }
            known[rng.usize(..known.len())].clone()
        };
        match known {
            Known::Static(name) => disturb_static(crowd, node, rng, name).await,
            Known::Dynamic(name) => disturb_dynamic(crowd, node, rng, name).await,
        }
    }
}

fn random_child(crowd: &Arc<Crowd>, rng: &mut Rng, id: &'static str, depth: u32) -> ChildSpec {
    const DEPTH: u32 = 3;
    let (crowd, seed) = (Arc::clone(crowd), rng.u64(..));
    let spec = match rng.u8(..10) {
        0..2 if depth < DEPTH => {
            ChildSpec::supervisor(id, move || crowd.grove.tree(&crowd, seed, depth + 1))
        }
        2 => ChildSpec::dynamic_supervisor(id, move || {
            let name = format!("dynamic {seed:x}");
            crowd.grove.remember(Known::Dynamic(name.clone()));
            let period = Duration::from_millis(seed % 10_000 + 1);
            DynamicSupervisor::builder()
                .name(name)
                .intensity((seed % 8) as u32, period)
                .max_children(4)
        }),
        3..6 => ChildSpec::server::<Clerk>(id, seed),
        _ => ChildSpec::process(id, move || {
            let (crowd, parent) = (Arc::clone(&crowd), self_pid());
            move |ctx| {
                let mut rng = Rng::with_seed(seed ^ ctx.node().random());
                crowd.enter(&mut rng, ctx.self_ref());
                act(ctx, crowd, rng.u64(..), Some(parent))
            }
        }),
    };
    let spec = spec.restart(RESTARTS[rng.usize(..RESTARTS.len())]);
    match rng.u8(..4) {
        0 => spec.brutal_kill(),
        1 => spec.shutdown(Duration::from_millis(rng.u64(..100))),
        2 => spec.shutdown(Shutdown::Infinity),
        _ => spec,
    }
}

async fn disturb_static(crowd: &Arc<Crowd>, node: &Node, rng: &mut Rng, name: String) {
    let supervisor = SupervisorRef::named_on(node, name);
    let id = IDS[rng.usize(..IDS.len())];
    // Whatever it answers is right.
    match rng.u8(..9) {
        0 => _ = supervisor.which_children().await,
        1 => _ = supervisor.count_children().await,
        2 if crowd.has_room() => {
            _ = supervisor
                .start_child(random_child(crowd, rng, id, 2))
                .await;
        }
        2 | 3 => _ = supervisor.terminate_child(id).await,
        4 => _ = supervisor.restart_child(id).await,
        5 => _ = supervisor.delete_child(id).await,
        6 => _ = supervisor.stop().await,
        7 => strike(supervisor.pid(), rng),
        _ => _ = supervisor.which_child(id).await,
    }
}

async fn disturb_dynamic(crowd: &Arc<Crowd>, node: &Node, rng: &mut Rng, name: String) {
    let supervisor = DynamicSupervisorRef::named_on(node, name);
    match rng.u8(..6) {
        0..3 if crowd.has_room() => {
            let id = IDS[rng.usize(..IDS.len())];
            _ = supervisor
                .start_child(random_child(crowd, rng, id, 2))
                .await;
        }
        0..3 => _ = supervisor.count_children().await,
        3 => {
            let children = supervisor.which_children().await.unwrap_or_default();
            let running: Vec<_> = children.iter().filter_map(|child| child.pid()).collect();
            if let Some(pid) = running.iter().min() {
                _ = supervisor.terminate_child(*pid).await;
            }
        }
        4 => _ = supervisor.stop().await,
        _ => strike(supervisor.pid(), rng),
    }
}

fn strike(pid: Option<resurgam::Pid>, rng: &mut Rng) {
    if let Some(pid) = pid {
        let reason = match rng.bool() {
            true => ExitReason::Kill,
            false => ExitReason::custom("struck"),
        };
        exit(pid, reason);
    }
}

/// A server that takes its time to start and to stop, and fails at both now
/// and then.
struct Clerk(Rng);

impl GenServer for Clerk {
    type Args = u64;
    type Message = Say;

    async fn init(seed: u64, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        let mut rng = Rng::with_seed(seed ^ ctx.node().random());
        if rng.bool() {
            resurgam::trap_exit(true);
        }
        match rng.u8(..12) {
            0 => return Err(InitError::Ignore),
            1 => return Err(InitError::Stop(ExitReason::custom("not today"))),
            2 => return Err(InitError::Error(ExitReason::custom("not today"))),
            3 => sleep(Duration::from_millis(rng.u64(1..50))).await,
            4 => panic!("a panic of the program's own"),
            _ => {}
        }
        Ok(Self(rng))
    }

    async fn handle(&mut self, say: Say, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match (say, self.0.u8(..20)) {
            (_, 0) => return Err(ExitReason::custom("tired")),
            (_, 1) => return Err(ExitReason::Normal),
            (Say::Ask(number, reply), _) => reply.send(number),
            (Say::Do, _) => ctx.set_timeout(Duration::from_millis(self.0.u64(1..20))),
        }
        Ok(())
    }

    async fn terminate(&mut self, _reason: &ExitReason, _ctx: &mut ServerContext<Self>) {
        match self.0.u8(..8) {
            0 => sleep(Duration::from_millis(self.0.u64(1..200))).await,
            1 => panic!("a panic of the program's own"),
            _ => {}
        }
    }
}
