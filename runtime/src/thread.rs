//! Processes on an OS thread of their own, for code that blocks.
//!
//! Such a process is a cell like any other, with the same mailbox, signals and
//! exit laws. Only its seat differs: its turns are taken by its thread, which
//! waits at a bell (a crossbeam channel of one place) instead of going back to
//! a run queue.

use std::panic;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::node::Node;
use crate::pid::Pid;
use crate::process::body::{self, Checkpoint};
use crate::process::cell::Process;
use crate::process::context::{Context, aliases_of};
use crate::process::current;
use crate::process::select::MessageRef;
use crate::process_ref::ProcessRef;
use crate::signal::Message;

/// Wakes the thread of a process.
pub(crate) struct Bell(Sender<()>);

impl Bell {
    /// A bell and the place to wait for it.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (bell, rung) = crossbeam_channel::bounded(1);
        (Self(bell), rung)
    }

    // Not where messages are sent: to a thread is the rare case.
    #[inline(never)]
    pub(crate) fn ring(&self) {
        // Full means that it has been rung.
        let _ = self.0.try_send(());
    }
}

/// Gives a process a thread.
pub(crate) fn run(process: Process, rung: Receiver<()>) -> std::io::Result<()> {
    let node = Arc::clone(&process.header().node);
    let name = format!("resurgam {}", process.header().pid);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let _context = node.runtime.as_ref().map(tokio::runtime::Handle::enter);
        // The body runs to its end within this turn; in between it takes the
        // pauses of `ThreadContext`.
        body::turn(&process);
        drop(rung);
    })?;
    drop(thread);
    Ok(())
}

/// What the body of a process on its own thread is given: a [`Context`] whose
/// operations block.
///
/// Whatever is sent to the process is noticed when it enters an operation
/// here. An exit signal that ends it unwinds its stack from there, so that
/// destructors run; a body that never comes back here cannot be ended.
///
/// While the stack unwinds, [`try_receive`](Self::try_receive) and
/// [`receive_timeout`](Self::receive_timeout) give `None` and
/// [`sleep`](Self::sleep) returns at once. [`receive`](Self::receive) and
/// [`block_on`](Self::block_on) have nothing to give: in a destructor that runs
/// then, they end the whole program, as any panic there does.
///
/// # Differences from Erlang
///
/// The nearest thing there is a port or a dirty NIF, neither of which can be
/// linked like a process.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Message, Node, ThreadContext};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn_thread(|mut ctx: ThreadContext<u32>| {
///     assert_eq!(ctx.receive(), Message::User(7));
/// })?;
/// process.cast(7);
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ThreadContext<M> {
    context: Context<M>,
    waiting: Waiting,
}

aliases_of!([M: Send + 'static] ThreadContext<M>, M);

/// Where the thread waits.
#[derive(Debug)]
struct Waiting {
    rung: Receiver<()>,
}

impl<M: Send + 'static> ThreadContext<M> {
    pub(crate) fn new(context: Context<M>, rung: Receiver<()>) -> Self {
        Self {
            context,
            waiting: Waiting { rung },
        }
    }

    /// This process's pid.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// The node this process runs on.
    pub fn node(&self) -> Node {
        self.context.node()
    }

    /// A reference to this process, to be given to others.
    pub fn self_ref(&self) -> ProcessRef<M> {
        self.context.self_ref()
    }

    /// Receives the next message, and blocks until there is one. As
    /// [`Context::receive`].
    ///
    /// # Panics
    ///
    /// If it is called on another thread; and, in a way that no hook sees, to
    /// end the process when an exit signal says so.
    pub fn receive(&mut self) -> Message<M> {
        self.waiting.block_on(self.context.receive())
    }

    /// As [`receive`](Self::receive), but for no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_timeout(&mut self, timeout: Duration) -> Option<Message<M>> {
        if thread::panicking() {
            return None;
        }
        self.waiting.block_on(self.context.receive_timeout(timeout))
    }

    /// Receives the first message that is wanted, and blocks until there is
    /// one. As [`Context::receive_match`].
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_match<F>(&mut self, wanted: F) -> Message<M>
    where
        F: FnMut(MessageRef<'_, M>) -> bool,
    {
        self.waiting.block_on(self.context.receive_match(wanted))
    }

    /// Receives a message if one lies in the mailbox.
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn try_receive(&mut self) -> Option<Message<M>> {
        if thread::panicking() {
            return None;
        }
        self.waiting.block_on(async { self.context.try_receive() })
    }

    /// Blocks for a time of the node's clock.
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn sleep(&mut self, duration: Duration) {
        if thread::panicking() {
            return;
        }
        let sleep = self.node().sleep(duration);
        self.waiting.block_on(sleep);
    }

    /// Blocks until a future is done, as a call to a server is.
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.waiting.block_on(future)
    }
}

impl Waiting {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let process = current::expect("ThreadContext");
        let waker = Waker::from(Arc::new(Alert(process.clone())));
        let mut cx = TaskContext::from_waker(&waker);
        let mut future = pin!(future);
        if body::checkpoint(&process) == Checkpoint::Stop {
            unwind();
        }
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            // An operation inside may have decided the process's fate.
            if body::checkpoint(&process) == Checkpoint::Stop {
                unwind();
            }
            let wait = || {
                // The bell hangs in the cell, which this thread holds.
                let _ = self.rung.recv();
            };
            if body::pause(&process, wait) == Checkpoint::Stop {
                unwind();
            }
        }
    }
}

/// Leaves the body, for a process that must end. The payload says nothing:
/// the reason is in the process already.
fn unwind() -> ! {
    panic::resume_unwind(Box::new(Ended))
}

/// The payload of that.
struct Ended;

/// Wakes a process that waits inside `block_on`.
struct Alert(Process);

impl Wake for Alert {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
