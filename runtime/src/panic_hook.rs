//! The one panic hook: notes where a process panicked, so that its exit reason
//! can say it, and keeps the standard hook from printing what the crash report
//! prints.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::caught::{PanicPayload, discard_payload};
use crate::process::current;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static SILENT: Cell<bool> = const { Cell::new(false) };
    /// Whether `PLACE` holds something.
    static NOTED: Cell<bool> = const { Cell::new(false) };
}

/// Puts the hook in front of the one that is there, once per program.
///
/// Where nobody collects `tracing` events, the crash report would be lost, so
/// the hook that was there prints as ever.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let in_process = current::with(|_| ()).is_some();
            if in_process {
                note(info.location().map(ToString::to_string));
            }
            if SILENT.try_with(Cell::get).unwrap_or(false) {
                return;
            }
            if !in_process || !tracing::dispatcher::has_been_set() {
                before(info);
            }
        }));
    });
}

fn note(place: Option<String>) {
    // Late in the life of a thread there is nowhere to note it.
    let _ = PLACE.try_with(|noted| noted.replace(place));
    NOTED.set(true);
}

/// Where this thread's last panic in a process was.
#[inline(never)]
pub(crate) fn take_place() -> Option<String> {
    if !NOTED.replace(false) {
        return None;
    }
    PLACE.try_with(RefCell::take).ok().flatten()
}

/// Forgets the place of a panic that somebody caught: the next one may be a
/// resumed one, which has none.
#[inline]
pub(crate) fn forget_place() {
    if NOTED.get() {
        drop(take_place());
    }
}

/// What a panic said.
pub(crate) fn message(payload: PanicPayload) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(payload) => {
                discard_payload(payload);
                "a payload that is no string".to_owned()
            }
        },
    }
}

/// Runs something whose panic is an answer and is not to be printed.
pub(crate) fn silent<T>(run: impl FnOnce() -> T) -> T {
    let before = SILENT.replace(true);
    let result = run();
    SILENT.set(before);
    result
}

/// Runs something and catches its panic, which is not printed.
pub(crate) fn silent_caught<T>(run: impl FnOnce() -> T) -> Result<T, PanicPayload> {
    silent(|| panic::catch_unwind(AssertUnwindSafe(run)))
}
