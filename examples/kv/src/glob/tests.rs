use super::*;

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    let glob = Glob::new(pattern.as_bytes());
    for text in matching {
        assert!(
            glob.matches(text.as_bytes()),
            "{pattern:?} should match {text:?}"
        );
    }
    for text in others {
        assert!(
            !glob.matches(text.as_bytes()),
            "{pattern:?} should not match {text:?}"
        );
    }
}

#[test]
fn literals_match_themselves_alone() {
    check("key", &["key"], &["", "ke", "keys", "Key"]);
    check("", &[""], &["a"]);
}

#[test]
fn star_matches_any_run() {
    check("*", &["", "a", "abc"], &[]);
    check("a*", &["a", "abc"], &["", "ba"]);
    check("*a*b", &["ab", "xaxb", "aab", "abab"], &["a", "ba", "abx"]);
    check("a**b", &["ab", "axb"], &["a"]);
}

#[test]
fn question_mark_matches_one_byte() {
    check("h?llo", &["hello", "hallo"], &["hllo", "heello"]);
}

#[test]
fn class_matches_its_ranges_in_either_order() {
    check("[a-c]", &["a", "b", "c"], &["d", "", "ab"]);
    check("[c-a]", &["a", "b", "c"], &["d"]);
    check("[^a-c]", &["d"], &["a", ""]);
    check("[a\\]]x", &["ax", "]x"], &["bx"]);
}

#[test]
fn unfinished_patterns_are_taken_as_they_are() {
    check("[ab", &["a", "b"], &["c", ""]);
    check("a\\", &["a\\"], &["a"]);
    check("[]", &[], &["", "a"]);
}

#[test]
fn backslash_quotes_a_special_byte() {
    check("a\\*", &["a*"], &["ab"]);
}

#[test]
fn many_stars_do_not_take_exponential_time() {
    let text = [b'a'; 10_000];
    let pattern = [b"a*".repeat(50), b"b".to_vec()].concat();
    assert!(!Glob::new(&pattern).matches(&text));
}
