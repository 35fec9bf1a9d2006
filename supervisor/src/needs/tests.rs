use super::{check_circles, check_needs};
use crate::child_spec::{ChildId, ChildSpec, Restart, SpecError};
use crate::testing::spec;

/// Children written `a:bc d`, for an a that needs b and c and a d that needs
/// nobody.
fn parse(children: &str) -> Vec<ChildSpec> {
    let one = |child: &str| {
        let (id, needs) = child.split_once(':').unwrap_or((child, ""));
        let needs = needs.chars().map(String::from);
        spec(id, Restart::Permanent).after(needs)
    };
    children.split_whitespace().map(one).collect()
}

#[track_caller]
fn check(children: &str, circle: &str) {
    let specs = parse(children);
    let expected: Vec<_> = circle
        .chars()
        .map(|id| ChildId::from(String::from(id)))
        .collect();
    match check_circles(specs.iter()) {
        Ok(()) => assert_eq!(circle, "", "{children}"),
        Err(SpecError::NeedsInCircle(found)) => assert_eq!(found, expected, "{children}"),
        Err(other) => panic!("{other}"),
    }
}

/// XSUP-44
#[test]
fn a_circle_is_found_and_named_wherever_it_is() {
    check("", "");
    check("a b c", "");
    check("a:b b:c c", "");
    check("a:bc b:d c:d d", "");
    check("a:a", "aa");
    check("a:b b:a", "aba");
    check("a:b b:c c:d d:b", "bcdb");
    check("x a:xb b:xc c:x d:e e:d", "ded");
    check("a:bc b:d c:d d:c", "dcd");
    // One that nobody knows is in no circle.
    check("a:z b:za", "");
}

/// XSUP-44
#[test]
fn a_need_that_cannot_be_met_is_named() {
    let mut specs = parse("a:bz b c:b");
    let check = |child: usize, specs: &[ChildSpec]| {
        check_needs(&specs[child], |id| {
            specs.iter().find(|spec| spec.id() == id)
        })
    };
    let unknown = SpecError::UnknownNeed("a".into(), "z".into());
    assert_eq!(check(0, &specs), Err(unknown));
    assert_eq!(check(1, &specs), Ok(()));
    assert_eq!(check(2, &specs), Ok(()));
    specs[1] = spec("b", Restart::Temporary);
    let temporary = SpecError::TemporaryNeed("c".into(), "b".into());
    assert_eq!(check(2, &specs), Err(temporary));
}

#[test]
fn a_chain_of_any_length_is_walked() {
    let last = 100_000;
    let chain = (0..last).map(|number: u32| {
        spec(&number.to_string(), Restart::Permanent).after([(number + 1).to_string()])
    });
    let end = spec(&last.to_string(), Restart::Permanent);
    let mut specs: Vec<_> = chain.chain([end]).collect();
    assert_eq!(check_circles(specs.iter()), Ok(()));
    let end = specs.pop().expect("it is there").after(["0"]);
    specs.push(end);
    assert!(check_circles(specs.iter()).is_err());
}
