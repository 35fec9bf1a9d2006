//! The server of an event manager: it runs the handlers, one after the other.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;

use super::handler::AnyHandler;
use super::{EventHandler, HandlerEnd, HandlerError, HandlerExit, HandlerId, HandlerKey};
use crate::behaviour::{caught, panicked};
use crate::caught::{PanicPayload, discard_payload, drop_caught, guarded};
use crate::exit_reason::ExitReason;
use crate::gen_server::{GenServer, Info, InitError, ServerContext};
use crate::pid::Pid;
use crate::process::{link, trap_exit, unlink};
use crate::reply::Reply;
use crate::teller::Teller;

/// The server behind an [`EventManager`](super::EventManager).
pub struct EventServer<E> {
    /// The newest first.
    handlers: Vec<Installed<E>>,
}

/// What an event manager can be sent, by [`EventManager`](super::EventManager).
pub struct EventRequest<E>(pub(super) Request<E>);

pub(super) enum Request<E> {
    Notify(E),
    SyncNotify(E, Reply<()>),
    Act(Act<E>),
}

/// Something to be done with handlers whose types it knows.
type Act<E> = Box<dyn for<'a> FnOnce(&'a mut EventServer<E>) -> BoxFuture<'a, ()> + Send>;

/// A handler that was added.
struct Installed<E> {
    key: HandlerKey,
    handler: Box<dyn AnyHandler<E>>,
    owner: Option<Owner>,
}

/// Who added a supervised handler, and is told of its end.
pub(super) struct Owner {
    pub(super) pid: Pid,
    pub(super) teller: Teller<HandlerExit>,
}

/// A handler that has ended.
struct Ended {
    /// What it left; none if `terminate` panicked.
    left: Result<Box<dyn Any + Send>, ExitReason>,
    owner: Option<Owner>,
}

impl Ended {
    /// Lets go of what it left, which is the user's.
    fn forget(self) {
        drop_caught(self.left);
    }
}

/// What handlers are given.
enum News<'a, E> {
    Event(&'a E),
    Info(&'a Info),
}

impl<E> Copy for News<'_, E> {}

impl<E> Clone for News<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: 'static> Installed<E> {
    fn hear<'a>(&'a mut self, news: News<'a, E>) -> BoxFuture<'a, Result<(), ExitReason>> {
        match news {
            News::Event(event) => self.handler.handle_event(event),
            News::Info(info) => self.handler.handle_info(info),
        }
    }
}

/// Where a call that brings no reply finds out why.
pub(super) type Verdict = Arc<OnceLock<HandlerError>>;

impl<E: Send + Sync + 'static> GenServer for EventServer<E> {
    type Args = ();
    type Message = EventRequest<E>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(true);
        let handlers = Vec::new();
        Ok(Self { handlers })
    }

    async fn handle(
        &mut self,
        EventRequest(request): EventRequest<E>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::Notify(event) => self.notify(event).await,
            Request::SyncNotify(event, reply) => {
                self.notify(event).await;
                reply.send(());
            }
            Request::Act(act) => act(self).await,
        }
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        if let Info::Exit(exit) = &info {
            self.owner_ended(exit.from, &exit.reason).await;
        }
        self.tell_all(News::Info(&info)).await;
        Ok(())
    }

    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| {
            let keys: Vec<_> = self.handlers.iter().map(|handler| &handler.key).collect();
            f.debug_struct("EventManager")
                .field("handlers", &keys)
                .finish()
        })
    }

    fn format_message(EventRequest(request): &EventRequest<E>) -> impl fmt::Debug {
        fmt::from_fn(move |f| match request {
            Request::Notify(_) => write!(f, "Notify({})", type_name::<E>()),
            Request::SyncNotify(..) => write!(f, "SyncNotify({})", type_name::<E>()),
            Request::Act(_) => f.write_str("Act"),
        })
    }

    async fn terminate(&mut self, _: &ExitReason, ctx: &mut ServerContext<Self>) {
        while !self.handlers.is_empty() {
            let ended = self.end(0, HandlerEnd::Stopped).await;
            // An owner was told, and is not to be ended by the link as well.
            if let Some(owner) = &ended.owner
                && Some(owner.pid) != ctx.parent()
            {
                unlink(owner.pid);
            }
            ended.forget();
        }
    }
}

impl<E: Send + Sync + 'static> EventServer<E> {
    /// Gives an event to all handlers. Its destructor is none of theirs.
    async fn notify(&mut self, event: E) {
        self.tell_all(News::Event(&event)).await;
        drop_caught(event);
    }

    async fn tell_all(&mut self, news: News<'_, E>) {
        let mut at = 0;
        while let Some(installed) = self.handlers.get_mut(at) {
            match outcome(caught(|| installed.hear(news)).await) {
                Ok(()) => at += 1,
                Err(why) => self.end(at, why).await.forget(),
            }
        }
    }

    /// Ends the handlers that a process has added as supervised ones.
    async fn owner_ended(&mut self, pid: Pid, reason: &ExitReason) {
        while !planted!(HandlerOutlivesOwner)
            && let Some(at) = self.owned_by(pid)
        {
            let why = HandlerEnd::OwnerEnded(reason.clone());
            self.end(at, why).await.forget();
        }
    }

    fn owned_by(&self, pid: Pid) -> Option<usize> {
        let owner = |installed: &Installed<E>| installed.owner.as_ref().map(|owner| owner.pid);
        self.handlers
            .iter()
            .position(|installed| owner(installed) == Some(pid))
    }

    /// Takes a handler out, has it clean up, and tells its owner.
    async fn end(&mut self, at: usize, why: HandlerEnd) -> Ended {
        let Installed {
            key,
            handler,
            mut owner,
        } = self.handlers.remove(at);
        if let HandlerEnd::Failed(reason) = &why {
            guarded(
                || tracing::error!(target: "resurgam::gen_event", handler = %key, %reason, "handler failed, and is removed"),
            );
        }
        let left = caught(|| handler.terminate(why.clone())).await;
        let left = left.map_err(panicked);
        if let Err(reason) = &left {
            guarded(
                || tracing::error!(target: "resurgam::gen_event", handler = %key, %reason, "terminate of a handler panicked"),
            );
        }
        let is_untold = planted!(RemovalUntold) && matches!(why, HandlerEnd::Failed(_));
        if let Some(Owner { teller, .. }) = &mut owner
            && !is_untold
            && let Err(payload) = teller.tell(HandlerExit { handler: key, why })
        {
            discard_payload(payload);
            guarded(
                || tracing::warn!(target: "resurgam::gen_event", "owner of a handler could not be told of its end"),
            );
        }
        Ended { left, owner }
    }

    /// Where the newest handler of this id is.
    fn position(&self, key: &HandlerKey) -> Option<usize> {
        self.handlers
            .iter()
            .position(|installed| installed.key == *key)
    }

    /// Adds a handler, as the newest; why it could not be made.
    pub(super) async fn add<H: EventHandler<Event = E>>(
        &mut self,
        id: &HandlerId<H>,
        args: impl FnOnce() -> H::Args + Send,
        owner: Option<Owner>,
    ) -> Result<(), ExitReason> {
        let made = caught(|| H::init(args())).await;
        let handler = made.unwrap_or_else(|payload| Err(panicked(payload)))?;
        if let Some(owner) = &owner {
            link(owner.pid);
        }
        let installed = Installed {
            key: id.key(),
            handler: Box::new(handler),
            owner,
        };
        self.handlers.insert(0, installed);
        Ok(())
    }

    /// Ends a handler; what it left.
    pub(super) async fn delete<H: EventHandler<Event = E>>(
        &mut self,
        id: &HandlerId<H>,
    ) -> Result<H::Output, HandlerError> {
        let key = id.key();
        let Some(at) = self.position(&key) else {
            return Err(HandlerError::NotFound(key));
        };
        let ended = self.end(at, HandlerEnd::Deleted).await;
        ended.left.map(as_output::<H>).map_err(HandlerError::Failed)
    }

    /// Ends a handler, if it is there, and adds another, for the same owner if
    /// none is named.
    pub(super) async fn swap<A, B>(
        &mut self,
        old: &HandlerId<A>,
        new: &HandlerId<B>,
        args: impl FnOnce(Option<A::Output>) -> B::Args + Send,
        owner: Option<Owner>,
    ) -> Result<(), ExitReason>
    where
        A: EventHandler<Event = E>,
        B: EventHandler<Event = E>,
    {
        let (mut left, mut heir) = (None, owner);
        if let Some(at) = self.position(&old.key()) {
            let ended = self.end(at, HandlerEnd::Swapped(new.key())).await;
            left = ended.left.ok().map(as_output::<A>);
            heir = heir.or(ended.owner);
        }
        self.add(new, move || args(left), heir).await
    }

    /// Has a handler do what it is asked. If there is no reply, the verdict
    /// says why before the caller is told so.
    pub(super) async fn call<H: EventHandler<Event = E>>(
        &mut self,
        id: &HandlerId<H>,
        request: H::Request,
        verdict: Verdict,
    ) {
        let key = id.key();
        let Some(at) = self.position(&key) else {
            let _ = verdict.set(HandlerError::NotFound(key));
            drop_caught(request);
            return;
        };
        let handler: &mut dyn Any = &mut *self.handlers[at].handler;
        let handler = handler.downcast_mut::<H>();
        let handler = handler.expect("a key has the type of its handler");
        let Err(why) = outcome(caught(|| handler.handle_call(request)).await) else {
            return;
        };
        if let HandlerEnd::Failed(reason) = &why {
            let _ = verdict.set(HandlerError::Failed(reason.clone()));
        }
        self.end(at, why).await.forget();
    }

    pub(super) fn keys(&self) -> Vec<HandlerKey> {
        let keys = self.handlers.iter().map(|installed| installed.key.clone());
        keys.collect()
    }
}

/// What a callback says: to go on, or how the handler ends.
fn outcome(called: Result<Result<(), ExitReason>, PanicPayload>) -> Result<(), HandlerEnd> {
    match called.unwrap_or_else(|payload| Err(panicked(payload))) {
        Ok(()) => Ok(()),
        Err(ExitReason::Normal) => Err(HandlerEnd::Removed),
        Err(reason) => Err(HandlerEnd::Failed(reason)),
    }
}

fn as_output<H: EventHandler>(left: Box<dyn Any + Send>) -> H::Output {
    let left = left.downcast::<H::Output>();
    *left.expect("a key has the type of its handler")
}

impl<E> fmt::Debug for EventServer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.handlers.iter().map(|installed| &installed.key);
        f.debug_list().entries(keys).finish()
    }
}

impl<E> fmt::Debug for EventRequest<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Request::Notify(_) => "Notify",
            Request::SyncNotify(..) => "SyncNotify",
            Request::Act(_) => "Act",
        })
    }
}
