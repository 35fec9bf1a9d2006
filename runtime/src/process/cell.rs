//! The cell of a process: one allocation that holds its header, its mailbox
//! and its body; and [`Process`], by which the rest of the runtime knows it.
//!
//! The `unsafe` of processes is here and in `current.rs`. It rests on three
//! rules (docs/decisions/0009):
//!
//! * The memory of a cell stays while somebody holds a [`Process`]. One count
//!   belongs to the process's life: it lies in the run queue that the process
//!   is in, or with the host that runs it, or, while it is idle, nowhere.
//! * What only the process itself touches (the owner, the inbox, the body) is
//!   touched by the thread that has its turn. The mailbox hands out one turn
//!   at a time.
//! * The future of a body does not move from its first poll to its drop.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::cell::{RefCell, RefMut, UnsafeCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, RawWaker, RawWakerVTable, Waker};

use crate::admission::send_away;
use crate::answer::Incurred;
use crate::caught::{PanicPayload, drop_caught};
use crate::exit_reason::ExitReason;
use crate::mailbox::{
    self, Attention, Core, Entry, Locked, Mailbox, Seized, Stamped, Wake, is_large,
};
use crate::name::Name;
use crate::node::NodeInner;
use crate::node::seam::observe;
use crate::pid::Pid;
use crate::pool::{self, Empty, Lazy, Queue};
use crate::process::context::Context;
use crate::process::current;
use crate::process::owner::{LateWaiter, Owner};
use crate::signal::{Notice, Signal};
use crate::sync::Lock;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::thread::Bell;

/// What every cell begins with, and the models' tokens too.
#[repr(C)]
pub(crate) struct Base {
    count: AtomicUsize,
    vtable: &'static VTable,
}

/// What the runtime knows of a process whatever its messages and its body are.
#[repr(C)]
pub(crate) struct Header {
    base: Base,
    pub(crate) pid: Pid,
    pub(crate) node: Arc<NodeInner>,
    /// The process that spawned this one, or [`Pid::OUTSIDE`].
    parent: Pid,
    pub(crate) seat: Seat,
    /// Both the registry and the process know its name; both change under this
    /// lock. Its flags are [`ENDING`] and [`AIMED_AT`].
    pub(crate) identity: Lock<Lazy<Identity>>,
    owner: InTurn<Owner>,
}

/// What a process is called.
#[derive(Default)]
pub(crate) struct Identity {
    /// The registered name.
    pub(crate) name: Option<Name>,
    /// The label, for people.
    pub(crate) label: Option<Arc<str>>,
    /// On whose behalf it works, the nearest first.
    pub(crate) callers: Option<Arc<[Pid]>>,
}

impl Empty for Identity {
    const EMPTY: &'static Self = {
        static EMPTY: Identity = Identity {
            name: None,
            label: None,
            callers: None,
        };
        &EMPTY
    };

    fn empty() -> Self {
        Self::default()
    }
}

/// The last rites of a process have begun: nobody sees it, and it gets no name
/// any more.
pub(crate) const ENDING: u32 = 1 << 1;
/// Timers are, or were, aimed at the process.
pub(crate) const AIMED_AT: u32 = 1 << 2;

/// Where a process takes its turns.
pub(crate) enum Seat {
    /// On the run queues of the node's hosts.
    Host,
    /// On a thread of its own, which waits at this bell.
    Thread(Box<Bell>),
}

/// Something that is touched only by the thread that has the process's turn.
struct InTurn<T>(RefCell<T>);

// SAFETY: it is private to this file, and reached where the turn is held only:
// by `Process::owner`, which asks whether the process is the current one, and
// by the functions here that say so.
unsafe impl<T: Send> Sync for InTurn<T> {}

/// As [`InTurn`], for what this file alone touches, once at a time.
struct Unguarded<T>(UnsafeCell<T>);

// SAFETY: as of `InTurn`.
unsafe impl<T: Send> Sync for Unguarded<T> {}

impl<T> Unguarded<T> {
    /// # Safety
    ///
    /// This thread has the turn, and nobody on it looks at the value now.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the turn is what is exclusive")]
    unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller's.
        unsafe { &mut *self.0.get() }
    }
}

/// What of a cell does not depend on its body.
#[repr(C)]
struct Front<M> {
    header: Header,
    mailbox: Mailbox<M>,
    /// What was taken from the mailbox and not yet received.
    inbox: Unguarded<VecDeque<M>>,
}

/// The one allocation of a process.
#[repr(C)]
struct Cell<M, B, F> {
    front: Front<M>,
    body: Unguarded<Body<B, F>>,
}

/// The life of a body.
enum Body<B, F> {
    /// Not called yet.
    New(B),
    /// Called; the future it made.
    Running(F),
    /// Over, and dropped.
    Over,
}

/// What depends on the messages or the body. The process's own turn is asked
/// for by all but `free`.
struct VTable {
    message: fn() -> TypeId,
    message_name: fn() -> &'static str,
    body_name: fn() -> &'static str,
    /// Moves the queue into the inbox; whether that has a large buffer now.
    take: unsafe fn(&Process, &mut Locked<'_>) -> bool,
    /// Gives the buffers of the inbox and the queue back.
    trim: unsafe fn(&Process, &mut Locked<'_>),
    poll: unsafe fn(&Process) -> BodyPoll,
    drop_body: unsafe fn(&Process) -> Result<(), PanicPayload>,
    close: unsafe fn(&Process) -> Remains,
    /// The last count is gone.
    free: unsafe fn(NonNull<Base>),
}

/// What else than messages was left in a mailbox when it was closed.
pub(crate) struct Remains {
    pub(crate) signals: Queue<Stamped<Signal>>,
    pub(crate) owed: Incurred,
}

/// A process: a counted pointer to its cell.
#[repr(transparent)]
pub(crate) struct Process(NonNull<Base>);

// SAFETY: messages and bodies are `Send` (`make`); what is shared stands behind
// locks or is touched in the process's turn only.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

/// How a turn of a body ended.
pub(crate) enum BodyPoll {
    Waiting,
    Returned(ExitReason),
    Panicked(PanicPayload),
}

/// What a body may return, and which exit reason it means.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{ExitReason, ProcessOutput};
///
/// assert_eq!(().into_exit_reason(), ExitReason::Normal);
/// assert_eq!(Err(ExitReason::Shutdown).into_exit_reason(), ExitReason::Shutdown);
/// ```
pub trait ProcessOutput {
    /// The reason with which the process ends.
    fn into_exit_reason(self) -> ExitReason;
}

impl ProcessOutput for () {
    fn into_exit_reason(self) -> ExitReason {
        ExitReason::Normal
    }
}

/// A body that loops for ever returns `!`, which has no name yet on stable
/// Rust but as what a function returns.
#[allow(private_interfaces, reason = "the trait only spells `!`")]
impl ProcessOutput for <fn() -> ! as Returns>::Output {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

impl ProcessOutput for ExitReason {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

impl ProcessOutput for Result<(), ExitReason> {
    fn into_exit_reason(self) -> ExitReason {
        self.err().unwrap_or(ExitReason::Normal)
    }
}

impl Header {
    pub(crate) fn new(
        pid: Pid,
        node: Arc<NodeInner>,
        parent: Option<Pid>,
        seat: Seat,
        label: Option<Arc<str>>,
        owner: Owner,
    ) -> Self {
        let mut identity = Lazy::<Identity>::default();
        if label.is_some() {
            identity.label = label;
        }
        Self {
            base: Base {
                count: AtomicUsize::new(0),
                vtable: &NOWHERE,
            },
            pid,
            node,
            parent: parent.unwrap_or(Pid::OUTSIDE),
            seat,
            identity: Lock::new(0, identity),
            owner: InTurn(RefCell::new(owner)),
        }
    }

    /// The process that spawned this one, if one did.
    pub(crate) fn parent(&self) -> Option<Pid> {
        (self.parent != Pid::OUTSIDE).then_some(self.parent)
    }

    /// The registered name.
    pub(crate) fn name(&self) -> Option<Name> {
        self.identity.lock().name.clone()
    }

    pub(crate) fn label(&self) -> Option<Arc<str>> {
        self.identity.lock().label.clone()
    }

    pub(crate) fn callers(&self) -> Option<Arc<[Pid]>> {
        self.identity.lock().callers.clone()
    }

    /// Whether timers are, or were, aimed at the process.
    pub(crate) fn is_aimed_at(&self) -> bool {
        self.identity.flags() & AIMED_AT != 0
    }

    /// Whether the last rites have begun: nobody sees the process any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.identity.flags() & ENDING != 0
    }
}

/// What a receive finds at first sight.
pub(crate) enum Next<M> {
    Message(M),
    /// Nothing has come; a message will wake the process.
    Nothing,
    /// It must look more closely.
    Unclear,
}

/// A process whose messages are known to be of this type.
pub(crate) struct Typed<M> {
    // Invariant: its messages are of the type `M`.
    process: Process,
    messages: PhantomData<fn(M)>,
}

/// A turn of a process.
pub(crate) struct Turn<'a> {
    // Invariant: this thread has its turn.
    process: &'a Process,
    _entered: current::Entered<'a>,
}

/// The references to a process that was just made.
pub(crate) struct Newborn<M> {
    /// The count of its life, for a run queue.
    pub(crate) life: Process,
    pub(crate) for_table: Process,
    pub(crate) process: Typed<M>,
}

/// Allocates a process.
pub(crate) fn make<M, B, F>(mut header: Header, body: B) -> Newborn<M>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    const {
        assert!(
            offset_of!(Front<M>, mailbox) == offset_of!(Front<()>, mailbox),
            "the mailbox lies in one place whatever the messages are"
        );
    }
    // The life, the table, whoever spawns, and the context.
    header.base = Base {
        count: AtomicUsize::new(4),
        vtable: &Cell::<M, B, F>::VTABLE,
    };
    let place = pool::allocate(Layout::new::<Cell<M, B, F>>()).cast::<Cell<M, B, F>>();
    let cell = place.as_ptr();
    // SAFETY: the place has the layout and is nobody else's. All fields are
    // written, each where it stays: a cell is large, and is not moved for it.
    unsafe {
        (&raw mut (*cell).front.header).write(header);
        (&raw mut (*cell).front.mailbox).write(Mailbox::new());
        (&raw mut (*cell).front.inbox).write(Unguarded(UnsafeCell::new(VecDeque::new())));
        (&raw mut (*cell).body).write(Unguarded(UnsafeCell::new(Body::New(body))));
    }
    let base = place.cast::<Base>();
    Newborn {
        life: Process(base),
        for_table: Process(base),
        process: Typed::of(Process(base)),
    }
}

impl<M, B, F> Cell<M, B, F>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    const VTABLE: VTable = VTable {
        message: TypeId::of::<M>,
        message_name: std::any::type_name::<M>,
        body_name: std::any::type_name::<F>,
        take: Self::take,
        trim: Self::trim,
        poll: Self::poll,
        drop_body: Self::drop_body,
        close: Self::close,
        free: Self::free,
    };

    /// # Safety
    ///
    /// The process is one of this type, as its vtable says.
    #[inline]
    unsafe fn of(process: &Process) -> &Self {
        // SAFETY: the caller's.
        unsafe { process.0.cast::<Self>().as_ref() }
    }

    unsafe fn take(process: &Process, locked: &mut Locked<'_>) -> bool {
        // SAFETY: the vtable is of this type.
        let front = unsafe { &Self::of(process).front };
        // SAFETY: whoever calls has the turn, and nothing of the user's runs.
        let inbox = unsafe { front.inbox.get() };
        front.mailbox.take(locked, inbox);
        is_large::<M>(inbox.len())
    }

    unsafe fn trim(process: &Process, locked: &mut Locked<'_>) {
        // SAFETY: the vtable is of this type.
        let front = unsafe { &Self::of(process).front };
        front.mailbox.trim(locked);
        // SAFETY: as in `take`.
        unsafe { front.inbox.get() }.shrink_to_fit();
    }

    unsafe fn poll(process: &Process) -> BodyPoll {
        // SAFETY: the vtable is of this type.
        let cell = unsafe { Self::of(process) };
        match panic::catch_unwind(AssertUnwindSafe(|| cell.advance(process))) {
            Ok(Poll::Pending) => BodyPoll::Waiting,
            Ok(Poll::Ready(reason)) => BodyPoll::Returned(reason),
            Err(payload) => BodyPoll::Panicked(payload),
        }
    }

    /// Calls the body if that has not happened, and polls its future.
    fn advance(&self, process: &Process) -> Poll<ExitReason> {
        // SAFETY: whoever calls has the turn, and calls this or `drop_body` once
        // at a time (`body.rs`).
        let body = unsafe { self.body.get() };
        if let Body::New(_) = body {
            let Body::New(call) = std::mem::replace(body, Body::Over) else {
                unreachable!()
            };
            // SAFETY: one of the counts that the cell was made with is for the
            // context, and `Body::New` stands for it.
            let context = Context::new(Typed::of(unsafe { Process::from_raw(process.0) }));
            *body = Body::Running(call(context));
        }
        let Body::Running(future) = body else {
            return Poll::Pending;
        };
        // SAFETY: the future lies in the cell, which never moves; `body` is
        // private to this file, and the one place that writes to it once a
        // future is in it (`drop_body`) drops that future in place. So from its
        // first poll to its drop it does not move.
        let future = unsafe { Pin::new_unchecked(future) };
        // SAFETY: the waker is not dropped, so it may do without a count; the
        // process is held by whoever gives it its turn.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(process.0)) });
        future
            .poll(&mut TaskContext::from_waker(&waker))
            .map(ProcessOutput::into_exit_reason)
    }

    unsafe fn drop_body(process: &Process) -> Result<(), PanicPayload> {
        // SAFETY: the vtable is of this type.
        let cell = unsafe { Self::of(process) };
        // SAFETY: as in `advance`, which is over.
        let body = unsafe { cell.body.get() };
        if let Body::New(_) = body {
            // SAFETY: the count of a context that was never made.
            drop(unsafe { Process::from_raw(process.0) });
        }
        // The assignment drops the old value where it lies.
        panic::catch_unwind(AssertUnwindSafe(|| *body = Body::Over))
    }

    unsafe fn close(process: &Process) -> Remains {
        // SAFETY: the vtable is of this type.
        let front = unsafe { &Self::of(process).front };
        let mut locked = front.mailbox.core.lock();
        let unread = front.mailbox.close(&mut locked);
        let shared = locked.shared();
        let remains = Remains {
            signals: std::mem::take(&mut shared.signals),
            owed: std::mem::take(&mut shared.owed),
        };
        drop(locked);
        // SAFETY: as in `take`.
        let read = std::mem::take(unsafe { front.inbox.get() });
        observe!(front.header.node, |world| {
            let evicted = front.mailbox.core.evicted() as usize;
            world.dropped(front.header.pid, read.len() + unread.len() + evicted);
        });
        for message in read.into_iter().chain(unread) {
            drop_caught(message);
        }
        remains
    }

    unsafe fn free(base: NonNull<Base>) {
        let place = base.cast::<Self>();
        // SAFETY: the vtable is of this type, and nobody holds the process.
        unsafe {
            place.drop_in_place();
            pool::free(place.cast(), Layout::new::<Self>());
        }
    }
}

impl Process {
    #[inline]
    fn base(&self) -> &Base {
        // SAFETY: the memory stays while there is a count.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: as above; only the models have a `Base` without a header, and
        // they do not come here.
        unsafe { self.0.cast::<Header>().as_ref() }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        // SAFETY: the mailbox lies at this offset in every cell (`make`), and
        // begins with its core.
        unsafe {
            let front = self.0.cast::<Front<()>>();
            &*(&raw const (*front.as_ptr()).mailbox).cast::<Core>()
        }
    }

    /// The address, which says who it is while somebody holds it.
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<Base> {
        self.0
    }

    /// The count, as an address.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Base> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// A count came with the address, and goes with what this returns.
    #[inline]
    pub(crate) unsafe fn from_raw(base: NonNull<Base>) -> Self {
        Self(base)
    }

    /// Whether two are the same process.
    #[cfg(all(test, resurgam_loom))]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The same process, if its messages are of this type.
    #[inline]
    pub(crate) fn typed<M: 'static>(self) -> Result<Typed<M>, Self> {
        if self.takes::<M>() {
            Ok(Typed::of(self))
        } else {
            Err(self)
        }
    }

    /// Whether the messages are of this type.
    #[inline]
    fn takes<M: 'static>(&self) -> bool {
        (self.base().vtable.message)() == TypeId::of::<M>()
    }

    /// The name of the type of the messages.
    pub(crate) fn message_type(&self) -> &'static str {
        (self.base().vtable.message_name)()
    }

    /// The name of the type of the body's future, which says where it was
    /// written.
    pub(crate) fn body_type(&self) -> &'static str {
        (self.base().vtable.body_name)()
    }

    /// What only the process itself touches.
    ///
    /// # Panics
    ///
    /// If the process is not the current one: then it is not its turn.
    #[inline]
    #[track_caller]
    pub(crate) fn owner(&self) -> OwnerGuard<'_> {
        assert!(current::is(self), "only the process itself may touch this");
        // Whoever made it the current one has its turn.
        self.header().owner.0.borrow_mut()
    }

    /// Begins a turn: the process is the current one until the guard is
    /// dropped, and what has come is taken, with the signals. `None` if the
    /// process was seized, and nothing is to be done with it any more.
    #[inline]
    pub(crate) fn begin_turn(&self) -> Option<(Turn<'_>, Queue<Stamped<Signal>>)> {
        let locked = self.core().begin_turn()?;
        // SAFETY: the turn was begun here.
        unsafe {
            let signals = self.take_in(locked);
            let turn = Turn {
                process: self,
                _entered: current::enter(self),
            };
            Some((turn, signals))
        }
    }

    /// Takes what has come; the signals.
    #[inline]
    pub(crate) fn take(&self) -> Queue<Stamped<Signal>> {
        assert!(current::is(self), "only the process itself may take");
        // SAFETY: this thread has the turn.
        unsafe { self.take_in(self.core().lock()) }
    }

    /// # Safety
    ///
    /// This thread has the turn.
    #[inline(always)]
    unsafe fn take_in(&self, mut locked: Locked<'_>) -> Queue<Stamped<Signal>> {
        let mut owner = self.header().owner.0.borrow_mut();
        if locked.has_mail() {
            owner.unseen = true;
            // SAFETY: the caller's.
            owner.swollen |= unsafe { (self.base().vtable.take)(self, &mut locked) };
            owner.unread = true;
        }
        if locked.has_owed() {
            let answered = owner.take_owed(&mut locked.shared().owed);
            if !answered.is_empty() {
                drop((locked, owner));
                drop(answered);
                // SAFETY: the caller's.
                return unsafe { self.take_more() };
            }
        }
        let signals = if locked.has_signals() {
            owner.unseen = true;
            std::mem::take(&mut locked.shared().signals)
        } else {
            Queue::EMPTY
        };
        locked.nothing_new();
        signals
    }

    /// As [`take_in`](Self::take_in), after messages were taken and before
    /// signals were.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    unsafe fn take_more(&self) -> Queue<Stamped<Signal>> {
        // SAFETY: the caller's; what was taken is not there twice.
        unsafe { self.take_in(self.core().lock()) }
    }

    /// Gives large empty buffers back. For an owner that goes idle.
    #[cold]
    pub(crate) fn trim(&self) {
        assert!(current::is(self), "only the process itself may trim");
        let mut locked = self.core().lock();
        // SAFETY: this thread has the turn.
        unsafe { (self.base().vtable.trim)(self, &mut locked) }
    }

    /// How many messages have come and were not received.
    pub(crate) fn queue_len(&self) -> usize {
        let received = self.owner().received;
        self.core().lock().unreceived(received)
    }

    /// Runs the body until it waits.
    #[inline]
    pub(crate) fn poll_body(&self) -> BodyPoll {
        assert!(current::is(self), "only in the process's turn");
        // SAFETY: the vtable is the cell's own, and this thread has the turn.
        unsafe { (self.base().vtable.poll)(self) }
    }

    /// Drops what is left of the body; the payload if that panics.
    pub(crate) fn drop_body(&self) -> Result<(), PanicPayload> {
        assert!(current::is(self), "only in the process's turn");
        // SAFETY: as above.
        unsafe { (self.base().vtable.drop_body)(self) }
    }

    /// Refuses everything from now on, drops the user's messages one by one,
    /// and returns what else was left.
    pub(crate) fn close(&self) -> Remains {
        assert!(current::is(self), "only in the process's turn");
        // SAFETY: as above.
        let remains = unsafe { (self.base().vtable.close)(self) };
        if self.core().is_bounded() {
            send_away(self);
        }
        remains
    }

    /// Takes the process for a last turn that no run queue gives, if nobody
    /// else has it or has ended it.
    pub(crate) fn seize(&self, last_turn: impl FnOnce()) {
        let Some(seized) = self.core().seize() else {
            return;
        };
        {
            // SAFETY: the process was seized, and is not given back.
            let _entered = unsafe { current::enter(self) };
            last_turn();
        }
        if seized == Seized::Idle {
            // SAFETY: the count of an idle process's life is in nobody's hands;
            // here it ends.
            drop_caught(unsafe { Self::from_raw(self.0) });
        }
    }

    /// Looks at a process of a simulation at rest as if it had its turn.
    ///
    /// # Safety
    ///
    /// No process of the simulation has its turn.
    #[cfg(feature = "sim")]
    pub(crate) unsafe fn visit<R>(&self, look: impl FnOnce() -> R) -> R {
        // SAFETY: the caller's; a simulation has one thread.
        let _entered = unsafe { current::enter(self) };
        look()
    }

    /// Puts the process, which was just woken, where it gets its turn.
    #[inline]
    pub(crate) fn schedule(&self) {
        // SAFETY: an idle process has the count of its life in nobody's hands,
        // and whoever woke it passes it on.
        let life = unsafe { Self::from_raw(self.0) };
        self.header().node.schedule(life);
    }

    /// The process goes idle: the count of its life is in nobody's hands.
    #[inline]
    pub(crate) fn rest(self) {
        let _ = self.into_raw();
    }

    /// The process's own waker.
    pub(crate) fn waker(&self) -> Waker {
        // SAFETY: the count goes with the waker.
        unsafe { Waker::from_raw(raw_waker(self.clone().into_raw())) }
    }

    /// Wakes the process, as its waker does.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.core().notify() == Wake::Schedule {
            self.schedule();
        }
    }

    /// Lets one who came late wait for the end to be told, if it is not yet;
    /// gives it back with the reason if everybody was told.
    pub(crate) fn wait_for_late(&self, waiter: LateWaiter) -> Result<(), (LateWaiter, ExitReason)> {
        let mut locked = self.core().lock();
        if !locked.is_told() {
            locked.shared().extra.late.push(waiter);
            return Ok(());
        }
        drop(locked);
        // SAFETY: when everybody was told, nobody writes to the owner any more,
        // and what was written before was seen with the lock.
        let owner = unsafe { &*self.header().owner.0.as_ptr() };
        Err((waiter, owner.fate.clone().unwrap_or(ExitReason::NoProcess)))
    }

    /// Those who came late and were not told; if there are none, whoever comes
    /// from now on is told at once, and nothing of the owner may be written any
    /// more.
    pub(crate) fn late(&self) -> Vec<LateWaiter> {
        let mut locked = self.core().lock();
        let extra = &mut locked.shared().extra;
        // Not to be written to if there is nothing: that would allocate it.
        let late = if extra.late.is_empty() {
            Vec::new()
        } else {
            std::mem::take(&mut extra.late)
        };
        if late.is_empty() {
            locked.all_told();
        }
        late
    }
}

impl<'a> Turn<'a> {
    /// As [`Process::owner`].
    #[inline]
    pub(crate) fn owner(&self) -> OwnerGuard<'a> {
        self.process.header().owner.0.borrow_mut()
    }
}

impl<M> Typed<M> {
    fn of(process: Process) -> Self {
        Self {
            process,
            messages: PhantomData,
        }
    }

    #[inline]
    fn front(&self) -> &Front<M> {
        // SAFETY: the messages are of this type, and every cell begins with its
        // front.
        unsafe { self.process.0.cast::<Front<M>>().as_ref() }
    }

    #[inline]
    pub(crate) fn mailbox(&self) -> &Mailbox<M> {
        &self.front().mailbox
    }

    /// The oldest entry of what was taken in, for the process itself.
    #[inline]
    pub(crate) fn next_entry(&self, owner: &mut Owner) -> Option<Entry<M>> {
        assert!(current::is(self), "only the process itself may receive");
        // SAFETY: the process is the current one, so this thread has its turn;
        // nothing of the user's runs here.
        let inbox = unsafe { self.front().inbox.get() };
        if self.core().is_bounded() {
            return self.next_of_bounded(owner, inbox);
        }
        if !owner.rare.is_there() {
            let message = inbox.pop_front()?;
            owner.received += 1;
            owner.unread = !inbox.is_empty();
            return Some(Entry::Message(message));
        }
        let Owner { received, rare, .. } = owner;
        let entry = mailbox::next_entry(inbox, received, &mut rare.notices);
        owner.unread = !inbox.is_empty();
        if let Some(Entry::Notice(notice)) = &entry {
            rare.took(notice);
        }
        entry
    }

    /// As [`next_entry`](Self::next_entry), where there is a bound: messages
    /// stay in the queue, so that it is known which is the oldest. None is
    /// taken while signals wait, which may have come before it.
    #[cold]
    #[inline(never)]
    fn next_of_bounded(&self, owner: &mut Owner, inbox: &mut VecDeque<M>) -> Option<Entry<M>> {
        let mut locked = self.core().lock();
        if locked.has_signals() {
            return None;
        }
        let Owner {
            received,
            rare,
            unread,
            ..
        } = owner;
        locked.catch_up(inbox.len(), received, &mut rare.notices);
        let is_due = |notice: &Stamped<Notice>| notice.position <= *received;
        if inbox.is_empty() && !rare.notices.front().is_some_and(is_due) {
            inbox.extend(self.mailbox().take_one(&mut locked));
        }
        let entry = mailbox::next_entry(inbox, received, &mut rare.notices);
        *unread = locked.holds(inbox.len());
        if let Some(Entry::Notice(notice)) = &entry {
            rare.took(notice);
        }
        entry
    }

    /// Takes everything in for a selective receive, where there is a bound.
    #[cold]
    pub(crate) fn take_all(&self, owner: &mut Owner) {
        assert!(current::is(self), "only the process itself may take");
        let mut locked = self.core().lock();
        if locked.has_signals() {
            return;
        }
        // SAFETY: this thread has the turn; nothing of the user's runs here.
        let inbox = unsafe { self.front().inbox.get() };
        let Owner { received, rare, .. } = owner;
        locked.catch_up(inbox.len(), received, &mut rare.notices);
        self.mailbox().take_all(&mut locked, inbox);
    }

    /// What was taken in and not received, to be looked at by functions of the
    /// user's and then given back.
    pub(crate) fn lend_inbox(&self) -> VecDeque<M> {
        assert!(current::is(self), "only the process itself may receive");
        // SAFETY: the process is the current one, so this thread has its turn.
        std::mem::take(unsafe { self.front().inbox.get() })
    }

    /// Takes back what was lent, before what came meanwhile; whether there is
    /// anything.
    pub(crate) fn return_inbox(&self, mut lent: VecDeque<M>) -> bool {
        assert!(current::is(self), "only the process itself may receive");
        // SAFETY: as above; nothing of the user's runs here.
        let inbox = unsafe { self.front().inbox.get() };
        lent.append(inbox);
        *inbox = lent;
        if self.core().is_bounded() {
            return self.core().lock().holds(inbox.len());
        }
        !inbox.is_empty()
    }

    /// The oldest message of what was taken in, if nothing else is to be heeded
    /// and the turn's budget allows it.
    #[inline]
    pub(crate) fn next_message(&self) -> Next<M> {
        if self.core().needs_care() {
            return Next::Unclear;
        }
        let mut owner = self.owner();
        if !owner.is_plain() || owner.budget <= 1 {
            return Next::Unclear;
        }
        // SAFETY: the process is the current one, as `owner` has seen.
        let inbox = unsafe { self.front().inbox.get() };
        if let Some(message) = inbox.pop_front() {
            owner.received += 1;
            owner.unread = !inbox.is_empty();
            owner.budget -= 1;
            owner.attention = Attention::Signals;
            return Next::Message(message);
        }
        if self.core().has_mail() {
            return Next::Unclear;
        }
        owner.attention = Attention::Messages;
        owner.unseen = false;
        Next::Nothing
    }
}

impl<M> Deref for Typed<M> {
    type Target = Process;

    #[inline]
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl<M> Clone for Typed<M> {
    #[inline]
    fn clone(&self) -> Self {
        Self::of(self.process.clone())
    }
}

/// What only the process itself touches, for as long as it looks at it.
pub(crate) type OwnerGuard<'a> = RefMut<'a, Owner>;

impl Clone for Process {
    #[inline]
    fn clone(&self) -> Self {
        /// More than this can only be counts that are forgotten without end.
        const MOST: usize = isize::MAX as usize;
        // Relaxed: who has a count can make another one of it.
        let before = self.base().count.fetch_add(1, Ordering::Relaxed);
        if before > MOST {
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for Process {
    #[inline]
    fn drop(&mut self) {
        // Release: what was done with the process is done when it is freed.
        if self.base().count.fetch_sub(1, Ordering::Release) == 1 {
            // Pairs with the Release of the others. A load, since the thread
            // sanitizer does not know fences.
            self.base().count.load(Ordering::Acquire);
            // SAFETY: this was the last count.
            unsafe { (self.base().vtable.free)(self.0) }
        }
    }
}

/// The waker of a process is its address, with a count.
fn raw_waker(base: NonNull<Base>) -> RawWaker {
    const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
    /// # Safety
    ///
    /// The data are the address of a process that is held.
    unsafe fn process(data: *const ()) -> ManuallyDrop<Process> {
        let base = data.cast_mut().cast::<Base>();
        // SAFETY: the caller's.
        ManuallyDrop::new(unsafe { Process::from_raw(NonNull::new_unchecked(base)) })
    }
    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the waker holds the process.
        let process = unsafe { process(data) };
        raw_waker(Process::clone(&process).into_raw())
    }
    unsafe fn wake(data: *const ()) {
        // SAFETY: the waker's count is given up with it.
        let process = ManuallyDrop::into_inner(unsafe { process(data) });
        process.wake();
    }
    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: the waker holds the process.
        unsafe { process(data) }.wake();
    }
    unsafe fn drop_waker(data: *const ()) {
        // SAFETY: the waker's count is given up with it.
        drop(ManuallyDrop::into_inner(unsafe { process(data) }));
    }
    RawWaker::new(base.as_ptr().cast(), &VTABLE)
}

/// For the models: a process that has a mailbox, which was scheduled, and
/// nothing else.
#[cfg(all(test, resurgam_loom))]
pub(crate) fn mailbox_only() -> Process {
    type Place = std::mem::MaybeUninit<Front<()>>;
    static VTABLE: VTable = VTable {
        free: |base| {
            // SAFETY: it is the box made below, and nobody holds it any more.
            unsafe {
                let mut front = Box::from_raw(base.cast::<Place>().as_ptr());
                (&raw mut (*front.as_mut_ptr()).mailbox).drop_in_place();
            }
        },
        ..NOWHERE
    };
    let mut place = Box::new(Place::uninit());
    let (base, mailbox) = (
        Base {
            count: AtomicUsize::new(1),
            vtable: &VTABLE,
        },
        Mailbox::new(),
    );
    // SAFETY: both lie in the place.
    unsafe {
        place.as_mut_ptr().cast::<Base>().write(base);
        (&raw mut (*place.as_mut_ptr()).mailbox).write(mailbox);
    }
    Process(NonNull::from(Box::leak(place)).cast())
}

/// For the models: a process that is only passed around, which has a base and
/// nothing behind it.
#[cfg(all(test, resurgam_loom))]
pub(crate) fn token() -> Process {
    static VTABLE: VTable = VTable {
        free: |base| {
            // SAFETY: it is the box made below, and nobody holds it any more.
            drop(unsafe { Box::from_raw(base.as_ptr()) });
        },
        ..NOWHERE
    };
    let base = Box::new(Base {
        count: AtomicUsize::new(1),
        vtable: &VTABLE,
    });
    Process(NonNull::from(Box::leak(base)))
}

#[cfg(all(test, resurgam_loom))]
impl Process {
    /// As an end does.
    pub(crate) fn close_mailbox(&self) {
        let typed = Typed::<()>::of(self.clone());
        typed.mailbox().close(&mut typed.core().lock());
    }

    /// How many counts there are.
    pub(crate) fn count(&self) -> usize {
        self.base().count.load(Ordering::SeqCst)
    }
}

/// The vtable of a header that is in no cell yet.
const NOWHERE: VTable = VTable {
    message: TypeId::of::<()>,
    message_name: std::any::type_name::<()>,
    body_name: std::any::type_name::<()>,
    take: |_, _| unreachable!("no cell"),
    trim: |_, _| unreachable!("no cell"),
    poll: |_| unreachable!("no cell"),
    drop_body: |_| unreachable!("no cell"),
    close: |_| unreachable!("no cell"),
    free: |_| unreachable!("no cell"),
};
