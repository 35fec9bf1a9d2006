//! Programs out of random numbers.

use fastrand::Rng;

use super::{Down, Name, Op, Program, Reason, Tie, Who};

/// How large programs may get.
#[derive(Copy, Clone, Debug)]
pub struct Size {
    /// The most processes; there are two at least.
    pub processes: usize,
    /// The fewest steps.
    pub least_steps: usize,
    /// The most steps.
    pub most_steps: usize,
}

impl Size {
    /// For programs that are run settled.
    pub const SETTLED: Self = Self {
        processes: 6,
        least_steps: 4,
        most_steps: 40,
    };

    /// For programs that are run racy: the model tries every order there is.
    pub const RACY: Self = Self {
        processes: 3,
        least_steps: 3,
        most_steps: 7,
    };

    /// For programs that are run in all orders.
    pub const SMALLEST: Self = Self {
        processes: 2,
        least_steps: 2,
        most_steps: 3,
    };
}

pub(super) fn program(seed: u64, size: Size) -> Program {
    let mut rng = Rng::with_seed(seed);
    let processes = rng.usize(2..=size.processes);
    let initial = if rng.u8(..3) == 0 {
        rng.usize(1..=processes)
    } else {
        processes
    };
    let length = rng.usize(size.least_steps..=size.most_steps);
    let mut author = Author {
        processes,
        unspawned: (initial..processes).collect(),
        hot: [rng.usize(..processes), rng.usize(..processes)],
        trapping: rng.u8(..4),
        deadly: rng.u8(1..=8),
        theme: [Theme::All, Theme::All, Theme::Links, Theme::Monitors][rng.usize(..4)],
        rng,
    };
    let steps = (0..length).map(|_| author.step()).collect();
    Program {
        initial,
        processes,
        steps,
    }
}

/// What a program is mostly about.
#[derive(Copy, Clone)]
enum Theme {
    All,
    Links,
    Monitors,
}

/// Who writes one program.
struct Author {
    processes: usize,
    /// Who still has to be spawned by some step.
    unspawned: Vec<Who>,
    /// The two that most happens between.
    hot: [Who; 2],
    /// How often processes set their flag.
    trapping: u8,
    /// How often processes end.
    deadly: u8,
    theme: Theme,
    rng: Rng,
}

impl Author {
    fn step(&mut self) -> (Who, Op) {
        let actor = self.anyone();
        (actor, self.op(actor))
    }

    /// Mostly one of the hot pair.
    fn anyone(&mut self) -> Who {
        match self.rng.u8(..5) {
            0..=2 => self.hot[self.rng.usize(..2)],
            _ => self.rng.usize(..self.processes),
        }
    }

    /// Mostly the other one of the hot pair; now and then the actor itself.
    fn other(&mut self, actor: Who) -> Who {
        match self.rng.u8(..10) {
            0..=5 if self.hot[0] == actor => self.hot[1],
            0..=5 if self.hot[1] == actor => self.hot[0],
            6 => actor,
            _ => self.rng.usize(..self.processes),
        }
    }

    fn op(&mut self, actor: Who) -> Op {
        if !self.unspawned.is_empty() && self.rng.u8(..4) == 0 {
            let tie = [Tie::None, Tie::Link, Tie::Monitor][self.rng.usize(..3)];
            return Op::Spawn(self.unspawned.remove(0), tie);
        }
        if self.rng.u8(..60) < self.deadly {
            return self.end(actor);
        }
        if self.rng.u8(..16) < self.trapping {
            return Op::TrapExit(self.rng.u8(..4) > 0);
        }
        let other = self.other(actor);
        if let Some(op) = self.theme_op(other) {
            return op;
        }
        match self.rng.u8(..40) {
            0..=4 => Op::Send(other, self.rng.u32(..1000)),
            5 => Op::SendName(self.name(), self.rng.u32(..1000)),
            6..=12 => Op::Link(other),
            13..=17 => Op::Unlink(other),
            18..=21 => Op::Monitor(other),
            22 => Op::MonitorName(self.name()),
            23 => Op::Demonitor(self.rng.usize(..3), Down::Kept),
            24 => Op::Demonitor(self.rng.usize(..3), Down::Flushed),
            25..=26 => Op::Exit(other, self.reason()),
            27..=28 => Op::Register(self.name(), other),
            29 => Op::Unregister(self.name()),
            30..=31 => Op::Whereis(self.name()),
            32..=33 => Op::Receive,
            34..=37 => Op::Poll,
            _ => Op::IsAlive(other),
        }
    }

    fn theme_op(&mut self, other: Who) -> Option<Op> {
        match (self.theme, self.rng.u8(..8)) {
            (Theme::Links, 0..=3) => Some(Op::Link(other)),
            (Theme::Links, 4..=6) => Some(Op::Unlink(other)),
            (Theme::Monitors, 0..=3) => Some(Op::Monitor(other)),
            (Theme::Monitors, 4..=5) => Some(Op::Demonitor(self.rng.usize(..3), Down::Flushed)),
            (Theme::Monitors, 6) => Some(Op::Demonitor(self.rng.usize(..3), Down::Kept)),
            (Theme::All | Theme::Links | Theme::Monitors, _) => None,
        }
    }

    /// An end: of the actor or of another.
    fn end(&mut self, actor: Who) -> Op {
        match self.rng.u8(..6) {
            0 => Op::Panic,
            1..=2 => Op::Return(self.reason()),
            3 => Op::Exit(self.other(actor), Reason::Kill),
            _ => Op::Exit(self.other(actor), self.reason()),
        }
    }

    fn reason(&mut self) -> Reason {
        match self.rng.u8(..10) {
            0..=2 => Reason::Normal,
            3 => Reason::Shutdown,
            4 => Reason::Kill,
            5 => Reason::Killed,
            6 => Reason::NoProc,
            _ => Reason::Custom(self.rng.u8(..4)),
        }
    }

    fn name(&mut self) -> Name {
        Name(self.rng.u8(..2))
    }
}
