//! Delayed restarts: a child that needs something which is not there yet is
//! tried again, later each time, and is parked in the end, while the others go
//! on working.
//!
//! OTP restarts at once and gives up as a whole: to wait, its users write a
//! process of their own in between.
//!
//! Run it: `cargo run --example 27_backoff`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use resurgam::{
    Backoff, ChildSpec, ChildStatus, ExitReason, Lifecycle, Node, Strategy, Supervisor, WhenSpent,
};

/// Needs the database, which is down at first.
fn client(database: Arc<AtomicBool>) -> ChildSpec {
    ChildSpec::task("client", move || {
        let is_there = database.load(SeqCst);
        async move {
            if !is_there {
                return ExitReason::custom("no database");
            }
            println!("client: connected");
            std::future::pending().await
        }
    })
    // After 10 ms, 20 ms, 40 ms, 40 ms; a tenth of it is up to chance.
    .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(40)).jitter(0.1))
    // After four restarts in a minute it is left alone.
    .restart_intensity(4, Duration::from_secs(60))
    .when_spent(WhenSpent::Park)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::new()?;
    node.block_on(async {
        let database = Arc::new(AtomicBool::new(false));
        let sup = Supervisor::builder(Strategy::OneForOne)
            .child(client(Arc::clone(&database)))
            .child(ChildSpec::task("other", std::future::pending::<()>))
            .start_on(&node)
            .await?;

        let parked = loop {
            let client = sup.which_child("client").await?;
            if let ChildStatus::Parked(_) = client.status {
                break client;
            }
            node.sleep(Duration::from_millis(5)).await;
        };
        println!("parked after {} restarts", parked.restarts);
        println!("its last words: {}", parked.last_exit.ok_or("it ended")?);
        assert!(sup.which_child("other").await?.pid().is_some());

        for event in node.lifecycle() {
            if let Lifecycle::Delayed { millis, .. } = event.what {
                println!("waited {millis} ms");
            }
        }

        database.store(true, SeqCst);
        sup.restart_child("client").await?;
        println!("client: {:?}", sup.which_child("client").await?.status);
        sup.stop().await?;
        Ok(())
    })
}
