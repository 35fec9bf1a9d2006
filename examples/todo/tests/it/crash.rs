//! Real processes are killed while real clients are at work.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use resurgam::{ChildInfo, DynamicSupervisorRef, Pid, SupervisorRef};
use todo::application::NAME;

use crate::world::World;
use crate::{entry, http};

/// How many entries were promised, and how many asked for.
struct Count {
    promised: BTreeSet<usize>,
    asked: usize,
}

/// Adds one entry after the other until it is told to stop. One that was not
/// promised is not asked for again: it may be there or not.
fn work(address: SocketAddr, list: &str, stop: &AtomicBool) -> Count {
    let (mut promised, mut asked) = (BTreeSet::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let body = serde_json::to_string(&entry(&format!("{asked:06}"))).expect("words");
        let answer = http::ask(address, "POST", &format!("/lists/{list}/entries"), &body);
        if answer.is_ok_and(|answer| answer.status == 201) {
            promised.insert(asked);
        }
        asked += 1;
    }
    Count { promised, asked }
}

/// Whoever can be killed without the application giving up: all but its top
/// supervisor, by where they stand in the tree.
fn victim(world: &World, number: usize) -> Option<Pid> {
    world.node.block_on(async {
        let top = world.apps.get_supervisor(NAME).await.ok()??;
        let top = SupervisorRef::from_pid(&world.node, top)?;
        let lists = DynamicSupervisorRef::named_on(&world.node, "todo.lists");
        let web = top.which_child("web").await.ok()?.pid()?;
        let web = SupervisorRef::from_pid(&world.node, web)?;
        let mut pids: Vec<Pid> = Vec::new();
        for children in [
            top.which_children().await.ok()?,
            web.which_children().await.ok()?,
            lists.which_children().await.ok()?,
        ] {
            pids.extend(children.iter().filter_map(ChildInfo::pid));
        }
        pids.get(number % pids.len()).copied()
    })
}

/// The system answers again.
fn await_answer(world: &World) {
    loop {
        let answer = http::ask(world.address, "GET", "/lists/0/entries", "");
        if answer.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn what_was_promised_is_there_whoever_is_killed() {
    const CLIENTS: usize = 2;
    const KILLS: usize = 8;
    let world = World::new();
    let stop = AtomicBool::new(false);
    let counts: Vec<Count> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|list| {
                let (address, stop) = (world.address, &stop);
                scope.spawn(move || work(address, &list.to_string(), stop))
            })
            .collect();
        for number in 0..KILLS {
            await_answer(&world);
            if let Some(pid) = victim(&world, number) {
                world.node.kill(pid);
                world.node.block_on(world.node.join(pid));
            }
        }
        await_answer(&world);
        stop.store(true, Ordering::Relaxed);
        let done = clients.into_iter().map(|client| client.join());
        done.map(|count| count.expect("clients do not fail"))
            .collect()
    });
    for (list, count) in counts.iter().enumerate() {
        let found = world.entries(&format!("/lists/{list}/entries"));
        let named = |number: &usize| entry(&format!("{number:06}"));
        for number in &count.promised {
            let times = found
                .iter()
                .filter(|found| **found == named(number))
                .count();
            assert_eq!(times, 1, "{number} was promised");
        }
        let asked: Vec<_> = (0..count.asked).map(|number| named(&number)).collect();
        assert!(found.iter().all(|found| asked.contains(found)));
        assert!(!count.promised.is_empty());
    }
}
