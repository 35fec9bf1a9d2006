//! A client that does what it is told and notes what came of it.

use std::collections::VecDeque;
use std::time::Duration;

use resurgam::sys::{self, Condition};
use resurgam::{
    CallError, Context, Down, Exit, ExitReason, GenServer, Message, MonitorRef, Node, Request,
    RequestCollection, StartError, StopServerError, TimeoutTime, demonitor, link, monitor,
    trap_exit, unlink, whereis,
};

use super::board::{Board, Note, reason, registered};
use super::follower::{Follower, Msg};
use super::script::{Ask, Bond, Command, Limit, Manner, Reason, SLOTS, Slot, Start, Target, Who};
use super::{CALL, HOUR, START, STOP};

/// A client.
pub(super) struct Client {
    who: Who,
    board: Board,
    /// The requests whose response was not taken, the oldest first.
    requests: VecDeque<Request<u32>>,
    collection: RequestCollection<u32, u32>,
    monitors: [Vec<MonitorRef>; SLOTS as usize],
}

/// What a client is sent.
pub(super) type Order = (Command, tokio::sync::oneshot::Sender<()>);

impl Client {
    pub(super) fn new(who: Who, board: Board) -> Self {
        Self {
            who,
            board,
            requests: VecDeque::new(),
            collection: RequestCollection::new(&Node::current()),
            monitors: Default::default(),
        }
    }

    /// Does one thing after the other; with what reason it ends.
    pub(super) async fn live(mut self, traps: bool, mut ctx: Context<Order>) -> ExitReason {
        trap_exit(traps);
        loop {
            match ctx.receive().await {
                Message::User((Command::End(reason), _)) => return reason.exit(),
                Message::User((command, done)) => {
                    let result = self.perform(command).await;
                    self.board.note(Note::Result(self.who, result));
                    let _ = done.send(());
                }
                Message::Exit(Exit { from, reason: why }) => {
                    self.notice(format!("exit:{}:{}", self.board.name(from), reason(&why)));
                }
                Message::Down(Down {
                    pid, reason: why, ..
                }) => {
                    self.notice(format!("down:{}:{}", self.board.name(pid), reason(&why)));
                }
            }
        }
    }

    fn notice(&self, notice: String) {
        self.board.note(Note::Notice(self.who, notice));
    }

    async fn perform(&mut self, command: Command) -> String {
        match command {
            Command::Start(start) => self.start(start).await,
            Command::Call(to, limit, event) => {
                let server = self.board.server(to);
                let call = server.call(|reply| Msg::Call(event, reply));
                let called = match limit.time() {
                    Some(time) => call.timeout(time).await,
                    None => call.no_timeout().await,
                };
                called_word(called)
            }
            Command::Cast(to, event) => {
                self.board.server(to).cast(Msg::Cast(event));
                "ok".to_owned()
            }
            Command::Send(to, event) => {
                let server = self.board.server(to);
                let request = server.send_request(|reply| Msg::Call(event, reply));
                self.requests.push_back(request);
                "ok".to_owned()
            }
            Command::Response(manner, limit) => self.response(manner, limit).await,
            Command::Add(to, event) => {
                let (server, number) = (self.board.server(to), event.number);
                let request = server.send_request(|reply| Msg::Call(event, reply));
                self.collection.add(request, number);
                "ok".to_owned()
            }
            Command::Gather(manner, limit) => self.gather(manner, limit).await,
            Command::Stop(whom, limit, reason) => {
                let (server, reason) = (self.board.server(whom), reason.exit());
                let stopped = match limit {
                    Limit::Never => server.stop(reason).await,
                    Limit::Zero | Limit::Short => server.stop_timeout(reason, STOP * HOUR).await,
                };
                stopped_word(stopped)
            }
            Command::Sys(whom, limit, ask) => self.sys(whom, limit, ask).await,
            Command::Terminate(whom, reason) => {
                match sys::terminate(&self.board.server(whom), reason.exit()) {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => sys_word(error),
                }
            }
            Command::Whereis(slot) => match whereis(registered(slot)) {
                Some(pid) => self.board.name(pid),
                None => "none".to_owned(),
            },
            Command::Answer(value) => match self.board.with(|state| state.handed.pop_front()) {
                Some(reply) => {
                    reply.send(value);
                    "ok".to_owned()
                }
                None => "none".to_owned(),
            },
            Command::Exit(slot, reason) => self.signal(slot, |pid| match reason {
                Reason::Kill => resurgam::kill(pid),
                reason => resurgam::exit(pid, reason.exit()),
            }),
            Command::Link(slot) => self.signal(slot, link),
            Command::Unlink(slot) => self.signal(slot, unlink),
            Command::Monitor(slot) => {
                if let Some(pid) = self.board.pid(slot) {
                    self.monitors[usize::from(slot)].push(monitor(pid));
                }
                "ok".to_owned()
            }
            Command::Demonitor(slot) => match self.monitors[usize::from(slot)].pop() {
                Some(monitor) => {
                    demonitor(monitor);
                    "ok".to_owned()
                }
                None => "none".to_owned(),
            },
            Command::End(reason) => panic!("{reason:?} is handled before"),
        }
    }

    fn signal(&self, slot: Slot, send: impl FnOnce(resurgam::Pid)) -> String {
        if let Some(pid) = self.board.pid(slot) {
            send(pid);
        }
        "ok".to_owned()
    }

    async fn start(&mut self, start: Start) -> String {
        let slot = start.slot;
        let (bond, name, limit) = (start.bond, start.name, start.limit);
        let mut builder = Follower::builder((self.board.clone(), start));
        if let Some(name) = name {
            builder = builder.name(registered(name));
        }
        if limit == Limit::Short {
            builder = builder.timeout(START * HOUR);
        }
        let started = match bond {
            Bond::Free => builder.start().await,
            Bond::Linked => builder.start_link().await,
            Bond::Monitored => builder.start_monitor().await.map(|(server, monitor)| {
                self.monitors[usize::from(slot)].push(monitor);
                server
            }),
        };
        let seated = |server| {
            self.board.with(|state| {
                let seat = state.seat(slot);
                seat.starter = None;
                if let Some(server) = server {
                    seat.server = server;
                }
            });
        };
        match started {
            Ok(server) => {
                seated(Some(server));
                "ok".to_owned()
            }
            Err(error) => {
                seated(None);
                match error {
                    StartError::AlreadyStarted(pid) => format!("taken:{}", self.board.name(pid)),
                    StartError::Ignore => "ignore".to_owned(),
                    StartError::Failed(why) => format!("failed:{}", reason(&why)),
                    StartError::TimedOut => "timeout".to_owned(),
                    error => format!("{error:?}"),
                }
            }
        }
    }

    /// The response to the oldest request.
    async fn response(&mut self, manner: Manner, limit: Limit) -> String {
        let Some(mut request) = self.requests.pop_front() else {
            return "none".to_owned();
        };
        let response = match manner {
            Manner::Check => request.check_response(),
            Manner::Wait => request.wait_response(limit.until()).await,
            Manner::Receive => {
                return called_word(request.receive_response(limit.until()).await);
            }
        };
        match response {
            Some(response) => called_word(response),
            None => {
                self.requests.push_front(request);
                "timeout".to_owned()
            }
        }
    }

    /// One response of the collection. Of several servers that end in one step
    /// nobody knows who is told of first.
    async fn gather(&mut self, manner: Manner, limit: Limit) -> String {
        let gathered = match manner {
            Manner::Check => self.collection.wait_response(Duration::ZERO).await,
            Manner::Wait => self.collection.wait_response(limit.until()).await,
            Manner::Receive => self.collection.receive_response(limit.until()).await,
        };
        match gathered {
            Ok(Some((Ok(value), label))) => format!("{label}={value}"),
            Ok(Some((Err(CallError::Down(_)), _))) => "down".to_owned(),
            Ok(Some((Err(error), _))) => format!("{error:?}"),
            Ok(None) => "no_request".to_owned(),
            Err(resurgam::Elapsed) => "timeout".to_owned(),
        }
    }

    async fn sys(&self, whom: Target, limit: Limit, ask: Ask) -> String {
        let server = self.board.server(whom);
        match ask {
            Ask::Suspend => answered(sys::suspend(&server), limit, |()| "ok".to_owned()).await,
            Ask::Resume => answered(sys::resume(&server), limit, |()| "ok".to_owned()).await,
            Ask::State => {
                let asked = sys::get_state(&server, |follower: &Follower| follower.state);
                answered(asked, limit, |state| state.to_string()).await
            }
            Ask::Replace(state) => {
                let asked = sys::replace_state(&server, move |follower: &Follower| {
                    follower.with_state(state)
                });
                answered(asked, limit, |()| "ok".to_owned()).await
            }
            Ask::Crash => {
                let crash = |_: &Follower| panic!("as the script says");
                answered(sys::replace_state(&server, crash), limit, |()| {
                    "ok".to_owned()
                })
                .await
            }
            Ask::Status => {
                let asked = sys::get_status(&server);
                answered(asked, limit, |status| {
                    let parent = status.parent.map(|parent| self.board.name(parent));
                    let condition = match status.condition {
                        Condition::Running => "running",
                        Condition::Suspended => "suspended",
                    };
                    format!("{condition}:{}", parent.as_deref().unwrap_or("none"))
                })
                .await
            }
        }
    }
}

impl Limit {
    /// For what is limited in hours, or not at all.
    fn time(self) -> Option<Duration> {
        match self {
            Self::Zero => Some(Duration::ZERO),
            Self::Short => Some(CALL * HOUR),
            Self::Never => None,
        }
    }

    fn until(self) -> TimeoutTime {
        self.time().into()
    }
}

async fn answered<R: Send + 'static>(
    asked: sys::Asked<R>,
    limit: Limit,
    word: impl FnOnce(R) -> String,
) -> String {
    let asked = match limit.time() {
        Some(time) => asked.timeout(time),
        None => asked.no_timeout(),
    };
    asked.await.map_or_else(sys_word, word)
}

fn sys_word(error: sys::Error) -> String {
    match error {
        sys::Error::Down(why) => format!("down:{}", reason(&why)),
        sys::Error::TimedOut => "timeout".to_owned(),
        sys::Error::Panicked(_) => "failed".to_owned(),
        error => format!("{error:?}"),
    }
}

fn called_word(called: Result<u32, CallError>) -> String {
    match called {
        Ok(value) => value.to_string(),
        Err(CallError::Down(why)) => format!("down:{}", reason(&why)),
        Err(CallError::TimedOut) => "timeout".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn stopped_word(stopped: Result<(), StopServerError>) -> String {
    match stopped {
        Ok(()) => "ok".to_owned(),
        Err(StopServerError::NoProcess) => "down:noproc".to_owned(),
        Err(StopServerError::Exited(why)) => format!("down:{}", reason(&why)),
        Err(StopServerError::TimedOut) => "timeout".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}
