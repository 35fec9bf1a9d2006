//! Strings, and strings that are numbers.

use bytes::{Bytes, BytesMut};

use super::{Outcome, expiry};
use crate::error::Error;
use crate::keyspace::Keyspace;
use crate::protocol::MAX_BULK;
use crate::reply::Reply;
use crate::request::{Expiry, Presence, Set, SetAnswer};
use crate::time::UnixTime;
use crate::value::{Value, kept, parse_integer};

pub(super) fn get(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    let value = keys.find::<Bytes>(key, now)?;
    Ok(value.cloned().map_or(Reply::Null, Reply::Bulk))
}

pub(super) fn get_all(keys: &mut Keyspace, wanted: &[Bytes], now: UnixTime) -> Reply {
    // A key of another type counts as one that is not there.
    let found = wanted
        .iter()
        .map(|key| get(keys, key, now).unwrap_or(Reply::Null));
    Reply::Array(found.collect())
}

pub(super) fn set_all(keys: &mut Keyspace, pairs: &[(Bytes, Bytes)]) -> Reply {
    for (key, value) in pairs {
        keys.put(key, Value::String(kept(value)), None);
    }
    Reply::ok()
}

pub(super) fn set(keys: &mut Keyspace, key: &Bytes, set: &Set, now: UnixTime) -> Outcome {
    let deadline = match set.expiry {
        Expiry::Never => None,
        Expiry::Kept => keys.deadline(key, now).flatten(),
        Expiry::At(moment) => {
            if moment.amount <= 0 {
                return Err(Error::invalid_expire_time(set.command));
            }
            Some(expiry::resolve(moment, set.command, now)?)
        }
    };
    let before = match set.answer {
        SetAnswer::Before => get(keys, key, now)?,
        SetAnswer::Done | SetAnswer::Truth => Reply::Null,
    };
    let presence = match keys.get(key, now) {
        Some(_) => Presence::Present,
        None => Presence::Absent,
    };
    let allowed = set.condition.is_none_or(|condition| condition == presence);
    if allowed {
        keys.put(key, Value::String(kept(&set.value)), deadline);
    }
    Ok(match (set.answer, allowed) {
        (SetAnswer::Before, _) => before,
        (SetAnswer::Done, true) => Reply::ok(),
        (SetAnswer::Done, false) => Reply::Null,
        (SetAnswer::Truth, allowed) => Reply::truth(allowed),
    })
}

pub(super) fn increment(keys: &mut Keyspace, key: &Bytes, amount: i64, now: UnixTime) -> Outcome {
    let before = match keys.find::<Bytes>(key, now)? {
        Some(text) => parse_integer(text).ok_or(Error::NOT_AN_INTEGER)?,
        None => 0,
    };
    let after = before.checked_add(amount).ok_or(Error::OVERFLOW)?;
    *keys.find_or_create::<Bytes>(key, now)? = after.to_string().into();
    Ok(Reply::Integer(after))
}

pub(super) fn append(keys: &mut Keyspace, key: &Bytes, suffix: &Bytes, now: UnixTime) -> Outcome {
    let length = keys.find::<Bytes>(key, now)?.map_or(0, Bytes::len) + suffix.len();
    if length > MAX_BULK {
        return Err(Error::STRING_TOO_LONG);
    }
    let value = keys.find_or_create::<Bytes>(key, now)?;
    let mut longer = writable(std::mem::take(value));
    longer.extend_from_slice(suffix);
    *value = longer.freeze();
    Ok(Reply::length(length))
}

pub(super) fn length(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Outcome {
    Ok(Reply::length(
        keys.find::<Bytes>(key, now)?.map_or(0, Bytes::len),
    ))
}

/// The same bytes to write to, in place unless a reply on its way shares them.
fn writable(bytes: Bytes) -> BytesMut {
    bytes
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}
