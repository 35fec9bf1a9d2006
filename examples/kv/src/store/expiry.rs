//! When keys expire.

use bytes::Bytes;

use super::Outcome;
use crate::error::Error;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::request::{Expire, ExpireConditions, Moment, Presence, Shift, Since, Unit};
use crate::time::UnixTime;

/// The date that a client's moment means.
pub(super) fn resolve(moment: Moment, command: &str, now: UnixTime) -> Result<UnixTime, Error> {
    let factor = match moment.unit {
        Unit::Seconds => 1000,
        Unit::Milliseconds => 1,
    };
    let base = match moment.since {
        Since::Now => now.0,
        Since::Epoch => 0,
    };
    let milliseconds = moment
        .amount
        .checked_mul(factor)
        .and_then(|time| time.checked_add(base));
    milliseconds
        .map(UnixTime)
        .ok_or_else(|| Error::invalid_expire_time(command))
}

pub(super) fn expire(keys: &mut Keyspace, key: &Bytes, expire: &Expire, now: UnixTime) -> Outcome {
    let after = resolve(expire.moment, expire.command, now)?;
    let Some(before) = keys.deadline(key, now) else {
        return Ok(Reply::truth(false));
    };
    let allowed = are_met(expire.conditions, before, after);
    if allowed && after <= now {
        keys.remove(key, now);
    } else if allowed {
        keys.set_deadline(key, Some(after));
    }
    Ok(Reply::truth(allowed))
}

fn are_met(conditions: ExpireConditions, before: Option<UnixTime>, after: UnixTime) -> bool {
    let presence_is_right = match conditions.has_deadline {
        Some(Presence::Absent) => before.is_none(),
        Some(Presence::Present) => before.is_some(),
        None => true,
    };
    let shift_is_right = match conditions.shift {
        Some(Shift::Later) => before.is_some_and(|before| after > before),
        Some(Shift::Earlier) => before.is_none_or(|before| after < before),
        None => true,
    };
    presence_is_right && shift_is_right
}

pub(super) fn time_to_live(keys: &mut Keyspace, key: &Bytes, unit: Unit, now: UnixTime) -> Reply {
    const NO_KEY: i64 = -2;
    const NO_DEADLINE: i64 = -1;
    Reply::Integer(match (keys.deadline(key, now), unit) {
        (None, _) => NO_KEY,
        (Some(None), _) => NO_DEADLINE,
        (Some(Some(deadline)), Unit::Milliseconds) => now.until(deadline),
        // Redis rounds to the nearest second.
        (Some(Some(deadline)), Unit::Seconds) => now.until(deadline).saturating_add(500) / 1000,
    })
}

pub(super) fn persist(keys: &mut Keyspace, key: &Bytes, now: UnixTime) -> Reply {
    let had_deadline = keys.deadline(key, now).flatten().is_some();
    keys.set_deadline(key, None);
    Reply::truth(had_deadline)
}
