//! Running code of the user's where a panic of it must not do harm:
//! destructors, above all. The panic hook has reported it by then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does something in which code of the user's may panic, which harms nobody
/// else.
pub(crate) fn guarded(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        discard_payload(payload);
    }
}

/// Drops a value of the user's, whose destructor may panic.
pub(crate) fn drop_caught<T>(value: T) {
    guarded(|| drop(value));
}

/// Drops what a panic carries, which may itself panic in doing so, with a
/// payload of its own. Where that does not end, it is leaked.
pub(crate) fn discard_payload(payload: Box<dyn Any + Send>) {
    let mut next = Some(payload);
    for _ in 0..8 {
        let Some(payload) = next.take() else { return };
        next = catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    std::mem::forget(next);
}
