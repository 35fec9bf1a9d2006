//! Which applications wait for each other in a circle. Pure.

use std::collections::{BTreeMap, VecDeque};

use resurgam_runtime::Name;

#[cfg(test)]
mod tests;

/// Somebody who waits for applications, and on whom one waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The later it began, the greater.
    pub(crate) number: u64,
    /// The application that goes on when this wait is over.
    pub(crate) holds: Name,
    /// Those it waits for to go on.
    pub(crate) on: Vec<Name>,
}

/// A wait that will never be over, unless it is told so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    /// Whose.
    pub(crate) number: u64,
    /// Each waits for the next, the last for the first, which is held by whose
    /// wait it is.
    pub(crate) names: Vec<Name>,
}

/// The first wait that closed a circle. `waits` are in the order in which they
/// began.
pub(crate) fn circle(waits: &[Wait]) -> Option<Circle> {
    let mut circles = waits.iter().enumerate().filter_map(|(at, wait)| {
        let names = closed_by(wait, &waits[..at])?;
        let number = wait.number;
        Some(Circle { number, names })
    });
    circles.next()
}

/// The circle that this wait closes with earlier ones.
fn closed_by(wait: &Wait, earlier: &[Wait]) -> Option<Vec<Name>> {
    // Who is waited for, directly or not, and who waits for it.
    let mut waits_for_it: BTreeMap<&Name, &Name> = BTreeMap::new();
    let mut found = VecDeque::from([wait]);
    while let Some(next) = found.pop_front() {
        for name in &next.on {
            if waits_for_it.contains_key(name) {
                continue;
            }
            waits_for_it.insert(name, &next.holds);
            if *name == wait.holds {
                return Some(back_to(name, &waits_for_it));
            }
            found.extend(earlier.iter().filter(|wait| wait.holds == *name));
        }
    }
    None
}

/// From one application along who waits for it, and so on, back to itself; in
/// the order in which they wait.
fn back_to(first: &Name, waits_for_it: &BTreeMap<&Name, &Name>) -> Vec<Name> {
    let mut names = VecDeque::new();
    let mut name = first;
    loop {
        name = waits_for_it[name];
        names.push_front(name.clone());
        if name == first {
            return names.into();
        }
    }
}

/// A circle, for people.
pub(crate) fn told(names: &[Name]) -> String {
    match names {
        [name] => format!("application {name:?} would wait for itself"),
        names => format!("applications would wait for each other: {names:?}"),
    }
}
