//! State machines that follow a script, here and on Erlang's `gen_statem`.
//!
//! All messages lie in the mailbox before the machine begins, and a timeout is
//! either due at once or in hours, when nothing else happens any more: so what
//! a machine does depends on its script alone.

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures::channel::oneshot;
use futures::poll;
use resurgam::{
    Event, ExitReason, GenStatem, InitError, Node, StatemContext, TimeoutType, Transition,
    is_alive, sleep, whereis,
};

use crate::writing::List;

/// A script, and how many messages the machine is sent.
#[derive(Clone, Debug)]
pub struct Case {
    /// What `init` orders.
    pub initial: Vec<Action>,
    /// What the handling of each event does, one after the other.
    pub events: Vec<Step>,
    /// What each enter call orders.
    pub enters: Vec<Vec<Action>>,
    /// How many messages there are.
    pub messages: u32,
}

/// What the handling of an event does.
#[derive(Clone, Debug)]
pub struct Step {
    /// What becomes of the state.
    pub to: To,
    /// And what else is done.
    pub actions: Vec<Action>,
}

/// What becomes of the state.
#[derive(Copy, Clone, Debug)]
pub enum To {
    /// It stays.
    Keep,
    /// It stays, and is entered.
    Repeat,
    /// It is this one.
    Next(u8),
}

/// What else is done.
#[derive(Copy, Clone, Debug)]
pub enum Action {
    /// The event is postponed.
    Postpone,
    /// An event of this content is inserted.
    NextEvent(u32),
    /// A timeout is started with this content.
    Start(Timeout, Time, u32),
    /// It is given another content.
    Update(Timeout, u32),
    /// It is cancelled.
    Cancel(Timeout),
}

/// One of the timeouts; the generic ones have names.
pub type Timeout = TimeoutType<char>;

/// When a timeout is due.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Time {
    /// At once.
    Zero,
    /// In hours.
    Hours,
}

impl Case {
    /// The script of this seed.
    pub fn random(seed: u64) -> Self {
        let mut writer = Writer {
            rng: Rng::with_seed(seed),
            contents: 100,
        };
        Self {
            initial: writer.orders(),
            events: (0..writer.rng.usize(1..12))
                .map(|_| writer.step())
                .collect(),
            enters: (0..writer.rng.usize(..4))
                .map(|_| writer.orders())
                .collect(),
            messages: writer.rng.u32(1..8),
        }
    }
}

/// Writes scripts. Every event has a content of its own.
struct Writer {
    rng: Rng,
    contents: u32,
}

impl Writer {
    fn content(&mut self) -> u32 {
        self.contents += 1;
        self.contents
    }

    fn step(&mut self) -> Step {
        let to = match self.rng.u8(..8) {
            0..=3 => To::Keep,
            4 => To::Repeat,
            _ => To::Next(self.rng.u8(..3)),
        };
        let mut actions = self.orders();
        for _ in 0..self.rng.usize(..3) {
            let at = self.rng.usize(..=actions.len());
            let action = match self.rng.u8(..2) {
                0 => Action::Postpone,
                _ => Action::NextEvent(self.content()),
            };
            actions.insert(at, action);
        }
        Step { to, actions }
    }

    fn orders(&mut self) -> Vec<Action> {
        (0..self.rng.usize(..4)).map(|_| self.order()).collect()
    }

    fn order(&mut self) -> Action {
        let timeout = match self.rng.u8(..4) {
            0 => Timeout::Event,
            1 => Timeout::State,
            2 => Timeout::Generic('a'),
            _ => Timeout::Generic('b'),
        };
        match self.rng.u8(..8) {
            0 => Action::Cancel(timeout),
            1 => Action::Update(timeout, self.content()),
            2..=4 => Action::Start(timeout, Time::Hours, self.content()),
            _ => Action::Start(timeout, Time::Zero, self.content()),
        }
    }
}

/// What a machine notes of a script, in the words that Erlang has for it: what
/// it handles, then the timeouts that run at last, then what was postponed.
///
/// To be run in a simulation, where the time passes when nothing else happens.
///
/// # Panics
///
/// If the machine ends.
pub async fn seen(case: Case) -> String {
    const QUIET: Duration = Duration::from_secs(60);
    let (log, is_over) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let (release, gate) = oneshot::channel();
    let messages = case.messages;
    let script = (case, log.clone(), Arc::clone(&is_over), gate);
    let mut start = Box::pin(Follower::builder(script).name("follower").start());
    assert!(poll!(&mut start).is_pending());
    let by_name = Node::current().named("follower");
    for number in 1..=messages {
        by_name.cast(Message::Numbered(number));
    }
    // By then all of them have arrived.
    let pid = whereis("follower").expect("it waits in `init`");
    assert_eq!(is_alive(pid).await, Ok(true));
    let _ = release.send(());
    let follower = start.await.expect("nothing keeps it from its start");
    sleep(QUIET).await;
    let mut words = log.take();
    is_over.store(true, Ordering::SeqCst);
    sleep(3 * HOUR).await;
    let mut running: Vec<_> = log.take();
    // Only content and kind count there, not the state.
    running.iter_mut().for_each(|word| {
        word.truncate(word.find('@').unwrap_or(word.len()));
    });
    running.sort_unstable();
    follower.cast(Message::Flush);
    sleep(QUIET).await;
    words.append(&mut log.take());
    words.push("running".to_owned());
    words.append(&mut running);
    resurgam::kill(pid);
    follower.join().await;
    words.join(" ")
}

const HOUR: Duration = Duration::from_secs(3600);

/// What was noted.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, word: String) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(word);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut log)
    }
}

/// A machine that follows a script.
struct Follower {
    log: Log,
    is_over: Arc<AtomicBool>,
    events: VecDeque<Step>,
    enters: VecDeque<Vec<Action>>,
}

enum Message {
    Numbered(u32),
    /// To go to the last state, where what was postponed is seen.
    Flush,
}

impl GenStatem for Follower {
    type Args = (Case, Log, Arc<AtomicBool>, oneshot::Receiver<()>);
    type State = u8;
    type Message = Message;
    type Internal = u32;
    type Timeout = char;

    async fn init(
        (case, log, is_over, gate): Self::Args,
        ctx: &mut StatemContext<Self>,
    ) -> Result<(u8, Self), InitError> {
        let _ = gate.await;
        order(ctx, &case.initial);
        let follower = Self {
            log,
            is_over,
            events: case.events.into(),
            enters: case.enters.into(),
        };
        Ok((0, follower))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &u8,
        ctx: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        let (kind, content) = match &event {
            Event::Message(Message::Numbered(number)) => ("m".to_owned(), *number),
            Event::Message(Message::Flush) => {
                self.log.note("flush".to_owned());
                return Ok(Transition::next_state(9));
            }
            Event::Info(info) => panic!("{info:?}"),
            Event::Internal(content) => ("i".to_owned(), *content),
            Event::Timeout(content) => ("t".to_owned(), *content),
            Event::StateTimeout(content) => ("s".to_owned(), *content),
            Event::GenericTimeout(name, content) => (name.to_string(), *content),
        };
        self.log.note(format!("{kind}{content}@{state}"));
        if self.is_over.load(Ordering::SeqCst) {
            return Ok(Transition::keep_state());
        }
        let Some(step) = self.events.pop_front() else {
            return Ok(Transition::keep_state());
        };
        order(ctx, &step.actions);
        Ok(transition(event, &step))
    }

    async fn enter(
        &mut self,
        old: &u8,
        state: &u8,
        ctx: &mut StatemContext<Self>,
    ) -> Result<(), ExitReason> {
        self.log.note(format!("{old}>{state}"));
        if let Some(actions) = self.enters.pop_front()
            && !self.is_over.load(Ordering::SeqCst)
        {
            order(ctx, &actions);
        }
        Ok(())
    }
}

fn transition(event: Event<Follower>, step: &Step) -> Transition<Follower> {
    let mut transition = match step.to {
        To::Keep => Transition::keep_state(),
        To::Repeat => Transition::repeat_state(),
        To::Next(state) => Transition::next_state(state),
    };
    let mut event = Some(event);
    for action in &step.actions {
        transition = match *action {
            Action::NextEvent(content) => transition.next_event(Event::Internal(content)),
            Action::Postpone => match event.take() {
                Some(event) => transition.postpone(event),
                None => transition,
            },
            Action::Start(..) | Action::Update(..) | Action::Cancel(_) => transition,
        };
    }
    transition
}

fn order(ctx: &mut StatemContext<Follower>, actions: &[Action]) {
    for action in actions {
        match *action {
            Action::Postpone | Action::NextEvent(_) => {}
            Action::Start(Timeout::Event, time, content) => {
                ctx.timeout(time.duration(1), content);
            }
            Action::Start(Timeout::State, time, content) => {
                ctx.state_timeout(time.duration(2), content);
            }
            Action::Start(Timeout::Generic(name), time, content) => {
                ctx.generic_timeout(name, time.duration(2), content);
            }
            Action::Update(timeout, content) => ctx.update_timeout(timeout, content),
            Action::Cancel(timeout) => ctx.cancel_timeout(timeout),
        }
    }
}

impl Time {
    fn duration(self, hours: u32) -> Duration {
        match self {
            Self::Zero => Duration::ZERO,
            Self::Hours => hours * HOUR,
        }
    }
}

/// As an Erlang term.
impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enters: Vec<_> = self.enters.iter().map(|enter| List(enter)).collect();
        let (initial, events, enters) = (List(&self.initial), List(&self.events), List(&enters));
        write!(f, "{{{initial},{events},{enters},{}}}", self.messages)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            To::Keep => write!(f, "{{keep,{}}}", List(&self.actions)),
            To::Repeat => write!(f, "{{repeat,{}}}", List(&self.actions)),
            To::Next(state) => write!(f, "{{{state},{}}}", List(&self.actions)),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postpone => f.write_str("postpone"),
            Self::NextEvent(content) => write!(f, "{{next_event,{content}}}"),
            Self::Start(timeout, time, content) => {
                write!(f, "{{start,{},{},{content}}}", name(*timeout), *time as u8)
            }
            Self::Update(timeout, content) => write!(f, "{{update,{},{content}}}", name(*timeout)),
            Self::Cancel(timeout) => write!(f, "{{cancel,{}}}", name(*timeout)),
        }
    }
}

fn name(timeout: Timeout) -> String {
    match timeout {
        Timeout::Event => "event".to_owned(),
        Timeout::State => "state".to_owned(),
        Timeout::Generic(name) => name.to_string(),
    }
}
