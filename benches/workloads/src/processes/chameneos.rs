//! Savina's *chameneos*.

use std::time::Duration;

use resurgam::{Context, Message, Node, ProcessRef, spawn};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Colour;

/// A creature at the mall.
struct Visitor {
    colour: Colour,
    creature: ProcessRef<Encounter>,
}

enum Encounter {
    Meet(Visitor),
    Change(Colour),
    Closed,
}

/// Creatures meet by two at the mall, which the driver keeps.
pub(super) async fn chameneos(node: &Node, creatures: u64, meetings: u64) -> Duration {
    in_process(node, move |mut ctx: Context<Visitor>| async move {
        let began = Instant::now();
        for n in 0..creatures {
            let mall = ctx.self_ref();
            spawn(move |ctx| creature(ctx, Colour::of(n), mall)).expect(ROOM);
        }
        for _ in 0..meetings {
            let first = visitor(&mut ctx).await;
            let second = visitor(&mut ctx).await;
            first.creature.cast(Encounter::Meet(second));
        }
        let took = began.elapsed();
        for _ in 0..creatures {
            visitor(&mut ctx).await.creature.cast(Encounter::Closed);
        }
        took
    })
    .await
}

async fn visitor(mall: &mut Context<Visitor>) -> Visitor {
    match mall.receive().await {
        Message::User(visitor) => visitor,
        _ => unreachable!("nothing is linked to the mall or watched by it"),
    }
}

async fn creature(mut ctx: Context<Encounter>, mut colour: Colour, mall: ProcessRef<Visitor>) {
    loop {
        let creature = ctx.self_ref();
        mall.cast(Visitor { colour, creature });
        match ctx.receive().await {
            Message::User(Encounter::Meet(other)) => {
                colour = colour.after(other.colour);
                other.creature.cast(Encounter::Change(colour));
            }
            Message::User(Encounter::Change(changed)) => colour = changed,
            _ => return,
        }
    }
}
