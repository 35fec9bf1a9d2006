//! Tables for the policy: a world of three children or so, without processes.
//!
//! What the policy has done is written as a line of words: `-b` child b is
//! stopped, `+b` started, `!b` failed to start, `?b` said `ignore`; then
//! perhaps `retry`, `delay b 5` (seconds), `park b`, `giveup b`, `abort b` or
//! `shutdown`. The state of the children is a
//! line such as `a b. c~`: a runs, b is down, c waits for its restart; those
//! that are gone are missing.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::*;
use crate::backoff::Backoff;
use crate::child_spec::ChildSpec;
use crate::testing::{RESTARTS, pid, reasons, spec};

/// How the next start of a child turns out.
#[derive(Copy, Clone, Debug)]
enum Luck {
    Fails,
    Ignores,
}

/// A policy and the shell it thinks it has.
struct World {
    policy: Policy,
    luck: HashMap<String, VecDeque<Luck>>,
    tickets: VecDeque<Ticket>,
    words: Vec<String>,
    pids: usize,
    now: Instant,
}

impl World {
    /// `children` are written `a:p b:t c:x`, for a permanent, a transient and
    /// a temporary one; a significant one has a star behind.
    fn new(strategy: Strategy, max_restarts: u32, children: &str) -> Self {
        Self::of(
            strategy,
            max_restarts,
            children.split_whitespace().map(parse),
        )
    }

    #[allow(clippy::disallowed_methods)]
    fn of(
        strategy: Strategy,
        max_restarts: u32,
        children: impl IntoIterator<Item = ChildSpec>,
    ) -> Self {
        let mut table = Children::default();
        for child in children {
            table.append(child);
        }
        let intensity = RestartIntensity::new(max_restarts, Duration::from_secs(5));
        Self {
            policy: Policy::new(strategy, intensity, table),
            luck: HashMap::new(),
            tickets: VecDeque::new(),
            words: Vec::new(),
            pids: 0,
            now: Instant::now(),
        }
    }

    /// As `new`, with every child up.
    fn up(strategy: Strategy, max_restarts: u32, children: &str) -> Self {
        let mut world = Self::new(strategy, max_restarts, children);
        world.run(Event::Begin);
        world.words.clear();
        world
    }

    /// The next starts of this child turn out so; those after them well.
    fn luck(&mut self, id: &str, luck: &[Luck]) {
        self.luck.entry(id.to_owned()).or_default().extend(luck);
    }

    fn dies(&mut self, id: &str, reason: ExitReason) -> String {
        let pid = self.pid_of(id).expect("it runs");
        let at = self.at();
        self.run(Event::Exited { pid, reason, at })
    }

    fn crashes(&mut self, id: &str) -> String {
        self.dies(id, ExitReason::custom("crash"))
    }

    /// The oldest ticket comes round.
    fn retry(&mut self) -> String {
        let ticket = self.tickets.pop_front().expect("somebody waits");
        let now = self.now;
        self.run(Event::Retry { ticket, now })
    }

    /// Time passes until the next child is due.
    fn wait(&mut self) -> String {
        let (due, rank) = self.policy.children().next_due().expect("somebody waits");
        self.now = self.now.max(due);
        let now = self.now;
        self.run(Event::Due { rank, now })
    }

    fn at(&self) -> Moment {
        let now = self.now;
        Moment { now, random: 0 }
    }

    fn run(&mut self, event: Event) -> String {
        let mut step = self.policy.next(event);
        loop {
            let event = match step {
                Step::Wait | Step::Await => break,
                Step::Start(rank) => self.start(rank),
                Step::Stop(rank) => {
                    let id = self.id(rank);
                    self.words.push(format!("-{id}"));
                    Event::Stopped(rank)
                }
                Step::Retry(ticket) => {
                    self.tickets.push_back(ticket);
                    self.words.push("retry".to_owned());
                    break;
                }
                Step::Delay(rank, due) => {
                    let (id, delay) = (self.id(rank), due - self.now);
                    self.words.push(format!("delay {id} {}", delay.as_secs()));
                    break;
                }
                Step::Park(rank) => {
                    let id = self.id(rank);
                    self.words.push(format!("park {id}"));
                    break;
                }
                Step::GiveUp(rank) => {
                    let id = self.id(rank);
                    self.words.push(format!("giveup {id}"));
                    break;
                }
                Step::Abort(failure) => {
                    self.words.push(format!("abort {}", failure.id));
                    break;
                }
                Step::ShutDown => {
                    self.words.push("shutdown".to_owned());
                    break;
                }
            };
            step = self.policy.next(event);
        }
        std::mem::take(&mut self.words).join(" ")
    }

    fn start(&mut self, rank: Rank) -> Event {
        let id = self.id(rank);
        let luck = self.luck.get_mut(&id).and_then(VecDeque::pop_front);
        let (mark, event) = match luck {
            None => ('+', Event::Started(rank, self.fresh_pid())),
            Some(Luck::Ignores) => ('?', Event::Ignored(rank)),
            Some(Luck::Fails) => ('!', Event::Failed(rank, StartError::TimedOut, self.at())),
        };
        self.words.push(format!("{mark}{id}"));
        event
    }

    fn fresh_pid(&mut self) -> Pid {
        self.pids += 1;
        pid(self.pids)
    }

    fn id(&self, rank: Rank) -> String {
        self.policy
            .children()
            .get(rank)
            .expect("it exists")
            .spec
            .id()
            .to_string()
    }

    fn pid_of(&self, id: &str) -> Option<Pid> {
        match self.policy.children().find(&id.into())?.1.state {
            ChildState::Running(pid) => Some(pid),
            ChildState::Restarting(_)
            | ChildState::Waiting(_)
            | ChildState::Parked(_)
            | ChildState::Stopped => None,
        }
    }

    /// As `terminate_child` does it.
    fn terminate(&mut self, id: &str) {
        let (rank, _) = self.policy.children().find(&id.into()).expect("it exists");
        self.policy.children_mut().stopped(rank);
    }

    /// As `restart_child` does it.
    fn restart(&mut self, id: &str) {
        let (rank, _) = self.policy.children().find(&id.into()).expect("it exists");
        let pid = self.fresh_pid();
        self.policy.children_mut().started(rank, pid);
    }

    /// As `restart_child` does it with one that waits or is parked.
    fn restart_now(&mut self, id: &str) -> String {
        let (rank, _) = self.policy.children().find(&id.into()).expect("it exists");
        self.run(Event::Restart(rank))
    }

    fn states(&self) -> String {
        let state = |child: &crate::children::Child| match child.state {
            ChildState::Running(_) => child.spec.id().to_string(),
            ChildState::Restarting(_) => format!("{}~", child.spec.id()),
            ChildState::Waiting(_) => format!("{}@", child.spec.id()),
            ChildState::Parked(_) => format!("{}#", child.spec.id()),
            ChildState::Stopped => format!("{}.", child.spec.id()),
        };
        self.policy
            .children()
            .iter()
            .map(state)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn parse(child: &str) -> ChildSpec {
    let (id, restart) = child.split_once(':').expect("id:type");
    let restart_type = match restart.trim_end_matches('*') {
        "p" => Restart::Permanent,
        "t" => Restart::Transient,
        "x" => Restart::Temporary,
        other => panic!("no restart type {other}"),
    };
    let spec = spec(id, restart_type);
    if restart.ends_with('*') {
        spec.significant()
    } else {
        spec
    }
}

use ExitReason::{Killed, Normal, Shutdown};
use Luck::{Fails, Ignores};
use Strategy::{OneForAll, OneForOne, RestForOne};

const STRATEGIES: [Strategy; 3] = [OneForOne, OneForAll, RestForOne];

/// SUP-30, SUP-31, SUP-32, SUP-34
#[test]
fn restart_type_and_reason_decide_whether_a_child_is_restarted() {
    for reason in reasons() {
        let graceful = reason.is_graceful();
        assert_eq!(
            judge(Restart::Permanent, &reason),
            Verdict::Restart,
            "{reason}"
        );
        let transient = if graceful {
            Verdict::Keep
        } else {
            Verdict::Restart
        };
        assert_eq!(judge(Restart::Transient, &reason), transient, "{reason}");
        assert_eq!(
            judge(Restart::Temporary, &reason),
            Verdict::Forget,
            "{reason}"
        );
    }
    assert_eq!(judge(Restart::Transient, &Killed), Verdict::Restart);
}

/// LOG-04
#[test]
fn graceful_ends_are_silent_unless_the_child_is_permanent() {
    for reason in reasons() {
        assert!(is_reported(Restart::Permanent, &reason), "{reason}");
        assert_eq!(
            is_reported(Restart::Transient, &reason),
            reason.is_abnormal(),
            "{reason}"
        );
        assert_eq!(
            is_reported(Restart::Temporary, &reason),
            reason.is_abnormal(),
            "{reason}"
        );
    }
}

#[test]
fn failed_first_start_names_the_child_and_what_it_said() {
    let failure = FailedToStartChild {
        id: "db".into(),
        error: StartError::TimedOut,
    };
    let expected = format!("failed to start child \"db\": {}", StartError::TimedOut);
    assert_eq!(failure.to_string(), expected);
}

/// The children, what the first start does, and what it leaves.
#[track_caller]
fn check_begin(children: &str, luck: &[(&str, Luck)], done: &str, states: &str) {
    for strategy in STRATEGIES {
        let mut world = World::new(strategy, 3, children);
        for &(id, luck) in luck {
            world.luck(id, &[luck]);
        }
        assert_eq!(world.run(Event::Begin), done, "{strategy:?}");
        assert_eq!(world.states(), states, "{strategy:?}");
    }
}

/// SUP-10, SUP-12, SUP-13, SUP-14
#[test]
fn children_start_in_order_or_not_at_all() {
    check_begin("", &[], "", "");
    check_begin("a:p b:t c:x", &[], "+a +b +c", "a b c");
    check_begin("a:p b:p c:p", &[("a", Fails)], "!a abort a", "a. b. c.");
    check_begin(
        "a:p b:p c:p",
        &[("b", Fails)],
        "+a !b -a abort b",
        "a. b. c.",
    );
    check_begin(
        "a:p b:p c:p",
        &[("c", Fails)],
        "+a +b !c -b -a abort c",
        "a. b. c.",
    );
    check_begin("a:p b:p c:x", &[("b", Ignores)], "+a ?b +c", "a b. c");
    check_begin("a:p b:x c:p", &[("b", Ignores)], "+a ?b +c", "a c");
    check_begin(
        "a:p b:x c:p",
        &[("c", Fails)],
        "+a +b !c -b -a abort c",
        "a. c.",
    );
}

/// A strategy, the children, the death of one, what is done, what is left.
#[track_caller]
fn check_death(strategy: Strategy, children: &str, id: &str, done: &str, states: &str) {
    let mut world = World::up(strategy, 3, children);
    assert_eq!(world.crashes(id), done);
    assert_eq!(world.states(), states);
}

/// SUP-70, SUP-71, SUP-72
#[test]
fn strategy_says_who_is_restarted() {
    check_death(OneForOne, "a:p b:p c:p", "b", "+b", "a b c");
    check_death(OneForAll, "a:p b:p c:p", "b", "-c -a +a +b +c", "a b c");
    check_death(RestForOne, "a:p b:p c:p", "b", "-c +b +c", "a b c");
    check_death(RestForOne, "a:p b:p c:p", "c", "+c", "a b c");
    check_death(RestForOne, "a:p b:p c:p", "a", "-c -b +a +b +c", "a b c");
}

/// SUP-32, SUP-73
#[test]
fn temporary_children_leave_and_do_not_come_back() {
    check_death(OneForOne, "a:p b:x c:p", "b", "", "a c");
    check_death(OneForAll, "a:p b:x c:p", "b", "", "a c");
    check_death(OneForAll, "a:p b:x c:p", "a", "-c -b +a +c", "a c");
    check_death(RestForOne, "a:p b:x c:p", "a", "-c -b +a +c", "a c");
    check_death(RestForOne, "a:x b:p c:x", "b", "-c +b", "a b");
}

/// SUP-74; and the lost restart of other supervisors: a sibling that is down
/// is not waited for.
#[test]
fn group_restart_starts_every_spec_in_scope() {
    for (strategy, done) in [(OneForAll, "-c +a +b +c"), (RestForOne, "-c +a +b +c")] {
        let mut world = World::up(strategy, 3, "a:p b:t c:p");
        assert_eq!(world.dies("b", Normal), "");
        assert_eq!(world.states(), "a b. c");
        assert_eq!(world.crashes("a"), done);
        assert_eq!(world.states(), "a b c");
    }
    let mut world = World::up(OneForAll, 3, "a:p b:p c:p");
    world.terminate("b");
    assert_eq!(world.crashes("c"), "-a +a +b +c");
}

/// SUP-37
#[test]
fn restart_that_is_ignored_leaves_the_child_down() {
    let mut world = World::up(OneForOne, 3, "a:p b:p");
    world.luck("a", &[Ignores]);
    assert_eq!(world.crashes("a"), "?a");
    assert_eq!(world.states(), "a. b");
    assert!(world.tickets.is_empty());
}

/// SUP-54: three tries, then the end.
#[test]
fn failing_restart_counts_for_every_try() {
    let mut world = World::up(OneForOne, 3, "a:p b:p");
    world.luck("a", &[Fails; 9]);
    assert_eq!(world.crashes("a"), "!a retry");
    assert_eq!(world.states(), "a~ b");
    assert_eq!(world.retry(), "!a retry");
    assert_eq!(world.retry(), "!a retry");
    assert_eq!(world.retry(), "giveup a");
    assert_eq!(world.run(Event::End), "-b");
}

/// SUP-53
#[test]
fn without_a_budget_the_first_death_is_the_last_straw() {
    for strategy in STRATEGIES {
        let mut world = World::up(strategy, 0, "a:p b:p c:p");
        assert_eq!(world.crashes("b"), "giveup b");
        assert_eq!(world.states(), "a b. c");
        assert_eq!(world.run(Event::End), "-c -a");
    }
}

/// SUP-33
#[test]
fn deaths_that_need_no_restart_cost_nothing_and_touch_nobody() {
    for strategy in STRATEGIES {
        let mut world = World::up(strategy, 0, "a:t b:x c:p");
        assert_eq!(world.dies("a", Normal), "");
        assert_eq!(world.dies("b", Killed), "");
        assert_eq!(world.states(), "a. c");
        assert_eq!(world.dies("c", Shutdown), "giveup c");
    }
}

/// SUP-56
#[test]
fn group_restart_is_one_attempt() {
    for strategy in [OneForAll, RestForOne] {
        let mut world = World::up(strategy, 2, "a:p b:p c:p");
        assert_ne!(world.crashes("a"), "giveup a");
        assert_ne!(world.crashes("a"), "giveup a");
        assert_eq!(world.crashes("a"), "giveup a");
    }
}

/// SUP-58
#[test]
fn budget_is_shared_by_all_children() {
    let mut world = World::up(OneForOne, 2, "a:p b:p c:p");
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.crashes("c"), "giveup c");
}

/// SUP-59
#[test]
fn stable_spell_gives_the_budget_back() {
    let mut world = World::up(OneForOne, 1, "a:p");
    for _ in 0..10 {
        assert_eq!(world.crashes("a"), "+a");
        world.now += Duration::from_millis(5_001);
    }
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.crashes("a"), "giveup a");
}

/// SUP-63: stamps age out while children take their time.
#[test]
fn slow_restarts_never_reach_the_limit() {
    let mut world = World::up(OneForAll, 1, "a:p b:p");
    for _ in 0..20 {
        assert_eq!(world.crashes("a"), "-b +a +b");
        world.now += Duration::from_secs(6);
    }
}

/// SUP-75
#[test]
fn one_for_all_starts_all_over_when_one_fails() {
    let mut world = World::up(OneForAll, 3, "a:p b:p c:p");
    world.luck("b", &[Fails]);
    assert_eq!(world.crashes("c"), "-b -a +a !b retry");
    assert_eq!(world.states(), "a b~ c.");
    assert_eq!(world.retry(), "-a +a +b +c");
    assert_eq!(world.states(), "a b c");
}

/// SUP-76, SUP-77
#[test]
fn rest_for_one_goes_on_from_the_child_that_failed() {
    let mut world = World::up(RestForOne, 3, "a:p b:p c:p d:p");
    world.luck("c", &[Fails, Fails]);
    assert_eq!(world.crashes("b"), "-d -c +b !c retry");
    assert_eq!(world.states(), "a b c~ d.");
    assert_eq!(world.retry(), "!c retry");
    assert_eq!(world.retry(), "+c +d");
    assert_eq!(world.states(), "a b c d");
}

/// SUP-78, SUP-106
#[test]
fn stopping_a_child_calls_its_restart_off() {
    let mut world = World::up(RestForOne, 3, "a:p b:p c:p");
    world.luck("b", &[Fails]);
    assert_eq!(world.crashes("b"), "-c !b retry");
    world.terminate("b");
    assert_eq!(world.states(), "a b. c.");
    assert_eq!(world.retry(), "");
    assert_eq!(world.states(), "a b. c.");
    world.restart("b");
    assert_eq!(world.states(), "a b c.");
}

/// A ticket that was called off stays so, although its child came to wait
/// again.
#[test]
fn each_wait_has_a_ticket_of_its_own() {
    let mut world = World::up(OneForOne, 9, "a:p");
    world.luck("a", &[Fails]);
    assert_eq!(world.crashes("a"), "!a retry");
    world.terminate("a");
    world.restart("a");
    world.luck("a", &[Fails]);
    assert_eq!(world.crashes("a"), "!a retry");
    assert_eq!(world.retry(), "");
    assert_eq!(world.states(), "a~");
    assert_eq!(world.retry(), "+a");
}

/// SUP-79
#[test]
fn death_during_retries_is_an_event_of_its_own() {
    let mut world = World::up(OneForOne, 3, "a:p b:p");
    world.luck("a", &[Fails]);
    assert_eq!(world.crashes("a"), "!a retry");
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.retry(), "+a");
    assert_eq!(world.crashes("b"), "giveup b");
}

/// SUP-79, under a group strategy: the group restart takes the waiting child
/// along, and its ticket is void.
#[test]
fn group_restart_takes_a_waiting_child_along() {
    let mut world = World::up(OneForAll, 3, "a:p b:p");
    world.luck("b", &[Fails]);
    assert_eq!(world.crashes("b"), "-a +a !b retry");
    assert_eq!(world.crashes("a"), "+a +b");
    assert_eq!(world.retry(), "");
    assert_eq!(world.states(), "a b");
}

/// SUP-35
#[test]
fn exit_of_a_stranger_is_ignored() {
    let mut world = World::up(OneForAll, 0, "a:p b:p");
    let event = Event::Exited {
        pid: pid(60),
        reason: Killed,
        at: world.at(),
    };
    assert_eq!(world.run(event), "");
    assert_eq!(world.states(), "a b");
}

/// SUP-35: the exit of an incarnation that has been replaced is a stranger's.
#[test]
fn late_exit_of_an_old_incarnation_is_ignored() {
    let mut world = World::up(OneForOne, 3, "a:p");
    let old = world.pid_of("a").expect("it runs");
    assert_eq!(world.crashes("a"), "+a");
    let at = world.at();
    let event = Event::Exited {
        pid: old,
        reason: Killed,
        at,
    };
    assert_eq!(world.run(event), "");
    assert_eq!(world.states(), "a");
}

/// SUP-80
#[test]
fn children_are_stopped_in_reverse_order_at_the_end() {
    let mut world = World::up(OneForOne, 3, "a:p b:x c:t d:p");
    assert_eq!(world.dies("c", Normal), "");
    assert_eq!(world.run(Event::End), "-d -b -a");
    assert_eq!(world.states(), "a. c. d.");
}

/// One case of the small scope: three children, each of any restart type, the
/// first two perhaps down, one of them dying.
struct Case {
    strategy: Strategy,
    types: [Restart; 3],
    down: [bool; 3],
    dying: usize,
    reason: ExitReason,
}

/// SUP-30 to SUP-34 and SUP-70 to SUP-74, for every strategy, restart type,
/// reason, dying child, and siblings up or down.
#[test]
fn every_death_in_a_small_family_is_handled_by_the_laws() {
    let mut cases = 0;
    for strategy in STRATEGIES {
        for types in all_types() {
            for down in 0..8_usize {
                let down = [0, 1, 2].map(|child| down >> child & 1 == 1);
                for dying in (0..3).filter(|&child| !down[child]) {
                    for reason in reasons() {
                        check_case(&Case {
                            strategy,
                            types,
                            down,
                            dying,
                            reason,
                        });
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 3 * 27 * 12 * 9);
}

fn all_types() -> impl Iterator<Item = [Restart; 3]> {
    let digit = |number: usize, place: u32| RESTARTS[number / 3_usize.pow(place) % 3];
    (0..27).map(move |number| [0, 1, 2].map(|place| digit(number, place)))
}

const IDS: [&str; 3] = ["a", "b", "c"];

fn check_case(case: &Case) {
    let mut table = Children::default();
    for (id, restart) in IDS.iter().zip(case.types) {
        table.append(spec(id, restart));
    }
    let mut world = World::up(case.strategy, 3, "");
    world.policy.children = table;
    assert_eq!(world.run(Event::Begin), "+a +b +c");
    for child in (0..3).filter(|&child| case.down[child]) {
        world.terminate(IDS[child]);
    }
    let done = world.dies(IDS[case.dying], case.reason.clone());
    let context = format!(
        "{:?} {:?} down {:?}, {} dies: {}",
        case.strategy, case.types, case.down, IDS[case.dying], case.reason
    );
    assert_eq!((done, world.states()), expected(case), "{context}");
}

/// The laws, written down without a machine.
fn expected(case: &Case) -> (String, String) {
    let keeps_spec = |child: usize| case.types[child] != Restart::Temporary;
    let restarts = match case.types[case.dying] {
        Restart::Permanent => true,
        Restart::Transient => case.reason.is_abnormal(),
        Restart::Temporary => false,
    };
    let in_scope = |child: usize| {
        restarts
            && match case.strategy {
                OneForOne => child == case.dying,
                OneForAll => true,
                RestForOne => child >= case.dying,
            }
    };
    let is_up = |child: usize| !case.down[child] && child != case.dying;
    let stops = (0..3)
        .rev()
        .filter(|&child| in_scope(child) && is_up(child));
    let starts = (0..3).filter(|&child| in_scope(child) && keeps_spec(child));
    let done = stops
        .map(|child| format!("-{}", IDS[child]))
        .chain(starts.map(|child| format!("+{}", IDS[child])));
    let states =
        (0..3).filter_map(
            |child| match (in_scope(child), keeps_spec(child), is_up(child)) {
                (true, true, _) | (false, _, true) => Some(IDS[child].to_owned()),
                (true, false, _) | (false, false, false) => None,
                (false, true, false) => Some(format!("{}.", IDS[child])),
            },
        );
    (
        done.collect::<Vec<_>>().join(" "),
        states.collect::<Vec<_>>().join(" "),
    )
}

/// Whatever fails to start, and however often within the budget, all are up
/// in the end, and no child is ever started twice without being stopped or
/// having failed in between.
#[test]
fn every_pattern_of_failing_starts_ends_with_all_children_up() {
    for strategy in STRATEGIES {
        for fails in 0..64_usize {
            for dying in IDS {
                let mut world = World::up(strategy, 9, "a:p b:p c:p");
                for (child, id) in IDS.iter().enumerate() {
                    world.luck(id, &vec![Fails; fails >> (2 * child) & 3]);
                }
                let mut done = world.crashes(dying);
                while !world.tickets.is_empty() && !done.contains("giveup") {
                    done = format!("{done} {}", world.retry());
                }
                check_history(dying, &done);
                if !done.contains("giveup") {
                    assert_eq!(world.states(), "a b c", "{strategy:?} {dying}: {done}");
                }
            }
        }
    }
}

#[track_caller]
fn check_history(dying: &str, done: &str) {
    let mut up: Vec<&str> = IDS.into_iter().filter(|id| *id != dying).collect();
    for word in done.split_whitespace() {
        match word.split_at(1) {
            ("+", id) => {
                assert!(!up.contains(&id), "two incarnations of {id}: {done}");
                up.push(id);
            }
            ("-", id) => {
                assert!(up.contains(&id), "{id} stopped while down: {done}");
                up.retain(|other| *other != id);
            }
            ("!", id) => assert!(!up.contains(&id), "{id} started while up: {done}"),
            _ => {}
        }
    }
}

/// A world that shuts down by itself so, with every child up.
fn shutting_down(
    auto_shutdown: AutoShutdown,
    strategy: Strategy,
    max_restarts: u32,
    children: &str,
) -> World {
    let mut world = World::new(strategy, max_restarts, children);
    world.policy = world.policy.with_auto_shutdown(auto_shutdown);
    world.run(Event::Begin);
    world
}

use AutoShutdown::{AllSignificant, AnySignificant};

/// SUP-130, SUP-131
#[test]
fn significant_child_that_is_not_restarted_shuts_its_supervisor_down() {
    for strategy in STRATEGIES {
        for auto_shutdown in [AnySignificant, AllSignificant] {
            for (id, restart) in [("b", Restart::Transient), ("c", Restart::Temporary)] {
                for reason in reasons() {
                    let children = if id == "b" { "a:p b:t*" } else { "a:p c:x*" };
                    let mut world = shutting_down(auto_shutdown, strategy, 3, children);
                    let ends = judge(restart, &reason) != Verdict::Restart;
                    let heard = world.dies(id, reason.clone());
                    assert_eq!(heard == "shutdown", ends, "{restart} {reason}: {heard}");
                }
            }
        }
    }
}

/// SUP-130
#[test]
fn children_that_are_not_significant_shut_nothing_down() {
    for auto_shutdown in [AnySignificant, AllSignificant] {
        let mut world = shutting_down(auto_shutdown, OneForOne, 3, "a:t b:x c:t*");
        assert_eq!(world.dies("a", Normal), "");
        assert_eq!(world.crashes("b"), "");
        assert_eq!(world.states(), "a. c");
    }
}

/// SUP-132
#[test]
fn all_significant_waits_for_the_last_one() {
    let mut world = shutting_down(AllSignificant, OneForOne, 3, "a:t* b:x* c:p d:t*");
    assert_eq!(world.dies("d", Normal), "");
    assert_eq!(world.crashes("b"), "");
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.dies("a", Shutdown), "shutdown");
}

/// SUP-132
#[test]
fn significant_child_that_waits_for_its_restart_is_still_there() {
    let mut world = shutting_down(AllSignificant, OneForOne, 9, "a:t* b:t*");
    world.luck("a", &[Fails]);
    assert_eq!(world.crashes("a"), "!a retry");
    assert_eq!(world.dies("b", Normal), "");
    assert_eq!(world.retry(), "+a");
    assert_eq!(world.dies("a", Normal), "shutdown");
}

/// SUP-133
#[test]
fn group_restart_that_stops_significant_children_shuts_nothing_down() {
    for auto_shutdown in [AnySignificant, AllSignificant] {
        let mut world = shutting_down(auto_shutdown, OneForAll, 3, "a:p b:x* c:t*");
        assert_eq!(world.crashes("a"), "-c -b +a +c");
        let mut world = shutting_down(auto_shutdown, RestForOne, 3, "a:p b:x*");
        assert_eq!(world.crashes("a"), "-b +a");
        assert_eq!(world.states(), "a");
    }
}

/// SUP-133, SUP-134
#[test]
fn significant_child_that_was_terminated_counts_no_more() {
    let mut world = shutting_down(AllSignificant, OneForOne, 3, "a:t* b:t*");
    world.terminate("a");
    assert_eq!(world.states(), "a. b");
    assert_eq!(world.dies("b", Normal), "shutdown");
}

const SECOND: Duration = Duration::from_secs(1);

/// A child that waits a second, then two, then four, and so on.
fn patient(child: &str) -> ChildSpec {
    parse(child).backoff(Backoff::new(SECOND, 60 * SECOND))
}

/// A child with a budget of its own, in ten seconds.
fn frugal(child: &str, max_restarts: u32, when_spent: WhenSpent) -> ChildSpec {
    parse(child)
        .restart_intensity(max_restarts, 10 * SECOND)
        .when_spent(when_spent)
}

/// The children, with `b` in the place of the second.
fn with_b(strategy: Strategy, max_restarts: u32, b: ChildSpec) -> World {
    let children = [parse("a:p"), b, parse("c:p")];
    let mut world = World::of(strategy, max_restarts, children);
    assert_eq!(world.run(Event::Begin), "+a +b +c");
    world
}

/// XSUP-05, XSUP-06: whoever goes along goes down at once and comes back with
/// it.
#[test]
fn delayed_child_takes_its_group_down_and_up() {
    for (strategy, down, states, up) in [
        (OneForOne, "delay b 1", "a b@ c", "+b"),
        (OneForAll, "-c -a delay b 1", "a. b@ c.", "+a +b +c"),
        (RestForOne, "-c delay b 1", "a b@ c.", "+b +c"),
    ] {
        let mut world = with_b(strategy, 3, patient("b:p"));
        assert_eq!(world.crashes("b"), down);
        assert_eq!(world.states(), states);
        assert_eq!(world.wait(), up);
        assert_eq!(world.states(), "a b c");
    }
}

/// XSUP-05
#[test]
fn nobody_is_restarted_before_the_delay_is_over() {
    let mut world = with_b(OneForOne, 3, patient("b:p"));
    assert_eq!(world.crashes("b"), "delay b 1");
    let (due, rank) = world.policy.children().next_due().expect("b waits");
    let now = due - Duration::from_nanos(1);
    assert_eq!(world.run(Event::Due { rank, now }), "");
    assert_eq!(world.run(Event::Due { rank, now: due }), "+b");
    assert_eq!(world.run(Event::Due { rank, now: due }), "", "not twice");
}

/// XSUP-02, XSUP-04, XSUP-05: a failed restart waits for longer; a stable
/// spell begins anew, a slow start does not.
#[test]
fn delays_grow_until_the_child_is_stable() {
    let mut world = with_b(OneForAll, 99, patient("b:p"));
    world.luck("b", &[Fails, Fails]);
    assert_eq!(world.crashes("b"), "-c -a delay b 1");
    assert_eq!(world.wait(), "+a !b -a delay b 2");
    assert_eq!(world.states(), "a. b@ c.");
    world.now += 100 * SECOND;
    assert_eq!(world.wait(), "+a !b -a delay b 4");
    assert_eq!(world.wait(), "+a +b +c");
    world.now += 59 * SECOND;
    assert_eq!(world.crashes("b"), "-c -a delay b 8");
    assert_eq!(world.wait(), "+a +b +c");
    world.now += 60 * SECOND;
    assert_eq!(world.crashes("b"), "-c -a delay b 1");
}

/// XSUP-03
#[test]
fn chance_shortens_a_delay() {
    let backoff = Backoff::constant(8 * SECOND).jitter(0.5);
    let mut world = with_b(OneForOne, 3, parse("b:p").backoff(backoff));
    let pid = world.pid_of("b").expect("it runs");
    let at = Moment {
        now: world.now,
        random: 1 << 63,
    };
    let event = Event::Exited {
        pid,
        reason: Killed,
        at,
    };
    assert_eq!(world.run(event), "delay b 6");
}

/// XSUP-06: whoever falls decides; one that waits goes along.
#[test]
fn group_restart_takes_along_one_that_waits() {
    let mut world = with_b(RestForOne, 9, patient("b:p"));
    assert_eq!(world.crashes("b"), "-c delay b 1");
    assert_eq!(world.crashes("a"), "+a +b +c");
    assert_eq!(world.policy.children().next_due(), None);
    // One that was started beside it does not shorten its wait.
    assert_eq!(world.crashes("b"), "-c delay b 2");
    world.restart("c");
    assert_eq!(world.crashes("c"), "+c");
    assert_eq!(world.states(), "a b@ c");
    assert_eq!(world.wait(), "-c +b +c");
}

/// XSUP-07
#[test]
fn wait_can_be_called_off_or_cut_short() {
    let mut world = with_b(OneForAll, 1, patient("b:p"));
    assert_eq!(world.crashes("b"), "-c -a delay b 1");
    world.terminate("b");
    assert_eq!(world.states(), "a. b. c.");
    assert_eq!(world.policy.children().next_due(), None);

    let mut world = with_b(OneForAll, 1, patient("b:p"));
    assert_eq!(world.crashes("b"), "-c -a delay b 1");
    assert_eq!(world.restart_now("b"), "+a +b +c");
    // It did not count, and the delays begin anew.
    assert_eq!(world.crashes("b"), "-c -a delay b 1");
    assert_eq!(world.run(Event::End), "");
    assert_eq!(world.states(), "a. b. c.");
}

/// XSUP-08: an attempt counts when it is made; nobody waits for one that is
/// bound to be refused.
#[test]
fn delayed_restart_counts_when_it_is_made() {
    let mut world = with_b(OneForOne, 1, patient("b:p"));
    assert_eq!(world.crashes("b"), "delay b 1");
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.wait(), "giveup b");

    let mut world = with_b(OneForOne, 0, patient("b:p"));
    assert_eq!(world.crashes("b"), "giveup b");
    assert_eq!(world.states(), "a b. c");

    // By the time it is made, those before it count no more.
    let slow = parse("b:p").backoff(Backoff::constant(6 * SECOND));
    let mut world = with_b(OneForOne, 1, slow);
    for _ in 0..10 {
        assert_eq!(world.crashes("b"), "delay b 6");
        assert_eq!(world.wait(), "+b");
    }
}

/// XSUP-10, XSUP-11
#[test]
fn child_with_a_budget_of_its_own_spends_no_other() {
    let mut world = with_b(OneForOne, 1, frugal("b:p", 2, WhenSpent::GiveUp));
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.crashes("b"), "giveup b");

    let mut world = with_b(OneForOne, 1, frugal("b:p", 2, WhenSpent::GiveUp));
    assert_eq!(world.crashes("a"), "+a");
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.crashes("c"), "giveup c");
}

/// XSUP-12
#[test]
fn group_restart_is_charged_to_the_child_that_fell() {
    let mut world = with_b(OneForAll, 1, frugal("b:p", 1, WhenSpent::GiveUp));
    assert_eq!(world.crashes("a"), "-c -b +a +b +c");
    assert_eq!(world.crashes("b"), "-c -a +a +b +c");
    assert_eq!(world.crashes("b"), "giveup b");
}

/// XSUP-13, XSUP-14
#[test]
fn child_that_spent_its_budget_is_parked_with_its_group() {
    for (strategy, down, states, up) in [
        (OneForOne, "park b", "a b# c", "+b"),
        (OneForAll, "-c -a park b", "a. b# c.", "+a +b +c"),
        (RestForOne, "-c park b", "a b# c.", "+b +c"),
    ] {
        let mut world = with_b(strategy, 0, frugal("b:p", 1, WhenSpent::Park));
        assert_ne!(world.crashes("b"), down);
        assert_eq!(world.crashes("b"), down);
        assert_eq!(world.states(), states);
        assert_eq!(world.policy.children().next_due(), None);
        // XSUP-15: with a fresh budget.
        assert_eq!(world.restart_now("b"), up);
        assert_ne!(world.crashes("b"), down);
        assert_eq!(world.crashes("b"), down);
        world.terminate("b");
        assert!(world.states().contains("b."));
    }
}

/// XSUP-13: also one that cannot be started, and one that would have to wait.
#[test]
fn child_that_does_not_start_is_parked_when_its_budget_is_spent() {
    let mut world = with_b(OneForAll, 0, frugal("b:p", 2, WhenSpent::Park));
    world.luck("b", &[Fails; 2]);
    assert_eq!(world.crashes("b"), "-c -a +a !b retry");
    assert_eq!(world.retry(), "-a +a !b retry");
    assert_eq!(world.retry(), "-a park b");
    assert_eq!(world.states(), "a. b# c.");

    let patient = frugal("b:p", 0, WhenSpent::Park).backoff(Backoff::constant(SECOND));
    let mut world = with_b(OneForOne, 0, patient);
    assert_eq!(world.crashes("b"), "park b");
}

/// XSUP-16
#[test]
fn child_parked_for_a_time_is_tried_as_its_budget_allows() {
    let mut world = with_b(
        OneForOne,
        0,
        frugal("b:p", 2, WhenSpent::ParkFor(4 * SECOND)),
    );
    assert_eq!(world.crashes("b"), "+b");
    world.now += 5 * SECOND;
    assert_eq!(world.crashes("b"), "+b");
    assert_eq!(world.crashes("b"), "park b");
    // At nine seconds both count, at thirteen one does.
    assert_eq!(world.wait(), "park b");
    assert_eq!(world.wait(), "+b");
    assert_eq!(world.crashes("b"), "park b");
    assert_eq!(world.states(), "a b# c");
}

/// XSUP-17
#[test]
fn group_restart_takes_along_one_that_is_parked() {
    let mut world = with_b(RestForOne, 9, frugal("b:p", 0, WhenSpent::ParkFor(SECOND)));
    assert_eq!(world.crashes("b"), "-c park b");
    assert_eq!(world.crashes("a"), "+a +b +c");
    assert_eq!(world.crashes("b"), "-c park b");
}

/// XSUP-18
#[test]
fn significant_child_that_waits_or_is_parked_is_still_there() {
    for special in [patient("b:t*"), frugal("b:t*", 0, WhenSpent::Park)] {
        let mut world = World::of(OneForOne, 9, [parse("a:t*"), special]);
        world.policy = world.policy.with_auto_shutdown(AllSignificant);
        world.run(Event::Begin);
        world.crashes("b");
        assert_eq!(world.dies("a", Normal), "");
        assert_eq!(world.restart_now("b"), "+b");
        assert_eq!(world.dies("b", Normal), "shutdown");
    }
}

/// XSUP-20
#[test]
fn policy_knows_whom_it_gave_up_on_and_why() {
    let mut world = with_b(OneForOne, 1, parse("b:p"));
    world.luck("b", &[Fails]);
    assert_eq!(world.crashes("b"), "!b retry");
    assert_eq!(world.retry(), "giveup b");
    let (rank, _) = world.policy.children().find(&"b".into()).expect("b");
    let why = world.policy.gave_up(rank);
    assert_eq!((why.id.as_str(), why.restarts), ("b", 0));
    let ExitReason::Failed(failure) = &why.reason else {
        panic!("{why:?}")
    };
    assert!(failure.error().is::<StartError>());
    assert_eq!(why.intensity, RestartIntensity::new(1, 5 * SECOND));
}
