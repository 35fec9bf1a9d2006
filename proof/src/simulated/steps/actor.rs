//! A process that does one thing after the other to its peers.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use resurgam::{
    Context, ExitReason, Message, MonitorRef, Node, Pid, ProcessRef, Reply, TimerRef, cancel_timer,
    demonitor, demonitor_flush, exit, is_alive, link, monitor, process_info, register, send_after,
    set_label, sleep, spawn_options, timeout, trap_exit, unlink, unregister,
};

use super::Crowd;

/// What the processes of a crowd say to each other.
#[derive(Debug)]
pub(super) enum Say {
    /// Do something.
    Do,
    /// The number back, please.
    Ask(u64, Reply<u64>),
}

/// The life of one process. It ends when the node or its parent says so, even
/// if it traps exits.
pub(super) async fn act(
    mut ctx: Context<Say>,
    crowd: Arc<Crowd>,
    seed: u64,
    parent: Option<Pid>,
) -> ExitReason {
    let mut actor = Actor {
        crowd,
        rng: Rng::with_seed(seed),
        owed: Vec::new(),
        monitors: Vec::new(),
        timers: Vec::new(),
    };
    loop {
        for _ in 0..actor.rng.u8(..3) {
            if let Some(reason) = actor.act(&ctx).await {
                return reason;
            }
        }
        let pause = actor.moment();
        match ctx.receive_timeout(pause).await {
            Some(Message::User(Say::Ask(number, reply))) => actor.answer(number, reply),
            Some(Message::Exit(exit))
                if Some(exit.from) == parent || exit.reason == ExitReason::Shutdown =>
            {
                return exit.reason;
            }
            Some(Message::User(Say::Do) | Message::Exit(_) | Message::Down(_)) | None => {}
        }
    }
}

struct Actor {
    crowd: Arc<Crowd>,
    rng: Rng,
    owed: Vec<(u64, Reply<u64>)>,
    monitors: Vec<MonitorRef>,
    timers: Vec<TimerRef>,
}

impl Actor {
    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(1..20_000))
    }

    /// Does something; the reason, if that is to end.
    async fn act(&mut self, ctx: &Context<Say>) -> Option<ExitReason> {
        let peer = self.crowd.peer(&mut self.rng)?;
        let pid = peer.pid()?;
        match self.rng.u8(..100) {
            0..25 => peer.cast(Say::Do),
            25..35 => link(pid),
            35..43 => unlink(pid),
            43..50 => self.monitors.push(monitor(pid)),
            50..56 => self.demonitor(),
            56..61 => self.arm(&peer),
            61..64 => self.disarm(),
            64..68 => _ = trap_exit(self.rng.bool()),
            68..71 => exit(pid, self.reason()),
            71..75 => self.name(pid),
            75..80 => self.bear(ctx),
            80..85 => self.call(&peer).await,
            85..88 => self.look(pid).await,
            88..90 => sleep(self.moment()).await,
            90..92 => self.pay(),
            92..98 => self.disturb().await,
            98 => return Some(self.reason()),
            _ => assert!(self.rng.u8(..4) > 0, "a panic of the program's own"),
        }
        None
    }

    fn reason(&mut self) -> ExitReason {
        match self.rng.u8(..5) {
            0 => ExitReason::Normal,
            1 => ExitReason::Shutdown,
            2 => ExitReason::Kill,
            3 => ExitReason::shutdown_with("enough"),
            _ => ExitReason::custom("tired"),
        }
    }

    fn answer(&mut self, number: u64, reply: Reply<u64>) {
        match self.rng.u8(..4) {
            0 => drop(reply),
            1 => self.owed.push((number, reply)),
            _ => reply.send(number),
        }
    }

    fn pay(&mut self) {
        for (number, reply) in self.owed.drain(..) {
            reply.send(number);
        }
    }

    fn demonitor(&mut self) {
        if let Some(reference) = self.monitors.pop() {
            match self.rng.bool() {
                true => demonitor(reference),
                false => demonitor_flush(reference),
            };
        }
    }

    fn arm(&mut self, peer: &ProcessRef<Say>) {
        if let Some(pid) = peer.pid() {
            let delay = self.moment();
            self.timers.push(send_after(delay, pid, Say::Do));
        }
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timers.pop() {
            cancel_timer(timer);
        }
    }

    fn name(&mut self, pid: Pid) {
        const NAMES: [&str; 3] = ["one", "two", "three"];
        let name = NAMES[self.rng.usize(..NAMES.len())];
        // The name may be taken, or the process gone: that is no trouble.
        match self.rng.u8(..3) {
            0 => _ = unregister(name),
            _ => _ = register(name, pid),
        }
    }

    /// Spawns one like itself.
    fn bear(&mut self, ctx: &Context<Say>) {
        if !self.crowd.has_room() {
            return;
        }
        let mut options = spawn_options();
        if self.rng.bool() {
            options = options.link();
        }
        if self.rng.bool() {
            options = options.monitor();
        }
        let (crowd, seed, parent) = (Arc::clone(&self.crowd), self.rng.u64(..), ctx.pid());
        if let Ok(child) = options.spawn(move |ctx| act(ctx, crowd, seed, Some(parent))) {
            self.crowd.enter(&mut self.rng, child.process);
        }
        set_label("parent");
    }

    /// The reply, if there is one, is to this call.
    async fn call(&mut self, peer: &ProcessRef<Say>) {
        let (number, patience) = (self.rng.u64(..), self.moment());
        let call = peer.call(|reply| Say::Ask(number, reply));
        if let Ok(answer) = call.timeout(patience).await {
            assert_eq!(answer, number, "the reply to another call");
        }
    }

    async fn look(&mut self, pid: Pid) {
        // The time may be up for each of them.
        match self.rng.u8(..3) {
            0 => _ = is_alive(pid).await,
            1 => _ = process_info(pid).await,
            _ => _ = timeout(self.moment(), resurgam::join(pid)).await,
        }
    }

    /// Does something to a supervisor, for no longer than a moment: it may be
    /// the one that waits for this process to end.
    async fn disturb(&mut self) {
        let patience = self.moment();
        let crowd = Arc::clone(&self.crowd);
        let node = Node::current();
        let disturbing = crowd.grove.disturb(&crowd, &node, &mut self.rng);
        let _ = timeout(patience, disturbing).await;
    }
}
