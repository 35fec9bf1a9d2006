//! Selective receive: the first message of the mailbox that is wanted, with
//! the others left where they are.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use crate::mailbox::{self, Entry, Stamped};
use crate::process::body;
use crate::process::cell::Typed;
use crate::process::context::{Context, Event};
use crate::signal::{Cause, Down, Exit, Maker, Message, Notice};

/// A message that lies in the mailbox, as a selective receive looks at it.
#[derive(Debug, PartialEq)]
pub enum MessageRef<'a, M> {
    /// A message of the process's own type.
    User(&'a M),
    /// An exit signal that was trapped.
    Exit(&'a Exit),
    /// The end of a monitored process.
    Down(&'a Down),
}

impl<M> Copy for MessageRef<'_, M> {}

impl<M> Clone for MessageRef<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

/// A place in a mailbox: behind all that had come when it was taken, by
/// [`Context::mark`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Mark(u64);

impl<M: Send + 'static> Context<M> {
    /// Receives the first message that is wanted, and leaves those before it
    /// in the mailbox, in their order (laws MSG-02, MSG-03).
    ///
    /// While it waits it remembers how far it has looked: each message is
    /// looked at once. The next receive begins at the front again. See
    /// [`since`](ReceiveMatch::since) for a reply that cannot lie in front of
    /// what is there already.
    ///
    /// # Panics
    ///
    /// If it is polled outside this process.
    ///
    /// # Cancel safety
    ///
    /// As [`receive`](Self::receive): a message leaves the mailbox only in the
    /// poll that returns it.
    ///
    /// # Differences from Erlang
    ///
    /// A plain process that is told to stop (`sys:terminate`, `stop`) ends when
    /// the order comes into sight, also if nothing of what it wants has come.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Message, MessageRef, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|mut ctx: Context<u32>| async move {
    ///     let even = ctx.receive_match(|m| matches!(m, MessageRef::User(n) if *n % 2 == 0));
    ///     assert_eq!(even.await, Message::User(2));
    ///     assert_eq!(ctx.receive().await, Message::User(1));
    ///     assert_eq!(ctx.receive().await, Message::User(3));
    /// })?;
    /// for n in [1, 3, 2] {
    ///     process.cast(n);
    /// }
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn receive_match<F>(&mut self, wanted: F) -> ReceiveMatch<'_, M, F>
    where
        F: FnMut(MessageRef<'_, M>) -> bool,
    {
        ReceiveMatch {
            context: self,
            wanted,
            place: Place::default(),
            is_waiting: false,
        }
    }

    /// The place behind all that has come until now, for
    /// [`ReceiveMatch::since`].
    ///
    /// # Panics
    ///
    /// If it is called outside this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Message, MessageRef, Node, ProcessRef};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let echo = node.spawn(|mut ctx: Context<(ProcessRef<u64>, u64)>| async move {
    ///     while let Message::User((from, n)) = ctx.receive().await {
    ///         from.cast(n);
    ///     }
    /// })?;
    /// let asker = node.spawn(move |mut ctx: Context<u64>| async move {
    ///     let mark = ctx.mark();
    ///     echo.cast((ctx.self_ref(), 42));
    ///     let answer = ctx.receive_match(|m| m == MessageRef::User(&42)).since(mark);
    ///     assert_eq!(answer.await, Message::User(42));
    /// })?;
    /// assert!(node.block_on(asker.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark(&self) -> Mark {
        let process = self.own_process();
        Mark(process.core().lock().shared().pushed)
    }
}

/// The future of [`Context::receive_match`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ReceiveMatch<'a, M: Send + 'static, F> {
    context: &'a mut Context<M>,
    wanted: F,
    place: Place,
    is_waiting: bool,
}

/// How far a selective receive has looked.
#[derive(Copy, Clone, Default)]
struct Place {
    /// Counted as the mailbox counts messages.
    message: u64,
    /// How many of the notices were looked at.
    notice: usize,
    /// How many notices had been taken out of the mailbox's midst by then.
    flushed: u32,
    /// Messages before this one are not looked at.
    since: u64,
}

/// What a look through the mailbox brought.
enum Found<M> {
    Wanted(Event<M>),
    /// All that has come was looked at.
    Nothing,
    /// The process must end.
    Stop,
    /// It has looked at enough for one turn.
    Enough,
}

impl<'a, M, F> ReceiveMatch<'a, M, F>
where
    M: Send + 'static,
    F: FnMut(MessageRef<'_, M>) -> bool,
{
    /// Passes over what came before the mark, unseen: what is wanted lies
    /// behind it, as the answer to a request that was made after it does. So
    /// it takes no longer with a long mailbox (law MSG-06).
    ///
    /// It is for speed: after other selective receives, a message that had
    /// come before the mark may be looked at all the same.
    pub fn since(mut self, mark: Mark) -> Self {
        if !planted!(MarkForgotten) {
            self.place.since = mark.0;
        }
        self
    }

    /// As the receive, but for no longer than `timeout` on the node's clock;
    /// `None` then. The time counts from the first poll, and what is not
    /// wanted does not restart it (law MSG-05). A zero timeout looks at all
    /// that is there (law MSG-04).
    pub async fn timeout(mut self, timeout: Duration) -> Option<Message<M>> {
        let mut sleep = self.context.node().sleep(timeout);
        std::future::poll_fn(|cx| {
            let mut time_is_up = false;
            loop {
                if let Poll::Ready(message) = self.poll_matching(cx) {
                    return Poll::Ready(Some(message));
                }
                // Looking at much, it gives way to others before it is through.
                if !self.is_waiting {
                    return Poll::Pending;
                }
                // What was there when the time was up goes before the time-out.
                if std::mem::replace(&mut time_is_up, true) {
                    return Poll::Ready(None);
                }
                ready!(Pin::new(&mut sleep).poll(cx));
            }
        })
        .await
    }

    fn poll_matching(&mut self, cx: &mut TaskContext<'_>) -> Poll<Message<M>> {
        #[cfg(feature = "sim")]
        crate::sim::await_point();
        if std::mem::take(&mut self.is_waiting) {
            self.context.wait_no_more();
        }
        loop {
            body::drain(self.context.own_process());
            match self.look() {
                Found::Wanted(Event::Message(message)) => return Poll::Ready(message),
                Found::Wanted(Event::System(order)) => self.context.obey(order),
                Found::Stop => return Poll::Pending,
                Found::Enough => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Found::Nothing if self.has_news() => {}
                Found::Nothing => break,
            }
        }
        self.is_waiting = true;
        let process = self.context.own_process();
        #[cfg(feature = "sim")]
        {
            process.owner().selects = true;
        }
        self.context.wait_for_message(process.owner(), cx.waker());
        Poll::Pending
    }

    /// Whether something came while it looked, perhaps into the inbox: what is
    /// called there may come back to the process.
    fn has_news(&self) -> bool {
        let process = self.context.own_process();
        process.core().has_come() || process.owner().unseen
    }

    /// Looks at what has come and was not looked at.
    fn look(&mut self) -> Found<M> {
        let process = self.context.own_process();
        process.owner().unseen = false;
        let mut lent = Lent::of(process);
        self.place.catch_up(&lent);
        loop {
            {
                let mut owner = process.owner();
                if owner.fate.is_some() {
                    return Found::Stop;
                }
                if !owner.spend() {
                    return Found::Enough;
                }
            }
            let Some(next) = self.place.next(&lent) else {
                return Found::Nothing;
            };
            if lent.is_wanted(next, &mut self.wanted) {
                let event = lent.remove(next);
                drop(lent);
                self.context.observe(Some(&event));
                return Found::Wanted(event.into());
            }
            self.place.pass(next);
        }
    }
}

/// Where an entry lies.
#[derive(Copy, Clone)]
enum Next {
    Message(usize),
    Notice(usize),
}

impl Place {
    /// Sets out, or goes on after something else has changed the mailbox.
    fn catch_up<M: Send + 'static>(&mut self, lent: &Lent<'_, M>) {
        self.message = self.message.max(lent.received).max(self.since);
        if planted!(PlaceForgotten) {
            self.message = lent.received.max(self.since);
        }
        if self.flushed != lent.flushed {
            self.flushed = lent.flushed;
            self.notice = 0;
        }
    }

    /// What is to be looked at next.
    fn next<M: Send + 'static>(&mut self, lent: &Lent<'_, M>) -> Option<Next> {
        let skip = |notice: &&Stamped<Notice>| {
            notice.position < self.since && !matches!(notice.value, Notice::System(_))
        };
        let before = lent.notices.iter().skip(self.notice).take_while(skip);
        self.notice += before.count();
        let at = (self.message - lent.received) as usize;
        match lent.notices.get(self.notice) {
            Some(notice) if notice.position <= self.message || at >= lent.inbox.len() => {
                Some(Next::Notice(self.notice))
            }
            _ => (at < lent.inbox.len()).then_some(Next::Message(at)),
        }
    }

    fn pass(&mut self, next: Next) {
        match next {
            Next::Message(_) => self.message += 1,
            Next::Notice(_) => self.notice += 1,
        }
    }
}

/// What was taken in from the mailbox, lent to whoever looks at it with a
/// function of the user's: that may come back to the process, which finds an
/// empty inbox. What it takes in meanwhile goes behind what was lent.
struct Lent<'a, M> {
    process: &'a Typed<M>,
    inbox: VecDeque<M>,
    notices: VecDeque<Stamped<Notice>>,
    /// How many of the first notices have priority.
    urgent: usize,
    received: u64,
    flushed: u32,
}

impl<'a, M: Send + 'static> Lent<'a, M> {
    fn of(process: &'a Typed<M>) -> Self {
        let mut owner = process.owner();
        if process.core().is_bounded() {
            process.take_all(&mut owner);
        }
        let inbox = process.lend_inbox();
        let mut notices = VecDeque::new();
        let (mut urgent, mut flushed) = (0, 0);
        if owner.rare.is_there() {
            notices = std::mem::take(&mut owner.rare.notices);
            urgent = std::mem::take(&mut owner.rare.urgent) as usize;
            flushed = owner.rare.flushed;
        }
        Self {
            process,
            inbox,
            notices,
            urgent,
            received: owner.received,
            flushed,
        }
    }

    fn is_wanted(
        &mut self,
        next: Next,
        wanted: &mut impl FnMut(MessageRef<'_, M>) -> bool,
    ) -> bool {
        match next {
            Next::Message(at) => wanted(MessageRef::User(&self.inbox[at])),
            Next::Notice(at) => match &self.notices[at].value {
                Notice::Exit(exit, _) => wanted(MessageRef::Exit(exit)),
                Notice::Down(down) => wanted(MessageRef::Down(down)),
                Notice::System(_) => true,
                Notice::User(_) => self.with_made(at, |message| wanted(MessageRef::User(message))),
            },
        }
    }

    /// Makes a message that was not made yet, and looks at it.
    fn with_made(&mut self, at: usize, look: impl FnOnce(&M) -> bool) -> bool {
        // Out of the mailbox meanwhile: if this panics, it is gone.
        let Some(notice) = self.notices.remove(at) else {
            return false;
        };
        let Notice::User(maker) = notice.value else {
            unreachable!("just seen")
        };
        let message = maker.make::<M>();
        let is_wanted = look(&message);
        let notice = Stamped {
            position: notice.position,
            value: Notice::User(Maker::of(|| message)),
        };
        self.notices.insert(at, notice);
        is_wanted
    }

    fn remove(&mut self, next: Next) -> Entry<M> {
        let entry = match next {
            Next::Message(at) => {
                let Self {
                    inbox,
                    received,
                    notices,
                    ..
                } = self;
                mailbox::remove_message(inbox, received, notices, at).map(Entry::Message)
            }
            Next::Notice(at) => {
                if at < self.urgent {
                    self.urgent -= 1;
                }
                self.notices.remove(at).map(|n| Entry::Notice(n.value))
            }
        };
        if let Some(Entry::Notice(Notice::Exit(exit, Cause::Linked))) = &entry {
            self.process.owner().rare.last_ended = exit.from;
        }
        entry.expect("it was just seen there")
    }
}

impl<M> Drop for Lent<'_, M> {
    fn drop(&mut self) {
        let mut owner = self.process.owner();
        owner.received = self.received;
        if !self.notices.is_empty() {
            owner
                .rare
                .put_back(std::mem::take(&mut self.notices), self.urgent);
        }
        owner.unread = self.process.return_inbox(std::mem::take(&mut self.inbox));
    }
}

impl<M: Send + 'static, F> Unpin for ReceiveMatch<'_, M, F> {}

impl<M, F> Future for ReceiveMatch<'_, M, F>
where
    M: Send + 'static,
    F: FnMut(MessageRef<'_, M>) -> bool,
{
    type Output = Message<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Message<M>> {
        self.poll_matching(cx)
    }
}

impl<M: Send + 'static, F> Drop for ReceiveMatch<'_, M, F> {
    fn drop(&mut self) {
        if self.is_waiting {
            self.context.wait_no_more();
        }
    }
}

impl<M: Send + 'static, F> fmt::Debug for ReceiveMatch<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveMatch")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
