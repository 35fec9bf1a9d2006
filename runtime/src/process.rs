//! Processes, and what the one that runs can do: the functions of this module
//! act for the process that calls them, however deep in library code.

pub(crate) mod alarm;
pub(crate) mod alias;
pub(crate) mod body;
pub(crate) mod cell;
pub(crate) mod context;
pub(crate) mod current;
mod cycle;
pub(crate) mod exit;
pub(crate) mod info;
pub(crate) mod join;
pub(crate) mod links;
pub(crate) mod owner;
pub(crate) mod reaction;
pub(crate) mod select;

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::exit_reason::ExitReason;
use crate::name::Name;
use crate::node::seam::observe;
use crate::node::{Dest, InfoError, Node, NodeInner};
use crate::pid::{MonitorRef, Pid};
use crate::process_ref::{ProcessRef, SendError};
use crate::registry::{RegisterError, UnregisterError};
use crate::signal::{Down, Notice, Signal, Watcher};
use crate::spawn::{Manner, SpawnError, SpawnOptions};
use crate::timer::{Elapsed, Sleep, TimerRef};
use alias::Special;
use cell::{Process, ProcessOutput};
use context::Context;
use info::ProcessInfo;
use join::{Join, JoinFlush};
use links::Send as LinkSend;
use reaction::ExitMode;

/// The pid of the process that runs.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn self_pid() -> Pid {
    current::expect("self_pid").header().pid
}

/// The pid of the process that runs, if one does.
pub fn try_self_pid() -> Option<Pid> {
    current::with(|process| process.header().pid)
}

/// Spawns a process on the current node, linked to nobody. See
/// [`Node::spawn`].
///
/// # Errors
///
/// If the node is stopped or full.
pub fn spawn<M, B, F>(body: B) -> Result<ProcessRef<M>, SpawnError>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    Node::current().spawn(body)
}

/// Spawns a process linked to this one, in one step: its first instruction can
/// be its last, and this process is still told its reason (law SPAWN-02).
///
/// # Errors
///
/// If the caller is no process, or the node is stopped or full.
pub fn spawn_link<M, B, F>(body: B) -> Result<ProcessRef<M>, SpawnError>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    let spawned = current::with(|process| Manner::LINKED.spawn(&process.header().node, body));
    Ok(spawned.ok_or(SpawnError::NotInProcess)??.process)
}

/// Spawns a process and monitors it, in one step (law SPAWN-03).
///
/// # Errors
///
/// If the caller is no process, or the node is stopped or full.
pub fn spawn_monitor<M, B, F>(body: B) -> Result<(ProcessRef<M>, MonitorRef), SpawnError>
where
    M: Send + 'static,
    B: FnOnce(Context<M>) -> F + Send + 'static,
    F: Future<Output: ProcessOutput> + Send + 'static,
{
    let spawned = spawn_options().monitor().spawn(body)?;
    // Without a monitor, `spawn` would have said that the caller is no process.
    let reference = spawned.monitor.ok_or(SpawnError::NotInProcess)?;
    Ok((spawned.process, reference))
}

/// A process to be configured, then spawned on the current node.
pub fn spawn_options() -> SpawnOptions {
    Node::current().spawn_options()
}

/// Links this process to `pid`: when either ends, the other is sent an exit
/// signal.
///
/// If there is no such process, an exit signal with [`ExitReason::NoProcess`]
/// comes to this one; linking itself never fails. There is at most one link
/// between two processes, and none of a process to itself (laws LINK-02,
/// LINK-03).
///
/// # Panics
///
/// Outside a process.
///
/// # Differences from Erlang
///
/// A process that does not trap exits and links to a dead pid is ended by the
/// signal, where Erlang raises `noproc` in it (law LINK-05).
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, ExitReason, Node, link};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let victim = node.spawn(|mut ctx: Context<()>| async move { ctx.receive().await; })?;
/// let pid = victim.pid().unwrap();
/// let partner = node.spawn(move |mut ctx: Context<()>| async move {
///     link(pid);
///     ctx.receive().await;
/// })?;
/// partner.cast(());
/// assert!(node.block_on(partner.join()).is_normal());
/// node.kill(pid);
/// assert_eq!(node.block_on(victim.join()), ExitReason::Killed);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn link(pid: Pid) {
    let process = current::expect("link");
    let header = process.header();
    if pid == header.pid {
        return;
    }
    // An unlink of the other end that has come ends the link there was, and a
    // new one is asked for (law LINK-14).
    body::drain(&process);
    let send = {
        let mut owner = process.owner();
        if owner.rare.is_there() && owner.rare.has_specials() {
            owner.rare.unmark_link(pid);
        }
        owner.bonds.links.link(pid)
    };
    deliver_link(&process, pid, send);
}

/// Takes the link to `pid` back. Once this has returned, the end of that
/// process does not affect this one by the old link (law LINK-07). An
/// [`Exit`](crate::Exit) message that had come before stays in the mailbox;
/// [`flush_exit`] takes it out.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn unlink(pid: Pid) {
    let process = current::expect("unlink");
    let send = {
        let mut owner = process.owner();
        let number = owner.number();
        if owner.rare.has_specials() {
            owner.rare.unmark_link(pid);
        }
        owner.bonds.links.unlink(pid, number)
    };
    deliver_link(&process, pid, send);
}

fn deliver_link(process: &Process, other: Pid, send: LinkSend) {
    let header = process.header();
    let from = header.pid;
    let signal = match send {
        LinkSend::Nothing => return,
        LinkSend::Link => Signal::Link { from },
        LinkSend::Unlink(number) => Signal::Unlink { from, number },
    };
    NodeInner::deliver(&header.node, from, other, signal);
}

/// Takes an exit message of `pid` out of this process's mailbox, if one lies
/// there; its reason (the clean-up of law LINK-08).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn flush_exit(pid: Pid) -> Option<ExitReason> {
    let process = current::expect("flush_exit");
    match flush(
        &process,
        |notice| matches!(notice, Notice::Exit(exit, _) if exit.from == pid || planted!(FlushTakesAny)),
    )? {
        Notice::Exit(exit, _) => Some(exit.reason),
        Notice::Down(_) | Notice::System(_) | Notice::User(_) => None,
    }
}

/// Takes the first notice of a kind out of the mailbox.
fn flush(process: &Process, wanted: impl Fn(&Notice) -> bool) -> Option<Notice> {
    body::drain(process);
    let mut owner = process.owner();
    let at = owner
        .rare
        .notices
        .iter()
        .position(|notice| wanted(&notice.value))?;
    owner.take_notice(at)
}

/// Monitors a process, by pid or by the name it has now: when it ends, a
/// [`Down`] comes to this one. If there is no such process, it comes at once,
/// with [`ExitReason::NoProcess`] (laws MON-01 to MON-06).
///
/// Each call makes a monitor of its own. To monitor oneself is allowed and
/// does nothing (law MON-07).
///
/// # Panics
///
/// Outside a process.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, ExitReason, Message, Node, monitor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let watcher = node.spawn(|mut ctx: Context<()>| async move {
///     let reference = monitor("nobody");
///     let Message::Down(down) = ctx.receive().await else { panic!("no down") };
///     assert_eq!((down.reference, down.reason), (reference, ExitReason::NoProcess));
/// })?;
/// assert!(node.block_on(watcher.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn monitor(target: impl Into<Dest>) -> MonitorRef {
    let process = current::expect("monitor");
    let reference = process.new_monitor();
    watch(&process, reference, target.into(), None);
    reference
}

impl Process {
    /// A reference for a monitor of this process.
    fn new_monitor(&self) -> MonitorRef {
        MonitorRef::new(self.header().pid, self.owner().number())
    }
}

/// Puts a monitor of this process into force; whether there is anybody to watch
/// but itself (law MON-07).
fn watch(process: &Process, reference: MonitorRef, target: Dest, special: Option<Special>) -> bool {
    let header = process.header();
    let (target, name) = match target {
        Dest::Pid(pid) => (pid, None),
        Dest::Name(name) => (
            header.node.registry.whereis(&name).unwrap_or(Pid::OUTSIDE),
            Some(name),
        ),
    };
    if target == header.pid {
        return false;
    }
    let way = special.as_ref().and_then(Special::way);
    {
        let mut owner = process.owner();
        owner.rare.monitors.insert(reference, target);
        if let Some(special) = special {
            owner.rare.specials().add(reference, special);
        }
    }
    observe!(header.node, |world| world.monitored(reference, target));
    let (to, signal) = if target == Pid::OUTSIDE {
        // Nobody has the name, so nobody else can tell.
        let down = Down {
            reference,
            pid: target,
            name,
            reason: ExitReason::NoProcess,
        };
        let signal = match way {
            Some(way) => Signal::AliasDown(Box::new((down, way))),
            None => Signal::Down(down),
        };
        (header.pid, signal)
    } else {
        let watcher = match way {
            Some(way) => Watcher::Alias(Box::new((name, way))),
            None => Watcher::Process { name },
        };
        (target, Signal::Monitor { reference, watcher })
    };
    NodeInner::deliver(&header.node, header.pid, to, signal);
    true
}

/// Takes a monitor back; whether it was still in force. `false` means that its
/// [`Down`] is in the mailbox or was received, or that the monitor is none of
/// this process (laws MON-08, MON-10 to MON-12).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn demonitor(reference: MonitorRef) -> bool {
    let process = current::expect("demonitor");
    if planted!(DemonitoredFires) {
        return process.owner().rare.monitors.get(&reference).is_some();
    }
    take_back(&process, reference)
}

/// Takes a monitor of this process back; whether it was in force.
fn take_back(process: &Process, reference: MonitorRef) -> bool {
    let header = process.header();
    let (target, special) = {
        let mut owner = process.owner();
        let Some(target) = owner.rare.monitors.remove(&reference) else {
            return false;
        };
        let special = if owner.rare.has_specials() {
            owner.rare.take_special(reference)
        } else {
            None
        };
        (target, special)
    };
    if let Some(special) = &special {
        special.close(process.core());
    }
    observe!(header.node, |world| world.demonitored(reference));
    NodeInner::deliver(
        &header.node,
        header.pid,
        target,
        Signal::Demonitor { reference },
    );
    // Last, since a destructor of the user's may panic.
    drop(special);
    true
}

/// As [`demonitor`], and takes its [`Down`] out of the mailbox if it lies there
/// (law MON-09).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn demonitor_flush(reference: MonitorRef) -> bool {
    let was_active = demonitor(reference);
    if !was_active {
        let process = current::expect("demonitor_flush");
        let is_its_down = |notice: &Notice| matches!(notice, Notice::Down(Down { reference: r, .. }) if *r == reference);
        drop(flush(&process, is_its_down));
    }
    was_active
}

/// Says whether this process traps exits; what it did before (law TRAP-01).
/// A trapping process gets exit signals as messages, except an explicit kill.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn trap_exit(trap: bool) -> bool {
    let process = current::expect("trap_exit");
    let mode = if trap {
        ExitMode::Trapped
    } else {
        ExitMode::Fatal
    };
    let before = std::mem::replace(&mut process.owner().exit_mode, mode);
    before == ExitMode::Trapped
}

/// Labels this process, for reports and observers (law INFO-05).
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn set_label(label: impl Into<String>) {
    let label: String = label.into();
    current::expect("set_label").header().identity.lock().label = Some(label.into());
}

/// Sends an exit signal. See [`Node::exit`].
///
/// A process that sends itself a fatal one ends when it next returns to the
/// scheduler or enters an operation of the runtime that waits.
pub fn exit(pid: Pid, reason: ExitReason) {
    Node::on_current(|node| node.exit(pid, reason.clone()));
}

/// Kills a process. See [`Node::kill`].
pub fn kill(pid: Pid) {
    exit(pid, ExitReason::Kill);
}

/// Gives a process a name. See [`Node::register`].
///
/// # Errors
///
/// See [`RegisterError`].
pub fn register(name: impl Into<Name>, pid: Pid) -> Result<(), RegisterError> {
    Node::current().register(name, pid)
}

/// Takes a name back. See [`Node::unregister`].
///
/// # Errors
///
/// If nobody has it.
pub fn unregister(name: impl AsRef<str>) -> Result<Pid, UnregisterError> {
    let name = name.as_ref();
    Node::on_current(|node| node.registry.unregister(name, &node.table))
}

/// Who has a name on the current node.
pub fn whereis(name: impl AsRef<str>) -> Option<Pid> {
    let name = name.as_ref();
    Node::on_current(|node| node.registry.whereis(name))
}

/// Sends a message by pid or name. See [`Node::send`].
///
/// # Errors
///
/// If nobody has the name, or the process takes messages of another type.
pub fn send<M: Send + 'static>(dest: impl Into<Dest>, message: M) -> Result<(), SendError<M>> {
    Node::current().send(dest, message)
}

/// Sends a message after a time. See [`Node::send_after`].
pub fn send_after<M: Send + 'static>(
    after: Duration,
    dest: impl Into<Dest>,
    message: M,
) -> TimerRef {
    Node::current().send_after(after, dest, message)
}

/// Cancels a timer. See [`Node::cancel_timer`].
pub fn cancel_timer(timer: TimerRef) -> Option<Duration> {
    Node::current().cancel_timer(timer)
}

/// Reads a timer. See [`Node::read_timer`].
pub fn read_timer(timer: TimerRef) -> Option<Duration> {
    Node::current().read_timer(timer)
}

/// Whether a process is alive. See [`Node::is_alive`].
///
/// # Errors
///
/// If the process does not return to the scheduler within 5 seconds.
pub async fn is_alive(pid: Pid) -> Result<bool, InfoError> {
    let asked = Node::on_current(|node| node.is_alive(pid));
    asked.await
}

/// A picture of a process. See [`Node::process_info`].
///
/// # Errors
///
/// If the process does not return to the scheduler within 5 seconds.
pub async fn process_info(pid: Pid) -> Result<Option<ProcessInfo>, InfoError> {
    let asked = Node::current().process_info(pid);
    asked.await
}

/// Waits for the end of a process. See [`Node::join`].
pub fn join(pid: Pid) -> Join {
    Node::on_current(|node| Join::of_pid(node, pid))
}

/// Waits for the end of a process, as [`join`] does, and takes its exit message
/// out of the mailbox: of a process that is linked to this one, which traps
/// exits, the reason it ended with, however long ago.
///
/// Where there is a link it makes no monitor: the exit message is what it waits
/// for. If the link is taken back meanwhile, it is a join.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn join_flush(pid: Pid) -> JoinFlush {
    let process = current::expect("join_flush");
    JoinFlush::of_pid(&process.header().node, pid)
}

/// Waits on the current node's clock.
pub fn sleep(duration: Duration) -> Sleep {
    Node::current().sleep(duration)
}

/// The time on the current node's clock.
pub fn now() -> Instant {
    Node::on_current(|node| node.timers.now())
}

/// Lets the other processes that can run have their turn first; in a task of
/// Tokio's, the other tasks. `erlang:yield/0`.
///
/// A process gives way by itself wherever it waits, and when it has received
/// much in one turn. This is for long work in between, which would keep a
/// worker to itself; a process that was killed meanwhile is stopped here.
///
/// # Cancel safety
///
/// It does nothing but wait.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node, yield_now};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let adder = node.spawn(|_: Context<()>| async {
///     let mut sum = 0_u64;
///     for n in 0..100_000 {
///         sum += n;
///         if n % 1_000 == 0 {
///             yield_now().await;
///         }
///     }
///     assert_eq!(sum, 4_999_950_000);
/// })?;
/// assert!(node.block_on(adder.join()).is_normal());
/// # Ok(())
/// # }
/// ```
pub async fn yield_now() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits for a future, but no longer than this on the current node's clock.
///
/// # Errors
///
/// If the time is up first; the future is dropped.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let timed = Node::current().timeout(duration, future);
    timed.await
}
