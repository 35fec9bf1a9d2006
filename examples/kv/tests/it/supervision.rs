//! What happens when processes other than partitions end, and to time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use kv::server::Options;
use resurgam::{ManualClock, Node};

use crate::world::World;

/// Kills a child of the root, and returns when it has been restarted.
fn kill_child(world: &World, id: &str) {
    let before = world.child(id);
    world.kill(before);
    assert_ne!(world.child(id), before);
}

#[test]
fn listener_comes_back_to_the_same_address() {
    let world = World::new();
    let mut before = world.client();
    before.run("SET k v");
    kill_child(&world, "listener");
    assert_eq!(world.client().run("GET k"), "$1 v");
    assert_eq!(before.run("GET k"), "$1 v", "the connections go on");
}

#[test]
fn connections_end_with_their_supervisor_and_keys_do_not() {
    let world = World::new();
    let mut client = world.client();
    client.run("SET k v");
    kill_child(&world, "connections");
    assert_eq!(client.run("GET k"), "EOF");
    assert_eq!(client.run("GET k"), "$1 v", "it has called again");
}

#[test]
fn connection_ends_alone() {
    let world = World::new();
    let mut clients = [world.client(), world.client()];
    for client in &mut clients {
        client.run("PING");
    }
    let connections = world.connections();
    assert_eq!(connections.len(), 2);
    world.kill(connections[0]);
    let replies = clients.each_mut().map(|client| client.run("PING"));
    assert_eq!(
        replies.iter().filter(|reply| *reply == "+PONG").count(),
        1,
        "{replies:?}"
    );
}

#[test]
fn client_that_leaves_leaves_no_process() {
    let world = World::new();
    let mut client = world.client();
    client.run("PING");
    let ends = world
        .connections()
        .into_iter()
        .map(|pid| world.node.join(pid));
    let ends: Vec<_> = ends.collect();
    drop(client);
    for end in ends {
        assert!(world.node.block_on(end).is_normal());
    }
    assert_eq!(world.connections(), []);
}

#[test]
fn server_stops_with_clients_connected() {
    let world = World::new();
    let mut client = TcpStream::connect(world.server.address()).unwrap();
    client.write_all(b"SET k v EX 100\r\n").unwrap();
    client.read_exact(&mut [0; b"+OK\r\n".len()]).unwrap();
    world.node.block_on(world.server.stop()).unwrap();
    assert_eq!(world.node.process_count(), 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the end of the stream");
}

#[test]
fn expired_keys_are_swept_by_the_clock_of_the_node() {
    let clock = ManualClock::new();
    let node = Node::builder().clock(clock.clone()).start().unwrap();
    let world = World::on(node, Options::default());
    let mut client = world.client();

    client.run("MSET a 1 b 2");
    client.run("PEXPIRE a 1000");
    clock.advance(Duration::from_millis(999));
    assert_eq!(client.run("PTTL a"), ":1");
    clock.advance(Duration::from_millis(1));
    assert_eq!(client.run("GET a"), "$-1", "gone for whoever asks");

    client.run("SET c 3 PX 500");
    clock.advance(Duration::from_millis(600));
    assert_eq!(client.run("DBSIZE"), ":1", "and gone though nobody asked");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(client.run("TTL b"), ":-1");
    assert_eq!(clock.armed(), 0, "nothing wakes up when nothing can expire");
}
