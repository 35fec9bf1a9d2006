use std::collections::HashSet;

use super::*;

const START: UnixTime = UnixTime(1_000);

fn later(milliseconds: i64) -> UnixTime {
    UnixTime(START.0 + milliseconds)
}

fn key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn value() -> Value {
    Value::String(Bytes::from_static(b"v"))
}

fn with_deadlines(deadlines: &[(&str, i64)]) -> Keyspace {
    let mut keys = Keyspace::default();
    for (name, after) in deadlines {
        keys.put(&key(name), value(), Some(later(*after)));
    }
    keys
}

#[test]
fn key_is_gone_from_its_deadline_on() {
    let mut keys = with_deadlines(&[("a", 10)]);
    assert!(keys.get(b"a", later(9)).is_some());
    assert!(keys.get(b"a", later(10)).is_none());
    assert_eq!((keys.len(), keys.volatile_len()), (0, 0));
}

#[test]
fn new_deadline_takes_the_place_of_the_old_one() {
    let mut keys = with_deadlines(&[("a", 10)]);
    keys.set_deadline(b"a", Some(later(20)));
    assert_eq!(keys.sweep(10, later(15)), 0);
    keys.set_deadline(b"a", None);
    assert_eq!(keys.sweep(10, later(99)), 0);
    assert_eq!(keys.volatile_len(), 0);
}

#[test]
fn removing_a_key_that_is_over_removes_nothing() {
    let mut keys = with_deadlines(&[("a", 10)]);
    assert!(!keys.remove(b"a", later(10)));
}

#[test]
fn sweep_drops_the_oldest_first_and_keeps_to_its_limit() {
    let mut keys = with_deadlines(&[("a", 30), ("b", 10), ("c", 20), ("d", 90)]);
    assert_eq!(keys.sweep(2, later(30)), 2);
    assert!(keys.get(b"a", later(29)).is_some());
    assert_eq!(keys.sweep(2, later(30)), 1);
    assert_eq!((keys.len(), keys.volatile_len()), (1, 1));
}

#[test]
fn asking_for_another_type_is_an_error_and_changes_nothing() {
    let mut keys = with_deadlines(&[("a", 10)]);
    assert_eq!(
        keys.find::<crate::value::List>(b"a", START),
        Err(Error::WRONG_TYPE)
    );
    assert_eq!(
        keys.find_or_create::<crate::value::Set>(&key("a"), START),
        Err(Error::WRONG_TYPE)
    );
    assert_eq!(
        keys.find::<Bytes>(b"a", START),
        Ok(Some(&Bytes::from_static(b"v")))
    );
}

#[test]
fn visiting_places_from_the_last_misses_no_key_that_stays() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let mut keys = Keyspace::default();
        let mut staying: HashSet<Bytes> = HashSet::new();
        for number in 0..30 {
            keys.put(&key(&format!("{number}")), value(), None);
            staying.insert(key(&format!("{number}")));
        }
        let mut seen = HashSet::new();
        let mut remaining = keys.len();
        while remaining > 0 {
            let start = remaining.saturating_sub(4);
            seen.extend(
                keys.slice(start..remaining, START)
                    .map(|(key, _)| key.clone()),
            );
            let gone = key(&format!("{}", random.u8(..30)));
            keys.remove(&gone, START);
            staying.remove(&gone);
            keys.put(&key(&format!("new {}", random.u8(..30))), value(), None);
            remaining = start.min(keys.len());
        }
        assert!(staying.is_subset(&seen));
    }
}
