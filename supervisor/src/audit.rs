//! What every simulation watches supervisors for.
//!
//! The shells say what they are about to do; the audit keeps its own record of
//! it, looks at the node to see who really lives, and says what is against the
//! law. It shares nothing with the policy but the ranks of children.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use resurgam_runtime::sim::{self, Check};
use resurgam_runtime::{Node, Pid, self_pid};

use crate::child_spec::{ChildId, ChildSpec};
use crate::children::Rank;
use crate::intensity::RestartIntensity;
use crate::needs::Pace;
use crate::policy::{Event, Step, Strategy};

#[cfg(test)]
mod tests;

/// What the process that runs has done as a supervisor.
#[derive(Debug)]
pub(crate) enum Deed<'a> {
    /// It has begun to be one.
    Supervises(Strategy, RestartIntensity, Pace),
    /// A static one has this child.
    Adds(Rank, &'a ChildSpec),
    /// A static one begins to carry out what follows from an event.
    Follows(&'a Event),
    /// A static one is about to take a step.
    Takes(&'a Step),
    /// A concurrent one hears what came of a step.
    Hears(&'a Event),
    /// A child of a static one runs.
    Started(Rank, Pid),
    /// A child of a dynamic one runs.
    Adopted(Pid),
    /// A dynamic one starts a child in the place of this one; if that counts in
    /// the budget of all, now.
    Replaces(Pid, Option<Instant>),
    /// A dynamic one has had too many restarts; if it is the budget of all that
    /// is spent, now.
    GivesUp(Option<Instant>),
    /// It has stopped its children and is about to end.
    Ends,
}

/// Notes a deed of the running process; the simulation fails if it is against
/// the law. Outside a simulation nothing happens.
pub(crate) fn note(deed: Deed<'_>) {
    let supervisor = self_pid();
    sim::check(|audit: &mut Audit| {
        let node = Node::current();
        audit.note(supervisor, deed, &|pid| sim::is_alive(&node, pid))
    });
}

/// The supervisors of a simulation.
#[derive(Debug, Default)]
pub(crate) struct Audit(BTreeMap<Pid, Watched>);

type Lives<'a> = &'a dyn Fn(Pid) -> bool;

/// What is known of one supervisor.
#[derive(Debug)]
struct Watched {
    strategy: Strategy,
    intensity: RestartIntensity,
    pace: Pace,
    /// What is known of the children of a concurrent one.
    specs: BTreeMap<Rank, Known>,
    /// The budgets of single children.
    budgets: BTreeMap<Rank, RestartIntensity>,
    /// The restarts that may still count, oldest first: for the budget of all,
    /// and for those of single children.
    restarts: BTreeMap<Option<Rank>, Vec<Instant>>,
    gave_up: bool,
    /// Until when children are to be down.
    delays: BTreeMap<Rank, Instant>,
    /// The incarnations that may live; a child of a dynamic supervisor has no
    /// rank.
    children: BTreeMap<Pid, Option<Rank>>,
    pass: Pass,
    /// Since when it is known to be gone.
    gone_since: Option<Instant>,
}

/// A child of a concurrent supervisor.
#[derive(Debug)]
struct Known {
    id: ChildId,
    after: Vec<ChildId>,
}

/// How far the steps that follow from one event have gone.
#[derive(Debug, Default)]
struct Pass {
    /// When the event came, and of which child, if it is one that restarts
    /// count from and none has been counted yet.
    restarts_at: Option<(Rank, Instant)>,
    last_started: Option<Rank>,
    last_stopped: Option<Rank>,
    /// Of a concurrent one: who went down, or is to come up for the first time,
    /// and is not up yet.
    down: BTreeSet<Rank>,
}

impl Check for Audit {
    fn at_rest(&mut self, node: &Node) -> Result<(), String> {
        self.look_for_orphans(node.now(), &|pid| sim::is_alive(node, pid))
    }
}

impl Audit {
    /// How long a process may take to follow its supervisor: it may be busy,
    /// and traps exits perhaps.
    const GRACE: Duration = Duration::from_secs(600);

    fn note(&mut self, supervisor: Pid, deed: Deed<'_>, lives: Lives<'_>) -> Result<(), String> {
        if let Deed::Supervises(strategy, intensity, pace) = deed {
            let watched = Watched::new(strategy, intensity, pace);
            self.0.insert(supervisor, watched);
            return Ok(());
        }
        match self.0.get_mut(&supervisor) {
            Some(watched) => watched
                .note(deed, lives)
                .map_err(|what| format!("{what} (supervisor {supervisor})")),
            None => Ok(()),
        }
    }

    /// At rest, whoever has lost its supervisor has gone after it.
    fn look_for_orphans(&mut self, now: Instant, lives: Lives<'_>) -> Result<(), String> {
        let mut orphan = None;
        self.0.retain(|supervisor, watched| {
            if lives(*supervisor) {
                // It may not know yet of a death, and count a restart for it.
                watched
                    .children
                    .retain(|child, rank| rank.is_some() || lives(*child));
                return true;
            }
            watched.children.retain(|child, _| lives(*child));
            let since = *watched.gone_since.get_or_insert(now);
            if let Some(child) = watched.children.keys().next()
                && now - since > Self::GRACE
            {
                orphan = Some((*child, *supervisor));
            }
            !watched.children.is_empty()
        });
        match orphan {
            Some((child, supervisor)) => Err(format!(
                "orphan: {child} lives, and its supervisor {supervisor} is long gone"
            )),
            None => Ok(()),
        }
    }
}

impl Watched {
    fn new(strategy: Strategy, intensity: RestartIntensity, pace: Pace) -> Self {
        Self {
            strategy,
            intensity,
            pace,
            specs: BTreeMap::new(),
            budgets: BTreeMap::new(),
            restarts: BTreeMap::new(),
            gave_up: false,
            delays: BTreeMap::new(),
            children: BTreeMap::new(),
            pass: Pass::default(),
            gone_since: None,
        }
    }

    fn note(&mut self, deed: Deed<'_>, lives: Lives<'_>) -> Result<(), String> {
        match deed {
            Deed::Supervises(..) => Ok(()),
            Deed::Adds(rank, spec) => {
                self.adds(rank, spec);
                Ok(())
            }
            Deed::Follows(event) => {
                self.pass = Pass::after(event, &self.children);
                self.goes_down(event);
                self.in_time(event)
            }
            Deed::Hears(event) => {
                self.hears(event);
                Ok(())
            }
            Deed::Takes(Step::Start(rank)) => {
                self.counts()?;
                match self.pace {
                    Pace::InTurn => self.starts(*rank, lives),
                    Pace::SideBySide => self.starts_beside(*rank),
                }
            }
            Deed::Takes(Step::Stop(rank)) => match self.pace {
                Pace::InTurn => self.stops(*rank, lives),
                Pace::SideBySide => self.stops_beside(*rank, lives),
            },
            Deed::Takes(Step::Delay(rank, due)) => {
                self.delays.insert(*rank, *due);
                self.nobody_beside(*rank, "delays", lives)
            }
            Deed::Takes(Step::Park(rank)) => {
                self.delays.remove(rank);
                self.spends()?;
                self.nobody_beside(*rank, "parks", lives)
            }
            Deed::Takes(Step::GiveUp(_)) => {
                self.gave_up = true;
                self.spends()
            }
            Deed::Takes(Step::Abort(_)) => self.ends(lives),
            Deed::Takes(Step::Wait | Step::Await | Step::Retry(_) | Step::ShutDown) => Ok(()),
            Deed::Started(rank, pid) => self.started(rank, pid, lives),
            Deed::Adopted(pid) => {
                self.children.insert(pid, None);
                Ok(())
            }
            Deed::Replaces(pid, now) => self.replaces(pid, now, lives),
            Deed::GivesUp(now) => {
                self.gave_up = true;
                now.map_or(Ok(()), |now| self.is_spent(None, now))
            }
            Deed::Ends => self.ends(lives),
        }
    }

    fn adds(&mut self, rank: Rank, spec: &ChildSpec) {
        if let Some(own) = spec.get_restart_intensity() {
            self.budgets.insert(rank, own);
        }
        if self.pace == Pace::SideBySide {
            let known = Known {
                id: spec.id().clone(),
                after: spec.get_after().to_vec(),
            };
            self.specs.insert(rank, known);
        }
    }

    /// However many children follow on one event, that is one restart.
    fn counts(&mut self) -> Result<(), String> {
        match self.pass.restarts_at.take() {
            Some((cause, now)) => self.restarts(Some(cause), now),
            None => Ok(()),
        }
    }

    /// Whom an event of a concurrent one finds down.
    fn goes_down(&mut self, event: &Event) {
        match event {
            Event::Begin => self.pass.down.extend(self.specs.keys()),
            Event::Exited { pid, .. } => {
                let rank = self.children.get(pid).copied().flatten();
                self.pass.down.extend(rank);
            }
            Event::Due { rank, .. } | Event::Restart(rank) => {
                self.pass.down.insert(*rank);
            }
            Event::Retry { ticket, .. } => {
                self.pass.down.insert(ticket.rank());
            }
            Event::End
            | Event::Started(..)
            | Event::Ignored(_)
            | Event::Failed(..)
            | Event::Stopped(_)
            | Event::GoOn => {}
        }
    }

    fn hears(&mut self, event: &Event) {
        match event {
            // One that said `ignore` counts as up.
            Event::Started(rank, _) | Event::Ignored(rank) => {
                self.pass.down.remove(rank);
            }
            Event::Failed(..)
            | Event::Stopped(_)
            | Event::Begin
            | Event::End
            | Event::Exited { .. }
            | Event::Retry { .. }
            | Event::Due { .. }
            | Event::Restart(_)
            | Event::GoOn => {}
        }
    }

    /// I8: when those that it needs are up.
    fn starts_beside(&mut self, rank: Rank) -> Result<(), String> {
        self.pass.down.insert(rank);
        let lacks = |need: &Rank| self.needs(rank, *need);
        match self.pass.down.iter().find(|need| lacks(need)) {
            Some(need) => Err(format!(
                "I8: starts {rank:?} before {need:?}, which it needs"
            )),
            None => Ok(()),
        }
    }

    /// I8: when those that need it are dead.
    fn stops_beside(&mut self, rank: Rank, lives: Lives<'_>) -> Result<(), String> {
        self.pass.down.insert(rank);
        let needs_it = |other: Rank| self.needs(other, rank);
        let needer = self
            .children
            .iter()
            .find(|(pid, other)| other.is_some_and(needs_it) && lives(**pid));
        match needer {
            Some((pid, _)) => Err(format!(
                "I8: stops {rank:?} while {pid}, which needs it, lives"
            )),
            None => Ok(()),
        }
    }

    /// Whether the first of two children names the second.
    fn needs(&self, needer: Rank, need: Rank) -> bool {
        match (self.specs.get(&needer), self.specs.get(&need)) {
            (Some(needer), Some(need)) => needer.after.contains(&need.id),
            (None, _) | (_, None) => false,
        }
    }

    /// Those that go along with a child of a concurrent one, with it.
    fn group_of(&self, cause: Rank) -> BTreeSet<Rank> {
        let mut group = BTreeSet::from([cause]);
        loop {
            let more = |rank: &Rank| group.iter().any(|need| self.needs(*rank, *need));
            let more: Vec<_> = self.specs.keys().copied().filter(more).collect();
            let known = group.len();
            group.extend(more);
            if group.len() == known {
                return group;
            }
        }
    }

    /// I8: in the order of the ranks, with nobody alive that comes later,
    /// unless each child is on its own.
    fn starts(&mut self, rank: Rank, lives: Lives<'_>) -> Result<(), String> {
        if self.pass.last_started.is_some_and(|last| last >= rank) {
            return Err(format!("I8: starts {rank:?} out of order"));
        }
        self.pass.last_started = Some(rank);
        self.pass.last_stopped = None;
        match self.strategy {
            Strategy::OneForOne => Ok(()),
            Strategy::OneForAll | Strategy::RestForOne => self.nobody_after(rank, "starts", lives),
        }
    }

    /// I8: in the reverse order, each when those that come later are dead.
    fn stops(&mut self, rank: Rank, lives: Lives<'_>) -> Result<(), String> {
        if self.pass.last_stopped.is_some_and(|last| last <= rank) {
            return Err(format!("I8: stops {rank:?} out of order"));
        }
        self.pass.last_stopped = Some(rank);
        self.pass.last_started = None;
        self.nobody_after(rank, "stops", lives)
    }

    fn nobody_after(&self, rank: Rank, what: &str, lives: Lives<'_>) -> Result<(), String> {
        let later = self
            .children
            .iter()
            .find(|(pid, other)| other.is_some_and(|other| other > rank) && lives(**pid));
        match later {
            Some((pid, _)) => Err(format!("I8: {what} {rank:?} while {pid} after it lives")),
            None => Ok(()),
        }
    }

    fn started(&mut self, rank: Rank, pid: Pid, lives: Lives<'_>) -> Result<(), String> {
        let twin = self
            .children
            .iter()
            .find(|(child, other)| **child != pid && **other == Some(rank) && lives(**child));
        if let Some((twin, _)) = twin {
            return Err(format!(
                "{pid} was started while {twin}, the same child, lives"
            ));
        }
        self.children.retain(|_, other| *other != Some(rank));
        self.children.insert(pid, Some(rank));
        Ok(())
    }

    fn replaces(&mut self, pid: Pid, now: Option<Instant>, lives: Lives<'_>) -> Result<(), String> {
        if lives(pid) {
            return Err(format!("another is started for {pid}, which lives"));
        }
        self.children.remove(&pid);
        now.map_or(Ok(()), |now| self.restarts(None, now))
    }

    /// I7: no more restarts in a period than allowed, and none after it gave up.
    fn restarts(&mut self, cause: Option<Rank>, now: Instant) -> Result<(), String> {
        let (purse, intensity) = self.purse(cause);
        let RestartIntensity {
            max_restarts,
            period,
        } = intensity;
        if self.gave_up {
            return Err("I7: restarts a child after it gave up".to_owned());
        }
        let recent = self.recent(purse, intensity, now);
        if recent.len() >= max_restarts as usize {
            return Err(format!(
                "I7: restarts more than {max_restarts} times in {period:?}"
            ));
        }
        recent.push(now);
        Ok(())
    }

    /// I7: it gives up, on all or on one, not before it may.
    fn is_spent(&mut self, cause: Option<Rank>, now: Instant) -> Result<(), String> {
        let (purse, intensity) = self.purse(cause);
        let recent = self.recent(purse, intensity, now).len();
        let allowed = intensity.max_restarts;
        if recent < allowed as usize {
            return Err(format!("I7: gives up after {recent} restarts of {allowed}"));
        }
        Ok(())
    }

    /// As [`is_spent`](Self::is_spent), of the child whose event is followed.
    /// If a start failed meanwhile, its restart has been counted, and another
    /// event would have been the one.
    fn spends(&mut self) -> Result<(), String> {
        let cause = self.pass.restarts_at.take();
        cause.map_or(Ok(()), |(rank, now)| self.is_spent(Some(rank), now))
    }

    /// Where the restarts of this child count, and how many are allowed there.
    fn purse(&self, cause: Option<Rank>) -> (Option<Rank>, RestartIntensity) {
        match cause.and_then(|rank| self.budgets.get(&rank)) {
            Some(own) => (cause, *own),
            None => (None, self.intensity),
        }
    }

    fn recent(
        &mut self,
        purse: Option<Rank>,
        intensity: RestartIntensity,
        now: Instant,
    ) -> &mut Vec<Instant> {
        let recent = self.restarts.entry(purse).or_default();
        recent.retain(|restart| now - *restart <= intensity.period);
        recent
    }

    /// Nobody is restarted before its delay is over.
    fn in_time(&mut self, event: &Event) -> Result<(), String> {
        let Event::Due { rank, now } = event else {
            return Ok(());
        };
        match self.delays.remove(rank) {
            Some(due) if due > *now => {
                Err(format!("{rank:?} is restarted before its delay is over"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// While a child is kept down, so are those that go along with it.
    fn nobody_beside(&self, rank: Rank, what: &str, lives: Lives<'_>) -> Result<(), String> {
        let group = self.group_of(rank);
        let goes_along = |other: Rank| match (self.strategy, self.pace) {
            (Strategy::OneForOne, _) => other == rank,
            (Strategy::OneForAll, _) => true,
            (Strategy::RestForOne, Pace::InTurn) => other >= rank,
            (Strategy::RestForOne, Pace::SideBySide) => group.contains(&other),
        };
        let left = self
            .children
            .iter()
            .find(|(pid, other)| other.is_some_and(goes_along) && lives(**pid));
        match left {
            Some((pid, _)) => Err(format!(
                "{what} {rank:?} while {pid}, which goes along, lives"
            )),
            None => Ok(()),
        }
    }

    fn ends(&self, lives: Lives<'_>) -> Result<(), String> {
        match self.children.keys().find(|child| lives(**child)) {
            Some(child) => Err(format!("I8: ends before its child {child}")),
            None => Ok(()),
        }
    }
}

impl Pass {
    fn after(event: &Event, children: &BTreeMap<Pid, Option<Rank>>) -> Self {
        Self {
            restarts_at: match event {
                Event::Exited { pid, at, .. } => {
                    let rank = children.get(pid).copied().flatten();
                    rank.map(|rank| (rank, at.now))
                }
                Event::Retry { ticket, now } => Some((ticket.rank(), *now)),
                Event::Due { rank, now } => Some((*rank, *now)),
                Event::Begin
                | Event::End
                | Event::Restart(_)
                | Event::Started(..)
                | Event::Ignored(_)
                | Event::Failed(..)
                | Event::Stopped(_)
                | Event::GoOn => None,
            },
            ..Self::default()
        }
    }
}
