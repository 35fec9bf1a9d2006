//! A cell whose accesses loom can follow.
#![allow(unsafe_code)]

/// A pointer to what a cell holds, for as long as somebody has access to it.
#[cfg(not(resurgam_loom))]
pub(crate) struct MutPtr<T>(*mut T);

#[cfg(not(resurgam_loom))]
impl<T> MutPtr<T> {
    /// # Safety
    ///
    /// Nobody else may have access.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "as loom's")]
    pub(crate) unsafe fn deref(&self) -> &mut T {
        // SAFETY: the caller's.
        unsafe { &mut *self.0 }
    }

    /// The access is over.
    #[inline]
    pub(crate) fn release(&mut self) {}
}

#[cfg(not(resurgam_loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(resurgam_loom))]
impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

#[cfg(resurgam_loom)]
pub(crate) struct MutPtr<T>(Option<loom::cell::MutPtr<T>>);

#[cfg(resurgam_loom)]
impl<T> MutPtr<T> {
    pub(crate) unsafe fn deref(&self) -> &mut T {
        let pointer = self.0.as_ref().expect("access is not over");
        // SAFETY: the caller's.
        unsafe { pointer.deref() }
    }

    pub(crate) fn release(&mut self) {
        self.0 = None;
    }
}

#[cfg(resurgam_loom)]
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

#[cfg(resurgam_loom)]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn get_mut(&self) -> MutPtr<T> {
        MutPtr(Some(self.0.get_mut()))
    }
}
