//! What a crash of a partition does, and what it does not.

use kv::batch::partition_of;

use crate::world::World;

/// Keys that live in different partitions.
const DOOMED: &str = "doomed";
const SAFE: &str = "safe";

#[test]
fn crash_is_told_to_those_who_wait_and_nobody_is_cut_off() {
    let [doomed, safe] = [DOOMED, SAFE].map(|key| partition_of(key.as_bytes(), 16));
    assert_ne!(doomed, safe);
    let world = World::with_crashes();
    let [mut one, mut other] = [world.client(), world.client()];
    one.run("SET safe 1");
    let error = world.crash(&mut one, DOOMED);
    let beginning = format!("-ERR partition kv.partition.{doomed} gave no reply: ");
    assert!(error.starts_with(&beginning), "{error}");
    assert!(error.contains("DEBUG CRASH doomed at "), "{error}");
    for client in [&mut one, &mut other] {
        assert_eq!(client.run("GET safe"), "$1 1");
    }
}

#[test]
fn crashed_partition_comes_back_empty() {
    let world = World::with_crashes();
    let mut client = world.client();
    client.run("MSET doomed 1 safe 1");
    world.crash(&mut client, DOOMED);
    assert_eq!(client.run("MGET doomed safe"), "*2 $-1 $1 1");
    assert_eq!(client.run("SET doomed 2"), "+OK");
    assert_eq!(client.run("GET doomed"), "$1 2");
}

#[test]
fn commands_of_a_batch_behind_a_crash_are_answered_in_order() {
    let world = World::with_crashes();
    let mut client = world.client();
    let batch = b"SET safe 1\r\nDEBUG CRASH doomed\r\nGET doomed\r\nGET safe\r\nPING\r\n";
    let answer = String::from_utf8(client.exchange(batch)).unwrap();
    let replies: Vec<&str> = answer.split("\r\n").collect();
    assert_eq!(replies[0], "+OK");
    assert!(replies[1].starts_with("-ERR partition"), "{}", replies[1]);
    assert!(replies[2].starts_with("-ERR partition"), "{}", replies[2]);
    assert_eq!(replies[3..], ["$1", "1", "+PONG", ""]);
}

#[test]
fn many_crashes_do_not_end_the_server() {
    let world = World::with_crashes();
    let mut client = world.client();
    for number in 0..200 {
        world.crash(&mut client, &format!("key{number}"));
    }
    assert_eq!(client.run("DBSIZE"), ":0");
}

#[test]
fn crash_is_refused_unless_it_was_allowed() {
    let world = World::new();
    let mut client = world.client();
    client.run("SET safe 1");
    assert!(
        client
            .run("DEBUG CRASH safe")
            .starts_with("-ERR DEBUG command not allowed.")
    );
    assert_eq!(client.run("GET safe"), "$1 1");
}
