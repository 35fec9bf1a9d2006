use std::collections::BTreeSet;

use bytes::BytesMut;

use super::*;
use crate::command::{Command, DataCommand, DebugAccess};
use crate::reply::Protocol;

/// A store and the time, driven by commands about one key.
struct Bench {
    store: Store,
    now: UnixTime,
}

impl Bench {
    fn new() -> Self {
        Self {
            store: Store::new(7),
            now: UnixTime(1_000_000),
        }
    }

    fn reply(&mut self, line: &str) -> Reply {
        let words = line
            .split(' ')
            .map(|word| Bytes::copy_from_slice(word.as_bytes()))
            .collect();
        let request = match Command::read(words, DebugAccess::Allowed) {
            Ok(Command::Data(DataCommand::Key(key, action))) => Request::Key(key, action),
            Ok(Command::Data(DataCommand::Scan(remaining, scan))) => {
                Request::Scan(crate::request::Scan {
                    remaining: remaining as usize,
                    ..scan
                })
            }
            Ok(Command::Data(DataCommand::Crash(key))) => Request::Crash(key),
            Ok(other) => panic!("{other:?} is not for one store"),
            Err(error) => return Reply::Error(error),
        };
        self.store.execute(request, self.now)
    }

    fn run(&mut self, line: &str) -> String {
        let mut out = BytesMut::new();
        self.reply(line).encode(Protocol::Resp2, &mut out);
        String::from_utf8_lossy(&out)
            .replace("\r\n", " ")
            .trim_end()
            .to_owned()
    }

    /// Runs commands and compares each reply, line ends shown as spaces.
    #[track_caller]
    fn check(&mut self, session: &[(&str, &str)]) {
        for (line, expected) in session {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }

    fn pass(&mut self, milliseconds: i64) {
        self.now.0 += milliseconds;
    }
}

#[track_caller]
fn check(session: &[(&str, &str)]) {
    Bench::new().check(session);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn set_answers_by_its_condition() {
    check(&[
        ("SET k 1 XX", "$-1"),
        ("SET k 1 NX", "+OK"),
        ("SET k 2 NX", "$-1"),
        ("SET k 3 XX GET", "$1 1"),
        ("SET k 4 NX GET", "$1 3"),
        ("SETNX k 5", ":0"),
        ("GET k", "$1 3"),
    ]);
}

#[test]
fn set_forgets_the_deadline_unless_told_to_keep_it() {
    check(&[
        ("SET k 1 EX 10", "+OK"),
        ("SET k 2 KEEPTTL", "+OK"),
        ("TTL k", ":10"),
        ("SET k 3", "+OK"),
        ("TTL k", ":-1"),
    ]);
}

#[test]
fn set_with_get_of_another_type_sets_nothing() {
    check(&[
        ("RPUSH k a", ":1"),
        ("SET k v GET", WRONG_TYPE),
        ("TYPE k", "+list"),
    ]);
}

#[test]
fn set_takes_the_place_of_any_type() {
    check(&[("RPUSH k a", ":1"), ("SET k v", "+OK"), ("GET k", "$1 v")]);
}

#[test]
fn key_expires_when_its_time_is_over() {
    let mut bench = Bench::new();
    bench.check(&[("SET k v PX 10", "+OK")]);
    bench.pass(9);
    bench.check(&[("PTTL k", ":1"), ("GET k", "$1 v")]);
    bench.pass(1);
    bench.check(&[("GET k", "$-1"), ("TTL k", ":-2"), ("EXPIRE k 10", ":0")]);
}

#[test]
fn absolute_times_count_from_1970() {
    check(&[
        ("SET k v EXAT 1010", "+OK"),
        ("TTL k", ":10"),
        ("PEXPIREAT k 1000500", ":1"),
        ("PTTL k", ":500"),
        ("SET k v PXAT 1", "+OK"),
        ("GET k", "$-1"),
    ]);
}

#[test]
fn expire_in_the_past_deletes() {
    check(&[("SET k v", "+OK"), ("EXPIRE k -1", ":1"), ("GET k", "$-1")]);
}

#[test]
fn expire_obeys_its_conditions() {
    check(&[
        ("SET k v", "+OK"),
        ("EXPIRE k 10 XX", ":0"),
        ("EXPIRE k 10 GT", ":0"),
        ("EXPIRE k 10 LT", ":1"),
        ("EXPIRE k 20 NX", ":0"),
        ("EXPIRE k 20 LT", ":0"),
        ("EXPIRE k 20 XX GT", ":1"),
        ("TTL k", ":20"),
        ("PERSIST k", ":1"),
        ("PERSIST k", ":0"),
        ("TTL k", ":-1"),
    ]);
}

#[test]
fn times_beyond_64_bits_are_refused() {
    check(&[
        (
            "SET k v EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
        ),
        (
            "SET k v PX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
        ),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
        (
            "EXPIRE k 9223372036854775807",
            "-ERR invalid expire time in 'expire' command",
        ),
        (
            "PEXPIRE k 9223372036854775807",
            "-ERR invalid expire time in 'pexpire' command",
        ),
        (
            "EXPIRE k -9223372036854775808",
            "-ERR invalid expire time in 'expire' command",
        ),
    ]);
}

#[test]
fn sums_that_do_not_fit_leave_the_number_alone() {
    check(&[
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        ("DECRBY n -1", "-ERR increment or decrement would overflow"),
        (
            "DECRBY n -9223372036854775808",
            "-ERR decrement would overflow",
        ),
        ("GET n", "$19 9223372036854775807"),
        ("DECR n", ":9223372036854775806"),
    ]);
}

#[test]
fn increment_keeps_the_deadline() {
    check(&[
        ("SET n 1 EX 10", "+OK"),
        ("INCRBY n 5", ":6"),
        ("TTL n", ":10"),
    ]);
}

#[test]
fn append_does_not_change_a_reply_on_its_way() {
    let mut bench = Bench::new();
    bench.check(&[("APPEND k ab", ":2")]);
    let before = bench.reply("GET k");
    bench.check(&[
        ("APPEND k cd", ":4"),
        ("GET k", "$4 abcd"),
        ("STRLEN k", ":4"),
    ]);
    assert_eq!(before, Reply::literal("ab"));
}

#[test]
fn range_counts_from_both_ends() {
    let mut bench = Bench::new();
    bench.check(&[("RPUSH l a b c d", ":4")]);
    for (range, expected) in [
        ("0 -1", "abcd"),
        ("1 2", "bc"),
        ("-2 -1", "cd"),
        ("-100 100", "abcd"),
        ("2 1", ""),
        ("4 9", ""),
        ("0 -5", ""),
        ("-1 -2", ""),
        ("9223372036854775807 -1", ""),
        ("0 9223372036854775807", "abcd"),
        ("-9223372036854775808 -9223372036854775808", ""),
    ] {
        let Reply::Array(items) = bench.reply(&format!("LRANGE l {range}")) else {
            panic!("not an array")
        };
        let letters = items.into_iter().map(|item| match item {
            Reply::Bulk(letter) => String::from_utf8_lossy(&letter).into_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(letters.collect::<String>(), expected, "LRANGE l {range}");
    }
}

#[test]
fn lists_are_pushed_and_popped_at_both_ends() {
    check(&[
        ("LPUSH l b a", ":2"),
        ("RPUSH l c", ":3"),
        ("RPOP l", "$1 c"),
        ("LPOP l 0", "*0"),
        ("LPOP l 9", "*2 $1 a $1 b"),
        ("LPOP l", "$-1"),
        ("LPOP l 1", "*-1"),
    ]);
}

#[test]
fn collection_without_elements_is_no_key() {
    check(&[
        ("RPUSH k a", ":1"),
        ("LPOP k", "$1 a"),
        ("TYPE k", "+none"),
        ("SADD k a", ":1"),
        ("SREM k a b", ":1"),
        ("TYPE k", "+none"),
        ("HSET k f v", ":1"),
        ("HDEL k f", ":1"),
        ("TYPE k", "+none"),
        ("SADD k a", ":1"),
        ("SPOP k 5", "*1 $1 a"),
        ("TYPE k", "+none"),
    ]);
}

#[test]
fn every_type_refuses_the_commands_of_the_others() {
    let mut bench = Bench::new();
    bench.check(&[
        ("SET s v", "+OK"),
        ("RPUSH l v", ":1"),
        ("SADD t v", ":1"),
        ("HSET h f v", ":1"),
    ]);
    let commands = [
        (
            "s",
            &["GET k", "INCR k", "APPEND k x", "STRLEN k", "GETSET k x"][..],
        ),
        ("l", &["LPUSH k x", "RPOP k", "LRANGE k 0 -1", "LLEN k"]),
        (
            "t",
            &[
                "SADD k x",
                "SREM k x",
                "SMEMBERS k",
                "SISMEMBER k x",
                "SPOP k",
                "SCARD k",
            ],
        ),
        (
            "h",
            &["HSET k f x", "HGET k f", "HGETALL k", "HDEL k f", "HLEN k"],
        ),
    ];
    for (own, commands) in commands {
        for other in ["s", "l", "t", "h"]
            .into_iter()
            .filter(|other| *other != own)
        {
            for command in commands {
                let line = command.replacen(" k", &format!(" {other}"), 1);
                assert_eq!(bench.run(&line), WRONG_TYPE, "{line}");
            }
        }
    }
}

#[test]
fn adding_counts_new_members_only() {
    check(&[
        ("SADD s a b a", ":2"),
        ("SADD s b c", ":1"),
        ("SCARD s", ":3"),
        ("SISMEMBER s c", ":1"),
        ("SISMEMBER s d", ":0"),
        ("HSET h f 1 f 2 g 3", ":2"),
        ("HGET h f", "$1 2"),
        ("HGETALL h", "*4 $1 f $1 2 $1 g $1 3"),
        ("HLEN h", ":2"),
    ]);
}

#[test]
fn popping_a_set_takes_each_member_once() {
    let mut bench = Bench::new();
    bench.check(&[("SADD s a b c d e", ":5")]);
    let popped: BTreeSet<String> = (0..5).map(|_| bench.run("SPOP s")).collect();
    assert_eq!(popped.len(), 5);
    bench.check(&[("SPOP s", "$-1"), ("SPOP s 1", "*0")]);
}

#[test]
fn same_seed_picks_the_same_members() {
    let picks = || {
        let mut bench = Bench::new();
        bench.run("SADD s a b c d e");
        (0..5).map(|_| bench.run("SPOP s")).collect::<Vec<_>>()
    };
    assert_eq!(picks(), picks());
}

#[test]
fn scan_ends_with_place_0_and_shows_what_it_is_asked_for() {
    let mut bench = Bench::new();
    bench.check(&[
        ("SET a1 v", "+OK"),
        ("RPUSH a2 v", ":1"),
        ("SET b v", "+OK"),
    ]);
    bench.check(&[
        ("SCAN 0 COUNT 1", "*2 :2 *1 $1 b"),
        ("SCAN 2 COUNT 1", "*2 :1 *1 $2 a2"),
        ("SCAN 1 COUNT 1", "*2 :0 *1 $2 a1"),
        ("SCAN 0 MATCH a*", "*2 :0 *2 $2 a1 $2 a2"),
        ("SCAN 0 TYPE LIST", "*2 :0 *1 $2 a2"),
        ("SCAN 999", "*2 :0 *3 $2 a1 $2 a2 $1 b"),
    ]);
}

#[test]
fn sweeping_ends_when_nothing_is_volatile() {
    let mut bench = Bench::new();
    bench.check(&[("SET a v PX 10", "+OK"), ("SET b v", "+OK")]);
    assert!(bench.store.is_volatile());
    bench.pass(10);
    assert_eq!(bench.store.sweep(100, bench.now), 1);
    assert!(!bench.store.is_volatile());
}

#[test]
#[should_panic(expected = "DEBUG CRASH key")]
fn crash_is_a_panic() {
    Bench::new().run("DEBUG CRASH key");
}
