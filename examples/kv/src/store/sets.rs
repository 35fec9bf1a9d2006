//! Sets.

use bytes::Bytes;
use fastrand::Rng;

use super::Outcome;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::time::UnixTime;
use crate::value::{Set, kept};

pub(super) fn add(keys: &mut Keyspace, key: &Bytes, members: &[Bytes], now: UnixTime) -> Outcome {
    let set = keys.find_or_create::<Set>(key, now)?;
    let before = set.len();
    for member in members {
        if !set.contains(member) {
            set.insert(kept(member));
        }
    }
    Ok(Reply::length(set.len() - before))
}

pub(super) fn remove(
    keys: &mut Keyspace,
    key: &Bytes,
    members: &[Bytes],
    now: UnixTime,
) -> Outcome {
    let Some(set) = keys.find_mut::<Set>(key, now)? else {
        return Ok(Reply::length(0));
    };
    let removed = members
        .iter()
        .filter(|member| set.swap_remove(*member))
        .count();
    keys.bury_if_hollow(key);
    Ok(Reply::length(removed))
}

pub(super) fn members(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    let members = keys.find::<Set>(key, now)?.into_iter().flatten().cloned();
    Ok(Reply::Set(members.map(Reply::Bulk).collect()))
}

pub(super) fn contains(keys: &mut Keyspace, key: &Bytes, member: &Bytes, now: UnixTime) -> Outcome {
    Ok(Reply::truth(
        keys.find::<Set>(key, now)?
            .is_some_and(|set| set.contains(member)),
    ))
}

pub(super) fn pop(
    keys: &mut Keyspace,
    key: &Bytes,
    count: Option<usize>,
    random: &mut Rng,
    now: UnixTime,
) -> Outcome {
    let reply = match (keys.find_mut::<Set>(key, now)?, count) {
        (None, None) => Reply::Null,
        (None, Some(_)) => Reply::Set(Vec::new()),
        (Some(set), None) => pop_one(set, random).map_or(Reply::Null, Reply::Bulk),
        (Some(set), Some(count)) => {
            let count = count.min(set.len());
            let picked = (0..count).filter_map(|_| pop_one(set, random));
            Reply::Set(picked.map(Reply::Bulk).collect())
        }
    };
    keys.bury_if_hollow(key);
    Ok(reply)
}

fn pop_one(set: &mut Set, random: &mut Rng) -> Option<Bytes> {
    if set.is_empty() {
        None
    } else {
        set.swap_remove_index(random.usize(..set.len()))
    }
}

pub(super) fn length(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    Ok(Reply::length(
        keys.find::<Set>(key, now)?.map_or(0, Set::len),
    ))
}
