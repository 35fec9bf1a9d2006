//! Scenarios of registries and their locks.

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, Registry, RegistryServer, Strategy, Supervisor, UniqueKeys, sleep,
};

use super::{Root, SECOND, must, role};

type Names = Registry<&'static str, u32, UniqueKeys>;

/// Workers that take turns by a lock and hold keys. In the end nobody holds
/// one, and the lock is free.
pub(super) fn keys(sim: &mut Sim) {
    let names = Names::unique();
    let server = names.clone();
    let spec = ChildSpec::server_with::<RegistryServer, _>("names", move || server.builder());
    let root = Root::start(sim, Supervisor::builder(Strategy::OneForOne).child(spec));
    let workers = ["x", "y"].map(|name| {
        let names = names.clone();
        role(sim, name, move |_: Context<()>| work(names, name))
    });
    root.expect_whole_or_gone(sim, 2, &[]);
    let left = names.select(|key, pid, _| Some((*key, pid)));
    assert!(left.is_empty(), "keys of the dead: {left:?}");
    for worker in workers {
        let left = worker.pid().map(|pid| names.keys(pid)).unwrap_or_default();
        assert!(left.is_empty(), "keys of the dead: {left:?}");
    }
    sim.run(async move { drop(names.lock("lock").await) });
    root.stop(sim);
}

async fn work(names: Names, name: &'static str) {
    for key in ["shared", name] {
        let held = names.lock("lock").await;
        let is_mine = names.register(key, 1).is_ok();
        sleep(SECOND / 4).await;
        drop(held);
        if is_mine {
            names.update_value(key, |n| n + 1);
        }
        sleep(SECOND / 4).await;
    }
    names.unregister("shared");
    // The registry may have been restarted, which knows nothing of before.
    let value = names.lookup(name).map(|(_, value)| value);
    must(matches!(value, None | Some(2)), || format!("{value:?}"));
}
