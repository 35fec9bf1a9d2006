//! One partition's keys, and what each request does to them.

mod expiry;
mod hashes;
mod keys;
mod lists;
mod sets;
mod strings;

use bytes::Bytes;
use fastrand::Rng;

use crate::error::Error;
use crate::keyspace::Keyspace;
use crate::reply::Reply;
use crate::request::{Action, Request};
use crate::time::UnixTime;

/// What most commands come to.
type Outcome = Result<Reply, Error>;

/// The keys of a partition. It knows no clock and makes no random numbers of
/// its own: the same requests at the same times give the same replies.
#[derive(Debug)]
pub struct Store {
    keys: Keyspace,
    // Picks the members that `SPOP` takes.
    random: Rng,
}

impl Store {
    /// A store without keys; `seed` decides what its random picks will be.
    pub fn new(seed: u64) -> Self {
        Self {
            keys: Keyspace::default(),
            random: Rng::with_seed(seed),
        }
    }

    /// Does what is asked, all of it or, where the reply is an error, nothing.
    ///
    /// # Panics
    ///
    /// [`Request::Crash`] asks for it.
    pub fn execute(&mut self, request: Request, now: UnixTime) -> Reply {
        match request {
            Request::Key(key, action) => self.act(&key, action, now).unwrap_or_else(Reply::Error),
            Request::GetAll(keys) => strings::get_all(&mut self.keys, &keys, now),
            Request::SetAll(pairs) => strings::set_all(&mut self.keys, &pairs),
            Request::Delete(keys) => keys::delete(&mut self.keys, &keys, now),
            Request::Exists(keys) => keys::exists(&mut self.keys, &keys, now),
            Request::Count(counted) => keys::count(&self.keys, counted),
            Request::Flush => keys::flush(&mut self.keys),
            Request::Keys(pattern) => keys::matching(&self.keys, &pattern, now),
            Request::Scan(scan) => keys::scan(&self.keys, &scan, now),
            Request::Crash(key) => panic!("DEBUG CRASH {}", key.escape_ascii()),
        }
    }

    /// Drops up to `limit` keys that have expired. Tells how many.
    pub fn sweep(&mut self, limit: usize, now: UnixTime) -> usize {
        self.keys.sweep(limit, now)
    }

    /// Whether any key will expire, so that sweeping makes sense.
    pub fn is_volatile(&self) -> bool {
        self.keys.volatile_len() > 0
    }

    fn act(&mut self, key: &Bytes, action: Action, now: UnixTime) -> Outcome {
        let keys = &mut self.keys;
        match action {
            Action::Get => strings::get(keys, key, now),
            Action::Set(set) => strings::set(keys, key, &set, now),
            Action::IncrementBy(amount) => strings::increment(keys, key, amount, now),
            Action::Append(suffix) => strings::append(keys, key, &suffix, now),
            Action::StringLength => strings::length(keys, key, now),
            Action::Type => Ok(keys::type_of(keys, key, now)),
            Action::Expire(expire) => expiry::expire(keys, key, &expire, now),
            Action::TimeToLive(unit) => Ok(expiry::time_to_live(keys, key, unit, now)),
            Action::Persist => Ok(expiry::persist(keys, key, now)),
            Action::Push(end, values) => lists::push(keys, key, end, &values, now),
            Action::Pop(end, count) => lists::pop(keys, key, end, count, now),
            Action::ListRange(from, to) => lists::range(keys, key, from, to, now),
            Action::ListLength => lists::length(keys, key, now),
            Action::SetAdd(members) => sets::add(keys, key, &members, now),
            Action::SetRemove(members) => sets::remove(keys, key, &members, now),
            Action::SetMembers => sets::members(keys, key, now),
            Action::SetContains(member) => sets::contains(keys, key, &member, now),
            Action::SetPop(count) => sets::pop(keys, key, count, &mut self.random, now),
            Action::SetLength => sets::length(keys, key, now),
            Action::HashSet(fields) => hashes::set(keys, key, &fields, now),
            Action::HashGet(field) => hashes::get(keys, key, &field, now),
            Action::HashGetAll => hashes::get_all(keys, key, now),
            Action::HashRemove(fields) => hashes::remove(keys, key, &fields, now),
            Action::HashLength => hashes::length(keys, key, now),
        }
    }
}

#[cfg(test)]
mod tests;
