//! The node's clock: the machine's, or one that a test moves by hand.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::caught::wake_caught;
use crate::sync::Mutex;
use crate::timer::Timers;

/// Where a node has its time from.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// Monotonic time, as Tokio tells it (and pauses it, in tests).
    System,
    Manual(ManualClock),
    /// Moved by a simulation.
    #[cfg(feature = "sim")]
    Virtual(VirtualClock),
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => tokio::time::Instant::now().into_std(),
            Self::Manual(clock) => clock.now(),
            #[cfg(feature = "sim")]
            Self::Virtual(clock) => clock.now(),
        }
    }
}

/// The machine's clock, to measure how long something took.
#[inline]
#[allow(clippy::disallowed_methods, reason = "no process sees it")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// A clock that stands still until it is told to move, for tests.
///
/// Every time-out and every timer of a node that was built with it
/// ([`NodeBuilder::clock`](crate::NodeBuilder::clock)) follows it. Moving it
/// fires what is due, in the order of the deadlines; it does not wait for the
/// processes to act on that.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use resurgam_runtime::{Context, ManualClock, Message, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new();
/// let node = Node::builder().clock(clock.clone()).start()?;
/// let process = node.spawn(|mut ctx: Context<&str>| async move {
///     assert_eq!(ctx.receive().await, Message::User("an hour is over"));
/// })?;
/// node.send_after(Duration::from_secs(3600), process.pid().unwrap(), "an hour is over");
/// clock.advance(Duration::from_secs(3600));
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

struct State {
    now: Instant,
    nodes: Vec<Weak<Timers>>,
    /// Who waits for a timer to be armed.
    waiting: Vec<Waker>,
}

impl ManualClock {
    /// A clock that stands still.
    #[allow(
        clippy::new_without_default,
        reason = "a default clock would suggest it runs"
    )]
    pub fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self(Arc::new(Mutex::new(State {
            now,
            nodes: Vec::new(),
            waiting: Vec::new(),
        })))
    }

    /// The time it shows.
    pub fn now(&self) -> Instant {
        self.0.lock().now
    }

    /// Moves it on, and fires every timer that falls due on the way, at its
    /// time.
    pub fn advance(&self, by: Duration) {
        let target = self.now() + by;
        while let Some(next) = self.next_deadline().filter(|next| *next <= target) {
            self.move_to(next);
        }
        self.move_to(target);
    }

    /// Waits until some timer is armed, moves to the earliest deadline, fires
    /// what is due then, and returns the new time.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens if it is dropped.
    pub async fn advance_to_next(&self) -> Instant {
        let next = poll_fn(|cx| match self.next_deadline() {
            Some(next) => Poll::Ready(next),
            None => {
                self.0.lock().waiting.push(cx.waker().clone());
                // One may have been armed before the waker was in place.
                self.next_deadline().map_or(Poll::Pending, Poll::Ready)
            }
        })
        .await;
        self.move_to(next);
        self.now()
    }

    /// How many timers are armed on the nodes that follow this clock, the ones
    /// inside time-outs included.
    pub fn armed(&self) -> usize {
        self.nodes().iter().map(|timers| timers.len()).sum()
    }

    pub(crate) fn follow(&self, timers: &Arc<Timers>) {
        self.0.lock().nodes.push(Arc::downgrade(timers));
    }

    /// A timer was armed.
    pub(crate) fn armed_one(&self) {
        let waiting = std::mem::take(&mut self.0.lock().waiting);
        for waker in waiting {
            wake_caught(waker);
        }
    }

    fn nodes(&self) -> Vec<Arc<Timers>> {
        let mut state = self.0.lock();
        state.nodes.retain(|timers| timers.strong_count() > 0);
        state.nodes.iter().filter_map(Weak::upgrade).collect()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.nodes()
            .iter()
            .filter_map(|timers| timers.next_deadline())
            .min()
    }

    /// Never goes back: two tasks may move it at once.
    fn move_to(&self, time: Instant) {
        let now = {
            let mut state = self.0.lock();
            state.now = state.now.max(time);
            state.now
        };
        for timers in self.nodes() {
            timers.fire(now);
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("now", &self.now())
            .finish()
    }
}

/// The clock of a simulation, which moves it and fires its timers one by one.
#[cfg(feature = "sim")]
#[derive(Clone, Debug)]
pub(crate) struct VirtualClock {
    begun: Instant,
    nanos: Arc<std::sync::atomic::AtomicU64>,
}

#[cfg(feature = "sim")]
impl VirtualClock {
    /// How far it can go: some 580 years.
    pub(crate) const END: Duration = Duration::from_nanos(u64::MAX);

    pub(crate) fn new() -> Self {
        Self {
            begun: tokio::time::Instant::now().into_std(),
            nanos: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        use std::sync::atomic::Ordering;
        self.begun + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, to: Instant) {
        use std::sync::atomic::Ordering;
        let nanos = u64::try_from((to - self.begun).as_nanos()).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Relaxed);
    }
}
