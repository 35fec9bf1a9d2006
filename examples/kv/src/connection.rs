//! The process that serves one client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use resurgam::{Context, Message, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::batch::Batch;
use crate::partition::Partitions;
use crate::protocol::Decoder;
use crate::session::{Flow, Session};
use crate::settings::Settings;

/// The name of the supervisor of all connections.
pub const SUPERVISOR: &str = "kv.connections";

/// A client that called, on its way from the listener to its process.
#[derive(Debug)]
pub struct Client {
    /// Counts up from 1.
    pub id: u64,
    /// The way to it.
    pub socket: TcpStream,
}

/// How long the listener has to hand over the client.
const HANDOVER: Duration = Duration::from_secs(5);
/// Room for this much is made before each read.
const READ_SIZE: usize = 16 * 1024;
/// A buffer that has grown beyond this is let go.
const KEPT_REPLIES: usize = 64 * 1024;

/// Serves the client that comes as the first message until it leaves.
///
/// A client that goes away without a word is no crash, so however the socket
/// ends, the process ends normally.
pub async fn serve(mut ctx: Context<Client>, settings: Arc<Settings>) {
    let Some(Message::User(client)) = ctx.receive_timeout(HANDOVER).await else {
        return;
    };
    let id = client.id;
    let partitions = Partitions::of(&ctx.node(), settings.partitions);
    let end = async { Connection::new(client, settings, partitions)?.run().await }.await;
    tracing::debug!(client = id, ?end, "connection closed");
}

struct Connection {
    socket: TcpStream,
    decoder: Decoder,
    session: Session,
    partitions: Partitions,
    replies: BytesMut,
}

impl Connection {
    fn new(client: Client, settings: Arc<Settings>, partitions: Partitions) -> io::Result<Self> {
        let Client { id, socket } = client;
        socket.set_nodelay(true)?;
        let session = Session::new(settings, id, socket.peer_addr()?, now());
        let (decoder, replies) = (Decoder::default(), BytesMut::new());
        Ok(Self {
            socket,
            decoder,
            session,
            partitions,
            replies,
        })
    }

    async fn run(mut self) -> io::Result<()> {
        loop {
            self.decoder.buffer().reserve(READ_SIZE);
            if self.socket.read_buf(self.decoder.buffer()).await? == 0 {
                return Ok(());
            }
            if self.serve_batch().await? == Flow::Close {
                return self.socket.shutdown().await;
            }
        }
    }

    /// Handles all commands that have arrived, and writes their replies at once.
    async fn serve_batch(&mut self) -> io::Result<Flow> {
        let mut batch = Batch::new(self.partitions.count());
        let flow = self.session.read(&mut self.decoder, &mut batch, now());
        if !batch.is_empty() {
            let answers = self.partitions.answer(batch.take_requests()).await;
            batch.encode(answers, &mut self.replies);
            self.socket.write_all(&self.replies).await?;
            self.clear_replies();
        }
        Ok(flow)
    }

    /// One long reply shall not cost the client memory for ever.
    fn clear_replies(&mut self) {
        self.replies.clear();
        if self.replies.capacity() > KEPT_REPLIES {
            self.replies = BytesMut::new();
        }
    }
}
