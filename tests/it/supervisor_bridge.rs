//! Supervisor bridges, law by law.
//!
//! The foreign thing of these tests is a process that ends as it is told, and
//! a value that tells the test what is done with it.

use resurgam::{
    BridgeBuilder, CallError, ChildSpec, ChildType, Context, ExitReason, InitError, Message, Node,
    Pid, ProcessRef, StartChildError, StartError, Strategy, Supervisor, SupervisorBridge,
    SupervisorRef, exit, join, join_flush, kill, link, process_info, spawn, spawn_link, trap_exit,
};

use crate::supervisor::Reports;
use crate::support::{pid_of, run};

#[derive(Debug, PartialEq)]
enum Event {
    Started(Pid),
    Terminated(ExitReason),
    Dropped,
}

#[derive(Clone)]
struct Birth {
    test: ProcessRef<Event>,
    outcome: Outcome,
}

#[derive(Clone)]
enum Outcome {
    Runs,
    /// Linked to nobody.
    RunsFree,
    Ignores,
    Fails,
    IsDead,
}

struct Foreign {
    test: ProcessRef<Event>,
    main: Pid,
}

impl SupervisorBridge for Foreign {
    type Args = Birth;

    async fn init(Birth { test, outcome }: Birth) -> Result<(Pid, Self), InitError> {
        let main = match outcome {
            Outcome::Runs => pid_of(&spawn_link(obey)?),
            Outcome::RunsFree => pid_of(&spawn(obey)?),
            Outcome::Ignores => return Err(InitError::Ignore),
            Outcome::Fails => return Err(InitError::Stop(unlucky())),
            Outcome::IsDead => {
                let main = spawn(|_: Context<()>| async {})?;
                main.join().await;
                pid_of(&main)
            }
        };
        test.cast(Event::Started(main));
        Ok((main, Self { test, main }))
    }

    async fn terminate(self, reason: &ExitReason) {
        self.test.cast(Event::Terminated(reason.clone()));
        exit(self.main, ExitReason::Shutdown);
        join(self.main).await;
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.test.cast(Event::Dropped);
    }
}

async fn obey(mut ctx: Context<ExitReason>) -> ExitReason {
    match ctx.receive().await {
        Message::User(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn unlucky() -> ExitReason {
    ExitReason::custom("unlucky")
}

fn birth(ctx: &Context<Event>, outcome: Outcome) -> Birth {
    let test = ctx.self_ref();
    Birth { test, outcome }
}

fn bridge(ctx: &Context<Event>, outcome: Outcome) -> BridgeBuilder<Foreign> {
    Foreign::bridge(birth(ctx, outcome))
}

async fn next(ctx: &mut Context<Event>) -> Event {
    match ctx.receive().await {
        Message::User(event) => event,
        other => panic!("{other:?}"),
    }
}

async fn started(ctx: &mut Context<Event>) -> Pid {
    match next(ctx).await {
        Event::Started(main) => main,
        other => panic!("{other:?}"),
    }
}

/// BRG-01
#[test]
fn a_bridge_is_linked_to_what_it_stands_for() {
    run(|mut ctx: Context<Event>| async move {
        let bridge = bridge(&ctx, Outcome::RunsFree).start_link().await.unwrap();
        let main = started(&mut ctx).await;
        let info = process_info(bridge.pid().unwrap()).await.unwrap().unwrap();
        assert!(info.trap_exit);
        assert!(info.links.contains(&main), "{info:?}");
        bridge.stop().await.unwrap();
    });
}

/// BRG-01
#[test]
fn a_start_may_ignore_or_fail() {
    run(|ctx: Context<Event>| async move {
        trap_exit(true);
        let ignored = bridge(&ctx, Outcome::Ignores).start_link().await;
        assert_eq!(ignored.map(drop), Err(StartError::Ignore));
        let failed = bridge(&ctx, Outcome::Fails).start_link().await;
        assert_eq!(failed.map(drop), Err(StartError::Failed(unlucky())));
    });
}

/// BRG-01: what has ended by the time it is linked to.
#[test]
fn a_bridge_to_the_dead_ends() {
    run(|mut ctx: Context<Event>| async move {
        trap_exit(true);
        let bridge = bridge(&ctx, Outcome::IsDead).start_link().await.unwrap();
        let end = join_flush(bridge.pid().unwrap()).await;
        assert_eq!(end, ExitReason::NoProcess);
        started(&mut ctx).await;
        assert_eq!(next(&mut ctx).await, Event::Dropped);
    });
}

/// BRG-02
#[test]
fn a_bridge_ends_as_its_main_process_does() {
    run(|mut ctx: Context<Event>| async move {
        trap_exit(true);
        for reason in [ExitReason::Normal, ExitReason::Shutdown, unlucky()] {
            let bridge = bridge(&ctx, Outcome::Runs).start_link().await.unwrap();
            resurgam::send(started(&mut ctx).await, reason.clone()).unwrap();
            assert_eq!(join_flush(bridge.pid().unwrap()).await, reason);
            assert_eq!(next(&mut ctx).await, Event::Dropped);
        }
    });
}

/// BRG-02: an end that is not graceful is reported.
#[tokio::test]
async fn an_abnormal_end_is_reported() {
    let (reports, _guard) = Reports::listen();
    let node = Node::new().unwrap();
    let test = node.spawn(|mut ctx: Context<Event>| async move {
        for reason in [ExitReason::Shutdown, unlucky()] {
            let bridge = bridge(&ctx, Outcome::Runs).name("bridge");
            let bridge = bridge.start_on(&Node::current()).await.unwrap();
            let end = join(bridge.pid().unwrap());
            let main = started(&mut ctx).await;
            exit(main, reason.clone());
            assert_eq!(end.await, reason);
            assert_eq!(next(&mut ctx).await, Event::Dropped);
        }
    });
    assert!(test.unwrap().join().await.is_normal());
    let crashes = reports.of_target("resurgam::crash");
    let of_bridge: Vec<_> = crashes.iter().map(|crash| &crash["reason"]).collect();
    assert_eq!(of_bridge, ["\"unlucky\""]);
}

/// BRG-02: an exit signal that the main process sends is not its end.
#[test]
fn an_exit_signal_of_the_living_is_no_end() {
    run(|mut ctx: Context<Event>| async move {
        let bridge = bridge(&ctx, Outcome::Runs).start_link().await.unwrap();
        let main = started(&mut ctx).await;
        let target = bridge.pid().unwrap();
        let stranger = spawn(move |_: Context<()>| async move { exit(target, unlucky()) });
        stranger.unwrap().join().await;
        assert_eq!(bridge.which_children().await, Ok(Vec::new()));
        assert_eq!(resurgam::is_alive(main).await, Ok(true));
        bridge.stop().await.unwrap();
    });
}

/// BRG-03
#[test]
fn a_bridge_that_is_told_to_stop_stops_what_it_stands_for() {
    run(|mut ctx: Context<Event>| async move {
        let top = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::bridge::<Foreign>(
                "a",
                birth(&ctx, Outcome::Runs),
            ))
            .start()
            .await
            .unwrap();
        let main = started(&mut ctx).await;
        let end = join(main);
        let spec = top.get_childspec("a").await.unwrap();
        assert_eq!(spec.get_child_type(), ChildType::Supervisor);
        top.stop().await.unwrap();
        assert_eq!(end.await, ExitReason::Shutdown);
        assert_eq!(
            next(&mut ctx).await,
            Event::Terminated(ExitReason::Shutdown)
        );
        assert_eq!(next(&mut ctx).await, Event::Dropped);
    });
}

/// BRG-02, SUP-30: the supervisor above starts both again.
#[test]
fn the_supervisor_above_starts_it_again() {
    run(|mut ctx: Context<Event>| async move {
        let top = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::bridge::<Foreign>(
                "a",
                birth(&ctx, Outcome::Runs),
            ))
            .start()
            .await
            .unwrap();
        let first = started(&mut ctx).await;
        kill(first);
        let mut told = [next(&mut ctx).await, next(&mut ctx).await];
        told.sort_by_key(|event| *event != Event::Dropped);
        assert_eq!(told[0], Event::Dropped);
        assert!(matches!(told[1], Event::Started(main) if main != first));
        top.stop().await.unwrap();
    });
}

/// A bridge that is killed takes its main process along, by the link.
#[test]
fn a_killed_bridge_leaves_no_orphan() {
    run(|mut ctx: Context<Event>| async move {
        let bridge = bridge(&ctx, Outcome::Runs);
        let bridge = bridge.start_on(&Node::current()).await.unwrap();
        let end = join(started(&mut ctx).await);
        kill(bridge.pid().unwrap());
        assert_eq!(end.await, ExitReason::Killed);
        assert_eq!(next(&mut ctx).await, Event::Dropped);
    });
}

/// BRG-04
#[test]
fn a_bridge_has_no_children_to_be_asked_for() {
    run(|mut ctx: Context<Event>| async move {
        let started = bridge(&ctx, Outcome::Runs).start_link().await.unwrap();
        let pid = started.pid().unwrap();
        let bridge = SupervisorRef::from_pid(&Node::current(), pid).unwrap();
        assert_eq!(bridge.which_children().await, Ok(Vec::new()));
        assert_eq!(bridge.count_children().await.unwrap().specs, 0);
        let idle = ChildSpec::task("idle", std::future::pending::<()>);
        let refused = bridge.start_child(idle).await;
        assert!(matches!(
            refused,
            Err(StartChildError::NoAnswer(CallError::NoReply))
        ));
        link(pid);
        bridge.stop().await.unwrap();
        assert!(matches!(next(&mut ctx).await, Event::Started(_)));
    });
}
