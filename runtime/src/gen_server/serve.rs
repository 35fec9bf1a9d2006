//! The life of a server: init, one event after the other, terminate.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};

use super::{Ack, GenServer, Info, InitError, ServerContext, StartError};
use crate::exit_reason::ExitReason;
use crate::panic_hook;
use crate::pid::Pid;
use crate::process::context::{Context, Event};
use crate::process::{body, current};
use crate::signal::{Message, System};

/// What a server has to do next.
enum Next<M> {
    Handle(M),
    Info(Info),
    Stop(ExitReason),
}

/// The body of a server's process.
pub(super) async fn serve<S: GenServer>(
    mut ctx: ServerContext<S>,
    args: S::Args,
    ack: Ack,
) -> ExitReason {
    #[cfg(feature = "sim")]
    if crate::sim::fails_init() {
        let reason = ExitReason::custom("init fails by order of the simulation");
        return refuse(&ctx.context, &ack, InitError::Stop(reason));
    }
    if planted!(AcknowledgedEarly) {
        ack.tell(&ctx.context, Ok(()));
    }
    // A panic here ends the process, which whoever starts it sees.
    let mut server = match S::init(args, &mut ctx).await {
        Ok(server) => server,
        Err(error) => return refuse(&ctx.context, &ack, error),
    };
    ack.tell(&ctx.context, Ok(()));
    drop(ack);
    // Handles events until one says to stop; why.
    let reason = loop {
        let handled = match next(&mut ctx).await {
            Ok(message) => caught(server.handle_continue(message, &mut ctx)).await,
            Err(Next::Handle(message)) => caught(server.handle(message, &mut ctx)).await,
            Err(Next::Info(info)) => caught(server.handle_info(info, &mut ctx)).await,
            Err(Next::Stop(reason)) => break reason,
        };
        if let Err(reason) | Ok(Err(reason)) = handled {
            break reason;
        }
    };
    // Replies that were dropped by now get this reason.
    current::with(|process| process.owner().ending = true);
    // A panic of it replaces the reason (law GS-76).
    let terminated = caught(server.terminate(&reason, &mut ctx)).await;
    if let Some(reply) = ctx.last_reply.take() {
        reply();
    }
    terminated.err().unwrap_or(reason)
}

/// Tells why the server does not start; the reason to end with.
fn refuse<M: Send + 'static>(server: &Context<M>, ack: &Ack, error: InitError) -> ExitReason {
    let (told, reason) = match error {
        InitError::Ignore => (StartError::Ignore, ExitReason::Normal),
        InitError::Error(reason) => (StartError::Failed(reason), ExitReason::Normal),
        InitError::Stop(reason) => (StartError::Failed(reason.clone()), reason),
    };
    ack.tell(server, Err(told));
    reason
}

/// What the last callback set to be handled next, or else the next event, or
/// that the time the callback set is up.
async fn next<S: GenServer>(ctx: &mut ServerContext<S>) -> Result<S::Message, Next<S::Message>> {
    if let Some(message) = ctx.next.take() {
        return Ok(message);
    }
    let event = match ctx.timeout.take() {
        None => match ctx.context.next_message() {
            Some(message) => return Err(Next::Handle(message)),
            None => poll_fn(|cx| ctx.context.poll_event(cx)).await,
        },
        // Seldom, and large.
        Some(timeout) => match Box::pin(event_within(ctx, timeout)).await {
            Some(event) => event,
            None => return Err(Next::Info(Info::Timeout)),
        },
    };
    Err(match event {
        Event::Message(Message::User(message)) => Next::Handle(message),
        // GS-72: for any reason, normal included. Without a parent, it is the
        // node that tells the server to stop.
        Event::Message(Message::Exit(exit)) if exit.from == ctx.parent.unwrap_or(Pid::NODE) => {
            Next::Stop(exit.reason)
        }
        Event::Message(Message::Exit(exit)) => Next::Info(Info::Exit(exit)),
        Event::Message(Message::Down(down)) => Next::Info(Info::Down(down)),
        Event::System(System::Stop(reason)) => Next::Stop(reason),
    })
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

/// Runs a callback; a panic becomes the reason it means.
async fn caught<T>(callback: impl Future<Output = T>) -> Result<T, ExitReason> {
    panic_hook::forget_place();
    #[cfg(feature = "sim")]
    let callback = async {
        // Where a simulation may let a callback panic.
        crate::sim::await_point();
        callback.await
    };
    AssertUnwindSafe(callback)
        .catch_unwind()
        .await
        .map_err(|payload| body::panicked(&current::expect("a server"), payload))
}
