//! The depot: where threads get blocks, and bring those they have too many of.
//!
//! Blocks lie in chunks that are aligned to their size, so that the chunk of a
//! block is known by its address. A chunk whose blocks have all come back is
//! given back to the allocator, but for a few.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, PoisonError};

/// The size of a block: a class, counted from the smallest.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Size(usize);

impl Size {
    /// Sizes are rounded up to this.
    const STEP: usize = 16;
    /// How many sizes there are.
    pub(super) const COUNT: usize = 96;

    /// The one that serves a layout, if one does.
    #[inline]
    pub(super) const fn of(layout: Layout) -> Option<Self> {
        let steps = layout.size().div_ceil(Self::STEP);
        if layout.align() <= Self::STEP && steps > 0 && steps <= Self::COUNT {
            Some(Self(steps - 1))
        } else {
            None
        }
    }

    pub(super) const fn at(index: usize) -> Self {
        Self(index)
    }

    #[inline]
    pub(super) const fn index(self) -> usize {
        self.0
    }

    #[inline]
    pub(super) const fn bytes(self) -> usize {
        (self.0 + 1) * Self::STEP
    }
}

/// A row of free blocks, each of which holds the address of the next.
pub(super) struct Blocks {
    // Invariant: null, or the first of `len` blocks that are this row's alone.
    first: *mut Free,
    len: usize,
}

/// What lies in a free block.
struct Free {
    next: *mut Free,
}

// SAFETY: its blocks are memory that nobody else uses.
unsafe impl Send for Blocks {}

impl Blocks {
    pub(super) const NONE: Self = Self {
        first: null_mut(),
        len: 0,
    };

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        let first = NonNull::new(self.first)?;
        // SAFETY: by the invariant, it is a free block of this row.
        self.first = unsafe { first.as_ref() }.next;
        self.len -= 1;
        Some(first.cast())
    }

    /// # Safety
    ///
    /// The block came from the depot, from this size's, and nobody uses it.
    #[inline]
    pub(super) unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<Free>();
        // SAFETY: blocks are large enough, aligned, and this one is free.
        unsafe { block.write(Free { next: self.first }) }
        self.first = block.as_ptr();
        self.len += 1;
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::NONE)
    }
}

/// What a chunk begins with.
struct Chunk {
    free: Blocks,
    /// How many blocks were ever taken from it. Those behind were never
    /// touched, and cost no memory.
    used: usize,
    /// Where it stands in the depot's row, if it stands there.
    place: Option<usize>,
}

impl Chunk {
    /// What chunks are aligned to.
    const ALIGN: usize = 1 << 18;
    /// A little less, so that an allocator's own header finds room between two.
    const LAYOUT: Layout = match Layout::from_size_align(Self::ALIGN - 64, Self::ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };
    /// Where its blocks begin.
    const FIRST: usize = 64;

    fn capacity(size: Size) -> usize {
        (Self::LAYOUT.size() - Self::FIRST) / size.bytes()
    }

    fn make() -> NonNull<Self> {
        // SAFETY: the layout is not empty.
        let place = unsafe { alloc(Self::LAYOUT) }.cast::<Self>();
        let place = NonNull::new(place).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        let chunk = Self {
            free: Blocks::NONE,
            used: 0,
            place: None,
        };
        // SAFETY: the place is large enough, aligned, and nobody else's.
        unsafe { place.write(chunk) }
        place
    }

    /// The chunk that a block lies in.
    fn of(block: NonNull<u8>) -> NonNull<Self> {
        block
            .map_addr(|address| {
                let address = address.get() & !(Self::ALIGN - 1);
                address.try_into().expect("no chunk lies at 0")
            })
            .cast()
    }

    /// Moves up to so many blocks into a row: those that came back, or fresh ones
    /// in the order in which they lie.
    fn serve(&mut self, this: NonNull<Self>, size: Size, most: usize, row: &mut Blocks) {
        if let Some(block) = self.free.pop() {
            // SAFETY: it was a free one of this size.
            return unsafe { row.push(block) };
        }
        let fresh = self.used..Self::capacity(size).min(self.used + most);
        self.used = fresh.end;
        for index in fresh.rev() {
            // SAFETY: it lies within the chunk, and was given to nobody.
            unsafe { row.push(this.cast().add(Self::FIRST + index * size.bytes())) }
        }
    }

    fn is_exhausted(&self, size: Size) -> bool {
        self.free.len() == 0 && self.used == Self::capacity(size)
    }

    /// Whether none of its blocks is out.
    fn is_whole(&self) -> bool {
        self.free.len() == self.used
    }
}

/// What there is of one size.
struct Depot {
    // Invariant: the chunks that have a block to give, each at its `place`.
    row: Vec<NonNull<Chunk>>,
    /// How many of them are whole.
    whole: usize,
}

// SAFETY: the chunks are the depot's.
unsafe impl Send for Depot {}

static DEPOTS: [Mutex<Depot>; Size::COUNT] = [const { Mutex::new(Depot::EMPTY) }; Size::COUNT];

/// How many bytes a thread gets at once.
const SERVING: usize = 1 << 14;

/// Some blocks, at least one.
pub(super) fn take(size: Size) -> Blocks {
    let most = SERVING.div_ceil(size.bytes());
    let mut depot = lock(size);
    let mut taken = Blocks::NONE;
    while taken.len() < most {
        depot.serve(size, most - taken.len(), &mut taken);
    }
    taken
}

/// Takes blocks back that came from here, and were of this size.
pub(super) fn give(size: Size, mut blocks: Blocks) {
    if blocks.len() == 0 {
        return;
    }
    let mut depot = lock(size);
    let mut gone = Vec::new();
    while let Some(block) = blocks.pop() {
        gone.extend(depot.push(block));
    }
    drop(depot);
    for chunk in gone {
        // SAFETY: the depot let go of it, and none of its blocks is out.
        unsafe { dealloc(chunk.as_ptr().cast(), Chunk::LAYOUT) }
    }
}

fn lock(size: Size) -> std::sync::MutexGuard<'static, Depot> {
    let depot = DEPOTS[size.index()].lock();
    depot.unwrap_or_else(PoisonError::into_inner)
}

impl Depot {
    const EMPTY: Self = Self {
        row: Vec::new(),
        whole: 0,
    };

    /// How many whole chunks of a size are kept.
    const KEEP: usize = 8;

    /// Moves between one and so many blocks into a row, from the last chunk of
    /// its own.
    fn serve(&mut self, size: Size, most: usize, row: &mut Blocks) {
        let last = self.row.last().copied();
        let last = last.unwrap_or_else(|| self.open());
        // SAFETY: chunks of the row are there, and touched under the lock only.
        let chunk = unsafe { &mut *last.as_ptr() };
        self.whole -= usize::from(chunk.is_whole());
        chunk.serve(last, size, most, row);
        if chunk.is_exhausted(size) {
            self.row.pop();
            chunk.place = None;
        }
    }

    /// Puts a block back; the chunk that is needed no more, if one is.
    fn push(&mut self, block: NonNull<u8>) -> Option<NonNull<Chunk>> {
        let home = Chunk::of(block);
        // SAFETY: a chunk is there until all its blocks are back.
        let chunk = unsafe { &mut *home.as_ptr() };
        // SAFETY: the block is of this chunk, and nobody uses it.
        unsafe { chunk.free.push(block) }
        if chunk.place.is_none() {
            chunk.place = Some(self.row.len());
            self.row.push(home);
        }
        if !chunk.is_whole() {
            return None;
        }
        if self.whole < Self::KEEP {
            self.whole += 1;
            return None;
        }
        let place = chunk.place.take()?;
        self.row.swap_remove(place);
        if let Some(moved) = self.row.get(place) {
            // SAFETY: as above, and it is another one.
            unsafe { (*moved.as_ptr()).place = Some(place) }
        }
        Some(home)
    }

    /// Puts a new chunk into the row.
    fn open(&mut self) -> NonNull<Chunk> {
        let chunk = Chunk::make();
        // SAFETY: it was just made, and is nobody else's.
        unsafe { (*chunk.as_ptr()).place = Some(self.row.len()) }
        self.row.push(chunk);
        self.whole += 1;
        chunk
    }
}

#[cfg(all(test, not(any(resurgam_loom, resurgam_tsan, resurgam_no_pool))))]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    /// A size that nothing else in these tests uses, so that its depot is ours.
    const OURS: Size = Size::at(Size::COUNT - 1);

    fn chunks() -> usize {
        lock(OURS).row.len()
    }

    #[test]
    fn sizes_serve_what_fits() {
        for bytes in 1..=Size::STEP * Size::COUNT {
            let size = Size::of(Layout::from_size_align(bytes, 8).unwrap()).unwrap();
            assert!(size.bytes() >= bytes && size.bytes() < bytes + Size::STEP);
        }
        let large = Layout::from_size_align(Size::STEP * Size::COUNT + 1, 8).unwrap();
        assert_eq!(Size::of(large), None);
        assert_eq!(Size::of(Layout::from_size_align(64, 64).unwrap()), None);
        assert_eq!(Size::of(Layout::new::<()>()), None);
    }

    #[test]
    fn blocks_lie_apart_and_chunks_are_given_back() {
        const COUNT: usize = 100 * 170;
        let mut held = Blocks::NONE;
        let mut seen = BTreeSet::new();
        while held.len() < COUNT {
            let mut blocks = take(OURS);
            while let Some(block) = blocks.pop() {
                assert_eq!(block.addr().get() % Size::STEP, 0);
                assert!(seen.insert(block.addr().get()), "given twice");
                // SAFETY: the block is ours, and so large.
                unsafe { block.write_bytes(0xAA, OURS.bytes()) }
                // SAFETY: it came from this depot.
                unsafe { held.push(block) }
            }
        }
        let apart = seen.iter().zip(seen.iter().skip(1));
        assert!(apart.clone().all(|(one, next)| next - one >= OURS.bytes()));
        // On several threads, in pieces, in the order of the last first.
        thread::scope(|scope| {
            while held.len() > 0 {
                let mut piece = Blocks::NONE;
                for block in std::iter::from_fn(|| held.pop()).take(COUNT / 8) {
                    // SAFETY: as above.
                    unsafe { piece.push(block) }
                }
                scope.spawn(move || give(OURS, piece));
            }
        });
        assert!(chunks() <= Depot::KEEP, "{} chunks are kept", chunks());
        let whole = lock(OURS).whole;
        assert_eq!(whole, chunks(), "all came back");
        let places = lock(OURS).row.clone();
        for (place, chunk) in places.into_iter().enumerate() {
            // SAFETY: nobody else uses this depot.
            assert_eq!(unsafe { chunk.as_ref() }.place, Some(place));
        }
    }
}
