//! Exhaustive: every order in which a few processes can link, unlink and die,
//! and in which the signals of each direction can arrive (in their order).

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::{Link, Links, Send};
use crate::few::Few;
use crate::pid::Pid;

const B: usize = 1;

// So that the search knows where it has been.
impl PartialEq for Few<Pid, Link> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Few<Pid, Link> {}

impl Hash for Few<Pid, Link> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|entry| entry.hash(state));
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Wire {
    Link,
    Unlink(u64),
    Ack(u64),
    Exit,
    NoProcess,
}

/// Some processes, the wires between them, and what each has seen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World<const N: usize> {
    links: [Few<Pid, Link>; N],
    alive: [bool; N],
    /// `wires[x][y]` holds what x sent to y.
    wires: [[VecDeque<Wire>; N]; N],
    next_number: u64,
    operations_left: u8,
}

fn pid(of: usize) -> Pid {
    Pid::new(of as u32 + 1, 1)
}

impl<const N: usize> World<N> {
    fn new(operations: u8) -> Self {
        Self {
            links: std::array::from_fn(|_| Few::None),
            alive: [true; N],
            wires: std::array::from_fn(|_| std::array::from_fn(|_| VecDeque::new())),
            next_number: 0,
            operations_left: operations,
        }
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        (0..N * N).map(|n| (n / N, n % N)).filter(|(a, b)| a != b)
    }

    fn with_links<R>(&mut self, of: usize, act: impl FnOnce(&mut Links) -> R) -> R {
        let mut links = Links(std::mem::take(&mut self.links[of]));
        let result = act(&mut links);
        self.links[of] = links.0;
        result
    }

    fn send(&mut self, from: usize, to: usize, signal: Send) {
        let wire = &mut self.wires[from][to];
        match signal {
            Send::Nothing => {}
            Send::Link => wire.push_back(Wire::Link),
            Send::Unlink(number) => wire.push_back(Wire::Unlink(number)),
        }
    }

    fn link(&mut self, of: usize, other: usize) {
        let signal = self.with_links(of, |links| links.link(pid(other)));
        self.send(of, other, signal);
    }

    fn unlink(&mut self, of: usize, other: usize) {
        let number = self.next_number;
        self.next_number += 1;
        let signal = self.with_links(of, |links| links.unlink(pid(other), number));
        self.send(of, other, signal);
    }

    fn die(&mut self, of: usize) {
        self.alive[of] = false;
        let links = Links(std::mem::take(&mut self.links[of]));
        for other in 0..N {
            if links.linked().any(|linked| linked == pid(other)) {
                self.wires[of][other].push_back(Wire::Exit);
            }
        }
    }

    /// The first signal on the way from one to the other arrives.
    fn arrive(&mut self, from: usize, to: usize) {
        let wire = &mut self.wires[from][to];
        let signal = wire.pop_front().expect("checked by the caller");
        let other = pid(from);
        match (signal, self.alive[to]) {
            (Wire::Link, true) => self.with_links(to, |links| links.on_link(other)),
            (Wire::Link, false) => self.wires[to][from].push_back(Wire::NoProcess),
            (Wire::Unlink(number), alive) => {
                if alive {
                    self.with_links(to, |links| links.on_unlink(other));
                }
                self.wires[to][from].push_back(Wire::Ack(number));
            }
            (Wire::Ack(number), true) => {
                self.with_links(to, |links| links.on_unlink_ack(other, number));
            }
            (Wire::Exit | Wire::NoProcess, true) => {
                let counts = self.with_links(to, |links| links.on_exit(other));
                let again = self.with_links(to, |links| links.on_exit(other));
                assert!(!(counts && again), "one death counts twice");
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
        for (from, to) in Self::pairs() {
            if !self.wires[from][to].is_empty() {
                step(&|world| world.arrive(from, to));
            }
            if self.alive[from] && self.operations_left > 0 {
                step(&|world| world.operate(|world| world.link(from, to)));
                step(&|world| world.operate(|world| world.unlink(from, to)));
            }
        }
        for of in (0..N).filter(|&of| self.alive[of] && self.operations_left > 0) {
            step(&|world| world.operate(|world| world.die(of)));
        }
        next
    }

    fn operate(&mut self, act: impl FnOnce(&mut Self)) {
        self.operations_left -= 1;
        act(self);
    }

    fn check_at_rest(&self) {
        if self.wires.iter().flatten().all(VecDeque::is_empty) {
            for (a, b) in Self::pairs() {
                self.check_pair(a, b);
            }
        }
    }

    fn check_pair(&self, a: usize, b: usize) {
        let (here, there) = (self.links[a].get(&pid(b)), self.links[b].get(&pid(a)));
        assert!(
            !matches!(here, Some(Link::Leaving(_))),
            "an unlink was never acknowledged: {self:?}"
        );
        // LINK-11, LINK-12, LINK-13: both ends know of it or neither does, and
        // no link to the dead stays.
        if !self.alive[b] {
            assert_eq!(here, None, "{self:?}");
        }
        assert_eq!(here, there, "{self:?}");
    }

    /// All that can be reached by so many operations; how many worlds that is.
    fn explore(operations: u8) -> usize {
        let mut seen = HashSet::new();
        let mut open = vec![Self::new(operations)];
        while let Some(world) = open.pop() {
            world.check_at_rest();
            for next in world.successors() {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen.len()
    }
}

/// LINK-07, LINK-10, LINK-11, LINK-12, LINK-13, LINK-15.
#[test]
fn links_are_the_same_at_both_ends_whatever_the_order() {
    let worlds = World::<2>::explore(7);
    assert!(worlds > 10_000, "only {worlds} worlds");
}

/// As above: each process has to do with two others.
#[test]
fn links_of_three_processes_are_the_same_at_both_ends_whatever_the_order() {
    let worlds = World::<3>::explore(5);
    assert!(worlds > 10_000, "only {worlds} worlds");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes; for a release build")]
fn links_of_three_processes_are_the_same_at_both_ends_after_six_operations() {
    let worlds = World::<3>::explore(6);
    assert!(worlds > 100_000, "only {worlds} worlds");
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

/// SPAWN-02.
#[test]
fn a_newborn_is_linked_from_its_first_moment() {
    let mut links = Links::default();
    links.link_newborn(pid(B));
    assert!(links.linked().eq([pid(B)]));
    assert!(links.on_exit(pid(B)));
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
