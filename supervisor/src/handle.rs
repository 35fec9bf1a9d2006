//! Handles: how to talk to a supervisor.

use std::fmt;
use std::hash::Hash;

use resurgam_runtime::sys::Target;
use resurgam_runtime::{
    CallError, ExitReason, Name, Node, Pid, ProcessRef, Registry, StopServerError,
};

use crate::child_spec::{ChildId, ChildSpec};
use crate::dynamic::{
    self, RestartDynamicChildError, StartDynamicChildError, TerminateDynamicChildError,
};
use crate::info::{ChildCount, ChildInfo};
use crate::needs::Pace;
use crate::policy::AutoShutdown;
use crate::start::Started;
use crate::supervisor::{
    self, DeleteChildError, FindChildError, RestartChildError, StartChildError, TerminateChildError,
};

/// A static supervisor, as others see it. Cheap to clone.
///
/// The calls have no time limit, as a supervisor may rightly be busy for as
/// long as a child takes to start or to stop; wrap one in
/// [`timeout`](resurgam_runtime::timeout) to stop waiting. A supervisor that
/// is gone is an error at once. Dropping a call that is under way does not
/// undo it: unless noted otherwise the request was sent when the future was
/// first polled, and the supervisor acts on it.
///
/// # Differences from Erlang
///
/// A start function that calls its own supervisor is told
/// [`CallError::CallingSelf`]; the `init` of a child that does so waits for
/// ever, as in Erlang.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{ChildSpec, ChildStatus, Strategy, Supervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let sup = Supervisor::builder(Strategy::OneForOne).start_on(&node).await?;
/// let idle = ChildSpec::task("idle", || std::future::pending::<()>());
/// let child = sup.start_child(idle).await?;
/// assert_eq!(sup.which_child("idle").await?.pid(), child.pid());
///
/// sup.terminate_child("idle").await?;
/// assert_eq!(sup.which_child("idle").await?.status, ChildStatus::Stopped);
/// assert_ne!(sup.restart_child("idle").await?.pid(), child.pid());
/// sup.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorRef(ProcessRef<supervisor::Request>);

impl From<&SupervisorRef> for Target {
    fn from(supervisor: &SupervisorRef) -> Self {
        (&supervisor.0).into()
    }
}

impl SupervisorRef {
    pub(crate) fn new(process: ProcessRef<supervisor::Request>) -> Self {
        Self(process)
    }

    /// The supervisor registered under this name, looked up at each call, on
    /// the node that is the current one now: of the process that runs, or the
    /// default node.
    pub fn named(name: impl Into<Name>) -> Self {
        Self::named_on(&Node::current(), name)
    }

    /// The supervisor registered under this name on this node, looked up at
    /// each call.
    pub fn named_on(node: &Node, name: impl Into<Name>) -> Self {
        Self(node.named(name))
    }

    /// The supervisor under this key of a registry, looked up at each call.
    pub fn via<K, V>(registry: &Registry<K, V>, key: K) -> Self
    where
        K: Hash + Eq + fmt::Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        Self(registry.via(key))
    }

    /// The supervisor with this pid; `None` if it is gone or the process is
    /// not a static supervisor. It is the way down a tree, from what
    /// [`which_children`](Self::which_children) lists.
    pub fn from_pid(node: &Node, pid: Pid) -> Option<Self> {
        node.process(pid).map(Self)
    }

    /// The supervisor's pid; `None` for a name that nobody has.
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Adds a child at the end of the start order and starts it.
    ///
    /// If its start function says `ignore`, the result has no pid, and the
    /// spec is kept unless the child is temporary.
    ///
    /// # Errors
    ///
    /// See [`StartChildError`]. The supervisor has no more children than
    /// before.
    ///
    /// # Cancel safety
    ///
    /// The child is added even if the future is dropped while it waits.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Started, StartChildError> {
        spec.check()?;
        self.0
            .call(|reply| supervisor::Request::StartChild(spec, reply))
            .no_timeout()
            .await?
    }

    /// Stops a child by the rule in its spec, and waits until it is dead. Its
    /// spec stays unless the child is temporary. A pending restart of the
    /// child is called off, at once or after a delay, and a parked child is
    /// parked no more. To stop a child that does not run is no error.
    ///
    /// # Errors
    ///
    /// See [`TerminateChildError`].
    ///
    /// # Cancel safety
    ///
    /// The child is stopped even if the future is dropped while it waits.
    pub async fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), TerminateChildError> {
        let id = id.into();
        self.0
            .call(|reply| supervisor::Request::TerminateChild(id, reply))
            .no_timeout()
            .await?
    }

    /// Starts a child that does not run. It never counts as a restart in the
    /// sense of the restart intensity, and never touches a sibling.
    ///
    /// If the child waits for the end of a delay or is parked, the restart that
    /// was put off is made now: with those that go along by the strategy, and
    /// with delays and a budget that begin anew. If it fails, the supervisor
    /// goes on trying (law XSUP-15).
    ///
    /// # Errors
    ///
    /// See [`RestartChildError`]. The spec stays in any case.
    ///
    /// # Cancel safety
    ///
    /// The child is started even if the future is dropped while it waits.
    pub async fn restart_child(
        &self,
        id: impl Into<ChildId>,
    ) -> Result<Started, RestartChildError> {
        let id = id.into();
        self.0
            .call(|reply| supervisor::Request::RestartChild(id, reply))
            .no_timeout()
            .await?
    }

    /// Forgets a child that does not run.
    ///
    /// # Errors
    ///
    /// See [`DeleteChildError`].
    ///
    /// # Cancel safety
    ///
    /// The child is deleted even if the future is dropped while it waits.
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), DeleteChildError> {
        let id = id.into();
        self.0
            .call(|reply| supervisor::Request::DeleteChild(id, reply))
            .no_timeout()
            .await?
    }

    /// Every child, the newest first.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.0
            .call(supervisor::Request::WhichChildren)
            .no_timeout()
            .await
    }

    /// One child.
    ///
    /// # Errors
    ///
    /// See [`FindChildError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn which_child(&self, id: impl Into<ChildId>) -> Result<ChildInfo, FindChildError> {
        let id = id.into();
        self.0
            .call(|reply| supervisor::Request::WhichChild(id, reply))
            .no_timeout()
            .await?
    }

    /// How many children there are, of which kind.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn count_children(&self) -> Result<ChildCount, CallError> {
        self.0
            .call(supervisor::Request::CountChildren)
            .no_timeout()
            .await
    }

    /// The spec of a child, with its defaults filled in. That of a temporary
    /// child comes without its start function and cannot be started again.
    ///
    /// # Errors
    ///
    /// See [`FindChildError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn get_childspec(&self, id: impl Into<ChildId>) -> Result<ChildSpec, FindChildError> {
        let id = id.into();
        self.0
            .call(|reply| supervisor::Request::GetChildSpec(id, reply))
            .no_timeout()
            .await?
    }

    /// Stops the supervisor with the reason `normal`, its children first, in
    /// reverse start order, and waits until it is dead.
    ///
    /// # Errors
    ///
    /// It was gone already, or ended for another reason.
    ///
    /// # Cancel safety
    ///
    /// The supervisor stops even if the future is dropped while it waits.
    pub async fn stop(&self) -> Result<(), StopServerError> {
        self.stop_with(ExitReason::Normal).await
    }

    /// As [`stop`](Self::stop), with a reason.
    ///
    /// # Errors
    ///
    /// It was gone already, or ended for another reason.
    ///
    /// # Cancel safety
    ///
    /// The supervisor stops even if the future is dropped while it waits.
    pub async fn stop_with(&self, reason: ExitReason) -> Result<(), StopServerError> {
        self.0.stop(reason).await
    }

    /// Tells the supervisor to stop with this reason, and does not wait: for
    /// whoever must not wait for its own end, as a descendant that traps exits
    /// and would be waited for in turn. If the supervisor is gone, nothing
    /// happens (law XSUP-30).
    ///
    /// # Differences from Erlang
    ///
    /// `supervisor:stop/1` waits; from inside the tree that can take as long as
    /// the child may take to shut down, or for ever.
    pub fn stop_later(&self, reason: ExitReason) {
        self.0.cast(supervisor::Request::Stop(reason));
    }
}

/// A dynamic supervisor, as others see it. Cheap to clone.
///
/// What is said of [`SupervisorRef`] about time limits and dropped futures
/// holds here too.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{ChildSpec, DynamicSupervisor};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let sup = DynamicSupervisor::builder().max_children(2).start_on(&node).await?;
/// let idle = ChildSpec::task("idle", || std::future::pending::<()>());
/// let one = sup.start_child(idle.clone()).await?;
/// let two = sup.start_child(idle.clone()).await?;
/// assert!(sup.start_child(idle).await.is_err());
///
/// let (one, two) = (one.pid().ok_or("no pid")?, two.pid().ok_or("no pid")?);
/// sup.terminate_child(one).await?;
/// assert_eq!(sup.which_children().await?[0].pid(), Some(two));
/// sup.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DynamicSupervisorRef(ProcessRef<dynamic::Request>);

impl From<&DynamicSupervisorRef> for Target {
    fn from(supervisor: &DynamicSupervisorRef) -> Self {
        (&supervisor.0).into()
    }
}

impl DynamicSupervisorRef {
    pub(crate) fn new(process: ProcessRef<dynamic::Request>) -> Self {
        Self(process)
    }

    /// The supervisor registered under this name, looked up at each call, on
    /// the node that is the current one now: of the process that runs, or the
    /// default node.
    pub fn named(name: impl Into<Name>) -> Self {
        Self::named_on(&Node::current(), name)
    }

    /// The supervisor registered under this name on this node, looked up at
    /// each call.
    pub fn named_on(node: &Node, name: impl Into<Name>) -> Self {
        Self(node.named(name))
    }

    /// The supervisor under this key of a registry, looked up at each call.
    pub fn via<K, V>(registry: &Registry<K, V>, key: K) -> Self
    where
        K: Hash + Eq + fmt::Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        Self(registry.via(key))
    }

    /// The supervisor with this pid; `None` if it is gone or the process is
    /// not a dynamic supervisor.
    pub fn from_pid(node: &Node, pid: Pid) -> Option<Self> {
        node.process(pid).map(Self)
    }

    /// The supervisor's pid; `None` for a name that nobody has.
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Starts a child. Its id is for reports only and may be used again.
    ///
    /// If its start function says `ignore`, the result has no pid, and nothing
    /// is kept.
    ///
    /// # Errors
    ///
    /// See [`StartDynamicChildError`]. Nothing is kept.
    ///
    /// # Cancel safety
    ///
    /// The child is started even if the future is dropped while it waits.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Started, StartDynamicChildError> {
        spec.check_for(AutoShutdown::Never, Pace::InTurn)?;
        self.0
            .call(|reply| dynamic::Request::StartChild(spec, reply))
            .no_timeout()
            .await?
    }

    /// Stops a child by the rule in its spec, waits until it is dead, and
    /// forgets it. One that is about to be restarted goes by the pid it had.
    ///
    /// # Errors
    ///
    /// See [`TerminateDynamicChildError`].
    ///
    /// # Cancel safety
    ///
    /// The child is stopped even if the future is dropped while it waits.
    pub async fn terminate_child(&self, pid: Pid) -> Result<(), TerminateDynamicChildError> {
        self.0
            .call(|reply| dynamic::Request::TerminateChild(pid, reply))
            .no_timeout()
            .await?
    }

    /// Restarts a child now that waits for the end of a delay or is parked. It
    /// goes by the pid it had. This does not count as a restart, and its delays
    /// and its budget begin anew. If it fails, the supervisor goes on trying
    /// (law XSUP-40).
    ///
    /// # Errors
    ///
    /// See [`RestartDynamicChildError`].
    ///
    /// # Cancel safety
    ///
    /// The child is restarted even if the future is dropped while it waits.
    pub async fn restart_child(&self, pid: Pid) -> Result<Started, RestartDynamicChildError> {
        self.0
            .call(|reply| dynamic::Request::RestartChild(pid, reply))
            .no_timeout()
            .await?
    }

    /// Every child, in no order.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.0
            .call(dynamic::Request::WhichChildren)
            .no_timeout()
            .await
    }

    /// How many children there are, of which kind.
    ///
    /// # Errors
    ///
    /// Why the supervisor did not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn count_children(&self) -> Result<ChildCount, CallError> {
        self.0
            .call(dynamic::Request::CountChildren)
            .no_timeout()
            .await
    }

    /// Stops the supervisor with the reason `normal`, its children first, side
    /// by side, and waits until it is dead.
    ///
    /// # Errors
    ///
    /// It was gone already, or ended for another reason.
    ///
    /// # Cancel safety
    ///
    /// The supervisor stops even if the future is dropped while it waits.
    pub async fn stop(&self) -> Result<(), StopServerError> {
        self.stop_with(ExitReason::Normal).await
    }

    /// As [`stop`](Self::stop), with a reason.
    ///
    /// # Errors
    ///
    /// It was gone already, or ended for another reason.
    ///
    /// # Cancel safety
    ///
    /// The supervisor stops even if the future is dropped while it waits.
    pub async fn stop_with(&self, reason: ExitReason) -> Result<(), StopServerError> {
        self.0.stop(reason).await
    }

    /// Tells the supervisor to stop with this reason, and does not wait: for
    /// whoever must not wait for its own end, as a descendant that traps exits
    /// and would be waited for in turn. If the supervisor is gone, nothing
    /// happens (law XSUP-30).
    ///
    /// # Differences from Erlang
    ///
    /// `supervisor:stop/1` waits; from inside the tree that can take as long as
    /// the child may take to shut down, or for ever.
    pub fn stop_later(&self, reason: ExitReason) {
        self.0.cast(dynamic::Request::Stop(reason));
    }
}
