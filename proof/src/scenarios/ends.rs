//! What others see of an end, and in which order.

use resurgam::sim::Sim;
use resurgam::{
    Context, Exit, ExitReason, Message, Pid, demonitor_flush, exit, flush_exit, join, kill, link,
    monitor, register, spawn, trap_exit, unlink, whereis,
};

use super::{SECOND, Scenario, play};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("a_link_is_told_before_a_join", link_before_join),
    ("a_link_is_told_before_a_monitor", link_before_monitor),
    ("a_join_says_the_true_reason_before_and_after", join_reason),
    ("a_flush_takes_one_exit_and_no_other", flush_takes_one),
    ("after_unlink_and_flush_nothing_comes", unlinked),
    ("after_demonitor_and_flush_nothing_comes", demonitored),
    ("a_name_is_free_when_the_end_is_told", name_free),
    ("a_link_or_monitor_that_came_too_late_is_answered", too_late),
    ("an_end_goes_round_a_ring_of_links", ring),
    ("links_agree_whatever_both_ends_did_at_once", link_races),
    ("messages_come_in_the_order_they_were_sent", in_order),
];

/// A process that waits; what it trapped ends it.
fn waiting() -> Pid {
    let process = spawn(|mut ctx: Context<()>| async move {
        ctx.receive().await;
    });
    process
        .expect("the node takes processes")
        .pid()
        .expect("it was just spawned")
}

fn reason() -> ExitReason {
    ExitReason::custom("a reason")
}

fn link_before_join(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = waiting();
        link(child);
        let end = join(child);
        exit(child, reason());
        assert_eq!(end.await, reason());
        let (from, reason) = (child, reason());
        let told = ctx.try_receive();
        assert_eq!(told, Some(Message::Exit(Exit { from, reason })));
    });
}

fn link_before_monitor(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = waiting();
        monitor(child);
        link(child);
        exit(child, reason());
        let first = ctx.receive().await;
        assert!(matches!(first, Message::Exit(_)), "{first:?}");
        let second = ctx.receive().await;
        assert!(matches!(second, Message::Down(_)), "{second:?}");
        assert_eq!(ctx.receive_timeout(SECOND).await, None);
    });
}

fn join_reason(sim: &mut Sim) {
    sim.run(async {
        let process = spawn(|mut ctx: Context<()>| async move {
            ctx.receive().await;
        });
        let process = process.expect("the node takes processes");
        let before = process.join();
        kill(process.pid().expect("it was just spawned"));
        let during = process.join();
        assert_eq!(before.await, ExitReason::Killed);
        assert_eq!(during.await, ExitReason::Killed);
        assert_eq!(process.join().await, ExitReason::Killed);
    });
}

fn flush_takes_one(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let (first, second) = (waiting(), waiting());
        for child in [first, second] {
            link(child);
            exit(child, reason());
            join(child).await;
        }
        let stranger = waiting();
        assert_eq!(flush_exit(stranger), None, "it has not ended");
        assert_eq!(flush_exit(second), Some(reason()));
        let Message::Exit(left) = ctx.receive().await else {
            panic!("there are only exits");
        };
        assert_eq!(left.from, first);
        assert_eq!(ctx.try_receive(), None);
    });
}

fn unlinked(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = waiting();
        link(child);
        kill(child);
        unlink(child);
        let flushed = flush_exit(child);
        assert!(flushed.is_none_or(|reason| reason == ExitReason::Killed));
        assert_eq!(ctx.receive_timeout(SECOND).await, None);
    });
}

fn demonitored(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        let child = waiting();
        let monitors = [monitor(child), monitor(child), monitor(child)];
        demonitor_flush(monitors[1]);
        kill(child);
        demonitor_flush(monitors[2]);
        let Message::Down(down) = ctx.receive().await else {
            panic!("there are only downs");
        };
        assert_eq!(down.reference, monitors[0]);
        assert_eq!(down.reason, ExitReason::Killed);
        assert_eq!(ctx.receive_timeout(SECOND).await, None);
    });
}

fn name_free(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = waiting();
        register("name", child).expect("it is free");
        link(child);
        monitor(child);
        exit(child, reason());
        for _ in 0..2 {
            ctx.receive().await;
            assert_eq!(whereis("name"), None);
        }
        assert!(register("name", ctx.pid()).is_ok());
    });
}

fn too_late(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let child = waiting();
        kill(child);
        // Which is first?
        link(child);
        monitor(child);
        let mut reasons = Vec::new();
        for _ in 0..2 {
            reasons.push(match ctx.receive().await {
                Message::Exit(exit) => exit.reason,
                Message::Down(down) => down.reason,
                Message::User(()) => panic!("nobody sends messages"),
            });
        }
        join(child).await;
        link(child);
        monitor(child);
        for _ in 0..2 {
            let told = match ctx.receive().await {
                Message::Exit(exit) => exit.reason,
                Message::Down(down) => down.reason,
                Message::User(()) => panic!("nobody sends messages"),
            };
            assert_eq!(told, ExitReason::NoProcess);
        }
        for reason in reasons {
            assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProcess));
        }
    });
}

fn ring(sim: &mut Sim) {
    let node = sim.node().clone();
    let before = node.process_count();
    sim.run(async {
        let members: Vec<Pid> = (0..6).map(|_| waiting_on_link()).collect();
        for (at, member) in members.iter().enumerate() {
            let next = members[(at + 1) % members.len()];
            resurgam::send(*member, next).expect("it waits for that");
        }
        resurgam::sleep(SECOND).await;
        exit(members[2], reason());
        for member in members {
            let told = join(member).await;
            assert!(told == reason() || told == ExitReason::NoProcess, "{told}");
        }
    });
    sim.run_until_idle();
    assert_eq!(node.process_count(), before);
}

/// A process that links to whom it is told to.
fn waiting_on_link() -> Pid {
    let process = spawn(|mut ctx: Context<Pid>| async move {
        while let Message::User(other) = ctx.receive().await {
            link(other);
        }
    });
    process
        .expect("the node takes processes")
        .pid()
        .expect("it was just spawned")
}

/// Two processes link and unlink at once; the simulator's books see whether
/// they agree in the end.
fn link_races(sim: &mut Sim) {
    let node = sim.node().clone();
    let racers: Vec<_> = (0..2)
        .map(|_| node.spawn(racing).expect("the node takes processes"))
        .collect();
    let pids = [0, 1].map(|at: usize| racers[at].pid().expect("it was just spawned"));
    for _ in 0..8 {
        let at = sim.random(2);
        let other = pids[1 - at];
        racers[at].cast(match sim.random(2) {
            0 => Tie::Link(other),
            _ => Tie::Unlink(other),
        });
    }
    sim.run_until_idle();
    for (racer, other) in racers.iter().zip([pids[1], pids[0]]) {
        racer.cast(Tie::Link(other));
    }
    sim.run_until_idle();
    node.exit(pids[sim.random(2)], reason());
    sim.run_until_idle();
    assert_eq!(node.process_count(), 0, "they were linked");
}

/// What a racer is told to do.
enum Tie {
    Link(Pid),
    Unlink(Pid),
}

async fn racing(mut ctx: Context<Tie>) {
    while let Message::User(tie) = ctx.receive().await {
        match tie {
            Tie::Link(other) => link(other),
            Tie::Unlink(other) => unlink(other),
        }
    }
}

fn in_order(sim: &mut Sim) {
    play(sim, |mut ctx: Context<(u8, u32)>| async move {
        const EACH: u32 = 8;
        let receiver = ctx.self_ref();
        for sender in 0..3 {
            let receiver = receiver.clone();
            let send_all = async move { (0..EACH).for_each(|n| receiver.cast((sender, n))) };
            spawn(move |_: Context<()>| send_all).expect("the node takes processes");
        }
        resurgam::sleep(SECOND).await;
        let mut next = [0; 3];
        for _ in 0..3 * EACH {
            let Message::User((sender, n)) = ctx.receive().await else {
                panic!("there are only messages");
            };
            assert_eq!(n, next[usize::from(sender)], "of sender {sender}");
            next[usize::from(sender)] += 1;
        }
    });
}
