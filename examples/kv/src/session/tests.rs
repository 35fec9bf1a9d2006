use std::time::Duration;

use bytes::BytesMut;

use super::*;
use crate::command::DebugAccess;
use crate::protocol::Decoder;
use crate::time::{Calendar, UnixTime};

/// A session and a client that types lines.
struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = resurgam::ManualClock::new().now();
        let address = SocketAddr::from(([127, 0, 0, 1], 6380));
        let settings = Settings {
            address,
            partitions: 2,
            max_connections: 10,
            debug: DebugAccess::Refused,
            calendar: Calendar::starting(now, UnixTime(0)),
        };
        Self {
            session: Session::new(Arc::new(settings), 7, address, now),
            now,
        }
    }

    fn run(&mut self, lines: &str) -> (String, Flow) {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(lines.as_bytes());
        let (mut batch, mut flow) = (Batch::new(2), Flow::Open);
        while let Ok(Some(words)) = decoder.next_command() {
            flow = self.session.handle(words, &mut batch, self.now);
        }
        let mut out = BytesMut::new();
        batch.encode(vec![Ok(Vec::new()), Ok(Vec::new())], &mut out);
        (
            String::from_utf8_lossy(&out)
                .replace("\r\n", " ")
                .trim_end()
                .to_owned(),
            flow,
        )
    }

    #[track_caller]
    fn check(&mut self, line: &str, expected: &str) {
        assert_eq!(
            self.run(&format!("{line}\n")),
            (expected.to_owned(), Flow::Open),
            "{line}"
        );
    }
}

#[test]
fn protocol_changes_with_the_reply_to_hello() {
    let (replies, _) = Bench::new().run("CLIENT GETNAME\nHELLO 3\nCLIENT GETNAME\n");
    assert!(
        replies.starts_with("$-1 %7 $6 server $5 redis "),
        "{replies}"
    );
    assert!(replies.ends_with(" _"), "{replies}");
}

#[test]
fn wrong_hello_changes_no_protocol() {
    let mut bench = Bench::new();
    bench.check("HELLO 4", "-NOPROTO unsupported protocol version");
    bench.check(
        "HELLO x",
        "-ERR Protocol version is not an integer or out of range",
    );
    bench.check("HELLO 3 foo", "-ERR Syntax error in HELLO option 'foo'");
    bench.check(
        "HELLO 3 AUTH someone secret",
        "-WRONGPASS invalid username-password pair or user is disabled.",
    );
    bench.check("CLIENT GETNAME", "$-1");
}

#[test]
fn reset_forgets_name_and_protocol() {
    let mut bench = Bench::new();
    let _ = bench.run("HELLO 3 SETNAME me\n");
    bench.check("CLIENT GETNAME", "$2 me");
    bench.check("RESET", "+RESET");
    bench.check("CLIENT GETNAME", "$-1");
}

#[test]
fn names_have_no_spaces() {
    let mut bench = Bench::new();
    let refusal = "-ERR Client names cannot contain spaces, newlines or special characters.";
    bench.check("CLIENT SETNAME \"a b\"", refusal);
    bench.check("CLIENT SETNAME me", "+OK");
    bench.check("CLIENT SETNAME \"\"", "+OK");
    bench.check("CLIENT GETNAME", "$-1");
}

#[test]
fn quit_closes_after_its_reply() {
    assert_eq!(Bench::new().run("QUIT\n"), ("+OK".to_owned(), Flow::Close));
}

#[test]
fn there_is_one_database() {
    let mut bench = Bench::new();
    bench.check("SELECT 0", "+OK");
    bench.check("SELECT 1", "-ERR DB index is out of range");
    bench.check("SELECT -1", "-ERR DB index is out of range");
}

#[test]
fn configuration_is_found_by_patterns() {
    let mut bench = Bench::new();
    bench.check("CONFIG GET save", "*2 $4 save $0");
    bench.check("CONFIG GET APPEND*", "*2 $10 appendonly $2 no");
    bench.check("CONFIG GET nope", "*0");
    bench.check(
        "CONFIG GET s[a]ve databases",
        "*4 $9 databases $1 1 $4 save $0",
    );
}

#[test]
fn info_shows_the_sections_asked_for() {
    let mut bench = Bench::new();
    bench.now += Duration::from_secs(90);
    let (server, _) = bench.run("INFO server\n");
    assert!(server.contains("uptime_in_seconds:90 "), "{server}");
    assert!(!server.contains("# Clients"), "{server}");
    bench.check("INFO nothing", "$0");
}
