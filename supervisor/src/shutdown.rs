//! How one child is stopped, and what counts as a proper end of it.

use std::collections::{BTreeMap, HashSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use resurgam_runtime::{
    ExitReason, Node, Pid, Sleep, exit, flush_exit, is_alive, join, join_flush, kill, now,
    process_info, self_pid, timeout,
};

use crate::child_spec::{Restart, Shutdown};
use crate::gave_up::GaveUp;
use crate::policy::later;
use resurgam_runtime::planted;

#[cfg(test)]
mod tests;

/// Stops a child of the running process and waits until it is dead. Returns
/// the true reason of its end, and leaves no exit message of it behind.
///
/// A child that unlinked itself is waited for as well. The link is kept until
/// then: if the supervisor is killed meanwhile, the child dies along with it.
pub(crate) fn stop_child(
    pid: Pid,
    shutdown: Shutdown,
    alarm: &mut Alarm,
) -> impl Future<Output = ExitReason> {
    stop(pid, shutdown, join_flush(pid), alarm)
}

/// As [`stop_child`], of one that is stopped beside many others, which find
/// their exit messages in the order in which they die.
pub(crate) async fn stop_beside(pid: Pid, shutdown: Shutdown) -> ExitReason {
    let death = join(pid).map(|reason| true_reason(pid, reason));
    stop(pid, shutdown, death, &mut Alarm::default()).await
}

/// The wait for its death must have begun: a child that obeys at once could be
/// gone before it otherwise, and its reason with it.
async fn stop(
    pid: Pid,
    shutdown: Shutdown,
    death: impl Future<Output = ExitReason> + Unpin,
    alarm: &mut Alarm,
) -> ExitReason {
    match shutdown {
        Shutdown::BrutalKill => {
            kill(pid);
            death.await
        }
        Shutdown::Timeout(limit) => {
            exit(pid, ExitReason::Shutdown);
            within(limit, pid, death, alarm).await
        }
        Shutdown::Infinity => {
            exit(pid, ExitReason::Shutdown);
            death.await
        }
    }
}

/// Waits for the death of a child, and kills it when its time is up.
async fn within(
    limit: Duration,
    pid: Pid,
    mut death: impl Future<Output = ExitReason> + Unpin,
    alarm: &mut Alarm,
) -> ExitReason {
    let Some(deadline) = now().checked_add(limit) else {
        // As good as for ever.
        return death.await;
    };
    let in_time = poll_fn(|cx| match Pin::new(&mut death).poll(cx) {
        Poll::Ready(reason) => Poll::Ready(Some(reason)),
        Poll::Pending => alarm.poll(deadline, cx).map(|()| None),
    });
    match in_time.await {
        Some(reason) => reason,
        None => {
            if planted!(TimeoutDoesNotKill) {
                return ExitReason::Killed;
            }
            kill(pid);
            death.await
        }
    }
}

/// The timer of children that are stopped one after the other.
///
/// It is armed for the first one. Most obey long before their time is up, so it
/// serves those after it too: if it rings too early for one of them, it is
/// armed again.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Sleep>);

impl Alarm {
    /// Waits until the deadline.
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let sleep = match &mut self.0 {
                Some(armed) if armed.deadline() <= deadline => armed,
                place => place.insert(Node::current().sleep_until(deadline)),
            };
            ready!(Pin::new(&mut *sleep).poll(cx));
            let rang_at = sleep.deadline();
            self.0 = None;
            if rang_at == deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// The time that a supervisor that ends has for all its children.
#[derive(Debug)]
pub(crate) struct LastStops {
    limit: Duration,
    /// It begins with the first stop.
    until: Option<Instant>,
}

impl LastStops {
    pub(crate) fn within(limit: Duration) -> Box<Self> {
        Box::new(Self { limit, until: None })
    }

    /// How a child is stopped now that is to be stopped so (law XSUP-53).
    pub(crate) fn cap(&mut self, shutdown: Shutdown, now: Instant) -> Shutdown {
        let limit = self.limit;
        let until = self.until.get_or_insert_with(|| later(now, limit));
        let left = until.saturating_duration_since(now);
        match shutdown {
            Shutdown::BrutalKill => Shutdown::BrutalKill,
            Shutdown::Timeout(own) => Shutdown::Timeout(own.min(left)),
            Shutdown::Infinity => Shutdown::Timeout(left),
        }
    }
}

/// Stops children of the running process side by side, and says of each, when
/// it is dead, why it ended.
///
/// Those whose time is up are killed together: there is one timer for each
/// distinct timeout, not one for each child. Links are kept until the end, as
/// in [`stop_child`].
pub(crate) async fn stop_children(
    children: impl Iterator<Item = (Pid, Shutdown)>,
    mut on_end: impl FnMut(Pid, ExitReason),
) {
    let mut dying = FuturesUnordered::new();
    let mut deadlines: BTreeMap<Duration, Vec<Pid>> = BTreeMap::new();
    for (pid, shutdown) in children {
        dying.push(join(pid).map(move |reason| (pid, reason)));
        match shutdown {
            Shutdown::BrutalKill => kill(pid),
            Shutdown::Timeout(limit) => {
                exit(pid, ExitReason::Shutdown);
                deadlines.entry(limit).or_default().push(pid);
            }
            Shutdown::Infinity => exit(pid, ExitReason::Shutdown),
        }
    }
    let mut bury_all = async || {
        while let Some((pid, reason)) = dying.next().await {
            on_end(pid, true_reason(pid, reason));
        }
    };
    let begun = now();
    for (limit, overdue) in deadlines {
        let left = limit.saturating_sub(now().saturating_duration_since(begun));
        if timeout(left, bury_all()).await.is_err() {
            overdue.into_iter().for_each(kill);
        }
    }
    bury_all().await;
}

/// Whether a child that an exit signal came from is really dead. A living
/// process can send such a signal too, and to take that for its death would
/// be to start a second incarnation beside it.
pub(crate) async fn is_dead(pid: Pid) -> bool {
    // The answer comes at once for the dead; a child that does not answer in
    // time is asked again. To guess would be to lose a restart or to start a
    // second incarnation, and the time may be up because the clock jumped.
    loop {
        if let Ok(alive) = is_alive(pid).await {
            return !alive;
        }
    }
}

/// Those of these children of the running process that are dead without its
/// knowing, as only one that unlinked itself can be: the end of a link would
/// have been told.
pub(crate) async fn unnoticed_dead(children: Vec<Pid>) -> HashSet<Pid> {
    let myself = process_info(self_pid()).await.ok().flatten();
    let links: HashSet<Pid> = myself
        .map(|info| info.links)
        .into_iter()
        .flatten()
        .collect();
    let mut dead = HashSet::new();
    for pid in children {
        if !links.contains(&pid) && is_dead(pid).await {
            dead.insert(pid);
        }
    }
    dead
}

/// Takes the child's exit out of the mailbox. If the child had died by itself
/// before it was asked, only that message knows why.
pub(crate) fn true_reason(pid: Pid, joined: ExitReason) -> ExitReason {
    match (joined, flush_exit(pid)) {
        (ExitReason::NoProcess, Some(reason)) => reason,
        (reason, _) => reason,
    }
}

/// Whether a child of a static supervisor that was stopped ended as it should
/// (law SUP-89). Any other end is worth a report.
pub(crate) fn is_proper_end(shutdown: Shutdown, restart: Restart, reason: &ExitReason) -> bool {
    match (shutdown, restart, reason) {
        (Shutdown::BrutalKill, _, ExitReason::Killed) => true,
        (Shutdown::Timeout(_) | Shutdown::Infinity, _, ExitReason::Shutdown) => true,
        // A supervisor that gave up just then; in Erlang this is `shutdown`.
        (Shutdown::Timeout(_) | Shutdown::Infinity, _, reason)
            if reason.cause::<GaveUp>().is_some() =>
        {
            true
        }
        (_, Restart::Transient | Restart::Temporary, reason) => reason.is_graceful(),
        (_, Restart::Permanent, _) => false,
    }
}
