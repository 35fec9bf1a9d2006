//! Lists of debts: [`Incurred`], as they lie in a mailbox, and [`Debts`], which
//! a server has. They are linked through the answers, so that they cost no
//! memory of their own.

use std::ptr::NonNull;

use super::{Base, Owed, Replier, Share, held};
use crate::pid::Pid;

/// Debts in a mailbox, the latest on top.
#[derive(Default)]
pub(crate) struct Incurred(Option<Share>);

/// The debts of a server, oldest first.
pub(crate) struct Debts {
    first: Option<Share>,
    // Invariant: in the list, if that is not empty, and its last.
    last: Option<NonNull<Base>>,
    len: usize,
}

// SAFETY: `last` is reached through the list only, which owns what it holds.
unsafe impl Send for Debts {}
// SAFETY: as above; nothing is reached by a shared reference.
unsafe impl Sync for Debts {}

/// Sets what comes after a debt; what came before.
///
/// # Safety
///
/// The debt is in the list of the caller, or about to be.
unsafe fn link(debt: NonNull<Base>, next: Option<Share>) -> Option<Share> {
    // SAFETY: the list holds a share, so the memory stays.
    let mut access = unsafe { debt.as_ref() }.next.get_mut();
    // SAFETY: a debt is in one list, which the caller has for itself.
    let before = std::mem::replace(unsafe { access.deref() }, next);
    access.release();
    before
}

impl Incurred {
    #[inline]
    pub(crate) fn push(&mut self, mut owed: Owed) {
        let Some(debt) = owed.0.take() else { return };
        // SAFETY: it was in no list.
        unsafe { link(debt.0, self.0.take()) };
        self.0 = Some(debt);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn pop(&mut self) -> Option<Owed> {
        let debt = self.0.take()?;
        // SAFETY: it was in this list.
        self.0 = unsafe { link(debt.0, None) };
        Some(Owed(Some(debt)))
    }
}

impl Debts {
    pub(crate) const NONE: Self = Self {
        first: None,
        last: None,
        len: 0,
    };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes over what lies in a mailbox.
    #[inline]
    pub(crate) fn take_over(&mut self, incurred: &mut Incurred) {
        let Some(latest) = &incurred.0 else { return };
        let last = latest.0;
        let (mut turned, mut left) = (None, incurred.0.take());
        while let Some(debt) = left {
            // SAFETY: it was in that list.
            left = unsafe { link(debt.0, turned) };
            turned = Some(debt);
            self.len += 1;
        }
        match self.last.replace(last) {
            // SAFETY: it is in this list.
            Some(before) => unsafe {
                link(before, turned);
            },
            None => self.first = turned,
        }
    }

    /// Takes the oldest one out.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Owed> {
        let debt = self.first.take()?;
        // SAFETY: it was in this list.
        self.first = unsafe { link(debt.0, None) };
        self.len -= 1;
        if self.first.is_none() {
            self.last = None;
        }
        Some(Owed(Some(debt)))
    }

    /// Takes the oldest one out, if this is the reply to it.
    #[inline]
    pub(crate) fn pop_for<T>(&mut self, reply: &Replier<T>) -> Option<Owed> {
        let is_it = self.first.as_ref()?.0 == held(&reply.0).0;
        is_it.then(|| self.pop()).flatten()
    }

    /// Who waits for a reply still.
    pub(crate) fn callers(&mut self) -> Vec<Pid> {
        let (mut callers, mut all) = (Vec::new(), Incurred::default());
        while let Some(owed) = self.pop() {
            if owed.is_open() {
                callers.push(owed.caller());
            }
            all.push(owed);
        }
        self.take_over(&mut all);
        callers
    }

    /// Takes those out that somebody has answered.
    pub(crate) fn take_answered(&mut self) -> Incurred {
        let (mut open, mut answered) = (Incurred::default(), Incurred::default());
        while let Some(owed) = self.pop() {
            if owed.is_open() {
                open.push(owed);
            } else {
                answered.push(owed);
            }
        }
        self.take_over(&mut open);
        answered
    }
}

impl Default for Debts {
    fn default() -> Self {
        Self::NONE
    }
}

impl Iterator for Debts {
    type Item = Owed;

    fn next(&mut self) -> Option<Owed> {
        self.pop()
    }
}

impl Drop for Debts {
    fn drop(&mut self) {
        while let Some(owed) = self.pop() {
            drop(owed);
        }
    }
}

impl Drop for Incurred {
    fn drop(&mut self) {
        while let Some(owed) = self.pop() {
            drop(owed);
        }
    }
}
