//! [`Context`]: what the body of a process is given to receive its messages.

mod aliases;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use crate::admission::let_in;
use crate::mailbox::{Attention, Entry};
use crate::node::Node;
use crate::node::seam::observe;
use crate::pid::Pid;
use crate::process::body::{self, Checkpoint};
use crate::process::cell::{Next, OwnerGuard, Typed};
use crate::process::current;
use crate::process_ref::ProcessRef;
use crate::signal::{Message, Notice, System};
use crate::timer::Sleep;
pub(crate) use aliases::aliases_of;

/// The owner's end of a process's mailbox, given to its body.
///
/// It works inside its process only: a `Context` that was moved to another
/// task panics when it is used there.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, ExitReason, Message, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|mut ctx: Context<u32>| async move {
///     let Message::User(n) = ctx.receive().await else { panic!("no message") };
///     ExitReason::custom(n)
/// })?;
/// process.cast(7);
/// assert_eq!(node.block_on(process.join()), ExitReason::custom(7_u32));
/// # Ok(())
/// # }
/// ```
pub struct Context<M> {
    process: Typed<M>,
}

/// One entry of a mailbox, as behaviours see it.
#[derive(Debug)]
pub(crate) enum Event<M> {
    Message(Message<M>),
    System(System),
}

impl<M: 'static> From<Entry<M>> for Event<M> {
    fn from(entry: Entry<M>) -> Self {
        match entry {
            Entry::Message(message) => Self::Message(Message::User(message)),
            Entry::Notice(Notice::Exit(exit, _)) => Self::Message(Message::Exit(exit)),
            Entry::Notice(Notice::Down(down)) => Self::Message(Message::Down(down)),
            Entry::Notice(Notice::System(order)) => Self::System(order),
            Entry::Notice(Notice::User(maker)) => Self::Message(Message::User(maker.make())),
        }
    }
}

impl<M: Send + 'static> Context<M> {
    pub(crate) fn new(process: Typed<M>) -> Self {
        Self { process }
    }

    /// This process's pid.
    pub fn pid(&self) -> Pid {
        self.process.header().pid
    }

    /// The node this process runs on.
    pub fn node(&self) -> Node {
        Node::from_inner(Arc::clone(&self.process.header().node))
    }

    /// A reference to this process, to be given to others.
    pub fn self_ref(&self) -> ProcessRef<M> {
        ProcessRef::new(self.process.clone())
    }

    /// Receives the next message: the oldest one in the mailbox, or the first
    /// that comes (law MSG-02).
    ///
    /// A process that receives without end gives way to others now and then,
    /// even if its mailbox is never empty.
    ///
    /// # Panics
    ///
    /// If it is polled outside this process.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: a message leaves the mailbox
    /// only in the poll that returns it.
    pub fn receive(&mut self) -> Receive<'_, M> {
        Receive {
            context: self,
            state: ReceiveState::Fresh,
        }
    }

    /// As [`receive`](Self::receive), but for no longer than `timeout` on the
    /// node's clock; `None` then. The time counts from the first poll (law
    /// MSG-05). A zero timeout polls (law MSG-04).
    ///
    /// # Cancel safety
    ///
    /// As [`receive`](Self::receive).
    pub async fn receive_timeout(&mut self, timeout: Duration) -> Option<Message<M>> {
        if timeout.is_zero() {
            self.give_way().await;
            return self.last_look().await;
        }
        let mut sleep = self.node().sleep(timeout);
        self.receive_until(&mut sleep).await
    }

    /// Receives a message if one lies in the mailbox.
    ///
    /// # Panics
    ///
    /// If it is called outside this process.
    pub fn try_receive(&mut self) -> Option<Message<M>> {
        loop {
            match self.try_event()? {
                Event::Message(message) => return Some(message),
                Event::System(order) => self.obey(order),
            }
        }
    }

    /// An entry, if one lies in the mailbox, whatever the turn's budget.
    pub(crate) fn try_event(&mut self) -> Option<Event<M>> {
        self.expect_own_process();
        loop {
            body::drain(&self.process);
            let mut owner = self.process.owner();
            if owner.fate.is_some() {
                return None;
            }
            let entry = self.process.next_entry(&mut owner);
            drop(owner);
            // A mailbox with a bound gives nothing while signals wait.
            if entry.is_some() || !self.process.core().is_signalled() {
                self.observe(entry.as_ref());
                return entry.map(Event::from);
            }
        }
    }

    /// The next message, if it is there and nothing else is to be heeded.
    #[inline]
    pub(crate) fn next_message(&mut self) -> Option<M> {
        match self.next() {
            Next::Message(message) => Some(message),
            Next::Nothing | Next::Unclear => None,
        }
    }

    #[inline]
    fn next(&mut self) -> Next<M> {
        let next = self.process.next_message();
        #[cfg(feature = "sim")]
        if let Next::Message(_) = next
            && let Some(world) = &self.process.header().node.world
        {
            world.received(self.process.header().pid);
        }
        next
    }

    /// Lets others run, if this turn's budget is spent.
    pub(crate) async fn give_way(&self) {
        let mut gave_way = false;
        std::future::poll_fn(|cx| {
            if gave_way || self.process.owner().spend() {
                return Poll::Ready(());
            }
            gave_way = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Receives until the sleep is over.
    pub(crate) async fn receive_until(&mut self, sleep: &mut Sleep) -> Option<Message<M>> {
        let received = {
            let mut receive = self.receive();
            std::future::poll_fn(|cx| {
                if let Poll::Ready(message) = Pin::new(&mut receive).poll(cx) {
                    return Poll::Ready(Some(message));
                }
                Pin::new(&mut *sleep).poll(cx).map(|()| None)
            })
            .await
        };
        // What was there when the time was up goes before the time-out, also
        // if the receive was only giving way to others.
        match received {
            Some(message) => Some(message),
            None => self.last_look().await,
        }
    }

    /// What lies in the mailbox when a receive waits no longer. A process that
    /// must end is stopped here: it is not told that there is nothing.
    async fn last_look(&mut self) -> Option<Message<M>> {
        let message = self.try_receive();
        if message.is_none() && body::checkpoint(&self.process) == Checkpoint::Stop {
            std::future::pending::<()>().await;
        }
        message
    }

    /// The next entry, for behaviours, who obey system orders themselves. For
    /// one operation of the turn's budget.
    pub(crate) fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Event<M>> {
        self.expect_own_process();
        if self.process.core().is_signalled() {
            body::drain(&self.process);
        }
        let mut owner = self.process.owner();
        loop {
            if owner.fate.is_some() {
                return Poll::Pending;
            }
            if !owner.spend() {
                drop(owner);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(entry) = self.process.next_entry(&mut owner) {
                owner.attention = Attention::Signals;
                drop(owner);
                self.observe(Some(&entry));
                return Poll::Ready(entry.into());
            }
            if !self.process.core().has_come() {
                break;
            }
            drop(owner);
            body::drain(&self.process);
            owner = self.process.owner();
        }
        self.wait_for_message(owner, cx.waker());
        Poll::Pending
    }

    /// From now on a message wakes the process, which has seen all there is.
    #[inline]
    pub(super) fn wait_for_message(&self, mut owner: OwnerGuard<'_>, waker: &Waker) {
        owner.attention = Attention::Messages;
        owner.unseen = false;
        if self.is_foreign(waker) || owner.rare.receiver.is_some() {
            drop(owner);
            self.wait_by(waker);
        }
    }

    /// The process, which must be the one that runs.
    pub(super) fn own_process(&self) -> &Typed<M> {
        self.expect_own_process();
        &self.process
    }

    /// The next order to a behaviour that is suspended, or the exit of its
    /// parent; everything else stays where it is.
    pub(crate) fn poll_order(&mut self, parent: Pid, cx: &mut TaskContext<'_>) -> Poll<Event<M>> {
        self.expect_own_process();
        body::drain(&self.process);
        let mut owner = self.process.owner();
        owner.attention = Attention::Signals;
        if owner.fate.is_some() {
            return Poll::Pending;
        }
        if !owner.spend() {
            drop(owner);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let notices = &owner.rare.notices;
        let at = notices.iter().position(|notice| match &notice.value {
            Notice::System(System::Stop(_) | System::Request(_)) => true,
            Notice::System(System::Timeout(_)) | Notice::Down(_) | Notice::User(_) => false,
            Notice::Exit(exit, _) => exit.from == parent,
        });
        if let Some(order) = at.and_then(|at| owner.take_notice(at)) {
            return Poll::Ready(Entry::Notice(order).into());
        }
        if self.is_foreign(cx.waker()) || owner.rare.receiver.is_some() {
            drop(owner);
            self.wait_by(cx.waker());
        }
        Poll::Pending
    }

    pub(crate) fn now(&self) -> Instant {
        self.process.header().node.timers.now()
    }

    #[inline]
    fn expect_own_process(&self) {
        assert!(
            current::is(&self.process),
            "a `Context` works only inside the process it was given to, which is {}",
            self.process.header().pid,
        );
    }

    #[inline]
    pub(super) fn observe(&self, entry: Option<&Entry<M>>) {
        if self.process.core().is_bounded() {
            let_in(&self.process);
        }
        let _ = entry;
        observe!(
            self.process.header().node,
            |world| if let Some(Entry::Message(_)) = entry {
                world.received(self.process.header().pid);
            }
        );
    }

    /// Notes the waker of a combinator that the receive waits in, or that it
    /// waits in none any more.
    #[cold]
    fn wait_by(&self, waker: &Waker) {
        let receiver = self.is_foreign(waker).then(|| waker.clone());
        let before = std::mem::replace(&mut self.process.owner().rare.receiver, receiver);
        drop(before);
    }

    /// Whether a waker is another one than the process's own, as combinators
    /// make them.
    #[inline]
    fn is_foreign(&self, waker: &Waker) -> bool {
        !current::has_waker(self.process.as_raw(), waker)
    }

    pub(crate) fn wait_no_more(&self) {
        if !current::is(&self.process) {
            return;
        }
        let mut owner = self.process.owner();
        owner.attention = Attention::Signals;
        #[cfg(feature = "sim")]
        {
            owner.selects = false;
        }
        if owner.rare.receiver.is_some() {
            let receiver = owner.rare.receiver.take();
            drop(owner);
            drop(receiver);
        }
    }

    /// A plain process ends when it receives the order to stop.
    pub(super) fn obey(&self, order: System) {
        match order {
            System::Stop(reason) => self.process.owner().fate = Some(reason),
            System::Timeout(_) => unreachable!("only state machines arm such timers"),
            System::Request(request) => request.refuse(),
        }
    }
}

impl<M> fmt::Debug for Context<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("pid", &self.process.header().pid)
            .finish()
    }
}

/// The future of [`Context::receive`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Receive<'a, M: Send + 'static> {
    context: &'a mut Context<M>,
    state: ReceiveState,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum ReceiveState {
    Fresh,
    Waiting,
}

impl<M: Send + 'static> Future for Receive<'_, M> {
    type Output = Message<M>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Message<M>> {
        #[cfg(feature = "sim")]
        crate::sim::await_point();
        self.context.expect_own_process();
        match self.context.next() {
            Next::Message(message) => {
                self.state = ReceiveState::Fresh;
                Poll::Ready(Message::User(message))
            }
            Next::Nothing if !self.context.is_foreign(cx.waker()) => {
                self.state = ReceiveState::Waiting;
                Poll::Pending
            }
            Next::Nothing | Next::Unclear => self.poll_closely(cx),
        }
    }
}

impl<M: Send + 'static> Receive<'_, M> {
    /// As `poll`, whatever has come.
    #[inline(never)]
    fn poll_closely(&mut self, cx: &mut TaskContext<'_>) -> Poll<Message<M>> {
        match self.context.poll_event(cx) {
            Poll::Ready(Event::Message(message)) => {
                if !self.context.is_foreign(cx.waker()) {
                    // Nothing is left of the wait.
                    self.state = ReceiveState::Fresh;
                }
                Poll::Ready(message)
            }
            Poll::Ready(Event::System(order)) => {
                self.context.obey(order);
                // If it lives on: what else there is, in another poll.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                self.state = ReceiveState::Waiting;
                Poll::Pending
            }
        }
    }
}

impl<M: Send + 'static> Drop for Receive<'_, M> {
    fn drop(&mut self) {
        if self.state == ReceiveState::Waiting {
            self.context.wait_no_more();
        }
    }
}
