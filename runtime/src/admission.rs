//! Waiting for a place in a mailbox that is full.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::mailbox::{Door, Waiting};
use crate::node::later;
use crate::process::cell::{Process, Typed};
use crate::process::current;
use crate::process_ref::{ProcessRef, SendError, send_placed, send_typed};
use crate::reply::stopped;
use crate::slot::Slot;
use crate::timer::Sleep;

/// A place in a mailbox that is kept for somebody.
pub(crate) struct Place(Option<Process>);

impl Place {
    /// One that was reserved in the mailbox of this process.
    pub(crate) fn reserved(process: &Process) -> Self {
        Self(Some(process.clone()))
    }

    /// It is being taken.
    pub(crate) fn take(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    /// Nobody takes it: it goes to the next in the line.
    fn drop(&mut self) {
        if let Some(process) = self.0.take()
            && !planted!(PlaceLost)
        {
            process.core().give_back();
            let_in(&process);
        }
    }
}

/// Lets those in who wait at a mailbox, as far as there is room.
#[cold]
#[inline(never)]
pub(crate) fn let_in(process: &Process) {
    while let Some(Waiting { who, slot }) = process.core().admit() {
        let header = process.header();
        let place = Place::reserved(process);
        header.node.settle(header.pid, who, &slot, Some(place));
    }
}

/// Sends those away who wait at a mailbox that has closed.
pub(crate) fn send_away(process: &Process) {
    if planted!(LineForgotten) {
        return;
    }
    let header = process.header();
    for Waiting { who, slot } in process.core().dismiss().into_values() {
        header.node.settle(header.pid, who, &slot, None);
    }
}

/// The wait for a place in the mailbox of a process.
pub(crate) struct Admission {
    process: Process,
    state: State,
}

enum State {
    Outside,
    Line(u64, Arc<Slot<Option<Place>>>),
    Over,
}

/// How a wait for a place ended.
pub(crate) enum Admitted {
    /// With a place, or where none is needed.
    Yes(Option<Place>),
    Refused,
}

impl Admission {
    pub(crate) fn to(process: &Process) -> Self {
        Self {
            process: process.clone(),
            state: State::Outside,
        }
    }

    /// As [`poll`](Self::poll), until the time is up: a place that has come by
    /// then still counts.
    pub(crate) fn poll_until(
        &mut self,
        cx: &mut Context<'_>,
        time_is_up: impl FnOnce(&mut Context<'_>) -> Poll<()>,
    ) -> Poll<Admitted> {
        if let Poll::Ready(admitted) = self.poll(cx) {
            return Poll::Ready(admitted);
        }
        ready!(time_is_up(cx));
        Poll::Ready(match self.poll(cx) {
            Poll::Ready(admitted) => admitted,
            Poll::Pending => Admitted::Refused,
        })
    }

    /// The process, if it takes such messages.
    pub(crate) fn typed<M: 'static>(&self) -> Option<Typed<M>> {
        self.process.clone().typed().ok()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Admitted> {
        if let State::Outside = self.state {
            let node = &self.process.header().node;
            let (who, slot) = (node.sender(), Arc::new(Slot::new()));
            let waiting = Waiting { who, slot };
            // Who waits for itself waits for ever.
            let wait = (!current::is(&self.process)).then_some(&waiting);
            let admitted = match self.process.core().knock(wait) {
                Door::Open => Admitted::Yes(None),
                Door::Reserved => Admitted::Yes(Some(Place::reserved(&self.process))),
                Door::Full => Admitted::Refused,
                Door::Line(ticket) => {
                    self.state = State::Line(ticket, waiting.slot);
                    return self.poll(cx);
                }
            };
            self.state = State::Over;
            return Poll::Ready(admitted);
        }
        let State::Line(_, slot) = &self.state else {
            return Poll::Pending;
        };
        let place = ready!(slot.poll(cx));
        self.state = State::Over;
        Poll::Ready(Admitted::Yes(place))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let State::Line(ticket, slot) = &self.state {
            drop(self.process.core().leave(*ticket));
            // A place that came meanwhile goes to the next.
            drop(slot.close());
        }
    }
}

impl<M: Send + 'static> ProcessRef<M> {
    /// Sends a message; where the mailbox is full and its bound says
    /// [`Overflow::Wait`](crate::Overflow::Wait), waits until there is room,
    /// behind those who came before. To a process without a bound it is sent at
    /// once. Without a [`timeout`](SendWait::timeout) it waits for ever, but no
    /// longer than the process lives (law XMSG-04).
    ///
    /// Two processes that wait at each other's full mailboxes wait for ever:
    /// where messages go round in a circle, one of them should have a time-out
    /// or not wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`SendError::Full`] if the mailbox refuses, if
    /// the time is up, or if the process sends to itself. The message is in the
    /// error.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is done has sent nothing, and the
    /// message is dropped with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Message, Node, Overflow};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let options = node.spawn_options().mailbox(2, Overflow::Wait);
    /// let summer = options.spawn(|mut ctx: Context<u64>| async move {
    ///     let mut sum = 0;
    ///     while sum < 5050 {
    ///         let Message::User(n) = ctx.receive().await else { panic!("no number") };
    ///         sum += n;
    ///     }
    /// })?;
    /// node.block_on(async {
    ///     for n in 1..=100 {
    ///         summer.process.send_wait(n).await.expect("it has a name");
    ///     }
    ///     assert!(summer.process.join().await.is_normal());
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_wait(&self, message: M) -> SendWait<'_, M> {
        SendWait {
            to: self,
            message: Some(message),
            limit: Limit::ForEver,
            admission: None,
        }
    }
}

/// A message that waits to be sent: the future of [`ProcessRef::send_wait`].
#[must_use = "nothing is sent unless it is awaited"]
pub struct SendWait<'a, M: Send + 'static> {
    to: &'a ProcessRef<M>,
    message: Option<M>,
    limit: Limit,
    admission: Option<Admission>,
}

enum Limit {
    ForEver,
    Unset(Duration),
    Set(Sleep),
}

impl<M: Send + 'static> SendWait<'_, M> {
    /// Waits no longer than this on the node's clock, counted from the first
    /// poll.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Limit::Unset(timeout);
        self
    }

    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<Admitted> {
        let Some(admission) = &mut self.admission else {
            return Poll::Pending;
        };
        let timers = Arc::clone(&admission.process.header().node.timers);
        let limit = &mut self.limit;
        admission.poll_until(cx, |cx| {
            if let Limit::Unset(time) = *limit {
                let at = later(timers.now(), time);
                *limit = Limit::Set(Sleep::until(timers, at));
            }
            match limit {
                Limit::Set(sleep) => Pin::new(sleep).poll(cx),
                Limit::ForEver | Limit::Unset(_) => Poll::Pending,
            }
        })
    }
}

impl<M: Send + 'static> Unpin for SendWait<'_, M> {}

impl<M: Send + 'static> Future for SendWait<'_, M> {
    type Output = Result<(), SendError<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if stopped() {
            return Poll::Pending;
        }
        if self.admission.is_none() {
            let Some(message) = self.message.take() else {
                return Poll::Pending;
            };
            let (process, message) = self.to.receiver(message)?;
            if !process.core().is_bounded() {
                return Poll::Ready(send_typed(&process, message));
            }
            self.admission = Some(Admission::to(&process));
            self.message = Some(message);
        }
        let admitted = ready!(self.poll_admission(cx));
        let (Some(admission), Some(message)) = (self.admission.take(), self.message.take()) else {
            return Poll::Pending;
        };
        Poll::Ready(match (admitted, admission.typed()) {
            (Admitted::Yes(Some(place)), Some(process)) => {
                send_placed(&process, message, place);
                Ok(())
            }
            (Admitted::Yes(None), Some(process)) => send_typed(&process, message),
            (Admitted::Refused, _) | (_, None) => Err(SendError::Full {
                pid: admission.process.header().pid,
                message,
            }),
        })
    }
}

impl<M: Send + 'static> fmt::Debug for SendWait<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendWait")
            .field("to", self.to)
            .finish_non_exhaustive()
    }
}
