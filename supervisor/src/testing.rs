//! What the tests of the pure parts share.

use std::sync::LazyLock;

use resurgam_runtime::{Context, ExitReason, Node, Pid};

use crate::child_spec::{ChildSpec, Restart};
use crate::start::Started;

/// Pids to be had only by way of processes; these are long dead.
static PIDS: LazyLock<Vec<Pid>> = LazyLock::new(|| {
    let node = Node::new().expect("a node starts");
    let spawn = |_| {
        node.spawn(|_: Context<()>| async {})
            .expect("there is room")
    };
    (0..64).filter_map(|number| spawn(number).pid()).collect()
});

/// A pid that differs from that of every other number below 64.
pub(crate) fn pid(number: usize) -> Pid {
    PIDS[number]
}

/// A spec whose start function is never run.
pub(crate) fn spec(id: &str, restart: Restart) -> ChildSpec {
    ChildSpec::new(id, || async { Ok(Started::ignore()) }).restart(restart)
}

pub(crate) const RESTARTS: [Restart; 3] =
    [Restart::Permanent, Restart::Transient, Restart::Temporary];

/// One reason of each kind that a supervisor could tell apart.
pub(crate) fn reasons() -> Vec<ExitReason> {
    vec![
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::shutdown_with("done"),
        ExitReason::Kill,
        ExitReason::Killed,
        ExitReason::NoProcess,
        ExitReason::NoConnection,
        ExitReason::custom("crash"),
        ExitReason::from(std::fmt::Error),
    ]
}
