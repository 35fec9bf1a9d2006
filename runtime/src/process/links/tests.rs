//! Exhaustive: every order in which two processes can link, unlink and die,
//! and in which the signals of each direction can arrive (in their order).

use std::collections::{HashSet, VecDeque};

use super::{Link, Links, Send};
use crate::pid::Pid;

const A: usize = 0;
const B: usize = 1;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Wire {
    Link,
    Unlink(u64),
    Ack(u64),
    Exit,
    NoProcess,
}

/// Two processes, the wires between them, and what each saw.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    links: [Vec<(Pid, Link)>; 2],
    alive: [bool; 2],
    /// `wires[X]` holds what X sent to the other.
    wires: [VecDeque<Wire>; 2],
    exits_seen: [u8; 2],
    links_made: [u8; 2],
    next_number: u64,
    operations_left: u8,
}

fn pid(of: usize) -> Pid {
    Pid::new(of as u32 + 1, 1)
}

impl World {
    fn new(operations: u8) -> Self {
        Self {
            links: [vec![], vec![]],
            alive: [true; 2],
            wires: [VecDeque::new(), VecDeque::new()],
            exits_seen: [0; 2],
            links_made: [0; 2],
            next_number: 0,
            operations_left: operations,
        }
    }

    fn with_links<R>(&mut self, of: usize, act: impl FnOnce(&mut Links) -> R) -> R {
        let mut links = Links(self.links[of].iter().copied().collect());
        let result = act(&mut links);
        self.links[of] = links.0.into_iter().collect();
        result
    }

    fn is_linked(&self, of: usize) -> bool {
        self.links[of].iter().any(|(_, link)| *link == Link::Linked)
    }

    fn send(&mut self, from: usize, signal: Send) {
        match signal {
            Send::Nothing => {}
            Send::Link => self.wires[from].push_back(Wire::Link),
            Send::Unlink(number) => self.wires[from].push_back(Wire::Unlink(number)),
        }
    }

    fn link(&mut self, of: usize) {
        let before = self.is_linked(of);
        let signal = self.with_links(of, |links| links.link(pid(1 - of)));
        self.links_made[of] += u8::from(!before);
        self.send(of, signal);
    }

    fn unlink(&mut self, of: usize) {
        let number = self.next_number;
        self.next_number += 1;
        let signal = self.with_links(of, |links| links.unlink(pid(1 - of), number));
        self.send(of, signal);
    }

    fn die(&mut self, of: usize) {
        self.alive[of] = false;
        if self.is_linked(of) {
            self.wires[of].push_back(Wire::Exit);
        }
        self.links[of].clear();
    }

    /// The first signal that `from` sent arrives at the other.
    fn arrive(&mut self, from: usize) {
        let to = 1 - from;
        let signal = self.wires[from].pop_front().expect("checked by the caller");
        let other = pid(from);
        match (signal, self.alive[to]) {
            (Wire::Link, true) => self.with_links(to, |links| links.on_link(other)),
            (Wire::Link, false) => self.wires[to].push_back(Wire::NoProcess),
            (Wire::Unlink(number), alive) => {
                if alive {
                    self.with_links(to, |links| links.on_unlink(other));
                }
                self.wires[to].push_back(Wire::Ack(number));
            }
            (Wire::Ack(number), true) => {
                self.with_links(to, |links| links.on_unlink_ack(other, number));
            }
            (Wire::Exit | Wire::NoProcess, true) => {
                let counts = self.with_links(to, |links| links.on_exit(other));
                self.exits_seen[to] += u8::from(counts);
            }
            (Wire::Ack(_) | Wire::Exit | Wire::NoProcess, false) => {}
        }
    }

    fn successors(&self) -> Vec<Self> {
        let mut next = Vec::new();
        let mut step = |act: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            act(&mut world);
            next.push(world);
        };
        for of in [A, B] {
            if !self.wires[of].is_empty() {
                step(&|world| world.arrive(of));
            }
            if self.alive[of] && self.operations_left > 0 {
                step(&|world| world.operate(of, Self::link));
                step(&|world| world.operate(of, Self::unlink));
                step(&|world| world.operate(of, Self::die));
            }
        }
        next
    }

    fn operate(&mut self, of: usize, act: fn(&mut Self, usize)) {
        self.operations_left -= 1;
        act(self, of);
    }

    fn check_at_rest(&self) {
        if !self.wires.iter().all(VecDeque::is_empty) {
            return;
        }
        match self.alive {
            // LINK-11.
            [true, true] => assert_eq!(self.is_linked(A), self.is_linked(B), "{self:?}"),
            // LINK-12, LINK-13: no link to the dead stays, silently or not.
            [true, false] => assert!(self.links[A].is_empty(), "{self:?}"),
            [false, true] => assert!(self.links[B].is_empty(), "{self:?}"),
            [false, false] => {}
        }
        if self.alive == [true, true] {
            let leaving = |of: usize| self.links[of].iter().any(|(_, l)| *l != Link::Linked);
            assert!(
                !leaving(A) && !leaving(B),
                "an unlink was never acknowledged: {self:?}"
            );
        }
    }
}

/// LINK-07, LINK-10, LINK-11, LINK-12, LINK-13, LINK-15.
#[test]
fn links_are_the_same_at_both_ends_whatever_the_order() {
    let mut seen = HashSet::new();
    let mut open = vec![World::new(7)];
    while let Some(world) = open.pop() {
        world.check_at_rest();
        for next in world.successors() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    assert!(seen.len() > 10_000, "only {} states", seen.len());
}

/// LINK-02, LINK-15.
#[test]
fn linking_twice_is_linking_once() {
    let mut links = Links::default();
    assert_eq!(links.link(pid(B)), Send::Link);
    assert_eq!(links.link(pid(B)), Send::Nothing);
    links.on_link(pid(B));
    assert_eq!(links.linked().count(), 1);
    assert!(links.on_exit(pid(B)));
    assert!(!links.on_exit(pid(B)));
}

/// LINK-04.
#[test]
fn unlinking_what_is_not_linked_does_nothing() {
    let mut links = Links::default();
    assert_eq!(links.unlink(pid(B), 1), Send::Nothing);
}

/// LINK-07.
#[test]
fn an_exit_that_crosses_an_unlink_does_not_count() {
    let mut links = Links::default();
    let _ = links.link(pid(B));
    assert_eq!(links.unlink(pid(B), 1), Send::Unlink(1));
    assert!(!links.on_exit(pid(B)));
}

/// LINK-10.
#[test]
fn linking_again_while_the_unlink_is_under_way_is_a_whole_link() {
    let mut links = Links::default();
    let _ = links.link(pid(B));
    let _ = links.unlink(pid(B), 1);
    assert_eq!(links.link(pid(B)), Send::Link);
    links.on_unlink_ack(pid(B), 1);
    assert!(links.on_exit(pid(B)));
}
