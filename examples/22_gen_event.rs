//! An event manager: handlers that come and go, each with a state of its own.
//!
//! A handler that fails is removed; the manager and the others go on. Whoever
//! adds a handler as its owner is told when it ends.
//!
//! ```elixir
//! {:ok, alarms} = :gen_event.start_link()
//! :gen_event.add_handler(alarms, Count, 0)
//! :gen_event.add_sup_handler(alarms, Printer, [])
//! :gen_event.notify(alarms, {:smoke, 3})
//! :gen_event.call(alarms, Count, :get)
//! ```
//!
//! Run it: `cargo run --example 22_gen_event`

use resurgam::{
    Context, EventHandler, EventManager, ExitReason, HandlerEnd, HandlerExit, Message, Node, Reply,
};

/// Smoke, on this floor.
struct Smoke(u32);

struct Count(u32);

struct Get(Reply<u32>);

impl EventHandler for Count {
    type Args = u32;
    type Event = Smoke;
    type Request = Get;
    type Output = u32;

    async fn init(start: u32) -> Result<Self, ExitReason> {
        Ok(Self(start))
    }

    async fn handle_event(&mut self, _: &Smoke) -> Result<(), ExitReason> {
        self.0 += 1;
        Ok(())
    }

    async fn handle_call(&mut self, Get(reply): Get) -> Result<(), ExitReason> {
        reply.send(self.0);
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) -> u32 {
        self.0
    }
}

/// Prints, as long as the floors are in its book.
struct Printer;

impl EventHandler for Printer {
    type Args = ();
    type Event = Smoke;
    type Request = std::convert::Infallible;
    type Output = ();

    async fn init((): ()) -> Result<Self, ExitReason> {
        Ok(Self)
    }

    async fn handle_event(&mut self, Smoke(floor): &Smoke) -> Result<(), ExitReason> {
        const NAMES: [&str; 3] = ["cellar", "hall", "attic"];
        let name = NAMES.get(*floor as usize).ok_or_else(|| {
            let why = format!("there is no floor {floor}");
            ExitReason::custom(why)
        })?;
        println!("smoke in the {name}");
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) {}
}

async fn watch(mut ctx: Context<HandlerExit>) -> Result<(), ExitReason> {
    let alarms = EventManager::start_link().await?;
    alarms.add_handler(Count::id(), 0).await?;
    let me = ctx.self_ref();
    alarms
        .add_supervised_handler(Printer::id(), (), me, |exit| exit)
        .await?;

    for floor in [1, 0, 7, 2] {
        alarms.notify(Smoke(floor));
    }
    if let Message::User(HandlerExit { handler, why }) = ctx.receive().await {
        println!("{handler} ended: {why:?}");
    }
    // Nothing was printed of the attic, but it was counted.
    println!("alarms: {}", alarms.call(Count::id(), Get).await?);

    let counted = alarms.delete_handler(Count::id()).await?;
    assert_eq!(counted, 4);
    assert_eq!(alarms.which_handlers().await?, []);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let watch = node.spawn(watch)?;
    assert!(node.block_on(watch.join()).is_normal());
    Ok(())
}
