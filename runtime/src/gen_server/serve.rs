//! The life of a server: init, one event after the other, terminate.

use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};

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
    Continue(M),
    Handle(M),
    Info(Info),
    Stop(ExitReason),
}

/// The body of a server's process.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold what it is given twice"
)]
pub(super) fn serve<S: GenServer>(
    mut ctx: ServerContext<S>,
    args: S::Args,
    ack: Ack,
) -> impl Future<Output = ExitReason> + Send {
    async move {
        #[cfg(feature = "sim")]
        if crate::sim::fails_init() {
            let reason = ExitReason::custom("init fails by order of the simulation");
            return refuse(&ack, InitError::Stop(reason));
        }
        if planted!(AcknowledgedEarly) {
            ack.tell(Ok(()));
        }
        // A panic here ends the process, which whoever starts it sees.
        let mut server = match S::init(args, &mut ctx).await {
            Ok(server) => server,
            Err(error) => return refuse(&ack, error),
        };
        ack.tell(Ok(()));
        drop(ack);
        // Handles events until one says to stop; why.
        let reason = loop {
            // Nothing but the callback is held while it runs.
            let called = match next(&mut ctx).await {
                Next::Handle(message) => {
                    called(|| server.handle(message, &mut ctx)).map(Either::Left)
                }
                Next::Continue(message) => called(|| server.handle_continue(message, &mut ctx))
                    .map(|callback| Either::Right(Either::Left(callback))),
                Next::Info(info) => called(|| server.handle_info(info, &mut ctx))
                    .map(|callback| Either::Right(Either::Right(callback))),
                Next::Stop(reason) => break reason,
            };
            let handled = match called {
                Ok(callback) => caught(callback).await,
                Err(payload) => Err(payload),
            };
            match handled {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => break reason,
                Err(payload) => break panicked(payload),
            }
        };
        // Replies that were dropped by now get this reason.
        current::with(|process| process.owner().ending = true);
        // A panic of it replaces the reason (law GS-76).
        let terminated = match called(|| server.terminate(&reason, &mut ctx)) {
            Ok(callback) => caught(callback).await,
            Err(payload) => Err(payload),
        };
        if let Some(reply) = ctx.take_last_reply() {
            reply();
        }
        terminated.map_or_else(panicked, |()| reason)
    }
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
            return Next::Continue(message);
        }
        if let Some(timeout) = ctx.take_timeout() {
            // Seldom, and large.
            return match Box::pin(event_within(ctx, timeout)).await {
                Some(event) => ctx.meaning(event),
                None => Next::Info(Info::Timeout),
            };
        }
    }
    if let Some(message) = ctx.context.next_message() {
        return Next::Handle(message);
    }
    let event = poll_fn(|cx| ctx.context.poll_event(cx)).await;
    ctx.meaning(event)
}

impl<S: GenServer> ServerContext<S> {
    /// What an event means for this server.
    fn meaning(&self, event: Event<S::Message>) -> Next<S::Message> {
        match event {
            Event::Message(Message::User(message)) => Next::Handle(message),
            // GS-72: for any reason, normal included. Without a parent, it is
            // the node that tells the server to stop.
            Event::Message(Message::Exit(exit)) if exit.from == self.parent => {
                Next::Stop(exit.reason)
            }
            Event::Message(Message::Exit(exit)) => Next::Info(Info::Exit(exit)),
            Event::Message(Message::Down(down)) => Next::Info(Info::Down(down)),
            Event::System(System::Stop(reason)) => Next::Stop(reason),
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

/// Calls a callback, which may panic before it makes its future.
#[inline]
fn called<F>(callback: impl FnOnce() -> F) -> Result<F, PanicPayload> {
    panic_hook::forget_place();
    panic::catch_unwind(AssertUnwindSafe(callback))
}

/// Runs a callback that was called; the payload if it panics.
#[inline]
fn caught<F: Future>(callback: F) -> impl Future<Output = Result<F::Output, PanicPayload>> {
    #[cfg(feature = "sim")]
    let callback = async {
        // Where a simulation may let a callback panic.
        crate::sim::await_point();
        callback.await
    };
    AssertUnwindSafe(callback).catch_unwind()
}
