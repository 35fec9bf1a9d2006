//! Two or three threads, every interleaving: no wake-up and no message is
//! lost, and a process is never in two run queues.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Attention, Inbox, Mailbox, Wake};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::signal::{Cause, Exit, Signal};

/// A mailbox and how often its owner stands in a run queue.
struct World {
    mailbox: Mailbox<u32>,
    queued: AtomicUsize,
}

impl World {
    /// With an owner that has gone idle in a receive.
    fn idle() -> Arc<Self> {
        let world = Self {
            mailbox: Mailbox::new(),
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

    /// One turn, if the owner is in the queue: how many messages it got.
    fn turn(&self, inbox: &mut Inbox<u32>) -> Option<usize> {
        self.queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .ok()?;
        self.mailbox.begin_turn();
        let mut owed = Vec::new();
        drop(self.mailbox.take(inbox, &mut owed));
        let got = inbox.empty().len();
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

#[test]
fn loom_no_message_and_no_wake_up_is_lost() {
    loom::model(|| {
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

#[test]
fn loom_a_waker_that_fires_in_a_turn_brings_another_turn() {
    loom::model(|| {
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
    loom::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let sender = thread::spawn(move || {
            let exit = Exit {
                from: Pid::OUTSIDE,
                reason: ExitReason::Kill,
            };
            if let Ok(wake) = other.mailbox.push_signal(Signal::Exit {
                exit,
                cause: Cause::Asked,
            }) {
                other.schedule(wake);
            }
        });
        let mut inbox = Inbox::new();
        let mut seen = 0;
        for _ in 0..2 {
            if world.queued.load(Ordering::SeqCst) > 0 {
                world.queued.fetch_sub(1, Ordering::SeqCst);
                world.mailbox.begin_turn();
                if world.mailbox.is_signalled() {
                    seen += world.mailbox.take(&mut inbox, &mut Vec::new()).len();
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
            seen += world.mailbox.take(&mut inbox, &mut Vec::new()).len();
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
    loom::model(|| {
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
    loom::model(|| {
        let world = World::idle();
        let other = Arc::clone(&world);
        let rival = thread::spawn(move || usize::from(other.mailbox.seize()));
        let mine = usize::from(world.mailbox.seize());
        assert_eq!(mine + rival.join().unwrap(), 1);
    });
}
