//! A day in the life of an application: a root, four regions of every
//! strategy, shards with names, and jobs that come and go; customers all day
//! long, and things that go wrong all day long. In the evening it heals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use resurgam::sim::{Explore, Faults, Plan, Sim};
use resurgam::{
    CallError, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer,
    InitError, Node, ProcessRef, Reply, ServerContext, Strategy, Supervisor, SupervisorBuilder,
    SupervisorRef, sleep,
};

use super::{Figures, expect_nothing_left};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const REGIONS: [Strategy; 4] = [
    Strategy::OneForOne,
    Strategy::OneForAll,
    Strategy::RestForOne,
    Strategy::OneForAll,
];
const SHARDS: usize = 3;
const CUSTOMERS: usize = 8;

/// Lives through one day.
pub fn live(seed: u64) -> Figures {
    live_for(DAY, seed)
}

/// Lives for some time; each seed is another life.
pub fn live_for(time: Duration, seed: u64) -> Figures {
    let mut figures = Figures::default();
    let traffic = Arc::new(Traffic::default());
    let plan = Plan::new()
        .name("day")
        .seed_range(seed..seed + 1)
        .explore(Explore::Random)
        .shrinking(20);
    figures.add(plan.try_run(|sim| life(sim, time, &traffic)));
    let counts = [
        ("requests answered", &traffic.answered),
        ("not", &traffic.unanswered),
        ("jobs", &traffic.jobs),
    ];
    figures.counts = counts
        .map(|(what, count)| (what, count.load(Ordering::Relaxed)))
        .to_vec();
    figures
}

/// What customers have seen.
#[derive(Default)]
struct Traffic {
    answered: AtomicU64,
    unanswered: AtomicU64,
    jobs: AtomicU64,
}

fn life(sim: &mut Sim, time: Duration, traffic: &Arc<Traffic>) {
    let root = sim.run(async { country().start().await.expect("nothing goes wrong yet") });
    root.pid().into_iter().for_each(|pid| sim.protect(pid));
    let evening = Arc::new(AtomicBool::new(false));
    for _ in 0..CUSTOMERS {
        let (traffic, evening) = (Arc::clone(traffic), Arc::clone(&evening));
        sim.client(move |_: Context<()>| shop_around(traffic, evening));
    }
    sim.faults(
        Faults::none()
            .kill(0.000_2)
            .panic(0.000_2)
            .delay(0.000_5, Duration::from_millis(1)..SECOND)
            .late_timers(0.001, Duration::from_millis(1)..SECOND)
            .init_fails(0.02),
    );
    sim.run_for(time);
    sim.heal();
    sim.eventually(60 * SECOND, is_whole);
    evening.store(true, Ordering::Relaxed);
    sim.run_for(60 * SECOND);
    close(sim, root);
}

/// Everything answers, and when the root has stopped nobody is left.
fn close(sim: &mut Sim, root: SupervisorRef) {
    sim.run(async {
        for name in shards() {
            let shard = ProcessRef::<Request>::named(name);
            let answer = shard.call(|reply| Request(7, reply)).await;
            assert_eq!(answer, Ok(7), "everything is healed");
        }
    });
    sim.run(async move { root.stop().await.expect("it has not ended before") });
    expect_nothing_left(sim);
}

fn is_whole(sim: &Sim) -> bool {
    let node = sim.node();
    shards().all(|name| node.whereis(name).is_some())
        && (0..REGIONS.len()).all(|region| node.whereis(jobs_of(region)).is_some())
}

fn shards() -> impl Iterator<Item = String> {
    let regions = 0..REGIONS.len();
    regions.flat_map(|region| (0..SHARDS).map(move |shard| shard_of(region, shard)))
}

fn shard_of(region: usize, shard: usize) -> String {
    format!("shard {region}.{shard}")
}

fn jobs_of(region: usize) -> String {
    format!("jobs {region}")
}

fn country() -> SupervisorBuilder {
    let regions = (0..REGIONS.len())
        .map(|number| ChildSpec::supervisor(format!("region {number}"), move || region(number)));
    Supervisor::builder(Strategy::OneForOne)
        .intensity(u32::MAX, SECOND)
        .children(regions)
}

fn region(number: usize) -> SupervisorBuilder {
    let shards = (0..SHARDS).map(|shard| {
        let name = shard_of(number, shard);
        let server = {
            let name = name.clone();
            move || Shard::builder(()).name(name.clone())
        };
        ChildSpec::server_with::<Shard, _>(name, server)
    });
    let jobs = move || DynamicSupervisor::builder().name(jobs_of(number));
    Supervisor::builder(REGIONS[number])
        .intensity(3, 10 * SECOND)
        .children(shards)
        .child(ChildSpec::dynamic_supervisor("jobs", jobs))
}

/// Gives numbers back, some of them slowly.
struct Shard;

struct Request(u64, Reply<u64>);

impl GenServer for Shard {
    type Args = ();
    type Message = Request;

    async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(
        &mut self,
        Request(number, reply): Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        if number.is_multiple_of(16) {
            sleep(Duration::from_millis(50)).await;
        }
        reply.send(number);
        Ok(())
    }
}

/// A customer, who asks one shard after the other and orders a job now and
/// then.
async fn shop_around(traffic: Arc<Traffic>, evening: Arc<AtomicBool>) {
    let mut rng = Rng::with_seed(Node::current().random());
    while !evening.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(rng.u64(100..1_900))).await;
        let region = rng.usize(..REGIONS.len());
        let result = match rng.u8(..20) {
            0 => order(region, &mut rng, &traffic).await,
            _ => ask(region, &mut rng).await,
        };
        let count = match result {
            Ok(()) => &traffic.answered,
            Err(_) => &traffic.unanswered,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ask(region: usize, rng: &mut Rng) -> Result<(), CallError> {
    let shard = ProcessRef::<Request>::named(shard_of(region, rng.usize(..SHARDS)));
    let number = rng.u64(..);
    let answer = shard.call(|reply| Request(number, reply)).timeout(SECOND);
    assert_eq!(answer.await?, number, "the answer to another request");
    Ok(())
}

/// A job takes some seconds. One in four crashes and is done again.
async fn order(region: usize, rng: &mut Rng, traffic: &Traffic) -> Result<(), CallError> {
    let jobs = DynamicSupervisorRef::named(jobs_of(region));
    let (time, fails) = (Duration::from_millis(rng.u64(..5_000)), rng.u8(..4) == 0);
    let job = ChildSpec::task("job", move || async move {
        sleep(time).await;
        let is_lucky = Node::current().random().is_multiple_of(2);
        assert!(!fails || is_lucky, "a job that fails");
    });
    match jobs.start_child(job.transient()).await {
        Ok(_) => traffic.jobs.fetch_add(1, Ordering::Relaxed),
        Err(_) => return Err(CallError::NoReply),
    };
    Ok(())
}
