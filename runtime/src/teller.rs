//! Telling a process what it asked to be told, as a message of its own.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use crate::caught::{PanicPayload, drop_caught};
use crate::process_ref::ProcessRef;

/// Tells a process. What it does and what it holds are the user's: a panic of
/// either must not take along whoever tells.
pub(crate) struct Teller<T>(Option<Box<dyn FnMut(T) + Send>>);

impl<T> Teller<T> {
    pub(crate) fn new<M: Send + 'static>(
        process: ProcessRef<M>,
        mut wrap: impl FnMut(T) -> M + Send + 'static,
    ) -> Self {
        Self(Some(Box::new(move |what| process.cast(wrap(what)))))
    }

    /// Tells it; the payload, if what the user wrote panics.
    pub(crate) fn tell(&mut self, what: T) -> Result<(), PanicPayload> {
        let Some(tell) = &mut self.0 else {
            return Ok(());
        };
        panic::catch_unwind(AssertUnwindSafe(|| tell(what)))
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        drop_caught(self.0.take());
    }
}

impl<T> fmt::Debug for Teller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}
