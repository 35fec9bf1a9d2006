//! What the scheduler uses of `crossbeam_deque`, for the models: queues behind
//! a lock, whose lengths can be read without it and then promise nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Mutex;
use super::atomic::{AtomicUsize, Ordering};

struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    length: AtomicUsize,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            length: AtomicUsize::new(0),
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut items = self.items.lock();
        let result = act(&mut items);
        self.length.store(items.len(), Ordering::Relaxed);
        result
    }

    fn push(&self, item: T) {
        self.with(|items| items.push_back(item));
    }

    fn pop(&self) -> Option<T> {
        self.with(VecDeque::pop_front)
    }

    fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    /// The first one, and half of the others to `dest`.
    fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
        let mut batch = self.with(|items| {
            let half = items.len().div_ceil(2);
            items.drain(..half).collect::<VecDeque<_>>()
        });
        let first = batch.pop_front();
        for item in batch {
            dest.push(item);
        }
        first.into()
    }
}

pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    #[expect(dead_code, reason = "a lock makes no one try again")]
    Retry,
}

impl<T> From<Option<T>> for Steal<T> {
    fn from(item: Option<T>) -> Self {
        item.map_or(Self::Empty, Self::Success)
    }
}

pub(crate) struct Injector<T>(Queue<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Queue::new())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.pop().into()
    }

    pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(dest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) struct Worker<T>(Arc<Queue<T>>);

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Queue::new()))
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }
}

pub(crate) struct Stealer<T>(Arc<Queue<T>>);

impl<T> Stealer<T> {
    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.pop().into()
    }

    pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(dest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
