//! Aliases: ways to a process that it can close again; and what of monitors and
//! links goes beyond the plain ones: messages of one's own instead of a `Down`,
//! and priority.

use std::any::{Any, type_name};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::exit_reason::ExitReason;
use crate::mailbox::{Core, Wake};
use crate::node::Dest;
use crate::node::seam::Load;
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::Typed;
use crate::process::{current, link, watch};
use crate::process_ref::scheduled;
use crate::signal::{Down, Exit, Maker, Signal, Unshared, Urgent};
use crate::sync::atomic::{AtomicBool, Ordering};

/// How long an alias is open.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AliasMode {
    /// Until [`unalias`] (law ALIAS-04).
    Explicit,
    /// Until the first message comes through it, or [`unalias`] (law ALIAS-05).
    Reply,
}

/// How long the alias of a monitor is open. [`unalias`] closes it in any case,
/// and leaves the monitor (law ALIAS-10).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum MonitorAlias {
    /// Whatever becomes of the monitor (law ALIAS-07).
    Explicit,
    /// As long as the monitor (law ALIAS-08).
    Demonitor,
    /// As long as the monitor, and until the first message comes through it,
    /// which ends the monitor too (law ALIAS-09).
    ReplyDemonitor,
}

/// A way to a process that it can close: what comes later is dropped before it
/// is in the mailbox, and nobody is told (law ALIAS-02). What has come stays
/// (law ALIAS-03).
///
/// It is made by [`alias`] or [`monitor_alias`], and given to others. Messages
/// sent by it, by pid and by name are one stream (law SIG-03).
///
/// # Differences from Erlang
///
/// It carries the type of the messages. The reply to a [`call`] needs none: a
/// [`Reply`] is closed when nobody waits.
///
/// [`call`]: crate::ProcessRef::call
/// [`Reply`]: crate::Reply
pub struct Alias<M> {
    owner: Typed<M>,
    way: Arc<Way>,
}

/// What an alias shares with all its copies.
#[derive(Debug)]
pub(crate) struct Way {
    // Invariant: written under the lock of the owner's mailbox only.
    is_open: AtomicBool,
    is_single: bool,
    has_priority: bool,
    /// The monitor that closes it, and that it ends.
    monitor: Option<MonitorRef>,
}

impl Way {
    /// Lets a message in, under the lock of the mailbox: the monitor that it
    /// ends. Or else the way is closed.
    fn admit(&self) -> Result<Option<MonitorRef>, Closed> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Err(Closed);
        }
        if !self.is_single {
            return Ok(None);
        }
        self.is_open
            .store(planted!(ReplyAliasKept), Ordering::Relaxed);
        Ok(self.monitor)
    }

    /// Closes it, under the lock of the mailbox; whether it was open.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.is_open.load(Ordering::Relaxed);
        self.is_open.store(false, Ordering::Relaxed);
        was_open
    }

    /// Closes it, for the owner of that mailbox.
    fn close_at(&self, core: &Core) -> bool {
        core.locked(|| self.close())
    }
}

/// That an alias lets nothing in any more.
struct Closed;

impl<M: Send + 'static> Alias<M> {
    fn open(
        owner: Typed<M>,
        is_single: bool,
        has_priority: bool,
        monitor: Option<MonitorRef>,
    ) -> Self {
        Self {
            owner,
            way: Arc::new(Way {
                is_open: AtomicBool::new(true),
                is_single,
                has_priority,
                monitor,
            }),
        }
    }

    /// Sends a message; it is dropped if the alias is closed when it arrives.
    pub fn send(&self, message: M) {
        self.transmit(message, |alias, message| {
            let pushed = alias
                .owner
                .mailbox()
                .push_if(message, || alias.way.admit().ok().map(used));
            drop(scheduled(&alias.owner, pushed));
        });
    }

    /// As [`send`](Self::send); if the alias has priority, the message is
    /// received before all that have none (laws PRIO-02, PRIO-03).
    pub fn send_priority(&self, message: M) {
        if !self.way.has_priority {
            return self.send(message);
        }
        if planted!(PriorityOvertakes) {
            let message = Maker::of(move || message);
            return self.push(Signal::Urgent(Urgent::Message(message)), true);
        }
        self.transmit(message, |alias, message| {
            let message = Maker::of(move || message);
            alias.push(Signal::Urgent(Urgent::Message(message)), true);
        });
    }

    /// Sends the process an exit signal, if the alias is open when it arrives
    /// (law EXIT-20). It does not use the alias up.
    pub fn exit(&self, reason: ExitReason) {
        let from = self.owner.header().node.sender();
        self.transmit(Exit { from, reason }, |alias, exit| {
            alias.push(Signal::asked(exit), false);
        });
    }

    /// As [`exit`](Self::exit); if the alias has priority and the process traps
    /// exits, the message is received before all that have none. The signal is
    /// not faster for that (law PRIO-04).
    pub fn exit_priority(&self, reason: ExitReason) {
        if !self.way.has_priority {
            return self.exit(reason);
        }
        let from = self.owner.header().node.sender();
        self.transmit(Exit { from, reason }, |alias, exit| {
            alias.push(Signal::Urgent(Urgent::Exit(exit)), false);
        });
    }

    fn transmit<T: Send + 'static>(&self, load: T, arrive: impl FnOnce(&Self, T) + Send + 'static) {
        let header = self.owner.header();
        let from = header.node.sender();
        let arrive = |alias: &Self, ByAlias(load): ByAlias<T>| arrive(alias, load);
        header
            .node
            .transmit(from, header.pid, self, ByAlias(load), arrive);
    }

    /// Pushes a signal, if the alias is open.
    fn push(&self, signal: Signal, is_message: bool) {
        let admit = || {
            if is_message {
                self.way.admit().ok().map(used)
            } else {
                self.way.is_open.load(Ordering::Relaxed).then_some(None)
            }
        };
        match self.owner.core().push_signal_if(signal, admit) {
            Ok(Wake::Schedule) => self.owner.schedule(),
            Ok(Wake::Already) => {}
            Err(refused) => drop(refused),
        }
    }
}

/// What tells the owner that a message has ended a monitor.
fn used(monitor: Option<MonitorRef>) -> Option<Signal> {
    monitor.map(|reference| Signal::AliasUsed { reference })
}

/// What goes by an alias.
struct ByAlias<T>(T);

impl<T: Send + 'static> Load for ByAlias<T> {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("by alias: {}", type_name::<T>())
    }
}

impl<M> Clone for Alias<M> {
    fn clone(&self) -> Self {
        Self {
            owner: self.owner.clone(),
            way: Arc::clone(&self.way),
        }
    }
}

impl<M> fmt::Debug for Alias<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({})", self.owner.header().pid)
    }
}

/// The process that runs, whose messages must be of this type; `what` names the
/// operation that needs it.
#[track_caller]
fn own<M: 'static>(what: &str) -> Typed<M> {
    match current::expect(what).typed() {
        Ok(process) => process,
        Err(process) => panic!(
            "`{what}` in process {}, which takes `{}`, not `{}`",
            process.header().pid,
            process.message_type(),
            type_name::<M>(),
        ),
    }
}

/// Opens a way to this process. For code that has no context at hand; with one,
/// [`Context::alias`](crate::Context::alias) has the compiler check the type of the messages.
///
/// # Panics
///
/// Outside a process, and in one that takes messages of another type.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{AliasMode, Context, Message, Node, alias, unalias};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|mut ctx: Context<u32>| async move {
///     let once = alias::<u32>(AliasMode::Reply);
///     once.send(1);
///     once.send(2);
///     assert_eq!(ctx.receive().await, Message::User(1));
///     assert_eq!(ctx.try_receive(), None);
///     assert!(!unalias(&once), "it was closed before");
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn alias<M: Send + 'static>(mode: AliasMode) -> Alias<M> {
    Alias::open(own("alias"), mode == AliasMode::Reply, false, None)
}

/// As [`alias`], and what is sent through it *with priority* is received before
/// all that has none (laws PRIO-01 to PRIO-03).
///
/// So it may overtake what the same sender sent before.
///
/// # Panics
///
/// As [`alias`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{AliasMode, Context, Message, Node, alias_priority};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|mut ctx: Context<&str>| async move {
///     let urgent = alias_priority::<&str>(AliasMode::Explicit);
///     urgent.send("ordinary");
///     urgent.send_priority("urgent");
///     assert_eq!(ctx.receive().await, Message::User("urgent"));
///     assert_eq!(ctx.receive().await, Message::User("ordinary"));
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn alias_priority<M: Send + 'static>(mode: AliasMode) -> Alias<M> {
    let owner = own("alias_priority");
    Alias::open(owner, mode == AliasMode::Reply, true, None)
}

/// Closes an alias of this process; whether it was open. Of another process's
/// alias nothing happens (law ALIAS-06).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn unalias<M>(alias: &Alias<M>) -> bool {
    let process = current::expect("unalias");
    current::is(&alias.owner) && alias.way.close_at(process.core())
}

/// Monitors a process and opens an alias, which the monitor and the alias may
/// close for each other. See [`monitor`](crate::monitor).
///
/// To monitor oneself does nothing, and its alias is closed from the beginning.
///
/// # Panics
///
/// As [`alias`].
///
/// # Examples
///
/// A request whose answer and whose failure are one message, whatever comes
/// first:
///
/// ```
/// use resurgam_runtime::{Alias, Context, Message, MonitorAlias, Node, monitor_alias};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let server = node.spawn(|mut ctx: Context<Alias<u32>>| async move {
///     let Message::User(client) = ctx.receive().await else { return };
///     client.send(42);
/// })?;
/// let client = node.spawn(move |mut ctx: Context<u32>| async move {
///     let (_monitor, alias) =
///         monitor_alias(server.pid().unwrap(), MonitorAlias::ReplyDemonitor);
///     server.cast(alias);
///     assert_eq!(ctx.receive().await, Message::User(42));
/// })?;
/// assert!(node.block_on(client.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn monitor_alias<M: Send + 'static>(
    target: impl Into<Dest>,
    mode: MonitorAlias,
) -> (MonitorRef, Alias<M>) {
    let process = own::<M>("monitor_alias");
    let reference = process.new_monitor();
    let is_single = mode == MonitorAlias::ReplyDemonitor;
    let bound = (mode != MonitorAlias::Explicit).then_some(reference);
    let alias = Alias::open(process.clone(), is_single, false, bound);
    let special = Special {
        way: bound.map(|_| Arc::clone(&alias.way)),
        ..Special::default()
    };
    if !watch(&process, reference, target.into(), Some(special)) {
        alias.way.close_at(process.core());
    }
    (reference, alias)
}

/// Monitors a process whose end is told by a message of one's own: what `tell`
/// makes of the [`Down`] (law MON-15). See [`monitor`](crate::monitor).
///
/// `tell` is called when the message is received; its panic is the receiver's.
/// With a context at hand, [`Context::monitor_as`](crate::Context::monitor_as) has the compiler check the
/// type of the message.
///
/// # Panics
///
/// As [`alias`].
///
/// # Differences from Erlang
///
/// Where Erlang puts a tag in the place of the atom `'DOWN'`, this makes the
/// whole message.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, ExitReason, Message, Node, monitor_as};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #[derive(Debug, PartialEq)]
/// enum Msg { WorkerGone(u32, ExitReason) }
///
/// let node = Node::new()?;
/// let watcher = node.spawn(|mut ctx: Context<Msg>| async move {
///     monitor_as("nobody", |down| Msg::WorkerGone(7, down.reason));
///     let gone = Msg::WorkerGone(7, ExitReason::NoProcess);
///     assert_eq!(ctx.receive().await, Message::User(gone));
/// })?;
/// assert!(node.block_on(watcher.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn monitor_as<M: Send + 'static>(
    target: impl Into<Dest>,
    tell: impl FnOnce(Down) -> M + Send + 'static,
) -> MonitorRef {
    let process = own::<M>("monitor_as");
    let special = Special {
        tell: Some(Unshared::new(Box::new(|down| {
            Maker::of(move || tell(down))
        }))),
        ..Special::default()
    };
    let reference = process.new_monitor();
    watch(&process, reference, target.into(), Some(special));
    reference
}

/// Monitors a process; its [`Down`] is received before all messages that have
/// no priority (law PRIO-01). See [`monitor`](crate::monitor).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn monitor_priority(target: impl Into<Dest>) -> MonitorRef {
    let process = current::expect("monitor_priority");
    let special = Special {
        has_priority: true,
        ..Special::default()
    };
    let reference = process.new_monitor();
    watch(&process, reference, target.into(), Some(special));
    reference
}

/// Links this process to `pid`, or marks the link there is: while this process
/// traps exits, the message of that end is received before all that have no
/// priority (law PRIO-01). [`link`](crate::link) takes the mark away again (law
/// PRIO-05).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn link_priority(pid: Pid) {
    link(pid);
    let process = current::expect("link_priority");
    if pid != process.header().pid {
        process.owner().rare.specials().links.insert(pid);
    }
}

/// The monitors and links of a process that are not plain.
#[derive(Default)]
pub(crate) struct Specials {
    monitors: HashMap<MonitorRef, Special>,
    /// The links with priority.
    links: HashSet<Pid>,
}

/// What a monitor has that a plain one has not.
#[derive(Default)]
pub(crate) struct Special {
    tell: Option<Unshared<dyn FnOnce(Down) -> Maker + Send>>,
    /// The alias that goes with it.
    way: Option<Arc<Way>>,
    has_priority: bool,
}

impl Specials {
    pub(crate) fn add(&mut self, reference: MonitorRef, special: Special) {
        self.monitors.insert(reference, special);
    }

    pub(crate) fn remove(&mut self, reference: MonitorRef) -> Option<Special> {
        self.monitors.remove(&reference)
    }

    /// The link is gone, or a plain one now; whether it had priority.
    pub(crate) fn unmark_link(&mut self, pid: Pid) -> bool {
        self.links.remove(&pid)
    }

    /// What the user's functions hold, to be dropped one by one.
    pub(crate) fn into_monitors(self) -> impl Iterator<Item = Special> {
        self.monitors.into_values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.monitors.is_empty() && self.links.is_empty()
    }
}

impl Special {
    /// The alias whose end is told to the monitored process with the request.
    pub(crate) fn way(&self) -> Option<Arc<Way>> {
        self.way.clone()
    }

    pub(crate) fn has_priority(&self) -> bool {
        self.has_priority
    }

    /// The monitor was taken back.
    pub(crate) fn close(&self, core: &Core) {
        if let Some(way) = &self.way
            && !planted!(AliasKept)
        {
            way.close_at(core);
        }
    }

    /// What is to be received of this end: the message that was ordered, or the
    /// notice itself.
    pub(crate) fn tell(self, down: Down) -> Result<Maker, Down> {
        match self.tell {
            Some(tell) => Ok(tell.into_inner()(down)),
            None => Err(down),
        }
    }
}

impl Maker {
    /// Of a function that makes a message.
    pub(crate) fn of<M: Send + 'static>(make: impl FnOnce() -> M + Send + 'static) -> Self {
        Self(Unshared::new(Box::new(|| {
            Box::new(make()) as Box<dyn Any + Send>
        })))
    }

    /// The message, which is of this type.
    pub(crate) fn make<M: 'static>(self) -> M {
        let message = self.0.into_inner()().downcast();
        *message.expect("it was made for a process that takes this type")
    }
}
