//! How servers start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use resurgam::sim::Sim;
use resurgam::{
    Context, ExitReason, GenServer, InitError, Message, ServerContext, ServerRef, StartError, now,
    sleep, trap_exit, whereis,
};

use super::{SECOND, Scenario, play};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("a_server_is_up_when_its_init_is_done", up_after_init),
    ("a_server_whose_init_fails_does_not_start", init_fails),
    (
        "a_failed_start_link_leaves_nothing_behind",
        linked_init_fails,
    ),
    ("a_start_waits_as_long_as_it_says", start_times_out),
    (
        "what_comes_during_init_is_handled_after_it",
        mail_during_init,
    ),
    ("a_name_is_taken_once", name_taken),
];

/// Takes a second to start.
struct Slow {
    up: Arc<AtomicBool>,
}

/// How its start comes out.
#[derive(Clone)]
enum Outcome {
    Up,
    Stop,
    Error,
    Ignore,
    Panic,
}

impl GenServer for Slow {
    type Args = (Arc<AtomicBool>, Outcome);
    type Message = ();

    async fn init(
        (up, outcome): Self::Args,
        _: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        sleep(SECOND).await;
        up.store(true, Ordering::Relaxed);
        match outcome {
            Outcome::Up => Ok(Self { up }),
            Outcome::Stop => Err(InitError::Stop(ExitReason::custom("no"))),
            Outcome::Error => Err(InitError::Error(ExitReason::custom("no"))),
            Outcome::Ignore => Err(InitError::Ignore),
            Outcome::Panic => std::panic::resume_unwind(Box::new("no")),
        }
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        assert!(self.up.load(Ordering::Relaxed), "before init was done");
        Err(ExitReason::Normal)
    }
}

/// Starts it by name; whether init had been done by then.
async fn start(outcome: Outcome) -> (Result<ServerRef<Slow>, StartError>, bool) {
    let up = Arc::new(AtomicBool::new(false));
    let builder = Slow::builder((Arc::clone(&up), outcome)).name("slow");
    let started = builder.start().await;
    (started, up.load(Ordering::Relaxed))
}

fn up_after_init(sim: &mut Sim) {
    sim.run(async {
        let begun = now();
        let (started, was_up) = start(Outcome::Up).await;
        assert!(was_up, "it was said to be up before its init was done");
        assert_eq!(now() - begun, SECOND);
        let pid = started.expect("it starts").pid();
        assert_eq!(whereis("slow"), pid);
    });
}

fn init_fails(sim: &mut Sim) {
    let outcomes = [
        Outcome::Stop,
        Outcome::Error,
        Outcome::Ignore,
        Outcome::Panic,
    ];
    let outcome = outcomes[sim.random(outcomes.len())].clone();
    sim.run(async {
        let failed = start(outcome.clone()).await.0;
        match (outcome, failed) {
            (Outcome::Stop | Outcome::Error, Err(StartError::Failed(reason))) => {
                assert_eq!(reason, ExitReason::custom("no"));
            }
            (Outcome::Ignore, Err(StartError::Ignore)) => {}
            (Outcome::Panic, Err(StartError::Failed(ExitReason::Panicked(_)))) => {}
            (_, other) => panic!("it said {other:?}"),
        }
        assert_eq!(whereis("slow"), None, "its name is free by then");
        assert!(start(Outcome::Up).await.0.is_ok());
    });
}

fn linked_init_fails(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        trap_exit(true);
        let up = Arc::new(AtomicBool::new(false));
        let failed = Slow::start_link((up, Outcome::Stop)).await;
        assert!(matches!(failed, Err(StartError::Failed(_))), "{failed:?}");
        assert_eq!(ctx.receive_timeout(SECOND).await, None);
        let node = ctx.node();
        let left = node.processes().len();
        assert_eq!(left, 2, "only the two of the scenario are left");
    });
}

fn start_times_out(sim: &mut Sim) {
    sim.run(async {
        let begun = now();
        let up = Arc::new(AtomicBool::new(false));
        let builder = Slow::builder((Arc::clone(&up), Outcome::Up)).name("slow");
        let failed = builder.timeout(SECOND / 2).start().await;
        assert!(matches!(failed, Err(StartError::TimedOut)), "{failed:?}");
        assert_eq!(now() - begun, SECOND / 2);
        assert_eq!(whereis("slow"), None);
        sleep(SECOND).await;
        assert!(!up.load(Ordering::Relaxed), "it was killed");
    });
}

fn mail_during_init(sim: &mut Sim) {
    play(sim, |mut ctx: Context<()>| async move {
        let early = async {
            sleep(SECOND / 2).await;
            let slow = ServerRef::<Slow>::named("slow");
            assert!(slow.send(()).is_ok(), "it can be sent to");
        };
        let (started, ()) = futures::join!(start(Outcome::Up), early);
        let server = started.0.expect("it starts");
        resurgam::monitor(server.pid().expect("it was just started"));
        let Message::Down(down) = ctx.receive().await else {
            panic!("nobody sends messages");
        };
        let gone = [ExitReason::Normal, ExitReason::NoProcess];
        assert!(gone.contains(&down.reason), "{down:?}");
    });
}

fn name_taken(sim: &mut Sim) {
    sim.run(async {
        let (first, second) = futures::join!(start(Outcome::Up), start(Outcome::Up));
        let (Ok(up), Err(StartError::AlreadyStarted(holder))) = (&first.0, &second.0) else {
            panic!("{:?}, {:?}", first.0, second.0);
        };
        assert_eq!(up.pid(), Some(*holder));
    });
}
