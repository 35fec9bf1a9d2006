//! The life of a server: init, one event after the other, terminate.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;

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
    Continue(M),
    Handle(M),
    Info(Info),
    Stop(ExitReason),
}

/// The body of a server's process.
pub(super) async fn serve<S: GenServer>(
    context: Context<S::Message>,
    parent: Option<Pid>,
    args: S::Args,
    ack: Ack,
) -> ExitReason {
    let mut ctx = ServerContext {
        context,
        parent,
        next: None,
        timeout: None,
        last_reply: None,
    };
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
    let reason = run(&mut server, &mut ctx).await;
    terminate(&mut server, &mut ctx, reason).await
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

/// Handles events until one says to stop; why.
async fn run<S: GenServer>(server: &mut S, ctx: &mut ServerContext<S>) -> ExitReason {
    loop {
        let next = match ctx.next.take() {
            Some(message) => Next::Continue(message),
            None => wait(ctx).await,
        };
        if let Err(reason) = step(server, ctx, next).await {
            return reason;
        }
    }
}

async fn step<S: GenServer>(
    server: &mut S,
    ctx: &mut ServerContext<S>,
    next: Next<S::Message>,
) -> Result<(), ExitReason> {
    match next {
        Next::Handle(message) => caught(async { server.handle(message, ctx).await }).await?,
        Next::Continue(message) => {
            caught(async { server.handle_continue(message, ctx).await }).await?
        }
        Next::Info(info) => caught(async { server.handle_info(info, ctx).await }).await?,
        Next::Stop(reason) => Err(reason),
    }
}

/// Waits for the next event, or for the time-out that the last callback set.
async fn wait<S: GenServer>(ctx: &mut ServerContext<S>) -> Next<S::Message> {
    let event = match ctx.timeout.take() {
        None => poll_fn(|cx| ctx.context.poll_event(cx)).await,
        Some(timeout) => {
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
            match event.or_else(|| ctx.context.try_event()) {
                Some(event) => event,
                None => return Next::Info(Info::Timeout),
            }
        }
    };
    match event {
        Event::Message(Message::User(message)) => Next::Handle(message),
        // GS-72: for any reason, normal included. Without a parent, it is the
        // node that tells the server to stop.
        Event::Message(Message::Exit(exit)) if exit.from == ctx.parent.unwrap_or(Pid::NODE) => {
            Next::Stop(exit.reason)
        }
        Event::Message(Message::Exit(exit)) => Next::Info(Info::Exit(exit)),
        Event::Message(Message::Down(down)) => Next::Info(Info::Down(down)),
        Event::System(System::Stop(reason)) => Next::Stop(reason),
    }
}

/// Runs `terminate`, then lets the last reply go; the reason to end with. A
/// panic of `terminate` replaces the reason (law GS-76).
async fn terminate<S: GenServer>(
    server: &mut S,
    ctx: &mut ServerContext<S>,
    reason: ExitReason,
) -> ExitReason {
    // Replies that were dropped by now get this reason.
    current::with(|process| process.owner().ending = true);
    let terminated = caught(async { server.terminate(&reason, ctx).await }).await;
    if let Some(reply) = ctx.last_reply.take() {
        reply();
    }
    terminated.err().unwrap_or(reason)
}

/// Where a simulation may let a callback panic.
fn begin_callback() {
    #[cfg(feature = "sim")]
    crate::sim::await_point();
}

/// Runs a callback; a panic becomes the reason it means.
async fn caught<T>(callback: impl Future<Output = T>) -> Result<T, ExitReason> {
    panic_hook::forget_place();
    let callback = async {
        begin_callback();
        callback.await
    };
    AssertUnwindSafe(callback)
        .catch_unwind()
        .await
        .map_err(|payload| body::panicked(&current::expect("a server"), payload))
}
