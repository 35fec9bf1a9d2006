//! The supervisor bridge: what was not made to be supervised, in a tree.

use std::fmt;

use resurgam_runtime::{
    ExitReason, GenServer, Info, InitError, Name, Node, Pid, ServerBuilder, ServerContext,
    StartError, link, planted, trap_exit,
};

use crate::called::Called;
use crate::child_spec::{ChildId, ChildSpec, ChildType};
use crate::handle::SupervisorRef;
use crate::info::ChildCount;
use crate::shutdown::is_dead;
use crate::supervisor::Request;

/// How something that knows nothing of supervisors is started and stopped: a
/// server of another library, a thread, a program. OTP's `supervisor_bridge`.
///
/// The bridge is a process that looks like a supervisor to the one above it. It
/// stands for one process, the main one, which it is linked to: when that ends,
/// the bridge ends for the same reason, and it is up to the supervisor above
/// whether both are started again. What is no process at all is watched by one
/// that waits for its end, as in the example.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::{Context, ExitReason, InitError, Node, Pid, spawn_link};
/// use resurgam_supervisor::{ChildSpec, Strategy, Supervisor, SupervisorBridge};
/// use tokio::sync::oneshot;
///
/// /// A task of Tokio's that ends when it is told to.
/// struct Foreign(oneshot::Sender<()>);
///
/// impl SupervisorBridge for Foreign {
///     type Args = ();
///
///     async fn init((): ()) -> Result<(Pid, Self), InitError> {
///         let (stop, stopped) = oneshot::channel();
///         let task = tokio::spawn(async { drop(stopped.await) });
///         let main = spawn_link(|_: Context<()>| async {
///             task.await.map_err(ExitReason::from)
///         })?;
///         Ok((main.pid().ok_or(InitError::Ignore)?, Self(stop)))
///     }
///
///     async fn terminate(self, _: &ExitReason) {
///         let _ = self.0.send(());
///     }
/// }
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let top = Supervisor::builder(Strategy::OneForOne)
///     .child(ChildSpec::bridge::<Foreign>("foreign", ()))
///     .start_on(&node)
///     .await?;
/// assert_eq!(top.count_children().await?.supervisors, 1);
/// top.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
pub trait SupervisorBridge: Sized + Send + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// Starts what the bridge stands for, in the bridge's process: the main
    /// process, and what is needed to stop it. It may be linked already.
    fn init(args: Self::Args) -> impl Future<Output = Result<(Pid, Self), InitError>> + Send;

    /// Stops it. This is called when the bridge is told to end; it is not when
    /// the main process has ended, nor when the bridge is killed, which only
    /// drop the value.
    fn terminate(self, reason: &ExitReason) -> impl Future<Output = ()> + Send;

    /// A bridge to be configured, then started.
    fn bridge(args: Self::Args) -> BridgeBuilder<Self> {
        let called = Called::NOTHING;
        BridgeBuilder { args, called }
    }
}

/// A bridge to be; made by [`SupervisorBridge::bridge`].
#[must_use = "a builder starts nothing until it is told to"]
pub struct BridgeBuilder<B: SupervisorBridge> {
    args: B::Args,
    called: Called<Bridge<B>>,
}

impl<B: SupervisorBridge> BridgeBuilder<B> {
    /// Registers the bridge under a name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.called.name = Some(name.into());
        self
    }

    /// Starts the bridge, linked to the running process, which is its parent.
    ///
    /// The reference is one to a supervisor that has no children: what is asked
    /// of children is an error.
    ///
    /// # Errors
    ///
    /// What [`init`](SupervisorBridge::init) said, or that the name is taken.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the bridge is up, the bridge is killed.
    pub async fn start_link(self) -> Result<SupervisorRef, StartError> {
        Ok(SupervisorRef::new(self.prepare().start_link().await?))
    }

    /// Starts the bridge on this node, linked to nobody. As
    /// [`start_link`](Self::start_link).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn start_on(self, node: &Node) -> Result<SupervisorRef, StartError> {
        Ok(SupervisorRef::new(self.prepare().on(node).start().await?))
    }

    fn prepare(self) -> ServerBuilder<Bridge<B>> {
        self.called.call(Bridge::builder(self.args))
    }
}

/// Specs of children that are bridges.
impl ChildSpec {
    /// A [bridge](SupervisorBridge), started with a clone of `args` each time.
    /// By default it may take as long as it needs to stop.
    pub fn bridge<B: SupervisorBridge>(id: impl Into<ChildId>, args: B::Args) -> Self
    where
        B::Args: Clone + Sync,
    {
        let spec = Self::behaviour(id, move || Ok(B::bridge(args.clone()).prepare()));
        spec.child_type(ChildType::Supervisor)
    }
}

/// The process.
struct Bridge<B> {
    main: Pid,
    /// Taken when it is stopped, or has ended.
    foreign: Option<B>,
}

impl<B: SupervisorBridge> GenServer for Bridge<B> {
    type Args = B::Args;
    type Message = Request;

    async fn init(args: B::Args, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        let (main, foreign) = B::init(args).await?;
        // If it has ended already, that is told as any end.
        link(main);
        let foreign = Some(foreign);
        Ok(Self { main, foreign })
    }

    async fn handle(
        &mut self,
        request: Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::WhichChildren(reply) => reply.send(Vec::new()),
            Request::CountChildren(reply) => reply.send(ChildCount::default()),
            // There are none that could be asked for.
            of_children => drop(of_children),
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Exit(_) if planted!(BridgeOutlivesMain) => Ok(()),
            Info::Exit(exit) if exit.from == self.main && is_dead(self.main).await => {
                self.foreign = None;
                Err(exit.reason)
            }
            _ => Ok(()),
        }
    }

    async fn terminate(&mut self, reason: &ExitReason, _: &mut ServerContext<Self>) {
        if let Some(foreign) = self.foreign.take() {
            foreign.terminate(reason).await;
        }
    }
}

impl<B: SupervisorBridge> fmt::Debug for BridgeBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgeBuilder")
            .field("name", &self.called)
            .finish_non_exhaustive()
    }
}
