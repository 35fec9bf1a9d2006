//! The life of a server: init, one event after the other, terminate.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, ready, select};

use super::{GenServer, Info, ServerContext};
use crate::behaviour::{
    Birth, Incoming, acknowledge, before_init, before_terminate, caught, meaning, panicked,
};
use crate::exit_reason::ExitReason;
use crate::process::context::Event;

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

/// Makes the state and tells whoever waits for it; why there is none.
fn begin<S: GenServer>(
    args: S::Args,
    birth: Birth<S::Message>,
) -> impl Future<Output = Result<(S, ServerContext<S>), ExitReason>> + Send {
    let Birth {
        context,
        parent,
        ack,
    } = birth;
    let mut ctx = ServerContext::new(context, parent);
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
            match caught(|| server.handle(message, &mut ctx)).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => break reason,
                Err(payload) => break panicked(payload),
            }
        };
        before_terminate();
        // A panic of it replaces the reason (law GS-76).
        let terminated = caught(|| server.terminate(&reason, &mut ctx)).await;
        if let Some(reply) = ctx.take_last_reply() {
            reply();
        }
        terminated.map_or_else(panicked, |()| reason)
    }
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
    };
    callback.map(|handled| handled.map_err(panicked)?)
}

/// What the last callback set to be handled next, or else the next event, or
/// that the time the callback set is up.
async fn next<S: GenServer>(ctx: &mut ServerContext<S>) -> Next<S::Message> {
    if ctx.ordered.is_some() {
        if let Some(message) = ctx.take_next() {
            return Next::Seldom(Seldom::Continue(message));
        }
        if let Some(timeout) = ctx.take_timeout() {
            // Seldom, and large.
            return match Box::pin(event_within(ctx, timeout)).await {
                Some(event) => ctx.meaning(event),
                None => Next::Seldom(Seldom::Info(Info::Timeout)),
            };
        }
    }
    poll_fn(|cx| match ctx.context.next_message() {
        Some(message) => Poll::Ready(Next::Handle(message)),
        None => ctx.context.poll_event(cx).map(|event| ctx.meaning(event)),
    })
    .await
}

impl<S: GenServer> ServerContext<S> {
    /// What an event means for this server.
    fn meaning(&self, event: Event<S::Message>) -> Next<S::Message> {
        match meaning(event, self.parent) {
            Ok(message) => Next::Handle(message),
            Err(Incoming::Info(info)) => Next::Seldom(Seldom::Info(info)),
            Err(Incoming::Stop(reason)) => Next::Seldom(Seldom::Stop(reason)),
            Err(Incoming::Timeout(_)) => unreachable!("only state machines arm such timers"),
        }
    }
}

/// The next event, if it comes in time.
async fn event_within<S: GenServer>(
    ctx: &mut ServerContext<S>,
    timeout: Duration,
) -> Option<Event<S::Message>> {
    let sleep = ctx.node().sleep(timeout);
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
