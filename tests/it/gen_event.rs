//! Event managers, law by law.

use std::time::Duration;

use futures::channel::oneshot;
use resurgam::{
    AddHandlerError, CallError, ChildSpec, Context, Down, EventHandler, EventManager, ExitReason,
    HandlerEnd, HandlerError, HandlerExit, HandlerKey, Info, Message, ProcessRef, Reply, Strategy,
    Supervisor, join, kill, monitor, process_info, self_pid, spawn, timeout, trap_exit, yield_now,
};

use crate::support::{Log, idle, pid_of, run, run_with_clock};

/// What happens in these tests.
#[derive(Debug, PartialEq)]
enum Event {
    Word(&'static str),
    /// The scribe of this name is to do that.
    Tell(&'static str, Deed),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Panic,
    Fail,
    Leave,
}

fn boom() -> ExitReason {
    ExitReason::custom("boom")
}

/// Writes down what it sees, under its name.
struct Scribe {
    name: &'static str,
    log: Log,
}

enum Ask {
    Name(Reply<&'static str>),
    Do(Deed, Reply<()>),
    Watch(ProcessRef<()>, Reply<()>),
    Wait(Reply<()>),
    Nothing(Reply<()>),
}

impl Scribe {
    fn do_as_told(&self, deed: Deed) -> Result<(), ExitReason> {
        match deed {
            Deed::Panic => panic!("{} was told to", self.name),
            Deed::Fail => Err(boom()),
            Deed::Leave => Err(ExitReason::Normal),
        }
    }
}

impl EventHandler for Scribe {
    type Args = (&'static str, Log);
    type Event = Event;
    type Request = Ask;
    type Output = &'static str;

    async fn init((name, log): Self::Args) -> Result<Self, ExitReason> {
        match name {
            "fails" => Err(boom()),
            "panics" => panic!("as it was told"),
            name => Ok(Self { name, log }),
        }
    }

    async fn handle_event(&mut self, event: &Event) -> Result<(), ExitReason> {
        match event {
            Event::Word(word) => self.log.note(format_args!("{}:{word}", self.name)),
            Event::Tell(name, deed) if *name == self.name => return self.do_as_told(*deed),
            Event::Tell(..) => self.log.note(self.name),
        }
        Ok(())
    }

    async fn handle_call(&mut self, ask: Ask) -> Result<(), ExitReason> {
        match ask {
            Ask::Name(reply) => reply.send(self.name),
            Ask::Do(deed, _reply) => self.do_as_told(deed)?,
            Ask::Watch(process, reply) => {
                monitor(pid_of(&process));
                reply.send(());
            }
            Ask::Wait(_reply) => std::future::pending::<()>().await,
            Ask::Nothing(_reply) => {}
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: &Info) -> Result<(), ExitReason> {
        let what = match info {
            Info::Exit(exit) => format!("exit={}", exit.reason),
            Info::Down(Down { reason, .. }) => format!("down={reason}"),
            other => format!("{other:?}"),
        };
        self.log.note(format_args!("{}:{what}", self.name));
        Ok(())
    }

    async fn terminate(self, why: HandlerEnd) -> &'static str {
        let why = match why {
            HandlerEnd::Deleted => "deleted".to_owned(),
            HandlerEnd::Removed => "removed".to_owned(),
            HandlerEnd::Swapped(_) => "swapped".to_owned(),
            HandlerEnd::OwnerEnded(reason) => format!("owner={reason}"),
            HandlerEnd::Stopped => "stopped".to_owned(),
            HandlerEnd::Failed(ExitReason::Panicked(_)) => "panicked".to_owned(),
            HandlerEnd::Failed(reason) => format!("failed={reason}"),
            other => format!("{other:?}"),
        };
        self.log.note(format_args!("{}!{why}", self.name));
        assert_ne!(self.name, "sore", "as it was told");
        self.name
    }
}

/// Counts words, and goes on where another left off.
struct Count(usize);

impl EventHandler for Count {
    type Args = usize;
    type Event = Event;
    type Request = Reply<usize>;
    type Output = usize;

    async fn init(start: usize) -> Result<Self, ExitReason> {
        Ok(Self(start))
    }

    async fn handle_event(&mut self, _: &Event) -> Result<(), ExitReason> {
        self.0 += 1;
        Ok(())
    }

    async fn handle_call(&mut self, reply: Reply<usize>) -> Result<(), ExitReason> {
        reply.send(self.0);
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) -> usize {
        self.0
    }
}

type Manager = EventManager<Event>;

async fn manager() -> (Manager, Log) {
    let manager = Manager::start_link().await.expect("it starts");
    (manager, Log::default())
}

/// Adds a scribe that is called by its name.
async fn add(manager: &Manager, log: &Log, name: &'static str) {
    let adding = manager.add_handler(Scribe::id_as(name), (name, log.clone()));
    adding.await.unwrap();
}

async fn which(manager: &Manager) -> Vec<String> {
    let keys = manager.which_handlers().await.unwrap();
    let name = |key: &HandlerKey| key.name().map_or("-".to_owned(), ToString::to_string);
    keys.iter().map(name).collect()
}

async fn next(ctx: &mut Context<HandlerExit>) -> (String, HandlerEnd) {
    match ctx.receive().await {
        Message::User(HandlerExit { handler, why }) => {
            (handler.name().expect("it has one").to_string(), why)
        }
        other => panic!("the end of a handler was to come, not {other:?}"),
    }
}

fn ended(name: &str, why: HandlerEnd) -> (String, HandlerEnd) {
    (name.to_owned(), why)
}

/// EVT-01
#[test]
fn handlers_of_any_type_each_have_their_state() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        events.add_handler(Count::id(), 0).await.unwrap();
        events.add_handler(Count::id_as("late"), 40).await.unwrap();
        events
            .add_handler(Scribe::id(), ("a", log.clone()))
            .await
            .unwrap();
        events.notify(Event::Word("x"));
        events.notify(Event::Word("y"));
        assert_eq!(events.call(Count::id(), |reply| reply).await, Ok(2));
        let late = events.call(Count::id_as("late"), |reply| reply).await;
        assert_eq!(late, Ok(42));
        assert_eq!(events.call(Scribe::id(), Ask::Name).await, Ok("a"));
        assert_eq!(log.heard(), "a:x a:y");
    });
}

/// EVT-02
#[test]
fn manager_traps_exits() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "a").await;
        let pid = events.pid().unwrap();
        let info = process_info(pid).await.unwrap().unwrap();
        assert!(info.trap_exit);
        // From a stranger.
        let stranger = spawn(move |_: Context<()>| async move {
            resurgam::exit(pid, ExitReason::custom("go"));
        });
        stranger.unwrap().join().await;
        let mut heard = String::new();
        while heard.is_empty() {
            events.which_handlers().await.unwrap();
            heard = log.heard();
        }
        assert_eq!(heard, "a:exit=\"go\"");
        assert_eq!(which(&events).await, ["a"]);
    });
}

/// EVT-03
#[test]
fn newest_handler_is_first() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        for name in ["a", "b", "c"] {
            add(&events, &log, name).await;
        }
        assert_eq!(which(&events).await, ["c", "b", "a"]);
        events.sync_notify(Event::Word("x")).await.unwrap();
        assert_eq!(log.heard(), "c:x b:x a:x");
    });
}

/// EVT-03: of two with one id the newer is meant.
#[test]
fn same_id_can_be_added_again() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        for name in ["a", "b"] {
            let adding = events.add_handler(Scribe::id(), (name, log.clone()));
            adding.await.unwrap();
        }
        assert_eq!(which(&events).await, ["-", "-"]);
        assert_eq!(events.delete_handler(Scribe::id()).await, Ok("b"));
        assert_eq!(events.call(Scribe::id(), Ask::Name).await, Ok("a"));
    });
}

/// EVT-04
#[test]
fn handler_that_fails_is_removed_and_the_others_go_on() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        for name in ["a", "b", "c", "d"] {
            add(&events, &log, name).await;
        }
        let mut expected = vec!["d", "c", "b", "a"];
        for (name, deed, how, rest) in [
            ("c", Deed::Panic, "c!panicked", "d c!panicked b a"),
            (
                "d",
                Deed::Fail,
                "d!failed=\"boom\"",
                "d!failed=\"boom\" b a",
            ),
            ("a", Deed::Leave, "a!removed", "b a!removed"),
        ] {
            events.sync_notify(Event::Tell(name, deed)).await.unwrap();
            assert_eq!(log.heard(), rest, "{how}");
            expected.retain(|other| *other != name);
            assert_eq!(which(&events).await, expected);
        }
    });
}

/// EVT-04: what `terminate` does is no harm either.
#[test]
fn panic_of_terminate_harms_nobody() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "sore").await;
        add(&events, &log, "a").await;
        let deleted = events.delete_handler(Scribe::id_as("sore")).await;
        let Err(HandlerError::Failed(ExitReason::Panicked(_))) = deleted else {
            panic!("{deleted:?}");
        };
        assert_eq!(log.heard(), "sore!deleted");
        assert_eq!(which(&events).await, ["a"]);
    });
}

/// EVT-05
#[test]
fn notify_waits_for_nobody_and_sync_notify_for_all() {
    run(|_: Context<()>| async {
        Manager::named("nobody").notify(Event::Word("lost"));
        let missing = CallError::Down(ExitReason::NoProcess);
        let told = Manager::named("nobody")
            .sync_notify(Event::Word("lost"))
            .await;
        assert_eq!(told, Err(missing));
        let (events, log) = manager().await;
        events.sync_notify(Event::Word("nobody")).await.unwrap();
        for name in ["a", "b"] {
            add(&events, &log, name).await;
        }
        events.notify(Event::Word("x"));
        // Told after all of them, whatever became of them.
        let sync = events.sync_notify(Event::Tell("b", Deed::Panic)).await;
        assert_eq!(sync, Ok(()));
        assert_eq!(log.heard(), "b:x a:x b!panicked a");
    });
}

/// EVT-06
#[test]
fn call_of_a_handler_that_is_not_there_or_fails_says_so() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "a").await;
        let unknown = events.call(Scribe::id(), Ask::Name).await.unwrap_err();
        assert_eq!(unknown, HandlerError::NotFound(Scribe::id().key()));
        assert!(unknown.to_string().ends_with("Scribe"), "{unknown}");

        let failed = events
            .call(Scribe::id_as("a"), |reply| Ask::Do(Deed::Fail, reply))
            .await;
        assert_eq!(failed, Err(HandlerError::Failed(boom())));
        assert_eq!(log.heard(), "a!failed=\"boom\"");
        assert!(which(&events).await.is_empty());

        add(&events, &log, "a").await;
        let panicked = events
            .call(Scribe::id_as("a"), |reply| Ask::Do(Deed::Panic, reply))
            .await
            .unwrap_err();
        assert!(panicked.to_string().contains("a was told to"), "{panicked}");

        add(&events, &log, "a").await;
        let silent = events.call(Scribe::id_as("a"), Ask::Nothing).await;
        assert_eq!(silent, Err(HandlerError::NoAnswer(CallError::NoReply)));
        let left = events
            .call(Scribe::id_as("a"), |reply| Ask::Do(Deed::Leave, reply))
            .await;
        assert_eq!(left, Err(HandlerError::NoAnswer(CallError::NoReply)));
        assert!(which(&events).await.is_empty());
    });
}

/// EVT-06: a call waits five seconds, and ends with its manager.
#[test]
fn call_of_a_handler_waits_so_long_and_no_longer() {
    run_with_clock(|_: Context<()>, clock| async move {
        trap_exit(true);
        let (events, log) = manager().await;
        add(&events, &log, "a").await;
        let asking = events.clone();
        let caller = spawn(move |_: Context<()>| async move {
            let late = asking.call(Scribe::id_as("a"), Ask::Wait).await;
            assert_eq!(late, Err(HandlerError::NoAnswer(CallError::TimedOut)));
            let down = asking.call(Scribe::id_as("a"), Ask::Name).await;
            let killed = CallError::Down(ExitReason::Killed);
            assert_eq!(down, Err(HandlerError::NoAnswer(killed)));
        })
        .unwrap();
        let node = resurgam::Node::current();
        while node.timer_count() == 0 {
            yield_now().await;
        }
        clock.advance(Manager::TIMEOUT);
        let manager = events.pid().unwrap();
        while process_info(manager)
            .await
            .unwrap()
            .unwrap()
            .message_queue_len
            == 0
        {}
        kill(manager);
        assert_eq!(caller.join().await, ExitReason::Normal);
    });
}

/// EVT-07
#[test]
fn handler_whose_init_fails_is_not_added() {
    run(|ctx: Context<HandlerExit>| async move {
        let (events, log) = manager().await;
        let add = |name| events.add_handler(Scribe::id(), (name, log.clone()));
        assert_eq!(add("fails").await, Err(AddHandlerError::Failed(boom())));
        let panicked = add("panics").await.unwrap_err();
        assert!(
            panicked.to_string().contains("as it was told"),
            "{panicked}"
        );
        let args = ("fails", log.clone());
        let supervised =
            events.add_supervised_handler(Scribe::id(), args, ctx.self_ref(), |exit| exit);
        assert_eq!(supervised.await, Err(AddHandlerError::Failed(boom())));
        assert!(which(&events).await.is_empty());
        assert_eq!(log.heard(), "");
    });
}

/// EVT-08
#[test]
fn delete_returns_what_terminate_leaves() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "a").await;
        events.add_handler(Count::id(), 7).await.unwrap();
        assert_eq!(events.delete_handler(Count::id()).await, Ok(7));
        assert_eq!(events.delete_handler(Scribe::id_as("a")).await, Ok("a"));
        assert_eq!(log.heard(), "a!deleted");
        let again = events.delete_handler(Count::id()).await;
        assert_eq!(again, Err(HandlerError::NotFound(Count::id().key())));
    });
}

/// EVT-09
#[test]
fn swap_hands_over_what_the_old_handler_leaves() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "first").await;
        add(&events, &log, "last").await;
        let swapping = events.swap_handler(Scribe::id_as("first"), Count::id(), |left| {
            left.map_or(0, str::len)
        });
        swapping.await.unwrap();
        assert_eq!(log.heard(), "first!swapped");
        // The newest, as one that is added.
        assert_eq!(which(&events).await, ["-", "last"]);
        assert_eq!(events.call(Count::id(), |reply| reply).await, Ok(5));
        // One that is not there leaves nothing.
        let to = Count::id_as("new");
        let swapping = events.swap_handler(Scribe::id_as("first"), to, |left| {
            assert_eq!(left, None);
            9
        });
        swapping.await.unwrap();
        let new = events.call(Count::id_as("new"), |reply| reply).await;
        assert_eq!(new, Ok(9));
    });
}

/// EVT-09: where the new one fails, the old one is gone.
#[test]
fn swap_for_a_handler_that_fails_leaves_neither() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        events.add_handler(Count::id(), 0).await.unwrap();
        let kept = log.clone();
        let swapping =
            events.swap_handler(Count::id(), Scribe::id(), move |_| ("fails", kept.clone()));
        assert_eq!(swapping.await, Err(AddHandlerError::Failed(boom())));
        assert!(which(&events).await.is_empty());
        add(&events, &log, "sore").await;
        let swapping = events.swap_handler(Scribe::id_as("sore"), Count::id(), |left| {
            assert_eq!(left, None);
            panic!("as it was told")
        });
        assert!(swapping.await.is_err());
        assert!(which(&events).await.is_empty());
    });
}

/// EVT-10
#[test]
fn owner_is_told_how_its_handler_ends() {
    run(|mut ctx: Context<HandlerExit>| async move {
        let (events, log) = manager().await;
        let add = async |name: &'static str| {
            let (id, args) = (Scribe::id_as(name), (name, log.clone()));
            let adding = events.add_supervised_handler(id, args, ctx.self_ref(), |exit| exit);
            adding.await.unwrap();
        };
        for name in ["a", "b", "c", "d", "e"] {
            add(name).await;
        }
        events.delete_handler(Scribe::id_as("a")).await.unwrap();
        events.notify(Event::Tell("b", Deed::Leave));
        events.notify(Event::Tell("c", Deed::Fail));
        events.notify(Event::Tell("d", Deed::Panic));
        assert_eq!(next(&mut ctx).await, ended("a", HandlerEnd::Deleted));
        assert_eq!(next(&mut ctx).await, ended("b", HandlerEnd::Removed));
        assert_eq!(next(&mut ctx).await, ended("c", HandlerEnd::Failed(boom())));
        let (name, why) = next(&mut ctx).await;
        let HandlerEnd::Failed(ExitReason::Panicked(_)) = why else {
            panic!("{name} ended: {why:?}");
        };
        // The heir of a supervised handler is supervised.
        let (old, new) = (Scribe::id_as("e"), Count::id_as("f"));
        let by = new.key();
        events.swap_handler(old, new, |_| 0).await.unwrap();
        assert_eq!(next(&mut ctx).await, ended("e", HandlerEnd::Swapped(by)));
        let (old, new) = (Count::id_as("f"), Count::id_as("g"));
        let by = new.key();
        let swapping = events.swap_supervised_handler(old, new, |_| 0, ctx.self_ref(), |exit| exit);
        swapping.await.unwrap();
        assert_eq!(next(&mut ctx).await, ended("f", HandlerEnd::Swapped(by)));
        events.delete_handler(Count::id_as("g")).await.unwrap();
        assert_eq!(next(&mut ctx).await, ended("g", HandlerEnd::Deleted));
    });
}

/// EVT-10: the owner and the manager are linked.
#[test]
fn fall_of_a_manager_takes_its_owners_along() {
    run(|_: Context<()>| async {
        let events = Manager::start().await.unwrap();
        let (log, adding) = (Log::default(), events.clone());
        let noted = log.clone();
        let owner = spawn(move |ctx: Context<HandlerExit>| async move {
            let (id, args) = (Scribe::id(), ("a", noted.clone()));
            let added = adding.add_supervised_handler(id, args, ctx.self_ref(), |exit| exit);
            added.await.unwrap();
            noted.note("added");
            std::future::pending::<()>().await;
        });
        let owner = owner.unwrap();
        log.until(&owner, "added").await;
        let linked = process_info(events.pid().unwrap()).await.unwrap().unwrap();
        assert_eq!(linked.links, [pid_of(&owner)]);
        kill(events.pid().unwrap());
        assert_eq!(owner.join().await, ExitReason::Killed);
    });
}

/// EVT-10: what an owner makes of the news is no harm to the manager.
#[test]
fn panic_of_what_the_owner_makes_of_the_news_harms_nobody() {
    run(|ctx: Context<HandlerExit>| async move {
        let (events, log) = manager().await;
        let owner = ctx.self_ref();
        let args = ("a", log.clone());
        let adding = events.add_supervised_handler(Scribe::id(), args, owner, |exit| {
            panic!("{exit:?}");
        });
        adding.await.unwrap();
        assert_eq!(events.delete_handler(Scribe::id()).await, Ok("a"));
        assert!(which(&events).await.is_empty());
    });
}

/// EVT-11
#[test]
fn handlers_end_with_their_owner() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "other").await;
        let adding = events.clone();
        let noted = log.clone();
        let owner = spawn(move |mut ctx: Context<()>| async move {
            for name in ["a", "b"] {
                let (id, args) = (Scribe::id_as(name), (name, noted.clone()));
                let added = adding.add_supervised_handler(id, args, ctx.self_ref(), |_| ());
                added.await.unwrap();
            }
            noted.note("added");
            ctx.receive().await;
            ExitReason::custom("gone")
        });
        let owner = owner.unwrap();
        log.until(&owner, "added").await;
        owner.cast(());
        owner.join().await;
        let mut all = String::new();
        while !all.ends_with("exit=\"gone\"") {
            events.which_handlers().await.unwrap();
            all += &log.heard();
        }
        let expected = "b!owner=\"gone\" a!owner=\"gone\" other:exit=\"gone\"";
        assert_eq!(all, expected);
        assert_eq!(which(&events).await, ["other"]);
    });
}

/// EVT-11: one who is dead when the handler is added is told of as dead.
#[test]
fn handler_of_a_dead_owner_ends_at_once() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        let dead = spawn(idle).unwrap();
        kill(pid_of(&dead));
        dead.join().await;
        let args = ("a", log.clone());
        let adding = events.add_supervised_handler(Scribe::id(), args, dead, |_| ());
        adding.await.unwrap();
        while !which(&events).await.is_empty() {}
        assert_eq!(log.heard(), "a!owner=noproc");
    });
}

/// EVT-12
#[test]
fn stop_terminates_every_handler_and_tells_the_owners() {
    run(|mut ctx: Context<HandlerExit>| async move {
        let events = Manager::start().await.unwrap();
        let log = Log::default();
        add(&events, &log, "a").await;
        let args = ("b", log.clone());
        let adding =
            events.add_supervised_handler(Scribe::id_as("b"), args, ctx.self_ref(), |exit| exit);
        adding.await.unwrap();
        add(&events, &log, "sore").await;
        add(&events, &log, "c").await;
        // An owner that does not trap exits outlives that.
        events.stop(ExitReason::custom("enough")).await.unwrap();
        assert_eq!(log.heard(), "c!stopped sore!stopped b!stopped a!stopped");
        assert_eq!(next(&mut ctx).await, ended("b", HandlerEnd::Stopped));
        let info = process_info(self_pid()).await.unwrap().unwrap();
        assert_eq!(info.links, []);
    });
}

/// EVT-12: and so does the end of the parent.
#[test]
fn manager_is_named_supervised_and_stopped_as_any_server() {
    run(|_: Context<()>| async {
        let sup = Supervisor::builder(Strategy::OneForOne)
            .child(ChildSpec::server_with("events", || {
                Manager::builder().name("events")
            }))
            .start_link()
            .await
            .unwrap();
        let (events, log) = (Manager::named("events"), Log::default());
        add(&events, &log, "a").await;
        let first = events.pid().unwrap();
        let ended = join(first);
        kill(first);
        ended.await;
        // One that is restarted has no handlers.
        while events.which_handlers().await != Ok(Vec::new()) {
            yield_now().await;
        }
        add(&events, &log, "b").await;
        sup.stop().await.unwrap();
        assert_eq!(log.heard(), "b!stopped");
    });
}

/// What handlers watch they are told of.
#[test]
fn handlers_hear_of_the_processes_they_monitor() {
    run(|_: Context<()>| async {
        let (events, log) = manager().await;
        add(&events, &log, "a").await;
        let watched = spawn(idle).unwrap();
        let to_watch = watched.clone();
        events
            .call(Scribe::id_as("a"), |reply| Ask::Watch(to_watch, reply))
            .await
            .unwrap();
        kill(pid_of(&watched));
        let mut heard = String::new();
        while heard.is_empty() {
            events.which_handlers().await.unwrap();
            heard = log.heard();
        }
        // The monitor may come too late to hear the true reason.
        assert!(
            matches!(&*heard, "a:down=killed" | "a:down=noproc"),
            "{heard}"
        );
    });
}

/// A handler that would wait for its own manager is told.
#[test]
fn handler_cannot_call_its_manager() {
    struct Asks;

    impl EventHandler for Asks {
        type Args = ();
        type Event = Manager2;
        type Request = std::convert::Infallible;
        type Output = ();

        async fn init((): ()) -> Result<Self, ExitReason> {
            Ok(Self)
        }

        async fn handle_event(&mut self, event: &Manager2) -> Result<(), ExitReason> {
            let asked = event.0.which_handlers().await;
            assert_eq!(asked, Err(CallError::CallingSelf));
            Ok(())
        }

        async fn terminate(self, _: HandlerEnd) {}
    }

    struct Manager2(EventManager<Manager2>);

    run(|_: Context<()>| async {
        let events = EventManager::start_link().await.unwrap();
        events.add_handler(Asks::id(), ()).await.unwrap();
        let event = Manager2(events.clone());
        events.sync_notify(event).await.unwrap();
        assert_eq!(events.which_handlers().await.unwrap(), [Asks::id().key()]);
    });
}

/// EVT-04, EVT-10 to EVT-12: whoever is killed or panics, and whenever, no
/// handler is left of an owner that has ended, and no owner waits to be told.
#[cfg(feature = "sim")]
#[test]
fn whoever_falls_no_handler_and_no_owner_is_left_behind() {
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Adds a handler, and waits for its end.
    async fn owner(mut ctx: Context<HandlerExit>, events: Manager, name: &'static str) {
        let (id, args) = (Scribe::id_as(name), (name, Log::default()));
        let adding = events.add_supervised_handler(id, args, ctx.self_ref(), |exit| exit);
        if adding.await.is_ok() {
            events.notify(Event::Tell("b", Deed::Panic));
            ctx.receive().await;
        }
    }

    async fn disturber(_: Context<()>, events: Manager) {
        let _ = events.sync_notify(Event::Word("x")).await;
        let _ = events.call(Scribe::id_as("a"), Ask::Name).await;
        let _ = events.delete_handler(Scribe::id_as("a")).await;
        let (old, new) = (Scribe::id_as("c"), Count::id());
        let _ = events.swap_handler(old, new, |_| 0).await;
    }

    let scenario = |sim: &mut resurgam::sim::Sim| {
        let starter = sim.node().spawn(|_: Context<()>| async {
            let _ = Manager::builder().name("events").start().await;
        });
        sim.run(starter.expect("there is room").join());
        let events = Manager::named_on(sim.node(), "events");
        for name in ["a", "b", "c", "d"] {
            let events = events.clone();
            let owner = move |ctx| owner(ctx, events, name);
            sim.node().spawn(owner).expect("there is room");
        }
        let disturbed = events.clone();
        let disturber = move |ctx| disturber(ctx, disturbed);
        sim.node().spawn(disturber).expect("there is room");
        sim.run_for(HOUR);
        let _ = sim.run(async move { events.stop(ExitReason::Normal).await });
        sim.run_for(HOUR);
        let left = sim.node().processes();
        assert!(left.is_empty(), "left behind: {left:?}");
    };
    let plan = resurgam::sim::Plan::new().seeds(2);
    let (kills, panics) = (plan.sweep_kills(scenario), plan.sweep_panics(scenario));
    let stops = plan.sweep_stops(scenario);
    assert!(kills.faults > 0 && panics.faults > 0 && stops.faults > 0);
}

/// What a handler leaves, whose destructor panics.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("on purpose, in a destructor");
    }
}

/// Leaves something when it is let go.
struct Slow(oneshot::Receiver<()>);

impl EventHandler for Slow {
    type Args = oneshot::Receiver<()>;
    type Event = Event;
    type Request = ();
    type Output = Fragile;

    async fn init(gate: Self::Args) -> Result<Self, ExitReason> {
        Ok(Self(gate))
    }

    async fn handle_event(&mut self, _: &Event) -> Result<(), ExitReason> {
        Ok(())
    }

    async fn terminate(self, _: HandlerEnd) -> Fragile {
        let _ = self.0.await;
        Fragile
    }
}

/// EVT-08, fault 5
#[test]
fn what_a_handler_leaves_to_nobody_does_the_manager_no_harm() {
    run(|_: Context<()>| async {
        let manager = Manager::start().await.unwrap();
        let (open, gate) = oneshot::channel();
        manager.add_handler(Slow::id(), gate).await.unwrap();
        let deleting = manager.delete_handler(Slow::id());
        assert!(timeout(Duration::ZERO, deleting).await.is_err());
        open.send(()).unwrap();
        assert_eq!(manager.which_handlers().await, Ok(vec![]));
        manager.stop(ExitReason::Normal).await.unwrap();
    });
}
