//! What is not Redis's protocol. The table of single cases is a recorded
//! session, `tests/session/protocol.txt`; here is what a text file cannot hold.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::world::World;

/// More than the 64 KiB that a line may have.
const ENDLESS: usize = 1_000_000;

#[track_caller]
fn check_refused(request: &[u8], complaint: &str) {
    let world = World::new();
    let answer = world.client().exchange(request);
    assert_eq!(
        String::from_utf8_lossy(&answer),
        format!("-ERR Protocol error: {complaint}\r\nEOF\r\n")
    );
    assert_eq!(world.client().run("PING"), "+PONG");
}

#[test]
fn endless_lines_are_refused() {
    check_refused(&[b'a'; ENDLESS], "too big inline request");
    check_refused(
        &[b"*", &[b'1'; ENDLESS][..]].concat(),
        "too big mbulk count string",
    );
    check_refused(
        &[b"*1\r\n$", &[b'1'; ENDLESS][..]].concat(),
        "too big bulk count string",
    );
}

#[test]
fn nested_arrays_are_refused() {
    check_refused(&b"*1\r\n".repeat(100_000), "expected '$', got '*'");
}

#[test]
fn client_that_hangs_up_in_the_middle_does_no_harm() {
    let world = World::new();
    for fragment in [
        "*",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf",
        "GET",
        "*2147483647\r\n",
    ] {
        let mut socket = TcpStream::connect(world.server.address()).unwrap();
        socket.write_all(fragment.as_bytes()).unwrap();
    }
    assert_eq!(world.client().run("PING"), "+PONG");
}

#[test]
fn byte_by_byte_is_as_good_as_all_at_once() {
    let world = World::new();
    let mut socket = TcpStream::connect(world.server.address()).unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\nGET k\r\n" {
        socket.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 16];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n$5\r\na\r\nbc\r\n");
}

#[test]
fn noise_does_not_bring_the_server_down() {
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let noise: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
        let mut socket = TcpStream::connect(world.server.address()).unwrap();
        socket.write_all(&noise).unwrap();
    }
    assert_eq!(world.client().run("PING"), "+PONG");
}
