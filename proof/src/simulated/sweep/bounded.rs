//! Scenarios of bounded mailboxes.

use resurgam::sim::Sim;
use resurgam::{
    CallError, ChildSpec, Context, GenServer, Overflow, ProcessRef, Strategy, Supervisor,
    process_info, sleep, timeout,
};

use super::clerk::{Ask, Clerk, Manner};
use super::{Root, SECOND, answered, must, role};

/// A clerk who keeps no more than one request waiting.
fn strict(name: &'static str, overflow: Overflow) -> ChildSpec {
    let builder = move || Clerk::builder(Manner::default()).name(name);
    ChildSpec::server_with::<Clerk, _>(name, move || builder().mailbox(1, overflow))
}

/// Callers in a line at a full mailbox: each is let in or told, also when one
/// before it falls or gives up, and the place of nobody is lost.
pub(super) fn waiting(sim: &mut Sim) {
    let top = Supervisor::builder(Strategy::OneForOne).child(strict("waits", Overflow::Wait));
    let root = Root::start(sim, top);
    let clerk = || ProcessRef::<Ask>::named("waits");
    for caller in 0..3 {
        role(sim, "caller", move |_: Context<()>| async move {
            answered(call(clerk(), caller).await, caller + 1);
        });
    }
    role(sim, "gives up", move |_: Context<()>| async move {
        sleep(SECOND / 2).await;
        let _ = timeout(SECOND, call(clerk(), 7)).await;
        let _ = clerk().send_wait(Ask::Crash).timeout(SECOND / 4).await;
        let _ = clerk().send_wait(Ask::Crash).await;
    });
    let outside = sim.node().named::<Ask>("waits");
    sim.outside(async move {
        let answer = call(outside, 9).await;
        assert!(
            matches!(answer, Ok(10) | Err(CallError::Down(_))),
            "{answer:?}"
        );
    });
    root.expect_whole_or_gone(sim, 2, &["waits"]);
    if let Some(clerk) = sim.node().whereis("waits") {
        let info = sim.run(async move { process_info(clerk).await });
        let waiting = info.ok().flatten().and_then(|info| info.mailbox);
        assert_eq!(
            waiting.map_or(0, |mailbox| mailbox.waiting),
            0,
            "in the line"
        );
    }
    root.stop(sim);
}

/// Asks what takes a while, and waits as long as it may.
async fn call(clerk: ProcessRef<Ask>, number: u64) -> Result<u64, CallError> {
    let call = clerk.call(|reply| Ask::Slowly(number, reply));
    call.no_timeout().await
}

/// Callers of clerks who turn away what has no room: each is told.
pub(super) fn turning_away(sim: &mut Sim) {
    const WAYS: [(&str, Overflow); 3] = [
        ("drops newest", Overflow::DropNewest),
        ("drops oldest", Overflow::DropOldest),
        ("refuses", Overflow::Refuse),
    ];
    let clerks = WAYS.map(|(name, overflow)| strict(name, overflow));
    let root = Root::start(
        sim,
        Supervisor::builder(Strategy::OneForOne).children(clerks),
    );
    for caller in 0..3 {
        role(sim, "caller", move |_: Context<()>| async move {
            for (name, _) in WAYS {
                let answer = call(ProcessRef::named(name), caller).await;
                let is_told = match &answer {
                    Ok(number) => *number == caller + 1,
                    Err(error) => *error != CallError::TimedOut,
                };
                must(is_told, || format!("{name}: {answer:?}"));
            }
        });
    }
    root.expect_whole_or_gone(sim, 4, &WAYS.map(|(name, _)| name));
    root.stop(sim);
}
