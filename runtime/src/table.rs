//! The process table: from pids to processes.
//!
//! Slots lie in pages that are made when they are first needed and never move.
//! A slot counts its uses, and a pid names one use, so a stale pid finds
//! nothing (law SPAWN-10). Free slots are used again in the order they became
//! free, which keeps a slot's uses far apart.

use std::collections::VecDeque;
use std::sync::OnceLock;

use crate::pid::Pid;
use crate::process::cell::Process;
use crate::spawn::SpawnError;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering};

const PAGE: u32 = 4096;

pub(crate) struct Table {
    pages: Box<[OnceLock<Box<[Slot]>>]>,
    free: Lock<Free>,
    /// Whether the table was closed; written under the lock of `free`.
    closed: AtomicBool,
}

struct Slot(Lock<Use>);

/// One use of a slot.
struct Use {
    serial: u32,
    process: Option<Process>,
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
        };
        Self {
            pages,
            free: Lock::new(0, free),
            closed: AtomicBool::new(false),
        }
    }

    /// Reserves a pid for a process that is being made.
    pub(crate) fn reserve(&self) -> Result<Pid, SpawnError> {
        let slot = self.free.lock().take()?;
        let mut used = self.slot(slot).0.lock();
        // Serial 0 is left out, so that no pid of a process reads `<0.x.0>`.
        used.serial = used.serial.checked_add(1).unwrap_or(1);
        Ok(Pid::new(slot, used.serial))
    }

    /// Gives back a pid that no process got.
    pub(crate) fn give_back(&self, pid: Pid) {
        self.vacate();
        self.remove(pid);
    }

    /// Lets the process be found.
    pub(crate) fn publish(&self, process: Process) {
        self.put(process.header().pid, process);
    }

    fn put(&self, pid: Pid, process: Process) {
        self.slot(pid.slot()).0.lock().process = Some(process);
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<Process> {
        let page = self.pages.get((pid.slot() / PAGE) as usize)?.get()?;
        let used = page[(pid.slot() % PAGE) as usize].0.lock();
        if used.serial == pid.serial() {
            used.process.clone()
        } else {
            None
        }
    }

    /// A process ends and makes room for another, before anything of it is
    /// gone and before anyone is told.
    pub(crate) fn vacate(&self) {
        self.free.lock().placed -= 1;
    }

    pub(crate) fn remove(&self, pid: Pid) {
        let process = {
            let mut used = self.slot(pid.slot()).0.lock();
            debug_assert_eq!(used.serial, pid.serial(), "removed twice");
            used.process.take()
        };
        let mut free = self.free.lock();
        free.released.push_back(pid.slot());
        free.live -= 1;
        drop(free);
        drop(process);
    }

    /// How many processes others can see.
    pub(crate) fn visible(&self) -> usize {
        self.free.lock().placed
    }

    /// How many processes there are whose last rites are not over.
    pub(crate) fn len(&self) -> usize {
        self.free.lock().live
    }

    /// Lets no new process in from now on.
    pub(crate) fn close(&self) {
        let mut free = self.free.lock();
        free.phase = Phase::Closed;
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// All processes of this moment, in the order of their slots.
    pub(crate) fn all(&self) -> Vec<Process> {
        let used = self.free.lock().fresh as usize;
        let pages = self.pages.iter().filter_map(OnceLock::get);
        let slots = pages.flatten().take(used);
        slots
            .filter_map(|slot| slot.0.lock().process.clone())
            .collect()
    }

    fn slot(&self, slot: u32) -> &Slot {
        let page = self.pages[(slot / PAGE) as usize].get_or_init(|| {
            (0..PAGE)
                .map(|_| {
                    let unused = Use {
                        serial: 0,
                        process: None,
                    };
                    Slot(Lock::new(0, unused))
                })
                .collect()
        });
        &page[(slot % PAGE) as usize]
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
