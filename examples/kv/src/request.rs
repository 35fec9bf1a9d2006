//! What a partition is asked to do.

use bytes::Bytes;

use crate::glob::Glob;

/// One piece of work for one partition, done in one go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Something about one key.
    Key(Bytes, Action),
    /// The strings of some keys: an array with a null for each that has none.
    GetAll(Vec<Bytes>),
    /// Sets some keys: `OK`.
    SetAll(Vec<(Bytes, Bytes)>),
    /// Takes keys away: how many were there.
    Delete(Vec<Bytes>),
    /// How many of these keys are there, repeats counted.
    Exists(Vec<Bytes>),
    /// How many keys there are.
    Count(Counted),
    /// Takes all keys away: `OK`.
    Flush,
    /// The keys that match a pattern.
    Keys(Glob),
    /// A few keys of an iteration: an array of the place to go on from (0 at
    /// the end) and the keys.
    Scan(Scan),
    /// Panics, to show what happens then.
    Crash(Bytes),
}

/// Which keys to count.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Counted {
    /// All of them.
    All,
    /// Those that will expire.
    Volatile,
}

/// Something about one key. The names are Redis's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// `GET`.
    Get,
    /// `SET` and its kin.
    Set(Set),
    /// `INCR`, `DECR`, `INCRBY`, `DECRBY`.
    IncrementBy(i64),
    /// `APPEND`.
    Append(Bytes),
    /// `STRLEN`.
    StringLength,
    /// `TYPE`.
    Type,
    /// `EXPIRE`, `PEXPIRE` and their kin.
    Expire(Expire),
    /// `TTL` and `PTTL`.
    TimeToLive(Unit),
    /// `PERSIST`.
    Persist,
    /// `LPUSH`, `RPUSH`.
    Push(End, Vec<Bytes>),
    /// `LPOP`, `RPOP`; without a count the answer is no array.
    Pop(End, Option<usize>),
    /// `LRANGE`, from one place to another, both counted from the end if negative.
    ListRange(i64, i64),
    /// `LLEN`.
    ListLength,
    /// `SADD`.
    SetAdd(Vec<Bytes>),
    /// `SREM`.
    SetRemove(Vec<Bytes>),
    /// `SMEMBERS`.
    SetMembers,
    /// `SISMEMBER`.
    SetContains(Bytes),
    /// `SPOP`; without a count the answer is no set.
    SetPop(Option<usize>),
    /// `SCARD`.
    SetLength,
    /// `HSET`.
    HashSet(Vec<(Bytes, Bytes)>),
    /// `HGET`.
    HashGet(Bytes),
    /// `HGETALL`.
    HashGetAll,
    /// `HDEL`.
    HashRemove(Vec<Bytes>),
    /// `HLEN`.
    HashLength,
}

/// An end of a list.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The head, where `LPUSH` pushes.
    Left,
    /// The tail, where `RPUSH` pushes.
    Right,
}

/// What a time is measured in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// What a time is counted from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Since {
    /// The moment at which the partition handles the request.
    Now,
    /// The beginning of 1970.
    Epoch,
}

/// A point in time as a client wrote it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// How many units.
    pub amount: i64,
    /// Of which length.
    pub unit: Unit,
    /// After what.
    pub since: Since,
}

/// A `SET`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// What to set the key to.
    pub value: Bytes,
    /// When to set it at all.
    pub condition: Option<Presence>,
    /// When the key shall expire.
    pub expiry: Expiry,
    /// What to answer.
    pub answer: SetAnswer,
    /// The command as error texts name it.
    pub command: &'static str,
}

/// When a key shall expire that is set.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// Never.
    Never,
    /// As it would have anyway.
    Kept,
    /// Then.
    At(Moment),
}

/// What a `SET` answers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SetAnswer {
    /// `OK`, or null if the condition did not hold.
    Done,
    /// 1, or 0 if the condition did not hold.
    Truth,
    /// The string that the key held before.
    Before,
}

/// Whether a key must be there or must not.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Presence {
    /// `NX`.
    Absent,
    /// `XX`.
    Present,
}

/// An `EXPIRE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expire {
    /// When the key shall expire.
    pub moment: Moment,
    /// What must hold for it.
    pub conditions: ExpireConditions,
    /// The command as error texts name it.
    pub command: &'static str,
}

/// What must hold for an `EXPIRE` to be done; `XX` goes with the other two.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct ExpireConditions {
    /// `NX`, `XX`: whether the key has a deadline now.
    pub has_deadline: Option<Presence>,
    /// `GT`, `LT`: how the new deadline compares with that of now.
    pub shift: Option<Shift>,
}

/// How a new deadline compares with the one before. No deadline is the latest.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shift {
    /// `GT`.
    Later,
    /// `LT`.
    Earlier,
}

/// One step of a `SCAN`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// How many places are still to be visited; 0 is the beginning, where all are.
    pub remaining: usize,
    /// How many to visit now.
    pub count: usize,
    /// Which keys to show.
    pub pattern: Option<Glob>,
    /// Of which type.
    pub type_name: Option<Bytes>,
}
