//! What lies in a mailbox, and in which order it is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use resurgam::sim::Sim;
use resurgam::{
    AliasMode, Context, ExitReason, Message, MessageRef, ProcessRef, alias_priority, exit, sleep,
    spawn,
};

use super::{SECOND, Scenario, play};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("a_selective_receive_looks_at_each_message_once", looks_once),
    ("a_mark_spares_what_came_before_it", mark),
    ("priority_overtakes_messages", overtakes),
    ("priority_overtakes_no_exit_of_its_sender", exit_first),
];

/// Sends these numbers, one a second.
fn send_slowly(to: ProcessRef<u32>, numbers: std::ops::Range<u32>) {
    let sender = move |_: Context<()>| async move {
        for number in numbers {
            to.cast(number);
            sleep(SECOND).await;
        }
    };
    spawn(sender).expect("the node takes processes");
}

/// Waits for this number; how many messages were looked at.
fn wanted(number: u32, looks: &mut u32) -> impl FnMut(MessageRef<'_, u32>) -> bool {
    move |message| {
        *looks += 1;
        message == MessageRef::User(&number)
    }
}

fn looks_once(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u32>| async move {
        let mut looks = 0;
        send_slowly(ctx.self_ref(), 0..6);
        let last = ctx.receive_match(wanted(5, &mut looks)).await;
        assert_eq!((last, looks), (Message::User(5), 6));
    });
}

fn mark(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u32>| async move {
        let mut looks = 0;
        send_slowly(ctx.self_ref(), 0..3);
        sleep(4 * SECOND).await;
        let mark = ctx.mark();
        send_slowly(ctx.self_ref(), 3..4);
        let last = ctx.receive_match(wanted(3, &mut looks)).since(mark);
        assert_eq!(last.await, Message::User(3));
        assert_eq!(looks, 1, "what was there before was looked at");
    });
}

fn overtakes(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u32>| async move {
        let (me, urgent) = (ctx.self_ref(), alias_priority::<u32>(AliasMode::Explicit));
        let sender = move |_: Context<()>| async move {
            me.cast(1);
            urgent.send(2);
            urgent.send_priority(3);
            urgent.send_priority(4);
        };
        spawn(sender).expect("the node takes processes");
        sleep(SECOND).await;
        for expected in [3, 4, 1, 2] {
            assert_eq!(ctx.try_receive(), Some(Message::User(expected)));
        }
    });
}

fn exit_first(sim: &mut Sim) {
    let received = Arc::new(AtomicU32::new(0));
    let noted = Arc::clone(&received);
    play(sim, |mut ctx: Context<resurgam::Alias<u32>>| async move {
        let teller = ctx.self_ref();
        let target = move |mut ctx: Context<u32>| async move {
            teller.cast(alias_priority::<u32>(AliasMode::Explicit));
            while let Message::User(number) = ctx.receive().await {
                noted.fetch_add(number, Ordering::Relaxed);
            }
        };
        let target = spawn(target).expect("the node takes processes");
        let Message::User(urgent) = ctx.receive().await else {
            panic!("no alias");
        };
        let reason = ExitReason::custom("the end");
        exit(target.pid().expect("it was spawned"), reason.clone());
        urgent.send_priority(7);
        assert_eq!(target.join().await, reason);
    });
    let received = received.load(Ordering::Relaxed);
    assert_eq!(received, 0, "a message that was sent after the exit");
}
