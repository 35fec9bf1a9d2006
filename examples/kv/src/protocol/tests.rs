use super::*;

/// Feeds `input` in pieces of `step` bytes and tells what came of it.
fn decode(input: &[u8], step: usize) -> (Vec<Words>, Option<String>) {
    let mut decoder = Decoder::default();
    let mut commands = Vec::new();
    for piece in input.chunks(step) {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.next_command() {
                Ok(Some(words)) => commands.push(words),
                Ok(None) => break,
                Err(Broken::Refused(error)) => return (commands, Some(error.to_string())),
                Err(Broken::Http) => return (commands, Some("HTTP".to_owned())),
            }
        }
    }
    (commands, None)
}

#[track_caller]
fn check(input: &[u8], expected: &[&[&str]]) {
    for step in [1, 3, input.len()] {
        assert_eq!(
            decode(input, step),
            (expected.iter().map(|c| words(c)).collect(), None)
        );
    }
}

fn words(command: &[&str]) -> Words {
    command
        .iter()
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect()
}

#[track_caller]
fn check_refused(input: &[u8], expected: &str) {
    for step in [1, input.len()] {
        let (_, error) = decode(input, step);
        assert_eq!(
            error.as_deref(),
            Some(format!("ERR Protocol error: {expected}").as_str())
        );
    }
}

#[test]
fn arrays_of_strings_are_commands() {
    check(b"*1\r\n$4\r\nPING\r\n", &[&["PING"]]);
    check(
        b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n*1\r\n$0\r\n\r\n",
        &[&["ECHO", "a\r\nb"], &[""]],
    );
}

#[test]
fn empty_and_negative_arrays_are_skipped() {
    check(b"*0\r\n*-1\r\n*-7\r\n*1\r\n$4\r\nPING\r\n", &[&["PING"]]);
}

#[test]
fn lines_are_commands_too() {
    check(b"PING\r\n  \r\n\nGET  a\n", &[&["PING"], &["GET", "a"]]);
    check(
        b"SET k\"a b\" 'c\\'d\\n'\r\n",
        &[&["SET", "ka b", "c'd\\n"]],
    );
    check(
        b"ECHO \"\\x41\\n\\q\\\"\" \"\"\r\n",
        &[&["ECHO", "A\nq\"", ""]],
    );
}

#[test]
fn half_a_command_waits_for_the_rest() {
    for input in [
        "*1\r\n$4\r\nPING\r",
        "*1\r\n$4",
        "*",
        "*2147483647\r\n",
        "PING",
        "*1\r\n\0\r\n",
    ] {
        assert_eq!(decode(input.as_bytes(), 1), (Vec::new(), None), "{input:?}");
    }
}

#[test]
fn broken_headers_are_refused_in_the_words_of_redis() {
    for header in ["*a", "*", "*01", "*+1", "* 1", "*2147483648"] {
        check_refused(
            format!("{header}\r\n").as_bytes(),
            "invalid multibulk length",
        );
    }
    for header in ["$a", "$", "$-1", "$04", "$+4", "$536870913"] {
        check_refused(
            format!("*1\r\n{header}\r\n").as_bytes(),
            "invalid bulk length",
        );
    }
    check_refused(b"*1\r\nPING\r\n", "expected '$', got 'P'");
    check_refused(b"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'");
    check_refused(b"*1\r\n\r\n", "expected '$', got ' '");
}

#[test]
fn endless_lines_are_refused() {
    let endless = |head: &str| [head.as_bytes(), &[b'1'; MAX_LINE + 1]].concat();
    for (head, complaint) in [
        ("", "too big inline request"),
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
    ] {
        let (_, error) = decode(&endless(head), usize::MAX);
        assert_eq!(error, Some(format!("ERR Protocol error: {complaint}")));
    }
}

#[test]
fn limits_are_those_of_redis() {
    for (before, head) in [("", ""), ("", "*"), ("*1\r\n", "$")] {
        let line = [head.as_bytes(), &[b'1'; 65_536][head.len()..]].concat();
        let input = [before.as_bytes(), &line].concat();
        assert_eq!(decode(&input, usize::MAX), (Vec::new(), None), "{head:?}");
    }
    let half_a_gibibyte = b"*1\r\n$536870912\r\n";
    assert_eq!(decode(half_a_gibibyte, 1), (Vec::new(), None));
    let most_strings = b"*2147483647\r\n";
    assert_eq!(decode(most_strings, 1), (Vec::new(), None));
}

/// Redis looks for the end of a line as C does.
#[test]
fn line_ends_behind_a_nul_are_not_seen() {
    for input in ["PING\0\r\n", "*1\0\r\n", "*1\r\n$4\0\r\nPING\r\n"] {
        assert_eq!(decode(input.as_bytes(), 1), (Vec::new(), None), "{input:?}");
    }
    let endless = [b"PING\0", &[b'\n'; 65_536][..]].concat();
    let (_, error) = decode(&endless, usize::MAX);
    let complaint = "ERR Protocol error: too big inline request";
    assert_eq!(error.as_deref(), Some(complaint));
}

#[test]
fn quotes_must_close_where_a_word_ends() {
    for line in ["SET \"a", "'PING'x", "\"PING\"x", "'a"] {
        check_refused(
            format!("{line}\r\n").as_bytes(),
            "unbalanced quotes in request",
        );
    }
}

#[test]
fn requests_of_browsers_are_broken_off() {
    let (_, end) = decode(b"POST / HTTP/1.1\r\n", 1);
    assert_eq!(end.as_deref(), Some("HTTP"));
    let (commands, end) = decode(b"GET / HTTP/1.1\r\nHost: here\r\n", 1);
    assert_eq!((commands.len(), end.as_deref()), (1, Some("HTTP")));
}

#[test]
fn commands_before_a_broken_one_are_kept() {
    let (commands, error) = decode(b"PING\r\n*a\r\nPING\r\n", usize::MAX);
    assert_eq!(commands, [words(&["PING"])]);
    assert!(error.is_some());
}

#[test]
fn a_nest_of_arrays_does_not_exhaust_the_stack() {
    check_refused(&b"*1\r\n".repeat(100_000), "expected '$', got '*'");
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let alphabet = b"*$0123456789-\r\n \"'\\xPING\0\xff:+";
        let length = random.usize(1..40);
        let input: Vec<u8> = (0..length)
            .map(|_| alphabet[random.usize(..alphabet.len())])
            .collect();
        let whole = decode(&input, input.len());
        assert_eq!(
            decode(&input, 1),
            whole,
            "{:?}",
            input.escape_ascii().to_string()
        );
    }
}
