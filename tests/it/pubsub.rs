//! The event bus, law by law.

use resurgam::{
    ChildSpec, Context, ExitReason, Message, Pid, ProcessRef, PubSub, Strategy, SubscribeError,
    Supervisor, join, kill, self_pid, spawn, yield_now,
};

use crate::support::{Log, pid_of, run, run_on_threads};

type Bus = PubSub<u32>;

async fn bus() -> Bus {
    let bus = Bus::new();
    bus.builder().start_link().await.expect("it starts");
    bus
}

/// A process that subscribes to a topic and tells what it hears, under its name.
fn subscriber(bus: &Bus, topic: &'static str, to: ProcessRef<(u8, u32)>, name: u8) -> Pid {
    let bus = bus.clone();
    let process = spawn(move |mut ctx: Context<u32>| async move {
        bus.subscribe(topic, ctx.self_ref(), |n| n).unwrap();
        to.cast((name, 0));
        loop {
            if let Message::User(n) = ctx.receive().await {
                to.cast((name, n));
            }
        }
    });
    pid_of(&process.unwrap())
}

async fn hear(ctx: &mut Context<(u8, u32)>) -> (u8, u32) {
    match ctx.receive().await {
        Message::User(heard) => heard,
        other => panic!("an event was to come, not {other:?}"),
    }
}

/// Hears of so many things, in the order of their names.
async fn hear_all(ctx: &mut Context<(u8, u32)>, count: usize) -> Vec<(u8, u32)> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(hear(ctx).await);
    }
    all.sort_by_key(|(name, _)| *name);
    all
}

/// XPUB-01
#[test]
fn broadcast_reaches_all_subscribers_of_its_topic() {
    run(|mut ctx: Context<(u8, u32)>| async move {
        let bus = bus().await;
        assert_eq!(bus.broadcast("a", 1), 0);
        let me = ctx.self_ref();
        let one = subscriber(&bus, "a", me.clone(), 1);
        let two = subscriber(&bus, "a", me.clone(), 2);
        let three = subscriber(&bus, "b", me, 3);
        assert_eq!(hear_all(&mut ctx, 3).await, [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(bus.broadcast("a", 7), 2);
        assert_eq!(hear_all(&mut ctx, 2).await, [(1, 7), (2, 7)]);
        assert_eq!(bus.broadcast("b", 8), 1);
        assert_eq!(hear(&mut ctx).await, (3, 8));
        let mut subscribers = bus.subscribers("a");
        subscribers.sort();
        assert_eq!(subscribers, [one, two]);
        assert_eq!(bus.subscribers("b"), [three]);
    });
}

/// XPUB-02
#[test]
fn who_subscribes_twice_hears_twice_until_it_unsubscribes() {
    run(|mut ctx: Context<u32>| async move {
        let bus = bus().await;
        for times in [1, 10] {
            bus.subscribe("a", ctx.self_ref(), move |n| n * times)
                .unwrap();
        }
        bus.subscribe("b", ctx.self_ref(), |n| n).unwrap();
        assert_eq!(bus.broadcast("a", 7), 2);
        assert_eq!(ctx.receive().await, Message::User(7));
        assert_eq!(ctx.receive().await, Message::User(70));
        assert_eq!(bus.unsubscribe("a"), 2);
        assert_eq!(bus.unsubscribe("a"), 0);
        assert_eq!((bus.broadcast("a", 8), bus.broadcast("b", 9)), (0, 1));
        assert_eq!(ctx.receive().await, Message::User(9));
    });
}

/// XPUB-03
#[test]
fn who_has_ended_is_no_subscriber() {
    run(|mut ctx: Context<(u8, u32)>| async move {
        let bus = bus().await;
        let one = subscriber(&bus, "a", ctx.self_ref(), 1);
        let two = subscriber(&bus, "a", ctx.self_ref(), 2);
        hear_all(&mut ctx, 2).await;
        let ended = join(one);
        kill(one);
        ended.await;
        assert_eq!(bus.subscribers("a"), [two]);
        assert_eq!(bus.broadcast("a", 7), 1);
        assert_eq!(hear(&mut ctx).await, (2, 7));
    });
}

/// XPUB-04
#[test]
fn broadcast_from_leaves_out_the_broadcaster() {
    run(|mut ctx: Context<(u8, u32)>| async move {
        let (bus, me) = (bus().await, self_pid());
        subscriber(&bus, "a", ctx.self_ref(), 1);
        assert_eq!(hear(&mut ctx).await, (1, 0));
        bus.subscribe("a", ctx.self_ref(), |n| (9, n)).unwrap();
        assert_eq!(bus.broadcast_from(me, "a", 7), 1);
        assert_eq!(hear(&mut ctx).await, (1, 7));
        assert_eq!(bus.broadcast("a", 8), 2);
        assert_eq!(hear_all(&mut ctx, 2).await, [(1, 8), (9, 8)]);
    });
}

/// XPUB-05
#[test]
fn events_of_one_broadcaster_come_in_their_order() {
    run(|mut ctx: Context<u32>| async move {
        let bus = bus().await;
        bus.subscribe("a", ctx.self_ref(), |n| n).unwrap();
        bus.subscribe("b", ctx.self_ref(), |n| n).unwrap();
        let here = bus.clone();
        let broadcaster = spawn(move |_: Context<()>| async move {
            for n in 0..50 {
                here.broadcast(if n % 3 == 0 { "a" } else { "b" }, n);
            }
        });
        broadcaster.unwrap();
        for n in 0..50 {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
    });
}

/// XPUB-06
#[test]
fn each_subscriber_gets_messages_of_its_own_type() {
    run(|mut ctx: Context<String>| async move {
        let (bus, log) = (bus().await, Log::default());
        let (here, noted) = (bus.clone(), log.clone());
        let other = spawn(move |mut ctx: Context<Option<u32>>| async move {
            here.subscribe("a", ctx.self_ref(), Some).unwrap();
            noted.note("subscribed");
            assert_eq!(ctx.receive().await, Message::User(Some(7)));
        });
        let other = other.unwrap();
        log.until(&other, "subscribed").await;
        bus.subscribe("a", ctx.self_ref(), |n| n.to_string())
            .unwrap();
        assert_eq!(bus.broadcast("a", 7), 2);
        assert_eq!(ctx.receive().await, Message::User("7".to_owned()));
        assert_eq!(other.join().await, ExitReason::Normal);
    });
}

/// XPUB-06: what a subscriber makes of an event is no harm to the others.
#[test]
fn panic_of_a_subscriber_harms_neither_broadcaster_nor_others() {
    run(|mut ctx: Context<u32>| async move {
        let bus = bus().await;
        let odd = |n| {
            assert_eq!(n % 2, 1, "as it was told");
            n
        };
        bus.subscribe("a", ctx.self_ref(), odd).unwrap();
        bus.subscribe("a", ctx.self_ref(), |n| 10 * n).unwrap();
        bus.broadcast("a", 2);
        bus.broadcast("a", 3);
        for n in [20, 3, 30] {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
    });
}

/// XPUB-07
#[test]
fn process_subscribes_itself_and_nobody_else() {
    run_on_threads(|ctx: Context<u32>| async move {
        let bus = bus().await;
        let (here, other) = (bus.clone(), ctx.self_ref());
        let stranger = spawn(move |_: Context<()>| async move {
            let error = here.subscribe("a", other.clone(), |n| n).unwrap_err();
            assert_eq!(error, SubscribeError::NotItself);
            assert_eq!(
                error.to_string(),
                "subscriber is not the process that runs; a process subscribes itself"
            );
        });
        assert_eq!(stranger.unwrap().join().await, ExitReason::Normal);
        let (here, other) = (bus.clone(), ctx.self_ref());
        let outside = tokio::spawn(async move { here.subscribe("a", other, |n| n) });
        assert_eq!(outside.await.unwrap(), Err(SubscribeError::NotItself));
        assert_eq!(bus.broadcast("a", 1), 0);
    });
}

/// XPUB-08
#[test]
fn bus_that_does_not_run_has_no_subscribers() {
    run(|ctx: Context<u32>| async move {
        let bus = Bus::new();
        let early = bus.subscribe("a", ctx.self_ref(), |n| n);
        assert_eq!(early, Err(SubscribeError::NotRunning));
        assert_eq!(bus.broadcast("a", 1), 0);
        assert_eq!(bus.unsubscribe("a"), 0);
    });
}

/// XPUB-08
#[test]
fn fall_of_a_bus_takes_its_subscribers_along() {
    run(|mut ctx: Context<(u8, u32)>| async move {
        let bus = Bus::new();
        let theirs = bus.clone();
        let sup = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::server_with("bus", move || theirs.builder()))
            .start_link()
            .await
            .unwrap();
        let one = subscriber(&bus, "a", ctx.self_ref(), 1);
        assert_eq!(hear(&mut ctx).await, (1, 0));
        let server = sup.which_child("bus").await.unwrap().pid().unwrap();
        let ended = join(one);
        kill(server);
        let reason = ended.await;
        assert!(reason.is_abnormal(), "{reason}");
        assert_eq!(bus.broadcast("a", 7), 0);
        while bus.subscribe("a", ctx.self_ref(), |n| (9, n)).is_err() {
            yield_now().await;
        }
        assert_eq!(bus.broadcast("a", 8), 1);
        assert_eq!(hear(&mut ctx).await, (9, 8));
        bus.unsubscribe("a");
        sup.stop().await.unwrap();
    });
}

/// XPUB-09
#[test]
fn local_broadcast_reaches_the_subscribers_of_this_node() {
    run(|mut ctx: Context<u32>| async move {
        let bus = bus().await;
        bus.subscribe("a", ctx.self_ref(), |n| n).unwrap();
        assert_eq!(bus.local_broadcast("a", 7), 1);
        assert_eq!(ctx.receive().await, Message::User(7));
    });
}
