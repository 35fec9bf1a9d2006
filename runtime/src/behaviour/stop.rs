//! Stopping a behaviour from outside: `gen_server:stop`, `proc_lib:stop`.

use std::time::Duration;

use crate::exit_reason::ExitReason;
use crate::node::Node;
use crate::process::current;
use crate::process::join::Join;
use crate::process_ref::ProcessRef;
use crate::signal::{Signal, System};
use crate::timer::Elapsed;

/// Why a server did not end as it was told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StopServerError {
    /// It was not there.
    #[error("no such process")]
    NoProcess,
    /// It ended with another reason (law PLIB-13).
    #[error("process ended with another reason: {0}")]
    Exited(ExitReason),
    /// It did not end in time. The order stands: it ends later (law PLIB-14).
    #[error("process did not end in time")]
    TimedOut,
    /// A process told itself to stop; it would wait for its own end.
    #[error("process told itself to stop")]
    CallingSelf,
}

impl<M: Send + 'static> ProcessRef<M> {
    /// Tells a server to stop with this reason, and waits until it has: what
    /// is in its mailbox is handled first, then `terminate` runs (laws GS-79,
    /// PLIB-12 to PLIB-15). A plain process ends when it receives the order.
    ///
    /// # Errors
    ///
    /// See [`StopServerError`].
    ///
    /// # Cancel safety
    ///
    /// The order stands, if the future was polled once.
    pub async fn stop(&self, reason: ExitReason) -> Result<(), StopServerError> {
        let join = self.order_stop(&reason)?;
        ended_as_told(join.await, reason)
    }

    /// As [`stop`](Self::stop), and waits no longer than `timeout` on the
    /// node's clock.
    ///
    /// # Errors
    ///
    /// See [`StopServerError`].
    ///
    /// # Cancel safety
    ///
    /// As [`stop`](Self::stop).
    pub async fn stop_timeout(
        &self,
        reason: ExitReason,
        timeout: Duration,
    ) -> Result<(), StopServerError> {
        let process = self.resolve().ok_or(StopServerError::NoProcess)?;
        let node = Node::from_inner(std::sync::Arc::clone(&process.header().node));
        let join = self.order_stop(&reason)?;
        match node.timeout(timeout, join).await {
            Ok(ended) => ended_as_told(ended, reason),
            Err(Elapsed) => Err(StopServerError::TimedOut),
        }
    }

    fn order_stop(&self, reason: &ExitReason) -> Result<Join, StopServerError> {
        let process = self.resolve().ok_or(StopServerError::NoProcess)?;
        if current::is(&process) {
            return Err(StopServerError::CallingSelf);
        }
        let join = Join::of_living(&process);
        let header = process.header();
        let order = Signal::System(System::Stop(reason.clone()));
        header.node.deliver(header.node.sender(), header.pid, order);
        Ok(join)
    }
}

fn ended_as_told(ended: ExitReason, told: ExitReason) -> Result<(), StopServerError> {
    match ended {
        ended if ended == told => Ok(()),
        ExitReason::NoProcess => Err(StopServerError::NoProcess),
        ended => Err(StopServerError::Exited(ended)),
    }
}
