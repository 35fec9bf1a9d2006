//! Process groups, OTP's `pg`: [`Groups`].

mod scope;
pub(crate) mod table;

use std::fmt;

use crate::exit_reason::ExitReason;
use crate::gen_server::{GenServer, ServerBuilder, ServerRef};
use crate::name::Name;
use crate::node::Node;
use crate::pid::{MonitorRef, Pid};
use crate::process_ref::ProcessRef;
use crate::reply::{CallError, Reply};
use crate::teller::Teller;

pub use scope::GroupScope;

/// The process groups of one scope: names under which any number of processes
/// can be found together.
///
/// A process may be in many groups, and in one group several times; it must be
/// taken out as often. A group is there while it has members. Members that end
/// leave by themselves. Scopes know nothing of each other (law PG-08).
///
/// A scope is a server, started by [`builder`](Self::builder) and best kept by
/// a supervisor. This is a handle to it, by its name, so it stays good when the
/// scope is restarted; a restarted scope has no members (law PG-09). To read
/// asks nobody, and sees members that have just ended until the scope has heard
/// of it (law PG-05). Where there is no such scope, groups are empty, and who
/// would join is told [`CallError::Down`] with
/// [`NoProcess`](ExitReason::NoProcess) (law PG-11).
///
/// # Differences from Erlang
///
/// Groups have names, not terms of any kind. Notices of a monitor are messages
/// of the watcher's own type; those that came before it was taken away stay in
/// the mailbox, and name their monitor.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Groups, Message, Node, spawn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     Groups::builder("chat").on(&node).start().await?;
///     let chat = Groups::on(&node, "chat");
///     let guest = node.spawn(|mut ctx: Context<&str>| async move {
///         assert_eq!(ctx.receive().await, Message::User("welcome"));
///     })?;
///     chat.join("lobby", guest.pid().ok_or("no pid")?).await?;
///     for member in chat.members("lobby") {
///         node.send(member, "welcome")?;
///     }
///     assert!(guest.join().await.is_normal());
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct Groups {
    node: Node,
    scope: Name,
}

/// A watch over groups; see [`Groups::monitor`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMonitor(MonitorRef);

/// What happened to a group that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// Which watch saw it.
    pub monitor: GroupMonitor,
    /// Which group it is.
    pub group: Name,
    /// Whether the processes joined or left.
    pub what: Membership,
    /// The processes, each as often as it joined or left.
    pub pids: Vec<Pid>,
}

/// Which way a membership changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It began.
    Joined,
    /// It ended.
    Left,
}

/// Why nobody left a group.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// None of the processes was in the group.
    #[error("none of the processes is in group {0:?}")]
    NotJoined(Name),
    /// The scope did not answer.
    #[error("scope did not answer: {0}")]
    NoAnswer(#[from] CallError),
}

/// What a scope can be asked, by [`Groups`].
pub struct GroupRequest(Request);

enum Request {
    Join(Name, Vec<Pid>, Reply<()>),
    Leave(Name, Vec<Pid>, Reply<Result<(), LeaveError>>),
    Monitor(
        Option<Name>,
        Pid,
        Teller<GroupChange>,
        Reply<(GroupMonitor, Members)>,
    ),
    Demonitor(GroupMonitor, Reply<bool>),
}

/// The members of groups.
type Members = Vec<(Name, Vec<Pid>)>;

impl Groups {
    /// A scope to be started: registered under its name, linked to a parent or
    /// not, as any server.
    ///
    /// For a supervisor: `ChildSpec::server_with("chat", || Groups::builder("chat"))`.
    pub fn builder(scope: impl Into<Name>) -> ServerBuilder<GroupScope> {
        let scope = scope.into();
        GroupScope::builder(scope.clone()).name(scope)
    }

    /// The groups of a scope on the current node, whether it is there or not.
    pub fn named(scope: impl Into<Name>) -> Self {
        Self::on(&Node::current(), scope)
    }

    /// The groups of a scope on this node, whether it is there or not.
    pub fn on(node: &Node, scope: impl Into<Name>) -> Self {
        Self {
            node: node.clone(),
            scope: scope.into(),
        }
    }

    /// Adds a process to a group; once more, if it is there.
    ///
    /// # Errors
    ///
    /// If the scope did not answer.
    ///
    /// # Cancel safety
    ///
    /// The process is added even if the future is dropped while it waits.
    pub async fn join(&self, group: impl Into<Name>, pid: Pid) -> Result<(), CallError> {
        self.join_all(group, [pid]).await
    }

    /// As [`join`](Self::join), for several processes at once.
    ///
    /// # Errors
    ///
    /// If the scope did not answer.
    pub async fn join_all(
        &self,
        group: impl Into<Name>,
        pids: impl IntoIterator<Item = Pid>,
    ) -> Result<(), CallError> {
        let (group, pids) = (group.into(), pids.into_iter().collect());
        self.ask(|reply| Request::Join(group, pids, reply)).await
    }

    /// Takes a process out of a group, once.
    ///
    /// # Errors
    ///
    /// See [`LeaveError`].
    ///
    /// # Cancel safety
    ///
    /// As [`join`](Self::join).
    pub async fn leave(&self, group: impl Into<Name>, pid: Pid) -> Result<(), LeaveError> {
        self.leave_all(group, [pid]).await
    }

    /// As [`leave`](Self::leave), for several processes at once. Those that are
    /// not in the group are passed over, unless none is (law PG-04).
    ///
    /// # Errors
    ///
    /// See [`LeaveError`].
    pub async fn leave_all(
        &self,
        group: impl Into<Name>,
        pids: impl IntoIterator<Item = Pid>,
    ) -> Result<(), LeaveError> {
        let (group, pids) = (group.into(), pids.into_iter().collect());
        self.ask(|reply| Request::Leave(group, pids, reply)).await?
    }

    /// The members of a group, in no particular order, each as often as it
    /// joined. Asks nobody.
    pub fn members(&self, group: impl AsRef<str>) -> Vec<Pid> {
        let table = self.node.inner().scopes.get(self.scope.as_str());
        table.map_or_else(Vec::new, |table| table.members(group.as_ref()))
    }

    /// The groups that have members, by name. Asks nobody.
    pub fn which_groups(&self) -> Vec<Name> {
        let table = self.node.inner().scopes.get(self.scope.as_str());
        table.map_or_else(Vec::new, |table| table.groups())
    }

    /// Watches a group for a process: tells its members of this moment, and
    /// from then on sends the process what `wrap` makes of each change, until
    /// it ends or the watch is [taken away](Self::demonitor).
    ///
    /// `wrap` runs in the scope. If it panics, the watch ends.
    ///
    /// # Errors
    ///
    /// If the scope did not answer, or the process is none.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, the watch may have begun; it
    /// ends with the process that it tells.
    pub async fn monitor<M: Send + 'static>(
        &self,
        group: impl Into<Name>,
        watcher: ProcessRef<M>,
        wrap: impl FnMut(GroupChange) -> M + Send + 'static,
    ) -> Result<(GroupMonitor, Vec<Pid>), CallError> {
        let (monitor, mut members) = self.watch(Some(group.into()), watcher, wrap).await?;
        let members = members.pop().map(|(_, members)| members);
        Ok((monitor, members.unwrap_or_default()))
    }

    /// As [`monitor`](Self::monitor), for all groups of the scope, also those
    /// that do not exist yet.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn monitor_scope<M: Send + 'static>(
        &self,
        watcher: ProcessRef<M>,
        wrap: impl FnMut(GroupChange) -> M + Send + 'static,
    ) -> Result<(GroupMonitor, Vec<(Name, Vec<Pid>)>), CallError> {
        self.watch(None, watcher, wrap).await
    }

    /// Takes a watch away; whether it was there. Nothing is sent for it after
    /// this returns.
    ///
    /// # Errors
    ///
    /// If the scope did not answer.
    pub async fn demonitor(&self, monitor: GroupMonitor) -> Result<bool, CallError> {
        self.ask(|reply| Request::Demonitor(monitor, reply)).await
    }

    async fn watch<M: Send + 'static>(
        &self,
        group: Option<Name>,
        watcher: ProcessRef<M>,
        wrap: impl FnMut(GroupChange) -> M + Send + 'static,
    ) -> Result<(GroupMonitor, Members), CallError> {
        let Some(pid) = watcher.pid() else {
            return Err(CallError::Down(ExitReason::NoProcess));
        };
        let teller = Teller::new(watcher, wrap);
        self.ask(|reply| Request::Monitor(group, pid, teller, reply))
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, CallError> {
        let scope: ServerRef<GroupScope> = self.node.named(self.scope.clone());
        scope.call(|reply| GroupRequest(request(reply))).await
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Groups").field(&self.scope).finish()
    }
}

impl fmt::Debug for GroupRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupRequest")
    }
}
