//! The process of a partition supervisor: above a static supervisor whose
//! children the partitions are.

use std::sync::Arc;

use futures::future::BoxFuture;
use resurgam_runtime::{
    CallError, ExitReason, GenServer, Info, InitError, Reply, ServerContext, StartError, trap_exit,
};

use super::routes::{Guide, Routes, Tenant};
use super::{Partitions, ResizeError};
use crate::builder::{StartSupervisorError, Supervisor};
use crate::child_spec::{ChildId, ChildSpec, Restart, Shutdown};
use crate::handle::SupervisorRef;
use crate::info::{ChildCount, ChildInfo};
use crate::intensity::RestartIntensity;
use crate::policy::Strategy;
use crate::process_handle::ProcessHandle;
use crate::start::Started;
use crate::supervisor::TerminateChildError;

/// Starts the partition of this number.
pub(crate) type StartPartition<H> =
    Arc<dyn Fn(usize) -> BoxFuture<'static, Result<H, StartError>> + Send + Sync>;

/// What a partition supervisor can be asked.
pub(crate) enum Request<H: ProcessHandle> {
    Resize(usize, Reply<Result<usize, ResizeError>>),
    WhichChildren(Reply<Result<Vec<ChildInfo>, CallError>>),
    CountChildren(Reply<Result<ChildCount, CallError>>),
    Handle(Reply<Partitions<H>>),
}

/// What a partition supervisor starts with.
pub(crate) struct Setup<H: ProcessHandle> {
    pub(crate) routes: Arc<Routes<H>>,
    pub(crate) start: StartPartition<H>,
    /// As many as the node has workers if it is not said.
    pub(crate) count: Option<usize>,
    pub(crate) intensity: RestartIntensity,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Option<Shutdown>,
}

/// The process. It does one thing after the other, so that a resize is never
/// half done when the next one begins.
pub(crate) struct Shell<H: ProcessHandle> {
    tenant: Tenant<H>,
    routes: Arc<Routes<H>>,
    supervisor: SupervisorRef,
}

/// Why routes cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("these partitions are supervised already, by {0}")]
struct Supervised(resurgam_runtime::Pid);

impl<H: ProcessHandle> GenServer for Shell<H> {
    type Args = Setup<H>;
    type Message = Request<H>;

    async fn init(setup: Setup<H>, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        let node = ctx.node();
        let count = setup.count.unwrap_or_else(|| node.workers());
        let tenant = setup
            .routes
            .rent(ctx.self_ref(), count, node.random())
            .map_err(Supervised)?;
        let guide = tenant.guide();
        let builder = Supervisor::builder(Strategy::OneForOne)
            .intensity(setup.intensity.max_restarts(), setup.intensity.period())
            .children((0..count).map(|number| setup.partition(number, guide.clone())));
        let supervisor = builder.start_link().await.map_err(no_start)?;
        tenant.open(count);
        Ok(Self {
            tenant,
            routes: setup.routes,
            supervisor,
        })
    }

    async fn handle(
        &mut self,
        request: Request<H>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::Resize(wanted, reply) => reply.send(self.resize(wanted).await),
            Request::WhichChildren(reply) => reply.send(self.which_children().await),
            Request::CountChildren(reply) => reply.send(self.supervisor.count_children().await),
            Request::Handle(reply) => reply.send(Partitions::new(Arc::clone(&self.routes))),
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            // The one below has given up, or was killed.
            Info::Exit(exit) if Some(exit.from) == self.supervisor.pid() => Err(exit.reason),
            _ => Ok(()),
        }
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        self.tenant.close();
        // That it is gone already is as well.
        let _ = self.supervisor.stop_with(ExitReason::Shutdown).await;
    }
}

impl<H: ProcessHandle> Setup<H> {
    fn partition(&self, number: usize, guide: Guide<H>) -> ChildSpec {
        let start = Arc::clone(&self.start);
        let spec = ChildSpec::new(id(number), move || {
            let (starting, guide) = (start(number), guide.clone());
            async move {
                let handle = starting.await?;
                let pid = handle.pid();
                let pid = pid.ok_or(StartError::Failed(ExitReason::NoProcess))?;
                guide.lead_to(number, handle);
                Ok(Started::new(pid))
            }
        });
        let spec = spec.restart(self.restart).child_type(H::CHILD_TYPE);
        match self.shutdown {
            Some(shutdown) => spec.shutdown(shutdown),
            None => spec,
        }
    }
}

impl<H: ProcessHandle> Shell<H> {
    /// Law PART-06.
    async fn resize(&mut self, wanted: usize) -> Result<usize, ResizeError> {
        let (before, most) = (self.routes.open().unwrap_or(0), self.tenant.most());
        if wanted > most {
            return Err(ResizeError::TooMany { wanted, most });
        }
        if wanted < before {
            // Before anything is stopped, so that nobody is shown the way to it.
            self.tenant.open(wanted);
            self.stop_partitions(wanted, before).await?;
        } else {
            self.start_partitions(before, wanted).await?;
            self.tenant.open(wanted);
        }
        Ok(before)
    }

    /// The highest first.
    async fn stop_partitions(&self, from: usize, to: usize) -> Result<(), CallError> {
        for number in (from..to).rev() {
            // There is such a child: none is temporary.
            if let Err(TerminateChildError::NoAnswer(error)) =
                self.supervisor.terminate_child(id(number)).await
            {
                return Err(error);
            }
            self.tenant.forget(number);
        }
        Ok(())
    }

    /// All of them or none.
    async fn start_partitions(&self, from: usize, to: usize) -> Result<(), ResizeError> {
        for number in from..to {
            if let Err(error) = self.supervisor.restart_child(id(number)).await {
                self.stop_partitions(from, number).await?;
                return Err(ResizeError::Failed { number, error });
            }
        }
        Ok(())
    }

    /// By their numbers.
    async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        let mut children = self.supervisor.which_children().await?;
        children.reverse();
        Ok(children)
    }
}

fn id(number: usize) -> ChildId {
    number.to_string().into()
}

fn no_start(error: StartSupervisorError) -> InitError {
    match StartError::from(error) {
        StartError::Failed(reason) => InitError::Stop(reason),
        error => InitError::Stop(error.into()),
    }
}
