//! Making a process: [`SpawnOptions`].

use std::fmt;
use std::sync::Arc;

use crate::mailbox::{Limit, Overflow};
use crate::name::Name;
use crate::node::seam::observe;
use crate::node::{Node, NodeInner};
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::{self, Header, Newborn, Process, ProcessOutput, Seat, Typed};
use crate::process::context::Context;
use crate::process::current;
use crate::process::owner::Owner;
use crate::process::reaction::ExitMode;
use crate::process_ref::ProcessRef;
use crate::registry::RegisterError;
use crate::signal::Watcher;
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
    manner: Manner,
}

/// How a process is to be.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    name: Option<Name>,
    label: Option<Arc<str>>,
    link: bool,
    monitor: bool,
    exit_mode: ExitMode,
    limit: Option<Limit>,
}

impl Manner {
    /// Nameless, linked to nobody, watched by nobody.
    pub(crate) const PLAIN: Self = Self {
        name: None,
        label: None,
        link: false,
        monitor: false,
        exit_mode: ExitMode::Fatal,
        limit: None,
    };

    /// As [`PLAIN`](Self::PLAIN), but linked to whoever spawns it.
    pub(crate) const LINKED: Self = Self {
        link: true,
        ..Self::PLAIN
    };
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
        Self {
            node,
            manner: Manner::PLAIN,
        }
    }

    /// Registers the process under this name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.manner.name = Some(name.into());
        self
    }

    /// Labels the process, for reports and observers (law INFO-05).
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.manner.label = Some(label.into().into());
        self
    }

    /// Links the process to the caller.
    pub fn link(mut self) -> Self {
        self.manner.link = true;
        self
    }

    /// Lets the caller monitor the process.
    pub fn monitor(mut self) -> Self {
        self.manner.monitor = true;
        self
    }

    /// Lets the process trap exits from its first moment.
    pub fn trap_exit(mut self) -> Self {
        self.manner.exit_mode = ExitMode::Trapped;
        self
    }

    /// Bounds the mailbox: it holds this many messages at most, and `overflow`
    /// says what becomes of one more (laws XMSG). Without this it holds any
    /// number, as in Erlang.
    ///
    /// Exits, downs, orders and replies are not counted and never held up.
    ///
    /// # Panics
    ///
    /// If the capacity is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Node, Overflow, SendError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let options = node.spawn_options().mailbox(1, Overflow::Refuse);
    /// let sleeper = options.spawn(|_: Context<u32>| std::future::pending::<()>())?;
    /// sleeper.process.send(1)?;
    /// let refused = sleeper.process.send(2).unwrap_err();
    /// assert!(matches!(refused, SendError::Full { message: 2, .. }));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn mailbox(self, capacity: usize, overflow: Overflow) -> Self {
        self.limit(Limit::new(capacity, overflow))
    }

    pub(crate) fn limit(mut self, limit: Limit) -> Self {
        self.manner.limit = Some(limit);
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
        self.manner.spawn(self.node.inner(), body)
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
        let (bell, rung) = thread::Bell::new();
        let call = {
            let rung = rung.clone();
            move |ctx: Context<M>| async move { body(ThreadContext::new(ctx, rung)) }
        };
        let seat = Seat::Thread(Box::new(bell));
        let node = self.node.inner();
        let born = self
            .manner
            .bear(node, seat, |header| cell::make(header, call))?;
        match thread::run(born.life, rung) {
            Ok(()) => Ok(Spawned {
                process: ProcessRef::new(born.process),
                monitor: born.monitor,
            }),
            Err(error) => {
                take_back(&born.process, born.monitor);
                Err(SpawnError::Thread(error.kind()))
            }
        }
    }
}

impl Manner {
    /// Spawns a process on a node.
    #[inline]
    pub(crate) fn spawn<M, B, F>(
        self,
        node: &Arc<NodeInner>,
        body: B,
    ) -> Result<Spawned<M>, SpawnError>
    where
        M: Send + 'static,
        B: FnOnce(Context<M>) -> F + Send + 'static,
        F: Future<Output: ProcessOutput> + Send + 'static,
    {
        let born = self.bear(node, Seat::Host, |header| cell::make(header, body))?;
        node.schedule(born.life);
        Ok(Spawned {
            process: ProcessRef::new(born.process),
            monitor: born.monitor,
        })
    }

    /// Makes the cell, with its links, monitors and name, and lets it be
    /// found. It has not run yet.
    #[inline]
    fn bear<M>(
        self,
        node: &Arc<NodeInner>,
        seat: Seat,
        make: impl FnOnce(Header) -> Newborn<M>,
    ) -> Result<Born<M>, SpawnError> {
        let parent = current::on(node, |parent| parent.header().pid);
        if parent.is_none() && (self.link || self.monitor) {
            return Err(SpawnError::NotInProcess);
        }
        let pid = node.table.reserve(parent, node.about_now())?;
        let mut owner = Owner::new(self.exit_mode);
        let monitor = if self.link || self.monitor {
            self.bind(node, pid, &mut owner)
        } else {
            None
        };
        let newborn = make(Header::new(
            pid,
            Arc::clone(node),
            parent,
            seat,
            self.label,
            owner,
        ));
        let (life, process) = (newborn.life, newborn.process);
        if let Some(limit) = self.limit {
            process.core().set_bound(limit);
        }
        node.table.publish(newborn.for_table);
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
            life,
            process,
            monitor,
        })
    }

    /// Links the process that spawns to one that is not born yet, and lets it
    /// monitor that, as it is wanted: both ends at once, before anybody can see
    /// it.
    fn bind(&self, node: &Arc<NodeInner>, pid: Pid, newborn: &mut Owner) -> Option<MonitorRef> {
        let monitor = current::on(node, |parent| {
            let from = parent.header().pid;
            if self.link {
                newborn.bonds.links.link_newborn(from);
                if !planted!(SpawnLinkHalf) {
                    parent.owner().bonds.links.link_newborn(pid);
                }
            }
            self.monitor.then(|| {
                let mut owner = parent.owner();
                let reference = MonitorRef::new(from, owner.number());
                let watcher = Watcher::Process { name: None };
                newborn.bonds.watchers.insert(reference, watcher);
                owner.rare.monitors.insert(reference, pid);
                observe!(node, |world| world.monitored(reference, pid));
                reference
            })
        });
        monitor.flatten()
    }
}

/// Ends a process that never ran; its parent is told nothing of it.
fn take_back(process: &Process, monitor: Option<MonitorRef>) {
    let header = process.header();
    if let Some(parent) = current::on(&header.node, Process::clone) {
        let mut owner = parent.owner();
        owner.bonds.links.on_exit(header.pid);
        if let Some(reference) = monitor {
            owner.rare.monitors.remove(&reference);
            observe!(header.node, |world| world.demonitored(reference));
        }
    }
    NodeInner::end_abandoned(process);
}

/// A process that can be found but has not run.
struct Born<M> {
    life: Process,
    process: Typed<M>,
    monitor: Option<MonitorRef>,
}

impl fmt::Debug for SpawnOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpawnOptions").field(&self.manner).finish()
    }
}
