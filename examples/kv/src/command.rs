//! From the words of a command to what it asks for.

mod describe;
mod parse;
mod table;

use bytes::Bytes;

use crate::error::Error;
use crate::glob::Glob;
use crate::protocol::Words;
use crate::reply::Reply;
use crate::request::{Action, Scan};
use crate::value::parse_integer;

/// A command that is well-formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Something about the connection, which it answers itself.
    Session(SessionCommand),
    /// Something about keys, for the partitions that hold them.
    Data(DataCommand),
}

/// A command about keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataCommand {
    /// Something about one key.
    Key(Bytes, Action),
    /// `MGET`.
    GetAll(Vec<Bytes>),
    /// `MSET`.
    SetAll(Vec<(Bytes, Bytes)>),
    /// `DEL`, `UNLINK`.
    Delete(Vec<Bytes>),
    /// `EXISTS`.
    Exists(Vec<Bytes>),
    /// `DBSIZE`.
    Count,
    /// `FLUSHDB`, `FLUSHALL`.
    Flush,
    /// `KEYS`.
    Keys(Glob),
    /// `SCAN`, with its cursor. The place in the scan is not filled in yet.
    Scan(u64, Scan),
    /// `DEBUG CRASH`, with a key of the partition that shall panic.
    Crash(Bytes),
}

/// A command about the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionCommand {
    /// `PING`, with or without something to send back.
    Ping(Option<Bytes>),
    /// `ECHO`.
    Echo(Bytes),
    /// `HELLO`, with what follows it.
    Hello(Vec<Bytes>),
    /// `AUTH password`.
    AuthPassword,
    /// `AUTH user password`.
    AuthUser(Bytes),
    /// `SELECT`.
    Select(i32),
    /// `QUIT`.
    Quit,
    /// `RESET`.
    Reset,
    /// `CLIENT ID`.
    ClientId,
    /// `CLIENT INFO`.
    ClientInfo,
    /// `CLIENT GETNAME`.
    ClientGetName,
    /// `CLIENT SETNAME`.
    ClientSetName(Bytes),
    /// `INFO`, with the sections it shall show. Its end is about keys.
    Info(Vec<Bytes>),
    /// What is accepted and changes nothing here.
    Nod,
    /// `CONFIG GET`, with the patterns of what it asks for.
    ConfigGet(Vec<Glob>),
    /// `CONFIG SET`, with what it would set first.
    ConfigSet(Bytes),
    /// `COMMAND` and its subcommands: all that can be said before the table.
    Described(Reply),
}

/// Whether this server lets its clients break it.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub enum DebugAccess {
    /// `DEBUG` is refused, as Redis does unless told otherwise.
    #[default]
    Refused,
    /// `DEBUG CRASH key` panics the partition of the key.
    Allowed,
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    ///
    /// What Redis answers to a command that it cannot make sense of.
    pub fn read(mut words: Words, debug: DebugAccess) -> Result<Self, Error> {
        let Some(row) = words.first().and_then(|name| table::find(name)) else {
            let name = words.first().cloned().unwrap_or_default();
            return Err(Error::unknown_command(
                &name,
                words.get(1..).unwrap_or_default(),
            ));
        };
        row.check_arity(words.len())?;
        if row.name == "debug" && debug == DebugAccess::Refused {
            return Err(Error::DEBUG_NOT_ALLOWED);
        }
        let (row, consumed) = match words.get(1).filter(|_| row.has_subcommands()) {
            Some(subcommand) => (table::find_subcommand(row, subcommand)?, 2),
            None => (row, 1),
        };
        row.check_arity(words.len())?;
        let rest = words.split_off(consumed).into_iter();
        (row.parse)(Arguments {
            command: row.name,
            rest,
        })
    }
}

/// The words behind the name of a command.
///
/// The arity has been checked, so words that must be there are.
pub(crate) struct Arguments {
    /// The command as error texts name it.
    command: &'static str,
    rest: std::vec::IntoIter<Bytes>,
}

impl Arguments {
    fn word(&mut self) -> Result<Bytes, Error> {
        self.rest.next().ok_or(Error::SYNTAX)
    }

    fn integer(&mut self) -> Result<i64, Error> {
        parse_integer(&self.word()?).ok_or(Error::NOT_AN_INTEGER)
    }

    /// A count, if there is a word left.
    fn count(&mut self) -> Result<Option<usize>, Error> {
        let count = |word: Bytes| {
            let count = parse_integer(&word).and_then(|count| usize::try_from(count).ok());
            count.ok_or(Error::NOT_POSITIVE)
        };
        self.rest.next().map(count).transpose()
    }

    /// An option in capitals, if there is a word left.
    fn option(&mut self) -> Option<Vec<u8>> {
        self.rest.next().map(|word| word.to_ascii_uppercase())
    }

    fn words(self) -> Vec<Bytes> {
        self.rest.collect()
    }

    /// The words two by two.
    fn pairs(mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut pairs = Vec::with_capacity(self.rest.len() / 2);
        while let Some(first) = self.rest.next() {
            let second = self
                .rest
                .next()
                .ok_or_else(|| Error::wrong_arity(self.command))?;
            pairs.push((first, second));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests;
