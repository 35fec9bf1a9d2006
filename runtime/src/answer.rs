//! The answer to a call: one allocation, taken from the thread's [`pool`],
//! that three know of: the caller, who waits at it; the [`Reply`](crate::Reply),
//! wherever it is; and the server, who is in debt ([`Owed`]), so that its death
//! reaches the caller (law GS-24).
//!
//! The reply writes into `value`, the debtor into `refusal`, and nobody else
//! does, so that both can write before it is decided, by one atomic step, which
//! of them comes first or whether the caller had gone away before. The same
//! step gives up their share, if waking the caller needs nothing of the answer
//! any more.
//!
//! Whoever gives up the last share frees the memory.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use crate::caught::wake_caught;
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::pool;
use crate::process::cell::Process;
use crate::process::current;
use crate::reply::CallError;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Lock, UnsafeCell};

/// Why a reply will not come.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// The server ended.
    Down(ExitReason),
    /// The [`Reply`](crate::Reply) was dropped.
    Dropped,
}

impl From<Unanswered> for CallError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Down(reason) => Self::Down(reason),
            Unanswered::Dropped => Self::NoReply,
        }
    }
}

/// The word of an answer: how it stands, and how many have a share in it.
mod word {
    /// The reply came first; it is in `value`.
    pub(super) const VALUE: usize = 1;
    /// The debtor came first; it is in `refusal`.
    pub(super) const REFUSED: usize = 2;
    /// The caller waits no longer.
    pub(super) const CLOSED: usize = 4;
    /// The caller waits by a waker in `waker`, not by `home`.
    pub(super) const WAKER: usize = 8;
    /// One share.
    pub(super) const SHARE: usize = 16;

    pub(super) const DECIDED: usize = VALUE | REFUSED | CLOSED;
}

/// What of an answer does not depend on its type.
struct Base {
    word: AtomicUsize,
    caller: Pid,
    /// The process that waits, if one does. It is of whoever decides the word.
    // Invariant: not written after the answer was made.
    home: Option<NonNull<crate::process::cell::Base>>,
    /// Where the caller is polled by another waker than its process's.
    waker: Lock<Option<Waker>>,
    // Invariant: written by the debtor before the word says so.
    refusal: UnsafeCell<MaybeUninit<CallError>>,
    refuse_as_reply: unsafe fn(NonNull<Base>, Unanswered),
    free: unsafe fn(NonNull<Base>),
}

#[repr(C)]
struct Answer<T> {
    base: Base,
    // Invariant: written by the reply before the word says so.
    value: UnsafeCell<MaybeUninit<Result<T, CallError>>>,
}

/// One share in an answer.
struct Share(NonNull<Base>);

// SAFETY: what is shared is reached by atomics, behind a lock, or by whom the
// word of the answer says; values move to the caller, so `T: Send` is asked for
// where they are put in.
unsafe impl Send for Share {}
// SAFETY: as above.
unsafe impl Sync for Share {}

impl Share {
    fn base(&self) -> &Base {
        // SAFETY: the memory stays while there is a share.
        unsafe { self.0.as_ref() }
    }

    /// Gives a share up. It must be the last thing done with it.
    fn give_up(self) {
        // Release: what was done with the answer is done when it is freed.
        let before = self.base().word.fetch_sub(word::SHARE, Ordering::Release);
        self.gave_up(before);
    }

    /// A share was given up, when the word was this.
    fn gave_up(self, before: usize) {
        if before / word::SHARE == 1 {
            // Pairs with the Release of the others; as in `Process`, no fence.
            self.base().word.load(Ordering::Acquire);
            // SAFETY: this was the last share.
            unsafe { (self.base().free)(self.0) }
        }
    }

    fn is_open(&self) -> bool {
        self.base().word.load(Ordering::Acquire) & word::DECIDED == 0
    }

    /// Decides the word and wakes the caller; whether that came first. The
    /// share is given up, and another one with it if `shares` is two.
    ///
    /// # Safety
    ///
    /// What `how` stands for was written.
    unsafe fn decide(self, how: usize, shares: usize) -> Result<(), Self> {
        let base = self.base();
        // Read before the word is decided: after that it may be gone.
        let home = base.home;
        let mut now = base.word.load(Ordering::Acquire);
        loop {
            if now & word::DECIDED != 0 {
                return Err(self);
            }
            let keep = now & word::WAKER != 0;
            let given_up = shares - usize::from(keep);
            let next = (now | how) - given_up * word::SHARE;
            // AcqRel: the value goes with it.
            match base
                .word
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if keep => {
                    let waker = base.waker.lock().take();
                    wake_by(home, waker);
                    self.give_up();
                    return Ok(());
                }
                Ok(_) => {
                    // The caller's share was there, so this was not the last.
                    wake_by(home, None);
                    return Ok(());
                }
                Err(other) => now = other,
            }
        }
    }
}

/// Wakes the process that waits, and by a waker if it waits by one.
fn wake_by(home: Option<NonNull<crate::process::cell::Base>>, waker: Option<Waker>) {
    if let Some(waker) = waker {
        wake_caught(waker);
    }
    if let Some(home) = home {
        // SAFETY: the count that `home` stands for passes to who decides.
        let home = unsafe { Process::from_raw(home) };
        home.wake();
    }
}

/// Makes an answer that somebody is about to wait for: where to wait, where to
/// reply, and who is in debt.
pub(crate) fn answer<T: Send>(caller: Pid, home: Option<Process>) -> (Waiter<T>, Replier<T>, Owed) {
    let layout = Layout::new::<Answer<T>>();
    let answer = Answer {
        base: Base {
            word: AtomicUsize::new(3 * word::SHARE),
            caller,
            home: home.map(Process::into_raw),
            waker: Lock::new(0, None),
            refusal: UnsafeCell::new(MaybeUninit::uninit()),
            refuse_as_reply: refuse_as_reply::<T>,
            free: free::<T>,
        },
        value: UnsafeCell::new(MaybeUninit::<Result<T, CallError>>::uninit()),
    };
    let place = pool::allocate(layout).cast::<Answer<T>>();
    // SAFETY: the place has the layout and is nobody else's.
    unsafe { place.write(answer) };
    let base = place.cast::<Base>();
    (
        Waiter(Some(Share(base)), PhantomData),
        Replier(Some(Share(base)), PhantomData),
        Owed(Some(Share(base))),
    )
}

/// Frees an answer that nobody has a share in. What it held was taken.
unsafe fn free<T>(base: NonNull<Base>) {
    let place = base.cast::<Answer<T>>();
    // SAFETY: nobody else knows of it any more.
    unsafe {
        place.drop_in_place();
        pool::free(place.cast(), Layout::new::<Answer<T>>());
    }
}

unsafe fn refuse_as_reply<T: Send>(base: NonNull<Base>, why: Unanswered) {
    let replier = Replier::<T>(Some(Share(base)), PhantomData);
    replier.put(Err(why.into()), Debt::Kept);
}

/// The reply's share. If it is dropped, nobody is told anything.
pub(crate) struct Replier<T>(Option<Share>, PhantomData<fn(T)>);

/// Whether the debt for an answer is paid with it.
pub(crate) enum Debt {
    /// Somebody else has the debtor's share.
    Kept,
    /// It was found, and goes with the answer.
    Paid(Owed),
}

/// Where a share must still be.
const HELD: &str = "a share that was given up is not used again";

fn held(share: &Option<Share>) -> &Share {
    share.as_ref().expect(HELD)
}

impl<T: Send> Replier<T> {
    pub(crate) fn caller(&self) -> Pid {
        held(&self.0).base().caller
    }

    pub(crate) fn is_open(&self) -> bool {
        held(&self.0).is_open()
    }

    /// Leaves the answer and wakes who waits; drops it if it comes too late.
    #[inline]
    pub(crate) fn put(mut self, value: Result<T, CallError>, debt: Debt) {
        let share = self.0.take().expect(HELD);
        let owed = match debt {
            Debt::Kept => None,
            Debt::Paid(mut owed) => owed.0.take(),
        };
        debug_assert!(
            owed.as_ref().is_none_or(|owed| owed.0 == share.0),
            "a debt for another answer"
        );
        // SAFETY: the pointer is of an `Answer<T>`; its value is written by the
        // one reply there is, before the word says that it is there.
        let place = unsafe { &share.0.cast::<Answer<T>>().as_ref().value };
        let mut access = place.get_mut();
        // SAFETY: as above.
        unsafe { access.deref().write(value) };
        access.release();
        let shares = 1 + usize::from(owed.is_some());
        // SAFETY: the value was written.
        let decided = unsafe { share.decide(word::VALUE, shares) };
        if let Err(share) = decided {
            let mut access = place.get_mut();
            // SAFETY: it came too late, so nobody reads what was written.
            let value = unsafe { access.deref().assume_init_read() };
            access.release();
            if let Some(owed) = owed {
                owed.give_up();
            }
            share.give_up();
            drop(value);
        }
    }

    /// The same share, whatever the type.
    pub(crate) fn erase(mut self) -> Unsent {
        Unsent(self.0.take())
    }

    /// Whether this debt is for this answer.
    pub(crate) fn is_for(&self, owed: &Owed) -> bool {
        held(&self.0).0 == held(&owed.0).0
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        if let Some(share) = self.0.take() {
            share.give_up();
        }
    }
}

/// The share of a reply that will not come. If it is dropped, nobody is told
/// anything.
pub(crate) struct Unsent(Option<Share>);

impl Unsent {
    pub(crate) fn caller(&self) -> Pid {
        held(&self.0).base().caller
    }

    /// Tells the caller.
    pub(crate) fn refuse(mut self, why: Unanswered) {
        let share = self.0.take().expect(HELD);
        // SAFETY: this is the reply's share.
        unsafe { (share.base().refuse_as_reply)(share.0, why) }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(share) = self.0.take() {
            share.give_up();
        }
    }
}

/// The share of the server that was called.
pub(crate) struct Owed(Option<Share>);

impl Owed {
    pub(crate) fn caller(&self) -> Pid {
        held(&self.0).base().caller
    }

    /// Whether the caller still waits.
    pub(crate) fn is_open(&self) -> bool {
        held(&self.0).is_open()
    }

    /// Tells the caller that no reply will come; nothing happens if one came.
    pub(crate) fn refuse(mut self, why: Unanswered) {
        let share = self.0.take().expect(HELD);
        let mut access = share.base().refusal.get_mut();
        // SAFETY: the debtor's share is the only one that writes here, once.
        unsafe { access.deref().write(why.into()) };
        access.release();
        // SAFETY: the refusal was written.
        if let Err(share) = unsafe { share.decide(word::REFUSED, 1) } {
            let mut access = share.base().refusal.get_mut();
            // SAFETY: it came too late, so nobody reads it.
            let unread = unsafe { access.deref().assume_init_read() };
            access.release();
            share.give_up();
            drop(unread);
        }
    }

    /// One more share, for who only looks.
    #[cfg(feature = "sim")]
    pub(crate) fn watch(&self) -> Watched {
        let share = held(&self.0);
        share.base().word.fetch_add(word::SHARE, Ordering::Relaxed);
        Watched(Self(Some(Share(share.0))))
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(share) = self.0.take() {
            share.give_up();
        }
    }
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owed")
    }
}

/// Somebody who only looks whether an answer is still waited for.
#[cfg(feature = "sim")]
pub(crate) struct Watched(Owed);

#[cfg(feature = "sim")]
impl Watched {
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

/// The caller's share.
pub(crate) struct Waiter<T>(
    /// Given up when the answer was taken.
    Option<Share>,
    PhantomData<fn() -> T>,
);

impl<T> Waiter<T> {
    /// Takes the answer, or leaves word by whom to be woken. Pending for ever
    /// once the answer was taken.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<T, CallError>> {
        if let Some(answer) = self.take() {
            return Poll::Ready(answer);
        }
        let Some(share) = &self.0 else {
            return Poll::Pending;
        };
        let base = share.base();
        let at_home = base
            .home
            .is_some_and(|home| current::has_waker(home, cx.waker()));
        if at_home {
            return Poll::Pending;
        }
        let mut waker = base.waker.lock();
        let stale = match &*waker {
            Some(before) if before.will_wake(cx.waker()) => None,
            _ => waker.replace(cx.waker().clone()),
        };
        drop(waker);
        drop(stale);
        // It may have been decided before the waker was there.
        base.word.fetch_or(word::WAKER, Ordering::AcqRel);
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Gives up waiting; the answer, if it came before.
    pub(crate) fn close(&mut self) -> Option<Result<T, CallError>> {
        let base = self.0.as_ref()?.base();
        let closed = base
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now & word::DECIDED == 0).then_some(now | word::CLOSED)
            });
        if closed.is_err() {
            return self.take();
        }
        // Nobody else decides any more, so this is the caller's to drop.
        let (home, waker) = (base.home, base.waker.lock().take());
        if let Some(share) = self.0.take() {
            share.give_up();
        }
        drop(waker);
        if let Some(home) = home {
            // SAFETY: the count that `home` stands for passes to who decides.
            drop(unsafe { Process::from_raw(home) });
        }
        None
    }

    /// The answer, if it has come; the share is given up with it.
    fn take(&mut self) -> Option<Result<T, CallError>> {
        let share = self.0.as_ref()?;
        // Acquire: the answer was written before the word was decided.
        let now = share.base().word.load(Ordering::Acquire);
        let answer = if now & word::VALUE != 0 {
            // SAFETY: the pointer is of an `Answer<T>`, and the word says that
            // the value is there, for the caller to take, once.
            unsafe {
                let mut access = share.0.cast::<Answer<T>>().as_ref().value.get_mut();
                let value = access.deref().assume_init_read();
                access.release();
                value
            }
        } else if now & word::REFUSED != 0 {
            let mut access = share.base().refusal.get_mut();
            // SAFETY: the word says that the refusal is there; as above.
            let refusal = unsafe { access.deref().assume_init_read() };
            access.release();
            Err(refusal)
        } else {
            return None;
        };
        let share = self.0.take()?;
        if now / word::SHARE == 1 {
            share.gave_up(now);
        } else {
            share.give_up();
        }
        Some(answer)
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
