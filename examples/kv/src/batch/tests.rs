use super::*;
use crate::command::{Command, DataCommand, DebugAccess};
use crate::store::Store;
use crate::time::UnixTime;

const PARTITIONS: usize = 4;

/// Stores that stand for the partitions; some may have crashed.
struct Stores(Vec<Option<Store>>);

impl Stores {
    fn new() -> Self {
        Self(
            (0..PARTITIONS)
                .map(|seed| Some(Store::new(seed as u64)))
                .collect(),
        )
    }

    /// Runs all lines as one batch.
    fn run(&mut self, lines: &[&str]) -> String {
        let mut batch = Batch::new(PARTITIONS);
        for line in lines {
            batch.push(Protocol::Resp2, read(line));
        }
        let requests = batch.take_requests();
        let answers = requests
            .into_iter()
            .zip(&mut self.0)
            .map(|(requests, store)| match store {
                Some(store) => Ok(requests
                    .into_iter()
                    .map(|r| store.execute(r, UnixTime(0)))
                    .collect()),
                None => Err(Error::quoting(&[b"ERR down"])),
            });
        let mut out = BytesMut::new();
        batch.encode(answers.collect(), &mut out);
        String::from_utf8_lossy(&out)
            .replace("\r\n", " ")
            .trim_end()
            .to_owned()
    }
}

fn read(line: &str) -> DataCommand {
    let words = line
        .split(' ')
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect();
    match Command::read(words, DebugAccess::Refused) {
        Ok(Command::Data(data)) => data,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn replies_come_in_the_order_of_the_commands() {
    let expected = "+OK +OK $1 2 $1 1 $-1";
    assert_eq!(
        Stores::new().run(&["SET a 1", "SET b 2", "GET b", "GET a", "GET c"]),
        expected
    );
}

#[test]
fn keys_of_several_partitions_are_put_together() {
    let mut stores = Stores::new();
    assert_eq!(stores.run(&["MSET a 1 b 2 c 3 d 4 e 5"]), "+OK");
    assert_eq!(
        stores.run(&["MGET e nope a c b a"]),
        "*6 $1 5 $-1 $1 1 $1 3 $1 2 $1 1",
        "in the order asked for"
    );
    assert_eq!(
        stores.run(&["EXISTS a b nope a", "DBSIZE", "DEL a b nope", "DBSIZE"]),
        ":3 :5 :2 :3"
    );
    assert_eq!(stores.run(&["FLUSHALL", "DBSIZE", "KEYS *"]), "+OK :0 *0");
}

#[test]
fn last_of_equal_keys_wins() {
    assert_eq!(
        Stores::new().run(&["MSET a 1 b 2 a 3", "GET a"]),
        "+OK $1 3"
    );
}

#[test]
fn scan_shows_every_key_once_when_nothing_changes() {
    let mut stores = Stores::new();
    for number in 0..50 {
        stores.run(&[&format!("SET key{number} v")]);
    }
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let reply = stores.run(&[&format!("SCAN {cursor} COUNT 3")]);
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        keys.extend(
            words[4..]
                .iter()
                .filter(|w| !w.starts_with('$'))
                .map(|w| (*w).to_owned()),
        );
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(keys.len(), 50);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 50);
}

#[test]
fn any_cursor_is_answered() {
    let reply = Stores::new().run(&["SCAN 18446744073709551615"]);
    assert_eq!(reply, "*2 $1 0 *0");
}

#[test]
fn commands_that_need_a_partition_that_is_down_get_its_error() {
    let mut stores = Stores::new();
    stores.0[partition_of(b"a", PARTITIONS)] = None;
    assert_eq!(
        partition_of(b"{b}1", PARTITIONS),
        partition_of(b"b", PARTITIONS)
    );
    assert_ne!(
        partition_of(b"a", PARTITIONS),
        partition_of(b"b", PARTITIONS)
    );
    assert_eq!(
        stores.run(&["SET b 1", "GET a", "MGET a b", "DBSIZE", "GET b"]),
        "+OK -ERR down -ERR down -ERR down $1 1"
    );
}

#[test]
fn info_ends_with_the_keyspace() {
    let mut batch = Batch::new(2);
    batch.push_info(Protocol::Resp2, "# Keyspace\r\n".to_owned());
    let numbers = |all, volatile| Ok(vec![Reply::Integer(all), Reply::Integer(volatile)]);
    let mut out = BytesMut::new();
    batch.encode(vec![numbers(3, 1), numbers(4, 0)], &mut out);
    assert_eq!(
        &out[..],
        b"$44\r\n# Keyspace\r\ndb0:keys=7,expires=1,avg_ttl=0\r\n\r\n"
    );
}
