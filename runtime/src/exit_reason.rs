//! Why a process ended: [`ExitReason`], and what its variants carry.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::caught::Quiet;
use crate::name::Name;
use crate::pid::Pid;

/// Why a process ended, told to everyone linked to it or watching it.
///
/// Cheap to clone. It is not itself an [`Error`], so that `?` in the body of a
/// process turns any error into [`Failed`](Self::Failed). Two reasons are equal
/// when their kinds are; terms of the user's own are compared by value, errors
/// and panics by identity of the event.
///
/// # Differences from Erlang
///
/// There any term is a reason; here the well-known ones have variants and the
/// rest travel in [`Custom`](Self::Custom). An error that is raised is
/// [`Failed`](Self::Failed) or [`Panicked`](Self::Panicked) instead of
/// `{Reason, Stack}` (laws EXIT-03, EXIT-04).
///
/// # Examples
///
/// ```
/// use resurgam_runtime::ExitReason;
///
/// fn body() -> Result<(), ExitReason> {
///     let _port: u16 = "eighty".parse()?;
///     Ok(())
/// }
/// let reason = body().unwrap_err();
/// assert!(reason.is_abnormal());
/// assert_eq!(reason.to_string(), "failed: invalid digit found in string");
/// assert_eq!(ExitReason::custom(7), ExitReason::custom(7));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum ExitReason {
    /// The body returned: nothing is wrong. Links that do not trap ignore it.
    Normal,
    /// It was told to stop, as a supervisor tells its children. Graceful, yet
    /// it ends links that do not trap.
    Shutdown,
    /// As [`Shutdown`](Self::Shutdown), with a term that says why.
    ShutdownWith(Term),
    /// A process chose `kill` as its own reason, or got it along a link. The
    /// untrappable order is [`kill`](crate::kill), whose victim ends with
    /// [`Killed`](Self::Killed).
    Kill,
    /// It was ended by an untrappable kill (law EXIT-12).
    Killed,
    /// There was no such process when the link or monitor arrived.
    NoProcess,
    /// The connection to the other node was lost. Kept for distribution.
    NoConnection,
    /// The body panicked.
    Panicked(Arc<Panic>),
    /// The body returned an error.
    Failed(Failure),
    /// A term of the user's own.
    Custom(Term),
}

/// Which of the exit reasons one is, without what it carries.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitKind {
    /// [`ExitReason::Normal`].
    Normal,
    /// [`ExitReason::Shutdown`].
    Shutdown,
    /// [`ExitReason::ShutdownWith`].
    ShutdownWith,
    /// [`ExitReason::Kill`].
    Kill,
    /// [`ExitReason::Killed`].
    Killed,
    /// [`ExitReason::NoProcess`].
    NoProcess,
    /// [`ExitReason::NoConnection`].
    NoConnection,
    /// [`ExitReason::Panicked`].
    Panicked,
    /// [`ExitReason::Failed`].
    Failed,
    /// [`ExitReason::Custom`].
    Custom,
}

impl ExitReason {
    /// Which reason this is, without what it carries.
    pub fn kind(&self) -> ExitKind {
        match self {
            Self::Normal => ExitKind::Normal,
            Self::Shutdown => ExitKind::Shutdown,
            Self::ShutdownWith(_) => ExitKind::ShutdownWith,
            Self::Kill => ExitKind::Kill,
            Self::Killed => ExitKind::Killed,
            Self::NoProcess => ExitKind::NoProcess,
            Self::NoConnection => ExitKind::NoConnection,
            Self::Panicked(_) => ExitKind::Panicked,
            Self::Failed(_) => ExitKind::Failed,
            Self::Custom(_) => ExitKind::Custom,
        }
    }

    /// A reason of the user's own.
    pub fn custom<T: Any + fmt::Debug + PartialEq + Send + Sync>(term: T) -> Self {
        Self::Custom(Term::new(term))
    }

    /// A graceful reason that carries a term.
    pub fn shutdown_with<T: Any + fmt::Debug + PartialEq + Send + Sync>(term: T) -> Self {
        Self::ShutdownWith(Term::new(term))
    }

    /// Whether this is [`Normal`](Self::Normal), the one reason that links
    /// which do not trap ignore.
    pub fn is_normal(&self) -> bool {
        matches!(self, Self::Normal)
    }

    /// Whether this is one of the reasons OTP calls graceful (law EXIT-21):
    /// normal, shutdown, shutdown with a term. No crash report is written and
    /// a transient child is not restarted.
    pub fn is_graceful(&self) -> bool {
        matches!(self, Self::Normal | Self::Shutdown | Self::ShutdownWith(_))
    }

    /// The term that the reason carries, a custom one or a shutdown, if it is a
    /// `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::ExitReason;
    ///
    /// let reason = ExitReason::shutdown_with("done");
    /// assert_eq!(reason.cause::<&str>(), Some(&"done"));
    /// assert_eq!(reason.cause::<u8>(), None);
    /// ```
    pub fn cause<T: Any>(&self) -> Option<&T> {
        match self {
            Self::ShutdownWith(term) | Self::Custom(term) => term.downcast_ref(),
            Self::Normal
            | Self::Shutdown
            | Self::Kill
            | Self::Killed
            | Self::NoProcess
            | Self::NoConnection
            | Self::Panicked(_)
            | Self::Failed(_) => None,
        }
    }

    /// Whether this is not [graceful](Self::is_graceful).
    pub fn is_abnormal(&self) -> bool {
        !self.is_graceful()
    }
}

impl PartialEq for ExitReason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ShutdownWith(a), Self::ShutdownWith(b)) => a == b,
            (Self::Custom(a), Self::Custom(b)) => a == b,
            (Self::Panicked(a), Self::Panicked(b)) => Arc::ptr_eq(a, b),
            (Self::Failed(a), Self::Failed(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(term) => write!(f, "shutdown: {term:?}"),
            Self::Kill => f.write_str("kill"),
            Self::Killed => f.write_str("killed"),
            Self::NoProcess => f.write_str("noproc"),
            Self::NoConnection => f.write_str("noconnection"),
            Self::Panicked(panic) => write!(f, "panicked: {panic}"),
            Self::Failed(failure) => write!(f, "failed: {}", &*failure.0),
            Self::Custom(term) => fmt::Debug::fmt(term, f),
        }
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("Normal"),
            Self::Shutdown => f.write_str("Shutdown"),
            Self::ShutdownWith(term) => f.debug_tuple("ShutdownWith").field(term).finish(),
            Self::Kill => f.write_str("Kill"),
            Self::Killed => f.write_str("Killed"),
            Self::NoProcess => f.write_str("NoProcess"),
            Self::NoConnection => f.write_str("NoConnection"),
            Self::Panicked(panic) => f.debug_tuple("Panicked").field(panic).finish(),
            Self::Failed(failure) => f.debug_tuple("Failed").field(&&*failure.0).finish(),
            Self::Custom(term) => f.debug_tuple("Custom").field(term).finish(),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ExitReason {
    fn from(error: E) -> Self {
        Self::Failed(Failure(Quiet::new(Arc::new(error))))
    }
}

/// A value of the user's own inside an [`ExitReason`].
#[derive(Clone)]
pub struct Term(Quiet<dyn AnyTerm>);

impl Term {
    fn new<T: Any + fmt::Debug + PartialEq + Send + Sync>(term: T) -> Self {
        Self(Quiet::new(Arc::new(term)))
    }

    /// The value, if it is a `T`.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// What a [`Term`] can do whatever its type.
trait AnyTerm: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + fmt::Debug + PartialEq + Send + Sync> AnyTerm for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// The error that a body returned.
#[derive(Clone, Debug)]
pub struct Failure(Quiet<dyn Error + Send + Sync>);

impl Failure {
    /// The error, to be looked into or downcast.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

/// A panic that ended a process: what it said, and where.
#[derive(Debug)]
pub struct Panic {
    message: String,
    location: Option<String>,
    process: Pid,
    name: Option<Name>,
    ancestors: Arc<[Pid]>,
}

impl Panic {
    pub(crate) fn new(
        message: String,
        location: Option<String>,
        process: Pid,
        name: Option<Name>,
        ancestors: Arc<[Pid]>,
    ) -> Self {
        Self {
            message,
            location,
            process,
            name,
            ancestors,
        }
    }

    /// What the panic said; of a payload that is no string, that it was none.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it happened, as `file:line:column`. Missing where somebody
    /// replaced the panic hook after the first node was made.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The process that panicked.
    pub fn process(&self) -> Pid {
        self.process
    }

    /// Its registered name at the time.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Its parent, its parent's parent, and so on (law PLIB-08).
    pub fn ancestors(&self) -> &[Pid] {
        &self.ancestors
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{} at {location}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitReason;

    #[track_caller]
    fn check(reason: ExitReason, graceful: bool, normal: bool) {
        assert_eq!(reason.is_graceful(), graceful, "{reason}");
        assert_eq!(reason.is_abnormal(), !graceful, "{reason}");
        assert_eq!(reason.is_normal(), normal, "{reason}");
    }

    #[test]
    fn only_normal_and_the_shutdowns_are_graceful() {
        check(ExitReason::Normal, true, true);
        check(ExitReason::Shutdown, true, false);
        check(ExitReason::shutdown_with("done"), true, false);
        check(ExitReason::Kill, false, false);
        check(ExitReason::Killed, false, false);
        check(ExitReason::NoProcess, false, false);
        check(ExitReason::custom(1), false, false);
    }

    #[test]
    fn terms_are_equal_by_value_and_type() {
        assert_eq!(ExitReason::custom(7_u8), ExitReason::custom(7_u8));
        assert_ne!(ExitReason::custom(7_u8), ExitReason::custom(7_u16));
        assert_ne!(ExitReason::custom(7), ExitReason::shutdown_with(7));
        assert_ne!(ExitReason::Kill, ExitReason::Killed);
    }
}
