use super::*;

fn encoded(reply: Reply, protocol: Protocol) -> String {
    let mut out = BytesMut::new();
    reply.encode(protocol, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[track_caller]
fn check(reply: Reply, resp2: &str, resp3: &str) {
    assert_eq!(encoded(reply.clone(), Protocol::Resp2), resp2);
    assert_eq!(encoded(reply, Protocol::Resp3), resp3);
}

#[test]
fn scalars_are_the_same_in_both_versions() {
    check(Reply::ok(), "+OK\r\n", "+OK\r\n");
    check(Reply::Integer(-7), ":-7\r\n", ":-7\r\n");
    check(Reply::literal("a b"), "$3\r\na b\r\n", "$3\r\na b\r\n");
    check(
        Reply::Error(Error::SYNTAX),
        "-ERR syntax error\r\n",
        "-ERR syntax error\r\n",
    );
}

#[test]
fn nulls_differ() {
    check(Reply::Null, "$-1\r\n", "_\r\n");
    check(Reply::NullArray, "*-1\r\n", "_\r\n");
    check(
        Reply::Array(vec![Reply::Null]),
        "*1\r\n$-1\r\n",
        "*1\r\n_\r\n",
    );
}

#[test]
fn aggregates_are_flat_in_resp2() {
    let member = || Reply::literal("a");
    check(
        Reply::Array(vec![member()]),
        "*1\r\n$1\r\na\r\n",
        "*1\r\n$1\r\na\r\n",
    );
    check(
        Reply::Set(vec![member()]),
        "*1\r\n$1\r\na\r\n",
        "~1\r\n$1\r\na\r\n",
    );
    check(
        Reply::Map(vec![(member(), Reply::Integer(1))]),
        "*2\r\n$1\r\na\r\n:1\r\n",
        "%1\r\n$1\r\na\r\n:1\r\n",
    );
    check(Reply::Array(Vec::new()), "*0\r\n", "*0\r\n");
}

#[test]
fn text_says_that_it_is_text() {
    let text = Reply::Text(Bytes::from_static(b"hi"));
    check(text, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
}

#[test]
fn an_error_may_quote_any_byte() {
    let mut out = BytesMut::new();
    Reply::Error(Error::quoting(&[b"ERR '\xff'"])).encode(Protocol::Resp3, &mut out);
    assert_eq!(&out[..], b"-ERR '\xff'\r\n");
}

#[test]
fn every_number_has_its_own_length() {
    let edges = (0..=18).flat_map(|digits| {
        let power = 10_i64.pow(digits);
        [power - 1, power, power + 1, 1 - power, -power]
    });
    for number in edges.chain([i64::MAX, i64::MIN]) {
        let expected = format!(":{number}\r\n");
        check(Reply::Integer(number), &expected, &expected);
    }
}

#[test]
fn replies_follow_each_other_in_the_buffer() {
    let mut out = BytesMut::new();
    Reply::Integer(999_999_999_999_999_999).encode(Protocol::Resp2, &mut out);
    Reply::ok().encode(Protocol::Resp2, &mut out);
    assert_eq!(&out[..], b":999999999999999999\r\n+OK\r\n");
}
