//! actix: two arbiters, each a thread with actors that stay there. Actors that
//! talk much with each other are put on the same one. A panic takes the other
//! actors of its thread along, so there is nothing to compare with supervisors.

use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, Arbiter, ArbiterHandle, AsyncContext, Context, Handler, Message,
    System,
};
use resurgam_workloads::{Outcome, Workload};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actors::{Address, Behaviour, Flow, Peer};

/// The two threads.
static ARBITERS: OnceLock<[ArbiterHandle; 2]> = OnceLock::new();

fn arbiter(group: u64) -> &'static ArbiterHandle {
    &ARBITERS.get().expect("set before anything runs")[group as usize % 2]
}

pub(super) enum Actix {}

impl Peer for Actix {
    type Address<B: Behaviour> = Addr<Shell<B>>;
    type Server = Addr<Word>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        let system = System::new();
        let arbiters = system.block_on(async { [Arbiter::new(), Arbiter::new()] });
        assert!(
            ARBITERS
                .set(arbiters.map(|arbiter| arbiter.handle()))
                .is_ok()
        );
        let (tell, told) = mpsc::channel();
        arbiter(0).spawn(async move { drop(tell.send(driver.await)) });
        told.recv().expect("the driver does its work")
    }

    fn launch(group: u64, future: impl Future<Output = ()> + Send + 'static) {
        arbiter(group).spawn(future);
    }

    async fn spawn<B: Behaviour>(group: u64, behaviour: B) -> Addr<Shell<B>> {
        // The driver is on the first arbiter.
        if group.is_multiple_of(2) {
            return Shell(behaviour).start();
        }
        Shell::start_in_arbiter(arbiter(group), |_| Shell(behaviour))
    }

    async fn serve(group: u64, _word: u64) -> Addr<Word> {
        Word::start_in_arbiter(arbiter(group), move |_| Word { _word })
    }

    async fn ask(server: &Addr<Word>, n: u64) -> u64 {
        server.send(Ask(n)).await.expect("the server answers")
    }

    async fn special(workload: Workload) -> Option<Outcome> {
        Some(match workload {
            Workload::TimerCancelled { count } => timers(Timers::Cancelled(count)).await.into(),
            Workload::TimerFired { count } => timers(Timers::Fired(count)).await.into(),
            _ => return None,
        })
    }
}

/// An actor around a behaviour.
pub(super) struct Shell<B>(B);

/// What an actor around a behaviour is sent.
pub(super) struct Carried<M>(M);

impl<M: 'static> Message for Carried<M> {
    type Result = ();
}

impl<B: Behaviour> Actor for Shell<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.0.begin() == Flow::Stop {
            ctx.stop();
        }
    }
}

impl<B: Behaviour> Handler<Carried<B::Message>> for Shell<B> {
    type Result = ();

    fn handle(&mut self, message: Carried<B::Message>, ctx: &mut Context<Self>) {
        if self.0.handle(message.0) == Flow::Stop {
            ctx.stop();
        }
    }
}

impl<B: Behaviour> Address<B::Message> for Addr<Shell<B>> {
    fn send(&self, message: B::Message) {
        self.do_send(Carried(message));
    }
}

/// A server that answers.
pub(super) struct Word {
    _word: u64,
}

impl Actor for Word {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // No caller is to wait for room.
        ctx.set_mailbox_capacity(1_000);
    }
}

struct Ask(u64);

impl Message for Ask {
    type Result = u64;
}

impl Handler<Ask> for Word {
    type Result = u64;

    fn handle(&mut self, Ask(n): Ask, _: &mut Context<Self>) -> u64 {
        n
    }
}

// Timers: an actor's own.

/// How many timers there are before they are cancelled.
const BATCH: u64 = 1_000;

#[derive(Copy, Clone)]
enum Timers {
    Cancelled(u64),
    Fired(u64),
}

impl Message for Timers {
    type Result = ();
}

/// Sets timers when it is told to.
struct Clock {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Clock {
    fn end(&mut self) {
        if let Some(done) = self.done.take() {
            done.send(()).expect("the driver waits");
        }
    }
}

impl Actor for Clock {
    type Context = Context<Self>;
}

impl Handler<Timers> for Clock {
    type Result = ();

    fn handle(&mut self, timers: Timers, ctx: &mut Context<Self>) {
        match timers {
            Timers::Cancelled(0) => self.end(),
            Timers::Cancelled(left) => {
                let hour = Duration::from_secs(3600);
                let timers: Vec<_> = (0..BATCH).map(|_| ctx.notify_later(Tick, hour)).collect();
                for timer in timers {
                    ctx.cancel_future(timer);
                }
                // The context clears away what was cancelled between messages.
                ctx.notify(Timers::Cancelled(left - BATCH));
            }
            Timers::Fired(count) => {
                self.left = count;
                for _ in 0..count {
                    ctx.notify_later(Tick, Duration::from_millis(1));
                }
            }
        }
    }
}

struct Tick;

impl Message for Tick {
    type Result = ();
}

impl Handler<Tick> for Clock {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.end();
        }
    }
}

async fn timers(timers: Timers) -> Duration {
    let (done, end) = oneshot::channel();
    let done = Some(done);
    let clock = Clock { left: 0, done }.start();
    let began = Instant::now();
    clock.do_send(timers);
    end.await.expect("the clock does its work");
    began.elapsed()
}
