//! A server in the test's own process, and clients of it.

use kv::batch::partition_of;
use kv::command::DebugAccess;
use kv::reply::Protocol;
use kv::server::{Options, Server};
use kv::{connection, partition};
use resurgam::{DynamicSupervisorRef, Node, Pid, SupervisorRef};

use crate::session::Client;

/// A node with a server on a free port.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) server: Server,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with_crashes() -> Self {
        Self::with(Options {
            debug: DebugAccess::Allowed,
            ..Options::default()
        })
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::on(Node::new().expect("a node starts"), options)
    }

    pub(crate) fn on(node: Node, mut options: Options) -> Self {
        options.address.set_port(0);
        let server = node
            .block_on(Server::start(&node, options))
            .expect("a server starts");
        Self { node, server }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.server.address(), Protocol::Resp2)
    }

    /// The processes that serve clients.
    pub(crate) fn connections(&self) -> Vec<Pid> {
        let pid = self.node.whereis(connection::SUPERVISOR).expect("it runs");
        let supervisor = DynamicSupervisorRef::from_pid(&self.node, pid).expect("it is dynamic");
        let children = self
            .node
            .block_on(supervisor.which_children())
            .expect("it answers");
        children.iter().filter_map(|child| child.pid()).collect()
    }

    /// A child of the root of the tree.
    pub(crate) fn child(&self, id: &str) -> Pid {
        let child = self.node.block_on(self.server.supervisor().which_child(id));
        child.expect("it is a child").pid().expect("it runs")
    }

    /// Kills a process, and returns when those linked to it know.
    pub(crate) fn kill(&self, pid: Pid) {
        let end = self.node.join(pid);
        self.node.kill(pid);
        self.node.block_on(end);
    }

    /// Crashes the partition of a key, and returns the reply when the
    /// partition has been restarted.
    pub(crate) fn crash(&self, client: &mut Client, key: &str) -> String {
        let partition = partition::name(partition_of(key.as_bytes(), 16));
        let end = self
            .node
            .join(self.node.whereis(partition).expect("the partition runs"));
        let reply = client.run(&format!("DEBUG CRASH {key}"));
        self.node.block_on(end);
        // By now its supervisor has the exit in its mailbox, so it answers
        // this after the restart.
        let partitions = SupervisorRef::from_pid(&self.node, self.child("partitions"));
        let children = self
            .node
            .block_on(partitions.expect("it is static").which_children());
        assert!(
            children
                .expect("it answers")
                .iter()
                .all(|child| child.pid().is_some())
        );
        reply
    }
}
