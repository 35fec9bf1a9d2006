//! Scenarios of intervals.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use resurgam::sim::Sim;
use resurgam::{Context, Interval, IntervalRef, Message, sleep};

use super::{SECOND, expect_nothing_left, is_end_of_node, must, role};

/// What goes on until somebody ends it.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Vec<IntervalRef>>>);

impl Running {
    fn add(&self, interval: &IntervalRef) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(interval.clone());
    }

    fn take(&self) -> Vec<IntervalRef> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ticks that are waited for, sent and acted on. What is aimed at a process
/// ends with it, what was cancelled does nothing more, and the rest goes on
/// until it is cancelled, whoever has ended.
pub(super) fn intervals(sim: &mut Sim) {
    let running = Running::default();
    role(sim, "ticker", |_: Context<()>| tick());
    role(sim, "hearer", hear);
    for waits in [false, true] {
        let running = running.clone();
        role(sim, "canceller", move |ctx| cancel(ctx, running, waits));
    }
    sim.run_for(60 * SECOND);
    let left = running.take();
    sim.run(async move {
        for interval in left {
            interval.cancel().await;
        }
    });
    expect_nothing_left(sim);
}

async fn tick() {
    let mut interval = Interval::new(SECOND);
    let first = interval.tick().await;
    for number in 1..3 {
        let due = interval.tick().await;
        must(due == first + number * SECOND, || "it drifts".to_owned());
    }
}

async fn hear(mut ctx: Context<u32>) {
    let node = ctx.node();
    let Ok(interval) = node.send_interval(SECOND, ctx.pid(), 7_u32) else {
        return;
    };
    let watched = resurgam::monitor(interval.pid());
    let mut ticks = 0;
    while ticks < 2 {
        match ctx.receive().await {
            Message::User(_) => ticks += 1,
            Message::Down(down) => {
                must(down.reference == watched, || format!("{down:?}"));
                must(super::is_a_blow(&down.reason), || format!("{down:?}"));
                return;
            }
            other => return must(is_end_of_node(&other), || format!("{other:?}")),
        }
    }
    // The interval ends with its target.
}

async fn cancel(ctx: Context<()>, running: Running, waits: bool) {
    let runs = Arc::new(AtomicU32::new(0));
    let apply = {
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, Ordering::Relaxed);
            sleep(SECOND / 4)
        }
    };
    let node = ctx.node();
    let interval = match waits {
        true => node.apply_repeatedly(SECOND, apply),
        false => node.apply_interval(SECOND, apply),
    };
    let Ok(interval) = interval else { return };
    running.add(&interval);
    sleep(2 * SECOND + SECOND / 2).await;
    interval.cancel().await;
    let before = runs.load(Ordering::Relaxed);
    sleep(3 * SECOND).await;
    let after = runs.load(Ordering::Relaxed);
    must(before == after, || "it goes on after its cancel".to_owned());
}
