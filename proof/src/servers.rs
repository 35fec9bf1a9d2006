//! Servers that follow a script, with three clients that start, call, stop and
//! look into them, here and on Erlang's `gen_server` and `sys`.
//!
//! After each step everything comes to rest, and what was seen by then is
//! noted. What is limited in time is over only in the steps that let time pass.
//!
//! # What is not compared
//!
//! * What OTP 25 does not have: `{error, Reason}` from `init` (law GS-04), and
//!   time-outs with a message of their own (GS-55 to GS-58).
//! * The exit message of a failed start, which OTP 25 leaves in the mailbox
//!   (law PLIB-06).
//! * A `stop` that meets an end with its own reason: in OTP 25 that fails while
//!   the order is still under way (law PLIB-15).
//! * `sys:terminate` waits there until the order is taken (law SYS-11).
//! * Exits that trapping servers started with a monitor are sent: OTP takes the
//!   starter for their parent, whatever it documents.
//! * Exits that a trapping server without a parent sends to itself: OTP takes it
//!   for its own parent.
//! * The trap flag, once a server has sent itself an exit signal: OTP 25 may
//!   receive it with the flag of a later moment (law SIG-15).
//! * Whose start dies with its starter: here the server is killed, as its start
//!   is called off; there it lives on.
//! * What `exit(self(), normal)` does, and a link to a dead client (see
//!   [`erlang`](crate::erlang)).
//! * When a time-out is started anew by a system message (law GS-54): it comes
//!   in the same step.

mod board;
mod client;
mod follower;
mod random;
mod script;
mod term;

use std::collections::HashMap;
use std::time::Duration;

use resurgam::{
    Context, ExitReason, Message, MonitorRef, ProcessRef, ServerRef, is_alive, sleep, spawn_monitor,
};
use tokio::sync::oneshot;

use board::{Board, Note, reason};
use client::{Client, Order};
use follower::Follower;
pub use script::Case;
use script::{CLIENTS, Command, SLOTS, Slot, Start, Step, Who};

/// What is limited in time is over in another hour each, so that nothing
/// depends on who is quicker: calls, starts, stops, the servers' own time-outs.
const HOUR: Duration = Duration::from_secs(3600);
const CALL: u32 = 1;
const START: u32 = 5;
const STOP: u32 = 10;
const SHORT: [u32; SLOTS as usize] = [14, 18];
const WAIT: u32 = 19;

/// What is seen of a script, in the words that Erlang has for it. For the
/// process that plays it, in a simulation, where time passes only when nothing
/// else can happen.
///
/// # Panics
///
/// If a client cannot be spawned.
pub async fn seen(ctx: Context<()>, case: Case) -> String {
    let mut stage = Stage::new(ctx, case.traps).await;
    let mut words = Vec::new();
    for step in case.steps {
        stage.take(step).await;
        words.push(stage.word().await);
    }
    words.join(" | ")
}

/// Everything comes to rest.
async fn rest() {
    sleep(Duration::from_millis(1)).await;
}

struct Stage {
    ctx: Context<()>,
    board: Board,
    clients: Vec<Actor>,
}

/// A client, as it is seen from outside.
struct Actor {
    who: Who,
    process: ProcessRef<Order>,
    monitor: MonitorRef,
    condition: Condition,
}

/// What a client does.
enum Condition {
    Idle,
    /// It has been told something and has not done it yet.
    Busy(oneshot::Receiver<()>),
    Ended,
}

impl Stage {
    async fn new(ctx: Context<()>, traps: [bool; CLIENTS.len()]) -> Self {
        let nobody: ServerRef<Follower> =
            resurgam::spawn(|_| async {}).expect("a simulation takes processes");
        nobody.join().await;
        let board = Board::new(&nobody);
        let mut clients = Vec::new();
        for (who, traps) in CLIENTS.into_iter().zip(traps) {
            let client = Client::new(who, board.clone());
            let spawned = spawn_monitor(move |ctx| client.live(traps, ctx));
            let (process, monitor) = spawned.expect("a simulation takes processes");
            let pid = process.pid().expect("it is no name");
            board.with(|state| {
                state.clients.insert(who, pid);
                state.names.insert(pid, who.to_string());
            });
            clients.push(Actor {
                who,
                process,
                monitor,
                condition: Condition::Idle,
            });
        }
        rest().await;
        Self {
            ctx,
            board,
            clients,
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Do(who, command) => self.order(who, command).await,
            Step::Release(slot) => {
                if let Some(release) = self.board.with(|state| state.seat(slot).gate.take()) {
                    let _ = release.send(());
                }
            }
            Step::Wait => sleep(WAIT * HOUR).await,
        }
        rest().await;
    }

    async fn order(&mut self, who: Who, command: Command) {
        let place = match &command {
            Command::Start(Start { slot, .. }) => Some(*slot),
            _ => None,
        };
        if let Some(slot) = place
            && !self.is_vacant(slot).await
        {
            return;
        }
        for client in &mut self.clients {
            if client.who == who && matches!(client.condition, Condition::Idle) {
                if let Some(slot) = place {
                    self.board
                        .with(|state| state.seat(slot).starter = Some(who));
                }
                let (done, is_done) = oneshot::channel();
                client.process.cast((command, done));
                client.condition = Condition::Busy(is_done);
                return;
            }
        }
    }

    async fn is_vacant(&self, slot: Slot) -> bool {
        self.board.with(|state| state.seat(slot).starter.is_none()) && !self.is_taken(slot).await
    }

    async fn is_taken(&self, slot: Slot) -> bool {
        match self.board.pid(slot) {
            Some(pid) => is_alive(pid).await == Ok(true),
            None => false,
        }
    }

    /// What was seen since the last step.
    async fn word(&mut self) -> String {
        let mut seen = Seen::default();
        while let Some(message) = self.ctx.try_receive() {
            let Message::Down(down) = message else {
                panic!("{message:?}")
            };
            seen.ends.insert(down.reference, down.reason);
        }
        for note in self.board.with(|state| std::mem::take(&mut state.notes)) {
            match note {
                Note::Result(who, word) => seen.results.entry(who).or_default().push(word),
                Note::Notice(who, word) => seen.notices.entry(who).or_default().push(word),
                Note::Server(slot, word) => seen.servers.entry(slot).or_default().push(word),
            }
        }
        let mut words = Vec::new();
        for client in &mut self.clients {
            words.extend(client.word(&mut seen));
            if matches!(client.condition, Condition::Ended) {
                self.board.with(|state| {
                    for seat in &mut state.seats {
                        seat.starter.take_if(|starter| *starter == client.who);
                    }
                });
            }
        }
        for slot in 0..SLOTS {
            if let Some(notes) = seen.servers.remove(&slot) {
                words.push(format!("s{slot}[{}]", notes.join(",")));
            }
        }
        for slot in 0..SLOTS {
            if self.is_taken(slot).await {
                words.push(format!("+{slot}"));
            } else {
                self.board.empty(slot);
            }
        }
        if words.is_empty() {
            words.push("-".to_owned());
        }
        words.join(" ")
    }
}

/// What was seen in a step.
#[derive(Default)]
struct Seen {
    ends: HashMap<MonitorRef, ExitReason>,
    results: HashMap<Who, Vec<String>>,
    notices: HashMap<Who, Vec<String>>,
    servers: HashMap<Slot, Vec<String>>,
}

impl Actor {
    /// What was seen of it. Of one that ended in this step nobody knows how far
    /// it came before.
    fn word(&mut self, seen: &mut Seen) -> Option<String> {
        let results = seen.results.remove(&self.who).unwrap_or_default();
        let mut notices = seen.notices.remove(&self.who).unwrap_or_default();
        if let Some(why) = seen.ends.remove(&self.monitor) {
            self.condition = Condition::Ended;
            return Some(format!("{}!{}", self.who, reason(&why)));
        }
        let mut busy = "";
        if let Condition::Busy(done) = &mut self.condition {
            match done.try_recv() {
                Ok(()) => self.condition = Condition::Idle,
                Err(_) => busy = "~",
            }
        }
        // What comes of one end comes in any order.
        notices.sort_unstable();
        let is_quiet = results.is_empty() && notices.is_empty() && busy.is_empty();
        let (results, notices) = (results.join(","), notices.join(","));
        (!is_quiet).then(|| format!("{}[{results}|{notices}]{busy}", self.who))
    }
}
