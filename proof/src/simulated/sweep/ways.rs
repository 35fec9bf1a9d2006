//! Scenarios of aliases, and of monitors that tell by a message of one's own.

use resurgam::sim::Sim;
use resurgam::{
    Alias, AliasMode, ChildSpec, Context, Message, MonitorAlias, Strategy, Supervisor, alias,
    demonitor, monitor_alias, monitor_as, register, self_pid, send, sleep, trap_exit, unalias,
};

use super::{Root, SECOND, is_end_of_node, must, role};

/// What a client hears.
#[derive(Debug, PartialEq)]
enum Heard {
    Answer(u32),
    Ended,
}

/// What the server is told.
enum Tell {
    /// Answer so often.
    Answer(u32, u32, Alias<Heard>),
    End,
}

/// Answers by the alias it is given.
fn server() -> ChildSpec {
    ChildSpec::process("server", || {
        |mut ctx: Context<Tell>| async move {
            // One that was killed is in the table for a moment.
            if register("server", self_pid()).is_err() {
                return;
            }
            while let Message::User(Tell::Answer(times, number, way)) = ctx.receive().await {
                for _ in 0..times {
                    way.send(Heard::Answer(number));
                    sleep(SECOND / 4).await;
                }
            }
        }
    })
}

/// Whoever asks by an alias has one answer or one notice, and never both; and
/// nothing comes by a way that is closed.
pub(super) fn aliases(sim: &mut Sim) {
    let top = Supervisor::builder(Strategy::OneForOne).child(server());
    let root = Root::start(sim, top);
    role(sim, "single", single);
    role(sim, "closer", closer);
    role(sim, "watcher", watcher);
    root.expect_whole_or_gone(sim, 2, &["server"]);
    root.stop(sim);
}

fn ask(times: u32, number: u32, way: &Alias<Heard>) {
    let _ = send("server", Tell::Answer(times, number, way.clone()));
}

/// An answer closes the way and ends the monitor.
async fn single(mut ctx: Context<Heard>) {
    trap_exit(true);
    for number in 0..2 {
        let (reference, way) = monitor_alias("server", MonitorAlias::ReplyDemonitor);
        ask(2, number, &way);
        match ctx.receive().await {
            Message::User(heard) => {
                must(heard == Heard::Answer(number), || format!("{heard:?}"));
            }
            Message::Down(down) => must(down.reference == reference, || format!("{down:?}")),
            exit => return must(is_end_of_node(&exit), || format!("{exit:?}")),
        }
        nothing_more(&mut ctx).await;
    }
}

/// What is closed by hand lets nothing in, with its monitor or alone.
async fn closer(mut ctx: Context<Heard>) {
    let explicit = alias(AliasMode::Explicit);
    ask(2, 1, &explicit);
    let (reference, way) = monitor_alias("server", MonitorAlias::Demonitor);
    ask(2, 2, &way);
    sleep(SECOND / 8).await;
    must(unalias(&explicit), || "it was closed".to_owned());
    demonitor(reference);
    must(!unalias(&way), || {
        "an alias outlives its monitor".to_owned()
    });
    while ctx.try_receive().is_some() {}
    // What was on its way has come by now.
    nothing_more(&mut ctx).await;
    // This one is closed by the first answer.
    ask(2, 3, &alias(AliasMode::Reply));
    let answer = ctx.receive_timeout(SECOND).await;
    let holds = match &answer {
        Some(Message::User(heard)) => *heard == Heard::Answer(3),
        // The server was struck.
        other => other.as_ref().is_none_or(is_end_of_node),
    };
    must(holds, || format!("heard {answer:?}"));
    nothing_more(&mut ctx).await;
}

/// The end is told in words of one's own, once.
async fn watcher(mut ctx: Context<Heard>) {
    sleep(3 * SECOND).await;
    monitor_as("server", |_| Heard::Ended);
    let taken_back = monitor_as("server", |_| Heard::Answer(99));
    demonitor(taken_back);
    let _ = send("server", Tell::End);
    match ctx.receive().await {
        Message::User(heard) => must(heard == Heard::Ended, || format!("{heard:?}")),
        other => must(is_end_of_node(&other), || format!("{other:?}")),
    }
    nothing_more(&mut ctx).await;
}

async fn nothing_more(ctx: &mut Context<Heard>) {
    let next = ctx.receive_timeout(SECOND).await;
    must(next.as_ref().is_none_or(is_end_of_node), || {
        format!("heard {next:?}")
    });
}
