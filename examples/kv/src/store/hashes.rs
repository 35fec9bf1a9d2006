//! Hashes.

use bytes::Bytes;

use super::Outcome;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::time::UnixTime;
use crate::value::{Hash, kept};

pub(super) fn set(
    keys: &mut Keyspace,
    key: &Bytes,
    fields: &[(Bytes, Bytes)],
    now: UnixTime,
) -> Outcome {
    let hash = keys.find_or_create::<Hash>(key, now)?;
    let before = hash.len();
    for (field, value) in fields {
        match hash.get_mut(field) {
            Some(current) => *current = kept(value),
            None => {
                hash.insert(kept(field), kept(value));
            }
        }
    }
    Ok(Reply::length(hash.len() - before))
}

pub(super) fn get(keys: &mut Keyspace, key: &Bytes, field: &Bytes, now: UnixTime) -> Outcome {
    let value = keys
        .find::<Hash>(key, now)?
        .and_then(|hash| hash.get(field));
    Ok(value.cloned().map_or(Reply::Null, Reply::Bulk))
}

pub(super) fn get_all(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    let fields = keys.find::<Hash>(key, now)?.into_iter().flatten();
    let pairs =
        fields.map(|(field, value)| (Reply::Bulk(field.clone()), Reply::Bulk(value.clone())));
    Ok(Reply::Map(pairs.collect()))
}

pub(super) fn remove(keys: &mut Keyspace, key: &Bytes, fields: &[Bytes], now: UnixTime) -> Outcome {
    let Some(hash) = keys.find_mut::<Hash>(key, now)? else {
        return Ok(Reply::length(0));
    };
    let removed = fields
        .iter()
        .filter(|field| hash.swap_remove(*field).is_some())
        .count();
    keys.bury_if_hollow(key);
    Ok(Reply::length(removed))
}

pub(super) fn length(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    Ok(Reply::length(
        keys.find::<Hash>(key, now)?.map_or(0, Hash::len),
    ))
}
