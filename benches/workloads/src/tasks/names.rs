//! What stands in for names: a map behind a lock.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{OPEN, in_task};
use crate::Tally;

/// How many names there are.
const NAMES: usize = 1_000;

const UNBROKEN: &str = "no panic under the lock";

type Names = Arc<RwLock<HashMap<String, UnboundedSender<u64>>>>;

/// Each of several tasks looks names up.
pub(super) async fn look_up(threads: u64, each: u64) -> Duration {
    in_task(async move {
        let (registry, done) = (names(), Tally::leak());
        let began = Instant::now();
        for _ in 0..threads {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                let names: Vec<_> = (0..NAMES).map(name).collect();
                for name in names.iter().cycle().take(each as usize) {
                    black_box(registry.read().expect(UNBROKEN).get(name).cloned());
                }
                done.add();
            });
        }
        done.reached(threads).await;
        began.elapsed()
    })
    .await
}

/// The driver sends messages by name.
pub(super) async fn send_by_name(count: u64) -> Duration {
    in_task(async move {
        let (registry, name) = (names(), name(0));
        let (sender, mut messages) = unbounded_channel();
        registry
            .write()
            .expect(UNBROKEN)
            .insert(name.clone(), sender);
        let receiver = tokio::spawn(async move {
            for _ in 0..count {
                messages.recv().await;
            }
        });
        let began = Instant::now();
        for n in 0..count {
            registry.read().expect(UNBROKEN)[&name].send(n).expect(OPEN);
        }
        receiver.await.expect("the receiver does its work");
        began.elapsed()
    })
    .await
}

/// The driver takes a name and gives it back.
pub(super) async fn register(count: u64) -> Duration {
    in_task(async move {
        let (registry, name) = (names(), name(NAMES));
        let (sender, _messages) = unbounded_channel();
        let began = Instant::now();
        for _ in 0..count {
            let mut names = registry.write().expect(UNBROKEN);
            names.insert(name.clone(), sender.clone());
            drop(names);
            registry.write().expect(UNBROKEN).remove(&name);
        }
        began.elapsed()
    })
    .await
}

fn name(n: usize) -> String {
    format!("the name of number {n}")
}

fn names() -> Names {
    let named = |n| (name(n), unbounded_channel().0);
    Arc::new(RwLock::new((0..NAMES).map(named).collect()))
}
