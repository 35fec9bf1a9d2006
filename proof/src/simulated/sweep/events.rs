//! Scenarios of event managers.

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, EventHandler, EventManager, EventServer, ExitReason, HandlerEnd,
    HandlerError, HandlerExit, Message, Reply, Strategy, Supervisor, monitor, sleep,
};

use super::{Root, SECOND, is_a_blow, must, role};

/// What is noted by the handlers.
#[derive(Debug)]
enum News {
    Number(u32),
    /// Who has that number is to fail.
    Fail(u32),
}

type Manager = EventManager<News>;

/// Adds up the numbers.
struct Sum {
    own: u32,
    sum: u32,
}

struct AskSum(Reply<u32>);

impl EventHandler for Sum {
    type Args = u32;
    type Event = News;
    type Request = AskSum;
    type Output = u32;

    async fn init(own: u32) -> Result<Self, ExitReason> {
        Ok(Self { own, sum: 0 })
    }

    async fn handle_event(&mut self, event: &News) -> Result<(), ExitReason> {
        match event {
            News::Number(number) => self.sum += number,
            News::Fail(whose) if *whose == self.own => return Err(failure()),
            News::Fail(_) => {}
        }
        sleep(SECOND / 8).await;
        Ok(())
    }

    async fn handle_call(&mut self, AskSum(reply): AskSum) -> Result<(), ExitReason> {
        reply.send(self.sum);
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) -> u32 {
        self.sum
    }
}

fn failure() -> ExitReason {
    ExitReason::custom("told to fail")
}

fn manager() -> Manager {
    Manager::named("events")
}

/// Owners of handlers are told of the end of each, once: it fails, is deleted,
/// or its manager ends; a handler whose owner
/// ends goes too. Whoever asks is answered.
pub(super) fn events(sim: &mut Sim) {
    let events = || Manager::builder().name("events");
    let spec = ChildSpec::server_with::<EventServer<News>, _>("events", events);
    let root = Root::start(sim, Supervisor::builder(Strategy::OneForOne).child(spec));
    for (number, name) in (0..).zip(["fails", "is deleted", "is left"]) {
        role(sim, name, move |ctx| own(ctx, number, name));
    }
    role(sim, "user", |_: Context<()>| async {
        sleep(SECOND).await;
        let events = manager();
        events.notify(News::Number(1));
        let _ = events.sync_notify(News::Fail(0)).await;
        let sum = events.call(Sum::id_as("is deleted"), AskSum).await;
        must(matches!(sum, Ok(0 | 1) | Err(_)), || format!("{sum:?}"));
        match events.delete_handler(Sum::id_as("is deleted")).await {
            Ok(sum) => must(sum <= 1, || format!("{sum}")),
            Err(HandlerError::Failed(reason)) => must(is_a_blow(&reason), || reason.to_string()),
            Err(_) => {}
        }
    });
    root.expect_whole_or_gone(sim, 2, &["events"]);
    if root.lives(sim.node()) {
        let events = Manager::named_on(sim.node(), "events");
        let left = sim.run(async move { events.which_handlers().await });
        // It may have been struck just now.
        let left = left.unwrap_or_default();
        assert!(left.is_empty(), "handlers of the ended: {left:?}");
    }
    root.stop(sim);
}

async fn own(mut ctx: Context<HandlerExit>, number: u32, name: &'static str) {
    let watched = monitor("events");
    let (id, owner) = (Sum::id_as(name), ctx.self_ref());
    let events = manager();
    let adding = events.add_supervised_handler(id, number, owner, |exit| exit);
    if adding.await.is_err() {
        return;
    }
    if name == "is left" {
        return sleep(2 * SECOND).await;
    }
    loop {
        // If nobody else ends it, its owner does.
        let Some(message) = ctx.receive_timeout(10 * SECOND).await else {
            let _ = events.delete_handler(Sum::id_as(name)).await;
            continue;
        };
        match message {
            Message::User(exit) => break must(is_right(&exit.why), || format!("{exit:?}")),
            Message::Down(down) => {
                must(down.reference == watched, || format!("{down:?}"));
                // The link tells who does not trap; it came before.
                must(is_a_blow(&down.reason), || format!("{down:?}"));
            }
            Message::Exit(exit) => must(false, || format!("{exit:?}")),
        }
    }
    let more = ctx.receive_timeout(SECOND).await;
    must(!matches!(more, Some(Message::User(_))), || {
        format!("told twice: {more:?}")
    });
}

/// Whether a handler may have ended so.
fn is_right(end: &HandlerEnd) -> bool {
    match end {
        HandlerEnd::Deleted | HandlerEnd::Stopped => true,
        HandlerEnd::Failed(reason) => is_a_blow(reason),
        _ => false,
    }
}
