//! The pool: memory of what comes and goes by the million, in a few sizes:
//! cells, answers, signals.
//!
//! A block costs a few instructions here, against some tens of nanoseconds in
//! an allocator, and more where one thread allocates what another frees
//! (docs/decisions/0009). A thread keeps the blocks that it freed for the next
//! ones; what is too much goes to the [`depot`], where all threads get theirs.
#![allow(unsafe_code)]

mod depot;
mod queue;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use depot::{Blocks, Size};
pub(crate) use queue::Queue;

/// How many bytes of each size a thread keeps at most.
const KEEP: usize = 1 << 18;

/// Whether there is a pool at all: not where a tool follows each block.
const POOLS: bool = !cfg!(any(resurgam_loom, resurgam_tsan, resurgam_no_pool));

thread_local! {
    // Invariant: borrowed within `Shelf::pop` and `Shelf::push` only, which call
    // nothing that comes back here.
    static POOL: UnsafeCell<Pool> =
        const { UnsafeCell::new(Pool([const { Shelf::EMPTY }; Size::COUNT])) };
}

/// What a thread keeps.
struct Pool([Shelf; Size::COUNT]);

/// Free blocks of one size. There are two rows of them, so that a thread that
/// goes to and fro at the end of one need not go to the depot each time.
struct Shelf {
    front: Blocks,
    back: Blocks,
}

impl Shelf {
    const EMPTY: Self = Self {
        front: Blocks::NONE,
        back: Blocks::NONE,
    };

    #[inline]
    fn pop(&mut self, size: Size) -> NonNull<u8> {
        match self.front.pop() {
            Some(block) => block,
            None => self.fetch(size),
        }
    }

    #[cold]
    fn fetch(&mut self, size: Size) -> NonNull<u8> {
        std::mem::swap(&mut self.front, &mut self.back);
        if self.front.len() == 0 {
            self.front = depot::take(size);
        }
        self.front.pop().expect("the depot gives at least one")
    }

    /// # Safety
    ///
    /// As of [`Blocks::push`].
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>, size: Size) {
        if self.front.len() >= KEEP / 2 / size.bytes() {
            self.put_away(size);
        }
        // SAFETY: the caller's.
        unsafe { self.front.push(block) }
    }

    #[cold]
    fn put_away(&mut self, size: Size) {
        std::mem::swap(&mut self.front, &mut self.back);
        depot::give(size, self.front.take());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (index, shelf) in self.0.iter_mut().enumerate() {
            depot::give(Size::at(index), shelf.front.take());
            depot::give(Size::at(index), shelf.back.take());
        }
    }
}

/// Memory for a layout, which must not be empty.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    let Some(size) = Size::of(layout).filter(|_| POOLS) else {
        return allocate_apart(layout);
    };
    // SAFETY: as the invariant says.
    let kept = POOL.try_with(|pool| unsafe { &mut *pool.get() }.0[size.index()].pop(size));
    // The thread is ending and keeps nothing any more.
    kept.unwrap_or_else(|_| {
        let mut blocks = depot::take(size);
        let block = blocks.pop().expect("the depot gives at least one");
        depot::give(size, blocks);
        block
    })
}

/// Gives memory back.
///
/// # Safety
///
/// It came from [`allocate`] with the same layout, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let Some(size) = Size::of(layout).filter(|_| POOLS) else {
        // SAFETY: the caller's; such a layout was allocated as it is.
        return unsafe { dealloc(block.as_ptr(), layout) };
    };
    // SAFETY: as the invariant says; the block came from the depot.
    let kept = POOL.try_with(|pool| unsafe { (*pool.get()).0[size.index()].push(block, size) });
    if kept.is_err() {
        let mut blocks = Blocks::NONE;
        // SAFETY: as above.
        unsafe { blocks.push(block) }
        depot::give(size, blocks);
    }
}

#[cold]
fn allocate_apart(layout: Layout) -> NonNull<u8> {
    assert_ne!(layout.size(), 0, "an empty block");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A box whose memory is of the pool.
pub(crate) struct PoolBox<T>(NonNull<T>);

// SAFETY: it owns its value, as a `Box` does.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        let place = allocate(Layout::new::<T>()).cast::<T>();
        // SAFETY: the place has the layout and is nobody else's.
        unsafe { place.write(value) };
        Self(place)
    }

    /// The value, out of its box.
    #[inline]
    pub(crate) fn into_inner(self) -> T {
        let place = ManuallyDrop::new(self).0;
        // SAFETY: the value is there, and is moved out; nobody uses the place
        // after this.
        unsafe {
            let value = place.read();
            free(place.cast(), Layout::new::<T>());
            value
        }
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
