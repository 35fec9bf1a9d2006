//! Savina's *chameneos*.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Colour;

/// A creature at the mall.
struct Visitor {
    colour: Colour,
    creature: UnboundedSender<Encounter>,
}

enum Encounter {
    Meet(Visitor),
    Change(Colour),
    Closed,
}

/// Creatures meet by two at the mall, which the driver keeps.
pub(super) async fn chameneos(creatures: u64, meetings: u64) -> Duration {
    in_task(async move {
        let (mall, mut visitors) = unbounded_channel();
        let began = Instant::now();
        for n in 0..creatures {
            tokio::spawn(creature(Colour::of(n), mall.clone()));
        }
        for _ in 0..meetings {
            let first = visitor(&mut visitors).await;
            let second = visitor(&mut visitors).await;
            first.creature.send(Encounter::Meet(second)).expect(OPEN);
        }
        let took = began.elapsed();
        for _ in 0..creatures {
            let last = visitor(&mut visitors).await;
            last.creature.send(Encounter::Closed).expect(OPEN);
        }
        took
    })
    .await
}

async fn visitor(mall: &mut UnboundedReceiver<Visitor>) -> Visitor {
    mall.recv().await.expect("creatures that live")
}

async fn creature(mut colour: Colour, mall: UnboundedSender<Visitor>) {
    let (creature, mut encounters) = unbounded_channel();
    loop {
        let creature = creature.clone();
        mall.send(Visitor { colour, creature }).expect(OPEN);
        match encounters.recv().await {
            Some(Encounter::Meet(other)) => {
                colour = colour.after(other.colour);
                other.creature.send(Encounter::Change(colour)).expect(OPEN);
            }
            Some(Encounter::Change(changed)) => colour = changed,
            Some(Encounter::Closed) | None => return,
        }
    }
}
