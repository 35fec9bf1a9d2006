//! The table of children keeps its order and its indices.

use std::collections::BTreeSet;

use super::*;
use crate::testing::{pid, spec};

fn family() -> (Children, [Rank; 3]) {
    let mut children = Children::default();
    let ranks = ["a", "b", "c"].map(|id| children.append(spec(id, Restart::Permanent)));
    (children, ranks)
}

fn ids(children: &Children) -> String {
    children
        .iter()
        .map(|child| child.spec.id().to_string())
        .collect()
}

/// SUP-100
#[test]
fn children_keep_the_order_of_their_coming() {
    let (mut children, [_, b, _]) = family();
    children.remove(b);
    children.append(spec("b", Restart::Permanent));
    assert_eq!(ids(&children), "acb");
}

#[test]
fn scopes_reach_from_a_child_to_the_end() {
    let (children, [a, b, c]) = family();
    let first = |scope| children.first_in(scope).map(|(rank, _)| rank);
    let last = |scope| children.last_in(scope).map(|(rank, _)| rank);
    assert_eq!((first(Scope::ALL), last(Scope::ALL)), (Some(a), Some(c)));
    assert_eq!(
        (first(Scope::from(b)), last(Scope::from(b))),
        (Some(b), Some(c))
    );
    assert_eq!(
        (first(Scope::only(b)), last(Scope::only(b))),
        (Some(b), Some(b))
    );
    assert_eq!(last(Scope::from(b).before(b)), None);
    assert_eq!(first(Scope::only(b).after(b)), None);
    assert_eq!(first(Scope::ALL.after(c)), None);
}

#[test]
fn child_is_found_by_pid_only_while_it_runs() {
    let (mut children, [a, ..]) = family();
    let found = |children: &Children, number| children.find_pid(pid(number)).map(|(rank, _)| rank);
    children.started(a, pid(1));
    assert_eq!(found(&children, 1), Some(a));
    children.started(a, pid(2));
    assert_eq!((found(&children, 1), found(&children, 2)), (None, Some(a)));
    children.restarting(a);
    assert_eq!(found(&children, 2), None);
    children.started(a, pid(3));
    children.remove(a);
    assert_eq!(found(&children, 3), None);
}

#[test]
fn child_has_a_pid_only_while_it_runs() {
    let (mut children, [a, ..]) = family();
    let found = |children: &Children| children.get(a).expect("it exists").pid();
    assert_eq!(found(&children), None);
    children.started(a, pid(1));
    assert_eq!(found(&children), Some(pid(1)));
    children.restarting(a);
    assert_eq!(found(&children), None);
}

/// SUP-104, SUP-106
#[test]
fn ticket_is_good_until_something_else_happens_to_the_child() {
    let (mut children, [a, ..]) = family();
    let first = children.restarting(a);
    assert_eq!(children.find_ticket(first), Some(a));
    let second = children.restarting(a);
    assert_eq!(
        (children.find_ticket(first), children.find_ticket(second)),
        (None, Some(a))
    );
    children.stopped(a);
    assert_eq!(children.find_ticket(second), None);
    let third = children.restarting(a);
    children.remove(a);
    assert_eq!(children.find_ticket(third), None);
}

/// SUP-38, SUP-163
#[test]
fn temporary_child_that_runs_has_let_its_start_function_go() {
    let mut children = Children::default();
    let kept = children.append(spec("kept", Restart::Transient));
    let gone = children.append(spec("gone", Restart::Temporary));
    children.started(kept, pid(1));
    children.started(gone, pid(2));
    let check = |rank| children.get(rank).expect("it exists").spec.check();
    assert_eq!(check(kept), Ok(()));
    assert!(check(gone).is_err());
}

/// SUP-32
#[test]
fn temporary_child_that_stops_is_forgotten() {
    let mut children = Children::default();
    let rank = children.append(spec("x", Restart::Temporary));
    children.started(rank, pid(1));
    children.stopped(rank);
    assert!(children.get(rank).is_none());
    assert!(children.find(&"x".into()).is_none());
    assert!(children.find_pid(pid(1)).is_none());
}

/// Children that come and go leave nothing behind.
#[test]
fn churn_leaves_the_table_empty() {
    let mut children = Children::default();
    for _ in 0..100_000 {
        let rank = children.append(spec("x", Restart::Temporary));
        children.started(rank, pid(1));
        children.stopped(rank);
    }
    assert_eq!(
        (
            children.rows.len(),
            children.by_id.len(),
            children.by_pid.len()
        ),
        (0, 0, 0)
    );
}

/// Every sequence of eight comings and goings, each looked at by every scope.
#[test]
fn rows_are_a_map_in_the_order_of_the_ranks() {
    const STEPS: u32 = 8;
    for sequence in 0..3_u32.pow(STEPS) {
        let (mut children, mut alive) = (Children::default(), BTreeSet::new());
        let mut rest = sequence;
        for step in 0..STEPS {
            let going = alive
                .iter()
                .nth(step as usize % alive.len().max(1))
                .copied();
            match (rest % 3, going) {
                (0, Some(rank)) => {
                    children.remove(rank);
                    alive.remove(&rank);
                }
                _ => {
                    let id = step.to_string();
                    alive.insert(children.append(spec(&id, Restart::Permanent)));
                }
            }
            rest /= 3;
        }
        check_rows(&children, &alive);
    }
}

#[track_caller]
fn check_rows(children: &Children, alive: &BTreeSet<Rank>) {
    assert_eq!(children.iter().count(), alive.len());
    for (first, end) in (0..9).flat_map(|first| (first..10).map(move |end| (first, end))) {
        let scope = Scope {
            first: Rank(first),
            end: Rank(end),
        };
        let mut within = alive.range(scope.first..scope.end).copied();
        let found = children.first_in(scope).map(|(rank, _)| rank);
        assert_eq!(found, within.clone().next());
        let found = children.last_in(scope).map(|(rank, _)| rank);
        assert_eq!(found, within.next_back());
        let found = children.get(scope.first).is_some();
        assert_eq!(found, alive.contains(&scope.first));
    }
}

impl Scope {
    pub(crate) fn ends(self) -> (Rank, Rank) {
        (self.first, self.end)
    }
}
