//! Random programs for a concurrent supervisor, against the laws written down
//! naively.
//!
//! A [`World`] is the policy with the shell and the processes it thinks it has.
//! Whatever is under way turns out in any order and in any way. At every step
//! the world sees to it that the step may be taken, and that no other could
//! have been.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use resurgam_runtime::{ExitReason, Pid};

use super::super::{AutoShutdown, Event};
use super::*;
use crate::backoff::Backoff;
use crate::care::WhenSpent;
use crate::child_spec::{ChildSpec, Restart};
use crate::children::{Children, Ticket};
use crate::intensity::RestartIntensity;
use crate::needs::Pace;
use crate::testing::{pid, spec};

const SECOND: Duration = Duration::from_secs(1);
const STRATEGIES: [Strategy; 3] = [
    Strategy::OneForOne,
    Strategy::OneForAll,
    Strategy::RestForOne,
];

/// Numbers as chance would have them.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Once in so many.
    fn once_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What was begun and has not turned out yet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Work {
    Start(usize),
    Stop(usize),
}

/// How a child stands in the pass that is being carried out.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Stand {
    /// It is to be stopped, if it runs.
    ToStop,
    /// It is dead, and perhaps to be started.
    Down,
    /// It was started, or said `ignore`.
    Up,
    Failed,
}

struct World {
    policy: Policy,
    strategy: Strategy,
    /// Which children each needs, by their numbers, which are their names.
    needs: Vec<Vec<usize>>,
    /// Who lives.
    alive: BTreeMap<usize, Pid>,
    /// Who died unnoticed.
    mail: VecDeque<Pid>,
    tickets: VecDeque<Ticket>,
    under_way: Vec<Work>,
    pass: BTreeMap<usize, Stand>,
    cause: Option<usize>,
    is_first: bool,
    is_over: bool,
    now: Instant,
    pids: usize,
    story: Vec<String>,
}

/// How rough life is.
#[derive(Copy, Clone, Debug)]
struct Life {
    /// A start fails or is ignored once in so many.
    bad_luck: usize,
}

impl World {
    #[allow(clippy::disallowed_methods)]
    fn new(strategy: Strategy, chance: &mut Chance) -> Self {
        let count = 1 + chance.below(6);
        // Whoever stands earlier in this order is needed by those that stand
        // later, so that there are no circles; the ranks are another order.
        let mut order: Vec<_> = (0..count).collect();
        for place in 0..count {
            order.swap(place, place + chance.below(count - place));
        }
        let density = 1 + chance.below(4);
        let mut needs = vec![Vec::new(); count];
        for (place, child) in order.iter().enumerate() {
            let earlier = order[..place].iter().copied();
            needs[*child] = earlier.filter(|_| chance.once_in(density)).collect();
        }
        let mut children = Children::default();
        for child in 0..count {
            let is_needed = needs.iter().any(|needs| needs.contains(&child));
            children.append(random_spec(child, &needs[child], is_needed, chance));
        }
        let intensity = RestartIntensity::new(chance.pick(&[0, 2, 1000]), 5 * SECOND);
        let policy = Policy::new(strategy, intensity, children)
            .with_auto_shutdown(AutoShutdown::Never)
            .with_pace(Pace::SideBySide);
        Self {
            policy,
            strategy,
            needs,
            alive: BTreeMap::new(),
            mail: VecDeque::new(),
            tickets: VecDeque::new(),
            under_way: Vec::new(),
            pass: BTreeMap::new(),
            cause: None,
            is_first: true,
            is_over: false,
            now: Instant::now(),
            pids: 0,
            story: Vec::new(),
        }
    }

    fn rank(&self, child: usize) -> Option<Rank> {
        let id = name(child).as_str().into();
        Some(self.policy.children().find(&id)?.0)
    }

    fn number(&self, rank: Rank) -> usize {
        let child = self.policy.children().get(rank).expect("it exists");
        child.spec.id().as_str().parse().expect("a number")
    }

    fn state(&self, child: usize) -> Option<ChildState> {
        Some(self.policy.children().get(self.rank(child)?)?.state)
    }

    fn exists(&self, child: usize) -> bool {
        self.rank(child).is_some()
    }

    fn all(&self) -> Vec<usize> {
        (0..self.needs.len())
            .filter(|child| self.exists(*child))
            .collect()
    }

    /// Whether the first needs the second, by way of others that exist or not.
    fn depends(&self, child: usize, on: usize) -> bool {
        let direct = self.needs[child].iter().filter(|need| self.exists(**need));
        direct
            .into_iter()
            .any(|need| *need == on || self.depends(*need, on))
    }

    fn group(&self, cause: usize) -> Vec<usize> {
        let goes_along = |child: &usize| match self.strategy {
            Strategy::OneForOne => *child == cause,
            Strategy::OneForAll => true,
            Strategy::RestForOne => *child == cause || self.depends(*child, cause),
        };
        self.all().into_iter().filter(goes_along).collect()
    }

    fn is_to_come_back(&self, child: usize) -> bool {
        matches!(
            self.state(child),
            Some(ChildState::Restarting(_) | ChildState::Waiting(_) | ChildState::Parked(_))
        )
    }

    /// The group of this child is stopped, and perhaps started.
    fn set_out(&mut self, cause: usize) {
        self.cause = Some(cause);
        self.pass = self
            .group(cause)
            .into_iter()
            .map(|child| (child, Stand::ToStop))
            .collect();
    }

    fn set_out_with_all(&mut self, stand: Stand) {
        self.cause = None;
        self.pass = self.all().into_iter().map(|child| (child, stand)).collect();
    }

    /// Tells the policy, and does what it says until it has nothing to say.
    fn tell(&mut self, event: Event, life: Life, chance: &mut Chance) {
        self.story.push(format!("{event:?}"));
        let mut step = self.policy.next(event);
        loop {
            self.story.push(format!("    {step:?}"));
            let event = match step {
                Step::Start(rank) => self.begin_start(self.number(rank)),
                Step::Stop(rank) => self.begin_stop(self.number(rank)),
                Step::Await => self.turn_out(life, chance),
                Step::Retry(ticket) => {
                    self.tickets.push_back(ticket);
                    Event::GoOn
                }
                Step::Delay(rank, _) | Step::Park(rank) => {
                    self.check_down(self.number(rank));
                    Event::GoOn
                }
                Step::GiveUp(_) => return self.end(life, chance),
                Step::Abort(_) => {
                    assert!(self.is_first, "an abort later on");
                    self.is_over = true;
                    break;
                }
                Step::Wait => break,
                Step::ShutDown => panic!("nobody is significant"),
            };
            step = self.policy.next(event);
        }
        assert_eq!(self.under_way, [], "forgotten");
        self.is_first = false;
    }

    fn end(&mut self, life: Life, chance: &mut Chance) {
        self.set_out_with_all(Stand::ToStop);
        self.is_over = true;
        self.is_first = false;
        self.tell(Event::End, life, chance);
    }

    fn begin_start(&mut self, child: usize) -> Event {
        assert!(!self.alive.contains_key(&child), "{child} lives already");
        for other in 0..self.needs.len() {
            if self.pass.get(&other) == Some(&Stand::ToStop) {
                assert!(
                    !self.alive.contains_key(&other),
                    "{other} is still to be stopped"
                );
                self.pass.insert(other, Stand::Down);
            }
        }
        assert_eq!(
            self.pass.get(&child),
            Some(&Stand::Down),
            "{child} is started"
        );
        assert!(self.may_start(child), "{child} lacks what it needs");
        assert!(!self.halts(), "{child} is started in vain");
        self.pass.remove(&child);
        self.under_way.push(Work::Start(child));
        Event::GoOn
    }

    /// Whether this one, or one that it needs and that is down like it, is to
    /// come back.
    fn lacks(&self, child: usize) -> bool {
        let is_down = self.state(child) == Some(ChildState::Stopped) && self.cause != Some(child);
        let needs = &self.needs[child];
        self.is_to_come_back(child) || is_down && needs.iter().any(|need| self.lacks(*need))
    }

    /// Whether this one could be started.
    fn may_start(&self, child: usize) -> bool {
        let is_cause = self.cause == Some(child);
        self.needs[child]
            .iter()
            .all(|need| match self.pass.get(need) {
                _ if !self.exists(*need) => true,
                Some(stand) => *stand == Stand::Up,
                None if self.under_way.contains(&Work::Start(*need)) => false,
                None => is_cause || !self.lacks(*need),
            })
    }

    fn begin_stop(&mut self, child: usize) -> Event {
        // A first start that failed is followed by the stop of all.
        if self.is_first && self.pass.get(&child) != Some(&Stand::ToStop) {
            assert!(self.pass.values().any(|stand| *stand == Stand::Failed));
            self.set_out_with_all(Stand::ToStop);
        }
        // So is a failed restart of all, if it is put off.
        if self.pass.get(&child) == Some(&Stand::Up) {
            assert_eq!(self.strategy, Strategy::OneForAll);
            assert!(self.pass.values().any(|stand| *stand == Stand::Failed));
            self.set_out_with_all(Stand::ToStop);
        }
        assert_eq!(
            self.pass.get(&child),
            Some(&Stand::ToStop),
            "{child} is stopped"
        );
        assert!(matches!(self.state(child), Some(ChildState::Running(_))));
        assert!(
            self.may_stop(child),
            "{child} is stopped before one that needs it"
        );
        self.pass.remove(&child);
        self.under_way.push(Work::Stop(child));
        Event::GoOn
    }

    /// Whether nobody runs any more that needs it.
    fn may_stop(&self, child: usize) -> bool {
        let needers = (0..self.needs.len()).filter(|other| self.exists(*other));
        let needers = needers.filter(|other| self.depends(*other, child));
        // In a stop of a group that knows nothing of others, nobody does.
        needers
            .into_iter()
            .all(|other| match self.pass.get(&other) {
                Some(Stand::ToStop) => !matches!(self.state(other), Some(ChildState::Running(_))),
                _ => !self.under_way.contains(&Work::Stop(other)),
            })
    }

    /// Whether one failed, so that nobody else is begun.
    fn halts(&self) -> bool {
        let failed = self.pass.values().any(|stand| *stand == Stand::Failed);
        failed && (self.is_first || self.strategy == Strategy::OneForAll)
    }

    /// Nothing else could be begun.
    fn check_eager(&self) {
        let is_starting = !self
            .under_way
            .iter()
            .any(|work| matches!(work, Work::Stop(_)));
        let halts = self.halts();
        for (child, stand) in &self.pass {
            match stand {
                // A temporary one is forgotten.
                Stand::Down if is_starting && !halts && self.exists(*child) => {
                    assert!(!self.may_start(*child), "{child} could be started");
                }
                Stand::ToStop if matches!(self.state(*child), Some(ChildState::Running(_))) => {
                    assert!(!self.may_stop(*child), "{child} could be stopped");
                }
                _ => {}
            }
        }
    }

    /// One of those under way turns out.
    fn turn_out(&mut self, life: Life, chance: &mut Chance) -> Event {
        self.check_eager();
        assert!(!self.under_way.is_empty(), "nothing is under way");
        let work = self
            .under_way
            .swap_remove(chance.below(self.under_way.len()));
        self.story.push(format!("        {work:?}"));
        match work {
            Work::Stop(child) => {
                let dead = self.alive.remove(&child);
                let rank = self.rank(child).expect("it exists");
                // Its exit is taken out of the mail.
                let known = self
                    .policy
                    .children()
                    .get(rank)
                    .and_then(|child| child.pid());
                self.mail
                    .retain(|pid| Some(*pid) != known && Some(*pid) != dead);
                self.pass.insert(child, Stand::Down);
                Event::Stopped(rank)
            }
            Work::Start(child) => self.start_turns_out(child, life, chance),
        }
    }

    fn start_turns_out(&mut self, child: usize, life: Life, chance: &mut Chance) -> Event {
        let rank = self.rank(child).expect("it exists");
        if life.bad_luck == 0 || !chance.once_in(life.bad_luck) {
            let pid = self.fresh_pid();
            self.alive.insert(child, pid);
            self.pass.insert(child, Stand::Up);
            return Event::Started(rank, pid);
        }
        self.story.push("        bad luck".to_owned());
        self.pass.insert(child, Stand::Failed);
        let now = self.now;
        Event::Failed(rank, StartError::TimedOut, Moment { now, random: 0 })
    }

    fn fresh_pid(&mut self) -> Pid {
        self.pids = (self.pids + 1) % 60;
        let fresh = pid(self.pids);
        let is_used = self.alive.values().any(|used| *used == fresh) || self.mail.contains(&fresh);
        if is_used { self.fresh_pid() } else { fresh }
    }

    /// Nobody runs that goes along with this child.
    fn check_down(&self, cause: usize) {
        for child in self.group(cause) {
            assert!(
                !self.alive.contains_key(&child),
                "{child} runs without {cause}"
            );
        }
    }

    /// Something happens while the supervisor waits for messages.
    fn happen(&mut self, life: Life, chance: &mut Chance) {
        match chance.below(8) {
            0..3 => self.somebody_dies(chance),
            3 => self.now += SECOND * chance.below(3) as u32,
            4 if chance.once_in(3) => self.terminate(chance),
            5 if chance.once_in(2) => self.restart(life, chance),
            _ => {
                self.serve(life, chance);
            }
        }
    }

    fn somebody_dies(&mut self, chance: &mut Chance) {
        let living: Vec<_> = self.alive.keys().copied().collect();
        if !living.is_empty() {
            let victim = chance.pick(&living);
            self.story.push(format!("{victim} dies"));
            let pid = self.alive.remove(&victim).expect("it lives");
            self.mail.push_back(pid);
        }
    }

    /// As the shell does it for `terminate_child`.
    fn terminate(&mut self, chance: &mut Chance) {
        let child = chance.below(self.needs.len());
        let Some(rank) = self.rank(child) else { return };
        self.story.push(format!("{child} is terminated"));
        let known = self
            .policy
            .children()
            .get(rank)
            .and_then(|child| child.pid());
        self.mail.retain(|pid| Some(*pid) != known);
        self.alive.remove(&child);
        self.policy.children_mut().stopped(rank);
    }

    /// As the shell does it for `restart_child`.
    fn restart(&mut self, life: Life, chance: &mut Chance) {
        let child = chance.below(self.needs.len());
        let Some(rank) = self.rank(child) else { return };
        match self.state(child) {
            Some(ChildState::Waiting(_) | ChildState::Parked(_)) => {
                self.set_out(child);
                self.tell(Event::Restart(rank), life, chance);
            }
            Some(ChildState::Stopped) => {
                self.story.push(format!("{child} is started"));
                let pid = self.fresh_pid();
                self.alive.insert(child, pid);
                self.policy.children_mut().renew(rank);
                self.policy.children_mut().started(rank, pid);
            }
            Some(ChildState::Running(_) | ChildState::Restarting(_)) | None => {}
        }
    }

    /// The next message is served; whether there was one.
    fn serve(&mut self, life: Life, chance: &mut Chance) -> bool {
        if let Some(pid) = self.mail.pop_front() {
            let found = self.policy.children().find_pid(pid).map(|(rank, _)| rank);
            let Some(rank) = found else { return true };
            let child = self.number(rank);
            self.set_out(child);
            let at = Moment {
                now: self.now,
                random: 0,
            };
            let reason = ExitReason::Killed;
            self.tell(Event::Exited { pid, reason, at }, life, chance);
            return true;
        }
        let now = self.now;
        if let Some(ticket) = self.tickets.pop_front() {
            if let Some(rank) = self.policy.children().find_ticket(ticket) {
                self.set_out(self.number(rank));
            }
            self.tell(Event::Retry { ticket, now }, life, chance);
            return true;
        }
        match self.policy.children().next_due() {
            Some((due, rank)) if due <= now => {
                self.set_out(self.number(rank));
                self.tell(Event::Due { rank, now }, life, chance);
                true
            }
            _ => false,
        }
    }

    /// The policy knows of every process.
    fn check_books(&self) {
        for child in self.all() {
            if let Some(alive) = self.alive.get(&child) {
                assert_eq!(
                    self.state(child),
                    Some(ChildState::Running(*alive)),
                    "{child}"
                );
            }
        }
        if self.is_over {
            assert!(self.alive.is_empty(), "orphans");
        }
    }

    /// Nothing else goes wrong, and time passes: everybody is up again who is
    /// not down for good.
    fn calm_down(&mut self, chance: &mut Chance) {
        let life = Life { bad_luck: 0 };
        for _ in 0..1000 {
            if self.is_over {
                return;
            }
            if !self.serve(life, chance) {
                match self.policy.children().next_due() {
                    Some((due, _)) => self.now = self.now.max(due),
                    None => return,
                }
            }
        }
        panic!("it never comes to rest");
    }

    /// Who is down has been terminated or parked, or needs such a one.
    fn check_whole(&self, terminated: &BTreeSet<usize>) {
        for child in self.all() {
            let runs = self.alive.contains_key(&child);
            let is_down_for_good = |other: usize| {
                terminated.contains(&other)
                    || matches!(self.state(other), Some(ChildState::Parked(_)))
            };
            let goes_with =
                |other: &usize| is_down_for_good(*other) && self.group(*other).contains(&child);
            let excused = (0..self.needs.len()).any(|other| goes_with(&other));
            assert!(runs || excused, "{child} is down and nobody looks after it");
        }
    }
}

fn name(child: usize) -> String {
    child.to_string()
}

fn random_spec(child: usize, needs: &[usize], is_needed: bool, chance: &mut Chance) -> ChildSpec {
    let restart = match chance.below(6) {
        0 if !is_needed => Restart::Temporary,
        1 => Restart::Transient,
        _ => Restart::Permanent,
    };
    let mut child = spec(&name(child), restart).after(needs.iter().map(|need| name(*need)));
    if restart == Restart::Temporary {
        return child;
    }
    if chance.once_in(3) {
        let seconds = 1 + chance.below(3) as u32;
        child = child.backoff(Backoff::constant(SECOND * seconds));
    }
    if chance.once_in(4) {
        child = child
            // With none at all it would be parked for ever, again and again.
            .restart_intensity(1 + chance.below(2) as u32, 3 * SECOND)
            .when_spent(chance.pick(&[WhenSpent::Park, WhenSpent::ParkFor(SECOND)]));
    }
    child
}

fn run_program(seed: u64) -> usize {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..8 {
        chance.below(2);
    }
    let strategy = chance.pick(&STRATEGIES);
    let life = Life {
        bad_luck: chance.pick(&[0, 2, 5, 20]),
    };
    let mut world = World::new(strategy, &mut chance);
    let specs = format!(
        "{strategy:?} {:?}",
        world
            .policy
            .children()
            .iter()
            .map(|c| &c.spec)
            .collect::<Vec<_>>()
    );
    world.story.push(specs);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let first = if chance.once_in(4) {
            life
        } else {
            Life { bad_luck: 0 }
        };
        world.set_out_with_all(Stand::Down);
        world.tell(Event::Begin, first, &mut chance);
        world.check_books();
        for _ in 0..chance.below(40) {
            if world.is_over {
                break;
            }
            world.happen(life, &mut chance);
            world.check_books();
        }
        if !world.is_over && chance.once_in(2) {
            world.calm_down(&mut chance);
            let said = world.story.iter();
            let terminated = said.filter_map(|line| line.strip_suffix(" is terminated"));
            let terminated = terminated.map(|child| child.parse().expect("a number"));
            if !world.is_over {
                world.check_whole(&terminated.collect());
            }
        }
        if !world.is_over {
            world.end(life, &mut chance);
        }
        world.check_books();
        world.story.len()
    }));
    outcome.unwrap_or_else(|_| panic!("seed {seed}:\n{}", world.story.join("\n")))
}

/// Laws XSUP-41 to XSUP-49, whatever happens.
#[test]
fn whatever_happens_side_by_side_keeps_the_laws() {
    let steps: usize = (0..20_000).map(run_program).sum();
    assert!(steps > 500_000, "only {steps} steps");
}
