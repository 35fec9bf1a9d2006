//! [`Join`]: waiting for the end of a process without a message.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::exit_reason::ExitReason;
use crate::node::NodeInner;
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::Process;
use crate::process::current;
use crate::process::exit;
use crate::process::owner::LateWaiter;
use crate::reply::stopped;
use crate::signal::{Signal, Watcher};
use crate::slot::Slot;

/// Waits for the end of a process; the future of [`join`](crate::join),
/// [`Node::join`](crate::Node::join) and
/// [`ProcessRef::join`](crate::ProcessRef::join).
///
/// It is a monitor that tells by completing instead of by a message, made when
/// the future is made, and served where monitors are: after the links of the
/// dying process (law SIG-17).
///
/// # Cancel safety
///
/// Dropping it takes the monitor back.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Join {
    slot: Arc<Slot<ExitReason>>,
    watch: Option<Watch>,
}

/// Where the monitor was made.
struct Watch {
    node: Arc<NodeInner>,
    target: Pid,
    reference: MonitorRef,
}

impl Join {
    /// Waits for this very process. If it has ended, its reason is known.
    pub(crate) fn of(process: &Process) -> Self {
        Self::monitor(process, |reference, slot| LateWaiter::Join {
            owner: reference.owner(),
            slot,
        })
    }

    /// Waits for this very process. If it has ended, the answer is
    /// [`ExitReason::NoProcess`].
    pub(crate) fn of_living(process: &Process) -> Self {
        Self::monitor(process, |reference, slot| LateWaiter::Monitor {
            reference,
            watcher: Watcher::Waiter(slot),
        })
    }

    /// Monitors a process; `late` says what to do if it has ended.
    fn monitor(
        process: &Process,
        late: fn(MonitorRef, Arc<Slot<ExitReason>>) -> LateWaiter,
    ) -> Self {
        let node = &process.header().node;
        let target = process.header().pid;
        let (join, reference) = Self::watch(node, target);
        let slot = Arc::clone(&join.slot);
        let monitor = Signal::Monitor {
            reference,
            watcher: Watcher::Waiter(Arc::clone(&slot)),
        };
        node.transmit(
            reference.owner(),
            target,
            process,
            monitor,
            move |process, monitor| {
                if NodeInner::push_signal(process, monitor).is_err() {
                    exit::tell_when_links_are(process, late(reference, slot));
                }
            },
        );
        join
    }

    /// Waits for the process with this pid.
    pub(crate) fn of_pid(node: &Arc<NodeInner>, pid: Pid) -> Self {
        match node.table.get(pid) {
            // Whoever was told of the end finds it gone.
            Some(process) if process.header().is_ending() => Self::of_living(&process),
            Some(process) => Self::of(&process),
            None => {
                let (join, reference) = Self::watch(node, pid);
                node.settle(pid, reference.owner(), &join.slot, ExitReason::NoProcess);
                join
            }
        }
    }

    /// Waits for nothing: the reason is known.
    pub(crate) fn settled(reason: ExitReason) -> Self {
        let slot = Arc::new(Slot::new());
        slot.settle(reason);
        Self { slot, watch: None }
    }

    /// A join that no signal was sent for yet.
    fn watch(node: &Arc<NodeInner>, target: Pid) -> (Self, MonitorRef) {
        let reference = current::on(node, |process| {
            let header = process.header();
            MonitorRef::new(header.pid, process.owner().number())
        })
        .unwrap_or_else(|| node.outside_reference());
        let watch = Watch {
            node: Arc::clone(node),
            target,
            reference,
        };
        let join = Self {
            slot: Arc::new(Slot::new()),
            watch: Some(watch),
        };
        (join, reference)
    }
}

impl Future for Join {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        if stopped() {
            return Poll::Pending;
        }
        let polled = self.slot.poll(cx);
        if polled.is_ready() {
            self.watch = None;
        }
        polled
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        drop(self.slot.close());
        let Some(watch) = self.watch.take() else {
            return;
        };
        let reference = watch.reference;
        let demonitor = Signal::Demonitor { reference };
        watch
            .node
            .deliver(reference.owner(), watch.target, demonitor);
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join")
            .field("target", &self.watch.as_ref().map(|w| w.target))
            .finish()
    }
}
