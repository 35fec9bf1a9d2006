//! Names.

use std::hint::black_box;
use std::time::Duration;

use resurgam::{
    Context, Name, Node, ProcessRef, self_pid, spawn, spawn_options, unregister, whereis,
};
use tokio::time::Instant;

use super::{ROOM, in_process};
use crate::Tally;

/// How many names there are.
const NAMES: usize = 1_000;

/// Each of several processes looks names up.
pub(super) async fn look_up(node: &Node, threads: u64, each: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let named: Vec<_> = (0..NAMES).map(spawn_named).collect();
        let done = Tally::leak();
        let began = Instant::now();
        for _ in 0..threads {
            spawn(move |_: Context<()>| async move {
                let names: Vec<_> = (0..NAMES).map(name).collect();
                for name in names.iter().cycle().take(each as usize) {
                    black_box(whereis(name));
                }
                done.add();
            })
            .expect(ROOM);
        }
        done.reached(threads).await;
        let took = began.elapsed();
        end(&named).await;
        took
    })
    .await
}

/// The driver sends messages by name.
pub(super) async fn send_by_name(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let others: Vec<_> = (1..NAMES).map(spawn_named).collect();
        let receiver = spawn_options().name(name(0));
        let receiver = receiver.spawn(move |mut ctx: Context<u64>| async move {
            for _ in 0..count {
                ctx.receive().await;
            }
        });
        let receiver = receiver.expect(ROOM).process;
        let by_name = ProcessRef::named(name(0));
        let began = Instant::now();
        for n in 0..count {
            by_name.cast(n);
        }
        receiver.join().await;
        let took = began.elapsed();
        end(&others).await;
        took
    })
    .await
}

/// The driver takes a name and gives it back.
pub(super) async fn register(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let others: Vec<_> = (1..NAMES).map(spawn_named).collect();
        let name = name(0);
        let began = Instant::now();
        for _ in 0..count {
            resurgam::register(&name, self_pid()).expect("a free name");
            unregister(&name).expect("a name that is taken");
        }
        let took = began.elapsed();
        end(&others).await;
        took
    })
    .await
}

fn name(n: usize) -> Name {
    Name::from(format!("the name of number {n}"))
}

fn spawn_named(n: usize) -> ProcessRef<()> {
    let idle = |mut ctx: Context<()>| async move {
        ctx.receive().await;
    };
    let spawned = spawn_options().name(name(n)).spawn(idle);
    spawned.expect(ROOM).process
}

async fn end(processes: &[ProcessRef<()>]) {
    for process in processes {
        process.cast(());
        process.join().await;
    }
}
