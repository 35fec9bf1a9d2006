//! [`Local`]: what a host lays open to the code it runs, on its thread, for its
//! turn.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::null;
use std::time::Instant;

use super::{Scheduler, Task};
use crate::clock;
use crate::sync::deque::Worker;
use crate::sync::per_thread;

/// The run queue of a host.
pub(crate) struct Local {
    /// Whose host it is, by address.
    scheduler: usize,
    pub(super) index: usize,
    pub(super) queue: Worker<Task>,
    /// How many processes in a row were the next to run by being just woken.
    pub(super) streak: Cell<u32>,
    /// When the host last looked at the machine's clock.
    pub(super) now: Cell<Instant>,
}

per_thread! {
    // Invariant: while it is set, the `LaidOpen` that set it is alive on this
    // thread's stack, and borrows the `Local`.
    static LOCAL: Cell<*const Local> = const { Cell::new(null()) };
}

impl Local {
    pub(crate) fn new(scheduler: &Scheduler, index: usize, queue: Worker<Task>) -> Self {
        Self {
            scheduler: std::ptr::from_ref(scheduler).addr(),
            index,
            queue,
            streak: Cell::new(0),
            now: Cell::new(clock::stopwatch()),
        }
    }

    #[inline]
    pub(super) fn is_of(&self, scheduler: &Scheduler) -> bool {
        self.scheduler == std::ptr::from_ref(scheduler).addr()
    }

    #[inline]
    pub(super) fn look_at_the_clock(&self) -> Instant {
        let now = clock::stopwatch();
        self.now.set(now);
        now
    }

    /// Lays it open on this thread until the guard is dropped, which must not
    /// be forgotten.
    pub(super) fn lay_open(&self) -> LaidOpen<'_> {
        self.streak.set(0);
        LaidOpen {
            before: LOCAL.with(|local| local.replace(self)),
            local: PhantomData,
        }
    }
}

/// See [`Local::lay_open`].
pub(super) struct LaidOpen<'a> {
    before: *const Local,
    local: PhantomData<&'a Local>,
}

impl Drop for LaidOpen<'_> {
    fn drop(&mut self) {
        LOCAL.with(|local| local.set(self.before));
    }
}

/// Looks at what is laid open on this thread, if something is. `look` runs
/// nothing of the user's.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(Option<&Local>) -> R) -> R {
    let local = LOCAL.try_with(Cell::get).unwrap_or(null());
    // SAFETY: null, or borrowed by a guard that is alive on this thread.
    look(unsafe { local.as_ref() })
}
