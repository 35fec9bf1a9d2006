//! A scenario of those who wait outside any process.

use resurgam::sim::Sim;
use resurgam::{
    Context, ExitReason, GenServer, Groups, ProcessRef, Registry, Strategy, Supervisor, UniqueKeys,
    sleep, sys,
};

use super::clerk::{Ask, Clerk, Manner, clerk};
use super::{SECOND, expect_nothing_left, role};

const SLOW: Manner = Manner {
    begins: SECOND,
    ends: SECOND,
};

/// Starts, calls, stops, joins, locks and looks from outside: each comes to an
/// end, whoever falls and whenever the node stops.
pub(super) fn outsiders(sim: &mut Sim) {
    let node = sim.node().clone();
    sim.outside(async move {
        let Ok(clerk) = Clerk::builder(SLOW).name("clerk").on(&node).start().await else {
            return;
        };
        let _ = clerk.call(|reply| Ask::Slowly(1, reply)).no_timeout().await;
        let _ = sys::suspend(&clerk).await;
        let _ = sys::resume(&clerk).await;
        let _ = clerk.stop(ExitReason::Normal).await;
        clerk.join().await;
    });
    let node = sim.node().clone();
    sim.outside(async move {
        let clerk: ProcessRef<Ask> = node.named("clerk");
        node.sleep(SECOND + SECOND / 2).await;
        let _ = sys::get_state(&clerk, |_: &Clerk| ()).await;
        clerk.join().await;
    });
    let node = sim.node().clone();
    sim.outside(async move {
        let tree = Supervisor::builder(Strategy::OneForOne).child(clerk("child", SLOW));
        let Ok(tree) = tree.start_on(&node).await else {
            return;
        };
        let _ = tree.terminate_child("child").await;
        let _ = tree.restart_child("child").await;
        let _ = tree.stop().await;
    });
    let node = sim.node().clone();
    sim.outside(async move {
        let Ok(scope) = Groups::builder("scope").on(&node).start().await else {
            return;
        };
        let groups = Groups::on(&node, "scope");
        if let Some(pid) = scope.pid() {
            let _ = groups.join("group", pid).await;
            let _ = groups.leave("group", pid).await;
        }
        let _ = scope.stop(ExitReason::Normal).await;
    });
    let names = Registry::<&str, (), UniqueKeys>::unique();
    let held = names.clone();
    role(sim, "holder", move |_: Context<()>| async move {
        let _held = held.lock("lock").await;
        sleep(2 * SECOND).await;
    });
    sim.outside(async move { drop(names.lock("lock").await) });
    expect_nothing_left(sim);
}
