//! Partition supervisors, law by law.
//!
//! A shard is a partition that tells the test when it starts and when it is
//! told to shut down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{FutureExt, join};
use resurgam::{
    CallError, ChildSpec, ChildStatus, Context, DynamicSupervisor, DynamicSupervisorRef,
    ExitReason, FindPartitionError, GenServer, InitError, Message, Node, PartitionSupervisor,
    PartitionSupervisorBuilder, Partitions, Pid, ProcessHandle, ProcessRef, Reply, ResizeError,
    ServerContext, ServerRef, StartError, StartSupervisorError, Strategy, Supervisor,
    SupervisorRef, join, kill, spawn, spawn_link, trap_exit,
};

use crate::support::{idle, pid_of, run};

enum Event {
    /// A shard has started.
    Started(usize, Pid),
    /// A shard is told to shut down, when keys are spread over so many.
    Stops(usize, usize),
    /// A start waits until it may go on.
    Gate(Reply<()>),
}

#[derive(Clone)]
struct Birth {
    number: usize,
    test: ProcessRef<Event>,
    shards: Option<Partitions<ServerRef<Shard>>>,
}

struct Shard(Birth);

enum Request {
    Number(Reply<usize>),
    End(ExitReason),
}

impl GenServer for Shard {
    type Args = Birth;
    type Message = Request;

    async fn init(birth: Birth, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        birth.test.cast(Event::Started(birth.number, ctx.pid()));
        Ok(Self(birth))
    }

    async fn handle(
        &mut self,
        request: Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::Number(reply) => reply.send(self.0.number),
            Request::End(reason) => return Err(reason),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        if let Some(shards) = &self.0.shards {
            self.0.test.cast(Event::Stops(self.0.number, shards.len()));
        }
    }
}

type Shards = Partitions<ServerRef<Shard>>;

fn builder(ctx: &Context<Event>) -> PartitionSupervisorBuilder<ServerRef<Shard>> {
    let test = ctx.self_ref();
    PartitionSupervisor::builder(move |number| {
        let (test, shards) = (test.clone(), None);
        Shard::start_link(Birth {
            number,
            test,
            shards,
        })
    })
}

async fn start(ctx: &mut Context<Event>, count: usize) -> Shards {
    let shards = builder(ctx).partitions(count).start().await.unwrap();
    all_started(ctx, count).await;
    shards
}

/// Waits for so many starts; who they were, by their numbers.
async fn all_started(ctx: &mut Context<Event>, count: usize) -> Vec<(usize, Pid)> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(started(ctx).await);
    }
    all.sort();
    all
}

async fn started(ctx: &mut Context<Event>) -> (usize, Pid) {
    match ctx.receive().await {
        Message::User(Event::Started(number, pid)) => (number, pid),
        _ => panic!("expected a start"),
    }
}

/// Which shard is told to shut down, and over how many keys are spread then.
async fn stopping(ctx: &mut Context<Event>) -> (usize, usize) {
    match ctx.receive().await {
        Message::User(Event::Stops(number, open)) => (number, open),
        _ => panic!("expected a stop"),
    }
}

/// Has a shard end, and waits until it was started anew.
async fn crash(ctx: &mut Context<Event>, shards: &Shards, number: usize) -> Pid {
    let shard = shards.nth(number).unwrap();
    shard.cast(Request::End(ExitReason::custom("crash")));
    let (again, pid) = started(ctx).await;
    assert_eq!(again, number);
    // Answered when the start is over.
    shards.which_children().await.unwrap();
    pid
}

async fn number_of(shard: &ServerRef<Shard>) -> usize {
    shard.call(Request::Number).await.unwrap()
}

async fn pids(shards: &Shards) -> Vec<Option<Pid>> {
    let children = shards.which_children().await.unwrap();
    children.iter().map(|child| child.pid()).collect()
}

/// PART-01
#[test]
fn there_is_a_partition_for_each_worker() {
    run(|ctx: Context<Event>| async move {
        let shards = builder(&ctx).start_link().await.unwrap();
        let workers = Node::current().workers();
        assert_eq!(shards.len(), workers);
        let children = shards.which_children().await.unwrap();
        for (number, child) in children.iter().enumerate() {
            assert_eq!(child.id.as_str(), number.to_string());
            assert_eq!(shards.nth(number).unwrap().pid(), child.pid());
        }
        assert_eq!(children.len(), workers);
        shards.stop().await.unwrap();
    });
}

/// PART-01
#[test]
fn a_partition_is_restarted_alone() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 3).await;
        let before = pids(&shards).await;
        let again = crash(&mut ctx, &shards, 1).await;
        assert_eq!(pids(&shards).await, [before[0], Some(again), before[2]]);
    });
}

/// PART-02, PART-03
#[test]
fn a_key_leads_to_the_same_partition_whatever_is_restarted() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 4).await;
        let keys: Vec<_> = (0..40).map(|key| format!("key {key}")).collect();
        let route = async || {
            let mut route = Vec::new();
            for key in &keys {
                route.push(number_of(&shards.get(key).unwrap()).await);
            }
            route
        };
        let before = route().await;
        for number in 0..3 {
            let again = crash(&mut ctx, &shards, number).await;
            assert_eq!(shards.nth(number).unwrap().pid(), Some(again));
        }
        assert_eq!(route().await, before);
        let used = |number| before.contains(&number);
        assert!((0..4).all(used), "{before:?}");
    });
}

/// PART-02: a number by its remainder; PART-04: each partition sees its own.
#[test]
fn a_number_leads_to_the_partition_of_its_remainder() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 3).await;
        for number in [0, 1, 2, 3, 7, usize::MAX] {
            let shard = shards.nth(number).unwrap();
            assert_eq!(number_of(&shard).await, number % 3);
        }
        let all = shards.all();
        assert_eq!(all.len(), 3);
        assert_eq!(number_of(&all[2]).await, 2);
    });
}

/// PART-05
#[test]
fn what_is_wrong_is_said_in_the_caller() {
    run(|ctx: Context<Event>| async move {
        let refused = async |builder: PartitionSupervisorBuilder<_>, expected: &str| {
            let error = builder.start_link().await.expect_err(expected);
            assert_eq!(error.to_string(), expected);
        };
        refused(
            builder(&ctx).partitions(0),
            "there are to be 0 partitions; expected at least 1",
        )
        .await;
        refused(
            builder(&ctx).name(""),
            "supervisor name is empty; expected at least one character",
        )
        .await;
        refused(
            builder(&ctx).max_seconds(0),
            "period of the restart intensity is zero; expected a longer one",
        )
        .await;
    });
}

/// PART-05: there is one supervisor of the same partitions at a time.
#[test]
fn partitions_have_one_supervisor_at_a_time() {
    run(|mut ctx: Context<Event>| async move {
        let described = builder(&ctx).partitions(1);
        let shards = described.clone().start().await.unwrap();
        let (_, first) = started(&mut ctx).await;
        let again = described.clone().start().await.unwrap_err().to_string();
        let said = format!(
            "supervised already, by {}",
            shards.pid().expect("it is the one")
        );
        assert!(again.contains(&said), "{again}");
        assert_eq!(shards.nth(0).unwrap().pid(), Some(first));
        shards.stop().await.unwrap();
        described.start().await.unwrap();
        assert_eq!(
            shards.nth(0).unwrap().pid(),
            Some(started(&mut ctx).await.1)
        );
    });
}

/// A start that fails is told with the partition, and those before it are
/// stopped.
#[test]
fn a_failed_start_leaves_no_partition() {
    run(|mut ctx: Context<Event>| async move {
        let test = ctx.self_ref();
        let builder = PartitionSupervisor::builder(move |number| {
            let (test, shards) = (test.clone(), None);
            async move {
                if number == 2 {
                    return Err(StartError::Failed(ExitReason::custom("unlucky")));
                }
                let shard = Birth {
                    number,
                    test,
                    shards,
                };
                Shard::start_link(shard).await
            }
        });
        let shards = builder.handle();
        let error = builder.partitions(3).start().await.unwrap_err();
        match error {
            StartSupervisorError::Child(failed) => assert_eq!(failed.id.as_str(), "2"),
            error => panic!("{error}"),
        }
        for (_, pid) in all_started(&mut ctx, 2).await {
            assert_eq!(resurgam::is_alive(pid).await, Ok(false));
        }
        assert_eq!(
            shards.get("key").err(),
            Some(FindPartitionError::NotStarted)
        );
    });
}

/// PART-06, PART-08
#[test]
fn a_resize_stops_the_highest_and_starts_them_again() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 4).await;
        let before = pids(&shards).await;
        assert_eq!(shards.resize(1).await.unwrap(), 4);
        assert_eq!(shards.len(), 1);
        assert_eq!(pids(&shards).await, [before[0], None, None, None]);
        let count = shards.count_children().await.unwrap();
        assert_eq!((count.specs, count.active), (4, 1));
        for key in 0..20 {
            assert_eq!(shards.get(&key).unwrap().pid(), before[0]);
        }
        assert_eq!(shards.resize(3).await.unwrap(), 1);
        let again = all_started(&mut ctx, 2).await;
        assert_eq!((again[0].0, again[1].0), (1, 2));
        assert_eq!(
            pids(&shards).await,
            [before[0], Some(again[0].1), Some(again[1].1), None]
        );
        assert_eq!(shards.resize(3).await.unwrap(), 3);
        let children = shards.which_children().await.unwrap();
        assert_eq!(children[3].status, ChildStatus::Stopped);
    });
}

/// PART-06
#[test]
fn a_resize_beyond_the_first_size_is_refused() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 2).await;
        let refused = shards.resize(3).await;
        assert!(
            matches!(refused, Err(ResizeError::TooMany { wanted: 3, most: 2 })),
            "{refused:?}"
        );
        assert_eq!(shards.len(), 2);
    });
}

/// PART-06: the routes first.
#[test]
fn nobody_is_shown_the_way_to_a_partition_that_is_being_stopped() {
    run(|mut ctx: Context<Event>| async move {
        let slot = Arc::new(std::sync::OnceLock::new());
        let (test, shards) = (ctx.self_ref(), Arc::clone(&slot));
        let builder = PartitionSupervisor::builder(move |number| {
            let (test, shards) = (test.clone(), shards.get().cloned());
            Shard::start_link(Birth {
                number,
                test,
                shards,
            })
        });
        slot.set(builder.handle()).unwrap();
        let shards = builder.partitions(3).start().await.unwrap();
        all_started(&mut ctx, 3).await;
        shards.resize(1).await.unwrap();
        let mut stops = [stopping(&mut ctx).await, stopping(&mut ctx).await];
        stops.sort();
        assert_eq!(stops, [(1, 1), (2, 1)]);
        shards.stop().await.unwrap();
        assert_eq!(stopping(&mut ctx).await, (0, 0));
        assert_eq!(
            shards.get("key").err(),
            Some(FindPartitionError::NotStarted)
        );
    });
}

/// A handle of a user's own.
#[derive(Clone)]
struct Held(
    ProcessRef<()>,
    #[expect(dead_code, reason = "it is counted")] Arc<()>,
);

impl ProcessHandle for Held {
    fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }
}

/// PART-06: a handle is kept as long as its partition is to be found.
#[test]
fn handles_of_stopped_partitions_are_let_go() {
    run(|_: Context<Event>| async move {
        let held = Arc::new(());
        let token = Arc::clone(&held);
        let builder = PartitionSupervisor::builder(move |_| {
            let token = Arc::clone(&token);
            async move { spawn_link(idle).map(|process| Held(process, token)) }
        });
        let partitions = builder.partitions(3).start().await.unwrap();
        // The start function holds one too.
        assert_eq!(Arc::strong_count(&held), 2 + 3);
        partitions.resize(1).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 2 + 1);
        partitions.resize(2).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 2 + 2);
        partitions.stop().await.unwrap();
        drop(partitions);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// PART-06
#[test]
fn resizes_are_done_one_after_the_other() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 4).await;
        let sizes = join!(shards.resize(1), shards.resize(3), shards.resize(2));
        let sizes = (sizes.0.unwrap(), sizes.1.unwrap(), sizes.2.unwrap());
        assert_eq!(sizes, (4, 1, 3));
        assert_eq!(shards.len(), 2);
        assert_eq!(shards.count_children().await.unwrap().active, 2);
    });
}

/// PART-06
#[test]
fn a_resize_that_nobody_waits_for_is_done() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 3).await;
        let resize = shards.resize(1);
        assert!(Box::pin(resize).now_or_never().is_none());
        assert_eq!(shards.resize(1).await.unwrap(), 1);
        assert_eq!(shards.count_children().await.unwrap().active, 1);
    });
}

/// PART-06
#[test]
fn a_resize_that_fails_changes_nothing() {
    run(|mut ctx: Context<Event>| async move {
        let test = ctx.self_ref();
        let starts = Arc::new(AtomicUsize::new(0));
        let builder = PartitionSupervisor::builder(move |number| {
            let (test, shards) = (test.clone(), None);
            let unlucky = starts.fetch_add(1, Ordering::Relaxed) >= 3 && number == 2;
            async move {
                if unlucky {
                    return Err(StartError::Failed(ExitReason::custom("unlucky")));
                }
                let shard = Birth {
                    number,
                    test,
                    shards,
                };
                Shard::start_link(shard).await
            }
        });
        let shards = builder.partitions(3).start().await.unwrap();
        shards.resize(1).await.unwrap();
        let failed = shards.resize(3).await;
        assert!(
            matches!(failed, Err(ResizeError::Failed { number: 2, .. })),
            "{failed:?}"
        );
        assert_eq!(shards.len(), 1);
        assert_eq!(shards.count_children().await.unwrap().active, 1);
        assert_eq!(shards.resize(2).await.unwrap(), 1);
        let starts = all_started(&mut ctx, 5).await;
        let starts: Vec<_> = starts.iter().map(|start| start.0).collect();
        assert_eq!(starts, [0, 1, 1, 1, 2]);
    });
}

/// PART-07
#[test]
fn where_there_is_no_partition_the_caller_is_told() {
    run(|mut ctx: Context<Event>| async move {
        let builder = builder(&ctx).partitions(2).name("shards");
        let early = builder.handle();
        assert_eq!(early.get("key").err(), Some(FindPartitionError::NotStarted));
        assert_eq!(early.len(), 0);
        let down = Err(CallError::Down(ExitReason::NoProcess));
        assert_eq!(early.count_children().await, down);

        let node = Node::current();
        let nobody = Partitions::<ServerRef<Shard>>::named_on(&node, "shards").await;
        assert_eq!(
            nobody.map(drop),
            Err(CallError::Down(ExitReason::NoProcess))
        );
        let shards = builder.start().await.unwrap();
        let first = all_started(&mut ctx, 2).await[0].1;
        let named = Shards::named_on(&node, "shards").await.unwrap();
        assert_eq!(named.nth(0).unwrap().pid(), Some(first));
        let others = Partitions::<DynamicSupervisorRef>::named_on(&node, "shards").await;
        assert!(matches!(others, Err(CallError::WrongType { .. })));

        shards.resize(0).await.unwrap();
        assert_eq!(early.nth(0).err(), Some(FindPartitionError::NoPartitions));
        assert!(early.all().is_empty());
        shards.stop().await.unwrap();
        assert_eq!(early.nth(0).err(), Some(FindPartitionError::NotStarted));
    });
}

/// PART-07: a partition whose start said `ignore`.
#[test]
fn an_ignored_partition_is_not_running() {
    run(|_: Context<Event>| async move {
        let builder = PartitionSupervisor::builder(|number| async move {
            if number == 1 {
                return Err(StartError::Ignore);
            }
            DynamicSupervisor::builder()
                .start_link()
                .await
                .map_err(StartError::from)
        });
        let partitions = builder.partitions(2).start().await.unwrap();
        assert_eq!(
            partitions.nth(1).err(),
            Some(FindPartitionError::NotRunning(1))
        );
        assert_eq!(partitions.all().len(), 1);
        let count = partitions.count_children().await.unwrap();
        assert_eq!((count.specs, count.active, count.supervisors), (2, 1, 2));
    });
}

async fn supervised(
    ctx: &mut Context<Event>,
    builder: PartitionSupervisorBuilder<ServerRef<Shard>>,
) -> (SupervisorRef, Shards) {
    let shards = builder.handle();
    let top = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::partition_supervisor("shards", builder))
        .start()
        .await
        .unwrap();
    all_started(ctx, shards.len()).await;
    (top, shards)
}

/// PART-03
#[test]
fn handles_and_keys_outlive_the_supervisor() {
    run(|mut ctx: Context<Event>| async move {
        let builder = builder(&ctx).partitions(3);
        let (top, shards) = supervised(&mut ctx, builder).await;
        let number = number_of(&shards.get("key").unwrap()).await;
        shards.resize(2).await.unwrap();
        kill(shards.pid().unwrap());
        all_started(&mut ctx, 3).await;
        // Answered when the supervisor is up again.
        let child = top.which_child("shards").await.unwrap();
        assert_eq!(shards.pid(), child.pid());
        assert_eq!(shards.len(), 3);
        assert_eq!(number_of(&shards.get("key").unwrap()).await, number);
    });
}

/// A partition supervisor that was killed can be survived for a moment by a
/// start that it had begun.
#[test]
fn a_late_start_of_a_supervisor_that_was_killed_is_no_way_for_others() {
    run(|mut ctx: Context<Event>| async move {
        let test = ctx.self_ref();
        let starts = Arc::new(AtomicUsize::new(0));
        let builder = PartitionSupervisor::builder(move |number| {
            let (test, shards) = (test.clone(), None);
            let waits = starts.fetch_add(1, Ordering::Relaxed) == 1;
            async move {
                if waits {
                    let gate = test.call(Event::Gate).no_timeout();
                    gate.await.map_err(|_| StartError::TimedOut)?;
                }
                let shard = Birth {
                    number,
                    test,
                    shards,
                };
                Shard::start_link(shard).await
            }
        });
        let (top, shards) = supervised(&mut ctx, builder.partitions(1)).await;
        let crashing = shards.nth(0).unwrap();
        crashing.cast(Request::End(ExitReason::custom("crash")));
        let Message::User(Event::Gate(gate)) = ctx.receive().await else {
            panic!("expected the gate");
        };
        kill(shards.pid().unwrap());
        let (_, present) = started(&mut ctx).await;
        top.which_child("shards").await.unwrap();
        gate.send(());
        let (_, late) = started(&mut ctx).await;
        join(late).await;
        assert_eq!(shards.nth(0).unwrap().pid(), Some(present));
    });
}

/// It gives up as any supervisor.
#[test]
fn it_ends_with_its_partitions_when_there_were_too_many_restarts() {
    run(|mut ctx: Context<Event>| async move {
        let shards = builder(&ctx).partitions(2).max_restarts(0).start().await;
        let shards = shards.unwrap();
        let started = all_started(&mut ctx, 2).await;
        let (one, two) = (started[0].1, started[1].1);
        let end = join(shards.pid().unwrap());
        let other = join(two);
        let shard = shards.nth(0).unwrap();
        assert_eq!(pid_of(&shard), one);
        shard.cast(Request::End(ExitReason::custom("crash")));
        assert!(end.await.is_graceful());
        other.await;
        assert_eq!(shards.nth(1).err(), Some(FindPartitionError::NotStarted));
    });
}

/// Killed, it leaves no orphan and no route.
#[test]
fn a_killed_one_leaves_nothing_behind() {
    run(|mut ctx: Context<Event>| async move {
        let shards = start(&mut ctx, 2).await;
        let ends = shards
            .all()
            .iter()
            .map(|shard| shard.join())
            .collect::<Vec<_>>();
        let end = join(shards.pid().unwrap());
        kill(shards.pid().unwrap());
        end.await;
        assert_eq!(shards.nth(0).err(), Some(FindPartitionError::NotStarted));
        futures::future::join_all(ends).await;
    });
}

/// A transient partition that ended well stays down; its key is told so.
#[test]
fn a_transient_partition_that_ended_well_stays_down() {
    run(|mut ctx: Context<Event>| async move {
        let shards = builder(&ctx)
            .partitions(2)
            .transient()
            .start()
            .await
            .unwrap();
        let one = all_started(&mut ctx, 2).await[0].1;
        let shard = shards.nth(0).unwrap();
        let end = join(one);
        shard.cast(Request::End(ExitReason::Normal));
        assert!(end.await.is_normal());
        let number = shards.nth(0).unwrap().call(Request::Number).await;
        assert!(matches!(number, Err(CallError::Down(_))));
    });
}

/// Whatever is killed or panics, and wherever: whoever resizes is answered, and
/// in the end each route leads to a process that lives.
#[cfg(feature = "sim")]
#[test]
fn whoever_falls_no_route_leads_to_the_dead() {
    let scenario = |sim: &mut resurgam::sim::Sim| {
        let (top, shards) = sim.run(async {
            let test = spawn(deaf).unwrap();
            let builder = PartitionSupervisor::builder(move |number| {
                let (test, shards) = (test.clone(), None);
                let birth = Birth {
                    number,
                    test,
                    shards,
                };
                Shard::start_link(birth)
            });
            let builder = builder.partitions(3);
            let shards = builder.handle();
            let top = Supervisor::builder(Strategy::OneForOne)
                .child(ChildSpec::partition_supervisor("shards", builder))
                .start()
                .await;
            let _ = shards.resize(1).await;
            let _ = shards.resize(2).await;
            (top.ok().and_then(|top| top.pid()), shards)
        });
        sim.run_until_idle();
        let node = sim.node().clone();
        let lives = |pid| resurgam::sim::is_alive(&node, pid);
        assert_eq!(shards.pid().is_some_and(lives), top.is_some_and(lives));
        for shard in shards.all() {
            assert!(shard.pid().is_some_and(lives), "{shard:?} is dead");
        }
        assert_eq!(shards.all().len(), shards.len());
    };
    resurgam::sim::Plan::new().seeds(2).sweep_kills(scenario);
    resurgam::sim::Plan::new().seeds(2).sweep_panics(scenario);
    resurgam::sim::Plan::new().seeds(2).sweep_stops(scenario);
}

#[cfg(feature = "sim")]
async fn deaf(mut ctx: Context<Event>) {
    loop {
        ctx.receive().await;
    }
}
