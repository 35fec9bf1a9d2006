//! The timers of a node agree with a naive list of them, whatever is asked of
//! them and in whatever order.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::Wake;

use super::*;
use crate::clock::ManualClock;

struct World {
    clock: ManualClock,
    timers: Arc<Timers>,
    /// What fires says its number here.
    fires: Sender<usize>,
    fired: Receiver<usize>,
    armed: Vec<Armed>,
    count: usize,
    random: u64,
}

#[derive(Copy, Clone)]
struct Armed {
    number: usize,
    timer: TimerRef,
    deadline: Instant,
    aim: Option<Pid>,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::new();
        let timers = Timers::new(Clock::Manual(clock.clone()));
        let (fires, fired) = mpsc::channel();
        Self {
            clock,
            timers,
            fires,
            fired,
            armed: Vec::new(),
            count: 0,
            random: seed,
        }
    }

    fn random(&mut self, below: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn step(&mut self) {
        match self.random(8) {
            0..=3 => self.arm(),
            4 => self.cancel(),
            5 => self.forget(),
            _ => self.advance(),
        }
        self.check();
    }

    fn arm(&mut self) {
        let number = self.count;
        self.count += 1;
        let after = Duration::from_secs(self.random(4) as u64 + 1);
        let deadline = self.clock.now() + after;
        let aim = match self.random(4) {
            0 => None,
            slot => Some(Pid::new(slot as u32, 1)),
        };
        let fires = self.fires.clone();
        let action = Action::Send(Box::new(move || fires.send(number).expect("it is heard")));
        let timer = self.timers.arm(deadline, aim, action);
        self.armed.push(Armed {
            number,
            timer,
            deadline,
            aim,
        });
    }

    /// Laws TIMER-04, TIMER-05.
    fn cancel(&mut self) {
        if self.armed.is_empty() {
            return;
        }
        let at = self.random(self.armed.len());
        let armed = self.armed.remove(at);
        let left = armed.deadline - self.clock.now();
        assert_eq!(self.timers.cancel(armed.timer), Some(left));
        assert_eq!(self.timers.cancel(armed.timer), None);
        assert_eq!(self.timers.read(armed.timer), None);
    }

    /// Law TIMER-09.
    fn forget(&mut self) {
        let pid = Pid::new(self.random(3) as u32 + 1, 1);
        self.timers.forget(pid);
        self.armed.retain(|armed| armed.aim != Some(pid));
    }

    /// Law TIMER-03.
    fn advance(&mut self) {
        let by = Duration::from_secs(self.random(3) as u64);
        self.clock.advance(by);
        let now = self.clock.now();
        let (mut due, later): (Vec<Armed>, Vec<Armed>) =
            self.armed.iter().partition(|armed| armed.deadline <= now);
        due.sort_by_key(|armed| (armed.deadline, armed.number));
        let expected: Vec<_> = due.iter().map(|armed| armed.number).collect();
        assert_eq!(self.fired.try_iter().collect::<Vec<_>>(), expected);
        self.armed = later;
    }

    /// Law TIMER-07.
    fn check(&self) {
        assert_eq!(self.timers.len(), self.armed.len());
        let first = self.armed.iter().map(|armed| armed.deadline).min();
        assert_eq!(self.timers.next_deadline(), first);
        for armed in &self.armed {
            let left = armed.deadline - self.clock.now();
            assert_eq!(self.timers.read(armed.timer), Some(left));
        }
    }
}

#[test]
fn timers_agree_with_a_naive_list_of_them() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..100 {
            world.step();
        }
        assert_eq!(world.fired.try_recv(), Err(mpsc::TryRecvError::Empty));
    }
}

#[test]
fn a_timer_that_is_due_when_it_is_armed_fires_at_once() {
    let mut world = World::new(1);
    let fires = world.fires.clone();
    let action = Action::Send(Box::new(move || fires.send(7).expect("it is heard")));
    world.timers.arm(world.clock.now(), None, action);
    assert_eq!(world.fired.try_recv(), Ok(7));
    world.check();
    world.arm();
    world.timers.clear();
    assert_eq!(world.timers.len(), 0);
    assert!(world.timers.over.load(Ordering::SeqCst));
    assert_eq!(format!("{:?}", world.timers), "Timers { len: 0, .. }");
}

#[test]
fn timers_that_are_over_are_not_kept_for_their_process() {
    let timers = Timers::new(Clock::System);
    let pid = Pid::new(1, 1);
    let deadline = timers.now() + Duration::from_secs(5);
    let arm = || timers.arm(deadline, Some(pid), Action::Send(Box::new(|| ())));
    let living = [arm(), arm(), arm()];
    for _ in 0..1000 {
        assert!(timers.cancel(arm()).is_some());
        assert!(timers.state.lock().aimed[&pid].len() < 10);
    }
    timers.forget(pid);
    assert_eq!(living.map(|timer| timers.read(timer)), [None; 3]);
    assert!(timers.state.lock().aimed.is_empty());
}

/// Counts how often it was woken.
struct Keeper(AtomicUsize);

impl Wake for Keeper {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_keeper_is_woken_for_an_earlier_deadline_alone() {
    let timers = Timers::new(Clock::System);
    let keeper = Arc::new(Keeper(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&keeper));
    let start = timers.now();
    for (seconds, woken) in [(20, 1), (30, 1), (10, 2), (15, 2)] {
        timers.keeper.register(&waker);
        let deadline = start + Duration::from_secs(seconds);
        timers.arm(deadline, None, Action::Wake(Waker::noop().clone()));
        assert_eq!(keeper.0.load(Ordering::SeqCst), woken, "at {seconds}");
    }
}
