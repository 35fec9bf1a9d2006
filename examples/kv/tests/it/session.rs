//! Scripted sessions: what to send, what Redis replied, and how to compare.
//!
//! A session is a text file. Its lines are
//!
//! ```text
//! # a remark
//! ~ unordered            a rule for the next command, see `Rule`
//! > SET key "a value"    a command, quoted as in redis-cli
//! >> *1\r\n$4\r\nPING    bytes as they are, with \r, \n, \xHH and \\
//!   |+OK                 what came back, a line each
//! ```
//!
//! Scripts have no replies; recordings are scripts with those of a real Redis.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kv::protocol::Decoder;
use kv::reply::Protocol;

/// Sent behind each command, so that the end of its replies is known.
const SENTINEL: &[u8] = b"*2\r\n$4\r\nECHO\r\n$12\r\nend of reply\r\n";
const SENTINEL_REPLY: &[u8] = b"$12\r\nend of reply\r\n";

/// Stands before each line of a reply.
const MARGIN: &str = "  |";

/// How two replies are compared that need not be equal byte for byte.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Rule {
    /// They must be equal.
    #[default]
    Exact,
    /// Strings in any order: sets and `KEYS`.
    Unordered,
    /// Pairs of strings in any order: hashes and `CONFIG GET`.
    UnorderedPairs,
    /// Strings of which only the number counts: random picks.
    Counted,
    /// Integers that may differ: identifiers and milliseconds.
    Numbers,
    /// Only the kind of reply counts: `INFO`, `COMMAND`.
    Kind,
    /// `SCAN`: the keys of the whole iteration, in any order, each once.
    Scan,
}

impl Rule {
    fn read(name: &str) -> Self {
        match name {
            "unordered" => Self::Unordered,
            "unordered pairs" => Self::UnorderedPairs,
            "counted" => Self::Counted,
            "numbers" => Self::Numbers,
            "kind" => Self::Kind,
            "scan" => Self::Scan,
            other => panic!("no rule is called {other:?}"),
        }
    }

    /// What of a reply is compared.
    fn normalise(self, reply: &[String]) -> Vec<String> {
        match self {
            Self::Exact | Self::Scan => reply.to_vec(),
            Self::Unordered => sorted_in_chunks(reply, 2),
            Self::UnorderedPairs => sorted_in_chunks(reply, 4),
            Self::Counted => vec![reply[0].clone(), reply.len().to_string()],
            Self::Numbers => reply.iter().map(|line| mask_number(line)).collect(),
            Self::Kind => vec![reply[0].chars().take(1).collect()],
        }
    }
}

/// Sorts what follows the first line; a string takes two lines.
fn sorted_in_chunks(reply: &[String], lines: usize) -> Vec<String> {
    let mut chunks: Vec<&[String]> = reply[1..].chunks(lines).collect();
    chunks.sort();
    [&reply[..1], &chunks.concat()].concat()
}

fn mask_number(line: &str) -> String {
    let is_number = line
        .strip_prefix(':')
        .is_some_and(|number| number.parse::<i64>().is_ok());
    if is_number {
        ":number".to_owned()
    } else {
        line.to_owned()
    }
}

/// One command of a session, with the reply that was recorded for it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The lines before the command: remarks, rules, blanks.
    lead: Vec<String>,
    /// The command as the file has it.
    line: String,
    rule: Rule,
    /// What came back, a line each.
    reply: Vec<String>,
}

/// Reads a script or a recording.
pub(crate) fn read(path: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let (mut steps, mut lead, mut rule) = (Vec::<Step>::new(), Vec::new(), Rule::default());
    for line in text.lines() {
        if let Some(reply) = line.strip_prefix(MARGIN) {
            steps
                .last_mut()
                .expect("a reply follows a command")
                .reply
                .push(reply.to_owned());
        } else if line.starts_with('>') {
            let (lead, rule) = (std::mem::take(&mut lead), std::mem::take(&mut rule));
            steps.push(Step {
                lead,
                line: line.to_owned(),
                rule,
                reply: Vec::new(),
            });
        } else {
            if let Some(name) = line.strip_prefix("~ ") {
                rule = Rule::read(name);
            }
            lead.push(line.to_owned());
        }
    }
    steps
}

/// A session as the text of a file.
pub(crate) fn text_of(steps: &[Step]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for step in steps {
        lines.extend(step.lead.iter().cloned());
        lines.push(step.line.clone());
        lines.extend(step.reply.iter().map(|line| format!("{MARGIN}{line}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Runs the commands against a server that may be asked to forget everything,
/// and puts its replies in the place of those recorded.
pub(crate) fn record(address: SocketAddr, protocol: Protocol, mut steps: Vec<Step>) -> Vec<Step> {
    let mut client = Client::connect(address, protocol);
    client.exchange(b"FLUSHALL\r\n");
    for step in &mut steps {
        step.reply = match step.rule {
            Rule::Scan => client.scan(&step.line),
            // Long, and of no use to keep.
            Rule::Kind => Rule::Kind.normalise(&lines_of(&client.exchange(&bytes_of(&step.line)))),
            _ => lines_of(&client.exchange(&bytes_of(&step.line))),
        };
    }
    steps
}

/// Compares two runs of a session. Tells all that differs.
pub(crate) fn compare(recorded: &[Step], live: &[Step]) -> Result<(), String> {
    let mut differences = String::new();
    for (recorded, live) in recorded.iter().zip(live) {
        let [expected, got] =
            [recorded, live].map(|step| recorded.rule.normalise(&step.reply).join("\n    "));
        if expected != got {
            let line = &recorded.line;
            write!(
                differences,
                "{line}\n  expected:\n    {expected}\n  got:\n    {got}\n"
            )
            .expect("a string takes it");
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

/// Every script, by name.
pub(crate) fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let entries = std::fs::read_dir(&folder).expect("the folder of scripts is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut scripts: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    scripts
}

/// Where the recording of a script is kept.
pub(crate) fn recording(script: &Path, protocol: Protocol) -> PathBuf {
    let name = script
        .file_stem()
        .expect("a script has a name")
        .to_string_lossy();
    script.with_file_name(format!("recorded/{name}.resp{}", protocol.version()))
}

/// A client that waits for the replies to each thing it sends.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    protocol: Protocol,
    socket: TcpStream,
}

impl Client {
    /// Connects and chooses a protocol.
    pub(crate) fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        // A server that never replies shall fail the test, not hang it.
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout can be set");
        let mut client = Self {
            address,
            protocol,
            socket,
        };
        if protocol == Protocol::Resp3 {
            client.exchange(b"HELLO 3\r\n");
        }
        client
    }

    /// Sends bytes and returns all that comes back. If the server closes the
    /// connection, the answer ends with `EOF`, and the client connects anew.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        // The server may have closed the connection before it has read all.
        let _ = self.socket.write_all(&[request, SENTINEL].concat());
        let mut answer = Vec::new();
        let mut buffer = [0; 64 * 1024];
        while !answer.ends_with(SENTINEL_REPLY) {
            match self.socket.read(&mut buffer) {
                Ok(0) => return self.closed(answer),
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return self.closed(answer);
                }
                Err(error) => {
                    let beginning = escape(&request[..request.len().min(100)]);
                    panic!("no reply to {beginning:?}: {error}")
                }
            }
        }
        answer.truncate(answer.len() - SENTINEL_REPLY.len());
        answer
    }

    /// Runs a command, quoted as in redis-cli, and returns its reply as text.
    pub(crate) fn run(&mut self, line: &str) -> String {
        lines_of(&self.exchange(&bytes_of(&format!("> {line}")))).join(" ")
    }

    fn closed(&mut self, mut answer: Vec<u8>) -> Vec<u8> {
        *self = Self::connect(self.address, self.protocol);
        answer.extend_from_slice(b"EOF\r\n");
        answer
    }

    /// Runs a whole iteration; `line` has it begin with cursor 0.
    fn scan(&mut self, line: &str) -> Vec<String> {
        let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
        loop {
            let step = line.replacen("SCAN 0", &format!("SCAN {cursor}"), 1);
            let reply = lines_of(&self.exchange(&bytes_of(&step)));
            cursor = reply[2].clone();
            keys.extend(reply[4..].chunks(2).map(|string| string[1].clone()));
            if cursor == "0" {
                keys.sort();
                return keys;
            }
        }
    }
}

/// What a line of a session sends.
fn bytes_of(line: &str) -> Vec<u8> {
    if let Some(raw) = line.strip_prefix(">> ") {
        return unescape(raw);
    }
    let mut decoder = Decoder::default();
    decoder.buffer().extend_from_slice(&line.as_bytes()[1..]);
    decoder.buffer().extend_from_slice(b"\n");
    let words = decoder
        .next_command()
        .ok()
        .flatten()
        .expect("the line is a command");
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(&word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The lines of an answer, escaped so that they are text.
fn lines_of(answer: &[u8]) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let mut rest = answer;
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\r\n") {
            rest = tail;
            lines.push(Vec::new());
        } else {
            rest = tail;
            lines.last_mut().expect("there is always a line").push(byte);
        }
    }
    // What follows the last line end is nothing, unless a reply was cut short.
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines.iter().map(|line| visible_end(escape(line))).collect()
}

/// A space at the end of a line would be lost on the next who edits the file.
fn visible_end(line: String) -> String {
    match line.strip_suffix(' ') {
        Some(rest) => format!("{rest}\\x20"),
        None => line,
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => write!(text, "\\x{other:02x}").expect("a string takes it"),
        }
    }
    text
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let plain = match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'x') => {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    let digits = str::from_utf8(&digits).expect("hex digits are ASCII");
                    u8::from_str_radix(digits, 16).expect("two hex digits follow \\x")
                }
                Some(other) => other,
                None => panic!("{text:?} ends within an escape"),
            },
            other => other,
        };
        bytes.push(plain);
    }
    bytes
}
