//! [`Queue`]: first in, first out, each entry in a block of the pool.

use super::PoolBox;

/// What most processes have none of most of the time, and whoever puts it there
/// is not who takes it out: empty it takes no memory but its own, and its
/// entries none of an allocator's.
// Oldest first in `front`, and behind that, youngest first, in `back`.
pub(crate) struct Queue<T> {
    front: Link<T>,
    back: Link<T>,
}

type Link<T> = Option<PoolBox<Entry<T>>>;

struct Entry<T> {
    value: T,
    next: Link<T>,
}

impl<T> Default for Queue<T> {
    #[inline]
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> Queue<T> {
    pub(crate) const EMPTY: Self = Self {
        front: None,
        back: None,
    };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_none() && self.back.is_none()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, value: T) {
        let next = self.back.take();
        self.back = Some(PoolBox::new(Entry { value, next }));
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.front.is_none() {
            self.turn_over();
        }
        let Entry { value, next } = self.front.take()?.into_inner();
        self.front = next;
        Some(value)
    }

    /// The entries, those that came last and were not turned over first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let rows = [self.back.as_deref(), self.front.as_deref()];
        let rows = rows.map(|first| std::iter::successors(first, |entry| entry.next.as_deref()));
        rows.into_iter().flatten().map(|entry| &entry.value)
    }

    /// Moves what is in `back` to `front`, which is empty.
    #[inline]
    fn turn_over(&mut self) {
        while let Some(mut entry) = self.back.take() {
            self.back = entry.next.take();
            entry.next = self.front.take();
            self.front = Some(entry);
        }
    }
}

impl<T> Iterator for Queue<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }
}

impl<T> Drop for Queue<T> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            drop_all(self);
        }
    }
}

/// Drops one after the other: entries that own each other would need a stack as
/// deep as the queue is long, also where one of them panics.
#[cold]
fn drop_all<T>(queue: &mut Queue<T>) {
    struct Rest<'a, T>(&'a mut Queue<T>);
    impl<T> Drop for Rest<'_, T> {
        fn drop(&mut self) {
            self.0.by_ref().for_each(drop);
        }
    }
    Rest(queue).0.by_ref().for_each(drop);
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests {
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Queue;

    #[test]
    fn behaves_as_a_deque() {
        for program in 0..1u32 << 12 {
            let (mut queue, mut deque) = (Queue::EMPTY, VecDeque::new());
            for step in 0..12 {
                if program >> step & 1 == 1 {
                    queue.push_back(step);
                    deque.push_back(step);
                } else {
                    assert_eq!(queue.pop_front(), deque.pop_front());
                }
                assert_eq!(queue.is_empty(), deque.is_empty());
            }
            assert!(queue.eq(deque));
        }
    }

    struct Counted<'a>(&'a AtomicUsize, bool);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(!self.1, "as it was told");
        }
    }

    #[test]
    fn a_long_one_is_dropped_whole_though_an_entry_panics() {
        const COUNT: usize = 1_000_000;
        let dropped = AtomicUsize::new(0);
        let mut queue = Queue::EMPTY;
        for index in 0..COUNT {
            queue.push_back(Counted(&dropped, index == 10));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_err());
        assert_eq!(dropped.into_inner(), COUNT);
    }
}
