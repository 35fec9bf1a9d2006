//! The scheduler: everybody gets a turn, and nobody sleeps with mail.

use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use futures::future::{join_all, poll_fn, select};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use resurgam::{
    Context, ExitReason, GenServer, Info, InitError, Message, Node, Pid, ProcessRef, Reply,
    ServerContext, exit, flush_exit, process_info, self_pid, sleep, spawn, spawn_link, trap_exit,
};
use tokio::runtime::{Builder, Runtime};

use crate::support::run_on_threads;

/// A runtime of one thread.
pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

/// A runtime of two workers.
pub(crate) fn two_workers() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

/// A large number in a release build, a smaller one in a debug build.
pub(crate) fn many(release: usize, debug: usize) -> usize {
    if cfg!(debug_assertions) {
        debug
    } else {
        release
    }
}

/// No test waits this long unless what it waits for never comes.
const NEVER: Duration = Duration::from_secs(10);

/// Waits for something that must come; fails instead of hanging.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(NEVER, what)
        .await
        .expect("what must come does not come")
}

/// The same, for a thread that waits at a channel.
#[track_caller]
pub(crate) fn soon_here<T>(channel: &mpsc::Receiver<T>) -> T {
    channel
        .recv_timeout(NEVER)
        .expect("what must come does not come")
}

const HOUR: Duration = Duration::from_secs(3600);

struct Ping(Reply<()>);

async fn echo(mut ctx: Context<Ping>) {
    while let Message::User(Ping(reply)) = ctx.receive().await {
        reply.send(());
    }
}

// Fairness.

/// Runs a process that never rests, and checks that a process and a plain
/// Tokio task both get on beside it.
fn check_others_get_on<F>(hog: impl Fn(Context<()>) -> F + Copy + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    run_on_threads(move |_: Context<()>| async move {
        // As many as there are workers, and one more.
        let hogs: Vec<_> = (0..3).map(|_| spawn(hog).unwrap()).collect();
        let server = spawn(echo).unwrap();
        let calls = async {
            for _ in 0..10 {
                server.call(Ping).await.unwrap();
            }
        };
        let task = tokio::spawn(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
        soon(calls).await;
        soon(task).await.unwrap();
        for hog in hogs {
            resurgam::kill(hog.pid().unwrap());
            assert_eq!(soon(hog.join()).await, ExitReason::Killed);
        }
    });
}

/// Fault 10, fault 43: a process whose mailbox is never empty gives way.
#[test]
fn a_process_with_endless_mail_starves_nobody() {
    check_others_get_on(|mut ctx| async move {
        let me = ctx.self_ref();
        loop {
            me.cast(());
            ctx.receive().await;
        }
    });
}

/// Fault 10: a process that wakes itself at once goes to the back of the queue.
#[test]
fn a_process_that_always_wakes_itself_starves_nobody() {
    check_others_get_on(|_| {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    });
}

/// Fault 10: the same, where a combinator stands between.
#[test]
fn a_combinator_that_always_wakes_itself_starves_nobody() {
    check_others_get_on(|mut ctx| async move {
        let me = ctx.self_ref();
        loop {
            me.cast(());
            let mut both = FuturesUnordered::new();
            both.push(ctx.receive().map(drop).boxed());
            both.push(tokio::task::yield_now().boxed());
            while both.next().await.is_some() {}
        }
    });
}

/// Fault 10: a process that yields the way Tokio's tasks do, without end.
#[test]
fn a_process_that_yields_without_end_starves_nobody() {
    check_others_get_on(|_| async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

/// Fault 10: sleeps that are over at once.
#[test]
fn a_process_that_naps_without_end_starves_nobody() {
    check_others_get_on(|mut ctx| async move {
        let me = ctx.self_ref();
        loop {
            sleep(Duration::ZERO).await;
            me.cast(());
            ctx.receive().await;
        }
    });
}

/// Fault 10: Tokio gives what runs in one of its tasks a budget of operations.
/// A process that spends it all holds nobody up, and is not held up itself.
#[test]
fn a_process_that_spends_tokios_budget_starves_nobody() {
    check_others_get_on(|_| async {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        loop {
            sender.send(()).unwrap();
            receiver.recv().await;
        }
    });
}

/// Fault 24: many processes that each spend Tokio's budget all come to an end.
#[test]
fn processes_that_share_tokios_budget_all_come_to_their_end() {
    run_on_threads(|_: Context<()>| async {
        let spender = |_: Context<()>| async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for _ in 0..500 {
                sender.send(()).unwrap();
                receiver.recv().await.unwrap();
            }
        };
        let spenders: Vec<_> = (0..50).map(|_| spawn(spender).unwrap()).collect();
        let ends = soon(join_all(spenders.iter().map(ProcessRef::join))).await;
        assert!(ends.iter().all(ExitReason::is_normal), "{ends:?}");
    });
}

// Blocked workers.

/// Fault 9: what a process has just woken does not wait until it returns to
/// the scheduler, if there is another worker. Woken on an idle node.
#[test]
fn a_process_that_blocks_its_worker_delays_only_itself() {
    two_workers().block_on(async {
        let node = Node::new().unwrap();
        for _ in 0..20 {
            blocks_until_answered(&node, 1).await;
        }
        for _ in 0..20 {
            blocks_until_answered(&node, 10).await;
        }
        node.stop(NEVER).await.unwrap();
    });
}

/// A process casts to some others, then blocks its worker until all of them
/// have answered, and some that were cast to from outside.
async fn blocks_until_answered(node: &Node, others: usize) {
    let (answers, answered) = mpsc::channel();
    let answerer = |answers: mpsc::Sender<()>| {
        move |mut ctx: Context<()>| async move {
            ctx.receive().await;
            answers.send(()).unwrap();
        }
    };
    let woken: Vec<_> = (0..others)
        .map(|_| node.spawn(answerer(answers.clone())).unwrap())
        .collect();
    let (blocks, blocked) = tokio::sync::oneshot::channel();
    let blocker = node
        .spawn(move |mut ctx: Context<()>| async move {
            ctx.receive().await;
            woken.iter().for_each(|process| process.cast(()));
            blocks.send(()).unwrap();
            for _ in 0..=others {
                soon_here(&answered);
            }
        })
        .unwrap();
    let outside = node.spawn(answerer(answers)).unwrap();
    // Nobody is awake when the blocker is woken.
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    blocker.cast(());
    blocked.await.unwrap();
    outside.cast(());
    assert_eq!(soon(blocker.join()).await, ExitReason::Normal);
}

// Tokio inside processes.

/// Fault 31: sockets, time, channels and blocking work of Tokio's are awaited
/// inside a process as in any task.
#[test]
fn tokio_works_inside_processes() {
    run_on_threads(|_: Context<()>| async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move |_: Context<()>| async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = [0; 5];
            stream.read_exact(&mut text).await.unwrap();
            stream.write_all(&text).await.unwrap();
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
        assert_eq!(server.unwrap().join().await, ExitReason::Normal);

        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let producer = spawn(move |_: Context<()>| async move {
            for n in 0..100 {
                sender.send(n).await.unwrap();
            }
        });
        for n in 0..100 {
            assert_eq!(receiver.recv().await, Some(n));
        }
        assert_eq!(producer.unwrap().join().await, ExitReason::Normal);

        let answer = tokio::task::spawn_blocking(|| 42).await.unwrap();
        assert_eq!(answer, 42);
        let never = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>());
        assert!(never.await.is_err());
    });
}

// Nobody sleeps with mail.

/// What a process finds in its mailbox.
#[derive(Copy, Clone)]
enum Mail {
    Message,
    Exit,
}

/// A process waits in a receive, beside something else that gets mail and then
/// makes the runtime look into the mailbox, all in one turn. The receive must
/// still be woken.
fn check_receive_beside<F>(look: impl Fn(Pid) -> F + Copy + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    run_on_threads(move |_: Context<()>| async move {
        let idle = spawn(crate::support::idle).unwrap();
        let target = idle.pid().unwrap();
        for mail in [Mail::Message, Mail::Exit] {
            let receiver = spawn(move |mut ctx: Context<u8>| async move {
                trap_exit(true);
                let me = ctx.self_ref();
                let beside = async {
                    match mail {
                        Mail::Message => me.cast(7),
                        Mail::Exit => exit(self_pid(), ExitReason::custom(7)),
                    }
                    look(target).await;
                    std::future::pending::<()>().await;
                };
                select(pin!(ctx.receive()), pin!(beside)).await;
            });
            assert_eq!(soon(receiver.unwrap().join()).await, ExitReason::Normal);
        }
    });
}

/// Fault 24, fault 11: the runtime looks into a mailbox wherever a process
/// waits for something. What it finds there wakes a receive that was polled
/// before, as if it had found it itself.
#[test]
fn mail_that_is_found_beside_a_receive_wakes_it() {
    check_receive_beside(|_| async {});
    check_receive_beside(|_| async { drop(flush_exit(Pid::OUTSIDE)) });
    check_receive_beside(|_| async { drop(process_info(self_pid()).await) });
    check_receive_beside(|_| sleep(HOUR));
    check_receive_beside(|target| resurgam::join(target).map(drop));
    check_receive_beside(|_| async {
        resurgam::demonitor_flush(resurgam::monitor("nobody"));
        resurgam::demonitor_flush(resurgam::monitor(Pid::OUTSIDE));
    });
}

/// Fault 24: the same where the combinator has wakers of its own.
#[test]
fn mail_that_is_found_beside_a_receive_in_a_combinator_wakes_it() {
    run_on_threads(|_: Context<()>| async {
        let receiver = spawn(|mut ctx: Context<u8>| async move {
            let me = ctx.self_ref();
            let beside = async move {
                me.cast(7);
                flush_exit(Pid::OUTSIDE);
                std::future::pending::<()>().await;
            };
            let mut both = FuturesUnordered::new();
            both.push(beside.boxed());
            both.push(ctx.receive().map(drop).boxed());
            both.next().await;
        });
        assert_eq!(soon(receiver.unwrap().join()).await, ExitReason::Normal);
    });
}

/// Fault 24, fault 11: a receive with a time-out sees what comes in time, a
/// message or the notice of a death, at whatever moment it comes.
#[test]
fn a_receive_with_a_time_out_misses_nothing() {
    run_on_threads(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let me = ctx.self_ref();
        for n in 0..many(20_000, 2_000) as u32 {
            let to = me.clone();
            let sender = spawn_link(move |_: Context<()>| async move { to.cast(n) });
            let sender = sender.unwrap().pid();
            let mut came = Vec::new();
            for _ in 0..2 {
                came.push(soon(ctx.receive_timeout(HOUR)).await.expect("in time"));
            }
            // A process's messages come before its end (law SIG-04).
            assert_eq!(came[0], Message::User(n));
            assert!(matches!(&came[1], Message::Exit(exit) if Some(exit.from) == sender));
        }
    });
}

/// Handles what it is sent and notes, at its time-out, how much that was.
struct Drain(usize);

enum Order {
    Fill(usize),
    Count,
}

impl GenServer for Drain {
    type Args = ();
    type Message = Order;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(0))
    }

    async fn handle(
        &mut self,
        order: Order,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        let me = ctx.self_ref();
        match order {
            Order::Fill(n) => (0..n).for_each(|_| me.cast(Order::Count)),
            Order::Count => self.0 += 1,
        }
        ctx.set_timeout(Duration::ZERO);
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        assert_eq!(info, Info::Timeout);
        Err(ExitReason::custom(self.0))
    }
}

/// Law GS-53, fault 43: a server with much mail gives way now and then; that
/// is not a moment without mail, so no time-out comes of it.
#[test]
fn giving_way_is_no_time_out() {
    run_on_threads(|_: Context<()>| async {
        let server = Drain::start(()).await.unwrap();
        server.cast(Order::Fill(1000));
        assert_eq!(soon(server.join()).await, ExitReason::custom(1000_usize));
    });
}

// Stress.

/// Fault 24: pairs of processes across the workers send each other a ball.
#[test]
fn many_pairs_play_to_their_end() {
    const ROUNDS: u32 = 10;

    struct Ball(u32, ProcessRef<Ball>);

    async fn play(mut ctx: Context<Ball>) {
        let me = ctx.self_ref();
        while let Message::User(Ball(n, partner)) = ctx.receive().await {
            partner.cast(Ball(n + 1, me.clone()));
            if n + 1 >= ROUNDS {
                return;
            }
        }
    }

    run_on_threads(|_: Context<()>| async {
        let pairs = many(50_000, 4_000);
        let players: Vec<_> = (0..2 * pairs).map(|_| spawn(play).unwrap()).collect();
        for pair in players.chunks(2) {
            pair[0].cast(Ball(0, pair[1].clone()));
        }
        let ends = soon(join_all(players.iter().map(ProcessRef::join))).await;
        assert!(ends.iter().all(ExitReason::is_normal));
    });
}

/// Fault 24, fault 32: threads that are no workers wake processes that have
/// just gone to sleep, and none stays asleep.
#[test]
fn no_wake_up_from_a_foreign_thread_is_lost() {
    const THREADS: usize = 3;
    let rounds = many(20_000, 2_000);
    let runtime = two_workers();
    let _inside = runtime.enter();
    let node = Node::new().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                let (answers, answered) = mpsc::channel();
                let process = node.spawn(move |mut ctx: Context<usize>| async move {
                    while let Message::User(n) = ctx.receive().await {
                        answers.send(n).unwrap();
                    }
                });
                let process = process.unwrap();
                for n in 0..rounds {
                    process.cast(n);
                    assert_eq!(soon_here(&answered), n);
                }
                node.kill(process.pid().unwrap());
                assert_eq!(runtime.block_on(process.join()), ExitReason::Killed);
            });
        }
    });
    assert_eq!(node.process_count(), 0);
}

/// Fault 24: many senders to one receiver, each message once, in each
/// sender's order (law SIG-01).
#[test]
fn one_receiver_gets_all_of_many_senders() {
    run_on_threads(|mut ctx: Context<(usize, u32)>| async move {
        const SENDERS: usize = 20;
        let each = many(20_000, 1_000) as u32;
        for sender in 0..SENDERS {
            let to = ctx.self_ref();
            spawn(move |_: Context<()>| async move {
                for n in 0..each {
                    to.cast((sender, n));
                    if n % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
            .unwrap();
        }
        let mut next = [0; SENDERS];
        for _ in 0..SENDERS * each as usize {
            let Message::User((sender, n)) = soon(ctx.receive()).await else {
                panic!("not a message");
            };
            assert_eq!(n, next[sender]);
            next[sender] += 1;
        }
    });
}

/// Fault 24: a node that has gone wholly to sleep is woken by a timer, by a
/// plain task and by a blocking thread alike.
#[test]
fn a_sleeping_node_is_woken_from_everywhere() {
    run_on_threads(|mut ctx: Context<u8>| async move {
        let me = ctx.self_ref();
        for _ in 0..many(1_000, 100) {
            resurgam::send_after(Duration::ZERO, ctx.pid(), 1_u8);
            assert_eq!(soon(ctx.receive()).await, Message::User(1));
            let to = me.clone();
            tokio::spawn(async move { to.cast(2) });
            assert_eq!(soon(ctx.receive()).await, Message::User(2));
            let to = me.clone();
            tokio::task::spawn_blocking(move || to.cast(3));
            assert_eq!(soon(ctx.receive()).await, Message::User(3));
        }
    });
}

/// Fault 43: more workers than threads, and fewer: all the same.
#[test]
fn a_node_may_have_another_number_of_workers_than_its_runtime() {
    for workers in [1, 2, 7] {
        for runtime in [one_thread(), two_workers()] {
            runtime.block_on(async {
                let node = Node::builder().workers(workers).start().unwrap();
                let servers: Vec<_> = (0..100).map(|_| node.spawn(echo).unwrap()).collect();
                let calls = servers.iter().map(|server| async move {
                    for _ in 0..10 {
                        server.call(Ping).await.unwrap();
                    }
                });
                soon(join_all(calls)).await;
                node.stop(NEVER).await.unwrap();
            });
        }
    }
}
