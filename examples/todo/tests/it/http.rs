//! A client that speaks just enough HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What came back: the status, all headers, and the body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own and waits for the response.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<Response> {
    let mut socket = TcpStream::connect(address)?;
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nhost: todo\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len(),
    )?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    read(&text).ok_or_else(|| io::Error::other(format!("no response: {text:?}")))
}

fn read(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (head, body) = (head.to_lowercase(), body.to_owned());
    Some(Response { status, head, body })
}
