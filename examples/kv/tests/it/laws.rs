//! What holds for whatever a client may send: laws about bytes, without sockets
//! and processes. `seeded.rs` tries them on numbered inputs; the fuzz targets
//! look for inputs that break them.

#![allow(unreachable_pub, reason = "the fuzz targets use this file too")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use arbitrary::{Result, Unstructured};
use bytes::{Bytes, BytesMut};
use kv::batch::Batch;
use kv::command::DebugAccess;
use kv::glob::Glob;
use kv::protocol::{Broken, Decoder, Words};
use kv::session::{Flow, Session};
use kv::settings::Settings;
use kv::store::Store;
use kv::time::{Calendar, UnixTime};
use kv::value::parse_integer;

/// What all inputs stay below: a longer line is refused, but only once so much
/// of it has come, so that it matters how it is cut.
const LONGEST: usize = 32 * 1024;
const PARTITIONS: usize = 3;

/// A connection and its partitions without the processes around them.
struct Machine {
    decoder: Decoder,
    session: Session,
    stores: Vec<Store>,
    now: Instant,
    calendar: Calendar,
    replies: BytesMut,
    end: Option<End>,
}

/// How the server closed the connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    Told,
    Silent,
}

impl Machine {
    #[allow(
        clippy::disallowed_methods,
        reason = "any instant will do as the origin"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let calendar = Calendar::starting(now, UnixTime(1_700_000_000_000));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 6379));
        let settings = Settings {
            address,
            partitions: PARTITIONS,
            max_connections: 10,
            debug: DebugAccess::Refused,
            calendar,
        };
        Self {
            decoder: Decoder::default(),
            session: Session::new(Arc::new(settings), 1, address, now),
            stores: (0..PARTITIONS as u64).map(Store::new).collect(),
            now,
            calendar,
            replies: BytesMut::new(),
            end: None,
        }
    }

    /// The bytes come in one piece.
    fn feed(&mut self, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.decoder.buffer().extend_from_slice(bytes);
        let mut batch = Batch::new(PARTITIONS);
        let flow = self.session.read(&mut self.decoder, &mut batch, self.now);
        if flow == Flow::Close {
            let silent = batch.is_empty();
            self.end = Some(if silent { End::Silent } else { End::Told });
        }
        let date = self.calendar.date(self.now);
        let requests = batch.take_requests().into_iter();
        let answers = requests.zip(&mut self.stores).map(|(part, store)| {
            let replies = part.into_iter().map(|request| store.execute(request, date));
            Ok(replies.collect())
        });
        let answers = answers.collect();
        batch.encode(answers, &mut self.replies);
    }

    /// What it keeps of what came does not outgrow it.
    fn check_memory(&mut self, received: usize) {
        let kept = self.decoder.buffer().capacity();
        assert!(
            kept <= 4 * received + 1024,
            "{kept} bytes for {received} received"
        );
    }
}

/// Any bytes: they are understood or refused, however they are cut.
pub fn input(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let cuts: [u8; 4] = u.arbitrary().unwrap_or_default();
    check_stream(u.take_rest(), &cuts);
}

/// Sensible commands with a little noise between.
pub fn commands(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let cuts: [u8; 4] = u.arbitrary().unwrap_or_default();
    let mut stream = Vec::new();
    for _ in 0..16 {
        if u.is_empty() || command(&mut u, &mut stream).is_err() {
            break;
        }
    }
    check_stream(&stream, &cuts);
}

fn check_stream(stream: &[u8], cuts: &[u8]) {
    let stream = &stream[..stream.len().min(LONGEST)];
    let mut whole = Machine::new();
    whole.feed(stream);
    whole.check_memory(stream.len());
    check_replies(&whole, stream);
    check_cuts(&whole, stream, cuts);
}

/// Each command has its reply, in a form that can be read back.
fn check_replies(machine: &Machine, stream: &[u8]) {
    if machine.end == Some(End::Silent) {
        assert!(machine.replies.is_empty());
        return;
    }
    let mut replies = 0;
    let mut rest = &machine.replies[..];
    while !rest.is_empty() {
        rest = after_frame(rest).expect("a whole frame");
        replies += 1;
    }
    assert_eq!(replies, count_due(stream));
}

/// How many replies are due: one for each command up to `QUIT`, and one for what
/// is refused.
fn count_due(stream: &[u8]) -> usize {
    let mut decoder = Decoder::default();
    decoder.buffer().extend_from_slice(stream);
    let mut due = 0;
    loop {
        match decoder.next_command() {
            Ok(None) => return due,
            Ok(Some(words)) if words[0].eq_ignore_ascii_case(b"quit") => return due + 1,
            Ok(Some(_)) => due += 1,
            Err(Broken::Refused(_)) => return due + 1,
            Err(Broken::Http) => unreachable!("it would have been silent"),
        }
    }
}

/// What stands behind the first frame of either protocol.
fn after_frame(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
    let (kind, number) = line.split_first()?;
    let count = || std::str::from_utf8(number).ok()?.parse::<i64>().ok();
    let frames = match kind {
        b'+' | b'-' | b':' | b'_' => 0,
        b'$' | b'=' => return after_string(rest, count()?),
        b'*' | b'~' => count()?,
        b'%' => 2 * count()?,
        _ => return None,
    };
    (0..frames).try_fold(rest, |rest, _| after_frame(rest))
}

fn after_string(rest: &[u8], length: i64) -> Option<&[u8]> {
    match usize::try_from(length) {
        Err(_) => (length == -1).then_some(rest),
        Ok(length) => rest.get(length..)?.strip_prefix(b"\r\n"),
    }
}

/// However the stream is cut, the replies are the same.
fn check_cuts(whole: &Machine, stream: &[u8], cuts: &[u8]) {
    let mut places: Vec<_> = cuts
        .iter()
        .map(|cut| stream.len() * usize::from(*cut) / 256)
        .collect();
    places.sort_unstable();
    places.push(stream.len());
    let mut pieces = Machine::new();
    let mut from = 0;
    for to in places {
        pieces.feed(&stream[from..to]);
        from = to;
    }
    pieces.check_memory(stream.len());
    if whole.end == Some(End::Silent) {
        // Those who were served before the harm was seen have their replies.
        assert_eq!(pieces.end, whole.end);
        return;
    }
    assert_eq!(pieces.end, whole.end);
    assert_eq!(
        pieces.replies.escape_ascii().to_string(),
        whole.replies.escape_ascii().to_string()
    );
}

/// Writes one command, or a bit of noise.
fn command(u: &mut Unstructured<'_>, stream: &mut Vec<u8>) -> Result<()> {
    let count = u.int_in_range(0..=5)?;
    let mut words = vec![one_of(u, NAMES)?];
    for _ in 0..count {
        words.push(word(u)?);
    }
    match u.int_in_range(0..=15)? {
        0 => stream.extend_from_slice(u.bytes(1)?),
        1..=4 => write_line(&words, stream),
        _ => write_array(&words, stream),
    }
    Ok(())
}

fn word(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=9)? {
        0..=4 => one_of(u, KEYS)?,
        5..=6 => one_of(u, NUMBERS)?,
        7..=8 => one_of(u, OPTIONS)?,
        _ => {
            let length = u.int_in_range(0..=8)?;
            u.bytes(length)?.to_vec()
        }
    })
}

fn one_of(u: &mut Unstructured<'_>, words: &str) -> Result<Vec<u8>> {
    let words: Vec<_> = words.split(' ').collect();
    Ok(u.choose(&words)?.as_bytes().to_vec())
}

fn write_array(words: &[Vec<u8>], stream: &mut Vec<u8>) {
    stream.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        stream.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        stream.extend_from_slice(word);
        stream.extend_from_slice(b"\r\n");
    }
}

fn write_line(words: &[Vec<u8>], stream: &mut Vec<u8>) {
    for word in words {
        stream.push(b'"');
        for byte in word {
            stream.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
        stream.extend_from_slice(b"\" ");
    }
    stream.extend_from_slice(b"\r\n");
}

/// Words that are written down are read back, as an array and as a line.
pub fn words(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut commands = Vec::new();
    let mut stream = Vec::new();
    while !u.is_empty() && stream.len() < LONGEST {
        let words: Vec<Vec<u8>> = u.arbitrary().unwrap_or_default();
        if words.is_empty() || is_http(&words[0]) {
            continue;
        }
        match u.arbitrary() {
            Ok(true) => write_line(&words, &mut stream),
            Ok(false) | Err(_) => write_array(&words, &mut stream),
        }
        commands.push(words);
    }
    if stream.len() < LONGEST {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&stream);
        for words in commands {
            let words: Words = words.into_iter().map(Bytes::from).collect();
            assert_eq!(decoder.next_command(), Ok(Some(words)));
        }
        assert_eq!(decoder.next_command(), Ok(None));
    }
}

fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// The matcher agrees with one that tries everything.
pub fn glob(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let pattern = few_letters(&mut u, b"ab*?[]^-\\c");
    let text = few_letters(&mut u, b"abc]^-\\*");
    check_glob(&pattern, &text);
    let (pattern, text) = data.split_at(data.len().min(12) / 2);
    check_glob(pattern, &text[..text.len().min(12)]);
}

fn few_letters(u: &mut Unstructured<'_>, letters: &[u8]) -> Vec<u8> {
    let length = u.int_in_range(0..=10).unwrap_or(0);
    let letter = |_| u.choose(letters).copied().unwrap_or(b'a');
    (0..length).map(letter).collect()
}

fn check_glob(pattern: &[u8], text: &[u8]) {
    let found = Glob::new(pattern).matches(text);
    let expected = matches_naively(pattern, text);
    let [pattern, text] = [pattern, text].map(|bytes| bytes.escape_ascii().to_string());
    assert_eq!(found, expected, "{pattern} on {text}");
}

fn matches_naively(pattern: &[u8], text: &[u8]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    if first == b'*' {
        return (0..=text.len()).any(|run| matches_naively(rest, &text[run..]));
    }
    let Some((&byte, text)) = text.split_first() else {
        return false;
    };
    match (first, rest) {
        (b'?', _) => matches_naively(rest, text),
        (b'[', _) => {
            let (holds, rest) = class_holds(rest, byte);
            holds && matches_naively(rest, text)
        }
        (b'\\', [quoted, rest @ ..]) => *quoted == byte && matches_naively(rest, text),
        (literal, _) => literal == byte && matches_naively(rest, text),
    }
}

/// Whether a class holds a byte, and what follows the class.
fn class_holds(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let wanted = class.first() != Some(&b'^');
    let mut at = usize::from(!wanted);
    let mut found = false;
    while at < class.len() && class[at] != b']' {
        let quotes = class[at] == b'\\' && at + 1 < class.len();
        if quotes {
            found |= class[at + 1] == byte;
            at += 2;
        } else if class.get(at + 1) == Some(&b'-') && at + 2 < class.len() {
            let (one, other) = (class[at], class[at + 2]);
            found |= (one.min(other)..=one.max(other)).contains(&byte);
            at += 3;
        } else {
            found |= class[at] == byte;
            at += 1;
        }
    }
    (found == wanted, class.get(at + 1..).unwrap_or_default())
}

/// An integer is read if it is written as it would be printed.
pub fn integer(data: &[u8]) {
    let printed = |text: &str| {
        let number: i64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    };
    let expected = std::str::from_utf8(data).ok().and_then(printed);
    assert_eq!(parse_integer(data), expected);
    let mut u = Unstructured::new(data);
    let digits = few_letters(&mut u, b"0123456789-+ ");
    let text = std::str::from_utf8(&digits).expect("it is ASCII");
    assert_eq!(parse_integer(&digits), printed(text));
    let number: i64 = u.arbitrary().unwrap_or_default();
    assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
}

const NAMES: &str = "APPEND auth CLIENT CONFIG DBSIZE DECR DECRBY DEL ECHO EXISTS EXPIRE \
    EXPIREAT FLUSHALL FLUSHDB GET GETSET HDEL HELLO HGET HGETALL HLEN HSET INCR INCRBY INFO KEYS \
    LLEN LPOP LPUSH LRANGE MGET MSET PERSIST PEXPIRE PEXPIREAT PING PSETEX PTTL QUIT RESET RPOP \
    RPUSH SADD SCAN SCARD SELECT SET SETEX SETNX SISMEMBER SMEMBERS SPOP SREM STRLEN TTL TYPE \
    UNLINK DEBUG POST NONSENSE";
const KEYS: &str = "a b {a}c list set hash * [a-c]*";
const NUMBERS: &str = "0 1 -1 2 3 10 100000 -9223372036854775808 9223372036854775807";
const OPTIONS: &str = "NX XX GET KEEPTTL EX PX EXAT PXAT GT LT COUNT MATCH TYPE ID INFO SETNAME \
    GETNAME AUTH default string CRASH ON";
