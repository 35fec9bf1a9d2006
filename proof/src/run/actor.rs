//! A real process that plays one process of a program.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use resurgam::{
    Context, ExitReason, Message, MonitorRef, demonitor, demonitor_flush, exit, is_alive, link,
    monitor, register, spawn_options, trap_exit, unlink, unregister, whereis, yield_now,
};

use super::{Activity, Crowd, exit_reason, reason_of};
use crate::observation::Seen;
use crate::program::{Down, Op, Tie, Who};

/// What a process is told to do.
#[derive(Copy, Clone, Debug)]
pub(super) enum Order {
    /// A step of the program.
    Do(Op),
    /// To show what is left in its mailbox.
    Empty,
}

/// The body of a process. It is boxed, as a body can spawn another like it.
pub(super) fn play(
    crowd: Arc<Crowd>,
    who: Who,
) -> impl FnOnce(Context<u32>) -> BoxFuture<'static, ExitReason> + Send + 'static {
    move |ctx| {
        let rng = crowd
            .pace
            .map(|pace| fastrand::Rng::with_seed(pace ^ (who as u64) << 32));
        Actor {
            crowd,
            who,
            ctx,
            monitors: Vec::new(),
            rng,
        }
        .play()
        .boxed()
    }
}

struct Actor {
    crowd: Arc<Crowd>,
    who: Who,
    ctx: Context<u32>,
    /// The monitors it made, by number.
    monitors: Vec<MonitorRef>,
    /// When to dawdle, if nobody waits for it.
    rng: Option<fastrand::Rng>,
}

/// Whether a process goes on after a step.
type Flow = std::ops::ControlFlow<ExitReason>;

impl Actor {
    async fn play(mut self) -> ExitReason {
        self.crowd.enter(self.who, &self.ctx.self_ref());
        let mut inbox = self.crowd.take_inbox(self.who);
        loop {
            let orders = match inbox.next().now_or_never() {
                Some(orders) => orders,
                None => {
                    self.crowd.set_activity(self.who, Activity::Idle);
                    inbox.next().await
                }
            };
            for order in orders.expect("the crowd outlives its members") {
                self.dawdle().await;
                if let Flow::Break(reason) = self.obey(order).await {
                    return reason;
                }
                // A signal that ends a process in the midst of an operation
                // stops it here, before the next one.
                yield_now().await;
            }
        }
    }

    /// Takes a while, or lets others run.
    async fn dawdle(&mut self) {
        let Some(rng) = &mut self.rng else {
            return;
        };
        match rng.u8(..4) {
            0 => yield_now().await,
            1..=2 => (0..rng.u32(..400)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }

    async fn obey(&mut self, order: Order) -> Flow {
        match order {
            Order::Do(op) => return self.act(op).await,
            Order::Empty => {
                while let Some(message) = self.ctx.try_receive() {
                    self.crowd.log_mail(self.who, self.seen(message));
                }
            }
        }
        Flow::Continue(())
    }

    async fn act(&mut self, op: Op) -> Flow {
        match op {
            Op::Send(to, tag) => {
                if let Some(process) = self.crowd.process(to) {
                    process.cast(tag);
                }
            }
            Op::SendName(name, tag) => {
                let sent = resurgam::send(self.crowd.full_name(name), tag);
                self.log(Seen::Sent(sent.is_ok()));
            }
            Op::Link(other) => self.crowd.pid(other).map_or((), link),
            Op::Unlink(other) => self.crowd.pid(other).map_or((), unlink),
            Op::Monitor(other) => self.monitors.extend(self.crowd.pid(other).map(monitor)),
            Op::MonitorName(name) => self.monitors.push(monitor(self.crowd.full_name(name))),
            Op::Demonitor(number, down) => self.demonitor(number, down),
            Op::Exit(other, reason) => {
                if let Some(pid) = self.crowd.pid(other) {
                    exit(pid, exit_reason(reason));
                }
            }
            Op::TrapExit(trap) => self.log(Seen::Trapped(trap_exit(trap))),
            Op::Register(name, whom) => {
                if let Some(pid) = self.crowd.pid(whom) {
                    let given = register(self.crowd.full_name(name), pid);
                    self.log(Seen::Registered(given.is_ok()));
                }
            }
            Op::Unregister(name) => {
                let taken = unregister(self.crowd.full_name(name));
                self.log(Seen::Unregistered(taken.is_ok()));
            }
            Op::Whereis(name) => {
                let found = whereis(self.crowd.full_name(name));
                self.log(Seen::Found(found.map(|pid| self.crowd.who(pid))));
            }
            Op::Spawn(child, tie) => self.spawn(child, tie),
            Op::Receive => {
                self.crowd.set_activity(self.who, Activity::ForMail);
                let message = self.ctx.receive().await;
                self.crowd.set_activity(self.who, Activity::Busy);
                self.log(self.seen(message));
            }
            Op::Poll => {
                let message = self.ctx.receive_timeout(Duration::ZERO).await;
                self.log(message.map_or(Seen::Nothing, |message| self.seen(message)));
            }
            Op::IsAlive(other) => {
                if let Some(pid) = self.crowd.pid(other) {
                    // The error is that no answer came: the log shows it.
                    if let Ok(alive) = is_alive(pid).await {
                        self.log(Seen::Alive(alive));
                    }
                }
            }
            Op::Return(reason) => return Flow::Break(exit_reason(reason)),
            // A panic that prints nothing.
            Op::Panic => std::panic::resume_unwind(Box::new("as the program says")),
        }
        Flow::Continue(())
    }

    fn demonitor(&self, number: usize, down: Down) {
        let Some(reference) = self.monitors.get(number) else {
            return;
        };
        let was_active = match down {
            Down::Kept => demonitor(*reference),
            Down::Flushed => demonitor_flush(*reference),
        };
        self.log(Seen::Demonitored(was_active));
    }

    fn spawn(&mut self, child: Who, tie: Tie) {
        let options = match tie {
            Tie::None => spawn_options(),
            Tie::Link => spawn_options().link(),
            Tie::Monitor => spawn_options().monitor(),
        };
        let spawned = options
            .spawn(play(Arc::clone(&self.crowd), child))
            .expect("the node takes as many processes as there are");
        self.crowd.enter(child, &spawned.process);
        self.monitors.extend(spawned.monitor);
    }

    fn seen(&self, message: Message<u32>) -> Seen {
        match message {
            Message::User(tag) => Seen::Message(tag),
            Message::Exit(exit) => Seen::Exit(self.crowd.who(exit.from), reason_of(&exit.reason)),
            Message::Down(down) => {
                let number = self
                    .monitors
                    .iter()
                    .position(|made| *made == down.reference);
                Seen::Down(
                    number.expect("a down is of a monitor"),
                    reason_of(&down.reason),
                )
            }
        }
    }

    fn log(&self, seen: Seen) {
        self.crowd.log(self.who, seen);
    }
}
