//! Calls: a request that carries its own way back.
//!
//! The reply is a [`Slot`] that the caller waits at. The server's cell keeps a
//! list of the slots it owes, so that its death reaches every caller wherever
//! the [`Reply`] is by then (law GS-24), without a monitor per call.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::caught::drop_caught;
use crate::exit_reason::ExitReason;
use crate::node::Node;
use crate::node::seam::{Load, observe};
use crate::pid::Pid;
use crate::process::body::{self, Checkpoint};
use crate::process::cell::Process;
use crate::process::current;
use crate::process_ref::ProcessRef;
use crate::slot::Slot;
use crate::timer::Sleep;

/// Why a call brought no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server ended before it replied, or was not there.
    #[error("server is down: {0}")]
    Down(ExitReason),
    /// The server dropped the request unanswered and lives on.
    #[error("request was dropped unanswered")]
    NoReply,
    /// The caller is the server; it would wait for itself.
    #[error("process called itself")]
    CallingSelf,
    /// The name belongs to a process that takes messages of another type.
    #[error("process takes `{expected}`, not `{offered}`")]
    WrongType {
        /// The type of message it takes.
        expected: &'static str,
        /// The type that was sent.
        offered: &'static str,
    },
    /// No reply came in time. The server may still act on the request; its
    /// late reply is dropped.
    #[error("no reply in time")]
    TimedOut,
}

/// Why a reply will not come.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// The server ended.
    Down(ExitReason),
    /// The [`Reply`] was dropped.
    Dropped,
    /// The server takes messages of another type.
    WrongType {
        expected: &'static str,
        offered: &'static str,
    },
}

/// A reply that somebody waits for, whatever its type.
pub(crate) trait Owed: Send + Sync {
    /// Who waits.
    fn caller(&self) -> Pid;
    /// Tells the caller that no reply will come; nothing happens if one came.
    fn refuse(&self, why: Unanswered);
    /// Whether the caller still waits.
    fn is_open(&self) -> bool;
}

/// Where a caller waits for its reply.
pub(crate) struct Answer<T> {
    pub(crate) slot: Slot<Result<T, CallError>>,
    caller: Pid,
}

impl<T> Answer<T> {
    pub(crate) fn new(caller: Pid) -> Self {
        let slot = Slot::new();
        Self { slot, caller }
    }
}

impl<T: Send> Owed for Answer<T> {
    fn caller(&self) -> Pid {
        self.caller
    }

    fn refuse(&self, why: Unanswered) {
        self.slot.settle(Err(match why {
            Unanswered::Down(reason) => CallError::Down(reason),
            Unanswered::Dropped => CallError::NoReply,
            Unanswered::WrongType { expected, offered } => {
                CallError::WrongType { expected, offered }
            }
        }));
    }

    fn is_open(&self) -> bool {
        self.slot.is_open()
    }
}

/// Tells a caller, from the server, that no reply will come.
pub(crate) fn refuse(server: &Arc<dyn Process>, reply: &Arc<dyn Owed>, why: Unanswered) {
    let header = server.header();
    let caller = reply.caller();
    header
        .node
        .transmit(header.pid, caller, reply, why, |reply, why| {
            reply.refuse(why);
        });
}

/// Tells a caller that its server was not there. The request holds the way
/// back, which must not speak first: it is dropped after that.
pub(crate) fn refuse_unheard(
    server: &Arc<dyn Process>,
    reply: &Arc<dyn Owed>,
    request: Box<dyn Send>,
) {
    let header = server.header();
    let (caller, unheard) = (reply.caller(), Unheard(request));
    header
        .node
        .transmit(header.pid, caller, reply, unheard, |reply, unheard| {
            reply.refuse(Unanswered::Down(ExitReason::NoProcess));
            drop_caught(unheard.0);
        });
}

/// A request that nobody took.
struct Unheard(Box<dyn Send>);

impl Load for Unheard {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        "no such process".to_owned()
    }
}

impl Load for Unanswered {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("no reply: {self:?}")
    }
}

/// What a server replies.
struct Value<T>(T);

impl<T: Send + 'static> Load for Value<T> {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("reply {}", std::any::type_name::<T>())
    }
}

/// The way back of one call: the server answers through it, once.
///
/// It can be kept, or sent to another process, and answered later (law GS-29).
/// If it is dropped unanswered, the caller is told at once with
/// [`CallError::NoReply`]; if the server that got the call ends first, with
/// [`CallError::Down`] and its reason, wherever the `Reply` is.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Message, Node, Reply};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// struct Double(u32, Reply<u32>);
///
/// let node = Node::new()?;
/// let server = node.spawn(|mut ctx: Context<Double>| async move {
///     while let Message::User(Double(n, reply)) = ctx.receive().await {
///         reply.send(2 * n);
///     }
/// })?;
/// let answer = node.block_on(server.call(|reply| Double(21, reply)))?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[must_use = "a reply that is dropped unanswered is an error for the caller"]
pub struct Reply<T: Send + 'static> {
    /// Taken when the reply was sent.
    answer: Option<Arc<Answer<T>>>,
    server: Arc<dyn Process>,
}

impl<T: Send + 'static> Reply<T> {
    /// Answers the call. A caller that has given up gets nothing (law GS-32).
    pub fn send(mut self, value: T) {
        if let Some(answer) = self.answer.take() {
            self.server.header().node.transmit_from_here(
                answer.caller,
                &answer,
                Value(value),
                |answer, Value(value)| answer.slot.settle(Ok(value)),
            );
        }
    }

    /// Whether nobody waits for this reply any more.
    pub fn is_closed(&self) -> bool {
        !self.answer.as_ref().is_some_and(|answer| answer.is_open())
    }
}

impl<T: Send + 'static> Drop for Reply<T> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take().filter(|_| !planted!(DroppedReplyUntold)) else {
            return;
        };
        // In the server itself it is not yet clear whether it dropped the
        // reply and lives on or is on its way down: the end of the turn knows.
        if current::is(&self.server) {
            self.server.header().owner.lock().unanswered.push(answer);
        } else {
            self.server.header().node.transmit_from_here(
                answer.caller,
                &answer,
                Unanswered::Dropped,
                |answer, why| answer.refuse(why),
            );
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("caller", &self.answer.as_ref().map(|answer| answer.caller))
            .finish()
    }
}

/// A call under way: the future of [`ProcessRef::call`].
///
/// The request is sent by the first poll.
///
/// # Errors
///
/// See [`CallError`].
///
/// # Cancel safety
///
/// If the future is dropped after its first poll, the server may still act on
/// the request; its reply is dropped and nothing stays behind in the caller's
/// mailbox (law GS-26).
#[must_use = "a call is not sent unless it is awaited"]
pub struct Call<M: Send + 'static, T: Send + 'static, F> {
    server: ProcessRef<M>,
    state: State<T, F>,
    timeout: Option<Duration>,
}

enum State<T: Send + 'static, F> {
    Unsent(F),
    Waiting {
        answer: Arc<Answer<T>>,
        deadline: Option<Sleep>,
    },
    Over,
}

impl<M: Send + 'static, T: Send + 'static, F> Unpin for Call<M, T, F> {}

impl<M, T, F> Call<M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    /// How long a call waits if nothing else is said (law GS-20).
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new(server: ProcessRef<M>, request: F) -> Self {
        Self {
            server,
            state: State::Unsent(request),
            timeout: Some(Self::TIMEOUT),
        }
    }

    /// Waits for this long instead of 5 seconds, on the node's clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for ever. The end of the server still ends the call.
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    fn send(&mut self, request: F) -> Result<(), CallError> {
        let server = self
            .server
            .resolve()
            .ok_or(CallError::Down(ExitReason::NoProcess))?;
        if current::is(&server) {
            return Err(CallError::CallingSelf);
        }
        let caller = server.header().node.sender();
        let answer = Arc::new(Answer::new(caller));
        let reply = Reply {
            answer: Some(Arc::clone(&answer)),
            server: Arc::clone(&server),
        };
        let message = request(reply);
        let owed = Arc::clone(&answer) as Arc<dyn Owed>;
        observe!(server.header().node, |world| world
            .called(server.header().pid, &owed));
        self.server.push_call(&server, caller, message, owed);
        let node = Node::from_inner(Arc::clone(&server.header().node));
        let deadline = self.timeout.map(|timeout| node.sleep(timeout));
        self.state = State::Waiting { answer, deadline };
        Ok(())
    }
}

impl<M, T, F> Future for Call<M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if stopped() {
            return Poll::Pending;
        }
        if let State::Unsent(_) = self.state {
            let State::Unsent(request) = std::mem::replace(&mut self.state, State::Over) else {
                unreachable!("just seen")
            };
            if let Err(error) = self.send(request) {
                return Poll::Ready(Err(error));
            }
        }
        let State::Waiting { answer, deadline } = &mut self.state else {
            return Poll::Pending;
        };
        if let Poll::Ready(result) = answer.slot.poll(cx) {
            self.state = State::Over;
            return Poll::Ready(result);
        }
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        if Pin::new(deadline).poll(cx).is_pending() {
            return Poll::Pending;
        }
        // A reply that came while the deadline was looked at still counts
        // (law GS-27).
        if planted!(TimeoutUnheeded) {
            return Poll::Pending;
        }
        let result = answer.slot.close().unwrap_or(Err(CallError::TimedOut));
        self.state = State::Over;
        Poll::Ready(result)
    }
}

impl<M: Send + 'static, T: Send + 'static, F> Drop for Call<M, T, F> {
    fn drop(&mut self) {
        if let State::Waiting { answer, .. } = &self.state {
            drop(answer.slot.close());
        }
    }
}

impl<M: Send + 'static, T: Send + 'static, F> fmt::Debug for Call<M, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Whether the current process must not go on.
pub(crate) fn stopped() -> bool {
    #[cfg(feature = "sim")]
    crate::sim::await_point();
    // The look must not run anything of the user's, so it does not drain.
    let quiet = current::with(|process| {
        !process.is_signalled() && process.header().owner.lock().fate.is_none()
    });
    match quiet {
        None | Some(true) => false,
        Some(false) => {
            current::get().is_some_and(|process| body::checkpoint(&process) == Checkpoint::Stop)
        }
    }
}

/// Keeps a type parameter in a struct without owning it.
pub(crate) type Of<M> = PhantomData<fn() -> M>;
