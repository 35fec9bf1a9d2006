//! The seam: all that the code of processes asks of the world around it goes
//! through these few functions (and [`Timers::now`](crate::timer::Timers::now),
//! [`Timers::arm`](crate::timer::Timers::arm)), so that the simulator can put
//! itself there and run the same code.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::NodeInner;
use crate::caught::drop_caught;
use crate::clock::Clock;
use crate::exit_reason::ExitReason;
use crate::mailbox::Wake;
use crate::pid::Pid;
use crate::process::cell::{Process, Seat};
use crate::process::exit;
use crate::process::owner::LateWaiter;
use crate::signal::{Cause, Exit, Signal};
use crate::slot::Slot;

/// Tells the simulation that a node is part of, if it is part of one.
macro_rules! observe {
    ($node:expr, |$world:ident| $tell:expr) => {
        #[cfg(feature = "sim")]
        if let Some($world) = &$node.world {
            $tell;
        }
    };
}
pub(crate) use observe;

/// What is carried from one process to another.
pub(crate) trait Load: Send + 'static {
    /// For the trace of a simulation.
    #[cfg(feature = "sim")]
    fn describe(&self) -> String;
}

impl NodeInner {
    /// Carries something from one process to another, in the order of the
    /// calls for each pair (law SIG-01). `arrive` is what happens at the other
    /// end, with what `via` stands for.
    pub(crate) fn transmit<V, T>(
        &self,
        from: Pid,
        to: Pid,
        via: &V,
        load: T,
        arrive: impl FnOnce(&V, T) + Send + 'static,
    ) where
        V: Clone + Send + 'static,
        T: Load,
    {
        #[cfg(feature = "sim")]
        if let Some(world) = &self.world {
            return world.transmit(from, to, via.clone(), load, arrive);
        }
        let _ = (from, to);
        arrive(via, load);
    }

    /// As [`transmit`](Self::transmit), from whoever runs on this thread. What
    /// only a simulation has to carry goes by it: elsewhere it is done at once.
    #[cfg(feature = "sim")]
    pub(crate) fn transmit_from_here<V, T>(
        &self,
        to: Pid,
        via: &V,
        load: T,
        arrive: impl FnOnce(&V, T) + Send + 'static,
    ) where
        V: Clone + Send + 'static,
        T: Load,
    {
        self.transmit(self.sender(), to, via, load, arrive);
    }

    /// Whether this node is part of a simulation.
    #[cfg(feature = "sim")]
    pub(crate) fn is_simulated(&self) -> bool {
        self.world.is_some()
    }

    /// Lets a process run; it comes with the count of its life.
    #[inline]
    pub(crate) fn schedule(&self, process: Process) {
        #[cfg(feature = "sim")]
        if let Some(world) = &self.world {
            return world.schedule(process);
        }
        match &process.header().seat {
            Seat::Host => self.scheduler.schedule(process),
            Seat::Thread(bell) => {
                bell.ring();
                // Its thread has the count of its life all the time.
                process.rest();
            }
        }
    }

    /// The time on the node's clock, as late as the worker's last look there.
    #[inline]
    pub(crate) fn about_now(&self) -> Instant {
        let looked = match self.timers.clock() {
            Clock::System => self.scheduler.last_look(),
            _ => None,
        };
        looked.unwrap_or_else(|| self.timers.now())
    }

    /// A random number (splitmix64).
    pub(crate) fn random(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self
            .random
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// What goes through the seam, and what becomes of it where nobody lives.
impl NodeInner {
    /// Sends a signal; what a dead receiver owes to it is answered.
    pub(crate) fn deliver(self: &Arc<Self>, from: Pid, to: Pid, signal: Signal) {
        self.transmit(from, to, self, signal, move |node, signal| {
            let Some(process) = node.table.get(to) else {
                return node.bounce(to, signal);
            };
            match Self::push_signal(&process, signal) {
                Ok(()) => {}
                Err(Signal::Monitor { reference, watcher }) => {
                    let late = LateWaiter::Monitor { reference, watcher };
                    exit::tell_when_links_are(&process, late);
                }
                Err(signal) => node.bounce(to, signal),
            }
        });
    }

    /// Leaves an answer where `to` waits for it.
    pub(crate) fn settle<T: Send + 'static>(
        &self,
        from: Pid,
        to: Pid,
        slot: &Arc<Slot<T>>,
        answer: T,
    ) {
        self.transmit(from, to, slot, Answer(answer), |slot, Answer(answer)| {
            slot.settle(answer);
        });
    }

    /// Pushes a signal into a mailbox and wakes its owner; gives it back if
    /// the process has ended.
    pub(crate) fn push_signal(process: &Process, signal: Signal) -> Result<(), Signal> {
        if process.core().push_signal(signal)? == Wake::Schedule {
            process.schedule();
        }
        Ok(())
    }

    /// Answers a signal in the name of a process that has ended (law SIG-16).
    pub(crate) fn bounce(self: &Arc<Self>, dead: Pid, signal: Signal) {
        match signal {
            Signal::Link { .. } if planted!(NoprocExitDropped) => {}
            Signal::Monitor { .. } if planted!(NoprocDownDropped) => {}
            Signal::Link { from } => {
                let exit = Exit {
                    from: dead,
                    reason: ExitReason::NoProcess,
                };
                self.deliver(
                    dead,
                    from,
                    Signal::Exit {
                        exit,
                        cause: Cause::Linked,
                    },
                );
            }
            Signal::Unlink { from, number } => {
                self.deliver(dead, from, Signal::UnlinkAck { from: dead, number });
            }
            Signal::Monitor { reference, watcher } => {
                exit::tell_watcher(self, dead, reference, watcher, ExitReason::NoProcess);
            }
            Signal::Query { asker, answer } => self.settle(dead, asker, &answer, None),
            Signal::Exit { .. }
            | Signal::UnlinkAck { .. }
            | Signal::Demonitor { .. }
            | Signal::Down(_)
            | Signal::AliasDown(_)
            | Signal::AliasUsed { .. }
            | Signal::Urgent(_)
            | Signal::System(_) => drop_caught(signal),
        }
    }
}

/// The answer to a question, a call or a wait.
struct Answer<T>(T);

impl<T: Send + 'static> Load for Answer<T> {
    #[cfg(feature = "sim")]
    fn describe(&self) -> String {
        "answer".to_owned()
    }
}
