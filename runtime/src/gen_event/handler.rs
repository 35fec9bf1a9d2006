//! Event handlers: the trait, what they are called by, how they end.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::behaviour::Info;
use crate::exit_reason::ExitReason;
use crate::name::Name;

/// A handler of the events of an [`EventManager`](super::EventManager): a state
/// of its own, and what it does about each event.
///
/// Every callback runs in the process of the manager, one handler after the
/// other. `Err(reason)` removes the handler: it has failed, unless the reason
/// is [`ExitReason::Normal`], which says that it is done. A panic is a failure
/// too. [`terminate`](Self::terminate) runs in either case, and the manager and
/// its other handlers go on (law EVT-04).
///
/// # Differences from Erlang
///
/// To reply to a call is an act, not a return value. A handler cannot swap
/// itself for another.
pub trait EventHandler: Sized + Send + 'static {
    /// What it is started with.
    type Args: Send + 'static;
    /// The events of its manager.
    type Event: Send + Sync + 'static;
    /// What it can be asked, by [`EventManager::call`](super::EventManager::call);
    /// [`Infallible`](std::convert::Infallible) if nothing.
    type Request: Send + 'static;
    /// What it leaves when it ends.
    type Output: Send + 'static;

    /// Makes the state.
    fn init(args: Self::Args) -> impl Future<Output = Result<Self, ExitReason>> + Send;

    /// Handles an event, which all handlers are given, the newest handler first
    /// (law EVT-03).
    fn handle_event(
        &mut self,
        event: &Self::Event,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send;

    /// Handles what this handler alone is asked. If it is not written, whoever
    /// asks is told that there is no reply.
    fn handle_call(
        &mut self,
        request: Self::Request,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        drop(request);
        async { Ok(()) }
    }

    /// Handles the exit signals that come to the manager, and the ends of
    /// processes that a handler monitors. If it is not written, they are
    /// dropped.
    fn handle_info(&mut self, info: &Info) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = info;
        async { Ok(()) }
    }

    /// Cleans up, whatever ended the handler; what it leaves. Not if the
    /// manager is killed.
    fn terminate(self, why: HandlerEnd) -> impl Future<Output = Self::Output> + Send;

    /// What this handler is called by: its type.
    fn id() -> HandlerId<Self> {
        HandlerId::new(None)
    }

    /// What this handler is called by, where there are several of its type: its
    /// type and a name.
    fn id_as(name: impl Into<Name>) -> HandlerId<Self> {
        HandlerId::new(Some(name.into()))
    }
}

/// Why a handler ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HandlerEnd {
    /// It was [deleted](super::EventManager::delete_handler).
    Deleted,
    /// It said itself that it is done.
    Removed,
    /// It was [swapped](super::EventManager::swap_handler) for this one.
    Swapped(HandlerKey),
    /// Who added it, as a supervised one, has ended with this reason.
    OwnerEnded(ExitReason),
    /// The manager stops.
    Stopped,
    /// It panicked, or returned this reason.
    Failed(ExitReason),
}

/// What a handler of a certain type is called by; see
/// [`EventHandler::id`] and [`EventHandler::id_as`].
pub struct HandlerId<H> {
    name: Option<Name>,
    handler: PhantomData<fn() -> H>,
}

impl<H: EventHandler> HandlerId<H> {
    fn new(name: Option<Name>) -> Self {
        Self {
            name,
            handler: PhantomData,
        }
    }

    /// The same, without the type.
    pub fn key(&self) -> HandlerKey {
        HandlerKey {
            handler: TypeId::of::<H>(),
            type_name: type_name::<H>(),
            name: self.name.clone(),
        }
    }
}

impl<H> fmt::Debug for HandlerId<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_handler(type_name::<H>(), self.name.as_ref(), f)
    }
}

/// What a handler is called by, whatever its type.
///
/// # Examples
///
/// ```
/// # use resurgam_runtime::{EventHandler, ExitReason, HandlerEnd};
/// # struct Log;
/// # impl EventHandler for Log {
/// #     type Args = ();
/// #     type Event = ();
/// #     type Request = ();
/// #     type Output = ();
/// #     async fn init((): ()) -> Result<Self, ExitReason> { Ok(Self) }
/// #     async fn handle_event(&mut self, (): &()) -> Result<(), ExitReason> { Ok(()) }
/// #     async fn terminate(self, _: HandlerEnd) {}
/// # }
/// assert_eq!(Log::id().key(), Log::id().key());
/// assert_ne!(Log::id_as("second").key(), Log::id().key());
/// assert!(Log::id_as("second").key().to_string().ends_with("Log (second)"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HandlerKey {
    handler: TypeId,
    type_name: &'static str,
    name: Option<Name>,
}

impl HandlerKey {
    /// The type of the handler, for people.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The name it was given beside its type.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }
}

impl fmt::Display for HandlerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_handler(self.type_name, self.name.as_ref(), f)
    }
}

impl fmt::Debug for HandlerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_handler(type_name: &str, name: Option<&Name>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name {
        Some(name) => write!(f, "{type_name} ({name})"),
        None => f.write_str(type_name),
    }
}

/// A handler of whatever type, for events of this one.
pub(super) trait AnyHandler<E>: Any + Send {
    fn handle_event<'a>(&'a mut self, event: &'a E) -> BoxFuture<'a, Result<(), ExitReason>>;

    fn handle_info<'a>(&'a mut self, info: &'a Info) -> BoxFuture<'a, Result<(), ExitReason>>;

    /// What it leaves: an [`EventHandler::Output`].
    fn terminate(self: Box<Self>, why: HandlerEnd) -> BoxFuture<'static, Box<dyn Any + Send>>;
}

impl<H: EventHandler> AnyHandler<H::Event> for H {
    fn handle_event<'a>(
        &'a mut self,
        event: &'a H::Event,
    ) -> BoxFuture<'a, Result<(), ExitReason>> {
        EventHandler::handle_event(self, event).boxed()
    }

    fn handle_info<'a>(&'a mut self, info: &'a Info) -> BoxFuture<'a, Result<(), ExitReason>> {
        EventHandler::handle_info(self, info).boxed()
    }

    fn terminate(self: Box<Self>, why: HandlerEnd) -> BoxFuture<'static, Box<dyn Any + Send>> {
        let left = EventHandler::terminate(*self, why);
        left.map(|left| Box::new(left) as Box<dyn Any + Send>)
            .boxed()
    }
}
