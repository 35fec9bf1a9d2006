//! The locks, atomics and run queues of the runtime, from the standard library
//! and crossbeam or, in the models, from loom (`--cfg resurgam_loom`).

#[cfg(resurgam_loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(resurgam_loom))]
pub(crate) use std::sync::atomic;

#[cfg(not(resurgam_loom))]
pub(crate) use std::thread_local as per_thread;
/// Loom's, which does not know the `const`.
#[cfg(resurgam_loom)]
macro_rules! per_thread {
    (static $name:ident: $type:ty = const { $init:expr };) => {
        loom::thread_local! { static $name: $type = $init; }
    };
}
#[cfg(resurgam_loom)]
pub(crate) use per_thread;

#[cfg(not(resurgam_loom))]
pub(crate) use crossbeam_deque as deque;
#[cfg(resurgam_loom)]
pub(crate) mod deque;

mod cell;
mod lock;
pub(crate) use cell::UnsafeCell;
pub(crate) use lock::{Guard, Lock};

/// Lets a moment pass, for who waits for another thread; if it takes long, so
/// that the other thread can run.
fn wait_a_moment(long: bool) {
    #[cfg(resurgam_loom)]
    {
        let _ = long;
        loom::thread::yield_now();
    }
    #[cfg(not(resurgam_loom))]
    if long {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[cfg(resurgam_loom)]
use loom::sync as imp;
/// Under the thread sanitizer, locks that it can follow: the standard
/// library's come without its instrumentation.
#[cfg(resurgam_tsan)]
use parking_lot as imp;
#[cfg(not(any(resurgam_loom, resurgam_tsan)))]
use std::sync as imp;

pub(crate) use imp::MutexGuard;

/// A mutex that knows no poison.
///
/// No value of the user's is dropped, formatted or called while one of these
/// is held, so no panic of theirs can come in between.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(resurgam_tsan)]
        return self.0.lock();
        #[cfg(not(resurgam_tsan))]
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
