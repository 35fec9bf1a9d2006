//! Whoever listens to the log is the user's: what it does is no harm to who
//! writes there (fault 28).

use std::time::Duration;

use resurgam::{
    Application, Applications, ChildSpec, Context, EventHandler, EventManager, ExitReason, Groups,
    HandlerEnd, Message, Node, Pid, Registry, Strategy, Supervisor, join, kill, spawn, spawn_link,
    trap_exit,
};
use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{self, SubscriberExt};

use crate::crash_report::listening;
use crate::scheduler::soon;
use crate::support::{idle, keep_reports_open, pid_of};

/// A listener that panics over whatever the runtime reports.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Touchy {
    /// When it is asked whether it wants to hear it.
    Asked,
    /// When it hears it.
    Told,
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("resurgam::")
}

impl<S: Subscriber> Layer<S> for Touchy {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: layer::Context<'_, S>) -> bool {
        assert!(
            *self == Self::Told || !is_ours(metadata),
            "on purpose, asked about a report"
        );
        true
    }

    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        assert!(!is_ours(event.metadata()), "on purpose, at a report");
    }
}

/// Runs a test as a process of a node, all threads of which report to a
/// listener that panics.
#[track_caller]
fn heard_by_touchy<F>(test: impl Fn(Context<()>) -> F + Copy + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    keep_reports_open();
    for (touchy, workers) in [(Touchy::Asked, 0), (Touchy::Told, 0), (Touchy::Told, 2)] {
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(touchy));
        let _here = dispatcher::set_default(&dispatch);
        listening(workers, &dispatch).block_on(async {
            let node = Node::new().unwrap();
            let process = node.spawn(test).unwrap();
            assert_eq!(soon(process.join()).await, ExitReason::Normal, "{touchy:?}");
            node.stop(Duration::from_secs(5)).await.unwrap();
        });
    }
}

/// Kills a process and waits for its end.
async fn kill_for_good(pid: Pid) {
    let end = join(pid);
    kill(pid);
    end.await;
}

/// Fault 28, law LOG-07
#[test]
fn a_crash_is_told_to_all_whatever_the_log_does() {
    heard_by_touchy(|mut ctx| async move {
        trap_exit(true);
        let crashing = spawn_link(|_: Context<()>| async { ExitReason::custom("crash") });
        let crashing = crashing.unwrap();
        assert_eq!(soon(crashing.join()).await, ExitReason::custom("crash"));
        assert!(matches!(soon(ctx.receive()).await, Message::Exit(_)));
    });
}

/// Fault 28
#[test]
fn a_supervisor_restarts_whatever_the_log_does() {
    heard_by_touchy(|_| async {
        let child = ChildSpec::process("child", || idle);
        let supervisor = Supervisor::builder(Strategy::OneForOne).child(child);
        let supervisor = supervisor.start_link().await.unwrap();
        let child = supervisor.which_child("child").await.unwrap().pid();
        kill_for_good(child.unwrap()).await;
        let new = supervisor.which_child("child").await.unwrap().pid();
        assert!(new.is_some() && new != child);
        supervisor.stop().await.unwrap();
    });
}

/// Fails over every event.
struct Failing;

impl EventHandler for Failing {
    type Args = ();
    type Event = ();
    type Request = ();
    type Output = ();

    async fn init((): ()) -> Result<Self, ExitReason> {
        Ok(Self)
    }

    async fn handle_event(&mut self, (): &()) -> Result<(), ExitReason> {
        Err(ExitReason::custom("failed"))
    }

    async fn terminate(self, _: HandlerEnd) {
        panic!("on purpose, in terminate");
    }
}

/// Fault 28
#[test]
fn what_others_use_too_goes_on_whatever_the_log_does() {
    heard_by_touchy(|ctx| async move {
        let manager = EventManager::<()>::start().await.unwrap();
        manager.add_handler(Failing::id(), ()).await.unwrap();
        manager.sync_notify(()).await.unwrap();
        assert_eq!(manager.which_handlers().await.unwrap(), []);
        manager.stop(ExitReason::Normal).await.unwrap();

        let registry = Registry::<u8>::unique();
        registry.builder().start_link().await.unwrap();
        registry.listen::<()>(ctx.self_ref(), |_| panic!("on purpose, in a listener"));
        registry.register(1, ()).unwrap();
        assert_eq!(registry.whereis(&1), Some(ctx.pid()));

        let groups = Groups::named("touchy");
        Groups::builder("touchy").start_link().await.unwrap();
        let panics = |_| panic!("on purpose, in a watcher");
        groups.monitor("a", ctx.self_ref(), panics).await.unwrap();
        let member = pid_of(&spawn(idle).unwrap());
        groups.join("a", member).await.unwrap();
        assert_eq!(groups.members("a"), [member]);
        groups.leave("a", member).await.unwrap();
        kill(member);
    });
}

/// Fault 28
#[test]
fn applications_go_on_whatever_the_log_does() {
    heard_by_touchy(|_| async {
        let apps = Applications::start_on(&Node::current()).await.unwrap();
        let top = || async { spawn_link(idle) };
        let application = Application::new("shop").start(move |_| top());
        apps.load(application).await.unwrap();
        apps.start("shop").await.unwrap();
        apps.stop("shop").await.unwrap();
        apps.start("shop").await.unwrap();
        apps.stop("shop").await.unwrap();
    });
}
