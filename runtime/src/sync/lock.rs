//! [`Lock`]: a lock for a few instructions, with flags that can be read
//! without it.
//!
//! It is taken by one atomic read-modify-write and given back by a plain store,
//! which is where most of the cost of a message would be otherwise
//! (docs/decisions/0009). Nobody sleeps at it: what is done under it is a few
//! instructions, and never the user's code, so whoever finds it taken looks
//! again, and lets other threads run if that takes long.
//!
//! The models have a mutex of loom's in its place, which they can follow
//! without spinning; the [`Word`] itself has models of its own.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::atomic::{AtomicU32, Ordering};

/// Flags, and a lock among them.
struct Word(AtomicU32);

/// The bit of the word that is the lock; flags are the others.
const LOCKED: u32 = 1;

impl Word {
    fn new(flags: u32) -> Self {
        debug_assert_eq!(flags & LOCKED, 0, "bit 0 is the lock itself");
        Self(AtomicU32::new(flags))
    }

    /// Takes the lock; the flags.
    #[inline]
    fn lock(&self) -> u32 {
        let flags = self.0.load(Ordering::Relaxed) & !LOCKED;
        // Acquire: pairs with the Release of whoever had it before.
        self.0
            .compare_exchange(flags, flags | LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .unwrap_or_else(|_| self.lock_contended())
    }

    #[cold]
    fn lock_contended(&self) -> u32 {
        /// How often to look again before other threads are let run.
        const SPINS: u32 = 64;
        let mut tries = 0;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            if word & LOCKED == 0 {
                let taken = self.0.compare_exchange(
                    word,
                    word | LOCKED,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                if taken.is_ok() {
                    return word;
                }
            }
            tries += 1;
            super::wait_a_moment(tries > SPINS);
        }
    }

    /// Gives the lock back, and leaves these flags.
    #[inline]
    fn unlock(&self, flags: u32) {
        // Release: what was done under the lock is seen by who has it next.
        self.0.store(flags & !LOCKED, Ordering::Release);
    }

    /// Takes the lock and gives it back with other flags, if they are these and
    /// nobody has it.
    #[inline]
    fn exchange(&self, from: u32, to: u32) -> bool {
        // As `lock`, and as `unlock`.
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// The flags, as whoever had the lock last left them.
    #[inline]
    fn flags(&self) -> u32 {
        // Acquire: what was written before a flag was set is seen with it.
        self.0.load(Ordering::Acquire) & !LOCKED
    }
}

/// A value behind a lock, and flags beside it.
pub(crate) struct Lock<T> {
    word: Word,
    #[cfg(not(resurgam_loom))]
    value: std::cell::UnsafeCell<T>,
    #[cfg(resurgam_loom)]
    value: loom::sync::Mutex<T>,
}

// SAFETY: the value is reached only through a `Guard`, of which there is one at
// a time, so a `Lock` shared between threads moves the value between them, as a
// mutex does.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Access to the value of a [`Lock`].
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// The flags; what is left here is what others see from then on.
    pub(crate) flags: u32,
    #[cfg(resurgam_loom)]
    value: loom::sync::MutexGuard<'a, T>,
}

impl<T> Lock<T> {
    /// A lock with these flags set; bit 0 is not theirs.
    pub(crate) fn new(flags: u32, value: T) -> Self {
        Self {
            word: Word::new(flags),
            value: value.into(),
        }
    }

    #[cfg(not(resurgam_loom))]
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let flags = self.word.lock();
        Guard { lock: self, flags }
    }

    #[cfg(resurgam_loom)]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let value = self.value.lock().expect("no poison");
        let flags = self.word.flags();
        Guard {
            lock: self,
            flags,
            value,
        }
    }

    /// The flags, as whoever had the lock last left them.
    #[inline]
    pub(crate) fn flags(&self) -> u32 {
        self.word.flags()
    }

    /// Changes the flags, if they are these and nobody has the lock, as if it
    /// were taken and given back; whether it did.
    #[inline]
    pub(crate) fn exchange(&self, from: u32, to: u32) -> bool {
        #[cfg(resurgam_loom)]
        let _nobody_else = self.value.lock().expect("no poison");
        self.word.exchange(from, to)
    }
}

impl<T> Guard<'_, T> {
    /// Whether this is the guard of that lock.
    pub(crate) fn is_of(&self, lock: &Lock<T>) -> bool {
        std::ptr::eq(self.lock, lock)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        #[cfg(resurgam_loom)]
        return &self.value;
        #[cfg(not(resurgam_loom))]
        // SAFETY: the guard has the lock, so nobody else reaches the value.
        unsafe {
            &*self.lock.value.get()
        }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        #[cfg(resurgam_loom)]
        return &mut self.value;
        #[cfg(not(resurgam_loom))]
        // SAFETY: as above.
        unsafe {
            &mut *self.lock.value.get()
        }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // In the models, the mutex is given back after this.
        self.lock.word.unlock(self.flags);
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::Word;

    const FLAG: u32 = 2;

    /// What a [`Lock`](super::Lock) is outside the models.
    struct Locked {
        word: Word,
        value: UnsafeCell<u32>,
    }

    // SAFETY: as of `Lock`; that it holds is what the models show.
    unsafe impl Sync for Locked {}

    impl Locked {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                word: Word::new(0),
                value: UnsafeCell::new(0),
            })
        }

        /// Adds one, and sets a flag.
        fn add(&self, flag: u32) -> u32 {
            let flags = self.word.lock();
            // SAFETY: as above.
            let value = self.value.with_mut(|value| unsafe {
                *value += 1;
                *value
            });
            self.word.unlock(flags | flag);
            value
        }
    }

    #[test]
    fn loom_one_at_a_time_has_the_lock() {
        crate::testing::model(|| {
            let locked = Locked::new();
            let other = Arc::clone(&locked);
            let thread = thread::spawn(move || other.add(0));
            locked.add(0);
            thread.join().unwrap();
            assert_eq!(locked.add(0), 3);
        });
    }

    #[test]
    fn loom_a_flag_tells_of_what_was_done_before_it_and_stays() {
        crate::testing::model(|| {
            let locked = Locked::new();
            let other = Arc::clone(&locked);
            let thread = thread::spawn(move || other.add(FLAG));
            let seen = locked.word.flags() & FLAG != 0;
            let value = locked.add(0);
            assert!(!seen || value == 2);
            thread.join().unwrap();
            assert_eq!(locked.word.flags(), FLAG);
        });
    }
}
