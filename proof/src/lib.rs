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
//! * [`applications`]: applications, here and on Erlang;
//! * [`groups`]: process groups, here and on Erlang;
//! * [`keys`]: registries, here and on Elixir;
//! * [`pools`]: dynamic and partition supervisors, here and on Elixir;
//! * [`tasks`]: tasks and agents, here and on Elixir;
//! * [`signals`]: the comparisons of programs;
//! * [`seeded`]: the same in the simulator; [`scenarios`]: small ones there;
//! * [`suite`]: what runs in the simulator, by name;
//! * [`simulated`]: sweeps and soaks in the simulator;
//! * [`trial`]: many cases, until one differs.

pub mod applications;
pub mod erlang;
pub mod events;
pub mod groups;
#[cfg(resurgam_planted)]
pub mod hunt;
pub mod keys;
pub mod model;
pub mod observation;
pub mod pools;
pub mod program;
pub mod run;
pub mod scenarios;
pub mod seeded;
pub mod servers;
pub mod signals;
pub mod simulated;
pub mod statem;
pub mod suite;
pub mod tasks;
pub mod tree;
pub mod trial;
mod writing;
