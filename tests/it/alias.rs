//! Aliases (the laws ALIAS), priority (PRIO), and monitors that tell by a
//! message of one's own (MON-15).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use resurgam::{
    Alias, AliasMode, Context, ExitKind, ExitReason, GenServer, InitError, Message, MessageRef,
    MonitorAlias, Pid, ProcessRef, ServerContext, alias, alias_priority, demonitor,
    demonitor_flush, exit, join, kill, link, link_priority, monitor, monitor_alias, monitor_as,
    monitor_priority, process_info, register, send, spawn, spawn_link, trap_exit, unalias, unlink,
    yield_now,
};

use crate::support::{idle, pid_of, run, run_on_threads};

/// Lets arrive what was sent before, in a simulation too: asks a process that
/// answers after it.
async fn settle(ctx: &mut Context<u32>) {
    let me = resurgam::self_pid();
    process_info(me).await.unwrap();
    let _ = ctx;
}

/// Sends by the alias from another process, which has ended then.
async fn send_by(alias: &Alias<u32>, messages: impl IntoIterator<Item = u32>) {
    let (alias, messages) = (alias.clone(), messages.into_iter().collect::<Vec<_>>());
    let sender = spawn(move |_: Context<()>| async move {
        for message in messages {
            alias.send(message);
        }
    });
    sender.unwrap().join().await;
}

fn users(ctx: &mut Context<u32>) -> Vec<u32> {
    let mut users = Vec::new();
    while let Some(message) = ctx.try_receive() {
        match message {
            Message::User(n) => users.push(n),
            other => panic!("{other:?}"),
        }
    }
    users
}

/// ALIAS-01, ALIAS-04.
#[test]
fn explicit_alias_is_open_until_it_is_closed() {
    run(|mut ctx: Context<u32>| async move {
        let way = alias::<u32>(AliasMode::Explicit);
        send_by(&way, [1, 2]).await;
        send_by(&way, [3]).await;
        assert!(unalias(&way));
        send_by(&way, [4]).await;
        assert_eq!(users(&mut ctx), [1, 2, 3]);
    });
}

/// ALIAS-02: what comes by a closed alias never enters the mailbox; it is
/// dropped, and its sender does not notice.
#[test]
fn message_by_a_closed_alias_is_dropped_at_once() {
    run(|mut ctx: Context<Arc<()>>| async move {
        let way = alias::<Arc<()>>(AliasMode::Explicit);
        assert!(unalias(&way));
        let message = Arc::new(());
        way.send(Arc::clone(&message));
        while Arc::strong_count(&message) > 1 {
            yield_now().await;
        }
        assert_eq!(ctx.try_receive(), None);
    });
}

/// ALIAS-03.
#[test]
fn messages_that_have_come_stay_when_the_alias_is_closed() {
    run(|mut ctx: Context<u32>| async move {
        let way = alias::<u32>(AliasMode::Explicit);
        send_by(&way, [1]).await;
        assert!(unalias(&way));
        assert_eq!(users(&mut ctx), [1]);
    });
}

/// ALIAS-05.
#[test]
fn reply_alias_lets_one_message_in() {
    run(|mut ctx: Context<u32>| async move {
        let way = alias::<u32>(AliasMode::Reply);
        send_by(&way, [1, 2]).await;
        send_by(&way, [3]).await;
        assert_eq!(users(&mut ctx), [1]);
        assert!(!unalias(&way));
    });
}

/// As above, with many at once.
#[test]
fn of_many_senders_one_gets_through_a_reply_alias() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        for _ in 0..200 {
            let way = alias::<u32>(AliasMode::Reply);
            let senders: Vec<_> = (0..4)
                .map(|n| {
                    let way = way.clone();
                    spawn(move |_: Context<()>| async move { way.send(n) }).unwrap()
                })
                .collect();
            for sender in senders {
                sender.join().await;
            }
            assert_eq!(users(&mut ctx).len(), 1);
        }
    });
}

/// ALIAS-06.
#[test]
fn only_its_owner_can_close_an_alias() {
    run(|mut ctx: Context<u32>| async move {
        let way = alias::<u32>(AliasMode::Explicit);
        let theirs = way.clone();
        let stranger = spawn(move |_: Context<()>| async move { assert!(!unalias(&theirs)) });
        assert!(stranger.unwrap().join().await.is_normal());
        send_by(&way, [1]).await;
        assert_eq!(users(&mut ctx), [1]);
        assert!(unalias(&way));
        assert!(!unalias(&way));
    });
}

/// ALIAS-07.
#[test]
fn explicit_alias_of_a_monitor_outlives_it() {
    run(|mut ctx: Context<u32>| async move {
        let (reference, way) = monitor_alias::<u32>("nobody", MonitorAlias::Explicit);
        assert!(matches!(ctx.receive().await, Message::Down(down) if down.reference == reference));
        send_by(&way, [1]).await;
        let watched = spawn_link(idle).unwrap();
        let (reference, other) = monitor_alias::<u32>(pid_of(&watched), MonitorAlias::Explicit);
        assert!(demonitor(reference));
        send_by(&other, [2]).await;
        assert_eq!(users(&mut ctx), [1, 2]);
        assert!(unalias(&way) && unalias(&other));
    });
}

/// MON-07: there is no monitor, so there is no way either.
#[test]
fn alias_of_a_monitor_of_oneself_is_closed() {
    run(|mut ctx: Context<u32>| async move {
        for mode in [
            MonitorAlias::Explicit,
            MonitorAlias::Demonitor,
            MonitorAlias::ReplyDemonitor,
        ] {
            let (_, way) = monitor_alias::<u32>(resurgam::self_pid(), mode);
            send_by(&way, [1]).await;
            assert_eq!(users(&mut ctx), []);
            assert!(!unalias(&way));
        }
    });
}

/// A destructor that panics does not keep the other end from being told.
#[test]
fn monitor_is_taken_back_whatever_its_function_holds() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("a destructor that panics");
        }
    }
    run(|_: Context<u32>| async move {
        let watched = spawn_link(idle).unwrap();
        let held = Spiteful;
        let reference = monitor_as(pid_of(&watched), move |_| {
            std::mem::forget(held);
            1_u32
        });
        let demonitored =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| demonitor(reference)));
        assert!(demonitored.is_err());
        let info = process_info(pid_of(&watched)).await.unwrap().unwrap();
        assert_eq!(info.monitored_by, []);
    });
}

/// ALIAS-08.
#[test]
fn demonitor_closes_its_alias() {
    run(|mut ctx: Context<u32>| async move {
        let other = spawn_link(idle).unwrap();
        let (reference, way) = monitor_alias::<u32>(pid_of(&other), MonitorAlias::Demonitor);
        send_by(&way, [1, 2]).await;
        assert!(demonitor(reference));
        send_by(&way, [3]).await;
        assert_eq!(users(&mut ctx), [1, 2]);
        assert!(!unalias(&way));
    });
}

/// ALIAS-08, ALIAS-09: once the down has been delivered, nothing comes by the
/// alias.
#[test]
fn down_closes_the_alias_of_its_monitor() {
    run(|mut ctx: Context<u32>| async move {
        for mode in [MonitorAlias::Demonitor, MonitorAlias::ReplyDemonitor] {
            let other = spawn(idle).unwrap();
            let (reference, way) = monitor_alias::<u32>(pid_of(&other), mode);
            kill(pid_of(&other));
            assert!(
                matches!(ctx.receive().await, Message::Down(down) if down.reference == reference)
            );
            send_by(&way, [1]).await;
            assert_eq!(users(&mut ctx), []);
            assert!(!unalias(&way));
            // Who is not there, is down at once.
            let (_, way) = monitor_alias::<u32>("nobody", mode);
            ctx.receive().await;
            send_by(&way, [1]).await;
            assert_eq!(users(&mut ctx), []);
        }
    });
}

/// ALIAS-09: the first message ends the monitor with the alias.
#[test]
fn message_by_a_reply_alias_ends_the_monitor() {
    run(|mut ctx: Context<u32>| async move {
        let other = spawn(idle).unwrap();
        let (reference, way) = monitor_alias::<u32>(pid_of(&other), MonitorAlias::ReplyDemonitor);
        send_by(&way, [1, 2]).await;
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(!demonitor(reference));
        kill(pid_of(&other));
        other.join().await;
        settle(&mut ctx).await;
        assert_eq!(users(&mut ctx), []);
        let info = process_info(resurgam::self_pid()).await.unwrap().unwrap();
        assert_eq!(info.monitors, []);
    });
}

/// ALIAS-09: of an answer and a death, whichever comes first is all that comes.
#[test]
fn answer_or_death_comes_but_not_both_after_an_answer() {
    run(|mut ctx: Context<u32>| async move {
        for turns in 0..30 {
            let (start, server) = {
                let server = spawn(move |mut ctx: Context<Alias<u32>>| async move {
                    let Message::User(client) = ctx.receive().await else {
                        return;
                    };
                    client.send(7);
                    client.send(8);
                })
                .unwrap();
                (pid_of(&server), server)
            };
            let (reference, way) = monitor_alias::<u32>(start, MonitorAlias::ReplyDemonitor);
            server.cast(way.clone());
            for _ in 0..turns {
                yield_now().await;
            }
            kill(start);
            match ctx.receive().await {
                Message::User(7) => {}
                Message::Down(down) => assert_eq!(down.reference, reference),
                other => panic!("{other:?}"),
            }
            server.join().await;
            settle(&mut ctx).await;
            assert_eq!(users(&mut ctx), []);
        }
    });
}

/// ALIAS-10.
#[test]
fn unalias_leaves_the_monitor() {
    run(|mut ctx: Context<u32>| async move {
        let other = spawn(idle).unwrap();
        for mode in [
            MonitorAlias::Explicit,
            MonitorAlias::Demonitor,
            MonitorAlias::ReplyDemonitor,
        ] {
            let (_, way) = monitor_alias::<u32>(pid_of(&other), mode);
            assert!(unalias(&way));
            send_by(&way, [1]).await;
        }
        kill(pid_of(&other));
        for _ in 0..3 {
            assert!(matches!(ctx.receive().await, Message::Down(_)));
        }
        assert_eq!(users(&mut ctx), []);
    });
}

#[test]
fn alias_of_the_dead_drops_what_is_sent() {
    run(|_: Context<()>| async move {
        let (tell, heard) = futures::channel::oneshot::channel();
        let owner = spawn(move |_: Context<u32>| async move {
            tell.send(alias::<u32>(AliasMode::Explicit)).ok();
        })
        .unwrap();
        let way = heard.await.unwrap();
        owner.join().await;
        way.send(1);
        way.send_priority(2);
        way.exit(ExitReason::Kill);
    });
}

#[test]
fn alias_names_both_types_if_they_differ() {
    run_on_threads(|_: Context<()>| async move {
        let wrong = spawn(|_: Context<u32>| async move {
            alias::<String>(AliasMode::Reply);
        })
        .unwrap();
        let reason = wrong.join().await;
        assert_eq!(reason.kind(), ExitKind::Panicked);
        let reason = reason.to_string();
        assert!(
            reason.contains("`alias` in process")
                && reason.contains("takes `u32`, not `alloc::string::String`"),
            "{reason}"
        );
    });
}

/// SIG-03: by pid, by name and by alias is one stream.
#[test]
fn messages_by_pid_name_and_alias_are_one_stream() {
    run(|mut ctx: Context<u32>| async move {
        register("me", resurgam::self_pid()).unwrap();
        let (way, me) = (alias::<u32>(AliasMode::Explicit), ctx.self_ref());
        let named = ProcessRef::<u32>::named("me");
        let sender = spawn_link(move |_: Context<()>| async move {
            let pid = pid_of(&me);
            for n in (0..100).step_by(4) {
                me.cast(n);
                way.send(n + 1);
                named.cast(n + 2);
                send(pid, n + 3).unwrap();
            }
        });
        for n in 0..100 {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
        drop(sender);
    });
}

/// EXIT-20.
#[test]
fn exit_by_an_alias_works_while_it_is_open() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let way = alias::<u32>(AliasMode::Reply);
        let reason = ExitReason::custom("by alias");
        way.exit(reason.clone());
        way.exit(reason.clone());
        for _ in 0..2 {
            let Message::Exit(exit) = ctx.receive().await else {
                panic!("no exit")
            };
            assert_eq!(
                (exit.from, exit.reason),
                (resurgam::self_pid(), reason.clone())
            );
        }
        assert!(unalias(&way));
        way.exit(ExitReason::Kill);
        way.exit_priority(ExitReason::Kill);
        settle(&mut ctx).await;
        assert_eq!(users(&mut ctx), []);
    });
}

/// PRIO-01 to PRIO-03.
#[test]
fn priority_messages_come_before_the_ordinary_ones() {
    run(|mut ctx: Context<u32>| async move {
        let plain = alias::<u32>(AliasMode::Explicit);
        let urgent = alias_priority::<u32>(AliasMode::Explicit);
        let sender = spawn_link(move |_: Context<()>| async move {
            plain.send(1);
            urgent.send(2);
            plain.send_priority(3);
            urgent.send_priority(10);
            urgent.send_priority(11);
        });
        sender.unwrap().join().await;
        assert_eq!(users(&mut ctx), [10, 11, 1, 2, 3]);
    });
}

/// PRIO-02: before exits and downs too, and among themselves in their order,
/// whatever was received meanwhile.
#[test]
fn priority_messages_keep_their_order_among_notices() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        let urgent = alias_priority::<u32>(AliasMode::Explicit);
        monitor("nobody");
        urgent.send(1);
        for n in 10..14 {
            urgent.send_priority(n);
        }
        assert_eq!(ctx.receive().await, Message::User(10));
        urgent.send_priority(14);
        let picked = ctx.receive_match(|m| m == MessageRef::User(&12));
        assert_eq!(picked.await, Message::User(12));
        urgent.send_priority(15);
        for n in [11, 13, 14, 15] {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
        assert!(matches!(ctx.receive().await, Message::Down(_)));
        assert_eq!(users(&mut ctx), [1]);
    });
}

#[test]
fn priority_message_wakes_who_waits() {
    run(|mut ctx: Context<u32>| async move {
        let urgent = alias_priority::<u32>(AliasMode::Reply);
        let sender = spawn_link(move |_: Context<()>| async move {
            for _ in 0..10 {
                yield_now().await;
            }
            urgent.send_priority(1);
            urgent.send_priority(2);
        });
        assert_eq!(ctx.receive().await, Message::User(1));
        sender.unwrap().join().await;
        assert_eq!(users(&mut ctx), []);
    });
}

/// PRIO-01, PRIO-04: the message is first; the signal is no faster.
#[test]
fn exits_and_downs_with_priority_come_first() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let watched = spawn(idle).unwrap();
        let linked = spawn_link(idle).unwrap();
        link_priority(pid_of(&linked));
        let reference = monitor_priority(pid_of(&watched));
        monitor(pid_of(&watched));
        ctx.self_ref().cast(1);
        kill(pid_of(&watched));
        watched.join().await;
        kill(pid_of(&linked));
        linked.join().await;
        assert!(matches!(ctx.receive().await, Message::Down(down) if down.reference == reference));
        assert!(matches!(ctx.receive().await, Message::Exit(exit) if exit.from == pid_of(&linked)));
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(matches!(ctx.receive().await, Message::Down(_)));
    });
}

#[test]
fn exit_asked_for_with_priority_comes_first_and_kills_who_does_not_trap() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let urgent = alias_priority::<u32>(AliasMode::Explicit);
        ctx.self_ref().cast(1);
        urgent.exit(ExitReason::Shutdown);
        urgent.exit_priority(ExitReason::custom("first"));
        settle(&mut ctx).await;
        let first = ExitReason::custom("first");
        assert!(matches!(ctx.receive().await, Message::Exit(exit) if exit.reason == first));
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(
            matches!(ctx.receive().await, Message::Exit(exit) if exit.reason == ExitReason::Shutdown)
        );
        let (tell, heard) = futures::channel::oneshot::channel();
        let victim = spawn(move |mut ctx: Context<u32>| async move {
            tell.send(alias_priority::<u32>(AliasMode::Explicit)).ok();
            ctx.receive().await;
        })
        .unwrap();
        heard.await.unwrap().exit_priority(ExitReason::Kill);
        assert_eq!(victim.join().await, ExitReason::Killed);
    });
}

/// PRIO-05, PRIO-06.
#[test]
fn plain_link_takes_the_priority_away() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let again: [fn(Pid); 3] = [
            link,
            |pid| {
                unlink(pid);
                link(pid);
            },
            |pid| {
                link(pid);
                link_priority(pid);
            },
        ];
        for (at, relink) in again.into_iter().enumerate() {
            let linked = spawn_link(idle).unwrap();
            link_priority(pid_of(&linked));
            relink(pid_of(&linked));
            ctx.self_ref().cast(1);
            settle(&mut ctx).await;
            kill(pid_of(&linked));
            linked.join().await;
            let first = ctx.receive().await;
            assert_eq!(matches!(first, Message::Exit(_)), at == 2, "case {at}");
            ctx.receive().await;
        }
    });
}

/// PRIO-06: an unlink of the other end takes the priority with the link.
#[test]
fn priority_goes_with_the_link() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let me = resurgam::self_pid();
        let other = spawn_link(move |mut ctx: Context<()>| async move {
            ctx.receive().await;
            unlink(me);
            link(me);
            ctx.receive().await;
        })
        .unwrap();
        link_priority(pid_of(&other));
        other.cast(());
        process_info(pid_of(&other)).await.unwrap();
        ctx.self_ref().cast(1);
        settle(&mut ctx).await;
        other.cast(());
        join(pid_of(&other)).await;
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(matches!(ctx.receive().await, Message::Exit(_)));
    });
}

/// MON-15.
#[test]
fn monitor_tells_by_a_message_of_ones_own() {
    run(|mut ctx: Context<u32>| async move {
        let other = spawn(idle).unwrap();
        monitor_as(pid_of(&other), |down| match down.reason {
            ExitReason::Killed => 1_u32,
            _ => 2,
        });
        monitor_as("nobody", |down| {
            u32::from(down.reason == ExitReason::NoProcess) * 3
        });
        kill(pid_of(&other));
        other.join().await;
        let mut told = [ctx.receive().await, ctx.receive().await].map(|message| match message {
            Message::User(n) => n,
            other => panic!("{other:?}"),
        });
        told.sort_unstable();
        assert_eq!(told, [1, 3]);
    });
}

#[test]
fn message_of_a_monitor_can_be_selected_and_its_monitor_taken_back() {
    run(|mut ctx: Context<u32>| async move {
        monitor_as("nobody", |_| 1_u32);
        monitor_as("nobody", |_| 2_u32);
        let other = spawn(idle).unwrap();
        let taken_back = monitor_as(pid_of(&other), |_| 3_u32);
        let two = ctx.receive_match(|m| m == MessageRef::User(&2));
        assert_eq!(two.await, Message::User(2));
        assert!(demonitor(taken_back));
        kill(pid_of(&other));
        other.join().await;
        settle(&mut ctx).await;
        assert_eq!(users(&mut ctx), [1]);
    });
}

/// Its own message is the process's, so `demonitor_flush` leaves it.
#[test]
fn flush_leaves_messages_of_ones_own() {
    run(|mut ctx: Context<u32>| async move {
        let reference = monitor_as("nobody", |_| 1_u32);
        settle(&mut ctx).await;
        assert!(!demonitor_flush(reference));
        assert_eq!(users(&mut ctx), [1]);
    });
}

#[test]
fn panic_in_making_the_message_is_the_receivers() {
    run(|_: Context<()>| async move {
        let careless = spawn(|mut ctx: Context<u32>| async move {
            monitor_as("nobody", |_| -> u32 { panic!("no message") });
            let message: Message<u32> = ctx.receive().await;
            drop(message);
        })
        .unwrap();
        let reason = careless.join().await;
        assert!(reason.to_string().contains("no message"), "{reason}");
    });
}

/// Whatever the functions of monitors hold is dropped with the process, and
/// does no harm there.
#[test]
fn what_monitors_hold_is_dropped_once_whatever_it_does() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(std::thread::panicking(), "a destructor that panics");
        }
    }
    run_on_threads(|_: Context<()>| async move {
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dropped);
        let victim = spawn(move |mut ctx: Context<Counted>| async move {
            let urgent = alias_priority::<Counted>(AliasMode::Explicit);
            for _ in 0..2 {
                let held = Counted(Arc::clone(&count));
                monitor_as(pid_of(&spawn_link(idle).unwrap()), move |_| held);
                let held = Counted(Arc::clone(&count));
                monitor_as("nobody", move |_| held);
                urgent.send_priority(Counted(Arc::clone(&count)));
            }
            ctx.receive_match(|_| false).timeout(Duration::ZERO).await;
            exit(resurgam::self_pid(), ExitReason::Shutdown);
            urgent.send_priority(Counted(count));
            ctx.receive().await;
        })
        .unwrap();
        assert_eq!(victim.join().await, ExitReason::Shutdown);
        while dropped.load(Ordering::SeqCst) < 7 {
            yield_now().await;
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 7);
    });
}

/// Ends with the first word it hears, by whatever way.
struct Ear;

impl GenServer for Ear {
    type Args = mpsc::UnboundedSender<Alias<&'static str>>;
    type Message = &'static str;

    async fn init(ways: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        ways.unbounded_send(ctx.alias(AliasMode::Reply))?;
        Ok(Self)
    }

    async fn handle(
        &mut self,
        word: &'static str,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        Err(ExitReason::shutdown_with(word))
    }
}

/// ALIAS-01, MON-15
#[test]
fn a_context_opens_aliases_and_monitors_of_its_own_messages() {
    run(|mut ctx: Context<&'static str>| async move {
        let urgent = ctx.alias_priority(AliasMode::Explicit);
        ctx.alias(AliasMode::Reply).send("plain");
        urgent.send_priority("urgent");
        assert_eq!(ctx.receive().await, Message::User("urgent"));
        assert_eq!(ctx.receive().await, Message::User("plain"));
        let (_, way) = ctx.monitor_alias("nobody", MonitorAlias::Explicit);
        assert!(matches!(ctx.receive().await, Message::Down(_)));
        way.send("by the monitor's");
        assert_eq!(ctx.receive().await, Message::User("by the monitor's"));
        ctx.monitor_as("nobody", |_| "gone");
        assert_eq!(ctx.receive().await, Message::User("gone"));

        let (give, mut given) = mpsc::unbounded();
        let end = Ear::start(give).await.unwrap().join();
        given.next().await.unwrap().send("heard");
        assert_eq!(end.await, ExitReason::shutdown_with("heard"));
    });
}
