//! [`World`]: what stands behind the seam in a simulation. It parks what
//! processes do to each other, and says which of all the things that could
//! happen next does.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::books::Books;
use super::checks::Checks;
use super::faults::{Choose, Faults, Kind, Victim, draw_time};
use super::random::Random;
use super::tape::Tape;
use super::trace::{Happened, Trace};
use crate::caught::{discard_payload, drop_caught};
use crate::clock::VirtualClock;
use crate::node::seam::Load;
use crate::pid::Pid;
use crate::process::cell::{Header, Process};
use crate::sync::Mutex;
use crate::sys::desk::shown;
use crate::timer::Timers;

/// The world that a simulated node lives in. One thread drives it.
pub(crate) struct World {
    thread: ThreadId,
    pub(super) clock: VirtualClock,
    pub(super) timers: Arc<Timers>,
    pub(super) state: Mutex<State>,
    pub(super) books: Mutex<Books>,
    pub(super) checks: Mutex<Checks>,
    /// Whether some process is to panic at its next await; spares the look
    /// into `State::panics`.
    panics: AtomicBool,
    /// Whether somebody is going to read the trace.
    is_traced: bool,
    pub(super) faults_done: AtomicU64,
    /// Whether the simulation is over: nothing happens any more.
    over: AtomicBool,
}

pub(super) struct State {
    pub(super) tape: Tape,
    /// What could happen next, the oldest first.
    agenda: VecDeque<Item>,
    channels: HashMap<(Pid, Pid), VecDeque<Parcel>, BuildHasherDefault<PairHasher>>,
    /// What is held up, by when it goes on.
    held: BTreeMap<(Instant, u64), Item>,
    next_held: u64,
    pub(super) faults: Faults,
    /// The chances of `faults` that are drawn at each step.
    chances: [u32; 4],
    /// Who is not struck by faults.
    pub(super) protected: HashSet<Pid>,
    /// Who is not either, whatever their pids will be.
    pub(super) protected_kinds: Vec<Arc<Choose>>,
    panics: HashSet<Pid>,
    pub(super) trace: Trace,
    /// How many steps there were since the clock last moved.
    pub(super) steps_at_this_time: u64,
}

/// Something that could happen next.
pub(super) enum Item {
    /// A process takes its turn.
    Run(Process),
    /// The oldest thing on its way from one process to another arrives.
    Deliver(Pid, Pid),
}

/// Something on its way.
pub(super) struct Parcel {
    /// For the trace; empty if nobody reads it.
    what: String,
    arrive: Box<dyn FnOnce() + Send>,
}

impl Parcel {
    /// What arrives may be the user's, and dropped where it does.
    pub(super) fn arrive(self) {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(self.arrive)) {
            discard_payload(payload);
        }
    }
}

/// What the driver is to do.
pub(super) enum Action {
    Run(Process),
    Deliver(Parcel),
    /// Fire the timer that is due first.
    Fire,
    Kill(Pid),
    Panic(Pid),
    /// Only the clock moved, or something was held up.
    Nothing,
}

impl World {
    /// How many steps may go by at one moment of the clock while a timer
    /// waits. A process that wakes itself for ever would stop the time
    /// otherwise.
    const PATIENCE: u64 = 100_000;

    pub(super) fn new(clock: VirtualClock, timers: Arc<Timers>, tape: Tape, trace: Trace) -> Self {
        let is_traced = trace.is_written();
        let state = State {
            tape,
            agenda: VecDeque::new(),
            channels: HashMap::default(),
            held: BTreeMap::new(),
            next_held: 0,
            faults: Faults::none(),
            chances: [0; 4],
            protected: HashSet::new(),
            protected_kinds: Vec::new(),
            panics: HashSet::new(),
            trace,
            steps_at_this_time: 0,
        };
        Self {
            thread: thread::current().id(),
            clock,
            timers,
            state: Mutex::new(state),
            books: Mutex::new(Books::default()),
            checks: Mutex::new(Checks::default()),
            panics: AtomicBool::new(false),
            is_traced,
            faults_done: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Parks something on its way from one process to another. What a process
    /// does to itself arrives at once.
    pub(crate) fn transmit<V, T>(
        &self,
        from: Pid,
        to: Pid,
        via: V,
        load: T,
        arrive: impl FnOnce(&V, T) + Send + 'static,
    ) where
        V: Clone + Send + 'static,
        T: Load,
    {
        if self.over.load(Ordering::Relaxed) {
            return drop_caught(load);
        }
        if from == to && from != Pid::OUTSIDE {
            return arrive(&via, load);
        }
        let what = self.traced(|| load.describe());
        let arrive = Box::new(move || arrive(&via, load));
        let mut state = self.state.lock();
        let channel = state.channels.entry((from, to)).or_default();
        channel.push_back(Parcel { what, arrive });
        if channel.len() == 1 {
            state.agenda.push_back(Item::Deliver(from, to));
        }
    }

    /// A text for the trace, if somebody is going to read it. What is formatted
    /// may be the user's, so no lock is held.
    pub(super) fn traced(&self, text: impl FnOnce() -> String) -> String {
        if self.is_traced {
            shown(text)
        } else {
            String::new()
        }
    }

    /// A process was woken.
    pub(crate) fn schedule(&self, process: Process) {
        if self.over.load(Ordering::Relaxed) {
            return drop_caught(process);
        }
        if thread::current().id() != self.thread {
            self.books.lock().violated(format!(
                "{} was woken by another thread: what it waits for is outside the simulation \
                 (real I/O, a thread, another node)",
                process.header().pid
            ));
        }
        self.put_back(process);
    }

    /// A process gave way.
    pub(super) fn put_back(&self, process: Process) {
        self.state.lock().agenda.push_back(Item::Run(process));
    }

    /// What happens next, if something can until `limit`.
    pub(super) fn next(&self, limit: Instant) -> Option<Action> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.release_held(now);
        let due = self.timers.next_deadline().filter(|due| *due <= now);
        let ready = state.agenda.len();
        if ready == 0 && due.is_none() {
            return self.pass_time(&mut state, limit);
        }
        let faults = state.chances;
        let drawn = state.tape.rare(&faults);
        if let Some(kind) = Faults::kind(drawn) {
            return Some(self.strike(&mut state, kind));
        }
        state.steps_at_this_time += 1;
        if state.steps_at_this_time > Self::PATIENCE {
            state.steps_at_this_time = 0;
            if let Some(action) = self.pass_time(&mut state, limit) {
                return Some(action);
            }
        }
        let State { tape, agenda, .. } = &mut *state;
        let of = ready + usize::from(due.is_some());
        let chosen = tape.choose_by(of, |index| agenda.get(index).map_or(0, Item::key));
        let Some(item) = state.agenda.remove(chosen) else {
            return Some(self.fire(&mut state, now));
        };
        Some(match item {
            Item::Run(process) => {
                state.trace.write(now, Happened::Ran(process.header().pid));
                Action::Run(process)
            }
            Item::Deliver(from, to) => state.take_parcel(now, from, to),
        })
    }

    /// Moves the clock to the next thing that waits for its time.
    fn pass_time(&self, state: &mut State, limit: Instant) -> Option<Action> {
        let held = state.held.keys().next().map(|(until, _)| *until);
        let timer = self.timers.next_deadline();
        let next = held.into_iter().chain(timer).min()?;
        if next > limit {
            return None;
        }
        self.move_clock(state, next);
        Some(Action::Nothing)
    }

    pub(super) fn move_clock(&self, state: &mut State, to: Instant) {
        if to > self.clock.now() {
            self.clock.set(to);
            state.steps_at_this_time = 0;
            state.trace.write(to, Happened::Time);
        }
    }

    /// Fires the timer that is due first, or lets it be late.
    fn fire(&self, state: &mut State, now: Instant) -> Action {
        let late = [state.faults.late_timer];
        if state.tape.rare(&late) == 1 {
            let State { tape, faults, .. } = state;
            let by = draw_time(tape, &faults.lateness).max(Duration::from_nanos(1));
            self.timers.postpone_first(now + by);
            self.faults_done.fetch_add(1, Ordering::Relaxed);
            state.trace.write(now, Happened::TimerLate(by));
            return Action::Nothing;
        }
        state.trace.write(now, Happened::TimerFired);
        Action::Fire
    }

    /// Injects a fault.
    fn strike(&self, state: &mut State, kind: Kind) -> Action {
        let now = self.clock.now();
        let action = match kind {
            Kind::Kill | Kind::Panic => {
                let victims = state.victims(&self.books.lock());
                if victims.is_empty() {
                    return Action::Nothing;
                }
                let victim = victims[state.tape.choose(victims.len())];
                if kind == Kind::Kill {
                    state.trace.write(now, Happened::Killed(victim));
                    Action::Kill(victim)
                } else {
                    self.doom_to_panic(state, victim);
                    Action::Panic(victim)
                }
            }
            Kind::Delay => {
                let State { tape, faults, .. } = state;
                let until = now + draw_time(tape, &faults.delays);
                state.hold_one(now, until)
            }
            Kind::ClockJump => {
                let State { tape, faults, .. } = state;
                let to = now + draw_time(tape, &faults.clock_jumps);
                self.move_clock(state, to);
                Action::Nothing
            }
        };
        self.faults_done.fetch_add(1, Ordering::Relaxed);
        action
    }

    /// Lets a process panic at its next await.
    pub(super) fn doom_to_panic(&self, state: &mut State, victim: Pid) {
        let now = self.clock.now();
        state.trace.write(now, Happened::ToPanic(victim));
        state.panics.insert(victim);
        self.panics.store(true, Ordering::Relaxed);
    }

    /// Whether the process that has come to an await is to panic there.
    pub(crate) fn takes_panic(&self, pid: Pid) -> bool {
        if !self.panics.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        let struck = state.panics.remove(&pid);
        self.panics
            .store(!state.panics.is_empty(), Ordering::Relaxed);
        struck
    }

    /// Whether a server that is being started is to fail.
    pub(crate) fn fails_init(&self, server: &Header) -> bool {
        let mut state = self.state.lock();
        if !state.can_strike(server) {
            return false;
        }
        let chance = [state.faults.init_fails];
        let fails = state.tape.rare(&chance) == 1;
        if fails {
            self.faults_done.fetch_add(1, Ordering::Relaxed);
            state
                .trace
                .write(self.clock.now(), Happened::InitFailed(server.pid));
        }
        fails
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        let mut state = self.state.lock();
        let faults = faults.drawn(&mut state.tape);
        state.chances = faults.cumulative();
        state.faults = faults;
    }

    /// No more faults, and nothing is held up any more.
    pub(super) fn heal(&self) {
        self.set_faults(Faults::none());
        let mut state = self.state.lock();
        state.panics.clear();
        let held = std::mem::take(&mut state.held);
        state.agenda.extend(held.into_values());
    }

    /// Whether nothing can happen before time passes, and nothing is held up:
    /// what is held up is not lost.
    pub(super) fn is_at_rest(&self) -> bool {
        let now = self.clock.now();
        !self.is_under_way() && self.timers.next_deadline().is_none_or(|due| due > now)
    }

    /// Whether something is on its way or held up.
    pub(super) fn is_under_way(&self) -> bool {
        let state = self.state.lock();
        !state.agenda.is_empty() || !state.held.is_empty()
    }

    /// Lets nothing happen any more; what was under way is dropped.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        let agenda = std::mem::take(&mut state.agenda);
        let channels = std::mem::take(&mut state.channels);
        let held = std::mem::take(&mut state.held);
        drop(state);
        let living = self.books.lock().clear();
        drop_caught(living);
        for item in agenda.into_iter().chain(held.into_values()) {
            drop_caught(item);
        }
        for parcel in channels.into_values().flatten() {
            drop_caught(parcel);
        }
    }

    pub(super) fn random(&self, of: usize) -> usize {
        self.state.lock().tape.choose(of)
    }

    /// A seed for the node's random numbers.
    pub(super) fn node_seed(seed: u64) -> u64 {
        Random::new(seed ^ 0x5EED).next()
    }
}

impl State {
    /// What was held up long enough goes on.
    fn release_held(&mut self, now: Instant) {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= now
        {
            self.agenda.push_back(entry.remove());
        }
    }

    fn take_parcel(&mut self, now: Instant, from: Pid, to: Pid) -> Action {
        // A channel that is empty stays for the next parcel, unless there are
        // too many.
        const KEEP: usize = 4096;
        let keep = self.channels.len() <= KEEP;
        let Some(channel) = self.channels.get_mut(&(from, to)) else {
            return Action::Nothing;
        };
        let parcel = channel.pop_front();
        if !channel.is_empty() {
            self.agenda.push_back(Item::Deliver(from, to));
        } else if !keep {
            self.channels.remove(&(from, to));
        }
        let Some(mut parcel) = parcel else {
            return Action::Nothing;
        };
        let what = std::mem::take(&mut parcel.what);
        self.trace.write(now, Happened::Arrived { from, to, what });
        Action::Deliver(parcel)
    }

    /// Holds one of the things that could happen up until a later time.
    fn hold_one(&mut self, now: Instant, until: Instant) -> Action {
        let chosen = self.tape.choose(self.agenda.len());
        if let Some(item) = self.agenda.remove(chosen) {
            self.trace
                .write(now, Happened::Held(item.to_string(), until - now));
            self.held.insert((until, self.next_held), item);
            self.next_held += 1;
        }
        Action::Nothing
    }

    /// Whom a fault can strike.
    pub(super) fn victims(&self, books: &Books) -> Vec<Pid> {
        let victims = books.living().map(|process| process.header());
        victims
            .filter(|header| self.can_strike(header))
            .map(|header| header.pid)
            .collect()
    }

    /// Whether a fault can strike this process.
    fn can_strike(&self, header: &Header) -> bool {
        if self.protected.contains(&header.pid) {
            return false;
        }
        let victim = Victim {
            pid: header.pid,
            name: header.name(),
            label: header.label(),
            parent: header.parent(),
        };
        let is_protected = self.protected_kinds.iter().any(|kind| kind(&victim));
        !is_protected && self.faults.allows(&victim)
    }
}

impl Item {
    /// Tells items apart for longer than their place in the agenda does.
    fn key(&self) -> u64 {
        let mut hasher = PairHasher::default();
        match self {
            Self::Run(process) => hasher.write_u64(process.header().pid.bits()),
            Self::Deliver(from, to) => {
                hasher.write_u64(from.bits());
                hasher.write_u64(to.bits());
            }
        }
        hasher.finish()
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(process) => write!(f, "{}", process.header().pid),
            Self::Deliver(from, to) => write!(f, "signals {from} → {to}"),
        }
    }
}

/// A hash that is the same in every run, for keys that nobody chooses badly.
#[derive(Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517C_C1B7_2722_0A95);
    }

    fn finish(&self) -> u64 {
        // The table takes its index from the low bits.
        self.0.rotate_left(26)
    }
}
