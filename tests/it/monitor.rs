//! Monitors, law by law.

use std::fmt::Debug;

use resurgam::{
    Context, Down, Exit, ExitReason, Message, MonitorRef, Pid, ProcessInfo, ProcessRef, Reply,
    ThreadContext, demonitor, demonitor_flush, join, kill, link, monitor, process_info, register,
    self_pid, spawn, spawn_options, trap_exit, unlink, unregister, whereis,
};

use crate::support::{idle, run, run_on_threads};

/// How often a race is run.
const ROUNDS: usize = 300;

/// Ends with the reason it is told.
async fn obedient(mut ctx: Context<ExitReason>) -> ExitReason {
    loop {
        if let Message::User(reason) = ctx.receive().await {
            return reason;
        }
    }
}

fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("it was spawned")
}

fn spawn_idle() -> Pid {
    pid_of(&spawn(idle).unwrap())
}

/// A pid whose process has ended.
async fn dead() -> Pid {
    let process = spawn(|_: Context<()>| async {}).unwrap();
    process.join().await;
    pid_of(&process)
}

/// Kills a process. This is told of the end after all that it asked to be told
/// before.
async fn end(pid: Pid) {
    let ended = join(pid);
    kill(pid);
    ended.await;
}

async fn next_down<M: Send + Debug + 'static>(ctx: &mut Context<M>) -> Down {
    match ctx.receive().await {
        Message::Down(down) => down,
        other => panic!("a `Down` was to come, not {other:?}"),
    }
}

async fn info(pid: Pid) -> ProcessInfo {
    process_info(pid).await.unwrap().expect("it lives")
}

/// MON-01, MON-14: the watched lives on, and is watched by nobody then.
#[test]
fn end_of_a_watcher_leaves_the_watched_alone() {
    run_on_threads(|_: Context<()>| async {
        let watched = spawn_idle();
        let watcher = spawn(move |mut ctx: Context<Reply<MonitorRef>>| async move {
            while let Message::User(reply) = ctx.receive().await {
                reply.send(monitor(watched));
            }
        });
        let watcher = watcher.unwrap();
        watcher.call(|reply| reply).await.unwrap();
        let watcher = pid_of(&watcher);
        assert_eq!(info(watcher).await.monitors, [watched]);
        assert_eq!(info(watched).await.monitored_by, [watcher]);
        end(watcher).await;
        // A dying process takes its monitors back after it has told of its
        // end, so this may take a moment.
        while !info(watched).await.monitored_by.is_empty() {}
    });
}

/// MON-02, MON-05: as many `Down`s as monitors, then no more.
#[test]
fn each_monitor_fires_once() {
    run(|mut ctx: Context<()>| async move {
        let watched = spawn_idle();
        let references = [(); 3].map(|()| monitor(watched));
        assert_eq!(info(watched).await.monitored_by, [self_pid(); 3]);
        end(watched).await;
        let mut told = Vec::new();
        while let Some(Message::Down(down)) = ctx.try_receive() {
            assert_eq!((down.pid, down.reason), (watched, ExitReason::Killed));
            told.push(down.reference);
        }
        told.sort();
        assert_eq!(told, references);
        assert_eq!(ctx.try_receive(), None);
        assert_eq!(info(self_pid()).await.monitors, []);
        assert!(!references.map(demonitor).contains(&true));
    });
}

/// MON-03
#[test]
fn down_tells_the_name_only_if_a_name_was_watched() {
    run(|mut ctx: Context<()>| async move {
        let pid = spawn_idle();
        register("watched", pid).unwrap();
        let down = |reference, name: Option<&str>| Down {
            reference,
            pid,
            name: name.map(Into::into),
            reason: ExitReason::Killed,
        };
        let by_pid = down(monitor(pid), None);
        let by_name = down(monitor("watched"), Some("watched"));
        kill(pid);
        let told = [next_down(&mut ctx).await, next_down(&mut ctx).await];
        assert!(
            told.contains(&by_pid) && told.contains(&by_name),
            "{told:?}"
        );
    });
}

/// MON-04: as a message like any other, behind what came before.
#[test]
fn monitoring_nobody_brings_noproc() {
    run_on_threads(|mut ctx: Context<()>| async move {
        let dead = dead().await;
        ctx.self_ref().cast(());
        let expected = [
            (monitor(dead), dead, None),
            (monitor("nobody"), Pid::OUTSIDE, Some("nobody".into())),
            (monitor(Pid::OUTSIDE), Pid::OUTSIDE, None),
        ];
        assert_eq!(ctx.receive().await, Message::User(()));
        for (reference, pid, name) in expected {
            let down = Down {
                reference,
                pid,
                name,
                reason: ExitReason::NoProcess,
            };
            assert_eq!(ctx.receive().await, Message::Down(down));
        }
        assert_eq!(info(self_pid()).await.monitors, []);
    });
}

/// MON-06
#[test]
fn name_is_resolved_when_the_monitor_is_made() {
    run(|mut ctx: Context<()>| async move {
        let (first, second) = (spawn_idle(), spawn_idle());
        register("name", first).unwrap();
        let reference = monitor("name");
        unregister("name").unwrap();
        register("name", second).unwrap();
        end(second).await;
        assert_eq!(ctx.try_receive(), None);
        kill(first);
        let down = next_down(&mut ctx).await;
        assert_eq!((down.reference, down.pid), (reference, first));
        assert_eq!(down.name, Some("name".into()));
    });
}

/// MON-07
#[test]
fn monitoring_oneself_does_nothing() {
    run(|mut ctx: Context<()>| async move {
        register("myself", self_pid()).unwrap();
        let references = [monitor(self_pid()), monitor("myself")];
        assert_ne!(references[0], references[1]);
        let info = info(self_pid()).await;
        assert_eq!((info.monitors, info.monitored_by), (vec![], vec![]));
        assert_eq!(references.map(demonitor), [false, false]);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// MON-08, MON-10
#[test]
fn no_down_comes_after_demonitor() {
    run(|mut ctx: Context<()>| async move {
        for take_back in [demonitor, demonitor_flush] {
            let watched = spawn_idle();
            let reference = monitor(watched);
            assert!(take_back(reference));
            assert_eq!(info(watched).await.monitored_by, []);
            end(watched).await;
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// MON-08, MON-10: `false` says that it is in the mailbox.
#[test]
fn down_that_has_come_outlives_demonitor() {
    run(|mut ctx: Context<()>| async move {
        let watched = spawn_idle();
        let reference = monitor(watched);
        end(watched).await;
        assert_eq!(info(self_pid()).await.message_queue_len, 1);
        assert!(!demonitor(reference));
        assert_eq!(next_down(&mut ctx).await.reference, reference);
    });
}

/// MON-09, MON-10: its own `Down` only, and what was to be flushed makes the
/// answer `false`.
#[test]
fn flush_takes_the_down_out_of_the_mailbox() {
    run(|mut ctx: Context<()>| async move {
        let watched = spawn_idle();
        let [first, second, third] = [(); 3].map(|()| monitor(watched));
        end(watched).await;
        assert_eq!(info(self_pid()).await.message_queue_len, 3);
        assert!(!demonitor_flush(second));
        assert_eq!(next_down(&mut ctx).await.reference, first);
        assert_eq!(next_down(&mut ctx).await.reference, third);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// MON-11
#[test]
fn demonitor_of_what_is_no_monitor_does_nothing() {
    run(|mut ctx: Context<()>| async move {
        let watched = spawn_idle();
        let (other, reference) = (monitor(watched), monitor(watched));
        assert!(demonitor(reference));
        assert!(!demonitor(reference));
        assert!(!demonitor_flush(reference));
        kill(watched);
        assert_eq!(next_down(&mut ctx).await.reference, other);
        assert!(!demonitor(other));
        assert!(!demonitor_flush(other));
    });
}

/// MON-12
#[test]
fn demonitor_of_a_strangers_monitor_does_nothing() {
    run(|mut ctx: Context<()>| async move {
        let watched = spawn_idle();
        let reference = monitor(watched);
        let stranger = spawn(move |_: Context<()>| async move {
            assert!(!demonitor(reference));
            assert!(!demonitor_flush(reference));
        });
        assert!(stranger.unwrap().join().await.is_normal());
        assert_eq!(info(watched).await.monitored_by, [self_pid()]);
        kill(watched);
        assert_eq!(next_down(&mut ctx).await.reference, reference);
    });
}

/// MON-10, MON-13: it is in the mailbox or never comes, as the answer says.
#[test]
fn demonitor_races_with_the_end() {
    run_on_threads(|mut ctx: Context<()>| async move {
        for round in 0..ROUNDS {
            let watched = spawn_options().spawn_thread(|mut ctx: ThreadContext<()>| {
                ctx.receive();
            });
            let watched = watched.unwrap().process;
            let reference = monitor(pid_of(&watched));
            watched.cast(());
            for _ in 0..round % 50 * 40 {
                std::hint::spin_loop();
            }
            if round % 2 == 0 {
                // Takes in what has come so far.
                info(self_pid()).await;
            }
            let was_active = demonitor(reference);
            match ctx.try_receive() {
                None => assert!(was_active),
                Some(Message::Down(down)) => {
                    assert_eq!((down.reference, was_active), (reference, false));
                }
                Some(other) => panic!("{other:?}"),
            }
            watched.join().await;
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// MON-16: and the name can be had at once.
#[test]
fn name_is_free_when_its_down_comes() {
    run_on_threads(|mut ctx: Context<()>| async move {
        for _ in 0..ROUNDS {
            let watched = spawn_options()
                .name("name")
                .spawn_thread(|mut ctx: ThreadContext<()>| {
                    ctx.receive();
                });
            let reference = monitor("name");
            watched.unwrap().process.cast(());
            assert_eq!(next_down(&mut ctx).await.reference, reference);
            assert_eq!(whereis("name"), None);
            register("name", self_pid()).unwrap();
            unregister("name").unwrap();
        }
    });
}

/// One of two that watch each other.
enum Peer {
    Watch(Pid, Reply<MonitorRef>),
    Do(Deed),
}

/// What a peer does before it ends.
#[derive(Copy, Clone, PartialEq, Debug)]
enum Deed {
    Exit,
    Kill,
    Demonitor,
    Wait,
}

impl Deed {
    const ALL: [Self; 4] = [Self::Exit, Self::Kill, Self::Demonitor, Self::Wait];
}

/// A peer that looks whether it hears of the other's end as it should.
fn peer(mut ctx: ThreadContext<Peer>) {
    let Message::User(Peer::Watch(other, reply)) = ctx.receive() else {
        panic!("no order")
    };
    let reference = monitor(other);
    reply.send(reference);
    let mut received = Vec::new();
    let deed = loop {
        match ctx.receive() {
            Message::User(Peer::Do(deed)) => break deed,
            Message::Down(down) => received.push(down),
            Message::User(Peer::Watch(..)) | Message::Exit(_) => panic!("no order"),
        }
    };
    let was_active = deed == Deed::Demonitor && demonitor(reference);
    if deed == Deed::Kill {
        kill(other);
    }
    if matches!(deed, Deed::Kill | Deed::Wait) && received.is_empty() {
        let Message::Down(down) = ctx.receive() else {
            panic!("no `Down`")
        };
        received.push(down);
    }
    while let Some(Message::Down(down)) = ctx.try_receive() {
        received.push(down);
    }
    let may_be = match deed {
        Deed::Exit => 0..=1,
        Deed::Kill | Deed::Wait => 1..=1,
        Deed::Demonitor if was_active => 0..=0,
        Deed::Demonitor => 1..=1,
    };
    assert!(may_be.contains(&received.len()), "{deed:?}, {received:?}");
    assert!(
        received
            .iter()
            .all(|down| (down.reference, down.pid) == (reference, other))
    );
}

/// Lets two peers do their deeds at once; how they end.
async fn clash(one: Deed, other: Deed) -> [ExitReason; 2] {
    let peers = [(); 2].map(|()| spawn_options().spawn_thread(peer).unwrap().process);
    for (at, by) in [(0, 1), (1, 0)] {
        let target = pid_of(&peers[by]);
        peers[at]
            .call(|reply| Peer::Watch(target, reply))
            .await
            .unwrap();
    }
    peers[0].cast(Peer::Do(one));
    peers[1].cast(Peer::Do(other));
    [peers[0].join().await, peers[1].join().await]
}

/// MON-17: no `Down` is lost and none comes twice.
#[test]
fn two_that_watch_each_other_may_end_at_once() {
    run_on_threads(|_: Context<()>| async {
        let pairs = Deed::ALL
            .iter()
            .flat_map(|one| Deed::ALL.map(|other| (*one, other)));
        let ends = pairs.filter(|pair| *pair != (Deed::Wait, Deed::Wait));
        for (one, other) in ends.cycle().take(ROUNDS) {
            let [first, second] = clash(one, other).await;
            for (end, foe) in [(first, other), (second, one)] {
                let killed = foe == Deed::Kill && end == ExitReason::Killed;
                assert!(end.is_normal() || killed, "{one:?} and {other:?}: {end}");
            }
        }
    });
}

/// MON-18: unlike to links, a normal end is told too.
#[test]
fn every_end_is_told_with_its_reason() {
    run(|mut ctx: Context<()>| async move {
        let reasons = [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::shutdown_with("done"),
            ExitReason::Kill,
            ExitReason::custom(7),
        ];
        for reason in reasons {
            let watched = spawn(obedient).unwrap();
            monitor(pid_of(&watched));
            watched.cast(reason.clone());
            assert_eq!(next_down(&mut ctx).await.reason, reason);
        }
        let panicking = spawn(|mut ctx: Context<()>| async move {
            ctx.receive().await;
            panic!("on purpose");
        });
        let panicking = panicking.unwrap();
        monitor(pid_of(&panicking));
        panicking.cast(());
        let ExitReason::Panicked(panic) = next_down(&mut ctx).await.reason else {
            panic!("no panic")
        };
        assert_eq!(panic.message(), "on purpose");
    });
}

/// MON-19: each is taken back without the other; with both, the exit comes
/// first.
#[test]
fn link_and_monitor_do_not_know_of_each_other() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for (keeps_link, keeps_monitor) in [(true, true), (true, false), (false, true)] {
            let other = spawn_idle();
            let reference = monitor(other);
            link(other);
            if !keeps_link {
                unlink(other);
            }
            if !keeps_monitor {
                demonitor(reference);
            }
            end(other).await;
            let reason = ExitReason::Killed;
            if keeps_link {
                let exit = Exit {
                    from: other,
                    reason: reason.clone(),
                };
                assert_eq!(ctx.try_receive(), Some(Message::Exit(exit)));
            }
            if keeps_monitor {
                let down = Down {
                    reference,
                    pid: other,
                    name: None,
                    reason,
                };
                assert_eq!(ctx.try_receive(), Some(Message::Down(down)));
            }
            assert_eq!(ctx.try_receive(), None);
        }
    });
}
