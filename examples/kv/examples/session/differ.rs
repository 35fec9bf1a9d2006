//! Sends the same random commands to two servers and compares the replies.

use std::error::Error;
use std::net::SocketAddr;

use kv::reply::Protocol;

use crate::session::Client;

const COMMANDS: usize = 20_000;

/// Commands, with a letter for each argument: `k` a key, `v` a value, `n` a
/// number, `o` a flag, `t` a time. None has replies that may rightly differ.
const SHAPES: &str = "\
    GET k, SET k v, SET k n, SET k v o, SET k v o o, SET k v EX t, SET k v o PX t, \
    SET k v GET, GETSET k v, SETNX k v, SETEX k t v, DEL k k, UNLINK k, EXISTS k k k, \
    EXPIRE k t, EXPIRE k t o, EXPIRE k t o o, PEXPIRE k t o, PERSIST k, INCR k, DECR k, \
    INCRBY k n, DECRBY k n, APPEND k v, STRLEN k, MGET k k k, MSET k v k v, MSET k v k, \
    TYPE k, DBSIZE, LPUSH k v v, RPUSH k v n, LPOP k, RPOP k, LPOP k n, RPOP k n, \
    LRANGE k n n, LLEN k, SADD k v v n, SREM k v v, SISMEMBER k v, SCARD k, HSET k v v, \
    HSET k v n v, HGET k v, HDEL k v v, HLEN k, PING v, ECHO n, SELECT n, o k v, CLIENT o, \
    CONFIG o k, k v, SPOP k n n, KEYS, FLUSHDB o, AUTH v v, AUTH v, COMMAND v";
const KEYS: &[&str] = &["a", "b", "c", "d", "{a}1", "e e", ""];
const VALUES: &[&str] = &[
    "x",
    "y",
    "",
    "10",
    "-3",
    "9223372036854775807",
    "\\xff\\x00",
    "a\\r\\nb",
];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "-4",
    "01",
    "1.5",
    "x",
    "9223372036854775807",
    "-9223372036854775808",
];
const FLAGS: &[&str] = &[
    "NX", "XX", "GT", "LT", "GET", "KEEPTTL", "nx", "foo", "COUNT", "EX",
];
const ODD_TIMES: &[&str] = &["-1", "0", "x", "9223372036854775807"];

/// Compares the two until they differ.
pub(crate) fn run(one: SocketAddr, other: SocketAddr) -> Result<(), Box<dyn Error>> {
    let seed = fastrand::u64(..);
    println!("comparing {COMMANDS} random commands, seed {seed}");
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut random = fastrand::Rng::with_seed(seed);
        let [mut one, mut other] = [one, other].map(|address| Client::connect(address, protocol));
        for client in [&mut one, &mut other] {
            client.run("FLUSHALL");
        }
        for _ in 0..COMMANDS {
            let line = command(&mut random);
            let (first, second) = (one.run(&line), other.run(&line));
            if first != second {
                return Err(format!("{line}\n  one:   {first}\n  other: {second}").into());
            }
        }
    }
    Ok(())
}

fn command(random: &mut fastrand::Rng) -> String {
    let shapes: Vec<&str> = SHAPES.split(", ").collect();
    let words = pick(random, &shapes).split(' ').map(|word| match word {
        "k" => quoted(pick(random, KEYS)),
        "v" => quoted(pick(random, VALUES)),
        "n" => quoted(pick(random, NUMBERS)),
        "o" => quoted(pick(random, FLAGS)),
        "t" if random.u8(..4) == 0 => quoted(pick(random, ODD_TIMES)),
        // No two are the same, and none is over before the comparison is.
        "t" => random.u64(1_000_000..1_000_000_000).to_string(),
        name => name.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    format!("\"{word}\"")
}

fn pick<'a>(random: &mut fastrand::Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}
