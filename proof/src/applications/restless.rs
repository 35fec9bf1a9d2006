//! Applications whose callbacks start and stop applications, their own and
//! others, all at once. Nothing can be said of what comes of that, but that
//! everybody gets an answer and nothing is left in the end (laws XAPP-01 to
//! XAPP-06). Erlang is not asked: it would wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fastrand::Rng;
use resurgam::sim::Sim;
use resurgam::{
    Application, Applications, ChildSpec, Config, Context, ExitReason, GenServer, InitError, Node,
    ServerContext, Shutdown, StartError, StartMode, StartType, Strategy, Supervisor, SupervisorRef,
    kill, spawn, trap_exit,
};

use crate::simulated::expect_nothing_left;

/// What somebody asks for.
#[derive(Copy, Clone, Debug)]
enum Wish {
    Start(usize),
    Ensure(usize, StartMode),
    Stop(usize),
    /// The top is killed.
    Kill(usize),
    Configure,
    StopAll,
}

/// Where an application asks.
const PLACES: usize = 9;

/// What the callbacks of all applications ask for, at each place.
struct Wishes {
    wishes: Vec<[Vec<Wish>; PLACES]>,
    /// How often they may ask until all are content.
    left: AtomicU32,
}

impl Wishes {
    fn random(rng: &mut Rng, count: usize) -> Self {
        let few = |rng: &mut Rng| -> Vec<Wish> {
            let often = rng.u8(..4) == 0;
            let many = if often { rng.usize(1..3) } else { 0 };
            (0..many).map(|_| Wish::random(rng, count)).collect()
        };
        let each = (0..count).map(|_| std::array::from_fn(|_| few(rng)));
        Self {
            wishes: each.collect(),
            left: AtomicU32::new(40),
        }
    }

    async fn ask(&self, own: usize, place: usize) {
        for wish in &self.wishes[own][place] {
            let enough = |left: u32| left.checked_sub(1);
            let order = Ordering::Relaxed;
            if self.left.fetch_update(order, order, enough).is_ok() {
                wish.grant().await;
            }
        }
    }
}

fn name(number: usize) -> String {
    format!("app{number}")
}

impl Wish {
    fn random(rng: &mut Rng, count: usize) -> Self {
        let whom = rng.usize(..count);
        match rng.u8(..16) {
            0..=3 => Self::Start(whom),
            4..=5 => Self::Ensure(whom, StartMode::Serial),
            6 => Self::Ensure(whom, StartMode::Concurrent),
            7..=11 => Self::Stop(whom),
            12 => Self::Kill(whom),
            13..=14 => Self::Configure,
            _ => Self::StopAll,
        }
    }

    async fn grant(self) {
        let Ok(apps) = Applications::on(&Node::current()).await else {
            return;
        };
        match self {
            Self::Start(whom) => drop(apps.start(name(whom)).await),
            Self::Ensure(whom, mode) => {
                let (kind, names) = (StartType::Temporary, [name(whom)]);
                drop(apps.ensure_all_started_as(kind, mode, names).await);
            }
            Self::Stop(whom) => drop(apps.stop(name(whom)).await),
            Self::Kill(whom) => {
                if let Ok(Some(top)) = apps.get_supervisor(name(whom)).await {
                    kill(top);
                }
            }
            Self::Configure => {
                let value = fastrand::u64(..);
                let all = (0..8).fold(Config::new(), |config, number| {
                    config.set(name(number), "key", value)
                });
                drop(apps.change_config(all).await);
            }
            Self::StopAll => apps.stop_all().await,
        }
    }
}

/// An application that asks at every place.
fn application(own: usize, wishes: &Arc<Wishes>) -> Application {
    let at = |place: usize| {
        let wishes = Arc::clone(wishes);
        move || {
            let wishes = Arc::clone(&wishes);
            async move { wishes.ask(own, place).await }
        }
    };
    let (phase, prep_stop, stop, change) = (at(1), at(2), at(3), at(4));
    let starts = Arc::clone(wishes);
    Application::new(name(own))
        .env("key", 0_u64)
        .start(move |_| start(own, Arc::clone(&starts)))
        .start_phase("phase", move |_| {
            let phase = phase();
            async move {
                phase.await;
                Ok(())
            }
        })
        .prep_stop(move |_| prep_stop())
        .stop(move |_| stop())
        .config_change(move |_, _| change())
}

async fn start(own: usize, wishes: Arc<Wishes>) -> Result<SupervisorRef, StartError> {
    wishes.ask(own, 0).await;
    let worker = Arc::clone(&wishes);
    spawn(move |_: Context<()>| async move { worker.ask(own, 5).await })?;
    let server = ChildSpec::server_with::<Server, _>("server", move || {
        Server::builder((own, Arc::clone(&wishes)))
    });
    let server = server.temporary().shutdown(Shutdown::Infinity);
    let top = Supervisor::builder(Strategy::OneForOne).child(server);
    Ok(top.start_link().await?)
}

/// A server that asks when it starts, when it runs and when it ends.
struct Server(usize, Arc<Wishes>);

impl GenServer for Server {
    type Args = (usize, Arc<Wishes>);
    type Message = ();

    async fn init(
        (own, wishes): Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        trap_exit(true);
        wishes.ask(own, 6).await;
        ctx.self_ref().cast(());
        Ok(Self(own, wishes))
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        self.1.ask(self.0, 7).await;
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        self.1.ask(self.0, 8).await;
    }
}

/// The restless applications of a seed, and clients that are no better.
///
/// # Panics
///
/// If somebody waits for ever, or is left.
pub fn play(sim: &mut Sim, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let count = rng.usize(1..=4);
    let wishes = Arc::new(Wishes::random(&mut rng, count));
    let mut all = Vec::new();
    for own in 0..count {
        let mut application = application(own, &wishes);
        for other in 0..own {
            match rng.u8(..4) {
                0 => application = application.needs(name(other)),
                1 => application = application.needs_if_loaded(name(other)),
                _ => {}
            }
        }
        all.push(application);
    }
    let clients = (0..rng.usize(1..4)).map(|_| {
        let many = rng.usize(1..6);
        let wishes = (0..many).map(|_| Wish::random(&mut rng, count));
        wishes.collect::<Vec<_>>()
    });
    let clients: Vec<_> = clients.collect();
    let apps = sim.run(async move {
        let apps = Applications::start_on(&Node::current()).await;
        let apps = apps.expect("nothing hinders it");
        for application in all {
            apps.load(application).await.expect("its name is its own");
        }
        apps
    });
    let clients: Vec<_> = clients
        .into_iter()
        .map(|wishes| {
            sim.client(move |_: Context<()>| async move {
                for wish in wishes {
                    wish.grant().await;
                }
            })
        })
        .collect();
    for client in clients {
        sim.run(client.join());
    }
    sim.run(async move { apps.stop_all().await });
    expect_nothing_left(sim);
}
