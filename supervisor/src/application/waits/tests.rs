//! Tables of waits.

use super::*;

/// `"a>b c; b>a"`: first somebody of a waits for b and c, then one of b for a.
#[track_caller]
fn check(text: &str, expected: Option<(u64, &str)>) {
    let wait = |(number, wait): (u64, &str)| {
        let (holds, on) = wait.split_once('>').expect("it is `who>whom`");
        let on = on.split_whitespace().map(Name::from).collect();
        let holds = Name::from(holds.trim());
        Wait { number, holds, on }
    };
    let waits: Vec<_> = (1..).zip(text.split(';')).map(wait).collect();
    let found = circle(&waits).map(|circle| {
        let names: Vec<_> = circle.names.iter().map(Name::as_str).collect();
        (circle.number, names.join(" "))
    });
    let found = found.as_ref().map(|(number, names)| (*number, &**names));
    assert_eq!(found, expected, "{text}");
}

/// XAPP-01
#[test]
fn the_wait_that_closes_a_circle_is_found() {
    check("a>b", None);
    check("a>b; b>c; a>c", None);
    check("a>a", Some((1, "a")));
    check("a>b; b>a", Some((2, "b a")));
    check("a>b; b>c; c>a", Some((3, "c a b")));
    check("a>b; c>d; b>c; d>b; d>a", Some((4, "d b c")));
    check("a>b c; c>d; d>a", Some((3, "d a c")));
    check("a>b; a>c; b>d; c>d; d>e; e>f a", Some((6, "e a b d")));
}
