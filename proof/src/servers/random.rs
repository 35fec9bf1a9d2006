//! Writes scripts at random.
//!
//! What a script is seen to do must not depend on who is quicker. So there is
//! one source of everything that one step sets going, and what a server does
//! of its own accord while time passes concerns nobody else: see [`Mood`].

use fastrand::Rng;

use super::script::{
    Act, Ask, Bond, CLIENTS, Case, Command, Due, End, Event, Init, Life, Limit, Manner, OnEnd,
    Plan, Reason, SLOTS, Slot, Start, Step, Target, Then, Who,
};

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut writer = Writer {
            habit: match rng.u8(..4) {
                0 => Habit::Hibernate,
                _ => Habit::Suspend,
            },
            rng,
            numbers: 0,
            has_second: false,
            hands_out: false,
            open: [Open::default(); CLIENTS.len()],
        };
        let traps = CLIENTS.map(|_| writer.chance(75));
        let mut steps = vec![Step::Do('a', Command::Start(writer.good_start(0)))];
        for _ in 0..writer.rng.usize(6..26) {
            let step = writer.step();
            let is_deadly = step.is_deadly();
            steps.push(step);
            if is_deadly && writer.chance(70) {
                steps.push(Step::Do(writer.who(), Command::Start(writer.start())));
            }
        }
        // What holds still or waits is seen to go on.
        let release = || (0..SLOTS).map(Step::Release);
        steps.extend(release().chain([Step::Wait]).chain(release()));
        Self { traps, steps }
    }
}

impl Step {
    /// Whether a server may well be gone after it.
    fn is_deadly(&self) -> bool {
        match self {
            Self::Do(_, command) => matches!(
                command,
                Command::Stop(..) | Command::Terminate(..) | Command::Exit(..) | Command::End(_)
            ),
            Self::Release(_) | Self::Wait => false,
        }
    }
}

/// When a server does something.
#[derive(Copy, Clone)]
enum Mood {
    /// When a client or the script tells it to.
    Told,
    /// When time passes: it replies to nobody, ties itself to nobody and waits
    /// for no more time, for another server may do something then too.
    Alone,
}

/// What servers do in a script. One that hibernates and is suspended while
/// messages wait never comes to rest in OTP 25: it wakes up for each of them,
/// and does not take it.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Habit {
    Hibernate,
    Suspend,
}

/// Writes scripts. Every event has a number of its own.
struct Writer {
    rng: Rng,
    habit: Habit,
    numbers: u32,
    /// Whether anything was started at the second place.
    has_second: bool,
    /// Whether any call was to be handed out.
    hands_out: bool,
    open: [Open; CLIENTS.len()],
}

/// How much a client has begun that it may come back to.
#[derive(Copy, Clone, Default)]
struct Open {
    requests: u8,
    collected: u8,
    monitors: [u8; SLOTS as usize],
}

impl Writer {
    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether something is that happens so often in a hundred.
    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn step(&mut self) -> Step {
        match self.rng.u8(..20) {
            0..=2 => Step::Release(self.slot()),
            3 => Step::Wait,
            4..=7 => self.follow_up(),
            _ => {
                let client = self.rng.usize(..CLIENTS.len());
                Step::Do(CLIENTS[client], self.command(client))
            }
        }
    }

    /// Comes back to something.
    fn follow_up(&mut self) -> Step {
        let client = self.rng.usize(..CLIENTS.len());
        let open = self.open[client];
        let command = match self.rng.u8(..3) {
            0 if open.requests > 0 => self.response(client),
            1 if open.collected > 0 => self.gather(client),
            _ if self.hands_out && self.chance(50) => {
                self.hands_out = self.rng.bool();
                Command::Answer(self.number())
            }
            _ => self.command(client),
        };
        Step::Do(CLIENTS[client], command)
    }

    fn command(&mut self, client: usize) -> Command {
        match self.rng.u8(..64) {
            0..=12 => Command::Start(self.start()),
            13..=20 => Command::Call(self.target(), self.limit(), self.told()),
            21..=25 => Command::Cast(self.target(), self.told()),
            26..=30 => self.response(client),
            31..=37 => self.gather(client),
            38..=40 => Command::Stop(self.target(), self.limit(), self.reason()),
            41..=50 => Command::Sys(self.target(), self.limit(), self.ask()),
            51 => Command::Terminate(self.target(), self.reason()),
            52..=54 => Command::Exit(self.slot(), self.reason()),
            55 => Command::Link(self.slot()),
            56 => Command::Unlink(self.slot()),
            57..=59 => self.monitor(client),
            60 => Command::Whereis(self.slot()),
            61..=62 => Command::Cast(self.target(), self.told()),
            63.. => Command::End(self.reason()),
        }
    }

    /// Looks for a response, if a request was sent, and now and then if not.
    fn response(&mut self, client: usize) -> Command {
        let requests = self.open[client].requests;
        if requests > 0 && self.chance(70) || self.chance(5) {
            self.open[client].requests = requests.saturating_sub(1);
            return Command::Response(self.manner(), self.limit_or_zero());
        }
        self.open[client].requests += 1;
        Command::Send(self.target(), self.told())
    }

    /// Looks into the collection, if there is something in it, and now and then
    /// if not.
    fn gather(&mut self, client: usize) -> Command {
        let collected = self.open[client].collected;
        if collected > 0 && self.chance(70) || self.chance(5) {
            // One that was looked into in vain is looked into again.
            self.open[client].collected -= u8::from(collected > 0 && self.chance(50));
            return Command::Gather(self.manner(), self.limit_or_zero());
        }
        self.open[client].collected += 1;
        Command::Add(self.target(), self.told())
    }

    fn monitor(&mut self, client: usize) -> Command {
        let slot = self.slot();
        let monitors = &mut self.open[client].monitors[usize::from(slot)];
        if *monitors > 0 && self.rng.bool() {
            *monitors -= 1;
            return Command::Demonitor(slot);
        }
        *monitors += 1;
        Command::Monitor(slot)
    }

    /// A place where something was started.
    fn slot(&mut self) -> Slot {
        u8::from(self.has_second && self.chance(35))
    }

    fn who(&mut self) -> Who {
        CLIENTS[self.rng.usize(..CLIENTS.len())]
    }

    fn target(&mut self) -> Target {
        let slot = self.slot();
        match self.chance(30) {
            true => Target::Name(slot),
            false => Target::Pid(slot),
        }
    }

    fn limit(&mut self) -> Limit {
        match self.chance(30) {
            true => Limit::Short,
            false => Limit::Never,
        }
    }

    fn limit_or_zero(&mut self) -> Limit {
        match self.chance(50) {
            true => Limit::Zero,
            false => self.limit(),
        }
    }

    fn manner(&mut self) -> Manner {
        match self.rng.u8(..4) {
            0 => Manner::Check,
            1 => Manner::Wait,
            _ => Manner::Receive,
        }
    }

    fn reason(&mut self) -> Reason {
        match self.rng.u8(..8) {
            0..=1 => Reason::Normal,
            2..=3 => Reason::Shutdown,
            4 => Reason::ShutdownWith,
            5 => Reason::Kill,
            _ => Reason::Oops,
        }
    }

    fn ask(&mut self) -> Ask {
        match self.rng.u8(..10) {
            0..=2 if self.habit == Habit::Suspend => Ask::Suspend,
            0..=2 => Ask::State,
            3..=5 => Ask::Resume,
            6 => Ask::State,
            7 => Ask::Replace(1000 + self.number()),
            8 => Ask::Crash,
            _ => Ask::Status,
        }
    }

    fn good_start(&mut self, slot: Slot) -> Start {
        Start {
            slot,
            bond: match self.rng.u8(..5) {
                0 => Bond::Free,
                1 => Bond::Monitored,
                _ => Bond::Linked,
            },
            name: self.chance(50).then_some(slot),
            limit: Limit::Never,
            life: self.life(),
            init: Init::Ok(self.then(2, Mood::Told)),
            held: false,
        }
    }

    fn start(&mut self) -> Start {
        let slot = self.rng.u8(..5) / 3;
        self.has_second |= slot > 0;
        let mut start = self.good_start(slot);
        if self.chance(20) {
            start.name = Some(self.slot());
        }
        start.limit = self.limit();
        start.held = self.chance(20);
        start.init = match self.rng.u8(..16) {
            0 => Init::Ignore,
            1..=2 => Init::Stop(self.reason()),
            3 => Init::Raise(self.reason()),
            4 => Init::Crash,
            _ => start.init,
        };
        start
    }

    fn life(&mut self) -> Life {
        Life {
            traps: self.rng.bool(),
            // Of one end it may be told more than once, and nobody knows what
            // comes in between.
            on_info: self.plan(0, Mood::Alone),
            on_end: match self.rng.u8(..8) {
                0 => OnEnd::Hold,
                1 => OnEnd::Crash,
                _ => OnEnd::Nothing,
            },
        }
    }

    fn told(&mut self) -> Event {
        self.event(3, Mood::Told)
    }

    /// An event that has others in it, at most so deep.
    fn event(&mut self, depth: u8, mood: Mood) -> Event {
        let number = self.number();
        let plan = self.plan(depth, mood);
        Event { number, plan }
    }

    fn plan(&mut self, depth: u8, mood: Mood) -> Plan {
        let mut acts = Vec::new();
        if matches!(mood, Mood::Told) {
            acts.extend(self.reply());
        }
        while self.chance(35) {
            acts.extend(self.act(depth, mood));
        }
        if matches!(mood, Mood::Told) && self.chance(3) {
            acts.push(self.exit_self());
            let end = End::Ok(Then::Nothing);
            return Plan { acts, end };
        }
        let end = self.end(depth, mood);
        Plan { acts, end }
    }

    fn reply(&mut self) -> Option<Act> {
        match self.rng.u8(..10) {
            0..=4 => Some(Act::Reply),
            5..=6 => {
                self.hands_out = true;
                Some(Act::HandOut)
            }
            _ => None,
        }
    }

    /// A normal exit is another thing before OTP 29 (law EXIT-11).
    fn exit_self(&mut self) -> Act {
        Act::ExitSelf(match self.reason() {
            Reason::Normal => Reason::Oops,
            reason => reason,
        })
    }

    fn act(&mut self, depth: u8, mood: Mood) -> Option<Act> {
        let act = match (self.rng.u8(..16), mood) {
            (0..=2, _) if depth > 0 => Act::CastSelf(self.event(depth - 1, mood)),
            (3..=5, Mood::Told) => Act::Hold,
            (6, _) => Act::Trap(self.rng.bool()),
            (7, _) => Act::CallSelf,
            (8, Mood::Told) => Act::ReplyOldest,
            (9, Mood::Told) => Act::HandOut,
            (10..=11, Mood::Told) => Act::Link(self.who()),
            (12..=15, Mood::Told) => Act::Monitor(self.who()),
            _ => return None,
        };
        Some(act)
    }

    fn end(&mut self, depth: u8, mood: Mood) -> End {
        match self.rng.u8(..48) {
            0..=2 => End::Stop(self.reason()),
            3..=5 => End::StopReply(self.reason()),
            6 => End::Raise(self.reason()),
            7 => End::Crash,
            _ => End::Ok(self.then(depth, mood)),
        }
    }

    fn then(&mut self, depth: u8, mood: Mood) -> Then {
        if depth == 0 {
            return Then::Nothing;
        }
        match (self.rng.u8(..16), mood) {
            (0..=2, _) if self.habit == Habit::Hibernate => Then::Hibernate,
            (0..=2, _) => Then::Continue(Box::new(self.event(depth - 1, mood))),
            (3..=4, _) => Then::Timeout(Due::Zero, Box::new(self.event(depth - 1, mood))),
            (5..=6, Mood::Told) => {
                Then::Timeout(Due::Short, Box::new(self.event(depth - 1, Mood::Alone)))
            }
            _ => Then::Nothing,
        }
    }
}
