//! The links of one process: OTP's numbered, acknowledged protocol. Pure.
//!
//! A plain link and a plain unlink leave a link one-sided for good when both
//! ends act at once. So an unlink carries a number and is acknowledged. Until
//! the acknowledgement of that number comes, the link is *leaving*: exits along
//! it are ignored (law LINK-07), and so is a link request of the other end,
//! which must have been sent before the other end saw the unlink. Linking again
//! makes the link whole at this end and sends a new request (law LINK-10); the
//! acknowledgement of the old number then means nothing.
//!
//! Source: the ERTS user's guide, "Distribution Protocol", link protocol; the
//! TLA+ model in the OTP tree.

use crate::few::Few;
use crate::pid::Pid;

/// The links of one process, by the process at the other end.
#[derive(Debug, Default)]
pub(crate) struct Links(Few<Pid, Link>);

/// One end of a link.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
enum Link {
    /// An exit of the other end counts.
    Linked,
    /// Taken back; the other end has not acknowledged this number yet.
    Leaving(u64),
}

/// What has to be sent to the other end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "the other end has to be told"]
pub(crate) enum Send {
    Nothing,
    Link,
    Unlink(u64),
}

impl Links {
    pub(crate) const NONE: Self = Self(Few::None);

    /// This end links.
    pub(crate) fn link(&mut self, other: Pid) -> Send {
        match self.0.insert(other, Link::Linked) {
            Some(Link::Linked) => Send::Nothing,
            Some(Link::Leaving(_)) | None => Send::Link,
        }
    }

    /// This end links to a process it has just made, which was born linked.
    pub(crate) fn link_newborn(&mut self, other: Pid) {
        self.0.insert(other, Link::Linked);
    }

    /// This end unlinks. The number must be new for this process.
    pub(crate) fn unlink(&mut self, other: Pid, number: u64) -> Send {
        match self.0.get_mut(&other) {
            Some(link @ Link::Linked) => {
                *link = Link::Leaving(number);
                Send::Unlink(number)
            }
            Some(Link::Leaving(_)) | None => Send::Nothing,
        }
    }

    /// A link request came. One that crosses an unlink of this end is void.
    pub(crate) fn on_link(&mut self, other: Pid) {
        if planted!(CrossedLinkCounts) {
            self.0.insert(other, Link::Linked);
        }
        if self.0.get(&other).is_none() {
            self.0.insert(other, Link::Linked);
        }
    }

    /// The other end unlinked; the caller acknowledges its number. If this end
    /// is leaving too, it goes on waiting for its own acknowledgement: until
    /// then a link request of the other end crosses this end's unlink.
    pub(crate) fn on_unlink(&mut self, other: Pid) {
        if self.0.get(&other) == Some(&Link::Linked) || planted!(UnlinkForgotten) {
            self.0.remove(&other);
        }
    }

    /// The other end acknowledged an unlink of this one.
    pub(crate) fn on_unlink_ack(&mut self, other: Pid, number: u64) {
        if self.0.get(&other) == Some(&Link::Leaving(number)) {
            self.0.remove(&other);
        }
    }

    /// The other end ended; whether that counts here. The link is gone after
    /// it either way, so that one end's death counts once.
    pub(crate) fn on_exit(&mut self, other: Pid) -> bool {
        let before = self.0.remove(&other);
        before == Some(Link::Linked) || planted!(ExitAfterUnlink) && before.is_some()
    }

    /// Whether the end of the other counts here.
    pub(crate) fn is_linked(&self, other: Pid) -> bool {
        self.0.get(&other) == Some(&Link::Linked)
    }

    /// The processes this one is linked to.
    pub(crate) fn linked(&self) -> impl Iterator<Item = Pid> {
        self.0
            .iter()
            .filter(|(_, link)| **link == Link::Linked)
            .map(|(pid, _)| *pid)
    }
}

#[cfg(test)]
mod tests;
