//! The alarm of a process: one timer for all the calls it waits for.
//!
//! Nearly every call is answered long before its time is up. So a call does
//! not arm a timer of its own: the process has one, due no later than the
//! earliest deadline, that stays as it is while one call follows the other, and
//! is cancelled when the process goes idle without waiting for a call.

use std::sync::Arc;
use std::time::Instant;

use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process::current;
use crate::timer::{Action, TimerRef};

/// The one timer of a process, and how many calls count on it.
#[derive(Debug)]
pub(crate) struct Alarm {
    armed: Option<(Instant, TimerRef)>,
    waiting: u32,
}

/// A call that waits in its own process.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    // Counts in the alarm of this process.
    node: usize,
    process: Pid,
}

/// Whether the time of a call is up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Time {
    Left,
    Up,
}

impl Deadline {
    /// A deadline for a call of the current process. The process is woken then.
    pub(crate) fn new(process: &Process, now: Instant, at: Instant) -> Self {
        let mut owner = process.owner();
        let alarm = &mut owner.rare.alarm;
        alarm.waiting += 1;
        let in_time = alarm.is_due_between(now, at);
        drop(owner);
        if !in_time {
            arm(process, at);
        }
        Self {
            at,
            node: node_of(process),
            process: process.header().pid,
        }
    }

    /// Whether it was made in this process.
    fn is_of(&self, process: &Process) -> bool {
        process.header().pid == self.process && node_of(process) == self.node
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Whether the time is up; if not, the process is woken when it is. `None`
    /// in another process than the one it was made in.
    pub(crate) fn look(&self, process: &Process) -> Option<Time> {
        if !self.is_of(process) {
            return None;
        }
        let now = process.header().node.timers.now();
        if now >= self.at {
            return Some(Time::Up);
        }
        // The alarm that woke the process may have been for another call.
        let in_time = process.owner().rare.alarm.is_due_between(now, self.at);
        if !in_time {
            arm(process, self.at);
        }
        Some(Time::Left)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        current::with(|process| {
            if self.is_of(process) {
                let alarm = &mut process.owner().rare.alarm;
                alarm.waiting = alarm.waiting.saturating_sub(1);
            }
        });
    }
}

impl Alarm {
    pub(crate) const NONE: Self = Self {
        armed: None,
        waiting: 0,
    };

    /// Whether there is a timer, and no call counts on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.armed.is_some()
    }

    fn is_due_between(&self, now: Instant, deadline: Instant) -> bool {
        self.armed.is_some_and(|(at, _)| now < at && at <= deadline)
    }

    /// The timer, which somebody else will cancel.
    pub(crate) fn take(&mut self) -> Option<TimerRef> {
        self.armed.take().map(|(_, timer)| timer)
    }
}

/// The node of a process, to be recognised.
fn node_of(process: &Process) -> usize {
    Arc::as_ptr(&process.header().node).addr()
}

/// Moves the alarm of the current process.
#[cold]
fn arm(process: &Process, at: Instant) {
    let timers = &process.header().node.timers;
    let timer = timers.arm(at, None, Action::Wake(process.waker()));
    let before = process.owner().rare.alarm.armed.replace((at, timer));
    if let Some((_, before)) = before {
        timers.cancel(before);
    }
}
