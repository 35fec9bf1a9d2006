//! The answer to a call: one allocation, taken from the thread's [`pool`],
//! that three know of: the caller, who waits at it; the [`Reply`](crate::Reply),
//! wherever it is; and the server, who is in debt ([`Owed`]), so that its death
//! reaches the caller (law GS-24).
//!
//! The reply writes into `value`, the debtor into `refusal`, and nobody else
//! does, so that both can write before it is decided, in one step, which of
//! them comes first or whether the caller had gone away before. Where a process
//! waits, that step is taken under the lock of its mailbox, which it is woken
//! under too; elsewhere, or once that process has ended, it is an atomic one.
//!
//! Whoever gives up the last share frees the memory.
#![allow(unsafe_code)]

mod debts;

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
#[cfg(feature = "sim")]
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::caught::wake_caught;
use crate::exit_reason::ExitReason;
use crate::mailbox::Wake;
#[cfg(feature = "sim")]
use crate::node::NodeInner;
use crate::pid::Pid;
use crate::pool;
use crate::process::cell::Process;
use crate::process::current;
use crate::reply::CallError;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Lock, UnsafeCell};

pub(crate) use debts::{Debts, Incurred};

/// Why a reply will not come.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// The server ended.
    Down(ExitReason),
    /// The [`Reply`](crate::Reply) was dropped.
    Dropped,
    /// The request was not taken in, since the mailbox was full.
    Full,
}

impl From<Unanswered> for CallError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Down(reason) => Self::Down(reason),
            Unanswered::Dropped => Self::NoReply,
            Unanswered::Full => Self::Full,
        }
    }
}

/// How an answer stands.
mod state {
    /// Nothing has happened.
    pub(super) const OPEN: u32 = 0;
    /// The reply came first; it is in `value`.
    pub(super) const VALUE: u32 = 1;
    /// The debtor came first; it is in `refusal`.
    pub(super) const REFUSED: u32 = 2;
    /// The caller waits no longer.
    pub(super) const CLOSED: u32 = 4;
    /// The caller waits by a waker in `waker`, not by `home` alone.
    pub(super) const WAKER: u32 = 8;

    const DECIDED: u32 = VALUE | REFUSED | CLOSED;

    #[inline]
    pub(super) fn is_open(state: u32) -> bool {
        state & DECIDED == 0
    }
}

/// What of an answer does not depend on its type.
struct Base {
    // Invariant: while `home` is there and has not ended, written under the
    // lock of its mailbox only, and by atomic steps otherwise. A process that
    // has ended stays so, and closes its mailbox under that lock.
    state: AtomicU32,
    /// How many have a share in it.
    shares: AtomicU32,
    caller: Pid,
    server: Server,
    /// The process that waits by its own waker, if one does.
    // Invariant: not written while there is more than one share.
    home: Option<Process>,
    /// Where the caller is polled by another waker than its process's.
    waker: Lock<Option<Waker>>,
    // Invariant: written by the debtor before the state says so.
    refusal: UnsafeCell<MaybeUninit<CallError>>,
    /// The next debt in the list that the debtor's share is in.
    // Invariant: only the list touches it.
    next: UnsafeCell<Option<Share>>,
    refuse_as_reply: unsafe fn(NonNull<Base>, Unanswered),
    free: unsafe fn(NonNull<Base>),
}

/// The server that was called, to be recognised, not to be held.
pub(crate) struct Server {
    pid: Pid,
    address: usize,
    /// Only a simulation carries replies.
    #[cfg(feature = "sim")]
    node: Option<Arc<NodeInner>>,
}

impl Server {
    pub(crate) fn of(process: &Process) -> Self {
        #[cfg(feature = "sim")]
        let node = &process.header().node;
        Self {
            pid: process.header().pid,
            address: process.as_raw().addr().get(),
            #[cfg(feature = "sim")]
            node: node.is_simulated().then(|| Arc::clone(node)),
        }
    }

    /// None, for tests.
    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        Self {
            pid: Pid::OUTSIDE,
            address: 0,
            #[cfg(feature = "sim")]
            node: None,
        }
    }
}

#[repr(C)]
struct Answer<T> {
    base: Base,
    // Invariant: written by the reply before the state says so.
    value: UnsafeCell<MaybeUninit<Result<T, CallError>>>,
}

/// Whether a change of the state is for the caller to know.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Tell {
    Caller,
    Nobody,
}

impl Base {
    fn is_open(&self) -> bool {
        state::is_open(self.state.load(Ordering::Acquire))
    }

    /// Adds to the state if it is open, and wakes the process that waits if it
    /// is to be told. What the state was, and whether it was open.
    fn add(&self, flag: u32, tell: Tell) -> Result<u32, u32> {
        let to = |now| state::is_open(now).then_some(now | flag);
        if let Some(home) = &self.home {
            let mut added = Err(0);
            let woken = home.core().notify_if(|| {
                let now = self.state.load(Ordering::Relaxed);
                added = to(now).ok_or(now).map(|next| {
                    // Release: what was written before goes with it.
                    self.state.store(next, Ordering::Release);
                    now
                });
                tell == Tell::Caller && added.is_ok()
            });
            if woken == Some(Wake::Schedule) {
                schedule(home);
            }
            if woken.is_some() {
                return added;
            }
        }
        // AcqRel: as above, and what came before is seen.
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, to)
    }
}

/// Lets a process run that was woken.
#[inline]
fn schedule(process: &Process) {
    #[cfg(not(all(test, resurgam_loom)))]
    process.schedule();
    #[cfg(all(test, resurgam_loom))]
    loom_tests::schedule(process);
}

/// One share in an answer.
struct Share(NonNull<Base>);

// SAFETY: what is shared is reached by atomics, behind a lock, or by whom the
// state of the answer says; values move to the caller, so `T: Send` is asked
// for where they are put in.
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
        if self.base().shares.fetch_sub(1, Ordering::Release) == 1 {
            // Pairs with the Release of the others; as in `Process`, no fence.
            self.base().shares.load(Ordering::Acquire);
            let free = self.base().free;
            // SAFETY: this was the last share.
            unsafe { self.free(free) }
        }
    }

    /// As `give_up`, by one that is most often the last.
    ///
    /// # Safety
    ///
    /// It is a share in an `Answer<T>`.
    #[inline]
    unsafe fn give_up_last<T>(self) {
        // Acquire: pairs with the Release of those who gave theirs up.
        if self.base().shares.load(Ordering::Acquire) == 1 {
            // SAFETY: a share is made of a share only, so there is no other.
            unsafe { self.free(free::<T>) }
        } else {
            self.give_up();
        }
    }

    /// # Safety
    ///
    /// This is the last share, and that is how such an answer is freed.
    #[inline]
    unsafe fn free(mut self, free: unsafe fn(NonNull<Base>)) {
        // SAFETY: the caller's, so nobody else looks at it.
        let base = unsafe { self.0.as_mut() };
        let home = base.home.take();
        // SAFETY: the caller's; what it held was taken.
        unsafe { free(self.0) }
        if let Some(home) = home {
            give_back(home);
        }
    }

    /// Decides the state and wakes the caller; the share is given up, unless
    /// something else came first.
    ///
    /// # Safety
    ///
    /// What `how` stands for was written.
    unsafe fn decide(self, how: u32) -> Result<(), Self> {
        let Ok(before) = self.base().add(how, Tell::Caller) else {
            return Err(self);
        };
        if before & state::WAKER != 0 {
            let waker = self.base().waker.lock().take();
            if let Some(waker) = waker {
                wake_caught(waker);
            }
        }
        self.give_up();
        Ok(())
    }

    /// As `decide`, in the turn of a server that also has the debtor's share:
    /// if nothing has happened, both are given up in the same step.
    ///
    /// # Safety
    ///
    /// As of `decide`.
    unsafe fn decide_for_both(self, owed: Self, how: u32) -> Result<(), Self> {
        let base = self.base();
        let Some(home) = &base.home else {
            owed.give_up();
            // SAFETY: the caller's.
            return unsafe { self.decide(how) };
        };
        let life = home.as_raw();
        let mut is_done = false;
        // Once it is decided the caller may free the answer, and end; but then
        // it has closed its mailbox, and so waited for this lock.
        let woken = home.core().notify_if(|| {
            is_done = base.state.load(Ordering::Relaxed) == state::OPEN;
            if is_done {
                // No read-modify-write: of the shares that are left, the
                // caller's is not given up before the state says so.
                let shares = base.shares.load(Ordering::Relaxed);
                base.shares.store(shares - 2, Ordering::Relaxed);
                // Release: the value and the shares go with it.
                base.state.store(how, Ordering::Release);
            }
            is_done
        });
        if !is_done {
            owed.give_up();
            // SAFETY: the caller's.
            return unsafe { self.decide(how) };
        }
        if woken == Some(Wake::Schedule) {
            // SAFETY: `home` waits by its own waker, so it has no thread of its
            // own: while it was idle, the count of its life was in nobody's
            // hands, so it stays until it is scheduled; and the node, which the
            // server holds, longer.
            schedule(&ManuallyDrop::new(unsafe { Process::from_raw(life) }));
        }
        Ok(())
    }
}

/// Makes an answer that somebody is about to wait for: where to wait, where to
/// reply, and who is in debt.
#[inline]
pub(crate) fn answer<T: Send>(
    caller: Pid,
    home: Option<Process>,
    server: Server,
) -> (Waiter<T>, Replier<T>, Owed) {
    let place = pool::allocate(Layout::new::<Answer<T>>()).cast::<Answer<T>>();
    let answer = Answer {
        base: Base {
            state: AtomicU32::new(state::OPEN),
            shares: AtomicU32::new(3),
            caller,
            server,
            home,
            waker: Lock::new(0, None),
            refusal: UnsafeCell::new(MaybeUninit::uninit()),
            next: UnsafeCell::new(None),
            refuse_as_reply: refuse_as_reply::<T>,
            free: free::<T>,
        },
        value: UnsafeCell::new(MaybeUninit::<Result<T, CallError>>::uninit()),
    };
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
#[inline]
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

/// A count of the current process, to wait with: the one that lies ready, or a
/// new one.
pub(crate) fn lend(process: &Process) -> Process {
    let ready = {
        let mut owner = process.owner();
        let is_there = owner.rare.is_there();
        is_there.then(|| owner.rare.spare.take()).flatten()
    };
    ready.unwrap_or_else(|| process.clone())
}

/// Drops a count of a process; if that is the current one, it lies ready for
/// its next call, where the end of the process finds it.
fn give_back(count: Process) {
    if !current::is(&count) {
        return;
    }
    current::with(|process| {
        let mut owner = process.owner();
        let surplus = if owner.rare.is_there() {
            owner.rare.spare.replace(count)
        } else {
            Some(count)
        };
        drop(owner);
        drop(surplus);
    });
}

/// The reply's share. If it is dropped, nobody is told anything.
pub(crate) struct Replier<T>(Option<Share>, PhantomData<fn(T)>);

/// Whether the debt for an answer is paid with it.
pub(crate) enum Debt {
    /// Somebody else has the debtor's share.
    Kept,
    /// By the server, in its turn.
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
        held(&self.0).base().is_open()
    }

    /// The node, if it is simulated.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(&self) -> Option<Arc<NodeInner>> {
        held(&self.0).base().server.node.clone()
    }

    /// Leaves the answer and wakes who waits; drops it if it comes too late.
    #[inline]
    pub(crate) fn put(mut self, value: Result<T, CallError>, debt: Debt) {
        let share = self.0.take().expect(HELD);
        // SAFETY: the pointer is of an `Answer<T>`; its value is written by the
        // one reply there is, before the state says that it is there.
        let place = unsafe { &share.0.cast::<Answer<T>>().as_ref().value };
        let mut access = place.get_mut();
        // SAFETY: as above.
        unsafe { access.deref().write(value) };
        access.release();
        let decided = match debt {
            // SAFETY: the value was written.
            Debt::Kept => unsafe { share.decide(state::VALUE) },
            Debt::Paid(mut owed) => {
                let owed = owed.0.take().expect(HELD);
                debug_assert_eq!(owed.0, share.0, "a debt for another answer");
                // SAFETY: as above.
                unsafe { share.decide_for_both(owed, state::VALUE) }
            }
        };
        if let Err(share) = decided {
            let mut access = place.get_mut();
            // SAFETY: it came too late, so nobody reads what was written.
            let value = unsafe { access.deref().assume_init_read() };
            access.release();
            share.give_up();
            drop(value);
        }
    }

    /// The same share, whatever the type.
    pub(crate) fn erase(mut self) -> Unsent {
        Unsent(self.0.take())
    }
}

impl<T> Drop for Replier<T> {
    #[inline]
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

    /// Whether this is the server that was called.
    pub(crate) fn is_to(&self, process: &Process) -> bool {
        let server = &held(&self.0).base().server;
        // Another process at the same address has another pid.
        process.as_raw().addr().get() == server.address && process.header().pid == server.pid
    }

    /// The node, if it is simulated.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(&self) -> Option<Arc<NodeInner>> {
        held(&self.0).base().server.node.clone()
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
        held(&self.0).base().is_open()
    }

    /// Tells the caller that no reply will come; nothing happens if one came.
    pub(crate) fn refuse(mut self, why: Unanswered) {
        let share = self.0.take().expect(HELD);
        let mut access = share.base().refusal.get_mut();
        // SAFETY: the debtor's share is the only one that writes here, once.
        unsafe { access.deref().write(why.into()) };
        access.release();
        // SAFETY: the refusal was written.
        if let Err(share) = unsafe { share.decide(state::REFUSED) } {
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
        share.base().shares.fetch_add(1, Ordering::Relaxed);
        Watched(Self(Some(Share(share.0))))
    }
}

impl Drop for Owed {
    #[inline]
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
        let home = share.base().home.as_ref();
        if home.is_some_and(|home| current::has_waker(home.as_raw(), cx.waker())) {
            return Poll::Pending;
        }
        self.wait_by(cx.waker())
    }

    /// The server, while nothing has come of it.
    pub(crate) fn server(&self) -> Option<Pid> {
        Some(self.0.as_ref()?.base().server.pid)
    }

    /// Leaves a waker; the answer, if it came meanwhile.
    #[cold]
    fn wait_by(&mut self, waker: &Waker) -> Poll<Result<T, CallError>> {
        let base = held(&self.0).base();
        let mut left = base.waker.lock();
        let stale = match &*left {
            Some(before) if before.will_wake(waker) => None,
            _ => left.replace(waker.clone()),
        };
        drop(left);
        drop(stale);
        // It may have been decided before the waker was there.
        let _ = base.add(state::WAKER, Tell::Nobody);
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Gives up waiting; the answer, if it came before.
    pub(crate) fn close(&mut self) -> Option<Result<T, CallError>> {
        let base = self.0.as_ref()?.base();
        if base.add(state::CLOSED, Tell::Nobody).is_err() {
            return self.take();
        }
        // Nobody else decides any more, so this is the caller's to drop.
        let waker = base.waker.lock().take();
        if let Some(share) = self.0.take() {
            share.give_up();
        }
        drop(waker);
        None
    }

    /// The answer, if it has come; the share is given up with it.
    fn take(&mut self) -> Option<Result<T, CallError>> {
        let share = self.0.as_ref()?;
        // Acquire: the answer was written before the state was decided.
        let now = share.base().state.load(Ordering::Acquire);
        let answer = if now & state::VALUE != 0 {
            // SAFETY: the pointer is of an `Answer<T>`, and the state says that
            // the value is there, for the caller to take, once.
            unsafe {
                let mut access = share.0.cast::<Answer<T>>().as_ref().value.get_mut();
                let value = access.deref().assume_init_read();
                access.release();
                value
            }
        } else if now & state::REFUSED != 0 {
            let mut access = share.base().refusal.get_mut();
            // SAFETY: the state says that the refusal is there; as above.
            let refusal = unsafe { access.deref().assume_init_read() };
            access.release();
            Err(refusal)
        } else {
            return None;
        };
        // SAFETY: the pointer is of an `Answer<T>`.
        unsafe { self.0.take()?.give_up_last::<T>() }
        Some(answer)
    }
}

impl<T> Drop for Waiter<T> {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            drop(self.close());
        }
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
