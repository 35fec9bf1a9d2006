//! Tokio's I/O inside processes: a TCP echo server, a process a connection.
//!
//! A crash in one connection closes its socket and touches no other. The
//! sockets belong to their processes: who is dead holds none.
//!
//! ```erlang
//! accept(L) -> {ok, S} = gen_tcp:accept(L), Pid = spawn(fun() -> echo(S) end),
//!              gen_tcp:controlling_process(S, Pid), accept(L).
//! echo(S) -> {ok, Line} = gen_tcp:recv(S, 0), gen_tcp:send(S, Line), echo(S).
//! ```
//!
//! Run it: `cargo run --example 14_tokio_io`

use std::time::Duration;

use resurgam::{Context, ExitReason, Node, self_pid, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Echoes words of five letters, and crashes at a bad one.
async fn connection(mut socket: TcpStream) -> Result<(), ExitReason> {
    let mut word = [0; 5];
    loop {
        socket.read_exact(&mut word).await?;
        assert!(&word != b"crash", "told to crash");
        socket.write_all(&word).await?;
    }
}

/// Accepts connections, and makes a process of each, until it is killed.
async fn acceptor(listener: TcpListener) -> Result<(), ExitReason> {
    loop {
        let (socket, _) = listener.accept().await?;
        let connection = spawn(|_: Context<()>| connection(socket))?;
        println!("acceptor {}: made {connection:?}", self_pid());
    }
}

/// A client: says a word and waits for the answer.
async fn ask(socket: &mut TcpStream, word: &[u8; 5]) -> std::io::Result<[u8; 5]> {
    socket.write_all(word).await?;
    let mut answer = [0; 5];
    socket.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = node.spawn(move |_: Context<()>| acceptor(listener))?;

    let mut one = TcpStream::connect(address).await?;
    let mut two = TcpStream::connect(address).await?;
    assert_eq!(ask(&mut one, b"hello").await?, *b"hello");
    let gone = ask(&mut two, b"crash").await.expect_err("it crashed");
    println!("client: the second connection crashed: {gone}");
    assert_eq!(ask(&mut one, b"again").await?, *b"again");

    node.kill(acceptor.pid().ok_or("no pid")?);
    assert_eq!(acceptor.join().await, ExitReason::Killed);
    let refused = TcpStream::connect(address).await.expect_err("open");
    println!("client: the acceptor was killed: {refused}");

    node.stop(Duration::from_secs(5)).await?;
    assert_eq!(one.read(&mut [0]).await?, 0);
    println!("client: the node stopped, so the server hung up");
    Ok(())
}
