//! A scenario of clients that macros wrote.

use resurgam::sim::Sim;
use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GenServer, Node, Reply, Strategy, Supervisor,
    protocol, server, sleep,
};

use super::{Root, SECOND, answered, must, role};

/// Whoever counts.
#[protocol]
trait Counts {
    async fn add(&self, by: u32) -> u32;
    async fn forget(&self) -> u32;
    fn reset(&self);
}

/// Counts behind the protocol.
struct Tally(u32);

#[server]
impl Tally {
    #[init]
    fn new() -> Self {
        Self(0)
    }

    #[protocol]
    fn counts(&mut self, message: CountsMessage) -> Result<(), ExitReason> {
        match message {
            CountsMessage::Add(by, reply) => {
                self.0 += by;
                reply.send(self.0);
            }
            CountsMessage::Forget(reply) => drop(reply),
            CountsMessage::Reset => self.0 = 0,
        }
        Ok(())
    }
}

/// Counts by methods of its own, some of which take their time.
struct Slow {
    sum: u32,
    waiting: Vec<Reply<u32>>,
}

#[server]
impl Slow {
    #[init]
    async fn new() -> Self {
        sleep(SECOND / 4).await;
        Self {
            sum: 0,
            waiting: Vec::new(),
        }
    }

    #[call]
    async fn slowly(&mut self, by: u32) -> u32 {
        sleep(SECOND / 4).await;
        self.sum += by;
        by + 1
    }

    #[call(later)]
    fn wait(&mut self, reply: Reply<u32>) {
        self.waiting.push(reply);
    }

    #[cast]
    fn release(&mut self) {
        let released = self.waiting.drain(..);
        released.for_each(|reply| reply.send(7));
    }
}

/// Every call of a written client has one outcome: its answer, or that the
/// server is down or has dropped the reply.
pub(super) fn protocols(sim: &mut Sim) {
    let tally = || Tally::builder(()).name("tally");
    let slow = || Slow::builder(()).name("slow");
    let top = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::server_with::<Tally, _>("tally", tally))
        .child(ChildSpec::server_with::<Slow, _>("slow", slow));
    let root = Root::start(sim, top);
    role(sim, "counter", |_: Context<()>| count());
    for by in [1, 2] {
        role(sim, "patient", move |_: Context<()>| ask_slowly(by));
    }
    role(sim, "waiting", |_: Context<()>| wait());
    role(sim, "releasing", |_: Context<()>| async {
        sleep(2 * SECOND).await;
        Node::current().named::<SlowMessage>("slow").release();
    });
    root.expect_whole_or_gone(sim, 3, &["slow", "tally"]);
    root.stop(sim);
}

async fn count() {
    let tally = CountsRef::from(Node::current().named::<TallyMessage>("tally"));
    for _ in 0..2 {
        tally.reset();
        sleep(SECOND / 4).await;
        answered(tally.add(3).await, 3);
        let forgotten = tally.forget().await;
        let holds = matches!(forgotten, Err(CallError::NoReply | CallError::Down(_)));
        must(holds, || format!("{forgotten:?}"));
    }
}

async fn ask_slowly(by: u32) {
    let slow = Node::current().named::<SlowMessage>("slow");
    for _ in 0..2 {
        answered(slow.slowly(by).await, by + 1);
        sleep(SECOND / 8).await;
    }
}

/// Waits for whoever releases it; in vain, if that one was struck.
async fn wait() {
    let slow = Node::current().named::<SlowMessage>("slow");
    let answer = slow.wait().timeout(4 * SECOND).await;
    let holds = matches!(
        answer,
        Ok(7) | Err(CallError::Down(_) | CallError::TimedOut)
    );
    must(holds, || format!("{answer:?}"));
}
