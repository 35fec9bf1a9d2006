//! Registered names, law by law.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use resurgam::{
    Context, ExitReason, Message, Name, Node, Pid, ProcessRef, RegisterError, SendError,
    ThreadContext, UnregisterError, is_alive, join, kill, link, monitor, process_info, register,
    self_pid, send, spawn, spawn_options, trap_exit, unregister, whereis,
};

use crate::support::{idle, run, run_on_threads};

/// How often a race is run.
const ROUNDS: usize = 300;

fn pid_of<M: Send + 'static>(process: &ProcessRef<M>) -> Pid {
    process.pid().expect("it was spawned")
}

fn spawn_idle() -> Pid {
    pid_of(&spawn(idle).unwrap())
}

async fn end(pid: Pid) {
    let ended = join(pid);
    kill(pid);
    ended.await;
}

/// REG-01: whether it is another name or the same once more.
#[test]
fn process_has_one_name() {
    run(|_: Context<()>| async {
        let pid = spawn_idle();
        register("one", pid).unwrap();
        for name in ["two", "one"] {
            let refused = RegisterError::AlreadyNamed {
                pid,
                name: "one".into(),
            };
            assert_eq!(register(name, pid), Err(refused));
        }
        assert_eq!((whereis("one"), whereis("two")), (Some(pid), None));
        assert_eq!(
            process_info(pid).await.unwrap().unwrap().name,
            Some("one".into())
        );
    });
}

/// REG-01, REG-02: nothing of the second is left, neither of a process that
/// was to be born with the name.
#[test]
fn name_has_one_process() {
    run(|_: Context<()>| async {
        let (holder, other) = (spawn_idle(), spawn_idle());
        register("name", holder).unwrap();
        let taken = RegisterError::NameTaken {
            name: "name".into(),
            holder,
        };
        assert_eq!(register("name", other), Err(taken.clone()));
        let count = Node::current().process_count();
        let born = spawn_options().name("name").link().monitor().spawn(idle);
        assert_eq!(born.unwrap_err(), taken.into());
        assert_eq!(Node::current().process_count(), count);
        let myself = process_info(self_pid()).await.unwrap().unwrap();
        assert_eq!((myself.links, myself.monitors), (vec![], vec![]));
        assert_eq!(whereis("name"), Some(holder));
        // The other one is as free as before.
        register("another", other).unwrap();
    });
}

/// REG-03: there is no reserved name, but an empty one is none.
#[test]
fn dead_process_gets_no_name() {
    run(|_: Context<()>| async {
        let pid = spawn_idle();
        end(pid).await;
        assert_eq!(register("name", pid), Err(RegisterError::NoProcess(pid)));
        assert_eq!(
            register("name", Pid::OUTSIDE),
            Err(RegisterError::NoProcess(Pid::OUTSIDE))
        );
        assert_eq!(whereis("name"), None);
        assert_eq!(register("", self_pid()), Err(RegisterError::EmptyName));
        assert_eq!(Node::current().registered(), []);
    });
}

/// REG-04
#[test]
fn anyone_may_register_and_unregister_anyone() {
    run(|_: Context<()>| async {
        let pid = spawn_idle();
        for deed in [(|pid| register("name", pid).unwrap()) as fn(Pid), |pid| {
            assert_eq!(unregister("name"), Ok(pid))
        }] {
            let stranger = spawn(move |_: Context<()>| async move { deed(pid) });
            assert!(stranger.unwrap().join().await.is_normal());
        }
        assert_eq!(whereis("name"), None);
        assert_eq!(is_alive(pid).await, Ok(true));
        // Both are free again.
        register("name", pid).unwrap();
        assert_eq!(Node::current().registered(), [Name::from("name")]);
    });
}

/// REG-05
#[test]
fn unknown_name_is_nobodys() {
    run(|_: Context<()>| async {
        assert_eq!(unregister("nobody"), Err(UnregisterError("nobody".into())));
        assert_eq!(whereis("nobody"), None);
        assert_eq!(ProcessRef::<()>::named("nobody").pid(), None);
    });
}

/// REG-06, SIG-12: for a link, a monitor and a join alike, whatever the end.
#[test]
fn name_is_free_when_anyone_is_told_of_the_end() {
    run_on_threads(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let ends: [fn(ThreadContext<()>); 3] = [
            |mut ctx| drop(ctx.receive()),
            |mut ctx| {
                ctx.receive();
                panic!("on purpose");
            },
            |ctx| {
                kill(ctx.pid());
                let mut ctx = ctx;
                ctx.receive();
            },
        ];
        for round in 0..ROUNDS {
            let owner = spawn_options()
                .name("name")
                .spawn_thread(ends[round % ends.len()]);
            let owner = owner.unwrap().process;
            let claim = || {
                assert_eq!(whereis("name"), None);
                register("name", self_pid()).unwrap();
                unregister("name").unwrap();
            };
            let told = round / 3 % 3;
            if told == 0 {
                link(pid_of(&owner));
            } else if told == 1 {
                monitor(pid_of(&owner));
            }
            let joined = owner.join();
            owner.cast(());
            match told {
                0 => assert!(matches!(ctx.receive().await, Message::Exit(_))),
                1 => assert!(matches!(ctx.receive().await, Message::Down(_))),
                _ => drop(joined.await),
            }
            claim();
        }
    });
}

/// REG-07
#[test]
fn who_resolved_a_name_earlier_reaches_the_old_owner() {
    run(|mut ctx: Context<&'static str>| async move {
        register("name", self_pid()).unwrap();
        let resolved = whereis("name").unwrap();
        unregister("name").unwrap();
        register("name", spawn_idle()).unwrap();
        send(resolved, "to the old one").unwrap();
        assert_eq!(ctx.receive().await, Message::User("to the old one"));
    });
}

/// REG-08: once the old owner is known to be dead, its name is free.
#[test]
fn killed_owner_is_replaced_at_once() {
    run(|_: Context<()>| async {
        let mut owner = spawn_idle();
        register("name", owner).unwrap();
        for _ in 0..ROUNDS {
            let next = spawn_idle();
            kill(owner);
            assert_eq!(is_alive(owner).await, Ok(false));
            assert_eq!(whereis("name"), None);
            register("name", next).unwrap();
            assert_eq!(whereis("name"), Some(next));
            owner = next;
        }
    });
}

/// REG-08: however registration races with the end of its process.
#[test]
fn name_never_means_a_dead_process() {
    run_on_threads(|_: Context<()>| async {
        for round in 0..ROUNDS {
            let owner = spawn_options().spawn_thread(|mut ctx: ThreadContext<()>| {
                ctx.receive();
            });
            let owner = owner.unwrap().process;
            let pid = pid_of(&owner);
            owner.cast(());
            for _ in 0..round % 50 * 40 {
                std::hint::spin_loop();
            }
            match register("name", pid) {
                Ok(()) => {}
                Err(RegisterError::NoProcess(gone)) => assert_eq!(gone, pid),
                Err(error) => panic!("{error}"),
            }
            owner.join().await;
            assert_eq!(whereis("name"), None);
            assert_eq!(unregister("name"), Err(UnregisterError("name".into())));
        }
    });
}

/// REG-08: of two who want a name, one gets it, and whoever asks meanwhile
/// sees one of the two or nobody.
#[test]
fn name_never_has_two_owners() {
    run_on_threads(|_: Context<()>| async {
        let over = Arc::new(AtomicBool::new(false));
        let wants_name = |over: Arc<AtomicBool>| {
            move |ctx: ThreadContext<()>| {
                let mut owned = 0_usize;
                // At least once, however late this thread comes.
                while owned == 0 || !over.load(Ordering::Relaxed) {
                    match register("name", ctx.pid()) {
                        Ok(()) => {
                            assert_eq!(whereis("name"), Some(ctx.pid()));
                            assert_eq!(unregister("name"), Ok(ctx.pid()));
                            owned += 1;
                        }
                        Err(RegisterError::NameTaken { holder, .. }) => {
                            assert_ne!(holder, ctx.pid());
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        };
        let rivals = [(); 2].map(|()| {
            let body = wants_name(Arc::clone(&over));
            spawn_options().spawn_thread(body).unwrap().process
        });
        let pids = [pid_of(&rivals[0]), pid_of(&rivals[1])];
        for _ in 0..20 * ROUNDS {
            assert!(whereis("name").is_none_or(|pid| pids.contains(&pid)));
        }
        over.store(true, Ordering::Relaxed);
        for rival in &rivals {
            assert_eq!(rival.join().await, ExitReason::Normal);
        }
        assert_eq!(whereis("name"), None);
    });
}

/// REG-09: a reference by name follows the name; without an owner, what was
/// sent is given back.
#[test]
fn name_is_resolved_at_each_send() {
    run(|mut ctx: Context<u32>| async move {
        let named = ProcessRef::<u32>::named("name");
        let other = spawn(|mut ctx: Context<u32>| async move {
            assert_eq!(ctx.receive().await, Message::User(2));
        });
        let other = other.unwrap();
        register("name", self_pid()).unwrap();
        named.send(1).unwrap();
        unregister("name").unwrap();
        register("name", pid_of(&other)).unwrap();
        send("name", 2_u32).unwrap();
        assert!(other.join().await.is_normal());
        assert_eq!(
            named.send(3),
            Err(SendError::Unregistered {
                name: "name".into(),
                message: 3
            })
        );
        register("name", self_pid()).unwrap();
        named.send(4).unwrap();
        assert_eq!(ctx.receive().await, Message::User(1));
        assert_eq!(ctx.receive().await, Message::User(4));
        assert_eq!(ctx.try_receive(), None);
    });
}
