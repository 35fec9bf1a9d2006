//! The process that is taking its turn on this thread.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use crate::node::NodeInner;
use crate::process::cell::{Base, Process};

thread_local! {
    // Invariant: while it is set, the `Entered` that set it is alive on this
    // thread's stack, and borrows the process.
    static CURRENT: Cell<Option<NonNull<Base>>> = const { Cell::new(None) };
}

/// Makes a process the current one until the guard is dropped.
///
/// # Safety
///
/// This thread has the process's turn, and keeps it while the process is the
/// current one; and the guard is dropped.
#[inline]
pub(crate) unsafe fn enter(process: &Process) -> Entered<'_> {
    Entered {
        before: CURRENT.replace(Some(process.as_raw())),
        process: PhantomData,
    }
}

/// Leaves the current process until the guard is dropped.
pub(crate) fn leave() -> Entered<'static> {
    Entered {
        before: CURRENT.take(),
        process: PhantomData,
    }
}

/// See [`enter`].
pub(crate) struct Entered<'a> {
    before: Option<NonNull<Base>>,
    /// It stays on its thread.
    process: PhantomData<(&'a Process, *const ())>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The current process, if there is one.
pub(crate) fn get() -> Option<Process> {
    with(Process::clone)
}

/// Looks at the current process. `look` must not keep what it sees.
#[inline]
pub(crate) fn with<R>(look: impl FnOnce(&Process) -> R) -> Option<R> {
    let current = CURRENT.get()?;
    // SAFETY: whoever entered the process borrows it until it is left, on this
    // thread; the count is theirs, so it is not given up here.
    let process = ManuallyDrop::new(unsafe { Process::from_raw(current) });
    Some(look(&process))
}

/// Looks at the current process if it is one of this node; of another node it
/// is a stranger here. As [`with`].
#[inline]
pub(crate) fn on<R>(node: &NodeInner, look: impl FnOnce(&Process) -> R) -> Option<R> {
    with(|process| std::ptr::eq(&*process.header().node, node).then(|| look(process))).flatten()
}

/// The current process.
///
/// # Panics
///
/// If there is none; `what` names the operation that needs one.
#[track_caller]
pub(crate) fn expect(what: &str) -> Process {
    match get() {
        Some(process) => process,
        None => panic!("`{what}` was called outside a process; only a process can do that"),
    }
}

/// Whether this process is the current one.
#[inline]
pub(crate) fn is(process: &Process) -> bool {
    is_raw(process.as_raw())
}

/// Whether the process at this address is the current one.
#[inline]
pub(crate) fn is_raw(process: NonNull<Base>) -> bool {
    CURRENT.get() == Some(process)
}

/// Whether this is the current process, and the waker its own.
#[inline]
pub(crate) fn has_waker(process: NonNull<Base>, waker: &Waker) -> bool {
    is_raw(process) && std::ptr::addr_eq(waker.data(), process.as_ptr())
}
