//! The actor libraries.

mod actix;
mod actors;
mod flume;
mod hydra;
mod kameo;
mod ractor;
mod tokio_actors;
mod xtra;

use resurgam_workloads::{Outcome, Workload};

use crate::systems::{Library, two_workers};

/// Runs a workload; nothing if the library has no such thing.
pub fn run(library: Library, workload: Workload) -> Option<Outcome> {
    match library {
        Library::Ractor => actors::run::<ractor::Ractor>(workload),
        Library::Kameo => actors::run::<kameo::Kameo>(workload),
        Library::Actix => actors::run::<actix::Actix>(workload),
        Library::Xtra => actors::run::<xtra::Xtra>(workload),
        Library::Hydra => actors::run::<hydra::Hydra>(workload),
        Library::TokioActors => actors::run::<tokio_actors::TokioActors>(workload),
        Library::Flume => actors::run::<flume::Flume>(workload),
    }
}

/// Runs the driver of a workload as a task.
fn on_tokio<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
    let task = two_workers().block_on(async { tokio::spawn(driver).await });
    task.expect("the driver does its work")
}
