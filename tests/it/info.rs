//! What can be known of a process, law by law.

use std::sync::mpsc;
use std::time::Duration;

use resurgam::{
    Context, ExitReason, GenServer, InfoError, InitError, Message, MonitorRef, Name, Node, Pid,
    ProcessInfo, ProcessRef, ProcessStage, Reply, ServerContext, ThreadContext, demonitor,
    is_alive, join, kill, link, monitor, process_info, self_pid, send, set_label, spawn,
    spawn_options, trap_exit, unlink,
};

use crate::support::{Log, idle, run, run_with_clock};

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

async fn info(pid: Pid) -> ProcessInfo {
    process_info(pid).await.unwrap().expect("it lives")
}

/// INFO-01
#[test]
fn nothing_is_known_of_the_dead() {
    run(|_: Context<()>| async {
        let pid = spawn_idle();
        assert_eq!(is_alive(pid).await, Ok(true));
        end(pid).await;
        for nobody in [pid, Pid::OUTSIDE] {
            assert!(process_info(nobody).await.unwrap().is_none());
            assert_eq!(is_alive(nobody).await, Ok(false));
        }
    });
}

/// INFO-02, INFO-05
#[test]
fn everything_about_a_process_can_be_known() {
    run(|_: Context<()>| async {
        let options = spawn_options()
            .name("name")
            .label("label")
            .link()
            .monitor()
            .trap_exit();
        let pid = pid_of(&options.spawn(idle).unwrap().process);
        let known = info(pid).await;
        assert_eq!((known.pid, known.parent), (pid, Some(self_pid())));
        assert_eq!(
            (known.name, known.label),
            (Some("name".into()), Some("label".into()))
        );
        assert!(known.trap_exit);
        assert_eq!(
            (known.links, known.monitored_by),
            (vec![self_pid()], vec![self_pid()])
        );
        assert_eq!((known.monitors, known.message_queue_len), (vec![], 0));
        let myself = info(self_pid()).await;
        assert_eq!((myself.links, myself.monitors), (vec![pid], vec![pid]));
        // It would not heed the stop of the node.
        unlink(pid);
        kill(pid);
    });
}

/// INFO-02: a process is born with nothing, and the outside is no parent.
#[test]
fn there_is_little_to_know_of_the_newborn() {
    run(|_: Context<()>| async {
        let known = info(spawn_idle()).await;
        let none: (Option<Name>, Option<String>) = (known.name, known.label);
        assert_eq!(none, (None, None));
        assert!(!known.trap_exit);
        assert_eq!(
            (known.links, known.monitors, known.monitored_by),
            (vec![], vec![], vec![])
        );
        assert_eq!(info(self_pid()).await.parent, None);
    });
}

/// A server that tells how far it has come.
struct Teller(Log);

async fn note_stage(log: &Log) {
    log.note(format!("{:?}", info(self_pid()).await.stage));
}

impl GenServer for Teller {
    type Args = Log;
    type Message = ();

    async fn init(log: Log, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        note_stage(&log).await;
        Ok(Self(log))
    }

    async fn handle(&mut self, (): (), _: &mut ServerContext<Self>) -> Result<(), ExitReason> {
        note_stage(&self.0).await;
        Err(ExitReason::Normal)
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        note_stage(&self.0).await;
    }
}

/// INFO-02: of a server it is known whether it starts or ends.
#[test]
fn it_is_known_how_far_a_server_has_come() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let server = Teller::builder(log.clone()).start().await.unwrap();
        let pid = pid_of(&server);
        assert_eq!(info(pid).await.stage, ProcessStage::Running);
        server.cast(());
        server.join().await;
        assert_eq!(log.heard(), "Starting Running Ending");
    });
}

/// INFO-02, INFO-05: a process tells about itself at once.
#[test]
fn process_knows_itself() {
    run_with_clock(|_: Context<()>, _| async {
        let before = Node::current().timer_count();
        set_label("before");
        set_label("label");
        trap_exit(true);
        let known = futures::FutureExt::now_or_never(process_info(self_pid()));
        let known = known
            .expect("there is nothing to wait for")
            .unwrap()
            .unwrap();
        assert_eq!((known.label, known.trap_exit), (Some("label".into()), true));
        assert_eq!(Node::current().timer_count(), before);
    });
}

/// INFO-03, SIG-11: what the asker did before shows, at both ends.
#[test]
fn answer_comes_after_what_the_asker_did() {
    run(|_: Context<()>| async {
        let pid = spawn_idle();
        link(pid);
        let reference: MonitorRef = monitor(pid);
        let known = info(pid).await;
        assert_eq!(
            (known.links, known.monitored_by),
            (vec![self_pid()], vec![self_pid()])
        );
        unlink(pid);
        demonitor(reference);
        let known = info(pid).await;
        assert_eq!((known.links, known.monitored_by), (vec![], vec![]));
        let known = info(self_pid()).await;
        assert_eq!((known.links, known.monitors), (vec![], vec![]));
        kill(pid);
        assert_eq!(is_alive(pid).await, Ok(false));
    });
}

/// INFO-04: sent by the asker or by others, exits and `Down`s too, and no
/// longer when it was received.
#[test]
fn queue_length_counts_what_was_not_received() {
    run(|mut ctx: Context<u32>| async move {
        trap_exit(true);
        let other = pid_of(&spawn(|_: Context<u32>| std::future::pending::<()>()).unwrap());
        for count in 1..=3 {
            send(other, count as u32).unwrap();
            assert_eq!(info(other).await.message_queue_len, count);
        }
        link(other);
        monitor(other);
        ctx.self_ref().cast(1);
        end(other).await;
        for left in [3, 2, 1] {
            assert_eq!(info(self_pid()).await.message_queue_len, left);
            ctx.receive().await;
        }
        assert_eq!(info(self_pid()).await.message_queue_len, 0);
    });
}

/// INFO-04: what waits behind a message that is being handled.
#[test]
fn busy_process_can_be_asked() {
    run(|_: Context<()>| async {
        let busy = spawn(|mut ctx: Context<Reply<()>>| async move {
            let Message::User(reply) = ctx.receive().await else {
                return;
            };
            reply.send(());
            std::future::pending::<()>().await;
        });
        let busy = busy.unwrap();
        busy.call(|reply| reply).await.unwrap();
        let calls = [(); 2].map(|()| busy.call(|reply| reply).no_timeout());
        let mut calls = futures::future::join_all(calls);
        assert!(futures::poll!(&mut calls).is_pending());
        assert_eq!(info(pid_of(&busy)).await.message_queue_len, 2);
        kill(pid_of(&busy));
        assert_eq!(busy.join().await, ExitReason::Killed);
    });
}

/// SIG-10, SIG-11: an answer has a time limit of five seconds.
#[test]
fn process_that_does_not_return_is_reported() {
    run_with_clock(|_: Context<()>, clock| async move {
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = futures::channel::oneshot::channel();
        let stuck = spawn_options().spawn_thread(move |_: ThreadContext<()>| {
            begun.send(()).expect("the test waits for it");
            released.recv().expect("the test releases it");
        });
        let stuck = stuck.unwrap().process;
        let pid = pid_of(&stuck);
        has_begun.await.unwrap();
        let asked = clock.now();
        let (alive, known, at) =
            futures::join!(is_alive(pid), process_info(pid), clock.advance_to_next());
        assert_eq!(alive, Err(InfoError::Unresponsive(pid)));
        assert_eq!(known.unwrap_err(), InfoError::Unresponsive(pid));
        assert_eq!(at - asked, Duration::from_secs(5));
        release.send(()).unwrap();
        assert!(stuck.join().await.is_normal());
    });
}
