//! The end of a node: in good order by [`Node::stop`], or because its Tokio
//! runtime went away.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use futures::future::{Either, join_all, select};

use super::{Node, NodeInner};
use crate::exit_reason::ExitReason;
use crate::name::Name;
use crate::pid::Pid;
use crate::process::cell::{Process, Seat};
use crate::process::current;
use crate::process::exit::{self, Death};
use crate::process::join::Join;
use crate::signal::{Cause, Exit, Signal};
use crate::slot::Slot;

/// Why a node did not stop, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// A process cannot wait for the end of the node it is part of.
    #[error("a node cannot be stopped from one of its own processes")]
    CalledFromInside,
    /// These processes did not return to the scheduler. They end when they do.
    #[error("{} processes do not return to the scheduler, the first is {}", .0.len(), .0[0].pid)]
    Unresponsive(Vec<Straggler>),
}

/// A process that outlived the stop of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Straggler {
    /// Who it is.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
}

/// How long killed processes have to return to the scheduler.
const KILL_WAIT: Duration = Duration::from_secs(1);

impl Node {
    /// Stops the node. From now on nothing can be spawned. The processes that
    /// no living process spawned are told to shut down, so that supervisors
    /// stop their trees in order; then those whose parents ended by that; what
    /// is left after `grace` is killed, and has another second to return to the
    /// scheduler. Both times are real, whatever the node's clock.
    ///
    /// When it returns `Ok`, every process has ended and every destructor has
    /// run. A second stop of a stopped node returns at once.
    ///
    /// # Errors
    ///
    /// If it is called by a process of the node, and if processes do not
    /// return to the scheduler; they are named.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the node stays half stopped: nothing can be
    /// spawned and some processes were told to end. Stop it again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node, SpawnError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// node.spawn(|mut ctx: Context<()>| async move { ctx.receive().await; })?;
    /// node.block_on(node.stop(Duration::from_secs(5)))?;
    /// let late = node.spawn(|_: Context<()>| async {});
    /// assert!(matches!(late, Err(SpawnError::Stopped)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop(&self, grace: Duration) -> Result<(), StopError> {
        let node = &self.inner;
        let inside = current::with(|process| Arc::ptr_eq(&process.header().node, node));
        if inside == Some(true) {
            return Err(StopError::CalledFromInside);
        }
        node.table.close();
        if self.in_time(grace, self.shut_down()).await.is_none() {
            let _ = self.in_time(KILL_WAIT, self.kill_all()).await;
        }
        let stragglers: Vec<_> = node.table.all().iter().map(straggler).collect();
        if stragglers.is_empty() {
            node.finish();
            return Ok(());
        }
        Err(StopError::Unresponsive(stragglers))
    }

    /// Has the node stop, as [`stop`](Self::stop) does, and waits for nothing:
    /// `init:stop/0`. A process of the node may ask for it. What does not return
    /// to the scheduler is reported.
    ///
    /// In a simulation no new process is let in, and those without a parent are
    /// told to shut down; the end of the run does the rest.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let other = node.spawn(|mut ctx: Context<()>| async move { ctx.receive().await; })?;
    /// node.spawn(|ctx: Context<()>| async move {
    ///     ctx.node().order_stop(Duration::from_secs(5));
    /// })?;
    /// node.block_on(other.join());
    /// assert!(node.is_stopped());
    /// # Ok(())
    /// # }
    /// ```
    pub fn order_stop(&self, grace: Duration) {
        let Some(runtime) = &self.inner.runtime else {
            self.inner.table.close();
            return self
                .roots()
                .into_iter()
                .for_each(|pid| self.order_exit(pid, ExitReason::Shutdown));
        };
        let node = Self::from_inner(Arc::clone(&self.inner));
        runtime.spawn(async move {
            if let Err(error) = node.stop(grace).await {
                tracing::error!(target: "resurgam::node", %error, "node did not stop");
            }
        });
    }

    /// Whether the node takes no new processes any more.
    pub fn is_stopped(&self) -> bool {
        self.inner.table.is_closed()
    }

    /// Tells the roots to shut down, then the roots that are left by that,
    /// until nothing is left.
    async fn shut_down(&self) {
        self.end_all(ExitReason::Shutdown, || self.roots()).await;
    }

    async fn kill_all(&self) {
        self.end_all(ExitReason::Kill, || self.processes()).await;
    }

    /// Sends each process that is chosen an exit signal, once, and waits for
    /// its end, until no process is left.
    async fn end_all(&self, reason: ExitReason, choose: impl Fn() -> Vec<Pid>) {
        let mut told = HashSet::new();
        while self.inner.table.len() > 0 {
            let chosen: Vec<_> = choose()
                .into_iter()
                .filter(|pid| told.insert(*pid))
                .collect();
            for pid in &chosen {
                self.order_exit(*pid, reason.clone());
            }
            join_all(chosen.iter().map(|pid| Join::of_pid(&self.inner, *pid))).await;
            if chosen.is_empty() {
                // One that was being spawned when the node was closed is in the
                // table a moment later.
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) fn order_exit(&self, pid: Pid, reason: ExitReason) {
        let exit = Exit {
            from: Pid::NODE,
            reason,
        };
        let cause = Cause::Asked;
        NodeInner::deliver(&self.inner, Pid::NODE, pid, Signal::Exit { exit, cause });
    }

    /// The processes whose parent is no living process.
    pub(crate) fn roots(&self) -> Vec<Pid> {
        let all = self.inner.table.all();
        let living: HashSet<_> = all.iter().map(|process| process.header().pid).collect();
        let is_root = |header: &&crate::process::cell::Header| {
            !header.parent().is_some_and(|p| living.contains(&p))
        };
        all.iter()
            .map(|process| process.header())
            .filter(is_root)
            .map(|h| h.pid)
            .collect()
    }

    /// Waits in real time; on a thread, since Tokio's timers may be gone.
    async fn in_time<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let slot = Arc::new(Slot::new());
        let (working, done) = crossbeam_channel::bounded::<()>(0);
        let rung = Arc::clone(&slot);
        let alarm = move || {
            // Ends early when `working` is dropped.
            if done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                rung.settle(());
            }
        };
        if thread::Builder::new()
            .name("resurgam stop".into())
            .spawn(alarm)
            .is_err()
        {
            // Without an alarm the limit is over at once.
            slot.settle(());
        }
        let up = poll_fn(|cx| slot.poll(cx));
        let (work, up) = (pin!(work), pin!(up));
        let result = select(work, up).await;
        drop(working);
        // The alarm may outlive this by a moment; the waker in the slot must
        // not.
        slot.close();
        match result {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }
}

fn straggler(process: &Process) -> Straggler {
    let header = process.header();
    Straggler {
        pid: header.pid,
        name: header.name(),
    }
}

impl NodeInner {
    /// Lets the hosts and the keeper of the timers go.
    pub(super) fn finish(&self) {
        self.scheduler.finish();
        self.timers.clear();
        self.timers.wake_keeper();
    }

    /// A host task is gone: the node has stopped, or Tokio dropped it. With
    /// the last host no process of theirs can run any more, so the node ends
    /// them, each once.
    pub(crate) fn host_left(self: &Arc<Self>) {
        if self.hosts.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.table.close();
        self.scheduler.finish();
        for process in self.table.all() {
            match process.header().seat {
                Seat::Host => Self::end_abandoned(&process),
                Seat::Thread(_) => Node::from_inner(Arc::clone(self)).kill(process.header().pid),
            }
        }
        self.timers.clear();
    }

    /// Ends a process that no host will ever run.
    pub(crate) fn end_abandoned(process: &Process) {
        process.seize(|| exit::end(process, Death::Ordered(ExitReason::Killed)));
    }
}
