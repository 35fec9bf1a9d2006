//! [`Join`]: waiting for the end of a process without a message; [`JoinFlush`]:
//! with the message of its link taken out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::exit_reason::ExitReason;
use crate::node::NodeInner;
use crate::pid::{MonitorRef, Pid};
use crate::process::body;
use crate::process::cell::Process;
use crate::process::current;
use crate::process::exit;
use crate::process::owner::LateWaiter;
use crate::process::reaction::ExitMode;
use crate::reply::stopped;
use crate::signal::{Cause, Notice, Signal, Watcher};
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

/// Waits for the end of a process and takes its exit message out of the
/// mailbox; the future of [`join_flush`](crate::join_flush).
///
/// # Cancel safety
///
/// Dropping it leaves the exit message in the mailbox.
#[must_use = "futures do nothing unless they are awaited"]
pub struct JoinFlush {
    pid: Pid,
    wait: Wait,
}

/// What says that a process has ended.
enum Wait {
    /// The exit message of the link to it.
    Link(Process),
    /// A join.
    Join(Join),
}

/// How it stands with the exit message of a link.
enum Look {
    Came(ExitReason),
    WillCome,
    /// The two are linked no more, or a combinator with wakers of its own
    /// waits, which the message would not wake.
    Uncertain,
}

impl JoinFlush {
    /// For the process that runs.
    pub(crate) fn of_pid(node: &Arc<NodeInner>, pid: Pid) -> Self {
        let is_told = current::on(node, |process| {
            let owner = process.owner();
            owner.exit_mode == ExitMode::Trapped && owner.bonds.links.is_linked(pid)
        });
        let linked = node.table.get(pid).filter(|_| is_told == Some(true));
        let wait = match linked {
            Some(process) => Wait::Link(process),
            None => Wait::Join(Join::of_pid(node, pid)),
        };
        Self { pid, wait }
    }

    fn look(&self, cx: &Context<'_>) -> Look {
        let look = |process: &Process| match take_end(process, self.pid) {
            Some(reason) => Look::Came(reason),
            None if current::has_waker(process.as_raw(), cx.waker())
                && process.owner().bonds.links.is_linked(self.pid) =>
            {
                Look::WillCome
            }
            None => Look::Uncertain,
        };
        current::with(look).unwrap_or(Look::Uncertain)
    }
}

/// Takes the message that tells of this end out of the mailbox, if it is there.
fn take_end(process: &Process, pid: Pid) -> Option<ExitReason> {
    let mut owner = process.owner();
    if !owner.rare.is_there() {
        return None;
    }
    let tells =
        |notice: &Notice| matches!(notice, Notice::Exit(exit, Cause::Linked) if exit.from == pid);
    // The latest first: it is the one that was waited for.
    let notices = &owner.rare.notices;
    let at = notices.iter().rposition(|notice| tells(&notice.value))?;
    match owner.take_notice(at)? {
        Notice::Exit(exit, _) => Some(exit.reason),
        Notice::Down(_) | Notice::System(_) | Notice::User(_) => None,
    }
}

impl Future for JoinFlush {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        if let Wait::Link(process) = &self.wait {
            if stopped() {
                return Poll::Pending;
            }
            match self.look(cx) {
                Look::Came(reason) => return Poll::Ready(reason),
                Look::WillCome => {
                    current::with(|process| process.owner().rare.awaits_end = true);
                    return Poll::Pending;
                }
                Look::Uncertain => self.wait = Wait::Join(Join::of(process)),
            }
        }
        let Wait::Join(join) = &mut self.wait else {
            return Poll::Pending;
        };
        let reason = ready!(Pin::new(join).poll(cx));
        let message = current::with(|process| {
            body::drain(process);
            take_end(process, self.pid)
        });
        Poll::Ready(match (reason, message.flatten()) {
            // It had ended before, and only its exit message knows why.
            (ExitReason::NoProcess, Some(reason)) => reason,
            (reason, _) => reason,
        })
    }
}

impl fmt::Debug for JoinFlush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinFlush").field(&self.pid).finish()
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
