use super::*;

#[track_caller]
fn check(error: Error, expected: &[u8]) {
    assert_eq!(error.line(), expected, "{error}");
}

#[test]
fn unknown_command_quotes_its_arguments() {
    check(
        Error::unknown_command(b"foo", &["a", "b"]),
        b"ERR unknown command 'foo', with args beginning with: 'a' 'b' ",
    );
}

#[test]
fn quoted_bytes_end_at_a_nul_and_hold_no_line_end() {
    check(
        Error::unknown_command(b"P\0I", &[b"\r\n".as_slice(), b"\xff\0a".as_slice()]),
        b"ERR unknown command 'P', with args beginning with: '  ' '\xff' ",
    );
}

#[test]
fn long_names_are_cut_at_128_bytes() {
    let name = [b'x'; 200];
    let expected = [
        b"ERR unknown subcommand '",
        &name[..128],
        b"'. Try CLIENT HELP.",
    ]
    .concat();
    check(Error::unknown_subcommand("CLIENT", &name), &expected);
}

#[test]
fn quoted_arguments_stop_after_128_bytes() {
    let quoted = quote_arguments(&["x".repeat(120), "yyyyyyyyyy".to_owned(), "z".to_owned()]);
    assert_eq!(
        quoted,
        format!("'{}' 'yyyyy' ", "x".repeat(120)).into_bytes()
    );
}
