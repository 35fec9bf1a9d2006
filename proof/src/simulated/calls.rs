//! Calls while callers and servers are killed. Each has one outcome: the reply
//! to it, or why there is none; or its caller is gone. What comes too late
//! comes to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use resurgam::sim::{Faults, Plan, Sim};
use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GenServer, InitError, Node, ProcessRef, Reply,
    ServerContext, Strategy, Supervisor, SupervisorBuilder, sleep, spawn, spawn_link,
};

use super::{Figures, expect_nothing_left};

const SECOND: Duration = Duration::from_secs(1);
const SERVERS: usize = 4;
const CALLERS: usize = 6;
/// How many calls a run makes.
const CALLS: u64 = 2_000;

/// Makes at least so many calls, in runs of a seed each.
pub fn soak(calls: u64, seed: u64) -> Figures {
    const AT_ONCE: u64 = 50;
    let mut figures = Figures::default();
    let total = Arc::new(Books::default());
    let mut seed = seed;
    while total.begun.load(Ordering::Relaxed) < calls {
        let plan = Plan::new().name("calls").seed_range(seed..seed + AT_ONCE);
        if !figures.add(plan.try_run(|sim| total.add(&office(sim)))) {
            break;
        }
        seed += AT_ONCE;
    }
    figures.counts = total
        .list()
        .map(|(what, n)| (what, n.load(Ordering::Relaxed)))
        .to_vec();
    figures
}

/// What became of calls.
#[derive(Default)]
struct Books {
    begun: AtomicU64,
    replied: AtomicU64,
    down: AtomicU64,
    no_reply: AtomicU64,
    timed_out: AtomicU64,
    abandoned: AtomicU64,
    /// Replies that were sent when nobody waited for them any more.
    late: AtomicU64,
}

impl Books {
    fn list(&self) -> [(&'static str, &AtomicU64); 7] {
        [
            ("calls", &self.begun),
            ("replied", &self.replied),
            ("server down", &self.down),
            ("dropped", &self.no_reply),
            ("timed out", &self.timed_out),
            ("callers gone", &self.abandoned),
            ("late replies", &self.late),
        ]
    }

    fn add(&self, run: &Self) {
        for ((_, total), (_, count)) in self.list().into_iter().zip(run.list()) {
            total.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn open(self: &Arc<Self>) -> Open {
        add_one(&self.begun);
        Open(Some(Arc::clone(self)))
    }

    /// Whether every call that was begun has had an outcome.
    fn balance(&self) -> bool {
        let [(_, begun), outcomes @ .., _late] = self.list();
        let outcomes = outcomes
            .iter()
            .map(|(_, count)| count.load(Ordering::Relaxed));
        begun.load(Ordering::Relaxed) == outcomes.sum()
    }
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// A call that is under way. It goes with its caller.
struct Open(Option<Arc<Books>>);

impl Open {
    fn close(mut self, outcome: impl FnOnce(&Books) -> &AtomicU64) {
        if let Some(books) = self.0.take() {
            add_one(outcome(&books));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(books) = self.0.take() {
            add_one(&books.abandoned);
        }
    }
}

fn office(sim: &mut Sim) -> Arc<Books> {
    let books = Arc::new(Books::default());
    let staff = staff(&books);
    let root = sim.run(async move { staff.start().await.expect("nothing goes wrong yet") });
    root.pid().into_iter().for_each(|pid| sim.protect(pid));
    sim.faults(Faults::swarm());
    let watched = Arc::clone(&books);
    sim.eventually(24 * 3600 * SECOND, |_| {
        watched.begun.load(Ordering::Relaxed) >= CALLS
    });
    sim.heal();
    sim.run(async move { root.stop().await.expect("it has not ended before") });
    expect_nothing_left(sim);
    assert!(books.balance(), "calls without an outcome, or with two");
    books
}

fn staff(books: &Arc<Books>) -> SupervisorBuilder {
    let servers = (0..SERVERS).map(|number| {
        let (name, books) = (format!("server {number}"), Arc::clone(books));
        let server = {
            let name = name.clone();
            move || Server::builder(Arc::clone(&books)).name(name.clone())
        };
        ChildSpec::server_with::<Server, _>(name, server)
    });
    let callers = (0..CALLERS).map(|number| {
        let books = Arc::clone(books);
        ChildSpec::process(format!("caller {number}"), move || {
            let books = Arc::clone(&books);
            move |ctx| call_on(ctx, books)
        })
    });
    Supervisor::builder(Strategy::OneForOne)
        .intensity(u32::MAX, SECOND)
        .children(servers)
        .children(callers)
}

/// Calls one server after the other; nothing but replies ever comes of it.
async fn call_on(mut ctx: Context<()>, books: Arc<Books>) {
    let mut rng = Rng::with_seed(Node::current().random());
    loop {
        let server = ProcessRef::<Ask>::named(format!("server {}", rng.usize(..SERVERS)));
        let number = rng.u64(..);
        let open = books.open();
        let patience = Duration::from_micros(rng.u64(1..20_000));
        let call = server.call(|reply| Ask(number, reply)).timeout(patience);
        match call.await {
            Ok(answer) => {
                assert_eq!(answer, number, "the reply to another call");
                open.close(|books| &books.replied);
            }
            Err(CallError::Down(_)) => open.close(|books| &books.down),
            Err(CallError::NoReply) => open.close(|books| &books.no_reply),
            Err(CallError::TimedOut) => open.close(|books| &books.timed_out),
            Err(error) => panic!("{error}"),
        }
        let pause = Duration::from_micros(rng.u64(1..5_000));
        let late = ctx.receive_timeout(pause).await;
        assert_eq!(late, None, "a late reply");
    }
}

/// Answers at once, late, by way of another process, or not at all.
struct Server {
    books: Arc<Books>,
    kept: Vec<(u64, Reply<u64>)>,
    rng: Rng,
}

#[derive(Debug)]
struct Ask(u64, Reply<u64>);

impl Server {
    fn answer(books: &Books, number: u64, reply: Reply<u64>) {
        if reply.is_closed() {
            add_one(&books.late);
        }
        reply.send(number);
    }

    async fn answer_late(books: Arc<Books>, after: Duration, number: u64, reply: Reply<u64>) {
        sleep(after).await;
        Self::answer(&books, number, reply);
    }
}

impl GenServer for Server {
    type Args = Arc<Books>;
    type Message = Ask;

    async fn init(books: Arc<Books>, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self {
            books,
            kept: Vec::new(),
            rng: Rng::with_seed(ctx.node().random()),
        })
    }

    async fn handle(
        &mut self,
        Ask(number, reply): Ask,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let (books, after) = (
            Arc::clone(&self.books),
            Duration::from_micros(self.rng.u64(1..20_000)),
        );
        match self.rng.u8(..12) {
            0 => drop(reply),
            1 => self.kept.push((number, reply)),
            2 => Self::answer_late(books, after, number, reply).await,
            3 => {
                let helper = move |_: Context<()>| Self::answer_late(books, after, number, reply);
                drop(spawn(helper));
            }
            4 => {
                let helper = move |_: Context<()>| Self::answer_late(books, after, number, reply);
                drop(spawn_link(helper));
            }
            5 => {
                for (number, reply) in self.kept.drain(..) {
                    Self::answer(&self.books, number, reply);
                }
                reply.send(number);
            }
            6 if self.rng.u8(..8) == 0 => return Err(ExitReason::custom("enough")),
            _ => Self::answer(&books, number, reply),
        }
        Ok(())
    }
}
