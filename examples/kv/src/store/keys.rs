//! Keys, whatever they hold.

use bytes::Bytes;

use crate::glob::Glob;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::request::{Counted, Scan};
use crate::time::UnixTime;
use crate::value::Value;

pub(super) fn type_of(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Reply {
    Reply::status(keys.get(key, now).map_or("none", Value::type_name))
}

pub(super) fn delete(keys: &mut Keyspace, doomed: &[Bytes], now: UnixTime) -> Reply {
    Reply::length(doomed.iter().filter(|key| keys.remove(key, now)).count())
}

pub(super) fn exists(keys: &mut Keyspace, wanted: &[Bytes], now: UnixTime) -> Reply {
    Reply::length(
        wanted
            .iter()
            .filter(|key| keys.get(key, now).is_some())
            .count(),
    )
}

pub(super) fn count(keys: &Keyspace, counted: Counted) -> Reply {
    Reply::length(match counted {
        Counted::All => keys.len(),
        Counted::Volatile => keys.volatile_len(),
    })
}

pub(super) fn flush(keys: &mut Keyspace) -> Reply {
    keys.clear();
    Reply::ok()
}

pub(super) fn matching(keys: &Keyspace, pattern: &Glob, now: UnixTime) -> Reply {
    let names = keys.iter(now).map(|(key, _)| key);
    Reply::strings(names.filter(|key| pattern.matches(key)).cloned())
}

/// Visits the next places from the last to the first; [`Keyspace::slice`] says why.
pub(super) fn scan(keys: &Keyspace, scan: &Scan, now: UnixTime) -> Reply {
    let end = match scan.remaining {
        0 => keys.len(),
        remaining => remaining.min(keys.len()),
    };
    let start = end.saturating_sub(scan.count);
    let shown = keys
        .slice(start..end, now)
        .filter(|(key, value)| shows(scan, key, value));
    let names = Reply::strings(shown.map(|(key, _)| key.clone()));
    Reply::Array(vec![Reply::length(start), names])
}

fn shows(scan: &Scan, key: &[u8], value: &Value) -> bool {
    let right_name = scan
        .pattern
        .as_ref()
        .is_none_or(|pattern| pattern.matches(key));
    let is_type = |wanted: &Bytes| wanted.eq_ignore_ascii_case(value.type_name().as_bytes());
    right_name && scan.type_name.as_ref().is_none_or(is_type)
}
