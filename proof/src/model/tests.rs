use super::explore::{racy, settled};
use crate::program::{Op, Program, Reason, Tie};

#[track_caller]
fn check(
    explored: Result<
        std::collections::BTreeSet<crate::observation::Observation>,
        super::explore::TooMany,
    >,
    expected: &[&str],
) {
    let seen: Vec<_> = explored.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(seen, expected);
}

fn program(initial: usize, processes: usize, steps: &[(usize, Op)]) -> Program {
    Program {
        initial,
        processes,
        steps: steps.to_vec(),
    }
}

const QUIET: &str = "alive log= mail= traps=false links= monitors=0 by= name=";

#[test]
fn kill_is_told_as_killed_along_links() {
    let steps = [
        (0, Op::TrapExit(true)),
        (0, Op::Spawn(1, Tie::Link)),
        (0, Op::Exit(1, Reason::Kill)),
    ];
    let trapped = "alive log=t:false mail=e1.killed traps=true links= monitors=0 by= name= | dead.killed log=";
    check(settled(&program(1, 2, &steps)), &[trapped]);
}

#[test]
fn both_ends_agree_whatever_they_did_at_once() {
    let steps = [
        (0, Op::Link(1)),
        (0, Op::Unlink(1)),
        (1, Op::Link(0)),
        (1, Op::Unlink(0)),
        (1, Op::Link(0)),
    ];
    let linked = |other| QUIET.replace("links=", &format!("links={other}"));
    let both = format!("{} | {}", linked(1), linked(0));
    let none = format!("{QUIET} | {QUIET}");
    check(racy(&program(2, 2, &steps)), &[&none, &both]);
}
