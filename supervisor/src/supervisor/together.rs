//! How the process of a concurrent supervisor carries out what its policy says.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use resurgam_runtime::{ExitReason, Pid, ServerContext, StartError};

use super::Shell;
#[cfg(feature = "sim")]
use crate::audit::{self, Deed};
use crate::child_spec::{ChildSpec, Shutdown};
use crate::children::Rank;
use crate::policy::{Event, Step};
use crate::shutdown::stop_beside;
use crate::start::Started;

/// What is done with a child, beside others.
enum Work {
    Start(ChildSpec),
    /// Of nobody, if the child is down.
    Stop(Option<(Pid, Shutdown)>),
}

/// What came of it.
enum Outcome {
    Start(Result<Started, StartError>),
    Stop(Option<(Pid, ExitReason)>),
}

impl Work {
    async fn outcome(self, rank: Rank) -> (Rank, Outcome) {
        let outcome = match self {
            Self::Start(spec) => Outcome::Start(spec.start().await),
            Self::Stop(Some((pid, shutdown))) => {
                let reason = stop_beside(pid, shutdown).await;
                Outcome::Stop(Some((pid, reason)))
            }
            Self::Stop(None) => Outcome::Stop(None),
        };
        (rank, outcome)
    }
}

impl Shell {
    /// Follows the policy until it has nothing more to do and nothing is under
    /// way. The error is the reason with which the supervisor is to end.
    pub(super) async fn carry_out_together(
        &mut self,
        event: Event,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let mut under_way = FuturesUnordered::new();
        let mut step = self.policy.next(event);
        loop {
            #[cfg(feature = "sim")]
            audit::note(Deed::Takes(&step));
            let event = match step {
                Step::Start(rank) => {
                    let work = Work::Start(self.child(rank).spec.clone());
                    under_way.push(work.outcome(rank));
                    Event::GoOn
                }
                Step::Stop(rank) => {
                    let work = Work::Stop(self.stop_of(rank));
                    under_way.push(work.outcome(rank));
                    Event::GoOn
                }
                Step::Await => match under_way.next().await {
                    Some((rank, outcome)) => self.heard(rank, outcome),
                    None => return Ok(()),
                },
                // More than one may have failed to start.
                Step::Retry(_) | Step::Delay(..) | Step::Park(_) => {
                    self.conclude(step, ctx)?;
                    Event::GoOn
                }
                Step::Wait | Step::GiveUp(_) | Step::ShutDown | Step::Abort(_) => {
                    return self.conclude(step, ctx);
                }
            };
            step = self.policy.next(event);
        }
    }

    fn heard(&self, rank: Rank, outcome: Outcome) -> Event {
        let event = match outcome {
            Outcome::Start(result) => self.started(rank, result),
            Outcome::Stop(ended) => self.stopped(rank, ended),
        };
        #[cfg(feature = "sim")]
        audit::note(Deed::Hears(&event));
        event
    }
}
