//! A wheel agrees with an ordered map, whatever is asked of it.

use std::collections::BTreeMap;

use super::*;

/// A wheel beside what it is to be.
struct Pair {
    wheel: Wheel<u64>,
    model: BTreeMap<(Instant, u64), TimerRef>,
    over: Vec<TimerRef>,
    now: Instant,
    random: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self {
            wheel: Wheel::new(now),
            model: BTreeMap::new(),
            over: Vec::new(),
            now,
            random: seed,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// As often short as long, and now and then on the edge of a bucket.
    fn duration(&mut self) -> Duration {
        let nanos = 1 << self.random(62);
        match self.random(4) {
            0 => Duration::from_nanos(nanos),
            1 => Duration::from_nanos(nanos - 1),
            2 => Duration::from_nanos(self.random(nanos.min(1 << 31))),
            _ => Duration::from_millis(self.random(20)),
        }
    }

    fn step(&mut self) {
        match self.random(16) {
            0..6 => self.insert(),
            6..9 => self.remove(),
            9 => self.look_for_the_first(),
            10 => self.postpone(),
            _ => self.pass(),
        }
        self.check();
    }

    fn insert(&mut self) {
        let deadline = self.now + self.duration();
        let number = self.wheel.next_number;
        let timer = self.wheel.insert(deadline, number);
        assert_eq!(timer.number, number);
        self.model.insert((deadline, number), timer);
    }

    fn remove(&mut self) {
        let at = self.random(self.model.len().max(1) as u64) as usize;
        let Some((&key, _)) = self.model.iter().nth(at) else {
            return;
        };
        let timer = self.model.remove(&key).expect("just seen");
        assert_eq!(self.wheel.remove(timer), Some(key.1));
        self.over.push(timer);
    }

    /// As a manual clock does, which goes on from there.
    fn look_for_the_first(&mut self) {
        let first = self.model.keys().next().map(|(deadline, _)| *deadline);
        assert_eq!(self.wheel.first(), first);
    }

    #[cfg(feature = "sim")]
    fn postpone(&mut self) {
        let to = self.now + self.duration();
        self.wheel.postpone_first(to);
        if let Some(((_, number), timer)) = self.model.pop_first() {
            self.model.insert((to, number), timer);
        }
    }

    #[cfg(not(feature = "sim"))]
    fn postpone(&mut self) {}

    fn pass(&mut self) {
        let by = self.duration();
        self.now += by;
        while let Some(number) = self.wheel.pop_due(self.now) {
            let ((deadline, first), timer) = self.model.pop_first().expect("nothing was due");
            assert_eq!(number, first);
            assert!(deadline <= self.now, "early");
            self.over.push(timer);
        }
        let first = self.model.keys().next();
        assert!(first.is_none_or(|(deadline, _)| *deadline > self.now));
    }

    fn check(&mut self) {
        assert_eq!(self.wheel.len(), self.model.len());
        let first = self.model.keys().next().map(|(deadline, _)| *deadline);
        let bound = self.wheel.nothing_before();
        assert_eq!(bound.is_some(), first.is_some());
        assert!(bound <= first, "it would be looked for too late");
        for (&(deadline, mut number), &timer) in &self.model {
            assert_eq!(self.wheel.deadline(timer), Some(deadline));
            assert_eq!(self.wheel.get_mut(timer), Some(&mut number));
        }
        for &timer in &self.over {
            assert_eq!(self.wheel.remove(timer), None);
        }
    }
}

#[test]
fn a_wheel_agrees_with_an_ordered_map() {
    for seed in 0..300 {
        let mut pair = Pair::new(seed);
        for _ in 0..150 {
            pair.step();
        }
    }
}

#[test]
fn who_follows_the_bound_finds_all_that_is_due_at_its_time() {
    for seed in 0..300 {
        let mut pair = Pair::new(seed);
        for _ in 0..20 {
            pair.insert();
        }
        let mut looks = 0;
        while let Some(bound) = pair.wheel.nothing_before() {
            assert!(bound >= pair.now, "the bound went back");
            pair.now = bound;
            pair.check();
            while let Some(number) = pair.wheel.pop_due(bound) {
                let ((deadline, first), _) = pair.model.pop_first().expect("nothing was due");
                assert_eq!((deadline, number), (bound, first));
            }
            looks += 1;
        }
        assert!(pair.model.is_empty());
        assert!(looks <= 20 * LEVELS, "{looks} looks");
    }
}

#[test]
fn a_deadline_after_the_last_one_is_taken_for_that() {
    let mut pair = Pair::new(0);
    let last = pair.now + Duration::from_nanos(u64::MAX);
    for n in [1, 2] {
        pair.wheel.insert(last + Duration::from_secs(10 - n), n);
    }
    let before = last - Duration::from_nanos(1);
    assert_eq!(pair.wheel.pop_due(before), None);
    assert_eq!(pair.wheel.first(), Some(last));
    for n in [1, 2] {
        assert_eq!(pair.wheel.pop_due(last), Some(n));
    }
}

#[test]
fn what_was_removed_leaves_nothing_behind() {
    let mut pair = Pair::new(0);
    let places = |wheel: &Wheel<u64>| {
        let buckets = wheel.buckets.iter().flatten();
        wheel.near.len() + buckets.map(Vec::len).sum::<usize>()
    };
    for n in 0..100_000 {
        let deadline = pair.now + pair.duration();
        let timer = pair.wheel.insert(deadline, n);
        assert_eq!(pair.wheel.remove(timer), Some(n));
        assert!(places(&pair.wheel) < 1000, "after {n}");
    }
    assert_eq!(pair.wheel.nothing_before(), None);
    assert_eq!(pair.wheel.first(), None);
    assert_eq!((pair.wheel.stale, places(&pair.wheel)), (0, 0));
}

#[test]
fn a_deadline_before_the_start_is_taken_for_that() {
    let mut pair = Pair::new(0);
    pair.wheel.insert(pair.now, 1);
    pair.wheel.insert(pair.now - Duration::from_secs(1), 2);
    assert_eq!(pair.wheel.nothing_before(), Some(pair.now));
    for n in [1, 2] {
        assert_eq!(pair.wheel.pop_due(pair.now), Some(n));
    }
}
