//! Two benchmarks of the Savina suite.

use std::sync::OnceLock;
use std::time::Duration;

use resurgam_workloads::{Chance, Colour, Tally};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Address, Behaviour, Flow, Peer};

#[derive(Serialize, Deserialize)]
enum Letter {
    Go,
    Ping(usize),
    Pong,
}

/// Sends pings to random others and waits for the pong.
struct Correspondent<P: Peer> {
    me: usize,
    all: &'static OnceLock<Vec<P::Address<Self>>>,
    chance: Chance,
    left: u64,
    done: &'static Tally,
}

impl<P: Peer> Correspondent<P> {
    fn send(&self, to: usize, letter: Letter) {
        self.all.get().expect("set before the first letter")[to].send(letter);
    }

    fn ping(&mut self) {
        let count = self.all.get().map_or(0, Vec::len);
        let other = self.chance.other_than(self.me, count);
        self.send(other, Letter::Ping(self.me));
    }
}

impl<P: Peer> Behaviour for Correspondent<P> {
    type Message = Letter;

    fn handle(&mut self, letter: Letter) -> Flow {
        match letter {
            Letter::Go => self.ping(),
            Letter::Ping(from) => self.send(from, Letter::Pong),
            Letter::Pong => {
                self.left -= 1;
                if self.left > 0 {
                    self.ping();
                } else {
                    self.done.add();
                }
            }
        }
        Flow::Continue
    }
}

pub async fn big<P: Peer>(actors: u64, each: u64) -> Duration {
    let done = Tally::leak();
    let all: &'static OnceLock<_> = Box::leak(Box::new(OnceLock::new()));
    let mut made = Vec::new();
    for me in 0..actors {
        let behaviour = Correspondent::<P> {
            me: me as usize,
            all,
            chance: Chance::new(me),
            left: each,
            done,
        };
        made.push(P::spawn(me, behaviour).await);
    }
    let all = all.get_or_init(|| made);
    let began = Instant::now();
    for actor in all {
        actor.send(Letter::Go);
    }
    done.reached(actors).await;
    began.elapsed()
}

/// What the mall hears: who is there, and in which colour.
type Visitor = (usize, u8);

/// What a creature hears.
#[derive(Serialize, Deserialize)]
enum Encounter {
    Go,
    Meet(Visitor),
    Change(u8),
}

/// Brings visitors together by two.
struct Mall<P: Peer> {
    creatures: &'static OnceLock<Vec<P::Address<Creature<P>>>>,
    waiting: Option<usize>,
    left: u64,
    done: &'static Tally,
}

impl<P: Peer> Behaviour for Mall<P> {
    type Message = Visitor;

    fn handle(&mut self, visitor: Visitor) -> Flow {
        if self.left == 0 {
            return Flow::Continue;
        }
        let Some(first) = self.waiting.take() else {
            self.waiting = Some(visitor.0);
            return Flow::Continue;
        };
        let creatures = self.creatures.get().expect("set before the first visit");
        creatures[first].send(Encounter::Meet(visitor));
        self.left -= 1;
        if self.left == 0 {
            self.done.add();
        }
        Flow::Continue
    }
}

/// Meets others and changes its colour.
struct Creature<P: Peer> {
    me: usize,
    colour: Colour,
    mall: &'static OnceLock<P::Address<Mall<P>>>,
    all: &'static OnceLock<Vec<P::Address<Creature<P>>>>,
}

impl<P: Peer> Behaviour for Creature<P> {
    type Message = Encounter;

    fn handle(&mut self, encounter: Encounter) -> Flow {
        match encounter {
            Encounter::Go => {}
            Encounter::Meet((other, colour)) => {
                self.colour = self.colour.after(Colour::of(colour.into()));
                let all = self.all.get().expect("set before the first visit");
                all[other].send(Encounter::Change(self.colour as u8));
            }
            Encounter::Change(colour) => self.colour = Colour::of(colour.into()),
        }
        let mall = self.mall.get().expect("set before the first visit");
        mall.send((self.me, self.colour as u8));
        Flow::Continue
    }
}

pub async fn chameneos<P: Peer>(creatures: u64, meetings: u64) -> Duration {
    let done = Tally::leak();
    let mall: &'static OnceLock<_> = Box::leak(Box::new(OnceLock::new()));
    let all: &'static OnceLock<_> = Box::leak(Box::new(OnceLock::new()));
    let behaviour = Mall::<P> {
        creatures: all,
        waiting: None,
        left: meetings,
        done,
    };
    assert!(mall.set(P::spawn(0, behaviour).await).is_ok());
    let mut made = Vec::new();
    for n in 0..creatures {
        let creature = Creature::<P> {
            me: n as usize,
            colour: Colour::of(n),
            mall,
            all,
        };
        made.push(P::spawn(n, creature).await);
    }
    let all = all.get_or_init(|| made);
    let began = Instant::now();
    for creature in all {
        creature.send(Encounter::Go);
    }
    done.reached(1).await;
    began.elapsed()
}
