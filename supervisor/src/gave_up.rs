//! [`GaveUp`]: why a supervisor ended that had restarted too often.

use std::fmt;

use resurgam_runtime::ExitReason;

use crate::child_spec::ChildId;
use crate::intensity::RestartIntensity;

/// A supervisor gave up, since it restarted too often. It is the term of the
/// supervisor's exit reason, which counts as a shutdown (law XSUP-20).
///
/// # Differences from Erlang
///
/// There the reason is plain `shutdown`, and only the log knows the cause.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Context, ExitReason, Node};
/// use resurgam_supervisor::{ChildSpec, GaveUp, Strategy, Supervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let import = ChildSpec::process("import", || {
///     |mut ctx: Context<()>| async move {
///         ctx.receive().await;
///         ExitReason::custom("no data")
///     }
/// });
/// let sup = Supervisor::builder(Strategy::OneForOne).max_restarts(0).child(import);
/// let sup = sup.start_on(&node).await?;
/// let end = node.join(sup.pid().ok_or("no pid")?);
/// let import = sup.which_child("import").await?.pid().ok_or("not running")?;
/// node.send(import, ())?;
/// let reason = end.await;
/// assert!(reason.is_graceful());
/// let gave_up = reason.cause::<GaveUp>().ok_or("it gave up")?;
/// assert_eq!(gave_up.id.as_str(), "import");
/// assert_eq!(gave_up.root(), &ExitReason::custom("no data"));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GaveUp {
    /// The child whose restart was one too many.
    pub id: ChildId,
    /// Why it was down: the reason it ended with, or why it did not start.
    pub reason: ExitReason,
    /// How often the supervisor had started this child anew, in all.
    pub restarts: u64,
    /// The budget that was spent.
    pub intensity: RestartIntensity,
}

impl GaveUp {
    /// The reason at the bottom: if the child was a supervisor that gave up
    /// itself, that of its child, and so on.
    pub fn root(&self) -> &ExitReason {
        let mut reason = &self.reason;
        while let Some(below) = reason.cause::<Self>() {
            reason = &below.reason;
        }
        reason
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, reason, .. } = self;
        let (most, period) = (self.intensity.max_restarts(), self.intensity.period());
        write!(
            f,
            "child {id:?} called for more than {most} restarts in {period:?}: {reason}"
        )
    }
}
