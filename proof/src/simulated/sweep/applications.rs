//! Scenarios of applications.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use resurgam::sim::Sim;
use resurgam::{
    Application, Applications, Context, StartError, StartMode, StartType, Strategy, Supervisor,
    SupervisorRef, sleep, spawn,
};

use super::clerk::plain;
use super::{SECOND, expect_nothing_left, must, role};

/// Whether an application has been up.
#[derive(Clone, Default)]
struct WasUp(Arc<AtomicBool>);

/// An application with one clerk; what it needs must have been up before.
fn application(name: &'static str, needs: &WasUp, was_up: &WasUp) -> Application {
    let (needs, was_up) = (needs.clone(), was_up.clone());
    let start = move |_| {
        let (needs, was_up) = (needs.clone(), was_up.clone());
        async move {
            must(needs.0.load(Ordering::Relaxed), || {
                format!("{name} starts before what it needs")
            });
            sleep(SECOND).await;
            // It has no place in the tree, and goes with the application.
            spawn(|_: Context<()>| std::future::pending::<()>())?;
            let tree = Supervisor::builder(Strategy::OneForOne).child(plain(name));
            let tree = tree.start_link().await?;
            was_up.0.store(true, Ordering::Relaxed);
            Ok::<SupervisorRef, StartError>(tree)
        }
    };
    Application::new(name)
        .start(start)
        .stop(|_| sleep(SECOND / 4))
}

/// Two applications, one of which needs the other, are started by two at once,
/// and stopped.
pub(super) fn applications(sim: &mut Sim) {
    let started = sim.run(async {
        let apps = Applications::start_on(&resurgam::Node::current())
            .await
            .ok()?;
        let [ground, base, top] = [true, false, false].map(|was_up| WasUp(Arc::new(was_up.into())));
        let _ = apps.load(application("base", &ground, &base)).await;
        let _ = apps
            .load(application("top", &base, &top).needs("base"))
            .await;
        Some(apps)
    });
    let Some(apps) = started else {
        return expect_nothing_left(sim);
    };
    let user = apps.clone();
    role(sim, "starter", move |_: Context<()>| async move {
        let (kind, mode) = (StartType::default(), StartMode::Concurrent);
        let _ = user.ensure_all_started_as(kind, mode, ["top"]).await;
        let _ = user.which_applications().await;
        sleep(SECOND).await;
        let _ = user.stop("top").await;
    });
    let user = apps.clone();
    role(sim, "other", move |_: Context<()>| async move {
        let _ = user.start("base").await;
        let _ = user.start("top").await;
    });
    let user = apps.clone();
    sim.outside(async move {
        let _ = user.ensure_all_started(["top"]).await;
        user.join().await;
    });
    sim.run_for(super::SETTLE);
    sim.run(async move { apps.stop_all().await });
    expect_nothing_left(sim);
}
