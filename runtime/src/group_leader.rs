//! Group leaders: to whom a process belongs, whoever spawned it.

use crate::node::Node;
use crate::pid::Pid;
use crate::process::current;

/// The group leader of a process, small enough to be kept for each: the slot
/// it has in the process table, and the last bits of its serial.
///
/// Slots are used again so late that half a million processes must end before
/// another one could be taken for a leader that is gone.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader(u32);

impl Leader {
    /// Slot 0 is no process's.
    pub(crate) const NONE: Self = Self(0);

    const SLOT: u32 = Pid::SLOTS - 1;

    pub(crate) fn of(pid: Pid) -> Self {
        Self(pid.slot() | pid.serial() << Pid::SLOTS.trailing_zeros())
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// The slot it had, or has.
    pub(crate) fn slot(self) -> u32 {
        self.0 & Self::SLOT
    }

    /// Who it is, if the slot is at this serial.
    pub(crate) fn at(self, serial: u32) -> Option<Pid> {
        let pid = Pid::new(self.slot(), serial);
        (self != Self::NONE && Self::of(pid) == self).then_some(pid)
    }
}

/// The group leader of the process that runs; `None` if it has none, and
/// outside a process. See [`set_group_leader`].
pub fn group_leader() -> Option<Pid> {
    current::with(|process| {
        let header = process.header();
        header.node.table.group_leader(header.pid)
    })
    .flatten()
}

/// Makes a process the group leader of the one that runs, and of all that it
/// spawns from now on, and so on. Those it has spawned keep theirs.
///
/// A group leader says to which application a process belongs, however it was
/// spawned, linked or not, also when those between are gone (law SPAWN-08). It
/// does nothing else, and may be dead. A process spawned from outside has none.
///
/// # Panics
///
/// Outside a process.
///
/// # Differences from Erlang
///
/// It is no I/O server, and a process can set it only for itself.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node, group_leader, self_pid, set_group_leader, spawn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let leader = node.spawn(|mut ctx: Context<()>| async move {
///     assert_eq!(group_leader(), None);
///     set_group_leader(self_pid());
///     let child = spawn(|mut ctx: Context<()>| async move { ctx.receive().await; });
///     let child = child.unwrap().pid().unwrap();
///     assert_eq!(ctx.node().group_leader(child), Some(self_pid()));
///     assert_eq!(ctx.node().group_members(self_pid()), [self_pid(), child]);
/// })?;
/// assert!(node.block_on(leader.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn set_group_leader(leader: Pid) {
    let process = current::expect("set_group_leader");
    let header = process.header();
    header.node.table.set_group_leader(header.pid, leader);
}

impl Node {
    /// The group leader of a process; `None` if it has none or is gone. Asks
    /// nobody. See [`set_group_leader`].
    pub fn group_leader(&self, pid: Pid) -> Option<Pid> {
        let process = self.inner().table.get(pid)?;
        let lives = !process.header().is_ending();
        lives.then(|| self.inner().table.group_leader(pid))?
    }

    /// The processes that have this group leader, itself included if it is its
    /// own. Looks at every process of the node, and asks nobody.
    pub fn group_members(&self, leader: Pid) -> Vec<Pid> {
        let node = self.inner();
        let mut processes = self.processes();
        processes.retain(|pid| node.table.group_leader(*pid) == Some(leader));
        processes
    }
}

#[cfg(test)]
mod tests {
    use super::{Leader, Pid};

    #[test]
    fn a_leader_is_known_until_its_slot_is_used_again() {
        for serial in [1, 255, 256, u32::MAX] {
            let pid = Pid::new(Pid::SLOTS - 1, serial);
            let leader = Leader::of(pid);
            assert_eq!(leader.at(serial), Some(pid));
            assert_eq!(leader.at(serial.wrapping_add(1)), None);
        }
    }

    #[test]
    fn nobody_is_no_leader() {
        for nobody in [Pid::OUTSIDE, Pid::NODE] {
            assert_eq!(Leader::of(nobody).at(0), None);
        }
        assert_eq!(Leader::NONE.at(0), None);
    }
}
