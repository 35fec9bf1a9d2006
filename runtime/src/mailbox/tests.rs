use std::collections::VecDeque;

use super::{Attention, Entry, Seized, Stamped, Wake, is_large};
use crate::answer::{Owed, Server, answer};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::signal::{Cause, Exit, Notice, Signal};
use crate::testing::{Inbox, Owned};

fn exit(from: u32) -> Signal {
    let exit = Exit {
        from: Pid::new(from, 1),
        reason: ExitReason::Shutdown,
    };
    Signal::Exit {
        exit,
        cause: Cause::Asked,
    }
}

/// Receives everything, in order; signals as the negative slot of their sender.
fn receive_all(mailbox: &Owned<i64>) -> Vec<i64> {
    let mut inbox = Inbox::new();
    let mut notices = VecDeque::new();
    for Stamped { position, value } in mailbox.take(&mut inbox, &mut Vec::new()) {
        let Signal::Exit { exit, .. } = value else {
            unreachable!()
        };
        notices.push_back(Stamped {
            position,
            value: Notice::Exit(exit, Cause::Asked),
        });
    }
    let mut all = Vec::new();
    while let Some(entry) = inbox.next(&mut notices) {
        all.push(match entry {
            Entry::Message(n) => n,
            Entry::Notice(Notice::Exit(exit, _)) => -i64::from(exit.from.slot()),
            Entry::Notice(_) => unreachable!(),
        });
    }
    all
}

/// SIG-01.
#[test]
fn messages_and_signals_keep_the_order_in_which_they_came() {
    let mailbox = Owned::new();
    for step in [1, -1, 2, 3, -2, -3, 4] {
        if step > 0 {
            let _ = mailbox.push(step).unwrap();
        } else {
            let _ = mailbox.push_signal(exit(-step as u32)).unwrap();
        }
    }
    assert_eq!(receive_all(&mailbox), [1, -1, 2, 3, -2, -3, 4]);
}

/// SIG-01, with part of the messages taken before the signal came.
#[test]
fn the_order_holds_across_several_takings() {
    let mailbox = Owned::new();
    let _ = mailbox.push(1).unwrap();
    let mut inbox = Inbox::new();
    assert!(mailbox.take(&mut inbox, &mut Vec::new()).is_empty());
    let _ = mailbox.push_signal(exit(9)).unwrap();
    let _ = mailbox.push(2).unwrap();
    let signals = mailbox.take(&mut inbox, &mut Vec::new());
    let positions: Vec<_> = signals.map(|signal| signal.position).collect();
    assert_eq!(positions, [1]);
    assert_eq!(inbox.messages.len(), 2);
}

#[test]
fn only_the_push_that_wakes_says_so() {
    let mailbox = Owned::new();
    mailbox.begin_turn();
    assert_eq!(mailbox.end_turn(Attention::Messages), Wake::Already);
    assert_eq!(mailbox.push(1), Ok(Wake::Schedule));
    assert_eq!(mailbox.push(2), Ok(Wake::Already));
    assert_eq!(mailbox.notify(), Wake::Already);
}

#[test]
fn a_message_does_not_wake_a_process_that_waits_for_something_else() {
    let mailbox = Owned::new();
    mailbox.begin_turn();
    assert_eq!(mailbox.end_turn(Attention::Signals), Wake::Already);
    assert_eq!(mailbox.push(1), Ok(Wake::Already));
    assert!(matches!(mailbox.push_signal(exit(1)), Ok(Wake::Schedule)));
}

#[test]
fn what_comes_during_a_turn_is_found_at_its_end() {
    let mailbox = Owned::new();
    mailbox.begin_turn();
    assert_eq!(mailbox.push(1), Ok(Wake::Already));
    assert_eq!(mailbox.end_turn(Attention::Messages), Wake::Schedule);
}

#[test]
fn a_waker_that_fires_in_a_turn_asks_for_another() {
    let mailbox: Owned<()> = Owned::new();
    mailbox.begin_turn();
    assert_eq!(mailbox.notify(), Wake::Already);
    assert_eq!(mailbox.end_turn(Attention::Signals), Wake::Schedule);
    mailbox.begin_turn();
    assert_eq!(mailbox.end_turn(Attention::Signals), Wake::Already);
}

#[test]
fn a_signal_in_a_turn_asks_for_another_whatever_is_waited_for() {
    for attention in [Attention::Signals, Attention::Messages] {
        let mailbox: Owned<()> = Owned::new();
        mailbox.begin_turn();
        assert!(matches!(mailbox.push_signal(exit(1)), Ok(Wake::Already)));
        assert_eq!(mailbox.end_turn(attention), Wake::Schedule);
    }
}

#[test]
fn the_flag_is_up_while_signals_wait() {
    let mailbox = Owned::new();
    assert!(!mailbox.is_signalled());
    let _ = mailbox.push(1).unwrap();
    assert!(!mailbox.is_signalled());
    let _ = mailbox.push_signal(exit(1)).unwrap();
    assert!(mailbox.is_signalled());
    assert_eq!(receive_all(&mailbox), [1, -1]);
    assert!(!mailbox.is_signalled());
}

#[test]
fn only_a_process_that_takes_no_turn_can_be_seized() {
    let mailbox: Owned<()> = Owned::new();
    assert_eq!(mailbox.0.core.seize(), Some(Seized::Queued));
    assert_eq!(mailbox.0.core.seize(), None, "it has been seized");
    assert_eq!(mailbox.end_turn(Attention::Signals), Wake::Already);
    assert_eq!(mailbox.0.core.seize(), Some(Seized::Idle));
    drop(mailbox.close());
    assert_eq!(mailbox.0.core.seize(), None, "it has ended");
}

/// GS-24.
#[test]
fn a_reply_that_is_owed_goes_where_its_call_goes() {
    let reply = || -> Owed {
        let (_, reply, owed) = answer::<()>(Pid::OUTSIDE, None, Server::nobody());
        reply.put(Ok(()), crate::answer::Debt::Kept);
        owed
    };
    let mailbox = Owned::new();
    let (mut inbox, mut owed) = (Inbox::new(), Vec::new());
    assert!(matches!(mailbox.push_call(1, reply()), Ok(Wake::Already)));
    drop(mailbox.take(&mut inbox, &mut owed));
    assert_eq!((inbox.messages.len(), owed.len()), (1, 1));
    assert!(matches!(mailbox.push_call(2, reply()), Ok(Wake::Already)));
    let remains = mailbox.close();
    assert_eq!((remains.messages.len(), remains.owed.len()), (1, 1));
    assert!(matches!(mailbox.push_call(3, reply()), Err((3, _))));
}

/// SIG-07, MSG-08.
#[test]
fn a_closed_mailbox_gives_everything_back() {
    let mailbox = Owned::new();
    let _ = mailbox.push(1).unwrap();
    let remains = mailbox.close();
    assert_eq!(remains.messages, [1]);
    assert_eq!(mailbox.push(2), Err(2));
    assert!(mailbox.push_signal(exit(1)).is_err());
    assert_eq!(mailbox.notify(), Wake::Already);
}

#[test]
fn a_trimmed_mailbox_holds_no_buffer() {
    let mailbox = Owned::new();
    for n in 0..10_000 {
        let _ = mailbox.push(n).unwrap();
    }
    assert_eq!(receive_all(&mailbox).len(), 10_000);
    let mut locked = mailbox.0.core.lock();
    mailbox.0.trim(&mut locked);
    assert_eq!(mailbox.0.close(&mut locked).capacity(), 0);
}

/// A buffer of a KiB is kept, a larger one is not.
#[test]
fn small_buffers_are_kept() {
    for (messages, large) in [(0, false), (4, false), (128, false), (129, true)] {
        assert_eq!(is_large::<i64>(messages), large, "{messages}");
    }
}
