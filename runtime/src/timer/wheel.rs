//! [`Wheel`]: what is due when. It knows no clock and no lock.
//!
//! A hierarchical timing wheel (Varghese and Lauck, 1987), which is coarse,
//! before a heap of what is due next, which is exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use slab::Slab;

use super::TimerRef;

/// Values that are due at their deadlines, in the order of these, and in that
/// of their insertion where these are equal.
///
/// Time is cut into ticks of about a millisecond. What is due up to a certain
/// tick is kept in order. What is due later lies in buckets: 64 of a tick each,
/// then 64 of 64 ticks each, and so on. A bucket is opened when its time has
/// come, and what was in it goes where it is found more precisely. So to insert
/// and to remove takes the same time however many there are.
///
/// A deadline that is centuries after the start is taken for the last one there
/// is, which is also centuries after it.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    start: Instant,
    entries: Slab<Entry<T>>,
    next_number: u64,
    // Invariant: what is due up to this tick is in `near`, the rest in the
    // buckets.
    turned: u64,
    near: BinaryHeap<Place>,
    // Invariant: what is in a bucket of level n agrees with `turned` in all
    // digits (of 6 bits) above the nth, and is greater in that one.
    buckets: Box<[[Vec<Place>; SLOTS]; LEVELS]>,
    /// Which buckets of each level are not empty, a bit each.
    occupied: [u64; LEVELS],
    /// How many places are of entries that were removed.
    stale: usize,
}

#[derive(Debug)]
struct Entry<T> {
    // Invariant: no two entries of a wheel ever have the same.
    number: u64,
    nanos: u64,
    value: T,
}

/// Where an entry stands in the order; `near` gives the first one first. It
/// stays there when its entry is removed, and is then stale.
type Place = Reverse<Due>;

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Due {
    /// From the start of the wheel.
    nanos: u64,
    number: u64,
    key: u32,
}

#[derive(Copy, Clone)]
struct Bucket {
    level: usize,
    slot: usize,
}

/// How many bits of a count of nanoseconds are below a tick.
const TICK: u32 = 20;
/// How many bits of a tick each level looks at.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
const LEVELS: usize = (u64::BITS - TICK).div_ceil(DIGIT) as usize;

impl<T> Wheel<T> {
    /// An empty wheel for what is due from `start` on. What is due before is
    /// due then.
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            entries: Slab::new(),
            next_number: 0,
            turned: 0,
            near: BinaryHeap::new(),
            buckets: Box::new([const { [const { Vec::new() }; SLOTS] }; LEVELS]),
            occupied: [0; LEVELS],
            stale: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, deadline: Instant, value: T) -> TimerRef {
        let number = self.next_number;
        self.next_number += 1;
        let nanos = self.nanos(deadline);
        let key = self.entries.insert(Entry {
            number,
            nanos,
            value,
        });
        let key = u32::try_from(key).expect("fewer than 2^32 timers");
        self.place(Due { nanos, number, key });
        TimerRef { key, number }
    }

    /// A value that has not been taken out.
    pub(super) fn get_mut(&mut self, timer: TimerRef) -> Option<&mut T> {
        Some(&mut self.entry(timer)?.value)
    }

    /// When a value is due that has not been taken out.
    pub(super) fn deadline(&mut self, timer: TimerRef) -> Option<Instant> {
        let nanos = self.entry(timer)?.nanos;
        Some(self.time(nanos))
    }

    pub(super) fn remove(&mut self, timer: TimerRef) -> Option<T> {
        /// How many places may be stale before it is asked whether most are.
        const FEW: usize = 512;
        self.entry(timer)?;
        self.stale += 1;
        let value = self.entries.remove(timer.key as usize).value;
        if self.stale > self.entries.len() + FEW {
            self.sweep();
        }
        Some(value)
    }

    /// When the first one is due.
    pub(super) fn first(&mut self) -> Option<Instant> {
        let due = self.first_due()?;
        Some(self.time(due.nanos))
    }

    /// A time before which nothing is due. Cheaper than [`first`](Self::first),
    /// and what is inserted later costs less than after that.
    pub(super) fn nothing_before(&mut self) -> Option<Instant> {
        if let Some(near) = self.first_near() {
            return Some(self.time(near.nanos));
        }
        if self.entries.is_empty() {
            return None;
        }
        let bucket = self.first_bucket()?;
        if bucket.level > 0 {
            return Some(self.time(self.first_tick(bucket) << TICK));
        }
        let dues = self.buckets[bucket.level][bucket.slot].iter();
        let first = dues.map(|Reverse(due)| due.nanos).min()?;
        Some(self.time(first))
    }

    /// Takes out the first one that is due by `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let now = self.nanos(now);
        self.turn_to(now >> TICK);
        let due = self.first_near().filter(|due| due.nanos <= now)?;
        self.near.pop();
        Some(self.entries.remove(due.key as usize).value)
    }

    /// Lets the first one be due at another time.
    #[cfg(feature = "sim")]
    pub(super) fn postpone_first(&mut self, to: Instant) {
        let nanos = self.nanos(to);
        if let Some(due) = self.first_due() {
            self.near.pop();
            self.entries[due.key as usize].nanos = nanos;
            self.place(Due { nanos, ..due });
        }
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().map(|(_, entry)| entry.value)
    }

    fn entry(&mut self, timer: TimerRef) -> Option<&mut Entry<T>> {
        let entry = self.entries.get_mut(timer.key as usize)?;
        (entry.number == timer.number).then_some(entry)
    }

    fn nanos(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn time(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }

    fn place(&mut self, due: Due) {
        let tick = due.nanos >> TICK;
        if tick <= self.turned {
            return self.near.push(Reverse(due));
        }
        let level = (self.turned ^ tick).ilog2() / DIGIT;
        let slot = (tick >> (level * DIGIT)) % SLOTS as u64;
        let (level, slot) = (level as usize, slot as usize);
        self.buckets[level][slot].push(Reverse(due));
        self.occupied[level] |= 1 << slot;
    }

    /// The first one, if it is near.
    fn first_near(&mut self) -> Option<Due> {
        loop {
            let Reverse(due) = *self.near.peek()?;
            if is_armed(&self.entries, &due) {
                return Some(due);
            }
            self.near.pop();
            self.stale -= 1;
        }
    }

    /// The first one, which is near from then on.
    fn first_due(&mut self) -> Option<Due> {
        loop {
            if let Some(due) = self.first_near() {
                return Some(due);
            }
            let bucket = self.first_bucket()?;
            self.open(bucket);
        }
    }

    /// The bucket whose time comes first.
    fn first_bucket(&self) -> Option<Bucket> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        Some(Bucket { level, slot })
    }

    /// The first tick of a bucket that is not empty.
    fn first_tick(&self, bucket: Bucket) -> u64 {
        let below = bucket.level as u32 * DIGIT;
        let above = below + DIGIT;
        (self.turned >> above << above) | (bucket.slot as u64) << below
    }

    /// Opens every bucket whose time has come by this tick.
    fn turn_to(&mut self, tick: u64) {
        if tick <= self.turned {
            return;
        }
        while let Some(bucket) = self.first_bucket()
            && self.first_tick(bucket) <= tick
        {
            self.open(bucket);
        }
        self.turned = tick;
    }

    /// Turns to the first bucket and puts what is in it elsewhere.
    fn open(&mut self, bucket: Bucket) {
        self.turned = self.first_tick(bucket);
        self.occupied[bucket.level] &= !(1 << bucket.slot);
        let places = std::mem::take(&mut self.buckets[bucket.level][bucket.slot]);
        if bucket.level == 0 {
            return self.near.append(&mut BinaryHeap::from(places));
        }
        for Reverse(due) in places {
            self.place(due);
        }
    }

    /// Forgets all places that are stale.
    fn sweep(&mut self) {
        let entries = &self.entries;
        self.near.retain(|Reverse(due)| is_armed(entries, due));
        for (level, occupied) in self.buckets.iter_mut().zip(&mut self.occupied) {
            for (slot, places) in level.iter_mut().enumerate() {
                places.retain(|Reverse(due)| is_armed(entries, due));
                if places.is_empty() {
                    *occupied &= !(1 << slot);
                }
            }
        }
        self.stale = 0;
    }
}

fn is_armed<T>(entries: &Slab<Entry<T>>, due: &Due) -> bool {
    let entry = entries.get(due.key as usize);
    entry.is_some_and(|entry| entry.number == due.number)
}

#[cfg(all(test, not(resurgam_loom)))]
mod tests;
