//! Signals and their order, and the mailbox: the laws SIG and MSG.
//!
//! Also what the tests of signals, exits, traps, links and spawns share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join_all;
use futures::{FutureExt, poll};
use resurgam::{
    CallError, Context, Exit, ExitReason, InfoError, Message, Node, Pid, ProcessRef, Reply,
    SendError, ThreadContext, demonitor, demonitor_flush, exit, flush_exit, is_alive, join,
    join_flush, kill, link, monitor, now, process_info, register, self_pid, send, sleep, spawn,
    spawn_link, spawn_options, trap_exit, unlink, unregister, whereis, yield_now,
};

use crate::support::{idle, run, run_on_threads, run_with_clock};

/// Returns to the scheduler this often.
pub(crate) async fn yield_times(count: u64) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// A body that never waits for anything, but gives way.
pub(crate) async fn busy(_: Context<()>) {
    loop {
        yield_now().await;
    }
}

/// A body that ends with the reason it is sent.
pub(crate) async fn obedient(mut ctx: Context<ExitReason>) -> ExitReason {
    match ctx.receive().await {
        Message::User(reason) => reason,
        Message::Exit(exit) => panic!("{exit:?}"),
        Message::Down(down) => panic!("{down:?}"),
    }
}

pub(crate) fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("a spawned process has a pid")
}

/// The next message, which must be one of the process's own.
pub(crate) async fn next_user<M: Send + 'static>(ctx: &mut Context<M>) -> M {
    match ctx.receive().await {
        Message::User(message) => message,
        Message::Exit(exit) => panic!("{exit:?}"),
        Message::Down(down) => panic!("{down:?}"),
    }
}

/// The next message, which must be an exit; of whom, and why.
#[track_caller]
pub(crate) fn next_exit<M: Send + 'static>(
    ctx: &mut Context<M>,
) -> impl Future<Output = (Pid, ExitReason)> {
    let caller = std::panic::Location::caller();
    async move {
        match ctx.receive().await {
            Message::Exit(Exit { from, reason }) => (from, reason),
            Message::User(_) => panic!("a message of the user's at {caller}"),
            Message::Down(down) => panic!("{down:?} at {caller}"),
        }
    }
}

/// The next message, which must be the notice of a monitor.
pub(crate) async fn next_down<M: Send + 'static>(ctx: &mut Context<M>) -> (Pid, ExitReason) {
    match ctx.receive().await {
        Message::Down(down) => (down.pid, down.reason),
        Message::User(_) => panic!("a message of the user's"),
        Message::Exit(exit) => panic!("{exit:?}"),
    }
}

/// Whom a process is linked to.
pub(crate) async fn links_of(pid: Pid) -> Vec<Pid> {
    process_info(pid)
        .await
        .expect("it answers")
        .expect("it lives")
        .links
}

/// A small generator of repeatable choices (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Counts its drops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn guard(&self) -> DropGuard {
        DropGuard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct DropGuard(Drops);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whether something happened.
#[derive(Clone, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

// Order.

/// SIG-01, SIG-03, MSG-02: messages by pid, by name and by reference, and exit
/// signals, of one sender are one stream.
#[test]
fn signals_of_one_sender_arrive_in_the_order_sent() {
    const COUNT: u64 = 500;
    run(|mut ctx: Context<Vec<u64>>| async move {
        for round in 0..20 {
            let me = ctx.self_ref();
            let receiver = spawn_options()
                .name("receiver")
                .trap_exit()
                .spawn(move |mut ctx: Context<u64>| async move {
                    let mut seen = Vec::new();
                    while seen.len() < COUNT as usize {
                        seen.push(match ctx.receive().await {
                            Message::User(number) => number,
                            Message::Exit(exit) => number_in(&exit.reason),
                            Message::Down(down) => panic!("{down:?}"),
                        });
                    }
                    me.cast(seen);
                })
                .unwrap()
                .process;
            let pid = pid_of(&receiver);
            let mut dice = Dice::new(round);
            for number in 0..COUNT {
                match dice.roll(6) {
                    0 => send(pid, number).unwrap(),
                    1 => send("receiver", number).unwrap(),
                    2 => receiver.cast(number),
                    3 => exit(pid, ExitReason::custom(number)),
                    4 => ProcessRef::named("receiver").cast(number),
                    _ => {
                        receiver.cast(number);
                        yield_now().await;
                    }
                }
            }
            assert_eq!(
                next_user(&mut ctx).await,
                (0..COUNT).collect::<Vec<_>>(),
                "round {round}"
            );
            receiver.join().await;
        }
    });
}

fn number_in(reason: &ExitReason) -> u64 {
    match reason {
        ExitReason::Custom(term) => *term.downcast_ref().expect("a number"),
        other => panic!("{other}"),
    }
}

/// SIG-01: of several senders to one receiver, each keeps its own order.
#[test]
fn each_of_several_senders_keeps_its_order() {
    const SENDERS: u64 = 4;
    const COUNT: u64 = 3_000;
    run(|mut ctx: Context<(u64, u64)>| async move {
        for sender in 0..SENDERS {
            let me = ctx.self_ref();
            spawn(move |_: Context<()>| async move {
                let mut dice = Dice::new(sender);
                for number in 0..COUNT {
                    me.cast((sender, number));
                    if dice.roll(50) == 0 {
                        yield_now().await;
                    }
                }
            })
            .unwrap();
        }
        let mut next = HashMap::new();
        for _ in 0..SENDERS * COUNT {
            let (sender, number) = next_user(&mut ctx).await;
            let expected = next.entry(sender).or_insert(0);
            assert_eq!(number, *expected, "sender {sender}");
            *expected += 1;
        }
        assert!(ctx.try_receive().is_none());
    });
}

/// SIG-04, SPAWN-05: the last messages of a process come before its exit, and
/// that before its down, whatever their number.
#[test]
fn last_messages_come_before_the_notice_of_the_end() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        for count in (0..300).chain([5_000]) {
            let me = ctx.self_ref();
            let child = spawn_options()
                .link()
                .monitor()
                .spawn(move |_: Context<()>| async move {
                    (0..count).for_each(|number| me.cast(number));
                    ExitReason::custom(count)
                });
            let pid = pid_of(&child.unwrap().process);
            for number in 0..count {
                assert_eq!(next_user(&mut ctx).await, number);
            }
            let expected = (pid, ExitReason::custom(count));
            assert_eq!(next_exit(&mut ctx).await, expected);
            assert_eq!(next_down(&mut ctx).await, expected);
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// SIG-05: what was sent before may be handled, what was sent after is not.
#[test]
fn messages_sent_after_an_exit_signal_are_never_handled() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..2_000 {
            let last = Arc::new(AtomicU32::new(0));
            let handled = Arc::clone(&last);
            let victim = spawn(move |mut ctx: Context<u32>| async move {
                loop {
                    // Polls again and again, so that a message can come
                    // between any two steps of a receive.
                    if let Poll::Ready(Message::User(number)) = poll!(ctx.receive()) {
                        handled.fetch_max(number, Ordering::SeqCst);
                    }
                    yield_now().await;
                }
            })
            .unwrap();
            yield_times(Dice::new(round).roll(3)).await;
            victim.cast(1);
            exit(pid_of(&victim), ExitReason::Shutdown);
            victim.cast(2);
            assert_eq!(victim.join().await, ExitReason::Shutdown);
            assert!(last.load(Ordering::SeqCst) < 2, "round {round}");
        }
    });
}

/// Kills a process and sends to it, from outside, when it is woken.
struct KillsThenSends(Node, ProcessRef<()>);

impl Wake for KillsThenSends {
    fn wake(self: Arc<Self>) {
        from_outside(|| {
            self.0.kill(pid_of(&self.1));
            self.1.cast(());
        });
    }
}

/// Does something on a thread that belongs to no process.
fn from_outside<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(act).join().expect("it does not panic"))
}

/// SIG-05: also where both come in the midst of a receive: here while it
/// answers a question, which wakes the asker.
#[test]
fn message_after_a_kill_in_the_midst_of_a_receive_is_not_handled() {
    run(|_: Context<()>| async {
        let handled = Flag::default();
        let flag = handled.clone();
        let victim = spawn(move |mut ctx: Context<()>| async move {
            let (node, pid) = (ctx.node(), ctx.pid());
            let asker = Waker::from(Arc::new(KillsThenSends(ctx.node(), ctx.self_ref())));
            let _asked = from_outside(|| {
                let mut asked = Box::pin(node.is_alive(pid));
                let polled = asked.as_mut().poll(&mut TaskContext::from_waker(&asker));
                assert!(polled.is_pending());
                asked
            });
            ctx.receive().await;
            flag.raise();
        })
        .unwrap();
        assert_eq!(victim.join().await, ExitReason::Killed);
        assert!(!handled.is_up());
    });
}

/// SIG-05, on a thread, which looks into its mailbox without a pause.
#[test]
fn thread_never_handles_messages_sent_after_an_exit_signal() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..200 {
            let last = Arc::new(AtomicU32::new(0));
            let handled = Arc::clone(&last);
            let body = move |mut ctx: ThreadContext<u32>| -> () {
                loop {
                    if let Some(Message::User(number)) = ctx.try_receive() {
                        handled.fetch_max(number, Ordering::SeqCst);
                    }
                }
            };
            let victim = spawn_options().spawn_thread(body).unwrap().process;
            victim.cast(1);
            kill(pid_of(&victim));
            victim.cast(2);
            assert_eq!(victim.join().await, ExitReason::Killed);
            assert!(last.load(Ordering::SeqCst) < 2, "round {round}");
        }
    });
}

/// SIG-06: also if the second one is a kill, and whatever the victim is doing.
#[test]
fn first_of_two_exit_signals_decides() {
    run_on_threads(|_: Context<()>| async {
        for victim in [idle_one, busy_one, newborn_one, thread_one] {
            for second in [ExitReason::Kill, ExitReason::custom(2), ExitReason::Normal] {
                let victim = victim().await;
                let pid = pid_of(&victim);
                exit(pid, ExitReason::custom(1));
                exit(pid, second);
                assert_eq!(victim.join().await, ExitReason::custom(1));
            }
        }
    });
}

type Victim = std::pin::Pin<Box<dyn Future<Output = ProcessRef<()>> + Send>>;

/// A process that waits for a message.
fn idle_one() -> Victim {
    Box::pin(async {
        let victim = spawn(idle).unwrap();
        // Its first turn is over when it answers.
        assert_eq!(is_alive(pid_of(&victim)).await, Ok(true));
        victim
    })
}

fn busy_one() -> Victim {
    Box::pin(async { spawn(busy).unwrap() })
}

fn newborn_one() -> Victim {
    Box::pin(async { spawn(idle).unwrap() })
}

fn thread_one() -> Victim {
    Box::pin(async {
        let body = |mut ctx: ThreadContext<()>| -> () {
            loop {
                ctx.receive();
            }
        };
        spawn_options().spawn_thread(body).unwrap().process
    })
}

/// SIG-07: to the dead, whatever the type of the message.
#[test]
fn sending_to_a_dead_pid_is_silent() {
    run(|mut ctx: Context<()>| async move {
        let dead = spawn(|_: Context<u32>| async {}).unwrap();
        dead.join().await;
        let pid = pid_of(&dead);
        let drops = Drops::default();
        assert_eq!(dead.send(1), Ok(()));
        assert_eq!(send(pid, 1_u32), Ok(()));
        assert!(send(pid, drops.guard()).is_ok());
        assert!(send(Pid::OUTSIDE, drops.guard()).is_ok());
        assert_eq!(drops.count(), 2);
        assert!(ctx.try_receive().is_none());
    });
}

/// SIG-08: the sender is told at once, and has its message back.
#[test]
fn sending_to_an_unknown_name_is_an_error() {
    run(|_: Context<()>| async {
        let error = send("nobody", String::from("hello")).unwrap_err();
        assert!(
            matches!(&error, SendError::Unregistered { name, .. } if name.as_str() == "nobody")
        );
        assert_eq!(error.into_message(), "hello");
        let error = ProcessRef::named("nobody").send(7_u32).unwrap_err();
        assert_eq!(error.into_message(), 7);
    });
}

/// SIG-09 (differs): a process that is killed goes on to its next return to
/// the scheduler, and not beyond; its destructors run.
#[test]
fn killed_process_is_stopped_at_its_next_await_point() {
    run_on_threads(|_: Context<()>| async {
        let (drops, before, after) = (Drops::default(), Flag::default(), Flag::default());
        let (killed, wait) = std::sync::mpsc::channel::<()>();
        let (started, start) = oneshot::channel();
        let victim = {
            let (guard, before, after) = (drops.guard(), before.clone(), after.clone());
            let body = move |mut ctx: ThreadContext<()>| {
                let _guard = guard;
                started.send(()).unwrap();
                wait.recv().unwrap();
                before.raise();
                ctx.receive();
                after.raise();
            };
            spawn_options().spawn_thread(body).unwrap().process
        };
        start.await.unwrap();
        kill(pid_of(&victim));
        victim.cast(());
        killed.send(()).unwrap();
        assert_eq!(victim.join().await, ExitReason::Killed);
        assert_eq!(
            (before.is_up(), after.is_up(), drops.count()),
            (true, false, 1)
        );
    });
}

/// SIG-09 (differs): a future that waits for anything at all is dropped where
/// it waits.
#[test]
fn killed_process_is_dropped_wherever_it_waits() {
    run(|_: Context<()>| async {
        let drops = Drops::default();
        let guard = drops.guard();
        let victim = spawn(move |_: Context<()>| async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        })
        .unwrap();
        assert_eq!(is_alive(pid_of(&victim)).await, Ok(true));
        assert_eq!(drops.count(), 0);
        kill(pid_of(&victim));
        assert_eq!(victim.join().await, ExitReason::Killed);
        assert_eq!(drops.count(), 1);
    });
}

/// SIG-10: whoever sent a kill is always told `false`, whatever the victim is
/// doing.
#[test]
fn killed_process_is_not_alive_to_its_killer() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..600 {
            for victim in [idle_one, busy_one, newborn_one] {
                let victim = pid_of(&victim().await);
                kill(victim);
                assert_eq!(is_alive(victim).await, Ok(false), "round {round}");
            }
        }
        for _ in 0..30 {
            let victim = pid_of(&thread_one().await);
            kill(victim);
            assert_eq!(is_alive(victim).await, Ok(false));
        }
    });
}

/// SIG-10: who has received the exit of a link knows the answer.
#[test]
fn who_was_told_of_an_end_need_not_ask() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for _ in 0..2 {
            let linked = spawn_link(|_: Context<()>| async {}).unwrap();
            let Message::Exit(exit) = ctx.receive().await else {
                panic!("no exit")
            };
            assert_eq!(exit.from, pid_of(&linked));
            assert_eq!(is_alive(exit.from).now_or_never(), Some(Ok(false)));
        }
    });
}

/// SIG-10: as for any other process.
#[test]
fn process_that_killed_itself_is_never_told_that_it_lives() {
    run(|_: Context<()>| async {
        let lives = Flag::default();
        let told = lives.clone();
        let victim = spawn(move |ctx: Context<()>| async move {
            kill(ctx.pid());
            if is_alive(ctx.pid()).await == Ok(true) {
                told.raise();
            }
        })
        .unwrap();
        assert_eq!(victim.join().await, ExitReason::Killed);
        assert!(!lives.is_up());
    });
}

/// SIG-10, SIG-11 (differs): the answer about a process that does not return
/// to the scheduler comes after 5 seconds, and says so.
#[test]
fn answer_about_a_process_that_hangs_has_a_deadline() {
    run_with_clock(|_: Context<()>, clock| async move {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (started, start) = oneshot::channel();
        let body = move |_: ThreadContext<()>| {
            started.send(()).unwrap();
            wait.recv().unwrap();
        };
        let hangs = pid_of(&spawn_options().spawn_thread(body).unwrap().process);
        start.await.unwrap();
        let mut asked = Box::pin(is_alive(hangs));
        assert!(poll!(&mut asked).is_pending());
        clock.advance(Duration::from_millis(4_999));
        assert!(poll!(&mut asked).is_pending());
        clock.advance(Duration::from_millis(1));
        assert_eq!(asked.await, Err(InfoError::Unresponsive(hangs)));
        release.send(()).unwrap();
        join(hangs).await;
    });
}

/// SIG-11, INFO-03, INFO-04.
#[test]
fn process_info_shows_all_that_the_asker_sent_before() {
    run(|ctx: Context<()>| async move {
        let me = ctx.pid();
        for _ in 0..300 {
            let process = spawn(|_: Context<()>| std::future::pending::<()>()).unwrap();
            let pid = pid_of(&process);
            link(pid);
            let reference = monitor(pid);
            (0..3).for_each(|_| process.cast(()));
            register("asked", pid).unwrap();
            let info = process_info(pid).await.unwrap().unwrap();
            assert_eq!((info.links, info.monitored_by), (vec![me], vec![me]));
            assert_eq!(info.message_queue_len, 3);
            assert_eq!(info.name.unwrap().as_str(), "asked");
            unlink(pid);
            demonitor(reference);
            let info = process_info(pid).await.unwrap().unwrap();
            assert_eq!((info.links, info.monitored_by), (vec![], vec![]));
            kill(pid);
            assert!(process_info(pid).await.unwrap().is_none());
        }
    });
}

/// SIG-12, REG-06: by the time anybody is told of an end, the name is free and
/// the destructors have run. (March, kameo: names and incarnations overlapped.)
#[test]
fn name_and_resources_are_gone_before_the_end_is_told() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for round in 0..1_000 {
            let drops = Drops::default();
            let guard = drops.guard();
            let child = spawn_options().name("worker").link().monitor().spawn(
                move |mut ctx: Context<()>| async move {
                    let _guard = guard;
                    ctx.receive().await;
                },
            );
            let spawned = child.unwrap();
            let child = spawned.process;
            let pid = pid_of(&child);
            let joined = child.join();
            match round % 4 {
                0 => kill(pid),
                _ => child.cast(()),
            }
            match round % 3 {
                0 => drop(next_exit(&mut ctx).await),
                1 => drop(joined.await),
                _ => while is_alive(pid).await == Ok(true) {},
            }
            assert!(whereis("worker").is_none(), "round {round}");
            assert_eq!(drops.count(), 1, "round {round}");
            register("worker", ctx.pid()).unwrap();
            unregister("worker").unwrap();
            // The other notices, if they came or come.
            unlink(pid);
            flush_exit(pid);
            demonitor_flush(spawned.monitor.unwrap());
            assert!(ctx.try_receive().is_none(), "round {round}");
        }
    });
}

/// SIG-14: questions to many at once; each gets its own answer.
#[test]
fn answers_belong_to_their_questions() {
    run_on_threads(|_: Context<()>| async {
        let living: Vec<_> = (0..50).map(|_| pid_of(&spawn(busy).unwrap())).collect();
        let dead: Vec<_> = (0..50).map(|_| pid_of(&spawn(busy).unwrap())).collect();
        dead.iter().copied().for_each(kill);
        let asked = living.iter().chain(&dead).copied();
        let answers = join_all(asked.map(process_info)).await;
        for (answer, pid) in answers.iter().zip(&living) {
            assert_eq!(answer.as_ref().unwrap().as_ref().unwrap().pid, *pid);
        }
        assert!(
            answers[50..]
                .iter()
                .all(|answer| matches!(answer, Ok(None)))
        );
    });
}

/// SIG-15 (differs): whoever sends itself a fatal exit signal is stopped at
/// the next waiting operation, and does nothing after it.
#[test]
fn process_that_exits_itself_is_stopped_where_it_next_waits() {
    run(|_: Context<()>| async {
        stops(|mut ctx| async move { drop(ctx.receive().await) }).await;
        stops(|mut ctx| async move { drop(ctx.receive_timeout(SECOND).await) }).await;
        stops(|_| sleep(Duration::ZERO)).await;
        stops(|_| sleep(SECOND)).await;
        stops(|_| async { drop(join(self_pid()).await) }).await;
        stops(|_| async { drop(join(Pid::OUTSIDE).await) }).await;
        stops(|_| yield_now()).await;
        stops(|_| tokio::task::yield_now()).await;
        stops(|_| async {
            drop(
                ProcessRef::named("nobody")
                    .call(|reply: Reply<()>| reply)
                    .await,
            )
        })
        .await;
    });
}

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn stops<F>(operation: impl FnOnce(Context<()>) -> F + Send + 'static) -> impl Future<Output = ()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let caller = std::panic::Location::caller();
    async move {
        let (at_once, later) = (Flag::default(), Flag::default());
        let (sent, went_on) = (at_once.clone(), later.clone());
        let process = spawn(move |ctx: Context<()>| async move {
            exit(self_pid(), ExitReason::custom("enough"));
            sent.raise();
            operation(ctx).await;
            went_on.raise();
        })
        .unwrap();
        assert_eq!(
            process.join().await,
            ExitReason::custom("enough"),
            "{caller}"
        );
        assert_eq!((at_once.is_up(), later.is_up()), (true, false), "{caller}");
    }
}

/// SIG-15: a body that ends without waiting after it sent itself an exit
/// signal ends with the reason of that.
#[test]
fn exit_signal_to_oneself_counts_even_if_the_body_ends_at_once() {
    run_on_threads(|_: Context<()>| async {
        let reason = |process: ProcessRef<()>| async move { process.join().await };
        let shut_down = || exit(self_pid(), ExitReason::Shutdown);
        let returns = spawn(move |_: Context<()>| async move { shut_down() }).unwrap();
        assert_eq!(reason(returns).await, ExitReason::Shutdown);
        let killed = spawn(|_: Context<()>| async { kill(self_pid()) }).unwrap();
        assert_eq!(reason(killed).await, ExitReason::Killed);
        let thread = move |_: ThreadContext<()>| shut_down();
        let thread = spawn_options().spawn_thread(thread).unwrap().process;
        assert_eq!(reason(thread).await, ExitReason::Shutdown);
    });
}

/// SIG-15, TRAP-03: an exit signal to oneself is received where it is sent; to
/// trap exits afterwards comes too late, and not to trap any more does too.
#[test]
fn exit_signal_to_oneself_is_received_with_the_flag_of_that_moment() {
    run(|_: Context<()>| async {
        let too_late = spawn(|mut ctx: Context<()>| async move {
            exit(self_pid(), ExitReason::Shutdown);
            trap_exit(true);
            ctx.receive().await;
        });
        assert_eq!(too_late.unwrap().join().await, ExitReason::Shutdown);
        let in_time = spawn(|mut ctx: Context<()>| async move {
            trap_exit(true);
            exit(self_pid(), ExitReason::Shutdown);
            trap_exit(false);
            assert_eq!(
                next_exit(&mut ctx).await,
                (self_pid(), ExitReason::Shutdown)
            );
        });
        assert_eq!(in_time.unwrap().join().await, ExitReason::Normal);
    });
}

/// SIG-15: messages to oneself are messages like any other.
#[test]
fn messages_to_oneself_arrive_in_order() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let me = ctx.self_ref();
        me.cast(1);
        exit(ctx.pid(), ExitReason::Shutdown);
        send(ctx.pid(), 2_u32).unwrap();
        assert_eq!(next_user(&mut ctx).await, 1);
        assert_eq!(next_exit(&mut ctx).await, (ctx.pid(), ExitReason::Shutdown));
        assert_eq!(next_user(&mut ctx).await, 2);
    });
}

/// SIG-16.
#[test]
fn links_and_monitors_to_the_dead_are_answered() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let dead = spawn(|_: Context<()>| async {}).unwrap();
        dead.join().await;
        for pid in [pid_of(&dead), Pid::OUTSIDE] {
            link(pid);
            assert_eq!(next_exit(&mut ctx).await, (pid, ExitReason::NoProcess));
            monitor(pid);
            assert_eq!(next_down(&mut ctx).await, (pid, ExitReason::NoProcess));
        }
        let info = process_info(ctx.pid()).await.unwrap().unwrap();
        assert_eq!((info.links, info.monitors), (vec![], vec![]));
    });
}

/// SIG-17.
#[test]
fn links_are_served_before_monitors() {
    links_are_served_first(|ctx, victim| {
        monitor(pid_of(victim));
        kill(pid_of(victim));
        exit_comes_before_down(ctx)
    });
    links_are_served_first(|ctx, victim| {
        let joined = victim.join();
        kill(pid_of(victim));
        ctx.block_on(joined);
        is_flushed(victim)
    });
}

/// SIG-17: also before a monitor that comes while the process dies.
#[test]
fn links_are_served_before_late_monitors() {
    links_are_served_first(|ctx, victim| {
        kill(pid_of(victim));
        monitor(pid_of(victim));
        exit_comes_before_down(ctx)
    });
}

/// SIG-17: also before a join that comes while the process dies: what a
/// supervisor relies on that stops a child and then waits for its end.
/// (Monarch 3527: the end was visible before the event was there.)
#[test]
fn links_are_served_before_late_joins() {
    links_are_served_first(|ctx, victim| {
        kill(pid_of(victim));
        ctx.block_on(victim.join());
        is_flushed(victim)
    });
    links_are_served_first(|ctx, victim| {
        kill(pid_of(victim));
        ctx.block_on(join(pid_of(victim)));
        is_flushed(victim)
    });
}

/// SIG-17: also before calls, which are monitors of a kind, the late ones too.
#[test]
fn links_are_served_before_calls() {
    links_are_served_first(|ctx, victim| {
        let mut call = Box::pin(victim.call(|reply| reply));
        ctx.block_on(async { assert!(poll!(&mut call).is_pending()) });
        kill(pid_of(victim));
        assert_eq!(ctx.block_on(call), Err(CallError::Down(ExitReason::Killed)));
        is_flushed(victim)
    });
    links_are_served_first(|ctx, victim| {
        kill(pid_of(victim));
        let answer = ctx.block_on(victim.call(|reply| reply));
        assert!(matches!(answer, Err(CallError::Down(_))), "{answer:?}");
        is_flushed(victim)
    });
}

/// Lets a trapping process on a thread learn of the end of a process that has
/// many links, its own the last to be served. `learn` says whether the exit
/// was there.
#[track_caller]
fn links_are_served_first(
    learn: impl Fn(&mut ThreadContext<()>, &ProcessRef<Reply<()>>) -> bool + Copy + Send + 'static,
) {
    const LINKS: usize = 200;
    let victim = |ready: oneshot::Sender<()>| {
        spawn(move |mut ctx: Context<Reply<()>>| async move {
            for _ in 0..LINKS {
                spawn_link(idle).unwrap();
            }
            ready.send(()).unwrap();
            let mut unanswered = Vec::new();
            loop {
                unanswered.push(ctx.receive().await);
            }
        })
    };
    run_on_threads(move |_: Context<()>| async move {
        for round in 0..20 {
            let (ready, is_ready) = oneshot::channel();
            let victim = victim(ready).unwrap();
            is_ready.await.unwrap();
            let watcher =
                spawn_options()
                    .trap_exit()
                    .spawn_thread(move |mut ctx: ThreadContext<()>| {
                        link(pid_of(&victim));
                        assert_eq!(ctx.block_on(is_alive(pid_of(&victim))), Ok(true));
                        assert!(
                            learn(&mut ctx, &victim),
                            "round {round}: the exit was not there"
                        );
                    });
            assert_eq!(watcher.unwrap().process.join().await, ExitReason::Normal);
        }
    });
}

fn is_flushed<M: Send + 'static>(process: &ProcessRef<M>) -> bool {
    flush_exit(pid_of(process)) == Some(ExitReason::Killed)
}

fn exit_comes_before_down(ctx: &mut ThreadContext<()>) -> bool {
    matches!(ctx.receive(), Message::Exit(_))
}

/// SIG-17: what a supervisor relies on when it stops a child.
#[test]
fn exit_of_a_link_can_be_flushed_once_the_process_is_joined() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for round in 0..1_000 {
            let child = spawn_options().link().spawn(busy).unwrap().process;
            let pid = pid_of(&child);
            yield_times(Dice::new(round).roll(3)).await;
            exit(pid, ExitReason::Shutdown);
            assert_eq!(join(pid).await, ExitReason::Shutdown);
            assert_eq!(flush_exit(pid), Some(ExitReason::Shutdown), "round {round}");
            assert!(ctx.try_receive().is_none());
        }
    });
}

/// LINK-08, SIG-17: whether the end is told by the link, or, where that was
/// taken back or waited for in a combinator, by a monitor.
#[test]
fn end_of_a_process_is_waited_for_and_its_exit_taken_out() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let me = ctx.pid();
        let leaver = move |mut ctx: Context<ExitReason>| async move {
            let Message::User(reason) = ctx.receive().await else {
                unreachable!("it traps nothing")
            };
            exit(me, ExitReason::custom("I live"));
            unlink(me);
            yield_times(2).await;
            reason
        };
        let reason = ExitReason::custom("bye");
        for child in [spawn_link(obedient), spawn_link(leaver), spawn(obedient)] {
            let child = child.unwrap();
            let ended = join_flush(pid_of(&child));
            child.cast(reason.clone());
            assert_eq!(ended.await, reason);
            let links = process_info(me).await.unwrap().unwrap().links;
            assert!(!links.contains(&pid_of(&child)));
        }
        let Message::Exit(asked) = ctx.receive().await else {
            panic!("no exit")
        };
        assert_eq!(asked.reason, ExitReason::custom("I live"));

        let two = [spawn_link(obedient).unwrap(), spawn_link(obedient).unwrap()];
        let ends = join_all(two.each_ref().map(|child| join_flush(pid_of(child))));
        two.iter().for_each(|child| child.cast(reason.clone()));
        assert_eq!(ends.await, [reason.clone(), reason]);

        let dead = spawn_link(|_: Context<()>| async {}).unwrap();
        dead.join().await;
        assert_eq!(join_flush(pid_of(&dead)).await, ExitReason::Normal);
        assert!(ctx.try_receive().is_none());
    });
}

// The mailbox.

/// MSG-01: sending never waits, and nothing is lost.
#[test]
fn mailbox_takes_any_number_of_messages() {
    const COUNT: u32 = 200_000;
    run_on_threads(|_: Context<()>| async {
        let receiver = spawn(|mut ctx: Context<u32>| async move {
            ctx.receive_timeout(Duration::ZERO).await;
            let mut seen = Vec::new();
            while let Message::User(number) = ctx.receive().await {
                seen.push(number);
                if number == COUNT - 1 {
                    break;
                }
            }
            assert!(seen.is_sorted());
        })
        .unwrap();
        (0..COUNT).for_each(|number| receiver.cast(number));
        assert_eq!(receiver.join().await, ExitReason::Normal);
    });
}

/// MSG-01, SIG-05: a death notice or a kill is not held up by a full mailbox
/// (kameo 84), yet an exit that is trapped keeps its place in it.
#[test]
fn signals_reach_a_process_with_a_full_mailbox() {
    const COUNT: u32 = 50_000;
    run_on_threads(|_: Context<()>| async {
        let deaf = spawn(|_: Context<u32>| std::future::pending::<()>()).unwrap();
        (0..COUNT).for_each(|number| deaf.cast(number));
        kill(pid_of(&deaf));
        assert_eq!(deaf.join().await, ExitReason::Killed);

        let counts = spawn_options()
            .trap_exit()
            .spawn(|mut ctx: Context<u32>| async move {
                let mut before = 0_u32;
                while let Message::User(_) = ctx.receive().await {
                    before += 1;
                }
                ExitReason::custom(before)
            });
        let counts = counts.unwrap().process;
        (0..COUNT).for_each(|number| counts.cast(number));
        exit(pid_of(&counts), ExitReason::Shutdown);
        (0..COUNT).for_each(|number| counts.cast(number));
        assert_eq!(counts.join().await, ExitReason::custom(COUNT));
    });
}

/// MSG-04: a zero timeout takes what is there, in its order, and else fires at
/// once.
#[test]
fn zero_timeout_polls() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        trap_exit(true);
        assert_eq!(ctx.receive_timeout(Duration::ZERO).await, None);
        ctx.self_ref().cast(1);
        exit(ctx.pid(), ExitReason::Shutdown);
        ctx.self_ref().cast(2);
        let exit = Exit {
            from: ctx.pid(),
            reason: ExitReason::Shutdown,
        };
        for expected in [Message::User(1), Message::Exit(exit), Message::User(2)] {
            assert_eq!(ctx.receive_timeout(Duration::ZERO).await, Some(expected));
        }
        assert_eq!(ctx.receive_timeout(Duration::ZERO).await, None);
        assert_eq!(clock.armed(), 0);
    });
}

/// MSG-05: and signals that are no messages do not restart it.
#[test]
fn receive_timeout_counts_from_the_start_of_the_receive() {
    run_with_clock(|_: Context<()>, clock| async move {
        let waiting = spawn(|mut ctx: Context<()>| async move {
            let receive = ctx.receive_timeout(10 * SECOND);
            // It is not entered yet.
            sleep(5 * SECOND).await;
            let entered = now();
            assert_eq!(receive.await, None);
            assert_eq!(now() - entered, 10 * SECOND);
        })
        .unwrap();
        let pid = pid_of(&waiting);
        clock.advance_to_next().await;
        while clock.armed() == 0 {
            yield_now().await;
        }
        clock.advance(6 * SECOND);
        link(pid);
        unlink(pid);
        exit(pid, ExitReason::Normal);
        assert_eq!(is_alive(pid).await, Ok(true));
        clock.advance(4 * SECOND);
        assert_eq!(waiting.join().await, ExitReason::Normal);
    });
}

/// MSG-05: the one that a message ended is not remembered.
#[test]
fn each_receive_has_its_own_timeout() {
    run_with_clock(|mut ctx: Context<u32>, clock| async move {
        ctx.self_ref().cast(1);
        assert_eq!(ctx.receive_timeout(SECOND).await, Some(Message::User(1)));
        assert_eq!(clock.armed(), 0);
        let mut receive = Box::pin(ctx.receive_timeout(10 * SECOND));
        assert!(poll!(&mut receive).is_pending());
        clock.advance(10 * SECOND);
        assert_eq!(receive.await, None);
    });
}

/// MSG-08: each is dropped once, those that come later too, and nobody is told.
#[test]
fn messages_left_at_death_are_dropped() {
    run_on_threads(|mut ctx: Context<()>| async move {
        let drops = Drops::default();
        let victim = spawn(|_: Context<DropGuard>| std::future::pending::<()>()).unwrap();
        (0..10).for_each(|_| victim.cast(drops.guard()));
        assert_eq!(is_alive(pid_of(&victim)).await, Ok(true));
        (0..10).for_each(|_| victim.cast(drops.guard()));
        assert_eq!(drops.count(), 0);
        kill(pid_of(&victim));
        victim.join().await;
        assert_eq!(drops.count(), 20);
        victim.cast(drops.guard());
        assert_eq!(drops.count(), 21);
        assert!(ctx.try_receive().is_none());
    });
}

/// SIG-07, EXIT-06: nobody is one's sender outside a process.
#[test]
fn signals_from_outside_come_from_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = Node::new().unwrap();
        let trapping = node
            .spawn_options()
            .trap_exit()
            .spawn(|mut ctx: Context<()>| async move {
                assert_eq!(
                    next_exit(&mut ctx).await,
                    (Pid::OUTSIDE, ExitReason::Shutdown)
                );
            });
        let trapping = trapping.unwrap().process;
        node.exit(pid_of(&trapping), ExitReason::Shutdown);
        assert_eq!(trapping.join().await, ExitReason::Normal);
        node.stop(SECOND).await.unwrap();
    });
}
