//! Many commands, many clients.

use std::io::Read;
use std::net::TcpStream;

use kv::server::Options;

use crate::world::World;

#[test]
fn long_pipeline_is_answered_in_order() {
    let world = World::new();
    let mut client = world.client();
    let request: String = (0..10_000)
        .map(|n| format!("SET key{n} {n}\r\nGET key{n}\r\n"))
        .collect();
    let expected: String = (0..10_000)
        .map(|n: u32| format!("+OK\r\n${}\r\n{n}\r\n", n.to_string().len()))
        .collect();
    assert!(client.exchange(request.as_bytes()) == expected.as_bytes());
    assert_eq!(client.run("DBSIZE"), ":10000");
}

#[test]
fn increments_of_many_clients_are_all_counted() {
    let world = World::new();
    let mut clients: Vec<_> = (0..20).map(|_| world.client()).collect();
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| client.exchange(&b"INCR n\r\n".repeat(500)));
        }
    });
    assert_eq!(world.client().run("GET n"), "$5 10000");
}

#[test]
fn values_of_megabytes_come_back_whole() {
    let world = World::new();
    let mut client = world.client();
    let value = vec![b'x'; 10_000_000];
    let request = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10000000\r\n",
        &value[..],
        b"\r\n",
    ]
    .concat();
    assert_eq!(client.exchange(&request), b"+OK\r\n");
    let reply = client.exchange(b"GET k\r\n");
    assert!(reply == [b"$10000000\r\n", &value[..], b"\r\n"].concat());
}

#[test]
fn one_client_too_many_is_turned_away() {
    let world = World::with(Options {
        max_connections: 2,
        ..Options::default()
    });
    let mut clients = [world.client(), world.client()];
    for client in &mut clients {
        assert_eq!(client.run("PING"), "+PONG");
    }
    let mut answer = String::new();
    let mut third = TcpStream::connect(world.server.address()).unwrap();
    third.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "-ERR max number of clients reached\r\n");
    for client in &mut clients {
        assert_eq!(client.run("PING"), "+PONG");
    }
}

#[test]
fn one_partition_is_enough() {
    let one = std::num::NonZeroUsize::MIN;
    let world = World::with(Options {
        partitions: one,
        ..Options::default()
    });
    let mut client = world.client();
    assert_eq!(client.run("MSET a 1 b 2"), "+OK");
    assert_eq!(client.run("MGET b a"), "*2 $1 2 $1 1");
    assert_eq!(client.run("SCAN 0 MATCH a"), "*2 $1 0 *1 $1 a");
}
