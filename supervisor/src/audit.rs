//! What every simulation watches supervisors for.
//!
//! The shells say what they are about to do; the audit keeps its own record of
//! it, looks at the node to see who really lives, and says what is against the
//! law. It shares nothing with the policy but the ranks of children.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use resurgam_runtime::sim::{self, Check};
use resurgam_runtime::{Node, Pid, self_pid};

use crate::children::Rank;
use crate::intensity::RestartIntensity;
use crate::policy::{Event, Step, Strategy};

#[cfg(test)]
mod tests;

/// What the process that runs has done as a supervisor.
#[derive(Debug)]
pub(crate) enum Deed<'a> {
    /// It has begun to be one.
    Supervises(Strategy, RestartIntensity),
    /// A static one begins to carry out what follows from an event.
    Follows(&'a Event),
    /// A static one is about to take a step.
    Takes(&'a Step),
    /// A child of a static one runs.
    Started(Rank, Pid),
    /// A child of a dynamic one runs.
    Adopted(Pid),
    /// A dynamic one starts a child in the place of this one.
    Replaces(Pid, Instant),
    /// A dynamic one has had too many restarts.
    GivesUp(Instant),
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
    /// The restarts that may still count, oldest first.
    restarts: Vec<Instant>,
    gave_up: bool,
    /// The incarnations that may live; a child of a dynamic supervisor has no
    /// rank.
    children: BTreeMap<Pid, Option<Rank>>,
    pass: Pass,
    /// Since when it is known to be gone.
    gone_since: Option<Instant>,
}

/// How far the steps that follow from one event have gone.
#[derive(Debug, Default)]
struct Pass {
    /// When the event came, if it is one that restarts count from and none
    /// has been counted yet.
    restarts_at: Option<Instant>,
    last_started: Option<Rank>,
    last_stopped: Option<Rank>,
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
        if let Deed::Supervises(strategy, intensity) = deed {
            self.0.insert(supervisor, Watched::new(strategy, intensity));
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
            watched.children.retain(|child, _| lives(*child));
            if lives(*supervisor) {
                return true;
            }
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
    fn new(strategy: Strategy, intensity: RestartIntensity) -> Self {
        Self {
            strategy,
            intensity,
            restarts: Vec::new(),
            gave_up: false,
            children: BTreeMap::new(),
            pass: Pass::default(),
            gone_since: None,
        }
    }

    fn note(&mut self, deed: Deed<'_>, lives: Lives<'_>) -> Result<(), String> {
        match deed {
            Deed::Supervises(..) => Ok(()),
            Deed::Follows(event) => {
                self.pass = Pass::after(event);
                Ok(())
            }
            Deed::Takes(Step::Start(rank)) => self.starts(*rank, lives),
            Deed::Takes(Step::Stop(rank)) => self.stops(*rank, lives),
            Deed::Takes(Step::GiveUp(_)) => {
                let now = self.pass.restarts_at.take();
                now.map_or(Ok(()), |now| self.gives_up(now))
            }
            Deed::Takes(Step::Abort(_)) => self.ends(lives),
            Deed::Takes(Step::Wait | Step::Retry(_) | Step::ShutDown) => Ok(()),
            Deed::Started(rank, pid) => self.started(rank, pid, lives),
            Deed::Adopted(pid) => {
                self.children.insert(pid, None);
                Ok(())
            }
            Deed::Replaces(pid, now) => self.replaces(pid, now, lives),
            Deed::GivesUp(now) => self.gives_up(now),
            Deed::Ends => self.ends(lives),
        }
    }

    /// I8: in the order of the ranks, with nobody alive that comes later,
    /// unless each child is on its own.
    fn starts(&mut self, rank: Rank, lives: Lives<'_>) -> Result<(), String> {
        if let Some(now) = self.pass.restarts_at.take() {
            self.restarts(now)?;
        }
        if self.pass.last_started.is_some_and(|last| last >= rank) {
            return Err(format!("I8: starts {rank:?} out of order"));
        }
        self.pass.last_started = Some(rank);
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
        self.children
            .retain(|child, _| *child == pid || lives(*child));
        let twin = self
            .children
            .iter()
            .find(|(child, other)| **child != pid && **other == Some(rank));
        if let Some((twin, _)) = twin {
            return Err(format!(
                "{pid} was started while {twin}, the same child, lives"
            ));
        }
        self.children.insert(pid, Some(rank));
        Ok(())
    }

    fn replaces(&mut self, pid: Pid, now: Instant, lives: Lives<'_>) -> Result<(), String> {
        if lives(pid) {
            return Err(format!("another is started for {pid}, which lives"));
        }
        self.children.remove(&pid);
        self.restarts(now)
    }

    /// I7: no more restarts in a period than allowed, and none after it gave up.
    fn restarts(&mut self, now: Instant) -> Result<(), String> {
        let RestartIntensity {
            max_restarts,
            period,
        } = self.intensity;
        if self.gave_up {
            return Err("I7: restarts a child after it gave up".to_owned());
        }
        if self.recent(now) >= max_restarts as usize {
            return Err(format!(
                "I7: restarts more than {max_restarts} times in {period:?}"
            ));
        }
        self.restarts.push(now);
        Ok(())
    }

    /// I7: not before it may.
    fn gives_up(&mut self, now: Instant) -> Result<(), String> {
        self.gave_up = true;
        let (recent, allowed) = (self.recent(now), self.intensity.max_restarts);
        if recent < allowed as usize {
            return Err(format!("I7: gives up after {recent} restarts of {allowed}"));
        }
        Ok(())
    }

    fn recent(&mut self, now: Instant) -> usize {
        let period = self.intensity.period;
        self.restarts.retain(|restart| now - *restart <= period);
        self.restarts.len()
    }

    fn ends(&self, lives: Lives<'_>) -> Result<(), String> {
        match self.children.keys().find(|child| lives(**child)) {
            Some(child) => Err(format!("I8: ends before its child {child}")),
            None => Ok(()),
        }
    }
}

impl Pass {
    fn after(event: &Event) -> Self {
        Self {
            restarts_at: match event {
                Event::Exited { now, .. } | Event::Retry { now, .. } => Some(*now),
                Event::Begin
                | Event::End
                | Event::Started(..)
                | Event::Ignored(_)
                | Event::Failed(..)
                | Event::Stopped(_) => None,
            },
            ..Self::default()
        }
    }
}
