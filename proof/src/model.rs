//! The reference model: what processes, links, monitors, exits and names are,
//! without threads, queues and wake-ups.
//!
//! A [`World`] is all there is: processes, and the signals under way between
//! them. Whatever one process does to another is a **signal** that is put into
//! the channel between the two. A channel is first in, first out; nothing is
//! promised between channels (laws SIG-01, SIG-02). So the world moves by small
//! [`Step`]s: a process performs its next operation, or the head of one channel
//! is received. [`explore`](explore::settled) tries them in every order.
//!
//! Names are different: they are one table that everybody sees at once.
//!
//! # Links
//!
//! A link has two ends, each of which knows only what it has been told, so two
//! rules keep them equal once all is quiet (laws LINK-10, LINK-11):
//!
//! * an exit along a link counts if the receiving end is linked;
//! * a request to link does not count if it was sent before its sender had
//!   seen that the other end had unlinked.
//!
//! For the second, ends count the unlinks they sent and those they have seen,
//! and a request carries the latter number. (The runtime keeps to the same by
//! acknowledgements.)

pub mod explore;
mod receive;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::observation::{Life, Observation, Outcome, Seen, State};
use crate::program::{Down, Name, Op, Reason, Tie, Who};

/// What travels between processes.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Signal {
    Message(u32),
    /// Asks for a link. The sender has seen this many unlinks of the receiver.
    Link {
        seen: u8,
    },
    Unlink,
    /// Asks for a monitor; this is its number with the sender.
    Monitor(usize),
    Demonitor(usize),
    /// The end of a watched process.
    Down(usize, Reason),
    Exit(Cause, Reason),
    /// Asks whether the receiver is alive.
    Query,
}

/// What is answered to a signal, and may overtake other signals: to a question,
/// because who asks does not look at its mailbox meanwhile; to a link, because
/// links are told of an end before monitors.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Answer {
    /// To a question: whether the process is alive.
    Alive(bool),
    /// To a link: this process is not there.
    NoLink(Who),
}

/// Why an exit signal was sent.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Cause {
    /// Its sender was linked to the receiver and ended.
    Linked,
    /// Its sender wanted it.
    Asked,
}

/// How far a process is in its life.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Stage {
    Unborn,
    Alive,
    /// It sent itself a fatal exit signal: it does nothing more, but others
    /// find it alive until it has returned to the scheduler (law SIG-15).
    Doomed(Reason),
    Dead(Reason),
}

/// What a living process waits for.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Waiting {
    /// Its next operation.
    No,
    /// An entry of its mailbox.
    ForMail,
    /// Whether somebody is alive.
    ForAnswer,
}

/// One end of a link that is or was.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
struct End {
    linked: bool,
    /// How many unlinks this end has sent.
    sent: u8,
    /// How many unlinks of the other end it has seen.
    seen: u8,
    /// How many of its own the other end must have seen before a request of it
    /// counts. Nothing is demanded any more once this end links again.
    demanded: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Process {
    stage: Stage,
    waiting: Waiting,
    traps: bool,
    name: Option<Name>,
    ends: BTreeMap<Who, End>,
    /// The monitors it made that are in force: number and target, if there is
    /// one.
    monitors: BTreeMap<usize, Option<Who>>,
    monitors_made: usize,
    /// Who watches it: the watcher and the watcher's number of the monitor.
    watchers: BTreeSet<(Who, usize)>,
    mailbox: VecDeque<Seen>,
    log: Vec<Seen>,
}

/// All processes and all signals under way.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct World {
    processes: Vec<Process>,
    /// The signals from one process to another. No channel here is empty.
    channels: BTreeMap<(Who, Who), VecDeque<Signal>>,
    /// Answers on their way to who asked.
    answers: BTreeSet<(Who, Answer)>,
}

/// Something that can happen by itself.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The head of a channel is received.
    Deliver(Who, Who),
    /// An answer is received.
    Answer(Who, Answer),
    /// A process that waits for mail takes the first entry.
    Take(Who),
    /// A doomed process ends.
    Die(Who),
}

impl World {
    /// A world in which the first `initial` processes are alive.
    pub fn new(initial: usize, processes: usize) -> Self {
        let process = |who| {
            Process::new(if who < initial {
                Stage::Alive
            } else {
                Stage::Unborn
            })
        };
        Self {
            processes: (0..processes).map(process).collect(),
            channels: BTreeMap::new(),
            answers: BTreeSet::new(),
        }
    }

    /// Whether a process can perform an operation.
    pub fn is_ready(&self, who: Who) -> bool {
        let process = &self.processes[who];
        process.stage == Stage::Alive && process.waiting == Waiting::No
    }

    /// All that can happen by itself.
    pub fn steps(&self) -> Vec<Step> {
        let receives = |to: &Who| !matches!(self.processes[*to].stage, Stage::Doomed(_));
        let heads = self.channels.keys().filter(|(_, to)| receives(to));
        let answers = self.answers.iter();
        let answers =
            answers.filter(|(to, answer)| receives(to) && self.is_receivable(*to, *answer));
        let mut steps: Vec<_> = heads.map(|(from, to)| Step::Deliver(*from, *to)).collect();
        steps.extend(answers.map(|(to, answer)| Step::Answer(*to, *answer)));
        for (who, process) in self.processes.iter().enumerate() {
            match process.stage {
                Stage::Doomed(_) => steps.push(Step::Die(who)),
                Stage::Alive if process.can_take() => steps.push(Step::Take(who)),
                Stage::Unborn | Stage::Alive | Stage::Dead(_) => {}
            }
        }
        steps
    }

    /// The answer to a link overtakes monitors, but nothing that was sent before
    /// them.
    fn is_receivable(&self, to: Who, answer: Answer) -> bool {
        let Answer::NoLink(dead) = answer else {
            return true;
        };
        let before = self.channels.get(&(dead, to)).into_iter().flatten();
        before
            .copied()
            .all(|signal| matches!(signal, Signal::Down(..) | Signal::Demonitor(_)))
    }

    /// Lets one thing happen.
    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::Answer(to, answer) => self.receive_answer(to, answer),
            Step::Take(who) => self.take(who),
            Step::Die(who) => {
                if let Stage::Doomed(reason) = self.processes[who].stage {
                    self.end(who, reason);
                }
            }
        }
    }

    /// A process that is ready performs an operation.
    pub fn act(&mut self, who: Who, op: Op) {
        match op {
            Op::Send(to, _) | Op::Link(to) | Op::Unlink(to) if self.is_unborn(to) => {}
            Op::Monitor(to) | Op::Exit(to, _) | Op::IsAlive(to) if self.is_unborn(to) => {}
            Op::Send(to, tag) => self.send(who, to, Signal::Message(tag)),
            Op::SendName(name, tag) => {
                let to = self.whereis(name);
                self.log(who, Seen::Sent(to.is_some()));
                if let Some(to) = to {
                    self.send(who, to, Signal::Message(tag));
                }
            }
            Op::Link(to) => self.link(who, to),
            Op::Unlink(to) => self.unlink(who, to),
            Op::Monitor(to) => self.monitor(who, Some(to)),
            Op::MonitorName(name) => self.monitor(who, self.whereis(name)),
            Op::Demonitor(number, down) => self.demonitor(who, number, down),
            Op::Exit(to, reason) => self.send(who, to, Signal::Exit(Cause::Asked, reason)),
            Op::TrapExit(trap) => {
                let before = std::mem::replace(&mut self.processes[who].traps, trap);
                self.log(who, Seen::Trapped(before));
            }
            Op::Register(name, whom) => self.register(who, name, whom),
            Op::Unregister(name) => {
                let holder = self.whereis(name);
                self.log(who, Seen::Unregistered(holder.is_some()));
                if let Some(holder) = holder {
                    self.processes[holder].name = None;
                }
            }
            Op::Whereis(name) => self.log(who, Seen::Found(self.whereis(name))),
            Op::Spawn(child, tie) => self.spawn(who, child, tie),
            Op::Receive => self.processes[who].waiting = Waiting::ForMail,
            Op::Poll => {
                self.receive_own(who);
                let entry = self.processes[who].mailbox.pop_front();
                self.log(who, entry.unwrap_or(Seen::Nothing));
            }
            Op::IsAlive(to) if to == who => self.log(who, Seen::Alive(true)),
            Op::IsAlive(to) => {
                self.processes[who].waiting = Waiting::ForAnswer;
                self.send(who, to, Signal::Query);
            }
            Op::Return(reason) => self.end(who, reason),
            Op::Panic => self.end(who, Reason::Panic),
        }
    }

    /// Puts a signal into its channel. What a process sends to itself, it
    /// receives at once (law SIG-15).
    fn send(&mut self, from: Who, to: Who, signal: Signal) {
        self.push(from, to, signal);
        if from == to {
            self.receive_own(from);
        }
    }

    fn push(&mut self, from: Who, to: Who, signal: Signal) {
        self.channels
            .entry((from, to))
            .or_default()
            .push_back(signal);
    }

    fn receive_own(&mut self, who: Who) {
        while self.channels.contains_key(&(who, who)) {
            self.deliver(who, who);
        }
    }

    /// LINK-02, LINK-03.
    fn link(&mut self, who: Who, other: Who) {
        let end = self.end_of(who, other);
        if who == other || end.linked {
            return;
        }
        end.linked = true;
        end.demanded = 0;
        let seen = end.seen;
        self.push(who, other, Signal::Link { seen });
    }

    /// LINK-04, LINK-07.
    fn unlink(&mut self, who: Who, other: Who) {
        let end = self.end_of(who, other);
        if !end.linked {
            return;
        }
        end.linked = false;
        end.sent += 1;
        end.demanded = end.sent;
        self.push(who, other, Signal::Unlink);
    }

    /// MON-02, MON-04, MON-07. `None` is a name that nobody has.
    fn monitor(&mut self, who: Who, target: Option<Who>) {
        let process = &mut self.processes[who];
        let number = process.monitors_made;
        process.monitors_made += 1;
        if target == Some(who) {
            return;
        }
        process.monitors.insert(number, target);
        match target {
            Some(target) => self.push(who, target, Signal::Monitor(number)),
            None => self.push(who, who, Signal::Down(number, Reason::NoProc)),
        }
    }

    /// MON-08 to MON-11.
    fn demonitor(&mut self, who: Who, number: usize, down: Down) {
        let process = &mut self.processes[who];
        if number >= process.monitors_made {
            return;
        }
        let target = process.monitors.remove(&number);
        if target.is_none() && down == Down::Flushed {
            let is_its_down = |entry: &Seen| matches!(entry, Seen::Down(n, _) if *n == number);
            process.mailbox.retain(|entry| !is_its_down(entry));
        }
        self.log(who, Seen::Demonitored(target.is_some()));
        if let Some(Some(target)) = target {
            self.push(who, target, Signal::Demonitor(number));
        }
    }

    /// REG-01 to REG-03: one name a process, one process a name, none for the
    /// dead.
    fn register(&mut self, who: Who, name: Name, whom: Who) {
        if self.is_unborn(whom) {
            return;
        }
        let is_free = self.whereis(name).is_none();
        let process = &mut self.processes[whom];
        let given = is_free && process.name.is_none() && !matches!(process.stage, Stage::Dead(_));
        if given {
            process.name = Some(name);
        }
        self.log(who, Seen::Registered(given));
    }

    fn whereis(&self, name: Name) -> Option<Who> {
        self.processes
            .iter()
            .position(|process| process.name == Some(name))
    }

    /// SPAWN-02, SPAWN-03: the tie is there before the child does anything.
    fn spawn(&mut self, parent: Who, child: Who, tie: Tie) {
        self.processes[child].stage = Stage::Alive;
        match tie {
            Tie::None => {}
            Tie::Link => {
                self.end_of(parent, child).linked = true;
                self.end_of(child, parent).linked = true;
            }
            Tie::Monitor => {
                let number = self.processes[parent].monitors_made;
                self.processes[parent].monitors_made += 1;
                self.processes[parent].monitors.insert(number, Some(child));
                self.processes[child].watchers.insert((parent, number));
            }
        }
    }

    /// A process ends. Its name is free before anybody is told (SIG-12), its
    /// links are told before its monitors (SIG-17), all with one reason
    /// (EXIT-19), and what it watched hears that nobody watches any more
    /// (MON-14).
    fn end(&mut self, who: Who, reason: Reason) {
        let process = &mut self.processes[who];
        let log = std::mem::take(&mut process.log);
        let stage = Stage::Dead(reason);
        let dead = Process {
            log,
            ..Process::new(stage)
        };
        let ended = std::mem::replace(process, dead);
        for other in ended.links() {
            self.push(who, other, Signal::Exit(Cause::Linked, reason));
        }
        for (watcher, number) in ended.watchers {
            self.push(who, watcher, Signal::Down(number, reason));
        }
        for (number, target) in ended.monitors {
            if let Some(target) = target {
                self.push(who, target, Signal::Demonitor(number));
            }
        }
        self.channels.remove(&(who, who));
        self.answers.retain(|(asker, _)| *asker != who);
    }

    fn log(&mut self, who: Who, seen: Seen) {
        self.processes[who].log.push(seen);
    }

    fn is_unborn(&self, who: Who) -> bool {
        self.processes[who].stage == Stage::Unborn
    }

    fn end_of(&mut self, who: Who, other: Who) -> &mut End {
        self.processes[who].ends.entry(other).or_default()
    }

    /// What can be seen of the world, once all is quiet.
    pub fn observe(&self) -> Observation {
        Observation(self.processes.iter().map(Process::outcome).collect())
    }
}

impl Process {
    /// SPAWN-09: it does not trap, and has no links, monitors, name or mail.
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            waiting: Waiting::No,
            traps: false,
            name: None,
            ends: BTreeMap::new(),
            monitors: BTreeMap::new(),
            monitors_made: 0,
            watchers: BTreeSet::new(),
            mailbox: VecDeque::new(),
            log: Vec::new(),
        }
    }

    fn links(&self) -> impl Iterator<Item = Who> + '_ {
        let linked = self.ends.iter().filter(|(_, end)| end.linked);
        linked.map(|(other, _)| *other)
    }

    fn can_take(&self) -> bool {
        self.waiting == Waiting::ForMail && !self.mailbox.is_empty()
    }

    fn outcome(&self) -> Outcome {
        let life = match self.stage {
            Stage::Unborn => Life::Unborn,
            Stage::Alive => Life::Alive,
            Stage::Doomed(reason) | Stage::Dead(reason) => Life::Dead(reason),
        };
        let state = State {
            mail: self.mailbox.iter().copied().collect(),
            traps: self.traps,
            links: self.links().collect(),
            monitors: self.monitors.len(),
            watched_by: self.watchers.iter().map(|(watcher, _)| *watcher).collect(),
            name: self.name,
        };
        Outcome {
            life,
            log: self.log.clone(),
            state,
        }
    }
}

#[cfg(test)]
mod tests;
