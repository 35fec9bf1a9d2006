//! Messages and calls.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use resurgam_workloads::Tally;
use tokio::time::Instant;

use super::{Address, Behaviour, Flow, Peer};

/// Where an actor finds others that are made after it.
type Late<T> = &'static OnceLock<T>;

fn late<T>() -> Late<T> {
    Box::leak(Box::new(OnceLock::new()))
}

fn get<T>(late: Late<T>) -> &'static T {
    late.get().expect("set before anything was sent")
}

/// One of two that send a number to and fro; the one with rounds counts them.
struct Player<P: Peer> {
    other: Late<P::Address<Player<P>>>,
    rounds: Option<u64>,
    done: &'static Tally,
}

impl<P: Peer> Behaviour for Player<P> {
    type Message = u64;

    fn handle(&mut self, n: u64) -> Flow {
        if self.rounds == Some(n) {
            self.done.add();
            return Flow::Continue;
        }
        let next = if self.rounds.is_some() { n + 1 } else { n };
        get(self.other).send(next);
        Flow::Continue
    }
}

pub async fn ping_pong<P: Peer>(pairs: u64, rounds: u64) -> Duration {
    let done = Tally::leak();
    let mut pings = Vec::new();
    for pair in 0..pairs {
        let (to_ping, to_pong) = (late(), late());
        let ping = Player::<P> {
            other: to_pong,
            rounds: Some(rounds),
            done,
        };
        let pong = Player::<P> {
            other: to_ping,
            rounds: None,
            done,
        };
        let ping = P::spawn(pair, ping).await;
        let pong = P::spawn(pair, pong).await;
        assert!(to_ping.set(ping.clone()).is_ok() && to_pong.set(pong).is_ok());
        pings.push(ping);
    }
    let began = Instant::now();
    for ping in &pings {
        ping.send(0);
    }
    done.reached(pairs).await;
    began.elapsed()
}

/// One place of a ring; the first counts the laps.
struct Place<P: Peer> {
    me: usize,
    ring: Late<Vec<P::Address<Place<P>>>>,
    done: &'static Tally,
}

impl<P: Peer> Behaviour for Place<P> {
    type Message = u64;

    fn handle(&mut self, mut lap: u64) -> Flow {
        if self.me == 0 {
            if lap == 0 {
                self.done.add();
                return Flow::Continue;
            }
            lap -= 1;
        }
        let ring = get(self.ring);
        ring[(self.me + 1) % ring.len()].send(lap);
        Flow::Continue
    }
}

pub async fn ring<P: Peer>(length: u64, laps: u64) -> Duration {
    let (ring, done) = (late(), Tally::leak());
    let mut places = Vec::new();
    for me in 0..length as usize {
        places.push(P::spawn(0, Place::<P> { me, ring, done }).await);
    }
    let first = places[0].clone();
    assert!(ring.set(places).is_ok());
    let began = Instant::now();
    first.send(laps);
    done.reached(1).await;
    began.elapsed()
}

/// Counts what it is sent, down to the last.
pub struct Counter {
    pub left: u64,
    pub done: &'static Tally,
}

impl Behaviour for Counter {
    type Message = u64;

    fn handle(&mut self, _: u64) -> Flow {
        self.left -= 1;
        if self.left == 0 {
            self.done.add();
        }
        Flow::Continue
    }
}

/// Sends all it has when it is told to.
struct Sender<P: Peer> {
    receiver: P::Address<Counter>,
    each: u64,
}

impl<P: Peer> Behaviour for Sender<P> {
    type Message = ();

    fn handle(&mut self, (): ()) -> Flow {
        for n in 0..self.each {
            self.receiver.send(n);
        }
        Flow::Stop
    }
}

pub async fn fan_in<P: Peer>(senders: u64, each: u64) -> Duration {
    let (done, left) = (Tally::leak(), senders * each);
    let receiver = P::spawn(0, Counter { left, done }).await;
    let began = Instant::now();
    let mut all = Vec::new();
    for n in 0..senders {
        let receiver = receiver.clone();
        let sender = P::spawn(n + 1, Sender::<P> { receiver, each }).await;
        sender.send(());
        all.push(sender);
    }
    done.reached(1).await;
    began.elapsed()
}

pub async fn fan_out<P: Peer>(receivers: u64, each: u64) -> Duration {
    let done = Tally::leak();
    let mut all = Vec::new();
    for n in 0..receivers {
        all.push(P::spawn(n, Counter { left: each, done }).await);
    }
    let began = Instant::now();
    for n in 0..each {
        for receiver in &all {
            receiver.send(n);
        }
    }
    done.reached(receivers).await;
    began.elapsed()
}

/// Blocks its thread at the first message until it is told to go on, so that
/// its mailbox fills.
struct Blocked {
    opened: std::sync::Mutex<Receiver<()>>,
    begun: &'static Tally,
    counter: Counter,
}

impl Behaviour for Blocked {
    type Message = u64;

    fn handle(&mut self, n: u64) -> Flow {
        if self.begun.add() == 1 {
            // It ends when the driver drops the other end.
            self.opened.lock().expect("never poisoned").iter().count();
        }
        self.counter.handle(n)
    }
}

pub async fn backlog<P: Peer>(count: u64) -> Duration {
    let (begun, done) = (Tally::leak(), Tally::leak());
    let (open, opened) = channel();
    let opened = opened.into();
    let counter = Counter { left: count, done };
    let blocked = Blocked {
        opened,
        begun,
        counter,
    };
    let receiver = P::spawn(1, blocked).await;
    let began = Instant::now();
    for n in 0..count {
        receiver.send(n);
    }
    drop(open);
    done.reached(1).await;
    began.elapsed()
}

pub async fn call<P: Peer>(callers: u64, servers: u64, each: u64) -> Duration {
    let mut all = Vec::new();
    for n in 0..servers {
        all.push(P::serve(n, n).await);
    }
    let done = Tally::leak();
    let began = Instant::now();
    for (server, group) in all.iter().cycle().zip(0..callers) {
        let server = server.clone();
        P::launch(group, async move {
            for n in 0..each {
                assert_eq!(P::ask(&server, n).await, n);
            }
            done.add();
        });
    }
    done.reached(callers).await;
    began.elapsed()
}
