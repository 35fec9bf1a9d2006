//! Process groups, law by law.

use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GroupChange, GroupMonitor, Groups, LeaveError,
    Membership, Message, Name, Pid, ProcessRef, StartError, Strategy, Supervisor, exit, join, kill,
    spawn, trap_exit, yield_now,
};

use crate::support::{idle, run, run_on_threads};

/// How often a race is run.
const ROUNDS: usize = 300;

async fn scope(name: &str) -> Groups {
    Groups::builder(name).start_link().await.expect("it starts");
    Groups::named(name)
}

fn member() -> Pid {
    spawn(idle).unwrap().pid().expect("it was spawned")
}

/// Ends a process, and waits until the scope has heard of it: what the scope is
/// asked after that comes after the notice of the end.
async fn end(pid: Pid, groups: &Groups) {
    let ended = join(pid);
    kill(pid);
    ended.await;
    while groups
        .which_groups()
        .iter()
        .any(|group| groups.members(group).contains(&pid))
    {
        yield_now().await;
    }
}

fn names(groups: &Groups) -> Vec<String> {
    let groups = groups.which_groups();
    groups
        .iter()
        .map(|group| group.as_str().to_owned())
        .collect()
}

/// A watcher's mailbox holds changes and nothing else.
async fn next(ctx: &mut Context<GroupChange>) -> GroupChange {
    match ctx.receive().await {
        Message::User(change) => change,
        other => panic!("a change was to come, not {other:?}"),
    }
}

fn joined(monitor: GroupMonitor, group: &str, pids: &[Pid]) -> GroupChange {
    GroupChange {
        monitor,
        group: group.into(),
        what: Membership::Joined,
        pids: pids.to_vec(),
    }
}

fn left(monitor: GroupMonitor, group: &str, pids: &[Pid]) -> GroupChange {
    GroupChange {
        what: Membership::Left,
        ..joined(monitor, group, pids)
    }
}

/// PG-01
#[test]
fn process_must_leave_as_often_as_it_joined() {
    run(|_: Context<()>| async {
        let groups = scope("scope").await;
        let (one, two) = (member(), member());
        groups.join("a", one).await.unwrap();
        groups.join_all("a", [one, two]).await.unwrap();
        groups.join("b", one).await.unwrap();
        assert_eq!(groups.members("a"), [one, one, two]);
        groups.leave("a", one).await.unwrap();
        assert_eq!(groups.members("a"), [one, two]);
        groups.leave("a", one).await.unwrap();
        assert_eq!(groups.members("a"), [two]);
        assert_eq!(groups.members("b"), [one]);
        let error = groups.leave("a", one).await.unwrap_err();
        assert_eq!(error, LeaveError::NotJoined("a".into()));
        assert_eq!(error.to_string(), "none of the processes is in group \"a\"");
    });
}

/// PG-02
#[test]
fn group_is_there_while_it_has_members() {
    run(|_: Context<()>| async {
        let groups = scope("scope").await;
        assert_eq!(groups.members("a"), []);
        assert!(names(&groups).is_empty());
        groups.join_all("a", []).await.unwrap();
        assert!(names(&groups).is_empty());
        let one = member();
        groups.join("b", one).await.unwrap();
        groups.join("a", one).await.unwrap();
        assert_eq!(names(&groups), ["a", "b"]);
        groups.leave("a", one).await.unwrap();
        assert_eq!(names(&groups), ["b"]);
        end(one, &groups).await;
        assert!(names(&groups).is_empty());
    });
}

/// PG-03
#[test]
fn death_ends_all_memberships_with_one_notice_per_group() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let (one, two) = (member(), member());
        groups.join_all("a", [one, one, two]).await.unwrap();
        groups.join("b", one).await.unwrap();
        let watch = groups.monitor_scope(ctx.self_ref(), |change| change);
        let (monitor, _) = watch.await.unwrap();
        end(one, &groups).await;
        assert_eq!(next(&mut ctx).await, left(monitor, "a", &[one, one]));
        assert_eq!(next(&mut ctx).await, left(monitor, "b", &[one]));
        assert_eq!(groups.members("a"), [two]);
    });
}

/// PG-04
#[test]
fn several_can_join_and_leave_at_once() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let (one, two) = (member(), member());
        let watch = groups.monitor("a", ctx.self_ref(), |change| change);
        let (monitor, members) = watch.await.unwrap();
        assert_eq!(members, []);
        groups.join_all("a", [two, one]).await.unwrap();
        assert_eq!(next(&mut ctx).await, joined(monitor, "a", &[two, one]));
        // One of them is no member.
        groups.leave_all("a", [member(), one]).await.unwrap();
        assert_eq!(next(&mut ctx).await, left(monitor, "a", &[one]));
        let none = groups.leave_all("a", [one, member()]).await;
        assert_eq!(none, Err(LeaveError::NotJoined("a".into())));
        assert_eq!(groups.members("a"), [two]);
    });
}

/// PG-05
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "one that is no process, and cannot wait for one"
)]
fn reading_asks_nobody() {
    run_on_threads(|_: Context<()>| async {
        let groups = scope("scope").await;
        let one = member();
        groups.join("a", one).await.unwrap();
        let reader = groups.clone();
        let read = std::thread::spawn(move || (reader.members("a"), names(&reader)));
        assert_eq!(read.join().unwrap(), (vec![one], vec!["a".to_owned()]));
    });
}

/// PG-06
#[test]
fn monitor_tells_the_members_and_every_change_after() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let (one, two) = (member(), member());
        groups.join("a", one).await.unwrap();
        let (monitor, members) = groups
            .monitor("a", ctx.self_ref(), |change| change)
            .await
            .unwrap();
        assert_eq!(members, [one]);
        let (all, everybody) = groups
            .monitor_scope(ctx.self_ref(), |change| change)
            .await
            .unwrap();
        assert_ne!(monitor, all);
        assert_eq!(everybody, [(Name::from("a"), vec![one])]);
        groups.join("b", two).await.unwrap();
        assert_eq!(next(&mut ctx).await, joined(all, "b", &[two]));
        groups.join("a", two).await.unwrap();
        let mut heard = [next(&mut ctx).await, next(&mut ctx).await];
        heard.sort_by_key(|change| change.monitor != monitor);
        let expected = [monitor, all].map(|monitor| joined(monitor, "a", &[two]));
        assert_eq!(heard, expected);
    });
}

/// PG-06: between the members that are told and the changes nothing is lost.
#[test]
fn no_change_is_lost_while_a_monitor_begins() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        for _ in 0..8 {
            let (one, others) = (member(), groups.clone());
            let joining = spawn(move |_: Context<()>| async move {
                others.join("a", one).await.unwrap();
            });
            let (monitor, members) = groups
                .monitor("a", ctx.self_ref(), |change| change)
                .await
                .unwrap();
            joining.unwrap().join().await;
            if !members.contains(&one) {
                assert_eq!(next(&mut ctx).await, joined(monitor, "a", &[one]));
            }
            assert!(groups.demonitor(monitor).await.unwrap());
            end(one, &groups).await;
        }
    });
}

/// PG-07
#[test]
fn nothing_is_told_after_a_monitor_was_taken_away() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let one = member();
        let watch = groups.monitor("a", ctx.self_ref(), |change| change);
        let (monitor, _) = watch.await.unwrap();
        assert!(groups.demonitor(monitor).await.unwrap());
        assert!(!groups.demonitor(monitor).await.unwrap());
        groups.join("a", one).await.unwrap();
        let watch = groups.monitor("a", ctx.self_ref(), |change| change);
        let (monitor, members) = watch.await.unwrap();
        assert_eq!(members, [one]);
        groups.leave("a", one).await.unwrap();
        assert_eq!(next(&mut ctx).await, left(monitor, "a", &[one]));
    });
}

/// PG-08
#[test]
fn scopes_know_nothing_of_each_other() {
    run(|_: Context<()>| async {
        let (here, there) = (scope("here").await, scope("there").await);
        let one = member();
        here.join("a", one).await.unwrap();
        assert_eq!(there.members("a"), []);
        let error = there.leave("a", one).await;
        assert_eq!(error, Err(LeaveError::NotJoined("a".into())));
        let twice = Groups::builder("here").start().await;
        assert!(matches!(twice, Err(StartError::AlreadyStarted(_))));
        assert_eq!(here.members("a"), [one]);
    });
}

/// PG-09
#[test]
fn restarted_scope_has_no_members() {
    run(|_: Context<()>| async {
        let sup = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::server_with("groups", || {
                Groups::builder("scope")
            }))
            .start_link()
            .await
            .unwrap();
        let (groups, one) = (Groups::named("scope"), member());
        groups.join("a", one).await.unwrap();
        let first = sup.which_child("groups").await.unwrap().pid().unwrap();
        let ended = join(first);
        kill(first);
        ended.await;
        assert_eq!(groups.members("a"), []);
        while sup.which_child("groups").await.unwrap().pid() == Some(first) {}
        groups.join("a", one).await.unwrap();
        assert_eq!(groups.members("a"), [one]);
        sup.stop().await.unwrap();
    });
}

/// PG-10
#[test]
fn leaving_may_race_with_death() {
    run_on_threads(|_: Context<()>| async {
        let groups = scope("scope").await;
        for _ in 0..ROUNDS {
            let one = member();
            groups.join_all("a", [one, one]).await.unwrap();
            kill(one);
            match groups.leave("a", one).await {
                Ok(()) | Err(LeaveError::NotJoined(_)) => {}
                Err(error) => panic!("{error}"),
            }
            end(one, &groups).await;
        }
        assert!(names(&groups).is_empty());
    });
}

/// PG-10: a process that is dead when it joins leaves again at once.
#[test]
fn dead_process_does_not_stay_in_a_group() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let one = member();
        end(one, &groups).await;
        let watch = groups.monitor("a", ctx.self_ref(), |change| change);
        let (monitor, _) = watch.await.unwrap();
        groups.join("a", one).await.unwrap();
        assert_eq!(next(&mut ctx).await, joined(monitor, "a", &[one]));
        assert_eq!(next(&mut ctx).await, left(monitor, "a", &[one]));
        assert_eq!(groups.members("a"), []);
    });
}

/// PG-11
#[test]
fn groups_of_a_scope_that_is_not_there_are_empty_and_cannot_be_joined() {
    run(|ctx: Context<GroupChange>| async move {
        let groups = Groups::named("nowhere");
        let missing = CallError::Down(ExitReason::NoProcess);
        assert_eq!(groups.members("a"), []);
        assert!(groups.which_groups().is_empty());
        assert_eq!(groups.join("a", member()).await, Err(missing.clone()));
        let error = groups.leave("a", member()).await;
        assert_eq!(error, Err(LeaveError::NoAnswer(missing.clone())));
        let watch = groups.monitor("a", ctx.self_ref(), |change| change);
        assert_eq!(watch.await.unwrap_err(), missing);
    });
}

/// PG-12
#[test]
fn watch_ends_with_its_watcher() {
    run(|mut ctx: Context<u32>| async move {
        let groups = scope("scope").await;
        let watcher = spawn(|_: Context<GroupChange>| std::future::pending::<()>()).unwrap();
        // What the watch holds is dropped with it.
        let (told, held) = (ctx.self_ref(), Held(ctx.self_ref()));
        let wrap = move |change| {
            let _ = &held;
            told.cast(1);
            change
        };
        let (monitor, _) = groups.monitor("a", watcher.clone(), wrap).await.unwrap();
        groups.join("a", member()).await.unwrap();
        assert_eq!(ctx.receive().await, Message::User(1));
        kill(watcher.pid().unwrap());
        assert_eq!(ctx.receive().await, Message::User(2));
        assert!(!groups.demonitor(monitor).await.unwrap());
    });
}

/// Says 2 when it is dropped.
struct Held(ProcessRef<u32>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.cast(2);
    }
}

/// The scope outlives what its watchers do.
#[test]
fn panic_of_a_watch_ends_the_watch_alone() {
    run(|mut ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let (one, me) = (member(), ctx.self_ref());
        let watch = groups.monitor("a", me.clone(), |change| panic!("{change:?}"));
        let (broken, _) = watch.await.unwrap();
        let (sound, _) = groups
            .monitor("a", me.clone(), |change| change)
            .await
            .unwrap();
        groups.join("a", one).await.unwrap();
        assert_eq!(next(&mut ctx).await, joined(sound, "a", &[one]));
        assert!(!groups.demonitor(broken).await.unwrap());
        assert_eq!(groups.members("a"), [one]);
    });
}

/// Panics when it is dropped.
struct Sore;

impl Drop for Sore {
    fn drop(&mut self) {
        panic!("as it was told");
    }
}

/// The scope outlives what its watches hold.
#[test]
fn destructor_of_a_watch_that_panics_harms_nobody() {
    run(|ctx: Context<GroupChange>| async move {
        let groups = scope("scope").await;
        let one = member();
        groups.join("a", one).await.unwrap();
        let sore = Sore;
        let wrap = move |change| {
            let _ = &sore;
            change
        };
        let watch = groups.monitor("a", ctx.self_ref(), wrap).await;
        let (monitor, _) = watch.unwrap();
        assert!(groups.demonitor(monitor).await.unwrap());
        let watcher = spawn(|_: Context<GroupChange>| std::future::pending::<()>()).unwrap();
        let sore = Sore;
        let wrap = move |change| {
            let _ = &sore;
            change
        };
        let watch = groups.monitor("a", watcher.clone(), wrap).await;
        end(watcher.pid().unwrap(), &groups).await;
        while groups.demonitor(watch.as_ref().unwrap().0).await.unwrap() {}
        assert_eq!(groups.members("a"), [one]);
    });
}

/// The table goes with its scope, however that ends, before anyone is told.
#[test]
fn scope_that_has_ended_has_no_groups_and_can_be_started_again() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        for reason in [
            ExitReason::Kill,
            ExitReason::Shutdown,
            ExitReason::custom("gone"),
        ] {
            let server = Groups::builder("scope").start_link().await.unwrap();
            let groups = Groups::named("scope");
            groups.join("a", member()).await.unwrap();
            exit(server.pid().unwrap(), reason);
            let Message::Exit(_) = ctx.receive().await else {
                panic!("the scope was linked");
            };
            assert_eq!(groups.members("a"), []);
        }
    });
}
