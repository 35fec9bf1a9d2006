//! Replies, and how each protocol version writes them.

use bytes::{Bytes, BytesMut};
use redis_protocol::error::RedisProtocolError;
use redis_protocol::{resp2, resp3};

use crate::error::Error;

/// The version of the protocol that a client chose with `HELLO`.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// What every connection starts with.
    #[default]
    Resp2,
    /// The one with maps, sets and a null of its own.
    Resp3,
}

impl Protocol {
    /// The number in `HELLO 2` and `HELLO 3`.
    pub fn version(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// What a command answers, whatever the protocol.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Nothing: the key is not there.
    #[default]
    Null,
    /// No array, which RESP2 tells from no string.
    NullArray,
    /// A short word such as `OK`.
    Status(Bytes),
    /// The command was refused.
    Error(Error),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Bytes),
    /// Text meant for people.
    Text(Bytes),
    /// A list.
    Array(Vec<Reply>),
    /// A list without order or repeats; RESP2 writes it as an array.
    Set(Vec<Reply>),
    /// Pairs; RESP2 writes them one after the other.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// `OK`.
    pub const fn ok() -> Self {
        Self::status("OK")
    }

    /// A word of the protocol.
    pub const fn status(word: &'static str) -> Self {
        Self::Status(Bytes::from_static(word.as_bytes()))
    }

    /// A string of this server's own.
    pub const fn literal(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// The length of something.
    pub fn length(length: usize) -> Self {
        Self::Integer(i64::try_from(length).unwrap_or(i64::MAX))
    }

    /// 1 for yes, 0 for no.
    pub fn truth(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }

    /// An array of strings.
    pub fn strings(strings: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Array(strings.into_iter().map(Self::Bulk).collect())
    }

    /// Writes the reply at the end of `out`.
    pub fn encode(self, protocol: Protocol, out: &mut BytesMut) {
        match (self, protocol) {
            (Self::Error(error), _) => {
                write_marked(
                    b'-',
                    &resp2_simple(Bytes::copy_from_slice(error.line())),
                    out,
                );
            }
            (Self::NullArray, Protocol::Resp2) => {
                write_marked(b'*', &resp2::types::BytesFrame::Null, out);
            }
            (reply, Protocol::Resp2) => write_resp2(&reply.into_resp2(), out),
            (reply, Protocol::Resp3) => write_resp3(&reply.into_resp3(), out),
        }
    }

    fn into_resp2(self) -> resp2::types::BytesFrame {
        use resp2::types::BytesFrame as Frame;
        match self {
            Self::Null | Self::NullArray => Frame::Null,
            Self::Status(word) => resp2_simple(word),
            Self::Error(error) => Frame::Error(error.to_string().into()),
            Self::Integer(number) => Frame::Integer(number),
            Self::Bulk(bytes) | Self::Text(bytes) => Frame::BulkString(bytes),
            Self::Array(items) | Self::Set(items) => {
                Frame::Array(items.into_iter().map(Self::into_resp2).collect())
            }
            Self::Map(pairs) => {
                let flat = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                Frame::Array(flat.map(Self::into_resp2).collect())
            }
        }
    }

    fn into_resp3(self) -> resp3::types::BytesFrame {
        use resp3::types::{BytesFrame as Frame, VerbatimStringFormat};
        let attributes = None;
        match self {
            Self::Null | Self::NullArray => Frame::Null,
            Self::Status(data) => Frame::SimpleString { data, attributes },
            Self::Error(error) => Frame::SimpleError {
                data: error.to_string().into(),
                attributes,
            },
            Self::Integer(data) => Frame::Number { data, attributes },
            Self::Bulk(data) => Frame::BlobString { data, attributes },
            Self::Text(data) => Frame::VerbatimString {
                data,
                format: VerbatimStringFormat::Text,
                attributes,
            },
            Self::Array(items) => {
                let data = items.into_iter().map(Self::into_resp3).collect();
                Frame::Array { data, attributes }
            }
            Self::Set(items) => {
                let data = items.into_iter().map(Self::into_resp3).collect();
                Frame::Set { data, attributes }
            }
            Self::Map(pairs) => {
                let frames = |(key, value): (Self, Self)| (key.into_resp3(), value.into_resp3());
                Frame::Map {
                    data: pairs.into_iter().map(frames).collect(),
                    attributes,
                }
            }
        }
    }
}

fn resp2_simple(line: Bytes) -> resp2::types::BytesFrame {
    resp2::types::BytesFrame::SimpleString(line)
}

/// Writes a frame under another mark.
///
/// The codec's errors are UTF-8, but Redis quotes any byte a client sent; and
/// the codec has no null array. Both differ from a frame it has by the mark.
fn write_marked(mark: u8, frame: &resp2::types::BytesFrame, out: &mut BytesMut) {
    let start = out.len();
    write_resp2(frame, out);
    out[start] = mark;
}

fn write_resp2(frame: &resp2::types::BytesFrame, out: &mut BytesMut) {
    finish(resp2::encode::extend_encode(out, frame, false), out);
}

fn write_resp3(frame: &resp3::types::BytesFrame, out: &mut BytesMut) {
    finish(
        resp3::encode::complete::extend_encode(out, frame, false),
        out,
    );
}

/// Cuts off what the codec reserved but did not need: it measures numbers with
/// a floating point logarithm, which is one digit too long for some.
fn finish(end: Result<usize, RedisProtocolError>, out: &mut BytesMut) {
    let end = end.expect("the codec has grown the buffer to fit the frame");
    out.truncate(end);
}

#[cfg(test)]
mod tests;
