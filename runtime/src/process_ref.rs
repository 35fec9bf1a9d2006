//! [`ProcessRef`]: a typed reference to a process, or to whoever has a name.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::admission::Place;
use crate::answer::{Owed, Unanswered};
use crate::exit_reason::ExitReason;
#[cfg(feature = "sim")]
use crate::mailbox::Door;
use crate::mailbox::{Rejected, Wake};
use crate::name::Name;
use crate::node::seam::{Load, observe};
use crate::node::{Node, NodeInner};
use crate::pid::Pid;
use crate::process::cell::{Process, Typed};
use crate::process::exit;
use crate::process::join::Join;
use crate::process::owner::LateWaiter;
use crate::reply::{self, Call, CallError, Reply};

/// A typed reference to a process, cheap to clone.
///
/// It either means one process for good, or a name that is resolved at each
/// send ([`named`](Self::named)), which stays valid when a supervisor restarts
/// the process behind it (law REG-09).
///
/// Holding a reference keeps nothing alive but the memory of the process's
/// cell.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Message, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|mut ctx: Context<&str>| async move {
///     assert_eq!(ctx.receive().await, Message::User("hello"));
/// })?;
/// process.cast("hello");
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
pub struct ProcessRef<M> {
    target: Target<M>,
}

enum Target<M> {
    Process(Typed<M>),
    Name(Arc<NodeInner>, Address),
}

/// Under what a process is looked up.
#[derive(Clone)]
enum Address {
    /// A name of the node.
    Name(Name),
    /// A key of a registry.
    Via(Arc<Via>),
}

/// A way to find a process, and what it is called.
struct Via {
    name: Name,
    find: Box<dyn Fn() -> Option<Process> + Send + Sync>,
}

impl Via {
    // Not where names are looked up: by key is the rare case.
    #[inline(never)]
    fn find(&self) -> Option<Process> {
        (self.find)()
    }
}

// References are copied about: one by key is no larger than one by name.
const _: () = assert!(size_of::<ProcessRef<()>>() == 3 * size_of::<usize>());

impl Address {
    fn name(&self) -> &Name {
        match self {
            Self::Name(name) => name,
            Self::Via(via) => &via.name,
        }
    }

    #[inline]
    fn find(&self, node: &NodeInner) -> Option<Process> {
        match self {
            Self::Name(name) => node
                .registry
                .whereis(name)
                .and_then(|pid| node.table.get(pid)),
            Self::Via(via) => via.find(),
        }
    }
}

/// Why a message was not sent; it holds the message.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<M> {
    /// Nobody has that name (law SIG-08).
    #[error("no process is registered as `{name}`")]
    Unregistered {
        /// The name that nobody has.
        name: Name,
        /// The message.
        message: M,
    },
    /// The process takes messages of another type.
    #[error("process {pid} takes `{expected}`, not `{}`", std::any::type_name::<M>())]
    WrongType {
        /// The process.
        pid: Pid,
        /// The type of message it takes.
        expected: &'static str,
        /// The message.
        message: M,
    },
    /// The mailbox of the process is full and its bound says to refuse more,
    /// or to wait, which a sender that does not wait cannot do (laws XMSG-03,
    /// XMSG-04).
    #[error("the mailbox of process {pid} is full")]
    Full {
        /// The process.
        pid: Pid,
        /// The message.
        message: M,
    },
}

impl<M> SendError<M> {
    /// The message that was not sent.
    pub fn into_message(self) -> M {
        match self {
            Self::Unregistered { message, .. }
            | Self::WrongType { message, .. }
            | Self::Full { message, .. } => message,
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = match self {
            Self::Unregistered { name, .. } => {
                let mut out = f.debug_struct("Unregistered");
                out.field("name", name);
                out
            }
            Self::WrongType { pid, expected, .. } => {
                let mut out = f.debug_struct("WrongType");
                out.field("pid", pid).field("expected", expected);
                out
            }
            Self::Full { pid, .. } => {
                let mut out = f.debug_struct("Full");
                out.field("pid", pid);
                out
            }
        };
        out.finish_non_exhaustive()
    }
}

impl<M: Send + 'static> ProcessRef<M> {
    pub(crate) fn new(process: Typed<M>) -> Self {
        Self {
            target: Target::Process(process),
        }
    }

    pub(crate) fn by_name(node: Arc<NodeInner>, name: Name) -> Self {
        Self {
            target: Target::Name(node, Address::Name(name)),
        }
    }

    /// A reference to whoever `find` finds, under this name in errors.
    pub(crate) fn via(
        node: Arc<NodeInner>,
        name: Name,
        find: impl Fn() -> Option<Process> + Send + Sync + 'static,
    ) -> Self {
        let find = Box::new(find);
        let via = Arc::new(Via { name, find });
        Self {
            target: Target::Name(node, Address::Via(via)),
        }
    }

    /// Whether it means a process that has ended, for good.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.target {
            Target::Process(process) => process.header().is_ending(),
            Target::Name(..) => false,
        }
    }

    /// A reference to whoever has this name on the current node, resolved anew
    /// at each send.
    pub fn named(name: impl Into<Name>) -> Self {
        Node::current().named(name)
    }

    /// The pid; `None` for a name that nobody has.
    pub fn pid(&self) -> Option<Pid> {
        match &self.target {
            Target::Process(process) => Some(process.header().pid),
            Target::Name(node, Address::Name(name)) => node.registry.whereis(name),
            Target::Name(_, Address::Via(via)) => via.find().map(|found| found.header().pid),
        }
    }

    /// Sends a message and does not care whether it arrives: to a dead
    /// process, an unknown name, a process of another message type or a full
    /// mailbox that refuses it, it is dropped (laws SIG-07, GS-37, XMSG-03).
    pub fn cast(&self, message: M) {
        if let Err(error) = self.send(message) {
            drop(error);
        }
    }

    /// Sends a message. To a dead process it is dropped silently (law SIG-07).
    ///
    /// # Errors
    ///
    /// If nobody has the name, the process takes messages of another type, or
    /// its mailbox is full and refuses it; the message is in the error.
    #[inline]
    pub fn send(&self, message: M) -> Result<(), SendError<M>> {
        match &self.target {
            Target::Process(process) => send_typed(process, message),
            Target::Name(node, address) => match address.find(node) {
                Some(process) => send_to(process, message),
                None => Err(SendError::Unregistered {
                    name: address.name().clone(),
                    message,
                }),
            },
        }
    }

    /// Calls a server: sends what `request` makes of the way back, and waits
    /// for the reply, 5 seconds unless told otherwise. The constructor of a
    /// message variant with one field *is* such a request.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{CallError, ExitReason, Node, Reply};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// enum Msg { Get(Reply<u64>) }
    ///
    /// let node = Node::new()?;
    /// let nobody = node.named::<Msg>("counter");
    /// let result = node.block_on(nobody.call(Msg::Get));
    /// assert_eq!(result, Err(CallError::Down(ExitReason::NoProcess)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<T, F>(&self, request: F) -> Call<'_, M, T, F>
    where
        T: Send + 'static,
        F: FnOnce(Reply<T>) -> M,
    {
        Call::new(self, request)
    }

    /// Waits for the end of the process and returns its reason; of a process
    /// that has ended already, the reason it ended with. For a name that
    /// nobody has, [`ExitReason::NoProcess`].
    pub fn join(&self) -> Join {
        match self.resolve() {
            Some(process) => Join::of(&process),
            None => Join::settled(ExitReason::NoProcess),
        }
    }

    pub(crate) fn node(&self) -> &Arc<NodeInner> {
        match &self.target {
            Target::Process(process) => &process.header().node,
            Target::Name(node, _) => node,
        }
    }

    /// The process meant now.
    pub(crate) fn resolve(&self) -> Option<Process> {
        match &self.target {
            Target::Process(process) => Some(Process::clone(process)),
            Target::Name(node, address) => address.find(node),
        }
    }

    /// The process that a message would be sent to now.
    pub(crate) fn receiver(&self, message: M) -> Result<(Typed<M>, M), SendError<M>> {
        let process = match &self.target {
            Target::Process(process) => return Ok((process.clone(), message)),
            Target::Name(node, address) => match address.find(node) {
                Some(process) => process,
                None => {
                    let name = address.name().clone();
                    return Err(SendError::Unregistered { name, message });
                }
            },
        };
        match process.typed() {
            Ok(process) => Ok((process, message)),
            Err(process) => Err(wrong_type(&process, message)),
        }
    }

    /// The process meant now, if its messages are of this type.
    #[inline]
    pub(crate) fn resolve_typed(&self) -> Result<Cow<'_, M>, CallError> {
        if let Target::Process(process) = &self.target {
            return Ok(Cow::Borrowed(process));
        }
        let process = self
            .resolve()
            .ok_or(CallError::Down(ExitReason::NoProcess))?;
        match process.typed() {
            Ok(process) => Ok(Cow::Owned(process)),
            Err(process) => Err(CallError::WrongType {
                expected: process.message_type(),
                offered: std::any::type_name::<M>(),
            }),
        }
    }
}

/// A process that a reference holds, or that was looked up.
pub(crate) enum Cow<'a, M> {
    Borrowed(&'a Typed<M>),
    Owned(Typed<M>),
}

impl<M> Deref for Cow<'_, M> {
    type Target = Typed<M>;

    #[inline]
    fn deref(&self) -> &Typed<M> {
        match self {
            Self::Borrowed(process) => process,
            Self::Owned(process) => process,
        }
    }
}

/// Pushes a message together with the reply it asks for, which is refused if
/// the message is.
pub(crate) fn push_call<M: Send + 'static>(
    process: &Typed<M>,
    caller: Pid,
    message: M,
    owed: Owed,
) {
    let header = process.header();
    let request = Request(message, owed);
    header
        .node
        .transmit(caller, header.pid, process, request, take_call);
}

/// A call arrives.
#[inline(always)]
fn take_call<M: Send + 'static>(process: &Typed<M>, Request(message, owed): Request<M>) {
    let pushed = process.mailbox().push_call(message, owed);
    if let Err(rejected) = scheduled(process, pushed) {
        reject_call(process, rejected);
    }
}

/// As [`push_call`], into a place that was kept for it.
pub(crate) fn push_placed_call<M: Send + 'static>(
    process: &Typed<M>,
    caller: Pid,
    message: M,
    owed: Owed,
    place: Place,
) {
    let header = process.header();
    let request = Request((message, place), owed);
    header.node.transmit(
        caller,
        header.pid,
        process,
        request,
        |process, Request((message, place), owed)| {
            place.take();
            let pushed = process.mailbox().push_placed_call(message, owed);
            if let Err(rejected) = scheduled(process, pushed) {
                reject_call(process, rejected);
            }
        },
    );
}

/// A call was not taken in: its caller is told.
#[cold]
#[inline(never)]
fn reject_call<M: Send + 'static>(process: &Process, rejected: Rejected<(M, Owed)>) {
    match rejected {
        Rejected::Closed((message, reply)) => {
            let message = Box::new(message);
            exit::tell_when_links_are(process, LateWaiter::Call { reply, message });
        }
        Rejected::Full((message, owed)) | Rejected::Dropped((message, owed)) => {
            reply::fail_unheard(process, owed, Unanswered::Full, Box::new(message));
        }
    }
}

/// Sends to a process that may take messages of another type.
pub(crate) fn send_to<M: Send + 'static>(process: Process, message: M) -> Result<(), SendError<M>> {
    match process.typed() {
        Ok(process) => send_typed(&process, message),
        Err(process) => Err(wrong_type(&process, message)),
    }
}

fn wrong_type<M>(process: &Process, message: M) -> SendError<M> {
    SendError::WrongType {
        pid: process.header().pid,
        expected: process.message_type(),
        message,
    }
}

/// Sends a message; to a process that has ended it is dropped (law SIG-07).
#[inline(always)]
pub(crate) fn send_typed<M: Send + 'static>(
    process: &Typed<M>,
    message: M,
) -> Result<(), SendError<M>> {
    #[cfg(feature = "sim")]
    {
        let header = process.header();
        if header.node.is_simulated() {
            return send_simulated(process, message);
        }
    }
    match scheduled(process, process.mailbox().push(message)) {
        Ok(()) => Ok(()),
        Err(rejected) => reject(process, rejected),
    }
}

/// What the sender of a message that was not taken in is told.
#[cold]
#[inline(never)]
fn reject<M>(process: &Process, rejected: Rejected<M>) -> Result<(), SendError<M>> {
    match rejected {
        Rejected::Closed(message) | Rejected::Dropped(message) => {
            drop(message);
            Ok(())
        }
        Rejected::Full(message) => Err(SendError::Full {
            pid: process.header().pid,
            message,
        }),
    }
}

/// In a simulation a message is on its way for a while, and its place is kept.
#[cfg(feature = "sim")]
fn send_simulated<M: Send + 'static>(process: &Typed<M>, message: M) -> Result<(), SendError<M>> {
    let header = process.header();
    match process.core().knock(None) {
        Door::Reserved => send_placed(process, message, Place::reserved(process)),
        Door::Full | Door::Line(_) => {
            let pid = header.pid;
            return Err(SendError::Full { pid, message });
        }
        Door::Open => {
            let arrive = |process: &Typed<M>, Cast(message)| {
                drop(scheduled(process, process.mailbox().push(message)));
            };
            header
                .node
                .transmit_from_here(header.pid, process, Cast(message), arrive);
        }
    }
    Ok(())
}

/// Sends a message for which a place is kept.
pub(crate) fn send_placed<M: Send + 'static>(process: &Typed<M>, message: M, place: Place) {
    let header = process.header();
    header.node.transmit(
        header.node.sender(),
        header.pid,
        process,
        Kept(message, place),
        |process, Kept(message, place)| {
            place.take();
            drop(scheduled(process, process.mailbox().push_placed(message)));
        },
    );
}

/// A message on its way to a place that is kept for it.
struct Kept<M>(M, Place);

impl<M: Send + 'static> Load for Kept<M> {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        std::any::type_name::<M>().to_owned()
    }
}

/// A message on its way.
#[cfg(feature = "sim")]
struct Cast<M>(M);

#[cfg(feature = "sim")]
impl<M: Send + 'static> Load for Cast<M> {
    fn describe(&self) -> String {
        std::any::type_name::<M>().to_owned()
    }
}

/// A call on its way, with what its caller waits at.
struct Request<M>(M, Owed);

impl<M: Send + 'static> Load for Request<M> {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        format!("call {}", std::any::type_name::<M>())
    }
}

/// Schedules the process if a push woke it.
#[inline]
pub(crate) fn scheduled<E>(process: &Process, push: Result<Wake, E>) -> Result<(), E> {
    let wake = push?;
    observe!(process.header().node, |world| world
        .arrived(process.header().pid));
    if wake == Wake::Schedule {
        process.schedule();
    }
    Ok(())
}

impl<M> Clone for ProcessRef<M> {
    fn clone(&self) -> Self {
        let target = match &self.target {
            Target::Process(process) => Target::Process(process.clone()),
            Target::Name(node, address) => Target::Name(Arc::clone(node), address.clone()),
        };
        Self { target }
    }
}

impl<M> fmt::Debug for ProcessRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Process(process) => write!(f, "ProcessRef({})", process.header().pid),
            Target::Name(_, address) => write!(f, "ProcessRef({:?})", address.name()),
        }
    }
}
