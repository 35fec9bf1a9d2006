//! Servers and who calls them.

use std::time::Duration;

use futures::future::join_all;
use resurgam::sim::{Faults, Sim};
use resurgam::{
    CallError, Context, ExitReason, GenServer, InitError, Message, Reply, ServerContext, exit, now,
    sleep, spawn,
};

use super::{SECOND, Scenario, play};

/// The scenarios.
pub const ALL: &[Scenario] = &[
    ("each_call_has_its_own_reply", own_replies),
    ("a_reply_may_come_from_elsewhere_and_later", deferred),
    ("a_dropped_request_is_told_at_once", dropped),
    ("a_call_waits_as_long_as_it_says", times_out),
    ("a_late_reply_is_dropped", late_reply),
    ("callers_are_told_how_their_server_ended", server_ends),
    ("a_call_to_nobody_is_answered", nobody),
    ("each_call_under_kills_has_one_answer", under_kills),
];

/// Does with a request what it is told.
struct Server {
    kept: Vec<Reply<u32>>,
}

enum Ask {
    Answer(u32, Reply<u32>),
    AnswerLater(u32, Duration, Reply<u32>),
    Drop(Reply<u32>),
    DropElsewhere(Reply<u32>),
    Keep(Reply<u32>),
    AnswerKept,
}

impl GenServer for Server {
    type Args = ();
    type Message = Ask;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self { kept: Vec::new() })
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Answer(n, reply) => reply.send(n),
            Ask::AnswerLater(n, after, reply) => elsewhere(async move {
                sleep(after).await;
                reply.send(n);
            }),
            Ask::Drop(reply) => drop(reply),
            Ask::DropElsewhere(reply) => elsewhere(async move { drop(reply) }),
            Ask::Keep(reply) => self.kept.push(reply),
            Ask::AnswerKept => self.kept.drain(..).for_each(|reply| reply.send(0)),
        }
        Ok(())
    }
}

fn elsewhere(work: impl Future<Output = ()> + Send + 'static) {
    spawn(move |_: Context<()>| work).expect("the node takes processes");
}

async fn server() -> resurgam::ServerRef<Server> {
    Server::start(()).await.expect("it starts")
}

fn own_replies(sim: &mut Sim) {
    sim.run(async {
        let server = server().await;
        let call = |n| {
            let after = Duration::from_millis(u64::from(n % 3));
            server.call(move |reply| match n % 2 {
                0 => Ask::Answer(n, reply),
                _ => Ask::AnswerLater(n, after, reply),
            })
        };
        for (n, answer) in join_all((0..8).map(call)).await.into_iter().enumerate() {
            assert_eq!(answer, Ok(n as u32));
        }
    });
}

fn deferred(sim: &mut Sim) {
    sim.run(async {
        let server = server().await;
        let later = server.call(|reply| Ask::AnswerLater(7, SECOND, reply));
        assert_eq!(later.await, Ok(7));
        let kept = server.call(Ask::Keep);
        let freed = async {
            sleep(SECOND).await;
            server.cast(Ask::AnswerKept);
        };
        assert_eq!(futures::join!(kept, freed).0, Ok(0));
    });
}

fn dropped(sim: &mut Sim) {
    sim.run(async {
        let server = server().await;
        let begun = now();
        assert_eq!(server.call(Ask::Drop).await, Err(CallError::NoReply));
        let elsewhere = server.call(Ask::DropElsewhere).await;
        assert_eq!(elsewhere, Err(CallError::NoReply));
        assert_eq!(now(), begun, "nobody has to wait for that");
    });
}

fn times_out(sim: &mut Sim) {
    sim.run(async {
        let server = server().await;
        let begun = now();
        let call = server.call(Ask::Keep).timeout(2 * SECOND);
        assert_eq!(call.await, Err(CallError::TimedOut));
        assert_eq!(now() - begun, 2 * SECOND);
        let call = server.call(Ask::Keep);
        assert_eq!(call.await, Err(CallError::TimedOut));
        assert_eq!(now() - begun, 7 * SECOND, "five seconds unless one says so");
    });
}

fn late_reply(sim: &mut Sim) {
    play(sim, |mut ctx: Context<u32>| async move {
        let server = server().await;
        let late = server.call(|reply| Ask::AnswerLater(1, 2 * SECOND, reply));
        assert_eq!(late.timeout(SECOND).await, Err(CallError::TimedOut));
        let next = server.call(|reply| Ask::AnswerLater(2, 2 * SECOND, reply));
        assert_eq!(next.await, Ok(2), "not the reply of the call before");
        assert_eq!(ctx.try_receive(), None);
    });
}

fn server_ends(sim: &mut Sim) {
    let reasons = [
        ExitReason::Shutdown,
        ExitReason::Kill,
        ExitReason::custom("a reason"),
    ];
    let reason = reasons[sim.random(reasons.len())].clone();
    sim.run(async move {
        let server = server().await;
        let pid = server.pid().expect("it was just started");
        let begun = now();
        let callers = join_all((0..4).map(|_| server.call(Ask::Keep)));
        let ended = reason.clone();
        let end = async {
            sleep(SECOND).await;
            exit(pid, ended);
        };
        let told = match reason {
            ExitReason::Kill => ExitReason::Killed,
            other => other,
        };
        for answer in futures::join!(callers, end).0 {
            assert_eq!(answer, Err(CallError::Down(told.clone())));
        }
        assert_eq!(now() - begun, SECOND, "at once");
        let after = server.call(Ask::Keep).await;
        assert_eq!(after, Err(CallError::Down(ExitReason::NoProcess)));
    });
}

fn nobody(sim: &mut Sim) {
    sim.run(async {
        let nobody = resurgam::ProcessRef::<Ask>::named("nobody");
        let answer = nobody.call(Ask::Keep).await;
        assert_eq!(answer, Err(CallError::Down(ExitReason::NoProcess)));
    });
}

/// Callers and servers die; whoever lives has an answer to each call, in time.
fn under_kills(sim: &mut Sim) {
    sim.faults(
        Faults::none()
            .kill(0.02)
            .delay(0.02, Duration::ZERO..SECOND),
    );
    play(sim, |mut ctx: Context<u32>| async move {
        let callers = 4;
        for _ in 0..callers {
            resurgam::spawn_monitor(|_: Context<()>| call_each_kind())
                .expect("the node takes processes");
        }
        for _ in 0..callers {
            let Message::Down(down) = ctx.receive().await else {
                panic!("nobody sends messages");
            };
            let killed = down.reason == ExitReason::Killed;
            assert!(killed || down.reason.is_normal(), "{down:?}");
        }
    });
}

async fn call_each_kind() {
    let Ok(server) = Server::start(()).await else {
        return;
    };
    for n in 0..4 {
        let begun = now();
        let answer = match n {
            0 => server.call(|reply| Ask::Answer(0, reply)).await,
            1 => {
                let later = |reply| Ask::AnswerLater(1, SECOND / 2, reply);
                server.call(later).await
            }
            2 => server.call(Ask::Drop).await,
            _ => server.call(Ask::Keep).await,
        };
        assert!(now() - begun <= 60 * SECOND, "it waited too long");
        match answer {
            Ok(answered) => assert_eq!(answered, n),
            Err(CallError::NoReply) => assert!(n == 1 || n == 2, "{n} was dropped"),
            Err(CallError::TimedOut) => assert!(now() - begun >= 5 * SECOND),
            Err(CallError::Down(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
}
