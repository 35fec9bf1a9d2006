//! What starts and stops leaves nothing behind: no process, no timer, no name,
//! and no memory.
//!
//! Each kind of thing is started and stopped so often that a table or a cache
//! is as large as it gets, then `RESURGAM_MEMORY_COUNT` times more (2000, if
//! nothing is said; CI does a million). What the allocator then has given out
//! must be what it had before, whatever the count.
//!
//! The allocator of this test counts what a thread allocates, so all runs on
//! one: a current-thread Tokio runtime. Processes on threads of their own are in
//! `memory_threads`.

use std::time::Duration;

use resurgam::{
    Agent, AliasMode, ChildSpec, Context, DynamicSupervisor, Event, EventHandler, EventManager,
    ExitReason, GenServer, GenStatem, Groups, HandlerEnd, InitError, Message, MonitorAlias, Node,
    PartitionSupervisor, PubSub, Registry, Reply, ServerContext, StatemContext, Strategy,
    Supervisor, Task, TaskSupervisor, Transition, alias, cancel_timer, demonitor, join, kill, link,
    link_priority, monitor, monitor_alias, monitor_as, monitor_priority, register, self_pid,
    send_after, spawn, spawn_link, trap_exit, unalias, unlink, unregister, yield_now,
};

/// What may be given out more than before, in bytes, whatever the count: a
/// table that grew once more.
const SLACK: i64 = 64 * 1024;
const HOUR: Duration = Duration::from_secs(3600);

fn count() -> u64 {
    let given = std::env::var("RESURGAM_MEMORY_COUNT").ok();
    given.map_or(2000, |count| count.parse().expect("a number"))
}

/// Does something often in a process, each time `share` fewer times than asked
/// for, and asserts that it leaves nothing behind.
#[track_caller]
fn leaves_nothing<F>(share: u64, often: impl Fn(Context<u64>, u64) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let node = runtime.block_on(async { Node::new().unwrap() });
    let times = |times: u64| {
        let often = often.clone();
        let done = node.spawn(move |ctx| often(ctx, times)).unwrap();
        runtime.block_on(async {
            assert!(done.join().await.is_normal(), "{}", done.join().await);
            // Those who have ended meanwhile are gone.
            while node.process_count() > 0 {
                tokio::task::yield_now().await;
            }
        });
    };
    // More than the journal of the last events holds.
    times(5000 / share.min(100));
    let left = allocation_counter::measure(|| times(count() / share));
    assert_eq!(node.timer_count(), 0, "timers are left");
    assert_eq!(node.registered(), [], "names are left");
    assert!(
        left.bytes_current < SLACK,
        "{} bytes are left after {}",
        left.bytes_current,
        count() / share
    );
    runtime.block_on(node.stop(HOUR)).unwrap();
}

async fn wait(mut ctx: Context<u64>) {
    ctx.receive().await;
}

#[test]
fn processes() {
    leaves_nothing(1, |_, times| async move {
        for n in 0..times {
            let process = spawn(wait).unwrap();
            process.cast(n);
            process.cast(n);
            process.join().await;
        }
    });
}

#[test]
fn processes_by_the_hundred() {
    leaves_nothing(100, |_, times| async move {
        for _ in 0..times {
            let all: Vec<_> = (0..100).map(|_| spawn(wait).unwrap()).collect();
            for process in &all {
                kill(process.pid().unwrap());
            }
            for process in all {
                process.join().await;
            }
        }
    });
}

#[test]
fn links_and_monitors() {
    leaves_nothing(1, |mut ctx, times| async move {
        trap_exit(true);
        for _ in 0..times {
            let process = spawn_link(wait).unwrap();
            let pid = process.pid().unwrap();
            let taken_back = monitor(pid);
            monitor(pid);
            unlink(pid);
            link(pid);
            demonitor(taken_back);
            kill(pid);
            ctx.receive().await;
            ctx.receive().await;
        }
    });
}

#[test]
fn links_and_monitors_that_are_not_plain() {
    leaves_nothing(1, |mut ctx, times| async move {
        trap_exit(true);
        for n in 0..times {
            let pid = spawn_link(wait).unwrap().pid().unwrap();
            link_priority(pid);
            monitor_priority(pid);
            monitor_as(pid, move |_| n);
            demonitor(monitor_as(pid, move |_| n));
            kill(pid);
            for _ in 0..3 {
                ctx.receive().await;
            }
        }
    });
}

#[test]
fn timers() {
    leaves_nothing(1, |mut ctx, times| async move {
        for n in 0..times {
            cancel_timer(send_after(HOUR, self_pid(), n));
            cancel_timer(send_after(HOUR, "nobody", n));
            send_after(Duration::ZERO, self_pid(), n);
            ctx.receive().await;
        }
    });
}

#[test]
fn timers_of_those_who_end() {
    leaves_nothing(1, |ctx, times| async move {
        for n in 0..times {
            let pid = spawn(wait).unwrap().pid().unwrap();
            send_after(HOUR, pid, n);
            kill(pid);
            join(pid).await;
        }
        drop(ctx);
    });
}

#[test]
fn intervals() {
    leaves_nothing(1, |_, times| async move {
        for n in 0..times {
            let interval = Node::current().send_interval(HOUR, self_pid(), n);
            interval.unwrap().cancel().await;
        }
    });
}

#[test]
fn names() {
    leaves_nothing(1, |_, times| async move {
        for n in 0..times {
            let name = format!("name {n}");
            register(name.as_str(), self_pid()).unwrap();
            unregister(&name).unwrap();
            let process = spawn(wait).unwrap();
            register(name, process.pid().unwrap()).unwrap();
            process.cast(n);
            process.join().await;
        }
    });
}

#[test]
fn aliases() {
    leaves_nothing(1, |mut ctx, times| async move {
        for n in 0..times {
            let way = alias::<u64>(AliasMode::Reply);
            way.send(n);
            way.send(n);
            unalias(&alias::<u64>(AliasMode::Explicit));
            let other = spawn(wait).unwrap();
            let pid = other.pid().unwrap();
            let (_, way) = monitor_alias::<u64>(pid, MonitorAlias::ReplyDemonitor);
            way.send(n);
            other.cast(n);
            other.join().await;
            ctx.receive().await;
            ctx.receive().await;
        }
    });
}

#[test]
fn messages_and_receives() {
    leaves_nothing(1, |mut ctx, times| async move {
        for n in 0..times {
            ctx.self_ref().cast(n);
            ctx.self_ref().cast(n + 1);
            ctx.receive_match(|m| m == resurgam::MessageRef::User(&(n + 1)))
                .await;
            assert_eq!(ctx.receive().await, Message::User(n));
            assert_eq!(ctx.receive_timeout(Duration::ZERO).await, None);
        }
    });
}

/// Answers, or keeps the question for a while.
struct Server;

enum Ask {
    Now(Reply<u64>),
    Never(Reply<u64>),
}

impl GenServer for Server {
    type Args = ();
    type Message = Ask;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self)
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Now(reply) => reply.send(7),
            Ask::Never(reply) => drop(reply),
        }
        Ok(())
    }
}

#[test]
fn servers() {
    leaves_nothing(1, |_, times| async move {
        for _ in 0..times {
            let server = Server::start(()).await.unwrap();
            server.call(Ask::Now).await.unwrap();
            server.stop(ExitReason::Normal).await.unwrap();
        }
    });
}

#[test]
fn calls_and_requests() {
    leaves_nothing(1, |_, times| async move {
        let server = Server::start(()).await.unwrap();
        for _ in 0..times {
            server.call(Ask::Now).await.unwrap();
            server.call(Ask::Never).await.unwrap_err();
            drop(server.send_request(Ask::Now));
            server.send_request(Ask::Now).await.unwrap();
        }
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

/// A machine with one state and a timeout.
struct Machine;

impl GenStatem for Machine {
    type Args = ();
    type State = ();
    type Message = Reply<u64>;
    type Internal = ();
    type Timeout = ();

    async fn init((): (), ctx: &mut StatemContext<Self>) -> Result<((), Self), InitError> {
        ctx.state_timeout(HOUR, ());
        Ok(((), Self))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        (): &(),
        _: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        if let Event::Message(reply) = event {
            reply.send(7);
        }
        Ok(Transition::keep_state())
    }
}

#[test]
fn state_machines() {
    leaves_nothing(1, |_, times| async move {
        for _ in 0..times {
            let machine = Machine::start(()).await.unwrap();
            machine.call(|reply| reply).await.unwrap();
            machine.stop(ExitReason::Normal).await.unwrap();
        }
    });
}

#[test]
fn tasks_and_agents() {
    leaves_nothing(1, |_, times| async move {
        for n in 0..times {
            assert_eq!(Task::spawn(async move { n }).unwrap().await, Ok(n));
            let agent = Agent::start(move || n).await.unwrap();
            agent.stop(ExitReason::Normal).await.unwrap();
        }
    });
}

#[test]
fn supervisors_and_their_children() {
    leaves_nothing(1, |_, times| async move {
        for _ in 0..times {
            let supervisor = Supervisor::builder(Strategy::OneForAll)
                .child(ChildSpec::process("child", || wait))
                .start()
                .await
                .unwrap();
            supervisor.stop().await.unwrap();
        }
    });
}

#[test]
fn children_that_are_restarted() {
    leaves_nothing(1, |_, times| async move {
        let supervisor = Supervisor::builder(Strategy::OneForOne)
            .max_restarts(u32::MAX)
            .child(ChildSpec::process("child", || wait))
            .start()
            .await
            .unwrap();
        for _ in 0..times {
            let child = supervisor.which_child("child").await.unwrap();
            if let Some(pid) = child.pid() {
                kill(pid);
                join(pid).await;
            }
        }
        supervisor.stop().await.unwrap();
    });
}

#[test]
fn children_of_dynamic_supervisors() {
    leaves_nothing(1, |_, times| async move {
        let supervisor = DynamicSupervisor::builder().start().await.unwrap();
        for _ in 0..times {
            let started = supervisor.start_child(ChildSpec::process("child", || wait));
            let pid = started.await.unwrap().pid().unwrap();
            supervisor.terminate_child(pid).await.unwrap();
        }
        let tasks = TaskSupervisor::from(supervisor.clone());
        for n in 0..times {
            let task = tasks.spawn(async move { n }).await.unwrap();
            assert_eq!(task.await, Ok(n));
        }
        supervisor.stop().await.unwrap();
    });
}

#[test]
fn partition_supervisors() {
    leaves_nothing(10, |_, times| async move {
        let start = |_| Server::start_link(());
        for _ in 0..times {
            let partitions = PartitionSupervisor::builder(start)
                .partitions(2)
                .start()
                .await
                .unwrap();
            partitions.stop().await.unwrap();
        }
    });
}

#[test]
fn memberships_of_groups() {
    leaves_nothing(1, |_, times| async move {
        let scope = Groups::builder("scope").start().await.unwrap();
        let groups = Groups::named("scope");
        for n in 0..times {
            let group = format!("group {n}");
            groups.join(group.as_str(), self_pid()).await.unwrap();
            groups.leave(group.as_str(), self_pid()).await.unwrap();
            let process = spawn(wait).unwrap();
            let pid = process.pid().unwrap();
            groups.join(group.as_str(), pid).await.unwrap();
            process.cast(n);
            process.join().await;
            while !groups.members(&group).is_empty() {
                yield_now().await;
            }
        }
        scope.stop(ExitReason::Normal).await.unwrap();
    });
}

#[test]
fn keys_of_registries() {
    leaves_nothing(1, |_, times| async move {
        let registry = Registry::<u64, u64>::unique();
        let server = registry.builder().start().await.unwrap();
        for n in 0..times {
            registry.register(n, n).unwrap();
            assert_eq!(registry.unregister(&n), 1);
            let own = registry.clone();
            let process = spawn(move |_: Context<()>| async move {
                own.register(n, n).unwrap();
            });
            process.unwrap().join().await;
        }
        while registry.count() > 0 {
            yield_now().await;
        }
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

#[test]
fn subscriptions() {
    leaves_nothing(1, |mut ctx, times| async move {
        let bus = PubSub::<u64>::new();
        let server = bus.builder().start().await.unwrap();
        for n in 0..times {
            let topic = format!("topic {n}");
            let me = ctx.self_ref();
            bus.subscribe(topic.as_str(), me, |event| event).unwrap();
            assert_eq!(bus.broadcast(&topic, n), 1);
            assert_eq!(ctx.receive().await, Message::User(n));
            assert_eq!(bus.unsubscribe(&topic), 1);
        }
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

/// Hears nothing.
struct Deaf;

impl EventHandler for Deaf {
    type Args = ();
    type Event = u64;
    type Request = ();
    type Output = ();

    async fn init((): ()) -> Result<Self, ExitReason> {
        Ok(Self)
    }

    async fn handle_event(&mut self, _: &u64) -> Result<(), ExitReason> {
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) {}
}

#[test]
fn handlers_of_events() {
    leaves_nothing(1, |_, times| async move {
        let events = EventManager::<u64>::start().await.unwrap();
        for n in 0..times {
            events.add_handler(Deaf::id(), ()).await.unwrap();
            events.sync_notify(n).await.unwrap();
            events.delete_handler(Deaf::id()).await.unwrap();
        }
        events.stop(ExitReason::Normal).await.unwrap();
    });
}
