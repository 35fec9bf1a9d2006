//! Side by side: what a service needs comes up beside each other, each child
//! as soon as those that it needs are up, and goes down in reverse; neither
//! takes longer than it may.
//!
//! OTP's supervisors start and stop one child at a time.
//!
//! Run it: `cargo run --example 29_concurrent_start`

use std::time::Duration;

use resurgam::{
    ChildSpec, Context, Node, Shutdown, StartError, StartSupervisorError, Started, Strategy,
    Supervisor, SupervisorBuilder, sleep, spawn_link, trap_exit,
};

const MS: Duration = Duration::from_millis(1);

/// A child that needs so long to come up.
fn part(id: &'static str, slow: Duration) -> ChildSpec {
    ChildSpec::new(id, move || async move {
        sleep(slow).await;
        println!("  {id} is up");
        let part = spawn_link(|_: Context<()>| std::future::pending::<()>())?;
        Started::process(&part)
    })
}

/// One that will not go when it is asked to.
fn stubborn(id: &'static str) -> ChildSpec {
    let child = ChildSpec::process(id, || {
        |mut ctx: Context<()>| async move {
            trap_exit(true);
            loop {
                ctx.receive().await;
            }
        }
    });
    child.shutdown(Shutdown::Infinity)
}

fn service() -> SupervisorBuilder {
    Supervisor::builder(Strategy::RestForOne)
        .concurrent()
        // Whoever is left by then is killed.
        .stop_within(100 * MS)
        .child(part("database", 40 * MS))
        .child(part("cache", 20 * MS))
        .child(part("queue", 30 * MS))
        .child(part("orders", 10 * MS).after(["database", "queue"]))
        .child(part("web", 10 * MS).after(["orders", "cache"]))
        .child(stubborn("metrics"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    node.block_on(async {
        println!("up, in 60 ms instead of 110:");
        let sup = service().start_on(&node).await?;

        println!("the queue falls, and takes along whoever needs it:");
        let queue = sup.which_child("queue").await?.pid().ok_or("not running")?;
        let gone = node.join(queue);
        node.kill(queue);
        gone.await;
        while sup.which_child("queue").await?.pid() == Some(queue) {}

        sup.stop().await?;
        assert_eq!(node.process_count(), 0);
        println!("down, and nobody is left");

        // A start has a time as well.
        let hangs = part("search", Duration::from_secs(3600)).start_timeout(20 * MS);
        match service().child(hangs).start_on(&node).await {
            Err(StartSupervisorError::Child(failed)) => {
                assert_eq!(failed.error, StartError::TimedOut);
                println!("{failed}");
            }
            other => return Err(format!("{other:?}").into()),
        }
        Ok(())
    })
}
