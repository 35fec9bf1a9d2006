//! The paths of behaviours, registries and buses.

use std::convert::Infallible;
use std::hint::black_box;

use resurgam::{
    Agent, Context, Event, EventHandler, EventManager, ExitReason, GenStatem, Groups, HandlerEnd,
    InitError, Message, Overflow, PubSub, Registry, Reply, StatemContext, Task, Transition,
    self_pid, spawn_options,
};

use super::resurgam::{Ping, pong, spawn_deaf};
use crate::path::Path;

/// Runs one of these paths in the process that calls.
pub(super) async fn take(path: Path, ctx: Context<()>, operations: u64) {
    match path {
        Path::Statem => statem(operations).await,
        Path::Task => task(operations).await,
        Path::Agent => agent(operations).await,
        Path::Event => event(operations).await,
        Path::Lookup => lookup(operations).await,
        Path::Members => members(operations).await,
        Path::Broadcast => broadcast(ctx, operations).await,
        Path::Bounded => bounded(operations).await,
        Path::IdleStatem => idle_statems(operations).await,
        other => unreachable!("{} is no path of a behaviour", other.name()),
    }
}

/// A light that goes on and off; each switch is a call.
struct Light(u32);

#[derive(PartialEq)]
enum State {
    Off,
    On,
}

struct Switch(Reply<u32>);

impl GenStatem for Light {
    type Args = ();
    type State = State;
    type Message = Switch;
    type Internal = Infallible;
    type Timeout = Infallible;

    async fn init((): (), _: &mut StatemContext<Self>) -> Result<(State, Self), InitError> {
        Ok((State::Off, Self(0)))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &State,
        _: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        let Event::Message(Switch(reply)) = event else {
            return Ok(Transition::keep_state());
        };
        self.0 += 1;
        reply.send(self.0);
        Ok(Transition::next_state(match state {
            State::Off => State::On,
            State::On => State::Off,
        }))
    }
}

async fn statem(operations: u64) {
    let light = Light::start(()).await.expect("the machine starts");
    for n in 1..=operations as u32 {
        assert_eq!(light.call(Switch).await, Ok(n));
    }
}

async fn task(operations: u64) {
    for n in 0..operations {
        let task = Task::spawn_link(async move { n }).expect("a node with room");
        assert_eq!(task.await, Ok(n));
    }
}

async fn agent(operations: u64) {
    let counter = Agent::start(|| 0_u16).await.expect("the agent starts");
    for n in 0..operations {
        let before = counter.get_and_update(|count| {
            *count = count.wrapping_add(1);
            count.wrapping_sub(1)
        });
        assert_eq!(before.await, Ok(n as u16));
    }
}

struct Sum(u64);

impl EventHandler for Sum {
    type Args = ();
    type Event = u64;
    type Request = Infallible;
    type Output = u64;

    async fn init((): ()) -> Result<Self, ExitReason> {
        Ok(Self(0))
    }

    async fn handle_event(&mut self, n: &u64) -> Result<(), ExitReason> {
        self.0 += n;
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) -> u64 {
        self.0
    }
}

/// An event for one handler.
async fn event(operations: u64) {
    let manager = EventManager::start_link().await.expect("it starts");
    manager.add_handler(Sum::id(), ()).await.expect("it runs");
    for _ in 1..operations {
        manager.notify(1);
    }
    manager.sync_notify(1).await.expect("it runs");
    let sum = manager.delete_handler(Sum::id()).await;
    assert_eq!(sum, Ok(operations));
}

async fn lookup(operations: u64) {
    let registry = Registry::<u64, ()>::unique();
    registry.builder().start_link().await.expect("it starts");
    registry.register(7, ()).expect("the key is free");
    for _ in 0..operations {
        assert!(registry.whereis(black_box(&7)).is_some());
    }
}

/// A group of ten.
async fn members(operations: u64) {
    let groups = Groups::builder("scope").start_link().await;
    drop(groups.expect("the scope starts"));
    let groups = Groups::named("scope");
    for _ in 0..10 {
        let member = spawn_deaf::<()>().pid().expect("it was spawned");
        groups.join("group", member).await.expect("the scope runs");
    }
    for _ in 0..operations {
        assert_eq!(groups.members(black_box("group")).len(), 10);
    }
}

/// An event for one subscriber, which receives it.
async fn broadcast(mut ctx: Context<()>, operations: u64) {
    let bus = PubSub::<u64>::new();
    bus.builder().start_link().await.expect("the bus starts");
    bus.subscribe("topic", ctx.self_ref(), |_| ())
        .expect("the bus runs");
    for n in 0..operations {
        assert_eq!(bus.broadcast("topic", n), 1);
        assert_eq!(ctx.receive().await, Message::User(()));
    }
}

/// As `Message`, to a process whose mailbox has a bound.
async fn bounded(operations: u64) {
    let ping = spawn_options().mailbox(16, Overflow::Refuse);
    let ping = ping.spawn(move |mut ctx: Context<u64>| async move {
        let pong = spawn_options().mailbox(16, Overflow::Refuse).spawn(pong);
        let pong = pong.expect("a node with room").process;
        for _ in 0..operations / 2 {
            pong.cast(Ping(ctx.self_ref()));
            ctx.receive().await;
        }
    });
    ping.expect("a node with room").process.join().await;
}

async fn idle_statems(count: u64) {
    let mut machines = Vec::with_capacity(count as usize);
    for _ in 0..count {
        machines.push(Light::start(()).await.expect("the machine starts"));
    }
    assert_ne!(
        machines.last().and_then(|last| last.pid()),
        Some(self_pid())
    );
    std::mem::forget(machines);
}
