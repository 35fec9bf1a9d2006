//! Running what the user wrote: `init`, which is acknowledged, and callbacks,
//! which may panic.

use std::future::ready;
use std::panic::{self, AssertUnwindSafe};

use futures::FutureExt;

use super::InitError;
use super::start::{Ack, StartError};
use crate::caught::PanicPayload;
use crate::exit_reason::ExitReason;
use crate::panic_hook;
use crate::process::owner::ProcessStage;
use crate::process::{body, current};

/// To be asked before `init` runs: whether it may. A panic of `init` ends the
/// process, which whoever starts it sees.
pub(crate) fn before_init(ack: &Ack) -> Result<(), InitError> {
    if ack.has_told() {
        // That the key it was to be under is taken.
        return Err(InitError::Ignore);
    }
    current::with(|process| process.owner().stage = ProcessStage::Starting);
    #[cfg(feature = "sim")]
    if crate::sim::fails_init() {
        let reason = ExitReason::custom("init fails by order of the simulation");
        return Err(InitError::Stop(reason));
    }
    if planted!(AcknowledgedEarly) {
        ack.tell(Ok(()));
    }
    Ok(())
}

/// Tells whoever waits for the start what came of `init`; the reason to end
/// with, if it made nothing.
pub(crate) fn acknowledge<T>(ack: &Ack, made: Result<T, InitError>) -> Result<T, ExitReason> {
    let (told, reason) = match made {
        Ok(made) => {
            ack.tell(Ok(()));
            return Ok(made);
        }
        Err(InitError::Ignore) => (StartError::Ignore, ExitReason::Normal),
        Err(InitError::Error(reason)) => (StartError::Failed(reason), ExitReason::Normal),
        Err(InitError::Stop(reason)) => (StartError::Failed(reason.clone()), reason),
    };
    ack.tell(Err(told));
    Err(reason)
}

/// To be said before `terminate` runs: replies that were dropped by now get
/// the reason.
pub(crate) fn before_terminate() {
    current::with(|process| process.owner().stage = ProcessStage::Ending);
}

/// Calls a callback, which may panic before it makes its future, and runs it;
/// the payload if it panics.
#[inline]
pub(crate) fn caught<F: Future>(
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

/// The reason that the panic of a callback means.
pub(crate) fn panicked(payload: PanicPayload) -> ExitReason {
    body::panicked(&current::expect("a server"), payload)
}
