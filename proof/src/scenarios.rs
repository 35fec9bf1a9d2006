//! Small scenarios of what random programs do not touch, each a law: run under
//! many seeds, some of them under faults.
//!
//! * [`calls`]: servers and who calls them;
//! * [`timers`]: what is sent at its time;
//! * [`starts`]: how servers start;
//! * [`ends`]: what others see of an end, and in which order;
//! * [`mailbox`]: what is looked at, and in which order;
//! * [`supervisors`]: the static ones;
//! * [`dynamic`]: the dynamic ones.

use std::ops::Range;
use std::time::Duration;

use futures::channel::oneshot;
use resurgam::sim::{Plan, Sim};
use resurgam::{Context, Message};

use crate::suite::{Failed, Figures};

pub mod calls;
pub mod dynamic;
pub mod ends;
pub mod mailbox;
mod stage;
pub mod starts;
pub mod supervisors;
pub mod timers;

/// A law and what must hold by it.
pub type Scenario = (&'static str, fn(&mut Sim));

const SECOND: Duration = Duration::from_secs(1);

/// All scenarios, each under these seeds.
///
/// # Errors
///
/// The first that fails.
pub fn all(seeds: Range<u64>) -> Result<Figures, Box<Failed>> {
    let families = [
        calls::ALL,
        timers::ALL,
        starts::ALL,
        ends::ALL,
        mailbox::ALL,
        supervisors::ALL,
        dynamic::ALL,
    ];
    let mut figures = Figures::default();
    for (name, scenario) in families.into_iter().flatten() {
        let plan = Plan::new().name(name).seed_range(seeds.clone());
        match plan.try_run(scenario) {
            Ok(report) => figures.add(&report),
            Err(failure) => {
                let what = format!("{name}: {}", failure.message());
                let text = failure.to_string();
                return Err(Box::new(Failed::new(failure.seed(), &what, text)));
            }
        }
        figures.cases += 1;
    }
    Ok(figures)
}

/// Runs a process that stands for the outside and receives; what it gave.
fn play<M, T, B, F>(sim: &mut Sim, body: B) -> T
where
    M: Send + 'static,
    T: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    sim.client(move |ctx| async move {
        // Whoever waits for it runs until it comes.
        let _ = tell.send(body(ctx).await);
    });
    sim.run(async { told.await.expect("the client was ended by an exit signal") })
}

/// A message of the user's; anything else is none.
fn user<M>(message: Option<Message<M>>) -> Option<M> {
    match message {
        Some(Message::User(message)) => Some(message),
        Some(Message::Exit(_) | Message::Down(_)) | None => None,
    }
}
