//! Mailboxes with a bound (the laws XMSG).

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::join_all;
use resurgam::{
    Alias, AliasMode, CallError, Context, Down, Exit, ExitReason, GenServer, InitError,
    MailboxInfo, Message, MessageRef, Node, Overflow, ProcessInfo, ProcessRef, Reply, SendError,
    ServerContext, alias, exit, kill, monitor, process_info, self_pid, spawn, spawn_options,
    yield_now,
};

use crate::support::{Log, idle, pid_of, run, run_on_threads, run_with_clock};

enum Msg {
    Note(u32),
    Get(Reply<u32>),
    /// Do not receive until this one has ended.
    Await(ProcessRef<()>),
}

/// A process with a bounded mailbox that receives nothing until its door has
/// ended, then notes all that comes.
struct Gate {
    process: ProcessRef<Msg>,
    door: ProcessRef<()>,
    heard: Log,
}

impl Gate {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        let door = spawn(idle).unwrap();
        let heard = Log::default();
        let (first, log) = (door.clone(), heard.clone());
        let options = spawn_options().mailbox(capacity, overflow).trap_exit();
        let spawned = options.spawn(move |mut ctx: Context<Msg>| async move {
            first.join().await;
            loop {
                match ctx.receive().await {
                    Message::User(Msg::Note(n)) => log.note(n),
                    Message::User(Msg::Get(reply)) => reply.send(7),
                    Message::User(Msg::Await(door)) => {
                        log.note("shut");
                        door.join().await;
                    }
                    Message::Exit(Exit {
                        reason: ExitReason::Shutdown,
                        ..
                    }) => return,
                    Message::Exit(Exit { reason, .. }) => log.note(reason),
                    Message::Down(Down { reason, .. }) => log.note(reason),
                }
            }
        });
        let process = spawned.unwrap().process;
        Self {
            process,
            door,
            heard,
        }
    }

    /// A gate whose mailbox is full, of the numbers from 1.
    fn full(capacity: usize, overflow: Overflow) -> Self {
        let gate = Self::new(capacity, overflow);
        for n in 1..=capacity {
            gate.process.send(Msg::Note(n as u32)).unwrap();
        }
        gate
    }

    fn open(&self) {
        kill(pid_of(&self.door));
    }

    async fn hears(&self, last: &str) -> String {
        self.heard.until(&self.process, last).await
    }

    async fn info(&self) -> ProcessInfo {
        process_info(pid_of(&self.process)).await.unwrap().unwrap()
    }

    async fn mailbox(&self) -> MailboxInfo {
        self.info().await.mailbox.unwrap()
    }

    /// Waits until so many wait for a place.
    async fn has_waiting(&self, waiting: usize) {
        while self.mailbox().await.waiting != waiting {
            yield_now().await;
        }
    }
}

fn number<T>(refused: Result<T, SendError<Msg>>) -> u32 {
    match refused {
        Err(SendError::Full {
            message: Msg::Note(n),
            ..
        }) => n,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// XMSG-01.
#[test]
fn mailbox_without_a_bound_takes_any_number() {
    run(|mut ctx: Context<u32>| async move {
        assert_eq!(
            process_info(self_pid()).await.unwrap().unwrap().mailbox,
            None
        );
        for n in 0..10_000 {
            ctx.self_ref().send(n).unwrap();
        }
        for n in 0..10_000 {
            assert_eq!(ctx.receive().await, Message::User(n));
        }
    });
}

#[test]
#[should_panic(expected = "a mailbox must hold at least 1 message, not 0")]
fn mailbox_holds_at_least_one_message() {
    let node = Node::builder().start();
    let _ = node.unwrap().spawn_options().mailbox(0, Overflow::Refuse);
}

/// XMSG-03.
#[test]
fn full_mailbox_refuses_and_hands_the_message_back() {
    run(|_: Context<()>| async move {
        for overflow in [Overflow::Refuse, Overflow::Wait] {
            let gate = Gate::full(2, overflow);
            assert_eq!(number(gate.process.send(Msg::Note(3))), 3);
            gate.process.cast(Msg::Note(4));
            let info = gate.mailbox().await;
            assert_eq!((info.capacity, info.overflow), (2, overflow));
            assert_eq!((info.turned_away, info.waiting), (2, 0));
            assert_eq!(gate.info().await.message_queue_len, 2);
            gate.open();
            assert_eq!(gate.hears("2").await, "1 2");
            gate.process.send(Msg::Note(5)).unwrap();
            assert_eq!(gate.hears("5").await, "5");
        }
    });
}

/// XMSG-03: those who could wait are refused too.
#[test]
fn mailbox_that_refuses_keeps_nobody_waiting() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(1, Overflow::Refuse);
        assert_eq!(number(gate.process.send_wait(Msg::Note(2)).await), 2);
        assert_eq!(gate.process.call(Msg::Get).await, Err(CallError::Full));
        let request = gate.process.send_request(Msg::Get);
        assert_eq!(request.await, Err(CallError::Full));
        gate.open();
        assert_eq!(gate.hears("1").await, "1");
        assert_eq!(gate.process.call(Msg::Get).no_timeout().await, Ok(7));
    });
}

/// XMSG-02.
#[test]
fn full_mailbox_takes_signals_at_once() {
    run(|mut ctx: Context<()>| async move {
        for overflow in [
            Overflow::Wait,
            Overflow::Refuse,
            Overflow::DropNewest,
            Overflow::DropOldest,
        ] {
            let gate = Gate::full(3, overflow);
            let pid = pid_of(&gate.process);
            for n in 0..10 {
                exit(pid, ExitReason::custom(n));
            }
            assert_eq!(gate.info().await.message_queue_len, 3 + 10);
            monitor(pid);
            kill(pid);
            let Message::Down(down) = ctx.receive().await else {
                panic!("no down")
            };
            assert_eq!((down.pid, down.reason), (pid, ExitReason::Killed));
        }
    });
}

/// XMSG-04.
#[test]
fn those_who_wait_are_let_in_in_their_order() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(2, Overflow::Wait);
        let process = &gate.process;
        let all = join_all((3..=9).map(|n| process.send_wait(Msg::Note(n))));
        let open = async {
            gate.has_waiting(7).await;
            gate.open();
        };
        let (sent, ()) = futures::join!(all, open);
        assert!(sent.into_iter().all(|sent| sent.is_ok()));
        assert_eq!(gate.hears("9").await, "1 2 3 4 5 6 7 8 9");
        assert_eq!(gate.mailbox().await.turned_away, 0);
    });
}

/// XMSG-04.
#[test]
fn call_waits_for_its_place_and_is_answered() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(1, Overflow::Wait);
        let open = async {
            gate.has_waiting(1).await;
            gate.open();
        };
        let call = gate.process.call(Msg::Get).no_timeout();
        let (answer, ()) = futures::join!(call, open);
        assert_eq!(answer, Ok(7));
        assert_eq!(gate.heard.heard(), "1");
    });
}

/// XMSG-04.
#[test]
fn wait_for_a_place_ends_when_its_time_is_up() {
    run_with_clock(|_: Context<()>, clock| async move {
        let gate = Gate::full(1, Overflow::Wait);
        let process = &gate.process;
        let pass = async {
            gate.has_waiting(2).await;
            clock.advance(Duration::from_secs(5));
        };
        let call = process.call(Msg::Get);
        let send = process
            .send_wait(Msg::Note(2))
            .timeout(Duration::from_secs(4));
        let (called, sent, ()) = futures::join!(call, send, pass);
        assert_eq!(called, Err(CallError::Full));
        assert_eq!(number(sent), 2);
        assert_eq!(gate.mailbox().await.waiting, 0);
        gate.open();
        process.send_wait(Msg::Note(3)).await.unwrap();
        assert_eq!(gate.hears("3").await, "1 3");
    });
}

/// XMSG-07.
#[test]
fn who_waits_no_longer_takes_no_place() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(1, Overflow::Wait);
        let waiters: Vec<_> = (2..=4)
            .map(|n| {
                let process = gate.process.clone();
                spawn(move |_: Context<()>| async move {
                    process.send_wait(Msg::Note(n)).await.unwrap();
                })
                .unwrap()
            })
            .collect();
        gate.has_waiting(3).await;
        kill(pid_of(&waiters[1]));
        gate.has_waiting(2).await;
        gate.open();
        for waiter in &waiters {
            waiter.join().await;
        }
        gate.process.send_wait(Msg::Note(5)).await.unwrap();
        let heard = gate.hears("5").await;
        assert!(heard == "1 2 4 5" || heard == "1 4 2 5", "{heard}");
        assert_holds_exactly(&gate, 1).await;
    });
}

/// All places are free: the gate, which is shut again, takes as many as it may,
/// at last, since what the dead have sent may still be on its way.
async fn assert_holds_exactly(gate: &Gate, capacity: usize) {
    for _ in 0..1000 {
        let door = spawn(idle).unwrap();
        let shut = gate.process.send_wait(Msg::Await(door.clone()));
        shut.await.unwrap();
        gate.hears("shut").await;
        let fits = |_: &i32| gate.process.send(Msg::Note(0)).is_ok();
        let free = (0..).take_while(fits).count();
        kill(pid_of(&door));
        if free == capacity {
            return;
        }
    }
    panic!("a place is lost");
}

/// XMSG-07, with places that are granted while their owners are killed.
#[test]
fn no_place_is_lost_when_those_who_wait_are_killed() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(2, Overflow::Wait);
        let waiters: Vec<_> = (0..60)
            .map(|n| {
                let process = gate.process.clone();
                spawn(move |_: Context<()>| async move {
                    if n % 3 == 0 {
                        let call = process.call(Msg::Get).no_timeout();
                        assert_eq!(call.await, Ok(7));
                    } else {
                        process.send_wait(Msg::Note(n)).await.unwrap();
                    }
                })
                .unwrap()
            })
            .collect();
        gate.open();
        for waiter in waiters.iter().skip(1).step_by(2) {
            kill(pid_of(waiter));
        }
        for (n, waiter) in waiters.iter().enumerate() {
            let reason = waiter.join().await;
            let was_killed = n % 2 == 1 && reason == ExitReason::Killed;
            assert!(reason.is_normal() || was_killed, "{n}: {reason}");
        }
        gate.has_waiting(0).await;
        assert_holds_exactly(&gate, 2).await;
    });
}

/// XMSG-08.
#[test]
fn end_of_a_full_process_lets_go_all_who_wait() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(1, Overflow::Wait);
        let process = &gate.process;
        let end = async {
            gate.has_waiting(3).await;
            kill(pid_of(process));
        };
        let (sent, late, called, ()) = futures::join!(
            process.send_wait(Msg::Note(2)),
            process.send_wait(Msg::Note(3)),
            process.call(Msg::Get).no_timeout(),
            end
        );
        assert!(sent.is_ok() && late.is_ok());
        assert!(matches!(called, Err(CallError::Down(_))), "{called:?}");
        let after = process.send_wait(Msg::Note(4)).await;
        assert!(after.is_ok());
    });
}

/// XMSG-05.
#[test]
fn newest_message_is_dropped() {
    run(|_: Context<()>| async move {
        let gate = Gate::full(2, Overflow::DropNewest);
        gate.process.send(Msg::Note(3)).unwrap();
        gate.process.send_wait(Msg::Note(4)).await.unwrap();
        assert_eq!(gate.process.call(Msg::Get).await, Err(CallError::Full));
        assert_eq!(gate.mailbox().await.turned_away, 3);
        gate.open();
        assert_eq!(gate.hears("2").await, "1 2");
    });
}

/// XMSG-06.
#[test]
fn oldest_message_is_dropped() {
    run(|_: Context<()>| async move {
        let gate = Gate::new(2, Overflow::DropOldest);
        let call = gate.process.send_request(Msg::Get);
        for n in 1..=4 {
            gate.process.send(Msg::Note(n)).unwrap();
        }
        assert_eq!(call.await, Err(CallError::NoReply));
        let info = gate.info().await;
        assert_eq!(info.message_queue_len, 2);
        assert_eq!(info.mailbox.unwrap().turned_away, 3);
        gate.open();
        assert_eq!(gate.hears("4").await, "3 4");
    });
}

/// XMSG-06, XMSG-09: exits keep their place among what is left.
#[test]
fn what_is_left_keeps_its_order() {
    run(|_: Context<()>| async move {
        let gate = Gate::new(2, Overflow::DropOldest);
        let pid = pid_of(&gate.process);
        gate.process.send(Msg::Note(1)).unwrap();
        exit(pid, ExitReason::custom("a"));
        gate.process.send(Msg::Note(2)).unwrap();
        gate.process.send(Msg::Note(3)).unwrap();
        exit(pid, ExitReason::custom("b"));
        gate.process.send(Msg::Note(4)).unwrap();
        gate.info().await;
        gate.open();
        assert_eq!(gate.hears("4").await, "\"a\" 3 \"b\" 4");
    });
}

/// XMSG-06: what a selective receive has passed over stays.
#[test]
fn message_passed_over_is_not_dropped() {
    run(|_: Context<()>| async move {
        let (heard, door) = (Log::default(), spawn(idle).unwrap());
        let (log, first) = (heard.clone(), door.clone());
        let options = spawn_options().mailbox(2, Overflow::DropOldest);
        let spawned = options.spawn(move |mut ctx: Context<u32>| async move {
            let is_even = |m: MessageRef<'_, u32>| matches!(m, MessageRef::User(n) if n % 2 == 0);
            let even = ctx.receive_match(is_even).await;
            log.note(format!("{even:?}"));
            first.join().await;
            while let Message::User(n) = ctx.receive().await {
                log.note(n);
            }
        });
        let process = spawned.unwrap().process;
        process.send(1).unwrap();
        process.send(2).unwrap();
        assert_eq!(heard.until(&process, "User(2)").await, "User(2)");
        // One is held, so there is place for one more.
        process.send(3).unwrap();
        process.send(5).unwrap();
        let info = process_info(pid_of(&process)).await.unwrap().unwrap();
        assert_eq!(info.message_queue_len, 2);
        kill(pid_of(&door));
        assert_eq!(heard.until(&process, "5").await, "1 5");
    });
}

/// XMSG-10.
#[test]
fn process_does_not_wait_for_itself() {
    run(|ctx: Context<()>| async move {
        drop(ctx);
        let options = spawn_options().mailbox(1, Overflow::Wait);
        let selfish = options.spawn(|ctx: Context<u32>| async move {
            let me = ctx.self_ref();
            me.send_wait(1).await.unwrap();
            let refused = me.send_wait(2).await.unwrap_err();
            assert!(matches!(refused, SendError::Full { message: 2, .. }));
        });
        let reason = selfish.unwrap().process.join().await;
        assert!(reason.is_normal(), "{reason}");
    });
}

/// XMSG-02, ALIAS-05: a reply alias that was not used up stays open.
#[test]
fn message_by_an_alias_is_bound_too() {
    run(|_: Context<()>| async move {
        let options = spawn_options().mailbox(1, Overflow::Refuse);
        let (tell, told) = futures::channel::oneshot::channel::<Alias<u32>>();
        let door = spawn(idle).unwrap();
        let first = door.clone();
        let spawned = options.spawn(move |mut ctx: Context<u32>| async move {
            let _ = tell.send(alias(AliasMode::Reply));
            first.join().await;
            assert_eq!(ctx.receive().await, Message::User(1));
            assert_eq!(ctx.receive().await, Message::User(3));
        });
        let process = spawned.unwrap().process;
        let way = told.await.unwrap();
        process.send(1).unwrap();
        way.send(2);
        let info = process_info(pid_of(&process)).await.unwrap().unwrap();
        assert_eq!(info.message_queue_len, 1);
        kill(pid_of(&door));
        while process_info(pid_of(&process))
            .await
            .unwrap()
            .unwrap()
            .message_queue_len
            > 0
        {
            yield_now().await;
        }
        way.send(3);
        let reason = process.join().await;
        assert!(reason.is_normal(), "{reason}");
    });
}

struct Adder(u64);

enum Add {
    Plus(u64, Reply<u64>),
}

impl GenServer for Adder {
    type Args = ();
    type Message = Add;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(0))
    }

    async fn handle(
        &mut self,
        Add::Plus(n, reply): Add,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        self.0 += n;
        reply.send(self.0);
        Ok(())
    }
}

/// XMSG-04: a hundred callers at a server that holds one.
#[test]
fn every_call_to_a_bounded_server_is_answered() {
    run(|_: Context<()>| async move {
        let builder = Adder::builder(()).mailbox(1, Overflow::Wait);
        let server = builder.start().await.unwrap();
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let server = server.clone();
                spawn(move |_: Context<()>| async move {
                    for _ in 0..3 {
                        let call = server.call(|reply| Add::Plus(1, reply));
                        call.no_timeout().await.unwrap();
                    }
                })
                .unwrap()
            })
            .collect();
        for caller in callers {
            assert!(caller.join().await.is_normal());
        }
        let sum = server.call(|reply| Add::Plus(0, reply)).await;
        assert_eq!(sum, Ok(300));
    });
}

/// What a process with a bound may do to itself, beside a list that says what
/// comes of it.
struct Mirror {
    capacity: usize,
    items: VecDeque<Item>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Item {
    /// A message, and whether a selective receive has passed over it.
    Message(u32, bool),
    Exit(u32),
}

impl Mirror {
    fn messages(&self) -> usize {
        let is_message = |item: &&Item| matches!(item, Item::Message(..));
        self.items.iter().filter(is_message).count()
    }

    fn push(&mut self, n: u32) {
        if self.messages() == self.capacity {
            let oldest = |item: &Item| matches!(item, Item::Message(_, false));
            let Some(at) = self.items.iter().position(oldest) else {
                return;
            };
            self.items.remove(at);
        }
        self.items.push_back(Item::Message(n, false));
    }

    /// The first that is wanted; the others are passed over.
    fn select(&mut self, wanted: impl Fn(u32) -> bool) -> Option<Item> {
        let at = self
            .items
            .iter()
            .position(|item| matches!(item, Item::Message(n, _) if wanted(*n)));
        for item in &mut self.items {
            if let Item::Message(_, is_passed) = item {
                *is_passed = true;
            }
        }
        at.and_then(|at| self.items.remove(at))
    }
}

fn item_of(message: Message<u32>) -> Item {
    match message {
        Message::User(n) => Item::Message(n, false),
        Message::Exit(Exit { reason, .. }) => match reason.cause::<u32>() {
            Some(n) => Item::Exit(*n),
            None => panic!("{reason}"),
        },
        Message::Down(down) => panic!("{down:?}"),
    }
}

fn plain(item: Option<Item>) -> Option<Item> {
    item.map(|item| match item {
        Item::Message(n, _) => Item::Message(n, false),
        exit @ Item::Exit(_) => exit,
    })
}

/// XMSG-06, XMSG-09, against a list.
#[test]
fn random_mail_with_a_bound_is_received_as_a_list_says() {
    for seed in 0..300_u64 {
        let node = Node::new().unwrap();
        let capacity = 1 + (seed % 5) as usize;
        let options = node
            .spawn_options()
            .mailbox(capacity, Overflow::DropOldest)
            .trap_exit();
        let process = options.spawn(move |mut ctx: Context<u32>| async move {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut roll = move |n: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % n
            };
            let mut mirror = Mirror {
                capacity,
                items: VecDeque::new(),
            };
            let me = ctx.self_ref();
            for step in 0..200 {
                match roll(8) {
                    0..=3 => {
                        me.send(step).unwrap();
                        mirror.push(step);
                    }
                    4 => {
                        exit(self_pid(), ExitReason::custom(step));
                        mirror.items.push_back(Item::Exit(step));
                    }
                    5 | 6 => {
                        let received = ctx.try_receive().map(item_of);
                        assert_eq!(received, plain(mirror.items.pop_front()), "step {step}");
                    }
                    _ => {
                        let rest = roll(3) as u32;
                        let wanted = move |n: u32| n % 3 == rest;
                        let receive = ctx
                            .receive_match(move |m| matches!(m, MessageRef::User(n) if wanted(*n)));
                        let received = receive.timeout(Duration::ZERO).await.map(item_of);
                        assert_eq!(received, plain(mirror.select(wanted)), "step {step}");
                    }
                }
            }
        });
        let reason = node.block_on(process.unwrap().process.join());
        assert!(reason.is_normal(), "seed {seed}: {reason}");
    }
}

/// A flood from both workers: what was taken and what was not make up all.
#[test]
fn every_message_is_received_or_handed_back() {
    const EACH: u32 = 2000;
    run_on_threads(|_: Context<()>| async move {
        for overflow in [Overflow::Refuse, Overflow::Wait] {
            let gate = Gate::new(16, overflow);
            gate.open();
            let senders: Vec<_> = (0..4)
                .map(|n| {
                    let process = gate.process.clone();
                    let body = move |_: Context<()>| async move {
                        let mut refused = 0;
                        for _ in 0..EACH {
                            let sent = match n % 2 {
                                0 => process.send(Msg::Note(1)),
                                _ => process.send_wait(Msg::Note(1)).await,
                            };
                            refused += u32::from(sent.is_err());
                        }
                        ExitReason::custom(refused)
                    };
                    spawn(body).unwrap()
                })
                .collect();
            let mut refused = 0;
            for sender in senders {
                let reason = sender.join().await;
                refused += *reason.cause::<u32>().expect("it counted");
            }
            gate.process.send_wait(Msg::Note(2)).await.ok();
            while gate.info().await.message_queue_len > 0 {
                yield_now().await;
            }
            let heard = gate.heard.heard();
            let taken = heard.split(' ').filter(|n| *n == "1").count();
            assert_eq!(taken + refused as usize, 4 * EACH as usize);
        }
    });
}
