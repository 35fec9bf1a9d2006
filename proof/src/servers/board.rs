//! What is kept of a script while it is played: who is where, and what was
//! noted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;
use resurgam::{ExitReason, Node, Pid, Reply, ServerRef};

use super::follower::Follower;
use super::script::{SLOTS, Slot, Target, Who};

/// Shared by all who take part.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<State>>);

/// What stands on it.
pub(super) struct State {
    pub(super) notes: Vec<Note>,
    pub(super) seats: [Seat; SLOTS as usize],
    pub(super) clients: HashMap<Who, Pid>,
    pub(super) names: HashMap<Pid, String>,
    /// A process that has ended.
    nobody: ServerRef<Follower>,
    /// The calls that were handed out, the oldest first.
    pub(super) handed: VecDeque<Reply<u32>>,
}

/// The place of a server.
pub(super) struct Seat {
    /// Who was started there; nobody, if that one has ended.
    pub(super) server: ServerRef<Follower>,
    /// Who is about to start one.
    pub(super) starter: Option<Who>,
    /// By what a server that holds still is let go.
    pub(super) gate: Option<oneshot::Sender<()>>,
}

/// Something to be noted.
pub(super) enum Note {
    /// What a client's doing came to.
    Result(Who, String),
    /// An exit or a down that a client was told of.
    Notice(Who, String),
    /// What a server did.
    Server(Slot, String),
}

impl Board {
    pub(super) fn new(nobody: &ServerRef<Follower>) -> Self {
        let seat = || Seat {
            server: nobody.clone(),
            starter: None,
            gate: None,
        };
        let name = nobody.pid().map(|pid| (pid, "nobody".to_owned()));
        Self(Arc::new(Mutex::new(State {
            notes: Vec::new(),
            seats: std::array::from_fn(|_| seat()),
            clients: HashMap::new(),
            names: name.into_iter().collect(),
            nobody: nobody.clone(),
            handed: VecDeque::new(),
        })))
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, note: Note) {
        self.with(|state| state.notes.push(note));
    }

    /// What a process is called.
    pub(super) fn name(&self, pid: Pid) -> String {
        self.with(|state| state.names.get(&pid).cloned())
            .unwrap_or_else(|| "stranger".to_owned())
    }

    pub(super) fn server(&self, target: Target) -> ServerRef<Follower> {
        match target {
            Target::Pid(slot) => self.with(|state| state.seat(slot).server.clone()),
            Target::Name(slot) => Node::current().named(registered(slot)),
        }
    }

    /// As if nobody had been there: whoever started a server that has ended
    /// may have ended before it knew.
    pub(super) fn empty(&self, slot: Slot) {
        self.with(|state| {
            let nobody = state.nobody.clone();
            state.seat(slot).server = nobody;
        });
    }

    /// The pid of who was started there last.
    pub(super) fn pid(&self, slot: Slot) -> Option<Pid> {
        self.with(|state| state.seat(slot).server.pid())
    }

    /// Waits until the script lets this place go on.
    pub(super) async fn hold(&self, slot: Slot) {
        let (release, gate) = oneshot::channel();
        self.with(|state| state.seat(slot).gate = Some(release));
        let _ = gate.await;
    }
}

impl State {
    pub(super) fn seat(&mut self, slot: Slot) -> &mut Seat {
        &mut self.seats[usize::from(slot)]
    }
}

/// The name that belongs to a place.
pub(super) fn registered(slot: Slot) -> String {
    format!("n{slot}")
}

/// A reason, in the words that Erlang has for it.
pub(super) fn reason(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Panicked(_) => "crash".to_owned(),
        ExitReason::ShutdownWith(term) => format!("shutdown:{term:?}"),
        ExitReason::Custom(term) => format!("{term:?}").trim_matches('"').to_owned(),
        reason => reason.to_string(),
    }
}
