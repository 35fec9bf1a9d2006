//! The life of a server: init, one event after the other, terminate.

use std::any::type_name;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{Either, ready, select};

use super::{Due, GenServer, Info, ServerContext, Wait};
use crate::behaviour::{
    Birth, Incoming, acknowledge, before_init, before_terminate, caught, leave_report, meaning,
    panicked,
};
use crate::caught::{PanicPayload, drop_caught};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::context::{Context, Event};
use crate::process::current;
use crate::sys::EventKind;
use crate::sys::desk::Desk;
use crate::sys::request::{Parts, Request, Subject};

/// What a server has to do next.
enum Next<M> {
    Handle(M),
    Seldom(Seldom<M>),
}

/// What it seldom has to do.
enum Seldom<M> {
    Continue(M),
    Info(Info),
    Stop(ExitReason),
    Request(Request),
}

/// The body of a server's process.
pub(super) fn serve<S: GenServer>(
    args: S::Args,
    birth: Birth<S::Message>,
) -> impl Future<Output = ExitReason> + Send {
    // Two futures in one place: what is needed to begin is not held after that.
    begin::<S>(args, birth).then(|begun| match begun {
        Ok((server, ctx)) => live(server, ctx).left_future(),
        Err(reason) => ready(reason).right_future(),
    })
}

/// The rest of the life of a process that becomes a server.
pub(super) fn enter_loop<S: GenServer>(
    server: S,
    context: Context<S::Message>,
) -> impl Future<Output = ExitReason> + Send {
    let parent = current::with(|process| process.header().parent()).flatten();
    live(server, ServerContext::new(context, parent, None))
}

/// Makes the state and tells whoever waits for it; why there is none.
fn begin<S: GenServer>(
    args: S::Args,
    birth: Birth<S::Message>,
) -> impl Future<Output = Result<(S, ServerContext<S>), ExitReason>> + Send {
    let Birth {
        context,
        parent,
        ack,
        desk,
    } = birth;
    let mut ctx = ServerContext::new(context, parent, desk);
    // An `async fn` would hold what it is given twice.
    async move {
        let made = match before_init(&ack) {
            Ok(()) => S::init(args, &mut ctx).await,
            Err(error) => Err(error),
        };
        Ok((acknowledge(&ack, made)?, ctx))
    }
}

/// Handles one event after the other until one says to stop, then cleans up;
/// why.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold what it is given twice"
)]
fn live<S: GenServer>(
    mut server: S,
    mut ctx: ServerContext<S>,
) -> impl Future<Output = ExitReason> + Send {
    async move {
        let reason = loop {
            // Nothing but the callback is held while it runs.
            let message = match next(&mut ctx).await {
                Next::Handle(message) => message,
                Next::Seldom(seldom) => match handle_seldom(seldom, &mut server, &mut ctx).await {
                    Ok(()) => continue,
                    Err(reason) => break reason,
                },
            };
            match is_stale(&server, &message) {
                Ok(false) => {}
                Ok(true) => {
                    drop_caught(message);
                    continue;
                }
                Err(payload) => break panicked(payload),
            }
            match caught(|| server.handle(message, &mut ctx)).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => break reason,
                Err(payload) => break panicked(payload),
            }
        };
        leave_report(&Open(&mut server, &mut ctx), &reason);
        before_terminate();
        // A panic of it replaces the reason (law GS-76).
        let terminated = caught(|| server.terminate(&reason, &mut ctx)).await;
        if let Some(reply) = ctx.take_last_reply() {
            reply();
        }
        terminated.map_or_else(
            |payload| {
                let reason = panicked(payload);
                leave_report(&Open(&mut server, &mut ctx), &reason);
                reason
            },
            |()| reason,
        )
    }
}

/// Whether the server says that a message is not worth handling.
#[inline]
fn is_stale<S: GenServer>(server: &S, message: &S::Message) -> Result<bool, PanicPayload> {
    catch_unwind(AssertUnwindSafe(|| server.is_stale(message)))
}

/// Handles what is no message that was sent.
fn handle_seldom<S: GenServer>(
    seldom: Seldom<S::Message>,
    server: &mut S,
    ctx: &mut ServerContext<S>,
) -> impl Future<Output = Result<(), ExitReason>> + Send {
    let callback = match seldom {
        Seldom::Continue(message) => {
            let callback = caught(|| server.handle_continue(message, ctx));
            callback.left_future().left_future()
        }
        Seldom::Info(info) => {
            let callback = caught(|| server.handle_info(info, ctx));
            callback.right_future().left_future()
        }
        Seldom::Stop(reason) => ready(Ok(Err(reason))).right_future(),
        Seldom::Request(request) => {
            request.serve(&mut Open(server, ctx));
            ctx.tidy_desk();
            ready(Ok(Ok(()))).right_future()
        }
    };
    callback.map(|handled| handled.map_err(panicked)?)
}

/// What the last callback set to be handled next, or else the next event, or
/// that the time the callback set is up.
async fn next<S: GenServer>(ctx: &mut ServerContext<S>) -> Next<S::Message> {
    if ctx.ordered.is_some() {
        if let Some(message) = ctx.take_next() {
            return ctx.noted(Next::Seldom(Seldom::Continue(message)));
        }
        if ctx.desk().is_some_and(Desk::is_suspended) {
            let parent = ctx.parent;
            let event = poll_fn(|cx| ctx.context.poll_order(parent, cx)).await;
            return ctx.meaning(event);
        }
        if let Some(wait) = ctx.take_wait() {
            // Seldom, and large.
            let next = Box::pin(wait_for(ctx, wait)).await;
            return ctx.noted(next);
        }
    }
    let next = poll_fn(|cx| match ctx.context.next_message() {
        Some(message) => Poll::Ready(Next::Handle(message)),
        None => ctx.context.poll_event(cx).map(|event| ctx.meaning(event)),
    })
    .await;
    if ctx.ordered.is_some() {
        return ctx.noted(next);
    }
    next
}

impl<S: GenServer> ServerContext<S> {
    /// What an event means for this server.
    fn meaning(&self, event: Event<S::Message>) -> Next<S::Message> {
        match meaning(event, self.parent) {
            Ok(message) => Next::Handle(message),
            Err(Incoming::Info(info)) => Next::Seldom(Seldom::Info(info)),
            Err(Incoming::Stop(reason)) => Next::Seldom(Seldom::Stop(reason)),
            Err(Incoming::Request(request)) => Next::Seldom(Seldom::Request(request)),
            Err(Incoming::Timeout(_)) => unreachable!("only state machines arm such timers"),
        }
    }

    /// Notes what is about to be handled, if anybody wants to know.
    #[cold]
    fn noted(&mut self, next: Next<S::Message>) -> Next<S::Message> {
        let ordered = self.ordered.as_mut();
        let Some(desk) = ordered.and_then(|ordered| ordered.desk.as_mut()) else {
            return next;
        };
        let (pid, now) = (self.context.pid(), self.context.now());
        let show = |message: &S::Message| format!("{:?}", S::format_message(message));
        match &next {
            Next::Handle(message) => desk.note(pid, now, EventKind::Message, || show(message)),
            Next::Seldom(Seldom::Continue(message)) => {
                desk.note(pid, now, EventKind::Continue, || show(message));
            }
            Next::Seldom(Seldom::Info(info)) => {
                desk.note(pid, now, EventKind::Info, || format!("{info:?}"));
            }
            Next::Seldom(Seldom::Stop(_) | Seldom::Request(_)) => {}
        }
        self.tidy_desk();
        next
    }

    /// Takes a desk away that nobody needs any more.
    fn tidy_desk(&mut self) {
        if let Some(ordered) = &mut self.ordered {
            ordered.desk.take_if(|desk| desk.is_clear());
        }
    }
}

/// What comes first: an event, or the time. What `sys` asks does not end the
/// wait (law GS-57).
async fn wait_for<S: GenServer>(
    ctx: &mut ServerContext<S>,
    wait: Wait<S::Message>,
) -> Next<S::Message> {
    let Wait { due, message } = wait;
    if due == Due::After(Duration::ZERO) && message.is_some() {
        // One that always has something of its own to do lets others run, and
        // can be killed.
        ctx.context.give_way().await;
        return timed_out(message);
    }
    let due = due.begun(&ctx.node());
    match event_until(ctx, due).await.map(|event| ctx.meaning(event)) {
        Some(Next::Seldom(Seldom::Request(request))) => {
            ctx.ordered().wait = Some(Wait { due, message });
            Next::Seldom(Seldom::Request(request))
        }
        Some(next) => next,
        None => timed_out(message),
    }
}

fn timed_out<M>(message: Option<M>) -> Next<M> {
    match message {
        Some(message) => Next::Handle(message),
        None => Next::Seldom(Seldom::Info(Info::Timeout)),
    }
}

/// The next event, if it comes in time.
async fn event_until<S: GenServer>(
    ctx: &mut ServerContext<S>,
    due: Due,
) -> Option<Event<S::Message>> {
    let node = ctx.node();
    let sleep = match due {
        Due::After(time) => node.sleep(time),
        Due::Since(at) | Due::At(at) => node.sleep_until(at),
    };
    let event = {
        let event = pin!(poll_fn(|cx| ctx.context.poll_event(cx)));
        match select(event, sleep).await {
            Either::Left((event, _)) => Some(event),
            // A message that is there by now goes first.
            Either::Right(((), _)) => None,
        }
    };
    ctx.context.wait_no_more();
    event.or_else(|| ctx.context.try_event())
}

/// A server between two events.
struct Open<'a, S: GenServer>(&'a mut S, &'a mut ServerContext<S>);

impl<S: GenServer> Subject for Open<'_, S> {
    fn type_name(&self) -> &'static str {
        type_name::<S>()
    }

    fn parent(&self) -> Option<Pid> {
        self.1.parent()
    }

    fn desk(&self) -> Option<&Desk> {
        self.1.desk()
    }

    fn desk_mut(&mut self) -> &mut Desk {
        self.1.desk_mut()
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            data: self.0.as_state(),
            state: None,
        }
    }

    fn format(&self) -> String {
        format!("{:?}", self.0.format_status())
    }

    fn resumed(&mut self, since: Instant, now: Instant) {
        let ordered = self.1.ordered.as_mut();
        if let Some(wait) = ordered.and_then(|ordered| ordered.wait.as_mut()) {
            wait.due = wait.due.shifted(now.saturating_duration_since(since));
        }
    }
}
