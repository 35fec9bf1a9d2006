//! Running what may be the user's code where a panic of it must not do harm:
//! destructors, wakers, and whoever listens to the log.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::Waker;

/// What a panic carries.
pub type PanicPayload = Box<dyn Any + Send>;

/// Wakes by a waker that may be the user's own; a panic of it goes no further.
pub(crate) fn wake_caught(waker: Waker) {
    guarded(|| waker.wake());
}

/// Drops a value of the user's; a panic of its destructor goes no further.
pub fn drop_caught<T>(value: T) {
    guarded(|| drop(value));
}

/// Does something in which code of the user's may panic, which goes no further:
/// writes to the log, say, to which the user listens.
pub fn guarded(act: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(act)) {
        discard_payload(payload);
    }
}

/// Drops the payload of a panic, which may itself panic in doing so.
pub fn discard_payload(payload: PanicPayload) {
    let mut next = Some(payload);
    // A payload's destructor can panic with a payload of its own. Give up
    // (and leak) where that does not end.
    for _ in 0..8 {
        let Some(payload) = next.take() else { return };
        next = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    std::mem::forget(next);
}

/// An `Arc` whose last drop never panics: the value's destructor may be the
/// user's, and the drop may happen anywhere.
pub(crate) struct Quiet<T: ?Sized>(Option<Arc<T>>);

impl<T: ?Sized> Quiet<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(Some(value))
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(&raw const **self, &raw const **other)
    }
}

impl<T: ?Sized> Deref for Quiet<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken only by the drop")
    }
}

impl<T: ?Sized> Clone for Quiet<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Drop for Quiet<T> {
    fn drop(&mut self) {
        drop_caught(self.0.take());
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
