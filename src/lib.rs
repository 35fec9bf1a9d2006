//! OTP for Rust: lightweight processes that share nothing, links and monitors
//! that always tell, supervisors that restart what fell.
//!
//! * **Processes**: [`spawn`], [`link`], [`monitor`], [`trap_exit`], [`exit`];
//!   a process receives by its [`Context`], selectively too, and is reached by a
//!   [`ProcessRef`] or an [`Alias`].
//! * **Servers**: [`GenServer`], [`call`](ProcessRef::call),
//!   [`send_request`](ProcessRef::send_request), [`cast`](ProcessRef::cast),
//!   [`Reply`]. **State machines**: [`GenStatem`].
//! * **Tasks**: a [`Task`] is awaited for its one value; [`TaskSupervisor`].
//! * **Agents**: an [`Agent`] keeps a state and runs functions on it.
//! * **Registries**: a [`Registry`] finds processes under keys of any type.
//! * **Events**: an [`EventManager`] and its handlers; [`PubSub`].
//! * **Supervisors**: [`Supervisor`], [`DynamicSupervisor`],
//!   [`PartitionSupervisor`], [`ChildSpec`], [`Backoff`].
//! * **Applications**: an [`Application`] is a tree with its settings and what
//!   it needs; [`Applications`] starts and stops them in order.
//! * **Looking in**: [`sys`] suspends, shows, changes and follows servers while
//!   they run; [`Node::crash_reports`] tells of those that crashed.
//! * **Nodes**: a [`Node`] is a world of processes, on the Tokio runtime it was
//!   made in or on one of its own; [`Node::stop`] ends it in good order.
//! * **Macros**, with the feature `macros`: the attributes `server` and
//!   `protocol` write what a server and its clients have in common.
//!
//! The README begins with an example; the folder `examples` has lessons.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[doc(inline)]
pub use resurgam_runtime::*;
#[doc(inline)]
pub use resurgam_supervisor::*;

#[cfg(feature = "macros")]
#[doc(inline)]
pub use resurgam_macros::{protocol, server};

/// A seeded simulator of processes, servers and supervisors.
#[cfg(feature = "sim")]
pub mod sim {
    #[doc(inline)]
    pub use resurgam_runtime::sim::*;

    #[doc(inline)]
    pub use resurgam_macros::sim_test as test;
}

/// The README's examples, as tests; one is about the macros.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../README.md")]
struct Readme;
