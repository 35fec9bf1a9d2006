//! Trees out of random numbers.

use fastrand::Rng;
use resurgam::Restart;
use resurgam::Strategy::{OneForAll, OneForOne, RestForOne};

use super::{
    Case, Child, Event, Failure, Id, Kind, Manner, Reason, Shutdown, Strategy, Supervisor, Trouble,
    Worker,
};

/// How many levels of supervisors there are at most.
const LEVELS: u32 = 3;

pub(super) fn case(seed: u64) -> Case {
    let mut gardener = Gardener {
        rng: Rng::with_seed(seed),
        next: 0,
        parents: Vec::new(),
        supervisors: Vec::new(),
        dynamic: Vec::new(),
    };
    let root = gardener.supervisor(1);
    let length = gardener.rng.usize(1..=10);
    let mut events: Vec<_> = (0..length).map(|_| gardener.event()).collect();
    events.push(Event::Stop(
        gardener.pick(&[Reason::Normal, Reason::Shutdown]),
    ));
    Case { root, events }
}

struct Gardener {
    rng: Rng,
    /// The next number.
    next: Id,
    /// Each child with its supervisor.
    parents: Vec<(Id, Id)>,
    supervisors: Vec<Id>,
    dynamic: Vec<(Id, Restart, Shutdown)>,
}

impl Gardener {
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(..items.len())]
    }

    fn number(&mut self) -> Id {
        self.next += 1;
        self.next - 1
    }

    fn supervisor(&mut self, level: u32) -> Supervisor {
        let id = self.number();
        self.supervisors.push(id);
        let intensity = self.pick(&[0, 1, 2, 3, 5, 100]);
        if level > 1 && self.rng.u8(..4) == 0 {
            return self.dynamic(id, intensity);
        }
        let strategy = Strategy::Static(self.pick(&[OneForOne, OneForAll, RestForOne]));
        let children = (0..self.rng.usize(0..=4))
            .map(|_| self.child(id, level))
            .collect();
        Supervisor {
            id,
            strategy,
            intensity,
            children,
        }
    }

    fn dynamic(&mut self, id: Id, intensity: u32) -> Supervisor {
        let restart = self.restart();
        let shutdown = self.shutdown(Manner::Plain);
        self.dynamic.push((id, restart, shutdown));
        let strategy = Strategy::Dynamic(restart, shutdown);
        Supervisor {
            id,
            strategy,
            intensity,
            children: Vec::new(),
        }
    }

    fn restart(&mut self) -> Restart {
        use Restart::{Permanent, Temporary, Transient};
        self.pick(&[Permanent, Permanent, Transient, Temporary])
    }

    fn child(&mut self, parent: Id, level: u32) -> Child {
        let restart = self.restart();
        let is_supervisor = level < LEVELS && self.rng.u8(..3) == 0;
        let (kind, shutdown) = if is_supervisor {
            let shutdown = match self.rng.u8(..10) {
                0 => Shutdown::BrutalKill,
                _ => Shutdown::Infinity,
            };
            (Kind::Supervisor(self.supervisor(level + 1)), shutdown)
        } else {
            let worker = self.worker();
            (Kind::Worker(worker), self.shutdown(worker.manner))
        };
        let child = Child {
            restart,
            shutdown,
            kind,
        };
        self.parents.push((child.id(), parent));
        child
    }

    fn shutdown(&mut self, manner: Manner) -> Shutdown {
        match manner {
            Manner::Deaf => self.pick(&[Shutdown::Timeout, Shutdown::BrutalKill]),
            Manner::Plain | Manner::Trapping => {
                self.pick(&[Shutdown::Timeout, Shutdown::BrutalKill, Shutdown::Infinity])
            }
        }
    }

    fn worker(&mut self) -> Worker {
        let id = self.number();
        let manner = match self.rng.u8(..12) {
            0 => Manner::Deaf,
            1..=5 => Manner::Trapping,
            _ => Manner::Plain,
        };
        let trouble = (self.rng.u8(..4) == 0).then(|| self.trouble());
        Worker {
            id,
            manner,
            trouble,
        }
    }

    fn trouble(&mut self) -> Trouble {
        let what = match self.rng.u8(..6) {
            0 => Failure::Panic,
            1..=2 => Failure::Ignore,
            _ => Failure::Stop(self.pick(&[Reason::Normal, Reason::Shutdown, Reason::Custom])),
        };
        // Seldom at the very first start, or few trees would ever stand.
        let from = self.pick(&[1, 2, 2, 2, 3, 3]);
        Trouble {
            what,
            from,
            count: self.pick(&[1, 1, 2, 3, 1000]),
        }
    }

    fn event(&mut self) -> Event {
        let (child, parent) = match self.rng.usize(..self.parents.len() + 1) {
            at if at < self.parents.len() => self.parents[at],
            // Nobody knows this one.
            _ => (1000, 0),
        };
        if !self.dynamic.is_empty() && self.rng.u8(..4) == 0 {
            return self.start_dynamic();
        }
        match self.rng.u8(..20) {
            0..=8 => Event::Crash(child, self.reason()),
            9..=11 => Event::Kill(child),
            12..=13 => Event::TerminateChild(parent, child),
            14..=15 => Event::RestartChild(parent, child),
            16..=17 => Event::DeleteChild(parent, child),
            _ => self.start_child(child),
        }
    }

    /// A new child, or one that is there already.
    fn start_child(&mut self, known: Id) -> Event {
        let parent = self.pick(&self.supervisors.clone());
        if self.dynamic.iter().any(|(id, ..)| *id == parent) {
            return self.start_dynamic();
        }
        let mut child = self.child(parent, LEVELS);
        if self.rng.u8(..3) == 0
            && let Kind::Worker(worker) = &mut child.kind
            && let Some((known, parent)) = self.parents.iter().copied().find(|(id, _)| *id == known)
            && self.dynamic.iter().all(|(id, ..)| *id != parent)
        {
            worker.id = known;
            return Event::StartChild(parent, child);
        }
        Event::StartChild(parent, child)
    }

    fn start_dynamic(&mut self) -> Event {
        let (parent, restart, shutdown) = self.pick(&self.dynamic.clone());
        let mut worker = self.worker();
        if worker.manner == Manner::Deaf {
            worker.manner = Manner::Trapping;
        }
        // One that ignores its restart stays as a dead entry in older versions
        // of OTP (law SUP-157).
        if let Some(Trouble {
            what: what @ Failure::Ignore,
            from,
            count,
        }) = &mut worker.trouble
            && *from + *count > 2
        {
            *what = Failure::Panic;
        }
        self.parents.push((worker.id, parent));
        let kind = Kind::Worker(worker);
        Event::StartChild(
            parent,
            Child {
                restart,
                shutdown,
                kind,
            },
        )
    }

    fn reason(&mut self) -> Reason {
        self.pick(&[
            Reason::Normal,
            Reason::Shutdown,
            Reason::ShutdownWith,
            Reason::Custom,
            Reason::Custom,
            Reason::Panic,
        ])
    }
}
