//! Timers.

use std::time::Duration;

use resurgam::sim::{Faults, Sim};
use resurgam::{
    Context, ExitReason, cancel_timer, exit, now, read_timer, send_after, sleep, spawn, timeout,
};

use super::{SECOND, Scenario, play, user};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("a_timer_fires_at_its_time_and_not_before", in_time),
    ("timers_fire_in_the_order_of_their_times", in_order),
    ("a_cancelled_timer_does_not_fire", cancelled),
    ("a_timer_says_how_long_it_has_to_run", read),
    ("a_timer_aimed_at_the_dead_is_gone", aimed_at_the_dead),
    ("a_time_out_is_in_time", time_out),
    ("a_timer_may_be_late_but_not_early", never_early),
];

fn in_time(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u64>| async move {
        let begun = now();
        send_after(3 * SECOND, ctx.pid(), 3_u64);
        assert_eq!(user(Some(ctx.receive().await)), Some(3));
        assert_eq!(now() - begun, 3 * SECOND);
        sleep(SECOND).await;
        assert_eq!(now() - begun, 4 * SECOND);
        assert_eq!(ctx.try_receive(), None);
    });
}

fn in_order(sim: &mut Sim) {
    let mut times: Vec<u64> = (1..=8).collect();
    for last in (1..times.len()).rev() {
        times.swap(last, sim.random(last + 1));
    }
    play(sim, |mut ctx: Context<u64>| async move {
        let begun = now();
        for time in times {
            send_after(Duration::from_millis(time), ctx.pid(), time);
        }
        for time in 1..=8 {
            assert_eq!(user(Some(ctx.receive().await)), Some(time));
            assert_eq!(now() - begun, Duration::from_millis(time));
        }
    });
}

fn cancelled(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u64>| async move {
        let cancelled = send_after(2 * SECOND, ctx.pid(), 1_u64);
        let other = send_after(3 * SECOND, ctx.pid(), 2_u64);
        sleep(SECOND).await;
        assert_eq!(cancel_timer(cancelled), Some(SECOND));
        assert_eq!(cancel_timer(cancelled), None, "it is gone");
        assert_eq!(user(Some(ctx.receive().await)), Some(2));
        assert_eq!(cancel_timer(other), None, "it has fired");
        assert_eq!(ctx.receive_timeout(10 * SECOND).await, None);
    });
}

fn read(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u64>| async move {
        let timer = send_after(5 * SECOND, ctx.pid(), 1_u64);
        sleep(2 * SECOND).await;
        assert_eq!(read_timer(timer), Some(3 * SECOND));
        assert_eq!(user(Some(ctx.receive().await)), Some(1));
        assert_eq!(read_timer(timer), None);
    });
}

fn aimed_at_the_dead(sim: &mut Sim) {
    sim.run(async {
        let target = spawn(|mut ctx: Context<u64>| async move {
            ctx.receive().await;
        });
        let target = target.expect("the node takes processes");
        let pid = target.pid().expect("it was just spawned");
        let timer = send_after(3600 * SECOND, pid, 1_u64);
        exit(pid, ExitReason::Shutdown);
        target.join().await;
        assert_eq!(read_timer(timer), None);
        send_after(SECOND, pid, 2_u64);
    });
    sim.run_until_idle();
    assert_eq!(sim.node().timer_count(), 0, "timers of the dead are left");
}

fn time_out(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u64>| async move {
        let begun = now();
        assert_eq!(ctx.receive_timeout(SECOND).await, None);
        let never = timeout(SECOND, std::future::pending::<()>()).await;
        assert!(never.is_err());
        assert_eq!(now() - begun, 2 * SECOND);
        send_after(SECOND, ctx.pid(), 1_u64);
        let came = ctx.receive_timeout(2 * SECOND).await;
        assert_eq!(user(came), Some(1));
        assert_eq!(now() - begun, 3 * SECOND);
    });
}

fn never_early(sim: &mut Sim) {
    let faults = Faults::none().late_timers(0.3, Duration::ZERO..SECOND);
    sim.faults(faults.clock_jumps(0.05, SECOND..5 * SECOND));
    play(sim, |mut ctx: Context<u64>| async move {
        for wait in 1..=8 {
            let begun = now();
            send_after(wait * SECOND, ctx.pid(), 0_u64);
            ctx.receive().await;
            assert!(now() - begun >= wait * SECOND, "it was early");
        }
    });
}
