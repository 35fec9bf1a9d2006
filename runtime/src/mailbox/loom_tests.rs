//! Two or three threads, every interleaving: no wake-up and no message is
//! lost, and a process is never in two run queues.

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::{Attention, Door, Limit, Overflow, Waiting, Wake};
use crate::admission::Place;
use crate::answer::{Server, Unanswered, answer};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::cell::{Typed, mailbox_only};
use crate::reply::CallError;
use crate::signal::{Cause, Exit, Signal};
use crate::slot::Slot;
use crate::testing::{Inbox, Owned};

/// A mailbox and how often its owner stands in a run queue.
struct World {
    mailbox: Owned<u32>,
    queued: AtomicUsize,
}

impl World {
    /// With an owner that has gone idle in a receive.
    fn idle() -> Arc<Self> {
        let world = Self {
            mailbox: Owned::new(),
            queued: AtomicUsize::new(0),
        };
        world.mailbox.begin_turn();
        assert_eq!(world.mailbox.end_turn(Attention::Messages), Wake::Already);
        Arc::new(world)
    }

    fn schedule(&self, wake: Wake) {
        if wake == Wake::Schedule {
            let before = self.queued.fetch_add(1, Ordering::SeqCst);
            assert_eq!(before, 0, "queued twice");
        }
    }

    fn send(&self, message: u32) {
        if let Ok(wake) = self.mailbox.push(message) {
            self.schedule(wake);
        }
    }

    fn signal(&self) {
        if let Ok(wake) = self.mailbox.push_signal(kill()) {
            self.schedule(wake);
        }
    }

    /// A turn of the owner, for a message that it takes.
    fn begin_turn(&self) {
        self.send(0);
        self.queued.fetch_sub(1, Ordering::SeqCst);
        self.mailbox.begin_turn();
        let signals = self.mailbox.take(&mut Inbox::new(), &mut Vec::new());
        assert!(signals.is_empty());
    }

    /// One turn, if the owner is in the queue: how many messages it got.
    fn turn(&self, inbox: &mut Inbox<u32>) -> Option<usize> {
        self.queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .ok()?;
        self.mailbox.begin_turn();
        let mut owed = Vec::new();
        drop(self.mailbox.take(inbox, &mut owed));
        let got = std::mem::take(&mut inbox.messages).len();
        let wake = self.mailbox.end_turn(Attention::Messages);
        self.schedule(wake);
        Some(got)
    }

    /// All that is left, once the senders are done.
    fn run_out(&self, inbox: &mut Inbox<u32>) -> usize {
        let mut got = 0;
        while let Some(more) = self.turn(inbox) {
            got += more;
        }
        got
    }
}

fn kill() -> Signal {
    let exit = Exit {
        from: Pid::OUTSIDE,
        reason: ExitReason::Kill,
    };
    Signal::Exit {
        exit,
        cause: Cause::Asked,
    }
}

#[test]
fn loom_no_message_and_no_wake_up_is_lost() {
    crate::testing::model(|| {
        let world = World::idle();
        let senders: Vec<_> = (0..2)
            .map(|n| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.send(n))
            })
            .collect();
        let mut inbox = Inbox::new();
        let mut got = world.turn(&mut inbox).unwrap_or(0);
        for sender in senders {
            sender.join().unwrap();
        }
        got += world.run_out(&mut inbox);
        assert_eq!(got, 2);
    });
}

/// An alias for one message, which its owner closes meanwhile.
#[test]
fn loom_a_way_for_one_message_lets_one_in_unless_it_is_closed() {
    crate::testing::model(|| {
        let world = World::idle();
        let is_open = Arc::new(AtomicBool::new(true));
        let close = |is_open: &AtomicBool| {
            let was_open = is_open.load(Ordering::Relaxed);
            is_open.store(false, Ordering::Relaxed);
            was_open
        };
        let senders: Vec<_> = (0..2)
            .map(|n| {
                let (world, is_open) = (Arc::clone(&world), Arc::clone(&is_open));
                thread::spawn(move || {
                    let admit = || close(&is_open).then_some(None);
                    let pushed = world.mailbox.push_if(n, admit);
                    pushed.is_ok_and(|wake| {
                        world.schedule(wake);
                        true
                    })
                })
            })
            .collect();
        let closed = world.mailbox.locked(|| close(&is_open));
        let let_in = senders.into_iter().map(|sender| sender.join().unwrap());
        let let_in = let_in.filter(|let_in| *let_in).count();
        assert_eq!(let_in + usize::from(closed), 1);
        assert_eq!(world.run_out(&mut Inbox::new()), let_in);
    });
}

#[test]
fn loom_a_waker_that_fires_in_a_turn_brings_another_turn() {
    crate::testing::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let waker = thread::spawn(move || {
            let wake = other.mailbox.notify();
            other.schedule(wake);
        });
        let mut inbox = Inbox::new();
        let mut turns = usize::from(world.turn(&mut inbox).is_some());
        waker.join().unwrap();
        while world.turn(&mut inbox).is_some() {
            turns += 1;
        }
        assert_eq!(turns, 1);
    });
}

#[test]
fn loom_a_signal_is_seen_by_its_flag_or_at_the_end_of_the_turn() {
    crate::testing::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let sender = thread::spawn(move || {
            other.signal();
        });
        let mut inbox = Inbox::new();
        let mut seen = 0;
        for _ in 0..2 {
            if world.queued.load(Ordering::SeqCst) > 0 {
                world.queued.fetch_sub(1, Ordering::SeqCst);
                world.mailbox.begin_turn();
                if world.mailbox.is_signalled() {
                    seen += world.mailbox.take(&mut inbox, &mut Vec::new()).count();
                }
                let wake = world.mailbox.end_turn(Attention::Messages);
                world.schedule(wake);
            }
        }
        sender.join().unwrap();
        while world.queued.load(Ordering::SeqCst) > 0 {
            world.queued.fetch_sub(1, Ordering::SeqCst);
            world.mailbox.begin_turn();
            assert!(world.mailbox.is_signalled());
            seen += world.mailbox.take(&mut inbox, &mut Vec::new()).count();
            let wake = world.mailbox.end_turn(Attention::Messages);
            world.schedule(wake);
        }
        assert_eq!(seen, 1);
    });
}

/// The end of a process against a send: what is sent arrives, or is given
/// back, or is found when the mailbox is closed.
#[test]
fn loom_a_message_to_a_dying_process_is_somewhere() {
    crate::testing::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let sender = thread::spawn(move || match other.mailbox.push(1) {
            Ok(_) => 0,
            Err(_) => 1,
        });
        let left = world.mailbox.close().messages.len();
        let given_back = sender.join().unwrap();
        assert_eq!(left + given_back, 1);
    });
}

/// A node without hosts against a host: one of them ends the process.
#[test]
fn loom_a_process_is_seized_once() {
    crate::testing::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let rival = thread::spawn(move || usize::from(other.mailbox.0.core.seize().is_some()));
        let mine = usize::from(world.mailbox.0.core.seize().is_some());
        assert_eq!(mine + rival.join().unwrap(), 1);
    });
}

/// Something happens while a turn comes to its end: it must bring one more.
#[track_caller]
fn check_end_of_turn(happen: fn(&World)) {
    crate::testing::model(move || {
        let world = World::idle();
        world.begin_turn();
        let other = Arc::clone(&world);
        let meanwhile = thread::spawn(move || happen(&other));
        let wake = world.mailbox.end_turn(Attention::Messages);
        world.schedule(wake);
        meanwhile.join().unwrap();
        assert_eq!(world.queued.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn loom_a_waker_that_fires_at_the_end_of_a_turn_brings_one_more() {
    check_end_of_turn(|world| {
        let wake = world.mailbox.notify();
        world.schedule(wake);
    });
}

#[test]
fn loom_a_signal_at_the_end_of_a_turn_brings_one_more() {
    check_end_of_turn(|world| world.signal());
}

#[test]
fn loom_a_message_at_the_end_of_a_turn_brings_one_more() {
    check_end_of_turn(|world| world.send(1));
}

#[test]
fn loom_a_signal_to_a_dying_process_is_somewhere() {
    crate::testing::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let sender = thread::spawn(move || match other.mailbox.push_signal(kill()) {
            Ok(_) => 0,
            Err(_) => 1,
        });
        let left = world.mailbox.close().signals.count();
        assert_eq!(left + sender.join().unwrap(), 1);
    });
}

/// A call against the end of its server: the caller is told, by the server's
/// list, by what was left in its mailbox, or because the mailbox was closed.
#[test]
fn loom_a_caller_of_a_dying_server_is_told() {
    crate::testing::model(|| {
        let world = World::idle();
        let (mut waiter, reply, owed) = answer::<u32>(Pid::OUTSIDE, None, Server::nobody());
        let other = Arc::clone(&world);
        let caller = thread::spawn(move || {
            if let Err((_, owed)) = other.mailbox.push_call(1, owed) {
                owed.refuse(Unanswered::Down(ExitReason::NoProcess));
            }
            block_on(std::future::poll_fn(|cx| waiter.poll(cx)))
        });
        let mut owed = Vec::new();
        drop(world.mailbox.take(&mut Inbox::new(), &mut owed));
        let remains = world.mailbox.close();
        for reply in owed.into_iter().chain(remains.owed) {
            reply.refuse(Unanswered::Down(ExitReason::Killed));
        }
        let told: Result<u32, CallError> = caller.join().unwrap();
        assert!(matches!(told, Err(CallError::Down(_))));
        drop(reply.erase().refuse(Unanswered::Dropped));
    });
}

/// Wakers outlive their process, and its mailbox may be pushed into while it
/// is being closed.
#[test]
fn loom_a_process_that_has_ended_is_not_queued_again() {
    crate::testing::model(|| {
        let world = World::idle();
        world.begin_turn();
        let (one, other) = (Arc::clone(&world), Arc::clone(&world));
        let waker = thread::spawn(move || {
            let wake = one.mailbox.notify();
            one.schedule(wake);
        });
        let sender = thread::spawn(move || other.send(2));
        drop(world.mailbox.close());
        waker.join().unwrap();
        sender.join().unwrap();
        assert_eq!(world.queued.load(Ordering::SeqCst), 0);
    });
}

/// A process on a thread of its own waits at a bell instead of going back to a
/// queue: each wake-up that it sleeps through would be a deadlock.
#[test]
fn loom_a_process_on_a_thread_is_rung_for() {
    crate::testing::model(|| {
        let world = World::idle();
        let bell = Arc::new(Notify::new());
        let (theirs, ring) = (Arc::clone(&world), Arc::clone(&bell));
        let sender = thread::spawn(move || {
            for message in 0..2 {
                if theirs.mailbox.push(message) == Ok(Wake::Schedule) {
                    theirs.queued.fetch_add(1, Ordering::SeqCst);
                    ring.notify();
                }
            }
        });
        let mut inbox = Inbox::new();
        let mut got = 0;
        while got < 2 {
            // The bell may ring for nothing in the model, unlike a channel.
            while world.queued.load(Ordering::SeqCst) == 0 {
                bell.wait();
            }
            got += world.turn(&mut inbox).unwrap_or(0);
        }
        sender.join().unwrap();
    });
}

/// A process whose mailbox is full; those who can wait do.
struct Full(Typed<()>);

impl Full {
    fn new() -> Arc<Self> {
        let full = Self(mailbox_only().typed().ok().expect("of units"));
        full.0.core().set_bound(Limit::new(1, Overflow::Wait));
        assert!(full.0.mailbox().push(()).is_ok());
        Arc::new(full)
    }

    /// The owner takes a message, and lets in who waits.
    fn receive(&self) -> Option<()> {
        let core = self.0.core();
        let message = {
            let mut locked = core.lock();
            let message = self.0.mailbox().take_one(&mut locked);
            locked.holds(0);
            message
        };
        while let Some(waiting) = core.admit() {
            waiting.slot.settle(Some(Place::reserved(&self.0)));
        }
        message
    }

    /// A place, or the wait for one.
    fn knock(&self) -> (Door, Waiting) {
        let slot = std::sync::Arc::new(Slot::new());
        let who = Pid::OUTSIDE;
        let waiting = Waiting { who, slot };
        (self.0.core().knock(Some(&waiting)), waiting)
    }

    /// As a sender that waits; whether its message was taken in.
    fn send(&self) -> bool {
        let (door, waiting) = self.knock();
        match door {
            Door::Reserved => {}
            Door::Line(_) => match block_on(std::future::poll_fn(|cx| waiting.slot.poll(cx))) {
                Some(place) => place.take(),
                None => return false,
            },
            Door::Open | Door::Full => return false,
        }
        self.0.mailbox().push_placed(()).is_ok()
    }

    /// As a sender that waits no longer.
    fn give_up(&self) {
        let (door, waiting) = self.knock();
        match door {
            Door::Reserved => drop(Place::reserved(&self.0)),
            Door::Line(ticket) => {
                drop(self.0.core().leave(ticket));
                drop(waiting.slot.close());
            }
            Door::Open | Door::Full => {}
        }
    }
}

#[test]
fn loom_whoever_waits_for_a_place_is_let_in() {
    crate::testing::model(|| {
        let full = Full::new();
        let sender = Arc::clone(&full);
        let handle = thread::spawn(move || assert!(sender.send()));
        assert!(full.receive().is_some());
        handle.join().unwrap();
        assert!(full.receive().is_some());
    });
}

#[test]
fn loom_whoever_waits_no_longer_takes_no_place() {
    crate::testing::model(|| {
        let full = Full::new();
        let fickle = Arc::clone(&full);
        let handle = thread::spawn(move || fickle.give_up());
        assert!(full.receive().is_some());
        handle.join().unwrap();
        let (door, _) = full.knock();
        assert!(matches!(door, Door::Reserved));
    });
}

#[test]
fn loom_a_mailbox_that_closes_lets_go_who_waits() {
    crate::testing::model(|| {
        let full = Full::new();
        let sender = Arc::clone(&full);
        let handle = thread::spawn(move || assert!(!sender.send()));
        let core = full.0.core();
        drop(full.0.mailbox().close(&mut core.lock()));
        for waiting in core.dismiss().into_values() {
            waiting.slot.settle(None);
        }
        handle.join().unwrap();
    });
}
