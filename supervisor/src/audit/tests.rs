use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use resurgam_runtime::{ExitReason, ManualClock, Pid};

use super::{Audit, Deed};
use crate::child_spec::Restart;
use crate::children::record::Moment;
use crate::children::{Children, Rank, Scope};
use crate::intensity::RestartIntensity;
use crate::needs::Pace;
use crate::policy::{Event, Step, Strategy};
use crate::testing::{pid, spec};

/// A supervisor with three children that the test tells tales of.
struct Tale {
    audit: Audit,
    ranks: Vec<Rank>,
    living: BTreeSet<Pid>,
    begun: Instant,
}

const SUPERVISOR: usize = 0;

impl Tale {
    /// Three restarts in ten seconds.
    fn of(strategy: Strategy) -> Self {
        let mut tale = Self::begun(strategy, Pace::InTurn);
        tale.lawful(Deed::Follows(&Event::Begin));
        tale
    }

    /// As `of`, of a concurrent one, where b and c need a.
    fn side_by_side(strategy: Strategy) -> Self {
        let mut tale = Self::begun(strategy, Pace::SideBySide);
        for (child, (id, needs)) in [("a", None), ("b", Some("a")), ("c", Some("a"))]
            .into_iter()
            .enumerate()
        {
            let spec = spec(id, Restart::Permanent).after(needs);
            tale.lawful(Deed::Adds(tale.ranks[child], &spec));
        }
        tale.lawful(Deed::Follows(&Event::Begin));
        tale
    }

    fn begun(strategy: Strategy, pace: Pace) -> Self {
        let mut children = Children::default();
        for id in ["a", "b", "c"] {
            children.append(spec(id, Restart::Permanent));
        }
        let ranks = std::iter::successors(children.first_in(Scope::ALL), |(rank, _)| {
            children.first_in(Scope::ALL.after(*rank))
        });
        let mut tale = Self {
            audit: Audit::default(),
            ranks: ranks.map(|(rank, _)| rank).collect(),
            living: BTreeSet::from([pid(SUPERVISOR)]),
            begun: ManualClock::new().now(),
        };
        let intensity = RestartIntensity::new(3, Duration::from_secs(10));
        tale.lawful(Deed::Supervises(strategy, intensity, pace));
        tale
    }

    /// What a concurrent one was starting is up.
    #[track_caller]
    fn is_up(&mut self, child: usize, as_pid: usize) {
        let (rank, pid) = (self.ranks[child], pid(as_pid));
        self.living.insert(pid);
        self.lawful(Deed::Started(rank, pid));
        self.lawful(Deed::Hears(&Event::Started(rank, pid)));
    }

    /// A concurrent one has started all.
    #[track_caller]
    fn starts_side_by_side(&mut self) {
        for children in [&[0][..], &[2, 1]] {
            for child in children {
                self.lawful(Deed::Takes(&Step::Start(self.ranks[*child])));
            }
            for child in children {
                self.is_up(*child, child + 1);
            }
        }
    }

    fn tell(&mut self, deed: Deed<'_>) -> Result<(), String> {
        let living = &self.living;
        self.audit
            .note(pid(SUPERVISOR), deed, &|pid| living.contains(&pid))
    }

    #[track_caller]
    fn lawful(&mut self, deed: Deed<'_>) {
        assert_eq!(self.tell(deed), Ok(()));
    }

    #[track_caller]
    fn unlawful(&mut self, deed: Deed<'_>, why: &str) {
        let what = self.tell(deed).expect_err("this is against the law");
        assert!(what.contains(why), "{what}");
    }

    #[track_caller]
    fn starts(&mut self, child: usize, as_pid: usize) {
        let rank = self.ranks[child];
        self.lawful(Deed::Takes(&Step::Start(rank)));
        self.living.insert(pid(as_pid));
        self.lawful(Deed::Started(rank, pid(as_pid)));
    }

    #[track_caller]
    fn starts_all(&mut self) {
        (0..3).for_each(|child| self.starts(child, child + 1));
    }

    fn at(&self, seconds: u64) -> Instant {
        self.begun + Duration::from_secs(seconds)
    }

    fn dies(&mut self, number: usize, seconds: u64) {
        self.living.remove(&pid(number));
        let exited = Event::Exited {
            pid: pid(number),
            reason: ExitReason::Killed,
            at: Moment {
                now: self.at(seconds),
                random: 0,
            },
        };
        self.lawful(Deed::Follows(&exited));
    }

    fn at_rest(&mut self, seconds: u64) -> Result<(), String> {
        let now = self.at(seconds);
        let living = &self.living;
        self.audit
            .look_for_orphans(now, &|pid| living.contains(&pid))
    }
}

#[test]
fn a_tree_that_starts_restarts_and_stops_in_order_is_lawful() {
    let mut tale = Tale::of(Strategy::OneForAll);
    tale.starts_all();
    tale.dies(2, 1);
    for child in [2, 0] {
        tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[child])));
        tale.living.remove(&pid(child + 1));
    }
    (0..3).for_each(|child| tale.starts(child, child + 11));
    tale.lawful(Deed::Follows(&Event::End));
    for child in [2, 1, 0] {
        tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[child])));
        tale.living.remove(&pid(child + 11));
    }
    tale.lawful(Deed::Ends);
    tale.living.clear();
    assert_eq!(tale.at_rest(10_000), Ok(()));
}

#[test]
fn children_that_start_out_of_order_are_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts(1, 2);
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[0])), "I8");
}

#[test]
fn children_that_stop_out_of_order_are_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.living.clear();
    tale.lawful(Deed::Follows(&Event::End));
    tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[1])));
    tale.unlawful(Deed::Takes(&Step::Stop(tale.ranks[2])), "out of order");
}

#[test]
fn a_child_that_is_stopped_before_a_later_one_is_dead_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.lawful(Deed::Follows(&Event::End));
    tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[2])));
    tale.unlawful(Deed::Takes(&Step::Stop(tale.ranks[1])), "after it lives");
}

#[test]
fn a_group_restart_beside_a_later_child_is_found() {
    let mut tale = Tale::of(Strategy::RestForOne);
    tale.starts_all();
    tale.dies(1, 1);
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[0])), "after it lives");
}

#[test]
fn a_second_incarnation_of_a_living_child_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.unlawful(Deed::Started(tale.ranks[1], pid(12)), "the same child");
    tale.lawful(Deed::Adopted(pid(3)));
    tale.unlawful(Deed::Replaces(pid(3), Some(tale.at(1))), "which lives");
}

#[test]
fn a_restart_too_many_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    let mut incarnation = 1;
    for second in [0, 5, 10] {
        tale.dies(incarnation, second);
        incarnation += 10;
        tale.starts(0, incarnation);
    }
    tale.dies(incarnation, 10);
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[0])), "I7");
    // The first is forgotten by now.
    tale.dies(incarnation, 11);
    tale.starts(0, incarnation + 10);
}

#[test]
fn a_dynamic_restart_too_many_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    for second in 0..3 {
        tale.lawful(Deed::Replaces(pid(1), Some(tale.at(second))));
    }
    tale.unlawful(Deed::Replaces(pid(1), Some(tale.at(10))), "I7");
}

#[test]
fn a_supervisor_that_gives_up_too_soon_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.dies(1, 0);
    tale.unlawful(Deed::Takes(&Step::GiveUp(tale.ranks[0])), "I7");
    tale.unlawful(Deed::GivesUp(Some(tale.at(0))), "I7");
}

#[test]
fn a_restart_after_giving_up_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    for second in 0..3 {
        tale.lawful(Deed::Replaces(pid(1), Some(tale.at(second))));
    }
    tale.lawful(Deed::GivesUp(Some(tale.at(3))));
    tale.unlawful(
        Deed::Replaces(pid(1), Some(tale.at(100))),
        "after it gave up",
    );
}

#[test]
fn a_supervisor_that_ends_before_its_child_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.unlawful(Deed::Ends, "ends before its child");
}

#[test]
fn an_orphan_is_found_when_it_had_time_to_follow() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    tale.living.remove(&pid(SUPERVISOR));
    assert_eq!(tale.at_rest(0), Ok(()));
    assert_eq!(tale.at_rest(600), Ok(()));
    let what = tale.at_rest(601).expect_err("three live on");
    assert!(what.contains("orphan"), "{what}");
    tale.living.clear();
    assert_eq!(tale.at_rest(602), Ok(()));
}

#[test]
fn a_restart_before_its_delay_is_over_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    tale.starts_all();
    let (rank, due) = (tale.ranks[0], tale.at(5));
    for now in [tale.at(4), due] {
        tale.dies(1, 1);
        tale.lawful(Deed::Takes(&Step::Delay(rank, due)));
        let deed = Event::Due { rank, now };
        match now < due {
            true => tale.unlawful(Deed::Follows(&deed), "before its delay"),
            false => tale.lawful(Deed::Follows(&deed)),
        }
    }
    tale.starts(0, 11);
}

#[test]
fn a_sibling_that_lives_while_its_group_is_kept_down_is_found() {
    let mut tale = Tale::of(Strategy::RestForOne);
    tale.starts_all();
    tale.dies(2, 1);
    let (rank, due) = (tale.ranks[1], tale.at(5));
    tale.unlawful(Deed::Takes(&Step::Delay(rank, due)), "goes along");
    tale.living.remove(&pid(3));
    tale.lawful(Deed::Takes(&Step::Delay(rank, due)));
}

#[test]
fn a_child_that_is_parked_too_soon_is_found() {
    let mut tale = Tale::of(Strategy::OneForOne);
    let rank = tale.ranks[0];
    let frugal = spec("a", Restart::Permanent).restart_intensity(1, Duration::from_secs(10));
    tale.lawful(Deed::Adds(rank, &frugal));
    tale.starts_all();
    tale.dies(1, 0);
    tale.unlawful(Deed::Takes(&Step::Park(rank)), "I7");
    tale.dies(1, 0);
    tale.starts(0, 11);
    tale.dies(11, 1);
    tale.unlawful(Deed::Takes(&Step::Start(rank)), "I7");
    tale.dies(11, 1);
    tale.lawful(Deed::Takes(&Step::Park(rank)));
    // That of all is another one.
    for (second, pid) in [(1, 2), (2, 12), (3, 22)] {
        tale.dies(pid, second);
        tale.starts(1, pid + 10);
    }
    tale.dies(32, 4);
    tale.lawful(Deed::Takes(&Step::GiveUp(tale.ranks[1])));
}

#[test]
fn a_concurrent_tree_that_keeps_its_order_is_lawful() {
    let mut tale = Tale::side_by_side(Strategy::RestForOne);
    tale.starts_side_by_side();
    tale.dies(1, 1);
    let [a, b, c] = [0, 1, 2].map(|child| tale.ranks[child]);
    for rank in [b, c] {
        tale.lawful(Deed::Takes(&Step::Stop(rank)));
    }
    for (rank, number) in [(c, 3), (b, 2)] {
        tale.living.remove(&pid(number));
        tale.lawful(Deed::Hears(&Event::Stopped(rank)));
    }
    tale.lawful(Deed::Takes(&Step::Start(a)));
    // One that says `ignore` counts as up.
    tale.lawful(Deed::Hears(&Event::Ignored(a)));
    for (child, rank) in [(1, b), (2, c)] {
        tale.lawful(Deed::Takes(&Step::Start(rank)));
        tale.is_up(child, child + 11);
    }
}

#[test]
fn a_concurrent_start_before_what_it_needs_is_found() {
    let mut tale = Tale::side_by_side(Strategy::OneForOne);
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[1])), "which it needs");

    let mut tale = Tale::side_by_side(Strategy::OneForOne);
    tale.lawful(Deed::Takes(&Step::Start(tale.ranks[0])));
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[2])), "which it needs");

    let mut tale = Tale::side_by_side(Strategy::OneForAll);
    tale.starts_side_by_side();
    tale.dies(1, 1);
    tale.unlawful(Deed::Takes(&Step::Start(tale.ranks[2])), "which it needs");
}

#[test]
fn a_concurrent_stop_before_one_that_needs_it_is_dead_is_found() {
    let mut tale = Tale::side_by_side(Strategy::OneForOne);
    tale.starts_side_by_side();
    tale.lawful(Deed::Follows(&Event::End));
    tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[1])));
    tale.living.remove(&pid(2));
    tale.lawful(Deed::Hears(&Event::Stopped(tale.ranks[1])));
    tale.lawful(Deed::Takes(&Step::Stop(tale.ranks[2])));
    tale.unlawful(Deed::Takes(&Step::Stop(tale.ranks[0])), "which needs it");
}

#[test]
fn one_that_lives_while_a_concurrent_group_is_kept_down_is_found() {
    let mut tale = Tale::side_by_side(Strategy::RestForOne);
    tale.starts_side_by_side();
    tale.dies(2, 1);
    let due = tale.at(5);
    tale.lawful(Deed::Takes(&Step::Delay(tale.ranks[1], due)));
    tale.dies(1, 1);
    tale.unlawful(Deed::Takes(&Step::Delay(tale.ranks[0], due)), "goes along");
}
