//! Side by side: how a concurrent supervisor stops and starts children.
//!
//! A child's turn to start comes when those that it needs are up, its turn to
//! stop when those that need it are dead. Whoever's turn it is is begun at
//! once, beside those that are under way.

use std::collections::{BTreeSet, HashMap, VecDeque};

use foldhash::fast::RandomState;
use resurgam_runtime::StartError;

use super::{Occasion, Policy, Setback, Step, Strategy, Then};
use crate::children::record::Moment;
use crate::children::{ChildState, Rank};

#[cfg(test)]
mod tests;

/// What a concurrent supervisor is at.
#[derive(Clone, Debug, Default)]
pub(super) struct Together {
    job: Job,
    /// Those that did not start, and were not looked after yet.
    failures: VecDeque<Failure>,
}

#[derive(Clone, Debug, Default)]
enum Job {
    /// Nothing.
    #[default]
    Rest,
    /// Stop these; then go on.
    Stopping(Queue, Vec<Rank>, Then),
    Starting(Queue, Occasion),
}

/// A child that did not start.
#[derive(Clone, Debug)]
struct Failure {
    rank: Rank,
    error: StartError,
    at: Moment,
}

/// Whose turn it is, of those that are to be stopped or started.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// For how many each still waits.
    waits: HashMap<Rank, usize, RandomState>,
    /// Who waits for each.
    waiters: HashMap<Rank, Vec<Rank>, RandomState>,
    /// Those that wait for nobody and are not begun.
    ready: VecDeque<Rank>,
    /// How many are begun and not done.
    under_way: usize,
}

impl Together {
    /// What follows on the stops that are under way.
    pub(super) fn then(&self) -> Option<&Then> {
        match &self.job {
            Job::Stopping(_, _, then) => Some(then),
            Job::Rest | Job::Starting(..) => None,
        }
    }

    /// What was to be done with this child is done.
    pub(super) fn done(&mut self, rank: Rank) {
        match &mut self.job {
            Job::Stopping(queue, ..) | Job::Starting(queue, _) => queue.done(rank),
            Job::Rest => {}
        }
    }

    /// This child did not start. If all are to come up together, or not at all,
    /// the first that does not decides, and nobody else is begun (laws XSUP-46,
    /// XSUP-49).
    pub(super) fn failed(&mut self, failure: (Rank, StartError, Moment), strategy: Strategy) {
        let Job::Starting(queue, occasion) = &mut self.job else {
            return;
        };
        queue.under_way -= 1;
        let is_for_all = match (occasion, strategy) {
            (Occasion::Begin, _) | (Occasion::Restart, Strategy::OneForAll) => true,
            (Occasion::Restart, Strategy::OneForOne | Strategy::RestForOne) => false,
        };
        if is_for_all {
            queue.halt();
        }
        if !is_for_all || self.failures.is_empty() {
            let (rank, error, at) = failure;
            self.failures.push_back(Failure { rank, error, at });
        }
    }
}

#[cfg(test)]
impl Together {
    /// What tells it from others; children by their places.
    pub(super) fn key(&self, place: impl Fn(Rank) -> u8) -> Vec<u8> {
        let (kind, queue, group) = match &self.job {
            Job::Rest => return vec![0, self.failures.len() as u8],
            Job::Stopping(queue, group, _) => (1, queue, group.as_slice()),
            Job::Starting(queue, occasion) => (2 + *occasion as u8, queue, [].as_slice()),
        };
        let mut key = vec![kind, queue.under_way as u8, self.failures.len() as u8];
        key.extend(group.iter().map(|rank| place(*rank)));
        key.push(b'|');
        key.extend(queue.ready.iter().map(|rank| place(*rank)));
        key.push(b'|');
        let mut waits: Vec<_> = queue.waits.iter().collect();
        waits.sort_unstable();
        key.extend(
            waits
                .into_iter()
                .flat_map(|(rank, waits)| [place(*rank), *waits as u8]),
        );
        key
    }
}

impl Policy {
    pub(super) fn stop_together(&mut self, group: Vec<Rank>, then: Then) -> Step {
        // The youngest first, where nothing else is said.
        let mut queue = Queue::of(group.iter().rev());
        for (need, needer) in self.needs(&group) {
            queue.put_after(needer, need);
        }
        queue.open(group.iter().rev());
        self.set_job(Job::Stopping(queue, group, then));
        self.go_on()
    }

    /// As in turn, also those that were down before are started.
    pub(super) fn start_together(&mut self, group: Vec<Rank>, occasion: Occasion) -> Step {
        let mut queue = Queue::of(group.iter());
        for (need, needer) in self.needs(&group) {
            queue.put_after(need, needer);
        }
        queue.open(group.iter());
        self.set_job(Job::Starting(queue, occasion));
        self.go_on()
    }

    /// Begins whoever's turn it is; when all is done, goes on to what follows.
    pub(super) fn go_on(&mut self) -> Step {
        match self.set_job(Job::Rest) {
            Job::Stopping(queue, group, then) => self.stop_more(queue, group, then),
            Job::Starting(queue, occasion) => self.start_more(queue, occasion),
            Job::Rest => self.look_after_failures(),
        }
    }

    fn stop_more(&mut self, mut queue: Queue, group: Vec<Rank>, then: Then) -> Step {
        while let Some(rank) = queue.next() {
            match self.children.get(rank).map(|child| child.state) {
                Some(ChildState::Running(_)) => {
                    self.set_job(Job::Stopping(queue, group, then));
                    return Step::Stop(rank);
                }
                // To stop a child that waits for its restart is to cancel that.
                Some(
                    ChildState::Restarting(_) | ChildState::Waiting(_) | ChildState::Parked(_),
                ) => {
                    self.children.stopped(rank);
                    queue.done(rank);
                }
                Some(ChildState::Stopped) | None => queue.done(rank),
            }
        }
        if queue.under_way > 0 {
            self.set_job(Job::Stopping(queue, group, then));
            return Step::Await;
        }
        match then {
            Then::Restart(cause) => {
                let group = self.ready_to_restart(cause, group);
                self.start_together(group, Occasion::Restart)
            }
            then => self.follow(then),
        }
    }

    fn start_more(&mut self, mut queue: Queue, occasion: Occasion) -> Step {
        if let Some(rank) = queue.next() {
            self.set_job(Job::Starting(queue, occasion));
            return Step::Start(rank);
        }
        if queue.under_way > 0 {
            self.set_job(Job::Starting(queue, occasion));
            return Step::Await;
        }
        match occasion {
            Occasion::Restart => self.look_after_failures(),
            Occasion::Begin => match self.pop_failure() {
                Some(Failure { rank, error, .. }) => self.abort(rank, error),
                None => Step::Wait,
            },
        }
    }

    /// Those that could not be started again are tried again, each by itself.
    fn look_after_failures(&mut self) -> Step {
        match self.pop_failure() {
            Some(Failure { rank, at, .. }) => self.restart(rank, Setback::NotStarted, at),
            None => Step::Wait,
        }
    }

    fn pop_failure(&mut self) -> Option<Failure> {
        self.together.as_mut()?.failures.pop_front()
    }

    fn set_job(&mut self, job: Job) -> Job {
        let together = self.together.as_mut();
        let place = together.expect("only a concurrent one has jobs");
        std::mem::replace(&mut place.job, job)
    }

    pub(super) fn everybody(&self) -> Vec<Rank> {
        self.children.ranks().collect()
    }

    /// The child, and those that go along with it, in the order of their ranks.
    pub(super) fn group_of(&self, cause: Rank) -> Vec<Rank> {
        match self.strategy {
            Strategy::OneForOne => vec![cause],
            Strategy::OneForAll => self.everybody(),
            Strategy::RestForOne => {
                let group = self.with_needers(vec![cause], |_| true);
                group.into_iter().collect()
            }
        }
    }

    /// Those of a group that was stopped and that are to be started again. A
    /// temporary one was forgotten. Whoever needs one that is to come back, by
    /// way of others that are down or not, is not started before that one is,
    /// which takes it along (law XSUP-48).
    fn ready_to_restart(&self, cause: Rank, mut group: Vec<Rank>) -> Vec<Rank> {
        let is_down = |rank| match self.children.get(rank).map(|child| child.state) {
            Some(ChildState::Stopped) => rank != cause,
            Some(_) | None => false,
        };
        let lacking = match self.strategy {
            Strategy::RestForOne => self.with_needers(self.to_come_back(), is_down),
            // Nobody else goes along, or all do.
            Strategy::OneForOne | Strategy::OneForAll => BTreeSet::new(),
        };
        group.retain(|rank| self.children.get(*rank).is_some() && !lacking.contains(rank));
        group
    }

    /// After its group was stopped, whoever is to come back is outside.
    fn to_come_back(&self) -> Vec<Rank> {
        let is_coming = |rank: &Rank| match self.children.get(*rank).map(|child| child.state) {
            Some(ChildState::Restarting(_) | ChildState::Waiting(_) | ChildState::Parked(_)) => {
                true
            }
            Some(ChildState::Running(_) | ChildState::Stopped) | None => false,
        };
        self.children.ranks().filter(is_coming).collect()
    }

    /// These children, and those that need them, by way of others that are
    /// admitted as well or not.
    fn with_needers(&self, these: Vec<Rank>, admits: impl Fn(Rank) -> bool) -> BTreeSet<Rank> {
        let mut found: BTreeSet<_> = these.iter().copied().collect();
        let mut open = these;
        if open.is_empty() {
            return found;
        }
        let mut needers: HashMap<_, Vec<_>, RandomState> = HashMap::default();
        for (need, needer) in self.needs(&self.everybody()) {
            needers.entry(need).or_default().push(needer);
        }
        while let Some(rank) = open.pop() {
            let needers = needers.remove(&rank).into_iter().flatten();
            open.extend(needers.filter(|needer| admits(*needer) && found.insert(*needer)));
        }
        found
    }

    /// Who of a group needs whom, be that in the group or not: pairs of a child
    /// that is needed and one that needs it.
    fn needs(&self, group: &[Rank]) -> impl Iterator<Item = (Rank, Rank)> {
        let needs_of = |rank: Rank| {
            let child = self.children.get(rank);
            let ids = child.into_iter().flat_map(|child| child.spec.get_after());
            let needs = ids.filter_map(|id| self.children.find(id));
            needs.map(move |(need, _)| (need, rank))
        };
        group.iter().copied().flat_map(needs_of)
    }
}

impl Queue {
    /// Of these, in this order where nothing else is said.
    fn of<'a>(members: impl Iterator<Item = &'a Rank>) -> Self {
        Self {
            waits: members.map(|rank| (*rank, 0)).collect(),
            ..Self::default()
        }
    }

    /// Has the second wait for the first, if both belong here.
    fn put_after(&mut self, first: Rank, second: Rank) {
        if self.waits.contains_key(&first)
            && let Some(waits) = self.waits.get_mut(&second)
        {
            *waits += 1;
            self.waiters.entry(first).or_default().push(second);
        }
    }

    /// Now all is said.
    fn open<'a>(&mut self, members: impl Iterator<Item = &'a Rank>) {
        let is_ready = |rank: &&Rank| self.waits.get(rank) == Some(&0);
        self.ready = members.filter(is_ready).copied().collect();
    }

    /// The next whose turn it is; it is under way from here on.
    fn next(&mut self) -> Option<Rank> {
        let rank = self.ready.pop_front()?;
        self.under_way += 1;
        Some(rank)
    }

    fn done(&mut self, rank: Rank) {
        self.under_way -= 1;
        for waiter in self.waiters.remove(&rank).into_iter().flatten() {
            if let Some(waits) = self.waits.get_mut(&waiter) {
                *waits -= 1;
                if *waits == 0 {
                    self.ready.push_back(waiter);
                }
            }
        }
    }

    /// Nobody else's turn comes. Who was ready is under way by now.
    fn halt(&mut self) {
        self.waiters.clear();
    }
}
