//! Intervals: the laws TIMER-16 to TIMER-18.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use resurgam::{
    Context, ExitKind, ExitReason, Interval, ManualClock, Message, Node, Pid, join, kill, now,
    register, sleep, spawn, unregister, yield_now,
};

use crate::support::{idle, pid_of, run_on_threads, run_with_clock};

const SECOND: Duration = Duration::from_secs(1);

/// Moves the clock when somebody waits for it.
async fn tick(clock: &ManualClock) {
    clock.advance_to_next().await;
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

/// TIMER-17: also if a tick is taken late.
#[test]
fn intervals_do_not_drift() {
    run_with_clock(|_: Context<()>, clock| async move {
        let start = now();
        let mut interval = Interval::new(SECOND);
        clock.advance(SECOND * 5 / 2);
        for n in 1..=2 {
            assert_eq!(interval.tick().await, start + n * SECOND);
        }
        clock.advance(SECOND / 2);
        assert_eq!(interval.tick().await, start + 3 * SECOND);
    });
}

#[test]
fn dropped_tick_is_not_lost() {
    run_with_clock(|_: Context<()>, clock| async move {
        let start = now();
        let mut interval = Interval::new(SECOND);
        {
            let tick = interval.tick();
            futures::pin_mut!(tick);
            assert!(futures::poll!(&mut tick).is_pending());
            clock.advance(SECOND);
        }
        assert_eq!(interval.tick().await, start + SECOND);
    });
}

#[test]
fn interval_sends_once_a_period() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        let interval = ctx.node().send_interval(SECOND, ctx.pid(), 7_u32).unwrap();
        for _ in 0..3 {
            assert_eq!(ctx.try_receive(), None);
            tick(&clock).await;
            assert_eq!(ctx.receive().await, Message::User(7));
        }
        interval.cancel().await;
    });
}

/// TIMER-16.
#[test]
fn interval_ends_with_its_target() {
    run_with_clock(|_: Context<()>, clock| async move {
        let target = spawn(idle).unwrap();
        let node = Node::current();
        let interval = node.send_interval(SECOND, pid_of(&target), ()).unwrap();
        tick(&clock).await;
        kill(pid_of(&target));
        // No tick is needed for it.
        join(interval.pid()).await;
        let late = node.send_interval(SECOND, pid_of(&target), ()).unwrap();
        join(late.pid()).await;
    });
}

#[test]
fn name_is_resolved_at_each_tick() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        let interval = ctx.node().send_interval(SECOND, "who", 1_u32).unwrap();
        tick(&clock).await;
        until(|| Node::current().timer_count() > 0).await;
        register("who", ctx.pid()).unwrap();
        tick(&clock).await;
        assert_eq!(ctx.receive().await, Message::User(1));
        unregister("who").unwrap();
        tick(&clock).await;
        until(|| Node::current().timer_count() > 0).await;
        assert_eq!(ctx.try_receive(), None);
        interval.cancel().await;
    });
}

/// TIMER-18.
#[test]
fn nothing_comes_after_an_interval_was_cancelled() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        for n in 0..100 {
            let often = Duration::from_micros(50);
            let interval = ctx.node().send_interval(often, ctx.pid(), n).unwrap();
            assert_eq!(ctx.receive().await, Message::User(n));
            interval.cancel().await;
            while ctx.try_receive().is_some() {}
            assert_eq!(ctx.node().timer_count(), 0);
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

/// TIMER-17.
#[test]
fn runs_of_an_interval_may_overlap() {
    run_with_clock(|_: Context<()>, clock| async move {
        let running = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&running);
        let interval = Node::current().apply_interval(SECOND, move || {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                sleep(3 * SECOND / 2).await;
                count.fetch_sub(1, Ordering::SeqCst);
            }
        });
        tick(&clock).await;
        until(|| running.load(Ordering::SeqCst) == 1).await;
        until(|| Node::current().timer_count() == 2).await;
        tick(&clock).await;
        until(|| running.load(Ordering::SeqCst) == 2).await;
        interval.unwrap().cancel().await;
        until(|| Node::current().timer_count() == 2).await;
        clock.advance(2 * SECOND);
        until(|| running.load(Ordering::SeqCst) == 0).await;
    });
}

/// TIMER-17.
#[test]
fn repeated_runs_wait_for_the_last_one() {
    run_with_clock(|_: Context<()>, clock| async move {
        let (running, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, total) = (Arc::clone(&running), Arc::clone(&runs));
        let interval = Node::current().apply_repeatedly(SECOND, move || {
            let (count, total) = (Arc::clone(&count), Arc::clone(&total));
            async move {
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0);
                sleep(5 * SECOND / 2).await;
                count.fetch_sub(1, Ordering::SeqCst);
                total.fetch_add(1, Ordering::SeqCst);
            }
        });
        for n in 1..=3 {
            // One wait at a time: for the tick, or for the run.
            while runs.load(Ordering::SeqCst) < n {
                tick(&clock).await;
                yield_now().await;
            }
        }
        interval.unwrap().cancel().await;
        clock.advance(10 * SECOND);
        until(|| running.load(Ordering::SeqCst) == 0).await;
    });
}

/// A run that crashes does not end the interval.
#[test]
fn run_that_panics_is_its_own_affair() {
    run_with_clock(|_: Context<()>, clock| async move {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let interval = Node::current().apply_interval(SECOND, move || {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                panic!("a run that fails");
            }
        });
        for n in 1..=3 {
            tick(&clock).await;
            until(|| runs.load(Ordering::SeqCst) == n).await;
            until(|| Node::current().timer_count() == 1).await;
        }
        interval.unwrap().cancel().await;
    });
}

#[test]
fn interval_of_the_wrong_type_ends_and_says_so() {
    run_with_clock(|_: Context<()>, clock| async move {
        let target = spawn(idle).unwrap();
        let pid: Pid = pid_of(&target);
        let wrong = Node::current().send_interval(SECOND, pid, 7_u32).unwrap();
        tick(&clock).await;
        join(wrong.pid()).await;
        kill(pid);
    });
}

#[test]
fn period_of_zero_is_refused() {
    run_on_threads(|_: Context<()>| async move {
        let careless = spawn(|_: Context<()>| async move {
            Interval::new(Duration::ZERO);
        })
        .unwrap();
        let reason: ExitReason = careless.join().await;
        assert_eq!(reason.kind(), ExitKind::Panicked);
        assert!(reason.to_string().contains("more than zero"), "{reason}");
    });
}
