//! The process that waits for clients and has one started for each.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use resurgam::{ChildSpec, DynamicSupervisorRef, ExitReason, Node, StartDynamicChildError, sleep};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{self, Client};
use crate::error::Error;
use crate::reply::{Protocol, Reply};
use crate::settings::Settings;

/// How long to wait when the system has no room for another socket.
const OUT_OF_SOCKETS_PAUSE: Duration = Duration::from_millis(100);

/// What stays the same when the listener is restarted: the socket, so that no
/// waiting client is lost, and the number of clients so far.
#[derive(Debug)]
pub struct Listener {
    /// Where clients call.
    pub socket: TcpListener,
    /// What their connections get to know.
    pub settings: Arc<Settings>,
    clients: AtomicU64,
}

impl Listener {
    /// A listener that has had no client yet.
    pub fn new(socket: TcpListener, settings: Arc<Settings>) -> Self {
        Self {
            socket,
            settings,
            clients: AtomicU64::new(0),
        }
    }

    /// Welcomes clients for ever.
    ///
    /// # Errors
    ///
    /// The supervisor of the connections is gone. The listener ends, and its
    /// own supervisor decides what then.
    ///
    /// # Cancel safety
    ///
    /// A client that has called and has no process yet is turned away.
    pub async fn listen(self: Arc<Self>) -> Result<(), ExitReason> {
        let connections = DynamicSupervisorRef::named(connection::SUPERVISOR);
        loop {
            match self.socket.accept().await {
                Ok((socket, _)) => self.welcome(socket, &connections).await?,
                Err(error) => pause_after(&error).await,
            }
        }
    }

    /// Starts a process for the client and hands it the socket.
    async fn welcome(
        &self,
        socket: TcpStream,
        connections: &DynamicSupervisorRef,
    ) -> Result<(), ExitReason> {
        match connections.start_child(self.connection()).await {
            Ok(started) => {
                let id = self.clients.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(pid) = started.pid() {
                    // Should the process be dead already, the socket closes here.
                    let _ = Node::current().send(pid, Client { id, socket });
                }
                Ok(())
            }
            Err(StartDynamicChildError::MaxChildren(_)) => {
                turn_away(socket).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn connection(&self) -> ChildSpec {
        let settings = Arc::clone(&self.settings);
        let body = move || {
            let settings = Arc::clone(&settings);
            move |ctx| connection::serve(ctx, settings)
        };
        ChildSpec::process("connection", body).temporary()
    }
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "no client can be accepted");
    sleep(OUT_OF_SOCKETS_PAUSE).await;
}

/// Tells a client that there are too many. It may have gone, so no harm if not.
async fn turn_away(mut socket: TcpStream) {
    let mut line = BytesMut::new();
    Reply::Error(Error::TOO_MANY_CLIENTS).encode(Protocol::Resp2, &mut line);
    let _ = socket.write_all(&line).await;
}
