//! Timers: send_after, cancel, receive with a time-out; and a clock that is
//! moved by hand, so that hours pass at once.
//!
//! ```erlang
//! Never = erlang:send_after(1800000, Pid, "never"),
//! erlang:cancel_timer(Never),                % How long it had still to run.
//! receive Text -> Text after 3600000 -> nothing end.
//! ```
//!
//! Run it: `cargo run --example 07_timers`

use std::time::{Duration, Instant};

use resurgam::{Context, ManualClock, Message, Node, now};

const HOUR: Duration = Duration::from_secs(3600);

/// Receives a message, then waits for another one for an hour.
async fn patient(mut ctx: Context<&'static str>, began: Instant) {
    let first = ctx.receive().await;
    println!("after {:?}: {first:?}", now() - began);
    assert_eq!(first, Message::User("an hour is over"));
    assert_eq!(now() - began, HOUR);

    let second = ctx.receive_timeout(HOUR).await;
    println!("after {:?}: {second:?}", now() - began);
    assert_eq!(second, None);
    assert_eq!(now() - began, 2 * HOUR);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new();
    let node = Node::builder().clock(clock.clone()).start()?;
    let began = node.now();
    let patient = node.spawn(move |ctx| patient(ctx, began))?;
    let pid = patient.pid().ok_or("no pid")?;

    node.send_after(HOUR, pid, "an hour is over");
    let never = node.send_after(HOUR / 2, pid, "half an hour is over");
    let left = node.cancel_timer(never);
    println!("cancelled a timer that had {left:?} to run");
    assert_eq!(left, Some(HOUR / 2));
    assert_eq!(node.cancel_timer(never), None);

    // Fires what is due on the way: one message.
    clock.advance(HOUR);
    // Waits until a time-out is armed, then jumps to its end.
    clock.advance_to_next().await;

    assert!(patient.join().await.is_normal());
    Ok(())
}
