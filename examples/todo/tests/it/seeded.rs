//! Crashes of all kinds, as a seed decides: the lists survive them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use resurgam::sim::{Faults, Plan, Sim};
use resurgam::{Context, ExitReason, Message, SupervisorBuilder, trap_exit};
use todo::application;
use todo::list::Change;
use todo::lists::{Lists, Unavailable};

use crate::memory::{Check, Memory};
use crate::{add, entry, id, list};

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);
const LISTS: [&str; 2] = ["Bob", "Eve"];

/// What a client knows of an entry.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Fate {
    /// It was promised that it is there.
    There,
    /// It was promised that it is gone.
    Gone,
    /// The last word about it was that nobody knows.
    Unknown,
}

/// What the clients know of all entries, by list and name.
type Ledger = Arc<Mutex<BTreeMap<(&'static str, String), Fate>>>;

/// The system on this disk.
fn start(sim: &mut Sim, disk: Memory) -> Lists {
    let (lists, tree) = application::lists(disk, 2, IDLE);
    sim.client(|ctx: Context<()>| keep_up(ctx, tree));
    sim.run_until_idle();
    lists
}

/// Starts the system whenever it is down, as whoever looks after programs does;
/// until it is told to stop.
async fn keep_up(mut ctx: Context<()>, tree: SupervisorBuilder) {
    trap_exit(true);
    loop {
        let end = match tree.clone().start_link().await {
            Ok(_) => Some(ctx.receive().await),
            Err(_) => ctx.receive_timeout(SECOND).await,
        };
        // Whatever struck the system has another reason.
        if matches!(end, Some(Message::Exit(exit)) if exit.reason == ExitReason::Shutdown) {
            return;
        }
    }
}

/// Adds entries to both lists, and takes every other one away again.
async fn work(lists: Lists, ledger: Ledger, who: usize, entries: usize) {
    for number in 0..entries {
        let (list_name, name) = (LISTS[number % 2], format!("{who}.{number}"));
        let list = list(list_name);
        let note = |done: Result<_, Unavailable>, fate| {
            let fate = if done.is_ok() { fate } else { Fate::Unknown };
            let mut ledger = ledger.lock().unwrap();
            ledger.insert((list_name, name.clone()), fate);
        };
        let added = lists.change(&list, add(&name)).await;
        note(added, Fate::There);
        if number % 2 == 1 {
            let removed = lists.change(&list, Change::Remove(id(&name))).await;
            note(removed, Fate::Gone);
        }
    }
}

/// All work done, whatever happens meanwhile.
fn all_work(sim: &mut Sim, lists: &Lists, clients: usize, entries: usize) -> Ledger {
    let ledger = Ledger::default();
    let at_work: Vec<_> = (0..clients)
        .map(|who| {
            let work = work(lists.clone(), ledger.clone(), who, entries);
            sim.client(move |_: Context<()>| work)
        })
        .collect();
    sim.run(async move {
        for client in at_work {
            client.join().await;
        }
    });
    ledger
}

/// The system works, and has kept all promises; those who had the lists at hand
/// have gone, so this is what the disk has.
fn check(sim: &mut Sim, lists: &Lists, ledger: &Ledger) {
    sim.run_for(2 * IDLE);
    for name in LISTS {
        let lists = lists.clone();
        let found = sim.run(async move { lists.entries(&list(name), None).await });
        let found = found.expect("the system comes back");
        let ledger = ledger.lock().unwrap();
        for ((_, name), fate) in ledger.iter().filter(|((of, _), _)| *of == name) {
            let times = found.iter().filter(|found| **found == entry(name)).count();
            match fate {
                Fate::There => assert_eq!(times, 1, "{name} was promised: {found:?}"),
                Fate::Gone => assert_eq!(times, 0, "{name} was taken away: {found:?}"),
                Fate::Unknown => assert!(times <= 1, "{name} is there twice: {found:?}"),
            }
        }
        let asked = |title: &str| ledger.keys().any(|(_, name)| entry(name).title == title);
        assert!(found.iter().all(|found| asked(&found.title)), "{found:?}");
    }
}

fn day_of_crashes(sim: &mut Sim, disk: Memory) {
    let lists = start(sim, disk);
    sim.faults(
        Faults::none()
            .kill(0.003)
            .panic(0.002)
            .init_fails(0.01)
            .delay(0.05, Duration::from_millis(1)..SECOND),
    );
    let ledger = all_work(sim, &lists, 3, 8);
    sim.heal();
    check(sim, &lists, &ledger);
}

#[test]
fn lists_survive_the_death_of_any_process_at_any_step() {
    let report = Plan::new().seeds(1).sweep_kills(|sim| {
        let lists = start(sim, Memory::new(Check::Versions));
        let ledger = all_work(sim, &lists, 1, 2);
        check(sim, &lists, &ledger);
    });
    println!("{report:?}");
}

#[test]
fn lists_survive_the_panic_of_any_process_at_any_step() {
    let report = Plan::new().seeds(1).sweep_panics(|sim| {
        let lists = start(sim, Memory::new(Check::Versions));
        let ledger = all_work(sim, &lists, 1, 2);
        check(sim, &lists, &ledger);
    });
    println!("{report:?}");
}

#[test]
fn lists_survive_a_day_of_crashes() {
    let report = Plan::new()
        .seeds(50)
        .run(|sim| day_of_crashes(sim, Memory::new(Check::Versions)));
    println!("{report:?}");
}

/// What the versions are for.
#[test]
fn without_versions_a_late_write_undoes_what_was_promised() {
    let failure = Plan::new().seeds(1_000).shrinking(0).try_run(|sim| {
        let lists = start(sim, Memory::new(Check::Nothing));
        sim.faults(Faults::none().kill(0.02));
        let ledger = all_work(sim, &lists, 4, 1);
        sim.heal();
        check(sim, &lists, &ledger);
    });
    let failure = failure.expect_err("a disk that refuses nothing loses entries");
    let message = failure.message();
    assert!(
        message.contains("was promised") || message.contains("was taken away"),
        "{message}"
    );
}

#[test]
fn a_list_nobody_asks_for_is_not_kept_at_hand() {
    Plan::new().seeds(8).run(|sim| {
        let lists = start(sim, Memory::new(Check::Versions));
        let before = sim.node().process_count();
        let ledger = all_work(sim, &lists, 1, 2);
        assert_eq!(sim.node().process_count(), before + LISTS.len());
        sim.run_for(2 * IDLE);
        assert_eq!(sim.node().process_count(), before);
        check(sim, &lists, &ledger);
    });
}

#[test]
fn a_list_has_one_server_whoever_asks_first() {
    Plan::new().seeds(8).run(|sim| {
        let lists = start(sim, Memory::new(Check::Versions));
        let before = sim.node().process_count();
        let ledger = all_work(sim, &lists, 5, 1);
        assert_eq!(sim.node().process_count(), before + 1);
        check(sim, &lists, &ledger);
    });
}
