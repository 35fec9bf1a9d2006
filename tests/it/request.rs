//! Asynchronous requests: the laws REQ.

use std::time::Duration;

use futures::{StreamExt, pin_mut, poll};
use resurgam::{
    CallError, Context, Elapsed, ExitReason, ManualClock, Message, Node, Pid, ProcessRef, Reply,
    Request, RequestCollection, exit, now, sleep, spawn, yield_now,
};

use crate::support::{pid_of, run, run_on_threads, run_with_clock};

const SECOND: Duration = Duration::from_secs(1);

enum Msg {
    /// Asks for the number back.
    Echo(u32, Reply<u32>),
    /// As `Echo`, after so long.
    Late(u32, Duration, Reply<u32>),
    /// Is dropped unanswered.
    Ignore(Reply<u32>),
    /// Is kept unanswered.
    Keep(Reply<u32>),
    /// Replies to the newest that was kept.
    Newest(u32),
    /// How many of those that were kept are waited for.
    Open(Reply<usize>),
    Cast(u32),
    Casts(Reply<Vec<u32>>),
}

async fn server(mut ctx: Context<Msg>) {
    let (mut kept, mut casts) = (Vec::new(), Vec::new());
    while let Message::User(msg) = ctx.receive().await {
        match msg {
            Msg::Echo(n, reply) => reply.send(n),
            Msg::Late(n, after, reply) => {
                let late = spawn(move |_: Context<()>| async move {
                    sleep(after).await;
                    reply.send(n);
                });
                late.expect("the node is up");
            }
            Msg::Ignore(reply) => drop(reply),
            Msg::Keep(reply) => kept.push(reply),
            Msg::Newest(n) => {
                if let Some(reply) = kept.pop() {
                    reply.send(n);
                }
            }
            Msg::Open(reply) => reply.send(kept.iter().filter(|kept| !kept.is_closed()).count()),
            Msg::Cast(n) => casts.push(n),
            Msg::Casts(reply) => reply.send(casts.clone()),
        }
    }
}

fn start() -> ProcessRef<Msg> {
    spawn(server).expect("the node is up")
}

fn echo(server: &ProcessRef<Msg>, n: u32) -> Request<u32> {
    server.send_request(|reply| Msg::Echo(n, reply))
}

/// A request that is answered after so long, once its timer runs.
async fn late(server: &ProcessRef<Msg>, n: u32, after: Duration) -> Request<u32> {
    let timers = Node::current().timer_count();
    let request = server.send_request(|reply| Msg::Late(n, after, reply));
    while Node::current().timer_count() == timers {
        yield_now().await;
    }
    request
}

/// REQ-01.
#[test]
fn request_to_nobody_is_answered_when_it_is_waited_for() {
    run(|_: Context<()>| async move {
        let nobody = ProcessRef::<Msg>::named("nobody");
        let gone = start();
        exit(pid_of(&gone), ExitReason::Kill);
        gone.join().await;
        for server in [nobody, gone] {
            let response = echo(&server, 1).await;
            assert_eq!(response, Err(CallError::Down(ExitReason::NoProcess)));
        }
    });
}

#[test]
fn request_is_sent_at_once() {
    run(|_: Context<()>| async move {
        let server = start();
        let first = server.send_request(Msg::Casts);
        server.cast(Msg::Cast(1));
        let second = server.send_request(Msg::Casts);
        server.cast(Msg::Cast(2));
        assert_eq!(second.await, Ok(vec![1]));
        assert_eq!(first.await, Ok(vec![]));
    });
}

/// Waits while the clock moves on by so much.
async fn while_passes<F: Future>(time: Duration, clock: &ManualClock, wait: F) -> F::Output {
    pin_mut!(wait);
    assert!(poll!(&mut wait).is_pending(), "it does not wait");
    clock.advance(time);
    wait.await
}

/// REQ-02.
#[test]
fn request_outlives_a_wait_that_timed_out() {
    run_with_clock(|_: Context<()>, clock| async move {
        let mut request = late(&start(), 7, 10 * SECOND).await;
        let wait = request.wait_response(SECOND);
        assert_eq!(while_passes(SECOND, &clock, wait).await, None);
        assert_eq!(request.wait_response(Duration::ZERO).await, None);
        let wait = request.wait_response(60 * SECOND);
        assert_eq!(while_passes(9 * SECOND, &clock, wait).await, Some(Ok(7)));
        let wait = request.wait_response(SECOND);
        assert_eq!(while_passes(SECOND, &clock, wait).await, None);
    });
}

/// REQ-03: the server sees that nobody waits, and the late reply is dropped.
#[test]
fn receive_that_times_out_abandons_the_request() {
    run_with_clock(|mut ctx: Context<()>, clock| async move {
        let server = start();
        let request = server.send_request(Msg::Keep);
        assert_eq!(server.call(Msg::Open).await, Ok(1));
        let wait = request.receive_response(SECOND);
        let response = while_passes(SECOND, &clock, wait).await;
        assert_eq!(response, Err(CallError::TimedOut));
        assert_eq!(server.call(Msg::Open).await, Ok(0));
        let wait = late(&server, 1, 2 * SECOND).await.receive_response(SECOND);
        let response = while_passes(SECOND, &clock, wait).await;
        assert_eq!(response, Err(CallError::TimedOut));
        clock.advance(2 * SECOND);
        yield_now().await;
        assert_eq!(ctx.try_receive(), None);
    });
}

#[test]
fn dropped_request_is_abandoned() {
    run(|_: Context<()>| async move {
        let server = start();
        drop(server.send_request(Msg::Keep));
        assert_eq!(server.call(Msg::Open).await, Ok(0));
    });
}

/// REQ-04.
#[test]
fn response_can_be_looked_for() {
    run(|_: Context<()>| async move {
        let server = start();
        let mut kept = server.send_request(Msg::Keep);
        let mut ignored = server.send_request(Msg::Ignore);
        let mut echoed = echo(&server, 1);
        assert_eq!(server.call(Msg::Open).await, Ok(1));
        // The answers of one server come in its order.
        assert_eq!(kept.check_response(), None);
        let refused = ignored.wait_response(None::<Duration>).await;
        assert_eq!(refused, Some(Err(CallError::NoReply)));
        assert_eq!(ignored.check_response(), None);
        assert_eq!(echoed.check_response(), Some(Ok(1)));
        assert_eq!(echoed.check_response(), None);
    });
}

/// REQ-05.
#[test]
fn end_of_the_server_is_a_response() {
    run(|_: Context<()>| async move {
        let server = start();
        let mut request = server.send_request(Msg::Keep);
        assert_eq!(server.call(Msg::Open).await, Ok(1));
        let reason = ExitReason::custom("tired");
        exit(pid_of(&server), reason.clone());
        assert_eq!(
            request.wait_response(5 * SECOND).await,
            Some(Err(CallError::Down(reason)))
        );
    });
}

/// REQ-06, REQ-08: each response comes once, with its label, and is out of the
/// collection then.
#[test]
fn collection_tells_each_response_with_its_label() {
    run_with_clock(|_: Context<()>, clock| async move {
        let server = start();
        let mut requests = RequestCollection::new(&Node::current());
        for (n, label) in [(3, "three"), (1, "one"), (2, "two")] {
            requests.add(late(&server, n, n * SECOND).await, label);
        }
        for (at, (n, label)) in [(1, "one"), (2, "two"), (3, "three")]
            .into_iter()
            .enumerate()
        {
            assert_eq!(requests.len(), 3 - at);
            let wait = requests.wait_response(60 * SECOND);
            let told = while_passes(SECOND, &clock, wait).await;
            assert_eq!(told, Ok(Some((Ok(n), label))));
        }
        requests.add(server.send_request(Msg::Ignore), "ignored");
        let told = requests.receive_response(None::<Duration>).await;
        assert_eq!(told, Ok(Some((Err(CallError::NoReply), "ignored"))));
        assert!(requests.is_empty());
    });
}

/// REQ-06: whichever came first, though nobody waited for any.
#[test]
fn responses_of_a_collection_are_told_in_the_order_they_came() {
    run(|_: Context<()>| async move {
        let server = start();
        let mut requests = RequestCollection::new(&Node::current());
        let (first, second) = (
            server.send_request(Msg::Keep),
            server.send_request(Msg::Keep),
        );
        requests.add(first, 1);
        requests.add(second, 2);
        server.cast(Msg::Newest(20));
        // What the server has replied by then has come.
        assert_eq!(server.call(Msg::Open).await, Ok(1));
        server.cast(Msg::Newest(10));
        assert_eq!(server.call(Msg::Open).await, Ok(0));
        requests.add(echo(&server, 30), 3);
        assert_eq!(server.call(Msg::Open).await, Ok(0));
        for told in [(20, 2), (10, 1), (30, 3)] {
            assert_eq!(requests.next().await, Some((Ok(told.0), told.1)));
        }
        assert_eq!(requests.next().await, None);
    });
}

/// REQ-07.
#[test]
fn empty_collection_says_so_at_once() {
    run(|_: Context<()>| async move {
        let mut none = RequestCollection::<u32, ()>::new(&Node::current());
        assert_eq!(none.wait_response(None::<Duration>).await, Ok(None));
        assert_eq!(none.receive_response(SECOND).await, Ok(None));
        assert!(none.is_empty());
        assert_eq!(none.next().await, None);
    });
}

/// REQ-09, and that `wait_response` keeps them.
#[test]
fn receive_of_a_collection_that_times_out_abandons_all() {
    run_with_clock(|_: Context<()>, clock| async move {
        let server = start();
        let mut requests = RequestCollection::new(&Node::current());
        for n in 0..3 {
            requests.add(server.send_request(Msg::Keep), n);
        }
        let wait = requests.wait_response(SECOND);
        assert_eq!(while_passes(SECOND, &clock, wait).await, Err(Elapsed));
        assert_eq!(server.call(Msg::Open).await, Ok(3));
        let wait = requests.receive_response(SECOND);
        assert_eq!(while_passes(SECOND, &clock, wait).await, Err(Elapsed));
        assert_eq!(server.call(Msg::Open).await, Ok(0));
        assert_eq!(requests.receive_response(SECOND).await, Ok(None));
    });
}

/// REQ-10.
#[test]
fn deadline_may_be_absolute_and_past() {
    run_with_clock(|_: Context<()>, clock| async move {
        let server = start();
        let mut request = late(&server, 1, 10 * SECOND).await;
        let start = now();
        let wait = request.wait_response(start + 2 * SECOND);
        assert_eq!(while_passes(2 * SECOND, &clock, wait).await, None);
        assert_eq!(request.wait_response(start).await, None);
        let mut echoed = echo(&server, 2);
        assert_eq!(server.call(Msg::Open).await, Ok(0));
        assert_eq!(echoed.wait_response(start).await, Some(Ok(2)));
    });
}

#[test]
fn request_to_oneself_is_answered_later() {
    run(|mut ctx: Context<Reply<u32>>| async move {
        let mut request = ctx.self_ref().send_request(|reply| reply);
        assert!(poll!(&mut request).is_pending());
        let Message::User(reply) = ctx.receive().await else {
            panic!("no request")
        };
        reply.send(5);
        assert_eq!(request.await, Ok(5));
    });
}

#[test]
fn request_of_the_wrong_type_is_refused() {
    run(|_: Context<()>| async move {
        resurgam::register("server", pid_of(&start())).unwrap();
        let wrong = ProcessRef::<Reply<u32>>::named("server");
        assert!(matches!(
            wrong.send_request(|reply| reply).await,
            Err(CallError::WrongType { .. })
        ));
    });
}

/// Requests of those who are no process.
#[test]
fn task_of_tokio_can_send_requests() {
    run_on_threads(|_: Context<()>| async move {
        let (node, server) = (Node::current(), start());
        let task = tokio::spawn(async move {
            let mut requests = RequestCollection::new(&node);
            for n in 0..100 {
                requests.add(echo(&server, n), n);
            }
            let told: Vec<_> = requests.collect().await;
            assert_eq!(told.len(), 100);
            assert!(told.iter().all(|(response, n)| response == &Ok(*n)));
        });
        task.await.unwrap();
    });
}

/// Nobody hangs when the server is killed at any moment of many requests.
#[test]
fn every_request_is_answered_whenever_the_server_is_killed() {
    run(|_: Context<()>| async move {
        for wait in 0..20 {
            let server = start();
            let mut requests = RequestCollection::new(&Node::current());
            let pid: Pid = pid_of(&server);
            for n in 0..10 {
                requests.add(echo(&server, n), n);
            }
            for _ in 0..wait {
                yield_now().await;
            }
            resurgam::kill(pid);
            let mut told = 0;
            while let Some((response, n)) = requests.next().await {
                told += 1;
                assert!(
                    matches!(response, Ok(echoed) if echoed == n)
                        || matches!(response, Err(CallError::Down(_))),
                );
            }
            assert_eq!(told, 10);
        }
    });
}
