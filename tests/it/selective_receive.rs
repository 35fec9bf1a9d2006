//! Selective receive: the laws MSG-02 to MSG-06 where a process looks for what
//! it wants.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, pin_mut, poll};
use resurgam::{
    Context, ExitKind, ExitReason, Message, MessageRef, ThreadContext, exit, flush_exit, join,
    kill, link, monitor, self_pid, spawn, spawn_link, trap_exit, yield_now,
};

use crate::support::{idle, pid_of, run, run_on_threads, run_with_clock};

/// What a message is, for short.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Seen {
    User(usize),
    /// The number of its monitor among those that were made.
    Down(usize),
}

fn is(n: usize) -> impl FnMut(MessageRef<'_, usize>) -> bool {
    move |message| message == MessageRef::User(&n)
}

/// Fills the own mailbox with messages, and downs where a bit is set.
async fn fill(ctx: &Context<usize>, len: usize, downs: usize) -> Vec<resurgam::MonitorRef> {
    let mut monitors = Vec::new();
    for at in 0..len {
        if downs >> at & 1 == 1 {
            monitors.push(monitor("nobody"));
        } else {
            ctx.self_ref().cast(at);
        }
    }
    // In a simulation, what one sends oneself has to arrive too.
    for _ in 0..2 * len {
        yield_now().await;
    }
    monitors
}

/// What was sent by `fill`, in its order.
fn filled(len: usize, downs: usize) -> Vec<Seen> {
    let mut down = 0..;
    (0..len)
        .map(|at| match downs >> at & 1 {
            1 => Seen::Down(down.next().expect("it has no end")),
            _ => Seen::User(at),
        })
        .collect()
}

fn seen(message: &MessageRef<'_, usize>, monitors: &[resurgam::MonitorRef]) -> Seen {
    match message {
        MessageRef::User(n) => Seen::User(**n),
        MessageRef::Down(down) => {
            let number = monitors.iter().position(|known| *known == down.reference);
            Seen::Down(number.expect("it is one of the monitors"))
        }
        MessageRef::Exit(exit) => panic!("{exit:?}"),
    }
}

async fn rest(ctx: &mut Context<usize>, monitors: &[resurgam::MonitorRef]) -> Vec<Seen> {
    let mut rest = Vec::new();
    while let Some(message) = ctx.try_receive() {
        let message = match &message {
            Message::User(n) => MessageRef::User(n),
            Message::Down(down) => MessageRef::Down(down),
            Message::Exit(exit) => MessageRef::Exit(exit),
        };
        rest.push(seen(&message, monitors));
    }
    rest
}

/// MSG-02: whatever is taken out of the midst, the rest stays in its order,
/// messages and notices alike. All mixtures of five, and every two of them.
#[test]
fn what_is_not_wanted_stays_in_its_order() {
    const LEN: usize = 5;
    run_on_threads(|mut ctx: Context<usize>| async move {
        for downs in 0..1 << LEN {
            for first in 0..LEN {
                for second in (0..LEN).filter(|second| *second != first) {
                    let mut left = filled(LEN, downs);
                    let (first, second) = (left[first], left[second]);
                    let monitors = fill(&ctx, LEN, downs).await;
                    for wanted in [first, second] {
                        ctx.receive_match(|m| seen(&m, &monitors) == wanted).await;
                        left.retain(|seen| *seen != wanted);
                    }
                    assert_eq!(rest(&mut ctx, &monitors).await, left);
                }
            }
        }
    });
}

/// MSG-02: the first match is taken, and among equals the oldest.
#[test]
fn the_first_that_is_wanted_is_received() {
    run(|mut ctx: Context<usize>| async move {
        fill(&ctx, 6, 0).await;
        let odd = |m: MessageRef<'_, usize>| matches!(m, MessageRef::User(n) if n % 2 == 1);
        assert_eq!(ctx.receive_match(odd).await, Message::User(1));
        assert_eq!(ctx.receive_match(odd).await, Message::User(3));
        assert_eq!(rest(&mut ctx, &[]).await, [0, 2, 4, 5].map(Seen::User));
    });
}

/// MSG-03.
#[test]
fn each_selective_receive_begins_at_the_front() {
    run(|mut ctx: Context<usize>| async move {
        fill(&ctx, 3, 0).await;
        for n in [2, 0, 1] {
            assert_eq!(ctx.receive_match(is(n)).await, Message::User(n));
        }
    });
}

#[test]
fn selective_receive_waits_for_what_is_wanted() {
    run(|mut ctx: Context<usize>| async move {
        let me = ctx.self_ref();
        let _sender = spawn_link(move |_: Context<()>| async move {
            for n in 0..100 {
                me.cast(n);
                yield_now().await;
            }
        })
        .unwrap();
        assert_eq!(ctx.receive_match(is(99)).await, Message::User(99));
        for n in 0..99 {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
    });
}

#[test]
fn exits_can_be_selected() {
    run(|mut ctx: Context<usize>| async move {
        trap_exit(true);
        let [one, two] = [1, 2].map(|_| pid_of(&spawn_link(idle).unwrap()));
        ctx.self_ref().cast(7);
        for pid in [one, two] {
            kill(pid);
            join(pid).await;
        }
        let of_two = ctx.receive_match(|m| matches!(m, MessageRef::Exit(exit) if exit.from == two));
        assert!(matches!(of_two.await, Message::Exit(exit) if exit.reason == ExitReason::Killed));
        assert_eq!(flush_exit(two), None);
        assert_eq!(flush_exit(one), Some(ExitReason::Killed));
        assert_eq!(ctx.receive().await, Message::User(7));
    });
}

/// MSG-05: the time counts from entering the receive.
#[test]
fn unwanted_messages_do_not_restart_the_timeout() {
    run_with_clock(|mut ctx: Context<usize>, clock| async move {
        let me = ctx.self_ref();
        let minute = Duration::from_secs(60);
        let receive = ctx.receive_match(is(9)).timeout(3 * minute);
        pin_mut!(receive);
        for n in 0..2 {
            assert!(poll!(&mut receive).is_pending());
            me.cast(n);
            clock.advance(minute);
        }
        assert!(poll!(&mut receive).is_pending());
        clock.advance(minute);
        assert_eq!(receive.await, None);
    });
}

/// MSG-04: a zero timeout looks at all there is, however much, and then fires.
#[test]
fn zero_timeout_looks_at_every_message() {
    run_on_threads(|mut ctx: Context<usize>| async move {
        for n in 0..2000 {
            ctx.self_ref().cast(n);
        }
        let last = ctx.receive_match(is(1999)).timeout(Duration::ZERO);
        assert_eq!(last.await, Some(Message::User(1999)));
        let none = ctx.receive_match(is(1999)).timeout(Duration::ZERO);
        assert_eq!(none.await, None);
        assert_eq!(rest(&mut ctx, &[]).await.len(), 1999);
    });
}

#[test]
fn what_is_wanted_goes_before_the_timeout() {
    run_with_clock(|mut ctx: Context<usize>, clock| async move {
        let hour = Duration::from_secs(3600);
        let me = ctx.self_ref();
        {
            let receive = ctx.receive_match(is(2)).timeout(hour);
            pin_mut!(receive);
            assert!(poll!(&mut receive).is_pending());
            me.cast(1);
            me.cast(2);
            clock.advance(hour);
            assert_eq!(receive.await, Some(Message::User(2)));
        }
        assert_eq!(ctx.receive().await, Message::User(1));
    });
}

/// MSG-06: a receive for what cannot lie before a mark looks at nothing that
/// does, whatever lies there.
#[test]
fn receive_since_a_mark_does_not_look_at_a_long_mailbox() {
    run_on_threads(|mut ctx: Context<usize>| async move {
        let queued = 500_000;
        for n in 0..queued {
            ctx.self_ref().cast(n);
        }
        let before = monitor("nobody");
        let mark = ctx.mark();
        let echo = {
            let me = ctx.self_ref();
            spawn(move |_: Context<()>| async move { me.cast(usize::MAX) }).unwrap()
        };
        let looks = AtomicUsize::new(0);
        let answer = ctx.receive_match(|m| {
            looks.fetch_add(1, Ordering::Relaxed);
            m == MessageRef::User(&usize::MAX)
        });
        assert_eq!(answer.since(mark).await, Message::User(usize::MAX));
        assert!(
            looks.load(Ordering::Relaxed) <= 2,
            "it looked {} times",
            looks.load(Ordering::Relaxed)
        );
        echo.join().await;
        for n in 0..queued {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
        assert!(matches!(ctx.receive().await, Message::Down(down) if down.reference == before));
    });
}

/// The saved position: while it waits, a receive looks at each message once.
#[test]
fn waiting_receive_looks_at_each_message_once() {
    run(|mut ctx: Context<usize>| async move {
        let me = ctx.self_ref();
        let monitor_me = spawn(move |_: Context<()>| async move {
            for n in 0..300 {
                me.cast(n);
                yield_now().await;
            }
        });
        let looks = AtomicUsize::new(0);
        let last = ctx.receive_match(|m| {
            looks.fetch_add(1, Ordering::Relaxed);
            m == MessageRef::User(&299)
        });
        last.await;
        assert_eq!(looks.load(Ordering::Relaxed), 300);
        monitor_me.unwrap().join().await;
    });
}

/// Notices are looked at again only if one was taken out of their midst.
#[test]
fn waiting_receive_looks_at_each_notice_once() {
    run_on_threads(|mut ctx: Context<usize>| async move {
        for _ in 0..100 {
            monitor("nobody");
        }
        let me = ctx.self_ref();
        let looks = AtomicUsize::new(0);
        let receive = ctx.receive_match(|m| {
            looks.fetch_add(1, Ordering::Relaxed);
            m == MessageRef::User(&3)
        });
        pin_mut!(receive);
        for n in 0..3 {
            assert!(poll!(&mut receive).is_pending());
            me.cast(n);
        }
        me.cast(3);
        receive.await;
        assert_eq!(looks.load(Ordering::Relaxed), 104);
    });
}

#[test]
fn dropped_selective_receive_loses_nothing() {
    run(|mut ctx: Context<usize>| async move {
        fill(&ctx, 4, 0b100).await;
        let receive = ctx.receive_match(|_| false);
        assert!(receive.now_or_never().is_none());
        assert_eq!(ctx.receive().await, Message::User(0));
        assert_eq!(ctx.receive_match(is(3)).await, Message::User(3));
        assert_eq!(ctx.receive().await, Message::User(1));
        assert!(matches!(ctx.receive().await, Message::Down(_)));
    });
}

#[test]
fn selective_receive_can_be_killed() {
    run(|_: Context<()>| async move {
        let never = spawn(|mut ctx: Context<usize>| async move {
            ctx.receive_match(|_| false).await;
        })
        .unwrap();
        never.cast(1);
        kill(pid_of(&never));
        assert_eq!(never.join().await, ExitReason::Killed);
    });
}

/// A function that panics is the process's own panic.
#[test]
fn panic_of_what_is_wanted_ends_the_process() {
    run(|_: Context<()>| async move {
        let careless = spawn(|mut ctx: Context<usize>| async move {
            ctx.receive_match(|m| match m {
                MessageRef::User(n) => 1 / n == 7,
                _ => false,
            })
            .await;
        })
        .unwrap();
        careless.cast(1);
        careless.cast(0);
        assert_eq!(careless.join().await.kind(), ExitKind::Panicked);
    });
}

/// What is wanted may ask the runtime for something, which takes in what has
/// come: nothing is lost or overtakes.
#[test]
fn function_may_come_back_to_its_process() {
    run(|mut ctx: Context<usize>| async move {
        trap_exit(true);
        fill(&ctx, 3, 0).await;
        let me = ctx.self_ref();
        let last = ctx.receive_match(|m| {
            if m == MessageRef::User(&0) {
                for n in 3..6 {
                    me.cast(n);
                }
                // Looks for signals, and takes messages in with them.
                link(self_pid());
                monitor("nobody");
                flush_exit(self_pid());
            }
            m == MessageRef::User(&5)
        });
        assert_eq!(last.await, Message::User(5));
        let mut users = Vec::new();
        while let Some(message) = ctx
            .receive_match(|m| matches!(m, MessageRef::User(_)))
            .timeout(Duration::ZERO)
            .await
        {
            users.push(message);
        }
        assert_eq!(users, [0, 1, 2, 3, 4].map(Message::User));
        assert!(matches!(ctx.receive().await, Message::Down(_)));
    });
}

/// A combinator with wakers of its own is woken by what comes, and only then.
#[test]
fn selective_receive_in_a_combinator_is_woken_by_what_comes() {
    run(|mut ctx: Context<usize>| async move {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let me = ctx.self_ref();
        let sender = spawn(move |_: Context<()>| async move {
            me.cast(1);
            for _ in 0..1000 {
                yield_now().await;
            }
            me.cast(2);
        })
        .unwrap();
        let mut receive = ctx.receive_match(is(2));
        let mut waits: FuturesUnordered<_> = [poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            receive.poll_unpin(cx)
        })]
        .into_iter()
        .collect();
        assert_eq!(waits.next().await, Some(Message::User(2)));
        // Once, for each message, and perhaps when the sender is heard of.
        assert!(polls.load(Ordering::Relaxed) <= 5, "{polls:?} polls");
        drop(waits);
        sender.join().await;
        assert_eq!(ctx.receive().await, Message::User(1));
    });
}

#[test]
fn own_thread_receives_selectively() {
    run_on_threads(|_: Context<()>| async move {
        let node = resurgam::Node::current();
        let worker = node
            .spawn_thread(|mut ctx: ThreadContext<usize>| {
                assert_eq!(ctx.receive_match(is(2)), Message::User(2));
                assert_eq!(ctx.receive(), Message::User(1));
            })
            .unwrap();
        worker.cast(1);
        worker.cast(2);
        assert_eq!(worker.join().await, ExitReason::Normal);
    });
}

/// Exit signals do not wait for a receive that wants something else.
#[test]
fn selective_receive_holds_up_no_signal() {
    run(|mut ctx: Context<usize>| async move {
        trap_exit(true);
        let child = spawn_link(|mut ctx: Context<usize>| async move {
            ctx.receive_match(|_| false).await;
        })
        .unwrap();
        for n in 0..1000 {
            child.cast(n);
        }
        exit(pid_of(&child), ExitReason::Shutdown);
        assert!(
            matches!(ctx.receive().await, Message::Exit(e) if e.reason == ExitReason::Shutdown)
        );
    });
}

/// What was seen and is not wanted may lie there while all is at rest.
#[cfg(feature = "sim")]
#[test]
fn selective_receive_may_wait_with_mail() {
    resurgam::sim::Plan::new().seeds(8).run(|sim| {
        let process = sim.client(|mut ctx: Context<usize>| async move {
            ctx.self_ref().cast(1);
            monitor("nobody");
            let hour = Duration::from_secs(3600);
            assert_eq!(ctx.receive_match(is(2)).timeout(hour).await, None);
            assert_eq!(ctx.receive_match(is(1)).await, Message::User(1));
        });
        assert_eq!(sim.run(process.join()), ExitReason::Normal);
    });
}
