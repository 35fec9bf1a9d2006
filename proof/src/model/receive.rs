//! What a process does about a signal that it receives.

use super::{Answer, Cause, Signal, Stage, Waiting, World};
use crate::observation::Seen;
use crate::program::{Reason, Who};

impl World {
    /// The head of a channel is received.
    pub(super) fn deliver(&mut self, from: Who, to: Who) {
        let Some(signal) = self.pop(from, to) else {
            return;
        };
        match self.processes[to].stage {
            Stage::Alive => self.receive(from, to, signal),
            Stage::Unborn | Stage::Doomed(_) | Stage::Dead(_) => self.bounce(from, to, signal),
        }
    }

    fn pop(&mut self, from: Who, to: Who) -> Option<Signal> {
        let channel = self.channels.get_mut(&(from, to))?;
        let signal = channel.pop_front();
        if channel.is_empty() {
            self.channels.remove(&(from, to));
        }
        signal
    }

    fn receive(&mut self, from: Who, to: Who, signal: Signal) {
        let process = &mut self.processes[to];
        match signal {
            Signal::Message(tag) => process.mailbox.push_back(Seen::Message(tag)),
            Signal::Link { seen } => {
                let end = self.end_of(to, from);
                end.linked |= seen >= end.demanded;
            }
            Signal::Unlink => {
                let end = self.end_of(to, from);
                end.seen += 1;
                end.linked = false;
            }
            Signal::Monitor(number) => {
                process.watchers.insert((from, number));
            }
            Signal::Demonitor(number) => {
                process.watchers.remove(&(from, number));
            }
            // MON-08: nothing is added once the monitor was taken back.
            Signal::Down(number, reason) => {
                if process.monitors.remove(&number).is_some() {
                    process.mailbox.push_back(Seen::Down(number, reason));
                }
            }
            Signal::Exit(cause, reason) => self.receive_exit(from, to, cause, reason),
            Signal::Query => {
                self.answers.insert((from, Answer::Alive(true)));
            }
        }
    }

    /// The laws EXIT and TRAP.
    fn receive_exit(&mut self, from: Who, to: Who, cause: Cause, reason: Reason) {
        if cause == Cause::Linked {
            // LINK-07; and LINK-12: the link is gone either way.
            let was_linked = std::mem::take(&mut self.end_of(to, from).linked);
            if !was_linked {
                return;
            }
        }
        let process = &mut self.processes[to];
        match (cause, process.traps, reason) {
            // EXIT-12: an explicit kill cannot be trapped, and is renamed.
            (Cause::Asked, _, Reason::Kill) => self.die(from, to, Reason::Killed),
            // TRAP-02, EXIT-08, EXIT-10.
            (_, true, _) => process.mailbox.push_back(Seen::Exit(from, reason)),
            // TRAP-05, EXIT-07, EXIT-11.
            (_, false, Reason::Normal) => {}
            // TRAP-06, EXIT-06, EXIT-14.
            (_, false, _) => self.die(from, to, reason),
        }
    }

    /// An exit signal ended the process. One that it sent itself does so when
    /// it returns to the scheduler.
    fn die(&mut self, from: Who, who: Who, reason: Reason) {
        if from == who {
            self.processes[who].stage = Stage::Doomed(reason);
        } else {
            self.end(who, reason);
        }
    }

    /// SIG-16: a signal to who is not there.
    fn bounce(&mut self, from: Who, dead: Who, signal: Signal) {
        let answer = match signal {
            Signal::Link { .. } => Answer::NoLink(dead),
            // MON-04.
            Signal::Monitor(number) => {
                return self.push(dead, from, Signal::Down(number, Reason::NoProc));
            }
            Signal::Query => Answer::Alive(false),
            // SIG-07, EXIT-16.
            Signal::Message(_)
            | Signal::Unlink
            | Signal::Demonitor(_)
            | Signal::Down(..)
            | Signal::Exit(..) => return,
        };
        self.answers.insert((from, answer));
    }

    pub(super) fn receive_answer(&mut self, to: Who, answer: Answer) {
        self.answers.remove(&(to, answer));
        match answer {
            _ if self.processes[to].stage != Stage::Alive => {}
            Answer::Alive(alive) => {
                self.processes[to].waiting = Waiting::No;
                self.log(to, Seen::Alive(alive));
            }
            // LINK-05 (as Resurgam has it), LINK-06.
            Answer::NoLink(dead) => self.receive_exit(dead, to, Cause::Linked, Reason::NoProc),
        }
    }

    /// MSG-02: the oldest entry.
    pub(super) fn take(&mut self, who: Who) {
        self.receive_own(who);
        if let Some(entry) = self.processes[who].mailbox.pop_front() {
            self.processes[who].waiting = Waiting::No;
            self.log(who, entry);
        }
    }
}
