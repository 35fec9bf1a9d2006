//! What one connection knows of its client, and the commands about that.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::batch::Batch;
use crate::command::{Command, SessionCommand};
use crate::error::Error;
use crate::protocol::{Broken, Decoder, Words};
use crate::reply::{Protocol, Reply};
use crate::settings::{REDIS_VERSION, Settings};
use crate::value::{kept, parse_integer};

/// The state of a connection. It is pure: what it decides goes into a [`Batch`].
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    id: u64,
    peer: SocketAddr,
    began: Instant,
    // Empty as long as the client has not named itself.
    name: Bytes,
    protocol: Protocol,
}

/// What becomes of a connection after a command.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "a client that quits must be let go"]
pub enum Flow {
    /// It goes on.
    Open,
    /// It is closed once its replies are sent.
    Close,
}

impl Session {
    /// The session of the client with this number, which called from `peer`.
    pub fn new(settings: Arc<Settings>, id: u64, peer: SocketAddr, now: Instant) -> Self {
        let (name, protocol) = (Bytes::new(), Protocol::default());
        Self {
            settings,
            id,
            peer,
            began: now,
            name,
            protocol,
        }
    }

    /// Adds to the batch all commands that have arrived.
    pub fn read(&mut self, decoder: &mut Decoder, batch: &mut Batch, now: Instant) -> Flow {
        loop {
            match decoder.next_command() {
                Ok(Some(words)) => match self.handle(words, batch, now) {
                    Flow::Open => {}
                    Flow::Close => return Flow::Close,
                },
                Ok(None) => return Flow::Open,
                Err(Broken::Refused(error)) => {
                    self.refuse(error, batch);
                    return Flow::Close;
                }
                Err(Broken::Http) => {
                    *batch = Batch::new(self.settings.partitions);
                    return Flow::Close;
                }
            }
        }
    }

    /// Adds a command to the batch.
    pub fn handle(&mut self, words: Words, batch: &mut Batch, now: Instant) -> Flow {
        match Command::read(words, self.settings.debug) {
            Ok(Command::Data(command)) => batch.push(self.protocol, command),
            Ok(Command::Session(SessionCommand::Info(wanted))) => {
                self.push_info(&wanted, batch, now)
            }
            Ok(Command::Session(SessionCommand::Quit)) => {
                batch.push_reply(self.protocol, Reply::ok());
                return Flow::Close;
            }
            Ok(Command::Session(command)) => {
                let reply = self.answer(command, now).unwrap_or_else(Reply::Error);
                // A change of the protocol holds from its own reply on.
                batch.push_reply(self.protocol, reply);
            }
            Err(error) => self.refuse(error, batch),
        }
        Flow::Open
    }

    /// Tells the client that it is not understood.
    pub fn refuse(&self, error: Error, batch: &mut Batch) {
        batch.push_reply(self.protocol, Reply::Error(error));
    }

    fn answer(&mut self, command: SessionCommand, now: Instant) -> Result<Reply, Error> {
        Ok(match command {
            SessionCommand::Ping(None) => Reply::status("PONG"),
            SessionCommand::Ping(Some(payload)) | SessionCommand::Echo(payload) => {
                Reply::Bulk(payload)
            }
            SessionCommand::Hello(words) => self.hello(&words)?,
            SessionCommand::AuthPassword => return Err(Error::NO_PASSWORD_SET),
            SessionCommand::AuthUser(user) => authenticate(&user)?,
            SessionCommand::Select(0) => Reply::ok(),
            SessionCommand::Select(_) => return Err(Error::NO_SUCH_DATABASE),
            SessionCommand::Reset => self.reset(),
            SessionCommand::ClientId => Reply::Integer(self.number()),
            SessionCommand::ClientInfo => Reply::Text(self.client_info(now).into()),
            SessionCommand::ClientGetName if self.name.is_empty() => Reply::Null,
            SessionCommand::ClientGetName => Reply::Bulk(self.name.clone()),
            SessionCommand::ClientSetName(name) => self.rename(&name)?,
            SessionCommand::ConfigGet(patterns) => self.settings.matching(&patterns),
            SessionCommand::ConfigSet(parameter) => return Err(Error::config_set(&parameter)),
            SessionCommand::Described(description) => description,
            SessionCommand::Nod | SessionCommand::Quit | SessionCommand::Info(_) => Reply::ok(),
        })
    }

    /// `HELLO [version [AUTH user password] [SETNAME name]]`. Redis does one
    /// option after the other, so those before a wrong one have taken effect.
    fn hello(&mut self, words: &[Bytes]) -> Result<Reply, Error> {
        let Some((version, mut options)) = words.split_first() else {
            return Ok(self.greeting());
        };
        let protocol = match parse_integer(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(Error::UNSUPPORTED_VERSION),
            None => return Err(Error::VERSION_NOT_AN_INTEGER),
        };
        while let Some((option, rest)) = options.split_first() {
            options = match (&option.to_ascii_uppercase()[..], rest) {
                (b"AUTH", [user, _, rest @ ..]) => {
                    authenticate(user)?;
                    rest
                }
                (b"SETNAME", [name, rest @ ..]) => {
                    self.rename(name)?;
                    rest
                }
                (_, _) => return Err(Error::hello_option(option)),
            };
        }
        self.protocol = protocol;
        Ok(self.greeting())
    }

    fn greeting(&self) -> Reply {
        Reply::Map(vec![
            (Reply::literal("server"), Reply::literal("redis")),
            (Reply::literal("version"), Reply::literal(REDIS_VERSION)),
            (
                Reply::literal("proto"),
                Reply::Integer(self.protocol.version()),
            ),
            (Reply::literal("id"), Reply::Integer(self.number())),
            (Reply::literal("mode"), Reply::literal("standalone")),
            (Reply::literal("role"), Reply::literal("master")),
            (Reply::literal("modules"), Reply::Array(Vec::new())),
        ])
    }

    fn rename(&mut self, name: &Bytes) -> Result<Reply, Error> {
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err(Error::INVALID_CLIENT_NAME);
        }
        self.name = kept(name);
        Ok(Reply::ok())
    }

    fn reset(&mut self) -> Reply {
        self.name = Bytes::new();
        self.protocol = Protocol::default();
        Reply::status("RESET")
    }

    fn number(&self) -> i64 {
        i64::try_from(self.id).unwrap_or(i64::MAX)
    }

    fn client_info(&self, now: Instant) -> String {
        format!(
            "id={} addr={} laddr={} name={} age={} db=0 cmd=client|info user=default resp={}\n",
            self.id,
            self.peer,
            self.settings.address,
            self.name.escape_ascii(),
            now.saturating_duration_since(self.began).as_secs(),
            self.protocol.version(),
        )
    }

    fn push_info(&self, wanted: &[Bytes], batch: &mut Batch, now: Instant) {
        let text = self.info(wanted, now);
        if is_wanted(KEYSPACE, wanted) {
            batch.push_info(self.protocol, text);
        } else {
            batch.push_reply(self.protocol, Reply::Text(text.into()));
        }
    }

    /// The text of `INFO` without the lines of the keyspace, which come last.
    fn info(&self, wanted: &[Bytes], now: Instant) -> String {
        let mut text = String::new();
        for (section, lines) in self.sections(now) {
            if is_wanted(section, wanted) {
                let gap = if text.is_empty() { "" } else { "\r\n" };
                // Writing to a string cannot fail.
                let _ = write!(text, "{gap}# {section}\r\n{lines}");
            }
        }
        text
    }

    fn sections(&self, now: Instant) -> [(&'static str, String); 4] {
        let settings = &self.settings;
        let server = format!(
            "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:resurgam-kv\r\n\
             process_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\npartitions:{}\r\n",
            std::process::id(),
            settings.address.port(),
            settings.calendar.age(now).as_secs(),
            settings.partitions,
        );
        let clients = format!("maxclients:{}\r\n", settings.max_connections);
        let replication = "role:master\r\nconnected_slaves:0\r\n".to_owned();
        [
            ("Server", server),
            ("Clients", clients),
            ("Replication", replication),
            (KEYSPACE, String::new()),
        ]
    }
}

/// The section of `INFO` that the partitions complete.
const KEYSPACE: &str = "Keyspace";

fn is_wanted(section: &str, wanted: &[Bytes]) -> bool {
    let is = |word: &Bytes, name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let names_it = |word| {
        [section, "default", "all", "everything"]
            .iter()
            .any(|name| is(word, name))
    };
    wanted.is_empty() || wanted.iter().any(names_it)
}

/// The default user needs no password, and there is no other.
fn authenticate(user: &[u8]) -> Result<Reply, Error> {
    if user == b"default" {
        Ok(Reply::ok())
    } else {
        Err(Error::WRONG_PASSWORD)
    }
}

#[cfg(test)]
mod tests;
