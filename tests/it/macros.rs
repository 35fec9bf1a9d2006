//! The attributes `server` and `protocol`: what they write behaves as what is
//! written by hand.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::num::ParseIntError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use resurgam::{
    CallError, ChildSpec, Context, ExitReason, GenServer, Info, InitError, Node, Reply,
    ServerContext, StartError, Strategy, Supervisor, kill, protocol, self_pid, server, sys,
};

use crate::support::{Log, run, run_with_clock};

const SECOND: Duration = Duration::from_secs(1);

/// A server with all that can be marked.
struct Probe {
    sum: u32,
    kept: Vec<Reply<u32>>,
    log: Log,
}

#[server]
impl Probe {
    #[init]
    async fn new(
        start: &'static str,
        log: Log,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, ParseIntError> {
        resurgam::yield_now().await;
        let sum = start.parse()?;
        ctx.continue_with(ProbeMessage::Add(1));
        let kept = Vec::new();
        Ok(Self { sum, kept, log })
    }

    #[call]
    fn get(&self) -> u32 {
        self.sum
    }

    /// A fallible one: the result is the answer.
    #[call]
    async fn take(&mut self, n: u32) -> Result<u32, String> {
        resurgam::yield_now().await;
        self.sum = self.sum.checked_sub(n).ok_or("too little")?;
        Ok(self.sum)
    }

    #[call]
    fn who(&self, ctx: &mut ServerContext<Self>, (a, b): (u8, u8)) -> (bool, u8) {
        (ctx.pid() == self_pid(), a + b)
    }

    #[call(later)]
    fn wait(&mut self, reply: Reply<u32>, at_least: u32) {
        if self.sum >= at_least {
            reply.send(self.sum);
        } else {
            self.kept.push(reply);
        }
    }

    #[call(later)]
    fn last(
        &mut self,
        reply: Reply<&'static str>,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        ctx.stop_with_reply(ExitReason::Shutdown, reply, "bye")
    }

    /// Names that what is written might have used.
    #[cast]
    async fn add(&mut self, ctx: u32) {
        self.sum += ctx;
        let sum = self.sum;
        self.kept.drain(..).for_each(|reply| reply.send(sum));
    }

    #[cast]
    fn parse(&mut self, reply: String) -> Result<(), ParseIntError> {
        self.sum = reply.parse()?;
        Ok(())
    }

    #[cast]
    fn parse_by(&mut self, message: Box<dyn Fn(&str) -> u32 + Send>) {
        self.sum = message("eight");
    }

    #[cast]
    fn become_like(&mut self, other: Self) {
        self.sum = other.sum;
    }

    #[cast]
    fn time_out(&mut self, ctx: &mut ServerContext<Self>) {
        ctx.set_timeout(SECOND);
    }

    #[info]
    fn note(&mut self, info: Info) -> Result<(), ExitReason> {
        self.log.note(format!("{info:?}"));
        self.helped()
    }

    #[terminate]
    async fn bye(&mut self, reason: &ExitReason) {
        self.log.note(reason);
    }

    #[format_status]
    fn shown(&self) -> impl Debug {
        ("sum", self.sum)
    }

    fn helped(&self) -> Result<(), ExitReason> {
        Err(ExitReason::custom("heard enough"))
    }
}

/// XMAC-01, XMAC-02
#[test]
fn marked_methods_are_calls_and_casts_in_the_order_they_were_asked_for() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let probe = Probe::start(("40", log.clone())).await.unwrap();
        assert_eq!(probe.get().await, Ok(41));
        probe.add(2);
        assert_eq!(probe.get().await, Ok(43));
        assert_eq!(probe.take(50).await, Ok(Err("too little".to_owned())));
        assert_eq!(probe.take(3).await, Ok(Ok(40)));
        assert_eq!(probe.who((1, 2)).await, Ok((true, 3)));
        probe.parse("7".to_owned());
        assert_eq!(probe.get().await, Ok(7));
        probe.parse_by(Box::new(|text| text.len() as u32 + 3));
        assert_eq!(probe.get().await, Ok(8));
        let (sum, kept) = (5, Vec::new());
        probe.become_like(Probe {
            sum,
            kept,
            log: log.clone(),
        });
        assert_eq!(probe.get().await, Ok(5));
        assert_eq!(probe.last().await, Ok("bye"));
        assert_eq!(probe.join().await, ExitReason::Shutdown);
        assert_eq!(log.heard(), "shutdown");
    });
}

/// XMAC-02
#[test]
fn a_later_call_is_answered_when_the_server_likes() {
    run(|_: Context<()>| async {
        let probe = Probe::start_link(("1", Log::default())).await.unwrap();
        assert_eq!(probe.wait(2).await, Ok(2));
        let waiting = probe.send_request(|reply| ProbeMessage::Wait(10, reply));
        probe.add(10);
        assert_eq!(waiting.await, Ok(12));
    });
}

/// XMAC-02
#[test]
fn a_call_of_a_client_waits_as_long_as_it_is_told() {
    run_with_clock(|_: Context<()>, clock| async move {
        let probe = Probe::start_link(("1", Log::default())).await.unwrap();
        let mut waiting = probe.wait(10).timeout(SECOND);
        assert!(futures::poll!(&mut waiting).is_pending());
        clock.advance(SECOND);
        assert_eq!(waiting.await, Err(CallError::TimedOut));
    });
}

/// XMAC-03
#[test]
fn an_error_of_a_marked_method_stops_the_server_with_it() {
    run(|_: Context<()>| async {
        let log = Log::default();
        let probe = Probe::start(("0", log.clone())).await.unwrap();
        probe.parse("seven".to_owned());
        let reason = probe.join().await;
        assert!(reason.to_string().contains("invalid digit"), "{reason}");
        assert!(log.heard().contains("invalid digit"));

        let probe = Probe::start(("0", log.clone())).await.unwrap();
        probe.time_out();
        assert_eq!(probe.join().await, ExitReason::custom("heard enough"));
        assert!(log.heard().starts_with("Timeout"));
    });
}

/// XMAC-03
#[test]
fn an_init_that_fails_is_a_start_that_failed() {
    run(|_: Context<()>| async {
        let failed = Probe::start(("none", Log::default())).await.unwrap_err();
        let StartError::Failed(reason) = failed else {
            panic!("{failed}");
        };
        assert!(reason.to_string().contains("invalid digit"), "{reason}");
        assert!(matches!(Unwanted::start(()).await, Err(StartError::Ignore)));
    });
}

struct Unwanted;

#[server]
impl Unwanted {
    #[init]
    fn new() -> Result<Self, InitError> {
        Err(InitError::Ignore)
    }

    #[info]
    fn nothing(&self, _: Info) {}
}

/// XMAC-04
#[test]
fn the_log_shows_which_message_it_is_and_nothing_of_what_is_in_it() {
    assert_eq!(format!("{:?}", ProbeMessage::Add(99)), "Add");
    run(|_: Context<()>| async {
        let probe = Probe::start_link(("1", Log::default())).await.unwrap();
        let status = sys::get_status(&probe).await.unwrap();
        let shown = format!("{status:?}");
        assert!(shown.contains("sum") && shown.contains('2'), "{shown}");
    });
}

/// Counts under any key.
struct Counts<K>(HashMap<K, u32>);

#[server]
impl<K> Counts<K>
where
    K: Eq + Hash + Send + 'static,
{
    #[cast]
    fn count(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    #[call]
    fn count_of(&self, key: K) -> u32 {
        self.0.get(&key).copied().unwrap_or_default()
    }
}

/// XMAC-01
#[test]
fn a_server_with_parameters_is_one_server_for_each_type() {
    run(|_: Context<()>| async {
        let words = Counts::start_link(Counts(HashMap::new())).await.unwrap();
        let numbers = Counts::start_link(Counts(HashMap::new())).await.unwrap();
        words.count("one");
        words.count("one");
        numbers.count(1);
        assert_eq!(words.count_of("one").await, Ok(2));
        assert_eq!(numbers.count_of(1).await, Ok(1));
    });
}

/// XMAC-05
#[test]
fn a_client_by_name_survives_a_restart() {
    run(|_: Context<()>| async {
        let spec = ChildSpec::server_with("words", || {
            Counts::<u8>::builder(Counts(HashMap::new())).name("words")
        });
        let builder = Supervisor::builder(Strategy::OneForOne).child(spec);
        let tree = builder.start_link().await.unwrap();
        let words = Node::current().named::<CountsMessage<u8>>("words");
        words.count(1);
        assert_eq!(words.count_of(1).await, Ok(1));
        let first = words.pid().unwrap();
        kill(first);
        resurgam::join(first).await;
        // The supervisor answers after it has restarted the child.
        while tree
            .which_child("words")
            .await
            .unwrap()
            .pid()
            .is_none_or(|pid| pid == first)
        {}
        assert_eq!(words.count_of(1).await, Ok(0));
    });
}

/// What counts, of whatever type.
#[protocol]
trait Tally {
    /// The count now.
    async fn total(&self) -> u32;
    fn bump(&self, by: u32);
    async fn never(&self) -> u32;
}

struct Plain(u32);

#[server]
impl Plain {
    #[protocol]
    fn tally(&mut self, message: TallyMessage) -> Result<(), ExitReason> {
        match message {
            TallyMessage::Total(reply) => reply.send(self.0),
            TallyMessage::Bump(by) => self.0 += by,
            TallyMessage::Never(reply) => drop(reply),
        }
        Ok(())
    }

    #[call]
    fn own(&self) -> u32 {
        self.0
    }
}

/// The same by hand, in twos.
struct Doubling(u32, Arc<Mutex<Vec<Reply<u32>>>>);

impl GenServer for Doubling {
    type Args = Arc<Mutex<Vec<Reply<u32>>>>;
    type Message = TallyMessage;

    async fn init(kept: Self::Args, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(0, kept))
    }

    async fn handle(
        &mut self,
        message: TallyMessage,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match message {
            TallyMessage::Total(reply) => reply.send(2 * self.0),
            TallyMessage::Bump(by) => self.0 += by,
            TallyMessage::Never(reply) => self.1.lock().unwrap().push(reply),
        }
        Ok(())
    }
}

/// XMAC-06
#[test]
fn servers_of_different_types_are_behind_one_handle() {
    run(|_: Context<()>| async {
        let plain = Plain::start_link(Plain(1)).await.unwrap();
        let doubling = Doubling::start_link(Arc::default()).await.unwrap();
        let tallies: [TallyRef; 2] = [plain.clone().into(), doubling.clone().into()];
        for tally in &tallies {
            tally.clone().bump(3);
        }
        assert_eq!(tallies[0].total().await, Ok(4));
        assert_eq!(tallies[1].total().await, Ok(6));
        assert_eq!(tallies[0].pid(), plain.pid());
        assert_eq!(plain.own().await, Ok(4));
        // A reference of one type is a client too.
        assert_eq!(Tally::total(&doubling).await, Ok(6));
    });
}

/// XMAC-06
#[test]
fn a_call_by_a_protocol_fails_as_any_call_does() {
    run_with_clock(|_: Context<()>, clock| async move {
        let plain = TallyRef::from(Plain::start(Plain(1)).await.unwrap());
        assert_eq!(plain.never().await, Err(CallError::NoReply));
        let doubling = TallyRef::from(Doubling::start(Arc::default()).await.unwrap());
        let mut call = doubling.never().timeout(SECOND);
        assert!(futures::poll!(&mut call).is_pending());
        clock.advance(SECOND);
        assert_eq!(call.await, Err(CallError::TimedOut));

        let mut call = doubling.never().no_timeout();
        assert!(futures::poll!(&mut call).is_pending());
        kill(doubling.pid().unwrap());
        assert_eq!(call.await, Err(CallError::Down(ExitReason::Killed)));
        assert_eq!(doubling.join().await, ExitReason::Killed);
    });
}
