//! The supervision tree, and how it is started.
//!
//! ```text
//! kv                      one for one
//! ├── partitions          one for one
//! │   ├── kv.partition.0  permanent
//! │   └── ...
//! ├── kv.connections      dynamic
//! │   ├── connection      temporary
//! │   └── ...
//! └── listener            permanent
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use resurgam::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorBuilder, ExitReason, GenServer, Node,
    StartSupervisorError, StopServerError, Strategy, Supervisor, SupervisorBuilder, SupervisorRef,
};
use tokio::net::{TcpListener, TcpSocket};

use crate::command::DebugAccess;
use crate::connection;
use crate::listener::Listener;
use crate::partition::{self, Partition};
use crate::settings::Settings;
use crate::time::Calendar;

const DEFAULT_PARTITIONS: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");
/// How many clients the system keeps waiting until they are let in. One more
/// has to call again, after a second.
const WAITING_CLIENTS: u32 = 1_024;
/// So many crashes of partitions within [`CRASH_PERIOD`] are borne. A client
/// may crash them at will where that is allowed.
const MAX_CRASHES: u32 = 1_000;
const CRASH_PERIOD: Duration = Duration::from_secs(10);

/// How to start a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where to listen; port 0 is a free one.
    pub address: SocketAddr,
    /// How many partitions hold the keys.
    pub partitions: NonZeroUsize,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// Whether clients may crash partitions.
    pub debug: DebugAccess,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6380),
            partitions: DEFAULT_PARTITIONS,
            max_connections: 10_000,
            debug: DebugAccess::Refused,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartServerError {
    /// The address cannot be listened at.
    #[error("cannot listen at {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The processes did not start.
    #[error(transparent)]
    Supervisor(#[from] StartSupervisorError),
}

/// A server that runs. It goes on when this is dropped; it ends with its node.
#[derive(Clone, Debug)]
pub struct Server {
    settings: Arc<Settings>,
    supervisor: SupervisorRef,
}

impl Server {
    /// Starts a server on a node, which may have one server only.
    ///
    /// # Errors
    ///
    /// See [`StartServerError`]. Nothing is left running.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server may start or not.
    pub async fn start(node: &Node, options: Options) -> Result<Self, StartServerError> {
        let refused = |error| StartServerError::Bind(options.address, error);
        let socket = listen(options.address).map_err(refused)?;
        let settings = Arc::new(Settings {
            address: socket.local_addr().map_err(refused)?,
            partitions: options.partitions.get(),
            max_connections: options.max_connections,
            debug: options.debug,
            calendar: Calendar::today(node.now()),
        });
        let supervisor = tree(Arc::clone(&settings), socket).start_on(node).await?;
        Ok(Self {
            settings,
            supervisor,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.settings.address
    }

    /// The root of its tree.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Ends the server: first the listener, then the connections, then the
    /// partitions.
    ///
    /// # Errors
    ///
    /// It has ended already, or ends for another reason.
    ///
    /// # Cancel safety
    ///
    /// The server ends even if the future is dropped while it waits.
    pub async fn stop(&self) -> Result<(), StopServerError> {
        self.supervisor.stop_with(ExitReason::Shutdown).await
    }

    /// Waits until the server has ended, and tells why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ended(&self, node: &Node) -> ExitReason {
        match self.supervisor.pid() {
            Some(pid) => node.join(pid).await,
            None => ExitReason::NoProcess,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a server can take the place of one that has just ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_CLIENTS)
}

fn tree(settings: Arc<Settings>, socket: TcpListener) -> SupervisorBuilder {
    let (count, calendar) = (settings.partitions, settings.calendar);
    let max_connections = settings.max_connections;
    let listener = Arc::new(Listener::new(socket, settings));
    Supervisor::builder(Strategy::OneForOne)
        .name("kv")
        .child(ChildSpec::supervisor("partitions", move || {
            partitions(count, calendar)
        }))
        .child(ChildSpec::dynamic_supervisor("connections", move || {
            connections_up_to(max_connections)
        }))
        .child(ChildSpec::task("listener", move || {
            Arc::clone(&listener).listen()
        }))
}

fn partitions(count: usize, calendar: Calendar) -> SupervisorBuilder {
    let partition = |number| {
        let name = partition::name(number);
        let id = name.as_str().to_owned();
        let builder = move || Partition::builder(calendar).name(name.clone());
        ChildSpec::server_with(id, builder)
    };
    Supervisor::builder(Strategy::OneForOne)
        .intensity(MAX_CRASHES, CRASH_PERIOD)
        .children((0..count).map(partition))
}

fn connections_up_to(max_connections: usize) -> DynamicSupervisorBuilder {
    DynamicSupervisor::builder()
        .name(connection::SUPERVISOR)
        .max_children(max_connections)
}
