//! Tasks under a supervisor: Elixir's `Task.Supervisor`.

use std::any::type_name;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use resurgam_runtime::{
    Context, ExitReason, Name, Node, Pid, ProcessOutput, SpawnError, StartError, Task, TaskStream,
    TaskWorker, callers, set_callers, set_label, try_self_pid,
};

use crate::builder::{DynamicSupervisor, StartSupervisorError};
use crate::child_spec::{ChildSpec, Restart, Shutdown};
use crate::dynamic::StartDynamicChildError;
use crate::handle::DynamicSupervisorRef;
use crate::start::Started;

/// A supervisor of tasks, as others see it. Cheap to clone.
///
/// Whoever starts a [`Task`] by it owns the task, and the supervisor is its
/// parent: it is seen in the supervision tree, and ends with it. Tasks are
/// temporary children; work that nobody waits for may be restarted, see
/// [`start_child_as`](Self::start_child_as).
///
/// The supervisor is a [`DynamicSupervisor`], so it is named, limited and
/// supervised as one; the handle is made [`From`] that one's, or by its name.
///
/// The calls have no time limit. Dropping one that is under way leaves nothing
/// behind but what is noted.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{DynamicSupervisor, TaskSupervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// DynamicSupervisor::builder().name("tasks").start_on(&node).await?;
///
/// let tasks = TaskSupervisor::named_on(&node, "tasks");
/// let answer = tasks.spawn(async { 6 * 7 }).await?;
/// assert_eq!(answer.await?, 42);
/// tasks.supervisor().stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TaskSupervisor {
    supervisor: DynamicSupervisorRef,
    /// How the tasks are stopped; as any worker if nobody says.
    shutdown: Option<Shutdown>,
}

impl From<DynamicSupervisorRef> for TaskSupervisor {
    fn from(supervisor: DynamicSupervisorRef) -> Self {
        Self {
            supervisor,
            shutdown: None,
        }
    }
}

impl TaskSupervisor {
    /// Starts a supervisor, linked to the running process, which is its parent.
    ///
    /// # Errors
    ///
    /// See [`StartSupervisorError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the supervisor is up, the supervisor is
    /// killed.
    pub async fn start_link() -> Result<Self, StartSupervisorError> {
        let supervisor = DynamicSupervisor::builder().start_link().await?;
        Ok(supervisor.into())
    }

    /// The supervisor registered under this name on the current node, looked up
    /// at each call.
    pub fn named(name: impl Into<Name>) -> Self {
        DynamicSupervisorRef::named(name).into()
    }

    /// The supervisor registered under this name on this node, looked up at
    /// each call.
    pub fn named_on(node: &Node, name: impl Into<Name>) -> Self {
        DynamicSupervisorRef::named_on(node, name).into()
    }

    /// The same supervisor, for tasks that it stops in this way; a
    /// [`Duration`](std::time::Duration) is a timeout, and if nothing is said
    /// it is 5 seconds.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = Some(shutdown.into());
        self
    }

    /// The supervisor itself, which knows its children and can be stopped.
    pub fn supervisor(&self) -> &DynamicSupervisorRef {
        &self.supervisor
    }

    /// Starts a task that belongs to the caller and is linked to the supervisor
    /// only: `async_nolink`.
    ///
    /// # Errors
    ///
    /// See [`StartDynamicChildError`]. The future is dropped.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or its process ends, before the task is there,
    /// the task shuts down without having done anything (law TASK-26).
    #[doc(alias = "async_nolink")]
    pub async fn spawn<F>(&self, future: F) -> Result<Task<F::Output>, StartDynamicChildError>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Ok(self.start_worker().await?.entrust(future))
    }

    /// As [`spawn`](Self::spawn), with the task linked to the caller too:
    /// `async`.
    ///
    /// # Errors
    ///
    /// See [`StartDynamicChildError`]; it must be called in a process.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    #[doc(alias = "async")]
    pub async fn spawn_link<F>(&self, future: F) -> Result<Task<F::Output>, StartDynamicChildError>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        if try_self_pid().is_none() {
            return Err(not_started(SpawnError::NotInProcess));
        }
        let worker = self.start_worker().await?;
        worker.entrust_link(future).map_err(not_started)
    }

    /// Starts work that nobody waits for: fire and forget. It is not restarted,
    /// so it may hold what there is only one of. `work` is called by the task.
    ///
    /// # Errors
    ///
    /// See [`StartDynamicChildError`].
    ///
    /// # Cancel safety
    ///
    /// The work is started even if the future is dropped while it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use resurgam_runtime::Node;
    /// use resurgam_supervisor::{DynamicSupervisor, Restart, TaskSupervisor};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let tasks = DynamicSupervisor::builder().start_on(&node).await?;
    /// let tasks = TaskSupervisor::from(tasks);
    /// let once = tasks.start_child(|| async { println!("I run") }).await?;
    /// let until_it_works = || async { println!("I run again if I fail") };
    /// tasks.start_child_as(Restart::Transient, until_it_works).await?;
    /// node.join(once).await;
    /// # tasks.supervisor().stop().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn start_child<W, F>(&self, work: W) -> Result<Pid, StartDynamicChildError>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output: ProcessOutput> + Send + 'static,
    {
        let line = callers_of_work();
        let body = move |_: Context<()>| on_behalf_of(line, work);
        let spec = ChildSpec::process_once(type_name::<F>(), body);
        pid_of(&self.start(spec).await?)
    }

    /// As [`start_child`](Self::start_child), and says when it is restarted.
    ///
    /// # Errors
    ///
    /// See [`StartDynamicChildError`].
    ///
    /// # Cancel safety
    ///
    /// As [`start_child`](Self::start_child).
    pub async fn start_child_as<W, F>(
        &self,
        restart: Restart,
        work: W,
    ) -> Result<Pid, StartDynamicChildError>
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: ProcessOutput> + Send + 'static,
    {
        let line = callers_of_work();
        let spec = ChildSpec::task(type_name::<F>(), move || {
            let work = work();
            on_behalf_of(line.clone(), || work)
        });
        pid_of(&self.start(spec.restart(restart)).await?)
    }

    /// Runs a task for each item, linked to the process that polls the stream
    /// and to the supervisor. See [`Task::stream`].
    ///
    /// A supervisor that may not have as many children as the stream wants at a
    /// time ends the stream with that error (law TASK-25).
    #[doc(alias = "async_stream")]
    #[expect(clippy::type_complexity, reason = "its closure has no name")]
    pub fn stream<I, W, F>(
        &self,
        items: I,
        mut work: W,
    ) -> TaskStream<
        I::IntoIter,
        impl FnMut(I::Item) -> Starting<F::Output> + use<I, W, F>,
        Starting<F::Output>,
        F::Output,
    >
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let tasks = self.clone();
        TaskStream::of(items.into_iter(), move |item| {
            let (tasks, work) = (tasks.clone(), work(item));
            async move { Ok(tasks.spawn_link(work).await?) }.boxed()
        })
    }

    /// As [`stream`](Self::stream), with tasks that are linked to the
    /// supervisor only.
    #[doc(alias = "async_stream_nolink")]
    #[expect(clippy::type_complexity, reason = "its closure has no name")]
    pub fn stream_nolink<I, W, F>(
        &self,
        items: I,
        mut work: W,
    ) -> TaskStream<
        I::IntoIter,
        impl FnMut(I::Item) -> Starting<F::Output> + use<I, W, F>,
        Starting<F::Output>,
        F::Output,
    >
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let tasks = self.clone();
        TaskStream::of(items.into_iter(), move |item| {
            let (tasks, work) = (tasks.clone(), work(item));
            async move { Ok(tasks.spawn(work).await?) }.boxed()
        })
    }

    /// A process of the supervisor's that waits for its work. If the caller
    /// goes away meanwhile, it goes with the answer that nobody takes.
    async fn start_worker<F>(&self) -> Result<TaskWorker<F>, StartDynamicChildError>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let spec = ChildSpec::linked_at_once(type_name::<F>(), || {
            let worker = TaskWorker::<F>::spawn_link()?;
            let pid = worker
                .pid()
                .ok_or(StartError::Failed(ExitReason::NoProcess))?;
            Ok(Started::new(pid).with_info(Mutex::new(Some(worker))))
        });
        let started = self.start(spec.temporary()).await?;
        let worker = started.info::<Mutex<Option<TaskWorker<F>>>>();
        let worker =
            worker.and_then(|worker| worker.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(worker.expect("the start function brings one"))
    }

    async fn start(&self, spec: ChildSpec) -> Result<Started, StartDynamicChildError> {
        let spec = match self.shutdown {
            Some(shutdown) => spec.shutdown(shutdown),
            None => spec,
        };
        self.supervisor.start_child(spec).await
    }
}

/// A task of a supervisor that is being started.
type Starting<T> = BoxFuture<'static, Result<Task<T>, ExitReason>>;

/// On whose behalf the work is done that the caller has started.
fn callers_of_work() -> Vec<Pid> {
    try_self_pid().into_iter().chain(callers()).collect()
}

async fn on_behalf_of<F: Future>(line: Vec<Pid>, work: impl FnOnce() -> F) -> F::Output {
    set_callers(line);
    set_label(type_name::<F>());
    work().await
}

fn pid_of(started: &Started) -> Result<Pid, StartDynamicChildError> {
    let failed = StartDynamicChildError::Failed;
    started.pid().ok_or(failed(StartError::Ignore))
}

fn not_started(error: SpawnError) -> StartDynamicChildError {
    StartDynamicChildError::Failed(error.into())
}
