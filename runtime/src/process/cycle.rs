//! Calls in a circle: processes each of which waits for a reply of the next.

use std::collections::{HashMap, VecDeque};

use crate::node::Node;
use crate::pid::Pid;

impl Node {
    /// The processes that wait for each other in a circle with this one: each
    /// has called the next and waits for its reply, the last has called the
    /// first, which is `pid`. `None` if there is no such circle now.
    ///
    /// It asks one process after the other ([`ProcessInfo::awaited_by`]), so it
    /// is a picture, not a proof: a reply may be with somebody else, who sends
    /// it. Of a process that does not answer, nothing is known.
    ///
    /// A call that times out while its server waits for the caller is reported
    /// by itself, as a warning with the target `resurgam::call`.
    ///
    /// [`ProcessInfo::awaited_by`]: crate::ProcessInfo::awaited_by
    ///
    /// # Differences from Erlang
    ///
    /// There is no such thing in OTP (law XGS-03).
    ///
    /// # Cancel safety
    ///
    /// It does nothing but ask.
    pub async fn call_cycle(&self, pid: Pid) -> Option<Vec<Pid>> {
        // Who waits for whom, for each that was found.
        let mut waits_for = HashMap::new();
        let mut found = VecDeque::from([pid]);
        while let Some(server) = found.pop_front() {
            let Ok(Some(info)) = self.process_info(server).await else {
                continue;
            };
            for caller in info.awaited_by {
                if caller == pid {
                    return Some(circle(pid, server, &waits_for));
                }
                waits_for.entry(caller).or_insert_with(|| {
                    found.push_back(caller);
                    server
                });
            }
        }
        None
    }
}

/// From `first`, which waits for `second`, along who waits for whom back to it.
fn circle(first: Pid, second: Pid, waits_for: &HashMap<Pid, Pid>) -> Vec<Pid> {
    let mut circle = vec![first];
    let mut next = second;
    while next != first {
        circle.push(next);
        next = waits_for[&next];
    }
    circle
}
