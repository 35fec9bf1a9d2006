//! The errors of Redis, word for word.

use std::borrow::Cow;
use std::fmt;

/// What a client is told when its command is refused.
///
/// An error is one line of bytes that begins with a code such as `ERR` or
/// `WRONGTYPE`. It is not text: Redis quotes what the client sent, and a client
/// may send anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, [u8]>);

impl Error {
    /// The options of a command do not fit together.
    pub const SYNTAX: Self = Self::literal("ERR syntax error");
    /// An argument, or the value of a key, is not a 64-bit integer.
    pub const NOT_AN_INTEGER: Self = Self::literal("ERR value is not an integer or out of range");
    /// A count is negative or not a number.
    pub const NOT_POSITIVE: Self = Self::literal("ERR value is out of range, must be positive");
    /// A sum does not fit 64 bits.
    pub const OVERFLOW: Self = Self::literal("ERR increment or decrement would overflow");
    /// The decrement itself cannot be negated.
    pub const DECREMENT_OVERFLOW: Self = Self::literal("ERR decrement would overflow");
    /// The key holds another type than the command works on.
    pub const WRONG_TYPE: Self =
        Self::literal("WRONGTYPE Operation against a key holding the wrong kind of value");
    /// A string would grow beyond what the protocol can carry.
    pub const STRING_TOO_LONG: Self =
        Self::literal("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    /// The cursor of a `SCAN` is not a number.
    pub const INVALID_CURSOR: Self = Self::literal("ERR invalid cursor");
    /// `EXPIRE` was given `NX` beside another condition.
    pub const NX_NOT_ALONE: Self =
        Self::literal("ERR NX and XX, GT or LT options at the same time are not compatible");
    /// `EXPIRE` was given both `GT` and `LT`.
    pub const GT_WITH_LT: Self =
        Self::literal("ERR GT and LT options at the same time are not compatible");
    /// The number of a database does not fit 32 bits.
    pub const NOT_32_BITS: Self =
        Self::literal("ERR value is out of range, value must between -2147483648 and 2147483647");
    /// There is one database, number 0.
    pub const NO_SUCH_DATABASE: Self = Self::literal("ERR DB index is out of range");
    /// `AUTH` with a password, where there is none to compare with.
    pub const NO_PASSWORD_SET: Self = Self::literal(
        "ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?",
    );
    /// `AUTH` for a user other than the default one.
    pub const WRONG_PASSWORD: Self =
        Self::literal("WRONGPASS invalid username-password pair or user is disabled.");
    /// `HELLO` with a version that is not a number.
    pub const VERSION_NOT_AN_INTEGER: Self =
        Self::literal("ERR Protocol version is not an integer or out of range");
    /// `HELLO` with a version other than 2 and 3.
    pub const UNSUPPORTED_VERSION: Self = Self::literal("NOPROTO unsupported protocol version");
    /// A client's name holds a space or a control character.
    pub const INVALID_CLIENT_NAME: Self =
        Self::literal("ERR Client names cannot contain spaces, newlines or special characters.");
    /// `DEBUG` on a server that was not started with it.
    pub const DEBUG_NOT_ALLOWED: Self = Self::literal(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    );
    /// The listener has as many connections as it may have.
    pub const TOO_MANY_CLIENTS: Self = Self::literal("ERR max number of clients reached");

    const fn literal(line: &'static str) -> Self {
        Self(Cow::Borrowed(line.as_bytes()))
    }

    /// An error made of pieces, some of which the client sent.
    ///
    /// A reply of this kind is one line, so line ends become spaces.
    pub fn quoting(pieces: &[&[u8]]) -> Self {
        let mut line = pieces.concat();
        for byte in &mut line {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        Self(Cow::Owned(line))
    }

    /// The command has too few or too many arguments; `name` as in the table.
    pub fn wrong_arity(name: &str) -> Self {
        Self::quoting(&[
            b"ERR wrong number of arguments for '",
            name.as_bytes(),
            b"' command",
        ])
    }

    /// There is no command of that name.
    pub fn unknown_command(name: &[u8], arguments: &[impl AsRef<[u8]>]) -> Self {
        let quoted = quote_arguments(arguments);
        Self::quoting(&[
            b"ERR unknown command '",
            as_c_string(name, QUOTED_BYTES),
            b"', with args beginning with: ",
            &quoted,
        ])
    }

    /// The command has no such subcommand; `command` in capitals.
    pub fn unknown_subcommand(command: &str, subcommand: &[u8]) -> Self {
        Self::quoting(&[
            b"ERR unknown subcommand '",
            as_c_string(subcommand, QUOTED_BYTES),
            b"'. Try ",
            command.as_bytes(),
            b" HELP.",
        ])
    }

    /// The command cannot set that time to live.
    pub fn invalid_expire_time(command: &str) -> Self {
        Self::quoting(&[
            b"ERR invalid expire time in '",
            command.as_bytes(),
            b"' command",
        ])
    }

    /// `EXPIRE` has no such option.
    pub fn unsupported_option(option: &[u8]) -> Self {
        Self::quoting(&[b"ERR Unsupported option ", as_c_string(option, usize::MAX)])
    }

    /// `HELLO` has no such option, or it lacks its arguments.
    pub fn hello_option(option: &[u8]) -> Self {
        let option = as_c_string(option, usize::MAX);
        Self::quoting(&[b"ERR Syntax error in HELLO option '", option, b"'"])
    }

    /// `CONFIG SET` of something this server does not have.
    pub fn config_set(parameter: &[u8]) -> Self {
        Self::quoting(&[
            b"ERR Unknown option or number of arguments for CONFIG SET - '",
            as_c_string(parameter, usize::MAX),
            b"'",
        ])
    }

    /// The bytes of the line, without the `-` before and the line end after it.
    pub fn line(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?})", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Error {}

/// How much of what a client sent Redis quotes back to it.
const QUOTED_BYTES: usize = 128;

fn quote_arguments(arguments: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut quoted = Vec::new();
    for argument in arguments {
        let Some(room) = QUOTED_BYTES
            .checked_sub(quoted.len())
            .filter(|room| *room > 0)
        else {
            break;
        };
        quoted.push(b'\'');
        quoted.extend_from_slice(as_c_string(argument.as_ref(), room));
        quoted.extend_from_slice(b"' ");
    }
    quoted
}

/// What C's `printf("%.*s")` shows of `bytes`: up to `limit` and the first NUL.
fn as_c_string(bytes: &[u8], limit: usize) -> &[u8] {
    let shown = &bytes[..bytes.len().min(limit)];
    let end = shown.iter().position(|byte| *byte == 0);
    &shown[..end.unwrap_or(shown.len())]
}

#[cfg(test)]
mod tests;
