//! Scenarios of supervisor bridges.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, ExitReason, InitError, Pid, Strategy, Supervisor, SupervisorBridge, exit,
    join, register, self_pid, sleep, spawn_link,
};

use super::{Root, SECOND, role};

/// How many of the foreign things there are.
#[derive(Clone, Default)]
struct Count(Arc<AtomicI32>);

/// One of them, which goes when it is dropped.
struct Counted(Count);

impl Counted {
    fn new(count: Count) -> Self {
        count.0.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Foreign {
    main: Pid,
    _thing: Counted,
}

impl SupervisorBridge for Foreign {
    type Args = Count;

    async fn init(count: Count) -> Result<(Pid, Self), InitError> {
        let thing = Counted::new(count);
        sleep(SECOND / 4).await;
        let main = spawn_link(|mut ctx: Context<()>| async move {
            // The one before is in the table for a moment.
            if register("main", self_pid()).is_ok() {
                ctx.receive().await;
            }
        })?;
        let main = main.pid().ok_or(InitError::Ignore)?;
        Ok((
            main,
            Self {
                main,
                _thing: thing,
            },
        ))
    }

    async fn terminate(self, _: &ExitReason) {
        exit(self.main, ExitReason::Shutdown);
        join(self.main).await;
        sleep(SECOND / 4).await;
    }
}

/// A bridge whose main process is told to end: there is never more than one
/// foreign thing, and in the end none.
pub(super) fn bridges(sim: &mut Sim) {
    let count = Count::default();
    let top = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::bridge::<Foreign>("bridge", count.clone()));
    let root = Root::start(sim, top);
    role(sim, "ender", |_: Context<()>| async {
        sleep(SECOND).await;
        let _ = resurgam::send("main", ());
    });
    root.expect_whole_or_gone(sim, 3, &["main"]);
    let things = count.0.load(Ordering::Relaxed);
    assert_eq!(things, i32::from(root.lives(sim.node())), "foreign things");
    root.stop(sim);
    assert_eq!(
        count.0.load(Ordering::Relaxed),
        0,
        "foreign things are left"
    );
}
