//! The cell of a process: one allocation that holds its header, its mailbox
//! and its body. The scheduler knows it as a [`Process`].
//!
//! This file holds the one `unsafe` block of the crate (docs/decisions).
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake as TaskWake, Waker};

use crate::caught::{PanicPayload, drop_caught};
use crate::exit_reason::ExitReason;
use crate::mailbox::{Attention, Mailbox, Stamped, Wake};
use crate::name::Name;
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::pid::Pid;
use crate::process::context::Context;
use crate::process::owner::Owner;
use crate::reply::Owed;
use crate::signal::Signal;
use crate::sync::Mutex;

/// What the runtime knows of a process whatever its messages and its body are.
pub(crate) struct Header {
    pub(crate) pid: Pid,
    pub(crate) node: Arc<NodeInner>,
    /// The process that spawned this one.
    pub(crate) parent: Option<Pid>,
    pub(crate) seat: Seat,
    pub(crate) registration: Mutex<Registration>,
    pub(crate) owner: Mutex<Owner>,
}

/// Where a process takes its turns.
pub(crate) enum Seat {
    /// On the run queues of the node's hosts.
    Host,
    /// On a thread of its own, which waits at this bell.
    Thread(crossbeam_channel::Sender<()>),
}

/// The name of a process, as the process table has it. The registry has the
/// other direction; both change under this lock.
pub(crate) enum Registration {
    Free,
    Named(Name),
    /// The process is ending; it gets no name any more.
    Closed,
}

/// A process, whatever its messages and its body are.
pub(crate) trait Process: Send + Sync {
    fn header(&self) -> &Header;
    /// The `Mailbox<M>`, to be downcast.
    fn mailbox(&self) -> &dyn Any;
    /// The name of `M`.
    fn message_type(&self) -> &'static str;
    fn push_signal(&self, signal: Signal) -> Result<Wake, Signal>;
    fn notify(&self) -> Wake;
    fn is_signalled(&self) -> bool;
    fn begin_turn(&self);
    fn seize(&self) -> bool;
    fn end_turn(&self, attention: Attention) -> Wake;
    /// Moves what has come into the inbox and returns the signals.
    fn take_signals(&self, owed: &mut Vec<Arc<dyn Owed>>) -> Vec<Stamped<Signal>>;
    /// Whether a message lies in the inbox.
    fn has_mail(&self) -> bool;
    /// How many messages have come and were not received.
    fn queue_len(&self) -> usize;
    /// Runs the body until it waits.
    fn poll_body(self: Arc<Self>) -> BodyPoll;
    /// Drops what is left of the body; the payload if that panics.
    fn drop_body(&self) -> Result<(), PanicPayload>;
    /// Refuses everything from now on, drops the user's messages one by one,
    /// and returns what else was left.
    fn close(&self) -> (Vec<Stamped<Signal>>, Vec<Arc<dyn Owed>>);
}

/// How a turn of a body ended.
pub(crate) enum BodyPoll {
    Waiting,
    Returned(ExitReason),
    Panicked(PanicPayload),
}

/// What a body may return, and which exit reason it means.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{ExitReason, ProcessOutput};
///
/// assert_eq!(().into_exit_reason(), ExitReason::Normal);
/// assert_eq!(Err(ExitReason::Shutdown).into_exit_reason(), ExitReason::Shutdown);
/// ```
pub trait ProcessOutput {
    /// The reason with which the process ends.
    fn into_exit_reason(self) -> ExitReason;
}

impl ProcessOutput for () {
    fn into_exit_reason(self) -> ExitReason {
        ExitReason::Normal
    }
}

/// A body that loops for ever returns `!`, which has no name yet on stable
/// Rust but as what a function returns.
#[allow(private_interfaces, reason = "the trait only spells `!`")]
impl ProcessOutput for <fn() -> ! as Returns>::Output {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

impl ProcessOutput for ExitReason {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

impl ProcessOutput for Result<(), ExitReason> {
    fn into_exit_reason(self) -> ExitReason {
        self.err().unwrap_or(ExitReason::Normal)
    }
}

/// The one allocation of a process.
pub(crate) struct Cell<M, B, F> {
    header: Header,
    mailbox: Mailbox<M>,
    // Invariant: taken only in a turn, at its end, or before the first one, by
    // the thread that has the process then; so it is never waited for, and
    // what runs under it is the body itself.
    body: Mutex<Body<B, F>>,
}

/// The life of a body.
enum Body<B, F> {
    /// Not called yet.
    New(B),
    /// Called; the future it made.
    Running(F),
    /// Over, and dropped.
    Over,
}

impl<M, B, F> Cell<M, B, F>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    /// Allocates a process.
    pub(crate) fn make(header: Header, body: B) -> Arc<dyn Process> {
        let body = Mutex::new(Body::New(body));
        Arc::new(Self {
            header,
            mailbox: Mailbox::new(),
            body,
        })
    }

    /// Calls the body if that has not happened, and polls its future.
    fn advance(self: &Arc<Self>) -> Poll<ExitReason> {
        let waker = Waker::from(Arc::clone(self));
        let mut body = self.body.lock();
        if let Body::New(_) = &*body {
            let Body::New(call) = std::mem::replace(&mut *body, Body::Over) else {
                unreachable!()
            };
            let process: Arc<dyn Process> = Arc::clone(self) as Arc<dyn Process>;
            *body = Body::Running(call(Context::new(process)));
        }
        let Body::Running(future) = &mut *body else {
            return Poll::Pending;
        };
        // SAFETY: the future lies in the allocation of the cell, which is
        // behind an `Arc` and never moved; `body` is private to this file, and
        // the two places here that write to it once a future is in it
        // (`drop_body`) drop that future in place. So from its first poll to
        // its drop it does not move.
        let future = unsafe { Pin::new_unchecked(future) };
        future
            .poll(&mut TaskContext::from_waker(&waker))
            .map(ProcessOutput::into_exit_reason)
    }
}

impl<M, B, F> Process for Cell<M, B, F>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn mailbox(&self) -> &dyn Any {
        &self.mailbox
    }

    fn message_type(&self) -> &'static str {
        std::any::type_name::<M>()
    }

    fn push_signal(&self, signal: Signal) -> Result<Wake, Signal> {
        self.mailbox.push_signal(signal)
    }

    fn notify(&self) -> Wake {
        self.mailbox.notify()
    }

    fn is_signalled(&self) -> bool {
        self.mailbox.is_signalled()
    }

    fn begin_turn(&self) {
        self.mailbox.begin_turn();
    }

    fn seize(&self) -> bool {
        self.mailbox.seize()
    }

    fn end_turn(&self, attention: Attention) -> Wake {
        self.mailbox.inbox.lock().shrink();
        self.mailbox.end_turn(attention)
    }

    fn take_signals(&self, owed: &mut Vec<Arc<dyn Owed>>) -> Vec<Stamped<Signal>> {
        self.mailbox.take(&mut self.mailbox.inbox.lock(), owed)
    }

    fn has_mail(&self) -> bool {
        self.mailbox.inbox.lock().len() > 0
    }

    fn queue_len(&self) -> usize {
        self.mailbox.inbox.lock().len() + self.mailbox.len()
    }

    fn poll_body(self: Arc<Self>) -> BodyPoll {
        match panic::catch_unwind(AssertUnwindSafe(|| self.advance())) {
            Ok(Poll::Pending) => BodyPoll::Waiting,
            Ok(Poll::Ready(reason)) => BodyPoll::Returned(reason),
            Err(payload) => BodyPoll::Panicked(payload),
        }
    }

    fn drop_body(&self) -> Result<(), PanicPayload> {
        let mut body = self.body.lock();
        // The assignment drops the old value where it lies.
        panic::catch_unwind(AssertUnwindSafe(|| *body = Body::Over))
    }

    fn close(&self) -> (Vec<Stamped<Signal>>, Vec<Arc<dyn Owed>>) {
        let remains = self.mailbox.close();
        let read = self.mailbox.inbox.lock().empty();
        observe!(self.header.node, |world| {
            world.dropped(self.header.pid, read.len() + remains.messages.len());
        });
        for message in read.into_iter().chain(remains.messages) {
            drop_caught(message);
        }
        (remains.signals, remains.owed)
    }
}

impl<M, B, F> TaskWake for Cell<M, B, F>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        if self.mailbox.notify() == Wake::Schedule {
            let node = Arc::clone(&self.header.node);
            node.schedule(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.mailbox.notify() == Wake::Schedule {
            self.header
                .node
                .schedule(Arc::clone(self) as Arc<dyn Process>);
        }
    }
}
