//! Processes: spawn, send, receive, self.
//!
//! A process is a body with a mailbox of its own. Whoever has a reference to it
//! can send to it; only the process itself reads what came.
//!
//! ```erlang
//! Echo = spawn(fun() -> receive {From, Text} -> From ! {self(), Text} end end),
//! Echo ! {self(), "hello"},
//! receive {Echo, Text} -> io:format("~p says ~s~n", [Echo, Text]) end.
//! ```
//!
//! Run it: `cargo run --example 01_process`

use resurgam::{Context, Message, Pid, ProcessRef, self_pid, spawn};

/// A text to be echoed, and who wants it.
struct Say {
    from: ProcessRef<Echoed>,
    text: &'static str,
}

/// What the echo answers.
struct Echoed {
    by: Pid,
    text: &'static str,
}

async fn echo(mut ctx: Context<Say>) {
    // This process neither traps exits nor monitors, so there is nothing else.
    while let Message::User(Say { from, text }) = ctx.receive().await {
        let by = self_pid();
        from.cast(Echoed { by, text });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let echo = spawn(echo)?;
    println!("main: the echo is {}", echo.pid().ok_or("no pid")?);

    let asked = echo.clone();
    let asker = spawn(move |mut ctx: Context<Echoed>| async move {
        assert_eq!(self_pid(), ctx.pid());
        for text in ["hello", "goodbye"] {
            let from = ctx.self_ref();
            asked.cast(Say { from, text });
            let Message::User(answer) = ctx.receive().await else {
                panic!("the echo sends nothing but messages");
            };
            println!("{}: {} says {}", self_pid(), answer.by, answer.text);
            assert_eq!((Some(answer.by), answer.text), (asked.pid(), text));
        }
    })?;

    let reason = asker.join().await;
    println!("main: the asker ended, {reason}");
    assert!(reason.is_normal());
    Ok(())
}
