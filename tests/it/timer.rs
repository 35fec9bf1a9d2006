//! Timers, law by law.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use resurgam::{
    Context, ManualClock, Message, Node, Pid, ProcessRef, ThreadContext, TimerRef, cancel_timer,
    join, kill, now, read_timer, register, self_pid, send_after, spawn, spawn_options, unregister,
};

use crate::support::{idle, run, run_with_clock};

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

/// How often a race is run.
const ROUNDS: usize = 300;

fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("it was spawned")
}

fn spawn_idle() -> Pid {
    pid_of(&spawn(idle).unwrap())
}

fn armed() -> usize {
    Node::current().timer_count()
}

async fn end(pid: Pid) {
    let ended = join(pid);
    kill(pid);
    ended.await;
}

/// All that lies in the mailbox.
fn received<M: Send + 'static>(ctx: &mut Context<M>) -> Vec<M> {
    let mut received = Vec::new();
    while let Some(Message::User(message)) = ctx.try_receive() {
        received.push(message);
    }
    received
}

/// A thread that does a deed over and over until it is told to stop.
struct Busy {
    thread: ProcessRef<()>,
    over: Arc<AtomicBool>,
}

impl Busy {
    /// It has done it once when this returns.
    async fn with(deed: impl Fn() + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (begun, has_begun) = futures::channel::oneshot::channel();
        let stop = Arc::clone(&over);
        let thread = spawn_options().spawn_thread(move |_: ThreadContext<()>| {
            deed();
            begun.send(()).expect("the test waits for it");
            while !stop.load(Ordering::Relaxed) {
                deed();
            }
        });
        has_begun.await.unwrap();
        Self {
            thread: thread.unwrap().process,
            over,
        }
    }

    async fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        assert!(self.thread.join().await.is_normal());
    }
}

/// TIMER-01, TIMER-02: not a nanosecond early, by time and by pid or name.
#[test]
fn message_comes_when_the_time_is_over() {
    run_with_clock(|mut ctx: Context<&'static str>, clock| async move {
        register("name", self_pid()).unwrap();
        send_after(SECOND, self_pid(), "to the pid");
        send_after(SECOND, "name", "to the name");
        ctx.node()
            .send_at(now() + SECOND, self_pid(), "at that time");
        clock.advance(SECOND - NS);
        assert_eq!(ctx.try_receive(), None);
        clock.advance(NS);
        let mut received = received(&mut ctx);
        received.sort_unstable();
        assert_eq!(received, ["at that time", "to the name", "to the pid"]);
        clock.advance(SECOND);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TIMER-02, TIMER-12: nothing to wait for, on either kind of clock.
#[test]
fn timer_that_is_due_fires_at_once() {
    async fn check(mut ctx: Context<u32>) {
        send_after(Duration::ZERO, self_pid(), 1_u32);
        assert_eq!(ctx.receive().await, Message::User(1));
        let node = ctx.node();
        for past in [Duration::ZERO, SECOND] {
            node.send_at(now() - past, self_pid(), 2_u32);
            assert_eq!(ctx.receive().await, Message::User(2));
        }
        assert_eq!(armed(), 0);
    }
    run(check);
    run_with_clock(|ctx, _| check(ctx));
}

/// TIMER-02, TIMER-03: real time passes too.
#[test]
fn timers_keep_to_the_machines_clock() {
    run(|mut ctx: Context<u32>| async move {
        let begun = now();
        send_after(3 * MS, self_pid(), 3_u32);
        send_after(MS, self_pid(), 1_u32);
        for number in [1, 3] {
            assert_eq!(ctx.receive().await, Message::User(number));
            assert!(now() >= begun + number * MS);
        }
    });
}

/// TIMER-03, in whatever order they were armed.
#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        for number in [3, 9, 1, 7, 5, 2, 8, 4, 6] {
            send_after(number * MS, self_pid(), number);
        }
        clock.advance(4 * MS);
        assert_eq!(received(&mut ctx), [1, 2, 3, 4]);
        clock.advance(SECOND);
        assert_eq!(received(&mut ctx), [5, 6, 7, 8, 9]);
    });
}

/// TIMER-03: also if others arm timers meanwhile.
#[test]
fn moved_clock_has_fired_all_that_is_due_in_order() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        let node = ctx.node();
        let busy = Busy::with(move || {
            let timer = node.send_after(1000 * SECOND, "nobody", ());
            node.cancel_timer(timer);
        });
        let busy = busy.await;
        for _ in 0..30 * ROUNDS {
            send_after(2 * MS, self_pid(), 2_u32);
            send_after(MS, self_pid(), 1_u32);
            clock.advance(2 * MS);
            assert_eq!(received(&mut ctx), [1, 2]);
        }
        busy.stop().await;
    });
}

/// TIMER-04, TIMER-07
#[test]
fn cancelled_timer_tells_what_was_left_and_never_fires() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let timer = send_after(SECOND, self_pid(), ());
        assert_eq!(read_timer(timer), Some(SECOND));
        clock.advance(300 * MS);
        assert_eq!(read_timer(timer), Some(700 * MS));
        assert_eq!(cancel_timer(timer), Some(700 * MS));
        assert_eq!(armed(), 0);
        clock.advance(SECOND);
        assert_eq!(ctx.try_receive(), None);
    });
}

/// TIMER-05, TIMER-07: nor does a timer's place in memory mean the one that
/// has it next.
#[test]
fn timer_that_is_over_cannot_be_cancelled() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let cancelled = send_after(SECOND, self_pid(), ());
        cancel_timer(cancelled);
        let fired = send_after(SECOND, self_pid(), ());
        clock.advance(SECOND);
        assert_eq!(ctx.receive().await, Message::User(()));
        let living = [(); 2].map(|()| send_after(SECOND, self_pid(), ()));
        for timer in [cancelled, fired] {
            assert_eq!((read_timer(timer), cancel_timer(timer)), (None, None));
        }
        assert_eq!(living.map(cancel_timer), [Some(SECOND); 2]);
    });
}

/// TIMER-08
#[test]
fn anybody_who_has_the_reference_may_cancel() {
    run_with_clock(|_: Context<()>, _| async {
        let timer = send_after(SECOND, self_pid(), ());
        let stranger = spawn(move |_: Context<()>| async move {
            assert_eq!(read_timer(timer), Some(SECOND));
            assert_eq!(cancel_timer(timer), Some(SECOND));
        });
        assert!(stranger.unwrap().join().await.is_normal());
        assert_eq!(read_timer(timer), None);
    });
}

/// TIMER-09: the message is let go of, too; the timers of others stay.
#[test]
fn timer_goes_with_the_process_it_is_aimed_at() {
    run_with_clock(|_: Context<()>, _| async {
        let (target, other) = (spawn_idle(), spawn_idle());
        let message = Arc::new(());
        let timers = [3, 1, 2].map(|n| send_after(n * SECOND, target, Arc::clone(&message)));
        let others = send_after(SECOND, other, ());
        cancel_timer(timers[1]);
        assert_eq!((Arc::strong_count(&message), armed()), (3, 3));
        end(target).await;
        assert_eq!((Arc::strong_count(&message), armed()), (1, 1));
        assert_eq!(timers.map(cancel_timer), [None; 3]);
        let too_late = send_after(SECOND, target, Arc::clone(&message));
        assert_eq!((Arc::strong_count(&message), armed()), (1, 1));
        assert_eq!(
            (read_timer(too_late), read_timer(others)),
            (None, Some(SECOND))
        );
        cancel_timer(others);
    });
}

/// TIMER-09: however the arming races with the end.
#[test]
fn no_timer_is_left_behind_by_a_dying_process() {
    run_with_clock(|_: Context<()>, _| async {
        for round in 0..ROUNDS {
            let target = spawn_options().spawn_thread(|mut ctx: ThreadContext<()>| {
                ctx.receive();
            });
            let target = target.unwrap().process;
            let ended = target.join();
            target.cast(());
            for _ in 0..round {
                send_after(SECOND, pid_of(&target), ());
            }
            ended.await;
            assert_eq!(armed(), 0);
        }
    });
}

/// A message that arms a timer when it is dropped.
struct ArmsTimer(Pid);

impl Drop for ArmsTimer {
    fn drop(&mut self) {
        send_after(SECOND, self.0, ());
    }
}

/// TIMER-09: nor by a destructor that runs while the process ends.
#[test]
fn no_timer_is_left_behind_by_an_unread_message() {
    run_with_clock(|_: Context<()>, _| async {
        let target = spawn(|_: Context<ArmsTimer>| std::future::pending::<()>()).unwrap();
        target.cast(ArmsTimer(pid_of(&target)));
        end(pid_of(&target)).await;
        assert_eq!(armed(), 0);
    });
}

/// TIMER-10: no name at all is no error, and the timer outlives the process
/// that had the name when it was armed.
#[test]
fn name_is_resolved_when_the_timer_fires() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        send_after(SECOND, "name", 1_u32);
        clock.advance(SECOND);
        let first = spawn_idle();
        register("name", first).unwrap();
        send_after(SECOND, "name", 2_u32);
        end(first).await;
        assert_eq!(armed(), 1);
        register("name", self_pid()).unwrap();
        clock.advance(SECOND);
        assert_eq!(received(&mut ctx), [2]);
        unregister("name").unwrap();
    });
}

/// TIMER-13
#[test]
fn very_long_timers_are_taken() {
    let long = [
        Duration::from_millis((1 << 32) + 1),
        Duration::from_secs(1 << 40),
        Duration::MAX,
    ];
    run(move |mut ctx: Context<u32>| async move {
        let timers = long.map(|after| send_after(after, self_pid(), 1_u32));
        // A short one behind them still fires, which sets the clock anew.
        send_after(MS, self_pid(), 2_u32);
        assert_eq!(ctx.receive().await, Message::User(2));
        assert!(timers.map(cancel_timer).iter().all(Option::is_some));
        assert_eq!(ctx.try_receive(), None);
    });
    run_with_clock(
        move |mut ctx: Context<u32>, clock: ManualClock| async move {
            send_after(long[0], self_pid(), 1_u32);
            clock.advance(long[0] - NS);
            assert_eq!(ctx.try_receive(), None);
            clock.advance(NS);
            assert_eq!(ctx.try_receive(), Some(Message::User(1)));
        },
    );
}

/// TIMER-14, TIMER-18: `cancel` says whether the message comes, whatever the
/// clock does meanwhile.
#[test]
fn timer_is_cancelled_or_fires() {
    run_with_clock(|mut ctx: Context<usize>, clock| async move {
        let busy = Busy::with(move || clock.advance(MS)).await;
        let mut fired = Vec::new();
        for round in 0..20 * ROUNDS {
            let timer: TimerRef = send_after(MS, self_pid(), round);
            for _ in 0..round % 40 {
                std::hint::spin_loop();
            }
            match cancel_timer(timer) {
                Some(left) => assert!(left <= MS),
                None => fired.push(round),
            }
        }
        busy.stop().await;
        assert_eq!(received(&mut ctx), fired);
        assert_eq!(armed(), 0);
    });
}

/// TIMER-15
#[test]
fn timer_outlives_who_armed_it() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let target = self_pid();
        let creator = spawn(move |_: Context<()>| async move {
            send_after(SECOND, target, ());
        });
        assert!(creator.unwrap().join().await.is_normal());
        clock.advance(SECOND);
        assert_eq!(ctx.receive().await, Message::User(()));
    });
}
