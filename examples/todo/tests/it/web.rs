//! The web front, over TCP.

use std::collections::BTreeSet;

use todo::entry::Entry;

use crate::world::World;
use crate::{entry, id};

const BOB: &str = "/lists/Bob's%20list/entries";

fn read(body: &str) -> Entry {
    serde_json::from_str(body).expect("an entry")
}

#[test]
fn an_entry_is_added_found_replaced_and_removed() {
    let world = World::new();
    assert_eq!(world.entries(BOB), []);
    let added = world.ask("POST", BOB, r#"{"date":"2026-11-22","title":"milk"}"#);
    assert_eq!(added.status, 201, "{added:?}");
    assert!(added.head.contains("content-type: application/json"));
    let milk = read(&added.body);
    assert_eq!(milk.title, "milk");
    assert_eq!(world.entries(BOB), std::slice::from_ref(&milk));

    let path = format!("{BOB}/{}", milk.id);
    let put = world.ask("PUT", &path, r#"{"date":"2026-11-23","title":"cream"}"#);
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(read(&put.body).id, milk.id);
    assert_eq!(world.entries(BOB), [read(&put.body)]);

    for _ in 0..2 {
        let removed = world.ask("DELETE", &path, "");
        assert_eq!((removed.status, removed.body.as_str()), (204, ""));
        assert_eq!(world.entries(BOB), []);
    }
}

#[test]
fn the_entries_of_a_day_can_be_asked_for() {
    let world = World::new();
    for (name, date) in [("1", "2026-11-22"), ("2", "2026-11-23")] {
        let body = format!(r#"{{"date":"{date}","title":"to do: {name}"}}"#);
        let put = world.ask("PUT", &format!("{BOB}/{name}"), &body);
        assert_eq!(put.status, 200, "{put:?}");
    }
    assert_eq!(
        world.entries(&format!("{BOB}?date=2026-11-22")),
        [entry("1")]
    );
    assert_eq!(world.entries(&format!("{BOB}?date=2026-11-24")), []);
    assert_eq!(world.entries(BOB).len(), 2);
    assert_eq!(world.entries("/lists/Eve/entries"), []);
}

#[test]
fn an_entry_added_twice_is_there_once_and_its_id_is_its_own() {
    let world = World::new();
    let body = serde_json::to_string(&entry("1")).expect("words");
    for _ in 0..2 {
        assert_eq!(world.ask("POST", BOB, &body).status, 201);
    }
    assert_eq!(world.entries(BOB), [entry("1")]);
    let mut other = entry("2");
    other.id = id("1");
    let body = serde_json::to_string(&other).expect("words");
    let refused = world.ask("POST", BOB, &body);
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(world.entries(BOB), [entry("1")]);
}

#[test]
fn ids_that_are_given_differ() {
    let world = World::new();
    let body = r#"{"date":"2026-11-22","title":"milk"}"#;
    let ids: BTreeSet<_> = (0..8)
        .map(|_| read(&world.ask("POST", BOB, body).body).id)
        .collect();
    assert_eq!(ids.len(), 8);
}

#[test]
fn what_cannot_be_is_refused_and_said_why() {
    let world = World::new();
    let long = format!(
        r#"{{"date":"2026-11-22","title":"{}"}}"#,
        "x".repeat(65_536)
    );
    for (method, path, body, status, why) in [
        ("GET", "/", "", 404, "nothing here"),
        ("PATCH", BOB, "", 405, "GET, POST"),
        ("GET", "/lists/Bob/entries?date=today", "", 400, "today"),
        ("POST", BOB, "milk", 400, "expected value"),
        ("POST", BOB, r#"{"title":"milk"}"#, 400, "date"),
        (
            "POST",
            BOB,
            r#"{"date":"2026-02-30","title":"milk"}"#,
            400,
            "2026-02-30",
        ),
        ("POST", BOB, &long, 413, "length limit"),
    ] {
        let refused = world.ask(method, path, body);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body.contains(why), "{refused:?}");
    }
    assert!(
        world
            .ask("PATCH", BOB, "")
            .head
            .contains("allow: get, post")
    );
    assert_eq!(world.entries(BOB), []);
}
