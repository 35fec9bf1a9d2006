//! The paths as processes.

use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use resurgam::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, GenServer, InitError, Message, Name, Node,
    Pid, ProcessRef, Reply, ServerContext, Strategy, Supervisor, cancel_timer, exit, link, monitor,
    register, self_pid, send_after, spawn, unregister, whereis, yield_now,
};

use super::{LEFT, behaviours, is_last};
use crate::path::Path;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs a path in a process of a new node.
pub(crate) async fn run(path: Path, operations: u64) {
    // The watchdog looks by a clock that goes on when nobody looks.
    let node = Node::builder().long_schedule(None).start();
    let node = node.expect("a node");
    let root = node
        .spawn(move |ctx: Context<()>| take(path, ctx, operations))
        .expect("a node with room");
    let reason = root.join().await;
    assert!(reason.is_normal(), "{reason:?}");
}

async fn take(path: Path, ctx: Context<()>, operations: u64) {
    match path {
        Path::Message | Path::Pair => message(operations).await,
        Path::Send => send(operations),
        Path::Receive => receive(ctx, operations).await,
        Path::Call => call(operations).await,
        Path::Spawn => spawn_many(operations).await,
        Path::LinkExit => link_exit(ctx, operations).await,
        Path::MonitorDown => monitor_down(ctx, operations).await,
        Path::Timer => timer(operations),
        Path::Whereis => whereis_many(operations),
        Path::SendByName => send_by_name(operations),
        Path::Chain => chain(ctx, operations).await,
        Path::Restart => restart(ctx, operations).await,
        Path::Names => names(operations),
        Path::Links => links(ctx, operations).await,
        Path::Timers => timers(operations),
        Path::Children => children(operations).await,
        Path::Idle => idle(operations).await,
        Path::IdleServer => idle_servers(operations).await,
        Path::Statem
        | Path::Task
        | Path::Agent
        | Path::Event
        | Path::Lookup
        | Path::Members
        | Path::Broadcast
        | Path::Bounded
        | Path::IdleStatem => behaviours::take(path, ctx, operations).await,
    }
}

/// A process that never reads.
async fn deaf<M>(ctx: Context<M>) {
    std::future::pending::<()>().await;
    drop(ctx);
}

pub(super) fn spawn_deaf<M: Send + 'static>() -> ProcessRef<M> {
    spawn(deaf::<M>).expect("a node with room")
}

fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("a process, not a name")
}

pub(super) struct Ping(pub(super) ProcessRef<u64>);

pub(super) async fn pong(mut ctx: Context<Ping>) {
    loop {
        if let Message::User(Ping(from)) = ctx.receive().await {
            from.cast(1);
        }
    }
}

async fn message(operations: u64) {
    let ping = spawn(move |mut ctx: Context<u64>| async move {
        let pong = spawn(pong).expect("a node with room");
        for _ in 0..operations / 2 {
            pong.cast(Ping(ctx.self_ref()));
            ctx.receive().await;
        }
    });
    ping.expect("a node with room").join().await;
}

fn send(operations: u64) {
    // It has yet to run, and so is busy.
    let busy = spawn_deaf();
    for n in 0..operations {
        busy.cast(n);
    }
}

async fn receive(mut ctx: Context<()>, operations: u64) {
    let root = ctx.self_ref();
    let reader = spawn(move |mut ctx: Context<u64>| async move {
        for _ in 0..operations {
            black_box(ctx.receive().await);
        }
        root.cast(());
        deaf(ctx).await;
    });
    let reader = reader.expect("a node with room");
    // As many in each run, so that what differs is how many are read.
    for n in 0..2 * Path::Receive.operations() {
        reader.cast(n);
    }
    ctx.receive().await;
}

struct Echo(u64);

struct Request(u64, Reply<u64>);

impl GenServer for Echo {
    type Args = u64;
    type Message = Request;

    async fn init(word: u64, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(word))
    }

    async fn handle(
        &mut self,
        Request(n, reply): Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        reply.send(n + self.0);
        Ok(())
    }
}

async fn call(operations: u64) {
    let server = Echo::start(1).await.expect("the server starts");
    for n in 0..operations {
        assert_eq!(server.call(|reply| Request(n, reply)).await, Ok(n + 1));
    }
}

async fn spawn_many(operations: u64) {
    const AT_ONCE: u64 = 100;
    for _ in 0..operations / AT_ONCE {
        for _ in 0..AT_ONCE {
            spawn(|_: Context<()>| async {}).expect("a node with room");
        }
        yield_now().await;
    }
}

async fn link_exit(mut ctx: Context<()>, operations: u64) {
    let (root, node) = (ctx.self_ref(), ctx.node());
    // As many in each run, so that what differs is how many are linked.
    let all = (0..2 * Path::LinkExit.operations()).map(|_| pid_of(&spawn_deaf::<()>()));
    let mut all: Vec<_> = all.collect();
    let hub = spawn(move |ctx: Context<()>| async move {
        all.drain(..).take(operations as usize).for_each(link);
        root.cast(());
        deaf(ctx).await;
    });
    ctx.receive().await;
    let before = node.process_count();
    exit(
        pid_of(&hub.expect("a node with room")),
        ExitReason::Shutdown,
    );
    while node.process_count() as u64 + operations >= before as u64 {
        yield_now().await;
    }
}

async fn monitor_down(mut ctx: Context<()>, operations: u64) {
    let target = pid_of(&spawn_deaf::<()>());
    for _ in 0..operations {
        monitor(target);
    }
    exit(target, ExitReason::Shutdown);
    for _ in 0..operations {
        let message = ctx.receive().await;
        assert!(matches!(message, Message::Down(_)));
    }
}

fn timer(operations: u64) {
    let me = self_pid();
    for _ in 0..operations {
        let timer = send_after(HOUR, me, ());
        assert!(cancel_timer(timer).is_some());
    }
}

fn whereis_many(operations: u64) {
    register("somebody", self_pid()).expect("the name is free");
    for _ in 0..operations {
        assert!(whereis(black_box("somebody")).is_some());
    }
}

fn send_by_name(operations: u64) {
    let busy = spawn_deaf::<u64>();
    let name = Name::from("somebody");
    register(&name, pid_of(&busy)).expect("the name is free");
    let named = ProcessRef::named(&name);
    for n in 0..operations {
        named.cast(n);
    }
}

async fn chain(ctx: Context<()>, operations: u64) {
    let node = ctx.node();
    let first = spawn_deaf::<()>();
    let mut last = pid_of(&first);
    for _ in 0..operations {
        let before = last;
        let next = spawn(move |ctx: Context<()>| {
            link(before);
            deaf(ctx)
        });
        last = pid_of(&next.expect("a node with room"));
    }
    yield_now().await;
    exit(pid_of(&first), ExitReason::Shutdown);
    node.join(last).await;
}

async fn restart(mut ctx: Context<()>, operations: u64) {
    LEFT.store(operations, Relaxed);
    let root = ctx.self_ref();
    let child = ChildSpec::task("child", move || {
        let root = root.clone();
        async move {
            if is_last() {
                root.cast(());
                std::future::pending::<()>().await;
            }
            ExitReason::custom("crash")
        }
    });
    let supervisor = Supervisor::builder(Strategy::OneForOne)
        .intensity(u32::MAX, HOUR)
        .child(child)
        .start();
    let _supervisor = supervisor.await.expect("the supervisor starts");
    ctx.receive().await;
}

fn names(operations: u64) {
    let names: Vec<_> = (0..operations).map(|n| Name::from(n.to_string())).collect();
    for name in &names {
        register(name, pid_of(&spawn_deaf::<()>())).expect("the name is free");
    }
    assert!(names.iter().all(|name| whereis(name).is_some()));
    for name in names {
        unregister(name).expect("the name is taken");
    }
}

async fn links(ctx: Context<()>, operations: u64) {
    let node = ctx.node();
    let hub = pid_of(&spawn_deaf::<()>());
    for _ in 0..operations {
        let spoke = spawn(move |ctx: Context<()>| {
            link(hub);
            deaf(ctx)
        });
        spoke.expect("a node with room");
    }
    yield_now().await;
    exit(hub, ExitReason::Shutdown);
    while node.process_count() > 1 {
        yield_now().await;
    }
}

fn timers(operations: u64) {
    let me = self_pid();
    let timers: Vec<_> = (0..operations).map(|_| send_after(HOUR, me, ())).collect();
    assert!(
        timers
            .into_iter()
            .all(|timer| cancel_timer(timer).is_some())
    );
}

async fn children(operations: u64) {
    let supervisor = DynamicSupervisor::builder().start().await;
    let supervisor = supervisor.expect("the supervisor starts");
    let child = ChildSpec::task("child", std::future::pending::<()>);
    for _ in 0..operations {
        let started = supervisor.start_child(child.clone()).await;
        started.expect("the child starts");
    }
    supervisor.stop().await.expect("the supervisor stops");
}

async fn idle(operations: u64) {
    for _ in 0..operations {
        spawn(|mut ctx: Context<u64>| async move {
            ctx.receive().await;
        })
        .expect("a node with room");
    }
    yield_now().await;
}

async fn idle_servers(operations: u64) {
    for word in 0..operations {
        Echo::start(word).await.expect("the server starts");
    }
    yield_now().await;
}
