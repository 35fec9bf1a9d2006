//! The pool: memory of processes and answers that ended, kept by the thread
//! that freed it for the next ones.
//!
//! Both come and go by the million, and in a few sizes. A block of them costs
//! a few instructions here, against some tens of nanoseconds in an allocator
//! (docs/decisions/0009). What a thread keeps is bounded, and given back when
//! the thread ends.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Sizes are rounded up to this.
const STEP: usize = 32;
/// How many sizes there are.
const SIZES: usize = 48;
/// The largest alignment that is served.
const ALIGN: usize = 16;
/// How many bytes of each size a thread keeps.
const KEEP: usize = 1 << 20;

/// Whether blocks are kept at all: not where a tool follows each of them.
const KEEPS: bool = !cfg!(any(resurgam_loom, resurgam_tsan, resurgam_no_pool));

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool([const { Vec::new() }; SIZES])) };
}

/// Free blocks, by size.
struct Pool([Vec<NonNull<u8>>; SIZES]);

impl Drop for Pool {
    fn drop(&mut self) {
        for (size, blocks) in self.0.iter_mut().enumerate() {
            for block in blocks.drain(..) {
                // SAFETY: the block was allocated with this layout.
                unsafe { dealloc(block.as_ptr(), block_layout(size)) }
            }
        }
    }
}

/// Which of the sizes serves a layout, if one does.
#[inline]
const fn size_of_layout(layout: Layout) -> Option<usize> {
    let size = layout.size().div_ceil(STEP);
    if KEEPS && layout.align() <= ALIGN && size > 0 && size <= SIZES {
        Some(size - 1)
    } else {
        None
    }
}

#[inline]
fn block_layout(size: usize) -> Layout {
    let layout = Layout::from_size_align((size + 1) * STEP, ALIGN);
    layout.expect("the sizes of the pool are small")
}

/// Memory for a layout, which must not be empty.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    let Some(size) = size_of_layout(layout) else {
        return fresh(layout);
    };
    let kept = POOL.try_with(|pool| pool.borrow_mut().0[size].pop());
    match kept {
        Ok(Some(block)) => block,
        Ok(None) | Err(_) => fresh(block_layout(size)),
    }
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    assert_ne!(layout.size(), 0, "an empty block");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives memory back.
///
/// # Safety
///
/// It came from [`allocate`] with the same layout, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let Some(size) = size_of_layout(layout) else {
        // SAFETY: the caller's; such a layout is allocated as it is.
        return unsafe { dealloc(block.as_ptr(), layout) };
    };
    let kept = POOL.try_with(|pool| {
        let blocks = &mut pool.borrow_mut().0[size];
        let room = blocks.len() < KEEP / ((size + 1) * STEP);
        if room {
            blocks.push(block);
        }
        room
    });
    if kept != Ok(true) {
        // SAFETY: the caller's; the block was allocated with this layout.
        unsafe { dealloc(block.as_ptr(), block_layout(size)) }
    }
}

/// A box whose memory is of the pool.
pub(crate) struct PoolBox<T>(NonNull<T>);

// SAFETY: it owns its value, as a `Box` does.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    pub(crate) fn new(value: T) -> Self {
        let place = allocate(Layout::new::<T>()).cast::<T>();
        // SAFETY: the place has the layout and is nobody else's.
        unsafe { place.write(value) };
        Self(place)
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there until the box is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the box is borrowed for good.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for PoolBox<T> {
    fn drop(&mut self) {
        // SAFETY: the value is there, and nobody uses it after this.
        unsafe {
            self.0.drop_in_place();
            free(self.0.cast(), Layout::new::<T>());
        }
    }
}

/// A value that is nowhere until it is first written to.
pub(crate) struct Lazy<T>(Option<PoolBox<T>>);

/// What a [`Lazy`] shows while its value is nowhere.
pub(crate) trait Empty: Sized + 'static {
    const EMPTY: &'static Self;
    fn empty() -> Self;
}

impl<T> Default for Lazy<T> {
    #[inline]
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Lazy<T> {
    /// Whether it was ever written to.
    #[inline]
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: Empty> Lazy<T> {
    #[cold]
    fn fill(&mut self) {
        self.0 = Some(PoolBox::new(T::empty()));
    }
}

impl<T: Empty> Deref for Lazy<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::EMPTY,
        }
    }
}

impl<T: Empty> DerefMut for Lazy<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        if self.0.is_none() {
            self.fill();
        }
        match &mut self.0 {
            Some(value) => value,
            None => unreachable!("just filled"),
        }
    }
}
