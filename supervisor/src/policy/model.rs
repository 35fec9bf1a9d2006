//! Exhaustive: a supervisor of three children and everything that can happen
//! to it, at every moment, in every order.
//!
//! A [`World`] is the policy with the shell and the processes it thinks it has.
//! A concurrent supervisor whose children need each the one before it is to do
//! what one does that takes them in turn.
//!
//! A [`Move`] is one thing that happens: a child dies, a start fails, a message
//! is served, an order is given, time passes. All worlds that can be reached
//! are visited, breadth first, so that a complaint comes with a shortest story.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::*;
use crate::backoff::Backoff;
use crate::child_spec::ChildSpec;
use crate::testing::{RESTARTS, pid, spec};

const IDS: [&str; 3] = ["a", "b", "c"];
const STRATEGIES: [Strategy; 3] = [
    Strategy::OneForOne,
    Strategy::OneForAll,
    Strategy::RestForOne,
];

const PACES: [Pace; 2] = [Pace::InTurn, Pace::SideBySide];

/// How many seconds an attempt to restart counts.
const PERIOD: u64 = 2;
/// How many seconds a patient child waits, and a parked one.
const DELAY: u64 = 1;
/// More retries than this at once are not looked at.
const MOST_TICKETS: usize = 2;

/// One thing that happens. Children are named by their place in [`IDS`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Move {
    Dies(usize, End),
    /// The step under way turns out so.
    Turns(Luck),
    /// The exit of this child is served.
    Exit(usize),
    /// The oldest ticket is served.
    Ticket,
    /// The child that is due first is looked after.
    Due,
    Terminate(usize),
    Restart(usize, Luck),
    /// As `Restart`, of one that waits or is parked.
    RestartNow(usize),
    Delete(usize),
    StartChild(usize, Luck),
    Second,
    Stop,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    Well,
    Badly,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Luck {
    Good,
    Ignores,
    Fails,
}

const LUCKS: [Luck; 3] = [Luck::Good, Luck::Ignores, Luck::Fails];

impl End {
    fn reason(self) -> ExitReason {
        match self {
            Self::Well => ExitReason::Normal,
            Self::Badly => ExitReason::NoProcess,
        }
    }
}

/// What the supervisor's process is at.
#[derive(Clone, Debug)]
enum Doing {
    /// It waits for a message.
    Serving,
    /// It performs a step, on this occasion.
    Carrying(Step, Errand),
    /// It has ended.
    Over,
}

/// Why a step is performed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Errand {
    Begin,
    /// The restart of this child, and of others with it.
    Restart(Rank),
    /// This child is to be down for a while, and others with it.
    Down(Rank, Fate),
    End,
}

/// What is to become of a child that is down, by the laws.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Fate {
    Attempt,
    Retry,
    Delay,
    Park,
    GiveUp,
}

/// Why a child is looked at.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Need {
    Fell,
    NotStarted,
    /// Its turn has come.
    Turn,
}

/// How a child is cared for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Cared {
    /// As in OTP.
    Plain,
    /// After a delay.
    Patiently,
    /// By a budget of its own, of one restart; then so.
    Frugally(WhenSpent),
    /// Both.
    Both(WhenSpent),
}

impl Cared {
    fn waits(self) -> bool {
        matches!(self, Self::Patiently | Self::Both(_))
    }

    fn when_spent(self) -> Option<WhenSpent> {
        match self {
            Self::Plain | Self::Patiently => None,
            Self::Frugally(then) | Self::Both(then) => Some(then),
        }
    }

    fn spec(self, mut spec: ChildSpec) -> ChildSpec {
        if self.waits() {
            spec = spec.backoff(Backoff::constant(Duration::from_secs(DELAY)));
        }
        match self.when_spent() {
            Some(then) => spec
                .restart_intensity(1, Duration::from_secs(PERIOD))
                .when_spent(then),
            None => spec,
        }
    }
}

/// What one supervisor is made of.
#[derive(Copy, Clone, Debug)]
struct Family {
    strategy: Strategy,
    types: [Restart; 3],
    cared: [Cared; 3],
    max_restarts: u32,
    pace: Pace,
}

impl Family {
    fn spec(self, child: usize) -> ChildSpec {
        let spec = self.cared[child].spec(spec(IDS[child], self.types[child]));
        match self.pace {
            Pace::InTurn => spec,
            Pace::SideBySide => spec.after(child.checked_sub(1).map(|before| IDS[before])),
        }
    }
}

#[derive(Clone)]
struct World {
    family: Family,
    policy: Policy,
    doing: Doing,
    /// The numbers of the pids of the children that live.
    alive: [Option<usize>; 3],
    /// Those that died unnoticed.
    mail: [Option<(usize, End)>; 3],
    /// Retries under way, each with the child it is still good for.
    tickets: VecDeque<(Ticket, Option<usize>)>,
    /// Attempts to restart, by the law written down naively: by the budgets of
    /// the children, and by that of all.
    attempts: [Vec<u64>; 4],
    origin: Instant,
    second: u64,
}

impl World {
    #[allow(clippy::disallowed_methods)]
    fn new(family: Family) -> Self {
        let mut children = Children::default();
        for child in 0..3 {
            children.append(family.spec(child));
        }
        let intensity = RestartIntensity::new(family.max_restarts, Duration::from_secs(PERIOD));
        let mut world = Self {
            family,
            policy: Policy::new(family.strategy, intensity, children).with_pace(family.pace),
            doing: Doing::Serving,
            alive: [None; 3],
            mail: [None; 3],
            tickets: VecDeque::new(),
            attempts: [const { Vec::new() }; 4],
            origin: Instant::now(),
            second: 0,
        };
        world.tell(Event::Begin, Errand::Begin);
        world
    }

    fn now(&self) -> Instant {
        self.origin + Duration::from_secs(self.second)
    }

    fn at(&self) -> Moment {
        Moment {
            now: self.now(),
            random: 0,
        }
    }

    /// All that can happen next.
    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for child in (0..3).filter(|&child| self.alive[child].is_some()) {
            moves.extend([End::Well, End::Badly].map(|end| Move::Dies(child, end)));
        }
        match &self.doing {
            Doing::Serving => self.messages(&mut moves),
            Doing::Carrying(Step::Start(_), _) => moves.extend(LUCKS.map(Move::Turns)),
            Doing::Carrying(..) => moves.push(Move::Turns(Luck::Good)),
            Doing::Over => moves.clear(),
        }
        moves
    }

    fn messages(&self, moves: &mut Vec<Move>) {
        moves.extend([Move::Stop, Move::Second]);
        if !self.tickets.is_empty() {
            moves.push(Move::Ticket);
        }
        if self.due().is_some_and(|due| due <= self.now()) {
            moves.push(Move::Due);
        }
        for child in 0..3 {
            if self.mail[child].is_some() {
                moves.push(Move::Exit(child));
            }
            match self.state(child) {
                Some(ChildState::Running(_) | ChildState::Restarting(_)) => {
                    moves.push(Move::Terminate(child));
                }
                Some(ChildState::Waiting(_)) => {
                    moves.extend([Move::Terminate(child), Move::RestartNow(child)]);
                }
                Some(ChildState::Parked(_)) => {
                    moves.extend([Move::Terminate(child), Move::RestartNow(child)])
                }
                Some(ChildState::Stopped) => {
                    moves.extend(LUCKS.map(|luck| Move::Restart(child, luck)));
                }
                None if self.has_its_need(child) => {
                    moves.extend(LUCKS.map(|luck| Move::StartChild(child, luck)));
                }
                None => {}
            }
            let is_down = matches!(
                self.state(child),
                Some(ChildState::Parked(_) | ChildState::Stopped)
            );
            if is_down && !self.is_needed(child) {
                moves.push(Move::Delete(child));
            }
        }
    }

    /// Whether the child that it needs is there.
    fn has_its_need(&self, child: usize) -> bool {
        self.family.pace == Pace::InTurn || child == 0 || self.state(child - 1).is_some()
    }

    fn is_needed(&self, child: usize) -> bool {
        let needer = child + 1;
        self.family.pace == Pace::SideBySide && needer < 3 && self.state(needer).is_some()
    }

    /// The move that leads to rest if nothing else goes wrong.
    fn calm_move(&self) -> Option<Move> {
        match &self.doing {
            Doing::Carrying(..) => Some(Move::Turns(Luck::Good)),
            Doing::Serving => match self.mail.iter().position(Option::is_some) {
                Some(child) => Some(Move::Exit(child)),
                None if !self.tickets.is_empty() => Some(Move::Ticket),
                None => self.due().map(|due| match due <= self.now() {
                    true => Move::Due,
                    false => Move::Second,
                }),
            },
            Doing::Over => None,
        }
    }

    fn after(&self, what: Move) -> Self {
        let mut world = self.clone();
        world.make(what);
        world.check_at_rest();
        world
    }

    /// The exit of a process that is no child, or not any more.
    fn check_stranger(&self) {
        let stranger = Event::Exited {
            pid: pid(60),
            reason: ExitReason::Killed,
            at: self.at(),
        };
        let mut world = self.clone();
        assert_eq!(world.policy.next(stranger), Step::Wait);
        assert_eq!(world.key(), self.key());
    }

    fn make(&mut self, what: Move) {
        match what {
            Move::Dies(child, end) => {
                let pid = self.alive[child].take().expect("it lives");
                self.mail[child] = Some((pid, end));
            }
            Move::Turns(luck) => self.turn_out(luck),
            Move::Exit(child) => self.serve_exit(child),
            Move::Ticket => self.serve_ticket(),
            Move::Due => self.serve_due(),
            Move::RestartNow(child) => {
                let rank = self.rank(child);
                self.attempts[child].clear();
                self.void_tickets_of(rank);
                self.tell(Event::Restart(rank), Errand::Restart(rank));
            }
            Move::Terminate(child) => self.terminate(child),
            Move::Restart(child, luck) => {
                let rank = self.rank(child);
                self.start_for_caller(rank, child, luck);
            }
            Move::Delete(child) => {
                let rank = self.rank(child);
                self.policy.children_mut().remove(rank);
            }
            Move::StartChild(child, luck) => {
                let rank = self.policy.children_mut().append(self.family.spec(child));
                self.attempts[child].clear();
                self.start_for_caller(rank, child, luck);
                if luck == Luck::Fails {
                    self.policy.children_mut().remove(rank);
                }
            }
            Move::Second => self.second += 1,
            Move::Stop => self.tell(Event::End, Errand::End),
        }
    }

    /// The step under way is done; the policy is told.
    fn turn_out(&mut self, luck: Luck) {
        let Doing::Carrying(step, mut errand) = self.doing.clone() else {
            panic!("nothing is under way");
        };
        if let (Step::Start(rank), Luck::Fails, Errand::Restart(_)) = (&step, luck, errand) {
            errand = match self.fate(self.child(*rank), Need::NotStarted) {
                Fate::Attempt | Fate::Retry => errand,
                fate @ (Fate::Delay | Fate::Park | Fate::GiveUp) => Errand::Down(*rank, fate),
            };
        }
        let event = match (step, luck) {
            (Step::Stop(rank), _) => {
                self.kill(self.child(rank));
                Event::Stopped(rank)
            }
            (Step::Start(rank), Luck::Good) => {
                Event::Started(rank, pid(self.begin(self.child(rank))))
            }
            (Step::Start(rank), Luck::Ignores) => Event::Ignored(rank),
            (Step::Start(rank), Luck::Fails) => {
                Event::Failed(rank, StartError::TimedOut, self.at())
            }
            (step, _) => panic!("{step:?} takes no time"),
        };
        self.tell(event, errand);
    }

    fn serve_exit(&mut self, child: usize) {
        let (number, end) = self.mail[child].take().expect("it is in the mail");
        let restarts = match self.family.types[child] {
            Restart::Permanent => true,
            Restart::Transient => end == End::Badly,
            Restart::Temporary => false,
        };
        let rank = self.rank(child);
        let event = Event::Exited {
            pid: pid(number),
            reason: end.reason(),
            at: self.at(),
        };
        self.attempt(event, restarts.then_some(rank), Need::Fell);
    }

    fn serve_ticket(&mut self) {
        let (ticket, good_for) = self.tickets.pop_front().expect("one is there");
        let now = self.now();
        let rank = good_for.map(|child| self.rank(child));
        self.attempt(Event::Retry { ticket, now }, rank, Need::Turn);
    }

    fn serve_due(&mut self) {
        let (_, rank) = self.policy.children().next_due().expect("somebody is due");
        let now = self.now();
        self.attempt(Event::Due { rank, now }, Some(rank), Need::Turn);
    }

    fn due(&self) -> Option<Instant> {
        Some(self.policy.children().next_due()?.0)
    }

    /// What is to become of this child; an attempt is counted (laws SUP-51,
    /// XSUP-05, XSUP-08, XSUP-10 to XSUP-16).
    fn fate(&mut self, child: usize, need: Need) -> Fate {
        let cared = self.family.cared[child];
        let (purse, most) = match cared.when_spent() {
            Some(_) => (child, 1),
            None => (3, self.family.max_restarts as usize),
        };
        let waits = cared.waits() && need != Need::Turn;
        if !waits && need == Need::NotStarted {
            return Fate::Retry;
        }
        let then = self.second + if waits { DELAY } else { 0 };
        let counts = |at: &&u64| then - **at <= PERIOD;
        let is_spent = self.attempts[purse].iter().filter(counts).count() >= most;
        match (is_spent, cared.when_spent()) {
            (true, Some(WhenSpent::Park | WhenSpent::ParkFor(_))) => Fate::Park,
            (true, Some(WhenSpent::GiveUp) | None) => Fate::GiveUp,
            (false, _) if waits => Fate::Delay,
            (false, _) => {
                self.attempts[purse].push(self.second);
                Fate::Attempt
            }
        }
    }

    /// The policy is told of an event that by the laws calls for the restart of
    /// this child, or for nothing.
    fn attempt(&mut self, event: Event, rank: Option<Rank>, need: Need) {
        let Some(rank) = rank else {
            let step = self.policy.next(event);
            assert_eq!(step, Step::Wait, "nothing was to be restarted");
            return;
        };
        let fate = self.fate(self.child(rank), need);
        if fate != Fate::GiveUp {
            self.void_tickets_of(rank);
        }
        self.tell(
            event,
            match fate {
                Fate::Attempt => Errand::Restart(rank),
                fate => Errand::Down(rank, fate),
            },
        );
    }

    /// Whoever goes along with this child waits no more.
    fn void_tickets_of(&mut self, rank: Rank) {
        for child in 0..3 {
            if self.state(child).is_some() && self.is_in_scope(self.rank(child), rank) {
                self.void_tickets(child);
            }
        }
    }

    /// What the policy says. Where each child needs the one before it, there is
    /// never more than one to begin.
    fn next(&mut self, event: Event) -> Step {
        let step = self.policy.next(event);
        let more = match (self.family.pace, &step) {
            (Pace::InTurn, _) => return step,
            (Pace::SideBySide, Step::Start(_) | Step::Stop(_)) => Step::Await,
            (Pace::SideBySide, Step::Retry(_) | Step::Delay(..) | Step::Park(_)) => Step::Wait,
            (Pace::SideBySide, _) => return step,
        };
        assert_eq!(self.policy.next(Event::GoOn), more);
        step
    }

    /// Tells the policy, and does what it says as far as it takes no time.
    fn tell(&mut self, event: Event, errand: Errand) {
        let step = self.next(event);
        self.doing = match (step, errand) {
            (Step::Wait, Errand::Begin | Errand::Restart(_)) => Doing::Serving,
            (Step::Retry(ticket), Errand::Restart(_)) => {
                let child =
                    (0..3).find(|&child| self.state(child) == Some(ChildState::Restarting(ticket)));
                self.tickets
                    .push_back((ticket, Some(child.expect("somebody waits"))));
                Doing::Serving
            }
            (Step::Delay(rank, due), Errand::Down(cause, Fate::Delay)) => {
                assert_eq!(rank, cause);
                assert_eq!(due, self.now() + Duration::from_secs(DELAY));
                self.check_down(rank);
                Doing::Serving
            }
            (Step::Park(rank), Errand::Down(cause, Fate::Park)) => {
                assert_eq!(rank, cause);
                self.check_down(rank);
                Doing::Serving
            }
            (Step::GiveUp(rank), Errand::Down(cause, Fate::GiveUp)) => {
                assert_eq!(rank, cause, "there were too many restarts");
                return self.tell(Event::End, Errand::End);
            }
            (Step::Wait, Errand::End) | (Step::Abort(_), Errand::Begin) => Doing::Over,
            (Step::Start(rank), Errand::Begin | Errand::Restart(_)) => {
                self.check_start(rank, errand);
                Doing::Carrying(Step::Start(rank), errand)
            }
            (Step::Stop(rank), errand) => {
                self.check_stop(rank, errand);
                Doing::Carrying(Step::Stop(rank), errand)
            }
            (step, errand) => panic!("{step:?} in the course of {errand:?}"),
        };
    }

    /// Nobody lives that goes along with this child, or they would have been
    /// told to stop.
    fn check_down(&self, rank: Rank) {
        for child in 0..3 {
            let goes_along =
                self.state(child).is_some() && self.is_in_scope(self.rank(child), rank);
            assert!(!(goes_along && self.alive[child].is_some()), "{child} runs");
        }
    }

    /// As the shell does it for `terminate_child`.
    fn terminate(&mut self, child: usize) {
        let rank = self.rank(child);
        self.kill(child);
        self.void_tickets(child);
        self.policy.children_mut().stopped(rank);
    }

    /// As the shell does it for `restart_child` and `start_child`.
    fn start_for_caller(&mut self, rank: Rank, child: usize, luck: Luck) {
        if luck != Luck::Fails {
            self.policy.children_mut().renew(rank);
            self.attempts[child].clear();
        }
        match luck {
            Luck::Good => {
                let number = self.begin(child);
                self.policy.children_mut().started(rank, pid(number));
            }
            Luck::Ignores => self.policy.children_mut().stopped(rank),
            Luck::Fails => {}
        }
    }

    /// A process of this child begins; the number of its pid.
    fn begin(&mut self, child: usize) -> usize {
        assert!(self.alive[child].is_none(), "two incarnations of {child}");
        let is_used = |number: &usize| {
            let dead = self.mail.iter().flatten().any(|(dead, _)| dead == number);
            dead || self.alive.contains(&Some(*number))
        };
        let number = (0..).find(|number| !is_used(number));
        self.alive[child] = number;
        number.expect("numbers do not end")
    }

    /// The child is stopped, and its exit taken out of the mail.
    fn kill(&mut self, child: usize) {
        self.alive[child] = None;
        self.mail[child] = None;
    }

    fn void_tickets(&mut self, child: usize) {
        for (_, good_for) in &mut self.tickets {
            *good_for = good_for.filter(|waiting| *waiting != child);
        }
    }

    fn is_in_scope(&self, rank: Rank, cause: Rank) -> bool {
        match self.family.strategy {
            Strategy::OneForOne => rank == cause,
            Strategy::OneForAll => true,
            Strategy::RestForOne => rank >= cause,
        }
    }

    fn check_start(&self, rank: Rank, errand: Errand) {
        let child = self.child(rank);
        assert!(self.alive[child].is_none(), "{child} lives already");
        let spec = &self.policy.children().get(rank).expect("it exists").spec;
        assert_eq!(spec.check(), Ok(()), "{child} cannot be started");
        self.check_place(rank, errand);
    }

    fn check_stop(&self, rank: Rank, errand: Errand) {
        let child = self.child(rank);
        assert!(
            matches!(self.state(child), Some(ChildState::Running(_))),
            "{child} is down"
        );
        self.check_place(rank, errand);
    }

    /// Children are started in order and stopped in reverse, and those outside
    /// the scope of a restart are left alone.
    fn check_place(&self, rank: Rank, errand: Errand) {
        let touches = |other| match errand {
            Errand::Begin | Errand::End => true,
            Errand::Restart(cause) | Errand::Down(cause, _) => self.is_in_scope(other, cause),
        };
        assert!(touches(rank), "a child outside the scope is touched");
        for other in 0..3 {
            let is_later = self.state(other).is_some() && self.rank(other) > rank;
            assert!(
                !(is_later && touches(self.rank(other)) && self.alive[other].is_some()),
                "{other} still runs, but comes after it"
            );
        }
    }

    /// The policy knows of every process, and nothing is waited for in vain.
    fn check_at_rest(&self) {
        match &self.doing {
            Doing::Carrying(..) => {}
            Doing::Over => {
                assert_eq!(self.alive, [None; 3], "an orphan");
                assert_eq!(self.mail, [None; 3], "an exit was not taken");
            }
            Doing::Serving => {
                (0..3).for_each(|child| self.check_child(child));
                self.check_stranger();
            }
        }
    }

    fn check_child(&self, child: usize) {
        let dead = self.mail[child].map(|(number, _)| number);
        let known = match self.state(child) {
            Some(ChildState::Running(pid)) => Some(pid),
            Some(ChildState::Restarting(ticket)) => {
                let retry = self.tickets.iter().find(|(coming, _)| *coming == ticket);
                assert_eq!(
                    retry.map(|(_, good_for)| *good_for),
                    Some(Some(child)),
                    "{child} waits for a retry that does not come"
                );
                None
            }
            Some(ChildState::Waiting(due) | ChildState::Parked(Some(due))) => {
                assert!(due <= self.now() + Duration::from_secs(DELAY));
                None
            }
            Some(ChildState::Parked(None) | ChildState::Stopped) | None => None,
        };
        let real = self.alive[child].or(dead).map(pid);
        assert_eq!(known, real, "{child} is not what it seems");
    }

    fn state(&self, child: usize) -> Option<ChildState> {
        let (_, child) = self.policy.children().find(&IDS[child].into())?;
        Some(child.state)
    }

    fn rank(&self, child: usize) -> Rank {
        let found = self.policy.children().find(&IDS[child].into());
        found.expect("it exists").0
    }

    fn child(&self, rank: Rank) -> usize {
        let child = self.policy.children().get(rank).expect("it exists");
        let id = child.spec.id();
        (0..3)
            .find(|&child| id == &IDS[child].into())
            .expect("it has a name")
    }

    /// What tells this world from others whose futures differ: ranks by their
    /// order, times by their age, pids and tickets by whom they belong to.
    fn key(&self) -> Vec<u8> {
        let ranks: Vec<Rank> = self.rows().map(|child| self.rank(child)).collect();
        let place = |rank: Rank| ranks.iter().filter(|other| **other < rank).count() as u8;
        let scope = |scope: Scope| {
            let (first, end) = scope.ends();
            [place(first), place(end)]
        };
        let now = self.now();
        let left = |due: Instant| due.saturating_duration_since(now).as_secs() as u8;
        let mut key = Vec::with_capacity(32);
        for child in self.rows() {
            let state = match (self.alive[child], self.mail[child], self.state(child)) {
                (Some(_), _, _) => 0,
                (_, Some((_, End::Well)), _) => 1,
                (_, Some((_, End::Badly)), _) => 2,
                (_, _, Some(ChildState::Restarting(_))) => 3,
                (_, _, Some(ChildState::Parked(None))) => 5,
                (_, _, Some(ChildState::Waiting(due))) => 10 + left(due),
                (_, _, Some(ChildState::Parked(Some(due)))) => 20 + left(due),
                (_, _, _) => 4,
            };
            let knows = matches!(self.state(child), Some(ChildState::Running(_)));
            key.extend([child as u8, state, u8::from(knows)]);
        }
        key.push(b'|');
        match &self.doing {
            Doing::Serving => key.push(0),
            Doing::Over => key.push(1),
            Doing::Carrying(step, errand) => {
                match step {
                    Step::Start(rank) => key.extend([2, place(*rank)]),
                    Step::Stop(rank) => key.extend([3, place(*rank)]),
                    step => panic!("{step:?} takes no time"),
                }
                match errand {
                    Errand::Begin => key.push(0),
                    Errand::Restart(rank) => key.extend([1, place(*rank)]),
                    Errand::End => key.push(2),
                    Errand::Down(rank, fate) => key.extend([3, place(*rank), *fate as u8]),
                }
            }
        }
        match &self.policy.plan {
            Plan::Rest => key.push(0),
            Plan::Starting(to, occasion) => {
                key.push(1 + *occasion as u8);
                key.extend(scope(*to));
            }
            Plan::Stopping(to, then) => {
                key.push(3);
                key.extend(scope(*to));
                self.add_then(then, &mut key, place);
            }
        }
        if let Some(together) = &self.policy.together {
            key.push(b'|');
            key.extend(together.key(place));
            if let Some(then) = together.then() {
                self.add_then(then, &mut key, place);
            }
        }
        key.push(b'|');
        let valid = |ticket| self.policy.children().find_ticket(ticket).map(place);
        for (ticket, good_for) in &self.tickets {
            key.extend(
                [valid(*ticket), good_for.map(|child| child as u8)].map(|it| it.unwrap_or(9)),
            );
        }
        key.push(b'|');
        let age = |at: u64| (self.second - at).min(PERIOD + 1) as u8;
        for attempts in &self.attempts {
            let ages = attempts.iter().map(|at| age(*at));
            key.extend(ages.filter(|age| u64::from(*age) <= PERIOD));
            key.push(b'|');
        }
        let own = self
            .rows()
            .filter_map(|child| self.policy.children().get(self.rank(child)))
            .filter_map(|child| child.record()?.restarts());
        for log in own.chain([&self.policy.restarts]) {
            let stamps = log.stamps();
            key.extend(stamps.map(|at| age((at - self.origin).as_secs())));
            key.push(b'|');
        }
        key
    }

    /// Of a key: what follows when all is stopped.
    fn add_then(&self, then: &Then, key: &mut Vec<u8>, place: impl Fn(Rank) -> u8) {
        let now = self.now();
        let left = |due: Instant| due.saturating_duration_since(now).as_secs() as u8;
        match then {
            Then::Rest => key.push(0),
            Then::Restart(cause) => key.extend([1, place(*cause)]),
            Then::Abort(failure) => {
                let id = IDS.iter().position(|id| failure.id == (*id).into());
                key.extend([2, id.expect("it has a name") as u8]);
            }
            Then::Delay(rank, due) => key.extend([3, place(*rank), left(*due)]),
            Then::Park(rank, due) => key.extend([4, place(*rank), due.map_or(9, left)]),
        }
    }

    /// The children there are, in the order of their start.
    fn rows(&self) -> impl Iterator<Item = usize> {
        let ids = self.policy.children().iter().map(|child| child.spec.id());
        ids.map(|id| {
            IDS.iter()
                .position(|known| id == &(*known).into())
                .expect("it has a name")
        })
    }
}

/// Every world that can be reached from one supervisor's beginning.
#[derive(Default)]
struct Atlas {
    numbers: HashMap<Vec<u8>, usize>,
    /// What happened to get to each world, and from which.
    stories: Vec<Option<(usize, Move)>>,
    /// Where each world can come from.
    before: Vec<Vec<usize>>,
    /// Where each world goes if nothing else goes wrong.
    calm: Vec<Option<usize>>,
    over: Vec<usize>,
}

impl Atlas {
    fn explore(family: Family) -> Self {
        let mut atlas = Self::default();
        let mut open = VecDeque::new();
        let first = World::new(family);
        atlas.number(&first, None);
        open.push_back(first);
        let mut from = 0;
        while let Some(world) = open.pop_front() {
            for what in world.moves() {
                let next = atlas.step(&world, from, what);
                if next.tickets.len() > MOST_TICKETS {
                    continue;
                }
                let known = atlas.stories.len();
                let to = atlas.number(&next, Some((from, what)));
                atlas.before[to].push(from);
                if world.calm_move() == Some(what) {
                    atlas.calm[from] = Some(to);
                }
                if to == known {
                    open.push_back(next);
                }
            }
            from += 1;
        }
        atlas
    }

    /// What a move leads to; if a law is broken, the story of it is told.
    fn step(&self, world: &World, from: usize, what: Move) -> World {
        let after = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.after(what)));
        after.unwrap_or_else(|_| {
            let mut story = self.story(from);
            story.push(what);
            panic!("{:?}: {story:?}", world.family)
        })
    }

    fn story(&self, of: usize) -> Vec<Move> {
        let before = |(from, _): &(usize, Move)| self.stories[*from];
        let mut moves: Vec<_> = std::iter::successors(self.stories[of], before)
            .map(|(_, what)| what)
            .collect();
        moves.reverse();
        moves
    }

    fn number(&mut self, world: &World, story: Option<(usize, Move)>) -> usize {
        let fresh = self.stories.len();
        let number = *self.numbers.entry(world.key()).or_insert(fresh);
        if number == fresh {
            self.stories.push(story);
            self.before.push(Vec::new());
            self.calm.push(None);
            if matches!(world.doing, Doing::Over) {
                self.over.push(fresh);
            }
        }
        number
    }

    /// From everywhere the supervisor can come to its end.
    fn check_way_out(&self) {
        let mut ends = vec![false; self.stories.len()];
        let mut open = self.over.clone();
        while let Some(world) = open.pop() {
            if !std::mem::replace(&mut ends[world], true) {
                open.extend(&self.before[world]);
            }
        }
        if let Some(stuck) = ends.iter().position(|ends| !ends) {
            panic!("no way out: {:?}", self.story(stuck));
        }
    }

    /// If nothing else goes wrong, all that is under way comes to an end.
    fn check_calm(&self) {
        let most = 3 * (3 + MOST_TICKETS) * 3;
        for world in 0..self.stories.len() {
            let path = std::iter::successors(Some(world), |world| self.calm[*world]);
            assert!(
                path.take(most + 1).count() <= most,
                "it never comes to rest: {:?}",
                self.story(world)
            );
        }
    }
}

/// Laws SUP-10 to SUP-14, SUP-30 to SUP-37, SUP-51 to SUP-53, SUP-70 to SUP-80 and
/// SUP-106, whatever happens; how many worlds there are.
fn check(family: Family) -> usize {
    let atlas = Atlas::explore(family);
    atlas.check_way_out();
    atlas.check_calm();
    atlas.stories.len()
}

impl Pace {
    /// Where children need each other, fewer can be deleted and come again.
    fn least_worlds(self) -> usize {
        match self {
            Self::InTurn => 10_000,
            Self::SideBySide => 2_000,
        }
    }
}

/// One child of each restart type, of which the middle one always comes back.
#[track_caller]
fn check_mixture(strategy: Strategy, pace: Pace) {
    let worlds = check(Family {
        strategy,
        types: [Restart::Transient, Restart::Permanent, Restart::Temporary],
        cared: [Cared::Plain; 3],
        max_restarts: 1,
        pace,
    });
    assert!(worlds > pace.least_worlds(), "only {worlds} worlds");
}

/// Permanent children, of which some need care.
#[track_caller]
fn check_care(strategy: Strategy, cared: [Cared; 3], pace: Pace) {
    let worlds = check(Family {
        strategy,
        types: [Restart::Permanent, Restart::Transient, Restart::Temporary],
        cared,
        max_restarts: 1,
        pace,
    });
    assert!(worlds > pace.least_worlds(), "only {worlds} worlds");
}

const CARES: [[Cared; 3]; 4] = [
    [Cared::Plain, Cared::Patiently, Cared::Plain],
    [
        Cared::Patiently,
        Cared::Frugally(WhenSpent::Park),
        Cared::Plain,
    ],
    [
        Cared::Frugally(WhenSpent::ParkFor(Duration::from_secs(DELAY))),
        Cared::Plain,
        Cared::Plain,
    ],
    [
        Cared::Both(WhenSpent::Park),
        Cared::Frugally(WhenSpent::GiveUp),
        Cared::Plain,
    ],
];

#[test]
fn whatever_happens_delays_keep_the_laws() {
    for strategy in STRATEGIES {
        check_care(strategy, CARES[0], Pace::InTurn);
    }
}

#[test]
fn whatever_happens_one_for_one_keeps_the_laws() {
    check_mixture(Strategy::OneForOne, Pace::InTurn);
}

#[test]
fn whatever_happens_one_for_all_keeps_the_laws() {
    check_mixture(Strategy::OneForAll, Pace::InTurn);
}

#[test]
fn whatever_happens_rest_for_one_keeps_the_laws() {
    check_mixture(Strategy::RestForOne, Pace::InTurn);
}

/// XSUP-41 to XSUP-50
#[test]
fn whatever_happens_a_chain_side_by_side_is_as_one_in_turn() {
    for strategy in STRATEGIES {
        check_mixture(strategy, Pace::SideBySide);
    }
}

/// XSUP-50
#[test]
fn whatever_happens_delays_side_by_side_keep_the_laws() {
    for strategy in STRATEGIES {
        check_care(strategy, CARES[0], Pace::SideBySide);
    }
}

#[test]
#[ignore = "takes minutes; for a release build"]
fn whatever_happens_every_small_family_keeps_the_laws() {
    let mut worlds = 0;
    for strategy in STRATEGIES {
        for number in 0..27 {
            for max_restarts in 0..3 {
                worlds += check(Family {
                    strategy,
                    types: [1, 3, 9].map(|place| RESTARTS[number / place % 3]),
                    cared: [Cared::Plain; 3],
                    max_restarts,
                    pace: Pace::InTurn,
                });
            }
        }
    }
    assert!(worlds > 100_000, "only {worlds} worlds");
}

#[test]
#[ignore = "takes minutes; for a release build"]
fn whatever_happens_every_kind_of_care_keeps_the_laws() {
    for strategy in STRATEGIES {
        for cared in CARES {
            for pace in PACES {
                check_care(strategy, cared, pace);
            }
        }
    }
}
