//! From the bytes a client sends to the words of its commands.
//!
//! The codec decodes; this layer in front of it decides what reaches the codec.
//! It accepts what Redis accepts, refuses the rest with Redis's own words
//! before the codec sees it, and remembers how far a half-sent command has been
//! checked, so that each byte is looked at once however slowly it comes.

mod inline;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use crate::error::Error;
use crate::value::parse_integer;

/// The words of one command; the first is its name.
pub type Words = Vec<Bytes>;

/// The longest line Redis waits for the end of.
const MAX_LINE: usize = 64 * 1024;
/// The longest string, `proto-max-bulk-len`.
pub const MAX_BULK: usize = 512 * 1024 * 1024;
/// The most a client may send of one command, `client-query-buffer-limit`.
const MAX_COMMAND: usize = 1024 * 1024 * 1024;

/// Cuts what a client sends into commands.
#[derive(Debug, Default)]
pub struct Decoder {
    received: BytesMut,
    checked: Checked,
}

/// How much of an unfinished array has been found to be sound.
#[derive(Debug, Default)]
struct Checked {
    // Invariant: the strings that begin before this place are complete.
    bytes: usize,
    // Strings still to come, once the length of the array is known.
    missing: Option<usize>,
}

/// Why a stream cannot be read any further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// It is not Redis's protocol, and the client is told so.
    Refused(Error),
    /// It is a web browser's request, made by a page that means harm. It is
    /// given no answer.
    Http,
}

/// What stopped a check before the end of a command.
enum Halt {
    /// More bytes are needed.
    Incomplete,
    Refused(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Decoder {
    /// Where to put what is read from the client.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// The next complete command, if there is one.
    ///
    /// # Errors
    ///
    /// What came is not Redis's protocol. The stream cannot be read any further.
    pub fn next_command(&mut self) -> Result<Option<Words>, Broken> {
        loop {
            let found = match self.received.first() {
                None => return Ok(None),
                Some(b'*') => self.array(),
                Some(_) => self.inline(),
            };
            match found {
                Ok(words) if words.is_empty() => {}
                Ok(words) if is_http(&words[0]) => return Err(Broken::Http),
                Ok(words) => return Ok(Some(words)),
                Err(Halt::Refused(error)) => return Err(Broken::Refused(error)),
                Err(Halt::Incomplete) if self.received.len() > MAX_COMMAND => {
                    return Err(Broken::Refused(protocol_error("too big query buffer")));
                }
                Err(Halt::Incomplete) => return Ok(None),
            }
        }
    }

    fn inline(&mut self) -> Result<Words, Halt> {
        let end = match self
            .received
            .iter()
            .position(|byte| matches!(byte, b'\n' | 0))
        {
            Some(end) if self.received[end] == b'\n' => end,
            // Redis looks for the end of the line as C does: never behind a NUL.
            Some(_) | None if self.received.len() <= MAX_LINE => return Err(Halt::Incomplete),
            Some(_) | None => return Err(protocol_error("too big inline request").into()),
        };
        let line = self.received.split_to(end + 1).freeze();
        let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        inline::split(line).ok_or_else(|| protocol_error("unbalanced quotes in request").into())
    }

    fn array(&mut self) -> Result<Words, Halt> {
        self.check_array()?;
        let length = std::mem::take(&mut self.checked).bytes;
        decode_array(self.received.split_to(length).freeze())
    }

    /// Walks over the headers of an array until it is known to be complete.
    fn check_array(&mut self) -> Result<(), Halt> {
        let mut missing = match self.checked.missing {
            Some(missing) => missing,
            None => self.check_array_header()?,
        };
        while missing > 0 {
            self.checked.bytes = self.end_of_string()?;
            missing -= 1;
            self.checked.missing = Some(missing);
        }
        Ok(())
    }

    fn check_array_header(&mut self) -> Result<usize, Halt> {
        let (header, end) = self.header("too big mbulk count string")?;
        let length = parse_integer(&header[1..])
            .filter(|length| *length <= i64::from(i32::MAX))
            .ok_or_else(|| protocol_error("invalid multibulk length"))?;
        // Redis takes a negative length for an empty array.
        let missing = usize::try_from(length).unwrap_or(0);
        self.checked = Checked {
            bytes: end,
            missing: Some(missing),
        };
        Ok(missing)
    }

    /// Where the string ends that begins where the check has come to.
    fn end_of_string(&mut self) -> Result<usize, Halt> {
        let (header, start) = self.header("too big bulk count string")?;
        let digits = match header.split_first() {
            Some((b'$', digits)) => digits,
            Some((other, _)) => return Err(expected_string(*other).into()),
            // The line is empty, so what stands there is its end.
            None => return Err(expected_string(b'\r').into()),
        };
        let length = parse_integer(digits)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= MAX_BULK)
            .ok_or_else(|| protocol_error("invalid bulk length"))?;
        let end = start + length + LINE_END;
        if self.received.len() < end {
            Err(Halt::Incomplete)
        } else {
            Ok(end)
        }
    }

    /// The line where the check has come to, and where the next one begins.
    fn header(&mut self, too_big: &str) -> Result<(&[u8], usize), Halt> {
        let rest = &mut self.received[self.checked.bytes..];
        let end = match rest.iter().position(|byte| matches!(byte, b'\r' | 0)) {
            Some(end) if rest[end] == b'\r' => end,
            Some(_) | None if rest.len() <= MAX_LINE => return Err(Halt::Incomplete),
            Some(_) | None => return Err(protocol_error(too_big).into()),
        };
        // Redis never looks at the byte behind the `\r`, but the codec does.
        *rest.get_mut(end + 1).ok_or(Halt::Incomplete)? = b'\n';
        Ok((&rest[..end], self.checked.bytes + end + LINE_END))
    }
}

/// The length of `\r\n`.
const LINE_END: usize = 2;

/// Has the codec cut a complete array into its strings.
fn decode_array(array: Bytes) -> Result<Words, Halt> {
    // Any negative length makes an empty array here, but not in the codec.
    if array.starts_with(b"*-") {
        return Ok(Words::new());
    }
    match decode_range(&array) {
        Ok(Some((RangeFrame::Array(frames), _))) => frames
            .iter()
            .map(|frame| string_of(&array, frame))
            .collect(),
        Ok(Some(_) | None) | Err(_) => Err(protocol_error("invalid array").into()),
    }
}

fn string_of(array: &Bytes, frame: &RangeFrame) -> Result<Bytes, Halt> {
    match frame {
        RangeFrame::BulkString((start, end)) => Ok(array.slice(start..end)),
        RangeFrame::SimpleString(_)
        | RangeFrame::Error(_)
        | RangeFrame::Integer(_)
        | RangeFrame::Array(_)
        | RangeFrame::Null => Err(protocol_error("invalid array").into()),
    }
}

/// Whether a command is the beginning of a `POST`, or a header that follows it.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn protocol_error(complaint: &str) -> Error {
    Error::quoting(&[b"ERR Protocol error: ", complaint.as_bytes()])
}

fn expected_string(got: u8) -> Error {
    Error::quoting(&[b"ERR Protocol error: expected '$', got '", &[got], b"'"])
}

#[cfg(test)]
mod tests;
