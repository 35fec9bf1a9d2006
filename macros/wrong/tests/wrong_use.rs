//! What does not compile says what was expected, where it is wrong. After a
//! change, `TRYBUILD=overwrite` writes what it says now.

#[test]
fn wrong_use_is_told_where_it_is_and_what_was_expected() {
    trybuild::TestCases::new().compile_fail("tests/wrong/*.rs");
}
