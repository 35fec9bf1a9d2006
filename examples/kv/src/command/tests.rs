use super::*;

fn read(line: &str, debug: DebugAccess) -> Result<Command, Error> {
    let words = line
        .split_whitespace()
        .map(|word| Bytes::copy_from_slice(word.as_bytes()));
    Command::read(words.collect(), debug)
}

#[track_caller]
fn check_refused(line: &str, expected: &str) {
    let error = read(line, DebugAccess::Allowed).expect_err(line);
    assert_eq!(error.to_string(), format!("ERR {expected}"), "{line}");
}

#[test]
fn names_and_options_are_in_capitals_or_not() {
    assert_eq!(
        read("gEt k", DebugAccess::Refused),
        read("GET k", DebugAccess::Refused)
    );
    assert_eq!(
        read("set k v ex 10 nx get", DebugAccess::Refused),
        read("SET k v NX GET EX 10", DebugAccess::Refused)
    );
}

#[test]
fn wrong_arity_names_the_command() {
    for (line, name) in [
        ("GET", "get"),
        ("get a b", "get"),
        ("SET k", "set"),
        ("MSET a 1 b", "mset"),
        ("HSET h a 1 b", "hset"),
        ("PING a b", "ping"),
        ("LPOP l 1 2", "lpop"),
        ("CLIENT", "client"),
        ("CLIENT SETNAME", "client|setname"),
        ("CONFIG GET", "config|get"),
        ("COMMAND COUNT x", "command|count"),
    ] {
        check_refused(
            line,
            &format!("wrong number of arguments for '{name}' command"),
        );
    }
}

#[test]
fn unknown_names_are_quoted() {
    check_refused(
        "FOO a",
        "unknown command 'FOO', with args beginning with: 'a' ",
    );
    check_refused("CLIENT foo", "unknown subcommand 'foo'. Try CLIENT HELP.");
    check_refused(
        "client|id",
        "unknown command 'client|id', with args beginning with: ",
    );
}

#[test]
fn options_that_do_not_fit_together_are_syntax_errors() {
    for line in [
        "SET k v foo",
        "SET k v EX",
        "SET k v EX 1 PX 1",
        "SET k v NX XX",
        "SET k v XX NX",
        "SET k v KEEPTTL EX 1",
        "SET k v EX 1 KEEPTTL",
        "SCAN 0 COUNT 0",
        "SCAN 0 MATCH",
        "SCAN 0 foo 1",
        "SPOP s 1 2",
        "FLUSHDB foo",
        "FLUSHALL ASYNC SYNC",
        "AUTH a b c",
        "CLIENT NO-EVICT maybe",
    ] {
        check_refused(line, "syntax error");
    }
}

#[test]
fn numbers_are_checked() {
    for line in [
        "INCRBY n x",
        "SET k v EX x",
        "LRANGE l a b",
        "SELECT x",
        "SCAN 0 COUNT x",
    ] {
        check_refused(line, "value is not an integer or out of range");
    }
    for line in ["LPOP l x", "RPOP l -1", "SPOP s x"] {
        check_refused(line, "value is out of range, must be positive");
    }
    check_refused("SCAN x", "invalid cursor");
}

#[test]
fn conditions_of_expire_are_checked_before_its_time() {
    check_refused("EXPIRE k x foo", "Unsupported option foo");
    for line in [
        "EXPIRE k 1 NX XX",
        "EXPIRE k 1 GT NX",
        "EXPIRE k 1 NX GT LT",
    ] {
        check_refused(
            line,
            "NX and XX, GT or LT options at the same time are not compatible",
        );
    }
    check_refused(
        "EXPIRE k 1 GT LT",
        "GT and LT options at the same time are not compatible",
    );
}

#[test]
fn debug_is_refused_unless_allowed() {
    assert_eq!(
        read("DEBUG CRASH k", DebugAccess::Refused),
        Err(Error::DEBUG_NOT_ALLOWED)
    );
    let crash = Command::Data(DataCommand::Crash(Bytes::from_static(b"k")));
    assert_eq!(read("DEBUG CRASH k", DebugAccess::Allowed), Ok(crash));
}
