//! A global allocator that counts, while it is asked to.

// Only an allocator can count allocations, and to be one is unsafe.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// Counting costs atomic operations; what is measured otherwise goes without.
static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// What was allocated.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Tally {
    /// How often memory was asked for, more of it included.
    pub(crate) count: i64,
    /// How many bytes are held.
    pub(crate) bytes: i64,
}

/// Counts from here on.
pub(crate) fn count() {
    COUNTS.store(true, Relaxed);
}

/// What was counted until now.
pub(crate) fn now() -> Tally {
    Tally {
        count: COUNT.load(Relaxed),
        bytes: BYTES.load(Relaxed),
    }
}

struct Counting;

impl Counting {
    fn note(asked: i64, bytes: i64) {
        if COUNTS.load(Relaxed) {
            COUNT.fetch_add(asked, Relaxed);
            BYTES.fetch_add(bytes, Relaxed);
        }
    }
}

fn signed(bytes: usize) -> i64 {
    bytes.cast_signed() as i64
}

// SAFETY: `System` does all the work, with what the caller gave; counting
// touches nothing but three atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::note(0, -signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
