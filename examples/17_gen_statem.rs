//! A state machine: a door that opens for a code, and locks itself again.
//!
//! What an event does depends on the state. What cannot be done yet is
//! postponed until the state changes; timeouts belong to a state, or to a
//! silence between events.
//!
//! ```erlang
//! handle_event(cast, {digit, _}, locked, Data) -> {next_state, open, Data};
//! handle_event({call, _}, enter, locked, _)    -> {keep_state_and_data, [postpone]};
//! handle_event({call, From}, enter, open, _)   -> {keep_state_and_data, [{reply, From, welcome}]};
//! handle_event(state_timeout, lock, open, D)   -> {next_state, locked, D}.
//! ```
//!
//! Run it: `cargo run --example 17_gen_statem`

use std::convert::Infallible;
use std::time::Duration;

use resurgam::{
    Event, ExitReason, GenStatem, InitError, ManualClock, Node, Reply, StatemContext, Transition,
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq)]
enum State {
    Locked,
    Open,
}

enum Msg {
    Digit(u8),
    Enter(Reply<&'static str>),
}

/// What the door tells itself later.
enum Own {
    Forget,
    Lock,
}

struct Door {
    code: Vec<u8>,
    typed: Vec<u8>,
}

impl GenStatem for Door {
    type Args = Vec<u8>;
    type State = State;
    type Message = Msg;
    type Internal = Own;
    type Timeout = Infallible;

    async fn init(code: Vec<u8>, _: &mut StatemContext<Self>) -> Result<(State, Self), InitError> {
        let typed = Vec::new();
        Ok((State::Locked, Self { code, typed }))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &State,
        ctx: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        use State::{Locked, Open};
        Ok(match (state, event) {
            (Locked, Event::Message(Msg::Digit(digit))) => {
                self.typed.push(digit);
                if self.typed == self.code {
                    return Ok(Transition::next_state(Open));
                }
                ctx.timeout(5 * SECOND, Own::Forget);
                Transition::keep_state()
            }
            (Locked, Event::Timeout(Own::Forget)) => {
                println!("  {} digits forgotten", self.typed.len());
                self.typed.clear();
                Transition::keep_state()
            }
            (Locked, event @ Event::Message(Msg::Enter(_))) => {
                println!("  somebody waits");
                Transition::keep_state().postpone(event)
            }
            (Open, Event::Message(Msg::Enter(reply))) => {
                reply.send("welcome");
                Transition::keep_state()
            }
            (Open, Event::StateTimeout(Own::Lock)) => Transition::next_state(Locked),
            _ => Transition::keep_state(),
        })
    }

    /// Runs whenever a state is entered, the first one included.
    async fn enter(
        &mut self,
        old: &State,
        state: &State,
        ctx: &mut StatemContext<Self>,
    ) -> Result<(), ExitReason> {
        println!("  {old:?} -> {state:?}");
        if *state == State::Open {
            self.typed.clear();
            ctx.state_timeout(10 * SECOND, Own::Lock);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new();
    let node = Node::builder().clock(clock.clone()).start()?;
    let door = Door::builder(vec![1, 2, 3]).on(&node).start().await?;

    println!("somebody types, and hesitates:");
    door.cast(Msg::Digit(1));
    // Waits until the timeout is armed, then jumps there.
    clock.advance_to_next().await;

    println!("a guest, and then the code:");
    let guest = door.call(Msg::Enter).no_timeout();
    let host = async { [1, 2, 3].map(|digit| door.cast(Msg::Digit(digit))) };
    let (said, _) = tokio::join!(guest, host);
    println!("  the guest is told: {}", said?);

    println!("ten seconds later:");
    clock.advance(10 * SECOND);
    door.stop(ExitReason::Normal).await?;
    Ok(())
}
