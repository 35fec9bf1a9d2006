//! [`Next`]: the place of the process that was just woken on a host, the next
//! to run there. Others may take it from there, as from any queue.
#![allow(unsafe_code)]

use std::ptr::{NonNull, null_mut};

use super::Task;
use crate::process::cell::{Base, Process};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// A place for one process.
// Invariant: the address came with a count, which goes with it.
pub(crate) struct Next(AtomicPtr<Base>);

impl Default for Next {
    fn default() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }
}

impl Next {
    /// Puts a process there if there is none. For the host itself.
    #[inline]
    pub(crate) fn fill(&self, task: Task) -> Result<(), Task> {
        if !self.is_empty() {
            return Err(task);
        }
        // Only the host puts something there, so it is empty still.
        self.0.store(task.into_raw().as_ptr(), Ordering::Release);
        Ok(())
    }

    /// Puts a process there; the one that was there. For the host itself.
    pub(crate) fn replace(&self, task: Task) -> Option<Task> {
        self.fill(task).err().and_then(|task| {
            let task = task.into_raw().as_ptr();
            Self::task(self.0.swap(task, Ordering::AcqRel))
        })
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Task> {
        if self.is_empty() {
            return None;
        }
        Self::task(self.0.swap(null_mut(), Ordering::AcqRel))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire).is_null()
    }

    #[inline]
    fn task(base: *mut Base) -> Option<Task> {
        // SAFETY: whoever swapped the address out has its count.
        NonNull::new(base).map(|base| unsafe { Process::from_raw(base) })
    }
}
