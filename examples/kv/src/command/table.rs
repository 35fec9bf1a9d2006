//! The table of commands: one line each, in the order of their names.

use super::parse::{self, data, on_key, on_key_only, session};
use super::{Arguments, Command, DataCommand, SessionCommand, describe};
use crate::error::Error;
use crate::glob::Glob;
use crate::request::{Action, End, Since, Unit};

/// A command as Redis describes it, and how to read what follows its name.
///
/// A subcommand has a line of its own, `client|id`, behind that of its command.
pub(crate) struct Row {
    pub(super) name: &'static str,
    // Words with the name, or at least so many if negative.
    pub(super) arity: i64,
    pub(super) flags: &'static [&'static str],
    pub(super) keys: Keys,
    pub(super) group: &'static str,
    pub(super) since: &'static str,
    pub(super) summary: &'static str,
    pub(super) parse: fn(Arguments) -> Result<Command, Error>,
}

/// Which words are keys: the first, the last (from the end if negative), the step.
pub(super) type Keys = (i64, i64, i64);

const NO_KEY: Keys = (0, 0, 0);
const ONE_KEY: Keys = (1, 1, 1);
const ALL_KEYS: Keys = (1, -1, 1);
const EVERY_SECOND: Keys = (1, -1, 2);

const READ: &[&str] = &["readonly"];
const READ_FAST: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write"];
const WRITE_FAST: &[&str] = &["write", "fast"];
const GROW: &[&str] = &["write", "denyoom"];
const GROW_FAST: &[&str] = &["write", "denyoom", "fast"];
const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];
const TALK: &[&str] = &["noscript", "loading", "stale"];
const TALK_FAST: &[&str] = &["loading", "stale", "fast"];
const INFORM: &[&str] = &["loading", "stale"];
const FAST: &[&str] = &["fast"];
const LOGIN: &[&str] = &[
    "noscript",
    "loading",
    "stale",
    "fast",
    "no_auth",
    "allow_busy",
];

impl Row {
    pub(super) fn check_arity(&self, words: usize) -> Result<(), Error> {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        let fits = if self.arity < 0 {
            words >= -self.arity
        } else {
            words == self.arity
        };
        if fits {
            Ok(())
        } else {
            Err(Error::wrong_arity(self.name))
        }
    }

    pub(super) fn has_subcommands(&self) -> bool {
        matches!(self.name, "client" | "command" | "config" | "debug")
    }

    fn is_subcommand(&self) -> bool {
        self.name.contains('|')
    }
}

/// The command of that name, in capitals or not.
pub(super) fn find(name: &[u8]) -> Option<&'static Row> {
    let lower_case = name.iter().map(u8::to_ascii_lowercase);
    let index = TABLE
        .binary_search_by(|row| row.name.bytes().cmp(lower_case.clone()))
        .ok()?;
    Some(&TABLE[index]).filter(|row| !row.is_subcommand())
}

/// The subcommand of that name, in capitals or not.
pub(super) fn find_subcommand(command: &Row, name: &[u8]) -> Result<&'static Row, Error> {
    let bar = command.name.len();
    subcommands(command)
        .find(|row| row.name.as_bytes()[bar + 1..].eq_ignore_ascii_case(name))
        .ok_or_else(|| Error::unknown_subcommand(&command.name.to_ascii_uppercase(), name))
}

/// The lines of a command's subcommands.
pub(super) fn subcommands(command: &Row) -> impl Iterator<Item = &'static Row> {
    let behind_bar = |row: &Row| {
        row.name
            .strip_prefix(command.name)?
            .strip_prefix('|')
            .map(drop)
    };
    TABLE.iter().filter(move |row| behind_bar(row).is_some())
}

/// The lines of all commands, their subcommands left out.
pub(super) fn commands() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| !row.is_subcommand())
}

macro_rules! table {
    ($($name:literal $arity:literal $flags:ident $keys:ident $group:literal $since:literal
        $summary:literal $parse:expr;)*) => {
        // Invariant: in the order of the names.
        static TABLE: &[Row] = &[$(Row {
            name: $name, arity: $arity, flags: $flags, keys: $keys,
            group: $group, since: $since, summary: $summary, parse: $parse,
        }),*];
    };
}

table! {
"append" 3 GROW_FAST ONE_KEY "string" "2.0.0" "Append a value to a key"
    |words| on_key(words, |mut words| Ok(Action::Append(words.word()?)));
"auth" -2 LOGIN NO_KEY "connection" "1.0.0" "Authenticate to the server"
    parse::auth;
"client" -2 TALK NO_KEY "connection" "2.4.0" "A container for client connection commands"
    |_| Err(Error::SYNTAX);
"client|getname" 2 TALK NO_KEY "connection" "2.6.9" "Get the current connection name"
    |_| session(SessionCommand::ClientGetName);
"client|id" 2 TALK NO_KEY "connection" "5.0.0" "Returns the client ID for the current connection"
    |_| session(SessionCommand::ClientId);
"client|info" 2 TALK NO_KEY "connection" "6.2.0" "Returns information about the current connection"
    |_| session(SessionCommand::ClientInfo);
"client|no-evict" 3 ADMIN NO_KEY "connection" "7.0.0" "Accepted, and means nothing here"
    parse::switch;
"client|no-touch" 3 TALK NO_KEY "connection" "7.2.0" "Accepted, and means nothing here"
    parse::switch;
"client|setinfo" 4 TALK NO_KEY "connection" "7.2.0" "Accepted, and means nothing here"
    |_| session(SessionCommand::Nod);
"client|setname" 3 TALK NO_KEY "connection" "2.6.9" "Set the current connection name"
    |mut words| session(SessionCommand::ClientSetName(words.word()?));
"command" -1 TALK NO_KEY "server" "2.8.13" "Get array of Redis command details"
    |words| parse::described(words, describe::info);
"command|count" 2 TALK NO_KEY "server" "2.8.13" "Get total number of Redis commands"
    |words| parse::described(words, describe::count);
"command|docs" -2 TALK NO_KEY "server" "7.0.0" "Get array of specific Redis command documentation"
    |words| parse::described(words, describe::docs);
"command|info" -2 TALK NO_KEY "server" "2.8.13" "Get array of specific Redis command details"
    |words| parse::described(words, describe::info);
"command|list" -2 TALK NO_KEY "server" "7.0.0" "Get an array of Redis command names"
    |words| parse::described(words, describe::list);
"config" -2 ADMIN NO_KEY "server" "2.0.0" "A container for server configuration commands"
    |_| Err(Error::SYNTAX);
"config|get" -3 ADMIN NO_KEY "server" "2.0.0" "Get the values of configuration parameters"
    parse::config_get;
"config|resetstat" 2 ADMIN NO_KEY "server" "2.0.0" "Accepted, and means nothing here"
    |_| session(SessionCommand::Nod);
"config|set" -4 ADMIN NO_KEY "server" "2.0.0" "Refused: this server takes flags only"
    parse::config_set;
"dbsize" 1 READ_FAST NO_KEY "server" "1.0.0" "Return the number of keys in the selected database"
    |_| data(DataCommand::Count);
"debug" -2 ADMIN NO_KEY "server" "1.0.0" "A container for debugging commands"
    |_| Err(Error::SYNTAX);
"debug|crash" 3 ADMIN ONE_KEY "server" "1.0.0" "Panic the partition that holds a key"
    |mut words| data(DataCommand::Crash(words.word()?));
"decr" 2 GROW_FAST ONE_KEY "string" "1.0.0" "Decrement the integer value of a key by one"
    |words| on_key_only(words, Action::IncrementBy(-1));
"decrby" 3 GROW_FAST ONE_KEY "string" "1.0.0" "Decrement the integer value of a key by the given number"
    |words| on_key(words, parse::decrement);
"del" -2 WRITE ALL_KEYS "generic" "1.0.0" "Delete a key"
    |words| data(DataCommand::Delete(words.words()));
"echo" 2 TALK_FAST NO_KEY "connection" "1.0.0" "Echo the given string"
    |mut words| session(SessionCommand::Echo(words.word()?));
"exists" -2 READ_FAST ALL_KEYS "generic" "1.0.0" "Determine if a key exists"
    |words| data(DataCommand::Exists(words.words()));
"expire" -3 WRITE_FAST ONE_KEY "generic" "1.0.0" "Set a key's time to live in seconds"
    |words| on_key(words, |words| parse::expire(words, Unit::Seconds, Since::Now));
"expireat" -3 WRITE_FAST ONE_KEY "generic" "1.2.0" "Set the expiration for a key as a UNIX timestamp"
    |words| on_key(words, |words| parse::expire(words, Unit::Seconds, Since::Epoch));
"flushall" -1 WRITE NO_KEY "server" "1.0.0" "Remove all keys from all databases"
    parse::flush;
"flushdb" -1 WRITE NO_KEY "server" "1.0.0" "Remove all keys from the current database"
    parse::flush;
"get" 2 READ_FAST ONE_KEY "string" "1.0.0" "Get the value of a key"
    |words| on_key_only(words, Action::Get);
"getset" 3 GROW_FAST ONE_KEY "string" "1.0.0" "Set the string value of a key and return its old value"
    |words| on_key(words, parse::set_and_get);
"hdel" -3 WRITE_FAST ONE_KEY "hash" "2.0.0" "Delete one or more hash fields"
    |words| on_key(words, |words| Ok(Action::HashRemove(words.words())));
"hello" -1 LOGIN NO_KEY "connection" "6.0.0" "Handshake with Redis"
    |words| session(SessionCommand::Hello(words.words()));
"hget" 3 READ_FAST ONE_KEY "hash" "2.0.0" "Get the value of a hash field"
    |words| on_key(words, |mut words| Ok(Action::HashGet(words.word()?)));
"hgetall" 2 READ ONE_KEY "hash" "2.0.0" "Get all the fields and values in a hash"
    |words| on_key_only(words, Action::HashGetAll);
"hlen" 2 READ_FAST ONE_KEY "hash" "2.0.0" "Get the number of fields in a hash"
    |words| on_key_only(words, Action::HashLength);
"hset" -4 GROW_FAST ONE_KEY "hash" "2.0.0" "Set the string value of a hash field"
    |words| on_key(words, |words| words.pairs().map(Action::HashSet));
"incr" 2 GROW_FAST ONE_KEY "string" "1.0.0" "Increment the integer value of a key by one"
    |words| on_key_only(words, Action::IncrementBy(1));
"incrby" 3 GROW_FAST ONE_KEY "string" "1.0.0" "Increment the integer value of a key by the given amount"
    |words| on_key(words, parse::increment);
"info" -1 INFORM NO_KEY "server" "1.0.0" "Get information and statistics about the server"
    |words| session(SessionCommand::Info(words.words()));
"keys" 2 READ NO_KEY "generic" "1.0.0" "Find all keys matching the given pattern"
    |mut words| data(DataCommand::Keys(Glob::new(&words.word()?)));
"llen" 2 READ_FAST ONE_KEY "list" "1.0.0" "Get the length of a list"
    |words| on_key_only(words, Action::ListLength);
"lpop" -2 WRITE_FAST ONE_KEY "list" "1.0.0" "Remove and get the first elements in a list"
    |words| on_key(words, |words| parse::pop(words, End::Left));
"lpush" -3 GROW_FAST ONE_KEY "list" "1.0.0" "Prepend one or multiple elements to a list"
    |words| on_key(words, |words| Ok(Action::Push(End::Left, words.words())));
"lrange" 4 READ ONE_KEY "list" "1.0.0" "Get a range of elements from a list"
    |words| on_key(words, parse::list_range);
"mget" -2 READ_FAST ALL_KEYS "string" "1.0.0" "Get the values of all the given keys"
    |words| data(DataCommand::GetAll(words.words()));
"mset" -3 GROW EVERY_SECOND "string" "1.0.1" "Set multiple keys to multiple values"
    |words| words.pairs().map(DataCommand::SetAll).map(Command::Data);
"persist" 2 WRITE_FAST ONE_KEY "generic" "2.2.0" "Remove the expiration from a key"
    |words| on_key_only(words, Action::Persist);
"pexpire" -3 WRITE_FAST ONE_KEY "generic" "2.6.0" "Set a key's time to live in milliseconds"
    |words| on_key(words, |words| parse::expire(words, Unit::Milliseconds, Since::Now));
"pexpireat" -3 WRITE_FAST ONE_KEY "generic" "2.6.0" "Set the expiration for a key as a UNIX timestamp in milliseconds"
    |words| on_key(words, |words| parse::expire(words, Unit::Milliseconds, Since::Epoch));
"ping" -1 FAST NO_KEY "connection" "1.0.0" "Ping the server"
    parse::ping;
"psetex" 4 GROW ONE_KEY "string" "2.6.0" "Set the value and expiration in milliseconds of a key"
    |words| on_key(words, |words| parse::set_expiring(words, Unit::Milliseconds));
"pttl" 2 READ_FAST ONE_KEY "generic" "2.6.0" "Get the time to live for a key in milliseconds"
    |words| on_key_only(words, Action::TimeToLive(Unit::Milliseconds));
"quit" -1 LOGIN NO_KEY "connection" "1.0.0" "Close the connection"
    |_| session(SessionCommand::Quit);
"reset" 1 LOGIN NO_KEY "connection" "6.2.0" "Reset the connection"
    |_| session(SessionCommand::Reset);
"rpop" -2 WRITE_FAST ONE_KEY "list" "1.0.0" "Remove and get the last elements in a list"
    |words| on_key(words, |words| parse::pop(words, End::Right));
"rpush" -3 GROW_FAST ONE_KEY "list" "1.0.0" "Append one or multiple elements to a list"
    |words| on_key(words, |words| Ok(Action::Push(End::Right, words.words())));
"sadd" -3 GROW_FAST ONE_KEY "set" "1.0.0" "Add one or more members to a set"
    |words| on_key(words, |words| Ok(Action::SetAdd(words.words())));
"scan" -2 READ NO_KEY "generic" "2.8.0" "Incrementally iterate the keys space"
    parse::scan;
"scard" 2 READ_FAST ONE_KEY "set" "1.0.0" "Get the number of members in a set"
    |words| on_key_only(words, Action::SetLength);
"select" 2 TALK_FAST NO_KEY "connection" "1.0.0" "Change the selected database for the current connection"
    parse::select;
"set" -3 GROW ONE_KEY "string" "1.0.0" "Set the string value of a key"
    |words| on_key(words, parse::set);
"setex" 4 GROW ONE_KEY "string" "2.0.0" "Set the value and expiration of a key"
    |words| on_key(words, |words| parse::set_expiring(words, Unit::Seconds));
"setnx" 3 GROW_FAST ONE_KEY "string" "1.0.0" "Set the value of a key, only if the key does not exist"
    |words| on_key(words, parse::set_if_absent);
"sismember" 3 READ_FAST ONE_KEY "set" "1.0.0" "Determine if a given value is a member of a set"
    |words| on_key(words, |mut words| Ok(Action::SetContains(words.word()?)));
"smembers" 2 READ ONE_KEY "set" "1.0.0" "Get all the members in a set"
    |words| on_key_only(words, Action::SetMembers);
"spop" -2 WRITE_FAST ONE_KEY "set" "1.0.0" "Remove and return one or multiple random members from a set"
    |words| on_key(words, parse::set_pop);
"srem" -3 WRITE_FAST ONE_KEY "set" "1.0.0" "Remove one or more members from a set"
    |words| on_key(words, |words| Ok(Action::SetRemove(words.words())));
"strlen" 2 READ_FAST ONE_KEY "string" "2.2.0" "Get the length of the value stored in a key"
    |words| on_key_only(words, Action::StringLength);
"ttl" 2 READ_FAST ONE_KEY "generic" "1.0.0" "Get the time to live for a key in seconds"
    |words| on_key_only(words, Action::TimeToLive(Unit::Seconds));
"type" 2 READ_FAST ONE_KEY "generic" "1.0.0" "Determine the type stored at key"
    |words| on_key_only(words, Action::Type);
"unlink" -2 WRITE_FAST ALL_KEYS "generic" "4.0.0" "Delete a key"
    |words| data(DataCommand::Delete(words.words()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_names() {
        assert!(TABLE.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn every_command_is_found_by_its_name() {
        for row in commands() {
            let found = find(row.name.to_uppercase().as_bytes());
            assert_eq!(found.map(|row| row.name), Some(row.name));
            assert_eq!(
                row.has_subcommands(),
                subcommands(row).count() > 0,
                "{}",
                row.name
            );
        }
        assert!(find(b"client|id").is_none());
    }
}
