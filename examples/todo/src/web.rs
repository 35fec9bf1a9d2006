//! The web front: a process that waits for clients, and one for each client.
//!
//! ```text
//! web                 rest for one
//! ├── connections     dynamic
//! │   ├── connection  temporary: serves a client until it leaves
//! │   └── ...
//! └── listener        permanent
//! ```

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use resurgam::{
    ChildSpec, Context, DynamicSupervisor, DynamicSupervisorRef, ExitReason,
    StartDynamicChildError, Strategy, Supervisor, sleep, trap_exit,
};
use tokio::net::{TcpListener, TcpStream};

use crate::api;
use crate::application::BACKOFF;
use crate::lists::Lists;

/// The name of the supervisor of the connections.
const CONNECTIONS: &str = "todo.connections";
/// How many clients there may be at once. Others are turned away.
const MOST_CLIENTS: usize = 10_000;
/// A client that asks nothing for so long is sent away.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no room for another socket.
const OUT_OF_SOCKETS_PAUSE: Duration = Duration::from_millis(100);

/// What stays the same when the listener is restarted: above all the socket, so
/// that no client that waits is lost.
#[derive(Debug)]
pub struct Front {
    socket: TcpListener,
    lists: Lists,
}

impl Front {
    /// Listens at this address; port 0 is a free one.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left.
    pub async fn bind(address: SocketAddr, lists: Lists) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket, lists })
    }

    /// Where clients call.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What is to be supervised.
    pub fn child(self) -> ChildSpec {
        let front = Arc::new(self);
        let tree = move || {
            let front = Arc::clone(&front);
            let connections = || {
                DynamicSupervisor::builder()
                    .name(CONNECTIONS)
                    .max_children(MOST_CLIENTS)
            };
            Supervisor::builder(Strategy::RestForOne)
                .child(ChildSpec::dynamic_supervisor("connections", connections).backoff(BACKOFF))
                .child(ChildSpec::task("listener", move || {
                    Arc::clone(&front).listen()
                }))
        };
        ChildSpec::supervisor("web", tree).backoff(BACKOFF)
    }

    async fn listen(self: Arc<Self>) -> Result<(), ExitReason> {
        loop {
            match self.socket.accept().await {
                Ok((client, _)) => self.welcome(client).await?,
                Err(error) => {
                    tracing::warn!(%error, "no client can be accepted");
                    sleep(OUT_OF_SOCKETS_PAUSE).await;
                }
            }
        }
    }

    /// Starts a process for a client, which has the socket. If there are too
    /// many, the socket closes.
    async fn welcome(&self, client: TcpStream) -> Result<(), ExitReason> {
        let lists = self.lists.clone();
        let connection = ChildSpec::process_once("connection", |ctx| serve(ctx, client, lists));
        let connections = DynamicSupervisorRef::named(CONNECTIONS);
        match connections.start_child(connection).await {
            Ok(_) | Err(StartDynamicChildError::MaxChildren(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Serves a client until it leaves. When the supervisor stops the process, the
/// request that is being answered is answered first.
async fn serve(mut ctx: Context<()>, client: TcpStream, lists: Lists) {
    trap_exit(true);
    let service = service_fn(|request| api::respond(request, &lists));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .serve_connection(TokioIo::new(client), service);
    let mut connection = pin!(connection);
    let end = tokio::select! {
        end = connection.as_mut() => end,
        _ = ctx.receive() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that goes away without a word is no crash.
    tracing::debug!(?end, "connection closed");
}
