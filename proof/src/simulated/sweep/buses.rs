//! A scenario of a bus: what is broadcast comes in order and without a gap, to
//! whoever is subscribed.

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, Message, PubSub, RegistryServer, Strategy, Supervisor, sleep, trap_exit,
};

use super::{Root, SECOND, is_a_blow, is_end_of_node, must, role};

type Bus = PubSub<u32>;

const TOPIC: &str = "topic";

/// Three listeners of one who broadcasts; in the end nobody is subscribed.
pub(super) fn buses(sim: &mut Sim) {
    let bus = Bus::new();
    let server = bus.clone();
    let spec = ChildSpec::server_with::<RegistryServer, _>("bus", move || server.builder());
    let root = Root::start(sim, Supervisor::builder(Strategy::OneForOne).child(spec));
    for traps in [true, false] {
        let bus = bus.clone();
        role(sim, "listener", move |ctx| listen(bus, ctx, traps));
    }
    let twice = bus.clone();
    role(sim, "listener twice", move |ctx| listen_twice(twice, ctx));
    let source = bus.clone();
    role(sim, "source", move |_: Context<()>| broadcast(source));
    root.expect_whole_or_gone(sim, 2, &[]);
    let left = bus.subscribers(TOPIC);
    assert!(left.is_empty(), "subscriptions of the dead: {left:?}");
    root.stop(sim);
}

async fn broadcast(bus: Bus) {
    for number in 1..=8 {
        let reached = bus.broadcast(TOPIC, number);
        must(reached <= 4, || format!("{reached} subscriptions"));
        bus.broadcast("other topic", 1000);
        sleep(SECOND / 4).await;
    }
}

/// What came last, and whether it must be followed by the next.
#[derive(Debug, Default)]
struct Heard {
    last: u32,
    begun: bool,
}

impl Heard {
    fn hear(&mut self, number: u32) {
        let holds = if self.begun {
            number == self.last + 1
        } else {
            number > self.last
        };
        must(holds, || format!("{number} after {self:?}"));
        *self = Self {
            last: number,
            begun: true,
        };
    }
}

/// Subscribes, again when the bus was restarted, if it outlives that.
async fn listen(bus: Bus, mut ctx: Context<u32>, traps: bool) {
    trap_exit(traps);
    let mut heard = Heard::default();
    for _ in 0..4 {
        heard.begun = false;
        if bus
            .subscribe(TOPIC, ctx.self_ref(), |number| number)
            .is_err()
        {
            sleep(SECOND / 8).await;
            continue;
        }
        loop {
            match ctx.receive_timeout(SECOND).await {
                Some(Message::User(number)) => heard.hear(number),
                Some(exit) if is_end_of_node(&exit) => return,
                Some(Message::Exit(exit)) => {
                    must(traps && is_a_blow(&exit.reason), || format!("{exit:?}"));
                    break;
                }
                Some(other) => return must(false, || format!("{other:?}")),
                // The one who broadcasts is done, or was struck.
                None => return leave(&bus, &mut ctx, 1).await,
            }
        }
    }
}

/// Has each number by both its subscriptions, for a while; then none.
async fn listen_twice(bus: Bus, mut ctx: Context<u32>) {
    for _ in 0..2 {
        if bus
            .subscribe(TOPIC, ctx.self_ref(), |number| number)
            .is_err()
        {
            return;
        }
    }
    let mut heard = Heard::default();
    while heard.last < 4 {
        let Some(Message::User(number)) = ctx.receive_timeout(SECOND).await else {
            break;
        };
        heard.hear(number);
        let again = ctx.receive().await;
        let is_the_same = matches!(again, Message::User(again) if again == number);
        must(is_the_same, || format!("{again:?} after {number}"));
    }
    leave(&bus, &mut ctx, 2).await;
    // What was being broadcast then may still come.
    let more = ctx.receive_timeout(SECOND).await;
    let next = Message::User(heard.last + 1);
    must(more.as_ref().is_none_or(|more| *more == next), || {
        format!("{more:?} after the last")
    });
}

/// Ends these many subscriptions. There is none if the bus has fallen, and then
/// that is about to be told, or to end this process.
async fn leave(bus: &Bus, ctx: &mut Context<u32>, subscriptions: usize) {
    let ended = bus.unsubscribe(TOPIC);
    if ended == 0 {
        while !matches!(ctx.receive().await, Message::Exit(_)) {}
    } else {
        must(ended == subscriptions, || format!("{ended} subscriptions"));
    }
}
