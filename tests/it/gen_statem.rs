//! State machines, law by law: starting, transitions, postponed and inserted
//! events, timeouts, ending.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures::channel::oneshot;
use futures::{FutureExt, poll};
use resurgam::{
    CallError, ChildSpec, Context, Event, Exit, ExitReason, GenStatem, Info, InitError,
    ManualClock, Message, Node, Reply, StartError, StatemContext, StatemRef, StopServerError,
    Strategy, Supervisor, TimeoutTime, TimeoutType, Transition, exit, is_alive, kill, link,
    monitor, self_pid, spawn, trap_exit, whereis,
};

use crate::support::{Log, idle, pid_of, run, run_on_threads, run_with_clock};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// How often a race is run.
const ROUNDS: usize = 300;

/// A machine that does what it is told and notes it. Its states are numbers.
struct Probe {
    log: Log,
    /// What the next enter calls do.
    enters: VecDeque<Enter>,
    kept: Vec<Reply<u32>>,
    last_words: LastWords,
}

/// What `terminate` does beside noting it.
enum LastWords {
    None,
    Panic,
    Wait(oneshot::Receiver<()>),
}

/// What a probe is told.
enum Order {
    Note(&'static str),
    /// To be noted in this state only, and postponed in others.
    In(u32, &'static str),
    Get(Reply<u32>),
    /// To be answered in this state only, and postponed in others.
    GetIn(u32, Reply<u32>),
    Do(Deed),
    /// To come back when the other end is dropped or used.
    Wait(oneshot::Receiver<()>),
}

type Ctx = StatemContext<Probe>;
type Outcome = Result<Transition<Probe>, ExitReason>;
type Deed = Box<dyn FnOnce(&mut Probe, &mut Ctx) -> Outcome + Send>;
type Enter = Box<dyn FnOnce(&mut Ctx) -> Result<(), ExitReason> + Send>;
type Init = Box<dyn FnOnce(&mut Ctx) -> Result<(), InitError> + Send>;

/// How a probe starts.
struct Birth {
    log: Log,
    /// Is waited for before anything else.
    gate: Option<oneshot::Receiver<()>>,
    init: Init,
    enters: VecDeque<Enter>,
}

impl GenStatem for Probe {
    type Args = Birth;
    type State = u32;
    type Message = Order;
    type Internal = &'static str;
    type Timeout = char;

    async fn init(birth: Birth, ctx: &mut Ctx) -> Result<(u32, Self), InitError> {
        if let Some(gate) = birth.gate {
            let _ = gate.await;
        }
        (birth.init)(ctx)?;
        birth.log.note("init");
        let probe = Self {
            log: birth.log,
            enters: birth.enters,
            kept: Vec::new(),
            last_words: LastWords::None,
        };
        Ok((0, probe))
    }

    async fn handle_event(&mut self, event: Event<Self>, state: &u32, ctx: &mut Ctx) -> Outcome {
        match event {
            Event::Message(Order::In(place, _)) | Event::Message(Order::GetIn(place, _))
                if place != *state =>
            {
                self.log.note("postponed");
                return Ok(Transition::keep_state().postpone(event));
            }
            Event::Message(Order::Note(what) | Order::In(_, what)) => {
                self.log.note(format!("{what}@{state}"));
            }
            Event::Message(Order::Get(reply) | Order::GetIn(_, reply)) => reply.send(*state),
            Event::Message(Order::Do(deed)) => return deed(self, ctx),
            Event::Message(Order::Wait(gate)) => drop(gate.await),
            Event::Info(Info::Exit(exit)) => self.log.note(format!("exit({})", told(&exit.reason))),
            Event::Info(Info::Down(down)) => self.log.note(format!("down({})", told(&down.reason))),
            Event::Info(other) => panic!("{other:?}"),
            Event::Internal(what) => self.log.note(format!("internal({what})@{state}")),
            Event::Timeout(what) => self.log.note(format!("event({what})@{state}")),
            Event::StateTimeout(what) => self.log.note(format!("state({what})@{state}")),
            Event::GenericTimeout(name, what) => {
                self.log.note(format!("{name}({what})@{state}"));
            }
        }
        Ok(Transition::keep_state())
    }

    async fn enter(&mut self, old: &u32, state: &u32, ctx: &mut Ctx) -> Result<(), ExitReason> {
        self.log.note(format!("{old}>{state}"));
        match self.enters.pop_front() {
            Some(enter) => enter(ctx),
            None => Ok(()),
        }
    }

    async fn terminate(&mut self, reason: &ExitReason, state: &u32, _: &mut Ctx) {
        let reason = told(reason);
        self.log.note(format!("terminate({reason})@{state}"));
        match &mut self.last_words {
            LastWords::None => {}
            LastWords::Panic => panic!("last words"),
            LastWords::Wait(gate) => drop(gate.await),
        }
    }
}

fn act<F>(deed: F) -> Order
where
    F: FnOnce(&mut Probe, &mut Ctx) -> Outcome + Send + 'static,
{
    Order::Do(Box::new(deed))
}

/// To stay, and order something for the timeouts.
fn set<F>(timeouts: F) -> Order
where
    F: FnOnce(&mut Ctx) + Send + 'static,
{
    act(|_, ctx| {
        timeouts(ctx);
        keep()
    })
}

/// To go to this state.
fn go(state: u32) -> Order {
    act(move |_, _| next(state))
}

fn keep() -> Outcome {
    Ok(Transition::keep_state())
}

fn next(state: u32) -> Outcome {
    Ok(Transition::next_state(state))
}

/// A reason in a word.
fn told(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Panicked(panic) => format!("panic {}", panic.message()),
        reason => reason.to_string().replace('"', ""),
    }
}

fn crash() -> ExitReason {
    ExitReason::custom("crash")
}

fn birth(log: &Log) -> Birth {
    Birth {
        log: log.clone(),
        gate: None,
        init: Box::new(|_| Ok(())),
        enters: VecDeque::new(),
    }
}

/// A probe that nobody is linked to.
async fn start(log: &Log) -> StatemRef<Probe> {
    let machine = Probe::start(birth(log)).await.unwrap();
    settle(&machine).await;
    assert_eq!(log.heard(), "init 0>0");
    machine
}

/// Once this has returned, all that was sent before has been handled.
async fn settle(machine: &StatemRef<Probe>) {
    machine.call(Order::Get).no_timeout().await.unwrap();
}

/// Keeps a probe busy until the sender is dropped.
fn hold_up(machine: &StatemRef<Probe>) -> oneshot::Sender<()> {
    let (release, gate) = oneshot::channel();
    machine.cast(Order::Wait(gate));
    release
}

/// What a fresh probe notes of these orders, which lie in its mailbox together.
async fn heard<const N: usize>(orders: [Order; N]) -> String {
    let log = Log::default();
    let machine = start(&log).await;
    let release = hold_up(&machine);
    for order in orders {
        machine.cast(order);
    }
    drop(release);
    settle(&machine).await;
    kill(pid_of(&machine));
    log.heard()
}

// Starting.

/// STM-27, STM-09: the starter is told before the first enter call, which is
/// from the first state to itself.
#[test]
fn start_returns_after_init_and_before_the_first_enter_call() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let log = Log::default();
        let starter = self_pid();
        let (entered, was_entered) = oneshot::channel::<()>();
        let enter: Enter = Box::new(move |ctx| {
            assert_eq!((ctx.pid(), ctx.parent()), (self_pid(), Some(starter)));
            drop(entered);
            Err(crash())
        });
        let birth = Birth {
            enters: [enter].into(),
            ..birth(&log)
        };
        let start = Probe::builder(birth).name("name").label("label");
        let machine = start.start_link().await.unwrap();
        assert!(was_entered.await.is_err());
        let exit = Exit {
            from: pid_of(&machine),
            reason: crash(),
        };
        assert_eq!(ctx.receive().await, Message::Exit(exit));
        assert_eq!(log.heard(), "init 0>0 terminate(crash)@0");
        assert_eq!(whereis("name"), None);
    });
}

/// STM-27: what `init` orders for the timeouts is done after the first enter
/// call, and messages that came meanwhile are handled after that.
#[test]
fn what_init_orders_is_done_after_the_first_enter_call() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let (release, gate) = oneshot::channel();
        let birth = Birth {
            gate: Some(gate),
            init: Box::new(|ctx| {
                ctx.timeout(Duration::ZERO, "none");
                ctx.state_timeout(Duration::ZERO, "first");
                ctx.generic_timeout('a', Duration::ZERO, "replaced");
                Ok(())
            }),
            enters: [Box::new(|ctx: &mut Ctx| {
                ctx.generic_timeout('a', Duration::ZERO, "last");
                Ok(())
            }) as Enter]
            .into(),
            ..birth(&log)
        };
        let mut start = Box::pin(Probe::builder(birth).name("name").start());
        assert!(poll!(&mut start).is_pending());
        Node::current().named("name").cast(Order::Note("message"));
        release.send(()).unwrap();
        let machine = start.await.unwrap();
        settle(&machine).await;
        let order = "init 0>0 event(none)@0 state(first)@0 a(last)@0 message@0";
        assert_eq!(log.heard(), order);
        kill(pid_of(&machine));
    });
}

/// STM-28: the reason of `init` is told, and nothing is left of the machine.
#[test]
fn failed_init_is_told() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let failures: [fn() -> Result<(), InitError>; 4] = [
            || Err(InitError::Ignore),
            || Err(InitError::Stop(crash())),
            || Err(InitError::Error(crash())),
            || panic!("on purpose"),
        ];
        for (number, failure) in failures.into_iter().enumerate() {
            let log = Log::default();
            let birth = Birth {
                init: Box::new(move |_| failure()),
                ..birth(&log)
            };
            let start = Probe::builder(birth).name("name").start_link().await;
            match (number, start.unwrap_err()) {
                (0, error) => assert_eq!(error, StartError::Ignore),
                (3, StartError::Failed(ExitReason::Panicked(panic))) => {
                    assert_eq!(panic.message(), "on purpose");
                }
                (_, error) => assert_eq!(error, StartError::Failed(crash())),
            }
            assert_eq!((log.heard(), whereis("name")), (String::new(), None));
            assert_eq!(ctx.try_receive(), None);
        }
    });
}

// Events and transitions.

/// STM-02: messages, which are calls and casts, infos, and what is internal;
/// the timeouts have tests of their own.
#[test]
fn each_kind_of_event_is_told_as_such() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        let other = spawn(idle).unwrap();
        let watched = pid_of(&other);
        machine.cast(Order::Note("cast"));
        machine.cast(act(move |_, _| {
            trap_exit(true);
            monitor(watched);
            link(watched);
            Ok(Transition::keep_state().next_event(Event::Internal("own")))
        }));
        assert_eq!(machine.call(Order::Get).await, Ok(0));
        assert_eq!(log.heard(), "cast@0 internal(own)@0");
        machine.cast(act(move |_, _| {
            exit(watched, crash());
            keep()
        }));
        let order = "exit(crash) down(crash)";
        assert_eq!(log.until(&machine, "down(crash)").await, order);
        exit(pid_of(&machine), crash());
        assert_eq!(log.until(&machine, "exit(crash)").await, "exit(crash)");
        kill(pid_of(&machine));
    });
}

/// STM-03: equality decides, but the new value is kept.
#[test]
fn equal_state_is_no_change() {
    run(|_: Context<()>| async {
        let lamp = Lamp::start(()).await.unwrap();
        for (to, entered, from) in [(1, 0, 0), (2, 1, 1), (3, 1, 2), (0, 1, 3), (0, 2, 0)] {
            let light = Light { brightness: to };
            let seen = lamp.call(|reply| Switch(light, reply)).await;
            assert_eq!(seen, Ok((entered, from)), "to {to}");
        }
        kill(pid_of(&lamp));
    });
}

/// A lamp that counts how often it was switched on or off.
struct Lamp(u32);

/// Whose states are equal if both shine or neither does.
struct Light {
    brightness: u32,
}

/// To be told how often it was switched before, and how bright it was.
struct Switch(Light, Reply<(u32, u32)>);

impl PartialEq for Light {
    fn eq(&self, other: &Self) -> bool {
        (self.brightness > 0) == (other.brightness > 0)
    }
}

impl GenStatem for Lamp {
    type Args = ();
    type State = Light;
    type Message = Switch;
    type Internal = Infallible;
    type Timeout = Infallible;

    async fn init((): (), _: &mut StatemContext<Self>) -> Result<(Light, Self), InitError> {
        Ok((Light { brightness: 0 }, Self(0)))
    }

    async fn handle_event(
        &mut self,
        event: Event<Self>,
        state: &Light,
        _: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        // What can never come needs no arm.
        match event {
            Event::Message(Switch(light, reply)) => {
                reply.send((self.0, state.brightness));
                Ok(Transition::next_state(light))
            }
            Event::Info(info) => panic!("{info:?}"),
        }
    }

    async fn enter(
        &mut self,
        old: &Light,
        state: &Light,
        _: &mut StatemContext<Self>,
    ) -> Result<(), ExitReason> {
        self.0 += u32::from(old != state);
        Ok(())
    }
}

/// STM-04: replies, the enter call, inserted events, postponed ones, timeouts
/// of no time, the mailbox.
#[test]
fn transition_goes_in_order() {
    run(|_: Context<()>| async {
        let order = heard([
            Order::In(1, "postponed"),
            act(|probe, ctx| {
                ctx.generic_timeout('a', Duration::ZERO, "of the event");
                let log = probe.log.clone();
                probe.enters.push_back(Box::new(move |ctx| {
                    log.note("enters");
                    ctx.generic_timeout('b', Duration::ZERO, "of the enter call");
                    Ok(())
                }));
                let transition = Transition::next_state(1);
                Ok(transition.next_event(Event::Internal("inserted")))
            }),
            Order::Note("message"),
        ]);
        let expected = "postponed 0>1 enters internal(inserted)@1 postponed@1 \
            a(of the event)@1 b(of the enter call)@1 message@1";
        assert_eq!(order.await, expected);
    });
}

/// STM-05: whatever kind they are of, and those that they insert before them.
#[test]
fn inserted_events_go_first_in_their_order() {
    run(|_: Context<()>| async {
        let order = heard([
            Order::In(1, "retried"),
            act(|_, _| {
                let chain = act(|_, _| {
                    let own = Event::Message(Order::Note("inserted by it"));
                    Ok(Transition::keep_state().next_event(own))
                });
                Ok(Transition::next_state(1)
                    .next_event(Event::Internal("first"))
                    .next_event(Event::Message(chain))
                    .next_event(Event::StateTimeout("third")))
            }),
            Order::Note("message"),
        ]);
        let expected = "postponed 0>1 internal(first)@1 inserted by it@1 state(third)@1 \
            retried@1 message@1";
        assert_eq!(order.await, expected);
    });
}

/// STM-06: all of them, those that are to be postponed again included, and the
/// event that changes the state last.
#[test]
fn postponed_events_are_retried_after_a_change_oldest_first() {
    run(|_: Context<()>| async {
        let order = heard([
            Order::In(1, "one"),
            Order::In(2, "two"),
            Order::In(1, "three"),
            go(1),
            Order::Note("between"),
            Order::In(1, "four"),
            act(|_, _| {
                let again = Event::Message(Order::Note("the event itself"));
                Ok(Transition::next_state(2).postpone(again))
            }),
        ]);
        let expected = "postponed postponed postponed 0>1 one@1 postponed three@1 between@1 four@1 \
            1>2 two@2 the event itself@2";
        assert_eq!(order.await, expected);
    });
}

/// STM-06: a call that was postponed is answered when its time has come.
#[test]
fn postponed_call_is_answered_in_another_state() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        let mut call = Box::pin(machine.call(|reply| Order::GetIn(1, reply)).no_timeout());
        assert!(poll!(&mut call).is_pending());
        settle(&machine).await;
        assert_eq!(log.heard(), "postponed");
        machine.cast(go(1));
        assert_eq!(call.await, Ok(1));
        kill(pid_of(&machine));
    });
}

/// STM-07, STM-36: neither data nor other events bring them back; they pile up.
#[test]
fn postponed_events_wait_as_long_as_the_state_stays() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        for _ in 0..100 {
            machine.cast(Order::In(1, "late"));
            machine.cast(act(|probe, _| {
                probe.kept.clear();
                next(0)
            }));
        }
        settle(&machine).await;
        assert_eq!(log.heard(), ["postponed"; 100].join(" "));
        machine.cast(go(1));
        settle(&machine).await;
        let retried = ["late@1"; 100].join(" ");
        assert_eq!(log.heard(), format!("0>1 {retried}"));
        kill(pid_of(&machine));
    });
}

/// STM-08, STM-13: the enter call alone; no retry, and the state timeout runs
/// on.
#[test]
fn repeated_state_repeats_the_enter_call_alone() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(Order::In(1, "late"));
        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "over")));
        machine.cast(act(|_, _| Ok(Transition::repeat_state())));
        settle(&machine).await;
        assert_eq!(log.heard(), "postponed 0>0");
        clock.advance(SECOND);
        settle(&machine).await;
        assert_eq!(log.heard(), "state(over)@0");
        kill(pid_of(&machine));
    });
}

/// STM-09: before any event of the new state.
#[test]
fn enter_call_runs_on_each_change_and_when_it_is_repeated() {
    run(|_: Context<()>| async {
        let order = heard([
            go(1),
            go(1),
            act(|_, _| keep()),
            go(2),
            Order::Note("message"),
            act(|_, _| Ok(Transition::repeat_state())),
        ]);
        assert_eq!(order.await, "0>1 1>2 message@2 2>2");
    });
}

/// STM-11, STM-21: the reply to a call of another state.
#[test]
fn enter_call_may_reply_and_set_timeouts() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        let called = machine.call(|reply| {
            act(move |probe, _| {
                probe.enters.push_back(Box::new(move |ctx| {
                    ctx.state_timeout(Duration::ZERO, "entered");
                    reply.send(7);
                    Ok(())
                }));
                next(1)
            })
        });
        assert_eq!(called.await, Ok(7));
        settle(&machine).await;
        assert_eq!(log.heard(), "0>1 state(entered)@1");
        kill(pid_of(&machine));
    });
}

/// STM-21: a reply may be kept, and sent in another event and state.
#[test]
fn reply_may_come_from_another_event_and_state() {
    run(|_: Context<()>| async {
        let machine = start(&Log::default()).await;
        let mut call = Box::pin(machine.call(|reply| {
            act(move |probe, _| {
                probe.kept.push(reply);
                keep()
            })
        }));
        assert!(poll!(&mut call).is_pending());
        machine.cast(go(1));
        machine.cast(act(|probe, _| {
            probe.kept.drain(..).for_each(|reply| reply.send(5));
            keep()
        }));
        assert_eq!(call.await, Ok(5));
        kill(pid_of(&machine));
    });
}

// Timeouts.

/// STM-12: a message, an info, and an event of another timeout.
#[test]
fn any_event_cancels_the_event_timeout() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(act(|_, ctx| {
            trap_exit(true);
            ctx.timeout(SECOND, "quiet");
            keep()
        }));
        clock.advance_to_next().await;
        assert_eq!(
            log.until(&machine, "event(quiet)@0").await,
            "event(quiet)@0"
        );

        let interruptions: [fn(&StatemRef<Probe>); 2] = [
            |machine| machine.cast(Order::Note("message")),
            |machine| exit(pid_of(machine), crash()),
        ];
        for interruption in interruptions {
            machine.cast(set(|ctx| ctx.timeout(SECOND, "quiet")));
            is_alive(pid_of(&machine)).await.unwrap();
            assert_eq!(Node::current().timer_count(), 1);
            interruption(&machine);
            settle(&machine).await;
            assert_eq!(Node::current().timer_count(), 0);
            clock.advance(HOUR);
            settle(&machine).await;
            assert!(!log.heard().contains("quiet"));
        }
        machine.cast(set(|ctx| {
            ctx.generic_timeout('a', SECOND, "interrupts");
            ctx.timeout(2 * SECOND, "quiet");
        }));
        is_alive(pid_of(&machine)).await.unwrap();
        clock.advance(HOUR);
        settle(&machine).await;
        assert!(log.heard().starts_with("a(interrupts)@0"));
        kill(pid_of(&machine));
    });
}

/// STM-12, STM-15: events that were inserted or are retried cancel it too.
#[test]
fn events_of_the_queue_cancel_the_event_timeout() {
    run(|_: Context<()>| async {
        let order = heard([
            act(|_, ctx| {
                ctx.timeout(Duration::ZERO, "never");
                let inserted = Event::Internal("inserted");
                Ok(Transition::keep_state().next_event(inserted))
            }),
            Order::In(1, "retried"),
            act(|_, ctx| {
                ctx.timeout(Duration::ZERO, "never");
                next(1)
            }),
            act(|_, ctx| {
                ctx.timeout(Duration::ZERO, "at once");
                keep()
            }),
            Order::Note("message"),
        ]);
        let expected = "internal(inserted)@0 postponed 0>1 retried@1 event(at once)@1 message@1";
        assert_eq!(order.await, expected);
    });
}

/// STM-13: it survives events of the same state, and one that is set by the
/// change is of the new state.
#[test]
fn change_of_state_cancels_the_state_timeout() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "survives")));
        machine.cast(Order::Note("message"));
        settle(&machine).await;
        clock.advance(SECOND);
        settle(&machine).await;
        assert_eq!(log.heard(), "message@0 state(survives)@0");

        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "cancelled")));
        machine.cast(go(1));
        settle(&machine).await;
        assert_eq!(Node::current().timer_count(), 0);
        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "cancelled")));
        machine.cast(act(|_, ctx| {
            ctx.state_timeout(2 * SECOND, "new");
            next(2)
        }));
        settle(&machine).await;
        clock.advance(HOUR);
        settle(&machine).await;
        assert_eq!(log.heard(), "0>1 1>2 state(new)@2");
        kill(pid_of(&machine));
    });
}

/// STM-14: neither events nor changes cancel it, and each name has its own.
#[test]
fn generic_timeout_runs_until_it_is_cancelled_or_started_again() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(set(|ctx| {
            ctx.generic_timeout('a', SECOND, "survives");
            ctx.generic_timeout('b', 2 * SECOND, "cancelled");
            ctx.generic_timeout('c', 3 * SECOND, "first");
        }));
        machine.cast(go(1));
        machine.cast(Order::Note("message"));
        machine.cast(set(|ctx| {
            ctx.cancel_timeout(TimeoutType::Generic('b'));
            ctx.generic_timeout('c', 4 * SECOND, "second");
        }));
        settle(&machine).await;
        assert_eq!(Node::current().timer_count(), 2);
        clock.advance(3 * SECOND);
        settle(&machine).await;
        assert_eq!(log.heard(), "0>1 message@1 a(survives)@1");
        clock.advance(SECOND);
        settle(&machine).await;
        assert_eq!(log.heard(), "c(second)@1");
        kill(pid_of(&machine));
    });
}

/// STM-15, STM-16: in the order of the calls, after what is in the queue, and
/// before messages that lie in the mailbox already.
#[test]
fn timeouts_of_no_time_go_after_the_queue_and_before_the_mailbox() {
    run(|_: Context<()>| async {
        let order = heard([
            act(|_, ctx| {
                ctx.generic_timeout('b', Duration::ZERO, "first");
                ctx.state_timeout(Duration::ZERO, "second");
                ctx.generic_timeout('a', Duration::ZERO, "third");
                let chain = act(|_, ctx| {
                    ctx.generic_timeout('c', Duration::ZERO, "last");
                    Ok(Transition::keep_state().next_event(Event::Internal("more")))
                });
                Ok(Transition::keep_state().next_event(Event::Message(chain)))
            }),
            Order::Note("message"),
        ]);
        let expected = "internal(more)@0 b(first)@0 state(second)@0 a(third)@0 c(last)@0 message@0";
        assert_eq!(order.await, expected);
    });
}

/// STM-13, STM-14: one that has no time is cancelled as any other is.
#[test]
fn timeout_of_no_time_can_be_cancelled_by_what_goes_before_it() {
    run(|_: Context<()>| async {
        let order = heard([
            act(|_, ctx| {
                ctx.state_timeout(Duration::ZERO, "never");
                ctx.generic_timeout('a', Duration::ZERO, "never");
                let change = act(|_, ctx| {
                    ctx.cancel_timeout(TimeoutType::Generic('a'));
                    next(1)
                });
                Ok(Transition::keep_state().next_event(Event::Message(change)))
            }),
            Order::Note("message"),
        ]);
        assert_eq!(order.await, "0>1 message@1");
    });
}

/// STM-17: also if one is of the event and one of the enter call, and whatever
/// is ordered.
#[test]
fn last_order_for_a_timeout_counts() {
    run(|_: Context<()>| async {
        let order = heard([
            act(|probe, ctx| {
                ctx.state_timeout(Duration::ZERO, "replaced");
                ctx.generic_timeout('a', Duration::ZERO, "replaced");
                ctx.generic_timeout('a', Duration::ZERO, "twice");
                ctx.generic_timeout('b', Duration::ZERO, "cancelled");
                ctx.cancel_timeout(TimeoutType::Generic('b'));
                // What is updated was not started by then.
                ctx.generic_timeout('c', HOUR, "replaced");
                ctx.update_timeout(TimeoutType::Generic('c'), "updated");
                probe.enters.push_back(Box::new(|ctx| {
                    ctx.state_timeout(Duration::ZERO, "entered");
                    Ok(())
                }));
                next(1)
            }),
            Order::Note("message"),
        ]);
        let expected = "0>1 a(twice)@1 c(updated)@1 state(entered)@1 message@1";
        assert_eq!(order.await, expected);
    });
}

/// STM-18: with the time it had; one that does not run is due at once.
#[test]
fn updated_timeout_keeps_its_time() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(set(|ctx| {
            ctx.state_timeout(SECOND, "old");
            ctx.generic_timeout('a', SECOND, "old");
        }));
        settle(&machine).await;
        clock.advance(SECOND / 2);
        machine.cast(set(|ctx| {
            ctx.update_timeout(TimeoutType::State, "new");
            ctx.update_timeout(TimeoutType::Generic('a'), "new");
            ctx.update_timeout(TimeoutType::Generic('b'), "at once");
        }));
        settle(&machine).await;
        assert_eq!(log.heard(), "b(at once)@0");
        clock.advance(SECOND / 2);
        settle(&machine).await;
        assert_eq!(log.heard(), "state(new)@0 a(new)@0");

        // A change cancels it first.
        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "old")));
        machine.cast(act(|_, ctx| {
            ctx.update_timeout(TimeoutType::State, "at once");
            next(1)
        }));
        // And so does the event itself, if the timeout is of events.
        machine.cast(set(|ctx| ctx.timeout(SECOND, "old")));
        machine.cast(set(|ctx| ctx.update_timeout(TimeoutType::Event, "at once")));
        settle(&machine).await;
        assert_eq!(log.heard(), "0>1 state(at once)@1 event(at once)@1");
        assert_eq!(Node::current().timer_count(), 0);
        kill(pid_of(&machine));
    });
}

/// STM-19: whatever type the time has.
#[test]
fn timeout_at_infinity_is_cancelled() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(set(|ctx| {
            ctx.state_timeout(SECOND, "cancelled");
            ctx.generic_timeout('a', SECOND, "cancelled");
            ctx.generic_timeout('b', TimeoutTime::Infinity, "never");
        }));
        settle(&machine).await;
        assert_eq!(Node::current().timer_count(), 2);
        machine.cast(set(|ctx| {
            ctx.state_timeout(TimeoutTime::Infinity, "cancelled");
            ctx.generic_timeout('a', None::<Duration>, "cancelled");
        }));
        settle(&machine).await;
        assert_eq!(Node::current().timer_count(), 0);
        clock.advance(HOUR);
        settle(&machine).await;
        assert_eq!(log.heard(), "");
        kill(pid_of(&machine));
    });
}

/// STM-20: a time of the node's clock; one that is over is due, but comes by
/// the mailbox, after what lies there.
#[test]
fn timeouts_take_a_time_of_the_clock() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        let at = clock.now() + SECOND;
        machine.cast(set(move |ctx| ctx.state_timeout(at, "then")));
        settle(&machine).await;
        clock.advance(SECOND - Duration::from_nanos(1));
        settle(&machine).await;
        assert_eq!(log.heard(), "");
        clock.advance(Duration::from_nanos(1));
        settle(&machine).await;
        assert_eq!(log.heard(), "state(then)@0");

        let release = hold_up(&machine);
        machine.cast(set(move |ctx| {
            ctx.generic_timeout('a', at, "over");
            ctx.generic_timeout('b', Duration::ZERO, "at once");
        }));
        machine.cast(Order::Note("message"));
        drop(release);
        let order = "b(at once)@0 message@0 a(over)@0";
        assert_eq!(log.until(&machine, "a(over)@0").await, order);
        kill(pid_of(&machine));
    });
}

/// STM-31: its timer fired while another event was handled, which cancels it or
/// starts it anew.
#[test]
fn late_timeout_of_a_cancelled_timer_is_dropped() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        let after: [fn(&mut Ctx); 3] = [
            |ctx| ctx.cancel_timeout(TimeoutType::Generic('a')),
            |ctx| ctx.generic_timeout('a', HOUR, "again"),
            |ctx| ctx.generic_timeout('a', Duration::ZERO, "at once"),
        ];
        for after in after {
            machine.cast(set(|ctx| ctx.generic_timeout('a', SECOND, "late")));
            settle(&machine).await;
            let release = hold_up(&machine);
            machine.cast(set(after));
            is_alive(pid_of(&machine)).await.unwrap();
            clock.advance(SECOND);
            drop(release);
            settle(&machine).await;
            assert!(!log.heard().contains("late"));
        }
        kill(pid_of(&machine));
    });
}

/// STM-31: a timeout that races with its cancel comes before it or not at all.
#[test]
fn timeout_that_races_with_its_cancel_comes_once_or_never() {
    run_on_threads(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        for _ in 0..ROUNDS {
            machine.cast(set(|ctx| ctx.state_timeout(MS / 100, "due")));
            machine.cast(act(|probe, ctx| {
                probe.log.note("cancel");
                ctx.cancel_timeout(TimeoutType::State);
                keep()
            }));
            settle(&machine).await;
            let order = log.heard();
            assert!(
                ["cancel", "state(due)@0 cancel"].contains(&order.as_str()),
                "{order}"
            );
        }
        assert_eq!(Node::current().timer_count(), 0);
        kill(pid_of(&machine));
    });
}

/// A timeout is not held up by messages that come after it was due.
#[test]
fn timeout_keeps_its_place_among_the_messages() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(set(|ctx| ctx.state_timeout(SECOND, "due")));
        settle(&machine).await;
        let release = hold_up(&machine);
        machine.cast(Order::Note("before"));
        clock.advance(SECOND);
        machine.cast(Order::Note("after"));
        drop(release);
        settle(&machine).await;
        assert_eq!(log.heard(), "before@0 state(due)@0 after@0");
        kill(pid_of(&machine));
    });
}

// Ending.

/// STM-22, STM-23: the reply is out before `terminate` runs, which is given the
/// state the machine is in and the data as they are.
#[test]
fn reply_of_a_stop_goes_out_before_terminate() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        let (release, gate) = oneshot::channel();
        machine.cast(go(3));
        let called = machine.call(|reply| {
            act(move |probe, _| {
                probe.last_words = LastWords::Wait(gate);
                reply.send(9);
                Err(crash())
            })
        });
        assert_eq!(called.await, Ok(9));
        let end = machine.join();
        assert_eq!(log.until(&machine, "@3").await, "0>3 terminate(crash)@3");
        drop(release);
        assert_eq!(end.await, crash());
    });
}

/// STM-24, STM-26: with the reason that `terminate` is shown.
#[test]
fn call_is_told_of_a_panic() {
    run(|_: Context<()>| async {
        let panics: [fn() -> Order; 2] = [
            || act(|_, _| panic!("on purpose")),
            || {
                act(|probe, _| {
                    probe.enters.push_back(Box::new(|_| panic!("on purpose")));
                    next(1)
                })
            },
        ];
        for (number, order) in panics.into_iter().enumerate() {
            let log = Log::default();
            let machine = start(&log).await;
            let mut postponed = Box::pin(machine.call(|reply| Order::GetIn(5, reply)));
            assert!(poll!(&mut postponed).is_pending());
            machine.cast(order());
            let Err(CallError::Down(reason)) = postponed.await else {
                panic!("the machine is down");
            };
            let ExitReason::Panicked(panic) = &reason else {
                panic!("{reason}");
            };
            assert_eq!(panic.message(), "on purpose");
            assert_eq!(machine.join().await, reason);
            let last = format!("terminate(panic on purpose)@{number}");
            assert!(log.heard().ends_with(&last));
        }
    });
}

/// GS-76: as of a server.
#[test]
fn panic_of_terminate_is_the_reason() {
    run(|_: Context<()>| async {
        let machine = start(&Log::default()).await;
        machine.cast(act(|probe, _| {
            probe.last_words = LastWords::Panic;
            Err(crash())
        }));
        let reason = machine.join().await;
        assert!(matches!(&reason, ExitReason::Panicked(panic) if panic.message() == "last words"));
    });
}

/// What compares states may panic too.
#[test]
fn panic_of_a_comparison_of_states_ends_the_machine() {
    run(|_: Context<()>| async {
        let machine = Touchy::start(()).await.unwrap();
        machine.cast(());
        let reason = machine.join().await;
        assert!(matches!(&reason, ExitReason::Panicked(panic) if panic.message() == "not equal"));
    });
}

/// A machine whose states cannot be compared.
struct Touchy;

struct Incomparable;

impl PartialEq for Incomparable {
    fn eq(&self, _: &Self) -> bool {
        panic!("not equal");
    }
}

impl GenStatem for Touchy {
    type Args = ();
    type State = Incomparable;
    type Message = ();
    type Internal = Infallible;
    type Timeout = Infallible;

    async fn init((): (), _: &mut StatemContext<Self>) -> Result<(Incomparable, Self), InitError> {
        Ok((Incomparable, Self))
    }

    async fn handle_event(
        &mut self,
        _: Event<Self>,
        _: &Incomparable,
        _: &mut StatemContext<Self>,
    ) -> Result<Transition<Self>, ExitReason> {
        Ok(Transition::next_state(Incomparable))
    }
}

/// STM-25: unless it is told to wait for ever.
#[test]
fn call_waits_for_five_seconds_unless_told_otherwise() {
    run_with_clock(|_: Context<()>, clock: ManualClock| async move {
        let machine = start(&Log::default()).await;
        let mut timed = Box::pin(machine.call(|reply| Order::GetIn(1, reply)));
        let mut patient = Box::pin(machine.call(|reply| Order::GetIn(1, reply)).no_timeout());
        assert!(poll!(&mut timed).is_pending());
        assert!(poll!(&mut patient).is_pending());
        settle(&machine).await;
        clock.advance(5 * SECOND);
        assert_eq!(timed.await, Err(CallError::TimedOut));
        clock.advance(HOUR);
        assert!(poll!(&mut patient).is_pending());
        machine.cast(go(1));
        assert_eq!(patient.await, Ok(1));
        kill(pid_of(&machine));
    });
}

/// STM-32, GS-72: whatever the reason, a normal one included.
#[test]
fn trapping_machine_ends_with_its_parent() {
    run(|_: Context<()>| async {
        for reason in [ExitReason::Normal, crash()] {
            let log = Log::default();
            let (machine, parent) = orphan(&log, ExitMode::Traps).await;
            let end = machine.join();
            parent.send(reason.clone()).unwrap();
            assert_eq!(end.await, reason);
            let all = format!("init 0>0 terminate({})@0", told(&reason));
            assert_eq!(log.heard(), all);
        }
    });
}

/// STM-32, GS-73: it has to be told by somebody else.
#[test]
fn machine_that_does_not_trap_outlives_a_normal_end_of_its_parent() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let (machine, parent) = orphan(&log, ExitMode::Untouched).await;
        parent.send(ExitReason::Normal).unwrap();
        settle(&machine).await;
        assert_eq!(machine.call(Order::Get).await, Ok(0));
        kill(pid_of(&machine));
    });
}

/// STM-32, GS-74, TRAP-08: only if it traps exits, which it has to ask for.
#[test]
fn exit_of_a_stranger_is_an_info() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        machine.cast(act(|_, _| {
            trap_exit(true);
            keep()
        }));
        settle(&machine).await;
        exit(pid_of(&machine), ExitReason::Shutdown);
        settle(&machine).await;
        assert_eq!(log.heard(), "exit(shutdown)");
        kill(pid_of(&machine));

        let machine = start(&log).await;
        let end = machine.join();
        exit(pid_of(&machine), ExitReason::Shutdown);
        assert_eq!(end.await, ExitReason::Shutdown);
        assert_eq!(log.heard(), "");
    });
}

/// Whether a machine traps exits.
#[derive(Clone, Copy, PartialEq)]
enum ExitMode {
    Traps,
    Untouched,
}

/// A machine, and by what to tell its parent the reason to end with.
async fn orphan(log: &Log, mode: ExitMode) -> (StatemRef<Probe>, oneshot::Sender<ExitReason>) {
    let (end, ends) = oneshot::channel();
    let (up, is_up) = oneshot::channel();
    let birth = Birth {
        init: Box::new(move |_| {
            trap_exit(mode == ExitMode::Traps);
            Ok(())
        }),
        ..birth(log)
    };
    let parent = spawn(move |_: Context<()>| async move {
        let machine = Probe::start_link(birth).await.unwrap();
        settle(&machine).await;
        assert!(up.send(machine).is_ok());
        ends.await.unwrap()
    });
    drop(parent);
    (is_up.await.unwrap(), end)
}

/// GS-79, PLIB-12: what is in its mailbox goes first, and what it has to do
/// itself.
#[test]
fn stop_comes_after_what_was_sent_before() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let machine = start(&log).await;
        let release = hold_up(&machine);
        machine.cast(act(|_, ctx| {
            ctx.state_timeout(Duration::ZERO, "at once");
            next(1)
        }));
        let mut stop = Box::pin(machine.stop(ExitReason::Shutdown));
        assert!(poll!(&mut stop).is_pending());
        machine.cast(Order::Note("too late"));
        drop(release);
        assert_eq!(stop.await, Ok(()));
        assert_eq!(log.heard(), "0>1 state(at once)@1 terminate(shutdown)@1");
        let again = machine.stop(ExitReason::Shutdown).await;
        assert_eq!(again, Err(StopServerError::NoProcess));
    });
}

/// GS-71: neither while it waits nor in the midst of a callback; who was
/// postponed is told.
#[test]
fn killed_machine_does_not_terminate_and_its_callers_are_told() {
    run(|_: Context<()>| async {
        for is_busy in [false, true] {
            let log = Log::default();
            let machine = start(&log).await;
            let mut call = Box::pin(machine.call(|reply| Order::GetIn(1, reply)));
            assert!(poll!(&mut call).is_pending());
            settle(&machine).await;
            let busy = is_busy.then(|| hold_up(&machine));
            machine.cast(set(|ctx| ctx.state_timeout(HOUR, "never")));
            is_alive(pid_of(&machine)).await.unwrap();
            kill(pid_of(&machine));
            assert_eq!(call.await, Err(CallError::Down(ExitReason::Killed)));
            assert_eq!(machine.join().await, ExitReason::Killed);
            assert_eq!(log.heard(), "postponed");
            drop(busy);
        }
    });
}

/// Who always has something of its own to do lets others run, and can be
/// killed.
#[test]
fn machine_that_never_looks_into_its_mailbox_can_be_killed() {
    fn forever() -> Order {
        act(|_, _| Ok(Transition::keep_state().next_event(Event::Message(forever()))))
    }
    run(|_: Context<()>| async {
        let machine = start(&Log::default()).await;
        machine.cast(forever());
        assert_eq!(is_alive(pid_of(&machine)).await, Ok(true));
        kill(pid_of(&machine));
        assert_eq!(machine.join().await, ExitReason::Killed);
    });
}

/// A machine stands in a tree like any other process.
#[test]
fn machine_is_restarted_by_its_supervisor() {
    run(|_: Context<()>| async {
        let tree = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::statem::<Lamp>("lamp", ()))
            .child(ChildSpec::statem_with("named", || {
                Lamp::builder(()).name("named")
            }))
            .start_link()
            .await
            .unwrap();
        let first = tree.which_child("named").await.unwrap().pid().unwrap();
        assert_eq!(whereis("named"), Some(first));
        let named = Node::current().named::<Switch>("named");
        let on = || Light { brightness: 1 };
        assert_eq!(named.call(|reply| Switch(on(), reply)).await, Ok((0, 0)));
        kill(first);
        while tree.which_child("named").await.unwrap().pid() == Some(first) {}
        assert_eq!(named.call(|reply| Switch(on(), reply)).await, Ok((0, 0)));
        let lamp = tree.which_child("lamp").await.unwrap().pid().unwrap();
        tree.stop().await.unwrap();
        assert_eq!(is_alive(lamp).await, Ok(false));
    });
}

/// A start that is given up takes the machine along, like a server's.
#[test]
fn start_that_is_dropped_takes_the_machine_along() {
    run(|_: Context<()>| async {
        let (_release, gate) = oneshot::channel();
        let birth = Birth {
            gate: Some(gate),
            ..birth(&Log::default())
        };
        let start = Probe::builder(birth).name("name").start();
        assert!(start.now_or_never().is_none());
        while let Some(machine) = whereis("name") {
            Node::current().join(machine).await;
        }
    });
}
