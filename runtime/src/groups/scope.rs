//! The server of a scope: the one who writes its table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::table::Table;
use super::{GroupChange, GroupMonitor, GroupRequest, LeaveError, Members, Membership, Request};
use crate::caught::{PanicPayload, discard_payload, guarded};
use crate::exit_reason::ExitReason;
use crate::gen_server::{GenServer, Info, InitError, ServerContext};
use crate::name::Name;
use crate::node::Node;
use crate::pid::{MonitorRef, Pid};
use crate::process::{demonitor, monitor};
use crate::signal::Down;
use crate::teller::Teller;

/// The server behind [`Groups`](super::Groups) of one scope.
#[derive(Debug)]
pub struct GroupScope {
    published: Published,
    members: BTreeMap<Pid, Member>,
    watches: BTreeMap<MonitorRef, Watch>,
}

/// A table that can be found under the name of its scope, until this is
/// dropped: however the server ends, before its end is told.
#[derive(Debug)]
struct Published {
    node: Node,
    scope: Name,
    table: Arc<Table>,
}

impl Drop for Published {
    fn drop(&mut self) {
        self.node.inner().scopes.close(self.scope.as_str());
    }
}

/// What the scope knows of a member.
#[derive(Debug)]
struct Member {
    monitor: MonitorRef,
    groups: BTreeSet<Name>,
}

/// Who watches what.
struct Watch {
    /// All groups, if it names none.
    group: Option<Name>,
    teller: Teller<GroupChange>,
}

impl Watch {
    fn is_for(&self, group: &Name) -> bool {
        self.group.as_ref().is_none_or(|watched| watched == group)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.group).finish()
    }
}

impl GenServer for GroupScope {
    type Args = Name;
    type Message = GroupRequest;

    async fn init(scope: Name, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        let node = ctx.node();
        let Some(table) = node.inner().scopes.open(scope.clone()) else {
            let why = format!("there is a scope {scope:?} on this node already");
            return Err(InitError::Error(ExitReason::custom(why)));
        };
        Ok(Self {
            published: Published { node, scope, table },
            members: BTreeMap::new(),
            watches: BTreeMap::new(),
        })
    }

    async fn handle(
        &mut self,
        GroupRequest(request): GroupRequest,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::Join(group, pids, reply) => {
                self.join(group, pids);
                reply.send(());
            }
            Request::Leave(group, pids, reply) => reply.send(self.leave(group, pids)),
            Request::Monitor(group, watcher, teller, reply) => {
                let members = self.members_of(group.as_ref());
                let monitor = monitor(watcher);
                self.watches.insert(monitor, Watch { group, teller });
                reply.send((GroupMonitor(monitor), members));
            }
            Request::Demonitor(GroupMonitor(monitor), reply) => {
                let watch = self.watches.remove(&monitor);
                demonitor(monitor);
                reply.send(watch.is_some());
            }
        }
        Ok(())
    }

    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| {
            f.debug_struct("GroupScope")
                .field("scope", &self.published.scope)
                .field("members", &self.members.len())
                .field("watches", &self.watches.len())
                .finish()
        })
    }

    fn format_message(GroupRequest(request): &GroupRequest) -> impl fmt::Debug {
        fmt::from_fn(move |f| match request {
            Request::Join(group, pids, _) => write!(f, "Join({group:?}, {pids:?})"),
            Request::Leave(group, pids, _) => write!(f, "Leave({group:?}, {pids:?})"),
            Request::Monitor(group, watcher, ..) => write!(f, "Monitor({group:?}, {watcher})"),
            Request::Demonitor(monitor, _) => write!(f, "Demonitor({monitor:?})"),
        })
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        if let Info::Down(down) = info {
            self.ended(&down);
        }
        Ok(())
    }
}

impl GroupScope {
    fn join(&mut self, group: Name, pids: Vec<Pid>) {
        for &pid in &pids {
            let member = self.members.entry(pid).or_insert_with(|| Member {
                monitor: monitor(pid),
                groups: BTreeSet::new(),
            });
            member.groups.insert(group.clone());
            self.published.table.join(&group, pid);
        }
        self.tell(group, Membership::Joined, pids);
    }

    fn leave(&mut self, group: Name, mut pids: Vec<Pid>) -> Result<(), LeaveError> {
        pids.retain(|&pid| self.leave_once(&group, pid));
        if pids.is_empty() {
            return Err(LeaveError::NotJoined(group));
        }
        self.tell(group, Membership::Left, pids);
        Ok(())
    }

    /// Whether the process was in the group.
    fn leave_once(&mut self, group: &Name, pid: Pid) -> bool {
        let left = self.published.table.leave(group.as_str(), pid);
        if left == Some(0)
            && let Some(member) = self.members.get_mut(&pid)
        {
            member.groups.remove(group);
            if member.groups.is_empty() {
                demonitor(member.monitor);
                self.members.remove(&pid);
            }
        }
        left.is_some()
    }

    /// A member or a watcher has ended. A notice that was under way when its
    /// monitor was taken away names neither.
    fn ended(&mut self, down: &Down) {
        self.watches.remove(&down.reference);
        let member = self.members.get(&down.pid);
        if planted!(MembershipKept) || member.is_none_or(|member| member.monitor != down.reference)
        {
            return;
        }
        let Some(member) = self.members.remove(&down.pid) else {
            return;
        };
        for group in member.groups {
            let times = self
                .published
                .table
                .leave_for_good(group.as_str(), down.pid);
            self.tell(group, Membership::Left, vec![down.pid; times]);
        }
    }

    fn members_of(&self, group: Option<&Name>) -> Members {
        let table = &self.published.table;
        let groups = match group {
            Some(group) => vec![group.clone()],
            None => table.groups(),
        };
        let with_members = |group: Name| {
            let members = table.members(group.as_str());
            (group, members)
        };
        groups.into_iter().map(with_members).collect()
    }

    /// Tells those who watch the group. Whose `wrap` panics is told no more.
    fn tell(&mut self, group: Name, what: Membership, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        let watching = |watch: &Watch| watch.is_for(&group);
        self.watches.retain(|&monitor, watch| {
            if !watching(watch) {
                return true;
            }
            let told = watch.teller.tell(GroupChange {
                monitor: GroupMonitor(monitor),
                group: group.clone(),
                what,
                pids: pids.clone(),
            });
            told.map_err(|payload| give_up(monitor, payload)).is_ok()
        });
    }
}

/// A watcher's `wrap` has panicked.
fn give_up(watch: MonitorRef, payload: PanicPayload) {
    discard_payload(payload);
    demonitor(watch);
    guarded(
        || tracing::warn!(target: "resurgam::groups", ?watch, "watcher panicked; it is told no more"),
    );
}
