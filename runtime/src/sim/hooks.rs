//! Where the runtime tells the simulation what happens, and asks it whether a
//! fault is due. Outside a simulation all of this is one look at a field.

use super::trace::Happened;
use super::world::World;
use crate::answer::Owed;
use crate::caught::drop_caught;
use crate::exit_reason::ExitReason;
use crate::pid::{MonitorRef, Pid};
use crate::process::cell::Process;
use crate::process::current;
use crate::process::links::Links;

/// The current process has come to an await, or a server to a callback.
///
/// # Panics
///
/// If the simulation wants that process to panic.
pub(crate) fn await_point() {
    let panics = current::with(|process| {
        let header = process.header();
        let world = header.node.world.as_ref();
        world.is_some_and(|world| world.takes_panic(header.pid))
    });
    assert!(panics != Some(true), "a panic injected by the simulation");
}

/// Whether the server that runs is to fail before its `init`.
pub(crate) fn fails_init() -> bool {
    let fails = current::with(|process| {
        let header = process.header();
        let world = header.node.world.clone();
        world.is_some_and(|world| world.fails_init(header))
    });
    fails == Some(true)
}

/// What the runtime tells.
impl World {
    pub(crate) fn spawned(&self, process: &Process) {
        let header = process.header();
        self.books.lock().spawned(process);
        let mut state = self.state.lock();
        let name = state.trace.is_written().then(|| {
            let name = header.name().map(|name| name.as_str().to_owned());
            name.or_else(|| header.label().map(|label| label.as_ref().to_owned()))
        });
        let happened = Happened::Spawned {
            pid: header.pid,
            parent: header.parent(),
            name: name.flatten(),
        };
        let now = self.clock.now();
        state.trace.write(now, happened);
    }

    pub(crate) fn monitored(&self, reference: MonitorRef, target: Pid) {
        self.books.lock().monitored(reference, target);
    }

    pub(crate) fn demonitored(&self, reference: MonitorRef) {
        self.books.lock().demonitored(reference);
    }

    pub(crate) fn down(&self, reference: MonitorRef) {
        self.books.lock().down(reference);
    }

    pub(crate) fn handles(&self, process: &Process) {
        self.books.lock().handles(process);
    }

    pub(crate) fn exit_handled(&self, from: Pid, to: Pid) {
        self.books.lock().exit_handled(from, to);
    }

    pub(crate) fn arrived(&self, pid: Pid) {
        self.books.lock().arrived(pid);
    }

    pub(crate) fn received(&self, pid: Pid) {
        self.books.lock().received(pid);
    }

    pub(crate) fn dropped(&self, pid: Pid, messages: usize) {
        self.books.lock().dropped(pid, messages);
    }

    pub(crate) fn called(&self, server: Pid, reply: &Owed) {
        self.books.lock().called(server, reply);
    }

    /// A process that ends is about to tell those it is linked to.
    pub(crate) fn tells_links(&self, process: &Process, links: &Links) {
        let header = process.header();
        let mut books = self.books.lock();
        books.telling(process);
        for other in links.linked() {
            if header.node.table.get(other).is_some() {
                books.exit_sent(header.pid, other);
            }
        }
    }

    /// The last rites of a process are over.
    pub(crate) fn ended(&self, pid: Pid, reason: &ExitReason) {
        let mut books = self.books.lock();
        let gone = books.ended(pid);
        let was_client = books.clients.remove(&pid);
        if let ExitReason::Panicked(panic) = reason {
            if was_client {
                books.violated(format!("client {pid} panicked: {panic}"));
            }
            // Tokio's words, where its I/O or its timers are used outside it.
            if panic.message().contains("there is no reactor running") {
                books.violated(format!(
                    "{pid} used Tokio's I/O or timers, which a simulation does not have: {panic}"
                ));
            }
        }
        drop(books);
        drop_caught(gone);
        let text = self.traced(|| reason.to_string());
        let mut state = self.state.lock();
        state.protected.remove(&pid);
        let now = self.clock.now();
        state.trace.write(now, Happened::Ended(pid, text));
    }
}
