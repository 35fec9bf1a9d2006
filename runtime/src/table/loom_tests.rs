//! Two threads: a pid finds its own process or nothing, and a table that was
//! closed knows of everyone who still came in.

use loom::sync::Arc as LoomArc;
use loom::thread;

use super::*;
use crate::clock::stopwatch as now;
use crate::process::cell::token;

impl Table {
    /// With one slot, so that the next process gets the place of the last.
    fn of_one_slot() -> LoomArc<Self> {
        let table = Self::new(8);
        table.free.0.lock().fresh = Pid::SLOTS;
        table.free.0.lock().released.push_back(Self::FIRST);
        LoomArc::new(table)
    }

    fn add(&self, process: &Process) -> Pid {
        let pid = self.reserve(None, now()).expect("there is room");
        self.put(pid, process.clone());
        pid
    }
}

#[test]
fn loom_a_stale_pid_never_finds_who_has_its_slot_now() {
    crate::testing::model(|| {
        let table = Table::of_one_slot();
        let [old, new] = [token(), token()];
        let stale = table.add(&old);
        let (theirs, next) = (LoomArc::clone(&table), new.clone());
        let other = thread::spawn(move || {
            theirs.vacate(stale, ExitKind::Normal, now());
            theirs.remove(stale);
            theirs.add(&next)
        });
        let found = table.get(stale);
        assert!(found.is_none_or(|found| found.is_same(&old)));
        let fresh = other.join().unwrap();
        assert!(table.get(stale).is_none());
        let found = table.get(fresh).expect("it is there");
        assert!(found.is_same(&new));
        assert_eq!((table.len(), table.visible()), (1, 1));
    });
}

#[test]
fn loom_a_pid_that_is_not_published_yet_finds_nobody() {
    crate::testing::model(|| {
        let table = Table::of_one_slot();
        let process = token();
        let pid = table.reserve(None, now()).expect("there is room");
        let (theirs, published) = (LoomArc::clone(&table), process.clone());
        let other = thread::spawn(move || theirs.put(pid, published));
        let found = table.get(pid);
        assert!(found.is_none_or(|found| found.is_same(&process)));
        other.join().unwrap();
        assert!(table.get(pid).is_some());
    });
}

/// Whoever stops a node waits until the table is empty: it must count those
/// that got in before it was closed, published or not.
#[test]
fn loom_a_closed_table_knows_of_everyone_who_got_in() {
    crate::testing::model(|| {
        let table = Table::of_one_slot();
        let theirs = LoomArc::clone(&table);
        let spawner = thread::spawn(move || {
            let pid = theirs.reserve(None, now()).ok()?;
            theirs.put(pid, token());
            Some(pid)
        });
        table.close();
        let live = table.len();
        let pid = spawner.join().unwrap();
        assert_eq!(live, usize::from(pid.is_some()));
        if let Some(pid) = pid {
            table.vacate(pid, ExitKind::Normal, now());
            table.remove(pid);
            assert!(table.get(pid).is_none());
        }
        assert_eq!(table.len(), 0);
    });
}
