//! Links: the laws LINK.

use std::sync::{Arc, Barrier};

use futures::channel::oneshot;
use resurgam::{
    Context, ExitReason, Message, Pid, ProcessRef, Reply, ThreadContext, exit, flush_exit,
    is_alive, kill, link, monitor, self_pid, spawn, spawn_link, spawn_options, trap_exit,
    try_self_pid, unlink, yield_now,
};

use crate::signals::{
    Dice, Drops, busy, links_of, next_down, next_exit, next_user, obedient, pid_of, yield_times,
};
use crate::support::{idle, run, run_on_threads};

/// LINK-01: either end may make it, and either may take it back.
#[test]
fn links_are_symmetric() {
    run(|ctx: Context<()>| async move {
        let me = ctx.pid();
        for (mine, my_undoing) in [(true, true), (true, false), (false, true), (false, false)] {
            let other = spawn(partner).unwrap();
            let pid = pid_of(&other);
            act(mine, &other, Act::Link(me)).await;
            assert_eq!(
                (links_of(me).await, links_of(pid).await),
                (vec![pid], vec![me])
            );
            act(my_undoing, &other, Act::Unlink(me)).await;
            assert_eq!((links_of(me).await, links_of(pid).await), (vec![], vec![]));
            kill(pid);
            other.join().await;
        }
    });
}

/// What a partner is told to do.
#[derive(Copy, Clone)]
enum Act {
    Link(Pid),
    Unlink(Pid),
}

/// A process that does what it is told.
async fn partner(mut ctx: Context<(Act, Reply<()>)>) {
    loop {
        let (act, reply) = next_user(&mut ctx).await;
        match act {
            Act::Link(pid) => link(pid),
            Act::Unlink(pid) => unlink(pid),
        }
        reply.send(());
    }
}

/// Does it here, or lets the other end do it.
async fn act(here: bool, other: &ProcessRef<(Act, Reply<()>)>, act: Act) {
    match (here, act) {
        (true, Act::Link(_)) => link(pid_of(other)),
        (true, Act::Unlink(_)) => unlink(pid_of(other)),
        (false, act) => other.call(|reply| (act, reply)).await.unwrap(),
    }
}

/// LINK-02, LINK-15: whichever ends do it; one exit, and one unlink of either
/// end removes it.
#[test]
fn linking_twice_is_linking_once() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        for first in [true, false] {
            for second in [true, false] {
                let other = spawn(partner).unwrap();
                let pid = pid_of(&other);
                act(first, &other, Act::Link(me)).await;
                act(second, &other, Act::Link(me)).await;
                assert_eq!(
                    (links_of(me).await, links_of(pid).await),
                    (vec![pid], vec![me])
                );
                act(second, &other, Act::Unlink(me)).await;
                assert_eq!((links_of(me).await, links_of(pid).await), (vec![], vec![]));
                act(first, &other, Act::Link(me)).await;
                act(second, &other, Act::Link(me)).await;
                kill(pid);
                assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::Killed));
                other.join().await;
                assert!(ctx.try_receive().is_none());
            }
        }
    });
}

/// LINK-03, LINK-04.
#[test]
fn linking_to_oneself_and_unlinking_strangers_does_nothing() {
    run(|mut ctx: Context<()>| async move {
        let (me, stranger) = (ctx.pid(), pid_of(&spawn(idle).unwrap()));
        let dead = spawn(|_: Context<()>| async {}).unwrap();
        dead.join().await;
        link(me);
        assert_eq!(links_of(me).await, []);
        for pid in [me, stranger, pid_of(&dead), Pid::OUTSIDE] {
            unlink(pid);
        }
        assert_eq!(
            (links_of(me).await, links_of(stranger).await),
            (vec![], vec![])
        );
        trap_exit(true);
        let links_to_itself = spawn_link(|_: Context<()>| async {
            link(self_pid());
            ExitReason::Shutdown
        });
        let expected = (pid_of(&links_to_itself.unwrap()), ExitReason::Shutdown);
        assert_eq!(next_exit(&mut ctx).await, expected);
        assert!(ctx.try_receive().is_none());
    });
}

/// LINK-05 (differs), LINK-06: never a panic of the caller, who is ended by
/// `noproc`, or gets it as a message if it traps.
#[test]
fn linking_to_the_dead_is_an_exit_of_noproc() {
    run(|mut ctx: Context<()>| async move {
        let dead = spawn(|_: Context<()>| async { ExitReason::custom("its own") }).unwrap();
        dead.join().await;
        for pid in [pid_of(&dead), Pid::OUTSIDE] {
            let links = spawn(move |ctx: Context<()>| async move {
                link(pid);
                idle(ctx).await;
            });
            assert_eq!(links.unwrap().join().await, ExitReason::NoProcess);
            trap_exit(true);
            link(pid);
            assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::NoProcess));
            trap_exit(false);
        }
        assert!(links_of(ctx.pid()).await.is_empty());
    });
}

/// LINK-07: nor if the other end was dying already.
#[test]
fn old_link_has_no_effect_after_unlink() {
    run(|mut ctx: Context<()>| async move {
        for round in 0..2_000 {
            let child = spawn_link(obedient).unwrap();
            let mut dice = Dice::new(round);
            if dice.roll(2) == 0 {
                // It ends before, if at all, in the midst of the unlink.
                trap_exit(true);
                child.cast(ExitReason::custom(round));
            }
            yield_times(dice.roll(3)).await;
            unlink(pid_of(&child));
            flush_exit(pid_of(&child));
            trap_exit(false);
            child.cast(ExitReason::custom(round));
            child.join().await;
            // It would end this process, which does not trap.
            yield_now().await;
            assert!(ctx.try_receive().is_none(), "round {round}");
        }
    });
}

/// LINK-08.
#[test]
fn exit_that_came_before_the_unlink_stays_and_can_be_flushed() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for flushed in [false, true] {
            let children = [ExitReason::custom(1), ExitReason::custom(2)].map(|reason| {
                let child = spawn_link(obedient).unwrap();
                child.cast(reason);
                child
            });
            let [first, second] = children.each_ref().map(pid_of);
            for child in &children {
                has_exited(child).await;
                unlink(pid_of(child));
            }
            if flushed {
                assert_eq!(flush_exit(second), Some(ExitReason::custom(2)));
                assert_eq!(flush_exit(first), Some(ExitReason::custom(1)));
                assert_eq!(flush_exit(first), None);
            } else {
                let mut found = [next_exit(&mut ctx).await, next_exit(&mut ctx).await];
                found.sort_by_key(|(pid, _)| *pid);
                assert_eq!(
                    found,
                    [
                        (first, ExitReason::custom(1)),
                        (second, ExitReason::custom(2))
                    ]
                );
            }
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// Waits until this process has received the exit of another one, which stays
/// in the mailbox.
async fn has_exited<M: Send + 'static>(process: &ProcessRef<M>) {
    while links_of(self_pid()).await.contains(&pid_of(process)) {
        yield_now().await;
    }
}

/// LINK-09: one look after the unlink finds the exit, or it never comes.
#[test]
fn no_late_exit_after_kill_and_unlink() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let mut found = 0;
        for round in 0..3_000 {
            let child = match round % 2 {
                0 => spawn_link(idle).unwrap(),
                _ => spawn_link(busy).unwrap(),
            };
            let pid = pid_of(&child);
            let mut dice = Dice::new(round);
            yield_times(dice.roll(3)).await;
            kill(pid);
            yield_times(dice.roll(3)).await;
            unlink(pid);
            found += u32::from(flush_exit(pid).is_some());
            child.join().await;
            assert_eq!(flush_exit(pid), None, "round {round}");
            assert!(ctx.try_receive().is_none(), "round {round}");
        }
        assert!(
            found > 0,
            "no exit was ever in time: the test tests nothing"
        );
    });
}

/// LINK-10: on either side of the acknowledgement.
#[test]
fn linking_again_after_an_unlink_is_a_whole_link() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        for round in 0..500 {
            let child = spawn_link(obedient).unwrap();
            let pid = pid_of(&child);
            let mut dice = Dice::new(round);
            for _ in 0..=dice.roll(3) {
                unlink(pid);
                yield_times(dice.roll(2)).await;
                link(pid);
            }
            assert_eq!(
                (links_of(pid).await, links_of(me).await),
                (vec![me], vec![pid])
            );
            child.cast(ExitReason::custom(round));
            assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::custom(round)));
            child.join().await;
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// What an end of a fought-over link is told.
enum End {
    /// Link and unlink this one at random.
    Fight(Pid),
    /// How many exits have come?
    Exits(Reply<usize>),
}

/// A process that links and unlinks another one at random, then counts.
async fn fighter(mut ctx: Context<End>, seed: u64) {
    let End::Fight(other) = next_user(&mut ctx).await else {
        panic!("asked before the fight")
    };
    let mut dice = Dice::new(seed);
    for _ in 0..dice.roll(30) {
        match dice.roll(5) {
            0 | 1 => link(other),
            2 | 3 => unlink(other),
            _ => yield_now().await,
        }
    }
    let mut exits = 0;
    loop {
        match ctx.receive().await {
            Message::User(End::Exits(reply)) => reply.send(exits),
            Message::Exit(exit) if exit.from == other => exits += 1,
            Message::User(End::Fight(_)) | Message::Exit(_) | Message::Down(_) => panic!("what?"),
        }
    }
}

/// LINK-11, LINK-15, LINK-12: when all is quiet both ends think the same, and
/// act accordingly. (Kameo 220: two that linked each other locked each other.)
#[test]
fn both_ends_agree_whatever_they_did_at_once() {
    run_on_threads(|_: Context<()>| async {
        let mut linked = 0;
        for round in 0..500 {
            let [a, b] = [2 * round, 2 * round + 1].map(|seed| {
                let fights = move |ctx: Context<End>| fighter(ctx, seed);
                spawn_options().trap_exit().spawn(fights).unwrap().process
            });
            let (a_pid, b_pid) = (pid_of(&a), pid_of(&b));
            a.cast(End::Fight(b_pid));
            b.cast(End::Fight(a_pid));
            for end in [&a, &b] {
                assert_eq!(end.call(End::Exits).await, Ok(0), "round {round}");
            }
            let (of_a, of_b) = (links_of(a_pid).await, links_of(b_pid).await);
            let is_linked = !of_a.is_empty();
            let (expected_a, expected_b) = if is_linked {
                (vec![b_pid], vec![a_pid])
            } else {
                (vec![], vec![])
            };
            assert_eq!((of_a, of_b), (expected_a, expected_b), "round {round}");
            let (victim, other) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
            let joined = victim.join();
            kill(pid_of(victim));
            joined.await;
            let exits = other.call(End::Exits).await;
            assert_eq!(exits, Ok(usize::from(is_linked)), "round {round}");
            assert_eq!(links_of(pid_of(other)).await, [], "round {round}");
            kill(pid_of(other));
            linked += usize::from(is_linked);
        }
        assert!(
            (1..500).contains(&linked),
            "{linked} of 500: the test tests nothing"
        );
    });
}

/// LINK-11, LINK-10: signals of both ends that cross each other. Each end acts
/// in one turn, so it hears of the other only when both have acted.
#[test]
fn both_ends_agree_after_signals_that_crossed() {
    const ROUNDS: u64 = 1_000;
    run_on_threads(|mut ctx: Context<Vec<bool>>| async move {
        let barrier = Arc::new(Barrier::new(2));
        let ends = [1, 2].map(|seed| {
            let (me, barrier) = (ctx.self_ref(), Arc::clone(&barrier));
            let crosses = move |mut ctx: ThreadContext<Pid>| {
                let Message::User(other) = ctx.receive() else {
                    panic!("no partner")
                };
                let mut dice = Dice::new(seed);
                let mut linked = Vec::new();
                for _ in 0..ROUNDS {
                    barrier.wait();
                    for _ in 0..dice.roll(4) {
                        if dice.roll(2) == 0 {
                            link(other)
                        } else {
                            unlink(other)
                        }
                    }
                    // Once for what the other did, once for its answers.
                    for _ in 0..2 {
                        barrier.wait();
                        ctx.try_receive();
                    }
                    linked.push(ctx.block_on(links_of(self_pid())).contains(&other));
                }
                me.cast(linked);
                unlink(other);
            };
            spawn_options().spawn_thread(crosses).unwrap().process
        });
        ends[0].cast(pid_of(&ends[1]));
        ends[1].cast(pid_of(&ends[0]));
        let (one, other) = (next_user(&mut ctx).await, next_user(&mut ctx).await);
        assert_eq!(one, other);
        assert!(one.contains(&true) && one.contains(&false));
        for end in &ends {
            assert_eq!(end.join().await, ExitReason::Normal);
        }
    });
}

/// LINK-11, LINK-13: also if one dies in the midst of it: at most one exit,
/// and no link to the dead.
#[test]
fn death_in_the_midst_leaves_no_half_link() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..500 {
            let [a, b] = [2 * round, 2 * round + 1].map(|seed| {
                let fights = move |ctx: Context<End>| fighter(ctx, seed);
                spawn_options().trap_exit().spawn(fights).unwrap().process
            });
            let (a_pid, b_pid) = (pid_of(&a), pid_of(&b));
            a.cast(End::Fight(b_pid));
            b.cast(End::Fight(a_pid));
            yield_times(Dice::new(round).roll(6)).await;
            kill(a_pid);
            b.call(End::Exits).await.unwrap();
            // Asked after the last link request, so answered after it.
            a.join().await;
            assert_eq!(links_of(b_pid).await, [], "round {round}");
            kill(b_pid);
            b.join().await;
        }
    });
}

/// LINK-12: with any reason, whether the survivor traps or not.
#[test]
fn link_is_gone_at_the_survivor_when_one_end_died() {
    run(|mut ctx: Context<()>| async move {
        for trap in [false, true] {
            trap_exit(trap);
            let children: Vec<_> = (0..20).map(|_| spawn_link(obedient).unwrap()).collect();
            for (index, child) in children.iter().enumerate() {
                let joined = child.join();
                child.cast(ExitReason::Normal);
                joined.await;
                let left: Vec<_> = children[index + 1..].iter().map(pid_of).collect();
                assert_eq!(links_of(ctx.pid()).await, left);
            }
            while ctx.try_receive().is_some() {}
        }
    });
}

/// LINK-12: not even a destructor that runs last of all leaves a link to the
/// dead.
#[test]
fn link_made_in_the_last_destructor_is_no_link_to_the_dead() {
    /// Links the process it is dropped in, if any, to another one.
    #[derive(Debug)]
    struct LinksLate(Pid, Drops);
    impl PartialEq for LinksLate {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }
    impl Drop for LinksLate {
        fn drop(&mut self) {
            if try_self_pid().is_some() {
                link(self.0);
            }
            drop(self.1.guard());
        }
    }
    run_on_threads(|_: Context<()>| async {
        let other = pid_of(&spawn_options().trap_exit().spawn(idle).unwrap().process);
        let drops = Drops::default();
        let late = LinksLate(other, drops.clone());
        let dying = spawn(move |ctx: Context<()>| async move {
            trap_exit(true);
            exit(ctx.pid(), ExitReason::custom(late));
            // The exit is in the mailbox after this, and stays there.
            yield_now().await;
        })
        .unwrap();
        dying.join().await;
        while drops.count() == 0 {
            yield_now().await;
        }
        assert_eq!(links_of(other).await, []);
        kill(other);
    });
}

/// LINK-13.
#[test]
fn link_to_a_dying_process_brings_one_exit() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let mut true_reasons = 0;
        for round in 0..3_000 {
            let dying = match round % 3 {
                0 => spawn(|_: Context<()>| async { ExitReason::custom("its own") }).unwrap(),
                _ => spawn(|mut ctx: Context<()>| async move {
                    ctx.receive().await;
                    ExitReason::custom("its own")
                })
                .unwrap(),
            };
            let pid = pid_of(&dying);
            dying.cast(());
            yield_times(Dice::new(round).roll(3)).await;
            link(pid);
            let (from, reason) = next_exit(&mut ctx).await;
            assert_eq!(from, pid);
            let is_true = reason == ExitReason::custom("its own");
            assert!(
                is_true || reason == ExitReason::NoProcess,
                "round {round}: {reason}"
            );
            true_reasons += u32::from(is_true);
            dying.join().await;
            yield_now().await;
            assert!(ctx.try_receive().is_none(), "round {round}: a second exit");
        }
        assert!(true_reasons > 0);
    });
}

/// LINK-14: told by a message, by a monitor, or in answer to a question.
#[test]
fn link_to_one_that_unlinked_and_died_is_noproc() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        for round in 0..600 {
            let other = spawn_link(move |_: Context<()>| async move {
                unlink(me);
                ExitReason::custom("its own")
            })
            .unwrap();
            let pid = pid_of(&other);
            match round % 3 {
                0 => {
                    monitor(pid);
                    next_down(&mut ctx).await;
                }
                1 => drop(other.join().await),
                _ => while is_alive(pid).await == Ok(true) {},
            }
            link(pid);
            assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::NoProcess));
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// LINK-14, SIG-10: the answer that it is dead comes after the unlink it sent,
/// also if there was no turn in between.
#[test]
fn link_to_one_that_is_known_to_be_dead_is_noproc() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        for _ in 0..50 {
            let (end, ends) = std::sync::mpsc::channel::<()>();
            let unlinks = move |_: ThreadContext<()>| {
                ends.recv().unwrap();
                unlink(me);
            };
            let other = spawn_options()
                .link()
                .spawn_thread(unlinks)
                .unwrap()
                .process;
            let pid = pid_of(&other);
            end.send(()).unwrap();
            // It ends while this process takes its turn.
            while ctx.node().processes().contains(&pid) {
                std::hint::spin_loop();
            }
            assert_eq!(is_alive(pid).await, Ok(false));
            link(pid);
            yield_now().await;
            assert_eq!(flush_exit(pid), Some(ExitReason::NoProcess));
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// LINK-16: in whatever order.
#[test]
fn abnormal_death_reaches_all_links() {
    const COUNT: usize = 20_000;
    run_on_threads(|_: Context<()>| async {
        let drops = Drops::default();
        let (is_ready, ready) = oneshot::channel();
        let guards: Vec<_> = (0..COUNT).map(|_| drops.guard()).collect();
        let root = spawn(move |ctx: Context<()>| async move {
            let mut pids = Vec::new();
            for guard in guards {
                let child = spawn_link(move |ctx: Context<()>| async move {
                    let _guard = guard;
                    idle(ctx).await;
                });
                pids.push(pid_of(&child.unwrap()));
            }
            is_ready.send(pids).unwrap();
            idle(ctx).await;
        })
        .unwrap();
        let pids = ready.await.unwrap();
        let joined = root.join();
        exit(pid_of(&root), ExitReason::Shutdown);
        joined.await;
        for pid in pids {
            assert_eq!(is_alive(pid).await, Ok(false));
        }
        assert_eq!(drops.count(), COUNT);
    });
}

/// LINK-16, EXIT-15: a chain of a hundred thousand dies from one end to the
/// other, each in a turn of its own and not on the stack of the one before.
#[test]
fn long_chain_dies_to_its_end() {
    const COUNT: usize = 100_000;
    run_on_threads(|mut ctx: Context<()>| async move {
        let drops = Drops::default();
        let me = ctx.self_ref();
        let first = spawn(idle).unwrap();
        let mut last = first.clone();
        for _ in 0..COUNT {
            let (before, me, guard) = (last.clone(), me.clone(), drops.guard());
            last = spawn(move |ctx: Context<()>| async move {
                let _guard = guard;
                link(pid_of(&before));
                me.cast(());
                idle(ctx).await;
            })
            .unwrap();
        }
        for _ in 0..COUNT {
            next_user(&mut ctx).await;
        }
        kill(pid_of(&first));
        assert_eq!(last.join().await, ExitReason::Killed);
        assert_eq!(drops.count(), COUNT);
    });
}
