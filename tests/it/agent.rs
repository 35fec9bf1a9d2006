//! Agents, law by law.

use futures::poll;
use resurgam::{
    Agent, AgentFn, Call, CallError, ChildSpec, Context, ExitReason, ManualClock, Node, StartError,
    Strategy, Supervisor, join, kill, self_pid, trap_exit,
};

use crate::support::run;

/// AGT-01
#[test]
fn functions_run_inside_the_agent_one_after_the_other() {
    run(|_: Context<()>| async {
        let agent = Agent::start_link(Vec::new).await.unwrap();
        let me = self_pid();
        let inside = agent.get(|_| self_pid()).await.unwrap();
        assert!(Some(inside) == agent.pid() && inside != me);
        agent.cast(|list| list.push(1));
        agent.update(|list| list.push(2)).await.unwrap();
        let before = agent.get_and_update(std::mem::take).await;
        assert_eq!(before, Ok(vec![1, 2]));
        assert_eq!(agent.get(Vec::len).await, Ok(0));
        agent.stop(ExitReason::Normal).await.unwrap();
    });
}

/// AGT-01
#[test]
fn a_call_of_an_agent_waits_five_seconds_and_what_it_asked_for_is_done_later() {
    // On one thread, where the agent does not run before its caller waits.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let body = async {
        let clock = ManualClock::new();
        let node = Node::builder().clock(clock.clone()).start().unwrap();
        let caller = node.spawn(|_: Context<()>| async move {
            let agent = Agent::start_link(|| 0).await.unwrap();
            let mut update = agent.update(|n| *n += 1);
            assert!(poll!(&mut update).is_pending());
            clock.advance(Call::<AgentFn<u8>, (), fn(_) -> _>::TIMEOUT);
            assert_eq!(update.await, Err(CallError::TimedOut));
            assert_eq!(agent.get(|n| *n).await, Ok(1));
        });
        assert!(caller.unwrap().join().await.is_normal());
    };
    runtime.enable_all().build().unwrap().block_on(body);
}

/// AGT-01
#[test]
fn an_agent_that_is_not_there_is_told_at_once() {
    run(|_: Context<()>| async {
        let down = Err(CallError::Down(ExitReason::NoProcess));
        let nobody = Agent::<u8>::named("nobody");
        assert_eq!(
            (nobody.pid(), nobody.get(|n| *n).await),
            (None, down.clone())
        );
        let agent = Agent::start(|| 7_u8).await.unwrap();
        agent.stop(ExitReason::Shutdown).await.unwrap();
        assert_eq!(agent.get(|n| *n).await, down);
    });
}

/// AGT-02
#[test]
fn a_panic_in_a_function_ends_the_agent_and_its_caller_hears_why() {
    run(|_: Context<()>| async {
        let agent = Agent::start(|| 7).await.unwrap();
        let end = join(agent.pid().unwrap());
        let told = agent.get(|n| assert_eq!(*n, 8, "wrong")).await;
        let Err(CallError::Down(ExitReason::Panicked(panic))) = told else {
            panic!("{told:?}")
        };
        assert!(panic.message().contains("wrong"));
        assert_eq!(end.await, ExitReason::Panicked(panic));
    });
}

/// AGT-02
#[test]
fn a_panic_in_a_cast_takes_the_linked_starter_along() {
    run(|mut ctx: Context<()>| async move {
        trap_exit(true);
        let agent = Agent::start_link(|| ()).await.unwrap();
        agent.cast(|()| panic!("no luck"));
        let exit = ctx.receive().await;
        let is_told = matches!(&exit, resurgam::Message::Exit(exit)
            if matches!(exit.reason, ExitReason::Panicked(_)));
        assert!(is_told, "{exit:?}");
    });
}

/// AGT-02
#[test]
fn a_first_state_that_cannot_be_made_is_a_start_that_failed() {
    run(|_: Context<()>| async {
        let failed = Agent::<()>::start(|| panic!("no luck")).await;
        let is_told = matches!(
            failed,
            Err(StartError::Failed(ExitReason::Panicked(ref panic))) if panic.message() == "no luck"
        );
        assert!(is_told, "{failed:?}");
    });
}

/// AGT-03
#[test]
fn a_cast_waits_for_nobody_and_keeps_its_place() {
    run(|_: Context<()>| async {
        let agent = Agent::start_link(String::new).await.unwrap();
        for c in ["a", "b", "c"] {
            agent.cast(|text| text.push_str(c));
        }
        assert_eq!(agent.get(String::clone).await, Ok("abc".to_owned()));
        agent.stop(ExitReason::Normal).await.unwrap();
        // To nobody, it is dropped.
        agent.cast(|text| text.push('d'));
    });
}

/// AGT-01
#[test]
fn an_agent_is_supervised_and_named_like_any_server() {
    run(|_: Context<()>| async {
        let counter =
            ChildSpec::server_with("counter", || Agent::builder(|| 0_u32).name("counter"));
        let builder = Supervisor::builder(Strategy::OneForOne).child(counter);
        let sup = builder.start_link().await.unwrap();
        let counter = Agent::<u32>::named("counter");
        counter.update(|n| *n = 7).await.unwrap();
        let first = counter.pid().unwrap();
        kill(first);
        join(first).await;
        // The supervisor answers when it has restarted it.
        let second = loop {
            match sup.which_child("counter").await.unwrap().pid() {
                Some(pid) if pid != first => break pid,
                _ => {}
            }
        };
        assert_eq!(counter.pid(), Some(second));
        assert_eq!(counter.get(|n| *n).await, Ok(0));
        sup.stop().await.unwrap();
    });
}
