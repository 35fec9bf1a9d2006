//! Calls: a request that carries its own way back.
//!
//! The caller waits at an [`answer`]. The server keeps a list of the answers it
//! owes, so that its death reaches every caller wherever the [`Reply`] is by
//! then (law GS-24), without a monitor per call.

mod boxed;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::admission::{Admission, Admitted, Place};
use crate::answer::{Debt, Owed, Replier, Server, Unanswered, Unsent, Waiter, answer, lend};
use crate::caught::{drop_caught, guarded};
use crate::exit_reason::ExitReason;
use crate::node::seam::{Load, observe};
use crate::node::{NodeInner, later};
use crate::pid::Pid;
use crate::process::alarm::{Deadline, Time};
use crate::process::body::{self, Checkpoint};
use crate::process::cell::{Process, Typed};
use crate::process::current;
use crate::process_ref::{ProcessRef, push_call, push_placed_call};
use crate::timer::Sleep;

pub use boxed::{AnyRef, BoxCall};

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
    /// The server's mailbox was full, and for the whole time of the call if its
    /// bound says to wait: the request was not sent (laws XMSG-03 to XMSG-05).
    #[error("mailbox of the server is full")]
    Full,
    /// No reply came in time. The server may still act on the request; its
    /// late reply is dropped.
    #[error("no reply in time")]
    TimedOut,
}

/// Tells a caller, from the server, that its reply will not come.
pub(crate) fn refuse(server: &Process, reply: Unsent, why: Unanswered) {
    let header = server.header();
    let (caller, refusal) = (reply.caller(), Refusal(reply, why));
    header.node.transmit(
        header.pid,
        caller,
        &(),
        refusal,
        |(), Refusal(reply, why)| {
            reply.refuse(why);
        },
    );
}

/// Tells a caller, from the server that is in debt, that no reply will come.
pub(crate) fn fail(server: &Process, owed: Owed, why: Unanswered) {
    let header = server.header();
    let (caller, failure) = (owed.caller(), Failure(owed, why));
    header.node.transmit(
        header.pid,
        caller,
        &(),
        failure,
        |(), Failure(owed, why)| {
            owed.refuse(why);
        },
    );
}

/// Tells a caller why its request was not taken. The request holds the way
/// back, which must not speak first: it is dropped after that.
pub(crate) fn fail_unheard(server: &Process, owed: Owed, why: Unanswered, request: Box<dyn Send>) {
    let header = server.header();
    let (caller, unheard) = (owed.caller(), Unheard(owed, why, request));
    header.node.transmit(
        header.pid,
        caller,
        &(),
        unheard,
        |(), Unheard(owed, why, request)| {
            owed.refuse(why);
            drop_caught(request);
        },
    );
}

/// A request that nobody took, who is in debt for it, and why.
struct Unheard(Owed, Unanswered, Box<dyn Send>);

impl Load for Unheard {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("not taken: {:?}", self.1)
    }
}

/// A reply that will not come, and why.
struct Refusal(Unsent, Unanswered);

impl Load for Refusal {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("no reply: {:?}", self.1)
    }
}

/// A debt that will not be paid, and why.
struct Failure(Owed, Unanswered);

impl Load for Failure {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("no reply: {:?}", self.1)
    }
}

/// What a server replies, and how it goes back.
#[cfg(feature = "sim")]
struct Value<T>(Replier<T>, T);

#[cfg(feature = "sim")]
impl<T: Send + 'static> Load for Value<T> {
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
    answer: Option<Replier<T>>,
}

impl<T: Send + 'static> Reply<T> {
    /// Answers the call. A caller that has given up gets nothing (law GS-32).
    #[inline]
    pub fn send(mut self, value: T) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        #[cfg(feature = "sim")]
        if let Some(node) = answer.simulated() {
            let (caller, value) = (answer.caller(), Value(answer, value));
            let arrive = |(): &(), Value(answer, value): Value<T>| {
                answer.put(Ok(value), Debt::Kept);
            };
            return node.transmit_from_here(caller, &(), value, arrive);
        }
        answer.put_paying(value);
    }

    /// Whether nobody waits for this reply any more.
    pub fn is_closed(&self) -> bool {
        !self.answer.as_ref().is_some_and(Replier::is_open)
    }
}

impl<T: Send> Replier<T> {
    /// Leaves the answer, and pays the debt with it if that is the oldest one
    /// of the current process, which is the server then.
    #[inline]
    fn put_paying(self, value: T) {
        let owed = current::with(|process| {
            let mut owner = process.owner();
            let in_debt = owner.rare.is_there();
            in_debt.then(|| owner.rare.owed.pop_for(&self)).flatten()
        });
        self.put(Ok(value), owed.flatten().map_or(Debt::Kept, Debt::Paid));
    }
}

impl<T: Send + 'static> Reply<T> {
    /// Tells the caller that nobody will answer it.
    #[cold]
    fn give_up(answer: Replier<T>) {
        if planted!(DroppedReplyUntold) {
            drop(answer);
            return;
        }
        let mut unsent = Some(answer.erase());
        // In the server itself it is not yet clear whether it dropped the
        // reply and lives on or is on its way down: the end of the turn knows.
        current::with(|process| {
            let is_server = unsent.as_ref().is_some_and(|unsent| unsent.is_to(process));
            if is_server {
                process.owner().rare.unanswered.extend(unsent.take());
            }
        });
        let Some(unsent) = unsent else { return };
        #[cfg(feature = "sim")]
        if let Some(node) = unsent.simulated() {
            let (caller, refusal) = (unsent.caller(), Refusal(unsent, Unanswered::Dropped));
            let arrive = |(): &(), Refusal(unsent, why): Refusal| unsent.refuse(why);
            return node.transmit_from_here(caller, &(), refusal, arrive);
        }
        unsent.refuse(Unanswered::Dropped);
    }
}

impl<T: Send + 'static> Drop for Reply<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            Self::give_up(answer);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("caller", &self.answer.as_ref().map(Replier::caller))
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
pub struct Call<'a, M: Send + 'static, T: Send + 'static, F> {
    server: &'a ProcessRef<M>,
    state: State<T, F>,
    timeout: Option<Duration>,
}

enum State<T: Send + 'static, F> {
    Unsent(F),
    /// It waits for a place in a full mailbox.
    Queued(Box<Queued<F>>),
    Waiting(Waiting<T>),
    Over,
}

struct Waiting<T> {
    answer: Waiter<T>,
    limit: Limit,
}

struct Queued<F> {
    request: F,
    admission: Admission,
    limit: Limit,
}

/// How long a call waits.
enum Limit {
    ForEver,
    /// In a process that polls it by its own waker.
    Process(Deadline),
    Elsewhere(Sleep),
}

impl Limit {
    /// A limit for a call that is polled like this.
    fn new(node: &Arc<NodeInner>, timeout: Option<Duration>, cx: &Context<'_>) -> Self {
        let Some(timeout) = timeout else {
            return Self::ForEver;
        };
        let now = node.timers.now();
        let at = later(now, timeout);
        if timeout.is_zero() {
            return Self::Elsewhere(Sleep::until(Arc::clone(&node.timers), at));
        }
        at_home(cx, |process| Deadline::new(process, now, at)).map_or_else(
            || Self::Elsewhere(Sleep::until(Arc::clone(&node.timers), at)),
            Self::Process,
        )
    }

    /// Whether the time is up; if not, whoever polls is woken when it is.
    fn poll(&mut self, node: &Arc<NodeInner>, cx: &mut Context<'_>) -> Time {
        if let Self::Process(deadline) = self {
            if let Some(time) = at_home(cx, |process| deadline.look(process)).flatten() {
                return time;
            }
            // It is polled by another waker by now.
            *self = Self::Elsewhere(Sleep::until(Arc::clone(&node.timers), deadline.at()));
        }
        match self {
            Self::ForEver => Time::Left,
            Self::Process(_) => unreachable!("was just replaced"),
            Self::Elsewhere(sleep) => match Pin::new(sleep).poll(cx) {
                Poll::Ready(()) => Time::Up,
                Poll::Pending => Time::Left,
            },
        }
    }
}

/// Looks at the current process, if it polls by its own waker.
#[inline]
fn at_home<R>(cx: &Context<'_>, look: impl FnOnce(&Process) -> R) -> Option<R> {
    current::with(|process| {
        let own = current::has_waker(process.as_raw(), cx.waker());
        own.then(|| look(process))
    })
    .flatten()
}

/// Sends a request; where its answer comes.
#[inline(always)]
pub(crate) fn request<M, T, F>(
    server: &Typed<M>,
    caller: Pid,
    home: Option<Process>,
    make: F,
) -> Waiter<T>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    let (waiter, replier, owed) = answer(caller, home, Server::of(server));
    let message = make(Reply {
        answer: Some(replier),
    });
    observe!(server.header().node, |world| world
        .called(server.header().pid, &owed));
    push_call(server, caller, message, owed);
    waiter
}

/// As [`request`], for which a place is kept.
#[cold]
#[inline(never)]
fn request_placed<M, T, F>(server: &Typed<M>, caller: Pid, place: Place, make: F) -> Waiter<T>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    let (waiter, replier, owed) = answer(caller, None, Server::of(server));
    let message = make(Reply {
        answer: Some(replier),
    });
    observe!(server.header().node, |world| world
        .called(server.header().pid, &owed));
    push_placed_call(server, caller, message, owed, place);
    waiter
}

impl<M: Send + 'static, T: Send + 'static, F> Unpin for Call<'_, M, T, F> {}

impl<'a, M, T, F> Call<'a, M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    /// How long a call waits if nothing else is said (law GS-20).
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new(server: &'a ProcessRef<M>, request: F) -> Self {
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

    /// Sends the request, or waits until it can be sent.
    #[inline]
    fn begin(&mut self, request: F, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        let server = self.server.resolve_typed()?;
        if current::is(&server) {
            return Poll::Ready(Err(CallError::CallingSelf));
        }
        let header = server.header();
        let limit = Limit::new(&header.node, self.timeout, cx);
        if server.core().is_bounded() {
            return self.queue(request, &server, limit, cx);
        }
        let home = current::on(&header.node, |process| {
            let is_own = current::has_waker(process.as_raw(), cx.waker());
            (process.header().pid, is_own.then(|| lend(process)))
        });
        let (caller, home) = home.unwrap_or((Pid::OUTSIDE, None));
        let answer = self::request(&server, caller, home, request);
        let is_woken = matches!(limit, Limit::Process(_));
        self.state = State::Waiting(Waiting { answer, limit });
        if is_woken {
            // Also by what has come by now.
            return Poll::Pending;
        }
        self.wait(cx)
    }

    /// Waits for a place in a mailbox that has a bound.
    #[cold]
    #[inline(never)]
    fn queue(
        &mut self,
        request: F,
        server: &Process,
        limit: Limit,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, CallError>> {
        self.state = State::Queued(Box::new(Queued {
            request,
            admission: Admission::to(server),
            limit,
        }));
        self.wait_in_line(cx)
    }

    /// Looks whether there is a place in the mailbox now.
    #[cold]
    #[inline(never)]
    fn wait_in_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        let State::Queued(queued) = &mut self.state else {
            return Poll::Pending;
        };
        let admitted = ready!(queued.admission.poll_until(cx, |cx| {
            match queued.limit.poll(self.server.node(), cx) {
                Time::Left => Poll::Pending,
                Time::Up => Poll::Ready(()),
            }
        }));
        let State::Queued(queued) = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("just seen")
        };
        let Queued {
            request,
            admission,
            limit,
        } = *queued;
        let (Admitted::Yes(place), Some(server)) = (admitted, admission.typed()) else {
            return Poll::Ready(Err(CallError::Full));
        };
        let caller = server.header().node.sender();
        let answer = match place {
            Some(place) => request_placed(&server, caller, place, request),
            None => self::request(&server, caller, None, request),
        };
        self.state = State::Waiting(Waiting { answer, limit });
        // To look for the answer, and to leave a waker where it comes.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks for the reply, and whether the time is up.
    #[inline]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        let State::Waiting(waiting) = &mut self.state else {
            return self.wait_in_line(cx);
        };
        match waiting.answer.poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => waiting.late_answer(self.server.node(), cx),
        }
    }
}

impl<T: Send + 'static> Waiting<T> {
    /// If the time is up: that, or a reply that came while the deadline was
    /// looked at, which still counts (law GS-27).
    fn late_answer(
        &mut self,
        node: &Arc<NodeInner>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, CallError>> {
        if self.limit.poll(node, cx) == Time::Left || planted!(TimeoutUnheeded) {
            return Poll::Pending;
        }
        let server = self.answer.server();
        if let Some(late) = self.answer.close() {
            return Poll::Ready(late);
        }
        if let Some(server) = server {
            warn_of_cycle(server);
        }
        Poll::Ready(Err(CallError::TimedOut))
    }
}

/// Says so if the server of a call that timed out waits for the caller in turn.
#[cold]
fn warn_of_cycle(server: Pid) {
    let is_cycle = |process: &Process| {
        let mut owner = process.owner();
        owner.rare.is_there() && owner.rare.owed.callers().contains(&server)
    };
    if current::with(is_cycle) == Some(true)
        && let Some(caller) = current::with(|process| process.header().pid)
    {
        guarded(|| {
            tracing::warn!(
                target: "resurgam::call", %caller, %server,
                "call timed out: the server waits for a reply of the caller"
            );
        });
    }
}

impl<M, T, F> Future for Call<'_, M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    type Output = Result<T, CallError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if stopped() {
            return Poll::Pending;
        }
        if !matches!(self.state, State::Unsent(_)) {
            return self.wait(cx);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Unsent(request) => self.begin(request, cx),
            State::Queued(_) | State::Waiting(_) | State::Over => unreachable!("just seen"),
        }
    }
}

impl<M: Send + 'static, T: Send + 'static, F> fmt::Debug for Call<'_, M, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("server", self.server)
            .finish_non_exhaustive()
    }
}

/// Whether the current process must not go on.
#[inline]
pub(crate) fn stopped() -> bool {
    #[cfg(feature = "sim")]
    crate::sim::await_point();
    // The look must not run anything of the user's, so it does not drain.
    let quiet =
        current::with(|process| !process.core().is_signalled() && process.owner().fate.is_none());
    match quiet {
        None | Some(true) => false,
        Some(false) => {
            current::get().is_some_and(|process| body::checkpoint(&process) == Checkpoint::Stop)
        }
    }
}
