//! What all actor libraries have in common, and the workloads that need no
//! more.
//!
//! A [`Behaviour`] says what an actor does, a [`Peer`] how its library runs it.
//! The library's own actor is a thin shell around the behaviour, known at
//! compile time.

mod crowds;
mod messages;
mod savina;

use std::time::Duration;

use resurgam_workloads::{Outcome, Workload};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crowds::Idle;
pub use messages::Counter;

/// What an actor does.
pub trait Behaviour: Send + Sync + Unpin + Sized + 'static {
    /// What it can be sent. (One of the libraries can send to other machines,
    /// so messages can be serialised; here they never are.)
    type Message: Serialize + DeserializeOwned + Send + 'static;

    /// Begins.
    fn begin(&mut self) -> Flow {
        Flow::Continue
    }

    /// Handles a message.
    fn handle(&mut self, message: Self::Message) -> Flow;
}

/// Whether an actor goes on.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Stop,
}

/// What an actor is reached by.
pub trait Address<M>: Clone + Send + Sync + Unpin + 'static {
    /// Sends without waiting. Nobody sends to an actor that has ended, unless
    /// the workload is over.
    fn send(&self, message: M);
}

/// An actor library.
pub trait Peer: Sized + Send + Sync + 'static {
    /// What it reaches its actors by.
    type Address<B: Behaviour>: Address<B::Message>;

    /// What it reaches a server by that has a word of state.
    type Server: Clone + Send + Sync + 'static;

    /// Runs the future that drives a workload, on one of two workers.
    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T;

    /// Runs a future beside the driver. Libraries that do not move actors
    /// between threads place it by its group.
    fn launch(group: u64, future: impl Future<Output = ()> + Send + 'static);

    /// Makes an actor; of a group, as above.
    fn spawn<B: Behaviour>(
        group: u64,
        behaviour: B,
    ) -> impl Future<Output = Self::Address<B>> + Send;

    /// Makes a server that answers what it is asked, and has a word of state.
    fn serve(group: u64, word: u64) -> impl Future<Output = Self::Server> + Send;

    /// Asks a server, and waits for the answer.
    fn ask(server: &Self::Server, n: u64) -> impl Future<Output = u64> + Send;

    /// Runs what not every library has: links, monitors, supervisors, timers,
    /// names; nothing if it has no such thing.
    fn special(workload: Workload) -> impl Future<Output = Option<Outcome>> + Send {
        let _ = workload;
        async { None }
    }
}

/// Runs a workload; nothing if the library has no such thing.
pub fn run<P: Peer>(workload: Workload) -> Option<Outcome> {
    P::drive(async move {
        let took: Duration = match workload {
            Workload::Spawn { count } => crowds::spawn::<P>(count).await,
            Workload::SpawnIdle { count } => crowds::spawn_idle::<P>(count).await,
            Workload::Idle { count } => {
                return Some(Outcome::Bytes(crowds::idle::<P>(count).await));
            }
            Workload::IdleServer { count } => {
                return Some(Outcome::Bytes(crowds::idle_server::<P>(count).await));
            }
            Workload::PingPong { pairs, rounds } => messages::ping_pong::<P>(pairs, rounds).await,
            Workload::Ring { length, laps } => messages::ring::<P>(length, laps).await,
            Workload::FanIn { senders, each } => messages::fan_in::<P>(senders, each).await,
            Workload::FanOut { receivers, each } => messages::fan_out::<P>(receivers, each).await,
            Workload::Backlog { count } => messages::backlog::<P>(count).await,
            Workload::Call {
                callers,
                servers,
                each,
            } => messages::call::<P>(callers, servers, each).await,
            Workload::Big { actors, each } => savina::big::<P>(actors, each).await,
            Workload::Chameneos {
                creatures,
                meetings,
            } => savina::chameneos::<P>(creatures, meetings).await,
            special => return P::special(special).await,
        };
        Some(took.into())
    })
}
