//! Looking into servers while they run: OTP's `sys`.
//!
//! Every [`GenServer`](crate::GenServer), [`GenStatem`](crate::GenStatem),
//! agent, scope of groups and supervisor can be suspended and resumed, shown,
//! changed, logged, counted and traced, without a line of its author's. What
//! is asked for is done in the process, between two events, in its place among
//! what the asker sent before.
//!
//! While nothing is switched on, it costs a server nothing.
//!
//! # Differences from Erlang
//!
//! A state is a value of the server's own type, so who wants to see it must
//! name that type; whoever does not know it gets it formatted, by
//! [`get_status`], if the server
//! [shows](crate::GenServer::format_status) it. A failed request is an error,
//! not an exit. There is no code change. Replies go out by
//! [`Reply`](crate::Reply), from anywhere, so events are what comes in.
//!
//! # Examples
//!
//! ```
//! use resurgam_runtime::{Agent, Node, sys};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::new()?;
//! node.block_on(async {
//!     let agent = Agent::from(Agent::builder(|| 40).on(&node).start().await?);
//!     sys::suspend(&agent).await?;
//!     agent.cast(|n| *n += 1);
//!     assert_eq!(sys::get_state(&agent, |n: &i32| *n).await?, 40);
//!     sys::replace_state(&agent, |n: &i32| n + 1).await?;
//!     sys::resume(&agent).await?;
//!     assert_eq!(agent.get(|n| *n).await?, 42);
//!     Ok(())
//! })
//! # }
//! ```

pub(crate) mod desk;
pub(crate) mod request;

use std::any::type_name;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::agent::Agent;
use crate::caught::drop_caught;
use crate::exit_reason::ExitReason;
use crate::gen_event::EventManager;
use crate::name::Name;
use crate::node::{Node, NodeInner};
use crate::panic_hook;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process::current;
use crate::process::join::Join;
use crate::process_ref::ProcessRef;
use crate::reply::stopped;
use crate::signal::{Signal, System};
use crate::slot::Slot;
use crate::timer::Sleep;
use desk::shown;
use request::{Request, Subject};

pub use desk::{Debugging, Event, EventKind, Statistics};

/// How many events a log keeps, if nobody says another number (law SYS-09).
pub const LOG: usize = 10;

/// Why something was not done to a server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It ended before it answered, or was not there.
    #[error("process is down: {0}")]
    Down(ExitReason),
    /// A process asked about itself; it would wait for itself.
    #[error("process asked itself")]
    CallingSelf,
    /// No answer came in time. What was asked for may be done later.
    #[error("no answer in time")]
    TimedOut,
    /// The process is no server, no state machine and nothing made of these.
    #[error("process {0} is no behaviour")]
    NoBehaviour(Pid),
    /// Its state is of another type.
    #[error("the state is of `{expected}`, not a `{asked}`")]
    WrongType {
        /// The server, or the state machine.
        expected: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// The function that was sent panicked. The server goes on.
    #[error("the function panicked: {0}")]
    Panicked(String),
}

/// Whom something is asked of: a reference, a pid, or the name that a process
/// has now; of a process of the current node, if nothing else is said.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, ExitReason, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 7).name("seven").on(&node).start().await?;
///     let pid = agent.pid().expect("it is no name");
///     assert_eq!(sys::get_status((&node, "seven")).await?.pid, pid);
///     assert_eq!(sys::get_status((&node, pid)).await?.pid, pid);
///     assert_eq!(sys::get_status(&agent).await?.pid, pid);
///     let nobody = sys::get_status((&node, "eight")).await;
///     assert_eq!(nobody.unwrap_err(), sys::Error::Down(ExitReason::NoProcess));
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct Target(Option<Process>);

impl Target {
    fn by_pid(node: &NodeInner, pid: Pid) -> Self {
        Self(node.table.get(pid))
    }

    fn by_name(node: &NodeInner, name: &str) -> Self {
        Self(
            node.registry
                .whereis(name)
                .and_then(|pid| node.table.get(pid)),
        )
    }
}

impl<M: Send + 'static> From<&ProcessRef<M>> for Target {
    fn from(process: &ProcessRef<M>) -> Self {
        Self(process.resolve())
    }
}

impl<S: Send + 'static> From<&Agent<S>> for Target {
    fn from(agent: &Agent<S>) -> Self {
        agent.server().into()
    }
}

impl<E: Send + Sync + 'static> From<&EventManager<E>> for Target {
    fn from(manager: &EventManager<E>) -> Self {
        manager.server().into()
    }
}

impl From<Pid> for Target {
    fn from(pid: Pid) -> Self {
        Node::on_current(|node| Self::by_pid(node, pid))
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Node::on_current(|node| Self::by_name(node, name))
    }
}

impl From<&Name> for Target {
    fn from(name: &Name) -> Self {
        name.as_str().into()
    }
}

impl From<(&Node, Pid)> for Target {
    fn from((node, pid): (&Node, Pid)) -> Self {
        Self::by_pid(node.inner(), pid)
    }
}

impl From<(&Node, &str)> for Target {
    fn from((node, name): (&Node, &str)) -> Self {
        Self::by_name(node.inner(), name)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.0.as_ref().map(|process| process.header().pid);
        f.debug_tuple("Target").field(&pid).finish()
    }
}

/// What a server looks like from outside; see [`get_status`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Who it is.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<Name>,
    /// Its label, for people.
    pub label: Option<String>,
    /// The process that started it by `start_link`.
    pub parent: Option<Pid>,
    /// The type that its author wrote.
    pub behaviour: &'static str,
    /// Whether it handles what comes.
    pub condition: Condition,
    /// Its state, as it formats it.
    pub state: String,
    /// What follows its events: `log`, `statistics`, `trace`, and the ids of
    /// debug functions.
    pub debug: Vec<String>,
    /// The last events, the oldest first; none if there is no log.
    pub log: Vec<Event>,
}

/// Whether a server handles what comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Running,
    /// It does not, until it is [resumed](resume).
    Suspended,
}

/// Suspends a server: from here on it handles orders of this module, orders to
/// [stop](ProcessRef::stop) and, if it traps exits, the exit of its parent, and
/// leaves everything else where it is (laws SYS-02, SYS-04). The times it waits
/// for stand still (INFO-06); what a state machine's timers tell it waits with
/// the messages.
///
/// To suspend it twice is no error, and one [`resume`] ends it (SYS-03). It
/// stays suspended if whoever did it ends.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See the [module](self).
pub fn suspend(target: impl Into<Target>) -> Asked<()> {
    ask(target, |subject, node| {
        subject.desk_mut().suspend(node.timers.now());
        Ok(())
    })
}

/// Lets a server go on that was [suspended](suspend), or that was not.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See the [module](self).
pub fn resume(target: impl Into<Target>) -> Asked<()> {
    ask(target, |subject, node| {
        if let Some(since) = subject.desk_mut().resume() {
            subject.resumed(since, node.timers.now());
        }
        Ok(())
    })
}

/// Looks at the state of a server, in the server: what `look` makes of it. Of a
/// state machine that is its data, or the state it is in, as the type says.
///
/// It holds the server up as long as it takes.
///
/// # Errors
///
/// See [`Error`]. A panic of `look` does the server no harm (law SYS-05).
///
/// # Examples
///
/// See the [module](self).
pub fn get_state<S, R>(
    target: impl Into<Target>,
    look: impl FnOnce(&S) -> R + Send + 'static,
) -> Asked<R>
where
    S: 'static,
    R: Send + 'static,
{
    update_state(target, |state: &mut S| look(state))
}

/// Replaces the state of a server by what `replace` makes of it; of a state
/// machine its data, or the state it is in, as the type says. The state timeout
/// stays, nothing is retried and no enter call made (law STM-33).
///
/// # Errors
///
/// See [`Error`]. If `replace` panics, the state is as it was, but for what it
/// lets change by a shared reference (law SYS-06).
///
/// # Differences from Erlang
///
/// The new state is not returned: it belongs to the server.
///
/// # Examples
///
/// See the [module](self).
pub fn replace_state<S: 'static>(
    target: impl Into<Target>,
    replace: impl FnOnce(&S) -> S + Send + 'static,
) -> Asked<()> {
    update_state(target, |state: &mut S| {
        let new = replace(state);
        drop_caught(std::mem::replace(state, new));
    })
}

/// Changes the state of a server where it is, as [`replace_state`] replaces it:
/// for states that are not made anew so easily.
///
/// # Errors
///
/// See [`Error`]. If `update` panics, the server goes on with what it has
/// changed by then.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let list = Agent::builder(|| vec![1, 2]).on(&node).start().await?;
///     let last = sys::update_state(&list, |list: &mut Vec<i32>| list.pop()).await?;
///     assert_eq!(last, Some(2));
///     Ok(())
/// })
/// # }
/// ```
pub fn update_state<S, R>(
    target: impl Into<Target>,
    update: impl FnOnce(&mut S) -> R + Send + 'static,
) -> Asked<R>
where
    S: 'static,
    R: Send + 'static,
{
    ask(target, |subject, _| {
        let expected = subject.type_name();
        let parts = subject.parts();
        let mut all = [Some(parts.data), parts.state].into_iter().flatten();
        match all.find_map(|part| part.downcast_mut()) {
            Some(state) => Ok(update(state)),
            None => Err(wrong_type::<S>(expected)),
        }
    })
}

/// Looks at the state that a state machine is in, and at its data.
///
/// # Errors
///
/// See [`Error`] and [`get_state`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{GenStatem, StatemRef, sys};
///
/// /// What a machine is and has.
/// async fn look<S: GenStatem<State = bool> + Clone>(
///     machine: &StatemRef<S>,
/// ) -> Result<(bool, S), sys::Error> {
///     sys::get_statem(machine, |state: &bool, data: &S| (*state, data.clone())).await
/// }
/// ```
pub fn get_statem<T, D, R>(
    target: impl Into<Target>,
    look: impl FnOnce(&T, &D) -> R + Send + 'static,
) -> Asked<R>
where
    T: 'static,
    D: 'static,
    R: Send + 'static,
{
    with_statem(target, |state: &mut T, data: &mut D| look(state, data))
}

/// Replaces the state that a state machine is in, and its data: neither is an
/// enter call made nor a postponed event retried (law STM-33).
///
/// # Errors
///
/// See [`Error`] and [`replace_state`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{GenStatem, StatemRef, sys};
///
/// /// Puts a machine back to the beginning.
/// async fn reset<S: GenStatem<State: Default> + Default>(
///     machine: &StatemRef<S>,
/// ) -> Result<(), sys::Error> {
///     sys::replace_statem(machine, |_: &S::State, _: &S| Default::default()).await
/// }
/// ```
pub fn replace_statem<T: 'static, D: 'static>(
    target: impl Into<Target>,
    replace: impl FnOnce(&T, &D) -> (T, D) + Send + 'static,
) -> Asked<()> {
    with_statem(target, |state: &mut T, data: &mut D| {
        let (new_state, new_data) = replace(state, data);
        let old_state = std::mem::replace(state, new_state);
        let old_data = std::mem::replace(data, new_data);
        drop_caught(old_state);
        drop_caught(old_data);
    })
}

fn with_statem<T, D, R>(
    target: impl Into<Target>,
    act: impl FnOnce(&mut T, &mut D) -> R + Send + 'static,
) -> Asked<R>
where
    T: 'static,
    D: 'static,
    R: Send + 'static,
{
    ask(target, |subject, _| {
        let expected = subject.type_name();
        let parts = subject.parts();
        let state = parts.state.and_then(|state| state.downcast_mut());
        match (state, parts.data.downcast_mut()) {
            (Some(state), Some(data)) => Ok(act(state, data)),
            (None | Some(_), _) => Err(wrong_type::<(T, D)>(expected)),
        }
    })
}

fn wrong_type<S>(expected: &'static str) -> Error {
    Error::WrongType {
        expected,
        asked: type_name::<S>(),
    }
}

/// Asks for what can be shown of a server without knowing its type (law
/// SYS-08). Its state is what
/// [`format_status`](crate::GenServer::format_status) makes of it; if that
/// panics, the state is hidden.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 7).on(&node).start().await?;
///     sys::suspend(&agent).await?;
///     let status = sys::get_status(&agent).await?;
///     assert_eq!(status.condition, sys::Condition::Suspended);
///     Ok(())
/// })
/// # }
/// ```
pub fn get_status(target: impl Into<Target>) -> Asked<Status> {
    ask(target, |subject, _| {
        let state = shown(|| subject.format());
        let (pid, name, label) = current::with(|process| {
            let header = process.header();
            (header.pid, header.name(), header.label())
        })
        .unwrap_or((Pid::OUTSIDE, None, None));
        let desk = subject.desk();
        Ok(Status {
            pid,
            name,
            label: label.as_deref().map(str::to_owned),
            parent: subject.parent(),
            behaviour: subject.type_name(),
            condition: match desk.is_some_and(|desk| desk.is_suspended()) {
                true => Condition::Suspended,
                false => Condition::Running,
            },
            state,
            debug: desk.map(|desk| desk.debug()).unwrap_or_default(),
            log: desk.and_then(|desk| desk.logged()).unwrap_or_default(),
        })
    })
}

/// Has a server keep its last events, so many of them, for [`get_log`] and its
/// crash report; [`LOG`] is a good number (law SYS-09). A log that is there
/// gets the new length and keeps what it has.
///
/// Each message is formatted as it comes, by
/// [`format_message`](crate::GenServer::format_message).
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::from(Agent::builder(|| 0).on(&node).start().await?);
///     sys::log(&agent, sys::LOG).await?;
///     agent.update(|n| *n += 1).await?;
///     assert_eq!(sys::get_log(&agent).await?.len(), 1);
///     sys::no_log(&agent).await?;
///     assert!(sys::get_log(&agent).await?.is_empty());
///     Ok(())
/// })
/// # }
/// ```
pub fn log(target: impl Into<Target>, most: usize) -> Asked<()> {
    at_desk(target, move |desk, _| desk.log(most))
}

/// Asks for the events that a server's [`log`] has kept, the oldest first; none
/// if it has no log.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See [`log`].
pub fn get_log(target: impl Into<Target>) -> Asked<Vec<Event>> {
    at_desk(target, |desk, _| desk.logged().unwrap_or_default())
}

/// Has a server keep no [`log`] any more.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See [`log`].
pub fn no_log(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, _| desk.no_log())
}

/// Has a server count what comes to it; what it has counted stays, if it does
/// already (law SYS-09).
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::from(Agent::builder(|| 0).on(&node).start().await?);
///     sys::statistics(&agent).await?;
///     agent.update(|n| *n += 1).await?;
///     let counted = sys::get_statistics(&agent).await?.expect("it counts");
///     assert_eq!(counted.messages, 1);
///     sys::no_statistics(&agent).await?;
///     assert_eq!(sys::get_statistics(&agent).await?, None);
///     Ok(())
/// })
/// # }
/// ```
pub fn statistics(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, node| desk.count(node.timers.now()))
}

/// Asks for what a server has counted; `None` if it does not count.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See [`statistics`].
pub fn get_statistics(target: impl Into<Target>) -> Asked<Option<Statistics>> {
    at_desk(target, |desk, node| desk.statistics(node.timers.now()))
}

/// Has a server count no more.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See [`statistics`].
pub fn no_statistics(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, _| desk.count_no_more())
}

/// Has each event of a server told to `tracing`, with the target
/// `resurgam::trace` and the level info (law SYS-13).
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 0).on(&node).start().await?;
///     sys::trace(&agent).await?;
///     assert_eq!(sys::get_status(&agent).await?.debug, ["trace"]);
///     sys::no_trace(&agent).await?;
///     Ok(())
/// })
/// # }
/// ```
pub fn trace(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, _| desk.trace())
}

/// Ends a [`trace`].
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// See [`trace`].
pub fn no_trace(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, _| desk.trace_no_more())
}

/// Has a function called in a server for each event, before it is handled,
/// until it says [`Debugging::Done`] or panics; whether it was installed: not
/// if one of this id is there (law SYS-10). A state of its own is what it
/// captures.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
/// use resurgam_runtime::sys::Debugging;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::from(Agent::builder(|| 0).on(&node).start().await?);
///     let mut left = 2;
///     let countdown = move |_: &sys::Event| {
///         left -= 1;
///         if left == 0 { Debugging::Done } else { Debugging::Continue }
///     };
///     assert!(sys::install(&agent, "countdown", countdown).await?);
///     agent.update(|n| *n += 1).await?;
///     assert_eq!(sys::get_status(&agent).await?.debug, ["countdown"]);
///     agent.update(|n| *n += 1).await?;
///     assert!(sys::get_status(&agent).await?.debug.is_empty());
///     Ok(())
/// })
/// # }
/// ```
pub fn install(
    target: impl Into<Target>,
    id: impl Into<String>,
    debug: impl FnMut(&Event) -> Debugging + Send + 'static,
) -> Asked<bool> {
    let id = id.into();
    at_desk(target, |desk, _| desk.install(id, Box::new(debug)))
}

/// Removes the debug function of this id; whether it was there.
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
/// use resurgam_runtime::sys::Debugging;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 0).on(&node).start().await?;
///     sys::install(&agent, "look", |_: &sys::Event| Debugging::Continue).await?;
///     assert!(sys::remove(&agent, "look").await?);
///     assert!(!sys::remove(&agent, "look").await?);
///     Ok(())
/// })
/// # }
/// ```
pub fn remove(target: impl Into<Target>, id: impl Into<String>) -> Asked<bool> {
    let id = id.into();
    at_desk(target, move |desk, _| desk.remove(&id))
}

/// Removes all that follows the events of a server: log, statistics, trace and
/// debug functions (law SYS-13).
///
/// # Errors
///
/// See [`Error`].
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 0).on(&node).start().await?;
///     sys::log(&agent, sys::LOG).await?;
///     sys::trace(&agent).await?;
///     sys::no_debug(&agent).await?;
///     assert!(sys::get_status(&agent).await?.debug.is_empty());
///     Ok(())
/// })
/// # }
/// ```
pub fn no_debug(target: impl Into<Target>) -> Asked<()> {
    at_desk(target, |desk, _| desk.no_debug())
}

/// Tells a server to end with this reason, after `terminate`, and does not wait
/// for it (law SYS-11); [`ProcessRef::stop`] does. A plain process ends when it
/// receives the order.
///
/// # Errors
///
/// If there is no such process.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Agent, ExitReason, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 0).on(&node).start().await?;
///     sys::terminate(&agent, ExitReason::Shutdown)?;
///     assert_eq!(agent.join().await, ExitReason::Shutdown);
///     Ok(())
/// })
/// # }
/// ```
pub fn terminate(target: impl Into<Target>, reason: ExitReason) -> Result<(), Error> {
    let process = target.into().0;
    let process = process.filter(|process| !process.header().is_ending());
    let process = process.ok_or(Error::Down(ExitReason::NoProcess))?;
    let header = process.header();
    let order = Signal::System(System::Stop(reason));
    header.node.deliver(header.node.sender(), header.pid, order);
    Ok(())
}

fn at_desk<R: Send + 'static>(
    target: impl Into<Target>,
    act: impl FnOnce(&mut desk::Desk, &NodeInner) -> R + Send + 'static,
) -> Asked<R> {
    ask(target, |subject, node| Ok(act(subject.desk_mut(), node)))
}

/// Asks for something to be done in the process of a behaviour.
fn ask<R: Send + 'static>(
    target: impl Into<Target>,
    act: impl FnOnce(&mut dyn Subject, &NodeInner) -> Result<R, Error> + Send + 'static,
) -> Asked<R> {
    let act = Box::new(act);
    Asked {
        state: match target.into().0 {
            Some(process) => State::Unsent(process, act),
            None => State::Nobody,
        },
        timeout: Some(Asked::<R>::TIMEOUT),
    }
}

/// Something asked of a server: the answer, when it is awaited.
///
/// It is sent by the first poll.
///
/// # Errors
///
/// See [`Error`].
///
/// # Cancel safety
///
/// If the future is dropped after its first poll, the server may still do what
/// was asked for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use resurgam_runtime::{Agent, Node, sys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let agent = Agent::builder(|| 0).on(&node).start().await?;
///     sys::suspend(&agent).timeout(Duration::from_secs(60)).await?;
///     Ok(())
/// })
/// # }
/// ```
#[must_use = "nothing is asked unless it is awaited"]
pub struct Asked<R: Send + 'static> {
    state: State<R>,
    timeout: Option<Duration>,
}

type Act<R> = Box<dyn FnOnce(&mut dyn Subject, &NodeInner) -> Result<R, Error> + Send>;

type Answer<R> = Arc<Slot<Result<R, Error>>>;

enum State<R> {
    Nobody,
    Unsent(Process, Act<R>),
    Waiting(Waiting<R>),
    Over,
}

struct Waiting<R> {
    answer: Answer<R>,
    end: Join,
    limit: Option<Sleep>,
}

impl<R: Send + 'static> Asked<R> {
    /// How long it waits if nothing else is said.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Waits for this long instead of 5 seconds, on the node's clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for ever. The end of the server still ends it.
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }
}

/// Sends a request, and what to wait for then.
fn send<R: Send + 'static>(
    process: &Process,
    act: Act<R>,
    timeout: Option<Duration>,
) -> Waiting<R> {
    let header = process.header();
    let (answer, end) = (Arc::new(Slot::new()), Join::of_living(process));
    let asker = header.node.sender();
    let place = Arc::clone(&answer);
    let request = Request::new(move |subject| {
        let Some(process) = current::get() else {
            return;
        };
        let header = process.header();
        let outcome = match subject {
            Some(subject) => done(act, subject, &header.node),
            None => Err(Error::NoBehaviour(header.pid)),
        };
        header.node.settle(header.pid, asker, &place, outcome);
    });
    let order = Signal::System(System::Request(request));
    header.node.deliver(asker, header.pid, order);
    let node = Node::from_inner(Arc::clone(&header.node));
    Waiting {
        answer,
        end,
        limit: timeout.map(|timeout| node.sleep(timeout)),
    }
}

/// Does what was asked for, whose panic is an answer.
fn done<R>(act: Act<R>, subject: &mut dyn Subject, node: &NodeInner) -> Result<R, Error> {
    let act = AssertUnwindSafe(|| act(subject, node));
    panic::catch_unwind(act)
        .unwrap_or_else(|payload| Err(Error::Panicked(panic_hook::message(payload))))
}

impl<R: Send + 'static> Waiting<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, Error>> {
        if let Poll::Ready(answer) = self.answer.poll(cx) {
            return Poll::Ready(answer);
        }
        let failure = if let Poll::Ready(reason) = Pin::new(&mut self.end).poll(cx) {
            Error::Down(reason)
        } else if self.is_up(cx) {
            Error::TimedOut
        } else {
            return Poll::Pending;
        };
        // One that has come meanwhile counts.
        Poll::Ready(self.answer.close().unwrap_or(Err(failure)))
    }

    fn is_up(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit.as_mut();
        limit.is_some_and(|limit| Pin::new(limit).poll(cx).is_ready())
    }
}

impl<R: Send + 'static> Future for Asked<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if stopped() {
            return Poll::Pending;
        }
        let mut waiting = match std::mem::replace(&mut self.state, State::Over) {
            State::Nobody => return Poll::Ready(Err(Error::Down(ExitReason::NoProcess))),
            State::Unsent(process, _) if current::is(&process) => {
                return Poll::Ready(Err(Error::CallingSelf));
            }
            State::Unsent(process, act) => send(&process, act, self.timeout),
            State::Waiting(waiting) => waiting,
            State::Over => return Poll::Pending,
        };
        let polled = waiting.poll(cx);
        if polled.is_pending() {
            self.state = State::Waiting(waiting);
        }
        polled
    }
}

impl<R: Send + 'static> fmt::Debug for Asked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
