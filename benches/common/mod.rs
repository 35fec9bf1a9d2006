//! What the benches share: a runtime with two workers, and a node on it.

use criterion::Criterion;
use resurgam::Node;
use tokio::runtime::{Builder, Runtime};

/// Two workers for everything that is compared.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A node on a runtime.
pub(crate) fn node(runtime: &Runtime) -> Node {
    let _context = runtime.enter();
    Node::new().expect("a node")
}

/// Few samples: each is a long run already.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().sample_size(20).configure_from_args()
}
