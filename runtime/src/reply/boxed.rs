//! References and calls that do not say what messages the process takes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Call, CallError, Reply};
use crate::pid::Pid;
use crate::process::join::Join;
use crate::process_ref::ProcessRef;

/// What any reference to a process can do, whatever messages the process takes.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{AnyRef, Context, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<u8>| async {})?;
/// let someone: Box<dyn AnyRef> = Box::new(process.clone());
/// assert_eq!(someone.pid(), process.pid());
/// assert!(node.block_on(someone.join()).is_normal());
/// # Ok(())
/// # }
/// ```
pub trait AnyRef: fmt::Debug + Send + Sync + 'static {
    /// The pid; `None` for a name that nobody has.
    fn pid(&self) -> Option<Pid>;

    /// As [`ProcessRef::join`].
    fn join(&self) -> Join;
}

impl<M: Send + 'static> AnyRef for ProcessRef<M> {
    fn pid(&self) -> Option<Pid> {
        self.pid()
    }

    fn join(&self) -> Join {
        self.join()
    }
}

/// A [`Call`] that does not say what message it sends. It is as the call it was
/// made of: sent by the first poll, for 5 seconds unless told otherwise.
///
/// # Errors
///
/// See [`CallError`].
///
/// # Cancel safety
///
/// As [`Call`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{BoxCall, CallError, Context, Message, Node, ProcessRef, Reply};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let nobody = node.named::<Reply<u8>>("nobody");
/// let call: BoxCall<'_, u8> = BoxCall::new(nobody.call(|reply| reply)).no_timeout();
/// assert!(matches!(node.block_on(call), Err(CallError::Down(_))));
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is not sent unless it is awaited"]
pub struct BoxCall<'a, T>(Box<dyn AnyCall<T> + 'a>);

/// A call for a `T`.
trait AnyCall<T>: Future<Output = Result<T, CallError>> + Unpin + Send {
    fn set_timeout(&mut self, timeout: Option<Duration>);
}

impl<M, T, F> AnyCall<T> for Call<'_, M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M + Send,
{
    fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }
}

impl<'a, T: Send + 'static> BoxCall<'a, T> {
    /// The call without its type.
    pub fn new<M, F>(call: Call<'a, M, T, F>) -> Self
    where
        M: Send + 'static,
        F: FnOnce(Reply<T>) -> M + Send + 'a,
    {
        Self(Box::new(call))
    }

    /// Waits for this long instead of 5 seconds, on the node's clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.set_timeout(Some(timeout));
        self
    }

    /// Waits for ever. The end of the server still ends the call.
    pub fn no_timeout(mut self) -> Self {
        self.0.set_timeout(None);
        self
    }
}

impl<T> Future for BoxCall<'_, T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.0).poll(cx)
    }
}

impl<T> fmt::Debug for BoxCall<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxCall")
    }
}
