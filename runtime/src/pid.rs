//! Who a process is: [`Pid`], and the references that name a monitor.

use std::fmt;

/// The identity of a process: `Copy`, 64 bits, printed as `<0.42.7>`.
///
/// The three numbers are the node (0 is this one), the slot in the process
/// table, and the serial number of the slot's use, so that the pid of a dead
/// process never comes to mean another one (law SPAWN-10; a slot would have to
/// be used 2³² times).
///
/// A pid means something on the [`Node`](crate::Node) that made it and on no
/// other.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::Pid;
///
/// assert_eq!(Pid::OUTSIDE.to_string(), "<0.0.0>");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(u64);

const SERIAL_BITS: u32 = 32;
const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

impl Pid {
    /// The sender of what comes from no process: a foreign thread, a plain
    /// Tokio task, the node itself.
    pub const OUTSIDE: Self = Self(0);

    /// The node itself: the sender of the exit signals by which it stops, and
    /// the parent of servers that no process is linked to.
    pub const NODE: Self = Self(1);

    /// How many slots a pid can tell apart.
    pub(crate) const SLOTS: u32 = 1 << SLOT_BITS;

    pub(crate) fn new(slot: u32, serial: u32) -> Self {
        debug_assert!(slot < Self::SLOTS, "slot {slot} does not fit a pid");
        Self((u64::from(slot) << SERIAL_BITS) | u64::from(serial))
    }

    pub(crate) fn slot(self) -> u32 {
        ((self.0 >> SERIAL_BITS) & SLOT_MASK) as u32
    }

    pub(crate) fn serial(self) -> u32 {
        self.0 as u32
    }

    /// All of it as a number.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The pid whose [`bits`](Self::bits) these are.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    fn node(self) -> u8 {
        (self.0 >> (SERIAL_BITS + SLOT_BITS)) as u8
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", self.node(), self.slot(), self.serial())
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One monitor: made by [`monitor`](crate::monitor), carried by its
/// [`Down`](crate::Down), ended by [`demonitor`](crate::demonitor).
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MonitorRef {
    owner: Pid,
    number: u64,
}

impl MonitorRef {
    pub(crate) fn new(owner: Pid, number: u64) -> Self {
        Self { owner, number }
    }

    /// The process that watches.
    pub(crate) fn owner(self) -> Pid {
        self.owner
    }
}

impl fmt::Debug for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref{}.{}", self.owner, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::Pid;

    #[test]
    fn a_pid_keeps_its_slot_and_its_serial() {
        let pid = Pid::new(Pid::SLOTS - 1, u32::MAX);
        assert_eq!((pid.slot(), pid.serial()), (Pid::SLOTS - 1, u32::MAX));
        assert_eq!(Pid::new(42, 7).to_string(), "<0.42.7>");
    }
}
