//! A number that goes round.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// A ring of `length` tasks, the driver among them; a number goes round until
/// it has made its laps.
pub(super) async fn ring(length: u64, laps: u64) -> Duration {
    in_task(async move {
        let begun = Tally::leak();
        let (mut next, mut numbers) = unbounded_channel();
        for _ in 1..length {
            let (sender, receiver) = unbounded_channel();
            tokio::spawn(pass_on(receiver, next, begun));
            next = sender;
        }
        begun.reached(length - 1).await;
        let began = Instant::now();
        for lap in (1..=laps).rev() {
            next.send(lap).expect(OPEN);
            numbers.recv().await;
        }
        began.elapsed()
    })
    .await
}

async fn pass_on(
    mut numbers: UnboundedReceiver<u64>,
    next: UnboundedSender<u64>,
    begun: &'static Tally,
) {
    begun.add();
    while let Some(lap) = numbers.recv().await {
        next.send(lap).expect(OPEN);
    }
}
