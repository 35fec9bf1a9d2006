//! Calls that nobody waits for, and calls in a circle: the laws XGS.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use resurgam::{
    CallError, Context, ExitKind, ExitReason, GenServer, InitError, ManualClock, Message, Node,
    Pid, ProcessRef, Reply, ServerContext, kill, process_info, self_pid, spawn, yield_now,
};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};

use crate::support::{pid_of, run, run_with_clock};

/// Counts what it handles.
struct Careful {
    handled: Arc<AtomicUsize>,
}

enum Msg {
    Work(Reply<()>),
    /// Waits until it may go on.
    Block(Reply<()>, futures::channel::oneshot::Receiver<()>),
    /// Makes `is_stale` panic.
    Odd,
}

impl GenServer for Careful {
    type Args = Arc<AtomicUsize>;
    type Message = Msg;

    async fn init(
        handled: Arc<AtomicUsize>,
        _: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        Ok(Self { handled })
    }

    fn is_stale(&self, message: &Msg) -> bool {
        match message {
            Msg::Work(reply) => reply.is_closed(),
            Msg::Block(..) => false,
            Msg::Odd => panic!("an odd message"),
        }
    }

    async fn handle(&mut self, msg: Msg, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match msg {
            Msg::Work(reply) => {
                self.handled.fetch_add(1, Ordering::SeqCst);
                reply.send(());
            }
            Msg::Block(reply, go_on) => {
                go_on.await.ok();
                reply.send(());
            }
            Msg::Odd => {}
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        self.handled.fetch_add(1000, Ordering::SeqCst);
    }
}

/// XGS-01.
#[test]
fn call_that_nobody_waits_for_is_dropped_unhandled() {
    run(|_: Context<()>| async move {
        let handled = Arc::new(AtomicUsize::new(0));
        let server = Careful::start(Arc::clone(&handled)).await.unwrap();
        let (go_on, wait) = futures::channel::oneshot::channel();
        let block = server.send_request(|reply| Msg::Block(reply, wait));
        // Three that wait, and three that have given up by then.
        let waiting: Vec<_> = (0..3).map(|_| server.send_request(Msg::Work)).collect();
        for _ in 0..3 {
            drop(server.send_request(Msg::Work));
        }
        go_on.send(()).unwrap();
        assert_eq!(block.await, Ok(()));
        assert_eq!(join_all(waiting).await, vec![Ok(()); 3]);
        assert_eq!(server.call(Msg::Work).await, Ok(()));
        assert_eq!(handled.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn panic_of_is_stale_is_the_servers() {
    run(|_: Context<()>| async move {
        let handled = Arc::new(AtomicUsize::new(0));
        let server = Careful::start(Arc::clone(&handled)).await.unwrap();
        server.cast(Msg::Odd);
        let reason = server.join().await;
        assert_eq!(reason.kind(), ExitKind::Panicked);
        assert!(reason.to_string().contains("an odd message"), "{reason}");
        // And it was cleaned up after.
        assert_eq!(handled.load(Ordering::SeqCst), 1000);
    });
}

/// Passes each call on to the next process, and its answer back.
struct PassOn(ProcessRef<Reply<u32>>);

impl GenServer for PassOn {
    type Args = &'static str;
    type Message = Reply<u32>;

    async fn init(next: &'static str, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(ctx.node().named(next)))
    }

    async fn handle(
        &mut self,
        reply: Reply<u32>,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match self.0.call(|reply| reply).await {
            Ok(answer) => reply.send(answer),
            Err(error) => {
                assert_eq!(error, CallError::TimedOut);
                reply.send(0);
            }
        }
        Ok(())
    }
}

/// Servers that pass calls on: the first to the second, and so on, and the last
/// to the first.
async fn ring(names: &[&'static str]) -> Vec<Pid> {
    let mut pids = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let next = names[(at + 1) % names.len()];
        let server = PassOn::builder(next).name(*name).start().await.unwrap();
        pids.push(pid_of(&server));
    }
    pids
}

/// XGS-02.
#[test]
fn process_shows_who_waits_for_it() {
    run(|_: Context<()>| async move {
        let keeper = spawn(|mut ctx: Context<Reply<()>>| async move {
            let mut kept = Vec::new();
            while let Message::User(reply) = ctx.receive().await {
                kept.push(reply);
                if kept.len() == 3 {
                    kept.drain(..).for_each(|reply| reply.send(()));
                }
            }
        })
        .unwrap();
        let pid = pid_of(&keeper);
        let mut first = keeper.send_request(|reply| reply);
        let second = keeper.send_request(|reply| reply);
        assert!(poll!(&mut first).is_pending());
        let awaited_by = async || process_info(pid).await.unwrap().unwrap().awaited_by;
        assert_eq!(awaited_by().await, [self_pid(); 2]);
        drop(second);
        assert_eq!(awaited_by().await, [self_pid()]);
        assert_eq!(keeper.call(|reply| reply).await, Ok(()));
        assert_eq!(first.await, Ok(()));
        assert_eq!(awaited_by().await, []);
    });
}

/// XGS-03.
#[test]
fn calls_in_a_circle_are_found() {
    run_with_clock(|_: Context<()>, clock| async move {
        let node = Node::current();
        for names in [
            &["a", "b"][..],
            &["c", "d", "e"],
            &["f", "g", "h", "i", "j"],
        ] {
            let pids = ring(names).await;
            assert_eq!(node.call_cycle(pids[0]).await, None);
            let first = node.named::<Reply<u32>>(names[0]);
            let request = first.send_request(|reply| reply);
            // Until the last has called the first.
            let last = *pids.last().unwrap();
            let waits = async || {
                let info = process_info(pids[0]).await.unwrap().unwrap();
                info.awaited_by.contains(&last)
            };
            while !waits().await {
                yield_now().await;
            }
            for (at, pid) in pids.iter().enumerate() {
                let mut circle = pids.clone();
                circle.rotate_left(at);
                assert_eq!(node.call_cycle(*pid).await, Some(circle));
            }
            // Who only waits for one of them is in no circle.
            assert_eq!(node.call_cycle(self_pid()).await, None);
            clock.advance(Duration::from_secs(5));
            request.await.unwrap();
            kill(pids[0]);
            assert_eq!(node.call_cycle(pids[1]).await, None);
        }
    });
}

/// The warnings of calls.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: layer::Context<'_, S>) {
        if event.metadata().target() == "resurgam::call" {
            let mut pids = Pids(String::new());
            event.record(&mut pids);
            self.0.lock().unwrap().push(pids.0);
        }
    }
}

struct Pids(String);

impl Visit for Pids {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            self.0 += &format!("{}={value:?} ", field.name());
        }
    }
}

/// XGS-03: in a circle of two the time-out names both; elsewhere nothing is
/// said.
#[test]
fn call_that_times_out_in_a_circle_says_so() {
    crate::support::keep_reports_open();
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let _listening = tracing::subscriber::set_default(subscriber);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let pids = runtime.block_on(async {
        let clock = ManualClock::new();
        let node = Node::builder().clock(clock.clone()).start().unwrap();
        let (tell, heard) = futures::channel::oneshot::channel();
        let test = node.spawn(move |_: Context<()>| async move {
            let pids = ring(&["a", "b"]).await;
            let first = Node::current().named::<Reply<u32>>("a");
            let request = first.send_request(|reply| reply);
            let waits = async || {
                let info = process_info(pids[0]).await.unwrap().unwrap();
                info.awaited_by.contains(&pids[1])
            };
            while !waits().await {
                yield_now().await;
            }
            clock.advance(Duration::from_secs(5));
            request.await.unwrap();
            tell.send(pids).ok();
        });
        assert!(test.unwrap().join().await.is_normal());
        node.stop(Duration::from_secs(5)).await.unwrap();
        heard.await.unwrap()
    });
    let said = warnings.0.lock().unwrap().clone();
    let (a, b) = (pids[0], pids[1]);
    let named = [
        format!("caller={a} server={b} "),
        format!("caller={b} server={a} "),
    ];
    // The first to give up says so; the other's call may have been answered by
    // that.
    assert!(!said.is_empty());
    assert!(said.iter().all(|line| named.contains(line)), "{said:?}");
}
