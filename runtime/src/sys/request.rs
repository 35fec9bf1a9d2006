//! [`Request`]: what `sys` asks of a behaviour, and [`Subject`], what a
//! behaviour lets be done to it.

use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::desk::Desk;
use crate::caught::discard_payload;
use crate::pid::Pid;

/// A behaviour between two events.
pub(crate) trait Subject {
    /// The type that the user wrote.
    fn type_name(&self) -> &'static str;

    /// The process that started it by `start_link`.
    fn parent(&self) -> Option<Pid>;

    /// The desk, if anything lies there.
    fn desk(&self) -> Option<&Desk>;

    /// The desk, which is put there.
    fn desk_mut(&mut self) -> &mut Desk;

    /// What the user keeps in it.
    fn parts(&mut self) -> Parts<'_>;

    /// The state, as the user formats it, who may panic.
    fn format(&self) -> String;

    /// It is not suspended any more: what waited for a time waits so much
    /// longer.
    fn resumed(&mut self, since: Instant, now: Instant);
}

/// What the user keeps in a behaviour.
pub(crate) struct Parts<'a> {
    /// The server, or the data of a machine.
    pub(crate) data: &'a mut dyn Any,
    /// The state a machine is in.
    pub(crate) state: Option<&'a mut dyn Any>,
}

/// What is done in a behaviour's process, with the behaviour; with nothing in
/// a process that is none. It is the user's in part, so a panic of it goes no
/// further.
pub(crate) struct Request(
    /// The lock is never taken: it lets what is sent be shared, as signals are.
    Box<Mutex<Act>>,
);

type Act = Box<dyn FnOnce(Option<&mut dyn Subject>) + Send>;

impl Request {
    pub(crate) fn new(act: impl FnOnce(Option<&mut dyn Subject>) + Send + 'static) -> Self {
        Self(Box::new(Mutex::new(Box::new(act))))
    }

    /// Does it to a behaviour.
    pub(crate) fn serve(self, subject: &mut dyn Subject) {
        self.act(Some(subject));
    }

    /// Says that there is no behaviour here.
    pub(crate) fn refuse(self) {
        self.act(None);
    }

    fn act(self, subject: Option<&mut dyn Subject>) {
        let act = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| act(subject))) {
            discard_payload(payload);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request")
    }
}
