//! The options of those commands that have some.

use bytes::Bytes;

use super::{Arguments, Command, DataCommand, SessionCommand};
use crate::error::Error;
use crate::glob::Glob;
use crate::reply::Reply;
use crate::request::{
    Action, End, Expire, ExpireConditions, Expiry, Moment, Presence, Scan, Set, SetAnswer, Shift,
    Since, Unit,
};
use crate::value::parse_integer;

type Parsed = Result<Command, Error>;

/// A command about the key that is its first argument.
pub(super) fn on_key(
    mut words: Arguments,
    action: impl FnOnce(Arguments) -> Result<Action, Error>,
) -> Parsed {
    let key = words.word()?;
    data(DataCommand::Key(key, action(words)?))
}

/// As [`on_key`], where there is nothing else to read.
pub(super) fn on_key_only(words: Arguments, action: Action) -> Parsed {
    on_key(words, |_| Ok(action))
}

pub(super) fn session(command: SessionCommand) -> Parsed {
    Ok(Command::Session(command))
}

pub(super) fn data(command: DataCommand) -> Parsed {
    Ok(Command::Data(command))
}

pub(super) fn set(mut words: Arguments) -> Result<Action, Error> {
    let mut set = plain_set(words.word()?, words.command);
    // Redis reads all options before it looks at the time. The same option may
    // come twice.
    let mut time: Option<((Unit, Since), Bytes)> = None;
    while let Some(option) = words.option() {
        match (&option[..], set.condition, expiry_option(&option)) {
            (b"NX", None | Some(Presence::Absent), _) => set.condition = Some(Presence::Absent),
            (b"XX", None | Some(Presence::Present), _) => set.condition = Some(Presence::Present),
            (b"GET", _, _) => set.answer = SetAnswer::Before,
            (b"KEEPTTL", _, _) if time.is_none() => set.expiry = Expiry::Kept,
            (_, _, Some(kind))
                if set.expiry == Expiry::Never
                    && time.as_ref().is_none_or(|(first, _)| *first == kind) =>
            {
                time = Some((kind, words.word()?));
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    if let Some(((unit, since), amount)) = time {
        let amount = parse_integer(&amount).ok_or(Error::NOT_AN_INTEGER)?;
        set.expiry = Expiry::At(Moment {
            amount,
            unit,
            since,
        });
    }
    Ok(Action::Set(set))
}

fn expiry_option(option: &[u8]) -> Option<(Unit, Since)> {
    match option {
        b"EX" => Some((Unit::Seconds, Since::Now)),
        b"PX" => Some((Unit::Milliseconds, Since::Now)),
        b"EXAT" => Some((Unit::Seconds, Since::Epoch)),
        b"PXAT" => Some((Unit::Milliseconds, Since::Epoch)),
        _ => None,
    }
}

/// `SETEX` and `PSETEX`: first the time, then the value.
pub(super) fn set_expiring(mut words: Arguments, unit: Unit) -> Result<Action, Error> {
    let amount = words.integer();
    let mut set = plain_set(words.word()?, words.command);
    set.expiry = Expiry::At(Moment {
        amount: amount?,
        unit,
        since: Since::Now,
    });
    Ok(Action::Set(set))
}

pub(super) fn set_if_absent(mut words: Arguments) -> Result<Action, Error> {
    let mut set = plain_set(words.word()?, words.command);
    set.condition = Some(Presence::Absent);
    set.answer = SetAnswer::Truth;
    Ok(Action::Set(set))
}

pub(super) fn set_and_get(mut words: Arguments) -> Result<Action, Error> {
    let mut set = plain_set(words.word()?, words.command);
    set.answer = SetAnswer::Before;
    Ok(Action::Set(set))
}

fn plain_set(value: Bytes, command: &'static str) -> Set {
    let (condition, expiry, answer) = (None, Expiry::Never, SetAnswer::Done);
    Set {
        value,
        condition,
        expiry,
        answer,
        command,
    }
}

pub(super) fn increment(mut words: Arguments) -> Result<Action, Error> {
    words.integer().map(Action::IncrementBy)
}

pub(super) fn decrement(mut words: Arguments) -> Result<Action, Error> {
    let amount = words
        .integer()?
        .checked_neg()
        .ok_or(Error::DECREMENT_OVERFLOW)?;
    Ok(Action::IncrementBy(amount))
}

pub(super) fn expire(mut words: Arguments, unit: Unit, since: Since) -> Result<Action, Error> {
    let (amount, command) = (words.word()?, words.command);
    let conditions = expire_conditions(words)?;
    let amount = parse_integer(&amount).ok_or(Error::NOT_AN_INTEGER)?;
    Ok(Action::Expire(Expire {
        moment: Moment {
            amount,
            unit,
            since,
        },
        conditions,
        command,
    }))
}

fn expire_conditions(words: Arguments) -> Result<ExpireConditions, Error> {
    let [mut nx, mut xx, mut gt, mut lt] = [false; 4];
    for option in words.rest {
        match &option.to_ascii_uppercase()[..] {
            b"NX" => nx = true,
            b"XX" => xx = true,
            b"GT" => gt = true,
            b"LT" => lt = true,
            _ => return Err(Error::unsupported_option(&option)),
        }
    }
    match (nx, xx || gt || lt, gt && lt) {
        (true, true, _) => return Err(Error::NX_NOT_ALONE),
        (_, _, true) => return Err(Error::GT_WITH_LT),
        (_, _, false) => {}
    }
    let has_deadline = if nx {
        Some(Presence::Absent)
    } else {
        xx.then_some(Presence::Present)
    };
    let shift = if gt {
        Some(Shift::Later)
    } else {
        lt.then_some(Shift::Earlier)
    };
    Ok(ExpireConditions {
        has_deadline,
        shift,
    })
}

pub(super) fn pop(mut words: Arguments, end: End) -> Result<Action, Error> {
    if words.rest.len() > 1 {
        return Err(Error::wrong_arity(words.command));
    }
    words.count().map(|count| Action::Pop(end, count))
}

pub(super) fn set_pop(mut words: Arguments) -> Result<Action, Error> {
    if words.rest.len() > 1 {
        return Err(Error::SYNTAX);
    }
    words.count().map(Action::SetPop)
}

pub(super) fn list_range(mut words: Arguments) -> Result<Action, Error> {
    Ok(Action::ListRange(words.integer()?, words.integer()?))
}

pub(super) fn flush(mut words: Arguments) -> Parsed {
    match words.option().as_deref() {
        None | Some(b"ASYNC" | b"SYNC") if words.rest.len() == 0 => data(DataCommand::Flush),
        None | Some(_) => Err(Error::SYNTAX),
    }
}

pub(super) fn scan(mut words: Arguments) -> Parsed {
    const DEFAULT_COUNT: usize = 10;
    let cursor = std::str::from_utf8(&words.word()?)
        .ok()
        .and_then(|word| word.parse().ok());
    let cursor = cursor.ok_or(Error::INVALID_CURSOR)?;
    let mut scan = Scan {
        remaining: 0,
        count: DEFAULT_COUNT,
        pattern: None,
        type_name: None,
    };
    while let Some(option) = words.option() {
        match &option[..] {
            b"COUNT" => scan.count = positive(words.integer()?)?,
            b"MATCH" => scan.pattern = Some(Glob::new(&words.word()?)),
            b"TYPE" => scan.type_name = Some(words.word()?),
            _ => return Err(Error::SYNTAX),
        }
    }
    data(DataCommand::Scan(cursor, scan))
}

fn positive(count: i64) -> Result<usize, Error> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or(Error::SYNTAX)
}

pub(super) fn ping(mut words: Arguments) -> Parsed {
    if words.rest.len() > 1 {
        return Err(Error::wrong_arity(words.command));
    }
    session(SessionCommand::Ping(words.rest.next()))
}

pub(super) fn auth(mut words: Arguments) -> Parsed {
    let first = words.word()?;
    match words.rest.len() {
        0 => session(SessionCommand::AuthPassword),
        1 => session(SessionCommand::AuthUser(first)),
        _ => Err(Error::SYNTAX),
    }
}

pub(super) fn select(mut words: Arguments) -> Parsed {
    let index = i32::try_from(words.integer()?).map_err(|_| Error::NOT_32_BITS)?;
    session(SessionCommand::Select(index))
}

/// `ON` or `OFF`, which is all the same to this server.
pub(super) fn switch(mut words: Arguments) -> Parsed {
    match words.option().as_deref() {
        Some(b"ON" | b"OFF") => session(SessionCommand::Nod),
        Some(_) | None => Err(Error::SYNTAX),
    }
}

pub(super) fn config_get(words: Arguments) -> Parsed {
    let patterns = words.rest.map(|word| Glob::new(&word.to_ascii_lowercase()));
    session(SessionCommand::ConfigGet(patterns.collect()))
}

pub(super) fn config_set(words: Arguments) -> Parsed {
    let command = words.command;
    match words.pairs()?.into_iter().next() {
        Some((parameter, _)) => session(SessionCommand::ConfigSet(parameter)),
        None => Err(Error::wrong_arity(command)),
    }
}

/// `COMMAND INFO` and `COMMAND DOCS`, of the commands named or of all.
pub(super) fn described(words: Arguments, describe: fn(&[Bytes]) -> Reply) -> Parsed {
    session(SessionCommand::Described(describe(&words.words())))
}
