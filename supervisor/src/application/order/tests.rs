//! Tables of starts.

use super::*;

/// `"a: b c?; b"`: a needs b, and c if it is there.
fn needs(text: &str) -> Needs {
    let need = |word: &str| Need {
        name: word.trim_end_matches('?').into(),
        necessity: match word.ends_with('?') {
            true => Necessity::Optional,
            false => Necessity::Required,
        },
    };
    let application = |line: &str| {
        let (name, needs) = line.split_once(':').unwrap_or((line, ""));
        let needs = needs.split_whitespace().map(need).collect();
        (Name::from(name.trim()), needs)
    };
    text.split(';').map(application).collect()
}

fn names(text: &str) -> Vec<Name> {
    text.split_whitespace().map(Name::from).collect()
}

fn joined(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(Name::as_str).collect();
    names.join(" ")
}

/// The rounds of a start in which each one runs before the next is asked for.
#[track_caller]
fn check(mode: StartMode, loaded: &str, wanted: &str, expected: &[&str]) {
    let mut plan = Plan::new(&needs(loaded), &names(wanted), mode).expect("there is an order");
    let mut rounds = Vec::new();
    while !plan.is_done() {
        let round = plan.next();
        assert!(!round.is_empty(), "stuck after {rounds:?}");
        round.iter().for_each(|name| plan.started(name));
        rounds.push(joined(&round));
    }
    assert_eq!(rounds, expected);
}

#[track_caller]
fn check_no_order(loaded: &str, wanted: &str, expected: NoOrder) {
    let plan = Plan::new(&needs(loaded), &names(wanted), StartMode::Serial);
    assert_eq!(plan.map(drop), Err(expected));
}

/// APP-02
#[test]
fn what_is_needed_comes_first() {
    use StartMode::Serial;
    check(Serial, "a; b; c", "b", &["b"]);
    check(Serial, "a: b; b: c; c", "a", &["c", "b", "a"]);
    check(Serial, "a: b c; b: d; c: d; d", "a", &["d", "b", "c", "a"]);
    check(Serial, "a; b", "b a b", &["b", "a"]);
    check(Serial, "a", "", &[]);
}

/// APP-03
#[test]
fn what_does_not_need_each_other_starts_side_by_side() {
    use StartMode::Concurrent;
    check(Concurrent, "a; b; c: a", "c b", &["a b", "c"]);
    check(Concurrent, "a: b c; b: d; c: d; d", "a", &["d", "b c", "a"]);
}

/// APP-03
#[test]
fn what_is_optional_may_be_missing() {
    use StartMode::Serial;
    check(Serial, "a: b?", "a", &["a"]);
    check(Serial, "a: b?; b", "a", &["b", "a"]);
}

#[test]
fn what_is_missing_is_named() {
    check_no_order("a: b", "a", NoOrder::NotLoaded("b".into()));
    check_no_order("a", "x", NoOrder::NotLoaded("x".into()));
}

#[test]
fn those_that_need_each_other_are_named_and_nobody_else() {
    check_no_order(
        "a: b; b: c; c: d; d: b e; e",
        "a",
        NoOrder::Cycle(names("b c d")),
    );
    check_no_order("a: a", "a", NoOrder::Cycle(names("a")));
    check_no_order("a: b?; b: a", "a", NoOrder::Cycle(names("a b")));
}

/// In a serial start nothing is begun before the one under way is up.
#[test]
fn a_serial_start_waits_for_each() {
    let mut plan = Plan::new(&needs("a; b"), &names("a b"), StartMode::Serial).unwrap();
    assert_eq!(joined(&plan.next()), "a");
    assert_eq!(joined(&plan.next()), "");
    assert!(plan.is_under_way());
    plan.started(&"a".into());
    assert_eq!(joined(&plan.next()), "b");
    plan.failed(&"b".into());
    assert!(!plan.is_under_way() && !plan.is_done());
    assert_eq!(joined(&plan.next()), "");
}
