//! Making a process: [`SpawnOptions`].

use std::fmt;
use std::sync::Arc;

use crate::name::Name;
use crate::node::seam::observe;
use crate::node::{Node, NodeInner};
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::{Cell, Header, Process, ProcessOutput, Registration, Seat};
use crate::process::context::Context;
use crate::process::current;
use crate::process::owner::Owner;
use crate::process::reaction::ExitMode;
use crate::process_ref::ProcessRef;
use crate::registry::RegisterError;
use crate::signal::Watcher;
use crate::sync::Mutex;
use crate::thread::{self, ThreadContext};

/// Why a process was not spawned. Nothing is left behind then; the body was
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The node is stopped, or stopping.
    #[error("the node is stopped")]
    Stopped,
    /// The node has as many processes as it may have.
    #[error("there are {limit} processes already, the most this node may have")]
    TooManyProcesses {
        /// The limit.
        limit: usize,
    },
    /// The name was not to be had.
    #[error(transparent)]
    Name(#[from] RegisterError),
    /// A link or a monitor was asked for, but the caller is no process of this
    /// node.
    #[error("only a process of the same node can be linked to what it spawns, or monitor it")]
    NotInProcess,
    /// The operating system gave no thread.
    #[error("no thread could be made: {0}")]
    Thread(std::io::ErrorKind),
}

/// How a process is to be; made by [`spawn_options`](crate::spawn_options) or
/// [`Node::spawn_options`].
///
/// Link, monitor and name are in force before the body runs (laws SPAWN-02,
/// SPAWN-03).
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let spawned = node.spawn_options().name("clerk").spawn(|mut ctx: Context<()>| async move {
///     ctx.receive().await;
/// })?;
/// assert_eq!(node.whereis("clerk"), spawned.process.pid());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until `spawn`"]
pub struct SpawnOptions {
    node: Node,
    name: Option<Name>,
    label: Option<Arc<str>>,
    link: bool,
    monitor: bool,
    exit_mode: ExitMode,
}

/// A process that was spawned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spawned<M> {
    /// The process.
    pub process: ProcessRef<M>,
    /// The monitor, if one was asked for.
    pub monitor: Option<MonitorRef>,
}

impl SpawnOptions {
    pub(crate) fn new(node: Node) -> Self {
        let (name, label) = (None, None);
        Self {
            node,
            name,
            label,
            link: false,
            monitor: false,
            exit_mode: ExitMode::Fatal,
        }
    }

    /// Registers the process under this name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Labels the process, for reports and observers (law INFO-05).
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into().into());
        self
    }

    /// Links the process to the caller.
    pub fn link(mut self) -> Self {
        self.link = true;
        self
    }

    /// Lets the caller monitor the process.
    pub fn monitor(mut self) -> Self {
        self.monitor = true;
        self
    }

    /// Lets the process trap exits from its first moment.
    pub fn trap_exit(mut self) -> Self {
        self.exit_mode = ExitMode::Trapped;
        self
    }

    /// Spawns the process.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    pub fn spawn<M, B, F>(self, body: B) -> Result<Spawned<M>, SpawnError>
    where
        M: Send + 'static,
        B: FnOnce(Context<M>) -> F + Send + 'static,
        F: Future<Output: ProcessOutput> + Send + 'static,
    {
        let born = self.bear(Seat::Host, |header| Cell::make(header, body))?;
        born.process
            .header()
            .node
            .schedule(Arc::clone(&born.process));
        Ok(born.into_spawned())
    }

    /// Spawns the process on an OS thread of its own. See [`ThreadContext`].
    ///
    /// # Errors
    ///
    /// See [`SpawnError`]. A simulation has no threads.
    pub fn spawn_thread<M, B, T>(self, body: B) -> Result<Spawned<M>, SpawnError>
    where
        M: Send + 'static,
        B: FnOnce(ThreadContext<M>) -> T + Send + 'static,
        T: ProcessOutput + Send + 'static,
    {
        #[cfg(feature = "sim")]
        if self.node.inner().world.is_some() {
            return Err(SpawnError::Thread(std::io::ErrorKind::Unsupported));
        }
        let (bell, rung) = thread::bell();
        let call = {
            let rung = rung.clone();
            move |ctx: Context<M>| async move { body(ThreadContext::new(ctx, rung)) }
        };
        let born = self.bear(Seat::Thread(bell), |header| Cell::make(header, call))?;
        match thread::run(Arc::clone(&born.process), rung) {
            Ok(()) => Ok(born.into_spawned()),
            Err(error) => {
                take_back(&born.process, born.monitor);
                Err(SpawnError::Thread(error.kind()))
            }
        }
    }

    /// Makes the cell, with its links, monitors and name, and lets it be
    /// found. It has not run yet.
    fn bear<M>(
        self,
        seat: Seat,
        make: impl FnOnce(Header) -> Arc<dyn Process>,
    ) -> Result<Born<M>, SpawnError> {
        let node = Arc::clone(self.node.inner());
        let parent = self.parent(&node)?;
        let pid = node.table.reserve()?;
        let mut owner = Owner::new(self.exit_mode, self.label.clone());
        let monitor = parent
            .as_ref()
            .and_then(|parent| self.bind(parent, pid, &mut owner));
        let process = make(Header {
            pid,
            node: Arc::clone(&node),
            parent: parent.as_ref().map(|parent| parent.header().pid),
            seat,
            registration: Mutex::new(Registration::Free),
            owner: Mutex::new(owner),
        });
        node.table.publish(Arc::clone(&process));
        if let Some(name) = &self.name
            && let Err(error) = node.registry.register(name, &process)
        {
            take_back(&process, monitor);
            return Err(error.into());
        }
        if node.scheduler.is_done() {
            take_back(&process, monitor);
            return Err(SpawnError::Stopped);
        }
        observe!(node, |world| world.spawned(&process));
        Ok(Born {
            process,
            monitor,
            messages: std::marker::PhantomData,
        })
    }

    /// The process that spawns, if it is one of this node.
    fn parent(&self, node: &Arc<NodeInner>) -> Result<Option<Arc<dyn Process>>, SpawnError> {
        let parent = current::get().filter(|process| Arc::ptr_eq(&process.header().node, node));
        if parent.is_none() && (self.link || self.monitor) {
            return Err(SpawnError::NotInProcess);
        }
        Ok(parent)
    }

    /// Links and monitors a process that is not born yet: both ends at once,
    /// before anybody can see it.
    fn bind(&self, parent: &Arc<dyn Process>, pid: Pid, newborn: &mut Owner) -> Option<MonitorRef> {
        let header = parent.header();
        let mut owner = header.owner.lock();
        if self.link {
            newborn.links.link_newborn(header.pid);
            if !planted!(SpawnLinkHalf) {
                owner.links.link_newborn(pid);
            }
        }
        self.monitor.then(|| {
            let reference = MonitorRef::new(header.pid, owner.number());
            newborn
                .watchers
                .insert(reference, Watcher::Process { name: None });
            owner.monitors.insert(reference, pid);
            observe!(header.node, |world| world.monitored(reference, pid));
            reference
        })
    }
}

/// Ends a process that never ran; its parent is told nothing of it.
fn take_back(process: &Arc<dyn Process>, monitor: Option<MonitorRef>) {
    let header = process.header();
    if let Some(parent) = current::on(&header.node, Arc::clone) {
        let mut owner = parent.header().owner.lock();
        owner.links.on_exit(header.pid);
        if let Some(reference) = monitor {
            owner.monitors.remove(&reference);
            observe!(header.node, |world| world.demonitored(reference));
        }
    }
    NodeInner::end_abandoned(process);
}

/// A process that can be found but has not run.
struct Born<M> {
    process: Arc<dyn Process>,
    monitor: Option<MonitorRef>,
    messages: crate::reply::Of<M>,
}

impl<M: Send + 'static> Born<M> {
    fn into_spawned(self) -> Spawned<M> {
        Spawned {
            process: ProcessRef::new(self.process),
            monitor: self.monitor,
        }
    }
}

impl fmt::Debug for SpawnOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnOptions")
            .field("name", &self.name)
            .field("label", &self.label)
            .field("link", &self.link)
            .field("monitor", &self.monitor)
            .field("exit_mode", &self.exit_mode)
            .finish_non_exhaustive()
    }
}
