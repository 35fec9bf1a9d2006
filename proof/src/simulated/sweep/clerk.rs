//! The workers of the sweeps.

use std::time::Duration;

use resurgam::{
    CallError, ChildSpec, Context, Exit, ExitReason, GenServer, InitError, Message, Node,
    ProcessRef, Reply, ServerContext, self_pid, sleep, trap_exit,
};

/// What a clerk can be told.
#[derive(Debug)]
pub(super) enum Ask {
    /// One more than the number.
    Next(u64, Reply<u64>),
    /// The same, after a while.
    Slowly(u64, Reply<u64>),
    /// Fall over.
    Crash,
}

/// How a clerk goes about it.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Manner {
    /// How long it takes to begin.
    pub(super) begins: Duration,
    /// How long it takes to end, if it is told to.
    pub(super) ends: Duration,
}

/// A server that counts one further.
pub(super) struct Clerk(Manner);

impl GenServer for Clerk {
    type Args = Manner;
    type Message = Ask;

    async fn init(manner: Manner, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        trap_exit(!manner.ends.is_zero());
        pause(manner.begins).await;
        Ok(Self(manner))
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Next(number, reply) => reply.send(number + 1),
            Ask::Slowly(number, reply) => {
                sleep(Duration::from_secs(1)).await;
                reply.send(number + 1);
            }
            Ask::Crash => return Err(ExitReason::custom("crash")),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        pause(self.0.ends).await;
    }
}

async fn pause(length: Duration) {
    if !length.is_zero() {
        sleep(length).await;
    }
}

/// A clerk under a name that is its id.
pub(super) fn clerk(name: &'static str, manner: Manner) -> ChildSpec {
    ChildSpec::server_with::<Clerk, _>(name, move || Clerk::builder(manner).name(name))
}

/// A clerk that takes no time.
pub(super) fn plain(name: &'static str) -> ChildSpec {
    clerk(name, Manner::default())
}

/// Lets a clerk fall over, if it is there.
pub(super) fn crash(node: &Node, name: &'static str) {
    node.named(name).cast(Ask::Crash);
}

/// Asks until an answer comes, which is the right one.
pub(super) async fn ask(clerk: &ProcessRef<Ask>, number: u64) -> Result<(), CallError> {
    let answer = clerk.call(|reply| Ask::Next(number, reply)).await?;
    assert_eq!(answer, number + 1, "the answer to another question");
    Ok(())
}

/// A process that does not go when it is asked to, but follows a supervisor
/// that was killed.
pub(super) fn stubborn(id: &'static str) -> ChildSpec {
    ChildSpec::process(id, || {
        let parent = self_pid();
        move |mut ctx: Context<()>| async move {
            trap_exit(true);
            loop {
                if let Message::Exit(Exit { from, reason }) = ctx.receive().await
                    && from == parent
                    && reason != ExitReason::Shutdown
                {
                    return;
                }
            }
        }
    })
}
