//! The replies of a real Redis, recorded once, against those of this server.

use kv::reply::Protocol;

use crate::session;
use crate::world::World;

fn compare_all(protocol: Protocol) {
    let world = World::new();
    let scripts = session::scripts();
    assert!(!scripts.is_empty());
    for script in scripts {
        let recorded = session::read(&session::recording(&script, protocol));
        assert!(!recorded.is_empty(), "{}", script.display());
        let live = session::record(world.server.address(), protocol, recorded.clone());
        if let Err(differences) = session::compare(&recorded, &live) {
            panic!("{}, {protocol:?}\n{differences}", script.display());
        }
    }
}

#[test]
fn replies_are_those_of_redis_in_resp2() {
    compare_all(Protocol::Resp2);
}

#[test]
fn replies_are_those_of_redis_in_resp3() {
    compare_all(Protocol::Resp3);
}

#[test]
fn recordings_are_of_the_scripts_as_they_are() {
    for script in session::scripts() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let recording = session::recording(&script, protocol);
            let text = std::fs::read_to_string(&recording).unwrap();
            let recorded = session::read(&recording);
            assert_eq!(
                session::text_of(&recorded),
                text,
                "a recording is read as it is written"
            );
            let sent: Vec<&str> = text
                .lines()
                .filter(|line| !line.starts_with("  |"))
                .collect();
            assert_eq!(
                sent.join("\n") + "\n",
                std::fs::read_to_string(&script).unwrap()
            );
        }
    }
}
