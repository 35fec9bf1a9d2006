//! What proves that Resurgam keeps its laws.
//!
//! * [`model`]: processes, links, monitors, exits and names in plain Rust,
//!   small enough to be read and believed;
//! * [`program`]: random programs;
//! * [`run`]: the same programs on the real runtime;
//! * [`erlang`]: the same programs on Erlang itself;
//! * [`tree`]: supervision trees, here and on Erlang;
//! * [`statem`]: state machines, here and on Erlang;
//! * [`events`]: event managers, here and on Erlang;
//! * [`servers`]: servers and `sys`, here and on Erlang;
//! * [`signals`]: the comparisons of programs;
//! * [`seeded`]: the same in the simulator; [`scenarios`]: small ones there;
//! * [`suite`]: what runs in the simulator, by name;
//! * [`simulated`]: sweeps and soaks in the simulator;
//! * [`trial`]: many cases, until one differs.

pub mod erlang;
pub mod events;
#[cfg(resurgam_planted)]
pub mod hunt;
pub mod model;
pub mod observation;
pub mod program;
pub mod run;
pub mod scenarios;
pub mod seeded;
pub mod servers;
pub mod signals;
pub mod simulated;
pub mod statem;
pub mod suite;
pub mod tree;
pub mod trial;
