//! The life of a server: init, one event after the other, terminate.

use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, ready, select};

use super::start::Ack;
use super::{GenServer, Info, InitError, ServerContext, StartError};
use crate::caught::PanicPayload;
use crate::exit_reason::ExitReason;
use crate::panic_hook;
use crate::process::context::Event;
use crate::process::{body, current};
use crate::signal::{Message, System};

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
    ctx: ServerContext<S>,
    args: S::Args,
    ack: Ack,
) -> impl Future<Output = ExitReason> + Send {
    // Two futures in one place: what is needed to begin is not held after that.
    begin(ctx, args, ack).then(|begun| match begun {
        Ok((server, ctx)) => live(server, ctx).left_future(),
        Err(reason) => ready(reason).right_future(),
    })
}

/// Makes the state and tells whoever waits for it; why there is none.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold what it is given twice"
)]
fn begin<S: GenServer>(
    mut ctx: ServerContext<S>,
    args: S::Args,
    ack: Ack,
) -> impl Future<Output = Result<(S, ServerContext<S>), ExitReason>> + Send {
    async move {
        #[cfg(feature = "sim")]
        if crate::sim::fails_init() {
            let reason = ExitReason::custom("init fails by order of the simulation");
            return Err(refuse(&ack, InitError::Stop(reason)));
        }
        if planted!(AcknowledgedEarly) {
            ack.tell(Ok(()));
        }
        // A panic here ends the process, which whoever starts it sees.
        let server = match S::init(args, &mut ctx).await {
            Ok(server) => server,
            Err(error) => return Err(refuse(&ack, error)),
        };
        ack.tell(Ok(()));
        Ok((server, ctx))
    }
}

/// Handles one event after the other until one says to stop, then cleans up;
/// why.
#[expect(clippy::manual_async_fn, reason = "as of `begin`")]
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
        // Replies that were dropped by now get this reason.
        current::with(|process| process.owner().ending = true);
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

fn panicked(payload: PanicPayload) -> ExitReason {
    body::panicked(&current::expect("a server"), payload)
}

/// Tells why the server does not start; the reason to end with.
fn refuse(ack: &Ack, error: InitError) -> ExitReason {
    let (told, reason) = match error {
        InitError::Ignore => (StartError::Ignore, ExitReason::Normal),
        InitError::Error(reason) => (StartError::Failed(reason), ExitReason::Normal),
        InitError::Stop(reason) => (StartError::Failed(reason.clone()), reason),
    };
    ack.tell(Err(told));
    reason
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
        Next::Seldom(match event {
            Event::Message(Message::User(message)) => return Next::Handle(message),
            // GS-72: for any reason, normal included. Without a parent, it is
            // the node that tells the server to stop.
            Event::Message(Message::Exit(exit)) if exit.from == self.parent => {
                Seldom::Stop(exit.reason)
            }
            Event::Message(Message::Exit(exit)) => Seldom::Info(Info::Exit(exit)),
            Event::Message(Message::Down(down)) => Seldom::Info(Info::Down(down)),
            Event::System(System::Stop(reason)) => Seldom::Stop(reason),
        })
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

/// Calls a callback, which may panic before it makes its future, and runs it;
/// the payload if it panics.
#[inline]
fn caught<F: Future>(
    callback: impl FnOnce() -> F,
) -> impl Future<Output = Result<F::Output, PanicPayload>> {
    panic_hook::forget_place();
    match panic::catch_unwind(AssertUnwindSafe(callback)) {
        Ok(callback) => run(callback).left_future(),
        Err(payload) => ready(Err(payload)).right_future(),
    }
}

/// Runs a callback that was called.
#[inline]
fn run<F: Future>(callback: F) -> impl Future<Output = Result<F::Output, PanicPayload>> {
    #[cfg(feature = "sim")]
    let callback = async {
        // Where a simulation may let a callback panic.
        crate::sim::await_point();
        callback.await
    };
    AssertUnwindSafe(callback).catch_unwind()
}
