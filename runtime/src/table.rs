//! The process table: from pids to processes.
//!
//! Slots lie in pages that are made when they are first needed and never move.
//! A slot counts its uses, and a pid names one use, so a stale pid finds
//! nothing (law SPAWN-10). Free slots are used again in the order they became
//! free, which keeps a slot's uses far apart.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Instant;

use crate::exit_reason::ExitKind;
use crate::group_leader::Leader;
use crate::lifecycle::{Journal, Lifecycle, LifecycleEvent};
use crate::node::Node;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::spawn::SpawnError;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PAGE: u32 = 4096;

pub(crate) struct Table {
    pages: Box<[OnceLock<Box<[Slot]>>]>,
    /// Whether the table was closed; written under the lock of `free`.
    closed: AtomicBool,
    free: Apart<Lock<Free>>,
}

/// On cache lines of its own: every spawn and every end writes there, every
/// look-up reads what lies beside it.
#[repr(align(128))]
struct Apart<T>(T);

struct Slot {
    process: Lock<Option<Process>>,
    // Invariant: written only by who reserves the slot while it is free.
    serial: AtomicU32,
    /// The group leader. Written by who reserves the slot, then by the process
    /// itself.
    leader: AtomicU32,
}

/// Which slots can be used next.
struct Free {
    phase: Phase,
    released: VecDeque<u32>,
    /// The first slot that was never used.
    fresh: u32,
    /// How many processes are in the table, or about to be.
    live: usize,
    /// How many of them others can see: those whose last rites have not begun.
    /// The limit is for these, so that who hears of an end can spawn another.
    placed: usize,
    limit: usize,
    journal: Journal,
}

/// Whether new processes are let in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    Closed,
}

impl Table {
    /// Slot 0 is never used: `<0.0.0>` is no process.
    const FIRST: u32 = 1;

    /// How many processes a node can have at once.
    pub(crate) const MAX: usize = (Pid::SLOTS - Self::FIRST) as usize;

    pub(crate) fn new(limit: usize) -> Self {
        let pages = (0..Pid::SLOTS / PAGE).map(|_| OnceLock::new()).collect();
        let free = Free {
            phase: Phase::Open,
            released: VecDeque::new(),
            fresh: Self::FIRST,
            live: 0,
            placed: 0,
            limit,
            journal: Journal::new(),
        };
        Self {
            pages,
            closed: AtomicBool::new(false),
            free: Apart(Lock::new(0, free)),
        }
    }

    /// Reserves a pid for a process that is being made, which gets the group
    /// leader of its parent.
    pub(crate) fn reserve(&self, parent: Option<Pid>, at: Instant) -> Result<Pid, SpawnError> {
        let leader = parent.map_or(Leader::NONE, |parent| self.slot(parent.slot()).leader());
        let mut free = self.free.0.lock();
        let slot = free.take()?;
        let place = self.slot(slot);
        place.leader.store(leader.bits(), Ordering::Relaxed);
        let pid = Pid::new(slot, place.next_serial());
        free.journal.note(at, Lifecycle::Spawned { pid, parent });
        Ok(pid)
    }

    /// Lets the process be found.
    pub(crate) fn publish(&self, process: Process) {
        self.put(process.header().pid, process);
    }

    fn put(&self, pid: Pid, process: Process) {
        *self.slot(pid.slot()).process.lock() = Some(process);
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<Process> {
        let page = self.pages.get((pid.slot() / PAGE) as usize)?.get()?;
        let slot = &page[(pid.slot() % PAGE) as usize];
        let process = slot.process.lock();
        // The serial was written before the process was put there.
        if slot.serial.load(Ordering::Relaxed) == pid.serial() {
            process.clone()
        } else {
            None
        }
    }

    /// The group leader of a process that is in the table.
    pub(crate) fn group_leader(&self, pid: Pid) -> Option<Pid> {
        let leader = self.slot(pid.slot()).leader();
        let serial = &self.slot(leader.slot()).serial;
        leader.at(serial.load(Ordering::Relaxed))
    }

    /// For the process itself.
    pub(crate) fn set_group_leader(&self, pid: Pid, leader: Pid) {
        let leader = Leader::of(leader).bits();
        let slot = self.slot(pid.slot());
        slot.leader.store(leader, Ordering::Relaxed);
    }

    /// A process ends and makes room for another, before anything of it is
    /// gone and before anyone is told.
    pub(crate) fn vacate(&self, pid: Pid, reason: ExitKind, at: Instant) {
        let mut free = self.free.0.lock();
        free.placed -= 1;
        free.journal.note(at, Lifecycle::Exited { pid, reason });
    }

    pub(crate) fn remove(&self, pid: Pid) {
        let slot = self.slot(pid.slot());
        debug_assert_eq!(
            slot.serial.load(Ordering::Relaxed),
            pid.serial(),
            "removed twice"
        );
        let process = slot.process.lock().take();
        let mut free = self.free.0.lock();
        free.released.push_back(pid.slot());
        free.live -= 1;
        drop(free);
        drop(process);
    }

    /// How many processes others can see.
    pub(crate) fn visible(&self) -> usize {
        self.free.0.lock().placed
    }

    /// How many processes there are whose last rites are not over.
    pub(crate) fn len(&self) -> usize {
        self.free.0.lock().live
    }

    /// Lets no new process in from now on.
    pub(crate) fn close(&self) {
        let mut free = self.free.0.lock();
        free.phase = Phase::Closed;
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// All processes of this moment, in the order of their slots.
    pub(crate) fn all(&self) -> Vec<Process> {
        self.slots()
            .filter_map(|slot| slot.process.lock().clone())
            .collect()
    }

    /// The process with this address, if it is in the table.
    pub(crate) fn at(&self, address: usize) -> Option<Process> {
        let is_there = |process: &&Process| process.as_raw().addr().get() == address;
        self.slots()
            .find_map(|slot| slot.process.lock().as_ref().filter(is_there).cloned())
    }

    /// The slots that were ever used.
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let used = self.free.0.lock().fresh as usize;
        let pages = self.pages.iter().filter_map(OnceLock::get);
        pages.flatten().take(used)
    }

    /// Notes something else than a spawn or an end.
    pub(crate) fn note(&self, at: Instant, what: Lifecycle) {
        self.free.0.lock().journal.note(at, what);
    }

    pub(crate) fn lifecycle(&self) -> Vec<LifecycleEvent> {
        // The room is made before the lock is taken.
        let mut events = Vec::with_capacity(Node::LIFECYCLE_EVENTS);
        self.free.0.lock().journal.read(&mut events);
        events
    }

    fn slot(&self, slot: u32) -> &Slot {
        let page = self.pages[(slot / PAGE) as usize].get_or_init(|| {
            (0..PAGE)
                .map(|_| Slot {
                    process: Lock::new(0, None),
                    serial: AtomicU32::new(0),
                    leader: AtomicU32::new(Leader::NONE.bits()),
                })
                .collect()
        });
        &page[(slot % PAGE) as usize]
    }
}

impl Slot {
    fn leader(&self) -> Leader {
        Leader::from_bits(self.leader.load(Ordering::Relaxed))
    }

    /// The serial number of the slot's next use. For who has just reserved it:
    /// the lock under which free slots are taken orders this after its last use.
    fn next_serial(&self) -> u32 {
        // 0 is left out, so that no pid of a process reads `<0.x.0>`.
        let serial = self.serial.load(Ordering::Relaxed).checked_add(1);
        let serial = serial.unwrap_or(1);
        self.serial.store(serial, Ordering::Relaxed);
        serial
    }
}

impl Free {
    fn take(&mut self) -> Result<u32, SpawnError> {
        if self.phase == Phase::Closed {
            return Err(SpawnError::Stopped);
        }
        if self.placed >= self.limit {
            return Err(SpawnError::TooManyProcesses { limit: self.limit });
        }
        let slot = self
            .next_slot()
            .ok_or(SpawnError::TooManyProcesses { limit: self.limit })?;
        self.live += 1;
        self.placed += 1;
        Ok(slot)
    }

    fn next_slot(&mut self) -> Option<u32> {
        // Slots are used again late, so that their uses lie far apart.
        const RESTING: usize = 2048;
        if self.released.len() < RESTING && self.fresh < Pid::SLOTS {
            let slot = self.fresh;
            self.fresh += 1;
            return Some(slot);
        }
        self.released.pop_front()
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
