//! Intervals: ticks of the node's clock, and what is done at each (`timer`).

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, select};

use crate::caught::guarded;
use crate::node::{Dest, Node, later};
use crate::pid::Pid;
use crate::process::context::Context;
use crate::process::set_label;
use crate::process_ref::SendError;
use crate::spawn::SpawnError;
use crate::timer::Sleep;

/// Ticks on a node's clock, one period apart: the first after one period. They
/// do not drift: each is due one period after the one before was due, however
/// late that was taken (law TIMER-17). Ticks that were missed are made up for at
/// once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::{Context, Interval, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<()>| async {
///     let mut interval = Interval::new(Duration::from_millis(1));
///     let first = interval.tick().await;
///     assert_eq!(interval.tick().await, first + Duration::from_millis(1));
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Interval {
    node: Node,
    period: Duration,
    next: Sleep,
}

impl Interval {
    /// Ticks on the current node's clock, from now on.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn new(period: Duration) -> Self {
        Self::on(&Node::current(), period)
    }

    fn on(node: &Node, period: Duration) -> Self {
        assert!(
            !period.is_zero(),
            "the period of an interval must be more than zero"
        );
        Self {
            node: node.clone(),
            period,
            next: node.sleep(period),
        }
    }

    /// Waits for the next tick; when it was due.
    ///
    /// # Cancel safety
    ///
    /// No tick is lost if the future is dropped.
    pub async fn tick(&mut self) -> Instant {
        Pin::new(&mut self.next).await;
        let due = self.next.deadline();
        self.next = self.node.sleep_until(later(due, self.period));
        due
    }
}

/// Something that is done at each tick, by a process of its own.
///
/// Dropping it changes nothing: it goes on until it is cancelled, or the node
/// stops.
#[derive(Clone)]
pub struct IntervalRef {
    node: Node,
    pid: Pid,
}

impl IntervalRef {
    /// The process that does it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends it. Nothing is sent, and no run begins, once this has returned (law
    /// TIMER-18); one that has begun goes on.
    ///
    /// # Cancel safety
    ///
    /// It is ended all the same if the future is dropped after its first poll.
    pub async fn cancel(&self) {
        if planted!(IntervalGoesOn) {
            return;
        }
        self.node.kill(self.pid);
        self.node.join(self.pid).await;
    }
}

impl fmt::Debug for IntervalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntervalRef").field(&self.pid).finish()
    }
}

impl Node {
    /// Sends a message again and again, once a period. If `dest` is a pid, that
    /// is over when the process ends (law TIMER-16); a name is resolved each
    /// time, and nobody there is no error. `timer:send_interval/3`.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Message, Node};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|mut ctx: Context<&str>| async move {
    ///     let interval = ctx.node().send_interval(Duration::from_millis(1), ctx.pid(), "tick");
    ///     for _ in 0..3 {
    ///         assert_eq!(ctx.receive().await, Message::User("tick"));
    ///     }
    ///     interval.unwrap().cancel().await;
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_interval<M: Clone + Send + 'static>(
        &self,
        period: Duration,
        dest: impl Into<Dest>,
        message: M,
    ) -> Result<IntervalRef, SpawnError> {
        let dest = dest.into();
        let interval = Interval::on(&self.within(), period);
        self.start_interval(move |node| async move {
            match dest {
                Dest::Pid(pid) if !planted!(IntervalOutlivesTarget) => {
                    let ticks = pin!(send_ticks(&node, interval, dest, message));
                    match select(ticks, node.join(pid)).await {
                        Either::Left(((), _)) | Either::Right(_) => {}
                    }
                }
                Dest::Pid(_) | Dest::Name(_) => send_ticks(&node, interval, dest, message).await,
            }
        })
    }

    /// Runs what `apply` makes once a period, each in a process of its own, also
    /// while the last one still runs (law TIMER-17). `timer:apply_interval/2`.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn apply_interval<F>(
        &self,
        period: Duration,
        apply: impl FnMut() -> F + Send + 'static,
    ) -> Result<IntervalRef, SpawnError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start_applying(period, apply, false)
    }

    /// As [`apply_interval`](Self::apply_interval), but each waits for the last
    /// one to end, and begins at once if it was due meanwhile.
    /// `timer:apply_repeatedly/2`.
    ///
    /// # Errors
    ///
    /// If the node is stopped or full.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn apply_repeatedly<F>(
        &self,
        period: Duration,
        apply: impl FnMut() -> F + Send + 'static,
    ) -> Result<IntervalRef, SpawnError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start_applying(period, apply, true)
    }

    /// Runs what `apply` makes at each tick; before the next one it may wait for
    /// the run to end.
    fn start_applying<F>(
        &self,
        period: Duration,
        mut apply: impl FnMut() -> F + Send + 'static,
        waits: bool,
    ) -> Result<IntervalRef, SpawnError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut interval = Interval::on(&self.within(), period);
        self.start_interval(move |node| async move {
            loop {
                interval.tick().await;
                let run = apply();
                let Ok(process) = node.spawn(|_: Context<()>| run) else {
                    return;
                };
                if waits {
                    process.join().await;
                }
            }
        })
    }

    /// As processes hold it.
    fn within(&self) -> Self {
        Self::from_inner(Arc::clone(self.inner()))
    }

    fn start_interval<F>(
        &self,
        run: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<IntervalRef, SpawnError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let process = self.spawn(|ctx: Context<()>| {
            let run = run(ctx.node());
            async move {
                set_label("interval");
                run.await;
            }
        })?;
        let pid = process.pid().expect("it was spawned");
        Ok(IntervalRef {
            node: self.within(),
            pid,
        })
    }
}

/// Sends for ever, or until it meets a process of another message type.
async fn send_ticks<M: Clone + Send + 'static>(
    node: &Node,
    mut interval: Interval,
    dest: Dest,
    message: M,
) {
    loop {
        interval.tick().await;
        let sent = node.send(dest.clone(), message.clone());
        if let Err(error @ SendError::WrongType { .. }) = sent {
            guarded(|| tracing::warn!(target: "resurgam::timer", %error, "interval ended"));
            return;
        }
    }
}
