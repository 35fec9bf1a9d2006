//! Process groups: many processes under one name, and who hears of changes.
//!
//! A group exists while it has members; members that end leave by themselves.
//! The scope that keeps the groups is a server, supervised as any other.
//!
//! ```elixir
//! :pg.start_link(:chat)
//! :pg.join(:chat, :lobby, self())
//! for pid <- :pg.get_members(:chat, :lobby), do: send(pid, :hello)
//! :pg.monitor(:chat, :lobby)
//! ```
//!
//! Run it: `cargo run --example 20_groups`

use resurgam::{
    ChildSpec, Context, GroupChange, Groups, Membership, Message, Pid, Strategy, Supervisor, send,
    spawn,
};

async fn guest(mut ctx: Context<&'static str>) {
    while let Message::User(text) = ctx.receive().await {
        println!("{} reads: {text}", ctx.pid());
        if text == "good night" {
            return;
        }
    }
}

/// Tells the main program what happens in the lobby.
async fn doorman(
    mut ctx: Context<GroupChange>,
    told: tokio::sync::mpsc::Sender<(Membership, Pid)>,
) {
    while let Message::User(change) = ctx.receive().await {
        for pid in change.pids {
            if told.send((change.what, pid)).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sup = Supervisor::builder(Strategy::OneForOne)
        .child(ChildSpec::server_with("chat", || Groups::builder("chat")))
        .start()
        .await?;
    let chat = Groups::named("chat");

    let (told, mut hears) = tokio::sync::mpsc::channel(8);
    let doorman = spawn(|ctx| doorman(ctx, told))?;
    let (_, present) = chat.monitor("lobby", doorman, |change| change).await?;
    assert_eq!(present, []);

    for _ in 0..2 {
        let guest = spawn(guest)?.pid().ok_or("no pid")?;
        chat.join("lobby", guest).await?;
        println!("the doorman saw {:?}", hears.recv().await);
    }

    for member in chat.members("lobby") {
        send(member, "hello")?;
    }
    let first = chat.members("lobby")[0];
    send(first, "good night")?;
    let left = hears.recv().await;
    println!("the doorman saw {left:?}");
    assert_eq!(left, Some((Membership::Left, first)));
    assert_eq!(chat.members("lobby").len(), 1);

    sup.stop().await?;
    assert_eq!(chat.members("lobby"), []);
    println!("without its scope, the lobby is empty");
    Ok(())
}
