//! Elixir's Registry, law by law.

use std::hash::{Hash, Hasher};
use std::sync::mpsc;

use resurgam::{
    CallError, ChildSpec, Context, DuplicateKeys, ExitReason, GenServer, InitError, Message, Pid,
    ProcessRef, RegisterKeyError, Registry, RegistryChange, Reply, SendError, ServerContext,
    ServerRef, StartError, Strategy, Supervisor, exit, join, kill, process_info, self_pid, spawn,
    spawn_options, trap_exit, yield_now,
};

use crate::support::{Log, idle, pid_of, run, run_on_threads};

type Unique = Registry<&'static str, u32>;
type Duplicate = Registry<&'static str, u32, DuplicateKeys>;

async fn unique() -> Unique {
    let registry = Unique::unique();
    registry.builder().start_link().await.expect("it starts");
    registry
}

async fn duplicate() -> Duplicate {
    let registry = Duplicate::duplicate();
    registry.builder().start_link().await.expect("it starts");
    registry
}

/// Something for a process to do.
struct Act(Box<dyn FnOnce() + Send>);

/// A process that does as it is told.
fn puppet() -> ProcessRef<Act> {
    spawn(|mut ctx: Context<Act>| async move {
        loop {
            if let Message::User(Act(act)) = ctx.receive().await {
                act();
            }
        }
    })
    .unwrap()
}

/// Has a puppet do something; what comes of it.
async fn by<T: Send + 'static>(
    puppet: &ProcessRef<Act>,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    let request = |reply: Reply<T>| Act(Box::new(move || reply.send(act())));
    puppet.call(request).await.expect("it answers")
}

/// A process under a key.
async fn under(registry: &Unique, key: &'static str, value: u32) -> (ProcessRef<Act>, Pid) {
    let (puppet, registry) = (puppet(), registry.clone());
    by(&puppet, move || registry.register(key, value))
        .await
        .unwrap();
    let pid = pid_of(&puppet);
    (puppet, pid)
}

async fn end(pid: Pid) {
    let ended = join(pid);
    kill(pid);
    ended.await;
}

async fn links() -> Vec<Pid> {
    let info = process_info(self_pid()).await.unwrap();
    info.expect("it lives").links
}

/// PREG-01
#[test]
fn unique_key_has_one_process_and_a_duplicate_key_any_number() {
    run(|_: Context<()>| async {
        let (one, many) = (unique().await, duplicate().await);
        let me = self_pid();
        one.register("a", 1).unwrap();
        one.register("b", 2).unwrap();
        assert_eq!(one.lookup("a"), Some((me, 1)));
        assert_eq!(one.lookup("c"), None);
        assert_eq!(one.keys(me), ["a", "b"]);
        let (other, clone) = (puppet(), many.clone());
        many.register("a", 1).unwrap();
        by(&other, move || clone.register("a", 2)).await.unwrap();
        many.register("a", 3).unwrap();
        let there = pid_of(&other);
        assert_eq!(many.lookup("a"), [(me, 1), (there, 2), (me, 3)]);
        assert_eq!(many.keys(me), ["a", "a"]);
        assert_eq!(many.values("a", me), [1, 3]);
        assert_eq!(many.count(), 3);
    });
}

/// PREG-02: with one worker, nobody else runs while this process waits.
#[test]
fn process_registers_itself_and_asks_nobody() {
    run_on_threads(|_: Context<()>| async {
        let registry = unique().await;
        let (told, hears) = mpsc::channel();
        let here = registry.clone();
        let spawned = spawn_options().spawn_thread(move |_: resurgam::ThreadContext<()>| {
            let registered = here.register("a", 1);
            told.send((registered, here.whereis("a"))).unwrap();
        });
        let pid = pid_of(&spawned.unwrap().process);
        assert_eq!(hears.recv(), Ok((Ok(()), Some(pid))));
    });
}

/// PREG-02
#[test]
fn who_is_no_process_is_registered_nowhere() {
    run_on_threads(|_: Context<()>| async {
        let (registry, nowhere) = (unique().await, Unique::unique());
        assert_eq!(nowhere.register("a", 1), Err(RegisterKeyError::NotRunning));
        let here = registry.clone();
        let outside = tokio::spawn(async move { here.register("a", 1) }).await;
        assert_eq!(outside.unwrap(), Err(RegisterKeyError::NotInProcess));
        assert_eq!(registry.count(), 0);
    });
}

/// PREG-03
#[test]
fn taken_key_names_who_has_it() {
    run(|_: Context<()>| async {
        let registry = unique().await;
        let (other, pid) = under(&registry, "a", 1).await;
        let error = RegisterKeyError::AlreadyRegistered(pid);
        assert_eq!(registry.register("a", 2), Err(error.clone()));
        assert_eq!(error.to_string(), format!("key is taken by {pid}"));
        let again = registry.clone();
        assert_eq!(by(&other, move || again.register("a", 3)).await, Err(error));
        assert_eq!(registry.lookup("a"), Some((pid, 1)));
    });
}

/// PREG-04, PREG-05
#[test]
fn key_of_one_who_has_ended_is_free_at_once() {
    run(|_: Context<()>| async {
        let registry = unique().await;
        for _ in 0..8 {
            let (_, pid) = under(&registry, "a", 1).await;
            end(pid).await;
            assert_eq!(registry.lookup("a"), None);
            assert_eq!(registry.count(), 0);
            registry.register("a", 2).unwrap();
            // What the registry hears of the other does not concern the heir.
            while !registry.keys(pid).is_empty() {
                yield_now().await;
            }
            assert_eq!(registry.lookup("a"), Some((self_pid(), 2)));
            assert_eq!(registry.unregister("a"), 1);
        }
    });
}

/// PREG-05
#[test]
fn keys_vanish_with_their_owner() {
    run(|_: Context<()>| async {
        let many = duplicate().await;
        let (owner, here) = (puppet(), many.clone());
        let pid = pid_of(&owner);
        by(&owner, move || {
            for key in ["a", "b", "a"] {
                here.register(key, 1).unwrap();
            }
        })
        .await;
        assert_eq!(many.keys(pid), ["a", "b", "a"]);
        end(pid).await;
        assert_eq!(many.lookup("a"), []);
        while !many.keys(pid).is_empty() {
            yield_now().await;
        }
    });
}

/// PREG-05: an exit signal that somebody sends is not their end.
#[test]
fn exit_signal_of_a_living_owner_takes_no_keys() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let server = pid_of(&registry.builder().start().await.unwrap());
        registry.register("a", 1).unwrap();
        exit(server, ExitReason::Shutdown);
        let unread = || async {
            let info = process_info(server).await.unwrap();
            info.expect("it traps exits").message_queue_len
        };
        while unread().await > 0 {}
        assert_eq!(registry.lookup("a"), Some((self_pid(), 1)));
        assert_eq!(registry.keys(self_pid()), ["a"]);
        registry.unregister("a");
        end(server).await;
    });
}

/// A key whose hash is that of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clashing(u32);

impl Hash for Clashing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0.hash(state);
    }
}

/// PREG-06
#[test]
fn keys_are_the_same_if_they_are_equal() {
    run(|_: Context<()>| async {
        let registry = Registry::<Clashing, u32>::unique();
        registry.builder().start_link().await.unwrap();
        for n in 0..4 {
            registry.register(Clashing(n), n).unwrap();
        }
        assert!(registry.register(Clashing(2), 7).is_err());
        assert_eq!(registry.unregister(&Clashing(1)), 1);
        let left = registry.select(|key, _, value| (key.0 == *value).then_some(*value));
        assert_eq!(left, [0, 2, 3]);
        assert_eq!(registry.whereis(&Clashing(1)), None);
    });
}

/// PREG-06: many at once, each key found again.
#[test]
fn keys_with_one_hash_stay_apart_in_a_race() {
    run_on_threads(|_: Context<()>| async {
        let registry = Registry::<Clashing, u32>::unique();
        registry.builder().start_link().await.unwrap();
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let registry = registry.clone();
                let racer = move |_: Context<()>| async move {
                    for round in 0..200 {
                        registry.register(Clashing(n), round).unwrap();
                        let me = Some((self_pid(), round));
                        assert_eq!(registry.lookup(&Clashing(n)), me);
                        assert_eq!(registry.unregister(&Clashing(n)), 1);
                        yield_now().await;
                    }
                };
                spawn(racer).unwrap()
            })
            .collect();
        for racer in racers {
            assert_eq!(racer.join().await, ExitReason::Normal);
        }
        assert_eq!(registry.count(), 0);
    });
}

/// PREG-03, PREG-04: of many who race for a key, one has it.
#[test]
fn key_is_never_given_to_two() {
    run_on_threads(|_: Context<()>| async {
        let registry = unique().await;
        for _ in 0..100 {
            let (_, first) = under(&registry, "a", 0).await;
            kill(first);
            let racers: Vec<_> = (1..=4).map(|_| puppet()).collect();
            let mut won = 0;
            let tries = racers.iter().map(|racer| {
                let registry = registry.clone();
                by(racer, move || registry.register("a", 1))
            });
            for result in futures::future::join_all(tries).await {
                won += u32::from(result.is_ok());
            }
            assert!(won <= 1, "{won} have the key");
            for racer in racers {
                end(pid_of(&racer)).await;
            }
            join(first).await;
        }
    });
}

/// PREG-07
#[test]
fn unregister_takes_all_own_entries_of_a_key() {
    run(|_: Context<()>| async {
        let many = duplicate().await;
        let (other, here) = (puppet(), many.clone());
        let there = pid_of(&other);
        by(&other, move || here.register("a", 9)).await.unwrap();
        for (key, value) in [("a", 1), ("a", 2), ("b", 3)] {
            many.register(key, value).unwrap();
        }
        assert_eq!(many.unregister("a"), 2);
        assert_eq!(many.unregister("a"), 0);
        assert_eq!(many.lookup("a"), [(there, 9)]);
        assert_eq!(many.keys(self_pid()), ["b"]);
    });
}

/// PREG-07
#[test]
fn unregister_match_takes_those_with_such_a_value() {
    run(|_: Context<()>| async {
        let many = duplicate().await;
        for value in 1..=4 {
            many.register("a", value).unwrap();
        }
        assert_eq!(many.unregister_match("a", |value| value % 2 == 0), 2);
        assert_eq!(many.unregister_match("a", |value| *value > 9), 0);
        assert_eq!(many.values("a", self_pid()), [1, 3]);
    });
}

/// PREG-08
#[test]
fn owner_is_linked_to_the_registry_while_it_has_a_key() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let server = pid_of(&registry.builder().start().await.unwrap());
        let (_, other) = under(&registry, "taken", 0).await;
        assert!(registry.register("taken", 1).is_err());
        assert_eq!(links().await, []);
        registry.register("a", 1).unwrap();
        registry.register("b", 2).unwrap();
        assert_eq!(links().await, [server]);
        registry.unregister("a");
        assert_eq!(links().await, [server]);
        registry.unregister("b");
        assert_eq!(links().await, []);
        end(other).await;
        end(server).await;
    });
}

/// PREG-08: what links a registry to its parent is not taken away.
#[test]
fn parent_stays_linked_to_its_registry() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let server = registry.builder().start_link().await.unwrap();
        registry.register("a", 1).unwrap();
        registry.unregister("a");
        assert_eq!(links().await, [pid_of(&server)]);
    });
}

/// PREG-09
#[test]
fn fall_of_a_registry_takes_those_along_that_do_not_trap() {
    run(|mut ctx: Context<()>| async move {
        let registry = Unique::unique();
        let start = registry.clone();
        let sup = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::server_with("keys", move || start.builder()))
            .start_link()
            .await
            .unwrap();
        let server = sup.which_child("keys").await.unwrap().pid().unwrap();
        let (other, _) = under(&registry, "a", 1).await;
        trap_exit(true);
        registry.register("b", 2).unwrap();
        kill(server);
        // Its link may come too late to hear the true reason.
        let ended = other.join().await;
        assert!(
            matches!(ended, ExitReason::Killed | ExitReason::NoProcess),
            "{ended}"
        );
        let Message::Exit(exit) = ctx.receive().await else {
            panic!("this process is linked to the registry");
        };
        assert_eq!((exit.from, exit.reason), (server, ExitReason::Killed));
        // A registry that was restarted knows nobody.
        while registry.register("b", 3).is_err() {
            yield_now().await;
        }
        let all = registry.select(|key, pid, value| Some((*key, pid, *value)));
        assert_eq!(all, [("b", self_pid(), 3)]);
        sup.stop().await.unwrap();
    });
}

/// PREG-09: in a registry that does not run nobody is, and nobody can be.
#[test]
fn registry_that_does_not_run_is_empty() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        assert_eq!(registry.register("a", 1), Err(RegisterKeyError::NotRunning));
        assert_eq!(registry.lookup("a"), None);
        assert_eq!(registry.keys(self_pid()), Vec::<&str>::new());
        assert_eq!((registry.unregister("a"), registry.count()), (0, 0));
        let server = registry.builder().start().await.unwrap();
        let twice = registry.builder().start().await;
        let error = ExitReason::custom("this registry is running already");
        assert_eq!(twice.unwrap_err(), StartError::Failed(error));
        under(&registry, "a", 1).await;
        server.stop(ExitReason::Normal).await.unwrap();
        assert_eq!(registry.lookup("a"), None);
        let again = registry.builder().start().await.unwrap();
        assert_eq!(registry.count(), 0);
        again.stop(ExitReason::Normal).await.unwrap();
    });
}

/// Counts, and knows its key.
struct Counter(u32);

enum Ask {
    Add(u32),
    Get(Reply<u32>),
}

impl GenServer for Counter {
    type Args = (Log, Unique);
    type Message = Ask;

    async fn init(
        (log, registry): Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        log.note(registry.whereis("counter") == Some(ctx.pid()));
        Ok(Self(0))
    }

    async fn handle(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Add(n) => self.0 += n,
            Ask::Get(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

/// PREG-10
#[test]
fn server_is_started_and_reached_by_its_key() {
    run(|_: Context<()>| async {
        let (registry, log) = (unique().await, Log::default());
        let builder =
            || Counter::builder((log.clone(), registry.clone())).via(&registry, "counter", 7);
        let counter: ServerRef<Counter> = registry.via("counter");
        let missing = Err(CallError::Down(ExitReason::NoProcess));
        assert_eq!(counter.call(Ask::Get).await, missing);
        assert_eq!(counter.pid(), None);

        let first = builder().start().await.unwrap();
        let pid = pid_of(&first);
        assert_eq!(registry.lookup("counter"), Some((pid, 7)));
        let second = builder().start().await.unwrap_err();
        assert_eq!(second, StartError::AlreadyStarted(pid));
        // Its key was its own before `init`, which did not run twice.
        assert_eq!(log.heard(), "true");
        counter.cast(Ask::Add(2));
        assert_eq!(counter.call(Ask::Get).await, Ok(2));
        assert_eq!(
            (counter.pid(), registry.whereis("counter")),
            (Some(pid), Some(pid))
        );

        end(pid).await;
        assert_eq!(registry.whereis("counter"), None);
        assert_eq!(counter.call(Ask::Get).await, missing);
        let unsent = counter.send(Ask::Add(1)).unwrap_err();
        assert_eq!(
            unsent.to_string(),
            "no process is registered as `\"counter\"`"
        );
        builder().start_link().await.unwrap();
        counter.cast(Ask::Add(3));
        assert_eq!(counter.call(Ask::Get).await, Ok(3));
        assert_ne!(counter.pid(), Some(pid));
    });
}

/// PREG-10
#[test]
fn message_is_sent_by_key_or_given_back() {
    run(|mut ctx: Context<u8>| async move {
        let registry = unique().await;
        registry.register("a", 1).unwrap();
        registry.send("a", 5_u8).unwrap();
        assert_eq!(ctx.receive().await, Message::User(5));
        let unknown = registry.send("b", 6_u8).unwrap_err();
        assert!(
            matches!(&unknown, SendError::Unregistered { name, .. } if name.as_str() == "\"b\"")
        );
        assert_eq!(unknown.into_message(), 6);
        let wrong = registry.send("a", "text").unwrap_err();
        assert!(matches!(wrong, SendError::WrongType { .. }));
    });
}

/// PREG-10: without its registry a server does not start.
#[test]
fn server_is_not_started_under_a_key_of_a_registry_that_does_not_run() {
    run(|_: Context<()>| async {
        let (registry, log) = (Unique::unique(), Log::default());
        let args = (log.clone(), registry.clone());
        let server = Counter::builder(args).via(&registry, "counter", 7);
        let error = server.start().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "init failed: failed: registry does not run"
        );
        assert_eq!(log.heard(), "");
    });
}

/// PREG-11
#[test]
fn dispatch_is_given_all_of_a_key_and_not_called_for_none() {
    run(|_: Context<()>| async {
        let many = duplicate().await;
        many.dispatch("a", |_| panic!("there is nobody"));
        let me = self_pid();
        for value in [1, 2] {
            many.register("a", value).unwrap();
        }
        let mut seen = Vec::new();
        many.dispatch("a", |all| {
            seen.extend(all.iter().map(|(pid, n)| (*pid, **n)));
        });
        assert_eq!(seen, [(me, 1), (me, 2)]);
    });
}

/// PREG-12
#[test]
fn value_is_updated_by_its_owner_alone() {
    run(|_: Context<()>| async {
        let registry = unique().await;
        under(&registry, "other", 1).await;
        registry.register("a", 1).unwrap();
        assert_eq!(registry.update_value("a", |n| n + 1), Some((2, 1)));
        assert_eq!(registry.lookup("a"), Some((self_pid(), 2)));
        assert_eq!(registry.update_value("other", |n| n + 1), None);
        assert_eq!(registry.update_value("none", |n| n + 1), None);
        assert_eq!(registry.lookup("other").map(|(_, n)| n), Some(1));
        let here = registry.clone();
        let gone = registry.update_value("a", |n| {
            here.unregister("a");
            *n
        });
        assert_eq!((gone, registry.lookup("a")), (None, None));
    });
}

#[derive(Debug, PartialEq)]
enum Heard {
    Came(&'static str, Pid, u32),
    Went(&'static str, Pid),
}

fn heard(change: RegistryChange<'_, &'static str, u32>) -> Heard {
    match change {
        RegistryChange::Registered { key, pid, value } => Heard::Came(key, pid, *value),
        RegistryChange::Unregistered { key, pid } => Heard::Went(key, pid),
        other => panic!("{other:?}"),
    }
}

async fn next(ctx: &mut Context<Heard>) -> Heard {
    match ctx.receive().await {
        Message::User(heard) => heard,
        other => panic!("a change was to come, not {other:?}"),
    }
}

/// PREG-13
#[test]
fn listeners_hear_who_comes_and_goes() {
    run(|mut ctx: Context<Heard>| async move {
        let (registry, me) = (unique().await, self_pid());
        registry.listen(ctx.self_ref(), heard);
        registry.register("a", 1).unwrap();
        assert!(registry.register("a", 2).is_err());
        registry.unregister("a");
        registry.unregister("a");
        assert_eq!(next(&mut ctx).await, Heard::Came("a", me, 1));
        assert_eq!(next(&mut ctx).await, Heard::Went("a", me));
        let (_, pid) = under(&registry, "b", 3).await;
        assert_eq!(next(&mut ctx).await, Heard::Came("b", pid, 3));
        end(pid).await;
        assert_eq!(next(&mut ctx).await, Heard::Went("b", pid));
    });
}

/// PREG-13: a listener that ends or panics harms nobody, and is let go.
#[test]
fn listener_that_fails_is_told_no_more() {
    run(|mut ctx: Context<Heard>| async move {
        let (registry, log) = (unique().await, Log::default());
        let held = std::sync::Arc::new(());
        let (noted, kept) = (log.clone(), std::sync::Arc::clone(&held));
        registry.listen(ctx.self_ref(), move |change| {
            let _ = &kept;
            noted.note("once");
            panic!("{change:?}");
        });
        let dead = spawn(idle).unwrap();
        let kept = std::sync::Arc::clone(&held);
        registry.listen(dead.clone(), move |_| drop(kept.clone()));
        end(pid_of(&dead)).await;
        registry.listen(ctx.self_ref(), heard);
        for key in ["a", "b"] {
            registry.register(key, 1).unwrap();
            assert_eq!(next(&mut ctx).await, Heard::Came(key, self_pid(), 1));
        }
        assert_eq!(log.heard(), "once");
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
    });
}

/// Holds the lock of a key until it is killed, or has counted to so many.
async fn count_under_lock(registry: Unique, log: Log, name: &'static str, times: u32) {
    let held = registry.lock("a").await;
    assert_eq!(held.key(), &"a");
    for _ in 0..times {
        log.note(name);
        yield_now().await;
    }
}

/// PREG-14
#[test]
fn lock_lets_one_in_after_the_other() {
    run(|_: Context<()>| async {
        let (registry, log) = (Unique::unique(), Log::default());
        let counters = ["x", "y", "z"].map(|name| {
            let (registry, log) = (registry.clone(), log.clone());
            spawn(move |_: Context<()>| count_under_lock(registry, log, name, 3)).unwrap()
        });
        for counter in counters {
            assert_eq!(counter.join().await, ExitReason::Normal);
        }
        let heard = log.heard();
        let mut turns: Vec<_> = heard.split(' ').collect();
        assert_eq!(turns.len(), 9);
        turns.dedup();
        assert_eq!(turns.len(), 3, "{heard}");
    });
}

/// PREG-14
#[test]
fn lock_of_another_key_is_free() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let a = registry.lock("a").await;
        let b = registry.lock("b").await;
        assert_eq!((a.key(), b.key()), (&"a", &"b"));
        drop((a, b));
        drop(registry.lock("a").await);
    });
}

/// PREG-14
#[test]
fn lock_is_free_again_however_its_holder_ends() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let mut holders = Vec::new();
        for how in 0..3 {
            let registry = registry.clone();
            let holder = spawn(move |mut ctx: Context<()>| async move {
                let _held = registry.lock("a").await;
                assert_ne!(how, 0, "panics while it holds the lock");
                if how == 1 {
                    ctx.receive().await;
                }
            });
            holders.push(holder.unwrap());
        }
        for holder in &holders {
            // The second one may be waiting still.
            yield_now().await;
            kill(pid_of(holder));
        }
        drop(registry.lock("a").await);
        for holder in holders {
            holder.join().await;
        }
    });
}

/// PREG-14: who has died or given up while it waited is passed over.
#[test]
fn dead_waiters_for_a_lock_are_passed_over() {
    run(|_: Context<()>| async {
        let registry = Unique::unique();
        let held = registry.lock("a").await;
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let registry = registry.clone();
                let waiter = move |_: Context<()>| async move { drop(registry.lock("a").await) };
                spawn(waiter).unwrap()
            })
            .collect();
        yield_now().await;
        end(pid_of(&waiters[0])).await;
        end(pid_of(&waiters[2])).await;
        drop(held);
        for waiter in waiters {
            waiter.join().await;
        }
        drop(registry.lock("a").await);
    });
}

/// PREG-15
#[test]
fn failed_registration_leaves_nothing() {
    run(|_: Context<()>| async {
        let registry = unique().await;
        let (_, pid) = under(&registry, "a", 1).await;
        for _ in 0..10 {
            assert!(registry.register("a", 2).is_err());
        }
        assert_eq!(registry.keys(self_pid()), Vec::<&str>::new());
        assert_eq!(registry.count(), 1);
        end(pid).await;
        while !registry.keys(pid).is_empty() {
            yield_now().await;
        }
        assert_eq!((registry.lookup("a"), registry.count()), (None, 0));
    });
}

/// PREG-16
#[test]
fn entries_are_selected_by_key_process_and_value() {
    run(|_: Context<()>| async {
        let (many, me) = (duplicate().await, self_pid());
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            many.register(key, value).unwrap();
        }
        let all = many.select(|key, pid, value| Some((*key, pid, *value)));
        assert_eq!(all, [("a", me, 1), ("b", me, 2), ("a", me, 3)]);
        let large = many.select(|key, _, value| (*value > 1).then_some(*key));
        assert_eq!(large, ["b", "a"]);
        assert_eq!(many.count(), 3);
        // What is picked may ask the registry again, and change it.
        let here = many.clone();
        let unregistered = many.select(|key, _, _| Some(here.unregister(key)));
        assert_eq!(unregistered, [2, 1, 0]);
    });
}

/// A value that panics when it is dropped, and a key that panics when it is
/// compared with another.
#[derive(Debug)]
struct Sore(u8);

impl Drop for Sore {
    fn drop(&mut self) {
        assert_ne!(self.0, 1, "as it was told");
    }
}

#[derive(Debug, Eq)]
struct Touchy(u8);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert_ne!(self.0 + other.0, 4, "as it was told");
        self.0 == other.0
    }
}

/// The registry outlives what its keys and values do.
#[test]
fn keys_and_values_that_panic_harm_nobody_else() {
    run(|_: Context<()>| async {
        let registry = Registry::<Touchy, Sore>::unique();
        let server = registry.builder().start().await.unwrap();
        let owner = spawn({
            let registry = registry.clone();
            move |mut ctx: Context<()>| async move {
                registry.register(Touchy(1), Sore(1)).unwrap();
                registry.register(Touchy(2), Sore(2)).unwrap();
                ctx.receive().await;
                registry.whereis(&Touchy(2));
            }
        });
        let owner = owner.unwrap();
        while registry.count() < 2 {
            yield_now().await;
        }
        owner.cast(());
        let ended = owner.join().await;
        assert!(matches!(ended, ExitReason::Panicked(_)), "{ended}");
        while !registry.select(|_, _, _| Some(())).is_empty() {
            yield_now().await;
        }
        registry.register(Touchy(1), Sore(3)).unwrap();
        assert_eq!(registry.whereis(&Touchy(1)), Some(self_pid()));
        registry.unregister(&Touchy(1));
        server.stop(ExitReason::Normal).await.unwrap();
    });
}

/// Laws of our own: metadata stays when the registry is restarted.
#[test]
fn metadata_outlives_the_registry() {
    run(|_: Context<()>| async {
        let registry = unique().await;
        registry.put_meta("floors", 4_u8);
        registry.put_meta("name", "tower");
        assert_eq!(registry.meta("floors"), Some(4_u8));
        assert_eq!(registry.meta::<u16>("floors"), None);
        registry.put_meta("floors", 5_u8);
        let other = registry.clone();
        assert_eq!(
            (other.meta("floors"), other.meta("name")),
            (Some(5_u8), Some("tower"))
        );
        assert!(registry.delete_meta("floors"));
        assert!(!registry.delete_meta("floors"));
    });
}

/// PREG-05, PREG-08, PREG-14: whoever is killed or panics, and whenever, nobody
/// who has ended is left in a registry or in a lock.
#[cfg(feature = "sim")]
#[test]
fn whoever_falls_no_key_and_no_lock_is_left_behind() {
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn worker(registry: Unique, name: &'static str) {
        for key in ["a", name, "b"] {
            let held = registry.lock("lock").await;
            if registry.register(key, 1).is_err() {
                yield_now().await;
            }
            drop(held);
        }
        yield_now().await;
        registry.unregister("a");
        registry.update_value(name, |n| n + 1);
        yield_now().await;
    }

    let scenario = |sim: &mut resurgam::sim::Sim| {
        let registry = Unique::unique();
        let start = registry.clone();
        let starter = sim.node().spawn(move |_: Context<()>| async move {
            let _ = start.builder().start().await;
        });
        sim.run(starter.expect("there is room").join());
        let workers = ["x", "y", "z"].map(|name| {
            let registry = registry.clone();
            let worker = sim
                .node()
                .spawn(move |_: Context<()>| worker(registry, name));
            worker.expect("there is room")
        });
        sim.run_for(HOUR);
        for worker in &workers {
            assert_eq!(registry.keys(pid_of(worker)), Vec::<&str>::new());
        }
        assert_eq!(registry.select(|key, pid, _| Some((*key, pid))), []);
        sim.run(async move { drop(registry.lock("lock").await) });
        for worker in workers {
            sim.run(worker.join());
        }
    };
    let plan = resurgam::sim::Plan::new().seeds(2);
    let (kills, panics) = (plan.sweep_kills(scenario), plan.sweep_panics(scenario));
    let stops = plan.sweep_stops(scenario);
    assert!(kills.faults > 0 && panics.faults > 0 && stops.faults > 0);
}
