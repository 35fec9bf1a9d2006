//! A server that follows a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use resurgam::{
    CallError, Down, Exit, ExitReason, GenServer, Info, InitError, Pid, Reply, ServerContext,
    is_alive, link, monitor, trap_exit,
};

use super::board::{Board, Note, reason};
use super::script::{
    Act, Bond, Due, End, Event, Init, Life, OnEnd, Plan, Reason, Slot, Start, Then, Who,
};
use super::{HOUR, SHORT};

/// A server that follows a script. Its state is the number of events it has
/// handled, if nobody replaces it.
pub(super) struct Follower {
    pub(super) state: u32,
    own: Arc<Own>,
}

/// What stays when the state is replaced.
struct Own {
    board: Board,
    slot: Slot,
    bond: Bond,
    life: Life,
    ways: Mutex<Ways>,
}

#[derive(Default)]
struct Ways {
    /// The calls without a reply, by the numbers of their events.
    pending: VecDeque<(u32, Reply<u32>)>,
    /// What is handled when the time-out comes.
    on_timeout: Option<Event>,
    signals: Signals,
}

/// Whether a server has sent itself an exit signal.
#[derive(Copy, Clone, PartialEq, Eq, Default)]
enum Signals {
    #[default]
    Unsent,
    Sent,
}

/// What a follower is sent.
pub(super) enum Msg {
    Call(Event, Reply<u32>),
    Cast(Event),
}

impl Reason {
    pub(super) fn exit(self) -> ExitReason {
        match self {
            Self::Normal => ExitReason::Normal,
            Self::Shutdown => ExitReason::Shutdown,
            Self::ShutdownWith => ExitReason::shutdown_with(1),
            Self::Kill => ExitReason::Kill,
            Self::Oops => ExitReason::custom("oops"),
        }
    }
}

impl GenServer for Follower {
    type Args = (Board, Start);
    type Message = Msg;

    async fn init(
        (board, start): Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        let slot = start.slot;
        board.with(|state| state.names.insert(ctx.pid(), format!("s{slot}")));
        let follower = Self {
            state: 0,
            own: Arc::new(Own {
                board,
                slot,
                bond: start.bond,
                life: start.life,
                ways: Mutex::default(),
            }),
        };
        follower.trap(follower.own.life.traps);
        follower.note("init");
        if start.held {
            follower.own.board.hold(slot).await;
        }
        match start.init {
            Init::Ok(then) => follower.order(then, ctx),
            Init::Ignore => return Err(InitError::Ignore),
            Init::Stop(reason) | Init::Raise(reason) => {
                return Err(InitError::Stop(reason.exit()));
            }
            Init::Crash => panic!("as the script says"),
        }
        Ok(follower)
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Call(event, reply) => {
                let pending = (event.number, reply);
                self.ways(|ways| ways.pending.push_back(pending));
                self.play("call", event, ctx).await
            }
            Msg::Cast(event) => self.play("cast", event, ctx).await,
        }
    }

    async fn handle_continue(
        &mut self,
        msg: Msg,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let (Msg::Call(event, _) | Msg::Cast(event)) = msg;
        self.play("continue", event, ctx).await
    }

    async fn handle_info(
        &mut self,
        info: Info,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Timeout => {
                let event = self.ways(|ways| ways.on_timeout.take());
                let event = event.expect("nobody else orders a time-out");
                self.play("timeout", event, ctx).await
            }
            Info::Exit(Exit { from, reason }) => self.play_info("exit", from, &reason, ctx).await,
            Info::Down(Down { pid, reason, .. }) => self.play_info("down", pid, &reason, ctx).await,
            info => panic!("{info:?}"),
        }
    }

    async fn terminate(&mut self, why: &ExitReason, _: &mut ServerContext<Self>) {
        self.note(&format!("terminate:{}", reason(why)));
        match self.own.life.on_end {
            OnEnd::Nothing => {}
            OnEnd::Hold => self.own.board.hold(self.own.slot).await,
            OnEnd::Crash => panic!("as the script says"),
        }
    }
}

impl Follower {
    /// The same in another state.
    pub(super) fn with_state(&self, state: u32) -> Self {
        let own = Arc::clone(&self.own);
        Self { state, own }
    }

    fn note(&self, what: &str) {
        let note = format!("{what}@{}", self.state);
        self.own.board.note(Note::Server(self.own.slot, note));
    }

    fn ways<R>(&self, act: impl FnOnce(&mut Ways) -> R) -> R {
        let mut ways = self.own.ways.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut ways)
    }

    async fn play_info(
        &mut self,
        kind: &str,
        who: Pid,
        why: &ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.note(&format!(
            "{kind}:{}:{}",
            self.own.board.name(who),
            reason(why)
        ));
        let plan = self.own.life.on_info.clone();
        self.follow("info", Event { number: 0, plan }, ctx).await
    }

    async fn play(
        &mut self,
        kind: &str,
        event: Event,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.note(&format!("{kind}{}", event.number));
        self.follow(kind, event, ctx).await
    }

    async fn follow(
        &mut self,
        kind: &str,
        Event { number, plan }: Event,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let Plan { acts, end } = plan;
        for act in acts {
            self.act(act, number, ctx).await;
        }
        match end {
            End::Ok(then) => {
                self.state += 1;
                self.order(then, ctx);
                Ok(())
            }
            End::Stop(reason) => {
                self.state += 1;
                Err(reason.exit())
            }
            End::StopReply(reason) => {
                self.state += 1;
                match self.unreplied(kind, number) {
                    Some(reply) => ctx.stop_with_reply(reason.exit(), reply, number),
                    None => Err(reason.exit()),
                }
            }
            End::Raise(reason) => Err(reason.exit()),
            End::Crash => panic!("as the script says"),
        }
    }

    /// The reply to the present call, if it is one and has none.
    fn unreplied(&self, kind: &str, number: u32) -> Option<Reply<u32>> {
        self.ways(|ways| {
            let (newest, _) = ways.pending.back()?;
            let is_present = kind == "call" && *newest == number;
            let newest = is_present.then(|| ways.pending.pop_back()).flatten();
            newest.map(|(_, reply)| reply)
        })
    }

    fn order(&self, then: Then, ctx: &mut ServerContext<Self>) {
        match then {
            // To hibernate is nothing here (law GS-59).
            Then::Nothing | Then::Hibernate => {}
            Then::Continue(event) => ctx.continue_with(Msg::Cast(*event)),
            Then::Timeout(due, event) => {
                self.ways(|ways| ways.on_timeout = Some(*event));
                ctx.set_timeout(match due {
                    Due::Zero => Duration::ZERO,
                    Due::Short => SHORT[usize::from(self.own.slot)] * HOUR,
                });
            }
        }
    }

    async fn act(&self, act: Act, number: u32, ctx: &mut ServerContext<Self>) {
        match act {
            Act::Reply => {
                if let Some((_, reply)) = self.ways(|ways| ways.pending.pop_back()) {
                    reply.send(number);
                }
            }
            Act::ReplyOldest => {
                if let Some((_, reply)) = self.ways(|ways| ways.pending.pop_front()) {
                    reply.send(number);
                }
            }
            Act::HandOut => {
                if let Some((_, reply)) = self.ways(|ways| ways.pending.pop_back()) {
                    self.own.board.with(|state| state.handed.push_back(reply));
                }
            }
            Act::CastSelf(event) => ctx.self_ref().cast(Msg::Cast(event)),
            Act::CallSelf => {
                let event = Event {
                    number,
                    plan: Plan {
                        acts: Vec::new(),
                        end: End::Ok(Then::Nothing),
                    },
                };
                let called = ctx.self_ref().call(|reply| Msg::Call(event, reply)).await;
                assert_eq!(called, Err(CallError::CallingSelf));
                self.note("calling_self");
            }
            Act::Hold => self.own.board.hold(self.own.slot).await,
            Act::Trap(trap) => self.trap(trap),
            Act::Link(who) => {
                if let Some(client) = self.living(who).await {
                    link(client);
                }
            }
            Act::Monitor(who) => {
                if let Some(client) = self.living(who).await {
                    monitor(client);
                }
            }
            Act::ExitSelf(Reason::Kill) => resurgam::kill(ctx.pid()),
            Act::ExitSelf(reason) => {
                // In OTP, one that nobody is linked to is its own parent.
                if !matches!(self.own.bond, Bond::Linked) {
                    self.trap(false);
                }
                resurgam::exit(ctx.pid(), reason.exit());
                self.ways(|ways| ways.signals = Signals::Sent);
            }
        }
    }

    /// One that was started with a monitor does not trap exits: OTP takes the
    /// starter for the parent of a server that it calls standalone, and so ends
    /// it by any exit of the starter. One that has sent itself an exit signal
    /// changes nothing any more: OTP 25 receives that with the flag of a later
    /// moment (law SIG-15).
    fn trap(&self, trap: bool) {
        if self.ways(|ways| ways.signals == Signals::Sent) {
            return;
        }
        trap_exit(trap && !matches!(self.own.bond, Bond::Monitored));
    }

    /// A client, if it lives.
    async fn living(&self, who: Who) -> Option<Pid> {
        let client = self
            .own
            .board
            .with(|state| state.clients.get(&who).copied())?;
        (is_alive(client).await == Ok(true)).then_some(client)
    }
}
