//! The workloads that Resurgam is measured by.
//!
//! Each [`Workload`] is written twice: in [`processes`] with Resurgam, in
//! [`tasks`] with nothing but Tokio's tasks and channels. Where Tokio has no
//! such thing (links, supervisors, names) the simplest hand-made loop stands
//! in. Both give the same [`Outcome`], so whoever measures need not know which
//! is which.

mod chance;
mod colour;
mod memory;
mod outcome;
pub mod processes;
mod tally;
pub mod tasks;
mod workload;

pub use chance::Chance;
pub use colour::Colour;
pub use memory::{grown, resident};
pub use outcome::Outcome;
pub use tally::{OnEnd, Tally};
pub use workload::{Crash, Workload};
