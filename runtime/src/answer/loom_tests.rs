//! Two or three threads: of all who could answer one does, who waits is woken,
//! nothing that was put in is lost or dropped twice, and the memory is freed
//! once (loom follows every access).

use std::future::poll_fn;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::sync::{Arc, Notify};
use loom::thread;

use super::{Debt, Server, Unanswered, Waiter, answer};
use crate::exit_reason::ExitReason;
use crate::mailbox::Attention;
use crate::pid::Pid;
use crate::process::cell::{Process, mailbox_only};
use crate::reply::CallError;

loom::lazy_static! {
    /// Rings when a process was scheduled.
    static ref BELL: Notify = Notify::new();
}

pub(super) fn schedule(_: &Process) {
    BELL.notify();
}

/// A process that has its turn.
fn running() -> Process {
    let process = mailbox_only();
    assert!(process.core().begin_turn().is_some());
    process
}

/// Takes turns until the answer is there.
fn turns<T: Send>(process: &Process, waiter: &mut Waiter<T>) -> Result<T, CallError> {
    loop {
        if let Some(told) = waiter.take() {
            return told;
        }
        let _ = process.core().end_turn(Attention::Signals);
        // The bell of the models may ring by itself.
        while process.core().begin_turn().is_none() {
            BELL.wait();
        }
    }
}

#[test]
fn loom_a_reply_always_wakes_the_process_that_waits() {
    crate::testing::model(|| {
        let process = running();
        let (mut waiter, reply, owed) =
            answer::<Value>(Pid::OUTSIDE, Some(process.clone()), Server::nobody());
        let server = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Paid(owed)));
        assert_eq!(*turns(&process, &mut waiter).expect("a reply"), 7);
        server.join().unwrap();
        assert_eq!(process.count(), 1);
    });
}

#[test]
fn loom_a_process_is_told_by_a_reply_or_by_a_death() {
    crate::testing::model(|| {
        let process = running();
        let (mut waiter, reply, owed) =
            answer::<Value>(Pid::OUTSIDE, Some(process.clone()), Server::nobody());
        let elsewhere = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Kept));
        let server = thread::spawn(move || owed.refuse(DOWN));
        let _ = turns(&process, &mut waiter).map(|value| assert_eq!(*value, 7));
        elsewhere.join().unwrap();
        server.join().unwrap();
        assert_eq!(process.count(), 1);
    });
}

/// It gives up, and then it ends, and nobody touches it after that.
#[test]
fn loom_a_process_that_ends_agrees_with_who_replies() {
    crate::testing::model(|| {
        let process = running();
        let (mut waiter, reply, owed) =
            answer::<Value>(Pid::OUTSIDE, Some(process.clone()), Server::nobody());
        let server = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Paid(owed)));
        let early = waiter.close();
        assert!(early.is_none_or(|told| *told.expect("a reply") == 7));
        process.close_mailbox();
        drop(process);
        server.join().unwrap();
    });
}

/// The call was moved out of its process, which ends, to be waited for by a
/// waker.
#[test]
fn loom_a_call_that_outlives_its_process_is_answered() {
    crate::testing::model(|| {
        let process = running();
        let (mut waiter, reply, owed) =
            answer::<Value>(Pid::OUTSIDE, Some(process.clone()), Server::nobody());
        let server = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Paid(owed)));
        process.close_mailbox();
        drop(process);
        let told = block_on(poll_fn(|cx| waiter.poll(cx)));
        assert_eq!(*told.expect("a reply"), 7);
        server.join().unwrap();
    });
}

/// A value of which loom knows whether it was dropped: it leaks otherwise.
type Value = Arc<u32>;

const DOWN: Unanswered = Unanswered::Down(ExitReason::Killed);

#[test]
fn loom_a_reply_always_wakes_who_waits() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let server = thread::spawn(move || {
            reply.put(Ok(Value::new(7)), Debt::Kept);
            drop(owed);
        });
        let told = block_on(poll_fn(|cx| waiter.poll(cx)));
        assert_eq!(*told.expect("a reply"), 7);
        server.join().unwrap();
    });
}

#[test]
fn loom_a_reply_that_pays_its_debt_always_wakes_who_waits() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let server = thread::spawn(move || {
            reply.put(Ok(Value::new(7)), Debt::Paid(owed));
        });
        let told = block_on(poll_fn(|cx| waiter.poll(cx)));
        assert_eq!(*told.expect("a reply"), 7);
        server.join().unwrap();
    });
}

/// The reply was sent elsewhere, and the server ends: one of them is heard.
#[test]
fn loom_of_a_reply_and_a_death_one_is_heard() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let elsewhere = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Kept));
        let server = thread::spawn(move || owed.refuse(DOWN));
        match block_on(poll_fn(|cx| waiter.poll(cx))) {
            Ok(value) => assert_eq!(*value, 7),
            Err(error) => assert_eq!(error, CallError::Down(ExitReason::Killed)),
        }
        elsewhere.join().unwrap();
        server.join().unwrap();
    });
}

#[test]
fn loom_who_gives_up_and_who_replies_agree_on_who_has_the_answer() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let server = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Paid(owed)));
        let early = waiter.close();
        assert!(early.is_none_or(|told| *told.expect("a reply") == 7));
        assert!(waiter.close().is_none());
        server.join().unwrap();
    });
}

/// Dropped while it is refused, with a waker in it.
#[test]
fn loom_a_call_that_is_dropped_drops_what_came() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let _ = waiter.poll(&Context::from_waker(Waker::noop()));
        let dropped = thread::spawn(move || reply.erase().refuse(Unanswered::Dropped));
        let server = thread::spawn(move || owed.refuse(DOWN));
        drop(waiter);
        dropped.join().unwrap();
        server.join().unwrap();
    });
}

/// As in a `select`: polled with one waker, then with another, while the
/// answer comes.
#[test]
fn loom_the_waker_that_was_left_last_is_woken() {
    crate::testing::model(|| {
        let (mut waiter, reply, owed) = answer::<Value>(Pid::OUTSIDE, None, Server::nobody());
        let server = thread::spawn(move || reply.put(Ok(Value::new(7)), Debt::Paid(owed)));
        let told = match waiter.poll(&Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(told) => told,
            std::task::Poll::Pending => block_on(poll_fn(|cx| waiter.poll(cx))),
        };
        assert_eq!(*told.expect("a reply"), 7);
        server.join().unwrap();
    });
}
