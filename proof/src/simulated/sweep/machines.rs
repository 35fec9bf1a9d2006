//! Scenarios of state machines and agents.

use resurgam::sim::Sim;
use resurgam::{
    Agent, AgentServer, CallError, ChildSpec, Context, Event, ExitReason, GenStatem, InitError,
    ProcessRef, Reply, StatemContext, Strategy, Supervisor, Transition, sleep,
};

use super::{Root, SECOND, answered, must, role};

/// A door that opens after a while; who wants to go through waits for that.
struct Door;

#[derive(PartialEq)]
enum State {
    Shut,
    Open,
}

enum Ask {
    /// Go through, when it is open: one more than the number.
    Through(u32, Reply<u32>),
    Shut,
    /// Answer, then stop.
    Stop(u32, Reply<u32>),
}

impl GenStatem for Door {
    type Args = ();
    type State = State;
    type Message = Ask;
    type Internal = ();
    type Timeout = u8;

    async fn init((): (), ctx: &mut StatemContext<Self>) -> Result<(State, Self), InitError> {
        ctx.state_timeout(SECOND, ());
        ctx.generic_timeout(0, 2 * SECOND, ());
        Ok((State::Shut, Self))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &State,
        ctx: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        Ok(match (state, event) {
            (State::Shut, event @ Event::Message(Ask::Through(..))) => {
                Transition::keep_state().postpone(event)
            }
            (State::Shut, Event::StateTimeout(())) => Transition::next_state(State::Open),
            (State::Open, Event::Message(Ask::Through(number, reply))) => {
                reply.send(number + 1);
                ctx.timeout(SECOND, ());
                Transition::keep_state()
            }
            (State::Open, Event::Message(Ask::Shut)) => {
                ctx.state_timeout(SECOND, ());
                Transition::next_state(State::Shut)
            }
            (_, Event::Message(Ask::Stop(number, reply))) => {
                reply.send(number + 1);
                return Err(ExitReason::Normal);
            }
            _ => Transition::keep_state(),
        })
    }
}

/// Callers whose calls are postponed, one that has the machine shut again, one
/// that has it stop: each call has one outcome.
pub(super) fn statem(sim: &mut Sim) {
    let door = || Door::builder(()).name("door");
    let top = Supervisor::builder(Strategy::OneForOne);
    let root = Root::start(
        sim,
        top.child(ChildSpec::statem_with::<Door, _>("door", door)),
    );
    for caller in 0..2 {
        role(sim, "caller", move |_: Context<()>| go_through(caller));
    }
    role(sim, "stopper", |_: Context<()>| async {
        sleep(2 * SECOND).await;
        let door = ProcessRef::<Ask>::named("door");
        door.cast(Ask::Shut);
        go_through(20).await;
        let stopped = door.call(|reply| Ask::Stop(1, reply)).no_timeout().await;
        answered(stopped, 2);
    });
    let door = sim.node().named::<Ask>("door");
    sim.outside(async move {
        let call = door.call(|reply| Ask::Through(7, reply)).no_timeout();
        let answer = call.await;
        assert!(
            matches!(answer, Ok(8) | Err(CallError::Down(_))),
            "{answer:?}"
        );
    });
    root.expect_whole_or_gone(sim, 2, &["door"]);
    root.stop(sim);
}

async fn go_through(number: u32) {
    let door = ProcessRef::<Ask>::named("door");
    for number in [number, number + 10] {
        let call = door.call(|reply| Ask::Through(number, reply)).no_timeout();
        answered(call.await, number + 1);
        sleep(SECOND / 2).await;
    }
}

/// An agent that is asked, changed, broken and stopped.
pub(super) fn agent(sim: &mut Sim) {
    let agent = || Agent::builder(|| 0_u32).name("agent");
    let spec = ChildSpec::server_with::<AgentServer<u32>, _>("agent", agent);
    let root = Root::start(sim, Supervisor::builder(Strategy::OneForOne).child(spec));
    for _ in 0..2 {
        role(sim, "user", |_: Context<()>| async {
            let agent = Agent::<u32>::named("agent");
            let before = agent.update(|n| *n += 1).no_timeout().await;
            agent.cast(|n| *n += 1);
            let after = agent.get(|n| *n).no_timeout().await;
            let both = before.is_ok() && after.is_ok();
            // It may be another agent by now, which has seen the cast at most.
            must(!both || after.clone().is_ok_and(|n| n <= 4), || {
                format!("{after:?}")
            });
            let doubled = agent
                .get_and_update(|n| (2 * *n, 2 * *n))
                .no_timeout()
                .await;
            must(matches!(doubled, Ok(_) | Err(CallError::Down(_))), || {
                format!("{doubled:?}")
            });
        });
    }
    role(sim, "breaker", |_: Context<()>| async {
        let agent = Agent::<u32>::named("agent");
        sleep(SECOND).await;
        let broken = agent.update(|_| panic!("broken")).no_timeout().await;
        must(matches!(broken, Err(CallError::Down(_))), || {
            format!("{broken:?}")
        });
        let _ = agent.stop(ExitReason::Normal).await;
    });
    root.expect_whole_or_gone(sim, 2, &["agent"]);
    root.stop(sim);
}
