//! Asynchronous requests: a call that is sent now and waited for later, alone
//! or among others.

use std::collections::VecDeque;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::stream::{FuturesUnordered, Stream, StreamExt};
use futures::task::noop_waker_ref;

use crate::answer::Waiter;
use crate::gen_statem::TimeoutTime;
use crate::node::{Node, NodeInner};
use crate::pid::Pid;
use crate::process::current;
use crate::process_ref::ProcessRef;
use crate::reply::{CallError, Reply, request, stopped};
use crate::timer::{Elapsed, Sleep};

impl<M: Send + 'static> ProcessRef<M> {
    /// Sends a request and returns at once; the response is waited for later.
    /// As a call, it may be sent to whoever has a name, and to a server that is
    /// not there: who waits is told then (law REQ-01).
    ///
    /// A server may send itself a request, but not wait for it in the callback
    /// that did: it would wait for itself.
    ///
    /// `gen_server:send_request/2` (laws REQ).
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
    /// let one = server.send_request(|reply| Double(1, reply));
    /// let two = server.send_request(|reply| Double(2, reply));
    /// assert_eq!(node.block_on(two)?, 4);
    /// assert_eq!(node.block_on(one)?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_request<T, F>(&self, make: F) -> Request<T>
    where
        T: Send + 'static,
        F: FnOnce(Reply<T>) -> M,
    {
        let node = Arc::clone(self.node());
        let caller = current::on(&node, |process| process.header().pid);
        let state = match self.resolve_typed() {
            Ok(server) => State::Sent(request(&server, caller.unwrap_or(Pid::OUTSIDE), None, make)),
            Err(error) => State::Failed(error),
        };
        Request { node, state }
    }
}

/// A request that was sent; the response is waited for here, and nowhere else:
/// no message comes of it.
///
/// It is a future itself, which waits for ever: the end of the server ends the
/// wait with [`CallError::Down`] (law REQ-05). Once it has brought a response
/// there is nothing more to come of it.
///
/// # Cancel safety
///
/// Waiting by [`wait_response`](Self::wait_response), or by a reference to it,
/// loses nothing when it is called off. Dropping the request abandons it: a
/// late reply is dropped.
///
/// # Differences from Erlang
///
/// `check_response` has no message to look at, since the response is none: it
/// looks whether it is there (law REQ-04).
#[must_use = "a request that is dropped is abandoned"]
pub struct Request<T: Send + 'static> {
    node: Arc<NodeInner>,
    state: State<T>,
}

enum State<T> {
    Sent(Waiter<T>),
    /// It was not sent.
    Failed(CallError),
    /// Its response was taken.
    Over,
}

impl<T: Send + 'static> Request<T> {
    /// Waits for the response no longer than `time`; `None` then, and it can be
    /// waited for again (law REQ-02). A time that is over takes what is there
    /// (law REQ-10).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{CallError, ExitReason, Node, Reply};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let nobody = node.named::<Reply<u32>>("nobody");
    /// let mut request = nobody.send_request(|reply| reply);
    /// let response = node.block_on(request.wait_response(Duration::from_secs(1)));
    /// assert_eq!(response, Some(Err(CallError::Down(ExitReason::NoProcess))));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_response(
        &mut self,
        time: impl Into<TimeoutTime>,
    ) -> Option<Result<T, CallError>> {
        let mut limit = Limit::new(&self.node, time.into());
        limit.within(self).await.ok()
    }

    /// Waits for the response no longer than `time`, and abandons the request
    /// then: its late reply is dropped (law REQ-03).
    ///
    /// # Errors
    ///
    /// [`CallError::TimedOut`] then, or what became of the request.
    pub async fn receive_response(mut self, time: impl Into<TimeoutTime>) -> Result<T, CallError> {
        if let Some(response) = self.wait_response(time).await {
            return response;
        }
        // What has come by now still counts, as in a call (law GS-27).
        let late = match &mut self.state {
            State::Sent(waiter) => waiter.close(),
            State::Failed(_) | State::Over => None,
        };
        late.unwrap_or(Err(CallError::TimedOut))
    }

    /// The response, if it is there.
    pub fn check_response(&mut self) -> Option<Result<T, CallError>> {
        let mut cx = Context::from_waker(noop_waker_ref());
        match Pin::new(self).poll(&mut cx) {
            Poll::Ready(response) => Some(response),
            Poll::Pending => None,
        }
    }
}

impl<T> Unpin for State<T> {}

impl<T: Send + 'static> Future for Request<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if stopped() {
            return Poll::Pending;
        }
        let response = match &mut self.state {
            State::Sent(waiter) => ready!(waiter.poll(cx)),
            State::Failed(error) => Err(error.clone()),
            State::Over => return Poll::Pending,
        };
        self.state = State::Over;
        Poll::Ready(response)
    }
}

impl<T: Send + 'static> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Sent(_) => "sent",
            State::Failed(_) => "failed",
            State::Over => "over",
        };
        f.debug_tuple("Request").field(&state).finish()
    }
}

/// Requests with a label each, waited for together: whichever response comes
/// first is told with its label (law REQ-06). `gen_server:reqids_new/0` and the
/// functions beside it.
///
/// Responses are told in the order in which they came. It is a stream too. A
/// response that was told is out of it; each takes a time that does not depend
/// on how many requests there are.
///
/// # Differences from Erlang
///
/// A request moves in, so that it cannot be added twice (law REQ-11), and what
/// was handled does not stay (law REQ-08, `Delete = false`).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::{Context, Elapsed, Message, Node, Reply, RequestCollection};
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
/// let mut requests = RequestCollection::new(&node);
/// for n in [1, 2] {
///     requests.add(server.send_request(|reply| Double(n, reply)), n);
/// }
/// node.block_on(async {
///     while let Some((response, n)) = requests.receive_response(Duration::from_secs(5)).await? {
///         assert_eq!(response, Ok(2 * n));
///     }
///     Ok::<(), Elapsed>(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct RequestCollection<T: Send + 'static, L> {
    node: Arc<NodeInner>,
    requests: FuturesUnordered<Labelled<T, L>>,
    /// Responses that were there when a request was put in, the oldest first.
    early: VecDeque<Told<T, L>>,
}

/// A response and the label it came under.
type Told<T, L> = (Result<T, CallError>, Option<L>);

impl<T: Send + 'static, L> Unpin for RequestCollection<T, L> {}

struct Labelled<T: Send + 'static, L> {
    request: Request<T>,
    /// Taken with the response.
    label: Option<L>,
}

impl<T: Send + 'static, L> Unpin for Labelled<T, L> {}

impl<T: Send + 'static, L> Future for Labelled<T, L> {
    type Output = Told<T, L>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.request).poll(cx));
        Poll::Ready((response, self.label.take()))
    }
}

impl<T: Send + 'static, L> RequestCollection<T, L> {
    /// A collection without requests, whose waits are timed by the clock of this
    /// node.
    pub fn new(node: &Node) -> Self {
        Self {
            node: Arc::clone(node.inner()),
            requests: FuturesUnordered::new(),
            early: VecDeque::new(),
        }
    }

    /// Puts a request in.
    pub fn add(&mut self, request: Request<T>, label: L) {
        let label = Some(label);
        self.requests.push(Labelled { request, label });
        // Only who was polled says that its response has come, and so when.
        let mut cx = Context::from_waker(noop_waker_ref());
        while let Poll::Ready(Some(response)) = self.requests.poll_next_unpin(&mut cx) {
            self.early.push_back(response);
        }
    }

    /// How many requests have no response that was told.
    pub fn len(&self) -> usize {
        self.requests.len() + self.early.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.early.is_empty()
    }

    /// Waits for one response, no longer than `time`; `None` if there is no
    /// request at all (law REQ-07).
    ///
    /// # Errors
    ///
    /// If the time is up first. The requests stay.
    ///
    /// # Cancel safety
    ///
    /// No response is lost if the future is dropped.
    pub async fn wait_response(
        &mut self,
        time: impl Into<TimeoutTime>,
    ) -> Result<Option<(Result<T, CallError>, L)>, Elapsed> {
        let mut limit = Limit::new(&self.node, time.into());
        limit.within(self.next()).await
    }

    /// Waits for one response, no longer than `time`; `None` if there is no
    /// request at all.
    ///
    /// # Errors
    ///
    /// If the time is up first. All requests are abandoned then, and what comes
    /// of them is dropped (law REQ-09).
    pub async fn receive_response(
        &mut self,
        time: impl Into<TimeoutTime>,
    ) -> Result<Option<(Result<T, CallError>, L)>, Elapsed> {
        let received = self.wait_response(time).await;
        if received.is_err() {
            self.requests.clear();
        }
        received
    }
}

impl<T: Send + 'static, L> RequestCollection<T, L> {
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told<T, L>>> {
        match self.early.pop_front() {
            Some(response) => Poll::Ready(Some(response)),
            None => self.requests.poll_next_unpin(cx),
        }
    }
}

impl<T: Send + 'static, L> Stream for RequestCollection<T, L> {
    type Item = (Result<T, CallError>, L);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if stopped() {
            return Poll::Pending;
        }
        let mut told = ready!(self.poll_told(cx));
        while planted!(ResponseLost) && matches!(told, Some((Err(CallError::Down(_)), _))) {
            told = ready!(self.poll_told(cx));
        }
        Poll::Ready(told.and_then(|(response, label)| Some((response, label?))))
    }
}

impl<T: Send + 'static, L> fmt::Debug for RequestCollection<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCollection")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// How long is waited.
struct Limit(Option<Sleep>);

impl Limit {
    fn new(node: &Arc<NodeInner>, time: TimeoutTime) -> Self {
        let node = Node::from_inner(Arc::clone(node));
        Self(match time {
            TimeoutTime::After(time) => Some(node.sleep(time)),
            TimeoutTime::At(time) => Some(node.sleep_until(time)),
            TimeoutTime::Infinity => None,
        })
    }

    /// Waits for a future; it goes first if the time is up as well.
    async fn within<F: Future>(&mut self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            match &mut self.0 {
                Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(Elapsed)),
                None => Poll::Pending,
            }
        })
        .await
    }
}
