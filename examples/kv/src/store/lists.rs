//! Lists.

use bytes::Bytes;

use super::Outcome;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::request::End;
use crate::time::UnixTime;
use crate::value::{List, kept};

pub(super) fn push(
    keys: &mut Keyspace,
    key: &Bytes,
    end: End,
    values: &[Bytes],
    now: UnixTime,
) -> Outcome {
    let list = keys.find_or_create::<List>(key, now)?;
    for value in values.iter().map(kept) {
        match end {
            End::Left => list.push_front(value),
            End::Right => list.push_back(value),
        }
    }
    Ok(Reply::length(list.len()))
}

pub(super) fn pop(
    keys: &mut Keyspace,
    key: &Bytes,
    end: End,
    count: Option<usize>,
    now: UnixTime,
) -> Outcome {
    let reply = match (keys.find_mut::<List>(key, now)?, count) {
        (None, None) => Reply::Null,
        (None, Some(_)) => Reply::NullArray,
        (Some(list), None) => pop_one(list, end).map_or(Reply::Null, Reply::Bulk),
        (Some(list), Some(count)) => {
            let count = count.min(list.len());
            Reply::strings((0..count).filter_map(|_| pop_one(list, end)))
        }
    };
    keys.bury_if_hollow(key);
    Ok(reply)
}

fn pop_one(list: &mut List, end: End) -> Option<Bytes> {
    match end {
        End::Left => list.pop_front(),
        End::Right => list.pop_back(),
    }
}

pub(super) fn range(
    keys: &mut Keyspace,
    key: &Bytes,
    from: i64,
    to: i64,
    now: UnixTime,
) -> Outcome {
    let Some(list) = keys.find::<List>(key, now)? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let start = before(from, list.len());
    let end = before(to.saturating_add(1), list.len());
    // Behind the last place, -1, comes the end of the list, not its beginning.
    let end = if to == -1 { list.len() } else { end };
    Ok(Reply::strings(list.range(start.min(end)..end).cloned()))
}

/// How many elements stand before `index`, which counts from the end if negative.
fn before(index: i64, length: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 {
        length.saturating_sub(distance)
    } else {
        distance.min(length)
    }
}

pub(super) fn length(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    Ok(Reply::length(
        keys.find::<List>(key, now)?.map_or(0, List::len),
    ))
}
