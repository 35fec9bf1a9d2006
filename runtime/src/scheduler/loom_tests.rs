//! The whole scheduler but Tokio's part, two or three threads: what is queued
//! is run, once; nobody sleeps while something waits; and nothing stays behind
//! when the node is over.

use loom::future::block_on;
use loom::sync::Arc as LoomArc;
use loom::sync::Notify;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::host::{Slept, sleep};
use super::local::Local;
use super::*;
use crate::process::cell::token;

/// A model with three hosts or a host and a stop has too many orders for all of
/// them to be tried.
#[track_caller]
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(3));
    model.check(run);
}

/// A scheduler, and what its processes do.
struct World {
    scheduler: Scheduler,
    runs: AtomicUsize,
    /// Rung by each process that is run.
    ran: Notify,
}

impl World {
    /// With hosts, of which none is a spare.
    fn new(hosts: usize) -> (LoomArc<Self>, Vec<Local>) {
        let (scheduler, mut queues, _) = Scheduler::new(hosts);
        queues.truncate(hosts);
        let world = LoomArc::new(Self {
            scheduler,
            runs: AtomicUsize::new(0),
            ran: Notify::new(),
        });
        let local = |(index, queue)| Local::new(&world.scheduler, index, queue);
        let locals = queues.into_iter().enumerate().map(local).collect();
        (world, locals)
    }

    /// A turn of a host, as `host.rs` has it: runs all that it finds.
    fn turn(&self, local: &Local) {
        let _open = local.lay_open();
        while let Some(task) = self.scheduler.find(local, 1) {
            drop(task);
            self.runs.fetch_add(1, Ordering::SeqCst);
            self.ran.notify();
        }
    }

    /// A host until the node is over.
    fn host(&self, local: &Local) {
        block_on(async {
            loop {
                self.turn(local);
                if self.scheduler.is_done() {
                    return;
                }
                if sleep(&self.scheduler, local.index).await == Slept::No {
                    loom::thread::yield_now();
                }
            }
        });
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

/// A lost wake-up would let the host sleep for ever, which loom sees: first
/// with the process in the queue, then when the node is over.
#[test]
fn loom_a_process_scheduled_from_outside_is_run_and_the_stop_wakes_the_host() {
    model(|| {
        let (world, mut locals) = World::new(1);
        let queue = locals.remove(0);
        let theirs = LoomArc::clone(&world);
        let host = thread::spawn(move || theirs.host(&queue));
        world.scheduler.schedule(token());
        while world.runs() == 0 {
            world.ran.wait();
        }
        world.scheduler.finish();
        host.join().unwrap();
        assert_eq!(world.runs(), 1);
    });
}

/// A process wakes two others and ends; the next to run blocks its worker until
/// the one behind it has run: the other host, asleep or about to be, must come.
#[test]
fn loom_what_is_queued_behind_a_process_that_blocks_is_run_by_another_host() {
    model(|| {
        let (world, mut locals) = World::new(2);
        let (second, first) = (locals.remove(1), locals.remove(0));
        let theirs = LoomArc::clone(&world);
        let other = thread::spawn(move || theirs.host(&second));
        let next;
        {
            let _open = first.lay_open();
            world.scheduler.schedule(token());
            world.scheduler.schedule(token());
            next = world.scheduler.find_local(&first);
            while world.runs() == 0 {
                world.ran.wait();
            }
        }
        world.scheduler.finish();
        other.join().unwrap();
        // The other host may have been so fast as to take both.
        assert_eq!(world.runs(), 2 - next.iter().len());
    });
}

/// The place of the process just woken, and the queue behind it, against a
/// thief.
#[test]
fn loom_a_process_that_is_stolen_runs_once() {
    model(|| {
        let (world, mut locals) = World::new(2);
        let (second, first) = (locals.remove(1), locals.remove(0));
        let theirs = LoomArc::clone(&world);
        let thief = thread::spawn(move || theirs.turn(&second));
        {
            let _open = first.lay_open();
            world.scheduler.schedule(token());
            world.scheduler.schedule(token());
        }
        world.turn(&first);
        thief.join().unwrap();
        assert_eq!(world.runs(), 2);
    });
}

/// The host is gone, with a process that it was to run next and one behind that:
/// whoever stops drops what no host will come for, or whoever schedules does.
#[test]
fn loom_nothing_stays_queued_when_the_node_is_over() {
    model(|| {
        let (world, mut locals) = World::new(1);
        let process = token();
        let local = locals.remove(0);
        {
            let _open = local.lay_open();
            world.scheduler.schedule(process.clone());
            world.scheduler.schedule(process.clone());
        }
        let task = process.clone();
        let theirs = LoomArc::clone(&world);
        let sender = thread::spawn(move || theirs.scheduler.schedule(task));
        world.scheduler.finish();
        sender.join().unwrap();
        assert!(!world.scheduler.has_work());
        assert_eq!(process.count(), 1);
    });
}

/// What a process wakes on a host's own thread while the node stops is run by
/// that host or dropped.
#[test]
fn loom_nothing_stays_with_a_host_that_leaves() {
    model(|| {
        let (world, mut locals) = World::new(1);
        let local = locals.remove(0);
        let process = token();
        let tasks = [process.clone(), process.clone()];
        let theirs = LoomArc::clone(&world);
        let host = thread::spawn(move || {
            {
                let _open = local.lay_open();
                for task in tasks {
                    theirs.scheduler.schedule(task);
                }
            }
            theirs.host(&local);
        });
        world.scheduler.finish();
        host.join().unwrap();
        assert_eq!(process.count(), 1);
    });
}
